//! What a server is set to: its name, what it offers, and every limit.
//!
//! RFC 5321 §4.5.3 (sizes and timeouts); RFC 1870 (SIZE); RFC 3207 (STARTTLS); RFC 4954 (AUTH); RFC 6409 (submission).
//!
//! Not here: what the house allows to whom (desk, policy).

use sasl::Mechanism;
use std::time::Duration;

/// What a port is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Port 25: mail from anywhere for us.
    Relay,
    /// Ports 587 and 465: mail from our own people, who must authenticate first (RFC 6409 §4.3).
    Submission,
}

/// What becomes of STARTTLS. Where TLS is up from the start, none of this matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// There is none.
    Absent,
    /// Who wants it may have it.
    Offered,
    /// Nothing else before it; not for port 25 (RFC 3207 §4).
    Demanded,
}

/// The settings of a port.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Our host name, fully qualified, in ASCII.
    pub name: String,
    /// What the greeting says behind the name.
    pub greeting: String,
    /// What the port is for.
    pub purpose: Purpose,
    /// Whether STARTTLS is offered.
    pub tls: Tls,
    /// The mechanisms of AUTH, best first; none, no AUTH.
    pub mechanisms: Vec<Mechanism>,
    /// Whether AUTH is offered without TLS: loopback only.
    pub clear_login: bool,
    /// Whether DSN is offered: only where the courier and the bounces honour NOTIFY, RET, ENVID and ORCPT.
    pub dsn: bool,
    /// The largest message, in octets without added dots. RFC 5321 §4.5.3.1.7: 64 KiB at least.
    pub size_max_bytes: u64,
    /// How much of a message that is refused already we still take and throw away, in octets. Hanging up in the middle
    /// makes the peer try again, so this is generous.
    pub waste_max_bytes: u64,
    /// The longest line of content, with its CRLF. RFC 5321 §4.5.3.1.6 says 1,000, but real mail has HTML in one
    /// line, and we keep it as it is; beyond a mebibyte it is no text.
    pub line_max_bytes: usize,
    /// Recipients of one mail. RFC 5321 §4.5.3.1.8: 100 at least; mailing lists send more.
    pub recipients_max: usize,
    /// Between commands. RFC 5321 §4.5.3.2.7: 5 minutes at least.
    pub command_wait: Duration,
    /// Between two pieces of content.
    pub content_wait: Duration,
    /// For the content of one mail as a whole: 50 MB over 64 kbit/s take 1 h 45 min.
    pub transfer_wait: Duration,
    /// Broken rules since the last accepted mail, before we hang up.
    pub errors_max: u32,
    /// Permanent refusals by the house since the last accepted mail: who guesses addresses gathers them.
    pub refusals_max: u32,
    /// Commands since the last accepted mail. Mailing lists name 100,000 recipients in one breath, and must hear of
    /// each that it is one too many.
    pub commands_max: u32,
    /// Failed attempts to authenticate since the last accepted mail; clients try two or three mechanisms.
    pub login_failures_max: u32,
}

impl Settings {
    /// Usual settings for port 25 of a host of that name, without TLS.
    pub fn new(name: &str) -> Self {
        Settings {
            name: name.into(),
            greeting: "ESMTP Packetboat".into(),
            purpose: Purpose::Relay,
            tls: Tls::Absent,
            mechanisms: Vec::new(),
            clear_login: false,
            dsn: false,
            size_max_bytes: 50 << 20,
            waste_max_bytes: 256 << 20,
            line_max_bytes: 1 << 20,
            recipients_max: 1000,
            command_wait: Duration::from_secs(5 * 60),
            content_wait: Duration::from_secs(5 * 60),
            transfer_wait: Duration::from_secs(2 * 60 * 60),
            errors_max: 20,
            refusals_max: 100,
            commands_max: 200_000,
            login_failures_max: 5,
        }
    }
}

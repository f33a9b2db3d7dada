//! How a server behaves.
//!
//! RFC 9051 §5.4 (autologout), §11.1 (passwords in clear); RFC 7889 (APPENDLIMIT); RFC 2971 (ID).

use crate::capability::Capabilities;
use sasl::Mechanism;
use std::time::Duration;

/// RFC 9051 §5.4: at least thirty minutes after login.
pub const IDLE_LIMIT_MIN: Duration = Duration::from_secs(30 * 60);

/// Shared by the sessions of a listener.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Our name in the greeting and the farewell.
    pub host: String,
    /// What the greeting says instead of `<host> IMAP server ready`.
    pub greeting: Option<String>,
    /// Whether STARTTLS can be had.
    pub tls_available: bool,
    /// Whether passwords may come without TLS: on loopback, or because the owner wants it so.
    pub clear_login: bool,
    /// The SASL mechanisms, of which each session offers what its channel allows.
    pub mechanisms: Vec<Mechanism>,
    /// What is offered; only what the whole system does entirely.
    pub capabilities: Capabilities,
    /// No message may be larger, in octets.
    pub message_max: u64,
    /// The autologout timer after login; less than [`IDLE_LIMIT_MIN`] counts as that.
    pub idle_limit: Duration,
    /// So long may a login take altogether.
    pub login_limit: Duration,
    /// So many logins may fail before we hang up.
    pub login_failures_max: u32,
    /// What ID tells of us: names and values.
    pub identity: Vec<(String, String)>,
}

impl Settings {
    /// The usual settings for a host: TLS, all mechanisms, everything that this room can, no password in clear.
    pub fn new(host: &str) -> Self {
        Settings {
            host: host.to_owned(),
            greeting: None,
            tls_available: true,
            clear_login: false,
            mechanisms: Mechanism::ALL.to_vec(),
            capabilities: Capabilities::all(),
            message_max: 100 << 20,
            idle_limit: IDLE_LIMIT_MIN,
            // Enough for a person who looks a password up.
            login_limit: Duration::from_secs(3 * 60),
            // Enough for a mistyped password, few enough to make guessing slow.
            login_failures_max: 3,
            identity: vec![("name".into(), "Packetboat".into())],
        }
    }
}

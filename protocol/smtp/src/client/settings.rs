//! What a client is set to.
//!
//! RFC 5321 §4.5.3.2 (timeouts), §4.5.3.1.8 (recipients); RFC 3207 §4 (STARTTLS).

use crate::command::HelloName;
use sasl::client::Credentials;
use std::time::Duration;

/// What we think of STARTTLS. Where TLS is up from the start, it does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// We do without.
    Never,
    /// We use it if the server offers it, and go on without if it then refuses.
    IfOffered,
    /// Without it nothing is sent.
    Required,
}

/// How long we wait for which reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// For the greeting.
    pub greeting: Duration,
    /// For EHLO, HELO, STARTTLS and AUTH.
    pub hello: Duration,
    /// For MAIL and RSET.
    pub mail: Duration,
    /// For each RCPT.
    pub rcpt: Duration,
    /// For 354.
    pub data: Duration,
    /// For the reply to the final dot: hanging up too early makes duplicates.
    pub verdict: Duration,
    /// For the reply to QUIT, which changes nothing any more.
    pub quit: Duration,
}

impl Default for Waits {
    /// RFC 5321 §4.5.3.2, which names no wait for EHLO and for QUIT.
    fn default() -> Self {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        Waits {
            greeting: minutes(5),
            hello: minutes(5),
            mail: minutes(5),
            rcpt: minutes(5),
            data: minutes(2),
            verdict: minutes(10),
            quit: Duration::from_secs(10),
        }
    }
}

/// The settings of a conversation.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How we name ourselves.
    pub name: HelloName,
    /// Whether STARTTLS is used.
    pub tls: Tls,
    /// With what we log in, if we do.
    pub login: Option<Credentials>,
    /// Whether a password may go out without TLS, or to a server whose certificate was not verified.
    pub clear_login: bool,
    /// Whether commands are grouped where the server allows it.
    pub pipelining: bool,
    /// Recipients of one transaction; RFC 5321 §4.5.3.1.8: 100 is what every server must take.
    pub recipients_max: usize,
    /// How long we wait.
    pub waits: Waits,
}

impl Settings {
    /// Usual settings for handing mail to anybody.
    pub fn new(name: HelloName) -> Self {
        Settings {
            name,
            tls: Tls::IfOffered,
            login: None,
            clear_login: false,
            pipelining: true,
            recipients_max: 100,
            waits: Waits::default(),
        }
    }
}

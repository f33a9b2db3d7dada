//! What a judgement comes to, and its reason.
//!
//! RFC 5321 §4.2 (reply codes), RFC 3463 §3 and RFC 5248 (enhanced codes), RFC 4954 §6 (codes of logins).
//!
//! A reason has two voices: its `Display` is exact and for the log, its [`Reply`] is for the peer and tells a stranger
//! no more than he needs.
//!
//! Invariants: a reply of [`Verdict::Refuse`] begins with 5, of [`Verdict::Defer`] with 4, and so do their enhanced codes.
//! Not here: other protocols' words for it (the desks).

use std::time::Duration;

use directory::Loop;

use crate::origin::Origin;

/// What a judgement comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Go on.
    Accept,
    /// No, and trying again does not help.
    Refuse {
        /// Why.
        reason: Reason,
    },
    /// Not now.
    Defer {
        /// Why.
        reason: Reason,
    },
}

/// Why something is refused or deferred. Prints exactly, for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The domain is not ours, and the client is neither logged in nor trusted.
    #[error("relaying denied: the domain is not ours, and the client is neither logged in nor in a trusted network")]
    RelayDenied,
    /// Mail is submitted without login.
    #[error("not logged in")]
    LoginNeeded,
    /// Nobody has the address.
    #[error("nobody has this address")]
    UnknownRecipient,
    /// Its account or domain is disabled.
    #[error("the account or its domain is disabled")]
    DisabledRecipient,
    /// Its aliases do not end.
    #[error("the address leads nowhere: {0}")]
    AliasLoop(Loop),
    /// The account may not write as this address.
    #[error("the account may not send as <{address}>")]
    SenderNotYours {
        /// As the client gave it.
        address: String,
    },
    /// The message has been everywhere.
    #[error("a loop: the message has {received} Received fields")]
    TooManyHops {
        /// How many it has.
        received: usize,
    },
    /// The account sends more messages, or to more recipients, than it may.
    #[error("the account may send no more {what} for {} s", wait.as_secs())]
    SendsTooMuch {
        /// `messages this hour`, `recipients today` and so on.
        what: &'static str,
        /// How long until the next one.
        wait: Duration,
    },
    /// Too many logins failed from here.
    #[error("logins from {origin} wait {} s, after {failures} failures", wait.as_secs())]
    LoginThrottled {
        /// Where from.
        origin: Origin,
        /// How many in a row.
        failures: u32,
        /// How long until the next is heard.
        wait: Duration,
    },
    /// The address is on the ban list.
    #[error("{origin} is banned for {} s more", wait.as_secs())]
    Banned {
        /// Where from.
        origin: Origin,
        /// How long.
        wait: Duration,
    },
    /// The address holds too many connections.
    #[error("{origin} holds {held} connections already")]
    TooManyConnections {
        /// Where from.
        origin: Origin,
        /// How many.
        held: u32,
    },
    /// We hold as many connections as we may.
    #[error("all {held} connections are taken")]
    HouseFull {
        /// How many.
        held: u32,
    },
}

/// A reason in the words of SMTP. Other protocols take the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// RFC 5321 §4.2.
    pub code: u16,
    /// RFC 3463 §3, such as `5.7.1`.
    pub enhanced: &'static str,
    /// One line of ASCII for people.
    pub text: String,
}

impl Reason {
    /// What the peer is told.
    pub fn reply(&self) -> Reply {
        let (code, enhanced, text) = match self {
            Reason::RelayDenied => (550, "5.7.1", "We do not relay: log in, or send to domains of ours"),
            Reason::LoginNeeded => (530, "5.7.0", "Log in first"),
            Reason::UnknownRecipient => (550, "5.1.1", "Nobody has this address here"),
            Reason::DisabledRecipient => (550, "5.2.1", "This mailbox takes no mail"),
            Reason::AliasLoop(_) => (550, "5.4.6", "This address leads nowhere but to itself"),
            Reason::SenderNotYours { .. } => (553, "5.7.1", "This sender address does not belong to your login"),
            Reason::TooManyHops { .. } => (554, "5.4.6", "Too many hops: this message goes in circles"),
            Reason::SendsTooMuch { what, wait } => {
                return reply(450, "4.7.1", format!("Too many {what}: try again {}", in_words(*wait)));
            }
            Reason::LoginThrottled { wait, .. } => {
                return reply(454, "4.7.0", format!("Too many failed logins: try again {}", in_words(*wait)));
            }
            // A ban may hit a neighbour who brings honest mail: a 4 lets that mail wait, a 5 would bounce it.
            Reason::Banned { .. } => (421, "4.7.0", "Too many failures from your address: come back later"),
            Reason::TooManyConnections { .. } => (421, "4.7.0", "Too many connections from your address"),
            Reason::HouseFull { .. } => (421, "4.3.2", "Too many connections: come back later"),
        };
        reply(code, enhanced, text.to_owned())
    }

    /// Whether trying again is of no use.
    pub fn is_permanent(&self) -> bool {
        self.reply().code >= 500
    }
}

impl From<Reason> for Verdict {
    fn from(reason: Reason) -> Self {
        if reason.is_permanent() { Verdict::Refuse { reason } } else { Verdict::Defer { reason } }
    }
}

impl From<Result<(), Reason>> for Verdict {
    fn from(result: Result<(), Reason>) -> Self {
        result.map_or_else(Verdict::from, |()| Verdict::Accept)
    }
}

impl Verdict {
    /// Whether it is [`Verdict::Accept`].
    pub fn is_accept(&self) -> bool {
        *self == Verdict::Accept
    }

    /// Why not, if not.
    pub fn reason(&self) -> Option<&Reason> {
        match self {
            Verdict::Accept => None,
            Verdict::Refuse { reason } | Verdict::Defer { reason } => Some(reason),
        }
    }
}

fn reply(code: u16, enhanced: &'static str, text: String) -> Reply {
    Reply { code, enhanced, text }
}

/// Rounded up, so that whoever comes back then is heard.
fn in_words(wait: Duration) -> String {
    let secs = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    match secs {
        0..=1 => "in a second".to_owned(),
        2..=120 => format!("in {secs} seconds"),
        _ => format!("in {} minutes", secs.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons() -> Vec<Reason> {
        let (origin, wait) = (Origin::of("192.0.2.1".parse().expect("an address")), Duration::from_millis(90_001));
        vec![
            Reason::RelayDenied,
            Reason::LoginNeeded,
            Reason::UnknownRecipient,
            Reason::DisabledRecipient,
            Reason::AliasLoop(Loop::Circle),
            Reason::SenderNotYours { address: "président@example.org\r\n250 OK".into() },
            Reason::TooManyHops { received: 101 },
            Reason::SendsTooMuch { what: "messages this hour", wait },
            Reason::LoginThrottled { origin, failures: 10, wait },
            Reason::Banned { origin, wait },
            Reason::TooManyConnections { origin, held: 50 },
            Reason::HouseFull { held: 10_000 },
        ]
    }

    #[test]
    fn code_enhanced_code_and_verdict_agree_and_the_text_is_one_plain_line() {
        for reason in reasons() {
            let reply = reason.reply();
            assert_eq!(reply.code / 100, u16::from(reply.enhanced.as_bytes()[0] - b'0'), "{reason}");
            assert!(reply.text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{reason}");
            match Verdict::from(reason.clone()) {
                Verdict::Refuse { .. } => assert_eq!(reply.code / 100, 5, "{reason}"),
                Verdict::Defer { .. } => assert_eq!(reply.code / 100, 4, "{reason}"),
                Verdict::Accept => panic!("{reason} is no reason to accept"),
            }
        }
    }

    #[test]
    fn a_wait_is_told_in_words_and_never_too_short() {
        let cases = [(0, "in a second"), (1_001, "in 2 seconds"), (90_001, "in 91 seconds"), (120_001, "in 3 minutes")];
        for (millis, words) in cases {
            assert_eq!(in_words(Duration::from_millis(millis)), words);
        }
    }
}

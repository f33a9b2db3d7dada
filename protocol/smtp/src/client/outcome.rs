//! What became of a mail, or of a conversation, and why.
//!
//! RFC 5321 §4.2.1 (digits), §4.5.3.1.10 (552 for too many recipients), §6.1 (who is responsible); RFC 3463 (status
//! codes, for reports); RFC 7504 (521).
//!
//! Not here: when to try again, what a report to the sender looks like (courier).

use crate::reply::{EnhancedCode, Reply};
use sasl::client::Failure;
use std::fmt;

/// What became of a mail for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The server is responsible now, and said this.
    Delivered(Reply),
    /// Try again later.
    Deferred(Trouble),
    /// Never.
    Failed(Trouble),
}

/// What went wrong, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// When.
    pub stage: Stage,
    /// What.
    pub cause: Cause,
}

/// How far the conversation had come: what the other side owed us when it went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The greeting.
    Greeting,
    /// The answer to EHLO or HELO.
    Hello,
    /// TLS.
    StartTls,
    /// The answer to AUTH.
    Login,
    /// The answer to MAIL.
    Mail,
    /// The answer to RCPT.
    Rcpt,
    /// The answer to DATA.
    Data,
    /// Patience, while we sent content.
    Content,
    /// The answer to the final dot. What it would have been, nobody knows.
    Verdict,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The server said no, or something unfitting.
    Reply(Reply),
    /// It said nothing for too long.
    Timeout,
    /// The connection broke.
    Dropped,
    /// It said something that is not SMTP.
    Garbled,
    /// It offers no TLS, and we insist.
    NoTls,
    /// It offers no way to log in that we may use.
    NoMechanism,
    /// The exchange failed on our side.
    Login(Failure),
    /// It does not take UTF-8 in addresses or header.
    NoSmtpUtf8,
    /// It takes no more than so many octets.
    TooLarge {
        /// What it said of SIZE.
        size_max: u64,
    },
    /// We could not read our own message.
    Unreadable,
    /// Our own house is closing.
    Leaving,
}

impl Trouble {
    pub(super) fn new(stage: Stage, cause: Cause) -> Self {
        Trouble { stage, cause }
    }

    /// Whether another attempt at this server makes no sense. With a wrong password, without TLS, or in case of
    /// doubt, it does: somebody may mend it.
    pub fn is_permanent(&self) -> bool {
        match (&self.cause, self.stage) {
            (_, Stage::StartTls | Stage::Login) => false,
            (Cause::Reply(reply), Stage::Rcpt) => reply.is_permanent() && !says_too_many(reply),
            (Cause::Reply(reply), _) => reply.is_permanent(),
            (Cause::NoSmtpUtf8 | Cause::TooLarge { .. }, _) => true,
            _ => false,
        }
    }

    /// What the server said, if it did.
    pub fn reply(&self) -> Option<&Reply> {
        match &self.cause {
            Cause::Reply(reply) => Some(reply),
            _ => None,
        }
    }

    /// The status code for a report.
    pub fn status(&self) -> EnhancedCode {
        let class = if self.is_permanent() { 5 } else { 4 };
        let (subject, detail) = match &self.cause {
            Cause::Reply(reply) => match reply.enhanced() {
                Some(code) => (code.subject, code.detail),
                None => self.unsaid(),
            },
            Cause::Timeout | Cause::Dropped if self.stage == Stage::Greeting => (4, 1),
            Cause::Timeout | Cause::Dropped => (4, 2),
            Cause::Garbled => (5, 0),
            Cause::NoTls => (7, 10),
            Cause::NoMechanism | Cause::Login(_) => (7, 0),
            Cause::NoSmtpUtf8 => (6, 7),
            Cause::TooLarge { .. } => (3, 4),
            Cause::Unreadable | Cause::Leaving => (3, 0),
        };
        EnhancedCode::new(class, subject, detail)
    }

    /// What a reply without enhanced code is about, going by when it came (RFC 3463 §3).
    fn unsaid(&self) -> (u16, u16) {
        match self.stage {
            Stage::Mail => (1, 0),
            Stage::Rcpt => (1, 0),
            Stage::StartTls | Stage::Login => (7, 0),
            Stage::Greeting | Stage::Hello => (3, 2),
            Stage::Data | Stage::Content | Stage::Verdict => (0, 0),
        }
    }

    /// By how it answers, becomes an outcome.
    pub(super) fn outcome(self) -> Outcome {
        if self.is_permanent() { Outcome::Failed(self) } else { Outcome::Deferred(self) }
    }
}

/// RFC 5321 §4.5.3.1.10: 452, and from old servers 552, without a better explanation: too many recipients.
pub(super) fn says_too_many(reply: &Reply) -> bool {
    let explained = reply.enhanced().is_some_and(|code| (code.subject, code.detail) != (5, 3));
    matches!(reply.code(), 452 | 552) && !explained
}

impl fmt::Display for Trouble {
    /// For logs and reports: a sentence without full stop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Reply(reply) => write!(f, "{}: {reply}", self.stage),
            Cause::Timeout => write!(f, "{}: no answer in time", self.stage),
            Cause::Dropped => write!(f, "{}: the connection broke", self.stage),
            Cause::Garbled => write!(f, "{}: the answer was not SMTP", self.stage),
            Cause::NoTls => f.write_str("the server offers no TLS, which is required"),
            Cause::NoMechanism => f.write_str("the server offers no way to log in that may be used here"),
            Cause::Login(failure) => write!(f, "{}: {}", self.stage, why(failure)),
            Cause::NoSmtpUtf8 => f.write_str("the server does not take addresses or header fields in UTF-8"),
            Cause::TooLarge { size_max } => write!(f, "the server takes at most {size_max} octets"),
            Cause::Unreadable => f.write_str("the message could not be read from our own store"),
            Cause::Leaving => f.write_str("we were closing ourselves"),
        }
    }
}

fn why(failure: &Failure) -> String {
    match failure {
        Failure::Unsendable => "the login or the password cannot be sent this way".into(),
        Failure::ChannelBinding => "the TLS channel has nothing to bind to".into(),
        Failure::Malformed => "the server's challenge makes no sense".into(),
        Failure::Iterations(count) => format!("the server asks for {count} iterations"),
        Failure::Untrusted => "the server did not prove that it knows the password".into(),
        Failure::Refused(reason) => format!("the server refused: {reason}"),
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Greeting => "greeting",
            Stage::Hello => "EHLO",
            Stage::StartTls => "STARTTLS",
            Stage::Login => "AUTH",
            Stage::Mail => "MAIL",
            Stage::Rcpt => "RCPT",
            Stage::Data => "DATA",
            Stage::Content => "content",
            Stage::Verdict => "final dot",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(stage: Stage, code: u16, enhanced: Option<(u16, u16)>) -> (bool, String) {
        let class = u8::try_from(code / 100).expect("a digit");
        let enhanced = enhanced.map(|(subject, detail)| EnhancedCode::new(class, subject, detail));
        let trouble = Trouble::new(stage, Cause::Reply(Reply::new(code, enhanced, "no")));
        (trouble.is_permanent(), trouble.status().to_string())
    }

    #[test]
    fn the_first_digit_decides_but_for_a_few() {
        assert_eq!(at(Stage::Rcpt, 550, Some((1, 1))), (true, "5.1.1".into()));
        assert_eq!(at(Stage::Rcpt, 450, None), (false, "4.1.0".into()));
        assert_eq!(at(Stage::Rcpt, 552, None), (false, "4.1.0".into()));
        assert_eq!(at(Stage::Rcpt, 552, Some((5, 3))), (false, "4.5.3".into()));
        assert_eq!(at(Stage::Rcpt, 552, Some((2, 2))), (true, "5.2.2".into()));
        assert_eq!(at(Stage::Verdict, 552, None), (true, "5.0.0".into()));
        assert_eq!(at(Stage::Greeting, 521, None), (true, "5.3.2".into()));
        assert_eq!(at(Stage::Login, 535, Some((7, 8))), (false, "4.7.8".into()));
        assert_eq!(at(Stage::Verdict, 354, None), (false, "4.0.0".into()));
    }
}

//! Why the house says no, and how a transfer ends: one table from reasons to replies.
//!
//! RFC 959 §4.2.2 and §5.4 (450, 451, 452, 550, 552, 553; behind 150: 226, 425, 426, 451, 552); RFC 1123 §4.1.2.11
//! (4yz where a later try may succeed); RFC 4217 §10.2 (522); draft-bryan-ftpext-hash-02 §3.5 (556). 554 is what servers
//! say to a restart that cannot be; no RFC has it.
//!
//! What the client reads is generic; what the log reads, the house has written already.
//!
//! Not here: refusals that need no house (words).

use crate::reply::Reply;
use crate::words;
use std::time::Duration;

/// Why the house does not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is nothing of that name, or the user may not know of it.
    NotFound,
    /// The user may not do that there.
    NotPermitted,
    /// Wanted: anything but a directory.
    IsADirectory,
    /// Wanted: a directory.
    NotADirectory,
    /// Wanted: a file with content, not a device or a link into nowhere.
    NotAFile,
    /// There is something of that name already.
    Exists,
    /// A directory with something in it is not removed.
    NotEmpty,
    /// No file may have this name.
    NameNotAllowed,
    /// The user's own space is used up.
    Quota,
    /// A single file may not be that long.
    TooLarge,
    /// The disk is full.
    Full,
    /// The offset lies beyond the end of the file.
    BadOffset,
    /// Someone else is at it; later perhaps.
    Busy,
    /// An upload of the user's to that name broke off, and what came of it is in the way.
    Interrupted {
        /// Octets that came.
        kept: u64,
    },
    /// No more of these at once for this user, or for this address.
    TooMany,
    /// The file system cannot do that.
    Unsupported,
    /// A directory does not go into one of its own.
    IntoItself,
    /// The two names lie in two spaces, and nothing is moved between those.
    OtherSpace,
    /// The user may not be here any more: the session ends.
    Dismissed,
    /// It would cost more than the operator allows.
    TooCostly,
    /// The world has failed: the log knows how.
    LocalError,
}

impl Refusal {
    /// What the client is told, where the command has no word of its own for it.
    pub fn reply(self) -> Reply {
        let (code, text) = match self {
            Refusal::NotFound => (550, "No such file or directory."),
            Refusal::NotPermitted => (550, "Permission denied."),
            Refusal::IsADirectory => (550, "It is a directory."),
            Refusal::NotADirectory => (550, "Not a directory."),
            Refusal::NotAFile => (550, "Not a file."),
            Refusal::Exists => (550, "There is something of that name."),
            Refusal::NotEmpty => (550, "The directory is not empty."),
            Refusal::NameNotAllowed => (553, "No file may have that name."),
            Refusal::Quota => (552, "Quota exceeded."),
            Refusal::TooLarge => (552, "The file is too large."),
            Refusal::Full => (452, "The disk is full."),
            Refusal::BadOffset => (554, "The offset lies beyond the end of the file."),
            Refusal::Busy => (450, "In use. Try again later."),
            Refusal::Interrupted { kept } => {
                let text =
                    format!("An upload of it broke off after {kept} octets: go on there by REST, or STOR it anew.");
                return Reply::new(550, text);
            }
            Refusal::TooMany => (450, "Too many transfers at once. Try again later."),
            Refusal::Unsupported => (504, "Not possible on this file system."),
            Refusal::IntoItself => (553, "A directory cannot go into itself."),
            Refusal::OtherSpace => (504, "It is in another space: fetch it, and store it there."),
            Refusal::Dismissed => return words::DISMISSED.clone(),
            Refusal::TooCostly => (556, "The file is too large for that."),
            Refusal::LocalError => (451, "Local error."),
        };
        Reply::fixed(code, text)
    }
}

/// How what was begun has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All was sent; or all was received and is on disk under its name.
    Completed {
        /// Octets on the data connection, before MODE Z and TLS.
        octets: u64,
    },
    /// The hash was counted.
    Digested(Digest),
    /// The parts are in the whole, which is on disk, and gone.
    Combined,
    /// It was ended by ABOR.
    Aborted,
    /// Nobody came to the port, or nobody answered at the address.
    NotConnected,
    /// Someone else came than the client (RFC 2577 §4).
    WrongPeer,
    /// The data connection broke.
    Broken,
    /// The client ended an upload under TLS without saying so: perhaps someone else did.
    Truncated,
    /// MODE Z was agreed, and what came is no zlib stream, or not a whole one.
    Garbled,
    /// Nothing moved for so long.
    Stalled(Duration),
    /// No TLS on the data connection.
    TlsFailed,
    /// TLS, but not a resumption of the control connection's: perhaps another client.
    TlsNotResumed,
    /// The house could not go on.
    Refused(Refusal),
}

/// A hash of a stretch of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// The hash.
    pub octets: Vec<u8>,
    /// The first octet counted.
    pub from: u64,
    /// The first octet not counted.
    pub until: u64,
}

impl Outcome {
    /// The reply that ends it.
    pub fn reply(&self) -> Reply {
        let (code, text) = match self {
            Outcome::Completed { .. } => (226, "Transfer complete."),
            Outcome::Digested(_) | Outcome::Combined => (250, "Done."),
            Outcome::Aborted => (426, "Connection closed; transfer aborted."),
            Outcome::NotConnected => (425, "Can't open data connection."),
            Outcome::WrongPeer => (425, "The data connection came from elsewhere."),
            Outcome::Broken => (426, "Data connection broken; transfer aborted."),
            Outcome::Truncated => (426, "TLS was not closed properly; the file is not taken as whole."),
            Outcome::Garbled => (426, "Not a whole zlib stream; transfer aborted."),
            Outcome::Stalled(_) => (426, "Data connection stalled; transfer aborted."),
            Outcome::TlsFailed => (522, "TLS failed on the data connection."),
            Outcome::TlsNotResumed => {
                (522, "The data connection must resume the TLS session of the control connection.")
            }
            Outcome::Refused(refusal) => return refusal.reply(),
        };
        Reply::fixed(code, text)
    }

    /// Whether it was done as asked.
    pub fn is_success(&self) -> bool {
        matches!(self, Outcome::Completed { .. } | Outcome::Digested(_) | Outcome::Combined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_textbook() {
        for (refusal, code) in [
            (Refusal::NotFound, 550),
            (Refusal::NameNotAllowed, 553),
            (Refusal::Quota, 552),
            (Refusal::Full, 452),
            (Refusal::BadOffset, 554),
            (Refusal::Busy, 450),
            (Refusal::Interrupted { kept: 1 }, 550),
            (Refusal::LocalError, 451),
        ] {
            assert_eq!(refusal.reply().code(), code);
            assert_eq!(Outcome::Refused(refusal).reply().code(), code);
        }
        for (outcome, code) in [
            (Outcome::Completed { octets: 1 }, 226),
            (Outcome::Aborted, 426),
            (Outcome::NotConnected, 425),
            (Outcome::WrongPeer, 425),
            (Outcome::Broken, 426),
            (Outcome::Truncated, 426),
            (Outcome::Garbled, 426),
            (Outcome::Stalled(Duration::from_secs(1)), 426),
            (Outcome::TlsFailed, 522),
            (Outcome::TlsNotResumed, 522),
        ] {
            assert_eq!(outcome.reply().code(), code);
            assert_eq!(outcome.is_success(), code == 226);
        }
    }
}

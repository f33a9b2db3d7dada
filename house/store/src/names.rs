//! The names things go by here: numbers with a type, so that a UID is never taken for a mailbox, and names of mailboxes.
//!
//! RFC 9051 §5.1 (mailbox naming), RFC 5198 §2 (text that may stand in a line).
//!
//! Invariants: account, mailbox, email, mail, recipient and body numbers are never used twice, also after a removal.
//! Not here: who hands them out (index).

use std::fmt;

use crate::index::INBOX;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(out)
            }
        }
    };
}

number!(
    /// An account: somebody who keeps mail here.
    AccountId(i64)
);
number!(
    /// A mailbox of one account.
    MailboxId(i64)
);
number!(
    /// A message in one mailbox: 1 and up, growing, never used twice under one UIDVALIDITY (RFC 9051 §2.3.1.1).
    Uid(u32)
);
number!(
    /// When something last changed, counted by the account: 1 and up, never going back (RFC 7162 §3).
    ModSeq(i64)
);
number!(
    /// A message of an account, wherever it is: copies and moved messages keep it (RFC 8474 §5.1; JMAP's Email).
    EmailId(i64)
);
number!(
    /// A discussion of an account: named after the first email that was known of it (RFC 8474 §5.2; JMAP's Thread).
    ThreadId(i64)
);
number!(
    /// A message with an envelope in the outgoing queue.
    MailId(i64)
);
number!(
    /// One recipient of one queued mail.
    RecipientId(i64)
);
number!(
    /// The octets of one message, shared by all its placements and queue rows; also its place in the order of writing.
    BodyId(i64)
);

/// The longest name of a mailbox, in octets: what a directory in a file system may have, with room for levels.
pub const MAILBOX_NAME_MAX: usize = 1000;

/// How deep mailboxes are nested at most.
pub const MAILBOX_LEVELS_MAX: usize = 30;

/// Divides the levels of a mailbox's name.
pub const SEPARATOR: char = '/';

/// A name that a mailbox may have: levels with a `/` between them, none empty; UTF-8 without control characters, without the
/// wildcards `*` and `%`, at most [`MAILBOX_NAME_MAX`] octets. The level at the top that is INBOX in any case is `INBOX`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MailboxName(String);

impl MailboxName {
    /// Reads a name; the error says what is wrong with it.
    pub fn parse(name: &str) -> Result<MailboxName, &'static str> {
        let is_unfit = |c: char| c.is_control() || matches!(c, '*' | '%' | '\u{2028}' | '\u{2029}');
        if name.is_empty() || name.split(SEPARATOR).any(str::is_empty) {
            return Err("a level of the mailbox's name is empty");
        }
        if name.len() > MAILBOX_NAME_MAX {
            return Err("the mailbox's name is too long");
        }
        if name.split(SEPARATOR).count() > MAILBOX_LEVELS_MAX {
            return Err("the mailbox would be nested too deeply");
        }
        if name.contains(is_unfit) {
            return Err("the mailbox's name has a control character or a wildcard in it");
        }
        let (top, below) = name.split_at(name.find(SEPARATOR).unwrap_or(name.len()));
        match top.eq_ignore_ascii_case(INBOX) {
            true => Ok(MailboxName(format!("{INBOX}{below}"))),
            false => Ok(MailboxName(name.into())),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether mail arrives there.
    pub fn is_inbox(&self) -> bool {
        self.0 == INBOX
    }

    /// The names above it, from the top.
    pub fn above(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices(SEPARATOR).map(|(at, _)| &self.0[..at])
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_mailboxes_have_levels() {
        let name = MailboxName::parse("a/b/c").unwrap();
        assert_eq!(name.above().collect::<Vec<_>>(), ["a", "a/b"]);
        assert_eq!(MailboxName::parse("inBox").unwrap().as_str(), "INBOX");
        assert_eq!(MailboxName::parse("inbox/Inbox").unwrap().as_str(), "INBOX/Inbox");
        assert_eq!(MailboxName::parse("inboxes").unwrap().as_str(), "inboxes");
        assert!(MailboxName::parse("R\u{e4}tsel & Co").is_ok());
        for wrong in ["", "/", "/a", "a/", "a//b", "a\n", "a*", "%", &"x".repeat(1001), &["x"; 31].join("/")] {
            assert!(MailboxName::parse(wrong).is_err(), "{wrong}");
        }
    }
}

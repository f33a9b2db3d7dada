//! The names things go by here: numbers with a type, so that a UID is never taken for a mailbox.
//!
//! Invariants: account, mailbox, mail, recipient and body numbers are never used twice, also after a removal.
//! Not here: who hands them out (index).

use std::fmt;

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

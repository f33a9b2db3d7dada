//! What has changed, told to whoever listens.
//!
//! Invariants: a change is published after its commit is durable, in commit order, by the index thread alone.
//! Not here: who listens (idling sessions, the courier, the directory's cache). A listener that falls behind by more
//! than [`FEED_MAX`] changes is told so by its receiver and must look at the store itself.

use crate::names::{AccountId, MailboxId, ModSeq, Uid};

/// How many changes are kept for slow listeners.
pub const FEED_MAX: usize = 4096;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A message was placed.
    Placed {
        /// Whose.
        account: AccountId,
        /// Where.
        mailbox: MailboxId,
        /// As which.
        uid: Uid,
        /// The change's number.
        modseq: ModSeq,
    },
    /// Messages were removed.
    Expunged {
        /// Whose.
        account: AccountId,
        /// Where.
        mailbox: MailboxId,
        /// Which, ascending.
        uids: Vec<Uid>,
        /// The change's number.
        modseq: ModSeq,
    },
    /// Something entered the queue, left it, or is due at another time.
    QueueChanged,
    /// An account was made, changed or removed, or an entry of the directory was.
    DirectoryChanged,
}

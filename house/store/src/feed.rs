//! What has changed, told to whoever listens.
//!
//! Invariants: a change is published after its commit is durable, in commit order, by the committer alone.
//! Not here: who listens (idling sessions, the courier, the directory's cache). A listener that falls behind by more
//! than [`FEED_MAX`] changes is told so by its receiver and must look at the store itself.

use std::sync::Arc;

use crate::names::{AccountId, MailboxId, ModSeq, Uid};
use crate::op::Flags;

/// How many changes are kept for slow listeners.
pub const FEED_MAX: usize = 4096;

/// One change. Lists are shared, because many listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Messages were placed, copied or moved there.
    Placed {
        /// Whose.
        account: AccountId,
        /// Where.
        mailbox: MailboxId,
        /// The change's number.
        modseq: ModSeq,
        /// Which, by ascending UID.
        messages: Arc<[Arrival]>,
    },
    /// Messages have other flags.
    FlagsSet {
        /// Whose.
        account: AccountId,
        /// Where.
        mailbox: MailboxId,
        /// The change's number.
        modseq: ModSeq,
        /// Which, by ascending UID, and their flags now.
        messages: Arc<[(Uid, Flags)]>,
    },
    /// Messages were removed or moved away.
    Expunged {
        /// Whose.
        account: AccountId,
        /// Where.
        mailbox: MailboxId,
        /// The change's number.
        modseq: ModSeq,
        /// Which, ascending.
        uids: Arc<[Uid]>,
    },
    /// Mailboxes of an account were made, removed, renamed, subscribed, annotated or shared.
    Mailboxes {
        /// Whose.
        account: AccountId,
        /// What happened, in order.
        what: Arc<[MailboxChange]>,
    },
    /// Something entered the queue, left it, or is due at another time.
    QueueChanged,
    /// An account was made, changed or removed, or an entry of the directory was.
    DirectoryChanged,
}

impl Change {
    /// Whose messages or mailboxes it is about.
    pub fn account(&self) -> Option<AccountId> {
        match self {
            Change::Placed { account, .. }
            | Change::FlagsSet { account, .. }
            | Change::Expunged { account, .. }
            | Change::Mailboxes { account, .. } => Some(*account),
            Change::QueueChanged | Change::DirectoryChanged => None,
        }
    }
}

/// A message that came into a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Its UID there.
    pub uid: Uid,
    /// Octets.
    pub size: u64,
    /// When it arrived, Unix seconds.
    pub received_at: i64,
    /// Its flags.
    pub flags: Flags,
}

/// What happened to a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailboxChange {
    /// It was made.
    Created {
        /// Its number.
        mailbox: MailboxId,
        /// Its name.
        name: String,
    },
    /// It is gone.
    Deleted {
        /// Its number.
        mailbox: MailboxId,
        /// Its name.
        name: String,
    },
    /// It has another name.
    Renamed {
        /// Its number.
        mailbox: MailboxId,
        /// Its name before.
        source: String,
        /// Its name now.
        target: String,
    },
    /// It is for something else.
    Used {
        /// Its number.
        mailbox: MailboxId,
        /// Its name.
        name: String,
    },
    /// A name was subscribed.
    Subscribed(String),
    /// A name is not subscribed any more.
    Unsubscribed(String),
    /// Annotations were changed.
    Annotated {
        /// The mailbox's number; `None` is the account.
        mailbox: Option<MailboxId>,
        /// The names of the annotations.
        entries: Vec<String>,
    },
    /// Somebody may do other things.
    Shared {
        /// The mailbox's number.
        mailbox: MailboxId,
        /// Who.
        who: String,
    },
}

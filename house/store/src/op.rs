//! What can be asked of the store, as values: a commit is a list of orders and at most one body.
//!
//! All orders of a commit happen, or none. Accepting a message is one commit: a [`Op::Place`] for each local
//! recipient and an [`Op::Enqueue`] for the remote ones, one body shared by all.
//!
//! Not here: how an order is carried out (index), how it becomes durable (writer).

use crate::draft::Draft;
use crate::names::{AccountId, MailId, MailboxId, ModSeq, RecipientId, Uid};
use crate::queue::{QueueScope, QueuedMail};

/// Orders that succeed or fail together.
#[derive(Debug, Default)]
pub struct Commit {
    /// Carried out in this order.
    pub ops: Vec<Op>,
    /// The message that `Place` and `Enqueue` are about.
    pub body: Option<Body>,
}

impl Commit {
    /// A commit without a message.
    pub fn of(ops: Vec<Op>) -> Commit {
        Commit { ops, body: None }
    }

    /// A commit about one message.
    pub fn with_body(ops: Vec<Op>, head: Vec<u8>, draft: Draft) -> Commit {
        Commit { ops, body: Some(Body { head, draft }) }
    }
}

/// The octets of a message: what we put in front, and what was received.
#[derive(Debug)]
pub struct Body {
    /// Put in front of the content, the same for everybody (Received and the like). At most [`HEAD_MAX`] octets.
    pub head: Vec<u8>,
    /// The content as received.
    pub draft: Draft,
}

/// The longest [`Body::head`] in octets. A spilled draft keeps this much room in front of itself, as a hole in a file
/// that costs no disk; trace fields, authentication results and signatures need a few KiB.
pub const HEAD_MAX: usize = 60 * 1024;

/// One order.
#[derive(Debug, Clone)]
pub enum Op {
    /// Makes an account with INBOX, Drafts, Sent, Junk, Trash and Archive. Gives [`Outcome::Account`].
    CreateAccount {
        /// Unique among accounts, compared octet by octet.
        name: String,
        /// What the directory keeps about it; opaque here.
        record: String,
    },
    /// Changes an account's name and record.
    UpdateAccount {
        /// Which.
        account: AccountId,
        /// The new name.
        name: String,
        /// The new record.
        record: String,
    },
    /// Removes an account with its mailboxes and messages. Its mail in the outgoing queue stays.
    RemoveAccount {
        /// Which.
        account: AccountId,
    },
    /// Keeps an entry of the directory (a domain, an alias), replacing an older one of the same key.
    PutEntry {
        /// What sort of entry.
        kind: String,
        /// Unique within its kind.
        key: String,
        /// Opaque here.
        value: String,
    },
    /// Removes an entry of the directory.
    RemoveEntry {
        /// What sort of entry.
        kind: String,
        /// Which.
        key: String,
    },
    /// Places the commit's message in a mailbox. Gives [`Outcome::Placed`].
    Place {
        /// Whose.
        account: AccountId,
        /// Where.
        mailbox: MailboxRef,
        /// Put in front of the body for this recipient alone (Return-Path, Delivered-To). At most [`PREFIX_MAX`] octets.
        prefix: Vec<u8>,
        /// When the message arrived, Unix seconds (IMAP calls it INTERNALDATE).
        received_at: i64,
        /// With which flags it begins.
        flags: Flags,
    },
    /// Removes messages from a mailbox for good; UIDs that are not there are passed over. Gives [`Outcome::Expunged`].
    Expunge {
        /// Whose.
        account: AccountId,
        /// Where.
        mailbox: MailboxRef,
        /// Which.
        uids: Vec<Uid>,
    },
    /// Queues the commit's message for remote recipients. Gives [`Outcome::Queued`].
    Enqueue(QueuedMail),
    /// The recipient's server took the mail: the recipient leaves the queue.
    QueueDelivered {
        /// Which.
        recipient: RecipientId,
    },
    /// An attempt failed for now: the reply is remembered and the next attempt fixed.
    QueueDeferred {
        /// Which.
        recipient: RecipientId,
        /// When the attempt was made, Unix seconds.
        at: i64,
        /// When to try again, Unix seconds.
        next_attempt: i64,
        /// Whom we spoke to, if we got so far.
        host: Option<String>,
        /// What was said, or what went wrong.
        reason: String,
        /// The sender has been told of the delay (with this commit or before).
        warned: bool,
    },
    /// The recipient was refused for good, or given up: it leaves the queue. The bounce is enqueued or placed by the same commit.
    QueueFailed {
        /// Which.
        recipient: RecipientId,
    },
    /// Stops attempts until released. Gives [`Outcome::Changed`].
    QueueHold {
        /// Which.
        scope: QueueScope,
    },
    /// Ends a hold; the time of the next attempt stays as it was. Gives [`Outcome::Changed`].
    QueueRelease {
        /// Which.
        scope: QueueScope,
    },
    /// Makes recipients due at once; held ones stay held. Gives [`Outcome::Changed`].
    QueueRetryNow {
        /// Which.
        scope: QueueScope,
        /// Unix seconds: the new time of the next attempt, where that is later.
        now: i64,
    },
    /// Removes recipients without a bounce. Gives [`Outcome::Changed`].
    QueueDrop {
        /// Which.
        scope: QueueScope,
    },
}

/// The longest `prefix` of a placement in octets: it lives in the index, which is for small things.
pub const PREFIX_MAX: usize = 8 * 1024;

/// Names a mailbox of the account it is used with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailboxRef {
    /// Where mail arrives.
    Inbox,
    /// By its name; `INBOX` in any case is the inbox (RFC 9051 §5.1).
    Named(String),
    /// By its number.
    Id(MailboxId),
}

/// A message's flags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// The system flags, a union of the constants below.
    pub system: u32,
    /// Other keywords, without blanks.
    pub keywords: Vec<String>,
}

impl Flags {
    /// `\Seen`
    pub const SEEN: u32 = 1;
    /// `\Answered`
    pub const ANSWERED: u32 = 2;
    /// `\Flagged`
    pub const FLAGGED: u32 = 4;
    /// `\Deleted`
    pub const DELETED: u32 = 8;
    /// `\Draft`
    pub const DRAFT: u32 = 16;
    /// All of the above.
    pub const ALL: u32 = 31;
}

/// What a commit did: one outcome for each order, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// As long as [`Commit::ops`].
    pub outcomes: Vec<Outcome>,
}

impl Committed {
    /// The first account made.
    pub fn account(&self) -> Option<AccountId> {
        self.outcomes.iter().find_map(|outcome| match outcome {
            Outcome::Account(account) => Some(*account),
            _ => None,
        })
    }

    /// Every placement, in order.
    pub fn placed(&self) -> impl Iterator<Item = &Placed> {
        self.outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Placed(placed) => Some(placed),
            _ => None,
        })
    }

    /// The first mail queued.
    pub fn mail(&self) -> Option<MailId> {
        self.outcomes.iter().find_map(|outcome| match outcome {
            Outcome::Queued { mail, .. } => Some(*mail),
            _ => None,
        })
    }

    /// How many rows the queue's upkeep touched.
    pub fn changed(&self) -> usize {
        self.outcomes.iter().map(|outcome| if let Outcome::Changed(count) = outcome { *count } else { 0 }).sum()
    }
}

/// What one order did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done; there is nothing to say about it.
    Done,
    /// An account was made.
    Account(AccountId),
    /// A message was placed.
    Placed(Placed),
    /// Messages were removed.
    Expunged {
        /// Those that were there, ascending.
        uids: Vec<Uid>,
        /// The change's number; `None` when nothing was there.
        modseq: Option<ModSeq>,
    },
    /// A mail was queued.
    Queued {
        /// Its number.
        mail: MailId,
        /// Its recipients, in the order given.
        recipients: Vec<RecipientId>,
    },
    /// So many recipients in the queue were changed or removed.
    Changed(usize),
}

/// A message in its mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Whose.
    pub account: AccountId,
    /// Where.
    pub mailbox: MailboxId,
    /// As which.
    pub uid: Uid,
    /// The change's number.
    pub modseq: ModSeq,
}

//! What can be asked of the store, as values: a commit is a list of orders and the bodies they are about.
//!
//! All orders of a commit happen, or none. Accepting a message is one commit: a [`Op::Place`] for each local
//! recipient and an [`Op::Enqueue`] for the remote ones, one body shared by all. Several messages appended together are one
//! commit with a body for each; replacing a message is a `Place` and an `Expunge` in one commit.
//!
//! An order about many messages has one modseq for all of them. UIDs that are not there are passed over: another session
//! may have been faster.
//!
//! Not here: how an order is carried out (index), how it becomes durable (writer).

use serde::{Deserialize, Serialize};

use crate::draft::Draft;
use crate::names::{AccountId, EmailId, MailId, MailboxId, ModSeq, RecipientId, ThreadId, Uid};
use crate::queue::{QueueScope, QueuedMail};

/// Orders that succeed or fail together.
#[derive(Debug, Default)]
pub struct Commit {
    /// Carried out in this order.
    pub ops: Vec<Op>,
    /// The messages that `Place` and `Enqueue` are about; at most [`BODIES_MAX`].
    pub bodies: Vec<Body>,
}

/// How many bodies a commit may bring: as many as are appended together at most.
pub const BODIES_MAX: usize = 1000;

impl Commit {
    /// A commit without a message.
    pub fn of(ops: Vec<Op>) -> Commit {
        Commit { ops, bodies: Vec::new() }
    }

    /// A commit about one message.
    pub fn with_body(ops: Vec<Op>, head: Vec<u8>, draft: Draft) -> Commit {
        Commit { ops, bodies: vec![Body { head, draft }] }
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
    /// Makes a mailbox, and those above it that are missing. Gives [`Outcome::Mailbox`].
    CreateMailbox {
        /// Whose.
        account: AccountId,
        /// What it is called; see [`MailboxName`](crate::MailboxName).
        name: String,
        /// What it is for (RFC 6154 §2): `\\Sent` and the like. No other mailbox of the account may have the same use.
        special_use: Vec<String>,
    },
    /// Removes a mailbox with its messages, not the mailboxes below it and no subscription. INBOX stays.
    DeleteMailbox {
        /// Whose.
        account: AccountId,
        /// Which.
        mailbox: MailboxRef,
    },
    /// Gives a mailbox another name, and so those below it; missing ones above are made. INBOX stays where it is and gives its
    /// messages away (RFC 9051 §6.3.6). Gives [`Outcome::Mailbox`].
    RenameMailbox {
        /// Whose.
        account: AccountId,
        /// Which, by name: there may be mailboxes below it only.
        source: String,
        /// What it is to be called.
        target: String,
    },
    /// Says what a mailbox is for, instead of what was said before.
    SetSpecialUse {
        /// Whose.
        account: AccountId,
        /// Which.
        mailbox: MailboxRef,
        /// As in `CreateMailbox`.
        special_use: Vec<String>,
    },
    /// Remembers a name as subscribed, whether there is such a mailbox or not.
    Subscribe {
        /// Whose.
        account: AccountId,
        /// Which.
        name: String,
    },
    /// Forgets a subscription.
    Unsubscribe {
        /// Whose.
        account: AccountId,
        /// Which.
        name: String,
    },
    /// Keeps annotations (RFC 5464) of a mailbox, or of the account as a whole.
    SetMetadata {
        /// Whose.
        account: AccountId,
        /// Which; `None` is the account.
        mailbox: Option<MailboxRef>,
        /// Names (`/private/comment`, lower case) and values; `None` removes.
        entries: Vec<(String, Option<Vec<u8>>)>,
    },
    /// Keeps what somebody may do with a mailbox (RFC 4314); who may what is for the caller to judge.
    SetRights {
        /// Whose mailbox.
        account: AccountId,
        /// Which.
        mailbox: MailboxRef,
        /// Who.
        who: String,
        /// The letters; empty removes the entry.
        rights: String,
    },
    /// Changes flags. Gives [`Outcome::FlagsSet`].
    SetFlags {
        /// Whose.
        account: AccountId,
        /// Where.
        mailbox: MailboxRef,
        /// Of which messages.
        uids: Vec<Uid>,
        /// How.
        change: FlagChange,
        /// Leaves messages alone that have changed after this (RFC 7162 §3.1.3).
        unchanged_since: Option<ModSeq>,
    },
    /// Copies messages, with their flags and dates. Gives [`Outcome::Copied`].
    Copy {
        /// Whose.
        account: AccountId,
        /// From where.
        source: MailboxRef,
        /// Which.
        uids: Vec<Uid>,
        /// Whose the target is.
        owner: AccountId,
        /// Where to.
        target: MailboxRef,
        /// Which flags go along.
        kept: FlagMask,
    },
    /// Moves messages. Gives [`Outcome::Copied`].
    Move {
        /// Whose.
        account: AccountId,
        /// From where.
        source: MailboxRef,
        /// Which.
        uids: Vec<Uid>,
        /// Where to; may be the same mailbox, then they get new UIDs.
        target: MailboxRef,
    },
    /// Removes those of these messages that are `\\Deleted`. Gives [`Outcome::Expunged`].
    ExpungeDeleted {
        /// Whose.
        account: AccountId,
        /// Where.
        mailbox: MailboxRef,
        /// Which.
        uids: Vec<Uid>,
    },
    /// Places a message of the commit in a mailbox. Gives [`Outcome::Placed`].
    Place {
        /// Whose.
        account: AccountId,
        /// Where.
        mailbox: MailboxRef,
        /// Which of [`Commit::bodies`]; 0 is the first.
        body: usize,
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
    /// Queues the commit's first message for remote recipients. Gives [`Outcome::Queued`].
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

/// Some of the flags: those that somebody may change, or that a copy keeps. They stand in the journal as they are here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagMask {
    /// System flags, a union of the constants of [`Flags`].
    pub system: u32,
    /// All keywords, or none.
    pub keywords: bool,
}

impl FlagMask {
    /// All of them.
    pub const ALL: FlagMask = FlagMask { system: Flags::ALL, keywords: true };
}

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

/// A message's flags. They stand in the journal as they are here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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

    /// System flags alone.
    pub fn system(system: u32) -> Flags {
        Flags { system, keywords: Vec::new() }
    }

    /// Those of them that are meant.
    #[must_use]
    pub fn among(mut self, mask: FlagMask) -> Flags {
        self.system &= mask.system;
        self.keywords.retain(|_| mask.keywords);
        self
    }

    /// Whether it has that keyword, in whatever case.
    pub fn has_keyword(&self, keyword: &str) -> bool {
        self.keywords.iter().any(|known| known.eq_ignore_ascii_case(keyword))
    }

    /// These flags after a change. Keywords keep the spelling they were first given.
    #[must_use]
    pub fn after(&self, change: &FlagChange) -> Flags {
        let mut flags = self.clone();
        match change {
            FlagChange::Add(added) => {
                flags.system |= added.system & Flags::ALL;
                flags.add_keywords(&added.keywords);
            }
            FlagChange::Remove(removed) => {
                flags.system &= !removed.system;
                flags.keywords.retain(|keyword| !removed.has_keyword(keyword));
            }
            FlagChange::Replace(wanted) => {
                flags.system = wanted.system & Flags::ALL;
                flags.keywords.retain(|keyword| wanted.has_keyword(keyword));
                flags.add_keywords(&wanted.keywords);
            }
            FlagChange::ReplaceAmong(among, wanted) => {
                flags.system = flags.system & !among.system | wanted.system & among.system & Flags::ALL;
                if among.keywords {
                    flags.keywords.retain(|keyword| wanted.has_keyword(keyword));
                    flags.add_keywords(&wanted.keywords);
                }
            }
        }
        flags
    }

    fn add_keywords(&mut self, added: &[String]) {
        for keyword in added {
            if !self.has_keyword(keyword) {
                self.keywords.push(keyword.clone());
            }
        }
    }

    /// Keywords as a row has them.
    pub(crate) fn keywords_to_sql(&self) -> Option<String> {
        (!self.keywords.is_empty()).then(|| self.keywords.join(" "))
    }

    pub(crate) fn from_sql(system: u32, keywords: Option<&str>) -> Flags {
        Flags { system, keywords: keywords.iter().flat_map(|words| words.split(' ')).map(String::from).collect() }
    }
}

/// How flags change. It stands in the journal as it is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FlagChange {
    /// These too.
    Add(Flags),
    /// Without these.
    Remove(Flags),
    /// These and no others.
    Replace(Flags),
    /// Of the flags that are meant these and no others; the rest stay as they are.
    ReplaceAmong(FlagMask, Flags),
}

/// The longest keyword, in octets (RFC 8621 §4.1.1).
pub const KEYWORD_MAX: usize = 255;

/// How many keywords a message may have. People use a handful, programs some dozen.
pub const KEYWORDS_MAX: usize = 1000;

/// The longest value of an annotation, in octets.
pub const METADATA_VALUE_MAX: usize = 64 * 1024;

/// How many annotations a mailbox may have, and an account.
pub const METADATA_ENTRIES_MAX: usize = 200;

/// How many mailboxes an account may have.
pub const MAILBOXES_MAX: usize = 10_000;

/// How many subscriptions an account may have: some name mailboxes that are gone.
pub const SUBSCRIPTIONS_MAX: usize = 20_000;

/// How many people a mailbox may be shared with by name.
pub const RIGHTS_MAX: usize = 1000;

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

impl Committed {
    /// The first mailbox made or renamed.
    pub fn mailbox(&self) -> Option<MailboxId> {
        self.outcomes.iter().find_map(|outcome| match outcome {
            Outcome::Mailbox(mailbox) => Some(*mailbox),
            _ => None,
        })
    }
}

/// What one order did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done; there is nothing to say about it.
    Done,
    /// An account was made.
    Account(AccountId),
    /// A mailbox was made or has another name. Where INBOX gave its messages away, it is the mailbox that has them.
    Mailbox(MailboxId),
    /// Flags were changed.
    FlagsSet {
        /// Messages whose flags are other ones now, ascending.
        changed: Vec<Uid>,
        /// The change's number; `None` when nothing changed.
        modseq: Option<ModSeq>,
        /// Messages that were left alone because they had changed before, ascending.
        refused: Vec<Uid>,
    },
    /// Messages were copied or moved.
    Copied {
        /// Where to.
        mailbox: MailboxId,
        /// That mailbox's UIDVALIDITY.
        uidvalidity: u32,
        /// What each was and is now, both ascending.
        uids: Vec<(Uid, Uid)>,
        /// The change's number in both mailboxes; `None` when nothing was there.
        modseq: Option<ModSeq>,
    },
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
    /// That mailbox's UIDVALIDITY.
    pub uidvalidity: u32,
    /// As which.
    pub uid: Uid,
    /// The change's number.
    pub modseq: ModSeq,
    /// Its name among all messages of the account; copies keep it.
    pub email: EmailId,
    /// The discussion it belongs to.
    pub thread: ThreadId,
}

//! What a question may be answered, and what the session is told unasked.
//!
//! Not here: the questions, and what holds for both (ask).

#[cfg(doc)]
use super::{Ask, READ_OCTETS_WISHED};
use super::{Resource, SpecialUse};
use crate::flag::{Flags, Keyword, SystemFlags};
use crate::moment::Moment;
use crate::name::MailboxName;
use crate::set::NumberSet;
use line::Secret;

/// An answer of the house.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It is done, and where it changes anything, it is on disk.
    Done,
    /// No, and nothing was changed.
    Refused(Refusal),
    /// Not yet: so much of so much is done. [`Ask::GoOn`] follows.
    Working {
        /// How much is done.
        done: Option<u32>,
        /// Of how much.
        goal: Option<u32>,
    },
    /// To [`Ask::Auth`].
    Auth(sasl::server::Answer),
    /// To [`Ask::Mailboxes`], by name; levels between that are no mailboxes need not be among them.
    Mailboxes(Vec<Listed>),
    /// To [`Ask::Status`].
    Status(Status),
    /// To [`Ask::Select`].
    Selected(Box<Selected>),
    /// To [`Ask::Create`].
    Created {
        /// The mailbox's id (RFC 8474), which it keeps whatever its name.
        id: ObjectId,
    },
    /// To [`Ask::AppendCommit`].
    Appended {
        /// That of the mailbox.
        uidvalidity: u32,
        /// The UIDs of the messages, which are in order.
        uids: NumberSet,
    },
    /// To [`Ask::AppendPart`].
    AppendedPart {
        /// How many octets it has.
        octets: u64,
    },
    /// To [`Ask::Sync`].
    Changes(Changes),
    /// To [`Ask::Fetch`].
    Fetched(Fetched),
    /// To [`Ask::Read`]: from the front of the stretch, at least one; some [`READ_OCTETS_WISHED`] are a good number.
    Octets(Vec<u8>),
    /// To [`Ask::Read`]: so many octets, at least one, go to the client by themselves, behind what was said.
    Sent(u64),
    /// To [`Ask::Vanished`].
    Vanished(NumberSet),
    /// To [`Ask::Store`].
    Stored(Stored),
    /// To [`Ask::Copy`].
    Copied(Copied),
    /// To [`Ask::Expunge`].
    Expunged {
        /// Which are gone now.
        uids: NumberSet,
        /// The number of this change.
        modseq: u64,
    },
    /// To [`Ask::Search`].
    Found(Found),
    /// To [`Ask::SearchIn`]: what one more mailbox has. [`Ask::GoOn`] follows, if there may be more.
    FoundIn {
        /// None, if there is nothing more.
        found: Option<FoundIn>,
        /// There may be more.
        more: bool,
    },
    /// To [`Ask::AuthorizeUrls`], in their order.
    UrlTokens(Vec<Secret>),
    /// To [`Ask::FetchUrl`]: octets, a stretch, or nothing, whatever the reason.
    FetchedUrl {
        /// Itself.
        content: Content,
        /// Its octets, if they came with it.
        octets: Vec<u8>,
    },
    /// To [`Ask::Watch`]: the mailboxes there are whose messages or flags are watched.
    Watching(Vec<MailboxName>),
    /// To [`Ask::Elsewhere`].
    Elsewhere {
        /// In order.
        happened: Vec<Happening>,
        /// There is more: ask again.
        more: bool,
    },
    /// To [`Ask::Namespaces`].
    Namespaces(Namespaces),
    /// To [`Ask::Quota`], [`Ask::QuotaRoots`], [`Ask::SetQuota`].
    Quotas(Vec<QuotaRoot>),
    /// To [`Ask::Metadata`]: the entries that have a value, and those named that have none.
    Metadata(Vec<(String, Option<Vec<u8>>)>),
    /// To [`Ask::Acl`]: identifiers and their rights.
    Acl(Vec<(String, String)>),
    /// To [`Ask::GrantableRights`].
    GrantableRights {
        /// What he has in any case.
        always: String,
        /// What may be granted besides; rights in one text come and go together.
        others: Vec<String>,
    },
    /// To [`Ask::MyRights`].
    MyRights(String),
}

/// Why not. Each has its response code and its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such mailbox, or no right to know of it.
    NoSuchMailbox,
    /// There is none to append or copy to, but there could be: `[TRYCREATE]`.
    TryCreate,
    /// There is one of this name already.
    AlreadyExists,
    /// It exists, and cannot be selected.
    NoSelect,
    /// It cannot go while there are mailboxes below it.
    HasChildren,
    /// Not this one, by its nature: INBOX is not deleted.
    Cannot,
    /// The account may not.
    NoPermission,
    /// The quota would be exceeded.
    OverQuota,
    /// The message is larger than any may be.
    TooLarge,
    /// Too many mailboxes, keywords, or whatever is counted.
    Limit,
    /// The uses cannot be had: `[USEATTR]`.
    UseAttr,
    /// Messages are gone that this is about: `[EXPUNGEISSUED]`.
    ExpungeIssued,
    /// The transfer encoding of a part is not known, or broken: `[UNKNOWN-CTE]`.
    UnknownEncoding,
    /// Not now.
    Unavailable,
    /// What is on disk is damaged.
    Corrupted,
    /// No quota root of this name.
    NoSuchRoot,
    /// A metadata entry is too large; this is the largest.
    MetadataTooLarge(u64),
    /// There are too many metadata entries.
    MetadataTooMany,
    /// No private metadata here.
    MetadataNoPrivate,
    /// A sentence of the house: one line for the user.
    Policy(String),
}

/// An id of RFC 8474: 1 to 255 letters, digits, `-` and `_`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectId(String);

impl ObjectId {
    /// An id, if it may be one.
    pub fn new(id: impl Into<String>) -> Option<Self> {
        let id = id.into();
        let legal = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
        ((1..=255).contains(&id.len()) && id.bytes().all(legal)).then_some(ObjectId(id))
    }

    /// As on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A mailbox, or a name that is subscribed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: MailboxName,
    /// It can be selected. Otherwise it is a level without messages (`\Noselect`), or only a name that is subscribed to.
    pub selectable: bool,
    /// There is something of this name, selectable or not.
    pub exists: bool,
    /// The account is subscribed to it.
    pub subscribed: bool,
    /// What it is for.
    pub uses: Vec<SpecialUse>,
    /// New messages are in it since it was last looked at, if that is known without effort.
    pub marked: Option<bool>,
    /// No mailbox can be made below it.
    pub no_inferiors: bool,
}

impl Listed {
    /// A name that nothing has any more.
    pub fn nonexistent(name: MailboxName) -> Self {
        let (selectable, exists, subscribed, no_inferiors) = (false, false, false, false);
        Listed { name, selectable, exists, subscribed, uses: Vec::new(), marked: None, no_inferiors }
    }
}

/// The figures of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// How many messages.
    pub messages: u32,
    /// How many are not \Seen.
    pub unseen: u32,
    /// How many are \Deleted.
    pub deleted: u32,
    /// The UID that comes next.
    pub uidnext: u32,
    /// Without which UIDs mean nothing.
    pub uidvalidity: u32,
    /// The number of the last change.
    pub highestmodseq: u64,
    /// The sum of all sizes, if it was asked for.
    pub size: u64,
    /// The sum of the sizes of those that are \Deleted, if it was asked for.
    pub deleted_size: u64,
    /// No message may be larger, if it is another limit than everywhere.
    pub append_limit: Option<u64>,
    /// RFC 8474.
    pub id: ObjectId,
}

/// A mailbox that is selected now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// RFC 8474.
    pub id: ObjectId,
    /// Without which UIDs mean nothing.
    pub uidvalidity: u32,
    /// The UID that comes next.
    pub uidnext: u32,
    /// The number of the last change.
    pub highestmodseq: u64,
    /// All messages. A set is as large as it has holes.
    pub uids: NumberSet,
    /// The keywords in use here; the system flags need not be named.
    pub keywords: Vec<Keyword>,
    /// Which flags a client can change.
    pub permanent: Permanent,
    /// The first that is not \Seen.
    pub first_unseen: Option<u32>,
    /// It cannot be changed, also if that was not wished.
    pub read_only: bool,
}

/// What can be changed of flags. In a mailbox that is read-only nothing is, whatever this says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permanent {
    /// All flags and keywords, also new ones.
    Everything,
    /// These.
    Only {
        /// System flags.
        system: SystemFlags,
        /// Keywords, also new ones.
        keywords: bool,
    },
}

/// What has changed in the selected mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// These are gone.
    pub expunged: NumberSet,
    /// These are new, and not gone again; larger than all before.
    pub added: NumberSet,
    /// The flags of these are others now, or their change numbers; new messages need not be among them. At most some
    /// thousand at a time.
    pub flags: Vec<Flagged>,
    /// Everything that is new or has changed in the same time, also what the session did itself; may be empty behind the first
    /// of several answers.
    pub touched: NumberSet,
    /// The number of the last change that is told here.
    pub highestmodseq: u64,
    /// The UID that comes next.
    pub uidnext: u32,
    /// All keywords in use, if there are new ones.
    pub keywords: Option<Vec<Keyword>>,
    /// There is more: ask again.
    pub more: bool,
    /// The key by which URLs of this mailbox are authorized is another one now, and another session did it.
    pub url_key_reset: bool,
    /// The mailbox is gone, or is another one now; the session ends.
    pub lost: bool,
}

/// The flags of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flagged {
    /// Which message.
    pub uid: u32,
    /// Its flags.
    pub flags: Flags,
    /// The number of its last change.
    pub modseq: u64,
}

/// What was fetched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fetched {
    /// By UID, without those that are gone and those that have not changed.
    pub messages: Vec<Message>,
    /// What of all of them is sent as it is.
    pub octets: Vec<u8>,
    /// What of it came in buffers of its own.
    pub apart: Vec<Vec<u8>>,
    /// All UIDs asked for up to this one were looked at; none means all of them. At least one must be.
    pub looked_until: Option<u32>,
}

/// Some of the octets that came with an answer: what ten thousand messages say is thus in few buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Excerpt {
    start: u32,
    end: u32,
}

impl Excerpt {
    /// What stands behind the first `start` octets.
    pub fn since(start: usize, octets: &[u8]) -> Self {
        let place = |at| u32::try_from(at).unwrap_or(u32::MAX);
        Excerpt { start: place(start), end: place(octets.len()) }
    }

    /// It, if these are the octets it is of.
    pub fn of(self, octets: &[u8]) -> &[u8] {
        octets.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// What was wanted of one message. What was not asked for need not be there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// Its UID; always there.
    pub uid: u32,
    /// The number of its last change; always there.
    pub modseq: u64,
    /// Its flags; wanted also if `mark_seen`.
    pub flags: Flags,
    /// This fetch has made it \Seen: the session tells the flags even if they were not asked for.
    pub seen_now: bool,
    /// When it arrived.
    pub internal_date: Option<Moment>,
    /// Its size in octets.
    pub size: u64,
    /// Its envelope as on the wire, from `(` to `)`. Text beyond ASCII stands in literals or encoded words only, so that
    /// it is right for every client.
    pub envelope: Option<Excerpt>,
    /// BODY as on the wire, from `(` to `)`.
    pub body: Option<Excerpt>,
    /// BODYSTRUCTURE as on the wire, from `(` to `)`.
    pub body_structure: Option<Excerpt>,
    /// RFC 8474.
    pub email_id: Option<ObjectId>,
    /// RFC 8474; none is NIL.
    pub thread_id: Option<ObjectId>,
    /// When it came into this mailbox, if that is known.
    pub save_date: Option<Moment>,
    /// Its first words; none is NIL, empty is empty.
    pub preview: Option<String>,
    /// For each `Item::Section` and `Item::BinarySize`, in the order they were asked for.
    pub sections: Vec<Content>,
}

/// What a section consists of. The stretch that was asked for (`<from.length>`) is cut out already; one that begins behind
/// the end is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// These octets: for what is small.
    Octets(Excerpt),
    /// The octets of this number among those that came [apart](Fetched::apart): for what goes to the client without being copied.
    /// Each is named once.
    Apart(u32),
    /// Octets `from` until `to` of what the desk keeps open under this number, until the next question that is no
    /// [`Ask::Read`]. Its length is said before the first of them is read, so it must not change.
    Stretch {
        /// The desk's number.
        reader: u64,
        /// The first octet.
        from: u64,
        /// The first that is not wanted.
        to: u64,
    },
    /// No such part, or it cannot be had: NIL.
    Nil,
    /// BINARY: an encoding that we do not know, or that is broken. [`Refusal::UnknownEncoding`]
    UnknownEncoding,
    /// BINARY.SIZE: so many octets.
    Size(u64),
}

/// What STORE has done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stored {
    /// Every message it was about, by UID, with what it has now: also those where nothing had to be changed.
    pub flagged: Vec<Flagged>,
    /// Those left alone because they have changed since.
    pub modified: NumberSet,
    /// Those that are gone.
    pub gone: NumberSet,
    /// All keywords in use, if there are new ones.
    pub keywords: Option<Vec<Keyword>>,
}

/// What COPY or MOVE has done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Copied {
    /// That of the mailbox they are in now.
    pub uidvalidity: u32,
    /// Those that were copied; empty if all were gone.
    pub from: NumberSet,
    /// Their UIDs there, in the same order.
    pub to: NumberSet,
    /// MOVE: the number of the change here.
    pub modseq: u64,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The messages. None that the session does not know of yet; it leaves them out otherwise.
    pub hits: Hits,
    /// The highest change number among them, if it was wanted and there are any.
    pub modseq: Option<u64>,
}

/// What was found in one mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundIn {
    /// Which one.
    pub mailbox: MailboxName,
    /// Without which UIDs mean nothing.
    pub uidvalidity: u32,
    /// Not empty.
    pub uids: NumberSet,
    /// The highest change number among them, if it was wanted.
    pub modseq: Option<u64>,
}

/// Messages in some order, by UID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hits {
    /// In no other order than theirs.
    Set(NumberSet),
    /// In the order that was asked for.
    Sorted(Vec<u32>),
    /// Threads, as a walk through the forest: each message before those below it.
    Threads(Vec<ThreadNode>),
}

/// One message in its thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadNode {
    /// How many stand above it; 0 begins a thread. At most one more than that of the node before.
    pub depth: u32,
    /// None for a message that is not here but has answers here.
    pub uid: Option<u32>,
}

/// Where mailboxes are whose.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Namespaces {
    /// The prefixes of one's own; usually the empty one.
    pub personal: Vec<String>,
    /// Of others.
    pub others: Vec<String>,
    /// Of all.
    pub shared: Vec<String>,
}

/// A quota root and what it limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaRoot {
    /// Its name.
    pub name: String,
    /// Resource, usage, limit.
    pub resources: Vec<(Resource, u64, u64)>,
}

/// What has happened elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// Messages came or went, or only flags are others.
    Messages {
        /// Where.
        mailbox: MailboxName,
        /// What is true now.
        status: Status,
        /// Only flags.
        flags_only: bool,
    },
    /// A name was made, removed, renamed, subscribed to, or not any more.
    Name {
        /// What is true now.
        listed: Listed,
        /// Whether there is something below it.
        has_children: bool,
        /// What it was before, if it was renamed.
        old: Option<MailboxName>,
    },
    /// Annotations are others.
    Metadata {
        /// Of the server, if of no mailbox.
        mailbox: Option<MailboxName>,
        /// Which.
        entries: Vec<String>,
    },
    /// Too much has happened: nothing is watched any more.
    Overflow,
}

/// What the session is told unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// The selected mailbox has changed: ask [`Ask::Sync`] when it suits. Told once until then.
    Changed,
    /// Something that is watched has happened in another mailbox: ask [`Ask::Elsewhere`]. Told once until then.
    Elsewhere,
}

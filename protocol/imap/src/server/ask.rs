//! What the session asks the house, what it may be answered, and what it is told.
//!
//! One mailbox is *selected* at a time, from an [`Ask::Select`] that was answered with [`Answer::Selected`] until
//! [`Ask::Deselect`] or the next `Select`; questions about messages are about that one. Messages are named by UID alone:
//! sequence numbers, what has been announced and what may be announced now are the session's business.
//!
//! **Changes.** The desk follows the selected mailbox from the moment that [`Selected`] describes. When something has
//! changed it wakes the session with [`News::Changed`], once until the next [`Ask::Sync`]; and it answers `Sync`, which also
//! comes unasked for behind most commands, with everything that has changed since `Selected` or the last `Sync`, in order of
//! commits. What the session itself has done and heard of by an answer (`Stored`, `Moved`, `Expunged`, a \Seen set by
//! `Fetch`) is left out, unless somebody else has changed the same message again; but UIDs that were expunged may be
//! told twice, and those that the session has appended or copied here come as `added`, like everybody's. So nothing piles
//! up in the session, whatever happens while a client is silent; a `Sync` with nothing to tell should cost next to nothing.
//!
//! **Long work.** Whatever takes longer than a second or ten may be answered with [`Answer::Working`]; the session may tell
//! its client, and asks [`Ask::GoOn`] until the answer proper comes.
//!
//! **Batches.** `Fetch` and `Store` name messages by sets of bounded count ([`FETCH_BATCH_MAX`], [`STORE_BATCH_MAX`]); the desk
//! may answer a `Fetch` for the first of them only ([`Fetched::looked_until`]), so that an answer stays near
//! [`FETCH_OCTETS_WISHED`].
//!
//! **Content** of an APPEND follows through `Step::Keep` behind each [`Ask::AppendMessage`] that was answered `Done`; nothing is
//! visible before [`Ask::AppendCommit`], and all of it or nothing after. An append that a session does not end by
//! `AppendCommit` or [`Ask::AppendAbandon`] before it ends is to be forgotten.
//!
//! Any question may be answered with [`Answer::Refused`], which then changes nothing; an answer of the wrong kind counts as
//! `Refused(Refusal::Unavailable)`. A session that ends says nothing more: what the desk keeps for it is to be dropped.
//!
//! Invariants: one question at a time; nothing is asked about messages unless a mailbox is selected; nothing that changes
//! messages is asked if it was opened read-only; names, flags and sets are well-formed, and no set is empty.
//! Not here: how the house does it (desk, store), how it is written to the client (the other files of this folder).

mod answer;

pub use answer::*;

use crate::fetch::Item;
use crate::flag::Flags;
use crate::moment::Moment;
use crate::name::MailboxName;
use crate::search::{Key, Program};
use crate::set::NumberSet;
use crate::url::{AuthorizedUrl, MessageUrl};

/// So many messages one [`Ask::Fetch`] names at most.
pub const FETCH_BATCH_MAX: u32 = 1_000;

/// What the content in one [`Fetched`] should add up to: enough for few turns, little for thousands of sessions.
pub const FETCH_OCTETS_WISHED: usize = 256 * 1024;

/// Content of so many octets is better brought [apart](Fetched::apart); less is quicker copied behind what is said before it.
pub const APART_MIN: usize = 4 * 1024;

/// What one [`Answer::Octets`] should hold.
pub const READ_OCTETS_WISHED: usize = 64 * 1024;

/// So many messages one [`Ask::Store`] names at most: one commit, one sync.
pub const STORE_BATCH_MAX: u32 = 10_000;

/// A question to the house. Behind each stands the answer that is no refusal.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// Who is it? LOGIN asks it, too. [`Answer::Auth`]
    Auth(sasl::server::Ask),
    /// UNAUTHENTICATE: forget who it was, and everything else; the connection stays. [`Answer::Done`]
    Forget,
    /// ID: what the client says of itself, for the log, never to be trusted. Asked before or after login. [`Answer::Done`]
    Id(Vec<(String, Option<String>)>),
    /// Go on with what was answered by [`Answer::Working`].
    GoOn,

    /// LIST, LSUB: every mailbox the account may see, and every name it is subscribed to, by name. The session picks from
    /// them. [`Answer::Mailboxes`]
    Mailboxes,
    /// STATUS, and LIST that returns it: also of the selected mailbox. [`Answer::Status`]
    Status {
        /// Which mailbox.
        mailbox: MailboxName,
        /// Whether the sum of all sizes is wanted, which a house may have to compute.
        size: bool,
    },
    /// SELECT, EXAMINE. What was selected is deselected first, whatever comes of it. [`Answer::Selected`]
    Select {
        /// Which mailbox.
        mailbox: MailboxName,
        /// EXAMINE.
        read_only: bool,
    },
    /// CLOSE, UNSELECT, and a SELECT that cannot be: follow nothing any more. [`Answer::Done`]
    Deselect,
    /// CREATE. Levels above that are missing are made, too. [`Answer::Created`]
    Create {
        /// Under which name.
        mailbox: MailboxName,
        /// What it is for (RFC 6154): the attributes, such as `\Sent`.
        uses: Vec<SpecialUse>,
    },
    /// DELETE: never INBOX. Mailboxes below it stay. [`Answer::Done`]
    Delete(MailboxName),
    /// RENAME, with all below. For INBOX: its messages move to a new mailbox, it stays, and so do those below it.
    /// [`Answer::Done`]
    Rename {
        /// What is there.
        from: MailboxName,
        /// What is not there yet.
        to: MailboxName,
    },
    /// SUBSCRIBE and UNSUBSCRIBE, also of names that are not mailboxes. [`Answer::Done`]
    Subscribe {
        /// Which name.
        mailbox: MailboxName,
        /// Or unsubscribe.
        subscribed: bool,
    },

    /// APPEND, REPLACE: a message begins; its content follows through `Keep`. The first one of a command says where to,
    /// and so do all others. [`Answer::Done`], or a refusal, after which no `AppendAbandon` comes.
    AppendMessage(Draft),
    /// CATENATE: so many octets more are about to come for the message that began last, by `Keep`. [`Answer::Done`]
    AppendText {
        /// How many.
        size: u64,
    },
    /// CATENATE: put these octets of a message behind what the message that began last has so far. [`Answer::AppendedPart`]
    AppendPart(MessageUrl),
    /// The append is whole: make all of its messages visible, in their order. [`Answer::Appended`]
    AppendCommit {
        /// REPLACE: expunge this one of the selected mailbox in the same moment.
        replacing: Option<u32>,
    },
    /// It is not wanted. [`Answer::Done`]
    AppendAbandon,

    /// What has changed in the selected mailbox? [`Answer::Changes`]
    Sync,
    /// Messages and what is wanted of each. [`Answer::Fetched`]
    Fetch(Fetch),
    /// The next octets of a [`Content::Stretch`], in order. [`Answer::Octets`], or [`Answer::Sent`]; after a refusal the
    /// session closes, for the client has been promised more.
    Read {
        /// The desk's number.
        reader: u64,
        /// The first octet.
        from: u64,
        /// The first that is not wanted.
        to: u64,
    },
    /// FETCH with VANISHED, SELECT with QRESYNC: which of these UIDs were expunged by changes with numbers above this? The
    /// answer may hold more of the set, as long as none of them is a message. [`Answer::Vanished`]
    Vanished {
        /// The number.
        since: u64,
        /// Which UIDs.
        uids: NumberSet,
    },
    /// STORE. [`Answer::Stored`]
    Store(Store),
    /// COPY and MOVE: all or nothing. [`Answer::Copied`]
    Copy {
        /// Which messages; those that are gone are left out.
        uids: NumberSet,
        /// Where to; it may be the selected mailbox.
        to: MailboxName,
        /// MOVE: expunge them here in the same moment.
        remove: bool,
    },
    /// EXPUNGE, UID EXPUNGE, CLOSE: remove those that are \Deleted. [`Answer::Expunged`]
    Expunge {
        /// Only of these.
        uids: Option<NumberSet>,
    },
    /// SEARCH, SORT, THREAD in the selected mailbox. [`Answer::Found`]
    Search(Box<Search>),

    /// ESEARCH in other mailboxes. [`Answer::FoundIn`]
    SearchIn(Box<SearchIn>),

    /// GENURLAUTH: tokens for URLs of the account's own, all or none. [`Answer::UrlTokens`]
    AuthorizeUrls(Vec<AuthorizedUrl>),
    /// RESETKEY: a new key for this mailbox, or for all; URLs that were authorized until now mean nothing any more.
    /// [`Answer::Done`]
    ResetUrlKeys(Option<MailboxName>),
    /// URLFETCH: what a URL names, if its token is right and the session may use it. [`Answer::FetchedUrl`]
    FetchUrl(Box<AuthorizedUrl>),

    /// NOTIFY: what the session wants to hear of other mailboxes, in place of what it wanted before; of none, if there is
    /// nothing here. The mailbox that happens to be selected is never meant. [`Answer::Watching`]
    Watch(Vec<Watch>),
    /// What has happened in other mailboxes since `Watch` or the last time? [`Answer::Elsewhere`]
    Elsewhere,

    /// NAMESPACE. [`Answer::Namespaces`]
    Namespaces,
    /// GETQUOTA. [`Answer::Quotas`] with one.
    Quota {
        /// The root's name.
        root: String,
    },
    /// GETQUOTAROOT. [`Answer::Quotas`] with all that hold for it.
    QuotaRoots {
        /// Which mailbox.
        mailbox: MailboxName,
    },
    /// SETQUOTA. [`Answer::Quotas`] with what holds now.
    SetQuota {
        /// The root's name.
        root: String,
        /// The new limits, by resource; those that are not named are lifted.
        limits: Vec<(Resource, u64)>,
    },
    /// GETMETADATA. [`Answer::Metadata`]
    Metadata {
        /// Of the server, if of no mailbox.
        mailbox: Option<MailboxName>,
        /// Which entries: names that begin with `/private/` or `/shared/`, in lower case.
        entries: Vec<String>,
        /// And those below them.
        depth: Depth,
    },
    /// SETMETADATA: all or nothing. [`Answer::Done`]
    SetMetadata {
        /// Of the server, if of no mailbox.
        mailbox: Option<MailboxName>,
        /// The new values; none removes an entry.
        entries: Vec<(String, Option<Vec<u8>>)>,
    },
    /// GETACL. [`Answer::Acl`]
    Acl(MailboxName),
    /// SETACL, DELETEACL. [`Answer::Done`]
    SetAcl {
        /// Of which mailbox.
        mailbox: MailboxName,
        /// Whose rights; with `-` before it, what is taken from him (RFC 4314 §2).
        identifier: String,
        /// What becomes of them.
        change: RightsChange,
    },
    /// LISTRIGHTS. [`Answer::GrantableRights`]
    GrantableRights {
        /// Of which mailbox.
        mailbox: MailboxName,
        /// Whose.
        identifier: String,
    },
    /// MYRIGHTS. [`Answer::MyRights`]
    MyRights(MailboxName),
}

/// A message that begins to arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Where to.
    pub mailbox: MailboxName,
    /// With these flags.
    pub flags: Flags,
    /// When it is said to have arrived; now, if it is not said.
    pub date: Option<Moment>,
    /// How many octets follow. None, if the message is put together of parts, each of which is asked about by itself.
    pub size: u64,
    /// Whether it may hold NUL (`~{n}`).
    pub binary: bool,
    /// How many messages of this command are before it.
    pub before: u32,
}

/// What is wanted of which messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Which messages, at most [`FETCH_BATCH_MAX`]. Those that are gone are left out.
    pub uids: NumberSet,
    /// What of each. `Item::Uid` and `Item::ModSeq` need nothing: both always come.
    pub items: Vec<Item>,
    /// Only those whose last change has a higher number.
    pub changed_since: Option<u64>,
    /// Set \Seen on each that does not have it, durably, before answering; [`Message::seen_now`] says on which.
    pub mark_seen: bool,
}

impl Fetch {
    /// Whether an item of this kind is wanted.
    pub fn wants(&self, kind: impl Fn(&Item) -> bool) -> bool {
        self.items.iter().any(kind)
    }
}

/// A change of flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Which messages, at most [`STORE_BATCH_MAX`].
    pub uids: NumberSet,
    /// What becomes of their flags.
    pub how: Change,
    /// Which flags.
    pub flags: Flags,
    /// Leave alone, and name in [`Stored::modified`], those whose last change has a higher number than this.
    pub unchanged_since: Option<u64>,
}

/// What becomes of flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// These, and no others.
    Replace,
    /// These as well.
    Add,
    /// Not these.
    Remove,
}

/// A search in the selected mailbox.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// What to look for. Sets are UIDs, and may be empty here.
    pub program: Key<NumberSet>,
    /// In which order it is wanted.
    pub order: Order,
    /// Whether the highest change number among what is found is wanted.
    pub modseq: bool,
}

/// The order of what is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// By UID: [`Hits::Set`].
    Uid,
    /// By these criteria, then by UID (RFC 5256 §3): [`Hits::Sorted`].
    Sorted(Vec<SortKey>),
    /// In threads: [`Hits::Threads`].
    Threaded(ThreadAlgorithm),
}

/// One criterion of SORT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortKey {
    /// What is compared.
    pub by: SortBy,
    /// Largest first.
    pub reverse: bool,
}

/// What SORT compares (RFC 5256 §3, RFC 5957 §3, RFC 6203 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortBy {
    /// ARRIVAL: the internal date.
    Arrival,
    /// CC: the first mailbox.
    Cc,
    /// DATE: the sent date; the internal date where there is none.
    Date,
    /// FROM: the first mailbox.
    From,
    /// SIZE
    Size,
    /// SUBJECT: the base subject.
    Subject,
    /// TO: the first mailbox.
    To,
    /// DISPLAYFROM
    DisplayFrom,
    /// DISPLAYTO
    DisplayTo,
    /// RELEVANCY (RFC 6203 §6): what is found is found exactly, so all are alike.
    Relevancy,
}

/// How THREAD finds threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThreadAlgorithm {
    /// RFC 5256.
    OrderedSubject,
    /// RFC 5256.
    References,
    /// The same without looking at subjects.
    Refs,
}

/// A use of a mailbox that RFC 6154 §2 or RFC 8457 §3 names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpecialUse {
    /// `\All`
    All,
    /// `\Archive`
    Archive,
    /// `\Drafts`
    Drafts,
    /// `\Flagged`
    Flagged,
    /// `\Important`
    Important,
    /// `\Junk`
    Junk,
    /// `\Sent`
    Sent,
    /// `\Trash`
    Trash,
}

impl SpecialUse {
    /// All of them.
    pub const ALL: [SpecialUse; 8] = [
        SpecialUse::All,
        SpecialUse::Archive,
        SpecialUse::Drafts,
        SpecialUse::Flagged,
        SpecialUse::Important,
        SpecialUse::Junk,
        SpecialUse::Sent,
        SpecialUse::Trash,
    ];

    /// As on the wire.
    pub fn name(self) -> &'static str {
        match self {
            SpecialUse::All => "\\All",
            SpecialUse::Archive => "\\Archive",
            SpecialUse::Drafts => "\\Drafts",
            SpecialUse::Flagged => "\\Flagged",
            SpecialUse::Important => "\\Important",
            SpecialUse::Junk => "\\Junk",
            SpecialUse::Sent => "\\Sent",
            SpecialUse::Trash => "\\Trash",
        }
    }

    /// Reads one, in any case.
    pub fn parse(text: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name().as_bytes().eq_ignore_ascii_case(text))
    }
}

/// What a quota limits (RFC 9208 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// `STORAGE`: sizes of messages, in units of 1024 octets.
    Storage,
    /// `MESSAGE`: how many messages.
    Message,
    /// `MAILBOX`: how many mailboxes.
    Mailbox,
    /// `ANNOTATION-STORAGE`: sizes of annotations, in units of 1024 octets.
    AnnotationStorage,
}

/// How far below an entry GETMETADATA looks (RFC 5464 §4.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Depth {
    /// Not below it.
    #[default]
    Zero,
    /// One level.
    One,
    /// All levels.
    Infinity,
}

/// Some mailboxes, and what is wanted of them (RFC 5465 §5, §6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// Which mailboxes.
    pub among: Among,
    /// What of them.
    pub events: Events,
}

/// Which mailboxes are meant; those that come to be later, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Among {
    /// Those that mail is delivered to.
    Inboxes,
    /// All of one's own.
    Personal,
    /// Those that are subscribed to.
    Subscribed,
    /// These, and all below them.
    Subtree(Vec<MailboxName>),
    /// These.
    Mailboxes(Vec<MailboxName>),
}

impl Among {
    /// The names that it is given.
    pub fn names(&self) -> Option<&Vec<MailboxName>> {
        match self {
            Among::Subtree(names) | Among::Mailboxes(names) => Some(names),
            Among::Inboxes | Among::Personal | Among::Subscribed => None,
        }
    }
}

/// Where ESEARCH looks (RFC 7377 §2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In the selected mailbox.
    Selected,
    /// In some mailboxes.
    Among(Among),
    /// In these, and in those one level below.
    Children(Vec<MailboxName>),
}

/// A search in several mailboxes.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchIn {
    /// In which. The selected one is meant only if it is among others; the session itself searches [`Source::Selected`].
    pub sources: Vec<Source>,
    /// The session has searched the selected mailbox already: leave it out.
    pub but_selected: bool,
    /// What to look for, in the terms of each mailbox; what was saved is in none of them.
    pub program: Program,
    /// Whether the highest change number among what is found is wanted.
    pub modseq: bool,
}

/// What may happen to a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Events {
    /// Messages are new, or gone.
    pub messages: bool,
    /// Flags are others.
    pub flags: bool,
    /// It is made, removed, or renamed.
    pub names: bool,
    /// It is subscribed to, or not any more.
    pub subscriptions: bool,
    /// Its annotations are others.
    pub metadata: bool,
    /// Those of the server are.
    pub server_metadata: bool,
}

/// What becomes of someone's rights. Rights are letters (RFC 4314 §2), each once, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RightsChange {
    /// These, and no others.
    Replace(String),
    /// These as well.
    Add(String),
    /// Not these.
    Remove(String),
    /// DELETEACL: whoever it is no longer stands in the list.
    Delete,
}

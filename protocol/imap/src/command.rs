//! What a client may say: commands as values, read and written.
//!
//! RFC 9051 §6 and §9 (commands), and the extensions that are named beside each.
//!
//! A command is read when all of it has come, literals and all ([`crate::gather`]). APPEND and REPLACE are the exception:
//! their messages pass by, and [`append`] reads what stands around them.
//!
//! Invariants: what was read can be written, and reads the same again.
//! Not here: when a command may be said (table), what it does (server).

pub mod append;
pub mod notify;
mod parse;
mod write;

#[cfg(test)]
mod tests;

use crate::fetch::Item;
use crate::flag::Flags;
use crate::name::MailboxName;
use crate::pattern::Pattern;
use crate::search::Program;
use crate::server::ask::{Change, Depth, Resource, SortKey, Source, SpecialUse, ThreadAlgorithm};
use crate::set::{NumberSet, SequenceSet};
use crate::table::{Row, UidForm, look_up};
use crate::words::{Misread, Scanner, is_tag};
use line::Secret;

/// So many capabilities may one ENABLE name.
pub const ENABLE_MAX: usize = 64;
/// RFC 2971 §3.3: at most 30 fields.
pub const ID_FIELDS_MAX: usize = 30;
/// RFC 2971 §3.3: at most 30 octets of a name, and 1024 of a value.
pub const ID_NAME_MAX: usize = 30;
/// See [`ID_NAME_MAX`].
pub const ID_VALUE_MAX: usize = 1024;
/// So many criteria may one SORT have.
pub const SORT_KEYS_MAX: usize = 32;
/// So many entries may one GETMETADATA or SETMETADATA name.
pub const ENTRIES_MAX: usize = 64;
/// No entry's name is longer, in octets.
pub const ENTRY_NAME_MAX: usize = 256;
/// So many limits may one SETQUOTA name.
pub const LIMITS_MAX: usize = 16;
/// So many tags may one CANCELUPDATE name.
pub const TAGS_MAX: usize = 64;
/// So many URLs may one GENURLAUTH or URLFETCH name.
pub const URLS_MAX: usize = 64;
/// So many mechanisms may one RESETKEY name.
pub const MECHANISMS_MAX: usize = 16;

/// A command.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// CAPABILITY
    Capability,
    /// NOOP
    Noop,
    /// LOGOUT
    Logout,
    /// ID (RFC 2971): fields, or none for NIL.
    Id(Vec<(String, Option<String>)>),
    /// COMPRESS (RFC 4978): by which algorithm.
    Compress(String),
    /// STARTTLS
    Starttls,
    /// LOGIN
    Login {
        /// Who.
        user: Vec<u8>,
        /// The password.
        password: Secret,
    },
    /// AUTHENTICATE
    Authenticate {
        /// Which mechanism.
        mechanism: String,
        /// The initial response (RFC 4959), in base64, or `=`.
        initial: Option<Secret>,
    },
    /// ENABLE
    Enable(Vec<String>),
    /// UNAUTHENTICATE (RFC 8437)
    Unauthenticate,
    /// NAMESPACE
    Namespace,
    /// SELECT and EXAMINE
    Select(Select),
    /// CREATE
    Create {
        /// Its name.
        mailbox: MailboxName,
        /// What it is for (RFC 6154).
        uses: Vec<SpecialUse>,
    },
    /// DELETE
    Delete(MailboxName),
    /// RENAME
    Rename(MailboxName, MailboxName),
    /// SUBSCRIBE and UNSUBSCRIBE
    Subscribe {
        /// Which name.
        mailbox: MailboxName,
        /// Or not.
        subscribed: bool,
    },
    /// LIST
    List(List),
    /// LSUB
    Lsub(Pattern),
    /// STATUS
    Status(MailboxName, Vec<StatusItem>),
    /// IDLE
    Idle,
    /// CHECK
    Check,
    /// CLOSE
    Close,
    /// UNSELECT
    Unselect,
    /// EXPUNGE and UID EXPUNGE
    Expunge(Option<Named>),
    /// SEARCH
    Search(Search),
    /// ESEARCH (RFC 7377): in which mailboxes.
    Esearch(Vec<Source>, Search),
    /// SORT
    Sort(Vec<SortKey>, Search),
    /// THREAD
    Thread(ThreadAlgorithm, Program),
    /// SEARCH, SORT or THREAD in a charset that we do not have.
    BadCharset {
        /// SAVE was wanted.
        saves: bool,
    },
    /// FETCH
    Fetch(Fetch),
    /// STORE
    Store(Store),
    /// COPY and MOVE
    Copy {
        /// Which messages.
        messages: Named,
        /// Where to.
        to: MailboxName,
        /// MOVE
        remove: bool,
    },
    /// UIDBATCHES (RFC 10022)
    Uidbatches {
        /// How many messages a batch has.
        size: u32,
        /// Only these batches.
        batches: Option<(u32, u32)>,
    },
    /// GETQUOTA
    GetQuota(String),
    /// GETQUOTAROOT
    GetQuotaRoot(MailboxName),
    /// SETQUOTA
    SetQuota(String, Vec<(Resource, u64)>),
    /// GETMETADATA
    GetMetadata(GetMetadata),
    /// SETMETADATA
    SetMetadata(Option<MailboxName>, Vec<(String, Option<Vec<u8>>)>),
    /// GETACL
    GetAcl(MailboxName),
    /// SETACL
    SetAcl {
        /// Of which mailbox.
        mailbox: MailboxName,
        /// Whose.
        identifier: String,
        /// How.
        how: Change,
        /// Letters.
        rights: String,
    },
    /// DELETEACL
    DeleteAcl(MailboxName, String),
    /// LISTRIGHTS
    ListRights(MailboxName, String),
    /// MYRIGHTS
    MyRights(MailboxName),
    /// NOTIFY (RFC 5465)
    Notify(notify::Notify),
    /// CANCELUPDATE (RFC 5267): the tags of searches.
    CancelUpdate(Vec<Vec<u8>>),
    /// GENURLAUTH (RFC 4467): URLs, and by which mechanism each is to be authorized.
    GenUrlAuth(Vec<(String, String)>),
    /// RESETKEY (RFC 4467): of which mailbox, or of all; for which mechanisms.
    ResetKey(Option<MailboxName>, Vec<String>),
    /// URLFETCH (RFC 4467)
    UrlFetch(Vec<Vec<u8>>),
}

/// Messages that a command names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// By these numbers, or UIDs.
    Set(SequenceSet),
    /// `$`: those that were saved (RFC 5182).
    Saved,
}

/// SELECT and EXAMINE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    /// Which mailbox.
    pub mailbox: MailboxName,
    /// EXAMINE
    pub read_only: bool,
    /// `(CONDSTORE)`
    pub condstore: bool,
    /// `(QRESYNC (…))`
    pub resync: Option<Resync>,
}

/// What a client knows already (RFC 7162 §3.2.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resync {
    /// The UIDVALIDITY it was told.
    pub uidvalidity: u32,
    /// The number of the last change that it knows of.
    pub modseq: u64,
    /// The UIDs that it knows.
    pub known: Option<NumberSet>,
    /// Some numbers and their UIDs: as far as they are right, the client knows who is gone.
    pub matched: Option<(NumberSet, NumberSet)>,
}

/// LIST.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct List {
    /// `(SUBSCRIBED)`
    pub subscribed: bool,
    /// `(REMOTE)`, which adds nothing here.
    pub remote: bool,
    /// `(RECURSIVEMATCH)`
    pub recursive: bool,
    /// `(SPECIAL-USE)`
    pub special_use: bool,
    /// What to look for, the reference before each.
    pub patterns: Vec<Pattern>,
    /// The reference alone, where the one pattern was empty: what is asked for is the separator.
    pub root: Option<String>,
    /// RETURN
    pub returned: Returned,
}

/// What LIST returns of each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Returned {
    /// RETURN was there at all.
    pub said: bool,
    /// `SUBSCRIBED`
    pub subscribed: bool,
    /// `CHILDREN`
    pub children: bool,
    /// `SPECIAL-USE`
    pub special_use: bool,
    /// `STATUS (…)`
    pub status: Vec<StatusItem>,
    /// `METADATA (…)` (RFC 9590)
    pub metadata: Vec<String>,
    /// `MYRIGHTS` (RFC 8440)
    pub myrights: bool,
}

/// What STATUS tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // Each is its name.
pub enum StatusItem {
    Messages,
    Recent,
    UidNext,
    UidValidity,
    Unseen,
    Deleted,
    Size,
    HighestModSeq,
    AppendLimit,
    MailboxId,
    DeletedStorage,
}

impl StatusItem {
    /// All, with their names.
    pub const ALL: [(StatusItem, &'static str); 11] = [
        (StatusItem::Messages, "MESSAGES"),
        (StatusItem::Recent, "RECENT"),
        (StatusItem::UidNext, "UIDNEXT"),
        (StatusItem::UidValidity, "UIDVALIDITY"),
        (StatusItem::Unseen, "UNSEEN"),
        (StatusItem::Deleted, "DELETED"),
        (StatusItem::Size, "SIZE"),
        (StatusItem::HighestModSeq, "HIGHESTMODSEQ"),
        (StatusItem::AppendLimit, "APPENDLIMIT"),
        (StatusItem::MailboxId, "MAILBOXID"),
        (StatusItem::DeletedStorage, "DELETED-STORAGE"),
    ];

    /// As on the wire.
    pub fn name(self) -> &'static str {
        StatusItem::ALL[self as usize].1
    }
}

/// SEARCH, and the part of SORT that is the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// RETURN
    pub returned: Option<Results>,
    /// `UPDATE` (RFC 5267), with what is to be fetched of each new message that is found (RFC 5465 §7).
    pub update: Option<Vec<Item>>,
    /// What to look for.
    pub program: Program,
}

/// What SEARCH returns (RFC 9051 §6.4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Results {
    /// `MIN`
    pub min: bool,
    /// `MAX`
    pub max: bool,
    /// `ALL`
    pub all: bool,
    /// `COUNT`
    pub count: bool,
    /// `SAVE`
    pub save: bool,
    /// `CONTEXT` (RFC 5267): the same will be searched again, which changes nothing here.
    pub context: bool,
    /// `PARTIAL` (RFC 9394)
    pub partial: Option<Window>,
    /// `RELEVANCY` (RFC 6203 §4)
    pub relevancy: bool,
}

/// A stretch of results, `1:500` from the front or `-1:-100` from the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first, counted from 1.
    pub first: u32,
    /// The last.
    pub last: u32,
    /// Counted from the end.
    pub from_end: bool,
}

/// FETCH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Which messages.
    pub messages: Named,
    /// What of them.
    pub items: Vec<Item>,
    /// `CHANGEDSINCE` (RFC 7162)
    pub changed_since: Option<u64>,
    /// `VANISHED` (RFC 7162)
    pub vanished: bool,
    /// `PARTIAL` (RFC 9394)
    pub window: Option<Window>,
}

/// STORE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Which messages.
    pub messages: Named,
    /// How.
    pub how: Change,
    /// Which flags.
    pub flags: Flags,
    /// `.SILENT`
    pub silent: bool,
    /// `UNCHANGEDSINCE` (RFC 7162)
    pub unchanged_since: Option<u64>,
}

/// GETMETADATA (RFC 5464).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetMetadata {
    /// Of the server, if of no mailbox.
    pub mailbox: Option<MailboxName>,
    /// Which entries.
    pub entries: Vec<String>,
    /// `DEPTH`
    pub depth: Depth,
    /// `MAXSIZE`
    pub size_max: Option<u64>,
}

/// The front of a command: what can be said of it before its arguments are read.
#[derive(Debug, Clone)]
pub struct Opening<'a> {
    /// What the reply will begin with.
    pub tag: &'a [u8],
    /// UID stood before the name.
    pub uid: bool,
    /// What holds for the command.
    pub row: &'static Row,
    /// What follows the name, with the blank before it.
    pub rest: &'a [u8],
}

/// A front that could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable<'a> {
    /// The tag, if there was one.
    pub tag: Option<&'a [u8]>,
    /// What is wrong.
    pub why: Misread,
}

impl<'a> Opening<'a> {
    /// Reads tag and name.
    pub fn read(text: &'a [u8]) -> Result<Self, Unreadable<'a>> {
        let (tag, rest) = word(text);
        if !is_tag(tag) {
            return Err(Unreadable { tag: None, why: Misread("a command begins with a tag") });
        }
        let wrong = |why| Unreadable { tag: Some(tag), why: Misread(why) };
        let rest = rest.strip_prefix(b" ").ok_or(wrong("a command is missing behind the tag"))?;
        let (name, rest) = word(rest);
        let uid = name.eq_ignore_ascii_case(b"UID");
        let (name, rest) = match uid {
            true => word(rest.strip_prefix(b" ").ok_or(wrong("a command is missing behind UID"))?),
            false => (name, rest),
        };
        let row = look_up(name).ok_or(wrong("unknown command"))?;
        if uid && row.uid == UidForm::No {
            return Err(wrong("this command has no form with UID"));
        }
        Ok(Opening { tag, uid, row, rest })
    }

    /// Reads the arguments. `utf8` says whether mailbox names are UTF-8.
    pub fn command(&self, utf8: bool) -> Result<Command, Misread> {
        parse::command(self.row.verb, self.uid, &mut Scanner::new(self.rest, utf8))
    }
}

fn word(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(memchr::memchr(b' ', text).unwrap_or(text.len()))
}

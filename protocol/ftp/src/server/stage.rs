//! The stages of a conversation; each owns what exists in it.
//!
//! Not here: what leads from one to the next (the neighbours).

use super::ask::Errand;
use crate::command::{Facts, Mode, Protection, Representation, Stretch};
use crate::hash::HashKind;
use crate::moment::Moment;
use crate::path::{VirtualPath, WirePath};
use crate::permissions::Permissions;
use crate::reply::Reply;

/// Where the conversation stands.
#[derive(Debug, Default)]
pub enum Stage {
    /// Nothing is said yet.
    Greeting,
    /// Nobody has logged in.
    Stranger,
    /// USER was said, PASS is awaited.
    Named {
        user: String,
        anonymous: bool,
    },
    /// Someone is in, and nothing runs.
    Member(Member),
    /// Something runs.
    Busy(Busy),
    AwaitingHost {
        name: String,
    },
    AwaitingLogin {
        user: String,
    },
    AwaitingLogout(AfterLogout),
    /// The question is about a file or the data line.
    Awaiting {
        member: Member,
        question: Question,
    },
    /// ABOR was said, or the session is to end; the pump is being stopped.
    AwaitingStop(Busy),
    AwaitingProgress(Busy),
    /// 234 was said; the handshake is under way.
    Securing {
        protection: Protection,
    },
    #[default]
    Closed,
}

/// What was said that ends a login.
#[derive(Debug)]
pub enum AfterLogout {
    User(String),
    Rein,
    Auth { protection: Protection },
}

/// Who is in, and what was agreed with them.
#[derive(Debug)]
pub struct Member {
    pub user: String,
    pub permissions: Permissions,
    pub home: VirtualPath,
    /// The working directory.
    pub here: VirtualPath,
    pub representation: Representation,
    pub mode: Mode,
    /// PASV, EPSV, PORT or EPRT was obeyed, and no transfer has used it up.
    pub data_line: bool,
    /// EPSV ALL was said.
    pub only_epsv: bool,
    /// Which part the next transfer is about.
    pub span: Span,
    /// How many octets the next upload will have.
    pub announced: Option<u64>,
    /// RNFR was said in the line before this one.
    pub renaming: Option<VirtualPath>,
    /// RNFR is being said; it holds for the next line.
    pub rename_from: Option<VirtualPath>,
}

/// Which part of a file a transfer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Span {
    #[default]
    Whole,
    /// REST.
    From(u64),
    /// RANG: the first octet and the first beyond.
    Between(u64, u64),
}

impl Span {
    pub fn bounds(self) -> (u64, Option<u64>) {
        match self {
            Span::Whole => (0, None),
            Span::From(from) => (from, None),
            Span::Between(from, until) => (from, Some(until)),
        }
    }
}

/// Something runs.
#[derive(Debug)]
pub struct Busy {
    pub member: Member,
    pub work: Work,
    pub stopped: Stopped,
}

/// Whether what runs was told to stop, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    Not,
    /// By ABOR, which gets a reply of its own.
    ByClient,
    /// The session is to end, and this took too long.
    ByHouse,
}

/// What runs.
#[derive(Debug)]
pub enum Work {
    Sending { path: VirtualPath },
    Receiving { path: VirtualPath, unique: bool },
    Listing { machine: bool },
    Digesting { kind: HashKind, path: WirePath, form: DigestForm },
    Combining,
}

/// How a digest is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestForm {
    /// HASH: `213 SHA-256 0-99 f0ad… name`
    Full,
    /// XCRC and its kin: `250 F0AD…`
    Bare,
}

impl Work {
    pub fn of(errand: &Errand) -> Self {
        match errand {
            Errand::Retrieve { path, .. } => Work::Sending { path: path.clone() },
            Errand::Store { path, .. } | Errand::Append { path, .. } => {
                Work::Receiving { path: path.clone(), unique: false }
            }
            Errand::StoreUnique { wish, .. } => Work::Receiving { path: wish.clone(), unique: true },
            Errand::List(listing) => {
                Work::Listing { machine: matches!(listing.form, super::ask::ListForm::Machine(_)) }
            }
        }
    }
}

/// What a member's command waits for.
#[derive(Debug)]
pub enum Question {
    /// PASV.
    Passive,
    /// EPSV.
    ExtendedPassive,
    /// PORT, EPRT.
    Active,
    /// A transfer, a digest, a combination.
    Begin(Work),
    /// ABOR while nothing runs.
    HangUp,
    /// CWD, CDUP.
    Enter(VirtualPath),
    /// RNFR.
    RenameFrom(VirtualPath),
    Size(VirtualPath),
    /// SIZE, once more.
    Kept,
    /// MDTM, with what it may mean besides.
    Modified {
        or_set: Option<(Moment, VirtualPath)>,
    },
    /// MDTM with a time.
    ModifiedSet,
    /// MLST.
    Facts {
        path: VirtualPath,
        facts: Facts,
    },
    /// STAT with a path.
    Overview,
    /// MFMT, MFCT, MFF: tells the facts.
    Changed(WirePath),
    /// SITE CHMOD, SITE UTIME: this reply.
    ChangedQuietly(&'static Reply),
    Space,
    /// ALLO: so many octets.
    Fits(u64),
    /// Whatever ends in this reply.
    Plain(Reply),
}

/// A stretch that HASH asks for, by its path and the span at hand.
pub fn stretch_of(path: WirePath, span: Span) -> Stretch {
    let (from, until) = span.bounds();
    Stretch { path, from, until }
}

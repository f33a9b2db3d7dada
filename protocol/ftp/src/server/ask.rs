//! What the session asks the house, what it may be answered, and what it is told.
//!
//! Transfers do not pass through the session. It asks [`Ask::Begin`]; the desk opens the file, looks whether the data
//! connection is there, starts the pump, and answers; when the pump is done, the session gets [`News::Ended`].
//! Meanwhile the session goes on listening. The same holds for [`Ask::Digest`] and [`Ask::Combine`], which may take as
//! long as a transfer.
//!
//! The desk keeps one *data line* a session: a listening port, with or without a client that has come already, or an
//! address to dial. Each [`Ask::Listen`] and [`Ask::Active`] closes what was there; `Begin` uses it up if it is answered with
//! [`Answer::Begun`], and leaves it alone if it is refused. Who has come is compared with the client's address (RFC 2577 §4).
//!
//! A session that ends has said all it has to say: whatever runs or listens for it is to be stopped, and an upload that is
//! not whole is not committed.
//!
//! Invariants: `Begin`, `Digest` and `Combine` are asked only when nothing runs; each that is not refused is followed by one
//! `Ended`, also after `Abort`; paths are resolved, so that no two spellings of one path are ever seen.
//! Not here: how the house does it (desk, house/files).

use crate::address::Family;
use crate::command::{Change, Facts};
use crate::hash::HashKind;
use crate::listing::{Entry, Pattern};
use crate::path::VirtualPath;
use crate::permissions::Permissions;
use crate::refusal::{Outcome, Refusal};
use core::net::SocketAddr;
use line::Secret;

/// A question to the house. Behind each stands the answer that is no refusal; any of those behind login may be answered with
/// [`Answer::Refused`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// HOST: is this one of ours? [`Answer::Host`]
    Host(String),
    /// PASS: may this user in? What is kept of an earlier login is void. [`Answer::Login`]
    Login(Login),
    /// CLNT or CSID of who is logged in: what the client says of itself. [`Answer::Done`]
    Client(String),
    /// The user leaves, the connection stays: close the data line, forget who it was. [`Answer::Done`]
    Logout,
    /// PASV, EPSV: listen, on a port that nobody can guess; the client will come from the address of the control connection.
    /// [`Answer::Listening`] with the address that the client is to dial.
    Listen(Family),
    /// PORT, EPRT: dial there when a transfer begins. [`Answer::Done`]
    Active(SocketAddr),
    /// Begin a transfer on the data line. [`Answer::Begun`], then [`News::Ended`]
    Begin(Transfer),
    /// HASH and its kin: begin to count. [`Answer::Done`], then [`News::Ended`] with [`Outcome::Digested`]
    Digest {
        /// Which file.
        path: VirtualPath,
        /// Which function.
        kind: HashKind,
        /// The first octet.
        from: u64,
        /// The first octet beyond; none for the end of the file. One that lies beyond the end means the end.
        until: Option<u64>,
    },
    /// COMB: append the parts in this order to the whole, then delete them. [`Answer::Done`], then [`News::Ended`]
    Combine {
        /// Made if it is not there.
        whole: VirtualPath,
        /// At least one.
        parts: Vec<VirtualPath>,
    },
    /// STAT while something runs. [`Answer::Progress`]
    Progress,
    /// ABOR: stop what runs, and close the data line, port and all. [`Answer::Done`] at once; if something runs, its end
    /// comes as news: [`Outcome::Aborted`], or [`Outcome::Completed`] if it was done before it could be stopped.
    Abort,
    /// CWD, CDUP: may the user go there, and is it a directory? [`Answer::Done`]
    Enter(VirtualPath),
    /// SIZE, MDTM, MLST, RNFR: what is known of this? Links are followed; the name is not looked at. [`Answer::Entry`]
    Stat(VirtualPath),
    /// SIZE of what is not there: perhaps an upload to it broke off and can go on. [`Answer::Kept`]
    Kept(VirtualPath),
    /// STAT with a path: a listing for the control connection. [`Answer::Overview`]
    Overview {
        /// A file, or a directory whose entries are wanted.
        path: VirtualPath,
        /// The directory, not what is in it.
        itself: bool,
        /// More than so many are not said.
        entries_max: usize,
    },
    /// MKD. [`Answer::Done`]
    MakeDirectory(VirtualPath),
    /// RMD. [`Answer::Done`]
    RemoveDirectory(VirtualPath),
    /// DELE: anything but a directory. [`Answer::Done`]
    Delete(VirtualPath),
    /// RNFR and RNTO: also into another directory or space; a file there is replaced, if the user may. [`Answer::Done`]
    Rename {
        /// It was there when RNFR was said.
        from: VirtualPath,
        /// Where to.
        to: VirtualPath,
    },
    /// MFMT, MFCT, MFF, SITE CHMOD, SITE UTIME, MDTM with a time. [`Answer::Changed`] with what is true now
    Change {
        /// Of which file.
        path: VirtualPath,
        /// What.
        change: Change,
    },
    /// SITE SYMLINK. [`Answer::Done`]
    Link {
        /// Where it leads, inside the user's space.
        target: VirtualPath,
        /// The link itself.
        link: VirtualPath,
    },
    /// AVBL: how much may still be stored there? [`Answer::Space`]
    Space(VirtualPath),
    /// ALLO: would so many octets fit into the working directory? Nothing is reserved. [`Answer::Done`]
    Fits {
        /// The working directory; where they are to go, nobody has said yet.
        directory: VirtualPath,
        /// How many.
        octets: u64,
    },
}

/// Someone wants in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// As USER said it.
    pub user: String,
    /// As PASS said it.
    pub password: Secret,
    /// `anonymous` or `ftp`, where guests are let in: the password is for the log.
    pub anonymous: bool,
    /// Which host was meant, by HOST or by TLS.
    pub host: Option<String>,
    /// What the client says of itself, by CLNT or CSID.
    pub client: Option<String>,
    /// Whether the password came under TLS.
    pub private: bool,
}

/// What is to be transferred, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// What.
    pub errand: Errand,
    /// TYPE A: the content passes `modes::ToWire` or `modes::FromWire`. Never for listings; their lines are CRLF already.
    pub ascii: bool,
    /// MODE Z, at this level: 0 to 9.
    pub deflate: Option<u8>,
    /// TLS on the data connection; we are its server in active mode too (RFC 4217 §7).
    pub private: bool,
}

/// What a transfer is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Errand {
    /// RETR.
    Retrieve {
        /// Which file.
        path: VirtualPath,
        /// The first octet. [`Refusal::BadOffset`] beyond the end, unless `until` is given: then nothing is sent.
        from: u64,
        /// The first octet not to be sent (RANG); none, or beyond the end, for the end.
        until: Option<u64>,
    },
    /// STOR: under a hidden name until it is whole and on disk.
    Store {
        /// Which file.
        path: VirtualPath,
        /// Where.
        place: Place,
        /// ALLO: how many octets the client means to send.
        announced: Option<u64>,
    },
    /// APPE: behind what is there.
    Append {
        /// Which file; made if it is not there.
        path: VirtualPath,
        /// ALLO: how many octets the client means to send.
        announced: Option<u64>,
    },
    /// STOU: under a name that nobody has. [`Begun::name`] says which.
    StoreUnique {
        /// The name that the client would like, or the directory for any.
        wish: VirtualPath,
        /// ALLO: how many octets the client means to send.
        announced: Option<u64>,
    },
    /// LIST, NLST, MLSD.
    List(Listing),
}

/// Where what is stored goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The whole file, in place of an older one.
    Whole,
    /// REST: what is there up to here stays, what is behind goes. [`Refusal::BadOffset`] beyond the end.
    From(u64),
    /// RANG: only these octets, first and first beyond; all others stay. [`Refusal::BadOffset`] if the first lies beyond
    /// the end.
    Between(u64, u64),
}

/// What is to be listed, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// A directory whose entries are wanted, or a file.
    pub path: VirtualPath,
    /// Which lines.
    pub form: ListForm,
    /// Only if there is nothing at `path`: those in its parent whose names match. No match is an empty listing.
    pub pattern: Option<Pattern>,
    /// `-R`: and all below.
    pub recursive: bool,
    /// `-d`: the directory, not what is in it.
    pub itself: bool,
}

/// Which lines a listing has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListForm {
    /// `listing::long_line`
    Long,
    /// `listing::name_line`, so that each is an argument for RETR as it stands (RFC 1123 §4.1.2.7).
    Names {
        /// Before each entry of the directory at `path`.
        inside: Vec<u8>,
        /// Before the name at `path` if it is no directory, and before each that matches the pattern.
        beside: Vec<u8>,
    },
    /// `listing::machine_line`; `path` must be a directory: [`Refusal::NotADirectory`].
    Machine(Facts),
}

/// An answer of the house.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Yes, or: it is done.
    Done,
    /// No, and nothing was changed.
    Refused(Refusal),
    /// To [`Ask::Host`]: a word of welcome, or no.
    Host(Result<Option<String>, HostRefusal>),
    /// To [`Ask::Login`].
    Login(Result<Welcome, Denied>),
    /// To [`Ask::Listen`].
    Listening(SocketAddr),
    /// To [`Ask::Begin`].
    Begun(Begun),
    /// To [`Ask::Progress`]: octets so far.
    Progress(u64),
    /// To [`Ask::Stat`].
    Entry(Entry<'static>),
    /// To [`Ask::Kept`]: octets of the upload that broke off.
    Kept(u64),
    /// To [`Ask::Overview`].
    Overview(Overview),
    /// To [`Ask::Change`]: what is true now of those that were to be changed.
    Changed(Change),
    /// To [`Ask::Space`]: octets.
    Space(u64),
}

/// A transfer has begun.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Begun {
    /// The client's data connection is there already: 125 rather than 150.
    pub connected: bool,
    /// How many octets a RETR will send, before TYPE A and MODE Z.
    pub octets: Option<u64>,
    /// STOU: the name.
    pub name: Option<VirtualPath>,
}

/// A listing for the control connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// Whether the path is a directory whose entries follow: 212 rather than 213.
    pub directory: bool,
    /// `listing::long_text` of each, without line ends.
    pub lines: Vec<Vec<u8>>,
    /// There are more.
    pub more: bool,
}

/// Who is in, and what they find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// What this account may do anywhere at all.
    pub permissions: Permissions,
    /// Where they stand first.
    pub home: VirtualPath,
    /// What to say; LF parts lines.
    pub message: Option<String>,
}

/// Why a host is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostRefusal {
    /// Not ours.
    Unknown,
    /// Ours, and not now: the session ends.
    Away,
}

/// Why someone is not let in. The house takes its time over it (RFC 2577 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// No such user, or not this password; nobody learns which.
    Credentials,
    /// Too many attempts lately; this one was not even looked at.
    Throttled,
    /// Too many sessions of this user, or of this address.
    TooMany,
    /// The house cannot tell now.
    Temporary,
    /// The password may be right, but this account may not in, for this reason (one line for the user).
    Policy(String),
}

/// What the session is told unasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// What was begun has ended.
    Ended(Outcome),
}

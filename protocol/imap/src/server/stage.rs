//! Where a session stands, and what it knows there.
//!
//! RFC 9051 §3 (states).
//!
//! Invariants: each stage owns exactly what exists in it.
//! Not here: what leads from one to the next (the other files of this folder).

use super::append::Append;
use super::context::{Contexts, Recheck};
use super::fetch::FetchWork;
use super::list::ListWork;
use super::mailbox::Resyncing;
use super::notify::NotifyWork;
use super::search::SearchWork;
use super::store::StoreWork;
use super::urls::UrlWork;
use crate::command::{GetMetadata, Select, StatusItem};
use crate::fetch::Item;
use crate::flag::Keyword;
use crate::name::MailboxName;
use crate::reply::Reply;
use crate::server::ask::{Flagged, Permanent, Selected};
use crate::set::NumberSet;
use crate::view::View;
use sasl::server::Exchange;

/// Where a session stands.
#[derive(Debug)]
pub(super) enum Stage {
    /// Nothing was said yet.
    Greeting,
    /// Not authenticated.
    Stranger,
    /// A challenge is out.
    Exchanging { tag: Vec<u8>, exchange: Exchange },
    /// The house is asked about a login.
    AwaitingCredentials { tag: Vec<u8>, exchange: Exchange },
    /// The house notes what a client says of itself before login.
    AwaitingNote { tag: Vec<u8> },
    /// TLS is to begin.
    Securing,
    /// Compression is to begin.
    Deflating(Box<Member>),
    /// Authenticated, perhaps with a mailbox selected.
    Member(Box<Member>),
    /// A question of a command is open.
    Awaiting { member: Box<Member>, turn: Turn, pending: Box<Pending> },
    /// A command has more to say than fits into one piece.
    Flowing { member: Box<Member>, turn: Turn, flow: Box<Flow> },
    /// A message comes in.
    Appending { member: Box<Member>, turn: Turn, append: Box<Append> },
    /// A message has come in; another one follows, or the end.
    BetweenMessages { member: Box<Member>, turn: Turn, append: Box<Append> },
    /// IDLE.
    Idling { member: Box<Member>, turn: Turn },
    /// It is over.
    Closing,
}

/// The command that is being obeyed.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    /// What its reply begins with.
    pub tag: Vec<u8>,
    /// UID stood before it.
    pub uid: bool,
    /// Whether messages that are gone may be announced behind it.
    pub expunges: bool,
}

/// Who is logged in, and what was agreed with the client.
#[derive(Debug)]
pub(super) struct Member {
    /// The account, as the house calls it.
    pub account: String,
    pub enabled: Enabled,
    pub attention: Attention,
    pub mailbox: Option<Mailbox>,
}

/// What is told of the selected mailbox.
#[derive(Debug, Clone)]
pub(super) struct Attention {
    pub new: bool,
    pub expunged: bool,
    pub flags: bool,
    /// Also between commands.
    pub at_once: bool,
    /// Those that are gone only where a command allows it.
    pub delayed: bool,
    /// What is fetched of new messages.
    pub items: Vec<Item>,
}

impl Default for Attention {
    /// Before NOTIFY: everything, behind commands.
    fn default() -> Self {
        Attention { new: true, expunged: true, flags: true, at_once: false, delayed: false, items: Vec::new() }
    }
}

impl Attention {
    /// Nothing.
    pub fn none() -> Self {
        Attention { new: false, expunged: false, flags: false, ..Attention::default() }
    }
}

/// What was switched on by ENABLE, or by using it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Enabled {
    pub rev2: bool,
    pub utf8: bool,
    pub condstore: bool,
    pub qresync: bool,
    pub uid_only: bool,
}

impl Enabled {
    /// Whether mailbox names travel as UTF-8.
    pub fn names_in_utf8(self) -> bool {
        self.rev2 || self.utf8
    }

    /// Whether expunged messages are told by UID.
    pub fn tells_vanished(self) -> bool {
        self.qresync || self.uid_only
    }
}

/// The selected mailbox.
#[derive(Debug)]
pub(super) struct Mailbox {
    pub name: MailboxName,
    pub uidvalidity: u32,
    pub view: View,
    pub read_only: bool,
    pub permanent: Permanent,
    pub keywords: Vec<Keyword>,
    pub highestmodseq: u64,
    /// What `$` stands for: UIDs.
    pub saved: NumberSet,
    /// New messages that were not announced.
    pub exists_due: bool,
    /// New messages that are not to be announced: they have no number.
    pub untold: NumberSet,
    /// New messages of which something may have to be fetched unasked.
    pub new: NumberSet,
    /// Searches that are kept up to date.
    pub contexts: Option<Box<Contexts>>,
}

impl Mailbox {
    pub fn new(name: MailboxName, selected: &Selected) -> Self {
        Mailbox {
            name,
            uidvalidity: selected.uidvalidity,
            view: View::new(&selected.uids),
            read_only: selected.read_only,
            permanent: selected.permanent.clone(),
            keywords: selected.keywords.clone(),
            highestmodseq: selected.highestmodseq,
            saved: NumberSet::new(),
            exists_due: false,
            untold: NumberSet::new(),
            new: NumberSet::new(),
            contexts: None,
        }
    }
}

/// What an open question is for.
#[derive(Debug)]
pub(super) enum Pending {
    /// `Done`, and then this reply.
    Done(Reply),
    /// `Sync` at the end of a command, whose reply this is.
    End(Reply),
    /// `Sync` within IDLE.
    Idle,
    /// `Sync` between commands.
    Unasked,
    /// `Search` for what changes mean to a search that is kept up to date.
    Recheck(Recheck),
    Watch(NotifyWork),
    WatchStatus(NotifyWork),
    Elsewhere(Then),
    /// `Forget`.
    Forget,
    Namespaces,
    Mailboxes(ListWork),
    ListStatus(ListWork),
    ListMetadata(ListWork),
    ListRights(ListWork),
    Status {
        mailbox: MailboxName,
        items: Vec<StatusItem>,
    },
    Created,
    Deleted(MailboxName),
    /// `Deselect` before a `Select`.
    Select(Select),
    /// QRESYNC: which of these are gone.
    ResyncVanished(Resyncing, NumberSet),
    /// `Expunge` of CLOSE.
    CloseExpunge,
    /// `Deselect`, whose reply this is.
    Deselect(Reply),
    Expunge,
    AppendMessage(Box<Append>),
    /// CATENATE: a text is announced.
    AppendText(Box<Append>),
    /// CATENATE: which URL it was.
    AppendPart(Box<Append>, String),
    AppendCommit {
        replacing: Option<u32>,
    },
    /// `AppendAbandon`, while the rest of the command is thrown away.
    AppendAbandoned,
    /// `AppendAbandon`, whose reply this is.
    AppendAbandon(Reply),
    FetchVanished(FetchWork),
    Fetch(FetchWork),
    /// `Read` of a stretch.
    Read(FetchWork),
    Store(StoreWork),
    Copy {
        removed: bool,
    },
    Search(SearchWork),
    SearchIn(SearchWork),
    /// GENURLAUTH: the URLs as they came.
    AuthorizeUrls(Vec<String>),
    FetchUrl(UrlWork),
    /// `Read` of what a URL names.
    ReadUrl(UrlWork),
    Quota,
    QuotaRoots(MailboxName),
    Metadata(GetMetadata),
    Acl(MailboxName),
    GrantableRights(MailboxName, String),
    MyRights(MailboxName),
}

/// What a command has still to say.
#[derive(Debug)]
pub(super) enum Flow {
    /// What `Sync` told: those gone first, then the flags.
    Changes {
        flags: Vec<Flagged>,
        more: bool,
        then: Then,
    },
    Fetch(Box<FetchWork>),
    Store(Box<StoreWork>),
    List(ListWork),
    Urls(UrlWork),
}

/// What follows when everything was announced.
#[derive(Debug)]
pub(super) enum Then {
    Reply(Reply),
    Idle,
    /// Nobody has asked.
    Nothing,
}

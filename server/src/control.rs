//! What an administrator may ask of a running server, or of a store that no server holds.
//!
//! A request and its answer are one line of JSON each; how far a long one has come is told in lines before its answer. They travel over `data/control.sock`, which only its owner
//! can open, while a server runs; otherwise the command opens the store itself and the same code answers.
//!
//! Invariants: one place answers ([`crate::admin`]), whichever way the request came.
//! Not here: how answers look on a terminal (app).

use crate::{archives, hooks};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Where the control socket of a data directory is.
pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("control.sock")
}

/// What is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Request {
    /// Is anybody there?
    Ping,
    /// Make an account.
    AccountAdd {
        /// Address and login.
        address: String,
        /// The person's name.
        name: Option<String>,
        /// The password.
        password: String,
        /// The most it may hold, in octets.
        quota: Option<u64>,
    },
    /// All accounts.
    AccountList,
    /// Change a password.
    AccountPasswd {
        /// Which account.
        address: String,
        /// The new one.
        password: String,
    },
    /// Change how much an account may hold.
    AccountQuota {
        /// Which account.
        address: String,
        /// Octets of mail, and as many of files.
        bytes: Change,
        /// Messages.
        messages: Change,
        /// Files, links and directories.
        files: Change,
    },
    /// Change what an account may do with its own files.
    AccountPermit {
        /// Which account.
        address: String,
        /// Words with commas between them; `None`: what the configuration says.
        words: Option<String>,
    },
    /// Open or close an account.
    AccountDoor {
        /// Which account.
        address: String,
        /// Whether it gets mail and logs in.
        open: bool,
    },
    /// Remove an account, its mail and its files.
    AccountRemove {
        /// Which account.
        address: String,
        /// Its files are put aside and not removed.
        keep_files: bool,
    },
    /// Make an app password.
    AppPasswordAdd {
        /// Whose.
        address: String,
        /// What its owner calls it.
        label: String,
        /// What it opens; everything if empty.
        services: Vec<String>,
    },
    /// The app passwords of an account.
    AppPasswordList {
        /// Whose.
        address: String,
    },
    /// Take an app password back.
    AppPasswordRemove {
        /// Whose.
        address: String,
        /// Its number.
        id: u32,
    },
    /// Take mail for a domain.
    DomainAdd {
        /// Its name.
        domain: String,
        /// The account for addresses that nobody has.
        catch_all: Option<String>,
    },
    /// All domains.
    DomainList,
    /// No longer take mail for a domain.
    DomainRemove {
        /// Its name.
        domain: String,
    },
    /// What files there are.
    FilesUsage {
        /// Of one account or space; of all if `None`.
        only: Option<String>,
        /// Counted anew, for files that other programs have brought or taken away.
        anew: bool,
    },
    /// Make or replace an alias.
    AliasAdd {
        /// The address.
        address: String,
        /// Where it leads.
        targets: Vec<String>,
    },
    /// All aliases.
    AliasList,
    /// Remove an alias.
    AliasRemove {
        /// The address.
        address: String,
    },
    /// What waits in the queue.
    QueueList,
    /// One mail of the queue.
    QueueShow {
        /// Its id.
        mail: String,
    },
    /// Do something with mail of the queue.
    QueueChange {
        /// What.
        change: QueueChange,
        /// With which.
        which: Which,
    },
    /// The hooks, and what waits for them.
    HookList,
    /// Tell hooks now what waits for them.
    HookRetry {
        /// What.
        which: hooks::Which,
    },
    /// Do not tell hooks what waits for them.
    HookDrop {
        /// What.
        which: hooks::Which,
    },
    /// Try a hook.
    HookTest {
        /// Its name.
        hook: String,
    },
    /// Refused addresses.
    BanList,
    /// Take an address in again.
    BanLift {
        /// The address.
        address: std::net::IpAddr,
    },
    /// Who is connected.
    SessionList {
        /// Those of interest.
        only: SessionFilter,
    },
    /// End sessions.
    SessionEnd {
        /// Which.
        which: WhichSessions,
    },
    /// Verify the store.
    StoreCheck,
    /// Give the room of deleted mail back.
    StoreCompact,
    /// Bring mail from a disk.
    Import {
        /// Into which account.
        address: String,
        /// From where, in full.
        path: PathBuf,
        /// Its format, if that is known.
        format: Option<archives::Format>,
        /// The mailbox for what is not in a folder.
        into: Option<String>,
        /// Do all but write.
        dry_run: bool,
        /// Bring also what was brought before.
        again: bool,
    },
    /// Put mail on a disk.
    Export {
        /// Of which account.
        address: String,
        /// Where to, in full.
        path: PathBuf,
        /// How.
        format: archives::Format,
        /// Which mailboxes; all if empty.
        mailboxes: Vec<String>,
    },
}

/// What becomes of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It stays as it is.
    #[default]
    Keep,
    /// There is none any more.
    Lift,
    /// It is this.
    Set(u64),
}

impl Change {
    /// The limit as it is then.
    pub fn of(self, limit: Option<u64>) -> Option<u64> {
        match self {
            Change::Keep => limit,
            Change::Lift => None,
            Change::Set(limit) => Some(limit),
        }
    }
}

/// What to do with mail of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueueChange {
    /// Try it now.
    Retry,
    /// Keep it from being sent.
    Hold,
    /// Let it go on.
    Release,
    /// Delete it.
    Drop,
}

/// Which mail of the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// One mail.
    Mail(String),
    /// All mail to a domain.
    Domain(String),
    /// All.
    All,
}

/// Which sessions are of interest: those to which all apply that are given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SessionFilter {
    /// Those of this account, or of guests: `anonymous`.
    pub account: Option<String>,
    /// Those of this service; `imap` is `imaps`, too.
    pub service: Option<String>,
    /// Those from this address.
    pub peer: Option<std::net::IpAddr>,
}

/// Which sessions to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhichSessions {
    /// Those with these ids.
    Named(Vec<String>),
    /// Those that fit.
    Fitting(SessionFilter),
}

/// What is answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It is done; a sentence says what.
    Done(String),
    /// Accounts.
    Accounts(Vec<AccountLine>),
    /// An app password that was made. It is shown now and never again.
    AppPassword {
        /// Whose.
        address: String,
        /// Its number.
        id: u32,
        /// Itself.
        password: String,
    },
    /// The app passwords of an account.
    AppPasswords(Vec<AppPasswordLine>),
    /// Domains.
    Domains(Vec<DomainLine>),
    /// What accounts and spaces hold.
    Files(Vec<FilesLine>),
    /// Aliases.
    Aliases(Vec<AliasLine>),
    /// Mail of the queue.
    Queue(Vec<QueueLine>),
    /// One mail of the queue, entire.
    Mail(Box<QueueLine>),
    /// Hooks and what waits for them.
    Hooks {
        /// Those of the configuration of the running server.
        hooks: Vec<HookLine>,
        /// What waits, the oldest first.
        waiting: Vec<HookEventLine>,
    },
    /// Refused addresses.
    Bans(Vec<BanLine>),
    /// Sessions.
    Sessions {
        /// In the order in which they came.
        sessions: Vec<SessionLine>,
        /// So many more there are.
        left_out: usize,
    },
    /// Sessions were told to end.
    SessionsEnded {
        /// Their ids.
        sessions: Vec<String>,
    },
    /// What a check of the store found; nothing is good news.
    Findings {
        /// How much was looked at, in a sentence.
        looked_at: String,
        /// What is wrong, a sentence each.
        wrong: Vec<String>,
    },
    /// The index was made anew, or would be.
    Rebuilt(Box<RebuiltStore>),
    /// How far it has come; the answer is still to follow.
    Progress(archives::Progress),
    /// Mail was brought or put on a disk.
    Archived(archives::Summary),
    /// It could not be done.
    Refused {
        /// Why, and what to do.
        why: String,
        /// Whether what was named does not exist.
        missing: bool,
    },
}

/// What a rebuilding of the index found, and did or would do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RebuiltStore {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Segments that were read.
    pub segments: u64,
    /// Messages in mailboxes.
    pub messages: u64,
    /// Octets of these.
    pub bytes: u64,
    /// Who has them.
    pub accounts: Vec<RebuiltLine>,
    /// Recipients of mails that wait in the queue, held.
    pub held: u64,
    /// Mails for elsewhere that have expired and are not queued again.
    pub expired: u64,
    /// Messages of accounts that had been removed.
    pub left_out: u64,
    /// Whether accounts and names of mailboxes were known.
    pub names_known: bool,
    /// What is damaged, a sentence each.
    pub damage: Vec<String>,
    /// Where the old index is now.
    pub kept: Option<PathBuf>,
}

/// An account of a rebuilt index.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RebuiltLine {
    /// Its address.
    pub address: String,
    /// Messages it holds.
    pub messages: u64,
    /// Octets it holds.
    pub bytes: u64,
    /// Its address was guessed from its mail; it has no password.
    pub unknown: bool,
}

/// An account in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AccountLine {
    /// Address and login.
    pub address: String,
    /// The person's name.
    pub name: Option<String>,
    /// Messages it holds.
    pub messages: u64,
    /// Octets it holds.
    pub bytes: u64,
    /// Octets of mail it may hold, and as many of files.
    pub quota: Option<u64>,
    /// Messages it may hold.
    #[serde(default)]
    pub quota_messages: Option<u64>,
    /// Files, links and directories it may hold.
    #[serde(default)]
    pub quota_files: Option<u64>,
    /// What it may do with its own files, if the configuration does not say that.
    #[serde(default)]
    pub file_permissions: Option<String>,
    /// Whether it is closed.
    pub disabled: bool,
}

/// An app password in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AppPasswordLine {
    /// Its number.
    pub id: u32,
    /// What its owner calls it.
    pub label: String,
    /// What it opens; everything if empty.
    pub services: Vec<String>,
    /// When it was made, in Unix seconds.
    pub created: i64,
    /// When it was last used, in Unix seconds, to a day.
    pub last_used: Option<i64>,
}

/// What an account or a space holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FilesLine {
    /// The account, or the space.
    pub name: String,
    /// Whether it is a space for several.
    pub shared: bool,
    /// Where it lies.
    pub path: String,
    /// Octets.
    pub bytes: u64,
    /// Files, links and directories.
    pub files: u64,
    /// Octets it may hold.
    pub quota_bytes: Option<u64>,
    /// Files, links and directories it may hold.
    pub quota_files: Option<u64>,
}

/// A domain in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DomainLine {
    /// Its name.
    pub domain: String,
    /// How many accounts it has.
    pub accounts: usize,
    /// The account for addresses that nobody has.
    pub catch_all: Option<String>,
}

/// An alias in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AliasLine {
    /// The address.
    pub address: String,
    /// Where it leads.
    pub targets: Vec<String>,
}

/// A mail of the queue.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QueueLine {
    /// Its id.
    pub mail: String,
    /// The reverse-path; empty for a bounce.
    pub sender: String,
    /// Its size in octets.
    pub size: u64,
    /// When it came, in Unix seconds.
    pub arrived_at: i64,
    /// When delivery is given up.
    pub expires_at: i64,
    /// Who is still to get it.
    pub recipients: Vec<RecipientLine>,
}

/// A recipient that waits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecipientLine {
    /// The address.
    pub address: String,
    /// Whether it is held.
    pub held: bool,
    /// Attempts so far.
    pub attempts: u32,
    /// When the next one is due, in Unix seconds.
    pub next_attempt: i64,
    /// What the last attempt ended with.
    pub reason: Option<String>,
    /// The host that said so.
    pub host: Option<String>,
    /// Attempts that failed, as far as they are remembered, the oldest first; in the answer about one mail alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<AttemptLine>,
}

/// An attempt that failed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AttemptLine {
    /// When it was made, in Unix seconds.
    pub at: i64,
    /// The host that was spoken to, or that should have been.
    pub host: Option<String>,
    /// What was said, or what went wrong.
    pub reason: String,
}

/// A hook.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HookLine {
    /// Its name.
    pub name: String,
    /// What it is told of.
    pub events: Vec<String>,
    /// The paths it is told of; all if empty.
    pub paths: Vec<String>,
    /// The accounts it is told of; all if empty.
    pub accounts: Vec<String>,
    /// The command or the URL.
    pub target: String,
}

/// What waits for a hook.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HookEventLine {
    /// The event's id.
    pub id: String,
    /// The hook's name.
    pub hook: String,
    /// What happened.
    pub event: String,
    /// Whose file it was.
    pub account: String,
    /// Which file.
    pub path: String,
    /// When it happened, in Unix seconds.
    pub happened_at: i64,
    /// Attempts since the start of the server.
    pub attempts: u32,
    /// When the next one is due, in Unix seconds.
    pub next_attempt: i64,
    /// Why the last one failed.
    pub reason: Option<String>,
}

/// A refused address.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BanLine {
    /// The address.
    pub address: String,
    /// Until when, in Unix seconds.
    pub until: i64,
    /// Why.
    pub why: String,
}

/// A session that is connected.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionLine {
    /// Its id, which lines of the log have as `session`.
    pub session: String,
    /// The service it came to: `smtp`, `imaps` and so on.
    pub service: String,
    /// Who is logged in; `anonymous` for a guest.
    pub account: Option<String>,
    /// Its address and port.
    pub peer: String,
    /// Whether it is under TLS.
    pub tls: bool,
    /// When it came, in Unix seconds.
    pub since: i64,
    /// How long it has said nothing, in seconds; while a transfer runs, it is not idle.
    pub idle_secs: Option<u64>,
    /// What the client says of itself.
    pub client: Option<String>,
    /// What runs.
    pub transfer: Option<TransferLine>,
    /// It was told to end.
    pub ending: bool,
}

/// A transfer that runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TransferLine {
    /// `download`, `upload` or `listing`.
    pub direction: String,
    /// Which file.
    pub path: Option<String>,
    /// Octets that have moved so far.
    pub octets: u64,
    /// How many of them in a second, since it began.
    pub octets_per_second: u64,
}

//! What the server is told when it starts: plain values, read and checked by `app`.
//!
//! Not here: keys, files and fallbacks (app's configuration).

use crate::hooks::Hook;
use files::{JailedPath, Permissions};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

/// Everything the server must know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The name it greets with and signs trace fields with.
    pub host_name: String,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// What listens where.
    pub listeners: Vec<ListenAt>,
    /// The certificate, if it is not to be self-signed.
    pub certificate: Option<CertificateFiles>,
    /// The authorities that vouch for people, who may log in by their certificates then (PEM).
    pub client_ca: Option<PathBuf>,
    /// Networks whose connections begin with the PROXY protocol.
    pub proxy_networks: Vec<net::listen::Network>,
    /// Networks that may relay without login.
    pub trusted_networks: Vec<policy::Network>,
    /// Connections at once, over all ports.
    pub connections_max: usize,
    /// Connections at once from one address.
    pub connections_per_address_max: usize,
    /// How much an account may send.
    pub sending: policy::SendingSettings,
    /// Whether passwords are taken without TLS.
    pub login_in_clear: InClear,
    /// The largest message, in octets.
    pub message_size_max_bytes: u64,
    /// Recipients of one message.
    pub recipients_max: usize,
    /// How long an SMTP client may be silent.
    pub smtp_idle_limit: Duration,
    /// How long a POP3 client may be silent.
    pub pop3_idle_limit: Duration,
    /// How long an IMAP client may be silent.
    pub imap_idle_limit: Duration,
    /// Who may use URLs that are meant for submission (RFC 4467 §3), by the names of their accounts.
    pub imap_submitters: Vec<String>,
    /// What is particular to FTP.
    pub ftp: FtpSettings,
    /// Which files there are for whom.
    pub files: FileSettings,
    /// Who is who, as far as the configuration says it.
    pub directory: DirectorySettings,
    /// People who are made at the start if they are not there: for `dev`.
    pub people: &'static [Person],
    /// The outgoing queue.
    pub queue: QueueSettings,
    /// Where mail goes that does not go where DNS says.
    pub routes: Vec<Route>,
    /// Who is told of what happens.
    pub hooks: Vec<Hook>,
    /// Name servers; those of the system if empty.
    pub dns_servers: Vec<SocketAddr>,
    /// Whether every dialogue is printed to standard output.
    pub show_dialogue: bool,
}

impl Settings {
    /// The hook of this name.
    pub fn hook(&self, name: &str) -> Option<&Hook> {
        self.hooks.iter().find(|hook| hook.name == name)
    }
}

/// Who is who, as far as the configuration says it.
#[derive(Debug, Clone)]
pub struct DirectorySettings {
    /// What separates an account from a tag.
    pub separator: Option<char>,
    /// Who gets mail to postmaster and abuse.
    pub postmaster: Option<String>,
    /// Who gets mail to anybody else, anywhere.
    pub catch_all: Option<String>,
    /// The domain of logins without one.
    pub default_domain: Option<String>,
}

impl Default for DirectorySettings {
    fn default() -> Self {
        DirectorySettings { separator: Some('+'), postmaster: None, catch_all: None, default_domain: None }
    }
}

/// What is particular to FTP.
#[derive(Debug, Clone)]
pub struct FtpSettings {
    /// What clients hear first; LF parts lines. If `None`, what the dialogue says by itself.
    pub greeting: Option<String>,
    /// Where clients may be told to come for their data; any free port if `None`.
    pub passive_ports: Option<net::PortRange>,
    /// What PASV shows to clients from public addresses, where the machine itself has another.
    pub public_address: Option<Ipv4Addr>,
    /// Who must use TLS.
    pub require_tls: FtpTls,
    /// Whether a data connection under TLS must resume the session of its control connection.
    pub data_must_resume: bool,
    /// Whether a client may end TLS on its control connection by CCC.
    pub clear_control: bool,
    /// Whether data may come from and go to others than the client: from server to server.
    pub foreign_data: bool,
    /// Whether files and listings may be compressed on their way (MODE Z).
    pub compression: bool,
    /// How many sessions there may be.
    pub sessions_max: u32,
    /// How many of them may be of one account.
    pub sessions_per_account_max: u32,
    /// How long a client may be silent while nothing is transferred.
    pub idle_limit: Duration,
    /// How long nothing may move in a transfer.
    pub stall_limit: Duration,
    /// The file of the transfer log, if there is to be one.
    pub transfer_log: Option<PathBuf>,
    /// Whether an upload is on the disk when the client hears that it is stored. Holds from the start on.
    pub syncs: FtpSyncs,
    /// How many octets of files a session may move in a second, both directions together.
    pub rate_per_session: Option<NonZeroU64>,
    /// The same for all sessions of an account together.
    pub rate_per_account: Option<NonZeroU64>,
    /// Whether there is anonymous FTP (RFC 1635), and how.
    pub guests: Option<GuestSettings>,
}

impl Default for FtpSettings {
    fn default() -> Self {
        FtpSettings {
            greeting: None,
            passive_ports: None,
            public_address: None,
            require_tls: FtpTls::Login,
            data_must_resume: true,
            clear_control: false,
            foreign_data: false,
            compression: false,
            sessions_max: 10_000,
            sessions_per_account_max: 50,
            idle_limit: Duration::from_secs(300),
            stall_limit: Duration::from_secs(300),
            transfer_log: None,
            syncs: FtpSyncs::Always,
            rate_per_session: None,
            rate_per_account: None,
            guests: None,
        }
    }
}

/// Those who come without an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestSettings {
    /// How many at once.
    pub sessions_max: u32,
    /// A file with the words of welcome, read at each login.
    pub welcome: Option<PathBuf>,
}

/// The words for permissions, as a hint for who has said another.
pub const PERMISSION_WORDS: &str = "the words are full, read-only, drop-box and none, or list, read, write, append, create, delete, rename, mkdir, rmdir and chmod";

/// Which files there are for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSettings {
    /// What accounts may do with files of their own, unless their record says otherwise; with nothing, there are none.
    pub own: Permissions,
    /// How long an account's interrupted uploads are kept among its own files; zero: not at all.
    pub keep_interrupted: Duration,
    /// Directories for several.
    pub spaces: Vec<SpaceSettings>,
}

impl Default for FileSettings {
    fn default() -> Self {
        FileSettings { own: Permissions::ALL, keep_interrupted: Duration::from_secs(86_400), spaces: Vec::new() }
    }
}

/// A directory for several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpaceSettings {
    /// What it is called in logs and commands.
    pub name: String,
    /// Where it lies; if `None`, in the data directory, and it is made.
    pub path: Option<PathBuf>,
    /// Where those who have it see it.
    pub at: JailedPath,
    /// Who has it.
    pub members: Vec<Whom>,
    /// What they may do there.
    pub permissions: Permissions,
    /// What some of them may do in some of its directories instead. Of those for one directory the first that fits holds.
    pub rules: Vec<SpaceRule>,
    /// How much it may hold.
    pub quota: files::Quota,
    /// How long interrupted uploads are kept; zero: not at all.
    pub keep_interrupted: Duration,
    /// Modes of new files, less the process's umask.
    pub file_mode: u32,
    /// Modes of new directories, less the process's umask.
    pub directory_mode: u32,
    /// What lies there from the start, path and content: for `dev`.
    pub first_files: &'static [(&'static str, &'static str)],
}

/// What holds in one directory of a space and below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpaceRule {
    /// The directory, from the top of the space.
    pub at: JailedPath,
    /// For whom; for all who have the space if nobody is named.
    pub whom: Vec<Whom>,
    /// What they may do there.
    pub permissions: Permissions,
}

/// Who is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// The account of this name, in canonical form.
    Account(String),
    /// All accounts of this domain, in canonical form.
    Domain(String),
    /// All accounts.
    Accounts,
    /// Those who come without one.
    Guests,
}

impl Whom {
    /// Whether somebody may be meant by both.
    pub fn meets(&self, other: &Whom) -> bool {
        match (self, other) {
            (Whom::Guests, other) | (other, Whom::Guests) => *other == Whom::Guests,
            (Whom::Accounts, _) | (_, Whom::Accounts) => true,
            (Whom::Account(account), Whom::Domain(domain)) | (Whom::Domain(domain), Whom::Account(account)) => {
                account.rsplit_once('@').is_some_and(|(_, of)| of == domain)
            }
            (one, other) => one == other,
        }
    }
}

pub use files::Syncs as FtpSyncs;

/// Who must use TLS with FTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FtpTls {
    /// Nobody.
    Never,
    /// Whoever may not log in without, by `login.in_clear`.
    Login,
    /// Everybody.
    Always,
}

/// Somebody who is made at the start.
#[derive(Debug, Clone, Copy)]
pub struct Person {
    /// Address and login.
    pub address: &'static str,
    /// Not a secret at all.
    pub password: &'static str,
    /// Who that is.
    pub sentence: &'static str,
    /// What lies in the file space from the start: path and content.
    pub files: &'static [(&'static str, &'static str)],
}

/// One listening port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenAt {
    /// What is spoken there.
    pub purpose: Purpose,
    /// Where it is.
    pub address: SocketAddr,
}

/// What is spoken on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// SMTP from other servers, port 25.
    Smtp,
    /// Submission with STARTTLS, port 587.
    Submission,
    /// Submission under TLS, port 465.
    Submissions,
    /// POP3 with STLS, port 110.
    Pop3,
    /// POP3 under TLS, port 995.
    Pop3s,
    /// IMAP with STARTTLS, port 143.
    Imap,
    /// IMAP under TLS, port 993.
    Imaps,
    /// FTP with AUTH TLS, port 21.
    Ftp,
    /// FTP under TLS, port 990.
    Ftps,
}

impl Purpose {
    /// All of them, in the order they are shown.
    pub const ALL: [Purpose; 9] = [
        Purpose::Smtp,
        Purpose::Submission,
        Purpose::Submissions,
        Purpose::Pop3,
        Purpose::Pop3s,
        Purpose::Imap,
        Purpose::Imaps,
        Purpose::Ftp,
        Purpose::Ftps,
    ];

    /// The registered port.
    pub fn standard_port(self) -> u16 {
        match self {
            Purpose::Smtp => 25,
            Purpose::Submission => 587,
            Purpose::Submissions => 465,
            Purpose::Pop3 => 110,
            Purpose::Pop3s => 995,
            Purpose::Imap => 143,
            Purpose::Imaps => 993,
            Purpose::Ftp => 21,
            Purpose::Ftps => 990,
        }
    }

    /// Its name in configuration, logs and tables.
    pub fn name(self) -> &'static str {
        match self {
            Purpose::Smtp => "smtp",
            Purpose::Submission => "submission",
            Purpose::Submissions => "submissions",
            Purpose::Pop3 => "pop3",
            Purpose::Pop3s => "pop3s",
            Purpose::Imap => "imap",
            Purpose::Imaps => "imaps",
            Purpose::Ftp => "ftp",
            Purpose::Ftps => "ftps",
        }
    }

    /// The protocol, whichever way it is secured: what app passwords are for.
    pub fn service(self) -> &'static str {
        match self {
            Purpose::Smtp | Purpose::Submission | Purpose::Submissions => "smtp",
            Purpose::Pop3 | Purpose::Pop3s => "pop3",
            Purpose::Imap | Purpose::Imaps => "imap",
            Purpose::Ftp | Purpose::Ftps => "ftp",
        }
    }

    /// What it is for, in a few words.
    pub fn sentence(self) -> &'static str {
        match self {
            Purpose::Smtp => "mail from other servers, no login, STARTTLS",
            Purpose::Submission => "send mail: login, STARTTLS",
            Purpose::Submissions => "send mail: login, TLS from the first octet",
            Purpose::Pop3 => "fetch mail: login, STLS",
            Purpose::Pop3s => "fetch mail: login, TLS from the first octet",
            Purpose::Imap => "read mail: login, STARTTLS",
            Purpose::Imaps => "read mail: login, TLS from the first octet",
            Purpose::Ftp => "files: login, AUTH TLS",
            Purpose::Ftps => "files: login, TLS from the first octet",
        }
    }

    /// Whether TLS comes before the first word.
    pub fn is_tls_implicit(self) -> bool {
        matches!(self, Purpose::Submissions | Purpose::Pop3s | Purpose::Imaps | Purpose::Ftps)
    }
}

/// A certificate chain and its key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, our own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Whether passwords are taken over connections without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InClear {
    /// Nowhere.
    Never,
    /// From the machine itself.
    Loopback,
    /// Everywhere.
    Always,
}

impl InClear {
    /// Whether a peer at this address may log in without TLS.
    pub fn allows(self, peer: IpAddr) -> bool {
        match self {
            InClear::Never => false,
            InClear::Loopback => peer.to_canonical().is_loopback(),
            InClear::Always => true,
        }
    }
}

/// The outgoing queue.
#[derive(Debug, Clone)]
pub struct QueueSettings {
    /// When to try again and when to give up.
    pub schedule: policy::Schedule,
    /// Connections at once to one destination.
    pub connections_per_host_max: usize,
    /// Connections at once to all destinations.
    pub connections_max: usize,
    /// The port of other servers: 25 but in tests.
    pub port: u16,
    /// The address to send from.
    pub source_address: Option<IpAddr>,
}

impl Default for QueueSettings {
    fn default() -> Self {
        QueueSettings {
            schedule: policy::Schedule::default(),
            connections_per_host_max: 5,
            connections_max: 100,
            port: 25,
            source_address: None,
        }
    }
}

/// Where mail for a domain goes, whatever DNS says.
#[derive(Debug, Clone)]
pub struct Route {
    /// The recipients' domain in lower case, or `*`.
    pub domain: String,
    /// The host that takes it.
    pub host: String,
    /// Its port; 465 means TLS from the first octet.
    pub port: u16,
    /// How much TLS is wanted.
    pub tls: RouteTls,
    /// The login for a smarthost.
    pub login: Option<(String, line::Secret)>,
}

/// How much TLS a route wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteTls {
    /// If the other side offers it, whatever its certificate.
    Opportunistic,
    /// With a certificate that verifies for the host, or not at all.
    Required,
    /// Never.
    None,
}

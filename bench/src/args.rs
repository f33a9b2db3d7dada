//! What may be said on the command line.
//!
//! Not here: what is done about it.

use crate::pattern::Pattern;
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// A load generator for mail and file servers. It checks every answer and every octet.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub struct Args {
    /// Print one line of JSON instead of a table
    #[arg(long, global = true)]
    pub json: bool,
    /// Threads of the client; client and server usually share the machine
    #[arg(long, global = true, default_value_t = 1)]
    pub threads: usize,
    /// Name of the server in the figures
    #[arg(long, global = true)]
    pub server: Option<String>,
    /// Name of the row in a table of ratios
    #[arg(long, global = true)]
    pub row: Option<String>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "Examples:
  bench smtp send --to 127.0.0.1:10025 --connections 10 --messages 5000 --rcpt 'u{0..99}@example.test'
  bench pop3 retr --to 127.0.0.1:10110 --user 'u{0..9}' --pass pw --in-flight 50
  bench visible --smtp 127.0.0.1:10025 --pop3 127.0.0.1:10110 --user 'u{0..9}' --rcpt 'u{0..9}@example.test' --pass pw
  bench imap fill --to 127.0.0.1:10143 --user u0 --pass pw --mailbox ten --messages 10000 --size 8192
  bench imap list --to 127.0.0.1:10143 --user u0 --pass pw --mailbox ten --messages 10000 --size 8192 --what envelopes
  bench ftp retr --to 127.0.0.1:10021 --starttls --user u0 --pass pw --files 2 --connections 2 --size 1073741824
  bench ftp retr --to 127.0.0.1:10021 --starttls --tls12 --user u0 --pass pw --files 2000
  bench ftp login --to 127.0.0.1:10021 --connections 300 --logins 300 --from '127.0.0.{1..100}'
  bench ftp list --to 127.0.0.1:10021 --form mlsd --files 10000
  bench idle --to 127.0.0.1:10025 --connections 10000 --pid 4711";

/// The kinds of load.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send mail, or log in to send it
    #[command(subcommand)]
    Smtp(Smtp),
    /// Read mail, or log in to read it
    #[command(subcommand)]
    Pop3(Pop3),
    /// Keep mail in mailboxes, list, search and change it, or log in for it
    #[command(subcommand)]
    Imap(Imap),
    /// Fetch, store and list files, or log in for it
    #[command(subcommand)]
    Ftp(Ftp),
    /// Send by SMTP and wait until a new POP3 login sees it
    Visible(Visible),
    /// Hold connections open and weigh the server
    Idle(Idle),
    /// Compare the figures of several servers, from lines of JSON
    Ratios(Ratios),
}

/// SMTP and LMTP.
#[derive(Debug, Subcommand)]
pub enum Smtp {
    /// Send messages, each awaiting its final 250
    Send(SmtpSend),
    /// Connect, EHLO, AUTH PLAIN, QUIT
    Login(Login),
}

/// POP3.
#[derive(Debug, Subcommand)]
pub enum Pop3 {
    /// Retrieve every message of every user and check it octet by octet
    Retr(Pop3Retr),
    /// Connect, USER, PASS, QUIT
    Login(Login),
    /// Delete every message of every user
    Empty(Pop3Empty),
}

/// IMAP.
#[derive(Debug, Subcommand)]
pub enum Imap {
    /// Make a mailbox with so many mails, each another; what is there already stays
    Fill(ImapMailbox),
    /// Append messages, each awaiting its OK, every connection to the INBOX of another user
    Append(ImapAppend),
    /// Fetch something of every mail of a mailbox that was filled, and check it
    List(ImapList),
    /// Set a flag on every mail of a mailbox in one command, and take it away again
    Store(ImapStore),
    /// Search a mailbox that was filled, for what one mail has
    Search(ImapSearch),
    /// Sort a mailbox that was filled
    Sort(ImapSort),
    /// Put the messages of a mailbox that was filled in threads
    Thread(ImapThread),
    /// Select a mailbox that was filled
    Select(ImapMailbox),
    /// Send mail to a session in IDLE, and wait until it says so
    Notice(ImapNotice),
    /// Connect, LOGIN, LOGOUT
    Login(Login),
}

/// FTP.
#[derive(Debug, Subcommand)]
pub enum Ftp {
    /// Fetch files and compare every octet; what is not there is stored first
    Retr(FtpFiles),
    /// Store files; afterwards they are fetched, compared and deleted
    Stor(FtpFiles),
    /// List a directory of such files
    List(FtpList),
    /// Connect, USER, PASS, QUIT
    Login(Login),
}

/// Where to connect to, and how.
#[derive(Debug, Clone, clap::Args)]
pub struct Target {
    /// The server
    #[arg(long, value_name = "HOST:PORT")]
    pub to: String,
    /// TLS from the first octet; the certificate is not looked at
    #[arg(long, conflicts_with = "starttls")]
    pub tls: bool,
    /// TLS by STARTTLS, STLS or AUTH TLS (then on data connections too); the certificate is not looked at
    #[arg(long)]
    pub starttls: bool,
    /// TLS 1.2 in FTP: our client resumes a session of it as often as it likes, and one of TLS 1.3 once for each ticket
    #[arg(long, requires = "starttls")]
    pub tls12: bool,
    /// Connect from these addresses in turn, such as '127.0.0.{1..20}'
    #[arg(long, value_name = "PATTERN")]
    pub from: Option<Pattern>,
}

/// How often to measure.
#[derive(Debug, Clone, clap::Args)]
pub struct Effort {
    /// Measured runs
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub runs: u32,
    /// Runs that are done first and not counted
    #[arg(long, default_value_t = 1)]
    pub warm_up: u32,
    /// Process whose CPU time is to be reported, with its children
    #[arg(long)]
    pub pid: Option<u32>,
}

/// `bench smtp send`
#[derive(Debug, clap::Args)]
pub struct SmtpSend {
    /// Where
    #[command(flatten)]
    pub target: Target,
    /// How often
    #[command(flatten)]
    pub effort: Effort,
    /// Connections at a time
    #[arg(long, default_value_t = 1)]
    pub connections: usize,
    /// Messages in a run
    #[arg(long, default_value_t = 1000)]
    pub messages: u32,
    /// Octets of a message, dots not counted twice
    #[arg(long, default_value_t = 4096)]
    pub size: usize,
    /// Recipients, one a message in turn
    #[arg(long, value_name = "PATTERN", default_value = "u{0..99}@example.test")]
    pub rcpt: Pattern,
    /// Envelope sender
    #[arg(long, default_value = "bench@example.test")]
    pub sender: String,
    /// MAIL, RCPT and DATA in one write
    #[arg(long)]
    pub pipelined: bool,
    /// A new connection for every message, with QUIT
    #[arg(long)]
    pub one_per_connection: bool,
    /// Speak LMTP
    #[arg(long)]
    pub lmtp: bool,
    /// AUTH PLAIN first
    #[arg(long, value_name = "USER:PASSWORD")]
    pub auth: Option<String>,
}

/// `bench smtp login`, `bench pop3 login`, `bench imap login`, `bench ftp login`
#[derive(Debug, clap::Args)]
pub struct Login {
    /// Where
    #[command(flatten)]
    pub target: Target,
    /// How often
    #[command(flatten)]
    pub effort: Effort,
    /// Connections at a time
    #[arg(long, default_value_t = 10)]
    pub connections: usize,
    /// Length of a run
    #[arg(long, default_value_t = 5)]
    pub seconds: u64,
    /// Logins in a run, if it shall end before: with as many connections each logs in once, all at the same time
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub logins: Option<u32>,
    /// Users, one a login in turn
    #[arg(long, value_name = "PATTERN", default_value = "u{0..99}")]
    pub user: Pattern,
    /// Everybody's password
    #[arg(long, default_value = "pw")]
    pub pass: String,
}

/// `bench pop3 retr`
#[derive(Debug, clap::Args)]
pub struct Pop3Retr {
    /// Where
    #[command(flatten)]
    pub target: Target,
    /// How often
    #[command(flatten)]
    pub effort: Effort,
    /// Users, all at the same time
    #[arg(long, value_name = "PATTERN", default_value = "u0")]
    pub user: Pattern,
    /// Everybody's password
    #[arg(long, default_value = "pw")]
    pub pass: String,
    /// RETR commands under way at a time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub in_flight: u32,
}

/// `bench pop3 empty`
#[derive(Debug, clap::Args)]
pub struct Pop3Empty {
    /// Where
    #[command(flatten)]
    pub target: Target,
    /// Users, one after the other
    #[arg(long, value_name = "PATTERN", default_value = "u{0..99}")]
    pub user: Pattern,
    /// Everybody's password
    #[arg(long, default_value = "pw")]
    pub pass: String,
}

/// `bench imap fill`, `bench imap select`
#[derive(Debug, Clone, clap::Args)]
pub struct ImapMailbox {
    /// Where
    #[command(flatten)]
    pub target: Target,
    /// How often
    #[command(flatten)]
    pub effort: Effort,
    /// Whose mailbox
    #[arg(long, default_value = "u0")]
    pub user: String,
    /// The password
    #[arg(long, default_value = "pw")]
    pub pass: String,
    /// Its name
    #[arg(long, default_value = "filled")]
    pub mailbox: String,
    /// Mails in it
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub messages: u32,
    /// Octets of each
    #[arg(long, default_value_t = 8192)]
    pub size: usize,
}

/// `bench imap append`
#[derive(Debug, clap::Args)]
pub struct ImapAppend {
    /// Where
    #[command(flatten)]
    pub target: Target,
    /// How often
    #[command(flatten)]
    pub effort: Effort,
    /// Connections at a time
    #[arg(long, default_value_t = 1)]
    pub connections: usize,
    /// Messages in a run
    #[arg(long, default_value_t = 1000)]
    pub messages: u32,
    /// Octets of a message
    #[arg(long, default_value_t = 4096)]
    pub size: usize,
    /// Users, one a connection
    #[arg(long, value_name = "PATTERN", default_value = "u{0..99}")]
    pub user: Pattern,
    /// Everybody's password
    #[arg(long, default_value = "pw")]
    pub pass: String,
}

/// `bench imap list`
#[derive(Debug, clap::Args)]
pub struct ImapList {
    /// Which mailbox
    #[command(flatten)]
    pub mailbox: ImapMailbox,
    /// What of each mail
    #[arg(long, value_enum, default_value_t = ImapWhat::Envelopes)]
    pub what: ImapWhat,
}

/// What can be listed of mails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ImapWhat {
    /// ENVELOPE
    Envelopes,
    /// FLAGS
    Flags,
    /// What a client shows in a list: UID, FLAGS, RFC822.SIZE and four header fields
    Headers,
    /// BODY.PEEK[], octet by octet
    Bodies,
}

/// `bench imap store`
#[derive(Debug, clap::Args)]
pub struct ImapStore {
    /// Which mailbox
    #[command(flatten)]
    pub mailbox: ImapMailbox,
    /// Without being told of it: +FLAGS.SILENT
    #[arg(long)]
    pub silent: bool,
}

/// `bench imap search`
#[derive(Debug, clap::Args)]
pub struct ImapSearch {
    /// Which mailbox
    #[command(flatten)]
    pub mailbox: ImapMailbox,
    /// Where to look: BODY, TEXT or SUBJECT
    #[arg(long, value_enum, default_value_t = ImapField::Body)]
    pub field: ImapField,
    /// Seconds to wait before, for an index to come up
    #[arg(long, default_value_t = 0)]
    pub wait: u64,
}

/// Where a search looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ImapField {
    /// In the text
    Body,
    /// Everywhere
    Text,
    /// In the subject
    Subject,
}

/// `bench imap sort`
#[derive(Debug, clap::Args)]
pub struct ImapSort {
    /// Which mailbox
    #[command(flatten)]
    pub mailbox: ImapMailbox,
    /// The order, as SORT has it
    #[arg(long, default_value = "SUBJECT")]
    pub order: String,
}

/// `bench imap thread`
#[derive(Debug, clap::Args)]
pub struct ImapThread {
    /// Which mailbox
    #[command(flatten)]
    pub mailbox: ImapMailbox,
    /// The algorithm, as THREAD has it
    #[arg(long, default_value = "REFERENCES")]
    pub algorithm: String,
}

/// `bench imap notice`
#[derive(Debug, clap::Args)]
pub struct ImapNotice {
    /// Where the session idles
    #[command(flatten)]
    pub target: Target,
    /// How often
    #[command(flatten)]
    pub effort: Effort,
    /// Where mail goes in
    #[arg(long, value_name = "HOST:PORT")]
    pub smtp: String,
    /// Speak LMTP there
    #[arg(long)]
    pub lmtp: bool,
    /// Who idles
    #[arg(long, default_value = "u0")]
    pub user: String,
    /// Their address
    #[arg(long, default_value = "u0@example.test")]
    pub rcpt: String,
    /// The password
    #[arg(long, default_value = "pw")]
    pub pass: String,
    /// Messages in a run, one after the other
    #[arg(long, default_value_t = 20)]
    pub messages: u32,
    /// Octets of a message
    #[arg(long, default_value_t = 4096)]
    pub size: usize,
}

/// `bench ftp retr`, `bench ftp stor`
#[derive(Debug, clap::Args)]
pub struct FtpFiles {
    /// Where
    #[command(flatten)]
    pub target: Target,
    /// How often
    #[command(flatten)]
    pub effort: Effort,
    /// Whose space
    #[arg(long, default_value = "u0")]
    pub user: String,
    /// The password
    #[arg(long, default_value = "pw")]
    pub pass: String,
    /// Sessions at a time, each with one transfer at a time
    #[arg(long, default_value_t = 1)]
    pub connections: usize,
    /// Files in a run, shared among the sessions
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub files: u32,
    /// So many of them are different ones; the others are fetched again
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub distinct: Option<u32>,
    /// Octets of each
    #[arg(long, default_value_t = 4096)]
    pub size: u64,
}

/// `bench ftp list`
#[derive(Debug, clap::Args)]
pub struct FtpList {
    /// Which files are to be there, and where
    #[command(flatten)]
    pub files: FtpFiles,
    /// The kind of listing
    #[arg(long, value_enum, default_value_t = FtpForm::List)]
    pub form: FtpForm,
    /// Listings in a run
    #[arg(long, default_value_t = 10)]
    pub times: u32,
}

/// The kinds of listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FtpForm {
    /// For people, as `ls -l` has it
    List,
    /// Names alone
    Nlst,
    /// For machines
    Mlsd,
}

impl FtpForm {
    /// The command.
    pub fn verb(self) -> &'static str {
        match self {
            FtpForm::List => "LIST",
            FtpForm::Nlst => "NLST",
            FtpForm::Mlsd => "MLSD",
        }
    }
}

/// `bench visible`
#[derive(Debug, clap::Args)]
pub struct Visible {
    /// Where mail goes in
    #[arg(long, value_name = "HOST:PORT")]
    pub smtp: String,
    /// Speak LMTP there
    #[arg(long)]
    pub lmtp: bool,
    /// Where mail is read
    #[arg(long, value_name = "HOST:PORT")]
    pub pop3: String,
    /// How often
    #[command(flatten)]
    pub effort: Effort,
    /// Recipients, one a message in turn
    #[arg(long, value_name = "PATTERN", default_value = "u{0..99}@example.test")]
    pub rcpt: Pattern,
    /// The recipients' users, in the same order
    #[arg(long, value_name = "PATTERN", default_value = "u{0..99}")]
    pub user: Pattern,
    /// Everybody's password
    #[arg(long, default_value = "pw")]
    pub pass: String,
    /// Envelope sender
    #[arg(long, default_value = "bench@example.test")]
    pub sender: String,
    /// Connections that send
    #[arg(long, default_value_t = 10)]
    pub connections: usize,
    /// Messages in a run
    #[arg(long, default_value_t = 1000)]
    pub messages: u32,
    /// Octets of a message
    #[arg(long, default_value_t = 4096)]
    pub size: usize,
    /// Messages sent alone in a run, to time how long each takes until it is seen
    #[arg(long, default_value_t = 50)]
    pub singles: u32,
    /// Seconds to wait for mail before giving up
    #[arg(long, default_value_t = 120)]
    pub patience: u64,
}

/// `bench idle`
#[derive(Debug, clap::Args)]
pub struct Idle {
    /// Where
    #[command(flatten)]
    pub target: Target,
    /// The dialogue spoken there
    #[arg(long, value_enum, default_value_t = Dialogue::Smtp)]
    pub dialogue: Dialogue,
    /// Connections to hold
    #[arg(long, default_value_t = 1000)]
    pub connections: usize,
    /// Say nothing, not even EHLO or CAPA
    #[arg(long)]
    pub mute: bool,
    /// Who logs in, where idlers are logged in (FTP, IMAP)
    #[arg(long, value_name = "PATTERN", default_value = "u{0..99}")]
    pub user: Pattern,
    /// Everybody's password
    #[arg(long, default_value = "pw")]
    pub pass: String,
    /// The server's process; its children are weighed too
    #[arg(long)]
    pub pid: u32,
    /// Seconds to let the server settle before it is weighed
    #[arg(long, default_value_t = 6)]
    pub settle: u64,
}

/// What an idler greets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Dialogue {
    /// 220, EHLO
    Smtp,
    /// +OK, CAPA
    Pop3,
    /// 220, USER, PASS: a session that could transfer at once
    Ftp,
    /// OK, LOGIN, SELECT INBOX, IDLE
    Imap,
}

/// `bench ratios`
#[derive(Debug, clap::Args)]
pub struct Ratios {
    /// Lines that `--json --server NAME --row NAME` printed
    pub file: PathBuf,
    /// The server to compare the others with
    #[arg(long, default_value = "packetboat")]
    pub ours: String,
}

//! What can be said on the command line. Words and examples only; the commands themselves are in `commands`.

pub mod ftp;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use server::Purpose;
use std::net::IpAddr;
use std::path::PathBuf;

/// Mail and files from one binary.
#[derive(Debug, Parser)]
#[command(
    name = "packetboat",
    version,
    about = "Mail and files from one binary: SMTP, IMAP, POP3 and FTP, a durable store, an outgoing queue",
    after_help = "Examples:
  packetboat dev                          everything on loopback, to try it or to test your software
  packetboat init mail.example.org        write a configuration and show the DNS records to publish
  packetboat serve                        run it for real
  packetboat account add joe@example.org  make an account; asks for the password
  packetboat queue list                   what waits to be delivered, and why
  packetboat ftp get ftp://host/file      fetch a file; see packetboat ftp --help

Exit codes: 0 done, 1 it failed, 2 the command line is wrong, 3 the configuration is wrong, 4 nothing of that name,
5 no connection or no login (ftp)."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    Dev(Dev),
    Serve(Serve),
    Init(Init),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Accounts: who has a mailbox and may log in.
    #[command(subcommand)]
    Account(AccountCommand),
    /// App passwords: one for each program, made by us, taken back one by one.
    #[command(subcommand)]
    AppPassword(AppPasswordCommand),
    /// Files: what accounts and spaces hold.
    #[command(subcommand)]
    Files(FilesCommand),
    /// Domains: for which names mail is taken.
    #[command(subcommand)]
    Domain(DomainCommand),
    /// Aliases: addresses that lead to accounts or to other addresses.
    #[command(subcommand)]
    Alias(AliasCommand),
    /// The outgoing queue.
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Hooks: who is told of what happens to files.
    #[command(subcommand)]
    Hook(HookCommand),
    Sessions(Sessions),
    /// Addresses that are refused for a while after too many failed logins.
    #[command(subcommand)]
    Ban(BanCommand),
    /// The store on disk.
    #[command(subcommand)]
    Store(StoreCommand),
    Ftp(Box<ftp::Ftp>),
    Import(Import),
    Export(Export),
    /// Print a completion script for a shell.
    #[command(after_help = "Example:\n  packetboat completions bash > /etc/bash_completion.d/packetboat")]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Write the man pages into a folder.
    #[command(after_help = "Example:\n  packetboat man /usr/local/share/man/man1")]
    Man {
        /// The folder; it is made if it is not there.
        folder: PathBuf,
    },
}

/// Start everything on loopback, with two people to try it and nothing that leaves the machine.
///
/// Two domains and two people from the textbook: alice@crepes.test (password pickles) and bob@hamburger.test
/// (password hungry). Mail to any other address goes into the account catch-all@dev.test (password anything).
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  packetboat dev                            SMTP on 10025, submission on 10587, POP3 on 10110, …
  packetboat dev --show-dialogue            watch every conversation as it goes over the wire
  packetboat dev --port-offset 20000        SMTP on 20025, and so on
  packetboat dev --port-offset any --json   free ports, printed for a program to read
  swaks --server 127.0.0.1:10025 --to bob@hamburger.test
  curl -u bob@hamburger.test:hungry pop3://127.0.0.1:10110/1")]
pub struct Dev {
    /// Where to keep everything.
    #[arg(long, value_name = "DIR", default_value = "packetboat-data")]
    pub data: PathBuf,
    /// Added to the standard ports: 10000 makes SMTP 10025; `any` takes free ports.
    #[arg(long, value_name = "N", default_value = "10000", value_parser = port_offset)]
    pub port_offset: PortOffset,
    /// The address to listen on.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1")]
    pub listen: IpAddr,
    /// Print every conversation as it goes over the wire, secrets hidden.
    #[arg(long)]
    pub show_dialogue: bool,
    /// Print what listens where as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What is added to the standard ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortOffset {
    /// So much.
    By(u16),
    /// The system gives free ports.
    Any,
}

fn port_offset(text: &str) -> Result<PortOffset, String> {
    /// POP3S, the highest standard port we listen on.
    const HIGHEST: u16 = 995;
    match text {
        "any" => Ok(PortOffset::Any),
        _ => text
            .parse()
            .ok()
            .filter(|offset: &u16| offset.checked_add(HIGHEST).is_some())
            .map(PortOffset::By)
            .ok_or_else(|| format!("a number from 0 to {}, or `any`", u16::MAX - HIGHEST)),
    }
}

/// Run the server with its configuration.
///
/// It logs to standard error, stops cleanly on SIGTERM and SIGINT (transactions under way may end), and on SIGHUP
/// reads certificates, accounts and what else can change anew.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  packetboat serve
  packetboat serve --config /etc/packetboat/packetboat.toml")]
pub struct Serve {
    #[command(flatten)]
    pub config: ConfigFile,
    /// Print every conversation as it goes over the wire, secrets hidden.
    #[arg(long)]
    pub show_dialogue: bool,
    /// Print what listens where as one line of JSON, once it does.
    #[arg(long)]
    pub json: bool,
}

/// Which configuration.
#[derive(Debug, Clone, Args)]
pub struct ConfigFile {
    /// The configuration file.
    #[arg(
        long,
        short,
        value_name = "FILE",
        default_value = "packetboat.toml",
        env = "PACKETBOAT_CONFIG",
        global = true
    )]
    pub config: PathBuf,
}

/// Where the accounts and the mail are, for commands that look into them.
#[derive(Debug, Clone, Args)]
pub struct Where {
    #[command(flatten)]
    pub config: ConfigFile,
    /// The data directory, in place of the configuration's (as `dev` uses it).
    #[arg(long, value_name = "DIR", global = true)]
    pub data: Option<PathBuf>,
    /// Print JSON, for programs.
    #[arg(long, global = true)]
    pub json: bool,
}

/// Write a commented configuration and show the DNS records to publish.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  packetboat init mail.example.org
  packetboat init mail.example.org --domain example.org --domain example.net")]
pub struct Init {
    /// The name of this machine, as the world knows it.
    pub host_name: String,
    /// A domain to take mail for; by default the host name without its first label.
    #[arg(long = "domain", value_name = "DOMAIN")]
    pub domains: Vec<String>,
    /// The file to write; an existing one is not touched.
    #[arg(long, value_name = "FILE", default_value = "packetboat.toml")]
    pub config: PathBuf,
    /// Where everything will be kept.
    #[arg(long, value_name = "DIR", default_value = "packetboat-data")]
    pub data: PathBuf,
    /// Print JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

/// Look at the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Read the file and say what is wrong with it.
    #[command(after_help = "Example:\n  packetboat config check --config /etc/packetboat/packetboat.toml")]
    Check {
        #[command(flatten)]
        config: ConfigFile,
        /// Print JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Show every key with the value that holds.
    Show {
        #[command(flatten)]
        config: ConfigFile,
        /// Print JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Explain every key there is.
    Keys {
        /// As the page of the documentation.
        #[arg(long)]
        markdown: bool,
    },
}

/// Accounts.
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Make an account. The password is asked for, or read from standard input when that is not a terminal.
    #[command(after_help = "Examples:
  packetboat account add joe@example.org
  printf '%s' \"$PASSWORD\" | packetboat account add joe@example.org --name 'Joe Doe'")]
    Add {
        /// The address, which is also the login.
        address: String,
        /// The person's name.
        #[arg(long)]
        name: Option<String>,
        /// The most it may hold, in octets.
        #[arg(long, value_name = "OCTETS")]
        quota: Option<u64>,
        #[command(flatten)]
        at: Where,
    },
    /// List the accounts.
    List {
        #[command(flatten)]
        at: Where,
    },
    /// Change the password.
    Passwd {
        /// The account.
        address: String,
        #[command(flatten)]
        at: Where,
    },
    /// Change how much an account may hold. It holds at once, for sessions and uploads under way too.
    #[command(after_help = "Examples:
  packetboat account quota joe@example.org --bytes 5GiB --files 10000
  packetboat account quota joe@example.org --messages none")]
    Quota {
        /// The account.
        address: String,
        /// Octets of mail, and as many of files: a number, perhaps with KiB, MiB, GiB or TiB; or `none`.
        #[arg(long, value_parser = limit)]
        bytes: Option<Limit>,
        /// Files, links and directories together, or `none`.
        #[arg(long, value_parser = limit)]
        files: Option<Limit>,
        /// Messages, or `none`.
        #[arg(long, value_parser = limit)]
        messages: Option<Limit>,
        #[command(flatten)]
        at: Where,
    },
    /// Change what an account may do with files of its own, in place of what the configuration says.
    #[command(after_help = "Examples:
  packetboat account permit joe@example.org read-only
  packetboat account permit scanner@example.org create,list
  packetboat account permit guest@example.org none      only what is shared with it
  packetboat account permit joe@example.org usual       what the configuration says")]
    Permit {
        /// The account.
        address: String,
        /// `usual`, or words with commas between them: full, read-only, drop-box, none; list, read, write, append,
        /// create, delete, rename, mkdir, rmdir, chmod.
        permissions: String,
        #[command(flatten)]
        at: Where,
    },
    /// Close an account: it gets no mail and nobody logs in; what it has is kept.
    Disable {
        /// The account.
        address: String,
        #[command(flatten)]
        at: Where,
    },
    /// Open an account that was closed.
    Enable {
        /// The account.
        address: String,
        #[command(flatten)]
        at: Where,
    },
    /// Remove an account with all its mail and files.
    #[command(after_help = "Examples:
  packetboat account remove joe@example.org --yes
  packetboat account remove joe@example.org --keep-files    its files go to kept-files in the data directory")]
    Remove {
        /// The account.
        address: String,
        /// Put its files aside, into `kept-files` in the data directory.
        #[arg(long)]
        keep_files: bool,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        at: Where,
    },
}

/// App passwords.
#[derive(Debug, Subcommand)]
pub enum AppPasswordCommand {
    /// Make one. It is printed now and can never be shown again.
    #[command(after_help = "Examples:
  packetboat app-password add joe@example.org telephone
  packetboat app-password add joe@example.org 'scanner in the hall' --for ftp")]
    Add {
        /// The account.
        address: String,
        /// What to call it, so that it can be told from others.
        label: String,
        /// What it opens: smtp, pop3, imap or ftp. May be said more than once; without it, everything.
        #[arg(long = "for", value_name = "SERVICE")]
        services: Vec<String>,
        #[command(flatten)]
        at: Where,
    },
    /// List an account's app passwords: what they are called and open, when they were made and last used.
    List {
        /// The account.
        address: String,
        #[command(flatten)]
        at: Where,
    },
    /// Take one back.
    Remove {
        /// The account.
        address: String,
        /// Its number, as `app-password list` shows it.
        id: u32,
        #[command(flatten)]
        at: Where,
    },
}

/// A limit as it is said: a number, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// None.
    None,
    /// So many.
    Some(u64),
}

fn limit(text: &str) -> Result<Limit, String> {
    const UNITS: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];
    if text == "none" {
        return Ok(Limit::None);
    }
    let unit = UNITS.iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?.trim_end(), *size)));
    let (digits, size) = unit.unwrap_or((text, 1));
    let number = digits.parse().ok().and_then(|number: u64| number.checked_mul(size));
    number.map(Limit::Some).ok_or_else(|| "a number, perhaps with KiB, MiB, GiB or TiB behind it, or `none`".into())
}

/// Files.
#[derive(Debug, Subcommand)]
pub enum FilesCommand {
    /// Show what accounts and spaces hold, and how much they may.
    #[command(after_help = "Examples:\n  packetboat files usage\n  packetboat files usage joe@example.org --json")]
    Usage {
        /// An account or a space; by default all of them.
        name: Option<String>,
        #[command(flatten)]
        at: Where,
    },
    /// Count anew what accounts and spaces hold: after other programs have brought or taken away files.
    Rescan {
        /// An account or a space; by default all of them.
        name: Option<String>,
        #[command(flatten)]
        at: Where,
    },
}

/// Domains.
#[derive(Debug, Subcommand)]
pub enum DomainCommand {
    /// Take mail for a domain.
    #[command(after_help = "Example:\n  packetboat domain add example.org --catch-all joe@example.org")]
    Add {
        /// Its name.
        domain: String,
        /// The account for addresses that nobody has.
        #[arg(long, value_name = "ADDRESS")]
        catch_all: Option<String>,
        #[command(flatten)]
        at: Where,
    },
    /// List the domains.
    List {
        #[command(flatten)]
        at: Where,
    },
    /// No longer take mail for a domain; it must have no accounts left.
    Remove {
        /// Its name.
        domain: String,
        #[command(flatten)]
        at: Where,
    },
}

/// Aliases.
#[derive(Debug, Subcommand)]
pub enum AliasCommand {
    /// Lead an address to one or more others. An existing alias is replaced.
    #[command(after_help = "Examples:
  packetboat alias add info@example.org joe@example.org ann@example.org
  packetboat alias add @example.net joe@example.org")]
    Add {
        /// The address, or @domain for all addresses that nobody has.
        address: String,
        /// Where its mail goes.
        #[arg(required = true)]
        targets: Vec<String>,
        #[command(flatten)]
        at: Where,
    },
    /// List the aliases.
    List {
        #[command(flatten)]
        at: Where,
    },
    /// Remove an alias.
    Remove {
        /// The address.
        address: String,
        #[command(flatten)]
        at: Where,
    },
}

/// Which mail of the queue.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// The mail's id, as `queue list` shows it.
    pub mail: Option<String>,
    /// All mail to this domain.
    #[arg(long)]
    pub domain: Option<String>,
    /// All mail.
    #[arg(long)]
    pub all: bool,
}

/// The queue.
#[derive(Debug, Subcommand)]
pub enum QueueCommand {
    /// List what waits, with the reason and the next attempt.
    List {
        #[command(flatten)]
        at: Where,
    },
    /// Show one mail: its recipients, attempts and last answers.
    Show {
        /// The mail's id.
        mail: String,
        #[command(flatten)]
        at: Where,
    },
    /// Try now.
    #[command(after_help = "Examples:\n  packetboat queue retry --all\n  packetboat queue retry --domain example.org")]
    Retry {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        at: Where,
    },
    /// Keep from being sent until released.
    Hold {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        at: Where,
    },
    /// Let held mail go on.
    Release {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        at: Where,
    },
    /// Delete, without telling the sender.
    Drop {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        at: Where,
    },
}

/// Which events.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct WhichEvents {
    /// The event's id, as `hook list` shows it.
    pub event: Option<String>,
    /// All events for this hook.
    #[arg(long)]
    pub hook: Option<String>,
    /// All events.
    #[arg(long)]
    pub all: bool,
}

/// Hooks.
#[derive(Debug, Subcommand)]
pub enum HookCommand {
    /// List the hooks, and what waits for them and why.
    List {
        #[command(flatten)]
        at: Where,
    },
    /// Tell them now.
    #[command(after_help = "Examples:\n  packetboat hook retry --all\n  packetboat hook retry --hook import")]
    Retry {
        #[command(flatten)]
        which: WhichEvents,
        #[command(flatten)]
        at: Where,
    },
    /// Never tell them.
    Drop {
        #[command(flatten)]
        which: WhichEvents,
        #[command(flatten)]
        at: Where,
    },
    /// Tell a hook of an event `test`, once and now, and say what came of it.
    Test {
        /// Its name.
        hook: String,
        #[command(flatten)]
        at: Where,
    },
}

/// Sessions: who is connected, and the end of it.
///
/// Without a command it lists the sessions of all services. The server must be running.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  packetboat sessions                                   everybody who is connected
  packetboat sessions --service ftp                     FTP: what runs, how far it has come, how fast
  packetboat sessions --account joe@example.org --json
  packetboat sessions end 3k7q0x9d
  packetboat sessions end --peer 192.0.2.7"
)]
pub struct Sessions {
    #[command(subcommand)]
    pub command: Option<SessionsCommand>,
    #[command(flatten)]
    pub only: SessionFilter,
    #[command(flatten)]
    pub at: Where,
}

/// Which sessions are of interest.
#[derive(Debug, Clone, Args)]
pub struct SessionFilter {
    /// Those of this account; `anonymous` for guests of FTP.
    #[arg(long, value_name = "ADDRESS")]
    pub account: Option<String>,
    /// Those of this service; `imap` is `imaps`, too, and so for the others.
    #[arg(long, value_parser = service_names())]
    pub service: Option<String>,
    /// Those from this address.
    #[arg(long, value_name = "ADDRESS")]
    pub peer: Option<IpAddr>,
}

fn service_names() -> PossibleValuesParser {
    PossibleValuesParser::new(Purpose::ALL.map(Purpose::name))
}

/// What to do with sessions.
#[derive(Debug, Subcommand)]
pub enum SessionsCommand {
    /// List them: who, from where, since when, how long idle, and what runs. At most 10,000.
    #[command(after_help = "Examples:
  packetboat sessions list --service imap
  packetboat sessions list --peer 192.0.2.7 --json")]
    List {
        #[command(flatten)]
        only: SessionFilter,
        #[command(flatten)]
        at: Where,
    },
    /// End them: each hears its protocol's goodbye and is closed, within ten seconds whatever it does.
    ///
    /// What it was doing is broken off. What came of an upload is kept to go on with; mail that was not answered yet is sent
    /// again by its client. Nobody is kept from coming back: for that, close the account first (`account disable`).
    #[command(after_help = "Examples:
  packetboat sessions end 3k7q0x9d 3k7q0x9e
  packetboat sessions end --account joe@example.org
  packetboat sessions end --peer 192.0.2.7 --service ftp")]
    End {
        /// Ids, as `sessions` shows them, and lines of the log.
        #[arg(
            value_name = "ID",
            required_unless_present_any = ["account", "service", "peer"],
            conflicts_with_all = ["account", "service", "peer"]
        )]
        sessions: Vec<String>,
        #[command(flatten)]
        only: SessionFilter,
        #[command(flatten)]
        at: Where,
    },
}

/// Bans.
#[derive(Debug, Subcommand)]
pub enum BanCommand {
    /// List refused addresses.
    List {
        #[command(flatten)]
        at: Where,
    },
    /// Take an address in again.
    Lift {
        /// The address.
        address: IpAddr,
        #[command(flatten)]
        at: Where,
    },
}

/// The store.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Verify every reference and checksum, and name what is wrong. Exit code 1 if something is.
    #[command(
        after_help = "Examples:\n  packetboat store check\n  packetboat store check --repair    (with the server stopped)"
    )]
    Check {
        /// Mend what can be mended; the server must be stopped.
        #[arg(long)]
        repair: bool,
        #[command(flatten)]
        at: Where,
    },
    /// Give the room of deleted mail back to the disk now.
    Compact {
        #[command(flatten)]
        at: Where,
    },
    /// Make a new index (store.db) of the mail in seg/, where the old one is lost or beyond repair.
    ///
    /// Every message that is whole comes back as it was delivered, into the mailbox it was delivered to: unread, unless it was filed as
    /// read. What has become of it since only the lost index knew: what was moved is where it came in, and what was deleted is back where its
    /// room had not been given away yet. Accounts, aliases and names of mailboxes come from what can be read of the old index, or from its
    /// copy register.db. Mail for elsewhere that is not too old waits in the queue, held, for it may have been delivered. Mail programs
    /// fetch everything anew. The old index is kept, and seg/ is not touched. Exit code 1 if something was damaged.
    #[command(after_help = "Examples:
  packetboat store rebuild --dry-run    (with the server stopped)
  packetboat store rebuild
  packetboat queue list                 (then: queue release or queue drop)")]
    Rebuild {
        /// Say what would be found and change nothing. What was read is kept, so that rebuilding is quick afterwards.
        #[arg(long)]
        dry_run: bool,
        /// Also where the present index can be read: what it knows of flags and folders is given up.
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        at: Where,
    },
}

/// What other programs keep mail in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MailFormat {
    /// A Maildir; folders are directories in it, or `.Work.Bills` when it is read.
    Maildir,
    /// A Maildir with folders `.Work.Bills`.
    #[value(name = "maildir++")]
    MaildirPlus,
    /// mbox files, of whatever kind; written as mboxrd.
    Mbox,
    /// mbox without lengths, `From ` quoted once.
    Mboxo,
    /// mbox without lengths, `From ` quoted so that it can be undone.
    Mboxrd,
    /// mbox with lengths, quoted like mboxo.
    Mboxcl,
    /// mbox with lengths and without quoting.
    Mboxcl2,
}

/// Bring mail from Maildir or mbox into an account, with flags, dates and folders.
///
/// Nothing of the source is changed. Stopped at any moment, the same command goes on where it was; said again later,
/// it brings what is new. With a server running, the server's user reads the files. Exit code 1 if something could not be read.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  packetboat import /home/joe/Maildir joe@example.org
  packetboat import archive-2019.mbox joe@example.org --into Archive/2019
  packetboat import /srv/old/joe joe@example.org --format mboxcl2 --dry-run")]
pub struct Import {
    /// A Maildir, an mbox file, or a directory of them.
    pub path: PathBuf,
    /// The account.
    pub address: String,
    /// What it is; guessed from its looks if not said.
    #[arg(long)]
    pub format: Option<MailFormat>,
    /// The mailbox for what is not in a folder; folders come below it.
    #[arg(long, value_name = "MAILBOX")]
    pub into: Option<String>,
    /// Do all but write, and say what would come of it.
    #[arg(long)]
    pub dry_run: bool,
    /// Bring also what was brought before: for mail that has been deleted since.
    #[arg(long)]
    pub again: bool,
    #[command(flatten)]
    pub at: Where,
}

/// Put an account's mail on a disk as Maildir or mbox, with flags, dates and folders.
///
/// A Maildir that is there gets what it does not have yet; an mbox that is there is left as it is. With a server running,
/// the server's user writes the files. Exit code 1 if something could not be written.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  packetboat export /backup/joe joe@example.org
  packetboat export /backup/joe-mbox joe@example.org --format mbox --mailbox INBOX --mailbox Sent")]
pub struct Export {
    /// A directory; it is made if it is not there.
    pub path: PathBuf,
    /// The account.
    pub address: String,
    /// maildir++, maildir (directories within directories) or mbox.
    #[arg(long, default_value = "maildir++")]
    pub format: MailFormat,
    /// A mailbox to export; may be said more than once; without it, all.
    #[arg(long = "mailbox", value_name = "MAILBOX")]
    pub mailboxes: Vec<String>,
    #[command(flatten)]
    pub at: Where,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_numbers_with_units_or_none() {
        assert_eq!(limit("none"), Ok(Limit::None));
        assert_eq!(limit("1000"), Ok(Limit::Some(1000)));
        assert_eq!(limit("5GiB"), Ok(Limit::Some(5 << 30)));
        assert_eq!(limit("5 KiB"), Ok(Limit::Some(5120)));
        for wrong in ["", "-1", "GiB", "5G", "1.5GiB", "99999999TiB"] {
            assert!(limit(wrong).is_err(), "{wrong}");
        }
    }
}

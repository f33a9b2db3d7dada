//! What can be said behind `packetboat ftp`.

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use ftp_client::{Regex, Selection};
use std::path::PathBuf;

/// Nobody means to wait longer than a month, and the clock has to know when that ends.
pub const TIMEOUT_MAX_SECS: u64 = 30 * 24 * 60 * 60;

/// Fetch, send, list and mirror files by FTP; without a command, at a prompt.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    mut_arg("json", |json| json.hide(true)),
    after_help = "Examples:
  packetboat ftp ftp://joe@ftp.example.org/menus
  packetboat ftp -e 'cd menus; get *.txt; put today.txt' ftp://joe@ftp.example.org/
  packetboat ftp -e 'diff htdocs site' ftp://joe@www.example.org/
  packetboat ftp ls ftp://ftp.example.org/pub/
  packetboat ftp get ftp://joe@ftp.example.org/menus/today.txt
  packetboat ftp put menu.txt ftp://joe@ftp.example.org/menus/
  packetboat ftp mirror ftp://ftp.example.org/pub/menus menus
  packetboat ftp sync --dry-run site ftp://joe@www.example.org/htdocs

URLs: ftp:// encrypts by AUTH TLS and sends no password without it, but to loopback; ftps:// encrypts from the first \
octet, on port 990; ftpes:// is ftp:// with TLS required everywhere. The path begins where the login leads; a second \
slash, as in ftp://host//etc, means the root.

The password: of --password-command, --password-file, the variable PACKETBOAT_FTP_PASSWORD, ~/.netrc, or asked for.

At the prompt, `help` tells what can be said; from a pipe or a file, commands are read line by line until one fails.

Exit codes: 0 done, 1 it, or some of it, failed, 2 an option, a URL or a word at the prompt is wrong, something is not said, or two files would become one, 4 the server has nothing of that \
name, or not for this (550), 5 no connection or no login, 6 `diff` at the prompt has found differences."
)]
pub struct Ftp {
    #[command(subcommand)]
    pub command: Option<FtpCommand>,
    #[command(flatten)]
    pub shell: Shell,
}

/// A prompt, or commands from elsewhere.
#[derive(Debug, Args)]
pub struct Shell {
    /// Where to begin: a URL, the name of a host or of a bookmark.
    pub place: Option<String>,
    /// Do these commands, with ; between them, and leave.
    #[arg(short, long, value_name = "COMMANDS", help_heading = "Commands from elsewhere")]
    pub execute: Vec<String>,
    /// Go on after a command that failed.
    #[arg(short, long, help_heading = "Commands from elsewhere")]
    pub keep_going: bool,
    #[command(flatten)]
    pub access: Access,
}

/// What can be done without a prompt.
#[derive(Debug, Subcommand)]
pub enum FtpCommand {
    Get(Get),
    Put(Put),
    Ls(Ls),
    Cat(Cat),
    Stat(Stat),
    Mkdir(Mkdir),
    Rm(Rm),
    Mv(Mv),
    Mirror(Mirror),
    Sync(Sync),
}

impl Ftp {
    /// How to get there, and what to show.
    pub fn access(&self) -> &Access {
        match &self.command {
            None => &self.shell.access,
            Some(FtpCommand::Get(Get { access, .. }))
            | Some(FtpCommand::Put(Put { access, .. }))
            | Some(FtpCommand::Ls(Ls { access, .. }))
            | Some(FtpCommand::Cat(Cat { access, .. }))
            | Some(FtpCommand::Stat(Stat { access, .. }))
            | Some(FtpCommand::Mkdir(Mkdir { access, .. }))
            | Some(FtpCommand::Rm(Rm { access, .. }))
            | Some(FtpCommand::Mv(Mv { access, .. }))
            | Some(FtpCommand::Mirror(Mirror { trees: Trees { access, .. }, .. }))
            | Some(FtpCommand::Sync(Sync { trees: Trees { access, .. } })) => access,
        }
    }
}

/// How to get there, and what to show.
#[derive(Debug, Clone, Args)]
pub struct Access {
    /// Who logs in, if the URL does not say.
    #[arg(long, value_name = "NAME", help_heading = "Login")]
    pub user: Option<String>,
    /// A file whose first line is the password.
    #[arg(long, value_name = "FILE", help_heading = "Login")]
    pub password_file: Option<PathBuf>,
    /// A command whose first line of output is the password.
    #[arg(long, value_name = "COMMAND", help_heading = "Login")]
    pub password_command: Option<String>,
    /// Look for the login in this file instead of ~/.netrc.
    #[arg(long, value_name = "FILE", help_heading = "Login")]
    pub netrc: Option<PathBuf>,
    /// Send the password in clear if the server has no TLS.
    #[arg(long, help_heading = "Safety")]
    pub insecure_login: bool,
    /// Do without TLS altogether; the password goes out in clear.
    #[arg(long, help_heading = "Safety")]
    pub no_tls: bool,
    /// Send files in clear, even where the dialogue is under TLS.
    #[arg(long, help_heading = "Safety")]
    pub clear_data: bool,
    /// Believe the authorities in this PEM file, and no others.
    #[arg(long, value_name = "FILE", help_heading = "Safety", conflicts_with = "fingerprint")]
    pub ca_file: Option<PathBuf>,
    /// Believe the certificate with this SHA-256 fingerprint, and no other.
    #[arg(long, value_name = "SHA256", value_parser = fingerprint, help_heading = "Safety")]
    pub fingerprint: Option<String>,
    /// Let the server dial for data, if it can, instead of us.
    #[arg(long, help_heading = "Connection")]
    pub active: bool,
    /// Connect through this proxy, also for data: socks5://HOST:PORT or http://HOST:PORT (by CONNECT); none for none. Otherwise
    /// ftp_proxy and ALL_PROXY in the environment name one, for hosts that no_proxy does not have.
    #[arg(long, value_name = "URL", help_heading = "Connection", conflicts_with = "active")]
    pub proxy: Option<String>,
    /// Only IPv4.
    #[arg(short = '4', long, help_heading = "Connection", conflicts_with = "ipv6")]
    pub ipv4: bool,
    /// Only IPv6.
    #[arg(short = '6', long, help_heading = "Connection")]
    pub ipv6: bool,
    /// Name the host to the server (HOST), where it has several.
    #[arg(long, help_heading = "Connection")]
    pub say_host: bool,
    /// Dial the address that PASV tells, not the server's own.
    #[arg(long, help_heading = "Connection")]
    pub trust_pasv_address: bool,
    /// Say one command at a time, for servers that cannot bear more.
    #[arg(long, help_heading = "Connection")]
    pub no_pipelining: bool,
    /// In which charset the server has names, if it is not UTF-8: windows-1252, Shift_JIS and others.
    #[arg(long, value_name = "NAME", help_heading = "Connection")]
    pub charset: Option<ftp_client::Charset>,
    /// Connections at once.
    #[arg(short = 'P', long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64), help_heading = "Connection")]
    pub parallel: u8,
    /// No faster than so much in a second, such as 500k or 2M.
    #[arg(long, value_name = "RATE", value_parser = rate, help_heading = "Connection")]
    pub limit_rate: Option<std::num::NonZeroU64>,
    /// Seconds in which something must move, and the server must answer [default: 60 for data, 120 for an answer, 600 for the one
    /// behind the last octet of a file]
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(1..=TIMEOUT_MAX_SECS), help_heading = "Connection")]
    pub timeout: Option<u64>,
    /// Print results as JSON, one object a line, and nothing else on standard output; of cat only an error, on standard error.
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// No progress and no summary.
    #[arg(short, long, help_heading = "Output")]
    pub quiet: bool,
    /// Print the dialogue as it goes over the wire, secrets hidden.
    #[arg(long, help_heading = "Output")]
    pub show_dialogue: bool,
}

/// How files move.
#[derive(Debug, Clone, Copy, Args)]
pub struct Moving {
    /// Go on with what was begun before, if it is the same file.
    #[arg(short = 'c', long = "continue")]
    pub resume: bool,
    /// Compare sums at the end, if the server tells them.
    #[arg(long)]
    pub verify: bool,
}

/// Fetch files. The last name may have * and ? in it.
///
/// Two that would have the same name here are refused before anything moves.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  packetboat ftp get ftp://ftp.example.org/pub/menu.txt
  packetboat ftp get --make-dirs -o menus/ 'ftp://ftp.example.org/pub/*.txt'
  packetboat ftp get --continue -o film.mkv ftp://ftp.example.org/film.mkv
  packetboat ftp get --dry-run 'ftp://ftp.example.org/pub/*.txt'")]
pub struct Get {
    /// What to fetch.
    #[arg(required = true, value_name = "URL")]
    pub urls: Vec<String>,
    /// Where to put it: a file, or a directory.
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<PathBuf>,
    /// Make the directories that are not there.
    #[arg(long)]
    pub make_dirs: bool,
    /// Look whether it can be done, say what would be, and do nothing.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub moving: Moving,
    #[command(flatten)]
    pub access: Access,
}

/// Send files, or standard input. A URL that ends in / is a directory.
///
/// Two that would have the same name there are refused before anything moves.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  packetboat ftp put menu.txt ftp://joe@ftp.example.org/menus/
  packetboat ftp put menu.txt ftp://joe@ftp.example.org/menus/today.txt
  packetboat ftp put --continue --make-dirs *.mkv ftp://joe@ftp.example.org/films/
  pg_dump menus | gzip | packetboat ftp put - ftp://joe@ftp.example.org/backup/menus.sql.gz
  packetboat ftp put --dry-run --make-dirs *.mkv ftp://joe@ftp.example.org/films/")]
pub struct Put {
    /// What to send; - is standard input, and goes alone.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Where to.
    #[arg(value_name = "URL")]
    pub url: String,
    /// Make the directories that are not there.
    #[arg(long)]
    pub make_dirs: bool,
    /// Write to the file's own name at once, for servers that do not let us rename.
    #[arg(long)]
    pub in_place: bool,
    /// Send files of 16 MiB and more in pieces over several connections, if the server can join them (COMB). It copies the file
    /// for that, and needs room for both.
    #[arg(long, conflicts_with = "in_place")]
    pub in_pieces: bool,
    /// Look whether it can be done, say what would be, and do nothing.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub moving: Moving,
    #[command(flatten)]
    pub access: Access,
}

/// List a directory.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  packetboat ftp ls ftp://ftp.example.org/pub/
  packetboat ftp ls -l --json ftp://ftp.example.org/pub/")]
pub struct Ls {
    /// Which one.
    pub url: String,
    /// Sizes, times and modes, too.
    #[arg(short, long)]
    pub long: bool,
    #[command(flatten)]
    pub access: Access,
}

/// Write a file to standard output.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  packetboat ftp cat ftp://joe@ftp.example.org/log/today.gz | zcat | grep error
  packetboat ftp cat ftp://joe@ftp.example.org/backup/menus.sql.gz | gunzip | psql menus")]
pub struct Cat {
    /// Which one.
    pub url: String,
    #[command(flatten)]
    pub access: Access,
}

/// Say what the server knows of a file or a directory.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  packetboat ftp stat ftp://ftp.example.org/pub/menu.txt
  packetboat ftp stat --json ftp://ftp.example.org/pub/menu.txt")]
pub struct Stat {
    /// Which one.
    pub url: String,
    #[command(flatten)]
    pub access: Access,
}

/// Make a directory, and those that it stands in.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  packetboat ftp mkdir ftp://joe@ftp.example.org/menus/2026/july
  packetboat ftp mkdir --dry-run ftp://joe@ftp.example.org/menus/2026/july")]
pub struct Mkdir {
    /// Which one.
    pub url: String,
    /// Look whether it can be done, say what would be, and do nothing.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub access: Access,
}

/// Remove a file, or a directory that is empty.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  packetboat ftp rm ftp://joe@ftp.example.org/menus/june.txt
  packetboat ftp rm -r ftp://joe@ftp.example.org/menus/2025
  packetboat ftp rm -r --dry-run ftp://joe@ftp.example.org/menus/2025
  packetboat ftp rm -r --json ftp://joe@ftp.example.org/menus/2025")]
pub struct Rm {
    /// Which one.
    pub url: String,
    /// A directory, and all that is in it; of links only themselves.
    #[arg(short, long)]
    pub recursive: bool,
    /// Look whether it can be done, say what would be, and do nothing.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub access: Access,
}

/// Give a file or a directory another name.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  packetboat ftp mv ftp://joe@ftp.example.org/menus/new.txt menus/today.txt
  packetboat ftp mv ftp://joe@ftp.example.org/menus/today.txt menus/old/
  packetboat ftp mv --dry-run ftp://joe@ftp.example.org/menus/new.txt menus/today.txt")]
pub struct Mv {
    /// Which one.
    pub url: String,
    /// Its new path, from where the login leads, or a URL of the same server; if that is a directory, it goes into it.
    pub to: String,
    /// Look whether it can be done, say what would be, and do nothing.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub access: Access,
}

/// When two files are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Compare {
    /// Their sizes are, and the source is not newer.
    Time,
    /// Their sizes are.
    Size,
    /// Their sums are, which the server has to tell.
    Checksum,
}

/// Two trees.
#[derive(Debug, Args)]
pub struct Trees {
    /// The tree that the other one is made like: a URL or a directory.
    #[arg(required_unless_present = "apply")]
    pub source: Option<String>,
    /// The other one. If both are URLs, files go from server to server through this machine.
    #[arg(required_unless_present = "apply")]
    pub target: Option<String>,
    #[command(flatten)]
    pub which: Which,
    #[command(flatten)]
    pub making: Making,
    /// Write what would be done to a file, and do nothing.
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub plan: Option<PathBuf>,
    /// Do what such a file says; neither tree is looked at again.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["plan", "source", "target"])]
    pub apply: Option<PathBuf>,
    #[command(flatten)]
    pub access: Access,
}

/// Which files of two trees, and when they are the same; at the prompt, too.
#[derive(Debug, Args)]
pub struct Which {
    #[command(flatten)]
    pub patterns: Patterns,
    /// When two files are the same.
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Compare::Time)]
    pub compare: Compare,
    /// Only files that the target does not have.
    #[arg(long, group = "only")]
    pub only_missing: bool,
    /// Only files that the target has.
    #[arg(long, group = "only")]
    pub only_existing: bool,
    /// Only files that the target does not have, or that are newer in the source, whatever their sizes.
    #[arg(long, group = "only")]
    pub only_newer: bool,
    /// Look at what links lead to; otherwise they are passed over.
    #[arg(long)]
    pub follow_links: bool,
    /// Make links in the target where the source has some; those that lead out of the tree are passed over.
    #[arg(long, conflicts_with = "follow_links")]
    pub make_links: bool,
    /// A tree of more files and directories than these has no end.
    #[arg(long, value_name = "N", default_value_t = ftp_client::mirror::TREE_ENTRIES_MAX)]
    pub max_entries: u64,
}

/// How two trees are made alike; at the prompt, too.
#[derive(Debug, Args)]
pub struct Making {
    /// Remove what is too much before anything is moved, where there is no room for both.
    #[arg(long)]
    pub delete_first: bool,
    /// Give files and directories the modes that they have in the source, also those that are the same otherwise.
    #[arg(long)]
    pub keep_modes: bool,
    /// Send files of 16 MiB and more in pieces over several connections, if the server can join them (COMB). It copies the file
    /// for that, and needs room for both.
    #[arg(long)]
    pub in_pieces: bool,
    /// Say what would be done, and do nothing.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub moving: Moving,
}

/// What is wished and what is not, in the order in which it was said.
#[derive(Debug)]
pub struct Patterns(pub Selection);

#[derive(Debug, Args)]
struct SaidPatterns {
    /// Only names like this. Of this and the three below, the last that fits decides.
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// No names like this. With a / in it, it is for the path below the tree's root; ** is any directories.
    #[arg(short = 'x', long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Only paths below the root in which this is found.
    #[arg(long, value_name = "REGEX")]
    include_regex: Vec<Regex>,
    /// No paths below the root in which this is found.
    #[arg(long, value_name = "REGEX")]
    exclude_regex: Vec<Regex>,
}

enum Rule {
    Glob(String),
    Regex(Regex),
}

/// The values of an option, each with its place among all that was said.
fn placed<T>(matches: &ArgMatches, name: &str, values: Vec<T>) -> impl Iterator<Item = (usize, T)> {
    matches.indices_of(name).into_iter().flatten().zip(values)
}

impl Args for Patterns {
    fn augment_args(command: Command) -> Command {
        SaidPatterns::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        SaidPatterns::augment_args_for_update(command)
    }
}

impl FromArgMatches for Patterns {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let SaidPatterns { include, exclude, include_regex, exclude_regex } = SaidPatterns::from_arg_matches(matches)?;
        let mut rules: Vec<(usize, bool, Rule)> = Vec::new();
        rules.extend(placed(matches, "include", include).map(|(place, glob)| (place, true, Rule::Glob(glob))));
        rules.extend(placed(matches, "exclude", exclude).map(|(place, glob)| (place, false, Rule::Glob(glob))));
        rules.extend(placed(matches, "include_regex", include_regex).map(|(at, regex)| (at, true, Rule::Regex(regex))));
        rules
            .extend(placed(matches, "exclude_regex", exclude_regex).map(|(at, regex)| (at, false, Rule::Regex(regex))));
        rules.sort_by_key(|(place, ..)| *place);
        let mut selection = Selection::default();
        for (_, wanted, rule) in rules {
            match (wanted, rule) {
                (true, Rule::Glob(glob)) => selection.include(&glob),
                (false, Rule::Glob(glob)) => selection.exclude(&glob),
                (true, Rule::Regex(regex)) => selection.include_regex(&regex),
                (false, Rule::Regex(regex)) => selection.exclude_regex(&regex),
            }
        }
        Ok(Patterns(selection))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Patterns::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Make one tree like another: move what is missing, differs in size, or is newer in the source.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  packetboat ftp mirror ftp://ftp.example.org/pub/menus menus
  packetboat ftp mirror -P 8 site ftp://joe@www.example.org/htdocs
  packetboat ftp mirror --exclude '*.tmp' --exclude /cache --dry-run site ftp://joe@www.example.org/htdocs
  packetboat ftp mirror --exclude '*.txt' --include 'july*' ftp://ftp.example.org/pub/menus menus
  packetboat ftp mirror --keep-modes site ftp://joe@www.example.org/htdocs
  packetboat ftp mirror --delete --plan changes site ftp://joe@www.example.org/htdocs
  packetboat ftp mirror --apply changes
  packetboat ftp mirror ftp://old.example.org/pub ftp://joe@new.example.org/pub")]
pub struct Mirror {
    #[command(flatten)]
    pub trees: Trees,
    /// Remove what is in the target and not in the source.
    #[arg(long)]
    pub delete: bool,
}

/// The same as mirror --delete: afterwards both trees are the same.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  packetboat ftp sync --dry-run site ftp://joe@www.example.org/htdocs
  packetboat ftp sync --exclude '*.log' ftp://joe@ftp.example.org/data /backup/data
  packetboat ftp sync --delete-first site ftp://joe@www.example.org/htdocs")]
pub struct Sync {
    #[command(flatten)]
    pub trees: Trees,
}

/// A fingerprint that can be one.
pub fn fingerprint(text: &str) -> Result<String, String> {
    let digits = text.bytes().filter(|octet| *octet != b':');
    let is_one = digits.clone().count() == 64 && digits.clone().all(|octet| octet.is_ascii_hexdigit());
    if is_one { Ok(text.to_owned()) } else { Err("64 hexadecimal digits, perhaps with colons between them".into()) }
}

pub fn rate(text: &str) -> Result<std::num::NonZeroU64, String> {
    let wrong = || "a number of octets a second, perhaps with k, M or G".to_string();
    let small = text.to_ascii_lowercase();
    let units = [('k', 1 << 10), ('m', 1 << 20), ('g', 1 << 30)];
    let unit = units.into_iter().find_map(|(letter, factor)| Some((small.strip_suffix(letter)?, factor)));
    let (digits, factor) = unit.unwrap_or((&small, 1));
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(factor).and_then(std::num::NonZeroU64::new).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(said: &[&str]) -> Selection {
        let command = Patterns::augment_args(Command::new("mirror").no_binary_name(true));
        Patterns::from_arg_matches(&command.get_matches_from(said)).expect("patterns").0
    }

    #[test]
    fn what_cannot_be_a_fingerprint_is_told_at_once() {
        let digits = "0a".repeat(32);
        assert_eq!(fingerprint(&digits), Ok(digits.clone()));
        assert!(fingerprint(&["0A"; 32].join(":")).is_ok());
        for text in ["", "ab", &digits[1..], &digits.replacen('0', "g", 1), &"\u{e4}".repeat(64)] {
            assert!(fingerprint(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_last_pattern_that_was_said_and_fits_decides() {
        let wants = |said: &[&str], path: &[u8]| selection(said).wants_file(path);
        let but_july = ["--exclude", "*.txt", "--include", "july*"];
        assert!(wants(&but_july, b"july.txt") && !wants(&but_july, b"june.txt") && wants(&but_july, b"june.pdf"));
        let no_txt = ["--include", "july*", "-x", "*.txt"];
        assert!(!wants(&no_txt, b"july.txt") && wants(&no_txt, b"july.pdf") && !wants(&no_txt, b"june.pdf"));
        let by_path = ["--exclude-regex", "^old/", "--include", "*.pdf", "--exclude-regex", "draft"];
        assert!(
            wants(&by_path, b"old/menu.pdf") && !wants(&by_path, b"old/menu.txt") && !wants(&by_path, b"draft.pdf")
        );
        assert!(wants(&[], b"menu"));
    }
}

//! What can be said at the prompt. Words and examples only; what they do is in `here` and `there`.
//!
//! Words arrive marked (see `language`): whatever may be a pattern stays so, everything else loses its marks here.

use super::language::plain;
use crate::cli::ftp::{Making, Moving, Which};
use clap::{Args, CommandFactory, Parser, Subcommand};

/// A line at the prompt.
#[derive(Debug, Parser)]
#[command(
    name = "",
    no_binary_name = true,
    disable_help_subcommand = true,
    disable_version_flag = true,
    subcommand_required = true,
    subcommand_help_heading = "Commands",
    help_template = "{subcommands}{after-help}",
    after_help = "COMMAND & makes a job of it; COMMAND | LOCAL, COMMAND > FILE and >> FILE lead its output elsewhere; !LOCAL runs \
                  a command here; ; stands between commands. `help COMMAND` tells all about one."
)]
pub struct Line {
    #[command(subcommand)]
    pub word: Word,
}

/// All of them.
#[derive(Debug, Subcommand)]
pub enum Word {
    #[command(flatten)]
    There(There),
    #[command(flatten)]
    Here(Here),
}

/// What is done with the server, now or as a job.
#[derive(Debug, Subcommand)]
pub enum There {
    /// List directories, with sizes, times and modes.
    #[command(visible_alias = "dir")]
    Ls(Ls),
    /// List directories, names only, in columns.
    Cls(Ls),
    /// List a directory and all that is in it.
    Find(Find),
    /// Sum up what is in a directory.
    Du(Du),
    /// Say what the server knows of files and directories.
    Stat(Names),
    /// Fetch files.
    ///
    /// Two that would have the same name here are refused before anything moves.
    #[command(after_help = "Examples:
  get today.txt
  get -o /tmp/menu.txt today.txt
  get *.txt 'July menu.pdf' &
  get -n *.txt")]
    Get(Get),
    /// Fetch files; the same as get.
    Mget(Get),
    /// Fetch files, and go on with what was begun before.
    Reget(Get),
    /// Send files.
    ///
    /// Two that would have the same name there are refused before anything moves.
    #[command(after_help = "Examples:
  put today.txt
  put -o menus/today.txt today.txt
  put ~/menus/*.pdf &")]
    Put(Put),
    /// Send files; the same as put.
    Mput(Put),
    /// Send files, and go on with what was begun before.
    Reput(Put),
    /// Write files to the screen.
    #[command(after_help = "Examples:\n  cat log | grep error\n  cat part1 part2 > whole")]
    Cat(Names),
    /// Show files page by page: with $PAGER, or less.
    Less(Names),
    /// Show files page by page, with more.
    More(Names),
    /// Make directories, and those that they stand in.
    Mkdir(Names),
    /// Remove files.
    #[command(after_help = "Examples:\n  rm *.tmp\n  rm -r -n menus/2025")]
    Rm(Rm),
    /// Remove empty directories.
    Rmdir(Names),
    /// Give a file or a directory another name, or move several into a directory.
    ///
    /// Two that would have the same name there are refused before anything moves.
    Mv(Mv),
    /// Change the permissions of files.
    #[command(after_help = "Example:\n  chmod 640 *.txt")]
    Chmod(Chmod),
    /// Make a tree here like one on the server, or with -R the other way round.
    #[command(after_help = "Examples:
  mirror pub/menus
  mirror --exclude '*.tmp' pub/menus menus &
  mirror --exclude '*.txt' --include 'july*' pub/menus
  mirror -R site htdocs")]
    Mirror(Mirror),
    /// The same as mirror --delete: afterwards both trees are the same.
    Sync(Trees),
    /// Say how a file or a tree here differs from one on the server.
    #[command(after_help = "Exit codes: 0 they are the same, 6 they differ, 1 a part could not be looked at.

Examples:
  diff htdocs site
  diff menus/today.txt
  diff --compare checksum htdocs site | less")]
    Diff(Diff),
    /// Fetch a file, change it with $EDITOR, and put it back if it was changed.
    Edit(Edit),
    /// Say SITE and these words to the server.
    #[command(after_help = "Example:\n  site umask 027")]
    Site(Raw),
    /// Say these words to the server, as they are.
    #[command(after_help = "Example:\n  quote STAT")]
    Quote(Raw),
}

/// What is done at the prompt itself.
#[derive(Debug, Subcommand)]
pub enum Here {
    /// Connect: to a URL, a host, or a bookmark.
    #[command(after_help = "Examples:
  open ftp://joe@ftp.example.org/menus
  open ftp.example.org
  open work")]
    Open(Open),
    /// Close the connection.
    Close,
    /// Go to a directory; without one, to where the login leads; - is where we were before.
    Cd(Directory),
    /// Say where we are.
    Pwd,
    /// Go to a directory here.
    Lcd(Directory),
    /// List files here, with the options of ls.
    Lls(Lls),
    /// Say where we are here.
    Lpwd,
    /// Show bookmarks, or add one, or remove one.
    #[command(after_help = "Examples:
  bookmark
  bookmark add work
  bookmark add pub ftp://ftp.example.org/pub/
  bookmark remove work")]
    Bookmark(Bookmark),
    /// Show aliases, or make one.
    #[command(after_help = "Examples:\n  alias\n  alias l ls -t\n  alias save 'cd /backup; put'")]
    Alias(Alias),
    /// Forget an alias.
    Unalias(Name),
    /// Show settings, or change one.
    #[command(after_help = "Examples:\n  set\n  set parallel 8\n  set limit-rate 500k")]
    Set(Set),
    /// Show the dialogue with the server as it goes over the wire, secrets hidden, or stop showing it.
    Debug {
        /// By default the other way round than now.
        switch: Option<Switch>,
    },
    /// Say which jobs are running, and how far they are.
    Jobs,
    /// Stop a job, or all.
    Kill {
        /// Its number, or `all`.
        job: String,
    },
    /// Wait for a job, or for all, and show its bars; Ctrl-C goes back to the prompt, and the job goes on.
    #[command(visible_alias = "fg")]
    Wait {
        /// Its number.
        job: Option<u32>,
    },
    /// Leave.
    #[command(visible_aliases = ["quit", "bye"])]
    Exit {
        /// The exit code.
        code: Option<u8>,
    },
    /// Say what can be said here, or all about one command.
    #[command(visible_alias = "?")]
    Help {
        /// Which one.
        command: Option<String>,
    },
}

/// Names on the server.
#[derive(Debug, Args)]
pub struct Names {
    /// Which ones; * and ? may be in them.
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
}

/// A listing.
#[derive(Debug, Args)]
pub struct Ls {
    /// Which ones; by default where we are.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// With sizes, times and modes, as ls does by itself.
    #[arg(short, long)]
    pub long: bool,
    /// The newest first.
    #[arg(short = 't', long)]
    pub by_time: bool,
    /// The largest first.
    #[arg(short = 'S', long)]
    pub by_size: bool,
    /// The other way round.
    #[arg(short, long)]
    pub reverse: bool,
    /// Also names that begin with a dot.
    #[arg(short, long)]
    pub all: bool,
    /// Directories themselves, not what is in them.
    #[arg(short, long)]
    pub directory: bool,
    /// Sizes in octets.
    #[arg(short, long)]
    pub bytes: bool,
}

/// A tree's names.
#[derive(Debug, Args)]
pub struct Find {
    /// Where to begin; by default where we are.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Only names like this.
    #[arg(short, long, value_name = "GLOB", value_parser = unmarked)]
    pub name: Option<String>,
    /// With sizes, times and modes.
    #[arg(short, long)]
    pub long: bool,
}

/// A tree's size.
#[derive(Debug, Args)]
pub struct Du {
    /// Of what; by default of where we are.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// The sum only, not that of each directory in it.
    #[arg(short, long)]
    pub summarize: bool,
    /// In octets.
    #[arg(short, long)]
    pub bytes: bool,
}

/// Files to be fetched.
#[derive(Debug, Args)]
pub struct Get {
    /// Which ones; * and ? may be in them.
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    /// Where to put it: a file, or a directory.
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<String>,
    /// Make the directories that are not there.
    #[arg(long)]
    pub make_dirs: bool,
    /// Look whether it can be done, say what would be, and do nothing.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub moving: Moving,
}

/// Files to be sent.
#[derive(Debug, Args)]
pub struct Put {
    /// Which ones; * and ? may be in them.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<String>,
    /// Where to put it: a name, or a directory that ends in /.
    #[arg(short, long, value_name = "NAME", value_parser = unmarked)]
    pub output: Option<String>,
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
}

/// What is to go.
#[derive(Debug, Args)]
pub struct Rm {
    /// Which ones; * and ? may be in them.
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    /// Directories, and all that is in them.
    #[arg(short, long)]
    pub recursive: bool,
    /// What is not there is no failure.
    #[arg(short, long)]
    pub force: bool,
    /// Look whether it can be done, say what would be, and do nothing.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

/// Names, the last of which is the new one.
#[derive(Debug, Args)]
pub struct Mv {
    /// Which ones.
    #[arg(required = true, value_name = "FROM")]
    pub from: Vec<String>,
    /// The new name, or a directory.
    #[arg(value_name = "TO", value_parser = unmarked)]
    pub to: String,
    /// Look whether it can be done, say what would be, and do nothing.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

/// Permissions.
#[derive(Debug, Args)]
pub struct Chmod {
    /// In octal, such as 640.
    #[arg(value_parser = mode)]
    pub mode: u32,
    #[command(flatten)]
    pub names: Names,
}

/// Two trees.
#[derive(Debug, Args)]
pub struct Trees {
    /// The tree that the other one is made like.
    pub source: String,
    /// The other one; by default of the same name, where we are.
    pub target: Option<String>,
    /// From here to the server.
    #[arg(short = 'R', long)]
    pub reverse: bool,
    #[command(flatten)]
    pub which: Which,
    #[command(flatten)]
    pub making: Making,
}

/// A mirror.
#[derive(Debug, Args)]
pub struct Mirror {
    #[command(flatten)]
    pub trees: Trees,
    /// Remove what is in the target and not in the source.
    #[arg(short = 'e', long)]
    pub delete: bool,
}

/// What is compared.
#[derive(Debug, Args)]
pub struct Diff {
    /// On the server.
    pub there: String,
    /// Here; by default of the same name.
    pub here: Option<String>,
    #[command(flatten)]
    pub which: Which,
}

/// A file to be edited.
#[derive(Debug, Args)]
pub struct Edit {
    /// Which one.
    #[arg(value_parser = unmarked)]
    pub name: String,
}

/// Words that are passed on.
#[derive(Debug, Args)]
pub struct Raw {
    /// What to say.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "WORDS", value_parser = unmarked)]
    pub words: Vec<String>,
}

/// A listing here.
#[derive(Debug, Args)]
pub struct Lls {
    /// Which ones, and what else ls may be told.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "WORDS")]
    pub words: Vec<String>,
}

/// A place to connect to.
#[derive(Debug, Args)]
pub struct Open {
    /// A URL, a host, or a bookmark.
    #[arg(value_parser = unmarked)]
    pub place: String,
    /// Who logs in, if the URL does not say.
    #[arg(short, long, value_name = "NAME", value_parser = unmarked)]
    pub user: Option<String>,
    /// Send the password in clear if the server has no TLS.
    #[arg(long)]
    pub insecure_login: bool,
    /// Do without TLS altogether; the password goes out in clear.
    #[arg(long)]
    pub no_tls: bool,
    /// Believe the certificate with this SHA-256 fingerprint, and no other.
    #[arg(long, value_name = "SHA256", value_parser = crate::cli::ftp::fingerprint)]
    pub fingerprint: Option<String>,
    /// Let the server dial for data, if it can, instead of us.
    #[arg(long)]
    pub active: bool,
}

/// A directory, or none.
#[derive(Debug, Args)]
pub struct Directory {
    /// Which one.
    #[arg(allow_hyphen_values = true)]
    pub directory: Option<String>,
}

/// A name of ours.
#[derive(Debug, Args)]
pub struct Name {
    /// Which one.
    #[arg(value_parser = unmarked)]
    pub name: String,
}

/// Bookmarks.
#[derive(Debug, Args)]
pub struct Bookmark {
    #[command(subcommand)]
    pub word: Option<BookmarkWord>,
}

/// What is done with them.
#[derive(Debug, Subcommand)]
pub enum BookmarkWord {
    /// Show them.
    List,
    /// Add one, or change it.
    Add {
        /// What to call it.
        #[arg(value_parser = unmarked)]
        name: String,
        /// Where it leads; by default where we are.
        #[arg(value_parser = unmarked)]
        url: Option<String>,
    },
    /// Remove one.
    Remove(Name),
}

/// An alias.
#[derive(Debug, Args)]
pub struct Alias {
    /// What to say.
    #[arg(value_parser = unmarked)]
    pub name: Option<String>,
    /// What it means: words, or several commands in quotes.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<String>,
}

/// A setting.
#[derive(Debug, Args)]
pub struct Set {
    /// Which one.
    pub name: Option<String>,
    /// What it will be.
    pub value: Option<String>,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Switch {
    /// From now on.
    On,
    /// No more.
    Off,
}

fn unmarked(marked: &str) -> Result<String, std::convert::Infallible> {
    Ok(plain(marked))
}

fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
    mode.ok_or_else(|| "octal digits, such as 640".into())
}

/// Reads the words of an order.
///
/// # Errors
/// What clap has to say, without colours.
pub fn read(words: &[String]) -> Result<Word, clap::Error> {
    // Patterns of trees are not for names that are here or there already: quoted or not, they are the same.
    let of_trees = matches!(words.first().map(String::as_str), Some("mirror" | "sync" | "diff"));
    let words = words.iter().map(|word| if of_trees { plain(word) } else { word.clone() });
    Ok(Line::try_parse_from(words)?.word)
}

/// All commands with a sentence each, or all about one of them.
pub fn help(name: Option<&str>) -> Option<String> {
    let mut line = Line::command();
    line.build();
    match name {
        None => Some(line.render_help().to_string()),
        Some(name) => Some(one_blank(&line.find_subcommand_mut(name)?.render_long_help().to_string())),
    }
}

/// Before a command stands the name of the program, and that is empty here.
pub fn one_blank(text: &str) -> String {
    text.replace("Usage:  ", "Usage: ")
}

/// What stands here for a command that other clients have.
pub fn of_other_clients(word: &str) -> Option<&'static str> {
    Some(match word {
        "ascii" | "binary" | "bin" | "image" | "type" => "files are moved as they are, octet for octet",
        "passive" | "sendport" => "`set active on` lets the server dial; otherwise we do",
        "prompt" | "interactive" | "glob" | "hash" | "bell" | "verbose" | "trace" => {
            "there is no such switch; `set` shows those that there are"
        }
        "user" | "login" | "lftp" => "`open -u NAME HOST` logs in as somebody",
        "pget" => "`get` fetches a large file over several connections by itself",
        "rename" | "ren" => "`mv` gives another name",
        "delete" | "del" | "mdelete" | "mrm" => "`rm` removes files",
        "nlist" | "nls" => "`cls` lists names",
        "recls" | "rels" => "`ls` and `cls` ask the server each time",
        "recv" => "`get` fetches files",
        "send" | "append" => "`put` sends files",
        "disconnect" => "`close` closes the connection",
        "lmkdir" | "lrm" | "ldelete" | "lrename" | "echo" | "clear" => {
            "`!` stands before commands of this machine, as in `!mkdir NAME`"
        }
        "status" | "stats" => "`pwd` says where we are, `jobs` what is running",
        "history" => "the arrow keys and Ctrl-R bring back what was typed",
        "source" | "queue" | "repeat" => {
            "there is none; `packetboat ftp -e` and lines from a pipe do several things in a row"
        }
        _ => return None,
    })
}

/// The names of all commands.
pub fn names() -> Vec<String> {
    let line = Line::command();
    let names = line.get_subcommands().flat_map(|word| {
        [word.get_name()].into_iter().chain(word.get_visible_aliases()).map(str::to_owned).collect::<Vec<_>>()
    });
    names.collect()
}

/// The long options of a command, with `--`.
pub fn options(name: &str) -> Vec<String> {
    let line = Line::command();
    let Some(word) = line.find_subcommand(name) else { return Vec::new() };
    word.get_arguments().filter_map(|argument| Some(format!("--{}", argument.get_long()?))).collect()
}

//! What may stand where the cursor is.
//!
//! Invariants: what is put in is read as the name that was meant; names with control characters, and those that are not UTF-8,
//! are not offered: they cannot be typed, but a pattern finds them; a server that does not answer is not waited for.

use super::dialogue::Dialogue;
use super::language::{Cut, cut, is_pattern, quoted};
use super::out::local;
use super::seat::{Seat, Wanted};
use super::{Aliases, settings, words};
use crate::failure::Failure;
use ftp_client::directory::join;
use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Mutex;

/// Somebody who has pressed Tab does not wait longer.
const LISTING_LIMIT: Duration = Duration::from_secs(4);

/// What can stand behind a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    There,
    DirectoriesThere,
    Here,
    DirectoriesHere,
    Bookmarks,
    Words(&'static [&'static str]),
    Settings,
    Commands,
    Nothing,
}

/// What stands at this place of a command.
fn expected(words: &[String]) -> Expected {
    let Some(command) = words.first() else { return Expected::Commands };
    let place = words[1..].iter().filter(|word| !word.starts_with('-')).count();
    let here_first = words.iter().any(|word| word == "-R" || word == "--reverse");
    match command.as_str() {
        "cd" | "rmdir" => Expected::DirectoriesThere,
        "put" | "mput" | "reput" | "lls" => Expected::Here,
        "lcd" => Expected::DirectoriesHere,
        "get" | "mget" | "reget" if words.last().is_some_and(|word| word == "-o") => Expected::Here,
        "mirror" | "sync" if (place == 0) == here_first => Expected::Here,
        "diff" if place > 0 => Expected::Here,
        "open" => Expected::Bookmarks,
        "bookmark" if place == 0 => Expected::Words(&["add", "list", "remove"]),
        "bookmark" => Expected::Bookmarks,
        "debug" => Expected::Words(&["on", "off"]),
        "set" if place == 0 => Expected::Settings,
        "help" | "?" | "alias" | "unalias" => Expected::Commands,
        "close" | "pwd" | "lpwd" | "jobs" | "kill" | "wait" | "fg" | "exit" | "quit" | "bye" | "site" | "quote"
        | "set" => Expected::Nothing,
        _ => Expected::There,
    }
}

/// Completes at the prompt.
pub struct Guide {
    pub seat: Arc<Mutex<Option<Seat>>>,
    pub aliases: Aliases,
    pub dialogue: Arc<Dialogue>,
    pub runtime: Handle,
}

impl Completer for Guide {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let cut = cut(&line[..at]);
        let found = if cut.local { in_folder(&cut.typed) } else { self.found(&cut) };
        Ok((cut.start, offered(&cut, found)))
    }
}

impl Guide {
    fn found(&self, cut: &Cut) -> Vec<Found> {
        if cut.typed.starts_with('-') && !cut.words.is_empty() {
            return words::options(&cut.words[0]).into_iter().map(Found::word).collect();
        }
        match expected(&cut.words) {
            Expected::There => self.there(&cut.typed),
            Expected::DirectoriesThere => directories(self.there(&cut.typed)),
            Expected::Here => in_folder(&cut.typed),
            Expected::DirectoriesHere => directories(in_folder(&cut.typed)),
            Expected::Bookmarks => super::bookmarks::names().into_iter().map(Found::word).collect(),
            Expected::Words(words) => words.iter().map(|word| Found::word(*word)).collect(),
            Expected::Settings => settings::NAMES.iter().map(|(name, _)| Found::word(*name)).collect(),
            Expected::Commands => {
                let aliases = self.aliases.lock().unwrap_or_else(PoisonError::into_inner);
                words::names().into_iter().chain(aliases.keys().cloned()).map(Found::word).collect()
            }
            Expected::Nothing => Vec::new(),
        }
    }

    fn there(&self, typed: &str) -> Vec<Found> {
        let (folder, _) = split(typed);
        // What is shown while somebody types would stand in the middle of the line.
        let shown = self.dialogue.switch(false);
        let listing = async {
            let mut seat = self.seat.lock().await;
            let seat = seat.as_mut()?;
            tokio::time::timeout(LISTING_LIMIT, seat.listed(folder.as_bytes())).await.ok()?.ok()
        };
        let listed = self.runtime.block_on(listing);
        self.dialogue.switch(shown);
        let names = listed.iter().flat_map(|listed| listed.iter());
        names
            .filter_map(|(name, directory)| {
                let name = String::from_utf8(name.clone()).ok()?;
                Some(Found { name: format!("{folder}{name}"), directory: *directory, whole: true })
            })
            .collect()
    }
}

/// Something that may be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    /// With the directories before it, as they are typed.
    name: String,
    directory: bool,
    /// Whether a blank follows; options may want a value.
    whole: bool,
}

impl Found {
    fn word(name: impl Into<String>) -> Self {
        Found { name: name.into(), directory: false, whole: true }
    }
}

fn directories(mut found: Vec<Found>) -> Vec<Found> {
    found.retain(|found| found.directory);
    found
}

/// The directories before a name, with the last slash, and the name.
fn split(typed: &str) -> (&str, &str) {
    typed.split_at(typed.rfind('/').map_or(0, |at| at + 1))
}

fn in_folder(typed: &str) -> Vec<Found> {
    let (folder, _) = split(typed);
    let place = if folder.is_empty() { ".".into() } else { local(folder) };
    let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some(Found { name: format!("{folder}{name}"), directory: entry.path().is_dir(), whole: true })
        })
        .collect()
}

/// Those that fit what is typed, as they are put in.
fn offered(cut: &Cut, mut found: Vec<Found>) -> Vec<Pair> {
    let (_, begun) = split(&cut.typed);
    let typeable = |name: &str| !name.chars().any(char::is_control);
    let seen = |name: &str| begun.starts_with('.') || !name.starts_with('.');
    found.retain(|found| found.name.starts_with(&cut.typed) && typeable(&found.name) && seen(split(&found.name).1));
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found.dedup();
    let pair = |Found { name, directory, whole }: Found| {
        // A `~/` that nobody has quoted stays what it is.
        let (home, rest) = match (cut.quote, name.strip_prefix("~/")) {
            (None, Some(rest)) => ("~/", rest),
            _ => ("", &name[..]),
        };
        let end = match (directory, cut.quote, whole) {
            (true, ..) => "/".into(),
            (false, Some(quote), _) => format!("{quote} "),
            (false, None, true) => " ".into(),
            (false, None, false) => String::new(),
        };
        // A name that begins with a dash would be an option.
        let like_an_option = name.starts_with('-') && !cut.typed.starts_with('-');
        let meant = if like_an_option { format!("./{rest}") } else { rest.to_owned() };
        let replacement = format!("{home}{}{end}", quoted(&meant, cut.quote));
        Pair { display: split(&name).1.to_owned() + if directory { "/" } else { "" }, replacement }
    };
    found.into_iter().map(pair).collect()
}

impl Helper for Guide {}
impl Highlighter for Guide {}
impl Validator for Guide {}
impl Hinter for Guide {
    type Hint = String;
}

/// The files here that a name or a pattern stands for.
pub fn matching_here(marked: &str) -> Result<Vec<PathBuf>, Failure> {
    if !is_pattern(marked) {
        return Ok(vec![local(marked).into()]);
    }
    let marked = super::language::with_home(marked, std::env::var("HOME").ok().as_deref());
    let mut fitting = vec![if marked.starts_with('/') { b"/".to_vec() } else { Vec::new() }];
    for part in marked.split('/').filter(|part| !part.is_empty()) {
        let wanted = Wanted::new(part);
        let step = |above: &Vec<u8>| match is_pattern(part) {
            true => {
                names_in(above).into_iter().filter(|name| wanted.fits(name)).map(|name| join(above, &name)).collect()
            }
            false => vec![join(above, super::language::plain(part).as_bytes())],
        };
        fitting = fitting.iter().flat_map(step).filter(|path| path_of(path).exists()).collect();
    }
    if fitting.is_empty() {
        let name = super::language::plain(&marked);
        return Err(Failure::Missing(format!("{name}: nothing of such a name here")));
    }
    Ok(fitting.iter().map(|path| path_of(path).to_owned()).collect())
}

fn path_of(octets: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(octets))
}

fn names_in(folder: &[u8]) -> Vec<Vec<u8>> {
    let folder = if folder.is_empty() { Path::new(".") } else { path_of(folder) };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().as_bytes().to_vec()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> Found {
        Found::word(name)
    }

    fn folder(name: &str) -> Found {
        Found { directory: true, ..Found::word(name) }
    }

    fn put_in(line: &str, found: &[Found]) -> Vec<String> {
        let cut = cut(line);
        let pairs = offered(&cut, found.to_vec());
        pairs.into_iter().map(|pair| format!("{}{}", &line[..cut.start], pair.replacement)).collect()
    }

    #[test]
    fn names_are_put_in_as_they_would_have_to_be_typed() {
        let found = [file("July menu.txt"), folder("July"), file("it's"), file(".hidden"), file("a\nb"), file("a*")];
        assert_eq!(put_in("get J", &found), ["get July/", "get July\\ menu.txt "]);
        assert_eq!(put_in("get 'J", &found), ["get 'July/", "get 'July menu.txt' "]);
        assert_eq!(put_in("get x \"July ", &found), ["get x \"July menu.txt\" "]);
        assert_eq!(put_in("get July\\ m", &found), ["get July\\ menu.txt "]);
        assert_eq!(put_in("get i", &found), ["get it\\'s "]);
        assert_eq!(put_in("get 'i", &found), ["get 'it'\\''s' "]);
        assert_eq!(put_in("get .", &found), ["get .hidden "]);
        assert_eq!(put_in("get a", &found), ["get a\\* "]);
        assert_eq!(put_in("get z", &found), [""; 0]);
        assert_eq!(put_in("get ", &[file("-f")]), ["get ./-f "]);
        assert_eq!(put_in("get '", &[file("-f g")]), ["get './-f g' "]);
        assert_eq!(put_in("get -", &[file("--force")]), ["get --force "]);
    }

    #[test]
    fn directories_before_a_name_stay() {
        assert_eq!(put_in("get a\\ b/c", &[file("a b/cd"), file("a b/d")]), ["get a\\ b/cd "]);
        assert_eq!(put_in("put ~/m", &[file("~/menu")]), ["put ~/menu "]);
        assert_eq!(split("/a/b"), ("/a/", "b"));
        assert_eq!(split("a"), ("", "a"));
    }

    #[test]
    fn each_command_has_names_of_its_own_kind() {
        let at = |line: &str| expected(&cut(line).words);
        for (line, kind) in [
            ("", Expected::Commands),
            ("ge", Expected::Commands),
            ("get -c a", Expected::There),
            ("get -o ", Expected::Here),
            ("cd ", Expected::DirectoriesThere),
            ("ls; put ", Expected::Here),
            ("lcd ", Expected::DirectoriesHere),
            ("mirror ", Expected::There),
            ("mirror a ", Expected::Here),
            ("mirror -R ", Expected::Here),
            ("mirror -R a ", Expected::There),
            ("open ", Expected::Bookmarks),
            ("jobs ", Expected::Nothing),
        ] {
            assert_eq!(at(line), kind, "{line:?}");
        }
    }

    #[test]
    fn patterns_find_what_is_here() {
        let place = tempfile::tempdir().expect("a folder");
        for name in ["a.txt", "b.txt", ".c.txt", "d*.txt", "e.bin"] {
            std::fs::write(place.path().join(name), "").expect("written");
        }
        std::fs::create_dir(place.path().join("sub")).expect("made");
        std::fs::write(place.path().join("sub/f.txt"), "").expect("written");
        let root = place.path().display();
        let names = |pattern: &str| {
            let found = matching_here(&format!("{root}/{pattern}")).unwrap_or_default();
            found
                .iter()
                .map(|path| path.strip_prefix(place.path()).expect("below").display().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(names("*.txt"), ["a.txt", "b.txt", "d*.txt"]);
        assert_eq!(names("*/f.txt"), ["sub/f.txt"]);
        assert_eq!(names(".*"), [".c.txt"]);
        assert_eq!(names("d\0**"), ["d*.txt"]);
        assert_eq!(names("x*"), [""; 0]);
    }
}

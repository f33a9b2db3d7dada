//! LIST as of `ls -l`, and of those that imitate it: with and without links, owners and groups, with dates of all kinds.
//!
//! What stands before the date differs from server to server; but right before it stands the size. So we look for the first
//! number with a date behind it.

use super::date::{self, Stamp};
use super::tokens::Tokens;
use super::{Kind, Said, named};
use crate::moment::Moment;

/// `drwxrwxrwt`, perhaps with a mark for an access list.
const LETTERS: usize = 10;

pub fn read(tokens: &Tokens, now: Moment) -> Option<Said> {
    let letters = tokens.word(0);
    // `total 48`, in whichever language.
    if tokens.len() == 2 && tokens.number(1).is_some() {
        return Some(Said::Nothing);
    }
    let kind = kind(letters)?;
    let (size_at, stamp, words) = date_behind_size(tokens, 1, now)?;
    let mut name = tokens.behind(size_at + words);
    let kind = match kind {
        Kind::Link(_) => match memchr::memmem::find(name, b" -> ") {
            Some(at) => {
                let target = name[at + 4..].to_vec();
                name = &name[..at];
                Kind::Link(Some(target))
            }
            None => Kind::Link(None),
        },
        // `ls -F` marks directories.
        Kind::Directory => {
            name = name.strip_suffix(b"/").unwrap_or(name);
            Kind::Directory
        }
        other => other,
    };
    Some(named(name, kind, |found| {
        found.mode = mode(letters);
        found.size = tokens.number(size_at).filter(|_| found.kind == Kind::File);
        found.modified = Some(stamp);
        owners(tokens, size_at, found);
    }))
}

/// `- [RWCEAFMS] bob  12 Jul 10 10:18 menu.txt`
pub fn read_netware(tokens: &Tokens, now: Moment) -> Option<Said> {
    let rights = tokens.word(1);
    let kind = match tokens.word(0) {
        b"d" => Kind::Directory,
        b"-" => Kind::File,
        _ => return None,
    };
    if !(rights.starts_with(b"[") && rights.ends_with(b"]")) {
        return None;
    }
    let (size_at, stamp, words) = date_behind_size(tokens, 2, now)?;
    Some(named(tokens.from(size_at + words + 1), kind, |found| {
        found.size = tokens.number(size_at).filter(|_| found.kind == Kind::File);
        found.owner = Some(tokens.text(2).into()).filter(|_| size_at > 2);
        found.modified = Some(stamp);
    }))
}

fn kind(letters: &[u8]) -> Option<Kind> {
    let (first, rest) = letters.split_first()?;
    // Some write octal digits, or a type and nothing else; those nobody can tell from other words.
    let like = rest.len() + 1 >= LETTERS && rest[..9].iter().all(|letter| b"-rwxsStTlLdDxX".contains(letter));
    match first {
        _ if !like => None,
        b'-' | b'f' | b'n' | b'm' => Some(Kind::File),
        b'd' | b'D' => Some(Kind::Directory),
        b'l' => Some(Kind::Link(None)),
        b'b' | b'c' | b'p' | b's' => Some(Kind::Other),
        _ => None,
    }
}

fn mode(letters: &[u8]) -> Option<u32> {
    let letters = letters.get(1..LETTERS)?;
    let mut mode = 0;
    for (at, letter) in letters.iter().enumerate() {
        let bit = 1 << (8 - at);
        mode |= match (letter, at) {
            (b'-', _) => 0,
            (b's', 2) => bit | 0o4000,
            (b'S', 2) => 0o4000,
            (b's', 5) => bit | 0o2000,
            (b'S' | b'l' | b'L', 5) => 0o2000,
            (b't', 8) => bit | 0o1000,
            (b'T', 8) => 0o1000,
            _ => bit,
        };
    }
    Some(mode)
}

/// The first number with a date behind it: its place, the date, and how many words that has.
fn date_behind_size(tokens: &Tokens, from: usize, now: Moment) -> Option<(usize, Stamp, usize)> {
    (from..tokens.len()).find_map(|at| {
        let size = tokens.number(at).is_some() || tokens.word(at).ends_with(b",");
        let (stamp, words) = size.then(|| date::read(tokens, at + 1, now))??;
        Some((at, stamp, words))
    })
}

/// What stands between the links and the size: owner and group, or one of them. An owner's name may have blanks in it.
fn owners(tokens: &Tokens, size_at: usize, found: &mut super::Found) {
    let first = if tokens.number(1).is_some() { 2 } else { 1 };
    let word = |at: usize| String::from_utf8_lossy(tokens.word(at)).into_owned();
    match size_at.saturating_sub(first) {
        0 => {}
        1 => found.owner = Some(word(first)),
        _ => {
            found.owner = Some(word(first));
            found.group = Some(word(size_at - 1));
        }
    }
}

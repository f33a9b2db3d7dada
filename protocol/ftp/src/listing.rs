//! Lines of listings, for people, for scripts, and for machines.
//!
//! RFC 959 §4.1.3 (LIST, NLST); RFC 1123 §4.1.2.7 (NLST gives names fit for RETR); RFC 3659 §7 (MLST, MLSD, facts).
//!
//! LIST has no format but what clients expect: that of `ls -l` on Unix, in English, in UTC, and exactly so, because
//! hundreds of parsers read it:
//!
//! ```text
//! -rw-r--r--   1 bob      bob              1830 Sep 16 05:56 hatch.c
//! drwxr-xr-x   2 bob      bob                 0 Jul  5  1998 a directory
//! ```
//!
//! Names are octets and go out as they are; only CR, LF and NUL, which would break the line, become `?`.
//! 0xFF is not doubled: the data connection is not Telnet.
//!
//! Invariants: a line is one line, whatever the name; the same entry gives the same line; nothing is allocated but `out`.
//! Not here: which entries there are and in which order (house/files), the rights behind `perm` (house).

mod pattern;

pub use pattern::Pattern;

use crate::moment::Moment;
use std::borrow::Cow;

/// `ls` shows the time of day for half a year.
const RECENT_SECS: i64 = 180 * 86_400;
/// A file from the future by more than this is shown with its year: someone's clock is wrong.
const AHEAD_SECS: i64 = 3600;
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// One thing in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its name, or what stands for it.
    pub name: Cow<'a, [u8]>,
    /// What it is.
    pub kind: EntryKind<'a>,
    /// Octets.
    pub size: u64,
    /// When its content changed last.
    pub modified: Moment,
    /// When it was created, where that is known.
    pub created: Option<Moment>,
    /// Permission bits of Unix, 0 to 0o7777.
    pub mode: u32,
    /// How many names it has.
    pub links: u64,
    /// Without blanks.
    pub owner: Cow<'a, str>,
    /// Without blanks.
    pub group: Cow<'a, str>,
    /// Device and inode, or whatever tells one file from another.
    pub unique: Option<(u64, u64)>,
    /// What this user may do with it.
    pub rights: Rights,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind<'a> {
    /// A file, or a link to one.
    File,
    /// A directory, or a link to one.
    Directory,
    /// The listed directory itself: only in MLSD.
    Current,
    /// Its parent: only in MLSD.
    Parent,
    /// A link shown as a link, with what it says: in LIST, and where it leads nowhere.
    Link(Cow<'a, [u8]>),
    /// A device, a socket, a pipe.
    Other,
}

/// What a user may do with an entry (RFC 3659 §7.5.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rights(u16);

impl Rights {
    /// `a`: APPE to this file.
    pub const APPEND: Rights = Rights(1);
    /// `c`: create files in this directory.
    pub const CREATE: Rights = Rights(2);
    /// `d`: delete it.
    pub const DELETE: Rights = Rights(4);
    /// `e`: CWD into this directory.
    pub const ENTER: Rights = Rights(8);
    /// `f`: rename it.
    pub const RENAME: Rights = Rights(16);
    /// `l`: list this directory.
    pub const LIST: Rights = Rights(32);
    /// `m`: MKD in this directory.
    pub const MAKE_DIRECTORY: Rights = Rights(64);
    /// `p`: delete what is in this directory.
    pub const PURGE: Rights = Rights(128);
    /// `r`: RETR this file.
    pub const READ: Rights = Rights(256);
    /// `w`: STOR over this file.
    pub const WRITE: Rights = Rights(512);

    const LETTERS: &[u8; 10] = b"acdeflmprw";

    /// Both.
    pub const fn and(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }

    /// Whether all of `other` are among these.
    pub const fn has(self, other: Rights) -> bool {
        self.0 & other.0 == other.0
    }

    /// By their letters in any case; letters that mean nothing are passed over.
    pub fn parse(letters: &[u8]) -> Rights {
        let bit = |letter: &u8| Self::LETTERS.iter().position(|known| known.eq_ignore_ascii_case(letter));
        Rights(letters.iter().filter_map(bit).fold(0, |all, bit| all | 1 << bit))
    }

    fn write(self, out: &mut Vec<u8>) {
        out.extend(
            Self::LETTERS.iter().enumerate().filter(|(bit, _)| self.0 >> bit & 1 == 1).map(|(_, letter)| letter),
        );
    }
}

/// A selection of the facts that MLST and MLSD can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts(u16);

/// In the order in which they are told. Those before [`FACTS_DEFAULT`] are told unless OPTS says otherwise.
const FACTS: [&str; 9] =
    ["type", "size", "modify", "perm", "unique", "UNIX.mode", "UNIX.owner", "UNIX.group", "create"];
const FACTS_DEFAULT: usize = 6;

impl Default for Facts {
    fn default() -> Self {
        Facts((1 << FACTS_DEFAULT) - 1)
    }
}

impl Facts {
    /// All that can be told.
    pub const ALL: Facts = Facts((1 << FACTS.len()) - 1);
    /// All but `create`, which not every house knows.
    pub const WITHOUT_CREATION: Facts = Facts((1 << (FACTS.len() - 1)) - 1);
    /// Only names.
    pub const NONE: Facts = Facts(0);

    /// What stands behind OPTS MLST: names, each with a semicolon; unknown ones are passed over (RFC 3659 §7.9).
    /// `None` if there is a blank among them.
    pub fn parse(list: &[u8]) -> Option<Facts> {
        if list.iter().any(|octet| octet.is_ascii_whitespace()) {
            return None;
        }
        let bit = |name: &[u8]| FACTS.iter().position(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        let names = list.split(|octet| *octet == b';');
        Some(Facts(names.filter_map(bit).fold(0, |all, bit| all | 1 << bit)))
    }

    /// `type;size;`: those that are selected, as OPTS MLST answers.
    pub fn selected(self) -> String {
        self.list().filter(|(_, selected)| *selected).map(|(name, _)| format!("{name};")).collect()
    }

    /// Those that are among the `known`.
    pub fn among(self, known: Facts) -> Facts {
        Facts(self.0 & known.0)
    }

    /// `type*;size*;create;`: all that are `known`, those selected with a star, as FEAT has it.
    pub fn starred(self, known: Facts) -> String {
        let star = |selected| if selected { "*" } else { "" };
        let both = self.list().zip(known.list()).filter(|(_, (_, known))| *known);
        both.map(|((name, selected), _)| format!("{name}{};", star(selected))).collect()
    }

    fn list(self) -> impl Iterator<Item = (&'static str, bool)> {
        FACTS.iter().enumerate().map(move |(bit, name)| (*name, self.0 >> bit & 1 == 1))
    }
}

/// A line of LIST, with its CRLF. `now` decides between the time of day and the year.
pub fn long_line(entry: &Entry, now: Moment, out: &mut Vec<u8>) {
    long_text(entry, now, out);
    out.extend_from_slice(b"\r\n");
}

/// A line of LIST without its end, for STAT.
pub fn long_text(entry: &Entry, now: Moment, out: &mut Vec<u8>) {
    out.push(match entry.kind {
        EntryKind::File => b'-',
        EntryKind::Directory | EntryKind::Current | EntryKind::Parent => b'd',
        EntryKind::Link(_) => b'l',
        // Clients know no other letters that they can rely on, and nobody can fetch it anyway.
        EntryKind::Other => b's',
    });
    mode_letters(entry.mode, out);
    number_right(entry.links, 4, out);
    out.push(b' ');
    text_left(&entry.owner, 8, out);
    out.push(b' ');
    text_left(&entry.group, 8, out);
    number_right(entry.size, 13, out);
    out.push(b' ');
    date(entry.modified, now, out);
    out.push(b' ');
    name(&entry.name, out);
    if let EntryKind::Link(target) = &entry.kind {
        out.extend_from_slice(b" -> ");
        name(target, out);
    }
}

/// A line of NLST: a name behind what the client must put before it to fetch it.
pub fn name_line(prefix: &[u8], entry_name: &[u8], out: &mut Vec<u8>) {
    name(prefix, out);
    name(entry_name, out);
    out.extend_from_slice(b"\r\n");
}

/// A line of MLSD: facts, a space, the name.
pub fn machine_line(entry: &Entry, facts: Facts, out: &mut Vec<u8>) {
    fact_text(entry, facts, out);
    out.push(b' ');
    name(&entry.name, out);
    out.extend_from_slice(b"\r\n");
}

/// The facts alone, each with its semicolon, as far as they are selected and known of this entry.
pub fn fact_text(entry: &Entry, facts: Facts, out: &mut Vec<u8>) {
    for (bit, fact) in FACTS.iter().enumerate().filter(|(bit, _)| facts.0 >> bit & 1 == 1) {
        let start = out.len();
        out.extend_from_slice(fact.as_bytes());
        out.push(b'=');
        if fact_value(entry, bit, out) {
            out.push(b';');
        } else {
            out.truncate(start);
        }
    }
}

/// Says whether this entry has such a fact.
fn fact_value(entry: &Entry, bit: usize, out: &mut Vec<u8>) -> bool {
    match (bit, entry.unique, entry.created) {
        (0, ..) => out.extend_from_slice(match entry.kind {
            EntryKind::File => b"file",
            EntryKind::Directory => b"dir",
            EntryKind::Current => b"cdir",
            EntryKind::Parent => b"pdir",
            EntryKind::Link(_) => b"OS.unix=symlink",
            EntryKind::Other => b"OS.unix=special",
        }),
        // RFC 3659 §7.5.7: size is for what is not a directory.
        (1, ..) if entry.kind == EntryKind::File => number(entry.size, out),
        (2, ..) => entry.modified.write(out),
        (3, ..) => entry.rights.write(out),
        (4, Some((device, inode)), _) => {
            hexadecimal(device, out);
            out.push(b'g');
            hexadecimal(inode, out);
        }
        (5, ..) => out.extend([9, 6, 3, 0].map(|shift| b'0' + (entry.mode >> shift & 7) as u8)),
        (6, ..) => token(&entry.owner, out),
        (7, ..) => token(&entry.group, out),
        (8, _, Some(created)) => created.write(out),
        _ => return false,
    }
    true
}

fn mode_letters(mode: u32, out: &mut Vec<u8>) {
    let letter = |bit: u32, letter: u8| if mode >> bit & 1 == 1 { letter } else { b'-' };
    let mut letters = [0; 9];
    for (at, slot) in letters.iter_mut().enumerate() {
        *slot = letter(8 - at as u32, b"rwx"[at % 3]);
    }
    // Set-user, set-group and sticky are shown over the three x.
    for (bit, at, set) in [(11, 2, b's'), (10, 5, b's'), (9, 8, b't')] {
        if mode >> bit & 1 == 1 {
            letters[at] = if letters[at] == b'x' { set } else { set.to_ascii_uppercase() };
        }
    }
    out.extend(letters);
}

fn date(moment: Moment, now: Moment, out: &mut Vec<u8>) {
    let civil = moment.civil();
    let age = now.unix_secs() - moment.unix_secs();
    out.extend_from_slice(MONTHS[civil.month as usize - 1].as_bytes());
    number_right(civil.day.into(), 3, out);
    out.push(b' ');
    if (-AHEAD_SECS..RECENT_SECS).contains(&age) {
        let digit = |value: u32| b'0' + (value % 10) as u8;
        out.extend([digit(civil.hour / 10), digit(civil.hour), b':', digit(civil.minute / 10), digit(civil.minute)]);
    } else {
        number_right(civil.year.into(), 5, out);
    }
}

/// A name, with what would break the line made harmless.
fn name(octets: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(octets);
    if memchr::memchr3(b'\r', b'\n', 0, octets).is_some() {
        out[start..].iter_mut().filter(|octet| matches!(**octet, b'\r' | b'\n' | 0)).for_each(|octet| *octet = b'?');
    }
}

/// What a fact may hold: no blank, no semicolon, no control character (RFC 3659 §7.4).
fn token(text: &str, out: &mut Vec<u8>) {
    out.extend(text.bytes().map(|octet| if octet <= b' ' || octet == b';' || octet == 127 { b'_' } else { octet }));
}

fn text_left(text: &str, width: usize, out: &mut Vec<u8>) {
    let start = out.len();
    token(text, out);
    out.resize(out.len().max(start + width), b' ');
}

fn number(value: u64, out: &mut Vec<u8>) {
    number_right(value, 0, out);
}

fn number_right(mut value: u64, width: usize, out: &mut Vec<u8>) {
    // u64::MAX has 20 digits.
    let (mut digits, mut at) = ([b' '; 20], 20);
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend(std::iter::repeat_n(b' ', width.saturating_sub(20 - at)));
    out.extend_from_slice(&digits[at..]);
}

fn hexadecimal(value: u64, out: &mut Vec<u8>) {
    let places = (64 - value.leading_zeros()).div_ceil(4).max(1);
    out.extend((0..places).rev().map(|place| b"0123456789abcdef"[(value >> (4 * place) & 15) as usize]));
}

#[cfg(test)]
mod tests;

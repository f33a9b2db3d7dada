//! LIST of DOS, EPLF, OpenVMS and Nonstop.

use super::date::{self, Stamp};
use super::tokens::{Tokens, digits, number};
use super::{Dialect, Kind, NameFlaw, Said, named};
use crate::moment::Moment;

/// OpenVMS counts blocks.
const VMS_BLOCK_OCTETS: u64 = 512;

/// Headings that say how the rest is to be read.
pub fn heading(line: &[u8]) -> Option<Dialect> {
    let text = std::str::from_utf8(line).ok()?.trim_start();
    let words: Vec<&str> = text.split_whitespace().take(4).collect();
    match words[..] {
        ["Volume", "Unit", "Referred", ..] | ["Volume", "Referred", ..] => Some(Dialect::DataSets),
        ["Name", "VV.MM", "Created", ..] => Some(Dialect::Members),
        ["File", "Code", "EOF", ..] => Some(Dialect::Nonstop),
        _ => None,
    }
}

/// `07-10-26  10:18AM  <DIR> menus`, `07-10-2026  10:18  1,234 menu.txt`, `10.07.2026 10:18 12 menu.txt`
pub fn dos(tokens: &Tokens) -> Option<Said> {
    let date = dos_date(tokens.text(0))?;
    let stamp = date::stamp(date, date::time(tokens.text(1))?)?;
    let (kind, size) = match tokens.word(2) {
        b"<DIR>" => (Kind::Directory, None),
        b"<JUNCTION>" | b"<SYMLINKD>" | b"<SYMLINK>" => (Kind::Link(None), None),
        word => (Kind::File, Some(number(word)?)),
    };
    // IIS puts the name into a column of its own, 39 octets from the start, one blank behind the size.
    let name = if size.is_some() { tokens.behind(2) } else { tokens.from(3) };
    let (name, kind) = match kind {
        Kind::Link(_) => link_with_brackets(name),
        kind => (name, kind),
    };
    Some(named(name, kind, |found| {
        found.size = size;
        found.modified = Some(stamp);
    }))
}

/// `menus [\\server\menus]`
fn link_with_brackets(name: &[u8]) -> (&[u8], Kind) {
    let target = memchr::memmem::rfind(name, b" [").filter(|_| name.ends_with(b"]"));
    match target {
        Some(at) => (&name[..at], Kind::Link(Some(name[at + 2..name.len() - 1].to_vec()))),
        None => (name, Kind::Link(None)),
    }
}

/// `MM-DD-YY`, `MM/DD/YYYY`, `DD.MM.YYYY`, `YYYY-MM-DD`
pub fn dos_date(text: &str) -> Option<crate::moment::Civil> {
    let parts: Vec<&str> = text.split(['-', '/', '.']).collect();
    let [one, two, three] = parts[..] else { return None };
    let (one_digits, two_digits) = (digits(one)?, digits(two)?);
    Some(match (one.len(), text.contains('.')) {
        (4, _) => date::civil(one_digits, two_digits, digits(three)?),
        (1 | 2, true) => date::civil(date::year(three)?, two_digits, one_digits),
        (1 | 2, false) => date::civil(date::year(three)?, one_digits, two_digits),
        _ => return None,
    })
}

/// `+i8388621.29609,m824255902,r,s10376,` TAB `menu.txt`
pub fn eplf(line: &[u8]) -> Option<Said> {
    let tab = memchr::memchr(b'\t', line)?;
    let facts = line[..tab].strip_prefix(b"+")?;
    let (mut kind, mut size, mut modified, mut mode, mut unique) = (Kind::Other, None, None, None, None);
    for fact in facts.split(|octet| *octet == b',') {
        match fact {
            [b'/'] => kind = Kind::Directory,
            [b'r'] => kind = Kind::File,
            [b's', rest @ ..] => size = number(rest),
            [b'm', rest @ ..] => modified = number(rest).and_then(|secs| i64::try_from(secs).ok()),
            [b'u', b'p', rest @ ..] => mode = u32::from_str_radix(std::str::from_utf8(rest).ok()?, 8).ok(),
            [b'i', rest @ ..] => unique = Some(rest.to_vec()),
            _ => {}
        }
    }
    Some(named(&line[tab + 1..], kind, |found| {
        found.size = size;
        found.modified = modified.map(|secs| Stamp::exact(Moment::from_unix_secs(secs)));
        found.mode = mode.map(|mode| mode & 0o7777);
        found.unique = unique;
    }))
}

/// `NAME.TYPE;VERSION` and nothing else on its line.
pub fn is_vms_name(line: &[u8]) -> bool {
    let version = line.iter().rposition(|octet| *octet == b';').map(|at| &line[at + 1..]);
    version.is_some_and(|version| !version.is_empty() && version.iter().all(u8::is_ascii_digit))
        && !line.contains(&b' ')
}

/// `MENU.TXT;1  1/3  10-JUL-2026 10:18:00  [BOB,STAFF] (RWED,RWED,RE,)`. The size may be missing, as may be what follows the time.
pub fn vms(tokens: &Tokens) -> Option<Said> {
    let name = tokens.word(0);
    if !is_vms_name(name) {
        // `Directory DISK$USER:[BOB]`, `Total of 3 files, 4 blocks.`
        return matches!(name, b"Directory" | b"Total" | b"Grand").then_some(Said::Nothing);
    }
    let at = (1..=3).find(|at| dashed_date(tokens.text(*at)).is_some());
    let blocks = number(tokens.word(1).split(|octet| *octet == b'/').next()?).filter(|_| at != Some(1));
    let stamp = at.and_then(|at| {
        let date = dashed_date(tokens.text(at))?;
        date::time(tokens.text(at + 1)).map_or_else(|| date::day_stamp(date), |time| date::stamp(date, time))
    });
    // What may not be looked at is listed without size and date.
    let bare = at.is_none() && tokens.len() > 1 && !tokens.word(1).starts_with(b"%");
    if bare {
        return None;
    }
    let bare = &name[..name.iter().rposition(|octet| *octet == b';')?];
    let (bare, kind) = match bare.len().checked_sub(4).map(|at| bare.split_at(at)) {
        Some((stem, end)) if end.eq_ignore_ascii_case(b".DIR") => (stem, Kind::Directory),
        _ => (bare, Kind::File),
    };
    Some(named(bare, kind, |found| {
        found.size = blocks.map(|blocks| blocks.saturating_mul(VMS_BLOCK_OCTETS)).filter(|_| found.kind == Kind::File);
        found.modified = stamp;
    }))
}

/// `10-JUL-2026`, `8-Jun-99`
pub fn dashed_date(text: &str) -> Option<crate::moment::Civil> {
    let mut parts = text.split('-');
    let (day, month, year) = (digits(parts.next()?)?, date::month(parts.next()?)?, date::year(parts.next()?)?);
    parts.next().is_none().then(|| date::civil(year, month, day))
}

/// `MENU      101           12 10-Jul-26 10:18:00 255, 10 "oooo"`. Volumes and their parts are told apart by `$` and `.`.
pub fn nonstop(tokens: &Tokens) -> Option<Said> {
    if tokens.len() == 1 {
        return Some(Said::Nothing);
    }
    let size_at = (1..=3).find(|at| tokens.number(*at).is_some() && dashed_date(tokens.text(at + 1)).is_some())?;
    let date = dashed_date(tokens.text(size_at + 1))?;
    let stamp = date::stamp(date, date::time(tokens.text(size_at + 2))?)?;
    let name = tokens.word(0);
    if name.contains(&b'$') {
        return Some(Said::Flawed(NameFlaw::Slash));
    }
    Some(named(name, Kind::File, |found| {
        found.size = tokens.number(size_at);
        found.modified = Some(stamp);
    }))
}

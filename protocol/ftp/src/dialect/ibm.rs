//! LIST of z/OS (MVS), z/VM, OS/2 and OS/400.

use super::date;
use super::other::dos_date;
use super::tokens::{Tokens, digits};
use super::{Kind, Said, named};

/// `WYOSPT 3420   2026/07/10  1  200  FB      80  8053  PS  MENU.TXT`: of data sets the size is told in tracks, so it is not
/// told here. Partitioned ones (PO) are directories.
pub fn data_set(tokens: &Tokens) -> Option<Said> {
    let last = tokens.len().checked_sub(1)?;
    let name = unquoted(tokens.word(last));
    match tokens.word(0) {
        // On tape, or on its way there: only its name is told.
        b"Migrated" | b"MIGRAT" | b"ARCIVE" | b"VSAM" => return Some(named(name, Kind::File, |_| {})),
        b"Pseudo" => return Some(named(name, Kind::Directory, |_| {})),
        _ if last < 2 => return None,
        _ => {}
    }
    if tokens.from(0).windows(17).any(|words| words == b"Not Direct Access") {
        return Some(named(name, Kind::File, |_| {}));
    }
    let kind = match tokens.word(last - 1) {
        b"PO" | b"PO-E" => Kind::Directory,
        b"PS" | b"PS-E" | b"DA" | b"VS" | b"VSAM" | b"GDG" | b"HFS" | b"ZFS" => Kind::File,
        _ => return None,
    };
    let stamp = (1..last).find_map(|at| date::day_stamp(slashed(tokens.text(at))?));
    Some(named(name, kind, |found| found.modified = stamp))
}

/// `TBSHELF   01.03 2002/09/12 2002/10/11 09:37    11    11     0 KIL001`: the size is in lines. Of load modules, and of
/// members without statistics, only the name is certain.
pub fn member(tokens: &Tokens) -> Option<Said> {
    let changed = slashed(tokens.text(3)).zip(date::time(tokens.text(4)));
    let stamp = changed.and_then(|(date, time)| date::stamp(date, time));
    Some(named(tokens.word(0), Kind::File, |found| found.modified = stamp))
}

/// `MENU     TXT     V         65        160          2 2026-07-10 10:18:00 DISK`
pub fn vm(tokens: &Tokens) -> Option<Said> {
    let kind = match tokens.word(2) {
        b"F" | b"V" => Kind::File,
        b"DIR" => Kind::Directory,
        _ => return None,
    };
    let number_or_dash = |at: usize| tokens.number(at).is_some() || tokens.word(at) == b"-";
    if !(3..=5).all(number_or_dash) {
        return None;
    }
    let stamp = date::stamp(dashed(tokens.text(6)).or_else(|| dos_date(tokens.text(6)))?, date::time(tokens.text(7))?)?;
    let name =
        if kind == Kind::Directory { tokens.word(0).to_vec() } else { [tokens.word(0), tokens.word(1)].join(&b'.') };
    Some(named(&name, kind, |found| {
        // Records of a fixed length, so many of them.
        let octets = tokens.number(3).zip(tokens.number(4)).and_then(|(length, count)| length.checked_mul(count));
        found.size = octets.filter(|_| tokens.word(2) == b"F");
        found.modified = Some(stamp);
    }))
}

/// `      12      A    07-10-26  10:18  menu.txt`, `     0   DIR   07-10-26  10:18  menus`
pub fn os2(tokens: &Tokens) -> Option<Said> {
    let size = tokens.number(0)?;
    // Attributes, each a letter or a word, or none.
    let at = (1..=4).find(|at| dos_date(tokens.text(*at)).is_some())?;
    let attributes: Vec<&[u8]> = (1..at).map(|at| tokens.word(at)).collect();
    let known = |word: &&[u8]| matches!(*word, b"DIR" | b"<DIR>") || word.iter().all(|letter| b"ARSH".contains(letter));
    if !attributes.iter().all(known) {
        return None;
    }
    let stamp = date::stamp(dos_date(tokens.text(at))?, date::time(tokens.text(at + 1))?)?;
    let directory = attributes.iter().any(|word| matches!(*word, b"DIR" | b"<DIR>"));
    let kind = if directory { Kind::Directory } else { Kind::File };
    Some(named(tokens.from(at + 2), kind, |found| {
        found.size = Some(size).filter(|_| !directory);
        found.modified = Some(stamp);
    }))
}

/// `BOB     12 07/10/26 10:18:00 *STMF      menu.txt`, `BOB  *MEM  MENU.MBR`
pub fn os400(tokens: &Tokens) -> Option<Said> {
    let object = (1..=4).find(|at| tokens.word(*at).starts_with(b"*"))?;
    let name = tokens.from(object + 1);
    let directory = name.ends_with(b"/") || matches!(tokens.word(object), b"*DIR" | b"*DDIR" | b"*LIB" | b"*FLR");
    let stamp = (object == 4).then(|| date::stamp(dos_date(tokens.text(2))?, date::time(tokens.text(3))?)).flatten();
    if object == 4 && (stamp.is_none() || tokens.number(1).is_none()) {
        return None;
    }
    let name = name.strip_suffix(b"/").unwrap_or(name);
    // A member is told with the file that it is in.
    let name = name.rsplit(|octet| *octet == b'/').next().filter(|_| tokens.word(object) == b"*MEM").unwrap_or(name);
    Some(named(name, if directory { Kind::Directory } else { Kind::File }, |found| {
        found.size = tokens.number(1).filter(|_| object == 4 && !directory);
        found.owner = Some(tokens.text(0).into());
        found.modified = stamp;
    }))
}

fn unquoted(name: &[u8]) -> &[u8] {
    name.strip_prefix(b"'").and_then(|name| name.strip_suffix(b"'")).unwrap_or(name)
}

/// `2026/07/10`
fn slashed(text: &str) -> Option<crate::moment::Civil> {
    parted(text, '/')
}

/// `2026-07-10`
fn dashed(text: &str) -> Option<crate::moment::Civil> {
    parted(text, '-')
}

fn parted(text: &str, between: char) -> Option<crate::moment::Civil> {
    let mut parts = text.split(between);
    let (year, month, day) = (parts.next()?, digits(parts.next()?)?, digits(parts.next()?)?);
    (year.len() == 4 && parts.next().is_none()).then_some(())?;
    Some(date::civil(digits(year)?, month, day))
}

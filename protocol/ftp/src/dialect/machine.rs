//! MLSD: facts, one space, the name.
//!
//! RFC 3659 §7.2 (syntax), §7.5 (facts). Facts come in any order and any case; unknown ones are passed over.
//!
//! Pure-FTPd puts the directory before each name; where it is the one that was asked for, it is taken away again.

use super::{Kind, Said, named};
use crate::dialect::date::Stamp;
use crate::moment::Moment;

pub fn read(line: &[u8], directory: &[u8]) -> Option<Said> {
    // RFC 3659 §7.2: no facts at all is a space and the name.
    let space = memchr::memchr(b' ', line)?;
    let (facts, name) = (&line[..space], &line[space + 1..]);
    if !facts.is_empty() && !facts.contains(&b'=') {
        return None;
    }
    let name = match name.strip_prefix(directory).and_then(|rest| rest.strip_prefix(b"/")) {
        Some(inside) if !directory.is_empty() || name.starts_with(b"/") => inside,
        _ => name,
    };
    let kind = match fact(facts, "type").map(<[u8]>::to_ascii_lowercase).as_deref() {
        Some(b"dir") => Kind::Directory,
        Some(b"cdir" | b"pdir") => return Some(Said::Nothing),
        Some(b"file") | None => Kind::File,
        Some(other) => match other.strip_prefix(b"os.unix=slink").or_else(|| other.strip_prefix(b"os.unix=symlink")) {
            // `OS.unix=slink:/where/it/leads`, in the case that it came in.
            Some(_) => Kind::Link(
                fact(facts, "type").and_then(|value| value.splitn(2, |octet| *octet == b':').nth(1)).map(Into::into),
            ),
            None => Kind::Other,
        },
    };
    Some(named(name, kind, |found| {
        let number = |name: &str| std::str::from_utf8(fact(facts, name)?).ok()?.parse().ok();
        let text = |name: &str| fact(facts, name).map(|value| String::from_utf8_lossy(value).into_owned());
        found.size = number("size");
        found.modified = fact(facts, "modify").and_then(Moment::parse).map(Stamp::exact);
        found.mode =
            fact(facts, "unix.mode").and_then(|value| u32::from_str_radix(std::str::from_utf8(value).ok()?, 8).ok());
        found.mode = found.mode.map(|mode| mode & 0o7777);
        found.owner = text("unix.owner").or_else(|| text("unix.uid"));
        found.group = text("unix.group").or_else(|| text("unix.gid"));
        found.unique = fact(facts, "unique").map(Into::into);
    }))
}

fn fact<'a>(facts: &'a [u8], name: &str) -> Option<&'a [u8]> {
    facts.split(|octet| *octet == b';').find_map(|fact| {
        let equals = memchr::memchr(b'=', fact)?;
        fact[..equals].eq_ignore_ascii_case(name.as_bytes()).then(|| &fact[equals + 1..])
    })
}

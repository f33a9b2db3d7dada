//! SITE, and MFF: changing what is known of a file.
//!
//! RFC 959 §4.1.3 and RFC 1123 §4.1.2.8 (SITE is for what is not standard); draft-somers-ftp-mfxx-03 §5 (MFF).
//! CHMOD and UTIME are as wu-ftpd and its heirs have them; of UTIME two forms are in use.
//!
//! Invariants: what can be changed is the same by SITE, MFMT, MFCT and MFF: a [`Change`].
//! Not here: whether it may be changed (house).

use super::arguments::{path, split_words};
use super::{Command, split};
use crate::moment::Moment;
use crate::path::WirePath;
use crate::reply::Reply;
use crate::words;

/// Set-user, set-group, sticky, and nine for reading, writing, executing.
const MODE_MAX: u32 = 0o7777;

/// SITE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Site {
    /// Mode bits and path.
    Chmod(u32, WirePath),
    /// When the content changed, and path.
    Utime(Moment, WirePath),
    /// Where the link leads, and its own path.
    Symlink(WirePath, WirePath),
    /// What SITE can do.
    Help,
}

/// What is to be changed of a file; what is `None` stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Change {
    /// When its content changed.
    pub modified: Option<Moment>,
    /// When it was created.
    pub created: Option<Moment>,
    /// Mode bits, 0 to 0o7777.
    pub mode: Option<u32>,
}

impl Site {
    /// Reads what stands behind SITE.
    pub(super) fn parse(text: &[u8]) -> Result<Self, Reply> {
        let (word, rest) = split(text.trim_ascii_start());
        let rest = rest.unwrap_or_default();
        match word.to_ascii_uppercase().as_slice() {
            b"CHMOD" => chmod(rest),
            b"UTIME" => utime(rest),
            b"SYMLINK" => symlink(rest),
            b"HELP" => Ok(Site::Help),
            _ => Err(words::NO_SUCH_SITE.clone()),
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Site::Chmod(mode, path) => {
                out.extend(format!("CHMOD {mode:o} ").bytes());
                out.extend_from_slice(path.as_bytes());
            }
            Site::Utime(modified, path) => {
                out.extend_from_slice(b"UTIME ");
                modified.write(out);
                out.push(b' ');
                out.extend_from_slice(path.as_bytes());
            }
            Site::Symlink(target, link) => {
                out.extend_from_slice(b"SYMLINK ");
                super::arguments::write_words([target, link], out);
            }
            Site::Help => out.extend_from_slice(b"HELP"),
        }
    }
}

fn chmod(text: &[u8]) -> Result<Site, Reply> {
    let (mode, name) = split(text);
    let mode = octal(mode).ok_or(words::BAD_FILE_MODE.clone())?;
    Ok(Site::Chmod(mode, path(name.unwrap_or_default())?))
}

fn octal(digits: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|octet| octet.is_ascii_digit()))?;
    u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= MODE_MAX)
}

/// `YYYYMMDDhhmm[ss] path`, or `path accessed modified created UTC` with a time in each place.
fn utime(text: &[u8]) -> Result<Site, Reply> {
    let (first, rest) = split(text);
    if let (Some(modified), Some(rest)) = (Moment::parse_short(first), rest) {
        return Ok(Site::Utime(modified, path(rest)?));
    }
    let mut words = text.rsplitn(5, |octet| *octet == b' ');
    let zone = words.next().unwrap_or_default();
    let mut time = || Moment::parse_short(words.next()?);
    match (time(), time(), time(), zone.eq_ignore_ascii_case(b"UTC")) {
        (Some(_created), Some(modified), Some(_accessed), true) => {
            Ok(Site::Utime(modified, path(words.next().unwrap_or_default())?))
        }
        _ => Err(words::BAD_TIME.clone()),
    }
}

fn symlink(text: &[u8]) -> Result<Site, Reply> {
    let words = split_words(text).ok_or(words::BAD_QUOTES.clone())?;
    match &words[..] {
        [target, link] => Ok(Site::Symlink(path(target)?, path(link)?)),
        _ => Err(words::BAD_QUOTES.clone()),
    }
}

/// `Modify=…;UNIX.mode=…; path`
pub fn mff(text: &[u8]) -> Result<Command, Reply> {
    let (facts, name) = split(text);
    let mut change = Change::default();
    for fact in facts.split(|octet| *octet == b';').filter(|fact| !fact.is_empty()) {
        change.read_fact(fact)?;
    }
    if change == Change::default() {
        return Err(words::BAD_FACTS.clone());
    }
    Ok(Command::Mff(change, path(name.unwrap_or_default())?))
}

impl Change {
    /// Only the time of the last change.
    pub fn modified(moment: Moment) -> Self {
        Change { modified: Some(moment), ..Change::default() }
    }

    /// Only the time of creation.
    pub fn created(moment: Moment) -> Self {
        Change { created: Some(moment), ..Change::default() }
    }

    /// Only the mode bits.
    pub fn mode(mode: u32) -> Self {
        Change { mode: Some(mode), ..Change::default() }
    }

    fn read_fact(&mut self, fact: &[u8]) -> Result<(), Reply> {
        let equals = memchr::memchr(b'=', fact).ok_or(words::BAD_FACTS.clone())?;
        let (name, value) = (&fact[..equals], &fact[equals + 1..]);
        let time = || Moment::parse(value).ok_or(words::BAD_TIME.clone());
        match name.to_ascii_lowercase().as_slice() {
            b"modify" => self.modified = Some(time()?),
            b"create" => self.created = Some(time()?),
            b"unix.mode" => self.mode = Some(octal(value).ok_or(words::BAD_FILE_MODE.clone())?),
            name => {
                let text = format!("No such fact can be changed ({}).", name.escape_ascii());
                return Err(Reply::new(504, text));
            }
        }
        Ok(())
    }

    /// As MFF writes it, and as the reply to it: each fact with its semicolon.
    pub fn write(&self, out: &mut Vec<u8>) {
        for (name, moment) in [("modify=", self.modified), ("create=", self.created)] {
            if let Some(moment) = moment {
                out.extend_from_slice(name.as_bytes());
                moment.write(out);
                out.push(b';');
            }
        }
        if let Some(mode) = self.mode {
            out.extend(format!("UNIX.mode={mode:04o};").bytes());
        }
    }
}

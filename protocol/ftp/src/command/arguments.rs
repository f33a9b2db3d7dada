//! What stands behind the verbs.
//!
//! RFC 959 §5.3.2 and the documents named in the crate's header; where clients write otherwise, it says so here.
//!
//! Not here: SITE and MFF, which have a language of their own (site).

use super::{Command, HostName, Mechanism, Mode, Protection, Representation, Site, Stretch, site, time_and_path};
use crate::address;
use crate::hash::HashKind;
use crate::path::WirePath;
use crate::reply::Reply;
use crate::table::Verb;
use crate::words;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use crate::listing::Facts;

/// A domain name without the last dot (RFC 1035 §2.3.4).
const DOMAIN_MAX_OCTETS: usize = 253;
/// RFC 1035 §2.3.4
const LABEL_MAX_OCTETS: usize = 63;
/// What is kept of what a client says about itself.
const CLIENT_MAX_CHARS: usize = 200;
/// zlib knows levels from 0 to 9.
const DEFLATE_LEVEL_MAX: u8 = 9;

/// EPSV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassiveWish {
    /// The family of the control connection.
    Same,
    /// This family, by its number.
    Family(u32),
    /// Nothing else will be used from now on (RFC 2428 §4).
    All,
}

/// LIST, NLST and STAT.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListWish {
    /// `-R`: and all below.
    pub recursive: bool,
    /// `-d`: the directory, not what is in it.
    pub itself: bool,
    /// What; none for the working directory.
    pub path: Option<WirePath>,
}

/// OPTS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Options {
    /// `UTF8 ON`
    Utf8,
    /// `MLST` with the facts wished for.
    Facts(Facts),
    /// `HASH`, perhaps with a function.
    Hash(Option<HashKind>),
    /// `MODE Z`, perhaps with a level.
    Deflate(Option<u8>),
}

/// Reads what stands behind the space; it is empty where nothing does.
pub fn read(verb: Verb, text: &[u8]) -> Result<Command, Reply> {
    let word = text.trim_ascii();
    match verb {
        // PASS is read before: its octets are nobody's to trim.
        Verb::Pass => Ok(Command::Pass(line::Secret::new(text))),
        Verb::User => utf8(word).map(Command::User),
        Verb::Rein => Ok(Command::Rein),
        Verb::Quit => Ok(Command::Quit),
        Verb::Host => host(word).map(Command::Host),
        Verb::Lang => lang(word).map(Command::Lang),
        Verb::Clnt if word.is_empty() => Err(words::ARGUMENT_MISSING.clone()),
        Verb::Clnt => Ok(Command::Clnt(label(word))),
        Verb::Csid => Ok(Command::Csid(label(word))),
        Verb::Auth => auth(word).map(Command::Auth),
        Verb::Pbsz => number(word).map(Command::Pbsz),
        Verb::Prot => prot(word).map(Command::Prot),
        Verb::Ccc => Ok(Command::Ccc),
        Verb::Feat => Ok(Command::Feat),
        Verb::Opts => opts(word).map(Command::Opts),
        Verb::Help => Ok(Command::Help((!word.is_empty()).then(|| label(word)))),
        Verb::Noop => Ok(Command::Noop),
        Verb::Syst => Ok(Command::Syst),
        Verb::Stat if text.is_empty() => Ok(Command::Stat(None)),
        Verb::Stat => list(text).map(|wish| Command::Stat(Some(wish))),
        Verb::Pwd => Ok(Command::Pwd),
        Verb::Cwd => path(text).map(Command::Cwd),
        Verb::Cdup => Ok(Command::Cdup),
        Verb::Port => address::parse_host_port(word).map(Command::Port).ok_or(words::BAD_ADDRESS.clone()),
        Verb::Eprt => address::parse_extended(word).map(Command::Eprt).ok_or(words::BAD_ADDRESS.clone()),
        Verb::Pasv => Ok(Command::Pasv),
        Verb::Epsv => epsv(word).map(Command::Epsv),
        Verb::Type => representation(word).map(Command::Type),
        Verb::Stru => structure(word).map(|()| Command::Stru),
        Verb::Mode => mode(word).map(Command::Mode),
        Verb::Rest => number(word).map(Command::Rest),
        Verb::Rang => rang(word),
        Verb::Allo => allo(word),
        Verb::Retr => path(text).map(Command::Retr),
        Verb::Stor => path(text).map(Command::Stor),
        Verb::Appe => path(text).map(Command::Appe),
        Verb::Stou => perhaps_path(text).map(Command::Stou),
        Verb::List => list(text).map(Command::List),
        Verb::Nlst => list(text).map(Command::Nlst),
        Verb::Mlsd => perhaps_path(text).map(Command::Mlsd),
        Verb::Mlst => perhaps_path(text).map(Command::Mlst),
        Verb::Abor => Ok(Command::Abor),
        Verb::Size => path(text).map(Command::Size),
        Verb::Mdtm => path(text).map(Command::Mdtm),
        Verb::Mfmt => time_and_path(text).map(|(time, path)| Command::Mfmt(time, path)).ok_or(words::BAD_TIME.clone()),
        Verb::Mfct => time_and_path(text).map(|(time, path)| Command::Mfct(time, path)).ok_or(words::BAD_TIME.clone()),
        Verb::Mff => site::mff(text),
        Verb::Dele => path(text).map(Command::Dele),
        Verb::Rnfr => path(text).map(Command::Rnfr),
        Verb::Rnto => path(text).map(Command::Rnto),
        Verb::Mkd => path(text).map(Command::Mkd),
        Verb::Rmd => path(text).map(Command::Rmd),
        Verb::Hash => path(text).map(Command::Hash),
        Verb::Xcrc => stretch(text).map(|stretch| Command::Digest(HashKind::Crc32, stretch)),
        Verb::Xmd5 => stretch(text).map(|stretch| Command::Digest(HashKind::Md5, stretch)),
        Verb::Xsha1 => stretch(text).map(|stretch| Command::Digest(HashKind::Sha1, stretch)),
        Verb::Xsha256 => stretch(text).map(|stretch| Command::Digest(HashKind::Sha256, stretch)),
        Verb::Xsha512 => stretch(text).map(|stretch| Command::Digest(HashKind::Sha512, stretch)),
        Verb::Comb => comb(text),
        Verb::Avbl => perhaps_path(text).map(Command::Avbl),
        Verb::Site => Site::parse(text).map(Command::Site),
    }
}

/// A path, of which every blank is part.
pub fn path(text: &[u8]) -> Result<WirePath, Reply> {
    if text.is_empty() {
        return Err(words::ARGUMENT_MISSING.clone());
    }
    WirePath::new(text).ok_or(words::BAD_NAME.clone())
}

fn perhaps_path(text: &[u8]) -> Result<Option<WirePath>, Reply> {
    if text.is_empty() { Ok(None) } else { path(text).map(Some) }
}

/// A name of a person: UTF-8 and no control characters.
fn utf8(word: &[u8]) -> Result<String, Reply> {
    let text = std::str::from_utf8(word).ok().filter(|text| !text.is_empty() && !text.chars().any(char::is_control));
    text.map(Into::into).ok_or(words::BAD_USER_NAME.clone())
}

/// What a client says for people and logs only: cut, and made harmless.
fn label(word: &[u8]) -> String {
    let text = String::from_utf8_lossy(word);
    let cut: String = text.chars().take(CLIENT_MAX_CHARS).map(|c| if c.is_control() { '?' } else { c }).collect();
    cut.trim_end().to_owned()
}

/// Digits without sign.
pub fn number<N: std::str::FromStr>(word: &[u8]) -> Result<N, Reply> {
    let digits = std::str::from_utf8(word).ok().filter(|text| text.bytes().all(|octet| octet.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).ok_or(words::BAD_NUMBER.clone())
}

fn words_of(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

fn is(word: &[u8], keyword: &str) -> bool {
    word.eq_ignore_ascii_case(keyword.as_bytes())
}

/// RFC 7151 §3.1
fn host(word: &[u8]) -> Result<HostName, Reply> {
    let text = std::str::from_utf8(word).map_err(|_| words::BAD_HOST.clone())?;
    if let Some(inner) = text.strip_prefix('[') {
        let address = inner.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok());
        return address.map(|host| HostName::Address(IpAddr::V6(host))).ok_or(words::BAD_HOST.clone());
    }
    if let Ok(host) = text.parse::<Ipv4Addr>() {
        return Ok(HostName::Address(IpAddr::V4(host)));
    }
    let good = text.len() <= DOMAIN_MAX_OCTETS && text.split('.').all(is_label);
    if good { Ok(HostName::Domain(text.into())) } else { Err(words::BAD_HOST.clone()) }
}

fn is_label(label: &str) -> bool {
    (1..=LABEL_MAX_OCTETS).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
}

/// RFC 2640 §4.2; RFC 5646 allows digits behind the first tag.
fn lang(word: &[u8]) -> Result<Option<String>, Reply> {
    if word.is_empty() {
        return Ok(None);
    }
    let good = word.split(|octet| *octet == b'-').enumerate().all(|(at, tag)| {
        (1..=8).contains(&tag.len())
            && tag.iter().all(|octet| octet.is_ascii_alphabetic() || at > 0 && octet.is_ascii_digit())
    });
    if good { Ok(Some(label(word))) } else { Err(words::BAD_LANGUAGE.clone()) }
}

fn auth(word: &[u8]) -> Result<Mechanism, Reply> {
    match word {
        _ if is(word, "TLS") || is(word, "TLS-C") => Ok(Mechanism::Tls),
        _ if is(word, "SSL") || is(word, "TLS-P") => Ok(Mechanism::TlsPrivate),
        _ => Err(words::OTHER_MECHANISM.clone()),
    }
}

fn prot(word: &[u8]) -> Result<Protection, Reply> {
    match word {
        [b'C' | b'c'] => Ok(Protection::Clear),
        [b'P' | b'p'] => Ok(Protection::Private),
        [b'S' | b's'] => Ok(Protection::Safe),
        [b'E' | b'e'] => Ok(Protection::Confidential),
        _ => Err(words::OTHER_PROTECTION.clone()),
    }
}

fn opts(text: &[u8]) -> Result<Options, Reply> {
    let (name, rest) = super::split(text);
    let rest = rest.unwrap_or_default().trim_ascii();
    let words: Vec<&[u8]> = words_of(rest).collect();
    match name {
        // Windows Explorer says ON, old drafts said NLST, some say nothing (RFC 2640 §3.2: it is always on).
        _ if is(name, "UTF8") || is(name, "UTF-8") => match words[..] {
            [] => Ok(Options::Utf8),
            [word] if is(word, "ON") || is(word, "NLST") => Ok(Options::Utf8),
            _ => Err(words::UTF8_STAYS_ON.clone()),
        },
        _ if is(name, "MLST") => Facts::parse(rest).map(Options::Facts).ok_or(words::BAD_FACTS.clone()),
        _ if is(name, "HASH") => match words[..] {
            [] => Ok(Options::Hash(None)),
            [word] => HashKind::parse(word).map(|kind| Options::Hash(Some(kind))).ok_or(words::OTHER_HASH.clone()),
            _ => Err(words::OTHER_HASH.clone()),
        },
        _ if is(name, "MODE") => match words[..] {
            [z, ref settings @ ..] if is(z, "Z") => deflate(settings).map(Options::Deflate),
            _ => Err(words::NO_SUCH_OPTION.clone()),
        },
        _ => Err(words::NO_SUCH_OPTION.clone()),
    }
}

/// `LEVEL 6`, `ENGINE ZLIB`, `METHOD 8`, in pairs.
fn deflate(settings: &[&[u8]]) -> Result<Option<u8>, Reply> {
    let mut wished = None;
    for pair in settings.chunks(2) {
        match *pair {
            [name, value] if is(name, "LEVEL") => {
                let level = number(value).ok().filter(|level| *level <= DEFLATE_LEVEL_MAX);
                wished = Some(level.ok_or(words::NO_SUCH_OPTION.clone())?);
            }
            [name, value] if is(name, "ENGINE") && is(value, "ZLIB") || is(name, "METHOD") && is(value, "8") => {}
            _ => return Err(words::NO_SUCH_OPTION.clone()),
        }
    }
    Ok(wished)
}

fn epsv(word: &[u8]) -> Result<PassiveWish, Reply> {
    if word.is_empty() {
        return Ok(PassiveWish::Same);
    }
    if is(word, "ALL") {
        return Ok(PassiveWish::All);
    }
    number(word).map(PassiveWish::Family)
}

/// RFC 959 §4.1.2; RFC 1123 §4.1.2.1 and §4.1.2.2. A format behind `I` means nothing, and some clients send it.
fn representation(text: &[u8]) -> Result<Representation, Reply> {
    let words: Vec<&[u8]> = words_of(text).collect();
    match words[..] {
        [b"A" | b"a"] | [b"A" | b"a", b"N" | b"n" | b"T" | b"t"] => Ok(Representation::Ascii),
        [b"I" | b"i"] | [b"I" | b"i", b"N" | b"n"] | [b"L" | b"l", b"8"] | [b"L8" | b"l8"] => Ok(Representation::Image),
        [b"A" | b"a" | b"E" | b"e" | b"L" | b"l", ..] => Err(words::OTHER_TYPE.clone()),
        _ => Err(words::BAD_TYPE.clone()),
    }
}

fn structure(word: &[u8]) -> Result<(), Reply> {
    match word {
        [b'F' | b'f'] => Ok(()),
        [b'R' | b'r' | b'P' | b'p'] => Err(words::OTHER_STRUCTURE.clone()),
        _ => Err(words::BAD_STRUCTURE.clone()),
    }
}

fn mode(word: &[u8]) -> Result<Mode, Reply> {
    match word {
        [b'S' | b's'] => Ok(Mode::Stream),
        [b'Z' | b'z'] => Ok(Mode::Deflate),
        [b'B' | b'b' | b'C' | b'c'] => Err(words::OTHER_MODE.clone()),
        _ => Err(words::BAD_MODE.clone()),
    }
}

fn rang(text: &[u8]) -> Result<Command, Reply> {
    let words: Vec<&[u8]> = words_of(text).collect();
    match words[..] {
        [first, last] => Ok(Command::Rang(number(first)?, number(last)?)),
        _ => Err(words::BAD_RANGE.clone()),
    }
}

/// `n` or `n R n`; what comes behind R is for record structure, which we do not have.
fn allo(text: &[u8]) -> Result<Command, Reply> {
    let words: Vec<&[u8]> = words_of(text).collect();
    match words[..] {
        [octets] => number(octets).map(Command::Allo),
        [octets, b"R" | b"r", record] => number::<u64>(record).and_then(|_| number(octets)).map(Command::Allo),
        _ => Err(words::BAD_NUMBER.clone()),
    }
}

/// Flags as of `ls`, those unknown passed over, then one space and a path. `-` alone is a name; `--` ends the flags.
fn list(mut text: &[u8]) -> Result<ListWish, Reply> {
    let mut wish = ListWish::default();
    while let [b'-', _, ..] = text {
        let (flags, rest) = super::split(text);
        if flags.len() == 1 {
            break;
        }
        wish.recursive |= flags.contains(&b'R');
        wish.itself |= flags.contains(&b'd');
        text = rest.unwrap_or_default();
        if flags == b"--" {
            break;
        }
    }
    wish.path = perhaps_path(text)?;
    Ok(wish)
}

/// `"path" from until`, `path from until`, or `path`. A path that ends in two numbers needs the quotation marks.
fn stretch(text: &[u8]) -> Result<Stretch, Reply> {
    let numbers = |rest: &[u8]| -> Option<(u64, Option<u64>)> {
        let numbers: Option<Vec<u64>> = words_of(rest).map(|word| number(word).ok()).collect();
        match numbers?[..] {
            [] => Some((0, None)),
            [from] => Some((from, None)),
            [from, until] => Some((from, Some(until))),
            _ => None,
        }
    };
    if let Some((word, rest)) = quoted(text) {
        let (from, until) = numbers(rest).ok_or(words::BAD_RANGE.clone())?;
        return Ok(Stretch { path: path(&word)?, from, until });
    }
    let mut parts = text.rsplitn(3, |octet| *octet == b' ');
    if let (Some(until), Some(from), Some(name)) = (parts.next(), parts.next(), parts.next())
        && let (Ok(until), Ok(from)) = (number(until), number(from))
        && let Some(path) = WirePath::new(name)
    {
        return Ok(Stretch { path, from, until: Some(until) });
    }
    Ok(Stretch { path: path(text)?, from: 0, until: None })
}

fn comb(text: &[u8]) -> Result<Command, Reply> {
    let mut paths = split_words(text).ok_or(words::BAD_QUOTES.clone())?.into_iter().map(|word| path(&word));
    let whole = paths.next().ok_or(words::ARGUMENT_MISSING.clone())??;
    let parts = paths.collect::<Result<Vec<_>, _>>()?;
    if parts.is_empty() { Err(words::ARGUMENT_MISSING.clone()) } else { Ok(Command::Comb(whole, parts)) }
}

/// Words with spaces between them; those in quotation marks may have spaces inside, and doubled quotation marks.
pub fn split_words(mut text: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    loop {
        text = text.trim_ascii_start();
        if text.is_empty() {
            return Some(words);
        }
        if text.starts_with(b"\"") {
            let (word, rest) = quoted(text)?;
            words.push(word);
            text = rest;
        } else {
            let (word, rest) = super::split(text);
            words.push(word.to_vec());
            text = rest.unwrap_or_default();
        }
    }
}

/// What stands between quotation marks at the front, and what is behind it: nothing, or a space.
fn quoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut rest = text.strip_prefix(b"\"")?;
    let mut word = Vec::new();
    loop {
        let end = memchr::memchr(b'"', rest)?;
        word.extend_from_slice(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.first() {
            Some(b'"') => {
                word.push(b'"');
                rest = &rest[1..];
            }
            None | Some(b' ') => return Some((word, rest)),
            Some(_) => return None,
        }
    }
}

/// Paths in quotation marks with spaces between them.
pub fn write_words<'a>(paths: impl IntoIterator<Item = &'a WirePath>, out: &mut Vec<u8>) {
    for (at, path) in paths.into_iter().enumerate() {
        out.extend_from_slice(if at == 0 { b"\"" } else { b" \"" });
        for &octet in path.as_bytes() {
            out.extend(std::iter::repeat_n(octet, if octet == b'"' { 2 } else { 1 }));
        }
        out.push(b'"');
    }
}

impl PassiveWish {
    pub(super) fn write(self, out: &mut Vec<u8>) {
        match self {
            PassiveWish::Same => {}
            PassiveWish::Family(number) => out.extend(number.to_string().bytes()),
            PassiveWish::All => out.extend_from_slice(b"ALL"),
        }
    }
}

impl ListWish {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let dash = self.path.as_ref().is_some_and(|path| path.as_bytes().starts_with(b"-"));
        let flags = [(self.recursive, "-R"), (self.itself, "-d"), (dash, "--")];
        let flags = flags.into_iter().filter(|(is, _)| *is).map(|(_, flag)| flag.as_bytes());
        let path = self.path.as_ref().map(WirePath::as_bytes);
        out.extend(flags.chain(path).collect::<Vec<_>>().join(&b' '));
    }
}

impl Options {
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let text = match self {
            Options::Utf8 => "UTF8 ON".into(),
            Options::Facts(facts) => format!("MLST {}", facts.selected()),
            Options::Hash(None) => "HASH".into(),
            Options::Hash(Some(kind)) => format!("HASH {}", kind.name()),
            Options::Deflate(None) => "MODE Z".into(),
            Options::Deflate(Some(level)) => format!("MODE Z LEVEL {level}"),
        };
        out.extend(text.trim_end().bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_no_sign_and_an_end() {
        assert_eq!(number::<u64>(b"18446744073709551615"), Ok(u64::MAX));
        for text in ["", "-1", "+1", "1 ", "0x1", "18446744073709551616"] {
            assert!(number::<u64>(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn quotation_marks() {
        let words = |text: &str| {
            split_words(text.as_bytes())
                .map(|words| words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect::<Vec<_>>())
        };
        assert_eq!(
            words(r#"a "b c"  "d ""e""" f"#),
            Some(vec!["a".into(), "b c".into(), "d \"e\"".into(), "f".into()])
        );
        assert_eq!(words(r#""a"#), None);
        assert_eq!(words(r#""a"b"#), None);
    }
}

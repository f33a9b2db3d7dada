//! Commands: what a client may say, read and written.
//!
//! RFC 959 §5.3 (syntax); RFC 2640 §3.1 (one space, the rest is the path); RFC 2389 §4 (OPTS); RFC 2428 (EPRT, EPSV);
//! RFC 2640 §4 (LANG); RFC 3659 (MDTM, SIZE, REST, MLSx); RFC 4217 (AUTH, PBSZ, PROT, CCC); RFC 7151 (HOST);
//! draft-somers-ftp-mfxx-03 (MFMT, MFCT, MFF); draft-bryan-ftpext-hash-02 (HASH); draft-bryan-ftp-range-08 (RANG).
//!
//! Verbs and keywords are read in any case, as RFC 959 §5.3 demands: a printer that said `TYPE i` and was refused is
//! remembered. Blanks around anything but a path are passed over; of a path they are part.
//!
//! Invariants: `parse(write(c)) == c`; every refusal has its reply; no command holds a NUL or LF.
//! Not here: whether the command is allowed now (table, server), Telnet and line ends (telnet).

mod arguments;
mod site;
#[cfg(test)]
pub(crate) mod tests;

pub use arguments::{Facts, ListWish, Options, PassiveWish};
pub use site::{Change, Site};

use crate::address::{self, Extended};
use crate::hash::HashKind;
use crate::moment::Moment;
use crate::path::WirePath;
use crate::reply::Reply;
use crate::table::{self, Argument, Row, Verb, Word};
use crate::telnet;
use crate::words;
use core::net::{IpAddr, SocketAddrV4};
use line::Secret;

/// One command with its argument.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // Those without a comment are as in RFC 959.
pub enum Command {
    User(String),
    /// The octets behind the space as they are; perhaps none.
    Pass(Secret),
    Rein,
    Quit,
    /// Which host the client means (RFC 7151 §3).
    Host(HostName),
    /// Which language it wishes; none for ours (RFC 2640 §4.1).
    Lang(Option<String>),
    /// Its name, freely.
    Clnt(String),
    /// Its name, formally; and it wants ours.
    Csid(String),
    Auth(Mechanism),
    Pbsz(u32),
    Prot(Protection),
    Ccc,
    Feat,
    Opts(Options),
    Help(Option<String>),
    Noop,
    Syst,
    Stat(Option<ListWish>),
    Pwd,
    Cwd(WirePath),
    Cdup,
    Port(SocketAddrV4),
    Eprt(Extended),
    Pasv,
    Epsv(PassiveWish),
    Type(Representation),
    /// STRU F; there is no other.
    Stru,
    Mode(Mode),
    Rest(u64),
    /// The first and the last octet; `1 0` means all (draft-bryan-ftp-range-08 §3).
    Rang(u64, u64),
    /// How many octets will come.
    Allo(u64),
    Retr(WirePath),
    Stor(WirePath),
    Appe(WirePath),
    Stou(Option<WirePath>),
    List(ListWish),
    Nlst(ListWish),
    Mlsd(Option<WirePath>),
    Mlst(Option<WirePath>),
    Abor,
    Size(WirePath),
    /// Some clients put a time before the path, to set it: see [`time_and_path`].
    Mdtm(WirePath),
    Mfmt(Moment, WirePath),
    Mfct(Moment, WirePath),
    Mff(Change, WirePath),
    Dele(WirePath),
    Rnfr(WirePath),
    Rnto(WirePath),
    Mkd(WirePath),
    Rmd(WirePath),
    Hash(WirePath),
    /// XCRC, XMD5, XSHA1, XSHA256, XSHA512.
    Digest(HashKind, Stretch),
    /// The whole, and the parts to be added to it.
    Comb(WirePath, Vec<WirePath>),
    Avbl(Option<WirePath>),
    Site(Site),
}

/// TYPE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Representation {
    /// `A`, `A N` or `A T`: lines end in CRLF on the wire.
    #[default]
    Ascii,
    /// `I` or `L 8`: octets.
    Image,
}

/// MODE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// `S`
    #[default]
    Stream,
    /// `Z`: one zlib stream a transfer.
    Deflate,
}

/// AUTH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// `TLS` or `TLS-C`
    Tls,
    /// `TLS-P` or `SSL`, of the time before RFC 4217: data connections are protected from the start.
    TlsPrivate,
}

/// PROT (RFC 4217 §9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protection {
    /// `C`
    #[default]
    Clear,
    /// `P`
    Private,
    /// `S`: nobody has it.
    Safe,
    /// `E`: nobody has it.
    Confidential,
}

/// A host, as HOST names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostName {
    /// A domain; case does not count.
    Domain(String),
    /// An address; of version 6 in brackets.
    Address(IpAddr),
}

/// A stretch of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// Which file.
    pub path: WirePath,
    /// Its first octet.
    pub from: u64,
    /// The first octet beyond it; none for the end of the file.
    pub until: Option<u64>,
}

/// Why a line is no command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mistake {
    /// A verb that nobody knows.
    Unknown,
    /// A verb that we do not have.
    NotHere,
    /// Another protocol.
    Foreign,
    /// What stands behind the verb cannot be read; here is what to answer.
    Refused(Reply),
}

/// The verb's word and what stands behind its one space.
pub fn split(line: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b' ', line) {
        Some(at) => (&line[..at], Some(&line[at + 1..])),
        None => (line, None),
    }
}

/// How many octets of a line, as it came, a log may show, if not all of them: passwords are secrets.
pub fn shown(line: &[u8]) -> Option<usize> {
    // The client may have put Telnet before it; then better nothing is shown.
    let (text, _) = telnet::decoded(line);
    let secret = |line: &[u8]| {
        line.get(..5).is_some_and(|start| [&b"PASS "[..], b"ACCT "].iter().any(|verb| start.eq_ignore_ascii_case(verb)))
    };
    secret(&text).then(|| if secret(line) { 5 } else { 0 })
}

/// A time and a path with a space between them.
pub fn time_and_path(text: &[u8]) -> Option<(Moment, WirePath)> {
    let (time, path) = split(text);
    Some((Moment::parse(time)?, WirePath::new(path?)?))
}

impl Command {
    /// Reads a line without its end and without Telnet.
    ///
    /// # Errors
    /// Says why it is no command.
    pub fn parse(line: &[u8]) -> Result<Self, Mistake> {
        let (word, argument) = split(line);
        match table::look_up(word) {
            Word::Known(row) => Self::with_argument(row, argument),
            Word::NotHere => Err(Mistake::NotHere),
            Word::Foreign => Err(Mistake::Foreign),
            Word::Unknown => Err(Mistake::Unknown),
        }
    }

    /// Reads what stands behind the space.
    ///
    /// # Errors
    /// Says why it cannot be read.
    pub fn with_argument(row: &Row, argument: Option<&[u8]>) -> Result<Self, Mistake> {
        if row.verb == Verb::Pass {
            return Ok(Command::Pass(Secret::new(argument.unwrap_or_default())));
        }
        let text = argument.unwrap_or_default();
        match row.argument {
            Argument::No if !text.trim_ascii().is_empty() => Err(words::NO_ARGUMENT.clone()),
            Argument::Must if text.is_empty() => Err(words::ARGUMENT_MISSING.clone()),
            _ => arguments::read(row.verb, text),
        }
        .map_err(Mistake::Refused)
    }

    /// Its verb.
    pub fn verb(&self) -> Verb {
        match self {
            Command::User(_) => Verb::User,
            Command::Pass(_) => Verb::Pass,
            Command::Rein => Verb::Rein,
            Command::Quit => Verb::Quit,
            Command::Host(_) => Verb::Host,
            Command::Lang(_) => Verb::Lang,
            Command::Clnt(_) => Verb::Clnt,
            Command::Csid(_) => Verb::Csid,
            Command::Auth(_) => Verb::Auth,
            Command::Pbsz(_) => Verb::Pbsz,
            Command::Prot(_) => Verb::Prot,
            Command::Ccc => Verb::Ccc,
            Command::Feat => Verb::Feat,
            Command::Opts(_) => Verb::Opts,
            Command::Help(_) => Verb::Help,
            Command::Noop => Verb::Noop,
            Command::Syst => Verb::Syst,
            Command::Stat(_) => Verb::Stat,
            Command::Pwd => Verb::Pwd,
            Command::Cwd(_) => Verb::Cwd,
            Command::Cdup => Verb::Cdup,
            Command::Port(_) => Verb::Port,
            Command::Eprt(_) => Verb::Eprt,
            Command::Pasv => Verb::Pasv,
            Command::Epsv(_) => Verb::Epsv,
            Command::Type(_) => Verb::Type,
            Command::Stru => Verb::Stru,
            Command::Mode(_) => Verb::Mode,
            Command::Rest(_) => Verb::Rest,
            Command::Rang(..) => Verb::Rang,
            Command::Allo(_) => Verb::Allo,
            Command::Retr(_) => Verb::Retr,
            Command::Stor(_) => Verb::Stor,
            Command::Appe(_) => Verb::Appe,
            Command::Stou(_) => Verb::Stou,
            Command::List(_) => Verb::List,
            Command::Nlst(_) => Verb::Nlst,
            Command::Mlsd(_) => Verb::Mlsd,
            Command::Mlst(_) => Verb::Mlst,
            Command::Abor => Verb::Abor,
            Command::Size(_) => Verb::Size,
            Command::Mdtm(_) => Verb::Mdtm,
            Command::Mfmt(..) => Verb::Mfmt,
            Command::Mfct(..) => Verb::Mfct,
            Command::Mff(..) => Verb::Mff,
            Command::Dele(_) => Verb::Dele,
            Command::Rnfr(_) => Verb::Rnfr,
            Command::Rnto(_) => Verb::Rnto,
            Command::Mkd(_) => Verb::Mkd,
            Command::Rmd(_) => Verb::Rmd,
            Command::Hash(_) => Verb::Hash,
            Command::Digest(HashKind::Crc32, _) => Verb::Xcrc,
            Command::Digest(HashKind::Md5, _) => Verb::Xmd5,
            Command::Digest(HashKind::Sha1, _) => Verb::Xsha1,
            Command::Digest(HashKind::Sha256, _) => Verb::Xsha256,
            Command::Digest(HashKind::Sha512, _) => Verb::Xsha512,
            Command::Comb(..) => Verb::Comb,
            Command::Avbl(_) => Verb::Avbl,
            Command::Site(_) => Verb::Site,
        }
    }

    /// Appends it to `wire` with its CRLF.
    pub fn write(&self, wire: &mut Vec<u8>) {
        wire.extend_from_slice(self.verb().row().name.as_bytes());
        let mut argument = Vec::new();
        if self.write_argument(&mut argument) {
            wire.push(b' ');
            telnet::encode(&argument, wire);
        }
        wire.extend_from_slice(b"\r\n");
    }

    /// Appends what stands behind the space, and says whether there is anything.
    fn write_argument(&self, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        match self {
            Command::User(text) | Command::Clnt(text) | Command::Csid(text) => out.extend(text.bytes()),
            Command::Lang(text) | Command::Help(text) => out.extend(text.iter().flat_map(|text| text.bytes())),
            Command::Pass(secret) => out.extend_from_slice(secret.reveal()),
            Command::Host(HostName::Domain(name)) => out.extend(name.bytes()),
            Command::Host(HostName::Address(IpAddr::V4(host))) => out.extend(host.to_string().bytes()),
            Command::Host(HostName::Address(IpAddr::V6(host))) => out.extend(format!("[{host}]").bytes()),
            Command::Auth(Mechanism::Tls) => out.extend_from_slice(b"TLS"),
            Command::Auth(Mechanism::TlsPrivate) => out.extend_from_slice(b"TLS-P"),
            Command::Pbsz(size) => out.extend(size.to_string().bytes()),
            Command::Prot(level) => out.push(level.letter()),
            Command::Port(address) => out.extend(address::write_host_port(*address).bytes()),
            Command::Eprt(address) => out.extend(address::write_extended(*address).bytes()),
            Command::Type(Representation::Ascii) => out.push(b'A'),
            Command::Type(Representation::Image) => out.push(b'I'),
            Command::Stru => out.push(b'F'),
            Command::Mode(Mode::Stream) => out.push(b'S'),
            Command::Mode(Mode::Deflate) => out.push(b'Z'),
            Command::Rest(octets) | Command::Allo(octets) => out.extend(octets.to_string().bytes()),
            Command::Rang(first, last) => out.extend(format!("{first} {last}").bytes()),
            Command::Opts(options) => options.write(out),
            Command::Epsv(wish) => wish.write(out),
            Command::List(wish) | Command::Nlst(wish) | Command::Stat(Some(wish)) => wish.write(out),
            Command::Stou(path) | Command::Mlsd(path) | Command::Mlst(path) | Command::Avbl(path) => {
                out.extend(path.iter().flat_map(|path| path.as_bytes()));
            }
            Command::Mfmt(time, path) | Command::Mfct(time, path) => {
                time.write(out);
                out.push(b' ');
                out.extend_from_slice(path.as_bytes());
            }
            Command::Mff(change, path) => {
                change.write(out);
                out.push(b' ');
                out.extend_from_slice(path.as_bytes());
            }
            Command::Cwd(path)
            | Command::Retr(path)
            | Command::Stor(path)
            | Command::Appe(path)
            | Command::Size(path)
            | Command::Mdtm(path)
            | Command::Dele(path)
            | Command::Rnfr(path)
            | Command::Rnto(path)
            | Command::Mkd(path)
            | Command::Rmd(path)
            | Command::Hash(path) => out.extend_from_slice(path.as_bytes()),
            Command::Digest(_, stretch) => stretch.write(out),
            Command::Comb(whole, parts) => arguments::write_words(std::iter::once(whole).chain(parts), out),
            Command::Site(site) => site.write(out),
            Command::Rein
            | Command::Quit
            | Command::Ccc
            | Command::Feat
            | Command::Noop
            | Command::Syst
            | Command::Stat(None)
            | Command::Pwd
            | Command::Cdup
            | Command::Pasv
            | Command::Abor => {}
        }
        out.len() > start
    }
}

impl Protection {
    fn letter(self) -> u8 {
        match self {
            Protection::Clear => b'C',
            Protection::Private => b'P',
            Protection::Safe => b'S',
            Protection::Confidential => b'E',
        }
    }
}

impl Stretch {
    fn write(&self, out: &mut Vec<u8>) {
        arguments::write_words([&self.path], out);
        match (self.from, self.until) {
            (0, None) => {}
            (from, None) => out.extend(format!(" {from}").bytes()),
            (from, Some(until)) => out.extend(format!(" {from} {until}").bytes()),
        }
    }
}

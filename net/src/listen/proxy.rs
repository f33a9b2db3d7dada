//! The PROXY protocol, versions 1 and 2: a proxy says first whom it connects for.
//!
//! The specification is HAProxy's `proxy-protocol.txt` (2020-03-05), §2.1 (text) and §2.2 (binary).
//!
//! Invariants: not one octet behind the header is read, for it may belong to TLS; a header is bounded;
//! what is not understood is an error, never a guess.
//! Not here: whose headers are believed (listen).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// §2.1: the longest line of version 1, with its CRLF, in octets.
const TEXT_MAX: usize = 107;

/// What may follow the fixed part of version 2, in octets. Addresses are at most 216, and what proxies append
/// (names, TLS facts) stays far below this.
const BINARY_MAX: usize = 2048;

/// §2.2: how version 2 begins.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The fixed part of version 2, in octets.
const FIXED_LEN: usize = 16;

/// What a proxy said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyHeader {
    /// It speaks for itself (a health check), or cannot say: the connection's own addresses count.
    Local,
    /// It speaks for somebody.
    Proxied(Proxied),
}

/// For whom a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proxied {
    /// Who connected to the proxy.
    pub source: SocketAddr,
    /// Where he did.
    pub target: SocketAddr,
}

/// Why a header is not one.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The connection failed, or ended within the header.
    #[error("the PROXY header did not come: {0}")]
    Io(#[from] io::Error),
    /// It took too long.
    #[error("the PROXY header did not come in time")]
    TooSlow,
    /// Something else came.
    #[error("what came is no PROXY header")]
    NotProxy,
    /// A header, but against the specification.
    #[error("the PROXY header is malformed")]
    Malformed,
    /// It is longer than we take.
    #[error("the PROXY header is too long")]
    TooLong,
}

/// Reads a header and nothing behind it.
pub(super) async fn read<R: AsyncRead + Unpin>(from: &mut R) -> Result<ProxyHeader, ProxyError> {
    let mut header = Vec::with_capacity(TEXT_MAX);
    loop {
        match look(&header)? {
            Look::Whole(found) => return Ok(found),
            Look::Needs(more) => {
                let had = header.len();
                header.resize(had + more, 0);
                from.read_exact(&mut header[had..]).await?;
            }
        }
    }
}

/// One look at the beginning of a connection.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// The header, which ends where the octets do.
    Whole(ProxyHeader),
    /// It has at least so many octets more.
    Needs(usize),
}

fn look(header: &[u8]) -> Result<Look, ProxyError> {
    let begun = header.len().min(SIGNATURE.len());
    if header[..begun] == SIGNATURE[..begun] {
        return look_binary(header);
    }
    let begun = header.len().min(6);
    if header[..begun] == b"PROXY "[..begun] { look_text(header) } else { Err(ProxyError::NotProxy) }
}

fn look_text(header: &[u8]) -> Result<Look, ProxyError> {
    if let Some(line) = header.strip_suffix(b"\r\n") {
        let line = std::str::from_utf8(line).map_err(|_| ProxyError::Malformed)?;
        return Ok(Look::Whole(parse_text(line).ok_or(ProxyError::Malformed)?));
    }
    let more = match header {
        [.., b'\n'] => return Err(ProxyError::Malformed),
        [.., b'\r'] => 1,
        _ => 2,
    };
    if header.len() + more > TEXT_MAX { Err(ProxyError::TooLong) } else { Ok(Look::Needs(more)) }
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 56324 25`, or `PROXY UNKNOWN` and anything.
fn parse_text(line: &str) -> Option<ProxyHeader> {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["PROXY", "UNKNOWN", ..] => Some(ProxyHeader::Local),
        ["PROXY", "TCP4", source, target, source_port, target_port] => {
            let (source, target): (Ipv4Addr, Ipv4Addr) = (source.parse().ok()?, target.parse().ok()?);
            proxied(source.into(), target.into(), port(source_port)?, port(target_port)?)
        }
        ["PROXY", "TCP6", source, target, source_port, target_port] => {
            let (source, target): (Ipv6Addr, Ipv6Addr) = (source.parse().ok()?, target.parse().ok()?);
            proxied(source.into(), target.into(), port(source_port)?, port(target_port)?)
        }
        _ => None,
    }
}

/// Digits alone, without leading zeros (§2.1).
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|octet| octet.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

fn proxied(source: IpAddr, target: IpAddr, source_port: u16, target_port: u16) -> Option<ProxyHeader> {
    let (source, target) = (SocketAddr::new(source, source_port), SocketAddr::new(target, target_port));
    Some(ProxyHeader::Proxied(Proxied { source, target }))
}

fn look_binary(header: &[u8]) -> Result<Look, ProxyError> {
    let Some((fixed, rest)) = header.split_at_checked(FIXED_LEN) else {
        // Six octets are enough to tell the two versions apart, and no header is shorter than sixteen.
        return Ok(Look::Needs(if header.is_empty() { 6 } else { FIXED_LEN - header.len() }));
    };
    let len = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if len > BINARY_MAX {
        return Err(ProxyError::TooLong);
    }
    if rest.len() < len {
        return Ok(Look::Needs(len - rest.len()));
    }
    parse_binary(fixed[12], fixed[13], &rest[..len]).map(Look::Whole).ok_or(ProxyError::Malformed)
}

/// Version and command, family and transport, then the addresses; what follows them is not needed.
fn parse_binary(command: u8, family: u8, rest: &[u8]) -> Option<ProxyHeader> {
    match (command, family) {
        // LOCAL: whatever else it says is to be ignored.
        (0x20, _) => Some(ProxyHeader::Local),
        (0x21, 0x11) => {
            let (octets, _) = rest.split_first_chunk::<12>()?;
            let [a, b, c, d, e, f, g, h, ports @ ..] = *octets;
            let (source_port, target_port) = ports_of(ports);
            proxied(Ipv4Addr::new(a, b, c, d).into(), Ipv4Addr::new(e, f, g, h).into(), source_port, target_port)
        }
        (0x21, 0x21) => {
            let (source, rest) = rest.split_first_chunk::<16>()?;
            let (target, rest) = rest.split_first_chunk::<16>()?;
            let (source_port, target_port) = ports_of(*rest.first_chunk::<4>()?);
            proxied(Ipv6Addr::from(*source).into(), Ipv6Addr::from(*target).into(), source_port, target_port)
        }
        // UNSPEC, or a transport that is not TCP: accept the connection, take its own addresses (§2.2).
        (0x21, 0x00 | 0x12 | 0x22 | 0x31 | 0x32) => Some(ProxyHeader::Local),
        _ => None,
    }
}

fn ports_of([a, b, c, d]: [u8; 4]) -> (u16, u16) {
    (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(header: &ProxyHeader) -> Vec<u8> {
        match header {
            ProxyHeader::Local => b"PROXY UNKNOWN\r\n".to_vec(),
            ProxyHeader::Proxied(Proxied { source, target }) => {
                let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
                let (from, to) = (source.ip(), target.ip());
                format!("PROXY {family} {from} {to} {} {}\r\n", source.port(), target.port()).into_bytes()
            }
        }
    }

    fn binary(header: &ProxyHeader, appended: &[u8]) -> Vec<u8> {
        let (command, family, mut rest) = match header {
            ProxyHeader::Local => (0x20, 0x00, Vec::new()),
            ProxyHeader::Proxied(Proxied { source, target }) => {
                let mut rest = Vec::new();
                for address in [source.ip(), target.ip()] {
                    match address {
                        IpAddr::V4(v4) => rest.extend(v4.octets()),
                        IpAddr::V6(v6) => rest.extend(v6.octets()),
                    }
                }
                rest.extend(source.port().to_be_bytes());
                rest.extend(target.port().to_be_bytes());
                (0x21, if source.is_ipv4() { 0x11 } else { 0x21 }, rest)
            }
        };
        rest.extend_from_slice(appended);
        let mut octets = SIGNATURE.to_vec();
        octets.extend([command, family]);
        octets.extend((rest.len() as u16).to_be_bytes());
        octets.extend(rest);
        octets
    }

    /// The header, and what is left behind it.
    fn read_all(mut octets: &[u8]) -> (Result<ProxyHeader, ProxyError>, Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let header = runtime.block_on(read(&mut octets));
        (header, octets.to_vec())
    }

    fn addresses() -> impl Strategy<Value = ProxyHeader> {
        let v4 = any::<(Ipv4Addr, Ipv4Addr)>().prop_map(|(from, to)| (from.into(), to.into()));
        let v6 = any::<(Ipv6Addr, Ipv6Addr)>().prop_map(|(from, to)| (from.into(), to.into()));
        let both = prop_oneof![v4, v6];
        prop_oneof![
            Just(ProxyHeader::Local),
            (both, any::<(u16, u16)>())
                .prop_map(|((from, to), (one, two))| proxied(from, to, one, two).expect("addresses")),
        ]
    }

    #[test]
    fn the_examples_of_the_specification_are_read() {
        let line = b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n";
        assert!(matches!(read_all(line).0, Ok(ProxyHeader::Proxied(_))));
        let longest = format!("PROXY UNKNOWN {0} {0} 65535 65535\r\n", "ffff:f...f:ffff:ffff:ffff:ffff:ffff:fff");
        assert!(longest.len() == TEXT_MAX, "{}", longest.len());
        assert!(matches!(read_all(longest.as_bytes()).0, Ok(ProxyHeader::Local)));
    }

    #[test]
    fn a_dialogue_is_no_header() {
        for octets in [
            &b"EHLO example.org\r\n"[..],
            b"\r\n\r\n\0\r\nQUIT\r\r\r\r\r",
            b"\x16\x03\x01\x02\x00\x01\x00\x01",
            b"PROXX ",
        ] {
            assert!(matches!(read_all(octets).0, Err(ProxyError::NotProxy)), "{octets:?}");
        }
    }

    #[test]
    fn malformed_headers_are_refused() {
        let lines = [
            "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n",
            "PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n",
            "PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n\n",
        ];
        for line in lines {
            assert!(matches!(read_all(line.as_bytes()).0, Err(ProxyError::Malformed)), "{line:?}");
        }
        let mut short =
            binary(&proxied(Ipv4Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into(), 1, 2).expect("v4"), b"");
        short[13] = 0x21;
        assert!(matches!(read_all(&short).0, Err(ProxyError::Malformed)), "IPv6 in twelve octets");
        short[12] = 0x31;
        assert!(matches!(read_all(&short).0, Err(ProxyError::Malformed)), "version 3");
    }

    #[test]
    fn long_headers_are_refused() {
        let line = [b"PROXY UNKNOWN ", &[b'x'; 200][..], b"\r\n"].concat();
        assert!(matches!(read_all(&line).0, Err(ProxyError::TooLong)));
        assert!(matches!(read_all(&binary(&ProxyHeader::Local, &[0; BINARY_MAX + 1])).0, Err(ProxyError::TooLong)));
    }

    #[test]
    fn a_header_that_breaks_off_is_an_error() {
        assert!(matches!(read_all(b"PROXY TCP4 1.2").0, Err(ProxyError::Io(_))));
        assert!(matches!(read_all(b"").0, Err(ProxyError::Io(_))));
    }

    proptest! {
        #[test]
        fn read_after_write_is_identity(header in addresses(), appended in proptest::collection::vec(any::<u8>(), 0..40)) {
            for octets in [text(&header), binary(&header, &appended)] {
                let (read, rest) = read_all(&[&octets[..], b"EHLO"].concat());
                prop_assert_eq!(read.expect("a header"), header);
                prop_assert_eq!(&rest[..], b"EHLO", "nothing behind the header is read");
            }
        }

        #[test]
        fn nothing_hostile_panics(octets in proptest::collection::vec(any::<u8>(), 0..80), family: u8) {
            let _ = read_all(&octets);
            let _ = read_all(&[b"PROXY ", &octets[..]].concat());
            let fixed = [0x21, family, 0, octets.len() as u8];
            let _ = read_all(&[SIGNATURE, &fixed[..], &octets].concat());
        }
    }
}

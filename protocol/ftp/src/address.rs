//! Addresses of data connections, as commands and replies write them.
//!
//! RFC 959 §5.3.2 (host-port: six numbers); RFC 1123 §4.1.2.6 (227 without parentheses is read too); RFC 2428 §2 (EPRT)
//! and §3 (229).
//!
//! Invariants: `parse(write(a)) == a` for each of the four.
//! Not here: whether we dial or listen there (server, net).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};

/// An address family by its IANA number (RFC 2428 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// 1
    V4,
    /// 2
    V6,
}

/// What EPRT said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extended {
    /// An address of a family that we know.
    Known(SocketAddr),
    /// A family by this number that we do not know.
    OtherFamily(u32),
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    /// Its IANA number.
    pub fn number(self) -> u32 {
        match self {
            Family::V4 => 1,
            Family::V6 => 2,
        }
    }
}

/// `h1,h2,h3,h4,p1,p2`
pub fn parse_host_port(text: &[u8]) -> Option<SocketAddrV4> {
    let mut numbers = text.split(|octet| *octet == b',').map(byte);
    let mut next = || numbers.next().flatten();
    let host = Ipv4Addr::new(next()?, next()?, next()?, next()?);
    let port = u16::from_be_bytes([next()?, next()?]);
    numbers.next().is_none().then_some(SocketAddrV4::new(host, port))
}

/// `h1,h2,h3,h4,p1,p2`
pub fn write_host_port(address: SocketAddrV4) -> String {
    let [h1, h2, h3, h4] = address.ip().octets();
    let [p1, p2] = address.port().to_be_bytes();
    format!("{h1},{h2},{h3},{h4},{p1},{p2}")
}

/// The address in the text of 227: the first six numbers with commas between them.
pub fn parse_passive(text: &[u8]) -> Option<SocketAddrV4> {
    let start = text.iter().position(u8::is_ascii_digit)?;
    let end = text[start..].iter().position(|octet| !octet.is_ascii_digit() && *octet != b',');
    parse_host_port(&text[start..end.map_or(text.len(), |end| start + end)])
}

/// `|1|132.235.1.2|6275|`, with any printable delimiter.
pub fn parse_extended(text: &[u8]) -> Option<Extended> {
    let text = std::str::from_utf8(text).ok()?;
    let delimiter = text.chars().next().filter(char::is_ascii_graphic)?;
    let mut fields = text.strip_prefix(delimiter)?.strip_suffix(delimiter)?.split(delimiter);
    let (family, host, port) = (fields.next()?, fields.next()?, fields.next()?);
    if fields.next().is_some() {
        return None;
    }
    let port = decimal(port).and_then(|port| u16::try_from(port).ok())?;
    let host = match decimal(family)? {
        1 => IpAddr::V4(host.parse::<Ipv4Addr>().ok()?),
        2 => IpAddr::V6(host.parse::<Ipv6Addr>().ok()?),
        other => return Some(Extended::OtherFamily(other)),
    };
    Some(Extended::Known(SocketAddr::new(host, port)))
}

/// `|1|132.235.1.2|6275|`; of a family that we do not know, only its number.
pub fn write_extended(address: Extended) -> String {
    match address {
        Extended::Known(address) => {
            format!("|{}|{}|{}|", Family::of(address.ip()).number(), address.ip(), address.port())
        }
        Extended::OtherFamily(number) => format!("|{number}|-|0|"),
    }
}

/// The port in the text of 229: `(|||6446|)`.
pub fn parse_extended_passive(text: &[u8]) -> Option<u16> {
    let start = text.iter().rposition(|octet| *octet == b'(')?;
    let (&delimiter, rest) = text[start + 1..].split_first()?;
    let digits = rest.strip_prefix(&[delimiter, delimiter])?;
    let end = digits.iter().position(|octet| *octet == delimiter)?;
    u16::try_from(decimal(std::str::from_utf8(&digits[..end]).ok()?)?).ok()
}

/// A number without sign.
pub fn decimal(digits: &str) -> Option<u32> {
    digits.bytes().all(|octet| octet.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn byte(digits: &[u8]) -> Option<u8> {
    u8::try_from(decimal(std::str::from_utf8(digits.trim_ascii()).ok()?)?).ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub fn v4_addresses() -> impl Strategy<Value = SocketAddrV4> {
        (any::<u32>(), any::<u16>()).prop_map(|(host, port)| SocketAddrV4::new(Ipv4Addr::from(host), port))
    }

    pub fn addresses() -> impl Strategy<Value = SocketAddr> {
        let v6 =
            (any::<u128>(), any::<u16>()).prop_map(|(host, port)| SocketAddr::new(Ipv6Addr::from(host).into(), port));
        prop_oneof![v4_addresses().prop_map(SocketAddr::from), v6]
    }

    #[test]
    fn six_numbers() {
        assert_eq!(parse_host_port(b"127,0,0,1,15,107"), Some("127.0.0.1:3947".parse().unwrap()));
        assert_eq!(parse_host_port(b"127,0,0,1, 15,107 "), Some("127.0.0.1:3947".parse().unwrap()));
        for text in [
            "",
            "1,2,3,4,5",
            "1,2,3,4,5,6,7",
            "1,2,3,4,5,256",
            "1,2,3,4,5,-6",
            "1,2,3,4,5,+6",
            "a,2,3,4,5,6",
            "1,,3,4,5,6",
        ] {
            assert_eq!(parse_host_port(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn passive_replies_of_all_kinds() {
        let address = Some("10.0.0.1:258".parse().unwrap());
        for text in ["Entering Passive Mode (10,0,0,1,1,2).", "Entering Passive Mode 10,0,0,1,1,2", "=10,0,0,1,1,2"] {
            assert_eq!(parse_passive(text.as_bytes()), address, "{text}");
        }
        assert_eq!(parse_extended_passive(b"Entering Extended Passive Mode (|||6446|)"), Some(6446));
        assert_eq!(parse_extended_passive(b"(hm) yes (!!!21!)."), Some(21));
        for text in ["", "(", "(|||", "(||6446|)", "(|||x|)", "(|||65536|)", "|||1|"] {
            assert_eq!(parse_extended_passive(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn extended_addresses() {
        let known = |text: &str| Some(Extended::Known(text.parse().unwrap()));
        assert_eq!(parse_extended(b"|1|132.235.1.2|6275|"), known("132.235.1.2:6275"));
        assert_eq!(parse_extended(b"!2!1080::8:800:200C:417A!5282!"), known("[1080::8:800:200C:417A]:5282"));
        assert_eq!(parse_extended(b"|3|x|1|"), Some(Extended::OtherFamily(3)));
        for text in [
            "",
            "|",
            "||||",
            "|1|::1|1|",
            "|2|127.0.0.1|1|",
            "|1|127.0.0.1|65536|",
            "|1|127.0.0.1|1",
            "|1|127.0.0.1|1|1|",
            "|1|127.0.0.1|+1|",
            " 1 127.0.0.1 1 ",
        ] {
            assert_eq!(parse_extended(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn parse_after_write_is_identity(v4 in v4_addresses(), any in addresses()) {
            let six = write_host_port(v4);
            prop_assert_eq!(parse_host_port(six.as_bytes()), Some(v4));
            prop_assert_eq!(parse_passive(format!("Passive ({six})").as_bytes()), Some(v4));
            prop_assert_eq!(parse_extended(write_extended(Extended::Known(any)).as_bytes()), Some(Extended::Known(any)));
            prop_assert_eq!(parse_extended_passive(format!("on (|||{}|)", any.port()).as_bytes()), Some(any.port()));
        }
    }
}

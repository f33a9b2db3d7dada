//! Where a client comes from: one neighbour, and networks of them.
//!
//! RFC 4291 §2.5.1 (an IPv6 host has a /64 of its own), §2.5.5.2 (IPv4 written as IPv6).
//!
//! Whoever has IPv6 has 2^64 addresses, so what we count we count by /64. An IPv4 address in IPv6 form is the IPv4 address.
//!
//! Invariants: an [`Origin`] and a [`Network`] are the same for every address in them; `parse(write(x)) == x`.
//! Not here: what is counted (limits), who is trusted (relay).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Bits of an IPv6 address that tell one customer from another.
const ORIGIN_PREFIX_V6: u8 = 64;

/// One neighbour: an IPv4 address, or an IPv6 /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin(IpAddr);

impl Origin {
    /// The origin of an address.
    pub fn of(address: IpAddr) -> Origin {
        match address.to_canonical() {
            IpAddr::V4(address) => Origin(IpAddr::V4(address)),
            address @ IpAddr::V6(_) => Origin(masked(address, ORIGIN_PREFIX_V6)),
        }
    }

    /// An address in it.
    pub fn address(self) -> IpAddr {
        self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => write!(f, "{address}"),
            IpAddr::V6(address) => write!(f, "{address}/{ORIGIN_PREFIX_V6}"),
        }
    }
}

impl FromStr for Origin {
    type Err = NotANetwork;

    /// An address, or what `Display` writes.
    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let network: Network = text.parse()?;
        match (network.address, network.prefix) {
            (IpAddr::V4(_), 32) | (IpAddr::V6(_), ORIGIN_PREFIX_V6 | 128) => Ok(Origin::of(network.address)),
            _ => Err(NotANetwork(text.to_owned())),
        }
    }
}

/// All addresses that begin alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// The network of `address` with `prefix` bits; more bits than the family has are all of them.
    pub fn new(address: IpAddr, prefix: u8) -> Network {
        // A mapped address is an IPv4 address; its first 96 bits say no more than that.
        let (address, prefix) = match (address, address.to_canonical()) {
            (IpAddr::V6(_), IpAddr::V4(inner)) if prefix >= 96 => (IpAddr::V4(inner), prefix - 96),
            (address, _) => (address, prefix),
        };
        let prefix = prefix.min(bits(address));
        Network { address: masked(address, prefix), prefix }
    }

    /// Whether the address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.prefix) == self.address
    }

    /// How many bits its addresses share.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether it is of IPv4.
    pub fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// This machine: 127.0.0.0/8 and ::1.
    pub fn loopback() -> [Network; 2] {
        [Network::new(Ipv4Addr::LOCALHOST.into(), 8), Network::new(Ipv6Addr::LOCALHOST.into(), 128)]
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == bits(self.address) {
            return write!(f, "{}", self.address);
        }
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// The text is no address and no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an address nor a network like 192.0.2.0/24 or 2001:db8::/32")]
pub struct NotANetwork(String);

impl FromStr for Network {
    type Err = NotANetwork;

    /// `192.0.2.0/24`, `2001:db8::/32`, or an address alone. Bits beyond the prefix do not matter.
    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let wrong = || NotANetwork(text.to_owned());
        let (address, prefix) = match text.trim().split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let prefix = prefix.map_or(Ok(bits(address)), |prefix| prefix.parse().map_err(|_| wrong()))?;
        if prefix > bits(address) {
            return Err(wrong());
        }
        Ok(Network::new(address, prefix))
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_ipv6_neighbour_is_a_64_and_an_ipv4_one_an_address() {
        assert_eq!(Origin::of(ip("2001:db8:1:2:3:4:5:6")), Origin::of(ip("2001:db8:1:2::1")));
        assert_ne!(Origin::of(ip("2001:db8:1:2::1")), Origin::of(ip("2001:db8:1:3::1")));
        assert_ne!(Origin::of(ip("192.0.2.1")), Origin::of(ip("192.0.2.2")));
        assert_eq!(Origin::of(ip("::ffff:192.0.2.1")), Origin::of(ip("192.0.2.1")));
        assert_eq!(Origin::of(ip("2001:db8:1:2:3::1")).to_string(), "2001:db8:1:2::/64");
    }

    #[test]
    fn a_network_contains_what_begins_like_it() {
        let cases = [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.7/24", "192.0.2.1", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.0/24", "::ffff:192.0.2.9", true),
            ("::ffff:192.0.2.0/120", "192.0.2.9", true),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("0.0.0.0/0", "203.0.113.1", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "203.0.113.1", false),
            ("::1", "::1", true),
            ("::1", "127.0.0.1", false),
        ];
        for (network, address, inside) in cases {
            let parsed: Network = network.parse().expect("a network");
            assert_eq!(parsed.contains(ip(address)), inside, "{address} in {network}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in
            ["", "/", "192.0.2.0/33", "192.0.2.0/-1", "192.0.2/24", "2001:db8::/129", "mail.test", "192.0.2.0/24/8"]
        {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        for text in ["192.0.2.0/24", "2001:db8::/32", "localhost"] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn reading_what_was_written_gives_the_same(v4: u32, v6: u128, prefix in 0u8..=128) {
            for address in [IpAddr::V4(Ipv4Addr::from_bits(v4)), IpAddr::V6(Ipv6Addr::from_bits(v6))] {
                let network = Network::new(address, prefix);
                prop_assert_eq!(network.to_string().parse::<Network>(), Ok(network));
                prop_assert!(network.contains(address));
                let origin = Origin::of(address);
                prop_assert_eq!(origin.to_string().parse::<Origin>(), Ok(origin));
                prop_assert_eq!(Origin::of(origin.address()), origin);
            }
        }
    }
}

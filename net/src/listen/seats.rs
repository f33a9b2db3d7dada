//! Seats for visitors: so many in all, so many for each network.
//!
//! Invariants: a seat that is dropped is free; a network without visitors takes no memory.
//! Not here: what happens to those without a seat (listen).

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A customer of an IPv6 network has at least a /64 of addresses, so that is what counts as one visitor (RFC 6177 §2).
const V6_PREFIX: u8 = 64;

/// An IP network: an address and how many of its bits count. Written `192.0.2.0/24`, or an address alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    first: IpAddr,
    prefix: u8,
}

impl Network {
    /// The network of `prefix` bits that `address` is in; more bits than the address has are all its bits.
    pub fn new(address: IpAddr, prefix: u8) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let prefix = prefix.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                Network { first: Ipv4Addr::from_bits(v4.to_bits() & mask).into(), prefix }
            }
            IpAddr::V6(v6) => {
                let prefix = prefix.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                Network { first: Ipv6Addr::from_bits(v6.to_bits() & mask).into(), prefix }
            }
        }
    }

    /// Whether `address` is in it. A mapped IPv4 address counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && Network::new(address, self.prefix) == *self
    }

    /// What counts as one visitor.
    fn of_visitor(address: IpAddr) -> Self {
        match address.to_canonical() {
            address @ IpAddr::V4(_) => Network::new(address, 32),
            address @ IpAddr::V6(_) => Network::new(address, V6_PREFIX),
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no network; write 192.0.2.0/24, 2001:db8::/32, or one address");
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(bits), |prefix| prefix.parse().map_err(|_| wrong()))?;
        if prefix > bits {
            return Err(wrong());
        }
        Ok(Network::new(address, prefix))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

/// Room for visitors. Clones are the same room.
#[derive(Debug, Clone)]
pub struct Seats(Arc<Room>);

#[derive(Debug)]
struct Room {
    total: usize,
    per_network: usize,
    taken: AtomicUsize,
    networks: Mutex<HashMap<Network, usize>>,
}

impl Seats {
    /// `total` in all, `per_network` for each IPv4 address and each IPv6 /64.
    pub fn new(total: usize, per_network: usize) -> Self {
        Seats(Arc::new(Room { total, per_network, taken: AtomicUsize::new(0), networks: Mutex::default() }))
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.0.taken.load(Relaxed)
    }

    /// A seat for somebody whose name is not known yet.
    pub fn take(&self) -> Option<Seat> {
        let more = |taken| (taken < self.0.total).then_some(taken + 1);
        self.0.taken.fetch_update(Relaxed, Relaxed, more).ok()?;
        Some(Seat { room: self.0.clone(), network: None })
    }
}

impl Room {
    fn networks(&self) -> MutexGuard<'_, HashMap<Network, usize>> {
        self.networks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A seat; it is free again when this is dropped.
#[derive(Debug)]
pub struct Seat {
    room: Arc<Room>,
    network: Option<Network>,
}

impl Seat {
    /// Whose seat it is. `None` (and the seat is free) when his network has enough of them.
    pub fn name(mut self, address: IpAddr) -> Option<Self> {
        assert!(self.network.is_none(), "a seat is named once");
        let network = Network::of_visitor(address);
        let mut networks = self.room.networks();
        let taken = networks.entry(network).or_insert(0);
        if *taken >= self.room.per_network {
            if *taken == 0 {
                networks.remove(&network);
            }
            drop(networks);
            return None;
        }
        *taken += 1;
        drop(networks);
        self.network = Some(network);
        Some(self)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(1, Relaxed);
        let Some(network) = self.network else { return };
        let mut networks = self.room.networks();
        if let Some(taken) = networks.get_mut(&network) {
            *taken -= 1;
            if *taken == 0 {
                networks.remove(&network);
            }
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
    fn there_are_so_many_seats_in_all() {
        let seats = Seats::new(2, 9);
        let (first, _second) = (seats.take().expect("a seat"), seats.take().expect("a seat"));
        assert!(seats.take().is_none());
        drop(first);
        assert_eq!(seats.taken(), 1);
        assert!(seats.take().is_some());
    }

    #[test]
    fn there_are_so_many_for_each_network() {
        let seats = Seats::new(9, 1);
        let take = |address| seats.take().expect("a seat").name(ip(address));
        let first = take("192.0.2.1");
        assert!(first.is_some());
        assert!(take("192.0.2.1").is_none());
        assert!(take("::ffff:192.0.2.1").is_none(), "mapped is the same");
        let _other = take("192.0.2.2").expect("another address");
        let _six = take("2001:db8::1").expect("another network");
        assert!(take("2001:db8::2").is_none(), "the same /64");
        let _seven = take("2001:db8:0:1::1").expect("another /64");
        drop(first);
        assert!(take("192.0.2.1").is_some());
    }

    #[test]
    fn an_empty_room_remembers_nobody() {
        let seats = Seats::new(9, 1);
        drop(seats.take().expect("a seat").name(ip("192.0.2.1")));
        drop(Seats::new(1, 0).take().expect("a seat").name(ip("192.0.2.1")));
        assert_eq!(seats.taken(), 0);
        assert!(seats.0.networks().is_empty());
    }

    #[test]
    fn networks_are_read_and_contain() {
        let network: Network = "192.0.2.129/25".parse().expect("a network");
        assert_eq!(network.to_string(), "192.0.2.128/25");
        assert!(network.contains(ip("192.0.2.200")) && network.contains(ip("::ffff:192.0.2.200")));
        assert!(!network.contains(ip("192.0.2.1")) && !network.contains(ip("2001:db8::1")));
        assert!("0.0.0.0/0".parse::<Network>().expect("all").contains(ip("203.0.113.9")));
        assert!("::1".parse::<Network>().expect("one").contains(ip("::1")));
        for wrong in ["", "192.0.2.0/33", "2001:db8::/129", "192.0.2.0/-1", "example.org", "1.2.3.4/"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn read_after_write_is_identity(address: IpAddr, prefix in 0u8..=128) {
            let network = Network::new(address, prefix);
            prop_assert_eq!(network.to_string().parse(), Ok(network));
            prop_assert!(network.contains(address));
        }
    }
}

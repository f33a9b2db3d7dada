//! How many connections one neighbour may hold, and all together.
//!
//! RFC 5321 §3.8, §4.2.1 (421: not now).
//!
//! Invariants: every seat that was given is counted until it comes back; what is remembered is bounded by the total.
//! Not here: the sockets (net), how long they may idle (protocol).

use std::collections::HashMap;
use std::net::IpAddr;

use crate::origin::{Network, Origin};
use crate::verdict::Reason;

/// The right to hold one connection. Give it back to [`Connections::close`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a seat that is not given back stays taken"]
pub struct Seat(Origin);

/// Counts connections.
#[derive(Debug, Clone)]
pub struct Connections {
    per_origin_max: u32,
    total_max: u32,
    exempt: Vec<Network>,
    held: HashMap<Origin, u32>,
    total: u32,
}

impl Connections {
    /// At most `per_origin_max` for each neighbour outside the `exempt` networks, and `total_max` for all.
    pub fn new(per_origin_max: u32, total_max: u32, exempt: Vec<Network>) -> Self {
        Connections { per_origin_max, total_max, exempt, held: HashMap::new(), total: 0 }
    }

    /// Other limits from now on. Who is inside stays, even if there are too many.
    pub fn change_limits(&mut self, per_origin_max: u32, total_max: u32, exempt: Vec<Network>) {
        (self.per_origin_max, self.total_max, self.exempt) = (per_origin_max, total_max, exempt);
    }

    /// Takes a seat for a new connection.
    ///
    /// # Errors
    /// There is none: [`Reason::HouseFull`] or [`Reason::TooManyConnections`].
    pub fn open(&mut self, address: IpAddr) -> Result<Seat, Reason> {
        if self.total >= self.total_max {
            return Err(Reason::HouseFull { held: self.total });
        }
        let origin = Origin::of(address);
        let held = self.held.get(&origin).copied().unwrap_or(0);
        let exempt = self.exempt.iter().any(|network| network.contains(address));
        if held >= self.per_origin_max && !exempt {
            return Err(Reason::TooManyConnections { origin, held });
        }
        self.held.insert(origin, held + 1);
        self.total += 1;
        Ok(Seat(origin))
    }

    /// Gives a seat back.
    pub fn close(&mut self, seat: Seat) {
        let held = self.held.get_mut(&seat.0).expect("a seat is counted until it comes back");
        *held -= 1;
        if *held == 0 {
            self.held.remove(&seat.0);
        }
        self.total -= 1;
    }

    /// How many are held now.
    pub fn total(&self) -> u32 {
        self.total
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
    fn a_neighbour_has_his_seats_and_no_more() {
        let mut connections = Connections::new(2, 10, Network::loopback().to_vec());
        let first = connections.open(ip("2001:db8::1")).expect("a seat");
        let _second = connections.open(ip("2001:db8::2")).expect("a seat");
        let reason = connections.open(ip("2001:db8::3")).expect_err("one /64 is one neighbour");
        assert_eq!((reason.reply().code, reason.reply().enhanced), (421, "4.7.0"));
        let _other = connections.open(ip("192.0.2.1")).expect("another neighbour");
        connections.close(first);
        assert!(connections.open(ip("2001:db8::3")).is_ok());
        let here: Vec<Seat> = (0..5).map(|_| connections.open(ip("127.0.0.1")).expect("exempt")).collect();
        assert_eq!((here.len(), connections.total()), (5, 8));
    }

    #[test]
    fn a_full_house_is_full_for_everyone() {
        let mut connections = Connections::new(5, 2, Network::loopback().to_vec());
        let _seats = [(); 2].map(|()| connections.open(ip("127.0.0.1")).expect("a seat"));
        assert_eq!(connections.open(ip("127.0.0.1")), Err(Reason::HouseFull { held: 2 }));
        assert_eq!(connections.open(ip("192.0.2.1")), Err(Reason::HouseFull { held: 2 }));
    }

    proptest! {
        #[test]
        fn no_seat_is_lost_and_none_is_doubled(steps in proptest::collection::vec((0u8..4, proptest::bool::ANY), 0..200)) {
            let mut connections = Connections::new(3, 8, vec![]);
            let mut seats: Vec<Seat> = Vec::new();
            for (who, open) in steps {
                if open {
                    let of_this_one = seats.iter().filter(|seat| seat.0.address() == ip(&format!("192.0.2.{who}"))).count();
                    let free = of_this_one < 3 && seats.len() < 8;
                    let seat = connections.open(ip(&format!("192.0.2.{who}")));
                    prop_assert_eq!(seat.is_ok(), free);
                    seats.extend(seat);
                } else if let Some(seat) = seats.pop() {
                    connections.close(seat);
                }
                prop_assert_eq!(connections.total() as usize, seats.len());
            }
            seats.into_iter().for_each(|seat| connections.close(seat));
            prop_assert!(connections.held.is_empty());
        }
    }
}

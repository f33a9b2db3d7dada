//! The gate: every connection and every login of every protocol comes through this one.
//!
//! Guessing at FTP and at mail is one guessing, and a ban is a ban everywhere. `server` keeps one [`Gate`] behind a lock.
//!
//! Not here: what it counts and why ([`connections`](super::connections), [`logins`](super::logins), [`bans`](super::bans)).

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::bans::Ban;
use super::connections::{Connections, Seat};
use super::logins::{Attempt, LoginSettings, Logins};
use crate::origin::{Network, Origin};
use crate::verdict::Reason;

/// What the gate keeps to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateSettings {
    /// Connections one neighbour may hold.
    pub connections_per_origin_max: u32,
    /// Connections all together may hold.
    pub connections_max: u32,
    /// Neighbours for whom [`connections_per_origin_max`](Self::connections_per_origin_max) does not count.
    pub connections_exempt: Vec<Network>,
    /// Failed logins.
    pub logins: LoginSettings,
}

impl Default for GateSettings {
    /// 50 for a neighbour, as Postfix has it: an office behind one address, with a few connections each, fits.
    /// 10,000 in all are 160 MB at 16 KiB each.
    fn default() -> Self {
        GateSettings {
            connections_per_origin_max: 50,
            connections_max: 10_000,
            connections_exempt: Network::loopback().to_vec(),
            logins: LoginSettings::default(),
        }
    }
}

/// Who may come in.
#[derive(Debug, Clone)]
pub struct Gate {
    connections: Connections,
    logins: Logins,
}

impl Gate {
    /// Nobody is inside, nobody has failed.
    pub fn new(settings: GateSettings) -> Self {
        let GateSettings { connections_per_origin_max, connections_max, connections_exempt, logins } = settings;
        Gate {
            connections: Connections::new(connections_per_origin_max, connections_max, connections_exempt),
            logins: Logins::new(logins),
        }
    }

    /// Other settings from now on. Who is inside stays, and what was counted stays counted.
    pub fn change_settings(&mut self, settings: GateSettings) {
        let GateSettings { connections_per_origin_max, connections_max, connections_exempt, logins } = settings;
        self.connections.change_limits(connections_per_origin_max, connections_max, connections_exempt);
        self.logins.change_settings(logins);
    }

    /// A new connection. Asked before a word is said.
    ///
    /// # Errors
    /// [`Reason::Banned`], [`Reason::HouseFull`] or [`Reason::TooManyConnections`].
    pub fn open(&mut self, address: IpAddr, now: Instant) -> Result<Seat, Reason> {
        match self.ban_of(address, now) {
            Some(ban) => Err(Reason::Banned { origin: ban.origin, wait: ban.left(now) }),
            None => self.connections.open(address),
        }
    }

    /// A connection is over.
    pub fn close(&mut self, seat: Seat) {
        self.connections.close(seat);
    }

    /// How many connections are held.
    pub fn connections(&self) -> u32 {
        self.connections.total()
    }

    /// See [`Logins::attempt`].
    pub fn attempt(&self, address: IpAddr, account: &str, now: Instant) -> Attempt {
        self.logins.attempt(address, account, now)
    }

    /// See [`Logins::failed`].
    pub fn failed(&mut self, address: IpAddr, account: &str, fingerprint: Option<u64>, now: Instant) -> Option<Ban> {
        self.logins.failed(address, account, fingerprint, now)
    }

    /// See [`Logins::succeeded`].
    pub fn succeeded(&mut self, address: IpAddr, account: &str, now: Instant) {
        self.logins.succeeded(address, account, now);
    }

    /// The ban an address is under; those who are exempt are under none.
    pub fn ban_of(&self, address: IpAddr, now: Instant) -> Option<Ban> {
        if self.logins.is_exempt(address) { None } else { self.logins.bans().of(address, now) }
    }

    /// Everybody who is banned, the newest first.
    pub fn list(&self, now: Instant) -> Vec<Ban> {
        self.logins.bans().list(now)
    }

    /// Bans somebody by hand, for a time or as long as we run.
    pub fn ban(&mut self, origin: Origin, lasting: Option<Duration>, now: Instant) -> Ban {
        self.logins.ban(origin, lasting, now)
    }

    /// Takes over a ban of an earlier process.
    pub fn restore(&mut self, ban: Ban, now: Instant) {
        self.logins.restore(ban, now);
    }

    /// Lifts a ban and forgets what earned it. Says whether there was one.
    pub fn lift(&mut self, origin: Origin, now: Instant) -> bool {
        self.logins.lift(origin, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn whoever_is_banned_is_not_even_greeted_until_the_ban_is_lifted() {
        let (mut gate, now) = (Gate::new(GateSettings::default()), Instant::now());
        let seat = gate.open(ip("192.0.2.1"), now).expect("a seat");
        let ban = (0..51).find_map(|guess| gate.failed(ip("192.0.2.1"), "alice", Some(guess), now));
        assert_eq!(ban, gate.ban_of(ip("192.0.2.1"), now));
        assert!(matches!(gate.open(ip("192.0.2.1"), now), Err(Reason::Banned { .. })));
        assert_eq!(gate.list(now).len(), 1);
        assert!(gate.lift("192.0.2.1".parse().expect("an origin"), now));
        let again = gate.open(ip("192.0.2.1"), now).expect("a seat");
        assert_eq!(gate.connections(), 2);
        [seat, again].into_iter().for_each(|seat| gate.close(seat));
        assert_eq!(gate.connections(), 0);
    }

    #[test]
    fn other_settings_hold_for_what_comes_and_nothing_is_forgotten() {
        let (mut gate, now) = (Gate::new(GateSettings::default()), Instant::now());
        let seats = [(); 2].map(|()| gate.open(ip("192.0.2.1"), now).expect("a seat"));
        gate.ban("192.0.2.2".parse().expect("an origin"), None, now);
        (0..5).for_each(|guess| assert_eq!(gate.failed(ip("192.0.2.3"), "alice", Some(guess), now), None));
        let mut stricter = GateSettings { connections_per_origin_max: 1, ..GateSettings::default() };
        stricter.logins.refuse_after = 5;
        gate.change_settings(stricter);
        assert!(matches!(gate.open(ip("192.0.2.1"), now), Err(Reason::TooManyConnections { held: 2, .. })));
        assert!(matches!(gate.open(ip("192.0.2.2"), now), Err(Reason::Banned { .. })));
        assert!(matches!(gate.attempt(ip("192.0.2.3"), "alice", now), Attempt::Refused(_)));
        seats.into_iter().for_each(|seat| gate.close(seat));
        assert!(gate.open(ip("192.0.2.1"), now).is_ok());
    }

    #[test]
    fn a_ban_by_hand_holds_and_loopback_cannot_be_shut_out() {
        let (mut gate, now) = (Gate::new(GateSettings::default()), Instant::now());
        gate.ban("2001:db8::/64".parse().expect("an origin"), None, now);
        gate.ban("127.0.0.1".parse().expect("an origin"), None, now);
        assert!(gate.open(ip("2001:db8::9"), now).is_err());
        assert!(gate.open(ip("127.0.0.1"), now).is_ok());
    }
}

//! The list of those who are not heard for a while, one for all protocols.
//!
//! Invariants: the list is bounded; what the administrator put on it stays longest; a ban that is over is not listed.
//! Not here: what earns a ban (logins).

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::bounded::Bounded;
use crate::origin::Origin;

/// Bans remembered. A botnet larger than this pushes its own first members out.
const BANS_MAX: usize = 20_000;
/// How long a ban is remembered after it is over: whoever earns another one within that time gets a longer one.
pub const BAN_MEMORY: Duration = Duration::from_secs(24 * 3600);
/// As good as for ever.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Why somebody is on the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BanCause {
    /// He guessed passwords.
    FailedLogins,
    /// The administrator put him there.
    Administrator,
}

/// One line of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ban {
    /// Who.
    pub origin: Origin,
    /// Why.
    pub cause: BanCause,
    /// Since when.
    pub since: Instant,
    /// Until when; none for as long as we run.
    pub until: Option<Instant>,
    /// How many times in a row.
    pub times: u32,
}

impl Ban {
    /// How much of it is left.
    pub fn left(&self, now: Instant) -> Duration {
        self.until.map_or(FOR_EVER, |until| until.saturating_duration_since(now))
    }
}

/// The list.
#[derive(Debug, Clone)]
pub struct Bans {
    first: Duration,
    longest: Duration,
    bans: Bounded<Origin, Ban>,
}

impl Bans {
    /// The first ban for failed logins lasts `first`, each further one twice as long as the one before, up to `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Bans { first, longest: longest.max(first), bans: Bounded::new(BANS_MAX) }
    }

    /// Other lengths for the next bans.
    pub(crate) fn change_lengths(&mut self, first: Duration, longest: Duration) {
        (self.first, self.longest) = (first, longest.max(first));
    }

    /// The ban an address is under.
    pub fn of(&self, address: IpAddr, now: Instant) -> Option<Ban> {
        self.remembered(Origin::of(address), now).filter(|ban| !ban.left(now).is_zero())
    }

    /// Puts somebody on the list for failed logins. Who is on it already stays as he is: what his open connections
    /// still fail at is part of the same deed, and a ban by hand is not shortened.
    pub(crate) fn for_failures(&mut self, origin: Origin, now: Instant) -> Ban {
        let before = self.remembered(origin, now);
        if let Some(ban) = before.filter(|ban| !ban.left(now).is_zero()) {
            return ban;
        }
        let times = before.map_or(0, |ban| ban.times).saturating_add(1);
        let doubled = self.first.saturating_mul(1u32.checked_shl(times - 1).unwrap_or(u32::MAX));
        let until = Some(now + doubled.min(self.longest));
        self.put(Ban { origin, cause: BanCause::FailedLogins, since: now, until, times }, now)
    }

    /// Puts somebody on the list by hand, for a time or as long as we run.
    pub fn by_hand(&mut self, origin: Origin, lasting: Option<Duration>, now: Instant) -> Ban {
        let times = self.remembered(origin, now).map_or(1, |ban| ban.times);
        let until = lasting.map(|lasting| now + lasting.min(FOR_EVER));
        self.put(Ban { origin, cause: BanCause::Administrator, since: now, until, times }, now)
    }

    /// A ban of an earlier process, whose end may have passed: it still makes the next one longer.
    pub(crate) fn restore(&mut self, ban: Ban, now: Instant) {
        self.put(ban, now);
    }

    /// The list, the newest first.
    pub fn list(&self, now: Instant) -> Vec<Ban> {
        let mut list: Vec<Ban> =
            self.bans.all(now).map(|(_, ban)| *ban).filter(|ban| !ban.left(now).is_zero()).collect();
        list.sort_unstable_by_key(|ban| (std::cmp::Reverse(ban.since), ban.origin));
        list
    }

    /// Takes somebody off the list, his past forgiven. Says whether he was on it.
    pub fn lift(&mut self, origin: Origin, now: Instant) -> bool {
        self.bans.forget(&origin).is_some_and(|ban| !ban.left(now).is_zero())
    }

    fn remembered(&self, origin: Origin, now: Instant) -> Option<Ban> {
        self.bans.look(&origin, now).map(|(ban, _)| *ban)
    }

    fn put(&mut self, ban: Ban, now: Instant) -> Ban {
        let remembered_until = ban.until.map_or(now + FOR_EVER, |until| until + BAN_MEMORY);
        self.bans.keep(ban.origin, ban, remembered_until, now);
        ban
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn bans() -> Bans {
        Bans::new(15 * MINUTE, 24 * 60 * MINUTE)
    }

    #[test]
    fn a_ban_is_for_the_neighbour_and_ends() {
        let (mut bans, now) = (bans(), Instant::now());
        bans.for_failures(Origin::of(ip("2001:db8::1")), now);
        assert!(bans.of(ip("2001:db8::2"), now).is_some());
        assert!(bans.of(ip("2001:db8:0:1::1"), now).is_none());
        assert!(bans.of(ip("2001:db8::1"), now + 15 * MINUTE).is_none());
        assert_eq!(bans.list(now + 15 * MINUTE), []);
    }

    #[test]
    fn each_ban_is_twice_as_long_as_the_one_before_up_to_a_day() {
        let (mut bans, mut now) = (bans(), Instant::now());
        let origin = Origin::of(ip("192.0.2.1"));
        let mut minutes = Vec::new();
        for _ in 0..9 {
            let ban = bans.for_failures(origin, now);
            minutes.push(ban.left(now).as_secs() / 60);
            now += ban.left(now);
        }
        assert_eq!(minutes, [15, 30, 60, 120, 240, 480, 960, 1440, 1440]);
        now += BAN_MEMORY;
        assert_eq!(bans.for_failures(origin, now).times, 1, "a quiet day is forgiven");
    }

    #[test]
    fn a_ban_that_holds_is_neither_prolonged_nor_shortened_by_failures() {
        let (mut bans, now) = (bans(), Instant::now());
        let origin = Origin::of(ip("192.0.2.1"));
        let first = bans.for_failures(origin, now);
        assert_eq!(bans.for_failures(origin, now + MINUTE), first);
        let by_hand = bans.by_hand(origin, None, now);
        assert_eq!(bans.for_failures(origin, now + MINUTE), by_hand);
    }

    #[test]
    fn a_ban_outlives_the_process_and_so_does_its_past() {
        let (mut before, now) = (bans(), Instant::now());
        let origin = Origin::of(ip("192.0.2.1"));
        let ban = before.for_failures(origin, now);
        let mut after = bans();
        after.restore(ban, now + MINUTE);
        assert_eq!(after.of(ip("192.0.2.1"), now + 14 * MINUTE), Some(ban));
        assert!(after.of(ip("192.0.2.1"), now + 15 * MINUTE).is_none());
        let mut later = bans();
        later.restore(ban, now + 60 * MINUTE);
        assert_eq!(later.for_failures(origin, now + 60 * MINUTE).times, 2, "it is the second");
    }

    #[test]
    fn the_administrator_lists_bans_and_lifts() {
        let (mut bans, now) = (bans(), Instant::now());
        let (one, two) = (Origin::of(ip("192.0.2.1")), Origin::of(ip("192.0.2.2")));
        bans.by_hand(one, None, now);
        bans.for_failures(two, now + MINUTE);
        let listed: Vec<Origin> = bans.list(now + MINUTE).iter().map(|ban| ban.origin).collect();
        assert_eq!(listed, [two, one]);
        assert!(bans.of(ip("192.0.2.1"), now + 1000 * 24 * 60 * MINUTE).is_some(), "without end");
        assert!(bans.lift(two, now + MINUTE) && !bans.lift(two, now + MINUTE));
        assert_eq!(bans.for_failures(two, now + MINUTE).times, 1, "and the past with it");
    }

    #[test]
    fn a_botnet_pushes_its_own_out_and_not_the_administrators() {
        let (mut bans, now) = (bans(), Instant::now());
        bans.by_hand(Origin::of(ip("192.0.2.1")), None, now);
        for n in 0..2 * BANS_MAX as u32 {
            bans.for_failures(Origin::of(IpAddr::V4((0x0a00_0000 + n).into())), now + Duration::from_millis(n.into()));
        }
        let later = now + MINUTE;
        assert!(bans.of(ip("192.0.2.1"), later).is_some());
        assert!(bans.list(later).len() <= BANS_MAX);
    }
}

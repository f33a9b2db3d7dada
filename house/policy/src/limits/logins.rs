//! How often somebody may try to log in.
//!
//! RFC 2577 §5 (limit and delay guesses); RFC 4954 §6 (454: not now).
//!
//! Three counts, each against another kind of guessing:
//!
//! ```text
//! neighbour + account   a few failures are free, then each next try waits longer, then none is heard for a while.
//!                       A success clears it.
//! neighbour             many failures over all accounts earn a ban. A success clears nothing, or whoever has one
//!                       account could guess at all others in between.
//! account               many failures from everywhere make tries from strangers slow. Never refused: nobody can
//!                       lock Alice out by guessing at her from elsewhere. Where she logged in lately she is no stranger.
//! ```
//!
//! The same wrong password again, from the same place, is a program with an old password, not a guess: it counts for the
//! first only, so a forgotten telephone does not get its whole office banned.
//!
//! Invariants: what somebody does elsewhere never refuses a login here; every memory is bounded; an account that does not
//! exist is counted like one that does.
//! Not here: checking passwords (directory), waiting before the answer (desks).

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::bans::{Ban, Bans};
use super::bounded::Bounded;
use super::rate::{Limiter, Rate};
use crate::origin::{Network, Origin};
use crate::verdict::Reason;

/// Neighbours, accounts and pairs of them that are remembered, each. Some 100 octets for one.
const KEYS_MAX: usize = 50_000;
/// How long a neighbour from whom an account logged in is no stranger to it.
const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// When failed logins begin to cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginSettings {
    /// Failures in a row, of one account from one neighbour, that cost nothing.
    pub free_failures: u32,
    /// The wait after the next one; it doubles with each further one.
    pub first_wait: Duration,
    /// Failures in a row after which nothing is heard for [`refuse_for`](Self::refuse_for).
    pub refuse_after: u32,
    /// See [`refuse_after`](Self::refuse_after).
    pub refuse_for: Duration,
    /// Quiet time after which failures in a row are forgotten. Longer than `refuse_for`.
    pub forget_after: Duration,
    /// Failures of one neighbour, over all accounts, above which he is banned.
    pub origin_failures: Rate,
    /// Failures of one account, from everywhere, above which strangers wait.
    pub account_failures: Rate,
    /// How long they wait.
    pub stranger_wait: Duration,
    /// How long the first ban lasts; each further one is twice as long.
    pub ban_first: Duration,
    /// How long the longest lasts.
    pub ban_longest: Duration,
    /// Neighbours who are never delayed, refused or banned. A webmail or a proxy here speaks for many.
    pub exempt: Vec<Network>,
}

const MINUTE: Duration = Duration::from_secs(60);

impl Default for LoginSettings {
    fn default() -> Self {
        const FIFTY_AN_HOUR: Rate = Rate::per_hour(50).expect("not zero");
        const HUNDRED_AN_HOUR: Rate = Rate::per_hour(100).expect("not zero");
        LoginSettings {
            free_failures: 3,
            first_wait: Duration::from_secs(1),
            refuse_after: 10,
            refuse_for: 15 * MINUTE,
            forget_after: 60 * MINUTE,
            origin_failures: FIFTY_AN_HOUR,
            account_failures: HUNDRED_AN_HOUR,
            stranger_wait: Duration::from_secs(5),
            ban_first: 15 * MINUTE,
            ban_longest: 24 * 60 * MINUTE,
            exempt: Network::loopback().to_vec(),
        }
    }
}

/// What becomes of a try to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Attempt {
    /// Check the password.
    Now,
    /// Wait so long, then check it. Never longer than a minute.
    After(Duration),
    /// Do not check it.
    Refused(Reason),
}

/// The longest that a dialogue is kept waiting; POP3 clients hang up soon after.
const WAIT_MAX: Duration = MINUTE;

/// Counts failed logins.
#[derive(Debug, Clone)]
pub struct Logins {
    settings: LoginSettings,
    pairs: Bounded<Pair, Failures>,
    known: Bounded<Pair, ()>,
    origins: Limiter<Origin>,
    accounts: Limiter<u64>,
    bans: Bans,
    hasher: RandomState,
}

/// A neighbour and a hash of an account's login key: names may be long, and may be anything.
type Pair = (Origin, u64);

/// Failures in a row.
#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
    fingerprint: Option<u64>,
}

impl Logins {
    /// Nobody has failed yet.
    pub fn new(settings: LoginSettings) -> Self {
        Logins {
            pairs: Bounded::new(KEYS_MAX),
            known: Bounded::new(KEYS_MAX),
            origins: Limiter::new(settings.origin_failures, KEYS_MAX),
            accounts: Limiter::new(settings.account_failures, KEYS_MAX),
            bans: Bans::new(settings.ban_first, settings.ban_longest),
            hasher: RandomState::new(),
            settings,
        }
    }

    /// Other settings from now on. What was counted stays counted.
    pub fn change_settings(&mut self, settings: LoginSettings) {
        self.origins.change_rate(settings.origin_failures);
        self.accounts.change_rate(settings.account_failures);
        self.bans.change_lengths(settings.ban_first, settings.ban_longest);
        self.settings = settings;
    }

    /// May somebody at `address` try to log in as `account`? Changes nothing.
    ///
    /// `account` is the directory's login key, one for all forms of a name, also of names that mean nobody.
    pub fn attempt(&self, address: IpAddr, account: &str, now: Instant) -> Attempt {
        if self.is_exempt(address) {
            return Attempt::Now;
        }
        if let Some(ban) = self.bans.of(address, now) {
            return Attempt::Refused(Reason::Banned { origin: ban.origin, wait: ban.left(now) });
        }
        let pair = self.pair(address, account);
        let mut wait = self.wait_of_stranger(pair, now);
        if let Some((failures, _)) = self.pairs.look(&pair, now) {
            let earned = self.wait_after(*failures, now);
            if failures.count >= self.settings.refuse_after && !earned.is_zero() {
                let (origin, failures) = (pair.0, failures.count);
                return Attempt::Refused(Reason::LoginThrottled { origin, failures, wait: earned });
            }
            wait = wait.max(earned);
        }
        if wait.is_zero() { Attempt::Now } else { Attempt::After(wait.min(WAIT_MAX)) }
    }

    /// The password was wrong. `fingerprint` is the doorkeeper's number for name and password; SCRAM shows no password
    /// and has none, so each of its failures counts.
    /// Gives the ban that holds if this was one failure too many.
    ///
    /// Attempts that were refused unheard are not reported here, so a refusal is not prolonged by trying.
    pub fn failed(&mut self, address: IpAddr, account: &str, fingerprint: Option<u64>, now: Instant) -> Option<Ban> {
        let pair = self.pair(address, account);
        let before = self.pairs.look(&pair, now).map(|(failures, _)| *failures);
        let count = before.map_or(0, |failures| failures.count).saturating_add(1);
        self.pairs.keep(pair, Failures { count, last: now, fingerprint }, now + self.settings.forget_after, now);
        if fingerprint.is_some() && before.is_some_and(|failures| failures.fingerprint == fingerprint) {
            return None;
        }
        // Full is full: the account needs no more failures to be slow for strangers.
        let _ = self.accounts.take(&pair.1, now);
        if self.is_exempt(address) || self.origins.take(&pair.0, now).is_ok() {
            return None;
        }
        Some(self.bans.for_failures(pair.0, now))
    }

    /// The login succeeded.
    pub fn succeeded(&mut self, address: IpAddr, account: &str, now: Instant) {
        let pair = self.pair(address, account);
        self.pairs.forget(&pair);
        self.known.keep(pair, (), now + KNOWN_FOR, now);
    }

    /// The list of bans.
    pub fn bans(&self) -> &Bans {
        &self.bans
    }

    /// Puts somebody on the list by hand.
    pub fn ban(&mut self, origin: Origin, lasting: Option<Duration>, now: Instant) -> Ban {
        self.bans.by_hand(origin, lasting, now)
    }

    /// Puts somebody on the list who was on it when the last process ended.
    pub fn restore(&mut self, ban: Ban, now: Instant) {
        self.bans.restore(ban, now);
    }

    /// Takes somebody off the list and forgets his failures. Says whether he was on it.
    pub fn lift(&mut self, origin: Origin, now: Instant) -> bool {
        self.origins.forget(&origin);
        self.bans.lift(origin, now)
    }

    /// Whether nobody at this address is ever delayed, refused or banned.
    pub fn is_exempt(&self, address: IpAddr) -> bool {
        self.settings.exempt.iter().any(|network| network.contains(address))
    }

    /// What is left of the wait that failures in a row have earned.
    fn wait_after(&self, failures: Failures, now: Instant) -> Duration {
        let settings = &self.settings;
        let earned = match failures.count {
            count if count >= settings.refuse_after => settings.refuse_for,
            count if count > settings.free_failures => {
                let doublings = 2u32.checked_pow(count - settings.free_failures - 1).unwrap_or(u32::MAX);
                settings.first_wait.saturating_mul(doublings).min(WAIT_MAX)
            }
            _ => Duration::ZERO,
        };
        earned.saturating_sub(now.saturating_duration_since(failures.last))
    }

    fn wait_of_stranger(&self, pair: Pair, now: Instant) -> Duration {
        let under_attack = !self.accounts.wait(&pair.1, now).is_zero();
        let stranger = self.known.look(&pair, now).is_none();
        if under_attack && stranger { self.settings.stranger_wait } else { Duration::ZERO }
    }

    fn pair(&self, address: IpAddr, account: &str) -> Pair {
        (Origin::of(address), self.hasher.hash_one(account))
    }
}

#[cfg(test)]
#[path = "logins_tests.rs"]
mod tests;

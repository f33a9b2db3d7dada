//! How fast octets may move: buckets that fill at a rate, and are emptied by whatever moves.
//!
//! ```text
//! account's bucket ─┐
//! session's bucket ─┴→ Throttle::stretch ─→ so many octets at once ─→ Throttle::pay, before they leave or after they came
//! ```
//!
//! Invariants: over any time no more octets are paid for than the rate gives and one bucket holds; who shares a bucket is
//! served in the order of asking.
//! Not here: who shares a bucket with whom (server).

use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So much time's worth of octets may move at once, in milliseconds: long enough that large stretches stay large, short
/// enough that a line is seen to move evenly.
const BURST_MS: u64 = 250;

/// Fewer octets than this are not worth moving: at the slowest rates one waits for them instead.
const STRETCH_MIN: u64 = 512;

/// Nanoseconds in a second.
const NANOS: u128 = 1_000_000_000;

/// A bucket that fills with octets. Clones of the handle share it.
#[derive(Debug)]
pub struct Bucket {
    rate: u64,
    state: Mutex<State>,
    /// Those who wait do it one after the other.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    octets: u64,
    /// Until when octets were poured in.
    filled: Instant,
}

impl Bucket {
    /// One that fills at so many octets a second, and is full now.
    pub fn new(octets_per_second: NonZeroU64) -> Self {
        let rate = octets_per_second.get();
        let state = Mutex::new(State { octets: size(rate), filled: Instant::now() });
        Bucket { rate, state, turn: tokio::sync::Mutex::new(()) }
    }

    /// Takes so many octets, and waits until there were enough.
    async fn pay(&self, octets: u64) {
        let mut left = octets;
        while left > 0 {
            let part = left.min(stretch(self.rate));
            let _turn = self.turn.lock().await;
            while let Err(wait) = self.take(part) {
                tokio::time::sleep(wait).await;
            }
            left -= part;
        }
    }

    /// Takes so many; if there are fewer, says how long it takes until there are enough.
    fn take(&self, octets: u64) -> Result<(), Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.pour(self.rate, Instant::now());
        match state.octets.checked_sub(octets) {
            Some(left) => {
                state.octets = left;
                Ok(())
            }
            None => {
                let missing = u128::from(octets - state.octets) * NANOS;
                Err(Duration::from_nanos(u64::try_from(missing.div_ceil(u128::from(self.rate))).unwrap_or(u64::MAX)))
            }
        }
    }
}

impl State {
    fn pour(&mut self, rate: u64, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled);
        let octets = elapsed.as_nanos().saturating_mul(u128::from(rate)) / NANOS;
        // What is less than an octet stays in the clock.
        if octets > 0 {
            self.filled = now;
            self.octets = self.octets.saturating_add(u64::try_from(octets).unwrap_or(u64::MAX)).min(size(rate));
        }
    }
}

/// How much goes into a bucket of this rate: two stretches, so that one can be poured in while another is taken.
fn size(rate: u64) -> u64 {
    stretch(rate).saturating_mul(2)
}

/// How much is taken from it at once.
fn stretch(rate: u64) -> u64 {
    (rate.saturating_mul(BURST_MS) / 2000).max(STRETCH_MIN)
}

/// The buckets that a data connection draws from; without any it is not held up.
#[derive(Debug, Clone, Default)]
pub struct Throttle(Vec<Arc<Bucket>>);

impl Throttle {
    /// Draws from all of these.
    pub fn new(buckets: Vec<Arc<Bucket>>) -> Self {
        Throttle(buckets)
    }

    /// Whether nothing is held up.
    pub(super) fn is_open(&self) -> bool {
        self.0.is_empty()
    }

    /// How many of `wanted` octets should move at once.
    pub(super) fn stretch(&self, wanted: u64) -> u64 {
        self.0.iter().map(|bucket| stretch(bucket.rate)).fold(wanted, u64::min)
    }

    /// Waits until so many octets are paid for.
    pub(super) async fn pay(&self, octets: u64) {
        for bucket in &self.0 {
            bucket.pay(octets).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(rate: u64) -> Arc<Bucket> {
        Arc::new(Bucket::new(NonZeroU64::new(rate).expect("a rate")))
    }

    /// How long it takes until so many octets were let through, in stretches of at most `stretch`.
    async fn secs(throttle: &Throttle, octets: u64, stretch: u64) -> f64 {
        let begun = Instant::now();
        let mut left = octets;
        while left > 0 {
            let some = throttle.stretch(left.min(stretch));
            throttle.pay(some).await;
            left -= some;
        }
        begun.elapsed().as_secs_f64()
    }

    fn about(expected: f64, found: f64) {
        assert!((found - expected).abs() <= 0.3, "{found} s, expected {expected}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_slowest_bucket_sets_the_pace() {
        for (rates, expected) in [(vec![], 0.0), (vec![1000], 10.0), (vec![1000, 5000], 10.0), (vec![5000, 1000], 10.0)]
        {
            let throttle = Throttle::new(rates.into_iter().map(bucket).collect());
            about(expected, secs(&throttle, 11_000, 700).await);
        }
        let fast = Throttle::new(vec![bucket(100_000_000)]);
        about(10.0, secs(&fast, 1_025_000_000, 1 << 20).await);
    }

    #[tokio::test(start_paused = true)]
    async fn two_who_share_a_bucket_get_half_of_it_each() {
        let shared = bucket(10_000);
        let throttle = Throttle::new(vec![shared]);
        let (one, other) = tokio::join!(secs(&throttle, 50_000, 5_000), secs(&throttle, 50_000, 5_000));
        about(9.75, one.max(other));
        assert!((one - other).abs() < 1.0, "{one} and {other}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_at_once_is_paid_for_as_well() {
        let throttle = Throttle::new(vec![bucket(1000)]);
        let begun = Instant::now();
        throttle.pay(60_000).await;
        about(59.0, begun.elapsed().as_secs_f64());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waited_long_does_not_get_more_than_a_burst_at_once() {
        let throttle = Throttle::new(vec![bucket(100_000)]);
        tokio::time::advance(Duration::from_secs(1000)).await;
        about(9.75, secs(&throttle, 1_000_000, 1 << 20).await);
    }
}

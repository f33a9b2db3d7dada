//! So many in so much time.
//!
//! The generic cell rate algorithm (ITU-T I.371): a bucket that holds `count` and refills evenly over `per`. Somebody
//! who was quiet may do `count` at once, and afterwards one every `per / count`; so in any stretch of `per` he does
//! less than twice `count`. One moment is remembered for each key, and nothing for those whose bucket is full.
//!
//! Invariants: what was refused is not counted; waiting as long as was said is enough.
//! Not here: what is counted (its neighbours).

use std::hash::Hash;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use super::bounded::Bounded;

/// At most `count` in `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    count: NonZeroU32,
    per: Duration,
}

impl Rate {
    /// `count` in `per`; none when `count` is 0, which is no rate but a closed door.
    pub const fn new(count: u32, per: Duration) -> Option<Rate> {
        match NonZeroU32::new(count) {
            Some(count) => Some(Rate { count, per }),
            None => None,
        }
    }

    /// `count` in an hour.
    pub const fn per_hour(count: u32) -> Option<Rate> {
        Rate::new(count, Duration::from_secs(3600))
    }

    /// `count` in a day.
    pub const fn per_day(count: u32) -> Option<Rate> {
        Rate::new(count, Duration::from_secs(86_400))
    }

    /// How many.
    pub fn count(self) -> u32 {
        self.count.get()
    }

    /// In how much time.
    pub fn per(self) -> Duration {
        self.per
    }

    /// What one takes from the bucket, as time to refill it.
    fn share(self) -> Duration {
        self.per / self.count.get()
    }
}

/// Holds every key to a rate.
#[derive(Debug, Clone)]
pub struct Limiter<K> {
    rate: Rate,
    /// For each key the moment when its bucket is full again.
    full_at: Bounded<K, ()>,
}

impl<K: Eq + Hash + Clone> Limiter<K> {
    /// Remembers at most `keys_max` keys; see [`Bounded`].
    pub fn new(rate: Rate, keys_max: usize) -> Self {
        Limiter { rate, full_at: Bounded::new(keys_max) }
    }

    /// Holds to another rate from now on. What was taken stays taken.
    pub fn change_rate(&mut self, rate: Rate) {
        self.rate = rate;
    }

    /// How long `key` must wait for the next one; nothing when it need not.
    pub fn wait(&self, key: &K, now: Instant) -> Duration {
        let next = self.full_at(key, now) + self.rate.share();
        // The bucket holds one `per`; what would be beyond is not there yet.
        next.saturating_duration_since(now + self.rate.share() * self.rate.count())
    }

    /// Takes one for `key`.
    ///
    /// # Errors
    /// There is none; it will be there after so long.
    pub fn take(&mut self, key: &K, now: Instant) -> Result<(), Duration> {
        match self.wait(key, now) {
            Duration::ZERO => {
                let until = self.full_at(key, now) + self.rate.share();
                self.full_at.keep(key.clone(), (), until, now);
                Ok(())
            }
            wait => Err(wait),
        }
    }

    /// Forgets what `key` has taken.
    pub fn forget(&mut self, key: &K) {
        self.full_at.forget(key);
    }

    fn full_at(&self, key: &K, now: Instant) -> Instant {
        self.full_at.look(key, now).map_or(now, |((), until)| until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limiter(count: u32, secs: u64) -> Limiter<u8> {
        Limiter::new(Rate::new(count, Duration::from_secs(secs)).expect("a rate"), 10)
    }

    #[test]
    fn a_full_bucket_gives_all_at_once_and_then_one_by_one() {
        let (mut limiter, now) = (limiter(3, 30), Instant::now());
        assert_eq!([(); 3].map(|()| limiter.take(&1, now)), [Ok(()); 3]);
        assert_eq!(limiter.take(&1, now), Err(Duration::from_secs(10)));
        assert_eq!(limiter.take(&1, now + Duration::from_secs(9)), Err(Duration::from_secs(1)));
        assert_eq!(limiter.take(&1, now + Duration::from_secs(10)), Ok(()));
        assert_eq!(limiter.take(&2, now), Ok(()), "each key has its own");
        limiter.forget(&1);
        assert_eq!(limiter.take(&1, now), Ok(()));
    }

    #[test]
    fn no_count_is_no_rate() {
        assert_eq!(Rate::per_hour(0), None);
    }

    proptest! {
        /// In any stretch of `per`, less than twice `count`; and waiting as told is enough.
        #[test]
        fn the_rate_is_kept(count in 1u32..8, gaps in proptest::collection::vec(0u64..3_000, 1..100)) {
            let (mut limiter, start) = (limiter(count, 10), Instant::now());
            let (mut now, mut taken) = (start, Vec::new());
            for gap in gaps {
                now += Duration::from_millis(gap);
                match limiter.take(&1, now) {
                    Ok(()) => taken.push(now),
                    Err(wait) => prop_assert_eq!(limiter.wait(&1, now + wait), Duration::ZERO),
                }
            }
            for (place, &first) in taken.iter().enumerate() {
                let within = taken[place..].iter().filter(|&&at| at < first + Duration::from_secs(10)).count();
                prop_assert!(within < 2 * count as usize + 1, "{} in one stretch of {}", within, count);
            }
        }

        #[test]
        fn whoever_keeps_to_it_is_never_refused(count in 1u32..100) {
            let (mut limiter, mut now) = (limiter(count, 10), Instant::now());
            for _ in 0..300 {
                prop_assert_eq!(limiter.take(&1, now), Ok(()));
                now += Duration::from_secs(10) / count;
            }
        }
    }
}

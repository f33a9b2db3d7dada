//! A memory of bounded size in which everything has its time.
//!
//! Invariants: never more than the bound; what is past its time is as good as gone.
//! Not here: what is remembered (its neighbours).

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Instant;

/// Remembers a value for each key until a moment of its own.
///
/// When it is full, what is past its time goes first, and if that is not enough, the half whose time ends soonest.
/// So a flood of strangers makes us forget strangers, and costs constant time each on average.
#[derive(Debug, Clone)]
pub struct Bounded<K, V> {
    bound: usize,
    kept: HashMap<K, (V, Instant)>,
}

impl<K: Eq + Hash, V> Bounded<K, V> {
    /// Remembers at most `bound` keys, one at least.
    pub fn new(bound: usize) -> Self {
        Bounded { bound: bound.max(1), kept: HashMap::new() }
    }

    /// What is remembered of `key`, and until when.
    pub fn look(&self, key: &K, now: Instant) -> Option<(&V, Instant)> {
        self.kept.get(key).filter(|(_, until)| *until > now).map(|(value, until)| (value, *until))
    }

    /// Remembers `value` for `key` until `until`.
    pub fn keep(&mut self, key: K, value: V, until: Instant, now: Instant) {
        if self.kept.len() >= self.bound && !self.kept.contains_key(&key) {
            self.make_room(now);
        }
        self.kept.insert(key, (value, until));
    }

    /// Forgets `key`, and says what was remembered.
    pub fn forget(&mut self, key: &K) -> Option<V> {
        self.kept.remove(key).map(|(value, _)| value)
    }

    /// Everything that is remembered at `now`.
    pub fn all(&self, now: Instant) -> impl Iterator<Item = (&K, &V)> {
        self.kept.iter().filter(move |(_, (_, until))| *until > now).map(|(key, (value, _))| (key, value))
    }

    fn make_room(&mut self, now: Instant) {
        self.kept.retain(|_, (_, until)| *until > now);
        if self.kept.len() < self.bound {
            return;
        }
        let mut ends: Vec<Instant> = self.kept.values().map(|(_, until)| *until).collect();
        let half = ends.len() / 2;
        let (_, median, _) = ends.select_nth_unstable(half);
        let median = *median;
        // Of those that end at one moment some must go too, or a flood of equals would stay for ever.
        let mut surplus = self.kept.len().saturating_sub(self.bound / 2);
        self.kept.retain(|_, (_, until)| {
            let goes = *until < median || (*until == median && surplus > 0);
            surplus = surplus.saturating_sub(usize::from(goes));
            !goes
        });
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn what_is_past_its_time_is_gone() {
        let (mut memory, now) = (Bounded::new(4), Instant::now());
        memory.keep("a", 1, now + at(10), now);
        assert_eq!(memory.look(&"a", now + at(9)), Some((&1, now + at(10))));
        assert_eq!(memory.look(&"a", now + at(10)), None);
        assert_eq!(memory.all(now + at(10)).count(), 0);
    }

    #[test]
    fn a_flood_makes_it_forget_what_ends_soonest() {
        let (mut memory, now) = (Bounded::new(100), Instant::now());
        memory.keep(u32::MAX, (), now + at(1_000_000), now);
        for n in 0..100_000 {
            memory.keep(n, (), now + at(u64::from(n % 7)), now);
        }
        assert!(memory.look(&u32::MAX, now).is_some());
    }

    proptest! {
        #[test]
        fn it_is_bounded_and_the_newest_is_there(bound in 1usize..20, keys in proptest::collection::vec((0u8..60, 1u64..5), 0..200)) {
            let (mut memory, now) = (Bounded::new(bound), Instant::now());
            for (key, secs) in keys {
                memory.keep(key, secs, now + at(secs), now);
                prop_assert!(memory.len() <= bound);
                prop_assert_eq!(memory.look(&key, now).map(|(value, _)| *value), Some(secs));
            }
        }
    }
}

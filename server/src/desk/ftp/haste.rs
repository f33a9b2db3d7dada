//! Whether a client asks for one transfer right after the other, as those do who have many small files.
//!
//! Not here: what it is good for (net: a thread is lent).

use std::time::Instant;

/// After so many transfers, each right after the one before, there will be more.
const TRANSFERS: u32 = 3;

/// The pace of a session's transfers.
#[derive(Default)]
pub(super) struct Haste {
    begun: Option<Instant>,
    in_a_row: u32,
}

impl Haste {
    /// A transfer begins.
    pub(super) fn note(&mut self, now: Instant) {
        self.in_a_row = if self.is_soon(now) { self.in_a_row.saturating_add(1) } else { 1 };
        self.begun = Some(now);
    }

    /// Whether the next one is to be expected at once.
    pub(super) fn expects_more(&self, now: Instant) -> bool {
        self.in_a_row >= TRANSFERS && self.is_soon(now)
    }

    fn is_soon(&self, now: Instant) -> bool {
        self.begun.is_some_and(|begun| now.saturating_duration_since(begun) < net::lent::QUIET)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn one_after_the_other_is_haste_and_a_pause_ends_it() {
        let (mut haste, mut now) = (Haste::default(), Instant::now());
        for number in 1..=TRANSFERS {
            assert!(!haste.expects_more(now));
            now += Duration::from_millis(1);
            haste.note(now);
            assert_eq!(haste.expects_more(now), number == TRANSFERS);
        }
        assert!(!haste.expects_more(now + net::lent::QUIET));
        haste.note(now + net::lent::QUIET);
        assert!(!haste.expects_more(now + net::lent::QUIET));
    }
}

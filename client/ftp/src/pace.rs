//! No faster than somebody wants.
//!
//! Invariants: over any time longer than a moment no more passes than is allowed, by all that share it; who waits here is not
//! taken for stalled.

use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// So much may pass at once after a pause.
const BURST: Duration = Duration::from_millis(100);

/// A limit shared by all connections; none by default.
#[derive(Debug, Clone, Default)]
pub struct Pace(Option<Arc<Limit>>);

#[derive(Debug)]
struct Limit {
    octets_per_sec: NonZeroU64,
    /// When all that has passed is paid for.
    free_at: Mutex<Instant>,
}

impl Pace {
    /// At most so many octets in a second.
    pub fn new(octets_per_sec: NonZeroU64) -> Self {
        Pace(Some(Arc::new(Limit { octets_per_sec, free_at: Mutex::new(Instant::now()) })))
    }

    /// How much to move at once: a fraction of a second's worth, so that the bar moves evenly.
    pub(crate) fn stretch(&self, usual: usize) -> usize {
        match &self.0 {
            None => usual,
            Some(limit) => usize::try_from(limit.octets_per_sec.get() / 10).unwrap_or(usual).clamp(1024, usual),
        }
    }

    /// Waits until so many octets more may pass.
    pub async fn pay(&self, octets: u64) {
        let Some(limit) = &self.0 else { return };
        let due = {
            let mut free_at = limit.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            let start = (*free_at).max(Instant::now().checked_sub(BURST).unwrap_or(*free_at));
            *free_at = start + Duration::from_secs_f64(octets as f64 / limit.octets_per_sec.get() as f64);
            *free_at
        };
        tokio::time::sleep_until(due).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn two_together_are_as_fast_as_one_may_be() {
        let pace = Pace::new(NonZeroU64::new(1000).expect("not zero"));
        let begun = Instant::now();
        let half = async |pace: Pace| {
            for _ in 0..50 {
                pace.pay(100).await;
            }
        };
        tokio::join!(half(pace.clone()), half(pace.clone()));
        let secs = begun.elapsed().as_secs_f64();
        assert!((9.8..=10.1).contains(&secs), "{secs}");
    }
}

//! Visits to the disk: where a session does what may wait for it.
//!
//! ```text
//! in place  ─ few visits, and threads to spare ─→ the session's thread hands what else it has to another: one is woken
//! elsewhere ─ otherwise, and now and then ──────→ a thread that is there to wait: three are woken, two for the way back
//! ```
//!
//! Waking a thread costs as much as making a small file, and a stored file takes two visits. But the thread that is handed
//! other sessions must be free: were all of them waiting for the disk, those sessions would wait with them. How soon a visit
//! elsewhere gets a thread tells whether there are some.
//!
//! Invariants: nobody else's session waits for a disk, but for the few visits until it is seen that threads have run short.
//! Not here: what is done there.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::runtime::{Handle, RuntimeFlavor};

/// So many visits at a time are made in place: a small part of the threads that may wait.
const IN_PLACE_MAX: usize = 16;

/// Each time as many visits were made, one is made elsewhere to see how soon it gets a thread.
const LOOK_EVERY: u64 = 32;

/// Who gets a thread so soon meets no crowd.
const PROMPT: Duration = Duration::from_millis(2);

/// Visits under way, wherever.
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

/// All visits so far.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// How long the last visit elsewhere waited for a thread, in microseconds.
static WAITED: AtomicU64 = AtomicU64::new(0);

/// One visit.
struct Visit {
    begun: Instant,
    may_be_in_place: bool,
}

impl Visit {
    fn begin() -> Self {
        let (others, before) = (UNDER_WAY.fetch_add(1, Relaxed), COUNT.fetch_add(1, Relaxed));
        let prompt = Duration::from_micros(WAITED.load(Relaxed)) < PROMPT;
        let may_be_in_place = others < IN_PLACE_MAX && prompt && !before.is_multiple_of(LOOK_EVERY);
        Visit { begun: Instant::now(), may_be_in_place }
    }

    fn has_a_thread(&self) {
        WAITED.store(u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX), Relaxed);
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        UNDER_WAY.fetch_sub(1, Relaxed);
    }
}

/// Does what is soon done, a sync at most. `None` if it panicked, which is in the log.
pub(super) async fn short<T: Send + 'static>(doing: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let visit = Visit::begin();
    if visit.may_be_in_place && Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread {
        return Some(tokio::task::block_in_place(doing));
    }
    elsewhere(visit, doing).await
}

/// Does what takes its time; the session goes on meanwhile. `None` if it panicked.
pub(super) async fn long<T: Send + 'static>(doing: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    elsewhere(Visit::begin(), doing).await
}

async fn elsewhere<T: Send + 'static>(visit: Visit, doing: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let doing = move || {
        visit.has_a_thread();
        doing()
    };
    tokio::task::spawn_blocking(doing).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn other_sessions_go_on_meanwhile() {
        let visitor = tokio::spawn(async {
            // Most of these are made in place.
            for _ in 0..2 * LOOK_EVERY {
                let runtime = Handle::current();
                // Were the only thread not replaced, the other session would wait for this one, and this one for it.
                let other = short(move || runtime.block_on(runtime.spawn(async { "heard" })));
                assert_eq!(other.await.expect("it does not panic").expect("it runs"), "heard");
            }
        });
        visitor.await.expect("it does not panic");
    }

    #[tokio::test]
    async fn where_there_is_one_thread_it_is_never_kept_waiting() {
        let here = thread::current().id();
        assert_ne!(short(|| thread::current().id()).await, Some(here));
        assert_ne!(long(|| thread::current().id()).await, Some(here));
    }
}

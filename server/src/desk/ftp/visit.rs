//! Visits to the disk: where a session does what may wait for it.
//!
//! ```text
//! here      ─ the session is in haste and has a thread of its own ─→ nobody is woken
//! elsewhere ─ otherwise, and what takes its time ──────────────────→ a thread that is there to wait: three are woken, two
//!                                                                    of them for the way back
//! ```
//!
//! Waking a thread costs as much as making a small file, and a stored file takes two visits.
//!
//! Invariants: nobody else's session waits for a disk.
//! Not here: what is done there, who has a thread of his own (net).

/// Does what is soon done, a sync at most. `None` if it panicked, which is in the log.
pub(super) async fn short<T: Send + 'static>(doing: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    if net::is_lent() { Some(doing()) } else { long(doing).await }
}

/// Does what takes its time; the session goes on meanwhile. `None` if it panicked.
pub(super) async fn long<T: Send + 'static>(doing: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(doing).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[tokio::test]
    async fn a_thread_that_others_use_is_never_kept_waiting() {
        let here = thread::current().id();
        assert_ne!(short(|| thread::current().id()).await, Some(here));
        assert_ne!(long(|| thread::current().id()).await, Some(here));
    }
}

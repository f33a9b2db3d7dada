//! How far readers are behind what has been answered.
//!
//! ```text
//! writer: group answered (rows not committed yet) ─→ group answered … ─→ rows committed: readers see them
//! reader: something was answered that I would not see? ─yes→ ask the writer for it, wait
//! ```
//!
//! Invariants: who has been answered finds what he was told, whoever asks and wherever; a writer that has ended keeps nobody waiting.
//! Not here: when rows are committed if nobody asks (writer).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};

/// What readers cannot see yet.
#[derive(Debug, Default)]
pub(crate) struct Lag {
    /// How many groups have been answered whose rows were not committed then.
    answered: AtomicU64,
    /// How many of them readers see.
    shown: AtomicU64,
    is_wanted: AtomicBool,
    writer: OnceLock<Thread>,
    waiting: Mutex<()>,
    told: Condvar,
}

impl Lag {
    /// This thread is the writer.
    pub(crate) fn work_here(&self) {
        let _ = self.writer.set(thread::current());
    }

    /// Waits until everything that has been answered can be seen. Blocks, for as long as the writer needs for one group.
    pub(crate) fn catch_up(&self) {
        let target = self.answered.load(Ordering::Acquire);
        if self.shown.load(Ordering::Acquire) >= target {
            return;
        }
        let mut waiting = self.waiting();
        while self.shown.load(Ordering::Acquire) < target {
            self.is_wanted.store(true, Ordering::Release);
            if let Some(writer) = self.writer.get() {
                writer.unpark();
            }
            waiting = self.told.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A group is about to be answered.
    pub(crate) fn answer(&self) {
        self.answered.fetch_add(1, Ordering::Release);
    }

    /// Whether a reader waits.
    pub(crate) fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Acquire)
    }

    /// Everything that was answered can be seen, or will not be for now.
    pub(crate) fn show(&self) {
        self.set_shown(self.answered.load(Ordering::Acquire));
    }

    /// Nothing more will be answered.
    pub(crate) fn end(&self) {
        self.set_shown(u64::MAX);
    }

    fn set_shown(&self, shown: u64) {
        let _waiting = self.waiting();
        self.is_wanted.store(false, Ordering::Release);
        self.shown.store(shown, Ordering::Release);
        self.told.notify_all();
    }

    fn waiting(&self) -> MutexGuard<'_, ()> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

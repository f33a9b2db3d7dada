//! A clock that a test sets.

use std::sync::atomic::{AtomicI64, Ordering};

/// One test's clock; [`own_clock!`](super::own_clock) makes one.
#[derive(Clone, Copy)]
pub struct Clock {
    pub at: &'static AtomicI64,
    pub read: fn() -> i64,
}

impl Clock {
    pub fn now(self) -> i64 {
        (self.read)()
    }

    pub fn set(self, at: i64) {
        self.at.store(at, Ordering::SeqCst);
    }

    pub fn advance(self, secs: i64) {
        self.at.fetch_add(secs, Ordering::SeqCst);
    }
}

/// When every test begins.
pub const START: i64 = 1_795_426_200;

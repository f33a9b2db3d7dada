//! Locks that outlive a panic, and taking turns at one name.
//!
//! What is behind our locks is counted or looked up, never half-written, so a panic of one session spoils nothing.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::disk::DirectoryId;

/// Takes the lock, whoever panicked with it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who appends to which file: one at a time for each.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    taken: Mutex<HashSet<(DirectoryId, Vec<u8>)>>,
    freed: Condvar,
}

/// It is our turn until this is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'t> {
    turns: &'t Turns,
    at: (DirectoryId, Vec<u8>),
}

impl Turns {
    /// Waits until nobody else is at this name.
    pub(crate) fn wait(&self, directory: DirectoryId, name: &[u8]) -> Turn<'_> {
        let at = (directory, name.to_vec());
        let taken = lock(&self.taken);
        let mut taken =
            self.freed.wait_while(taken, |taken| taken.contains(&at)).unwrap_or_else(PoisonError::into_inner);
        taken.insert(at.clone());
        Turn { turns: self, at }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        lock(&self.turns.taken).remove(&self.at);
        self.turns.freed.notify_all();
    }
}

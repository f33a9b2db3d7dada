//! Syncing a directory once for everybody who waits for it.
//!
//! ```text
//! nobody syncing ─→ sync at once, for all who came before it began
//! a sync runs    ─→ wait; when it is over, one of the waiting begins the next, for all of them
//! ```
//!
//! No timer and no thread: what arrives during one sync is the next group. Figures: `docs/decisions/0003-confinement.md`.
//!
//! Invariants: nobody is let go before a sync that began after he came has succeeded; a sync is never tried again.
//! Not here: what is synced before (`upload`: the octets) and who stops the volume after a failure (`volume`).

use std::collections::HashMap;
use std::io;
use std::sync::{Condvar, Mutex, PoisonError};

use crate::disk::{Directory, DirectoryId, Disk};
use crate::locks::lock;

/// The directories that somebody waits for.
#[derive(Debug, Default)]
pub(crate) struct GroupSync {
    rounds: Mutex<HashMap<DirectoryId, Round>>,
    over: Condvar,
}

#[derive(Debug, Default)]
struct Round {
    running: bool,
    begun: u64,
    over: u64,
    failed: Option<io::ErrorKind>,
    waiting: u32,
}

impl GroupSync {
    /// Returns when all names the directory has now are durable.
    pub(crate) fn sync(&self, disk: &dyn Disk, directory: &Directory) -> io::Result<()> {
        let mut rounds = lock(&self.rounds);
        let round = rounds.entry(directory.id).or_default();
        let mine = round.begun + 1;
        round.waiting += 1;
        loop {
            // The entry stays while somebody waits.
            let round = rounds.entry(directory.id).or_default();
            if round.failed.is_some() || round.over >= mine {
                break;
            }
            if round.running {
                rounds = self.over.wait(rounds).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            round.running = true;
            round.begun += 1;
            drop(rounds);
            let result = disk.sync_directory(std::os::fd::AsFd::as_fd(directory));
            rounds = lock(&self.rounds);
            let round = rounds.entry(directory.id).or_default();
            round.running = false;
            round.over = round.begun;
            round.failed = result.err().map(|error| error.kind());
            self.over.notify_all();
        }
        let round = rounds.entry(directory.id).or_default();
        let result = round.failed.map_or(Ok(()), |kind| Err(kind.into()));
        round.waiting -= 1;
        if round.waiting == 0 {
            rounds.remove(&directory.id);
        }
        result
    }
}

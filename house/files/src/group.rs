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
use std::os::fd::AsFd;
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
            let result = disk.sync_directory(directory.as_fd());
            rounds = lock(&self.rounds);
            let round = rounds.entry(directory.id).or_default();
            round.running = false;
            round.over = round.begun;
            round.failed = result.err().map(|error| error.kind());
            // Waking nobody costs a call, too.
            if round.waiting > 1 {
                self.over.notify_all();
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::BorrowedFd;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// A disk whose syncs say that they began, and end when they are told how.
    struct Slow {
        begun: Sender<()>,
        end: Mutex<Receiver<io::Result<()>>>,
    }

    impl Disk for Slow {
        fn sync_directory(&self, _: BorrowedFd<'_>) -> io::Result<()> {
            self.begun.send(()).unwrap();
            lock(&self.end).recv().unwrap()
        }
    }

    fn scene(act: impl FnOnce(&GroupSync, &Slow, &Directory, Receiver<()>, Sender<io::Result<()>>)) {
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::new(std::fs::File::open(dir.path()).unwrap().into()).unwrap();
        let ((begun, begins), (ends, end)) = (channel(), channel());
        act(&GroupSync::default(), &Slow { begun, end: Mutex::new(end) }, &directory, begins, ends);
    }

    fn wait_for(group: &GroupSync, directory: &Directory, waiting: u32) {
        while lock(&group.rounds).get(&directory.id).map_or(0, |round| round.waiting) < waiting {
            std::thread::yield_now();
        }
    }

    #[test]
    fn one_sync_serves_all_who_came_before_it_began_and_nobody_who_came_later() {
        scene(|group, disk, directory, begins, ends| {
            std::thread::scope(|scope| {
                let first = scope.spawn(|| group.sync(disk, directory));
                begins.recv().unwrap();
                let others: Vec<_> = (0..5).map(|_| scope.spawn(|| group.sync(disk, directory))).collect();
                wait_for(group, directory, 6);
                ends.send(Ok(())).unwrap();
                first.join().unwrap().unwrap();
                begins.recv().unwrap();
                assert!(others.iter().all(|other| !other.is_finished()), "the first sync began before they came");
                ends.send(Ok(())).unwrap();
                others.into_iter().for_each(|other| other.join().unwrap().unwrap());
                assert!(begins.try_recv().is_err(), "one sync for all five");
            });
            assert!(lock(&group.rounds).is_empty());
        });
    }

    #[test]
    fn a_failed_sync_fails_all_who_wait_and_is_not_tried_again() {
        scene(|group, disk, directory, begins, ends| {
            std::thread::scope(|scope| {
                let all: Vec<_> = (0..4).map(|_| scope.spawn(|| group.sync(disk, directory))).collect();
                begins.recv().unwrap();
                wait_for(group, directory, 4);
                ends.send(Err(io::ErrorKind::Other.into())).unwrap();
                all.into_iter().for_each(|one| assert!(one.join().unwrap().is_err()));
                assert!(begins.try_recv().is_err());
            });
        });
    }
}

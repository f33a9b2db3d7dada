//! The second stage: every batch that waits in one transaction, then the replies, then the feed.
//!
//! Invariants: nobody hears of a commit before it is durable; the feed has the order of the commits.
//! Not here: what the orders do (index).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};

use super::chores::Chore;
use super::{Batch, Ready};
use crate::Shared;
use crate::error::CommitError;
use crate::feed::Change;
use crate::index::{Done, Failure, Index};

/// A transaction ends with about this many commits: what waits longer would rather have a reply.
const TRANSACTION_COMMITS: usize = 512;

/// The second stage.
pub(super) struct Indexer {
    shared: Arc<Shared>,
    index: Index,
    chores: Sender<Chore>,
}

impl Indexer {
    pub(super) fn new(shared: Arc<Shared>, index: Index, chores: Sender<Chore>) -> Indexer {
        Indexer { shared, index, chores }
    }

    pub(super) fn run(mut self, batches: &Receiver<Batch>) {
        let mut waiting = batches.recv().ok();
        while let Some(batch) = waiting.take() {
            let mut ready = self.unpack(batch);
            let mut is_idle = false;
            while ready.len() < TRANSACTION_COMMITS {
                match batches.try_recv() {
                    Ok(batch) => ready.append(&mut self.unpack(batch)),
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => {
                        is_idle = true;
                        break;
                    }
                }
            }
            self.carry_out(ready);
            if is_idle {
                waiting = batches.try_recv().ok();
            }
            self.tidy_log(waiting.is_none());
            if waiting.is_none() {
                waiting = batches.recv().ok();
            }
        }
        self.end();
    }

    fn unpack(&mut self, batch: Batch) -> Vec<Ready> {
        self.index.note(batch.notes);
        batch.ready
    }

    fn carry_out(&mut self, ready: Vec<Ready>) {
        if let Some(reason) = self.shared.failure() {
            return refuse(ready, &CommitError::Failed(reason));
        }
        let jobs: Vec<_> = ready.iter().map(|job| (&job.work, job.written.as_slice())).collect();
        match self.index.transact(&jobs) {
            Ok(results) => self.tell(ready, results),
            Err(Failure::Full) => self.refuse(ready, &CommitError::Full),
            Err(Failure::Broken(why)) => {
                let reason = self.shared.fail(&format!("the index failed: {why}"));
                refuse(ready, &CommitError::Failed(reason));
            }
            // One of them cannot be written. Alone, each succeeds or fails for itself.
            Err(Failure::Spoiled(_)) if ready.len() > 1 => {
                for job in ready {
                    self.carry_out(vec![job]);
                }
            }
            Err(Failure::Spoiled(why)) => self.refuse(ready, &CommitError::Refused(why)),
        }
    }

    fn tell(&mut self, ready: Vec<Ready>, results: Vec<Result<Done, CommitError>>) {
        let mut changes = Vec::new();
        for (job, result) in ready.into_iter().zip(results) {
            match result {
                Ok(done) => {
                    self.shared.claims.release(&done.released);
                    for segment in done.emptied {
                        self.remove_segment(segment);
                    }
                    // Before the reply: whoever ordered it looks at the mailbox next.
                    if done
                        .changes
                        .iter()
                        .any(|change| matches!(change, Change::Mailboxes { .. } | Change::DirectoryChanged))
                    {
                        self.shared.mailbox_changes.fetch_add(1, Ordering::Release);
                    }
                    done.changes.iter().for_each(|change| self.shared.live.apply(change));
                    done.removed.iter().for_each(|mailbox| self.shared.live.remove(*mailbox));
                    changes.extend(done.changes);
                    let _ = job.reply.send(Ok(done.committed));
                }
                Err(error) => self.refuse(vec![job], &error),
            }
        }
        for change in changes {
            // Nobody listening is no error.
            let _ = self.shared.feed.send(change);
        }
    }

    /// Refuses commits of which nothing was kept; large messages that came with them are removed.
    fn refuse(&self, ready: Vec<Ready>, error: &CommitError) {
        for written in ready.iter().flat_map(|job| &job.written).filter(|written| written.is_alone) {
            self.remove_segment(written.span.segment);
        }
        refuse(ready, error);
    }

    fn remove_segment(&self, segment: i64) {
        let _ = self.chores.send(Chore::Remove(segment));
    }

    fn tidy_log(&mut self, idle: bool) {
        if self.shared.failure().is_some() {
            return;
        }
        if let Err(Failure::Broken(why)) = self.index.tidy_log(idle) {
            self.shared.fail(&format!("the index failed: {why}"));
        }
    }

    fn end(self) {
        if self.shared.failure().is_some() {
            self.index.abandon();
        } else if let Err(Failure::Broken(why)) = self.index.close() {
            self.shared.fail(&format!("the index failed while closing: {why}"));
        }
    }
}

fn refuse(ready: Vec<Ready>, error: &CommitError) {
    for job in ready {
        let _ = job.reply.send(Err(error.clone()));
    }
}

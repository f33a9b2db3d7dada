//! The committer: groups of commits, each made durable by one sync of its bodies, its journal entry or the index's log.
//!
//! ```text
//! wait for one ─→ take what else waits (bounded) ─→ rows into the transaction, records into the buffer
//!   deliveries and flags ─→ entry behind the records ─→ written, synced ─→ replies, feed    (rows: later, with those of others)
//!   anything else ─→ records written, synced ─→ transaction committed, log synced ─→ replies, feed
//! ```
//!
//! Rows that the journal has are written when [`PENDING_MAX`] wait, when a reader wants to see them, or after [`SHOWN_AFTER`]: so a page
//! that many commits change is written once. A sync of the log comes with them only where something else was answered.
//!
//! Invariants: nobody hears of a commit before it is durable; the feed has the order of the commits; a full disk refuses the commits
//! that have a body and lets the others pass, because those may make room: their rows, where an entry has none; a commit that was refused
//! is in no entry.
//! Not here: where records lie (bodies), what the orders do (index).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::bodies::Bodies;
use super::chores::Chore;
use super::order_queue::{Next, OrderQueue};
use super::{Content, Job, Order, Work};
use crate::Shared;
use crate::error::CommitError;
use crate::feed::Change;
use crate::index::{Done, Failure, Index};
use crate::journal::{self, CarriedOut, Entry};
use crate::op::Op;
use crate::states::BLOCK_STATES;

/// A group ends with this many commits …
const GROUP_COMMITS: usize = 256;

/// … or with this many octets of bodies, whichever is first: a short sync for whoever waits next.
const GROUP_OCTETS: u64 = 8 * 1024 * 1024;

/// With so many rows waiting, they are committed: it takes a few milliseconds, in which nobody is answered.
const PENDING_MAX: usize = 256;

/// Rows wait for company no longer than this. What waits has to be entered again after a crash, and nothing else depends on it.
const SHOWN_AFTER: Duration = Duration::from_millis(100);

/// When nobody has ordered anything for so long, the log is brought home: soon, for what has gathered until then is what the next one
/// may have to wait for.
const TIDIED_AFTER: Duration = Duration::from_millis(100);

/// So often it is looked whether a full disk has room for rows that wait.
const RETRIED_AFTER: Duration = Duration::from_secs(1);

/// The thread.
pub(super) struct Committer {
    shared: Arc<Shared>,
    index: Index,
    bodies: Bodies,
    chores: Sender<Chore>,
    /// Rows of commits that were answered, about, that are not committed.
    pending: usize,
    /// The index could not be brought to where the journal is: there was no room.
    is_behind: bool,
    /// When to look after rows or log, if nothing comes before.
    due: Option<Instant>,
}

/// What makes a group durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// An entry of the journal; its rows may wait.
    Journal,
    /// Its rows.
    Rows,
}

/// Why a group did not happen.
enum Setback {
    /// Its bodies could not be written.
    Bodies(CommitError),
    Index(Failure),
}

impl From<Failure> for Setback {
    fn from(failure: Failure) -> Self {
        Setback::Index(failure)
    }
}

impl Committer {
    pub(super) fn new(shared: Arc<Shared>, index: Index, bodies: Bodies, chores: Sender<Chore>) -> Committer {
        Committer { shared, index, bodies, chores, pending: 0, is_behind: false, due: None }
    }

    pub(super) fn run(mut self, orders: mpsc::Receiver<Order>) {
        let shared = Arc::clone(&self.shared);
        shared.readers.lag().work_here();
        let mut orders = OrderQueue::new(orders);
        loop {
            match orders.next(self.due, shared.readers.lag()) {
                Next::Order(order) => {
                    let jobs = gather(order, &mut orders);
                    self.carry_out(jobs);
                }
                Next::Due => self.look_after(),
                Next::Closed => break,
            }
        }
        self.end();
    }

    fn carry_out(&mut self, jobs: Vec<Job>) {
        if self.is_behind {
            self.go_back();
        }
        let (mut group, mut length) = (Vec::with_capacity(jobs.len()), 0);
        for job in jobs {
            let more = job.record_len();
            if more > 0 && !self.bodies.has_room_for(length + more) {
                self.commit(std::mem::take(&mut group));
                length = 0;
                if !self.bodies.has_room_for(more)
                    && let Err(error) = self.next_segment(more)
                {
                    self.refuse(vec![job], &error);
                    continue;
                }
            }
            length += more;
            group.push(job);
        }
        self.commit(group);
    }

    /// Carries out a group that has room in the open segment.
    fn commit(&mut self, jobs: Vec<Job>) {
        let way = if jobs.iter().all(Job::is_journaled) { Way::Journal } else { Way::Rows };
        self.commit_by(way, jobs);
    }

    fn commit_by(&mut self, way: Way, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        if let Some(reason) = self.shared.failure() {
            return self.refuse(jobs, &CommitError::Failed(reason));
        }
        if self.is_behind {
            return self.refuse(jobs, &CommitError::Full);
        }
        match self.try_commit(way, &jobs) {
            Ok(results) => self.tell(jobs, results),
            Err(setback) => self.set_back(jobs, setback),
        }
        if self.pending >= PENDING_MAX {
            self.show();
        } else if !self.index.is_under_way() {
            self.tidy_log(false);
        }
    }

    fn try_commit(&mut self, way: Way, jobs: &[Job]) -> Result<Vec<Result<Done, CommitError>>, Setback> {
        let moment = self.index.begin()?;
        self.bodies.begin();
        let mut entry = Entry::new(self.bodies.position(), moment);
        let mut results = Vec::with_capacity(jobs.len());
        for job in jobs {
            results.push(self.enter(job, moment, (way == Way::Journal).then_some(&mut entry))?);
        }
        let is_said = entry.commits.is_empty() || self.bodies.enter_entry(&entry.encode());
        if let Some((segment, reach)) = self.bodies.reach() {
            self.index.reach(segment, reach)?;
        }
        self.bodies.write_out().map_err(Setback::Bodies)?;
        match way {
            Way::Journal if is_said => self.wait_for_company(jobs),
            Way::Journal | Way::Rows => self.make_durable()?,
        }
        self.bodies.stand();
        Ok(results)
    }

    /// Puts one commit into the transaction and its bodies into the group, or neither.
    fn enter(
        &mut self,
        job: &Job,
        moment: i64,
        entry: Option<&mut Entry>,
    ) -> Result<Result<Done, CommitError>, Setback> {
        let begin = self.bodies.position();
        let mut written = Vec::with_capacity(job.contents.len());
        for content in &job.contents {
            match self.bodies.enter(content, moment) {
                Ok(place) => written.push(place),
                Err(error) => {
                    self.bodies.back_to(begin);
                    return Ok(Err(error));
                }
            }
        }
        let numbers = self.index.numbers();
        let result = self.index.carry_out(&job.work, &written)?;
        match (&result, &job.work, entry) {
            (Ok(done), Work::Ops { ops, essences }, Some(entry)) => {
                entry.commits.extend(CarriedOut::of(numbers, ops, essences, &written, done));
            }
            (Ok(_), ..) => {}
            (Err(_), ..) => self.bodies.back_to(begin),
        }
        Ok(result)
    }

    /// The group is durable by its entry: its rows may wait.
    fn wait_for_company(&mut self, jobs: &[Job]) {
        if self.pending == 0 {
            self.due = Some(Instant::now() + SHOWN_AFTER);
        }
        self.pending += jobs.iter().map(Job::rows).sum::<usize>();
        self.shared.readers.lag().answer();
    }

    /// The group, and everything before it, becomes durable by the index.
    fn make_durable(&mut self) -> Result<(), Failure> {
        self.index.reached(crate::disk::Moment::BodiesSynced)?;
        self.index.commit(true)?;
        self.shown();
        Ok(())
    }

    /// Commits rows that wait, for readers to see.
    fn show(&mut self) {
        match self.index.is_under_way().then(|| self.index.commit(false)) {
            Some(Err(Failure::Broken(why))) => drop(self.break_down(&why)),
            Some(Err(_)) => self.go_back(),
            Some(Ok(())) => {
                self.shown();
                self.tidy_log(false);
            }
            None => self.shown(),
        }
    }

    fn shown(&mut self) {
        self.pending = 0;
        self.due = Some(Instant::now() + TIDIED_AFTER);
        self.shared.readers.lag().show();
    }

    /// Somebody wants to read, or nobody has come for a while.
    fn look_after(&mut self) {
        if self.is_behind {
            // Perhaps there is room by now. If not, this is due again.
            return self.go_back();
        }
        let is_quiet = self.pending == 0 && !self.shared.readers.lag().is_wanted();
        self.show();
        if is_quiet {
            self.tidy_log(true);
            self.due = None;
        }
    }

    fn set_back(&mut self, jobs: Vec<Job>, setback: Setback) {
        if let Setback::Index(Failure::Broken(why)) = setback {
            let reason = self.break_down(&why);
            return self.refuse(jobs, &CommitError::Failed(reason));
        }
        self.go_back();
        match setback {
            Setback::Bodies(error) => {
                let (with_bodies, others) = jobs.into_iter().partition(|job| job.record_len() > 0);
                self.refuse(with_bodies, &error);
                // An entry may have as little room as they had.
                self.commit_by(Way::Rows, others);
            }
            Setback::Index(Failure::Full | Failure::Broken(_)) => self.refuse(jobs, &CommitError::Full),
            // One of them cannot be written. Alone, each succeeds or fails for itself.
            Setback::Index(Failure::Spoiled(_)) if jobs.len() > 1 => {
                for job in jobs {
                    self.commit(vec![job]);
                }
            }
            Setback::Index(Failure::Spoiled(why)) => self.refuse(jobs, &CommitError::Refused(why)),
        }
    }

    /// Takes back what is not committed, and enters what was answered once more.
    fn go_back(&mut self) {
        self.bodies.begin();
        let standing = self.bodies.position();
        let entered = self.index.roll_back().and_then(|()| self.index.replay(Some(standing))).and_then(|entered| {
            match self.index.is_under_way() {
                true => self.index.commit(false).map(|()| entered),
                false => Ok(entered),
            }
        });
        let was_behind = std::mem::take(&mut self.is_behind);
        match entered.or_else(|failure| self.index.roll_back().and(Err(failure))) {
            // Who opened a mailbox meanwhile has found it without them; who had it open knows them already.
            Ok(entered) if was_behind => entered.changes.iter().for_each(|change| self.shared.live.show(change)),
            Ok(_) => {}
            Err(Failure::Full) => {
                self.is_behind = true;
                // A log that is home is written from its start again, which needs no room.
                self.tidy_log(true);
            }
            Err(Failure::Broken(why) | Failure::Spoiled(why)) => {
                self.break_down(&why);
            }
        }
        self.shown();
        if self.is_behind {
            self.due = Some(Instant::now() + RETRIED_AFTER);
        }
    }

    /// The index is of no use any more; gives the reason to be told. What was answered is in the journal.
    fn break_down(&mut self, why: &str) -> String {
        // Nothing of it is tried again; where even this fails, the next opening undoes it.
        let _ = self.index.roll_back();
        (self.pending, self.due) = (0, None);
        self.shared.readers.lag().show();
        self.shared.fail(&format!("the index failed: {why}"))
    }

    /// Makes the next segment, with room for records of that length.
    fn next_segment(&mut self, length: u64) -> Result<(), CommitError> {
        self.show();
        if let Some(reason) = self.shared.failure() {
            return Err(CommitError::Failed(reason));
        }
        if self.is_behind {
            // A segment that is sealed counts as entered: its journal is not read any more.
            return Err(CommitError::Full);
        }
        let next = self.bodies.prepare_next(length)?;
        let entered = self.index.begin().and_then(|_| {
            self.bodies.notes_for(&next).into_iter().try_for_each(|note| self.index.note(note))?;
            self.index.commit(true)
        });
        match entered {
            Ok(()) => {
                self.bodies.turn_to(next);
                Ok(())
            }
            Err(Failure::Broken(why)) => Err(CommitError::Failed(self.break_down(&why))),
            Err(Failure::Full | Failure::Spoiled(_)) => {
                self.go_back();
                self.bodies.give_back(&next);
                Err(CommitError::Full)
            }
        }
    }

    fn tell(&mut self, jobs: Vec<Job>, results: Vec<Result<Done, CommitError>>) {
        let mut changes = Vec::new();
        for (job, result) in jobs.into_iter().zip(results) {
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
    fn refuse(&self, jobs: Vec<Job>, error: &CommitError) {
        for job in jobs {
            for content in &job.contents {
                if let Content::Sealed(written) = content {
                    self.remove_segment(written.span.segment);
                }
            }
            let _ = job.reply.send(Err(error.clone()));
        }
    }

    fn remove_segment(&self, segment: i64) {
        let _ = self.chores.send(Chore::Remove(segment));
    }

    fn tidy_log(&mut self, is_quiet: bool) {
        if self.shared.failure().is_some() {
            return;
        }
        if let Err(Failure::Broken(why)) = self.index.tidy_log(is_quiet) {
            self.break_down(&why);
        }
    }

    fn end(mut self) {
        self.show();
        self.shared.readers.lag().end();
        if self.shared.failure().is_some() {
            self.index.abandon();
        } else if let Err(Failure::Broken(why)) = self.index.close() {
            self.shared.fail(&format!("the index failed while closing: {why}"));
        }
    }
}

/// An order and those that wait behind it.
fn gather(order: Order, orders: &mut OrderQueue) -> Vec<Job> {
    let (mut jobs, mut octets) = (Vec::new(), 0);
    let mut next = Some(order);
    while let Some(order) = next {
        match order {
            Order::Do(job) => {
                octets += job.record_len();
                jobs.push(job);
            }
            Order::Close => orders.close(),
        }
        let is_whole = jobs.len() >= GROUP_COMMITS || octets >= GROUP_OCTETS;
        next = if is_whole { None } else { orders.another() };
    }
    jobs
}

/// How many blocks of states an order may change.
fn blocks(op: &Op) -> usize {
    match op {
        Op::SetFlags { uids, .. } => uids.len() / BLOCK_STATES,
        _ => 0,
    }
}

impl Job {
    /// Octets of records that are to be written.
    fn record_len(&self) -> u64 {
        self.contents.iter().map(Content::record_len).sum()
    }

    /// Whether the journal can say all of it, with what comes into the open segment. What is made of messages anyway needs no saying.
    fn is_journaled(&self) -> bool {
        match &self.work {
            Work::Ops { ops, .. } => {
                journal::can_say(ops) && self.contents.iter().all(|content| matches!(content, Content::Fresh { .. }))
            }
            Work::Outline { .. } => true,
            Work::Move { .. } | Work::Discard { .. } => false,
        }
    }

    /// How many rows wait with it, about: those of a message, or the blocks of states that it may have changed.
    fn rows(&self) -> usize {
        match &self.work {
            Work::Ops { ops, .. } if self.contents.is_empty() => ops.iter().map(blocks).sum(),
            _ => self.contents.len(),
        }
        .max(1)
    }
}

//! Entering again what the journal says and the rows do not: after a crash, or after a transaction that failed.
//!
//! ```text
//! rows reach to here ─entry─→ ─entry─→ ─entry─→ no further entry: here the writer goes on
//! ```
//!
//! Invariants: an entry has the effect that it had when it was answered, numbers and moment included; who was told a number finds that
//! number. Where the index is not the one that the entry was written after (it was restored, or mended), the messages are entered
//! all the same, under the numbers that come next, and the log says so.
//! Not here: what an entry is (journal).

use tracing::{error, info, warn};

use super::{Failure, Index, open_segment};
use crate::error::OpenError;
use crate::journal::{self, Delivered, Found, Numbers};
use crate::op::Committed;
use crate::writer::Work;

impl Index {
    /// Brings the rows to where the journal is, durably.
    pub(crate) fn recover(&mut self) -> Result<(), OpenError> {
        let entered = self.replay(u64::MAX).and_then(|commits| {
            if commits > 0 {
                self.commit(true)?;
                info!("{commits} commits that a crash had kept from the index are entered");
            }
            Ok(())
        });
        match entered {
            Ok(()) => Ok(()),
            Err(Failure::Full) => Err(OpenError::Index("the disk is full".into())),
            Err(Failure::Broken(why) | Failure::Spoiled(why)) => Err(OpenError::Index(why)),
        }
    }

    /// Enters what the journal has behind the end that the rows know of the open segment, up to that position at the most, and leaves
    /// the transaction under way. Gives how many commits that were.
    pub(crate) fn replay(&mut self, end: u64) -> Result<usize, Failure> {
        let Some((segment, mut position)) = open_segment(&self.conn)? else { return Ok(0) };
        let unreadable = |error: std::io::Error| Failure::Broken(format!("segment {segment} cannot be read: {error}"));
        let file = self.shared.segments.open(segment).map_err(unreadable)?;
        let mut commits = 0;
        while position < end
            && let Some(found) = journal::next(segment, &file, position).map_err(unreadable)?
        {
            commits += found.entry.commits.len();
            position = found.end;
            self.enter_again(found)?;
            self.reach(segment, position)?;
        }
        Ok(commits)
    }

    fn enter_again(&mut self, found: Found) -> Result<(), Failure> {
        self.begin()?;
        self.moment = found.entry.at;
        for (commit, bodies) in found.entry.commits.into_iter().zip(found.bodies) {
            let (written, essences): (Vec<_>, _) = bodies.into_iter().unzip();
            let told = commit.clone();
            let later = self.repeat_from(commit.numbers);
            let work = Work::Ops { ops: commit.into_ops(), essences };
            let result = self.carry_out(&work, &written)?;
            self.never_below(later);
            match result {
                Ok(done) => compare(&told, &done.committed),
                Err(error) => error!("a message that was accepted before a crash cannot be entered: {error}"),
            }
        }
        Ok(())
    }

    fn repeat_from(&mut self, first: Numbers) -> Numbers {
        Numbers {
            email: self.ledger.email.repeat_from(first.email),
            mail: self.ledger.mail.repeat_from(first.mail),
            recipient: self.ledger.recipient.repeat_from(first.recipient),
        }
    }

    fn never_below(&mut self, later: Numbers) {
        self.ledger.email.seen(later.email - 1);
        self.ledger.mail.seen(later.mail - 1);
        self.ledger.recipient.seen(later.recipient - 1);
    }
}

fn compare(told: &Delivered, done: &Committed) {
    if !told.is_told_by(&done.outcomes) {
        warn!("messages that were accepted before a crash have other UIDs now: the index is an older or a mended one");
    }
}

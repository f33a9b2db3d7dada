//! Entering again what the journal says and the rows do not: after a crash, or after a transaction that failed.
//!
//! ```text
//! rows reach to here ─entry─→ ─entry─→ ─entry─→ no further entry: here the writer goes on
//! ```
//!
//! Invariants: an entry has the effect that it had when it was answered, numbers and moment included; who was told a number finds that
//! number, or nothing. Where the index is not the one that the entry was written after (it was restored, or mended), the messages are
//! entered all the same, and the log says so if they have other numbers.
//! Not here: what an entry is (journal).

use std::collections::HashSet;

use tracing::{error, info, warn};

use super::{Failure, Index, open_segment};
use crate::error::OpenError;
use crate::feed::Change;
use crate::journal::{self, CarriedOut, Found, Numbers};
use crate::op::Committed;
use crate::writer::Work;

/// What has been entered again.
#[derive(Default)]
pub(crate) struct Entered {
    pub(crate) commits: usize,
    /// What that changed.
    pub(crate) changes: Vec<Change>,
}

impl Index {
    /// Brings the rows to where the journal is, durably.
    pub(crate) fn recover(&mut self) -> Result<(), OpenError> {
        let entered = self.replay(None).and_then(|entered| {
            if entered.commits > 0 {
                self.commit(true)?;
                info!("{} commits that a crash had kept from the index are entered", entered.commits);
            }
            Ok(())
        });
        match entered {
            Ok(()) => Ok(()),
            Err(Failure::Full) => Err(OpenError::Index("the disk is full".into())),
            Err(Failure::Broken(why) | Failure::Spoiled(why)) => Err(OpenError::Index(why)),
        }
    }

    /// Enters what the journal has behind the end that the rows know of the open segment, and leaves the transaction under way. Where it
    /// is known how far the journal goes, it must go so far.
    pub(crate) fn replay(&mut self, end: Option<u64>) -> Result<Entered, Failure> {
        let mut entered = Entered::default();
        let Some((segment, mut position)) = open_segment(&self.conn)? else { return Ok(entered) };
        let unreadable = |error: std::io::Error| Failure::Broken(format!("segment {segment} cannot be read: {error}"));
        let file = self.shared.segments.open(segment).map_err(unreadable)?;
        while end.is_none_or(|end| position < end)
            && let Some(found) = journal::next(segment, &file, position).map_err(unreadable)?
        {
            entered.commits += found.entry.commits.len();
            position = found.end;
            self.enter_again(found, &mut entered.changes)?;
            self.reach(segment, position)?;
        }
        match end {
            Some(end) if position != end => {
                Err(Failure::Broken(format!("the journal in segment {segment} ends at {position} instead of {end}")))
            }
            _ => Ok(entered),
        }
    }

    fn enter_again(&mut self, found: Found, changes: &mut Vec<Change>) -> Result<(), Failure> {
        self.begin()?;
        self.moment = found.entry.at;
        for (told, bodies) in found.entry.commits.into_iter().zip(found.bodies) {
            let is_there: Vec<_> = bodies.iter().map(Option::is_some).collect();
            let is_whole = is_there.iter().all(|is_there| *is_there);
            if !is_whole {
                error!("a message that was accepted before a crash is damaged and cannot be entered");
            }
            self.go_on_from(&told, is_whole)?;
            let (written, essences): (Vec<_>, _) = bodies.into_iter().flatten().unzip();
            let later = self.repeat_from(told.numbers);
            let work = Work::Ops { ops: told.clone().only_of(&is_there).into_ops(), essences };
            let result = self.carry_out(&work, &written)?;
            self.never_below(later);
            match result {
                Ok(done) => {
                    if is_whole {
                        compare(&told, &done.committed);
                    }
                    changes.extend(done.changes);
                }
                Err(error) => error!("what was answered before a crash cannot be entered: {error}"),
            }
        }
        Ok(())
    }

    /// UIDs and modseqs that were told before this commit, and those of what is lost of it, are not given once more.
    fn go_on_from(&mut self, told: &CarriedOut, is_whole: bool) -> Result<(), Failure> {
        let (mut accounts, mut mailboxes) = (HashSet::new(), HashSet::new());
        let (past, mut number) = (i64::from(!is_whole), told.numbers.email);
        for (account, modseq, placed) in told.given() {
            if let Some(mut totals) = self.ledger.accounts.get(&self.conn, account)?
                && (accounts.insert(account) || !is_whole)
            {
                totals.modseq = totals.modseq.max(modseq.0 - 1 + past);
                self.ledger.accounts.set(account, totals);
            }
            let Some((mailbox, uid)) = placed else { continue };
            if !is_whole {
                self.ledger.email.seen(number);
            }
            number += 1;
            if let Some(mut totals) = self.ledger.mailboxes.get(&self.conn, mailbox)?
                && (mailboxes.insert(mailbox) || !is_whole)
            {
                totals.uidnext = totals.uidnext.max(i64::from(uid.0) + past);
                self.ledger.mailboxes.set(mailbox, totals);
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

fn compare(told: &CarriedOut, done: &Committed) {
    if !told.is_told_by(&done.outcomes) {
        warn!(
            "messages that were accepted or changed before a crash have other numbers now: the index is an older or a mended one"
        );
    }
}

//! Placing messages in mailboxes and removing them.
//!
//! RFC 9051 §2.3.1.1 (UIDs), RFC 7162 §3.2 (what must be remembered of expunged messages).
//!
//! Not here: changing flags (flags), copying and moving (moving).

use std::sync::Arc;

use rusqlite::{OptionalExtension, params};

use super::ledger::Ledger;
use super::states::Stated;
use super::{Done, Index, Trouble};
use crate::error::CommitError;
use crate::essence::Essence;
use crate::feed::{Arrival, Change};
use crate::names::{AccountId, BodyId, EmailId, MailboxId, ModSeq, ThreadId, Uid};
use crate::op::{Flags, MailboxRef, Op, Outcome, Placed};
use crate::states::State;
use crate::writer::Written;

impl Index {
    /// Refuses a commit whose placements cannot all be, before the first is made.
    pub(super) fn check_placements(&mut self, ops: &[Op]) -> Result<(), Trouble> {
        for op in ops {
            if let Op::Place { account, mailbox, .. } = op {
                self.account(*account)?;
                let (id, totals) = self.mailbox(*account, mailbox)?;
                // As many more may follow in this commit; the last few UIDs of four thousand million are not worth a proof.
                if totals.uidnext + ops.len() as i64 > i64::from(u32::MAX) {
                    return Err(CommitError::MailboxFull(id).into());
                }
            }
        }
        Ok(())
    }

    pub(super) fn place(
        &mut self,
        account: AccountId,
        mailbox: &MailboxRef,
        arriving: &Arriving<'_>,
        done: &mut Done,
    ) -> Result<Outcome, Trouble> {
        let Arriving { written, essence, prefix, received_at, flags } = *arriving;
        let mut totals = self.account(account)?;
        let (mailbox, mut box_totals) = self.mailbox(account, mailbox)?;
        let uid = Uid(u32::try_from(box_totals.uidnext).map_err(|_| CommitError::MailboxFull(mailbox))?);
        let size = written.span.length as i64 + prefix.len() as i64;
        let modseq = Ledger::next_modseq(&mut totals, &mut box_totals);
        let system = flags.system & Flags::ALL;
        box_totals.uidnext += 1;
        box_totals.add(system, size);
        totals.messages += 1;
        totals.octets += size;

        let email = EmailId(self.ledger.email.take());
        let thread = self.thread_for(account, email, essence)?;
        let row = Row {
            body: written.span.body,
            size,
            received_at,
            system,
            keywords: flags.keywords_to_sql().map(Box::from),
            prefix: prefix.into(),
            email,
            thread,
        };
        self.insert_message(mailbox, uid, modseq, &row)?;
        self.ledger.accounts.set(account, totals);
        self.ledger.mailboxes.set(mailbox, box_totals);
        let arrival = row.arrival(uid);
        done.changes.push(Change::Placed { account, mailbox, modseq, messages: Arc::new([arrival]) });
        let uidvalidity = box_totals.uidvalidity;
        Ok(Outcome::Placed(Placed { account, mailbox, uidvalidity, uid, modseq, email, thread }))
    }

    pub(super) fn insert_message(
        &mut self,
        mailbox: MailboxId,
        uid: Uid,
        modseq: ModSeq,
        row: &Row,
    ) -> Result<(), Trouble> {
        self.conn
            .prepare_cached(
                "INSERT INTO messages (mailbox, uid, body, received_at, saved_at, prefix, email, thread, added) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                mailbox.0,
                uid.0,
                row.body.0,
                row.received_at,
                self.moment,
                row.prefix,
                row.email.0,
                row.thread.0,
                modseq.0
            ])?;
        let state = State::new(uid, row.size, modseq, row.received_at, row.system);
        self.push_state(mailbox, state, row.keywords.as_deref())
    }

    pub(super) fn expunge(
        &mut self,
        account: AccountId,
        mailbox: &MailboxRef,
        uids: &[Uid],
        doomed: Doomed,
        done: &mut Done,
    ) -> Result<Outcome, Trouble> {
        let mut totals = self.account(account)?;
        let (mailbox, mut box_totals) = self.mailbox(account, mailbox)?;
        let mut gone = Vec::new();
        for Stated { state, .. } in self.take_states(mailbox, &ascending(uids), doomed)? {
            if let Some(body) = self.delete_message(mailbox, state.uid)? {
                self.release_body(body, 1, done)?;
            }
            let size = i64::from(state.size);
            box_totals.take(state.system(), size);
            totals.messages -= 1;
            totals.octets -= size;
            gone.push(state.uid);
        }
        if gone.is_empty() {
            return Ok(Outcome::Expunged { uids: gone, modseq: None });
        }
        let modseq = Ledger::next_modseq(&mut totals, &mut box_totals);
        self.remember_all_expunged(mailbox, &gone, modseq)?;
        self.ledger.accounts.set(account, totals);
        self.ledger.mailboxes.set(mailbox, box_totals);
        done.changes.push(Change::Expunged { account, mailbox, modseq, uids: gone.as_slice().into() });
        Ok(Outcome::Expunged { uids: gone, modseq: Some(modseq) })
    }

    pub(super) fn remember_all_expunged(
        &self,
        mailbox: MailboxId,
        gone: &[Uid],
        modseq: ModSeq,
    ) -> Result<(), Trouble> {
        for (first, last) in ranges(gone) {
            self.remember_expunged(mailbox, first, last, modseq)?;
        }
        Ok(())
    }

    /// Removes a message's row; says which body it had.
    fn delete_message(&self, mailbox: MailboxId, uid: Uid) -> Result<Option<BodyId>, Trouble> {
        let mut delete =
            self.conn.prepare_cached("DELETE FROM messages WHERE mailbox = ?1 AND uid = ?2 RETURNING body")?;
        Ok(delete.query_row(params![mailbox.0, uid.0], |row| row.get(0).map(BodyId)).optional()?)
    }

    /// Remembers a range of expunged UIDs, joined with its neighbours. The joined range takes the newer modseq: a client
    /// may be told again of a message it knew to be gone (RFC 7162 §3.2.10 allows it), never too little.
    fn remember_expunged(&self, mailbox: MailboxId, first: Uid, last: Uid, modseq: ModSeq) -> Result<(), Trouble> {
        let mut below = self.conn.prepare_cached(
            "DELETE FROM expunged WHERE mailbox = ?1 AND last = ?2 - 1 AND first = \
             (SELECT max(first) FROM expunged WHERE mailbox = ?1 AND first < ?2) RETURNING first",
        )?;
        let mut above =
            self.conn.prepare_cached("DELETE FROM expunged WHERE mailbox = ?1 AND first = ?2 + 1 RETURNING last")?;
        let from = below.query_row(params![mailbox.0, first.0], |row| row.get(0)).optional()?.unwrap_or(first.0);
        let to = above.query_row(params![mailbox.0, last.0], |row| row.get(0)).optional()?.unwrap_or(last.0);
        self.conn
            .prepare_cached("INSERT INTO expunged (mailbox, first, last, modseq) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![mailbox.0, from, to, modseq.0])?;
        Ok(())
    }
}

/// A message that is to be placed.
#[derive(Clone, Copy)]
pub(super) struct Arriving<'a> {
    pub(super) written: &'a Written,
    pub(super) essence: &'a Essence,
    pub(super) prefix: &'a [u8],
    pub(super) received_at: i64,
    pub(super) flags: &'a Flags,
}

/// A message as its row and its state have it, without what belongs to its place.
pub(super) struct Row {
    pub(super) body: BodyId,
    pub(super) size: i64,
    pub(super) received_at: i64,
    pub(super) system: u32,
    pub(super) keywords: Option<Box<str>>,
    pub(super) prefix: Box<[u8]>,
    pub(super) email: EmailId,
    pub(super) thread: ThreadId,
}

impl Row {
    pub(super) fn arrival(&self, uid: Uid) -> Arrival {
        let flags = Flags::from_sql(self.system, self.keywords.as_deref());
        Arrival { uid, size: self.size.unsigned_abs(), received_at: self.received_at, flags }
    }
}

/// Which of the messages that are named go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doomed {
    All,
    /// Those that are `\Deleted`.
    DeletedOnly,
}

impl Doomed {
    /// Whether a message with these flags is among them.
    pub(super) fn includes(self, system: u32) -> bool {
        match self {
            Doomed::All => true,
            Doomed::DeletedOnly => system & Flags::DELETED != 0,
        }
    }
}

/// Each UID once, in order.
pub(super) fn ascending(uids: &[Uid]) -> Vec<Uid> {
    let mut ascending = uids.to_vec();
    ascending.sort_unstable();
    ascending.dedup();
    ascending
}

/// Ascending UIDs as ranges without gaps.
fn ranges(uids: &[Uid]) -> Vec<(Uid, Uid)> {
    let mut ranges: Vec<(Uid, Uid)> = Vec::new();
    for uid in uids {
        match ranges.last_mut() {
            Some((_, last)) if last.0 + 1 == uid.0 => *last = *uid,
            _ => ranges.push((*uid, *uid)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_without_gaps_make_one_range() {
        let uids = [1, 2, 3, 7, 9, 10].map(Uid);
        assert_eq!(ranges(&uids), [(Uid(1), Uid(3)), (Uid(7), Uid(7)), (Uid(9), Uid(10))]);
        assert_eq!(ranges(&[]), []);
    }
}

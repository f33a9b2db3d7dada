//! Placing messages in mailboxes and removing them.
//!
//! RFC 9051 §2.3.1.1 (UIDs), RFC 7162 §3.2 (what must be remembered of expunged messages).
//!
//! Not here: changing flags and moving messages; they come with the first dialogue that can ask for it.

use rusqlite::{OptionalExtension, params};

use super::ledger::Ledger;
use super::{Done, Index, Trouble};
use crate::error::CommitError;
use crate::feed::Change;
use crate::names::{AccountId, BodyId, MailboxId, ModSeq, Uid};
use crate::op::{Flags, MailboxRef, Op, Outcome, Placed};
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

    #[expect(clippy::too_many_arguments, reason = "the fields of one order, and where its octets are")]
    pub(super) fn place(
        &mut self,
        account: AccountId,
        mailbox: &MailboxRef,
        prefix: &[u8],
        received_at: i64,
        flags: &Flags,
        written: &Written,
        done: &mut Done,
    ) -> Result<Outcome, Trouble> {
        let mut totals = self.account(account)?;
        let (mailbox, mut box_totals) = self.mailbox(account, mailbox)?;
        let uid = u32::try_from(box_totals.uidnext).map_err(|_| CommitError::MailboxFull(mailbox))?;
        let size = written.span.length as i64 + prefix.len() as i64;
        let modseq = Ledger::next_modseq(&mut totals, &mut box_totals);
        box_totals.uidnext += 1;
        box_totals.messages += 1;
        box_totals.unseen += i64::from(flags.system & Flags::SEEN == 0);
        box_totals.octets += size;
        totals.messages += 1;
        totals.octets += size;

        let keywords = (!flags.keywords.is_empty()).then(|| flags.keywords.join(" "));
        self.conn
            .prepare_cached(
                "INSERT INTO messages (mailbox, uid, modseq, body, size, received_at, saved_at, flags, keywords, prefix) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                mailbox.0,
                uid,
                modseq.0,
                written.span.body.0,
                size,
                received_at,
                self.shared.now(),
                flags.system & Flags::ALL,
                keywords,
                prefix
            ])?;
        self.ledger.accounts.set(account, totals);
        self.ledger.mailboxes.set(mailbox, box_totals);
        let placed = Placed { account, mailbox, uid: Uid(uid), modseq };
        done.changes.push(Change::Placed { account, mailbox, uid: placed.uid, modseq });
        Ok(Outcome::Placed(placed))
    }

    pub(super) fn expunge(
        &mut self,
        account: AccountId,
        mailbox: &MailboxRef,
        uids: &[Uid],
        done: &mut Done,
    ) -> Result<Outcome, Trouble> {
        let mut totals = self.account(account)?;
        let (mailbox, mut box_totals) = self.mailbox(account, mailbox)?;
        let mut wanted = uids.to_vec();
        wanted.sort_unstable();
        wanted.dedup();

        let mut gone = Vec::new();
        for uid in wanted {
            let Some((body, size, flags)) = self.delete_message(mailbox, uid)? else { continue };
            self.release_body(body, 1, done)?;
            box_totals.messages -= 1;
            box_totals.unseen -= i64::from(flags & Flags::SEEN == 0);
            box_totals.octets -= size;
            totals.messages -= 1;
            totals.octets -= size;
            gone.push(uid);
        }
        if gone.is_empty() {
            return Ok(Outcome::Expunged { uids: gone, modseq: None });
        }
        let modseq = Ledger::next_modseq(&mut totals, &mut box_totals);
        for (first, last) in ranges(&gone) {
            self.remember_expunged(mailbox, first, last, modseq)?;
        }
        self.ledger.accounts.set(account, totals);
        self.ledger.mailboxes.set(mailbox, box_totals);
        done.changes.push(Change::Expunged { account, mailbox, uids: gone.clone(), modseq });
        Ok(Outcome::Expunged { uids: gone, modseq: Some(modseq) })
    }

    fn delete_message(&self, mailbox: MailboxId, uid: Uid) -> Result<Option<(BodyId, i64, u32)>, Trouble> {
        let mut delete = self
            .conn
            .prepare_cached("DELETE FROM messages WHERE mailbox = ?1 AND uid = ?2 RETURNING body, size, flags")?;
        let row = delete
            .query_row(params![mailbox.0, uid.0], |row| Ok((BodyId(row.get(0)?), row.get(1)?, row.get(2)?)))
            .optional()?;
        Ok(row)
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

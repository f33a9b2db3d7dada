//! Changing flags.
//!
//! RFC 9051 §6.4.6 (STORE), RFC 7162 §3.1.3 (UNCHANGEDSINCE).
//!
//! Invariants: a message whose flags stay as they are keeps its modseq, and nobody is told; keywords are compared without
//! regard to case and keep their first spelling.

use rusqlite::params;

use super::ledger::Ledger;
use super::mail::ascending;
use super::{Done, Index, Trouble};
use crate::feed::Change;
use crate::names::{AccountId, MailboxId, ModSeq, Uid};
use crate::op::{FlagChange, Flags, MailboxRef, Outcome};

/// How far two UIDs may be apart to be read in one go, with what lies between them.
const GAP_MAX: u32 = 16;

/// Messages with none between them that become alike: one statement writes them all.
struct Run {
    first: Uid,
    last: Uid,
    flags: Flags,
}

impl Index {
    pub(super) fn set_flags(
        &mut self,
        account: AccountId,
        mailbox: &MailboxRef,
        uids: &[Uid],
        change: &FlagChange,
        unchanged_since: Option<ModSeq>,
        done: &mut Done,
    ) -> Result<Outcome, Trouble> {
        let mut totals = self.account(account)?;
        let (mailbox, mut box_totals) = self.mailbox(account, mailbox)?;
        let modseq = Ledger::next_modseq(&mut totals, &mut box_totals);
        let (mut set, mut refused) = (Vec::new(), Vec::new());
        for stretch in ascending(uids).chunk_by(|one, two| two.0.saturating_sub(one.0) <= GAP_MAX) {
            let mut runs: Vec<Run> = Vec::new();
            let mut is_joined = false;
            for (uid, before, changed_at) in self.flags_of(mailbox, stretch)? {
                let is_named = stretch.binary_search(&uid).is_ok();
                let is_refused = is_named && unchanged_since.is_some_and(|since| changed_at > since);
                if is_refused {
                    refused.push(uid);
                }
                let after = before.after(change);
                if !is_named || is_refused || after == before {
                    is_joined = false;
                    continue;
                }
                box_totals.count(before.system, -1);
                box_totals.count(after.system, 1);
                match runs.last_mut().filter(|run| is_joined && run.flags == after) {
                    Some(run) => run.last = uid,
                    None => runs.push(Run { first: uid, last: uid, flags: after.clone() }),
                }
                is_joined = true;
                set.push((uid, after));
            }
            self.write_flags(mailbox, modseq, &runs)?;
        }
        if set.is_empty() {
            return Ok(Outcome::FlagsSet { changed: Vec::new(), modseq: None, refused });
        }
        self.ledger.accounts.set(account, totals);
        self.ledger.mailboxes.set(mailbox, box_totals);
        let changed = set.iter().map(|(uid, _)| *uid).collect();
        done.changes.push(Change::FlagsSet { account, mailbox, modseq, messages: set.into() });
        Ok(Outcome::FlagsSet { changed, modseq: Some(modseq), refused })
    }

    /// The messages from the first to the last of these UIDs, those between them too.
    fn flags_of(&self, mailbox: MailboxId, stretch: &[Uid]) -> Result<Vec<(Uid, Flags, ModSeq)>, Trouble> {
        let (Some(first), Some(last)) = (stretch.first(), stretch.last()) else { return Ok(Vec::new()) };
        let mut select = self.conn.prepare_cached(
            "SELECT uid, flags, keywords, modseq FROM messages WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3 ORDER BY uid",
        )?;
        let rows = select.query_map(params![mailbox.0, first.0, last.0], |row| {
            let keywords = row.get_ref(2)?.as_str_or_null()?;
            Ok((Uid(row.get(0)?), Flags::from_sql(row.get(1)?, keywords), ModSeq(row.get(3)?)))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn write_flags(&self, mailbox: MailboxId, modseq: ModSeq, runs: &[Run]) -> Result<(), Trouble> {
        let mut update = self.conn.prepare_cached(
            "UPDATE messages SET flags = ?4, keywords = ?5, modseq = ?6 WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3",
        )?;
        for Run { first, last, flags } in runs {
            update.execute(params![mailbox.0, first.0, last.0, flags.system, flags.keywords_to_sql(), modseq.0])?;
        }
        Ok(())
    }
}

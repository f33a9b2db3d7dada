//! Changing flags.
//!
//! RFC 9051 §6.4.6 (STORE), RFC 7162 §3.1.3 (UNCHANGEDSINCE).
//!
//! Invariants: a message whose flags stay as they are keeps its modseq, and nobody is told; keywords are compared without
//! regard to case and keep their first spelling.

use rusqlite::{OptionalExtension, params};

use super::ledger::Ledger;
use super::mail::ascending;
use super::{Done, Index, Trouble};
use crate::feed::Change;
use crate::names::{AccountId, MailboxId, ModSeq, Uid};
use crate::op::{FlagChange, Flags, MailboxRef, Outcome};

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
        for uid in ascending(uids) {
            let Some((before, changed_at)) = self.flags_of(mailbox, uid)? else { continue };
            if unchanged_since.is_some_and(|since| changed_at > since) {
                refused.push(uid);
                continue;
            }
            let after = before.after(change);
            if after == before {
                continue;
            }
            self.conn
                .prepare_cached(
                    "UPDATE messages SET flags = ?3, keywords = ?4, modseq = ?5 WHERE mailbox = ?1 AND uid = ?2",
                )?
                .execute(params![mailbox.0, uid.0, after.system, after.keywords_to_sql(), modseq.0])?;
            box_totals.count(before.system, -1);
            box_totals.count(after.system, 1);
            set.push((uid, after));
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

    fn flags_of(&self, mailbox: MailboxId, uid: Uid) -> Result<Option<(Flags, ModSeq)>, Trouble> {
        let mut select =
            self.conn.prepare_cached("SELECT flags, keywords, modseq FROM messages WHERE mailbox = ?1 AND uid = ?2")?;
        let row = select
            .query_row(params![mailbox.0, uid.0], |row| {
                let keywords = row.get_ref(1)?.as_str_or_null()?;
                Ok((Flags::from_sql(row.get(0)?, keywords), ModSeq(row.get(2)?)))
            })
            .optional()?;
        Ok(row)
    }
}

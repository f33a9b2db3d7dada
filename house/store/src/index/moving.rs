//! Copying messages between mailboxes, and moving them between those of an account.
//!
//! RFC 9051 §6.4.7 (COPY), §6.4.8 (MOVE), §7.1 (COPYUID); RFC 8474 §5.1 (EMAILID stays).
//!
//! Invariants: UIDs are given in the order of the messages' UIDs before; flags and dates of arrival go along, the date of
//! saving is new; no octet of a body is copied; in both mailboxes the change has the same modseq.

use rusqlite::{OptionalExtension, params};

use super::ledger::Ledger;
use super::mail::{Doomed, Row, ascending};
use super::states::Stated;
use super::{Done, Index, Trouble};
use crate::error::CommitError;
use crate::feed::Change;
use crate::names::{AccountId, BodyId, EmailId, MailboxId, ModSeq, ThreadId, Uid};
use crate::op::{FlagMask, MailboxRef, Outcome};

/// What a message takes along of its row.
const COLUMNS: &str = "body, prefix, email, thread";

impl Index {
    /// Rows for copies of messages, whose bodies know of them already.
    pub(super) fn copied(
        &mut self,
        account: AccountId,
        source: &MailboxRef,
        uids: &[Uid],
        kept: FlagMask,
    ) -> Result<Vec<(Uid, Row)>, Trouble> {
        let (source, _) = self.mailbox(account, source)?;
        let states = self.states_of(source, &ascending(uids))?;
        let sql = format!("SELECT {COLUMNS} FROM messages WHERE mailbox = ?1 AND uid = ?2");
        let mut rows = self.rows(&sql, source, states)?;
        for (_, row) in &mut rows {
            self.conn
                .prepare_cached("UPDATE bodies SET refs = refs + 1 WHERE id = ?1")?
                .execute(params![row.body.0])?;
            row.system &= kept.system;
            row.keywords.take_if(|_| !kept.keywords);
        }
        Ok(rows)
    }

    pub(super) fn move_messages(
        &mut self,
        account: AccountId,
        source: &MailboxRef,
        uids: &[Uid],
        target: &MailboxRef,
        done: &mut Done,
    ) -> Result<Outcome, Trouble> {
        let (source, _) = self.mailbox(account, source)?;
        let target = self.room_for(account, target, uids.len())?;
        let states = self.take_states(source, &ascending(uids), Doomed::All)?;
        let rows = self.rows(&taking(), source, states)?;
        self.put_all(account, target, &rows, Some(source), done)
    }

    /// Enters rows into the target; where they were taken out of the source, that is settled too.
    pub(super) fn put_all(
        &mut self,
        account: AccountId,
        target: MailboxId,
        rows: &[(Uid, Row)],
        source: Option<MailboxId>,
        done: &mut Done,
    ) -> Result<Outcome, Trouble> {
        let (_, mut box_totals) = self.mailbox(account, &MailboxRef::Id(target))?;
        let uidvalidity = box_totals.uidvalidity;
        if rows.is_empty() {
            return Ok(Outcome::Copied { mailbox: target, uidvalidity, uids: Vec::new(), modseq: None });
        }
        let mut totals = self.account(account)?;
        let modseq = Ledger::next_modseq(&mut totals, &mut box_totals);
        let (mut uids, mut arrivals) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
        for (before, row) in rows {
            let uid = Uid(u32::try_from(box_totals.uidnext).map_err(|_| CommitError::MailboxFull(target))?);
            self.insert_message(target, uid, modseq, row)?;
            box_totals.uidnext += 1;
            box_totals.add(row.system, row.size);
            uids.push((*before, uid));
            arrivals.push(row.arrival(uid));
            if source.is_none() {
                totals.messages += 1;
                totals.octets += row.size;
            }
        }
        self.ledger.accounts.set(account, totals);
        self.ledger.mailboxes.set(target, box_totals);
        done.changes.push(Change::Placed { account, mailbox: target, modseq, messages: arrivals.into() });
        if let Some(source) = source {
            self.settle_source(account, source, rows, modseq, done)?;
        }
        Ok(Outcome::Copied { mailbox: target, uidvalidity, uids, modseq: Some(modseq) })
    }

    /// These messages were moved away. The source may be the target: its figures are taken up as they are by now.
    fn settle_source(
        &mut self,
        account: AccountId,
        source: MailboxId,
        rows: &[(Uid, Row)],
        modseq: ModSeq,
        done: &mut Done,
    ) -> Result<(), Trouble> {
        let (_, mut box_totals) = self.mailbox(account, &MailboxRef::Id(source))?;
        box_totals.modseq = modseq.0;
        rows.iter().for_each(|(_, row)| box_totals.take(row.system, row.size));
        self.ledger.mailboxes.set(source, box_totals);
        let gone: Vec<Uid> = rows.iter().map(|(uid, _)| *uid).collect();
        self.remember_all_expunged(source, &gone, modseq)?;
        done.changes.push(Change::Expunged { account, mailbox: source, modseq, uids: gone.into() });
        Ok(())
    }

    /// The target, if it has UIDs for so many more.
    pub(super) fn room_for(
        &mut self,
        account: AccountId,
        target: &MailboxRef,
        count: usize,
    ) -> Result<MailboxId, Trouble> {
        let (target, totals) = self.mailbox(account, target)?;
        if totals.uidnext + count as i64 > i64::from(u32::MAX) {
            return Err(CommitError::MailboxFull(target).into());
        }
        Ok(target)
    }

    /// Messages with these states. `sql` gives the rest of one.
    fn rows(&self, sql: &str, mailbox: MailboxId, states: Vec<Stated>) -> Result<Vec<(Uid, Row)>, Trouble> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = Vec::with_capacity(states.len());
        for stated in states {
            let uid = stated.state.uid;
            let row = statement.query_row(params![mailbox.0, uid.0], |row| moved_row(row, stated)).optional()?;
            rows.extend(row.map(|row| (uid, row)));
        }
        Ok(rows)
    }

    /// All messages of a mailbox, taken out of it.
    pub(super) fn take_all(&mut self, mailbox: MailboxId) -> Result<Vec<(Uid, Row)>, Trouble> {
        let states = self.take_all_states(mailbox)?;
        self.rows(&taking(), mailbox, states)
    }
}

fn taking() -> String {
    format!("DELETE FROM messages WHERE mailbox = ?1 AND uid = ?2 RETURNING {COLUMNS}")
}

fn moved_row(row: &rusqlite::Row<'_>, stated: Stated) -> rusqlite::Result<Row> {
    let Stated { state, keywords } = stated;
    Ok(Row {
        body: BodyId(row.get(0)?),
        size: state.size.into(),
        received_at: state.received_at,
        system: state.system(),
        keywords,
        prefix: row.get_ref(1)?.as_blob()?.into(),
        email: EmailId(row.get(2)?),
        thread: ThreadId(row.get(3)?),
    })
}

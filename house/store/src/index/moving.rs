//! Copying messages between mailboxes, and moving them between those of an account.
//!
//! RFC 9051 §6.4.7 (COPY), §6.4.8 (MOVE), §7.1 (COPYUID); RFC 8474 §5.1 (EMAILID stays).
//!
//! Invariants: UIDs are given in the order of the messages' UIDs before; flags and dates of arrival go along, the date of
//! saving is new; no octet of a body is copied; in both mailboxes the change has the same modseq.

use rusqlite::{OptionalExtension, params};

use super::ledger::Ledger;
use super::mail::{Row, ascending};
use super::{Done, Index, Trouble};
use crate::error::CommitError;
use crate::feed::Change;
use crate::names::{AccountId, BodyId, EmailId, MailboxId, ModSeq, ThreadId, Uid};
use crate::op::{FlagMask, MailboxRef, Outcome};

const COLUMNS: &str = "body, size, received_at, flags, keywords, prefix, email, thread";

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
        let mut rows = Vec::new();
        let sql = format!("SELECT {COLUMNS} FROM messages WHERE mailbox = ?1 AND uid = ?2");
        for uid in ascending(uids) {
            if let Some(mut row) = self.one_row(&sql, source, uid)? {
                self.conn
                    .prepare_cached("UPDATE bodies SET refs = refs + 1 WHERE id = ?1")?
                    .execute(params![row.body.0])?;
                row.system &= kept.system;
                row.keywords = row.keywords.filter(|_| kept.keywords);
                rows.push((uid, row));
            }
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
        let mut rows = Vec::new();
        let sql = format!("DELETE FROM messages WHERE mailbox = ?1 AND uid = ?2 RETURNING {COLUMNS}");
        for uid in ascending(uids) {
            rows.extend(self.one_row(&sql, source, uid)?.map(|row| (uid, row)));
        }
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

    fn one_row(&self, sql: &str, mailbox: MailboxId, uid: Uid) -> Result<Option<Row>, Trouble> {
        let mut statement = self.conn.prepare_cached(sql)?;
        Ok(statement.query_row(params![mailbox.0, uid.0], moved_row).optional()?)
    }

    /// All messages of a mailbox, taken out of it.
    pub(super) fn take_all(&self, mailbox: MailboxId) -> Result<Vec<(Uid, Row)>, Trouble> {
        let sql = format!("SELECT {COLUMNS}, uid FROM messages WHERE mailbox = ?1 ORDER BY uid");
        let mut select = self.conn.prepare_cached(&sql)?;
        let rows = select.query_map(params![mailbox.0], |row| Ok((Uid(row.get(8)?), moved_row(row)?)))?;
        let rows = rows.collect::<Result<_, _>>()?;
        self.conn.prepare_cached("DELETE FROM messages WHERE mailbox = ?1")?.execute(params![mailbox.0])?;
        Ok(rows)
    }
}

fn moved_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        body: BodyId(row.get(0)?),
        size: row.get(1)?,
        received_at: row.get(2)?,
        system: row.get(3)?,
        keywords: row.get(4)?,
        prefix: row.get_ref(5)?.as_blob()?.into(),
        email: EmailId(row.get(6)?),
        thread: ThreadId(row.get(7)?),
    })
}

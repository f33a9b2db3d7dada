//! Figures the committer keeps in memory: read once, written once for each transaction that touched them.
//!
//! A delivery changes a mailbox's UIDNEXT, an account's modseq and a segment's length. A batch of a hundred deliveries
//! to one mailbox changes them a hundred times here and once in the database.
//!
//! ```text
//! get → change, change … ─keep→ (next commit of the batch) … ─save→ rows      ─drop_all→ (the transaction failed)
//!                         └undo→ as before this commit
//! ```
//!
//! Invariants: between transactions every figure here equals its row; numbers never go back, whatever fails.
//! Not here: what the figures mean (their callers).

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use rusqlite::{Connection, OptionalExtension, params};

use crate::names::{AccountId, MailboxId, ModSeq};
use crate::op::Flags;

/// How many figures of each sort are remembered between transactions.
const ROWS_MAX: usize = 20_000;

/// A row of figures that can be read and written by its key.
pub(crate) trait Figures: Copy {
    type Key: Copy + Eq + Hash;
    fn load(conn: &Connection, key: Self::Key) -> rusqlite::Result<Option<Self>>;
    fn save(&self, conn: &Connection, key: Self::Key) -> rusqlite::Result<()>;
}

/// The figures of one table.
pub(crate) struct Sheet<F: Figures> {
    rows: HashMap<F::Key, F>,
    changed: HashSet<F::Key>,
    /// What stood here before the present commit, newest last; `None` was not here.
    before: Vec<(F::Key, Option<F>)>,
}

impl<F: Figures> Default for Sheet<F> {
    fn default() -> Self {
        Sheet { rows: HashMap::new(), changed: HashSet::new(), before: Vec::new() }
    }
}

impl<F: Figures> Sheet<F> {
    pub(crate) fn get(&mut self, conn: &Connection, key: F::Key) -> rusqlite::Result<Option<F>> {
        if let Some(row) = self.rows.get(&key) {
            return Ok(Some(*row));
        }
        let Some(row) = F::load(conn, key)? else { return Ok(None) };
        self.before.push((key, None));
        self.rows.insert(key, row);
        Ok(Some(row))
    }

    pub(crate) fn set(&mut self, key: F::Key, row: F) {
        let old = self.rows.insert(key, row);
        self.before.push((key, old));
        self.changed.insert(key);
    }

    /// The row is being deleted.
    pub(crate) fn remove(&mut self, key: F::Key) {
        if let Some(old) = self.rows.remove(&key) {
            self.before.push((key, Some(old)));
        }
    }

    fn keep(&mut self) {
        self.before.clear();
    }

    fn undo(&mut self) {
        while let Some((key, old)) = self.before.pop() {
            match old {
                Some(row) => self.rows.insert(key, row),
                None => self.rows.remove(&key),
            };
        }
    }

    fn save(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        for key in self.changed.drain() {
            if let Some(row) = self.rows.get(&key) {
                row.save(conn, key)?;
            }
        }
        if self.rows.len() > ROWS_MAX {
            self.rows.clear();
        }
        Ok(())
    }

    fn drop_all(&mut self) {
        *self = Sheet::default();
    }
}

/// An account's totals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AccountTotals {
    pub(crate) modseq: i64,
    pub(crate) messages: i64,
    pub(crate) octets: i64,
}

impl Figures for AccountTotals {
    type Key = AccountId;

    fn load(conn: &Connection, key: AccountId) -> rusqlite::Result<Option<Self>> {
        conn.prepare_cached("SELECT modseq, messages, octets FROM totals WHERE account = ?1")?
            .query_row(params![key.0], |row| {
                Ok(AccountTotals { modseq: row.get(0)?, messages: row.get(1)?, octets: row.get(2)? })
            })
            .optional()
    }

    fn save(&self, conn: &Connection, key: AccountId) -> rusqlite::Result<()> {
        conn.prepare_cached("UPDATE totals SET modseq = ?2, messages = ?3, octets = ?4 WHERE account = ?1")?
            .execute(params![key.0, self.modseq, self.messages, self.octets])?;
        Ok(())
    }
}

/// A mailbox's totals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MailboxTotals {
    pub(crate) account: AccountId,
    pub(crate) uidvalidity: u32,
    /// One more than a `u32` holds when the last UID is gone.
    pub(crate) uidnext: i64,
    pub(crate) modseq: i64,
    pub(crate) messages: i64,
    pub(crate) unseen: i64,
    pub(crate) deleted: i64,
    pub(crate) octets: i64,
}

impl MailboxTotals {
    /// A message with these flags and this size came in.
    pub(crate) fn add(&mut self, system: u32, size: i64) {
        self.messages += 1;
        self.octets += size;
        self.count(system, 1);
    }

    /// A message with these flags and this size is gone.
    pub(crate) fn take(&mut self, system: u32, size: i64) {
        self.messages -= 1;
        self.octets -= size;
        self.count(system, -1);
    }

    /// So many messages more have these flags.
    pub(crate) fn count(&mut self, system: u32, number: i64) {
        self.unseen += if system & Flags::SEEN == 0 { number } else { 0 };
        self.deleted += if system & Flags::DELETED != 0 { number } else { 0 };
    }
}

impl Figures for MailboxTotals {
    type Key = MailboxId;

    fn load(conn: &Connection, key: MailboxId) -> rusqlite::Result<Option<Self>> {
        conn.prepare_cached("SELECT account, uidnext, modseq, messages, unseen, deleted, octets, uidvalidity FROM mailboxes WHERE id = ?1")?
            .query_row(params![key.0], |row| {
                Ok(MailboxTotals {
                    account: AccountId(row.get(0)?),
                    uidnext: row.get(1)?,
                    modseq: row.get(2)?,
                    messages: row.get(3)?,
                    unseen: row.get(4)?,
                    deleted: row.get(5)?,
                    octets: row.get(6)?,
                    uidvalidity: row.get(7)?,
                })
            })
            .optional()
    }

    fn save(&self, conn: &Connection, key: MailboxId) -> rusqlite::Result<()> {
        conn.prepare_cached(
            "UPDATE mailboxes SET uidnext = ?2, modseq = ?3, messages = ?4, unseen = ?5, octets = ?6, deleted = ?7 \
             WHERE id = ?1",
        )?
        .execute(params![
            key.0,
            self.uidnext,
            self.modseq,
            self.messages,
            self.unseen,
            self.octets,
            self.deleted
        ])?;
        Ok(())
    }
}

/// How much of a segment is written, and how much of that is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentTotals {
    pub(crate) sealed: bool,
    pub(crate) committed_len: i64,
    pub(crate) live: i64,
}

impl Figures for SegmentTotals {
    type Key = i64;

    fn load(conn: &Connection, key: i64) -> rusqlite::Result<Option<Self>> {
        conn.prepare_cached("SELECT sealed, committed_len, live FROM segments WHERE id = ?1")?
            .query_row(params![key], |row| {
                Ok(SegmentTotals { sealed: row.get(0)?, committed_len: row.get(1)?, live: row.get(2)? })
            })
            .optional()
    }

    fn save(&self, conn: &Connection, key: i64) -> rusqlite::Result<()> {
        conn.prepare_cached(
            "INSERT INTO segments (id, sealed, committed_len, live) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (id) DO UPDATE SET sealed = excluded.sealed, committed_len = excluded.committed_len, \
             live = excluded.live",
        )?
        .execute(params![key, self.sealed, self.committed_len, self.live])?;
        Ok(())
    }
}

/// A number that only grows, and what the database says about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number {
    name: &'static str,
    next: i64,
    /// Below this everything counts as handed out after a restart.
    saved: i64,
    /// How many are set aside at once, so that the row is seldom written.
    stride: i64,
}

impl Number {
    fn load(conn: &Connection, name: &'static str, stride: i64) -> rusqlite::Result<Number> {
        let saved = conn
            .prepare_cached("SELECT next FROM counters WHERE name = ?1")?
            .query_row(params![name], |row| row.get(0))
            .optional()?
            .unwrap_or(1);
        Ok(Number { name, next: saved, saved, stride })
    }

    /// The next number, never to be seen again.
    pub(crate) fn take(&mut self) -> i64 {
        self.next += 1;
        self.next - 1
    }

    /// The next number, but not below `floor`.
    pub(crate) fn take_from(&mut self, floor: i64) -> i64 {
        self.next = self.next.max(floor);
        self.take()
    }

    /// This number was handed out elsewhere.
    pub(crate) fn seen(&mut self, number: i64) {
        self.next = self.next.max(number + 1);
    }

    pub(crate) fn peek(&self) -> i64 {
        self.next
    }

    /// Gives numbers once more that were given before a crash, from this one on. Gives what would have been the next.
    pub(crate) fn repeat_from(&mut self, number: i64) -> i64 {
        std::mem::replace(&mut self.next, number)
    }

    /// Writes the row where it must be; returns what to remember once the transaction has committed.
    fn save(&self, conn: &Connection) -> rusqlite::Result<i64> {
        if self.next <= self.saved {
            return Ok(self.saved);
        }
        let mark = self.next + self.stride - 1;
        conn.prepare_cached(
            "INSERT INTO counters (name, next) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET next = excluded.next",
        )?
        .execute(params![self.name, mark])?;
        Ok(mark)
    }
}

/// Numbers that are used with every message are set aside in this many at once.
const STRIDE: i64 = 1000;

/// Everything that is kept in memory.
pub(crate) struct Ledger {
    pub(crate) accounts: Sheet<AccountTotals>,
    pub(crate) mailboxes: Sheet<MailboxTotals>,
    pub(crate) segments: Sheet<SegmentTotals>,
    /// Where each account's mail arrives.
    pub(crate) inboxes: HashMap<AccountId, MailboxId>,
    pub(crate) account: Number,
    pub(crate) mailbox: Number,
    pub(crate) uidvalidity: Number,
    pub(crate) email: Number,
    pub(crate) mail: Number,
    pub(crate) recipient: Number,
    pub(crate) body: Number,
    pub(crate) segment: Number,
}

impl Ledger {
    pub(crate) fn load(conn: &Connection) -> rusqlite::Result<Ledger> {
        Ok(Ledger {
            accounts: Sheet::default(),
            mailboxes: Sheet::default(),
            segments: Sheet::default(),
            inboxes: HashMap::new(),
            account: Number::load(conn, "account", 1)?,
            mailbox: Number::load(conn, "mailbox", 1)?,
            uidvalidity: Number::load(conn, "uidvalidity", 1)?,
            email: Number::load(conn, "email", STRIDE)?,
            mail: Number::load(conn, "mail", STRIDE)?,
            recipient: Number::load(conn, "recipient", STRIDE)?,
            body: Number::load(conn, "body", STRIDE)?,
            segment: Number::load(conn, "segment", 1)?,
        })
    }

    /// The next modseq of an account, entered into its totals and those of the mailbox.
    pub(crate) fn next_modseq(totals: &mut AccountTotals, mailbox: &mut MailboxTotals) -> ModSeq {
        totals.modseq += 1;
        mailbox.modseq = totals.modseq;
        ModSeq(totals.modseq)
    }

    /// The present commit stands.
    pub(crate) fn keep(&mut self) {
        self.accounts.keep();
        self.mailboxes.keep();
        self.segments.keep();
    }

    /// The present commit did not happen.
    pub(crate) fn undo(&mut self) {
        self.accounts.undo();
        self.mailboxes.undo();
        self.segments.undo();
        self.inboxes.clear();
    }

    /// Writes what has changed. The marks become valid by [`marked`](Self::marked), after the transaction's end.
    pub(crate) fn save(&mut self, conn: &Connection) -> rusqlite::Result<Marks> {
        self.accounts.save(conn)?;
        self.mailboxes.save(conn)?;
        self.segments.save(conn)?;
        let mut marks = Marks([0; 8]);
        for (mark, number) in marks.0.iter_mut().zip(self.numbers()) {
            *mark = number.save(conn)?;
        }
        if self.inboxes.len() > ROWS_MAX {
            self.inboxes.clear();
        }
        Ok(marks)
    }

    /// The transaction that wrote these marks has committed.
    pub(crate) fn marked(&mut self, marks: Marks) {
        for (number, mark) in self.numbers().into_iter().zip(marks.0) {
            number.saved = mark;
        }
    }

    /// The transaction failed: what is here may differ from the rows. Numbers stay, they never go back.
    pub(crate) fn drop_all(&mut self) {
        self.accounts.drop_all();
        self.mailboxes.drop_all();
        self.segments.drop_all();
        self.inboxes.clear();
    }

    fn numbers(&mut self) -> [&mut Number; 8] {
        [
            &mut self.account,
            &mut self.mailbox,
            &mut self.uidvalidity,
            &mut self.email,
            &mut self.mail,
            &mut self.recipient,
            &mut self.body,
            &mut self.segment,
        ]
    }
}

/// What the rows of the counters say after the present transaction.
pub(crate) struct Marks([i64; 8]);

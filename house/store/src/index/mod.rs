//! The index: a SQLite database of everything that is small, and the one connection that writes it.
//!
//! ```text
//! BEGIN → commit, commit, commit … │ commit, commit … │ … → figures → COMMIT, synced where the writer says so
//!            └refused → undone alone                   └any failure → ROLLBACK, and what the journal has is entered again
//! ```
//!
//! A transaction stays open over several groups of deliveries: their rows share pages, and each page is written once.
//!
//! A commit that is refused must leave nothing behind. Every order checks before it changes, so a commit of one order
//! needs nothing more; placements and queueing are checked together beforehand; only other commits of several orders
//! pay for a savepoint.
//!
//! Invariants: one thread writes and checkpoints; a row that is committed never points at octets that are not synced (the writer
//! syncs them before); a figure in memory equals its row between transactions.
//! Not here: reading for others (read, queue), octets (segment).

mod accounts;
mod flags;
mod ledger;
mod mail;
mod mailboxes;
mod moving;
mod rebuilding;
mod replay;
mod spool;
mod states;
mod threads;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};

use crate::Shared;
use crate::disk::{Disk, DiskFile, Moment, is_full};
use crate::error::{CommitError, OpenError};
use crate::essence::Essence;
use crate::feed::Change;
use crate::journal::Numbers;
use crate::names::{BodyId, MailboxId, RecipientId};
use crate::op::{Committed, Op, Outcome};
use crate::privacy;
use crate::writer::{SegmentNote, Work, Written};

pub(crate) use accounts::INBOX;
use ledger::{Ledger, SegmentTotals};
use mail::Doomed;
use states::Tails;

/// The database's page. Small rows and many small transactions: a larger page only makes the log larger.
const PAGE_OCTETS: u32 = 4096;

/// What the writing connection may cache, in KiB.
const WRITER_CACHE_KIB: i64 = 8 * 1024;

/// What each reading connection may cache, in KiB.
const READER_CACHE_KIB: i64 = 1024;

/// How long to wait for a lock: between our own connections only recovery holds one, but somebody may look into the
/// database with a tool of his own.
const PATIENCE: Duration = Duration::from_secs(10);

/// Prepared statements kept by each connection: more than there are.
const STATEMENTS_KEPT: usize = 160;

/// With this much in the log, pages are brought home when nobody waits.
const LOG_TIDY_OCTETS: i64 = 4 * 1024 * 1024;

/// With this much in the log, pages are brought home whoever waits; the log is reused from its start afterwards.
const LOG_FULL_OCTETS: i64 = 16 * 1024 * 1024;

/// The log's name beside the database.
const LOG: &str = "store.db-wal";

/// A log that grew beyond this (a reader stood in the way) is cut back.
const LOG_KEPT_OCTETS: i64 = 64 * 1024 * 1024;

/// Opens the database for writing, and brings it to the present format.
pub(crate) fn open_for_writing(path: &Path, disk: &dyn Disk) -> Result<Connection, OpenError> {
    privacy::make_file(path).map_err(OpenError::io(path))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = Connection::open_with_flags(path, flags)?;
    keep_statements(&conn)?;
    conn.busy_timeout(PATIENCE)?;
    conn.pragma_update(None, "page_size", PAGE_OCTETS)?;
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // Checkpoints sync; commits that must be durable are synced by `Index::commit`, and others need not be.
    conn.pragma_update(None, "synchronous", if disk.syncs_index() { "NORMAL" } else { "OFF" })?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "cell_size_check", true)?;
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    conn.pragma_update_and_check(None, "mmap_size", 0, |_| Ok(()))?;
    conn.pragma_update_and_check(None, "journal_size_limit", LOG_KEPT_OCTETS, |_| Ok(()))?;
    conn.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    crate::migrate::migrate(&mut conn, path)?;
    Ok(conn)
}

/// Opens the database for reading, beside a writer.
pub(crate) fn open_for_reading(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    keep_statements(&conn)?;
    conn.busy_timeout(PATIENCE)?;
    conn.pragma_update(None, "cell_size_check", true)?;
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    conn.pragma_update_and_check(None, "mmap_size", 0, |_| Ok(()))?;
    Ok(conn)
}

/// Each statement is prepared once.
fn keep_statements(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    // Otherwise SQLite looks whether another value asks for another plan, and prepares most statements again each time they are used.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Why an order was not carried out.
pub(super) enum Trouble {
    /// This commit cannot be; the others can.
    Refused(CommitError),
    /// The database failed.
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Trouble::Database(error)
    }
}

impl From<CommitError> for Trouble {
    fn from(error: CommitError) -> Self {
        Trouble::Refused(error)
    }
}

/// Why a whole transaction did not happen.
pub(crate) enum Failure {
    /// There is no room: nothing was written, try later.
    Full,
    /// Something in this transaction cannot be written; others may be.
    Spoiled(String),
    /// The database can no longer be trusted to keep what it is given.
    Broken(String),
}

/// What a commit did, to be told once it is durable.
#[derive(Default)]
pub(crate) struct Done {
    pub(crate) committed: Committed,
    pub(crate) changes: Vec<Change>,
    /// Recipients whose attempt has ended.
    pub(crate) released: Vec<RecipientId>,
    /// Segments that no row points at any more.
    pub(crate) emptied: Vec<i64>,
    /// Mailboxes that are gone.
    pub(crate) removed: Vec<MailboxId>,
}

/// The writing side of the index. Lives on one thread.
pub(crate) struct Index {
    conn: Connection,
    shared: Arc<Shared>,
    ledger: Ledger,
    tails: Tails,
    /// The present moment of the transaction, Unix seconds.
    moment: i64,
    log: DiskFile,
}

/// Where the writer continues.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resume {
    pub(crate) next_body: i64,
    pub(crate) next_segment: i64,
    /// The segment that is not sealed, and its length.
    pub(crate) open_segment: Option<(i64, u64)>,
}

/// A segment as the index knows it. Lengths in octets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SegmentRow {
    pub(crate) segment: i64,
    pub(crate) sealed: bool,
    pub(crate) committed_len: u64,
    pub(crate) live: u64,
}

impl SegmentRow {
    /// Whether copying what is left frees more than it writes.
    pub(crate) fn is_mostly_dead(&self) -> bool {
        self.live * 2 < self.committed_len
    }
}

/// All segments, by number.
pub(crate) fn segments(conn: &Connection) -> rusqlite::Result<Vec<SegmentRow>> {
    let mut select = conn.prepare_cached("SELECT id, sealed, committed_len, live FROM segments ORDER BY id")?;
    let rows = select.query_map([], |row| {
        Ok(SegmentRow {
            segment: row.get(0)?,
            sealed: row.get(1)?,
            committed_len: row.get::<_, i64>(2)?.max(0).unsigned_abs(),
            live: row.get::<_, i64>(3)?.max(0).unsigned_abs(),
        })
    })?;
    rows.collect()
}

/// The segment that is not sealed, and its length.
fn open_segment(conn: &Connection) -> rusqlite::Result<Option<(i64, u64)>> {
    conn.prepare_cached("SELECT id, committed_len FROM segments WHERE sealed = 0 ORDER BY id DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))
        .optional()
}

pub(crate) fn has_segment(conn: &Connection, segment: i64) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT 1 FROM segments WHERE id = ?1")?.exists(params![segment])
}

/// The number that the next segment would have.
pub(crate) fn next_segment(conn: &Connection) -> rusqlite::Result<i64> {
    conn.prepare_cached("SELECT next FROM counters WHERE name = 'segment'")?.query_row([], |row| row.get(0))
}

/// Whether anybody keeps mail here.
pub(crate) fn has_accounts(conn: &Connection) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT 1 FROM accounts LIMIT 1")?.exists([])
}

impl Index {
    pub(crate) fn new(conn: Connection, shared: Arc<Shared>) -> Result<Index, OpenError> {
        let ledger = Ledger::load(&conn)?;
        let path = shared.dir.join(LOG);
        let log = shared.disk.open(&path).map_err(OpenError::io(path))?;
        Ok(Index { conn, shared, ledger, tails: Tails::default(), moment: 0, log })
    }

    /// Where the writer continues.
    pub(crate) fn resume(&self) -> Result<Resume, OpenError> {
        let open_segment = open_segment(&self.conn)?;
        Ok(Resume { next_body: self.ledger.body.peek(), next_segment: self.ledger.segment.peek(), open_segment })
    }

    /// Begins a transaction where none is under way, and a moment of it, which is returned.
    pub(crate) fn begin(&mut self) -> Result<i64, Failure> {
        if !self.is_under_way() {
            self.run("BEGIN IMMEDIATE")?;
        }
        self.moment = self.shared.now();
        Ok(self.moment)
    }

    /// Whether a transaction is under way.
    pub(crate) fn is_under_way(&self) -> bool {
        !self.conn.is_autocommit()
    }

    /// Commits the transaction; `is_durable`: all of it, and everything before it, is on disk afterwards. The open segment's rows reach as
    /// far as [`reach`](Self::reach) said last.
    pub(crate) fn commit(&mut self, is_durable: bool) -> Result<(), Failure> {
        self.tails.save(&self.conn)?;
        let marks = self.ledger.save(&self.conn)?;
        self.reached(Moment::RowsWritten)?;
        self.run("COMMIT")?;
        self.ledger.marked(marks);
        // From here on a failure cannot undo anything: it is unknown to the caller, and known to the next opening.
        if is_durable {
            let synced = self.shared.disk.sync_index(&self.log);
            synced.map_err(|error| Failure::Broken(format!("a sync of its log failed: {error}")))?;
        }
        self.reached(Moment::Committed).map_err(|_| Failure::Broken("it stopped after a commit".into()))
    }

    /// Takes everything back that is not committed.
    pub(crate) fn roll_back(&mut self) -> Result<(), Failure> {
        self.ledger.drop_all();
        self.tails.clear();
        if self.is_under_way() && self.run("ROLLBACK").is_err() {
            return Err(Failure::Broken("a failed transaction could not be undone".into()));
        }
        Ok(())
    }

    /// What the next delivery begins to number with.
    pub(crate) fn numbers(&self) -> Numbers {
        let Ledger { email, mail, recipient, .. } = &self.ledger;
        Numbers { email: email.peek(), mail: mail.peek(), recipient: recipient.peek() }
    }

    /// The open segment is needed up to here.
    pub(crate) fn reach(&mut self, segment: i64, committed_len: u64) -> Result<(), Failure> {
        self.note(SegmentNote { segment, committed_len, sealed: false })
    }

    /// Takes note of what was done to a segment.
    pub(crate) fn note(&mut self, note: SegmentNote) -> Result<(), Failure> {
        let row = self.ledger.segments.get(&self.conn, note.segment)?;
        let mut row = row.unwrap_or(SegmentTotals { sealed: false, committed_len: 0, live: 0 });
        row.sealed |= note.sealed;
        row.committed_len = row.committed_len.max(note.committed_len as i64);
        self.ledger.segments.set(note.segment, row);
        self.ledger.segment.seen(note.segment);
        self.ledger.keep();
        Ok(())
    }

    /// Brings pages home from the log where that is due. `idle`: nobody is waiting.
    pub(crate) fn tidy_log(&mut self, idle: bool) -> Result<(), Failure> {
        let waiting = self.checkpoint("PRAGMA wal_checkpoint(NOOP)")?;
        let limit = if idle { LOG_TIDY_OCTETS } else { LOG_FULL_OCTETS };
        if waiting * i64::from(PAGE_OCTETS) < limit {
            return Ok(());
        }
        match self.checkpoint("PRAGMA wal_checkpoint(PASSIVE)") {
            // The log stays as it is, and there may be room later.
            Ok(_) | Err(Failure::Full) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Brings everything home, for a quick start next time.
    pub(crate) fn close(self) -> Result<(), Failure> {
        self.checkpoint("PRAGMA wal_checkpoint(PASSIVE)")?;
        Ok(())
    }

    /// The store has failed: leave the files as they are.
    pub(crate) fn abandon(self) {
        let _ = self.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    }

    /// How many pages of the log are not home yet.
    fn checkpoint(&self, pragma: &str) -> Result<i64, Failure> {
        let mut checkpoint = self.conn.prepare_cached(pragma)?;
        let (logged, home): (i64, i64) = checkpoint.query_row([], |row| Ok((row.get(1)?, row.get(2)?)))?;
        Ok((logged - home).max(0))
    }

    pub(crate) fn reached(&self, moment: Moment) -> Result<(), Failure> {
        self.shared.disk.reached(moment).map_err(|error| match is_full(&error) {
            true => Failure::Full,
            false => Failure::Broken(error.to_string()),
        })
    }

    fn run(&self, sql: &str) -> rusqlite::Result<()> {
        self.conn.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    /// One commit: done entirely, or refused and as if it had never been.
    pub(crate) fn carry_out(&mut self, work: &Work, written: &[Written]) -> Result<Result<Done, CommitError>, Failure> {
        for written in written {
            self.ledger.body.seen(written.span.body.0);
        }
        let with_savepoint = needs_savepoint(work);
        if with_savepoint {
            self.tails.save(&self.conn)?;
            self.run("SAVEPOINT one")?;
        }
        let result = match work {
            Work::Ops { ops, essences } => self.apply_all(ops, essences, written),
            Work::Outline { body, outline } => self.enter_outline(*body, outline),
            Work::Move { body, source } => self.move_body(*body, *source, written.first()),
            Work::Discard { segment } => self.discard_segment(*segment),
        };
        match result {
            Ok(done) => {
                if with_savepoint {
                    self.run("RELEASE one")?;
                }
                self.ledger.keep();
                Ok(Ok(done))
            }
            Err(Trouble::Refused(error)) => {
                if with_savepoint {
                    self.run("ROLLBACK TO one")?;
                    self.run("RELEASE one")?;
                    self.tails.clear();
                }
                self.ledger.undo();
                Ok(Err(error))
            }
            Err(Trouble::Database(error)) => Err(error.into()),
        }
    }

    fn apply_all(&mut self, ops: &[Op], essences: &[Essence], written: &[Written]) -> Result<Done, Trouble> {
        self.check_placements(ops)?;
        let mut done = Done::default();
        let mut refs = vec![0; written.len()];
        for op in ops {
            let outcome = self.apply(op, essences, written, &mut done)?;
            match op {
                Op::Place { body, .. } => refs[*body] += 1,
                Op::Enqueue(_) => refs[0] += 1,
                _ => {}
            }
            done.committed.outcomes.push(outcome);
        }
        for ((written, essence), refs) in written.iter().zip(essences).zip(refs) {
            self.enter_body(written, essence.outline.as_deref(), refs)?;
        }
        Ok(done)
    }

    fn apply(
        &mut self,
        op: &Op,
        essences: &[Essence],
        written: &[Written],
        done: &mut Done,
    ) -> Result<Outcome, Trouble> {
        match op {
            Op::CreateAccount { name, record } => self.create_account(name, record, done),
            Op::UpdateAccount { account, name, record } => self.update_account(*account, name, record, done),
            Op::RemoveAccount { account } => self.remove_account(*account, done),
            Op::PutEntry { kind, key, value } => self.put_entry(kind, key, value, done),
            Op::RemoveEntry { kind, key } => self.remove_entry(kind, key, done),
            Op::CreateMailbox { account, name, special_use } => self.create_mailbox(*account, name, special_use, done),
            Op::DeleteMailbox { account, mailbox } => self.delete_mailbox(*account, mailbox, done),
            Op::RenameMailbox { account, source, target } => self.rename_mailbox(*account, source, target, done),
            Op::SetSpecialUse { account, mailbox, special_use } => {
                self.set_special_use(*account, mailbox, special_use, done)
            }
            Op::Subscribe { account, name } => self.subscribe(*account, name, done),
            Op::Unsubscribe { account, name } => self.unsubscribe(*account, name, done),
            Op::SetMetadata { account, mailbox, entries } => {
                self.set_metadata(*account, mailbox.as_ref(), entries, done)
            }
            Op::SetRights { account, mailbox, who, rights } => self.set_rights(*account, mailbox, who, rights, done),
            Op::SetFlags { account, mailbox, uids, change, unchanged_since } => {
                self.set_flags(*account, mailbox, uids, change, *unchanged_since, done)
            }
            Op::Copy { account, source, uids, owner, target, kept } => {
                let target = self.room_for(*owner, target, uids.len())?;
                let rows = self.copied(*account, source, uids, *kept)?;
                self.put_all(*owner, target, &rows, None, done)
            }
            Op::Move { account, source, uids, target } => self.move_messages(*account, source, uids, target, done),
            Op::ExpungeDeleted { account, mailbox, uids } => {
                self.expunge(*account, mailbox, uids, Doomed::DeletedOnly, done)
            }
            Op::Place { account, mailbox, body, prefix, received_at, flags } => {
                let (written, essence) = written.get(*body).zip(essences.get(*body)).ok_or(NO_BODY)?;
                let arriving = mail::Arriving { written, essence, prefix, received_at: *received_at, flags };
                self.place(*account, mailbox, &arriving, done)
            }
            Op::Expunge { account, mailbox, uids } => self.expunge(*account, mailbox, uids, Doomed::All, done),
            Op::Enqueue(mail) => self.enqueue(mail, written.first().ok_or(NO_BODY)?, done),
            Op::QueueDelivered { recipient } | Op::QueueFailed { recipient } => self.dequeue(*recipient, done),
            Op::QueueDeferred { recipient, at, next_attempt, host, reason, warned } => {
                let attempt = spool::Deferral { at: *at, host: host.as_deref(), reason, warned: *warned };
                self.defer(*recipient, *next_attempt, &attempt, done)
            }
            Op::QueueHold { scope } => self.hold(scope, true, done),
            Op::QueueRelease { scope } => self.hold(scope, false, done),
            Op::QueueRetryNow { scope, now } => self.retry_now(scope, *now, done),
            Op::QueueDrop { scope } => self.drop_queued(scope, done),
        }
    }

    /// Enters a body that `refs` rows point at; a record nobody wants stays dead.
    fn enter_body(&mut self, written: &Written, outline: Option<&[u8]>, refs: i64) -> Result<(), Trouble> {
        let span = &written.span;
        if written.is_alone {
            // Its segment becomes known by this commit: a large message that is refused leaves no row behind.
            let row = SegmentTotals { sealed: true, committed_len: written.segment_len as i64, live: 0 };
            self.ledger.segments.set(span.segment, row);
            self.ledger.segment.seen(span.segment);
        }
        self.conn
            .prepare_cached(
                "INSERT INTO bodies (id, segment, offset, length, record, refs, outline) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                span.body.0,
                span.segment,
                span.offset as i64,
                span.length as i64,
                written.record_len as i64,
                refs,
                outline
            ])?;
        self.add_live(span.segment, written.record_len as i64)?;
        Ok(())
    }

    /// One row less points at the body. The last one frees it, and with it perhaps its segment.
    fn release_body(&mut self, body: BodyId, count: i64, done: &mut Done) -> Result<(), Trouble> {
        let (refs, segment, record): (i64, i64, i64) = self
            .conn
            .prepare_cached("UPDATE bodies SET refs = refs - ?2 WHERE id = ?1 RETURNING refs, segment, record")?
            .query_row(params![body.0, count], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        if refs > 0 {
            return Ok(());
        }
        self.conn.prepare_cached("DELETE FROM bodies WHERE id = ?1")?.execute(params![body.0])?;
        self.take_live(segment, record, done)
    }

    fn add_live(&mut self, segment: i64, octets: i64) -> Result<(), Trouble> {
        if let Some(mut row) = self.ledger.segments.get(&self.conn, segment)? {
            row.live += octets;
            self.ledger.segments.set(segment, row);
        }
        Ok(())
    }

    fn take_live(&mut self, segment: i64, octets: i64, done: &mut Done) -> Result<(), Trouble> {
        let Some(mut row) = self.ledger.segments.get(&self.conn, segment)? else { return Ok(()) };
        row.live -= octets;
        if row.sealed && row.live <= 0 {
            self.ledger.segments.remove(segment);
            self.conn.prepare_cached("DELETE FROM segments WHERE id = ?1")?.execute(params![segment])?;
            done.emptied.push(segment);
        } else {
            self.ledger.segments.set(segment, row);
        }
        Ok(())
    }

    /// Compaction has copied a record: from now on the copy counts, if anybody still wants it.
    fn move_body(&mut self, body: BodyId, source: i64, written: Option<&Written>) -> Result<Done, Trouble> {
        let mut done = Done::default();
        let Some(written) = written else { return Ok(done) };
        let moved = self
            .conn
            .prepare_cached("UPDATE bodies SET segment = ?3, offset = ?4 WHERE id = ?1 AND segment = ?2")?
            .execute(params![body.0, source, written.span.segment, written.span.offset as i64])?;
        if moved > 0 {
            self.add_live(written.span.segment, written.record_len as i64)?;
            self.take_live(source, written.record_len as i64, &mut done)?;
        }
        done.committed.outcomes.push(Outcome::Changed(moved));
        Ok(done)
    }

    /// An outline was made of a body that had none, if it is still there.
    fn enter_outline(&mut self, body: BodyId, outline: &[u8]) -> Result<Done, Trouble> {
        let entered = self
            .conn
            .prepare_cached("UPDATE bodies SET outline = ?2 WHERE id = ?1")?
            .execute(params![body.0, outline])?;
        let mut done = Done::default();
        done.committed.outcomes.push(Outcome::Changed(entered));
        Ok(done)
    }

    /// A segment whose last message went before it was sealed.
    fn discard_segment(&mut self, segment: i64) -> Result<Done, Trouble> {
        let mut done = Done::default();
        self.take_live(segment, 0, &mut done)?;
        done.committed.outcomes.push(Outcome::Changed(done.emptied.len()));
        Ok(done)
    }
}

const NO_BODY: CommitError = CommitError::Malformed("a placement or a queued mail needs a message");

/// Whether a commit could be refused after it has changed something. Placements and queueing are checked together
/// before the first of them changes anything, and one order alone checks itself.
fn needs_savepoint(work: &Work) -> bool {
    match work {
        Work::Ops { ops, .. } => ops.len() > 1 && !ops.iter().all(|op| matches!(op, Op::Place { .. } | Op::Enqueue(_))),
        Work::Move { .. } | Work::Discard { .. } | Work::Outline { .. } => false,
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Failure::Full,
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly,
            ) => Failure::Broken(error.to_string()),
            _ => Failure::Spoiled(error.to_string()),
        }
    }
}

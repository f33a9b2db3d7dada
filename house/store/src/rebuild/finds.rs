//! What was found in segments, on disk: as many messages as there are fit into no memory, and reading them takes long.
//!
//! Invariants: a segment is entered with everything that was found in it, or not; a message is there once, however many copies
//! compacting has left.
//! Not here: how a segment is read (scan), where messages go (enter).

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use super::scan::{Message, Scanned};
use crate::error::OpenError;
use crate::essence::Essence;
use crate::journal::Told;
use crate::names::{AccountId, BodyId};
use crate::op::{MailboxRef, Op};
use crate::privacy;
use crate::record::orders_of;
use crate::segment::Span;

/// The layout of the tables below; finds of another one are made anew.
const LAYOUT: i64 = 1;

const TABLES: &str = "
CREATE TABLE scanned (
    segment  INTEGER PRIMARY KEY,
    octets   INTEGER NOT NULL,
    changed  INTEGER NOT NULL,
    reach    INTEGER NOT NULL,
    is_alone INTEGER NOT NULL
) STRICT;
CREATE TABLE found (
    body      INTEGER PRIMARY KEY,
    segment   INTEGER NOT NULL,
    offset    INTEGER NOT NULL,
    length    INTEGER NOT NULL,
    record    INTEGER NOT NULL,
    crc       INTEGER NOT NULL,
    trailer   BLOB NOT NULL,
    told      TEXT,
    outline   BLOB,
    own       INTEGER,
    ancestors TEXT NOT NULL
) STRICT;
CREATE TABLE flaws (segment INTEGER NOT NULL, what TEXT NOT NULL) STRICT;
CREATE TABLE addresses (
    account  INTEGER NOT NULL,
    address  TEXT NOT NULL,
    messages INTEGER NOT NULL,
    PRIMARY KEY (account, address)
) STRICT, WITHOUT ROWID;
CREATE TABLE numbers (name TEXT PRIMARY KEY, highest INTEGER NOT NULL) STRICT;
";

/// The finds.
pub(super) struct Finds {
    conn: Connection,
}

/// A segment's file as it was when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stand {
    pub(super) segment: i64,
    pub(super) octets: u64,
    changed: i64,
}

impl Stand {
    pub(super) fn of(segment: i64, metadata: &Metadata) -> Stand {
        let changed = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
        Stand { segment, octets: metadata.len(), changed }
    }
}

/// A segment as the new index is to know it.
pub(super) struct Extent {
    pub(super) segment: i64,
    pub(super) octets: u64,
    pub(super) reach: u64,
    pub(super) is_alone: bool,
}

/// A message that was found.
pub(super) struct Found {
    pub(super) span: Span,
    pub(super) record_len: u64,
    pub(super) trailer: Vec<u8>,
    pub(super) told: Option<Told>,
    pub(super) essence: Essence,
}

impl Finds {
    pub(super) fn open(beside: &Path) -> Result<Finds, OpenError> {
        let path = beside.join("found.db");
        privacy::make_file(&path).map_err(OpenError::io(&path))?;
        let conn = Connection::open(path)?;
        conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        let layout: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if layout != LAYOUT {
            let names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
            let tables: Vec<String> =
                conn.prepare(names)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            for table in tables {
                conn.execute_batch(&format!("DROP TABLE \"{table}\""))?;
            }
            conn.execute_batch(TABLES)?;
            conn.pragma_update(None, "user_version", LAYOUT)?;
        }
        Ok(Finds { conn })
    }

    /// Begins anew where a segment that was read is another one by now, or gone.
    pub(super) fn forget_unless_among(&self, stands: &[Stand]) -> Result<(), OpenError> {
        let mut select = self.conn.prepare("SELECT segment, octets, changed FROM scanned")?;
        let read = select.query_map([], |row| {
            Ok(Stand { segment: row.get(0)?, octets: row.get::<_, i64>(1)?.unsigned_abs(), changed: row.get(2)? })
        })?;
        let read = read.collect::<Result<Vec<_>, _>>()?;
        if !read.iter().all(|stand| stands.contains(stand)) {
            self.conn.execute_batch(
                "BEGIN; DELETE FROM scanned; DELETE FROM found; DELETE FROM flaws; DELETE FROM addresses; \
                 DELETE FROM numbers; COMMIT",
            )?;
        }
        Ok(())
    }

    /// Whether a segment has been read.
    pub(super) fn has(&self, stand: &Stand) -> Result<bool, OpenError> {
        Ok(self.conn.prepare_cached("SELECT 1 FROM scanned WHERE segment = ?1")?.exists(params![stand.segment])?)
    }

    pub(super) fn enter(&mut self, stand: &Stand, scanned: Scanned) -> Result<(), OpenError> {
        let transaction = self.conn.transaction()?;
        for what in &scanned.flaws {
            enter_flaw(&transaction, stand.segment, what)?;
        }
        for message in &scanned.messages {
            enter_message(&transaction, message)?;
            let ops = orders_of(&message.trailer);
            let told = message.told.clone().map(Told::into_ops).unwrap_or_default();
            for op in ops.iter().chain(&told) {
                note_names(&transaction, op)?;
            }
            raise(&transaction, "body", message.span.body.0)?;
        }
        raise(&transaction, "segment", stand.segment)?;
        transaction.execute(
            "INSERT INTO scanned (segment, octets, changed, reach, is_alone) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![stand.segment, stand.octets as i64, stand.changed, scanned.reach as i64, scanned.is_alone],
        )?;
        Ok(transaction.commit()?)
    }

    /// How many messages were found.
    pub(super) fn count(&self) -> Result<u64, OpenError> {
        let count = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        Ok(self.conn.prepare_cached("SELECT count(*) FROM found")?.query_row([], count)?.unsigned_abs())
    }

    /// Damage: in which segment, and in a sentence.
    pub(super) fn flaws(&self) -> Result<Vec<(i64, String)>, OpenError> {
        let mut select = self.conn.prepare("SELECT segment, what FROM flaws ORDER BY rowid LIMIT ?1")?;
        let rows = select.query_map(params![crate::PROBLEMS_MAX as i64], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The highest number of its sort that was met; 0 if there was none.
    pub(super) fn highest(&self, name: &str) -> Result<i64, OpenError> {
        let mut select = self.conn.prepare_cached("SELECT highest FROM numbers WHERE name = ?1")?;
        Ok(select.query_row(params![name], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    /// The addresses by which an account got mail, the most frequent first.
    pub(super) fn addresses(&self, account: AccountId) -> Result<Vec<String>, OpenError> {
        let mut select = self.conn.prepare_cached(
            "SELECT address FROM addresses WHERE account = ?1 ORDER BY messages DESC, address LIMIT 20",
        )?;
        let rows = select.query_map(params![account.0], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(super) fn extents(&self) -> Result<Vec<Extent>, OpenError> {
        let mut select = self.conn.prepare("SELECT segment, octets, reach, is_alone FROM scanned ORDER BY segment")?;
        let rows = select.query_map([], |row| {
            let octets = |column| Ok::<_, rusqlite::Error>(row.get::<_, i64>(column)?.unsigned_abs());
            Ok(Extent { segment: row.get(0)?, octets: octets(1)?, reach: octets(2)?, is_alone: row.get(3)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The next messages with higher numbers than that, in the order in which they came.
    pub(super) fn next(&self, after: i64, max: usize) -> Result<Vec<Found>, OpenError> {
        let mut select = self.conn.prepare_cached(
            "SELECT body, segment, offset, length, record, trailer, told, outline, own, ancestors FROM found \
             WHERE body > ?1 ORDER BY body LIMIT ?2",
        )?;
        let rows = select.query_map(params![after, max as i64], |row| {
            let octets = |column| Ok::<_, rusqlite::Error>(row.get::<_, i64>(column)?.unsigned_abs());
            let told: Option<String> = row.get(6)?;
            let ancestors: String = row.get(9)?;
            Ok(Found {
                span: Span { body: BodyId(row.get(0)?), segment: row.get(1)?, offset: octets(2)?, length: octets(3)? },
                record_len: octets(4)?,
                trailer: row.get(5)?,
                told: told.and_then(|told| serde_json::from_str(&told).ok()),
                essence: Essence {
                    outline: row.get(7)?,
                    own: row.get(8)?,
                    ancestors: serde_json::from_str(&ancestors).unwrap_or_default(),
                },
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn enter_flaw(conn: &Connection, segment: i64, what: &str) -> rusqlite::Result<usize> {
    conn.prepare_cached("INSERT INTO flaws (segment, what) VALUES (?1, ?2)")?.execute(params![segment, what])
}

fn enter_message(conn: &Connection, message: &Message) -> rusqlite::Result<()> {
    let Message { span, record_len, crc, trailer, told, essence } = message;
    // Serialising numbers and what was read as JSON cannot fail.
    let told = told.as_ref().and_then(|told| serde_json::to_string(told).ok());
    let ancestors = serde_json::to_string(&essence.ancestors).unwrap_or_default();
    let entered = conn
        .prepare_cached(
            "INSERT OR IGNORE INTO found (body, segment, offset, length, record, crc, trailer, told, outline, own, ancestors) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            span.body.0,
            span.segment,
            span.offset as i64,
            span.length as i64,
            *record_len as i64,
            crc,
            trailer,
            told,
            essence.outline,
            essence.own,
            ancestors
        ])?;
    if entered == 0 {
        let is_copy = conn
            .prepare_cached("SELECT 1 FROM found WHERE body = ?1 AND length = ?2 AND crc = ?3")?
            .exists(params![span.body.0, span.length as i64, crc])?;
        if !is_copy {
            let (segment, position) = (span.segment, span.record_offset());
            let what = format!(
                "segment {segment}: message {} at {position} is left out: another one has its number",
                span.body
            );
            enter_flaw(conn, segment, &what)?;
        }
    }
    Ok(())
}

/// Takes note of numbers that must not be given again, and of addresses.
fn note_names(conn: &Connection, op: &Op) -> rusqlite::Result<()> {
    let Op::Place { account, mailbox, prefix, .. } = op else { return Ok(()) };
    raise(conn, "account", account.0)?;
    if let MailboxRef::Id(mailbox) = mailbox {
        raise(conn, "mailbox", mailbox.0)?;
    }
    if let Some(address) = delivered_to(prefix) {
        conn.prepare_cached(
            "INSERT INTO addresses (account, address, messages) VALUES (?1, ?2, 1) \
             ON CONFLICT (account, address) DO UPDATE SET messages = messages + 1",
        )?
        .execute(params![account.0, address])?;
    }
    Ok(())
}

fn raise(conn: &Connection, name: &str, number: i64) -> rusqlite::Result<usize> {
    conn.prepare_cached(
        "INSERT INTO numbers (name, highest) VALUES (?1, ?2) \
         ON CONFLICT (name) DO UPDATE SET highest = max(highest, excluded.highest)",
    )?
    .execute(params![name, number])
}

/// By which address a message came.
fn delivered_to(prefix: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(prefix).ok()?;
    let address = text.lines().find_map(|line| line.strip_prefix("Delivered-To: "))?.trim();
    address.contains('@').then_some(address)
}

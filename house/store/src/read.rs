//! Reading: who has an account, what is in a mailbox, and the octets of a message.
//!
//! A listing remembers where each body lies, so opening a message of a listing asks the index nothing. Octets come
//! from the segment by `pread`; what is in the page cache can be had without ever waiting.
//!
//! Everything here that is not said to be quick may block on the disk: call it from a thread that may.
//!
//! Invariants: a reader sees what was committed before it began; a message that was opened can be read to its end, also
//! when it is expunged or moved by compaction meanwhile.
//! Not here: who may read what (desks).

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, Row, params};

use crate::Shared;
use crate::draft::copy_from;
use crate::error::ReadError;
use crate::index::open_for_reading;
use crate::names::{AccountId, BodyId, MailId, MailboxId, ModSeq, Uid};
use crate::op::Flags;
use crate::segment::{SegmentFile, Span};

/// How many reading connections are kept when nobody uses them.
const READERS_KEPT: usize = 4;

/// How often a message is looked for again that compaction has just moved.
const MOVES_MAX: usize = 3;

/// Connections for reading.
#[derive(Debug)]
pub(crate) struct Readers {
    path: PathBuf,
    /// `None` once the store is closed.
    idle: Mutex<Option<Vec<Connection>>>,
}

impl Readers {
    pub(crate) fn new(path: PathBuf) -> Readers {
        Readers { path, idle: Mutex::new(Some(Vec::new())) }
    }

    pub(crate) fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T, ReadError>) -> Result<T, ReadError> {
        let idle = match &mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner) {
            None => return Err(ReadError::Closed),
            Some(idle) => idle.pop(),
        };
        let conn = match idle {
            Some(conn) => conn,
            None => open_for_reading(&self.path)?,
        };
        let result = read(&conn);
        if let Some(idle) = &mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner)
            && idle.len() < READERS_KEPT
        {
            idle.push(conn);
        }
        result
    }

    pub(crate) fn close(&self) {
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// An account as the directory left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRow {
    /// Its number.
    pub id: AccountId,
    /// Its name.
    pub name: String,
    /// Opaque here.
    pub record: String,
}

/// How much an account holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holding {
    /// In all mailboxes together.
    pub messages: u64,
    /// The sum of their sizes; a body that several placements share counts for each.
    pub octets: u64,
}

/// A mailbox and its figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxRow {
    /// Its number.
    pub id: MailboxId,
    /// Its name; `/` divides levels.
    pub name: String,
    /// What it is for (RFC 6154 §2), such as `\Sent`.
    pub special_use: Option<String>,
    /// With another value, UIDs mean other messages (RFC 9051 §2.3.1.1).
    pub uidvalidity: u32,
    /// The UID the next message will have.
    pub uidnext: u32,
    /// The number of its last change.
    pub modseq: ModSeq,
    /// How many messages it has.
    pub messages: u64,
    /// How many of them are not `\Seen`.
    pub unseen: u64,
    /// The sum of their sizes.
    pub octets: u64,
}

/// An inbox as a POP3 session sees it: a snapshot.
#[derive(Debug, Clone)]
pub struct Maildrop {
    /// The inbox.
    pub mailbox: MailboxId,
    /// Together with a UID it names a message for ever.
    pub uidvalidity: u32,
    /// By ascending UID.
    pub messages: Vec<Kept>,
}

/// A message in a mailbox, and where its octets are.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Its UID.
    pub uid: Uid,
    /// Octets of prefix, head and content together.
    pub size: u64,
    /// When it arrived, Unix seconds.
    pub received_at: i64,
    /// Its system flags.
    pub flags: Flags,
    prefix: Box<[u8]>,
    span: Span,
}

/// The octets of one message: prefix, head, content. Keeps its file open.
#[derive(Debug)]
pub struct MessageReader {
    prefix: Box<[u8]>,
    segment: Arc<SegmentFile>,
    span: Span,
}

impl MessageReader {
    /// Octets of the whole message. Quick.
    pub fn size(&self) -> u64 {
        self.prefix.len() as u64 + self.span.length
    }

    /// Reads from `offset` on as far as it can be had without waiting for the disk; `None` when nothing can.
    /// Quick; 0 at the end of the message only.
    pub fn read_cached(&self, offset: u64, buf: &mut [u8]) -> Option<usize> {
        let count = copy_from(&self.prefix, offset, buf);
        let rest = self.within_body(offset + count as u64, buf.len() - count);
        if rest == 0 {
            return Some(count);
        }
        let position = self.position(offset + count as u64);
        match self.segment.read_cached_at(&mut buf[count..count + rest], position) {
            Some(more) if count + more > 0 => Some(count + more),
            // A file that ends too early is an error, and errors are for `read` to tell.
            _ => (count > 0).then_some(count),
        }
    }

    /// Reads from `offset` on; 0 at the end of the message only. May block.
    pub fn read(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let count = copy_from(&self.prefix, offset, buf);
        let rest = self.within_body(offset + count as u64, buf.len() - count);
        if rest == 0 {
            return Ok(count);
        }
        let more = self.segment.read_at(&mut buf[count..count + rest], self.position(offset + count as u64))?;
        if count + more == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the segment ends before the message"));
        }
        Ok(count + more)
    }

    /// Reads the whole message and proves its checksum. May block; for messages known to be small.
    pub fn read_whole(&self) -> io::Result<Vec<u8>> {
        let mut octets = Vec::with_capacity(usize::try_from(self.size()).unwrap_or(0));
        octets.extend_from_slice(&self.prefix);
        octets.resize(octets.len() + usize::try_from(self.span.length).map_err(io::Error::other)?, 0);
        self.segment.read_exact_at(&mut octets[self.prefix.len()..], self.span.offset)?;
        let header = self.segment.header(&self.span)?;
        if crc32fast::hash(&octets[self.prefix.len()..]) != header.body_crc {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the message is damaged"));
        }
        Ok(octets)
    }

    fn within_body(&self, offset: u64, wanted: usize) -> usize {
        let left = self.size().saturating_sub(offset);
        usize::try_from(left).unwrap_or(usize::MAX).min(wanted)
    }

    fn position(&self, offset: u64) -> u64 {
        self.span.offset + offset - self.prefix.len() as u64
    }
}

pub(crate) fn accounts(conn: &Connection) -> Result<Vec<AccountRow>, ReadError> {
    let mut select = conn.prepare_cached("SELECT id, name, record FROM accounts ORDER BY id")?;
    let rows = select
        .query_map([], |row| Ok(AccountRow { id: AccountId(row.get(0)?), name: row.get(1)?, record: row.get(2)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn entries(conn: &Connection, kind: &str) -> Result<Vec<(String, String)>, ReadError> {
    let mut select = conn.prepare_cached("SELECT key, value FROM entries WHERE kind = ?1 ORDER BY key")?;
    let rows = select.query_map(params![kind], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn holding(conn: &Connection, account: AccountId) -> Result<Holding, ReadError> {
    let mut select = conn.prepare_cached("SELECT messages, octets FROM totals WHERE account = ?1")?;
    Ok(select.query_row(params![account.0], |row| Ok(Holding { messages: count(row, 0)?, octets: count(row, 1)? }))?)
}

pub(crate) fn mailboxes(conn: &Connection, account: AccountId) -> Result<Vec<MailboxRow>, ReadError> {
    let mut select = conn.prepare_cached(
        "SELECT id, name, special_use, uidvalidity, uidnext, modseq, messages, unseen, octets \
         FROM mailboxes WHERE account = ?1 ORDER BY id",
    )?;
    let rows = select.query_map(params![account.0], |row| {
        Ok(MailboxRow {
            id: MailboxId(row.get(0)?),
            name: row.get(1)?,
            special_use: row.get(2)?,
            uidvalidity: row.get(3)?,
            uidnext: row.get(4)?,
            modseq: ModSeq(row.get(5)?),
            messages: count(row, 6)?,
            unseen: count(row, 7)?,
            octets: count(row, 8)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn maildrop(conn: &Connection, account: AccountId) -> Result<Maildrop, ReadError> {
    // One transaction: the UIDVALIDITY and the messages of the same moment.
    let snapshot = conn.unchecked_transaction()?;
    let (mailbox, uidvalidity, messages): (i64, u32, u64) = snapshot
        .prepare_cached("SELECT id, uidvalidity, messages FROM mailboxes WHERE account = ?1 AND name = 'INBOX'")?
        .query_row(params![account.0], |row| Ok((row.get(0)?, row.get(1)?, count(row, 2)?)))?;
    let mut kept = Vec::with_capacity(usize::try_from(messages).unwrap_or(0));
    let sql = format!("{SELECT_KEPT} WHERE m.mailbox = ?1 ORDER BY m.uid");
    for row in snapshot.prepare_cached(&sql)?.query_map(params![mailbox], kept_row)? {
        kept.push(row?);
    }
    Ok(Maildrop { mailbox: MailboxId(mailbox), uidvalidity, messages: kept })
}

pub(crate) fn messages(conn: &Connection, mailbox: MailboxId, from: Uid, max: usize) -> Result<Vec<Kept>, ReadError> {
    let sql = format!("{SELECT_KEPT} WHERE m.mailbox = ?1 AND m.uid >= ?2 ORDER BY m.uid LIMIT ?3");
    let mut select = conn.prepare_cached(&sql)?;
    let limit = i64::try_from(max).unwrap_or(i64::MAX);
    let rows = select.query_map(params![mailbox.0, from.0, limit], kept_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

const SELECT_KEPT: &str = "SELECT m.uid, m.size, m.received_at, m.flags, m.keywords, m.prefix, \
     b.id, b.segment, b.offset, b.length FROM messages m JOIN bodies b ON b.id = m.body";

fn kept_row(row: &Row<'_>) -> rusqlite::Result<Kept> {
    let keywords: Option<String> = row.get(4)?;
    Ok(Kept {
        uid: Uid(row.get(0)?),
        size: count(row, 1)?,
        received_at: row.get(2)?,
        flags: Flags {
            system: row.get(3)?,
            keywords: keywords.iter().flat_map(|words| words.split(' ')).map(String::from).collect(),
        },
        prefix: row.get_ref(5)?.as_blob()?.into(),
        span: span(row, 6)?,
    })
}

fn span(row: &Row<'_>, first: usize) -> rusqlite::Result<Span> {
    Ok(Span {
        body: BodyId(row.get(first)?),
        segment: row.get(first + 1)?,
        offset: count(row, first + 2)?,
        length: count(row, first + 3)?,
    })
}

/// Counts and positions are kept as SQLite's signed integers and are never negative.
fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.max(0).unsigned_abs())
}

/// A reader for a message of a listing.
pub(crate) fn open_kept(shared: &Shared, kept: &Kept) -> Result<MessageReader, ReadError> {
    open_span(shared, kept.prefix.clone(), kept.span)
}

/// A reader for a mail in the queue.
pub(crate) fn open_mail(shared: &Shared, mail: MailId) -> Result<MessageReader, ReadError> {
    let span = shared.readers.with(|conn| {
        let mut select = conn.prepare_cached(
            "SELECT b.id, b.segment, b.offset, b.length FROM mails q JOIN bodies b ON b.id = q.body WHERE q.id = ?1",
        )?;
        Ok(select.query_row(params![mail.0], |row| span(row, 0))?)
    })?;
    open_span(shared, Box::default(), span)
}

fn open_span(shared: &Shared, prefix: Box<[u8]>, mut span: Span) -> Result<MessageReader, ReadError> {
    for _ in 0..MOVES_MAX {
        match shared.segments.open(span.segment) {
            Ok(segment) => return Ok(MessageReader { prefix, segment, span }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Expunged since, or copied to another segment by compaction: the index knows.
                let present = shared.readers.with(|conn| body_span(conn, span.body))?;
                if present == span {
                    return Err(error.into());
                }
                span = present;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(ReadError::NotFound)
}

pub(crate) fn body_span(conn: &Connection, body: BodyId) -> Result<Span, ReadError> {
    let mut select = conn.prepare_cached("SELECT id, segment, offset, length FROM bodies WHERE id = ?1")?;
    Ok(select.query_row(params![body.0], |row| span(row, 0))?)
}

//! Reading: who has an account, what is in a mailbox, and the octets of a message.
//!
//! A listing remembers where each body lies, so opening a message of a listing asks the index nothing. Octets come
//! from the segment by `pread`; what is in the page cache can be had without ever waiting.
//!
//! Everything here that is not said to be quick may block on the disk: call it from a thread that may.
//!
//! Invariants: a reader sees what was answered before it began; a message that was opened can be read to its end, also
//! when it is expunged or moved by compaction meanwhile.
//! Not here: who may read what (desks).

use std::cell::RefCell;
use std::io;
use std::ops::{ControlFlow, Range};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use message::outline::Outline;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::Shared;
use crate::draft::copy_from;
use crate::error::ReadError;
use crate::essence::Essence;
use crate::index::open_for_reading;
use crate::lag::Lag;
use crate::names::{AccountId, BodyId, EmailId, MailId, MailboxId, MailboxName, ModSeq, ThreadId, Uid};
use crate::op::Flags;
use crate::segment::{SegmentFile, Span};
use crate::sight::{Breadth, Outlined, Sight};
use crate::states::States;

/// How many reading connections are kept when nobody uses them.
const READERS_KEPT: usize = 4;

/// How often a message is looked for again that compaction has just moved.
const MOVES_MAX: usize = 3;

/// Connections for reading.
#[derive(Debug)]
pub(crate) struct Readers {
    path: PathBuf,
    lag: Lag,
    /// `None` once the store is closed.
    idle: Mutex<Option<Vec<Connection>>>,
}

impl Readers {
    pub(crate) fn new(path: PathBuf) -> Readers {
        Readers { path, lag: Lag::default(), idle: Mutex::new(Some(Vec::new())) }
    }

    pub(crate) fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T, ReadError>) -> Result<T, ReadError> {
        // Before a connection is taken: many may wait, and each has memory of its own.
        self.lag.catch_up();
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

    /// How far readers are behind.
    pub(crate) fn lag(&self) -> &Lag {
        &self.lag
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
    pub special_use: Vec<String>,
    /// Whether its name is subscribed.
    pub subscribed: bool,
    /// With another value, UIDs mean other messages (RFC 9051 §2.3.1.1).
    pub uidvalidity: u32,
    /// The UID the next message will have.
    pub uidnext: u32,
    /// The number of the last change of what is in it.
    pub modseq: ModSeq,
    /// The number of the change that made it.
    pub made: ModSeq,
    /// The number of the last change of the mailbox itself: its name, use, subscription, annotations, rights.
    pub changed: ModSeq,
    /// How many messages it has.
    pub messages: u64,
    /// How many of them are not `\Seen`.
    pub unseen: u64,
    /// How many of them are `\Deleted`.
    pub deleted: u64,
    /// The sum of their sizes.
    pub octets: u64,
}

/// A mailbox that somebody may do something with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedMailbox {
    /// Whose it is.
    pub account: AccountId,
    /// Its number.
    pub mailbox: MailboxId,
    /// Its name.
    pub name: String,
    /// What they may do.
    pub rights: String,
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
    /// When it came into this mailbox, Unix seconds (RFC 8514).
    pub saved_at: i64,
    /// Its flags.
    pub flags: Flags,
    /// The number of its last change.
    pub modseq: ModSeq,
    /// The same for all copies of it in the account.
    pub email: EmailId,
    /// The discussion it belongs to.
    pub thread: ThreadId,
    pub(crate) prefix: Box<[u8]>,
    pub(crate) span: Span,
}

impl Kept {
    pub(crate) fn body(&self) -> BodyId {
        self.span.body
    }
}

/// A message in a mailbox with what lists say of it.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The message.
    pub kept: Kept,
    outline: Box<[u8]>,
    /// Octets in front of what was outlined.
    shift: usize,
}

impl Listed {
    /// What lists say of it.
    pub fn outlined(&self) -> Outlined<'_> {
        Outlined::new(&self.outline, self.shift)
    }
}

/// The octets of one message: prefix, head, content. Keeps its file open.
#[derive(Debug)]
pub struct MessageReader {
    prefix: Box<[u8]>,
    segment: Arc<SegmentFile>,
    span: Span,
}

/// A stretch of an open file.
#[derive(Debug)]
pub struct FileSpan {
    segment: Arc<SegmentFile>,
    /// Where it begins.
    pub offset: u64,
    /// Octets.
    pub length: u64,
}

impl AsFd for FileSpan {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.segment.as_fd()
    }
}

impl MessageReader {
    /// A stretch of the message: what of it is in memory, and where the rest is, to be sent by `sendfile`. Quick.
    pub fn span(&self, range: Range<u64>) -> (&[u8], FileSpan) {
        let end = range.end.min(self.size());
        let start = range.start.min(end);
        let prefix_len = self.prefix.len() as u64;
        let in_memory = |at: u64| usize::try_from(at.min(prefix_len)).unwrap_or(self.prefix.len());
        let front = &self.prefix[in_memory(start)..in_memory(end)];
        let from = start.max(prefix_len).min(end.max(prefix_len));
        let length = end.saturating_sub(from);
        (front, FileSpan { segment: Arc::clone(&self.segment), offset: self.position(from), length })
    }

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

const SELECT_MAILBOX: &str = "SELECT b.id, b.name, b.special_use, EXISTS (SELECT 1 FROM subscriptions s \
     WHERE s.account = b.account AND s.name = b.name), b.uidvalidity, b.uidnext, b.modseq, b.made, b.changed, b.messages, \
     b.unseen, b.deleted, b.octets FROM mailboxes b";

fn mailbox_row(row: &Row<'_>) -> rusqlite::Result<MailboxRow> {
    let uses = row.get_ref(2)?.as_str_or_null()?;
    Ok(MailboxRow {
        id: MailboxId(row.get(0)?),
        name: row.get(1)?,
        special_use: uses.iter().flat_map(|uses| uses.split(' ')).map(String::from).collect(),
        subscribed: row.get(3)?,
        uidvalidity: row.get(4)?,
        uidnext: u32::try_from(row.get::<_, i64>(5)?).unwrap_or(u32::MAX),
        modseq: ModSeq(row.get(6)?),
        made: ModSeq(row.get(7)?),
        changed: ModSeq(row.get(8)?),
        messages: count(row, 9)?,
        unseen: count(row, 10)?,
        deleted: count(row, 11)?,
        octets: count(row, 12)?,
    })
}

pub(crate) fn mailboxes(conn: &Connection, account: AccountId) -> Result<Vec<MailboxRow>, ReadError> {
    let mut select =
        conn.prepare_cached(&format!("{SELECT_MAILBOX} WHERE b.account = ?1 ORDER BY b.name <> 'INBOX', b.name"))?;
    let rows = select.query_map(params![account.0], mailbox_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn mailbox_named(
    conn: &Connection,
    account: AccountId,
    name: &str,
) -> Result<Option<MailboxRow>, ReadError> {
    let Ok(name) = MailboxName::parse(name) else { return Ok(None) };
    let mut select = conn.prepare_cached(&format!("{SELECT_MAILBOX} WHERE b.account = ?1 AND b.name = ?2"))?;
    Ok(select.query_row(params![account.0, name.as_str()], mailbox_row).optional()?)
}

pub(crate) fn subscriptions(conn: &Connection, account: AccountId) -> Result<Vec<String>, ReadError> {
    let mut select = conn.prepare_cached("SELECT name FROM subscriptions WHERE account = ?1 ORDER BY name")?;
    let rows = select.query_map(params![account.0], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn metadata(
    conn: &Connection,
    account: AccountId,
    mailbox: Option<MailboxId>,
) -> Result<Vec<(String, Vec<u8>)>, ReadError> {
    let mut select =
        conn.prepare_cached("SELECT entry, value FROM annotations WHERE account = ?1 AND mailbox = ?2 ORDER BY entry")?;
    let key = mailbox.map_or(0, |mailbox| mailbox.0);
    let rows = select.query_map(params![account.0, key], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn rights(conn: &Connection, mailbox: MailboxId) -> Result<Vec<(String, String)>, ReadError> {
    let mut select = conn.prepare_cached("SELECT who, rights FROM rights WHERE mailbox = ?1 ORDER BY who")?;
    let rows = select.query_map(params![mailbox.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn shared_with(conn: &Connection, who: &str) -> Result<Vec<SharedMailbox>, ReadError> {
    let mut select = conn.prepare_cached(
        "SELECT b.account, b.id, b.name, r.rights FROM rights r JOIN mailboxes b ON b.id = r.mailbox \
         WHERE r.who = ?1 ORDER BY b.account, b.name",
    )?;
    let rows = select.query_map(params![who], |row| {
        Ok(SharedMailbox {
            account: AccountId(row.get(0)?),
            mailbox: MailboxId(row.get(1)?),
            name: row.get(2)?,
            rights: row.get(3)?,
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
    let mailbox = MailboxId(mailbox);
    let mut states = States::of(&snapshot, mailbox)?;
    let mut kept = Vec::with_capacity(usize::try_from(messages).unwrap_or(0));
    let sql = format!("{SELECT_KEPT} WHERE m.mailbox = ?1 ORDER BY m.uid");
    let mut select = snapshot.prepare_cached(&sql)?;
    let mut rows = select.query(params![mailbox.0])?;
    while let Some(row) = rows.next()? {
        kept.push(kept_row(row, &mut states)?);
    }
    Ok(Maildrop { mailbox, uidvalidity, messages: kept })
}

pub(crate) fn messages(conn: &Connection, mailbox: MailboxId, from: Uid, max: usize) -> Result<Vec<Kept>, ReadError> {
    let moment = conn.unchecked_transaction()?;
    let mut states = States::of(&moment, mailbox)?;
    let sql = format!("{SELECT_KEPT} WHERE m.mailbox = ?1 AND m.uid >= ?2 ORDER BY m.uid LIMIT ?3");
    let mut select = moment.prepare_cached(&sql)?;
    let limit = i64::try_from(max).unwrap_or(i64::MAX);
    let rows = select.query_map(params![mailbox.0, from.0, limit], |row| kept_row(row, &mut states))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The messages with these UIDs, ascending, that are there.
pub(crate) fn messages_of(conn: &Connection, mailbox: MailboxId, uids: &[Uid]) -> Result<Vec<Kept>, ReadError> {
    let mut found = Vec::with_capacity(uids.len());
    each_of(conn, SELECT_KEPT, mailbox, uids, |row, states| {
        found.push(kept_row(row, states)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// A message as the index has it.
pub(crate) struct Found {
    kept: Kept,
    /// `None` where there is none yet.
    outline: Option<Box<[u8]>>,
}

/// The same with their stored outlines.
pub(crate) fn outlines_of(conn: &Connection, mailbox: MailboxId, uids: &[Uid]) -> Result<Vec<Found>, ReadError> {
    let mut found = Vec::with_capacity(uids.len());
    each_of(conn, SELECT_OUTLINED, mailbox, uids, |row, states| {
        let outline = blob(row, OUTLINE_COLUMN)?.map(Box::from);
        found.push(Found { kept: kept_row(row, states)?, outline });
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// Why a walk is over.
pub(crate) enum WalkEnd {
    /// All have been shown.
    Done,
    /// Nobody wants to see more.
    BrokenOff,
    /// Of the message in this place among the UIDs there is no outline that holds.
    Unoutlined(usize),
}

/// Shows messages as they stand in the index.
pub(crate) fn walk(
    conn: &Connection,
    mailbox: MailboxId,
    uids: &[Uid],
    breadth: Breadth,
    mut look: impl FnMut(&Sight<'_>) -> Result<ControlFlow<()>, ReadError>,
) -> Result<WalkEnd, ReadError> {
    let mut end = WalkEnd::Done;
    let (select, prefix_column, outline_column) = match breadth {
        Breadth::Outline => (SELECT_GLANCE, 1, 2),
        Breadth::Whole => (SELECT_OUTLINED, 3, OUTLINE_COLUMN),
    };
    each_of(conn, select, mailbox, uids, |row, states| {
        let uid = Uid(row.get(0)?);
        let shift = blob(row, prefix_column)?.unwrap_or_default().len();
        let holds = |outline: &&[u8]| Outline::is_known(outline) && (shift == 0 || Outline::has_header(outline));
        let Some(outline) = blob(row, outline_column)?.filter(holds) else {
            end = uids.binary_search(&uid).map_or(WalkEnd::Done, WalkEnd::Unoutlined);
            return Ok(ControlFlow::Break(()));
        };
        let states = RefCell::new(states);
        let kept = || match breadth {
            Breadth::Outline => {
                let mut found = None;
                each_within(conn, SELECT_KEPT, mailbox, &[uid], |row, states| {
                    found = Some(kept_row(row, states)?);
                    Ok(ControlFlow::Continue(()))
                })?;
                found.ok_or(ReadError::NotFound)
            }
            Breadth::Whole => Ok(kept_row(row, &mut states.borrow_mut())?),
        };
        let verdict = look(&Sight::new(uid, Outlined::new(outline, shift), &kept))?;
        if verdict.is_break() {
            end = WalkEnd::BrokenOff;
        }
        Ok(verdict)
    })?;
    Ok(end)
}

/// How far two UIDs may be apart to be read in one go, with what lies between them.
const GAP_MAX: u32 = 16;

/// Reads the rows of the UIDs that are named, until `take` breaks off: stretches of neighbours in one go each.
fn each_of(
    conn: &Connection,
    select: &str,
    mailbox: MailboxId,
    uids: &[Uid],
    take: impl FnMut(&Row<'_>, &mut States<'_>) -> Result<ControlFlow<()>, ReadError>,
) -> Result<(), ReadError> {
    let moment = conn.unchecked_transaction()?;
    each_within(&moment, select, mailbox, uids, take)
}

/// The same within a transaction.
fn each_within(
    moment: &Connection,
    select: &str,
    mailbox: MailboxId,
    uids: &[Uid],
    mut take: impl FnMut(&Row<'_>, &mut States<'_>) -> Result<ControlFlow<()>, ReadError>,
) -> Result<(), ReadError> {
    let mut states = States::of(moment, mailbox)?;
    let mut statement = moment.prepare_cached(&of_stretch(select))?;
    for stretch in uids.chunk_by(|one, two| two.0.saturating_sub(one.0) <= GAP_MAX) {
        let (Some(first), Some(last)) = (stretch.first(), stretch.last()) else { continue };
        let is_named = |uid: Uid| last.0 - first.0 == stretch.len() as u32 - 1 || stretch.binary_search(&uid).is_ok();
        let mut rows = statement.query(params![mailbox.0, first.0, last.0])?;
        while let Some(row) = rows.next()? {
            if is_named(Uid(row.get(0)?)) && take(row, &mut states)?.is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn of_stretch(select: &str) -> String {
    format!("{select} WHERE m.mailbox = ?1 AND m.uid BETWEEN ?2 AND ?3 ORDER BY m.uid")
}

/// Ranges of UIDs that were expunged after a modseq, ascending. Some of them may have been expunged before it (RFC 7162 §3.2.10.1).
pub(crate) fn vanished(conn: &Connection, mailbox: MailboxId, since: ModSeq) -> Result<Vec<(Uid, Uid)>, ReadError> {
    let mut select =
        conn.prepare_cached("SELECT first, last FROM expunged WHERE mailbox = ?1 AND modseq > ?2 ORDER BY first")?;
    let rows = select.query_map(params![mailbox.0, since.0], |row| Ok((Uid(row.get(0)?), Uid(row.get(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

const SELECT_KEPT: &str = "SELECT m.uid, m.received_at, m.saved_at, m.prefix, m.email, m.thread, \
     b.id, b.segment, b.offset, b.length FROM messages m JOIN bodies b ON b.id = m.body";

const SELECT_OUTLINED: &str = "SELECT m.uid, m.received_at, m.saved_at, m.prefix, m.email, m.thread, \
     b.id, b.segment, b.offset, b.length, b.outline FROM messages m JOIN bodies b ON b.id = m.body";

const SELECT_GLANCE: &str = "SELECT m.uid, m.prefix, b.outline FROM messages m JOIN bodies b ON b.id = m.body";

const OUTLINE_COLUMN: usize = 10;

fn kept_row(row: &Row<'_>, states: &mut States<'_>) -> rusqlite::Result<Kept> {
    let uid = Uid(row.get(0)?);
    // Only in a damaged store has a message no state: it can be read, as one that nobody has seen.
    let (flags, modseq) = states.flags(uid)?.unwrap_or((Flags::default(), ModSeq(1)));
    let (prefix, span): (Box<[u8]>, _) = (row.get_ref(3)?.as_blob()?.into(), span(row, 6)?);
    Ok(Kept {
        uid,
        size: prefix.len() as u64 + span.length,
        received_at: row.get(1)?,
        saved_at: row.get(2)?,
        flags,
        modseq,
        email: EmailId(row.get(4)?),
        thread: ThreadId(row.get(5)?),
        prefix,
        span,
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

fn blob<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<Option<&'r [u8]>> {
    Ok(row.get_ref(column)?.as_blob_or_null()?)
}

/// Counts and positions are kept as SQLite's signed integers and are never negative.
fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.max(0).unsigned_abs())
}

/// A reader for a message of a listing.
pub(crate) fn open_kept(shared: &Shared, kept: &Kept) -> Result<MessageReader, ReadError> {
    open_span(shared, kept.prefix.clone(), kept.span)
}

/// Joins messages with their outlines. Where one is missing, or of a version that is not known, it is made from the octets, and `keep` is
/// told of it.
pub(crate) fn list(
    shared: &Shared,
    found: Vec<Found>,
    mut keep: impl FnMut(BodyId, Vec<u8>),
) -> Result<Vec<Listed>, ReadError> {
    let mut all = Vec::with_capacity(found.len());
    for Found { kept, outline } in found {
        let stored = outline.filter(|outline| Outline::is_known(outline));
        let (outline, has_header) = match stored {
            Some(outline) => {
                let has_header = Outline::has_header(&outline);
                (outline, has_header)
            }
            None => match outline_body(shared, &kept) {
                Ok((outline, has_header)) => {
                    keep(kept.span.body, outline.to_vec());
                    (outline, has_header)
                }
                // Expunged meanwhile.
                Err(ReadError::NotFound) => continue,
                Err(error) => return Err(error),
            },
        };
        let listed = match has_header || kept.prefix.is_empty() {
            true => Listed { shift: kept.prefix.len(), kept, outline },
            // Behind a prefix the message is another one than alone.
            false => match outline_whole(shared, &kept) {
                Ok(outline) => Listed { kept, outline, shift: 0 },
                Err(ReadError::NotFound) => continue,
                Err(error) => return Err(error),
            },
        };
        all.push(listed);
    }
    Ok(all)
}

/// The outline of a body without the prefix, and whether it holds behind one.
fn outline_body(shared: &Shared, kept: &Kept) -> Result<(Box<[u8]>, bool), ReadError> {
    let reader = open_span(shared, Box::default(), kept.span)?;
    let (essence, outline) = Essence::read(|at, buf| reader.read(at, buf))?;
    Ok((essence.outline.unwrap_or_default().into(), outline.front.has_header))
}

fn outline_whole(shared: &Shared, kept: &Kept) -> Result<Box<[u8]>, ReadError> {
    let reader = open_kept(shared, kept)?;
    let (essence, _) = Essence::read(|at, buf| reader.read(at, buf))?;
    Ok(essence.outline.unwrap_or_default().into())
}

/// A reader for a body without any prefix, and its stored outline.
pub(crate) fn open_body(shared: &Shared, body: BodyId) -> Result<(MessageReader, Option<Vec<u8>>), ReadError> {
    let (span, outline) = shared.readers.with(|conn| {
        let mut select =
            conn.prepare_cached("SELECT id, segment, offset, length, outline FROM bodies WHERE id = ?1")?;
        Ok(select.query_row(params![body.0], |row| Ok((span(row, 0)?, row.get(4)?)))?)
    })?;
    Ok((open_span(shared, Box::default(), span)?, outline))
}

/// Which body a message has, and what stands in front of it.
pub(crate) struct Bodied {
    pub(crate) uid: Uid,
    pub(crate) body: BodyId,
    pub(crate) prefix: Box<[u8]>,
}

/// The bodies of messages with these UIDs, ascending.
pub(crate) fn bodies_of(conn: &Connection, mailbox: MailboxId, uids: &[Uid]) -> Result<Vec<Bodied>, ReadError> {
    let mut found = Vec::with_capacity(uids.len());
    each_of(conn, "SELECT m.uid, m.body, m.prefix FROM messages m", mailbox, uids, |row, _| {
        let prefix = blob(row, 2)?.unwrap_or_default().into();
        found.push(Bodied { uid: Uid(row.get(0)?), body: BodyId(row.get(1)?), prefix });
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
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

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;
    use crate::tests::{deliver, make_account, open_swiftly};

    #[test]
    fn statements_are_prepared_once_whatever_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let store = open_swiftly(dir.path());
        let bob = make_account(&store, "bob");
        deliver(&store, &[bob], b"first").unwrap();
        let mailbox = store.maildrop(bob).unwrap().mailbox;
        let conn = open_for_reading(&dir.path().join("store.db")).unwrap();
        for uids in [&[Uid(1)][..], &[Uid(2), Uid(900)], &[]] {
            messages_of(&conn, mailbox, uids).unwrap();
        }
        let statement = conn.prepare_cached(&of_stretch(SELECT_KEPT)).unwrap();
        assert!(statement.get_status(StatementStatus::Run) > 0);
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }
}

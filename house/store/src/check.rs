//! Does the store keep its own promises? And what can be mended where it does not.
//!
//! ```text
//! database sound? ─→ files there and long enough? ─→ every body's record sound? ─→ every rule between rows
//! ```
//!
//! The rules between rows are a table: a query that finds offenders and says in words what is wrong, and the statement
//! that mends it. Mending never removes octets of a message that can still be read; a row whose octets are lost is
//! removed and named.
//!
//! What a crash has left in the journal alone is no flaw: a check passes it over, opening enters it, and a repair has it entered first.
//!
//! Invariants: a check changes nothing; what a repair has mended, a check after it does not find.
//! Not here: mending a database that is itself damaged (rebuild).

mod rules;

use std::io;
use std::path::Path;

use message::mime::Part;
use message::outline::Outline;
use rusqlite::{Connection, OptionalExtension, params};

use crate::disk::RealDisk;
use crate::error::{OpenError, ReadError};
use crate::index::{self, SegmentRow};
use crate::names::BodyId;
use crate::privacy::{self, Exposed};
use crate::read::body_span;
use crate::record::{HEADER_LEN, Header};
use crate::segment::{SEGMENT_HEADER_LEN, SegmentFile, SegmentFiles, Span, is_header_of, segment_number};
use crate::{DATABASE, Lock, SEGMENTS, Shared, files_in, lock_dir, states};

pub(crate) use rules::{RAISE_NUMBERS, RULES};

/// How many bodies are listed at once.
const BODIES_AT_ONCE: i64 = 500;

/// Octets read at once when proving checksums.
const PIECE: usize = 256 * 1024;

/// How many problems are named; there may be more.
pub const PROBLEMS_MAX: usize = 1000;

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What is wrong, at most [`PROBLEMS_MAX`].
    pub problems: Vec<Problem>,
    /// How many messages there are in mailboxes.
    pub messages: u64,
    /// How many mails are in the queue.
    pub mails: u64,
    /// How many bodies were read and compared with their checksums.
    pub bodies: u64,
    /// Octets of these bodies.
    pub octets: u64,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    fn add(&mut self, what: impl Into<String>, mending: Option<&'static str>) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem { what: what.into(), mending });
        }
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// In words.
    pub what: String,
    /// What a repair does about it, or has done; `None` where it can do nothing.
    pub mending: Option<&'static str>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.what)?;
        self.mending.map_or(Ok(()), |mending| write!(out, " ({mending})"))
    }
}

/// Checks a store that is not running; [`OpenError::InUse`] where it is. Blocks for long.
pub fn check(dir: impl AsRef<Path>) -> Result<Report, OpenError> {
    let dir = dir.as_ref();
    let exposed = privacy::exposed(dir);
    let (_lock, conn) = open_alone(dir)?;
    let files = SegmentFiles::new(dir.join(SEGMENTS));
    let mut report = check_all(&conn, &files).map_err(unreadable)?;
    name_exposed(&exposed, &mut report);
    for path in strays(dir, &conn)? {
        report.add(format!("{} is known to no row", path.display()), Some("removed when the store is opened"));
    }
    Ok(report)
}

/// Checks a store that is not running and mends what can be mended. The report says what was found.
/// Blocks for long.
pub fn repair(dir: impl AsRef<Path>) -> Result<Report, OpenError> {
    let dir = dir.as_ref();
    let exposed = privacy::exposed(dir);
    if dir.join(DATABASE).exists()
        && let Ok(store) = crate::Store::open(dir, crate::Options::default())
    {
        // What a crash has kept from the rows is in them now, before anything is mended that it builds on.
        store.close();
    }
    let (_lock, mut conn) = open_alone(dir)?;
    let files = SegmentFiles::new(dir.join(SEGMENTS));
    let mut report = Report::default();
    name_exposed(&exposed, &mut report);
    if !check_database(&conn, &mut report).map_err(unreadable)? {
        return Ok(report);
    }
    conn.pragma_update(None, "foreign_keys", false)?;
    let transaction = conn.transaction()?;
    let lost = check_files(&transaction, &files, &mut report).map_err(unreadable)?;
    for segment in lost.segments {
        transaction.execute("DELETE FROM bodies WHERE segment = ?1", params![segment])?;
        transaction.execute("DELETE FROM segments WHERE id = ?1", params![segment])?;
    }
    for (segment, length) in lost.short {
        transaction
            .execute("UPDATE segments SET committed_len = ?2, sealed = 1 WHERE id = ?1", params![segment, length])?;
    }
    for body in lost.bodies {
        transaction.execute("DELETE FROM bodies WHERE id = ?1", params![body.0])?;
    }
    for body in lost.outlines {
        transaction.execute("UPDATE bodies SET outline = NULL WHERE id = ?1", params![body.0])?;
    }
    let mut is_mended = unpack(&transaction, &mut report)?;
    for rule in RULES {
        if rule.find(&transaction, &mut report).map_err(unreadable)? {
            transaction.execute_batch(rule.mend)?;
            is_mended = true;
        }
    }
    if is_mended {
        transaction.execute("DELETE FROM states", [])?;
        states::pack(&transaction, states::REPACKED)?;
    }
    states::forget_unpacked(&transaction)?;
    transaction.commit()?;
    Ok(report)
}

/// Checks a store while it runs: rows in one snapshot, octets beside the traffic.
pub(crate) fn check_running(shared: &Shared) -> Result<Report, ReadError> {
    let mut report = shared.readers.with(|conn| check_all(conn, &shared.segments))?;
    name_exposed(&privacy::exposed(&shared.dir), &mut report);
    Ok(report)
}

/// What others may look into.
fn name_exposed(exposed: &[Exposed], report: &mut Report) {
    for found in exposed {
        let mending = found.obstacle.is_none().then_some("taken from others when the store is opened");
        report.add(found.to_string(), mending);
    }
}

fn check_all(conn: &Connection, files: &SegmentFiles) -> Result<Report, ReadError> {
    let mut report = Report::default();
    if !check_database(conn, &mut report)? {
        return Ok(report);
    }
    let snapshot = conn.unchecked_transaction()?;
    unpack(&snapshot, &mut report)?;
    for rule in RULES {
        rule.find(&snapshot, &mut report)?;
    }
    states::forget_unpacked(&snapshot)?;
    report.messages = count(&snapshot, "SELECT count(*) FROM messages")?;
    report.mails = count(&snapshot, "SELECT count(*) FROM mails")?;
    drop(snapshot);
    check_files(conn, files, &mut report)?;
    Ok(report)
}

/// Lays the states of all messages out for the rules; says whether some had to be left out.
fn unpack(conn: &Connection, report: &mut Report) -> rusqlite::Result<bool> {
    let mut is_less = false;
    states::unpack(conn, |what| {
        is_less = true;
        report.add(what, Some("kept as far as it can be read, else as if nobody had seen the messages"));
    })?;
    Ok(is_less)
}

/// Opens a store nobody runs, and keeps others out.
fn open_alone(dir: &Path) -> Result<(Lock, Connection), OpenError> {
    let database = dir.join(DATABASE);
    if !database.exists() {
        return Err(OpenError::NotAStore { path: dir.into() });
    }
    let lock = lock_dir(dir)?;
    Ok((lock, index::open_for_writing(&database, &RealDisk)?))
}

fn strays(dir: &Path, conn: &Connection) -> Result<Vec<std::path::PathBuf>, OpenError> {
    let known = index::segments(conn)?;
    let mut strays = files_in(&dir.join(SEGMENTS))?;
    strays.retain(|path| segment_number(path).is_some_and(|number| !known.iter().any(|row| row.segment == number)));
    Ok(strays)
}

/// Whether the database itself is sound.
fn check_database(conn: &Connection, report: &mut Report) -> Result<bool, ReadError> {
    let mut select = conn.prepare("PRAGMA quick_check(20)")?;
    let lines = select.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>();
    match lines {
        Ok(lines) if lines == ["ok"] => Ok(true),
        Ok(lines) => {
            for line in lines {
                report.add(format!("the database is damaged: {line}"), None);
            }
            Ok(false)
        }
        Err(error) => {
            report.add(format!("the database is damaged: {error}"), None);
            Ok(false)
        }
    }
}

/// What a repair has to do without.
#[derive(Default)]
struct Lost {
    /// Segments whose file is gone or is something else.
    segments: Vec<i64>,
    /// Segments that are shorter than promised, and how long they are.
    short: Vec<(i64, i64)>,
    /// Bodies that cannot be read.
    bodies: Vec<BodyId>,
    /// Bodies whose outline cannot be theirs.
    outlines: Vec<BodyId>,
}

const ROWS_LOST: Option<&str> = Some("its messages are removed and named");
const ROW_LOST: Option<&str> = Some("what points at it is removed and named");

fn check_files(conn: &Connection, files: &SegmentFiles, report: &mut Report) -> Result<Lost, ReadError> {
    let mut lost = Lost::default();
    for row in index::segments(conn)? {
        // While the store runs a segment may be emptied and removed under our eyes.
        match segment_flaw(files, &row) {
            None => {}
            Some(_) if !index::has_segment(conn, row.segment)? => {}
            Some(Flaw::Gone(why)) => {
                report.add(format!("segment {}: {why}", row.segment), ROWS_LOST);
                lost.segments.push(row.segment);
            }
            Some(Flaw::Short(length)) => {
                let promised = row.committed_len;
                report.add(
                    format!("segment {} has {length} octets and should have {promised}", row.segment),
                    Some("messages that lay behind its end are removed and named"),
                );
                lost.short.push((row.segment, length as i64));
            }
        }
    }
    let mut after = i64::MIN;
    loop {
        let bodies = list_bodies(conn, after)?;
        let Some(last) = bodies.last() else { return Ok(lost) };
        after = last.span.body.0;
        for listed in bodies {
            check_body(conn, files, &listed.span, listed.record_len, report, &mut lost)?;
            if !listed.has_sound_outline {
                report.add(
                    format!("what lists say of body {} cannot be read", listed.span.body),
                    Some("made anew when somebody asks"),
                );
                lost.outlines.push(listed.span.body);
            }
        }
    }
}

enum Flaw {
    Gone(String),
    Short(u64),
}

fn segment_flaw(files: &SegmentFiles, row: &SegmentRow) -> Option<Flaw> {
    let file = match files.open(row.segment) {
        Ok(file) => file,
        Err(error) => return Some(Flaw::Gone(format!("its file cannot be opened: {error}"))),
    };
    let mut header = [0; SEGMENT_HEADER_LEN];
    if file.read_exact_at(&mut header, 0).is_err() || !is_header_of(row.segment, &header) {
        return Some(Flaw::Gone("its file is not that segment's".into()));
    }
    match file.len() {
        Ok(length) if length < row.committed_len => Some(Flaw::Short(length)),
        Ok(_) => None,
        Err(error) => Some(Flaw::Gone(error.to_string())),
    }
}

/// A body as its row has it.
struct Body {
    span: Span,
    record_len: u64,
    has_sound_outline: bool,
}

fn list_bodies(conn: &Connection, after: i64) -> Result<Vec<Body>, ReadError> {
    let mut select = conn.prepare_cached(
        "SELECT id, segment, offset, length, record, outline FROM bodies WHERE id > ?1 ORDER BY id LIMIT ?2",
    )?;
    let rows = select.query_map(params![after, BODIES_AT_ONCE], |row| {
        let unsigned = |column| Ok::<_, rusqlite::Error>(row.get::<_, i64>(column)?.max(0).unsigned_abs());
        let span = Span { body: BodyId(row.get(0)?), segment: row.get(1)?, offset: unsigned(2)?, length: unsigned(3)? };
        let has_sound_outline = row.get_ref(5)?.as_blob_or_null()?.is_none_or(|outline| is_sound(outline, span.length));
        Ok(Body { span, record_len: unsigned(4)?, has_sound_outline })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether an outline can be that of a message of this length. One of a version that is not known is not ours to judge.
fn is_sound(outline: &[u8], length: u64) -> bool {
    !Outline::is_known(outline)
        || Outline::decode(outline).is_some_and(|outline| {
            let whole = outline.tree.root().span();
            let parts = outline.tree.parts.iter();
            whole == (0..length as usize)
                && parts.map(Part::span).all(|span| span.start <= span.end && span.end <= whole.end)
        })
}

fn check_body(
    conn: &Connection,
    files: &SegmentFiles,
    span: &Span,
    record_len: u64,
    report: &mut Report,
    lost: &mut Lost,
) -> Result<(), ReadError> {
    let verdict = prove_body(files, span, record_len);
    if verdict.is_err() && !is_still_there(conn, span)? {
        return Ok(());
    }
    match verdict {
        Ok(()) => {
            report.bodies += 1;
            report.octets += span.length;
        }
        Err(BodyFlaw::Unreadable(why)) => {
            report.add(format!("body {} in segment {}: {why}", span.body, span.segment), ROW_LOST);
            lost.bodies.push(span.body);
        }
        Err(BodyFlaw::Damaged(why)) => {
            report.add(format!("body {} in segment {}: {why}; it is kept as it is", span.body, span.segment), None);
        }
    }
    Ok(())
}

/// Whether the row still says so: messages are expunged and moved while the store runs.
fn is_still_there(conn: &Connection, span: &Span) -> Result<bool, ReadError> {
    match body_span(conn, span.body) {
        Ok(present) => Ok(present == *span),
        Err(ReadError::NotFound) => Ok(false),
        Err(error) => Err(error),
    }
}

enum BodyFlaw {
    /// The octets are not there.
    Unreadable(String),
    /// Octets are there, and some of them are wrong.
    Damaged(&'static str),
}

fn prove_body(files: &SegmentFiles, span: &Span, record_len: u64) -> Result<(), BodyFlaw> {
    let unreadable = |error: io::Error| BodyFlaw::Unreadable(error.to_string());
    if span.offset < (SEGMENT_HEADER_LEN + HEADER_LEN) as u64 {
        return Err(BodyFlaw::Unreadable("its position is impossible".into()));
    }
    let file = files.open(span.segment).map_err(unreadable)?;
    let header = file.header(span).map_err(unreadable)?;
    if header.record_len() != record_len {
        return Err(BodyFlaw::Damaged("its record has another length than its row says"));
    }
    let body_crc = crc_of(&file, span.offset, span.length).map_err(unreadable)?;
    let trailer_crc = crc_of(&file, span.offset + span.length, u64::from(header.trailer_len)).map_err(unreadable)?;
    compare(&header, body_crc, trailer_crc)
}

fn compare(header: &Header, body_crc: u32, trailer_crc: u32) -> Result<(), BodyFlaw> {
    if header.body_crc != body_crc {
        return Err(BodyFlaw::Damaged("its octets do not have the checksum they were written with"));
    }
    if header.trailer_crc != trailer_crc {
        return Err(BodyFlaw::Damaged("its trailer does not have the checksum it was written with"));
    }
    Ok(())
}

pub(crate) fn crc_of(file: &SegmentFile, mut offset: u64, mut length: u64) -> io::Result<u32> {
    let mut hasher = crc32fast::Hasher::new();
    let mut piece = vec![0; usize::try_from(length).unwrap_or(PIECE).min(PIECE)];
    while length > 0 {
        let wanted = usize::try_from(length).unwrap_or(PIECE).min(PIECE);
        let count = file.read_at(&mut piece[..wanted], offset)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        hasher.update(&piece[..count]);
        offset += count as u64;
        length -= count as u64;
    }
    Ok(hasher.finalize())
}

fn count(conn: &Connection, sql: &str) -> Result<u64, ReadError> {
    Ok(conn.query_row(sql, [], |row| row.get::<_, i64>(0)).optional()?.unwrap_or(0).max(0).unsigned_abs())
}

fn unreadable(error: ReadError) -> OpenError {
    OpenError::Index(error.to_string())
}

//! Freeing room: what is still needed of a mostly dead segment is copied forward, and the segment removed.
//!
//! ```text
//! sealed, nothing live → removed        sealed, over half dead → live records to the open segment → nothing live → removed
//! ```
//!
//! A copy is a commit like any other: written, synced, then the row is turned to it. A crash in between leaves a dead
//! copy and a row that still points at the old record.
//!
//! Invariants: a record is copied octet by octet, its checksum proved before; a damaged record is never copied, so that
//! what can still be read of it stays where the check names it.
//! Not here: large messages; each has a segment of its own, which goes with it.

use std::sync::Arc;

use rusqlite::{Connection, params};
use tracing::warn;

use crate::Shared;
use crate::error::{CommitError, ReadError};
use crate::index::{self, SegmentRow};
use crate::names::BodyId;
use crate::segment::Span;
use crate::writer::{Content, Work, Writer};

/// How many copies are under way at once: they share syncs, and leave room in the channel for others.
const COPIES_AT_ONCE: usize = 64;

/// What a compaction did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Segments of which nothing is left.
    pub segments_removed: usize,
    /// Octets of records that were copied.
    pub octets_copied: u64,
}

pub(crate) fn compact(shared: &Arc<Shared>, writer: &Writer, octets_max: u64) -> Result<Compacted, CommitError> {
    let mut compacted = Compacted::default();
    let segments = shared.readers.with(|conn| Ok(index::segments(conn)?)).map_err(unreadable)?;
    for segment in segments.iter().filter(|row| row.sealed) {
        if segment.live > 0 && (!segment.is_mostly_dead() || compacted.octets_copied >= octets_max) {
            continue;
        }
        if segment.live > 0 {
            let budget = octets_max - compacted.octets_copied;
            compacted.octets_copied += copy_forward(shared, writer, segment, budget)?;
        } else {
            writer.run_blocking(Work::Discard { segment: segment.segment })?;
        }
        let is_gone =
            shared.readers.with(|conn| Ok(!index::has_segment(conn, segment.segment)?)).map_err(unreadable)?;
        compacted.segments_removed += usize::from(is_gone);
    }
    Ok(compacted)
}

/// Copies live records to the open segment until the budget is used up; says how many octets it copied.
fn copy_forward(shared: &Arc<Shared>, writer: &Writer, segment: &SegmentRow, budget: u64) -> Result<u64, CommitError> {
    let bodies = shared.readers.with(|conn| bodies_in(conn, segment.segment)).map_err(unreadable)?;
    let mut copied = 0;
    for group in bodies.chunks(COPIES_AT_ONCE) {
        if copied >= budget {
            break;
        }
        let mut outcomes = Vec::with_capacity(group.len());
        for (span, record_len) in group {
            match read_record(shared, span, *record_len) {
                Ok(record) => {
                    let work = Work::Move { body: span.body, source: segment.segment };
                    outcomes.push(writer.begin_blocking(work, vec![Content::Copied { record, span: *span }])?);
                    copied += record_len;
                }
                // It may just have been expunged; if not, the check will name it.
                Err(error) => warn!("body {} in segment {} was not copied: {error}", span.body, span.segment),
            }
        }
        for outcome in outcomes {
            outcome.blocking_recv().unwrap_or(Err(CommitError::Closed))?;
        }
    }
    Ok(copied)
}

fn bodies_in(conn: &Connection, segment: i64) -> Result<Vec<(Span, u64)>, ReadError> {
    let mut select =
        conn.prepare_cached("SELECT id, offset, length, record FROM bodies WHERE segment = ?1 ORDER BY offset")?;
    let rows = select.query_map(params![segment], |row| {
        let unsigned = |column| Ok::<_, rusqlite::Error>(row.get::<_, i64>(column)?.max(0).unsigned_abs());
        let span = Span { body: BodyId(row.get(0)?), segment, offset: unsigned(1)?, length: unsigned(2)? };
        Ok((span, unsigned(3)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A whole record, its checksums proved.
fn read_record(shared: &Shared, span: &Span, record_len: u64) -> std::io::Result<Vec<u8>> {
    let file = shared.segments.open(span.segment)?;
    let header = file.header(span)?;
    let length = usize::try_from(record_len).map_err(std::io::Error::other)?;
    let mut record = vec![0; length];
    file.read_exact_at(&mut record, span.record_offset())?;
    if header.record_len() != record_len || !header.is_sound_over(&record) {
        return Err(std::io::Error::other("the record is damaged"));
    }
    Ok(record)
}

fn unreadable(error: ReadError) -> CommitError {
    match error {
        ReadError::Closed => CommitError::Closed,
        other => CommitError::Refused(other.to_string()),
    }
}

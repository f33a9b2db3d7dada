//! The open segment: where bodies are written, one after the other.
//!
//! ```text
//! records of a group and its entry into one buffer ─→ written, synced ─→ they stand          (nothing stands until `stand`)
//!                                          └does not fit: the segment is full, the next one begins
//! ```
//!
//! The next segment is filled with zeros before it is used, unless segments fill fast: a sync that changes no block map
//! takes 150 µs instead of 240 (measured), which one caller feels, while the large groups of many do not, and the zeros
//! would compete with them for the disk.
//!
//! Invariants: what does not stand is written over; after a failed sync nothing is written any more.
//! Not here: large messages (seal), which commits make a group (committer).

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use crc32fast::Hasher;

use super::chores::Chore;
use super::{Content, SegmentNote, Written};
use crate::Shared;
use crate::disk::{DiskFile, is_full};
use crate::error::{CommitError, OpenError};
use crate::index::Resume;
use crate::record::{HEADER_LEN, Header, Kind};
use crate::segment::{SEGMENT_HEADER_LEN, Span, segment_header, segment_path};

/// A segment that is half full within so many seconds is being written in large groups.
const BUSY_SECS: i64 = 2;

/// A buffer that a burst has made larger than this is given back.
const BUFFER_KEPT: usize = 1024 * 1024;

/// The open segment, and what is to be written into it.
pub(super) struct Bodies {
    shared: Arc<Shared>,
    chores: Sender<Chore>,
    open: Option<OpenSegment>,
    /// Records of the present group; they belong at the open segment's position.
    buffer: Vec<u8>,
}

/// The segment that is being written.
struct OpenSegment {
    number: i64,
    file: DiskFile,
    /// Everything before stands; behind it is room, or garbage that no row will point at.
    position: u64,
    /// Set aside so far; the segment is full when a message would pass it.
    size: u64,
    /// When writing into it began, Unix seconds.
    since: i64,
}

impl Bodies {
    pub(super) fn new(shared: Arc<Shared>, resume: Resume, chores: Sender<Chore>) -> Result<Bodies, OpenError> {
        let open = match resume.open_segment {
            Some((number, position)) => Some(reopen(&shared, number, position)?),
            None => None,
        };
        if open.as_ref().is_some_and(OpenSegment::is_half_full) {
            let _ = chores.send(Chore::PrepareSegment);
        }
        Ok(Bodies { shared, chores, open, buffer: Vec::new() })
    }

    /// Whether records of that length have room in the open segment.
    pub(super) fn has_room_for(&self, length: u64) -> bool {
        length == 0 || self.open.as_ref().is_some_and(|open| open.position + length <= open.size)
    }

    /// Makes the next segment, with room for records of that length. It is used once [`turn_to`](Self::turn_to) says so.
    pub(super) fn prepare_next(&self, length: u64) -> Result<OpenedSegment, CommitError> {
        open_next(&self.shared, length).map(OpenedSegment).map_err(|error| self.disk_failed(&error))
    }

    /// What the index is to know before another segment is used.
    pub(super) fn notes_for(&self, next: &OpenedSegment) -> Vec<SegmentNote> {
        let note =
            |open: &OpenSegment, sealed| SegmentNote { segment: open.number, committed_len: open.position, sealed };
        self.open.iter().map(|open| note(open, true)).chain([note(&next.0, false)]).collect()
    }

    /// From now on, bodies go there.
    pub(super) fn turn_to(&mut self, next: OpenedSegment) {
        self.open = Some(next.0);
    }

    /// The next segment is not used after all.
    pub(super) fn give_back(&self, next: &OpenedSegment) {
        remove_quietly(&self.shared, &next.0.file.path);
    }

    /// Where the next record goes.
    pub(super) fn position(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.position) + self.buffer.len() as u64
    }

    /// Begins a group.
    pub(super) fn begin(&mut self) {
        self.buffer.clear();
    }

    /// Puts a body into the group, and says where it is going to be.
    pub(super) fn enter(&mut self, content: &Content, moment: i64) -> Result<Written, CommitError> {
        let place = self.open.as_ref().map(|open| (open.number, open.position + self.buffer.len() as u64));
        match (content, place) {
            (Content::Sealed(written), _) => Ok(*written),
            (Content::Copied { record, span }, Some((segment, position))) => {
                self.buffer.extend_from_slice(record);
                let span = Span { segment, offset: position + HEADER_LEN as u64, ..*span };
                Ok(Written { span, record_len: record.len() as u64, is_alone: false, segment_len: 0 })
            }
            (Content::Fresh { head, content, content_crc, trailer }, Some((segment, position))) => {
                let span = Span {
                    body: self.shared.next_body(),
                    segment,
                    offset: position + HEADER_LEN as u64,
                    length: (head.len() + content.len()) as u64,
                };
                let header = header_for(&span, head, content_crc.clone(), trailer, moment);
                for part in [&header.encode(), head.as_slice(), content, trailer] {
                    self.buffer.extend_from_slice(part);
                }
                Ok(Written { span, record_len: header.record_len(), is_alone: false, segment_len: 0 })
            }
            (Content::Spilled { .. }, _) => Err(CommitError::Malformed("a large message was not sealed")),
            (_, None) => Err(CommitError::Full),
        }
    }

    /// Puts an entry behind the group's records, and says whether it did: alone it is not worth another segment.
    pub(super) fn enter_entry(&mut self, entry: &[u8]) -> bool {
        let is_welcome = !self.buffer.is_empty() || self.has_room_for(entry.len() as u64);
        if is_welcome {
            self.buffer.extend_from_slice(entry);
        }
        is_welcome
    }

    /// Takes back what was put into the group since it reached to this position.
    pub(super) fn back_to(&mut self, position: u64) {
        let kept = self.open.as_ref().map_or(0, |open| position.saturating_sub(open.position));
        self.buffer.truncate(usize::try_from(kept).unwrap_or(usize::MAX));
    }

    /// How far the open segment reaches with the group; `None` where the group has nothing for it.
    pub(super) fn reach(&self) -> Option<(i64, u64)> {
        let open = self.open.as_ref().filter(|_| !self.buffer.is_empty())?;
        Some((open.number, open.position + self.buffer.len() as u64))
    }

    /// Writes and syncs the group. It does not stand yet.
    pub(super) fn write_out(&mut self) -> Result<(), CommitError> {
        let Some(open) = self.open.as_ref().filter(|_| !self.buffer.is_empty()) else { return Ok(()) };
        let disk = &self.shared.disk;
        let length = self.buffer.len();
        // No header, and the next group's place: whoever reads the journal to its end must not go on with what a group that never stood
        // has left here, which may be anybody's octets.
        self.buffer.extend_from_slice(&[0; HEADER_LEN]);
        let written = disk.write_all_at(&open.file, &self.buffer, open.position);
        self.buffer.truncate(length);
        if let Err(error) = written {
            return Err(self.take_back(open, &error));
        }
        if let Err(error) = disk.sync(&open.file) {
            // After a failed sync nobody knows what is on the disk, and a second one would lie: it tells of new errors only.
            let what = format!("a sync of {} failed: {error}", open.file.path.display());
            return Err(CommitError::Failed(self.shared.fail(&what)));
        }
        Ok(())
    }

    /// A group could not be written to its end. What there is of it may be as good as whole, and it is refused: where it begins there
    /// must be no header. A disk without room for zeros in place of what is there keeps it until the next group is written over it.
    fn take_back(&self, open: &OpenSegment, error: &io::Error) -> CommitError {
        let refusal = self.disk_failed(error);
        let disk = &self.shared.disk;
        if refusal == CommitError::Full
            && disk.write_all_at(&open.file, &[0; HEADER_LEN], open.position).is_ok()
            && let Err(error) = disk.sync(&open.file)
        {
            let what = format!("a sync of {} failed: {error}", open.file.path.display());
            return CommitError::Failed(self.shared.fail(&what));
        }
        refusal
    }

    /// The group stands: the next one goes behind it.
    pub(super) fn stand(&mut self) {
        let Some(open) = &mut self.open else { return };
        let was_half_full = open.is_half_full();
        open.position += self.buffer.len() as u64;
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_KEPT);
        if !was_half_full && open.is_half_full() && self.shared.now() - open.since >= BUSY_SECS {
            let _ = self.chores.send(Chore::PrepareSegment);
        }
    }

    /// A full disk passes; anything else ends the store.
    fn disk_failed(&self, error: &io::Error) -> CommitError {
        if is_full(error) {
            return CommitError::Full;
        }
        CommitError::Failed(self.shared.fail(&format!("writing a segment failed: {error}")))
    }
}

/// A segment that was made and is not used yet.
pub(super) struct OpenedSegment(OpenSegment);

impl OpenSegment {
    fn is_half_full(&self) -> bool {
        self.position * 2 >= self.size
    }
}

impl Content {
    /// Octets of its record that are to be written now.
    pub(super) fn record_len(&self) -> u64 {
        match self {
            Content::Sealed(_) | Content::Spilled { .. } => 0,
            Content::Fresh { head, content, trailer, .. } => {
                (HEADER_LEN + head.len() + content.len() + trailer.len()) as u64
            }
            Content::Copied { record, .. } => record.len() as u64,
        }
    }
}

/// The header of a record whose content has this CRC already.
pub(super) fn header_for(span: &Span, head: &[u8], content_crc: Hasher, trailer: &[u8], now: i64) -> Header {
    let mut crc = Hasher::new();
    crc.update(head);
    crc.combine(&content_crc);
    Header {
        kind: Kind::Message,
        body: span.body,
        head_len: head.len() as u32,
        body_len: span.length,
        body_crc: crc.finalize(),
        trailer_len: trailer.len() as u32,
        trailer_crc: crc32fast::hash(trailer),
        written_at: now,
    }
}

/// Continues the segment that was open when the store was closed, or crashed.
fn reopen(shared: &Shared, number: i64, position: u64) -> Result<OpenSegment, OpenError> {
    let path = segment_path(&shared.seg_dir(), number);
    let file = shared.disk.open(&path).map_err(OpenError::io(&path))?;
    let length = file.file.metadata().map_err(OpenError::io(&path))?.len();
    Ok(OpenSegment { number, file, position, size: length.max(position), since: shared.now() })
}

/// Makes the next segment, with room for at least `length` octets of records.
fn open_next(shared: &Shared, length: u64) -> io::Result<OpenSegment> {
    let disk = &shared.disk;
    let number = shared.next_segment();
    let path = segment_path(&shared.seg_dir(), number);
    let size = shared.options.segment_octets.max(SEGMENT_HEADER_LEN as u64 + length);
    let file = match shared.take_spare(size) {
        Some(spare) => {
            disk.rename(&spare.path, &path)?;
            DiskFile { path, ..spare }
        }
        None => {
            let file = disk.create(&path)?;
            // Without this room the file would be of no use, and the next try makes another one.
            disk.allocate(&file, size).inspect_err(|_| remove_quietly(shared, &file.path))?;
            file
        }
    };
    let begin = |file: &DiskFile| {
        disk.write_all_at(file, &segment_header(number, SEGMENT_HEADER_LEN as u64), 0)?;
        disk.sync(file)?;
        disk.sync_dir(&shared.seg_dir())
    };
    begin(&file).inspect_err(|_| remove_quietly(shared, &file.path))?;
    Ok(OpenSegment { number, file, position: SEGMENT_HEADER_LEN as u64, size, since: shared.now() })
}

/// No row knows the file; where it stays it is removed at the next opening.
fn remove_quietly(shared: &Shared, path: &Path) {
    let _ = shared.disk.remove(path);
}

//! The first stage: bodies into the open segment, one sync for all that are waiting.
//!
//! ```text
//! wait for one ─→ take what else waits (bounded) ─→ records into one buffer ─→ write, sync ─→ batch to the index
//!                                                    └does not fit: write, sync, seal, next segment
//! ```
//!
//! The next segment is filled with zeros before it is used, unless segments fill fast: a sync that changes no block map
//! takes 150 µs instead of 240 (measured), which one caller feels, while the large batches of many do not, and the zeros
//! would compete with them for the disk.
//!
//! Invariants: a batch is sent only after its bodies are synced; a full disk refuses the commits that have a body and
//! lets the others pass, because those may make room; after a failed sync the position is never used again.
//! Not here: large messages (seal), rows (index).

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, SyncSender};

use crc32fast::Hasher;
use tokio::sync::mpsc;

use super::chores::Chore;
use super::{Batch, Content, Job, Order, Ready, Reply, SegmentNote, Work, Written};
use crate::Shared;
use crate::disk::{DiskFile, is_full};
use crate::error::{CommitError, OpenError};
use crate::index::Resume;
use crate::record::{self, HEADER_LEN, Header};
use crate::segment::{SEGMENT_HEADER_LEN, Span, segment_header, segment_path};

/// A batch ends with this many commits …
const BATCH_COMMITS: usize = 256;

/// … or with this many octets of bodies, whichever is first: a short sync for whoever waits next.
const BATCH_OCTETS: usize = 8 * 1024 * 1024;

/// A segment that is half full within so many seconds is being written in large batches.
const BUSY_SECS: i64 = 2;

/// A buffer that a burst has made larger than this is given back.
const BUFFER_KEPT: usize = 1024 * 1024;

/// The first stage.
pub(super) struct Bodies {
    shared: Arc<Shared>,
    batches: SyncSender<Batch>,
    chores: Sender<Chore>,
    open: Option<OpenSegment>,
    /// Records of the present batch that are not written yet; they belong at the open segment's position.
    buffer: Vec<u8>,
}

/// The segment that is being written.
struct OpenSegment {
    number: i64,
    file: DiskFile,
    /// Everything before is written and synced, or garbage that no row will point at.
    position: u64,
    /// Set aside so far; the segment is full when the position would pass it.
    size: u64,
    /// When writing into it began, Unix seconds.
    since: i64,
}

/// The commits of a batch, on their way through this stage.
#[derive(Default)]
struct Gathered {
    commits: Vec<Pending>,
    /// From here on they wait for the buffer to be written.
    unwritten: usize,
    notes: Vec<SegmentNote>,
}

/// A commit, and where its bodies are or will be.
struct Pending {
    work: Work,
    reply: Reply,
    outcome: Result<Vec<Written>, CommitError>,
}

impl Bodies {
    pub(super) fn new(
        shared: Arc<Shared>,
        resume: Resume,
        batches: SyncSender<Batch>,
        chores: Sender<Chore>,
    ) -> Result<Bodies, OpenError> {
        let open = match resume.open_segment {
            Some((number, position)) => Some(reopen(&shared, number, position)?),
            None => None,
        };
        if open.as_ref().is_some_and(OpenSegment::is_half_full) {
            let _ = chores.send(Chore::PrepareSegment);
        }
        Ok(Bodies { shared, batches, chores, open, buffer: Vec::new() })
    }

    pub(super) fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        while let Some(order) = orders.blocking_recv() {
            let mut is_closing = false;
            let mut jobs = Vec::new();
            let mut octets = 0;
            let mut next = Some(order);
            while let Some(order) = next {
                match order {
                    Order::Do(job) => {
                        octets += job.contents.iter().map(Content::len).sum::<usize>();
                        jobs.push(job);
                    }
                    Order::Close => is_closing = true,
                }
                let is_whole = is_closing || jobs.len() >= BATCH_COMMITS || octets >= BATCH_OCTETS;
                next = if is_whole { None } else { orders.try_recv().ok() };
            }
            if is_closing {
                // What was sent before is still carried out; nothing more gets in.
                orders.close();
            }
            if !jobs.is_empty() && self.carry_out(jobs).is_err() {
                // The index thread is gone: nobody can be promised anything any more.
                self.shared.fail("the index thread has ended");
                return;
            }
        }
    }

    fn carry_out(&mut self, jobs: Vec<Job>) -> Result<(), ()> {
        if let Some(reason) = self.shared.failure() {
            for job in jobs {
                let _ = job.reply.send(Err(CommitError::Failed(reason.clone())));
            }
            return Ok(());
        }
        let mut gathered = Gathered::default();
        for Job { work, contents, reply } in jobs {
            let outcome = self.enter_all(&work, contents, &mut gathered);
            gathered.commits.push(Pending { work, reply, outcome });
        }
        // Whom its failure concerns has been told by it.
        let _ = self.write_out(&mut gathered);
        self.send_on(gathered)
    }

    /// Puts a commit's records into the buffer and says where they are going to be.
    fn enter_all(
        &mut self,
        work: &Work,
        contents: Vec<Content>,
        gathered: &mut Gathered,
    ) -> Result<Vec<Written>, CommitError> {
        let mut all = Vec::with_capacity(contents.len());
        for (number, content) in contents.into_iter().enumerate() {
            match self.enter(work, number, content, !all.is_empty(), gathered) {
                Ok(written) => all.push(written),
                Err(error) => {
                    self.forsake(&all);
                    return Err(error);
                }
            }
        }
        Ok(all)
    }

    /// A commit will not be: what was sealed for it is removed. Its records in the buffer stay, and no row points at them.
    fn forsake(&self, written: &[Written]) {
        for written in written.iter().filter(|written| written.is_alone) {
            let _ = self.chores.send(Chore::Remove(written.span.segment));
        }
    }

    fn enter(
        &mut self,
        work: &Work,
        number: usize,
        content: Content,
        is_further: bool,
        gathered: &mut Gathered,
    ) -> Result<Written, CommitError> {
        match content {
            Content::Sealed(written) => Ok(written),
            Content::Spilled { .. } => Err(CommitError::Malformed("a large message was not sealed")),
            Content::Copied { record, span } => {
                let (segment, position) = self.place_for(record.len(), is_further, gathered)?;
                self.buffer.extend_from_slice(&record);
                let span = Span { segment, offset: position + HEADER_LEN as u64, ..span };
                Ok(Written { span, record_len: record.len() as u64, is_alone: false, segment_len: 0 })
            }
            Content::Fresh { head, content, content_crc } => {
                let trailer = trailer_of(work, number);
                let record_len = HEADER_LEN + head.len() + content.len() + trailer.len();
                let (segment, position) = self.place_for(record_len, is_further, gathered)?;
                let span = Span {
                    body: self.shared.next_body(),
                    segment,
                    offset: position + HEADER_LEN as u64,
                    length: (head.len() + content.len()) as u64,
                };
                let header = header_for(&span, &head, content_crc, &trailer, self.shared.now());
                for part in [&header.encode(), head.as_slice(), &content, &trailer] {
                    self.buffer.extend_from_slice(part);
                }
                Ok(Written { span, record_len: record_len as u64, is_alone: false, segment_len: 0 })
            }
        }
    }

    /// Where the next record goes, if it has this many octets: the segment, and the position in it. `is_further`: earlier records
    /// of the same commit may lie in the buffer, and it cannot be without them.
    fn place_for(
        &mut self,
        record_len: usize,
        is_further: bool,
        gathered: &mut Gathered,
    ) -> Result<(i64, u64), CommitError> {
        if let Some(place) = self.place_in_open(record_len) {
            return Ok(place);
        }
        match self.write_out(gathered) {
            Err(error) if is_further => return Err(error),
            _ => {}
        }
        if let Some(reason) = self.shared.failure() {
            return Err(CommitError::Failed(reason));
        }
        let next = open_next(&self.shared, record_len as u64).map_err(|error| self.disk_failed(&error))?;
        let place = (next.number, next.position);
        if let Some(full) = self.open.replace(next) {
            gathered.notes.push(SegmentNote { segment: full.number, committed_len: full.position, sealed: true });
        }
        Ok(place)
    }

    fn place_in_open(&self, record_len: usize) -> Option<(i64, u64)> {
        let open = self.open.as_ref()?;
        let position = open.position + self.buffer.len() as u64;
        (position + record_len as u64 <= open.size).then_some((open.number, position))
    }

    /// Writes and syncs the buffer; what cannot be written fails those who wait for it.
    fn write_out(&mut self, gathered: &mut Gathered) -> Result<(), CommitError> {
        let result = self.try_write_out(&mut gathered.notes);
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_KEPT);
        if let Err(error) = &result {
            for commit in &mut gathered.commits[gathered.unwritten..] {
                if let Ok(written) = &commit.outcome
                    && written.iter().any(|written| !written.is_alone)
                {
                    let written = std::mem::replace(&mut commit.outcome, Err(error.clone()));
                    self.forsake(&written.unwrap_or_default());
                }
            }
        }
        gathered.unwritten = gathered.commits.len();
        result
    }

    fn try_write_out(&mut self, notes: &mut Vec<SegmentNote>) -> Result<(), CommitError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if self.buffer.is_empty() {
            return Ok(());
        }
        let disk = &self.shared.disk;
        if let Err(error) = disk.write_all_at(&open.file, &self.buffer, open.position) {
            return Err(self.disk_failed(&error));
        }
        if let Err(error) = disk.sync(&open.file) {
            // After a failed sync nobody knows what is on the disk, and a second one would lie: it tells of new errors only.
            let what = format!("a sync of {} failed: {error}", open.file.path.display());
            return Err(CommitError::Failed(self.shared.fail(&what)));
        }
        let was_half_full = open.is_half_full();
        open.position += self.buffer.len() as u64;
        let is_due = !was_half_full && open.is_half_full() && self.shared.now() - open.since >= BUSY_SECS;
        notes.push(SegmentNote { segment: open.number, committed_len: open.position, sealed: false });
        if is_due {
            let _ = self.chores.send(Chore::PrepareSegment);
        }
        Ok(())
    }

    /// A full disk passes; anything else ends the store.
    fn disk_failed(&self, error: &io::Error) -> CommitError {
        if is_full(error) {
            return CommitError::Full;
        }
        CommitError::Failed(self.shared.fail(&format!("writing a segment failed: {error}")))
    }

    /// Sends the batch on. Gives an error when nobody is there to take it.
    fn send_on(&mut self, gathered: Gathered) -> Result<(), ()> {
        let failure = self.shared.failure();
        let mut ready = Vec::with_capacity(gathered.commits.len());
        for Pending { work, reply, outcome } in gathered.commits {
            match (outcome, &failure) {
                (Ok(written), None) => ready.push(Ready { work, written, reply }),
                (Ok(_), Some(reason)) => {
                    let _ = reply.send(Err(CommitError::Failed(reason.clone())));
                }
                (Err(error), _) => {
                    let _ = reply.send(Err(error));
                }
            }
        }
        if ready.is_empty() && gathered.notes.is_empty() {
            return Ok(());
        }
        self.batches.send(Batch { ready, notes: gathered.notes }).map_err(|_| ())
    }
}

impl OpenSegment {
    fn is_half_full(&self) -> bool {
        self.position * 2 >= self.size
    }
}

impl Content {
    /// Octets that are to be written now, trailer not counted.
    fn len(&self) -> usize {
        match self {
            Content::Sealed(_) | Content::Spilled { .. } => 0,
            Content::Fresh { head, content, .. } => head.len() + content.len(),
            Content::Copied { record, .. } => record.len(),
        }
    }
}

fn trailer_of(work: &Work, number: usize) -> Vec<u8> {
    match work {
        Work::Ops { ops, .. } => record::trailer(ops, number),
        Work::Move { .. } | Work::Discard { .. } | Work::Outline { .. } => Vec::new(),
    }
}

/// The header of a record whose content has this CRC already.
pub(super) fn header_for(span: &Span, head: &[u8], content_crc: Hasher, trailer: &[u8], now: i64) -> Header {
    let mut crc = Hasher::new();
    crc.update(head);
    crc.combine(&content_crc);
    Header {
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

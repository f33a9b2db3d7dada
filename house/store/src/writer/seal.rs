//! Large messages: a spilled draft becomes a segment of its own, beside the writer and without being copied.
//!
//! ```text
//! tmp/draft:  hole … header, head │ content │ trailer      → sync → rename into seg/ → sync seg/ → committer
//! ```
//!
//! Here, too, is found out what lists will say of it: beside the pipeline, in pieces.
//!
//! Invariants: the committer hears of the segment only once file and name are durable; a segment that no commit has
//! entered is removed when the store is opened again.
//! Not here: receiving (draft), rows (index).

use std::io;
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};

use super::bodies::header_for;
use super::{Content, Job, Order, Work, Written, orders};
use crate::Shared;
use crate::disk::is_full;
use crate::draft::{HEAD_ROOM, Spill, copy_from};
use crate::error::CommitError;
use crate::essence::Essence;
use crate::record::{self, HEADER_LEN};
use crate::segment::{Span, segment_header, segment_path};

/// One of the threads that seal.
pub(super) struct Sealer {
    shared: Arc<Shared>,
    queue: Arc<Mutex<mpsc::Receiver<Option<Job>>>>,
    orders: mpsc::Sender<Order>,
}

impl Sealer {
    pub(super) fn new(
        shared: Arc<Shared>,
        queue: Arc<Mutex<mpsc::Receiver<Option<Job>>>>,
        orders: mpsc::Sender<Order>,
    ) -> Sealer {
        Sealer { shared, queue, orders }
    }

    pub(super) fn run(self) {
        // `None` ends one thread.
        while let Some(Some(job)) = self.next() {
            self.seal(job);
        }
    }

    fn next(&self) -> Option<Option<Job>> {
        self.queue.blocking_lock().blocking_recv()
    }

    fn seal(&self, mut job: Job) {
        if let Some(reason) = self.shared.failure() {
            let _ = job.reply.send(Err(CommitError::Failed(reason)));
            return;
        }
        let Work::Ops { ops, essences } = &mut job.work else { return };
        let mut sealed = Vec::new();
        for (number, content) in job.contents.iter_mut().enumerate() {
            let trailer = record::trailer(ops, number);
            let is_listed = orders::is_placed(ops, number);
            match seal_one(&self.shared, content, trailer, is_listed) {
                Ok(None) => {}
                Ok(Some((written, essence))) => {
                    sealed.push(written.span.segment);
                    *content = Content::Sealed(written);
                    essences[number] = essence;
                }
                Err(error) => {
                    self.forsake(&sealed);
                    let _ = job.reply.send(Err(self.refusal(&error)));
                    return;
                }
            }
        }
        if let Err(mpsc::error::SendError(Order::Do(job))) = self.orders.blocking_send(Order::Do(job)) {
            let _ = job.reply.send(Err(CommitError::Closed));
        }
    }

    /// Segments that no commit will enter. What cannot be removed now is removed when the store is opened again.
    fn forsake(&self, segments: &[i64]) {
        for segment in segments {
            let _ = self.shared.disk.remove(&segment_path(&self.shared.seg_dir(), *segment));
        }
    }

    fn refusal(&self, error: &io::Error) -> CommitError {
        match is_full(error) {
            true => CommitError::Full,
            false => CommitError::Failed(self.shared.fail(&format!("sealing a large message failed: {error}"))),
        }
    }
}

/// Makes a segment of a draft that has spilled; others stay as they are.
fn seal_one(
    shared: &Shared,
    content: &mut Content,
    trailer: Vec<u8>,
    is_listed: bool,
) -> io::Result<Option<(Written, Essence)>> {
    let Content::Spilled { head, spill, content_crc } = content else { return Ok(None) };
    spill.flush()?;
    let essence = if is_listed { outline(head, spill)? } else { Essence::default() };
    let mut parts = Parts { spill, head, content_crc, trailer };
    let written = parts.become_segment(shared)?;
    spill.give_away();
    Ok(Some((written, essence)))
}

/// Reads the message once more, piece by piece: it is in the page cache still.
fn outline(head: &[u8], spill: &Spill) -> io::Result<Essence> {
    let (essence, _) = Essence::read(|at, buf| match at.checked_sub(head.len() as u64) {
        Some(at) => spill.read(at, buf),
        None => Ok(copy_from(head, at, buf)),
    })?;
    Ok(essence)
}

/// What a segment is made of.
struct Parts<'a> {
    spill: &'a Spill,
    head: &'a [u8],
    content_crc: &'a crc32fast::Hasher,
    trailer: Vec<u8>,
}

impl Parts<'_> {
    fn become_segment(&mut self, shared: &Shared) -> io::Result<Written> {
        let content_len = self.spill.written();
        let Some(file) = self.spill.file() else { return Err(io::ErrorKind::NotFound.into()) };
        let segment = shared.next_segment();
        let head_len = self.head.len() as u64;
        let span =
            Span { body: shared.next_body(), segment, offset: HEAD_ROOM - head_len, length: head_len + content_len };
        let header = header_for(&span, self.head, self.content_crc.clone(), &self.trailer, shared.now());
        let segment_len = HEAD_ROOM + content_len + self.trailer.len() as u64;

        let mut front = header.encode().to_vec();
        front.extend_from_slice(self.head);
        let disk = &shared.disk;
        disk.write_all_at(file, &segment_header(segment, span.record_offset()), 0)?;
        disk.write_all_at(file, &front, span.offset - HEADER_LEN as u64)?;
        disk.write_all_at(file, &self.trailer, HEAD_ROOM + content_len)?;
        disk.sync(file)?;
        let path = segment_path(&shared.seg_dir(), segment);
        disk.rename(&file.path, &path)?;
        // Nobody will enter it; what cannot be removed now is removed when the store is opened again.
        disk.sync_dir(&shared.seg_dir()).inspect_err(|_| drop(disk.remove(&path)))?;
        Ok(Written { span, record_len: header.record_len(), is_alone: true, segment_len })
    }
}

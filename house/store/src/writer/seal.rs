//! Large messages: a spilled draft becomes a segment of its own, beside the writer and without being copied.
//!
//! ```text
//! tmp/draft:  hole … header, head │ content │ trailer      → sync → rename into seg/ → sync seg/ → first stage
//! ```
//!
//! Invariants: the first stage hears of the segment only once file and name are durable; a segment that no commit has
//! entered is removed when the store is opened again.
//! Not here: receiving (draft), rows (index).

use std::io;
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};

use super::bodies::header_for;
use super::{Content, Job, Order, SealJob, Work, Written};
use crate::Shared;
use crate::disk::is_full;
use crate::draft::HEAD_ROOM;
use crate::error::CommitError;
use crate::record::{self, HEADER_LEN};
use crate::segment::{Span, segment_header, segment_path};

/// One of the threads that seal.
pub(super) struct Sealer {
    shared: Arc<Shared>,
    queue: Arc<Mutex<mpsc::Receiver<Option<SealJob>>>>,
    orders: mpsc::Sender<Order>,
}

impl Sealer {
    pub(super) fn new(
        shared: Arc<Shared>,
        queue: Arc<Mutex<mpsc::Receiver<Option<SealJob>>>>,
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

    fn next(&self) -> Option<Option<SealJob>> {
        self.queue.blocking_lock().blocking_recv()
    }

    fn seal(&self, job: SealJob) {
        let SealJob { ops, head, spill, content_crc, reply } = job;
        if let Some(reason) = self.shared.failure() {
            let _ = reply.send(Err(CommitError::Failed(reason)));
            return;
        }
        let mut parts = Parts { spill, head, content_crc, trailer: record::trailer(&ops) };
        match parts.become_segment(&self.shared) {
            Ok(written) => {
                parts.spill.give_away();
                let job = Job { work: Work::Ops(ops), content: Content::Sealed(written), reply };
                if let Err(mpsc::error::SendError(Order::Do(job))) = self.orders.blocking_send(Order::Do(job)) {
                    let _ = job.reply.send(Err(CommitError::Closed));
                }
            }
            Err(error) if is_full(&error) => {
                let _ = reply.send(Err(CommitError::Full));
            }
            Err(error) => {
                let reason = self.shared.fail(&format!("sealing a large message failed: {error}"));
                let _ = reply.send(Err(CommitError::Failed(reason)));
            }
        }
    }
}

/// What a segment is made of.
struct Parts {
    spill: crate::draft::Spill,
    head: Vec<u8>,
    content_crc: crc32fast::Hasher,
    trailer: Vec<u8>,
}

impl Parts {
    fn become_segment(&mut self, shared: &Shared) -> io::Result<Written> {
        self.spill.flush()?;
        let content_len = self.spill.written();
        let Some(file) = self.spill.file() else { return Err(io::ErrorKind::NotFound.into()) };
        let segment = shared.next_segment();
        let head_len = self.head.len() as u64;
        let span =
            Span { body: shared.next_body(), segment, offset: HEAD_ROOM - head_len, length: head_len + content_len };
        let header = header_for(&span, &self.head, self.content_crc.clone(), &self.trailer, shared.now());
        let segment_len = HEAD_ROOM + content_len + self.trailer.len() as u64;

        let mut front = header.encode().to_vec();
        front.extend_from_slice(&self.head);
        let disk = &shared.disk;
        disk.write_all_at(file, &segment_header(segment, span.record_offset()), 0)?;
        disk.write_all_at(file, &front, span.offset - HEADER_LEN as u64)?;
        disk.write_all_at(file, &self.trailer, HEAD_ROOM + content_len)?;
        disk.sync(file)?;
        disk.rename(&file.path, &segment_path(&shared.seg_dir(), segment))?;
        disk.sync_dir(&shared.seg_dir())?;
        Ok(Written { span, record_len: header.record_len(), is_alone: true, segment_len })
    }
}

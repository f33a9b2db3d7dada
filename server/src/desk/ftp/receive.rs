//! An upload, from its first octet to its commit.
//!
//! ```text
//! line ─→ the first octets ─end→ commit                                     small files: one visit to the disk
//!                 │
//!                 ├─ as they are ─→ ready · take_in, turn by turn ─end→ commit
//!                 └─ TYPE A, MODE Z ─→ stretch by stretch ───────────end→ commit
//! anything else than an end in good order ─→ kept to be continued, never committed
//! ```
//!
//! Invariants: an upload is committed only after an end in good order, and while the client is still there; whoever waits
//! for the disk does it on a thread that may, whoever waits for the client, for longer than a moment, does not.
//! Not here: how a file becomes durable (files), how octets travel (net).

use super::filter::Unfolding;
use super::report::Transfer;
use super::transfer::{Link, broken, count};
use super::work::Stopped;
use super::{Line, refusal, visit};
use files::Upload;
use ftp::{Outcome, Refusal};
use net::{Arrival, DataLine, Fault, Taken};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// So much is received before the disk is visited, in octets: files of this size need one visit.
const FIRST_OCTETS: usize = 16 * 1024;

/// So much of TYPE A is received before it is written, in octets: large writes cost least, and thousands of uploads must fit.
/// In MODE Z it stays at the little that comes first: that may become a thousand times as much, and ABOR is heard only when
/// it is written.
const RECEIVE_OCTETS: usize = 256 * 1024;

/// A turn that brings less than this, in octets, was hardly worth a visit to the disk's threads.
const FEW_OCTETS: u64 = 32 * 1024;

/// So long we let octets gather then. Files below [`LONG_OCTETS`] are not kept waiting.
const GATHER: Duration = Duration::from_millis(5);

/// From so many octets on an upload is a long one.
const LONG_OCTETS: u64 = 1024 * 1024;

/// How long the session may take to notice that its client has gone. A client that has said QUIT and closed its half waits
/// so long for its 226.
const GONE_LIMIT: Duration = Duration::from_secs(1);

/// An upload and what it comes through.
pub(super) struct Receiver {
    pub(super) upload: Box<Upload>,
    pub(super) unfolding: Unfolding,
    pub(super) data: DataLine,
    pub(super) link: Link,
    pub(super) record: Arc<Transfer>,
}

impl Receiver {
    /// Receives it.
    pub(super) async fn receive(self, progress: &Arc<AtomicU64>, stopped: &mut Stopped) -> Outcome {
        let Receiver { upload, unfolding, mut data, link, record } = self;
        let mut sink = Sink { upload, unfolding, record };
        let mut buffer = Vec::with_capacity(FIRST_OCTETS);
        loop {
            let arrival = tokio::select! {
                biased;
                () = stopped.wait() => Err(Outcome::Aborted),
                arrival = data.receive(&mut buffer) => arrival.map_err(broken),
            };
            match arrival {
                Ok(Arrival::Octets(octets)) => {
                    progress.fetch_add(octets as u64, Ordering::Relaxed);
                    // Nearly full: another read would be a small one.
                    if buffer.len() < buffer.capacity() * 3 / 4 {
                        continue;
                    }
                    if sink.unfolding.is_nothing() {
                        return Taking { sink, data, link }.take_in(buffer, progress, stopped).await;
                    }
                    match sink.write(buffer).await {
                        Ok((same, emptied)) => (sink, buffer) = (same, emptied),
                        Err(outcome) => return outcome,
                    }
                    if !sink.unfolding.is_of_mode_z() {
                        buffer.reserve_exact(RECEIVE_OCTETS);
                    }
                }
                Ok(Arrival::End) => return sink.end(buffer, data, &link, progress, stopped).await,
                Err(outcome) => return sink.keep(buffer, outcome).await,
            }
        }
    }
}

/// An upload whose octets go into the file as they are.
struct Taking {
    sink: Sink,
    data: DataLine,
    link: Link,
}

impl Taking {
    /// Takes it in, behind what was received already.
    async fn take_in(mut self, first: Vec<u8>, progress: &Arc<AtomicU64>, stopped: &mut Stopped) -> Outcome {
        let mut first = Some(first);
        loop {
            let before = progress.load(Ordering::Relaxed);
            let turn = self.turn(first.take(), Arc::clone(progress), stopped).await;
            let (same, taken) = match turn {
                Ok(turn) => turn,
                Err(outcome) => return outcome,
            };
            self = same;
            let total = progress.load(Ordering::Relaxed);
            let waited = match taken {
                Ok(Taken::End) => return self.sink.end(Vec::new(), self.data, &self.link, progress, stopped).await,
                Err(outcome) => Err(outcome),
                Ok(Taken::Some) => tokio::select! {
                    biased;
                    () = stopped.wait() => Err(Outcome::Aborted),
                    ready = ready(&mut self.data, total > LONG_OCTETS && total - before < FEW_OCTETS) => ready,
                },
            };
            if let Err(outcome) = waited {
                return self.sink.keep(Vec::new(), outcome).await;
            }
        }
    }

    /// One turn, on a thread that may wait for the disk. The outer error is one of the file, and the upload is over.
    async fn turn(
        mut self,
        first: Option<Vec<u8>>,
        progress: Arc<AtomicU64>,
        stopped: &Stopped,
    ) -> Result<(Self, Result<Taken, Outcome>), Outcome> {
        let stop = stopped.flag();
        let turn = visit::long(move || {
            let upload = &mut self.sink.upload;
            let give = |octets: &[u8]| upload.write_all(octets);
            match self.data.take_in(&first.unwrap_or_default(), give, &stop, count(&progress)) {
                Ok(taken) => Ok((self, Ok(taken))),
                Err(Fault::Line(why)) => Ok((self, Err(broken(why)))),
                Err(Fault::Taker(error)) => {
                    self.sink.upload.abandon();
                    Err(Outcome::Refused(refusal(error)))
                }
            }
        });
        turn.await.unwrap_or(Err(Outcome::Refused(Refusal::LocalError)))
    }
}

/// Waits until more has come; after a turn that brought little, until a little more has.
async fn ready(data: &mut DataLine, little: bool) -> Result<(), Outcome> {
    data.ready().await.map_err(broken)?;
    if little {
        tokio::time::sleep(GATHER).await;
    }
    Ok(())
}

async fn is_stopped_soon(stopped: &mut Stopped) -> bool {
    tokio::time::timeout(GONE_LIMIT, stopped.wait()).await.is_ok()
}

/// Where what arrives goes. All of it happens on threads that may wait.
struct Sink {
    upload: Box<Upload>,
    unfolding: Unfolding,
    record: Arc<Transfer>,
}

/// What came of the end of a stream.
enum Committed {
    Ended(Outcome),
    /// The control connection has ended, too. Perhaps the client has only said all it had to say.
    Doubted(Sink),
}

impl Sink {
    /// Writes what is in the buffer and gives it back empty. When that fails, the upload is over.
    async fn write(mut self, mut buffer: Vec<u8>) -> Result<(Self, Vec<u8>), Outcome> {
        let written = visit::long(move || match self.unfold(&buffer) {
            Ok(()) => {
                buffer.clear();
                Ok((self, buffer))
            }
            Err(outcome) => {
                self.upload.abandon();
                Err(outcome)
            }
        });
        written.await.unwrap_or(Err(Outcome::Refused(Refusal::LocalError)))
    }

    /// The stream has ended in good order.
    async fn end(
        self,
        rest: Vec<u8>,
        data: DataLine,
        link: &Link,
        progress: &AtomicU64,
        stopped: &mut Stopped,
    ) -> Outcome {
        let octets = progress.load(Ordering::Relaxed);
        let outcome = match self.commit_unless_gone(rest, octets, Arc::clone(&link.line)).await {
            Committed::Ended(outcome) => outcome,
            // A dead client's session is about to notice it.
            Committed::Doubted(sink) if is_stopped_soon(stopped).await => {
                return sink.keep(Vec::new(), Outcome::Aborted).await;
            }
            Committed::Doubted(sink) => sink.commit(octets).await,
        };
        data.leave().await;
        outcome
    }

    /// The stream has ended, which looks the same whether the client is done or dead. A dead one's system closes the control
    /// connection too, in no certain order: so we look for that once the octets are on disk, when both have had time to come.
    async fn commit_unless_gone(mut self, rest: Vec<u8>, octets: u64, line: Arc<Line>) -> Committed {
        let committed = visit::short(move || {
            if let Err(outcome) = self.unfold(&rest) {
                self.upload.abandon();
                return Committed::Ended(outcome);
            }
            if let Err(outcome) = self.put_last() {
                // In MODE Z we can tell that there was more to come.
                self.upload.interrupt();
                return Committed::Ended(outcome);
            }
            match self.upload.sync() {
                Ok(()) if line.client_is_gone() => Committed::Doubted(self),
                Ok(()) => Committed::Ended(self.publish(octets)),
                Err(error) => {
                    self.upload.abandon();
                    Committed::Ended(Outcome::Refused(refusal(error)))
                }
            }
        });
        committed.await.unwrap_or(Committed::Ended(Outcome::Refused(Refusal::LocalError)))
    }

    /// This was all.
    async fn commit(self, octets: u64) -> Outcome {
        let committed = visit::short(move || self.publish(octets));
        committed.await.unwrap_or(Outcome::Refused(Refusal::LocalError))
    }

    fn publish(self, octets: u64) -> Outcome {
        match self.upload.commit() {
            Ok(stored) => {
                self.record.note_stored(stored);
                Outcome::Completed { octets }
            }
            Err(error) => Outcome::Refused(refusal(error)),
        }
    }

    /// It broke off: what came is kept, so that the client can go on from there.
    async fn keep(mut self, rest: Vec<u8>, outcome: Outcome) -> Outcome {
        let kept = visit::short(move || {
            match self.unfold(&rest) {
                // Of a damaged stream nobody knows where the damage began.
                Err(Outcome::Garbled) => self.upload.abandon(),
                // What cannot be written cannot be kept; the rest of it can.
                Ok(()) | Err(_) => self.record.note_kept(self.upload.interrupt()),
            }
        });
        let _ = kept.await;
        outcome
    }

    fn unfold(&mut self, octets: &[u8]) -> Result<(), Outcome> {
        let Sink { upload, unfolding, .. } = self;
        unfolding.put(octets, |octets| upload.write_all(octets).map_err(|error| Outcome::Refused(refusal(error))))
    }

    /// What was held back.
    fn put_last(&mut self) -> Result<(), Outcome> {
        let Sink { upload, unfolding, .. } = self;
        unfolding.end(|octets| upload.write_all(octets).map_err(|error| Outcome::Refused(refusal(error))))
    }
}

/// Nothing came of it.
pub(super) async fn interrupt(upload: Box<Upload>, record: &Transfer) {
    let kept = visit::short(move || upload.interrupt()).await;
    record.note_kept(kept.flatten());
}

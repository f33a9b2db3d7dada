//! How a commit becomes durable: three sorts of thread, one order.
//!
//! ```text
//! commit ─small─────────────→ committer: a group in the transaction, its bodies and a journal entry synced ─→ reply, feed
//!        └spilled→ sealers: ──↗                    └what no entry can say: transaction committed and synced, too
//!                  sync, rename                    └→ chores: remove empty segments, prepare the next
//! ```
//!
//! The committer waits for no company: what arrived during the last sync is the next group. Rows that the journal has are committed when
//! there are many, when somebody wants to read, or after a moment; until then the journal has them.
//!
//! Invariants: commits keep their order; a reply is sent once everything is durable that makes the commit; after a failed sync
//! nothing is tried again and every later commit is refused with the reason.
//! Not here: which orders make sense (orders), what they mean (index), what an entry is (journal).

mod bodies;
mod chores;
mod committer;
mod order_queue;
mod orders;
mod seal;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crc32fast::Hasher;
use tokio::sync::{mpsc, oneshot};

use crate::Shared;
use crate::draft::{Contents, Spill};
use crate::error::{CommitError, OpenError};
use crate::essence::Essence;
use crate::index::{Index, Resume};
use crate::names::BodyId;
use crate::op::{Body, Commit, Committed, Op};
use crate::record;
use crate::segment::Span;

/// How many commits may lie in the channel.
pub const CHANNEL_MAX: usize = 1024;

/// How many callers may wait for room in the channel; the next one is told to try later.
pub const WAITING_MAX: usize = 4096;

/// How many large messages may lie in the sealers' channel.
const SEALING_MAX: usize = 64;

/// Large messages are synced this many at a time: enough to keep a disk busy.
const SEALERS: usize = 2;

/// What is to be done with the index.
#[derive(Debug)]
pub(crate) enum Work {
    /// What a caller ordered, and what the index keeps of the bodies that came with it.
    Ops { ops: Vec<Op>, essences: Vec<Essence> },
    /// What lists say of a body that came before outlines were kept.
    Outline { body: BodyId, outline: Vec<u8> },
    /// A record was copied forward from the segment `source`.
    Move { body: BodyId, source: i64 },
    /// No record of this segment is needed any more.
    Discard { segment: i64 },
}

/// The octets of one body.
pub(crate) enum Content {
    /// A message that is to be written into the open segment.
    Fresh { head: Vec<u8>, content: Vec<u8>, content_crc: Hasher, trailer: Vec<u8> },
    /// A large message that is still a file in `tmp/`. Sealers take it from there.
    Spilled { head: Vec<u8>, spill: Spill, content_crc: Hasher },
    /// A large message that has become a segment already.
    Sealed(Written),
    /// A whole record, copied from another segment.
    Copied { record: Vec<u8>, span: Span },
}

/// Where a body has been written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written {
    pub(crate) span: Span,
    pub(crate) record_len: u64,
    /// It has a segment of its own, of this length.
    pub(crate) is_alone: bool,
    pub(crate) segment_len: u64,
}

pub(crate) type Reply = oneshot::Sender<Result<Committed, CommitError>>;

/// A commit on its way.
pub(crate) struct Job {
    pub(crate) work: Work,
    pub(crate) contents: Vec<Content>,
    pub(crate) reply: Reply,
}

/// What the committer is told.
pub(crate) enum Order {
    Do(Job),
    /// Finish what has been sent and end.
    Close,
}

/// What was done to a segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SegmentNote {
    pub(crate) segment: i64,
    pub(crate) committed_len: u64,
    pub(crate) sealed: bool,
}

/// The doors of the running threads.
pub(crate) struct Writer {
    orders: mpsc::Sender<Order>,
    seals: mpsc::Sender<Option<Job>>,
    waiting: Arc<AtomicUsize>,
    threads: Mutex<Option<Threads>>,
}

struct Threads {
    sealers: Vec<JoinHandle<()>>,
    committer: JoinHandle<()>,
    chores: JoinHandle<()>,
}

impl Writer {
    pub(crate) fn start(shared: &Arc<Shared>, index: Index, resume: Resume) -> Result<Writer, OpenError> {
        let (orders, order_queue) = mpsc::channel(CHANNEL_MAX);
        let (seals, seal_queue) = mpsc::channel(SEALING_MAX);
        let (chores, chore_queue) = std::sync::mpsc::channel();

        let bodies = bodies::Bodies::new(Arc::clone(shared), resume, chores.clone())?;
        let committer = committer::Committer::new(Arc::clone(shared), index, bodies, chores);
        let seal_queue = Arc::new(tokio::sync::Mutex::new(seal_queue));
        let mut sealers = Vec::new();
        for _ in 0..SEALERS {
            let sealer = seal::Sealer::new(Arc::clone(shared), Arc::clone(&seal_queue), orders.clone());
            sealers.push(spawn(shared, "store-seal", move || sealer.run())?);
        }
        let chores_of = Arc::clone(shared);
        let threads = Threads {
            sealers,
            committer: spawn(shared, "store-commits", move || committer.run(order_queue))?,
            chores: spawn(shared, "store-chores", move || chores::run(&chores_of, &chore_queue))?,
        };
        Ok(Writer { orders, seals, waiting: Arc::default(), threads: Mutex::new(Some(threads)) })
    }

    /// Carries out a commit. Once it has been sent it is carried out, also when the future is dropped.
    pub(crate) fn commit(&self, commit: Commit) -> impl Future<Output = Result<Committed, CommitError>> + Send + use<> {
        let waiting = Arc::clone(&self.waiting);
        let orders = self.orders.clone();
        let seals = self.seals.clone();
        async move {
            let place = Waiting::enter(&waiting)?;
            let (job, outcome) = pack(commit)?;
            match job.is_large() {
                false => orders.send(Order::Do(job)).await.map_err(|_| CommitError::Closed)?,
                true => seals.send(Some(job)).await.map_err(|_| CommitError::Closed)?,
            }
            drop(place);
            outcome.await.unwrap_or(Err(CommitError::Closed))
        }
    }

    /// The same for callers that may block.
    pub(crate) fn commit_blocking(&self, commit: Commit) -> Result<Committed, CommitError> {
        let place = Waiting::enter(&self.waiting)?;
        let (job, outcome) = pack(commit)?;
        match job.is_large() {
            false => self.orders.blocking_send(Order::Do(job)).map_err(|_| CommitError::Closed)?,
            true => self.seals.blocking_send(Some(job)).map_err(|_| CommitError::Closed)?,
        }
        drop(place);
        outcome.blocking_recv().unwrap_or(Err(CommitError::Closed))
    }

    /// Sends work of the store's own and waits for it.
    pub(crate) fn run_blocking(&self, work: Work) -> Result<Committed, CommitError> {
        self.begin_blocking(work, Vec::new())?.blocking_recv().unwrap_or(Err(CommitError::Closed))
    }

    /// Sends work of the store's own.
    pub(crate) fn begin_blocking(&self, work: Work, contents: Vec<Content>) -> Result<Outcome, CommitError> {
        let (reply, outcome) = oneshot::channel();
        let job = Job { work, contents, reply };
        self.orders.blocking_send(Order::Do(job)).map_err(|_| CommitError::Closed)?;
        Ok(outcome)
    }

    /// Whether it has not been closed.
    pub(crate) fn is_running(&self) -> bool {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Carries out what has been sent, then ends the threads. The second call does nothing.
    pub(crate) fn close(&self) {
        let mut guard = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(threads) = guard.take() else { return };
        // Each stage ends once the one before it has sent its last; a thread that has panicked has ended already.
        for _ in &threads.sealers {
            let _ = block_on_send(&self.seals, None);
        }
        for sealer in threads.sealers {
            let _ = sealer.join();
        }
        let _ = block_on_send(&self.orders, Order::Close);
        for thread in [threads.committer, threads.chores] {
            let _ = thread.join();
        }
    }
}

/// Sends from any thread, also one that runs asynchronous tasks: the store may be dropped there.
fn block_on_send<T>(sender: &mpsc::Sender<T>, mut item: T) -> Result<(), ()> {
    loop {
        match sender.try_send(item) {
            Ok(()) => return Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(()),
            Err(mpsc::error::TrySendError::Full(back)) => {
                item = back;
                thread::yield_now();
            }
        }
    }
}

fn spawn(
    shared: &Arc<Shared>,
    name: &'static str,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, OpenError> {
    let alarm = Alarm { shared: Arc::clone(shared), thread: name };
    let run = move || {
        let _alarm = alarm;
        run();
    };
    thread::Builder::new().name(name.into()).spawn(run).map_err(OpenError::io(name))
}

/// A thread that panics takes the store with it: nobody may wait for it in vain, nor be promised anything.
struct Alarm {
    shared: Arc<Shared>,
    thread: &'static str,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if thread::panicking() {
            self.shared.fail(&format!("the thread {} has panicked", self.thread));
            self.shared.readers.lag().end();
        }
    }
}

/// A place among those who wait for room in a channel.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn enter(count: &Arc<AtomicUsize>) -> Result<Waiting, CommitError> {
        let place = Waiting(Arc::clone(count));
        match place.0.fetch_add(1, Ordering::Relaxed) {
            before if before < WAITING_MAX => Ok(place),
            _ => Err(CommitError::Busy),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(crate) type Outcome = oneshot::Receiver<Result<Committed, CommitError>>;

impl Job {
    /// Whether it has to be sealed first.
    fn is_large(&self) -> bool {
        self.contents.iter().any(|content| matches!(content, Content::Spilled { .. }))
    }
}

/// Checks what can be checked without the index, and finds out what the index keeps of the bodies that are in memory.
fn pack(commit: Commit) -> Result<(Job, Outcome), CommitError> {
    orders::check(&commit)?;
    let (reply, outcome) = oneshot::channel();
    let Commit { ops, bodies } = commit;
    let mut essences = Vec::with_capacity(bodies.len());
    let mut contents = Vec::with_capacity(bodies.len());
    for (number, Body { head, draft }) in bodies.into_iter().enumerate() {
        match draft.into_contents() {
            (Contents::InMemory(content), content_crc) => {
                let is_listed = orders::is_placed(&ops, number);
                essences.push(if is_listed { Essence::of(&head, &content) } else { Essence::default() });
                contents.push(Content::Fresh { head, content, content_crc, trailer: record::trailer(&ops, number) });
            }
            (Contents::Spilled(spill), content_crc) => {
                essences.push(Essence::default());
                contents.push(Content::Spilled { head, spill, content_crc });
            }
        }
    }
    Ok((Job { work: Work::Ops { ops, essences }, contents, reply }, outcome))
}

//! What runs beside a session: one transfer, hash or combination.
//!
//! ```text
//! begin ─→ within the session's own task ─small: ended
//!                     └─ polled often, or the session went ─→ a task of its own ─→ ended
//! ```
//!
//! A small file is through after a few looks. Were it in a task of its own, each change between the tasks would wake a thread,
//! which costs more than the file.
//!
//! Invariants: it ends once; who drops it stops it, and it still comes to its end in good order.
//! Not here: what is done (transfer).

use ftp::Outcome;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// After so many looks within the session's task it gets a task of its own: it is no small file, and a command should not wait
/// until it rests.
const LOOKS_MAX: u32 = 8;

/// Something that runs.
pub(super) struct Work {
    progress: Arc<AtomicU64>,
    course: Course,
    /// Whoever runs looks at the other end of it: once this is gone, he is to stop.
    running: Option<oneshot::Sender<()>>,
    /// The same for what blocks.
    stop: Arc<AtomicBool>,
}

/// Where it runs.
enum Course {
    /// Within the session's task, which has looked so often.
    Here {
        running: Running,
        looks: u32,
    },
    /// In a task or on a thread of its own.
    Elsewhere(oneshot::Receiver<Outcome>),
    Over(Outcome),
}

/// The lock is never taken: it is there so that a desk which has this can be looked at from another thread.
type Running = Mutex<Pin<Box<dyn Future<Output = Outcome> + Send>>>;

/// The end that the one who runs has.
pub(super) struct Stopped {
    gone: oneshot::Receiver<()>,
    flag: Arc<AtomicBool>,
}

impl Stopped {
    /// Ends when he is to stop. May be asked again only until then.
    pub(super) async fn wait(&mut self) {
        // Nothing is ever sent; the other end just goes.
        let _ = (&mut self.gone).await;
    }

    /// The same for a part of it that blocks: set when it is to stop.
    pub(super) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.flag)
    }
}

impl Work {
    /// Begins what waits for sockets. What is small is perhaps done when this returns.
    pub(super) async fn begin<F>(run: impl FnOnce(Arc<AtomicU64>, Stopped) -> F) -> Self
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let (mut work, stopped) = Work::new();
        let running = Box::pin(run(Arc::clone(&work.progress), stopped));
        work.course = Course::Here { running: Mutex::new(running), looks: 0 };
        poll_fn(|cx| {
            if let Poll::Ready(outcome) = work.course.poll(cx) {
                work.course = Course::Over(outcome);
            }
            Poll::Ready(())
        })
        .await;
        work
    }

    /// Begins what blocks; it must look at the flag now and then.
    pub(super) fn begin_blocking(run: impl FnOnce(&AtomicBool) -> Outcome + Send + 'static) -> Self {
        let (mut work, _) = Work::new();
        let ((end, ended), stop) = (oneshot::channel(), Arc::clone(&work.stop));
        tokio::task::spawn_blocking(move || end.send(run(&stop)));
        work.course = Course::Elsewhere(ended);
        work
    }

    fn new() -> (Self, Stopped) {
        let (running, gone) = oneshot::channel();
        let (progress, stop) = (Arc::default(), Arc::<AtomicBool>::default());
        let stopped = Stopped { gone, flag: Arc::clone(&stop) };
        (Work { progress, course: Course::Over(LOST), running: Some(running), stop }, stopped)
    }

    /// Octets that have moved so far.
    pub(super) fn octets(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// Asks it to stop; its end will come.
    pub(super) fn stop(&mut self) {
        self.running = None;
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Ready at the end, and helps it on.
    pub(super) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        self.course.poll(cx)
    }
}

/// It has panicked: that is in the log.
const LOST: Outcome = Outcome::Refused(ftp::Refusal::LocalError);

impl Course {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        if let Course::Here { running, looks } = self {
            let running = running.get_mut().unwrap_or_else(PoisonError::into_inner);
            if let Poll::Ready(outcome) = running.as_mut().poll(cx) {
                *self = Course::Over(LOST);
                return Poll::Ready(outcome);
            }
            *looks += 1;
            if *looks < LOOKS_MAX {
                return Poll::Pending;
            }
        }
        self.depart();
        match self {
            Course::Elsewhere(ended) => Pin::new(ended).poll(cx).map(|ended| ended.unwrap_or(LOST)),
            Course::Over(outcome) => Poll::Ready(std::mem::replace(outcome, LOST)),
            Course::Here { .. } => Poll::Pending,
        }
    }

    /// From here on in a task of its own.
    fn depart(&mut self) {
        match (std::mem::replace(self, Course::Over(LOST)), Handle::try_current()) {
            (Course::Here { running, .. }, Ok(runtime)) => {
                let (end, ended) = oneshot::channel();
                let running = running.into_inner().unwrap_or_else(PoisonError::into_inner);
                runtime.spawn(async move {
                    // The session may be gone.
                    let _ = end.send(running.await);
                });
                *self = Course::Elsewhere(ended);
            }
            // Without a runtime nothing can come to its end: what is dropped is what breaks off.
            (same, _) => *self = same,
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.stop();
        self.course.depart();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Notify;

    /// Work that waits for so many notes, and says so when it has come to its end.
    async fn waiting(notes: u32, note: &Arc<Notify>, over: &Arc<Notify>) -> Work {
        let (note, over) = (Arc::clone(note), Arc::clone(over));
        Work::begin(|progress, _| async move {
            for _ in 0..notes {
                note.notified().await;
            }
            over.notify_one();
            Outcome::Completed { octets: progress.load(Ordering::Relaxed) }
        })
        .await
    }

    #[tokio::test]
    async fn it_ends_once_wherever_it_ran() {
        for notes in [0, 1, LOOKS_MAX - 1, LOOKS_MAX, 3 * LOOKS_MAX] {
            let (note, over) = <(Arc<Notify>, Arc<Notify>)>::default();
            let mut work = waiting(notes, &note, &over).await;
            let noting = async {
                for _ in 0..notes {
                    note.notify_one();
                    tokio::task::yield_now().await;
                }
                std::future::pending::<()>().await
            };
            let outcome = tokio::select! {
                outcome = poll_fn(|cx| work.poll_ended(cx)) => outcome,
                () = noting => unreachable!("it is pending"),
            };
            assert_eq!(outcome, Outcome::Completed { octets: 0 }, "{notes}");
            assert!(!matches!(work.course, Course::Here { .. }), "what has ended must not be looked at again: {notes}");
        }
    }

    #[tokio::test]
    async fn what_is_dropped_comes_to_its_end_by_itself() {
        let (note, over) = <(Arc<Notify>, Arc<Notify>)>::default();
        drop(waiting(1, &note, &over).await);
        note.notify_one();
        over.notified().await;
    }

    #[tokio::test]
    async fn who_drops_it_stops_it() {
        let over = Arc::new(Notify::new());
        let stopped_over = Arc::clone(&over);
        let work = Work::begin(|_, mut stopped| async move {
            stopped.wait().await;
            stopped_over.notify_one();
            Outcome::Aborted
        });
        drop(work.await);
        over.notified().await;
    }
}

//! What runs beside a session: one transfer, hash or combination, in a task of its own.
//!
//! Invariants: it ends once; who drops it stops it.
//! Not here: what is done (transfer).

use ftp::Outcome;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use tokio::sync::oneshot;

/// Something that runs.
pub(super) struct Work {
    progress: Arc<AtomicU64>,
    ended: oneshot::Receiver<Outcome>,
    /// Whoever runs looks at the other end of it: once this is gone, he is to stop.
    running: Option<oneshot::Sender<()>>,
    /// The same for what blocks.
    stop: Arc<AtomicBool>,
}

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
    /// Begins what waits for sockets. What is small is done when this returns; the rest goes on in a task of its own.
    pub(super) async fn begin<F>(run: impl FnOnce(Arc<AtomicU64>, Stopped) -> F) -> Self
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let (work, end, stopped) = Work::new();
        let mut running = Box::pin(run(Arc::clone(&work.progress), stopped));
        match poll_fn(|cx| Poll::Ready(running.as_mut().poll(cx))).await {
            // The session is there: it has just called.
            Poll::Ready(outcome) => drop(end.send(outcome)),
            Poll::Pending => drop(tokio::spawn(async move {
                // The session may be gone.
                let _ = end.send(running.await);
            })),
        }
        work
    }

    /// Begins what blocks; it must look at the flag now and then.
    pub(super) fn begin_blocking(run: impl FnOnce(&AtomicBool) -> Outcome + Send + 'static) -> Self {
        let (work, end, _) = Work::new();
        let stop = Arc::clone(&work.stop);
        tokio::task::spawn_blocking(move || end.send(run(&stop)));
        work
    }

    fn new() -> (Self, oneshot::Sender<Outcome>, Stopped) {
        let ((end, ended), (running, stopped)) = (oneshot::channel(), oneshot::channel());
        let (progress, stop) = (Arc::default(), Arc::<AtomicBool>::default());
        let stopped = Stopped { gone: stopped, flag: Arc::clone(&stop) };
        (Work { progress, ended, running: Some(running), stop }, end, stopped)
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

    /// Waits for the end. Cancel-safe.
    pub(super) async fn ended(&mut self) -> Outcome {
        // It has panicked: that is in the log.
        (&mut self.ended).await.unwrap_or(Outcome::Refused(ftp::Refusal::LocalError))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.stop();
    }
}

//! What runs beside a session: one transfer, hash or combination, in a task of its own.
//!
//! Invariants: it ends once; who drops it stops it.
//! Not here: what is done (transfer).

use ftp::Outcome;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
pub(super) struct Stopped(oneshot::Receiver<()>);

impl Stopped {
    /// Ends when he is to stop. May be asked again only until then.
    pub(super) async fn wait(&mut self) {
        // Nothing is ever sent; the other end just goes.
        let _ = (&mut self.0).await;
    }
}

impl Work {
    /// Begins what waits for sockets.
    pub(super) fn begin<F>(run: impl FnOnce(Arc<AtomicU64>, Stopped) -> F) -> Self
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let (work, end, stopped) = Work::new();
        let running = run(Arc::clone(&work.progress), stopped);
        tokio::spawn(async move {
            // The session may be gone.
            let _ = end.send(running.await);
        });
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
        let (progress, stop) = (Arc::default(), Arc::default());
        (Work { progress, ended, running: Some(running), stop }, end, Stopped(stopped))
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

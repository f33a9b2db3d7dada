//! What arrives, into a stretch of a file.
//!
//! ```text
//! line ─→ the first octets ─end→ written                          small files: no change of threads
//!                 └─ more ─→ ready · take_in, turn by turn, on a thread that may wait for the disk
//! ```
//!
//! Invariants: what is known already is compared and not written again; nothing is written beyond the stretch, nor by a
//! transfer that was stopped.
//! Not here: which stretch, and what becomes of the file (fetch, pieces).

use crate::pump::{Counter, Fault, Pump};
use net::{Arrival, DataLine, Taken};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// So much is received before we look whether there is more, in octets: files of this size need no second thread.
const FIRST_OCTETS: usize = 16 * 1024;

/// A stretch of a file that is to be filled.
#[derive(Clone)]
pub struct Stretch {
    pub file: Arc<File>,
    /// Where the first octet goes that we do not have.
    pub at: u64,
    /// Those before it, as many as come again: they are compared.
    pub known: Arc<Vec<u8>>,
    /// Where it ends.
    pub until: Until,
    /// Who hears how far it is filled.
    pub filled: Option<Arc<dyn Fn(u64) + Send + Sync>>,
}

/// Where a stretch ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Where the server ends.
    End,
    /// Here, where the server ends too, if the file is what it was.
    Told(u64),
    /// Here; the server would go on.
    Cut(u64),
}

/// Fills it. Whoever is told [`Fault::Enough`] has all of the stretch, of a file that goes on.
pub fn into_file(stretch: Stretch, counter: Counter) -> Pump {
    Arc::new(move |data| {
        let filling = Filling {
            at: stretch.at,
            compared: 0,
            stretch: stretch.clone(),
            counter: counter.clone(),
            stopped: Arc::default(),
        };
        Box::pin(filling.receive(data))
    })
}

struct Filling {
    stretch: Stretch,
    at: u64,
    compared: usize,
    counter: Counter,
    stopped: Arc<AtomicBool>,
}

impl Filling {
    async fn receive(mut self, mut data: DataLine) -> Result<(), Fault> {
        let _stop = StopWhenDropped(self.stopped.clone());
        let mut first = Vec::with_capacity(FIRST_OCTETS);
        loop {
            match data.receive(&mut first).await {
                Ok(Arrival::Octets(_)) if first.len() < FIRST_OCTETS * 3 / 4 => {}
                Ok(Arrival::Octets(_)) => return self.take_in(first, data).await,
                Ok(Arrival::End) => {
                    self.take(&first)?;
                    return self.end(data).await;
                }
                Err(broken) => {
                    // What came before it broke is kept: somebody may go on from there.
                    self.take(&first)?;
                    return Err(Fault::Line(broken));
                }
            }
        }
    }

    async fn take_in(mut self, mut first: Vec<u8>, mut data: DataLine) -> Result<(), Fault> {
        loop {
            let turn = tokio::task::spawn_blocking(move || {
                let stopped = self.stopped.clone();
                let taken = data.take_in(&first, |octets| self.take(octets), &stopped, |_| ());
                (self, data, taken)
            });
            let taken;
            (self, data, taken) = turn.await.map_err(|error| Fault::Local(std::io::Error::other(error)))?;
            match taken {
                Ok(Taken::End) => return self.end(data).await,
                Ok(Taken::Some) => data.ready().await.map_err(Fault::Line)?,
                Err(net::Fault::Line(broken)) => return Err(Fault::Line(broken)),
                Err(net::Fault::Taker(fault)) => return Err(fault),
            }
            first = Vec::new();
        }
    }

    fn take(&mut self, octets: &[u8]) -> Result<(), Fault> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(Fault::Wrong("stopped".into()));
        }
        let known = &self.stretch.known[self.compared..];
        let again = known.len().min(octets.len());
        if octets[..again] != known[..again] {
            return Err(Fault::Wrong("the file on the server is not the one that was begun with".into()));
        }
        self.compared += again;
        let (octets, enough) = self.inside(&octets[again..]);
        self.stretch.file.write_all_at(octets, self.at).map_err(Fault::Local)?;
        self.at += octets.len() as u64;
        self.counter.add(octets.len() as u64);
        if let Some(filled) = &self.stretch.filled {
            filled(self.at);
        }
        if enough { Err(Fault::Enough) } else { Ok(()) }
    }

    /// What of this belongs to the stretch, and whether there is more behind it, or would be.
    fn inside<'a>(&self, octets: &'a [u8]) -> (&'a [u8], bool) {
        let room = |until: u64| usize::try_from(until.saturating_sub(self.at)).unwrap_or(usize::MAX);
        match self.stretch.until {
            Until::End => (octets, false),
            Until::Told(until) if octets.len() > room(until) => (&octets[..room(until)], true),
            Until::Told(_) => (octets, false),
            Until::Cut(until) if octets.len() >= room(until) => (&octets[..room(until)], true),
            Until::Cut(_) => (octets, false),
        }
    }

    async fn end(self, data: DataLine) -> Result<(), Fault> {
        if self.compared < self.stretch.known.len() {
            return Err(Fault::Wrong("the file on the server is shorter than what is here already".into()));
        }
        // The server has said all that it had; under TLS it wants to hear the same from us.
        let _ = data.finish().await;
        Ok(())
    }
}

/// Whoever stops waiting for a transfer stops the thread that writes, too.
struct StopWhenDropped(Arc<AtomicBool>);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

//! What moves over a data connection: files, listings, anything that somebody wants to see.
//!
//! Invariants: memory is two buffers, however long the file; a pump that nothing has moved through can be begun again.
//! Not here: which file, and what becomes of it (fetch, send).

use crate::pace::Pace;
use futures_util::future::BoxFuture;
use net::{Arrival, Broken, DataLine};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// So much is received before it is written, in octets: large writes cost least.
const STRETCH: usize = 256 * 1024;

/// Why it did not come to its end.
#[derive(Debug)]
pub enum Fault {
    /// There was no data connection, or TLS failed on it.
    Unconnected(String),
    /// It broke.
    Line(Broken),
    /// Something is wrong with what is here.
    Local(io::Error),
    /// What comes is not what should come.
    Wrong(String),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Unconnected(why) | Fault::Wrong(why) => f.write_str(why),
            Fault::Line(broken) => write!(f, "{broken}"),
            Fault::Local(error) => write!(f, "{error}"),
        }
    }
}

/// Begins to move data over a connection.
pub type Pump = Arc<dyn Fn(DataLine) -> BoxFuture<'static, Result<(), Fault>> + Send + Sync>;

/// How much has moved, for whoever looks.
#[derive(Clone, Default)]
pub struct Counter {
    octets: Arc<AtomicU64>,
    heard: Option<Arc<dyn Fn(u64) + Send + Sync>>,
}

impl Counter {
    /// Somebody hears of every stretch.
    pub fn heard_by(heard: Option<Arc<dyn Fn(u64) + Send + Sync>>) -> Self {
        Counter { octets: Arc::default(), heard }
    }

    pub fn octets(&self) -> u64 {
        self.octets.load(Ordering::Relaxed)
    }

    pub fn add(&self, octets: u64) {
        self.octets.fetch_add(octets, Ordering::Relaxed);
        if let Some(heard) = &self.heard {
            heard(octets);
        }
    }
}

/// Into a file, from `at` on. The first octets may be those that are there already: `known` compares them.
pub fn into_file(file: Arc<File>, at: u64, known: Vec<u8>, pace: Pace, counter: Counter) -> Pump {
    let known = Arc::new(known);
    Arc::new(move |data| {
        let (file, known, pace, counter) = (file.clone(), known.clone(), pace.clone(), counter.clone());
        Box::pin(receive_file(data, file, at, known, pace, counter))
    })
}

async fn receive_file(
    mut data: DataLine,
    file: Arc<File>,
    mut at: u64,
    known: Arc<Vec<u8>>,
    pace: Pace,
    counter: Counter,
) -> Result<(), Fault> {
    let stretch = pace.stretch(STRETCH);
    let (mut buffer, mut spare) = (Vec::with_capacity(stretch), Some(Vec::with_capacity(stretch)));
    let mut compared = 0;
    let mut writing: Option<tokio::task::JoinHandle<io::Result<Vec<u8>>>> = None;
    loop {
        let arrival = data.receive(&mut buffer).await.map_err(Fault::Line);
        let ended = match arrival {
            Ok(Arrival::Octets(octets)) => {
                pace.pay(octets as u64).await;
                false
            }
            Ok(Arrival::End) => true,
            Err(fault) => {
                // What came before it broke is kept: somebody may go on from there.
                let _ = settle(&mut writing, &mut spare).await;
                let kept = strip_known(&mut buffer, &known, &mut compared).map(|()| file.write_all_at(&buffer, at));
                if let Ok(Ok(())) = kept {
                    counter.add(buffer.len() as u64);
                }
                return Err(fault);
            }
        };
        if !ended && buffer.len() < stretch * 3 / 4 {
            continue;
        }
        strip_known(&mut buffer, &known, &mut compared)?;
        if ended && compared < known.len() {
            return Err(Fault::Wrong("the file on the server is shorter than what is here already".into()));
        }
        settle(&mut writing, &mut spare).await.map_err(Fault::Local)?;
        let full = std::mem::replace(&mut buffer, spare.take().unwrap_or_else(|| Vec::with_capacity(stretch)));
        counter.add(full.len() as u64);
        let (length, target) = (full.len() as u64, file.clone());
        writing = Some(tokio::task::spawn_blocking(move || target.write_all_at(&full, at).map(|()| full)));
        at += length;
        if ended {
            settle(&mut writing, &mut spare).await.map_err(Fault::Local)?;
            let _ = data.finish().await;
            return Ok(());
        }
    }
}

/// Waits for the write under way and takes its buffer back.
async fn settle(
    writing: &mut Option<tokio::task::JoinHandle<io::Result<Vec<u8>>>>,
    spare: &mut Option<Vec<u8>>,
) -> io::Result<()> {
    if let Some(task) = writing.take() {
        let mut buffer = task.await.map_err(io::Error::other)??;
        buffer.clear();
        *spare = Some(buffer);
    }
    Ok(())
}

/// Takes away what is known already, if it is the same.
fn strip_known(buffer: &mut Vec<u8>, known: &[u8], compared: &mut usize) -> Result<(), Fault> {
    let count = (known.len() - *compared).min(buffer.len());
    if buffer[..count] != known[*compared..*compared + count] {
        return Err(Fault::Wrong("the file on the server is not the one that was begun with".into()));
    }
    *compared += count;
    buffer.drain(..count);
    Ok(())
}

/// Out of a file, from `from` to `until`.
pub fn from_file(file: Arc<File>, from: u64, until: u64, pace: Pace, counter: Counter) -> Pump {
    Arc::new(move |data| {
        let (file, pace, counter) = (file.clone(), pace.clone(), counter.clone());
        Box::pin(send_file(data, file, from, until, pace, counter))
    })
}

async fn send_file(
    mut data: DataLine,
    file: Arc<File>,
    mut from: u64,
    until: u64,
    pace: Pace,
    counter: Counter,
) -> Result<(), Fault> {
    // Without a pace the whole file is one stretch, and in clear the kernel moves it.
    let stretch = pace.stretch(usize::MAX) as u64;
    while from < until {
        let end = until.min(from.saturating_add(stretch));
        let sent = data.send_file(&file, from, end, |octets| counter.add(octets)).await;
        sent.map_err(|broken| match broken {
            Broken::File(error) => Fault::Local(error),
            broken => Fault::Line(broken),
        })?;
        pace.pay(end - from).await;
        from = end;
    }
    data.finish().await.map_err(Fault::Line)
}

/// Whoever wants to see what comes.
type Hands = Arc<Mutex<dyn FnMut(&[u8]) -> io::Result<()> + Send>>;

/// To whoever wants to see it: a listing's reader, a pipe. What it says ends the transfer.
pub fn into_hands(hands: impl FnMut(&[u8]) -> io::Result<()> + Send + 'static, counter: Counter) -> Pump {
    let hands: Hands = Arc::new(Mutex::new(hands));
    Arc::new(move |data| Box::pin(receive(data, hands.clone(), counter.clone())))
}

async fn receive(mut data: DataLine, hands: Hands, counter: Counter) -> Result<(), Fault> {
    let mut buffer = Vec::with_capacity(STRETCH / 4);
    loop {
        let arrival = data.receive(&mut buffer).await.map_err(Fault::Line)?;
        if !buffer.is_empty() {
            let mut hands = hands.lock().unwrap_or_else(PoisonError::into_inner);
            hands(&buffer).map_err(Fault::Local)?;
            counter.add(buffer.len() as u64);
            buffer.clear();
        }
        if arrival == Arrival::End {
            let _ = data.finish().await;
            return Ok(());
        }
    }
}

//! What moves over a data connection: files, listings, anything that somebody wants to see.
//!
//! Invariants: memory does not grow with what moves; a pump that nothing has moved through can be begun again.
//! Not here: which file, and what becomes of it (fetch, send).

use futures_util::future::BoxFuture;
use net::{Arrival, Broken, DataLine};
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// So much of a listing is read at once, in octets.
const READ_OCTETS: usize = 64 * 1024;

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
    /// All that was wanted has come; there would be more.
    Enough,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Unconnected(why) | Fault::Wrong(why) => f.write_str(why),
            Fault::Line(broken) => write!(f, "{broken}"),
            Fault::Local(error) => write!(f, "{error}"),
            Fault::Enough => f.write_str("the file goes on"),
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

/// Out of a file, from `from` to `until`.
pub fn from_file(file: Arc<File>, from: u64, until: u64, counter: Counter) -> Pump {
    Arc::new(move |data| {
        let (file, counter) = (file.clone(), counter.clone());
        Box::pin(send_file(data, file, from, until, counter))
    })
}

async fn send_file(mut data: DataLine, file: Arc<File>, from: u64, until: u64, counter: Counter) -> Result<(), Fault> {
    let sent = data.send_file(&file, from, until, |octets| counter.add(octets)).await;
    sent.map_err(|broken| match broken {
        Broken::File(error) => Fault::Local(error),
        broken => Fault::Line(broken),
    })?;
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
    let mut buffer = Vec::with_capacity(READ_OCTETS);
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

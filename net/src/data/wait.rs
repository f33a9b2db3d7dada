//! Waiting for a peer: for a moment on a thread that works for it, for longer by the reactor.
//!
//! Invariants: each wait ends after the stall limit; no thread waits for a peer but a few, and those for a moment, or for some round
//! trips.
//! Not here: what is done when it is ready (send, take).

use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::wire::Broken;

/// A thread that works for a peer waits so long for it when there is nothing to do: who is as fast as we are is back sooner than
/// threads could be changed, and who is much slower comes later than that.
const STAY: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// Threads that wait for their peers just now.
static STAYING: AtomicUsize = AtomicUsize::new(0);

/// A thread that takes in looks so often whether it is to stop while it waits for more.
const STEP: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// And so many times in all: longer than any round trip on Earth.
const STEPS: u32 = 15;

/// Threads that wait for more just now.
static AWAITING: AtomicUsize = AtomicUsize::new(0);

/// They are this many at most.
const AWAITING_MAX: usize = 16;

/// Whether the socket is ready within a moment. No more threads wait than there are processors: peers that are as fast as we
/// are have need of no more.
pub(crate) fn is_ready_soon(socket: &impl AsFd, ready: PollFlags) -> bool {
    let room = STAYING.fetch_add(1, Ordering::Relaxed) < processors();
    let is_ready = room && matches!(poll(&mut [PollFd::new(socket, ready)], Some(&STAY)), Ok(1..));
    STAYING.fetch_sub(1, Ordering::Relaxed);
    is_ready
}

/// Whether more comes within some round trips. `docs/decisions/0018-who-is-late-gets-little.md` says why a thread stays for that.
pub(super) fn comes_soon(socket: &impl AsFd, stop: &AtomicBool) -> bool {
    if AWAITING.fetch_add(1, Ordering::Relaxed) >= AWAITING_MAX {
        AWAITING.fetch_sub(1, Ordering::Relaxed);
        return is_ready_soon(socket, PollFlags::IN);
    }
    let comes = || matches!(poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&STEP)), Ok(1..));
    let has_come = (0..STEPS).any(|_| !stop.load(Ordering::Relaxed) && comes());
    AWAITING.fetch_sub(1, Ordering::Relaxed);
    has_come
}

pub(super) fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Waits until the socket takes more. So long the reactor knows it.
pub(super) async fn writable(socket: std::net::TcpStream, stall: Duration) -> Result<std::net::TcpStream, Broken> {
    let stream = TcpStream::from_std(socket).map_err(Broken::Lost)?;
    in_time(stall, stream.writable()).await?;
    stream.into_std().map_err(Broken::Lost)
}

pub(super) async fn write_all(stream: &mut TcpStream, mut octets: &[u8], stall: Duration) -> Result<(), Broken> {
    while !octets.is_empty() {
        let written = in_time(stall, stream.write(octets)).await?;
        if written == 0 {
            return Err(Broken::Lost(io::ErrorKind::WriteZero.into()));
        }
        octets = &octets[written..];
    }
    Ok(())
}

pub(super) async fn in_time<T>(stall: Duration, moving: impl Future<Output = io::Result<T>>) -> Result<T, Broken> {
    match tokio::time::timeout(stall, moving).await {
        Ok(moved) => moved.map_err(Broken::Lost),
        Err(_) => Err(Broken::Stalled(stall)),
    }
}

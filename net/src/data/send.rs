//! What goes out: our octets, or a file's.
//!
//! ```text
//! send_file ─ small, and the reactor does not know the socket ─→ one sendfile
//!           ├ in clear ─→ sendfile: as far as it is in memory here, else turn by turn on threads that may wait;
//!           │             there, to a peer on this machine, read and write
//!           └ under TLS ─→ seal, or stretch by stretch where there is no processor to spare
//! ```
//!
//! Invariants: a file goes out by `sendfile` where nothing has to be done to its octets and somebody has not said that copying
//! them is better; each wait for the peer ends after the stall limit, and none for a throttle counts as one; no thread that
//! sessions live on waits for the disk.
//! Not here: how a file is sealed ahead (seal), who waits for a socket, and how (wait).

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::fs::{Advice, fadvise, sendfile};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use rustix::net::sockopt::set_tcp_cork;
use rustix::net::{SendFlags, send};
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::seal::{Busy, UNDER_TLS};
use super::wait::{in_time, is_ready_soon, processors, writable, write_all};
use super::wire::{Broken, DataLine, Wire, away, not_now};
use crate::{home, lent};

/// So much of a file is read at once for TLS, in octets: sixteen records, and a read that the disk has ready.
pub(super) const STRETCH: usize = 256 * 1024;

/// So much is given to the kernel at once, in octets, before we look whether we are to stop: as much as it holds for a
/// connection at most (`net.ipv4.tcp_wmem`), so that the end of a stretch is seldom what ends a call.
const SENDFILE_STRETCH: u64 = 4 * 1024 * 1024;

/// So much is read at once of a file that is copied on its way, in octets: it is still in a processor's cache when the peer reads it.
const COPY_STRETCH: usize = 128 * 1024;

/// Up to here, in octets, a file is sent in one call before the reactor knows of the socket.
const AT_ONCE: u64 = 1024 * 1024;

/// So much is taken in or sent at one turn, in octets; then others who wait for a thread get theirs.
pub(super) const TURN: u64 = 32 * 1024 * 1024;

/// So much of a file is sealed ahead, in octets, before we look again whether there is a processor for that.
const RUN: u64 = 128 * 1024 * 1024;

impl DataLine {
    /// Sends octets; `sent` hears of those that went.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn send(&mut self, mut octets: &[u8], sent: impl Fn(u64)) -> Result<(), Broken> {
        while !octets.is_empty() {
            let some = self.throttle.stretch(octets.len().min(STRETCH) as u64) as usize;
            self.throttle.pay(some as u64).await;
            let begun = match &mut self.wire {
                Wire::Fresh(socket) => write_at_once(socket, &octets[..some])?,
                _ => 0,
            };
            if begun < some {
                self.wire.settle().map_err(Broken::Lost)?;
            }
            match &mut self.wire {
                Wire::Clear(stream) => write_all(stream, &octets[begun..some], self.stall).await?,
                Wire::Tls(line) => {
                    line.records.seal(&octets[..some]).map_err(Broken::Lost)?;
                    write_all(&mut line.socket, line.records.outgoing(), self.stall).await?;
                    line.records.sent();
                }
                Wire::Fresh(_) => {}
                Wire::Away => return Err(away()),
            }
            sent(some as u64);
            octets = &octets[some..];
        }
        Ok(())
    }

    /// Sends a stretch of a file; `sent` hears of what went.
    ///
    /// # Errors
    /// [`Broken`]; [`Broken::File`] also if the file ends before `until`.
    pub async fn send_file(&mut self, file: &File, from: u64, until: u64, sent: impl Fn(u64)) -> Result<(), Broken> {
        if until.saturating_sub(from) > STRETCH as u64 {
            // No more than a hint.
            let _ = fadvise(file, from, NonZeroU64::new(until - from), Advice::Sequential);
        }
        if until.saturating_sub(from) > AT_ONCE {
            let _ = self.wire.socket().map(|socket| home::cease_pacing(&socket));
        }
        let mut at = from;
        if let Wire::Fresh(socket) = &self.wire
            && until.saturating_sub(from) <= AT_ONCE
            && self.throttle.is_open()
        {
            at += sendfile_at_once(socket, file, from, until)?;
            sent(at - from);
        }
        if at == until {
            return Ok(());
        }
        if !matches!(self.wire, Wire::Tls(_)) {
            return self.send_straight(file, at, until, sent).await;
        }
        let (busy, mut buffer) = (Busy::begin(&UNDER_TLS), Vec::new());
        while at < until {
            let run = (until - at).min(RUN);
            if run > STRETCH as u64 && self.throttle.is_open() && busy.leaves_room(processors()) {
                self.send_sealed(file, at, at + run, &sent).await?;
                at += run;
                continue;
            }
            buffer = DataLine::read_file(file, buffer, at, until).await?;
            self.send(&buffer, &sent).await?;
            at += buffer.len() as u64;
        }
        Ok(())
    }

    /// From file to socket inside of the kernel.
    async fn send_straight(&mut self, file: &File, from: u64, until: u64, sent: impl Fn(u64)) -> Result<(), Broken> {
        let mut at = from;
        while at < until {
            let stretch = self.throttle.stretch((until - at).min(TURN));
            self.throttle.pay(stretch).await;
            let end = at + stretch;
            if stretch > AT_ONCE || !is_in_memory(file, end - 1) || !is_in_memory(file, at) {
                self.send_in_turns(file, at, end, &sent).await?;
                at = end;
                continue;
            }
            self.wire.settle().map_err(Broken::Lost)?;
            let Wire::Clear(stream) = &self.wire else { return Err(away()) };
            while at < end {
                let octets = send_now(stream, file, at, end, self.stall).await?;
                at += octets;
                sent(octets);
            }
        }
        Ok(())
    }

    /// The same, on threads that may wait for the disk: those that sessions live on have better things to do than to copy for
    /// milliseconds, and the system gives each of ours its share of a processor.
    async fn send_in_turns(&mut self, file: &File, from: u64, end: u64, sent: impl Fn(u64)) -> Result<(), Broken> {
        let socket = self.wire.take_socket().map_err(Broken::Lost)?;
        let stop = StopOnDrop::default();
        let file = file.try_clone().map_err(Broken::File)?;
        let copied = self.copies.then(Copied::default);
        let mut turn = SendTurn { socket, file, at: from, end, copied, stop: Arc::clone(&stop.0) };
        // Only full segments leave: else each call ends with a small one, and wakes the peer for it. No more than a hint.
        let corked = end - from > AT_ONCE && set_tcp_cork(&turn.socket, true).is_ok();
        loop {
            let before = turn.at;
            let took = tokio::task::spawn_blocking(move || turn.take()).await;
            turn = took.map_err(|_| away())??;
            sent(turn.at - before);
            if turn.at == end {
                break;
            }
            turn.socket = writable(turn.socket, self.stall).await?;
        }
        if corked {
            let _ = set_tcp_cork(&turn.socket, false);
        }
        self.wire = Wire::Fresh(Arc::new(turn.socket));
        Ok(())
    }

    /// Reads a stretch of a file for somebody who has to do something to it before it is sent, without keeping others
    /// waiting for the disk.
    ///
    /// # Errors
    /// [`Broken::File`], also at the end of the file.
    pub async fn read_file(file: &File, buffer: Vec<u8>, at: u64, until: u64) -> Result<Vec<u8>, Broken> {
        let want = usize::try_from(until - at).unwrap_or(STRETCH).min(STRETCH);
        read_at(file, buffer, want, at).await.map_err(Broken::File)
    }
}

/// Writes what the socket takes at once.
fn write_at_once(mut socket: &std::net::TcpStream, octets: &[u8]) -> Result<usize, Broken> {
    use std::io::Write;
    match socket.write(octets) {
        Err(error) => not_now(error).map(|()| 0),
        Ok(written) => Ok(written),
    }
}

/// Sends what the socket takes at once, of a file that is in memory, or where one may wait for the disk.
fn sendfile_at_once(socket: &std::net::TcpStream, file: &File, from: u64, until: u64) -> Result<u64, Broken> {
    if until == from || !(lent::is_lent() || is_in_memory(file, until - 1)) {
        return Ok(0);
    }
    let mut offset = from;
    match sendfile(socket, file, Some(&mut offset), (until - from) as usize) {
        Ok(0) => Err(Broken::File(io::ErrorKind::UnexpectedEof.into())),
        Ok(octets) => Ok(octets as u64),
        Err(errno) => not_now(errno.into()).map(|()| 0),
    }
}

/// A turn of a file that goes out in clear: the socket and the file are with the thread that works on them.
struct SendTurn {
    socket: std::net::TcpStream,
    file: File,
    at: u64,
    end: u64,
    /// What is on its way through us, if anything is.
    copied: Option<Copied>,
    stop: Arc<AtomicBool>,
}

impl SendTurn {
    /// Sends as much as the socket takes, unless it is to stop. Waits for the disk, and for the peer no longer than a moment.
    fn take(mut self) -> Result<Self, Broken> {
        while self.at < self.end && !self.stop.load(Ordering::Relaxed) {
            let stretch = (self.end - self.at).min(SENDFILE_STRETCH);
            if let Some(copied) = &mut self.copied {
                copied.fill(&self.file, self.at, stretch).map_err(Broken::File)?;
            }
            match self.send(stretch) {
                // Somebody has cut the file.
                Ok(0) => return Err(Broken::File(io::ErrorKind::UnexpectedEof.into())),
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if is_ready_soon(&self.socket, PollFlags::OUT) => {}
                Err(Errno::AGAIN) => break,
                Err(errno) => return Err(Broken::Lost(errno.into())),
            }
        }
        Ok(self)
    }

    /// How much went; none at the end of the file.
    fn send(&mut self, stretch: u64) -> Result<usize, Errno> {
        let Some(copied) = &mut self.copied else {
            // It moves the offset along.
            return sendfile(&self.socket, &self.file, Some(&mut self.at), stretch as usize);
        };
        let written = send(&self.socket, &copied.octets[copied.sent..], SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?;
        copied.sent += written;
        self.at += written as u64;
        Ok(written)
    }
}

/// What was read of a file; from `sent` on it has not gone.
#[derive(Default)]
struct Copied {
    octets: Vec<u8>,
    sent: usize,
}

impl Copied {
    /// Reads what goes next, no more than `most`, if all has gone; nothing at the end of the file.
    fn fill(&mut self, file: &File, at: u64, most: u64) -> io::Result<()> {
        if self.sent == self.octets.len() {
            self.octets.resize(most.min(COPY_STRETCH as u64) as usize, 0);
            let read = file.read_at(&mut self.octets, at)?;
            self.octets.truncate(read);
            self.sent = 0;
        }
        Ok(())
    }
}

/// One call on this thread.
async fn send_now(stream: &TcpStream, file: &File, at: u64, end: u64, stall: Duration) -> Result<u64, Broken> {
    let once = || {
        let mut offset = at;
        loop {
            match sendfile(stream.as_fd(), file.as_fd(), Some(&mut offset), (end - at) as usize) {
                Err(Errno::INTR) => {}
                other => return Ok(other?),
            }
        }
    };
    // The first try needs no timer.
    let sent = match stream.try_io(Interest::WRITABLE, once) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            in_time(stall, stream.async_io(Interest::WRITABLE, once)).await?
        }
        other => other.map_err(Broken::Lost)?,
    };
    // Somebody has cut the file.
    if sent == 0 { Err(Broken::File(io::ErrorKind::UnexpectedEof.into())) } else { Ok(sent as u64) }
}

/// Set when this is dropped: whoever works for us on another thread is to stop.
#[derive(Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whether an octet can be had without waiting for the disk, as far as the system tells.
fn is_in_memory(file: &File, at: u64) -> bool {
    let mut octet = [0];
    let read = preadv2(file, &mut [io::IoSliceMut::new(&mut octet)], at, ReadWriteFlags::NOWAIT);
    !matches!(read, Err(Errno::AGAIN))
}

/// Reads at least one octet and at most `want`: at once if they are in memory, on a thread that may wait if not.
///
/// # Errors
/// What the system says; [`io::ErrorKind::UnexpectedEof`] at the end.
async fn read_at(file: &File, mut buffer: Vec<u8>, want: usize, at: u64) -> io::Result<Vec<u8>> {
    buffer.resize(want, 0);
    let now = preadv2(file, &mut [io::IoSliceMut::new(&mut buffer)], at, ReadWriteFlags::NOWAIT);
    let read = match now {
        Ok(read) => read,
        // Not in memory, or a file system that cannot tell.
        Err(Errno::AGAIN | Errno::NOTSUP | Errno::INTR) => {
            let file = file.try_clone()?;
            let read = tokio::task::spawn_blocking(move || {
                let read = file.read_at(&mut buffer, at)?;
                Ok::<_, io::Error>((buffer, read))
            });
            let read = read.await.map_err(io::Error::other)??;
            buffer = read.0;
            read.1
        }
        Err(errno) => return Err(errno.into()),
    };
    if read == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    buffer.truncate(read);
    Ok(buffer)
}

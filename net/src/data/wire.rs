//! What travels over a data connection, in clear or under TLS.
//!
//! ```text
//! send · send_file      our octets, or a file's: by sendfile in clear, by large stretches of records under TLS
//! receive               the peer's octets, for somebody who does something to them
//! ready ─→ take_in      the peer's octets into a file: by splice in clear; on a thread that may wait for the disk
//! ```
//!
//! Invariants: each wait for the peer ends after the stall limit, and none for a throttle counts as one; a file goes out by
//! `sendfile`, and comes in by `splice`, where nothing has to be done to its octets; a cut and an end are told apart under
//! TLS; memory does not grow with what travels.
//! Not here: what becomes of the octets.

use std::fs::File;
use std::future::Future;
use std::io;
use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::{Advice, fadvise, sendfile};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;

use super::secure::SecureLine;
use super::straight::{PIPE_OCTETS, Straight};
use super::throttle::Throttle;
use crate::tls::{ClientTls, ServerTls, TlsError};

/// So much of a file is read at once for TLS, in octets: sixteen records, and a read that the disk has ready.
const STRETCH: usize = 256 * 1024;

/// So much is given to the kernel at once, in octets, so that others get their turn in between.
const SENDFILE_STRETCH: u64 = 1024 * 1024;

/// So much is taken in at one turn, in octets; then others who wait for a thread get theirs.
const TURN: u64 = 32 * 1024 * 1024;

/// How long we stay until the peer has taken in the end of a TLS connection.
const LINGER: Duration = Duration::from_secs(10);

/// So many octets that nobody wants are read meanwhile.
const LINGER_OCTETS: usize = 1024 * 1024;

/// Why a transfer did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// Nothing moved for so long.
    #[error("nothing moved for {} s", .0.as_secs())]
    Stalled(Duration),
    /// The connection failed.
    #[error("the data connection was lost: {0}")]
    Lost(io::Error),
    /// TLS was cut off: perhaps not by the peer.
    #[error("TLS ended without close_notify")]
    Cut,
    /// The file could not be read.
    #[error("the file could not be read: {0}")]
    File(io::Error),
}

/// What came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// So many octets.
    Octets(usize),
    /// The end, in good order.
    End,
}

/// A file that octets are taken in by, and somebody who knows how much of it there may be.
pub trait Sink {
    /// Why it takes no more.
    type Error: From<io::Error>;

    /// How many of `wanted` octets there is room for, at least one.
    ///
    /// # Errors
    /// When there is no room at all.
    fn room(&mut self, wanted: u64) -> Result<u64, Self::Error>;

    /// Where they go, by its own position.
    fn file(&self) -> &File;

    /// So many have gone there.
    fn wrote(&mut self, octets: u64);

    /// Takes octets that somebody has in hand.
    ///
    /// # Errors
    /// Whatever is in the way.
    fn put(&mut self, octets: &[u8]) -> Result<(), Self::Error>;
}

/// How a turn of [`DataLine::take_in`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// There is no more for now, or it is somebody else's turn.
    Some,
    /// The end, in good order.
    End,
}

/// Why a turn failed.
#[derive(Debug)]
pub enum Fault<E> {
    /// The line is broken; what came before is in the file.
    Line(Broken),
    /// The file takes no more.
    Sink(E),
}

/// An open data connection.
#[derive(Debug)]
pub struct DataLine {
    wire: Wire,
    stall: Duration,
    throttle: Throttle,
    /// Octets that came and are not paid for.
    owed: u64,
}

#[derive(Debug)]
enum Wire {
    Clear(TcpStream, Option<Straight>),
    Tls(Box<SecureLine>),
}

impl DataLine {
    /// In clear. `stall` is how long nothing may move.
    pub fn clear(stream: TcpStream, stall: Duration) -> Self {
        // What a listing or a small file ends with should not wait for an acknowledgement.
        let _ = stream.set_nodelay(true);
        DataLine { wire: Wire::Clear(stream, None), stall, throttle: Throttle::default(), owed: 0 }
    }

    /// Under TLS; we are its server whoever has dialled (RFC 4217 §7). Also says whether the peer has resumed a session of
    /// `tls`, which it can only have from a connection with the same tickets.
    ///
    /// # Errors
    /// [`TlsError`]
    pub async fn secure(
        stream: TcpStream,
        tls: &ServerTls,
        limit: Duration,
        stall: Duration,
    ) -> Result<(Self, bool), TlsError> {
        DataLine::shaken(stream, |stream| SecureLine::accept(stream, tls), limit, stall).await
    }

    /// Under TLS as its client, with the host of the control connection, whose session is resumed if `tls` has its tickets
    /// (see [`ClientTls::alone`]). Also says whether it was.
    ///
    /// # Errors
    /// [`TlsError`]
    pub async fn secure_as_client(
        stream: TcpStream,
        tls: &ClientTls,
        host: &str,
        limit: Duration,
        stall: Duration,
    ) -> Result<(Self, bool), TlsError> {
        DataLine::shaken(stream, |stream| SecureLine::connect(stream, tls, host), limit, stall).await
    }

    async fn shaken<S: Future<Output = Result<(SecureLine, bool), TlsError>>>(
        stream: TcpStream,
        shake: impl FnOnce(TcpStream) -> S,
        limit: Duration,
        stall: Duration,
    ) -> Result<(Self, bool), TlsError> {
        let _ = stream.set_nodelay(true);
        let shaken = Box::pin(tokio::time::timeout(limit, shake(stream))).await;
        let (line, resumed) = shaken.unwrap_or(Err(TlsError::TooSlow))?;
        let wire = Wire::Tls(Box::new(line));
        Ok((DataLine { wire, stall, throttle: Throttle::default(), owed: 0 }, resumed))
    }

    /// The same, no faster than this allows.
    pub fn throttled(self, throttle: Throttle) -> Self {
        DataLine { throttle, ..self }
    }

    /// Sends octets; `sent` hears of those that went.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn send(&mut self, mut octets: &[u8], sent: impl Fn(u64)) -> Result<(), Broken> {
        while !octets.is_empty() {
            let some = self.throttle.stretch(octets.len().min(STRETCH) as u64) as usize;
            self.throttle.pay(some as u64).await;
            match &mut self.wire {
                Wire::Clear(stream, _) => write_all(stream, &octets[..some], self.stall).await?,
                Wire::Tls(line) => {
                    line.seal(&octets[..some]).map_err(Broken::Lost)?;
                    flush(line, self.stall).await?;
                }
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
        if let Wire::Clear(stream, _) = &self.wire {
            return send_straight(stream, file, from, until, self.stall, &self.throttle, sent).await;
        }
        let (mut at, mut buffer) = (from, Vec::new());
        while at < until {
            buffer = DataLine::read_file(file, buffer, at, until).await?;
            self.send(&buffer, &sent).await?;
            at += buffer.len() as u64;
        }
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

    /// Receives some octets behind those in `buffer`, no more than its capacity has room for.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn receive(&mut self, buffer: &mut Vec<u8>) -> Result<Arrival, Broken> {
        loop {
            let room = buffer.capacity() - buffer.len();
            if let Wire::Tls(line) = &mut self.wire {
                let octets = line.content().len().min(room);
                if octets > 0 {
                    buffer.extend_from_slice(&line.content()[..octets]);
                    line.take(octets);
                    self.owed += octets as u64;
                    return Ok(Arrival::Octets(octets));
                }
                if line.is_closed() {
                    return Ok(Arrival::End);
                }
            }
            self.ready().await?;
            let some = self.throttle.stretch(room as u64);
            match &mut self.wire {
                Wire::Clear(stream, _) => {
                    let octets = in_time(self.stall, stream.take(some).read_buf(buffer)).await?;
                    self.owed += octets as u64;
                    return Ok(if octets == 0 { Arrival::End } else { Arrival::Octets(octets) });
                }
                Wire::Tls(line) => line.fetch(some as usize).or_else(not_now)?,
            }
        }
    }

    /// Waits until something has come.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn ready(&mut self) -> Result<(), Broken> {
        self.throttle.pay(std::mem::take(&mut self.owed)).await;
        match &self.wire {
            Wire::Clear(stream, _) => in_time(self.stall, stream.readable()).await,
            Wire::Tls(line) if line.content().is_empty() && !line.is_closed() => {
                in_time(self.stall, line.socket.readable()).await
            }
            Wire::Tls(_) => Ok(()),
        }
    }

    /// Takes what has come into a file, until there is no more for now, or `stop` is set; `moved` hears of it. Waits for the
    /// disk, and never for the peer: that is what [`DataLine::ready`] is for.
    ///
    /// # Errors
    /// [`Fault`]
    pub fn take_in<S: Sink>(
        &mut self,
        sink: &mut S,
        stop: &AtomicBool,
        moved: impl Fn(u64),
    ) -> Result<Taken, Fault<S::Error>> {
        let turn = self.throttle.stretch(TURN);
        let owed = &mut self.owed;
        let moved = |octets| {
            *owed += octets;
            moved(octets);
        };
        match &mut self.wire {
            Wire::Clear(stream, straight) => {
                let straight = match straight {
                    Some(straight) => straight,
                    None => straight.insert(Straight::new().map_err(|error| Fault::Sink(error.into()))?),
                };
                take_straight(stream, straight, sink, turn, stop, moved)
            }
            Wire::Tls(line) => take_opened(line, sink, turn, stop, moved),
        }
    }

    /// Says that all was said: close_notify under TLS, then FIN. Returns when that has left; who has not read it yet
    /// still gets it.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn finish(mut self) -> Result<(), Broken> {
        match &mut self.wire {
            Wire::Clear(stream, _) => in_time(self.stall, stream.shutdown()).await?,
            Wire::Tls(line) => {
                line.seal_farewell().map_err(Broken::Lost)?;
                flush(line, self.stall).await?;
                in_time(self.stall, line.socket.shutdown()).await?;
            }
        }
        if let Wire::Tls(line) = self.wire {
            // The peer has its own close_notify to say. If nobody were there to hear it, the system would answer with a
            // reset, and the reset would destroy what the peer has not read yet.
            tokio::spawn(tokio::time::timeout(LINGER, drain(line.socket)));
        }
        Ok(())
    }
}

/// From socket to file inside of the kernel.
fn take_straight<S: Sink>(
    stream: &TcpStream,
    straight: &Straight,
    sink: &mut S,
    turn: u64,
    stop: &AtomicBool,
    mut moved: impl FnMut(u64),
) -> Result<Taken, Fault<S::Error>> {
    let mut left = turn;
    while left > 0 && !stop.load(Ordering::Relaxed) {
        let room = match sink.room(left.min(PIPE_OCTETS as u64)) {
            Ok(room) => room,
            // What fills it to the last octet fits.
            Err(full) => return is_at_end(stream).map_err(Fault::Line)?.ok_or(Fault::Sink(full)),
        };
        let octets = match straight.fill(stream, room.min(left)) {
            Ok(0) => return Ok(Taken::End),
            Ok(octets) => octets,
            Err(error) => return not_now(error).map(|()| Taken::Some).map_err(Fault::Line),
        };
        straight.empty(sink.file(), octets).map_err(|error| Fault::Sink(error.into()))?;
        sink.wrote(octets as u64);
        moved(octets as u64);
        left = left.saturating_sub(octets as u64);
    }
    Ok(Taken::Some)
}

/// Whether nothing more can come, or nothing has come so far; None if there is something.
fn is_at_end(stream: &TcpStream) -> Result<Option<Taken>, Broken> {
    let mut scratch = [0];
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    let seen = stream.try_io(Interest::READABLE, || Ok(recv(stream, &mut scratch, flags)?.1));
    match seen {
        Ok(0) => Ok(Some(Taken::End)),
        Ok(_) => Ok(None),
        Err(error) => not_now(error).map(|()| Some(Taken::Some)),
    }
}

/// Under TLS: what is opened is written while it is still in the processor's cache.
fn take_opened<S: Sink>(
    line: &mut SecureLine,
    sink: &mut S,
    turn: u64,
    stop: &AtomicBool,
    mut moved: impl FnMut(u64),
) -> Result<Taken, Fault<S::Error>> {
    let mut left = turn;
    loop {
        let fetched = if line.is_closed() { Ok(()) } else { line.fetch(usize::try_from(left).unwrap_or(usize::MAX)) };
        // Also when the line broke: what was opened came before.
        let octets = line.content().len();
        sink.put(line.content()).map_err(Fault::Sink)?;
        line.take(octets);
        moved(octets as u64);
        left = left.saturating_sub(octets as u64);
        match fetched {
            _ if line.is_closed() => return Ok(Taken::End),
            Err(error) => return not_now(error).map(|()| Taken::Some).map_err(Fault::Line),
            Ok(()) if left == 0 || stop.load(Ordering::Relaxed) => return Ok(Taken::Some),
            Ok(()) => {}
        }
    }
}

/// What stands in the way of reading at once may be that there is nothing yet.
fn not_now(error: io::Error) -> Result<(), Broken> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(()),
        io::ErrorKind::UnexpectedEof => Err(Broken::Cut),
        _ => Err(Broken::Lost(error)),
    }
}

async fn write_all(stream: &mut TcpStream, mut octets: &[u8], stall: Duration) -> Result<(), Broken> {
    while !octets.is_empty() {
        let written = in_time(stall, stream.write(octets)).await?;
        if written == 0 {
            return Err(Broken::Lost(io::ErrorKind::WriteZero.into()));
        }
        octets = &octets[written..];
    }
    Ok(())
}

/// Sends what is sealed.
async fn flush(line: &mut SecureLine, stall: Duration) -> Result<(), Broken> {
    let mut at = 0;
    while at < line.outgoing().len() {
        let (socket, octets) = line.parts();
        let written = in_time(stall, socket.write(&octets[at..])).await?;
        if written == 0 {
            return Err(Broken::Lost(io::ErrorKind::WriteZero.into()));
        }
        at += written;
    }
    line.sent();
    Ok(())
}

/// Reads until the peer has closed.
async fn drain(mut stream: TcpStream) {
    let (mut scratch, mut left) = (vec![0; 4096], LINGER_OCTETS);
    while let Ok(read @ 1..) = stream.read(&mut scratch).await {
        left = left.saturating_sub(read);
        if left == 0 {
            return;
        }
    }
}

async fn in_time<T>(stall: Duration, moving: impl Future<Output = io::Result<T>>) -> Result<T, Broken> {
    match tokio::time::timeout(stall, moving).await {
        Ok(moved) => moved.map_err(Broken::Lost),
        Err(_) => Err(Broken::Stalled(stall)),
    }
}

/// From file to socket inside of the kernel.
async fn send_straight(
    stream: &TcpStream,
    file: &File,
    from: u64,
    until: u64,
    stall: Duration,
    throttle: &Throttle,
    sent: impl Fn(u64),
) -> Result<(), Broken> {
    let mut at = from;
    while at < until {
        let stretch = throttle.stretch((until - at).min(SENDFILE_STRETCH));
        throttle.pay(stretch).await;
        fetch_from_disk(file, at, stretch).await.map_err(Broken::File)?;
        let end = at + stretch;
        while at < end {
            let once = || {
                let mut offset = at;
                match sendfile(stream.as_fd(), file.as_fd(), Some(&mut offset), (end - at) as usize) {
                    Err(Errno::INTR) => Ok(None),
                    other => Ok(Some(other?)),
                }
            };
            // The first try needs no timer.
            let tried = match stream.try_io(Interest::WRITABLE, once) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    in_time(stall, stream.async_io(Interest::WRITABLE, once)).await?
                }
                other => other.map_err(Broken::Lost)?,
            };
            match tried {
                // Somebody has cut the file.
                Some(0) => return Err(Broken::File(io::ErrorKind::UnexpectedEof.into())),
                Some(octets) => {
                    at += octets as u64;
                    sent(octets as u64);
                }
                None => {}
            }
            // A fast peer would keep the others of this thread waiting.
            tokio::task::coop::consume_budget().await;
        }
    }
    Ok(())
}

/// Sees that a stretch of a file is in memory, so that nobody but a thread that may wait waits for the disk.
async fn fetch_from_disk(file: &File, at: u64, stretch: u64) -> io::Result<()> {
    let is_there = |at| {
        let mut octet = [0];
        let read = preadv2(file, &mut [io::IoSliceMut::new(&mut octet)], at, ReadWriteFlags::NOWAIT);
        !matches!(read, Err(Errno::AGAIN))
    };
    // The system reads ahead from the front on: where the last octet is, the others are, or are about to be.
    if is_there(at + stretch - 1) && is_there(at) {
        return Ok(());
    }
    let file = file.try_clone()?;
    let fetched = tokio::task::spawn_blocking(move || {
        let (mut scratch, mut at, end) = (vec![0; STRETCH], at, at + stretch);
        while at < end {
            let want = usize::try_from(end - at).unwrap_or(STRETCH).min(STRETCH);
            match file.read_at(&mut scratch[..want], at)? {
                0 => break,
                read => at += read as u64,
            }
        }
        Ok(())
    });
    fetched.await.map_err(io::Error::other)?
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

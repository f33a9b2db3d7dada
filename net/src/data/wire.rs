//! What travels over a data connection, in clear or under TLS.
//!
//! ```text
//! send · send_file      our octets, or a file's: by sendfile in clear, by large stretches of records under TLS
//! receive               the peer's octets, for somebody who does something to them
//! ready ─→ take_in      the peer's octets for a file, in large stretches; on a thread that may wait for the disk
//! ```
//!
//! What is long is done on threads that may wait, turn by turn, and the reactor does not know the socket meanwhile: else it would
//! wake another thread whenever something moves.
//!
//! Invariants: each wait for the peer ends after the stall limit, and none for a throttle counts as one; no thread waits for
//! a peer but a few, and those for a moment; a file goes out by `sendfile` where nothing has to be done to its octets; a cut
//! and an end are told apart under TLS; memory does not grow with what travels.
//! Not here: what becomes of the octets.

use std::cell::RefCell;
use std::fs::File;
use std::future::Future;
use std::io;
use std::net::Shutdown;
use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Advice, fadvise, sendfile};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use rustix::net::sockopt::set_tcp_cork;
use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::secure::{Records, SecureLine};
use super::throttle::Throttle;
use crate::lent;
use crate::tls::{ClientTls, ServerTls, TlsError};

/// So much of a file is read at once for TLS, in octets: sixteen records, and a read that the disk has ready.
const STRETCH: usize = 256 * 1024;

/// So much is given to the kernel at once, in octets, before we look whether we are to stop: as much as it holds for a
/// connection at most (`net.ipv4.tcp_wmem`), so that the end of a stretch is seldom what ends a call.
const SENDFILE_STRETCH: u64 = 4 * 1024 * 1024;

/// Up to here, in octets, a file is sent in one call before the reactor knows of the socket.
const AT_ONCE: u64 = 1024 * 1024;

/// So much is gathered before it is given away, in octets: few visits to whoever takes it, and it stays in the processor's cache.
const GATHER: usize = 256 * 1024;

/// So much is taken in or sent at one turn, in octets; then others who wait for a thread get theirs.
const TURN: u64 = 32 * 1024 * 1024;

/// A thread that works for a peer waits so long for it when there is nothing to do: who is as fast as we are is back sooner than
/// threads could be changed, and who is much slower comes later than that.
const STAY: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// So many pieces of a file are sealed ahead on another thread, of [`STRETCH`] each. That there are few such transfers at a time
/// bounds the memory.
const AHEAD: usize = 8;

/// Once so few of them are left, more are sealed: the more at a time, the less often two threads wake each other.
const AHEAD_FEW: usize = 3;

/// So much of a file is sealed ahead, in octets, before we look again whether there is a processor for that.
const RUN: u64 = 128 * 1024 * 1024;

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
    /// The line is broken; what came before was given away.
    Line(Broken),
    /// Who was given it takes no more.
    Taker(E),
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
    /// In clear, and the reactor does not know it: what is small is through before it needs to.
    Fresh(Arc<std::net::TcpStream>),
    Clear(TcpStream),
    Tls(SecureLine),
    /// On a thread that works on it; and for ever when that did not bring it back.
    Away,
}

impl Wire {
    /// Has the reactor know it.
    fn settle(&mut self) -> io::Result<()> {
        match std::mem::replace(self, Wire::Away) {
            Wire::Fresh(socket) => {
                let stream = TcpStream::from_std(lent::owned(socket)?)?;
                // What a listing or a small file ends with should not wait for an acknowledgement.
                let _ = stream.set_nodelay(true);
                *self = Wire::Clear(stream);
            }
            same => *self = same,
        }
        Ok(())
    }

    /// Takes the socket from the reactor and out of here, in clear.
    fn take_socket(&mut self) -> io::Result<std::net::TcpStream> {
        match std::mem::replace(self, Wire::Away) {
            Wire::Fresh(socket) => lent::owned(socket),
            Wire::Clear(stream) => stream.into_std(),
            Wire::Tls(_) | Wire::Away => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl DataLine {
    /// In clear. `stall` is how long nothing may move.
    pub fn clear(stream: TcpStream, stall: Duration) -> Self {
        // What a listing or a small file ends with should not wait for an acknowledgement.
        let _ = stream.set_nodelay(true);
        DataLine { wire: Wire::Clear(stream), stall, throttle: Throttle::default(), owed: 0 }
    }

    /// The same, of one that came just now and does not block. What it can take at once costs least this way.
    pub fn fresh(socket: std::net::TcpStream, stall: Duration) -> Self {
        DataLine { wire: Wire::Fresh(Arc::new(socket)), stall, throttle: Throttle::default(), owed: 0 }
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
        let wire = Wire::Tls(line);
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
        let (_busy, mut buffer) = (Busy::begin(), Vec::new());
        while at < until {
            let run = (until - at).min(RUN);
            if run > STRETCH as u64 && self.throttle.is_open() && Busy::leaves_room() {
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
        let mut turn = SendTurn { socket, file, at: from, end, stop: Arc::clone(&stop.0) };
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

    /// Sends a stretch of a file under TLS: while pieces are on their way, the next are read and sealed on another thread.
    async fn send_sealed(&mut self, file: &File, from: u64, until: u64, sent: &impl Fn(u64)) -> Result<(), Broken> {
        let Wire::Tls(line) = std::mem::replace(&mut self.wire, Wire::Away) else { return Err(away()) };
        let SecureLine { mut socket, records } = line;
        let (pieces, mut ahead) = mpsc::channel(AHEAD);
        let (emptied, spare) = std::sync::mpsc::channel();
        let file = file.try_clone().map_err(Broken::File)?;
        let sealer = Sealer { records, file, at: from, until, plain: Vec::new(), pieces, spare };
        let (mut sealing, mut left) = (Sealing::Resting(sealer), until - from);
        while left > 0 {
            sealing = sealing.go_on(ahead.len()).await?;
            let Some(Piece { octets, sealed, plain }) = sealing.next(&mut ahead).await? else { continue };
            write_all(&mut socket, &octets[..sealed], self.stall).await?;
            sent(plain);
            left -= plain;
            // Whoever seals may be done.
            let _ = emptied.send(octets);
        }
        let Sealer { records, .. } = sealing.rest().await?;
        self.wire = Wire::Tls(SecureLine { socket, records });
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
            if let Wire::Tls(SecureLine { records, .. }) = &mut self.wire {
                let octets = records.content().len().min(room);
                if octets > 0 {
                    buffer.extend_from_slice(&records.content()[..octets]);
                    records.take(octets);
                    self.owed += octets as u64;
                    return Ok(Arrival::Octets(octets));
                }
                if records.is_closed() {
                    return Ok(Arrival::End);
                }
            }
            if let Wire::Fresh(socket) = &self.wire
                && self.throttle.is_open()
                && lent::readable(socket).await
            {
                match read_at_once(socket, buffer) {
                    Ok(0) => return Ok(Arrival::End),
                    Ok(octets) => return Ok(Arrival::Octets(octets)),
                    Err(error) => not_now(error)?,
                }
                continue;
            }
            self.ready().await?;
            let some = self.throttle.stretch(room as u64);
            match &mut self.wire {
                Wire::Clear(stream) => {
                    let octets = in_time(self.stall, stream.take(some).read_buf(buffer)).await?;
                    self.owed += octets as u64;
                    return Ok(if octets == 0 { Arrival::End } else { Arrival::Octets(octets) });
                }
                Wire::Tls(line) => line.fetch(some as usize).or_else(not_now)?,
                Wire::Fresh(_) | Wire::Away => return Err(away()),
            }
        }
    }

    /// Waits until something has come.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn ready(&mut self) -> Result<(), Broken> {
        self.throttle.pay(std::mem::take(&mut self.owed)).await;
        self.wire.settle().map_err(Broken::Lost)?;
        match &self.wire {
            Wire::Clear(stream) => in_time(self.stall, stream.readable()).await,
            Wire::Tls(SecureLine { socket, records }) if records.content().is_empty() && !records.is_closed() => {
                in_time(self.stall, socket.readable()).await
            }
            Wire::Tls(_) => Ok(()),
            Wire::Fresh(_) | Wire::Away => Err(away()),
        }
    }

    /// Gives away what has come, and before it what somebody has in hand already, in large stretches; until there is no more
    /// for now, or `stop` is set. `moved` hears of what came. Waits as long as `give` does, and for the peer no longer than a
    /// moment: that is what [`DataLine::ready`] is for.
    ///
    /// # Errors
    /// [`Fault`]
    pub fn take_in<E>(
        &mut self,
        in_hand: &[u8],
        give: impl FnMut(&[u8]) -> Result<(), E>,
        stop: &AtomicBool,
        moved: impl Fn(u64),
    ) -> Result<Taken, Fault<E>> {
        let turn = self.throttle.stretch(TURN);
        let owed = &mut self.owed;
        let moved = |octets| {
            *owed += octets;
            moved(octets);
        };
        // One for each thread that may wait: whoever waits for the peer needs none.
        thread_local!(static GATHERED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) });
        GATHERED.with_borrow_mut(|gathered| {
            gathered.clear();
            gathered.extend_from_slice(in_hand);
            gathered.reserve_exact(GATHER);
            match std::mem::replace(&mut self.wire, Wire::Away) {
                Wire::Tls(SecureLine { socket, mut records }) => {
                    let socket = socket.into_std().map_err(lost)?;
                    let taken = take_opened(&socket, &mut records, gathered, give, turn, stop, moved);
                    let socket = TcpStream::from_std(socket).map_err(lost)?;
                    self.wire = Wire::Tls(SecureLine { socket, records });
                    taken
                }
                mut clear => {
                    let socket = clear.take_socket().map_err(lost)?;
                    let taken = take_clear(&socket, gathered, give, turn, stop, moved);
                    self.wire = Wire::Fresh(Arc::new(socket));
                    taken
                }
            }
        })
    }

    /// Says that all was said: close_notify under TLS, then FIN. Returns when that has left; who has not read it yet
    /// still gets it.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn finish(mut self) -> Result<(), Broken> {
        match &mut self.wire {
            Wire::Fresh(socket) => socket.shutdown(Shutdown::Write).map_err(Broken::Lost)?,
            Wire::Clear(stream) => in_time(self.stall, stream.shutdown()).await?,
            Wire::Tls(SecureLine { socket, records }) => {
                records.seal_farewell().map_err(Broken::Lost)?;
                write_all(socket, records.outgoing(), self.stall).await?;
                in_time(self.stall, socket.shutdown()).await?;
            }
            Wire::Away => return Err(away()),
        }
        if let Wire::Tls(line) = self.wire {
            // The peer has its own close_notify to say. If nobody were there to hear it, the system would answer with a
            // reset, and the reset would destroy what the peer has not read yet.
            tokio::spawn(tokio::time::timeout(LINGER, drain(line.socket)));
        }
        Ok(())
    }
}

/// Files that are on their way under TLS just now.
static BUSY: AtomicUsize = AtomicUsize::new(0);

/// One of them.
struct Busy;

impl Busy {
    fn begin() -> Self {
        BUSY.fetch_add(1, Ordering::Relaxed);
        Busy
    }

    /// Whether each of them can have a second processor. If not, changing threads would only cost time.
    fn leaves_room() -> bool {
        2 * BUSY.load(Ordering::Relaxed) <= processors()
    }
}

fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Threads that wait for their peers just now.
static STAYING: AtomicUsize = AtomicUsize::new(0);

/// Whether the socket is ready within a moment. No more threads wait than there are processors: peers that are as fast as we
/// are have need of no more.
pub(crate) fn is_ready_soon(socket: &impl AsFd, ready: PollFlags) -> bool {
    let room = STAYING.fetch_add(1, Ordering::Relaxed) < processors();
    let is_ready = room && matches!(poll(&mut [PollFd::new(socket, ready)], Some(&STAY)), Ok(1..));
    STAYING.fetch_sub(1, Ordering::Relaxed);
    is_ready
}

fn take_clear<E>(
    socket: &std::net::TcpStream,
    gathered: &mut Vec<u8>,
    mut give: impl FnMut(&[u8]) -> Result<(), E>,
    turn: u64,
    stop: &AtomicBool,
    mut moved: impl FnMut(u64),
) -> Result<Taken, Fault<E>> {
    let mut left = turn;
    loop {
        let room = gathered.capacity() - gathered.len();
        let read = read_behind(socket, gathered, room.min(usize::try_from(left).unwrap_or(room)));
        if let Ok(octets) = read {
            moved(octets as u64);
            left -= octets as u64;
        }
        let goes_on = left > 0 && !stop.load(Ordering::Relaxed);
        match &read {
            Ok(1..) if goes_on && gathered.len() < gathered.capacity() => continue,
            Err(error) if goes_on && is_not_there(error) && is_ready_soon(socket, PollFlags::IN) => continue,
            _ => {}
        }
        give(gathered).map_err(Fault::Taker)?;
        gathered.clear();
        match read {
            Ok(0) => return Ok(Taken::End),
            Err(error) => return not_now(error).map(|()| Taken::Some).map_err(Fault::Line),
            Ok(_) if goes_on => {}
            Ok(_) => return Ok(Taken::Some),
        }
    }
}

/// Reads what is there behind what was gathered, `most` octets at most.
fn read_behind(socket: &std::net::TcpStream, gathered: &mut Vec<u8>, most: usize) -> io::Result<usize> {
    if most >= gathered.capacity() - gathered.len() {
        return read_at_once(socket, gathered);
    }
    let end = gathered.len();
    gathered.resize(end + most, 0);
    let read = recv(socket, &mut gathered[end..], RecvFlags::DONTWAIT);
    gathered.truncate(end + read.as_ref().map_or(0, |(_, octets)| *octets));
    Ok(read?.1)
}

fn take_opened<E>(
    socket: &std::net::TcpStream,
    records: &mut Records,
    gathered: &mut Vec<u8>,
    mut give: impl FnMut(&[u8]) -> Result<(), E>,
    turn: u64,
    stop: &AtomicBool,
    mut moved: impl FnMut(u64),
) -> Result<Taken, Fault<E>> {
    let mut left = turn;
    loop {
        let before = gathered.len();
        let read = |room: &mut [u8]| Ok(recv(socket, room, RecvFlags::DONTWAIT)?.1);
        // Also when the line broke: what was opened came before.
        let fetched = records.fetch_into(read, gathered, usize::try_from(left).unwrap_or(usize::MAX));
        let octets = (gathered.len() - before) as u64;
        moved(octets);
        left = left.saturating_sub(octets);
        let closed = records.is_closed();
        let goes_on = !closed && left > 0 && !stop.load(Ordering::Relaxed);
        match &fetched {
            Ok(()) if goes_on && gathered.len() < GATHER / 2 => continue,
            Err(error) if goes_on && is_not_there(error) && is_ready_soon(socket, PollFlags::IN) => continue,
            _ => {}
        }
        give(gathered).map_err(Fault::Taker)?;
        gathered.clear();
        match fetched {
            _ if closed => return Ok(Taken::End),
            Err(error) => return not_now(error).map(|()| Taken::Some).map_err(Fault::Line),
            Ok(()) if goes_on => {}
            Ok(()) => return Ok(Taken::Some),
        }
    }
}

fn lost<E>(error: io::Error) -> Fault<E> {
    Fault::Line(Broken::Lost(error))
}

fn is_not_there(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
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

/// Writes what the socket takes at once.
fn write_at_once(mut socket: &std::net::TcpStream, octets: &[u8]) -> Result<usize, Broken> {
    use std::io::Write;
    match socket.write(octets) {
        Err(error) => not_now(error).map(|()| 0),
        Ok(written) => Ok(written),
    }
}

/// Reads what is there behind what is in the buffer, no more than its capacity has room for.
fn read_at_once(socket: &std::net::TcpStream, buffer: &mut Vec<u8>) -> io::Result<usize> {
    Ok(recv(socket, spare_capacity(buffer), RecvFlags::DONTWAIT)?.1)
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

/// There is no wire to use: it went with a thread that failed, or nobody has waited for it.
fn away() -> Broken {
    Broken::Lost(io::ErrorKind::NotConnected.into())
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

/// A turn of a file that goes out in clear: the socket and the file are with the thread that works on them.
struct SendTurn {
    socket: std::net::TcpStream,
    file: File,
    at: u64,
    end: u64,
    stop: Arc<AtomicBool>,
}

impl SendTurn {
    /// Sends as much as the socket takes, unless it is to stop. Waits for the disk, and for the peer no longer than a moment.
    fn take(mut self) -> Result<Self, Broken> {
        while self.at < self.end && !self.stop.load(Ordering::Relaxed) {
            let stretch = (self.end - self.at).min(SENDFILE_STRETCH);
            // It moves the offset along.
            match sendfile(&self.socket, &self.file, Some(&mut self.at), stretch as usize) {
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
}

/// Waits until the socket takes more. So long the reactor knows it.
async fn writable(socket: std::net::TcpStream, stall: Duration) -> Result<std::net::TcpStream, Broken> {
    let stream = TcpStream::from_std(socket).map_err(Broken::Lost)?;
    in_time(stall, stream.writable()).await?;
    stream.into_std().map_err(Broken::Lost)
}

/// A piece of a file that is sealed.
struct Piece {
    /// The records stand at the front, so many octets.
    octets: Vec<u8>,
    sealed: usize,
    /// So many octets of the file.
    plain: u64,
}

/// Whoever reads a file and seals it.
struct Sealer {
    records: Box<Records>,
    file: File,
    at: u64,
    until: u64,
    plain: Vec<u8>,
    pieces: mpsc::Sender<Piece>,
    /// Buffers of pieces that were sent.
    spare: std::sync::mpsc::Receiver<Vec<u8>>,
}

impl Sealer {
    /// Seals until enough is ahead, or all is, or nobody wants it any more.
    fn seal_ahead(mut self) -> Result<Self, Broken> {
        while self.at < self.until
            && let Ok(place) = self.pieces.try_reserve()
        {
            self.plain.resize((self.until - self.at).min(STRETCH as u64) as usize, 0);
            let read = self.file.read_at(&mut self.plain, self.at).map_err(Broken::File)?;
            if read == 0 {
                return Err(Broken::File(io::ErrorKind::UnexpectedEof.into()));
            }
            self.records.seal(&self.plain[..read]).map_err(Broken::Lost)?;
            let mut octets = self.spare.try_recv().unwrap_or_default();
            let sealed = self.records.swap_outgoing(&mut octets);
            place.send(Piece { octets, sealed, plain: read as u64 });
            self.at += read as u64;
        }
        Ok(self)
    }
}

/// What he does.
enum Sealing {
    Running(JoinHandle<Result<Sealer, Broken>>),
    Resting(Sealer),
}

impl Sealing {
    /// Has him seal more, if so few pieces are left.
    async fn go_on(self, left: usize) -> Result<Self, Broken> {
        if let Sealing::Running(running) = &self
            && !running.is_finished()
        {
            return Ok(self);
        }
        let sealer = self.rest().await?;
        if left > AHEAD_FEW || sealer.at == sealer.until {
            return Ok(Sealing::Resting(sealer));
        }
        Ok(Sealing::Running(tokio::task::spawn_blocking(|| sealer.seal_ahead())))
    }

    /// The next piece; none if he has come to rest instead. Where he rests already there is one, for [`Sealing::go_on`] sees to it.
    async fn next(&mut self, ahead: &mut mpsc::Receiver<Piece>) -> Result<Option<Piece>, Broken> {
        let Sealing::Running(running) = self else { return Ok(ahead.recv().await) };
        let rested = tokio::select! {
            biased;
            Some(piece) = ahead.recv() => return Ok(Some(piece)),
            rested = running => rested,
        };
        *self = Sealing::Resting(rested.map_err(|_| away())??);
        Ok(None)
    }

    async fn rest(self) -> Result<Sealer, Broken> {
        match self {
            Sealing::Running(running) => running.await.map_err(|_| away())?,
            Sealing::Resting(sealer) => Ok(sealer),
        }
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

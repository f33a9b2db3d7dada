//! What comes in, for somebody who does something to it, or for a file.
//!
//! ```text
//! receive               the peer's octets, for somebody who does something to them
//! ready ─→ take_in      the peer's octets for a file, in large stretches; on a thread that may wait for the disk
//! ```
//!
//! Invariants: what came is given away before an end or a break is told; whoever waits for the peer, for longer than some round trips,
//! holds no thread; what came is paid for before more is awaited.
//! Not here: what becomes of the octets.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::buffer::spare_capacity;
use rustix::net::{RecvFlags, recv};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::secure::{Records, SecureLine};
use super::send::TURN;
use super::wait::{comes_soon, in_time};
use super::wire::{Broken, DataLine, Wire, away, not_now};
use crate::lent;

/// So much is gathered before it is given away, in octets: few visits to whoever takes it, who lays it out in large pieces of memory,
/// and it stays in the processor's cache.
const GATHER: usize = 512 * 1024;

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

impl DataLine {
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
    /// for now, or `stop` is set. `moved` hears of what came. Waits as long as `give` does, and for the peer no longer than some
    /// round trips: for more than that there is [`DataLine::ready`].
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
            Err(error) if goes_on && is_not_there(error) && comes_soon(socket, stop) => continue,
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
            Err(error) if goes_on && is_not_there(error) && comes_soon(socket, stop) => continue,
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

/// Reads what is there behind what is in the buffer, no more than its capacity has room for.
fn read_at_once(socket: &std::net::TcpStream, buffer: &mut Vec<u8>) -> io::Result<usize> {
    Ok(recv(socket, spare_capacity(buffer), RecvFlags::DONTWAIT)?.1)
}

//! A connection in clear or under TLS, and the way from one to the other.
//!
//! Invariants: reading goes through one buffer a thread, so an idle connection has none.
//! Not here: handshakes (tls), what is read and written (post).

use std::cell::RefCell;
use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

use super::READ_MAX;
use super::tail::Tail;
use crate::lent;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_MAX].into_boxed_slice());
}

/// What octets travel on.
pub(super) enum Wire {
    /// TCP alone.
    Clear(TcpStream),
    /// TLS over TCP.
    Tls(Box<TlsStream<TcpStream>>),
    /// In clear again; the peer may not have said its last under TLS. Boxed, for it is rare and who idles has a wire.
    Cleared(TcpStream, Box<Tail>),
    /// In clear, while its thread is lent: the reactor does not know it.
    Lent(Arc<std::net::TcpStream>),
    /// Between two of them, and after a handshake that failed.
    Gone,
}

impl Wire {
    /// Takes the clear connection out, to be protected.
    pub(super) fn take_clear(&mut self) -> Option<TcpStream> {
        match std::mem::replace(self, Wire::Gone) {
            Wire::Clear(stream) => Some(stream),
            other => {
                *self = other;
                None
            }
        }
    }

    /// Whether octets do not go over it as they are.
    pub(super) fn is_dressed(&self) -> bool {
        matches!(self, Wire::Tls(_))
    }

    /// A second handle of a connection that is in clear; `None` where what is sent must be dressed, or a thread is lent.
    pub(super) fn clear_socket(&self) -> Option<io::Result<OwnedFd>> {
        match self {
            Wire::Clear(stream) => Some(stream.as_fd().try_clone_to_owned()),
            _ => None,
        }
    }

    /// Ready when a connection in clear takes more, also if somebody has written to another handle of it.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Wire::Clear(stream) = self else { return Poll::Ready(Err(gone())) };
        loop {
            ready!(stream.poll_write_ready(cx))?;
            // The reactor has not seen what the other handle was told.
            match stream.try_io(Interest::WRITABLE, || has_room(stream)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return Poll::Ready(other),
            }
        }
    }

    /// Has the lent thread wait for it, where that is simple; where it is not, the reactor goes on to wake it.
    pub(super) fn leave_reactor(&mut self) -> io::Result<()> {
        if let Some(stream) = self.take_clear() {
            *self = Wire::Lent(Arc::new(stream.into_std()?));
        }
        Ok(())
    }

    /// Has the reactor wait for it again.
    pub(super) fn return_to_reactor(&mut self) -> io::Result<()> {
        match std::mem::replace(self, Wire::Gone) {
            Wire::Lent(socket) => {
                *self = Wire::Clear(TcpStream::from_std(lent::owned(socket)?)?);
            }
            other => *self = other,
        }
        Ok(())
    }

    /// Ends TLS, and goes on in clear. What TLS has in hand is dropped.
    pub(super) fn poll_clear(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Wire::Tls(stream) = self else { return Poll::Ready(Err(io::ErrorKind::InvalidInput.into())) };
        // Said once, however often we come here.
        stream.get_mut().1.send_close_notify();
        ready!(Pin::new(&mut **stream).poll_flush(cx))?;
        if let Wire::Tls(stream) = std::mem::replace(self, Wire::Gone) {
            let stream = match *stream {
                TlsStream::Server(stream) => stream.into_inner().0,
                TlsStream::Client(stream) => stream.into_inner().0,
            };
            *self = Wire::Cleared(stream, Box::default());
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once and appends what came to `inbox`. `0` means that the peer will send no more.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, inbox: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        loop {
            let before = inbox.len();
            let octets = ready!(self.poll_scratch(cx, |octets| inbox.extend_from_slice(octets)))?;
            let Wire::Cleared(_, tail) = self else { return Poll::Ready(Ok(octets)) };
            let clear = tail.strip(&inbox[before..])?.len();
            inbox.drain(before..inbox.len() - clear);
            if clear > 0 {
                self.forget_tail();
            }
            if clear > 0 || octets == 0 {
                return Poll::Ready(Ok(clear));
            }
        }
    }

    /// The first octet in clear has come: TLS is over on this side, too.
    fn forget_tail(&mut self) {
        *self = match std::mem::replace(self, Wire::Gone) {
            Wire::Cleared(stream, _) => Wire::Clear(stream),
            other => other,
        }
    }

    /// Reads once below TLS and forgets what came.
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(stream) = self.socket() else { return Poll::Ready(Ok(0)) };
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
            Poll::Ready(Ok(buffer.filled().len()))
        })
    }

    fn poll_scratch(&mut self, cx: &mut Context<'_>, take: impl FnOnce(&[u8])) -> Poll<io::Result<usize>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            let read = match self {
                Wire::Clear(stream) | Wire::Cleared(stream, _) => poll_socket(stream, cx, &mut buffer),
                Wire::Tls(stream) => Pin::new(&mut **stream).poll_read(cx, &mut buffer),
                Wire::Lent(socket) => poll_lent(socket, &mut buffer),
                Wire::Gone => return Poll::Ready(Err(gone())),
            };
            match ready!(read) {
                Ok(()) => {
                    take(buffer.filled());
                    Poll::Ready(Ok(buffer.filled().len()))
                }
                // TLS that ends without close_notify. Every dialogue here has its own ends of lines and of content,
                // so a cut is noticed there; most peers never say close_notify.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(0)),
                Err(error) => Poll::Ready(Err(error)),
            }
        })
    }

    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Wire::Clear(stream) | Wire::Cleared(stream, _) => Pin::new(stream).poll_write(cx, octets),
            Wire::Tls(stream) => Pin::new(&mut **stream).poll_write(cx, octets),
            Wire::Lent(socket) => match (&**socket).write(octets) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && lent::await_room(socket) => Poll::Pending,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => self.poll_write(cx, octets),
                written => Poll::Ready(written),
            },
            Wire::Gone => Poll::Ready(Err(gone())),
        }
    }

    /// The same with several pieces, one behind the other.
    pub(super) fn poll_write_pieces(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Wire::Clear(stream) | Wire::Cleared(stream, _) => Pin::new(stream).poll_write_vectored(cx, pieces),
            Wire::Tls(stream) => Pin::new(&mut **stream).poll_write_vectored(cx, pieces),
            Wire::Lent(socket) => match (&**socket).write_vectored(pieces) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && lent::await_room(socket) => Poll::Pending,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => self.poll_write_pieces(cx, pieces),
                written => Poll::Ready(written),
            },
            Wire::Gone => Poll::Ready(Err(gone())),
        }
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Wire::Clear(_) | Wire::Cleared(..) | Wire::Lent(_) => Poll::Ready(Ok(())),
            Wire::Tls(stream) => Pin::new(&mut **stream).poll_flush(cx),
            Wire::Gone => Poll::Ready(Err(gone())),
        }
    }

    /// Says that no more will come: close_notify under TLS, then FIN.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Wire::Clear(stream) | Wire::Cleared(stream, _) => Pin::new(stream).poll_shutdown(cx),
            Wire::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
            Wire::Lent(socket) => Poll::Ready(socket.shutdown(Shutdown::Write)),
            Wire::Gone => Poll::Ready(Err(gone())),
        }
    }

    fn socket(&mut self) -> Option<&mut TcpStream> {
        match self {
            Wire::Clear(stream) | Wire::Cleared(stream, _) => Some(stream),
            Wire::Tls(stream) => Some(stream.get_mut().0),
            // Nobody ends a conversation there.
            Wire::Lent(_) | Wire::Gone => None,
        }
    }
}

/// Reads once. A read ends early where urgent data come in band (RFC 959 §4.1.3: ABOR behind a Synch); tokio's own
/// `poll_read` would take a short read for a sign that nothing is left, and what follows would lie there unheard.
fn poll_socket(stream: &TcpStream, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
    loop {
        ready!(stream.poll_read_ready(cx))?;
        match stream.try_read(buffer.initialize_unfilled()) {
            Ok(octets) => {
                buffer.advance(octets);
                return Poll::Ready(Ok(()));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
}

/// The same where a lent thread knows whether something has come.
fn poll_lent(socket: &Arc<std::net::TcpStream>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
    if lent::has_come(socket) {
        match (&**socket).read(buffer.initialize_unfilled()) {
            Ok(octets) => {
                buffer.advance(octets);
                return Poll::Ready(Ok(()));
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
    if lent::await_input(socket) { Poll::Pending } else { Poll::Ready(Err(gone())) }
}

fn has_room(stream: &TcpStream) -> io::Result<()> {
    match poll(&mut [PollFd::new(stream, PollFlags::OUT)], Some(&Timespec::default()))? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}

fn gone() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

//! An open data connection, in clear or under TLS, from its beginning to its end.
//!
//! ```text
//! clear · fresh · secure ─→ send · send_file            (send; seal for large files under TLS)
//!                        ─→ receive · ready ─→ take_in  (take)
//!                        ─→ finish: close_notify, FIN
//! ```
//!
//! What is long is done on threads that may wait, turn by turn, and the reactor does not know the socket meanwhile: else it would
//! wake another thread whenever something moves.
//!
//! Invariants: the end is said before the connection is closed, and what the peer still says of it does not reset what it has not
//! read; a cut and an end are told apart under TLS; memory does not grow with what travels.
//! Not here: what becomes of the octets.

use std::future::Future;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::secure::SecureLine;
use super::throttle::Throttle;
use super::wait::{in_time, write_all};
use crate::tls::{ClientTls, ServerTls, TlsError};
use crate::{home, lent};

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

/// An open data connection.
#[derive(Debug)]
pub struct DataLine {
    pub(super) wire: Wire,
    pub(super) stall: Duration,
    pub(super) throttle: Throttle,
    /// Octets that came and are not paid for.
    pub(super) owed: u64,
    /// Large files are read and written, and not sent by the kernel alone.
    pub(super) copies: bool,
}

#[derive(Debug)]
pub(super) enum Wire {
    /// In clear, and the reactor does not know it: what is small is through before it needs to.
    Fresh(Arc<std::net::TcpStream>),
    Clear(TcpStream),
    Tls(SecureLine),
    /// On a thread that works on it; and for ever when that did not bring it back.
    Away,
}

impl Wire {
    /// Has the reactor know it.
    pub(super) fn settle(&mut self) -> io::Result<()> {
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

    /// The socket, unless it is away.
    pub(super) fn socket(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Wire::Fresh(socket) => Some(socket.as_fd()),
            Wire::Clear(stream) => Some(stream.as_fd()),
            Wire::Tls(line) => Some(line.socket.as_fd()),
            Wire::Away => None,
        }
    }

    /// Takes the socket from the reactor and out of here, in clear.
    pub(super) fn take_socket(&mut self) -> io::Result<std::net::TcpStream> {
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
        DataLine::over(Wire::Clear(stream), stall)
    }

    /// The same, of one that came just now and does not block. What it can take at once costs least this way.
    pub fn fresh(socket: std::net::TcpStream, stall: Duration) -> Self {
        DataLine::over(Wire::Fresh(Arc::new(socket)), stall)
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
        Ok((DataLine::over(Wire::Tls(line), stall), resumed))
    }

    fn over(wire: Wire, stall: Duration) -> Self {
        DataLine { wire, stall, throttle: Throttle::default(), owed: 0, copies: false }
    }

    /// The same; large files go to a peer on this machine in clear by reading and writing them. Sendfile spares us a copy, but what it
    /// passes on has been in no processor's cache: the peer's own copy then costs more than ours would.
    pub fn copying_at_home(self) -> Self {
        let copies = self.wire.socket().is_some_and(|socket| home::is_home(&socket).unwrap_or(false));
        DataLine { copies, ..self }
    }

    /// The same, no faster than this allows.
    pub fn throttled(self, throttle: Throttle) -> Self {
        DataLine { throttle, ..self }
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

    /// Ends the line to a peer who has said all, and does not wait for our end: nothing of it matters to him any more.
    pub async fn leave(self) {
        match &self.wire {
            Wire::Tls(_) => _ = self.finish().await,
            // The system says FIN when it is closed.
            Wire::Fresh(_) | Wire::Clear(_) | Wire::Away => lent::put_off(|| drop(self)),
        }
    }
}

/// What stands in the way of reading at once may be that there is nothing yet.
pub(super) fn not_now(error: io::Error) -> Result<(), Broken> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(()),
        io::ErrorKind::UnexpectedEof => Err(Broken::Cut),
        _ => Err(Broken::Lost(error)),
    }
}

/// There is no wire to use: it went with a thread that failed, or nobody has waited for it.
pub(super) fn away() -> Broken {
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

//! What travels over a data connection, in clear or under TLS.
//!
//! Invariants: each wait for the peer ends after the stall limit; a file goes out by `sendfile` where nothing has to be
//! done to its octets; a cut and an end are told apart under TLS.
//! Not here: what becomes of the octets.

use std::fs::File;
use std::future::Future;
use std::io;
use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use rustix::fs::{Advice, fadvise, sendfile};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use rustls::HandshakeKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::tls::{ClientTls, ServerTls, TlsError};

/// So much of a file is read at once for TLS, in octets: sixteen records, and a read that the disk has ready.
const STRETCH: usize = 256 * 1024;

/// So much is given to the kernel at once, in octets, so that others get their turn in between.
const SENDFILE_STRETCH: u64 = 1024 * 1024;

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

/// An open data connection.
#[derive(Debug)]
pub struct DataLine {
    wire: Wire,
    stall: Duration,
}

#[derive(Debug)]
enum Wire {
    Clear(TcpStream),
    /// We are its server.
    Tls(Box<TlsStream<TcpStream>>),
    /// We are its client.
    Dialled(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

impl DataLine {
    /// In clear. `stall` is how long nothing may move.
    pub fn clear(stream: TcpStream, stall: Duration) -> Self {
        // What a listing or a small file ends with should not wait for an acknowledgement.
        let _ = stream.set_nodelay(true);
        DataLine { wire: Wire::Clear(stream), stall }
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
        let _ = stream.set_nodelay(true);
        let accepted = Box::pin(tokio::time::timeout(limit, tls.accept_data(stream))).await;
        let stream = accepted.unwrap_or(Err(TlsError::TooSlow))?;
        let resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
        Ok((DataLine { wire: Wire::Tls(Box::new(stream)), stall }, resumed))
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
        let _ = stream.set_nodelay(true);
        let shaken = Box::pin(tokio::time::timeout(limit, tls.connect_data(stream, host))).await;
        let stream = shaken.unwrap_or(Err(TlsError::TooSlow))?;
        let resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
        Ok((DataLine { wire: Wire::Dialled(Box::new(stream)), stall }, resumed))
    }

    /// Sends octets; `sent` hears of those that went.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn send(&mut self, mut octets: &[u8], sent: impl Fn(u64)) -> Result<(), Broken> {
        while !octets.is_empty() {
            let written = match &mut self.wire {
                Wire::Clear(stream) => in_time(self.stall, stream.write(octets)).await?,
                Wire::Tls(stream) => in_time(self.stall, stream.write(octets)).await?,
                Wire::Dialled(stream) => in_time(self.stall, stream.write(octets)).await?,
            };
            if written == 0 {
                return Err(Broken::Lost(io::ErrorKind::WriteZero.into()));
            }
            sent(written as u64);
            octets = &octets[written..];
        }
        Ok(())
    }

    /// Sends a stretch of a file; `sent` hears of what went.
    ///
    /// # Errors
    /// [`Broken`]; [`Broken::File`] also if the file ends before `until`.
    pub async fn send_file(&mut self, file: &File, from: u64, until: u64, sent: impl Fn(u64)) -> Result<(), Broken> {
        // No more than a hint.
        let _ = fadvise(file, from, NonZeroU64::new(until.saturating_sub(from)), Advice::Sequential);
        if let Wire::Clear(stream) = &self.wire {
            return send_straight(stream, file, from, until, self.stall, sent).await;
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
        let read = match &mut self.wire {
            Wire::Clear(stream) => in_time(self.stall, stream.read_buf(buffer)).await,
            Wire::Tls(stream) => in_time(self.stall, stream.read_buf(buffer)).await,
            Wire::Dialled(stream) => in_time(self.stall, stream.read_buf(buffer)).await,
        };
        match read {
            Ok(0) => Ok(Arrival::End),
            Ok(octets) => Ok(Arrival::Octets(octets)),
            Err(Broken::Lost(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Broken::Cut),
            Err(broken) => Err(broken),
        }
    }

    /// Says that all was said: close_notify under TLS, then FIN. Returns when that has left; who has not read it yet
    /// still gets it.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn finish(mut self) -> Result<(), Broken> {
        match &mut self.wire {
            Wire::Clear(stream) => in_time(self.stall, stream.shutdown()).await?,
            Wire::Tls(stream) => in_time(self.stall, stream.shutdown()).await?,
            Wire::Dialled(stream) => in_time(self.stall, stream.shutdown()).await?,
        }
        let stream = match self.wire {
            Wire::Clear(_) => return Ok(()),
            Wire::Tls(stream) => stream.into_inner().0,
            Wire::Dialled(stream) => stream.into_inner().0,
        };
        // The peer has its own close_notify to say. If nobody were there to hear it, the system would answer with a
        // reset, and the reset would destroy what the peer has not read yet.
        tokio::spawn(tokio::time::timeout(LINGER, drain(stream)));
        Ok(())
    }
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
    sent: impl Fn(u64),
) -> Result<(), Broken> {
    let mut at = from;
    while at < until {
        let stretch = usize::try_from((until - at).min(SENDFILE_STRETCH)).unwrap_or(STRETCH);
        let once = || {
            let mut offset = at;
            match sendfile(stream.as_fd(), file.as_fd(), Some(&mut offset), stretch) {
                Err(Errno::INTR) => Ok(None),
                other => Ok(Some(other?)),
            }
        };
        match in_time(stall, stream.async_io(Interest::WRITABLE, once)).await? {
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
    Ok(())
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

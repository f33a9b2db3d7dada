//! From a socket into a file inside of the kernel.
//!
//! ```text
//! socket ─splice→ pipe ─splice→ file
//! ```
//!
//! Invariants: never waits for the peer, only for the disk; between two calls the pipe is empty.
//! Not here: room for the octets (whoever owns the file).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// What we ask a pipe to hold, in octets: what a system gives anybody (`fs.pipe-max-size`). It may say no.
pub(super) const PIPE_OCTETS: usize = 1024 * 1024;

/// The way.
#[derive(Debug)]
pub(super) struct Straight {
    into: OwnedFd,
    out: OwnedFd,
}

impl Straight {
    pub(super) fn new() -> io::Result<Self> {
        let (out, into) = pipe_with(PipeFlags::CLOEXEC)?;
        // With less it works too, in smaller steps.
        let _ = fcntl_setpipe_size(&into, PIPE_OCTETS);
        Ok(Straight { into, out })
    }

    /// Takes what the socket has, `most` at most, into the pipe; 0 when the peer will send no more.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`]; what the system says.
    pub(super) fn fill(&self, socket: &TcpStream, most: u64) -> io::Result<usize> {
        let most = usize::try_from(most).unwrap_or(PIPE_OCTETS).min(PIPE_OCTETS);
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        socket.try_io(Interest::READABLE, || {
            loop {
                match splice(socket.as_fd(), None, &self.into, None, most, flags) {
                    Err(Errno::INTR) => {}
                    other => return Ok(other?),
                }
            }
        })
    }

    /// Puts all that is in the pipe where the file stands.
    pub(super) fn empty(&self, file: &File, mut octets: usize) -> io::Result<()> {
        while octets > 0 {
            match splice(&self.out, None, file.as_fd(), None, octets, SpliceFlags::MOVE) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(moved) => octets -= moved,
                Err(Errno::INTR) => {}
                // A file system that cannot.
                Err(Errno::INVAL) => return self.empty_by_hand(file, octets),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    fn empty_by_hand(&self, mut file: &File, octets: usize) -> io::Result<()> {
        use std::io::Write;
        let mut buffer = vec![0; octets.min(64 * 1024)];
        let mut left = octets;
        while left > 0 {
            let want = left.min(buffer.len());
            let read = match rustix::io::read(&self.out, &mut buffer[..want]) {
                Err(Errno::INTR) => continue,
                other => other?,
            };
            file.write_all(&buffer[..read])?;
            left -= read;
        }
        Ok(())
    }
}

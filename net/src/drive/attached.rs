//! Octets of a file that go to the peer without passing through the session.
//!
//! ```text
//! in clear:            file ─sendfile→ socket                      a turn on a thread that may wait for the disk
//! dressed, or tapped:  file ─read→ a piece ─gather→ post ─→ …
//! ```
//!
//! Invariants: no more than a piece is in memory; a file that ends too early is a line that is lost, for the peer was promised more.
//! Not here: who attaches what (desks), the large files of FTP (data).

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::event::PollFlags;
use rustix::fs::sendfile;
use rustix::io::Errno;

use crate::data::is_ready_soon;

/// Read at once where octets are dressed.
const PIECE: u64 = 64 * 1024;

/// Sent at once at most, so that a peer that takes whatever comes does not keep a thread that others wait for.
const TURN: u64 = 16 * 1024 * 1024;

/// A stretch of a file.
#[derive(Debug)]
pub struct Attachment {
    file: File,
    /// What is left of it.
    rest: Range<u64>,
}

impl Attachment {
    /// A stretch of an open file, in octets; the handle is doubled.
    ///
    /// # Errors
    /// There are no more handles.
    pub fn new(file: impl AsFd, stretch: Range<u64>) -> io::Result<Attachment> {
        Ok(Attachment { file: File::from(file.as_fd().try_clone_to_owned()?), rest: stretch })
    }

    pub(super) fn is_over(&self) -> bool {
        self.rest.is_empty()
    }

    /// Sends by itself what a socket takes now or in a moment, and says how much that was.
    pub(super) async fn send(self, socket: OwnedFd) -> io::Result<(Attachment, OwnedFd, u64)> {
        on_a_thread(move || {
            let Range { start, end } = self.rest;
            let (mut at, stop) = (start, end.min(start + TURN));
            while at < stop {
                let wanted = (stop - at) as usize;
                match sendfile(&socket, &self.file, Some(&mut at), wanted) {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) if is_ready_soon(&socket, PollFlags::OUT) => {}
                    Err(Errno::AGAIN) => break,
                    Err(errno) => return Err(errno.into()),
                }
            }
            let sent = at - start;
            Ok((self.from(at), socket, sent))
        })
        .await
    }

    /// Reads the next piece.
    pub(super) async fn read(self) -> io::Result<(Attachment, Vec<u8>)> {
        on_a_thread(move || {
            let mut piece = vec![0; PIECE.min(self.rest.end - self.rest.start) as usize];
            self.file.read_exact_at(&mut piece, self.rest.start)?;
            let next = self.rest.start + piece.len() as u64;
            Ok((self.from(next), piece))
        })
        .await
    }

    fn from(mut self, start: u64) -> Self {
        self.rest.start = start;
        self
    }
}

/// On a thread that may wait for the disk.
async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|failed| Err(io::Error::other(failed)))
}

//! Reading a directory a piece at a time, in memory that does not grow with it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, RawDir};
use rustix::io::Errno;

/// Octets of directory read at once: several hundred names, as the C libraries do it.
const BUFFER: usize = 32 * 1024;

/// A directory and how far it has been read; the kernel keeps the place.
#[derive(Debug)]
pub(crate) struct Scan {
    handle: OwnedFd,
    buffer: Vec<u8>,
}

impl Scan {
    /// Reads a directory from its front; the handle must be its own, not shared with another reader.
    pub(crate) fn new(handle: OwnedFd) -> Scan {
        Scan { handle, buffer: Vec::with_capacity(BUFFER) }
    }

    /// Calls `each` for some of the names that remain, `.` and `..` left out, with the directory to look at them from; false
    /// at the end.
    pub(crate) fn piece(&mut self, mut each: impl FnMut(BorrowedFd<'_>, &[u8], FileType)) -> Result<bool, Errno> {
        let mut entries = RawDir::new(&self.handle, self.buffer.spare_capacity_mut());
        let mut any = false;
        loop {
            match entries.next() {
                // A directory that was removed while it is read has no more names.
                None | Some(Err(Errno::NOENT)) => return Ok(any),
                Some(Err(errno)) => return Err(errno),
                Some(Ok(entry)) => {
                    any = true;
                    let name = entry.file_name().to_bytes();
                    if name != b"." && name != b".." {
                        each(self.handle.as_fd(), name, entry.file_type());
                    }
                }
            }
            if entries.is_buffer_empty() {
                return Ok(true);
            }
        }
    }
}

//! The disk as the store uses it: few operations, each of which may fail.
//!
//! Everything that makes a body durable goes through [`Disk`], so that a test can put a faulty one in its place: a full
//! disk, a failing sync, a short write, a machine that stops at the n-th step.
//!
//! Not here: reading (segment), the index's own files (SQLite writes those; [`Disk::reached`] lets a test stop in between).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;

use crate::privacy::FILE_MODE;

/// A moment in the life of a commit that is not an operation on a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The bodies of a group are synced.
    BodiesSynced,
    /// All rows are written, the index is about to commit.
    RowsWritten,
    /// The index has committed.
    Committed,
}

/// What the store asks of a disk. Positions and lengths in octets.
pub(crate) trait Disk: Send + Sync + 'static {
    /// Makes a new file, for reading and writing; one that exists is an error.
    fn create(&self, path: &Path) -> io::Result<DiskFile>;
    /// Opens a file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<DiskFile>;
    /// Sets room aside for the first `length` octets. May do nothing where the file system cannot.
    fn allocate(&self, file: &DiskFile, length: u64) -> io::Result<()>;
    /// Writes from the front of `octets` and returns how many it wrote.
    fn write_at(&self, file: &DiskFile, octets: &[u8], offset: u64) -> io::Result<usize>;
    /// Makes durable what was written to the file. After an error nothing is known about it: never try again.
    fn sync(&self, file: &DiskFile) -> io::Result<()>;
    /// Makes durable which files a directory has.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Gives a file another name, replacing what had it.
    fn rename(&self, source: &Path, target: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes durable what was written to the index's log.
    fn sync_index(&self, log: &DiskFile) -> io::Result<()> {
        self.sync(log)
    }
    /// Whether the index is to sync its own files. A disk that only pretends to lose power has no need of it.
    fn syncs_index(&self) -> bool {
        true
    }
    /// Called at each [`Moment`]; an error counts as the index failing there.
    fn reached(&self, _moment: Moment) -> io::Result<()> {
        Ok(())
    }

    /// Writes all of `octets`, however short the single writes are.
    fn write_all_at(&self, file: &DiskFile, mut octets: &[u8], mut offset: u64) -> io::Result<()> {
        while !octets.is_empty() {
            match self.write_at(file, octets, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    octets = &octets[written..];
                    offset += written as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// An open file that remembers under which name it was opened.
#[derive(Debug)]
pub(crate) struct DiskFile {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
}

/// The machine's disk.
#[derive(Debug, Default)]
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<DiskFile> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(FILE_MODE).open(path)?;
        Ok(DiskFile { file, path: path.into() })
    }

    fn open(&self, path: &Path) -> io::Result<DiskFile> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(DiskFile { file, path: path.into() })
    }

    fn allocate(&self, file: &DiskFile, length: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&file.file, FallocateFlags::empty(), 0, length) {
            // Some file systems cannot; then the file grows as it is written.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS | rustix::io::Errno::INVAL) => Ok(()),
            other => Ok(other?),
        }
    }

    fn write_at(&self, file: &DiskFile, octets: &[u8], offset: u64) -> io::Result<usize> {
        file.file.write_at(octets, offset)
    }

    fn sync(&self, file: &DiskFile) -> io::Result<()> {
        file.file.sync_data()
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn rename(&self, source: &Path, target: &Path) -> io::Result<()> {
        std::fs::rename(source, target)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }
}

/// Whether an error says that there is no room, which passes, rather than that the disk is broken, which does not.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

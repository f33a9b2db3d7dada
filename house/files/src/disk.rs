//! The disk as uploads use it: few operations, each of which may fail.
//!
//! Everything that changes names or makes something durable goes through [`Disk`], so that a test can put a faulty one in
//! its place: a full disk, a failing sync, a machine that stops at the n-th step. What is written here is the real one.
//!
//! Not here: looking and reading (`confine`, `look`), whose failures change nothing.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, RenameFlags, SeekFrom, copy_file_range, fchmod, ftruncate, ioctl_ficlone, linkat,
    mkdirat, openat, renameat, renameat_with, seek, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

/// Octets copied at once where the kernel cannot copy by itself.
const COPY_BUFFER: usize = 256 * 1024;

/// Octets the kernel is asked to copy at once; it must not hold a signal off for minutes.
const COPY_STRIDE: usize = 256 * 1024 * 1024;

/// What the house asks of a disk. A directory is a handle, a name is one component.
pub(crate) trait Disk: Send + Sync {
    /// Makes a new file, for reading and writing; one that exists is an error.
    fn create(&self, dir: BorrowedFd<'_>, name: &[u8], mode: u32) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(openat(dir, name, flags, Mode::from_raw_mode(mode))?))
    }

    /// Makes a new file that has no name yet, in the file system of a directory, for reading and writing. None where there is no
    /// such thing, and where syncs are to mean something: what is synced before it has a name need not outlive a power cut
    /// with its name (`docs/decisions/0014-files-without-a-name.md`).
    fn create_nameless(&self, _dir: BorrowedFd<'_>, _mode: u32) -> Option<File> {
        None
    }

    /// Gives a file that has no name one, which must be free.
    fn give_name(&self, file: &File, dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
        // The kernel's own name for a handle: no path of a client takes part in it.
        let handle = format!("/proc/self/fd/{}", file.as_raw_fd());
        Ok(linkat(CWD, handle, dir, name, AtFlags::SYMLINK_FOLLOW)?)
    }

    /// Writes from the front of `octets` where the file stands, and returns how many it wrote.
    fn write(&self, mut file: &File, octets: &[u8]) -> io::Result<usize> {
        file.write(octets)
    }

    /// Cuts the file at `length`, or lengthens it by a hole.
    fn truncate(&self, file: &File, length: u64) -> io::Result<()> {
        Ok(ftruncate(file, length)?)
    }

    /// Copies the first `length` octets of a file to `offset` of another, holes as holes, blocks shared where possible.
    fn copy(&self, source: &File, target: &File, offset: u64, length: u64) -> io::Result<()> {
        copy(source, target, offset, length)
    }

    /// Copies the first `length` octets of a file over those at `offset` of another; all others there stay.
    fn overlay(&self, source: &File, target: &File, offset: u64, length: u64) -> io::Result<()> {
        copy_stretch(source, 0, target, offset, length)
    }

    /// Makes durable what was written to a file. After an error nothing is known about it: never try again.
    fn sync_data(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    /// Makes durable which names a directory has.
    fn sync_directory(&self, dir: BorrowedFd<'_>) -> io::Result<()> {
        Ok(rustix::fs::fsync(dir)?)
    }

    /// Gives a file another name, replacing what had it.
    fn replace(&self, dir: BorrowedFd<'_>, name: &[u8], to: BorrowedFd<'_>, as_name: &[u8]) -> io::Result<()> {
        Ok(renameat(dir, name, to, as_name)?)
    }

    /// Gives something another name that must be free.
    fn rename(&self, dir: BorrowedFd<'_>, name: &[u8], to: BorrowedFd<'_>, as_name: &[u8]) -> io::Result<()> {
        match renameat_with(dir, name, to, as_name, RenameFlags::NOREPLACE) {
            // Some file systems have no such renaming.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => rename_where_free(dir, name, to, as_name),
            other => Ok(other?),
        }
    }

    /// Removes a file or a link.
    fn remove(&self, dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
        Ok(unlinkat(dir, name, AtFlags::empty())?)
    }

    /// Removes an empty directory.
    fn remove_directory(&self, dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
        Ok(unlinkat(dir, name, AtFlags::REMOVEDIR)?)
    }

    /// Makes a directory.
    fn make_directory(&self, dir: BorrowedFd<'_>, name: &[u8], mode: u32) -> io::Result<()> {
        Ok(mkdirat(dir, name, Mode::from_raw_mode(mode))?)
    }

    /// Makes a symbolic link.
    fn link(&self, target: &[u8], dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
        Ok(symlinkat(target, dir, name)?)
    }

    /// Sets the mode of an open file.
    fn set_mode(&self, file: BorrowedFd<'_>, mode: u32) -> io::Result<()> {
        Ok(fchmod(file, Mode::from_raw_mode(mode))?)
    }
}

/// The machine's disk.
pub(crate) struct RealDisk;

impl Disk for RealDisk {}

/// The same without syncs: what was written is durable when the system sees fit. Names and octets still become visible in
/// one step each, and survive us; they need not survive the machine.
#[derive(Default)]
pub(crate) struct UnsyncedDisk {
    gives_names: OnceLock<bool>,
}

impl Disk for UnsyncedDisk {
    fn create_nameless(&self, dir: BorrowedFd<'_>, mode: u32) -> Option<File> {
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        let file = File::from(openat(dir, ".", flags, Mode::from_raw_mode(mode)).ok()?);
        // Without /proc it could never have a name. This one is never free, which is found out after the file was found.
        let try_name =
            || self.give_name(&file, dir, b".").is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists);
        self.gives_names.get_or_init(try_name).then_some(file)
    }

    fn sync_data(&self, _: &File) -> io::Result<()> {
        Ok(())
    }

    fn sync_directory(&self, _: BorrowedFd<'_>) -> io::Result<()> {
        Ok(())
    }
}

/// A second name and the first one gone; for directories, which cannot have two, a look before.
fn rename_where_free(dir: BorrowedFd<'_>, name: &[u8], to: BorrowedFd<'_>, as_name: &[u8]) -> io::Result<()> {
    match linkat(dir, name, to, as_name, AtFlags::empty()) {
        Ok(()) => Ok(unlinkat(dir, name, AtFlags::empty())?),
        Err(Errno::EXIST) => Err(Errno::EXIST.into()),
        // Between this look and the renaming only another program could take the name: ours holds the volume's lock.
        Err(_) => match statat(to, as_name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Err(Errno::EXIST.into()),
            Err(Errno::NOENT) => Ok(renameat(dir, name, to, as_name)?),
            Err(errno) => Err(errno.into()),
        },
    }
}

fn copy(source: &File, target: &File, offset: u64, length: u64) -> io::Result<()> {
    if offset == 0 && ioctl_ficlone(target, source).is_ok() {
        if target.metadata()?.len() < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        return Ok(ftruncate(target, length)?);
    }
    let mut at = 0;
    while let Some((start, end)) = next_data(source, at, length)? {
        copy_stretch(source, start, target, offset + start, end - start)?;
        at = end;
    }
    // What follows the last stretch is a hole, and belongs to the length.
    Ok(ftruncate(target, offset + length)?)
}

/// The next stretch with data in it from `at` and below `length`.
fn next_data(file: &File, at: u64, length: u64) -> io::Result<Option<(u64, u64)>> {
    if at >= length {
        return Ok(None);
    }
    let start = match seek(file, SeekFrom::Data(at)) {
        Ok(start) if start >= length => return Ok(None),
        Ok(start) => start,
        Err(Errno::NXIO) => return Ok(None),
        // A file system that knows no holes.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some((at, length))),
        Err(errno) => return Err(errno.into()),
    };
    let end = seek(file, SeekFrom::Hole(start))?;
    Ok(Some((start, end.min(length))))
}

fn copy_stretch(source: &File, mut from: u64, target: &File, mut to: u64, length: u64) -> io::Result<()> {
    let end = from + length;
    while from < end {
        let stride = (end - from).min(COPY_STRIDE as u64) as usize;
        match copy_file_range(source, Some(&mut from), target, Some(&mut to), stride) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                return copy_by_hand(source, from, target, to, end - from);
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

fn copy_by_hand(source: &File, mut from: u64, target: &File, mut to: u64, length: u64) -> io::Result<()> {
    let mut buffer = vec![0; COPY_BUFFER];
    let end = from + length;
    while from < end {
        let stride = (end - from).min(COPY_BUFFER as u64) as usize;
        source.read_exact_at(&mut buffer[..stride], from)?;
        target.write_all_at(&buffer[..stride], to)?;
        from += stride as u64;
        to += stride as u64;
    }
    Ok(())
}

/// A directory that is open for reading, and which one it is.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) handle: OwnedFd,
    pub(crate) id: DirectoryId,
}

/// Device and inode.
pub(crate) type DirectoryId = (u64, u64);

impl Directory {
    pub(crate) fn new(handle: OwnedFd) -> Result<Directory, Errno> {
        let stat = rustix::fs::fstat(&handle)?;
        Ok(Directory { handle, id: (stat.st_dev, stat.st_ino) })
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn file(octets: &[u8]) -> File {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(octets, 0).unwrap();
        file
    }

    fn content(file: &File) -> Vec<u8> {
        let mut octets = vec![0; file.metadata().unwrap().len() as usize];
        file.read_exact_at(&mut octets, 0).unwrap();
        octets
    }

    #[test]
    fn a_part_of_a_file_is_copied_behind_another() {
        let target = file(b"head ");
        copy(&file(b"tail and more"), &target, 5, 4).unwrap();
        assert_eq!(content(&target), b"head tail");
        copy_by_hand(&file(b"abc"), 1, &target, 0, 2).unwrap();
        assert_eq!(content(&target), b"bcad tail");
    }

    #[test]
    fn holes_are_copied_as_holes() {
        let source = file(b"front");
        source.write_all_at(b"back", 5 << 30).unwrap();
        source.set_len(6 << 30).unwrap();
        let target = tempfile::tempfile().unwrap();
        copy(&source, &target, 0, 6 << 30).unwrap();
        let metadata = target.metadata().unwrap();
        assert_eq!(metadata.len(), 6 << 30);
        assert!(metadata.blocks() < 2048, "{} blocks", metadata.blocks());
        let mut back = [0; 4];
        target.read_exact_at(&mut back, 5 << 30).unwrap();
        assert_eq!(&back, b"back");
    }

    #[test]
    fn a_source_that_ends_too_soon_is_an_error() {
        assert!(copy_by_hand(&file(b"short"), 0, &file(b""), 0, 6).is_err());
        assert!(copy_stretch(&file(b"short"), 0, &file(b""), 0, 6).is_err());
    }

    #[test]
    fn a_name_that_is_taken_is_not_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let handle = File::open(dir.path()).unwrap();
        std::fs::write(dir.path().join("a"), "a").unwrap();
        std::fs::write(dir.path().join("b"), "b").unwrap();
        std::fs::create_dir(dir.path().join("d")).unwrap();
        let fd = handle.as_fd();
        for by in [|f, n, t, a| RealDisk.rename(f, n, t, a), rename_where_free] {
            assert_eq!(by(fd, b"a", fd, b"b").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(by(fd, b"d", fd, b"b").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            by(fd, b"a", fd, b"c").unwrap();
            by(fd, b"d", fd, b"e").unwrap();
            by(fd, b"c", fd, b"a").unwrap();
            by(fd, b"e", fd, b"d").unwrap();
        }
    }
}

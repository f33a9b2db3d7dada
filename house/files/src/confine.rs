//! Opening what is below a directory, by handle, without following a single link.
//!
//! ```text
//! openat2(root, "a/b/c", RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)     one call, where there is one
//! openat(root, "a", O_NOFOLLOW) → openat(·, "b", O_NOFOLLOW) → openat(·, "c", O_NOFOLLOW)   otherwise
//! ```
//!
//! Both ways promise the same: what is opened is reached by these very names from this very directory, whatever anybody
//! renames or links meanwhile; a link is an error, [`Errno::LOOP`]. Links are then read as text and walked by `walk`, name
//! by name, from handles: there is no moment between looking and opening in which a link could slip in.
//!
//! Why so: `docs/decisions/0003-confinement.md`. Not here: names that are no names (`path`), links (`walk`).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, openat, openat2, statat};
use rustix::io::Errno;

/// How this machine lets us open things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confinement {
    /// The kernel sees to it, in one call.
    Kernel,
    /// Name by name: the kernel is older than 5.6, or a sandbox forbids the call.
    NameByName,
}

/// What the kernel is asked to keep to.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// A handle to look from; it can be made even where reading is not permitted.
pub(crate) const LOOK: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A directory to be read or synced.
pub(crate) const READ_DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A file to be read. Opening a pipe must not wait for a writer, nor a terminal become ours.
pub(crate) const READ_FILE: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// A file to be written that exists.
pub(crate) const WRITE_FILE: OFlags = OFlags::RDWR.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

impl Confinement {
    /// The best way there is, found out at a directory.
    pub(crate) fn probe(root: BorrowedFd<'_>) -> Confinement {
        match by_kernel(root, b".", LOOK) {
            Ok(_) => Confinement::Kernel,
            Err(_) => Confinement::NameByName,
        }
    }

    /// Opens what these names lead to from `root`; no names at all is the directory itself.
    ///
    /// `below` is as [`JailedPath`](crate::JailedPath) has it, or one name: no empty part, no `.` or `..`.
    pub(crate) fn open(self, root: BorrowedFd<'_>, below: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let below = if below.is_empty() { b"." } else { below };
        match self {
            Confinement::Kernel => by_kernel(root, below, flags),
            Confinement::NameByName => by_name(root, below, flags),
        }
    }

    /// The same without waiting for the disk: only what the kernel has in memory, and only if it says so (Linux 5.12).
    /// None says nothing of what is there.
    pub(crate) fn open_at_once(self, root: BorrowedFd<'_>, below: &[u8], flags: OFlags) -> Option<OwnedFd> {
        let resolve = BENEATH | ResolveFlags::CACHED;
        match self {
            Confinement::Kernel if !below.is_empty() => openat2(root, below, flags, Mode::empty(), resolve).ok(),
            _ => None,
        }
    }
}

fn by_kernel(root: BorrowedFd<'_>, below: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    loop {
        match openat2(root, below, flags, Mode::empty(), BENEATH) {
            // Somebody renamed on the way and the kernel is not sure: it asks to be asked again.
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
}

fn by_name(root: BorrowedFd<'_>, below: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let (way, last) = match below.iter().rposition(|&octet| octet == b'/') {
        Some(slash) => (&below[..slash], &below[slash + 1..]),
        None => (&b""[..], below),
    };
    let mut dir: Option<OwnedFd> = None;
    for name in way.split(|&octet| octet == b'/').filter(|name| !name.is_empty()) {
        let from = dir.as_ref().map_or(root, |dir| dir.as_fd());
        dir = Some(open_name(from, name, LOOK)?);
    }
    open_name(dir.as_ref().map_or(root, |dir| dir.as_fd()), last, flags)
}

/// Opens one name of a directory, and no link.
pub(crate) fn open_name(dir: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    loop {
        match openat(dir, name, flags | OFlags::NOFOLLOW, Mode::empty()) {
            // A link where a directory was asked for is "not a directory".
            Err(Errno::NOTDIR) if is_link(dir, name) => return Err(Errno::LOOP),
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

/// What has this name in a directory, itself.
pub(crate) fn look_at(dir: BorrowedFd<'_>, name: &[u8]) -> Result<Option<Stat>, Errno> {
    match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

pub(crate) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

fn is_link(dir: BorrowedFd<'_>, name: &[u8]) -> bool {
    look_at(dir, name).is_ok_and(|stat| stat.is_some_and(|stat| file_type(&stat).is_symlink()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::symlink;

    /// A directory with a file, a directory, and links of all kinds, and the ways that are to agree about it.
    fn each_way(check: impl Fn(Confinement, &File)) {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        std::fs::create_dir_all(top.join("a/b")).unwrap();
        std::fs::write(dir.path().join("secret"), "secret").unwrap();
        std::fs::write(top.join("a/b/file"), "inside").unwrap();
        symlink("/etc", top.join("etc")).unwrap();
        symlink("../secret", top.join("secret")).unwrap();
        symlink("a", top.join("link")).unwrap();
        symlink("b", top.join("a/link")).unwrap();
        symlink("/proc/self/root", top.join("magic")).unwrap();
        symlink("loop", top.join("loop")).unwrap();
        let top = File::open(top).unwrap();
        assert_eq!(Confinement::probe(top.as_fd()), Confinement::Kernel, "this machine has openat2");
        check(Confinement::Kernel, &top);
        check(Confinement::NameByName, &top);
    }

    #[test]
    fn names_lead_to_what_they_name() {
        each_way(|way, top| {
            way.open(top.as_fd(), b"a/b/file", READ_FILE).unwrap();
            way.open(top.as_fd(), b"a/b", READ_DIRECTORY).unwrap();
            way.open(top.as_fd(), b"", READ_DIRECTORY).unwrap();
            assert_eq!(way.open(top.as_fd(), b"a/none", READ_FILE).unwrap_err(), Errno::NOENT);
            assert_eq!(way.open(top.as_fd(), b"none/b", READ_FILE).unwrap_err(), Errno::NOENT);
            assert_eq!(way.open(top.as_fd(), b"a/b/file/x", READ_FILE).unwrap_err(), Errno::NOTDIR);
            assert_eq!(way.open(top.as_fd(), b"a/b/file", READ_DIRECTORY).unwrap_err(), Errno::NOTDIR);
        });
    }

    #[test]
    fn no_link_is_followed_anywhere() {
        each_way(|way, top| {
            for path in
                ["etc", "etc/passwd", "secret", "link", "link/b", "a/link", "a/link/file", "magic", "magic/etc", "loop"]
            {
                for flags in [READ_FILE, LOOK, READ_DIRECTORY, WRITE_FILE] {
                    let error = way.open(top.as_fd(), path.as_bytes(), flags).unwrap_err();
                    assert_eq!(error, Errno::LOOP, "{path} {way:?} {flags:?}");
                }
            }
        });
    }
}

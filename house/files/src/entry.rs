//! What there is to know of a file, a directory or a link.
//!
//! Not here: how it is written on the wire (protocol, desk).

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{FileType, Stat};

use crate::confine::file_type;
use crate::path::JailedPath;
use crate::permissions::Permissions;
use crate::survey::modified;

/// What kind of thing has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Octets to fetch.
    File,
    /// A place for other names.
    Directory,
    /// A symbolic link.
    Link,
    /// A device, a pipe or a socket.
    Other,
}

/// What the disk knows of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// What it is.
    pub kind: Kind,
    /// Length in octets; of a file that others write, at this moment.
    pub size: u64,
    /// When its content last changed, to the nanosecond where the file system keeps them.
    pub modified: SystemTime,
    /// Permission bits as the host has them, `0o7777`.
    pub mode: u32,
    /// How many names it has; of a directory, two and its directories, on most file systems.
    pub links: u64,
    /// The host's number of the owner.
    pub owner: u32,
    /// The host's number of the group.
    pub group: u32,
    /// Device and inode: equal for two names of one thing, and for nothing else at one time.
    pub unique: (u64, u64),
}

/// Where a link leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The path in the space, all links followed.
    pub path: JailedPath,
    /// What is there.
    pub facts: Facts,
}

/// A name and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name, octet by octet as the disk has it; the root's is `/`.
    pub name: Vec<u8>,
    /// What has the name, itself: of a link, the link.
    pub facts: Facts,
    /// What this account may do with it where it stands: read, write, delete …
    pub here: Permissions,
    /// What this account may do in it, if it is a directory (or a link to one).
    pub inside: Permissions,
    /// Where it leads, if it is a link to something in the space that is there. Boxed: few are, and listings hold many.
    pub target: Option<Box<Target>>,
}

impl Entry {
    /// What one gets by the name: of a link that leads somewhere, what is there.
    pub fn reached(&self) -> &Facts {
        self.target.as_ref().map_or(&self.facts, |target| &target.facts)
    }
}

impl Facts {
    pub(crate) fn new(stat: &Stat) -> Facts {
        let kind = match file_type(stat) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Link,
            _ => Kind::Other,
        };
        Facts {
            kind,
            size: stat.st_size as u64,
            modified: modified(stat),
            mode: stat.st_mode & 0o7777,
            #[allow(clippy::unnecessary_cast, reason = "not on every machine is it as wide")]
            links: stat.st_nlink as u64,
            owner: stat.st_uid,
            group: stat.st_gid,
            unique: (stat.st_dev, stat.st_ino),
        }
    }

    /// Nothing but what the directory says.
    pub(crate) fn of_kind(kind: Kind) -> Facts {
        Facts { kind, size: 0, modified: UNIX_EPOCH, mode: 0, links: 0, owner: 0, group: 0, unique: (0, 0) }
    }

    pub(crate) fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }
}

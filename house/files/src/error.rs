//! What can go wrong, by who must act on it.
//!
//! What the peer reads is for the desk to say; the sentences here are for the log.

use std::io;
use std::path::PathBuf;

use rustix::io::Errno;
use thiserror::Error;

use crate::path::PathError;
use crate::permissions::Permissions;

/// Why something could not be done in a space.
#[derive(Debug, Error)]
pub enum Error {
    /// There is no such file or directory.
    #[error("there is nothing of that name")]
    NotFound,
    /// The name is taken.
    #[error("the name is taken")]
    AlreadyExists,
    /// A directory was needed.
    #[error("it is not a directory")]
    NotADirectory,
    /// A file was needed.
    #[error("it is a directory")]
    IsADirectory,
    /// A device, a pipe or a socket: nothing to be read or written through us.
    #[error("it is neither file nor directory")]
    NotAFile,
    /// A directory that is to be removed still holds something.
    #[error("the directory is not empty")]
    NotEmpty,
    /// The rules of the space do not permit it.
    #[error("the rules of this directory do not permit to {0}")]
    Denied(Permissions),
    /// The operating system does not permit it.
    #[error("the operating system does not permit it")]
    HostDenied,
    /// A link on the way leads out of the space.
    #[error("a link on the way leads out of the space")]
    Outside,
    /// Links lead to links without end.
    #[error("too many links on the way")]
    TooManyLinks,
    /// The name is one of those that uploads have while they arrive.
    #[error("names of this form are kept for uploads that are not finished")]
    Reserved,
    /// What rules or mounts are bound to cannot be moved or removed by a client.
    #[error("the configuration holds it in place")]
    Fixed,
    /// A directory cannot be moved into itself.
    #[error("a directory cannot be moved into itself")]
    IntoItself,
    /// Files are moved within a mount only; between mounts they must be fetched and stored.
    #[error("the two names are in different mounts")]
    AcrossMounts,
    /// Bits that make a program run as somebody else, and the like, are not set through us; nor are those of a directory
    /// taken away that let us look into it.
    #[error("only the bits 0777 of a mode can be set, and a directory keeps 0500")]
    Mode,
    /// The path is none, or becomes none when links are followed.
    #[error("{0}")]
    Path(#[from] PathError),
    /// The quota has no room for it.
    #[error("the quota is used up")]
    QuotaExceeded,
    /// The disk has no room for it.
    #[error("the disk is full")]
    DiskFull,
    /// One cannot continue where nothing is.
    #[error("the offset is beyond the end at {end}")]
    OffsetBeyondEnd {
        /// Octets there are.
        end: u64,
    },
    /// An interrupted upload of the same file stands in the way of going on from what is there.
    #[error("an interrupted upload of {kept} octets waits to be continued or stored anew")]
    Interrupted {
        /// Octets that arrived of it.
        kept: u64,
    },
    /// Another session is at it.
    #[error("another session is using it")]
    Busy,
    /// A directory could not be synced, after which nothing is known of it: no more changes until a restart.
    #[error("a sync failed; nothing is changed here until the space is opened anew")]
    Stopped,
    /// The system failed in another way.
    #[error("{0}")]
    Io(io::Error),
}

impl Error {
    /// Whether trying the same again is pointless until somebody changes something.
    pub fn is_permanent(&self) -> bool {
        !matches!(self, Error::DiskFull | Error::Busy | Error::Stopped | Error::Io(_))
    }
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Error {
        match errno {
            Errno::NOENT => Error::NotFound,
            Errno::EXIST => Error::AlreadyExists,
            Errno::NOTDIR => Error::NotADirectory,
            Errno::ISDIR => Error::IsADirectory,
            Errno::NOTEMPTY => Error::NotEmpty,
            Errno::ACCESS | Errno::PERM | Errno::ROFS => Error::HostDenied,
            Errno::NOSPC | Errno::DQUOT => Error::DiskFull,
            Errno::XDEV => Error::AcrossMounts,
            Errno::LOOP => Error::TooManyLinks,
            Errno::NAMETOOLONG => Error::Path(PathError::NameTooLong),
            Errno::BUSY | Errno::TXTBSY => Error::Busy,
            // A socket, or a device without a driver.
            Errno::NXIO | Errno::NODEV => Error::NotAFile,
            other => Error::Io(other.into()),
        }
    }
}

/// What the driver met while it wrote into an upload or read from a download.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        match Errno::from_io_error(&error) {
            Some(errno) => errno.into(),
            None => Error::Io(error),
        }
    }
}

/// Why a directory could not be opened as a volume, or mounts not joined to a space.
#[derive(Debug, Error)]
pub enum OpenError {
    /// It is open already, here or in another process.
    #[error("{} is open already, here or in another process", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The directory cannot be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Two mounts have the same place.
    #[error("two mounts at {0}")]
    TwiceMounted(String),
    /// The path of a rule is too long under its mount.
    #[error("the rule for {at} in the mount at {mount}: {source}")]
    Rule {
        /// The mount's place.
        mount: String,
        /// The rule's place in it.
        at: String,
        /// Why.
        source: PathError,
    },
}

//! A real directory that spaces are made of.
//!
//! ```text
//! account alice ── Space ─┬─ Mount at /        → Volume data/files/alice
//! account bob ──── Space ─┼─ Mount at /        → Volume data/files/bob
//!                         └─ Mount at /shared  → Volume /srv/shared ←─ alice has it too
//! ```
//!
//! A volume is opened once in a process and shared by everybody who may see it: what must be one for all of them is here,
//! the quota, the claims on hidden names, the grouping of syncs.
//!
//! Invariants: one process has a volume open, once; after a failed directory sync nothing is changed in it any more.
//! Not here: who may do what (`space`).

use std::fs::{DirBuilder, File};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags, flock, fstat, stat};
use rustix::io::Errno;

use crate::confine::Confinement;
use crate::disk::{Directory, Disk, RealDisk, UnsyncedDisk};
use crate::error::{Error, OpenError};
use crate::group::GroupSync;
use crate::hidden::Claims;
use crate::ledger::{Ledger, Quota, Usage};
use crate::locks::Turns;
use crate::path::JailedPath;

/// On which terms a directory is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// How much it may hold.
    pub quota: Quota,
    /// Mode of new files, before the process's umask. A file that replaces another takes over that one's mode.
    pub file_mode: u32,
    /// Mode of new directories, before the process's umask.
    pub directory_mode: u32,
    /// How long an interrupted upload is kept to be continued.
    pub keep_interrupted: Duration,
    /// Directories, seen from the top, that no client may move or remove, whatever its permissions. Name here what rules
    /// of spaces are bound to when spaces with other rules share the volume.
    pub fixed: Vec<JailedPath>,
    /// Whether the directory is made when it is missing. Not for what should be a mounted disk.
    pub make_missing: bool,
    /// Whether what is acknowledged is on the disk.
    pub syncs: Syncs,
}

/// Whether what is acknowledged is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Syncs {
    /// It is.
    #[default]
    Always,
    /// It will be, if the machine lives for another half minute or so. For what can be fetched or made again.
    Never,
}

/// No quota; files for owner and group; interrupted uploads are kept for a day.
impl Default for Terms {
    fn default() -> Terms {
        Terms {
            quota: Quota::NONE,
            file_mode: 0o640,
            directory_mode: 0o750,
            keep_interrupted: Duration::from_secs(24 * 60 * 60),
            fixed: Vec::new(),
            make_missing: false,
            syncs: Syncs::Always,
        }
    }
}

/// A directory in use.
pub struct Volume {
    root: OwnedFd,
    /// Where it is, without links: what an absolute link into it begins with.
    place: PathBuf,
    terms: RwLock<Arc<Terms>>,
    pub(crate) confinement: Confinement,
    pub(crate) disk: Box<dyn Disk>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) claims: Arc<Claims>,
    pub(crate) appends: Turns,
    /// Held for the few calls in which a name changes and the ledger learns of it, never while something is synced.
    pub(crate) names: Mutex<()>,
    /// Held by the one who counts or sweeps.
    pub(crate) survey: Mutex<()>,
    syncs: GroupSync,
    stopped: AtomicBool,
}

impl Drop for Volume {
    fn drop(&mut self) {
        // A child that was forked and is not yet the program that it will be has the directory open, too, and with it the lock.
        let _ = flock(&self.root, FlockOperation::Unlock);
    }
}

impl Volume {
    /// Opens a directory. Blocks; with a quota, what lies there is counted first, which takes some microseconds an entry.
    pub fn open(path: &Path, terms: Terms) -> Result<Arc<Volume>, OpenError> {
        let disk: Box<dyn Disk> = match terms.syncs {
            Syncs::Always => Box::new(RealDisk),
            Syncs::Never => Box::new(UnsyncedDisk::default()),
        };
        Volume::open_on(path, terms, disk, None)
    }

    pub(crate) fn open_on(
        path: &Path,
        terms: Terms,
        disk: Box<dyn Disk>,
        confinement: Option<Confinement>,
    ) -> Result<Arc<Volume>, OpenError> {
        let failed = |source| OpenError::Io { path: path.into(), source };
        if terms.make_missing {
            DirBuilder::new().recursive(true).mode(terms.directory_mode).create(path).map_err(failed)?;
        }
        let flags = OFlags::DIRECTORY.bits() as i32;
        let root = File::options().read(true).custom_flags(flags).open(path).map_err(failed)?;
        let place = path.canonicalize().map_err(failed)?;
        // Two that use one directory would sweep away each other's uploads. Where there are no locks, we cannot know.
        if flock(&root, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
            return Err(OpenError::InUse { path: path.into() });
        }
        let root = OwnedFd::from(root);
        let volume = Arc::new(Volume {
            confinement: confinement.unwrap_or_else(|| Confinement::probe(root.as_fd())),
            root,
            place,
            ledger: Arc::new(Ledger::new(terms.quota)),
            terms: RwLock::new(Arc::new(terms)),
            disk,
            claims: Arc::default(),
            appends: Turns::default(),
            names: Mutex::default(),
            survey: Mutex::default(),
            syncs: GroupSync::default(),
            stopped: AtomicBool::new(false),
        });
        if volume.quota() != Quota::NONE {
            volume
                .recount()
                .map_err(|error| OpenError::Io { path: path.into(), source: std::io::Error::other(error) })?;
        }
        Ok(volume)
    }

    /// What the volume holds; nothing is known of one without a quota until [`Volume::recount`].
    pub fn usage(&self) -> Option<Usage> {
        self.ledger.usage()
    }

    /// How much the volume may hold.
    pub fn quota(&self) -> Quota {
        self.ledger.quota()
    }

    /// Uses the directory on other terms from now on, uploads under way among what they hold for; only what was joined to a
    /// space before keeps the directories that were fixed then. Blocks when there is a quota and nothing was counted yet.
    pub fn change_terms(&self, terms: Terms) -> Result<(), Error> {
        if terms.quota != Quota::NONE && self.usage().is_none() {
            self.recount()?;
        }
        self.ledger.set_quota(terms.quota);
        *self.terms.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(terms);
        Ok(())
    }

    /// The terms that hold now.
    pub fn terms(&self) -> Arc<Terms> {
        Arc::clone(&self.terms.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where it is, all links resolved.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Whether this path leads to it. Where that cannot be seen just now, nothing is known against it. Blocks.
    pub fn is_at(&self, path: &Path) -> bool {
        match (fstat(&self.root), stat(path)) {
            (Ok(ours), Ok(there)) => (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino),
            (_, Err(Errno::NOENT | Errno::NOTDIR)) => false,
            _ => true,
        }
    }

    /// Whether a sync failed, after which nothing is changed any more.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// What an absolute link's target is called from the top of this volume, if it leads here.
    pub(crate) fn below_place<'t>(&self, target: &'t [u8]) -> Option<&'t [u8]> {
        let place = self.place.as_os_str().as_bytes();
        match target.strip_prefix(place)? {
            [] => Some(b""),
            [b'/', rest @ ..] => Some(rest),
            rest if place == b"/" => Some(rest),
            _ => None,
        }
    }

    /// Refuses changes after a failed sync.
    pub(crate) fn check_running(&self) -> Result<(), Error> {
        if self.is_stopped() { Err(Error::Stopped) } else { Ok(()) }
    }

    /// Makes the names of a directory durable, together with whoever else waits for that.
    pub(crate) fn sync_directory(&self, directory: &Directory) -> Result<(), Error> {
        self.check_running()?;
        self.syncs.sync(&*self.disk, directory).map_err(|_| {
            self.stopped.store(true, Ordering::Release);
            Error::Stopped
        })
    }
}

impl std::fmt::Debug for Volume {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Volume({})", self.place.display())
    }
}

//! Who may read what is kept: its owner and nobody else.
//!
//! SQLite gives what it puts beside a database (`-wal`, `-shm`) the mode of the database; so the database is there, with its mode, before
//! SQLite opens it.
//!
//! Invariants: what is made here is its owner's alone from its first moment; a mode is never widened; no link is followed to a file.
//! Not here: file spaces, whose modes are those that people give their files (files).

use std::fs::{DirBuilder, DirEntry, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use tracing::{info, warn};

use crate::rebuild::{BEFORE, BESIDE};
use crate::register::REGISTER;
use crate::{DATABASE, DRAFTS, LOCK, SEGMENTS, TEXTS};

/// Mail is nobody's business but its owner's.
pub(crate) const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// What others than the owner may do.
const OTHERS: u32 = 0o077;

/// A directory that everybody uses, each for files of their own: `/tmp`.
const STICKY: u32 = 0o1000;

/// Something of the store's that others than its owner may look into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposed {
    /// The file or directory.
    pub path: PathBuf,
    /// Its mode.
    pub mode: u32,
    /// Why that cannot be changed from here; `None` where opening the store changes it.
    pub obstacle: Option<&'static str>,
}

impl std::fmt::Display for Exposed {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "others may look into {} (mode {:04o})", self.path.display(), self.mode)?;
        self.obstacle.map_or(Ok(()), |obstacle| write!(out, "; {obstacle}"))
    }
}

/// Makes a directory, and those above it, that only its owner may enter. One that is there stays as it is.
pub fn make_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path)
}

/// Makes an empty file where there is none.
pub(crate) fn make_file(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(FILE_MODE).open(path).map(drop)
}

/// What of a store, and the store's directory itself, others may look into. Looks at every file. Changes nothing.
pub fn exposed(dir: &Path) -> Vec<Exposed> {
    let above = std::fs::metadata(dir).ok().and_then(|metadata| judge(dir.into(), &metadata));
    let below = entries(dir).into_iter().filter(is_ours).flat_map(|entry| {
        let inside = if entry.path().is_dir() { entries(&entry.path()) } else { Vec::new() };
        std::iter::once(entry).chain(inside)
    });
    let below = below.filter_map(|entry| judge(entry.path(), &entry.metadata().ok()?));
    above.into_iter().chain(below).collect()
}

/// Takes from others what they need not see of a store, and says so. What cannot be changed keeps no store from opening.
pub(crate) fn tighten_all(dir: &Path) {
    for found in exposed(dir) {
        close_to_others(found);
    }
}

/// The same for one file, or for a directory without what is in it.
pub fn tighten(path: &Path) {
    if let Some(found) = std::fs::symlink_metadata(path).ok().and_then(|metadata| judge(path.into(), &metadata)) {
        close_to_others(found);
    }
}

fn close_to_others(found: Exposed) {
    if found.obstacle.is_some() {
        return warn!("{found}");
    }
    let private = Permissions::from_mode(found.mode & !OTHERS);
    match std::fs::set_permissions(&found.path, private) {
        Ok(()) => info!("{found}: not any more"),
        Err(error) => warn!("{found}; {error}"),
    }
}

fn judge(path: PathBuf, metadata: &Metadata) -> Option<Exposed> {
    let mode = metadata.mode() & 0o7777;
    // A link has no mode of its own, and what it leads to may be anybody's.
    if mode & OTHERS == 0 || metadata.is_symlink() {
        return None;
    }
    let obstacle = if mode & STICKY != 0 {
        Some("it is for everybody's files: keep mail in a directory of its own")
    } else if metadata.uid() != geteuid().as_raw() && !geteuid().is_root() {
        Some("it belongs to another user, who must change that")
    } else {
        None
    };
    Some(Exposed { path, mode, obstacle })
}

/// What is not there, or cannot be read, is for others to complain of.
fn entries(dir: &Path) -> Vec<DirEntry> {
    std::fs::read_dir(dir).map_or_else(|_| Vec::new(), |entries| entries.flatten().collect())
}

/// Somebody may have other things in the same directory.
fn is_ours(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    let Some(name) = name.to_str() else { return false };
    [SEGMENTS, DRAFTS, BESIDE].contains(&name)
        || [DATABASE, TEXTS, REGISTER, LOCK, BEFORE].iter().any(|known| name.starts_with(known))
}

//! Going through all of a volume: counting what lies there, and sweeping away what nobody will continue; how deep a tree is.
//!
//! ```text
//! upload under way, nobody at it  → rubbish of a crash: removed
//! interrupted upload              → removed when its last octet is older than the volume's terms keep it
//! ```
//!
//! Memory is bounded by the depth of the tree and the directories in one directory; one handle is held a level.
//! Not here: what uploads leave behind while they run; they clean up after themselves.

use std::os::fd::AsFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::FileType;

use crate::confine::{READ_DIRECTORY, file_type, look_at, open_name};
use crate::disk::Directory;
use crate::error::Error;
use crate::hidden::{Hidden, kind};
use crate::ledger::Usage;
use crate::locks::lock;
use crate::path::DEPTH_MAX;
use crate::scan::Scan;
use crate::volume::Volume;

/// Levels below the top. Nothing of ours is deeper: no path is deeper than half of it, and what is added to a directory while it
/// is moved can double that.
const LEVELS_MAX: usize = 2 * DEPTH_MAX;

/// What a sweep removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Uploads that a crash had left.
    pub rubbish: u64,
    /// Interrupted uploads that nobody continued in time.
    pub expired: u64,
    /// Octets that came free.
    pub bytes: u64,
}

impl Volume {
    /// Counts anew what lies there, and removes the rubbish of crashes. Blocks for some microseconds an entry.
    ///
    /// Needed when other programs write into the directory too. What changes while it runs may be counted twice or not at
    /// all, until the next count.
    pub fn recount(&self) -> Result<Usage, Error> {
        let _alone = lock(&self.survey);
        self.ledger.begin_count();
        let mut usage = Usage::default();
        self.each_entry(&mut |_, directory, name| {
            if kind(name) == Some(Hidden::UnderWay) && self.is_held_or_removed(directory, name) {
                return;
            }
            let Ok(Some(stat)) = look_at(directory.as_fd(), name) else { return };
            usage.files += 1;
            if file_type(&stat).is_file() {
                usage.bytes += stat.st_size as u64;
            }
        })?;
        self.ledger.end_count(usage);
        Ok(self.usage().unwrap_or(usage))
    }

    /// Removes what crashes left and interrupted uploads that were kept long enough. Blocks for a microsecond an entry.
    pub fn sweep(&self, now: SystemTime) -> Result<Swept, Error> {
        let _alone = lock(&self.survey);
        let keep = self.terms().keep_interrupted;
        let mut swept = Swept::default();
        self.each_entry(&mut |_, directory, name| {
            let Some(hidden) = kind(name) else { return };
            let Ok(Some(stat)) = look_at(directory.as_fd(), name) else { return };
            let old = now.duration_since(modified(&stat)).is_ok_and(|age| age >= keep);
            if (hidden == Hidden::Kept && !old) || !self.remove_unheld(directory, name) {
                return;
            }
            self.ledger.note(-stat.st_size, -1);
            swept.bytes += stat.st_size as u64;
            match hidden {
                Hidden::UnderWay => swept.rubbish += 1,
                Hidden::Kept => swept.expired += 1,
            }
        })?;
        Ok(swept)
    }

    /// An upload under way has taken what it needs; what nobody holds is rubbish.
    fn is_held_or_removed(&self, directory: &Directory, name: &[u8]) -> bool {
        let mut removed = false;
        let free = self.claims.unless_held(directory.id, name, || {
            removed = self.disk.remove(directory.as_fd(), name).is_ok();
        });
        !free || removed
    }

    fn remove_unheld(&self, directory: &Directory, name: &[u8]) -> bool {
        let mut removed = false;
        self.claims.unless_held(directory.id, name, || removed = self.disk.remove(directory.as_fd(), name).is_ok());
        removed
    }

    /// Calls `each` for everything below the top.
    fn each_entry(&self, each: &mut Visit<'_>) -> Result<(), Error> {
        let top = Directory::new(open_name(self.root(), b".", READ_DIRECTORY)?)?;
        each_below(top, LEVELS_MAX, each)
    }
}

/// How many names the longest way down from a directory has, `levels_max` at most. Blocks for a microsecond an entry.
pub(crate) fn height(top: Directory, levels_max: usize) -> Result<usize, Error> {
    let mut height = 0;
    each_below(top, levels_max, &mut |level, _, _| height = height.max(level))?;
    Ok(height)
}

/// Is told of a name: how many levels below the top it is, and its directory.
type Visit<'v> = dyn FnMut(usize, &Directory, &[u8]) + 'v;

/// Calls `each` for everything below a directory, down to `levels_max`; directories after they were named, links never followed.
fn each_below(top: Directory, levels_max: usize, each: &mut Visit<'_>) -> Result<(), Error> {
    let mut levels = vec![Level::read(top, 1, each)?];
    while let Some(level) = levels.last_mut() {
        let Some(name) = level.directories.pop() else {
            levels.pop();
            continue;
        };
        if levels.len() == levels_max {
            continue;
        }
        let here = &levels[levels.len() - 1].directory;
        let next = open_name(here.as_fd(), &name, READ_DIRECTORY).map_err(Error::from);
        match next.and_then(|handle| Level::read(Directory::new(handle)?, levels.len() + 1, each)) {
            Ok(level) => levels.push(level),
            // Gone, replaced, or not ours to read: then it is not ours to count either.
            Err(Error::NotFound | Error::NotADirectory | Error::TooManyLinks | Error::HostDenied) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

struct Level {
    directory: Directory,
    directories: Vec<Vec<u8>>,
}

impl Level {
    fn read(directory: Directory, level: usize, each: &mut Visit<'_>) -> Result<Level, Error> {
        let mut scan = Scan::new(open_name(directory.as_fd(), b".", READ_DIRECTORY)?);
        let mut directories = Vec::new();
        while scan.piece(|_, name, reported| {
            let kind = match reported {
                FileType::Unknown => {
                    look_at(directory.as_fd(), name).ok().flatten().map_or(reported, |s| file_type(&s))
                }
                known => known,
            };
            if kind.is_dir() {
                directories.push(name.to_vec());
            }
            each(level, &directory, name);
        })? {}
        Ok(Level { directory, directories })
    }
}

/// When the file's content last changed.
pub(crate) fn modified(stat: &rustix::fs::Stat) -> SystemTime {
    at(stat.st_mtime, stat.st_mtime_nsec as u32)
}

/// A moment in seconds and nanoseconds of the Unix era, before it too.
fn at(seconds: i64, nanoseconds: u32) -> SystemTime {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let start = if seconds < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) };
    start.unwrap_or(UNIX_EPOCH) + Duration::from_nanos(nanoseconds.into())
}

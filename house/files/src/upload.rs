//! An upload while it arrives, and what becomes of it.
//!
//! RFC 959 §4.1.3 (STOR, STOU, APPE), RFC 3659 §5 (REST).
//!
//! ```text
//! begin_upload ─→ hidden file in the same directory ─ octets ─→ commit ─→ sync · rename · sync directory ─→ Stored
//!                                                      │
//!                                                      ├─ interrupt, or dropped ─→ sync · kept under a hidden name
//!                                                      └─ abandon ─→ gone
//! where nothing is synced, and nothing replaced: a file without a name, which is given one instead of renamed
//! appending, ranges: the octets arrive in a hidden file; commit copies the file and puts them behind or into the copy, which
//! is renamed as above
//! ```
//!
//! Invariants: nobody sees part of an upload under its name; `Stored` is said when no power cut can take it back; a file
//! that was there before stays whole until then; appends and ranges of one file follow each other and none is lost.
//! Not here: where an upload may go and what it goes on from (`begin`).

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::fs::{Advice, Stat, fadvise, fstat, fstatvfs};
use rustix::io::Errno;

use crate::begin::{Scratch, Unique};
use crate::change::octets;
use crate::confine::{READ_FILE, file_type, look_at, open_name};
use crate::disk::Directory;
use crate::error::Error;
use crate::hidden::Key;
use crate::ledger::Charge;
use crate::locks::lock;
use crate::path::JailedPath;
use crate::volume::{Syncs, Volume};

/// How often an append begins anew because the file was replaced meanwhile. Each time somebody else's upload was finished.
const APPEND_TRIES: u32 = 20;

/// Octets after which the kernel is told to begin writing them out, so that the sync at the end finds little left to do.
const WRITE_OUT: u64 = 8 << 20;

/// So much is written at once at most, in octets, up to a multiple of it. File systems lay out what is written in pieces of memory
/// as large as the writes are: the larger, the less there is to do, until they are hard to find.
const WRITE: u64 = 512 * 1024;

/// A file that is arriving.
///
/// Dropped without a word it counts as interrupted.
#[derive(Debug)]
pub struct Upload {
    pub(crate) volume: Arc<Volume>,
    pub(crate) directory: Directory,
    pub(crate) key: Key,
    pub(crate) scratch: Scratch,
    /// The name it is to have, and the true path of that.
    pub(crate) name: Vec<u8>,
    pub(crate) path: JailedPath,
    pub(crate) goal: Goal,
    pub(crate) charge: Charge,
    /// Octets that will stand before those of the hidden file.
    pub(crate) head: u64,
    /// Where in the hidden file the octets of this transfer begin.
    pub(crate) start: u64,
    pub(crate) received: u64,
    pub(crate) written_out: u64,
    /// Whether what has arrived is a beginning that can be continued.
    pub(crate) keeps: bool,
    /// Whether all that has arrived is on disk already.
    pub(crate) synced: bool,
    pub(crate) settled: bool,
}

/// What commit does with the name.
#[derive(Debug)]
pub(crate) enum Goal {
    /// The name gets this content, whatever it had.
    Replace,
    /// The name must be free.
    New,
    /// The name was free and is ours; were it taken all the same, the next free one.
    Unique(Unique),
    /// What arrives goes behind what is there, if this account may append to a file.
    Append { may: bool },
    /// What arrives, so many octets at most, takes the place of others in the file, if this account may write to a file.
    Range { octets: u64, may: bool },
}

/// A file that is whole, durable and in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its true path.
    pub path: JailedPath,
    /// Its length in octets.
    pub size: u64,
    /// Octets that arrived in this transfer.
    pub received: u64,
    /// Whether there was a file of this name before.
    pub replaced: bool,
}

/// Why publishing did not happen.
enum Unpublished {
    /// What has the name is not what it was; look again.
    Changed,
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Unpublished {
    fn from(error: E) -> Unpublished {
        Unpublished::Failed(error.into())
    }
}

impl Upload {
    /// The name it will have. For a unique upload this is the name that was chosen.
    pub fn path(&self) -> &JailedPath {
        &self.path
    }

    /// Octets the file had already where this transfer goes on.
    pub fn offset(&self) -> u64 {
        self.head + self.start
    }

    /// Octets that arrived in this transfer.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// How many of `wanted` octets may be written now, at least one. The quota has no room for more otherwise.
    pub(crate) fn room(&mut self, wanted: u64) -> Result<u64, Error> {
        let here = self.start + self.received;
        let wanted = match self.goal {
            Goal::Range { octets, .. } if here >= octets => {
                return Err(Error::OffsetBeyondEnd { end: self.head + octets });
            }
            Goal::Range { octets, .. } => wanted.min(octets - here),
            _ => wanted,
        };
        let covered = self.charge.cover(here, here.saturating_add(wanted));
        // What cannot become whole would only take up room.
        Ok(covered.inspect_err(|_| self.keeps = false)? - here)
    }

    /// As many octets as this were written into the hidden file.
    pub(crate) fn wrote(&mut self, octets: u64) {
        self.synced = false;
        self.received += octets;
        let here = self.start + self.received;
        // Where nobody syncs it is the system's to choose when.
        if here - self.written_out >= WRITE_OUT && self.volume.terms().syncs == Syncs::Always {
            let length = std::num::NonZeroU64::new(here - self.written_out);
            // The advice "not needed" begins to write out what is dirty, and drops only what is clean. It is no more than
            // advice: the sync at the end is what counts.
            let _ = fadvise(&self.scratch.file, self.written_out, length, Advice::DontNeed);
            self.written_out = here;
        }
    }

    /// Writes octets where the file stands, with an eye on the quota.
    pub fn write_all(&mut self, mut octets: &[u8]) -> Result<(), Error> {
        while !octets.is_empty() {
            let piece = WRITE - (self.start + self.received) % WRITE;
            let room = self.room(piece.min(octets.len() as u64))? as usize;
            match self.volume.disk.write(&self.scratch.file, &octets[..room]) {
                Ok(0) => return Err(Error::Io(std::io::ErrorKind::WriteZero.into())),
                Ok(written) => {
                    self.wrote(written as u64);
                    octets = &octets[written..];
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.keeps = false;
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }

    /// The client announced how many octets will come: whether quota and disk have room for them.
    pub fn expect(&mut self, octets: u64) -> Result<(), Error> {
        let here = self.start + self.received;
        let all = here.saturating_add(octets);
        if self.charge.cover(here, all)? < all {
            return Err(Error::QuotaExceeded);
        }
        let disk = fstatvfs(&self.directory)?;
        if disk.f_bavail.saturating_mul(disk.f_frsize) < octets { Err(Error::DiskFull) } else { Ok(()) }
    }

    /// Syncs what has arrived, which is most of what [`Upload::commit`] takes its time for. Who wonders whether it was all can
    /// look once more in between. After an error nothing but [`Upload::abandon`] makes sense.
    pub fn sync(&mut self) -> Result<(), Error> {
        if !self.synced {
            self.volume.check_running()?;
            self.volume.disk.sync_data(&self.scratch.file)?;
            self.synced = true;
        }
        Ok(())
    }

    /// Puts the file in its place. When this returns, it is whole and durable; blocks for the syncs.
    ///
    /// After an error what had the name before is untouched, and what arrived is gone. Only when the directory itself could
    /// not be synced ([`Error::Stopped`]) the name may have either content, whole.
    pub fn commit(mut self) -> Result<Stored, Error> {
        match self.publish_all() {
            Ok((size, replaced)) => {
                self.settled = true;
                self.volume.sync_directory(&self.directory)?;
                Ok(Stored { path: self.path.clone(), size, received: self.received, replaced })
            }
            Err(error) => {
                self.discard();
                Err(error)
            }
        }
    }

    /// The transfer broke off: keeps what has arrived, to be continued, and says how many octets that is.
    ///
    /// Nothing is kept of appends and unique uploads, where the mount does not keep, nor of what quota or disk had no room
    /// for.
    pub fn interrupt(mut self) -> Option<u64> {
        self.keep()
    }

    /// Nobody wants it: removes what has arrived.
    pub fn abandon(mut self) {
        self.discard();
    }

    /// The file's length and whether it replaced another.
    fn publish_all(&mut self) -> Result<(u64, bool), Error> {
        self.volume.check_running()?;
        match self.goal {
            Goal::Append { may } => return self.publish_joined(None, may),
            Goal::Range { may, .. } => return self.publish_joined(Some(self.head), may),
            Goal::Replace | Goal::New | Goal::Unique(_) => {}
        }
        self.sync()?;
        let size = length(&self.scratch.file)?;
        let made_from = if matches!(self.goal, Goal::Replace) { MadeFrom::Anything } else { MadeFrom::Nothing };
        loop {
            match self.publish(None, size, &made_from) {
                Ok(replaced) => return Ok((size, replaced)),
                Err(Unpublished::Failed(error)) => return Err(error),
                Err(Unpublished::Changed) => self.choose_another_name()?,
            }
        }
    }

    fn choose_another_name(&mut self) -> Result<(), Error> {
        let Goal::Unique(unique) = &mut self.goal else { return Err(Error::AlreadyExists) };
        self.name = unique.choose(&self.volume, &self.directory)?;
        self.path = self.path.parent().join(&self.name)?;
        Ok(())
    }

    /// What arrived goes to this offset of the file that is there, or behind it; unless something else is in its way.
    fn publish_joined(&mut self, offset: Option<u64>, may: bool) -> Result<(u64, bool), Error> {
        let volume = Arc::clone(&self.volume);
        let _turn = volume.appends.wait(self.directory.id, &self.name);
        for _ in 0..APPEND_TRIES {
            let published = match look_at(self.directory.as_fd(), &self.name)? {
                Some(_) if !may => return Err(Error::AlreadyExists),
                Some(there) => self.publish_with(&there, offset),
                None if offset.is_some_and(|offset| offset > 0) => return Err(Error::OffsetBeyondEnd { end: 0 }),
                None => {
                    self.sync()?;
                    let size = length(&self.scratch.file)?;
                    self.publish(None, size, &MadeFrom::Nothing).map(|replaced| (size, replaced))
                }
            };
            match published {
                Ok(stored) => return Ok(stored),
                Err(Unpublished::Failed(error)) => return Err(error),
                Err(Unpublished::Changed) => {}
            }
        }
        Err(Error::Busy)
    }

    /// Publishes what is there with what arrived in it, or behind it. Both are copied, the blocks shared where the disk can.
    fn publish_with(&mut self, there: &Stat, offset: Option<u64>) -> Result<(u64, bool), Unpublished> {
        if !file_type(there).is_file() {
            return Err(Error::NotAFile.into());
        }
        let disk = &self.volume.disk;
        let source = File::from(open_name(self.directory.as_fd(), &self.name, READ_FILE)?);
        let (end, arrived) = (there.st_size as u64, length(&self.scratch.file)?);
        if offset.is_some_and(|offset| offset > end) {
            return Err(Error::OffsetBeyondEnd { end }.into());
        }
        let size = end.max(offset.unwrap_or(end) + arrived);
        let whole = Scratch::make(&self.volume, &self.directory, &self.key, Some(there))?;
        let copied = disk
            .copy(&source, &whole.file, 0, end)
            .and_then(|()| match offset {
                Some(offset) => disk.overlay(&self.scratch.file, &whole.file, offset, arrived),
                None => disk.copy(&self.scratch.file, &whole.file, end, arrived),
            })
            .and_then(|()| disk.sync_data(&whole.file));
        let published = match copied {
            Ok(()) => self.publish(Some(&whole), size, &MadeFrom::This(*there)),
            Err(error) => Err(error.into()),
        };
        match published {
            Ok(replaced) => {
                // The octets have their place; what they arrived in is rubbish, and is swept away if this fails.
                let _ = self.scratch.remove(&self.volume, &self.directory);
                Ok((size, replaced))
            }
            Err(error) => {
                let _ = whole.remove(&self.volume, &self.directory);
                Err(error)
            }
        }
    }

    /// Gives a synced file, what has arrived unless it is another, the name it is to have, and settles with the ledger; whether it
    /// replaced one.
    fn publish(&mut self, other: Option<&Scratch>, size: u64, made_from: &MadeFrom) -> Result<bool, Unpublished> {
        let volume = Arc::clone(&self.volume);
        let names = lock(&volume.names);
        let there = look_at(self.directory.as_fd(), &self.name)?;
        made_from.check(there.as_ref())?;
        let replaced = there.map(|stat| octets(&stat) as u64);
        self.charge.settle(size, replaced)?;
        let scratch = other.unwrap_or(&self.scratch);
        let named = match made_from {
            MadeFrom::Nothing => scratch.take_name(&volume, &self.directory, &self.name),
            MadeFrom::Anything | MadeFrom::This(_) => scratch.replace(&volume, &self.directory, &self.name),
        };
        if let Err(error) = named {
            self.charge.unsettle(size, replaced);
            let taken = matches!(error, Error::AlreadyExists);
            return Err(if taken { Unpublished::Changed } else { error.into() });
        }
        // The key of a unique upload is that of the name that was asked for.
        if !matches!(self.goal, Goal::Unique(_)) {
            volume.remove_kept(&names, self.directory.as_fd(), &self.key);
        }
        Ok(replaced.is_some())
    }

    fn keep(&mut self) -> Option<u64> {
        self.settled = true;
        match self.try_keep() {
            Ok(Some(kept)) => Some(kept),
            // Whether it may not, need not or cannot be kept, it is not wanted any more.
            Ok(None) | Err(_) => {
                self.discard();
                None
            }
        }
    }

    fn try_keep(&mut self) -> Result<Option<u64>, Error> {
        let size = length(&self.scratch.file)?;
        if !self.keeps || size == 0 || self.volume.is_stopped() {
            return Ok(None);
        }
        // Who continues it after a power cut must find what he was told is there.
        if !self.synced {
            self.volume.disk.sync_data(&self.scratch.file)?;
        }
        let volume = Arc::clone(&self.volume);
        let names = lock(&volume.names);
        volume.remove_kept(&names, self.directory.as_fd(), &self.key);
        self.charge.settle(size, None)?;
        let named = self.scratch.replace(&volume, &self.directory, &self.key.kept());
        named.inspect_err(|_| self.charge.unsettle(size, None))?;
        Ok(Some(size))
    }

    fn discard(&mut self) {
        self.settled = true;
        if self.scratch.remove(&self.volume, &self.directory).is_err() {
            // It lies there until it is swept away, and counts so long.
            self.charge.leave();
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.settled {
            self.keep();
        }
    }
}

/// What a new content was made from, and so what the name must have when it is given away.
enum MadeFrom {
    Anything,
    Nothing,
    This(Stat),
}

impl MadeFrom {
    fn check(&self, there: Option<&Stat>) -> Result<(), Unpublished> {
        match (self, there) {
            (MadeFrom::Anything, Some(stat)) if file_type(stat).is_dir() => Err(Error::IsADirectory.into()),
            (MadeFrom::Anything, _) | (MadeFrom::Nothing, None) => Ok(()),
            (MadeFrom::This(known), Some(stat)) if is_unchanged(known, stat) => Ok(()),
            (MadeFrom::Nothing | MadeFrom::This(_), _) => Err(Unpublished::Changed),
        }
    }
}

fn is_unchanged(known: &Stat, stat: &Stat) -> bool {
    let facts = |s: &Stat| (s.st_dev, s.st_ino, s.st_size, s.st_mtime, s.st_mtime_nsec, s.st_ctime, s.st_ctime_nsec);
    facts(known) == facts(stat)
}

fn length(file: &File) -> Result<u64, Errno> {
    Ok(fstat(file)?.st_size as u64)
}

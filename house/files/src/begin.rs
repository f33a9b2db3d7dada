//! Where an upload may go, and what it goes on from.
//!
//! Octets of an interrupted upload are kept for its account, beside the file they were to become. What continues them:
//!
//! | asked | name is free | name has a file |
//! |---|---|---|
//! | store | from the beginning | from the beginning; the file stays until the new one is whole |
//! | at n (REST) | the kept octets, cut at n | the kept octets cut at n, if there are as many; the file's first n octets if nothing is kept |
//! | a range (RANG) | only one from the start; kept octets are not considered | in the file; kept octets are not considered |
//! | append | behind the kept octets | behind the file; refused while octets are kept that came after it |
//!
//! Octets kept from before the file was last changed are no continuation of it, and are not considered. Kept octets end
//! when any upload of that name and account is finished, when the file is removed, or when they are swept away.
//! More than there is cannot be continued: that is an error, and nothing changes.
//!
//! Not here: receiving and finishing (`upload`).

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::fs::{FileType, SeekFrom, Stat, seek};
use rustix::io::Errno;

use crate::change::octets;
use crate::confine::{READ_FILE, WRITE_FILE, file_type, look_at, open_name};
use crate::disk::Directory;
use crate::error::Error;
use crate::hidden::{Claim, Key};
use crate::ledger::Charge;
use crate::locks::lock;
use crate::path::{COMPONENT_MAX, JailedPath};
use crate::permissions::Permissions;
use crate::space::{Grip, Last, Mounted, Place, Space, Spot};
use crate::sums::Summand;
use crate::upload::{Goal, Stored, Upload};
use crate::volume::Volume;

/// Digits and dot behind a name that was taken.
const SUFFIX_MAX: usize = 10;

/// Names tried for a unique upload before we give up.
const UNIQUE_MAX: u32 = 10_000_000;

/// What an upload is to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The file, whatever it was before. Needs create, or write where there is a file.
    Store,
    /// What comes behind the file that is there (needs append), or a new one (needs create).
    Append,
    /// The file from this octet on; what is there before it stays. Needs the same as [`Mode::Store`].
    At(u64),
    /// These octets of the file, the first and the first beyond; all others stay. Needs the same as [`Mode::Store`].
    Between(u64, u64),
    /// A new file of this name, or of one like it that is free. Needs create.
    Unique,
}

/// A file that belongs to one upload.
#[derive(Debug)]
pub(crate) struct Scratch {
    /// The hidden name that is its own.
    pub(crate) claim: Claim,
    pub(crate) file: File,
    /// Whether it has that name. If not, it has none yet.
    is_named: bool,
}

/// The names of a unique upload.
#[derive(Debug)]
pub(crate) struct Unique {
    base: Vec<u8>,
    /// Nobody else is given this one.
    _chosen: Claim,
}

impl Space {
    /// Begins an upload. Links are followed; the directory must be there.
    pub fn begin_upload(&self, path: &JailedPath, mode: Mode) -> Result<Upload, Error> {
        let place = match self.find(path, Last::Follow, Grip::Change)? {
            Spot::At(place) => place,
            Spot::Top(_) | Spot::Between(_) => return Err(Error::IsADirectory),
        };
        place.mount.volume.check_running()?;
        let beginning = Beginning::new(self, place)?;
        match mode {
            Mode::Store | Mode::At(0) => beginning.store(),
            Mode::At(offset) => beginning.at(offset),
            Mode::Between(from, until) => beginning.between(from, until),
            Mode::Append => beginning.append(),
            Mode::Unique => beginning.unique(),
        }
    }

    /// How many octets are kept of an interrupted upload of this account to a name that is free: where to go on.
    ///
    /// Needs create. A desk may answer SIZE with it, which is how clients find out where to go on.
    pub fn kept(&self, path: &JailedPath) -> Result<Option<u64>, Error> {
        Ok(self.open_kept(path)?.map(|kept| kept.size))
    }

    /// The octets themselves, to be summed.
    pub(crate) fn open_kept(&self, path: &JailedPath) -> Result<Option<Summand>, Error> {
        let place = self.place(path, Last::Follow, Grip::Look)?;
        self.allow(&place.directory(), Permissions::CREATE)?;
        if place.seen.is_some() {
            return Ok(None);
        }
        match open_name(place.parent.as_fd(), &Key::new(&self.account, &place.name).kept(), READ_FILE) {
            Ok(handle) => {
                let file = File::from(handle);
                let size = file.metadata()?.len();
                Ok(Some(Summand { file, size }))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Appends files to another one (or makes it of them), in order, and removes them when it is durable.
    ///
    /// Needs read and delete for each part, and what [`Mode::Append`] needs.
    pub fn combine(&self, target: &JailedPath, parts: &[JailedPath]) -> Result<Stored, Error> {
        let mut upload = self.begin_upload(target, Mode::Append)?;
        upload.keeps = false;
        for part in parts {
            let download = self.open_read(part)?;
            self.allow(&download.path.parent(), Permissions::DELETE)?;
            if download.path == upload.path {
                return Err(Error::AlreadyExists);
            }
            upload.take_in(&download.file, download.size)?;
        }
        let stored = upload.commit()?;
        for part in parts {
            // It is stored; were that denied because a part is gone already, the client would append them all again.
            let _ = self.remove(part);
        }
        Ok(stored)
    }
}

/// An upload that is about to begin, and what is there.
struct Beginning<'s> {
    mount: &'s Mounted,
    directory: Directory,
    key: Key,
    name: Vec<u8>,
    path: JailedPath,
    permissions: Permissions,
    /// The file that has the name.
    present: Option<Stat>,
}

impl<'s> Beginning<'s> {
    fn new(space: &Space, place: Place<'s>) -> Result<Beginning<'s>, Error> {
        let permissions = space.permissions_in(&place.directory());
        let writing = Permissions::CREATE | Permissions::WRITE | Permissions::APPEND;
        if !permissions.allow_any(writing) {
            return Err(Error::Denied(writing));
        }
        match place.seen.as_ref().map(file_type) {
            None | Some(FileType::RegularFile) => {}
            Some(FileType::Directory) => return Err(Error::IsADirectory),
            Some(_) => return Err(Error::NotAFile),
        }
        let Place { mount, parent, name, path, seen } = place;
        let directory = Directory::new(parent)?;
        let key = Key::new(&space.account, &name);
        Ok(Beginning { mount, directory, key, name, path, permissions, present: seen })
    }

    /// The length of what is kept and came after the file that is there.
    fn kept(&self) -> Result<Option<u64>, Error> {
        let since = |stat: &Stat| (stat.st_ctime, stat.st_ctime_nsec);
        let kept = look_at(self.directory.as_fd(), &self.key.kept())?;
        let goes_on = |kept: &Stat| self.present.as_ref().is_none_or(|present| since(kept) >= since(present));
        Ok(kept.filter(goes_on).as_ref().map(size))
    }

    fn store(self) -> Result<Upload, Error> {
        self.allow_store()?;
        let charge = Charge::begin(&self.mount.volume.ledger, self.replaced())?;
        let scratch = self.scratch()?;
        let goal = self.store_goal();
        Ok(self.upload(scratch, charge, goal))
    }

    fn at(self, offset: u64) -> Result<Upload, Error> {
        self.allow_store()?;
        match (self.kept()?, self.present.as_ref().map(size)) {
            (Some(kept), _) if offset <= kept => self.resume(offset),
            (Some(kept), Some(_)) => Err(Error::Interrupted { kept }),
            (None, Some(end)) if offset <= end => self.go_on_from_file(offset),
            (Some(end), None) | (None, Some(end)) => Err(Error::OffsetBeyondEnd { end }),
            (None, None) => Err(Error::OffsetBeyondEnd { end: 0 }),
        }
    }

    fn between(self, from: u64, until: u64) -> Result<Upload, Error> {
        self.allow_store()?;
        let end = self.present.as_ref().map_or(0, size);
        if from > end {
            return Err(Error::OffsetBeyondEnd { end });
        }
        // Of what is there only these will be replaced; the file itself is no new entry.
        let overlap = self.present.as_ref().map(|_| until.min(end) - from);
        let charge = Charge::begin(&self.mount.volume.ledger, overlap)?;
        let scratch = self.scratch()?;
        let goal = Goal::Range { octets: until.saturating_sub(from), may: self.permissions.allow(Permissions::WRITE) };
        let mut upload = self.upload(scratch, charge, goal);
        (upload.head, upload.keeps) = (from, false);
        Ok(upload)
    }

    fn append(self) -> Result<Upload, Error> {
        self.allow(if self.present.is_some() { Permissions::APPEND } else { Permissions::CREATE })?;
        let goal = Goal::Append { may: self.permissions.allow(Permissions::APPEND) };
        match (self.kept()?, self.present.as_ref().map(size)) {
            (Some(kept), Some(_)) => Err(Error::Interrupted { kept }),
            (Some(kept), None) => self.resume(kept),
            (None, None) => {
                let charge = Charge::begin(&self.mount.volume.ledger, None)?;
                let scratch = self.scratch()?;
                Ok(self.upload(scratch, charge, goal))
            }
            (None, Some(head)) => {
                // The file is no new entry, and stays as large as it is.
                let charge = Charge::begin(&self.mount.volume.ledger, Some(0))?;
                let scratch = self.scratch()?;
                let mut upload = self.upload(scratch, charge, goal);
                (upload.head, upload.keeps) = (head, false);
                Ok(upload)
            }
        }
    }

    fn unique(mut self) -> Result<Upload, Error> {
        self.allow(Permissions::CREATE)?;
        let (unique, name) = Unique::new(&self.mount.volume, &self.directory, &self.name)?;
        self.path = self.path.parent().join(&name)?;
        self.name = name;
        self.present = None;
        let charge = Charge::begin(&self.mount.volume.ledger, None)?;
        let scratch = self.scratch()?;
        let mut upload = self.upload(scratch, charge, Goal::Unique(unique));
        upload.keeps = false;
        Ok(upload)
    }

    /// Goes on behind the first `offset` octets that are kept.
    fn resume(self, offset: u64) -> Result<Upload, Error> {
        let volume = &self.mount.volume;
        let scratch = Scratch::resume(volume, &self.directory, &self.key)?;
        let kept = scratch.file.metadata()?.len();
        let charge = Charge::resume(&volume.ledger, kept, self.replaced());
        let goal = self.store_goal();
        let mut upload = self.upload(scratch, charge, goal);
        upload.volume.disk.truncate(&upload.scratch.file, offset)?;
        upload.go_on_at(offset)?;
        Ok(upload)
    }

    /// Goes on behind the first `offset` octets of the file that is there, which stays as it is for the time being.
    fn go_on_from_file(self, offset: u64) -> Result<Upload, Error> {
        let source = File::from(open_name(self.directory.as_fd(), &self.name, READ_FILE)?);
        let mut upload = self.store()?;
        let begun = upload.copy_head(&source, offset);
        match begun {
            Ok(()) => Ok(upload),
            Err(error) => {
                upload.abandon();
                Err(error)
            }
        }
    }

    fn scratch(&self) -> Result<Scratch, Error> {
        Scratch::make(&self.mount.volume, &self.directory, &self.key, self.present.as_ref())
    }

    fn upload(self, scratch: Scratch, charge: Charge, goal: Goal) -> Upload {
        Upload {
            volume: Arc::clone(&self.mount.volume),
            directory: self.directory,
            key: self.key,
            scratch,
            name: self.name,
            path: self.path,
            goal,
            charge,
            head: 0,
            start: 0,
            received: 0,
            written_out: 0,
            keeps: self.mount.keeps_interrupted,
            synced: false,
            settled: false,
        }
    }

    /// Octets of the file that will be replaced.
    fn replaced(&self) -> Option<u64> {
        self.present.as_ref().map(|stat| octets(stat) as u64)
    }

    fn store_goal(&self) -> Goal {
        if self.permissions.allow(Permissions::WRITE) { Goal::Replace } else { Goal::New }
    }

    fn allow_store(&self) -> Result<(), Error> {
        self.allow(if self.present.is_some() { Permissions::WRITE } else { Permissions::CREATE })
    }

    fn allow(&self, wanted: Permissions) -> Result<(), Error> {
        if self.permissions.allow(wanted) { Ok(()) } else { Err(Error::Denied(wanted)) }
    }
}

fn size(stat: &Stat) -> u64 {
    stat.st_size as u64
}

impl Upload {
    /// Begins with the first `offset` octets of a file.
    fn copy_head(&mut self, source: &File, offset: u64) -> Result<(), Error> {
        if self.charge.cover(0, offset)? < offset {
            return Err(Error::QuotaExceeded);
        }
        self.volume.disk.copy(source, &self.scratch.file, 0, offset)?;
        self.go_on_at(offset)
    }

    fn go_on_at(&mut self, offset: u64) -> Result<(), Error> {
        seek(&self.scratch.file, SeekFrom::Start(offset))?;
        self.start = offset;
        self.written_out = offset;
        Ok(())
    }

    /// Takes in all of another file.
    fn take_in(&mut self, source: &File, octets: u64) -> Result<(), Error> {
        if self.room(octets)? < octets {
            return Err(Error::QuotaExceeded);
        }
        self.volume.disk.copy(source, &self.scratch.file, self.start + self.received, octets)?;
        self.wrote(octets);
        Ok(())
    }
}

impl Scratch {
    /// Makes an empty file: one without a name where nothing is to be replaced, since such a file can be given a name that is
    /// free, and no other. What replaces a file takes over its mode.
    pub(crate) fn make(
        volume: &Volume,
        directory: &Directory,
        key: &Key,
        like: Option<&Stat>,
    ) -> Result<Scratch, Error> {
        let claim = volume.claims.claim(directory.id, key).ok_or(Error::Busy)?;
        let mode = volume.terms().file_mode;
        if like.is_none()
            && let Some(file) = volume.disk.create_nameless(directory.as_fd(), mode)
        {
            return Ok(Scratch { claim, file, is_named: false });
        }
        let make = || volume.disk.create(directory.as_fd(), claim.name(), mode);
        let file = match make() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                remove_rubbish(volume, directory, &claim)?;
                make()?
            }
            other => other?,
        };
        let scratch = Scratch { claim, file, is_named: true };
        if let Some(stat) = like
            && let Err(error) = volume.disk.set_mode(scratch.file.as_fd(), stat.st_mode & 0o777)
        {
            let _ = volume.disk.remove(directory.as_fd(), scratch.claim.name());
            return Err(error.into());
        }
        Ok(scratch)
    }

    /// Takes up what is kept. It is under way again: left alone by a crash, it is rubbish.
    fn resume(volume: &Volume, directory: &Directory, key: &Key) -> Result<Scratch, Error> {
        let claim = volume.claims.claim(directory.id, key).ok_or(Error::Busy)?;
        remove_rubbish(volume, directory, &claim)?;
        let dir = directory.as_fd();
        {
            let _names = lock(&volume.names);
            match volume.disk.rename(dir, &key.kept(), dir, claim.name()) {
                // Another session was quicker.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Error::Busy),
                other => other?,
            }
        }
        let file = File::from(open_name(dir, claim.name(), WRITE_FILE)?);
        Ok(Scratch { claim, file, is_named: true })
    }

    /// Gives it this name in its directory, which must be free.
    pub(crate) fn take_name(&self, volume: &Volume, directory: &Directory, name: &[u8]) -> Result<(), Error> {
        let dir = directory.as_fd();
        match self.is_named {
            true => volume.disk.rename(dir, self.claim.name(), dir, name)?,
            false => volume.disk.give_name(&self.file, dir, name)?,
        }
        Ok(())
    }

    /// Gives it this name in its directory, whatever has it.
    pub(crate) fn replace(&self, volume: &Volume, directory: &Directory, name: &[u8]) -> Result<(), Error> {
        let dir = directory.as_fd();
        if !self.is_named {
            match self.take_name(volume, directory, name) {
                Err(Error::AlreadyExists) => {
                    remove_rubbish(volume, directory, &self.claim)?;
                    volume.disk.give_name(&self.file, dir, self.claim.name())?;
                }
                other => return other,
            }
        }
        Ok(volume.disk.replace(dir, self.claim.name(), dir, name)?)
    }

    /// Removes it, if it has its hidden name.
    pub(crate) fn remove(&self, volume: &Volume, directory: &Directory) -> Result<(), Error> {
        match volume.disk.remove(directory.as_fd(), self.claim.name()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => Ok(other?),
        }
    }
}

/// Removes what a crash left under a name that is ours now.
fn remove_rubbish(volume: &Volume, directory: &Directory, claim: &Claim) -> Result<(), Error> {
    if let Some(stat) = look_at(directory.as_fd(), claim.name())? {
        volume.disk.remove(directory.as_fd(), claim.name())?;
        volume.ledger.note(-octets(&stat), -1);
    }
    Ok(())
}

impl Unique {
    fn new(volume: &Arc<Volume>, directory: &Directory, base: &[u8]) -> Result<(Unique, Vec<u8>), Error> {
        let base = base[..base.len().min(COMPONENT_MAX - SUFFIX_MAX)].to_vec();
        let (name, chosen) = choose(volume, directory, &base)?;
        Ok((Unique { base, _chosen: chosen }, name))
    }

    /// Chooses once more, since the name was taken by another program meanwhile.
    pub(crate) fn choose(&mut self, volume: &Arc<Volume>, directory: &Directory) -> Result<Vec<u8>, Error> {
        let (name, chosen) = choose(volume, directory, &self.base)?;
        self._chosen = chosen;
        Ok(name)
    }
}

/// A name that is free and promised to nobody: `base`, or `base.N`.
///
/// N is searched for by doubling and halving, so that the millionth upload of one name costs twenty looks more than the
/// first. It is some N that is free with one below it that is not, which is all that anybody can rely on.
fn choose(volume: &Arc<Volume>, directory: &Directory, base: &[u8]) -> Result<(Vec<u8>, Claim), Error> {
    let name = |n: u32| if n == 0 { base.to_vec() } else { [base, format!(".{n}").as_bytes()].concat() };
    let is_taken = |n: u32| look_at(directory.as_fd(), &name(n)).map(|stat| stat.is_some());
    let (mut taken, mut free) = (0, 0);
    while is_taken(free)? {
        taken = free;
        free = (free * 2).max(1);
        if free > UNIQUE_MAX {
            return Err(Error::AlreadyExists);
        }
    }
    while free - taken > 1 {
        let middle = taken + (free - taken) / 2;
        if is_taken(middle)? { taken = middle } else { free = middle }
    }
    for n in free..UNIQUE_MAX {
        if !is_taken(n)?
            && let Some(claim) = volume.claims.claim_name(directory.id, &name(n))
        {
            return Ok((name(n), claim));
        }
    }
    Err(Error::AlreadyExists)
}

//! Making, moving and removing names; modes and times.
//!
//! RFC 959 §4.1.3 (DELE, RMD, MKD, RNFR, RNTO); the rest is what clients have come to expect.
//!
//! ```text
//! mkdir, rename, link   durable when they return: what is stored below a new directory must not be lost with it
//! remove, mode, time    the next sync of that directory or file makes them durable; nothing is promised before
//! ```
//!
//! Invariants: what rules or mounts are bound to stays where it is; nothing is replaced that may not be; a link is moved
//! and removed itself, never what it leads to. Not here: files' content (`upload`).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::MutexGuard;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT, chmodat, utimensat};
use rustix::io::Errno;

use crate::confine::{READ_DIRECTORY, file_type, look_at, open_name};
use crate::disk::Directory;
use crate::error::Error;
use crate::hidden::{Key, kind};
use crate::locks::lock;
use crate::path::{DEPTH_MAX, JailedPath, PathError};
use crate::permissions::Permissions;
use crate::scan::Scan;
use crate::space::{Grip, Last, Place, Space, Spot};
use crate::survey::height;
use crate::volume::Volume;

/// Bits a client may set: none that make a program run as somebody else.
const MODE_MAX: u32 = 0o777;

/// Bits a directory keeps: what we may not look into ourselves would not count in the quota any more.
const DIRECTORY_MODE_MIN: u32 = 0o500;

impl Space {
    /// Makes a directory. Needs mkdir. Durable when it returns.
    pub fn make_directory(&self, path: &JailedPath) -> Result<(), Error> {
        let place = self.free_place(path, Permissions::MKDIR)?;
        let (parent, volume) = (Directory::new(place.parent)?, &place.mount.volume);
        volume.ledger.change(0, 1)?;
        let made = volume.disk.make_directory(parent.as_fd(), &place.name, volume.terms().directory_mode);
        made.inspect_err(|_| volume.ledger.note(0, -1))?;
        volume.sync_directory(&parent)
    }

    /// Makes a symbolic link that leads to `target`, in the same mount. Needs create. Durable when it returns.
    ///
    /// What is written down is the way from the link to the target, so it means the same on the host.
    pub fn link(&self, target: &JailedPath, path: &JailedPath) -> Result<(), Error> {
        let place = self.free_place(path, Permissions::CREATE)?;
        let mount = self.mount_of(target).ok_or(Error::NotFound)?;
        if !std::ptr::eq(mount, place.mount) {
            return Err(Error::AcrossMounts);
        }
        let way = way_between(&place.directory(), target);
        let (parent, volume) = (Directory::new(place.parent)?, &place.mount.volume);
        volume.ledger.change(0, 1)?;
        let made = volume.disk.link(&way, parent.as_fd(), &place.name);
        made.inspect_err(|_| volume.ledger.note(0, -1))?;
        volume.sync_directory(&parent)
    }

    /// Removes a file or a link, and with it what was kept of this account's interrupted uploads of it. Needs delete.
    pub fn remove(&self, path: &JailedPath) -> Result<(), Error> {
        let place = self.place(path, Last::Itself, Grip::Look)?;
        self.allow(&place.directory(), Permissions::DELETE)?;
        let parent = Directory::new(place.parent)?;
        let volume = &place.mount.volume;
        volume.check_running()?;
        let names = lock(&volume.names);
        let there = look_at(parent.as_fd(), &place.name)?;
        if there.is_some_and(|stat| file_type(&stat).is_dir()) {
            return Err(Error::IsADirectory);
        }
        let kept = volume.remove_kept(&names, parent.as_fd(), &Key::new(&self.account, &place.name));
        let Some(stat) = there else {
            return if kept { Ok(()) } else { Err(Error::NotFound) };
        };
        volume.disk.remove(parent.as_fd(), &place.name)?;
        volume.ledger.note(-octets(&stat), -1);
        Ok(())
    }

    /// Removes an empty directory. Needs rmdir. Interrupted uploads in it do not count, and go with it.
    pub fn remove_directory(&self, path: &JailedPath) -> Result<(), Error> {
        let place = self.place(path, Last::Itself, Grip::Look)?;
        self.allow(&place.directory(), Permissions::RMDIR)?;
        let stat = place.present()?;
        if !file_type(stat).is_dir() {
            return Err(Error::NotADirectory);
        }
        self.refuse_fixed(&place.path)?;
        let volume = &place.mount.volume;
        volume.check_running()?;
        match volume.disk.remove_directory(place.parent.as_fd(), &place.name) {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NOTEMPTY) => {
                let inside = open_name(place.parent.as_fd(), &place.name, READ_DIRECTORY)?;
                remove_interrupted(volume, inside)?;
                volume.disk.remove_directory(place.parent.as_fd(), &place.name)?;
            }
            other => other?,
        }
        volume.ledger.note(0, -1);
        Ok(())
    }

    /// Gives a file, link or directory another name, in the same mount. Durable when it returns.
    ///
    /// Needs rename on both sides, and write to replace a file. Between directories with different rules it also needs what
    /// fetching, storing and removing would.
    pub fn rename(&self, source: &JailedPath, target: &JailedPath) -> Result<(), Error> {
        let from = self.place(source, Last::Itself, Grip::Change)?;
        self.allow(&from.directory(), Permissions::RENAME)?;
        let to = self.place(target, Last::Itself, Grip::Change)?;
        self.allow(&to.directory(), Permissions::RENAME)?;
        let moved = file_type(from.present()?);
        if !std::ptr::eq(from.mount, to.mount) {
            return Err(Error::AcrossMounts);
        }
        if moved.is_dir() {
            self.refuse_fixed(&from.path)?;
            self.refuse_fixed(&to.path)?;
            if to.path != from.path && to.path.is_within(&from.path) {
                return Err(Error::IntoItself);
            }
        }
        self.refuse_gain(&from, &to, moved)?;
        if moved.is_dir() {
            refuse_too_deep(&from, &to)?;
        }
        self.rename_places(from, to, moved)
    }

    /// Sets when the content of a file or directory was last changed. Needs write.
    pub fn set_modified(&self, path: &JailedPath, modified: SystemTime) -> Result<(), Error> {
        let place = self.existing(path, Permissions::WRITE)?;
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: timespec(modified)?,
        };
        // Not followed: were it swapped for a link meanwhile, the link would get the time.
        Ok(utimensat(place.parent.as_fd(), &*place.name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Sets the permission bits (`0o777`) of a file or directory, whose owner may always look into it. Needs chmod.
    pub fn set_mode(&self, path: &JailedPath, mode: u32) -> Result<(), Error> {
        if mode > MODE_MAX {
            return Err(Error::Mode);
        }
        let place = self.existing(path, Permissions::CHMOD)?;
        if file_type(place.present()?).is_dir() && mode & DIRECTORY_MODE_MIN != DIRECTORY_MODE_MIN {
            return Err(Error::Mode);
        }
        let disk = &place.mount.volume.disk;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        match open_name(place.parent.as_fd(), &place.name, flags) {
            Ok(handle) => Ok(disk.set_mode(handle.as_fd(), mode)?),
            // Not ours to read, but perhaps to change: by a handle that cannot be swapped either.
            Err(Errno::ACCESS) => set_mode_unread(&place, mode),
            Err(errno) => Err(errno.into()),
        }
    }

    /// A name to be given to something new.
    fn free_place(&self, path: &JailedPath, wanted: Permissions) -> Result<Place<'_>, Error> {
        let place = match self.find(path, Last::Itself, Grip::Change)? {
            Spot::At(place) => place,
            _ => return Err(Error::AlreadyExists),
        };
        self.allow(&place.directory(), wanted)?;
        if place.seen.is_some() {
            return Err(Error::AlreadyExists);
        }
        place.mount.volume.check_running()?;
        Ok(place)
    }

    /// Something that is there, links followed, in a directory whose rules permit what is wanted.
    fn existing(&self, path: &JailedPath, wanted: Permissions) -> Result<Place<'_>, Error> {
        let place = self.place(path, Last::Follow, Grip::Look)?;
        self.allow(&place.directory(), wanted)?;
        place.present()?;
        place.mount.volume.check_running()?;
        Ok(place)
    }

    fn refuse_fixed(&self, path: &JailedPath) -> Result<(), Error> {
        if self.is_fixed(path) { Err(Error::Fixed) } else { Ok(()) }
    }

    /// By moving something under other rules one must not gain what could not be had by copying it.
    fn refuse_gain(&self, from: &Place<'_>, to: &Place<'_>, moved: FileType) -> Result<(), Error> {
        if self.permissions_in(&from.directory()) == self.permissions_in(&to.directory()) {
            return Ok(());
        }
        let (out, into) = if moved.is_dir() {
            let out = Permissions::LIST | Permissions::READ | Permissions::DELETE | Permissions::RMDIR;
            (out, Permissions::MKDIR | Permissions::CREATE)
        } else {
            (Permissions::READ | Permissions::DELETE, Permissions::CREATE)
        };
        self.allow(&from.directory(), out)?;
        self.allow(&to.directory(), into)
    }

    fn rename_places(&self, from: Place<'_>, to: Place<'_>, moved: FileType) -> Result<(), Error> {
        let volume = &from.mount.volume;
        volume.check_running()?;
        let may_replace = self.permissions_in(&to.directory()).allow(Permissions::WRITE);
        let (source, target) = (Directory::new(from.parent)?, Directory::new(to.parent)?);
        let names = lock(&volume.names);
        match look_at(target.as_fd(), &to.name)? {
            None => volume.disk.rename(source.as_fd(), &from.name, target.as_fd(), &to.name)?,
            Some(there) if moved.is_dir() || file_type(&there).is_dir() => {
                // The same name again is no change, and no error.
                if from.path == to.path {
                    return Ok(());
                }
                return Err(Error::AlreadyExists);
            }
            Some(_) if !may_replace => return Err(Error::Denied(Permissions::WRITE)),
            Some(there) => {
                let here = look_at(source.as_fd(), &from.name)?.ok_or(Error::NotFound)?;
                volume.disk.replace(source.as_fd(), &from.name, target.as_fd(), &to.name)?;
                // Of two names of one file the system keeps both.
                if (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino) {
                    volume.ledger.note(-octets(&there), -1);
                }
            }
        }
        // Like one that was stored, a file that was moved here ends what was kept of the name.
        volume.remove_kept(&names, target.as_fd(), &Key::new(&self.account, &to.name));
        drop(names);
        // First where it is now: after a crash it may be in both places, or in the new one, but never in none.
        volume.sync_directory(&target)?;
        if source.id == target.id { Ok(()) } else { volume.sync_directory(&source) }
    }
}

impl Volume {
    /// Removes what is kept of an interrupted upload; whether there was anything.
    pub(crate) fn remove_kept(&self, _names: &MutexGuard<'_, ()>, parent: BorrowedFd<'_>, key: &Key) -> bool {
        let kept = key.kept();
        match look_at(parent, &kept) {
            Ok(Some(stat)) if self.disk.remove(parent, &kept).is_ok() => {
                self.ledger.note(-octets(&stat), -1);
                true
            }
            _ => false,
        }
    }
}

/// What no path leads to would be out of everybody's sight. What is moved no further down fits as it did before.
fn refuse_too_deep(from: &Place<'_>, to: &Place<'_>) -> Result<(), Error> {
    let (before, after) = (from.path.depth(), to.path.depth());
    if after <= before {
        return Ok(());
    }
    let room = DEPTH_MAX - after;
    let moved = open_name(from.parent.as_fd(), &from.name, READ_DIRECTORY).map_err(Error::from);
    match moved.and_then(|handle| height(Directory::new(handle)?, room + 1)) {
        Ok(height) if height > room => Err(PathError::TooDeep.into()),
        // What another program keeps from us is nothing of ours.
        Ok(_) | Err(Error::HostDenied) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What the ledger counts for it.
pub(crate) fn octets(stat: &Stat) -> i64 {
    if file_type(stat).is_file() { stat.st_size } else { 0 }
}

/// Removes interrupted uploads from a directory that holds nothing else; otherwise it is not empty.
fn remove_interrupted(volume: &Volume, inside: OwnedFd) -> Result<(), Error> {
    let directory = Directory::new(inside)?;
    let mut scan = Scan::new(open_name(directory.as_fd(), b".", READ_DIRECTORY)?);
    let (mut hidden, mut other) = (Vec::new(), false);
    while scan.piece(|_, name, _| match kind(name) {
        Some(_) => hidden.push(name.to_vec()),
        None => other = true,
    })? {
        if other {
            return Err(Error::NotEmpty);
        }
    }
    for name in hidden {
        let Some(stat) = look_at(directory.as_fd(), &name)? else { continue };
        let mut removed = Ok(());
        if !volume.claims.unless_held(directory.id, &name, || removed = volume.disk.remove(directory.as_fd(), &name)) {
            return Err(Error::Busy);
        }
        removed?;
        volume.ledger.note(-octets(&stat), -1);
    }
    Ok(())
}

/// Sets a mode by way of `/proc`, whose link leads to exactly what the handle holds.
fn set_mode_unread(place: &Place<'_>, mode: u32) -> Result<(), Error> {
    use std::os::fd::AsRawFd;
    let handle = open_name(place.parent.as_fd(), &place.name, OFlags::PATH | OFlags::CLOEXEC)?;
    // A handle of this kind can be of a link.
    if file_type(&rustix::fs::fstat(&handle)?).is_symlink() {
        return Err(Error::Busy);
    }
    let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
    Ok(chmodat(CWD, path.as_str(), Mode::from_raw_mode(mode), AtFlags::empty())?)
}

/// The way from a directory to a target, as a link there says it.
fn way_between(directory: &JailedPath, target: &JailedPath) -> Vec<u8> {
    let (from, to): (Vec<_>, Vec<_>) = (directory.names().collect(), target.names().collect());
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let ups = std::iter::repeat_n(&b".."[..], from.len() - common);
    let way: Vec<&[u8]> = ups.chain(to[common..].iter().copied()).collect();
    if way.is_empty() { b".".to_vec() } else { way.join(&b'/') }
}

fn timespec(time: SystemTime) -> Result<Timespec, Error> {
    let (seconds, nanoseconds) = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => (i64::try_from(after.as_secs()), after.subsec_nanos()),
        Err(before) => {
            let before = before.duration();
            let up = u64::from(before.subsec_nanos() > 0);
            let nanoseconds = (1_000_000_000 - before.subsec_nanos()) % 1_000_000_000;
            (i64::try_from(before.as_secs() + up).map(|seconds| -seconds), nanoseconds)
        }
    };
    let out_of_range = |_| Error::Io(std::io::ErrorKind::InvalidInput.into());
    Ok(Timespec { tv_sec: seconds.map_err(out_of_range)?, tv_nsec: nanoseconds.into() })
}

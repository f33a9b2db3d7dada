//! Looking and fetching: facts, listings, files to read, room that is left.
//!
//! RFC 3659 §7 (facts), RFC 959 §4.1.3 (LIST, RETR). Nothing here changes anything.
//!
//! Files need list or read in their directory to be looked at; directories may be looked at by everybody, since one must
//! be able to enter a drop box. Names with CR or LF cannot be asked for, so they are not listed either.

use std::fs::File;
use std::os::fd::OwnedFd;

use rustix::fs::{OFlags, fcntl_setfl, fstat, fstatvfs};

use crate::entry::{Entry, Facts, Kind, Target};
use crate::error::Error;
use crate::listing::{Detail, Listing};
use crate::path::JailedPath;
use crate::permissions::Permissions;
use crate::space::{Grip, Last, Opened, Place, Space, Spot, Wanted};
use crate::volume::Volume;

/// A file to be fetched.
#[derive(Debug)]
pub struct Download {
    /// Open for reading, from its front; good for `sendfile` and `pread`.
    pub file: File,
    /// Its length in octets when it was opened. Later uploads replace the file and leave this one as it is.
    pub size: u64,
    /// What the disk knows of it.
    pub facts: Facts,
    /// Where it truly is.
    pub path: JailedPath,
}

impl Download {
    fn new(handle: OwnedFd, path: JailedPath) -> Result<Download, Error> {
        let facts = Facts::new(&fstat(&handle)?);
        match facts.kind {
            Kind::File => {}
            Kind::Directory => return Err(Error::IsADirectory),
            Kind::Link | Kind::Other => return Err(Error::NotAFile),
        }
        // It was there for pipes.
        fcntl_setfl(&handle, OFlags::empty())?;
        Ok(Download { file: File::from(handle), size: facts.size, facts, path })
    }
}

/// Room that is left at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Octets on the disk for us.
    pub disk_bytes: u64,
    /// Octets in the quota, where there is one.
    pub quota_bytes: Option<u64>,
}

impl Room {
    /// Octets that can be stored.
    pub fn bytes(&self) -> u64 {
        self.quota_bytes.map_or(self.disk_bytes, |quota| quota.min(self.disk_bytes))
    }
}

impl Space {
    /// What a path leads to, links followed, with the name it was asked by.
    pub fn stat(&self, path: &JailedPath) -> Result<Entry, Error> {
        let mut entry = self.spot_entry(self.find(path, Last::Follow, Grip::Look)?)?;
        entry.name = path.name().unwrap_or(b"/").to_vec();
        Ok(entry)
    }

    /// What has the name itself: of a link, the link.
    pub fn stat_link(&self, path: &JailedPath) -> Result<Entry, Error> {
        self.spot_entry(self.find(path, Last::Itself, Grip::Look)?)
    }

    /// Whether a path leads to a directory that a session can be in: an error says why not.
    pub fn enter(&self, path: &JailedPath) -> Result<(), Error> {
        match self.find(path, Last::Follow, Grip::Look)? {
            Spot::Between(_) | Spot::Top(_) => Ok(()),
            Spot::At(place) => {
                let entry = self.place_entry(&place)?;
                if entry.facts.is_directory() { Ok(()) } else { Err(Error::NotADirectory) }
            }
        }
    }

    /// The names in a directory, a piece at a time, in no order. Needs list.
    pub fn list(&self, path: &JailedPath, detail: Detail) -> Result<Listing, Error> {
        let Opened { handle, path } = self.open(path, Wanted::Names)?;
        Listing::new(self, handle, path, detail)
    }

    /// Opens a file to be fetched. Needs read.
    pub fn open_read(&self, path: &JailedPath) -> Result<Download, Error> {
        let opened = self.open(path, Wanted::Octets)?;
        Download::new(opened.handle.ok_or(Error::IsADirectory)?, opened.path)
    }

    /// The same for callers that must not wait: what the kernel has in memory and no link leads to. None says nothing;
    /// then [`Space::open_read`] knows.
    pub fn open_read_at_once(&self, path: &JailedPath) -> Option<Download> {
        let handle = self.open_at_once(path, Wanted::Octets)?;
        Download::new(handle, path.clone()).ok()
    }

    /// How much can be stored at a path, which need not be there yet but stands in a directory that is. Where there is only
    /// the way to mounts, the most that can be stored in one of them.
    pub fn room(&self, path: &JailedPath) -> Result<Room, Error> {
        match self.find(path, Last::Follow, Grip::Look)? {
            Spot::Between(_) => self.room_anywhere(),
            Spot::Top(mount) => room(&mount.volume),
            Spot::At(place) => room(&place.mount.volume),
        }
    }

    /// The most that can be stored in one of the mounts where something may be stored.
    fn room_anywhere(&self) -> Result<Room, Error> {
        let writing = Permissions::CREATE | Permissions::WRITE | Permissions::APPEND;
        let mut most = Room { disk_bytes: 0, quota_bytes: None };
        for mount in self.mounts.iter().filter(|mount| mount.may_allow_any(writing)) {
            let room = room(&mount.volume)?;
            if room.bytes() >= most.bytes() {
                most = room;
            }
        }
        Ok(most)
    }

    pub(crate) fn spot_entry(&self, spot: Spot<'_>) -> Result<Entry, Error> {
        match spot {
            Spot::At(place) => self.place_entry(&place),
            Spot::Top(mount) => self.top_entry(&mount.volume, &mount.at),
            Spot::Between(path) => {
                let below = self.mounts.iter().find(|mount| mount.at.is_within(&path)).ok_or(Error::NotFound)?;
                let mut entry = self.top_entry(&below.volume, &path)?;
                entry.inside = entry.inside & Permissions::LIST;
                Ok(entry)
            }
        }
    }

    /// The entry of a mount's top, or of a directory that is there only because of one.
    fn top_entry(&self, volume: &Volume, path: &JailedPath) -> Result<Entry, Error> {
        Ok(Entry {
            name: path.name().unwrap_or(b"/").to_vec(),
            facts: Facts::new(&fstat(volume.root())?),
            here: Permissions::NONE,
            inside: self.permissions_in(path),
            target: None,
        })
    }

    fn place_entry(&self, place: &Place<'_>) -> Result<Entry, Error> {
        let here = self.permissions_in(&place.directory());
        let visible = here.allow_any(Permissions::LIST | Permissions::READ);
        let hidden = || if visible { Error::NotFound } else { Error::Denied(Permissions::LIST) };
        let facts = Facts::new(place.seen.as_ref().ok_or_else(hidden)?);
        if !visible && !facts.is_directory() {
            return Err(hidden());
        }
        Ok(self.entry(place.name.clone(), facts, here, &place.path))
    }

    /// The entry for something at a true path whose facts are known.
    pub(crate) fn entry(&self, name: Vec<u8>, facts: Facts, here: Permissions, path: &JailedPath) -> Entry {
        let mut entry = Entry { name, facts, here, inside: Permissions::NONE, target: None };
        match facts.kind {
            Kind::Directory => {
                entry.inside = self.permissions_in(path);
                if self.is_fixed(path) {
                    entry.here = here - (Permissions::DELETE | Permissions::RENAME | Permissions::RMDIR);
                }
            }
            Kind::Link => self.follow(&mut entry, path),
            Kind::File | Kind::Other => {}
        }
        entry
    }

    /// Finds out where a link leads, if it leads to something this account may see.
    fn follow(&self, link: &mut Entry, path: &JailedPath) {
        let (path, facts) = match self.find(path, Last::Follow, Grip::Look) {
            Ok(Spot::Top(mount)) => match fstat(mount.volume.root()) {
                Ok(stat) => (mount.at.clone(), Facts::new(&stat)),
                Err(_) => return,
            },
            Ok(Spot::At(Place { path, seen: Some(stat), .. })) => (path, Facts::new(&stat)),
            // It leads out, round in circles, or to nothing: then it is a link and no more.
            _ => return,
        };
        if facts.is_directory() {
            link.inside = self.permissions_in(&path);
        } else if !self.permissions_in(&path.parent()).allow_any(Permissions::LIST | Permissions::READ) {
            return;
        }
        link.target = Some(Box::new(Target { path, facts }));
    }
}

fn room(volume: &Volume) -> Result<Room, Error> {
    let disk = fstatvfs(volume.root())?;
    Ok(Room { disk_bytes: disk.f_bavail.saturating_mul(disk.f_frsize), quota_bytes: volume.ledger.bytes_left() })
}

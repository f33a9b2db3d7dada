//! A directory's names, a piece at a time.
//!
//! ```text
//! mounts in this directory, first ─→ what the disk has, one kernel buffer a piece ─→ end
//! ```
//!
//! Invariants: memory is one piece, however many names there are; a mount hides the disk's entry of the same name; uploads
//! under way are not listed, nor what cannot be asked for. What is made or removed meanwhile may be listed or not.

use std::collections::VecDeque;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::FileType;

use crate::confine::look_at;
use crate::entry::{Entry, Facts, Kind};
use crate::error::Error;
use crate::hidden::is_hidden;
use crate::path::JailedPath;
use crate::permissions::Permissions;
use crate::scan::Scan;
use crate::space::{Grip, Last, Space, Spot};

/// How much of each entry is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// All facts.
    Facts,
    /// The name and the kind; length, time, mode and the like are zero. Half the price.
    Names,
}

/// A directory being listed. An iterator over entries, or [`Listing::next_piece`] for some hundred at once, or
/// [`Listing::next_names`].
#[derive(Debug)]
pub struct Listing {
    space: Space,
    /// Where it truly is.
    path: JailedPath,
    scan: Option<Scan>,
    ready: VecDeque<Entry>,
    /// Mounts, and directories that lead to one: what the disk has by these names is out of sight.
    covered: Vec<Vec<u8>>,
    /// Whether a rule or a mount is bound to something below.
    rules_below: bool,
    here: Permissions,
    detail: Detail,
    ended: bool,
}

/// Names alone, one behind the other: of a large directory, entries cost more than reading it does.
#[derive(Debug, Default)]
pub struct Names {
    octets: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Names {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// Forgets them, and keeps the memory.
    pub fn clear(&mut self) {
        self.octets.clear();
        self.ends.clear();
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.octets[start..*end])
    }

    fn push(&mut self, name: &[u8]) {
        self.octets.extend_from_slice(name);
        self.ends.push(self.octets.len());
    }
}

impl Listing {
    pub(crate) fn new(
        space: &Space,
        handle: Option<OwnedFd>,
        path: JailedPath,
        detail: Detail,
    ) -> Result<Listing, Error> {
        let mut listing = Listing {
            space: space.clone(),
            scan: handle.map(Scan::new),
            ready: VecDeque::new(),
            covered: Vec::new(),
            rules_below: space.is_fixed_below(&path),
            here: space.permissions_in(&path),
            path,
            detail,
            ended: false,
        };
        listing.add_mounts()?;
        Ok(listing)
    }

    /// Some more entries; none at the end. Blocks while the disk answers.
    pub fn next_piece(&mut self) -> Result<Vec<Entry>, Error> {
        while self.ready.is_empty() && !self.ended {
            self.read()?;
        }
        Ok(std::mem::take(&mut self.ready).into())
    }

    /// Puts some more names behind those that are there; false at the end. Blocks while the disk answers.
    pub fn next_names(&mut self, names: &mut Names) -> Result<bool, Error> {
        self.ready.drain(..).for_each(|entry| names.push(&entry.name));
        let Some(mut scan) = self.scan.take() else { return Ok(false) };
        let more = scan.piece(|_, name, _| {
            if self.is_in_sight(name) {
                names.push(name);
            }
        })?;
        self.scan = more.then_some(scan);
        Ok(more)
    }

    fn is_in_sight(&self, name: &[u8]) -> bool {
        let cannot_be_asked_for = is_hidden(name) || name.iter().any(|octet| matches!(octet, b'\r' | b'\n'));
        !cannot_be_asked_for && !self.covered.iter().any(|covered| covered == name)
    }

    fn read(&mut self) -> Result<(), Error> {
        let Some(mut scan) = self.scan.take() else {
            self.ended = true;
            return Ok(());
        };
        let (mut ready, mut failed) = (std::mem::take(&mut self.ready), None);
        let more = scan.piece(|directory, name, kind| {
            if failed.is_some() || !self.is_in_sight(name) {
                return;
            }
            match self.entry(directory, name, kind) {
                Ok(entry) => ready.extend(entry),
                Err(error) => failed = Some(error),
            }
        });
        self.ready = ready;
        self.ended = !more.inspect_err(|_| self.ended = true)?;
        self.scan = failed.is_none().then_some(scan);
        failed.map_or(Ok(()), Err)
    }

    /// The entry of a name, unless it is gone meanwhile.
    fn entry(&self, directory: BorrowedFd<'_>, name: &[u8], kind: FileType) -> Result<Option<Entry>, Error> {
        let facts = match (self.detail, named(kind)) {
            (Detail::Names, Some(kind)) => Facts::of_kind(kind),
            _ => match look_at(directory, name)? {
                Some(stat) => Facts::new(&stat),
                None => return Ok(None),
            },
        };
        let plain = match facts.kind {
            Kind::Link => self.detail == Detail::Names,
            Kind::Directory => !self.rules_below,
            Kind::File | Kind::Other => true,
        };
        if plain {
            let inside = if facts.is_directory() { self.here } else { Permissions::NONE };
            return Ok(Some(Entry { name: name.to_vec(), facts, here: self.here, inside, target: None }));
        }
        // A path that would be too long cannot be asked for, so it is not listed.
        let Ok(path) = self.path.join(name) else { return Ok(None) };
        Ok(Some(self.space.entry(name.to_vec(), facts, self.here, &path)))
    }

    fn add_mounts(&mut self) -> Result<(), Error> {
        let mut names: Vec<Vec<u8>> = Vec::new();
        for mount in self.space.mounts.iter() {
            if let Some(name) = mount.at.below(&self.path).and_then(|below| below.split(|o| *o == b'/').next())
                && !name.is_empty()
                && !names.iter().any(|known| known == name)
            {
                names.push(name.to_vec());
            }
        }
        for name in names {
            let path = self.path.join(&name)?;
            let spot = self.space.find(&path, Last::Itself, Grip::Look)?;
            // Where the disk itself has the directory on the way to a mount, it is listed as the disk has it.
            if matches!(spot, Spot::At(_)) {
                continue;
            }
            self.ready.push_back(self.space.spot_entry(spot)?);
            self.covered.push(name);
        }
        Ok(())
    }
}

impl Iterator for Listing {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() && !self.ended {
            if let Err(error) = self.read() {
                return Some(Err(error));
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

/// The kind as the directory itself says it; some file systems do not.
fn named(kind: FileType) -> Option<Kind> {
    match kind {
        FileType::RegularFile => Some(Kind::File),
        FileType::Directory => Some(Kind::Directory),
        FileType::Symlink => Some(Kind::Link),
        FileType::Unknown => None,
        _ => Some(Kind::Other),
    }
}

//! Following links, as text, name by name, from handle to handle.
//!
//! ```text
//! a/link/x   open a · link is "../b" · up from a · open b · x is the place
//! ```
//!
//! A relative link is read where it stands; `..` in it goes up along the handles we came by, and never above the top of the
//! mount. An absolute link is good when it names a volume of this space by its real place on the host. The kernel is never
//! asked to follow a link, so nothing that is swapped meanwhile can lead us astray, and `/proc` has no magic here.
//!
//! Invariants: every handle in the trail was opened by one name, not a link, from the handle before it, the first from the
//! top of a mount; the trail's path is the true path.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::readlinkat;
use rustix::io::Errno;

use crate::confine::{LOOK, file_type, look_at, open_name};
use crate::error::Error;
use crate::hidden::is_hidden;
use crate::path::JailedPath;
use crate::space::{Grip, Last, Mounted, Place, Space, Spot};

/// Links on one way; Linux follows as many.
const LINKS_MAX: usize = 40;

/// How we came where we are.
struct Trail<'s> {
    mount: &'s Mounted,
    handles: Vec<OwnedFd>,
    path: JailedPath,
}

impl Space {
    /// As [`Space::find`], when there are links on the way.
    pub(crate) fn walk(&self, path: &JailedPath, last: Last, grip: Grip) -> Result<Spot<'_>, Error> {
        let mount = self.mount_of(path).ok_or(Error::NotFound)?;
        let mut trail = Trail::at(mount);
        let mut ahead: Vec<Vec<u8>> = backwards(path.below(&mount.at).unwrap_or_default());
        let mut links = 0;
        while let Some(name) = ahead.pop() {
            if name == b".." {
                trail.up()?;
                continue;
            }
            if is_hidden(&name) {
                return Err(Error::Reserved);
            }
            let path = trail.path.join(&name)?;
            if let Some(mount) = self.mount_at(&path) {
                trail = Trail::at(mount);
                continue;
            }
            let seen = look_at(trail.here(), &name)?;
            if seen.is_some_and(|stat| file_type(&stat).is_symlink()) && (last == Last::Follow || !ahead.is_empty()) {
                links += 1;
                if links > LINKS_MAX {
                    return Err(Error::TooManyLinks);
                }
                let target = trail.read_link(&name)?;
                let rest = if target.starts_with(b"/") { self.enter_absolute(&mut trail, &target)? } else { &target };
                ahead.append(&mut backwards(rest));
            } else if ahead.is_empty() {
                let parent = open_name(trail.here(), b".", grip.flags())?;
                return Ok(Spot::At(Place { mount: trail.mount, parent, name, path, seen }));
            } else {
                trail.down(&name, path)?;
            }
        }
        trail.spot(grip)
    }

    /// Goes to the top of the volume that an absolute link names, and says what remains of the link.
    fn enter_absolute<'s, 't>(&'s self, trail: &mut Trail<'s>, target: &'t [u8]) -> Result<&'t [u8], Error> {
        let named = self.mounts.iter().filter_map(|mount| Some((mount, mount.volume.below_place(target)?)));
        // The least that remains is the deepest volume.
        let (mount, rest) = named.min_by_key(|(_, rest)| rest.len()).ok_or(Error::Outside)?;
        *trail = Trail::at(mount);
        Ok(rest)
    }
}

/// The names of a relative path, the first one last.
fn backwards(path: &[u8]) -> Vec<Vec<u8>> {
    let names = path.split(|&octet| octet == b'/').filter(|name| !matches!(*name, b"" | b"."));
    names.rev().map(<[u8]>::to_vec).collect()
}

impl<'s> Trail<'s> {
    fn at(mount: &'s Mounted) -> Trail<'s> {
        Trail { mount, handles: Vec::new(), path: mount.at.clone() }
    }

    fn here(&self) -> BorrowedFd<'_> {
        self.handles.last().map_or(self.mount.volume.root(), |handle| handle.as_fd())
    }

    fn up(&mut self) -> Result<(), Error> {
        self.handles.pop().ok_or(Error::Outside)?;
        self.path = self.path.parent();
        Ok(())
    }

    fn down(&mut self, name: &[u8], path: JailedPath) -> Result<(), Error> {
        let handle = open_name(self.here(), name, LOOK)?;
        self.handles.push(handle);
        self.path = path;
        Ok(())
    }

    fn read_link(&self, name: &[u8]) -> Result<Vec<u8>, Error> {
        match readlinkat(self.here(), name, Vec::new()) {
            Ok(target) => Ok(target.into_bytes()),
            // It was a link a moment ago.
            Err(Errno::INVAL) => Err(Error::Busy),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Where the trail ends when its last step was up or into a mount.
    fn spot(mut self, grip: Grip) -> Result<Spot<'s>, Error> {
        if self.handles.pop().is_none() {
            return Ok(Spot::Top(self.mount));
        }
        let parent = open_name(self.here(), b".", grip.flags())?;
        let name = self.path.name().unwrap_or_default().to_vec();
        let seen = look_at(parent.as_fd(), &name)?;
        Ok(Spot::At(Place { mount: self.mount, parent, name, path: self.path, seen }))
    }
}

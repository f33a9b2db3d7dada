//! The tree one account sees: mounts, and the rules in them.
//!
//! ```text
//! JailedPath ─→ mount with the longest place ─→ open its directory by handle ─→ Spot
//!                                                │ a link is met
//!                                                └─→ walk: link texts, name by name ─→ Spot, by its true path
//! ```
//!
//! Permissions are those of the place where a thing truly is, links followed. That place is known without a doubt: either
//! no link was met, and the path is the truth, or we walked, and know where we are.
//!
//! Not here: looking (`look`), changing (`change`, `upload`).

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{OFlags, Stat};
use rustix::io::Errno;

use crate::confine::{LOOK, READ_DIRECTORY, file_type, look_at, open_name};
use crate::error::{Error, OpenError};
use crate::hidden::is_hidden;
use crate::path::JailedPath;
use crate::permissions::{Permissions, Rule};
use crate::volume::Volume;

/// A volume at its place in a tree.
#[derive(Debug, Clone)]
pub struct Mount {
    /// Where it stands; what the volume below has at the same path is out of sight.
    pub at: JailedPath,
    /// What stands there.
    pub volume: Arc<Volume>,
    /// What may be done in it.
    pub permissions: Permissions,
    /// What may be done in some of its directories instead.
    pub rules: Vec<Rule>,
    /// Whether interrupted uploads are kept to be continued. Not where strangers share one account.
    pub keeps_interrupted: bool,
}

/// What one account sees, and the door to all that may be done with it. Cheap to clone.
///
/// All calls block; callers have threads for that.
#[derive(Debug, Clone)]
pub struct Space {
    pub(crate) account: Arc<[u8]>,
    /// Deepest first, so that the first that fits is the right one.
    pub(crate) mounts: Arc<[Mounted]>,
}

#[derive(Debug)]
pub(crate) struct Mounted {
    pub(crate) at: JailedPath,
    pub(crate) volume: Arc<Volume>,
    /// By whole paths, deepest first; the last is the mount's own.
    rules: Box<[(JailedPath, Permissions)]>,
    /// Whole paths that are held in place.
    fixed: Box<[JailedPath]>,
    pub(crate) keeps_interrupted: bool,
}

/// What a path leads to.
pub(crate) enum Spot<'s> {
    /// A directory that is there only because a mount is below it.
    Between(JailedPath),
    /// The top of a mount.
    Top(&'s Mounted),
    /// A name in a directory, which may be free.
    At(Place<'s>),
}

/// A name in a directory that we have a handle to.
pub(crate) struct Place<'s> {
    pub(crate) mount: &'s Mounted,
    pub(crate) parent: OwnedFd,
    pub(crate) name: Vec<u8>,
    /// The true path.
    pub(crate) path: JailedPath,
    /// What had the name a moment ago.
    pub(crate) seen: Option<Stat>,
}

/// What is done with a link that is the last name of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    Follow,
    Itself,
}

/// What the directory is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grip {
    Look,
    Change,
}

impl Grip {
    pub(crate) fn flags(self) -> OFlags {
        match self {
            Grip::Look => LOOK,
            // Only what is open for reading can be synced.
            Grip::Change => READ_DIRECTORY,
        }
    }
}

impl Space {
    /// Joins mounts to a tree. `account` keeps apart whose interrupted uploads are whose.
    pub fn new(account: &[u8], mounts: Vec<Mount>) -> Result<Space, OpenError> {
        let mut mounts = mounts.into_iter().map(Mounted::new).collect::<Result<Vec<_>, _>>()?;
        mounts.sort_by(|a, b| b.at.depth().cmp(&a.at.depth()).then_with(|| a.at.cmp(&b.at)));
        if let Some(twice) = mounts.windows(2).find(|pair| pair[0].at == pair[1].at) {
            return Err(OpenError::TwiceMounted(twice[0].at.to_string()));
        }
        Ok(Space { account: account.into(), mounts: mounts.into() })
    }

    /// What may be done somewhere at all: what is not among it need not be tried anywhere.
    pub fn permissions(&self) -> Permissions {
        let ours =
            self.mounts.iter().flat_map(|mount| &mount.rules).fold(Permissions::NONE, |all, (_, one)| all | *one);
        // Directories that are there only because of a mount below them may be listed.
        if self.mount_of(&JailedPath::root()).is_some() { ours } else { ours | Permissions::LIST }
    }

    /// The mount a path lies in, by name.
    pub(crate) fn mount_of(&self, path: &JailedPath) -> Option<&Mounted> {
        self.mounts.iter().find(|mount| path.is_within(&mount.at))
    }

    /// Where a true path lies on the host, for those outside who are told of it. It may be another file's by then.
    pub fn on_disk(&self, path: &JailedPath) -> Option<PathBuf> {
        let mount = self.mount_of(path)?;
        let inside = path.names().skip(mount.at.depth());
        Some(inside.fold(mount.volume.place().to_path_buf(), |place, name| place.join(OsStr::from_bytes(name))))
    }

    pub(crate) fn mount_at(&self, path: &JailedPath) -> Option<&Mounted> {
        self.mounts.iter().find(|mount| mount.at == *path)
    }

    /// Whether a path outside of all mounts leads to one.
    pub(crate) fn is_between(&self, path: &JailedPath) -> bool {
        self.mounts.iter().any(|mount| mount.at.is_within(path))
    }

    /// What may be done in the directory at this true path.
    pub(crate) fn permissions_in(&self, path: &JailedPath) -> Permissions {
        self.mount_of(path).map_or(Permissions::LIST, |mount| mount.permissions_in(path))
    }

    /// Whether a mount or a rule is bound to this true path or to something below it.
    pub(crate) fn is_fixed(&self, path: &JailedPath) -> bool {
        let bound = |mount: &Mounted| mount.at.is_within(path) || mount.fixed.iter().any(|fixed| fixed.is_within(path));
        self.mounts.iter().any(bound)
    }

    /// Whether a mount or a rule is bound to something below this true path.
    pub(crate) fn is_fixed_below(&self, path: &JailedPath) -> bool {
        let below = |bound: &JailedPath| bound != path && bound.is_within(path);
        self.mounts.iter().any(|mount| below(&mount.at) || mount.fixed.iter().any(below))
    }

    /// What is at a path, and a handle to the directory it is in.
    pub(crate) fn find(&self, path: &JailedPath, last: Last, grip: Grip) -> Result<Spot<'_>, Error> {
        refuse_hidden(path)?;
        let found = match self.mount_of(path) {
            Some(mount) => self.find_in(mount, path, last, grip),
            None => Err(Error::NotFound),
        };
        match found {
            Err(Error::NotFound) if self.is_between(path) => Ok(Spot::Between(path.clone())),
            // It is a directory that may be entered and listed, so who stores there must not hear that it is missing.
            Err(Error::NotFound) if grip == Grip::Change && self.is_between(&path.parent()) => {
                Err(Error::Denied(Permissions::CREATE))
            }
            Ok(Spot::At(place)) if place.seen.is_none() && self.is_between(&place.path) => {
                Ok(Spot::Between(place.path))
            }
            other => other,
        }
    }

    fn find_in<'s>(&'s self, mount: &'s Mounted, path: &JailedPath, last: Last, grip: Grip) -> Result<Spot<'s>, Error> {
        let (Some(below), Some(name)) = (path.parent().below(&mount.at).map(<[u8]>::to_vec), path.name()) else {
            return Ok(Spot::Top(mount));
        };
        let volume = &mount.volume;
        let parent = match volume.confinement.open(volume.root(), &below, grip.flags()) {
            Err(Errno::LOOP) => return self.walk(path, last, grip),
            other => other?,
        };
        let seen = look_at(parent.as_fd(), name)?;
        if last == Last::Follow && seen.is_some_and(|stat| file_type(&stat).is_symlink()) {
            return self.walk(path, last, grip);
        }
        Ok(Spot::At(Place { mount, parent, name: name.to_vec(), path: path.clone(), seen }))
    }

    /// As [`Space::find`], for what must be a name in a directory: not a mount, nor what is above one.
    pub(crate) fn place(&self, path: &JailedPath, last: Last, grip: Grip) -> Result<Place<'_>, Error> {
        match self.find(path, last, grip)? {
            Spot::At(place) => Ok(place),
            Spot::Top(_) | Spot::Between(_) => Err(Error::Fixed),
        }
    }

    /// Opens what is at a path, links followed, after the rules have permitted it.
    pub(crate) fn open(&self, path: &JailedPath, wanted: Wanted) -> Result<Opened, Error> {
        refuse_hidden(path)?;
        let permitted = self.permissions_in(&wanted.rule_place(path)).allow(wanted.permission());
        let found = match self.mount_of(path) {
            Some(mount) if permitted => self.open_straight(mount, path, wanted),
            _ => self.open_by_walk(path, wanted),
        };
        match found {
            Err(Error::NotFound) if self.is_between(path) && wanted == Wanted::Names => {
                Ok(Opened { handle: None, path: path.clone() })
            }
            // Who may not look must not learn what is there.
            Err(error) if !permitted && !matches!(error, Error::Io(_)) => Err(Error::Denied(wanted.permission())),
            other => other,
        }
    }

    /// As [`Space::open`], if it needs no waiting and no link is on the way.
    pub(crate) fn open_at_once(&self, path: &JailedPath, wanted: Wanted) -> Option<OwnedFd> {
        refuse_hidden(path).ok()?;
        let permitted = self.permissions_in(&wanted.rule_place(path)).allow(wanted.permission());
        let mount = self.mount_of(path).filter(|_| permitted)?;
        let below = path.below(&mount.at)?;
        mount.volume.confinement.open_at_once(mount.volume.root(), below, wanted.flags())
    }

    fn open_straight(&self, mount: &Mounted, path: &JailedPath, wanted: Wanted) -> Result<Opened, Error> {
        let below = path.below(&mount.at).unwrap_or_default();
        let volume = &mount.volume;
        match volume.confinement.open(volume.root(), below, wanted.flags()) {
            Ok(handle) => Ok(Opened { handle: Some(handle), path: path.clone() }),
            Err(Errno::LOOP) => self.open_by_walk(path, wanted),
            Err(errno) => Err(errno.into()),
        }
    }

    fn open_by_walk(&self, path: &JailedPath, wanted: Wanted) -> Result<Opened, Error> {
        let spot = self.find(path, Last::Follow, Grip::Look)?;
        self.allow(&wanted.rule_place(spot.path()), wanted.permission())?;
        match spot {
            Spot::Between(path) => Ok(Opened { handle: None, path }),
            Spot::Top(mount) => Ok(Opened { handle: Some(mount.top(wanted.flags())?), path: mount.at.clone() }),
            Spot::At(place) => {
                let handle = open_name(place.parent.as_fd(), &place.name, wanted.flags())?;
                Ok(Opened { handle: Some(handle), path: place.path })
            }
        }
    }

    /// Refuses what the rules of the directory at this true path do not permit.
    pub(crate) fn allow(&self, directory: &JailedPath, wanted: Permissions) -> Result<(), Error> {
        let missing = wanted - self.permissions_in(directory);
        if missing == Permissions::NONE { Ok(()) } else { Err(Error::Denied(missing)) }
    }
}

/// What something is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Octets,
    Names,
}

/// What was opened, and where it truly is. Between mounts there is nothing to open.
pub(crate) struct Opened {
    pub(crate) handle: Option<OwnedFd>,
    pub(crate) path: JailedPath,
}

impl Wanted {
    fn permission(self) -> Permissions {
        match self {
            Wanted::Octets => Permissions::READ,
            Wanted::Names => Permissions::LIST,
        }
    }

    fn flags(self) -> OFlags {
        match self {
            Wanted::Octets => crate::confine::READ_FILE,
            Wanted::Names => READ_DIRECTORY,
        }
    }

    /// The directory whose rules decide.
    fn rule_place(self, path: &JailedPath) -> JailedPath {
        match self {
            Wanted::Octets => path.parent(),
            Wanted::Names => path.clone(),
        }
    }
}

/// No path leads to an upload that is not finished.
pub(crate) fn refuse_hidden(path: &JailedPath) -> Result<(), Error> {
    if path.names().any(is_hidden) { Err(Error::Reserved) } else { Ok(()) }
}

impl Mounted {
    fn new(mount: Mount) -> Result<Mounted, OpenError> {
        let whole = |at: &JailedPath| {
            at.moved_under(&mount.at).map_err(|source| OpenError::Rule {
                mount: mount.at.to_string(),
                at: at.to_string(),
                source,
            })
        };
        let mut rules = vec![(mount.at.clone(), mount.permissions)];
        for rule in &mount.rules {
            rules.insert(0, (whole(&rule.at)?, rule.permissions));
        }
        rules.sort_by_key(|(at, _)| std::cmp::Reverse(at.depth()));
        let ruled = rules.iter().map(|(at, _)| Ok(at.clone()));
        let fixed = mount.volume.terms().fixed.iter().map(whole).chain(ruled).collect::<Result<_, _>>()?;
        let (rules, keeps_interrupted) = (rules.into(), mount.keeps_interrupted);
        Ok(Mounted { at: mount.at, volume: mount.volume, rules, fixed, keeps_interrupted })
    }

    pub(crate) fn permissions_in(&self, path: &JailedPath) -> Permissions {
        let rule = self.rules.iter().find(|(at, _)| path.is_within(at));
        rule.map_or(Permissions::NONE, |(_, permissions)| *permissions)
    }

    /// Whether at least one of `wanted` is permitted somewhere in it.
    pub(crate) fn may_allow_any(&self, wanted: Permissions) -> bool {
        self.rules.iter().any(|(_, permissions)| permissions.allow_any(wanted))
    }

    /// A handle of its own to the top.
    pub(crate) fn top(&self, flags: OFlags) -> Result<OwnedFd, Errno> {
        open_name(self.volume.root(), b".", flags)
    }
}

impl Spot<'_> {
    /// The true path.
    pub(crate) fn path(&self) -> &JailedPath {
        match self {
            Spot::Between(path) => path,
            Spot::Top(mount) => &mount.at,
            Spot::At(place) => &place.path,
        }
    }
}

impl Place<'_> {
    /// The directory it stands in, by its true path.
    pub(crate) fn directory(&self) -> JailedPath {
        self.path.parent()
    }

    /// What has the name, which must be something.
    pub(crate) fn present(&self) -> Result<&Stat, Error> {
        self.seen.as_ref().ok_or(Error::NotFound)
    }
}

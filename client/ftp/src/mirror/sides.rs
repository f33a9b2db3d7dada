//! What is in a directory on one of two sides: here or there, in the same terms.
//!
//! ```text
//! read_dir + stat  ┐
//! MLSD, LIST, MLST ┴─→ Node: kind, size, time and how exact it is, mode, where a link leads
//! ```
//!
//! Not here: which differ (compare), what else is asked of a server to tell that (times).

use super::{Links, Mirror, below, links};
use crate::connection::Connection;
use crate::directory::{About, join, moment};
use crate::error::Error;
use crate::lineage::Mark;
use crate::part::is_part;
use ftp::Moment;
use ftp::dialect::{Found, Kind, Precision};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// Where a link leads that leads out of the tree: no path below a root.
pub(super) const ELSEWHERE: &[u8] = b"/";

/// Of a time of which no more is known than its day.
pub(super) const DAY_SECS: u32 = 24 * 60 * 60;

/// What is in one directory, by its name.
pub(super) type Entries = BTreeMap<Vec<u8>, Node>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) what: What,
    /// It is a link, and what is told here is of what it leads to.
    pub(super) followed: bool,
    pub(super) size: Option<u64>,
    pub(super) time: Option<Moment>,
    /// Times closer together than this are the same.
    pub(super) exact_to_secs: u32,
    pub(super) mode: Option<u32>,
    /// When it came to be on this disk, where that tells it. What is fetched is always a new file.
    pub(super) born: Option<Moment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    File,
    /// With what tells it from all others, where that is known.
    Directory(Option<Vec<u8>>),
    /// It leads to this path below the root.
    Link(Vec<u8>),
}

impl Node {
    /// Whether both are files, or directories, or links.
    pub(super) fn is_like(&self, other: &Node) -> bool {
        std::mem::discriminant(&self.what) == std::mem::discriminant(&other.what)
    }

    pub(super) fn is_file(&self) -> bool {
        self.what == What::File
    }

    pub(super) fn is_directory(&self) -> bool {
        matches!(self.what, What::Directory(_))
    }

    pub(super) fn mark(&self) -> Option<Mark> {
        match &self.what {
            What::Directory(unique) => unique.clone().map(|unique| Mark { unique, modified: self.time }),
            What::File | What::Link(_) => None,
        }
    }

    pub(super) fn aim(&self) -> Option<&[u8]> {
        match &self.what {
            What::Link(aim) => Some(aim),
            What::File | What::Directory(_) => None,
        }
    }

    pub(super) fn leads_elsewhere(&self) -> bool {
        self.aim() == Some(ELSEWHERE)
    }

    /// Whether what is in it has to go before it can be removed: behind a link that is somebody else's.
    pub(super) fn is_removed_from_within(&self) -> bool {
        self.is_directory() && !self.followed
    }

    fn link(aim: Vec<u8>) -> Self {
        Node {
            what: What::Link(aim),
            followed: false,
            size: None,
            time: None,
            exact_to_secs: 0,
            mode: None,
            born: None,
        }
    }

    pub(super) fn has_exact_time(&self) -> bool {
        self.time.is_some() && self.exact_to_secs <= 1
    }

    pub(super) fn has_another_size(&self, other: &Node) -> bool {
        self.size.zip(other.size).is_some_and(|(one, other)| one != other)
    }
}

/// What was found in a directory.
#[derive(Default)]
pub(super) struct Listed {
    pub(super) entries: Entries,
    /// How many names cannot be used, or lines not be read.
    pub(super) flawed: u64,
    /// How many links lead out of the tree.
    pub(super) links_out: u64,
}

fn wants(mirror: &Mirror, path: &[u8], directory: bool) -> bool {
    if directory { mirror.selection.wants_directory(path) } else { mirror.selection.wants_file(path) }
}

/// What is in a directory of this disk.
pub(super) fn list_here(mirror: &Mirror, directory: &[u8]) -> Result<Listed, Error> {
    let place = mirror.here(directory);
    let local = |why| Error::local(&place, why);
    let mut listed = Listed::default();
    for entry in fs::read_dir(&place).map_err(local)? {
        let entry = entry.map_err(local)?;
        let name = entry.file_name().as_bytes().to_vec();
        let path = join(directory, &name);
        let Some(node) = disk_node(&entry.path(), &path, mirror.links, &mut listed.links_out) else { continue };
        if !is_part(&name) && wants(mirror, &path, node.is_directory()) {
            listed.entries.insert(name, node);
        }
    }
    Ok(listed)
}

/// Files and directories, and links as is wished; nothing else can be moved. Counts links that lead out.
fn disk_node(place: &Path, path: &[u8], links: Links, out: &mut u64) -> Option<Node> {
    let itself = fs::symlink_metadata(place).ok()?;
    let followed = itself.is_symlink() && links != Links::Made;
    let about = if followed { fs::metadata(place).ok()? } else { itself };
    // Of those that are passed over a directory in the target counts, if the source has one there.
    if followed && links == Links::PassedOver && !about.is_dir() {
        return None;
    }
    if about.is_symlink() && links == Links::Made {
        let aim = links::aim(path, fs::read_link(place).ok()?.as_os_str().as_bytes());
        *out += u64::from(aim.is_none());
        return Some(Node::link(aim.unwrap_or(ELSEWHERE.to_vec())));
    }
    (about.is_dir() || about.is_file()).then(|| Node {
        what: if about.is_dir() { What::Directory(Some(unique_here(&about))) } else { What::File },
        followed,
        size: about.is_file().then_some(about.len()),
        time: about.modified().ok().map(moment),
        exact_to_secs: 1,
        mode: Some(about.permissions().mode() & 0o7777),
        born: about.created().ok().map(moment),
    })
}

pub(super) fn unique_here(about: &fs::Metadata) -> Vec<u8> {
    [about.dev().to_be_bytes(), about.ino().to_be_bytes()].concat()
}

/// Whether a tree there can lead round in a circle in a way that the server lets us see: MLSD tells of links as if they were
/// directories on many servers, LIST only where links are followed.
pub(super) fn may_lead_round(connection: &Connection, links: Links) -> bool {
    let features = connection.features();
    features.tells_unique() || features.facts.is_none() && links == Links::Followed
}

/// What is in a directory on a server, whose tree begins at `root`; `above` tells this directory from all others, where that is
/// known.
pub(super) async fn list_there(
    mirror: &Mirror,
    connection: &mut Connection,
    root: &[u8],
    directory: &[u8],
    above: Option<&[u8]>,
    of_source: bool,
) -> Result<Listed, Error> {
    let place = below(root, directory);
    let mut listing = connection.list_inside(&place).await?;
    // Of a directory of many it is the room for what comes now.
    listing.entries.iter_mut().for_each(|found| (found.owner, found.group) = (None, None));
    let mut from_root = Vec::new();
    if mirror.links == Links::Made {
        connection.list_links(&place, &mut listing).await?;
        from_root = connection.path_from_root(root).await?;
    }
    let mut listed = Listed { flawed: listing.flawed, ..Listed::default() };
    let entries = &mut listed.entries;
    for mut found in listing.entries {
        let path = join(directory, found.name.as_bytes());
        if let (Links::Made, Kind::Link(says)) = (mirror.links, &found.kind) {
            match says.as_deref().and_then(|says| links::aim_there(&path, says, &from_root)) {
                _ if !wants(mirror, &path, false) => {}
                Some(aim) => drop(entries.insert(found.name.as_bytes().to_vec(), Node::link(aim))),
                None if of_source => listed.links_out += 1,
                None => drop(entries.insert(found.name.as_bytes().to_vec(), Node::link(ELSEWHERE.to_vec()))),
            }
            continue;
        }
        let is_link = matches!(found.kind, Kind::Link(_));
        let followed = is_link && (mirror.links == Links::Followed || mirror.links == Links::PassedOver && !of_source);
        if followed {
            // What the listing tells is of the link, not of what it leads to.
            let (About { kind, size, modified, mode }, unique) =
                match connection.stat_with_unique(&below(root, &path), of_source).await {
                    Err(error) if error.is_fatal() => return Err(error),
                    Err(_) => continue,
                    Ok(about) => about,
                };
            found = Found { kind, size, modified, mode, unique, ..found };
        } else if found.unique.is_none() && connection.features().facts.is_none() {
            // It is no link: it is where its name is.
            found.unique = above.map(|above| join(above, found.name.as_bytes()));
        }
        let directory = found.kind == Kind::Directory;
        let usable = match mirror.links {
            // The same as here.
            Links::PassedOver if followed => directory,
            _ => matches!(found.kind, Kind::File | Kind::Directory),
        };
        if usable && !is_part(found.name.as_bytes()) && wants(mirror, &path, directory) {
            let node = Node { followed, ..remote_node(&found, directory) };
            entries.insert(found.name.as_bytes().to_vec(), node);
        }
    }
    Ok(listed)
}

fn remote_node(found: &Found, directory: bool) -> Node {
    Node {
        what: if directory { What::Directory(found.unique.clone()) } else { What::File },
        followed: false,
        size: found.size.filter(|_| !directory),
        time: found.modified.map(|stamp| stamp.moment),
        exact_to_secs: found.modified.map_or(0, |stamp| match (stamp.precision, stamp.utc) {
            (Precision::Second, true) => 1,
            (Precision::Minute, true) => 60,
            // It may be any zone's.
            _ => DAY_SECS,
        }),
        mode: found.mode,
        born: None,
    }
}

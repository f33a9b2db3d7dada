//! One tree made like another, from there to here or from here to there.
//!
//! ```text
//! walk there ─┐
//!             ├→ compare ─→ Plan ─→ (shown) ─→ apply: directories, files over a crew, then what is too much
//! walk here  ─┘
//! ```
//!
//! A file is moved when it is not there, when its size differs, or when the source's is newer. What has the same size and time
//! is left: so a second run does nothing.
//!
//! Invariants: nothing is removed where a listing of the source failed, or had a name in it that could not be used; nothing
//! is written outside of the target's directory; links are not followed unless that is wished.
//! Not here: how a file moves (fetch, send).

use crate::connection::Connection;
use crate::crew::{Crew, Event, Move, Tasks};
use crate::directory::{DEPTH_MAX, join, moment};
use crate::error::Error;
use crate::fetch::Fetch;
use crate::part::is_part;
use crate::select::Selection;
use crate::send::Send;
use ftp::Moment;
use ftp::dialect::{Kind, Precision};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the server to this machine.
    Here,
    /// From this machine to the server.
    There,
}

/// Two trees, and how they are to be made alike.
#[derive(Debug, Clone)]
pub struct Mirror {
    /// Which one is made like the other.
    pub direction: Direction,
    /// The tree on the server; nothing for where the login leads.
    pub remote: Vec<u8>,
    /// The tree here.
    pub local: PathBuf,
    /// What of it.
    pub selection: Selection,
    /// Remove what is in the target and not in the source.
    pub delete: bool,
    /// Times do not count, only sizes do.
    pub size_only: bool,
    /// Leave what is in the target, whatever it is like.
    pub only_missing: bool,
    /// Look at what links lead to.
    pub follow_links: bool,
    /// Give files the permissions that they have in the source.
    pub keep_modes: bool,
    /// Go on with what was begun.
    pub resume: bool,
    /// Compare sums, if the server tells them.
    pub verify: bool,
}

/// What is in a tree, by its path below the root.
type Tree = BTreeMap<Vec<u8>, Node>;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    directory: bool,
    size: Option<u64>,
    time: Option<Moment>,
    /// Times closer together than this are the same.
    exact_to_secs: i64,
    mode: Option<u32>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A directory is made.
    MakeDirectory,
    /// A file is moved.
    Copy {
        /// Its length, if it is known.
        octets: Option<u64>,
        /// Why.
        why: Difference,
    },
    /// A file is removed.
    Remove,
    /// A directory is removed; all in it is removed before.
    RemoveDirectory,
    /// A file stands where a directory should be, or the other way round, and nothing is removed.
    Conflict,
}

/// Why a file is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// It is not there.
    Missing,
    /// It is there with another size.
    Size,
    /// It is there, and older.
    Older,
}

/// What is to be done, in this order, with paths below the roots.
#[derive(Debug, Default)]
pub struct Plan {
    /// Each with its path below the roots.
    pub actions: Vec<(Vec<u8>, Action)>,
    /// How many files are left as they are.
    pub same: u64,
    /// Names that cannot be used, and directories that could not be looked into.
    pub passed_over: u64,
    /// How many of the first actions make room for the others.
    clearing: usize,
    source: Tree,
}

/// What was done.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Files that were moved.
    pub moved: u64,
    /// Their octets.
    pub octets: u64,
    /// Files and directories that were removed.
    pub removed: u64,
    /// Things that were not done.
    pub failed: u64,
}

impl Plan {
    /// How many files will be moved, and how many octets that is as far as is known.
    pub fn to_move(&self) -> (u64, u64) {
        self.actions.iter().fold((0, 0), |(files, sum), (_, action)| match action {
            Action::Copy { octets, .. } => (files + 1, sum + octets.unwrap_or(0)),
            _ => (files, sum),
        })
    }
}

impl Mirror {
    /// Looks at both trees.
    ///
    /// # Errors
    /// [`Error`], when the source is not there.
    pub async fn plan(&self, crew: &Crew) -> Result<Plan, Error> {
        let (here, there) = match self.direction {
            Direction::Here => (self.walk_here(true).await?, self.walk_there(crew, false).await?),
            Direction::There => (self.walk_here(false).await?, self.walk_there(crew, true).await?),
        };
        let (source, target) = match self.direction {
            Direction::Here => (there, here),
            Direction::There => (here, there),
        };
        Ok(self.compare(source, &target.0))
    }

    fn compare(&self, (source, passed_over): (Tree, u64), target: &Tree) -> Plan {
        let mut plan = Plan { passed_over, ..Plan::default() };
        let may_delete = self.delete && passed_over == 0;
        let (mut clearing, mut files) = (Vec::new(), Vec::new());
        for (path, node) in &source {
            match target.get(path) {
                Some(there) if there.directory != node.directory && !may_delete => {
                    plan.actions.push((path.clone(), Action::Conflict));
                }
                Some(there) if there.directory != node.directory => {
                    remove(target, path, &mut clearing);
                    plan.add(path, node, Difference::Missing, &mut files);
                }
                Some(_) if node.directory => {}
                Some(there) => match self.difference(node, there) {
                    Some(why) => plan.add(path, node, why, &mut files),
                    None => plan.same += 1,
                },
                None => plan.add(path, node, Difference::Missing, &mut files),
            }
        }
        plan.actions.extend(files);
        let cleared: BTreeSet<Vec<u8>> = clearing.iter().map(|(path, _)| path.clone()).collect();
        plan.clearing = clearing.len();
        plan.actions.splice(0..0, clearing);
        if may_delete {
            // Deepest first, so that directories are empty when it is their turn.
            let doomed = |path: &Vec<u8>| !source.contains_key(path) && !cleared.contains(path);
            for (path, node) in target.iter().rev().filter(|(path, _)| doomed(path)) {
                plan.actions.push((path.clone(), removal(node)));
            }
        }
        plan.source = source;
        plan
    }

    fn difference(&self, source: &Node, target: &Node) -> Option<Difference> {
        if self.only_missing {
            return None;
        }
        if source.size.zip(target.size).is_some_and(|(source, target)| source != target) {
            return Some(Difference::Size);
        }
        let exact_to = source.exact_to_secs.max(target.exact_to_secs);
        let newer = source
            .time
            .zip(target.time)
            .is_some_and(|(source, target)| source.unix_secs() - target.unix_secs() > exact_to);
        (newer && !self.size_only).then_some(Difference::Older)
    }

    /// Does what is planned.
    ///
    /// # Errors
    /// When there is no connection at all; single things that fail are told to the crew's watcher and counted.
    pub async fn apply(&self, plan: &Plan, crew: &Crew) -> Result<Report, Error> {
        let mut report = Report::default();
        let (clearing, building) = plan.actions.split_at(plan.clearing);
        for (path, _) in building.iter().filter(|(_, action)| *action == Action::Conflict) {
            let error = Error::Differs {
                step: "mirror".into(),
                why: "one side has a file there, the other a directory".into(),
            };
            crew.tell(&Event::Failed { name: &crate::directory::shown(path), error: &error });
            report.failed += 1;
        }
        self.remove(clearing, crew, &mut report).await?;
        self.make_directories(building, crew, &mut report).await?;
        self.move_files(plan, crew, &mut report).await?;
        self.remove(building, crew, &mut report).await?;
        Ok(report)
    }

    async fn make_directories(
        &self,
        actions: &[(Vec<u8>, Action)],
        crew: &Crew,
        report: &mut Report,
    ) -> Result<(), Error> {
        let mut wanted: Vec<&[u8]> =
            actions.iter().filter(|(_, action)| *action == Action::MakeDirectory).map(|(path, _)| &path[..]).collect();
        match self.direction {
            Direction::Here => {
                wanted.insert(0, b"");
                for path in wanted {
                    let place = self.here(path);
                    if let Err(why) = fs::create_dir_all(&place) {
                        report.failed += 1;
                        crew.tell(&Event::Failed {
                            name: &place.display().to_string(),
                            error: &Error::local(&place, why),
                        });
                    }
                }
            }
            Direction::There
                if wanted.is_empty() && !actions.iter().any(|(_, action)| matches!(action, Action::Copy { .. })) => {}
            Direction::There => {
                let mut connection = Connection::open(crew.site()).await?;
                if !self.remote.is_empty() {
                    connection.make_directories(&self.remote).await?;
                }
                let words = wanted
                    .iter()
                    .map(|path| Ok(ftp::Command::Mkd(crate::connection::wire_path(&self.there(path))?).into()))
                    .collect::<Result<Vec<_>, Error>>()?;
                // Those that fail because they are there already do no harm; files in the others will tell.
                connection.say(words).await?;
                connection.quit().await;
            }
        }
        Ok(())
    }

    async fn move_files(&self, plan: &Plan, crew: &Crew, report: &mut Report) -> Result<(), Error> {
        let moves: Vec<Move> = plan
            .actions
            .iter()
            .filter(|(_, action)| matches!(action, Action::Copy { .. }))
            .filter_map(|(path, _)| {
                let node = plan.source.get(path)?;
                Some(Move {
                    remote: self.there(path),
                    local: self.here(path),
                    size: node.size,
                    time: node.time,
                    mode: node.mode.filter(|_| self.keep_modes),
                })
            })
            .collect();
        if moves.is_empty() {
            return Ok(());
        }
        let done = match self.direction {
            Direction::Here => {
                let wishes = Fetch { resume: self.resume, verify: self.verify, keep_time: true, ..Fetch::default() };
                crew.fetch_moves(moves, &wishes).await?
            }
            Direction::There => {
                let wishes = Send { resume: self.resume, verify: self.verify, keep_time: true, ..Send::default() };
                crew.send_moves(moves, &wishes).await?
            }
        };
        report.moved += done.moved;
        report.octets += done.octets;
        report.failed += done.failed;
        Ok(())
    }

    async fn remove(&self, actions: &[(Vec<u8>, Action)], crew: &Crew, report: &mut Report) -> Result<(), Error> {
        let doomed: Vec<(&[u8], bool)> = actions
            .iter()
            .filter_map(|(path, action)| match action {
                Action::Remove => Some((&path[..], false)),
                Action::RemoveDirectory => Some((&path[..], true)),
                _ => None,
            })
            .collect();
        if doomed.is_empty() {
            return Ok(());
        }
        let mut note = |name: &str, done: Result<(), Error>| match done {
            Ok(()) => report.removed += 1,
            Err(error) => {
                report.failed += 1;
                crew.tell(&Event::Failed { name, error: &error });
            }
        };
        match self.direction {
            Direction::Here => {
                for (path, directory) in doomed {
                    let place = self.here(path);
                    let removed = if directory { fs::remove_dir(&place) } else { fs::remove_file(&place) };
                    note(&place.display().to_string(), removed.map_err(|why| Error::local(&place, why)));
                }
            }
            Direction::There => {
                let mut connection = Connection::open(crew.site()).await?;
                for (path, directory) in doomed {
                    let place = self.there(path);
                    let removed = match directory {
                        true => connection.remove_directory(&place).await,
                        false => connection.remove_file(&place).await,
                    };
                    note(&crate::directory::shown(&place), removed);
                }
                connection.quit().await;
            }
        }
        Ok(())
    }

    fn here(&self, path: &[u8]) -> PathBuf {
        if path.is_empty() { self.local.clone() } else { self.local.join(OsStr::from_bytes(path)) }
    }

    fn there(&self, path: &[u8]) -> Vec<u8> {
        if path.is_empty() { self.remote.clone() } else { join(&self.remote, path) }
    }

    fn wants(&self, path: &[u8], directory: bool) -> bool {
        if directory { self.selection.wants_directory(path) } else { self.selection.wants_file(path) }
    }

    async fn walk_here(&self, may_be_missing: bool) -> Result<(Tree, u64), Error> {
        let (mirror, root) = (self.clone(), self.local.clone());
        let walked = tokio::task::spawn_blocking(move || mirror.walk_disk());
        match walked.await.map_err(|error| Error::local(&root, io::Error::other(error)))? {
            Err(Error::Local { why, .. }) if may_be_missing && why.kind() == io::ErrorKind::NotFound => {
                Ok(<(Tree, u64)>::default())
            }
            other => other,
        }
    }

    fn walk_disk(&self) -> Result<(Tree, u64), Error> {
        let (mut tree, mut passed_over, mut left) = (Tree::new(), 0, vec![(Vec::new(), 0)]);
        while let Some((directory, depth)) = left.pop() {
            let place = self.here(&directory);
            let entries = match fs::read_dir(&place) {
                Ok(entries) => entries,
                Err(why) if directory.is_empty() => return Err(Error::local(place, why)),
                Err(_) => {
                    passed_over += 1;
                    continue;
                }
            };
            for entry in entries {
                let entry = entry.map_err(|why| Error::local(&place, why))?;
                let path = join(&directory, entry.file_name().as_bytes());
                let Some(node) = disk_node(&entry.path(), self.follow_links) else { continue };
                if is_part(entry.file_name().as_bytes()) || !self.wants(&path, node.directory) {
                    continue;
                }
                if node.directory && depth < DEPTH_MAX {
                    left.push((path.clone(), depth + 1));
                }
                tree.insert(path, node);
            }
        }
        Ok((tree, passed_over))
    }

    async fn walk_there(&self, crew: &Crew, may_be_missing: bool) -> Result<(Tree, u64), Error> {
        let tree = Mutex::new(Tree::new());
        let passed_over = AtomicU64::new(0);
        let missing = Mutex::new(None);
        let tasks = Tasks::new([Vec::new()]);
        let failed = crew
            .work(&tasks, async |connection: &mut Connection, directory: &Vec<u8>| {
                let listing = match connection.list(&self.there(directory)).await {
                    Err(error) if directory.is_empty() && error.is_missing() => {
                        *missing.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                        return Ok(());
                    }
                    other => other?,
                };
                passed_over.fetch_add(listing.flawed, Ordering::Relaxed);
                for found in listing.entries {
                    let path = join(directory, found.name.as_bytes());
                    let kind = match found.kind {
                        Kind::Link(_) if self.follow_links => match connection.stat(&self.there(&path)).await {
                            Ok(about) => about.kind,
                            Err(error) if error.is_fatal() => return Err(error),
                            Err(_) => continue,
                        },
                        kind => kind,
                    };
                    let directory = kind == Kind::Directory;
                    let usable = matches!(kind, Kind::File | Kind::Directory);
                    if !usable || is_part(found.name.as_bytes()) || !self.wants(&path, directory) {
                        continue;
                    }
                    let depth = path.iter().filter(|octet| **octet == b'/').count();
                    if directory && depth < DEPTH_MAX {
                        tasks.add(path.clone());
                    }
                    let node = Node {
                        directory,
                        size: found.size,
                        time: found.modified.map(|stamp| stamp.moment),
                        exact_to_secs: found.modified.map_or(0, |stamp| match (stamp.precision, stamp.utc) {
                            (Precision::Second, true) => 1,
                            (Precision::Minute, true) => 60,
                            // It may be any zone's.
                            _ => 86_400,
                        }),
                        mode: found.mode,
                    };
                    tree.lock().unwrap_or_else(PoisonError::into_inner).insert(path, node);
                }
                Ok(())
            })
            .await?;
        if let Some(error) = missing.into_inner().unwrap_or_else(PoisonError::into_inner)
            && !may_be_missing
        {
            return Err(error);
        }
        let tree = tree.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok((tree, passed_over.into_inner() + failed))
    }
}

impl Plan {
    fn add(&mut self, path: &[u8], node: &Node, why: Difference, files: &mut Vec<(Vec<u8>, Action)>) {
        if node.directory {
            self.actions.push((path.to_vec(), Action::MakeDirectory));
        } else {
            files.push((path.to_vec(), Action::Copy { octets: node.size, why }));
        }
    }
}

fn removal(node: &Node) -> Action {
    if node.directory { Action::RemoveDirectory } else { Action::Remove }
}

/// A whole branch, its leaves first.
fn remove(tree: &Tree, path: &[u8], actions: &mut Vec<(Vec<u8>, Action)>) {
    let below = [path, b"/"].concat();
    for (path, node) in tree.iter().rev().filter(|(inside, _)| *inside == path || inside.starts_with(&below)) {
        actions.push((path.clone(), removal(node)));
    }
}

/// Files and directories; links only if they are followed; nothing else can be moved.
fn disk_node(path: &Path, follow_links: bool) -> Option<Node> {
    let about = if follow_links { fs::metadata(path) } else { fs::symlink_metadata(path) }.ok()?;
    (about.is_dir() || about.is_file()).then(|| Node {
        directory: about.is_dir(),
        size: about.is_file().then_some(about.len()),
        time: about.modified().ok().map(moment),
        exact_to_secs: 1,
        mode: Some(about.permissions().mode() & 0o7777),
    })
}

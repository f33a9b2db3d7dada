//! One tree made like another: from there to here, from here to there, or from one server to another.
//!
//! ```text
//! directory by directory, over a crew: list there, list here ─→ compare ─→ Plan ─→ (shown, kept) ─→ apply:
//!                                    what is in the way, directories, files, then what is too much
//! where no plan is wished: a stretch of the walk ─→ its directories and files ─→ the next stretch … ─→ what is too much
//! ```
//!
//! A file is moved when it is not there, when its size differs, or when the source's is newer. What has the same size and time
//! is left: so a second run does nothing. Sums can be compared instead.
//!
//! Invariants: nothing is removed where a listing of the source failed, or had a name in it that could not be used; nothing
//! is written outside of the target's directory, and no link is made that leads out of it; links are not followed unless that is
//! wished; of what is the same on both
//! sides nothing is kept in memory, and where no plan is wished, of what was moved neither.
//! Not here: how a file moves (fetch, send, relay), how trees are looked at (compare), what becomes of links and modes.

mod compare;
mod links;
mod modes;
mod sides;
mod times;

use crate::connection::{Connection, wire_path};
use crate::crew::{Crew, Event, Move, Pool};
use crate::directory::{join, shown};
use crate::error::Error;
use crate::fetch::Fetch;
use crate::relay::Carry;
use crate::select::Selection;
use crate::send::Send;
use crate::site::Site;
use compare::Walk;
use ftp::{Command, Moment, Reply};
pub(crate) use modes::set_mode_here;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Ten times what is usually called large; who makes up more in one tree than that wants to fill a disk.
pub const TREE_ENTRIES_MAX: u64 = 10_000_000;

/// So much is found before it is done, where no plan is wished: what waits is kept in memory. Tests have small trees.
const STRETCH_MIN: usize = if cfg!(test) { 3 } else { 10_000 };

/// Where to.
#[derive(Debug, Clone)]
pub enum Direction {
    /// From the server to this machine.
    Here,
    /// From this machine to the server.
    There,
    /// From the server to another one, through this machine.
    Across(Far),
}

/// A tree on another server.
#[derive(Debug, Clone)]
pub struct Far {
    /// How to get there.
    pub site: Box<Site>,
    /// The tree; nothing for where the login leads.
    pub path: Vec<u8>,
}

/// Two trees, and how they are to be made alike.
#[derive(Debug, Clone)]
pub struct Mirror {
    /// Which one is made like the other.
    pub direction: Direction,
    /// The tree on the server; nothing for where the login leads.
    pub remote: Vec<u8>,
    /// The tree here, if one is.
    pub local: PathBuf,
    /// What of it.
    pub selection: Selection,
    /// What becomes of what is in the target and not in the source.
    pub surplus: Surplus,
    /// When files are the same.
    pub compare: Compare,
    /// Which of those that are not are moved.
    pub only: Only,
    /// What becomes of links.
    pub links: Links,
    /// Give files and directories the permissions that they have in the source, also those that are the same otherwise.
    pub keep_modes: bool,
    /// Go on with what was begun.
    pub resume: bool,
    /// Compare sums of what was moved, if the server tells them.
    pub verify: bool,
    /// Send large files in pieces, where the server joins them.
    pub in_pieces: bool,
    /// A tree of more files and directories than these has no end (usually [`TREE_ENTRIES_MAX`]).
    pub entries_max: u64,
}

/// What becomes of links in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Links {
    /// They are passed over.
    #[default]
    PassedOver,
    /// What they lead to is taken for what they are.
    Followed,
    /// Links are made in the target, to the same place in the tree. Those that lead out of it are passed over.
    Made,
}

/// What becomes of what is in the target and not in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Surplus {
    /// It stays.
    #[default]
    Kept,
    /// It is removed when all has been moved.
    Removed,
    /// It is removed before anything is moved: where there is no room for both.
    RemovedFirst,
}

/// When two files are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compare {
    /// When they have the same size, and the source is not newer.
    #[default]
    Time,
    /// When they have the same size.
    Size,
    /// When they have the same sum; servers that tell none cannot be compared so.
    Sum,
}

/// Which files that are not the same are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Only {
    /// All.
    #[default]
    All,
    /// Those that the target does not have.
    Missing,
    /// Those that the target has.
    Existing,
    /// Those that the target does not have, and those that are newer in the source, whatever their sizes.
    Newer,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A directory is made.
    MakeDirectory {
        /// Its permissions, if they are to be kept.
        mode: Option<u32>,
    },
    /// A file is moved.
    Copy(Copy),
    /// A file or a directory that is otherwise as it should be gets these permissions.
    Mode {
        /// Which.
        mode: u32,
    },
    /// A link is made, to this path below the root. `instead` of one that leads elsewhere.
    Link {
        /// Where it leads.
        aim: Vec<u8>,
        /// Whether there is another one that has to go.
        instead: bool,
    },
    /// A file is removed.
    Remove,
    /// A directory is removed; all in it is removed before.
    RemoveDirectory,
    /// A file, a directory or a link stands where one of the others should be, and nothing is removed.
    Conflict,
}

/// A file that is moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Its length, if it is known.
    pub octets: Option<u64>,
    /// When it was changed last, if that is known.
    pub time: Option<Moment>,
    /// Its permissions, if they are to be kept.
    pub mode: Option<u32>,
    /// Why.
    pub why: Difference,
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
    /// It is there with another sum.
    Sum,
    /// It is a link, and leads elsewhere.
    Aim,
}

/// What is to be done, in this order, with paths below the roots. What is removed first makes room for the others.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Each with its path below the roots.
    pub actions: Vec<(Vec<u8>, Action)>,
    /// How many files are left as they are.
    pub same: u64,
    /// Names that cannot be used, and directories that could not be looked into.
    pub passed_over: u64,
    /// Links that lead out of the tree, where links are made.
    pub links_out: u64,
}

/// What was done.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Files that were moved.
    pub moved: u64,
    /// Their octets.
    pub octets: u64,
    /// Links that were made.
    pub links: u64,
    /// Files and directories that were the same but for their permissions, and have got those.
    pub modes: u64,
    /// Files and directories that were removed.
    pub removed: u64,
    /// Things that were not done.
    pub failed: u64,
}

impl Report {
    /// Something was not done, and whoever listens is told why.
    fn fail(&mut self, crew: &Crew, name: &[u8], error: &Error) {
        self.failed += 1;
        crew.tell(&Event::Failed { name, error });
    }
}

impl Action {
    fn is_removal(&self) -> bool {
        matches!(self, Action::Remove | Action::RemoveDirectory)
    }
}

impl Plan {
    /// How many files will be moved, and how many octets that is as far as is known.
    pub fn to_move(&self) -> (u64, u64) {
        to_move(&self.actions)
    }
}

fn to_move(actions: &[(Vec<u8>, Action)]) -> (u64, u64) {
    copies(actions).fold((0, 0), |(files, sum), (_, copy)| (files + 1, sum + copy.octets.unwrap_or(0)))
}

fn copies(actions: &[(Vec<u8>, Action)]) -> impl Iterator<Item = (&Vec<u8>, &Copy)> {
    actions.iter().filter_map(|(path, action)| match action {
        Action::Copy(copy) => Some((path, copy)),
        _ => None,
    })
}

/// The crew at the one end, and connections to the other, if that is a server, too.
struct Ends<'a> {
    crew: &'a Crew,
    far: Option<Pool<'a>>,
}

impl<'a> Ends<'a> {
    fn new(mirror: &'a Mirror, crew: &'a Crew) -> Self {
        let far = match &mirror.direction {
            Direction::Across(far) => Some(Pool::new(&far.site)),
            Direction::Here | Direction::There => None,
        };
        Ends { crew, far }
    }

    /// A connection to the target.
    async fn take(&self) -> Result<Connection, Error> {
        match &self.far {
            Some(pool) => pool.take().await,
            None => self.crew.take().await,
        }
    }

    fn put(&self, connection: Connection) {
        match &self.far {
            Some(pool) => pool.put(connection),
            None => self.crew.put(connection),
        }
    }

    async fn rest(self) {
        self.crew.rest().await;
        if let Some(pool) = self.far {
            pool.close().await;
        }
    }
}

impl Mirror {
    /// Looks at both trees.
    ///
    /// # Errors
    /// [`Error`], when the source is not there, or a tree has no end.
    pub async fn plan(&self, crew: &Crew) -> Result<Plan, Error> {
        let ends = Ends::new(self, crew);
        let walk = Walk::new(self, usize::MAX);
        let walked = walk.go_on(&ends).await;
        ends.rest().await;
        walked.map(|()| walk.end())
    }

    /// Does what is planned.
    ///
    /// # Errors
    /// When there is no connection at all; single things that fail are told to the crew's watcher and counted.
    pub async fn apply(&self, plan: &Plan, crew: &Crew) -> Result<Report, Error> {
        let (ends, mut report) = (Ends::new(self, crew), Report::default());
        let done = self.carry_out(&plan.actions, &ends, &mut report).await;
        ends.rest().await;
        done.map(|()| report)
    }

    /// Looks at both trees and makes them alike, a stretch after the other: then what is to be done is not kept but for what is
    /// to be removed. The plan has what was found out, and no actions.
    ///
    /// # Errors
    /// As [`plan`](Self::plan) and [`apply`](Self::apply); what was done before stays.
    pub async fn make(&self, crew: &Crew) -> Result<(Plan, Report), Error> {
        let (ends, mut report) = (Ends::new(self, crew), Report::default());
        let made = self.make_between(&ends, &mut report).await;
        ends.rest().await;
        made.map(|plan| (plan, report))
    }

    async fn make_between(&self, ends: &Ends<'_>, report: &mut Report) -> Result<Plan, Error> {
        // What is removed first is known last.
        let pause_at = if self.surplus == Surplus::RemovedFirst { usize::MAX } else { STRETCH_MIN };
        let walk = Walk::new(self, pause_at);
        loop {
            walk.go_on(ends).await?;
            if walk.is_over() {
                break;
            }
            self.carry_out_found(&walk.stretch(), ends, report).await?;
        }
        let mut plan = walk.end();
        self.carry_out_found(&std::mem::take(&mut plan.actions), ends, report).await?;
        Ok(plan)
    }

    async fn carry_out_found(
        &self,
        actions: &[(Vec<u8>, Action)],
        ends: &Ends<'_>,
        report: &mut Report,
    ) -> Result<(), Error> {
        let (files, octets) = to_move(actions);
        ends.crew.tell(&Event::Found { files, octets });
        self.carry_out(actions, ends, report).await
    }

    async fn carry_out(
        &self,
        actions: &[(Vec<u8>, Action)],
        ends: &Ends<'_>,
        report: &mut Report,
    ) -> Result<(), Error> {
        let clearing = actions.iter().take_while(|(_, action)| action.is_removal()).count();
        let (clearing, building) = actions.split_at(clearing);
        for (path, _) in building.iter().filter(|(_, action)| *action == Action::Conflict) {
            let why = "one side has a file there, the other a directory or a link".into();
            let error = Error::Differs { step: "mirror".into(), why };
            report.fail(ends.crew, path, &error);
        }
        self.remove(clearing, ends, report).await?;
        self.make_directories(building, ends, report).await?;
        self.mend_modes(building, ends, report).await?;
        if copies(building).next().is_some() {
            let moved = self.move_files(building, ends).await?;
            report.moved += moved.moved;
            report.octets += moved.octets;
            report.failed += moved.failed;
        }
        self.make_links(building, ends, report).await?;
        self.remove(building, ends, report).await
    }

    async fn make_directories(
        &self,
        actions: &[(Vec<u8>, Action)],
        ends: &Ends<'_>,
        report: &mut Report,
    ) -> Result<(), Error> {
        let wanted = || {
            actions.iter().filter_map(|(path, action)| match action {
                Action::MakeDirectory { mode } => Some((&path[..], mode.map(|mode| modes::wanted(mode, true)))),
                _ => None,
            })
        };
        let Some(root) = self.target() else {
            for (path, mode) in std::iter::once((&b""[..], None)).chain(wanted()) {
                let place = self.here(path);
                let (name, new) = (place.as_os_str().as_bytes(), !place.is_dir());
                match make_directory_here(&place, mode) {
                    Ok(()) if new => ends.crew.tell(&Event::Made { name }),
                    Ok(()) => {}
                    Err(why) => report.fail(ends.crew, name, &Error::local(&place, why)),
                }
            }
            return Ok(());
        };
        if wanted().next().is_none() && !actions.iter().any(|(_, action)| matches!(action, Action::Copy(_))) {
            return Ok(());
        }
        let mut connection = ends.take().await?;
        let made = |path: &[u8]| ends.crew.tell(&Event::Made { name: path });
        if !root.is_empty() {
            connection.make_directories(root, made).await?;
        }
        let words = |_: &Connection, path: &Vec<u8>| Ok(Command::Mkd(wire_path(path)?).into());
        // Those that fail because they are there already do no harm; files in the others will tell.
        let answered = |path: Vec<u8>, reply: Reply| {
            if reply.is_positive() {
                made(&path);
            }
            Ok(())
        };
        connection.say_of_each(wanted().map(|(path, _)| below(root, path)), words, answered).await?;
        let kept = wanted().filter_map(|(path, mode)| Some((below(root, path), mode?)));
        ends.crew.give_modes(&mut connection, kept).await?;
        ends.put(connection);
        Ok(())
    }

    async fn move_files(&self, actions: &[(Vec<u8>, Action)], ends: &Ends<'_>) -> Result<Report, Error> {
        let moves = copies(actions).map(|(path, copy)| Move {
            remote: below(&self.remote, path),
            local: self.here(path),
            size: copy.octets,
            time: copy.time,
            mode: copy.mode,
        });
        let (crew, files) = (ends.crew, copies(actions).count());
        let (resume, verify, keep_time) = (self.resume, self.verify, true);
        match (&self.direction, &ends.far) {
            (Direction::Here, _) => {
                let wishes = Fetch { resume, verify, keep_time, ..Fetch::default() };
                crew.fetch_moves(moves, files, &wishes).await
            }
            (Direction::There, _) => {
                let wishes = Send { resume, verify, keep_time, in_pieces: self.in_pieces, ..Send::default() };
                crew.send_moves(moves, files, &wishes).await
            }
            (Direction::Across(far), Some(pool)) => {
                let carries = copies(actions).map(|(path, copy)| Carry {
                    from: below(&self.remote, path),
                    to: below(&far.path, path),
                    size: copy.octets,
                    time: copy.time,
                    mode: copy.mode,
                });
                crew.carry_all(carries, files, pool, verify).await
            }
            (Direction::Across(_), None) => Ok(Report::default()),
        }
    }

    async fn remove(&self, actions: &[(Vec<u8>, Action)], ends: &Ends<'_>, report: &mut Report) -> Result<(), Error> {
        let mut doomed = actions
            .iter()
            .filter(|(_, action)| action.is_removal())
            .map(|(path, action)| (&path[..], *action == Action::RemoveDirectory))
            .peekable();
        if doomed.peek().is_none() {
            return Ok(());
        }
        let mut note = |name: &[u8], done: Result<(), Error>| match done {
            Ok(()) => {
                report.removed += 1;
                ends.crew.tell(&Event::Removed { name });
            }
            Err(error) => report.fail(ends.crew, name, &error),
        };
        let Some(root) = self.target() else {
            for (path, directory) in doomed {
                let place = self.here(path);
                let is_wanted = |name: &OsStr| self.selection.wants_file(&join(path, name.as_bytes()));
                let removed = match directory {
                    true => remove_directory_here(&place, is_wanted, |link| note(link.as_os_str().as_bytes(), Ok(()))),
                    false => fs::remove_file(&place),
                };
                note(place.as_os_str().as_bytes(), removed.map_err(|why| Error::local(&place, why)));
            }
            return Ok(());
        };
        let mut connection = ends.take().await?;
        let words = |_: &Connection, (path, directory): &(&[u8], bool)| {
            let path = wire_path(&below(root, path))?;
            Ok(if *directory { Command::Rmd(path) } else { Command::Dele(path) }.into())
        };
        let mut refused = Vec::new();
        let answered = |(path, directory): (&[u8], bool), reply: Reply| {
            let name = below(root, path);
            match reply.is_positive() {
                true => note(&name, Ok(())),
                false if directory => refused.push((name, reply)),
                false => note(&name, Err(Error::Refused { step: format!("remove {}", shown(&name)), reply })),
            }
            Ok(())
        };
        connection.say_of_each(doomed, words, answered).await?;
        // Each comes before the one that it stands in.
        for (directory, reply) in refused {
            let is_wanted = |link: &[u8]| self.selection.wants_file(inside(root, link));
            let done =
                connection.remove_with_dead_links(&directory, reply, is_wanted, &mut |name| note(name, Ok(()))).await;
            match done {
                Err(error) if error.is_fatal() => return Err(error),
                Err(error) => note(&directory, Err(error)),
                Ok(()) => {}
            }
        }
        ends.put(connection);
        Ok(())
    }

    /// The target, if it is on a server.
    fn target(&self) -> Option<&[u8]> {
        match &self.direction {
            Direction::Here => None,
            Direction::There => Some(&self.remote),
            Direction::Across(far) => Some(&far.path),
        }
    }

    fn here(&self, path: &[u8]) -> PathBuf {
        if path.is_empty() { self.local.clone() } else { self.local.join(OsStr::from_bytes(path)) }
    }
}

fn make_directory_here(place: &Path, mode: Option<u32>) -> io::Result<()> {
    fs::create_dir_all(place)?;
    mode.map_or(Ok(()), |mode| set_mode_here(place, mode))
}

/// Removes a directory from which all has gone that was looked at; with the links in it, if there is nothing else, none of them
/// leads anywhere, and all of them `may_go`. `removed` hears of those.
fn remove_directory_here(
    place: &Path,
    may_go: impl Fn(&OsStr) -> bool,
    mut removed: impl FnMut(&Path),
) -> io::Result<()> {
    let Err(error) = fs::remove_dir(place) else { return Ok(()) };
    let may_go = |link: &PathBuf| link.file_name().is_some_and(&may_go);
    let links = match dead_links_here(place) {
        Ok(Some(links)) if links.iter().all(may_go) => links,
        _ => return Err(error),
    };
    for link in links {
        fs::remove_file(&link)?;
        removed(&link);
    }
    fs::remove_dir(place)
}

/// The links in a directory; nothing if it has anything else, or one of them leads somewhere.
fn dead_links_here(place: &Path) -> io::Result<Option<Vec<PathBuf>>> {
    let mut links = Vec::new();
    for entry in fs::read_dir(place)? {
        let path = entry?.path();
        if !path.is_symlink() || path.try_exists()? {
            return Ok(None);
        }
        links.push(path);
    }
    Ok(Some(links))
}

/// The path below the root of something that [`below`] has found a name for.
fn inside<'a>(root: &[u8], name: &'a [u8]) -> &'a [u8] {
    let rest = name.strip_prefix(root).unwrap_or(name);
    rest.strip_prefix(b"/").unwrap_or(rest)
}

/// Something below a root.
fn below(root: &[u8], path: &[u8]) -> Vec<u8> {
    if path.is_empty() { root.to_vec() } else { join(root, path) }
}

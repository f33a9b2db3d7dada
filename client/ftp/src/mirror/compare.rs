//! Looks at two trees, directory by directory, and says what is to be done.
//!
//! ```text
//! Level: a directory ─→ what is in it in the source, and in the target ─→ actions for its files, levels for its directories
//! ```
//!
//! Invariants: of a level nothing stays but its actions; of two sides that are the same, nothing.
//! Not here: what is on a side (sides), what listings leave open of times (times), doing it (mirror).

use super::sides::{Entries, Listed, Node, list_here, list_there, may_lead_round, unique_here};
use super::times::{is_doubtful, tell_times, time_is_of_use};
use super::{Action, Compare, Copy, Difference, Direction, Ends, Links, Mirror, Only, Plan, Surplus, below};
use crate::connection::{Connection, wire_path};
use crate::crew::{Crew, Event, Task, Tasks};
use crate::directory::{DEPTH_MAX, join, moment, shown};
use crate::error::Error;
use crate::lineage::{self, Lineage, Mark};
use std::fs::{self, File};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A directory, below the roots.
#[derive(Debug, Clone)]
struct Level {
    path: Vec<u8>,
    source: bool,
    target: bool,
    /// It makes room for what is in the source.
    clearing: bool,
    /// A link in the target leads here: nothing is removed.
    behind_link: bool,
    /// It and those above it in the source.
    lineage: Lineage,
}

impl Level {
    /// What is only in the target.
    fn of_target(path: Vec<u8>, clearing: bool) -> Self {
        let lineage = Lineage::default();
        Level { path, source: false, target: true, clearing, behind_link: false, lineage }
    }
}

impl Task for Level {
    fn name(&self) -> &[u8] {
        &self.path
    }
}

/// What was found out so far.
#[derive(Default)]
struct Findings {
    actions: Mutex<Actions>,
    same: AtomicU64,
    passed_over: AtomicU64,
    links_out: AtomicU64,
    /// Whether it was told already that something lies too deep.
    deep: AtomicBool,
    /// What there is in the source, and in the target.
    entries: [AtomicU64; 2],
    /// Why nothing more is looked into: the source is not there, or has no end.
    stopped: Mutex<Option<Error>>,
}

impl Findings {
    fn stop(&self, error: Error) {
        self.stopped().get_or_insert(error);
    }

    fn stopped(&self) -> MutexGuard<'_, Option<Error>> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn actions(&self) -> MutexGuard<'_, Actions> {
        self.actions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct Actions {
    clearing: Vec<(Vec<u8>, Action)>,
    building: Vec<(Vec<u8>, Action)>,
    copies: Vec<(Vec<u8>, Action)>,
    surplus: Vec<(Vec<u8>, Action)>,
    /// What is to be replaced by something of another kind.
    replaced: Vec<Vec<u8>>,
    /// What is to be built there, or moved: nothing is removed for it before all is known.
    waiting: Vec<(Vec<u8>, Action)>,
}

/// A walk through both trees, which can be paused.
pub(super) struct Walk<'m> {
    mirror: &'m Mirror,
    findings: Findings,
    tasks: Tasks<'m, Level>,
    /// It is paused when so much is to be done.
    pause_at: usize,
}

impl<'m> Walk<'m> {
    pub(super) fn new(mirror: &'m Mirror, pause_at: usize) -> Self {
        let root = Level { source: true, ..Level::of_target(Vec::new(), false) };
        Walk { mirror, findings: Findings::default(), tasks: Tasks::new(root), pause_at }
    }

    pub(super) fn is_over(&self) -> bool {
        self.tasks.open() == 0
    }

    /// Looks at directory after directory, to the end or to the next pause.
    ///
    /// # Errors
    /// When the source is not there, or a tree has no end, or there is no connection at all.
    pub(super) async fn go_on(&self, ends: &Ends<'_>) -> Result<(), Error> {
        let (mirror, findings, tasks, crew) = (self.mirror, &self.findings, &self.tasks, ends.crew);
        tasks.go_on();
        let work = async |connection: &mut Connection, level: &Level| {
            let looked = match &ends.far {
                None => Look { mirror, findings, tasks, crew, near: connection, far: None }.look(level).await,
                Some(pool) => {
                    let mut other = pool.take().await?;
                    let look = Look { mirror, findings, tasks, crew, near: connection, far: Some(&mut other) };
                    let looked = look.look(level).await;
                    pool.put(other);
                    looked
                }
            };
            if findings.actions().to_do() >= self.pause_at || findings.stopped().is_some() {
                tasks.pause();
            }
            looked
        };
        let failed = ends.crew.work(tasks, work).await?;
        findings.passed_over.fetch_add(failed, Ordering::Relaxed);
        match findings.stopped().take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// What can be done already, whatever is found later: nothing is removed for it.
    pub(super) fn stretch(&self) -> Vec<(Vec<u8>, Action)> {
        self.findings.actions().take_stretch().in_order(self.mirror.surplus, true)
    }

    /// What is left to be done, and what was found out.
    pub(super) fn end(self) -> Plan {
        let findings = self.findings;
        let passed_over = findings.passed_over.into_inner();
        let actions = findings.actions.into_inner().unwrap_or_else(PoisonError::into_inner);
        let actions = actions.in_order(self.mirror.surplus, passed_over == 0);
        let (same, links_out) = (findings.same.into_inner(), findings.links_out.into_inner());
        Plan { actions, same, passed_over, links_out }
    }
}

impl Actions {
    /// How much there is that needs nothing to be removed before.
    fn to_do(&self) -> usize {
        self.building.len() + self.copies.len()
    }

    /// Takes out what is in nobody's place.
    fn take_stretch(&mut self) -> Actions {
        let mut stretch = Actions {
            building: std::mem::take(&mut self.building),
            copies: std::mem::take(&mut self.copies),
            ..Actions::default()
        };
        for list in [&mut stretch.building, &mut stretch.copies] {
            self.waiting.extend(list.extract_if(.., |(path, _)| is_within(path, &self.replaced)));
        }
        stretch
    }

    fn in_order(mut self, surplus: Surplus, may_remove: bool) -> Vec<(Vec<u8>, Action)> {
        for action in std::mem::take(&mut self.waiting) {
            let moves = matches!(action.1, Action::Copy(_) | Action::Link { .. });
            if moves { &mut self.copies } else { &mut self.building }.push(action);
        }
        if !may_remove {
            self.keep_all();
        }
        // Deepest first, so that directories are empty when it is their turn.
        for removals in [&mut self.clearing, &mut self.surplus] {
            removals.sort_unstable_by(|(one, _), (other, _)| other.cmp(one));
        }
        self.building.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        self.copies.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let mut actions = self.clearing;
        if surplus == Surplus::RemovedFirst {
            actions.append(&mut self.surplus);
        }
        actions.append(&mut self.building);
        actions.append(&mut self.copies);
        actions.append(&mut self.surplus);
        actions
    }

    /// Nothing is removed after all, so nothing can be put in its place.
    fn keep_all(&mut self) {
        self.clearing.clear();
        self.surplus.clear();
        let replaced = std::mem::take(&mut self.replaced);
        self.building.retain(|(path, _)| !is_within(path, &replaced));
        self.copies.retain(|(path, _)| !is_within(path, &replaced));
        self.building.extend(replaced.into_iter().map(|path| (path, Action::Conflict)));
    }
}

/// Whether it is one of the places, or below one.
fn is_within(path: &[u8], places: &[Vec<u8>]) -> bool {
    let within = |place: &Vec<u8>| path.strip_prefix(&place[..]).is_some_and(|rest| matches!(rest, [] | [b'/', ..]));
    places.iter().any(within)
}

/// One look at one level.
struct Look<'a, 'm> {
    mirror: &'a Mirror,
    findings: &'a Findings,
    tasks: &'a Tasks<'m, Level>,
    crew: &'a Crew,
    near: &'a mut Connection,
    far: Option<&'a mut Connection>,
}

impl Look<'_, '_> {
    async fn look(mut self, level: &Level) -> Result<(), Error> {
        let level = &self.rooted(level).await?;
        let mut source = match self.entries(level, true).await {
            Err(error) if level.path.is_empty() && is_missing(&error) => {
                self.findings.stop(error);
                return Ok(());
            }
            other => other?,
        };
        let mut target = match self.entries(level, false).await {
            Err(error) if level.path.is_empty() && is_missing(&error) => Entries::new(),
            other => other?,
        };
        if self.mirror.surplus != Surplus::Kept && target.values().any(Node::is_removed_from_within) {
            self.tell_links(level, &mut target).await?;
        }
        if self.mirror.links == Links::PassedOver {
            let leads_on = |name: &Vec<u8>| source.get(name).is_some_and(|node| node.is_directory());
            target.retain(|name, node| !node.followed || leads_on(name));
        }
        self.pass_over_loops(level, &mut source, &mut target);
        self.ask_times(level, &mut source, &mut target).await?;
        let mut found = Actions::default();
        for (name, node) in source {
            let path = join(&level.path, &name);
            let there = target.remove(&name);
            // Neither it nor anything in it.
            if there.is_none() && self.mirror.only == Only::Existing {
                continue;
            }
            let action = self.action(level, &path, &node, there.as_ref()).await?;
            self.note(level, path, &node, there, action, &mut found);
        }
        self.note_surplus(level, target, &mut found);
        let mut all = self.findings.actions();
        all.clearing.append(&mut found.clearing);
        all.building.append(&mut found.building);
        all.copies.append(&mut found.copies);
        all.surplus.append(&mut found.surplus);
        all.replaced.append(&mut found.replaced);
        Ok(())
    }

    /// The same with what tells the source's root from all else, if this is where both begin.
    async fn rooted(&mut self, level: &Level) -> Result<Level, Error> {
        let (mirror, mut level) = (self.mirror, level.clone());
        if !level.path.is_empty() || !level.source {
            return Ok(level);
        }
        let mark = match mirror.direction {
            Direction::There => fs::metadata(&mirror.local)
                .ok()
                .map(|about| Mark { unique: unique_here(&about), modified: about.modified().ok().map(moment) }),
            _ if !may_lead_round(self.near, mirror.links) => None,
            // Whether it is there is found out when it is listed.
            _ => match self.near.stat_with_unique(&mirror.remote, true).await {
                Err(error) if error.is_fatal() => return Err(error),
                looked => looked.ok().and_then(|(about, unique)| Mark::new(unique, about.modified)),
            },
        };
        level.lineage = Lineage::default().with(mark);
        Ok(level)
    }

    /// What is in itself has all been seen. In the target whatever has its name stays.
    fn pass_over_loops(&self, level: &Level, source: &mut Entries, target: &mut Entries) {
        let is_round = |_: &Vec<u8>, node: &mut Node| {
            node.is_directory() && level.lineage.has(node.mark().as_ref(), node.followed)
        };
        for (name, _) in source.extract_if(.., is_round) {
            target.remove(&name);
            self.crew.tell(&Event::PassedOver { name: &join(&level.path, &name), why: lineage::ROUND });
        }
    }

    /// Exact times where they decide which of two files is newer, and of what is going to be moved, for which it will be the time
    /// on the other side.
    async fn ask_times(&mut self, level: &Level, source: &mut Entries, target: &mut Entries) -> Result<(), Error> {
        let mirror = self.mirror;
        if !matches!(mirror.direction, Direction::There) {
            let of_use = |name: &Vec<u8>, node: &Node| time_is_of_use(mirror, node, target.get(name));
            tell_times(self.near, &below(&mirror.remote, &level.path), source, of_use).await?;
        }
        let of_use = |name: &Vec<u8>, node: &Node| {
            source.get(name).is_some_and(|source| source.is_file() && is_doubtful(mirror, source, node))
        };
        match (&mirror.direction, &mut self.far) {
            (Direction::There, _) => tell_times(self.near, &below(&mirror.remote, &level.path), target, of_use).await,
            (Direction::Across(far), Some(connection)) => {
                tell_times(connection, &below(&far.path, &level.path), target, of_use).await
            }
            _ => Ok(()),
        }
    }

    /// MLSD may tell of what a link leads to, as if it were that. Nothing is removed through a link, so LIST is asked which of the
    /// directories are none.
    async fn tell_links(&mut self, level: &Level, target: &mut Entries) -> Result<(), Error> {
        let (connection, root) = match (&self.mirror.direction, &mut self.far) {
            _ if self.mirror.links == Links::Made => return Ok(()),
            (Direction::There, _) => (&mut *self.near, &self.mirror.remote),
            (Direction::Across(far), Some(connection)) => (&mut **connection, &far.path),
            _ => return Ok(()),
        };
        for link in connection.links(&below(root, &level.path)).await? {
            if let Some(node) = target.get_mut(link.name.as_bytes()).filter(|node| node.is_directory()) {
                node.followed = true;
            }
        }
        Ok(())
    }

    /// What is to be done about something in the source.
    async fn action(
        &mut self,
        level: &Level,
        path: &[u8],
        node: &Node,
        there: Option<&Node>,
    ) -> Result<Option<Action>, Error> {
        let why = match there {
            Some(there) if !there.is_like(node) => match self.surplus(level) {
                Surplus::Kept => return Ok(Some(Action::Conflict)),
                Surplus::Removed | Surplus::RemovedFirst => Some(Difference::Missing),
            },
            None => Some(Difference::Missing),
            Some(there) if node.is_directory() => return Ok(self.mode_action(node, there)),
            Some(there) => self.difference(path, node, there).await?,
        };
        if let (Some(aim), Some(_)) = (node.aim(), why) {
            let instead = there.is_some_and(|there| there.is_like(node));
            return Ok(Some(Action::Link { aim: aim.to_vec(), instead }));
        }
        let Some(why) = why else {
            let action = there.and_then(|there| self.mode_action(node, there));
            self.findings.same.fetch_add(u64::from(action.is_none()), Ordering::Relaxed);
            return Ok(action);
        };
        let mode = node.mode.filter(|_| self.mirror.keep_modes);
        Ok(Some(match node.is_directory() {
            true => Action::MakeDirectory { mode },
            false => Action::Copy(Copy { octets: node.size, time: node.time, mode, why }),
        }))
    }

    /// What is the same gets the permissions of the source, but not through a link.
    fn mode_action(&self, node: &Node, there: &Node) -> Option<Action> {
        let mode = self.mirror.other_mode(node.mode, there.mode, node.is_directory())?;
        (!there.followed).then_some(Action::Mode { mode })
    }

    /// What becomes of what is too much in this directory.
    fn surplus(&self, level: &Level) -> Surplus {
        if level.behind_link { Surplus::Kept } else { self.mirror.surplus }
    }

    fn note(
        &self,
        level: &Level,
        path: Vec<u8>,
        node: &Node,
        there: Option<Node>,
        action: Option<Action>,
        found: &mut Actions,
    ) {
        let in_the_way = there.as_ref().is_some_and(|there| !there.is_like(node));
        let conflict = action == Some(Action::Conflict);
        if let Some(there) = there.as_ref().filter(|_| in_the_way && !conflict) {
            found.replaced.push(path.clone());
            found.clearing.push((path.clone(), removal(there)));
            if there.is_removed_from_within() {
                let path = path.clone();
                self.descend(Level::of_target(path, true));
            }
        }
        if node.is_directory() && !conflict {
            let target = there.as_ref().filter(|_| !in_the_way);
            let behind_link = level.behind_link || target.is_some_and(|there| there.followed);
            let (path, target) = (path.clone(), target.is_some());
            let lineage = level.lineage.with(node.mark());
            self.descend(Level { path, source: true, target, clearing: false, behind_link, lineage });
        }
        match action {
            Some(action @ (Action::Copy(_) | Action::Link { .. })) => found.copies.push((path, action)),
            Some(action) => found.building.push((path, action)),
            None => {}
        }
    }

    /// What is only in the target.
    fn note_surplus(&self, level: &Level, target: Entries, found: &mut Actions) {
        if self.surplus(level) == Surplus::Kept {
            return;
        }
        // A link that leads elsewhere may be one that was passed over in the source.
        for (name, node) in target.into_iter().filter(|(_, node)| !node.leads_elsewhere()) {
            let path = join(&level.path, &name);
            let list = if level.clearing { &mut found.clearing } else { &mut found.surplus };
            list.push((path.clone(), removal(&node)));
            if node.is_removed_from_within() {
                self.descend(Level::of_target(path, level.clearing));
            }
        }
    }

    /// What is too deep is told to be passed over, so that nothing is removed either; by its name once, for there may be many.
    fn descend(&self, level: Level) {
        let depth = level.path.iter().filter(|octet| **octet == b'/').count();
        if depth < DEPTH_MAX {
            // The last one first: then few wait.
            self.tasks.add_next(level);
        } else {
            self.findings.passed_over.fetch_add(1, Ordering::Relaxed);
            if !self.findings.deep.swap(true, Ordering::Relaxed) {
                let why = format!("it lies more than {DEPTH_MAX} directories deep");
                self.crew.tell(&Event::PassedOver { name: &level.path, why: &why });
            }
        }
    }

    async fn difference(&mut self, path: &[u8], source: &Node, target: &Node) -> Result<Option<Difference>, Error> {
        if source.aim().is_some() {
            let differs = source.aim() != target.aim() && !matches!(self.mirror.only, Only::Missing | Only::Newer);
            return Ok(differs.then_some(Difference::Aim));
        }
        let other_size = source.has_another_size(target);
        let exact_to = i64::from(source.exact_to_secs.max(target.exact_to_secs));
        let newer = source
            .time
            .zip(target.time)
            .is_some_and(|(source, target)| source.unix_secs() - target.unix_secs() > exact_to);
        Ok(match (self.mirror.only, self.mirror.compare) {
            (Only::Missing, _) => None,
            (Only::Newer, _) => newer.then_some(Difference::Older),
            _ if other_size => Some(Difference::Size),
            (_, Compare::Size) => None,
            (_, Compare::Time) => newer.then_some(Difference::Older),
            (_, Compare::Sum) => (!self.same_sum(path, source.size.or(target.size)).await?).then_some(Difference::Sum),
        })
    }

    async fn same_sum(&mut self, path: &[u8], size: Option<u64>) -> Result<bool, Error> {
        let remote = below(&self.mirror.remote, path);
        let wire = wire_path(&remote)?;
        let untold = || {
            let why = "the server tells no sums; compare sizes or times".into();
            Error::Differs { step: format!("compare {}", shown(&remote)), why }
        };
        let size = match size {
            Some(size) => size,
            None => self.near.measure(&wire).await?.0.ok_or_else(untold)?,
        };
        if let (Some(far), Direction::Across(place)) = (&mut self.far, &self.mirror.direction) {
            let other = wire_path(&below(&place.path, path))?;
            return self.near.same_sum_there(&wire, far, &other, size).await?.ok_or_else(untold);
        }
        let place = self.mirror.here(path);
        let file = File::open(&place).map_err(|why| Error::local(&place, why))?;
        self.near.same_sum(&wire, &Arc::new(file), &(0..size)).await?.ok_or_else(untold)
    }

    /// What is in the directory on one of the sides.
    async fn entries(&mut self, level: &Level, of_source: bool) -> Result<Entries, Error> {
        let entries = self.listed(level, of_source).await?;
        let before = self.findings.entries[usize::from(of_source)].fetch_add(entries.len() as u64, Ordering::Relaxed);
        let (side, most) = (if of_source { "source" } else { "target" }, self.mirror.entries_max);
        if before + entries.len() as u64 > most {
            self.findings.stop(Error::TooLarge { side, most });
        }
        Ok(entries)
    }

    async fn listed(&mut self, level: &Level, of_source: bool) -> Result<Entries, Error> {
        if !(if of_source { level.source } else { level.target }) {
            return Ok(Entries::new());
        }
        let (mirror, path, above) = (self.mirror, &level.path[..], level.lineage.last());
        let mut listed = match (&mirror.direction, of_source) {
            (Direction::Here, false) | (Direction::There, true) => {
                let (mirror, path) = (mirror.clone(), level.path.clone());
                let listed = tokio::task::spawn_blocking(move || list_here(&mirror, &path));
                listed.await.map_err(|error| Error::local(&self.mirror.local, io::Error::other(error)))??
            }
            (Direction::Across(far), false) => match &mut self.far {
                Some(connection) => list_there(mirror, connection, &far.path, path, above, false).await?,
                None => Listed::default(),
            },
            _ => list_there(mirror, self.near, &mirror.remote, path, above, of_source).await?,
        };
        self.findings.passed_over.fetch_add(listed.flawed, Ordering::Relaxed);
        if of_source {
            let passed_over = |node: &Node| node.followed && mirror.links == Links::PassedOver;
            listed.entries.retain(|_, node| !node.leads_elsewhere() && !passed_over(node));
            self.findings.links_out.fetch_add(listed.links_out, Ordering::Relaxed);
        }
        Ok(listed.entries)
    }
}

fn removal(node: &Node) -> Action {
    if node.is_removed_from_within() { Action::RemoveDirectory } else { Action::Remove }
}

fn is_missing(error: &Error) -> bool {
    match error {
        Error::Local { why, .. } => why.kind() == io::ErrorKind::NotFound,
        error => error.is_missing(),
    }
}

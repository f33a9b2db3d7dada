//! Listings, a stretch at a time: LIST, NLST, MLSD, and STAT with a path.
//!
//! RFC 959 §4.1.3; RFC 1123 §4.1.2.7; RFC 3659 §7.
//!
//! Names are sorted as far as [`SORTED_MAX`] of them are in hand; a larger directory comes in sorted pieces, because
//! nobody should wait, nor we remember, until the last name is read. Directories below are listed after the names of
//! the one they are in; links are not followed down.
//!
//! Invariants: the memory is one stretch and the names of directories still to come, of which there is a bound.
//! Not here: lines (ftp), names (files).

use super::{Member, jailed, refusal};
use files::{Detail, Error, JailedPath, Kind};
use ftp::listing::{long_line, long_text, machine_line, name_line};
use ftp::server::ask::{ListForm, Listing, Overview};
use ftp::{EntryKind, Moment, Pattern, Refusal};
use std::sync::Arc;

/// So many names are sorted together; their facts take some hundred kilobytes.
const SORTED_MAX: usize = 1000;

/// A stretch is sent when it is as long as this, in octets.
const STRETCH: usize = 64 * 1024;

/// So many directories may wait for their turn in a recursive listing; those beyond are left out.
const WAITING_MAX: usize = 10_000;

/// A listing under way.
pub(super) struct Lister {
    member: Arc<Member>,
    form: ListForm,
    pattern: Option<Pattern>,
    recursive: bool,
    now: Moment,
    /// What is ready to be sent.
    ready: Vec<u8>,
    open: Option<Open>,
    /// The last one is next.
    waiting: Vec<(JailedPath, Vec<u8>)>,
}

/// A directory being listed.
struct Open {
    names: files::Listing,
    path: JailedPath,
    /// From the directory that was asked for to here: empty, or ending in a slash.
    way: Vec<u8>,
    below: Vec<Vec<u8>>,
}

impl Lister {
    /// Opens what is to be listed, and has the first stretch ready.
    pub(super) fn new(member: &Arc<Member>, listing: Listing, now: Moment) -> Result<Self, Refusal> {
        let Listing { path, form, pattern, recursive, itself } = listing;
        let path = jailed(&path)?;
        let (member, ready) = (Arc::clone(member), Vec::new());
        let mut lister = Lister { member, form, pattern: None, recursive, now, ready, open: None, waiting: Vec::new() };
        match (lister.member.space.stat(&path), pattern) {
            (Ok(entry), _) if itself || entry.reached().kind != Kind::Directory => {
                if matches!(lister.form, ListForm::Machine(_)) && entry.reached().kind != Kind::Directory {
                    return Err(Refusal::NotADirectory);
                }
                let entry = lister.member.space.stat_link(&path).unwrap_or(entry);
                lister.beside(&entry);
            }
            (Ok(_), _) => lister.enter(path, Vec::new())?,
            (Err(Error::NotFound), Some(pattern)) => {
                lister.pattern = Some(pattern);
                lister.recursive = false;
                lister.enter(path.parent(), Vec::new())?;
            }
            (Err(error), _) => return Err(refusal(error)),
        }
        lister.fill()?;
        Ok(lister)
    }

    /// What is ready.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.ready)
    }

    /// Whether what is ready, or was taken, is all there is.
    pub(super) fn is_done(&self) -> bool {
        self.open.is_none() && self.waiting.is_empty()
    }

    /// Makes a stretch ready. Blocks.
    pub(super) fn fill(&mut self) -> Result<(), Refusal> {
        while self.ready.len() < STRETCH {
            match self.open.take() {
                Some(open) => self.read(open)?,
                None => {
                    let Some((path, way)) = self.waiting.pop() else { return Ok(()) };
                    self.enter_below(path, way);
                }
            }
        }
        Ok(())
    }

    fn enter(&mut self, path: JailedPath, way: Vec<u8>) -> Result<(), Refusal> {
        let detail = if matches!(self.form, ListForm::Names { .. }) { Detail::Names } else { Detail::Facts };
        let names = self.member.space.list(&path, detail).map_err(refusal)?;
        self.open = Some(Open { names, path, way, below: Vec::new() });
        Ok(())
    }

    fn enter_below(&mut self, path: JailedPath, way: Vec<u8>) {
        if self.form == ListForm::Long {
            let name = way.strip_suffix(b"/").unwrap_or(&way);
            self.ready.extend([b"\r\n", name, b":\r\n"].concat());
        }
        // One that is gone, or may not be listed, does not end the listing.
        let _ = self.enter(path, way);
    }

    fn read(&mut self, mut open: Open) -> Result<(), Refusal> {
        let mut batch = Vec::new();
        while batch.len() < SORTED_MAX {
            let piece = open.names.next_piece().map_err(refusal)?;
            if piece.is_empty() {
                break;
            }
            batch.extend(piece);
        }
        let ended = batch.is_empty();
        batch.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        for entry in &batch {
            if self.pattern.as_ref().is_some_and(|pattern| !pattern.matches(&entry.name)) {
                continue;
            }
            self.inside(entry, &open.way);
            if self.recursive && entry.facts.kind == Kind::Directory {
                open.below.push(entry.name.clone());
            }
        }
        if ended {
            self.line_up(open);
        } else {
            self.open = Some(open);
        }
        Ok(())
    }

    /// The directories below are next, in order.
    fn line_up(&mut self, open: Open) {
        for name in open.below.iter().rev() {
            if let Ok(path) = open.path.join(name)
                && self.waiting.len() < WAITING_MAX
            {
                self.waiting.push((path, [&open.way[..], name, b"/"].concat()));
            }
        }
    }

    /// The line of something in a directory that is listed.
    fn inside(&mut self, entry: &files::Entry, way: &[u8]) {
        let clerk = &self.member.clerk;
        match &self.form {
            ListForm::Long => long_line(&clerk.itself(entry), self.now, &mut self.ready),
            ListForm::Machine(facts) => machine_line(&clerk.reached(entry), *facts, &mut self.ready),
            ListForm::Names { beside, .. } if self.pattern.is_some() => {
                name_line(beside, &entry.name, &mut self.ready);
            }
            ListForm::Names { inside, .. } => name_line(&[inside, way].concat(), &entry.name, &mut self.ready),
        }
    }

    /// The line of what was asked for itself.
    fn beside(&mut self, entry: &files::Entry) {
        let clerk = &self.member.clerk;
        match &self.form {
            ListForm::Long => long_line(&clerk.itself(entry), self.now, &mut self.ready),
            ListForm::Machine(facts) => machine_line(&clerk.reached(entry), *facts, &mut self.ready),
            ListForm::Names { beside, .. } => name_line(beside, &entry.name, &mut self.ready),
        }
    }
}

/// STAT with a path. Blocks.
pub(super) fn overview(
    member: &Member,
    path: &JailedPath,
    itself: bool,
    entries_max: usize,
    now: Moment,
) -> Result<Overview, Refusal> {
    let line = |entry: &files::Entry| {
        let mut text = Vec::new();
        long_text(&member.clerk.itself(entry), now, &mut text);
        text
    };
    let asked = member.space.stat(path).map_err(refusal)?;
    if itself || member.clerk.reached(&asked).kind != EntryKind::Directory {
        return Ok(Overview { directory: false, lines: vec![line(&asked)], more: false });
    }
    let mut entries = Vec::new();
    let mut names = member.space.list(path, Detail::Facts).map_err(refusal)?;
    for entry in names.by_ref().take(entries_max) {
        entries.push(entry.map_err(refusal)?);
    }
    let more = names.next().is_some();
    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(Overview { directory: true, lines: entries.iter().map(line).collect(), more })
}

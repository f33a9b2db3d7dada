//! Listings, a stretch at a time: LIST, NLST, MLSD, and STAT with a path.
//!
//! RFC 959 §4.1.3; RFC 1123 §4.1.2.7; RFC 3659 §7.
//!
//! A directory of up to [`SORTED_MAX`] names is sorted. A larger one comes in pieces, because nobody should wait, nor we
//! remember, until the last name is read: pieces that are sorted, or of names alone as the disk has them. Directories below
//! are listed after the names of the one they are in; links are not followed down.
//!
//! Invariants: the memory is a stretch, what is sorted together, and the names of directories still to come, of which there
//! is a bound.
//! Not here: lines (ftp), names (files).

use super::entry::Clerk;
use super::{Member, jailed, refusal};
use files::{Detail, Error, JailedPath, Kind, Space};
use ftp::listing::{long_line, long_text, machine_line, name_line};
use ftp::server::ask::{ListForm, Listing, Overview};
use ftp::{EntryKind, Moment, Pattern, Refusal};

/// So many names are sorted together; their facts take some hundred kilobytes.
const SORTED_MAX: usize = 1000;

/// A stretch is sent when it is as long as this, in octets.
const STRETCH: usize = 64 * 1024;

/// So many directories may wait for their turn in a recursive listing; those beyond are left out.
const WAITING_MAX: usize = 10_000;

/// A listing under way.
pub(super) struct Lister {
    space: Space,
    clerk: Clerk,
    form: ListForm,
    pattern: Option<Pattern>,
    recursive: bool,
    now: Moment,
    /// What is ready to be sent.
    ready: Vec<u8>,
    /// Entries that are sorted together. Kept, as their memory is large: the system would have to give it anew each time.
    batch: Vec<files::Entry>,
    /// The same of names alone.
    names: files::Names,
    open: Option<Open>,
    /// The last one is next.
    waiting: Vec<(JailedPath, Vec<u8>)>,
}

/// A directory being listed.
struct Open {
    names: files::Listing,
    path: JailedPath,
    /// It has more names than are sorted together.
    is_large: bool,
    /// From the directory that was asked for to here: empty, or ending in a slash.
    way: Vec<u8>,
    below: Vec<Vec<u8>>,
}

impl Lister {
    /// Opens what is to be listed, and has the first stretch ready.
    pub(super) fn new(space: &Space, clerk: &Clerk, listing: Listing, now: Moment) -> Result<Self, Refusal> {
        let Listing { path, form, pattern, recursive, itself } = listing;
        let path = jailed(&path)?;
        let mut lister = Lister {
            space: space.clone(),
            clerk: clerk.clone(),
            form,
            pattern: None,
            recursive,
            now,
            ready: Vec::with_capacity(STRETCH + STRETCH / 4),
            batch: Vec::new(),
            names: files::Names::default(),
            open: None,
            waiting: Vec::new(),
        };
        match (lister.space.stat(&path), pattern) {
            (Ok(entry), _) if itself || entry.reached().kind != Kind::Directory => {
                if matches!(lister.form, ListForm::Machine(_)) && entry.reached().kind != Kind::Directory {
                    return Err(Refusal::NotADirectory);
                }
                let entry = lister.space.stat_link(&path).unwrap_or(entry);
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

    /// What is ready, for an empty buffer.
    pub(super) fn take(&mut self, mut buffer: Vec<u8>) -> Vec<u8> {
        buffer.clear();
        std::mem::replace(&mut self.ready, buffer)
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
        let names = self.space.list(&path, detail).map_err(refusal)?;
        self.open = Some(Open { names, path, is_large: false, way, below: Vec::new() });
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

    /// What it holds: octets that are ready, and names of directories still to come.
    #[cfg(test)]
    fn held(&self) -> (usize, usize) {
        (self.ready.len(), self.waiting.len() + self.open.as_ref().map_or(0, |open| open.below.len()))
    }

    fn read(&mut self, open: Open) -> Result<(), Refusal> {
        let names_do = matches!(self.form, ListForm::Names { .. }) && !self.recursive;
        if names_do { self.read_names(open) } else { self.read_entries(open) }
    }

    fn read_names(&mut self, mut open: Open) -> Result<(), Refusal> {
        let mut names = std::mem::take(&mut self.names);
        names.clear();
        let mut more = true;
        while more && names.count() <= SORTED_MAX {
            more = open.names.next_names(&mut names).map_err(refusal)?;
        }
        open.is_large |= more;
        let mut order: Vec<&[u8]> = names.iter().collect();
        // Of a piece it would be an eighth of the work, and no order.
        if !open.is_large {
            order.sort_unstable();
        }
        for name in order {
            if self.pattern.as_ref().is_none_or(|pattern| pattern.matches(name)) {
                self.name(name, &open.way);
            }
        }
        self.names = names;
        self.open = more.then_some(open);
        Ok(())
    }

    fn read_entries(&mut self, mut open: Open) -> Result<(), Refusal> {
        let mut batch = std::mem::take(&mut self.batch);
        batch.clear();
        while batch.len() < SORTED_MAX {
            let piece = open.names.next_piece().map_err(refusal)?;
            if piece.is_empty() {
                break;
            }
            batch.extend(piece);
        }
        // Entries are large, their places are not.
        let mut order: Vec<&files::Entry> = batch.iter().collect();
        order.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        for entry in order {
            if self.pattern.as_ref().is_some_and(|pattern| !pattern.matches(&entry.name)) {
                continue;
            }
            self.inside(entry, &open.way);
            // Those beyond are left out at once, or a directory of a million others would be remembered whole.
            let has_room = open.below.len() + self.waiting.len() < WAITING_MAX;
            if self.recursive && entry.facts.kind == Kind::Directory && has_room {
                open.below.push(entry.name.clone());
            }
        }
        if batch.is_empty() {
            self.line_up(open);
        } else {
            self.open = Some(open);
        }
        self.batch = batch;
        Ok(())
    }

    /// The directories below are next, in order.
    fn line_up(&mut self, open: Open) {
        for name in open.below.iter().rev() {
            if let Ok(path) = open.path.join(name) {
                self.waiting.push((path, [&open.way[..], name, b"/"].concat()));
            }
        }
    }

    /// The line of something in a directory that is listed.
    fn inside(&mut self, entry: &files::Entry, way: &[u8]) {
        let clerk = &self.clerk;
        match &self.form {
            ListForm::Long => long_line(&clerk.itself(entry), self.now, &mut self.ready),
            ListForm::Machine(facts) => machine_line(&clerk.reached(entry), *facts, &mut self.ready),
            ListForm::Names { .. } => self.name(&entry.name, way),
        }
    }

    fn name(&mut self, name: &[u8], way: &[u8]) {
        let ListForm::Names { inside, beside } = &self.form else { return };
        match way {
            _ if self.pattern.is_some() => name_line(beside, name, &mut self.ready),
            [] => name_line(inside, name, &mut self.ready),
            _ => name_line(&[inside, way].concat(), name, &mut self.ready),
        }
    }

    /// The line of what was asked for itself.
    fn beside(&mut self, entry: &files::Entry) {
        let clerk = &self.clerk;
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

#[cfg(test)]
mod tests {
    use super::*;
    use files::{Mount, Permissions, Terms, Volume};
    use ftp::path::VirtualPath;

    /// In memory where there is one: a hundred thousand names cost little there.
    fn folder() -> tempfile::TempDir {
        tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory")
    }

    fn lister(folder: &tempfile::TempDir, form: ListForm, recursive: bool) -> Lister {
        let volume = Volume::open(folder.path(), Terms::default()).expect("a volume");
        let mount = Mount {
            at: JailedPath::root(),
            volume,
            permissions: Permissions::ALL,
            rules: Vec::new(),
            keeps_interrupted: false,
        };
        let space = Space::new(b"bob", vec![mount]).expect("a space");
        let listing = Listing { path: VirtualPath::root(), form, pattern: None, recursive, itself: false };
        Lister::new(&space, &Clerk::new("bob@hamburger.test".into()), listing, Moment::from_unix_secs(0))
            .expect("a listing")
    }

    /// Everything, and the most that was held at any time: octets, and names of directories still to come.
    fn drained(mut lister: Lister) -> (Vec<u8>, usize, usize) {
        let (mut all, mut octets, mut names) = (Vec::new(), 0, 0);
        loop {
            let held = lister.held();
            (octets, names) = (octets.max(held.0), names.max(held.1));
            all.extend(lister.take(Vec::new()));
            if lister.is_done() {
                return (all, octets, names);
            }
            lister.fill().expect("more");
        }
    }

    #[test]
    fn a_hundred_thousand_names_are_never_in_hand_together() {
        const NAMES: usize = 100_000;
        /// A line of MLSD with a name of six letters is shorter.
        const LINE: usize = 200;
        let folder = folder();
        for number in 0..NAMES {
            std::fs::File::create(folder.path().join(format!("{number:06}"))).expect("a file");
        }
        let (all, octets, _) = drained(lister(&folder, ListForm::Machine(ftp::command::Facts::ALL), false));
        assert_eq!(all.iter().filter(|octet| **octet == b'\n').count(), NAMES);
        // One stretch, and what the last batch brought: those that are sorted together, and one more piece of the disk.
        let most = STRETCH + (SORTED_MAX + 32 * 1024 / 24) * LINE;
        assert!(octets <= most && most < all.len() / 10, "{octets} of {} octets at once", all.len());
    }

    #[test]
    fn names_are_sorted_as_long_as_they_are_few() {
        let names = || ListForm::Names { inside: Vec::new(), beside: Vec::new() };
        let folder = folder();
        for number in 0..SORTED_MAX {
            std::fs::File::create(folder.path().join(format!("{number:06}"))).expect("a file");
        }
        let wanted = |count| (0..count).map(|number| format!("{number:06}\r\n")).collect::<String>();
        let (all, ..) = drained(lister(&folder, names(), false));
        assert!(all == wanted(SORTED_MAX).as_bytes());

        std::fs::File::create(folder.path().join(format!("{SORTED_MAX:06}"))).expect("a file");
        let (all, ..) = drained(lister(&folder, names(), false));
        let mut lines: Vec<&[u8]> = all.split_inclusive(|octet| *octet == b'\n').collect();
        lines.sort_unstable();
        assert!(lines.concat() == wanted(SORTED_MAX + 1).as_bytes());
    }

    #[test]
    fn directories_to_come_are_bounded_too() {
        let folder = folder();
        for number in 0..WAITING_MAX + 2_000 {
            std::fs::create_dir(folder.path().join(format!("{number:06}"))).expect("a directory");
        }
        let (_, _, names) = drained(lister(&folder, ListForm::Long, true));
        assert_eq!(names, WAITING_MAX);
    }
}

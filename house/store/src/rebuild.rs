//! Making the index anew from segments alone, where it is lost or damaged beyond repair.
//!
//! ```text
//! seg/ ─scan→ rebuild/found.db (kept: who is interrupted reads no segment twice)
//! who is who: the old index as far as it can be read, else the register ─┐
//! found.db, the lowest number first ─────────────────────────────────────┴→ rebuild/store.db ─→ store.db
//!                                             the old index, and segments with damage ─→ before-rebuild-…/
//! ```
//!
//! Every message that is whole comes back where it was delivered to, as it was delivered. What has become of it later was known to
//! the index alone: moved ones are where they came in, read ones are new, removed ones whose room has not been given back are there again.
//! Mails for elsewhere that have not expired are queued and held: which of them have been delivered nobody knows.
//!
//! Invariants: segments are not touched; until the last step nor is the old index, which is moved and never removed; mailboxes
//! have UIDVALIDITYs that they never had.
//! Not here: mending an index that can be read (check).

mod enter;
mod finds;
mod salvage;
mod scan;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags};
use tracing::info;

use crate::disk::{Disk, RealDisk};
use crate::error::OpenError;
use crate::segment::{SegmentFiles, segment_number, segment_path};
use crate::{DATABASE, Options, SEGMENTS, Shared, TEXTS, files_in, index, lock_dir, privacy};
use enter::Entering;
use finds::Finds;
pub(crate) use salvage::SALVAGED;

/// Where the new index is made.
pub(crate) const BESIDE: &str = "rebuild";

/// What the name of the directory begins with that the old index goes to.
pub(crate) const BEFORE: &str = "before-rebuild-";

/// How a store is rebuilt.
#[derive(Debug, Clone)]
pub struct Rebuilding {
    /// Everything but the last step: what has been read is kept, so that rebuilding is quick afterwards.
    pub dry_run: bool,
    /// Also where the old index can be read, and knows more than segments do.
    pub force: bool,
    /// The record of an account of which nobody knows more than its mail.
    pub unknown_record: String,
    /// Tells the time, Unix seconds.
    pub clock: fn() -> i64,
}

/// How far a rebuilding has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Messages that were found, or that are in their place.
    pub messages: u64,
    /// How much is done, in units of its own.
    pub done: u64,
    /// How much there is.
    pub total: u64,
    /// Whether segments are still being read.
    pub is_reading: bool,
}

/// What a rebuilding found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Segments that were read.
    pub segments: u64,
    /// Messages in mailboxes, a copy for each recipient.
    pub messages: u64,
    /// The sum of their sizes.
    pub octets: u64,
    /// Who has them.
    pub accounts: Vec<RebuiltAccount>,
    /// Recipients of mails that are queued and held.
    pub held: u64,
    /// Mails for elsewhere that have expired: they were delivered or bounced long ago.
    pub expired: u64,
    /// Messages of accounts that had been removed.
    pub left_out: u64,
    /// Damage, at most [`PROBLEMS_MAX`](crate::PROBLEMS_MAX) sentences.
    pub damage: Vec<String>,
    /// Where the old index is now, and segments with damage; `None` where there was none, or nothing was changed.
    pub kept: Option<PathBuf>,
    /// Whether accounts and names of mailboxes were known from the old index or the register.
    pub has_names: bool,
}

/// An account that has mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebuiltAccount {
    /// What it is called.
    pub name: String,
    /// Messages in its mailboxes.
    pub messages: u64,
    /// The sum of their sizes.
    pub octets: u64,
    /// Its name was guessed from its mail; it has no password, and nothing else is known of it.
    pub is_unknown: bool,
}

/// Makes the index of a store that is not running anew. `tell` hears how far it has come. Blocks for long.
pub fn rebuild(dir: impl AsRef<Path>, order: &Rebuilding, tell: impl FnMut(Step)) -> Result<Rebuilt, OpenError> {
    rebuild_on(dir.as_ref(), order, &RealDisk, tell)
}

/// The same, with its last step on this disk.
pub(crate) fn rebuild_on(
    dir: &Path,
    order: &Rebuilding,
    disk: &dyn Disk,
    mut tell: impl FnMut(Step),
) -> Result<Rebuilt, OpenError> {
    if !dir.join(SEGMENTS).is_dir() {
        return Err(OpenError::NotAStore { path: dir.into() });
    }
    let lock = lock_dir(dir)?;
    if !order.force && is_of_use(&dir.join(DATABASE)) {
        return Err(OpenError::NotNeeded { path: dir.join(DATABASE) });
    }
    let beside = dir.join(BESIDE);
    privacy::make_dir(&beside).map_err(OpenError::io(&beside))?;

    let mut finds = Finds::open(&beside)?;
    let files = SegmentFiles::new(dir.join(SEGMENTS));
    let mut rebuilt = Rebuilt { segments: read_segments(dir, &files, &mut finds, &mut tell)?, ..Rebuilt::default() };

    remove_database(&beside)?;
    let mut conn = index::open_for_writing(&beside.join(DATABASE), &RealDisk)?;
    let known = salvage::salvage(&mut conn, dir, &finds, (order.clock)())?;
    rebuilt.has_names = known.has_names;
    let options = Options { clock: order.clock, ..Options::default() };
    let shared = Arc::new(Shared::new(&beside, dir.join(SEGMENTS), options, Arc::new(RealDisk), lock));
    let refused = Entering::begin(conn, Arc::clone(&shared), &finds, &known, order)?.finish(&mut rebuilt, &mut tell)?;
    let flaws = finds.flaws()?;
    drop(finds);
    let damaged: HashSet<_> = flaws.iter().map(|(segment, _)| *segment).chain(refused).collect();
    rebuilt.damage.extend(flaws.into_iter().map(|(_, what)| what));
    rebuilt.damage.truncate(crate::PROBLEMS_MAX);
    if !order.dry_run {
        rebuilt.kept = put_in_place(dir, &beside, &damaged, (order.clock)(), disk)?;
        info!("the index in {} is made anew: {} messages", dir.display(), rebuilt.messages);
    }
    Ok(rebuilt)
}

/// Whether a database can be read and knows somebody.
fn is_of_use(database: &Path) -> bool {
    let ask = |conn: Connection| {
        let verdict: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        Ok::<_, rusqlite::Error>(verdict == "ok" && index::has_accounts(&conn)?)
    };
    database.exists() && index::open_for_reading(database).and_then(ask).unwrap_or(false)
}

/// Reads the segments that have not been read yet; gives how many there are.
fn read_segments(
    dir: &Path,
    files: &SegmentFiles,
    finds: &mut Finds,
    tell: &mut impl FnMut(Step),
) -> Result<u64, OpenError> {
    let mut segments = Vec::new();
    for path in files_in(&dir.join(SEGMENTS))? {
        if let Some(segment) = segment_number(&path) {
            let metadata = std::fs::metadata(&path).map_err(OpenError::io(&path))?;
            segments.push(finds::Stand::of(segment, &metadata));
        }
    }
    segments.sort_unstable_by_key(|stand| stand.segment);
    finds.forget_unless_among(&segments)?;
    let total = segments.iter().map(|stand| stand.octets).sum();
    let mut done = 0;
    for stand in &segments {
        if !finds.has(stand)? {
            let unreadable = OpenError::io(segment_path(&dir.join(SEGMENTS), stand.segment));
            let scanned = files.open(stand.segment).and_then(|file| scan::scan(stand.segment, &file));
            finds.enter(stand, scanned.map_err(unreadable)?)?;
            files.forget(stand.segment);
        }
        done += stand.octets;
        tell(Step { messages: finds.count()?, done, total, is_reading: true });
    }
    Ok(segments.len() as u64)
}

fn remove_database(dir: &Path) -> Result<(), OpenError> {
    for path in database_files(dir) {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(OpenError::Io { path, source: error });
            }
            _ => {}
        }
    }
    Ok(())
}

/// A database's files, in the order in which they may be taken away: a log must never meet another database than its own.
fn database_files(dir: &Path) -> [PathBuf; 3] {
    ["-wal", "-shm", ""].map(|end| dir.join(format!("{DATABASE}{end}")))
}

/// The old index aside, the new one in its place. Gives where that is, if there is something.
fn put_in_place(
    dir: &Path,
    beside: &Path,
    damaged: &HashSet<i64>,
    now: i64,
    disk: &dyn Disk,
) -> Result<Option<PathBuf>, OpenError> {
    let kept = dir.join(format!("{BEFORE}{now}"));
    privacy::make_dir(&kept).map_err(OpenError::io(&kept))?;
    for segment in damaged {
        // A second name for the same file: compacting may remove the first one. Where it cannot be given, the report is all there is.
        let _ = std::fs::hard_link(segment_path(&dir.join(SEGMENTS), *segment), segment_path(&kept, *segment));
    }
    let made = beside.join(DATABASE);
    let sync = std::fs::File::open(&made).and_then(|file| file.sync_all());
    sync.map_err(OpenError::io(&made))?;
    bring_log_home(&dir.join(DATABASE));
    let texts = ["-wal", "-shm", ""].map(|end| dir.join(format!("{TEXTS}{end}")));
    for path in texts.into_iter().chain(database_files(dir)).filter(|path| path.exists()) {
        let target = kept.join(path.file_name().unwrap_or_default());
        // The database itself stays until the new one takes its name: whoever is stopped here has not lost what can be read of it.
        let is_linked = path == dir.join(DATABASE) && std::fs::hard_link(&path, &target).is_ok();
        if !is_linked {
            disk.rename(&path, &target).map_err(OpenError::io(&path))?;
        }
    }
    disk.sync_dir(&kept).map_err(OpenError::io(&kept))?;
    disk.rename(&made, &dir.join(DATABASE)).map_err(OpenError::io(&made))?;
    disk.sync_dir(dir).map_err(OpenError::io(dir))?;
    std::fs::remove_dir_all(beside).map_err(OpenError::io(beside))?;
    // Only where it is empty.
    let is_empty = std::fs::remove_dir(&kept).is_ok();
    Ok((!is_empty).then_some(kept))
}

/// What the old index has in its log goes into it, where it can be opened at all: whoever is stopped between the two would find the one
/// without the other, and take it for all there was.
fn bring_log_home(database: &Path) {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if let Ok(conn) = Connection::open_with_flags(database, flags) {
        // Where that fails, the log is moved as it is.
        let _ = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
}

//! What can wait: removing files that no row points at, and preparing the next segment.
//!
//! Invariants: nothing here decides whether a mail is kept; a chore that fails costs room or speed, never a message.

use std::sync::mpsc::Receiver;

use tracing::warn;

use crate::Shared;
use crate::disk::DiskFile;
use crate::segment::segment_path;

/// The name of the prepared segment in `tmp/`.
const SPARE_NAME: &str = "next-segment";

/// Zeros are written and synced in pieces of this many octets: a commit that syncs meanwhile waits for one piece only.
const ZEROS: usize = 1024 * 1024;

/// Something to be done when there is time.
pub(super) enum Chore {
    /// No row points at this segment any more.
    Remove(i64),
    /// The open segment is half full, and there is time.
    PrepareSegment,
}

pub(super) fn run(shared: &Shared, chores: &Receiver<Chore>) {
    for chore in chores {
        if shared.failure().is_some() {
            continue;
        }
        match chore {
            Chore::Remove(segment) => remove(shared, segment),
            Chore::PrepareSegment => prepare(shared),
        }
    }
}

fn remove(shared: &Shared, segment: i64) {
    let path = segment_path(&shared.seg_dir(), segment);
    if let Err(error) = shared.disk.remove(&path) {
        warn!("{} could not be removed: {error}", path.display());
    }
    // Afterwards, so that nobody opens it again in between; whoever is reading it keeps it until done.
    shared.segments.forget(segment);
}

/// Sets the next segment aside and fills it with zeros, so that writing into it changes no block map.
fn prepare(shared: &Shared) {
    if shared.is_closing() || shared.has_spare() {
        return;
    }
    let path = shared.tmp_dir().join(SPARE_NAME);
    let Ok(file) = shared.disk.create(&path) else { return };
    match fill(shared, &file) {
        Ok(true) => shared.put_spare(file),
        Ok(false) => {
            let _ = shared.disk.remove(&path);
        }
        Err(error) => {
            warn!("the next segment could not be prepared: {error}");
            let _ = shared.disk.remove(&path);
        }
    }
}

/// Gives `false` when the store is closing.
fn fill(shared: &Shared, file: &DiskFile) -> std::io::Result<bool> {
    let size = shared.options.segment_octets;
    shared.disk.allocate(file, size)?;
    let zeros = vec![0; ZEROS.min(usize::try_from(size).unwrap_or(ZEROS))];
    let mut position = 0;
    while position < size {
        if shared.is_closing() {
            return Ok(false);
        }
        let piece = usize::try_from(size - position).unwrap_or(ZEROS).min(ZEROS);
        shared.disk.write_all_at(file, &zeros[..piece], position)?;
        shared.disk.sync(file)?;
        position += piece as u64;
    }
    Ok(true)
}

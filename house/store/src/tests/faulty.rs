//! A disk that fails as it is told, and that forgets at a power cut what was not synced.
//!
//! ```text
//! operation n < at → as the real disk       operation at → the fault       after `Stop` → nothing works any more
//! ```
//!
//! A power cut is the worst that a disk may do: octets that were not synced become noise, names that were not synced are gone, and so is
//! what was not synced of the index's log.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use crate::disk::{Disk, DiskFile, Moment, RealDisk};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The machine stops.
    Stop,
    /// There is no room, this once.
    Full,
    /// The disk says that it failed, this once.
    Broken,
}

#[derive(Debug, Default)]
struct State {
    operations: usize,
    fault: Option<(usize, Fault)>,
    /// How often more the operation of this name fails.
    next_fault: Option<(&'static str, Fault, usize)>,
    always: Option<(&'static str, Fault)>,
    failed_at: Option<String>,
    unsynced: HashMap<PathBuf, Vec<(u64, usize)>>,
    unsynced_names: Vec<PathBuf>,
    /// The index's log, and how much of it is synced.
    log_synced: Option<(PathBuf, u64)>,
    short_writes: bool,
    /// The next write leaves so many octets out, and then there is no room.
    cut: Option<usize>,
    log: Vec<String>,
}

/// The disk.
#[derive(Debug, Default)]
pub(crate) struct FaultyDisk {
    real: RealDisk,
    state: Mutex<State>,
}

impl FaultyDisk {
    /// Fails at the operation of this number; 0 is the first.
    pub(crate) fn failing_at(at: usize, fault: Fault) -> FaultyDisk {
        let disk = FaultyDisk::default();
        disk.state().fault = Some((at, fault));
        disk
    }

    /// Writes at most seven octets at a time.
    pub(crate) fn writing_little() -> FaultyDisk {
        let disk = FaultyDisk::default();
        disk.state().short_writes = true;
        disk
    }

    /// Fails at the next operation of this name.
    pub(crate) fn fail_at_next(&self, operation: &'static str, fault: Fault) {
        self.fail_times(operation, fault, 1);
    }

    /// Fails at the next operations of this name, as many as that.
    pub(crate) fn fail_times(&self, operation: &'static str, fault: Fault, times: usize) {
        self.state().next_fault = Some((operation, fault, times));
    }

    /// The disk is full before the last octets of the next write.
    pub(crate) fn fill_before_the_last(&self, octets: usize) {
        self.state().cut = Some(octets);
    }

    /// From now on fails at every operation of this name, or at none.
    pub(crate) fn fail_always(&self, always: Option<(&'static str, Fault)>) {
        self.state().always = always;
    }

    /// Whether the fault has happened.
    pub(crate) fn has_failed(&self) -> bool {
        self.state().failed_at.is_some()
    }

    /// Which operation failed first.
    pub(crate) fn failed_at(&self) -> String {
        self.state().failed_at.clone().unwrap_or_default()
    }

    /// Which operations there were.
    pub(crate) fn log(&self) -> Vec<String> {
        self.state().log.clone()
    }

    /// The power goes off: what was not synced is lost.
    pub(crate) fn cut_power(&self) {
        let mut state = self.state();
        for (path, ranges) in state.unsynced.drain() {
            let Ok(file) = std::fs::OpenOptions::new().write(true).open(&path) else { continue };
            for (offset, length) in ranges {
                file.write_all_at(&vec![0xDB; length], offset).unwrap();
            }
        }
        for path in state.unsynced_names.drain(..) {
            let _ = std::fs::remove_file(path);
        }
        // Gone together with the store that was closed in order.
        if let Some((path, length)) = state.log_synced.take()
            && let Ok(log) = std::fs::OpenOptions::new().write(true).open(path)
        {
            log.set_len(length.min(log.metadata().unwrap().len())).unwrap();
        }
    }

    /// A copy of the store as a power cut would leave it now. The store is at rest; what it has not synced of its log is lost.
    pub(crate) fn image(&self, dir: &Path) -> tempfile::TempDir {
        let image = tempfile::tempdir().unwrap();
        std::fs::set_permissions(image.path(), std::fs::metadata(dir).unwrap().permissions()).unwrap();
        super::copy(dir, image.path());
        let (log, length) = self.state().log_synced.clone().unwrap();
        let log = image.path().join(log.file_name().unwrap());
        std::fs::OpenOptions::new().write(true).open(log).unwrap().set_len(length).unwrap();
        image
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Counts an operation; an error is the fault.
    fn step(&self, operation: &str) -> io::Result<()> {
        let mut state = self.state();
        let number = state.operations;
        state.operations += 1;
        state.log.push(operation.into());
        let always = state.always.filter(|(name, _)| *name == operation);
        if let Some((_, fault)) = always {
            state.fault = Some((number, fault));
        } else if let Some((_, fault, times)) = state.next_fault.as_mut().filter(|(name, ..)| *name == operation) {
            *times -= 1;
            let (fault, left) = (*fault, *times);
            state.fault = Some((number, fault));
            state.next_fault = state.next_fault.filter(|_| left > 0);
        }
        match state.fault {
            Some((at, fault)) if number == at || (number > at && fault == Fault::Stop) => {
                state.failed_at.get_or_insert_with(|| operation.into());
                Err(match fault {
                    Fault::Stop => io::Error::other("the machine has stopped"),
                    Fault::Full => ErrorKind::StorageFull.into(),
                    Fault::Broken => io::Error::from_raw_os_error(5),
                })
            }
            _ => Ok(()),
        }
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<DiskFile> {
        self.step("create")?;
        let file = self.real.create(path)?;
        self.state().unsynced_names.push(path.into());
        Ok(file)
    }

    fn open(&self, path: &Path) -> io::Result<DiskFile> {
        let file = self.real.open(path)?;
        if path.extension().is_some_and(|extension| extension == "db-wal") {
            self.state().log_synced = Some((path.into(), file.file.metadata()?.len()));
        }
        Ok(file)
    }

    fn allocate(&self, file: &DiskFile, length: u64) -> io::Result<()> {
        self.step("allocate")?;
        self.real.allocate(file, length)
    }

    fn write_at(&self, file: &DiskFile, octets: &[u8], offset: u64) -> io::Result<usize> {
        self.step("write")?;
        let cut = self.state().cut.take();
        if cut.is_some() {
            self.fail_at_next("write", Fault::Full);
        }
        let length = if self.state().short_writes { octets.len().min(7) } else { octets.len() - cut.unwrap_or(0) };
        self.state().unsynced.entry(file.path.clone()).or_default().push((offset, length));
        self.real.write_at(file, &octets[..length], offset)
    }

    fn sync(&self, file: &DiskFile) -> io::Result<()> {
        self.step("sync")?;
        // What a sync is good for is kept in the books; the real one would only be slow.
        self.state().unsynced.remove(&file.path);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.step("sync directory")?;
        self.state().unsynced_names.retain(|path| path.parent() != Some(dir));
        Ok(())
    }

    fn rename(&self, source: &Path, target: &Path) -> io::Result<()> {
        self.step("rename")?;
        self.real.rename(source, target)?;
        let mut state = self.state();
        state.unsynced_names.retain(|path| path != source);
        state.unsynced_names.push(target.into());
        if let Some(ranges) = state.unsynced.remove(source) {
            state.unsynced.insert(target.into(), ranges);
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step("remove")?;
        self.real.remove(path)?;
        let mut state = self.state();
        state.unsynced.remove(path);
        state.unsynced_names.retain(|name| name != path);
        Ok(())
    }

    fn sync_index(&self, log: &DiskFile) -> io::Result<()> {
        self.step("sync log")?;
        self.state().log_synced = Some((log.path.clone(), log.file.metadata()?.len()));
        Ok(())
    }

    fn syncs_index(&self) -> bool {
        false
    }

    fn reached(&self, moment: Moment) -> io::Result<()> {
        self.step(&format!("{moment:?}"))
    }
}

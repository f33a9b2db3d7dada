//! The file spaces of the accounts: made at the first login, opened once, kept open.
//!
//! ```text
//! account 7 ─→ data/files/7/ ─→ one Volume ─→ one Space, mounted at /
//! ```
//!
//! Invariants: a directory is opened once in this process, however many sessions its account has; what an account may
//! store is what its quota says when its space is opened.
//! Not here: what is done in a space (files), who may in (desk).

use files::{Error, JailedPath, Mode, Mount, OpenError, Permissions, Quota, Space, Syncs, Terms, Volume};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use store::AccountId;
use tracing::warn;

/// The directory in the data directory that holds them all.
const DIRECTORY: &str = "files";

/// All spaces that were opened so far.
pub struct Spaces {
    directory: PathBuf,
    syncs: Syncs,
    open: Mutex<HashMap<AccountId, Open>>,
}

/// A space, and the directory it is on.
struct Open {
    space: Space,
    volume: Arc<Volume>,
}

impl Spaces {
    /// Those below a data directory. Nothing is made yet.
    pub fn new(data_dir: &Path, syncs: Syncs) -> Self {
        Spaces { directory: data_dir.join(DIRECTORY), syncs, open: Mutex::default() }
    }

    /// The space of an account. Blocks when it is opened for the first time.
    ///
    /// # Errors
    /// Says what could not be opened.
    pub fn of(&self, account: AccountId, bytes_max: Option<u64>) -> Result<Space, OpenError> {
        // Held while a space is opened: a second session of the account must wait for it rather than open it twice.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Open { space, .. }) = open.get(&account) {
            return Ok(space.clone());
        }
        let quota = Quota { bytes_max, files_max: None };
        let terms = Terms { quota, make_missing: true, syncs: self.syncs, ..Terms::default() };
        let volume = Volume::open(&self.directory.join(account.0.to_string()), terms)?;
        let mount = Mount {
            at: JailedPath::root(),
            volume: Arc::clone(&volume),
            permissions: Permissions::ALL,
            rules: Vec::new(),
            keeps_interrupted: true,
        };
        let space = Space::new(&account.0.to_be_bytes(), vec![mount])?;
        open.insert(account, Open { space: space.clone(), volume });
        Ok(space)
    }

    /// The same if it is open already; never blocks.
    pub fn at_once(&self, account: AccountId) -> Option<Space> {
        let open = self.open.try_lock().ok()?;
        open.get(&account).map(|open| open.space.clone())
    }

    /// Removes interrupted uploads that were kept long enough, in the spaces that are open: one that nobody has opened
    /// since the start has to wait until somebody does. Blocks.
    pub fn sweep(&self, now: SystemTime) {
        // A sweep takes its time; nobody at the door should wait for it.
        let volumes: Vec<Arc<Volume>> = self
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .map(|open| Arc::clone(&open.volume))
            .collect();
        for volume in volumes {
            if let Err(error) = volume.sweep(now) {
                warn!(space = %volume.place().display(), %error, "interrupted uploads could not be swept");
            }
        }
    }

    /// Gives an account its first files, unless it has a space already. Blocks.
    ///
    /// # Errors
    /// Says what could not be stored.
    pub fn seed(&self, account: AccountId, files: &[(&str, &str)]) -> Result<(), SeedError> {
        if files.is_empty() || self.directory.join(account.0.to_string()).exists() {
            return Ok(());
        }
        let space = self.of(account, None)?;
        for (path, content) in files {
            let path = JailedPath::parse(path.as_bytes(), &JailedPath::root()).map_err(Error::Path)?;
            match space.make_directory(&path.parent()) {
                Ok(()) | Err(Error::AlreadyExists | Error::Fixed) => {}
                Err(error) => return Err(error.into()),
            }
            let mut upload = space.begin_upload(&path, Mode::Store)?;
            upload.write_all(content.as_bytes())?;
            upload.commit()?;
        }
        Ok(())
    }
}

/// Why an account could not be given its first files.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// Its space could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A file could not be stored.
    #[error(transparent)]
    Store(#[from] Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_upload_that_broke_off_goes_with_its_day() {
        let data = tempfile::tempdir().expect("a directory");
        let spaces = Spaces::new(data.path(), Syncs::Always);
        let space = spaces.of(AccountId(1), None).expect("a space");
        let path = JailedPath::parse(b"half.txt", &JailedPath::root()).expect("a path");
        let mut upload = space.begin_upload(&path, Mode::Store).expect("an upload");
        upload.write_all(b"half").expect("it is written");
        upload.interrupt();
        spaces.sweep(SystemTime::now());
        assert_eq!(space.kept(&path).expect("a look"), Some(4), "its day has not passed");
        spaces.sweep(SystemTime::now() + Duration::from_secs(3 * 86_400));
        assert_eq!(space.kept(&path).expect("a look"), None, "its day has passed");
    }
}

//! A directory to try things in.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use crate::confine::Confinement;
use crate::disk::{Disk, RealDisk};
use crate::error::Error;
use crate::{JailedPath, Mode, Mount, Permissions, Rule, Space, Stored, Terms, Upload, Volume};

/// A directory in memory where there is one: syncs cost nothing there, and thousands of files little.
pub(crate) fn temporary() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

pub(crate) fn path(text: &str) -> JailedPath {
    JailedPath::parse(text.as_bytes(), &JailedPath::root()).unwrap()
}

/// A temporary directory, the volume `top` in it, and a space of one account over it.
pub(crate) struct Yard {
    pub(crate) dir: TempDir,
    pub(crate) volume: Arc<Volume>,
    pub(crate) space: Space,
}

impl Yard {
    pub(crate) fn new() -> Yard {
        Yard::with(Terms::default())
    }

    pub(crate) fn with(terms: Terms) -> Yard {
        Yard::on(terms, Box::new(RealDisk), None)
    }

    pub(crate) fn on(terms: Terms, disk: Box<dyn Disk>, confinement: Option<Confinement>) -> Yard {
        Yard::over(temporary(), terms, disk, confinement)
    }

    pub(crate) fn over(dir: TempDir, terms: Terms, disk: Box<dyn Disk>, confinement: Option<Confinement>) -> Yard {
        let terms = Terms { make_missing: true, ..terms };
        let volume = Volume::open_on(&dir.path().join("top"), terms, disk, confinement).unwrap();
        let space = one_mount(b"alice", &volume, Permissions::ALL, &[]);
        Yard { dir, volume, space }
    }

    /// The same directory in the eyes of another account.
    pub(crate) fn seen_by(&self, account: &[u8], permissions: Permissions, rules: &[(&str, Permissions)]) -> Space {
        one_mount(account, &self.volume, permissions, rules)
    }

    pub(crate) fn real(&self, name: &str) -> PathBuf {
        self.top().join(name)
    }

    pub(crate) fn top(&self) -> PathBuf {
        self.dir.path().join("top")
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.real(name).parent().unwrap()).unwrap();
        fs::write(self.real(name), content).unwrap();
    }

    /// What is in a file on disk; nothing when there is none.
    pub(crate) fn content(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.real(name)).ok()
    }

    /// All names in the top directory, hidden ones by their last letter as `~0`, `~k`.
    pub(crate) fn on_disk(&self) -> Vec<String> {
        names_in(&self.top())
    }

    pub(crate) fn store(&self, name: &str, content: impl AsRef<[u8]>) -> Result<Stored, Error> {
        store(&self.space, name, Mode::Store, content)
    }

    /// An upload of which this much has arrived.
    pub(crate) fn begun(&self, name: &str, mode: Mode, content: impl AsRef<[u8]>) -> Upload {
        let mut upload = self.space.begin_upload(&path(name), mode).unwrap();
        upload.write_all(content.as_ref()).unwrap();
        upload
    }

    pub(crate) fn kept(&self, name: &str) -> Option<u64> {
        self.space.kept(&path(name)).unwrap()
    }

    pub(crate) fn usage(&self) -> (u64, u64) {
        let usage = self.volume.usage().unwrap();
        (usage.bytes, usage.files)
    }
}

pub(crate) fn one_mount(
    account: &[u8],
    volume: &Arc<Volume>,
    permissions: Permissions,
    rules: &[(&str, Permissions)],
) -> Space {
    Space::new(account, vec![mount("/", volume, permissions, rules)]).unwrap()
}

pub(crate) fn mount(at: &str, volume: &Arc<Volume>, permissions: Permissions, rules: &[(&str, Permissions)]) -> Mount {
    let rules = rules.iter().map(|(at, permissions)| Rule { at: path(at), permissions: *permissions }).collect();
    Mount { at: path(at), volume: Arc::clone(volume), permissions, rules, keeps_interrupted: true }
}

pub(crate) fn store(space: &Space, name: &str, mode: Mode, content: impl AsRef<[u8]>) -> Result<Stored, Error> {
    let mut upload = space.begin_upload(&path(name), mode)?;
    upload.write_all(content.as_ref())?;
    upload.commit()
}

pub(crate) fn fetch(space: &Space, name: &str) -> Result<Vec<u8>, Error> {
    use std::io::Read;
    let mut octets = Vec::new();
    space.open_read(&path(name))?.file.read_to_end(&mut octets).unwrap();
    Ok(octets)
}

/// The names in a directory, of which entries and names alone must say the same.
pub(crate) fn listed(space: &Space, name: &str) -> Vec<String> {
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    let entries = space.list(&path(name), crate::Detail::Facts).unwrap();
    let mut names: Vec<_> = entries.map(|entry| text(&entry.unwrap().name)).collect();
    names.sort();
    let (mut listing, mut alone) = (space.list(&path(name), crate::Detail::Names).unwrap(), crate::Names::default());
    while listing.next_names(&mut alone).unwrap() {}
    let mut alone: Vec<_> = alone.iter().map(text).collect();
    alone.sort();
    assert_eq!(alone, names);
    names
}

pub(crate) fn names_in(dir: &Path) -> Vec<String> {
    let shown = |name: String| match crate::hidden::kind(name.as_bytes()) {
        Some(_) => name[name.len() - 2..].to_string(),
        None => name,
    };
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| shown(entry.unwrap().file_name().to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}

//! Data directories as they are after a first start: made once for all tests of a process, and written down anew for each.
//!
//! Most of what a first start costs is what passwords and a certificate are meant to cost. A template is kept in memory, so that nothing of
//! it stays behind.
//!
//! Not here: servers that start on it (server).

use crate::{Server, command_on};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A tree of directories and files.
pub(crate) struct Template(Vec<Entry>);

struct Entry {
    path: PathBuf,
    mode: u32,
    /// None is a directory.
    content: Option<Vec<u8>>,
}

/// What `dev` has made of an empty directory when it stops.
pub(crate) fn dev(binary: &str) -> &'static Template {
    static MADE: OnceLock<Template> = OnceLock::new();
    MADE.get_or_init(|| {
        Template::made(|data| {
            let ended = Server::dev_in(binary, data, &[]).stop();
            assert!(ended.success(), "{ended}");
        })
    })
}

/// A domain `hamburger.test` and in it `bob`, whose password is `very-hungry`.
pub(crate) fn bob_alone(binary: &str) -> &'static Template {
    static MADE: OnceLock<Template> = OnceLock::new();
    MADE.get_or_init(|| {
        Template::made(|data| {
            for (arguments, input) in [
                (&["domain", "add", "hamburger.test"][..], ""),
                (&["account", "add", "bob@hamburger.test"][..], "very-hungry"),
            ] {
                let done = command_on(binary, data, arguments, input);
                assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            }
        })
    })
}

impl Template {
    fn made(make: impl FnOnce(&Path)) -> Template {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let data = folder.path().join("data");
        make(&data);
        let mut entries = Vec::new();
        read(&data, Path::new(""), &mut entries);
        Template(entries)
    }

    /// Writes it there, where nothing is yet, or an empty directory.
    pub(crate) fn write(&self, data: &Path) {
        DirBuilder::new().recursive(true).mode(0o700).create(data).expect("a directory");
        for Entry { path, mode, content } in &self.0 {
            let path = data.join(path);
            match content {
                None => DirBuilder::new().mode(*mode).create(path).expect("a directory"),
                Some(octets) => {
                    let file = OpenOptions::new().write(true).create_new(true).mode(*mode).open(path);
                    file.and_then(|mut file| file.write_all(octets)).expect("room for a file");
                }
            }
        }
    }
}

/// Each directory before what is in it.
fn read(top: &Path, below: &Path, entries: &mut Vec<Entry>) {
    for entry in fs::read_dir(top.join(below)).expect("a directory").map(|entry| entry.expect("an entry")) {
        let (path, about) = (below.join(entry.file_name()), entry.metadata().expect("it is there"));
        assert!(about.is_dir() || about.is_file(), "a template has directories and files only: {}", path.display());
        let content = about.is_file().then(|| fs::read(entry.path()).expect("a file"));
        entries.push(Entry { path: path.clone(), mode: about.permissions().mode() & 0o777, content });
        if about.is_dir() {
            read(top, &path, entries);
        }
    }
}

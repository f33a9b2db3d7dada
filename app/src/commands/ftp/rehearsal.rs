//! What would be done, said and not done (`-n`).
//!
//! ```text
//! names ─looked at, there and here→ Intent ─→ a line, or an object as in a plan
//!                                 └ what would fail ─→ told as if it had, with its exit code
//! ```
//!
//! Invariants: nothing is changed, there or here; each thing is told once. What only trying tells, such as what we may write,
//! is not known.
//! Not here: trees that are made alike (plan).

use super::change::EMPTY_ONLY;
use super::pipe::STANDARD_INPUT;
use super::plan::put_path;
use super::show::Show;
use crate::failure::Failure;
use crate::output;
use ftp_client::directory::{above, parted, shown, without_slash};
use ftp_client::{Connection, Error, Event, Kind};
use serde_json::json;
use std::collections::HashSet;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// One thing that would be done.
#[derive(Debug, Clone, Copy)]
pub enum Intent<'a> {
    /// A file would come, or go.
    Copy { from: &'a [u8], to: &'a [u8], octets: Option<u64> },
    /// A directory would be made.
    Make(&'a [u8]),
    /// A file or a link would be removed.
    Remove(&'a [u8]),
    /// A directory would be removed.
    RemoveDirectory(&'a [u8]),
    /// Something would get another name.
    Rename { from: &'a [u8], to: &'a [u8] },
}

/// A file that is to come.
#[derive(Debug)]
pub struct Coming {
    pub remote: Vec<u8>,
    pub local: PathBuf,
    /// Its length, if a listing has told.
    pub octets: Option<u64>,
    /// Whether it is known to be there.
    pub listed: bool,
}

impl Coming {
    /// From where it comes, and to where.
    pub fn ends(&self) -> (Vec<u8>, Vec<u8>) {
        (self.remote.clone(), self.local.as_os_str().as_bytes().to_vec())
    }
}

/// Where people read lines.
type Say<'a> = &'a (dyn Fn(&str) -> Result<(), Failure> + Sync);

/// Somebody who says what would be done.
pub struct Rehearsal<'a> {
    show: &'a Show,
    say: Say<'a>,
    /// Directories that were told: they are still missing when the next file needs them.
    made: Mutex<HashSet<Vec<u8>>>,
}

impl Intent<'_> {
    fn word(self) -> &'static str {
        match self {
            Intent::Copy { .. } => "copy",
            Intent::Make(_) => "make",
            Intent::Remove(_) => "remove",
            Intent::RemoveDirectory(_) => "remove-directory",
            Intent::Rename { .. } => "rename",
        }
    }

    fn path(&self) -> &[u8] {
        match self {
            Intent::Copy { from, .. } | Intent::Rename { from, .. } => from,
            Intent::Make(path) | Intent::Remove(path) | Intent::RemoveDirectory(path) => path,
        }
    }

    fn target(&self) -> Option<&[u8]> {
        match self {
            Intent::Copy { to, .. } | Intent::Rename { to, .. } => Some(to),
            Intent::Make(_) | Intent::Remove(_) | Intent::RemoveDirectory(_) => None,
        }
    }
}

impl<'a> Rehearsal<'a> {
    /// Sums up with `show`, and says lines to people by `say`.
    pub fn new(show: &'a Show, say: Say<'a>) -> Self {
        show.rehearse();
        Rehearsal { show, say, made: Mutex::default() }
    }

    /// Tells one thing.
    pub fn would(&self, intent: Intent<'_>) -> Result<(), Failure> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Intent::Make(path) = intent
            && !made.insert(path.to_vec())
        {
            return Ok(());
        }
        self.show.add_intent(&intent);
        if self.show.is_for_programs() {
            return self.tell_program(intent);
        }
        let to = intent.target().map_or(String::new(), |to| format!("  (to {})", shown(to)));
        (self.say)(&format!("{:<16} {}{to}", intent.word(), shown(intent.path())))
    }

    fn tell_program(&self, intent: Intent<'_>) -> Result<(), Failure> {
        let mut value = json!({"action": intent.word()});
        put_path(&mut value, "path", intent.path());
        if let Some(to) = intent.target() {
            put_path(&mut value, "to", to);
        }
        if let Intent::Copy { octets, .. } = intent {
            value["octets"] = octets.into();
        }
        output::json(&value)
    }

    /// What would fail fails now, as far as others are concerned; only a lost connection ends it.
    fn fail(&self, name: &[u8], error: Error) -> Result<(), Failure> {
        if error.is_fatal() {
            return Err(error.into());
        }
        self.show.watcher()(&Event::Failed { name, error: &error });
        self.show.add(&ftp_client::Report { failed: 1, ..Default::default() });
        Ok(())
    }

    /// Directories there that would be made.
    pub async fn would_make(&self, connection: &mut Connection, path: &[u8]) -> Result<(), Failure> {
        let missing = connection.missing_directories(path).await?;
        missing.iter().try_for_each(|directory| self.would(Intent::Make(directory)))
    }

    /// Files that would come.
    pub async fn would_fetch_all(&self, connection: &mut Connection, files: &[Coming]) -> Result<(), Failure> {
        for file in files {
            self.would_fetch(connection, file).await?;
        }
        Ok(())
    }

    async fn would_fetch(&self, connection: &mut Connection, file: &Coming) -> Result<(), Failure> {
        let octets = match file.listed {
            true => Ok(file.octets),
            false => length_there(connection, &file.remote).await,
        };
        let free = match file.local.is_dir() {
            true => Err(Error::Local { path: file.local.clone(), why: ErrorKind::IsADirectory.into() }),
            false => ftp_client::fetch::is_replaceable(&file.local),
        };
        match octets.and_then(|octets| free.map(|()| octets)) {
            Ok(octets) => {
                self.would(Intent::Copy { from: &file.remote, to: file.local.as_os_str().as_bytes(), octets })
            }
            Err(error) => self.fail(&file.remote, error),
        }
    }

    /// Files that would go, all of them into the directory `above`, or where the login leads.
    pub async fn would_send(
        &self,
        connection: &mut Connection,
        files: &[(PathBuf, Vec<u8>)],
        above: &[u8],
        make_dirs: bool,
    ) -> Result<(), Failure> {
        let above = without_slash(above);
        let Some(taken) = self.directories_in(connection, files, above, make_dirs).await? else { return Ok(()) };
        for (source, target) in files {
            let octets = if taken.contains(parted(target).1) { Err(is_taken(target)) } else { length_here(source) };
            match octets {
                Ok(octets) => {
                    self.would(Intent::Copy { from: source.as_os_str().as_bytes(), to: target, octets })?;
                }
                Err(error) => self.fail(target, error)?,
            }
        }
        Ok(())
    }

    /// The names that no file can have where these would go; nothing if they cannot go there, which has been told.
    async fn directories_in(
        &self,
        connection: &mut Connection,
        files: &[(PathBuf, Vec<u8>)],
        above: &[u8],
        make_dirs: bool,
    ) -> Result<Option<HashSet<Vec<u8>>>, Failure> {
        if above.is_empty() {
            return directories_in(connection, above).await.map(Some);
        }
        match connection.stat(above).await {
            Ok(about) if about.kind == Kind::Directory => directories_in(connection, above).await.map(Some),
            Ok(_) => self.fail_all(files, |step| Error::NotDirectory { step, directory: shown(above) }),
            Err(Error::Refused { .. }) if make_dirs => {
                self.would_make(connection, above).await?;
                Ok(Some(HashSet::new()))
            }
            Err(Error::Refused { reply, .. }) => self.fail_all(files, |step| {
                let directory = shown(above);
                Error::NoDirectory { step, directory, reply: reply.clone() }
            }),
            Err(error) => Err(error.into()),
        }
    }

    fn fail_all<T>(&self, files: &[(PathBuf, Vec<u8>)], error: impl Fn(String) -> Error) -> Result<Option<T>, Failure> {
        for (_, target) in files {
            self.fail(target, error(format!("send {}", shown(target))))?;
        }
        Ok(None)
    }

    /// Something that would be removed; with all that is in it, if that is wished.
    pub async fn would_remove(&self, connection: &mut Connection, path: &[u8], recursive: bool) -> Result<(), Failure> {
        if recursive {
            let mut said = Ok(());
            let tell = |path: &[u8], directory: bool| {
                let intent = if directory { Intent::RemoveDirectory(path) } else { Intent::Remove(path) };
                if said.is_ok() {
                    said = self.would(intent);
                }
            };
            connection.look_over_tree(path, tell).await?;
            return said;
        }
        if connection.kind_itself(path).await? != Kind::Directory {
            return self.would(Intent::Remove(path));
        }
        if !connection.list(path).await?.entries.is_empty() {
            let why = format!("remove the directory {}: it is not empty", shown(path));
            return Err(Failure::Missing(why).with_hint(EMPTY_ONLY));
        }
        self.would(Intent::RemoveDirectory(path))
    }

    /// Something that would get another name.
    pub async fn would_rename(&self, connection: &mut Connection, from: &[u8], to: &[u8]) -> Result<(), Failure> {
        let step = format!("rename {} to {}", shown(from), shown(to));
        let (source, target) = (without_slash(from), without_slash(to));
        let is_directory = connection.kind_itself(source).await? == Kind::Directory;
        if target.is_empty() {
            return Err(Error::Name(String::new()).into());
        }
        if target.strip_prefix(source).is_some_and(|behind| behind.starts_with(b"/")) {
            return Err(Failure::Failed(format!("{step}: a directory cannot go into itself")));
        }
        let above = above(target);
        if !above.is_empty() && connection.stat(above).await?.kind != Kind::Directory {
            return Err(Error::NotDirectory { step, directory: shown(above) }.into());
        }
        if source != target
            && let Some(taken) = in_the_way(connection, target, is_directory).await?
        {
            return Err(Failure::Missing(format!("{step}: {taken}")));
        }
        self.would(Intent::Rename { from, to })
    }
}

/// Why something else than a directory cannot have a name.
const DIRECTORY_THERE: &str = "there is a directory of that name";

/// What is there already and cannot make room for a directory, or for something else, of its name.
async fn in_the_way(
    connection: &mut Connection,
    path: &[u8],
    for_directory: bool,
) -> Result<Option<&'static str>, Error> {
    Ok(match connection.kind_itself(path).await {
        Err(error) if error.is_missing() => None,
        Err(error) => return Err(error),
        Ok(Kind::Directory) if !for_directory => Some(DIRECTORY_THERE),
        Ok(Kind::Directory) if connection.list(path).await?.entries.is_empty() => None,
        Ok(Kind::Directory) => Some("there is a directory of that name, and it is not empty"),
        Ok(_) if for_directory => Some("there is something of that name"),
        Ok(_) => None,
    })
}

/// How long a file there is, as far as the server tells.
async fn length_there(connection: &mut Connection, path: &[u8]) -> Result<Option<u64>, Error> {
    let about = connection.stat(path).await?;
    if about.kind == Kind::Directory {
        return Err(Error::IsDirectory { step: format!("fetch {}", shown(path)) });
    }
    Ok(about.size)
}

fn is_taken(target: &[u8]) -> Error {
    Error::Differs { step: format!("send {}", shown(target)), why: DIRECTORY_THERE.into() }
}

/// How long a file here is, if it can be read; of standard input nobody knows.
fn length_here(file: &Path) -> Result<Option<u64>, Error> {
    if file == Path::new(STANDARD_INPUT) {
        return Ok(None);
    }
    let local = |why| Error::Local { path: file.into(), why };
    // A pipe without anybody at its other end would be waited for.
    let about = file.metadata().map_err(local)?;
    if !about.is_file() {
        return Err(local(std::io::Error::new(ErrorKind::InvalidInput, "not a file")));
    }
    File::open(file).map_err(local)?;
    Ok(Some(about.len()))
}

/// The names of directories in a directory; none if it cannot be looked into.
async fn directories_in(connection: &mut Connection, directory: &[u8]) -> Result<HashSet<Vec<u8>>, Failure> {
    let entries = match connection.list(directory).await {
        Ok(listing) => listing.entries,
        Err(error) if error.is_fatal() => return Err(error.into()),
        Err(_) => Vec::new(),
    };
    let directories = entries.into_iter().filter(|found| found.kind == Kind::Directory);
    Ok(directories.map(|found| found.name.as_bytes().to_vec()).collect())
}

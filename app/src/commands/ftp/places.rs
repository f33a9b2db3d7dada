//! Files of the client's own: what somebody has written for it, and what it remembers.
//!
//! | file | where | what |
//! |---|---|---|
//! | `ftprc` | configuration | commands that every prompt begins with |
//! | `ftp-bookmarks` | configuration | a name and a URL in each line |
//! | `ftp-known-hosts` | state | host and port, and the fingerprint that somebody has said yes to |
//! | `ftp-history` | state | what was typed |
//! | `ftp-ways` | state | host and port, the way to data connections that has worked, and who is for one command at a time |
//!
//! Configuration is `$XDG_CONFIG_HOME/packetboat` or `~/.config/packetboat`, state `$XDG_STATE_HOME/packetboat` or
//! `~/.local/state/packetboat`; on macOS both are `~/Library/Application Support/packetboat`.
//!
//! Invariants: nobody else can read what is written here; a file is replaced whole.

use std::env::var_os;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What somebody has written, or could.
pub fn configuration(name: &str) -> Option<PathBuf> {
    place("XDG_CONFIG_HOME", ".config", name)
}

/// What we remember.
pub fn state(name: &str) -> Option<PathBuf> {
    place("XDG_STATE_HOME", ".local/state", name)
}

fn place(variable: &str, usual: &str, name: &str) -> Option<PathBuf> {
    let home = || var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    // The base directory specification: what is not absolute is to be passed over.
    let folder = match var_os(variable).map(PathBuf::from).filter(|folder| folder.is_absolute()) {
        Some(folder) => folder,
        None if cfg!(target_os = "macos") => home()?.join("Library/Application Support"),
        None => home()?.join(usual),
    };
    Some(folder.join("packetboat").join(name))
}

/// Replaces a file, and makes its folder if it is not there.
pub fn write(file: &Path, text: &str) -> io::Result<()> {
    make_folder(file)?;
    let new = file.with_extension(format!("{}.new", std::process::id()));
    let written = make(&new).and_then(|mut opened| {
        opened.write_all(text.as_bytes())?;
        opened.sync_all()
    });
    written.and_then(|()| fs::rename(&new, file)).inspect_err(|_| drop(fs::remove_file(&new)))
}

/// A file without anything in it.
pub fn make(file: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)
}

/// Writes a line behind the others.
pub fn append(file: &Path, line: &str) -> io::Result<()> {
    make_folder(file)?;
    let mut opened = OpenOptions::new().append(true).create(true).mode(0o600).open(file)?;
    opened.write_all(format!("{line}\n").as_bytes())
}

fn make_folder(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) => DirBuilder::new().recursive(true).mode(0o700).create(folder),
        None => Ok(()),
    }
}

/// The words of each line; lines that begin with `#` are for people.
pub fn lines(file: Option<PathBuf>) -> io::Result<Vec<Vec<String>>> {
    let Some(file) = file else { return Ok(Vec::new()) };
    let text = match fs::read_to_string(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    Ok(lines.map(|line| line.split_whitespace().map(Into::into).collect()).collect())
}

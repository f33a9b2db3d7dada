//! What lies below a path: which folders, of which format, and how they are called as mailboxes.
//!
//! - *Maildir*: a directory with `cur` or `new`; its folders are `.Work.Bills` (Maildir++) or directories within it, or both.
//! - *mbox*: a file, or a tree of them; `Work.sbd` (Thunderbird) has what is below `Work`, `Work.mbox/mbox` (Apple) is `Work`.
//!
//! Invariants: links are followed at the path itself and nowhere below it; what cannot be looked at is named, and the rest is found;
//! what programs keep beside mail (hidden files, `.msf`, `.lock`, `.index`) is passed over in silence.
//! Not here: what is in a folder ([`crate::maildir`], [`crate::mbox`]).

use crate::maildir::{courier_subscriptions, subscriptions};
use crate::names::{from_directory, from_maildir_plus};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// How deep directories are looked into. Mailboxes are nested less deeply.
const DEPTH_MAX: usize = 40;

/// How many folders are found at most; an account may have as many.
pub const FOLDERS_MAX: usize = 10_000;

/// The longest file of subscriptions or keywords that is read, in octets.
const FILE_MAX: u64 = 4 << 20;

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A file for each message.
    Maildir,
    /// A file for each folder.
    Mbox,
}

/// A folder on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Its name as a mailbox; empty where it is the path itself.
    pub mailbox: String,
    /// Where it is: the directory that has `cur` and `new`, or the file.
    pub path: PathBuf,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// Folders, the path itself first.
    pub folders: Vec<Folder>,
    /// Mailboxes that the owner has subscribed, if that is told anywhere.
    pub subscriptions: Option<Vec<String>>,
    /// What could not be looked at, and why.
    pub troubles: Vec<(PathBuf, String)>,
}

/// The format of what is there, by its looks.
pub fn guess(path: &Path) -> io::Result<Format> {
    if fs::metadata(path)?.is_file() {
        return Ok(Format::Mbox);
    }
    let any_is = || fs::read_dir(path).map(|mut entries| entries.any(|e| e.is_ok_and(|e| is_maildir(&e.path()))));
    Ok(if is_maildir(path) || any_is()? { Format::Maildir } else { Format::Mbox })
}

/// Whether a directory is a folder of messages. One of the two may be missing where a copy left empty directories out.
pub fn is_maildir(path: &Path) -> bool {
    path.join("cur").is_dir() || path.join("new").is_dir()
}

/// Looks for folders.
pub fn survey(path: &Path, format: Format) -> io::Result<Survey> {
    let mut survey = Survey::default();
    match format {
        Format::Mbox if fs::metadata(path)?.is_file() => {
            survey.folders.push(Folder { mailbox: String::new(), path: path.into() });
        }
        Format::Mbox => survey.look_for_mboxes(path, "", 0)?,
        Format::Maildir => {
            survey.look_for_maildirs(path, "", 0)?;
            survey.read_subscriptions(path);
        }
    }
    survey.folders.sort_by(|a, b| a.mailbox.cmp(&b.mailbox));
    Ok(survey)
}

impl Survey {
    fn look_for_maildirs(&mut self, path: &Path, mailbox: &str, depth: usize) -> io::Result<()> {
        if is_maildir(path) {
            self.found(mailbox, path);
        }
        for (name, path) in self.entries(path)? {
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            if metadata.is_symlink() && path.is_dir() {
                self.troubles.push((path, "it is a link to a directory; name what it leads to".into()));
                continue;
            }
            if !metadata.is_dir() || matches!(name.as_str(), "cur" | "new" | "tmp") {
                continue;
            }
            let below = match (depth, name.starts_with('.')) {
                (0, true) if is_maildir(&path) => from_maildir_plus(&name),
                (_, true) => continue,
                (_, false) => Some(from_directory(&name)),
            };
            match below {
                Some(level) => self.enter(&path, &join(mailbox, &level), depth, Survey::look_for_maildirs),
                None => self.troubles.push((path, "a level of its name is empty".into())),
            }
        }
        Ok(())
    }

    fn look_for_mboxes(&mut self, path: &Path, mailbox: &str, depth: usize) -> io::Result<()> {
        for (name, path) in self.entries(path)? {
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            if metadata.is_symlink() {
                self.troubles.push((path, "it is a link; name what it leads to".into()));
            } else if name.starts_with('.') {
                // What mail programs keep for themselves.
            } else if metadata.is_dir() && name.ends_with(".mbox") && path.join("mbox").is_file() {
                self.found(&join(mailbox, &mbox_name(&name)), &path.join("mbox"));
            } else if metadata.is_dir() {
                let level = name.strip_suffix(".sbd").unwrap_or(&name);
                self.enter(&path, &join(mailbox, &from_directory(level)), depth, Survey::look_for_mboxes);
            } else if metadata.is_file() {
                self.look_at_file(&name, path, mailbox);
            }
        }
        Ok(())
    }

    fn look_at_file(&mut self, name: &str, path: PathBuf, mailbox: &str) {
        const BESIDE: [&str; 6] = ["msf", "lock", "index", "dat", "log", "cache"];
        if Path::new(name).extension().and_then(OsStr::to_str).is_some_and(|ending| BESIDE.contains(&ending)) {
            return;
        }
        match looks_like_mbox(&path) {
            Ok(true) => self.found(&join(mailbox, &mbox_name(name)), &path),
            Ok(false) => self.troubles.push((path, "it is no mbox: it does not begin with a line From …".into())),
            Err(error) => self.troubles.push((path, error.to_string())),
        }
    }

    fn enter(
        &mut self,
        path: &Path,
        mailbox: &str,
        depth: usize,
        look: fn(&mut Survey, &Path, &str, usize) -> io::Result<()>,
    ) {
        let result = if depth < DEPTH_MAX {
            look(self, path, mailbox, depth + 1)
        } else {
            Err(io::Error::other("it is too deep"))
        };
        if let Err(error) = result {
            self.troubles.push((path.into(), error.to_string()));
        }
    }

    fn found(&mut self, mailbox: &str, path: &Path) {
        match self.folders.len() < FOLDERS_MAX {
            true => self.folders.push(Folder { mailbox: mailbox.into(), path: path.into() }),
            false => self.troubles.push((path.into(), "there are too many folders".into())),
        }
    }

    /// What a directory has, by name. Names that are no text are named and left alone.
    fn entries(&mut self, path: &Path) -> io::Result<Vec<(String, PathBuf)>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let path = entry?.path();
            match path.file_name().and_then(OsStr::to_str) {
                Some(name) => entries.push((name.to_owned(), path.clone())),
                None => self.troubles.push((path, "its name is not UTF-8".into())),
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn read_subscriptions(&mut self, path: &Path) {
        let dovecot = read_text(&path.join("subscriptions")).map(|text| subscriptions(&text));
        let courier = || read_text(&path.join("courierimapsubscribed")).map(|text| courier_subscriptions(&text));
        self.subscriptions = dovecot.or_else(courier);
    }
}

/// A small file beside the mail, if it is there.
pub fn read_text(path: &Path) -> Option<String> {
    let mut octets = Vec::new();
    File::open(path).ok()?.take(FILE_MAX).read_to_end(&mut octets).ok()?;
    Some(String::from_utf8_lossy(&octets).into_owned())
}

/// What an mbox file is called as a mailbox: without `.mbox`.
pub fn mbox_name(file: &str) -> String {
    from_directory(file.strip_suffix(".mbox").filter(|stem| !stem.is_empty()).unwrap_or(file))
}

fn join(above: &str, level: &str) -> String {
    if above.is_empty() { level.to_owned() } else { format!("{above}/{level}") }
}

/// An empty file is an mbox without messages.
fn looks_like_mbox(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(64).read_to_end(&mut start)?;
    let text = start.trim_ascii_start();
    Ok(text.is_empty() || text.starts_with(b"From "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(survey: &Survey) -> Vec<&str> {
        survey.folders.iter().map(|folder| folder.mailbox.as_str()).collect()
    }

    #[test]
    fn a_maildir_has_folders_of_both_kinds() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "cur",
            "new",
            ".Work/cur",
            ".Work.B&APw-cher/cur",
            "Private/Letters/cur",
            ".empty",
            ".Fresh/new",
            "cur/x/cur",
        ] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("subscriptions"), "Work.B&APw-cher\n").unwrap();
        std::os::unix::fs::symlink("/", folder.path().join("loop")).unwrap();
        assert_eq!(guess(folder.path()).unwrap(), Format::Maildir);
        let survey = survey(folder.path(), Format::Maildir).unwrap();
        assert_eq!(found(&survey), ["", "Fresh", "Private/Letters", "Work", "Work/B\u{fc}cher"]);
        assert_eq!(survey.subscriptions, Some(vec!["Work/B\u{fc}cher".into()]));
        assert_eq!(survey.troubles.len(), 1);
    }

    #[test]
    fn a_tree_of_mboxes_has_names_of_several_programs() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("Work.sbd")).unwrap();
        fs::create_dir_all(folder.path().join("Old.mbox")).unwrap();
        for name in ["Inbox", "Work", "Work.sbd/Bills", "Old.mbox/mbox", "2019.mbox"] {
            fs::write(folder.path().join(name), "From a Tue Nov 14 22:13:20 2023\n\n").unwrap();
        }
        fs::write(folder.path().join("Inbox.msf"), "x").unwrap();
        fs::write(folder.path().join("notes.txt"), "x").unwrap();
        assert_eq!(guess(folder.path()).unwrap(), Format::Mbox);
        let survey = survey(folder.path(), Format::Mbox).unwrap();
        assert_eq!(found(&survey), ["2019", "Inbox", "Old", "Work", "Work/Bills"]);
        assert_eq!(survey.troubles.len(), 1, "{:?}", survey.troubles);
    }
}

//! A file that is fetched, changed here, and put back.
//!
//! Invariants: nothing is put back that was not changed, nor over a file that somebody else has changed meanwhile; what
//! somebody has written is never thrown away because putting it back failed.

use super::seat::Seat;
use super::there::Work;
use crate::failure::Failure;
use ftp_client::directory::{local_name, parted, shown};
use ftp_client::{Fetch, Send};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Longer files are not what somebody edits over a network; the file is fetched twice, and kept in memory.
const FILE_MAX_OCTETS: u64 = 64 << 20;

pub async fn edit(name: &str, seat: &mut Seat, work: &Work) -> Result<(), Failure> {
    let path = name.as_bytes();
    let folder = Folder::new()?;
    // Editors look at the name to know what it is.
    let file = folder.0.join(local_name(parted(path).1)?);
    let about = seat.connection().await?.stat(path).await?;
    if about.size.is_some_and(|size| size > FILE_MAX_OCTETS) {
        return Err(Failure::Failed(format!("{name}: too long to be edited; get it, and put it back")));
    }
    let plain = Fetch { keep_time: true, ..Fetch::default() };
    seat.connection().await?.fetch(path, &file, &plain).await?;
    let before = fs::read(&file)?;
    run_editor(&file)?;
    if fs::read(&file)? == before {
        work.screen.line(&format!("{} was not changed", shown(path)));
        return Ok(());
    }
    // Sizes and times may be the same all the same: only the content tells.
    let now = folder.file("now");
    let same = match seat.connection().await?.fetch(path, &now, &plain).await {
        Ok(_) => fs::read(&now)? == before,
        Err(error) if error.is_missing() => false,
        Err(error) => return Err(folder.kept(&file, error.into())),
    };
    if !same {
        let why = format!("{} was changed on the server meanwhile, and is left as it is", shown(path));
        return Err(folder.kept(&file, Failure::Failed(why)));
    }
    let sent = seat.connection().await?.send(&file, path, &Send::default()).await;
    if let Err(error) = sent {
        return Err(folder.kept(&file, error.into()));
    }
    if let Some(mode) = about.mode {
        // A new file has the mode of new files; whoever may not change that has to live with it.
        let _ = seat.connection().await?.set_mode(path, mode & 0o7777).await;
    }
    work.screen.line(&format!("{} was put back", shown(path)));
    Ok(())
}

fn run_editor(file: &Path) -> Result<(), Failure> {
    let editor = ["VISUAL", "EDITOR"].iter().find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()));
    let editor = editor.unwrap_or_else(|| "vi".into());
    // It may have options with it.
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec {editor} \"$1\""), "sh"]).arg(file);
    let status = tokio::task::block_in_place(|| shell.status())?;
    if status.success() { Ok(()) } else { Err(Failure::Failed(format!("{editor}: {status}; nothing is put back"))) }
}

/// A folder of our own for a while.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Result<Self, Failure> {
        for number in 0..1000 {
            let folder = std::env::temp_dir().join(format!("packetboat-{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&folder) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Failure::Failed(format!("{}: {error}", folder.display()))),
                Ok(()) => return Ok(Folder(folder)),
            }
        }
        Err(Failure::Failed("no room for a temporary folder".into()))
    }

    /// A file in it that no file of the server's is called like.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(format!(".packetboat {name}"))
    }

    /// The folder stays, because somebody's work is in it.
    fn kept(self, file: &Path, failure: Failure) -> Failure {
        let failure = failure.sentence().unwrap_or_default();
        let failure = failure.strip_prefix("packetboat: ").unwrap_or(&failure);
        let kept = Failure::Failed(format!("{failure}\n  what you have written is in {}", file.display()));
        std::mem::forget(self);
        kept
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is in a folder for temporary things.
        let _ = fs::remove_dir_all(&self.0);
    }
}

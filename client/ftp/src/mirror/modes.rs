//! Permissions in a tree: what is the same but for them gets those of the source.
//!
//! Invariants: no mode is changed through a link; a server that does not let us change modes costs no file, and says so once.
//! Not here: modes of files that are moved (batch, relay).

use super::{Action, Ends, Mirror, Only, Report, below};
use crate::connection::Connection;
use crate::crew::{Crew, Event};
use crate::directory::shown;
use crate::error::Error;
use ftp::Reply;
use rustix::fs::{CWD, Mode};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What can be kept of a mode: who may read, write and run.
const KEPT: u32 = 0o777;

/// What its owner may do with a directory in any case: else nothing could be put into it.
const OWNERS_MODE: u32 = 0o700;

/// The mode that something gets that has this one in the source.
pub(super) fn wanted(mode: u32, directory: bool) -> u32 {
    mode & KEPT | if directory { OWNERS_MODE } else { 0 }
}

impl Mirror {
    /// The mode to be given to what is there, where both are known and differ.
    pub(super) fn other_mode(&self, source: Option<u32>, target: Option<u32>, directory: bool) -> Option<u32> {
        let touches = self.keep_modes && matches!(self.only, Only::All | Only::Existing);
        let wanted = wanted(source.filter(|_| touches)?, directory);
        (target? & KEPT != wanted).then_some(wanted)
    }

    pub(super) async fn mend_modes(
        &self,
        actions: &[(Vec<u8>, Action)],
        ends: &Ends<'_>,
        report: &mut Report,
    ) -> Result<(), Error> {
        let modes = actions.iter().filter_map(|(path, action)| match action {
            Action::Mode { mode } => Some((&path[..], *mode)),
            _ => None,
        });
        let Some(root) = self.target() else {
            for (path, mode) in modes {
                let place = self.here(path);
                match set_mode_here(&place, mode) {
                    Ok(()) => report.modes += 1,
                    Err(why) => report.fail(ends.crew, place.as_os_str().as_bytes(), &Error::local(&place, why)),
                }
            }
            return Ok(());
        };
        let mut modes = modes.map(|(path, mode)| (below(root, path), mode)).peekable();
        if modes.peek().is_none() {
            return Ok(());
        }
        let mut connection = ends.take().await?;
        report.modes += ends.crew.give_modes(&mut connection, modes).await?;
        ends.put(connection);
        Ok(())
    }
}

/// Sets the permission bits of something here. Somebody may have put a link there since it was looked at, or does so now.
#[cfg(target_os = "linux")]
pub(crate) fn set_mode_here(place: &Path, mode: u32) -> io::Result<()> {
    use rustix::fs::{AtFlags, FileType, OFlags, chmodat, fstat, openat};
    use std::os::fd::AsRawFd;
    // Such a handle needs no permission, and is of the link itself where there is one.
    let held = openat(CWD, place, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&held)?.st_mode).is_symlink() {
        return Err(io::Error::other("it is a link, and its mode that of somebody else's file"));
    }
    // What is there in /proc leads to exactly what the handle holds.
    let held_by = format!("/proc/self/fd/{}", held.as_raw_fd());
    Ok(chmodat(CWD, held_by, Mode::from_raw_mode(mode), AtFlags::empty())?)
}

/// The same where a link has a mode of its own.
#[cfg(not(target_os = "linux"))]
pub(crate) fn set_mode_here(place: &Path, mode: u32) -> io::Result<()> {
    use rustix::fs::{AtFlags, chmodat};
    Ok(chmodat(CWD, place, Mode::from_raw_mode(mode as _), AtFlags::SYMLINK_NOFOLLOW)?)
}

impl Crew {
    /// Gives these things there their modes. How many have got them: that others are refused is told once, and is no failure.
    pub(crate) async fn give_modes(
        &self,
        connection: &mut Connection,
        modes: impl IntoIterator<Item = (Vec<u8>, u32)>,
    ) -> Result<u64, Error> {
        let mut given = 0;
        let words =
            |connection: &Connection, (path, mode): &(Vec<u8>, u32)| Ok(connection.mode_command(path, *mode)?.into());
        let answered = |(path, _): (Vec<u8>, u32), reply: Reply| {
            if reply.is_positive() {
                given += 1;
            } else if self.is_first_refused_mode() {
                let error = Error::Refused { step: format!("change the mode of {}", shown(&path)), reply };
                self.tell(&Event::ModeRefused { name: &path, error: &error });
            }
            Ok(())
        };
        connection.say_of_each(modes, words, answered).await?;
        Ok(given)
    }
}

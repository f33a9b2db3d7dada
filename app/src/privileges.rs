//! Giving up root: once the ports are open, and before anything is made in a data directory of somebody else.

use crate::failure::Failure;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{Gid, Uid, User, chown, fchownat, geteuid, initgroups, setgid, setgroups, setuid};
use std::ffi::CString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tracing::warn;

/// Becomes `user` if one is configured, and makes the data directory his, with what was made in it to open the ports. Threads
/// started before change with us.
///
/// # Errors
/// When there is no such user, or when we are not root and asked to become another.
pub fn drop_to(user: Option<&str>, data_dir: &Path) -> Result<(), Failure> {
    let Some(name) = user else {
        if geteuid().is_root() {
            warn!("running as root; set `user` in the configuration, or let systemd do it");
        }
        return Ok(());
    };
    let user = User::from_name(name)
        .map_err(|error| Failure::Failed(format!("the user {name}: {error}")))?
        .ok_or_else(|| Failure::Failed(format!("there is no system user {name}; make one with useradd --system")))?;
    if user.uid == geteuid() {
        return Ok(());
    }
    let become_user = || -> Result<(), Box<dyn std::error::Error>> {
        store::privacy::make_dir(data_dir)?;
        chown(data_dir, Some(user.uid), Some(user.gid))?;
        for made in server::MADE_BEFORE.map(|name| data_dir.join(name)).iter().filter(|made| made.exists()) {
            fchownat(AT_FDCWD, made, Some(user.uid), Some(user.gid), AtFlags::AT_SYMLINK_NOFOLLOW)?;
        }
        initgroups(&CString::new(name)?, user.gid)?;
        setgid(user.gid)?;
        Ok(setuid(user.uid)?)
    };
    become_user()
        .map_err(|error| Failure::Failed(format!("becoming {name}: {error}; only root can become another user")))
}

/// Becomes whom a data directory belongs to, so that what is made there is his, too. Who is not root stays who he is.
///
/// # Errors
/// When root may not become another user.
pub fn become_owner_of(data_dir: &Path) -> Result<(), Failure> {
    let Ok(directory) = std::fs::metadata(data_dir) else { return Ok(()) };
    let (uid, group) = (Uid::from_raw(directory.uid()), Gid::from_raw(directory.gid()));
    if !geteuid().is_root() || uid.is_root() {
        return Ok(());
    }
    let user = User::from_uid(uid).ok().flatten();
    let group = user.map_or(group, |user| user.gid);
    let become_owner = || setgroups(&[group]).and_then(|()| setgid(group)).and_then(|()| setuid(uid));
    become_owner().map_err(|error| Failure::Failed(format!("becoming the owner of {}: {error}", data_dir.display())))
}

/// Something in the data directory that belongs to another user, who is not us and keeps it from us.
pub fn kept_from_us(data_dir: &Path) -> Option<PathBuf> {
    let ours = geteuid();
    let entries = std::fs::read_dir(data_dir).ok()?.flatten();
    let others = |entry: &std::fs::DirEntry| entry.metadata().is_ok_and(|found| found.uid() != ours.as_raw());
    entries.into_iter().find(others).filter(|_| !ours.is_root()).map(|entry| entry.path())
}

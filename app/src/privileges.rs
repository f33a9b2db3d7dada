//! Giving up root once the ports are open.

use crate::failure::Failure;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{User, chown, fchownat, geteuid, initgroups, setgid, setuid};
use std::ffi::CString;
use std::path::Path;
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

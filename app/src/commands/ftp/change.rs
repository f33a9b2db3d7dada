//! What is made, removed and renamed on the server.
//!
//! Invariants: programs are told of each thing that was changed, also where not all of it was.
//! Not here: trees that are made alike (mirror, in the client library), the same at the prompt (shell).

use super::access::place;
use super::open;
use super::rehearsal::Rehearsal;
use super::show::Show;
use crate::cli::ftp::{Mkdir, Mv, Rm};
use crate::failure::Failure;
use crate::output;
use ftp_client::directory::{join, parted, without_slash};
use ftp_client::{Connection, Event, Report, Url};

/// What somebody might want where a directory is not removed.
pub const EMPTY_ONLY: &str = "rm -r removes a directory with all that is in it";

pub async fn make(mkdir: Mkdir) -> Result<(), Failure> {
    let place = place(&mkdir.url, &mkdir.access)?;
    let show = Show::new(&mkdir.access);
    let path = without_slash(&place.url.path);
    let mut connection = open(&place).await?;
    let watcher = show.watcher();
    let made = match mkdir.dry_run {
        true => Rehearsal::new(&show, &output::say).would_make(&mut connection, path).await,
        false => {
            let made = connection.make_directories(path, |made| watcher(&Event::Made { name: made })).await;
            made.map_err(Failure::from)
        }
    };
    connection.quit().await;
    show.end_change(path, made)
}

pub async fn remove(rm: Rm) -> Result<(), Failure> {
    let place = place(&rm.url, &rm.access)?;
    if place.url.name().is_none() {
        return Err(Failure::Failed(format!("{}: that is all there is; name something in it", place.url)));
    }
    let show = Show::new(&rm.access);
    let path = without_slash(&place.url.path);
    let mut connection = open(&place).await?;
    let removed = match rm.dry_run {
        true => Rehearsal::new(&show, &output::say).would_remove(&mut connection, path, rm.recursive).await,
        false => remove_there(&mut connection, path, rm.recursive, &show).await,
    };
    connection.quit().await;
    show.end_change(path, removed)
}

async fn remove_there(connection: &mut Connection, path: &[u8], recursive: bool, show: &Show) -> Result<(), Failure> {
    let watcher = show.watcher();
    let gone = |path: &[u8]| {
        show.add(&Report { removed: 1, ..Report::default() });
        watcher(&Event::Removed { name: path });
    };
    if recursive {
        return Ok(connection.remove_tree(path, gone).await?);
    }
    if !connection.remove_unless_directory(path).await? {
        remove_directory(connection, path).await?;
    }
    gone(path);
    Ok(())
}

/// One that is empty; who wants more is told how to have it.
pub async fn remove_directory(connection: &mut Connection, path: &[u8]) -> Result<(), Failure> {
    let Err(error) = connection.remove_directory(path).await else { return Ok(()) };
    let full = matches!(connection.list(path).await, Ok(listing) if !listing.entries.is_empty());
    let failure = Failure::from(error);
    Err(if full { failure.with_hint(EMPTY_ONLY) } else { failure })
}

pub async fn rename(mv: Mv) -> Result<(), Failure> {
    let place = place(&mv.url, &mv.access)?;
    let (from, to) = (&place.url.path, new_path(&place.url, &mv.to)?);
    let show = Show::new(&mv.access);
    let mut connection = open(&place).await?;
    let to = match !to.is_empty() && connection.is_directory(&to).await {
        true => join(&to, parted(without_slash(from)).1),
        false => to,
    };
    let renamed = match mv.dry_run {
        true => Rehearsal::new(&show, &output::say).would_rename(&mut connection, from, &to).await,
        false => {
            let renamed = connection.rename(from, &to).await;
            let told = renamed.map(|()| show.watcher()(&Event::Renamed { name: from, to: &to }));
            told.map_err(Failure::from)
        }
    };
    connection.quit().await;
    show.end_change(from, renamed)
}

/// A path, or that of a URL: it must be one of the same server.
fn new_path(from: &Url, to: &str) -> Result<Vec<u8>, Failure> {
    if !to.contains("://") {
        return Ok(to.into());
    }
    let there: Url = to.parse()?;
    let same_user = there.user.is_none() || there.user == from.user;
    if (&there.host, there.port) != (&from.host, from.port) || !same_user {
        return Err(Failure::Misused(format!(
            "{there} is elsewhere; `mirror` and `get` with `put` move files between servers"
        )));
    }
    Ok(there.path)
}

//! Times that a listing leaves open. LIST tells them to the minute or to the day; MDTM tells them exactly, and is asked where
//! that decides something.
//!
//! Not here: what comes of them (compare).

use super::sides::{DAY_SECS, Entries, Node};
use super::{Compare, Mirror, Only};
use crate::connection::{Connection, wire_path};
use crate::directory::join;
use crate::error::Error;

/// So far apart a server's clock and ours may be.
const CLOCKS_APART_SECS: i64 = 10 * 60;

/// Whether the exact time of a file in the source is worth asking for.
pub(super) fn time_is_of_use(mirror: &Mirror, source: &Node, target: Option<&Node>) -> bool {
    match target {
        None => mirror.only != Only::Existing,
        Some(target) if !target.is_file() || mirror.only == Only::Missing => false,
        Some(target) => {
            let will_move = mirror.only != Only::Newer && source.has_another_size(target);
            will_move || mirror.compare == Compare::Sum || is_doubtful(mirror, source, target)
        }
    }
}

/// Whether which of two files is newer decides, and cannot be said by what listings tell.
pub(super) fn is_doubtful(mirror: &Mirror, source: &Node, target: &Node) -> bool {
    let decides = match (mirror.only, mirror.compare) {
        (Only::Missing, _) => false,
        (Only::Newer, _) => true,
        (_, compare) => compare == Compare::Time && !source.has_another_size(target),
    };
    // A day may be that of another zone.
    let open_secs = 2 * i64::from(source.exact_to_secs.max(target.exact_to_secs));
    let apart = source.time.zip(target.time).map(|(one, other)| (one.unix_secs() - other.unix_secs()).abs());
    // What has the very time that LIST tells is from whoever knew no other: it is taken for the same.
    decides && apart.is_none_or(|secs| (1..=open_secs).contains(&secs)) && !is_settled(source, target)
}

/// Whether what is here was fetched when the minute, or the day, that LIST tells was over: then it has all that changed in it.
fn is_settled(source: &Node, target: &Node) -> bool {
    let (Some(told), Some(here), Some(born)) = (source.time, target.time, target.born) else { return false };
    let open_secs = i64::from(source.exact_to_secs);
    // A day may be that of another zone.
    let zone_secs = if source.exact_to_secs < DAY_SECS { 0 } else { i64::from(DAY_SECS) };
    let (began, over) = (told.unix_secs() - zone_secs, told.unix_secs() + open_secs + zone_secs);
    source.size.is_some()
        && source.size == target.size
        && (began..over).contains(&here.unix_secs())
        && born.unix_secs() > over + CLOCKS_APART_SECS
}

/// Puts exact times into what a listing has told of files, where they are of use. What is refused stays as it is.
pub(super) async fn tell_times(
    connection: &mut Connection,
    directory: &[u8],
    entries: &mut Entries,
    of_use: impl Fn(&Vec<u8>, &Node) -> bool,
) -> Result<(), Error> {
    if !connection.features().mdtm {
        return Ok(());
    }
    let is_asked =
        |(name, node): &(&Vec<u8>, &mut Node)| node.is_file() && !node.has_exact_time() && of_use(name, node);
    let asked: Vec<(&Vec<u8>, &mut Node)> = entries.iter_mut().filter(is_asked).collect();
    let paths = asked.iter().map(|(name, _)| wire_path(&join(directory, name))).collect::<Result<Vec<_>, Error>>()?;
    let times = connection.times(&paths).await?;
    for ((_, node), told) in asked.into_iter().zip(times) {
        if told.is_some() {
            (node.time, node.exact_to_secs) = (told, 1);
        }
    }
    Ok(())
}

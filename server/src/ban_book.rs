//! Bans as the store keeps them, so that a restart lets nobody in who was kept out.
//!
//! An entry for each, from when it is earned until a day after its end: so long the next one is longer for it. Failures that
//! have not earned a ban yet are in memory alone.
//!
//! Invariants: what is kept is in wall-clock time, for the other clock dies with the process.
//! Not here: what earns a ban (policy), who is told of one (judgement).

use crate::control::BanLine;
use policy::{BAN_MEMORY, Ban, BanCause, Origin};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};
use store::{Op, ReadError, Store};
use tracing::warn;

/// The kind of the store's entries; their keys are the origins.
const KIND: &str = "ban";

/// A ban on disk.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// Its end in Unix seconds.
    until: i64,
    /// How many in a row.
    times: u32,
}

/// Keeps one.
pub fn keep(ban: &Ban, now: Instant, unix: i64) -> Op {
    let left = i64::try_from(ban.left(now).as_secs()).unwrap_or(i64::MAX);
    let kept = Kept { until: unix.saturating_add(left), times: ban.times };
    let value = serde_json::to_string(&kept).expect("two numbers can be written");
    Op::PutEntry { kind: KIND.into(), key: ban.origin.to_string(), value }
}

/// Forgets one.
pub fn forget(origin: Origin) -> Op {
    Op::RemoveEntry { kind: KIND.into(), key: origin.to_string() }
}

/// Those that are still worth knowing.
///
/// # Errors
/// When the store cannot be read.
pub fn read(store: &Store, now: Instant, unix: i64) -> Result<Vec<Ban>, ReadError> {
    Ok(entries(store)?
        .into_iter()
        .filter(|(_, kept)| !is_past(kept, unix))
        .map(|(origin, kept)| ban(origin, &kept, now, unix))
        .collect())
}

/// Forgets those that are past, and what cannot be read.
///
/// # Errors
/// When the store cannot be read.
pub fn past(store: &Store, unix: i64) -> Result<Vec<Op>, ReadError> {
    let is_past = |value: &str| serde_json::from_str(value).is_ok_and(|kept| is_past(&kept, unix));
    let entries = store.entries(KIND)?.into_iter().filter(|(_, value)| is_past(value));
    Ok(entries.map(|(key, _)| Op::RemoveEntry { kind: KIND.into(), key }).collect())
}

/// Those that hold, for a list.
///
/// # Errors
/// When the store cannot be read.
pub fn lines(store: &Store, unix: i64) -> Result<Vec<BanLine>, ReadError> {
    let holding = entries(store)?.into_iter().filter(|(_, kept)| kept.until > unix);
    let line =
        |(origin, kept): (Origin, Kept)| BanLine { address: origin.to_string(), until: kept.until, why: FAILED.into() };
    Ok(holding.map(line).collect())
}

/// Why somebody is banned, in words.
pub const FAILED: &str = "too many failed logins";

fn entries(store: &Store) -> Result<Vec<(Origin, Kept)>, ReadError> {
    let read = |(key, value): (String, String)| match (key.parse(), serde_json::from_str(&value)) {
        (Ok(origin), Ok(kept)) => Some((origin, kept)),
        _ => {
            warn!(key, "a ban in the store is damaged, and does not hold");
            None
        }
    };
    Ok(store.entries(KIND)?.into_iter().filter_map(read).collect())
}

fn is_past(kept: &Kept, unix: i64) -> bool {
    let memory = i64::try_from(BAN_MEMORY.as_secs()).unwrap_or(i64::MAX);
    kept.until.saturating_add(memory) <= unix
}

fn ban(origin: Origin, kept: &Kept, now: Instant, unix: i64) -> Ban {
    let ahead = kept.until.saturating_sub(unix);
    let distance = Duration::from_secs(ahead.unsigned_abs());
    // A machine that was just started cannot tell how long ago it was; it is over, which is what counts.
    let until = if ahead > 0 { now.checked_add(distance) } else { Some(now.checked_sub(distance).unwrap_or(now)) };
    Ban { origin, cause: BanCause::FailedLogins, since: now, until, times: kept.times }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::Commit;

    #[tokio::test]
    async fn a_house_that_opens_keeps_out_who_was_kept_out() {
        let folder = tempfile::tempdir().expect("a directory");
        let settings = crate::dev::settings(folder.path(), std::net::Ipv4Addr::LOCALHOST.into(), None);
        let settings =
            crate::Settings { people: &[], directory: crate::settings::DirectorySettings::default(), ..settings };
        let house = crate::house::House::open(settings.clone()).await.expect("a house");
        let address = "192.0.2.1".parse().expect("an address");
        let earned = (0..100).find_map(|guess| house.judgement.failed(address, "alice", Some(guess)));
        let keeping = keep(&earned.expect("a ban"), Instant::now(), house.now());
        house.store.commit(Commit::of(vec![keeping])).await.expect("kept");
        house.store.close();
        drop(house);
        let house = crate::house::House::open(settings).await.expect("a house");
        assert!(
            house.judgement.is_banned(address) && !house.judgement.is_banned("192.0.2.2".parse().expect("an address"))
        );
        let admin = crate::admin::Admin::of(std::sync::Arc::clone(&house));
        let teller = tokio::sync::mpsc::channel(1).0;
        let lifted = admin.answer(&crate::control::Request::BanLift { address }, teller).await;
        assert!(matches!(lifted, crate::control::Answer::Done(_)), "{lifted:?}");
        assert_eq!(lines(&house.store, house.now()).expect("read").len(), 0);
    }

    #[tokio::test]
    async fn a_ban_holds_after_a_restart_until_its_end_and_is_remembered_for_a_day() {
        let folder = tempfile::tempdir().expect("a directory");
        let store = Store::open(folder.path(), store::Options::default()).expect("a store");
        let (now, unix) = (Instant::now(), 1_764_303_150);
        let origin: Origin = "192.0.2.1".parse().expect("an origin");
        let until = Some(now + Duration::from_secs(900));
        let earned = Ban { origin, cause: BanCause::FailedLogins, since: now, until, times: 3 };
        store.commit(Commit::of(vec![keep(&earned, now, unix)])).await.expect("kept");
        assert_eq!(read(&store, now, unix).expect("read"), [earned]);
        assert_eq!(lines(&store, unix).expect("read")[0].until, unix + 900);
        let over = read(&store, now, unix + 1000).expect("read");
        assert_eq!((over[0].left(now), over[0].times), (Duration::ZERO, 3));
        assert_eq!(lines(&store, unix + 1000).expect("read").len(), 0);
        assert_eq!(past(&store, unix + 1000).expect("read").len(), 0);
        let later = unix + 900 + 86_400;
        assert_eq!(read(&store, now, later).expect("read"), []);
        store.commit(Commit::of(past(&store, later).expect("read"))).await.expect("forgotten");
        assert_eq!(read(&store, now, unix).expect("read"), []);
    }
}

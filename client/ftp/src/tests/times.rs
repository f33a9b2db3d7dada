//! Times of servers that have LIST alone, which tells them to the minute or to the day: MDTM tells the rest.

use super::{Habits, Server, mirror};
use crate::directory::{moment, now};
use crate::fetch::system_time;
use crate::mirror::Only;
use crate::{Crew, Direction, Mirror, Moment, Report};
use ftp::moment::Civil;
use std::path::Path;
use std::sync::Arc;

/// LIST tells the first to the minute, the second to the day.
const LISTED: &[(&str, &str)] =
    &[("", "07-10-26  10:18AM  4 menu\r\n"), ("old", "-rw-r--r--   1 bob bob    4 Jan  5  2025 wine\r\n")];

const FILES: &[(&str, &[u8])] = &[("menu", b"soup"), ("old/wine", b"port")];

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

type Times = &'static [(&'static str, &'static str)];

async fn server(times: Times) -> Server {
    let habits = Habits { listings: LISTED, times, vague: true, features: " MDTM\r\n", ..Habits::default() };
    Server::start(habits, FILES).await
}

fn at(text: &str) -> Moment {
    Moment::parse(text.as_bytes()).expect("a time")
}

fn set_time(file: &Path, text: &str) {
    let file = std::fs::File::options().write(true).open(file).expect("a file");
    file.set_modified(system_time(at(text))).expect("set");
}

async fn made(server: &Server, wishes: Mirror) -> Report {
    let crew = Crew::new(server.site(), 1, Arc::new(|_| ()));
    let (_, report) = wishes.make(&crew).await.expect("made");
    assert_eq!(report.failed, 0);
    report
}

/// A server where both files were changed today: in this very minute, and at some time of the day. Or so LIST tells; MDTM tells
/// these seconds of the minute, and this hour of the day.
async fn today(second: u32, hour: u32) -> (Server, Moment) {
    let now = now().civil();
    let Civil { year, month, day, hour: this_hour, minute, .. } = now;
    let menu = format!("{month:02}-{day:02}-{year}  {this_hour:02}:{minute:02}  4 menu\r\n");
    let wine = format!("-rw-r--r--   1 bob bob    4 {} {day}  {year} wine\r\n", MONTHS[month as usize - 1]);
    let told = [Civil { second, ..now }, Civil { hour, ..now }].map(|civil| civil.moment().expect("a time"));
    let habits = Habits {
        listings: leaked([("", menu), ("old", wine)]),
        times: leaked([("menu", written(told[0])), ("old/wine", written(told[1]))]),
        vague: true,
        features: " MDTM\r\n",
        ..Habits::default()
    };
    (Server::start(habits, FILES).await, told[0])
}

fn written(moment: Moment) -> String {
    let mut digits = Vec::new();
    moment.write(&mut digits);
    String::from_utf8(digits).expect("digits")
}

fn leaked(pairs: [(&'static str, String); 2]) -> Times {
    Box::leak(Box::new(pairs.map(|(name, text)| (name, &*text.leak()))))
}

#[tokio::test]
async fn what_is_fetched_has_its_exact_time_and_is_fetched_again_when_it_changes_within_the_minute() {
    let folder = tempfile::tempdir().expect("a folder");
    let wishes = mirror(folder.path(), false);
    let (first, then) = (today(33, 11).await, today(50, 11).await);
    for ((server, told), moved) in [(&first, 1), (&first, 0), (&then, 1), (&then, 0)] {
        assert_eq!(made(server, wishes.clone()).await.moved, moved, "{told:?}");
        let here = folder.path().join("menu").metadata().and_then(|about| about.modified()).expect("a time");
        assert_eq!(moment(here), *told);
    }
}

#[tokio::test]
async fn a_day_is_no_time_either() {
    let folder = tempfile::tempdir().expect("a folder");
    let wishes = Mirror { remote: b"old".to_vec(), ..mirror(folder.path(), false) };
    for (hour, moved) in [(11, 1), (11, 0), (20, 1)] {
        assert_eq!(made(&today(0, hour).await.0, wishes.clone()).await.moved, moved, "{hour}");
    }
}

#[tokio::test]
async fn what_was_fetched_when_that_minute_or_day_was_over_is_not_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    // Where there are hours, once for the zone of its clock.
    for (remote, zone) in [("", 1), ("old", 0)] {
        let wishes = Mirror { remote: remote.into(), ..mirror(&folder.path().join(remote), false) };
        for (moved, asked) in [(1, zone + 1), (0, zone)] {
            let server = server(&[("old/wine", "20250105111213")]).await;
            assert_eq!(made(&server, wishes.clone()).await.moved, moved, "{remote}");
            assert_eq!(server.heard("MDTM").len(), asked, "{remote}");
        }
    }
}

#[tokio::test]
async fn what_came_here_before_that_minute_is_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, told) = today(33, 11).await;
    std::fs::write(folder.path().join("menu"), "soup").expect("written");
    set_time(&folder.path().join("menu"), &written(Moment::from_unix_secs(told.unix_secs() - 13)));
    assert_eq!(made(&server, mirror(folder.path(), false)).await.moved, 1);
}

#[tokio::test]
async fn what_was_fetched_with_the_time_of_the_listing_is_not_fetched_again() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("menu"), "soup").expect("written");
    set_time(&folder.path().join("menu"), "20260710101800");
    assert_eq!(made(&server(&[]).await, mirror(folder.path(), false)).await.moved, 0);
}

#[tokio::test]
async fn what_the_listing_decides_is_not_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("menu"), "soup").expect("written");
    set_time(&folder.path().join("menu"), "20260710102100");
    // Once for the zone of its clock.
    for (only, asked) in [(Only::All, 1), (Only::Newer, 1), (Only::Missing, 1)] {
        let server = server(&[]).await;
        assert_eq!(made(&server, Mirror { only, ..mirror(folder.path(), false) }).await.moved, 0);
        assert_eq!(server.heard("MDTM").len(), asked, "{only:?}");
    }
}

#[tokio::test]
async fn what_is_changed_here_within_the_minute_is_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("menu"), "SOUP").expect("written");
    for (time, moved) in [("20260710101833", 0), ("20260710101850", 1)] {
        set_time(&folder.path().join("menu"), time);
        let server = server(&[]).await;
        let wishes = Mirror { direction: Direction::There, ..mirror(folder.path(), false) };
        assert_eq!(made(&server, wishes).await.moved, moved, "{time}");
    }
}

#[tokio::test]
async fn a_server_without_mdtm_is_believed_to_the_minute() {
    let folder = tempfile::tempdir().expect("a folder");
    let habits = Habits { listings: LISTED, vague: true, ..Habits::default() };
    let server = Server::start(habits, FILES).await;
    for moved in [1, 0] {
        assert_eq!(made(&server, mirror(folder.path(), false)).await.moved, moved);
    }
    assert_eq!(server.heard("MDTM"), [""; 0]);
}

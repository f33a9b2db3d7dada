//! One file over several connections.

use super::{Habits, Server, names};
use crate::crew::{Crew, Event};
use crate::directory::time_of;
use crate::fetch::Fetch;
use crate::mirror::Report;
use crate::pieces::{About, PIECE_MIN_OCTETS, Whole};
use crate::{Connection, Error};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

pub(super) const LENGTH: usize = 3 * PIECE_MIN_OCTETS as usize + 5;

/// No stretch of it is like another. Made once: there is much of it.
pub(super) fn content() -> Vec<u8> {
    static MADE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let mut content = vec![0; LENGTH.next_multiple_of(8)];
        for (number, stretch) in (0_u64..).zip(content.chunks_exact_mut(8)) {
            stretch.copy_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
        }
        content.truncate(LENGTH);
        content
    });
    MADE.clone()
}

/// Where a file differs is more than that it does.
fn assert_is(target: &Path, content: &[u8]) {
    let is = std::fs::read(target).expect("a file");
    let wrong: Vec<usize> = (0..content.len().min(is.len())).filter(|at| is[*at] != content[*at]).collect();
    let zero = wrong.iter().filter(|at| is[**at] == 0).count();
    let (first, last) = (wrong.first(), wrong.last());
    assert!(is == content, "{} octets, {} wrong from {first:?} to {last:?}, {zero} of them 0", is.len(), wrong.len());
}

async fn fetch(server: &Server, target: &Path, resume: bool) -> (Report, Vec<String>) {
    let failures = Arc::new(Mutex::new(Vec::new()));
    let told = failures.clone();
    let watcher = Arc::new(move |event: &Event<'_>| {
        if let Event::Failed { error, .. } = event {
            told.lock().expect("not poisoned").push(error.to_string());
        }
    });
    let crew = Crew::new(server.site(), 3, watcher);
    let wishes = Fetch { resume, split_from: Some(2 * PIECE_MIN_OCTETS), ..Fetch::default() };
    let report = crew.fetch_all(vec![(b"menu".to_vec(), target.to_path_buf())], &wishes).await.expect("connected");
    let failures = failures.lock().expect("not poisoned").clone();
    (report, failures)
}

#[tokio::test]
async fn a_large_file_comes_in_pieces() {
    let (folder, content) = (tempfile::tempdir().expect("a folder"), content());
    let target = folder.path().join("menu");
    for features in ["", " RANG STREAM\r\n"] {
        let server = Server::start(Habits { features, ..Habits::default() }, &[("menu", &content)]).await;
        let (report, failures) = fetch(&server, &target, false).await;
        assert_eq!((report.moved, report.octets, failures), (1, LENGTH as u64, Vec::new()));
        assert_is(&target, &content);
        assert_eq!(server.heard("RETR").len(), 3);
        assert_eq!(server.heard("RANG").len(), if features.is_empty() { 0 } else { 3 });
        assert_eq!(names(folder.path()), ["menu"]);
    }
}

#[tokio::test]
async fn a_small_one_or_one_of_many_does_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let content = content();
    let server = Server::start(Habits::default(), &[("menu", &content[..LENGTH / 3 * 2 - 9])]).await;
    fetch(&server, &folder.path().join("menu"), false).await;
    assert_eq!(server.heard("RETR").len(), 1);
    let server = Server::start(Habits::default(), &[("menu", &content)]).await;
    let crew = Crew::new(server.site(), 3, Arc::new(|_| ()));
    let wanted = vec![(b"menu".to_vec(), folder.path().join("menu"))];
    assert_eq!(crew.fetch_all(wanted, &Fetch::default()).await.expect("connected").moved, 1);
    assert_eq!(server.heard("RETR").len(), 1, "it is no long one where nobody says so");
}

#[tokio::test]
async fn who_has_no_rest_after_all_sends_the_whole() {
    let (folder, content) = (tempfile::tempdir().expect("a folder"), content());
    let target = folder.path().join("menu");
    let server = Server::start(Habits { no_rest: true, ..Habits::default() }, &[("menu", &content)]).await;
    let (report, failures) = fetch(&server, &target, false).await;
    assert_eq!((report.moved, report.failed, failures), (1, 0, Vec::new()));
    assert_is(&target, &content);
    assert_eq!(names(folder.path()), ["menu"]);
}

/// Begins, with the first of the pieces, and is killed.
async fn begin(server: &Server, target: &Path) {
    let mut connection = Connection::open(&server.site()).await.expect("open");
    let told = time_of(&ftp::Reply::new(213, "20260710101833"));
    let about = About { size: LENGTH as u64, time: told, told };
    let whole = Arc::new(Whole::begin(b"menu", target, &about, 3, false).expect("begun"));
    connection.fetch_piece(&whole, 0, None).await.expect("a piece");
    assert!(!whole.is_to_complete());
    assert!(!target.exists());
}

#[tokio::test]
async fn pieces_that_were_begun_are_gone_on_with() {
    let (folder, content) = (tempfile::tempdir().expect("a folder"), content());
    let target = folder.path().join("menu");
    let server = Server::start(Habits::default(), &[("menu", &content)]).await;
    begin(&server, &target).await;
    let before = server.heard("RETR").len();
    let (report, failures) = fetch(&server, &target, true).await;
    assert_eq!((report.moved, failures), (1, Vec::new()));
    assert_eq!(server.heard("RETR").len() - before, 2, "the first piece was here");
    assert_is(&target, &content);
    assert_eq!(names(folder.path()), ["menu"]);
}

#[tokio::test]
async fn a_part_that_one_connection_began_is_gone_on_with_by_several() {
    let (folder, content) = (tempfile::tempdir().expect("a folder"), content());
    let target = folder.path().join("menu");
    let short = Server::start(Habits { short: Some(1000), ..Habits::default() }, &[("menu", &content)]).await;
    let wishes = Fetch::default();
    super::fetch(&short, &target, &wishes).await.expect_err("short");
    let server = Server::start(Habits::default(), &[("menu", &content)]).await;
    fetch(&server, &target, true).await;
    assert_is(&target, &content);
    let mut starts = server.heard("REST");
    starts.sort();
    assert_eq!((server.heard("RETR").len(), starts.len()), (3, 2), "the first is compared from its start: {starts:?}");
}

#[tokio::test]
async fn pieces_of_two_files_are_not_put_together() {
    let (folder, content) = (tempfile::tempdir().expect("a folder"), content());
    let target = folder.path().join("menu");
    let server = Server::start(Habits { short: Some(1000), ..Habits::default() }, &[("menu", &content)]).await;
    super::fetch(&server, &target, &Fetch::default()).await.expect_err("short");
    let other = [&content[8..], &content[..8]].concat();
    let server = Server::start(Habits::default(), &[("menu", &other)]).await;
    let (report, failures) = fetch(&server, &target, true).await;
    assert_eq!((report.moved, failures), (1, Vec::new()));
    assert_is(&target, &other);
}

#[tokio::test]
async fn a_file_that_changes_meanwhile_does_not_get_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("menu");
    let server = Server::start(Habits::default(), &[("menu", &content())]).await;
    let told = time_of(&ftp::Reply::new(213, "20250101000000"));
    let about = About { size: LENGTH as u64, time: told, told };
    let whole = Arc::new(Whole::begin(b"menu", &target, &about, 2, false).expect("begun"));
    let mut connection = Connection::open(&server.site()).await.expect("open");
    for index in 0..whole.pieces() {
        connection.fetch_piece(&whole, index, None).await.expect("a piece");
    }
    assert!(whole.is_to_complete());
    let error = connection.complete(&whole, &Fetch::default()).await.expect_err("another one");
    assert!(matches!(error, Error::Differs { .. }), "{error}");
    assert!(names(folder.path()).is_empty());
}

#[tokio::test]
async fn a_piece_that_does_not_come_leaves_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("menu");
    let habits = Habits { short: Some(LENGTH / 2), ..Habits::default() };
    let server = Server::start(Habits { size: Some(LENGTH as u64), ..habits }, &[("menu", &content())]).await;
    let (report, failures) = fetch(&server, &target, false).await;
    assert_eq!((report.moved, report.failed, failures.len()), (0, 1, 1), "{failures:?}");
    assert!(!target.exists());
}

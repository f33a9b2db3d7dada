//! One file sent over several connections.

use super::pieces::{LENGTH, content};
use super::{Habits, Server};
use crate::crew::{Crew, Event};
use crate::mirror::Report;
use crate::send::Send;
use crate::shipment::Shipment;
use crate::{Connection, Error};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

const JOINS: Habits = Habits {
    cut_after: None,
    size: None,
    listing: None,
    listings: &[],
    times: &[],
    facts: &[],
    places: &[],
    long_listings: &[],
    no_options: false,
    endless_listing: None,
    foreign_address: false,
    stalls: false,
    endless_reply: None,
    short: None,
    features: " COMB target;source_list\r\n",
    no_rest: false,
    no_comb: false,
    room: None,
    name: "",
    vague: false,
    deaf: false,
    hangs_up_at: None,
    no_renaming: false,
    no_restart: false,
    full: false,
    no_modes: false,
    clings: false,
};

const IN_PIECES: Send =
    Send { resume: false, verify: false, keep_time: false, in_place: false, in_pieces: true, heard: None };

/// A large file here.
fn source() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("menu");
    std::fs::write(&source, content()).expect("written");
    (folder, source)
}

async fn send(server: &Server, source: &Path, hands: usize, wishes: &Send) -> (Report, Vec<String>) {
    let failures = Arc::new(Mutex::new(Vec::new()));
    let told = failures.clone();
    let watcher = Arc::new(move |event: &Event<'_>| {
        if let Event::Failed { error, .. } = event {
            told.lock().expect("not poisoned").push(error.to_string());
        }
    });
    let crew = Crew::new(server.site(), hands, watcher);
    let report = crew.send_all(vec![(source.to_path_buf(), b"menu".to_vec())], wishes).await.expect("connected");
    let failures = failures.lock().expect("not poisoned").clone();
    (report, failures)
}

/// All of it is there, and nothing else.
#[track_caller]
fn assert_arrived(server: &Server, (report, failures): (Report, Vec<String>)) {
    assert_eq!((report.moved, report.octets, report.failed, failures), (1, LENGTH as u64, 0, Vec::new()));
    assert_eq!(server.names(), ["menu"]);
    assert!(server.file("menu").expect("a file") == content());
}

#[tokio::test]
async fn a_large_file_goes_in_pieces_and_none_is_left() {
    let (_folder, source) = source();
    let server = Server::start(JOINS, &[("menu", b"the old one")]).await;
    let sent = send(&server, &source, 3, &IN_PIECES).await;
    assert_arrived(&server, sent);
    assert_eq!((server.heard("STOR").len(), server.heard("COMB").len()), (3, 1));
    assert_eq!(server.heard("USER").len(), 3, "three connections");
}

#[tokio::test]
async fn what_is_not_wished_or_not_offered_or_not_large_goes_in_one() {
    let (folder, source) = source();
    let server = Server::start(JOINS, &[]).await;
    let sent = send(&server, &source, 3, &Send { in_pieces: false, ..IN_PIECES }).await;
    assert_arrived(&server, sent);
    let sent = send(&server, &source, 1, &IN_PIECES).await;
    assert_arrived(&server, sent);
    let small = folder.path().join("small");
    std::fs::write(&small, "soup").expect("written");
    send(&server, &small, 3, &IN_PIECES).await;
    assert_eq!((server.heard("STOR").len(), server.heard("COMB").len()), (3, 0));
    let server = Server::start(Habits { features: "", ..JOINS }, &[]).await;
    let sent = send(&server, &source, 3, &IN_PIECES).await;
    assert_arrived(&server, sent);
    assert_eq!((server.heard("STOR").len(), server.heard("COMB").len()), (1, 0));
}

#[tokio::test]
async fn who_does_not_join_them_after_all_gets_the_whole_and_keeps_no_piece() {
    let (_folder, source) = source();
    let server = Server::start(Habits { no_comb: true, ..JOINS }, &[]).await;
    let sent = send(&server, &source, 3, &IN_PIECES).await;
    assert_arrived(&server, sent);
    assert_eq!(server.heard("STOR").len(), 4);
}

#[tokio::test]
async fn who_has_room_for_two_gets_two_connections() {
    let (_folder, source) = source();
    let server = Server::start(Habits { room: Some(2), ..JOINS }, &[]).await;
    let sent = send(&server, &source, 4, &IN_PIECES).await;
    assert_arrived(&server, sent);
    assert_eq!((server.heard("STOR").len(), server.heard("USER").len()), (3, 2));
}

/// Sends so many of the pieces, and is killed.
async fn begin(server: &Server, source: &Path, pieces: usize) {
    let mut connection = Connection::open(&server.site()).await.expect("open");
    let shipment = Shipment::begin(source, b"menu").expect("begun").expect("large");
    for index in 0..pieces {
        connection.send_piece(&shipment, index, &IN_PIECES).await.expect("a piece");
    }
    assert_eq!(server.file("menu"), None);
}

#[tokio::test]
async fn pieces_that_were_begun_are_gone_on_with_by_any_number_of_connections() {
    let (_folder, source) = source();
    for hands in [2, 3, 7] {
        let server = Server::start(JOINS, &[]).await;
        begin(&server, &source, 2).await;
        let before = server.heard("STOR").len();
        let sent = send(&server, &source, hands, &Send { resume: true, ..IN_PIECES }).await;
        assert_arrived(&server, sent);
        assert_eq!(server.heard("STOR").len() - before, 1, "two pieces were there");
    }
}

#[tokio::test]
async fn half_a_piece_is_gone_on_with_and_one_of_another_file_is_not() {
    let (_folder, source) = source();
    for (xor, again) in [(0, 1), (0x55, 0)] {
        let server = Server::start(JOINS, &[]).await;
        begin(&server, &source, 1).await;
        let name = server.names().remove(0);
        {
            let mut files = server.files.lock().expect("not poisoned");
            let piece = files.get_mut(&name).expect("a piece");
            piece.truncate(100_000);
            piece.iter_mut().for_each(|octet| *octet ^= xor);
        }
        let sent = send(&server, &source, 3, &Send { resume: true, ..IN_PIECES }).await;
        assert_arrived(&server, sent);
        assert_eq!(server.heard("REST 100000").len(), again);
    }
}

#[tokio::test]
async fn what_was_joined_and_not_renamed_is_looked_at_and_not_joined_again() {
    let (_folder, source) = source();
    let server = Server::start(JOINS, &[]).await;
    let shipment = Shipment::begin(&source, b"menu").expect("begun").expect("large");
    let mut connection = Connection::open(&server.site()).await.expect("open");
    let time = source.metadata().and_then(|about| about.modified()).map(crate::directory::moment).expect("a time");
    let joined = crate::part::piece_name(b"menu", LENGTH as u64, Some(time.unix_secs()), &(0..LENGTH as u64));
    let joined = String::from_utf8(joined).expect("UTF-8");
    server.files.lock().expect("not poisoned").insert(joined.clone(), b"what is not ours".to_vec());
    connection.prepare_shipment(&shipment, &IN_PIECES).await.expect("prepared");
    assert_eq!(server.file(&joined), None, "COMB would put the pieces behind it");
    server.files.lock().expect("not poisoned").insert(joined, content());
    let resuming = Send { resume: true, ..IN_PIECES };
    connection.prepare_shipment(&shipment, &resuming).await.expect("prepared");
    assert!(shipment.is_to_complete());
    connection.join_shipment(&shipment, &resuming).await.expect("joined before");
    assert_eq!(server.heard("COMB").len(), 0);
    assert!(server.file("menu").expect("a file") == content());
}

#[tokio::test]
async fn who_has_lost_the_connection_behind_comb_finds_what_it_has_made() {
    let (_folder, source) = source();
    let server = Server::start(Habits { hangs_up_at: Some("COMB"), ..JOINS }, &[]).await;
    let mut connection = Connection::open(&server.site()).await.expect("open");
    let shipment = Shipment::begin(&source, b"menu").expect("begun").expect("large");
    for index in 0..shipment.pieces() {
        connection.send_piece(&shipment, index, &IN_PIECES).await.expect("a piece");
    }
    assert!(shipment.is_to_complete() && !shipment.is_to_complete(), "by one only");
    let error = connection.join_shipment(&shipment, &IN_PIECES).await.expect_err("lost");
    assert!(error.is_fatal(), "{error}");
    assert!(shipment.is_to_complete(), "by somebody else");
    let mut connection = Connection::open(&server.site()).await.expect("open");
    connection.join_shipment(&shipment, &IN_PIECES).await.expect("joined before");
    assert_eq!((server.heard("COMB").len(), server.names()), (1, vec!["menu".to_owned()]));
}

#[tokio::test]
async fn what_is_joined_and_not_as_long_does_not_get_its_name() {
    let (_folder, source) = source();
    let server = Server::start(JOINS, &[]).await;
    begin(&server, &source, 3).await;
    let shipment = Shipment::begin(&source, b"menu").expect("begun").expect("large");
    let mut connection = Connection::open(&server.site()).await.expect("open");
    let name = server.names().remove(0);
    server.files.lock().expect("not poisoned").get_mut(&name).expect("a piece").pop();
    let error = connection.join_shipment(&shipment, &IN_PIECES).await.expect_err("too short");
    assert!(matches!(error, Error::Differs { .. }), "{error}");
    assert_eq!(server.names(), Vec::<String>::new());
}

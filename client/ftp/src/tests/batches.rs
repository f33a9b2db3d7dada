//! Many things at once: what is to be said of them is said in batches.

use super::{Habits, Server, mirror};
use crate::connection::{Connection, SAID_AT_ONCE};
use crate::{Crew, Direction, Event, Mirror};
use std::sync::{Arc, Mutex};

const TOO_MUCH: &[(&str, &str)] =
    &[("", "type=file;size=4; a\r\ntype=file;size=4; b\r\ntype=file;size=4; c\r\ntype=file;size=4; d\r\n")];

const FILES: &[(&str, &[u8])] = &[("a", b"soup"), ("b", b"soup"), ("c", b"soup"), ("d", b"soup")];

/// How many were said of each kind when the first was told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    made: Option<usize>,
    modes: Option<usize>,
    removed: Option<usize>,
}

#[tokio::test]
async fn what_is_done_there_is_told_before_all_of_it_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    for number in 0..2 * SAID_AT_ONCE {
        std::fs::create_dir(folder.path().join(format!("{number}"))).expect("made");
    }
    let server = Server::start(Habits { listings: TOO_MUCH, no_modes: true, ..Habits::default() }, FILES).await;
    let (said, heard) = (Arc::new(Mutex::new(Said::default())), server.heard.clone());
    let noted = said.clone();
    let watcher = move |event: &Event<'_>| {
        let mut said = noted.lock().expect("not poisoned");
        let heard = heard.lock().expect("not poisoned");
        let count = |verb: &str| heard.iter().filter(|line| line.starts_with(verb)).count();
        match event {
            Event::Made { .. } => _ = said.made.get_or_insert_with(|| count("MKD")),
            Event::ModeRefused { .. } => _ = said.modes.get_or_insert_with(|| count("SITE CHMOD")),
            Event::Removed { .. } => _ = said.removed.get_or_insert_with(|| count("DELE")),
            _ => {}
        }
    };
    let wishes = Mirror { direction: Direction::There, keep_modes: true, ..mirror(folder.path(), true) };
    let (_, report) = wishes.make(&Crew::new(server.site(), 1, Arc::new(watcher))).await.expect("made");
    assert_eq!((report.removed, report.failed), (4, 0));
    let first = Some(SAID_AT_ONCE);
    let said = std::mem::take(&mut *said.lock().expect("not poisoned"));
    assert_eq!(said, Said { made: first, modes: first, removed: first });
    assert_eq!((server.heard("MKD").len(), server.heard("SITE CHMOD").len()), (2 * SAID_AT_ONCE, 2 * SAID_AT_ONCE));
}

#[tokio::test]
async fn a_directory_of_many_is_removed_in_batches_and_nothing_more_is_said_behind_what_is_refused() {
    const LISTINGS: &[(&str, &str)] = &[("in", TOO_MUCH[0].1)];
    let files: &[(&str, &[u8])] = &[("in/b", b"soup"), ("in/c", b"soup"), ("in/d", b"soup")];
    let server = Server::start(Habits { listings: LISTINGS, ..Habits::default() }, files).await;
    let mut connection = Connection::open(&server.site()).await.expect("open");
    connection.remove_tree(b"in", |_| ()).await.expect_err("one of them is not there");
    assert_eq!(server.names(), ["in/d"]);
}

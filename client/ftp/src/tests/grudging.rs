//! Servers that do not do what they have agreed to, or do it late.

use super::{Habits, Server, content, mirror};
use crate::connection::Connection;
use crate::error::Error;
use crate::fetch::Fetch;
use crate::mirror::{Mirror, Only};
use crate::part::part_name;
use crate::send::{Send, Sent};
use crate::site::Site;
use crate::{Crew, Direction};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a listing has of a directory named `menu`.
const DIRECTORY: &[(&str, &str)] = &[("", "type=dir; menu\r\n"), ("menu", "")];

fn source(folder: &Path) -> (PathBuf, Vec<u8>) {
    let (source, content) = (folder.join("menu"), content(300_000));
    std::fs::write(&source, &content).expect("written");
    (source, content)
}

fn part_of(source: &Path) -> String {
    let about = source.metadata().expect("a file");
    let time = about.modified().map(crate::directory::moment).expect("a time");
    String::from_utf8(part_name(b"menu", Some(about.len()), Some(time.unix_secs()))).expect("UTF-8")
}

async fn send(server: &Server, source: &Path) -> Result<Sent, Error> {
    let mut connection = Connection::open(&server.site()).await.expect("open");
    connection.send(source, b"menu", &Send { resume: true, ..Send::default() }).await
}

#[tokio::test]
async fn who_lets_no_upload_be_gone_on_with_gets_all_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, content) = source(folder.path());
    let habits = Habits { no_restart: true, ..Habits::default() };
    let server = Server::start(habits, &[(&part_of(&source), &content[..200_000])]).await;
    assert_eq!(send(&server, &source).await.expect("sent").resumed_at, 0);
    assert!(server.file("menu").as_ref() == Some(&content));
    assert_eq!(server.names(), ["menu"], "no part is left");
}

#[tokio::test]
async fn a_file_that_has_the_name_of_a_directory_there_leaves_no_part() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(Habits { listings: DIRECTORY, vague: true, ..Habits::default() }, &[]).await;
    let error = send(&server, &source(folder.path()).0).await.expect_err("a directory");
    assert!(error.to_string().contains("there is a directory of that name"), "{error}");
    assert_eq!(server.names(), [""; 0]);
}

#[tokio::test]
async fn what_is_not_renamed_stays_and_it_is_told_where() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(Habits { no_renaming: true, ..Habits::default() }, &[]).await;
    let (source, content) = source(folder.path());
    let error = send(&server, &source).await.expect_err("not renamed").to_string();
    let part = part_of(&source);
    assert!(error.contains(&part) && error.contains("does not rename"), "{error}");
    assert!(server.file(&part).as_ref() == Some(&content));
}

#[tokio::test]
async fn who_does_not_dial_although_that_is_wished_is_dialled() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(Habits::default(), &[("menu", b"good")]).await;
    let site = Site { active: true, ..server.site() };
    for _ in 0..2 {
        let mut connection = Connection::open(&site).await.expect("open");
        connection.fetch(b"menu", &folder.path().join("menu"), &Fetch::default()).await.expect("fetched");
    }
    assert_eq!((server.heard("EPRT").len(), server.heard("PORT").len()), (1, 1), "it is found out once");
}

#[tokio::test]
async fn who_leaves_keeps_no_data_connection_that_was_dialled_ahead() {
    let folder = tempfile::tempdir().expect("a folder");
    let habits = Habits { name: "(vsFTPd 3.0.5)", clings: true, ..Habits::default() };
    let server = Server::start(habits, &[]).await;
    let mut connection = Connection::open(&server.site()).await.expect("open");
    connection.more = true;
    let source = source(folder.path()).0;
    for name in [&b"menu"[..], b"wine"] {
        connection.send(&source, name, &Send::default()).await.expect("sent");
    }
    connection.quit().await;
    assert_eq!(server.heard("data ended").len(), 1);
}

#[tokio::test]
async fn who_wants_only_what_is_there_gets_no_new_directories() {
    const TREE: &[(&str, &str)] =
        &[("", "type=dir; new\r\ntype=file;size=5; menu\r\n"), ("new", "type=file;size=5; wine\r\n")];
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("menu"), "old").expect("written");
    let server = Server::start(Habits { listings: TREE, ..Habits::default() }, &[]).await;
    let wanted = Mirror { only: Only::Existing, ..mirror(folder.path(), false) };
    assert!(matches!(wanted.direction, Direction::Here));
    let plan = wanted.plan(&Crew::new(server.site(), 1, Arc::new(|_| ()))).await.expect("a plan");
    let paths: Vec<_> = plan.actions.iter().map(|(path, _)| path.as_slice()).collect();
    assert_eq!(paths, [b"menu"]);
    assert_eq!(server.heard("MLSD").len(), 1, "what is not here is not looked into");
}

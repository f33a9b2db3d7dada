//! Permissions that are kept.

use super::{Habits, Server, mirror};
use crate::{Crew, Direction, Mirror};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

const TREE: &[(&str, &str)] = &[
    ("", "type=dir;unix.mode=0750; a\r\n"),
    ("a", "type=dir;unix.mode=0500; b\r\ntype=file;size=4;unix.mode=0604; menu\r\n"),
    ("a/b", "type=file;size=4;unix.mode=0400; wine\r\n"),
];

fn mode(place: &Path) -> u32 {
    place.metadata().expect("there").permissions().mode() & 0o777
}

async fn made(server: &Server, wishes: Mirror) {
    let (_, report) = wishes.make(&Crew::new(server.site(), 2, Arc::new(|_| ()))).await.expect("made");
    assert_eq!((report.moved, report.failed), (2, 0));
}

#[tokio::test]
async fn directories_have_theirs_here_and_their_owner_may_write() {
    let folder = tempfile::tempdir().expect("a folder");
    let files: &[(&str, &[u8])] = &[("a/menu", b"soup"), ("a/b/wine", b"port")];
    let server = Server::start(Habits { listings: TREE, ..Habits::default() }, files).await;
    made(&server, Mirror { keep_modes: true, ..mirror(folder.path(), false) }).await;
    let modes = ["a", "a/b", "a/menu", "a/b/wine"].map(|name| mode(&folder.path().join(name)));
    assert_eq!(modes, [0o750, 0o700, 0o604, 0o400]);
}

#[tokio::test]
async fn directories_have_theirs_there() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, mode) in [("a", 0o710), ("a/b", 0o755)] {
        let place = folder.path().join(name);
        std::fs::create_dir(&place).expect("made");
        std::fs::set_permissions(&place, std::fs::Permissions::from_mode(mode)).expect("changed");
        std::fs::write(place.join("menu"), "soup").expect("written");
    }
    let server = Server::start(Habits::default(), &[]).await;
    let wishes = Mirror { direction: Direction::There, keep_modes: true, ..mirror(folder.path(), false) };
    made(&server, wishes.clone()).await;
    let of_directories: Vec<String> =
        server.heard("SITE CHMOD").into_iter().filter(|line| !line.ends_with("menu")).collect();
    assert_eq!(of_directories, ["SITE CHMOD 710 a", "SITE CHMOD 755 a/b"]);
    let other = Server::start(Habits::default(), &[]).await;
    made(&other, Mirror { keep_modes: false, ..wishes }).await;
    assert_eq!(other.heard("SITE CHMOD"), [""; 0]);
}

//! Permissions that are kept.

use super::{Habits, Server, mirror};
use crate::mirror::Only;
use crate::{Action, Crew, Direction, Event, Links, Mirror, Plan};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

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

/// What there is here, older than what is there, with other modes.
const HERE: &[(&str, u32)] = &[("a", 0o755), ("a/b", 0o700), ("a/menu", 0o644), ("a/b/wine", 0o400)];

fn here() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(folder.path().join("a/b")).expect("made");
    for (name, content) in [("a/menu", "soup"), ("a/b/wine", "port")] {
        std::fs::write(folder.path().join(name), content).expect("written");
    }
    for (name, mode) in HERE {
        std::fs::set_permissions(folder.path().join(name), std::fs::Permissions::from_mode(*mode)).expect("changed");
    }
    folder
}

fn step(path: &str, mode: u32) -> (Vec<u8>, Action) {
    (path.as_bytes().to_vec(), Action::Mode { mode })
}

#[tokio::test]
async fn what_is_the_same_but_for_its_mode_gets_that_here() {
    let folder = here();
    let server = Server::start(Habits { listings: TREE, ..Habits::default() }, &[]).await;
    let crew = Crew::new(server.site(), 1, Arc::new(|_| ()));
    let wishes = Mirror { keep_modes: true, ..mirror(folder.path(), false) };
    let plan = wishes.plan(&crew).await.expect("a plan");
    assert_eq!((plan.actions, plan.same), (vec![step("a", 0o750), step("a/menu", 0o604)], 1));
    let (_, report) = wishes.make(&crew).await.expect("made");
    assert_eq!((report.moved, report.modes, report.failed), (0, 2, 0));
    assert_eq!(["a", "a/b", "a/menu"].map(|name| mode(&folder.path().join(name))), [0o750, 0o700, 0o604]);
    assert_eq!(wishes.plan(&crew).await.expect("a plan").actions, [], "a second time there is nothing to do");
}

#[tokio::test]
async fn modes_of_the_same_are_left_where_nobody_wishes_otherwise() {
    let folder = here();
    let server = Server::start(Habits { listings: TREE, ..Habits::default() }, &[]).await;
    let crew = Crew::new(server.site(), 1, Arc::new(|_| ()));
    for (keep_modes, only) in [(false, Only::All), (true, Only::Missing), (true, Only::Newer)] {
        let plan = Mirror { keep_modes, only, ..mirror(folder.path(), false) }.plan(&crew).await.expect("a plan");
        assert_eq!((plan.actions, plan.same), (vec![], 2), "{keep_modes} {only:?}");
    }
}

/// LIST tells modes, too.
const LISTED: &[(&str, &str)] = &[
    ("", "drwxr-x---   2 bob bob 4096 Jul 10  2030 a\r\n"),
    ("a", "drwx------   2 bob bob 4096 Jul 10  2030 b\r\n-rw----r--   1 bob bob    4 Jul 10  2030 menu\r\n"),
    ("a/b", "-r--------   1 bob bob    4 Jul 10  2030 wine\r\n"),
];

#[tokio::test]
async fn what_is_the_same_but_for_its_mode_gets_that_there() {
    let folder = here();
    let wishes = Mirror { direction: Direction::There, keep_modes: true, ..mirror(folder.path(), false) };
    for habits in
        [Habits { listings: TREE, ..Habits::default() }, Habits { listings: LISTED, vague: true, ..Habits::default() }]
    {
        // MLSD tells `a/b` to be 500: its owner may write into it.
        let by_facts = !habits.vague;
        let server = Server::start(habits, &[]).await;
        let crew = Crew::new(server.site(), 1, Arc::new(|_| ()));
        let (_, report) = wishes.make(&crew).await.expect("made");
        let expected: &[&str] = match by_facts {
            true => &["SITE CHMOD 755 a", "SITE CHMOD 700 a/b", "SITE CHMOD 644 a/menu"],
            false => &["SITE CHMOD 755 a", "SITE CHMOD 644 a/menu"],
        };
        assert_eq!(server.heard("SITE"), expected);
        assert_eq!((report.modes, report.failed, report.moved), (expected.len() as u64, 0, 0));
    }
}

#[tokio::test]
async fn a_server_that_changes_no_modes_costs_nothing_and_says_so_once() {
    let (folder, told) = (here(), Arc::new(Mutex::new(Vec::new())));
    // One file is moved, and one directory made; the others have other modes.
    const PART: &[(&str, &str)] =
        &[("", "type=dir;unix.mode=0700; a\r\n"), ("a", "type=file;size=4;unix.mode=0600; menu\r\n")];
    let server = Server::start(Habits { listings: PART, no_modes: true, ..Habits::default() }, &[]).await;
    let heard = told.clone();
    let watcher = move |event: &Event<'_>| {
        if let Event::ModeRefused { error, .. } = event {
            heard.lock().expect("not poisoned").push(error.to_string());
        }
    };
    let crew = Crew::new(server.site(), 2, Arc::new(watcher));
    let wishes = Mirror { direction: Direction::There, keep_modes: true, ..mirror(folder.path(), false) };
    let (_, report) = wishes.make(&crew).await.expect("made");
    assert_eq!((report.moved, report.modes, report.failed), (1, 0, 0));
    assert_eq!(server.heard("SITE").len(), 4);
    let told = told.lock().expect("not poisoned").clone();
    assert!(told.len() == 1 && told[0].contains("change the mode of a"), "{told:?}");
}

#[tokio::test]
async fn no_mode_is_changed_through_what_is_a_link_by_now() {
    let (folder, away) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("another folder"));
    let of_away = mode(away.path());
    std::os::unix::fs::symlink(away.path(), folder.path().join("a")).expect("linked");
    let server = Server::start(Habits::default(), &[]).await;
    let crew = Crew::new(server.site(), 1, Arc::new(|_| ()));
    let actions = vec![(b"a".to_vec(), Action::MakeDirectory { mode: Some(0o751) })];
    let plan = Plan { actions, ..Plan::default() };
    let report = mirror(folder.path(), false).apply(&plan, &crew).await.expect("applied");
    assert_eq!((report.failed, mode(away.path())), (1, of_away));
}

#[tokio::test]
async fn what_nobody_may_read_gets_its_mode() {
    let folder = here();
    std::fs::set_permissions(folder.path().join("a/menu"), std::fs::Permissions::from_mode(0o000)).expect("changed");
    let server = Server::start(Habits::default(), &[]).await;
    let crew = Crew::new(server.site(), 1, Arc::new(|_| ()));
    let plan = Plan { actions: vec![step("a/menu", 0o640)], ..Plan::default() };
    let report = mirror(folder.path(), false).apply(&plan, &crew).await.expect("applied");
    assert_eq!((report.modes, mode(&folder.path().join("a/menu"))), (1, 0o640));
}

#[tokio::test]
async fn no_mode_is_changed_through_a_link() {
    let (folder, away) = (here(), tempfile::tempdir().expect("another folder"));
    std::fs::write(away.path().join("soup"), "soup").expect("written");
    let of_soup = mode(&away.path().join("soup"));
    std::fs::remove_file(folder.path().join("a/menu")).expect("removed");
    std::os::unix::fs::symlink(away.path().join("soup"), folder.path().join("a/menu")).expect("linked");
    let server = Server::start(Habits { listings: TREE, ..Habits::default() }, &[]).await;
    let crew = Crew::new(server.site(), 1, Arc::new(|_| ()));
    let wishes = Mirror { keep_modes: true, links: Links::Followed, ..mirror(folder.path(), false) };
    let mut plan = wishes.plan(&crew).await.expect("a plan");
    assert_eq!(plan.actions, [step("a", 0o750)]);
    // It may have become one since.
    plan.actions = vec![step("a/menu", 0o604)];
    assert_eq!(wishes.apply(&plan, &crew).await.expect("applied").failed, 1);
    assert_eq!(mode(&away.path().join("soup")), of_soup);
}

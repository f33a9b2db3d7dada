//! Trees with links in them, which servers tell of as they like: nothing is removed through a link, and none is taken for a tree.

use super::{Habits, Server, mirror, names};
use crate::connection::Connection;
use crate::directory::shown;
use crate::error::Error;
use crate::{Action, Crew, Direction, Links, Mirror, Selection};
use std::path::Path;
use std::sync::Arc;

/// MLSD tells of what `in/away` leads to.
const TOLD: &[(&str, &str)] = &[
    ("", "type=dir; in\r\n"),
    ("in", "type=dir; away\r\ntype=dir; old\r\n"),
    ("in/away", "type=file;size=4; precious\r\n"),
    ("in/old", "type=file;size=4; menu\r\n"),
];

/// LIST tells of the link itself.
const SHOWN: &[(&str, &str)] = &[(
    "in",
    "lrwxrwxrwx   1 bob bob    7 Jul 10 10:18 away -> ../away\r\ndrwxr-xr-x   2 bob bob 4096 Jul 10 10:18 old\r\n",
)];

/// The link is what DELE removes.
const FILES: &[(&str, &[u8])] = &[("in/away", b""), ("in/away/precious", b"gold"), ("in/old/menu", b"soup")];

async fn server() -> Server {
    Server::start(Habits { listings: TOLD, long_listings: SHOWN, ..Habits::default() }, FILES).await
}

#[tokio::test]
async fn a_tree_is_removed_with_its_links_and_what_they_lead_to_stays() {
    let server = server().await;
    let mut connection = Connection::open(&server.site()).await.expect("open");
    let (mut foretold, mut removed) = (Vec::new(), Vec::new());
    connection.look_over_tree(b"in", |path, _| foretold.push(shown(path))).await.expect("told");
    assert!(server.heard("DELE").is_empty() && server.heard("RMD").is_empty(), "nothing is removed yet");
    connection.remove_tree(b"in", |path| removed.push(shown(path))).await.expect("removed");
    assert_eq!(removed, ["in/away", "in/old/menu", "in/old", "in"], "each is told once, when it is gone");
    assert_eq!(foretold, removed);
    assert_eq!(server.names(), ["in/away/precious"]);
    assert_eq!(server.heard("RMD"), ["RMD in/old", "RMD in"]);
}

/// MLSD leaves out what leads nowhere.
#[tokio::test]
async fn a_tree_is_removed_with_links_that_lead_nowhere() {
    const TOLD: &[(&str, &str)] = &[("", "type=dir; in\r\n"), ("in", "")];
    const SHOWN: &[(&str, &str)] = &[("in", "lrwxrwxrwx   1 bob bob    7 Jul 10 10:18 away -> nowhere\r\n")];
    let habits = Habits { listings: TOLD, long_listings: SHOWN, full: true, ..Habits::default() };
    let server = Server::start(habits, &[("in/away", b"")]).await;
    let mut connection = Connection::open(&server.site()).await.expect("open");
    assert!(matches!(connection.kind_itself(b"in/none").await, Err(Error::Refused { .. })));
    let (mut foretold, mut removed) = (Vec::new(), Vec::new());
    connection.look_over_tree(b"in", |path, _| foretold.push(shown(path))).await.expect("told");
    connection.remove_tree(b"in", |path| removed.push(shown(path))).await.expect("removed");
    assert_eq!(removed, ["in/away", "in"]);
    assert_eq!(foretold, removed);
    assert!(server.names().is_empty());
}

#[tokio::test]
async fn a_link_that_is_to_be_removed_as_a_tree_is_all_that_goes() {
    let server = server().await;
    let mut connection = Connection::open(&server.site()).await.expect("open");
    let mut removed = Vec::new();
    connection.remove_tree(b"in/away", |path| removed.push(shown(path))).await.expect("removed");
    assert_eq!(removed, ["in/away"]);
    assert_eq!(server.names(), ["in/away/precious", "in/old/menu"]);
    assert!(server.heard("RMD").is_empty());
}

/// Makes what is there like an empty folder.
async fn emptied(server: &Server, links: Links) -> Vec<(Vec<u8>, Action)> {
    let folder = tempfile::tempdir().expect("a folder");
    let crew = Crew::new(server.site(), 1, Arc::new(|_| ()));
    let mirror = Mirror { direction: Direction::There, remote: b"in".to_vec(), links, ..mirror(folder.path(), true) };
    let plan = mirror.plan(&crew).await.expect("a plan");
    assert_eq!(mirror.apply(&plan, &crew).await.expect("applied").failed, 0);
    plan.actions
}

/// What is too much, with something in it of which MLSD does not tell.
fn hiding(shown: &'static [(&'static str, &'static str)]) -> Habits {
    Habits {
        listings: &[("", "type=dir; in\r\n"), ("in", "type=dir; old\r\n"), ("in/old", "")],
        long_listings: shown,
        // What is said of nothing else is not there, whatever leads to it.
        facts: &[("in", "type=dir;"), ("in/old/live", "type=dir;"), ("in/old/told", "type=OS.unix=slink:;")],
        full: true,
        ..Habits::default()
    }
}

#[tokio::test]
async fn what_is_too_much_goes_with_links_in_it_that_lead_nowhere() {
    const SHOWN: &[(&str, &str)] = &[("in/old", "lrwxrwxrwx   1 bob bob    7 Jul 10 10:18 away -> nowhere\r\n")];
    for links in [Links::PassedOver, Links::Followed] {
        let server = Server::start(hiding(SHOWN), &[("in/old/away", b"")]).await;
        emptied(&server, links).await;
        assert_eq!((server.names(), server.heard("RMD").len()), (vec![], 2), "{links:?}");
    }
}

#[tokio::test]
async fn what_is_too_much_here_goes_with_links_in_it_that_lead_nowhere_and_no_others() {
    let server = Server::start(Habits { listings: &[("", "")], ..Habits::default() }, &[]).await;
    for (aim, excluded, removed) in [("nowhere", "x*", 3), ("..", "x*", 0), ("nowhere", "l*", 0)] {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join("old/deep")).expect("made");
        std::os::unix::fs::symlink(aim, folder.path().join("old/deep/link")).expect("linked");
        let mut wishes = mirror(folder.path(), true);
        wishes.selection.exclude(excluded);
        let (_, report) = wishes.make(&Crew::new(server.site(), 1, Arc::new(|_| ()))).await.expect("made");
        assert_eq!(report.removed, removed, "{aim} {excluded}");
        assert_eq!((report.failed > 0, names(folder.path()).len()), (removed == 0, usize::from(removed == 0)));
    }
}

#[tokio::test]
async fn what_is_too_much_and_not_empty_stays_with_all_that_is_no_link_or_leads_somewhere_or_was_excluded() {
    const FILE: &[(&str, &str)] = &[("in/old", "-rw-r--r--   1 bob bob    4 Jul 10 10:18 .menu\r\n")];
    const LIVE: &[(&str, &str)] = &[("in/old", "lrwxrwxrwx   1 bob bob    7 Jul 10 10:18 live -> ../new\r\n")];
    // MLST tells of the link, but SIZE of a file that it leads to.
    const TOLD: &[(&str, &str)] = &[("in/old", "lrwxrwxrwx   1 bob bob    7 Jul 10 10:18 told -> ../menu\r\n")];
    const KEPT: &[(&str, &str)] = &[("in/old", "lrwxrwxrwx   1 bob bob    7 Jul 10 10:18 kept -> nowhere\r\n")];
    for (shown, name) in [(FILE, "in/old/.menu"), (LIVE, "in/old/live"), (TOLD, "in/old/told"), (KEPT, "in/old/kept")] {
        let server = Server::start(hiding(shown), &[(name, b"")]).await;
        let folder = tempfile::tempdir().expect("a folder");
        let mut selection = Selection::default();
        selection.exclude("old/k*");
        let there = Direction::There;
        let wishes = Mirror { direction: there, remote: b"in".to_vec(), selection, ..mirror(folder.path(), true) };
        let (_, report) = wishes.make(&Crew::new(server.site(), 1, Arc::new(|_| ()))).await.expect("made");
        assert_eq!((report.removed, report.failed, server.names()), (0, 1, vec![name.to_owned()]));
        assert_eq!(server.heard("DELE"), [""; 0]);
    }
}

#[tokio::test]
async fn links_there_are_passed_over_whatever_mlsd_says_and_nothing_goes_behind_them() {
    let server = server().await;
    emptied(&server, Links::PassedOver).await;
    assert_eq!(server.names(), ["in/away", "in/away/precious"]);
}

#[tokio::test]
async fn a_link_there_goes_itself_where_links_are_followed() {
    let server = server().await;
    let actions = emptied(&server, Links::Followed).await;
    assert!(actions.contains(&(b"away".to_vec(), Action::Remove)), "{actions:?}");
    assert_eq!(server.names(), ["in/away/precious"]);
}

#[tokio::test]
async fn a_link_here_goes_itself_where_links_are_followed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (root, away) = (folder.path().join("inside"), folder.path().join("away"));
    for place in [&root, &away] {
        std::fs::create_dir(place).expect("made");
    }
    std::fs::write(away.join("precious"), "gold").expect("written");
    std::os::unix::fs::symlink(&away, root.join("link")).expect("linked");
    let server = Server::start(Habits { listings: &[("", "")], ..Habits::default() }, &[]).await;
    let crew = Crew::new(server.site(), 1, Arc::new(|_| ()));
    let mirror = Mirror { links: Links::Followed, ..mirror(&root, true) };
    let (_, report) = mirror.make(&crew).await.expect("made");
    assert_eq!((report.removed, report.failed), (1, 0));
    assert_eq!((names(&root).len(), names(&away)), (0, vec!["precious".to_owned()]));
}

/// The source has directories where links lead away in the target.
#[tokio::test]
async fn behind_a_link_in_the_target_files_are_compared_and_nothing_is_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("away")).expect("made");
    std::fs::write(folder.path().join("away/new"), "tea").expect("written");
    for links in [Links::PassedOver, Links::Followed] {
        let server = server().await;
        let crew = Crew::new(server.site(), 1, Arc::new(|_| ()));
        let there = Direction::There;
        let mirror = Mirror { direction: there, remote: b"in".to_vec(), links, ..mirror(folder.path(), true) };
        let plan = mirror.plan(&crew).await.expect("a plan");
        assert_eq!(mirror.apply(&plan, &crew).await.expect("applied").failed, 0);
        assert_eq!(server.names(), ["in/away", "in/away/new", "in/away/precious"], "{:?}", plan.actions);
    }
}

#[tokio::test]
async fn a_link_here_is_a_directory_where_the_source_has_one_and_nothing_is_removed_behind_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (root, away) = (folder.path().join("inside"), folder.path().join("elsewhere"));
    for place in [&root, &away] {
        std::fs::create_dir(place).expect("made");
    }
    std::fs::write(away.join("kept"), "gold").expect("written");
    std::os::unix::fs::symlink(&away, root.join("away")).expect("linked");
    std::os::unix::fs::symlink(&away, root.join("passed over")).expect("linked");
    const LISTINGS: &[(&str, &str)] = &[("", "type=dir; away\r\n"), ("away", "type=file;size=4; menu\r\n")];
    let server = Server::start(Habits { listings: LISTINGS, ..Habits::default() }, &[("away/menu", b"soup")]).await;
    let crew = Crew::new(server.site(), 1, Arc::new(|_| ()));
    for moved in [1, 0] {
        let (_, report) = mirror(&root, true).make(&crew).await.expect("made");
        assert_eq!((report.moved, report.removed, report.failed), (moved, 0, 0));
    }
    assert_eq!(
        (names(&root), names(&away)),
        (vec!["away".into(), "passed over".into()], vec!["kept".into(), "menu".into()])
    );
}

/// A mirror of this name, which would remove all else.
fn of(name: &str, root: &Path) -> Mirror {
    Mirror { remote: name.into(), ..mirror(root, true) }
}

#[tokio::test]
async fn a_file_is_no_tree_though_list_tells_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("kept"), "kept").expect("written");
    const LISTINGS: &[(&str, &str)] = &[("pub/menu", "-rw-r--r--   1 bob bob    4 Jul 10 10:18 menu\r\n")];
    let server =
        Server::start(Habits { listings: LISTINGS, vague: true, ..Habits::default() }, &[("pub/menu", b"soup")]).await;
    let crew = Crew::new(server.site(), 1, Arc::new(|_| ()));
    let (plan, report) = of("pub/menu", folder.path()).make(&crew).await.expect("nothing is done");
    assert_eq!((plan.passed_over, report.moved, report.removed), (1, 0, 0));
    assert_eq!(names(folder.path()), ["kept"]);
}

#[tokio::test]
async fn a_tree_behind_a_link_is_what_the_link_leads_to() {
    let folder = tempfile::tempdir().expect("a folder");
    const LISTINGS: &[(&str, &str)] = &[
        ("menus", "lrwxrwxrwx   1 bob bob    7 Jul 10 10:18 menus -> 2026\r\n"),
        ("menus/", "-rw-r--r--   1 bob bob    4 Jul 10 10:18 july\r\n"),
    ];
    let server =
        Server::start(Habits { listings: LISTINGS, vague: true, ..Habits::default() }, &[("menus/july", b"soup")])
            .await;
    let crew = Crew::new(server.site(), 1, Arc::new(|_| ()));
    let (_, report) = of("menus", folder.path()).make(&crew).await.expect("made");
    assert_eq!((report.moved, report.removed), (1, 0));
    assert_eq!(names(folder.path()), ["july"]);
}

#[tokio::test]
async fn who_takes_an_option_of_list_for_a_name_is_asked_without_it() {
    let habits = Habits { listings: TOLD, long_listings: SHOWN, no_options: true, ..Habits::default() };
    let server = Server::start(habits, FILES).await;
    let mut connection = Connection::open(&server.site()).await.expect("open");
    for _ in 0..2 {
        let links = connection.links(b"in").await.expect("listed");
        assert_eq!(links.iter().map(|found| found.name.as_bytes()).collect::<Vec<_>>(), [b"away"]);
    }
    assert_eq!(server.heard("LIST"), ["LIST -a in", "LIST in", "LIST in"], "it is remembered");
}

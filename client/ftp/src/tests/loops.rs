//! Trees that lead round in a circle: a link to a directory above it is told by MLSD as if it were a directory.

use super::{Habits, Server, mirror, names};
use crate::directory::shown;
use crate::{Crew, Direction, Event, Links, Mirror};
use std::sync::{Arc, Mutex};

/// `a/up` leads to `a`, `a/home` to the root; `a/b` is another directory with a name that was there before.
const TREE: &[(&str, &str)] = &[
    ("", "type=dir;unique=1g2; a\r\ntype=file;size=4;unique=1g9; menu\r\n"),
    ("a", "type=dir;unique=1g3; a\r\ntype=dir;unique=1g2; up\r\ntype=dir;unique=1g1; home\r\n"),
    ("a/a", "type=file;size=4;unique=1ga; wine\r\n"),
    ("a/up", "type=file;size=4;unique=1ga; round\r\n"),
    ("a/home", "type=file;size=4;unique=1ga; round\r\n"),
];

const FILES: &[(&str, &[u8])] =
    &[("menu", b"soup"), ("a/a/wine", b"port"), ("a/up/round", b"xxxx"), ("a/home/round", b"xxxx")];

fn habits() -> Habits {
    Habits {
        listings: TREE,
        facts: &[(".", "type=dir;unique=1g1;")],
        features: " MLST type*;size*;Unique*;\r\n",
        ..Habits::default()
    }
}

/// A crew, and what it tells to be passed over.
fn crew(server: &Server) -> (Crew, Arc<Mutex<Vec<String>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = told.clone();
    let watcher = move |event: &Event<'_>| {
        if let Event::PassedOver { name, why } = event {
            heard.lock().expect("not poisoned").push(format!("{}: {why}", shown(name)));
        }
    };
    (Crew::new(server.site(), 1, Arc::new(watcher)), told)
}

fn told(told: &Mutex<Vec<String>>) -> Vec<String> {
    let mut told = told.lock().expect("not poisoned").clone();
    told.sort();
    told
}

const ROUND: [&str; 2] =
    ["a/home: it leads back to a directory that it stands in", "a/up: it leads back to a directory that it stands in"];

#[tokio::test]
async fn a_directory_that_is_one_above_it_is_not_looked_into_and_that_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(habits(), FILES).await;
    let (crew, heard) = crew(&server);
    let (plan, report) = mirror(folder.path(), true).make(&crew).await.expect("made");
    assert_eq!((report.moved, report.failed, plan.passed_over), (2, 0, 0), "all of the tree is known");
    assert_eq!(
        (names(folder.path()), names(&folder.path().join("a"))),
        (vec!["a".into(), "menu".into()], vec!["a".into()])
    );
    assert_eq!(told(&heard), ROUND);
    assert_eq!(server.heard("MLSD"), ["MLSD", "MLSD a", "MLSD a/a"]);
}

#[tokio::test]
async fn a_server_that_tells_the_same_of_all_directories_hides_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let habits = Habits {
        listings: &[
            ("", "type=dir;modify=20260102030405;unique=0; a\r\n"),
            ("a", "type=dir;modify=20260102030406;unique=0; b\r\n"),
            ("a/b", "type=file;size=4;modify=20260102030405;unique=0; wine\r\n"),
        ],
        facts: &[(".", "type=dir;modify=20260102030407;unique=0;")],
        ..habits()
    };
    let server = Server::start(habits, &[("a/b/wine", b"port")]).await;
    let (crew, heard) = crew(&server);
    let (_, report) = mirror(folder.path(), true).make(&crew).await.expect("made");
    assert_eq!((report.moved, report.failed, told(&heard)), (1, 0, vec![]));
}

#[tokio::test]
async fn what_has_its_name_in_the_target_stays_and_all_else_that_is_too_much_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(folder.path().join("a/up")).expect("made");
    for name in ["a/up/kept", "a/old"] {
        std::fs::write(folder.path().join(name), "x").expect("written");
    }
    let server = Server::start(habits(), FILES).await;
    let (_, report) = mirror(folder.path(), true).make(&crew(&server).0).await.expect("made");
    assert_eq!(report.removed, 1);
    assert_eq!(names(&folder.path().join("a")), ["a", "up"]);
}

#[tokio::test]
async fn where_nothing_tells_directories_apart_the_depth_is_bounded_and_told_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let habits = Habits { listing: Some(b"type=dir; a\r\n".to_vec()), ..Habits::default() };
    let server = Server::start(habits, &[]).await;
    let (crew, heard) = crew(&server);
    let plan = mirror(folder.path(), true).plan(&crew).await.expect("a plan");
    assert_eq!(plan.passed_over, 1);
    let told = told(&heard);
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("a/a/") && told[0].ends_with(": it lies more than 100 directories deep"), "{told:?}");
}

#[tokio::test]
async fn a_link_here_that_leads_up_is_not_followed_round() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("a")).expect("made");
    std::fs::write(folder.path().join("a/wine"), "port").expect("written");
    for (link, aim) in [("a/up", "."), ("a/home", "..")] {
        std::os::unix::fs::symlink(aim, folder.path().join(link)).expect("linked");
    }
    let server = Server::start(Habits::default(), &[]).await;
    let (crew, heard) = crew(&server);
    let there = Mirror { direction: Direction::There, links: Links::Followed, ..mirror(folder.path(), false) };
    let (_, report) = there.make(&crew).await.expect("made");
    assert_eq!((report.moved, report.failed), (1, 0));
    assert_eq!((server.names(), told(&heard)), (vec!["a/wine".to_owned()], ROUND.map(str::to_owned).to_vec()));
}

/// LIST shows `a/up` as a link; where it leads, PWD tells.
#[tokio::test]
async fn a_link_there_that_is_followed_is_not_followed_round_where_pwd_tells_where_it_leads() {
    const LISTED: &[(&str, &str)] = &[
        ("", "drwxr-xr-x   2 bob bob 4096 Jul 10 10:18 a\r\n"),
        (
            "a",
            "lrwxrwxrwx   1 bob bob    1 Jul 10 10:18 up -> .\r\nlrwxrwxrwx   1 bob bob    1 Jul 10 10:18 home -> ..\r\n\
             lrwxrwxrwx   1 bob bob    1 Jul 10 10:18 away -> ../../b\r\n",
        ),
        ("a/away", "-rw-r--r--   1 bob bob    4 Jul 10 10:18 wine\r\n"),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let habits = Habits {
        listings: LISTED,
        vague: true,
        places: &[
            (".", "/bob"),
            ("/", "/bob"),
            ("a/up", "/bob/a"),
            ("a/home", "/bob"),
            ("a/away", "/b"),
            ("/bob", "/bob"),
        ],
        ..Habits::default()
    };
    let server = Server::start(habits, &[("a/away/wine", b"port")]).await;
    let (crew, heard) = crew(&server);
    let followed = Mirror { links: Links::Followed, ..mirror(folder.path(), false) };
    let (_, report) = followed.make(&crew).await.expect("made");
    assert_eq!((report.moved, report.failed), (1, 0));
    assert_eq!(told(&heard), ROUND);
    assert_eq!(names(&folder.path().join("a/away")), ["wine"]);
}

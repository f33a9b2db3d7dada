//! Trees that are made alike while the server hangs up behind any octet, of the dialogue and of data alike.
//!
//! Whatever is cut: what has its name is whole, the old file or the new one; nothing is outside of the tree, and nothing is removed
//! where the source is not wholly known.

use super::{Habits, Server, content, mirror, names};
use crate::mirror::Far;
use crate::{Crew, Direction, Error, Mirror, Plan, Report};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Longer than all tries together.
const BOUNDED: Duration = Duration::from_secs(60 * 60);

/// What the source has; the target has `old` and another `menu`.
const SOURCE: &[(&str, &str)] =
    &[("", "type=dir; a\r\ntype=file;size=120; menu\r\n"), ("a", "type=file;size=9; 1\r\n")];

const TARGET: &[(&str, &str)] = &[("", "type=file;size=3; menu\r\ntype=file;size=1; old\r\n")];

/// From server to server no other dialogues are spoken than between one of them and here: every third octet is enough.
const ACROSS_STEP: usize = 3;

/// What there is of a tree, by its paths.
type Tree = BTreeMap<String, Vec<u8>>;

fn old() -> Tree {
    [("menu", b"tea".to_vec()), ("old", b"x".to_vec())].map(|(name, octets)| (name.to_owned(), octets)).into()
}

fn new() -> Tree {
    [("menu", content(120)), ("a/1", content(9))].map(|(name, octets)| (name.to_owned(), octets)).into()
}

async fn having(tree: &Tree, habits: Habits) -> Server {
    let files: Vec<_> = tree.iter().map(|(name, octets)| (name.as_str(), octets.as_slice())).collect();
    Server::start(habits, &files).await
}

fn write(root: &Path, tree: &Tree) {
    for (name, octets) in tree {
        let place = root.join(name);
        std::fs::create_dir_all(place.parent().expect("a folder")).expect("made");
        std::fs::write(place, octets).expect("written");
    }
}

fn read(root: &Path) -> Tree {
    let mut tree = Tree::new();
    for name in names(root) {
        let place = root.join(&name);
        if place.is_dir() {
            tree.extend(read(&place).into_iter().map(|(below, octets)| (format!("{name}/{below}"), octets)));
        } else {
            tree.insert(name, std::fs::read(place).expect("a file"));
        }
    }
    tree
}

/// Everything is one or the other, and what was removed was removed rightly.
#[track_caller]
fn assert_old_or_new(what: &str, tree: &Tree, made: &Result<(Plan, Report), Error>) {
    for (name, octets) in tree.iter().filter(|(name, _)| !name.ends_with(".part")) {
        let whole = [old().get(name) == Some(octets), new().get(name) == Some(octets)];
        assert!(whole.contains(&true), "{what}: {name} is {octets:?}");
    }
    assert!(tree.contains_key("menu"), "{what}: there was one before");
    match made {
        Ok((plan, report)) if plan.passed_over == 0 && report.failed == 0 => {
            assert_eq!(*tree, new(), "{what}: {report:?}");
        }
        Ok((plan, _)) if plan.passed_over > 0 => assert!(tree.contains_key("old"), "{what}: the source is not known"),
        Ok(_) => {}
        Err(error) => assert!(matches!(error, Error::Ended(_) | Error::Broken { .. }), "{what}: {error}"),
    }
}

/// How far it came.
fn states(tree: &Tree) -> [bool; 3] {
    [tree.get("menu") == new().get("menu"), tree.contains_key("a/1"), !tree.contains_key("old")]
}

async fn bounded<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(BOUNDED, work).await;
    done.unwrap_or_else(|_| panic!("{what}: it goes on for ever"))
}

/// Cuts a server's connections behind each octet, or each so many, as long as that makes a difference. `does` makes the tree, with
/// a server that has such habits, and says what there is of it then, whether that went well, and how many octets have moved.
async fn cut_everywhere(
    step: usize,
    listings: &'static [(&str, &str)],
    does: impl AsyncFn(&str, Habits) -> (Tree, bool, usize),
) {
    // A crew tries again, a little later.
    tokio::time::pause();
    let mut seen = BTreeSet::new();
    let whole = does("uncut", Habits { listings, ..Habits::default() }).await;
    assert_eq!((whole.0, whole.1), (new(), true));
    for cut in (0..=whole.2 + step).step_by(step) {
        let habits = Habits { cut_after: Some(cut), listings, ..Habits::default() };
        let (tree, ..) = does(&format!("cut behind {cut} octets of {}", whole.2), habits).await;
        seen.insert(states(&tree));
    }
    for state in [[false; 3], [true; 3]] {
        assert!(seen.contains(&state), "not all was seen: {seen:?}");
    }
    assert!(seen.len() > 2, "nothing between nothing and all: {seen:?}");
}

#[tokio::test]
async fn a_tree_here_is_old_or_new_wherever_the_server_hangs_up() {
    cut_everywhere(1, SOURCE, async |what, habits| {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("inside");
        write(&root, &old());
        let server = having(&new(), habits).await;
        let crew = Crew::new(server.site(), 1, Arc::new(|_| ()));
        let made = bounded(what, mirror(&root, true).make(&crew)).await;
        let tree = read(&root);
        assert_old_or_new(what, &tree, &made);
        assert_eq!(names(folder.path()), ["inside"]);
        (tree, made.is_ok(), server.moved())
    })
    .await;
}

#[tokio::test]
async fn a_tree_there_is_old_or_new_wherever_the_server_hangs_up() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), &new());
    let mirror = Mirror { direction: Direction::There, ..mirror(folder.path(), true) };
    cut_everywhere(1, TARGET, async |what, habits| {
        let server = having(&old(), habits).await;
        let crew = Crew::new(server.site(), 1, Arc::new(|_| ()));
        let made = bounded(what, mirror.make(&crew)).await;
        let tree = server.tree();
        assert_old_or_new(what, &tree, &made);
        (tree, made.is_ok(), server.moved())
    })
    .await;
    assert_eq!(read(folder.path()), new(), "nothing has happened to the source");
}

/// From server to server, one of which hangs up.
async fn across(what: &str, source: &Server, target: &Server) -> (Tree, bool) {
    let far = Far { site: Box::new(target.site()), path: Vec::new() };
    let mirror = Mirror { direction: Direction::Across(far), ..mirror(Path::new(""), true) };
    let crew = Crew::new(source.site(), 1, Arc::new(|_| ()));
    let made = bounded(what, mirror.make(&crew)).await;
    let tree = target.tree();
    assert_old_or_new(what, &tree, &made);
    assert_eq!(source.tree(), new(), "nothing has happened to the source");
    (tree, made.is_ok())
}

#[tokio::test]
async fn a_tree_on_another_server_is_old_or_new_wherever_its_source_hangs_up() {
    cut_everywhere(ACROSS_STEP, SOURCE, async |what, habits| {
        let source = having(&new(), habits).await;
        let target = having(&old(), Habits { listings: TARGET, ..Habits::default() }).await;
        let (tree, is_well) = across(what, &source, &target).await;
        (tree, is_well, source.moved())
    })
    .await;
}

#[tokio::test]
async fn a_tree_on_another_server_is_old_or_new_wherever_that_hangs_up() {
    cut_everywhere(ACROSS_STEP, TARGET, async |what, habits| {
        let source = having(&new(), Habits { listings: SOURCE, ..Habits::default() }).await;
        let target = having(&old(), habits).await;
        let (tree, is_well) = across(what, &source, &target).await;
        (tree, is_well, target.moved())
    })
    .await;
}

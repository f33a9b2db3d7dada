//! Who may do what where.

use std::fs;
use std::os::unix::fs::symlink;

use super::yard::{Yard, fetch, path, store};
use crate::{Detail, Error, Kind, Mode, Permissions, Space};

type Deed = fn(&Space) -> Result<(), Error>;

/// Everything that can be done, and what it needs, in a directory with `file`, `dir/` and `empty/`.
const DEEDS: &[(&str, Permissions, Deed)] = &[
    ("list", Permissions::LIST, |s| s.list(&path("/t"), Detail::Facts).map(drop)),
    ("fetch", Permissions::READ, |s| s.open_read(&path("/t/file")).map(drop)),
    ("sum", Permissions::READ, |s| s.open_to_sum(&path("/t/file")).map(drop)),
    ("replace", Permissions::WRITE, |s| store(s, "/t/file", Mode::Store, "x").map(drop)),
    ("go on", Permissions::WRITE, |s| store(s, "/t/file", Mode::At(1), "x").map(drop)),
    ("touch", Permissions::WRITE, |s| s.set_modified(&path("/t/file"), std::time::UNIX_EPOCH)),
    ("append", Permissions::APPEND, |s| store(s, "/t/file", Mode::Append, "x").map(drop)),
    ("create", Permissions::CREATE, |s| store(s, "/t/new", Mode::Store, "x").map(drop)),
    ("append anew", Permissions::CREATE, |s| store(s, "/t/new", Mode::Append, "x").map(drop)),
    ("unique", Permissions::CREATE, |s| store(s, "/t/file", Mode::Unique, "x").map(drop)),
    ("link", Permissions::CREATE, |s| s.link(&path("/t/file"), &path("/t/link"))),
    ("kept", Permissions::CREATE, |s| s.kept(&path("/t/new")).map(drop)),
    ("remove", Permissions::DELETE, |s| s.remove(&path("/t/file"))),
    ("rename", Permissions::RENAME, |s| s.rename(&path("/t/file"), &path("/t/other"))),
    ("rename directory", Permissions::RENAME, |s| s.rename(&path("/t/dir"), &path("/t/other"))),
    ("mkdir", Permissions::MKDIR, |s| s.make_directory(&path("/t/made"))),
    ("rmdir", Permissions::RMDIR, |s| s.remove_directory(&path("/t/empty"))),
    ("chmod", Permissions::CHMOD, |s| s.set_mode(&path("/t/file"), 0o600)),
];

fn town() -> Yard {
    let yard = Yard::new();
    yard.write("t/file", "content");
    yard.write("t/dir/x", "");
    fs::create_dir(yard.real("t/empty")).unwrap();
    yard
}

#[test]
fn each_deed_needs_its_permission_and_no_other() {
    for (name, needed, deed) in DEEDS {
        let space = |permissions| (town(), permissions);
        let (yard, only) = space(*needed);
        let result = deed(&yard.seen_by(b"alice", Permissions::NONE, &[("/t", only)]));
        assert!(result.is_ok(), "{name} with {needed}: {result:?}");
        let (yard, others) = space(Permissions::ALL - *needed);
        let before = super::yard::names_in(&yard.real("t"));
        let result = deed(&yard.seen_by(b"alice", Permissions::ALL, &[("/t", others)]));
        assert!(matches!(result, Err(Error::Denied(missing)) if missing.allow(*needed)), "{name} without: {result:?}");
        assert_eq!(super::yard::names_in(&yard.real("t")), before, "{name} left something");
        assert_eq!(yard.content("t/file").unwrap(), b"content", "{name} changed something");
    }
}

#[test]
fn replacing_by_renaming_needs_write() {
    let yard = town();
    yard.write("t/other", "precious");
    let space = yard.seen_by(b"alice", Permissions::ALL - Permissions::WRITE, &[]);
    assert!(matches!(space.rename(&path("t/file"), &path("t/other")), Err(Error::Denied(Permissions::WRITE))));
    assert_eq!(yard.content("t/other").unwrap(), b"precious");
}

#[test]
fn the_deepest_rule_decides() {
    let yard = Yard::new();
    yard.write("a/b/c/file", "x");
    let rules = [("/a/b", Permissions::NONE), ("/a/b/c", Permissions::READ_ONLY), ("/", Permissions::ALL)];
    let space = yard.seen_by(b"alice", Permissions::DROP_BOX, &rules);
    assert_eq!(fetch(&space, "a/b/c/file").unwrap(), b"x");
    assert!(matches!(space.list(&path("a/b"), Detail::Names), Err(Error::Denied(_))));
    assert!(space.list(&path("a"), Detail::Names).is_ok());
    assert!(matches!(store(&space, "a/b/c/new", Mode::Store, ""), Err(Error::Denied(_))));
}

#[test]
fn a_drop_box_takes_and_tells_nothing() {
    let yard = Yard::new();
    yard.write("in/theirs", "secret");
    symlink("theirs", yard.real("in/link")).unwrap();
    let space = yard.seen_by(b"bob", Permissions::READ_ONLY, &[("/in", Permissions::DROP_BOX)]);
    space.enter(&path("in")).unwrap();
    assert_eq!(space.stat(&path("in")).unwrap().facts.kind, Kind::Directory);
    for name in ["in/theirs", "in/none", "in/link"] {
        let p = path(name);
        assert!(matches!(space.stat(&p), Err(Error::Denied(_))), "{name}");
        assert!(matches!(space.stat_link(&p), Err(Error::Denied(_))), "{name}");
        assert!(matches!(space.open_read(&p), Err(Error::Denied(_))), "{name}");
        assert!(matches!(space.enter(&p), Err(Error::Denied(_))), "{name}");
        assert!(matches!(space.remove(&p), Err(Error::Denied(_))), "{name}");
        assert!(matches!(space.rename(&p, &path("in/y")), Err(Error::Denied(_))), "{name}");
        assert!(matches!(space.set_mode(&p, 0), Err(Error::Denied(_))), "{name}");
    }
    assert!(matches!(space.list(&path("in"), Detail::Names), Err(Error::Denied(_))));
    store(&space, "in/mine", Mode::Store, "given").unwrap();
    assert!(matches!(fetch(&space, "in/mine"), Err(Error::Denied(_))));
    assert!(matches!(store(&space, "in/theirs", Mode::Store, "x"), Err(Error::Denied(_))));
    assert!(matches!(store(&space, "in/mine", Mode::Append, "x"), Err(Error::Denied(_))));
    let mut upload = space.begin_upload(&path("in/big"), Mode::Store).unwrap();
    upload.write_all(b"half").unwrap();
    upload.interrupt();
    assert_eq!(space.kept(&path("in/big")).unwrap(), Some(4));
    store(&space, "in/big", Mode::At(4), " and half").unwrap();
    assert_eq!(yard.content("in/big").unwrap(), b"half and half");
    assert_eq!(yard.content("in/theirs").unwrap(), b"secret");
}

#[test]
fn a_file_that_appeared_meanwhile_is_not_replaced_by_one_who_may_only_create() {
    let yard = Yard::new();
    let space = yard.seen_by(b"bob", Permissions::DROP_BOX, &[]);
    let mut upload = space.begin_upload(&path("f"), Mode::Store).unwrap();
    upload.write_all(b"bob's").unwrap();
    yard.store("f", "alice's").unwrap();
    assert!(matches!(upload.commit(), Err(Error::AlreadyExists)));
    assert_eq!((yard.content("f").unwrap(), yard.on_disk()), (b"alice's".to_vec(), vec!["f".into()]));
}

#[test]
fn a_link_gives_the_rules_of_where_it_leads() {
    let yard = Yard::new();
    yard.write("secret/file", "secret");
    yard.write("pub/file", "public");
    symlink("../secret/file", yard.real("pub/link")).unwrap();
    symlink("../pub", yard.real("secret/way")).unwrap();
    let space = yard.seen_by(b"bob", Permissions::READ_ONLY, &[("/secret", Permissions::NONE)]);
    assert!(matches!(fetch(&space, "pub/link"), Err(Error::Denied(_))));
    assert!(matches!(fetch(&space, "secret/way/link"), Err(Error::Denied(_))));
    assert_eq!(fetch(&space, "secret/way/file").unwrap(), b"public");
    let mut pubs = space.list(&path("pub"), Detail::Facts).unwrap().map(Result::unwrap);
    let link = pubs.find(|entry| entry.name == b"link").unwrap();
    assert_eq!(link.target, None, "a listing tells nothing of what may not be looked at");
}

#[test]
fn rules_cannot_be_shaken_off_by_moving_what_they_are_bound_to() {
    let yard = Yard::new();
    yard.write("a/secret/file", "secret");
    fs::create_dir(yard.real("a/open")).unwrap();
    let space = yard.seen_by(b"bob", Permissions::ALL, &[("/a/secret", Permissions::LIST | Permissions::RENAME)]);
    for (from, to) in [("/a/secret", "/b"), ("/a", "/b"), ("/a/open", "/a/secret")] {
        assert!(matches!(space.rename(&path(from), &path(to)), Err(Error::Fixed)), "{from} {to}");
    }
    let moved = space.rename(&path("/a/secret/file"), &path("/a/file"));
    assert!(matches!(moved, Err(Error::Denied(missing)) if missing.allow(Permissions::READ)));
    assert!(matches!(space.remove_directory(&path("/a/secret")), Err(Error::Fixed)));
    assert_eq!(yard.content("a/secret/file").unwrap(), b"secret");
}

#[test]
fn what_may_be_done_nowhere_is_known_at_once() {
    let yard = Yard::new();
    let space = yard.seen_by(b"bob", Permissions::READ, &[("/in", Permissions::DROP_BOX)]);
    assert_eq!(space.permissions(), Permissions::READ | Permissions::CREATE);
    let below = Space::new(b"bob", vec![super::yard::mount("/in", &yard.volume, Permissions::DROP_BOX, &[])]).unwrap();
    assert_eq!(below.permissions(), Permissions::CREATE | Permissions::LIST, "the way there may be listed");
}

#[test]
fn what_a_volume_fixes_no_space_moves() {
    let yard = Yard::with(crate::Terms { fixed: vec![path("/inbox")], ..crate::Terms::default() });
    fs::create_dir(yard.real("inbox")).unwrap();
    assert!(matches!(yard.space.rename(&path("inbox"), &path("x")), Err(Error::Fixed)));
    assert!(matches!(yard.space.remove_directory(&path("inbox")), Err(Error::Fixed)));
}

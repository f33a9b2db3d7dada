//! Listings: all that is there, nothing that is not, in constant memory.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::time::{Duration, UNIX_EPOCH};

use super::yard::{Yard, fetch, listed, mount, path};
use crate::{Detail, Error, Kind, Permissions, Space};

#[test]
fn facts_are_those_of_the_disk() {
    let yard = Yard::new();
    yard.write("file", "12345");
    yard.space.set_modified(&path("file"), UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789)).unwrap();
    yard.space.make_directory(&path("dir")).unwrap();
    symlink("file", yard.real("link")).unwrap();
    let file = yard.space.stat(&path("file")).unwrap();
    let on_disk = fs::metadata(yard.real("file")).unwrap();
    assert_eq!((file.name.as_slice(), file.facts.kind, file.facts.size), (&b"file"[..], Kind::File, 5));
    assert_eq!(file.facts.modified, UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789));
    assert_eq!(file.facts.unique, (on_disk.dev(), on_disk.ino()));
    assert_eq!((file.facts.mode, file.facts.links, file.facts.owner), (on_disk.mode() & 0o7777, 1, on_disk.uid()));
    assert_eq!((file.here, file.inside), (Permissions::ALL, Permissions::NONE));
    let dir = yard.space.stat(&path("dir")).unwrap();
    assert_eq!((dir.facts.kind, dir.inside), (Kind::Directory, Permissions::ALL));
    let link = yard.space.stat(&path("link")).unwrap();
    assert_eq!((link.name.as_slice(), link.facts.kind, link.facts.size), (&b"link"[..], Kind::File, 5), "followed");
    let link = yard.space.stat_link(&path("link")).unwrap();
    assert_eq!((link.facts.kind, link.reached()), (Kind::Link, &file.facts));
    assert_eq!(link.target.unwrap().path, path("/file"));
    let root = yard.space.stat(&path("/")).unwrap();
    assert_eq!((root.name.as_slice(), root.facts.kind), (&b"/"[..], Kind::Directory));
}

#[test]
fn a_listing_says_the_same_as_looking_at_each() {
    let yard = Yard::new();
    yard.write("a file", "1");
    yard.write("dir/x", "2");
    symlink("dir", yard.real("to dir")).unwrap();
    symlink("nowhere", yard.real("dangling")).unwrap();
    let space = yard.seen_by(b"alice", Permissions::ALL, &[("/dir", Permissions::READ_ONLY)]);
    let mut seen = 0;
    for entry in space.list(&path("/"), Detail::Facts).unwrap().map(Result::unwrap) {
        assert_eq!(entry, space.stat_link(&path("/").join(&entry.name).unwrap()).unwrap());
        seen += 1;
    }
    assert_eq!(seen, 4);
    let dir = space.stat(&path("dir")).unwrap();
    assert_eq!(dir.inside, Permissions::READ_ONLY);
    assert!(!dir.here.allow_any(Permissions::RENAME | Permissions::RMDIR), "a rule is bound to it");
    let names: Vec<_> = space.list(&path("/"), Detail::Names).unwrap().map(|e| e.unwrap().facts.kind).collect();
    assert_eq!(names.len(), 4);
    assert!(names.contains(&Kind::Directory) && names.contains(&Kind::Link));
}

#[test]
fn names_are_octets() {
    let yard = Yard::new();
    let names: [&[u8]; 9] = [
        b" lead",
        b"trail ",
        b"two  two",
        b"*?[]{}\\",
        b".dot",
        b"-a",
        b"\xff\xfe",
        "e\u{301}".as_bytes(),
        b"tab\tbell\x07",
    ];
    for name in names {
        fs::write(yard.top().join(OsStr::from_bytes(name)), name).unwrap();
    }
    let found: Vec<_> = yard.space.list(&path("/"), Detail::Facts).unwrap().map(|entry| entry.unwrap().name).collect();
    assert_eq!(found.len(), names.len());
    for name in names {
        assert!(found.iter().any(|one| one == name));
        let mut octets = Vec::new();
        yard.space.open_read(&path("/").join(name).unwrap()).unwrap().file.read_to_end(&mut octets).unwrap();
        assert_eq!(octets, name);
    }
    let long = "n".repeat(255);
    yard.store(&long, "x").unwrap();
    assert_eq!(fetch(&yard.space, &long).unwrap(), b"x");
}

#[test]
fn what_cannot_be_asked_for_is_not_listed() {
    let yard = Yard::new();
    fs::write(yard.real("line\nbreak"), "").unwrap();
    fs::write(yard.real("return\r"), "").unwrap();
    yard.write("file", "");
    assert_eq!(listed(&yard.space, "/"), ["file"]);
}

#[test]
fn empty_directories_files_and_nothing() {
    let yard = Yard::new();
    yard.write("file", "");
    fs::create_dir(yard.real("empty")).unwrap();
    assert!(listed(&yard.space, "empty").is_empty());
    assert!(matches!(yard.space.list(&path("file"), Detail::Facts), Err(Error::NotADirectory)));
    assert!(matches!(yard.space.list(&path("none"), Detail::Facts), Err(Error::NotFound)));
    assert!(matches!(yard.space.list(&path("file/x"), Detail::Facts), Err(Error::NotADirectory)));
    assert!(matches!(yard.space.enter(&path("file")), Err(Error::NotADirectory)));
    assert!(matches!(yard.space.open_read(&path("empty")), Err(Error::IsADirectory)));
    assert!(matches!(yard.space.open_read(&path("/")), Err(Error::IsADirectory)));
}

#[test]
fn a_hundred_thousand_entries_come_in_small_pieces() {
    const ENTRIES: usize = 100_000;
    let yard = Yard::new();
    for n in 0..ENTRIES {
        fs::File::create(yard.real(&format!("{n:06}"))).unwrap();
    }
    let mut seen = vec![false; ENTRIES];
    let mut listing = yard.space.list(&path("/"), Detail::Facts).unwrap();
    loop {
        let piece = listing.next_piece().unwrap();
        if piece.is_empty() {
            break;
        }
        // 32 KiB of directory, of at least 24 octets an entry.
        assert!(piece.len() <= 32 * 1024 / 24, "{} at once", piece.len());
        for entry in piece {
            let n: usize = String::from_utf8(entry.name).unwrap().parse().unwrap();
            assert!(!std::mem::replace(&mut seen[n], true), "{n} twice");
        }
    }
    assert!(seen.iter().all(|seen| *seen));
}

#[test]
fn a_listing_survives_what_changes_meanwhile() {
    let yard = Yard::new();
    for n in 0..5_000 {
        yard.write(&format!("{n}"), "");
    }
    let mut listing = yard.space.list(&path("/"), Detail::Facts).unwrap();
    assert!(!listing.next_piece().unwrap().is_empty());
    for n in 0..5_000 {
        fs::remove_file(yard.real(&format!("{n}"))).unwrap();
    }
    assert!(listing.count() < 5_000);
    fs::create_dir(yard.real("d")).unwrap();
    let mut listing = yard.space.list(&path("d"), Detail::Facts).unwrap();
    fs::remove_dir(yard.real("d")).unwrap();
    assert!(listing.next().is_none());
}

#[test]
fn mounts_stand_in_the_tree_and_cover_what_is_beneath() {
    let (home, shared, deep) = (Yard::new(), Yard::new(), Yard::new());
    home.write("shared/beneath", "");
    home.write("own", "");
    home.write("way/own", "");
    shared.write("s", "");
    deep.write("d", "");
    let mounts = vec![
        mount("/", &home.volume, Permissions::ALL, &[]),
        mount("/shared", &shared.volume, Permissions::READ_ONLY, &[]),
        mount("/far/away/deep", &deep.volume, Permissions::ALL, &[]),
        mount("/way/deep", &deep.volume, Permissions::ALL, &[]),
    ];
    let space = Space::new(b"alice", mounts).unwrap();
    assert_eq!(listed(&space, "/"), ["far", "own", "shared", "way"]);
    assert_eq!(listed(&space, "/shared"), ["s"]);
    assert_eq!(listed(&space, "/far"), ["away"]);
    assert_eq!(listed(&space, "/far/away"), ["deep"]);
    assert_eq!(listed(&space, "/far/away/deep"), ["d"]);
    assert_eq!(listed(&space, "/way"), ["deep", "own"]);
    for name in ["/far", "/far/away", "/way/deep", "/shared"] {
        space.enter(&path(name)).unwrap();
        assert_eq!(space.stat(&path(name)).unwrap().facts.kind, Kind::Directory);
    }
    assert_eq!(space.stat(&path("/shared")).unwrap().inside, Permissions::READ_ONLY);
    for way in ["/far", "/far/away"] {
        assert_eq!(space.stat(&path(way)).unwrap().inside, Permissions::LIST, "{way}");
    }
    assert_eq!(space.stat(&path("/way")).unwrap().inside, Permissions::ALL);
    for name in ["/far/x", "/far/away/x"] {
        assert!(matches!(space.begin_upload(&path(name), crate::Mode::Store), Err(Error::Denied(_))), "{name}");
        assert!(matches!(space.make_directory(&path(name)), Err(Error::Denied(_))), "{name}");
        assert!(matches!(space.rename(&path("/own"), &path(name)), Err(Error::Denied(_))), "{name}");
        assert!(matches!(space.stat(&path(name)), Err(Error::NotFound)), "{name}");
    }
    assert!(matches!(space.make_directory(&path("/far/no/x")), Err(Error::NotFound)));
    assert!(matches!(space.begin_upload(&path("/far"), crate::Mode::Store), Err(Error::IsADirectory)));
    assert!(matches!(space.make_directory(&path("/far")), Err(Error::AlreadyExists)));
    for name in ["/far", "/way", "/shared", "/way/deep"] {
        assert!(matches!(space.rename(&path(name), &path("/other")), Err(Error::Fixed)), "{name}");
        assert!(matches!(space.remove_directory(&path(name)), Err(Error::Fixed)), "{name}");
    }
}

#[test]
fn a_space_may_have_no_mount_at_its_root() {
    let shared = Yard::new();
    shared.write("s", "");
    let space = Space::new(b"alice", vec![mount("/a/b", &shared.volume, Permissions::ALL, &[])]).unwrap();
    assert_eq!(
        (listed(&space, "/"), listed(&space, "/a"), listed(&space, "/a/b")),
        (vec!["a".into()], vec!["b".into()], vec!["s".into()])
    );
    assert_eq!(space.stat(&path("/")).unwrap().name, b"/");
    assert!(matches!(space.stat(&path("/x")), Err(Error::NotFound)));
    assert!(matches!(space.list(&path("/a/x"), Detail::Facts), Err(Error::NotFound)));
    let none = Space::new(b"alice", vec![]).unwrap();
    assert!(matches!(none.stat(&path("/")), Err(Error::NotFound)));
    let twice =
        vec![mount("/a", &shared.volume, Permissions::ALL, &[]), mount("/a", &shared.volume, Permissions::ALL, &[])];
    assert!(matches!(Space::new(b"alice", twice), Err(crate::OpenError::TwiceMounted(_))));
}

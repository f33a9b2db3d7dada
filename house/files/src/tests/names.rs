//! Making, moving, removing; modes and times.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::yard::{Yard, fetch, listed, mount, path};
use crate::{DEPTH_MAX, Error, Kind, Mode, PathError, Permissions, Space};

#[test]
fn directories_are_made_and_removed() {
    let yard = Yard::new();
    yard.space.make_directory(&path("a")).unwrap();
    yard.space.make_directory(&path("a/b")).unwrap();
    assert!(matches!(yard.space.make_directory(&path("a")), Err(Error::AlreadyExists)));
    assert!(matches!(yard.space.make_directory(&path("/")), Err(Error::AlreadyExists)));
    assert!(matches!(yard.space.make_directory(&path("x/y")), Err(Error::NotFound)));
    assert!(matches!(yard.space.remove_directory(&path("a")), Err(Error::NotEmpty)));
    assert!(matches!(yard.space.remove(&path("a/b")), Err(Error::IsADirectory)));
    yard.space.remove_directory(&path("a/b")).unwrap();
    yard.space.remove_directory(&path("a")).unwrap();
    assert!(matches!(yard.space.remove_directory(&path("a")), Err(Error::NotFound)));
    assert!(matches!(yard.space.remove_directory(&path("/")), Err(Error::Fixed)));
    yard.write("f", "");
    assert!(matches!(yard.space.remove_directory(&path("f")), Err(Error::NotADirectory)));
}

#[test]
fn a_directory_with_nothing_but_interrupted_uploads_is_empty() {
    let yard = Yard::new();
    fs::create_dir(yard.real("d")).unwrap();
    yard.begun("d/f", Mode::Store, "half").interrupt();
    let upload = yard.begun("d/g", Mode::Store, "under way");
    assert!(matches!(yard.space.remove_directory(&path("d")), Err(Error::Busy)));
    upload.interrupt();
    yard.write("d/file", "");
    yard.begun("d/h", Mode::Store, "half").interrupt();
    assert!(matches!(yard.space.remove_directory(&path("d")), Err(Error::NotEmpty)));
    assert_eq!(yard.kept("d/h"), Some(4), "what is not removed keeps what it has");
    yard.space.remove(&path("d/file")).unwrap();
    yard.space.remove_directory(&path("d")).unwrap();
}

#[test]
fn files_are_removed_and_what_was_kept_of_them_too() {
    let yard = Yard::new();
    yard.write("f", "");
    yard.begun("f", Mode::Store, "half").interrupt();
    yard.space.remove(&path("f")).unwrap();
    assert!(yard.on_disk().is_empty());
    assert!(matches!(yard.space.remove(&path("f")), Err(Error::NotFound)));
    yard.begun("f", Mode::Store, "half").interrupt();
    yard.space.remove(&path("f")).unwrap();
    assert!(yard.on_disk().is_empty(), "one may give up an interrupted upload");
}

#[test]
fn a_link_is_removed_and_renamed_itself() {
    let yard = Yard::new();
    yard.write("d/f", "x");
    symlink("d/f", yard.real("link")).unwrap();
    symlink("d", yard.real("dirlink")).unwrap();
    yard.space.rename(&path("link"), &path("renamed")).unwrap();
    assert!(fs::symlink_metadata(yard.real("renamed")).unwrap().is_symlink());
    yard.space.remove(&path("renamed")).unwrap();
    assert!(matches!(yard.space.remove_directory(&path("dirlink")), Err(Error::NotADirectory)));
    yard.space.remove(&path("dirlink")).unwrap();
    assert_eq!(yard.content("d/f").unwrap(), b"x");
}

#[test]
fn links_made_here_mean_the_same_on_the_host() {
    let yard = Yard::new();
    yard.write("a/b/file", "x");
    for (target, link, text) in [
        ("a/b/file", "l1", "a/b/file"),
        ("a/b/file", "a/b/l2", "file"),
        ("a", "a/b/l3", ".."),
        ("/", "a/l4", ".."),
        ("a/b", "a/b/l5", "."),
    ] {
        yard.space.link(&path(target), &path(link)).unwrap();
        assert_eq!(fs::read_link(yard.real(link)).unwrap().to_str().unwrap(), text);
        assert_eq!(yard.space.stat_link(&path(link)).unwrap().target.unwrap().path, path(target));
    }
    assert!(matches!(yard.space.link(&path("a"), &path("l1")), Err(Error::AlreadyExists)));
    let (other, home) = (Yard::new(), &yard.volume);
    let mounts = vec![mount("/", home, Permissions::ALL, &[]), mount("/o", &other.volume, Permissions::ALL, &[])];
    let space = Space::new(b"alice", mounts).unwrap();
    assert!(matches!(space.link(&path("/o/x"), &path("/l")), Err(Error::AcrossMounts)));
}

#[test]
fn things_are_renamed_and_files_replaced() {
    let yard = Yard::new();
    yard.write("a", "a");
    yard.write("b", "b");
    yard.write("d/x", "x");
    yard.space.rename(&path("a"), &path("d/a")).unwrap();
    assert!(matches!(yard.space.rename(&path("a"), &path("c")), Err(Error::NotFound)));
    yard.space.rename(&path("b"), &path("d/a")).unwrap();
    assert_eq!((fetch(&yard.space, "d/a").unwrap(), listed(&yard.space, "/")), (b"b".to_vec(), vec!["d".into()]));
    yard.space.rename(&path("d"), &path("e")).unwrap();
    fs::create_dir(yard.real("empty")).unwrap();
    assert!(matches!(yard.space.rename(&path("e"), &path("empty")), Err(Error::AlreadyExists)));
    assert!(matches!(yard.space.rename(&path("e/a"), &path("empty")), Err(Error::AlreadyExists)));
    assert!(matches!(yard.space.rename(&path("empty"), &path("e/a")), Err(Error::AlreadyExists)));
    assert!(matches!(yard.space.rename(&path("e"), &path("e/f/g")), Err(Error::NotFound)));
    assert!(matches!(yard.space.rename(&path("e"), &path("e/f")), Err(Error::IntoItself)));
    assert!(matches!(yard.space.rename(&path("/"), &path("/x")), Err(Error::Fixed)));
    yard.space.rename(&path("e"), &path("e")).unwrap();
    yard.space.rename(&path("e/a"), &path("e/a")).unwrap();
    assert_eq!(listed(&yard.space, "e"), ["a", "x"]);
}

#[test]
fn nothing_is_moved_so_deep_that_no_path_leads_to_it() {
    let yard = Yard::new();
    let chain = |top: &str, names: usize| format!("{top}{}", "/d".repeat(names - 1));
    let (high, low) = (chain("a", 100), chain("b", 100));
    yard.write(&format!("{high}/f"), "x");
    fs::create_dir_all(yard.real(&low)).unwrap();
    let moved = yard.space.rename(&path("a"), &path(&format!("{low}/a")));
    assert!(matches!(moved, Err(Error::Path(PathError::TooDeep))), "{moved:?}");
    assert_eq!(fetch(&yard.space, &format!("{high}/f")).unwrap(), b"x");
    // Right to the end it may go, and back up from there.
    let (inner, end) = (format!("a{}", "/d".repeat(73)), format!("{low}/e"));
    yard.space.rename(&path(&inner), &path(&end)).unwrap();
    let deepest = format!("{end}{}/f", "/d".repeat(26));
    assert_eq!(path(&deepest).depth(), DEPTH_MAX);
    assert_eq!(fetch(&yard.space, &deepest).unwrap(), b"x");
    yard.space.rename(&path("b"), &path("c")).unwrap();
    let moved = yard.space.rename(&path("c"), &path("a/c"));
    assert!(matches!(moved, Err(Error::Path(PathError::TooDeep))), "{moved:?}");
}

#[test]
fn nothing_is_renamed_across_mounts() {
    let (home, other) = (Yard::new(), Yard::new());
    home.write("f", "x");
    let mounts =
        vec![mount("/", &home.volume, Permissions::ALL, &[]), mount("/o", &other.volume, Permissions::ALL, &[])];
    let space = Space::new(b"alice", mounts).unwrap();
    assert!(matches!(space.rename(&path("/f"), &path("/o/f")), Err(Error::AcrossMounts)));
    assert_eq!(fetch(&space, "f").unwrap(), b"x");
}

#[test]
fn times_are_set_to_the_nanosecond_and_before_the_era() {
    let yard = Yard::new();
    yard.write("f", "x");
    symlink("f", yard.real("l")).unwrap();
    let times = [
        UNIX_EPOCH + Duration::new(1 << 32, 999_999_999),
        UNIX_EPOCH - Duration::new(1, 250_000_000),
        UNIX_EPOCH - Duration::from_secs(5),
        UNIX_EPOCH,
    ];
    for time in times {
        yard.space.set_modified(&path("l"), time).unwrap();
        assert_eq!(yard.space.stat(&path("f")).unwrap().facts.modified, time);
        assert_eq!(fs::metadata(yard.real("f")).unwrap().modified().unwrap(), time);
    }
    let before = fs::symlink_metadata(yard.real("f")).unwrap().accessed().unwrap();
    assert!(before > UNIX_EPOCH + Duration::from_secs(1 << 30), "the time of access is left alone");
    assert!(matches!(yard.space.set_modified(&path("none"), SystemTime::now()), Err(Error::NotFound)));
}

#[test]
fn modes_are_set_without_bits_that_make_anybody_somebody_else() {
    let yard = Yard::new();
    yard.write("f", "x");
    fs::create_dir(yard.real("d")).unwrap();
    for mode in [0o600, 0o755, 0o000, 0o444] {
        yard.space.set_mode(&path("f"), mode).unwrap();
        assert_eq!(fs::metadata(yard.real("f")).unwrap().mode() & 0o7777, mode);
    }
    yard.space.set_mode(&path("d"), 0o711).unwrap();
    assert_eq!(fs::metadata(yard.real("d")).unwrap().permissions().mode() & 0o7777, 0o711);
    for mode in [0o4755, 0o2755, 0o1777] {
        assert!(matches!(yard.space.set_mode(&path("f"), mode), Err(Error::Mode)));
    }
}

#[test]
fn a_directory_stays_one_that_can_be_counted() {
    let yard = Yard::new();
    yard.write("d/f", "x");
    symlink("d", yard.real("l")).unwrap();
    for mode in [0o500, 0o555] {
        yard.space.set_mode(&path("d"), mode).unwrap();
    }
    for (name, mode) in [("d", 0o000), ("d", 0o377), ("d", 0o477), ("l", 0o000)] {
        assert!(matches!(yard.space.set_mode(&path(name), mode), Err(Error::Mode)), "{name} {mode:o}");
    }
    assert_eq!(fs::metadata(yard.real("d")).unwrap().mode() & 0o7777, 0o555);
    fs::set_permissions(yard.real("d"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn new_things_have_the_modes_of_the_terms() {
    let yard = Yard::with(crate::Terms { file_mode: 0o600, directory_mode: 0o700, ..crate::Terms::default() });
    yard.store("f", "").unwrap();
    yard.space.make_directory(&path("d")).unwrap();
    assert_eq!(yard.space.stat(&path("f")).unwrap().facts.mode, 0o600);
    assert_eq!(yard.space.stat(&path("d")).unwrap().facts.mode, 0o700);
    assert_eq!(yard.space.stat(&path("d")).unwrap().facts.kind, Kind::Directory);
}

#[test]
fn sums_are_of_what_is_asked_for() {
    let yard = Yard::new();
    let content: Vec<u8> = (0..600_000u32).map(|n| (n % 251) as u8).collect();
    yard.write("f", &content);
    let whole = yard.space.open_to_sum(&path("f")).unwrap();
    assert_eq!(whole.size, 600_000);
    let sum = |range| whole.sum(crate::Algorithm::Crc32, range, &false.into());
    assert_eq!(sum(0..600_000).unwrap().to_string(), format!("{:08x}", crc32fast::hash(&content)));
    let part = sum(100_000..500_001).unwrap();
    assert_eq!(part.as_bytes(), crc32fast::hash(&content[100_000..500_001]).to_be_bytes());
    assert_eq!(sum(7..7).unwrap().to_string(), "00000000");
    assert!(matches!(sum(0..600_001), Err(Error::OffsetBeyondEnd { end: 600_000 })));
    let stopped = whole.sum(crate::Algorithm::Sha256, 0..600_000, &true.into());
    assert!(matches!(stopped, Err(Error::Busy)));
}

//! Appending: nothing is lost, nothing is seen by halves; and files made of parts.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex};

use super::yard::{Yard, fetch, path, store};
use crate::disk::{Disk, RealDisk};
use crate::{Error, Mode, Permissions, Terms};

#[test]
fn what_is_appended_comes_behind_what_is_there() {
    let yard = Yard::new();
    yard.write("log", "one\n");
    let upload = yard.begun("log", Mode::Append, "two\n");
    assert_eq!((upload.offset(), fetch(&yard.space, "log").unwrap()), (4, b"one\n".to_vec()));
    let stored = upload.commit().unwrap();
    assert_eq!((stored.size, stored.received, stored.replaced), (8, 4, true));
    assert_eq!(fetch(&yard.space, "log").unwrap(), b"one\ntwo\n");
    assert_eq!(yard.on_disk(), ["log"]);
}

#[test]
fn appending_to_nothing_makes_a_file() {
    let yard = Yard::new();
    yard.begun("log", Mode::Append, "one\n").commit().unwrap();
    assert_eq!(fetch(&yard.space, "log").unwrap(), b"one\n");
}

#[test]
fn appends_that_overlap_are_all_there_in_the_order_they_finished() {
    let yard = Yard::new();
    let first = yard.begun("log", Mode::Append, "first\n");
    let second = yard.begun("log", Mode::Append, "second\n");
    let third = yard.begun("log", Mode::Append, "third\n");
    second.commit().unwrap();
    third.commit().unwrap();
    first.commit().unwrap();
    assert_eq!(fetch(&yard.space, "log").unwrap(), b"second\nthird\nfirst\n");
    assert_eq!(yard.on_disk(), ["log"]);
}

#[test]
fn many_who_append_at_once_lose_nothing() {
    let yard = Yard::new();
    std::thread::scope(|scope| {
        for who in 0..4 {
            let space = &yard.space;
            scope.spawn(move || {
                for n in 0..25 {
                    store(space, "log", Mode::Append, format!("{who} {n}\n")).unwrap();
                }
            });
        }
    });
    let log = String::from_utf8(fetch(&yard.space, "log").unwrap()).unwrap();
    let mut lines: Vec<_> = log.lines().map(str::to_owned).collect();
    for who in 0..4 {
        let mine: Vec<_> = lines.iter().filter(|line| line.starts_with(&format!("{who} "))).cloned().collect();
        assert_eq!(mine, (0..25).map(|n| format!("{who} {n}")).collect::<Vec<_>>(), "in their own order");
    }
    lines.dedup();
    assert_eq!(lines.len(), 100);
}

#[test]
fn a_file_stored_while_one_appends_is_what_it_is_appended_to() {
    let yard = Yard::new();
    yard.write("log", "old ");
    let append = yard.begun("log", Mode::Append, "tail");
    yard.store("log", "new ").unwrap();
    append.commit().unwrap();
    assert_eq!(fetch(&yard.space, "log").unwrap(), b"new tail");
    let append = yard.begun("log", Mode::Append, "alone");
    yard.space.remove(&path("log")).unwrap();
    append.commit().unwrap();
    assert_eq!(fetch(&yard.space, "log").unwrap(), b"alone");
}

/// A disk on which something happens while a file is copied, once.
struct Meddler(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Disk for Arc<Meddler> {
    fn copy(&self, source: &File, target: &File, offset: u64, length: u64) -> io::Result<()> {
        RealDisk.copy(source, target, offset, length)?;
        let deed = self.0.lock().unwrap().take();
        deed.into_iter().for_each(|deed| deed());
        Ok(())
    }
}

#[test]
fn a_file_stored_between_copying_and_publishing_is_not_lost() {
    let meddler = Arc::new(Meddler(Mutex::default()));
    let yard = Yard::on(Terms::default(), Box::new(Arc::clone(&meddler)), None);
    yard.write("log", "old ");
    let append = yard.begun("log", Mode::Append, "tail");
    let space = yard.space.clone();
    *meddler.0.lock().unwrap() = Some(Box::new(move || drop(store(&space, "log", Mode::Store, "new ").unwrap())));
    append.commit().unwrap();
    assert_eq!((fetch(&yard.space, "log").unwrap(), yard.on_disk()), (b"new tail".to_vec(), vec!["log".into()]));
    let append = yard.begun("log", Mode::Append, "alone");
    let space = yard.space.clone();
    *meddler.0.lock().unwrap() = Some(Box::new(move || space.remove(&path("log")).unwrap()));
    append.commit().unwrap();
    assert_eq!((fetch(&yard.space, "log").unwrap(), yard.on_disk()), (b"alone".to_vec(), vec!["log".into()]));
}

#[test]
fn an_interrupted_append_leaves_the_file_and_nothing_else() {
    let yard = Yard::new();
    yard.write("log", "one\n");
    assert_eq!(yard.begun("log", Mode::Append, "tw").interrupt(), None);
    assert_eq!((yard.on_disk(), fetch(&yard.space, "log").unwrap()), (vec!["log".into()], b"one\n".to_vec()));
}

#[test]
fn who_may_create_but_not_append_makes_a_file_once() {
    let yard = Yard::new();
    let space = yard.seen_by(b"alice", Permissions::CREATE, &[]);
    let late = {
        let mut upload = space.begin_upload(&path("log"), Mode::Append).unwrap();
        upload.write_all(b"late").unwrap();
        upload
    };
    store(&space, "log", Mode::Append, "first").unwrap();
    assert!(matches!(late.commit(), Err(Error::AlreadyExists)));
    assert!(matches!(store(&space, "log", Mode::Append, "x"), Err(Error::Denied(_))));
    assert_eq!(yard.content("log").unwrap(), b"first");
    assert_eq!(yard.on_disk(), ["log"]);
}

#[test]
fn mode_and_holes_survive_an_append() {
    use std::os::unix::fs::PermissionsExt;
    let yard = Yard::new();
    yard.write("f", "head");
    fs::OpenOptions::new().write(true).open(yard.real("f")).unwrap().set_len(3 << 30).unwrap();
    fs::set_permissions(yard.real("f"), fs::Permissions::from_mode(0o620)).unwrap();
    assert_eq!(yard.begun("f", Mode::Append, "tail").commit().unwrap().size, (3 << 30) + 4);
    let metadata = fs::metadata(yard.real("f")).unwrap();
    assert_eq!(metadata.mode() & 0o777, 0o620);
    assert!(metadata.blocks() < 1024);
}

#[test]
fn parts_become_one_file() {
    let yard = Yard::new();
    for (name, content) in [("p1", "one "), ("p2", "two "), ("p3", "three")] {
        yard.write(name, content);
    }
    let stored = yard.space.combine(&path("whole"), &[path("p1"), path("p2"), path("p3")]).unwrap();
    assert_eq!((stored.size, yard.content("whole").unwrap()), (13, b"one two three".to_vec()));
    assert_eq!(yard.on_disk(), ["whole"]);
    yard.write("p4", "!");
    yard.space.combine(&path("whole"), &[path("p4")]).unwrap();
    assert_eq!(yard.content("whole").unwrap(), b"one two three!");
}

#[test]
fn parts_that_are_not_all_there_change_nothing() {
    let yard = Yard::new();
    yard.write("p1", "one");
    assert!(matches!(yard.space.combine(&path("w"), &[path("p1"), path("p2")]), Err(Error::NotFound)));
    yard.write("w", "w");
    assert!(matches!(yard.space.combine(&path("w"), &[path("p1"), path("w")]), Err(Error::AlreadyExists)));
    let space = yard.seen_by(b"alice", Permissions::ALL - Permissions::DELETE, &[]);
    assert!(matches!(space.combine(&path("w"), &[path("p1")]), Err(Error::Denied(Permissions::DELETE))));
    assert_eq!((yard.on_disk(), yard.content("w").unwrap()), (vec!["p1".into(), "w".into()], b"w".to_vec()));
}

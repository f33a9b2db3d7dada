//! Uploads to a volume without syncs: what is new has no name until it is whole, and keeps every promise that others do.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::yard::{Yard, temporary};
use crate::disk::UnsyncedDisk;
use crate::{Mode, Terms};

fn yard() -> Yard {
    Yard::on(Terms::default(), Box::new(UnsyncedDisk::default()), None)
}

#[test]
fn a_new_file_has_no_name_until_it_is_whole() {
    let yard = yard();
    let mut upload = yard.begun("f", Mode::Store, "dear ");
    assert!(yard.on_disk().is_empty());
    upload.write_all(b"bob").unwrap();
    let stored = upload.commit().unwrap();
    assert_eq!((stored.size, stored.received, stored.replaced), (8, 8, false));
    assert_eq!((yard.on_disk(), yard.content("f").unwrap()), (vec!["f".into()], b"dear bob".to_vec()));
}

#[test]
fn it_is_made_as_one_with_a_name_would_be() {
    let mode = |yard: &Yard| {
        yard.store("f", "x").unwrap();
        let metadata = fs::metadata(yard.real("f")).unwrap();
        (metadata.mode(), metadata.uid(), metadata.gid(), metadata.nlink())
    };
    assert_eq!(mode(&yard()), mode(&Yard::over(temporary(), Terms::default(), Box::new(crate::disk::RealDisk), None)));
}

#[test]
fn what_replaces_a_file_is_named_as_ever() {
    let yard = yard();
    yard.write("f", "old");
    fs::set_permissions(yard.real("f"), fs::Permissions::from_mode(0o604)).unwrap();
    let upload = yard.begun("f", Mode::Store, "new");
    assert_eq!(yard.on_disk(), ["f", "~0"]);
    assert!(upload.commit().unwrap().replaced);
    assert_eq!((yard.on_disk(), yard.content("f").unwrap()), (vec!["f".into()], b"new".to_vec()));
    assert_eq!(fs::metadata(yard.real("f")).unwrap().mode() & 0o777, 0o604);
}

#[test]
fn one_whose_name_was_taken_meanwhile_replaces_what_has_it() {
    let yard = yard();
    let first = yard.begun("f", Mode::Store, "first");
    let second = yard.begun("f", Mode::Store, "second");
    // Rubbish of a crash under the hidden name that it will need.
    let hidden = String::from_utf8(crate::hidden::Key::new(b"alice", b"f").kept()).unwrap().replace("~k", "~0");
    yard.write(&hidden, "rubbish");
    second.commit().unwrap();
    assert!(first.commit().unwrap().replaced);
    assert_eq!((yard.on_disk(), yard.content("f").unwrap()), (vec!["f".into()], b"first".to_vec()));
}

#[test]
fn one_that_broke_off_is_kept_and_continued() {
    let yard = yard();
    drop(yard.begun("f", Mode::Store, "01234"));
    assert_eq!((yard.kept("f"), yard.on_disk()), (Some(5), vec!["~k".into()]));
    yard.begun("f", Mode::Store, "other").interrupt();
    assert_eq!((yard.kept("f"), yard.on_disk()), (Some(5), vec!["~k".into()]));
    yard.begun("f", Mode::At(5), "56789").commit().unwrap();
    assert_eq!((yard.on_disk(), yard.content("f").unwrap()), (vec!["f".into()], b"other56789".to_vec()));
}

#[test]
fn one_that_nobody_wants_leaves_nothing() {
    let yard = yard();
    yard.begun("f", Mode::Store, "x").abandon();
    assert!(yard.on_disk().is_empty());
}

#[test]
fn a_unique_one_takes_the_next_name_when_its_own_was_taken() {
    let yard = yard();
    let upload = yard.begun("f", Mode::Unique, "ours");
    yard.write("f", "theirs");
    assert_eq!(upload.commit().unwrap().path.to_string(), "/f.1");
    assert_eq!((yard.content("f").unwrap(), yard.content("f.1").unwrap()), (b"theirs".to_vec(), b"ours".to_vec()));
}

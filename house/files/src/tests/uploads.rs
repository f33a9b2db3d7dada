//! Storing: whole or not there, interrupted and continued.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::yard::{Yard, fetch, listed, path, store};
use crate::disk::RealDisk;
use crate::{Error, Mode, Permissions, Space, Terms, Volume};

#[test]
fn a_file_is_there_when_it_is_whole_and_not_before() {
    let yard = Yard::over(tempfile::tempdir().unwrap(), Terms::default(), Box::new(RealDisk), None);
    let upload = yard.begun("letter", Mode::Store, "dear ");
    assert!(listed(&yard.space, "/").is_empty());
    assert!(matches!(yard.space.stat(&path("letter")), Err(Error::NotFound)));
    let mut upload = upload;
    upload.write_all(b"bob").unwrap();
    let stored = upload.commit().unwrap();
    assert_eq!((stored.path, stored.size, stored.received, stored.replaced), (path("/letter"), 8, 8, false));
    assert_eq!(fetch(&yard.space, "letter").unwrap(), b"dear bob");
    assert_eq!(yard.on_disk(), ["letter"]);
}

#[test]
fn a_good_file_stays_until_the_new_one_is_whole() {
    let yard = Yard::new();
    yard.write("f", "old");
    fs::set_permissions(yard.real("f"), fs::Permissions::from_mode(0o604)).unwrap();
    let before = yard.space.open_read(&path("f")).unwrap();
    let upload = yard.begun("f", Mode::Store, "new content");
    assert_eq!(fetch(&yard.space, "f").unwrap(), b"old");
    assert!(upload.commit().unwrap().replaced);
    assert_eq!(fetch(&yard.space, "f").unwrap(), b"new content");
    assert_eq!(std::io::read_to_string(before.file).unwrap(), "old", "who fetches it goes on with the old one");
    assert_eq!(fs::metadata(yard.real("f")).unwrap().mode() & 0o777, 0o604, "its mode stays");
}

#[test]
fn what_was_abandoned_leaves_nothing() {
    let yard = Yard::new();
    yard.write("f", "old");
    yard.begun("f", Mode::Store, "new").abandon();
    assert_eq!((yard.on_disk(), yard.kept("g")), (vec!["f".into()], None));
    assert_eq!(yard.content("f").unwrap(), b"old");
}

#[test]
fn an_interrupted_upload_is_continued_where_the_client_says() {
    let yard = Yard::new();
    assert_eq!(yard.begun("f", Mode::Store, "0123456789").interrupt(), Some(10));
    assert_eq!((yard.kept("f"), listed(&yard.space, "/")), (Some(10), vec![]));
    assert!(matches!(yard.space.begin_upload(&path("f"), Mode::At(11)), Err(Error::OffsetBeyondEnd { end: 10 })));
    let upload = yard.begun("f", Mode::At(4), "abc");
    assert_eq!((upload.offset(), upload.received()), (4, 3));
    assert_eq!(upload.commit().unwrap().size, 7);
    assert_eq!(yard.content("f").unwrap(), b"0123abc");
    assert_eq!(yard.on_disk(), ["f"]);
}

#[test]
fn an_upload_that_is_dropped_counts_as_interrupted() {
    let yard = Yard::new();
    drop(yard.begun("f", Mode::Store, "01234"));
    drop(yard.begun("f", Mode::At(5), "56789"));
    assert_eq!(yard.kept("f"), Some(10));
    assert_eq!(yard.begun("f", Mode::Append, "!").commit().unwrap().size, 11);
    assert_eq!(yard.content("f").unwrap(), b"0123456789!");
}

#[test]
fn the_last_interruption_is_the_one_that_is_kept() {
    let yard = Yard::new();
    yard.begun("f", Mode::Store, "first, and longer").interrupt();
    yard.begun("f", Mode::Store, "second").interrupt();
    assert_eq!((yard.kept("f"), yard.on_disk()), (Some(6), vec!["~k".into()]));
    yard.store("f", "whole").unwrap();
    assert_eq!(yard.on_disk(), ["f"], "a whole file ends what is kept");
}

#[test]
fn nothing_arrived_is_nothing_kept() {
    let yard = Yard::new();
    assert_eq!(yard.begun("f", Mode::Store, "").interrupt(), None);
    assert!(yard.on_disk().is_empty());
    assert_eq!(yard.begun("f", Mode::Store, "").commit().unwrap().size, 0);
    assert_eq!(yard.content("f").unwrap(), b"");
}

#[test]
fn rest_on_a_whole_file_keeps_its_head_and_cuts_its_tail() {
    let yard = Yard::new();
    yard.write("f", "0123456789");
    let upload = yard.begun("f", Mode::At(3), "abc");
    assert_eq!(yard.content("f").unwrap(), b"0123456789");
    upload.commit().unwrap();
    assert_eq!(yard.content("f").unwrap(), b"012abc");
    yard.begun("f", Mode::At(6), "!").commit().unwrap();
    assert_eq!(yard.content("f").unwrap(), b"012abc!");
    assert!(matches!(yard.space.begin_upload(&path("f"), Mode::At(8)), Err(Error::OffsetBeyondEnd { end: 7 })));
    assert!(matches!(yard.space.begin_upload(&path("g"), Mode::At(1)), Err(Error::OffsetBeyondEnd { end: 0 })));
}

#[test]
fn rest_never_welds_an_old_file_to_a_new_tail() {
    let yard = Yard::new();
    yard.store("f", "the old content").unwrap();
    yard.begun("f", Mode::Store, "the new").interrupt();
    // SIZE says 15, the length of the old file, and clients go on there.
    assert!(matches!(yard.space.begin_upload(&path("f"), Mode::At(15)), Err(Error::Interrupted { kept: 7 })));
    assert!(matches!(yard.space.begin_upload(&path("f"), Mode::Append), Err(Error::Interrupted { kept: 7 })));
    yard.begun("f", Mode::At(5), "ew and better").commit().unwrap();
    assert_eq!(yard.content("f").unwrap(), b"the new and better");
}

#[test]
fn what_was_kept_before_the_file_was_stored_is_no_part_of_it() {
    let yard = Yard::new();
    let bob = yard.seen_by(b"bob", Permissions::ALL, &[]);
    yard.begun("f", Mode::Store, "alice's beginning").interrupt();
    wait_for_another_ctime(&yard);
    store(&bob, "f", Mode::Store, "bob's").unwrap();
    yard.begun("f", Mode::At(5), " too").commit().unwrap();
    assert_eq!(yard.content("f").unwrap(), b"bob's too");
}

/// Clocks of file systems tick in milliseconds.
fn wait_for_another_ctime(yard: &Yard) {
    let ctime = |name: &str| {
        yard.write(name, "");
        let metadata = fs::metadata(yard.real(name)).unwrap();
        fs::remove_file(yard.real(name)).unwrap();
        (metadata.ctime(), metadata.ctime_nsec())
    };
    let now = ctime("clock");
    while ctime("clock") == now {}
}

#[test]
fn nobody_continues_what_another_account_began() {
    let yard = Yard::new();
    let bob = yard.seen_by(b"bob", Permissions::ALL, &[]);
    yard.begun("f", Mode::Store, "secret").interrupt();
    assert_eq!(bob.kept(&path("f")).unwrap(), None);
    assert!(matches!(bob.begin_upload(&path("f"), Mode::At(6)), Err(Error::OffsetBeyondEnd { end: 0 })));
}

#[test]
fn what_is_kept_can_be_summed_by_whoever_may_go_on_with_it_and_not_be_read() {
    let yard = Yard::new();
    let sum = |space: &Space| {
        let kept = space.open_to_sum(&path("f"))?;
        kept.sum(crate::Algorithm::Crc32, 0..kept.size, &false.into())
    };
    let crc = |octets: &[u8]| format!("{:08x}", crc32fast::hash(octets));
    let dropping = yard.seen_by(b"alice", Permissions::DROP_BOX, &[]);
    assert!(matches!(sum(&yard.space), Err(Error::NotFound)));
    assert!(matches!(sum(&dropping), Err(Error::Denied(_))));
    yard.begun("f", Mode::Store, "begun").interrupt();
    assert_eq!(sum(&yard.space).unwrap().to_string(), crc(b"begun"));
    assert_eq!(sum(&dropping).unwrap().to_string(), crc(b"begun"), "it is their own");
    assert!(matches!(sum(&yard.seen_by(b"bob", Permissions::ALL, &[])), Err(Error::NotFound)));
    let looking = yard.seen_by(b"alice", Permissions::LIST | Permissions::READ, &[]);
    assert!(matches!(sum(&looking), Err(Error::NotFound)), "they may not go on with it");
    assert!(matches!(yard.space.open_read(&path("f")), Err(Error::NotFound)));
    yard.write("f", "another's");
    assert_eq!(sum(&yard.space).unwrap().to_string(), crc(b"another's"), "a file that is there is what counts");
    assert!(matches!(sum(&dropping), Err(Error::Denied(_))));
}

#[test]
fn where_strangers_share_an_account_nothing_is_kept() {
    let yard = Yard::new();
    let mut mount = super::yard::mount("/", &yard.volume, Permissions::DROP_BOX, &[]);
    mount.keeps_interrupted = false;
    let space = crate::Space::new(b"anonymous", vec![mount]).unwrap();
    let mut upload = space.begin_upload(&path("f"), Mode::Store).unwrap();
    upload.write_all(b"half").unwrap();
    assert_eq!(upload.interrupt(), None);
    assert!(yard.on_disk().is_empty());
}

#[test]
fn two_uploads_of_one_name_do_not_meet_and_the_last_to_finish_wins() {
    let yard = Yard::new();
    let first = yard.begun("f", Mode::Store, "first");
    let second = yard.begun("f", Mode::Store, "second");
    second.commit().unwrap();
    assert_eq!(yard.content("f").unwrap(), b"second");
    first.commit().unwrap();
    assert_eq!(yard.content("f").unwrap(), b"first");
    assert_eq!(yard.on_disk(), ["f"]);
}

#[test]
fn there_is_an_end_to_uploads_of_one_name_at_one_time() {
    let yard = Yard::new();
    let uploads: Vec<_> = (0..16).map(|_| yard.begun("f", Mode::Store, "x")).collect();
    assert!(matches!(yard.space.begin_upload(&path("f"), Mode::Store), Err(Error::Busy)));
    drop(uploads);
    assert_eq!(yard.on_disk(), ["~k"]);
}

#[test]
fn a_unique_upload_takes_nobody_s_name() {
    let yard = Yard::new();
    yard.write("f", "taken");
    let first = yard.begun("f", Mode::Unique, "1");
    let second = yard.begun("f", Mode::Unique, "2");
    let names = [first.path().clone(), second.path().clone()];
    assert_eq!(names, [path("f.1"), path("f.2")]);
    assert_eq!((second.commit().unwrap().path, first.commit().unwrap().path), (path("f.2"), path("f.1")));
    assert_eq!(yard.begun("g", Mode::Unique, "").commit().unwrap().path, path("g"));
    assert_eq!(yard.content("f").unwrap(), b"taken");
    let long = "n".repeat(255);
    yard.write(&long, "");
    assert_eq!(yard.begun(&long, Mode::Unique, "").commit().unwrap().path.name().unwrap().len(), 245);
}

#[test]
fn a_unique_upload_whose_name_was_taken_meanwhile_takes_the_next() {
    let yard = Yard::new();
    let upload = yard.begun("f", Mode::Unique, "ours");
    yard.write("f", "theirs");
    assert_eq!(upload.commit().unwrap().path, path("f.1"));
    assert_eq!(yard.content("f").unwrap(), b"theirs");
}

#[test]
fn after_a_crash_what_was_under_way_is_swept_and_what_was_kept_is_not() {
    let yard = Yard::new();
    yard.begun("kept", Mode::Store, "12345").interrupt();
    std::mem::forget(yard.begun("lost", Mode::Store, "123"));
    let Yard { dir, volume, space } = yard;
    // The claims die with the process; so does the lock.
    drop(space);
    let stale = Arc::into_raw(volume);
    assert!(!stale.is_null());
    let copy = super::yard::temporary();
    copy_tree(&dir.path().join("top"), &copy.path().join("top"));
    let yard = Yard::over(copy, Terms::default(), Box::new(RealDisk), None);
    assert_eq!(yard.on_disk(), ["~0", "~k"]);
    let swept = yard.volume.sweep(SystemTime::now()).unwrap();
    assert_eq!((swept.rubbish, swept.expired, swept.bytes), (1, 0, 3));
    assert_eq!(yard.kept("kept"), Some(5));
    let swept = yard.volume.sweep(SystemTime::now() + Duration::from_secs(24 * 60 * 60 + 60)).unwrap();
    assert_eq!((swept.rubbish, swept.expired, swept.bytes), (0, 1, 5));
    assert!(yard.on_disk().is_empty());
}

fn copy_tree(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_sweep_leaves_alone_what_is_under_way() {
    let yard = Yard::new();
    yard.write("deep/er/x", "");
    let upload = yard.begun("deep/er/f", Mode::Store, "half");
    let later = SystemTime::now() + Duration::from_secs(1_000_000);
    assert_eq!(yard.volume.sweep(later).unwrap(), crate::Swept::default());
    upload.interrupt();
    assert_eq!(yard.volume.sweep(later).unwrap().expired, 1);
}

#[test]
fn a_name_left_by_a_crash_is_no_obstacle() {
    let yard = Yard::new();
    let hidden = String::from_utf8(crate::hidden::Key::new(b"alice", b"f").kept()).unwrap().replace("~k", "~0");
    yard.write(&hidden, "rubbish");
    yard.store("f", "good").unwrap();
    assert_eq!((yard.on_disk(), yard.content("f").unwrap()), (vec!["f".into()], b"good".to_vec()));
}

#[test]
fn offsets_beyond_four_gib_are_offsets() {
    let yard = Yard::new();
    yard.write("f", "head");
    let beyond = 5u64 << 30;
    fs::OpenOptions::new().write(true).open(yard.real("f")).unwrap().set_len(beyond).unwrap();
    let stored = yard.begun("f", Mode::At(beyond), "tail").commit().unwrap();
    assert_eq!(stored.size, beyond + 4);
    let metadata = fs::metadata(yard.real("f")).unwrap();
    assert!(metadata.blocks() < 1024, "a hole stays a hole: {}", metadata.blocks());
    let whole = yard.space.open_to_sum(&path("f")).unwrap();
    let sum = whole.sum(crate::Algorithm::Crc32, beyond..beyond + 4, &false.into()).unwrap();
    assert_eq!(sum.to_string(), format!("{:08x}", crc32fast::hash(b"tail")));
}

#[test]
fn an_announced_length_is_looked_at_before_anything_arrives() {
    let yard = Yard::new();
    let mut upload = yard.begun("f", Mode::Store, "");
    upload.expect(1000).unwrap();
    assert!(matches!(upload.expect(1 << 60), Err(Error::DiskFull)));
}

#[test]
fn a_volume_is_open_once() {
    let yard = Yard::new();
    let again = Volume::open(&yard.top(), Terms::default());
    assert!(matches!(again, Err(crate::OpenError::InUse { .. })));
    let top = yard.top();
    let Yard { dir, volume, space } = yard;
    // As a child has it that was forked and is not yet the program that it will be.
    let inherited = volume.root().try_clone_to_owned().unwrap();
    drop((volume, space));
    Volume::open(&top, Terms::default()).unwrap();
    drop(inherited);
    assert!(matches!(Volume::open(&dir.path().join("none"), Terms::default()), Err(crate::OpenError::Io { .. })));
}

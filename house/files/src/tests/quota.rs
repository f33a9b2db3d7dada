//! What is counted, and where it ends.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

use super::yard::{Yard, mount, path, store};
use crate::disk::RealDisk;
use crate::{Error, Mode, Permissions, Quota, Space, Terms, Usage};

fn bounded(bytes: u64, files: u64) -> Terms {
    Terms { quota: Quota { bytes_max: Some(bytes), files_max: Some(files) }, ..Terms::default() }
}

#[test]
fn everything_that_is_done_is_counted_as_a_recount_would() {
    let yard = Yard::with(bounded(1000, 100));
    let check = |what: &str| {
        let counted = yard.usage();
        let found = yard.volume.recount().unwrap();
        assert_eq!(counted, (found.bytes, found.files), "{what}");
    };
    let space = &yard.space;
    yard.store("f", "0123456789").unwrap();
    check("store");
    yard.store("f", "01234").unwrap();
    check("replace");
    store(space, "f", Mode::Append, "56789").unwrap();
    check("append");
    store(space, "f", Mode::Between(2, 4), "xy").unwrap();
    check("a range");
    store(space, "f", Mode::Between(8, 15), "beyond").unwrap();
    check("a range beyond the end");
    store(space, "f", Mode::At(3), "x").unwrap();
    check("go on");
    yard.begun("g", Mode::Store, "half").interrupt();
    check("interrupt");
    yard.begun("g", Mode::Store, "another half").interrupt();
    check("interrupt again");
    yard.begun("g", Mode::At(2), "x").interrupt();
    check("continue and interrupt");
    yard.begun("g", Mode::Append, "x").commit().unwrap();
    check("continue");
    yard.begun("f", Mode::Store, "interrupted replacement").interrupt();
    check("interrupt replacement");
    yard.begun("f", Mode::At(5), "x").commit().unwrap();
    check("continue replacement");
    yard.begun("f", Mode::Append, "x").abandon();
    yard.begun("h", Mode::Store, "x").abandon();
    check("abandon");
    yard.begun("f", Mode::Unique, "unique").commit().unwrap();
    check("unique");
    space.make_directory(&path("d")).unwrap();
    check("mkdir");
    space.link(&path("f"), &path("l")).unwrap();
    check("link");
    space.rename(&path("f"), &path("d/f")).unwrap();
    check("rename");
    space.rename(&path("g"), &path("d/f")).unwrap();
    check("replace by renaming");
    space.combine(&path("c"), &[path("d/f"), path("f.1")]).unwrap();
    check("combine");
    space.remove(&path("l")).unwrap();
    yard.begun("c", Mode::Store, "half").interrupt();
    space.remove(&path("c")).unwrap();
    check("remove");
    yard.begun("d/half", Mode::Store, "half").interrupt();
    space.remove_directory(&path("d")).unwrap();
    check("rmdir");
    yard.begun("k", Mode::Store, "kept").interrupt();
    yard.volume.sweep(SystemTime::now() + Duration::from_secs(1_000_000)).unwrap();
    check("sweep");
    assert_eq!(yard.usage(), (0, 0));
}

#[test]
fn a_directory_that_others_made_unreadable_does_not_keep_the_rest_from_being_counted() {
    let yard = Yard::new();
    for name in ["closed/f", "listed/f", "open/f"] {
        yard.write(name, "12345");
    }
    // Its names may be read, but nothing of what they stand for, and it cannot be opened from inside. (All of it, for root.)
    let modes = [("closed", 0o000), ("listed", 0o400)];
    let set = |name: &str, mode| fs::set_permissions(yard.real(name), fs::Permissions::from_mode(mode)).unwrap();
    modes.iter().for_each(|(name, mode)| set(name, *mode));
    let (found, swept) = (yard.volume.recount(), yard.volume.sweep(SystemTime::now()));
    modes.iter().for_each(|(name, _)| set(name, 0o755));
    let found = found.unwrap();
    assert!((5..=15).contains(&found.bytes) && (4..=6).contains(&found.files), "{found:?}");
    swept.unwrap();
}

#[test]
fn an_upload_ends_where_the_quota_does() {
    let yard = Yard::with(bounded(10, 10));
    let mut upload = yard.begun("f", Mode::Store, "012345");
    assert_eq!(upload.room(100).unwrap(), 4);
    assert!(matches!(upload.write_all(b"6789x"), Err(Error::QuotaExceeded)));
    upload.abandon();
    assert_eq!(yard.usage(), (0, 0));
    yard.store("f", "0123456789").unwrap();
    assert!(matches!(yard.store("g", "x"), Err(Error::QuotaExceeded)));
    assert!(matches!(store(&yard.space, "f", Mode::Append, "x"), Err(Error::QuotaExceeded)));
    yard.store("g", "").unwrap();
    assert_eq!(yard.usage(), (10, 2));
}

#[test]
fn a_file_may_be_replaced_by_one_as_large_although_there_is_no_room_for_both() {
    let yard = Yard::with(bounded(10, 1));
    yard.store("f", "0123456789").unwrap();
    yard.store("f", "abcdefghij").unwrap();
    assert!(matches!(yard.store("f", "0123456789x"), Err(Error::QuotaExceeded)));
    yard.begun("f", Mode::At(5), "56789").commit().unwrap();
    assert_eq!((yard.content("f").unwrap(), yard.usage()), (b"abcde56789".to_vec(), (10, 1)));
}

#[test]
fn files_links_and_directories_are_bounded_together() {
    let yard = Yard::with(bounded(1000, 3));
    yard.store("f", "").unwrap();
    yard.space.make_directory(&path("d")).unwrap();
    yard.space.link(&path("f"), &path("l")).unwrap();
    assert!(matches!(yard.store("g", ""), Err(Error::QuotaExceeded)));
    assert!(matches!(yard.space.make_directory(&path("e")), Err(Error::QuotaExceeded)));
    assert!(matches!(yard.space.link(&path("f"), &path("m")), Err(Error::QuotaExceeded)));
    store(&yard.space, "f", Mode::Append, "more").unwrap();
    yard.store("f", "other").unwrap();
    assert_eq!(yard.on_disk(), ["d", "f", "l"]);
}

#[test]
fn what_is_kept_counts_and_what_does_not_fit_is_not_kept() {
    let yard = Yard::with(bounded(10, 2));
    assert_eq!(yard.begun("f", Mode::Store, "012345").interrupt(), Some(6));
    assert_eq!(yard.usage(), (6, 1));
    assert!(matches!(yard.store("g", "01234"), Err(Error::QuotaExceeded)));
    yard.begun("f", Mode::At(6), "6789").commit().unwrap();
    // Paid for by the file it would replace, which stays: there is no room for both.
    assert_eq!(yard.begun("f", Mode::Store, "abcdef").interrupt(), None);
    assert_eq!((yard.usage(), yard.on_disk()), ((10, 1), vec!["f".into()]));
}

#[test]
fn octets_that_were_not_reported_are_found_at_the_end() {
    use std::io::Write;
    let yard = Yard::with(bounded(10, 2));
    let upload = yard.begun("f", Mode::Store, "");
    (&upload.scratch.file).write_all(b"more than there is room for").unwrap();
    assert!(matches!(upload.commit(), Err(Error::QuotaExceeded)));
    assert_eq!((yard.usage(), yard.on_disk()), ((0, 0), vec![]));
}

#[test]
fn an_announced_length_beyond_the_quota_is_refused() {
    let yard = Yard::with(bounded(10, 2));
    let mut upload = yard.begun("f", Mode::Store, "");
    assert!(matches!(upload.expect(11), Err(Error::QuotaExceeded)));
    upload.expect(10).unwrap();
}

#[test]
fn what_lies_there_is_counted_at_opening() {
    let yard = Yard::new();
    assert_eq!(yard.volume.usage(), None, "without a quota nobody counts");
    yard.write("a/b/c", "12345");
    yard.write("d", "123");
    symlink("d", yard.real("l")).unwrap();
    fs::create_dir(yard.real("e")).unwrap();
    yard.begun("k", Mode::Store, "kept").interrupt();
    let Yard { dir, volume, space } = yard;
    drop((volume, space));
    let yard = Yard::over(dir, bounded(100, 100), Box::new(RealDisk), None);
    assert_eq!(yard.volume.usage(), Some(Usage { bytes: 12, files: 7 }));
    assert_eq!(yard.volume.quota().bytes_max, Some(100));
    assert_eq!(yard.space.room(&path("x")).unwrap().quota_bytes, Some(88));
    assert_eq!(yard.space.room(&path("x")).unwrap().bytes(), 88);
}

#[test]
fn another_quota_holds_at_once_and_for_uploads_under_way() {
    let yard = Yard::new();
    yard.store("f", "01234").unwrap();
    assert_eq!(yard.volume.usage(), None);
    let mut under_way = yard.begun("g", Mode::Store, "56");
    yard.volume.change_terms(bounded(10, 3)).unwrap();
    assert_eq!(yard.usage().1, 2, "what lay there was counted");
    assert!(matches!(yard.space.room(&path("x")).unwrap().quota_bytes, Some(0..=5)));
    yard.volume.change_terms(bounded(6, 2)).unwrap();
    // What it has taken it has; beyond that the new quota decides.
    assert!(matches!(under_way.write_all(&[0; 2 << 20]), Err(Error::QuotaExceeded)));
    under_way.abandon();
    assert!(matches!(yard.store("h", "89"), Err(Error::QuotaExceeded)));
    yard.store("h", "8").unwrap();
    yard.volume.change_terms(bounded(5, 1)).unwrap();
    assert!(matches!(yard.store("i", ""), Err(Error::QuotaExceeded)), "there is more than may be, and it stays");
    yard.store("f", "0123").unwrap();
    assert_eq!(yard.usage(), (5, 2));
    yard.volume.change_terms(Terms::default()).unwrap();
    yard.store("i", [0; 100]).unwrap();
    assert_eq!(yard.usage(), (105, 3));
}

#[test]
fn room_on_the_way_to_mounts_is_that_of_the_roomiest() {
    let (small, large, shut) = (Yard::with(bounded(10, 10)), Yard::with(bounded(100, 10)), Yard::new());
    let mounts = vec![
        mount("/small", &small.volume, Permissions::ALL, &[]),
        mount("/large", &large.volume, Permissions::READ_ONLY, &[("/in", Permissions::DROP_BOX)]),
        mount("/shut", &shut.volume, Permissions::READ_ONLY, &[]),
    ];
    let space = Space::new(b"alice", mounts).unwrap();
    assert_eq!(space.room(&path("/")).unwrap().quota_bytes, Some(100));
    assert_eq!(space.room(&path("/small")).unwrap().quota_bytes, Some(10));
    let nothing = Space::new(b"bob", vec![mount("/a", &shut.volume, Permissions::READ_ONLY, &[])]).unwrap();
    assert_eq!(nothing.room(&path("/")).unwrap().bytes(), 0);
}

#[test]
fn accounts_that_share_a_volume_share_its_quota() {
    let yard = Yard::with(bounded(10, 10));
    let bob = yard.seen_by(b"bob", Permissions::ALL, &[]);
    yard.store("f", "01234567").unwrap();
    assert!(matches!(store(&bob, "g", Mode::Store, "012"), Err(Error::QuotaExceeded)));
    bob.remove(&path("f")).unwrap();
    yard.store("g", "0123456789").unwrap();
}

#[test]
fn many_at_once_do_not_overdraw() {
    let yard = Yard::with(bounded(5_000, 1_000));
    std::thread::scope(|scope| {
        for who in 0..4 {
            let space = &yard.space;
            scope.spawn(move || {
                for n in 0..30 {
                    let _ = store(space, &format!("{who}-{n}"), Mode::Store, [0; 100]);
                    let _ = store(space, "shared", Mode::Append, [0; 10]);
                    let _ = store(space, "shared", Mode::Store, [0; 7]);
                }
            });
        }
    });
    let counted = yard.usage();
    let found = yard.volume.recount().unwrap();
    assert_eq!(counted, (found.bytes, found.files));
    assert!(found.bytes <= 5_000);
}

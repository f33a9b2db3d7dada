//! Ranges: what is not in them stays, side by side none is lost, and nothing is seen by halves.

use super::yard::{Yard, fetch, path, store};
use crate::{Error, Mode, Permissions};

#[test]
fn a_range_takes_the_place_of_what_was_there_and_nothing_else() {
    let yard = Yard::new();
    yard.write("f", "0123456789");
    let upload = yard.begun("f", Mode::Between(2, 5), "abc");
    assert_eq!((upload.offset(), fetch(&yard.space, "f").unwrap()), (2, b"0123456789".to_vec()));
    let stored = upload.commit().unwrap();
    assert_eq!((stored.size, stored.received, stored.replaced), (10, 3, true));
    assert_eq!(fetch(&yard.space, "f").unwrap(), b"01abc56789");
    // Fewer octets than were announced replace fewer.
    yard.begun("f", Mode::Between(0, 10), "x").commit().unwrap();
    assert_eq!(fetch(&yard.space, "f").unwrap(), b"x1abc56789");
    assert_eq!(yard.on_disk(), ["f"]);
}

#[test]
fn a_range_may_go_on_at_the_end_and_not_beyond_it() {
    let yard = Yard::new();
    yard.begun("f", Mode::Between(0, 3), "abc").commit().unwrap();
    yard.begun("f", Mode::Between(2, 6), "XYZ!").commit().unwrap();
    assert_eq!(fetch(&yard.space, "f").unwrap(), b"abXYZ!");
    let beyond = yard.space.begin_upload(&path("f"), Mode::Between(7, 9));
    assert!(matches!(beyond, Err(Error::OffsetBeyondEnd { end: 6 })));
    let of_nothing = yard.space.begin_upload(&path("g"), Mode::Between(1, 9));
    assert!(matches!(of_nothing, Err(Error::OffsetBeyondEnd { end: 0 })));
}

#[test]
fn more_than_the_range_is_refused_and_nothing_changes() {
    let yard = Yard::new();
    yard.write("f", "0123456789");
    let too_much = store(&yard.space, "f", Mode::Between(2, 4), "abc");
    assert!(matches!(too_much, Err(Error::OffsetBeyondEnd { end: 4 })), "{too_much:?}");
    assert_eq!(fetch(&yard.space, "f").unwrap(), b"0123456789");
    assert_eq!(yard.on_disk(), ["f"]);
}

#[test]
fn ranges_side_by_side_do_not_undo_each_other() {
    const PARTS: u64 = 8;
    const OCTETS: u64 = 1000;
    let yard = Yard::new();
    yard.write("f", "-".repeat((PARTS * OCTETS) as usize));
    std::thread::scope(|scope| {
        for part in 0..PARTS {
            let space = &yard.space;
            scope.spawn(move || {
                let (from, until) = (part * OCTETS, (part + 1) * OCTETS);
                store(space, "f", Mode::Between(from, until), part.to_string().repeat(OCTETS as usize)).unwrap();
            });
        }
    });
    let expected: String = (0..PARTS).map(|part| part.to_string().repeat(OCTETS as usize)).collect();
    assert_eq!(fetch(&yard.space, "f").unwrap(), expected.as_bytes());
    assert_eq!(yard.on_disk(), ["f"]);
}

#[test]
fn a_range_of_a_file_that_was_cut_meanwhile_finds_no_place() {
    let yard = Yard::new();
    yard.write("f", "0123456789");
    let upload = yard.begun("f", Mode::Between(8, 10), "ab");
    store(&yard.space, "f", Mode::Store, "short").unwrap();
    assert!(matches!(upload.commit(), Err(Error::OffsetBeyondEnd { end: 5 })));
    assert_eq!(fetch(&yard.space, "f").unwrap(), b"short");
    assert_eq!(yard.on_disk(), ["f"]);
}

#[test]
fn an_interrupted_range_leaves_the_file_and_nothing_else() {
    let yard = Yard::new();
    yard.write("f", "0123456789");
    assert_eq!(yard.begun("f", Mode::Between(2, 8), "ab").interrupt(), None);
    assert_eq!(fetch(&yard.space, "f").unwrap(), b"0123456789");
    assert_eq!(yard.on_disk(), ["f"]);
}

#[test]
fn who_may_create_but_not_write_fills_no_ranges() {
    let yard = Yard::new();
    let space = yard.seen_by(b"alice", Permissions::CREATE, &[]);
    store(&space, "f", Mode::Between(0, 3), "abc").unwrap();
    assert!(matches!(space.begin_upload(&path("f"), Mode::Between(0, 3)), Err(Error::Denied(_))));
}

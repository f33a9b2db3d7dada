//! What a line must look like, to the octet.

use super::*;
use proptest::prelude::*;

/// 2026-11-20 12:00:00.
const NOW: i64 = 1_795_176_000;

fn moment(text: &str) -> Moment {
    Moment::parse(text.as_bytes()).unwrap()
}

fn entry(name: &str) -> Entry<'_> {
    Entry {
        name: Cow::Borrowed(name.as_bytes()),
        kind: EntryKind::File,
        size: 1830,
        modified: moment("20260916055648"),
        created: None,
        mode: 0o644,
        links: 1,
        owner: "bob".into(),
        group: "bob".into(),
        unique: Some((0x801, 0xabc)),
        rights: Rights::parse(b"adfrw"),
    }
}

fn long(entry: &Entry) -> String {
    let mut out = Vec::new();
    long_line(entry, Moment::from_unix_secs(NOW), &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn machine(entry: &Entry, facts: Facts) -> String {
    let mut out = Vec::new();
    machine_line(entry, facts, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[test]
fn a_long_line_is_that_of_ls() {
    assert_eq!(long(&entry("hatch.c")), "-rw-r--r--   1 bob      bob              1830 Sep 16 05:56 hatch.c\r\n");
    let directory = Entry {
        kind: EntryKind::Directory,
        mode: 0o755,
        size: 0,
        links: 2,
        modified: moment("19980705132316"),
        ..entry(" a  b ")
    };
    assert_eq!(long(&directory), "drwxr-xr-x   2 bob      bob                 0 Jul  5  1998  a  b \r\n");
    let link = Entry { kind: EntryKind::Link(b"../x y"[..].into()), mode: 0o777, ..entry("l") };
    assert_eq!(long(&link), "lrwxrwxrwx   1 bob      bob              1830 Sep 16 05:56 l -> ../x y\r\n");
    let wide = Entry { size: u64::MAX, owner: "a very; long owner".into(), links: 123_456, ..entry("x") };
    assert_eq!(long(&wide), "-rw-r--r--123456 a_very__long_owner bob     18446744073709551615 Sep 16 05:56 x\r\n");
}

#[test]
fn half_a_year_decides_between_time_and_year() {
    for (modified, shown) in [
        ("20261120120000", "Nov 20 12:00"),
        ("20261120125959", "Nov 20 12:59"),
        ("20261120130001", "Nov 20  2026"),
        ("20260524120001", "May 24 12:00"),
        ("20260524120000", "May 24  2026"),
        ("19700101000000", "Jan  1  1970"),
    ] {
        let line = long(&Entry { modified: moment(modified), ..entry("x") });
        assert_eq!(&line[46..58], shown, "{modified}");
    }
}

#[test]
fn special_bits_stand_over_the_x() {
    for (mode, letters) in [(0o4755, "rwsr-xr-x"), (0o2644, "rw-r-Sr--"), (0o1777, "rwxrwxrwt"), (0o7000, "--S--S--T")]
    {
        assert_eq!(&long(&Entry { mode, ..entry("x") })[1..10], letters);
    }
}

#[test]
fn facts_are_those_selected_that_the_entry_has() {
    let file = entry("a b");
    assert_eq!(
        machine(&file, Facts::default()),
        "type=file;size=1830;modify=20260916055648;perm=adfrw;unique=801gabc;UNIX.mode=0644; a b\r\n"
    );
    assert_eq!(machine(&file, Facts::NONE), " a b\r\n");
    assert_eq!(machine(&file, Facts::parse(b"Create;UNIX.OWNER;frogs;").unwrap()), "UNIX.owner=bob; a b\r\n");
    let created = Entry { created: Some(moment("19961001124534")), ..entry("x") };
    assert_eq!(machine(&created, Facts::parse(b"create;").unwrap()), "create=19961001124534; x\r\n");
    for (kind, fact) in [
        (EntryKind::Directory, "type=dir; x\r\n"),
        (EntryKind::Current, "type=cdir; x\r\n"),
        (EntryKind::Parent, "type=pdir; x\r\n"),
        (EntryKind::Link(b"y"[..].into()), "type=OS.unix=symlink; x\r\n"),
    ] {
        assert_eq!(machine(&Entry { kind, ..entry("x") }, Facts::parse(b"type;size;").unwrap()), fact);
    }
}

#[test]
fn facts_are_selected_as_rfc_3659_shows() {
    assert_eq!(
        Facts::default().starred(Facts::ALL),
        "type*;size*;modify*;perm*;unique*;UNIX.mode*;UNIX.owner;UNIX.group;create;"
    );
    assert_eq!(
        Facts::NONE.starred(Facts::WITHOUT_CREATION),
        "type;size;modify;perm;unique;UNIX.mode;UNIX.owner;UNIX.group;"
    );
    let some = Facts::parse(b"Type;UNIX.mode;Perm;lang;").unwrap();
    assert_eq!(some.selected(), "type;perm;UNIX.mode;");
    assert_eq!(Facts::parse(b"unique type;"), None);
    assert_eq!(Facts::parse(b""), Some(Facts::NONE));
    assert_eq!(Facts::parse(b"fish;cakes;"), Some(Facts::NONE));
}

#[test]
fn names_are_octets_but_a_line_is_a_line() {
    let mut out = Vec::new();
    name_line(b"dir/", b"\xff\xe9 \n\r\0", &mut out);
    assert_eq!(out, b"dir/\xff\xe9 ???\r\n");
}

proptest! {
    #[test]
    fn one_entry_is_one_line(name in proptest::collection::vec(any::<u8>(), 1..40), size in any::<u64>(), secs in any::<i64>(), facts in 0u16..512) {
        let entry = Entry { name: name.into(), size, modified: Moment::from_unix_secs(secs), ..entry("") };
        for line in [
            { let mut out = Vec::new(); long_line(&entry, Moment::from_unix_secs(NOW), &mut out); out },
            { let mut out = Vec::new(); machine_line(&entry, Facts(facts), &mut out); out },
        ] {
            prop_assert_eq!(line.iter().filter(|octet| **octet == b'\n').count(), 1);
            prop_assert!(line.ends_with(b"\r\n"));
        }
    }

    #[test]
    fn selecting_what_was_selected_changes_nothing(bits in 0u16..512) {
        prop_assert_eq!(Facts::parse(Facts(bits).selected().as_bytes()), Some(Facts(bits)));
    }
}

//! One row for each way to write a line, and what must never come of any.

use super::*;
use proptest::prelude::*;

const NOW: &[u8] = b"20261128040000";

fn now() -> Moment {
    Moment::parse(NOW).expect("a moment")
}

fn all(reader: Reader, text: &[u8], size: usize) -> (Vec<Found>, u64) {
    let (mut reader, mut found) = (reader, Vec::new());
    text.chunks(size.max(1)).for_each(|piece| reader.take(piece, |entry| found.push(entry)));
    reader.end(|entry| found.push(entry));
    (found, reader.flawed())
}

/// `kind size time name`, the time as exact as it is.
fn shown(found: &Found) -> String {
    let kind = match &found.kind {
        Kind::File => "file".into(),
        Kind::Directory => "dir".into(),
        Kind::Link(None) => "link".into(),
        Kind::Link(Some(target)) => format!("link({})", String::from_utf8_lossy(target)),
        Kind::Other => "other".into(),
    };
    let size = found.size.map_or("-".into(), |size| size.to_string());
    let time = found.modified.map_or("-".into(), |stamp| {
        let mut text = Vec::new();
        stamp.moment.write(&mut text);
        let exact = match stamp.precision {
            Precision::Second => 14,
            Precision::Minute => 12,
            Precision::Day => 8,
        };
        String::from_utf8_lossy(&text[..exact]).into_owned() + if stamp.utc { "Z" } else { "" }
    });
    format!("{kind} {size} {time} {}", String::from_utf8_lossy(found.name.as_bytes()))
}

#[track_caller]
fn table(heading: &str, rows: &[(&str, &str)]) {
    for (line, expected) in rows {
        let (found, _) = all(Reader::list(b"", now()), format!("{heading}{line}\r\n").as_bytes(), 1000);
        let found: Vec<String> = found.iter().map(shown).collect();
        let expected: Vec<&str> = if expected.is_empty() { vec![] } else { vec![expected] };
        assert_eq!(found, expected, "{line:?}");
    }
}

#[test]
fn unix() {
    table(
        "",
        &[
            ("-rw-r--r--   1 bob      staff        1830 Jul 10 10:18 menu.txt", "file 1830 202607101018 menu.txt"),
            ("-rw-r--r--   1 bob      staff        1830 Jul 10  1998 menu.txt", "file 1830 19980710 menu.txt"),
            ("-rw-r--r--   1 bob      staff        1830 Dec 10 10:18 menu.txt", "file 1830 202512101018 menu.txt"),
            ("-rw-r--r--   1 bob      staff        1830 Nov 28 23:59 ahead", "file 1830 202611282359 ahead"),
            ("-rw-r--r--   1 bob      staff        1830 Feb 29 10:18 leap", "file 1830 202402291018 leap"),
            (
                "-rw-r--r--   1 bob      staff        1830 Jul 10 10:18  two  blanks ",
                "file 1830 202607101018  two  blanks ",
            ),
            (
                "-rw-r--r--   1 bob      staff        1830 Jul 10 10:18 Jul 11 10:18 x",
                "file 1830 202607101018 Jul 11 10:18 x",
            ),
            ("-rw-r--r--   1 bob      staff        1830 Jul 10 1998 10:18 menu.txt", "file 1830 199807101018 menu.txt"),
            (
                "-rw-r--r--   1 bob      staff        1830 Jul 10 10:18:33 2026 menu.txt",
                "file 1830 20260710101833 menu.txt",
            ),
            ("-rw-r--r--   1 bob      staff        1830 10 Jul 10:18 menu.txt", "file 1830 202607101018 menu.txt"),
            ("-rw-r--r--   1 bob      staff        1830 10. Mär 10:18 menu.txt", "file 1830 202603101018 menu.txt"),
            ("-rw-r--r--   1 bob      staff        1830 10 août  2001 menu.txt", "file 1830 20010810 menu.txt"),
            ("-rw-r--r--   1 bob      staff        1830 2026-07-10 10:18 menu.txt", "file 1830 202607101018 menu.txt"),
            ("-rw-r--r--   1 bob      staff        1830 07-10 10:18 menu.txt", "file 1830 202607101018 menu.txt"),
            (
                "-rw-r--r-- 1 bob staff 1830 2026-07-10 10:18:33.123456789 +0200 menu.txt",
                "file 1830 20260710081833Z menu.txt",
            ),
            ("-rw-r--r--   1 bob      staff        1830  7月 10日 10:18 menu.txt", "file 1830 202607101018 menu.txt"),
            ("-rw-r--r--   1 bob      staff        1830  7月 10日 1998年 menu.txt", "file 1830 19980710 menu.txt"),
            ("-rw-r--r--+  1 bob      staff        1830 Jul 10 10:18 acl", "file 1830 202607101018 acl"),
            ("-rw-r--r--   1 bob                   1830 Jul 10 10:18 no-group", "file 1830 202607101018 no-group"),
            ("-rw-r--r--   bob   staff             1830 Jul 10 10:18 no-links", "file 1830 202607101018 no-links"),
            ("-rw-r--r--   1 domain users staff    1830 Jul 10 10:18 blanks", "file 1830 202607101018 blanks"),
            ("-rw-r--r--   1 500      500          1830 Jul 10 10:18 numbers", "file 1830 202607101018 numbers"),
            (
                "-rw-r--r--   1 bob staff 18446744073709551615 Jul 10 10:18 large",
                "file 18446744073709551615 202607101018 large",
            ),
            ("-rw-r--r--   1 1        1               4 Nov 28 01:18 short", "file 4 202611280118 short"),
            ("-rw-r--r--   1 1        1               4 Nov 28  1998 short", "file 4 19981128 short"),
            ("drwxr-xr-x   2 bob      staff         512 Jul 10 10:18 menus", "dir - 202607101018 menus"),
            ("drwxr-xr-x   2 bob      staff         512 Jul 10 10:18 menus/", "dir - 202607101018 menus"),
            ("drwxrwxr-x               folder        2 May 10  1996 network", "dir - 19960510 network"),
            (
                "-------r--         326  1391972  1392298 Nov 22  1995 MegaPhone.sit",
                "file 1392298 19951122 MegaPhone.sit",
            ),
            (
                "lrwxrwxrwx   1 bob      staff           9 Jul 10 10:18 today -> menu.txt",
                "link(menu.txt) - 202607101018 today",
            ),
            ("lrwxrwxrwx   1 bob      staff           9 Jul 10 10:18 today", "link - 202607101018 today"),
            ("crw-rw----   1 root     dialout    4,  64 Jul 10 10:18 ttyS0", "other - 202607101018 ttyS0"),
            ("brw-rw----   1 root     disk      8,  0 Jul 10 10:18 sda", "other - 202607101018 sda"),
            ("-rw-r--r--   1 bob      staff        1830 Jul 10 10:18 a -> b", "file 1830 202607101018 a -> b"),
            ("total 48", ""),
            ("insgesamt 48", ""),
            ("drwxr-xr-x   2 bob      staff         512 Jul 10 10:18 .", ""),
            ("drwxr-xr-x   2 bob      staff         512 Jul 10 10:18 ..", ""),
            ("-rw-r--r--   1 bob      staff        1830 Jul 32 10:18 no-such-day", ""),
            ("-rw-r--r--   1 bob      staff        1830 Feb 30  2001 no-such-day", ""),
            ("ls: cannot open directory: Permission denied", ""),
        ],
    );
}

#[test]
fn modes_and_owners() {
    let line = "-rwsr-Sr-t 1 bob staff 5 Jul 10 10:18 x\n";
    let (found, _) = all(Reader::list(b"", now()), line.as_bytes(), 1000);
    assert_eq!(found[0].mode, Some(0o7745));
    assert_eq!((found[0].owner.as_deref(), found[0].group.as_deref()), (Some("bob"), Some("staff")));
}

#[test]
fn netware() {
    table(
        "",
        &[
            ("d [R----F--] supervisor            512       Jan 16 18:53    login", "dir - 202601161853 login"),
            ("- [R----F--] rhesus             214059       Oct 20 15:27    cx.exe", "file 214059 202610201527 cx.exe"),
        ],
    );
}

#[test]
fn dos() {
    table(
        "",
        &[
            ("04-27-00  09:09PM       <DIR>          licensed", "dir - 200004272109 licensed"),
            ("07-18-00  10:16AM       <DIR>          a b", "dir - 200007181016 a b"),
            ("04-14-00  12:47AM                  589 readme.htm", "file 589 200004140047 readme.htm"),
            ("04-14-2014  12:47PM              1,589 readme.htm", "file 1589 201404141247 readme.htm"),
            ("2002-09-02  18:48       <DIR>          DATA", "dir - 200209021848 DATA"),
            ("2002-09-02  19:06                9,730 file name", "file 9730 200209021906 file name"),
            ("02.05.2005  10:18                   12 menu.txt", "file 12 200505021018 menu.txt"),
            (
                "05-26-03  04:23PM       <JUNCTION>     link [\\\\host\\share]",
                "link(\\\\host\\share) - 200305261623 link",
            ),
            ("13-14-00  12:47PM                  589 no-such-month", ""),
        ],
    );
}

#[test]
fn eplf() {
    table(
        "",
        &[
            ("+i8388621.48594,m825718503,r,s280,up644,\tdjb.html", "file 280 19960301221503Z djb.html"),
            ("+i8388621.50690,m824255907,/,\t514", "dir - 19960213235827Z 514"),
            ("+,\tneither", "other - - neither"),
        ],
    );
}

#[test]
fn vms() {
    table(
        "",
        &[
            ("CORE.DIR;1          1  8-NOV-1999 07:02 [SYSTEM] (RWED,RWED,RE,RE)", "dir - 199911080702 CORE"),
            (
                "MENU.TXT;12   7/8   10-JUL-2026 10:18:33  [BOB,STAFF]  (RWED,RWED,RE,)",
                "file 3584 20260710101833 MENU.TXT",
            ),
            (
                "A-LONG-NAME-OF-A-FILE.TXT;1\r\n               5   10-JUL-2026 10:18 [BOB] (R,R,R,R)",
                "file 2560 202607101018 A-LONG-NAME-OF-A-FILE.TXT",
            ),
            (
                "SECRET.TXT;1        %RMS-E-PRV, insufficient privilege or file protection violation",
                "file - - SECRET.TXT",
            ),
            ("Directory DISK$USER:[BOB]", ""),
            ("Total of 3 files, 4 blocks.", ""),
        ],
    );
}

#[test]
fn mvs() {
    table(
        "Volume Unit    Referred Ext Used Recfm Lrecl BlkSz Dsorg Dsname\r\n",
        &[
            ("WYOSPT 3420   2003/05/21  1  200  FB      80  8053  PS  48-MVS.FILE", "file - 20030521 48-MVS.FILE"),
            ("WPTA01 3290   2004/03/04  1    3  FB      80  3125  PO  63-MVS.DATASET", "dir - 20040304 63-MVS.DATASET"),
            ("TSO004 3390   VSAM FOO", "file - - FOO"),
            ("Migrated                                                50-MVS.FILE", "file - - 50-MVS.FILE"),
            (
                "ARCIVE Not Direct Access Device                    KJ.IOP998.ERROR.PL.UNITTEST",
                "file - - KJ.IOP998.ERROR.PL.UNITTEST",
            ),
            ("Pseudo Directory                                    'SUB'", "dir - - SUB"),
        ],
    );
    table(
        " Name     VV.MM   Created       Changed      Size  Init   Mod   Id\r\n",
        &[
            ("TBSHELF   01.03 2002/09/12 2002/10/11 09:37    11    11     0 KIL001", "file - 200210110937 TBSHELF"),
            ("BARE", "file - - BARE"),
        ],
    );
}

#[test]
fn vm() {
    table(
        "",
        &[
            (
                "ALPHA    EXEC     F         80         10          2 1998-12-07 10:00:00 A1",
                "file 800 19981207100000 ALPHA.EXEC",
            ),
            (
                "BETA     SCRIPT   V         65        160          2 2005-10-04 15:28:42 BOB191",
                "file - 20051004152842 BETA.SCRIPT",
            ),
            ("SUBDIR            DIR        -          -          - 2005-10-04 15:28:42 -", ""),
            (
                "SUBDIR   -        DIR        -          -          - 2005-10-04 15:28:42 -",
                "dir - 20051004152842 SUBDIR",
            ),
        ],
    );
}

#[test]
fn os2() {
    table(
        "",
        &[
            ("     0           DIR   05-12-97   16:44  PSFONTS", "dir - 199705121644 PSFONTS"),
            (" 36611      A    04-23-103   10:57  OS2 test1.file", "file 36611 200304231057 OS2 test1.file"),
            ("  1123      A R  07-14-99   12:37  two letters", "file 1123 199907141237 two letters"),
        ],
    );
}

#[test]
fn os400() {
    table(
        "",
        &[
            ("QSYS            77824 02/23/00 15:09:55 *DIR       QOpenSys/", "dir - 20000223150955 QOpenSys"),
            ("BOB             31215 05/14/98 10:38:22 *STMF      menu a.txt", "file 31215 19980514103822 menu a.txt"),
            ("BOB                                     *MEM       LIB/MENU.MBR", "file - - MENU.MBR"),
        ],
    );
}

#[test]
fn nonstop() {
    table(
        "File         Code             EOF  Last Modification    Owner  RWEP\r\n",
        &[
            (
                "IARPTS       101              7187  8-Jun-99 13:08:49 244, 10 \"nnnn\"",
                "file 7187 19990608130849 IARPTS",
            ),
            (
                "TESTS     O  101             16354 18-Mar-98 15:09:12 244, 10 \"nnnn\"",
                "file 16354 19980318150912 TESTS",
            ),
        ],
    );
}

#[test]
fn machine() {
    let rows = [
        ("type=file;size=12;modify=20260710101833.123; menu.txt", "file 12 20260710101833Z menu.txt"),
        ("Type=DIR;Modify=20260710101833;  a dir ", "dir - 20260710101833Z  a dir "),
        (" only a name", "file - - only a name"),
        ("type=OS.unix=slink:/etc/Motd; motd", "link(/etc/Motd) - - motd"),
        ("type=OS.unix=symlink; broken", "link - - broken"),
        ("type=OS.unix=chr-13/29; tty", "other - - tty"),
        ("type=cdir; .", ""),
        ("type=pdir; ..", ""),
        ("type=cdir; /menus", ""),
        ("type=file;size=1; /menus/inside", "file 1 - inside"),
        ("type=file; /etc/passwd", ""),
        ("type=file; ../../x", ""),
        ("nonsense", ""),
    ];
    for (line, expected) in rows {
        let (found, _) = all(Reader::machine(b"/menus", now()), format!("{line}\r\n").as_bytes(), 7);
        let found: Vec<String> = found.iter().map(shown).collect();
        assert_eq!(found.join(","), expected, "{line:?}");
    }
}

#[test]
fn names_that_lead_elsewhere_are_counted_and_go_nowhere() {
    let listing = "-rw-r--r-- 1 bob staff 5 Jul 10 10:18 ../../x\r\n\
                   -rw-r--r-- 1 bob staff 5 Jul 10 10:18 /etc/passwd\r\n\
                   -rw-r--r-- 1 bob staff 5 Jul 10 10:18 a\rb\r\n\
                   -rw-r--r-- 1 bob staff 5 Jul 10 10:18 a\0b\r\n\
                   -rw-r--r-- 1 bob staff 5 Jul 10 10:18 good\r\n";
    let (found, flawed) = all(Reader::list(b"", now()), listing.as_bytes(), 1000);
    assert_eq!(found.iter().map(shown).collect::<Vec<_>>(), ["file 5 202607101018 good"]);
    assert_eq!(flawed, 4);
    let long = "x".repeat(256);
    assert_eq!(RemoteName::new(long.as_bytes()), Err(NameFlaw::Long));
    assert_eq!(RemoteName::new(b""), Err(NameFlaw::Empty));
}

#[test]
fn a_line_without_end_is_thrown_away_and_the_next_one_is_read() {
    let mut reader = Reader::list(b"", now());
    let mut found = Vec::new();
    for _ in 0..100 {
        reader.take(&[b'x'; 1000], |entry| found.push(entry));
    }
    reader.take(b"\r\n-rw-r--r-- 1 bob staff 5 Jul 10 10:18 good\r\n", |entry| found.push(entry));
    assert_eq!((found.len(), reader.unread()), (1, 1));
    assert!(reader.line.capacity() <= 2 * LINE_MAX_OCTETS);
}

#[test]
fn the_zone_of_a_server_is_found_by_one_file_with_both_times() {
    let told = Moment::parse(b"20260710101833").expect("a moment");
    let listed =
        |text: &[u8], precision| Stamp { moment: Moment::parse(text).expect("a moment"), precision, utc: false };
    assert_eq!(zone_secs(listed(b"20260710121800", Precision::Minute), told), Some(7200));
    assert_eq!(zone_secs(listed(b"20260710044833", Precision::Second), told), Some(-19_800));
    assert_eq!(zone_secs(listed(b"20260710101800", Precision::Minute), told), Some(0));
    assert_eq!(zone_secs(listed(b"20260711101800", Precision::Minute), told), None);
    assert_eq!(zone_secs(listed(b"20260710120000", Precision::Minute), told), None);
    assert_eq!(zone_secs(listed(b"20260710000000", Precision::Day), told), None);
    let corrected = listed(b"20260710121833", Precision::Second).corrected(7200);
    assert_eq!((corrected.moment, corrected.utc), (told, true));
}

fn lines() -> impl Strategy<Value = Vec<u8>> {
    let words = proptest::sample::select(vec![
        "-rw-r--r--",
        "drwxr-xr-x",
        "lrwxrwxrwx",
        "d",
        "[R----F--]",
        "1",
        "bob",
        "1830",
        "Jul",
        "10",
        "10:18",
        "1998",
        " ",
        "->",
        "..",
        ".",
        "/",
        "\r",
        "\n",
        "2026-07-10",
        "07-10-26",
        "09:09PM",
        "<DIR>",
        "A.TXT;1",
        "1/3",
        "10-JUL-2026",
        "*DIR",
        "*MEM",
        "+i1,r,",
        "\t",
        "type=dir;",
        "F",
        "V",
        "12,",
        "\0",
        "Name",
        "VV.MM",
        "Created",
        "x",
    ]);
    proptest::collection::vec(words, 0..40).prop_map(|words| words.join(" ").into_bytes())
}

proptest! {
    #[test]
    fn no_listing_gives_a_name_that_leads_elsewhere(text in lines(), size in 1usize..50, machine: bool) {
        let reader = || if machine { Reader::machine(b"", now()) } else { Reader::list(b"", now()) };
        let (found, flawed) = all(reader(), &text, size);
        for entry in &found {
            prop_assert!(RemoteName::new(entry.name.as_bytes()).is_ok());
        }
        prop_assert_eq!((found, flawed), all(reader(), &text, 10_000));
    }

    #[test]
    fn what_our_server_writes_is_read(name in "[a-z ./]{1,20}", size: u64, secs in 0i64..1_795_000_000) {
        let kind = crate::listing::EntryKind::File;
        let entry = crate::listing::Entry {
            name: name.as_bytes().into(), kind, size, modified: Moment::from_unix_secs(secs), created: None, mode: 0o640,
            links: 1, owner: "bob".into(), group: "staff".into(), unique: Some((1, 2)), rights: crate::Rights::READ,
        };
        let (mut long, mut facts) = (Vec::new(), Vec::new());
        crate::listing::long_line(&entry, now(), &mut long);
        crate::listing::machine_line(&entry, crate::Facts::ALL, &mut facts);
        let (found, flawed) = all(Reader::list(b"", now()), &long, 1000);
        let (exact, _) = all(Reader::machine(b"", now()), &facts, 1000);
        match RemoteName::new(name.as_bytes()) {
            Ok(name) => {
                prop_assert_eq!((&found[0].name, found[0].size, found[0].mode), (&name, Some(size), Some(0o640)));
                prop_assert_eq!(exact[0].modified, Some(Stamp::exact(entry.modified)));
                prop_assert_eq!((&exact[0].name, exact[0].size, exact[0].mode), (&name, Some(size), Some(0o640)));
                let listed = found[0].modified.expect("a time");
                let off = (listed.moment.unix_secs() - secs).abs();
                let exact_to = if listed.precision == Precision::Day { 86_400 } else { 60 };
                prop_assert!(off < exact_to);
            }
            Err(NameFlaw::Dots) => prop_assert_eq!(found.len(), 0),
            Err(_) => prop_assert_eq!((found.len(), flawed), (0, 1)),
        }
    }
}

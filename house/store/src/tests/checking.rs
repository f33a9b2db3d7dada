//! The check names what is wrong; the repair mends it.

use std::os::unix::fs::FileExt;

use super::*;
use crate::{Report, SPILL_AT};

/// A store with a little of everything, closed.
fn furnished() -> (tempfile::TempDir, AccountId) {
    let dir = tempfile::tempdir().unwrap();
    let store = open_swiftly(dir.path());
    let bob = make_account(&store, "bob");
    for number in 1..=12 {
        deliver(&store, &[bob], &format!("message {number} ").repeat(700).into_bytes()).unwrap();
    }
    deliver(&store, &[bob], &vec![b'x'; SPILL_AT * 2]).unwrap();
    store.commit_blocking(about(&store, vec![place(bob), enqueue(&["a@b.test", "c@d.test"])], b"both")).unwrap();
    store.commit_blocking(about(&store, vec![enqueue(&["e@f.test"])], b"queued")).unwrap();
    let expunged = Op::Expunge { account: bob, mailbox: MailboxRef::Inbox, uids: vec![crate::Uid(2)] };
    store.commit_blocking(Commit::of(vec![expunged])).unwrap();
    store.close();
    (dir, bob)
}

fn change_rows(dir: &Path, sql: &str) {
    let conn = rusqlite::Connection::open(dir.join("store.db")).unwrap();
    conn.pragma_update(None, "foreign_keys", false).unwrap();
    conn.execute_batch(sql).unwrap();
    assert!(conn.total_changes() > 0, "{sql}");
}

/// Changes states of messages, laid out as rows.
fn change_states(dir: &Path, sql: &str) {
    let conn = rusqlite::Connection::open(dir.join("store.db")).unwrap();
    crate::states::unpack(&conn, |_| panic!("not sound before")).unwrap();
    assert!(conn.execute(sql, []).unwrap() > 0, "{sql}");
    conn.execute("DELETE FROM states", []).unwrap();
    crate::states::pack(&conn, crate::states::REPACKED).unwrap();
}

fn words(report: &Report) -> String {
    report.problems.iter().map(|problem| format!("{problem}\n")).collect()
}

#[test]
fn a_sound_store_is_found_sound_and_counted() {
    let (dir, _) = furnished();
    let report = crate::check(dir.path()).unwrap();
    assert!(report.is_clean(), "{}", words(&report));
    assert_eq!((report.messages, report.mails, report.bodies), (13, 2, 14));
    assert!(crate::repair(dir.path()).unwrap().is_clean());
}

#[test]
fn every_broken_rule_between_rows_is_named_and_mended() {
    let cases = [
        (
            "UPDATE messages SET body = 999 WHERE uid = 3",
            "message 3 in mailbox INBOX of account bob has lost its octets",
        ),
        ("UPDATE mails SET body = 999 WHERE id = 1", "queued mail 1 from <alice@crepes.test> has lost its octets"),
        ("DELETE FROM mails WHERE id = 1", "recipient 1 <a@b.test> belongs to mail 1, which does not exist"),
        ("DELETE FROM recipients WHERE mail = 1", "queued mail 1 from <alice@crepes.test> has no recipient"),
        ("INSERT INTO attempts VALUES (77, 1, 0, NULL, '')", "attempt 1 belongs to recipient 77, who does not exist"),
        ("UPDATE mailboxes SET account = 77 WHERE name = 'Sent'", "(Sent) belongs to no account"),
        ("UPDATE messages SET mailbox = 77 WHERE uid = 3", "message 3 is in mailbox 77, which does not exist"),
        ("UPDATE expunged SET mailbox = 77", "UIDs 2 to 2 are remembered of mailbox 77, which does not exist"),
        ("DELETE FROM totals", "account 1 (bob) has no totals"),
        ("INSERT INTO totals VALUES (77, 1, 0, 0)", "there are totals of account 77, which does not exist"),
        ("UPDATE bodies SET refs = 5 WHERE id = 4", "body 4 counts 5 references and has 1"),
        ("DELETE FROM messages WHERE uid = 3", "body 3 counts 1 references and has 0"),
        ("UPDATE bodies SET segment = 99 WHERE id = 4", "body 4 lies in segment 99, which does not exist"),
        ("UPDATE bodies SET offset = 90000000 WHERE id = 4", "body 4 lies behind the end of segment 1"),
        ("UPDATE segments SET live = 1 WHERE id = 1", "segment 1 counts 1 live octets"),
        ("UPDATE segments SET sealed = 0 WHERE id = 1", "segment 1 is open beside a later one"),
        ("UPDATE unpacked SET size = 1 WHERE uid = 3", "message 3 in mailbox 1 is said to have 1 octets"),
        ("UPDATE mails SET size = 1 WHERE id = 1", "queued mail 1 is said to have 1 octets"),
        ("UPDATE mailboxes SET unseen = 3 WHERE id = 1", "mailbox 1 (INBOX) counts 13 messages, 3 unseen"),
        ("UPDATE totals SET octets = 3", "account 1 counts 13 messages, 3 octets"),
        ("UPDATE expunged SET last = 4", "UIDs 2 to 4 of mailbox 1 are both there and expunged"),
        ("UPDATE mailboxes SET uidnext = 2 WHERE id = 1", "mailbox 1 (INBOX) would give UID 2 again"),
        ("UPDATE mailboxes SET modseq = 1 WHERE id = 1", "mailbox 1 (INBOX) has modseq 1 and a later change in it"),
        ("UPDATE totals SET modseq = 1", "account 1 has modseq 1 and a later change in a mailbox"),
        ("UPDATE mailboxes SET deleted = 3 WHERE id = 1", "mailbox 1 (INBOX) counts 13 messages, 13 unseen, 3 deleted"),
        ("INSERT INTO subscriptions VALUES (77, 'x')", "account 77 subscribes to x and does not exist"),
        (
            "INSERT INTO annotations VALUES (1, 99, '/private/x', x'00')",
            "annotation /private/x is of mailbox 99 of account 1, which does not exist",
        ),
        ("INSERT INTO rights VALUES (99, 'alice', 'lr')", "alice has rights on mailbox 99, which does not exist"),
        ("INSERT INTO threads VALUES (77, 5, 5)", "1 keys of discussions are of account 77, which does not exist"),
        ("INSERT INTO removed_mailboxes VALUES (77, 3, 3)", "mailbox 3 is remembered as removed of account 77"),
        (
            "UPDATE messages SET email = 0 WHERE uid = 3",
            "message 3 in mailbox 1 has no name among the account's messages",
        ),
        ("UPDATE counters SET next = 1 WHERE name = 'email'", "the next email would be 1, but"),
        ("UPDATE counters SET next = 1 WHERE name = 'body'", "the next body would be 1, but"),
        ("DELETE FROM unpacked WHERE uid = 3", "message 3 in mailbox 1 has no flags, not even none"),
        ("UPDATE unpacked SET uid = 99 WHERE uid = 14", "message 99 in mailbox 1 has a state and is not there"),
        ("UPDATE unpacked SET received_at = 5 WHERE uid = 3", "message 3 in mailbox 1 arrived at"),
        ("UPDATE states SET block = x'00'", "the states of messages from 1 on in mailbox 1 cannot be read"),
        ("INSERT INTO states SELECT id - 1, block, words FROM states", "message 1 in mailbox 1 has two states"),
        ("DELETE FROM counters WHERE name = 'mailbox'", "the next mailbox would be 1, but 6 is in use"),
    ];
    assert!(cases.len() > crate::check::RULES.len(), "every rule has a case");
    let (sound, bob) = furnished();
    for (damage, named) in cases {
        let dir = tempfile::tempdir().unwrap();
        copy(sound.path(), dir.path());
        match damage.contains("unpacked") {
            true => change_states(dir.path(), damage),
            false => change_rows(dir.path(), damage),
        }
        let found = words(&crate::check(dir.path()).unwrap());
        assert!(found.contains(named), "{damage}: {found}");
        assert!(!crate::repair(dir.path()).unwrap().is_clean(), "{damage}");
        let left = words(&crate::check(dir.path()).unwrap());
        assert!(left.is_empty(), "{damage}: {left}");
        let store = open_swiftly(dir.path());
        deliver(&store, &[bob], b"life goes on").unwrap();
        assert!(inbox(&store, bob).len() >= 12);
    }
}

#[test]
fn an_account_without_an_inbox_gets_one() {
    let (dir, bob) = furnished();
    change_rows(dir.path(), "UPDATE mailboxes SET name = 'elsewhere' WHERE name = 'INBOX'");
    let found = words(&crate::repair(dir.path()).unwrap());
    assert!(found.contains("account 1 (bob) has no INBOX"), "{found}");
    assert_sound(dir.path());
    let store = open_swiftly(dir.path());
    deliver(&store, &[bob], b"life goes on").unwrap();
    assert_eq!(inbox(&store, bob).len(), 1);
    assert_eq!(store.mailbox_named(bob, "elsewhere").unwrap().unwrap().messages, 13);
    make_account(&store, "carol");
}

#[test]
fn a_changed_octet_is_named_and_the_message_kept() {
    let (dir, bob) = furnished();
    let file = std::fs::OpenOptions::new().write(true).open(dir.path().join("seg/0000000001.seg")).unwrap();
    file.write_all_at(b"#", 1000).unwrap();
    for _ in 0..2 {
        let report = crate::repair(dir.path()).unwrap();
        assert_eq!(report.problems.len(), 1, "{}", words(&report));
        assert!(report.problems[0].mending.is_none());
        assert!(words(&report).contains("checksum"), "{}", words(&report));
    }
    let store = open_swiftly(dir.path());
    let kept = store.maildrop(bob).unwrap().messages;
    assert_eq!(kept.len(), 13);
    let error = store.reader(&kept[0]).unwrap().read_whole().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
}

#[test]
fn a_record_that_is_not_there_takes_its_message_along() {
    let (dir, bob) = furnished();
    let file = std::fs::OpenOptions::new().write(true).open(dir.path().join("seg/0000000001.seg")).unwrap();
    file.write_all_at(&[0; 16], 64).unwrap();
    let found = words(&crate::repair(dir.path()).unwrap());
    assert!(found.contains("body 1 in segment 1: there is no record"), "{found}");
    assert!(found.contains("message 1 in mailbox INBOX of account bob has lost its octets"), "{found}");
    assert_sound(dir.path());
    assert_eq!(inbox(&open_swiftly(dir.path()), bob).len(), 12);
}

#[test]
fn a_missing_segment_is_refused_at_opening_and_mended_by_losing_its_mail_only() {
    let (dir, bob) = furnished();
    std::fs::remove_file(dir.path().join("seg/0000000001.seg")).unwrap();
    assert!(matches!(Store::open(dir.path(), small()), Err(crate::OpenError::Damaged(_))));
    let found = words(&crate::check(dir.path()).unwrap());
    assert!(found.contains("segment 1: its file cannot be opened"), "{found}");
    crate::repair(dir.path()).unwrap();
    assert_sound(dir.path());
    let store = open_swiftly(dir.path());
    let left = inbox(&store, bob);
    let uids: Vec<_> = left.iter().map(|(uid, _)| *uid).collect();
    assert_eq!(uids, [9, 10, 11, 12, 13, 14], "what lay in other segments is there");
    deliver(&store, &[bob], b"life goes on").unwrap();
    assert_eq!(inbox(&store, bob).last().unwrap().0, 15);
}

#[test]
fn a_segment_that_was_cut_short_keeps_what_it_has() {
    let (dir, bob) = furnished();
    let file = std::fs::OpenOptions::new().write(true).open(dir.path().join("seg/0000000001.seg")).unwrap();
    file.set_len(20_000).unwrap();
    assert!(matches!(Store::open(dir.path(), small()), Err(crate::OpenError::Damaged(_))));
    let found = words(&crate::repair(dir.path()).unwrap());
    assert!(found.contains("segment 1 has 20000 octets and should have"), "{found}");
    assert_sound(dir.path());
    let store = open_swiftly(dir.path());
    assert_eq!(inbox(&store, bob)[0].1, as_read(bob, &"message 1 ".repeat(700).into_bytes()));
}

#[test]
fn a_stray_segment_is_named_and_removed_at_opening() {
    let (dir, _) = furnished();
    let stray = dir.path().join("seg/0000000099.seg");
    std::fs::write(&stray, b"left by a crash").unwrap();
    assert!(words(&crate::check(dir.path()).unwrap()).contains("0000000099.seg is known to no row"));
    drop(open_swiftly(dir.path()));
    assert!(!stray.exists());
}

#[test]
fn a_damaged_database_is_said_to_be_damaged() {
    let (dir, _) = furnished();
    let file = std::fs::OpenOptions::new().write(true).open(dir.path().join("store.db")).unwrap();
    let pages = file.metadata().unwrap().len() / 4096;
    for page in 2..pages {
        file.write_all_at(&[0x5A; 64], page * 4096).unwrap();
    }
    let found = match crate::check(dir.path()) {
        Ok(report) => words(&report),
        Err(error) => error.to_string(),
    };
    assert!(found.contains("malformed") || found.contains("damaged"), "{found}");
}

#[test]
fn a_running_store_is_checked_beside_its_traffic() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_swiftly(dir.path());
    let bob = make_account(&store, "bob");
    std::thread::scope(|scope| {
        let traffic = scope.spawn(|| {
            for number in 0..100_u32 {
                deliver(&store, &[bob], &vec![b'x'; 3000]).unwrap();
                let uids = vec![crate::Uid(number)];
                let expunge = Op::Expunge { account: bob, mailbox: MailboxRef::Inbox, uids };
                store.commit_blocking(Commit::of(vec![expunge])).unwrap();
                store.compact(u64::MAX).unwrap();
            }
        });
        while !traffic.is_finished() {
            let report = store.check().unwrap();
            assert!(report.is_clean(), "{}", words(&report));
        }
        traffic.join().unwrap();
    });
}

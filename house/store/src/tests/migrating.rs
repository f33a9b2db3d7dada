//! A store of an earlier format is brought to the present one, with everything in it.

use super::*;
use crate::{FORMAT, Kept, MailboxId, Uid};

/// What format 2 kept: made of a present store by laying states out as columns again.
fn as_format_2(dir: &Path) {
    let conn = rusqlite::Connection::open(dir.join("store.db")).unwrap();
    crate::states::unpack(&conn, |_| panic!("not sound before")).unwrap();
    conn.execute_batch(
        "ALTER TABLE messages ADD COLUMN modseq INTEGER NOT NULL DEFAULT 0; \
         ALTER TABLE messages ADD COLUMN size INTEGER NOT NULL DEFAULT 0; \
         ALTER TABLE messages ADD COLUMN flags INTEGER NOT NULL DEFAULT 0; \
         ALTER TABLE messages ADD COLUMN keywords TEXT; \
         UPDATE messages SET modseq = s.modseq, size = s.size, flags = s.flags, keywords = s.keywords FROM unpacked s \
             WHERE s.mailbox = messages.mailbox AND s.uid = messages.uid; \
         DROP TABLE states; PRAGMA user_version = 2;",
    )
    .unwrap();
}

/// What format 1 kept: format 2 without what came with it.
fn as_format_1(dir: &Path) {
    as_format_2(dir);
    let conn = rusqlite::Connection::open(dir.join("store.db")).unwrap();
    conn.pragma_update(None, "foreign_keys", false).unwrap();
    conn.execute_batch(
        "ALTER TABLE mailboxes ADD COLUMN subscribed INTEGER NOT NULL DEFAULT 1; \
         UPDATE mailboxes SET subscribed = 0 WHERE name = 'Trash'; \
         ALTER TABLE mailboxes DROP COLUMN deleted; ALTER TABLE mailboxes DROP COLUMN made; \
         ALTER TABLE mailboxes DROP COLUMN changed; \
         ALTER TABLE messages DROP COLUMN email; ALTER TABLE messages DROP COLUMN thread; \
         ALTER TABLE messages DROP COLUMN added; ALTER TABLE bodies DROP COLUMN outline; \
         DROP TABLE subscriptions; DROP TABLE removed_mailboxes; DROP TABLE threads; DROP TABLE annotations; \
         DROP TABLE rights; DELETE FROM counters WHERE name = 'email'; PRAGMA user_version = 1;",
    )
    .unwrap();
}

#[test]
fn a_store_of_the_first_format_keeps_everything() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_swiftly(dir.path());
    let bob = make_account(&store, "bob");
    for number in 0..5 {
        deliver(&store, &[bob], format!("Subject: {number}\r\n\r\nx").as_bytes()).unwrap();
    }
    let doomed = crate::FlagChange::Add(Flags::system(Flags::DELETED));
    let (account, mailbox, uids) = (bob, MailboxRef::Inbox, vec![Uid(2)]);
    let op = Op::SetFlags { account, mailbox, uids, change: doomed, unchanged_since: None };
    store.commit_blocking(Commit::of(vec![op])).unwrap();
    let before = inbox(&store, bob);
    store.close();
    as_format_1(dir.path());

    let store = open_swiftly(dir.path());
    assert!(inbox(&store, bob) == before);
    assert_eq!(store.subscriptions(bob).unwrap(), ["Archive", "Drafts", "INBOX", "Junk", "Sent"]);
    let row = store.mailbox_named(bob, "INBOX").unwrap().unwrap();
    assert_eq!((row.messages, row.deleted), (5, 1));
    let kept = store.messages(row.id, Uid(1), 10).unwrap();
    let mut emails: Vec<_> = kept.iter().map(|kept| kept.email).collect();
    emails.dedup();
    assert_eq!(emails.len(), 5, "each message has a name of its own");
    let uids: Vec<Uid> = kept.iter().map(|kept| kept.uid).collect();
    let subjects: Vec<_> =
        store.list(row.id, &uids).unwrap().iter().map(|listed| listed.outlined().front().base_subject).collect();
    assert_eq!(subjects, ["0", "1", "2", "3", "4"]);
    let placed = *deliver(&store, &[bob], b"after").unwrap().placed().next().unwrap();
    assert!(!emails.contains(&placed.email));
    store.close();
    assert_sound(dir.path());
    let conn = rusqlite::Connection::open(dir.path().join("store.db")).unwrap();
    let format: u32 = conn.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(format, FORMAT);
}

/// 300 messages in an inbox with holes, with flags and keywords, and some in another mailbox.
fn furnished(store: &Store) -> (AccountId, Vec<MailboxId>) {
    let bob = make_account(store, "bob");
    for number in 0..300 {
        deliver(store, &[bob], format!("Subject: {number}\r\n\r\nx").as_bytes()).unwrap();
    }
    let inbox = || MailboxRef::Inbox;
    let flags = |system, words: &[&str]| Flags { system, keywords: words.iter().map(|word| (*word).into()).collect() };
    let set = |uids: std::ops::Range<u32>, flags| Op::SetFlags {
        account: bob,
        mailbox: inbox(),
        uids: uids.map(Uid).collect(),
        change: crate::FlagChange::Add(flags),
        unchanged_since: None,
    };
    let ops = vec![
        set(1..200, flags(Flags::SEEN, &[])),
        set(100..150, flags(Flags::DELETED, &["$Junk", "Work"])),
        set(299..301, flags(0, &["Late"])),
        Op::Expunge { account: bob, mailbox: inbox(), uids: (50..140).map(Uid).collect() },
        Op::Copy {
            account: bob,
            source: inbox(),
            uids: (140..160).map(Uid).collect(),
            owner: bob,
            target: MailboxRef::Named("Archive".into()),
            kept: crate::FlagMask::ALL,
        },
    ];
    store.commit_blocking(Commit::of(ops)).unwrap();
    let mailboxes = store.mailboxes(bob).unwrap().iter().map(|row| row.id).collect();
    (bob, mailboxes)
}

fn everything(store: &Store, mailboxes: &[MailboxId]) -> String {
    let all = mailboxes.iter().map(|mailbox| store.messages(*mailbox, Uid(1), usize::MAX).unwrap());
    let flags = |mailbox: &MailboxId| {
        let snapshot = store.open_mailbox(*mailbox).unwrap().now().unwrap();
        snapshot
            .rows()
            .map(|row| (*row, snapshot.flags(row)))
            .map(|(row, flags)| format!("{:?} {flags:?}", row.uid))
            .collect::<Vec<_>>()
    };
    format!("{:#?} {:#?}", all.collect::<Vec<Vec<Kept>>>(), mailboxes.iter().map(flags).collect::<Vec<_>>())
}

#[test]
fn flags_and_modseqs_of_the_second_format_stay() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_swiftly(dir.path());
    let (bob, mailboxes) = furnished(&store);
    let before = everything(&store, &mailboxes);
    let figures = store.mailboxes(bob).unwrap();
    store.close();
    as_format_2(dir.path());

    // Interrupted before its end it has changed nothing, and begins again.
    let conn = rusqlite::Connection::open(dir.path().join("store.db")).unwrap();
    conn.execute_batch("CREATE TABLE unchanging (in_the_way)").unwrap();
    assert!(Store::open(dir.path(), Options::default()).is_err());
    conn.execute_batch("DROP TABLE unchanging").unwrap();
    drop(conn);

    let store = open_swiftly(dir.path());
    assert_eq!(everything(&store, &mailboxes), before);
    assert_eq!(store.mailboxes(bob).unwrap(), figures);
    store.close();
    assert_sound(dir.path());
}

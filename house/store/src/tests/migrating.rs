//! A store of format 1 is brought to the present one, with everything in it.

use super::*;
use crate::{FORMAT, Uid};

/// What the version before kept, as far as rows go: made of a present store by taking away what came later.
fn as_format_1(dir: &Path) {
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
        store.list(row.id, &uids).unwrap().iter().map(|listed| listed.front().base_subject).collect();
    assert_eq!(subjects, ["0", "1", "2", "3", "4"]);
    let placed = *deliver(&store, &[bob], b"after").unwrap().placed().next().unwrap();
    assert!(!emails.contains(&placed.email));
    store.close();
    assert_sound(dir.path());
    let conn = rusqlite::Connection::open(dir.path().join("store.db")).unwrap();
    let format: u32 = conn.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(format, FORMAT);
}

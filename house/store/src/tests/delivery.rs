//! Accepting, listing, reading and expunging mail.

use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::{Arrival, Change, Holding, MailboxId, ModSeq, Outcome, Placed, ReadError, SPILL_AT, Uid};

#[test]
fn a_message_is_read_as_it_was_placed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bob = make_account(&store, "bob@hamburger.test");
    deliver(&store, &[bob], b"Do you like ketchup?\r\nHow about pickles?\r\n").unwrap();
    assert_eq!(inbox(&store, bob), [(1, as_read(bob, b"Do you like ketchup?\r\nHow about pickles?\r\n"))]);
}

#[test]
fn a_message_may_be_empty() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bob = make_account(&store, "bob");
    store.commit_blocking(Commit::with_body(vec![place(bob)], Vec::new(), store.draft())).unwrap();
    assert_eq!(inbox(&store, bob), [(1, prefix(bob))]);
}

#[test]
fn recipients_share_one_body_and_read_their_own_prefix() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (alice, bob) = (make_account(&store, "alice"), make_account(&store, "bob"));
    deliver(&store, &[alice, bob, alice], b"to all\r\n").unwrap();
    assert_eq!(inbox(&store, alice), [(1, as_read(alice, b"to all\r\n")), (2, as_read(alice, b"to all\r\n"))]);
    assert_eq!(inbox(&store, bob), [(1, as_read(bob, b"to all\r\n"))]);
    let report = store.check().unwrap();
    assert_eq!((report.messages, report.bodies), (3, 1));
}

#[test]
fn drafts_around_the_spilling_limit_are_read_as_received() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bob = make_account(&store, "bob");
    let octets: Vec<u8> = (0..SPILL_AT as u32 + 100_000).map(|n| (n % 251) as u8).collect();
    let lengths = [SPILL_AT - 1, SPILL_AT, SPILL_AT + 1, octets.len()];
    for (length, piece) in lengths.into_iter().zip([1000, 70_000, 4096, octets.len()]) {
        let mut draft = store.draft();
        for piece in octets[..length].chunks(piece) {
            draft.append(piece).unwrap();
        }
        assert_eq!(draft.len(), length as u64);
        assert_eq!(draft.is_spilled(), length > SPILL_AT);
        assert_eq!(draft.head_of_content(100).unwrap(), octets[..100]);
        let mut middle = [0; 10];
        assert_eq!(draft.read(length as u64 - 5, &mut middle).unwrap(), 5);
        assert_eq!(middle[..5], octets[length - 5..length]);
        store.commit_blocking(Commit::with_body(vec![place(bob)], HEAD.to_vec(), draft)).unwrap();
    }
    for ((_, read), length) in inbox(&store, bob).into_iter().zip(lengths) {
        assert!(read == as_read(bob, &octets[..length]), "{length} octets");
    }
    store.close();
    assert_sound(dir.path());
}

#[test]
fn a_dropped_draft_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut draft = store.draft();
    draft.append(&vec![b'x'; SPILL_AT + 1]).unwrap();
    let drafts = || {
        let entries = std::fs::read_dir(dir.path().join("tmp")).unwrap();
        entries.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("draft")).count()
    };
    assert_eq!(drafts(), 1);
    drop(draft);
    assert_eq!(drafts(), 0);
}

#[test]
fn a_reader_reads_across_prefix_and_body_at_any_offset() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bob = make_account(&store, "bob");
    deliver(&store, &[bob], b"some content of a message").unwrap();
    let expected = as_read(bob, b"some content of a message");
    let kept = store.maildrop(bob).unwrap().messages.remove(0);
    let reader = store.reader(&kept).unwrap();
    assert_eq!(reader.size(), expected.len() as u64);
    for offset in 0..=expected.len() {
        for length in [1, 7, expected.len()] {
            let wanted = &expected[offset..(offset + length).min(expected.len())];
            let mut buf = vec![0; length];
            let count = reader.read(offset as u64, &mut buf).unwrap();
            assert_eq!(&buf[..count], wanted);
            // What was written a moment ago is in the page cache, where the file system can say so.
            let mut buf = vec![0; length];
            if let Some(count) = reader.read_cached(offset as u64, &mut buf) {
                assert_eq!(&buf[..count], &wanted[..count]);
                assert!(count > 0 || wanted.is_empty());
            }
        }
    }
}

#[test]
fn uids_grow_and_are_never_given_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bob = make_account(&store, "bob");
    for _ in 0..3 {
        deliver(&store, &[bob], b"x").unwrap();
    }
    expunge(&store, bob, &[2, 3]);
    drop(store);
    let store = open(dir.path());
    let placed = *deliver(&store, &[bob], b"y").unwrap().placed().next().unwrap();
    assert_eq!(placed.uid, Uid(4));
    assert_eq!(inbox(&store, bob).iter().map(|(uid, _)| *uid).collect::<Vec<_>>(), [1, 4]);
}

fn expunge(store: &Store, account: AccountId, uids: &[u32]) -> Outcome {
    let op = Op::Expunge { account, mailbox: MailboxRef::Inbox, uids: uids.iter().map(|uid| Uid(*uid)).collect() };
    store.commit_blocking(Commit::of(vec![op])).unwrap().outcomes.remove(0)
}

#[test]
fn expunging_passes_over_what_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bob = make_account(&store, "bob");
    for _ in 0..3 {
        deliver(&store, &[bob], b"x").unwrap();
    }
    let outcome = expunge(&store, bob, &[9, 3, 1, 3]);
    assert_eq!(outcome, Outcome::Expunged { uids: vec![Uid(1), Uid(3)], modseq: Some(ModSeq(5)) });
    assert_eq!(expunge(&store, bob, &[1]), Outcome::Expunged { uids: vec![], modseq: None });
    assert_eq!(inbox(&store, bob).len(), 1);
}

#[test]
fn expunged_uids_are_remembered_in_joined_ranges() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bob = make_account(&store, "bob");
    for _ in 0..9 {
        deliver(&store, &[bob], b"x").unwrap();
    }
    let ranges = || -> Vec<(i64, i64, i64)> {
        let conn = crate::index::open_for_reading(&dir.path().join("store.db")).unwrap();
        let mut select = conn.prepare("SELECT first, last, modseq FROM expunged ORDER BY first").unwrap();
        select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap().map(Result::unwrap).collect()
    };
    expunge(&store, bob, &[2, 3, 7]);
    assert_eq!(ranges(), [(2, 3, 11), (7, 7, 11)]);
    expunge(&store, bob, &[5]);
    assert_eq!(ranges(), [(2, 3, 11), (5, 5, 12), (7, 7, 11)]);
    expunge(&store, bob, &[4, 9]);
    assert_eq!(ranges(), [(2, 5, 13), (7, 7, 11), (9, 9, 13)]);
    expunge(&store, bob, &[6, 8]);
    assert_eq!(ranges(), [(2, 9, 14)]);
}

#[test]
fn an_open_message_is_read_to_its_end_though_it_is_expunged() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bob = make_account(&store, "bob");
    let large = vec![b'x'; SPILL_AT * 2];
    deliver(&store, &[bob], &large).unwrap();
    let kept = store.maildrop(bob).unwrap().messages.remove(0);
    let reader = store.reader(&kept).unwrap();
    expunge(&store, bob, &[1]);
    assert!(reader.read_whole().unwrap() == as_read(bob, &large));
    drop(store);
    let store = open(dir.path());
    assert!(matches!(store.reader(&kept), Err(ReadError::NotFound)), "a large message goes with its segment");
}

#[test]
fn figures_follow_every_change() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bob = make_account(&store, "bob");
    deliver(&store, &[bob], b"12345").unwrap();
    let seen = Op::Place {
        account: bob,
        mailbox: MailboxRef::Named("Sent".into()),
        body: 0,
        prefix: Vec::new(),
        received_at: NOW,
        flags: Flags { system: Flags::SEEN, keywords: vec!["$Forwarded".into(), "work".into()] },
    };
    store.commit_blocking(about(&store, vec![seen], b"sent")).unwrap();
    let sizes = (as_read(bob, b"12345").len() as u64, (HEAD.len() + 4) as u64);
    assert_eq!(store.holding(bob).unwrap(), Holding { messages: 2, octets: sizes.0 + sizes.1 });
    let mailboxes = store.mailboxes(bob).unwrap();
    let named = |name: &str| mailboxes.iter().find(|row| row.name == name).unwrap().clone();
    assert_eq!((named("INBOX").messages, named("INBOX").unseen, named("INBOX").octets), (1, 1, sizes.0));
    assert_eq!((named("Sent").messages, named("Sent").unseen, named("Sent").octets), (1, 0, sizes.1));
    assert_eq!((named("INBOX").modseq, named("Sent").modseq), (ModSeq(2), ModSeq(3)));
    let sent = store.messages(named("Sent").id, Uid(1), 10).unwrap();
    assert_eq!(sent[0].flags.keywords, ["$Forwarded", "work"]);
    assert!(store.messages(named("Sent").id, Uid(2), 10).unwrap().is_empty());
    expunge(&store, bob, &[1]);
    assert_eq!(store.holding(bob).unwrap(), Holding { messages: 1, octets: sizes.1 });
}

#[test]
fn an_account_begins_with_its_mailboxes_and_their_uses() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (alice, bob) = (make_account(&store, "alice"), make_account(&store, "bob"));
    let mailboxes = store.mailboxes(alice).unwrap();
    let found: Vec<_> = mailboxes.iter().map(|row| (row.name.as_str(), row.special_use.join(" "))).collect();
    assert_eq!(
        found,
        [
            ("INBOX", String::new()),
            ("Archive", "\\Archive".into()),
            ("Drafts", "\\Drafts".into()),
            ("Junk", "\\Junk".into()),
            ("Sent", "\\Sent".into()),
            ("Trash", "\\Trash".into()),
        ]
    );
    assert!(mailboxes.iter().all(|row| row.subscribed));
    let mut validities: Vec<_> = [mailboxes, store.mailboxes(bob).unwrap()].concat();
    validities.dedup_by_key(|row| row.uidvalidity);
    assert_eq!(validities.len(), 12);
    assert!(validities.iter().all(|row| row.uidvalidity >= NOW as u32 && row.uidnext == 1));
}

#[test]
fn uidvalidity_grows_though_the_clock_goes_back() {
    static CLOCK: AtomicI64 = AtomicI64::new(NOW);
    let dir = tempfile::tempdir().unwrap();
    let options = Options { clock: || CLOCK.load(Ordering::Relaxed), ..small() };
    let store = Store::open(dir.path(), options.clone()).unwrap();
    let first = make_account(&store, "a");
    let first = store.mailboxes(first).unwrap();
    drop(store);
    CLOCK.store(NOW - 100_000, Ordering::Relaxed);
    let store = Store::open(dir.path(), options).unwrap();
    let second = make_account(&store, "b");
    let second = store.mailboxes(second).unwrap();
    assert!(second[0].uidvalidity > first[5].uidvalidity);
}

#[test]
fn a_commit_that_is_refused_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bob = make_account(&store, "bob");
    let nobody = AccountId(99);
    let refused = [
        deliver(&store, &[bob, nobody], b"x"),
        deliver(&store, &[bob, nobody], &vec![b'x'; SPILL_AT * 2]),
        store.commit_blocking(about(&store, vec![place(bob), enqueue(&["c@d.test"]), create("bob")], b"x")),
        store.commit_blocking(Commit::of(vec![create("carol"), create("bob")])),
        store.commit_blocking(Commit::of(vec![
            Op::RemoveAccount { account: bob },
            Op::UpdateAccount { account: bob, name: "b".into(), record: String::new() },
        ])),
    ];
    for error in refused.map(Result::unwrap_err) {
        assert!(error.is_permanent(), "{error}");
    }
    assert_eq!(inbox(&store, bob), []);
    assert_eq!(store.accounts().unwrap().len(), 1);
    assert_eq!(store.queue_next_due().unwrap(), None);
    let placed = *deliver(&store, &[bob], b"y").unwrap().placed().next().unwrap();
    assert_eq!((placed.uid, placed.modseq), (Uid(1), ModSeq(2)));
    store.close();
    assert_sound(dir.path());
}

fn create(name: &str) -> Op {
    Op::CreateAccount { name: name.into(), record: String::new() }
}

#[test]
fn a_commit_that_contradicts_itself_is_malformed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bob = make_account(&store, "bob");
    let long = Op::Place {
        account: bob,
        mailbox: MailboxRef::Inbox,
        body: 0,
        prefix: vec![b'x'; crate::PREFIX_MAX + 1],
        received_at: NOW,
        flags: Flags::default(),
    };
    let blank = Op::Place {
        account: bob,
        mailbox: MailboxRef::Inbox,
        body: 0,
        prefix: Vec::new(),
        received_at: NOW,
        flags: Flags { system: 0, keywords: vec!["a b".into()] },
    };
    let malformed = [
        Commit::of(vec![place(bob)]),
        Commit::of(vec![enqueue(&["a@b.test"])]),
        about(&store, vec![enqueue(&[])], b"x"),
        about(&store, vec![create("carol")], b"x"),
        about(&store, vec![long], b"x"),
        about(&store, vec![blank], b"x"),
        Commit::with_body(vec![place(bob)], vec![b'x'; crate::HEAD_MAX + 1], store.draft()),
    ];
    for commit in malformed {
        let error = store.commit_blocking(commit).unwrap_err();
        assert!(matches!(error, CommitError::Malformed(_)) && error.is_permanent(), "{error}");
    }
}

#[test]
fn mailboxes_are_found_by_name_and_number_and_only_by_their_owner() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (alice, bob) = (make_account(&store, "alice"), make_account(&store, "bob"));
    let into = |account, mailbox| Op::Place {
        account,
        mailbox,
        body: 0,
        prefix: Vec::new(),
        received_at: NOW,
        flags: Flags::default(),
    };
    let deliver = |op| store.commit_blocking(about(&store, vec![op], b"x")).map(|done| done.placed().next().copied());
    let inbox = store.mailboxes(alice).unwrap()[0].id;
    for mailbox in [MailboxRef::Named("inbox".into()), MailboxRef::Named("Inbox".into()), MailboxRef::Id(inbox)] {
        assert!(matches!(deliver(into(alice, mailbox)), Ok(Some(Placed { mailbox, .. })) if mailbox == inbox));
    }
    for mailbox in [MailboxRef::Named("sent".into()), MailboxRef::Id(MailboxId(999)), MailboxRef::Id(inbox)] {
        assert!(matches!(deliver(into(bob, mailbox)), Err(CommitError::NoSuchMailbox(_))));
    }
}

#[test]
fn changes_are_told_in_commit_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut changes = store.changes();
    let bob = make_account(&store, "bob");
    let inbox = store.mailboxes(bob).unwrap()[0].id;
    deliver(&store, &[bob], b"1").unwrap();
    store.commit_blocking(about(&store, vec![place(bob), enqueue(&["a@b.test", "c@d.test"])], b"2")).unwrap();
    expunge(&store, bob, &[1, 2]);
    let _ = deliver(&store, &[AccountId(99)], b"nobody").unwrap_err();
    make_account(&store, "carol");
    let placed = |uid, modseq, content: &[u8]| {
        let size = as_read(bob, content).len() as u64;
        let arrival = Arrival { uid: Uid(uid), size, received_at: NOW, flags: Flags::default() };
        Change::Placed { account: bob, mailbox: inbox, modseq: ModSeq(modseq), messages: [arrival].into() }
    };
    let expected = [
        Change::DirectoryChanged,
        placed(1, 2, b"1"),
        placed(2, 3, b"2"),
        Change::QueueChanged,
        Change::Expunged { account: bob, mailbox: inbox, uids: [Uid(1), Uid(2)].into(), modseq: ModSeq(4) },
        Change::DirectoryChanged,
    ];
    for change in expected {
        // The feed is told after the reply; wait for it.
        assert_eq!(changes.blocking_recv().unwrap(), change);
    }
    store.close();
    assert!(changes.try_recv().is_err());
}

#[test]
fn many_callers_at_once_lose_and_double_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bob = make_account(&store, "bob");
    let mut expected = Vec::new();
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..8)
            .map(|caller| {
                let store = &store;
                scope.spawn(move || {
                    let deliver = |n: usize| {
                        let content = format!("caller {caller}, message {n}").repeat(n * 40).into_bytes();
                        let done = deliver(store, &[bob], &content).unwrap();
                        (done.placed().next().unwrap().uid.0, as_read(bob, &content))
                    };
                    (1..=25).map(deliver).collect::<Vec<_>>()
                })
            })
            .collect();
        for caller in callers {
            expected.extend(caller.join().unwrap());
        }
    });
    expected.sort();
    assert!(inbox(&store, bob) == expected);
    drop(store);
    assert_sound(dir.path());
    assert!(inbox(&open(dir.path()), bob) == expected);
}

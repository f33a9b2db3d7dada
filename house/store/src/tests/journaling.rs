//! What was answered and stands in the journal alone is entered again, as it was told.

use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::{FlagChange, FlagMask, ModSeq, Notify, Outcome, QueueFilter, Ret, SPILL_AT, Uid};

/// Everything that can be seen of a store, but for where octets lie.
fn everything(store: &Store) -> Vec<String> {
    let mut seen = Vec::new();
    for account in store.accounts().unwrap() {
        seen.push(format!("{} {:?}", account.name, store.holding(account.id).unwrap()));
        for mailbox in store.mailboxes(account.id).unwrap() {
            seen.push(format!("{mailbox:?}"));
            let uids: Vec<Uid> =
                store.messages(mailbox.id, Uid(1), usize::MAX).unwrap().iter().map(|kept| kept.uid).collect();
            for listed in store.list(mailbox.id, &uids).unwrap() {
                let kept = &listed.kept;
                let octets = store.reader(kept).unwrap().read_whole().unwrap();
                seen.push(format!(
                    "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
                    kept.uid,
                    kept.modseq,
                    kept.flags,
                    kept.received_at,
                    kept.saved_at,
                    kept.email,
                    kept.thread,
                    listed.outlined().outline(),
                    octets
                ));
            }
        }
    }
    seen.extend(store.queue_list(&QueueFilter::default(), 100).unwrap().iter().map(|mail| format!("{mail:?}")));
    seen
}

/// A store, an account, and a disk that can lose its power.
fn prepared() -> (tempfile::TempDir, Store, Arc<FaultyDisk>, AccountId) {
    let dir = tempfile::tempdir().unwrap();
    let (store, disk) = open_watched(dir.path());
    let bob = make_account(&store, "bob");
    (dir, store, disk, bob)
}

/// Compares the store with what a power cut would leave of it.
fn assert_survives(dir: &Path, store: &Store, disk: &FaultyDisk) {
    // Before anything is looked at: looking commits rows.
    let unseen = disk.image(dir);
    let expected = everything(store);
    for image in [unseen, disk.image(dir)] {
        let after = open_swiftly(image.path());
        assert_eq!(everything(&after), expected);
        drop(after);
        assert_sound(image.path());
    }
}

fn appended(account: AccountId, mailbox: &str, flags: Flags, received_at: i64) -> Op {
    Op::Place {
        account,
        mailbox: MailboxRef::Named(mailbox.into()),
        body: 0,
        prefix: vec![b'X', b':', 0xff, b'\r', b'\n'],
        received_at,
        flags,
    }
}

/// A mail with everything that a mail may have.
fn elaborate() -> QueuedMail {
    let notify = Notify { success: true, failure: false, delay: true };
    QueuedMail {
        sender: "alice@crepes.test".into(),
        recipients: vec![QueuedRecipient {
            address: "käse@f.test".into(),
            original: Some("utf-8;k\\x{E4}se@f.test".into()),
            notify: Some(notify),
        }],
        next_attempt: NOW + 1,
        expires: NOW + 2,
        smtputf8: true,
        eight_bit: true,
        envid: Some("QQ314159".into()),
        ret: Some(Ret::Headers),
        submitted_by: Some("alice".into()),
    }
}

#[test]
fn deliveries_are_entered_again_with_all_their_figures() {
    let (dir, store, disk, bob) = prepared();
    let alice = make_account(&store, "alice");
    let flags = Flags { system: Flags::SEEN | Flags::FLAGGED, keywords: vec!["$Work".into(), "pickles".into()] };
    deliver(&store, &[bob], b"Message-ID: <1@x>\r\nSubject: pickles\r\n\r\nfirst").unwrap();
    let reply = b"Message-ID: <2@x>\r\nIn-Reply-To: <1@x>\r\nSubject: Re: pickles\r\n\r\nsecond";
    deliver(&store, &[bob, alice, bob], reply).unwrap();
    store.commit_blocking(about(&store, vec![appended(bob, "Sent", flags.clone(), NOW - 99)], b"third")).unwrap();
    store.commit_blocking(about(&store, vec![place(alice), enqueue(&["a@b.test", "c@d.test"])], b"fourth")).unwrap();
    store.commit_blocking(about(&store, vec![Op::Enqueue(elaborate())], b"fifth")).unwrap();
    assert_survives(dir.path(), &store, &disk);
    // Behind a commit of another sort, and before one.
    let expunge =
        |uid| Commit::of(vec![Op::Expunge { account: bob, mailbox: MailboxRef::Inbox, uids: vec![Uid(uid)] }]);
    store.commit_blocking(expunge(1)).unwrap();
    deliver(&store, &[bob, alice], b"sixth").unwrap();
    assert_survives(dir.path(), &store, &disk);
    store.commit_blocking(expunge(2)).unwrap();
    assert_survives(dir.path(), &store, &disk);
}

/// Changes flags in an inbox.
fn set_flags(store: &Store, account: AccountId, uids: impl IntoIterator<Item = u32>, change: FlagChange) -> Outcome {
    set_flags_unchanged_since(store, account, uids, change, None)
}

fn set_flags_unchanged_since(
    store: &Store,
    account: AccountId,
    uids: impl IntoIterator<Item = u32>,
    change: FlagChange,
    unchanged_since: Option<ModSeq>,
) -> Outcome {
    let uids = uids.into_iter().map(Uid).collect();
    let op = Op::SetFlags { account, mailbox: MailboxRef::Inbox, uids, change, unchanged_since };
    store.commit_blocking(Commit::of(vec![op])).unwrap().outcomes.remove(0)
}

/// How often the index's log was synced.
fn log_syncs(disk: &FaultyDisk) -> usize {
    disk.log().iter().filter(|operation| *operation == "sync log").count()
}

#[test]
fn flags_are_entered_again_as_they_were_set() {
    let (dir, store, disk, bob) = prepared();
    for number in 0..9 {
        deliver(&store, &[bob], format!("message {number}").as_bytes()).unwrap();
    }
    let flags = |system, words: &[&str]| Flags { system, keywords: words.iter().map(|word| (*word).into()).collect() };
    let mask = FlagMask { system: Flags::SEEN, keywords: true };
    let synced = log_syncs(&disk);
    let Outcome::FlagsSet { modseq: Some(first), .. } =
        set_flags(&store, bob, 2..=7, FlagChange::Add(flags(Flags::SEEN | Flags::FLAGGED, &["Work", "$Junk"])))
    else {
        panic!("nothing was set")
    };
    assert_survives(dir.path(), &store, &disk);
    set_flags(&store, bob, [1, 3, 4, 9, 99], FlagChange::Remove(flags(Flags::SEEN, &["WORK"])));
    set_flags(&store, bob, [9, 5, 5], FlagChange::Replace(flags(Flags::DRAFT, &["pickles"])));
    deliver(&store, &[bob], b"between").unwrap();
    set_flags(&store, bob, 1..=10, FlagChange::ReplaceAmong(mask, flags(Flags::SEEN, &["ham"])));
    assert_survives(dir.path(), &store, &disk);
    let last = set_flags_unchanged_since(&store, bob, 1..=10, FlagChange::Add(flags(0, &["late"])), Some(first));
    assert!(matches!(last, Outcome::FlagsSet { modseq: None, refused, .. } if refused.len() == 10));
    let some = FlagChange::Add(flags(Flags::DELETED, &[]));
    set_flags(&store, bob, [10], some.clone());
    let Outcome::FlagsSet { modseq: Some(since), .. } = set_flags(&store, bob, [2, 3], some.clone()) else {
        panic!("nothing was set")
    };
    set_flags(&store, bob, [2], FlagChange::Add(flags(Flags::ANSWERED, &[])));
    let last = set_flags_unchanged_since(&store, bob, 1..=4, FlagChange::Add(flags(0, &["late"])), Some(since));
    assert!(matches!(last, Outcome::FlagsSet { modseq: Some(_), refused, .. } if refused == [Uid(2)]));
    assert_eq!(log_syncs(&disk), synced, "the journal is enough");
    assert_survives(dir.path(), &store, &disk);
}

#[test]
fn flags_that_are_so_already_are_in_no_entry() {
    let (_dir, store, disk, bob) = prepared();
    deliver(&store, &[bob], b"first").unwrap();
    set_flags(&store, bob, [1], FlagChange::Add(Flags::system(Flags::SEEN)));
    let before = disk.log().len();
    set_flags(&store, bob, [1], FlagChange::Add(Flags::system(Flags::SEEN)));
    assert_eq!(disk.log()[before..], [] as [&str; 0], "there was nothing to be written");
}

#[test]
fn flags_that_an_entry_has_no_room_for_are_kept_by_their_rows() {
    let (dir, store, disk, bob) = prepared();
    let ops = (0..1200).map(|_| appended(bob, "INBOX", Flags::default(), NOW)).collect();
    store.commit_blocking(about(&store, ops, b"one for all")).unwrap();
    assert_eq!(inbox(&store, bob).len(), 1200);
    // Every other message: nothing that could be said in few words.
    let synced = log_syncs(&disk);
    set_flags(&store, bob, (1..1200).step_by(2), FlagChange::Add(Flags::system(Flags::FLAGGED)));
    assert_eq!(log_syncs(&disk), synced + 1);
    assert_survives(dir.path(), &store, &disk);
    // Until the segment is full, and on.
    deliver(&store, &[bob], b"in a segment of usual size").unwrap();
    let keyword = |number| Flags { system: 0, keywords: vec![format!("{number:0>200}")] };
    for number in 0..400 {
        let change = if number % 2 == 0 { FlagChange::Add } else { FlagChange::Remove };
        set_flags(&store, bob, [7], change(keyword(number / 2)));
    }
    let length = std::fs::metadata(dir.path().join("seg/0000000002.seg")).unwrap().len();
    assert_eq!(length, small().segment_octets);
    assert!(log_syncs(&disk) > synced + 2);
    assert_survives(dir.path(), &store, &disk);
    set_flags(&store, bob, [8], FlagChange::Add(keyword(0)));
    deliver(&store, &[bob], b"into the next one").unwrap();
    set_flags(&store, bob, [9], FlagChange::Add(keyword(0)));
    assert_survives(dir.path(), &store, &disk);
}

#[test]
fn flags_are_set_where_no_segment_is_open() {
    let (dir, store, disk, bob) = prepared();
    deliver(&store, &[bob], &vec![b'x'; SPILL_AT + 1]).unwrap();
    set_flags(&store, bob, [1], FlagChange::Add(Flags::system(Flags::SEEN)));
    assert_survives(dir.path(), &store, &disk);
}

#[test]
fn flags_are_set_on_a_full_disk() {
    let (dir, store, disk, bob) = prepared();
    deliver(&store, &[bob], b"first").unwrap();
    disk.fail_always(Some(("write", faulty::Fault::Full)));
    set_flags(&store, bob, [1], FlagChange::Add(Flags::system(Flags::DELETED)));
    assert_survives(dir.path(), &store, &disk);
    let expunge = Op::ExpungeDeleted { account: bob, mailbox: MailboxRef::Inbox, uids: vec![Uid(1)] };
    store.commit_blocking(Commit::of(vec![expunge])).unwrap();
    disk.fail_always(None);
    assert_eq!(inbox(&store, bob), []);
    assert_survives(dir.path(), &store, &disk);
}

#[test]
fn an_entry_of_flags_keeps_its_form() {
    let (dir, store, disk, bob) = prepared();
    deliver(&store, &[bob], b"first").unwrap();
    let mask = FlagMask { system: Flags::SEEN, keywords: true };
    let flags = Flags { system: Flags::SEEN, keywords: vec!["Work".into()] };
    set_flags(&store, bob, [1, 2, 3, 7], FlagChange::ReplaceAmong(mask, flags));
    let image = disk.image(dir.path());
    let octets = std::fs::read(image.path().join("seg/0000000001.seg")).unwrap();
    let said = br#""orders":[{"SetFlags":{"account":1,"mailbox":1,"uids":[[1,3],[7,7]],"change":{"ReplaceAmong":[{"system":1,"keywords":true},{"system":1,"keywords":["Work"]}]},"unchanged_since":null,"modseq":3}}]"#;
    assert!(octets.windows(said.len()).any(|window| window == said), "{}", String::from_utf8_lossy(&octets));
}

#[test]
fn deliveries_over_several_segments_are_entered_again() {
    let (dir, store, disk, bob) = prepared();
    for number in 0..30_usize {
        let length = if number % 7 == 3 { SPILL_AT + 100 } else { 9_000 };
        deliver(&store, &[bob], &vec![b'a' + (number % 26) as u8; length]).unwrap();
        if number % 5 == 0 {
            assert_survives(dir.path(), &store, &disk);
        }
    }
    assert_survives(dir.path(), &store, &disk);
}

#[test]
fn a_second_crash_finds_what_the_first_one_left() {
    let (dir, store, disk, bob) = prepared();
    deliver(&store, &[bob], b"before the first").unwrap();
    let first = disk.image(dir.path());
    let (store, disk) = open_watched(first.path());
    deliver(&store, &[bob], b"between").unwrap();
    let second = disk.image(first.path());
    let (store, disk) = open_watched(second.path());
    assert_eq!(inbox(&store, bob), [(1, as_read(bob, b"before the first")), (2, as_read(bob, b"between"))]);
    let numbers: Vec<_> = deliver(&store, &[bob], b"after").unwrap().placed().map(|placed| placed.email.0).collect();
    assert!(numbers[0] > 2, "no number is given twice");
    assert_survives(second.path(), &store, &disk);
}

#[test]
fn what_was_refused_is_not_entered() {
    let (dir, store, disk, bob) = prepared();
    let mut context = Context::from_waker(Waker::noop());
    let mut waiting: Vec<Pin<Box<dyn Future<Output = _> + Send>>> = Vec::new();
    let mut kept = 0;
    for number in 0..60 {
        // Sent at once, so that some are in one group.
        let account = if number % 3 == 1 { AccountId(99) } else { bob };
        let commit = about(&store, vec![place(account), place(bob)], format!("message {number}").as_bytes());
        let mut commit = Box::pin(store.commit(commit));
        match commit.as_mut().poll(&mut context) {
            Poll::Ready(done) => kept += usize::from(done.is_ok()),
            Poll::Pending => waiting.push(commit),
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for commit in waiting {
            kept += usize::from(commit.await.is_ok());
        }
    });
    assert_eq!(kept, 40);
    assert_survives(dir.path(), &store, &disk);
    assert_eq!(inbox(&store, bob).len(), 80);
}

#[test]
fn an_entry_whose_records_are_damaged_does_not_count() {
    let (dir, store, disk, bob) = prepared();
    deliver(&store, &[bob], b"whole").unwrap();
    let end = disk.image(dir.path());
    deliver(&store, &[bob], b"torn").unwrap();
    let image = disk.image(dir.path());
    let path = "seg/0000000001.seg";
    let octets = std::fs::read(image.path().join(path)).unwrap();
    let torn = octets.windows(4).position(|window| window == b"torn").unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(image.path().join(path)).unwrap();
    file.write_all_at(b"#", torn as u64).unwrap();
    let after = open_swiftly(image.path());
    assert_eq!(everything(&after), everything(&open_swiftly(end.path())));
    // What comes next is written over it, and is not taken for what is behind it.
    deliver(&after, &[bob], b"next").unwrap();
    assert_eq!(inbox(&after, bob), [(1, as_read(bob, b"whole")), (2, as_read(bob, b"next"))]);
    after.close();
    assert_sound(image.path());
}

#[test]
fn a_record_that_is_damaged_takes_nothing_along_that_was_answered_after_it() {
    let (dir, store, disk, bob) = prepared();
    for content in [&b"first"[..], b"torn", b"third"] {
        deliver(&store, &[bob, bob], content).unwrap();
    }
    let image = disk.image(dir.path());
    let path = image.path().join("seg/0000000001.seg");
    let octets = std::fs::read(&path).unwrap();
    let torn = octets.windows(4).position(|window| window == b"torn").unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(b"#", torn as u64).unwrap();
    let (after, disk) = open_watched(image.path());
    deliver(&after, &[bob], b"fourth").unwrap();
    let texts = [(1, &b"first"[..]), (2, b"first"), (5, b"third"), (6, b"third"), (7, b"fourth")];
    assert_eq!(inbox(&after, bob), texts.map(|(uid, text)| (uid, as_read(bob, text))), "a UID means what it meant");
    assert_survives(image.path(), &after, &disk);
}

#[test]
fn a_group_that_fails_takes_nothing_along_that_was_answered() {
    let (dir, store, disk, bob) = prepared();
    deliver(&store, &[bob], b"first").unwrap();
    deliver(&store, &[bob], b"second").unwrap();
    disk.fail_at_next("write", faulty::Fault::Full);
    assert_eq!(deliver(&store, &[bob], b"no room"), Err(CommitError::Full));
    disk.fail_at_next("RowsWritten", faulty::Fault::Full);
    let done = deliver(&store, &[bob], b"third").unwrap();
    assert!(matches!(done.outcomes[0], Outcome::Placed(placed) if placed.uid == Uid(3)));
    // Whoever looks has the rows written, which fails the first time.
    let expected: Vec<_> = (1..).zip([&b"first"[..], b"second", b"third"].map(|text| as_read(bob, text))).collect();
    assert_eq!(inbox(&store, bob), expected);
    assert_eq!(store.failure(), None);
    assert_survives(dir.path(), &store, &disk);
}

#[test]
fn rows_that_have_no_room_are_written_when_there_is_some() {
    let (dir, store, disk, bob) = prepared();
    deliver(&store, &[bob], b"first").unwrap();
    disk.fail_always(Some(("RowsWritten", faulty::Fault::Full)));
    assert_eq!(inbox(&store, bob), [], "nobody waits for room");
    assert_eq!(deliver(&store, &[bob], b"no room"), Err(CommitError::Full));
    // Who opens the mailbox now sees it without what has no rows, and with it later.
    let mailbox = store.mailbox_named(bob, "INBOX").unwrap().unwrap().id;
    let opened = store.open_mailbox(mailbox).unwrap();
    disk.fail_always(None);
    deliver(&store, &[bob], b"second").unwrap();
    assert_eq!(opened.now().unwrap().rows().map(|row| row.uid.0).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(inbox(&store, bob), [(1, as_read(bob, b"first")), (2, as_read(bob, b"second"))]);
    assert_eq!(store.failure(), None);
    assert_survives(dir.path(), &store, &disk);
}

#[test]
fn a_segment_is_not_left_before_the_rows_of_its_journal_are_written() {
    let (dir, store, disk, bob) = prepared();
    let big = |letter: u8| vec![letter; 30_000];
    deliver(&store, &[bob], &big(b'a')).unwrap();
    // Somebody looks, and the rows have no room; then there is some, and the next message is for the next segment.
    disk.fail_always(Some(("RowsWritten", faulty::Fault::Full)));
    assert_eq!(inbox(&store, bob), []);
    assert_eq!(deliver(&store, &[bob], &big(b'b')), Err(CommitError::Full));
    disk.fail_always(None);
    deliver(&store, &[bob], &big(b'c')).unwrap();
    // Full now. The rows that wait are refused twice: when they are to be shown, and when they are entered again.
    disk.fail_times("RowsWritten", faulty::Fault::Full, 2);
    let mut letters = vec![b'a', b'c'];
    // Where rows were shown before it came, there is room for it.
    letters.extend(deliver(&store, &[bob], &big(b'd')).is_ok().then_some(b'd'));
    deliver(&store, &[bob], &big(b'e')).unwrap();
    letters.push(b'e');
    let expected: Vec<_> = (1..).zip(letters.iter().map(|letter| as_read(bob, &big(*letter)))).collect();
    assert!(inbox(&store, bob) == expected);
    assert_survives(dir.path(), &store, &disk);
}

#[test]
fn what_a_group_that_never_stood_left_is_not_read_on() {
    let (dir, store, disk, bob) = prepared();
    deliver(&store, &[bob], b"first").unwrap();
    let image = disk.image(dir.path());
    let path = image.path().join("seg/0000000001.seg");
    let octets = std::fs::read(&path).unwrap();
    let end = octets.iter().rposition(|octet| *octet != 0).unwrap() + 1;
    // Whatever stood there, it might have been a header where the next group is going to end.
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[b'#'; 8192], end as u64).unwrap();
    let (after, disk) = open_watched(image.path());
    deliver(&after, &[bob], b"second").unwrap();
    let octets = std::fs::read(&path).unwrap();
    let is_end = |octets: &[u8]| octets[0] == b'}' && octets[1..65] == [0; 64] && octets[65] == b'#';
    assert!(octets.windows(66).any(is_end));
    assert_survives(image.path(), &after, &disk);
}

#[test]
fn a_repair_finds_what_only_the_journal_has() {
    let (dir, store, disk, bob) = prepared();
    deliver(&store, &[bob], b"in the journal").unwrap();
    let image = disk.image(dir.path());
    assert_eq!(crate::repair(image.path()).unwrap().problems, []);
    assert_eq!(crate::check(image.path()).unwrap().messages, 1);
    assert_eq!(inbox(&open_swiftly(image.path()), bob), [(1, as_read(bob, b"in the journal"))]);
}

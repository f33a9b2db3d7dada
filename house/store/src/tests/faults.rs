//! Disks that fail: whatever was promised is there afterwards, once, and nothing else is half there.
//!
//! The script does everything that has a durable step. It is stopped at each step in turn, the power is cut, the store is
//! opened again and compared with what was answered.

use std::collections::BTreeMap;

use super::faulty::Fault;
use super::*;
use crate::{FlagChange, QueueFilter, RecipientId, SPILL_AT, Uid};

/// What the script was answered.
#[derive(Debug, Default)]
struct Answers {
    /// Contents that were promised to be there.
    promised: Vec<Vec<u8>>,
    /// Contents of commits that failed: perhaps there, but never twice.
    perhaps: Vec<Vec<u8>>,
    /// UIDs that were given, in order.
    uids: Vec<u32>,
    /// Messages whose expunging was promised, and those for which it failed.
    expunged: Vec<u32>,
    perhaps_expunged: Vec<u32>,
    /// Messages whose flags were set.
    flagged: Vec<u32>,
    /// Recipients that must be in the queue, and those of whom it is not known.
    queued: Vec<String>,
    perhaps_queued: Vec<String>,
}

/// Everything that has a durable step.
fn play(store: &Store, bob: AccountId) -> Answers {
    let mut answers = Answers::default();
    for number in 0..9 {
        let length = if number % 4 == 3 { SPILL_AT + 5000 } else { 20_000 };
        let content = numbered(number, length);
        match deliver(store, &[bob], &content) {
            Ok(done) => {
                answers.uids.extend(done.placed().map(|placed| placed.uid.0));
                answers.promised.push(content);
            }
            Err(_) => answers.perhaps.push(content),
        }
    }
    for uids in [vec![1, 3], vec![5]] {
        let op = Op::SetFlags {
            account: bob,
            mailbox: MailboxRef::Inbox,
            uids: uids.iter().map(|uid| Uid(*uid)).collect(),
            change: FlagChange::Add(Flags::system(Flags::FLAGGED)),
            unchanged_since: None,
        };
        if let Ok(done) = store.commit_blocking(Commit::of(vec![op])) {
            answers.flagged.extend(flagged(&done));
        }
    }
    for uids in [vec![2], vec![4]] {
        let op =
            Op::Expunge { account: bob, mailbox: MailboxRef::Inbox, uids: uids.iter().map(|uid| Uid(*uid)).collect() };
        match store.commit_blocking(Commit::of(vec![op])) {
            Ok(_) => answers.expunged.extend(uids),
            Err(_) => answers.perhaps_expunged.extend(uids),
        }
    }
    queue_some(store, bob, &mut answers);
    let _ = store.compact(u64::MAX);
    answers
}

/// Whose flags were set.
fn flagged(done: &Committed) -> impl Iterator<Item = u32> {
    done.outcomes.iter().flat_map(|outcome| match outcome {
        crate::Outcome::FlagsSet { changed, .. } => changed.iter().map(|uid| uid.0).collect(),
        _ => Vec::new(),
    })
}

/// A mail for two outside and one here; one of the two is delivered.
fn queue_some(store: &Store, bob: AccountId, answers: &mut Answers) {
    let content = numbered(100, 500);
    let mut draft = store.draft();
    let ops = vec![place(bob), enqueue(&["one@x.test", "two@x.test"])];
    let both = ["one@x.test".to_owned(), "two@x.test".to_owned()];
    draft.append(&content).unwrap();
    let Ok(done) = store.commit_blocking(Commit::with_body(ops, HEAD.to_vec(), draft)) else {
        answers.perhaps.push(content);
        answers.perhaps_queued.extend(both);
        return;
    };
    answers.promised.push(content);
    answers.uids.extend(done.placed().map(|placed| placed.uid.0));
    let recipients = done.outcomes.iter().find_map(|outcome| match outcome {
        crate::Outcome::Queued { recipients, .. } => Some(recipients.clone()),
        _ => None,
    });
    let [one, two]: [RecipientId; 2] = recipients.unwrap().try_into().unwrap();
    let ops = vec![Op::QueueDelivered { recipient: one }];
    match store.commit_blocking(Commit::of(ops)) {
        Ok(_) => {}
        Err(_) => answers.perhaps_queued.push(both[0].clone()),
    }
    let _ = store.commit_blocking(Commit::of(vec![Op::QueueDeferred {
        recipient: two,
        at: NOW,
        next_attempt: NOW + 5,
        host: None,
        reason: "later".into(),
        warned: false,
    }]));
    answers.queued.push(both[1].clone());
}

fn numbered(number: usize, length: usize) -> Vec<u8> {
    let mut content = format!("message {number}\r\n").into_bytes();
    content.resize(length, b'a' + (number % 26) as u8);
    content
}

/// Compares what is there with what was answered.
fn compare(dir: &Path, bob: AccountId, answers: &Answers) {
    let store = open_swiftly(dir);
    let mut there: BTreeMap<Vec<u8>, Vec<u32>> = BTreeMap::new();
    for (uid, octets) in inbox(&store, bob) {
        there.entry(octets).or_default().push(uid);
    }
    assert!(answers.uids.is_sorted_by(|one, two| one < two), "UIDs only grow");
    for (content, uid) in answers.promised.iter().zip(&answers.uids) {
        let found = there.remove(&as_read(bob, content));
        if answers.expunged.contains(uid) {
            assert_eq!(found, None, "UID {uid} was expunged");
        } else if !answers.perhaps_expunged.contains(uid) {
            assert_eq!(found, Some(vec![*uid]), "a promised message is there once");
        }
    }
    for content in &answers.perhaps {
        let found = there.remove(&as_read(bob, content)).unwrap_or_default();
        assert!(found.len() <= 1, "no message is there twice");
    }
    assert!(there.is_empty(), "nothing is there that was never sent");
    for kept in &store.maildrop(bob).unwrap().messages {
        let is_flagged = kept.flags.system & Flags::FLAGGED != 0;
        assert!(is_flagged || !answers.flagged.contains(&kept.uid.0), "UID {} was flagged", kept.uid);
    }

    let mails = store.queue_list(&QueueFilter::default(), 100).unwrap();
    let mut queued: Vec<_> = mails.iter().flat_map(|mail| &mail.recipients).map(|row| row.address.clone()).collect();
    for address in &answers.queued {
        assert!(queued.contains(address), "{address} was promised to be tried");
    }
    queued.retain(|address| !answers.queued.contains(address) && !answers.perhaps_queued.contains(address));
    assert_eq!(queued, Vec::<String>::new(), "nobody else is in the queue");

    let highest = answers.uids.last().copied().unwrap_or(0);
    let placed = *deliver(&store, &[bob], b"afterwards").unwrap().placed().next().unwrap();
    assert!(placed.uid.0 > highest, "a UID that was given is not given again");
    store.close();
    assert_sound(dir);
}

/// A store with an account.
fn prepared() -> (tempfile::TempDir, AccountId) {
    let dir = tempfile::tempdir().unwrap();
    let bob = make_account(&open_swiftly(dir.path()), "bob");
    (dir, bob)
}

fn open_on(dir: &Path, disk: FaultyDisk) -> (Store, Arc<FaultyDisk>) {
    let disk = Arc::new(disk);
    let store = Store::open_on(dir, unhurried(), Arc::clone(&disk) as Arc<dyn crate::disk::Disk>).unwrap();
    (store, disk)
}

/// Plays the script with a fault at each operation in turn; `meanwhile` sees each store before it is dropped.
fn play_with(fault: Fault, meanwhile: impl Fn(&Store, AccountId, &FaultyDisk)) {
    let (prepared, bob) = prepared();
    // The first operation is part of opening.
    for at in 1.. {
        let dir = tempfile::tempdir().unwrap();
        copy(prepared.path(), dir.path());
        let (store, disk) = open_on(dir.path(), FaultyDisk::failing_at(at, fault));
        let answers = play(&store, bob);
        let has_failed = disk.has_failed();
        if has_failed {
            meanwhile(&store, bob, &disk);
        }
        drop(store);
        disk.cut_power();
        compare(dir.path(), bob, &answers);
        if !has_failed {
            assert_eq!((answers.promised.len(), answers.perhaps.len()), (10, 0));
            assert!(at > 60, "the script has durable steps: {:?}", disk.log());
            return;
        }
    }
}

#[test]
fn a_machine_that_stops_at_any_step_keeps_what_it_promised() {
    play_with(Fault::Stop, |_, _, _| {});
}

#[test]
fn a_failed_operation_at_any_step_never_breaks_a_promise() {
    play_with(Fault::Broken, |_, _, _| {});
}

#[test]
fn a_full_disk_at_any_step_is_survived_without_reopening() {
    play_with(Fault::Full, |store, bob, disk| {
        let Some(failure) = store.failure() else {
            deliver(store, &[bob], b"there is room again").unwrap();
            let (uid, octets) = inbox(store, bob).pop().unwrap();
            assert_eq!(octets, as_read(bob, b"there is room again"));
            let expunge = Op::Expunge { account: bob, mailbox: MailboxRef::Inbox, uids: vec![Uid(uid)] };
            store.commit_blocking(Commit::of(vec![expunge])).unwrap();
            return;
        };
        // A sync that says "full" has failed like any other, and after a commit nothing can be taken back.
        assert!(["sync", "sync log", "Committed"].contains(&disk.failed_at().as_str()), "{failure}");
    });
}

#[test]
fn short_writes_write_everything() {
    let (dir, bob) = prepared();
    let (store, _) = open_on(dir.path(), FaultyDisk::writing_little());
    let content = numbered(1, 3000);
    deliver(&store, &[bob], &content).unwrap();
    assert_eq!(inbox(&store, bob), [(1, as_read(bob, &content))]);
    store.close();
    assert_sound(dir.path());
}

#[test]
fn after_a_failed_sync_every_commit_is_refused_with_the_reason() {
    let (dir, bob) = prepared();
    let (store, disk) = open_on(dir.path(), FaultyDisk::default());
    deliver(&store, &[bob], b"before").unwrap();
    disk.fail_at_next("sync", Fault::Broken);
    let error = deliver(&store, &[bob], b"during").unwrap_err();
    assert!(matches!(&error, CommitError::Failed(reason) if reason.contains("sync")), "{error}");
    assert!(!error.is_permanent());
    let syncs = disk.log().iter().filter(|operation| *operation == "sync").count();
    for _ in 0..3 {
        assert_eq!(deliver(&store, &[bob], b"after"), Err(error.clone()));
        let entry = Op::PutEntry { kind: "k".into(), key: "k".into(), value: String::new() };
        assert_eq!(store.commit_blocking(Commit::of(vec![entry])), Err(error.clone()));
    }
    assert_eq!(store.failure(), Some(error.to_string().trim_start_matches("the store has failed: ").to_owned()));
    let large = numbered(1, SPILL_AT + 1);
    assert_eq!(deliver(&store, &[bob], &large), Err(error));
    assert_eq!(disk.log().iter().filter(|operation| *operation == "sync").count(), syncs, "a sync is never retried");
    assert_eq!(inbox(&store, bob).len(), 1, "reading goes on");
}

#[test]
fn a_full_disk_lets_commits_through_that_need_no_room_for_bodies() {
    let (dir, bob) = prepared();
    let (store, disk) = open_on(dir.path(), FaultyDisk::default());
    deliver(&store, &[bob], b"before").unwrap();
    disk.fail_at_next("write", Fault::Full);
    assert_eq!(deliver(&store, &[bob], b"during"), Err(CommitError::Full));
    let expunge = Op::Expunge { account: bob, mailbox: MailboxRef::Inbox, uids: vec![Uid(1)] };
    store.commit_blocking(Commit::of(vec![expunge])).unwrap();
    deliver(&store, &[bob], b"after").unwrap();
    assert_eq!(inbox(&store, bob), [(2, as_read(bob, b"after"))]);
}

#[test]
fn what_a_full_disk_refused_is_not_found_by_the_next_opening() {
    let (dir, bob) = prepared();
    let (store, disk) = open_on(dir.path(), FaultyDisk::default());
    deliver(&store, &[bob], b"before").unwrap();
    // All of the group is there, but for the zeros behind it.
    disk.fill_before_the_last(64);
    assert_eq!(deliver(&store, &[bob], b"refused"), Err(CommitError::Full));
    let image = disk.image(dir.path());
    assert_eq!(inbox(&open_swiftly(image.path()), bob), [(1, as_read(bob, b"before"))]);
    disk.fail_at_next("sync directory", Fault::Full);
    assert_eq!(deliver(&store, &[bob], &numbered(1, SPILL_AT + 1)), Err(CommitError::Full));
    store.close();
    assert_sound(dir.path());
}

#[test]
fn a_killed_process_leaves_a_store_that_opens() {
    // The files are copied while the process lives, after every answer: that is what a kill leaves.
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bob = make_account(&store, "bob");
    let mut expected = Vec::new();
    for number in 0..6_u32 {
        let content = numbered(number as usize, if number == 3 { SPILL_AT + 1 } else { 15_000 });
        deliver(&store, &[bob], &content).unwrap();
        expected.push((number + 1, as_read(bob, &content)));
        let mut half_received = store.draft();
        half_received.append(&vec![b'h'; SPILL_AT + 1]).unwrap();
        let image = tempfile::tempdir().unwrap();
        copy(dir.path(), image.path());
        let after = open(image.path());
        assert!(inbox(&after, bob) == expected);
        drop(after);
        assert_sound(image.path());
    }
}

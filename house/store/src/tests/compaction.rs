//! Freeing room.

use super::*;
use crate::{Compacted, Op, Uid};

/// Messages of which eight fill a segment of the tests.
fn content(number: u32) -> Vec<u8> {
    format!("message {number} ").repeat(700).into_bytes()
}

fn fill(store: &Store, account: AccountId, count: u32) {
    for number in 1..=count {
        deliver(store, &[account], &content(number)).unwrap();
    }
}

fn expunge(store: &Store, account: AccountId, uids: impl Iterator<Item = u32>) {
    let op = Op::Expunge { account, mailbox: MailboxRef::Inbox, uids: uids.map(Uid).collect() };
    store.commit_blocking(Commit::of(vec![op])).unwrap();
}

fn segments(dir: &Path) -> usize {
    std::fs::read_dir(dir.join("seg")).unwrap().count()
}

#[test]
fn an_empty_sealed_segment_goes_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bob = make_account(&store, "bob");
    fill(&store, bob, 30);
    let before = segments(dir.path());
    assert!(before >= 4);
    expunge(&store, bob, 1..=29);
    store.close();
    assert_eq!(segments(dir.path()), 1);
    assert_sound(dir.path());
}

#[test]
fn what_lives_in_a_mostly_dead_segment_is_copied_forward() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bob = make_account(&store, "bob");
    fill(&store, bob, 40);
    let kept = store.maildrop(bob).unwrap().messages;
    let reader = store.reader(&kept[3]).unwrap();
    expunge(&store, bob, (1..=40).filter(|uid| uid % 4 != 0));
    let before = segments(dir.path());
    let compacted = store.compact(u64::MAX).unwrap();
    assert!(compacted.segments_removed >= 4, "{compacted:?}");
    let expected: Vec<_> = (1..=10).map(|n| (n * 4, as_read(bob, &content(n * 4)))).collect();
    assert!(inbox(&store, bob) == expected);
    // A listing from before finds the messages where they are now, and an open reader reads on.
    assert!(store.reader(&kept[7]).unwrap().read_whole().unwrap() == expected[1].1);
    assert!(reader.read_whole().unwrap() == expected[0].1);
    assert!(store.check().unwrap().is_clean());
    store.close();
    assert!(segments(dir.path()) < before);
    assert_sound(dir.path());
    let store = open(dir.path());
    assert!(inbox(&store, bob) == expected);
}

#[test]
fn compaction_stops_at_its_budget_and_goes_on_later() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bob = make_account(&store, "bob");
    fill(&store, bob, 60);
    expunge(&store, bob, (1..=60).filter(|uid| uid % 4 != 0));
    let first = store.compact(1).unwrap();
    assert!(first.segments_removed <= 1 && first.octets_copied > 0, "{first:?}");
    let second = store.compact(u64::MAX).unwrap();
    assert!(second.segments_removed > 1, "{second:?}");
    assert_eq!(store.compact(u64::MAX).unwrap(), Compacted::default(), "there is nothing left to gain");
    assert_eq!(inbox(&store, bob).len(), 15);
}

#[test]
fn a_segment_emptied_before_it_was_sealed_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bob = make_account(&store, "bob");
    fill(&store, bob, 3);
    expunge(&store, bob, 1..=3);
    fill(&store, bob, 8);
    assert_eq!(store.compact(u64::MAX).unwrap().segments_removed, 0);
    expunge(&store, bob, 4..=11);
    fill(&store, bob, 8);
    store.compact(u64::MAX).unwrap();
    assert_eq!(inbox(&store, bob).len(), 8);
    store.close();
    assert_eq!(segments(dir.path()), 2);
    assert_sound(dir.path());
}

#[test]
fn a_damaged_record_is_not_copied() {
    use std::os::unix::fs::FileExt;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bob = make_account(&store, "bob");
    fill(&store, bob, 8);
    expunge(&store, bob, 2..=7);
    let file = std::fs::OpenOptions::new().write(true).open(dir.path().join("seg/0000000001.seg")).unwrap();
    file.write_all_at(b"#", 500).unwrap();
    store.compact(u64::MAX).unwrap();
    let report = store.check().unwrap();
    assert_eq!(report.problems.len(), 1, "{:#?}", report.problems);
    assert!(report.problems[0].what.contains("checksum"), "{}", report.problems[0]);
    assert_eq!(store.maildrop(bob).unwrap().messages.len(), 2);
}

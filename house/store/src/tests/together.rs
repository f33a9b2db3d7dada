//! Messages read together are what each of them is.

use super::*;
use crate::{Kept, Op, TOGETHER_MAX, Uid};

fn content(number: u32) -> Vec<u8> {
    format!("message {number} ").repeat(number as usize % 7 * 100).into_bytes()
}

/// All messages, read together as far as they are; and how many calls it took.
fn passed(store: &Store, mut messages: &[Kept], octets_max: u64) -> (Vec<(u32, Vec<u8>)>, usize) {
    let (mut all, mut calls) = (Vec::new(), 0);
    while !messages.is_empty() {
        let read = store.read_together(messages, octets_max).unwrap();
        // What was written a moment ago is in the page cache, where the file system can say so.
        if let Some(cached) = store.read_together_cached(messages, octets_max) {
            assert!(cached == read);
        }
        assert!((1..=TOGETHER_MAX).contains(&read.len()));
        let (these, rest) = messages.split_at(read.len());
        all.extend(these.iter().map(|kept| kept.uid.0).zip(read));
        (messages, calls) = (rest, calls + 1);
    }
    (all, calls)
}

#[test]
fn messages_that_lie_together_come_together() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (bob, sue) = (make_account(&store, "bob"), make_account(&store, "sue"));
    for number in 1..=60 {
        let whose = if number % 5 == 0 { sue } else { bob };
        deliver(&store, &[whose], &content(number)).unwrap();
    }
    let uids = [3, 4, 20].map(Uid).to_vec();
    let op = Op::Expunge { account: bob, mailbox: MailboxRef::Inbox, uids };
    store.commit_blocking(Commit::of(vec![op])).unwrap();
    let (messages, expected) = (store.maildrop(bob).unwrap().messages, inbox(&store, bob));
    for octets_max in [0, 1, 700, 10_000, u64::MAX] {
        let (all, calls) = passed(&store, &messages, octets_max);
        assert!(all == expected, "{octets_max}");
        assert_eq!(calls == messages.len(), octets_max <= 1, "{calls} calls with {octets_max}");
    }
    assert!(store.read_together(&[], 1).unwrap().is_empty());
    // In whatever order they are asked for.
    let reversed: Vec<_> = messages.iter().rev().cloned().collect();
    assert!(passed(&store, &reversed, u64::MAX).0.into_iter().rev().eq(expected));
}

#[test]
fn what_compaction_has_moved_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bob = make_account(&store, "bob");
    for number in 1..=40 {
        deliver(&store, &[bob], &content(6 + 7 * number)).unwrap();
    }
    let before: Vec<_> = store.maildrop(bob).unwrap().messages.into_iter().filter(|kept| kept.uid.0 % 4 == 0).collect();
    let uids = (1..=40).filter(|uid| uid % 4 != 0).map(Uid).collect();
    let op = Op::Expunge { account: bob, mailbox: MailboxRef::Inbox, uids };
    store.commit_blocking(Commit::of(vec![op])).unwrap();
    assert!(store.compact(u64::MAX).unwrap().segments_removed > 0);
    assert!(passed(&store, &before, u64::MAX).0 == inbox(&store, bob));
}

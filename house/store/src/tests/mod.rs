//! Tests of the store from outside its doors, on real directories; faults come from a disk of the tests' own.
//!
//! Not here: records, headers, ranges; they are tested beside their code.

mod checking;
mod compaction;
mod delivery;
mod doors;
mod faults;
mod faulty;
mod folders;
mod journaling;
mod listing;
mod mailboxes;
mod migrating;
mod model;
mod moving;
mod privacy;
mod rebuilding;
mod searching;
mod spool;
mod stating;
mod together;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use faulty::FaultyDisk;

use crate::{
    AccountId, Commit, CommitError, Committed, Flags, MailboxRef, Op, Options, QueuedMail, QueuedRecipient, Store,
};

/// The moment at which all tests take place.
pub(crate) const NOW: i64 = 1_800_000_000;

/// Segments so small that a few messages fill one.
pub(crate) fn small() -> Options {
    Options { segment_octets: 64 * 1024, clock: || NOW }
}

pub(crate) fn open(dir: &Path) -> Store {
    Store::open(dir, small()).unwrap()
}

/// The same without waiting for the real disk, for tests that open many stores.
pub(crate) fn open_swiftly(dir: &Path) -> Store {
    Store::open_on(dir, unhurried(), Arc::new(FaultyDisk::default())).unwrap()
}

/// The same with the disk, for tests that cut its power.
pub(crate) fn open_watched(dir: &Path) -> (Store, Arc<FaultyDisk>) {
    let disk = Arc::new(FaultyDisk::default());
    let store = Store::open_on(dir, unhurried(), Arc::clone(&disk) as Arc<dyn crate::disk::Disk>).unwrap();
    (store, disk)
}

/// Small segments in a world in which much time passes, so that the next segment is prepared beforehand.
pub(crate) fn unhurried() -> Options {
    static CLOCK: AtomicI64 = AtomicI64::new(NOW);
    Options { clock: || CLOCK.fetch_add(10, Ordering::Relaxed), ..small() }
}

pub(crate) fn make_account(store: &Store, name: &str) -> AccountId {
    let op = Op::CreateAccount { name: name.into(), record: format!("{{\"name\":\"{name}\"}}") };
    store.commit_blocking(Commit::of(vec![op])).unwrap().account().unwrap()
}

pub(crate) fn place(account: AccountId) -> Op {
    Op::Place {
        account,
        mailbox: MailboxRef::Inbox,
        body: 0,
        prefix: prefix(account),
        received_at: NOW,
        flags: Flags::default(),
    }
}

pub(crate) fn prefix(account: AccountId) -> Vec<u8> {
    format!("Return-Path: <>\r\nDelivered-To: {account}\r\n").into_bytes()
}

pub(crate) const HEAD: &[u8] = b"Received: by hamburger.test\r\n";

pub(crate) fn enqueue(recipients: &[&str]) -> Op {
    let recipients =
        recipients.iter().map(|address| QueuedRecipient { address: (*address).into(), ..Default::default() }).collect();
    Op::Enqueue(QueuedMail {
        sender: "alice@crepes.test".into(),
        recipients,
        next_attempt: NOW,
        expires: NOW + 432_000,
        ..Default::default()
    })
}

/// A commit about a message with this content.
pub(crate) fn about(store: &Store, ops: Vec<Op>, content: &[u8]) -> Commit {
    let mut draft = store.draft();
    draft.append(content).unwrap();
    Commit::with_body(ops, HEAD.to_vec(), draft)
}

/// Delivers to these inboxes. A draft that cannot be kept refuses the message, as a dialogue would.
pub(crate) fn deliver(store: &Store, accounts: &[AccountId], content: &[u8]) -> Result<Committed, CommitError> {
    let ops = accounts.iter().map(|account| place(*account)).collect();
    let mut draft = store.draft();
    draft.append(content).map_err(|error| CommitError::Refused(error.to_string()))?;
    store.commit_blocking(Commit::with_body(ops, HEAD.to_vec(), draft))
}

/// What a reader of this account is given for a message of this content.
pub(crate) fn as_read(account: AccountId, content: &[u8]) -> Vec<u8> {
    [prefix(account).as_slice(), HEAD, content].concat()
}

/// UIDs and octets of an inbox.
pub(crate) fn inbox(store: &Store, account: AccountId) -> Vec<(u32, Vec<u8>)> {
    let read = |kept: &crate::Kept| {
        let octets = store.reader(kept).unwrap().read_whole().unwrap();
        assert_eq!(octets.len() as u64, kept.size);
        (kept.uid.0, octets)
    };
    store.maildrop(account).unwrap().messages.iter().map(read).collect()
}

/// The store in `dir` keeps all its promises.
pub(crate) fn assert_sound(dir: &Path) {
    let report = crate::check(dir).unwrap();
    assert!(report.is_clean(), "{:#?}", report.problems);
}

/// Copies a store, file by file, as a kill would leave it. Nobody writes to it meanwhile.
pub(crate) fn copy(source: &Path, target: &Path) {
    for entry in std::fs::read_dir(source).unwrap().map(Result::unwrap) {
        let path = target.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            crate::privacy::make_dir(&path).unwrap();
            copy(&entry.path(), &path);
        } else if entry.file_name() != "store.db-shm" {
            // A prepared segment may be renamed or removed under our eyes.
            let _ = std::fs::copy(entry.path(), path);
        }
    }
}

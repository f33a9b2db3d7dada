//! Opening, closing, and being turned away.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::disk::{Disk, DiskFile, Moment, RealDisk};
use crate::{FORMAT, OpenError, ReadError, WAITING_MAX};

#[test]
fn a_store_is_opened_by_one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let Err(OpenError::InUse { pid, .. }) = Store::open(dir.path(), small()) else { panic!("it is in use") };
    assert_eq!(pid, Some(std::process::id()));
    assert!(matches!(crate::check(dir.path()), Err(OpenError::InUse { .. })));
    store.close();
    open(dir.path());
}

#[test]
fn a_store_that_was_closed_can_be_opened_while_a_child_still_has_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let inherited = store.running.shared.lock.lock().unwrap().as_ref().unwrap().0.try_clone().unwrap();
    store.close();
    open(dir.path());
    drop(inherited);
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let database = dir.path().join("store.db");
    let conn = rusqlite::Connection::open(&database).unwrap();
    conn.pragma_update(None, "user_version", FORMAT + 1).unwrap();
    drop(conn);
    let error = Store::open(dir.path(), small()).unwrap_err();
    assert!(matches!(error, OpenError::NewerFormat { found, known, .. } if found == FORMAT + 1 && known == FORMAT));
}

#[test]
fn another_programs_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let conn = rusqlite::Connection::open(dir.path().join("store.db")).unwrap();
    conn.execute_batch("CREATE TABLE recipes (name TEXT)").unwrap();
    drop(conn);
    assert!(matches!(Store::open(dir.path(), small()), Err(OpenError::NotAStore { .. })));
}

#[test]
fn mail_without_its_database_is_not_swept_away() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bob = make_account(&store, "bob");
    deliver(&store, &[bob], b"dear").unwrap();
    drop(store);
    std::fs::remove_file(dir.path().join("store.db")).unwrap();
    assert!(matches!(Store::open(dir.path(), small()), Err(OpenError::Damaged(_))));
    assert!(dir.path().join("seg/0000000001.seg").exists());
}

#[test]
fn nothing_is_checked_where_there_is_no_store() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(crate::check(dir.path()), Err(OpenError::NotAStore { .. })));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_closed_store_answers_that_it_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bob = make_account(&store, "bob");
    let mut large = store.draft();
    large.append(&vec![b'x'; crate::SPILL_AT + 1]).unwrap();
    store.close();
    store.close();
    assert_eq!(deliver(&store, &[bob], b"late"), Err(CommitError::Closed));
    let late = store.commit_blocking(Commit::with_body(vec![place(bob)], Vec::new(), large));
    assert_eq!(late, Err(CommitError::Closed));
    assert!(matches!(store.accounts(), Err(ReadError::Closed)));
    assert!(!CommitError::Closed.is_permanent());
}

#[test]
fn entries_of_the_directory_are_kept_by_kind_and_key() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let put =
        |kind: &str, key: &str, value: &str| Op::PutEntry { kind: kind.into(), key: key.into(), value: value.into() };
    let ops = vec![put("domain", "b.test", "{}"), put("domain", "a.test", "1"), put("alias", "a.test", "x")];
    store.commit_blocking(Commit::of(ops)).unwrap();
    let remove = Op::RemoveEntry { kind: "domain".into(), key: "b.test".into() };
    store.commit_blocking(Commit::of(vec![put("domain", "a.test", "2"), remove])).unwrap();
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.entries("domain").unwrap(), [("a.test".to_owned(), "2".to_owned())]);
    assert_eq!(store.entries("alias").unwrap().len(), 1);
    assert_eq!(store.entries("none").unwrap(), []);
}

#[test]
fn accounts_change_and_go_and_their_numbers_do_not_come_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (alice, bob) = (make_account(&store, "alice"), make_account(&store, "bob"));
    deliver(&store, &[alice, bob], b"both").unwrap();
    deliver(&store, &[bob], b"bob alone").unwrap();
    let taken = Op::UpdateAccount { account: bob, name: "alice".into(), record: String::new() };
    assert_eq!(store.commit_blocking(Commit::of(vec![taken])), Err(CommitError::NameTaken("alice".into())));
    let renamed = Op::UpdateAccount { account: alice, name: "alicia".into(), record: "new".into() };
    store.commit_blocking(Commit::of(vec![renamed, Op::RemoveAccount { account: bob }])).unwrap();
    let rows = store.accounts().unwrap();
    assert_eq!((rows.len(), rows[0].name.as_str(), rows[0].record.as_str()), (1, "alicia", "new"));
    assert_eq!(deliver(&store, &[bob], b"late"), Err(CommitError::NoSuchAccount(bob)));
    assert_eq!(inbox(&store, alice), [(1, as_read(alice, b"both"))]);
    drop(store);
    assert_sound(dir.path());
    let store = open(dir.path());
    assert!(make_account(&store, "bob") > bob);
}

/// A disk on which the index begins a transaction only when it is told to.
struct GatedDisk(RealDisk, std::sync::Mutex<mpsc::Receiver<()>>);

impl Disk for GatedDisk {
    fn create(&self, path: &Path) -> std::io::Result<DiskFile> {
        self.0.create(path)
    }
    fn open(&self, path: &Path) -> std::io::Result<DiskFile> {
        self.0.open(path)
    }
    fn allocate(&self, file: &DiskFile, length: u64) -> std::io::Result<()> {
        self.0.allocate(file, length)
    }
    fn write_at(&self, file: &DiskFile, octets: &[u8], offset: u64) -> std::io::Result<usize> {
        self.0.write_at(file, octets, offset)
    }
    fn sync(&self, file: &DiskFile) -> std::io::Result<()> {
        self.0.sync(file)
    }
    fn sync_dir(&self, dir: &Path) -> std::io::Result<()> {
        self.0.sync_dir(dir)
    }
    fn rename(&self, source: &Path, target: &Path) -> std::io::Result<()> {
        self.0.rename(source, target)
    }
    fn remove(&self, path: &Path) -> std::io::Result<()> {
        self.0.remove(path)
    }
    fn reached(&self, moment: Moment) -> std::io::Result<()> {
        if moment == Moment::BodiesSynced {
            // Once the gate's other end is gone it stands open.
            let _ = self.1.lock().unwrap().recv();
        }
        Ok(())
    }
}

#[test]
fn callers_wait_in_line_and_the_line_has_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let (gate, opened) = mpsc::channel();
    let disk = Arc::new(GatedDisk(RealDisk, std::sync::Mutex::new(opened)));
    let store = Store::open_on(dir.path(), small(), disk).unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let mut waiting: Vec<Pin<Box<dyn Future<Output = _> + Send>>> = Vec::new();
    let busy = loop {
        let entry = Op::PutEntry { kind: "k".into(), key: waiting.len().to_string(), value: String::new() };
        let mut commit = Box::pin(store.commit(Commit::of(vec![entry])));
        match commit.as_mut().poll(&mut context) {
            Poll::Ready(outcome) => break outcome,
            Poll::Pending => waiting.push(commit),
        }
        assert!(waiting.len() < 20_000, "the line must end");
    };
    assert_eq!(busy, Err(CommitError::Busy));
    assert!(!CommitError::Busy.is_permanent());
    assert!(waiting.len() > WAITING_MAX);
    drop(gate);
    let count = waiting.len();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = waiting.into_iter().map(tokio::spawn).collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
    });
    assert_eq!(store.entries("k").unwrap().len(), count);
}

//! How fast commits become durable: 4 KiB messages into one mailbox, each caller waiting for its answer.
//!
//! `cargo run --release -p store --example commit_bench -- [directory] [seconds] [octets]`
//!
//! Prints commits a second and waiting times for 1, 10 and 100 callers. The directory is on the disk to be measured; a
//! store is made in it and removed.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use store::{AccountId, Commit, Flags, MailboxRef, Op, Options, Store};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().unwrap_or_else(|| "target/commit-bench".into()));
    let seconds = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(4.0);
    let octets = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(4096);
    let _ = std::fs::remove_dir_all(&dir);
    let store = Store::open(&dir, Options::default()).expect("the store opens");
    let accounts = make_accounts(&store);
    for callers in [1, 10, 100] {
        measure(&store, &accounts, callers, Duration::from_secs_f64(seconds), octets);
    }
    store.close();
    let report = store::check(&dir).expect("the store can be checked");
    assert!(report.is_clean(), "{:?}", report.problems);
    println!("{} messages, {} MiB, all sound", report.messages, report.octets >> 20);
    let _ = std::fs::remove_dir_all(&dir);
}

fn make_accounts(store: &Store) -> Vec<AccountId> {
    let make = |number: usize| {
        let op = Op::CreateAccount { name: format!("account{number}"), record: "{}".into() };
        store.commit_blocking(Commit::of(vec![op])).expect("an account is made").account().expect("it has a number")
    };
    (0..10).map(make).collect()
}

fn measure(store: &Store, accounts: &[AccountId], callers: usize, length: Duration, octets: usize) {
    let ends = Arc::new(AtomicBool::new(false));
    let begin = Instant::now();
    let threads: Vec<_> = (0..callers)
        .map(|caller| {
            let (store, ends, account) = (store.clone(), Arc::clone(&ends), accounts[caller % accounts.len()]);
            thread::spawn(move || {
                let content = vec![b'x'; octets];
                let mut waits = Vec::new();
                while !ends.load(Ordering::Relaxed) {
                    let start = Instant::now();
                    deliver(&store, account, &content);
                    waits.push(start.elapsed());
                }
                waits
            })
        })
        .collect();
    thread::sleep(length);
    ends.store(true, Ordering::Relaxed);
    let mut waits: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().expect("a caller ends")).collect();
    let elapsed = begin.elapsed().as_secs_f64();
    waits.sort_unstable();
    let at = |part: f64| waits[((waits.len() - 1) as f64 * part) as usize].as_micros();
    println!(
        "{callers:>4} callers: {:>6.0}/s   p50 {:>6} µs   p99 {:>6} µs   max {:>6} µs",
        waits.len() as f64 / elapsed,
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

fn deliver(store: &Store, account: AccountId, content: &[u8]) {
    let mut draft = store.draft();
    draft.append(content).expect("a draft grows");
    let place = Op::Place {
        account,
        mailbox: MailboxRef::Inbox,
        body: 0,
        prefix: b"Return-Path: <alice@crepes.test>\r\nDelivered-To: bob@hamburger.test\r\n".to_vec(),
        received_at: 1_800_000_000,
        flags: Flags::default(),
    };
    let head = b"Received: from crepes.test by hamburger.test with ESMTP; Mon, 23 Nov 2026 04:41:00 +0000\r\n".to_vec();
    store.commit_blocking(Commit::with_body(vec![place], head, draft)).expect("the message is kept");
}

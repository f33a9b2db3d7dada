//! A process that is killed: whatever it had said to be kept is there afterwards, once, and the store is sound.
//!
//! The parent starts itself again as a child that delivers from several threads and prints each answer; it kills the
//! child after so many answers, reads what else was printed, opens the store and compares. No clock, no chance: the
//! kill comes when it comes between the child's steps.

#![allow(clippy::unwrap_used, reason = "a test may say so")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use store::{AccountId, Commit, Flags, MailboxRef, Op, Options, Store, Uid};

/// Tells the child where the store is, and that it is the child.
const DIR: &str = "STORE_KILL_TEST_DIR";
const ROUND: &str = "STORE_KILL_TEST_ROUND";

const CALLERS: usize = 4;

fn options() -> Options {
    Options { segment_octets: 256 * 1024, ..Options::default() }
}

#[test]
fn a_killed_process_has_kept_every_promise() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), options()).unwrap();
    let create = Op::CreateAccount { name: "bob".into(), record: String::new() };
    let bob = store.commit_blocking(Commit::of(vec![create])).unwrap().account().unwrap();
    store.close();

    let mut promised: BTreeMap<u32, String> = BTreeMap::new();
    let mut expunged: Vec<u32> = Vec::new();
    for (round, answers) in [1, 7, 40, 13, 90, 2, 60, 25].into_iter().enumerate() {
        for line in lines_of_a_killed_child(dir.path(), round, answers) {
            let mut words = line.split(' ');
            match (words.next(), words.next().and_then(|uid| uid.parse().ok()), words.next()) {
                (Some("kept"), Some(uid), Some(name)) => {
                    assert_eq!(promised.insert(uid, name.into()), None, "UID {uid} was given twice");
                }
                (Some("expunged"), Some(uid), None) => expunged.push(uid),
                // The kill may cut a line in two; a promise that was not heard is none. The harness prints, too.
                _ => {}
            }
        }
        compare(dir.path(), bob, &promised, &expunged);
    }
    assert!(promised.len() >= 200, "only {} answers", promised.len());
}

fn lines_of_a_killed_child(dir: &Path, round: usize, answers: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_child_delivers_until_it_is_killed", "--nocapture", "--quiet"])
        .env(DIR, dir)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while text.matches("\nkept").count() < answers {
        assert_ne!(output.read_line(&mut text).unwrap(), 0, "the child ended by itself: {text}");
    }
    child.kill().unwrap();
    let mut rest = Vec::new();
    output.read_to_end(&mut rest).unwrap();
    child.wait().unwrap();
    text.push_str(&String::from_utf8_lossy(&rest));
    // A line is whole only with its end.
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    text[..whole].lines().map(String::from).collect()
}

fn compare(dir: &Path, bob: AccountId, promised: &BTreeMap<u32, String>, expunged: &[u32]) {
    let report = store::check(dir).unwrap();
    // Segments that no commit has entered are what a crash leaves; opening removes them.
    let problems: Vec<_> = report.problems.iter().filter(|problem| !problem.what.contains("known to no row")).collect();
    assert!(problems.is_empty(), "{problems:#?}");

    let store = Store::open(dir, options()).unwrap();
    let mut there: BTreeMap<u32, String> = BTreeMap::new();
    for kept in store.maildrop(bob).unwrap().messages {
        let octets = store.reader(&kept).unwrap().read_whole().unwrap();
        let name = octets.split(|octet| *octet == b' ').next().unwrap();
        there.insert(kept.uid.0, String::from_utf8(name.to_vec()).unwrap());
    }
    let mut names: Vec<_> = there.values().collect();
    names.sort();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count, "no message is there twice");
    for (uid, name) in promised {
        if expunged.contains(uid) {
            assert_eq!(there.get(uid), None, "UID {uid} was expunged");
        } else if let Some(found) = there.get(uid) {
            assert_eq!(found, name);
        } else {
            // Its expunging may have been carried out without being answered.
            assert_eq!(uid % 5, 0, "message {name} with UID {uid} was promised and is gone");
        }
    }
}

/// In the child: delivers for ever. In an ordinary run of the tests: proves that a child would be able to.
#[test]
fn the_child_delivers_until_it_is_killed() {
    let Some(dir) = std::env::var_os(DIR) else {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), options()).unwrap();
        assert!(store.accounts().unwrap().is_empty());
        return;
    };
    let round = std::env::var(ROUND).unwrap();
    let store = Store::open(dir, options()).unwrap();
    let bob = store.accounts().unwrap()[0].id;
    println!();
    std::thread::scope(|scope| {
        for caller in 0..CALLERS {
            let (store, round) = (&store, &round);
            scope.spawn(move || {
                for number in 0_usize.. {
                    step(store, bob, &format!("{round}-{caller}-{number}"), number);
                }
            });
        }
    });
}

/// Delivers a message, now and then a large one; every fifth UID is expunged again.
fn step(store: &Store, bob: AccountId, name: &str, number: usize) {
    let length = if number % 16 == 15 { store::SPILL_AT + 1000 } else { 3000 };
    let mut draft = store.draft();
    draft.append(format!("{name} ").as_bytes()).unwrap();
    draft.append(&vec![b'x'; length]).unwrap();
    let place = Op::Place {
        account: bob,
        mailbox: MailboxRef::Inbox,
        body: 0,
        prefix: Vec::new(),
        received_at: 0,
        flags: Flags::default(),
    };
    let done = store.commit_blocking(Commit::with_body(vec![place], Vec::new(), draft)).unwrap();
    let uid = done.placed().next().unwrap().uid.0;
    say(&format!("kept {uid} {name}"));
    if uid.is_multiple_of(5) {
        let expunge = Op::Expunge { account: bob, mailbox: MailboxRef::Inbox, uids: vec![Uid(uid)] };
        store.commit_blocking(Commit::of(vec![expunge])).unwrap();
        say(&format!("expunged {uid}"));
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

//! How fast a mailbox opens, lists, changes flags and is searched.
//!
//! `cargo run --release -p store --example mailbox_bench -- [directory] [messages]`
//!
//! The directory is on the disk to be measured; a store is made in it and removed. Messages are of 4 to 80 KiB, text and
//! base64 in turn.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use store::{AccountId, Commit, FlagChange, Flags, MailboxId, MailboxRef, Op, Options, Query, Snapshot, Store, Uid};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().unwrap_or_else(|| "target/mailbox-bench".into()));
    let count: usize = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let _ = std::fs::remove_dir_all(&dir);
    let store = Store::open(&dir, Options::default()).expect("the store opens");
    let create = Op::CreateAccount { name: "bob".into(), record: String::new() };
    let bob = store.commit_blocking(Commit::of(vec![create])).expect("an account").account().expect("its number");
    timed(&format!("deliver {count}"), || fill(&store, bob, count));
    store.close();

    let store = Store::open(&dir, Options::default()).expect("the store opens");
    let inbox = store.mailbox_named(bob, "INBOX").expect("a look").expect("an inbox").id;
    let open = timed("open, the first time", || store.open_mailbox(inbox).expect("it opens"));
    timed("open, again", || store.open_mailbox(inbox).expect("it opens"));
    let now = open.now().expect("it is there");
    timed("all flags", || now.rows().map(|row| u64::from(row.system)).sum::<u64>());
    list(&store, inbox, &now);
    flag(&store, bob, &now);
    timed("the difference of 10,000 flags", || now.changes_to(&open.now().expect("it is there")).changed.len());
    for name in ["nowhere to be found", "pickles number 77 "] {
        for time in ["the first time", "with the text index"] {
            if time != "the first time" {
                settle(&dir);
            }
            let query = Query::Body(name.into());
            let search =
                || store.search(open.now().expect("it is there"), &query).finish().expect("it can be read").len();
            let found = timed(&format!("search BODY {name:?}, {time}"), search);
            println!("{:>40} found", found);
        }
    }
    let subject = Query::Subject("subject 4711".into());
    timed("search SUBJECT", || store.search(open.now().expect("there"), &subject).finish().expect("readable").len());
    store.close();
    let _ = std::fs::remove_dir_all(&dir);
}

/// Waits until the text index has not grown for some seconds.
fn settle(dir: &Path) {
    let size = || {
        let sizes =
            ["search.db", "search.db-wal"].map(|name| std::fs::metadata(dir.join(name)).map_or(0, |data| data.len()));
        sizes.iter().sum::<u64>()
    };
    let begin = Instant::now();
    let (mut before, mut still) = (0, 0);
    while still < 5 {
        std::thread::sleep(Duration::from_secs(1));
        still = if size() == before { still + 1 } else { 0 };
        before = size();
    }
    println!(
        "{:<45} {:>10.0} s, {} MiB",
        "the text index was filled within",
        begin.elapsed().as_secs_f64(),
        before >> 20
    );
}

fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let result = run();
    println!("{what:<45} {:>10.2} ms", begin.elapsed().as_secs_f64() * 1000.0);
    result
}

fn fill(store: &Store, account: AccountId, count: usize) {
    let group: Vec<usize> = (0..count).collect();
    for numbers in group.chunks(500) {
        let mut commit = Commit::default();
        for (body, number) in numbers.iter().enumerate() {
            let mut draft = store.draft();
            draft.append(message(*number).as_bytes()).expect("it grows");
            commit.bodies.push(store::Body { head: Vec::new(), draft });
            let (mailbox, prefix, flags) = (MailboxRef::Inbox, Vec::new(), Flags::default());
            commit.ops.push(Op::Place { account, mailbox, body, prefix, received_at: 1_800_000_000, flags });
        }
        store.commit_blocking(commit).expect("they are kept");
    }
}

fn message(number: usize) -> String {
    let line = format!("The quick brown fox jumps over pickles number {number} and so on and on.\r\n");
    let text = line.repeat(60 + number % 500);
    let header = format!(
        "From: Alice {number} <alice@crepes.test>\r\nTo: bob@hamburger.test\r\nSubject: Re: subject {number}\r\n\
         Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{number}@crepes.test>\r\nMIME-Version: 1.0\r\n"
    );
    match number % 3 {
        0 => format!("{header}Content-Type: text/plain; charset=utf-8\r\n\r\n{text}"),
        1 => {
            let encoded = message::mime::transfer::encode_base64(text.as_bytes());
            let encoded = String::from_utf8_lossy(&encoded);
            format!(
                "{header}Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{encoded}"
            )
        }
        _ => format!(
            "{header}Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n{text}\r\n\
             --b\r\nContent-Type: text/html\r\n\r\n<p>{text}\r\n--b--\r\n"
        ),
    }
}

fn list(store: &Store, inbox: MailboxId, now: &Snapshot) {
    let uids: Vec<Uid> = now.rows().take(10_000).map(|row| row.uid).collect();
    for time in ["the first time", "again"] {
        timed(&format!("envelopes of 10,000, {time}"), || {
            let lists = uids.chunks(500).map(|uids| store.list(inbox, uids).expect("they are there"));
            lists.flatten().map(|listed| listed.outlined().front().preview.len()).sum::<usize>()
        });
    }
    timed("structures of 10,000", || {
        let lists = uids.chunks(500).map(|uids| store.list(inbox, uids).expect("they are there"));
        lists.flatten().map(|listed| listed.outlined().outline().tree.parts.len()).sum::<usize>()
    });
}

fn flag(store: &Store, account: AccountId, now: &Snapshot) {
    let uids: Vec<Uid> = now.rows().take(10_000).map(|row| row.uid).collect();
    let change = FlagChange::Add(Flags::system(Flags::SEEN));
    let op = Op::SetFlags { account, mailbox: MailboxRef::Inbox, uids, change, unchanged_since: None };
    timed("\\Seen on 10,000", || store.commit_blocking(Commit::of(vec![op])).expect("it is done"));
}

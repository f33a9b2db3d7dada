//! `kill -9` under uploads, again and again: what was answered 226 is there, octet for octet; what was not is there whole or
//! not at all; the quota is right, and the same names can be stored once more.

use super::Client;
use crate::BINARY;
use crate::kill::Chance;
use harness::{Server, command_on};
use std::collections::HashMap;
use std::fs;
use std::io::Result;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};

const SESSIONS: usize = 10;
const ROUNDS: usize = 10;
/// Together more than a thousand, with those that were under way.
const UPLOADS_A_ROUND: usize = 200;
const QUOTA: u64 = 1 << 30;
/// Names of each session; they come round and round, so that files are replaced.
const NAMES: usize = 12;

/// What each name may have: the version that was promised, and those that were on their way; `None` is no file.
type Ledger = Arc<Mutex<HashMap<String, Vec<Option<usize>>>>>;

#[test]
fn every_226_survives_a_kill_and_nothing_is_there_by_halves() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut server = Server::dev_in(BINARY, folder.path(), &[]);
    let quota = QUOTA.to_string();
    let carol = ["account", "add", "carol@crepes.test", "--quota", &quota];
    assert!(command_on(BINARY, folder.path(), &carol, "cucumber").status.success());
    let (ledger, mut chance) = (Ledger::default(), Chance(0x2545_f491_4f6c_dd1d));
    for round in 0..ROUNDS {
        storm(&mut server, &ledger, round, UPLOADS_A_ROUND / 2 + chance.below(UPLOADS_A_ROUND));
        server = Server::dev_in(BINARY, folder.path(), &[]);
        look_through(&server, &ledger, round).expect("the server lives");
    }
}

/// Uploads from all sessions at once until so many were answered 226; then the kill.
fn storm(server: &mut Server, ledger: &Ledger, round: usize, enough: usize) {
    let ((tell, told), address) = (mpsc::channel(), server.address("ftp"));
    let sessions: Vec<_> = (0..SESSIONS)
        .map(|session| {
            let (ledger, tell) = (Arc::clone(ledger), tell.clone());
            std::thread::spawn(move || drop(upload_until_cut(address, session, round, &ledger, &tell)))
        })
        .collect();
    drop(tell);
    // It ends early when all sessions have.
    told.iter().take(enough).count();
    server.kill();
    sessions.into_iter().for_each(|session| session.join().expect("no session panicked"));
}

fn upload_until_cut(
    server: SocketAddr,
    session: usize,
    round: usize,
    ledger: &Ledger,
    tell: &mpsc::Sender<()>,
) -> Result<()> {
    let mut client = Client::log_in(server, "carol@crepes.test", "cucumber")?;
    for number in 0.. {
        let (name, version) = (format!("s{session}-n{}", number % NAMES), round * 1_000_000 + number);
        let may = |version: Option<usize>| {
            let mut ledger = ledger.lock().expect("no session panicked");
            ledger.entry(name.clone()).or_insert_with(|| vec![None]).push(version);
        };
        let must = |version: Option<usize>| {
            ledger.lock().expect("no session panicked").insert(name.clone(), vec![version]);
        };
        // One in five is removed before, and comes back by APPE.
        let verb = if number % 5 == 0 { "APPE" } else { "STOR" };
        if verb == "APPE" {
            may(None);
            client.ask(&format!("DELE {name}"), "")?;
            must(None);
        }
        may(Some(version));
        let reply = client.put(&format!("{verb} {name}"), &content(&name, version))?;
        assert!(reply.starts_with("226"), "{name}: {reply}");
        must(Some(version));
        // Behind the kill nobody counts any more.
        let _ = tell.send(());
    }
    Ok(())
}

/// Up to some 200 KiB, no two alike, and each octet known.
fn content(name: &str, version: usize) -> Vec<u8> {
    let line = format!("{name} {version}\n");
    line.repeat(1 + version * 7919 % (200_000 / line.len())).into_bytes()
}

/// All that was promised is there, and nothing else but what was on its way, whole.
fn look_through(server: &Server, ledger: &Ledger, round: usize) -> Result<()> {
    let mut client = Client::log_in(server.address("ftp"), "carol@crepes.test", "cucumber")?;
    let names = client.names()?;
    let mut ledger = ledger.lock().expect("no session panicked");
    let mut octets_there = 0;
    for (name, known) in ledger.iter_mut() {
        let there = if names.contains(name) { Some(client.get(&format!("RETR {name}"))?) } else { None };
        let is = |version: Option<usize>| there.as_deref() == version.map(|version| content(name, version)).as_deref();
        let version = known.iter().copied().find(|version| is(*version)).unwrap_or_else(|| {
            panic!("round {round}: {name} may be {known:?}, but has {:?} octets", there.as_ref().map(Vec::len))
        });
        *known = vec![version];
        // What the crash left of an upload nobody can vouch for: it is no beginning to go on from.
        let size = there.as_ref().map(|octets| format!("213 {}", octets.len()));
        client.ask(&format!("SIZE {name}"), size.as_deref().unwrap_or("550"))?;
        octets_there += there.map_or(0, |octets| octets.len() as u64);
    }
    assert!(names.iter().all(|name| ledger.contains_key(name)), "round {round}: {names:?}");
    assert_eq!(
        client.ask("AVBL", "213")?,
        format!("213 {}", QUOTA - octets_there),
        "round {round}: the quota is right"
    );
    assert_eq!(hidden(&server.data_dir().join("files")), 0, "round {round}: the rubbish of the crash is swept away");
    Ok(())
}

/// How many files have names that no client sees.
fn hidden(directory: &Path) -> usize {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry"));
    let count = |entry: fs::DirEntry| match entry.file_type().expect("a kind").is_dir() {
        true => hidden(&entry.path()),
        false => usize::from(entry.file_name().to_string_lossy().starts_with(".packetboat")),
    };
    entries.map(count).sum()
}

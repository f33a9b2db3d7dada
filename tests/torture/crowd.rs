//! Ten thousand who connect and say nothing: everybody else is served, and each of them costs little.

use super::BINARY;
use harness::Server;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::sync::{Mutex, MutexGuard, PoisonError};

const CROWD: u64 = 10_000;
/// Files of this process besides the connections.
const OTHER_FILES: u64 = 200;
/// What one of them may cost, in KiB. The server built for release stays far below (see `bench/`); this is for a build
/// with every check in it.
const COST_MAX_KIB: u64 = 32;

#[test]
fn ten_thousand_silent_connections_keep_nobody_out() {
    let (crowd, _room) = room(CROWD);
    let server = Server::dev(BINARY);
    let before = resident_kib(server.pid());
    let silent: Vec<TcpStream> = ["smtp", "pop3", "ftp"]
        .into_iter()
        .cycle()
        .zip(0..crowd)
        .map(|(service, _)| greeted(&server, service))
        .collect();
    let cost = (resident_kib(server.pid()) - before) / crowd;
    assert!(cost <= COST_MAX_KIB, "each silent connection costs {cost} KiB");

    let mut smtp = server.speak("smtp");
    smtp.play("S: 220 ~\nC: HELO client.test\nS: 250 ~\nC: MAIL FROM:<>\nS: 250 ~\nC: RCPT TO:<bob@hamburger.test>\nS: 250 ~\nC: DATA\nS: 354 ~\nC: .\nS: 250 ~");
    let mut pop3 = server.speak("pop3");
    pop3.play("S: +OK ~\nC: USER bob\nS: +OK~\nC: PASS hungry\nS: +OK~\nC: STAT\nS: +OK 1 ~");
    let mut ftp = server.speak("ftp");
    ftp.play("S: 220 ~\nC: USER bob\nS: 331 ~\nC: PASS hungry\nS: 230 ~\nC: SIZE readme.txt\nS: 550 ~\nC: TYPE I\nS: 200 ~\nC: SIZE readme.txt\nS: 213 ~");
    drop(silent);
}

/// `docs/decisions/0019-no-huge-pages.md`
#[test]
fn a_server_keeps_to_small_pages() {
    let server = Server::dev(BINARY);
    assert_eq!(status(server.pid(), "THP_enabled"), "0");
}

/// How many of a crowd find room among the open files of this process, and that room: the next crowd waits until it is free again.
pub fn room(crowd: u64) -> (u64, MutexGuard<'static, ()>) {
    static ROOM: Mutex<()> = Mutex::new(());
    let room = ROOM.lock().unwrap_or_else(PoisonError::into_inner);
    let found = more_files().map_or(crowd, |files| crowd.min(files.saturating_sub(OTHER_FILES)));
    if found < crowd {
        eprintln!("SKIPPED in part: this system allows only {found} connections in one process");
    }
    (found, room)
}

/// As many open files as this process may have, here and in the server; and how many that is, where there is a limit.
fn more_files() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).expect("more open files");
    limit.maximum
}

/// A connection whose greeting has been heard.
fn greeted(server: &Server, service: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address(service)).expect("a connection");
    stream.set_read_timeout(Some(harness::PATIENCE)).expect("a socket option");
    let mut greeting = [0; 512];
    assert!(stream.read(&mut greeting).expect("a greeting") > 0, "somebody speaks");
    stream
}

/// The memory that a process holds.
fn resident_kib(pid: u32) -> u64 {
    status(pid, "VmRSS").trim_end_matches(" kB").parse().expect("a number")
}

/// What the system says of a process, by its name.
fn status(pid: u32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process of ours");
    let mut facts = status.lines().filter_map(|line| line.split_once(':'));
    facts.find(|fact| fact.0 == name).expect("a fact").1.trim().to_owned()
}

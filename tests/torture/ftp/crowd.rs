//! Thousands who are logged in and say nothing.

use super::{Client, memory_kib};
use crate::BINARY;
use crate::crowd::room;
use harness::Server;

const CROWD: u64 = 5_000;
/// What one of them may cost, in KiB, in a build with every check in it. Built for release it is a fraction.
const COST_MAX_KIB: u64 = 16;

#[test]
fn five_thousand_idle_sessions_cost_little_and_keep_nobody_out() {
    let (crowd, _room) = room(CROWD);
    let configuration = "[ftp]\nsessions_per_account_max = 10000\n[limits]\nconnections_per_address_max = 20000\n";
    let server = Server::serve_files(BINARY, "127.0.0.1", configuration);
    let log_in = || Client::log_in(server.address("ftp"), "bob@hamburger.test", "very-hungry").expect("a session");
    let mut first = log_in();
    assert!(first.put("STOR here", b"here").expect("a reply").starts_with("226"));
    let before = memory_kib(server.pid());
    let mut idle: Vec<Client> = (0..crowd).map(|_| log_in()).collect();
    let cost = memory_kib(server.pid()).saturating_sub(before);
    eprintln!("{crowd} idle sessions of FTP cost {} octets each", cost * 1024 / crowd);
    assert!(cost / crowd < COST_MAX_KIB, "each idle session costs {} KiB", cost / crowd);
    // The first, the last, and a new one are served.
    let last = idle.len() - 1;
    for client in [&mut first, &mut idle[last], &mut log_in()] {
        assert_eq!(client.get("RETR here").expect("a file"), b"here");
    }
}

//! Peers that stall, and peers that do not listen: none holds more than its limit, nor anybody else up.

use super::{Client, memory_kib};
use crate::BINARY;
use harness::Server;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

/// How many stall at once, half of them each way.
const STALLED: usize = 100;
/// The shortest that can be set.
const STALL_LIMIT: &str = "[ftp]\nstall_limit_secs = 10\nsessions_per_account_max = 1000\n\
    [limits]\nconnections_per_address_max = 1000\n";
/// What one of them may cost in a build with every check in it: a buffer of 256 KiB, and as much again.
const COST_MAX_KIB: u64 = 512;
const LARGE_OCTETS: u64 = 1 << 30;
const ENTRIES: usize = 100_000;
/// Long names: their text is 27 MB, and as entries in memory they would be 40 MB.
const NAME_OCTETS: usize = 200;
/// What such a listing may cost more than one of a tenth. Most of what is allowed is the allocator's, which gives back what
/// was freed when it pleases.
const LISTING_MAX_KIB: u64 = 32 * 1024;

fn serve() -> Server {
    Server::serve_files(BINARY, "127.0.0.1", STALL_LIMIT)
}

fn bob(server: &Server) -> Client {
    Client::log_in(server.address("ftp"), "bob@hamburger.test", "very-hungry").expect("a session")
}

/// Where Bob's files are: the only space there is.
fn space(server: &Server) -> PathBuf {
    let mut spaces = std::fs::read_dir(server.data_dir().join("files")).expect("file spaces");
    spaces.next().expect("a space").expect("a space").path()
}

#[test]
fn stalled_transfers_end_at_their_limit_and_cost_little() {
    let server = serve();
    let mut witness = bob(&server);
    File::create(space(&server).join("large")).and_then(|file| file.set_len(LARGE_OCTETS)).expect("a file");
    let before = memory_kib(server.pid());
    let mut stalled: Vec<(Client, TcpStream)> = (0..STALLED)
        .map(|number| {
            let mut client = bob(&server);
            let line = if number % 2 == 0 { "RETR large".into() } else { format!("STOR never-{number}") };
            let mut data = client.begin(&line).expect("a transfer");
            if number % 2 == 1 {
                data.write_all(&[0; 100_000]).expect("the server takes it");
            }
            (client, data)
        })
        .collect();
    let cost = memory_kib(server.pid()).saturating_sub(before) / STALLED as u64;
    assert!(cost <= COST_MAX_KIB, "each stalled transfer costs {cost} KiB");
    // Meanwhile others are served.
    assert!(witness.put("STOR small", b"small").expect("a reply").starts_with("226"));
    for (client, _) in &mut stalled {
        client.expect("426").expect("the limit is kept");
        client.ask("NOOP", "200").expect("the session goes on");
    }
    let names = witness.names().expect("a list");
    assert!(!names.iter().any(|name| name.starts_with("never-")), "{names:?}");
    witness.ask("SIZE never-1", "213 100000").expect("what came is kept");
    let octets = drained(&mut stalled[0].1);
    assert!(octets < LARGE_OCTETS, "it was cut off");
}

/// How many octets still come.
fn drained(data: &mut TcpStream) -> u64 {
    let (mut all, mut buffer) = (0, vec![0; 1 << 20]);
    while let Ok(octets @ 1..) = data.read(&mut buffer) {
        all += octets as u64;
    }
    all
}

#[test]
fn a_flood_of_commands_is_answered_one_by_one_or_not_taken() {
    const COMMANDS: usize = 200_000;
    const DEAF: usize = 20;
    /// Both directions of a connection have bounded buffers in the server; the rest waits in the system's.
    const DEAF_MAX_KIB: u64 = 512;
    let server = serve();
    let mut witness = bob(&server);
    let before = memory_kib(server.pid());
    // They say as much as is taken, and do not listen.
    let deaf: Vec<Client> = (0..DEAF)
        .map(|_| {
            let mut client = bob(&server);
            let stream = client.control.get_mut();
            stream.set_nonblocking(true).expect("a socket option");
            let flood = b"NOOP\r\n".repeat(10_000);
            let mut full = 0;
            // When the system's buffers are full thrice in a row, the server has stopped reading.
            while full < 3 {
                let taken = stream.write(&flood).unwrap_or(0);
                full = if taken > 0 { 0 } else { full + 1 };
                witness.ask("NOOP", "200").expect("others are served");
            }
            client
        })
        .collect();
    let cost = || memory_kib(server.pid()).saturating_sub(before) / DEAF as u64;
    harness::comes_down("KiB for each that does not listen", DEAF_MAX_KIB, cost);
    drop(deaf);
    // One that listens gets each answer, in order.
    let mut client = bob(&server);
    let mut mouth = client.control.get_ref().try_clone().expect("a second handle");
    let speaking = std::thread::spawn(move || {
        (0..COMMANDS / 2).try_for_each(|number| write!(mouth, "NOOP\r\nMKD d/{number}\r\n"))
    });
    for _ in 0..COMMANDS / 2 {
        client.expect("200").expect("a reply");
        client.expect("550").expect("a reply");
    }
    speaking.join().expect("no panic").expect("all was taken");
}

#[test]
fn a_listing_of_a_hundred_thousand_entries_costs_no_more_than_a_stretch_of_it() {
    let server = serve();
    let mut client = bob(&server);
    for (name, entries) in [("few", ENTRIES / 10), ("many", ENTRIES)] {
        client.ask(&format!("MKD {name}"), "257").expect("a reply");
        let directory = space(&server).join(name);
        for number in 0..entries {
            File::create(directory.join(format!("{number:0NAME_OCTETS$}"))).expect("a file");
        }
    }
    // So that what is paid once is paid.
    for _ in 0..5 {
        client.get("LIST few").expect("a list");
    }
    let before = memory_kib(server.pid());
    let mut data = client.begin("LIST many").expect("a listing");
    let (mut text, mut most) = (Vec::new(), 0);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let octets = data.read(&mut buffer).expect("more of the listing");
        if octets == 0 {
            break;
        }
        text.extend_from_slice(&buffer[..octets]);
        most = most.max(memory_kib(server.pid()));
    }
    client.expect("226").expect("a reply");
    assert_eq!(text.iter().filter(|octet| **octet == b'\n').count(), ENTRIES);
    eprintln!(
        "a listing of {ENTRIES} entries with {} octets took {} KiB more",
        text.len(),
        most.saturating_sub(before)
    );
    assert!(most.saturating_sub(before) <= LISTING_MAX_KIB, "it took {} KiB more", most - before);
}

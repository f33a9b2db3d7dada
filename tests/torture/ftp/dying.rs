//! Clients that die in the middle of an upload: what came is no file, and can be gone on from.

use super::Client;
use crate::BINARY;
use harness::{Server, until};
use std::io::Write;

const CLIENTS: usize = 50;

/// Without TLS an end is an end. The system of a client that is killed closes its connections in no certain order, mostly
/// the younger one first, and only the end of the other tells what happened. Were this machine to stop us for long between
/// the two, a file would rightly be taken for whole: so it is enough that most are not.
#[test]
fn clients_that_die_leave_no_files_but_what_can_be_gone_on_from() {
    let server = Server::dev(BINARY);
    let log_in = || Client::log_in(server.address("ftp"), "bob@hamburger.test", "hungry").expect("a session");
    for number in 0..CLIENTS {
        let mut client = log_in();
        let mut data = client.begin(&format!("STOR half-{number}")).expect("an upload");
        data.write_all(b"the first half").expect("the server takes it");
        until("it has come", || client.ask("STAT", "213").expect("a reply").contains("(14 bytes)"));
        drop(data);
        drop(client);
    }
    let mut client = log_in();
    let size = |client: &mut Client, number: usize| client.ask(&format!("SIZE half-{number}"), "").expect("a reply");
    for number in 0..CLIENTS {
        until("its session has ended", || size(&mut client, number) == "213 14");
    }
    let names = client.names().expect("a list");
    let files = names.iter().filter(|name| name.starts_with("half-")).count();
    assert!(files < CLIENTS / 4, "{files} of {CLIENTS} halves are files");
    let rest = (0..CLIENTS).find(|number| !names.contains(&format!("half-{number}"))).expect("most are not");
    client.ask("REST 14", "350").expect("a reply");
    let reply = client.put(&format!("STOR half-{rest}"), b", and the second").expect("a reply");
    assert!(reply.starts_with("226"), "{reply}");
    assert_eq!(client.get(&format!("RETR half-{rest}")).expect("a file"), b"the first half, and the second");
}

//! Ten thousand who idle: each costs little, all hear of new mail, and nobody is kept out.

use super::Client;
use crate::BINARY;
use crate::crowd::room;
use crate::ftp::memory_kib;
use harness::Server;

const CROWD: u64 = 10_000;
/// What one of them may cost, in KiB, in a build with every check in it.
const COST_MAX_KIB: u64 = 16;

#[test]
fn ten_thousand_who_idle_cost_little_and_all_hear_of_new_mail() {
    let (crowd, _room) = room(CROWD);
    let server = Server::serve_files(BINARY, "127.0.0.1", "[limits]\nconnections_per_address_max = 20000\n");
    let log_in = || Client::log_in(server.address("imap"), "bob@hamburger.test very-hungry").expect("a session");
    let idle = || {
        let mut client = log_in();
        client.must("SELECT INBOX").expect("a mailbox");
        client.say("IDLE").expect("the server listens");
        let go_on = client.hear().expect("a word");
        assert!(go_on.starts_with("+ "), "{go_on}");
        client
    };
    let mut first = log_in();
    first.append("INBOX", "Subject: first\r\n\r\n").expect("an answer");
    let before = memory_kib(server.pid());
    let mut idling: Vec<Client> = (0..crowd).map(|_| idle()).collect();
    let cost = memory_kib(server.pid()).saturating_sub(before);
    eprintln!("{crowd} idling sessions of IMAP cost {} octets each", cost * 1024 / crowd);
    assert!(cost / crowd < COST_MAX_KIB, "each idling session costs {} KiB", cost / crowd);

    first.append("INBOX", "Subject: second\r\n\r\n").expect("an answer");
    for client in &mut idling {
        assert_eq!(client.hear().expect("news"), "* 2 EXISTS");
    }
    let last = idling.pop().expect("a crowd");
    for mut client in [idling.swap_remove(0), last] {
        client.send(b"DONE\r\n").expect("the server listens");
        assert!(client.answer().expect("an answer").end.starts_with("OK"));
        assert_eq!(client.must("UID SEARCH ALL").expect("an answer").told, ["* SEARCH 1 2"]);
    }
    assert_eq!(first.must("STATUS INBOX (MESSAGES)").expect("an answer").told, ["* STATUS INBOX (MESSAGES 2)"]);
}

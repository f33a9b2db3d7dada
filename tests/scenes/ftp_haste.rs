//! FTP with clients in haste: one small file right after the other, for which the server lends the session a thread, and
//! whatever may come then.

use super::dev;
use super::ftp::{bob, connect, get, has_arrived, on_disk, passive, put, text};
use harness::{Server, Speaker};
use std::io::Write;

/// Files right after one another before something else happens: enough to be in haste, whatever the machine does meanwhile.
const FILES: usize = 20;

/// Clients at once: more than there are threads to lend.
const CLIENTS: usize = 24;

fn content(number: usize) -> Vec<u8> {
    vec![b'a' + (number % 26) as u8; 100 * number]
}

/// Stores files and fetches them.
fn hurry(control: &mut Speaker, whose: &str) {
    for number in 0..FILES {
        let reply = put(control, &format!("STOR {whose}-{number}"), &content(number));
        assert!(reply.starts_with("226"), "{reply}");
    }
    for number in 0..FILES {
        assert_eq!(get(control, &format!("RETR {whose}-{number}")), content(number));
    }
}

fn in_haste() -> (Server, Speaker) {
    let server = dev();
    let mut control = bob(&server);
    hurry(&mut control, "small");
    (server, control)
}

#[test]
fn small_files_come_and_go_whole_however_many_are_in_haste() {
    let server = dev();
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let server = &server;
            scope.spawn(move || hurry(&mut bob(server), &format!("of-{number}")));
        }
    });
    let mut control = bob(&server);
    let names = text(&get(&mut control, "NLST"));
    let stored = names.lines().filter(|name| name.starts_with("of-")).count();
    assert_eq!(stored, CLIENTS * FILES);
}

#[test]
fn a_large_file_after_small_ones_is_whole() {
    let (_server, mut control) = in_haste();
    let large: Vec<u8> = (0..3_000_000u32).map(|at| (at >> 3) as u8).collect();
    for command in ["STOR large", "APPE larger"] {
        assert!(put(&mut control, command, &large).starts_with("226"));
    }
    assert!(get(&mut control, "RETR large") == large);
    assert!(get(&mut control, "RETR larger") == large);
}

#[test]
fn an_upload_may_pause_and_be_asked_about() {
    let (_server, mut control) = in_haste();
    let mut data = connect(passive(&mut control));
    control.play("C: STOR slow\nS: 125 ~");
    for arrived in 1..=FILES {
        data.write_all(b"x").expect("the server takes it");
        has_arrived(&mut control, arrived);
    }
    drop(data);
    control.play("S: 226 ~");
    assert_eq!(get(&mut control, "RETR slow"), vec![b'x'; FILES]);
}

#[test]
fn a_client_may_come_to_the_data_port_later() {
    let (_server, mut control) = in_haste();
    let address = passive(&mut control);
    control.play("C: STOR late\nS: 150 ~");
    let mut data = connect(address);
    data.write_all(b"at last").expect("the server takes it");
    drop(data);
    control.play("S: 226 ~");
    let address = passive(&mut control);
    control.play("C: RETR late\nS: 150 ~");
    assert_eq!(super::ftp::all_of(connect(address)), b"at last");
    control.play("S: 226 ~");
}

#[test]
fn an_upload_is_aborted_and_can_be_continued() {
    let (_server, mut control) = in_haste();
    let mut data = connect(passive(&mut control));
    control.play("C: STOR half\nS: 125 ~");
    data.write_all(b"half of it").expect("the server takes it");
    has_arrived(&mut control, 10);
    control.play("C: ABOR\nS: 426 ~\nS: 226 ~\nC: REST 10\nS: 350 ~");
    assert!(put(&mut control, "STOR half", b", and the rest").starts_with("226"));
    assert_eq!(get(&mut control, "RETR half"), b"half of it, and the rest");
}

#[test]
fn a_client_that_dies_leaves_no_file() {
    let (server, mut control) = in_haste();
    let mut data = connect(passive(&mut control));
    control.play("C: STOR never\nS: 125 ~");
    data.write_all(b"the first half").expect("the server takes it");
    drop(control);
    drop(data);
    let mut control = bob(&server);
    harness::until("the first session has ended", || {
        control.say("SIZE never");
        control.expect("~") == "213 14"
    });
    assert_eq!(on_disk(&server, "never"), None);
}

#[test]
fn what_is_sent_ahead_and_a_farewell_are_heard() {
    let (_server, mut control) = in_haste();
    control.play("C: NOOP\nC: PWD\nC: QUIT\nS: 200 ~\nS: 257 ~\nS: 221 ~");
    control.expect_close();
}

//! Python's imaplib. The script asserts what it sees; each test is one function of it.

use super::with_letters;
use crate::{certificate, port};
use interop::{alice, bob, foreign};

const SCRIPT: &str = include_str!("../../../scripts/imap.py");

fn run(function: &str) {
    let Some(python) = foreign("python3") else { return };
    let (server, letters) = with_letters(3);
    let file = python.write("imap.py", SCRIPT);
    let [imap, imaps] = ["imap", "imaps"].map(|service| port(&server, service));
    let letter = letters.last().expect("three letters");
    let (certificate, bob, alice) = (certificate(&server), bob().credentials(), alice().credentials());
    let arguments = [&file, function, &imap, &imaps, &certificate, &bob, &alice, &letter.token];
    python.run(&arguments, letter.text().as_bytes()).succeeded();
}

#[test]
fn imaplib_reads_in_clear() {
    run("in_clear");
}

#[test]
fn imaplib_reads_with_starttls() {
    run("starttls");
}

#[test]
fn imaplib_reads_over_tls() {
    run("over_tls");
}

#[test]
fn imaplib_authenticates() {
    run("authenticates");
}

#[test]
fn imaplib_is_refused_with_a_wrong_password() {
    run("is_refused");
}

#[test]
fn imaplib_makes_renames_and_removes_mailboxes() {
    run("mailboxes");
}

#[test]
fn imaplib_appends_fetches_searches_and_files() {
    run("messages");
}

#[test]
fn imaplib_hears_of_others() {
    run("hears_of_others");
}

#[test]
fn imaplib_shares_a_mailbox_between_two() {
    run("shares");
}

#[test]
fn imaplib_speaks_utf8() {
    run("utf8");
}

#[test]
fn imaplib_is_told_of_nonsense() {
    run("is_told_of_nonsense");
}

#[test]
fn imaplib_reads_compressed() {
    run("compressed");
}

#[test]
fn imaplib_reads_compressed_over_tls() {
    run("compressed_over_tls");
}

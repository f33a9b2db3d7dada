//! Python's smtplib and poplib. The scripts assert what they see; each test is one function of theirs.

use crate::{certificate, port};
use harness::Server;
use interop::{Letter, alice, bob, dev, foreign};

/// What each script finds in its environment of words: ports, certificate, people, the letter's token and text.
fn run(script: &str, function: &str, server: &Server, letter: &Letter) -> bool {
    let Some(python) = foreign("python3") else { return false };
    let file = python.write("script.py", script);
    let ports = ["smtp", "submission", "submissions", "pop3", "pop3s"].map(|service| port(server, service));
    let ports: Vec<&str> = ports.iter().map(String::as_str).collect();
    let (certificate, credentials) = (certificate(server), [alice().credentials(), bob().credentials()]);
    let arguments =
        [&[&file, function], &ports[..], &[&certificate, &credentials[0], &credentials[1], &letter.token]].concat();
    python.run(&arguments, letter.text().as_bytes()).succeeded();
    true
}

const SMTP: &str = include_str!("../../scripts/smtp.py");
const POP3: &str = include_str!("../../scripts/pop3.py");

/// Sends a letter by a function of `smtp.py` and finds it in Bob's maildrop.
fn sends(function: &str) {
    let (server, letter) = (dev(), Letter::new());
    if run(SMTP, function, &server, &letter) {
        letter.assert_is(&bob().last(&server));
    }
}

/// Bob has three letters; a function of `pop3.py` deals with them. Says how many are left.
fn reads(function: &str, left: usize) {
    let (server, letter) = (dev(), Letter::new());
    Letter::new().deliver(&server);
    Letter::new().deliver(&server);
    letter.deliver(&server);
    if run(POP3, function, &server, &letter) {
        assert_eq!(bob().count(&server), left);
    }
}

#[test]
fn smtplib_sends_in_clear() {
    sends("in_clear");
}

#[test]
fn smtplib_submits_with_starttls() {
    sends("starttls_plain");
}

#[test]
fn smtplib_submits_by_login() {
    sends("starttls_login");
}

#[test]
fn smtplib_submits_over_tls() {
    sends("over_tls");
}

#[test]
fn smtplib_sends_to_several_and_is_told_who_was_refused() {
    sends("several_recipients");
}

#[test]
fn smtplib_sends_two_letters_on_one_connection() {
    let (server, letter) = (dev(), Letter::new());
    if run(SMTP, "twice", &server, &letter) {
        assert_eq!(bob().count(&server), 2);
    }
}

#[test]
fn smtplib_sends_to_an_address_in_utf8() {
    let (server, letter) = (dev(), Letter::new());
    if run(SMTP, "smtputf8", &server, &letter) {
        let message = bob().last(&server);
        assert!(message.contains("Subject: Crêpes ") && message.contains(&letter.token), "{message}");
    }
}

#[test]
fn smtplib_asks_about_addresses_and_resets() {
    let (server, letter) = (dev(), Letter::new());
    if run(SMTP, "small_talk", &server, &letter) {
        assert_eq!(bob().count(&server), 0);
    }
}

#[test]
fn poplib_reads_in_clear_and_keeps() {
    reads("in_clear", 3);
}

#[test]
fn poplib_reads_with_stls() {
    reads("stls", 3);
}

#[test]
fn poplib_reads_over_tls() {
    reads("over_tls", 3);
}

#[test]
fn poplib_sees_tops_and_unique_ids() {
    reads("tops_and_uids", 3);
}

#[test]
fn poplib_deletes_on_quit_only() {
    reads("deletes", 1);
}

#[test]
fn poplib_deletes_nothing_without_quit() {
    reads("deletes_without_quit", 3);
}

#[test]
fn poplib_switches_to_utf8() {
    reads("utf8", 3);
}

//! fetchmail: download-and-keep and download-and-delete, in clear, with STLS and over TLS.

use crate::{certificate, port};
use harness::Server;
use interop::{Foreign, Letter, Outcome, bob, dev, foreign};

/// fetchmail: "there was no mail awaiting retrieval".
pub const NO_MAIL: i32 = 1;

/// Fetches Bob's mail into the file `inbox`.
pub fn fetch(fetchmail: &Foreign, server: &Server, service: &str, more: &str) -> Outcome {
    let tls = if service.ends_with('s') { "ssl" } else { "sslproto \"auto\"" };
    let (protocol, uidl) = if service.starts_with("pop3") { ("POP3", " uidl") } else { ("IMAP", "") };
    let settings = format!(
        "set no bouncemail\nset no syslog\n\
         poll localhost via 127.0.0.1 protocol {protocol} port {}{uidl} timeout 50:\n  user \"{}\" there with password \"{}\" {more}\n  \
         {tls} sslcertck sslcertfile \"{}\" sslcommonname localhost\n  mda \"tee -a {}\"\n",
        port(server, service),
        bob().address,
        bob().password,
        certificate(server),
        fetchmail.path("inbox")
    );
    let (rc, ids, pid) = (fetchmail.write("fetchmailrc", &settings), fetchmail.path("ids"), fetchmail.path("pid"));
    fetchmail.run(&["--nodetach", "-v", "-f", &rc, "-i", &ids, "--pidfile", &pid], b"")
}

/// How many letters lie in `inbox`.
fn fetched(fetchmail: &Foreign) -> usize {
    fetchmail.read("inbox").matches("Do you like ketchup?").count()
}

#[test]
fn fetchmail_that_keeps_fetches_each_letter_once() {
    let Some(fetchmail) = foreign("fetchmail") else { return };
    let server = dev();
    let (first, second) = (Letter::new(), Letter::new());
    first.deliver(&server);
    fetch(&fetchmail, &server, "pop3s", "keep").succeeded();
    first.assert_is(&fetchmail.read("inbox"));
    fetch(&fetchmail, &server, "pop3s", "keep").expect(NO_MAIL);
    second.deliver(&server);
    fetch(&fetchmail, &server, "pop3s", "keep").succeeded();
    assert_eq!(fetched(&fetchmail), 2);
    assert_eq!(bob().count(&server), 2, "both are still there");
}

#[test]
fn fetchmail_that_deletes_leaves_nothing() {
    let Some(fetchmail) = foreign("fetchmail") else { return };
    let server = dev();
    let sent = [Letter::new(), Letter::new()];
    sent.iter().for_each(|letter| letter.deliver(&server));
    fetch(&fetchmail, &server, "pop3s", "nokeep").succeeded();
    assert_eq!(fetched(&fetchmail), 2);
    sent.iter().for_each(|letter| assert!(fetchmail.read("inbox").contains(&letter.token)));
    assert_eq!(bob().count(&server), 0);
    fetch(&fetchmail, &server, "pop3s", "nokeep").expect(NO_MAIL);
}

#[test]
fn fetchmail_upgrades_to_tls() {
    let Some(fetchmail) = foreign("fetchmail") else { return };
    let (server, letter) = (dev(), Letter::new());
    letter.deliver(&server);
    let said = fetch(&fetchmail, &server, "pop3", "nokeep").succeeded();
    letter.assert_is(&fetchmail.read("inbox"));
    assert!(said.stdout.contains("STLS"), "it did not ask for TLS:\n{}", said.stdout);
}

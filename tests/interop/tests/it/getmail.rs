//! getmail: POP3 and POP3S, keeping and deleting. Its other half is in `imap`.

use crate::{certificate, port};
use harness::Server;
use interop::{Foreign, Letter, Outcome, bob, dev, foreign};

/// What getmail hands letters to: the file `inbox`. getmail 6.18 forks first and only then listens for the end of who
/// it forked; where that has ended by then, it waits for three minutes. So this waits until it is listened for
/// (SIGCHLD, the bit 16 of what is caught).
fn delivery(getmail: &Foreign) -> String {
    let inbox = getmail.path("inbox");
    let caught = r"sed -n 's/^SigCgt:[[:space:]]*/0x/p' /proc/$PPID/status";
    getmail.script(
        "deliver",
        &format!("#!/bin/sh\nuntil [ $(($({caught}) >> 16 & 1)) = 1 ]; do :; done\ncat >> '{inbox}'\n"),
    )
}

/// Fetches Bob's mail into the file `inbox`.
pub fn fetch(getmail: &Foreign, server: &Server, service: &str, more: &str, delete: bool) -> Outcome {
    let authority = format!("ca_certs = {}", certificate(server));
    let (kind, authority) = match service {
        "pop3s" => ("SimplePOP3SSLRetriever", &authority[..]),
        "pop3" => ("SimplePOP3Retriever", ""),
        "imaps" => ("SimpleIMAPSSLRetriever", &authority[..]),
        _ => ("SimpleIMAPRetriever", ""),
    };
    let settings = format!(
        "[retriever]\ntype = {kind}\n{authority}\nserver = localhost\nport = {}\nusername = {}\npassword = {}\n{more}\n\
         [destination]\ntype = MDA_external\npath = {}\nallow_root_commands = true\n\
         [options]\nread_all = false\ndelete = {delete}\n",
        port(server, service),
        bob().address,
        bob().password,
        delivery(getmail)
    );
    getmail.write("getmailrc", &settings);
    let folder = format!("--getmaildir={}", getmail.home().display());
    getmail.run(&[&folder, "--rcfile=getmailrc"], b"")
}

#[test]
fn getmail_that_keeps_fetches_each_letter_once() {
    let Some(getmail) = foreign("getmail") else { return };
    let (server, letter) = (dev(), Letter::new());
    letter.deliver(&server);
    fetch(&getmail, &server, "pop3s", "", false).succeeded();
    fetch(&getmail, &server, "pop3s", "", false).succeeded();
    letter.assert_is(&getmail.read("inbox"));
    assert_eq!(bob().count(&server), 1, "it is still there");
}

#[test]
fn getmail_that_deletes_leaves_nothing() {
    let Some(getmail) = foreign("getmail") else { return };
    let (server, letter) = (dev(), Letter::new());
    letter.deliver(&server);
    fetch(&getmail, &server, "pop3", "", true).succeeded();
    letter.assert_is(&getmail.read("inbox"));
    assert_eq!(bob().count(&server), 0);
}

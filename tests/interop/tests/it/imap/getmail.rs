//! getmail by IMAP: keeping, deleting, and moving what it has fetched.

use super::{with_letters, witness};
use crate::{certificate, port};
use harness::Server;
use interop::{Foreign, Outcome, bob, foreign};

/// Fetches Bob's mail into the file `inbox`.
fn fetch(getmail: &Foreign, server: &Server, service: &str, retriever: &str, delete: bool) -> Outcome {
    let kind = match service {
        "imaps" => format!("type = SimpleIMAPSSLRetriever\nca_certs = {}", certificate(server)),
        _ => "type = SimpleIMAPRetriever".to_owned(),
    };
    let settings = format!(
        "[retriever]\n{kind}\nserver = localhost\nport = {}\nusername = {}\npassword = {}\n{retriever}\n\
         [destination]\ntype = MDA_external\npath = /usr/bin/tee\narguments = (\"-a\", \"{}\")\nallow_root_commands = true\n\
         [options]\nread_all = false\ndelete = {delete}\n",
        port(server, service),
        bob().address,
        bob().password,
        getmail.path("inbox")
    );
    getmail.write("getmailrc", &settings);
    let folder = format!("--getmaildir={}", getmail.home().display());
    getmail.run(&[&folder, "--rcfile=getmailrc"], b"")
}

#[test]
fn getmail_by_imap_that_keeps_fetches_each_letter_once() {
    let Some(getmail) = foreign("getmail") else { return };
    let (server, letters) = with_letters(1);
    fetch(&getmail, &server, "imaps", "", false).succeeded();
    fetch(&getmail, &server, "imaps", "", false).succeeded();
    letters[0].assert_is(&getmail.read("inbox"));
    assert_eq!(witness(&server).count("INBOX"), 1, "it is still there");
}

#[test]
fn getmail_by_imap_that_deletes_leaves_nothing() {
    let Some(getmail) = foreign("getmail") else { return };
    let (server, letters) = with_letters(1);
    fetch(&getmail, &server, "imap", "", true).succeeded();
    letters[0].assert_is(&getmail.read("inbox"));
    assert_eq!(witness(&server).count("INBOX"), 0);
}

#[test]
fn getmail_by_imap_moves_what_it_has_fetched() {
    let Some(getmail) = foreign("getmail") else { return };
    let (server, letters) = with_letters(1);
    fetch(&getmail, &server, "imaps", "move_on_delete = Archive", true).succeeded();
    letters[0].assert_is(&getmail.read("inbox"));
    let mut witness = witness(&server);
    assert_eq!((witness.count("INBOX"), witness.count("Archive")), (0, 1));
}

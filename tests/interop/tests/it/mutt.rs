//! mutt in batch mode: sends through submission, reads a maildrop in a terminal that `script` makes for it.
//!
//! Debian's mutt (GNU SASL) chooses SCRAM-SHA-256-PLUS wherever it is offered, has nothing to bind to, and gives up; it
//! must be told to use SCRAM-SHA-256, with every server that offers both.

use crate::{certificate, port};
use harness::Server;
use interop::{Foreign, Letter, alice, bob, dev, foreign};

fn settings(mutt: &Foreign, server: &Server, more: &str) -> String {
    let common = format!(
        "set smtp_authenticators=\"scram-sha-256\" pop_authenticators=\"scram-sha-256\"\n\
         set ssl_force_tls=yes certificate_file=\"{}\" from=\"{}\" realname=\"Alice\" record=\"\" folder=\"{}\"\n\
         set delete=yes quit=yes confirmappend=no confirmcreate=no move=no wait_key=no mbox_type=mbox\n{more}\n",
        certificate(server),
        alice().address,
        mutt.home().display()
    );
    mutt.write("muttrc", &common)
}

fn send(mutt: &Foreign, server: &Server, scheme: &str, service: &str, letter: &Letter) {
    let url = format!("{scheme}://{}@localhost:{}/", alice().in_url(), port(server, service));
    let more = format!("set smtp_url=\"{url}\" smtp_pass=\"{}\"", alice().password);
    let rc = settings(mutt, server, &more);
    mutt.run(&["-F", &rc, "-s", &letter.token, bob().address], letter.body().as_bytes()).succeeded();
}

#[test]
fn mutt_sends_with_starttls() {
    let Some(mutt) = foreign("mutt") else { return };
    let (server, letter) = (dev(), Letter::new());
    send(&mutt, &server, "smtp", "submission", &letter);
    letter.assert_is(&bob().last(&server));
}

#[test]
fn mutt_sends_over_tls() {
    let Some(mutt) = foreign("mutt") else { return };
    let (server, letter) = (dev(), Letter::new());
    send(&mutt, &server, "smtps", "submissions", &letter);
    letter.assert_is(&bob().last(&server));
}

/// Opens Bob's maildrop, tags all messages, does `keys` with them, quits.
fn read(scheme: &str, service: &str, keys: &str, server: &Server) -> Option<Foreign> {
    foreign("mutt")?;
    let script = foreign("script")?;
    let rc = settings(&script, server, &format!("set pop_pass=\"{}\"", bob().password));
    let url = format!("{scheme}://{}@localhost:{}/", bob().in_url(), port(server, service));
    let keys = keys.replace("INBOX", &script.path("inbox"));
    let keys = format!("push <tag-pattern>~A<enter>{keys}<quit>");
    let command = script.script("go", &format!("#!/bin/sh\nexec mutt -F '{rc}' -f '{url}' -e '{keys}'\n"));
    script.run(&["-qec", &command, "/dev/null"], b"").succeeded();
    Some(script)
}

#[test]
fn mutt_reads_over_tls_and_leaves_the_mail_there() {
    let (server, letter) = (dev(), Letter::new());
    letter.deliver(&server);
    let copy = "<tag-prefix><copy-message><kill-line>INBOX<enter>";
    let Some(mutt) = read("pops", "pop3s", copy, &server) else { return };
    letter.assert_is(mutt.read("inbox").trim_end());
    assert_eq!(bob().count(&server), 1, "it is still there");
}

#[test]
fn mutt_reads_with_stls_and_takes_the_mail_away() {
    let (server, letter) = (dev(), Letter::new());
    letter.deliver(&server);
    let take = "<tag-prefix><save-message><kill-line>INBOX<enter>";
    let Some(mutt) = read("pop", "pop3", take, &server) else { return };
    letter.assert_is(mutt.read("inbox").trim_end());
    assert_eq!(bob().count(&server), 0);
}

//! mpop: POP3 with STLS and POP3S, the certificate verified, each SASL mechanism of its library; keeping and deleting.

use crate::{certificate, port};
use harness::Server;
use interop::{Foreign, Letter, Outcome, bob, dev, foreign};

/// Fetches Bob's mail into the file `inbox`.
fn fetch(mpop: &Foreign, server: &Server, service: &str, mechanism: &str, keep: &str) -> Outcome {
    let starttls = if service == "pop3s" { "off" } else { "on" };
    let settings = format!(
        "account default\nhost localhost\nport {}\nauth {mechanism}\nuser {}\npassword {}\nkeep {keep}\n\
         tls on\ntls_starttls {starttls}\ntls_trust_file {}\nuidls_file {}\ndelivery mbox {}\n",
        port(server, service),
        bob().address,
        bob().password,
        certificate(server),
        mpop.path("uidls"),
        mpop.path("inbox")
    );
    let file = format!("--file={}", mpop.write("mpoprc", &settings));
    mpop.run(&[&file, "--quiet"], b"")
}

/// The letters in an mbox file: each begins with a line `From `.
fn letters(mbox: &str) -> Vec<String> {
    let marked = format!("\n{mbox}");
    marked
        .split("\nFrom ")
        .skip(1)
        .map(|letter| letter.split_once('\n').map_or("", |(_, rest)| rest).to_owned())
        .collect()
}

#[test]
fn mpop_fetches_by_every_mechanism() {
    for mechanism in ["user", "plain", "login", "scram-sha-256"] {
        for service in ["pop3", "pop3s"] {
            let Some(mpop) = foreign("mpop") else { return };
            let (server, letter) = (dev(), Letter::new());
            letter.deliver(&server);
            fetch(&mpop, &server, service, mechanism, "on").succeeded();
            letter.assert_is(&letters(&mpop.read("inbox"))[0]);
        }
    }
}

#[test]
fn mpop_that_keeps_fetches_each_letter_once() {
    let Some(mpop) = foreign("mpop") else { return };
    let server = dev();
    let (first, second) = (Letter::new(), Letter::new());
    first.deliver(&server);
    fetch(&mpop, &server, "pop3s", "on", "on").succeeded();
    second.deliver(&server);
    fetch(&mpop, &server, "pop3s", "on", "on").succeeded();
    let fetched = letters(&mpop.read("inbox"));
    assert_eq!(fetched.len(), 2, "each once:\n{}", mpop.read("inbox"));
    first.assert_is(&fetched[0]);
    second.assert_is(&fetched[1]);
    assert_eq!(bob().count(&server), 2, "both are still there");
}

#[test]
fn mpop_that_deletes_leaves_nothing() {
    let Some(mpop) = foreign("mpop") else { return };
    let server = dev();
    let sent = [Letter::new(), Letter::new(), Letter::new()];
    sent.iter().for_each(|letter| letter.deliver(&server));
    fetch(&mpop, &server, "pop3", "on", "off").succeeded();
    let fetched = letters(&mpop.read("inbox"));
    assert_eq!(fetched.len(), 3);
    sent.iter().zip(&fetched).for_each(|(sent, fetched)| sent.assert_is(fetched));
    assert_eq!(bob().count(&server), 0);
}

//! Python's imaplib. The script asserts what it sees; each test is one function of it.

use super::with_letters;
use crate::{certificate, port};
use harness::Server;
use interop::{alice, binary, bob, foreign};

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
fn imaplib_and_poplib_show_a_certificate_instead_of_a_password() {
    let Some(python) = foreign("python3") else { return };
    let account = "bob@hamburger.test";
    let authority_key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).expect("an authority");
    let issuer = rcgen::Issuer::new(params, authority_key);
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::default();
    params.subject_alt_names.push(rcgen::SanType::Rfc822Name(account.try_into().expect("ASCII")));
    let own = params.signed_by(&key, &issuer).expect("a certificate");
    let ca = python.write("ca.pem", &authority.pem());
    let (chain, key) = (python.write("own.pem", &own.pem()), python.write("own.key", &key.serialize_pem()));
    let server = Server::serve_files(binary(), "127.0.0.1", &format!("[tls]\nclient_ca = '{ca}'\n"));
    let file = python.write("external.py", include_str!("../../../scripts/external.py"));
    let [imap, pop3] = ["imap", "pop3"].map(|service| port(&server, service));
    python.run(&[&file, &imap, &pop3, &certificate(&server), &chain, &key, account], b"").succeeded();
}

#[test]
fn imaplib_reads_compressed() {
    run("compressed");
}

#[test]
fn imaplib_reads_compressed_over_tls() {
    run("compressed_over_tls");
}

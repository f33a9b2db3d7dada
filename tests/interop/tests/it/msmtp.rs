//! msmtp: submission with STARTTLS and with TLS, the certificate verified, each SASL mechanism of its library.

use crate::{certificate, port};
use harness::{Server, command_on};
use interop::{Foreign, Letter, Outcome, alice, binary, bob, dev, foreign};

/// Sends a letter from Alice to Bob.
fn send(msmtp: &Foreign, server: &Server, service: &str, mechanism: &str, letter: &Letter) -> Outcome {
    send_with(alice().password, msmtp, server, service, mechanism, letter)
}

fn send_with(
    password: &str,
    msmtp: &Foreign,
    server: &Server,
    service: &str,
    mechanism: &str,
    letter: &Letter,
) -> Outcome {
    let starttls = if service == "submissions" { "off" } else { "on" };
    let settings = format!(
        "account default\nhost localhost\nport {}\nfrom {}\nauth {mechanism}\nuser {}\npassword {}\n\
         tls on\ntls_starttls {starttls}\ntls_trust_file {}\n",
        port(server, service),
        alice().address,
        alice().address,
        password,
        certificate(server)
    );
    let file = format!("--file={}", msmtp.write("msmtprc", &settings));
    msmtp.run(&[&file, "--read-envelope-from", "-t"], letter.text().replace('\r', "").as_bytes())
}

#[test]
fn msmtp_submits_with_starttls_by_every_mechanism() {
    let Some(msmtp) = foreign("msmtp") else { return };
    let server = dev();
    for mechanism in ["plain", "login", "scram-sha-256"] {
        let letter = Letter::new();
        send(&msmtp, &server, "submission", mechanism, &letter).succeeded();
        letter.assert_is(&bob().last(&server));
    }
}

#[test]
fn msmtp_submits_by_an_app_password_and_every_mechanism() {
    let Some(msmtp) = foreign("msmtp") else { return };
    let server = dev();
    let make = |label, more: &[&str]| {
        let made = server.command(&[&["app-password", "add", alice().address, label], more].concat());
        let said = String::from_utf8(made.stdout).expect("text");
        said.lines().map(str::trim).rfind(|line| !line.is_empty()).expect("a password").to_owned()
    };
    let (telephone, scanner) = (make("telephone", &[]), make("scanner", &["--for", "ftp"]));
    for mechanism in ["plain", "login", "scram-sha-256"] {
        let letter = Letter::new();
        send_with(&telephone, &msmtp, &server, "submission", mechanism, &letter).succeeded();
        letter.assert_is(&bob().last(&server));
        send_with(&scanner, &msmtp, &server, "submission", mechanism, &letter).failed();
    }
    // Another password of hers leaves the others as they are.
    let change = ["account", "passwd", alice().address];
    assert!(command_on(binary(), &server.data_dir(), &change, "two pickles").status.success());
    send_with(&telephone, &msmtp, &server, "submission", "scram-sha-256", &Letter::new()).succeeded();
    send_with("two pickles", &msmtp, &server, "submission", "scram-sha-256", &Letter::new()).succeeded();
    send_with(alice().password, &msmtp, &server, "submission", "scram-sha-256", &Letter::new()).failed();
}

#[test]
fn msmtp_submits_over_tls_and_chooses_the_mechanism_itself() {
    let Some(msmtp) = foreign("msmtp") else { return };
    let (server, letter) = (dev(), Letter::new());
    send(&msmtp, &server, "submissions", "on", &letter).succeeded();
    letter.assert_is(&bob().last(&server));
}

#[test]
fn msmtp_says_what_the_server_can() {
    let Some(msmtp) = foreign("msmtp") else { return };
    let server = dev();
    let (port, trust) =
        (format!("--port={}", port(&server, "submission")), format!("--tls-trust-file={}", certificate(&server)));
    let said = msmtp.run(&["--serverinfo", "--host=localhost", &port, "--tls=on", &trust], b"").succeeded().stdout;
    for word in ["SIZE", "PIPELINING", "AUTH", "PLAIN", "SCRAM-SHA-256"] {
        assert!(said.contains(word), "no {word} in\n{said}");
    }
}

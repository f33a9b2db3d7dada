//! swaks: the testers' SMTP client, on every port and with every mechanism that it and we know.

use crate::{certificate, port};
use harness::Server;
use interop::{Foreign, Letter, Outcome, alice, bob, dev, foreign};

/// Sends a letter from Alice to Bob through this service.
fn swaks(swaks: &Foreign, server: &Server, service: &str, letter: &Letter, more: &[&str]) -> Outcome {
    let port = port(server, service);
    let address = ["--server", "127.0.0.1", "--port", &port, "--from", alice().address, "--to", bob().address];
    let data = swaks.write("letter", &letter.text().replace('\r', ""));
    let data = format!("@{data}");
    swaks.run(&[&address[..], &["--helo", "client.test", "--timeout", "50", "--data", &data], more].concat(), b"")
}

fn log_in(mechanism: &str) -> [&str; 6] {
    ["--auth", mechanism, "--auth-user", alice().address, "--auth-password", alice().password]
}

#[test]
fn swaks_sends_on_the_smtp_port() {
    let Some(client) = foreign("swaks") else { return };
    let (server, letter) = (dev(), Letter::new());
    swaks(&client, &server, "smtp", &letter, &[]).succeeded();
    letter.assert_is(&bob().last(&server));
}

#[test]
fn swaks_pipelines() {
    let Some(client) = foreign("swaks") else { return };
    let (server, letter) = (dev(), Letter::new());
    let transcript = swaks(&client, &server, "smtp", &letter, &["--pipeline"]).succeeded().stdout;
    assert!(transcript.contains("250-PIPELINING") || transcript.contains("250 PIPELINING"), "{transcript}");
    letter.assert_is(&bob().last(&server));
}

#[test]
fn swaks_upgrades_the_smtp_port_to_tls() {
    let Some(client) = foreign("swaks") else { return };
    let (server, letter) = (dev(), Letter::new());
    let certificate = certificate(&server);
    swaks(&client, &server, "smtp", &letter, &["--tls", "--tls-verify", "--tls-ca-path", &certificate]).succeeded();
    letter.assert_is(&bob().last(&server));
}

#[test]
fn swaks_logs_in_on_the_submission_port_by_plain_and_login_with_starttls() {
    let Some(client) = foreign("swaks") else { return };
    let server = dev();
    for mechanism in ["PLAIN", "LOGIN"] {
        let letter = Letter::new();
        swaks(&client, &server, "submission", &letter, &[&["--tls"], &log_in(mechanism)[..]].concat()).succeeded();
        letter.assert_is(&bob().last(&server));
    }
}

#[test]
fn swaks_logs_in_on_the_submissions_port() {
    let Some(client) = foreign("swaks") else { return };
    let (server, letter) = (dev(), Letter::new());
    swaks(&client, &server, "submissions", &letter, &[&["--tls-on-connect"], &log_in("PLAIN")[..]].concat())
        .succeeded();
    letter.assert_is(&bob().last(&server));
}

#[test]
fn swaks_with_a_wrong_password_sends_nothing() {
    /// swaks: "AUTH error".
    const AUTH_ERROR: i32 = 28;
    let Some(client) = foreign("swaks") else { return };
    let (server, letter) = (dev(), Letter::new());
    let login = ["--tls", "--auth", "PLAIN", "--auth-user", alice().address, "--auth-password", "gherkins"];
    let outcome = swaks(&client, &server, "submission", &letter, &login).expect(AUTH_ERROR);
    assert!(outcome.stdout.contains(" 535 "), "{}", outcome.stdout);
    assert_eq!(bob().count(&server), 0);
}

#[test]
fn swaks_sends_a_file_of_many_kilobytes_as_an_attachment() {
    let Some(client) = foreign("swaks") else { return };
    let server = dev();
    let port = port(&server, "smtp");
    let file = client.write("attachment.txt", &"It is all the same to me.\n".repeat(20_000));
    let attachment = format!("@{file}");
    let arguments = ["--server", "127.0.0.1", "--port", &port, "--to", bob().address, "--attach", &attachment];
    client.run(&arguments, b"").succeeded();
    let message = bob().last(&server);
    assert!(
        message.contains("Content-Transfer-Encoding: BASE64") && message.len() > 520_000,
        "{} octets",
        message.len()
    );
}

//! curl: SMTP, submission with STARTTLS and with TLS, POP3 and POP3S, with the certificate verified.

use crate::{certificate, place};
use harness::Server;
use interop::{Foreign, Letter, Outcome, Person, alice, bob, dev, foreign};

/// Sends a letter from Alice to Bob.
fn send(curl: &Foreign, url: &str, letter: &Letter, more: &[&str]) -> Outcome {
    let (alice, bob) = (alice().address, bob().address);
    let arguments = [&["-sS", url, "--mail-from", alice, "--mail-rcpt", bob, "-T", "-"], more].concat();
    curl.run(&arguments, letter.text().as_bytes())
}

/// Says something to the POP3 server as this person.
fn read(curl: &Foreign, person: &Person, url: &str, more: &[&str]) -> Outcome {
    curl.run(&[&["-sS", url, "-u", &person.credentials()], more].concat(), b"")
}

#[test]
fn curl_sends_in_clear_and_reads_in_clear() {
    let Some(curl) = foreign("curl") else { return };
    let (server, letter) = (dev(), Letter::new());
    send(&curl, &format!("smtp://{}/client.test", place(&server, "smtp")), &letter, &[]).succeeded();
    let url = format!("pop3://{}/1", place(&server, "pop3"));
    letter.assert_is(&read(&curl, &bob(), &url, &[]).succeeded().stdout);
}

#[test]
fn curl_submits_with_starttls_and_reads_with_stls() {
    let Some(curl) = foreign("curl") else { return };
    let (server, letter) = (dev(), Letter::new());
    let certificate = certificate(&server);
    let secure = ["--ssl-reqd", "--cacert", &certificate];
    let url = format!("smtp://{}/client.test", place(&server, "submission"));
    send(&curl, &url, &letter, &[&secure[..], &["-u", &alice().credentials()]].concat()).succeeded();
    let url = format!("pop3://{}/1", place(&server, "pop3"));
    letter.assert_is(&read(&curl, &bob(), &url, &secure).succeeded().stdout);
}

#[test]
fn curl_submits_over_tls_and_reads_over_tls_with_each_mechanism_it_knows() {
    let Some(curl) = foreign("curl") else { return };
    let server = dev();
    let certificate = certificate(&server);
    let submissions = format!("smtps://{}/client.test", place(&server, "submissions"));
    for (number, mechanism) in ["AUTH=PLAIN", "AUTH=LOGIN"].into_iter().enumerate() {
        let letter = Letter::new();
        let secure = ["--cacert", &certificate, "--login-options", mechanism];
        send(&curl, &submissions, &letter, &[&secure[..], &["-u", &alice().credentials()]].concat()).succeeded();
        let pop3s = format!("pop3s://{}/{}", place(&server, "pop3s"), number + 1);
        letter.assert_is(&read(&curl, &bob(), &pop3s, &secure).succeeded().stdout);
    }
}

#[test]
fn curl_lists_looks_at_the_top_and_deletes() {
    let Some(curl) = foreign("curl") else { return };
    let server = dev();
    let letters = [Letter::new(), Letter::new()];
    letters.iter().for_each(|letter| letter.deliver(&server));
    let url = format!("pop3://{}/", place(&server, "pop3"));
    let list = read(&curl, &bob(), &url, &[]).succeeded().stdout;
    assert_eq!(list.lines().count(), 2, "{list}");
    let uids = read(&curl, &bob(), &url, &["-X", "UIDL"]).succeeded().stdout;
    assert!(uids.starts_with("1 ") && uids.lines().count() == 2, "{uids}");
    let top = read(&curl, &bob(), &url, &["-X", "TOP 2 1"]).succeeded().stdout;
    assert!(top.contains(&letters[1].token) && top.contains("ketchup") && !top.contains("pickles?"), "{top}");
    read(&curl, &bob(), &format!("{url}1"), &["-X", "DELE", "-I"]).succeeded();
    assert_eq!(bob().count(&server), 1);
    letters[1].assert_is(&bob().last(&server));
    let uids_now = read(&curl, &bob(), &url, &["-X", "UIDL"]).succeeded().stdout;
    let second = uids.lines().nth(1).and_then(|line| line.split(' ').nth(1)).expect("a second UIDL");
    assert_eq!(uids_now.trim_end(), format!("1 {second}"), "a UIDL never changes");
}

#[test]
fn curl_is_told_when_the_password_is_wrong() {
    /// `CURLE_LOGIN_DENIED`
    const LOGIN_DENIED: i32 = 67;
    let Some(curl) = foreign("curl") else { return };
    let (server, letter) = (dev(), Letter::new());
    let stranger = Person { address: bob().address, password: "thirsty" };
    read(&curl, &stranger, &format!("pop3://{}/", place(&server, "pop3")), &[]).expect(LOGIN_DENIED);
    let url = format!("smtp://{}/client.test", place(&server, "submission"));
    send(&curl, &url, &letter, &["-u", &stranger.credentials()]).expect(LOGIN_DENIED);
    nothing_arrived(&server);
}

#[test]
fn curl_may_not_submit_without_a_login_nor_in_another_name() {
    /// `CURLE_SEND_ERROR`: MAIL or RCPT was refused.
    const SEND_ERROR: i32 = 55;
    let Some(curl) = foreign("curl") else { return };
    let (server, letter) = (dev(), Letter::new());
    let certificate = certificate(&server);
    let url = format!("smtps://{}/client.test", place(&server, "submissions"));
    send(&curl, &url, &letter, &["--cacert", &certificate]).expect(SEND_ERROR);
    send(&curl, &url, &letter, &["--cacert", &certificate, "-u", &bob().credentials()]).expect(SEND_ERROR);
    nothing_arrived(&server);
}

fn nothing_arrived(server: &Server) {
    assert_eq!(bob().count(server), 0, "what was refused must not arrive");
}

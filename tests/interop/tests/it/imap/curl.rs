//! curl: lists, fetches by UID and section, searches, appends, and says whatever it is told to.

use super::{with_letters, witness};
use crate::{certificate, port};
use harness::Server;
use interop::{Foreign, Letter, Outcome, bob, foreign};

fn url(server: &Server, service: &str, path: &str) -> String {
    format!("{service}://localhost:{}/{path}", port(server, service))
}

/// Asks as Bob, with TLS.
fn ask(curl: &Foreign, server: &Server, path: &str, more: &[&str]) -> Outcome {
    let (url, certificate) = (url(server, "imaps", path), certificate(server));
    let arguments = ["-sS", &url, "--cacert", &certificate, "-u", &bob().credentials()];
    curl.run(&[&arguments, more].concat(), b"")
}

#[test]
fn curl_fetches_on_each_channel_with_each_mechanism() {
    let Some(curl) = foreign("curl") else { return };
    let (server, letters) = with_letters(1);
    let (certificate, credentials) = (certificate(&server), bob().credentials());
    let secure = ["--cacert", &certificate];
    for (service, more) in [
        ("imap", &[][..]),
        ("imap", &["--ssl-reqd"]),
        ("imaps", &["--login-options", "AUTH=PLAIN"]),
        ("imaps", &["--login-options", "AUTH=LOGIN"]),
        ("imaps", &["--login-options", "AUTH=*", "--sasl-ir"]),
    ] {
        let url = url(&server, service, "INBOX;UID=1");
        let arguments = [&["-sS", &url, "-u", &credentials], &secure[..], more].concat();
        letters[0].assert_is(&curl.run(&arguments, b"").succeeded().stdout);
    }
}

#[test]
fn curl_lists_searches_and_fetches_sections() {
    let Some(curl) = foreign("curl") else { return };
    let (server, letters) = with_letters(2);
    let list = ask(&curl, &server, "", &[]).succeeded().stdout;
    for name in ["INBOX", "Drafts", "Sent", "Trash"] {
        assert!(list.lines().any(|line| line.trim_end().ends_with(name)), "{name} is missing:\n{list}");
    }
    let found = ask(&curl, &server, &format!("INBOX?SUBJECT%20{}", letters[1].token), &[]).succeeded().stdout;
    assert_eq!(found.trim_end(), "* SEARCH 2");
    let subject = ask(&curl, &server, "INBOX;MAILINDEX=2;SECTION=HEADER.FIELDS%20(SUBJECT)", &[]).succeeded().stdout;
    assert_eq!(subject.trim_end(), format!("Subject: {}", letters[1].token));
    let text = ask(&curl, &server, "INBOX;UID=1;SECTION=TEXT", &[]).succeeded().stdout;
    assert_eq!(text.replace('\r', "").trim_end(), letters[0].body().trim_end());
}

#[test]
fn curl_appends_and_stores() {
    let Some(curl) = foreign("curl") else { return };
    let (server, _) = with_letters(1);
    let letter = Letter::new();
    let file = curl.write("letter", &letter.text());
    ask(&curl, &server, "Drafts", &["-T", &file]).succeeded();
    assert_eq!(witness(&server).contents("Drafts"), [format!("{}: \\Seen", letter.token)]);
    ask(&curl, &server, "INBOX", &["-X", "STORE 1 +Flags \\Deleted"]).succeeded();
    ask(&curl, &server, "INBOX", &["-X", "EXPUNGE"]).succeeded();
    assert_eq!(witness(&server).count("INBOX"), 0);
}

#[test]
fn curl_is_told_when_the_password_is_wrong() {
    /// `CURLE_LOGIN_DENIED`
    const LOGIN_DENIED: i32 = 67;
    let Some(curl) = foreign("curl") else { return };
    let (server, _) = with_letters(0);
    let arguments = ["-sS", &url(&server, "imap", ""), "-u", "bob@hamburger.test:thirsty"];
    curl.run(&arguments, b"").expect(LOGIN_DENIED);
}

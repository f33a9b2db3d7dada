//! Who is connected, and the end of it, as administrators have both.
//!
//! Not here: how each protocol says goodbye (transcripts), who does not go by himself (net).

use super::ftp::{by_pasv, connect, on_disk, passive};
use super::imap::bob as imap_bob;
use super::{BINARY, deliver, dev, log_in, plain};
use harness::{Server, Speaker};
use serde_json::Value;
use std::io::Write;
use std::process::Output;

const BOB: &str = "bob@hamburger.test";

/// More than all buffers of a connection on loopback together.
const LARGE_OCTETS: usize = 32 << 20;

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The sessions that are listed with these words behind.
fn listed(server: &Server, words: &[&str]) -> Vec<Value> {
    let output = server.command(&[&["sessions", "list", "--json"], words].concat());
    assert!(output.status.success(), "{}", text(&output));
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(answer["sessions"]["left_out"], 0);
    answer["sessions"]["sessions"].as_array().expect("a list").clone()
}

/// The only session that is listed with these words behind.
fn only(server: &Server, words: &[&str]) -> Value {
    let mut lines = listed(server, words);
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.remove(0)
}

/// Ends sessions, as many as expected.
fn end(server: &Server, words: &[&str], expected: &str) {
    let output = server.command(&[&["sessions", "end"], words].concat());
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(text(&output).trim_end(), expected);
}

/// Nobody is there any more with these words behind.
fn is_empty_soon(server: &Server, words: &[&str]) {
    harness::until("nobody is there", || listed(server, words).is_empty());
}

fn ftp_bob(server: &Server) -> Speaker {
    let mut control = super::ftp::bob(server);
    control.play("C: CLNT sailor 1.0\nS: 200 ~");
    control
}

/// One session of each service, by its name and with what it hears when it is ended.
fn one_of_each(server: &Server) -> Vec<(&'static str, Speaker, &'static str)> {
    let mut smtp = server.speak("smtp");
    smtp.play("S: 220 ~\nC: HELO client.test\nS: 250 ~");
    let mut submission = server.speak("submission");
    submission.play("S: 220 ~\nC: EHLO client.test");
    while submission.hear().expect("250").starts_with("250-") {}
    submission.play(&format!("C: AUTH PLAIN {}\nS: 235 ~", plain(BOB, "hungry")));
    vec![
        ("smtp", smtp, "421 4.3.2 The administrator ~"),
        ("submission", submission, "421 4.3.2 The administrator ~"),
        ("pop3", log_in(server, BOB, "hungry"), "-ERR the administrator ~"),
        ("imap", imap_bob(server), "* BYE the administrator ~"),
        ("ftp", ftp_bob(server), "421 The administrator ~"),
    ]
}

#[test]
fn who_is_listed_can_be_ended_and_hears_the_goodbye_of_its_protocol() {
    let server = dev();
    for (service, mut speaker, goodbye) in one_of_each(&server) {
        let line = only(&server, &["--service", service]);
        let account = if service == "smtp" { Value::Null } else { BOB.into() };
        assert_eq!((&line["service"], &line["account"], &line["tls"]), (&service.into(), &account, &false.into()));
        assert!(line["peer"].as_str().is_some_and(|peer| peer.starts_with("127.0.0.1:")), "{line}");
        assert!(line["since"].as_i64() > Some(0) && line["idle_secs"].is_u64() && line["ending"] == false, "{line}");
        end(&server, &[line["session"].as_str().expect("an id")], "1 session is ended");
        speaker.expect(goodbye);
        speaker.expect_close();
        drop(speaker);
        is_empty_soon(&server, &["--service", service]);
    }
}

#[test]
fn filters_are_for_lists_and_for_ends() {
    let server = dev();
    let mut all = one_of_each(&server);
    let mut alice = log_in(&server, "alice@crepes.test", "pickles");
    assert_eq!(listed(&server, &[]).len(), 6);
    assert_eq!(listed(&server, &["--account", BOB]).len(), 4);
    assert_eq!(listed(&server, &["--peer", "127.0.0.1", "--service", "pop3"]).len(), 2);
    assert_eq!(listed(&server, &["--peer", "192.0.2.1"]).len(), 0);
    end(&server, &["--account", BOB], "4 sessions are ended");
    for (_, speaker, goodbye) in &mut all[1..] {
        speaker.expect(goodbye);
        speaker.expect_close();
    }
    end(&server, &["--peer", "192.0.2.1"], "0 sessions are ended");
    alice.play("C: NOOP\nS: +OK~");
    end(&server, &["--peer", "127.0.0.1", "--service", "pop3"], "1 session is ended");
    alice.expect("-ERR the administrator ~");
    all[0].1.play("C: NOOP\nS: 250 ~");
}

#[test]
fn what_is_not_there_cannot_be_ended() {
    let mut server = dev();
    let _imap = imap_bob(&server);
    let there = only(&server, &[])["session"].as_str().expect("an id").to_owned();
    let missing = server.command(&["sessions", "end", "nobody", &there]);
    assert_eq!(missing.status.code(), Some(4), "{}", text(&missing));
    assert!(
        text(&missing).contains(&format!("no session nobody; `packetboat sessions` shows them; ended were {there}"))
    );
    let nobody = server.command(&["sessions", "end", "--account", "nobody@hamburger.test"]);
    assert_eq!(nobody.status.code(), Some(4), "{}", text(&nobody));
    for wrong in
        [&["end"][..], &["end", "x", "--account", BOB], &["--account", BOB, "end", "x"], &["--service", "nntp"]]
    {
        let output = server.command(&[&["sessions"], wrong].concat());
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    }
    server.stop();
    let stopped = server.command(&["sessions"]);
    assert!(stopped.status.code() == Some(1) && text(&stopped).contains("not running"), "{}", text(&stopped));
}

#[test]
fn an_upload_that_is_ended_midway_is_kept_to_go_on_with() {
    let server = dev();
    let mut control = ftp_bob(&server);
    let mut data = connect(passive(&mut control));
    control.play("C: STOR long\nS: 1~");
    data.write_all(&[b'x'; 100_000]).expect("the server takes the data");
    let line = harness::eventually("all of it has come", || {
        Some(only(&server, &["--service", "ftp"])).filter(|line| line["transfer"]["octets"] == 100_000)
    });
    assert_eq!((&line["transfer"]["direction"], &line["transfer"]["path"]), (&"upload".into(), &"/long".into()));
    assert!(line["transfer"]["octets_per_second"].as_u64() > Some(0) && line["idle_secs"].is_null(), "{line}");
    assert_eq!(line["client"], "sailor 1.0");
    let table = text(&server.command(&["sessions"]));
    assert!(table.contains("upload /long, 97.7 KiB, ") && table.contains("sailor 1.0"), "{table}");

    end(&server, &["--account", BOB, "--service", "ftp"], "1 session is ended");
    control.play("S: 426 ~\nS: 421 The administrator ~");
    control.expect_close();
    assert!(on_disk(&server, "long").is_none(), "it is not whole");
    super::ftp::bob(&server).play("C: SIZE long\nS: 213 100000");
}

#[test]
fn a_download_whose_reader_stands_still_is_ended() {
    let server = dev();
    let mut control = super::ftp::bob(&server);
    assert!(super::ftp::put(&mut control, "STOR film", &vec![b'x'; LARGE_OCTETS]).starts_with("226"));
    let data = connect(by_pasv(&mut control));
    control.play("C: RETR film\nS: 125 ~");
    let line = harness::eventually("some of it has gone", || {
        Some(only(&server, &[])).filter(|line| line["transfer"]["octets"].as_u64() > Some(0))
    });
    assert_eq!((&line["transfer"]["direction"], &line["transfer"]["path"]), (&"download".into(), &"/film".into()));
    end(&server, &[line["session"].as_str().expect("an id")], "1 session is ended");
    control.play("S: 426 ~\nS: 421 The administrator ~");
    control.expect_close();
    drop((data, control));
    is_empty_soon(&server, &[]);
}

#[test]
fn mail_whose_sender_is_ended_in_the_middle_does_not_arrive() {
    let server = dev();
    let mut smtp = server.speak("smtp");
    smtp.play(
        "S: 220 ~\nC: HELO client.test\nS: 250 ~\nC: MAIL FROM:<a@far.example>\nS: 250 ~\nC: RCPT TO:<bob@hamburger.test>\nS: 250 ~
         C: DATA\nS: 354 ~\nC: Subject: half",
    );
    end(&server, &["--service", "smtp"], "1 session is ended");
    smtp.expect("421 4.3.2 The administrator ~");
    smtp.expect_close();
    drop(smtp);
    is_empty_soon(&server, &[]);
    assert!(deliver(&server, "a@far.example", BOB, b"Subject: whole\r\n\r\n").starts_with("250 "));
    log_in(&server, BOB, "hungry").play("C: STAT\nS: +OK 1 ~");
}

#[test]
fn the_log_names_who_was_ended_and_what_became_of_it() {
    let folder = tempfile::tempdir().expect("a directory");
    let (log, transfers) = (folder.path().join("log"), folder.path().join("xferlog"));
    let configuration = format!(
        "host_name = 'mail.hamburger.test'\ndata_dir = '{}'\n[ftp]\ntransfer_log = '{}'\n[listen]\n\
         smtp = []\nsubmission = []\nsubmissions = []\npop3 = []\npop3s = []\nimap = []\nimaps = []\nftps = []\nftp = ['127.0.0.1:0']\n",
        folder.path().join("data").display(),
        transfers.display(),
    );
    let mut server = Server::serve_logging_in(BINARY, folder.path(), &configuration, &log);
    for words in [&["domain", "add", "hamburger.test"][..], &["account", "add", BOB]] {
        let added = harness::command_on(BINARY, &server.data_dir(), words, "very-hungry");
        assert!(added.status.success(), "{}", text(&added));
    }
    let mut control = server.speak("ftp");
    control.play(&format!("S: 220 ~\nC: USER {BOB}\nS: 331 ~\nC: PASS very-hungry\nS: 230 ~\nC: TYPE I\nS: 200 ~"));
    let mut data = connect(passive(&mut control));
    control.play("C: STOR long\nS: 1~");
    data.write_all(b"long").expect("the server takes the data");
    harness::until("it has come", || only(&server, &[])["transfer"]["octets"] == 4);
    let session = only(&server, &[])["session"].as_str().expect("an id").to_owned();
    end(&server, &[&session], "1 session is ended");
    control.play("S: 426 ~\nS: 421 ~");
    server.stop();
    let log = std::fs::read_to_string(log).expect("a log");
    let line = |words: &str| log.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{words}: {log}"));
    assert!(line("ended by the administrator").contains(&session), "{log}");
    assert!(line("upload interrupted").contains("the administrator ended the session"), "{log}");
    let transfers = std::fs::read_to_string(transfers).expect("a transfer log");
    assert!(transfers.trim_end().ends_with(" i"), "{transfers}");
}

//! The two dialogues of the textbook, over real sockets.

use super::{dev, log_in, retrieve};

/// Alice writes to Bob: no header section at all, a blank behind the colon.
fn alice_writes(server: &harness::Server, text: &[u8]) {
    let mut smtp = server.speak("smtp");
    smtp.play(
        "S: 220 ~
         C: HELO crepes.test
         S: 250 ~
         C: MAIL FROM: <alice@crepes.test>
         S: 250 ~
         C: RCPT TO: <bob@hamburger.test>
         S: 250 ~
         C: DATA
         S: 354 ~",
    );
    smtp.send_text(text);
    smtp.play("S: 250 ~\nC: QUIT\nS: 221 ~");
    smtp.expect_close();
}

#[test]
fn alice_s_mail_reaches_bob() {
    let server = dev();
    alice_writes(&server, b"Do you like ketchup?\r\nHow about pickles?\r\n");
    alice_writes(&server, b"Subject: again\r\n\r\nThey are green.\r\n");

    let mut pop3 = server.speak("pop3");
    pop3.play(
        "S: +OK ~
         C: user bob
         S: +OK~
         C: pass hungry
         S: +OK ~
         C: list
         S: +OK~
         S: 1 $one
         S: 2 $two
         S: .
         C: retr 1
         S: +OK~",
    );
    let message = String::from_utf8(pop3.text()).expect("text");
    assert!(message.starts_with("Return-Path: <alice@crepes.test>\r\n"), "{message}");
    assert!(message.contains("\r\nReceived: from crepes.test "), "{message}");
    assert!(
        message.ends_with("\r\n\r\nDo you like ketchup?\r\nHow about pickles?\r\n"),
        "our trace fields must not swallow the first line: {message}"
    );
    pop3.play("C: dele 1\nS: +OK~\nC: retr 2\nS: +OK~");
    assert!(pop3.text().ends_with(b"\r\nSubject: again\r\n\r\nThey are green.\r\n"));
    pop3.play("C: dele 2\nS: +OK~\nC: quit\nS: +OK~");
    pop3.expect_close();

    log_in(&server, "bob@hamburger.test", "hungry").play("C: STAT\nS: +OK 0 0");
}

#[test]
fn download_and_keep_leaves_the_mail_and_its_name() {
    let server = dev();
    alice_writes(&server, b"Subject: stay\r\n\r\nhere\r\n");
    let mut names = Vec::new();
    for _ in 0..2 {
        let mut pop3 = log_in(&server, "bob", "hungry");
        pop3.say("UIDL 1");
        names.push(pop3.expect("+OK 1 ~"));
        assert!(retrieve(&mut pop3, 1).ends_with(b"\r\n\r\nhere\r\n"));
        pop3.play("C: QUIT\nS: +OK~");
        pop3.expect_close();
    }
    assert_eq!(names[0], names[1]);
}

#[test]
fn a_connection_that_drops_deletes_nothing() {
    let server = dev();
    alice_writes(&server, b"Subject: stay\r\n\r\nhere\r\n");
    let mut pop3 = log_in(&server, "bob", "hungry");
    pop3.play("C: DELE 1\nS: +OK~\nC: STAT\nS: +OK 0 0");
    pop3.shut();
    pop3.expect_close();
    log_in(&server, "bob", "hungry").play("C: STAT\nS: +OK 1 ~");
}

#[test]
fn a_maildrop_is_one_session_s_at_a_time() {
    let server = dev();
    let mut first = log_in(&server, "bob", "hungry");
    let mut second = server.speak("pop3");
    second.play("S: +OK ~\nC: USER bob\nS: +OK~\nC: PASS hungry\nS: -ERR [IN-USE] ~");
    first.play("C: QUIT\nS: +OK~");
    first.expect_close();
    second.play("C: USER bob\nS: +OK~\nC: PASS hungry\nS: +OK~");
}

#[test]
fn mail_to_anybody_else_is_caught() {
    let server = dev();
    let answer = super::deliver(&server, "", "someone@far.example", b"Subject: far\r\n\r\naway\r\n");
    assert!(answer.starts_with("250 "), "{answer}");
    let mut pop3 = log_in(&server, "catch-all@dev.test", "anything");
    let message = String::from_utf8(retrieve(&mut pop3, 1)).expect("text");
    assert!(message.starts_with("Return-Path: <>\r\n"), "{message}");
    assert!(message.contains("\r\nDelivered-To: someone@far.example\r\n"), "{message}");
}

#[test]
fn what_was_accepted_survives_a_clean_stop() {
    let data = tempfile::tempdir().expect("a directory");
    let mut server = harness::Server::dev_in(super::BINARY, data.path(), &[]);
    alice_writes(&server, b"Subject: stay\r\n\r\nhere\r\n");
    assert!(server.stop().success());
    let server = harness::Server::dev_in(super::BINARY, data.path(), &[]);
    log_in(&server, "bob", "hungry").play("C: STAT\nS: +OK 1 ~");
}

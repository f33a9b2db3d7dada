//! What we take from other servers and from our own users, and what we do not.

use super::{deliver, dev, log_in, retrieve, without_trace};
use std::fmt::Write;

#[test]
fn every_recipient_of_one_mail_gets_it() {
    let server = dev();
    let mut smtp = server.speak("smtp");
    smtp.play(
        "S: 220 ~
         C: HELO client.test
         S: 250 ~
         C: MAIL FROM:<carol@far.example>
         S: 250 ~
         C: RCPT TO:<alice@crepes.test>
         S: 250 ~
         C: RCPT TO:<Bob+news@HAMBURGER.test>
         S: 250 ~
         C: DATA
         S: 354 ~
         C: Subject: both
         C:
         C: ..
         C: ...
         C: .
         S: 250 ~",
    );
    for (login, password) in [("alice", "pickles"), ("bob", "hungry")] {
        let message = retrieve(&mut log_in(&server, login, password), 1);
        assert_eq!(String::from_utf8_lossy(without_trace(&message)), "Subject: both\r\n\r\n.\r\n..\r\n");
    }
}

#[test]
fn a_bare_line_feed_smuggles_nothing() {
    let server = dev();
    for end in ["\n.\n", "\r.\r", "\n.\r\n", "\r\n.\n", "\r\n.\r"] {
        let mut smtp = server.speak("smtp");
        smtp.play("S: 220 ~\nC: EHLO client.test");
        smtp.reply().expect("an answer");
        smtp.play(
            "C: MAIL FROM:<a@far.example>\nS: 250 ~\nC: RCPT TO:<bob@hamburger.test>\nS: 250 ~\nC: DATA\nS: 354 ~",
        );
        let smuggled = format!(
            "Subject: one\r\n\r\ntext{end}MAIL FROM:<admin@far.example>\r\nRCPT TO:<bob@hamburger.test>\r\nDATA\r\nSubject: two\r\n\r\nsmuggled\r\n.\r\n"
        );
        smtp.send(smuggled.as_bytes());
        smtp.expect("550 5.6.0 ~");
        smtp.play("C: QUIT\nS: 221 ~");
        smtp.expect_close();
    }
    log_in(&server, "bob", "hungry").play("C: STAT\nS: +OK 0 0");
}

#[test]
fn only_users_submit_and_only_as_themselves() {
    let server = dev();
    let mut smtp = server.speak("submission");
    smtp.play("S: 220 ~\nC: EHLO client.test");
    let (_, keywords) = smtp.reply().expect("keywords");
    assert!(keywords.contains("AUTH ") && keywords.contains("SCRAM-SHA-256"), "{keywords}");
    smtp.play(
        "C: MAIL FROM:<alice@crepes.test>
         S: 530 5.7.0 ~
         C: AUTH PLAIN AGFsaWNlAHdyb25n
         S: 535 5.7.8 ~
         C: AUTH PLAIN AGFsaWNlAHBpY2tsZXM=
         S: 235 2.7.0 ~
         C: MAIL FROM:<bob@hamburger.test>
         S: 5~
         C: MAIL FROM:<alice@crepes.test>
         S: 250 ~
         C: RCPT TO:<bob@hamburger.test>
         S: 250 ~
         C: DATA
         S: 354 ~
         C: From: Bob <bob@hamburger.test>
         C:
         C: It is not me.
         C: .
         S: 553 5.7.1 ~
         C: MAIL FROM:<alice@crepes.test>
         S: 250 ~
         C: RCPT TO:<bob@hamburger.test>
         S: 250 ~
         C: DATA
         S: 354 ~
         C: From: Alice <alice@crepes.test>
         C: Subject: no date
         C:
         C: It is me.
         C: .
         S: 250 2.0.0 ~",
    );
    let message = String::from_utf8(retrieve(&mut log_in(&server, "bob", "hungry"), 1)).expect("text");
    assert!(message.contains("\r\nDate: ") && message.contains("\r\nMessage-ID: <"), "{message}");
    assert!(message.contains("with ESMTPA"), "{message}");
}

#[test]
fn a_message_over_the_limit_is_refused_before_it_comes_and_after() {
    let server = dev();
    let mut smtp = server.speak("smtp");
    smtp.play("S: 220 ~\nC: EHLO client.test");
    let (_, keywords) = smtp.reply().expect("keywords");
    let size: usize =
        keywords.lines().find_map(|line| line.strip_prefix("SIZE ")).expect("SIZE").parse().expect("a number");
    smtp.play(&format!("C: MAIL FROM:<a@far.example> SIZE={}\nS: 552 5.3.4 ~", size + 1));
    smtp.play("C: MAIL FROM:<a@far.example>\nS: 250 ~\nC: RCPT TO:<bob@hamburger.test>\nS: 250 ~\nC: DATA\nS: 354 ~");
    let stretch = "0123456789abcdef".repeat(60) + "\r\n";
    let piece = stretch.repeat(1000);
    for _ in 0..=size / piece.len() {
        smtp.send(piece.as_bytes());
    }
    smtp.say(".");
    smtp.expect("552 5.3.4 ~");
    smtp.play("C: NOOP\nS: 250 ~");
}

#[test]
fn more_recipients_than_the_limit_wait_for_the_next_mail() {
    let server = dev();
    let mut smtp = server.speak("smtp");
    smtp.play("S: 220 ~\nC: HELO client.test\nS: 250 ~\nC: MAIL FROM:<a@far.example>\nS: 250 ~");
    let mut burst = String::new();
    for number in 0..1100 {
        let _ = write!(burst, "RCPT TO:<user{number}@far.example>\r\n");
    }
    smtp.send(burst.as_bytes());
    let codes: Vec<u16> = (0..1100).map(|_| smtp.reply().expect("a reply").0).collect();
    assert_eq!(codes.iter().filter(|code| **code == 250).count(), 1000);
    assert!(codes[1000..].iter().all(|code| *code == 452));
}

#[test]
fn a_mail_that_runs_in_circles_is_refused() {
    let server = dev();
    let text = "Received: from a.test by b.test; Mon, 23 Nov 2026 10:00:00 +0000\r\n".repeat(101) + "\r\nround\r\n";
    let answer = deliver(&server, "a@far.example", "bob@hamburger.test", text.as_bytes());
    assert!(answer.starts_with("554 5.4.6 "), "{answer}");
}

#[test]
fn pipelined_commands_are_answered_in_their_order() {
    let server = dev();
    let mut smtp = server.speak("smtp");
    smtp.expect("220 ~");
    smtp.send(
        b"EHLO client.test\r\nMAIL FROM:<a@far.example>\r\nRCPT TO:<bob@hamburger.test>\r\nVRFY bob\r\nRSET\r\nNOOP\r\nQUIT\r\n",
    );
    let codes: Vec<u16> = std::iter::from_fn(|| smtp.reply()).map(|(code, _)| code).collect();
    assert_eq!(codes, [250, 250, 250, 252, 250, 250, 221]);
}

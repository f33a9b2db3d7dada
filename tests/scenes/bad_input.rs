//! Bad input costs a clear error and nothing else: the server goes on for everybody.

use super::{dev, log_in};

#[test]
fn noise_on_every_port_ends_in_an_answer_or_a_close() {
    let server = dev();
    let mut noise = Vec::new();
    let mut state = 0x2545_f491_u32;
    for _ in 0..200_000 {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        noise.push(state as u8);
    }
    let tls_hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 500]].concat();
    let inputs: [&[u8]; 5] =
        [&noise, &tls_hello, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", &[b'A'; 65_536], b"\r\n\r\n\0\0\r\n\n\n"];
    for service in ["smtp", "submission", "submissions", "pop3", "pop3s", "imap", "imaps", "ftp", "ftps"] {
        for input in inputs {
            let mut speaker = server.speak(service);
            // It may hang up while we still talk: that is an answer, too.
            let _ = speaker.try_send(input);
            speaker.shut();
            speaker.rest();
        }
    }
    log_in(&server, "bob", "hungry").play("C: STAT\nS: +OK 0 0");
}

#[test]
fn a_long_line_is_an_error_and_the_next_one_counts() {
    let server = dev();
    let mut smtp = server.speak("smtp");
    smtp.expect("220 ~");
    smtp.send(&[&[b'A'; 65_536][..], b"\r\nHELO client.test\r\n"].concat());
    smtp.play("S: 500 5.5.2 ~\nS: 250 ~");
    let mut pop3 = server.speak("pop3");
    pop3.expect("+OK ~");
    pop3.send(&[&[b'A'; 65_536][..], b"\r\nCAPA\r\n"].concat());
    pop3.play("S: -ERR ~\nS: +OK ~");
}

#[test]
fn half_a_command_and_then_silence_costs_one_connection() {
    let server = dev();
    let mut silent: Vec<_> = (0..50).map(|_| server.speak("smtp")).collect();
    for speaker in &mut silent {
        speaker.expect("220 ~");
        speaker.send(b"MAIL FR");
    }
    log_in(&server, "bob", "hungry").play("C: NOOP\nS: +OK~");
    for speaker in &mut silent {
        speaker.send(b"OM:<a@far.example>\r\n");
        speaker.expect("503 ~");
    }
}

#[test]
fn what_is_said_before_tls_is_not_heard_after() {
    let server = dev();
    let mut smtp = server.speak("smtp");
    smtp.play("S: 220 ~\nC: EHLO client.test");
    smtp.reply().expect("keywords");
    smtp.send(b"STARTTLS\r\nMAIL FROM:<injected@far.example>\r\nRCPT TO:<bob@hamburger.test>\r\n");
    smtp.expect("220 ~");
    // No handshake follows: the server must not answer the injected lines, only give up.
    smtp.send(b"NOOP\r\n");
    let rest = smtp.rest();
    assert!(!rest.starts_with(b"250"), "{:?}", String::from_utf8_lossy(&rest));
}

#[test]
fn handshakes_that_fail_cost_nothing_that_lasts() {
    let mut server = dev();
    // More of them than any machine has processors to spare.
    for _ in 0..64 {
        let mut smtp = server.speak("smtp");
        smtp.play("S: 220 ~\nC: EHLO client.test");
        smtp.reply().expect("keywords");
        smtp.play("C: STARTTLS\nS: 220 ~");
        smtp.send(b"this is no handshake\r\n");
        smtp.rest();
        let mut pop3 = server.speak("pop3");
        pop3.play("S: +OK ~\nC: STLS\nS: +OK ~");
        pop3.send(b"nor is this\r\n");
        pop3.rest();
    }
    log_in(&server, "bob", "hungry").play("C: STAT\nS: +OK 0 0\nC: QUIT\nS: +OK~");
    assert!(server.stop().success(), "nobody is left who would not go");
}

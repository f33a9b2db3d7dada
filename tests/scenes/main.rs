//! Scenes: the whole binary, real sockets, several speakers.
//!
//! Not here: one protocol's rules (its transcripts), killing the process (torture), foreign programs (interop).

mod admin;
mod archives;
mod bad_input;
mod events;
mod ftp;
mod ftp_client;
mod ftp_haste;
mod ftp_many;
mod ftp_misbehaving;
mod ftp_modes;
mod ftp_served;
mod ftp_shell;
mod imap;
mod imap_sessions;
mod imap_sharing;
mod imap_urls;
mod privacy;
mod receiving;
mod relaying;
mod sessions;
mod spaces;
mod textbook;
mod two_boats;

/// The binary under test.
const BINARY: &str = env!("CARGO_BIN_EXE_packetboat");

/// A `dev` server of this test's own.
fn dev() -> harness::Server {
    harness::Server::dev(BINARY)
}

/// Sends one mail through port 25 and says what was answered to its final dot.
fn deliver(server: &harness::Server, sender: &str, recipient: &str, text: &[u8]) -> String {
    let mut smtp = server.speak("smtp");
    smtp.play(&format!(
        "S: 220 ~\nC: HELO client.test\nS: 250 ~\nC: MAIL FROM:<{sender}>\nS: 250 ~\nC: RCPT TO:<{recipient}>\nS: 250 ~\nC: DATA\nS: 354 ~"
    ));
    smtp.send_text(text);
    let answer = smtp.expect("~");
    smtp.play("C: QUIT\nS: 221 ~");
    answer
}

/// Logs in by POP3.
fn log_in(server: &harness::Server, login: &str, password: &str) -> harness::Speaker {
    let mut pop3 = server.speak("pop3");
    pop3.play(&format!("S: +OK ~\nC: USER {login}\nS: +OK~\nC: PASS {password}\nS: +OK~"));
    pop3
}

/// A login as AUTH PLAIN says it.
fn plain(login: &str, password: &str) -> String {
    let response = message::mime::transfer::encode_base64(format!("\0{login}\0{password}").as_bytes());
    String::from_utf8(response).expect("ASCII").trim_end().to_string()
}

/// Fetches one message.
fn retrieve(pop3: &mut harness::Speaker, number: usize) -> Vec<u8> {
    pop3.say(&format!("RETR {number}"));
    pop3.expect("+OK~");
    pop3.text()
}

/// What stands behind our trace fields: everything after the line that begins with `Received:` and its folds.
fn without_trace(message: &[u8]) -> &[u8] {
    let mut rest = message;
    loop {
        let line_end = rest.iter().position(|octet| *octet == b'\n').expect("a line") + 1;
        let ours = [&b"Return-Path:"[..], b"Delivered-To:", b"Received:", b" ", b"\t"]
            .iter()
            .any(|start| rest.starts_with(start));
        if !ours {
            return rest;
        }
        rest = &rest[line_end..];
    }
}

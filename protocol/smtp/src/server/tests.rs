//! Replays the server's transcripts, and shows that pieces do not matter where a transcript cannot.

use super::*;
use crate::reply::{Heard, Replies};
use line::Flaw;
use proptest::strategy::Strategy;
use sasl::server::{Answer as LoginAnswer, Ask as LoginAsk, Denied, Proof};
use sasl::{Mechanism, ScramKeys};
use std::num::NonZeroU32;
use std::time::Duration;
use transcript::{Given, Side, Stage};

struct Port;

impl Stage for Port {
    type Session = Server;
    const SIDE: Side = Side::Server;

    fn open(given: &Given, now: Instant) -> Server {
        Server::new(Arc::new(settings(given)), &[7; 32], now)
    }

    fn question(ask: &Ask) -> String {
        match ask {
            Ask::Sender { path, params, .. } => format!("sender {path}{params}"),
            Ask::Recipient { path, params } => format!("recipient {path}{params}"),
            Ask::Begin(envelope) => {
                let login = envelope.by.login.as_ref().map_or("-", |granted| &granted.account);
                let facts = (envelope.protocol(), &envelope.by.hello, envelope.recipients);
                format!("begin {} from {} login {login} recipients {}", facts.0, facts.1, facts.2)
            }
            Ask::Commit { octets } => format!("commit {octets}"),
            Ask::Abandon(Fault::TooLarge) => "abandon too large".into(),
            Ask::Abandon(Fault::Flaw(Flaw::BareLineEnd)) => "abandon bare line end".into(),
            Ask::Abandon(Fault::Flaw(Flaw::Nul)) => "abandon nul".into(),
            Ask::Abandon(Fault::Flaw(Flaw::LongLine)) => "abandon long line".into(),
            Ask::Login(LoginAsk::Keys { login }) => format!("keys {login}"),
            Ask::Login(LoginAsk::Login { login, acting_for, proof }) => {
                let proof = match proof {
                    Proof::Password(password) => String::from_utf8_lossy(password.reveal()).into_owned(),
                    Proof::Scram { proved } => format!("proved={}", proved.is_some()),
                    Proof::Certificate => "certified".into(),
                };
                let acting_for = acting_for.as_ref().map(|name| format!(" for {name}")).unwrap_or_default();
                format!("login {login} {proof}{acting_for}")
            }
        }
    }

    fn answer(text: &str) -> Result<Answer, String> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let denied = |denied| Ok(Answer::Login(LoginAnswer::Login(Err(denied))));
        match (word, rest) {
            ("yes", _) => Ok(Answer::Yes),
            ("keys", password) => {
                let keys = ScramKeys::derive(password.as_bytes(), b"salt", NonZeroU32::new(4096).expect("not zero"));
                Ok(Answer::Login(LoginAnswer::Keys(Ok(keys))))
            }
            ("login", account) => Ok(Answer::Login(LoginAnswer::Login(Ok(account.into())))),
            ("denied", "credentials") => denied(Denied::Credentials),
            ("denied", "throttled") => denied(Denied::Throttled),
            ("denied", "temporary") => denied(Denied::Temporary),
            ("denied", why) => denied(Denied::Policy(why.into())),
            _ => reply(text).map(Answer::Reply).ok_or(format!("no answer is `{text}`")),
        }
    }
}

fn reply(text: &str) -> Option<Reply> {
    match Replies::new().hear(format!("{text}\r\n").as_bytes()).1 {
        Heard::Reply(reply) => Some(reply),
        _ => None,
    }
}

fn settings(given: &Given) -> Settings {
    let number = |key: &str, usual: u64| given.number(key).unwrap_or(usual);
    let count = |key: &str, usual: u32| u32::try_from(number(key, usual.into())).expect("a small number");
    let usual = Settings::new("hamburger.edu");
    Settings {
        purpose: if given.is("submission") { Purpose::Submission } else { Purpose::Relay },
        tls: match given.setting("tls") {
            Some("offered") => Tls::Offered,
            Some("demanded") => Tls::Demanded,
            _ => Tls::Absent,
        },
        mechanisms: given.setting("auth").map(mechanisms).unwrap_or_default(),
        clear_login: given.is("clear_login"),
        dsn: given.is("dsn"),
        size_max_bytes: number("size", usual.size_max_bytes),
        waste_max_bytes: number("waste", usual.waste_max_bytes),
        line_max_bytes: count("line", 1000) as usize,
        recipients_max: count("recipients", 100) as usize,
        errors_max: count("errors", usual.errors_max),
        refusals_max: count("refusals", usual.refusals_max),
        commands_max: count("commands", usual.commands_max),
        login_failures_max: count("login_failures", usual.login_failures_max),
        ..usual
    }
}

fn mechanisms(names: &str) -> Vec<Mechanism> {
    names.split(',').map(|name| Mechanism::parse(name.as_bytes()).expect("a mechanism")).collect()
}

#[test]
fn transcripts() {
    transcript::replay_folder::<Port>(concat!(env!("CARGO_MANIFEST_DIR"), "/transcripts/server"));
}

/// A client that says `input` in pieces to a house that says yes to all; what it hears, and what was committed.
fn spoken(settings: Settings, input: &[u8], size: usize) -> (String, Vec<Vec<u8>>) {
    let now = Instant::now();
    let mut server = Server::new(Arc::new(settings), &[7; 32], now);
    let (mut held, mut pieces) = (Vec::new(), input.chunks(size));
    let (mut said, mut kept, mut committed) = (String::new(), Vec::new(), Vec::new());
    loop {
        let mut out = Vec::new();
        match server.next(&mut out) {
            Step::Send => said += &String::from_utf8(out).expect("ASCII"),
            Step::Keep => kept.extend(out),
            Step::Ask(ask) => {
                match ask {
                    Ask::Begin(_) | Ask::Abandon(_) => kept.clear(),
                    Ask::Commit { octets } => {
                        assert_eq!(octets, kept.len() as u64);
                        committed.push(std::mem::take(&mut kept));
                    }
                    _ => {}
                }
                server.answer(Answer::Yes, now);
            }
            Step::Wait { .. } => {
                let taken = server.receive(&held, now);
                held.drain(..taken);
                if taken == 0 {
                    match pieces.next() {
                        Some(piece) => held.extend_from_slice(piece),
                        None => return (said, committed),
                    }
                }
            }
            Step::Secure => server.secured(Secured::default(), now),
            Step::Clear | Step::Deflate => panic!("TLS is not ended here, and nothing compressed"),
            Step::Close => return (said, committed),
        }
    }
}

fn small() -> Settings {
    Settings { size_max_bytes: 60, line_max_bytes: 30, waste_max_bytes: 1000, ..Settings::new("hamburger.edu") }
}

#[test]
fn nothing_but_crlf_dot_crlf_ends_a_message() {
    let ends = ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\n.\r", "\r\n\x00.\r\n", "\r\n\r.\r\n"];
    for end in ends {
        let smuggled = "MAIL FROM:<eve@evil.test>\r\nRCPT TO:<bob@hamburger.edu>\r\nDATA\r\nboo\r\n.\r\n";
        let letter = format!("EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<bob@hamburger.edu>\r\nDATA\r\nhi{end}{smuggled}");
        for size in [1, 2, 3, 1000] {
            let (said, committed) = spoken(Settings::new("hamburger.edu"), letter.as_bytes(), size);
            let after_354 = said.split_once("\r\n354 ").expect("DATA was accepted").1;
            assert!(committed.is_empty() && after_354.lines().count() == 2, "{end:?} {said}");
            assert!(after_354.contains("\r\n550 5.6.0 "), "{end:?} {said}");
        }
    }
}

proptest::proptest! {
    /// Whatever is sent, in whatever pieces: the same is answered and the same is committed, and nothing is committed
    /// that has a flaw or is too large.
    #[test]
    fn pieces_do_not_matter(
        words in proptest::collection::vec(proptest::sample::select(vec![
            "\r\n", "\r\n.\r\n", ".", "\n", "\r", "\0", "a", "abcdefghijklmnopqrstuvwxyz", "RSET\r\n", "..",
            "EHLO x\r\n", "MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n", "QUIT\r\n", "NOOP\r\n",
        ]), 0..30),
        size in 1usize..40,
    ) {
        let input = format!("EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n{}", words.concat());
        let whole = spoken(small(), input.as_bytes(), 1_000_000);
        proptest::prop_assert_eq!(&spoken(small(), input.as_bytes(), size), &whole);
        for message in &whole.1 {
            proptest::prop_assert!(message.len() <= 60 && !message.contains(&0));
            let text = String::from_utf8_lossy(message).replace("\r\n", "");
            proptest::prop_assert!(!text.contains(['\r', '\n']));
        }
    }

    /// Noise costs a bounded answer, the same in whatever pieces it comes.
    #[test]
    fn noise_is_answered_and_ended(
        words in proptest::collection::vec(
            proptest::prop_oneof![
                proptest::collection::vec(proptest::num::u8::ANY, 0..900),
                proptest::sample::select(vec!["\r\n", "\n", "\x16", "AUTH ", "EHLO x\r\n"])
                    .prop_map(|word| word.as_bytes().to_vec()),
            ],
            0..9,
        ),
        size in 1usize..500,
    ) {
        let noise = words.concat();
        let (said, _) = spoken(Settings::new("hamburger.edu"), &noise, size);
        proptest::prop_assert!(said.lines().count() <= 100);
        proptest::prop_assert_eq!(said, spoken(Settings::new("hamburger.edu"), &noise, 1_000_000).0);
    }
}

#[test]
fn a_client_that_trickles_is_cut_off() {
    let mut now = Instant::now();
    let mut server = Server::new(Arc::new(Settings::new("hamburger.edu")), &[7; 32], now);
    let mut out = Vec::new();
    let mut held = Vec::new();
    assert_eq!(server.next(&mut out), Step::Send);
    let Step::Wait { until } = server.next(&mut Vec::new()) else { panic!("it waits") };
    for _ in 0..10 {
        now += Duration::from_secs(20);
        held.push(b'N');
        assert_eq!(server.receive(&held, now), 0);
        assert_eq!(server.next(&mut Vec::new()), Step::Wait { until }, "half a line buys no time");
    }
}

#[test]
fn who_speaks_before_the_greeting_is_sent_away() {
    let now = Instant::now();
    let mut server = Server::new(Arc::new(Settings::new("hamburger.edu")), &[7; 32], now);
    let mut out = Vec::new();
    assert_eq!(server.receive(b"EHLO crepes.fr\r\n", now), 16);
    assert_eq!(server.next(&mut out), Step::Send);
    assert!(out.starts_with(b"554 5.5.1 "));
    assert_eq!(server.next(&mut Vec::new()), Step::Close);
}

#[test]
fn a_hundred_thousand_recipients_are_answered_one_by_one() {
    let start = "EHLO x\r\nMAIL FROM:<a@b.c>\r\n";
    let input = start.to_string() + &"RCPT TO:<bob@hamburger.edu>\r\n".repeat(100_000) + "DATA\r\nhi\r\n.\r\n";
    let (said, committed) = spoken(Settings::new("hamburger.edu"), input.as_bytes(), 8000);
    assert_eq!(said.matches("250 2.1.5 ").count(), 1000);
    assert_eq!(said.matches("452 4.5.3 ").count(), 99_000);
    assert_eq!(committed, [b"hi\r\n"]);
}

#[test]
fn a_gigabyte_is_refused_and_cut_off() {
    let now = Instant::now();
    let mut server = Server::new(Arc::new(Settings::new("hamburger.edu")), &[7; 32], now);
    let mut said = String::new();
    let line = ["x".repeat(998), "\r\n".into()].concat();
    let content = line.repeat(60).into_bytes();
    let hello = b"HELO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<bob@hamburger.edu>\r\nDATA\r\n";
    let mut held = hello.to_vec();
    let (mut kept, mut offered) = (0, 0);
    loop {
        let mut out = Vec::new();
        match server.next(&mut out) {
            Step::Send => said += &String::from_utf8(out).expect("ASCII"),
            Step::Keep => kept += out.len(),
            Step::Ask(_) => server.answer(Answer::Yes, now),
            Step::Wait { .. } if held.is_empty() && offered < 1 << 30 => {
                held.extend_from_slice(&content);
                offered += content.len();
            }
            Step::Wait { .. } => {
                let taken = server.receive(&held, now);
                held.drain(..taken);
            }
            Step::Close => break,
            Step::Secure | Step::Clear | Step::Deflate => panic!("there is no TLS here"),
        }
    }
    let usual = Settings::new("hamburger.edu");
    assert!(kept as u64 <= usual.size_max_bytes);
    assert!(offered as u64 <= usual.size_max_bytes + usual.waste_max_bytes + 100_000);
    assert!(said.ends_with("552 5.3.4 Message far too large; goodbye\r\n"));
}

//! SMTP: commands, replies and both sides of the dialogue.

use crate::dialogue::{Event, check, choice, mood};
use crate::line::read_and_written;
use crate::sasl;
use ::sasl::Mechanism;
use ::smtp::client::{self, Client};
use ::smtp::reply::{Heard, Replies};
use ::smtp::server::{Answer, Ask, Purpose, Server, Settings, Tls};
use ::smtp::{Command, EnhancedCode, ForwardPath, HelloName, RcptParams, Reply, ReversePath};
use std::sync::Arc;
use std::time::Instant;

/// What is read as a command is written so that it is read the same, in one line.
pub fn command(input: &[u8]) {
    read_and_written(input, |line| Command::parse(line).ok(), Command::write);
}

/// What is heard as a reply is said as one with the same code, and once said it is heard and said the same for ever; a
/// reply made of anything stays one reply.
pub fn reply(input: &[u8]) {
    for reply in heard(input) {
        // The first time a text may lose what is not ASCII, and an enhanced code may come to light in it.
        let once = heard(&said(&reply));
        assert_eq!(once.iter().map(Reply::code).collect::<Vec<_>>(), [reply.code()], "{reply}");
        assert_eq!(heard(&said(&once[0])), once, "{reply}");
    }
    if let Ok(text) = std::str::from_utf8(input)
        && text.len() <= 4096
        && text.split('\n').count() <= 100
    {
        // Nobody makes a reply of more lines than its hearers take.
        let code = 200 + (mood(input) % 400) as u16;
        let enhanced = EnhancedCode::parse(&format!("{}.1.5", code / 100));
        let wire = said(&Reply::new(code, enhanced, text));
        assert!(wire.is_ascii() && wire.split(|octet| *octet == b'\n').all(|line| line.len() <= 512));
        let again = heard(&wire);
        assert_eq!((again.len(), again[0].code()), (1, code), "{:?}", String::from_utf8_lossy(&wire));
    }
}

fn said(reply: &Reply) -> Vec<u8> {
    let mut wire = Vec::new();
    reply.write(&mut wire);
    wire
}

/// The replies up to the first octets that are none.
fn heard(mut input: &[u8]) -> Vec<Reply> {
    let (mut replies, mut heard) = (Replies::new(), Vec::new());
    loop {
        let (taken, what) = replies.hear(input);
        assert!(taken <= input.len());
        input = &input[taken..];
        match what {
            Heard::Reply(reply) => heard.push(reply),
            Heard::More => {}
            Heard::Partial | Heard::Nonsense => return heard,
        }
    }
}

/// The server, in several settings, with a house of moods.
pub fn server(input: &[u8]) {
    let mood = mood(input);
    let settings = Arc::new(settings(mood));
    let open = || Server::new(settings.clone(), &[3; 32], Instant::now());
    check(input, open, |ask, nth| answer(ask, mood, nth), without_abandoned);
}

fn settings(mood: u64) -> Settings {
    let (submission, tls) = (choice(mood, 1, 2) == 0, choice(mood, 2, 3));
    Settings {
        purpose: if submission { Purpose::Submission } else { Purpose::Relay },
        tls: match tls {
            0 => Tls::Absent,
            1 => Tls::Offered,
            _ if submission => Tls::Demanded,
            _ => Tls::Offered,
        },
        mechanisms: Mechanism::ALL.to_vec(),
        clear_login: true,
        dsn: choice(mood, 3, 2) == 0,
        // Small enough to be met.
        size_max_bytes: 2_000,
        line_max_bytes: 200,
        recipients_max: 3,
        ..Settings::new("hamburger.test")
    }
}

fn answer(ask: &Ask, mood: u64, nth: usize) -> Answer {
    match (ask, choice(mood, nth, 16)) {
        (Ask::Login(ask), _) => Answer::Login(sasl::answer(ask, mood, nth)),
        (_, 0) => Answer::Reply(Reply::new(451, EnhancedCode::parse("4.3.0"), "later\nor never")),
        (_, 1) => Answer::Reply(Reply::new(550, EnhancedCode::parse("5.1.1"), "no such thing")),
        (_, 2) => Answer::Reply(Reply::new(250, EnhancedCode::parse("2.0.0"), "with pleasure")),
        (_, 3) if nth > 10 => Answer::Reply(Reply::new(421, EnhancedCode::parse("4.3.2"), "enough")),
        _ => Answer::Yes,
    }
}

/// How much of a message was kept before a flaw was seen, and which of its flaws is told to the house first, depends on
/// the pieces; nobody looks at it. What the client is told does not.
fn without_abandoned(events: &mut Vec<Event>) {
    for event in events.iter_mut() {
        if let Event::Asked(ask) = event
            && ask.starts_with("Abandon")
        {
            *ask = "Abandon".to_owned();
        }
    }
    let is_committed = |next: Option<&Event>| matches!(next, Some(Event::Asked(ask)) if ask.starts_with("Commit"));
    let kept: Vec<bool> =
        (0..events.len()).map(|at| !matches!(events[at], Event::Kept(_)) || is_committed(events.get(at + 1))).collect();
    let mut kept = kept.into_iter();
    events.retain(|_| kept.next().unwrap_or(true));
}

/// The client, whatever the server says: each mail is reported once, with an outcome for each recipient.
pub fn client(input: &[u8]) {
    if sasl::challenges_much_work(input) {
        return;
    }
    let mood = mood(input);
    let name = HelloName::parse("packetboat.test").expect("a name");
    let settings = Arc::new(client::Settings {
        tls: [client::Tls::Never, client::Tls::IfOffered, client::Tls::Required][choice(mood, 1, 3) as usize],
        login: (choice(mood, 2, 3) == 0).then(sasl::credentials),
        clear_login: choice(mood, 3, 2) == 0,
        pipelining: choice(mood, 4, 2) == 0,
        recipients_max: 1 + choice(mood, 5, 2) as usize,
        ..client::Settings::new(name)
    });
    let open = || Client::new(settings.clone(), &[3; 32], Instant::now());
    check(input, open, |ask, nth| mail(ask, mood, nth), |_| {});
}

/// Its lines begin with dots, and it does not end its last one.
const CONTENT: &[u8] = b"Subject: x\r\n\r\n.dots\r\n..\r\n.\r\nno end";

/// Recipients of each mail; the second needs SMTPUTF8 now and then.
const RECIPIENTS: usize = 2;

fn mail(ask: &client::Ask, mood: u64, nth: usize) -> client::Answer {
    let chance = choice(mood, nth, 8);
    match ask {
        client::Ask::Next if chance == 0 => client::Answer::Done,
        client::Ask::Next => client::Answer::Mail(Box::new(client::Mail {
            sender: ReversePath::parse("<alice@crepes.test>").expect("a path").0,
            recipients: vec![recipient("<bob@hamburger.test>"), second(chance)],
            size: CONTENT.len() as u64,
            eight_bit: chance == 1,
            smtputf8: chance == 2,
            ret: None,
            envid: None,
        })),
        client::Ask::Content { .. } if chance == 0 => client::Answer::Unreadable,
        client::Ask::Content { offset } => {
            let rest = usize::try_from(*offset)
                .ok()
                .and_then(|offset| CONTENT.get(offset..))
                .expect("an offset in the content");
            let octets = rest[..rest.len().min(1 + 4 * chance as usize)].to_vec();
            client::Answer::Content { last: octets.len() == rest.len(), octets }
        }
        client::Ask::Report(outcomes) => {
            assert_eq!(outcomes.len(), RECIPIENTS, "an outcome for each recipient");
            client::Answer::Noted
        }
        client::Ask::Broken(_) => client::Answer::Noted,
    }
}

fn recipient(path: &str) -> client::Recipient {
    client::Recipient { path: ForwardPath::parse(path).expect("a path").0, params: RcptParams::default() }
}

fn second(chance: u64) -> client::Recipient {
    recipient(if chance == 2 { "<gr\u{fc}n@cr\u{ea}pes.test>" } else { "<\"odd one\"@[127.0.0.1]>" })
}

//! How transcripts write the questions and answers of the client.
//!
//! `in=yes` in `given:` is a client that has logged in at a server without features, `in=vsftpd` at one that answers in turn; `timeout=20` one with little patience.
//! `?: next admitted mlsd utf8 private`, `?: next said 250 … | 350 …`, `?: next transferred 226 …`, `?: dial 4000`, `?: listen 1`,
//! `?: transferred 226 … | 213 …`, `?: dial-ahead 4000`, `?: pump`, `?: let-go`, `?: ended …`; `!: say NOOP | SITE HELP`, `!: say-ahead NOOP`, `!: transfer ahead RETR a`, `!: transfer RETR a`, `!: transfer from=5 RETR a`,
//! `!: transfer ascii RETR a`, `!: quit`, `!: dialled`, `!: listening 127.0.0.1:4000`, `!: unreachable`, `!: ok`;
//! `N: whole`, `N: broken`, `N: stop`.
//!
//! Not here: the transcripts.

use ftp::address::Family;
use ftp::client::{
    Answer, Ask, Client, End, News, Order, Outcome, REPLY_LIMIT, Settings, Start, Tls, Transfer, Unsafe,
};
use ftp::client::{VERDICT_LIMIT, Way, Words};
use ftp::command::HostName;
use ftp::{Command, Reply};
use line::{Secret, Session, Step};
use std::time::{Duration, Instant};
use transcript::{Given, Side, Stage};

pub struct FtpClient;

impl Stage for FtpClient {
    type Session = Client;
    const SIDE: Side = Side::Client;

    fn open(given: &Given, now: Instant) -> Client {
        assert_eq!(given.stage, "ftp-client");
        let family = if given.setting("family") == Some("6") { Family::V6 } else { Family::V4 };
        let settings = Settings {
            user: given.setting("user").unwrap_or("bob").into(),
            password: Secret::new(given.setting("password").unwrap_or("hungry")),
            tls: match given.setting("tls") {
                None | Some("required") => Tls::Required,
                Some("if-offered") => Tls::IfOffered,
                Some("never") => Tls::Never,
                Some(other) => panic!("tls={other}"),
            },
            private: given.setting("private") != Some("no"),
            clear_login: given.is("clear_login"),
            host: given.setting("host").map(|host| HostName::Domain(host.into())),
            name: "packetboat".into(),
            pipelining: given.setting("pipelining") != Some("no"),
            data_next: given.is("data_next"),
            utf8: given.setting("utf8") != Some("no"),
            ways: if given.is("active") { Way::active(family) } else { Way::all(family) },
            reply_limit: limit(given, REPLY_LIMIT),
            verdict_limit: limit(given, VERDICT_LIMIT),
        };
        let settings = if given.setting("in").is_some() {
            Settings { tls: Tls::Never, clear_login: true, ..settings }
        } else {
            settings
        };
        let mut client = Client::new(settings, now);
        if let Some(server) = given.setting("in") {
            log_in(&mut client, server, now);
        }
        client
    }

    fn question(ask: &Ask) -> String {
        match ask {
            Ask::Next(outcome) => format!("next {}", outcome_text(outcome)),
            Ask::Dial { port, told: None } => format!("dial {port}"),
            Ask::Dial { port, told: Some(told) } => format!("dial {port} told {told}"),
            Ask::DialAhead { port, .. } => format!("dial-ahead {port}"),
            Ask::Listen(family) => format!("listen {}", family.number()),
            Ask::Pump => "pump".into(),
            Ask::LetGo => "let-go".into(),
            Ask::Ended(end) => format!("ended {}", end_text(end)),
        }
    }

    fn answer(text: &str) -> Result<Answer, String> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        Ok(match word {
            "ok" => Answer::Understood,
            "dialled" => Answer::Dialled,
            "unreachable" => Answer::Unreachable,
            "listening" => Answer::Listening(rest.parse().map_err(|_| format!("no address: {rest}"))?),
            "quit" => Answer::Order(Order::Quit),
            "say" => Answer::Order(Order::Say(rest.split(" | ").map(words).collect::<Result<_, _>>()?)),
            "say-ahead" => Answer::Order(Order::SayAhead(rest.split(" | ").map(words).collect::<Result<_, _>>()?)),
            "transfer" => Answer::Order(Order::Transfer(transfer(rest)?)),
            _ => return Err(format!("no such answer: {text}")),
        })
    }

    fn news(text: &str) -> Result<News, String> {
        Ok(match text {
            "whole" => News::Whole,
            "broken" => News::Broken,
            "stop" => News::Stop,
            _ => return Err(format!("no such news: {text}")),
        })
    }
}

/// `timeout=SECS`, or the usual one.
fn limit(given: &Given, usual: Duration) -> Duration {
    given.setting("timeout").map_or(usual, |secs| Duration::from_secs(secs.parse().expect("a number of seconds")))
}

/// Up to the first question, with a server that knows neither FEAT nor anything else.
fn log_in(client: &mut Client, server: &str, now: Instant) {
    let greeting = if server == "vsftpd" { "220 (vsFTPd 3.0.5)\r\n" } else { "220 ready\r\n" };
    for line in [greeting, "331 password\r\n", "230 welcome\r\n", "502 no FEAT\r\n", "200 type\r\n"] {
        let mut out = Vec::new();
        while !matches!(client.next(&mut out), Step::Wait { .. }) {}
        assert_eq!(client.receive(line.as_bytes(), now), line.len());
    }
}

fn words(line: &str) -> Result<Words, String> {
    match Command::parse(line.as_bytes()) {
        Ok(command) => Ok(Words::from(&command)),
        Err(_) => Words::parse(line.as_bytes()).ok_or(format!("no command: {line}")),
    }
}

fn transfer(text: &str) -> Result<Transfer, String> {
    let (mut start, mut ascii, mut ahead, mut rest) = (Start::Beginning, false, false, text);
    let mut behind = Vec::new();
    if let Some((first, others)) = rest.split_once(" | ") {
        behind = others.split(" | ").map(words).collect::<Result<_, _>>()?;
        rest = first;
    }
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("no number: {text}"));
    while let Some((word, behind)) = rest.split_once(' ') {
        match word.split_once('=') {
            Some(("from", octet)) => start = Start::At(number(octet)?),
            Some(("between", octets)) => {
                let (first, last) = octets.split_once('-').ok_or("between=FIRST-LAST")?;
                start = Start::Between(number(first)?, number(last)?);
            }
            _ if word == "ascii" => ascii = true,
            _ if word == "ahead" => ahead = true,
            _ => break,
        }
        rest = behind;
    }
    Ok(Transfer { words: words(rest)?, start, ascii, behind, ahead })
}

fn outcome_text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Admitted(welcome) => {
            let features = &welcome.features;
            let known = [
                (features.facts.is_some(), " mlsd"),
                (features.utf8, " utf8"),
                (features.rest, " rest"),
                (!features.hash.is_empty(), " hash"),
                (welcome.private, " private"),
                (welcome.in_turn, " in-turn"),
            ];
            let known = known.into_iter().filter(|(is, _)| *is).map(|(_, word)| word);
            format!("admitted{}", known.collect::<String>())
        }
        Outcome::Said(replies) => format!("said {}", joined(replies)),
        Outcome::Transferred(reply, behind) => format!("transferred {}", joined([reply].into_iter().chain(behind))),
        Outcome::Refused(reply) => format!("refused {reply}"),
        Outcome::NoRestart(reply) => format!("no-restart {reply}"),
        Outcome::NoWay(None) => "no-way".into(),
        Outcome::NoWay(Some(reply)) => format!("no-way {reply}"),
        Outcome::Broken => "broken".into(),
        Outcome::Stopped => "stopped".into(),
    }
}

fn joined<'a>(replies: impl IntoIterator<Item = &'a Reply>) -> String {
    replies.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ")
}

fn end_text(end: &End) -> String {
    match end {
        End::Quit => "quit".into(),
        End::Unwelcome(reply) => format!("unwelcome {reply}"),
        End::LoginRefused(reply) => format!("login-refused {reply}"),
        End::AccountWanted(reply) => format!("account-wanted {reply}"),
        End::Unsendable => "unsendable".into(),
        End::Unsafe(Unsafe::NoTls(reply)) => format!("unsafe no-tls {reply}"),
        End::Unsafe(Unsafe::ClearLogin) => "unsafe clear-login".into(),
        End::Unsafe(Unsafe::ClearData(reply)) => format!("unsafe clear-data {reply}"),
        End::Dismissed(reply) => format!("dismissed {reply}"),
        End::Garbled => "garbled".into(),
        End::Silent => "silent".into(),
        End::OutOfStep => "out-of-step".into(),
        End::Dropped => "dropped".into(),
        End::Leaving => "leaving".into(),
    }
}

//! How transcripts write the questions and answers of both sides.
//!
//! Server: `?: keys bob`, `?: login bob password=hungry`, `?: login bob proved=yes`, `?: maildrop 7`, `?: read 0 512`,
//! `?: remove 0 1`; `!: keys hungry`, `!: granted 7`, `!: denied credentials`, `!: maildrop 498 912` (sizes),
//! `!: octets abc\r\n`, `!: removed`, and the failures by their names.
//! Client: `?: next admitted`, `?: ended quit`; `!: stat`, `!: retrieve 1`, `!: understood`.
//!
//! Not here: the transcripts.

use pop3::client::{self, Client, Outcome, Stls};
use pop3::server::{self, Ask, Entry, Server, Settings, Unopened, Unread, Unremoved};
use sasl::client::Credentials;
use sasl::server::{Denied, Proof};
use sasl::{Mechanism, ScramKeys};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;
use transcript::{Given, Side, Stage};

/// The seed of all nonces here, so that transcripts of SCRAM can be written down.
const SEED: [u8; 32] = [7; 32];

pub struct ServerStage;

impl Stage for ServerStage {
    type Session = Server;
    const SIDE: Side = Side::Server;

    fn open(given: &Given, now: Instant) -> Server {
        assert_eq!(given.stage, "pop3-server");
        let mut settings = Settings::new("pop.hamburger.test");
        settings.clear_login = given.is("clear_login");
        settings.tls_available = given.setting("tls") != Some("no");
        settings.greeting = given.setting("greeting").map(str::to_owned);
        if let Some(names) = given.setting("mechanisms") {
            let names = names.split(',').filter(|name| !name.is_empty());
            settings.mechanisms = names.map(|name| Mechanism::parse(name.as_bytes()).expect("a mechanism")).collect();
        }
        Server::new(Arc::new(settings), &SEED, now)
    }

    fn question(ask: &Ask) -> String {
        match ask {
            Ask::Auth(ask) => login_question(ask),
            Ask::OpenMaildrop { account } => format!("maildrop {account}"),
            Ask::Read { message, offset } => format!("read {message} {offset}"),
            Ask::Remove(places) => {
                let places: Vec<String> = places.iter().map(usize::to_string).collect();
                format!("remove {}", places.join(" ")).trim_end().to_string()
            }
        }
    }

    fn answer(text: &str) -> Result<server::Answer, String> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        Ok(match word {
            "keys" => server::Answer::Auth(sasl::server::Answer::Keys(Ok(keys(rest)))),
            "granted" => server::Answer::Auth(sasl::server::Answer::Login(Ok(rest.into()))),
            "denied" => server::Answer::Auth(sasl::server::Answer::Login(Err(denied(rest)?))),
            "maildrop" => server::Answer::Maildrop(entries(rest)),
            "octets" => server::Answer::Octets(Ok(unescaped(rest))),
            "gone" => server::Answer::Octets(Err(Unread::Gone)),
            "unread" => server::Answer::Octets(Err(Unread::Temporary)),
            "removed" => server::Answer::Removed(Ok(())),
            "unremoved" => server::Answer::Removed(Err(Unremoved)),
            _ => return Err(format!("no such answer: {text}")),
        })
    }
}

fn login_question(ask: &sasl::server::Ask) -> String {
    match ask {
        sasl::server::Ask::Keys { login } => format!("keys {login}"),
        sasl::server::Ask::Login { login, acting_for, proof } => {
            let acting_for = acting_for.as_ref().map(|name| format!(" acting_for={name}")).unwrap_or_default();
            let proof = match proof {
                Proof::Password(password) => format!("password={}", String::from_utf8_lossy(password.reveal())),
                Proof::Scram { proved: Some(_) } => "proved=yes".into(),
                Proof::Scram { proved: None } => "proved=no".into(),
                Proof::Certificate => "certified".into(),
            };
            format!("login {login}{acting_for} {proof}")
        }
    }
}

fn keys(password: &str) -> ScramKeys {
    ScramKeys::derive(password.as_bytes(), b"a grain of salt", NonZeroU32::new(4096).expect("not zero"))
}

fn denied(text: &str) -> Result<Denied, String> {
    Ok(match text.split_once(' ').unwrap_or((text, "")) {
        ("credentials", _) => Denied::Credentials,
        ("throttled", _) => Denied::Throttled,
        ("temporary", _) => Denied::Temporary,
        ("policy", why) => Denied::Policy(why.into()),
        _ => return Err(format!("no such denial: {text}")),
    })
}

/// Sizes make entries, `uid1` and so on; words are failures.
fn entries(text: &str) -> Result<Vec<Entry>, Unopened> {
    match text.split_once(' ').unwrap_or((text, "")) {
        ("in-use", _) => return Err(Unopened::InUse),
        ("temporary", _) => return Err(Unopened::Temporary),
        ("permanent", _) => return Err(Unopened::Permanent),
        ("policy", why) => return Err(Unopened::Policy(why.into())),
        _ => {}
    }
    let entry = |(place, size): (usize, &str)| Entry {
        size: size.parse().unwrap_or_else(|_| panic!("{size} is not a size")),
        uidl: format!("uid{}", place + 1),
    };
    Ok(text.split_whitespace().enumerate().map(entry).collect())
}

/// `\r`, `\n`, `\\`, `\xHH`, and `\{text*1000}` for repetition.
fn unescaped(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('\\') {
        octets.extend_from_slice(before.as_bytes());
        let (octet, used) = match behind.as_bytes() {
            [b'r', ..] => (b"\r".to_vec(), 1),
            [b'n', ..] => (b"\n".to_vec(), 1),
            [b'\\', ..] => (b"\\".to_vec(), 1),
            [b'x', ..] => (vec![u8::from_str_radix(&behind[1..3], 16).expect("two digits")], 3),
            [b'{', ..] => {
                let end = behind.find('}').expect("a closing brace");
                let (what, count) = behind[1..end].rsplit_once('*').expect("text*count");
                (what.repeat(count.parse().expect("a count")).into_bytes(), end + 1)
            }
            _ => panic!("unknown escape: {behind}"),
        };
        octets.extend(octet);
        rest = &behind[used..];
    }
    octets.extend_from_slice(rest.as_bytes());
    octets
}

pub struct ClientStage;

impl Stage for ClientStage {
    type Session = Client;
    const SIDE: Side = Side::Client;

    fn open(given: &Given, now: Instant) -> Client {
        assert_eq!(given.stage, "pop3-client");
        let word = |key: &str, default: &str| given.setting(key).unwrap_or(default).to_owned();
        let credentials = Credentials {
            login: word("login", "bob"),
            password: line::Secret::new(word("password", "hungry")),
            acting_for: None,
        };
        let stls = match given.setting("stls") {
            None | Some("required") => Stls::Required,
            Some("if-offered") => Stls::IfOffered,
            Some("never") => Stls::Never,
            Some(other) => panic!("stls={other}"),
        };
        let settings = client::Settings { credentials, stls, clear_login: given.is("clear_login") };
        Client::new(settings, &SEED, now)
    }

    fn question(ask: &client::Ask) -> String {
        match ask {
            client::Ask::Next(outcome) => format!("next {}", outcome_text(outcome)),
            client::Ask::Ended(end) => format!("ended {end:?}"),
        }
    }

    fn answer(text: &str) -> Result<client::Answer, String> {
        let words: Vec<&str> = text.split(' ').collect();
        let number = |word: &str| word.parse().map_err(|_| format!("{word} is not a number"));
        let order = match words[..] {
            ["understood"] => return Ok(client::Answer::Understood),
            ["stat"] => client::Order::Stat,
            ["list"] => client::Order::List,
            ["uidl"] => client::Order::Uidl,
            ["retrieve", message] => client::Order::Retrieve(number(message)?),
            ["top", message, lines] => client::Order::Top(number(message)?, number(lines)?),
            ["delete", message] => client::Order::Delete(number(message)?),
            ["reset"] => client::Order::Reset,
            ["noop"] => client::Order::Noop,
            ["quit"] => client::Order::Quit,
            _ => return Err(format!("no such order: {text}")),
        };
        Ok(client::Answer::Order(order))
    }
}

fn outcome_text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Admitted => "admitted".into(),
        Outcome::Done => "done".into(),
        Outcome::Counted { messages, octets } => format!("counted {messages} {octets}"),
        Outcome::Sizes(lines) => format!("sizes{}", listed(lines)),
        Outcome::Uidls(lines) => format!("uidls{}", listed(lines)),
        Outcome::Refused(code, text) => format!("refused {code:?} {text}"),
    }
}

fn listed<T: std::fmt::Display>(lines: &[(u64, T)]) -> String {
    lines.iter().map(|(number, value)| format!(" {number}:{value}")).collect()
}

//! Our client talks with our server, in memory, in pieces of any size, over a line that may break anywhere.
//!
//! RFC 5321 §6.1: a mail is somebody's responsibility at every moment. What the client reports as delivered is there,
//! octet for octet, for each of its recipients once; what the server took is never reported as failed.

use line::{Secret, Secured, Session, Step};
use proptest::prelude::*;
use sasl::client::Credentials;
use sasl::server::{Answer as LoginAnswer, Ask as LoginAsk, Denied, Proof};
use sasl::{Mechanism, ScramKeys};
use smtp::client::{self, Client, Mail, Outcome, Recipient};
use smtp::params::RcptParams;
use smtp::path::{ForwardPath, Mailbox, ReversePath};
use smtp::reply::{EnhancedCode, Reply};
use smtp::server::{self, Purpose, Server};
use smtp::{HelloName, Notify};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

/// A mail as the test knows it.
#[derive(Debug, Clone)]
struct Letter {
    recipients: Vec<String>,
    content: Vec<u8>,
}

/// What the server's house has on disk.
#[derive(Debug, PartialEq, Eq)]
struct Kept {
    recipients: Vec<String>,
    content: Vec<u8>,
}

/// How the two are set.
#[derive(Debug, Clone)]
struct Scene {
    letters: Vec<Letter>,
    pipelining: bool,
    /// What the client puts into one transaction.
    recipients_sent: usize,
    /// What the server takes in one.
    recipients_taken: usize,
    login: Option<Mechanism>,
    /// Sizes of the pieces, over and over.
    pieces: Vec<usize>,
    /// After so many octets from the client the line breaks.
    breaks_after: Option<usize>,
}

/// What came of it.
#[derive(Debug)]
struct Played {
    kept: Vec<Kept>,
    reports: Vec<Vec<Outcome>>,
    broken: bool,
}

/// The server's house.
#[derive(Default)]
struct Inbound {
    recipients: Vec<String>,
    draft: Vec<u8>,
    kept: Vec<Kept>,
}

impl Inbound {
    fn answer(&mut self, ask: server::Ask) -> server::Answer {
        match ask {
            server::Ask::Sender { by, .. } => {
                assert_eq!(by.login.is_some(), by.tls.is_some(), "who came by TLS has logged in");
                self.recipients.clear();
                server::Answer::Yes
            }
            server::Ask::Recipient { path, params } => self.recipient(&path, &params),
            server::Ask::Begin(envelope) => {
                assert_eq!(envelope.recipients, self.recipients.len());
                self.draft.clear();
                server::Answer::Yes
            }
            server::Ask::Commit { octets } => {
                assert_eq!(octets, self.draft.len() as u64);
                let (recipients, content) = (std::mem::take(&mut self.recipients), std::mem::take(&mut self.draft));
                self.kept.push(Kept { recipients, content });
                server::Answer::Yes
            }
            server::Ask::Abandon(_) => server::Answer::Yes,
            server::Ask::Login(LoginAsk::Keys { .. }) => server::Answer::Login(LoginAnswer::Keys(Ok(keys()))),
            server::Ask::Login(LoginAsk::Login { login, proof, .. }) => {
                let right = match proof {
                    Proof::Password(password) => password.reveal() == b"pickles",
                    Proof::Scram { proved } => proved.is_some(),
                    Proof::Certificate => true,
                };
                let answer = if right && login == "alice" { Ok("alice".into()) } else { Err(Denied::Credentials) };
                server::Answer::Login(LoginAnswer::Login(answer))
            }
        }
    }

    fn recipient(&mut self, path: &ForwardPath, params: &RcptParams) -> server::Answer {
        let ForwardPath::Mailbox(mailbox) = path else { panic!("no letter goes to {path}") };
        assert_eq!(params.notify, Some(Notify::Never), "parameters arrive");
        match mailbox.local() {
            "nobody" => server::Answer::Reply(Reply::new(550, Some(EnhancedCode::new(5, 1, 1)), "No such user")),
            "later" => server::Answer::Reply(Reply::new(450, Some(EnhancedCode::new(4, 2, 0)), "Not now")),
            local => {
                self.recipients.push(local.into());
                server::Answer::Yes
            }
        }
    }
}

fn keys() -> ScramKeys {
    ScramKeys::derive(b"pickles", b"salt", NonZeroU32::new(4096).expect("not zero"))
}

/// The client's house.
struct Outbound {
    letters: std::vec::IntoIter<Letter>,
    content: Vec<u8>,
    chunk: usize,
    reports: Vec<Vec<Outcome>>,
    broken: bool,
}

impl Outbound {
    fn answer(&mut self, ask: client::Ask) -> client::Answer {
        match ask {
            client::Ask::Next => match self.letters.next() {
                Some(letter) => {
                    self.content.clone_from(&letter.content);
                    client::Answer::Mail(Box::new(mail(&letter)))
                }
                None => client::Answer::Done,
            },
            client::Ask::Content { offset } => {
                let from = usize::try_from(offset).expect("small");
                let to = self.content.len().min(from + self.chunk);
                let octets = self.content[from..to].to_vec();
                client::Answer::Content { octets, last: to == self.content.len() }
            }
            client::Ask::Report(outcomes) => {
                self.reports.push(outcomes);
                client::Answer::Noted
            }
            client::Ask::Broken(_) => {
                self.broken = true;
                client::Answer::Noted
            }
        }
    }
}

fn mail(letter: &Letter) -> Mail {
    let recipient = |local: &String| {
        let path = ForwardPath::Mailbox(Mailbox::parse(&format!("{local}@hamburger.edu")).expect("an address"));
        Recipient { path, params: RcptParams { notify: Some(Notify::Never), orcpt: None } }
    };
    Mail {
        sender: ReversePath::Null,
        recipients: letter.recipients.iter().map(recipient).collect(),
        size: letter.content.len() as u64,
        eight_bit: true,
        smtputf8: false,
        ret: None,
        envid: None,
    }
}

/// A driver of one side, and what it has received.
struct Side<S: Session> {
    session: S,
    inbox: Vec<u8>,
    stand: Stand,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stand {
    Waiting,
    Securing,
    Closed,
}

impl<S: Session> Side<S> {
    fn new(session: S) -> Self {
        Side { session, inbox: Vec::new(), stand: Stand::Waiting }
    }

    /// Goes as far as it can with what it has; what it says is appended to `wire`.
    fn drive(&mut self, wire: &mut Vec<u8>, now: Instant, mut house: impl FnMut(Event<S::Ask>) -> Option<S::Answer>) {
        let mut out = Vec::new();
        loop {
            out.clear();
            match self.session.next(&mut out) {
                Step::Send => wire.extend_from_slice(&out),
                Step::Keep => {
                    house(Event::Keep(&out));
                }
                Step::Ask(ask) => {
                    let answer = house(Event::Ask(ask)).expect("questions are answered");
                    self.session.answer(answer, now);
                }
                Step::Secure => return self.stand = Stand::Securing,
                Step::Clear | Step::Deflate => panic!("TLS is not ended here, and nothing compressed"),
                Step::Close => return self.stand = Stand::Closed,
                Step::Wait { .. } => {
                    let taken = if self.inbox.is_empty() { 0 } else { self.session.receive(&self.inbox, now) };
                    self.inbox.drain(..taken);
                    if taken == 0 {
                        return self.stand = Stand::Waiting;
                    }
                }
            }
        }
    }
}

enum Event<'a, Ask> {
    Keep(&'a [u8]),
    Ask(Ask),
}

fn play(scene: &Scene) -> Played {
    let now = Instant::now();
    let mut outbound = Outbound {
        letters: scene.letters.clone().into_iter(),
        content: Vec::new(),
        chunk: scene.pieces[0] * 7,
        reports: Vec::new(),
        broken: false,
    };
    let mut inbound = Inbound::default();
    let mut here = Side::new(Client::new(Arc::new(client_settings(scene)), &[1; 32], now));
    let mut there = Side::new(Server::new(Arc::new(server_settings(scene)), &[2; 32], now));
    let (mut to_there, mut to_here) = (Vec::new(), Vec::new());
    let mut pieces = scene.pieces.iter().cycle();
    let mut gone = 0;
    loop {
        there.drive(&mut to_here, now, |event| match event {
            Event::Keep(octets) => {
                inbound.draft.extend_from_slice(octets);
                None
            }
            Event::Ask(ask) => Some(inbound.answer(ask)),
        });
        here.drive(&mut to_there, now, |event| match event {
            Event::Keep(_) => None,
            Event::Ask(ask) => Some(outbound.answer(ask)),
        });
        if here.stand == Stand::Closed {
            break;
        }
        if here.stand == Stand::Securing && there.stand == Stand::Securing {
            let tls = || Secured { exporter: Some(vec![9; 32]), verified: true, ..Secured::default() };
            here.session.secured(tls(), now);
            there.session.secured(tls(), now);
            continue;
        }
        let piece = *pieces.next().expect("a cycle has no end");
        let forward = carry(&mut to_there, &mut there.inbox, piece);
        gone += forward;
        if scene.breaks_after.is_some_and(|limit| gone > limit) {
            there.session.closed(now);
            here.session.closed(now);
        } else if forward + carry(&mut to_here, &mut here.inbox, piece) == 0 {
            assert_eq!(there.stand, Stand::Closed, "both wait, and nothing is on its way");
            here.session.closed(now);
        }
    }
    Played { kept: inbound.kept, reports: outbound.reports, broken: outbound.broken }
}

fn carry(from: &mut Vec<u8>, to: &mut Vec<u8>, piece: usize) -> usize {
    let count = from.len().min(piece);
    to.extend(from.drain(..count));
    count
}

fn client_settings(scene: &Scene) -> client::Settings {
    let login =
        scene.login.map(|_| Credentials { login: "alice".into(), password: Secret::new("pickles"), acting_for: None });
    client::Settings {
        tls: if login.is_some() { client::Tls::Required } else { client::Tls::Never },
        login,
        pipelining: scene.pipelining,
        recipients_max: scene.recipients_sent,
        ..client::Settings::new(HelloName::parse("crepes.fr").expect("a name"))
    }
}

fn server_settings(scene: &Scene) -> server::Settings {
    let usual = server::Settings::new("hamburger.edu");
    server::Settings {
        purpose: if scene.login.is_some() { Purpose::Submission } else { Purpose::Relay },
        tls: server::Tls::Offered,
        mechanisms: scene.login.into_iter().collect(),
        recipients_max: scene.recipients_taken,
        dsn: true,
        ..usual
    }
}

/// What the other side must have of a content: line ends whole, and one at the end.
fn whole(content: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(content.to_vec()).expect("the test writes text");
    let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n");
    let end = if text.is_empty() || text.ends_with("\r\n") { "" } else { "\r\n" };
    (text + end).into_bytes()
}

/// How often the server's house has this letter for this recipient.
fn copies(played: &Played, letter: &Letter, recipient: &str) -> usize {
    let content = whole(&letter.content);
    let is_copy = |kept: &&Kept| kept.content == content && kept.recipients.iter().any(|name| name == recipient);
    played.kept.iter().filter(is_copy).count()
}

fn letters() -> impl Strategy<Value = Vec<Letter>> {
    let word = proptest::sample::select(vec![
        "\r\n",
        ".",
        "..",
        "\r\n.\r\n",
        "ketchup",
        "\n",
        "\r",
        "QUIT\r\n",
        "é",
        "\r\n.\r\nMAIL FROM:<eve@evil.test>\r\n",
    ]);
    let content = proptest::collection::vec(word, 0..25).prop_map(|words| words.concat().into_bytes());
    let name = prop_oneof![5 => "[a-m][a-z]{2,6}", 1 => Just("nobody".to_string()), 1 => Just("later".to_string())];
    let recipients = proptest::collection::btree_set(name, 1..7).prop_map(|names| names.into_iter().collect());
    let letters = proptest::collection::vec((recipients, content), 0..4);
    letters.prop_map(|letters| {
        let number = |(number, (recipients, content)): (usize, (Vec<String>, Vec<u8>))| {
            // Each letter is told from the others.
            let content = [format!("letter {number}\r\n").as_bytes(), &content].concat();
            Letter { recipients, content }
        };
        letters.into_iter().enumerate().map(number).collect()
    })
}

fn scenes() -> impl Strategy<Value = Scene> {
    let login = proptest::option::of(proptest::sample::select(BY_PASSWORD.to_vec()));
    let pieces = proptest::collection::vec(prop_oneof![1usize..5, 1usize..300], 1..8);
    (letters(), any::<bool>(), 1usize..5, 1usize..5, login, pieces).prop_map(
        |(letters, pipelining, recipients_sent, recipients_taken, login, pieces)| {
            let breaks_after = None;
            Scene { letters, pipelining, recipients_sent, recipients_taken, login, pieces, breaks_after }
        },
    )
}

/// All mechanisms but EXTERNAL, which is offered to who has shown a certificate.
const BY_PASSWORD: [Mechanism; 4] =
    [Mechanism::ScramSha256Plus, Mechanism::ScramSha256, Mechanism::Plain, Mechanism::Login];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_letter_arrives_once_for_everybody_who_takes_it(scene in scenes()) {
        let played = play(&scene);
        prop_assert!(!played.broken);
        prop_assert_eq!(played.reports.len(), scene.letters.len());
        for (letter, outcomes) in scene.letters.iter().zip(&played.reports) {
            prop_assert_eq!(outcomes.len(), letter.recipients.len());
            for (recipient, outcome) in letter.recipients.iter().zip(outcomes) {
                let fits = match recipient.as_str() {
                    "nobody" => matches!(outcome, Outcome::Failed(_)),
                    "later" => matches!(outcome, Outcome::Deferred(_)),
                    _ => matches!(outcome, Outcome::Delivered(_)),
                };
                prop_assert!(fits, "{} {:?}", recipient, outcome);
                let expected = usize::from(matches!(outcome, Outcome::Delivered(_)));
                prop_assert_eq!(copies(&played, letter, recipient), expected);
            }
        }
        let everything: usize = played.kept.iter().map(|kept| kept.recipients.len()).sum();
        let delivered = played.reports.iter().flatten().filter(|outcome| matches!(outcome, Outcome::Delivered(_)));
        prop_assert_eq!(everything, delivered.count(), "nothing is there that nobody sent");
    }

    #[test]
    fn nothing_is_lost_when_the_line_breaks(scene in scenes(), after in 0usize..1500) {
        let scene = Scene { breaks_after: Some(after), ..scene };
        let played = play(&scene);
        for (letter, outcomes) in scene.letters.iter().zip(&played.reports) {
            prop_assert_eq!(outcomes.len(), letter.recipients.len());
            for (recipient, outcome) in letter.recipients.iter().zip(outcomes) {
                let there = copies(&played, letter, recipient);
                match outcome {
                    Outcome::Delivered(_) => prop_assert_eq!(there, 1),
                    Outcome::Failed(_) => prop_assert_eq!(there, 0),
                    // The server may have taken it, and the client cannot know.
                    Outcome::Deferred(_) => prop_assert!(there <= 1),
                }
            }
        }
        for letter in &scene.letters[played.reports.len()..] {
            prop_assert!(letter.recipients.iter().all(|recipient| copies(&played, letter, recipient) == 0));
        }
    }
}

#[test]
fn a_wrong_password_opens_nothing() {
    for mechanism in BY_PASSWORD {
        let scene = Scene {
            letters: vec![Letter { recipients: vec!["bob".into()], content: b"hi\r\n".to_vec() }],
            pipelining: true,
            recipients_sent: 9,
            recipients_taken: 9,
            login: Some(mechanism),
            pieces: vec![50],
            breaks_after: None,
        };
        let now = Instant::now();
        let mut settings = client_settings(&scene);
        settings.login.as_mut().expect("one").password = Secret::new("gherkins");
        let mut here = Side::new(Client::new(Arc::new(settings), &[1; 32], now));
        let mut there = Side::new(Server::new(Arc::new(server_settings(&scene)), &[2; 32], now));
        let (mut inbound, mut broken) = (Inbound::default(), None);
        while here.stand != Stand::Closed {
            there.drive(&mut here.inbox, now, |event| match event {
                Event::Keep(_) => None,
                Event::Ask(ask) => Some(inbound.answer(ask)),
            });
            here.drive(&mut there.inbox, now, |event| match event {
                Event::Ask(client::Ask::Broken(trouble)) => {
                    broken = Some(trouble);
                    Some(client::Answer::Noted)
                }
                _ => panic!("nothing else can be asked"),
            });
            if here.stand == Stand::Securing {
                here.session
                    .secured(Secured { exporter: Some(vec![9; 32]), verified: true, ..Secured::default() }, now);
                there.session.secured(Secured { exporter: Some(vec![9; 32]), ..Secured::default() }, now);
            }
        }
        let reply = broken.as_ref().and_then(|trouble| trouble.reply()).expect("the server said why");
        assert_eq!(reply.code(), 535, "{mechanism:?}");
    }
}

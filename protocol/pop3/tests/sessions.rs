//! What cannot be written down line by line: both sides together, any cut of any input, very long listings.
//!
//! RFC 1939 §3 (transparency), §6 (UPDATE), §11 (sizes); RFC 2449 §6.6 (PIPELINING).
//!
//! Not here: the rules one by one (transcripts).

use line::{Exposure, Secret, Secured, Session, Step};
use pop3::client::{self, Client, End, Order, Outcome, Stls};
use pop3::server::{Answer, Ask, Entry, IDLE_LIMIT_MIN, Server, Settings};
use proptest::prelude::*;
use sasl::client::Credentials;
use sasl::server::{Denied, Proof};
use sasl::{Mechanism, ScramKeys};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One account and its messages, which are read in stretches of `stretch` octets.
struct House {
    messages: Vec<Vec<u8>>,
    stretch: usize,
    removed: Option<Vec<usize>>,
}

fn keys() -> ScramKeys {
    ScramKeys::derive(b"hungry", b"a grain of salt", NonZeroU32::new(4096).expect("not zero"))
}

impl House {
    fn answer(&mut self, ask: Ask) -> Answer {
        match ask {
            Ask::Auth(sasl::server::Ask::Keys { .. }) => Answer::Auth(sasl::server::Answer::Keys(Ok(keys()))),
            Ask::Auth(sasl::server::Ask::Login { proof, .. }) => {
                let right = match proof {
                    Proof::Password(password) => password.reveal() == b"hungry",
                    Proof::Scram { proved } => proved.is_some(),
                    Proof::Certificate => true,
                };
                let verdict = if right { Ok("7".to_owned()) } else { Err(Denied::Credentials) };
                Answer::Auth(sasl::server::Answer::Login(verdict))
            }
            Ask::OpenMaildrop { .. } => {
                let entry = |(place, message): (usize, &Vec<u8>)| Entry {
                    size: message.len() as u64,
                    uidl: format!("uid{place}"),
                };
                Answer::Maildrop(Ok(self.messages.iter().enumerate().map(entry).collect()))
            }
            Ask::Read { message, offset } => {
                let octets = &self.messages[message][usize::try_from(offset).expect("small")..];
                Answer::Octets(Ok(octets[..octets.len().min(self.stretch)].to_vec()))
            }
            Ask::Remove(places) => {
                self.removed = Some(places);
                Answer::Removed(Ok(()))
            }
        }
    }
}

fn server(clear_login: bool) -> Server {
    let mut settings = Settings::new("pop.hamburger.test");
    settings.clear_login = clear_login;
    Server::new(Arc::new(settings), &[1; 32], Instant::now())
}

/// What a server says and asks when `input` comes in pieces of these sizes, over and over.
fn talk(server: &mut Server, house: &mut House, input: &[u8], sizes: &[usize]) -> (Vec<u8>, Vec<String>) {
    let now = Instant::now();
    let (mut said, mut asked, mut inbox) = (Vec::new(), Vec::new(), Vec::new());
    let mut sizes = sizes.iter().cycle();
    let mut rest = input;
    loop {
        let mut out = Vec::new();
        match server.next(&mut out) {
            Step::Send => said.extend(out),
            Step::Ask(ask) => {
                asked.push(format!("{ask:?}"));
                server.answer(house.answer(ask), now);
            }
            Step::Close | Step::Secure | Step::Clear | Step::Deflate | Step::Keep => return (said, asked),
            Step::Wait { .. } => {
                while server_takes(server, &mut inbox, now) == 0 {
                    if rest.is_empty() {
                        return (said, asked);
                    }
                    let size = rest.len().min(*sizes.next().expect("endless"));
                    inbox.extend_from_slice(&rest[..size]);
                    rest = &rest[size..];
                }
            }
        }
        assert!(inbox.len() <= input.len());
    }
}

fn server_takes(server: &mut Server, inbox: &mut Vec<u8>, now: Instant) -> usize {
    if inbox.is_empty() {
        return 0;
    }
    let taken = server.receive(inbox, now);
    inbox.drain(..taken);
    taken
}

fn messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let piece = proptest::sample::select(vec!["\r\n", ".", "a", "\r\n.\r\n", "..\r\n", "\u{e9}"]);
    let message = proptest::collection::vec(piece, 0..30).prop_map(|pieces| (pieces.concat() + "\r\n").into_bytes());
    proptest::collection::vec(message, 0..4)
}

fn lines() -> impl Strategy<Value = Vec<u8>> {
    let line = proptest::sample::select(vec![
        "USER bob\r\n",
        "PASS hungry\r\n",
        "AUTH PLAIN AGJvYgBodW5ncnk=\r\n",
        "AUTH PLAIN\r\n",
        "AGJvYgBodW5ncnk=\r\n",
        "*\r\n",
        "STAT\r\n",
        "LIST\r\n",
        "UIDL\r\n",
        "RETR 1\r\n",
        "RETR 2\r\n",
        "TOP 1 2\r\n",
        "DELE 1\r\n",
        "RSET\r\n",
        "CAPA\r\n",
        "NOOP\r\n",
        "LANG\r\n",
        "UTF8\r\n",
        "QUIT\r\n",
        "quit\n",
        "\0\r\n",
        "\r\r\n",
        "xyzzy",
        "\r\n",
        "\n",
        "\u{16}",
        "GET /\r\n",
    ]);
    let known = proptest::collection::vec(line, 0..30).prop_map(|lines| lines.concat().into_bytes());
    let noise = proptest::collection::vec(any::<u8>(), 0..400);
    let login = any::<bool>().prop_map(|login| if login { &b"USER bob\r\nPASS hungry\r\n"[..] } else { &b""[..] });
    (login, known, noise).prop_map(|(login, known, noise)| [login, &known, &noise].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn pieces_do_not_matter(
        input in lines(), messages in messages(), sizes in proptest::collection::vec(1usize..40, 1..8),
        stretches in (1usize..50, 1usize..50),
    ) {
        let mut whole = House { messages: messages.clone(), stretch: stretches.0, removed: None };
        let mut pieces = House { messages, stretch: stretches.0, removed: None };
        let expected = talk(&mut server(true), &mut whole, &input, &[input.len().max(1)]);
        prop_assert_eq!(talk(&mut server(true), &mut pieces, &input, &sizes), expected);
        prop_assert_eq!(pieces.removed, whole.removed);
    }

    #[test]
    fn removal_needs_quit(input in lines(), messages in messages()) {
        let mut house = House { messages, stretch: 100, removed: None };
        let (said, _) = talk(&mut server(true), &mut house, &input, &[1000]);
        if house.removed.is_some() {
            let said = String::from_utf8_lossy(&said).into_owned();
            prop_assert!(said.contains("signing off"), "{}", said);
        }
    }
}

/// A duet: the client's orders come from a list; the wire carries pieces of `size` octets.
struct Duet {
    client: Client,
    server: Server,
    house: House,
    size: usize,
    tls: Secured,
    fetched: Vec<Vec<u8>>,
    outcomes: Vec<Outcome>,
    orders: Vec<Order>,
}

/// Where one side stands after it has been driven as far as it goes.
#[derive(Debug, PartialEq)]
enum Stand {
    Waiting,
    Securing,
    Closed,
}

impl Duet {
    fn new(mechanisms: &[Mechanism], password: &str, messages: Vec<Vec<u8>>, mut orders: Vec<Order>) -> Self {
        let now = Instant::now();
        let credentials = Credentials { login: "bob".into(), password: Secret::new(password), acting_for: None };
        let settings = client::Settings { credentials, stls: Stls::Required, clear_login: false };
        let client = Client::new(settings, &[2; 32], now);
        let mut settings = Settings::new("pop.hamburger.test");
        settings.mechanisms = mechanisms.to_vec();
        let server = Server::new(Arc::new(settings), &[7; 32], now);
        orders.reverse();
        let house = House { messages, stretch: 7, removed: None };
        let tls = Secured { exporter: Some(vec![5; 32]), ..Secured::default() };
        Duet { client, server, house, size: 5, tls, fetched: vec![], outcomes: vec![], orders }
    }

    /// Plays until the client closes; says how it ended for it.
    fn play(&mut self) -> End {
        let now = Instant::now();
        let (mut to_server, mut to_client, mut end) = (Vec::new(), Vec::new(), None);
        loop {
            let server = self.drive_server(&mut to_client, now);
            let client = self.drive_client(&mut to_server, &mut end, now);
            if client == Stand::Closed {
                return end.expect("the client tells how it ended");
            }
            if server == Stand::Securing && client == Stand::Securing && to_client.is_empty() {
                self.server.secured(self.tls.clone(), now);
                self.client.secured(self.tls.clone(), now);
                continue;
            }
            let heard = pass(&mut self.server, &mut to_server, self.size, server == Stand::Waiting, now)
                + pass(&mut self.client, &mut to_client, self.size, client == Stand::Waiting, now);
            if heard == 0 && server == Stand::Closed {
                self.client.closed(now);
            } else {
                assert!(heard > 0, "the dialogue moves on: {server:?} {client:?}");
            }
        }
    }

    fn drive_server(&mut self, wire: &mut Vec<u8>, now: Instant) -> Stand {
        loop {
            let mut out = Vec::new();
            match self.server.next(&mut out) {
                Step::Send => wire.extend(out),
                Step::Ask(ask) => self.server.answer(self.house.answer(ask), now),
                Step::Wait { .. } => return Stand::Waiting,
                Step::Secure => return Stand::Securing,
                Step::Close => return Stand::Closed,
                Step::Keep | Step::Clear | Step::Deflate => panic!("a POP3 server keeps nothing and clears nothing"),
            }
        }
    }

    fn drive_client(&mut self, wire: &mut Vec<u8>, end: &mut Option<End>, now: Instant) -> Stand {
        loop {
            let mut out = Vec::new();
            match self.client.next(&mut out) {
                Step::Send => wire.extend(out),
                Step::Keep => self.fetched.last_mut().expect("a message was ordered").extend(out),
                Step::Ask(client::Ask::Next(outcome)) => {
                    self.outcomes.push(outcome);
                    let order = self.orders.pop().unwrap_or(Order::Quit);
                    if let Order::Retrieve(_) | Order::Top(..) = order {
                        self.fetched.push(Vec::new());
                    }
                    self.client.answer(client::Answer::Order(order), now);
                }
                Step::Ask(client::Ask::Ended(how)) => {
                    *end = Some(how);
                    self.client.answer(client::Answer::Understood, now);
                }
                Step::Wait { .. } => return Stand::Waiting,
                Step::Secure => return Stand::Securing,
                Step::Clear | Step::Deflate => panic!("TLS is not ended here, and nothing compressed"),
                Step::Close => return Stand::Closed,
            }
        }
    }
}

/// Offers a growing front of the wire until the session takes something. Says how much that was.
fn pass<S: Session>(session: &mut S, wire: &mut Vec<u8>, size: usize, waits: bool, now: Instant) -> usize {
    if !waits {
        return 0;
    }
    let mut offered = 0;
    while offered < wire.len() {
        offered = wire.len().min(offered + size);
        let taken = session.receive(&wire[..offered], now);
        if taken > 0 {
            wire.drain(..taken);
            return taken;
        }
    }
    0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_is_in_the_maildrop_is_fetched_octet_by_octet(messages in messages(), size in 1usize..40, stretch in 1usize..40) {
        let count = messages.len() as u64;
        let mut orders = vec![Order::Stat, Order::List, Order::Uidl];
        orders.extend((1..=count).flat_map(|number| [Order::Retrieve(number), Order::Delete(number)]));
        let mut duet = Duet::new(&[Mechanism::Plain], "hungry", messages.clone(), orders);
        duet.size = size;
        duet.house.stretch = stretch;
        prop_assert_eq!(duet.play(), End::Quit);
        prop_assert_eq!(&duet.fetched, &messages);
        let octets = messages.iter().map(|message| message.len() as u64).sum();
        prop_assert_eq!(&duet.outcomes[..2], &[Outcome::Admitted, Outcome::Counted { messages: count, octets }]);
        let sizes = messages.iter().zip(1..).map(|(message, number)| (number, message.len() as u64)).collect();
        prop_assert_eq!(&duet.outcomes[2], &Outcome::Sizes(sizes));
        let removed = Some((0..messages.len()).collect::<Vec<_>>());
        prop_assert_eq!(duet.house.removed, removed);
    }
}

#[test]
fn every_mechanism_lets_in_who_knows_the_password_and_nobody_else() {
    for mechanisms in [&[][..], &[Mechanism::Login], &[Mechanism::Plain], &[Mechanism::ScramSha256], &Mechanism::ALL] {
        let mut duet = Duet::new(mechanisms, "hungry", vec![], vec![]);
        assert_eq!(duet.play(), End::Quit, "{mechanisms:?}");
        let mut duet = Duet::new(mechanisms, "thirsty", vec![], vec![]);
        assert!(matches!(duet.play(), End::LoginRefused(Some(pop3::Code::Auth), _)), "{mechanisms:?}");
    }
}

/// A session after login, with so many messages.
fn logged_in(count: usize) -> Server {
    let now = Instant::now();
    let mut server = server(true);
    let entry = |place: usize| Entry { size: place as u64, uidl: format!("1.{place}") };
    let mut input = &b"AUTH PLAIN AGJvYgBodW5ncnk=\r\n"[..];
    loop {
        match server.next(&mut Vec::new()) {
            Step::Ask(Ask::OpenMaildrop { .. }) => {
                server.answer(Answer::Maildrop(Ok((0..count).map(entry).collect())), now);
            }
            Step::Ask(_) => server.answer(Answer::Auth(sasl::server::Answer::Login(Ok("7".into()))), now),
            Step::Wait { .. } if input.is_empty() => return server,
            Step::Wait { .. } => input = &input[server.receive(input, now)..],
            _ => {}
        }
    }
}

#[test]
fn a_listing_of_a_million_messages_needs_no_more_room_than_one_of_ten() {
    const PIECE_MAX: usize = 17 * 1024;
    let mut server = logged_in(1_000_000);
    for (command, last) in [("LIST\r\n", "1000000 999999"), ("UIDL\r\n", "1000000 1.999999")] {
        server.receive(command.as_bytes(), Instant::now());
        let (mut lines, mut tail) = (0, Vec::new());
        loop {
            let mut out = Vec::new();
            match server.next(&mut out) {
                Step::Send => {
                    assert!(out.len() <= PIECE_MAX);
                    lines += out.iter().filter(|&&octet| octet == b'\n').count();
                    tail.extend(out);
                    tail.drain(..tail.len().saturating_sub(100));
                }
                Step::Wait { .. } => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(lines, 1_000_002);
        assert!(String::from_utf8_lossy(&tail).ends_with(&format!("{last}\r\n.\r\n")));
    }
}

#[test]
fn who_reads_a_long_listing_for_long_is_not_logged_out() {
    let start = Instant::now();
    let mut server = logged_in(10_000);
    server.receive(b"UIDL\r\n", start);
    while server.next(&mut Vec::new()) == Step::Send {}
    let much_later = start + IDLE_LIMIT_MIN * 2;
    server.tick(much_later);
    assert_eq!(server.next(&mut Vec::new()), Step::Wait { until: much_later + IDLE_LIMIT_MIN });
    server.tick(much_later + IDLE_LIMIT_MIN);
    assert_eq!(server.next(&mut Vec::new()), Step::Close);
}

#[test]
fn a_long_line_of_noise_is_no_tls_hello_wherever_it_is_cut() {
    let mut house = House { messages: vec![], stretch: 1, removed: None };
    let input = [&[b'x'; 300][..], &[0x16; 10], b"\r\nQUIT\r\n"].concat();
    let (said, _) = talk(&mut server(true), &mut house, &input, &[300, 5]);
    let said = String::from_utf8(said).expect("ASCII");
    assert!(said.contains("-ERR line too long\r\n+OK") && said.contains("signing off"), "{said}");
}

#[test]
fn the_clock_cannot_be_set_below_ten_minutes() {
    let mut settings = Settings::new("pop.hamburger.test");
    settings.idle_limit = Duration::from_secs(1);
    let now = Instant::now();
    let mut server = Server::new(Arc::new(settings), &[1; 32], now);
    server.next(&mut Vec::new());
    assert_eq!(server.next(&mut Vec::new()), Step::Wait { until: now + IDLE_LIMIT_MIN });
}

#[test]
fn a_log_may_show_all_but_passwords() {
    let exposure = |lines: &[&str]| {
        let mut server = server(true);
        for line in lines {
            while server.next(&mut Vec::new()) == Step::Send {}
            server.receive(line.as_bytes(), Instant::now());
        }
        server.exposure()
    };
    assert_eq!(exposure(&["USER bob\r\n"]), Exposure::Open);
    assert_eq!(exposure(&["PASS hungry\r\n"]), Exposure::SecretAfter(5));
    assert_eq!(exposure(&["  pass hungry\r\n"]), Exposure::SecretAfter(7));
    assert_eq!(exposure(&["PASS hungry\n"]), Exposure::SecretAfter(5));
    assert_eq!(exposure(&["PASS\r\n"]), Exposure::Open);
    assert_eq!(exposure(&["AUTH PLAIN AGJvYgBodW5ncnk=\r\n"]), Exposure::SecretAfter(11));
    assert_eq!(exposure(&["auth plain\r\n"]), Exposure::Open);
    assert_eq!(exposure(&["AUTH\r\n"]), Exposure::Open);
    assert_eq!(exposure(&["AUTH LOGIN\r\n", "Ym9i\r\n", "aHVuZ3J5\r\n"]), Exposure::SecretAfter(0));
    let long = format!("PASS {}", "x".repeat(300));
    assert_eq!(exposure(&[&long]), Exposure::SecretAfter(0));
    assert_eq!(exposure(&[&long, "still the password\r\n"]), Exposure::SecretAfter(0));
    assert_eq!(exposure(&["\u{16}\u{3}\u{1}"]), Exposure::SecretAfter(0));
}

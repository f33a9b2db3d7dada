//! FTP: the client's side of the dialogue, and the listings that it reads.

use crate::dialogue::{check_with_news, choice, endure, mood};
use crate::sasl::credentials;
use ::ftp::address::Family;
use ::ftp::client::{
    Answer, Ask, Client, News, Order, REPLY_LIMIT, Settings, Start, Tls, Transfer, VERDICT_LIMIT, Way, Words,
};
use ::ftp::dialect::{Found, Reader};
use ::ftp::{Command, Moment, WirePath};
use std::time::Instant;

/// The client, in several settings, with a house of moods; every transfer ends as soon as it can.
pub fn client(input: &[u8]) {
    let mood = mood(input);
    let open = || Client::new(settings(mood), Instant::now());
    check_with_news(input, open, |ask, nth| answer(ask, mood, nth), |ask, nth| news(ask, mood, nth), |_| {});
}

/// The same, whose transfers take their time, and some of which are to be stopped.
pub fn busy_client(input: &[u8]) {
    let mood = mood(input);
    let client = Client::new(settings(mood), Instant::now());
    endure(input, client, |ask, nth| answer(ask, mood, nth), |ask, nth| news(ask, mood, nth), mood);
}

fn settings(mood: u64) -> Settings {
    let credentials = credentials();
    let family = [Family::V4, Family::V6][choice(mood, 1, 2) as usize];
    Settings {
        user: credentials.login,
        password: credentials.password,
        tls: [Tls::Never, Tls::IfOffered, Tls::Required][choice(mood, 2, 3) as usize],
        private: choice(mood, 3, 2) == 0,
        clear_login: choice(mood, 4, 4) != 0,
        host: None,
        name: "Packetboat".to_owned(),
        pipelining: choice(mood, 5, 2) == 0,
        data_next: choice(mood, 7, 2) == 0,
        utf8: choice(mood, 6, 2) == 0,
        ways: Way::all(family),
        reply_limit: REPLY_LIMIT,
        verdict_limit: VERDICT_LIMIT,
    }
}

fn answer(ask: &Ask, mood: u64, nth: usize) -> Answer {
    let refused = choice(mood, nth, 8) == 0;
    match ask {
        Ask::Next(_) => Answer::Order(order(mood, nth)),
        Ask::Dial { .. } | Ask::Listen(_) if refused => Answer::Unreachable,
        Ask::Dial { .. } => Answer::Dialled,
        Ask::DialAhead { .. } => Answer::Understood,
        Ask::Listen(Family::V4) => Answer::Listening("127.0.0.1:4000".parse().expect("an address")),
        Ask::Listen(Family::V6) => Answer::Listening("[::1]:4000".parse().expect("an address")),
        _ => Answer::Understood,
    }
}

fn order(mood: u64, nth: usize) -> Order {
    let path = || WirePath::new("menu").expect("a path");
    let transfer = |command: Command, start| {
        let (ascii, ahead) = (choice(mood, nth + 1, 2) == 0, choice(mood, nth + 2, 2) == 0);
        let behind = [Command::Size(path()), Command::Rnfr(path())].map(Words::from);
        let behind = behind[..choice(mood, nth + 3, 3) as usize].to_vec();
        Order::Transfer(Transfer { words: Words::from(command), start, ascii, behind, ahead })
    };
    match choice(mood, nth, 8) {
        0 => Order::Say(vec![Words::from(Command::Pwd), Words::from(Command::Noop)]),
        1 => Order::SayAhead(vec![Words::from(Command::Noop)]),
        2 => transfer(Command::Retr(path()), Start::Beginning),
        3 => transfer(Command::Retr(path()), Start::At(7)),
        4 => transfer(Command::Retr(path()), Start::Between(7, 9)),
        5 => transfer(Command::Stor(path()), Start::At(7)),
        6 => transfer(Command::Mlsd(None), Start::Beginning),
        _ => Order::Quit,
    }
}

fn news(ask: &Ask, mood: u64, nth: usize) -> Option<News> {
    let news = [News::Whole, News::Whole, News::Broken, News::Stop][choice(mood, nth + 100, 4) as usize];
    matches!(ask, Ask::Pump).then_some(news)
}

/// Listings are read the same however they are cut, and no name in them leads out of its directory.
pub fn dialect(input: &[u8]) {
    for open in [Reader::machine, Reader::list] {
        let whole = listed(open, input, input.len());
        assert_eq!(whole, listed(open, input, 1 + input.len() % 7));
        for found in whole.0 {
            let name = found.name.as_bytes();
            assert!(!name.is_empty() && name != b"." && name != b"..", "{found:?}");
            assert!(!name.iter().any(|octet| b"/\0\r\n".contains(octet)), "{found:?}");
        }
    }
}

/// What is in a listing, how many names were bad, and how many lines.
fn listed(open: fn(&[u8], Moment) -> Reader, input: &[u8], size: usize) -> (Vec<Found>, u64, u64) {
    let (mut reader, mut all) = (open(b"/pub", Moment::from_unix_secs(1_800_000_000)), Vec::new());
    input.chunks(size.max(1)).for_each(|piece| reader.take(piece, |found| all.push(found)));
    reader.end(|found| all.push(found));
    (all, reader.flawed(), reader.unread())
}

//! FTP: commands, replies, the small languages inside, and the server's side of the dialogue.

use crate::dialogue::{check_with_news, choice, mood};
use crate::line::read_and_written;
use ::ftp::address::{parse_extended, parse_host_port, parse_passive, write_extended, write_host_port};
use ::ftp::listing::Pattern;
use ::ftp::reply::{Heard, Replies};
use ::ftp::server::{Answer, Ask, Begun, Denied, Ends, News, Server, Settings, Tls, Welcome};
use ::ftp::{Command, Moment, Outcome, Permissions, Refusal, VirtualPath, WirePath, telnet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is read as a command is written so that it is read the same, in one line, Telnet's octets and all.
pub fn command(input: &[u8]) {
    read_and_written(input, read, Command::write);
}

fn read(line: &[u8]) -> Option<Command> {
    match Command::parse(&telnet::decoded(line).0).ok()? {
        // `STAT -l` asks for a listing and names nothing; written without its options it asks how the server is.
        Command::Stat(Some(wish)) if wish.path.is_none() => None,
        command => Some(command),
    }
}

/// Replies are heard however they are cut.
pub fn reply(input: &[u8]) {
    assert_eq!(heard(input, input.len()), heard(input, 1 + input.len() % 7));
}

/// Codes and texts up to what is no reply.
fn heard(input: &[u8], size: usize) -> Vec<::ftp::Reply> {
    let (mut replies, mut held, mut found) = (Replies::new(), Vec::new(), Vec::new());
    for piece in input.chunks(size.max(1)) {
        held.extend_from_slice(piece);
        loop {
            let (taken, what) = replies.hear(&held);
            held.drain(..taken);
            match what {
                Heard::Reply(reply) => found.push(reply),
                Heard::Partial if taken == 0 => break,
                Heard::Nonsense => return found,
                _ => {}
            }
        }
    }
    found
}

/// Addresses, moments, paths and patterns.
pub fn words(input: &[u8]) {
    if let Some(address) = parse_host_port(input) {
        assert_eq!(parse_host_port(write_host_port(address).as_bytes()), Some(address));
    }
    parse_passive(input);
    if let Some(address) = parse_extended(input) {
        assert_eq!(parse_extended(write_extended(address).as_bytes()), Some(address));
    }
    for moment in [Moment::parse(input), Moment::parse_short(input)].into_iter().flatten() {
        let mut text = Vec::new();
        moment.write(&mut text);
        assert_eq!(Moment::parse(&text), Some(moment));
    }
    if let Some(pattern) = Pattern::parse(input) {
        pattern.matches(input);
    }
    let Some(path) = WirePath::new(input) else { return };
    let Ok(resolved) = VirtualPath::root().resolve(&path) else { return };
    let text = resolved.as_bytes();
    assert!(text.starts_with(b"/") && (text == b"/" || !text.ends_with(b"/")), "{:?}", text.escape_ascii().to_string());
    assert!(resolved.names().all(|name| !name.is_empty() && name != b"." && name != b".." && !name.contains(&b'/')));
    let again = WirePath::new(text).and_then(|path| resolved.resolve(&path).ok());
    assert_eq!(again.as_ref(), Some(&resolved), "what is resolved stays what it is");
}

/// The server, in several settings, with a house of moods; every transfer ends as soon as it can.
pub fn server(input: &[u8]) {
    let mood = mood(input);
    let settings = Arc::new(Settings {
        tls: [Tls::Absent, Tls::Optional, Tls::Named, Tls::Everybody][choice(mood, 1, 4) as usize],
        protect_data: choice(mood, 2, 2) == 0,
        anonymous: choice(mood, 3, 2) == 0,
        deflate: choice(mood, 4, 2) == 0,
        ..Settings::default()
    });
    let address = "127.0.0.1:21".parse().expect("an address");
    let open = || Server::new(settings.clone(), Ends::new(address, address), Instant::now());
    check_with_news(input, open, |ask, nth| answer(ask, mood, nth), |ask, nth| news(ask, mood, nth), |_| {});
}

/// Whether the `nth` question is answered by a no.
fn is_refused(mood: u64, nth: usize) -> bool {
    choice(mood, nth, 8) == 0
}

fn answer(ask: &Ask, mood: u64, nth: usize) -> Answer {
    let refused = is_refused(mood, nth);
    match ask {
        Ask::Login(_) if refused => Answer::Login(Err(Denied::Credentials)),
        Ask::Login(_) => {
            Answer::Login(Ok(Welcome { permissions: Permissions::ALL, home: VirtualPath::root(), message: None }))
        }
        Ask::Host(_) => Answer::Host(Ok(None)),
        Ask::Logout | Ask::Abort | Ask::ClearControl => Answer::Done,
        Ask::Progress => Answer::Progress(7),
        _ if refused => Answer::Refused(Refusal::Busy),
        Ask::Listen(_) => Answer::Listening("127.0.0.1:4000".parse().expect("an address")),
        Ask::Begin(_) => Answer::Begun(Begun::default()),
        Ask::Stat(_) | Ask::Kept(_) | Ask::Overview { .. } => Answer::Refused(Refusal::NotFound),
        Ask::Change { change, .. } => Answer::Changed(*change),
        Ask::Space(_) => Answer::Space(1),
        _ => Answer::Done,
    }
}

fn news(ask: &Ask, mood: u64, nth: usize) -> Option<News> {
    let runs = matches!(ask, Ask::Begin(_) | Ask::Digest { .. } | Ask::Combine { .. });
    let outcome = match choice(mood, nth + 100, 4) {
        0 => Outcome::Aborted,
        1 => Outcome::Stalled(Duration::from_secs(9)),
        2 => Outcome::Refused(Refusal::Full),
        _ => Outcome::Completed { octets: 7 },
    };
    (runs && !is_refused(mood, nth)).then_some(News::Ended(outcome))
}

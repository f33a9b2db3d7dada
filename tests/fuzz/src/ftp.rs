//! FTP: commands, replies, the small languages inside, and the server's side of the dialogue.

use crate::dialogue::{check_with_news, choice, endure, mood};
use crate::line::read_and_written;
use ::ftp::address::{parse_extended, parse_host_port, parse_passive, write_extended, write_host_port};
use ::ftp::deflate::{BadStream, Deflater, Inflater};
use ::ftp::listing::Pattern;
use ::ftp::modes::{FromWire, ToWire};
use ::ftp::reply::{Heard, Replies};
use ::ftp::server::{Answer, Ask, Begun, Denied, Ends, News, Server, Settings, Tls, Welcome};
use ::ftp::telnet::{COMMAND_LINE_MAX_OCTETS, ControlLines, Look};
use ::ftp::{Command, Digest, Moment, Outcome, Permissions, Refusal, VirtualPath, WirePath};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// More is not unfolded here.
const UNFOLDED_MAX: usize = 1 << 20;

/// What is read as a command is written so that it is read the same, in one line, Telnet's octets and all.
pub fn command(input: &[u8]) {
    read_and_written(input, read, Command::write);
}

fn read(line: &[u8]) -> Option<Command> {
    match Command::parse(&::ftp::telnet::decoded(line).0).ok()? {
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

/// Telnet is taken away the same however the octets are cut, and no line is longer than it may be.
pub fn telnet(input: &[u8]) {
    assert_eq!(control_lines(input, input.len()), control_lines(input, 1 + input.len() % 5));
}

fn control_lines(input: &[u8], size: usize) -> Vec<Vec<u8>> {
    let (mut lines, mut held, mut found) = (ControlLines::default(), Vec::new(), Vec::new());
    for piece in input.chunks(size.max(1)) {
        held.extend_from_slice(piece);
        loop {
            let taken = match lines.look(&held) {
                Look::Whole { text, refusals, taken } => {
                    assert!(text.len() <= COMMAND_LINE_MAX_OCTETS);
                    found.push(text.into_owned());
                    found.extend((!refusals.is_empty()).then(|| refusals.clone()));
                    taken
                }
                Look::Telnet { refusal, taken } => {
                    found.extend(refusal.map(Vec::from));
                    taken
                }
                Look::TooLong { taken } => {
                    found.push(b"too long".to_vec());
                    taken
                }
                Look::Overflowing { taken } => taken,
                Look::Partial => break,
            };
            assert!(0 < taken && taken <= held.len(), "{taken} of {}", held.len());
            held.drain(..taken);
        }
        assert!(held.len() < COMMAND_LINE_MAX_OCTETS, "{} octets are held", held.len());
    }
    found
}

/// TYPE A: the same however it is cut, and what was sent and received is what was received at once.
pub fn ascii(input: &[u8]) {
    let sent = to_wire(input, input.len());
    assert_eq!(sent, to_wire(input, 1 + input.len() % 5));
    let received = from_wire(input, input.len());
    assert_eq!(received, from_wire(input, 1 + input.len() % 5));
    assert_eq!(from_wire(&sent, 7), received);
}

fn to_wire(input: &[u8], size: usize) -> Vec<u8> {
    let (mut filter, mut wire) = (ToWire::new(), Vec::new());
    input.chunks(size.max(1)).for_each(|piece| filter.put(piece, &mut wire));
    wire
}

fn from_wire(input: &[u8], size: usize) -> Vec<u8> {
    let (mut filter, mut file) = (FromWire::new(), Vec::new());
    input.chunks(size.max(1)).for_each(|piece| filter.put(piece, &mut file));
    filter.end(&mut file);
    file
}

/// MODE Z: whatever comes is unfolded or refused, the same however it is cut; and what is folded unfolds.
pub fn deflate(input: &[u8]) {
    assert_eq!(unfolded(input, input.len()), unfolded(input, 1 + input.len() % 7));
    let (mut deflater, mut wire) = (Deflater::new(input.first().map_or(6, |octet| octet % 10)), Vec::new());
    input.chunks(1 + input.len() / 3).for_each(|piece| deflater.put(piece, &mut wire));
    deflater.end(&mut wire);
    assert_eq!(unfolded(&wire, 5), Some(input.to_vec()));
}

fn unfolded(wire: &[u8], size: usize) -> Option<Vec<u8>> {
    let (mut inflater, mut octets) = (Inflater::default(), Vec::new());
    for piece in wire.chunks(size.max(1)) {
        let take = |piece: &[u8]| {
            octets.extend_from_slice(piece);
            // As a quota does. What a few octets can become is tried elsewhere.
            if octets.len() <= UNFOLDED_MAX { Ok(()) } else { Err(BadStream) }
        };
        inflater.put(piece, take).ok()?;
    }
    inflater.end().ok().map(|()| octets)
}

/// The server, in several settings, with a house of moods; every transfer ends as soon as it can.
pub fn server(input: &[u8]) {
    let (mood, open) = opening(input);
    check_with_news(input, open, |ask, nth| answer(ask, mood, nth), |ask, nth| news(ask, mood, nth), |_| {});
}

/// The same, whose transfers take their time: what is said meanwhile waits, stops them, or asks how they are.
pub fn busy_server(input: &[u8]) {
    let (mood, open) = opening(input);
    endure(input, open(), |ask, nth| answer(ask, mood, nth), |ask, nth| news(ask, mood, nth), mood);
}

/// In one of several settings.
fn opening(input: &[u8]) -> (u64, impl Fn() -> Server) {
    let mood = mood(input);
    let settings = Arc::new(Settings {
        tls: [Tls::Absent, Tls::Optional, Tls::Named, Tls::Everybody][choice(mood, 1, 4) as usize],
        protect_data: choice(mood, 2, 2) == 0,
        anonymous: choice(mood, 3, 2) == 0,
        deflate: choice(mood, 4, 2) == 0,
        clear_control: choice(mood, 5, 2) == 0,
        ..Settings::default()
    });
    let address = "127.0.0.1:21".parse().expect("an address");
    (mood, move || Server::new(settings.clone(), Ends::new(address, address), Instant::now()))
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
        Ask::Logout | Ask::Abort => Answer::Done,
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
    let outcome = match (choice(mood, nth + 100, 4), ask) {
        (0, _) => Outcome::Aborted,
        (1, _) => Outcome::Stalled(Duration::from_secs(9)),
        (2, _) => Outcome::Refused(Refusal::Full),
        (_, Ask::Digest { from, .. }) => Outcome::Digested(Digest { octets: vec![7; 4], from: *from, until: *from }),
        (_, Ask::Combine { .. }) => Outcome::Combined,
        _ => Outcome::Completed { octets: 7 },
    };
    (runs && !is_refused(mood, nth)).then_some(News::Ended(outcome))
}

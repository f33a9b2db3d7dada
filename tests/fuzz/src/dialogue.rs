//! Drives any session with any octets, as `net` does, and writes down what came of it.
//!
//! Invariants asserted for every session and every input: it takes no more than it was given; it says something when it
//! says that it does; it comes to rest; it takes something from a buffer that is longer than its longest line; when the peer
//! has closed, it closes; and how the input was cut into pieces changes nothing that anybody can see.
//! Not here: what is said, and what the house answers (each protocol's own target).

use line::{Secured, Session, Step};
use std::collections::VecDeque;
use std::fmt::Debug;
use std::time::Instant;

/// Between two waits no session has more to say than this in one go, with what the houses of our targets know.
const STEPS_MAX: usize = 20_000;
/// A session that leaves more than this untaken would make its driver's buffer grow without end.
const UNTAKEN_MAX: usize = 64 * 1024;

/// What could be seen from outside, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Octets for the peer.
    Sent(Vec<u8>),
    /// Octets for the house.
    Kept(Vec<u8>),
    /// A question to the house.
    Asked(String),
    /// TLS was wanted.
    Secured,
    /// TLS was to end.
    Cleared,
    /// Compression began.
    Deflated,
    /// It closed.
    Closed,
}

/// Drives `open()` with `input`, whole and in pieces of several sizes; all must give the same events. `tidy` may take out
/// what is free to differ.
pub fn check<S: Session<Ask: Debug>>(
    input: &[u8],
    open: impl FnMut() -> S,
    answer: impl FnMut(&S::Ask, usize) -> S::Answer,
    tidy: fn(&mut Vec<Event>),
) {
    check_with_news(input, open, answer, |_, _| None, tidy);
}

/// The same for a house that has news of some questions, as soon as the session waits again.
pub fn check_with_news<S: Session<Ask: Debug>>(
    input: &[u8],
    mut open: impl FnMut() -> S,
    answer: impl FnMut(&S::Ask, usize) -> S::Answer,
    news: impl FnMut(&S::Ask, usize) -> Option<S::News>,
    tidy: fn(&mut Vec<Event>),
) {
    let mut house = (answer, news);
    let mut seen = |size: usize| {
        let mut events = drive(open(), input, size, &mut house);
        tidy(&mut events);
        events
    };
    let whole = seen(usize::MAX);
    for size in [1, 3 + input.len() % 61] {
        let pieces = seen(size);
        assert_eq!(first_difference(&whole, &pieces), None, "pieces of {size} octets are not the same");
    }
}

/// Drives a session whose news come late: each waits for some more pieces of input, by `mood`. It must come to rest all the
/// same, close when the peer has, and be told all news that it was promised before.
pub fn endure<S: Session<Ask: Debug>>(
    input: &[u8],
    session: S,
    answer: impl FnMut(&S::Ask, usize) -> S::Answer,
    news: impl FnMut(&S::Ask, usize) -> Option<S::News>,
    mood: u64,
) {
    const PIECES_MAX: u64 = 6;
    let mut house = (answer, news);
    let mut drive = Drive::new(session);
    drive.holds_news = true;
    let mut lives = drive.settle(&mut house);
    for (nth, piece) in input.split_inclusive(|octet| *octet == b'\n').enumerate() {
        if lives && choice(mood, nth, PIECES_MAX) == 0 {
            lives = drive.hear_news(&mut house);
        }
        lives = lives && drive.feed(piece, piece.len(), &mut house);
    }
    if lives {
        drive.session.closed(drive.now);
        lives = drive.settle(&mut house);
    }
    while lives && drive.has_news() {
        lives = drive.hear_news(&mut house);
    }
    assert!(!lives, "the peer has closed, and the session goes on waiting");
}

/// The first pair of events that differ, so that a report can be read.
fn first_difference<'a>(one: &'a [Event], other: &'a [Event]) -> Option<(usize, Option<&'a Event>, Option<&'a Event>)> {
    let at = (0..one.len().max(other.len())).find(|&at| one.get(at) != other.get(at))?;
    Some((at, one.get(at), other.get(at)))
}

/// What a session asks and hears of.
trait House<S: Session> {
    /// To the `nth` question.
    fn answer(&mut self, ask: &S::Ask, nth: usize) -> S::Answer;
    /// What comes of it later.
    fn news(&mut self, ask: &S::Ask, nth: usize) -> Option<S::News>;
}

impl<S: Session, A: FnMut(&S::Ask, usize) -> S::Answer, N: FnMut(&S::Ask, usize) -> Option<S::News>> House<S>
    for (A, N)
{
    fn answer(&mut self, ask: &S::Ask, nth: usize) -> S::Answer {
        self.0(ask, nth)
    }

    fn news(&mut self, ask: &S::Ask, nth: usize) -> Option<S::News> {
        self.1(ask, nth)
    }
}

struct Drive<S: Session> {
    session: S,
    events: Vec<Event>,
    asked: usize,
    /// To be told when the session waits.
    news: VecDeque<S::News>,
    /// They are told only when somebody says so.
    holds_news: bool,
    /// What was offered and is not taken.
    untaken: Vec<u8>,
    now: Instant,
}

fn drive<S: Session<Ask: Debug>>(session: S, input: &[u8], size: usize, house: &mut impl House<S>) -> Vec<Event> {
    let mut drive = Drive::new(session);
    if drive.settle(house) && drive.feed(input, size, house) {
        drive.session.closed(drive.now);
        assert!(!drive.settle(house), "the peer has closed, and the session goes on waiting");
    }
    drive.events
}

impl<S: Session<Ask: Debug>> Drive<S> {
    fn new(session: S) -> Self {
        let (events, news, untaken) = (Vec::new(), VecDeque::new(), Vec::new());
        Drive { session, events, asked: 0, news, holds_news: false, untaken, now: Instant::now() }
    }

    fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// Tells what has been waiting longest, if anything has. Says whether the session still lives.
    fn hear_news(&mut self, house: &mut impl House<S>) -> bool {
        let Some(news) = self.news.pop_front() else { return true };
        self.session.news(news, self.now);
        self.settle(house)
    }

    /// Offers the input piece by piece. Says whether the session still lives.
    fn feed(&mut self, input: &[u8], size: usize, house: &mut impl House<S>) -> bool {
        for piece in input.chunks(size.min(input.len()).max(1)) {
            self.untaken.extend_from_slice(piece);
            while !self.untaken.is_empty() {
                let taken = self.session.receive(&self.untaken, self.now);
                assert!(taken <= self.untaken.len(), "{taken} octets were taken of {}", self.untaken.len());
                self.untaken.drain(..taken);
                if !self.settle(house) {
                    return false;
                }
                if taken == 0 {
                    assert!(self.untaken.len() <= UNTAKEN_MAX, "{} octets are left untaken", self.untaken.len());
                    break;
                }
            }
        }
        true
    }

    /// Calls `next` until the session waits or closes. Says whether it waits.
    fn settle(&mut self, house: &mut impl House<S>) -> bool {
        for _ in 0..STEPS_MAX {
            let mut out = Vec::new();
            match self.session.next(&mut out) {
                Step::Send => self.gather(out, Event::Sent(Vec::new())),
                Step::Keep => self.gather(out, Event::Kept(Vec::new())),
                Step::Ask(ask) => {
                    self.events.push(Event::Asked(format!("{ask:?}")));
                    self.asked += 1;
                    let answer = house.answer(&ask, self.asked);
                    self.news.extend(house.news(&ask, self.asked));
                    self.session.answer(answer, self.now);
                }
                Step::Secure => {
                    // What came in clear is thrown away by `net`; here it counts as said under TLS, for that does not
                    // depend on how the input was cut.
                    self.events.push(Event::Secured);
                    self.session.secured(tls(), self.now);
                }
                Step::Clear => self.events.push(Event::Cleared),
                // What follows counts as said behind it, compressed or not.
                Step::Deflate => self.events.push(Event::Deflated),
                Step::Wait { until } => {
                    assert!(until >= self.now, "a wait that is over already");
                    let Some(news) = self.news.pop_front_if(|_| !self.holds_news) else { return true };
                    self.session.news(news, self.now);
                }
                Step::Close => {
                    self.events.push(Event::Closed);
                    return false;
                }
            }
        }
        panic!("the session does not come to rest");
    }

    /// Octets that follow one another are one event, however many steps they took.
    fn gather(&mut self, out: Vec<u8>, kind: Event) {
        assert!(!out.is_empty(), "a step that promises octets has none");
        match (self.events.last_mut(), &kind) {
            (Some(Event::Sent(sent)), Event::Sent(_)) => sent.extend(out),
            (Some(Event::Kept(kept)), Event::Kept(_)) => kept.extend(out),
            (_, Event::Sent(_)) => self.events.push(Event::Sent(out)),
            _ => self.events.push(Event::Kept(out)),
        }
    }
}

/// TLS that was negotiated well.
pub fn tls() -> Secured {
    Secured {
        version: "TLSv1.3".to_owned(),
        cipher: "TLS_AES_128_GCM_SHA256".to_owned(),
        server_name: Some("hamburger.test".to_owned()),
        exporter: Some(vec![7; 32]),
        server_end_point: Some(vec![8; 32]),
        client_names: vec!["bob@hamburger.test".to_owned()],
        verified: true,
    }
}

/// A number that depends on all of the input: how a house that is fuzzed makes up its mind.
pub fn mood(input: &[u8]) -> u64 {
    input
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |mood: u64, octet| (mood ^ u64::from(*octet)).wrapping_mul(0x100_0000_01b3))
}

/// One of `choices`, another for each question.
pub fn choice(mood: u64, nth: usize, choices: u64) -> u64 {
    (mood.wrapping_add(nth as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) % choices
}

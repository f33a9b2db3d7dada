//! Laws that hold whatever is said, however it is cut, and whatever the house answers.

use super::*;
use crate::address::Family;
use crate::command::tests::commands;
use crate::listing::{Entry, EntryKind, Rights};
use crate::moment::Moment;
use crate::path::{VirtualPath, WirePath};
use crate::permissions::Permissions;
use crate::refusal::{Digest, Outcome, Refusal};
use crate::reply::{Heard, Replies};
use proptest::prelude::*;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// A session with a desk behind it that answers by dice, but the same question always the same way.
struct Play {
    server: Server,
    now: Instant,
    held: Vec<u8>,
    out: Vec<u8>,
    closed: bool,
    /// How many works have ended.
    ended: u64,
    seed: u64,
    /// Whether the desk answers something else than it was asked, now and then.
    careless: bool,
}

fn settings(tls: Tls) -> Settings {
    Settings {
        tls,
        deflate: true,
        creation_times: true,
        clear_control: true,
        failures_max: u32::MAX,
        unknown_max: u32::MAX,
        protect_data: false,
        ..Settings::default()
    }
}

impl Play {
    fn new(tls: Tls, seed: u64) -> Self {
        let now = Instant::now();
        let ends = Ends::new("192.0.2.1:21".parse().unwrap(), "192.0.2.99:4000".parse().unwrap());
        let server = Server::new(Arc::new(settings(tls)), ends, now);
        let (held, out) = (Vec::new(), Vec::new());
        let mut play = Play { server, now, held, out, closed: false, ended: 0, seed, careless: false };
        play.drive();
        play.log_in();
        play
    }

    fn log_in(&mut self) {
        self.server.stage = Stage::Named { user: "bob".into(), anonymous: false };
        let welcome = Welcome { permissions: Permissions::ALL, home: VirtualPath::root(), message: None };
        self.server.stage = self.server.login_answered("bob".into(), Ok(welcome));
        self.drive();
        self.out.clear();
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
        self.drive();
    }

    fn drive(&mut self) {
        while !self.closed {
            let mut out = Vec::new();
            match self.server.next(&mut out) {
                Step::Send => self.out.extend(out),
                Step::Keep => panic!("nothing is kept here"),
                Step::Ask(ask) => {
                    let answer = self.answer(&ask);
                    self.server.answer(answer, self.now);
                }
                Step::Clear => self.held.clear(),
                Step::Deflate => panic!("control connections are not compressed"),
                Step::Secure => {
                    self.held.clear();
                    self.server.secured(Secured::default(), self.now);
                }
                Step::Close => self.closed = true,
                Step::Wait { until } => {
                    assert!(until >= self.now, "nobody waits for the past");
                    let taken = self.server.receive(&self.held, self.now);
                    self.held.drain(..taken);
                    if taken == 0 {
                        assert!(self.held.len() < COMMAND_LINE_MAX_OCTETS);
                        return;
                    }
                }
            }
        }
    }

    fn dice(&self, what: &impl Hash, sides: u64) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.seed, what).hash(&mut hasher);
        hasher.finish() % sides
    }

    /// Ends what runs; says whether anything did.
    fn end(&mut self) -> bool {
        if !self.server.is_busy() || self.closed {
            return false;
        }
        self.ended += 1;
        let outcome = match self.dice(&self.ended, 8) {
            0 => Outcome::Aborted,
            1 => Outcome::NotConnected,
            2 => Outcome::Stalled(Duration::from_secs(9)),
            3 => Outcome::Refused(Refusal::Full),
            4 => Outcome::Digested(Digest { octets: vec![1, 2], from: 0, until: 9 }),
            5 => Outcome::Combined,
            _ => Outcome::Completed { octets: 7 },
        };
        self.server.news(News::Ended(outcome), self.now);
        self.drive();
        true
    }

    fn answer(&self, ask: &Ask) -> Answer {
        let text = format!("{ask:?}");
        if self.careless && self.dice(&(&text, "careless"), 10) == 0 {
            return Answer::Space(1);
        }
        match self.dice(&text, 5) {
            0 if !matches!(ask, Ask::Host(_) | Ask::Login(_)) => Answer::Refused(Refusal::NotFound),
            _ => fitting(ask),
        }
    }

    fn final_replies(&self) -> Vec<Reply> {
        let (mut replies, mut at, mut found) = (Replies::new(), 0, Vec::new());
        while at < self.out.len() {
            let (taken, heard) = replies.hear(&self.out[at..]);
            at += taken;
            match heard {
                Heard::Reply(reply) if reply.is_preliminary() => {}
                Heard::Reply(reply) => found.push(reply),
                Heard::More => {}
                Heard::Partial | Heard::Nonsense => {
                    panic!("not a reply: {:?}", String::from_utf8_lossy(&self.out[at - taken..]))
                }
            }
        }
        found
    }
}

fn fitting(ask: &Ask) -> Answer {
    match ask {
        Ask::Host(_) => Answer::Host(Ok(None)),
        Ask::Login(_) => Answer::Login(Err(Denied::Credentials)),
        Ask::Listen(Family::V4) => Answer::Listening("192.0.2.1:4000".parse().unwrap()),
        Ask::Listen(Family::V6) => Answer::Listening("[::1]:4000".parse().unwrap()),
        Ask::Begin(_) => Answer::Begun(Begun { connected: true, octets: Some(5), name: Some(VirtualPath::root()) }),
        Ask::Progress => Answer::Progress(3),
        Ask::Stat(_) => Answer::Entry(entry()),
        Ask::Kept(_) => Answer::Kept(5),
        Ask::Overview { .. } => {
            Answer::Overview(Overview { directory: true, lines: vec![b"213 x".to_vec(), Vec::new()], more: false })
        }
        Ask::Change { change, .. } => Answer::Changed(*change),
        Ask::Space(_) => Answer::Space(5),
        _ => Answer::Done,
    }
}

fn entry() -> Entry<'static> {
    Entry {
        name: b""[..].into(),
        kind: EntryKind::File,
        size: 5,
        modified: Moment::from_unix_secs(0),
        created: None,
        mode: 0o644,
        links: 1,
        owner: "bob".into(),
        group: "bob".into(),
        unique: None,
        rights: Rights::default(),
    }
}

/// What a client says: mostly commands, sometimes rubbish. QUIT ends every test too early.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let wire = |command: Command| {
        let mut wire = Vec::new();
        command.write(&mut wire);
        wire
    };
    let transfers = proptest::sample::select(vec!["RETR x\r\n", "STOR x\r\n", "LIST\r\n", "HASH x\r\n"]);
    prop_oneof![
        8 => commands().prop_filter("goes on", |command| *command != Command::Quit).prop_map(wire),
        3 => transfers.prop_map(|line| line.as_bytes().to_vec()),
        3 => proptest::sample::select(vec!["EPSV\r\n", "ABOR\r\n", "STAT\n", "\u{0}NOOP\r\n"]).prop_map(|line| line.as_bytes().to_vec()),
        1 => "[a-zA-Z0-9 ./*]{1,12}\r\n".prop_filter("goes on", |line| !foreign(line)).prop_map(String::into_bytes),
    ]
}

fn foreign(line: &str) -> bool {
    let word = line.split([' ', '\r']).next().unwrap_or_default().as_bytes();
    look_up(word) == Word::Foreign || is_quit(line.trim_end().as_bytes())
}

/// A command that is recognized in its reply.
fn marked(mark: usize) -> Vec<u8> {
    format!("MLST /mark{mark}\r\n").into_bytes()
}

fn marks(replies: &[Reply]) -> Vec<usize> {
    let mark =
        |line: &[u8]| String::from_utf8_lossy(line).rsplit_once(" /mark").and_then(|(_, mark)| mark.parse().ok());
    replies.iter().filter_map(|reply| reply.lines().find_map(mark)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn each_command_has_one_final_reply_in_order(
        said in proptest::collection::vec((lines(), 0u8..4), 1..60), seed in any::<u64>(), careless in any::<bool>(),
    ) {
        let mut play = Play::new(Tls::Absent, seed);
        play.careless = careless;
        let mut count = 0;
        for (at, (line, then)) in said.iter().enumerate() {
            play.hear(line);
            play.hear(&marked(at));
            count += 2;
            if *then == 0 {
                play.end();
            }
        }
        while play.end() {}
        prop_assert!(!play.closed, "nobody said QUIT");
        let replies = play.final_replies();
        prop_assert_eq!(replies.len(), count, "{:?}", replies);
        prop_assert!(marks(&replies).is_sorted());
    }

    #[test]
    fn pieces_do_not_matter(said in proptest::collection::vec(lines(), 1..30), seed in any::<u64>(), size in 1usize..40) {
        let input = said.concat();
        let answers = |size: usize| {
            let mut play = Play::new(Tls::Absent, seed);
            input.chunks(size).for_each(|piece| play.hear(piece));
            while play.end() {}
            String::from_utf8_lossy(&play.out).into_owned()
        };
        prop_assert_eq!(answers(size), answers(input.len()));
    }

    #[test]
    fn nothing_that_is_said_or_done_brings_it_down(
        said in proptest::collection::vec((prop_oneof![lines(), proptest::collection::vec(any::<u8>(), 0..40)], 0u8..10), 1..60),
        seed in any::<u64>(),
    ) {
        let mut play = Play::new(Tls::Optional, seed);
        play.careless = true;
        for (line, then) in said {
            play.hear(&line);
            if play.closed {
                break;
            }
            match then {
                0 => { play.end(); }
                1 => {
                    play.now += Duration::from_secs(100);
                    play.server.tick(play.now);
                    play.drive();
                }
                2 => {
                    let why = if line.len() % 2 == 0 { Leave::HouseCloses } else { Leave::SentAway };
                    play.server.leave(why, play.now);
                    play.drive();
                }
                3 => {
                    play.server.closed(play.now);
                    play.drive();
                    break;
                }
                _ => {}
            }
        }
        while play.end() {}
    }

}

#[test]
fn what_waits_for_a_transfer_stays_bounded() {
    let mut play = Play::new(Tls::Absent, 1);
    play.server.stage = match std::mem::take(&mut play.server.stage) {
        Stage::Member(member) => {
            Stage::Busy(Busy { member, work: stage::Work::Combining, stopped: stage::Stopped::Not })
        }
        _ => panic!("someone is in"),
    };
    let long = "x".repeat(1000);
    let taken = (0..1000).take_while(|n| {
        play.hear(format!("DELE {long}{n}\r\n").as_bytes());
        !play.closed
    });
    assert!((10..100).contains(&taken.count()), "the flood is ended, and not too soon");
}

#[test]
fn every_verb_of_the_table_is_obeyed() {
    for row in &crate::table::TABLE {
        let arguments = ["", " x", " 1", " I", " F", " S", " P", " TLS", " 1 2", " UTF8", " HELP", " \"a\" \"b\""];
        let more = [" 192,0,2,99,9,9", " |1|192.0.2.99|9999|", " 20020717210715 x", " Modify=20020717210715; x"];
        let replies = arguments.iter().chain(&more).map(|argument| {
            let mut play = Play::new(Tls::Absent, 3);
            play.hear(b"TYPE I\r\n");
            play.hear(format!("{}{argument}\r\n", row.name).as_bytes());
            while play.end() {}
            play.final_replies().get(1).map(Reply::code)
        });
        let understood = |code: &Option<u16>| !matches!(code, Some(500 | 501 | 504 | 530) | None);
        assert!(replies.into_iter().any(|code| understood(&code)), "{}", row.name);
    }
}

#[test]
fn a_session_is_small() {
    // 5,000 of them idle must not cost more than some megabytes. What a question takes is there only when one is asked.
    assert!(size_of::<Server>() < 640, "{}", size_of::<Server>());
}

#[test]
fn paths_in_questions_are_resolved() {
    let mut play = Play::new(Tls::Absent, 1);
    play.hear(b"CWD /a/../b/./c\r\n");
    let Stage::Member(member) = &play.server.stage else { panic!("someone is in") };
    let path = VirtualPath::root().resolve(&WirePath::new("b/c").unwrap()).unwrap();
    assert!([VirtualPath::root(), path].contains(&member.here));
}

//! What cannot be written down line by line: whatever others do meanwhile, a client that believes what it is told always
//! knows which message has which number.
//!
//! RFC 9051 §5.5 and §7.5.1; RFC 2180 §4.1.
//!
//! A house changes at random while commands go back and forth. A client keeps a list of UIDs by what it hears, EXISTS and
//! EXPUNGE or VANISHED, and nothing else; each FETCH must name the message that stands there.
//!
//! Not here: what is said word by word (transcripts).

use imap::flag::{Flag, Flags};
use imap::server::ask::*;
use imap::server::{Server, Settings};
use imap::set::NumberSet;
use line::{Session, Step};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

/// A mailbox, and what one session has not been told of it.
#[derive(Default)]
struct House {
    messages: BTreeMap<u32, bool>,
    uidnext: u32,
    modseq: u64,
    expunged: BTreeSet<u32>,
    added: BTreeSet<u32>,
    flagged: BTreeSet<u32>,
}

impl House {
    fn new(count: u32) -> House {
        let messages = (1..=count).map(|uid| (uid * 2, false)).collect();
        House { messages, uidnext: count * 2 + 1, modseq: 1, ..House::default() }
    }

    /// Somebody else does something.
    fn disturb(&mut self, what: u8, which: u8) {
        self.modseq += 1;
        let uid = self.messages.keys().nth(usize::from(which) % self.messages.len().max(1)).copied();
        match (what % 3, uid) {
            (0, Some(uid)) => self.expunge(uid),
            (1, Some(uid)) => {
                self.messages.entry(uid).and_modify(|deleted| *deleted = !*deleted);
                self.flagged.insert(uid);
            }
            _ => {
                self.messages.insert(self.uidnext, false);
                self.added.insert(self.uidnext);
                self.uidnext += 1 + u32::from(which % 3);
            }
        }
    }

    fn expunge(&mut self, uid: u32) {
        self.messages.remove(&uid);
        self.flagged.remove(&uid);
        if !self.added.remove(&uid) {
            self.expunged.insert(uid);
        }
    }

    fn flags(&self, uid: u32) -> Flags {
        let deleted = self.messages.get(&uid).copied().unwrap_or(false);
        deleted.then(|| Flag::parse(b"\\Deleted")).flatten().into_iter().collect()
    }

    fn answer(&mut self, ask: &Ask) -> Answer {
        match ask {
            Ask::Auth(_) => Answer::Auth(sasl::server::Answer::Login(Ok("1".into()))),
            Ask::Select { .. } => {
                (self.expunged, self.added, self.flagged) = Default::default();
                Answer::Selected(Box::new(Selected {
                    id: ObjectId::new("F1").expect("an id"),
                    uidvalidity: 1,
                    uidnext: self.uidnext,
                    highestmodseq: self.modseq,
                    uids: self.messages.keys().copied().collect(),
                    keywords: Vec::new(),
                    permanent: Permanent::Everything,
                    first_unseen: None,
                    read_only: false,
                }))
            }
            Ask::Sync => Answer::Changes(Changes {
                expunged: std::mem::take(&mut self.expunged).into_iter().collect(),
                added: std::mem::take(&mut self.added).into_iter().collect(),
                flags: std::mem::take(&mut self.flagged).into_iter().map(|uid| self.flagged(uid)).collect(),
                highestmodseq: self.modseq,
                ..Changes::default()
            }),
            Ask::Fetch(fetch) => {
                let here = fetch.uids.iter().filter(|uid| self.messages.contains_key(uid));
                let message = |uid| Message { uid, flags: self.flags(uid), ..Message::default() };
                Answer::Fetched(Fetched { messages: here.map(message).collect(), looked_until: None })
            }
            Ask::Store(store) => {
                let (here, gone): (Vec<u32>, Vec<u32>) =
                    store.uids.iter().partition(|uid| self.messages.contains_key(uid));
                for uid in &here {
                    self.messages.insert(*uid, true);
                }
                let flagged = here.into_iter().map(|uid| self.flagged(uid)).collect();
                Answer::Stored(Stored { flagged, gone: gone.into_iter().collect(), ..Stored::default() })
            }
            Ask::Expunge { uids } => {
                let wanted = |uid: &u32| uids.as_ref().is_none_or(|uids| uids.contains(*uid));
                let gone: Vec<u32> = self
                    .messages
                    .iter()
                    .filter(|(uid, deleted)| **deleted && wanted(uid))
                    .map(|(uid, _)| *uid)
                    .collect();
                gone.iter().for_each(|uid| self.expunge(*uid));
                Answer::Expunged { uids: gone.into_iter().collect(), modseq: self.modseq }
            }
            Ask::Copy { uids, remove, .. } => {
                let here: Vec<u32> = uids.iter().filter(|uid| self.messages.contains_key(uid)).collect();
                if *remove {
                    here.iter().for_each(|uid| self.expunge(*uid));
                }
                let from: NumberSet = here.into_iter().collect();
                Answer::Copied(Copied { uidvalidity: 2, to: from.clone(), from, modseq: self.modseq })
            }
            Ask::Search(_) => {
                Answer::Found(Found { hits: Hits::Set(self.messages.keys().copied().collect()), modseq: None })
            }
            _ => Answer::Done,
        }
    }

    fn flagged(&self, uid: u32) -> Flagged {
        Flagged { uid, flags: self.flags(uid), modseq: self.modseq }
    }
}

/// What a client knows by what it has heard: `None` for a message whose UID it has not learned.
#[derive(Default)]
struct Client {
    list: Vec<Option<u32>>,
    /// A command by numbers is under way, so that no number may change.
    by_numbers: bool,
}

impl Client {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split([' ', '(', ')']).filter(|word| !word.is_empty()).collect();
        match words[..] {
            ["*", count, "EXISTS"] => {
                let count = count.parse().expect("a count");
                assert!(count >= self.list.len(), "EXISTS never shrinks: {line}");
                self.list.resize(count, None);
            }
            ["*", number, "EXPUNGE"] => {
                assert!(!self.by_numbers, "EXPUNGE behind a command by numbers: {line}");
                self.list.remove(number.parse::<usize>().expect("a number") - 1);
            }
            ["*", "VANISHED", set] => {
                assert!(!self.by_numbers, "VANISHED behind a command by numbers: {line}");
                let gone = imap::set::SequenceSet::parse(set.as_bytes()).and_then(|set| set.plain()).expect("a set");
                // RFC 7162 §3.2.10: one that the client has no UID of is among those it has not asked about, in its order.
                for uid in gone.iter() {
                    let known = self.list.iter().position(|it| *it == Some(uid));
                    let behind = self.list.iter().rposition(|it| it.is_some_and(|it| it < uid)).map_or(0, |at| at + 1);
                    let unknown = self.list[behind..].iter().position(Option::is_none).map(|at| behind + at);
                    let place = known.or(unknown);
                    self.list.remove(place.unwrap_or_else(|| panic!("{line}: nobody has heard of {uid}")));
                }
            }
            ["*", number, "FETCH", ref rest @ ..] => {
                let uid = rest.iter().position(|word| *word == "UID").map(|at| rest[at + 1].parse().expect("a UID"));
                let place = &mut self.list[number.parse::<usize>().expect("a number") - 1];
                assert!(place.is_none() || uid.is_none() || *place == uid, "{line}: that number is {place:?}");
                *place = uid.or(*place);
            }
            _ => assert!(!line.contains(" BAD "), "{line}"),
        }
    }
}

struct Scene {
    server: Server,
    house: House,
    client: Client,
    now: Instant,
}

impl Scene {
    fn new(count: u32, qresync: bool) -> Scene {
        let now = Instant::now();
        let mut settings = Settings::new("imap.example.org");
        settings.clear_login = true;
        let server = Server::new(Arc::new(settings), &[7; 32], now);
        let mut scene = Scene { server, house: House::new(count), client: Client::default(), now };
        scene.settle();
        scene.say("a LOGIN joe x");
        if qresync {
            scene.say("b ENABLE QRESYNC");
        }
        scene.say("c SELECT INBOX");
        scene.say("d UID FETCH 1:* (UID)");
        scene
    }

    fn say(&mut self, line: &str) {
        let verb = line.split(' ').nth(1).unwrap_or_default();
        self.client.by_numbers = matches!(verb, "FETCH" | "STORE" | "SEARCH");
        let line = format!("{line}\r\n");
        assert_eq!(self.server.receive(line.as_bytes(), self.now), line.len());
        self.settle();
    }

    fn settle(&mut self) {
        loop {
            let mut out = Vec::new();
            match self.server.next(&mut out) {
                Step::Send => String::from_utf8_lossy(&out).lines().for_each(|line| self.client.hear(line)),
                Step::Ask(ask) => {
                    let answer = self.house.answer(&ask);
                    self.server.answer(answer, self.now);
                }
                Step::Wait { .. } => return,
                Step::Keep | Step::Secure | Step::Clear | Step::Deflate | Step::Close => {
                    panic!("nobody asked for that")
                }
            }
        }
    }

    fn act(&mut self, what: u8, which: u8) {
        let number = usize::from(which) % self.client.list.len().max(1) + 1;
        let uid = u32::from(which) + 1;
        match what {
            0..=3 => self.house.disturb(what, which),
            4 if !self.client.list.is_empty() => self.say(&format!("e FETCH {number}:* (UID FLAGS)")),
            5 => self.say(&format!("f UID FETCH {uid}:* (FLAGS)")),
            6 if !self.client.list.is_empty() => self.say(&format!("g STORE {number} +FLAGS (\\Deleted)")),
            7 => self.say(&format!("h UID STORE {uid},*:{number} +FLAGS.SILENT (\\Deleted)")),
            8 => self.say("i EXPUNGE"),
            9 => self.say("j NOOP"),
            10 => self.say("k SEARCH ALL"),
            11 => self.say(&format!("l UID MOVE {uid} Trash")),
            12 => {
                self.say("m IDLE");
                self.house.disturb(which, which / 2);
                self.server.news(News::Changed, self.now);
                self.settle();
                self.say("DONE");
            }
            _ => self.say(&format!("n UID EXPUNGE {uid}:*")),
        }
    }

    /// When all has been told, the client's list is that of the house.
    fn agree(&mut self) {
        self.say("y NOOP");
        self.say("z UID FETCH 1:* (UID)");
        let told: Vec<Option<u32>> = self.house.messages.keys().copied().map(Some).collect();
        assert_eq!(self.client.list, told);
    }
}

proptest! {
    #[test]
    fn numbers_never_shift_under_a_client(count in 0u32..12, qresync: bool, acts in proptest::collection::vec((0u8..14, 0u8..30), 0..40)) {
        let mut scene = Scene::new(count, qresync);
        for (what, which) in acts {
            scene.act(what, which);
        }
        scene.agree();
    }
}

#[test]
fn a_million_messages_open_and_cost_next_to_nothing() {
    let mut scene = Scene::new(0, false);
    scene.house.messages = (1..=1_000_000).map(|uid| (uid, false)).collect();
    scene.house.uidnext = 1_000_001;
    scene.client = Client::default();
    scene.say("a SELECT INBOX");
    assert_eq!(scene.client.list.len(), 1_000_000);
    scene.say("b FETCH 999999:* (UID)");
    assert_eq!(scene.client.list.last(), Some(&Some(1_000_000)));
}

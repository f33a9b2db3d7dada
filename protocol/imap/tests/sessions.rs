//! What cannot be written down line by line: whatever others do meanwhile, a client that believes what it is told always
//! knows which message has which number.
//!
//! RFC 9051 §5.5 and §7.5.1; RFC 2180 §4.1; RFC 5267 §4.3 (searches that are kept up to date).
//!
//! A house changes at random while commands go back and forth. A client keeps a list of UIDs by what it hears, EXISTS and
//! EXPUNGE or VANISHED, and nothing else; each FETCH must name the message that stands there. What two searches find it keeps by
//! ADDTO and REMOVEFROM alone.
//!
//! Not here: what is said word by word (transcripts).

use imap::flag::{Flag, Flags, SystemFlag};
use imap::search::Key;
use imap::server::ask::*;
use imap::server::{Server, Settings};
use imap::set::NumberSet;
use line::{Exposure, Session, Step};
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
    /// All that has changed, whoever did it.
    touched: BTreeSet<u32>,
}

/// An order that is not that of UIDs.
fn place(uid: u32) -> (u32, u32) {
    (uid * 7 % 31, uid)
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
                self.touched.insert(uid);
            }
            _ => {
                self.messages.insert(self.uidnext, false);
                self.added.insert(self.uidnext);
                self.touched.insert(self.uidnext);
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

    fn finds(&self, key: &Key<NumberSet>, uid: u32) -> bool {
        match key {
            Key::All => true,
            Key::And(keys) => keys.iter().all(|key| self.finds(key, uid)),
            Key::Among(set) => set.contains(uid),
            Key::Flag(SystemFlag::Deleted) => self.messages[&uid],
            other => panic!("nobody looks for {other:?}"),
        }
    }

    fn found(&self, search: &Search) -> Hits {
        let uids = self.messages.keys().copied().filter(|uid| self.finds(&search.program, *uid));
        match search.order {
            Order::Uid => Hits::Set(uids.collect()),
            _ => {
                let mut sorted: Vec<u32> = uids.collect();
                sorted.sort_by_key(|uid| place(*uid));
                Hits::Sorted(sorted)
            }
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
                (self.expunged, self.added, self.flagged, self.touched) = Default::default();
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
                touched: std::mem::take(&mut self.touched).into_iter().collect(),
                highestmodseq: self.modseq,
                ..Changes::default()
            }),
            Ask::Fetch(fetch) => {
                let here = fetch.uids.iter().filter(|uid| self.messages.contains_key(uid));
                let message = |uid| Message { uid, flags: self.flags(uid), ..Message::default() };
                Answer::Fetched(Fetched { messages: here.map(message).collect(), ..Fetched::default() })
            }
            Ask::Store(store) => {
                let (here, gone): (Vec<u32>, Vec<u32>) =
                    store.uids.iter().partition(|uid| self.messages.contains_key(uid));
                for uid in &here {
                    self.messages.insert(*uid, true);
                    self.touched.insert(*uid);
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
            Ask::Search(search) => Answer::Found(Found { hits: self.found(search), modseq: None }),
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
    /// Whether the first search finds the message that stands there.
    found: Vec<bool>,
    /// What the second one finds, in its order.
    sorted: Vec<u32>,
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
                self.found.resize(count, false);
            }
            ["*", number, "EXPUNGE"] => {
                assert!(!self.by_numbers, "EXPUNGE behind a command by numbers: {line}");
                self.lose(number.parse::<usize>().expect("a number") - 1);
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
                    self.lose(place.unwrap_or_else(|| panic!("{line}: nobody has heard of {uid}")));
                }
            }
            ["*", "ESEARCH", "TAG", "\"s1\"", word, ref parts @ ..] => self.numbers_found(word, parts, line),
            ["*", "ESEARCH", "TAG", "\"s2\"", "UID", word, ref parts @ ..] => self.uids_found(word, parts),
            ["*", "ESEARCH", ..] => {}
            ["*", number, "FETCH", ref rest @ ..] => {
                let uid = rest.iter().position(|word| *word == "UID").map(|at| rest[at + 1].parse().expect("a UID"));
                let place = &mut self.list[number.parse::<usize>().expect("a number") - 1];
                assert!(place.is_none() || uid.is_none() || *place == uid, "{line}: that number is {place:?}");
                *place = uid.or(*place);
            }
            _ => assert!(!line.contains(" BAD "), "{line}"),
        }
    }

    fn lose(&mut self, at: usize) {
        self.list.remove(at);
        assert!(!self.found.remove(at), "a message was found until it lost its number");
    }

    fn numbers_found(&mut self, word: &str, parts: &[&str], line: &str) {
        let sets = match word {
            "ALL" => parts[0],
            _ => parts[1],
        };
        for number in numbers(sets) {
            let found = std::mem::replace(&mut self.found[number as usize - 1], word != "REMOVEFROM");
            assert_eq!(found, word == "REMOVEFROM", "{line}");
        }
    }

    fn uids_found(&mut self, word: &str, parts: &[&str]) {
        match word {
            "ALL" => self.sorted = numbers(parts[0]),
            _ => {
                for part in parts.chunks(2) {
                    let (at, uids) = (part[0].parse::<usize>().expect("a place") - 1, numbers(part[1]));
                    if word == "ADDTO" {
                        self.sorted.splice(at..at, uids);
                    } else {
                        assert_eq!(self.sorted.drain(at..at + uids.len()).collect::<Vec<_>>(), uids);
                    }
                }
            }
        }
    }
}

/// What is written as a set, in the order it is written.
fn numbers(text: &str) -> Vec<u32> {
    let range = |part: &str| imap::set::SequenceSet::parse(part.as_bytes()).and_then(|set| set.plain()).expect("a set");
    text.split(',').flat_map(|part| range(part).iter().collect::<Vec<_>>()).collect()
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
        scene.say("s1 SEARCH RETURN (UPDATE ALL) DELETED");
        scene.say("s2 UID SORT RETURN (UPDATE ALL) (SIZE) UTF-8 DELETED");
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
        assert_eq!(self.client.found, self.house.messages.values().copied().collect::<Vec<_>>());
        let mut sorted: Vec<u32> =
            self.house.messages.iter().filter(|(_, deleted)| **deleted).map(|(uid, _)| *uid).collect();
        sorted.sort_by_key(|uid| place(*uid));
        assert_eq!(self.client.sorted, sorted);
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
fn urls_that_grant_access_are_not_shown() {
    let mut scene = Scene::new(0, false);
    let mut input = &b"a URLFETCH {3+}\r\nurl \"another\"\r\n"[..];
    let mut shown = Vec::new();
    while !input.is_empty() {
        let taken = scene.server.receive(input, scene.now);
        shown.push((&input[..taken], scene.server.exposure()));
        input = &input[taken..];
    }
    let hidden = |(piece, exposure): &(&[u8], Exposure)| match exposure {
        Exposure::Content => true,
        Exposure::SecretAfter(octets) => !piece[..*octets].windows(3).any(|word| word == b"url" || word == b"ano"),
        Exposure::Open => false,
    };
    assert!(shown.len() > 1 && shown.iter().all(hidden), "{shown:?}");
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

//! Looking for messages in a mailbox.
//!
//! RFC 9051 §6.4.4 (SEARCH), RFC 5032 (WITHIN), RFC 7162 §3.1.5 (MODSEQ), RFC 8474 §6, RFC 8514 §4.3 (save dates).
//!
//! ```text
//! rows in memory ─cannot tell→ texts that are surely absent ─cannot tell→ row and outline in the index ─cannot tell→ header, then bodies
//! ```
//!
//! Each step decides what it can with what it has; only messages about which it cannot tell go on to the next, dearer one. All texts
//! that are looked for in a message are looked for in one go through it.
//!
//! Invariants: what is found is what the message says, whatever an index believes; memory does not grow with the messages.
//! Not here: how a dialogue writes queries (imap), ordering and threading (desks).

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use message::Date;
use message::find::{Pattern, Scope, find, shown as shown_field};
use message::header::Fields;
use message::mime::words;
use message::outline::Glance;
use message::outline::glance::{Address, Addresses, MailboxGlance};

use crate::Store;
use crate::error::ReadError;
use crate::essence::fetch;
use crate::names::{EmailId, ModSeq, ThreadId, Uid};
use crate::read::{self, Bodied, Kept};
use crate::sight::{Breadth, Outlined};
use crate::snapshot::{Row, Snapshot};
use crate::texts::Narrowed;

/// How many messages are taken out of the index at once.
const LISTED_AT_ONCE: usize = 250;

/// How many are looked at in one step where outlines most likely are enough.
const PASSED_AT_ONCE: usize = 1_000;

/// A condition on messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// Every message.
    All,
    /// All of these hold.
    And(Vec<Query>),
    /// One of these holds.
    Or(Vec<Query>),
    /// It does not hold.
    Not(Box<Query>),
    /// It is in one of these ranges, both ends included.
    Uids(Vec<(Uid, Uid)>),
    /// It has all of these system flags.
    Flags(u32),
    /// It has this keyword, in whatever case.
    Keyword(String),
    /// It has more octets.
    Larger(u64),
    /// It has fewer octets.
    Smaller(u64),
    /// It arrived then, Unix seconds.
    Received(Range<i64>),
    /// It came into this mailbox then, Unix seconds.
    Saved(Range<i64>),
    /// Its Date field says so, its time zone passed over: Unix seconds of the same clock in Greenwich. No date, no match.
    Sent(Range<i64>),
    /// It was changed with this number or a later one.
    ModSeq(ModSeq),
    /// It is this email.
    Email(EmailId),
    /// It belongs to this discussion.
    Thread(ThreadId),
    /// This text stands in its subject.
    Subject(String),
    /// This text stands among these people, names or addresses.
    People(People, String),
    /// It has a field of this name with this text in it; an empty text asks for the field.
    Header(String, String),
    /// This text stands in its body.
    Body(String),
    /// This text stands in its header or its body.
    Text(String),
}

/// Fields with people in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum People {
    /// From
    From,
    /// To
    To,
    /// Cc
    Cc,
    /// Bcc
    Bcc,
}

impl People {
    fn of<'a>(self, front: &Glance<'a>) -> Addresses<'a> {
        match self {
            People::From => front.envelope.from,
            People::To => front.envelope.to,
            People::Cc => front.envelope.cc,
            People::Bcc => front.envelope.bcc,
        }
    }

    fn field(self) -> &'static str {
        match self {
            People::From => "from",
            People::To => "to",
            People::Cc => "cc",
            People::Bcc => "bcc",
        }
    }
}

/// A search under way. It goes on by [`step`](Search::step)s, so that it can be left and its progress told.
#[derive(Debug)]
pub struct Search {
    store: Store,
    snapshot: Arc<Snapshot>,
    node: Node,
    texts: Vec<(Scope, Pattern)>,
    /// Messages about which the rows in memory could not tell, from the last to the first.
    open: Vec<Uid>,
    total: usize,
    hits: Vec<Uid>,
    /// What the text index says; asked once, with the first step.
    narrowed: Narrowing,
}

#[derive(Debug)]
enum Narrowing {
    NotYet,
    Nothing,
    Some(Narrowed),
}

impl Search {
    pub(crate) fn new(store: Store, snapshot: Arc<Snapshot>, query: &Query) -> Search {
        let mut texts = Vec::new();
        let node = Node::of(query, &mut texts);
        let (mut open, mut hits) = (Vec::new(), Vec::new());
        for row in snapshot.rows() {
            match node.holds(&Known::of(row, &snapshot)) {
                Some(true) => hits.push(row.uid),
                Some(false) => {}
                None => open.push(row.uid),
            }
        }
        open.reverse();
        let total = open.len();
        Search { store, snapshot, node, texts, open, total, hits, narrowed: Narrowing::NotYet }
    }

    /// Whether everything has been looked at.
    pub fn is_over(&self) -> bool {
        self.open.is_empty()
    }

    /// How many of how many messages that need a closer look have had it.
    pub fn progress(&self) -> (usize, usize) {
        (self.total - self.open.len(), self.total)
    }

    /// Looks at some more messages: a few hundred rows, or a few bodies. Blocks.
    pub fn step(&mut self) -> Result<(), ReadError> {
        if matches!(self.narrowed, Narrowing::NotYet) {
            self.narrowed = self.narrow()?;
        }
        let is_told_by_outlines = self.node.is_told_by_outlines();
        let at_once = if is_told_by_outlines { PASSED_AT_ONCE } else { LISTED_AT_ONCE };
        let mut uids = self.open.split_off(self.open.len().saturating_sub(at_once));
        uids.reverse();
        if is_told_by_outlines {
            return self.pass(&uids);
        }
        for listed in self.store.list(self.snapshot.mailbox, &uids)? {
            if self.matches(&listed.kept, &listed.outlined())? {
                self.hits.push(listed.kept.uid);
            }
        }
        Ok(())
    }

    /// Looks at outlines where they are kept.
    fn pass(&mut self, uids: &[Uid]) -> Result<(), ReadError> {
        let mut hits = std::mem::take(&mut self.hits);
        let passed = self.store.walk(self.snapshot.mailbox, uids, Breadth::Outline, |sight| {
            let Some(row) = self.row(sight.uid()) else { return Ok(ControlFlow::Continue(())) };
            let front = sight.outlined().glance();
            let known = Known { front: Some(&front), ..Known::of(row, &self.snapshot) };
            let matches = match self.node.holds(&known) {
                Some(matches) => matches,
                // A limit has kept something out of the outline.
                None => self.matches(&sight.kept()?, &sight.outlined())?,
            };
            hits.extend(matches.then_some(sight.uid()));
            Ok(ControlFlow::Continue(()))
        });
        self.hits = hits;
        passed
    }

    /// Looks at everything. Blocks, perhaps for long.
    pub fn finish(mut self) -> Result<Vec<Uid>, ReadError> {
        while !self.is_over() {
            self.step()?;
        }
        Ok(self.hits())
    }

    /// What has been found, ascending.
    pub fn hits(mut self) -> Vec<Uid> {
        self.hits.sort_unstable();
        self.hits
    }

    /// Decides what can be decided by knowing which texts are absent.
    fn narrow(&mut self) -> Result<Narrowing, ReadError> {
        if self.texts.is_empty() || self.open.is_empty() {
            return Ok(Narrowing::Nothing);
        }
        let mut uids = std::mem::take(&mut self.open);
        uids.reverse();
        let bodies = self.store.read(|conn| read::bodies_of(conn, self.snapshot.mailbox, &uids))?;
        let lowest = bodies.iter().map(|bodied| bodied.body.0).min().unwrap_or(0);
        let highest = bodies.iter().map(|bodied| bodied.body.0).max().unwrap_or(0);
        let patterns: Vec<&Pattern> = self.texts.iter().map(|(_, pattern)| pattern).collect();
        let Some(narrowed) = self.store.running.texts.narrow(&patterns, lowest..=highest) else {
            self.open = uids.into_iter().rev().collect();
            return Ok(Narrowing::Nothing);
        };
        for Bodied { uid, body, prefix } in bodies {
            let absent: Vec<bool> = self
                .texts
                .iter()
                .enumerate()
                .map(|(number, text)| narrowed.is_absent(number, body) && !is_in_prefix(text, &prefix))
                .collect();
            let Some(row) = self.row(uid) else { continue };
            let known = Known { absent: Some(&absent), ..Known::of(row, &self.snapshot) };
            match self.node.holds(&known) {
                Some(true) => self.hits.push(uid),
                Some(false) => {}
                None => self.open.push(uid),
            }
        }
        self.open.reverse();
        Ok(Narrowing::Some(narrowed))
    }

    fn matches(&self, kept: &Kept, outlined: &Outlined<'_>) -> Result<bool, ReadError> {
        let Some(row) = self.row(kept.uid) else { return Ok(false) };
        let front = outlined.glance();
        let known = Known { kept: Some(kept), front: Some(&front), ..Known::of(row, &self.snapshot) };
        if let Some(holds) = self.node.holds(&known) {
            return Ok(holds);
        }
        match self.look_inside(kept, outlined, known) {
            // Expunged meanwhile.
            Err(ReadError::NotFound) => Ok(false),
            other => other,
        }
    }

    fn row(&self, uid: Uid) -> Option<&Row> {
        self.snapshot.get(self.snapshot.index_of(uid)?)
    }

    fn look_inside(&self, kept: &Kept, outlined: &Outlined<'_>, known: Known<'_>) -> Result<bool, ReadError> {
        let reader = self.store.reader(kept)?;
        let fetch = |range: Range<usize>| fetch(range, |at, buf| reader.read(at, buf));
        let outline = outlined.outline();
        let header = fetch(outline.tree.root().header.clone())?;
        let known = Known { header: Some(&header), ..known };
        if let Some(holds) = self.node.holds(&known) {
            return Ok(holds);
        }
        let found = find(&outline.tree, &self.texts, fetch)?;
        let is_indexed = matches!(&self.narrowed, Narrowing::Some(narrowed) if narrowed.knows(kept.body()));
        if !is_indexed {
            self.store.running.texts.want(kept.body());
        }
        Ok(self.node.holds(&Known { found: Some(&found), ..known }).unwrap_or(false))
    }
}

/// A query that is ready to be asked.
#[derive(Debug)]
enum Node {
    All,
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Plain(Query),
    Subject(Pattern),
    People(People, Pattern),
    Header(String, Pattern),
    /// A text that is looked for inside, by its number.
    Inside(usize),
}

/// What is known of a message so far.
struct Known<'a> {
    row: &'a Row,
    snapshot: &'a Snapshot,
    kept: Option<&'a Kept>,
    front: Option<&'a Glance<'a>>,
    header: Option<&'a [u8]>,
    /// Which texts are surely not inside.
    absent: Option<&'a [bool]>,
    /// Which texts are inside.
    found: Option<&'a [bool]>,
}

impl<'a> Known<'a> {
    fn of(row: &'a Row, snapshot: &'a Snapshot) -> Known<'a> {
        Known { row, snapshot, kept: None, front: None, header: None, absent: None, found: None }
    }
}

impl Node {
    fn of(query: &Query, texts: &mut Vec<(Scope, Pattern)>) -> Node {
        let mut inside = |scope, text: &str| {
            texts.push((scope, Pattern::new(text)));
            Node::Inside(texts.len() - 1)
        };
        match query {
            Query::All => Node::All,
            Query::Body(text) => inside(Scope::Body, text),
            Query::Text(text) => inside(Scope::Text, text),
            Query::And(all) => Node::And(all.iter().map(|query| Node::of(query, texts)).collect()),
            Query::Or(some) => Node::Or(some.iter().map(|query| Node::of(query, texts)).collect()),
            Query::Not(query) => Node::Not(Box::new(Node::of(query, texts))),
            Query::Subject(text) => Node::Subject(Pattern::new(text)),
            Query::People(people, text) => Node::People(*people, Pattern::new(text)),
            Query::Header(name, text) => Node::Header(name.clone(), Pattern::new(text)),
            plain => Node::Plain(plain.clone()),
        }
    }

    /// Whether outlines, with what is in memory, tell of nearly every message.
    fn is_told_by_outlines(&self) -> bool {
        match self {
            Node::All | Node::Subject(_) | Node::People(..) => true,
            Node::Plain(query) => !matches!(query, Query::Saved(_) | Query::Email(_) | Query::Thread(_)),
            Node::And(nodes) | Node::Or(nodes) => nodes.iter().all(Node::is_told_by_outlines),
            Node::Not(node) => node.is_told_by_outlines(),
            Node::Header(..) | Node::Inside(_) => false,
        }
    }

    /// Whether it holds; `None` if that cannot be told yet.
    fn holds(&self, known: &Known<'_>) -> Option<bool> {
        match self {
            Node::All => Some(true),
            Node::Plain(query) => plain_holds(query, known),
            Node::And(all) => every(all.iter().map(|node| node.holds(known))),
            Node::Or(some) => every(some.iter().map(|node| node.holds(known).map(|holds| !holds))).map(|none| !none),
            Node::Not(node) => node.holds(known).map(|holds| !holds),
            Node::Subject(pattern) => in_subject(pattern, known),
            Node::People(people, pattern) => among(*people, pattern, known),
            Node::Header(name, pattern) => known.header.map(|header| pattern.is_in_field(header, name)),
            Node::Inside(number) => inside(*number, known),
        }
    }
}

/// Whether all hold: one that does not decides, whatever the others may turn out to be.
fn every(verdicts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut all = Some(true);
    for verdict in verdicts {
        match verdict {
            Some(false) => return Some(false),
            Some(true) => {}
            None => all = None,
        }
    }
    all
}

fn inside(number: usize, known: &Known<'_>) -> Option<bool> {
    let of = |verdicts: &[bool]| verdicts.get(number).copied().unwrap_or(false);
    match known.found {
        Some(found) => Some(of(found)),
        None => known.absent.filter(|absent| of(absent)).map(|_| false),
    }
}

/// The index knows bodies; what stands in front of one for its recipient alone is header, too.
fn is_in_prefix((scope, pattern): &(Scope, Pattern), prefix: &[u8]) -> bool {
    *scope == Scope::Text && Fields::new(prefix).any(|field| pattern.is_in(&shown_field(&field)))
}

fn plain_holds(query: &Query, known: &Known<'_>) -> Option<bool> {
    let row = known.row;
    match query {
        Query::Uids(ranges) => Some(is_among(ranges, row.uid)),
        Query::Flags(flags) => Some(u32::from(row.system) & flags == *flags),
        Query::Keyword(word) => {
            Some(known.snapshot.keywords_of(row).iter().any(|keyword| keyword.eq_ignore_ascii_case(word)))
        }
        Query::Larger(octets) => Some(u64::from(row.size) > *octets),
        Query::Smaller(octets) => Some(u64::from(row.size) < *octets),
        Query::Received(when) => Some(when.contains(&row.received_at)),
        Query::ModSeq(modseq) => Some(row.modseq >= *modseq),
        Query::Saved(when) => known.kept.map(|kept| when.contains(&kept.saved_at)),
        Query::Email(email) => known.kept.map(|kept| kept.email == *email),
        Query::Thread(thread) => known.kept.map(|kept| kept.thread == *thread),
        Query::Sent(when) => known.front.map(|front| sent_at(front).is_some_and(|at| when.contains(&at))),
        _ => Some(true),
    }
}

fn is_among(ranges: &[(Uid, Uid)], uid: Uid) -> bool {
    ranges.iter().any(|(first, last)| (*first..=*last).contains(&uid))
}

/// What the clock of the sender showed.
fn sent_at(front: &Glance<'_>) -> Option<i64> {
    Date::parse(front.envelope.date?).map(|date| date.local_secs())
}

fn in_subject(pattern: &Pattern, known: &Known<'_>) -> Option<bool> {
    let front = known.front?;
    let subject = front.envelope.subject.map(words::decoded);
    match subject.is_some_and(|subject| pattern.is_in(&subject)) {
        true => Some(true),
        // What was too long to be kept is in the header still.
        false if front.is_cut => known.header.map(|header| pattern.is_in_field(header, "subject")),
        false => Some(false),
    }
}

fn among(people: People, pattern: &Pattern, known: &Known<'_>) -> Option<bool> {
    let front = known.front?;
    match shown(people.of(front)).any(|entry| pattern.is_in(&entry)) {
        true => Some(true),
        false if front.is_cut => known.header.map(|header| pattern.is_in_field(header, people.field())),
        false => Some(false),
    }
}

/// The entries of a list as people write them.
fn shown(mut list: Addresses<'_>) -> impl Iterator<Item = String> {
    std::iter::from_fn(move || match list.next()? {
        Address::Mailbox(mailbox) => Some(address(mailbox)),
        Address::Group(name) => {
            let members: Vec<String> = list.by_ref().map_while(member).collect();
            Some(format!("{}: {};", words::decode(name), members.join(", ")))
        }
        // It ended the group before.
        Address::GroupEnd => Some(String::new()),
    })
}

/// What stands in a group; nothing at its end.
fn member(address_or_end: Address<'_>) -> Option<String> {
    match address_or_end {
        Address::Mailbox(mailbox) => Some(address(mailbox)),
        Address::Group(_) | Address::GroupEnd => None,
    }
}

fn address(mailbox: MailboxGlance<'_>) -> String {
    let (local, domain) = (String::from_utf8_lossy(mailbox.local), String::from_utf8_lossy(mailbox.domain));
    match mailbox.name.map(words::decode) {
        Some(name) => format!("{name} <{local}@{domain}>"),
        None => format!("{local}@{domain}"),
    }
}

//! FETCH: batch by batch, message by message, stretch by stretch.
//!
//! RFC 9051 §6.4.5 and §7.5.2; RFC 7162 §3.1.4 (CHANGEDSINCE, MODSEQ) and §3.2.6 (VANISHED); RFC 3516 (BINARY); RFC 9394
//! §3.2 (PARTIAL); RFC 9586 §3.3 (UIDFETCH); RFC 2180 §4.1 (messages that are gone); RFC 5530 §3 (EXPUNGEISSUED).
//!
//! ```text
//! Fetch ─Fetched→ messages are written ─a piece is full→ sent, and on
//!                                      ─octets apart→ sent as they are, and on
//!                                      ─a stretch→ Read ─Octets or Sent→ … ─→ on
//!                                      ─batch at its end→ Fetch … or the reply
//! ```
//!
//! Invariants: what is held is one batch and one piece; content that the house has read is not copied; a literal whose
//! octets cannot be had ends the connection, never the literal.
//! Not here: where the octets come from (house).

use super::ask::{APART_MIN, Answer, Ask, Content, Excerpt, FETCH_BATCH_MAX, Fetch, Fetched, Message, Refusal};
use super::stage::{Flow, Member, Pending, Stage, Then, Turn};
use super::stretch::{Broken, Stretch};
use super::{Server, refusal};
use crate::capability::Capability as C;
use crate::command::{self, Window};
use crate::fetch::{Form, Item};
use crate::reply::{Code, Pen, Reply};
use crate::set::NumberSet;

/// A FETCH under way.
#[derive(Debug)]
pub(super) struct FetchWork {
    /// Messages that were not asked for yet.
    left: NumberSet,
    /// What is asked of each; its set is the batch at hand.
    fetch: Fetch,
    /// Of each item with content its name, as it stands before that.
    names: Vec<Vec<u8>>,
    /// What the house has given.
    messages: Vec<Message>,
    /// What of it is sent as it is.
    octets: Vec<u8>,
    /// What of that came by itself, until it is sent.
    apart: Vec<Vec<u8>>,
    /// The first message that was not written to its end yet.
    at: usize,
    /// How far it was written.
    partway: Option<Partway>,
    /// Something is gone that was asked for.
    missing: bool,
    reply: Reply,
    /// What follows instead of the reply, if nobody has asked for this.
    then: Option<Then>,
}

/// How far a message was written.
#[derive(Debug)]
struct Partway {
    /// The next item.
    item: usize,
    /// The next section.
    section: usize,
    /// No item was written yet.
    first: bool,
    /// What is left of its content that is read right now.
    stretch: Option<Stretch>,
}

impl FetchWork {
    pub(super) fn new(left: NumberSet, fetch: Fetch, reply: Reply) -> Self {
        let names = fetch.items.iter().filter(|item| has_content(item)).map(content_name).collect();
        let (messages, octets, apart) = (Vec::new(), Vec::new(), Vec::new());
        let (at, partway, missing, then) = (0, None, false, None);
        FetchWork { left, fetch, names, messages, octets, apart, at, partway, missing, reply, then }
    }

    /// For messages that are told unasked.
    pub(super) fn then(self, then: Then) -> Self {
        FetchWork { then: Some(then), ..self }
    }
}

impl Server {
    pub(super) fn fetch(&mut self, mut member: Box<Member>, turn: Turn, fetch: command::Fetch) -> Stage {
        let command::Fetch { messages, items, changed_since, vanished, window } = fetch;
        if let Some(reply) = self.fetch_unknown(&items, changed_since, window) {
            return self.finish(member, turn, reply);
        }
        if vanished && !(turn.uid && member.enabled.qresync) {
            return self.finish(member, turn, Reply::bad("VANISHED is for UID FETCH behind ENABLE QRESYNC"));
        }
        let uids = match self.uids_named(&member, &turn, &messages) {
            Ok(uids) => uids,
            Err(reply) => return self.finish(member, turn, reply),
        };
        member.enabled.condstore |= changed_since.is_some() || items.contains(&Item::ModSeq);
        let Some(mailbox) = &member.mailbox else {
            return self.finish(member, turn, Reply::bad("select a mailbox first"));
        };
        let mark_seen = !mailbox.read_only && items.iter().any(Item::sets_seen);
        let here = uids.difference(mailbox.view.gone());
        let missing = here != uids && !turn.uid;
        let left = window.map_or(here.clone(), |window| window.of(&here));
        let fetch = Fetch { uids: NumberSet::new(), items, changed_since, mark_seen };
        let mut work = FetchWork::new(left, fetch, Reply::ok("fetched"));
        work.missing = missing;
        if let (true, command::Named::Set(set), Some(since)) = (vanished, &messages, changed_since) {
            // Numbers that no message has, too: those are what it is about.
            let uids = set.resolve(mailbox.view.last_uid());
            let uids = uids.difference(&mailbox.view.known(&uids));
            if !uids.is_empty() {
                return self.await_answer(member, turn, Ask::Vanished { since, uids }, Pending::FetchVanished(work));
            }
        }
        self.fetch_begin(member, turn, work)
    }

    /// An item or a modifier that belongs to what is not offered.
    pub(super) fn fetch_unknown(
        &self,
        items: &[Item],
        changed_since: Option<u64>,
        window: Option<Window>,
    ) -> Option<Reply> {
        let belongs = |item: &Item| match item {
            Item::ModSeq => Some(C::Condstore),
            Item::EmailId | Item::ThreadId => Some(C::ObjectId),
            Item::SaveDate => Some(C::Savedate),
            Item::Preview { .. } => Some(C::Preview),
            Item::BinarySize(_) => Some(C::Binary),
            Item::Section(section) if section.form == Form::Binary => Some(C::Binary),
            _ => None,
        };
        let modifiers = [changed_since.map(|_| C::Condstore), window.map(|_| C::Partial)];
        let mut needed = items.iter().filter_map(belongs).chain(modifiers.into_iter().flatten());
        needed.any(|capability| !self.offers(capability)).then(|| Reply::bad("no such item can be fetched"))
    }

    pub(super) fn fetch_vanished(
        &mut self,
        member: Box<Member>,
        turn: Turn,
        work: FetchWork,
        uids: &NumberSet,
    ) -> Stage {
        let here = member.mailbox.as_ref().map_or(NumberSet::new(), |mailbox| mailbox.view.known(uids));
        let vanished = uids.difference(&here);
        if !vanished.is_empty() {
            self.pen().word("* VANISHED (EARLIER) ").set(&vanished).end();
        }
        self.fetch_begin(member, turn, work)
    }

    /// Asks for the next batch, or ends.
    pub(super) fn fetch_begin(&mut self, member: Box<Member>, turn: Turn, mut work: FetchWork) -> Stage {
        (work.messages, work.octets, work.apart, work.at) = (Vec::new(), Vec::new(), Vec::new(), 0);
        if work.left.is_empty() {
            if let Some(then) = work.then {
                return self.go_on(member, turn, then);
            }
            let reply = match work.missing && work.reply.condition == crate::reply::Condition::Ok {
                true => refusal::reply_to(Refusal::ExpungeIssued),
                false => work.reply,
            };
            return self.finish(member, turn, reply);
        }
        work.fetch.uids = work.left.take_front(FETCH_BATCH_MAX);
        self.await_answer(member, turn, Ask::Fetch(work.fetch.clone()), Pending::Fetch(work))
    }

    pub(super) fn not_fetched(&mut self, member: Box<Member>, turn: Turn, work: FetchWork, answer: Answer) -> Stage {
        let reply = self.refusal_of(answer);
        match work.then {
            Some(then) => self.go_on(member, turn, then),
            None => self.finish(member, turn, reply),
        }
    }

    pub(super) fn fetched(&mut self, member: Box<Member>, turn: Turn, mut work: FetchWork, fetched: Fetched) -> Stage {
        let asked = std::mem::take(&mut work.fetch.uids);
        if let Some(until) = fetched.looked_until.filter(|until| asked.first().is_some_and(|first| *until >= first)) {
            let rest = asked.difference(&NumberSet::range(1, until));
            work.left = rest.union(&work.left);
        }
        let answered = asked.difference(&work.left);
        let complete = fetched.messages.len() as u64 == answered.count();
        work.missing |= !complete && work.fetch.changed_since.is_none() && !turn.uid;
        (work.messages, work.octets, work.apart) = (fetched.messages, fetched.octets, fetched.apart);
        self.fetch_on(member, turn, work)
    }

    /// Writes until a piece is full, something goes out as it is, a stretch must be read, or the batch is at its end.
    pub(super) fn fetch_on(&mut self, member: Box<Member>, turn: Turn, mut work: FetchWork) -> Stage {
        loop {
            if let Some(stretch) = work.partway.as_ref().and_then(|partway| partway.stretch) {
                return self.await_answer(member, turn, stretch.ask(), Pending::Read(work));
            }
            if !self.apart.is_empty() || (work.partway.is_none() && self.piece_is_full()) {
                return Stage::Flowing { member, turn, flow: Box::new(Flow::Fetch(Box::new(work))) };
            }
            let Some(message) = work.messages.get(work.at) else { return self.fetch_begin(member, turn, work) };
            let begun = || {
                let first = self.write_opening(&member, &turn, &work.fetch, message)?;
                Some(Partway { item: 0, section: 0, first, stretch: None })
            };
            work.partway = work.partway.take().or_else(begun);
            if work.partway.is_some() {
                self.write_items(&member, &turn, &mut work);
            }
            if work.partway.is_none() {
                work.at += 1;
            }
        }
    }

    /// `* 12 FETCH (`; says whether nothing stands behind it yet. `None` for a message that the client does not know.
    fn write_opening(&mut self, member: &Member, turn: &Turn, fetch: &Fetch, message: &Message) -> Option<bool> {
        let number = member.mailbox.as_ref()?.view.number_of(message.uid)?;
        if member.enabled.uid_only {
            self.pen().word("* ").number(message.uid).word(" UIDFETCH (");
            return Some(true);
        }
        let mut pen = self.pen();
        pen.word("* ").number(number).word(" FETCH (");
        let told = turn.uid && !fetch.items.contains(&Item::Uid);
        if told {
            pen.word("UID ").number(message.uid);
        }
        Some(!told)
    }

    /// Writes items until something goes out as it is, a stretch must be read, or the message is at its end: then there is no
    /// way any more.
    fn write_items(&mut self, member: &Member, turn: &Turn, work: &mut FetchWork) {
        let FetchWork { fetch, names, messages, octets, apart, at, partway: way, reply, .. } = work;
        let (Some(message), Some(partway)) = (messages.get(*at), way.as_mut()) else { return };
        while let Some(item) = fetch.items.get(partway.item) {
            partway.item += 1;
            let mut pen = Pen(&mut self.said);
            pen.gap(&mut partway.first);
            if has_content(item) {
                let content = message.sections.get(partway.section).copied().unwrap_or(Content::Nil);
                pen.formed(names.get(partway.section).map_or(&[], Vec::as_slice));
                partway.section += 1;
                if content == Content::UnknownEncoding {
                    *reply = refusal::reply_to(Refusal::UnknownEncoding);
                }
                self.says_content = true;
                if let Content::Apart(number) = content {
                    let octets = apart.get_mut(number as usize).map(std::mem::take).unwrap_or_default();
                    self.say_apart(item, octets);
                } else {
                    partway.stretch = write_content(&mut pen, item, content, octets);
                }
                if partway.stretch.is_some() || !self.apart.is_empty() {
                    return;
                }
            } else {
                write_item(&mut pen, item, message, octets);
            }
        }
        let mut pen = Pen(&mut self.said);
        let wants = |wanted: &Item| fetch.items.contains(wanted);
        if message.seen_now && !wants(&Item::Flags) {
            pen.gap(&mut partway.first).word("FLAGS ").flags(&message.flags);
        }
        if member.enabled.condstore && !wants(&Item::ModSeq) {
            pen.gap(&mut partway.first).word("MODSEQ (").number(message.modseq).word(")");
        }
        // RFC 9051 §7.5.2: a flag that changes by itself is told with the UID.
        let tells_uid = message.seen_now && !turn.uid && !wants(&Item::Uid);
        if tells_uid && (member.enabled.rev2 || member.enabled.qresync) {
            pen.gap(&mut partway.first).word("UID ").number(message.uid);
        }
        pen.word(")").end();
        *way = None;
    }

    /// Says octets that came by themselves. What is large is not copied.
    fn say_apart(&mut self, item: &Item, octets: Vec<u8>) {
        let mut pen = Pen(&mut self.said);
        write_octets_head(&mut pen, item, &octets);
        if octets.len() < APART_MIN {
            pen.formed(&octets);
        } else {
            self.apart = octets;
        }
    }

    /// Octets of a stretch came, or have gone.
    pub(super) fn read(&mut self, member: Box<Member>, turn: Turn, mut work: FetchWork, answer: Answer) -> Stage {
        let Some(partway) = &mut work.partway else { return Stage::Closing };
        match self.pass_on(partway.stretch, answer) {
            Ok(left) => partway.stretch = left,
            Err(Broken) => return Stage::Closing,
        }
        Stage::Flowing { member, turn, flow: Box::new(Flow::Fetch(Box::new(work))) }
    }

    /// ENABLE CONDSTORE and its like in the middle of a mailbox: RFC 7162 §3.1.2.
    pub(super) fn tell_highest(&mut self, member: &Member) {
        if let Some(mailbox) = &member.mailbox {
            let code = Code::HighestModSeq(mailbox.highestmodseq);
            Reply::ok("the last change").with(code).write(None, &mut self.said);
        }
    }
}

impl Window {
    /// Those of a set that stand in this stretch of it.
    pub(super) fn of(self, set: &NumberSet) -> NumberSet {
        let count = u32::try_from(set.count()).unwrap_or(u32::MAX);
        let (first, last) = match self.from_end {
            false => (self.first, self.last.min(count)),
            true => (count.saturating_sub(self.last - 1).max(1), count.saturating_sub(self.first - 1)),
        };
        if first > last {
            return NumberSet::new();
        }
        let mut rest = set.clone();
        rest.take_front(first - 1);
        rest.take_front(last - first + 1)
    }
}

fn write_item(pen: &mut Pen<'_>, item: &Item, message: &Message, octets: &[u8]) {
    let formed = |excerpt: Option<Excerpt>| excerpt.map_or(&b"NIL"[..], |excerpt| excerpt.of(octets));
    match item {
        Item::Flags => pen.word("FLAGS ").flags(&message.flags),
        Item::Uid => pen.word("UID ").number(message.uid),
        Item::Size => pen.word("RFC822.SIZE ").number(message.size),
        Item::ModSeq => pen.word("MODSEQ (").number(message.modseq).word(")"),
        Item::InternalDate => match &message.internal_date {
            Some(date) => pen.word("INTERNALDATE ").moment(date),
            None => pen.word("INTERNALDATE ").moment(&crate::moment::Moment::utc(0)),
        },
        Item::SaveDate => match &message.save_date {
            Some(date) => pen.word("SAVEDATE ").moment(date),
            None => pen.word("SAVEDATE NIL"),
        },
        Item::Envelope => pen.word("ENVELOPE ").formed(formed(message.envelope)),
        Item::Body => pen.word("BODY ").formed(formed(message.body)),
        Item::BodyStructure => pen.word("BODYSTRUCTURE ").formed(formed(message.body_structure)),
        Item::EmailId => match &message.email_id {
            Some(id) => pen.word("EMAILID ").object_id(id.as_str()),
            None => pen.word("EMAILID NIL"),
        },
        Item::ThreadId => match &message.thread_id {
            Some(id) => pen.word("THREADID ").object_id(id.as_str()),
            None => pen.word("THREADID NIL"),
        },
        Item::Preview { .. } => pen.word("PREVIEW ").nstring(message.preview.as_deref().map(str::as_bytes)),
        Item::Section(_) | Item::BinarySize(_) => pen,
    };
}

/// Whether it is an item behind which content stands.
fn has_content(item: &Item) -> bool {
    matches!(item, Item::Section(_) | Item::BinarySize(_))
}

/// What stands before that, the same for every message.
fn content_name(item: &Item) -> Vec<u8> {
    let mut name = Vec::new();
    let mut pen = Pen(&mut name);
    match item {
        Item::Section(section) => pen.section(section),
        item => pen.item(item),
    };
    pen.word(" ");
    name
}

fn is_binary(item: &Item) -> bool {
    matches!(item, Item::Section(section) if section.form == Form::Binary)
}

/// Writes what stands before the octets of a section, and instead of them where there are none.
fn write_octets_head(pen: &mut Pen<'_>, item: &Item, octets: &[u8]) {
    match octets.len() as u64 {
        0 => pen.word("\"\""),
        size if is_binary(item) && memchr::memchr(0, octets).is_some() => pen.literal8_head(size),
        size => pen.literal_head(size),
    };
}

/// Writes what a section consists of; what is left of a stretch comes behind it.
fn write_content(pen: &mut Pen<'_>, item: &Item, content: Content, octets: &[u8]) -> Option<Stretch> {
    let binary = is_binary(item);
    match content {
        Content::Octets(excerpt) => {
            let octets = excerpt.of(octets);
            write_octets_head(pen, item, octets);
            pen.formed(octets);
        }
        Content::Stretch { .. } => {
            let stretch = Stretch::of(&content);
            // What will be in it is not known yet.
            match (stretch, binary) {
                (None, _) => pen.word("\"\""),
                (Some(stretch), true) => pen.literal8_head(stretch.octets()),
                (Some(stretch), false) => pen.literal_head(stretch.octets()),
            };
            return stretch;
        }
        Content::Size(octets) => {
            pen.number(octets);
        }
        // What comes apart is said elsewhere.
        Content::Nil | Content::UnknownEncoding | Content::Apart(_) => {
            pen.word(if binary || matches!(item, Item::Section(_)) { "NIL" } else { "0" });
        }
    }
    None
}

//! Searches that are kept up to date: UPDATE, ADDTO, REMOVEFROM, CANCELUPDATE.
//!
//! RFC 5267 §4.3; RFC 5465 §7 (what is fetched of new messages); RFC 7377 §2.2 (ESEARCH); RFC 5032 §2 (searches that time changes).
//!
//! ```text
//! Sync ─Changes→ for each search: Search among what has changed ─Found→ REMOVEFROM ─in an order of its own→ Search (order)
//!                ─→ those gone → EXISTS → flags → what is fetched of new messages → ADDTO → the tagged reply, or on
//! ```
//!
//! What the client has of each search is kept by UID, and only messages that have changed are looked at again. No criterion of
//! SORT changes while a message lives, so that those which stay keep their order.
//!
//! Invariants: what the client was told and what is kept here are the same list; a message is taken out of it before its
//! number is, and put in when it has a number; how many searches are followed, and what they cost, is bounded.
//! Not here: whether a message is found (house).

use super::ask::{Answer, Ask, Flagged, Found, Hits, Order, Search, SortKey};
use super::search::{Listing, origin_of};
use super::stage::{Mailbox, Member, Pending, Stage, Then, Turn};
use super::{Server, ask};
use crate::fetch::Item;
use crate::reply::{Code, Pen, Reply};
use crate::search::{Key, Messages, Program};
use crate::set::{NumberSet, SequenceSet};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// So many searches are followed in one session: as many views as a client may show at a time.
pub const FOLLOWED_MAX: usize = 16;

/// What all of them may cost, in octets. The first that is not sorted is followed whatever it costs (RFC 5267 §4.3.1: at least
/// one is); it is no larger than what is known of the mailbox itself.
pub const FOLLOWED_OCTETS_MAX: usize = 1 << 20;

/// RFC 5032 §2: a search for what is older or younger is looked at as a whole so often.
const TIMED_EVERY: Duration = Duration::from_secs(60);

/// The searches that a client wants to hear of.
#[derive(Debug, Default)]
pub(super) struct Contexts {
    all: Vec<Context>,
    /// Messages that have changed and were not looked at again.
    due: NumberSet,
}

/// One of them.
#[derive(Debug)]
struct Context {
    /// By which the client knows it.
    tag: Vec<u8>,
    /// In UIDs, or in numbers.
    uid: bool,
    /// It was ESEARCH, which says where.
    several: bool,
    program: Key<Named>,
    /// How it is sorted; nothing is in the order of UIDs.
    order: Vec<SortKey>,
    /// What is fetched of new messages.
    items: Vec<Item>,
    /// What the client has, by UID.
    found: Listing,
    /// What is to be told when it has numbers: where, and which UIDs.
    added: Vec<(usize, Listing)>,
    /// Time alone may change what is found; looked at as a whole at this moment.
    timed: Option<Instant>,
}

/// How messages are named in a program that is searched again.
#[derive(Debug, Clone)]
enum Named {
    /// RFC 5267 §4.3: numbers and `$` mean what they meant when the command came.
    Fixed(NumberSet),
    /// UIDs that are there when it is searched.
    Uid(SequenceSet),
}

/// What is to be announced when the searches have been looked at.
#[derive(Debug)]
pub(super) struct Recheck {
    flags: Vec<Flagged>,
    more: bool,
    then: Then,
    /// Which search is next.
    next: usize,
    /// What is asked about it.
    asked: Asked,
    /// The house could not look.
    failed: bool,
}

#[derive(Debug)]
enum Asked {
    Nothing,
    /// Which of these are found.
    Members(NumberSet),
    /// In which order those stand that are found now.
    Order,
}

impl Contexts {
    pub(super) fn has(&self, tag: &[u8]) -> bool {
        self.all.iter().any(|context| context.tag == tag)
    }

    /// These have changed.
    pub(super) fn touch(&mut self, uids: &NumberSet) {
        self.due = self.due.union(uids);
    }

    fn cost(&self) -> usize {
        self.all.iter().map(Context::cost).sum()
    }

    /// What is to be fetched of new messages, and of which.
    pub(super) fn wishes(&self, new: &NumberSet) -> (NumberSet, Vec<Item>) {
        let (mut uids, mut items) = (NumberSet::new(), Vec::<Item>::new());
        for context in self.all.iter().filter(|context| !context.items.is_empty()) {
            let added = context.added.iter().fold(NumberSet::new(), |all, (_, part)| all.union(&part.uids()));
            let wanted = added.intersection(new);
            if !wanted.is_empty() {
                uids = uids.union(&wanted);
                let more: Vec<Item> = context.items.iter().filter(|item| !items.contains(item)).cloned().collect();
                items.extend(more);
            }
        }
        (uids, items)
    }
}

impl Context {
    fn cost(&self) -> usize {
        let keys = Cell::new(0);
        self.program.any(&|key| {
            keys.set(keys.get() + cost_of(key));
            false
        });
        let items: usize = self.items.iter().map(|item| size_of::<Item>() + item.to_string().len()).sum();
        self.tag.len() + keys.get() + items + self.found.octets()
    }
}

/// In octets, more or less.
fn cost_of(key: &Key<Named>) -> usize {
    let more = match key {
        Key::Header(name, text) => name.len() + text.len(),
        Key::Field(_, text) | Key::Body(text) | Key::Text(text) | Key::EmailId(text) | Key::ThreadId(text) => {
            text.len()
        }
        Key::Among(Named::Fixed(set)) => 8 * set.ranges().len(),
        Key::Among(Named::Uid(set)) => 16 * set.len(),
        _ => 0,
    };
    size_of::<Key<Named>>() + more
}

/// A program as it will be searched again.
pub(super) fn kept(mailbox: &Mailbox, program: &Program) -> KeptProgram {
    let mut fixed = |messages| {
        Ok::<_, std::convert::Infallible>(match messages {
            Messages::Sequence(set) => Named::Fixed(mailbox.view.uids_of(&set.resolve(mailbox.view.last_number()))),
            Messages::Saved => Named::Fixed(mailbox.saved.clone()),
            Messages::Uid(set) => Named::Uid(set),
        })
    };
    match program.clone().map(&mut fixed) {
        Ok(program) => KeptProgram(program),
        Err(never) => match never {},
    }
}

/// See [`kept`].
#[derive(Debug)]
pub(super) struct KeptProgram(Key<Named>);

/// What a client wishes to be told of a search from now on.
#[derive(Debug)]
pub(super) struct Follow {
    pub program: KeptProgram,
    pub order: Vec<SortKey>,
    pub items: Vec<Item>,
}

impl Server {
    /// A search that is followed from now on, if it can be.
    pub(super) fn follow(&mut self, mailbox: &mut Mailbox, turn: &Turn, several: bool, follow: Follow, found: Listing) {
        let Follow { program: KeptProgram(program), order, items } = follow;
        let timed = program.any(&|key| matches!(key, Key::Older(_) | Key::Younger(_))).then_some(self.now);
        let (tag, uid, added) = (turn.tag.clone(), turn.uid, Vec::new());
        let context = Context { tag, uid, several, program, order, items, found, added, timed };
        let contexts = mailbox.contexts.get_or_insert_default();
        contexts.all.push(context);
        self.forsake(contexts);
        if contexts.all.is_empty() {
            mailbox.contexts = None;
        }
    }

    /// Gives up the last ones until what is left is within the limits.
    fn forsake(&mut self, contexts: &mut Contexts) {
        let is_modest = |contexts: &Contexts| match &contexts.all[..] {
            [] => true,
            [only] if only.order.is_empty() => true,
            all => all.len() <= FOLLOWED_MAX && contexts.cost() <= FOLLOWED_OCTETS_MAX,
        };
        while !is_modest(contexts) {
            if let Some(context) = contexts.all.pop() {
                self.not_followed(context.tag);
            }
        }
    }

    /// RFC 5267 §4.3.1.
    pub(super) fn not_followed(&mut self, tag: Vec<u8>) {
        let why = "this search is not kept up to date";
        Reply::no(why).with(Code::NoUpdate(tag)).write(None, &mut self.said);
    }

    pub(super) fn cancel_update(&mut self, mut member: Box<Member>, turn: Turn, tags: &[Vec<u8>]) -> Stage {
        let mut known = false;
        if let Some(mailbox) = &mut member.mailbox
            && let Some(contexts) = &mut mailbox.contexts
        {
            known = tags.iter().all(|tag| contexts.has(tag));
            contexts.all.retain(|context| !tags.contains(&context.tag));
            if contexts.all.is_empty() {
                mailbox.contexts = None;
            }
        }
        let reply = if known { Reply::ok("no more of it") } else { Reply::no("no such search is kept up to date") };
        self.finish(member, turn, reply)
    }

    /// Before changes are announced: what do they mean to the searches?
    pub(super) fn recheck(
        &mut self,
        member: Box<Member>,
        turn: Turn,
        flags: Vec<Flagged>,
        more: bool,
        then: Then,
    ) -> Stage {
        let recheck = Recheck { flags, more, then, next: 0, asked: Asked::Nothing, failed: false };
        self.recheck_on(member, turn, recheck)
    }

    fn recheck_on(&mut self, mut member: Box<Member>, turn: Turn, mut recheck: Recheck) -> Stage {
        let utf8 = member.enabled.names_in_utf8();
        if let Some(mailbox) = &mut member.mailbox
            && let Some(mut contexts) = mailbox.contexts.take()
        {
            let ask = self.next_check(&mut contexts, mailbox, utf8, &mut recheck);
            if ask.is_none() {
                if !recheck.failed {
                    contexts.due = NumberSet::new();
                }
                self.forsake(&mut contexts);
            }
            mailbox.contexts = Some(contexts).filter(|contexts| !contexts.all.is_empty());
            if let Some(search) = ask {
                let ask = Ask::Search(Box::new(search));
                return self.await_answer(member, turn, ask, Pending::Recheck(recheck));
            }
        }
        let Recheck { flags, more, then, .. } = recheck;
        self.announce(member, turn, flags, more, then)
    }

    /// The next question about a search; none if all are known again.
    fn next_check(
        &mut self,
        contexts: &mut Contexts,
        mailbox: &Mailbox,
        utf8: bool,
        recheck: &mut Recheck,
    ) -> Option<Search> {
        let Contexts { all, due } = contexts;
        while let Some(context) = all.get_mut(recheck.next) {
            let gone = mailbox.view.gone();
            let candidates = context.candidates(mailbox, due, self.now).difference(gone);
            if !candidates.is_empty() {
                let program = context.program_among(mailbox, candidates.clone());
                recheck.asked = Asked::Members(candidates);
                return Some(Search { program, order: Order::Uid, modseq: false });
            }
            self.remove(context, mailbox, utf8, gone);
            recheck.next += 1;
        }
        None
    }

    pub(super) fn rechecked(
        &mut self,
        mut member: Box<Member>,
        turn: Turn,
        mut recheck: Recheck,
        answer: Answer,
    ) -> Stage {
        let utf8 = member.enabled.names_in_utf8();
        let asked = std::mem::replace(&mut recheck.asked, Asked::Nothing);
        let Some(mailbox) = &mut member.mailbox else { return self.recheck_on(member, turn, recheck) };
        let Some(mut contexts) = mailbox.contexts.take() else { return self.recheck_on(member, turn, recheck) };
        let mut question = None;
        if let Some(context) = contexts.all.get_mut(recheck.next) {
            match (asked, answer) {
                (Asked::Members(candidates), Answer::Found(Found { hits: Hits::Set(hits), .. })) => {
                    let gone = mailbox.view.gone();
                    self.remove(context, mailbox, utf8, &candidates.difference(&hits).union(gone));
                    let new = mailbox.view.known(&hits).intersection(&candidates).difference(&context.found.uids());
                    question = context.add(&new);
                }
                (Asked::Order, Answer::Found(Found { hits: Hits::Sorted(uids), .. })) => {
                    let uids: Vec<u32> =
                        uids.into_iter().filter(|uid| mailbox.view.number_of(*uid).is_some()).collect();
                    let there = uids.iter().copied().collect();
                    self.remove(context, mailbox, utf8, &context.found.uids().difference(&there));
                    context.put_in(uids);
                }
                _ => {
                    recheck.failed = true;
                    let gone = mailbox.view.gone();
                    self.remove(context, mailbox, utf8, gone);
                }
            }
        }
        mailbox.contexts = Some(contexts);
        match question {
            Some(search) => {
                recheck.asked = Asked::Order;
                self.await_answer(member, turn, Ask::Search(Box::new(search)), Pending::Recheck(recheck))
            }
            None => {
                recheck.next += 1;
                self.recheck_on(member, turn, recheck)
            }
        }
    }

    /// Takes messages out of what the client has, and says so, while their numbers still mean them.
    fn remove(&mut self, context: &mut Context, mailbox: &Mailbox, utf8: bool, uids: &NumberSet) {
        let removed = context.found.remove(uids);
        self.write_update("REMOVEFROM", context, mailbox, utf8, &removed);
    }

    /// What has come to be found, when it has been announced.
    pub(super) fn write_added(&mut self, member: &mut Member) {
        let utf8 = member.enabled.names_in_utf8();
        let Some(mailbox) = &mut member.mailbox else { return };
        let Some(mut contexts) = mailbox.contexts.take() else { return };
        for context in &mut contexts.all {
            let added = std::mem::take(&mut context.added);
            self.write_update("ADDTO", context, mailbox, utf8, &added);
        }
        mailbox.contexts = Some(contexts);
    }

    fn write_update(
        &mut self,
        word: &'static str,
        context: &Context,
        mailbox: &Mailbox,
        utf8: bool,
        parts: &[(usize, Listing)],
    ) {
        if parts.is_empty() {
            return;
        }
        let mut pen = Pen(&mut self.said);
        pen.word("* ESEARCH (TAG ").quoted_tag(&context.tag);
        if context.several {
            origin_of(mailbox, utf8).write(&mut pen);
        }
        pen.word(if context.uid { ") UID " } else { ") " }).word(word).word(" (");
        let mut first = true;
        for (at, part) in parts {
            pen.gap(&mut first).number(*at as u64).word(" ");
            part.named(mailbox, context.uid).write(&mut pen);
        }
        pen.word(")").end();
    }
}

impl Context {
    /// Messages that may have come to be found, or not to be.
    fn candidates(&mut self, mailbox: &Mailbox, due: &NumberSet, now: Instant) -> NumberSet {
        match &mut self.timed {
            Some(looked) if now.duration_since(*looked) >= TIMED_EVERY => {
                *looked = now;
                mailbox.view.uids()
            }
            _ => mailbox.view.known(due),
        }
    }

    fn program_among(&self, mailbox: &Mailbox, candidates: NumberSet) -> Key<NumberSet> {
        let mut now = |named| {
            Ok::<_, std::convert::Infallible>(match named {
                Named::Fixed(set) => set,
                Named::Uid(set) => set.resolve(mailbox.view.last_uid()),
            })
        };
        match self.program.clone().map(&mut now) {
            Ok(program) => Key::And(vec![Key::Among(candidates), program]),
            Err(never) => match never {},
        }
    }

    /// Puts messages into what the client has; asks in which order, where they have one of their own.
    fn add(&mut self, new: &NumberSet) -> Option<Search> {
        if new.is_empty() {
            return None;
        }
        let all = self.found.uids().union(new);
        if self.order.is_empty() {
            self.found = Listing::Set(all);
            self.added.push((0, Listing::Set(new.clone())));
            return None;
        }
        Some(ask::Search { program: Key::Among(all), order: Order::Sorted(self.order.clone()), modseq: false })
    }

    /// The order of all that are found now: what is new in it is told by its place.
    fn put_in(&mut self, uids: Vec<u32>) {
        let before = self.found.uids();
        let mut at = 0;
        while at < uids.len() {
            let run = uids[at..].iter().take_while(|uid| !before.contains(**uid)).count();
            if run > 0 {
                self.added.push((at + 1, Listing::Sorted(uids[at..at + run].to_vec())));
            }
            at += run.max(1);
        }
        self.found = Listing::Sorted(uids);
    }
}

impl Listing {
    /// Takes these out, and says where they stood: each place as it is when those before it are gone.
    fn remove(&mut self, uids: &NumberSet) -> Vec<(usize, Listing)> {
        match self {
            _ if uids.is_empty() => Vec::new(),
            Listing::Set(set) => {
                let gone = set.intersection(uids);
                *set = set.difference(&gone);
                if gone.is_empty() { Vec::new() } else { vec![(0, Listing::Set(gone))] }
            }
            Listing::Sorted(list) => {
                let (mut parts, mut kept): (Vec<(usize, Vec<u32>)>, Vec<u32>) = (Vec::new(), Vec::new());
                for uid in list.drain(..) {
                    match (uids.contains(uid), parts.last_mut()) {
                        (false, _) => kept.push(uid),
                        (true, Some((at, part))) if *at == kept.len() + 1 => part.push(uid),
                        (true, _) => parts.push((kept.len() + 1, vec![uid])),
                    }
                }
                *list = kept;
                parts.into_iter().map(|(at, part)| (at, Listing::Sorted(part))).collect()
            }
        }
    }

    fn octets(&self) -> usize {
        match self {
            Listing::Set(set) => 8 * set.ranges().len(),
            Listing::Sorted(list) => 4 * list.len(),
        }
    }
}

/// Whether this tag is that of a search that is followed (RFC 5267 §4.3: what is told of them could not be told apart).
pub(super) fn reuses_tag(member: &Member, turn: &Turn) -> bool {
    let contexts = member.mailbox.as_ref().and_then(|mailbox| mailbox.contexts.as_ref());
    contexts.is_some_and(|contexts| contexts.has(&turn.tag))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(parts: &[(usize, Listing)]) -> Vec<(usize, Vec<u32>)> {
        let list = |part: &Listing| match part {
            Listing::Sorted(list) => list.clone(),
            Listing::Set(set) => set.iter().collect(),
        };
        parts.iter().map(|(at, part)| (*at, list(part))).collect()
    }

    fn context(found: Vec<u32>) -> Context {
        Context {
            tag: b"a".to_vec(),
            uid: true,
            several: false,
            program: Key::All,
            order: Vec::new(),
            items: Vec::new(),
            found: Listing::Sorted(found),
            added: Vec::new(),
            timed: None,
        }
    }

    proptest! {
        #[test]
        fn a_client_that_does_as_it_is_told_has_the_same_list(
            before in proptest::collection::hash_set(1u32..40, 0..20), after in Just((1u32..40).collect::<Vec<_>>()).prop_shuffle(), kept in 0usize..39,
        ) {
            // Both in the order of `after`, as messages that stay keep theirs.
            let wanted: Vec<u32> = after[..kept].to_vec();
            let before: Vec<u32> = after.iter().copied().filter(|uid| before.contains(uid)).collect();
            let mut client = before.clone();
            let mut context = context(before.clone());
            let gone = before.iter().copied().filter(|uid| !wanted.contains(uid)).collect();
            for (at, uids) in pairs(&context.found.remove(&gone)) {
                prop_assert_eq!(client.drain(at - 1..at - 1 + uids.len()).collect::<Vec<_>>(), uids);
            }
            context.put_in(wanted.clone());
            for (at, uids) in pairs(&context.added) {
                client.splice(at - 1..at - 1, uids);
            }
            prop_assert_eq!(&client, &wanted);
        }
    }
}

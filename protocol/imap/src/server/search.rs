//! SEARCH, ESEARCH, SORT, THREAD: programs go to the house by UID, and what is found comes back in the client's terms.
//!
//! RFC 9051 §6.4.4 (SEARCH, results, SAVE and `$`), §7.3.4 (ESEARCH); RFC 3501 §7.2.5; RFC 5256 (SORT, THREAD); RFC 5267 §3
//! (ESORT); RFC 7162 §3.1.5 (MODSEQ); RFC 9394 §3.1 (PARTIAL); RFC 5182 §2.1; RFC 7377 (ESEARCH).
//!
//! Invariants: nothing is told that the client does not know by a number; what was saved is what was found.
//! Not here: how it is looked for (house).

use super::ask::{Answer, Ask, Found, FoundIn, Hits, Order, SearchIn, SortKey, Source, ThreadAlgorithm, ThreadNode};
use super::context::{self, Follow};
use super::stage::{Enabled, Mailbox, Member, Pending, Stage, Turn};
use super::{Server, ask};
use crate::capability::Capability as C;
use crate::command::{self, Results, Window};
use crate::name::MailboxName;
use crate::reply::{Code, Pen, Reply};
use crate::search::{Key, Messages, Program};
use crate::set::NumberSet;

const NOT_FUZZY: &str = "nothing has a relevancy without FUZZY";

/// How well a message fits that was found, of 1 to 100 (RFC 6203 §4): messages are found exactly or not at all.
const RELEVANCY: u32 = 100;

/// A search under way.
#[derive(Debug)]
pub(super) struct SearchWork {
    returned: Option<Results>,
    form: Form,
    modseq: bool,
    /// It is to be kept up to date.
    follow: Option<Box<Follow>>,
    /// ESEARCH: what is asked about other mailboxes when the selected one has answered.
    others: Option<Box<SearchIn>>,
}

/// Which command.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    Search,
    Esearch,
    Sort,
    Thread,
}

impl Server {
    pub(super) fn search(&mut self, member: Box<Member>, turn: Turn, search: command::Search) -> Stage {
        self.look_for(member, turn, search, Order::Uid, Form::Search, None)
    }

    pub(super) fn sort(
        &mut self,
        member: Box<Member>,
        turn: Turn,
        keys: Vec<SortKey>,
        search: command::Search,
    ) -> Stage {
        use ask::SortBy;
        let display = keys.iter().any(|key| matches!(key.by, SortBy::DisplayFrom | SortBy::DisplayTo));
        if display && !self.offers(C::SortDisplay) || search.returned.is_some() && !self.offers(C::Esort) {
            return self.finish(member, turn, Reply::bad("SORT has no such option here"));
        }
        if keys.iter().any(|key| key.by == SortBy::Relevancy) && !is_fuzzy(&search.program) {
            return self.finish(member, turn, Reply::bad(NOT_FUZZY));
        }
        self.look_for(member, turn, search, Order::Sorted(keys), Form::Sort, None)
    }

    pub(super) fn thread(
        &mut self,
        member: Box<Member>,
        turn: Turn,
        algorithm: ThreadAlgorithm,
        program: Program,
    ) -> Stage {
        let offered = match algorithm {
            ThreadAlgorithm::OrderedSubject => C::ThreadOrderedSubject,
            ThreadAlgorithm::References => C::ThreadReferences,
            ThreadAlgorithm::Refs => C::ThreadRefs,
        };
        if !self.offers(offered) {
            return self.finish(member, turn, Reply::bad("threads are not found that way here"));
        }
        let search = command::Search { returned: None, update: None, program };
        self.look_for(member, turn, search, Order::Threaded(algorithm), Form::Thread, None)
    }

    pub(super) fn bad_charset(&mut self, mut member: Box<Member>, turn: Turn, saves: bool) -> Stage {
        forget_saved(&mut member, saves);
        self.finish(member, turn, Reply::no("programs are in UTF-8 or US-ASCII").with(Code::BadCharset))
    }

    fn look_for(
        &mut self,
        mut member: Box<Member>,
        turn: Turn,
        search: command::Search,
        order: Order,
        form: Form,
        others: Option<Box<SearchIn>>,
    ) -> Stage {
        if let Some(reply) = self.search_unknown(&member, &turn, form, &search) {
            return self.finish(member, turn, reply);
        }
        let command::Search { returned, update, program } = search;
        let modseq = program.any(&|key| matches!(key, Key::ModSeq(_)));
        member.enabled.condstore |= modseq;
        let Some(mailbox) = &member.mailbox else {
            return self.finish(member, turn, Reply::bad("select a mailbox first"));
        };
        let follow = update.map(|items| {
            let order = if let Order::Sorted(keys) = &order { keys.clone() } else { Vec::new() };
            Box::new(Follow { program: context::kept(mailbox, &program), order, items })
        });
        let program = match program.map(&mut |messages| resolved(mailbox, &messages)) {
            Ok(program) => program,
            Err(reply) => return self.finish(member, turn, reply),
        };
        let ask = Ask::Search(Box::new(ask::Search { program, order, modseq }));
        self.await_answer(member, turn, ask, Pending::Search(SearchWork { returned, form, modseq, follow, others }))
    }

    /// RFC 7377 §2: several mailboxes, in UIDs always, and nothing is said of those without a hit.
    pub(super) fn esearch(
        &mut self,
        mut member: Box<Member>,
        turn: Turn,
        sources: Vec<Source>,
        search: command::Search,
    ) -> Stage {
        // A client may have sent ahead what goes by numbers.
        let turn = Turn { uid: true, expunges: false, ..turn };
        let command::Search { returned, update, program } = search;
        let returned = Some(returned.unwrap_or(Results { all: true, ..Results::default() }));
        let saves = returned.is_some_and(|results| results.save);
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            sources.into_iter().partition(|source| matches!(source, Source::Selected));
        if saves && !elsewhere.is_empty() {
            return self.finish(member, turn, Reply::bad("only what is in the selected mailbox can be saved"));
        }
        if (!here.is_empty() || update.is_some()) && member.mailbox.is_none() {
            return self.finish(member, turn, Reply::bad("select a mailbox first"));
        }
        let search = command::Search { returned, update, program };
        if let Some(reply) = self.search_unknown(&member, &turn, Form::Esearch, &search) {
            return self.finish(member, turn, reply);
        }
        let command::Search { update, program, .. } = search;
        let modseq = program.any(&|key| matches!(key, Key::ModSeq(_)));
        let others = (!elsewhere.is_empty()).then(|| {
            let (but_selected, program) = (!here.is_empty(), program.clone());
            Box::new(SearchIn { sources: elsewhere, but_selected, program, modseq })
        });
        match others {
            Some(others) if here.is_empty() => {
                member.enabled.condstore |= modseq;
                if update.is_some() {
                    // RFC 7377 §2.2: of no other mailbox than the selected one.
                    self.not_followed(turn.tag.clone());
                }
                let work = SearchWork { returned, form: Form::Esearch, modseq, follow: None, others: None };
                self.await_answer(member, turn, Ask::SearchIn(others), Pending::SearchIn(work))
            }
            others => {
                let search = command::Search { returned, update, program };
                self.look_for(member, turn, search, Order::Uid, Form::Esearch, others)
            }
        }
    }

    /// What another mailbox has.
    pub(super) fn found_in(
        &mut self,
        member: Box<Member>,
        turn: Turn,
        work: SearchWork,
        found: Option<FoundIn>,
        more: bool,
    ) -> Stage {
        if let (Some(found), Some(results)) = (found.filter(|found| !found.uids.is_empty()), work.returned) {
            let origin = Origin {
                mailbox: &found.mailbox,
                uidvalidity: found.uidvalidity,
                utf8: member.enabled.names_in_utf8(),
            };
            let mut pen = Pen(&mut self.said);
            let modseq = found.modseq.filter(|_| work.modseq);
            write_results(&mut pen, &turn, Some(origin), &Listing::Set(found.uids), &results, modseq);
        }
        match more {
            true => self.await_answer(member, turn, Ask::GoOn, Pending::SearchIn(work)),
            false => self.finish(member, turn, Reply::ok("searched")),
        }
    }

    fn search_unknown(&self, member: &Member, turn: &Turn, form: Form, search: &command::Search) -> Option<Reply> {
        let command::Search { returned, update, program } = search;
        if update.is_some() && context::reuses_tag(member, turn) {
            return Some(Reply::bad("the tag is that of a search that is kept up to date"));
        }
        if let Some(reply) = update.as_ref().and_then(|items| self.fetch_unknown(items, None, None)) {
            return Some(reply);
        }
        if returned.is_some_and(|results| results.relevancy) && !is_fuzzy(program) {
            return Some(Reply::bad(NOT_FUZZY));
        }
        let uses = |wanted: fn(&Program) -> bool| program.any(&wanted);
        let numbers = uses(|key| matches!(key, Key::Among(Messages::Sequence(_))));
        if member.enabled.uid_only && turn.uid && numbers {
            return Some(Reply::bad("UIDONLY is enabled, name messages by UID").coded("UIDREQUIRED"));
        }
        let saves = returned.is_some_and(|results| results.save);
        let context = if form == Form::Sort { C::ContextSort } else { C::ContextSearch };
        let partial = if self.offers(context) { context } else { C::Partial };
        let needs = [
            (returned.is_some(), C::Esearch),
            (update.is_some() || returned.is_some_and(|results| results.context), context),
            (update.as_ref().is_some_and(|items| !items.is_empty()), C::Notify),
            (saves || uses(|key| matches!(key, Key::Among(Messages::Saved))), C::Searchres),
            (returned.is_some_and(|results| results.partial.is_some()), partial),
            (uses(|key| matches!(key, Key::Older(_) | Key::Younger(_))), C::Within),
            (uses(|key| matches!(key, Key::ModSeq(_))), C::Condstore),
            (uses(|key| matches!(key, Key::EmailId(_) | Key::ThreadId(_))), C::ObjectId),
            (uses(|key| matches!(key, Key::SaveDateSupported)), C::Savedate),
            (uses(|key| matches!(key, Key::Date(crate::search::Clock::Saved, ..))), C::Savedate),
            (uses(|key| matches!(key, Key::Fuzzy(_))), C::SearchFuzzy),
        ];
        let unknown = needs.into_iter().any(|(needed, capability)| needed && !self.offers(capability));
        unknown.then(|| Reply::bad("no such search key or option here"))
    }

    /// The house could not look.
    pub(super) fn not_found(
        &mut self,
        mut member: Box<Member>,
        turn: Turn,
        work: &SearchWork,
        answer: Answer,
    ) -> Stage {
        forget_saved(&mut member, work.returned.is_some_and(|results| results.save));
        let reply = self.refusal_of(answer);
        self.finish(member, turn, reply)
    }

    pub(super) fn found(&mut self, mut member: Box<Member>, turn: Turn, mut work: SearchWork, found: Found) -> Stage {
        let enabled = member.enabled;
        let Some(mailbox) = &mut member.mailbox else { return self.finish(member, turn, Reply::ok("searched")) };
        let modseq = found.modseq.filter(|_| work.modseq);
        match found.hits {
            Hits::Threads(nodes) if work.form == Form::Thread => {
                let threads = named_threads(mailbox, &turn, nodes);
                let mut pen = Pen(&mut self.said);
                pen.word("* THREAD");
                if !threads.is_empty() {
                    pen.word(" ");
                }
                write_threads(&mut pen, &threads);
                pen.end();
            }
            Hits::Threads(_) => {}
            Hits::Sorted(uids) => {
                let known = uids.into_iter().filter(|uid| mailbox.view.number_of(*uid).is_some()).collect();
                self.tell(mailbox, &turn, &mut work, enabled, Listing::Sorted(known), modseq);
            }
            Hits::Set(uids) => {
                let known = mailbox.view.known(&uids);
                self.tell(mailbox, &turn, &mut work, enabled, Listing::Set(known), modseq);
            }
        }
        if let Some(others) = work.others.take() {
            return self.await_answer(member, turn, Ask::SearchIn(others), Pending::SearchIn(work));
        }
        self.finish(member, turn, Reply::ok("searched"))
    }

    fn tell(
        &mut self,
        mailbox: &mut Mailbox,
        turn: &Turn,
        work: &mut SearchWork,
        enabled: Enabled,
        hits: Listing,
        modseq: Option<u64>,
    ) {
        let told = hits.named(mailbox, turn.uid);
        let mut pen = Pen(&mut self.said);
        match work.returned {
            None if work.form == Form::Search && enabled.rev2 => {
                let results = Results { all: true, ..Results::default() };
                write_results(&mut pen, turn, None, &told, &results, modseq);
            }
            None => {
                pen.word(if work.form == Form::Sort { "* SORT" } else { "* SEARCH" });
                told.each(|number| {
                    pen.word(" ").number(number);
                });
                if let Some(modseq) = modseq.filter(|_| !told.is_empty()) {
                    pen.word(" (MODSEQ ").number(modseq).word(")");
                }
                pen.end();
            }
            Some(results) => {
                if results.save {
                    mailbox.saved = saved(&hits, &results);
                }
                let only_save = Results { save: true, ..Results::default() };
                let origin = origin_of(mailbox, enabled.names_in_utf8());
                let several = work.form == Form::Esearch;
                if results != only_save && !(several && told.is_empty()) {
                    let origin = several.then_some(origin);
                    write_results(&mut pen, turn, origin, &told, &results, modseq);
                }
                if let Some(follow) = work.follow.take() {
                    self.follow(mailbox, turn, several, *follow, hits);
                }
            }
        }
    }
}

/// RFC 6203 §4: only then messages have a relevancy.
fn is_fuzzy(program: &Program) -> bool {
    program.any(&|key| matches!(key, Key::Fuzzy(_)))
}

/// RFC 9051 §6.4.4.1: a search that fails empties what was saved.
fn forget_saved(member: &mut Member, saves: bool) {
    if let (Some(mailbox), true) = (&mut member.mailbox, saves) {
        mailbox.saved = NumberSet::new();
    }
}

/// What a program names, by UID.
fn resolved(mailbox: &Mailbox, messages: &Messages) -> Result<NumberSet, Reply> {
    let view = &mailbox.view;
    Ok(match messages {
        Messages::Sequence(set) => view.uids_of(&set.resolve(view.last_number())),
        Messages::Uid(set) => set.resolve(view.last_uid()),
        Messages::Saved => mailbox.saved.clone(),
    })
}

/// RFC 5182 §2.4: what is saved depends on what is returned.
fn saved(hits: &Listing, results: &Results) -> NumberSet {
    let everything = results.all || results.count || !results.min && !results.max && results.partial.is_none();
    if everything {
        return hits.uids();
    }
    let ends = [hits.first().filter(|_| results.min), hits.last().filter(|_| results.max)];
    let window = results.partial.map_or(NumberSet::new(), |window| hits.window(window).uids());
    window.union(&ends.into_iter().flatten().collect())
}

/// What was found, in its order.
#[derive(Debug)]
pub(super) enum Listing {
    Set(NumberSet),
    Sorted(Vec<u32>),
}

impl Listing {
    /// The same by numbers, where the command had no UID before it.
    pub(super) fn named(&self, mailbox: &Mailbox, uid: bool) -> Listing {
        match self {
            Listing::Set(uids) if uid => Listing::Set(uids.clone()),
            Listing::Sorted(uids) if uid => Listing::Sorted(uids.clone()),
            Listing::Set(uids) => Listing::Set(mailbox.view.numbers_of(uids)),
            Listing::Sorted(uids) => {
                Listing::Sorted(uids.iter().filter_map(|uid| mailbox.view.number_of(*uid)).collect())
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.count() == 0
    }

    fn count(&self) -> u64 {
        match self {
            Listing::Set(set) => set.count(),
            Listing::Sorted(list) => list.len() as u64,
        }
    }

    fn first(&self) -> Option<u32> {
        match self {
            Listing::Set(set) => set.first(),
            Listing::Sorted(list) => list.first().copied(),
        }
    }

    fn last(&self) -> Option<u32> {
        match self {
            Listing::Set(set) => set.last(),
            Listing::Sorted(list) => list.last().copied(),
        }
    }

    pub(super) fn uids(&self) -> NumberSet {
        match self {
            Listing::Set(set) => set.clone(),
            Listing::Sorted(list) => list.iter().copied().collect(),
        }
    }

    fn each(&self, mut tell: impl FnMut(u32)) {
        match self {
            Listing::Set(set) => set.iter().for_each(tell),
            Listing::Sorted(list) => list.iter().for_each(|number| tell(*number)),
        }
    }

    fn window(&self, window: Window) -> Listing {
        match self {
            Listing::Set(set) => Listing::Set(window.of(set)),
            Listing::Sorted(list) => {
                let places = NumberSet::range(1, u32::try_from(list.len()).unwrap_or(u32::MAX));
                let places = window.of(&places);
                Listing::Sorted(places.iter().filter_map(|place| list.get(place as usize - 1)).copied().collect())
            }
        }
    }

    /// As a set on the wire; an order of its own is kept.
    pub(super) fn write(&self, pen: &mut Pen<'_>) {
        match self {
            Listing::Set(set) => {
                pen.set(set);
            }
            Listing::Sorted(list) => {
                let mut at = 0;
                while let Some(&first) = list.get(at) {
                    let run =
                        list[at..].iter().zip(first..).take_while(|(number, expected)| *number == expected).count();
                    pen.word(if at == 0 { "" } else { "," }).number(first);
                    if run > 1 {
                        pen.word(":").number(list[at + run - 1]);
                    }
                    at += run;
                }
            }
        }
    }
}

/// Where results are from, if it is to be said (RFC 7377 §2.1).
pub(super) struct Origin<'a> {
    mailbox: &'a MailboxName,
    uidvalidity: u32,
    utf8: bool,
}

/// The selected mailbox.
pub(super) fn origin_of(mailbox: &Mailbox, utf8: bool) -> Origin<'_> {
    Origin { mailbox: &mailbox.name, uidvalidity: mailbox.uidvalidity, utf8 }
}

impl Origin<'_> {
    pub(super) fn write(&self, pen: &mut Pen<'_>) {
        let Origin { mailbox, uidvalidity, utf8 } = *self;
        pen.word(" MAILBOX ").mailbox(mailbox, utf8).word(" UIDVALIDITY ").number(uidvalidity);
    }
}

fn write_results(
    pen: &mut Pen<'_>,
    turn: &Turn,
    origin: Option<Origin<'_>>,
    told: &Listing,
    results: &Results,
    modseq: Option<u64>,
) {
    pen.word("* ESEARCH (TAG ").quoted_tag(&turn.tag);
    if let Some(origin) = origin {
        origin.write(pen);
    }
    pen.word(")");
    if turn.uid {
        pen.word(" UID");
    }
    if let Some(first) = told.first().filter(|_| results.min) {
        pen.word(" MIN ").number(first);
    }
    if let Some(last) = told.last().filter(|_| results.max) {
        pen.word(" MAX ").number(last);
    }
    if results.all && !told.is_empty() {
        pen.word(" ALL ");
        told.write(pen);
    }
    if results.count {
        pen.word(" COUNT ").number(told.count());
    }
    if let Some(window) = results.partial {
        let sign = if window.from_end { "-" } else { "" };
        pen.word(" PARTIAL (").word(sign).number(window.first).word(":").word(sign).number(window.last).word(" ");
        let part = told.window(window);
        if part.is_empty() {
            pen.word("NIL");
        } else {
            part.write(pen);
        }
        pen.word(")");
    }
    if results.relevancy {
        let scored = results.partial.map_or(told.count(), |window| told.window(window).count());
        write_relevancies(pen, scored);
    }
    if let Some(modseq) = modseq.filter(|_| !told.is_empty()) {
        pen.word(" MODSEQ ").number(modseq);
    }
    pen.end();
}

/// One for each of so many messages.
fn write_relevancies(pen: &mut Pen<'_>, messages: u64) {
    for number in 0..messages {
        pen.word(if number == 0 { " RELEVANCY (" } else { " " }).number(RELEVANCY);
    }
    if messages > 0 {
        pen.word(")");
    }
}

/// The forest in the client's terms, without leaves that name no message.
fn named_threads(mailbox: &Mailbox, turn: &Turn, nodes: Vec<ThreadNode>) -> Vec<ThreadNode> {
    let name = |uid: u32| mailbox.view.number_of(uid).map(|number| if turn.uid { uid } else { number });
    let mut named: Vec<ThreadNode> = Vec::with_capacity(nodes.len());
    for node in nodes.into_iter().rev() {
        let uid = node.uid.and_then(name);
        let has_children = named.last().is_some_and(|next| next.depth > node.depth);
        if uid.is_some() || has_children {
            named.push(ThreadNode { uid, ..node });
        }
    }
    named.reverse();
    named
}

/// RFC 5256 §4: `(2)(3 6 (4 23)(44 7 96))`. Goes through the forest without recursion: threads may be any depth.
fn write_threads(pen: &mut Pen<'_>, nodes: &[ThreadNode]) {
    let children = children(nodes);
    let mut way: Vec<Above> = Vec::new();
    for (node, children) in nodes.iter().zip(children) {
        let depth = (node.depth as usize).min(way.len());
        way.drain(depth..).rev().for_each(|above| above.close(pen));
        let opened = way.last().is_none_or(|above| above.children > 1);
        if way.last_mut().is_some_and(|above| std::mem::take(&mut above.blank)) {
            pen.word(" ");
        }
        if opened {
            pen.word("(");
        }
        if let Some(uid) = node.uid {
            pen.number(uid);
        }
        // A missing message with one answer is nothing; the answer stands in its place.
        way.push(Above { children, blank: node.uid.is_some(), opened });
    }
    way.into_iter().rev().for_each(|above| above.close(pen));
}

/// A message above the one that is written.
struct Above {
    children: u32,
    /// A blank comes before the first of its answers.
    blank: bool,
    opened: bool,
}

impl Above {
    fn close(self, pen: &mut Pen<'_>) {
        if self.opened {
            pen.word(")");
        }
    }
}

/// How many children each has.
fn children(nodes: &[ThreadNode]) -> Vec<u32> {
    let (mut counts, mut way): (Vec<u32>, Vec<usize>) = (vec![0; nodes.len()], Vec::new());
    for (at, node) in nodes.iter().enumerate() {
        way.truncate(node.depth as usize);
        if let Some(parent) = way.last() {
            counts[*parent] += 1;
        }
        way.push(at);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threads(nodes: &[(u32, u32)]) -> String {
        let node = |&(depth, uid): &(u32, u32)| ThreadNode { depth, uid: (uid > 0).then_some(uid) };
        let nodes: Vec<ThreadNode> = nodes.iter().map(node).collect();
        let mut out = Vec::new();
        write_threads(&mut Pen(&mut out), &nodes);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn threads_of_the_textbook() {
        // RFC 5256 §4.
        assert_eq!(
            threads(&[(0, 2), (0, 3), (1, 6), (2, 4), (3, 23), (2, 44), (3, 7), (4, 96)]),
            "(2)(3 6 (4 23)(44 7 96))"
        );
        assert_eq!(threads(&[(0, 0), (1, 3), (1, 5)]), "((3)(5))");
        assert_eq!(threads(&[(0, 0), (1, 3), (2, 5)]), "(3 5)");
        assert_eq!(threads(&[]), "");
        let deep: Vec<(u32, u32)> = (0..100_000).map(|depth| (depth, depth + 1)).collect();
        assert!(threads(&deep).starts_with("(1 2 3") && threads(&deep).ends_with("100000)"));
    }

    #[test]
    fn an_order_of_its_own_is_kept() {
        let mut out = Vec::new();
        Listing::Sorted(vec![4, 5, 6, 2, 9, 8]).write(&mut Pen(&mut out));
        assert_eq!(out, b"4:6,2,9,8");
    }
}

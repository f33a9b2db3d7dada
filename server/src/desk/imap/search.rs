//! SEARCH, SORT and THREAD: a program becomes a query, and what is found is put in order.
//!
//! RFC 9051 §6.4.4, RFC 5032 (WITHIN), RFC 8474 §6, RFC 8514 §4.3, RFC 6203 (FUZZY: here exact is fuzzy enough).
//!
//! Invariants: a search that takes long does so on a thread that may, and can be left at any time.
//! Not here: what a message says (store), the orders (order, thread).

use super::convert::{self, kept_modseq, set};
use super::{Desk, Verdict, order, thread};
use imap::search::{Clock, Field, Key, When};
use imap::server::Answer;
use imap::server::ask::{Found, Hits, Order, Refusal};
use imap::set::NumberSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{EmailId, People, Query, ReadError, Snapshot, Store, ThreadId, Uid};

/// So long a client hears nothing of a search (RFC 9585 §3: some seconds between two notes).
const PATIENCE: Duration = Duration::from_secs(5);

const DAY_SECS: i64 = 86_400;

/// A search under way in one mailbox.
pub(super) struct Searching {
    search: store::Search,
    snapshot: Arc<Snapshot>,
    order: Order,
    modseq: bool,
}

impl Desk {
    pub(super) async fn search(&mut self, wish: imap::server::ask::Search) -> Verdict<Answer> {
        let (_, snapshot) = self.now()?;
        let query = query(&wish.program, self.house.now());
        let search = self.house.store.search(Arc::clone(&snapshot), &query);
        self.searching = Some(Box::new(Searching { search, snapshot, order: wish.order, modseq: wish.modseq }));
        self.search_on().await
    }

    /// Goes on until it is over, or has taken so long that something should be said.
    pub(super) async fn search_on(&mut self) -> Verdict<Answer> {
        let Some(searching) = self.searching.take() else { return Err(Refusal::Unavailable) };
        match self.read(move |store| searching.go_on(store)).await? {
            Step::Over(found) => Ok(Answer::Found(found)),
            Step::Halfway(searching) => {
                let (done, goal) = searching.search.progress();
                let count = |figure: usize| u32::try_from(figure).ok();
                self.searching = Some(searching);
                Ok(Answer::Working { done: count(done), goal: count(goal) })
            }
        }
    }
}

pub(super) enum Step {
    Over(Found),
    Halfway(Box<Searching>),
}

impl Searching {
    /// A search whose result is wanted in the order of UIDs.
    pub(super) fn begin(
        store: &Store,
        snapshot: Arc<Snapshot>,
        program: &Key<NumberSet>,
        modseq: bool,
        now: i64,
    ) -> Self {
        let search = store.search(Arc::clone(&snapshot), &query(program, now));
        Searching { search, snapshot, order: Order::Uid, modseq }
    }

    /// Blocks.
    pub(super) fn go_on(mut self, store: &Store) -> Result<Step, ReadError> {
        let begun = Instant::now();
        while !self.search.is_over() {
            if begun.elapsed() >= PATIENCE {
                return Ok(Step::Halfway(Box::new(self)));
            }
            self.search.step()?;
        }
        let Searching { search, snapshot, order, modseq } = self;
        let uids = search.hits();
        let modseq = modseq.then(|| highest(&snapshot, &uids)).flatten();
        let hits = match order {
            Order::Uid => Hits::Set(set(uids)),
            Order::Sorted(keys) => Hits::Sorted(order::sort(store, &snapshot, &uids, &keys)?),
            Order::Threaded(algorithm) => Hits::Threads(thread::threads(store, &snapshot, &uids, algorithm)?),
        };
        Ok(Step::Over(Found { hits, modseq }))
    }
}

fn highest(snapshot: &Snapshot, uids: &[Uid]) -> Option<u64> {
    snapshot.rows_of(uids.iter().copied()).map(|row| row.modseq).max().map(convert::modseq)
}

/// What no message is.
fn nothing() -> Query {
    Query::Not(Box::new(Query::All))
}

/// The store's words for a program.
fn query(program: &Key<NumberSet>, now: i64) -> Query {
    let inner = |key: &Key<NumberSet>| query(key, now);
    match program {
        Key::All | Key::SaveDateSupported => Query::All,
        Key::And(keys) => Query::And(keys.iter().map(inner).collect()),
        Key::Or(pair) => Query::Or(vec![inner(&pair.0), inner(&pair.1)]),
        Key::Not(key) => Query::Not(Box::new(inner(key))),
        Key::Fuzzy(key) => inner(key),
        Key::Among(uids) => Query::Uids(uids.ranges().iter().map(|(first, last)| (Uid(*first), Uid(*last))).collect()),
        Key::Flag(flag) => Query::Flags(convert::bit(*flag)),
        Key::Keyword(keyword) => Query::Keyword(keyword.as_str().to_owned()),
        Key::Header(name, text) => Query::Header(name.clone(), text.clone()),
        Key::Field(field, text) => match field {
            Field::Bcc => Query::People(People::Bcc, text.clone()),
            Field::Cc => Query::People(People::Cc, text.clone()),
            Field::From => Query::People(People::From, text.clone()),
            Field::To => Query::People(People::To, text.clone()),
            Field::Subject => Query::Subject(text.clone()),
        },
        Key::Body(text) => Query::Body(text.clone()),
        Key::Text(text) => Query::Text(text.clone()),
        Key::Date(clock, when, day) => dated(*clock, span(*when, day.number())),
        Key::Larger(octets) => Query::Larger(*octets),
        Key::Smaller(octets) => Query::Smaller(*octets),
        // RFC 5032 §2: by the internal date.
        Key::Older(secs) => Query::Received(i64::MIN..now.saturating_sub(i64::from(*secs)).saturating_add(1)),
        Key::Younger(secs) => Query::Received(now.saturating_sub(i64::from(*secs))..i64::MAX),
        Key::ModSeq(modseq) => Query::ModSeq(kept_modseq(*modseq)),
        Key::EmailId(id) => convert::number_of('M', id).map_or_else(nothing, |id| Query::Email(EmailId(id))),
        Key::ThreadId(id) => convert::number_of('T', id).map_or_else(nothing, |id| Query::Thread(ThreadId(id))),
    }
}

fn span(when: When, day: i64) -> Range<i64> {
    let (begins, ends) = (day * DAY_SECS, (day + 1) * DAY_SECS);
    match when {
        When::Before => i64::MIN..begins,
        When::On => begins..ends,
        When::Since => begins..i64::MAX,
    }
}

fn dated(clock: Clock, span: Range<i64>) -> Query {
    match clock {
        Clock::Internal => Query::Received(span),
        Clock::Sent => Query::Sent(span),
        Clock::Saved => Query::Saved(span),
    }
}

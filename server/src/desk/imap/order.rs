//! SORT: messages in an order that their headers give.
//!
//! RFC 5256 §3 (criteria), RFC 5957 §3 (DISPLAY), RFC 5255 §4.6 (i;unicode-casemap: letters of any alphabet without their case).
//!
//! An order of a whole mailbox by one criterion is kept with it as numbers: whoever wants it again is spared all outlines.
//!
//! Invariants: messages that are alike stand in the order of their UIDs; memory is the keys of what is sorted.
//! Not here: which messages (search).

use imap::server::ask::{SortBy, SortKey};
use message::mime::words;
use message::outline::Glance;
use message::outline::glance::{Address, Addresses, MailboxGlance};
use std::cmp::Ordering;
use std::ops::ControlFlow;
use store::{Breadth, Ranks, ReadError, Row, Snapshot, Store, Uid};

/// From so many messages on they are looked at on two threads at once.
const HALVED_FROM: usize = 2_000;

/// What one criterion compares.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Number(i64),
    /// A text behind its first octets as a number: most often those tell.
    Text(u64, Box<str>),
}

impl Value {
    fn text(text: Box<str>) -> Value {
        let mut front = [0; 8];
        let len = text.len().min(front.len());
        front[..len].copy_from_slice(&text.as_bytes()[..len]);
        Value::Text(u64::from_be_bytes(front), text)
    }
}

/// What is known of a message besides its row in memory.
enum Told<'a> {
    /// What lists say of it.
    Outline(&'a Glance<'a>),
    /// Its rank by the one criterion that would need that.
    Rank(u32),
}

/// A message by what it is sorted by.
struct Sortable {
    first: Value,
    others: Box<[Value]>,
    uid: u32,
}

/// Puts messages in order. Blocks.
pub(super) fn sort(store: &Store, snapshot: &Snapshot, uids: &[Uid], keys: &[SortKey]) -> Result<Vec<u32>, ReadError> {
    let Some((key, others)) = keys.split_first() else { return Ok(uids.iter().map(|uid| uid.0).collect()) };
    let sortable = |row: &Row, told: &Told<'_>| Sortable {
        first: value(key.by, row, told),
        others: others.iter().map(|key| value(key.by, row, told)).collect(),
        uid: row.uid.0,
    };
    let rows: Vec<&Row> = snapshot.rows_of(uids.iter().copied()).collect();
    let ranks = ranks(snapshot, &rows, keys);
    let is_news = ranks.is_none() && !is_in_memory(key.by) && uids.len() == snapshot.len();
    let mut all: Vec<Sortable> = match ranks {
        Some(ranks) => rows.iter().zip(ranks).map(|(row, rank)| sortable(row, &Told::Rank(rank))).collect(),
        None => gathered(store, snapshot, uids, |row, glance| sortable(row, &Told::Outline(glance)))?,
    };
    let in_direction = |key: &SortKey, one: &Value, two: &Value| match key.reverse {
        false => one.cmp(two),
        true => two.cmp(one),
    };
    all.sort_unstable_by(|one, two| {
        let rest = others.iter().zip(one.others.iter().zip(&two.others));
        in_direction(key, &one.first, &two.first)
            .then_with(|| {
                let verdicts = rest.map(|(key, (one, two))| in_direction(key, one, two));
                verdicts.fold(Ordering::Equal, Ordering::then)
            })
            .then(one.uid.cmp(&two.uid))
    });
    let sorted: Vec<u32> = all.iter().map(|sortable| sortable.uid).collect();
    if is_news {
        let groups = all.chunk_by(|one, two| one.first == two.first).map(<[Sortable]>::len);
        snapshot.keep_ranks(ranked(key, &sorted, groups));
    }
    Ok(sorted)
}

/// Whether nobody has to be asked for it.
fn is_in_memory(by: SortBy) -> bool {
    matches!(by, SortBy::Arrival | SortBy::Size | SortBy::Relevancy)
}

/// The ranks of these messages by the one criterion of these that is not in memory, if somebody has put all of them in that order
/// before; anything where there is no such criterion.
fn ranks(snapshot: &Snapshot, rows: &[&Row], keys: &[SortKey]) -> Option<Vec<u32>> {
    let mut asked = keys.iter().map(|key| key.by).filter(|by| !is_in_memory(*by));
    let Some(first) = asked.next() else { return Some(vec![0; rows.len()]) };
    let is_alone = asked.all(|by| by == first);
    let uids = || rows.iter().map(|row| row.uid).collect::<Vec<Uid>>();
    is_alone.then(|| snapshot.ranks(word(first))?.each(&uids())).flatten()
}

/// The ranks of messages that stand in order by one criterion, in groups of so many that are alike.
fn ranked(key: &SortKey, sorted: &[u32], groups: impl Iterator<Item = usize>) -> Ranks {
    let mut rest = sorted;
    let split = |len| {
        let (group, others) = rest.split_at(len);
        rest = others;
        group
    };
    let mut groups: Vec<&[u32]> = groups.map(split).collect();
    if key.reverse {
        groups.reverse();
    }
    Ranks::new(word(key.by), groups.into_iter())
}

/// What an order is kept under.
fn word(by: SortBy) -> &'static str {
    match by {
        SortBy::Arrival => "ARRIVAL",
        SortBy::Cc => "CC",
        SortBy::Date => "DATE",
        SortBy::From => "FROM",
        SortBy::Size => "SIZE",
        SortBy::Subject => "SUBJECT",
        SortBy::To => "TO",
        SortBy::DisplayFrom => "DISPLAYFROM",
        SortBy::DisplayTo => "DISPLAYTO",
        SortBy::Relevancy => "RELEVANCY",
    }
}

/// Makes something of each message, in no order. Blocks.
pub(super) fn gathered<T: Send>(
    store: &Store,
    snapshot: &Snapshot,
    uids: &[Uid],
    make: impl Fn(&Row, &Glance<'_>) -> T + Sync,
) -> Result<Vec<T>, ReadError> {
    let some = |uids: &[Uid]| {
        let (mut made, mut next) = (Vec::with_capacity(uids.len()), 0);
        store.walk(snapshot.mailbox, uids, Breadth::Outline, |sight| {
            // Most often the one behind the last.
            let here = snapshot.get(next).filter(|row| row.uid == sight.uid()).map(|_| next);
            if let Some(index) = here.or_else(|| snapshot.index_of(sight.uid())) {
                next = index + 1;
                made.extend(snapshot.get(index).map(|row| make(row, &sight.outlined().glance())));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(made)
    };
    if uids.len() < HALVED_FROM {
        return some(uids);
    }
    let (one, two) = uids.split_at(uids.len() / 2);
    std::thread::scope(|scope| {
        let others = scope.spawn(|| some(two));
        let mut all = some(one)?;
        all.append(&mut others.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        Ok(all)
    })
}

fn value(by: SortBy, row: &Row, told: &Told<'_>) -> Value {
    let glance = match (by, told) {
        (SortBy::Arrival, _) => return Value::Number(row.received_at),
        (SortBy::Size, _) => return Value::Number(row.size.into()),
        // What is found is found exactly: all are alike.
        (SortBy::Relevancy, _) => return Value::Number(0),
        (_, Told::Rank(rank)) => return Value::Number((*rank).into()),
        (_, Told::Outline(glance)) => glance,
    };
    let envelope = &glance.envelope;
    match by {
        SortBy::Arrival | SortBy::Date | SortBy::Size | SortBy::Relevancy => {
            Value::Number(glance.sent.unwrap_or(row.received_at))
        }
        SortBy::Subject => Value::text(folded(glance.base_subject)),
        SortBy::Cc => Value::text(address(envelope.cc)),
        SortBy::From => Value::text(address(envelope.from)),
        SortBy::To => Value::text(address(envelope.to)),
        SortBy::DisplayFrom => Value::text(display(envelope.from)),
        SortBy::DisplayTo => Value::text(display(envelope.to)),
    }
}

/// As letters are compared: the same way as in SEARCH.
pub(super) fn folded(text: &str) -> Box<str> {
    message::find::fold(text).into()
}

/// RFC 5256 §3: what stands before the `@` of the first address; the name of a group that stands first.
fn address(mut list: Addresses<'_>) -> Box<str> {
    match list.next() {
        None | Some(Address::GroupEnd) => "".into(),
        Some(Address::Group(name)) => folded(&words::decode(name)),
        Some(Address::Mailbox(mailbox)) => folded(&String::from_utf8_lossy(mailbox.local)),
    }
}

/// RFC 5957 §3: the first one's name, or else the address.
fn display(mut list: Addresses<'_>) -> Box<str> {
    match list.next() {
        None | Some(Address::GroupEnd) => "".into(),
        Some(Address::Group(name)) => folded(&words::decode(name)),
        Some(Address::Mailbox(mailbox)) => folded(&mailbox.name.map_or_else(|| plain(mailbox), words::decode)),
    }
}

fn plain(mailbox: MailboxGlance<'_>) -> String {
    format!("{}@{}", String::from_utf8_lossy(mailbox.local), String::from_utf8_lossy(mailbox.domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_stand_where_rfc_5051_has_them() {
        // By title case, and what is put together is taken apart.
        assert!(folded("zebra") < folded("_zebra") && folded("Apple") < folded("banana"));
        assert_eq!(folded("\u{c4}nne"), folded("a\u{308}NNE"));
    }
}

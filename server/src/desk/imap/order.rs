//! SORT: messages in an order that their headers give.
//!
//! RFC 5256 §3 (criteria), RFC 5957 §3 (DISPLAY), RFC 5255 §4.6 (i;unicode-casemap: letters of any alphabet without their case).
//!
//! Invariants: messages that are alike stand in the order of their UIDs; memory is the keys of what is sorted.
//! Not here: which messages (search).

use imap::server::ask::{SortBy, SortKey};
use message::address::{Entry, Mailbox};
use message::outline::Front;
use std::cmp::Ordering;
use store::{ReadError, Row, Snapshot, Store, Uid};

/// So many messages are taken out of the index at once.
const LISTED_AT_ONCE: usize = 500;

/// What one criterion compares.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Number(i64),
    Text(Box<str>),
}

/// Puts messages in order. Blocks.
pub(super) fn sort(
    store: &Store,
    snapshot: &Snapshot,
    uids: Vec<Uid>,
    keys: &[SortKey],
) -> Result<Vec<u32>, ReadError> {
    let mut all = Vec::with_capacity(uids.len());
    for uids in uids.chunks(LISTED_AT_ONCE) {
        let fronts = match keys.iter().all(|key| matches!(key.by, SortBy::Arrival | SortBy::Size)) {
            true => Vec::new(),
            false => store.list(snapshot.mailbox, uids)?,
        };
        for uid in uids {
            let Some(row) = snapshot.index_of(*uid).and_then(|index| snapshot.get(index)) else { continue };
            let front = fronts.binary_search_by_key(uid, |listed| listed.kept.uid).ok().map(|at| fronts[at].front());
            let front = front.unwrap_or_default();
            all.push((keys.iter().map(|key| value(key.by, row, &front)).collect::<Box<[Value]>>(), uid.0));
        }
    }
    all.sort_by(|(one, first), (two, second)| {
        let ordering = keys.iter().zip(one.iter().zip(two)).map(|(key, (one, two))| match key.reverse {
            false => one.cmp(two),
            true => two.cmp(one),
        });
        ordering.fold(Ordering::Equal, Ordering::then).then(first.cmp(second))
    });
    Ok(all.into_iter().map(|(_, uid)| uid).collect())
}

fn value(by: SortBy, row: &Row, front: &Front) -> Value {
    let envelope = &front.envelope;
    match by {
        SortBy::Arrival => Value::Number(row.received_at),
        SortBy::Date => Value::Number(front.sent.unwrap_or(row.received_at)),
        SortBy::Size => Value::Number(row.size.into()),
        SortBy::Subject => Value::Text(folded(&front.base_subject)),
        SortBy::Cc => Value::Text(address(&envelope.cc)),
        SortBy::From => Value::Text(address(&envelope.from)),
        SortBy::To => Value::Text(address(&envelope.to)),
        SortBy::DisplayFrom => Value::Text(display(&envelope.from)),
        SortBy::DisplayTo => Value::Text(display(&envelope.to)),
    }
}

/// As letters are compared: the same way as in SEARCH.
pub(super) fn folded(text: &str) -> Box<str> {
    message::find::fold(text).into()
}

/// RFC 5256 §3: what stands before the `@` of the first address; the name of a group that stands first.
fn address(list: &[Entry]) -> Box<str> {
    match list.first() {
        None => "".into(),
        Some(Entry::Group { name, .. }) => folded(&message::mime::words::decode(name)),
        Some(Entry::Mailbox(mailbox)) => folded(&String::from_utf8_lossy(&mailbox.local)),
    }
}

/// RFC 5957 §3: the first one's name, or else the address.
fn display(list: &[Entry]) -> Box<str> {
    match list.first() {
        None => "".into(),
        Some(Entry::Group { name, .. }) => folded(&message::mime::words::decode(name)),
        Some(Entry::Mailbox(mailbox)) => folded(&mailbox.display_name().unwrap_or_else(|| plain(mailbox))),
    }
}

fn plain(mailbox: &Mailbox) -> String {
    format!("{}@{}", String::from_utf8_lossy(&mailbox.local), String::from_utf8_lossy(&mailbox.domain))
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

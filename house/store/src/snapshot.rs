//! A mailbox at one moment, in memory: its rows, what leads from one moment to the next, and what is different between two.
//!
//! ```text
//! rows are read ─load→ Snapshot ─after a change→ Snapshot ─after …→      old.changes_to(&new) → Difference
//! ```
//!
//! A [`Snapshot`] never changes. A session keeps the one it has told its client about; when it may tell more, it takes the
//! present one and asks for the difference. Snapshots share what is the same in them, so that ten thousand sessions that
//! are a little behind cost little.
//!
//! Invariants: rows are in the order of their UIDs; a change that is known already changes nothing.
//! Not here: who has it open, and who hears of changes (live); how sequence numbers are told (imap); what a message says (read).

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::ReadError;
use crate::feed::{Arrival, Change};
use crate::kin::Kin;
use crate::names::{MailboxId, ModSeq, Uid};
use crate::op::Flags;
use crate::ranks::Ranks;
use crate::states::{State as MessageState, each_block};

/// Rows in one piece: a change copies one piece, and the list of pieces.
const PIECE_ROWS: usize = 512;

/// A message in a mailbox, as far as it is in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The number of its last change.
    pub modseq: ModSeq,
    /// When it arrived, Unix seconds.
    pub received_at: i64,
    /// Its UID.
    pub uid: Uid,
    /// Octets.
    pub size: u32,
    /// Which set of keywords it has; see [`Snapshot::flags`].
    keywords: u32,
    /// Its system flags.
    pub system: u8,
}

impl Row {
    /// Whether it has keywords; see [`Snapshot::keywords_of`].
    pub fn has_keywords(&self) -> bool {
        // Set 0 is empty.
        self.keywords != 0
    }
}

/// A mailbox at one moment.
#[derive(Clone)]
pub struct Snapshot {
    /// Which.
    pub mailbox: MailboxId,
    /// With another value, UIDs mean other messages.
    pub uidvalidity: u32,
    /// The UID the next message will have.
    pub uidnext: u32,
    /// The number of its last change.
    pub modseq: ModSeq,
    /// How many messages are not `\Seen`.
    pub unseen: usize,
    /// How many messages are `\Deleted`.
    pub deleted: usize,
    /// The sum of all sizes.
    pub octets: u64,
    len: usize,
    pieces: Arc<[Piece]>,
    keywords: Arc<RwLock<KeywordSets>>,
    /// The order somebody has put it in last.
    ranks: Arc<Mutex<Option<Arc<Ranks>>>>,
    /// What somebody has found its messages to say of each other.
    kin: Arc<Mutex<Option<Arc<Kin>>>>,
}

#[derive(Clone)]
struct Piece {
    /// The index of its first row.
    start: usize,
    rows: Arc<[Row]>,
}

/// The sets of keywords that messages of a mailbox have or had; numbers stay. Set 0 is empty.
#[derive(Default)]
struct KeywordSets {
    sets: Vec<Arc<[String]>>,
    numbers: HashMap<String, u32>,
}

impl KeywordSets {
    fn number(&mut self, keywords: &[String]) -> u32 {
        if self.sets.is_empty() {
            self.sets.push(Arc::new([]));
        }
        if keywords.is_empty() {
            return 0;
        }
        let text = keywords.join(" ");
        if let Some(number) = self.numbers.get(&text) {
            return *number;
        }
        let number = self.sets.len() as u32;
        self.sets.push(keywords.into());
        self.numbers.insert(text, number);
        number
    }
}

/// How one snapshot differs from an earlier one. All ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Messages that are gone.
    pub vanished: Vec<Uid>,
    /// Messages that were there and have changed.
    pub changed: Vec<Uid>,
    /// Messages that are new.
    pub added: Vec<Uid>,
}

impl Snapshot {
    /// How many messages there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The row of an index; 0 is the first.
    pub fn get(&self, index: usize) -> Option<&Row> {
        let piece = self.pieces.partition_point(|piece| piece.start <= index).checked_sub(1)?;
        let piece = &self.pieces[piece];
        piece.rows.get(index - piece.start)
    }

    /// The index of a message.
    pub fn index_of(&self, uid: Uid) -> Option<usize> {
        let index = self.lower_bound(uid);
        self.get(index).filter(|row| row.uid == uid).map(|_| index)
    }

    /// The rows of those of these messages that are there. UIDs must ascend: a row that follows upon the last one is found at once.
    pub fn rows_of(&self, uids: impl IntoIterator<Item = Uid>) -> impl Iterator<Item = &Row> {
        let mut cursor = Cursor::new(&self.pieces);
        uids.into_iter().filter_map(move |uid| cursor.find(uid))
    }

    /// The order by what this word means, if it is the last that was [kept](Snapshot::keep_ranks). It may be of an earlier moment.
    pub fn ranks(&self, by: &str) -> Option<Arc<Ranks>> {
        self.ranks.lock().unwrap_or_else(PoisonError::into_inner).clone().filter(|ranks| ranks.by == by)
    }

    /// Keeps an order of all messages for those who want the same.
    pub fn keep_ranks(&self, ranks: Ranks) {
        *self.ranks.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(ranks));
    }

    /// What messages say of each other, if somebody has [kept](Snapshot::keep_kin) it. It may be of an earlier moment.
    pub fn kin(&self) -> Option<Arc<Kin>> {
        self.kin.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps what was found of all messages for those who want the same, if it is not too much.
    pub fn keep_kin(&self, kin: Kin) {
        if kin.may_be_kept() {
            *self.kin.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(kin));
        }
    }

    /// How many messages have smaller UIDs.
    pub fn lower_bound(&self, uid: Uid) -> usize {
        let piece = self.pieces.partition_point(|piece| piece.rows.last().is_some_and(|row| row.uid < uid));
        self.pieces.get(piece).map_or(self.len, |piece| piece.start + piece.rows.partition_point(|row| row.uid < uid))
    }

    /// All rows, by UID.
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = &Row> {
        self.pieces.iter().flat_map(|piece| piece.rows.iter())
    }

    /// The UIDs of all rows, in ranges, ascending: a piece without gaps is one. Ranges may adjoin.
    pub fn uid_ranges(&self) -> impl Iterator<Item = (Uid, Uid)> {
        self.pieces.iter().flat_map(|piece| {
            let (first, last) = (piece.rows[0].uid, piece.rows[piece.rows.len() - 1].uid);
            let is_whole = (last.0 - first.0) as usize == piece.rows.len() - 1;
            let rows = if is_whole { &[][..] } else { &*piece.rows };
            is_whole.then_some((first, last)).into_iter().chain(rows.iter().map(|row| (row.uid, row.uid)))
        })
    }

    /// The first message that is not `\Seen`.
    pub fn first_unseen(&self) -> Option<&Row> {
        match self.unseen {
            0 => None,
            _ => self.rows().find(|row| u32::from(row.system) & Flags::SEEN == 0),
        }
    }

    /// The rows of a range of indices.
    pub fn slice(&self, range: Range<usize>) -> impl Iterator<Item = &Row> {
        let first = self.pieces.partition_point(|piece| piece.start + piece.rows.len() <= range.start);
        let skipped = self.pieces.get(first).map_or(0, |piece| range.start - piece.start);
        let rows = self.pieces[first.min(self.pieces.len())..].iter().flat_map(|piece| piece.rows.iter());
        rows.skip(skipped).take(range.len())
    }

    /// A message's flags.
    pub fn flags(&self, row: &Row) -> Flags {
        Flags { system: row.system.into(), keywords: self.keywords_of(row).to_vec() }
    }

    /// A message's keywords.
    pub fn keywords_of(&self, row: &Row) -> Arc<[String]> {
        let sets = self.keywords.read().unwrap_or_else(PoisonError::into_inner);
        sets.sets.get(row.keywords as usize).cloned().unwrap_or_default()
    }

    /// Whether some message has keywords, or had some.
    pub fn has_keywords(&self) -> bool {
        !self.keywords.read().unwrap_or_else(PoisonError::into_inner).numbers.is_empty()
    }

    /// Every keyword that some message has, each once whatever its case, in alphabetical order.
    pub fn keywords(&self) -> Vec<String> {
        if !self.has_keywords() {
            return Vec::new();
        }
        let mut used = Vec::new();
        for row in self.rows() {
            let number = row.keywords as usize;
            if number >= used.len() {
                used.resize(number + 1, false);
            }
            used[number] = true;
        }
        let sets = self.keywords.read().unwrap_or_else(PoisonError::into_inner);
        let mut words: Vec<String> = Vec::new();
        for (set, _) in sets.sets.iter().zip(used).filter(|(_, is_used)| *is_used) {
            words.extend(set.iter().cloned());
        }
        words.sort_by_cached_key(|word| word.to_ascii_lowercase());
        words.dedup_by(|one, two| one.eq_ignore_ascii_case(two));
        words
    }

    /// Messages that have changed after a modseq, by UID.
    pub fn changed_since(&self, since: ModSeq) -> impl Iterator<Item = &Row> {
        self.rows().filter(move |row| row.modseq > since)
    }

    /// What a later snapshot of the same mailbox has that this one has not.
    pub fn changes_to(&self, later: &Snapshot) -> Difference {
        let mut difference = Difference::default();
        if self.modseq == later.modseq {
            return difference;
        }
        let (mut old, mut new) = (Cursor::new(&self.pieces), Cursor::new(&later.pieces));
        loop {
            if old.skips_with(&mut new) {
                continue;
            }
            match (old.row(), new.row()) {
                (None, None) => return difference,
                (Some(row), None) => {
                    difference.vanished.push(row.uid);
                    old.step();
                }
                (None, Some(row)) => {
                    difference.added.push(row.uid);
                    new.step();
                }
                (Some(before), Some(now)) if now.uid > before.uid => {
                    // Rows are added at the end alone, so this one is gone.
                    difference.vanished.push(before.uid);
                    old.step();
                }
                (Some(before), Some(now)) => {
                    if before.modseq != now.modseq {
                        difference.changed.push(now.uid);
                    }
                    old.step();
                    new.step();
                }
            }
        }
    }

    fn number(&self, keywords: &[String]) -> u32 {
        if keywords.is_empty() {
            return 0;
        }
        self.keywords.write().unwrap_or_else(PoisonError::into_inner).number(keywords)
    }

    fn count(&mut self, row: &Row, is_there: bool) {
        let count = |figure: &mut usize| match is_there {
            true => *figure += 1,
            false => *figure = figure.saturating_sub(1),
        };
        count(&mut self.len);
        if u32::from(row.system) & Flags::SEEN == 0 {
            count(&mut self.unseen);
        }
        if u32::from(row.system) & Flags::DELETED != 0 {
            count(&mut self.deleted);
        }
        self.octets = match is_there {
            true => self.octets + u64::from(row.size),
            false => self.octets.saturating_sub(u64::from(row.size)),
        };
    }

    /// The snapshot after a change of its mailbox. One that it knows already changes nothing.
    pub(crate) fn after(&self, change: &Change) -> Snapshot {
        let mut next = self.clone();
        let (mailbox, modseq) = match change {
            Change::Placed { mailbox, modseq, .. }
            | Change::FlagsSet { mailbox, modseq, .. }
            | Change::Expunged { mailbox, modseq, .. } => (*mailbox, *modseq),
            Change::Mailboxes { .. } | Change::QueueChanged | Change::DirectoryChanged => return next,
        };
        debug_assert_eq!(mailbox, self.mailbox);
        next.modseq = next.modseq.max(modseq);
        match change {
            Change::Placed { messages, .. } => next.append(messages, modseq),
            Change::FlagsSet { messages, .. } => next.set_flags(messages, modseq),
            Change::Expunged { uids, .. } => next.remove(uids),
            Change::Mailboxes { .. } | Change::QueueChanged | Change::DirectoryChanged => {}
        }
        next
    }

    fn append(&mut self, messages: &[Arrival], modseq: ModSeq) {
        let mut pieces = self.pieces.to_vec();
        let mut rows: Vec<Row> = match pieces.last() {
            Some(last) if last.rows.len() < PIECE_ROWS => pieces.pop().map_or(Vec::new(), |last| last.rows.to_vec()),
            _ => Vec::new(),
        };
        let known = messages.partition_point(|arrival| arrival.uid.0 < self.uidnext);
        for arrival in &messages[known..] {
            let row = Row {
                modseq,
                received_at: arrival.received_at,
                uid: arrival.uid,
                size: u32::try_from(arrival.size).unwrap_or(u32::MAX),
                keywords: self.number(&arrival.flags.keywords),
                system: arrival.flags.system as u8,
            };
            self.count(&row, true);
            rows.push(row);
            if rows.len() == PIECE_ROWS {
                pieces.push(Piece { start: 0, rows: std::mem::take(&mut rows).into() });
            }
        }
        if let Some(last) = messages.last() {
            self.uidnext = self.uidnext.max(last.uid.0.saturating_add(1));
        }
        pieces.push(Piece { start: 0, rows: rows.into() });
        self.put(pieces);
    }

    fn set_flags(&mut self, messages: &[(Uid, Flags)], modseq: ModSeq) {
        self.edit(
            messages,
            |(uid, _)| *uid,
            |snapshot, row, (_, flags)| {
                if row.modseq >= modseq {
                    return Some(row);
                }
                snapshot.count(&row, false);
                let row = Row { modseq, keywords: snapshot.number(&flags.keywords), system: flags.system as u8, ..row };
                snapshot.count(&row, true);
                Some(row)
            },
        );
    }

    fn remove(&mut self, uids: &[Uid]) {
        self.edit(
            uids,
            |uid| *uid,
            |snapshot, row, _| {
                snapshot.count(&row, false);
                None
            },
        );
    }

    /// Replaces or removes the rows that are named, ascending; pieces without any stay the same.
    fn edit<T>(
        &mut self,
        named: &[T],
        uid_of: impl Fn(&T) -> Uid,
        mut change: impl FnMut(&mut Snapshot, Row, &T) -> Option<Row>,
    ) {
        let mut pieces = Vec::with_capacity(self.pieces.len());
        let mut rest = named;
        for piece in &*Arc::clone(&self.pieces) {
            let last = piece.rows.last().map_or(Uid(0), |row| row.uid);
            let (here, later) = rest.split_at(rest.partition_point(|item| uid_of(item) <= last));
            rest = later;
            if here.is_empty() {
                pieces.push(piece.clone());
                continue;
            }
            let mut here = here.iter().peekable();
            let rows = piece.rows.iter().filter_map(|row| {
                while here.next_if(|item| uid_of(item) < row.uid).is_some() {}
                match here.next_if(|item| uid_of(item) == row.uid) {
                    Some(item) => change(self, *row, item),
                    None => Some(*row),
                }
            });
            pieces.push(Piece { start: 0, rows: rows.collect() });
        }
        self.put(pieces);
    }

    /// Takes over pieces: empty ones go, small neighbours are joined, and each learns where it begins.
    fn put(&mut self, pieces: Vec<Piece>) {
        let mut joined: Vec<Piece> = Vec::with_capacity(pieces.len());
        let mut start = 0;
        for piece in pieces.into_iter().filter(|piece| !piece.rows.is_empty()) {
            let len = piece.rows.len();
            match joined.last_mut() {
                Some(last) if last.rows.len() + len <= PIECE_ROWS / 2 => {
                    last.rows = last.rows.iter().chain(&*piece.rows).copied().collect();
                }
                _ => joined.push(Piece { start, ..piece }),
            }
            start += len;
        }
        self.pieces = joined.into();
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Snapshot").field("mailbox", &self.mailbox).field("len", &self.len).finish_non_exhaustive()
    }
}

/// A place in a snapshot's rows.
struct Cursor<'a> {
    pieces: &'a [Piece],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn new(pieces: &'a [Piece]) -> Self {
        Cursor { pieces, at: 0 }
    }

    fn row(&self) -> Option<&'a Row> {
        self.pieces.first()?.rows.get(self.at)
    }

    fn step(&mut self) {
        self.at += 1;
        if self.pieces.first().is_some_and(|piece| piece.rows.len() <= self.at) {
            (self.pieces, self.at) = (&self.pieces[1..], 0);
        }
    }

    /// Goes on to the first row that is not before this UID; the row, if it is the one.
    fn find(&mut self, uid: Uid) -> Option<&'a Row> {
        let is_before = |piece: &Piece| piece.rows.last().is_some_and(|row| row.uid < uid);
        if is_before(self.pieces.first()?) {
            (self.pieces, self.at) = (&self.pieces[self.pieces.partition_point(is_before)..], 0);
        }
        let rest = &self.pieces.first()?.rows[self.at..];
        // Mostly it is this one or the next.
        let near = rest.iter().take(2).position(|row| row.uid >= uid);
        self.at += near.unwrap_or_else(|| rest.partition_point(|row| row.uid < uid));
        self.row().filter(|row| row.uid == uid)
    }

    /// Passes over a piece that both have.
    fn skips_with(&mut self, other: &mut Cursor<'_>) -> bool {
        let (Some(one), Some(two)) = (self.pieces.first(), other.pieces.first()) else { return false };
        let is_same = self.at == 0 && other.at == 0 && Arc::ptr_eq(&one.rows, &two.rows);
        if is_same {
            self.pieces = &self.pieces[1..];
            other.pieces = &other.pieces[1..];
        }
        is_same
    }
}

/// Reads a mailbox's rows, all of the same moment.
pub(crate) fn load(conn: &Connection, mailbox: MailboxId) -> Result<Snapshot, ReadError> {
    let moment = conn.unchecked_transaction()?;
    let (uidvalidity, uidnext, modseq, messages): (u32, i64, i64, i64) = moment
        .prepare_cached("SELECT uidvalidity, uidnext, modseq, messages FROM mailboxes WHERE id = ?1")?
        .query_row(params![mailbox.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?
        .ok_or(ReadError::NotFound)?;
    let mut snapshot = Snapshot {
        mailbox,
        uidvalidity,
        uidnext: u32::try_from(uidnext).unwrap_or(u32::MAX),
        modseq: ModSeq(modseq),
        unseen: 0,
        deleted: 0,
        octets: 0,
        len: 0,
        pieces: Arc::new([]),
        keywords: Arc::default(),
        ranks: Arc::default(),
        kin: Arc::default(),
    };
    let messages = usize::try_from(messages).unwrap_or(0);
    let mut pieces = Vec::with_capacity(messages / PIECE_ROWS + 1);
    let mut rows = Vec::with_capacity(PIECE_ROWS);
    each_block(&moment, mailbox, |block| {
        let mut last = None;
        for state in block.states() {
            let keywords = match last {
                Some((like, keywords)) if state.is_flagged_like(like) => keywords,
                _ => snapshot.number(&block.flags(state).keywords),
            };
            last = Some((state, keywords));
            let MessageState { modseq, received_at, uid, size, .. } = *state;
            let row = Row { modseq, received_at, uid, size, keywords, system: state.system() as u8 };
            snapshot.count(&row, true);
            rows.push(row);
            if rows.len() == PIECE_ROWS {
                pieces.push(Piece { start: 0, rows: rows.as_slice().into() });
                rows.clear();
            }
        }
    })?;
    pieces.push(Piece { start: 0, rows: rows.into() });
    snapshot.put(pieces);
    Ok(snapshot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::AccountId;
    use proptest::prelude::*;

    const MAILBOX: MailboxId = MailboxId(1);
    const ACCOUNT: AccountId = AccountId(1);

    fn empty() -> Snapshot {
        Snapshot {
            mailbox: MAILBOX,
            uidvalidity: 1,
            uidnext: 1,
            modseq: ModSeq(1),
            unseen: 0,
            deleted: 0,
            octets: 0,
            len: 0,
            pieces: Arc::new([]),
            keywords: Arc::default(),
            ranks: Arc::default(),
            kin: Arc::default(),
        }
    }

    fn placed(modseq: i64, uids: Range<u32>) -> Change {
        let arrival = |uid| Arrival { uid: Uid(uid), size: 10, received_at: 5, flags: Flags::default() };
        Change::Placed {
            account: ACCOUNT,
            mailbox: MAILBOX,
            modseq: ModSeq(modseq),
            messages: uids.map(arrival).collect(),
        }
    }

    fn flagged(modseq: i64, uids: &[u32], flags: &Flags) -> Change {
        let messages = uids.iter().map(|uid| (Uid(*uid), flags.clone())).collect();
        Change::FlagsSet { account: ACCOUNT, mailbox: MAILBOX, modseq: ModSeq(modseq), messages }
    }

    fn expunged(modseq: i64, uids: &[u32]) -> Change {
        let uids = uids.iter().map(|uid| Uid(*uid)).collect();
        Change::Expunged { account: ACCOUNT, mailbox: MAILBOX, modseq: ModSeq(modseq), uids }
    }

    fn uids(snapshot: &Snapshot) -> Vec<u32> {
        snapshot.rows().map(|row| row.uid.0).collect()
    }

    #[test]
    fn rows_are_found_by_index_and_by_uid() {
        let snapshot = empty().after(&placed(2, 1..2001)).after(&expunged(3, &[1, 513, 2000]));
        assert_eq!((snapshot.len(), snapshot.uidnext, snapshot.unseen, snapshot.octets), (1997, 2001, 1997, 19_970));
        for (index, row) in snapshot.rows().enumerate() {
            assert_eq!(snapshot.get(index), Some(row));
            assert_eq!(snapshot.index_of(row.uid), Some(index));
        }
        assert_eq!(
            (snapshot.index_of(Uid(513)), snapshot.lower_bound(Uid(513)), snapshot.get(1997)),
            (None, 511, None)
        );
        assert_eq!(snapshot.slice(510..513).map(|row| row.uid.0).collect::<Vec<_>>(), [512, 514, 515]);
        assert_eq!(snapshot.slice(1990..5000).count(), 7);
        let named = snapshot.uid_ranges().flat_map(|(first, last)| first.0..=last.0);
        assert!(named.eq(uids(&snapshot)) && snapshot.uid_ranges().count() < 1500);
        let seen = snapshot.after(&flagged(4, &[2, 3], &Flags::system(Flags::SEEN)));
        assert_eq!((seen.first_unseen().map(|row| row.uid), empty().first_unseen()), (Some(Uid(4)), None));
        assert_eq!(snapshot.slice(5000..5001).count(), 0);
        let found =
            |uids: &[u32]| snapshot.rows_of(uids.iter().map(|uid| Uid(*uid))).map(|row| row.uid.0).collect::<Vec<_>>();
        assert_eq!(found(&[1, 2, 3, 512, 513, 514, 1000, 1001, 1999, 2000, 3000]), [2, 3, 512, 514, 1000, 1001, 1999]);
        assert!(found(&[2000, 2001]).is_empty());
    }

    #[test]
    fn what_is_known_already_changes_nothing() {
        let flags = Flags { system: Flags::SEEN, keywords: vec!["Work".into()] };
        let changes = [placed(2, 1..4), flagged(3, &[2], &flags), expunged(4, &[1])];
        let once = changes.iter().fold(empty(), |snapshot, change| snapshot.after(change));
        let twice = changes.iter().fold(once.clone(), |snapshot, change| snapshot.after(change));
        assert_eq!(uids(&twice), [2, 3]);
        assert_eq!(once.rows().collect::<Vec<_>>(), twice.rows().collect::<Vec<_>>());
        assert_eq!((twice.unseen, twice.octets, twice.keywords()), (1, 20, vec!["Work".into()]));
        assert_eq!(twice.flags(twice.get(0).unwrap()), flags);
    }

    #[test]
    fn one_message_changed_in_many_shares_the_rest() {
        let before = empty().after(&placed(2, 1..10_001));
        let after = before.after(&flagged(3, &[5000], &Flags::system(Flags::DELETED)));
        let shared = before.pieces.iter().zip(&*after.pieces).filter(|(one, two)| Arc::ptr_eq(&one.rows, &two.rows));
        assert_eq!(shared.count(), before.pieces.len() - 1);
        assert_eq!(before.changes_to(&after).changed, [Uid(5000)]);
        assert_eq!((before.deleted, after.deleted), (0, 1));
    }

    proptest! {
        #[test]
        fn the_difference_leads_from_one_to_the_other(
            count in 1..1500_u32, more in 0..700_u32,
            gone in proptest::collection::btree_set(1..2200_u32, 0..900),
            flags in proptest::collection::btree_set(1..2200_u32, 0..50),
        ) {
            let before = empty().after(&placed(2, 1..count + 1));
            let seen = Flags::system(Flags::SEEN);
            let there = |uid: &&u32| **uid <= count + more;
            let flagged_uids: Vec<u32> = flags.iter().filter(there).copied().collect();
            let gone_uids: Vec<u32> = gone.iter().filter(there).copied().collect();
            let after = before
                .after(&placed(3, count + 1..count + more + 1))
                .after(&flagged(4, &flagged_uids, &seen))
                .after(&expunged(5, &gone_uids));
            let difference = before.changes_to(&after);
            let plain = |uids: &[Uid]| uids.iter().map(|uid| uid.0).collect::<Vec<_>>();
            let left = |uid: &u32| !gone.contains(uid);
            prop_assert_eq!(plain(&difference.vanished), gone_uids.iter().copied().filter(|uid| *uid <= count).collect::<Vec<_>>());
            prop_assert_eq!(plain(&difference.added), (count + 1..count + more + 1).filter(left).collect::<Vec<_>>());
            prop_assert_eq!(plain(&difference.changed), flagged_uids.iter().copied().filter(|uid| *uid <= count && left(uid)).collect::<Vec<_>>());
            prop_assert_eq!(after.len(), after.rows().count());
            prop_assert_eq!(after.unseen, after.rows().filter(|row| u32::from(row.system) & Flags::SEEN == 0).count());
            prop_assert_eq!(before.changes_to(&before), Difference::default());
        }
    }
}

//! A mailbox at one moment, in memory: its rows.
//!
//! ```text
//! rows are read ─load→ Snapshot ─after a change→ Snapshot ─after …→      old.changes_to(&new) → Difference
//! ```
//!
//! A [`Snapshot`] never changes. A session keeps the one it has told its client about; when it may tell more, it takes the
//! present one and asks for the difference. Snapshots share what is the same in them, so that ten thousand sessions that
//! are a little behind cost little.
//!
//! Invariants: rows are in the order of their UIDs.
//! Not here: what leads from one moment to the next (after), and what is different between two (difference); who has it open,
//! and who hears of changes (live); how sequence numbers are told (imap); what a message says (read).

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::ReadError;
use crate::kin::Kin;
use crate::names::{MailboxId, ModSeq, Uid};
use crate::op::Flags;
use crate::ranks::Ranks;
use crate::states::{State as MessageState, each_block};

mod after;
mod difference;

use difference::Cursor;
pub use difference::Difference;

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

impl Snapshot {
    /// Without any messages.
    fn empty(mailbox: MailboxId, uidvalidity: u32, uidnext: u32, modseq: ModSeq) -> Self {
        Snapshot {
            mailbox,
            uidvalidity,
            uidnext,
            modseq,
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
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Snapshot").field("mailbox", &self.mailbox).field("len", &self.len).finish_non_exhaustive()
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
    let uidnext = u32::try_from(uidnext).unwrap_or(u32::MAX);
    let mut snapshot = Snapshot::empty(mailbox, uidvalidity, uidnext, ModSeq(modseq));
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
mod tests;

//! What an open mailbox knows of its messages, packed: blocks of up to [`BLOCK_STATES`] messages, a row of the index each.
//!
//! ```text
//! states(id, block, words)    id     mailbox × 2³² + the UID the block begins at; the next block's is beyond all of its UIDs
//!                             block  a version, then a message each: UID, size, modseq, arrival, set of keywords, system flags
//!                             words  the sets that occur in it, one a line, words with blanks between; NULL where there are none
//! ```
//!
//! Flags of ten thousand messages change by writing eighty rows, and a mailbox is read in as many steps as it has pages. A block with few
//! keywords fills one page of the database and needs no second one.
//!
//! Invariants: this alone knows the layout; the UIDs of a block ascend, from the one it begins at; a block that breaks a rule is not read
//! at all. A set of keywords that no message of the block has is not written.
//! Not here: who changes blocks, and what else must change with them (index); whether messages and states agree (check).

use rusqlite::types::Type;
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use crate::names::{MailboxId, ModSeq, Uid};
use crate::op::Flags;

/// The layout that is written.
const VERSION: u8 = 1;

/// Octets of a message in a block.
const STATE_OCTETS: usize = 28;

/// How many messages a block has at most: 3.5 KiB, so that a page of 4 KiB holds them and some keywords.
pub(crate) const BLOCK_STATES: usize = 128;

/// A block whose sets of keywords have more octets is divided: whoever gives each message a thousand keywords of its own
/// shall not have them all written whenever one changes.
const WORDS_OCTETS_MAX: usize = 32 * 1024;

/// What changes about a message, with what a list needs in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) uid: Uid,
    /// Octets of prefix and body.
    pub(crate) size: u32,
    pub(crate) modseq: ModSeq,
    /// Unix seconds.
    pub(crate) received_at: i64,
    /// Which of the block's sets of keywords, from 1; 0 is none.
    set: u16,
    system: u16,
}

impl State {
    /// A message's state without keywords; they belong to a block.
    pub(crate) fn new(uid: Uid, size: i64, modseq: ModSeq, received_at: i64, system: u32) -> State {
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        State { uid, size, modseq, received_at, set: 0, system: (system & Flags::ALL) as u16 }
    }

    /// Its system flags.
    pub(crate) fn system(&self) -> u32 {
        self.system.into()
    }

    /// Whether two messages of one block have the same flags and keywords.
    pub(crate) fn is_flagged_like(&self, other: &State) -> bool {
        (self.system, self.set) == (other.system, other.set)
    }

    /// This message with the flags and keywords of another one of its block.
    pub(crate) fn flagged_like(&self, other: &State) -> State {
        State { set: other.set, system: other.system, ..*self }
    }

    fn encode(&self, octets: &mut Vec<u8>) {
        octets.extend_from_slice(&self.uid.0.to_le_bytes());
        octets.extend_from_slice(&self.size.to_le_bytes());
        octets.extend_from_slice(&self.modseq.0.to_le_bytes());
        octets.extend_from_slice(&self.received_at.to_le_bytes());
        octets.extend_from_slice(&self.set.to_le_bytes());
        octets.extend_from_slice(&self.system.to_le_bytes());
    }

    fn decode(octets: &[u8; STATE_OCTETS]) -> State {
        let (uid, rest) = taken(octets);
        let (size, rest) = taken(rest);
        let (modseq, rest) = taken(rest);
        let (received_at, rest) = taken(rest);
        let (set, rest) = taken(rest);
        let (system, _) = taken(rest);
        State {
            uid: Uid(u32::from_le_bytes(uid)),
            size: u32::from_le_bytes(size),
            modseq: ModSeq(i64::from_le_bytes(modseq)),
            received_at: i64::from_le_bytes(received_at),
            set: u16::from_le_bytes(set),
            system: u16::from_le_bytes(system),
        }
    }
}

/// The first octets, and the rest. There are as many: a state has a fixed length.
fn taken<const N: usize>(octets: &[u8]) -> ([u8; N], &[u8]) {
    octets.split_first_chunk().map_or(([0; N], &[]), |(first, rest)| (*first, rest))
}

/// Neighbouring messages of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    mailbox: MailboxId,
    /// The lowest UID it may have; it stays when that message is gone.
    from: Uid,
    states: Vec<State>,
    /// Sets of keywords, with blanks between words.
    sets: Vec<Box<str>>,
}

impl Block {
    /// A block without messages yet, for UIDs from this one on.
    pub(crate) fn new(mailbox: MailboxId, from: Uid) -> Block {
        Block { mailbox, from, states: Vec::new(), sets: Vec::new() }
    }

    /// Its messages, by UID.
    pub(crate) fn states(&self) -> &[State] {
        &self.states
    }

    /// Its last UID; 0 where it is empty.
    pub(crate) fn last(&self) -> Uid {
        self.states.last().map_or(Uid(0), |state| state.uid)
    }

    /// A message's place in it.
    pub(crate) fn find(&self, uid: Uid) -> Option<usize> {
        self.states.binary_search_by_key(&uid, |state| state.uid).ok()
    }

    /// Whether the next message begins another block.
    pub(crate) fn is_full(&self) -> bool {
        self.states.len() >= BLOCK_STATES || self.words_octets() >= WORDS_OCTETS_MAX
    }

    /// Adds a message whose UID is beyond all others, with its keywords.
    pub(crate) fn push(&mut self, state: State, keywords: Option<&str>) {
        debug_assert!(state.uid >= self.from && state.uid > self.last());
        let set = self.set(keywords);
        self.states.push(State { set, ..state });
    }

    /// A message's keywords as a row has them.
    pub(crate) fn keywords(&self, state: &State) -> Option<&str> {
        self.sets.get(usize::from(state.set).checked_sub(1)?).map(|words| &**words)
    }

    /// A message's flags.
    pub(crate) fn flags(&self, state: &State) -> Flags {
        Flags::from_sql(state.system(), self.keywords(state))
    }

    /// A message as it is after it was given these flags.
    pub(crate) fn flagged(&mut self, state: &State, flags: &Flags) -> State {
        let set = if flags.keywords.is_empty() { 0 } else { self.set(flags.keywords_to_sql().as_deref()) };
        State { set, system: (flags.system & Flags::ALL) as u16, ..*state }
    }

    /// Puts a message's new state in its place.
    pub(crate) fn put(&mut self, at: usize, state: State) {
        debug_assert_eq!(self.states[at].uid, state.uid);
        self.states[at] = state;
    }

    /// Removes those messages that `is_wanted` does not want.
    pub(crate) fn retain(&mut self, is_wanted: impl FnMut(&State) -> bool) {
        self.states.retain(is_wanted);
    }

    /// Adds the messages of the block behind this one.
    pub(crate) fn append(&mut self, later: &Block) {
        later.states.iter().for_each(|state| self.push(*state, later.keywords(state)));
    }

    /// The number of a set of keywords, entered where it is new.
    fn set(&mut self, keywords: Option<&str>) -> u16 {
        let Some(keywords) = keywords.filter(|words| !words.is_empty()) else { return 0 };
        let known = self.sets.iter().position(|words| **words == *keywords);
        let at = known.unwrap_or_else(|| {
            self.sets.push(keywords.into());
            self.sets.len() - 1
        });
        // A block has few messages, and each has one set before a change and one after it.
        (at + 1) as u16
    }

    fn words_octets(&self) -> usize {
        self.sets.iter().map(|words| words.len()).sum()
    }

    /// Without sets that no message has.
    fn tidied(&self) -> Block {
        let mut tidied = Block::new(self.mailbox, self.from);
        tidied.append(self);
        tidied
    }

    fn encode(&self) -> (Vec<u8>, Option<String>) {
        let mut block = Vec::with_capacity(1 + self.states.len() * STATE_OCTETS);
        block.push(VERSION);
        self.states.iter().for_each(|state| state.encode(&mut block));
        (block, (!self.sets.is_empty()).then(|| self.sets.join("\n")))
    }

    fn decode(id: i64, block: &[u8], words: Option<&str>) -> Option<Block> {
        let (version, octets) = block.split_first()?;
        let (states, rest) = octets.as_chunks::<STATE_OCTETS>();
        if *version != VERSION || !rest.is_empty() {
            return None;
        }
        let (mailbox, from) = (MailboxId(id >> 32), Uid((id & 0xffff_ffff) as u32));
        let states: Vec<State> = states.iter().map(State::decode).collect();
        let sets: Vec<Box<str>> = words.iter().flat_map(|words| words.split('\n')).map(Box::from).collect();
        let is_sound = states.first().is_none_or(|state| state.uid >= from)
            && states.is_sorted_by(|one, two| one.uid < two.uid)
            && states.iter().all(|state| usize::from(state.set) <= sets.len() && state.system() <= Flags::ALL);
        is_sound.then_some(Block { mailbox, from, states, sets })
    }

    /// Writes it, in pieces where its keywords are too long; where it is empty it is removed.
    pub(crate) fn write(&self, conn: &Connection) -> rusqlite::Result<()> {
        if self.states.is_empty() {
            return self.remove(conn);
        }
        let tidied = if self.sets.is_empty() { None } else { Some(self.tidied()) };
        let block = tidied.as_ref().unwrap_or(self);
        if block.words_octets() > WORDS_OCTETS_MAX && block.states.len() > 1 {
            let (one, two) = block.halves();
            one.write(conn)?;
            return two.write(conn);
        }
        let (octets, words) = block.encode();
        conn.prepare_cached(
            "INSERT INTO states (id, block, words) VALUES (?1, ?2, ?3) \
             ON CONFLICT (id) DO UPDATE SET block = excluded.block, words = excluded.words",
        )?
        .execute(params![key(self.mailbox, self.from), octets, words])?;
        Ok(())
    }

    /// Removes its row.
    pub(crate) fn remove(&self, conn: &Connection) -> rusqlite::Result<()> {
        conn.prepare_cached("DELETE FROM states WHERE id = ?1")?.execute(params![key(self.mailbox, self.from)])?;
        Ok(())
    }

    fn halves(&self) -> (Block, Block) {
        let (one, two) = self.states.split_at(self.states.len() / 2);
        let half = |from, states: &[State]| {
            let (states, sets) = (states.to_vec(), self.sets.clone());
            Block { mailbox: self.mailbox, from, states, sets }
        };
        (half(self.from, one), half(two[0].uid, two))
    }

    /// The block before it in its mailbox.
    pub(crate) fn before(&self, conn: &Connection) -> rusqlite::Result<Option<Block>> {
        match self.from.0 {
            0 => Ok(None),
            from => at_or_before(conn, self.mailbox, Uid(from - 1)),
        }
    }
}

/// A block that breaks the rules of its layout.
#[derive(Debug, thiserror::Error)]
#[error("the states of some messages are damaged")]
struct Damaged;

/// The number of a block's row.
fn key(mailbox: MailboxId, from: Uid) -> i64 {
    mailbox.0 << 32 | i64::from(from.0)
}

/// The highest number that a mailbox may have, for the sake of the numbers of its blocks.
pub(crate) const MAILBOX_NUMBER_MAX: i64 = i32::MAX as i64;

fn block_of_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Block> {
    let (id, octets, words) = (row.get(0)?, row.get_ref(1)?.as_blob()?, row.get_ref(2)?.as_str_or_null()?);
    Block::decode(id, octets, words)
        .ok_or_else(|| rusqlite::Error::FromSqlConversionFailure(1, Type::Blob, Box::new(Damaged)))
}

/// The block in which a message is, if it is there.
pub(crate) fn at_or_before(conn: &Connection, mailbox: MailboxId, uid: Uid) -> rusqlite::Result<Option<Block>> {
    conn.prepare_cached("SELECT id, block, words FROM states WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT 1")?
        .query_row(params![key(mailbox, Uid(0)), key(mailbox, uid)], block_of_row)
        .optional()
}

/// All blocks of a mailbox, by UID.
pub(crate) fn each_block(conn: &Connection, mailbox: MailboxId, mut take: impl FnMut(Block)) -> rusqlite::Result<()> {
    let mut select =
        conn.prepare_cached("SELECT id, block, words FROM states WHERE id BETWEEN ?1 AND ?2 ORDER BY id")?;
    let mut rows = select.query(params![key(mailbox, Uid(0)), key(mailbox, Uid(u32::MAX))])?;
    while let Some(row) = rows.next()? {
        take(block_of_row(row)?);
    }
    Ok(())
}

/// Removes all blocks of a mailbox.
pub(crate) fn remove_all(conn: &Connection, mailbox: MailboxId) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM states WHERE id BETWEEN ?1 AND ?2")?
        .execute(params![key(mailbox, Uid(0)), key(mailbox, Uid(u32::MAX))])?;
    Ok(())
}

/// Looks up states of one mailbox by ascending UIDs: each block is read once.
pub(crate) struct States<'c> {
    select: CachedStatement<'c>,
    mailbox: MailboxId,
    block: Block,
}

impl<'c> States<'c> {
    pub(crate) fn of(conn: &'c Connection, mailbox: MailboxId) -> rusqlite::Result<States<'c>> {
        let select = conn.prepare_cached(
            "SELECT id, block, words FROM states WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT 1",
        )?;
        Ok(States { select, mailbox, block: Block::new(mailbox, Uid(0)) })
    }

    /// A message's flags and the number of its last change.
    pub(crate) fn flags(&mut self, uid: Uid) -> rusqlite::Result<Option<(Flags, ModSeq)>> {
        if !(self.block.from..=self.block.last()).contains(&uid) {
            let found = self
                .select
                .query_row(params![key(self.mailbox, Uid(0)), key(self.mailbox, uid)], block_of_row)
                .optional()?;
            let Some(block) = found else { return Ok(None) };
            self.block = block;
        }
        let Some(at) = self.block.find(uid) else { return Ok(None) };
        let state = &self.block.states[at];
        Ok(Some((self.block.flags(state), state.modseq)))
    }
}

/// Makes blocks of rows: mailbox, UID, modseq, size, arrival, system flags, keywords; by mailbox and UID.
pub(crate) fn pack(conn: &Connection, select: &str) -> rusqlite::Result<()> {
    let mut select = conn.prepare(select)?;
    let mut rows = select.query([])?;
    let mut open: Option<Block> = None;
    while let Some(row) = rows.next()? {
        let (mailbox, uid) = (MailboxId(row.get(0)?), Uid(row.get(1)?));
        if let Some(full) = open.take_if(|block| block.mailbox != mailbox || block.is_full()) {
            full.write(conn)?;
        }
        let state = State::new(uid, row.get(3)?, ModSeq(row.get(2)?), row.get(4)?, row.get(5)?);
        let keywords = row.get_ref(6)?.as_str_or_null()?;
        open.get_or_insert_with(|| Block::new(mailbox, uid)).push(state, keywords);
    }
    open.map_or(Ok(()), |block| block.write(conn))
}

/// The columns of [`unpack`]'s table, as [`pack`] wants them.
pub(crate) const REPACKED: &str =
    "SELECT mailbox, uid, modseq, size, received_at, flags, keywords FROM unpacked ORDER BY mailbox, uid";

/// Makes a temporary table of all blocks, a row a message, for who must compare them with others. Tells of blocks that cannot be read,
/// and of UIDs that are there twice, and leaves them out.
pub(crate) fn unpack(conn: &Connection, mut tell: impl FnMut(String)) -> rusqlite::Result<()> {
    conn.execute_batch(
        "DROP TABLE IF EXISTS temp.unpacked; \
         CREATE TEMP TABLE unpacked (mailbox INTEGER NOT NULL, uid INTEGER NOT NULL, modseq INTEGER NOT NULL, size INTEGER NOT NULL, \
             received_at INTEGER NOT NULL, flags INTEGER NOT NULL, keywords TEXT, PRIMARY KEY (mailbox, uid)) STRICT, WITHOUT ROWID",
    )?;
    let mut select = conn.prepare("SELECT id, block, words FROM main.states ORDER BY id")?;
    let mut insert = conn.prepare("INSERT INTO unpacked VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    let mut rows = select.query([])?;
    let mut told = None;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let (mailbox, from) = (id >> 32, id & 0xffff_ffff);
        let block = match block_of_row(row) {
            Ok(block) => block,
            Err(_) => {
                tell(format!("the states of messages from {from} on in mailbox {mailbox} cannot be read"));
                continue;
            }
        };
        for state in block.states() {
            if told.is_some_and(|(before, uid)| before == mailbox && uid >= state.uid) {
                tell(format!("message {} in mailbox {mailbox} has two states", state.uid));
                continue;
            }
            told = Some((mailbox, state.uid));
            let keywords = block.keywords(state);
            insert.execute(params![
                mailbox,
                state.uid.0,
                state.modseq.0,
                state.size,
                state.received_at,
                state.system,
                keywords
            ])?;
        }
    }
    Ok(())
}

/// Takes the temporary table away.
pub(crate) fn forget_unpacked(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch("DROP TABLE temp.unpacked")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAILBOX: MailboxId = MailboxId(7);

    fn state(uid: u32, system: u32) -> State {
        State::new(Uid(uid), 1 << 31, ModSeq(1 << 40), -5, system)
    }

    fn read_back(block: &Block) -> Option<Block> {
        let (octets, words) = block.encode();
        Block::decode(key(block.mailbox, block.from), &octets, words.as_deref())
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            messages in proptest::collection::btree_map(5..u32::MAX, (0..32_u32, proptest::option::of("[a-z$]{1,4}( [a-z]{1,4}){0,2}")), 0..50),
        ) {
            let mut block = Block::new(MAILBOX, Uid(5));
            for (uid, (system, keywords)) in &messages {
                block.push(state(*uid, *system), keywords.as_deref());
            }
            let again = read_back(&block).unwrap();
            prop_assert_eq!(&again, &block);
            for (state, (_, keywords)) in again.states().iter().zip(messages.values()) {
                prop_assert_eq!(again.keywords(state), keywords.as_deref());
            }
        }
    }

    #[test]
    fn a_full_block_with_some_keywords_fits_into_a_page() {
        let mut block = Block::new(MAILBOX, Uid(1));
        for uid in 1.. {
            if block.is_full() {
                break;
            }
            block.push(state(uid, 1), [None, Some("$Junk"), Some("$NotJunk $Forwarded")][uid as usize % 3]);
        }
        let (octets, words) = block.encode();
        // SQLite keeps up to 35 octets of a page of 4096 for itself (https://sqlite.org/fileformat2.html#b_tree_pages); the row's header has some 5.
        assert!(octets.len() + words.unwrap().len() + 5 <= 4096 - 35);
    }

    #[test]
    fn keywords_that_nobody_has_are_not_written() {
        let mut block = Block::new(MAILBOX, Uid(1));
        block.push(state(1, 0), Some("Old"));
        block.push(state(2, 0), Some("Kept"));
        let after =
            block.flagged(&block.states()[0].clone(), &Flags { system: Flags::SEEN, keywords: vec!["New".into()] });
        block.put(0, after);
        let tidied = block.tidied();
        assert_eq!(tidied.sets, ["New".into(), "Kept".into()]);
        assert_eq!(tidied.flags(&tidied.states()[0]).keywords, ["New"]);
    }

    #[test]
    fn a_damaged_block_is_not_read() {
        let mut block = Block::new(MAILBOX, Uid(3));
        block.push(state(3, 0), Some("Work"));
        block.push(state(9, 31), None);
        let (octets, words) = block.encode();
        let id = key(MAILBOX, Uid(3));
        assert!(Block::decode(id, &octets, words.as_deref()).is_some());
        assert!(Block::decode(id, &octets, None).is_none(), "a set that is not there");
        assert!(Block::decode(id, &octets[..octets.len() - 1], Some("Work")).is_none(), "cut off");
        assert!(Block::decode(id + 1, &octets, Some("Work")).is_none(), "a UID below its first");
        let mut other = octets.clone();
        other[0] = VERSION + 1;
        assert!(Block::decode(id, &other, Some("Work")).is_none(), "another version");
        let mut unsorted = octets;
        unsorted[1] = 9;
        assert!(Block::decode(id, &unsorted, Some("Work")).is_none(), "not ascending");
    }
}

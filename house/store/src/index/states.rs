//! Changing the states of messages: the last block of a mailbox, to which new messages are added, and the blocks of those that are named.
//!
//! ```text
//! placed → tail in memory ─full, or the transaction's end→ row       named → tail to its row → block, block … → rows
//! ```
//!
//! Mailboxes to which much is delivered keep their last block here. It is written once for each transaction, however many come.
//!
//! Invariants: before a block is looked at in the index, what is newer in memory is written; between transactions a tail here equals its
//! row. A savepoint finds all tails written, so going back to it needs no more than forgetting them.
//! Not here: the layout of a block (crate::states), what a change means (mail, flags, moving).

use std::collections::HashMap;

use rusqlite::Connection;

use super::mail::Doomed;
use super::{Index, Trouble};
use crate::names::{MailboxId, Uid};
use crate::states::{BLOCK_STATES, Block, State, at_or_before, each_block, remove_all};

/// How many tails are kept, 4 KiB each at most.
const TAILS_MAX: usize = 512;

/// The last blocks of mailboxes that messages came into.
#[derive(Default)]
pub(super) struct Tails(HashMap<MailboxId, Tail>);

struct Tail {
    block: Block,
    is_changed: bool,
}

impl Tails {
    /// Writes what has changed.
    pub(super) fn save(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        for tail in self.0.values_mut().filter(|tail| tail.is_changed) {
            tail.block.write(conn)?;
            tail.is_changed = false;
        }
        Ok(())
    }

    /// Forgets all: the rows are right.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The mailbox is gone, or everything in it.
    pub(super) fn forget(&mut self, mailbox: MailboxId) {
        self.0.remove(&mailbox);
    }

    /// From now on the row counts.
    fn settle(&mut self, conn: &Connection, mailbox: MailboxId) -> rusqlite::Result<()> {
        match self.0.remove(&mailbox) {
            Some(tail) if tail.is_changed => tail.block.write(conn),
            _ => Ok(()),
        }
    }

    fn push(
        &mut self,
        conn: &Connection,
        mailbox: MailboxId,
        state: State,
        keywords: Option<&str>,
    ) -> rusqlite::Result<()> {
        if self.0.get(&mailbox).is_some_and(|tail| tail.block.is_full()) {
            self.settle(conn, mailbox)?;
            self.keep(conn, Block::new(mailbox, state.uid), mailbox)?;
        }
        if !self.0.contains_key(&mailbox) {
            let last = at_or_before(conn, mailbox, Uid(u32::MAX))?.filter(|block| !block.is_full());
            self.keep(conn, last.unwrap_or_else(|| Block::new(mailbox, state.uid)), mailbox)?;
        }
        if let Some(tail) = self.0.get_mut(&mailbox) {
            tail.block.push(state, keywords);
            tail.is_changed = true;
        }
        Ok(())
    }

    fn keep(&mut self, conn: &Connection, block: Block, mailbox: MailboxId) -> rusqlite::Result<()> {
        if self.0.len() >= TAILS_MAX {
            self.save(conn)?;
            self.clear();
        }
        self.0.insert(mailbox, Tail { block, is_changed: false });
        Ok(())
    }
}

impl Index {
    /// Adds a message at the end of its mailbox.
    pub(super) fn push_state(
        &mut self,
        mailbox: MailboxId,
        state: State,
        keywords: Option<&str>,
    ) -> Result<(), Trouble> {
        Ok(self.tails.push(&self.conn, mailbox, state, keywords)?)
    }

    /// The next block in which some of these UIDs may be, ascending, and those of them; the rest are left.
    pub(super) fn next_block<'u>(
        &mut self,
        mailbox: MailboxId,
        rest: &mut &'u [Uid],
    ) -> Result<Option<(Block, &'u [Uid])>, Trouble> {
        self.tails.settle(&self.conn, mailbox)?;
        while let Some((first, later)) = rest.split_first() {
            let Some(block) = at_or_before(&self.conn, mailbox, *first)? else {
                *rest = later;
                continue;
            };
            let (here, later_still) = rest.split_at(rest.partition_point(|uid| *uid <= block.last()));
            if here.is_empty() {
                *rest = later;
                continue;
            }
            *rest = later_still;
            return Ok(Some((block, here)));
        }
        Ok(None)
    }

    /// The states of messages, and their keywords as a row has them.
    pub(super) fn states_of(&mut self, mailbox: MailboxId, uids: &[Uid]) -> Result<Vec<Stated>, Trouble> {
        let (mut rest, mut found) = (uids, Vec::new());
        while let Some((block, here)) = self.next_block(mailbox, &mut rest)? {
            let places = here.iter().filter_map(|uid| block.find(*uid));
            found.extend(places.map(|at| stated(&block, &block.states()[at])));
        }
        Ok(found)
    }

    /// Takes the states of messages out of their mailbox.
    pub(super) fn take_states(
        &mut self,
        mailbox: MailboxId,
        uids: &[Uid],
        doomed: Doomed,
    ) -> Result<Vec<Stated>, Trouble> {
        let (mut rest, mut taken) = (uids, Vec::new());
        while let Some((mut block, here)) = self.next_block(mailbox, &mut rest)? {
            let before = taken.len();
            let places = here.iter().filter_map(|uid| block.find(*uid)).map(|at| &block.states()[at]);
            taken.extend(places.filter(|state| doomed.includes(state.system())).map(|state| stated(&block, state)));
            let gone = &taken[before..];
            if !gone.is_empty() {
                block.retain(|state| gone.binary_search_by_key(&state.uid, |stated| stated.state.uid).is_err());
                self.write_shrunk(block)?;
            }
        }
        Ok(taken)
    }

    /// Writes a block of which something was taken away: with the one before it where both are small.
    fn write_shrunk(&self, block: Block) -> Result<(), Trouble> {
        if !block.states().is_empty()
            && block.states().len() <= BLOCK_STATES / 4
            && let Some(mut before) = block.before(&self.conn)?
            && before.states().len() <= BLOCK_STATES / 4
        {
            before.append(&block);
            block.remove(&self.conn)?;
            before.write(&self.conn)?;
            return Ok(());
        }
        block.write(&self.conn)?;
        Ok(())
    }

    /// All states of a mailbox, taken out of it.
    pub(super) fn take_all_states(&mut self, mailbox: MailboxId) -> Result<Vec<Stated>, Trouble> {
        self.tails.settle(&self.conn, mailbox)?;
        let mut taken = Vec::new();
        each_block(&self.conn, mailbox, |block| {
            taken.extend(block.states().iter().map(|state| stated(&block, state)));
        })?;
        self.remove_all_states(mailbox)?;
        Ok(taken)
    }

    /// Removes all states of a mailbox.
    pub(super) fn remove_all_states(&mut self, mailbox: MailboxId) -> Result<(), Trouble> {
        self.tails.forget(mailbox);
        Ok(remove_all(&self.conn, mailbox)?)
    }
}

/// A message's state out of its block.
pub(super) struct Stated {
    pub(super) state: State,
    /// As a row has them.
    pub(super) keywords: Option<Box<str>>,
}

fn stated(block: &Block, state: &State) -> Stated {
    Stated { state: *state, keywords: block.keywords(state).map(Box::from) }
}

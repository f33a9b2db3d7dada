//! STORE: flags that change.
//!
//! RFC 9051 §6.4.6; RFC 7162 §3.1.3 (UNCHANGEDSINCE, MODIFIED); RFC 2180 §4.2 (messages that are gone).
//!
//! ```text
//! Store ─Stored→ what has changed is told ─a piece is full→ sent, and on ─all is told→ Store … or the reply
//! ```
//!
//! Invariants: every message that was changed is told, but for SILENT; with change numbers even then.
//! Not here: which flags there are (house).

use super::ask::{Ask, Flagged, Refusal, STORE_BATCH_MAX, Store, Stored};
use super::changes::{Told, write_flagged};
use super::stage::{Flow, Member, Pending, Stage, Turn};
use super::{Server, refusal};
use crate::capability::Capability;
use crate::command;
use crate::reply::{Code, Reply};
use crate::set::NumberSet;

/// A STORE under way.
#[derive(Debug)]
pub(super) struct StoreWork {
    /// Messages that were not asked for yet.
    left: NumberSet,
    store: Store,
    silent: bool,
    /// What is still to be told of the batch.
    flagged: std::vec::IntoIter<Flagged>,
    /// Those that were left alone.
    modified: NumberSet,
    /// Something is gone that was named.
    missing: bool,
}

impl Server {
    pub(super) fn store(&mut self, mut member: Box<Member>, turn: Turn, store: command::Store) -> Stage {
        let command::Store { messages, how, flags, silent, unchanged_since } = store;
        if unchanged_since.is_some() && !self.offers(Capability::Condstore) {
            return self.finish(member, turn, Reply::bad("STORE takes a set, FLAGS, and flags"));
        }
        let uids = match self.uids_named(&member, &turn, &messages) {
            Ok(uids) => uids,
            Err(reply) => return self.finish(member, turn, reply),
        };
        member.enabled.condstore |= unchanged_since.is_some();
        let gone = member.mailbox.as_ref().map_or(NumberSet::new(), |mailbox| mailbox.view.gone().clone());
        let left = uids.difference(&gone);
        let missing = left != uids;
        let store = Store { uids: NumberSet::new(), how, flags, unchanged_since };
        let (flagged, modified) = (Vec::new().into_iter(), NumberSet::new());
        self.store_on(member, turn, StoreWork { left, store, silent, flagged, modified, missing })
    }

    /// The next batch, or the end.
    fn store_on(&mut self, member: Box<Member>, turn: Turn, mut work: StoreWork) -> Stage {
        if !work.left.is_empty() {
            work.store.uids = work.left.take_front(STORE_BATCH_MAX);
            return self.await_answer(member, turn, Ask::Store(work.store.clone()), Pending::Store(work));
        }
        let modified = match (&member.mailbox, turn.uid) {
            (Some(mailbox), false) => mailbox.view.numbers_of(&work.modified),
            _ => work.modified,
        };
        let reply = match (modified.is_empty(), work.missing && !turn.uid) {
            (true, false) => Reply::ok("stored"),
            (true, true) => refusal::reply_to(Refusal::ExpungeIssued),
            // RFC 7162 §3.1.3: some were changed; OK, if all of them are still there.
            (false, false) => Reply::ok("others were faster").with(Code::Modified(modified)),
            (false, true) => Reply::no("others were faster").with(Code::Modified(modified)),
        };
        self.finish(member, turn, reply)
    }

    pub(super) fn stored(&mut self, mut member: Box<Member>, turn: Turn, mut work: StoreWork, stored: Stored) -> Stage {
        let Stored { flagged, modified, gone, keywords } = stored;
        work.modified = work.modified.union(&modified);
        work.missing |= !gone.is_empty();
        if let (Some(mailbox), Some(keywords)) = (&mut member.mailbox, keywords) {
            self.keywords_changed(mailbox, keywords);
        }
        if !work.silent || member.enabled.condstore {
            work.flagged = flagged.into_iter();
        }
        self.store_tell(member, turn, work)
    }

    /// Tells what has changed, one piece at a call.
    pub(super) fn store_tell(&mut self, member: Box<Member>, turn: Turn, mut work: StoreWork) -> Stage {
        let uid = turn.uid || member.enabled.rev2 || member.enabled.qresync;
        let told = Told { uid, flags: !work.silent };
        while let Some(flagged) = work.flagged.next() {
            write_flagged(&mut self.said, &member, &flagged, told);
            if self.piece_is_full() {
                return Stage::Flowing { member, turn, flow: Box::new(Flow::Store(Box::new(work))) };
            }
        }
        self.store_on(member, turn, work)
    }
}

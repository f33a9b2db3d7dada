//! Changing flags.
//!
//! RFC 9051 §6.4.6 (STORE), RFC 7162 §3.1.3 (UNCHANGEDSINCE).
//!
//! Invariants: a message whose flags stay as they are keeps its modseq, and nobody is told; keywords are compared without
//! regard to case and keep their first spelling.

use super::ledger::Ledger;
use super::mail::ascending;
use super::{Done, Index, Trouble};
use crate::feed::Change;
use crate::names::{AccountId, ModSeq, Uid};
use crate::op::{FlagChange, Flags, MailboxRef, Outcome};
use crate::states::{Block, State};

impl Index {
    pub(super) fn set_flags(
        &mut self,
        account: AccountId,
        mailbox: &MailboxRef,
        uids: &[Uid],
        change: &FlagChange,
        unchanged_since: Option<ModSeq>,
        done: &mut Done,
    ) -> Result<Outcome, Trouble> {
        let mut totals = self.account(account)?;
        let (mailbox, mut box_totals) = self.mailbox(account, mailbox)?;
        let modseq = Ledger::next_modseq(&mut totals, &mut box_totals);
        let (mut set, mut refused) = (Vec::with_capacity(uids.len()), Vec::new());
        let named = ascending(uids);
        let mut rest = named.as_slice();
        while let Some((mut block, here)) = self.next_block(mailbox, &mut rest)? {
            let unchanged = set.len();
            let mut changer = Changer { change, last: None };
            for at in here.iter().filter_map(|uid| block.find(*uid)).collect::<Vec<_>>() {
                let before = block.states()[at];
                if unchanged_since.is_some_and(|since| before.modseq > since) {
                    refused.push(before.uid);
                    continue;
                }
                let (mut after, flags) = changer.change(&mut block, &before);
                if !after.is_flagged_like(&before) {
                    box_totals.count(before.system(), -1);
                    box_totals.count(after.system(), 1);
                    after.modseq = modseq;
                    block.put(at, after);
                    set.push((after.uid, flags));
                }
            }
            if set.len() > unchanged {
                block.write(&self.conn)?;
            }
        }
        if set.is_empty() {
            return Ok(Outcome::FlagsSet { changed: Vec::new(), modseq: None, refused });
        }
        self.ledger.accounts.set(account, totals);
        self.ledger.mailboxes.set(mailbox, box_totals);
        let changed = set.iter().map(|(uid, _)| *uid).collect();
        done.changes.push(Change::FlagsSet { account, mailbox, modseq, messages: set.into() });
        Ok(Outcome::FlagsSet { changed, modseq: Some(modseq), refused })
    }
}

/// Changes the flags of a block's messages. Neighbours are mostly alike: what was found for one does for the next.
struct Changer<'a> {
    change: &'a FlagChange,
    last: Option<(State, State, Flags)>,
}

impl Changer<'_> {
    /// A message's state with other flags, and these.
    fn change(&mut self, block: &mut Block, before: &State) -> (State, Flags) {
        match &self.last {
            Some((like, after, flags)) if like.is_flagged_like(before) => (before.flagged_like(after), flags.clone()),
            _ => {
                let flags = block.flags(before).after(self.change);
                let after = block.flagged(before, &flags);
                self.last = Some((*before, after, flags.clone()));
                (after, flags)
            }
        }
    }
}

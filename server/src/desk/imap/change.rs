//! Changing messages: flags, copies, moves, removals.
//!
//! RFC 9051 §6.4.3 (EXPUNGE), §6.4.6 (STORE), §6.4.7–8 (COPY, MOVE); RFC 7162 §3.1.3 (UNCHANGEDSINCE).
//!
//! Invariants: each is one commit; what is answered is on disk, and what the snapshot shows by then.
//! Not here: what the client hears of it (imap).

use super::convert::{self, kept_flags, kept_modseq, modseq, rows, set};
use super::sharing::{Access, Place};
use super::{Desk, Verdict};
use imap::name::MailboxName;
use imap::server::Answer;
use imap::server::ask::{Change, Copied, Refusal, Store, Stored};
use imap::set::NumberSet;
use std::sync::Arc;
use store::{Commit, FlagChange, FlagMask, Flags, MailboxId, MailboxRef, Op, Outcome, Row, Snapshot, Uid};
use tracing::info;

impl Desk {
    /// The selected mailbox as it is now.
    pub(super) fn now(&mut self) -> Verdict<(MailboxId, Arc<Snapshot>)> {
        let selected = self.selected()?;
        let now = selected.open.now().ok_or(Refusal::NoSuchMailbox)?;
        Ok((selected.mailbox, now))
    }

    pub(super) async fn set_flags(&mut self, store: Store) -> Verdict<Stored> {
        let (mailbox, before) = self.now()?;
        let Access { owner: account, rights } = self.selected()?.access;
        let uids: Vec<Uid> = rows(&before, &store.uids).map(|row| row.uid).collect();
        let (wished, mask) = (kept_flags(&store.flags), rights.flags());
        let flags = wished.clone().among(mask);
        // RFC 4314 §4: some of what was wished is enough, nothing of it is not.
        if !rights.has_any("swt") || flags == Flags::default() && wished != flags {
            return Err(Refusal::NoPermission);
        }
        let change = match store.how {
            Change::Replace => FlagChange::ReplaceAmong(mask, flags),
            Change::Add => FlagChange::Add(flags),
            Change::Remove => FlagChange::Remove(flags),
        };
        let unchanged_since = store.unchanged_since.map(kept_modseq);
        let mailbox = MailboxRef::Id(mailbox);
        let op = Op::SetFlags { account, mailbox, uids: uids.clone(), change, unchanged_since };
        let committed = self.order(op).await?;
        let Some(Outcome::FlagsSet { modseq: change, refused, .. }) = committed.outcomes.into_iter().next() else {
            return Err(Refusal::Unavailable);
        };
        let (_, now) = self.now()?;
        let selected = self.selected()?;
        selected.made(change);
        let uids_in = |snapshot: &Snapshot| set(rows(snapshot, &store.uids).map(|row| row.uid));
        let gone = uids_in(selected.told()).difference(&uids_in(&now));
        let keywords = selected.news_of_keywords(&now, &uids);
        let is_set = |row: &&Row| refused.binary_search(&row.uid).is_err();
        let flagged = now.rows_of(uids).filter(is_set).map(|row| convert::flagged(&now, row));
        Ok(Stored { flagged: flagged.collect(), modified: set(refused), gone, keywords })
    }

    /// Sets \Seen on those that have it not, and says on which.
    pub(super) async fn mark_seen(&mut self, uids: Vec<Uid>) -> Verdict<Vec<Uid>> {
        let Access { owner: account, rights } = self.selected()?.access;
        if uids.is_empty() || !rights.has("s") {
            return Ok(Vec::new());
        }
        let mailbox = MailboxRef::Id(self.selected()?.mailbox);
        let change = FlagChange::Add(Flags::system(Flags::SEEN));
        let committed = self.order(Op::SetFlags { account, mailbox, uids, change, unchanged_since: None }).await?;
        match committed.outcomes.into_iter().next() {
            Some(Outcome::FlagsSet { changed, modseq, .. }) => {
                self.selected()?.made(modseq);
                Ok(changed)
            }
            _ => Err(Refusal::Unavailable),
        }
    }

    pub(super) async fn copy(&mut self, uids: &NumberSet, to: &MailboxName, remove: bool) -> Verdict<Copied> {
        let (mailbox, now) = self.now()?;
        let Access { owner: account, rights } = self.selected()?.access;
        if remove && !rights.has("te") {
            return Err(Refusal::NoPermission);
        }
        let Place { row, access: Access { owner, rights } } = self.target(to).await?;
        if !remove || owner != account {
            self.has_room(owner).await?;
        }
        let uids: Vec<Uid> = rows(&now, uids).map(|row| row.uid).collect();
        let (source, target, kept) = (MailboxRef::Id(mailbox), MailboxRef::Id(row.id), rights.flags());
        let ops = if remove && owner == account && kept == FlagMask::ALL {
            vec![Op::Move { account, source, uids, target }]
        } else {
            let gone = remove.then(|| Op::Expunge { account, mailbox: source.clone(), uids: uids.clone() });
            std::iter::once(Op::Copy { account, source, uids, owner, target, kept }).chain(gone).collect()
        };
        // Between the look at the target and this it may have gone.
        let committed = self.commit(Commit::of(ops)).await.map_err(|refusal| match refusal {
            Refusal::NoSuchMailbox => Refusal::TryCreate,
            other => other,
        })?;
        let mut outcomes = committed.outcomes.into_iter();
        let Some(Outcome::Copied { uidvalidity, uids, modseq: copied, .. }) = outcomes.next() else {
            return Err(Refusal::Unavailable);
        };
        // The number that the selected mailbox has now.
        let change = match outcomes.next() {
            Some(Outcome::Expunged { modseq, .. }) => modseq,
            _ => copied,
        };
        if remove {
            info!(session = %self.caller.session, messages = uids.len(), to = to.as_str(), "messages moved");
        }
        Ok(Copied {
            uidvalidity,
            from: set(uids.iter().map(|(from, _)| *from)),
            to: set(uids.iter().map(|(_, to)| *to)),
            modseq: change.map_or(0, modseq),
        })
    }

    /// The mailbox that something is to be put into.
    pub(super) async fn target(&self, name: &MailboxName) -> Verdict<Place> {
        self.place(name, "i").await.map_err(|refusal| match refusal {
            Refusal::NoSuchMailbox => Refusal::TryCreate,
            other => other,
        })
    }

    pub(super) async fn expunge(&mut self, only: Option<&NumberSet>) -> Verdict<Answer> {
        let (mailbox, now) = self.now()?;
        let Access { owner: account, rights } = self.selected()?.access;
        if !rights.has("e") {
            return Err(Refusal::NoPermission);
        }
        let deleted = |row: &&Row| u32::from(row.system) & Flags::DELETED != 0;
        let uids: Vec<Uid> = match only {
            Some(only) => rows(&now, only).filter(deleted).map(|row| row.uid).collect(),
            None if now.deleted == 0 => Vec::new(),
            None => now.rows().filter(deleted).map(|row| row.uid).collect(),
        };
        if uids.is_empty() {
            return Ok(Answer::Expunged { uids: NumberSet::new(), modseq: modseq(now.modseq) });
        }
        let op = Op::ExpungeDeleted { account, mailbox: MailboxRef::Id(mailbox), uids };
        let committed = self.order(op).await?;
        let Some(Outcome::Expunged { uids, modseq: change }) = committed.outcomes.into_iter().next() else {
            return Err(Refusal::Unavailable);
        };
        info!(session = %self.caller.session, messages = uids.len(), "messages removed");
        Ok(Answer::Expunged { uids: set(uids), modseq: modseq(change.unwrap_or(now.modseq)) })
    }

    pub(super) async fn vanished(&mut self, since: u64, uids: NumberSet) -> Verdict<NumberSet> {
        let (mailbox, now) = self.now()?;
        let since = kept_modseq(since);
        let ranges = self.read(move |store| store.vanished(mailbox, since)).await?;
        let gone = NumberSet::from_ranges(ranges.into_iter().map(|(first, last)| (first.0, last.0)));
        let here = convert::set(rows(&now, &uids).map(|row| row.uid));
        Ok(gone.intersection(&uids).difference(&here))
    }
}

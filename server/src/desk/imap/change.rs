//! Changing messages: flags, copies, moves, removals.
//!
//! RFC 9051 §6.4.3 (EXPUNGE), §6.4.6 (STORE), §6.4.7–8 (COPY, MOVE); RFC 7162 §3.1.3 (UNCHANGEDSINCE).
//!
//! Invariants: each is one commit; what is answered is on disk, and what the snapshot shows by then.
//! Not here: what the client hears of it (imap).

use super::convert::{self, kept_flags, kept_modseq, modseq, rows, set, told_flags};
use super::{Desk, Verdict};
use imap::name::MailboxName;
use imap::server::Answer;
use imap::server::ask::{Change, Copied, Flagged, Refusal, Store, Stored};
use imap::set::NumberSet;
use std::sync::Arc;
use store::{FlagChange, Flags, MailboxId, MailboxRef, Op, Outcome, Snapshot, Uid};
use tracing::info;

impl Desk {
    /// The selected mailbox as it is now.
    pub(super) fn now(&mut self) -> Verdict<(MailboxId, Arc<Snapshot>)> {
        let selected = self.selected()?;
        let now = selected.open.now().ok_or(Refusal::NoSuchMailbox)?;
        Ok((selected.mailbox, now))
    }

    pub(super) async fn set_flags(&mut self, store: Store) -> Verdict<Stored> {
        let account = self.account()?;
        let (mailbox, before) = self.now()?;
        let uids: Vec<Uid> = rows(&before, &store.uids).map(|row| row.uid).collect();
        let flags = kept_flags(&store.flags);
        let change = match store.how {
            Change::Replace => FlagChange::Replace(flags),
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
        let gone =
            set(rows(selected.told(), &store.uids).map(|row| row.uid).filter(|uid| now.index_of(*uid).is_none()));
        let keywords = selected.news_of_keywords(&now, &uids);
        let flagged = uids.iter().filter(|uid| refused.binary_search(uid).is_err()).filter_map(|uid| {
            let row = now.get(now.index_of(*uid)?)?;
            Some(Flagged { uid: uid.0, flags: told_flags(&now, row), modseq: modseq(row.modseq) })
        });
        Ok(Stored { flagged: flagged.collect(), modified: set(refused), gone, keywords })
    }

    /// Sets \Seen on those that have it not, and says on which.
    pub(super) async fn mark_seen(&mut self, uids: Vec<Uid>) -> Verdict<Vec<Uid>> {
        if uids.is_empty() {
            return Ok(uids);
        }
        let account = self.account()?;
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
        let account = self.account()?;
        let (mailbox, now) = self.now()?;
        let target = self.target(to).await?;
        if !remove {
            self.has_room().await?;
        }
        let uids: Vec<Uid> = rows(&now, uids).map(|row| row.uid).collect();
        let (source, target) = (MailboxRef::Id(mailbox), MailboxRef::Id(target));
        let op = match remove {
            true => Op::Move { account, source, uids, target },
            false => Op::Copy { account, source, uids, target },
        };
        // Between the look at the target and this it may have gone.
        let committed = self.order(op).await.map_err(|refusal| match refusal {
            Refusal::NoSuchMailbox => Refusal::TryCreate,
            other => other,
        })?;
        let Some(Outcome::Copied { uidvalidity, uids, modseq: change, .. }) = committed.outcomes.into_iter().next()
        else {
            return Err(Refusal::Unavailable);
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
    pub(super) async fn target(&self, name: &MailboxName) -> Verdict<MailboxId> {
        let (account, wanted) = (self.account()?, name.as_str().to_owned());
        let row = self.read(move |store| store.mailbox_named(account, &wanted)).await?;
        row.map(|row| row.id).ok_or(Refusal::TryCreate)
    }

    pub(super) async fn expunge(&mut self, only: Option<&NumberSet>) -> Verdict<Answer> {
        let account = self.account()?;
        let (mailbox, now) = self.now()?;
        let deleted = |row: &&store::Row| u32::from(row.system) & Flags::DELETED != 0;
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

//! The selected mailbox: what the client was told of it, and what is different now.
//!
//! RFC 9051 §5.2 (changes of others), §7.5; RFC 7162 §3.1 (their numbers).
//!
//! Invariants: additions and removals are told at once, flags some thousand at a time; a change that the session made
//! itself is left out as long as nobody else has changed the message since.
//! Not here: when it may be told (imap).

use super::convert::{self, keywords, modseq, set};
use super::sharing::Access;
use crate::url_keys::UrlKeys;
use imap::flag::Keyword;
use imap::server::ask::Changes;
use imap::set::NumberSet;
use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use store::{AccountId, MailboxId, ModSeq, OpenMailbox, Snapshot, Uid};

/// So many changes of flags are told in one answer.
const FLAGS_AT_ONCE: usize = 2_000;

/// So many changes of the session's own are remembered until they are passed over. Each is a commit; a session that has
/// made more is told some of them again, which does no harm.
const OWN_MAX: usize = 10_000;

/// A mailbox that is followed.
pub(super) struct Selected {
    pub(super) mailbox: MailboxId,
    pub(super) open: OpenMailbox,
    pub(super) access: Access,
    /// What the client was told.
    told: Arc<Snapshot>,
    /// Whose flags it is still to be told.
    untold: VecDeque<Uid>,
    /// Changes that it has made.
    own: BTreeSet<ModSeq>,
    /// Keywords it knows of, in lower case.
    known: HashSet<String>,
    woken: bool,
    /// So many changes of the keys of URLs it knows of.
    pub(super) url_keys_seen: u64,
}

impl Selected {
    /// Begins with what there is; `None` if the mailbox has just gone.
    pub(super) fn new(open: OpenMailbox, access: Access, url_keys_seen: u64) -> Option<Self> {
        let told = open.now()?;
        let known = told.keywords().iter().map(|word| word.to_ascii_lowercase()).collect();
        let (untold, own) = (VecDeque::new(), BTreeSet::new());
        Some(Selected { mailbox: told.mailbox, open, access, told, untold, own, known, woken: false, url_keys_seen })
    }

    /// What SELECT says.
    pub(super) fn describe(&self, read_only: bool) -> imap::server::ask::Selected {
        let told = &self.told;
        imap::server::ask::Selected {
            id: convert::mailbox_id(self.mailbox),
            uidvalidity: told.uidvalidity,
            uidnext: told.uidnext,
            highestmodseq: modseq(told.modseq).max(1),
            uids: NumberSet::from_ranges(told.uid_ranges().map(|(first, last)| (first.0, last.0))),
            keywords: keywords(&told.keywords()).collect(),
            permanent: self.access.rights.permanent(),
            first_unseen: told.first_unseen().map(|row| row.uid.0),
            // RFC 4314 §5.2: with flags that are the same for all.
            read_only: read_only || !self.access.rights.has_any("iewst"),
        }
    }

    pub(super) fn is_woken(&self) -> bool {
        self.woken
    }

    pub(super) fn wake(&mut self) {
        self.woken = true;
    }

    /// RFC 4467 §8: whether the key of this account for URLs of the mailbox has changed since this was asked last.
    pub(super) fn url_key_is_another(&mut self, keys: &UrlKeys, account: AccountId) -> bool {
        let seen = std::mem::replace(&mut self.url_keys_seen, keys.count());
        seen != self.url_keys_seen && keys.changed_since(seen, account, self.mailbox)
    }

    /// Remembers that a change was the session's own.
    pub(super) fn made(&mut self, change: Option<ModSeq>) {
        if let Some(change) = change.filter(|_| self.own.len() < OWN_MAX) {
            self.own.insert(change);
        }
    }

    /// What was told last.
    pub(super) fn told(&self) -> &Arc<Snapshot> {
        &self.told
    }

    /// Keywords in use, if there are some that the client does not know of. They count as known from now on.
    pub(super) fn news_of_keywords(&mut self, now: &Snapshot, uids: &[Uid]) -> Option<Vec<Keyword>> {
        if !now.has_keywords() {
            return None;
        }
        let mut news = false;
        for row in now.rows_of(uids.iter().copied()).filter(|row| row.has_keywords()) {
            for word in now.keywords_of(row).iter() {
                news |= self.known.insert(word.to_ascii_lowercase());
            }
        }
        news.then(|| keywords(&now.keywords()).collect())
    }

    /// What has changed since this was asked last.
    pub(super) fn sync(&mut self) -> Changes {
        self.woken = false;
        let mut changes = Changes::default();
        if self.untold.is_empty() {
            self.catch_up();
            let Some(now) = self.open.now().filter(|_| self.access.rights.has("r")) else {
                return Changes { lost: true, ..changes };
            };
            let difference = self.told.changes_to(&now);
            changes.keywords = self
                .news_of_keywords(&now, &difference.changed)
                .or_else(|| self.news_of_keywords(&now, &difference.added));
            changes.expunged = set(difference.vanished);
            changes.touched = set(difference.changed.iter().chain(&difference.added).copied());
            changes.added = set(difference.added);
            let others = now.rows_of(difference.changed).filter(|row| !self.own.contains(&row.modseq));
            self.untold = others.map(|row| row.uid).collect();
            self.own.clear();
            self.told = now;
        }
        let count = self.untold.len().min(FLAGS_AT_ONCE);
        let told = &self.told;
        changes.flags = told.rows_of(self.untold.drain(..count)).map(|row| convert::flagged(told, row)).collect();
        changes.more = !self.untold.is_empty();
        changes.highestmodseq = modseq(self.told.modseq).max(1);
        changes.uidnext = self.told.uidnext;
        changes
    }
}

//! Keys of IMAP's URLs, as far as sessions must know of one another: that one is being made, that one has changed.
//!
//! RFC 4467 §8 (URLMECH is told where a mailbox is selected whose key has changed).
//!
//! Invariants: what is remembered is bounded; a change is never missed, but may be told without need.
//! Not here: the keys (store), what is made of them (desk).

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use store::{AccountId, MailboxId};
use tokio::sync::MutexGuard;

/// So many changes of keys are remembered, for sessions that have such a mailbox selected. One that has missed some is told of a
/// change that may not have been, which does no harm.
const RESETS_KEPT: usize = 64;

/// Keys that are made and changed: what sessions share.
#[derive(Debug, Default)]
pub struct UrlKeys {
    making: tokio::sync::Mutex<()>,
    resets: Mutex<Resets>,
}

#[derive(Debug, Default)]
struct Resets {
    count: u64,
    /// The last of them: whose, and of which mailbox; of all, if of none.
    last: VecDeque<(AccountId, Option<MailboxId>)>,
}

impl UrlKeys {
    /// Leave to make a key that is missing, so that there is one.
    pub async fn making(&self) -> MutexGuard<'_, ()> {
        self.making.lock().await
    }

    /// How many changes there were.
    pub fn count(&self) -> u64 {
        self.resets.lock().unwrap_or_else(PoisonError::into_inner).count
    }

    /// A key is another now; of all mailboxes, if of none.
    pub fn note(&self, account: AccountId, mailbox: Option<MailboxId>) -> u64 {
        let mut resets = self.resets.lock().unwrap_or_else(PoisonError::into_inner);
        if resets.last.len() == RESETS_KEPT {
            resets.last.pop_front();
        }
        resets.last.push_back((account, mailbox));
        resets.count += 1;
        resets.count
    }

    /// Whether this key has changed since there were `seen` changes.
    pub fn changed_since(&self, seen: u64, account: AccountId, mailbox: MailboxId) -> bool {
        let resets = self.resets.lock().unwrap_or_else(PoisonError::into_inner);
        let missed = usize::try_from(resets.count - seen.min(resets.count)).unwrap_or(usize::MAX);
        let is_it =
            |(whose, of): &(AccountId, Option<MailboxId>)| *whose == account && of.is_none_or(|of| of == mailbox);
        missed > resets.last.len() || resets.last.iter().rev().take(missed).any(is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_a_mailbox_selected_learns_that_its_key_is_another() {
        let (keys, joe, inbox) = (UrlKeys::default(), AccountId(1), MailboxId(5));
        let seen = keys.count();
        assert!(!keys.changed_since(seen, joe, inbox));
        keys.note(AccountId(2), Some(inbox));
        keys.note(joe, Some(MailboxId(6)));
        assert!(!keys.changed_since(seen, joe, inbox));
        keys.note(joe, None);
        assert!(keys.changed_since(seen, joe, inbox) && !keys.changed_since(keys.count(), joe, inbox));
        for _ in 0..RESETS_KEPT {
            keys.note(AccountId(2), None);
        }
        assert!(keys.changed_since(seen, joe, inbox), "that it was missed is as good as that it was");
    }
}

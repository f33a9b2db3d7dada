//! Which discussion a new message belongs to.
//!
//! RFC 8474 §5.2 (THREADID), RFC 8621 §3 (the same thread: a common Message-ID and the same base subject).
//!
//! Invariants: a message keeps its thread for ever, so two discussions that turn out to be one stay two; a thread is of one
//! account.
//! Not here: how keys are made (essence), THREAD=REFERENCES (imap: it threads what a search has found).

use rusqlite::{OptionalExtension, params};

use super::{Index, Trouble};
use crate::essence::Essence;
use crate::names::{AccountId, EmailId, ThreadId};

impl Index {
    /// The thread of the nearest relative that is known, or a new one, named after the email.
    pub(super) fn thread_for(
        &self,
        account: AccountId,
        email: EmailId,
        essence: &Essence,
    ) -> Result<ThreadId, Trouble> {
        let Essence { own, ancestors, .. } = essence;
        let mut known = None;
        for key in own.iter().chain(ancestors) {
            known = self.thread_known_by(account, *key)?;
            if known.is_some() {
                break;
            }
        }
        let thread = known.unwrap_or(ThreadId(email.0));
        // Where no relative is known, those who come later shall find this one by the ancestors they share.
        let told = if known.is_some() { &[] } else { ancestors.as_slice() };
        for key in own.iter().chain(told) {
            self.conn
                .prepare_cached("INSERT OR IGNORE INTO threads (account, key, thread) VALUES (?1, ?2, ?3)")?
                .execute(params![account.0, key, thread.0])?;
        }
        Ok(thread)
    }

    fn thread_known_by(&self, account: AccountId, key: i64) -> Result<Option<ThreadId>, Trouble> {
        let mut select = self.conn.prepare_cached("SELECT thread FROM threads WHERE account = ?1 AND key = ?2")?;
        Ok(select.query_row(params![account.0, key], |row| row.get(0).map(ThreadId)).optional()?)
    }
}

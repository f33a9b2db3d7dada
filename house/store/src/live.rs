//! Open mailboxes: their snapshots, shared by all sessions that have them open and kept current by every commit.
//!
//! ```text
//! open ─not here yet→ rows are read ─→ Snapshot ─commit, commit …→ Snapshot, Snapshot …      a session: old.changes_to(&new)
//!                     (what commits meanwhile waits)
//! ```
//!
//! Invariants: a change is in the snapshot before whoever ordered it is answered; changes come in commit order. A mailbox that
//! nobody has open is forgotten when [`ROWS_KEPT`] are exceeded, the longest unused first.
//! Not here: what is in a mailbox, and what differs (snapshot).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{broadcast, watch};

use crate::error::ReadError;
use crate::feed::Change;
use crate::names::{AccountId, MailboxId};
use crate::snapshot::Snapshot;

/// How many rows are kept of mailboxes that nobody has open, 32 octets each, and 8 more where they have been put in an order;
/// where they have been put in discussions some 50, as far as [`KIN_OCTETS_MAX`](crate::KIN_OCTETS_MAX) goes.
pub const ROWS_KEPT: usize = 500_000;

/// How many mailboxes that nobody has open are kept.
const MAILBOXES_KEPT: usize = 4096;

/// How many changes of an account are kept for a slow listener.
pub const ACCOUNT_FEED_MAX: usize = 256;

/// A mailbox that somebody has open. Clones are of the same; the last one to go lets the store forget it.
#[derive(Clone)]
pub struct OpenMailbox {
    live: Arc<Live>,
    news: watch::Receiver<u64>,
}

impl OpenMailbox {
    /// The mailbox as it is now; `None` when it has been removed. Quick.
    pub fn now(&self) -> Option<Arc<Snapshot>> {
        match &*self.live.state() {
            State::Ready(snapshot) => Some(Arc::clone(snapshot)),
            State::Loading(_) | State::Gone => None,
        }
    }

    /// Waits for something to happen in it after the last call of this, or after the opening. Whoever waits for much at
    /// once may drop the future and lose nothing.
    pub async fn changed(&mut self) {
        if self.news.changed().await.is_err() {
            // The store is closed: nothing will ever happen.
            std::future::pending::<()>().await;
        }
    }
}

impl std::fmt::Debug for OpenMailbox {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("OpenMailbox").field("now", &self.now()).finish_non_exhaustive()
    }
}

struct Live {
    state: Mutex<State>,
    /// Held by whoever reads the rows.
    loading: Mutex<()>,
    news: watch::Sender<u64>,
    /// When it was last opened, by the count of openings.
    used: AtomicU64,
}

enum State {
    /// The rows are being read; what is committed meanwhile.
    Loading(Vec<Change>),
    Ready(Arc<Snapshot>),
    Gone,
}

impl Live {
    fn new() -> Live {
        Live {
            state: Mutex::new(State::Loading(Vec::new())),
            loading: Mutex::new(()),
            news: watch::Sender::new(0),
            used: AtomicU64::new(0),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rows(&self) -> usize {
        match &*self.state() {
            State::Ready(snapshot) => snapshot.len(),
            State::Loading(_) | State::Gone => 0,
        }
    }
}

/// All mailboxes that are in memory, and who listens to accounts.
#[derive(Default)]
pub(crate) struct LiveMailboxes {
    mailboxes: Mutex<HashMap<MailboxId, Arc<Live>>>,
    accounts: Mutex<HashMap<AccountId, broadcast::Sender<Arc<Change>>>>,
    openings: AtomicU64,
}

impl LiveMailboxes {
    /// Opens a mailbox. `load` reads its rows where they are not in memory; it blocks.
    pub(crate) fn open(
        &self,
        mailbox: MailboxId,
        load: impl FnOnce() -> Result<Snapshot, ReadError>,
    ) -> Result<OpenMailbox, ReadError> {
        let live = Arc::clone(self.mailboxes().entry(mailbox).or_insert_with(|| Arc::new(Live::new())));
        live.used.store(self.openings.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        let news = live.news.subscribe();
        {
            let _one_at_a_time = live.loading.lock().unwrap_or_else(PoisonError::into_inner);
            let is_loading = matches!(*live.state(), State::Loading(_));
            if is_loading {
                match load() {
                    Ok(snapshot) => finish_loading(&live, snapshot),
                    Err(error) => {
                        self.forget(mailbox, &live);
                        return Err(error);
                    }
                }
            }
        }
        self.tidy();
        Ok(OpenMailbox { live, news })
    }

    /// Changes of one account from now on, in commit order.
    pub(crate) fn listen(&self, account: AccountId) -> broadcast::Receiver<Arc<Change>> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.entry(account).or_insert_with(|| broadcast::Sender::new(ACCOUNT_FEED_MAX)).subscribe()
    }

    /// A change is durable: whoever has its mailbox open sees it from now on.
    pub(crate) fn apply(&self, change: &Change) {
        self.show(change);
        if let Some(account) = change.account() {
            self.tell_account(account, change);
        }
    }

    /// Enters a change into the mailbox that it is about, if somebody has that open; one that is known there changes nothing.
    pub(crate) fn show(&self, change: &Change) {
        if let Change::Placed { mailbox, .. } | Change::FlagsSet { mailbox, .. } | Change::Expunged { mailbox, .. } =
            change
        {
            let live = self.mailboxes().get(mailbox).cloned();
            if let Some(live) = live {
                match &mut *live.state() {
                    State::Loading(waiting) => waiting.push(change.clone()),
                    State::Ready(snapshot) => *snapshot = Arc::new(snapshot.after(change)),
                    State::Gone => {}
                }
                live.news.send_modify(|count| *count += 1);
            }
        }
    }

    fn tell_account(&self, account: AccountId, change: &Change) {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listeners) = accounts.get(&account)
            && listeners.send(Arc::new(change.clone())).is_err()
        {
            accounts.remove(&account);
        }
    }

    /// A mailbox was removed.
    pub(crate) fn remove(&self, mailbox: MailboxId) {
        let live = self.mailboxes().remove(&mailbox);
        if let Some(live) = live {
            *live.state() = State::Gone;
            live.news.send_modify(|count| *count += 1);
        }
    }

    fn forget(&self, mailbox: MailboxId, live: &Arc<Live>) {
        let mut mailboxes = self.mailboxes();
        if mailboxes.get(&mailbox).is_some_and(|known| Arc::ptr_eq(known, live)) {
            mailboxes.remove(&mailbox);
        }
    }

    /// Forgets mailboxes that nobody has open, the longest unused first, until few enough are left.
    fn tidy(&self) {
        let mut mailboxes = self.mailboxes();
        let mut unused: Vec<_> = mailboxes
            .iter()
            .filter(|(_, live)| Arc::strong_count(live) == 1)
            .map(|(mailbox, live)| (live.used.load(Ordering::Relaxed), *mailbox, live.rows()))
            .collect();
        let mut rows: usize = unused.iter().map(|(_, _, rows)| rows).sum();
        if rows <= ROWS_KEPT && unused.len() <= MAILBOXES_KEPT {
            return;
        }
        unused.sort_unstable();
        let mut left = unused.len();
        for (_, mailbox, count) in unused {
            if rows <= ROWS_KEPT && left <= MAILBOXES_KEPT {
                return;
            }
            mailboxes.remove(&mailbox);
            rows -= count;
            left -= 1;
        }
    }

    fn mailboxes(&self) -> MutexGuard<'_, HashMap<MailboxId, Arc<Live>>> {
        self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The rows have been read: what was committed since the reading began is added.
fn finish_loading(live: &Live, read: Snapshot) {
    let mut state = live.state();
    if let State::Loading(waiting) = &mut *state {
        let snapshot = waiting.iter().fold(read, |snapshot, change| snapshot.after(change));
        *state = State::Ready(Arc::new(snapshot));
    }
}

//! The courier: takes due mail from the queue, brings it to other servers, and reports back to the store.
//!
//! RFC 5321 §4.5.4 (the queue and its retries), §5 (where to), §6.1 (reports).
//!
//! ```text
//! due recipients ─by route→ lanes ─a few workers each→ carrier ─fates→ ledger ─commit→ queue, reports
//! ```
//!
//! A *lane* is the way to one next hop. Its workers are connections; each carries mail after mail until the lane is
//! empty. What a mail came to is settled before the next is begun, so a restart repeats at most what was under way.
//!
//! Invariants: a recipient is under way at most once; every claimed recipient is settled or given back;
//! connections are bounded, for each lane and in all; who closes in order leaves no mail half told.
//! Not here: what is said to the other server (smtp), when to try again (policy), what a report looks like (message).

pub mod carrier;
mod desk;
pub mod ledger;
pub mod remote;
pub mod report;
pub mod route;
mod yard;

#[cfg(test)]
mod tests;

use crate::house::House;
use crate::settings::QueueSettings;
use carrier::{Carrier, Fate, Fates, Lane, Package, Reason, Settle, Stopped};
use futures_util::FutureExt;
use message::report::Step;
use std::collections::BTreeMap;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::{Change, MailRow, RecipientRow};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, broadcast, watch};
use tracing::{error, info, warn};
use yard::{Staff, Yard};

/// Recipients claimed at once: enough to fill every lane, few enough to hold in memory.
const CLAIMED_MAX: usize = 5_000;
/// How long the courier rests after the store failed to tell what is due.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(30);
/// The courier looks at the clock at least this often, whatever it expects: clocks are set.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// The courier of one house.
pub struct Courier<C> {
    house: Arc<House>,
    carrier: C,
    yard: Mutex<Yard>,
    /// Recipients claimed and not settled yet.
    under_way: AtomicUsize,
    /// A mail was settled, so there is room to claim more; or a worker went home.
    progress: Notify,
}

impl<C: Carrier> Courier<C> {
    /// A courier that brings mail by this carrier.
    pub fn new(house: Arc<House>, carrier: C) -> Arc<Self> {
        Arc::new(Courier {
            house,
            carrier,
            yard: Mutex::default(),
            under_way: AtomicUsize::new(0),
            progress: Notify::new(),
        })
    }

    /// Works until told to leave; then waits for what is under way, which carriers end soon.
    pub async fn run(self: Arc<Self>, mut leaving: watch::Receiver<bool>) {
        let mut changes = self.house.store.changes();
        while !*leaving.borrow() {
            let now = self.house.now();
            let pause = match self.round(now).await {
                Ok(next_due) => next_due.map_or(LOOK_AGAIN, |due| between(now, due)),
                Err(error) => {
                    error!(%error, "the queue cannot be read");
                    PAUSE_AFTER_FAILURE
                }
            };
            tokio::select! {
                _ = leaving.changed() => {}
                () = queue_changed(&mut changes) => {}
                () = self.progress.notified() => {}
                () = tokio::time::sleep(pause.min(LOOK_AGAIN)) => {}
            }
        }
        self.until(|courier| courier.yard().workers() == 0).await;
    }

    /// Claims what is due at `now` and sends it on its way. Says when something else becomes due.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub async fn round(self: &Arc<Self>, now: i64) -> Result<Option<i64>, store::ReadError> {
        let room = CLAIMED_MAX.saturating_sub(self.under_way.load(Ordering::SeqCst));
        let store = self.house.store.clone();
        let read = move || {
            let due = if room > 0 { store.queue_due(now, room)? } else { Vec::new() };
            Ok::<_, store::ReadError>((due, store.queue_next_due()?))
        };
        let (due, next_due) = match tokio::task::spawn_blocking(read).await {
            Ok(read) => read?,
            Err(_) => return Ok(None),
        };
        for mail in due {
            self.dispatch(mail, now);
        }
        Ok(next_due)
    }

    /// Waits until nothing is under way.
    pub async fn idle(&self) {
        self.until(|courier| courier.under_way.load(Ordering::SeqCst) == 0 && courier.yard().workers() == 0).await;
    }

    async fn until(&self, reached: impl Fn(&Self) -> bool) {
        loop {
            let progress = self.progress.notified();
            if reached(self) {
                return;
            }
            progress.await;
        }
    }

    /// Splits a mail by its next hops and puts each part into its lane.
    fn dispatch(self: &Arc<Self>, mut mail: MailRow, now: i64) {
        self.under_way.fetch_add(mail.recipients.len(), Ordering::SeqCst);
        let settings = self.house.settings();
        let mut parts: BTreeMap<route::Route, Vec<RecipientRow>> = BTreeMap::new();
        for recipient in std::mem::take(&mut mail.recipients) {
            parts.entry(route::of(&recipient.address, &settings.routes)).or_default().push(recipient);
        }
        let mail = Arc::new(mail);
        for (route, recipients) in parts {
            let package = Package { mail: Arc::clone(&mail), recipients, claimed_at: now, spared: false };
            if let Some(lane) = self.yard().put(route, package, staff(&settings.queue)) {
                tokio::spawn(Arc::clone(self).work(lane));
            }
        }
    }

    /// One worker: carries until there is nothing to carry.
    async fn work(self: Arc<Self>, mut lane: Arc<Lane>) {
        loop {
            let mut weary = false;
            // What was under way when we were wrong stays claimed until the next start: nobody knows how far it came.
            let carried = AssertUnwindSafe(self.carrier.carry(&lane, &*self)).catch_unwind().await;
            match carried.unwrap_or_else(|_| Err(Stopped::Unreachable(fault()))) {
                Ok(()) => {}
                Err(Stopped::Unreachable(fate)) => {
                    weary = true;
                    let share = self.yard().give_up(&lane);
                    for package in share {
                        let fates = package.share(&fate);
                        self.settle(package, fates).await;
                    }
                }
                Err(Stopped::Leaving) => {
                    for package in lane.empty() {
                        self.settle(package, Fates::new()).await;
                    }
                }
            }
            let next = self.yard().next(&lane, weary);
            self.tell_progress();
            match next {
                Some(next) => lane = next,
                None => return,
            }
        }
    }

    fn yard(&self) -> MutexGuard<'_, Yard> {
        self.yard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_progress(&self) {
        self.progress.notify_waiters();
        // And for the one who is not waiting at this moment.
        self.progress.notify_one();
    }
}

impl<C: Carrier> Settle for Courier<C> {
    async fn settle(&self, package: Package, fates: Fates) {
        let Package { mail, recipients, .. } = package;
        let count = recipients.len();
        for recipient in &recipients {
            log(&mail, recipient, fates.get(&recipient.recipient));
        }
        ledger::settle(&self.house, &mail, recipients, fates, self.house.now()).await;
        self.under_way.fetch_sub(count, Ordering::SeqCst);
        self.tell_progress();
    }
}

/// The fate of what waited behind a mistake of ours.
fn fault() -> Fate {
    error!("a fault of our own while mail was carried; the mail under way waits for the next start");
    Fate::Deferred(Reason::found((4, 3, 0), Step::Connecting, "a fault of our own"))
}

fn staff(settings: &QueueSettings) -> Staff {
    Staff { per_lane: settings.connections_per_host_max, in_all: settings.connections_max }
}

fn between(now: i64, due: i64) -> Duration {
    // A queue that was due already and could not be claimed must not make us spin.
    Duration::from_secs(u64::try_from(due - now).unwrap_or(0).max(1))
}

/// The next news of the queue; missed news are news, too.
async fn queue_changed(changes: &mut broadcast::Receiver<Change>) {
    loop {
        match changes.recv().await {
            Ok(Change::QueueChanged) | Err(RecvError::Lagged(_)) => return,
            Ok(_) => {}
            Err(RecvError::Closed) => pending().await,
        }
    }
}

fn log(mail: &MailRow, recipient: &RecipientRow, fate: Option<&Fate>) {
    let (queued, address) = (mail.mail.0, recipient.address.as_str());
    match fate {
        Some(Fate::Delivered { host, reply }) => info!(queued, recipient = address, host, reply, "delivered"),
        Some(Fate::Deferred(Reason { host, text, .. })) => {
            info!(queued, recipient = address, host, why = text, attempts = recipient.attempts + 1, "deferred");
        }
        Some(Fate::Failed(Reason { host, text, .. })) => {
            warn!(queued, recipient = address, host, why = text, "failed");
        }
        None => info!(queued, recipient = address, "not tried"),
    }
}

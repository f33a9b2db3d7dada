//! The courier: takes due mail from the queue, brings it to other servers, and reports back to the store.
//!
//! RFC 5321 §4.5.4 (the queue and its retries), §5 (where to), §6.1 (reports).
//!
//! ```text
//! due recipients ─by route→ lanes ─a few workers each→ carrier ─fates→ ledger ─one commit→ queue, reports
//! ```
//!
//! A *lane* is the way to one next hop. Its workers are connections; each carries mail after mail until the lane is
//! empty. What a mail came to is settled at once, in one commit a mail, so a restart repeats at most the mail that
//! was under way.
//!
//! Invariants: a recipient is under way at most once; every claimed recipient is settled or given back;
//! connections are bounded, for each lane and in all.
//! Not here: what is said to the other server (smtp), when to try again (policy), what a report looks like (message).

pub mod carrier;
pub mod ledger;
pub mod remote;
pub mod report;
pub mod route;

use crate::house::{House, unix_now};
use carrier::{Carrier, Fate, Fates, Lane, Package, Reason, Settle};
use std::collections::{BTreeMap, HashMap};
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::{Change, MailRow, RecipientId, RecipientRow};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, broadcast, watch};
use tracing::{error, info, warn};

/// Recipients claimed at once: enough to fill every lane, few enough to hold in memory.
const CLAIMED_MAX: usize = 5_000;
/// How long the courier rests after the store failed to tell what is due.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(30);
/// The courier looks at the clock at least this often, whatever it expects: clocks are set.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// The courier of one house.
pub struct Courier<C> {
    house: Arc<House>,
    carrier: Arc<C>,
    lanes: Mutex<HashMap<route::Route, Arc<Lane>>>,
    /// Recipients claimed and not settled yet.
    under_way: AtomicUsize,
    /// Workers of all lanes.
    workers: AtomicUsize,
    /// A mail was settled: there is room to claim more.
    settled: Notify,
}

impl<C: Carrier> Courier<C> {
    /// A courier that brings mail by this carrier.
    pub fn new(house: Arc<House>, carrier: C) -> Arc<Self> {
        Arc::new(Courier {
            house,
            carrier: Arc::new(carrier),
            lanes: Mutex::default(),
            under_way: AtomicUsize::new(0),
            workers: AtomicUsize::new(0),
            settled: Notify::new(),
        })
    }

    /// Works until told to leave; then waits for nobody: what is under way is tried again after the next start.
    pub async fn run(self: Arc<Self>, mut leaving: watch::Receiver<bool>) {
        let mut changes = self.house.store.changes();
        while !*leaving.borrow() {
            let pause = match self.round(unix_now()).await {
                Ok(next_due) => next_due.map(until),
                Err(error) => {
                    error!(%error, "the queue cannot be read");
                    Some(PAUSE_AFTER_FAILURE)
                }
            };
            tokio::select! {
                _ = leaving.changed() => {}
                () = queue_changed(&mut changes) => {}
                () = self.settled.notified() => {}
                () = tokio::time::sleep(pause.unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN)) => {}
            }
        }
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
            self.dispatch(mail);
        }
        Ok(next_due)
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.under_way.load(Ordering::SeqCst) == 0
    }

    /// Waits until nothing is under way.
    pub async fn idle(&self) {
        loop {
            let settled = self.settled.notified();
            if self.is_idle() {
                return;
            }
            settled.await;
        }
    }

    /// Splits a mail by its next hops and puts each part into its lane.
    fn dispatch(self: &Arc<Self>, mail: MailRow) {
        self.under_way.fetch_add(mail.recipients.len(), Ordering::SeqCst);
        let settings = self.house.settings();
        let mut parts: BTreeMap<route::Route, Vec<RecipientRow>> = BTreeMap::new();
        let mut mail = mail;
        for recipient in std::mem::take(&mut mail.recipients) {
            parts.entry(route::of(&recipient.address, &settings.routes)).or_default().push(recipient);
        }
        let mail = Arc::new(mail);
        for (route, recipients) in parts {
            let lane = Arc::clone(self.lanes().entry(route.clone()).or_insert_with(|| Arc::new(Lane::new(route))));
            lane.put(Package { mail: Arc::clone(&mail), recipients });
            self.staff(lane, settings.queue.connections_per_host_max, settings.queue.connections_max);
        }
    }

    /// Gives a lane another worker if it may have one and needs it.
    fn staff(self: &Arc<Self>, lane: Arc<Lane>, per_lane: usize, in_all: usize) {
        let busy = self.workers.load(Ordering::SeqCst) >= in_all;
        if (busy && lane.is_staffed()) || !lane.hire(per_lane) {
            return;
        }
        self.workers.fetch_add(1, Ordering::SeqCst);
        let courier = Arc::clone(self);
        tokio::spawn(async move {
            courier.work(&lane).await;
            courier.workers.fetch_sub(1, Ordering::SeqCst);
        });
    }

    /// One worker: carries until the lane is empty.
    async fn work(self: &Arc<Self>, lane: &Arc<Lane>) {
        loop {
            if let Err(fate) = self.carrier.carry(lane, &**self).await {
                // The next hop cannot be reached at all: whatever waits for it shares this fate.
                for package in lane.empty() {
                    let fates = package.recipients.iter().map(|to| (to.recipient, fate.clone())).collect();
                    self.settle(package, fates).await;
                }
            }
            if lane.dismiss_if_empty() {
                self.lanes().retain(|_, lane| lane.is_staffed() || !lane.is_empty());
                return;
            }
        }
    }

    fn lanes(&self) -> std::sync::MutexGuard<'_, HashMap<route::Route, Arc<Lane>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Carrier> Settle for Courier<C> {
    async fn settle(&self, package: Package, fates: Fates) {
        let Package { mail, recipients } = package;
        let count = recipients.len();
        let claimed: Vec<RecipientId> = recipients.iter().map(|recipient| recipient.recipient).collect();
        for recipient in &recipients {
            log(&mail, recipient, fates.get(&recipient.recipient));
        }
        if let Err(why) = ledger::settle(&self.house, &mail, recipients, fates, unix_now()).await {
            // Nothing is lost: the queue still has them, and they are tried again.
            error!(queued = mail.mail.0, error = %why, "what became of a mail could not be written down");
            self.house.store.unclaim(&claimed);
        }
        self.under_way.fetch_sub(count, Ordering::SeqCst);
        self.settled.notify_waiters();
        self.settled.notify_one();
    }
}

fn until(due: i64) -> Duration {
    // A queue that was due already and could not be claimed must not make us spin.
    Duration::from_secs(u64::try_from(due - unix_now()).unwrap_or(0).max(1))
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

//! The pulse of a conversation: what others see of it while it is held, and how it hears from them that it is to end.
//!
//! ```text
//! post ─octets came, went─→ Pulse ─→ whoever looks
//! conversation ←─ why to leave ─ Pulse ←─ the house that closes · whoever sends it away
//! ```
//!
//! Invariants: to say something here, or to look, takes no lock and no wait; a reason to leave gives way to a more urgent one alone.
//! Not here: who may look and send away (server), what is said for farewell (the session).

use std::future::{Future, poll_fn};
use std::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed,
};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use line::Leave;
use tokio::time::{Instant, sleep};

use super::{SENT_AWAY_LIMIT, Setup, left};

/// The pulse of one conversation.
#[derive(Debug)]
pub struct Pulse {
    began: Instant,
    /// When the peer was heard last, in seconds since it began.
    heard: AtomicU32,
    received: AtomicU64,
    sent: AtomicU64,
    is_protected: AtomicBool,
    /// As [`urgency`] has it.
    leave: AtomicU8,
    /// Whoever watches over the conversation.
    watch: AtomicWaker,
}

impl Default for Pulse {
    /// The conversation begins now.
    fn default() -> Self {
        Pulse {
            began: Instant::now(),
            heard: AtomicU32::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            is_protected: AtomicBool::new(false),
            leave: AtomicU8::new(urgency(None)),
            watch: AtomicWaker::new(),
        }
    }
}

impl Pulse {
    /// How long the conversation has lasted.
    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// How long the peer has said nothing, to a second.
    pub fn silence(&self) -> Duration {
        self.age().saturating_sub(Duration::from_secs(self.heard.load(Relaxed).into()))
    }

    /// Octets that came from the peer, without the dress of TLS.
    pub fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }

    /// Octets that were handed to the peer, without the dress of TLS.
    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// Whether TLS is up.
    pub fn is_protected(&self) -> bool {
        self.is_protected.load(Relaxed)
    }

    /// Ends the conversation: its session hears [`Leave::SentAway`] when it waits the next time, and it has [`SENT_AWAY_LIMIT`] from now on.
    pub fn send_away(&self) {
        self.urge(Leave::SentAway);
        self.watch.wake();
    }

    /// The house begins to close: the session hears [`Leave::HouseCloses`] when it waits the next time, and it has
    /// [`Pace::leaving`](super::Pace::leaving) from now on.
    pub fn house_closes(&self) {
        self.urge(Leave::HouseCloses);
        self.watch.wake();
    }

    /// Whether [`Self::send_away`] was called.
    pub fn is_sent_away(&self) -> bool {
        self.leave() == Some(Leave::SentAway)
    }

    /// Why the conversation is to end, if it is.
    pub fn leave(&self) -> Option<Leave> {
        [Leave::SentAway, Leave::HouseCloses].into_iter().find(|why| self.leave.load(Acquire) >= urgency(Some(*why)))
    }

    fn urge(&self, why: Leave) {
        self.leave.fetch_max(urgency(Some(why)), AcqRel);
    }

    /// Ends when the conversation may go on no longer: a while after it was to end.
    pub(super) async fn close(&self, setup: &Setup) {
        // By hand, and boxed: who idles should carry as little as can be for the day on which it ends.
        let mut left = setup.leaving.clone().map(|leaving| Box::pin(left(leaving)));
        poll_fn(|cx| {
            if let Some(left) = &mut left
                && left.as_mut().poll(cx).is_ready()
            {
                self.urge(Leave::HouseCloses);
            }
            self.poll_urged(cx, Leave::HouseCloses)
        })
        .await;
        Box::pin(self.patience(setup.pace.leaving)).await;
    }

    async fn patience(&self, leaving: Duration) {
        if !self.is_sent_away() {
            tokio::select! {
                biased;
                () = poll_fn(|cx| self.poll_urged(cx, Leave::SentAway)) => {}
                () = sleep(leaving) => return,
            }
        }
        sleep(SENT_AWAY_LIMIT).await;
    }

    /// Ready once it is to end for this reason or a more urgent one.
    fn poll_urged(&self, cx: &mut Context<'_>, why: Leave) -> Poll<()> {
        self.watch.register(cx.waker());
        if self.leave() >= Some(why) { Poll::Ready(()) } else { Poll::Pending }
    }

    pub(super) fn note_received(&self, octets: usize) {
        self.received.fetch_add(octets as u64, Relaxed);
        // Nobody talks for longer than a hundred years.
        self.heard.store(u32::try_from(self.age().as_secs()).unwrap_or(u32::MAX), Relaxed);
    }

    pub(super) fn note_sent(&self, octets: u64) {
        self.sent.fetch_add(octets, Relaxed);
    }

    pub(super) fn note_protected(&self, is_protected: bool) {
        self.is_protected.store(is_protected, Relaxed);
    }
}

/// More for what is more urgent.
const fn urgency(why: Option<Leave>) -> u8 {
    match why {
        None => 0,
        Some(Leave::HouseCloses) => 1,
        Some(Leave::SentAway) => 2,
    }
}

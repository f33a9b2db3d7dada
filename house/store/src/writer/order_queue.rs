//! What the committer waits for: an order, a moment, or a reader who wants to see.
//!
//! Not here: what is done then (committer).

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use tokio::sync::mpsc;

use super::Order;
use crate::lag::Lag;

/// The committer's end of the channel.
pub(super) struct OrderQueue {
    orders: mpsc::Receiver<Order>,
    waker: Waker,
}

/// What has come first.
pub(super) enum Next {
    Order(Order),
    /// The moment, or a reader.
    Due,
    /// Nobody will send anything any more.
    Closed,
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl OrderQueue {
    /// To be waited for by this thread.
    pub(super) fn new(orders: mpsc::Receiver<Order>) -> OrderQueue {
        OrderQueue { orders, waker: Arc::new(Unpark(thread::current())).into() }
    }

    /// Waits for the next order, until that moment at the longest, and no longer than readers do.
    pub(super) fn next(&mut self, until: Option<Instant>, lag: &Lag) -> Next {
        loop {
            if lag.is_wanted() {
                return Next::Due;
            }
            match self.orders.poll_recv(&mut Context::from_waker(&self.waker)) {
                Poll::Ready(Some(order)) => return Next::Order(order),
                Poll::Ready(None) => return Next::Closed,
                Poll::Pending => {}
            }
            // Whoever sends or wants something unparks this thread, before or after it is parked.
            match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => thread::park(),
                Some(left) if left.is_zero() => return Next::Due,
                Some(left) => thread::park_timeout(left),
            }
        }
    }

    /// An order that is there already.
    pub(super) fn another(&mut self) -> Option<Order> {
        self.orders.try_recv().ok()
    }

    /// What was sent stays; nothing more gets in.
    pub(super) fn close(&mut self) {
        self.orders.close();
    }
}

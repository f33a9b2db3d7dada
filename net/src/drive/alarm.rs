//! One timer for all that a connection waits for, moved as seldom as possible.
//!
//! Invariants: it never rings early; moving a deadline further away costs nothing until the old one is over.
//! Not here: what is due (post, conversation).

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that is armed when somebody waits, and re-armed only when it would ring too late or has rung too early.
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    pub(super) fn new() -> Self {
        Alarm(None)
    }

    /// Ready once `until` is reached.
    pub(super) fn poll_due(&mut self, cx: &mut Context<'_>, until: Instant) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(until)));
        loop {
            if sleep.is_elapsed() || sleep.deadline() > until {
                if Instant::now() >= until {
                    return Poll::Ready(());
                }
                sleep.as_mut().reset(until);
            }
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= until {
                return Poll::Ready(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rings_at_the_deadline_wherever_it_was_moved() {
        let (start, mut alarm) = (Instant::now(), Alarm::new());
        for secs in [300, 10, 20, 700, 700, 701] {
            let until = start + Duration::from_secs(secs);
            let was_over = Instant::now() >= until;
            poll_fn(|cx| alarm.poll_due(cx, until)).await;
            assert!(was_over || Instant::now() - until < Duration::from_millis(2), "{secs}");
            assert!(Instant::now() >= until);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_moved_away_while_waiting_is_kept() {
        let (start, mut alarm) = (Instant::now(), Alarm::new());
        let at = |secs| start + Duration::from_secs(secs);
        poll_fn(|cx| {
            assert!(alarm.poll_due(cx, at(5)).is_pending());
            assert!(alarm.poll_due(cx, at(60)).is_pending());
            assert!(alarm.poll_due(cx, at(3)).is_pending());
            Poll::Ready(())
        })
        .await;
        poll_fn(|cx| alarm.poll_due(cx, at(90))).await;
        assert!(Instant::now() >= at(90));
    }
}

//! How much an account may send.
//!
//! RFC 6409 §6 (a submission server answers for its people). A stolen password is used to send as much as it can: the limit
//! turns a night of spam into an afternoon's annoyance.
//!
//! Invariants: what is deferred is not counted; each account has its own count.
//! Not here: mail that comes in (no account answers for it).

use std::time::Instant;

use super::rate::{Limiter, Rate};
use crate::verdict::{Reason, Verdict};

/// Accounts remembered. Only those that sent lately are.
const ACCOUNTS_MAX: usize = 100_000;

/// How much an account may send; what is not set is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendingSettings {
    /// Messages in an hour.
    pub messages_per_hour: Option<Rate>,
    /// Messages in a day.
    pub messages_per_day: Option<Rate>,
    /// Recipients in an hour.
    pub recipients_per_hour: Option<Rate>,
}

impl Default for SendingSettings {
    /// More than people send, much less than spammers want.
    fn default() -> Self {
        SendingSettings {
            messages_per_hour: Rate::per_hour(300),
            messages_per_day: Rate::per_day(2_000),
            recipients_per_hour: Rate::per_hour(2_000),
        }
    }
}

impl SendingSettings {
    /// No limits: for `dev` and for measuring.
    pub const UNLIMITED: SendingSettings =
        SendingSettings { messages_per_hour: None, messages_per_day: None, recipients_per_hour: None };
}

/// Counts what accounts send.
#[derive(Debug, Clone)]
pub struct Sending {
    hour: Option<Limiter<i64>>,
    day: Option<Limiter<i64>>,
    recipients: Option<Limiter<i64>>,
}

impl Sending {
    /// Nobody has sent anything yet.
    pub fn new(settings: SendingSettings) -> Self {
        let limiter = |rate: Option<Rate>| rate.map(|rate| Limiter::new(rate, ACCOUNTS_MAX));
        Sending {
            hour: limiter(settings.messages_per_hour),
            day: limiter(settings.messages_per_day),
            recipients: limiter(settings.recipients_per_hour),
        }
    }

    /// The account begins a message. Asked at MAIL, and counted, whatever becomes of it.
    pub fn message(&mut self, account: i64, now: Instant) -> Verdict {
        let judged = free(&self.hour, account, "messages this hour", now)
            .and_then(|()| free(&self.day, account, "messages today", now));
        if judged.is_ok() {
            // Both have one: neither can be refused now.
            for limiter in [&mut self.hour, &mut self.day].into_iter().flatten() {
                let _ = limiter.take(&account, now);
            }
        }
        judged.into()
    }

    /// The account names a recipient. Asked at RCPT once the recipient is otherwise good, and counted.
    pub fn recipient(&mut self, account: i64, now: Instant) -> Verdict {
        let judged = free(&self.recipients, account, "recipients this hour", now);
        if let (Ok(()), Some(limiter)) = (&judged, &mut self.recipients) {
            let _ = limiter.take(&account, now);
        }
        judged.into()
    }
}

fn free(limiter: &Option<Limiter<i64>>, account: i64, what: &'static str, now: Instant) -> Result<(), Reason> {
    let wait = limiter.as_ref().map(|limiter| limiter.wait(&account, now)).unwrap_or_default();
    if wait.is_zero() { Ok(()) } else { Err(Reason::SendsTooMuch { what, wait }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const MINUTE: Duration = Duration::from_secs(60);

    fn sending(hour: u32, day: u32, recipients: u32) -> Sending {
        Sending::new(SendingSettings {
            messages_per_hour: Rate::per_hour(hour),
            messages_per_day: Rate::per_day(day),
            recipients_per_hour: Rate::per_hour(recipients),
        })
    }

    fn why(verdict: Verdict) -> String {
        verdict.reason().map_or("accepted".into(), |reason| format!("{} {reason}", reason.reply().code))
    }

    #[test]
    fn an_account_sends_so_many_in_an_hour_and_others_are_not_touched() {
        let (mut sending, now) = (sending(60, 1000, 1000), Instant::now());
        assert!((0..60).all(|_| sending.message(1, now).is_accept()));
        assert_eq!(why(sending.message(1, now)), "450 the account may send no more messages this hour for 60 s");
        assert!(sending.message(2, now).is_accept());
        assert!(sending.message(1, now + MINUTE).is_accept());
    }

    #[test]
    fn the_day_counts_beside_the_hour_and_what_one_defers_the_other_does_not_count() {
        let (mut sending, mut now) = (sending(60, 96, 1000), Instant::now());
        assert!((0..60).all(|_| sending.message(1, now).is_accept()));
        assert!((0..100).all(|_| !sending.message(1, now).is_accept()));
        now += 60 * MINUTE;
        // 36 were left of the day, and an hour gave 4 more.
        assert_eq!((0..60).filter(|_| sending.message(1, now).is_accept()).count(), 40);
        assert_eq!(why(sending.message(1, now)), "450 the account may send no more messages today for 900 s");
    }

    #[test]
    fn recipients_have_their_own_count() {
        let (mut sending, now) = (sending(60, 1000, 60), Instant::now());
        assert!((0..60).all(|_| sending.recipient(1, now).is_accept()));
        assert_eq!(why(sending.recipient(1, now)), "450 the account may send no more recipients this hour for 60 s");
        assert!(sending.message(1, now).is_accept());
    }

    #[test]
    fn without_limits_nothing_is_counted() {
        let (mut sending, now) = (Sending::new(SendingSettings::UNLIMITED), Instant::now());
        assert!((0..100_000).all(|_| sending.message(1, now).is_accept() && sending.recipient(1, now).is_accept()));
    }
}

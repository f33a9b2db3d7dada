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
    /// Recipients in a day.
    pub recipients_per_day: Option<Rate>,
}

impl Default for SendingSettings {
    /// More than people send, much less than spammers want.
    fn default() -> Self {
        SendingSettings {
            messages_per_hour: Rate::per_hour(300),
            messages_per_day: Rate::per_day(2_000),
            recipients_per_hour: Rate::per_hour(2_000),
            recipients_per_day: Rate::per_day(10_000),
        }
    }
}

impl SendingSettings {
    /// No limits: for `dev` and for measuring.
    pub const UNLIMITED: SendingSettings = SendingSettings {
        messages_per_hour: None,
        messages_per_day: None,
        recipients_per_hour: None,
        recipients_per_day: None,
    };
}

/// Counts what accounts send.
#[derive(Debug, Clone)]
pub struct Sending {
    messages: Vec<Count>,
    recipients: Vec<Count>,
}

/// One limit, and what it is called.
#[derive(Debug, Clone)]
struct Count {
    what: &'static str,
    limiter: Limiter<i64>,
}

impl Sending {
    /// Nobody has sent anything yet.
    pub fn new(settings: SendingSettings) -> Self {
        let mut sending = Sending { messages: Vec::new(), recipients: Vec::new() };
        sending.change_settings(settings);
        sending
    }

    /// Other limits from now on. What was counted stays counted.
    pub fn change_settings(&mut self, settings: SendingSettings) {
        let messages =
            [("messages this hour", settings.messages_per_hour), ("messages today", settings.messages_per_day)];
        let recipients =
            [("recipients this hour", settings.recipients_per_hour), ("recipients today", settings.recipients_per_day)];
        change_rates(&mut self.messages, messages);
        change_rates(&mut self.recipients, recipients);
    }

    /// The account begins a message. Asked at MAIL, and counted, whatever becomes of it.
    pub fn message(&mut self, account: i64, now: Instant) -> Verdict {
        take_all(&mut self.messages, account, now).into()
    }

    /// The account names a recipient. Asked at RCPT once the recipient is otherwise good, and counted.
    pub fn recipient(&mut self, account: i64, now: Instant) -> Verdict {
        take_all(&mut self.recipients, account, now).into()
    }
}

fn change_rates(counts: &mut Vec<Count>, rates: [(&'static str, Option<Rate>); 2]) {
    counts.retain(|count| rates.iter().any(|(what, rate)| *what == count.what && rate.is_some()));
    for (what, rate) in rates.into_iter().filter_map(|(what, rate)| Some((what, rate?))) {
        match counts.iter_mut().find(|count| count.what == what) {
            Some(count) => count.limiter.change_rate(rate),
            None => counts.push(Count { what, limiter: Limiter::new(rate, ACCOUNTS_MAX) }),
        }
    }
}

/// One from each, or from none.
fn take_all(counts: &mut [Count], account: i64, now: Instant) -> Result<(), Reason> {
    for Count { what, limiter } in counts.iter() {
        let wait = limiter.wait(&account, now);
        if !wait.is_zero() {
            return Err(Reason::SendsTooMuch { what, wait });
        }
    }
    for Count { limiter, .. } in counts {
        limiter.take(&account, now).expect("nobody took one since we looked");
    }
    Ok(())
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
            recipients_per_day: Rate::per_day(70),
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
        let later = (0..60).filter(|_| sending.recipient(1, now + 60 * MINUTE).is_accept()).count();
        assert_eq!(later, 12, "70 in a day: 10 were left, and an hour gave 2 more");
    }

    #[test]
    fn other_limits_hold_from_now_on_for_what_was_sent_before() {
        let (mut sending, now) = (sending(60, 1000, 60), Instant::now());
        assert!((0..30).all(|_| sending.message(1, now).is_accept()));
        let wider = SendingSettings { messages_per_hour: Rate::per_hour(120), ..SendingSettings::UNLIMITED };
        sending.change_settings(wider);
        // Half of the hour is used, and half of it is 60 now.
        assert_eq!((0..100).filter(|_| sending.message(1, now).is_accept()).count(), 60);
        sending.change_settings(SendingSettings::UNLIMITED);
        assert!(sending.message(1, now).is_accept());
    }

    #[test]
    fn without_limits_nothing_is_counted() {
        let (mut sending, now) = (Sending::new(SendingSettings::UNLIMITED), Instant::now());
        assert!((0..100_000).all(|_| sending.message(1, now).is_accept() && sending.recipient(1, now).is_accept()));
    }
}

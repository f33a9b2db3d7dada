//! When the courier goes again, when he says that it takes long, and when he gives up.
//!
//! RFC 5321 §4.5.4.1.
//!
//! Departure: RFC 5321 §4.5.4.1 asks for half an hour before the first retry and for two attempts in the first hour; we go
//! after 5, 15 and 35 minutes. Greylisting wants its second visit after 5 minutes, and a server that restarts is back
//! by then: the sender should not wait for half an hour. From the second hour on we are as patient as the RFC.
//! It is written for those who write to greylisting servers.
//!
//! Invariants: the next attempt is after now and not after the end; who tries at the end and fails gives up;
//! planned pauses never shrink; the same numbers give the same answer.
//! Not here: which errors are worth another attempt (smtp), the queue itself (store), the bounce (courier).

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Pauses before the second, third, … attempt; the last is for all that follow.
/// They double, so that there is no cliff between "often" and "rarely".
const PAUSES_SECS: [i64; 8] =
    [5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 40 * MINUTE, 80 * MINUTE, 2 * HOUR, 3 * HOUR, 4 * HOUR];

/// What is to be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Mail with a sender who can be told.
    Mail,
    /// Mail from `<>`: a bounce, a report. Nobody is told when it fails, so it need not wait as long.
    Bounce,
}

/// What comes next for a mail that could not be delivered yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another attempt, at this second since 1970.
    At(i64),
    /// No more attempts.
    GiveUp,
}

/// When to try again. All times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Pauses before the second, third, … attempt, each at least a second and none shorter than the one before; the
    /// last is for all that follow. Empty: four hours.
    pub pauses_secs: Vec<i64>,
    /// How much longer than planned a pause may be, in percent: queues of one moment should not come back at one.
    pub jitter_percent: u8,
    /// Age at which mail is given up.
    pub expire_secs: i64,
    /// Age at which bounces are given up.
    pub bounce_expire_secs: i64,
    /// Age at which the sender is told that it takes long; none: he is not.
    pub warn_secs: Option<i64>,
}

impl Default for Schedule {
    /// RFC 5321 §4.5.4.1: give up after four or five days. A warning after four hours is what people expect.
    fn default() -> Self {
        Schedule {
            pauses_secs: PAUSES_SECS.to_vec(),
            jitter_percent: 20,
            expire_secs: 5 * DAY,
            bounce_expire_secs: 2 * DAY,
            warn_secs: Some(4 * HOUR),
        }
    }
}

impl Schedule {
    /// What comes after `attempts` attempts, all in vain, for mail that was accepted at `first_at`.
    /// `chance` is any random number.
    pub fn next_attempt(&self, kind: Kind, attempts: u32, first_at: i64, now: i64, chance: u32) -> Next {
        let end = self.expires_at(kind, first_at);
        if now >= end {
            return Next::GiveUp;
        }
        // A last attempt at the very end: the sender was promised so many days.
        Next::At(now.saturating_add(self.pause(attempts, chance)).min(end))
    }

    /// When mail accepted at `first_at` is given up.
    pub fn expires_at(&self, kind: Kind, first_at: i64) -> i64 {
        first_at.saturating_add(match kind {
            Kind::Mail => self.expire_secs,
            Kind::Bounce => self.bounce_expire_secs,
        })
    }

    /// When the sender of mail accepted at `first_at` is told that it takes long. Nobody is told about a bounce.
    pub fn warns_at(&self, kind: Kind, first_at: i64) -> Option<i64> {
        let at = first_at.saturating_add(self.warn_secs?);
        (kind == Kind::Mail && at < self.expires_at(kind, first_at)).then_some(at)
    }

    fn pause(&self, attempts: u32, chance: u32) -> i64 {
        let place = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
        let planned = self.pauses_secs.get(place).or(self.pauses_secs.last()).copied().unwrap_or(4 * HOUR).max(1);
        let most_extra = i128::from(planned) * i128::from(self.jitter_percent) / 100;
        let extra = most_extra * i128::from(chance) / i128::from(u32::MAX);
        planned.saturating_add(i64::try_from(extra).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The moments of all attempts after the first, when every one fails at once.
    fn attempts(schedule: &Schedule, kind: Kind, chance: u32) -> Vec<i64> {
        let (mut moments, mut now) = (vec![0], 0);
        while let Next::At(at) = schedule.next_attempt(kind, moments.len() as u32, 0, now, chance) {
            moments.push(at);
            now = at;
        }
        moments.remove(0);
        moments
    }

    #[test]
    fn it_goes_often_in_the_first_hour_and_then_every_four_hours_until_the_fifth_day() {
        let moments = attempts(&Schedule::default(), Kind::Mail, 0);
        let minutes: Vec<i64> = moments.iter().take(8).map(|at| at / MINUTE).collect();
        assert_eq!(minutes, [5, 15, 35, 75, 155, 275, 455, 695]);
        assert!(moments.windows(2).skip(7).all(|pair| pair[1] - pair[0] <= 4 * HOUR));
        assert_eq!(moments.last(), Some(&(5 * DAY)));
        assert_eq!(moments.len(), 36);
    }

    #[test]
    fn a_bounce_is_given_up_sooner_and_nobody_is_warned_of_it() {
        let schedule = Schedule::default();
        assert_eq!(attempts(&schedule, Kind::Bounce, 0).last(), Some(&(2 * DAY)));
        assert_eq!(schedule.warns_at(Kind::Mail, 100), Some(100 + 4 * HOUR));
        assert_eq!(schedule.warns_at(Kind::Bounce, 100), None);
        let short = Schedule { expire_secs: HOUR, ..schedule };
        assert_eq!(short.warns_at(Kind::Mail, 100), None, "it is given up before");
    }

    #[test]
    fn chance_spreads_by_a_fifth_and_only_to_later() {
        let schedule = Schedule::default();
        let at = |chance| schedule.next_attempt(Kind::Mail, 1, 0, 0, chance);
        assert_eq!((at(0), at(u32::MAX / 2), at(u32::MAX)), (Next::At(300), Next::At(329), Next::At(360)));
    }

    #[test]
    fn a_clock_that_went_back_costs_no_mail() {
        assert_eq!(Schedule::default().next_attempt(Kind::Mail, 1, 1_000_000, 0, 0), Next::At(300));
    }

    #[test]
    fn a_schedule_without_pauses_still_pauses() {
        let none = Schedule { pauses_secs: vec![], ..Schedule::default() };
        assert_eq!(none.next_attempt(Kind::Mail, 3, 0, 0, 0), Next::At(4 * HOUR));
        let zero = Schedule { pauses_secs: vec![0], ..Schedule::default() };
        assert_eq!(zero.next_attempt(Kind::Mail, 3, 0, 0, 0), Next::At(1));
    }

    fn schedules() -> impl Strategy<Value = Schedule> {
        (proptest::collection::vec(1i64..DAY, 0..8), 0u8..=200, HOUR..9 * DAY, HOUR..9 * DAY).prop_map(
            |(mut pauses_secs, jitter_percent, expire_secs, bounce_expire_secs)| {
                pauses_secs.sort_unstable();
                Schedule { pauses_secs, jitter_percent, expire_secs, bounce_expire_secs, warn_secs: Some(HOUR) }
            },
        )
    }

    proptest! {
        #[test]
        fn the_next_attempt_is_after_now_and_not_after_the_end(schedule in schedules(), attempts: u32, first_at in 0i64..1 << 40, age in -DAY..10 * DAY, chance: u32) {
            for kind in [Kind::Mail, Kind::Bounce] {
                let (now, end) = (first_at + age, schedule.expires_at(kind, first_at));
                match schedule.next_attempt(kind, attempts, first_at, now, chance) {
                    Next::At(at) => prop_assert!(now < at && at <= end),
                    Next::GiveUp => prop_assert!(now >= end),
                }
            }
        }

        #[test]
        fn later_attempts_wait_no_less(schedule in schedules(), attempts in 0u32..20, now in 0i64..9 * DAY, chance: u32) {
            let wait = |attempts| match schedule.next_attempt(Kind::Mail, attempts, 0, now, chance) {
                Next::At(at) => at,
                Next::GiveUp => i64::MAX,
            };
            prop_assert!(wait(attempts) <= wait(attempts + 1));
        }

        #[test]
        fn every_mail_is_given_up_at_its_end(chance: u32, expire in HOUR..6 * DAY) {
            let schedule = Schedule { expire_secs: expire, ..Schedule::default() };
            let moments = attempts(&schedule, Kind::Mail, chance);
            prop_assert_eq!(moments.last(), Some(&expire));
        }

        #[test]
        fn no_number_makes_it_overflow(pause: i64, jitter_percent: u8, expire_secs: i64, attempts: u32, first_at: i64, now: i64, chance: u32) {
            let schedule = Schedule { pauses_secs: vec![pause], jitter_percent, expire_secs, ..Schedule::default() };
            schedule.next_attempt(Kind::Mail, attempts, first_at, now, chance);
            schedule.warns_at(Kind::Mail, first_at);
        }
    }
}

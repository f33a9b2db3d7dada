//! Who may try again, and when.

use super::*;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn logins() -> Logins {
    Logins::new(LoginSettings::default())
}

/// Fails `times` with passwords that are all different.
fn fail(logins: &mut Logins, address: &str, account: &str, times: u64, now: Instant) -> Option<Ban> {
    (0..times).filter_map(|guess| logins.failed(ip(address), account, Some(guess), now)).last()
}

#[test]
fn a_few_failures_are_free_then_each_try_waits_longer_then_none_is_heard() {
    let (mut logins, now) = (logins(), Instant::now());
    let mut waits = Vec::new();
    for guess in 0..10 {
        logins.failed(ip("192.0.2.1"), "alice", Some(guess), now);
        waits.push(match logins.attempt(ip("192.0.2.1"), "alice", now) {
            Attempt::Now => 0,
            Attempt::After(wait) => wait.as_secs(),
            Attempt::Refused(_) => 999,
        });
    }
    assert_eq!(waits, [0, 0, 0, 1, 2, 4, 8, 16, 32, 999]);
}

#[test]
fn a_refusal_ends_by_itself_and_trying_does_not_prolong_it() {
    let (mut logins, now) = (logins(), Instant::now());
    fail(&mut logins, "192.0.2.1", "alice", 10, now);
    let at = |minutes: u32| logins.attempt(ip("192.0.2.1"), "alice", now + minutes * MINUTE);
    let Attempt::Refused(reason) = at(5) else { panic!("should be refused") };
    assert_eq!(reason.to_string(), "logins from 192.0.2.1 wait 600 s, after 10 failures");
    assert_eq!((reason.reply().code, reason.reply().enhanced), (454, "4.7.0"));
    assert_eq!(at(15), Attempt::Now);
}

#[test]
fn waiting_beforehand_counts() {
    let (mut logins, now) = (logins(), Instant::now());
    fail(&mut logins, "192.0.2.1", "alice", 7, now);
    assert_eq!(logins.attempt(ip("192.0.2.1"), "alice", now + 3 * SECOND), Attempt::After(5 * SECOND));
    assert_eq!(logins.attempt(ip("192.0.2.1"), "alice", now + 8 * SECOND), Attempt::Now);
}

#[test]
fn a_success_clears_the_failures_of_this_account_from_here() {
    let (mut logins, now) = (logins(), Instant::now());
    fail(&mut logins, "192.0.2.1", "alice", 7, now);
    fail(&mut logins, "192.0.2.1", "bob", 7, now);
    logins.succeeded(ip("192.0.2.1"), "alice", now);
    assert_eq!(logins.attempt(ip("192.0.2.1"), "alice", now), Attempt::Now);
    assert!(matches!(logins.attempt(ip("192.0.2.1"), "bob", now), Attempt::After(_)));
}

#[test]
fn failures_are_forgotten_after_a_quiet_hour() {
    let (mut logins, now) = (logins(), Instant::now());
    fail(&mut logins, "192.0.2.1", "alice", 9, now);
    logins.failed(ip("192.0.2.1"), "alice", Some(99), now + 60 * MINUTE);
    assert_eq!(logins.attempt(ip("192.0.2.1"), "alice", now + 60 * MINUTE), Attempt::Now);
}

#[test]
fn guessing_at_many_accounts_earns_a_ban_and_ones_own_account_does_not_hide_it() {
    let (mut logins, now) = (logins(), Instant::now());
    let mut banned = None;
    for guess in 0..51 {
        logins.succeeded(ip("192.0.2.1"), "mallory", now);
        banned = logins.failed(ip("192.0.2.1"), &format!("user{guess}"), Some(guess), now);
        assert_eq!(banned.is_some(), guess == 50, "{guess}");
    }
    assert_eq!(banned.expect("banned").left(now), 15 * MINUTE);
    assert!(matches!(logins.attempt(ip("192.0.2.1"), "mallory", now), Attempt::Refused(Reason::Banned { .. })));
    assert_eq!(logins.attempt(ip("192.0.2.2"), "user1", now), Attempt::Now);
    assert!(logins.lift(Origin::of(ip("192.0.2.1")), now));
    assert_eq!(logins.attempt(ip("192.0.2.1"), "mallory", now), Attempt::Now);
    assert_eq!(logins.failed(ip("192.0.2.1"), "user99", Some(99), now), None, "lifting forgets the failures");
}

#[test]
fn a_program_with_an_old_password_waits_but_does_not_get_its_office_banned() {
    let (mut logins, now) = (logins(), Instant::now());
    for _ in 0..1000 {
        assert_eq!(logins.failed(ip("192.0.2.1"), "alice", Some(7), now), None);
    }
    assert!(matches!(logins.attempt(ip("192.0.2.1"), "alice", now), Attempt::Refused(Reason::LoginThrottled { .. })));
    assert_eq!(logins.attempt(ip("192.0.2.1"), "bob", now), Attempt::Now);
}

#[test]
fn failures_that_show_no_password_all_count() {
    let (mut logins, now) = (logins(), Instant::now());
    let ban = (0..51).find_map(|_| logins.failed(ip("192.0.2.1"), "alice", None, now));
    assert!(ban.is_some());
}

#[test]
fn nobody_is_locked_out_from_elsewhere() {
    let (mut logins, now) = (logins(), Instant::now());
    logins.succeeded(ip("198.51.100.1"), "alice", now);
    for n in 0..250 {
        fail(&mut logins, &format!("192.0.2.{n}"), "alice", 20, now);
    }
    assert_eq!(logins.attempt(ip("198.51.100.1"), "alice", now), Attempt::Now, "where she was lately");
    assert_eq!(logins.attempt(ip("198.51.100.2"), "alice", now), Attempt::After(5 * SECOND), "where she was not");
    assert_eq!(logins.attempt(ip("198.51.100.2"), "bob", now), Attempt::Now);
    assert_eq!(logins.attempt(ip("198.51.100.2"), "alice", now + 2 * 60 * MINUTE), Attempt::Now, "it passes");
}

#[test]
fn the_exempt_are_never_held_up() {
    let (mut logins, now) = (logins(), Instant::now());
    assert_eq!(fail(&mut logins, "127.0.0.1", "alice", 1000, now), None);
    assert_eq!(logins.attempt(ip("127.0.0.1"), "alice", now), Attempt::Now);
    assert_eq!(logins.attempt(ip("::1"), "alice", now), Attempt::Now);
}

#[test]
fn a_flood_of_names_and_neighbours_is_bounded() {
    let (mut logins, now) = (logins(), Instant::now());
    for n in 0..3 * KEYS_MAX as u32 {
        logins.failed(IpAddr::V4((0x0a00_0000 + n).into()), &n.to_string(), Some(0), now);
        logins.succeeded(IpAddr::V4((0x0a00_0000 + n).into()), "alice", now);
        logins.failed(IpAddr::V4((0x0a00_0000 + n).into()), &n.to_string(), Some(1), now);
    }
    assert!(logins.pairs.len() <= KEYS_MAX && logins.known.len() <= KEYS_MAX);
}

#[derive(Debug, Clone)]
enum Deed {
    Fail(u8, u8, u64),
    Succeed(u8, u8),
    Pass(u64),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        6 => (0u8..3, 0u8..3, 0u64..4).prop_map(|(from, account, guess)| Deed::Fail(from, account, guess)),
        1 => (0u8..3, 0u8..3).prop_map(|(from, account)| Deed::Succeed(from, account)),
        1 => (0u64..3600).prop_map(Deed::Pass),
    ];
    proptest::collection::vec(deed, 0..200)
}

proptest! {
    /// Whatever three neighbours do, a fourth one is never refused, and never waits longer than a stranger does.
    #[test]
    fn what_others_do_refuses_nobody(deeds in deeds()) {
        let (mut logins, mut now) = (logins(), Instant::now());
        let from = |n: u8| ip(&format!("192.0.2.{n}"));
        for deed in deeds {
            match deed {
                Deed::Fail(n, account, guess) => drop(logins.failed(from(n), &account.to_string(), Some(guess), now)),
                Deed::Succeed(n, account) => logins.succeeded(from(n), &account.to_string(), now),
                Deed::Pass(secs) => now += Duration::from_secs(secs),
            }
            for account in ["0", "1", "2", "3"] {
                match logins.attempt(from(9), account, now) {
                    Attempt::Now => {}
                    Attempt::After(wait) => prop_assert_eq!(wait, 5 * SECOND),
                    Attempt::Refused(reason) => prop_assert!(false, "{}", reason),
                }
            }
        }
    }

    /// Every refusal and every wait is over when it said it would be.
    #[test]
    fn waiting_as_told_is_enough(deeds in deeds()) {
        let (mut logins, now) = (logins(), Instant::now());
        let from = |n: u8| ip(&format!("192.0.2.{n}"));
        for deed in deeds {
            match deed {
                Deed::Fail(n, account, guess) => drop(logins.failed(from(n), &account.to_string(), Some(guess), now)),
                Deed::Succeed(n, account) => logins.succeeded(from(n), &account.to_string(), now),
                Deed::Pass(_) => {}
            }
        }
        for (n, account) in [(0, "0"), (1, "1"), (2, "2")] {
            if let Attempt::Refused(reason) = logins.attempt(from(n), account, now) {
                let (Reason::LoginThrottled { wait, .. } | Reason::Banned { wait, .. }) = reason else { panic!("{reason}") };
                prop_assert!(!matches!(logins.attempt(from(n), account, now + wait), Attempt::Refused(_)));
            }
        }
    }
}

//! What the doorkeeper lets in, and what he remembers.

use super::*;
use crate::change;
use crate::town::{Town, cheap_hash};

const HOUR: Duration = Duration::from_secs(3600);

fn password(text: &str) -> Password {
    Password::new(text)
}

fn lets_in(login: &Result<Login, Denied>) -> Option<&str> {
    login.as_ref().ok().map(|login| &*login.name)
}

#[test]
fn the_right_password_lets_in_and_everything_else_does_not() {
    let (directory, door, now) = (Town::new().build(), Doorkeeper::new(Memory::default()), Instant::now());
    let verify = |login, offered| door.verify(&directory, login, &password(offered), "pop3", now);
    assert_eq!(lets_in(&verify("bob@hamburger.test", "pickles")), Some("bob@hamburger.test"));
    assert_eq!(verify("bob@hamburger.test", "pickle"), Err(Denied::WrongPassword));
    assert_eq!(verify("bob@hamburger.test", ""), Err(Denied::WrongPassword));
    assert_eq!(verify("eve@hamburger.test", "pickles"), Err(Denied::UnknownAccount));
}

#[test]
fn a_right_password_is_remembered_and_a_wrong_one_is_not() {
    let (directory, door, now) = (Town::new().build(), Doorkeeper::new(Memory::default()), Instant::now());
    let cached = |login, offered| door.check_cached(&directory, login, &password(offered), "pop3", now);
    assert_eq!(cached("bob", "pickles"), None, "nothing is known before the first check");
    door.verify_slow(&directory, "bob", &password("pickles"), "pop3", now).expect("the right password");
    door.verify_slow(&directory, "bob", &password("wrong"), "pop3", now).expect_err("a wrong password");
    assert_eq!(&*cached("bob", "pickles").expect("remembered").name, "bob@hamburger.test");
    assert!(cached("BOB@hamburger.TEST", "pickles").is_some(), "under every form of the name");
    assert_eq!(cached("bob", "wrong"), None);
    assert_eq!(cached("bob", "pickle"), None);
    assert_eq!(cached("alice", "pickles"), None, "the same password of another account is another thing");
}

#[test]
fn a_changed_password_is_forgotten_at_once() {
    let (town, door, now) = (Town::new(), Doorkeeper::new(Memory::default()), Instant::now());
    let before = town.clone().build();
    door.verify(&before, "bob", &password("pickles"), "pop3", now).expect("the right password");
    let after = town.edit(2, |bob| bob.password = Some(cheap_hash("ketchup"))).build();
    assert_eq!(door.check_cached(&after, "bob", &password("pickles"), "pop3", now), None);
    assert_eq!(door.verify(&after, "bob", &password("pickles"), "pop3", now), Err(Denied::WrongPassword));
}

#[test]
fn a_disabled_account_is_shut_even_if_remembered_and_only_its_owner_learns_why() {
    let (town, door, now) = (Town::new(), Doorkeeper::new(Memory::default()), Instant::now());
    door.verify(&town.clone().build(), "bob", &password("pickles"), "pop3", now).expect("the right password");
    let after = town.clone().edit(2, |bob| bob.disabled = true).build();
    assert_eq!(door.check_cached(&after, "bob", &password("pickles"), "pop3", now), None);
    assert_eq!(door.verify(&after, "bob", &password("pickles"), "pop3", now), Err(Denied::Disabled));
    assert_eq!(door.verify(&after, "bob", &password("wrong"), "pop3", now), Err(Denied::WrongPassword));
    let closed = town.edit_crepes(|crepes| crepes.disabled = true).build();
    assert_eq!(door.verify(&closed, "alice", &password("pickles"), "pop3", now), Err(Denied::Disabled));
}

#[test]
fn what_is_remembered_grows_old_and_use_does_not_make_it_young() {
    let (directory, now) = (Town::new().build(), Instant::now());
    let door = Doorkeeper::new(Memory { marks_max: 4, age_max: HOUR });
    let known_at =
        |at: Duration| door.check_cached(&directory, "bob", &password("pickles"), "pop3", now + at).is_some();
    door.verify(&directory, "bob", &password("pickles"), "pop3", now).expect("the right password");
    assert!(known_at(HOUR / 2));
    assert!(known_at(HOUR - Duration::from_secs(1)));
    assert!(!known_at(HOUR));
}

#[test]
fn an_account_without_password_is_opened_by_app_passwords_only() {
    let (town, door, now) =
        (Town::new().edit(2, |bob| bob.password = None), Doorkeeper::new(Memory::default()), Instant::now());
    let directory = town.clone().build();
    assert_eq!(door.verify(&directory, "bob", &password("pickles"), "pop3", now), Err(Denied::NoPassword));
    let (bob, shown) =
        change::add_app_password(&directory, "bob@hamburger.test", "telephone", &[], 0).expect("can have one");
    let directory = town.clone().edit(2, |it| *it = bob.record.clone()).build();
    assert!(door.check_cached(&directory, "bob", &shown, "pop3", now).is_some(), "without any hashing");
    assert!(door.verify_slow(&directory, "bob", &shown, "pop3", now).is_ok());
    assert_eq!(door.check_cached(&directory, "alice", &shown, "pop3", now), None);
    let without = change::remove_app_password(&directory, "bob@hamburger.test", 1).expect("has it");
    let directory = town.edit(2, |it| *it = without.record).build();
    assert_eq!(door.check_cached(&directory, "bob", &shown, "pop3", now), None);
    assert_eq!(door.verify(&directory, "bob", &shown, "pop3", now), Err(Denied::NoPassword));
}

#[test]
fn an_app_password_opens_the_services_it_is_for() {
    let (town, door, now) = (Town::new(), Doorkeeper::new(Memory::default()), Instant::now());
    let directory = town.clone().build();
    let (bob, shown) = change::add_app_password(&directory, "bob@hamburger.test", "scanner", &["ftp".into()], 0)
        .expect("can have one");
    let directory = town.edit(2, |it| *it = bob.record.clone()).build();
    let login = door.verify(&directory, "bob", &shown, "ftp", now).expect("it is for FTP");
    assert_eq!(login.app_password, Some(1));
    assert_eq!(door.verify(&directory, "bob", &shown, "pop3", now), Err(Denied::OtherService));
    let own = door.verify(&directory, "bob", &password("pickles"), "pop3", now).expect("his own opens everything");
    assert_eq!(own.app_password, None);
}

#[test]
fn a_fingerprint_tells_passwords_apart_and_not_the_forms_of_a_name() {
    let (directory, door) = (Town::new().build(), Doorkeeper::new(Memory::default()));
    let print = |login, offered| door.fingerprint(&directory, login, &password(offered));
    assert_eq!(print("bob", "a"), print("Bob@hamburger.test", "a"));
    assert_ne!(print("bob", "a"), print("bob", "b"));
    assert_ne!(print("bob", "a"), print("eve", "a"));
    assert_ne!(print("bob", "a"), Doorkeeper::new(Memory::default()).fingerprint(&directory, "bob", &password("a")));
}

#[test]
fn a_door_prints_nothing_it_knows() {
    let (directory, door, now) = (Town::new().build(), Doorkeeper::new(Memory::default()), Instant::now());
    door.verify(&directory, "bob", &password("pickles"), "pop3", now).expect("the right password");
    assert!(!format!("{door:?}").contains("pickles"));
}

proptest::proptest! {
    /// Never more marks than allowed; the one just kept is there; none is held that was not kept.
    #[test]
    fn the_memory_is_bounded(marks_max in 0usize..12, uses in proptest::collection::vec((0u8..20, proptest::bool::ANY), 0..100)) {
        let (memory, now) = (Memory { marks_max, age_max: HOUR }, Instant::now());
        let (mut recent, mut ever) = (Recent::default(), std::collections::HashSet::new());
        for (mark, keep) in uses {
            if keep {
                recent.keep([mark; 32], now, memory);
                ever.insert(mark);
                proptest::prop_assert_eq!(recent.holds(&[mark; 32], now, memory), marks_max >= 2);
            } else if recent.holds(&[mark; 32], now, memory) {
                proptest::prop_assert!(ever.contains(&mark));
            }
            proptest::prop_assert!(recent.len() <= marks_max);
        }
    }
}

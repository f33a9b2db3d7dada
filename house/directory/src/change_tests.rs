//! What may be changed, and what is said when it may not.

use super::*;
use crate::records::Record;
use crate::secrets::{PasswordHash, SCRAM_ITERATIONS, ScramKeys, ScramTerms, scram_keys};
use crate::snapshot::{AccountRow, Entry};
use crate::town::{Town, cheap_terms};
use proptest::prelude::*;

fn secrets() -> Secrets {
    Secrets { hash: PasswordHash::new("$new"), scram: scram_keys(&Password::new("new"), &cheap_terms()) }
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Refused>) -> String {
    result.expect_err("refused").to_string()
}

#[test]
fn an_account_is_made_in_a_domain_of_ours_under_a_name_nobody_has() {
    let town = Town::new().alias("sales@crepes.test", &["alice@crepes.test"]).build();
    let (name, record) = create_account(&town, "Eve@Crepes.TEST", Some(secrets()), 7).expect("made");
    assert_eq!(name, "eve@crepes.test");
    assert_eq!((record.created, record.password, record.disabled), (7, Some(PasswordHash::new("$new")), false));
    let create = |name: &str| refusal(create_account(&town, name, None, 0));
    assert_eq!(create("ALICE@crepes.test"), "account `alice@crepes.test` exists already");
    assert_eq!(create("eve@home.test"), "domain `home.test` is not one of ours: add it first");
    assert_eq!(create("sales@crepes.test"), "alias `sales@crepes.test` exists already");
    assert_eq!(create("eve"), "`eve` cannot be used: an address has the form local@domain");
    let quoted =
        "`\"e ve\"@crepes.test` cannot be used: the part before the @ has a character that may not stand there";
    assert_eq!(create("\"e ve\"@crepes.test"), quoted);
}

#[test]
fn a_new_password_changes_both_secrets_and_nothing_else() {
    let town = Town::new().edit(2, |bob| bob.display_name = "Bob".into()).build();
    let bob = set_password(&town, "BOB@hamburger.test", secrets()).expect("changed");
    let mut expected = town.account(2).expect("bob").clone();
    expected.record.password = Some(secrets().hash);
    expected.record.scram = Some(secrets().scram);
    assert_eq!(bob, expected);
    assert_eq!(refusal(set_password(&town, "eve@crepes.test", secrets())), "account `eve@crepes.test` does not exist");
}

#[test]
fn the_next_password_keeps_the_terms_of_app_passwords_unless_they_are_weak() {
    let strong = ScramTerms { salt: b"salt".to_vec(), iterations: SCRAM_ITERATIONS };
    let town = |terms: &ScramTerms| {
        let keys = secrets().scram;
        let ScramTerms { salt, iterations } = terms.clone();
        Town::new().edit(2, |bob| bob.scram = Some(ScramKeys { salt, iterations, ..keys })).build()
    };
    assert_eq!(scram_terms(&town(&strong), "bob@hamburger.test"), strong);
    for fresh in
        [scram_terms(&town(&cheap_terms()), "bob@hamburger.test"), scram_terms(&town(&strong), "eve@crepes.test")]
    {
        assert_eq!(fresh.iterations, SCRAM_ITERATIONS);
        assert_ne!(fresh.salt, strong.salt);
    }
}

#[test]
fn quota_name_and_doors_change_alone() {
    let town = Town::new().build();
    let quota = Quota { bytes: Some(1), messages: None, files: Some(2) };
    assert_eq!(set_quota(&town, "bob@hamburger.test", quota).expect("changed").record.quota, quota);
    let words = Some("list,read".to_string());
    let permitted = set_file_permissions(&town, "bob@hamburger.test", words.clone()).expect("changed");
    assert_eq!((permitted.record.file_permissions, permitted.record.quota), (words, Quota::default()));
    assert_eq!(set_display_name(&town, "bob@hamburger.test", " Bob ").expect("changed").record.display_name, "Bob");
    assert_eq!(set_display_name(&town, "bob@hamburger.test", "B\nob"), Err(Refused::Label));
    assert_eq!(set_display_name(&town, "bob@hamburger.test", &"b".repeat(201)), Err(Refused::Label));
    assert!(disable_account(&town, "bob@hamburger.test").expect("changed").record.disabled);
    let town = Town::new().edit(2, |bob| bob.disabled = true).build();
    assert!(!enable_account(&town, "bob@hamburger.test").expect("changed").record.disabled);
}

#[test]
fn app_passwords_are_numbered_and_bounded() {
    let mut town = Town::new();
    for n in 1..=APP_PASSWORDS_MAX as u32 {
        let (bob, shown) =
            add_app_password(&town.clone().build(), "bob@hamburger.test", "telephone", &[], 9).expect("added");
        let last = bob.record.app_passwords.last().expect("added").clone();
        assert_eq!((last.id, &*last.label, last.created), (n, "telephone", 9));
        assert!(!bob.record.write().contains(std::str::from_utf8(shown.reveal()).expect("letters")));
        town = town.edit(2, |it| *it = bob.record.clone());
    }
    let full = town.build();
    assert_eq!(
        refusal(add_app_password(&full, "bob@hamburger.test", "one more", &[], 0)),
        "account `bob@hamburger.test` has 50 app passwords already: remove one first"
    );
    assert_eq!(
        refusal(add_app_password(&Town::new().build(), "bob@hamburger.test", "x", &["nntp".into()], 0)),
        "`nntp` is no service that an app password can be for; those are smtp, pop3, imap, ftp"
    );
    let less = remove_app_password(&full, "bob@hamburger.test", 7).expect("removed");
    assert!(less.record.app_passwords.len() == 49 && less.record.app_passwords.iter().all(|one| one.id != 7));
    assert_eq!(
        refusal(remove_app_password(&full, "bob@hamburger.test", 51)),
        "account `bob@hamburger.test` has no app password 51"
    );
}

#[test]
fn an_account_goes_when_nothing_needs_it() {
    let remove = |town: Town| remove_account(&town.build(), "bob@hamburger.test");
    assert_eq!(remove(Town::new()).expect("may go").id, 2);
    let needed = |town: Town| refusal(remove(town)).replace("`bob@hamburger.test` is still needed by ", "");
    let bob = || Some("bob@hamburger.test".to_owned());
    assert_eq!(needed(Town::new().set(|it| it.postmaster = bob())), "the postmaster setting");
    assert_eq!(needed(Town::new().set(|it| it.catch_all = bob())), "the catch-all setting");
    assert_eq!(needed(Town::new().edit_crepes(|it| it.catch_all = bob())), "domain `crepes.test` as its catch-all");
    let listed = Town::new().alias("all@crepes.test", &["Bob@hamburger.test"]);
    assert_eq!(needed(listed), "alias `all@crepes.test`");
}

#[test]
fn a_domain_comes_once_and_goes_when_empty() {
    let town = Town::new().domain("empty.test").domain("aliased.test").alias("a@aliased.test", &["a@home.test"]);
    let built = town.clone().build();
    assert_eq!(add_domain(&built, "Crêpes.test", 7), Ok(("xn--crpes-isa.test".into(), DomainRecord::new(7))));
    assert_eq!(refusal(add_domain(&built, "CREPES.test", 7)), "domain `crepes.test` exists already");
    assert!(add_domain(&built, "[127.0.0.1]", 7).is_err());
    let remove = |domain: &str| remove_domain(&built, domain).map_err(|error| error.to_string());
    assert_eq!(remove("EMPTY.test"), Ok("empty.test".into()));
    assert_eq!(remove("crepes.test"), Err("`crepes.test` is still needed by account `alice@crepes.test`".into()));
    assert_eq!(remove("aliased.test"), Err("`aliased.test` is still needed by alias `a@aliased.test`".into()));
    assert_eq!(remove("home.test"), Err("domain `home.test` is not one of ours: add it first".into()));
    let default = town.set(|it| it.default_domain = Some("empty.test".into())).build();
    let needed = "`empty.test` is still needed by the default domain setting";
    assert_eq!(refusal(remove_domain(&default, "empty.test")), needed);
}

#[test]
fn a_domain_is_shut_and_opened_and_given_a_catch_all() {
    let town = Town::new().build();
    let (name, shut) = disable_domain(&town, "CREPES.test").expect("changed");
    assert_eq!((name.as_str(), shut.disabled), ("crepes.test", true));
    assert!(!enable_domain(&town, "crepes.test").expect("changed").1.disabled);
    let (_, caught) = set_catch_all(&town, "crepes.test", Some("BOB@hamburger.test")).expect("changed");
    assert_eq!(caught.catch_all.as_deref(), Some("bob@hamburger.test"));
    assert!(set_catch_all(&town, "crepes.test", Some("eve@crepes.test")).is_err());
    assert_eq!(set_catch_all(&town, "crepes.test", None).expect("changed").1.catch_all, None);
}

#[test]
fn an_alias_leads_somewhere_or_is_refused() {
    let town = Town::new().alias("old@crepes.test", &["alice@crepes.test"]).build();
    let (key, alias) =
        add_alias(&town, "All@Crepes.test", &["BOB@Hamburger.test", "b@home.test", "b@HOME.test"], 7).expect("added");
    assert_eq!((key.as_str(), alias.created), ("all@crepes.test", 7));
    assert_eq!(alias.targets, ["BOB@hamburger.test", "b@home.test"]);
    let add = |key: &str, targets: &[&str]| refusal(add_alias(&town, key, targets, 0));
    assert_eq!(add("old@crepes.test", &["bob@hamburger.test"]), "alias `old@crepes.test` exists already");
    assert_eq!(add("a@home.test", &["bob@hamburger.test"]), "domain `home.test` is not one of ours: add it first");
    assert_eq!(add("@home.test", &["bob@hamburger.test"]), "domain `home.test` is not one of ours: add it first");
    assert_eq!(add("a@crepes.test", &[]), "an alias needs at least one target");
    assert_eq!(add("a@crepes.test", &["bob"]), "`bob` cannot be used: an address has the form local@domain");
    assert_eq!(
        add("a@crepes.test", &["bob@crepes.test"]),
        "target `bob@crepes.test` is in a domain of ours, but reaches nobody there"
    );
    assert_eq!(
        add("a@crepes.test", &["@hamburger.test"]),
        "target `@hamburger.test` stands for a whole domain: only an alias like `@domain` can have it"
    );
    assert_eq!(
        add("a@crepes.test", &["a@crepes.test"]),
        "alias `a@crepes.test` would not work: its aliases lead in a circle"
    );
    assert_eq!(
        add("@crepes.test", &["@crepes.test"]),
        "alias `@crepes.test` would not work: its aliases lead in a circle"
    );
    let many: Vec<String> = (0..=ALIAS_TARGETS_MAX).map(|n| format!("a{n}@home.test")).collect();
    assert_eq!(add_alias(&town, "a@crepes.test", &many, 0), Err(Refused::TooManyTargets));
}

#[test]
fn all_forms_of_aliases_can_be_made() {
    let town = Town::new().domain("old.test").build();
    let made = |key: &str, target: &str| add_alias(&town, key, &[target], 0).expect("added").0;
    assert_eq!(made("Abuse@", "bob@hamburger.test"), "abuse@");
    assert_eq!(made("@old.test", "@Hamburger.test"), "@old.test");
    assert_eq!(made("@crepes.test", "bob@hamburger.test"), "@crepes.test");
    assert_eq!(made("bob@hamburger.test", "bob@hamburger.test"), "bob@hamburger.test");
}

#[test]
fn an_alias_is_aimed_anew_or_goes_when_none_needs_it() {
    let town = Town::new()
        .alias("a@crepes.test", &["b@crepes.test"])
        .alias("b@crepes.test", &["alice@crepes.test"])
        .alias("bob@hamburger.test", &["b@home.test"])
        .alias("c@crepes.test", &["bob@hamburger.test"])
        .build();
    let (_, aimed) = set_alias_targets(&town, "A@crepes.test", &["bob@hamburger.test"]).expect("changed");
    assert_eq!(aimed.targets, ["bob@hamburger.test"]);
    assert!(matches!(set_alias_targets(&town, "b@crepes.test", &["a@crepes.test"]), Err(Refused::AliasLoop { .. })));
    assert!(matches!(set_alias_targets(&town, "x@crepes.test", &["a@home.test"]), Err(Refused::AliasUnknown(_))));
    assert_eq!(remove_alias(&town, "A@crepes.test"), Ok("a@crepes.test".into()));
    assert_eq!(
        refusal(remove_alias(&town, "b@crepes.test")),
        "`b@crepes.test` is still needed by alias `a@crepes.test`"
    );
    assert_eq!(remove_alias(&town, "bob@hamburger.test"), Ok("bob@hamburger.test".into()), "the account is behind it");
    assert!(matches!(remove_alias(&town, "x@crepes.test"), Err(Refused::AliasUnknown(_))));
}

/// One random order to change something.
#[derive(Debug, Clone)]
enum Order {
    Account(String),
    Domain(String),
    Alias(String, Vec<String>),
    Aim(String, Vec<String>),
    RemoveAccount(String),
    RemoveDomain(String),
    RemoveAlias(String),
    CatchAll(String, String),
}

fn orders() -> impl Strategy<Value = Order> {
    let name = || proptest::sample::select(vec!["a", "b", "c", "a+x"]);
    let domain = || proptest::sample::select(vec!["one.test", "two.test", "home.test"]).prop_map(str::to_owned);
    let address = || (name(), domain()).prop_map(|(name, domain)| format!("{name}@{domain}"));
    let whole = || domain().prop_map(|domain| format!("@{domain}"));
    let key = || prop_oneof![3 => address(), 1 => whole(), 1 => name().prop_map(|name| format!("{name}@"))];
    let targets = || proptest::collection::vec(prop_oneof![4 => address(), 1 => whole()], 0..4);
    prop_oneof![
        3 => address().prop_map(Order::Account),
        2 => domain().prop_map(Order::Domain),
        3 => (key(), targets()).prop_map(|(key, targets)| Order::Alias(key, targets)),
        2 => (key(), targets()).prop_map(|(key, targets)| Order::Aim(key, targets)),
        1 => address().prop_map(Order::RemoveAccount),
        1 => domain().prop_map(Order::RemoveDomain),
        1 => key().prop_map(Order::RemoveAlias),
        1 => (domain(), address()).prop_map(|(domain, address)| Order::CatchAll(domain, address)),
    ]
}

/// A store as small as one can be.
#[derive(Default)]
struct Kept {
    accounts: Vec<AccountRow>,
    domains: std::collections::BTreeMap<String, String>,
    aliases: std::collections::BTreeMap<String, String>,
}

impl Kept {
    fn directory(&self) -> Directory {
        let entries = |map: &std::collections::BTreeMap<String, String>| {
            map.iter().map(|(key, value)| Entry { key: key.clone(), value: value.clone() }).collect::<Vec<_>>()
        };
        let settings = crate::Settings::new(crate::InstallationSecret::new([0; 32]));
        let built = Directory::build(self.accounts.clone(), entries(&self.domains), entries(&self.aliases), settings);
        built.expect("what changes give back can always be built")
    }

    fn obey(&mut self, order: Order) -> Result<(), Refused> {
        let now = self.directory();
        match order {
            Order::Account(name) => {
                let (name, record) = create_account(&now, &name, None, 0)?;
                let id = self.accounts.iter().map(|row| row.id).max().unwrap_or(0) + 1;
                self.accounts.push(AccountRow { id, name, record: record.write() });
            }
            Order::Domain(domain) => keep(&mut self.domains, add_domain(&now, &domain, 0)?),
            Order::Alias(key, targets) => keep(&mut self.aliases, add_alias(&now, &key, &targets, 0)?),
            Order::Aim(key, targets) => keep(&mut self.aliases, set_alias_targets(&now, &key, &targets)?),
            Order::RemoveAccount(name) => {
                let gone = remove_account(&now, &name)?;
                self.accounts.retain(|row| row.id != gone.id);
            }
            Order::RemoveDomain(domain) => drop(self.domains.remove(&remove_domain(&now, &domain)?)),
            Order::RemoveAlias(key) => drop(self.aliases.remove(&remove_alias(&now, &key)?)),
            Order::CatchAll(domain, name) => keep(&mut self.domains, set_catch_all(&now, &domain, Some(&name))?),
        }
        Ok(())
    }
}

fn keep<R: Record>(kept: &mut std::collections::BTreeMap<String, String>, (key, record): (String, R)) {
    kept.insert(key, record.write());
}

proptest! {
    /// Whatever is asked for in whatever order: the next directory builds, and its names are where they belong.
    #[test]
    fn every_change_leaves_a_directory_that_stands(orders in proptest::collection::vec(orders(), 0..40)) {
        let mut kept = Kept::default();
        for order in orders {
            let refused = kept.obey(order.clone()).is_err();
            let after = kept.directory();
            for account in after.accounts() {
                prop_assert!(after.key_domain(account.domain()).is_some(), "{:?} left {} homeless", order, account.name);
            }
            for (_, domain) in after.domains() {
                let catch_all = domain.catch_all.as_deref();
                prop_assert!(catch_all.is_none_or(|name| after.account_named(name).is_some()));
            }
            if let (Order::Account(name), false) = (&order, refused) {
                let (local, domain) = name.split_once('@').expect("an address");
                let reached = after.resolve(local, domain);
                let itself = matches!(&reached, Resolution::Deliver(delivery) if &*delivery.local[0].name == name);
                prop_assert!(itself, "{} gets its mail: {:?}", name, reached);
            }
        }
    }
}

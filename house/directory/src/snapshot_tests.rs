//! What a directory is built of, and what is said when it cannot be.

use super::*;
use crate::records::Record;
use crate::secrets::PasswordHash;
use crate::town::Town;
use proptest::prelude::*;

#[test]
fn names_are_found_in_any_case_and_listed_in_order() {
    let town = Town::new()
        .domain("Crêpes.test")
        .alias("ZZ@Crepes.test", &["alice@crepes.test"])
        .alias("@crepes.test", &["bob@hamburger.test"])
        .build();
    assert_eq!(town.account_named("ALICE@crepes.TEST").map(|account| account.id), Some(1));
    assert_eq!(town.account(2).map(|account| &*account.name), Some("bob@hamburger.test"));
    assert_eq!(
        town.domains().iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        ["crepes.test", "hamburger.test", "xn--crpes-isa.test"]
    );
    assert_eq!(town.aliases().iter().map(|alias| &*alias.key).collect::<Vec<_>>(), ["@crepes.test", "zz@crepes.test"]);
    assert!(town.domain("CRÊPES.test").is_some() && town.alias("zz@CREPES.test").is_some());
    assert_eq!(town.complaints(), []);
}

#[test]
fn what_cannot_be_used_is_named() {
    let error = |town: Town| town.try_build().expect_err("cannot be built").to_string();
    assert_eq!(error(Town::new().account("Bob@Hamburger.test")), "account `bob@hamburger.test` is there twice");
    assert_eq!(error(Town::new().domain("CREPES.test")), "domain `CREPES.test` is there twice");
    assert_eq!(
        error(Town::new().domain("cre pes.test")),
        "domain `cre pes.test` is not well formed: what stands behind the @ is not a domain name"
    );
    assert_eq!(
        error(Town::new().alias("a@crepes.test", &["nobody"])),
        "alias target `nobody` is not well formed: an address has the form local@domain"
    );
    assert_eq!(
        error(Town::new().set(|it| it.postmaster = Some("eve@crepes.test".into()))),
        "the postmaster account `eve@crepes.test` does not exist"
    );
    assert_eq!(
        error(Town::new().set(|it| it.catch_all = Some("eve".into()))),
        "the catch-all account `eve` does not exist"
    );
    assert_eq!(
        error(Town::new().set(|it| it.default_domain = Some("a b".into()))),
        "the default domain `a b` is not a domain name"
    );
    assert_eq!(
        error(Town::new().edit(1, |alice| alice.version = 2)),
        "the record of account `alice@crepes.test` cannot be used: it has version 2, \
         and this program reads up to 1: use the newer program"
    );
}

#[test]
fn what_cannot_be_used_does_not_hide_the_rest() {
    let town =
        Town::new().edit(1, |alice| alice.version = 2).domain("cre pes.test").alias("a@crepes.test", &["nobody"]);
    let rows = town.accounts.iter().map(|(id, name, record)| AccountRow {
        id: *id,
        name: name.clone(),
        record: record.write(),
    });
    let entry = |key: &String, value| Entry { key: key.clone(), value };
    let domains = town.domains.iter().map(|(key, record)| entry(key, record.write()));
    let aliases = town.aliases.iter().map(|(key, record)| entry(key, record.write()));
    let (directory, faults) = Directory::build_of_the_usable(rows, domains, aliases, town.settings.clone());
    assert_eq!(directory.accounts().iter().map(|account| &*account.name).collect::<Vec<_>>(), ["bob@hamburger.test"]);
    assert_eq!(directory.domains().len(), 2);
    let faults: Vec<String> = faults.iter().map(|fault| fault.to_string()[..20].to_string()).collect();
    assert_eq!(faults, ["the record of accoun", "domain `cre pes.test", "alias target `nobody"]);
}

#[test]
fn a_number_that_is_there_twice_is_named() {
    let row = |name: &str| AccountRow { id: 1, name: name.into(), record: AccountRecord::new(None, 0).write() };
    let settings = Settings::new(InstallationSecret::new([0; 32]));
    let built = Directory::build([row("a@x.test"), row("b@x.test")], [], [], settings);
    assert!(matches!(built, Err(BuildError::Twice { kind: "account", .. })));
}

#[test]
fn what_is_odd_is_a_complaint() {
    let town = Town::new()
        .account("eve@elsewhere.test")
        .edit(1, |alice| alice.password = Some(PasswordHash::new("{MD5}x")))
        .edit_crepes(|it| it.catch_all = Some("gone@crepes.test".into()))
        .alias("a@hamburger.test", &["gone@hamburger.test", "b@home.test", "a@hamburger.test"])
        .build();
    let complaints: Vec<String> = town.complaints().iter().map(Complaint::to_string).collect();
    assert_eq!(
        complaints,
        [
            "account `alice@crepes.test` cannot log in with its password: the hash is of a kind we do not know; set a new one",
            "account `eve@elsewhere.test` gets no mail: its domain is not one of ours",
            "the catch-all of domain `crepes.test` does not exist: `gone@crepes.test`",
            "alias `a@hamburger.test` leads to `gone@hamburger.test`, which reaches nobody",
        ]
    );
}

#[test]
fn an_empty_store_is_a_directory_too() {
    let town = Directory::build([], [], [], Settings::new(InstallationSecret::new([0; 32]))).expect("builds");
    assert!(town.accounts().is_empty() && town.postmaster().is_none() && town.catch_all().is_none());
    assert_eq!(town.resolve("a", "b.test"), Resolution::NotOurs);
}

#[test]
fn a_hundred_thousand_accounts_are_each_found() {
    let json = AccountRecord::new(None, 0).write();
    let row = |id: i64| AccountRow { id, name: format!("user{id}@crepes.test"), record: json.clone() };
    let settings = Settings::new(InstallationSecret::new([0; 32]));
    let town = Directory::build((0..100_000).rev().map(row), [], [], settings).expect("builds");
    for id in [0, 1, 4_711, 99_999] {
        let name = format!("user{id}@crepes.test");
        assert_eq!(town.account_named(&name).map(|account| account.id), Some(id));
        assert_eq!(town.account_for_login(&format!("user{id}")).map(|account| account.id), Some(id));
    }
}

#[test]
fn alias_keys_have_three_forms() {
    let good = [
        ("Sales@Crepes.test", "sales@crepes.test"),
        ("Sales@", "sales@"),
        ("@Crêpes.test", "@xn--crpes-isa.test"),
        ("bob+x@crepes.test", "bob+x@crepes.test"),
    ];
    for (text, key) in good {
        assert_eq!(alias_key(text).as_deref(), Ok(key), "{text}");
    }
    for text in ["", "@", "sales", "a b@", "\"a b\"@crepes.test", "a@b@", "@a b"] {
        assert!(alias_key(text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn canonical_alias_keys_are_fixed_points(text in "[a-zA-ZÉ+]{0,5}@[a-zA-ZÉ]{0,5}") {
        if let Ok(key) = alias_key(&text) {
            prop_assert_eq!(alias_key(&key), Ok(key.clone()));
        }
    }
}

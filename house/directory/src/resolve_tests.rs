//! Whom an address reaches.

use super::*;
use crate::records::AliasRecord;
use crate::town::Town;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Names of accounts and remote addresses, in order, or the refusal.
fn reached(directory: &Directory, address: &str) -> String {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    match directory.resolve(local, domain) {
        Resolution::Deliver(Delivery { local, remote, .. }) => {
            let local = local.iter().map(|one| one.name.to_string());
            local.chain(remote.iter().map(|one| format!("→{one}"))).collect::<Vec<_>>().join(" ")
        }
        other => format!("{other:?}"),
    }
}

fn how(directory: &Directory, local: &str, domain: &str) -> How {
    match directory.resolve(local, domain) {
        Resolution::Deliver(delivery) => delivery.how,
        other => panic!("{local}@{domain} reaches nobody: {other:?}"),
    }
}

#[test]
fn an_account_is_reached_under_any_case_of_its_address() {
    let town = Town::new().build();
    assert_eq!(
        town.resolve("BOB", "Hamburger.TEST"),
        Resolution::Deliver(Delivery {
            how: How::Account,
            local: vec![Recipient { account: 2, name: "bob@hamburger.test".into() }],
            remote: vec![]
        })
    );
    assert_eq!(reached(&town, "bob@crepes.test"), "Unknown");
    assert_eq!(reached(&town, "bob@elsewhere.test"), "NotOurs");
    assert_eq!(reached(&town, "bob@[127.0.0.1]"), "NotOurs");
}

#[test]
fn a_domain_is_the_same_in_u_labels_and_a_labels() {
    let town = Town::new().domain("crêpes.test").account("élise@xn--crpes-isa.test").build();
    for address in ["élise@crêpes.test", "Élise@CRÊPES.test", "élise@XN--CRPES-ISA.test"] {
        assert_eq!(reached(&town, address), "élise@xn--crpes-isa.test", "{address}");
    }
}

#[test]
fn a_sub_address_reaches_the_account_it_belongs_to() {
    let town =
        Town::new().account("bob+work@hamburger.test").alias("sales@crepes.test", &["alice@crepes.test"]).build();
    assert_eq!(reached(&town, "bob+lists@hamburger.test"), "bob@hamburger.test");
    assert_eq!(how(&town, "bob+lists", "hamburger.test"), How::SubAddress);
    assert_eq!(reached(&town, "bob+work@hamburger.test"), "bob+work@hamburger.test", "an exact account comes first");
    assert_eq!(reached(&town, "bob+work+now@hamburger.test"), "bob+work@hamburger.test", "then the longest");
    assert_eq!(reached(&town, "sales+paris@crepes.test"), "alice@crepes.test");
    assert_eq!(reached(&town, "+bob@hamburger.test"), "Unknown", "nothing before the separator is nobody");
}

#[test]
fn the_separator_can_be_another_one_or_none() {
    let dash = Town::new().set(|it| it.separator = Some('-')).build();
    assert_eq!(reached(&dash, "bob-lists@hamburger.test"), "bob@hamburger.test");
    assert_eq!(reached(&dash, "bob+lists@hamburger.test"), "Unknown");
    let none = Town::new().set(|it| it.separator = None).build();
    assert_eq!(reached(&none, "bob+lists@hamburger.test"), "Unknown");
}

#[test]
fn a_disabled_account_or_domain_takes_no_mail() {
    let town = Town::new().edit(2, |bob| bob.disabled = true).edit_crepes(|it| it.disabled = true);
    let town = town.alias("all@hamburger.test", &["bob@hamburger.test"]).build();
    assert_eq!(reached(&town, "bob@hamburger.test"), "Disabled");
    assert_eq!(reached(&town, "alice@crepes.test"), "Disabled");
    assert_eq!(reached(&town, "nobody@crepes.test"), "Disabled");
    assert_eq!(reached(&town, "all@hamburger.test"), "Disabled");
}

#[test]
fn an_alias_leads_to_accounts_and_away_each_once() {
    let targets = [
        "Bob@hamburger.test",
        "alice@crepes.test",
        "b@Home.TEST",
        "both@crepes.test",
        "b@home.test",
        "gone@crepes.test",
    ];
    let town = Town::new()
        .alias("all@crepes.test", &targets)
        .alias("both@crepes.test", &["alice@crepes.test", "bob+x@hamburger.test"])
        .build();
    assert_eq!(reached(&town, "all@crepes.test"), "bob@hamburger.test alice@crepes.test →b@home.test");
    assert_eq!(how(&town, "all", "crepes.test"), How::Alias);
}

#[test]
fn a_disabled_member_of_a_list_is_left_out() {
    let town = Town::new().edit(2, |bob| bob.disabled = true);
    let town = town.alias("all@crepes.test", &["bob@hamburger.test", "alice@crepes.test"]).build();
    assert_eq!(reached(&town, "all@crepes.test"), "alice@crepes.test");
}

#[test]
fn an_alias_beside_an_account_forwards_its_mail_and_may_keep_a_copy() {
    let away = Town::new().alias("bob@hamburger.test", &["b@home.test"]).build();
    assert_eq!(reached(&away, "bob@hamburger.test"), "→b@home.test");
    assert_eq!(reached(&away, "bob+x@hamburger.test"), "→b@home.test");
    let copy = Town::new().alias("bob@hamburger.test", &["bob@hamburger.test", "b@home.test"]).build();
    assert_eq!(reached(&copy, "bob@hamburger.test"), "bob@hamburger.test →b@home.test");
    assert_eq!(reached(&copy, "bob+x@hamburger.test"), "bob@hamburger.test →b@home.test");
    let filed = Town::new().alias("bob@hamburger.test", &["bob+kept@hamburger.test", "b@home.test"]).build();
    assert_eq!(reached(&filed, "bob@hamburger.test"), "bob@hamburger.test →b@home.test");
}

#[test]
fn two_who_forward_to_each_other_lose_nothing() {
    let town = Town::new()
        .alias("bob@hamburger.test", &["alice@crepes.test"])
        .alias("alice@crepes.test", &["bob@hamburger.test"]);
    let town = town.build();
    assert_eq!(reached(&town, "bob@hamburger.test"), "bob@hamburger.test");
    assert_eq!(reached(&town, "alice@crepes.test"), "alice@crepes.test");
}

#[test]
fn a_circle_of_aliases_is_found() {
    let town = Town::new()
        .alias("a@crepes.test", &["b@crepes.test"])
        .alias("b@crepes.test", &["a@crepes.test", "c@crepes.test"])
        .alias("c@crepes.test", &["c@crepes.test"])
        .alias("d@crepes.test", &["d@crepes.test", "bob@hamburger.test"])
        .build();
    assert_eq!(reached(&town, "a@crepes.test"), "Looped(Circle)");
    assert_eq!(reached(&town, "c@crepes.test"), "Looped(Circle)");
    assert_eq!(reached(&town, "d@crepes.test"), "bob@hamburger.test", "a circle adds nobody and takes nobody away");
}

#[test]
fn aliases_lead_on_ten_times_and_no_further() {
    let chain = |length: usize| {
        let link =
            |town: Town, n: usize| town.alias(&format!("a{n}@crepes.test"), &[&format!("a{}@crepes.test", n + 1)]);
        (0..length).fold(Town::new().account(&format!("a{length}@crepes.test")), link).build()
    };
    assert_eq!(reached(&chain(ALIAS_DEPTH_MAX), "a0@crepes.test"), "a10@crepes.test");
    assert_eq!(reached(&chain(ALIAS_DEPTH_MAX + 1), "a0@crepes.test"), "Looped(TooDeep)");
}

#[test]
fn a_recipient_becomes_a_thousand_and_no_more() {
    let list = |length: usize| {
        let targets: Vec<String> = (0..length).map(|n| format!("a{n}@home.test")).collect();
        let mut town = Town::new();
        town.aliases.push(("all@crepes.test".into(), AliasRecord::new(targets, 0)));
        town.build()
    };
    let Resolution::Deliver(most) = list(ALIAS_TARGETS_MAX).resolve("all", "crepes.test") else { panic!("too many") };
    assert_eq!(most.remote.len(), ALIAS_TARGETS_MAX);
    assert_eq!(reached(&list(ALIAS_TARGETS_MAX + 1), "all@crepes.test"), "Looped(TooMany)");
}

#[test]
fn an_alias_can_stand_in_every_domain_or_for_a_whole_one() {
    let town = Town::new()
        .domain("old.test")
        .alias("sales@", &["alice@crepes.test"])
        .alias("@old.test", &["@hamburger.test"])
        .alias("@crepes.test", &["bob@hamburger.test"])
        .build();
    assert_eq!(reached(&town, "sales@crepes.test"), "alice@crepes.test");
    assert_eq!(reached(&town, "sales+x@hamburger.test"), "alice@crepes.test");
    assert_eq!(reached(&town, "sales@elsewhere.test"), "NotOurs");
    assert_eq!(reached(&town, "alice@crepes.test"), "alice@crepes.test", "accounts come before the whole domain");
    assert_eq!(reached(&town, "anybody@crepes.test"), "bob@hamburger.test");
    assert_eq!(reached(&town, "Bob+x@old.test"), "bob@hamburger.test", "the local part moves on");
    assert_eq!(reached(&town, "eve@old.test"), "Unknown", "and is judged where it comes to");
}

#[test]
fn a_foreign_local_part_keeps_its_case_when_a_whole_domain_moves() {
    let town = Town::new().domain("old.test").alias("@old.test", &["@new.example"]).build();
    assert_eq!(reached(&town, "MixedCase@old.test"), "→MixedCase@new.example");
}

#[test]
fn postmaster_and_abuse_are_always_reached() {
    let town = Town::new();
    let first = town.clone().build();
    for address in ["postmaster@crepes.test", "Abuse@hamburger.test", "POSTMASTER", "postmaster+x@crepes.test"] {
        assert_eq!(reached(&first, address), "alice@crepes.test", "{address}");
    }
    assert_eq!(how(&first, "postmaster", ""), How::Duty);
    assert_eq!(reached(&first, "hostmaster@crepes.test"), "Unknown");
    assert_eq!(reached(&first, "bob"), "Unknown", "no other address goes without its domain");
    let set = town.clone().set(|it| it.postmaster = Some("Bob@hamburger.test".into())).build();
    assert_eq!(reached(&set, "postmaster@crepes.test"), "bob@hamburger.test");
    let alias =
        town.clone().alias("postmaster@crepes.test", &["p@home.test"]).alias("abuse@", &["bob@hamburger.test"]).build();
    assert_eq!(reached(&alias, "postmaster@crepes.test"), "→p@home.test");
    assert_eq!(reached(&alias, "postmaster@hamburger.test"), "alice@crepes.test");
    assert_eq!(reached(&alias, "abuse@crepes.test"), "bob@hamburger.test");
    let without_first = town.clone().edit(1, |alice| alice.disabled = true).build();
    assert_eq!(reached(&without_first, "postmaster@crepes.test"), "bob@hamburger.test");
    let mut empty = town;
    empty.accounts.clear();
    assert_eq!(reached(&empty.build(), "postmaster"), "Unknown");
}

#[test]
fn an_address_without_domain_is_one_of_the_default_domain() {
    let town = Town::new().set(|it| it.default_domain = Some("Hamburger.test".into())).build();
    assert_eq!(reached(&town, "bob"), "bob@hamburger.test");
    assert_eq!(reached(&town, "postmaster"), "alice@crepes.test");
    assert_eq!(reached(&town, "alice"), "Unknown");
}

#[test]
fn a_domains_catch_all_gets_what_nobody_else_has() {
    let town = Town::new().edit_crepes(|it| it.catch_all = Some("bob@hamburger.test".into()));
    let town = town.set(|it| it.postmaster = Some("alice@crepes.test".into())).build();
    assert_eq!(reached(&town, "anybody@crepes.test"), "bob@hamburger.test");
    assert_eq!(how(&town, "anybody", "crepes.test"), How::DomainCatchAll);
    assert_eq!(reached(&town, "alice+x@crepes.test"), "alice@crepes.test");
    assert_eq!(reached(&town, "postmaster@crepes.test"), "alice@crepes.test", "the postmaster comes first");
    assert_eq!(reached(&town, "anybody@hamburger.test"), "Unknown");
}

#[test]
fn with_the_directorys_catch_all_nothing_leaves_the_machine() {
    let town = Town::new()
        .account("catch-all@crepes.test")
        .alias("away@crepes.test", &["b@home.test", "bob@hamburger.test"])
        .set(|it| it.catch_all = Some("catch-all@crepes.test".into()))
        .build();
    for address in ["anybody@crepes.test", "president@example.org", "b@[192.0.2.1]", "nobody", "x@münchen.example"] {
        assert_eq!(reached(&town, address), "catch-all@crepes.test", "{address}");
    }
    assert_eq!(how(&town, "president", "example.org"), How::CatchAll);
    assert_eq!(reached(&town, "bob@hamburger.test"), "bob@hamburger.test");
    assert_eq!(
        reached(&town, "away@crepes.test"),
        "catch-all@crepes.test bob@hamburger.test",
        "aliases do not lead away"
    );
}

#[test]
fn one_writes_under_the_addresses_by_which_one_is_reached() {
    let town = Town::new()
        .account("bob+work@hamburger.test")
        .domain("old.test")
        .alias("sales@crepes.test", &["bob@hamburger.test"])
        .alias("all@crepes.test", &["sales@crepes.test", "alice@crepes.test"])
        .alias("help@", &["bob@hamburger.test"])
        .alias("@old.test", &["@hamburger.test"])
        .alias("away@crepes.test", &["b@home.test"])
        .alias("alice@crepes.test", &["a@home.test"])
        .build();
    let may = |address: &str| {
        let (local, domain) = address.rsplit_once('@').expect("an address");
        [1, 2].map(|account| town.may_send_as(account, local, domain))
    };
    let (alice, bob, both, neither) = ([true, false], [false, true], [true, true], [false, false]);
    let cases = [
        ("BOB@Hamburger.test", bob),
        ("bob+lists@hamburger.test", bob),
        ("bob+work@hamburger.test", neither),
        ("sales@crepes.test", bob),
        ("sales+x@crepes.test", bob),
        ("all@crepes.test", both),
        ("help@hamburger.test", bob),
        ("bob@old.test", bob),
        ("alice@old.test", neither),
        ("away@crepes.test", neither),
        ("alice@crepes.test", alice),
        ("alice+x@crepes.test", alice),
        ("postmaster@hamburger.test", alice),
        ("nobody@crepes.test", neither),
        ("bob@elsewhere.test", neither),
        ("@", neither),
    ];
    for (address, expected) in cases {
        assert_eq!(may(address), expected, "{address}");
    }
}

#[test]
fn a_catch_all_writes_for_its_domain_and_the_directorys_for_nobody() {
    let town = Town::new()
        .edit_crepes(|it| it.catch_all = Some("bob@hamburger.test".into()))
        .set(|it| it.catch_all = Some("alice@crepes.test".into()))
        .build();
    assert!(town.may_send_as(2, "anything", "crepes.test"));
    assert!(!town.may_send_as(2, "alice", "crepes.test"));
    assert!(!town.may_send_as(1, "president", "example.org"));
    assert!(!town.may_send_as(1, "nobody", "hamburger.test"));
}

/// What a random town is made of: aliases 0..8 to any of aliases 0..8, accounts 0..4 and remote addresses 0..3.
fn graphs() -> impl Strategy<Value = Vec<Vec<usize>>> {
    proptest::collection::vec(proptest::collection::vec(0usize..15, 0..6), 8)
}

fn node(n: usize) -> String {
    match n {
        0..8 => format!("alias{n}@crepes.test"),
        8..12 => format!("account{n}@crepes.test"),
        _ => format!("remote{n}@home.test"),
    }
}

fn town_of(graph: &[Vec<usize>]) -> Directory {
    let with_accounts = (8..12).fold(Town::new(), |town, n| town.account(&node(n)));
    let alias = |town: Town, (n, targets): (usize, &Vec<usize>)| {
        let targets: Vec<String> = targets.iter().map(|&target| node(target)).collect();
        town.alias(&node(n), &targets.iter().map(String::as_str).collect::<Vec<_>>())
    };
    graph.iter().enumerate().fold(with_accounts, alias).build()
}

/// Everything that can be reached from a node, by the plainest of searches.
fn closure(graph: &[Vec<usize>], from: usize) -> BTreeSet<usize> {
    let mut seen = BTreeSet::from([from]);
    let mut todo = vec![from];
    while let Some(n) = todo.pop() {
        for &target in graph.get(n).into_iter().flatten() {
            if seen.insert(target) {
                todo.push(target);
            }
        }
    }
    seen.into_iter().filter(|&n| n >= 8).collect()
}

proptest! {
    #[test]
    fn an_alias_reaches_what_can_be_reached_and_each_once(graph in graphs()) {
        let town = town_of(&graph);
        for n in 0..8 {
            let expected: BTreeSet<String> = closure(&graph, n).into_iter().map(node).collect();
            match town.resolve(&format!("alias{n}"), "crepes.test") {
                Resolution::Deliver(Delivery { local, remote, .. }) => {
                    let local = local.iter().map(|one| one.name.to_string());
                    let all: Vec<String> = local.chain(remote.iter().map(Address::to_string)).collect();
                    let set: BTreeSet<String> = all.iter().cloned().collect();
                    prop_assert_eq!(all.len(), set.len(), "each once");
                    prop_assert_eq!(set, expected);
                }
                Resolution::Unknown | Resolution::Looped(Loop::Circle) => prop_assert!(expected.is_empty()),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }

    #[test]
    fn whoever_is_reached_may_write_and_nobody_else(graph in graphs()) {
        let town = town_of(&graph);
        for n in 0..8 {
            let reached = closure(&graph, n);
            for (place, account) in (8..12).enumerate() {
                // Alice and Bob have the numbers 1 and 2.
                let id = place as i64 + 3;
                prop_assert_eq!(town.may_send_as(id, &format!("alias{n}"), "crepes.test"), reached.contains(&account));
            }
        }
    }

    #[test]
    fn no_address_makes_it_panic(local in "\\PC{0,80}", domain in "\\PC{0,30}", id in 0i64..4) {
        for town in [Town::new(), Town::new().set(|it| it.catch_all = Some("alice@crepes.test".into()))] {
            let town = town.build();
            town.resolve(&local, &domain);
            town.resolve(&local, "crepes.test");
            town.may_send_as(id, &local, &domain);
        }
    }
}

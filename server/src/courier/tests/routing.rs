//! Where mail goes: by the configuration, by an address literal, by DNS.

use crate::courier::carrier::Fate;
use crate::courier::route::{self, Hop, Route};
use crate::settings::{Route as Configured, RouteTls};
use net::dns::Table;
use std::collections::BTreeSet;
use std::net::IpAddr;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

async fn hops(dns: &Table, domain: &str, chance: u64) -> Result<Vec<Hop>, Fate> {
    let ours = |host: &str| host == "mail.crepes.test";
    route::by_dns(dns, domain, &ours, chance).await
}

/// The hosts for far.test, in order.
async fn hosts(dns: &Table) -> Vec<String> {
    hops(dns, "far.test", 7).await.expect("hosts").into_iter().map(|hop| hop.host).collect()
}

/// Why there are none: whether for ever, and the code.
async fn refusal(dns: &Table) -> (bool, String) {
    match hops(dns, "far.test", 7).await.expect_err("no hosts") {
        Fate::Failed(reason) => (true, reason.status.to_string()),
        Fate::Deferred(reason) => (false, reason.status.to_string()),
        Fate::Delivered { .. } => panic!("nothing was sent"),
    }
}

fn known(dns: Table, hosts: &[&str]) -> Table {
    hosts.iter().fold(dns, |dns, host| dns.address(host, ip("192.0.2.1")))
}

#[tokio::test]
async fn exchangers_come_by_preference() {
    let dns = Table::new().mx("far.test", 30, "c.test").mx("far.test", 10, "a.test").mx("far.test", 20, "b.test");
    assert_eq!(hosts(&known(dns, &["a.test", "b.test", "c.test"])).await, ["a.test", "b.test", "c.test"]);
}

#[tokio::test]
async fn equals_share_the_load_and_never_change_places_with_others() {
    let dns = Table::new().mx("far.test", 20, "late.test");
    let dns = ["a.test", "b.test", "c.test"].into_iter().fold(dns, |dns, host| dns.mx("far.test", 10, host));
    let dns = known(dns, &["a.test", "b.test", "c.test", "late.test"]);
    let mut orders = BTreeSet::new();
    for chance in 0..200_u64 {
        let chance = chance.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let hosts: Vec<String> =
            hops(&dns, "far.test", chance).await.expect("hosts").into_iter().map(|hop| hop.host).collect();
        assert_eq!(hosts.last().map(String::as_str), Some("late.test"));
        orders.insert(hosts);
    }
    assert_eq!(orders.len(), 6, "every order of three comes up");
}

#[tokio::test]
async fn a_domain_without_exchangers_is_its_own() {
    assert_eq!(hosts(&known(Table::new(), &["far.test"])).await, ["far.test"]);
    // An alias is followed, also one for the whole domain (RFC 5321 §5.1).
    let dns = Table::new().alias("far.test", "other.test").mx("other.test", 10, "mx.other.test");
    assert_eq!(hosts(&known(dns, &["mx.other.test"])).await, ["mx.other.test"]);
}

#[tokio::test]
async fn null_mx_takes_no_mail() {
    let dns = known(Table::new().mx("far.test", 0, "."), &["far.test"]);
    assert_eq!(refusal(&dns).await, (true, "5.1.10".into()));
}

#[tokio::test]
async fn exchangers_that_cannot_be_used_are_no_reason_to_go_to_the_domain_itself() {
    let dns = known(Table::new().mx("far.test", 10, "nowhere.test"), &["far.test"]);
    assert_eq!(refusal(&dns).await, (true, "5.4.4".into()));
    let dns = Table::new().mx("far.test", 10, "empty.test").empty("empty.test");
    assert_eq!(refusal(&dns).await, (true, "5.4.4".into()));
}

#[tokio::test]
async fn one_exchanger_that_resolves_is_enough() {
    let dns =
        Table::new().mx("far.test", 10, "nowhere.test").mx("far.test", 20, "broken.test").mx("far.test", 30, "c.test");
    assert_eq!(hosts(&known(dns.failing("broken.test", "no answer"), &["c.test"])).await, ["c.test"]);
}

#[tokio::test]
async fn what_cannot_be_looked_up_now_waits() {
    assert_eq!(refusal(&Table::new().failing("far.test", "no answer")).await, (false, "4.4.3".into()));
    for order in [(10, 20), (20, 10)] {
        let dns = Table::new().mx("far.test", order.0, "nowhere.test").mx("far.test", order.1, "broken.test");
        assert_eq!(refusal(&dns.failing("broken.test", "no answer")).await, (false, "4.4.3".into()), "hope outweighs");
    }
}

#[tokio::test]
async fn a_domain_that_does_not_exist_never_will() {
    assert_eq!(refusal(&Table::new()).await, (true, "5.1.2".into()));
    assert_eq!(refusal(&Table::new().empty("far.test")).await, (true, "5.4.4".into()));
}

#[tokio::test]
async fn our_own_name_ends_the_list() {
    let dns = || {
        let dns = Table::new().mx("far.test", 10, "best.test").mx("far.test", 20, "equal.test");
        known(dns.mx("far.test", 30, "worse.test"), &["best.test", "equal.test", "worse.test", "mail.crepes.test"])
    };
    assert_eq!(hosts(&dns().mx("far.test", 20, "mail.crepes.test")).await, ["best.test"]);
    assert_eq!(hosts(&dns().mx("far.test", 30, "Mail.Crepes.TEST")).await, ["best.test", "equal.test"]);
    assert_eq!(refusal(&dns().mx("far.test", 10, "mail.crepes.test")).await, (true, "5.4.6".into()));
}

#[tokio::test]
async fn hosts_and_addresses_are_bounded_and_both_families_have_their_turn() {
    let mut dns = Table::new();
    for host in 0..20 {
        let name = format!("h{host}.test");
        dns = dns.mx("far.test", 10, &name);
        for address in 0..10 {
            dns = dns.address(&name, ip(&format!("2001:db8::{address}")));
        }
        dns = dns.address(&name, ip("192.0.2.1"));
    }
    let hops = hops(&dns, "far.test", 7).await.expect("hosts");
    assert_eq!(hops.len(), 5);
    let first: Vec<String> = hops[0].addresses.iter().map(ToString::to_string).collect();
    assert_eq!(first, ["2001:db8::", "192.0.2.1", "2001:db8::1", "2001:db8::2"]);
}

#[tokio::test]
async fn a_configured_host_is_believed_in() {
    let dns = known(Table::new(), &["smart.test"]);
    assert_eq!(route::by_name(&dns, "smart.test").await.expect("a host")[0].addresses, [ip("192.0.2.1")]);
    assert_eq!(route::by_name(&dns, "127.0.0.1").await.expect("a host")[0].addresses, [ip("127.0.0.1")]);
    let wrong = route::by_name(&dns, "typo.test").await.expect_err("no such host");
    assert!(matches!(&wrong, Fate::Deferred(reason) if reason.status.to_string() == "4.4.4"), "{wrong:?}");
}

fn configured(domains: &[&str]) -> Vec<Configured> {
    let route = |domain: &&str| Configured {
        domain: domain.to_string(),
        host: "smart.test".into(),
        port: 25,
        tls: RouteTls::Opportunistic,
        login: None,
    };
    domains.iter().map(route).collect()
}

#[test]
fn a_route_is_found_by_the_domain_however_it_is_written() {
    let domain = |name: &str| Route::Domain(name.into());
    let cases = [
        ("bob@Far.TEST", domain("far.test")),
        ("\"a@b\"@far.test", domain("far.test")),
        ("bob@bücher.test", domain("xn--bcher-kva.test")),
        ("bob@XN--bcher-kva.test", domain("xn--bcher-kva.test")),
        ("bob@[192.0.2.7]", Route::Literal(ip("192.0.2.7"))),
        ("bob@[IPv6:2001:DB8::7]", Route::Literal(ip("2001:db8::7"))),
        ("bob@[nonsense]", domain("[nonsense]")),
    ];
    for (address, route) in cases {
        assert_eq!(route::of(address, &[]), route, "{address}");
    }
    let routes = configured(&["*", "far.test", "xn--bcher-kva.test"]);
    let of = |address| route::of(address, &routes);
    assert_eq!(of("bob@FAR.test"), Route::Configured("far.test".into()), "the name comes before the star");
    assert_eq!(of("bob@bücher.test"), Route::Configured("xn--bcher-kva.test".into()));
    assert_eq!(of("bob@sub.far.test"), Route::Configured("*".into()));
    assert_eq!(of("bob@[192.0.2.7]"), Route::Configured("*".into()));
}

#[test]
fn port_465_means_tls_from_the_first_octet() {
    assert!(route::is_tls_implicit(465, RouteTls::Opportunistic) && route::is_tls_implicit(465, RouteTls::Required));
    assert!(!route::is_tls_implicit(465, RouteTls::None) && !route::is_tls_implicit(25, RouteTls::Required));
}

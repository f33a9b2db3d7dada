//! The rules of DNS answers, shown by the table and by hickory over the wire: both must say the same.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::testing::Responder;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn table() -> Table {
    Table::new()
        .mx("example.org", 20, "Backup.example.org.")
        .mx("example.org", 10, "mx.example.org")
        .mx("null.example.org", 0, ".")
        .address("mx.example.org", ip("127.0.0.2"))
        .address("mx.example.org", ip("::1"))
        .address("four.example.org", ip("127.0.0.4"))
        .address("four.example.org", ip("127.0.0.5"))
        .txt("example.org", "v=spf1 -all")
        .txt("_dmarc.example.org", "v=DMARC1; p=none")
        .txt("long.example.org", "x".repeat(3000))
        .alias("alias.example.org", "other.example.org")
        .alias("other.example.org", "mx.example.org")
        .alias("astray.example.org", "nowhere.example.org")
        .alias("circle.example.org", "circle.example.org")
        .ptr(ip("192.0.2.7"), "seven.example.org")
        .ptr(ip("2001:db8::7"), "seven.example.org")
        .empty("empty.example.org")
        .failing("broken.example.org", "the zone is broken")
}

/// Shows a rule by the table, and by hickory asking a responder.
async fn both(rule: impl AsyncFn(&dyn Dns)) {
    rule(&table()).await;
    let responder = Responder::start(table()).await.expect("a free port");
    let resolver = Resolver::asking(&[responder.address()]).expect("a resolver");
    rule(&resolver).await;
}

#[tokio::test]
async fn mx_come_by_preference_in_lower_case() {
    both(async |dns| {
        let mx = |preference, host: &str| Mx { preference, host: host.into() };
        let expected = vec![mx(10, "mx.example.org"), mx(20, "backup.example.org")];
        assert_eq!(dns.mx("Example.ORG.").await, Ok(expected.clone()));
        assert_eq!(dns.mx("example.org").await, Ok(expected));
    })
    .await;
}

#[tokio::test]
async fn null_mx_is_an_empty_host() {
    both(async |dns| {
        assert_eq!(dns.mx("null.example.org").await, Ok(vec![Mx { preference: 0, host: String::new() }]));
    })
    .await;
}

#[tokio::test]
async fn addresses_are_of_both_families() {
    both(async |dns| {
        assert_eq!(dns.addresses("mx.example.org").await, Ok(vec![ip("::1"), ip("127.0.0.2")]));
        let mut four = dns.addresses("four.example.org").await.expect("addresses");
        four.sort();
        assert_eq!(four, [ip("127.0.0.4"), ip("127.0.0.5")]);
    })
    .await;
}

#[tokio::test]
async fn aliases_are_followed() {
    both(async |dns| {
        assert_eq!(dns.addresses("alias.example.org").await, Ok(vec![ip("::1"), ip("127.0.0.2")]));
        assert_eq!(dns.mx("alias.example.org").await, Err(DnsError::NoRecords));
        assert_eq!(dns.addresses("astray.example.org").await, Err(DnsError::NoSuchDomain));
        assert!(dns.addresses("circle.example.org").await.expect_err("a circle").is_temporary());
    })
    .await;
}

#[tokio::test]
async fn texts_of_any_length_come_whole() {
    both(async |dns| {
        assert_eq!(dns.txt("example.org").await, Ok(vec![b"v=spf1 -all".to_vec()]));
        assert_eq!(dns.txt("_dmarc.example.org").await, Ok(vec![b"v=DMARC1; p=none".to_vec()]));
        assert_eq!(dns.txt("long.example.org").await, Ok(vec![vec![b'x'; 3000]]), "does not fit a datagram");
    })
    .await;
}

#[tokio::test]
async fn addresses_have_names() {
    both(async |dns| {
        for address in ["192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7"] {
            assert_eq!(dns.ptr(ip(address)).await, Ok(vec!["seven.example.org".to_string()]), "{address}");
        }
        assert_eq!(dns.ptr(ip("192.0.2.8")).await, Err(DnsError::NoSuchDomain));
    })
    .await;
}

#[tokio::test]
async fn each_no_is_of_its_kind() {
    both(async |dns| {
        assert_eq!(dns.mx("nowhere.example.org").await, Err(DnsError::NoSuchDomain));
        assert_eq!(dns.addresses("nowhere.example.org").await, Err(DnsError::NoSuchDomain));
        assert_eq!(dns.mx("empty.example.org").await, Err(DnsError::NoRecords));
        assert_eq!(dns.addresses("empty.example.org").await, Err(DnsError::NoRecords));
        assert_eq!(dns.txt("org").await, Err(DnsError::NoRecords), "a name above others exists");
        assert!(dns.mx("broken.example.org").await.expect_err("broken").is_temporary());
        assert!(dns.addresses("broken.example.org").await.expect_err("broken").is_temporary());
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_a_name_does_not_exist() {
    both(async |dns| {
        let long = "x".repeat(64) + ".example.org";
        for name in [&long[..], "a..example.org", "two words.example.org"] {
            assert_eq!(dns.addresses(name).await, Err(DnsError::NoSuchDomain), "{name}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_resolver_needs_servers() {
    assert!(matches!(Resolver::asking(&[]), Err(ResolverError::NoServers)));
}

proptest! {
    #[test]
    fn doubt_outweighs_certainty(six in outcomes(), four in outcomes()) {
        let both = both_families(six.clone(), four.clone());
        match both {
            Ok(found) => prop_assert_eq!(found, [six.unwrap_or_default(), four.unwrap_or_default()].concat()),
            Err(DnsError::NoSuchDomain) => prop_assert!(six == four),
            Err(DnsError::NoRecords) => prop_assert!([six, four].iter().all(|one| one.as_ref().is_err_and(|no| !no.is_temporary()))),
            Err(DnsError::Temporary(_)) => prop_assert!(six.is_err() && four.is_err()),
        }
    }
}

fn outcomes() -> impl Strategy<Value = Result<Vec<IpAddr>, DnsError>> {
    prop_oneof![
        Just(Ok(vec![ip("::1")])),
        Just(Err(DnsError::NoSuchDomain)),
        Just(Err(DnsError::NoRecords)),
        Just(Err(DnsError::Temporary("busy".into()))),
    ]
}

//! Where mail for an address goes: to a host that the configuration names, or where DNS says.
//!
//! RFC 5321 §5.1 (MX, implicit MX, own and worse exchangers), RFC 7505 §3 (null MX), RFC 3463 §3 (codes).
//!
//! Not here: DNS itself (net), connections ([`super::remote`]).

use super::carrier::{Fate, Reason};
use crate::settings::{Route as Configured, RouteTls};
use message::report::{Status, Step};
use net::dns::{Dns, DnsError, Mx};
use std::net::IpAddr;

/// The port on which TLS comes first (RFC 8314 §3.3).
const SUBMISSIONS_PORT: u16 = 465;
/// Hosts tried for one attempt; RFC 5321 §5.1 wants two at least.
const HOSTS_MAX: usize = 5;
/// Addresses tried of one host.
const ADDRESSES_MAX: usize = 4;

/// The next hop of a recipient.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Route {
    /// Where DNS says for this domain.
    Domain(String),
    /// Where the configured route for this domain (or `*`) leads, whatever DNS says.
    Configured(String),
    /// An address literal.
    Literal(IpAddr),
}

/// One way to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// The host's name, as certificates have it.
    pub host: String,
    /// Its addresses, in the order to try.
    pub addresses: Vec<IpAddr>,
}

/// The route of an address.
pub fn of(address: &str, configured: &[Configured]) -> Route {
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    let domain = directory::address::canonical_domain(domain).map_or_else(|_| domain.to_string(), |d| d.to_string());
    if let Some(route) = [domain.as_str(), "*"].into_iter().find_map(|of| configured_for(of, configured)) {
        return Route::Configured(route.domain.clone());
    }
    match literal(&domain) {
        Some(address) => Route::Literal(address),
        None => Route::Domain(domain),
    }
}

/// The configured route for this domain, or for `*`.
pub fn configured_for<'a>(domain: &str, configured: &'a [Configured]) -> Option<&'a Configured> {
    configured.iter().find(|route| route.domain.eq_ignore_ascii_case(domain))
}

/// `[192.0.2.1]`, `[IPv6:2001:db8::1]`.
fn literal(domain: &str) -> Option<IpAddr> {
    let inside = domain.strip_prefix('[')?.strip_suffix(']')?;
    match inside.get(..5).filter(|tag| tag.eq_ignore_ascii_case("IPv6:")) {
        Some(_) => inside[5..].parse().ok().map(IpAddr::V6),
        None => inside.parse().ok().map(IpAddr::V4),
    }
}

/// Whether TLS comes before the first word on this port.
pub fn is_tls_implicit(port: u16, tls: RouteTls) -> bool {
    port == SUBMISSIONS_PORT && tls != RouteTls::None
}

/// The hosts to try for a domain, best first.
///
/// # Errors
/// The fate of mail for this domain when there are none.
pub async fn by_dns(
    dns: &dyn Dns,
    domain: &str,
    ours: &(dyn Fn(&str) -> bool + Sync),
    chance: u64,
) -> Result<Vec<Hop>, Fate> {
    let hosts = match dns.mx(domain).await {
        Ok(records) => exchangers(records, domain, ours, chance)?,
        // RFC 5321 §5.1: no MX at all means the domain itself; an MX that is unusable does not.
        Err(DnsError::NoRecords) => vec![domain.to_string()],
        Err(DnsError::NoSuchDomain) => return Err(failed((5, 1, 2), format!("the domain {domain} does not exist"))),
        Err(DnsError::Temporary(why)) => return Err(not_now(domain, &why)),
    };
    hops(dns, hosts).await
}

/// One host by its name or address.
///
/// # Errors
/// The fate of mail that goes there when it cannot be found.
pub async fn by_name(dns: &dyn Dns, host: &str) -> Result<Vec<Hop>, Fate> {
    match host.parse() {
        Ok(address) => Ok(vec![Hop { host: host.to_string(), addresses: vec![address] }]),
        // Whoever configured it believes in it: a name that does not resolve is a mistake to be mended, not a verdict.
        Err(_) => hops(dns, vec![host.to_string()]).await.map_err(|fate| match fate {
            Fate::Failed(reason) => Fate::Deferred(Reason { status: Status::new(4, 4, 4), ..reason }),
            fate => fate,
        }),
    }
}

fn exchangers(
    mut records: Vec<Mx>,
    domain: &str,
    ours: &(dyn Fn(&str) -> bool + Sync),
    chance: u64,
) -> Result<Vec<String>, Fate> {
    if matches!(&records[..], [Mx { host, .. }] if host.is_empty()) {
        return Err(failed((5, 1, 10), format!("{domain} says that it takes no mail (null MX)")));
    }
    if let Some(own) = records.iter().filter(|mx| ours(&mx.host)).map(|mx| mx.preference).min() {
        records.retain(|mx| mx.preference < own);
        if records.is_empty() {
            return Err(failed(
                (5, 4, 6),
                format!("the best exchanger of {domain} is this host, which does not take its mail"),
            ));
        }
    }
    // Equals share the load: their order is by chance (RFC 5321 §5.1).
    records.sort_by_key(|mx| (mx.preference, shuffled(&mx.host, chance)));
    Ok(records.into_iter().map(|mx| mx.host).filter(|host| !host.is_empty()).take(HOSTS_MAX).collect())
}

fn shuffled(host: &str, chance: u64) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    host.bytes().fold(chance ^ 0xcbf2_9ce4_8422_2325, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(PRIME))
}

async fn hops(dns: &dyn Dns, hosts: Vec<String>) -> Result<Vec<Hop>, Fate> {
    let mut hops = Vec::new();
    let mut trouble = None;
    for host in hosts {
        match dns.addresses(&host).await {
            Ok(addresses) => hops.push(Hop { addresses: in_turns(&addresses), host }),
            Err(error) => trouble = Some(hopeful(trouble, unresolved(&host, &error))),
        }
    }
    match trouble {
        Some(fate) if hops.is_empty() => Err(fate),
        _ if hops.is_empty() => Err(failed((5, 4, 4), "there is no host to send to".into())),
        _ => Ok(hops),
    }
}

/// Of two fates of the same mail, the one that leaves more hope; of equals, the later one.
pub fn hopeful(one: Option<Fate>, other: Fate) -> Fate {
    match (one, other) {
        (Some(hope @ Fate::Deferred(_)), Fate::Failed(_)) => hope,
        (_, other) => other,
    }
}

/// Families by turns, so that a machine without IPv6 does not try IPv6 alone.
fn in_turns(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let (v6, v4): (Vec<IpAddr>, Vec<IpAddr>) = addresses.iter().partition(|address| address.is_ipv6());
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    let pairs = std::iter::from_fn(|| match (v6.next(), v4.next()) {
        (None, None) => None,
        pair => Some([pair.0, pair.1]),
    });
    pairs.flatten().flatten().take(ADDRESSES_MAX).collect()
}

fn unresolved(host: &str, error: &DnsError) -> Fate {
    match error {
        DnsError::NoSuchDomain => failed((5, 4, 4), format!("the host {host} does not exist")),
        DnsError::NoRecords => failed((5, 4, 4), format!("the host {host} has no address")),
        DnsError::Temporary(why) => not_now(host, why),
    }
}

fn not_now(name: &str, why: &str) -> Fate {
    let text = format!("{name} cannot be looked up now: {why}");
    Fate::Deferred(Reason::found((4, 4, 3), Step::FindingServer, text))
}

fn failed(status: (u8, u16, u16), text: String) -> Fate {
    Fate::Failed(Reason::found(status, Step::FindingServer, text))
}

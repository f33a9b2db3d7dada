//! The address that PASV shows: the one that the client can dial.
//!
//! RFC 959 §4.1.2; RFC 1918 and RFC 6598 (addresses that nobody can dial from elsewhere).
//!
//! ```text
//! the client is near ──────────────────────→ what it has dialled
//! it is not ─ configured ──────────────────→ that
//!           └ what it has dialled is public → that
//!                              is private ──→ what our own name leads to, and if that is of no use, what it has dialled
//! ```
//!
//! Invariants: our own name is looked up seldom and not waited for long, however many clients ask.
//! Not here: EPSV, which shows no address and needs none.

use net::Dns;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long an answer of DNS is believed, or the want of one.
const BELIEVED: Duration = Duration::from_secs(300);

/// How long it is waited for: a client waits meanwhile, and the worst that can happen is what it would get without.
const LOOK_UP_LIMIT: Duration = Duration::from_secs(2);

/// Where our own name leads to.
pub struct OwnName {
    dns: Arc<dyn Dns>,
    name: String,
    known: Mutex<Option<(Option<Ipv4Addr>, Instant)>>,
}

impl OwnName {
    /// Nothing is looked up yet.
    pub fn new(dns: Arc<dyn Dns>, name: String) -> Self {
        OwnName { dns, name, known: Mutex::default() }
    }

    /// The one public IPv4 address that it leads to.
    async fn address(&self) -> Option<Ipv4Addr> {
        let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((address, until)) = known
            && Instant::now() < until
        {
            return address;
        }
        let found = tokio::time::timeout(LOOK_UP_LIMIT, self.dns.addresses(&self.name)).await;
        let found = found.ok().and_then(Result::ok).unwrap_or_default();
        let mut public = found.into_iter().filter_map(|address| match address {
            IpAddr::V4(address) if !is_hidden(address) => Some(address),
            _ => None,
        });
        // Of two nobody knows which one leads here.
        let address = public.next().filter(|_| public.next().is_none());
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((address, Instant::now() + BELIEVED));
        address
    }
}

/// What PASV shows to a client at `peer` that has dialled `dialled`.
pub(super) async fn address(configured: Option<Ipv4Addr>, dialled: IpAddr, peer: IpAddr, own: &OwnName) -> IpAddr {
    match (configured, dialled.to_canonical()) {
        _ if is_near(peer) => dialled,
        (Some(public), _) => public.into(),
        (None, IpAddr::V4(private)) if is_hidden(private) => own.address().await.map_or(dialled, IpAddr::V4),
        _ => dialled,
    }
}

/// Whether an address is of this machine or of a network without a public address (RFC 1918, RFC 4193).
fn is_near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
    }
}

/// Whether nobody can dial it from elsewhere.
fn is_hidden(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    // RFC 6598 §7: between a provider's routers and its customers'.
    let is_shared = first == 100 && (64..128).contains(&second);
    is_near(address.into()) || is_shared || address.is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;
    use net::Table;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    async fn shown(configured: Option<&str>, dialled: &str, peer: &str, led_to: &[&str]) -> IpAddr {
        let table = led_to.iter().fold(Table::new(), |table, to| table.address("mail.example.org", ip(to)));
        let own = OwnName::new(Arc::new(table), "mail.example.org".into());
        let configured = configured.map(|address| address.parse().expect("an address"));
        address(configured, ip(dialled), ip(peer), &own).await
    }

    #[tokio::test]
    async fn who_is_near_gets_what_it_has_dialled() {
        for peer in ["127.0.0.1", "10.0.0.9", "192.168.1.9"] {
            assert_eq!(shown(Some("203.0.113.5"), "10.0.0.5", peer, &["203.0.113.5"]).await, ip("10.0.0.5"));
        }
    }

    #[tokio::test]
    async fn who_is_not_gets_what_can_be_dialled() {
        let far = "198.51.100.7";
        assert_eq!(shown(Some("203.0.113.5"), "10.0.0.5", far, &[]).await, ip("203.0.113.5"));
        assert_eq!(shown(None, "203.0.113.8", far, &["203.0.113.5"]).await, ip("203.0.113.8"), "it works already");
        for private in ["10.0.0.5", "172.17.0.2", "100.64.3.4"] {
            assert_eq!(shown(None, private, far, &["2001:db8::1", "203.0.113.5"]).await, ip("203.0.113.5"));
        }
    }

    #[tokio::test]
    async fn a_name_that_does_not_help_changes_nothing() {
        for led_to in [&[][..], &["10.0.0.5"], &["203.0.113.5", "203.0.113.6"], &["2001:db8::1"]] {
            assert_eq!(shown(None, "10.0.0.5", "198.51.100.7", led_to).await, ip("10.0.0.5"));
        }
    }
}

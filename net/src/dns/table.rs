//! A DNS that says what it was told: for tests, and for machines that must not ask anybody.
//!
//! Invariants: the same answers as a real one would give, down to the kind of "no".
//! Not here: answering over the network (testing).

use std::collections::BTreeMap;
use std::future::ready;
use std::net::IpAddr;

use super::{Dns, DnsError, Lookup, Mx, both_families, plain};

/// How many aliases in a row are followed; resolvers commonly stop at 8 to 16.
const ALIASES_MAX: usize = 8;

/// Names and what is there. Built by chaining:
/// `Table::new().mx("example.org", 10, "mx.example.org").address("mx.example.org", ip)`.
#[derive(Debug, Clone, Default)]
pub struct Table {
    names: BTreeMap<String, Records>,
}

/// What is at one name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Records {
    pub(crate) mx: Vec<Mx>,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) txt: Vec<Vec<u8>>,
    pub(crate) ptr: Vec<String>,
    pub(crate) alias: Option<String>,
    /// Nobody can say what is here, for this reason.
    pub(crate) failing: Option<String>,
}

impl Table {
    /// Knows nothing: everything is `NoSuchDomain`.
    pub fn new() -> Self {
        Self::default()
    }

    /// `host` takes mail for `domain`. An empty host, or `.`, is null MX.
    pub fn mx(self, domain: &str, preference: u16, host: &str) -> Self {
        self.with(domain, |records| records.mx.push(Mx { preference, host: plain(host) }))
    }

    /// `host` has `address`.
    pub fn address(self, host: &str, address: IpAddr) -> Self {
        self.with(host, |records| records.addresses.push(address))
    }

    /// There is a text at `name`.
    pub fn txt(self, name: &str, text: impl Into<Vec<u8>>) -> Self {
        self.with(name, |records| records.txt.push(text.into()))
    }

    /// `address` is called `name`.
    pub fn ptr(self, address: IpAddr, name: &str) -> Self {
        self.with(&reverse(address), |records| records.ptr.push(plain(name)))
    }

    /// `name` is another name for `target`.
    pub fn alias(self, name: &str, target: &str) -> Self {
        self.with(name, |records| records.alias = Some(plain(target)))
    }

    /// `name` exists, and has nothing else than what is said beside.
    pub fn empty(self, name: &str) -> Self {
        self.with(name, |_| {})
    }

    /// Whatever is asked about `name` fails for now.
    pub fn failing(self, name: &str, reason: &str) -> Self {
        self.with(name, |records| records.failing = Some(reason.into()))
    }

    fn with(mut self, name: &str, change: impl FnOnce(&mut Records)) -> Self {
        change(self.names.entry(plain(name)).or_default());
        self
    }

    /// What is at `name` itself; a name above others exists even if nothing is there (RFC 8020).
    pub(crate) fn at(&self, name: &str) -> Option<Records> {
        let name = plain(name);
        let below = format!(".{name}");
        match self.names.get(&name) {
            Some(records) => Some(records.clone()),
            None if self.names.keys().any(|known| known.ends_with(&below)) => Some(Records::default()),
            None => None,
        }
    }

    fn look<T>(&self, name: &str, pick: impl Fn(Records) -> Vec<T>) -> Result<Vec<T>, DnsError> {
        let mut name = plain(name);
        for _ in 0..=ALIASES_MAX {
            let records = self.at(&name).ok_or(DnsError::NoSuchDomain)?;
            match records {
                Records { failing: Some(reason), .. } => return Err(DnsError::Temporary(reason)),
                Records { alias: Some(target), .. } => name = target,
                records => {
                    let found = pick(records);
                    return if found.is_empty() { Err(DnsError::NoRecords) } else { Ok(found) };
                }
            }
        }
        Err(DnsError::Temporary(format!("more than {ALIASES_MAX} aliases in a row")))
    }

    fn family(&self, host: &str, of: fn(&IpAddr) -> bool) -> Result<Vec<IpAddr>, DnsError> {
        self.look(host, |records| records.addresses.into_iter().filter(of).collect())
    }
}

/// The name under which names of an address are kept (RFC 1035 §3.5, RFC 3596 §2.5).
pub(crate) fn reverse(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let nibbles = v6.octets().into_iter().rev().map(|octet| format!("{:x}.{:x}.", octet & 15, octet >> 4));
            nibbles.collect::<String>() + "ip6.arpa"
        }
    }
}

impl Dns for Table {
    fn mx<'a>(&'a self, domain: &'a str) -> Lookup<'a, Mx> {
        let mut found = self.look(domain, |records| records.mx);
        if let Ok(hosts) = &mut found {
            hosts.sort_by_key(|mx| mx.preference);
        }
        Box::pin(ready(found))
    }

    fn addresses<'a>(&'a self, host: &'a str) -> Lookup<'a, IpAddr> {
        let found = both_families(self.family(host, IpAddr::is_ipv6), self.family(host, IpAddr::is_ipv4));
        Box::pin(ready(found))
    }

    fn txt<'a>(&'a self, name: &'a str) -> Lookup<'a, Vec<u8>> {
        Box::pin(ready(self.look(name, |records| records.txt)))
    }

    fn ptr(&self, address: IpAddr) -> Lookup<'_, String> {
        Box::pin(ready(self.look(&reverse(address), |records| records.ptr)))
    }
}

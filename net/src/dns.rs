//! Finding where names lead: a small trait, a table for tests, hickory in production.
//!
//! RFC 1035 (DNS), RFC 5321 §5.1 (what mail asks), RFC 2308 (negative answers), RFC 7505 (null MX).
//!
//! Invariants: "there is no such thing" and "I could not find out" are never taken for each other: the one bounces
//! mail, the other makes it wait.
//! Not here: which host is tried first, null MX, implicit MX (courier); DNSSEC (later).

mod resolver;
mod table;

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

pub use resolver::{Resolver, ResolverError};
pub use table::Table;

/// A host that takes mail for a domain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mx {
    /// Lower is tried first.
    pub preference: u16,
    /// Its name, in ASCII and lower case, without the root's dot. Empty for null MX (RFC 7505 §3).
    pub host: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// The name does not exist (NXDOMAIN), or cannot be one.
    #[error("no such domain")]
    NoSuchDomain,
    /// The name exists, and has no records of the kind that was asked for.
    #[error("no such records")]
    NoRecords,
    /// Nobody could say (SERVFAIL, time-out, network). Ask again later.
    #[error("DNS did not answer: {0}")]
    Temporary(String),
}

impl DnsError {
    /// Whether asking again later may help.
    pub fn is_temporary(&self) -> bool {
        matches!(self, DnsError::Temporary(_))
    }
}

/// An answer on its way: at least one record, or why there is none.
pub type Lookup<'a, T> = Pin<Box<dyn Future<Output = Result<Vec<T>, DnsError>> + Send + 'a>>;

/// What we ask the DNS. Names come in ASCII (A-labels), with or without the root's dot; aliases (CNAME) are followed.
pub trait Dns: Send + Sync {
    /// Hosts that take mail for `domain`, by preference.
    fn mx<'a>(&'a self, domain: &'a str) -> Lookup<'a, Mx>;

    /// Addresses of `host`: IPv6 and IPv4, each in the order of the answer, IPv6 first.
    fn addresses<'a>(&'a self, host: &'a str) -> Lookup<'a, IpAddr>;

    /// Texts at `name`, the strings of each record joined.
    fn txt<'a>(&'a self, name: &'a str) -> Lookup<'a, Vec<u8>>;

    /// Names of `address`.
    fn ptr(&self, address: IpAddr) -> Lookup<'_, String>;
}

/// How names are compared and given out: lower case, without the root's dot.
fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Answers of both families as one. What was found counts; where nothing was, doubt outweighs certainty.
fn both_families(
    v6: Result<Vec<IpAddr>, DnsError>,
    v4: Result<Vec<IpAddr>, DnsError>,
) -> Result<Vec<IpAddr>, DnsError> {
    match (v6, v4) {
        (Ok(v6), Ok(v4)) => Ok([v6, v4].concat()),
        (Ok(found), Err(_)) | (Err(_), Ok(found)) => Ok(found),
        (Err(doubt @ DnsError::Temporary(_)), Err(_)) | (Err(_), Err(doubt @ DnsError::Temporary(_))) => Err(doubt),
        (Err(DnsError::NoSuchDomain), Err(DnsError::NoSuchDomain)) => Err(DnsError::NoSuchDomain),
        (Err(_), Err(_)) => Err(DnsError::NoRecords),
    }
}

#[cfg(test)]
mod tests;

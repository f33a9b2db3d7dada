//! The real DNS, through hickory.
//!
//! RFC 1035, RFC 6891 (EDNS), RFC 7766 (TCP).
//!
//! Invariants: a question ends within [`LOOKUP_LIMIT`]; names are absolute, search domains never apply to mail.
//! Not here: DNSSEC (later), the meaning of answers (courier).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError as HickoryDnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use super::table::reverse;
use super::{Dns, DnsError, Lookup, Mx, both_families, plain};

/// One question to one server. The stub resolvers of most systems wait as long.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(5);

/// Further tries after the first. A datagram may get lost; two in a row mean trouble.
const RETRIES: usize = 2;

/// One of our questions, with all its tries, servers and aliases.
pub const LOOKUP_LIMIT: Duration = Duration::from_secs(30);

/// Answers that are kept as long as their TTL says. Some 300 octets each.
const CACHE_SIZE: u64 = 4096;

/// Questions that may be open on one connection to a server; above it they fail as temporary.
const OPEN_QUESTIONS_MAX: usize = 1024;

/// Why there is no resolver.
#[derive(Debug, thiserror::Error)]
pub enum ResolverError {
    /// `/etc/resolv.conf` cannot be read.
    #[error("cannot learn this system's DNS servers from /etc/resolv.conf: {0}; name some in the configuration")]
    System(String),
    /// No server at all.
    #[error("no DNS server is configured")]
    NoServers,
    /// hickory does not start.
    #[error("cannot start the DNS resolver: {0}")]
    Failed(String),
}

/// Asks DNS servers, and remembers what they said.
#[derive(Clone)]
pub struct Resolver {
    hickory: TokioResolver,
}

impl Resolver {
    /// Asks the servers of `/etc/resolv.conf`, after `/etc/hosts`. To be called within a tokio runtime.
    ///
    /// # Errors
    /// [`ResolverError`].
    pub fn system() -> Result<Self, ResolverError> {
        let mut builder = TokioResolver::builder_tokio().map_err(|error| ResolverError::System(error.to_string()))?;
        tune(builder.options_mut());
        let hickory = builder.build().map_err(|error| ResolverError::Failed(error.to_string()))?;
        Ok(Resolver { hickory })
    }

    /// Asks these servers, by UDP and TCP. To be called within a tokio runtime.
    ///
    /// # Errors
    /// [`ResolverError`].
    pub fn asking(servers: &[SocketAddr]) -> Result<Self, ResolverError> {
        if servers.is_empty() {
            return Err(ResolverError::NoServers);
        }
        let servers = servers.iter().map(|server| {
            let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
            (udp.port, tcp.port) = (server.port(), server.port());
            NameServerConfig::new(server.ip(), true, vec![udp, tcp])
        });
        let config = ResolverConfig::from_name_servers(servers.collect());
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        tune(builder.options_mut());
        builder.options_mut().use_hosts_file = ResolveHosts::Never;
        let hickory = builder.build().map_err(|error| ResolverError::Failed(error.to_string()))?;
        Ok(Resolver { hickory })
    }

    /// Records of one kind; `pick` takes what is of use out of each.
    async fn look<T>(&self, name: &str, kind: RecordType, pick: fn(&RData) -> Option<T>) -> Result<Vec<T>, DnsError> {
        let name = absolute(name)?;
        let Ok(answer) = tokio::time::timeout(LOOKUP_LIMIT, self.hickory.lookup(name, kind)).await else {
            return Err(DnsError::Temporary(format!("no answer within {} s", LOOKUP_LIMIT.as_secs())));
        };
        let answer = answer.map_err(translate)?;
        let found: Vec<T> = answer.answers().iter().filter_map(|record| pick(&record.data)).collect();
        if found.is_empty() { Err(DnsError::NoRecords) } else { Ok(found) }
    }
}

fn tune(options: &mut ResolverOpts) {
    options.timeout = ATTEMPT_LIMIT;
    options.attempts = RETRIES;
    options.cache_size = CACHE_SIZE;
    options.max_active_requests = OPEN_QUESTIONS_MAX;
    options.edns0 = true;
    options.try_tcp_on_error = true;
}

/// What cannot be a name does not exist.
fn absolute(name: &str) -> Result<Name, DnsError> {
    let mut name = Name::from_ascii(name).map_err(|_| DnsError::NoSuchDomain)?;
    name.set_fqdn(true);
    Ok(name)
}

fn translate(error: NetError) -> DnsError {
    match error {
        NetError::Dns(HickoryDnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => DnsError::NoSuchDomain,
            ResponseCode::NoError => DnsError::NoRecords,
            code => DnsError::Temporary(code.to_string()),
        },
        other => DnsError::Temporary(other.to_string()),
    }
}

fn host(name: &Name) -> String {
    plain(&name.to_ascii())
}

impl Dns for Resolver {
    fn mx<'a>(&'a self, domain: &'a str) -> Lookup<'a, Mx> {
        Box::pin(async move {
            let found = self.look(domain, RecordType::MX, |data| match data {
                RData::MX(mx) => Some(Mx { preference: mx.preference, host: host(&mx.exchange) }),
                _ => None,
            });
            let mut found = found.await?;
            found.sort_by_key(|mx| mx.preference);
            Ok(found)
        })
    }

    fn addresses<'a>(&'a self, host: &'a str) -> Lookup<'a, IpAddr> {
        Box::pin(async move {
            let (v6, v4) = tokio::join!(
                self.look(host, RecordType::AAAA, |data| match data {
                    RData::AAAA(v6) => Some(IpAddr::V6(v6.0)),
                    _ => None,
                }),
                self.look(host, RecordType::A, |data| match data {
                    RData::A(v4) => Some(IpAddr::V4(v4.0)),
                    _ => None,
                }),
            );
            both_families(v6, v4)
        })
    }

    fn txt<'a>(&'a self, name: &'a str) -> Lookup<'a, Vec<u8>> {
        Box::pin(self.look(name, RecordType::TXT, |data| match data {
            RData::TXT(txt) => Some(txt.txt_data.concat()),
            _ => None,
        }))
    }

    fn ptr(&self, address: IpAddr) -> Lookup<'_, String> {
        Box::pin(async move {
            self.look(&reverse(address), RecordType::PTR, |data| match data {
                RData::PTR(name) => Some(host(&name.0)),
                _ => None,
            })
            .await
        })
    }
}

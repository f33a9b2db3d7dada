//! Carrying mail to other servers: find the host, connect, and let the client's side of SMTP speak.
//!
//! RFC 5321 §5.1 (hosts in their order, several addresses), RFC 3207 §4.1 and RFC 7435 §3 (opportunistic TLS),
//! RFC 7504 §4 (521 is final).
//!
//! Invariants: TLS that fails where it is not required is tried once more without; what is required is never skipped;
//! a closing house opens no connections.
//! Not here: the dialogue and its timeouts (smtp), its answers (the desk beside this file), what follows from a fate
//! ([`super::ledger`]).

use super::carrier::{Carrier, Fate, Lane, Reason, Settle, Stopped};
use super::desk::{Desk, How, Missed};
use super::route::{self, Hop, Route};
use crate::house::{House, chance};
use crate::settings::{RouteTls, Settings};
use crate::tapping::Tapping;
use message::report::Step;
use net::dns::Dns;
use net::{Begin, Pace, Security, Setup};
use smtp::client::{Client, Tls};
use smtp::command::HelloName;
use std::collections::VecDeque;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tracing::debug;

/// RFC 5321 §4.5.3.2 names no wait for a connection; the system's own would be two minutes.
const CONNECT_WAIT: Duration = Duration::from_secs(30);

/// Carries by SMTP.
pub struct Remote {
    house: Arc<House>,
    dns: Arc<dyn Dns>,
    /// Encrypts with whoever answers.
    opportunistic: net::ClientTls,
    /// Insists on a certificate for the host.
    verifying: Option<net::ClientTls>,
    tapping: Tapping,
    leaving: watch::Receiver<bool>,
}

/// How the hosts of a route are spoken to.
struct Way {
    hops: Vec<Hop>,
    port: u16,
    tls: RouteTls,
    login: Option<(String, line::Secret)>,
}

/// One address to try.
struct Attempt<'a> {
    host: &'a str,
    address: SocketAddr,
    way: &'a Way,
}

impl Remote {
    /// A carrier that finds its way by `dns`.
    pub fn new(
        house: Arc<House>,
        dns: Arc<dyn Dns>,
        opportunistic: net::ClientTls,
        verifying: Option<net::ClientTls>,
        tapping: Tapping,
        leaving: watch::Receiver<bool>,
    ) -> Self {
        Remote { house, dns, opportunistic, verifying, tapping, leaving }
    }

    /// The hosts of a route, and what the configuration says of it.
    async fn way(&self, route: &Route, settings: &Settings) -> Result<Way, Fate> {
        let by_mx = |hops| Way { hops, port: settings.queue.port, tls: RouteTls::Opportunistic, login: None };
        match route {
            Route::Domain(domain) => {
                let ours = |host: &str| host.eq_ignore_ascii_case(&settings.host_name);
                let chance = u64::from_le_bytes(chance());
                route::by_dns(&*self.dns, domain, &ours, chance).await.map(by_mx)
            }
            Route::Literal(address) => Ok(by_mx(vec![Hop { host: address.to_string(), addresses: vec![*address] }])),
            Route::Configured(of) => {
                let gone = || {
                    Fate::Deferred(Reason::found((4, 4, 4), Step::FindingServer, "its route is no longer configured"))
                };
                let route = route::configured_for(of, &settings.routes).ok_or_else(gone)?;
                let hops = route::by_name(&*self.dns, &route.host).await?;
                Ok(Way { hops, port: route.port, tls: route.tls, login: route.login.clone() })
            }
        }
    }

    /// One address: with TLS as the route wants it, and without if that fails and may fail.
    async fn attempt<S: Settle>(&self, attempt: &Attempt<'_>, lane: &Lane, settle: &S) -> Result<(), Missed> {
        match self.converse(attempt, attempt.way.tls, lane, settle).await {
            Err(Missed { how: How::Tls, .. }) if attempt.way.tls == RouteTls::Opportunistic => {
                debug!(host = attempt.host, "TLS failed; once more without");
                self.converse(attempt, RouteTls::None, lane, settle).await
            }
            other => other,
        }
    }

    async fn converse<S: Settle>(
        &self,
        attempt: &Attempt<'_>,
        tls: RouteTls,
        lane: &Lane,
        settle: &S,
    ) -> Result<(), Missed> {
        let security = self.security(attempt, tls)?;
        let source = self.house.settings().queue.source_address;
        let source = source.filter(|source| source.is_ipv4() == attempt.address.is_ipv4());
        let unreachable = |error: std::io::Error| {
            let text = format!("{} [{}] cannot be reached: {error}", attempt.host, attempt.address.ip());
            Missed::because(attempt.at(Reason::found((4, 4, 1), Step::Connecting, text)))
        };
        let connected = self.unless_leaving(net::connect(attempt.address, CONNECT_WAIT, source)).await;
        let stream = connected.unwrap_or_else(|| Err(std::io::ErrorKind::Interrupted.into())).map_err(unreachable)?;
        let mut client = Client::new(Arc::new(self.client_settings(attempt, tls)), &chance(), Instant::now());
        let mut desk = Desk::new(&self.house, lane, settle, attempt.host, attempt.address.ip());
        let session = self.house.name_session();
        let setup = Setup {
            security,
            tap: self.tapping.on(session, "smtp", attempt.address.port(), net::tap::Side::Client),
            pace: Pace { write: smtp::client::BLOCK_WAIT, ..Pace::default() },
            ..Setup::new(self.leaving.clone())
        };
        let ended = net::converse(&mut client, &mut desk, stream, &setup).await;
        desk.conclude(&ended.why).await
    }

    fn client_settings(&self, attempt: &Attempt<'_>, tls: RouteTls) -> smtp::client::Settings {
        let mut settings = smtp::client::Settings::new(
            HelloName::parse(self.house.host().as_str()).expect("the name of a host is a name to greet with"),
        );
        settings.tls = match tls {
            RouteTls::Opportunistic => Tls::IfOffered,
            RouteTls::Required => Tls::Required,
            RouteTls::None => Tls::Never,
        };
        settings.login = attempt.way.login.clone().map(|(login, password)| sasl::client::Credentials {
            login,
            password,
            acting_for: None,
        });
        // A password goes out in clear to this machine only.
        settings.clear_login = attempt.address.ip().is_loopback();
        settings
    }

    fn security(&self, attempt: &Attempt<'_>, tls: RouteTls) -> Result<Security, Missed> {
        let begin = if route::is_tls_implicit(attempt.address.port(), tls) { Begin::AtOnce } else { Begin::WhenAsked };
        let ours = match tls {
            RouteTls::None => return Ok(Security::None),
            RouteTls::Opportunistic => self.opportunistic.clone(),
            RouteTls::Required => self.verifying.clone().ok_or_else(|| {
                let text =
                    "this machine knows no certificate authorities, and the route requires a verified certificate";
                Missed::because(Reason::found((4, 7, 5), Step::Securing, text))
            })?,
        };
        Ok(Security::Client { tls: ours, host: attempt.host.to_string(), begin })
    }

    fn is_leaving(&self) -> bool {
        *self.leaving.borrow()
    }

    /// What comes of `work`; nothing, if the house begins to close first.
    async fn unless_leaving<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut leaving = self.leaving.clone();
        let left = async move {
            if leaving.wait_for(|leaving| *leaving).await.is_err() {
                pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = left => None,
            done = work => Some(done),
        }
    }

    /// Tries one address after the other until somebody takes mail.
    async fn try_all<'w, S: Settle>(&self, way: &'w Way, lane: &Lane, settle: &S) -> Result<(), Stopped> {
        let places = |hop: &'w Hop| hop.addresses.iter().map(move |address| (hop, SocketAddr::new(*address, way.port)));
        let mut places: VecDeque<_> = way.hops.iter().flat_map(places).collect();
        let mut last = None;
        while let Some((hop, address)) = places.pop_front() {
            if self.is_leaving() {
                return Err(Stopped::Leaving);
            }
            let Err(missed) = self.attempt(&Attempt { host: &hop.host, address, way }, lane, settle).await else {
                return Ok(());
            };
            debug!(host = hop.host, %address, ?missed, "this way is closed");
            if missed.how == How::Cut && places.is_empty() {
                // Nobody else is there; and what it would not hear now is not spared a second time, so this ends.
                places.push_back((hop, address));
            }
            last = Some(route::hopeful(last, missed.fate));
        }
        let nowhere = || Fate::Deferred(Reason::found((4, 4, 4), Step::FindingServer, "there is no address to try"));
        Err(Stopped::Unreachable(last.unwrap_or_else(nowhere)))
    }
}

impl Carrier for Remote {
    async fn carry<S: Settle>(&self, lane: &Lane, settle: &S) -> Result<(), Stopped> {
        if self.is_leaving() {
            return Err(Stopped::Leaving);
        }
        let settings = self.house.settings();
        let way = self.unless_leaving(self.way(&lane.route, &settings)).await.ok_or(Stopped::Leaving)?;
        let way = way.map_err(Stopped::Unreachable)?;
        let carried = self.try_all(&way, lane, settle).await;
        // What a closing house does not reach is not unreachable.
        if self.is_leaving() { Err(Stopped::Leaving) } else { carried }
    }
}

impl Attempt<'_> {
    /// The reason, with where it happened.
    fn at(&self, reason: Reason) -> Reason {
        Reason { host: Some(self.host.to_string()), address: Some(self.address.ip()), ..reason }
    }
}

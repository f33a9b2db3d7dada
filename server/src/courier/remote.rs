//! Carrying mail to other servers: find the host, connect, and answer what the client's side of SMTP asks.
//!
//! RFC 5321 §5.1 (hosts in their order, several addresses), RFC 3207 §4.1 and RFC 7435 §3 (opportunistic TLS),
//! RFC 7504 §4 (521 is final).
//!
//! Invariants: TLS that fails where it is not required is tried once more without; what is required is never skipped;
//! every package that was taken is settled or put back.
//! Not here: the dialogue and its timeouts (smtp), what follows from a fate ([`super::ledger`]).

use super::carrier::{Carrier, Fate, Lane, Package, Reason, Settle};
use super::route::{self, Hop, Route};
use crate::house::{House, chance};
use crate::settings::{RouteTls, Settings};
use crate::tapping::Tapping;
use message::report::Step;
use net::dns::Dns;
use net::{Begin, Pace, Security, Setup, Why};
use smtp::client::{Answer, Ask, Client, Mail, Outcome, Recipient, Stage, Tls, Trouble};
use smtp::command::HelloName;
use smtp::params::{RcptParams, Ret};
use smtp::path::{ForwardPath, ReversePath};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{MessageReader, RecipientRow};
use tokio::sync::watch;
use tracing::debug;

/// RFC 5321 §4.5.3.2 names no wait for a connection; the system's own would be two minutes.
const CONNECT_WAIT: Duration = Duration::from_secs(30);
/// How much of a message is read at once.
const STRETCH_BYTES: usize = 64 << 10;
/// Mails over one connection before another begins: some servers grow slow or weary.
const MAILS_PER_CONNECTION_MAX: usize = 100;

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

/// How one attempt at one address is made.
struct Attempt<'a> {
    host: &'a str,
    address: SocketAddr,
    tls: RouteTls,
    login: Option<(String, line::Secret)>,
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

    /// The hosts of a route, the port, and what the configuration says of it.
    async fn way(
        &self,
        route: &Route,
        settings: &Settings,
    ) -> Result<(Vec<Hop>, u16, RouteTls, Option<(String, line::Secret)>), Fate> {
        let port = settings.queue.port;
        match route {
            Route::Domain(domain) => {
                let own = settings.host_name.to_ascii_lowercase();
                let ours = move |host: &str| host == own;
                let chance = u64::from_le_bytes(chance());
                Ok((route::by_dns(&*self.dns, domain, &ours, chance).await?, port, RouteTls::Opportunistic, None))
            }
            Route::Literal(address) => {
                let hop = Hop { host: address.to_string(), addresses: vec![*address] };
                Ok((vec![hop], port, RouteTls::Opportunistic, None))
            }
            Route::Host { configured } => {
                let gone =
                    || Fate::Deferred(Reason::found("4.4.4", Step::FindingServer, "its route is no longer configured"));
                let route = settings.routes.get(*configured).ok_or_else(gone)?;
                let hops = route::by_name(&*self.dns, &route.host).await?;
                Ok((hops, route.port, route.tls, route.login.clone()))
            }
        }
    }

    /// One address: with TLS as the route wants it, and without if that fails and may fail.
    async fn attempt<S: Settle>(&self, attempt: Attempt<'_>, lane: &Lane, settle: &S) -> Result<(), Fate> {
        match self.converse(&attempt, attempt.tls, lane, settle).await {
            Err(Missed { is_tls: true, .. }) if attempt.tls == RouteTls::Opportunistic => {
                debug!(host = attempt.host, "TLS failed; once more without");
                self.converse(&attempt, RouteTls::None, lane, settle).await.map_err(|missed| missed.fate)
            }
            other => other.map_err(|missed| missed.fate),
        }
    }

    async fn converse<S: Settle>(
        &self,
        attempt: &Attempt<'_>,
        tls: RouteTls,
        lane: &Lane,
        settle: &S,
    ) -> Result<(), Missed> {
        let settings = self.house.settings();
        let unreachable = |error: std::io::Error| {
            let text = format!("{} [{}] cannot be reached: {error}", attempt.host, attempt.address.ip());
            Missed::because(attempt.at(Reason::found("4.4.1", Step::Connecting, text)))
        };
        let source = settings.queue.source_address.filter(|source| source.is_ipv4() == attempt.address.is_ipv4());
        let stream = net::connect(attempt.address, CONNECT_WAIT, source).await.map_err(unreachable)?;
        let mut client = Client::new(Arc::new(self.client_settings(attempt, tls)), &chance(), Instant::now());
        let session = self.house.name_session();
        let mut desk = Desk {
            house: &self.house,
            lane,
            settle,
            host: attempt.host,
            address: attempt.address.ip(),
            at_hand: None,
            carried: 0,
            broken: None,
        };
        let setup = Setup {
            security: self.security(attempt, tls)?,
            tap: self.tapping.on(session, "smtp", attempt.address.port(), net::tap::Side::Client),
            pace: Pace { write: smtp::client::BLOCK_WAIT, ..Pace::default() },
            leaving: self.leaving.clone(),
        };
        let ended = net::converse(&mut client, &mut desk, stream, setup).await;
        desk.put_back();
        match (desk.carried, desk.broken) {
            (0, Some(trouble)) => Err(attempt.missed(&trouble)),
            (0, None) if !matches!(ended.why, Why::Closed) => Err(attempt.cut(&ended.why)),
            _ => Ok(()),
        }
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
        settings.login = attempt.login.clone().map(|(login, password)| sasl::client::Credentials {
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
                Missed::because(Reason::found("4.7.5", Step::Securing, text))
            })?,
        };
        Ok(Security::Client { tls: ours, host: attempt.host.to_string(), begin })
    }
}

impl Carrier for Remote {
    async fn carry<S: Settle>(&self, lane: &Lane, settle: &S) -> Result<(), Fate> {
        let settings = self.house.settings();
        let (hops, port, tls, login) = self.way(&lane.route, &settings).await?;
        let mut last = None;
        for hop in &hops {
            for address in &hop.addresses {
                let attempt =
                    Attempt { host: &hop.host, address: SocketAddr::new(*address, port), tls, login: login.clone() };
                match self.attempt(attempt, lane, settle).await {
                    Ok(()) => return Ok(()),
                    Err(fate) => {
                        debug!(host = hop.host, %address, ?fate, "this way is closed");
                        // What may pass outweighs what will not: another host may be better tomorrow.
                        if !matches!((&last, &fate), (Some(Fate::Deferred(_)), Fate::Failed(_))) {
                            last = Some(fate);
                        }
                    }
                }
            }
        }
        Err(last.unwrap_or_else(|| {
            Fate::Deferred(Reason::found("4.4.4", Step::FindingServer, "there is no address to try"))
        }))
    }
}

/// An attempt in which no mail was carried.
struct Missed {
    fate: Fate,
    /// Without TLS it might have gone well.
    is_tls: bool,
}

impl Missed {
    fn because(reason: Reason) -> Self {
        Missed { fate: Fate::Deferred(reason), is_tls: false }
    }
}

impl Attempt<'_> {
    /// The reason, with where it happened.
    fn at(&self, reason: Reason) -> Reason {
        Reason { host: Some(self.host.to_string()), address: Some(self.address.ip()), ..reason }
    }

    fn missed(&self, trouble: &Trouble) -> Missed {
        let reason = reason(trouble, self.host, self.address.ip());
        let is_tls = trouble.stage == Stage::StartTls;
        Missed { fate: if trouble.is_permanent() { Fate::Failed(reason) } else { Fate::Deferred(reason) }, is_tls }
    }

    fn cut(&self, why: &Why) -> Missed {
        let (status, step, is_tls) = match why {
            Why::Tls(_) => ("4.7.5", Step::Securing, true),
            _ => ("4.4.2", Step::Greeting, false),
        };
        let text = format!("{} [{}]: {why}", self.host, self.address.ip());
        Missed { fate: Fate::Deferred(self.at(Reason::found(status, step, text))), is_tls }
    }
}

/// Answers the client's side of SMTP from a lane.
struct Desk<'a, S> {
    house: &'a Arc<House>,
    lane: &'a Lane,
    settle: &'a S,
    host: &'a str,
    address: IpAddr,
    at_hand: Option<AtHand>,
    carried: usize,
    broken: Option<Trouble>,
}

/// The mail under way.
struct AtHand {
    package: Package,
    reader: Option<Arc<MessageReader>>,
}

impl<S: Settle> Desk<'_, S> {
    async fn next(&mut self) -> Answer {
        while self.carried < MAILS_PER_CONNECTION_MAX {
            let Some(package) = self.lane.take() else { return Answer::Done };
            self.carried += 1;
            let mail = match mail(&package) {
                Ok(mail) => mail,
                Err(reason) => {
                    let fates =
                        package.recipients.iter().map(|to| (to.recipient, Fate::Failed(reason.clone()))).collect();
                    self.settle.settle(package, fates).await;
                    continue;
                }
            };
            let (store, id) = (self.house.store.clone(), package.mail.mail);
            let reader = tokio::task::spawn_blocking(move || store.queue_reader(id)).await;
            let reader = reader.ok().and_then(Result::ok).map(Arc::new);
            self.at_hand = Some(AtHand { package, reader });
            return Answer::Mail(Box::new(mail));
        }
        Answer::Done
    }

    async fn content(&self, offset: u64) -> Answer {
        let Some(reader) = self.at_hand.as_ref().and_then(|at_hand| at_hand.reader.clone()) else {
            return Answer::Unreadable;
        };
        let left = usize::try_from(reader.size().saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut octets = vec![0; left.min(STRETCH_BYTES)];
        let last = left <= STRETCH_BYTES;
        let read = match reader.read_cached(offset, &mut octets) {
            Some(read) => Ok((read, octets)),
            None => {
                let blocking = tokio::task::spawn_blocking(move || {
                    Ok::<_, std::io::Error>((reader.read(offset, &mut octets)?, octets))
                });
                blocking.await.unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into()))
            }
        };
        match read {
            Ok((read, mut octets)) if read > 0 || last => {
                let last = last && read == octets.len();
                octets.truncate(read);
                Answer::Content { octets, last }
            }
            _ => Answer::Unreadable,
        }
    }

    async fn report(&mut self, outcomes: Vec<Outcome>) {
        let Some(AtHand { package, .. }) = self.at_hand.take() else { return };
        let fate = |outcome: Outcome| match outcome {
            Outcome::Delivered(reply) => Fate::Delivered { host: self.host.to_string(), reply: reply.to_string() },
            Outcome::Deferred(trouble) => Fate::Deferred(reason(&trouble, self.host, self.address)),
            Outcome::Failed(trouble) => Fate::Failed(reason(&trouble, self.host, self.address)),
        };
        let fates = package.recipients.iter().map(|to| to.recipient).zip(outcomes.into_iter().map(fate)).collect();
        self.settle.settle(package, fates).await;
    }

    /// What was taken and not reported, because the conversation was cut from outside, goes back into the lane.
    fn put_back(&mut self) {
        if let Some(AtHand { package, .. }) = self.at_hand.take() {
            self.lane.put_back(package);
        }
    }
}

impl<S: Settle> net::Desk<Client> for Desk<'_, S> {
    async fn answer(&mut self, ask: Ask) -> Answer {
        match ask {
            Ask::Next => return self.next().await,
            Ask::Content { offset } => return self.content(offset).await,
            Ask::Report(outcomes) => self.report(outcomes).await,
            Ask::Broken(trouble) => self.broken = Some(trouble),
        }
        Answer::Noted
    }

    async fn keep(&mut self, _content: &mut Vec<u8>) {}
}

/// The mail as SMTP wants it.
fn mail(package: &Package) -> Result<Mail, Reason> {
    let unwritable =
        |address: &str| Reason::found("5.1.3", Step::Recipient, format!("{address} is not an address of mail"));
    let sender = match package.mail.sender.as_str() {
        "" => ReversePath::Null,
        sender => ReversePath::Mailbox(smtp::path::Mailbox::parse(sender).map_err(|_| unwritable(sender))?),
    };
    let recipient = |to: &RecipientRow| {
        let mailbox = smtp::path::Mailbox::parse(&to.address).map_err(|_| unwritable(&to.address))?;
        Ok(Recipient { path: ForwardPath::Mailbox(mailbox), params: RcptParams::default() })
    };
    Ok(Mail {
        sender,
        recipients: package.recipients.iter().map(recipient).collect::<Result<_, Reason>>()?,
        size: package.mail.size,
        eight_bit: package.mail.eight_bit,
        smtputf8: package.mail.smtputf8,
        ret: package.mail.ret.map(|ret| match ret {
            store::Ret::Full => Ret::Full,
            store::Ret::Headers => Ret::Headers,
        }),
        envid: package.mail.envid.clone(),
    })
}

fn reason(trouble: &Trouble, host: &str, address: IpAddr) -> Reason {
    Reason {
        status: trouble.status().to_string(),
        step: Some(step(trouble.stage)),
        host: Some(host.to_string()),
        address: Some(address),
        reply: trouble.reply().map(ToString::to_string),
        text: format!("{host} [{address}]: {trouble}"),
    }
}

fn step(stage: Stage) -> Step {
    match stage {
        Stage::Greeting | Stage::Hello | Stage::Login => Step::Greeting,
        Stage::StartTls => Step::Securing,
        Stage::Mail => Step::Sender,
        Stage::Rcpt => Step::Recipient,
        Stage::Data | Stage::Content | Stage::Verdict => Step::Content,
    }
}

//! Starting and stopping: ports first, while there may be privileges; then the store, the desks, the courier.
//!
//! Invariants: nothing is said on a port before the store is open; when stopping, transactions under way may end.
//! Not here: signals and configuration files (app).

use crate::admin::Admin;
use crate::ban_book;
use crate::control_socket;
use crate::courier::Courier;
use crate::courier::remote::Remote;
use crate::desk::door::Caller;
use crate::desk::{ftp as ftp_desk, imap as imap_desk, pop3 as pop3_desk, smtp as smtp_desk};
use crate::hooks;
use crate::house::{House, HouseError, chance};
use crate::sessions::{Entry, Present};
use crate::settings::{CertificateFiles, FtpTls, ListenAt, Purpose, Settings};
use crate::tapping::Tapping;
use futures_util::FutureExt;
use line::Session;
use net::dns::{Dns, Resolver};
use net::tap::Side;
use net::tls::{IdentityError, self_signed};
use net::{
    Begin, ClientCa, ClientTls, Door, Identity, Lender, Listener, Pace, Refusal, Seats, Security, ServerTls, Setup,
    Trust, Visitor,
};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use store::privacy;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tracing::{debug, error, info, warn};

/// How often room is given back to the disk, and how much is copied for it each time.
const COMPACT_EVERY: Duration = Duration::from_secs(600);
const COMPACT_BYTES: u64 = 256 << 20;
/// Uploads that broke off are swept away in every so many of these rounds: once an hour, since it looks at every file.
const SWEEP_ROUNDS: u64 = 6;

/// The certificate that [`self_signed`] makes, beside its key.
const SELF_SIGNED: &str = "self-signed.pem";
const SELF_SIGNED_KEY: &str = "self-signed.key";
/// What [`open_ports`] may have made in the data directory, to be read again on SIGHUP by whom we are then.
pub const MADE_BEFORE: [&str; 2] = [SELF_SIGNED, SELF_SIGNED_KEY];

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port could not be opened.
    #[error(transparent)]
    Listen(#[from] net::listen::BindError),
    /// A certificate could not be read.
    #[error(transparent)]
    Certificate(#[from] IdentityError),
    /// The house could not be opened.
    #[error(transparent)]
    House(#[from] HouseError),
    /// The control socket could not be opened.
    #[error("the control socket {}: {error}", path.display())]
    Control {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The data directory could not be made.
    #[error("the data directory {}: {error}", path.display())]
    DataDir {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// Name servers could not be set up.
    #[error(transparent)]
    Dns(#[from] net::dns::ResolverError),
    /// Anything else of the system.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// A port that is open.
#[derive(Debug, Clone, Copy)]
pub struct Listening {
    /// What is spoken there.
    pub purpose: Purpose,
    /// Where it is.
    pub address: SocketAddr,
}

/// Open ports on which nobody answers yet.
pub struct Ports {
    listeners: Vec<(Purpose, Listener)>,
    tls: ServerTls,
    identity: Identity,
    certificate: PathBuf,
}

/// Opens the ports and reads the certificate: what may need privileges. Needs a runtime.
///
/// # Errors
/// Says which port or file, and what to do.
pub fn open_ports(settings: &Settings) -> Result<Ports, StartError> {
    let (identity, certificate) = identity(settings)?;
    let open = |at: &ListenAt| Ok((at.purpose, Listener::bind(at.address)?));
    let listeners = settings.listeners.iter().map(open).collect::<Result<_, StartError>>()?;
    let tls = ServerTls::with_clients(vec![identity.clone()], client_ca(settings)?)?;
    Ok(Ports { listeners, tls, identity, certificate })
}

fn client_ca(settings: &Settings) -> Result<Option<ClientCa>, StartError> {
    Ok(settings.client_ca.as_deref().map(ClientCa::from_pem_file).transpose()?)
}

fn identity(settings: &Settings) -> Result<(Identity, PathBuf), StartError> {
    if let Some(CertificateFiles { certificate, key }) = &settings.certificate {
        return Ok((Identity::from_pem_files(certificate, key)?, certificate.clone()));
    }
    let path = &settings.data_dir;
    privacy::make_dir(path).map_err(|error| StartError::DataDir { path: path.clone(), error })?;
    let names = [settings.host_name.clone(), "localhost".into(), "127.0.0.1".into(), "::1".into()];
    let identity = self_signed(&names, &settings.data_dir)?;
    privacy::tighten(&settings.data_dir.join(SELF_SIGNED_KEY));
    Ok((identity, settings.data_dir.join(SELF_SIGNED)))
}

impl Ports {
    /// Opens the store and begins to answer.
    ///
    /// # Errors
    /// When the store or something it needs cannot be opened.
    pub async fn serve(self, settings: Settings) -> Result<Running, StartError> {
        let Ports { listeners, tls, identity, certificate } = self;
        let data_dir = settings.data_dir.clone();
        let tapping = if settings.show_dialogue { Tapping::printing() } else { Tapping::default() };
        let dns: Arc<dyn Dns> = Arc::new(resolver(&settings)?);
        let own_name = Arc::new(ftp_desk::OwnName::new(Arc::clone(&dns), settings.host_name.clone()));
        let house = House::open(settings).await?;
        let path = crate::control::path(&data_dir);
        let socket = control_socket::open(&data_dir).map_err(|error| StartError::Control { path, error })?;

        let (leave, leaving) = watch::channel(false);
        let serving = Arc::new(Serving {
            house: Arc::clone(&house),
            tls: tls.clone(),
            // RFC 7301: a client that offers only other protocols was led here by somebody else.
            ftp_tls: tls.speaking(&["ftp"]),
            ftp_terms: FtpTerms::of(house.settings()).into(),
            tapping: tapping.clone(),
            own_name,
            lender: Lender::new(LENT_THREADS_MAX),
        });
        let seats = Seats::new(house.settings().connections_max, house.settings().connections_per_address_max);
        let listening =
            |(purpose, listener): &(Purpose, Listener)| Listening { purpose: *purpose, address: listener.address() };
        let listening = listeners.iter().map(listening).collect();
        let mut tasks = JoinSet::new();
        for (purpose, listener) in listeners {
            let door = serving.door(purpose, seats.clone());
            let (serving, leaving) = (Arc::clone(&serving), leaving.clone());
            // Each service has a welcome of its own: who idles is as large as its conversation, not as the largest there is.
            match purpose {
                Purpose::Smtp | Purpose::Submission | Purpose::Submissions => {
                    tasks.spawn(listener.serve(door, move |visitor| serving.smtp(purpose, visitor), leaving))
                }
                Purpose::Pop3 | Purpose::Pop3s => {
                    tasks.spawn(listener.serve(door, move |visitor| serving.pop3(purpose, visitor), leaving))
                }
                Purpose::Imap | Purpose::Imaps => {
                    tasks.spawn(listener.serve(door, move |visitor| serving.imap(purpose, visitor), leaving))
                }
                Purpose::Ftp | Purpose::Ftps => {
                    tasks.spawn(listener.serve(door, move |visitor| serving.ftp(purpose, visitor), leaving))
                }
            };
        }
        tasks.spawn(courier(Arc::clone(&house), dns, &identity, tapping, leaving.clone())?);
        tasks.spawn(hooks::run(Arc::clone(&house), leaving.clone()));
        let control = tokio::spawn(control_socket::answer(socket, Arc::new(Admin::of(Arc::clone(&house)))));
        let tidy = tokio::spawn(tidy(Arc::clone(&house)));
        Ok(Running { house, tls, listening, certificate, data_dir, leave, tasks, helpers: [control, tidy] })
    }
}

fn resolver(settings: &Settings) -> Result<Resolver, StartError> {
    Ok(match settings.dns_servers.is_empty() {
        true => Resolver::system()?,
        false => Resolver::asking(&settings.dns_servers)?,
    })
}

/// The courier's work.
fn courier(
    house: Arc<House>,
    dns: Arc<dyn Dns>,
    ours: &Identity,
    tapping: Tapping,
    leaving: watch::Receiver<bool>,
) -> Result<impl Future<Output = ()> + Send + use<>, StartError> {
    let verifying = ClientTls::verifying(Trust::Platform).ok();
    // A machine without authorities verifies nobody; encrypting needs none, only somebody to compare with.
    let trust = match &verifying {
        Some(_) => Trust::Platform,
        None => {
            warn!("this machine has no certificate authorities: no certificate of another server will verify");
            Trust::Roots(vec![ours.certificate().clone()])
        }
    };
    let opportunistic = ClientTls::opportunistic(trust).map_err(|error| std::io::Error::other(error.to_string()))?;
    let remote = Remote::new(Arc::clone(&house), dns, opportunistic, verifying, tapping, leaving.clone());
    Ok(Courier::new(house, remote).run(leaving))
}

/// Gives room back now and then.
async fn tidy(house: Arc<House>) {
    for round in 0u64.. {
        let (store, sweeping) = (house.store.clone(), Arc::clone(&house));
        // At the start, too: crashes leave uploads that were under way.
        if round.is_multiple_of(SWEEP_ROUNDS) {
            let sweep = move || sweeping.spaces.sweep(&sweeping.settings().files, SystemTime::now());
            if tokio::task::spawn_blocking(sweep).await.is_err() {
                warn!("interrupted uploads could not be swept");
            }
        }
        tokio::time::sleep(COMPACT_EVERY).await;
        let forgetting = Arc::clone(&house);
        let given_back = tokio::task::spawn_blocking(move || {
            forget_past_bans(&forgetting);
            store.compact(COMPACT_BYTES)
        });
        match given_back.await {
            Ok(Ok(done)) if done.segments_removed > 0 => info!(segments = done.segments_removed, "room given back"),
            Ok(Err(error)) => warn!(%error, "room could not be given back"),
            _ => {}
        }
    }
}

fn forget_past_bans(house: &House) {
    let past = ban_book::past(&house.store, house.now()).unwrap_or_default();
    if !past.is_empty() {
        // What is not forgotten now will be the next time.
        let _ = house.store.commit_blocking(store::Commit::of(past));
    }
}

/// A server that answers.
pub struct Running {
    house: Arc<House>,
    tls: ServerTls,
    listening: Vec<Listening>,
    certificate: PathBuf,
    data_dir: PathBuf,
    leave: watch::Sender<bool>,
    tasks: JoinSet<()>,
    helpers: [JoinHandle<()>; 2],
}

impl Running {
    /// What listens where.
    pub fn listening(&self) -> &[Listening] {
        &self.listening
    }

    /// The file of the certificate.
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// Where everything is kept.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Our own, and those of the authorities that vouch for people.
    fn reread_certificates(&self, settings: &Settings) -> Result<(), StartError> {
        let (identity, _) = identity(settings)?;
        Ok(self.tls.reload(vec![identity], client_ca(settings)?)?)
    }

    /// Takes new settings and reads certificates and the directory again. Ports, data directory and host name stay.
    pub async fn reload(&self, settings: Settings) {
        match self.reread_certificates(&settings) {
            Ok(()) => info!("the certificates were read again"),
            Err(error) => error!(%error, "the certificates could not be read again; the old ones hold"),
        }
        self.house.change_settings(settings);
        let house = Arc::clone(&self.house);
        // It may have to count what lies there.
        let renewed = tokio::task::spawn_blocking(move || house.spaces.renew_shared(&house.settings().files));
        if renewed.await.is_err() {
            error!("quotas of spaces could not be changed");
        }
        match self.house.reread_directory() {
            Ok(()) => info!("the configuration was read again"),
            Err(error) => error!(%error, "the directory could not be read again; the old one holds"),
        }
    }

    /// Why the server can no longer do its work, once that is so: the store has failed.
    pub async fn failed(&self) -> String {
        const LOOK_EVERY: Duration = Duration::from_secs(1);
        loop {
            if let Some(why) = self.house.store.failure() {
                return why;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Takes no new connections, lets the others end, closes the store.
    pub async fn stop(mut self) {
        // Nobody may be listening any more, which is as good.
        let _ = self.leave.send(true);
        self.house.sessions.close();
        self.house.spaces.leave();
        while self.tasks.join_next().await.is_some() {}
        self.helpers.iter().for_each(JoinHandle::abort);
        let _ = std::fs::remove_file(crate::control::path(&self.data_dir));
        let house = Arc::clone(&self.house);
        let closing = move || {
            house.transfer_log.close();
            house.store.close();
        };
        if tokio::task::spawn_blocking(closing).await.is_err() {
            error!("the store could not be closed in order; it will recover at the next start");
        }
    }
}

/// So many sessions in haste have a thread of their own: a small part of those that may wait for a disk, and enough for the
/// processors of most machines.
const LENT_THREADS_MAX: usize = 16;

/// What each connection needs.
struct Serving {
    house: Arc<House>,
    tls: ServerTls,
    ftp_tls: ServerTls,
    ftp_terms: Mutex<FtpTerms>,
    tapping: Tapping,
    own_name: Arc<ftp_desk::OwnName>,
    /// Of the threads that may block, for who is in haste.
    lender: Lender,
}

impl Serving {
    /// Who may come in on a port, and what others hear.
    fn door(&self, purpose: Purpose, seats: Seats) -> Door {
        let house = Arc::clone(&self.house);
        let refusal = Arc::new(move |refusal| refusal_text(purpose, refusal).into());
        Door {
            seats,
            gatekeeper: Arc::new(move |address| !house.judgement.is_banned(address)),
            refusal,
            proxies: self.house.settings().proxy_networks.clone().into(),
        }
    }

    /// Notes who has come.
    fn enter(&self, purpose: Purpose, visitor: &Visitor) -> Entry {
        let (peer, session) = (visitor.peer, self.house.name_session());
        debug!(%session, %peer, service = purpose.name(), "connected");
        self.house.sessions.enter(Caller { session, peer, purpose })
    }

    // None of these is `async` itself: what only the beginning of a conversation needs would be kept in it, and there is one
    // for each who idles.

    fn smtp(&self, purpose: Purpose, visitor: Visitor) -> impl Future<Output = ()> + Send + use<> {
        let entry = self.enter(purpose, &visitor);
        let (setup, caller) = (self.setup(entry.present(), &visitor), entry.present().caller());
        let settings = Arc::new(smtp_settings(&self.house.settings(), purpose, visitor.peer));
        let session = smtp::server::Server::new(settings, &chance(), Instant::now());
        let desk = smtp_desk::Desk::new(Arc::clone(&self.house), caller, purpose);
        converse(entry, session, desk, visitor.stream, setup)
    }

    fn pop3(&self, purpose: Purpose, visitor: Visitor) -> impl Future<Output = ()> + Send + use<> {
        let entry = self.enter(purpose, &visitor);
        let (setup, caller) = (self.setup(entry.present(), &visitor), entry.present().caller());
        let settings = Arc::new(pop3_settings(&self.house.settings(), visitor.peer));
        let session = pop3::server::Server::new(settings, &chance(), Instant::now());
        let desk = pop3_desk::Desk::new(Arc::clone(&self.house), caller);
        converse(entry, session, desk, visitor.stream, setup)
    }

    fn imap(&self, purpose: Purpose, visitor: Visitor) -> impl Future<Output = ()> + Send + use<> {
        let entry = self.enter(purpose, &visitor);
        let (setup, caller) = (self.setup(entry.present(), &visitor), entry.present().caller());
        let settings = Arc::new(imap_settings(&self.house.settings(), visitor.peer));
        let session = imap::server::Server::new(settings, &chance(), Instant::now());
        let desk = imap_desk::Desk::new(Arc::clone(&self.house), caller);
        converse(entry, session, desk, visitor.stream, setup)
    }

    fn ftp(&self, purpose: Purpose, visitor: Visitor) -> impl Future<Output = ()> + Send + use<> {
        let (entry, max) = (self.enter(purpose, &visitor), self.house.settings().ftp.sessions_max);
        let Some(open) = self.house.judgement.open_session(max) else {
            let Caller { session, peer, .. } = entry.present().caller();
            warn!(%session, %peer, max, "too many sessions of FTP; see ftp.sessions_max");
            return net::tell(visitor.stream, refusal_text(purpose, Refusal::Full).into()).left_future();
        };
        let tls = self.ftp_tls.for_one_session();
        let mut setup = self.setup(entry.present(), &visitor);
        if let Security::Server { tls: control, .. } = &mut setup.security {
            *control = tls.clone();
        }
        // RFC 959 §4.1.3 lets a client put its ABOR behind urgent data; they are to come in their place.
        let _ = rustix::net::sockopt::set_socket_oobinline(&visitor.stream, true);
        let line = ftp_desk::Line {
            local: visitor.stream.local_addr().unwrap_or(visitor.local),
            dialled: visitor.local.ip(),
            own_name: Arc::clone(&self.own_name),
            tls,
            control: visitor.stream.as_fd().try_clone_to_owned().ok(),
            present: Arc::clone(entry.present()),
        };
        let ends = ftp::Ends::new(visitor.local, visitor.peer);
        let session = ftp::Server::new(self.ftp_settings(visitor.peer), ends, Instant::now());
        let desk = ftp_desk::Desk::new(Arc::clone(&self.house), line, open);
        converse(entry, session, desk, visitor.stream, setup).right_future()
    }

    /// What holds for who comes from there, shared by all for whom it is the same.
    fn ftp_settings(&self, peer: SocketAddr) -> Arc<ftp::Settings> {
        let settings = self.house.settings();
        let may_log_in_clear = settings.login_in_clear.allows(peer.ip());
        let mut terms = self.ftp_terms.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&terms.as_of, &settings) {
            *terms = FtpTerms::of(settings);
        }
        Arc::clone(if may_log_in_clear { &terms.in_clear } else { &terms.protected })
    }

    /// Where people log in by SASL they may show a certificate. Other servers are not asked for theirs: they have one of
    /// somebody else, who is none of our business.
    fn tls_of(&self, purpose: Purpose) -> ServerTls {
        match purpose {
            Purpose::Smtp | Purpose::Ftp | Purpose::Ftps => self.tls.clone(),
            _ => self.tls.asking_clients(),
        }
    }

    fn setup(&self, present: &Present, visitor: &Visitor) -> Setup {
        let Caller { session, purpose, .. } = present.caller();
        let begin = if purpose.is_tls_implicit() { Begin::AtOnce } else { Begin::WhenAsked };
        Setup {
            security: Security::Server { tls: self.tls_of(purpose), begin },
            tap: self.tapping.on(session, purpose.name(), visitor.local.port(), Side::Server),
            pace: Pace::default(),
            lender: self.lender.clone(),
            // Its pulse hears it, with those of all others.
            leaving: None,
            pulse: Arc::clone(present.pulse()),
        }
    }
}

/// Holds a conversation, whose end ends its entry.
fn converse<S, D>(
    entry: Entry,
    mut session: S,
    mut desk: D,
    stream: TcpStream,
    setup: Setup,
) -> impl Future<Output = ()>
where
    S: Session,
    D: net::Desk<S>,
{
    let name = entry.present().caller().session;
    async move {
        let ended = net::converse(&mut session, &mut desk, stream, &setup).await;
        debug!(session = %name, received = ended.received, sent = ended.sent, why = %ended.why, "disconnected");
        drop(entry);
    }
}

/// What somebody hears who is not let in; under implicit TLS, nothing.
fn refusal_text(purpose: Purpose, refusal: Refusal) -> &'static str {
    match (purpose, refusal) {
        (Purpose::Submissions | Purpose::Pop3s | Purpose::Imaps | Purpose::Ftps, _) => "",
        (Purpose::Ftp, Refusal::Full) => "421 Too many connections; come back later.\r\n",
        (Purpose::Ftp, _) => "421 Too many connections or failures from your address; come back later.\r\n",
        (Purpose::Smtp | Purpose::Submission, Refusal::Full) => "421 4.3.2 Too many connections; come back later\r\n",
        (Purpose::Smtp | Purpose::Submission, _) => {
            "421 4.7.0 Too many connections or failures from your address; come back later\r\n"
        }
        (Purpose::Imap, Refusal::Full) => "* BYE [UNAVAILABLE] Too many connections; come back later\r\n",
        (Purpose::Imap, _) => {
            "* BYE [UNAVAILABLE] Too many connections or failures from your address; come back later\r\n"
        }
        (Purpose::Pop3, Refusal::Full) => "-ERR [SYS/TEMP] Too many connections; come back later\r\n",
        (Purpose::Pop3, _) => "-ERR [SYS/TEMP] Too many connections or failures from your address; come back later\r\n",
    }
}

fn smtp_settings(settings: &Settings, purpose: Purpose, peer: SocketAddr) -> smtp::server::Settings {
    let mut ours = smtp::server::Settings::new(&settings.host_name);
    ours.tls = smtp::server::Tls::Offered;
    ours.size_max_bytes = settings.message_size_max_bytes;
    ours.recipients_max = settings.recipients_max;
    ours.command_wait = settings.smtp_idle_limit;
    if purpose != Purpose::Smtp {
        ours.purpose = smtp::server::Purpose::Submission;
        ours.mechanisms = sasl::Mechanism::ALL.to_vec();
        ours.clear_login = settings.login_in_clear.allows(peer.ip());
    }
    ours
}

fn pop3_settings(settings: &Settings, peer: SocketAddr) -> pop3::server::Settings {
    let mut ours = pop3::server::Settings::new(&settings.host_name);
    ours.clear_login = settings.login_in_clear.allows(peer.ip());
    ours.idle_limit = settings.pop3_idle_limit;
    ours
}

fn imap_settings(settings: &Settings, peer: SocketAddr) -> imap::server::Settings {
    let mut ours = imap::server::Settings::new(&settings.host_name);
    ours.clear_login = settings.login_in_clear.allows(peer.ip());
    ours.idle_limit = settings.imap_idle_limit;
    ours.message_max = settings.message_size_max_bytes;
    ours.capabilities = imap_desk::capabilities();
    ours.identity.push(("version".into(), env!("CARGO_PKG_VERSION").into()));
    ours
}

/// The settings of FTP's dialogue, made of what was configured.
struct FtpTerms {
    as_of: Arc<Settings>,
    /// For who may log in in clear.
    in_clear: Arc<ftp::Settings>,
    /// For all others.
    protected: Arc<ftp::Settings>,
}

impl FtpTerms {
    fn of(settings: Arc<Settings>) -> Self {
        let terms = |may_log_in_clear| Arc::new(ftp_settings(&settings, may_log_in_clear));
        FtpTerms { in_clear: terms(true), protected: terms(false), as_of: settings }
    }
}

fn ftp_settings(settings: &Settings, may_log_in_clear: bool) -> ftp::Settings {
    let usual = ftp::Settings::default();
    ftp::Settings {
        greeting: settings.ftp.greeting.clone().unwrap_or(usual.greeting),
        tls: match settings.ftp.require_tls {
            FtpTls::Always => ftp::server::Tls::Everybody,
            FtpTls::Login if !may_log_in_clear => ftp::server::Tls::Named,
            FtpTls::Login | FtpTls::Never => ftp::server::Tls::Optional,
        },
        clear_control: settings.ftp.clear_control,
        foreign_addresses: settings.ftp.foreign_data,
        deflate: settings.ftp.compression,
        anonymous: settings.ftp.guests.is_some(),
        idle: settings.ftp.idle_limit,
        ..usual
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight<A, F: Future>(_: impl Fn(A) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn who_idles_in_ftp_fits_into_a_kibibyte_and_a_half() {
        let session = |(serving, visitor): (Arc<Serving>, Visitor)| serving.ftp(Purpose::Ftp, visitor);
        // Allocators have nothing between this and 1,792.
        assert!(weight(session) <= 1536, "{}", weight(session));
    }
}

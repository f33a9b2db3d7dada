//! TLS as a server: several identities, chosen by name and by what the client can verify; replaced while we run.
//!
//! RFC 6066 §3 (SNI), RFC 7301 (ALPN), RFC 8446 §2.2 and RFC 5077 (tickets), RFC 8446 §4.3.2 (clients' certificates).
//!
//! Invariants: an identity that is replaced serves its connections to their end; tickets outlive a reload, but not the
//! authorities that vouched for who holds them.
//! Not here: reading certificates (identity), when TLS begins (drive).

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use line::Secured;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    Acceptor, ClientHello, NoServerSessionStorage, ProducesTickets, ServerSessionMemoryCache, StoresServerSessions,
    WebPkiClientVerifier,
};
use rustls::sign::SingleCertAndKey;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::net::TcpStream;
use tokio_rustls::{LazyConfigAcceptor, TlsStream};

use super::identity::{Identity, IdentityError, read};
use super::{
    EXPORTER_LABEL, EXPORTER_LEN, TlsError, VERSIONS, addresses, end_point_hash, may_export, provider, secured,
};

/// A server's side of TLS. Clones share identities and tickets.
#[derive(Clone)]
pub struct ServerTls {
    shared: Arc<Shared>,
    /// Names of protocols in order of preference; empty means that ALPN is not looked at.
    alpn: Protocols,
    /// Whether clients are asked for a certificate, where somebody may vouch for them.
    asks: bool,
    /// What one session has of its own, made when it is first needed; with `None` it shares what all have.
    own: Option<Arc<OnceLock<Own>>>,
}

/// Authorities that vouch for clients. A client without a certificate is welcome; one with a certificate of somebody else
/// is not.
#[derive(Debug, Clone)]
pub struct ClientCa {
    verifier: Arc<dyn ClientCertVerifier>,
    authorities: Vec<CertificateDer<'static>>,
    /// Of those who were asked for a certificate. Who resumes is not asked again: these end with the authorities.
    tickets: Arc<dyn ProducesTickets>,
}

impl ClientCa {
    /// From a file with the authorities' certificates in PEM form.
    ///
    /// # Errors
    /// [`IdentityError::File`], [`IdentityError::BadCertificate`].
    pub fn from_pem_file(path: &Path) -> Result<Self, IdentityError> {
        let bad = |reason: String| IdentityError::BadCertificate { place: path.display().to_string(), reason };
        let (mut roots, mut authorities) = (RootCertStore::empty(), Vec::new());
        for certificate in CertificateDer::pem_slice_iter(&read(path)?) {
            let certificate = certificate.map_err(|error| bad(error.to_string()))?;
            authorities.push(certificate.clone());
            roots.add(certificate).map_err(|error| bad(error.to_string()))?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        let verifier = verifier.allow_unauthenticated().build().map_err(|error| bad(error.to_string()))?;
        Ok(ClientCa { verifier, authorities, tickets: tickets()? })
    }

    /// This, unless what is held are the same authorities: those keep the tickets that they gave out.
    fn or_held(self, held: Option<&ClientCa>) -> Self {
        held.filter(|held| held.authorities == self.authorities).cloned().unwrap_or(self)
    }
}

/// What one session's connections resume from.
struct Own {
    tickets: Arc<dyn ProducesTickets>,
    /// For clients that take no tickets with TLS 1.2: curl with OpenSSL, for one.
    sessions: Arc<dyn StoresServerSessions>,
}

/// Control and data connections of one session that are remembered; clients resume the latest they know of.
const OWN_SESSIONS_MAX: usize = 4;

/// Names of protocols as ALPN has them.
type Protocols = Arc<[Vec<u8>]>;

struct Shared {
    identities: RwLock<Arc<[Arc<Shown>]>>,
    tickets: Arc<dyn ProducesTickets>,
}

/// An identity as it is shown.
struct Shown {
    identity: Identity,
    end_point: Option<Vec<u8>>,
    /// Who may vouch for clients meanwhile.
    clients: Option<ClientCa>,
    /// One configuration for each list of protocols that was asked for so far, with and without clients' certificates; there
    /// are as many as protocols.
    configs: Mutex<Vec<(Protocols, bool, Arc<ServerConfig>)>>,
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("alpn", &self.alpn).finish_non_exhaustive()
    }
}

impl ServerTls {
    /// Shows these identities. Of several that bear the name a client asks for, the first with a key that the client
    /// can verify is taken; a client that asks for no name, or for one we do not have, sees the first of all.
    ///
    /// # Errors
    /// [`IdentityError::None`] for an empty list.
    pub fn new(identities: Vec<Identity>) -> Result<Self, IdentityError> {
        Self::with_clients(identities, None)
    }

    /// The same, where these authorities vouch for clients.
    ///
    /// # Errors
    /// [`IdentityError::None`] for an empty list.
    pub fn with_clients(identities: Vec<Identity>, clients: Option<ClientCa>) -> Result<Self, IdentityError> {
        let identities = RwLock::new(shown(identities, clients.as_ref())?);
        let shared = Arc::new(Shared { identities, tickets: tickets()? });
        Ok(ServerTls { shared, alpn: Arc::new([]), asks: false, own: None })
    }

    /// The same identities and tickets, for clients that speak these protocols (RFC 7301, `imap`, `pop3`, `ftp`).
    /// Clients without ALPN are welcome; those that only offer others are refused.
    pub fn speaking(&self, protocols: &[&str]) -> Self {
        let alpn = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        ServerTls { alpn, ..self.clone() }
    }

    /// The same, for clients that may show who they are by a certificate, where there are authorities that vouch for them.
    pub fn asking_clients(&self) -> Self {
        ServerTls { asks: true, ..self.clone() }
    }

    /// The same identities with tickets that nobody else has: who resumes one of them was here, on a connection of this
    /// value or of a clone. This is how data connections are bound to their control connection, with 1.2 and 1.3 alike.
    pub fn for_one_session(&self) -> Self {
        ServerTls { own: Some(Arc::default()), ..self.clone() }
    }

    /// Shows other identities and believes other authorities from the next handshake on, here and in all clones. Connections
    /// go on undisturbed.
    ///
    /// # Errors
    /// [`IdentityError::None`] for an empty list; all stays as it was then.
    pub fn reload(&self, identities: Vec<Identity>, clients: Option<ClientCa>) -> Result<(), IdentityError> {
        let mut present = self.shared.identities.write().unwrap_or_else(PoisonError::into_inner);
        let clients = clients.map(|clients| clients.or_held(present[0].clients.as_ref()));
        *present = shown(identities, clients.as_ref())?;
        Ok(())
    }

    /// The handshake.
    pub(crate) async fn accept(&self, stream: TcpStream) -> Result<(Box<TlsStream<TcpStream>>, Secured), TlsError> {
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await.map_err(TlsError::from_io)?;
        let shown = self.choose(&start.client_hello());
        let config = self.config(&shown)?;
        let stream = start.into_stream(config).await.map_err(TlsError::from_io)?;
        let (_, connection) = stream.get_ref();
        let exporter = may_export(connection)
            .then(|| connection.export_keying_material(vec![0; EXPORTER_LEN], EXPORTER_LABEL, None).ok())
            .flatten();
        let facts = Secured {
            server_name: connection.server_name().map(str::to_owned),
            server_end_point: shown.end_point.clone(),
            client_names: connection
                .peer_certificates()
                .and_then(<[_]>::first)
                .map(|own| addresses(own))
                .unwrap_or_default(),
            ..secured(connection, exporter)
        };
        Ok((Box::new(stream.into()), facts))
    }

    /// What a data connection with this greeting goes by: the same, but no tickets are given out on it. A client that
    /// uploads never reads there; its system would answer our tickets with a reset when it closes, and the tail of the file
    /// would be lost.
    pub(crate) fn config_for_data(&self, hello: &ClientHello<'_>) -> Result<Arc<ServerConfig>, TlsError> {
        let shown = self.choose(hello);
        let mut config = ServerConfig::clone(&*self.config(&shown)?);
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }

    fn config(&self, shown: &Shown) -> Result<Arc<ServerConfig>, TlsError> {
        let config = shown.config(&self.alpn, self.asks, &self.shared.tickets)?;
        let Some(own) = &self.own else { return Ok(config) };
        let own = match own.get() {
            Some(own) => own,
            None => {
                let tickets = rustls::crypto::aws_lc_rs::Ticketer::new();
                let tickets = tickets.map_err(|error| TlsError::Failed(error.to_string()))?;
                own.get_or_init(|| Own { tickets, sessions: ServerSessionMemoryCache::new(OWN_SESSIONS_MAX) })
            }
        };
        let mut config = ServerConfig::clone(&config);
        config.ticketer = Arc::clone(&own.tickets);
        config.session_storage = Arc::clone(&own.sessions);
        Ok(Arc::new(config))
    }

    fn choose(&self, hello: &ClientHello<'_>) -> Arc<Shown> {
        let identities = self.shared.identities.read().unwrap_or_else(PoisonError::into_inner).clone();
        let named = |shown: &&Arc<Shown>| hello.server_name().is_some_and(|name| shown.identity.is_for(name));
        let usable = |shown: &&Arc<Shown>| shown.identity.key().key.choose_scheme(hello.signature_schemes()).is_some();
        let best = identities
            .iter()
            .find(|shown| named(shown) && usable(shown))
            .or_else(|| identities.iter().find(named))
            .or_else(|| identities.iter().find(usable));
        // `shown` does not let an empty list pass.
        best.unwrap_or(&identities[0]).clone()
    }
}

fn shown(identities: Vec<Identity>, clients: Option<&ClientCa>) -> Result<Arc<[Arc<Shown>]>, IdentityError> {
    if identities.is_empty() {
        return Err(IdentityError::None);
    }
    Ok(identities.into_iter().map(|identity| Arc::new(Shown::new(identity, clients.cloned()))).collect())
}

fn tickets() -> Result<Arc<dyn ProducesTickets>, IdentityError> {
    rustls::crypto::aws_lc_rs::Ticketer::new().map_err(|error| IdentityError::Unfit(error.to_string()))
}

impl Shown {
    fn new(identity: Identity, clients: Option<ClientCa>) -> Self {
        let end_point = end_point_hash(identity.certificate());
        Shown { identity, end_point, clients, configs: Mutex::new(Vec::new()) }
    }

    fn config(
        &self,
        alpn: &Protocols,
        asks: bool,
        tickets: &Arc<dyn ProducesTickets>,
    ) -> Result<Arc<ServerConfig>, TlsError> {
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((.., config)) = configs.iter().find(|(known, asking, _)| known == alpn && *asking == asks) {
            return Ok(config.clone());
        }
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(VERSIONS)
            .map_err(|error| TlsError::Failed(error.to_string()))?;
        let resolver = Arc::new(SingleCertAndKey::from(self.identity.key().clone()));
        let clients = self.clients.as_ref().filter(|_| asks);
        let config = match clients {
            Some(clients) => config.with_client_cert_verifier(clients.verifier.clone()),
            None => config.with_no_client_auth(),
        };
        let mut config = config.with_cert_resolver(resolver);
        config.alpn_protocols = alpn.to_vec();
        // Of those that a client has, the one that this machine is quick at: here there is more to seal than there.
        config.ignore_client_order = true;
        config.ticketer = clients.map_or(tickets, |clients| &clients.tickets).clone();
        // Tickets carry all there is; a cache beside them would only cost memory.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        let config = Arc::new(config);
        configs.push((alpn.clone(), asks, config.clone()));
        Ok(config)
    }
}

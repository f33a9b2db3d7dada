//! TLS as a client: encrypt whatever the certificate says, or believe only a verified one.
//!
//! RFC 7435 (some protection most of the time), RFC 9525 (names), RFC 3207 §4.1 (what a client does with a bad one).
//!
//! Invariants: a connection says `verified` only if chain, name and date were checked; a signature of the handshake
//! is checked always, so the peer owns the key it shows.
//! Not here: which policy is for whom (courier), DANE (later).

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use line::Secured;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};

use super::tickets::Tickets;
use super::{
    EXPORTER_LABEL, EXPORTER_LEN, TlsError, VERSIONS, end_point_hash, fingerprint, may_export, provider, secured,
};

/// Whose word we take on who somebody is.
#[derive(Debug, Clone)]
pub enum Trust {
    /// The authorities that this machine trusts.
    Platform,
    /// These certificates, in DER.
    Roots(Vec<CertificateDer<'static>>),
}

impl Trust {
    /// The certificates of a file in PEM.
    ///
    /// # Errors
    /// [`TlsError::Failed`] if it cannot be read, or has none.
    pub fn from_pem_file(file: &Path) -> Result<Self, TlsError> {
        let failed = |why: String| TlsError::Failed(format!("no authorities to trust: {}: {why}", file.display()));
        let found = CertificateDer::pem_file_iter(file).map_err(|error| failed(error.to_string()))?;
        let roots = found.collect::<Result<Vec<_>, _>>().map_err(|error| failed(error.to_string()))?;
        if roots.is_empty() { Err(failed("there is no certificate in it".into())) } else { Ok(Trust::Roots(roots)) }
    }
}

/// A client's side of TLS. Clones share tickets.
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    /// Who gets in.
    gate: Arc<dyn ServerCertVerifier>,
    /// Where it is known what can be resumed.
    tickets: Option<Arc<Tickets>>,
    /// The fingerprint of the last certificate that did not get in.
    refused: Arc<Mutex<Option<String>>>,
    /// `None` on a machine that trusts nobody: then nobody is verified.
    verifier: Option<Arc<dyn ServerCertVerifier>>,
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

impl ClientTls {
    /// Encrypts with whoever answers. `Secured::verified` tells whether the certificate would have passed
    /// [`verifying`](Self::verifying); on a machine without authorities, none would.
    ///
    /// # Errors
    /// None that is known.
    pub fn opportunistic(trust: Trust) -> Result<Self, TlsError> {
        let verifier = verifier(trust);
        if let Err(error) = &verifier {
            tracing::warn!(%error, "no server's certificate will count as verified");
        }
        Self::new(Arc::new(Anyone), verifier.ok())
    }

    /// Speaks only with servers whose certificate is for the host we wanted and was issued by whom we trust.
    ///
    /// # Errors
    /// When `trust` cannot be read: a machine without authorities.
    pub fn verifying(trust: Trust) -> Result<Self, TlsError> {
        Self::witnessed(verifier(trust)?)
    }

    /// The fingerprint of the last certificate that was not trusted, for somebody who knows it by other means.
    pub fn refused(&self) -> Option<String> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn new(gate: Arc<dyn ServerCertVerifier>, verifier: Option<Arc<dyn ServerCertVerifier>>) -> Result<Self, TlsError> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(VERSIONS)
            .map_err(|error| TlsError::Failed(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(gate.clone())
            .with_no_client_auth();
        Ok(ClientTls { config: Arc::new(config), gate, tickets: None, refused: Arc::default(), verifier })
    }

    /// Speaks only with who shows a certificate of this fingerprint, whoever has issued it and whatever it says: SHA-256,
    /// as [`fingerprint`](super::fingerprint) writes it, or without colons.
    ///
    /// # Errors
    /// [`TlsError::Failed`] if that is no fingerprint.
    pub fn pinned(wanted: &str) -> Result<Self, TlsError> {
        let wanted = wanted.replace(':', "").to_ascii_uppercase();
        if wanted.len() != 64 || !wanted.bytes().all(|octet| octet.is_ascii_hexdigit()) {
            return Err(TlsError::Failed(format!("{wanted:?} is no SHA-256 fingerprint")));
        }
        Self::witnessed(Arc::new(Pinned(wanted)))
    }

    /// Lets in whom `verifier` lets in, and remembers who was not.
    fn witnessed(verifier: Arc<dyn ServerCertVerifier>) -> Result<Self, TlsError> {
        let refused = Arc::default();
        let gate = Arc::new(Witness { inner: verifier.clone(), refused: Arc::clone(&refused) });
        Ok(ClientTls { refused, ..Self::new(gate, Some(verifier))? })
    }

    /// The same policy with tickets of its own, for one control connection of FTP and its data connections: a server takes
    /// data connections only from who has the tickets of their control connection.
    ///
    /// It speaks TLS 1.2, whose sessions can be resumed as often as there are files. A ticket of TLS 1.3 is good for one
    /// data connection, and servers give two or three: see [`alone_with_tls13`](Self::alone_with_tls13).
    ///
    /// # Errors
    /// None that is known.
    pub fn alone(&self) -> Result<Self, TlsError> {
        self.apart(&[&rustls::version::TLS12])
    }

    /// The same for servers that speak nothing but TLS 1.3. Somebody has to look whether there is still a ticket
    /// ([`can_resume`](Self::can_resume)) and, if not, whether the server needs one.
    ///
    /// # Errors
    /// None that is known.
    pub fn alone_with_tls13(&self) -> Result<Self, TlsError> {
        self.apart(&[&rustls::version::TLS13])
    }

    fn apart(&self, versions: &[&'static rustls::SupportedProtocolVersion]) -> Result<Self, TlsError> {
        let tickets = Arc::new(Tickets::default());
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .map_err(|error| TlsError::Failed(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(self.gate.clone())
            .with_no_client_auth();
        config.alpn_protocols.clone_from(&self.config.alpn_protocols);
        config.resumption = Resumption::store(tickets.clone());
        Ok(ClientTls { config: Arc::new(config), tickets: Some(tickets), ..self.clone() })
    }

    /// Whether the next handshake can resume a session; known only of who is [`alone`](Self::alone).
    pub fn can_resume(&self) -> bool {
        self.tickets.as_ref().is_some_and(|tickets| tickets.any())
    }

    /// What a data connection goes by, and the name that is expected there.
    pub(crate) fn config_for_data(&self, host: &str) -> Result<(Arc<ClientConfig>, ServerName<'static>), TlsError> {
        let bare = host.strip_suffix('.').unwrap_or(host);
        let name = ServerName::try_from(bare).map_err(|_| TlsError::BadHost(host.into()))?.to_owned();
        Ok((self.config.clone(), name))
    }

    /// The same, offering these protocols (RFC 7301).
    pub fn speaking(&self, protocols: &[&str]) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        ClientTls { config: Arc::new(config), ..self.clone() }
    }

    /// The handshake, with whom should be `host`.
    pub(crate) async fn connect(
        &self,
        stream: TcpStream,
        host: &str,
    ) -> Result<(Box<TlsStream<TcpStream>>, Secured), TlsError> {
        // A name may end with the root's dot in the DNS, never in a certificate.
        let bare = host.strip_suffix('.').unwrap_or(host);
        let name = ServerName::try_from(bare).map_err(|_| TlsError::BadHost(host.into()))?.to_owned();
        let stream =
            TlsConnector::from(self.config.clone()).connect(name.clone(), stream).await.map_err(TlsError::from_io)?;
        let (_, connection) = stream.get_ref();
        let exporter = may_export(connection)
            .then(|| connection.export_keying_material(vec![0; EXPORTER_LEN], EXPORTER_LABEL, None).ok())
            .flatten();
        let chain = connection.peer_certificates().unwrap_or_default();
        let facts = Secured {
            server_name: matches!(name, ServerName::DnsName(_)).then(|| bare.to_owned()),
            server_end_point: chain.first().and_then(|certificate| end_point_hash(certificate)),
            verified: self.verifies(chain, &name),
            ..secured(connection, exporter)
        };
        Ok((Box::new(stream.into()), facts))
    }

    fn verifies(&self, chain: &[CertificateDer<'_>], name: &ServerName<'_>) -> bool {
        let (Some((own, issuers)), Some(verifier)) = (chain.split_first(), &self.verifier) else { return false };
        verifier.verify_server_cert(own, issuers, name, &[], UnixTime::now()).is_ok()
    }
}

fn verifier(trust: Trust) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    let failed = |reason: String| TlsError::Failed(format!("no authorities to trust: {reason}"));
    match trust {
        Trust::Platform => {
            let verifier = rustls_platform_verifier::Verifier::new(provider());
            Ok(Arc::new(verifier.map_err(|error| failed(error.to_string()))?))
        }
        Trust::Roots(certificates) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates {
                roots.add(certificate).map_err(|error| failed(error.to_string()))?;
            }
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
            Ok(verifier.map_err(|error| failed(error.to_string()))?)
        }
    }
}

/// Accepts any certificate whose key the peer owns.
#[derive(Debug)]
struct Anyone;

/// Accepts the certificate with this fingerprint, if the peer owns its key.
#[derive(Debug)]
struct Pinned(String);

#[derive(Debug, thiserror::Error)]
#[error("it is not the one that is known")]
struct NotPinned;

/// Remembers who did not get in.
#[derive(Debug)]
struct Witness {
    inner: Arc<dyn ServerCertVerifier>,
    refused: Arc<Mutex<Option<String>>>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        if verified.is_err() {
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(fingerprint(end_entity));
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if fingerprint(end_entity).replace(':', "") == self.0 {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::Other(OtherError(Arc::new(NotPinned))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Anyone.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Anyone.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        Anyone.supported_verify_schemes()
    }
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

//! TLS as a client: encrypt whatever the certificate says, or believe only a verified one.
//!
//! RFC 7435 (some protection most of the time), RFC 9525 (names), RFC 3207 §4.1 (what a client does with a bad one).
//!
//! Invariants: a connection says `verified` only if chain, name and date were checked; a signature of the handshake
//! is checked always, so the peer owns the key it shows.
//! Not here: which policy is for whom (courier), DANE (later).

use std::fmt;
use std::sync::Arc;

use line::Secured;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};

use super::{EXPORTER_LABEL, EXPORTER_LEN, TlsError, VERSIONS, end_point_hash, may_export, provider, secured};

/// Whose word we take on who somebody is.
#[derive(Debug, Clone)]
pub enum Trust {
    /// The authorities that this machine trusts.
    Platform,
    /// These certificates, in DER.
    Roots(Vec<CertificateDer<'static>>),
}

/// A client's side of TLS. Clones share tickets.
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
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
        let verifier = verifier(trust)?;
        Self::new(verifier.clone(), Some(verifier))
    }

    fn new(gate: Arc<dyn ServerCertVerifier>, verifier: Option<Arc<dyn ServerCertVerifier>>) -> Result<Self, TlsError> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(VERSIONS)
            .map_err(|error| TlsError::Failed(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(gate)
            .with_no_client_auth();
        Ok(ClientTls { config: Arc::new(config), verifier })
    }

    /// The same, offering these protocols (RFC 7301).
    pub fn speaking(&self, protocols: &[&str]) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        ClientTls { config: Arc::new(config), verifier: self.verifier.clone() }
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

//! TLS: who we are to clients, whom we believe as a client, and what a session may know of it.
//!
//! RFC 5246 (1.2), RFC 8446 (1.3), RFC 6066 §3 (SNI), RFC 7301 (ALPN), RFC 5929 §4 and RFC 9266 (channel bindings),
//! RFC 7435 (opportunistic security), RFC 9525 (names in certificates).
//!
//! Read in this order: [`Identity`] is a certificate with its key, [`ServerTls`] a set of them, [`ClientTls`] a policy.
//!
//! Invariants: one provider, aws-lc-rs; TLS 1.2 and 1.3 and nothing older.
//! Not here: when TLS begins and what is thrown away then (drive).

mod certificate;
mod client;
mod identity;
mod server;
mod tickets;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::{Arc, OnceLock};

use line::Secured;
use rustls::crypto::CryptoProvider;
use rustls::{AlertDescription, CertificateError, CipherSuite, CommonState, Error, InvalidMessage};

pub use certificate::{addresses, end_point_hash, fingerprint};
pub use client::{ClientTls, Trust};
pub use identity::{Identity, IdentityError, self_signed};
pub use rustls_pki_types::{CertificateDer, PrivateKeyDer};
pub use server::{ClientCa, ServerTls};

/// RFC 9266 §2: the label of the channel binding `tls-exporter`.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// RFC 9266 §2: and its length, in octets.
const EXPORTER_LEN: usize = 32;

/// The protocol versions we speak. RFC 8996 forbids everything older.
static VERSIONS: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The handshake was not over in time.
    #[error("the TLS handshake took too long")]
    TooSlow,
    /// The peer closed or reset the connection.
    #[error("the peer hung up during the TLS handshake: {0}")]
    HungUp(io::Error),
    /// What came is not TLS.
    #[error("the peer does not speak TLS on this port")]
    NotTls,
    /// We do not believe the peer's certificate.
    #[error("the peer's certificate is not trusted: {0}")]
    Untrusted(String),
    /// The peer refused.
    #[error("the peer refused TLS: {0}")]
    Refused(String),
    /// The host name cannot stand in a certificate.
    #[error("{0:?} is no host name")]
    BadHost(String),
    /// Both speak TLS, and do not find together.
    #[error("TLS failed: {0}")]
    Failed(String),
}

impl TlsError {
    fn from_io(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(tls) => Self::from_rustls(tls),
            None => TlsError::HungUp(error),
        }
    }

    pub(crate) fn from_rustls(error: &Error) -> Self {
        match error {
            Error::InvalidCertificate(reason) => TlsError::Untrusted(explain(reason)),
            Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
                TlsError::NotTls
            }
            Error::AlertReceived(alert) => TlsError::Refused(explain_alert(*alert)),
            other => TlsError::Failed(other.to_string()),
        }
    }
}

/// Why a certificate is not trusted, in words for an operator.
fn explain(reason: &CertificateError) -> String {
    match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".into(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet (is the clock right?)".into()
        }
        CertificateError::Revoked => "it was revoked".into(),
        CertificateError::UnknownIssuer => "it was not issued by an authority we know".into(),
        CertificateError::NotValidForName => "it is for another name".into(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            format!("it is for {}, not for {}", presented.join(", "), expected.to_str())
        }
        CertificateError::BadEncoding => "it cannot be read".into(),
        // Above all another authority of the same name, as of those who made their certificates with the same program.
        CertificateError::BadSignature | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "it was not signed by the authority that we know by that name".into()
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. } => {
            "it was signed in a way that we do not know or trust".into()
        }
        CertificateError::Other(why) => match why.0.to_string() {
            // What OpenSSL makes by default, for whoever wants a certificate of his own.
            text if text == "CaUsedAsEndEntity" => "it is that of an authority, not of a server".into(),
            text => text,
        },
        other => other.to_string(),
    }
}

fn explain_alert(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::UnknownCA => "it does not know who issued our certificate".into(),
        AlertDescription::BadCertificate | AlertDescription::CertificateUnknown => {
            "it does not accept our certificate".into()
        }
        AlertDescription::CertificateExpired => "it says our certificate has expired".into(),
        AlertDescription::ProtocolVersion => "it speaks another version of TLS".into(),
        AlertDescription::HandshakeFailure => "it shares no cipher or key type with us".into(),
        AlertDescription::NoApplicationProtocol => "it speaks another protocol on this port".into(),
        AlertDescription::UnrecognisedName => "it has no certificate for that name".into(),
        other => format!("alert {other:?}"),
    }
}

/// The one provider of cryptography, its ciphers in the order in which this machine is quick at them. All are strong.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let make = || {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        let is_quick_at_aes = is_quick_at_aes();
        provider.cipher_suites.sort_by_key(|suite| (suite.tls13().is_none(), cost(suite.suite(), is_quick_at_aes)));
        Arc::new(provider)
    };
    PROVIDER.get_or_init(make).clone()
}

/// What an octet costs by this cipher, in comparison.
fn cost(cipher: CipherSuite, is_quick_at_aes: bool) -> u8 {
    match cipher {
        CipherSuite::TLS13_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => 1,
        CipherSuite::TLS13_AES_256_GCM_SHA384
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => 2,
        // ChaCha20, which is the same everywhere.
        _ if is_quick_at_aes => 3,
        _ => 0,
    }
}

/// Whether the processor has instructions for AES; some small machines have none. Of kinds that we do not know it is assumed.
fn is_quick_at_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return true;
}

/// What both sides know of a connection in the same way.
fn secured(state: &CommonState, exporter: Option<Vec<u8>>) -> Secured {
    let version = match state.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
        _ => "TLSv1.2",
    };
    let cipher = state.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or("unknown");
    Secured {
        version: version.into(),
        // rustls tells the suites of 1.3 apart by a prefix that IANA does not know.
        cipher: cipher.replacen("TLS13_", "TLS_", 1),
        exporter,
        ..Secured::default()
    }
}

/// `tls-exporter`, where it is safe: RFC 9266 §4.2 wants TLS 1.3, or 1.2 with an extended master secret. Whether 1.2 had
/// it is not told to us, so there is no such binding on 1.2.
fn may_export(state: &CommonState) -> bool {
    state.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3)
}

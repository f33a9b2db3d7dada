//! A certificate with its private key: read from files, or made at the first start.
//!
//! RFC 5280 (certificates), RFC 7468 (PEM).
//!
//! Invariants: key and certificate belong together; a private key we write is readable by its owner alone.
//! Not here: which identity a client sees (server), fetching certificates from an authority (later).

use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::{fingerprint, provider};

/// How long a certificate of our own making is valid: longer than anybody will wait to get a real one.
const SELF_SIGNED_VALID: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// How far it is valid in the past, for clients whose clock is behind.
const SELF_SIGNED_BACKDATED: Duration = Duration::from_secs(24 * 60 * 60);

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is no certificate, or it cannot be read.
    #[error("{place}: no certificate in PEM form ({reason})")]
    BadCertificate {
        /// Where it should be.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// There is no private key, or it cannot be read.
    #[error("{place}: no private key in PEM form ({reason}); an encrypted key must be decrypted first")]
    BadKey {
        /// Where it should be.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// They do not belong together, or rustls does not know their kind.
    #[error("certificate and private key do not fit: {0}")]
    Unfit(String),
    /// None was given.
    #[error("a TLS server needs a certificate")]
    None,
    /// A certificate of our own could not be made.
    #[error("cannot make a certificate for {names}: {reason}")]
    Making {
        /// For which names.
        names: String,
        /// Why.
        reason: String,
    },
}

/// A certificate chain and its private key.
#[derive(Debug, Clone)]
pub struct Identity(Arc<CertifiedKey>);

impl Identity {
    /// From DER: the server's own certificate first, then those of its issuers.
    ///
    /// # Errors
    /// [`IdentityError::Unfit`].
    pub fn from_der(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, IdentityError> {
        if chain.is_empty() {
            return Err(IdentityError::None);
        }
        let key = CertifiedKey::from_der(chain, key, &provider());
        key.map(|key| Identity(Arc::new(key))).map_err(|error| IdentityError::Unfit(error.to_string()))
    }

    /// From the text of two PEM files, which may be one and the same. `place` is named in errors.
    ///
    /// # Errors
    /// [`IdentityError::BadCertificate`], [`IdentityError::BadKey`], [`IdentityError::Unfit`].
    pub fn from_pem(place: &str, chain: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let bad = |reason: String| IdentityError::BadCertificate { place: place.into(), reason };
        let chain: Vec<_> =
            CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().map_err(|error| bad(error.to_string()))?;
        if chain.is_empty() {
            return Err(bad("nothing found".into()));
        }
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| IdentityError::BadKey { place: place.into(), reason: error.to_string() })?;
        Self::from_der(chain, key)
    }

    /// From two PEM files, which may be one and the same.
    ///
    /// # Errors
    /// All of [`IdentityError`] but `None` and `Making`.
    pub fn from_pem_files(chain: &Path, key: &Path) -> Result<Self, IdentityError> {
        let place = if chain == key {
            chain.display().to_string()
        } else {
            format!("{} and {}", chain.display(), key.display())
        };
        Self::from_pem(&place, &read(chain)?, &read(key)?)
    }

    /// The server's own certificate, in DER.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        // `from_der` is the only way here, and an empty chain does not pass it.
        &self.0.cert[0]
    }

    /// The SHA-256 fingerprint of the certificate, as people compare it.
    pub fn fingerprint(&self) -> String {
        fingerprint(self.certificate())
    }

    /// Whether the certificate bears this host name or address (RFC 9525 §6; wildcards count).
    pub fn is_for(&self, host: &str) -> bool {
        let Ok(name) = ServerName::try_from(host) else { return false };
        rustls::server::ParsedCertificate::try_from(self.certificate())
            .is_ok_and(|certificate| rustls::client::verify_server_name(&certificate, &name).is_ok())
    }

    pub(super) fn key(&self) -> &Arc<CertifiedKey> {
        &self.0
    }
}

/// The certificate of our own making in `dir`, for `names` (host names and addresses). It is made (P-256, ten years)
/// when there is none and kept from then on, so that people may pin it: to have it made anew, delete
/// `self-signed.pem`.
///
/// # Errors
/// [`IdentityError::File`] when `dir` cannot be written, [`IdentityError::Making`] for a name that no certificate
/// can bear; and those of [`Identity::from_pem_files`] when what is there was spoilt.
pub fn self_signed(names: &[String], dir: &Path) -> Result<Identity, IdentityError> {
    let (chain, key) = (dir.join("self-signed.pem"), dir.join("self-signed.key"));
    if !(chain.exists() && key.exists()) {
        make(names, &chain, &key)?;
    }
    Identity::from_pem_files(&chain, &key)
}

fn make(names: &[String], chain: &Path, key: &Path) -> Result<(), IdentityError> {
    let (certificate, pair) =
        sign(names).map_err(|error| IdentityError::Making { names: names.join(", "), reason: error.to_string() })?;
    // The key goes first: where a stop comes between the two, the next start finds no certificate and makes both anew.
    let _ = fs::remove_file(chain);
    write(key, 0o600, pair.as_bytes())?;
    write(chain, 0o644, certificate.as_bytes())
}

/// Certificate and key in PEM.
fn sign(names: &[String]) -> Result<(String, String), rcgen::Error> {
    let mut wanted = rcgen::CertificateParams::new(names)?;
    let now = SystemTime::now();
    wanted.not_before = (now - SELF_SIGNED_BACKDATED).into();
    wanted.not_after = (now + SELF_SIGNED_VALID).into();
    wanted.is_ca = rcgen::IsCa::ExplicitNoCa;
    wanted.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    wanted.distinguished_name = rcgen::DistinguishedName::new();
    let title = names.iter().find(|name| name.parse::<IpAddr>().is_err()).map_or("Packetboat", String::as_str);
    wanted.distinguished_name.push(rcgen::DnType::CommonName, title);
    wanted.distinguished_name.push(rcgen::DnType::OrganizationName, "Packetboat, self-signed");
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    Ok((wanted.self_signed(&pair)?.pem(), pair.serialize_pem()))
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, IdentityError> {
    fs::read(path).map_err(|error| IdentityError::File { path: path.into(), error })
}

/// Writes beside and renames, so that nobody reads half a file. The mode holds from the first moment.
fn write(path: &Path, mode: u32, octets: &[u8]) -> Result<(), IdentityError> {
    let beside = path.with_extension("new");
    let _ = fs::remove_file(&beside);
    let mut options = fs::OpenOptions::new();
    let written = options.write(true).create_new(true).mode(mode).open(&beside).and_then(|mut file| {
        file.write_all(octets)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    });
    written.map_err(|error| IdentityError::File { path: path.into(), error })
}

//! A connection to a server: plain or TLS, lines and replies.
//!
//! RFC 5321 §4.2 (replies), 1939 §3 (status indicators), 9051 §4.3 (literals), 3207, 2595.
//!
//! Invariants: no read waits longer than [`PATIENCE`]; an unexpected answer is an error that quotes it;
//! lines end in CRLF, a bare LF is an error.
//! Not here: what is said.

use crate::args::Target;
use anyhow::{Context, Result, bail, ensure};
use memchr::{memchr, memmem, memrchr};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS12;
use rustls::{ALL_VERSIONS, ClientConfig, DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A server that is silent for longer has failed. RFC 5321 §4.5.3.2 allows minutes; nobody benchmarks that.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Room made for one read: small, since ten thousand idlers have one each; reads of content grow it.
const ROOM: usize = 4 * 1024;
/// A content that does not end within this is a mistake.
const CONTENT_MAX: usize = 256 * 1024 * 1024;

/// A connection.
pub struct Wire {
    stream: Stream,
    held: Vec<u8>,
    start: usize,
    room: usize,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// Between the two, or after a failed handshake.
    Gone,
}

/// Where in the dialogue TLS begins.
pub struct Door {
    addresses: Vec<SocketAddr>,
    tls: bool,
    starttls: bool,
    tls12: bool,
    from: Vec<SocketAddr>,
}

impl Door {
    /// Looks the host up, once.
    pub async fn new(target: &Target) -> Result<Door> {
        let addresses: Vec<_> = tokio::net::lookup_host(&target.to).await.context(target.to.clone())?.collect();
        ensure!(!addresses.is_empty(), "{} has no address", target.to);
        let from = target.from.iter().flat_map(|from| from.names());
        let from = from.map(|name| Ok(SocketAddr::new(name.parse()?, 0))).collect::<Result<_>>()?;
        Ok(Door { addresses, tls: target.tls, starttls: target.starttls, tls12: target.tls12, from })
    }

    /// A plain door.
    pub async fn plain(to: &str) -> Result<Door> {
        Door::new(&Target { to: to.to_owned(), tls: false, starttls: false, tls12: false, from: None }).await
    }

    /// Whether the dialogue must ask for TLS.
    pub fn starttls(&self) -> bool {
        self.starttls
    }

    /// TLS for connections that belong together: each resumes the session of an earlier one, as data connections must that
    /// prove whose they are. rustls takes a ticket of TLS 1.3 once (RFC 8446 §C.4), most servers give two on the control
    /// connection, and not all give others on data connections; a session of TLS 1.2 is resumed as often as one likes.
    pub fn resuming(&self) -> Result<Arc<ClientConfig>> {
        let versions = if self.tls12 { &[&TLS12][..] } else { ALL_VERSIONS };
        let mut config = tls_config_of(versions)?;
        config.resumption = Resumption::in_memory_sessions(8);
        Ok(Arc::new(config))
    }

    /// Connects; `nth` chooses among the addresses to connect from.
    pub async fn open(&self, nth: usize) -> Result<Wire> {
        let to = self.addresses[0];
        let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if !self.from.is_empty() {
            socket.set_reuseaddr(true)?;
            socket.bind(self.from[nth % self.from.len()])?;
        }
        let stream =
            tokio::time::timeout(PATIENCE, socket.connect(to)).await?.with_context(|| format!("connecting to {to}"))?;
        stream.set_nodelay(true)?;
        let mut wire = Wire { stream: Stream::Plain(stream), held: Vec::new(), start: 0, room: ROOM };
        if self.tls {
            wire.secure().await?;
        }
        Ok(wire)
    }
}

impl Wire {
    /// Begins TLS, for any certificate.
    pub async fn secure(&mut self) -> Result<()> {
        self.secure_by(tls_config()?).await
    }

    /// Begins TLS by this configuration.
    pub async fn secure_by(&mut self, config: Arc<ClientConfig>) -> Result<()> {
        ensure!(self.start == self.held.len(), "the server spoke before TLS began");
        let Stream::Plain(stream) = std::mem::replace(&mut self.stream, Stream::Gone) else { bail!("TLS within TLS") };
        let name = ServerName::try_from("localhost")?;
        let stream = tokio::time::timeout(PATIENCE, TlsConnector::from(config).connect(name, stream)).await??;
        self.stream = Stream::Tls(Box::new(stream));
        Ok(())
    }

    /// Where the server is.
    pub fn peer(&self) -> Result<SocketAddr> {
        Ok(match &self.stream {
            Stream::Plain(stream) => stream.peer_addr()?,
            Stream::Tls(stream) => stream.get_ref().0.peer_addr()?,
            Stream::Gone => bail!("the connection is gone"),
        })
    }

    /// Sends octets at once.
    pub async fn send(&mut self, octets: &[u8]) -> Result<()> {
        match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(octets).await?,
            Stream::Tls(stream) => {
                stream.write_all(octets).await?;
                stream.flush().await?;
            }
            Stream::Gone => bail!("the connection is gone"),
        }
        Ok(())
    }

    /// The next line, without CRLF.
    pub async fn line(&mut self) -> Result<&[u8]> {
        self.compact();
        let mut looked = self.start;
        let lf = loop {
            if let Some(at) = memchr(b'\n', &self.held[looked..]) {
                break looked + at;
            }
            looked = self.held.len();
            self.fill().await?;
        };
        let line = &self.held[self.start..lf];
        self.start = lf + 1;
        match line.split_last() {
            Some((b'\r', line)) => Ok(line),
            _ => bail!("a line ends in a bare LF: {}", String::from_utf8_lossy(line)),
        }
    }

    /// An SMTP reply of any length that must have this code; the text of its lines.
    pub async fn reply(&mut self, code: &str, to: &str) -> Result<()> {
        loop {
            let line = self.line().await.with_context(|| format!("awaiting the reply to {to}"))?;
            if line.len() < 3 || &line[..3] != code.as_bytes() {
                bail!("{to} was answered {:?}, expected {code}", String::from_utf8_lossy(line));
            }
            match line.get(3) {
                None | Some(b' ') => return Ok(()),
                Some(b'-') => {}
                Some(_) => bail!("{to} was answered by a malformed reply {:?}", String::from_utf8_lossy(line)),
            }
        }
    }

    /// A POP3 `+OK`; what stands behind it.
    pub async fn ok(&mut self, to: &str) -> Result<&[u8]> {
        let line = self.line().await.with_context(|| format!("awaiting the answer to {to}"))?;
        match line.strip_prefix(b"+OK") {
            Some(rest) => Ok(rest.strip_prefix(b" ").unwrap_or(rest)),
            None => bail!("{to} was answered {:?}, expected +OK", String::from_utf8_lossy(line)),
        }
    }

    /// A POP3 multi-line content after its `+OK`, dots still doubled, without the final dot's line.
    pub async fn content(&mut self, to: &str) -> Result<&[u8]> {
        self.ok(to).await?;
        // The CRLF before the content may also begin its end, when it is empty.
        let begin = self.start;
        let mut looked = begin - 2;
        let end = loop {
            if let Some(at) = memmem::find(&self.held[looked..], b"\r\n.\r\n") {
                break looked + at;
            }
            looked = (self.held.len() - 4).max(begin - 2);
            ensure!(self.held.len() - begin < CONTENT_MAX, "the content of {to} does not end");
            self.room = 16 * ROOM;
            self.fill().await.with_context(|| format!("in the content of {to}"))?;
        };
        self.start = end + 5;
        Ok(&self.held[begin..(end + 2).max(begin)])
    }

    /// An IMAP response with its literals (RFC 9051 §4.3), without the last CRLF.
    pub async fn response(&mut self) -> Result<&[u8]> {
        self.compact();
        let (begin, mut looked) = (self.start, self.start);
        loop {
            let Some(lf) = memchr(b'\n', self.held.get(looked..).unwrap_or_default()).map(|at| looked + at) else {
                ensure!(self.held.len() - begin < CONTENT_MAX, "a response does not end");
                looked = looked.max(self.held.len());
                self.room = 16 * ROOM;
                self.fill().await?;
                continue;
            };
            match literal(&self.held[begin..lf])? {
                // What of it is here is not looked at.
                Some(octets) => looked = lf + 1 + octets,
                None => {
                    self.start = lf + 1;
                    return Ok(&self.held[begin..lf - 1]);
                }
            }
        }
    }

    /// The server must say no more and close.
    pub async fn end(&mut self) -> Result<()> {
        self.compact();
        ensure!(self.start == self.held.len(), "the server says more than its farewell");
        match self.read().await {
            Ok(0) => Ok(()),
            Ok(_) => bail!("the server says more after its farewell"),
            // Some servers close TLS without a word; the farewell was said inside, so nothing is lost.
            Err(_) if matches!(self.stream, Stream::Tls(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Forgets what was read, between two looks, so that indices hold still within one.
    fn compact(&mut self) {
        if self.start == self.held.len() {
            self.held.clear();
            self.start = 0;
        } else if self.start > 16 * ROOM {
            self.held.drain(..self.start);
            self.start = 0;
        }
    }

    async fn fill(&mut self) -> Result<()> {
        ensure!(self.read().await? > 0, "the server closed the connection");
        Ok(())
    }

    async fn read(&mut self) -> Result<usize> {
        self.held.reserve(self.room);
        let read = async {
            match &mut self.stream {
                Stream::Plain(stream) => stream.read_buf(&mut self.held).await,
                Stream::Tls(stream) => stream.read_buf(&mut self.held).await,
                Stream::Gone => Ok(0),
            }
        };
        Ok(tokio::time::timeout(PATIENCE, read).await.context("the server is silent")??)
    }
}

/// The length of the literal that a line without its LF ends in.
fn literal(line: &[u8]) -> Result<Option<usize>> {
    let Some(line) = line.strip_suffix(b"\r") else {
        bail!("a line ends in a bare LF: {}", String::from_utf8_lossy(line));
    };
    let Some(line) = line.strip_suffix(b"}") else { return Ok(None) };
    let Some(open) = memrchr(b'{', line) else { return Ok(None) };
    Ok(std::str::from_utf8(&line[open + 1..]).ok().and_then(|octets| octets.parse().ok()))
}

fn tls_config() -> Result<Arc<ClientConfig>> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(config.clone());
    }
    let mut config = tls_config_of(ALL_VERSIONS)?;
    // Every login is a full handshake, so that servers with and without tickets are measured alike.
    config.resumption = Resumption::disabled();
    Ok(CONFIG.get_or_init(|| Arc::new(config)).clone())
}

fn tls_config_of(versions: &[&'static SupportedProtocolVersion]) -> Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    Ok(ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(algorithms)))
        .with_no_client_auth())
}

/// Takes any certificate but checks that the server holds its key: the peers' certificates are made at their start.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

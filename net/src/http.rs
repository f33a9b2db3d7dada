//! One HTTP request and its answer: a POST to somebody who wants to know.
//!
//! RFC 9110, RFC 9112.
//!
//! ```text
//! post ─→ look the host up ─→ connect, address after address ─→ TLS if the URL says https ─→ request ─→ status, some text
//! ```
//!
//! Invariants: all of it ends within one limit; of the answer no more than [`ANSWER_MAX_BYTES`] is kept; a redirect is an
//! answer like any other, and is not followed; a connection serves one request.
//! Not here: what is posted and when again (server).

use std::fmt;
use std::io;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::connect::connect;
use crate::tls::{ClientTls, TlsError};

/// So much of an answer is kept, in octets: enough to say in a log what went wrong.
pub const ANSWER_MAX_BYTES: usize = 2048;
/// How long the text behind the status is waited for.
const TEXT_WAIT: Duration = Duration::from_secs(1);
/// Addresses of one host that are tried.
const ADDRESSES_MAX: usize = 8;

/// Where a request goes: `http://` or `https://`, a host, perhaps a port, a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    uri: Uri,
    host: String,
    port: u16,
    is_tls: bool,
}

/// Why a text is no URL that we could ask.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// It has not the form.
    #[error("it is not a URL of the form https://host/path")]
    Form,
    /// Neither of the two.
    #[error("it must begin with https:// or http://")]
    Scheme,
    /// A name or a password before the host: they would be in every log.
    #[error("it must not hold a name or a password; sign with a secret instead")]
    Credentials,
}

impl Url {
    /// Reads a URL.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Url, BadUrl> {
        let uri: Uri = text.parse().map_err(|_| BadUrl::Form)?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(BadUrl::Scheme),
        };
        let authority = uri.authority().ok_or(BadUrl::Form)?;
        if authority.as_str().contains('@') {
            return Err(BadUrl::Credentials);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_string();
        if host.is_empty() {
            return Err(BadUrl::Form);
        }
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        Ok(Url { host, port, is_tls, uri })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(f)
    }
}

/// What is posted.
#[derive(Debug, Clone)]
pub struct Post<'a> {
    /// Where.
    pub url: &'a Url,
    /// What the body is, and whatever else the receiver is to know.
    pub headers: &'a [(&'static str, String)],
    /// The body.
    pub body: Vec<u8>,
    /// How long all of it may take.
    pub limit: Duration,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// The status: 2xx is yes.
    pub status: u16,
    /// The beginning of the answer.
    pub text: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The host has no address, or none of them answers.
    #[error("{host} cannot be reached: {error}")]
    Unreachable {
        /// The host.
        host: String,
        /// What the system says.
        error: io::Error,
    },
    /// `https` on a machine that trusts nobody.
    #[error("this machine has no certificate authorities, so no certificate can be verified")]
    NoAuthorities,
    /// No TLS with the host.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The connection broke, or what came is not HTTP.
    #[error("the exchange failed: {0}")]
    Exchange(String),
    /// A header that cannot be sent.
    #[error("the request cannot be written: {0}")]
    Request(String),
    /// It took too long.
    #[error("there was no answer within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
}

/// Posts, and waits for the answer; over `tls` if the URL says so.
///
/// # Errors
/// When there is none.
pub async fn post(post: Post<'_>, tls: Option<&ClientTls>) -> Result<Posted, PostError> {
    let limit = post.limit;
    let mut answering = match tokio::time::timeout(limit, exchange(post, tls)).await {
        Ok(answering) => answering?,
        Err(_) => return Err(PostError::TimedOut(limit)),
    };
    let mut text = Vec::new();
    // The status is the answer; what stands behind it is for the log, as far as it comes.
    let _ = tokio::time::timeout(TEXT_WAIT.min(limit), read_beginning(&mut answering.response, &mut text)).await;
    Ok(Posted { status: answering.response.status().as_u16(), text })
}

/// A status is there; the text may be on its way.
struct Answering {
    response: Response<Incoming>,
    /// It moves the octets, and ends with the answer.
    _moving: JoinSet<Result<(), hyper::Error>>,
}

async fn exchange(post: Post<'_>, tls: Option<&ClientTls>) -> Result<Answering, PostError> {
    let request = request(&post)?;
    let tls = match (post.url.is_tls, tls) {
        (true, None) => return Err(PostError::NoAuthorities),
        (is_tls, tls) => tls.filter(|_| is_tls),
    };
    let stream = reach(post.url, post.limit).await?;
    // The octets are few and the answer is awaited.
    let _ = stream.set_nodelay(true);
    match tls {
        Some(tls) => ask(tls.speaking(&["http/1.1"]).connect(stream, &post.url.host).await?.0, request).await,
        None => ask(stream, request).await,
    }
}

fn request(post: &Post<'_>) -> Result<Request<Full<Bytes>>, PostError> {
    // RFC 9112 §3.2.1: the path alone stands in the request's first line, the host has its own.
    let path = post.url.uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = post.url.uri.authority().map_or("", |authority| authority.as_str());
    let mut request = Request::post(path).header("host", authority).header("connection", "close");
    for (name, value) in post.headers {
        request = request.header(*name, value);
    }
    request.body(Full::new(Bytes::from(post.body.clone()))).map_err(|error| PostError::Request(error.to_string()))
}

async fn reach(url: &Url, limit: Duration) -> Result<TcpStream, PostError> {
    let unreachable = |error| PostError::Unreachable { host: url.host.clone(), error };
    let addresses = tokio::net::lookup_host((url.host.as_str(), url.port)).await.map_err(unreachable)?;
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "it has no address");
    for address in addresses.take(ADDRESSES_MAX) {
        match connect(address, limit, None).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(unreachable(failure))
}

async fn ask<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Answering, PostError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| PostError::Exchange(error.to_string());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let mut moving = JoinSet::new();
    moving.spawn(connection);
    let response = sender.send_request(request).await.map_err(broken)?;
    Ok(Answering { response, _moving: moving })
}

async fn read_beginning(response: &mut Response<Incoming>, text: &mut Vec<u8>) {
    while text.len() < ANSWER_MAX_BYTES
        && let Some(Ok(frame)) = response.frame().await
    {
        if let Some(piece) = frame.data_ref() {
            text.extend_from_slice(&piece[..piece.len().min(ANSWER_MAX_BYTES - text.len())]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{Identity, ServerTls, Trust, self_signed};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    const LIMIT: Duration = Duration::from_secs(20);

    fn identity() -> Identity {
        let folder = tempfile::tempdir().expect("a directory");
        self_signed(&["localhost".into(), "127.0.0.1".into()], folder.path()).expect("an identity")
    }

    fn tls(identity: &Identity) -> ClientTls {
        ClientTls::verifying(Trust::Roots(vec![identity.certificate().clone()])).expect("a client's TLS")
    }

    /// Answers one request with these octets, and says what was asked.
    async fn answered(answer: Vec<u8>, limit: Duration) -> (Result<Posted, PostError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut request = Vec::new();
            while !request.ends_with(b"{}") {
                stream.read_buf(&mut request).await.expect("a request");
            }
            stream.write_all(&answer).await.expect("it reads");
            // Open until the client goes: an end would be an answer.
            let _ = stream.read(&mut [0]).await;
            String::from_utf8(request).expect("text")
        });
        let url = Url::parse(&format!("http://127.0.0.1:{port}/in?box=a")).expect("a URL");
        let headers = [("content-type", "application/json".to_string())];
        let posted = post(Post { url: &url, headers: &headers, body: b"{}".to_vec(), limit }, None).await;
        (posted, serving.await.expect("it served"))
    }

    #[tokio::test]
    async fn a_post_and_its_answer() {
        let (posted, asked) = answered(b"HTTP/1.1 503 Later\r\ncontent-length: 4\r\n\r\nlate".to_vec(), LIMIT).await;
        assert_eq!(posted.expect("an answer"), Posted { status: 503, text: b"late".to_vec() });
        assert!(asked.starts_with("POST /in?box=a HTTP/1.1\r\nhost: 127.0.0.1:"), "{asked}");
        assert!(asked.contains("content-type: application/json\r\n") && asked.ends_with("\r\n\r\n{}"), "{asked}");
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_a_long_one_is_cut() {
        // Without a length, the text lasts until the connection ends, which it does not.
        let redirect = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\n\r\ngone".to_vec();
        assert_eq!(
            answered(redirect, LIMIT).await.0.expect("an answer"),
            Posted { status: 302, text: b"gone".to_vec() }
        );
        let mut long = format!("HTTP/1.1 302 Found\r\ncontent-length: {}\r\n\r\n", 1 << 20).into_bytes();
        long.resize(long.len() + ANSWER_MAX_BYTES * 2, b'x');
        let (posted, _) = answered(long, LIMIT).await;
        let posted = posted.expect("an answer");
        assert_eq!((posted.status, posted.text.len()), (302, ANSWER_MAX_BYTES));
    }

    #[tokio::test]
    async fn what_is_not_http_and_what_says_nothing_is_an_error() {
        let (posted, _) = answered(b"220 mail.test ESMTP\r\n".to_vec(), LIMIT).await;
        assert!(matches!(posted, Err(PostError::Exchange(_))), "{posted:?}");
        let (posted, _) = answered(Vec::new(), Duration::from_millis(50)).await;
        assert!(matches!(posted, Err(PostError::TimedOut(_))), "{posted:?}");
    }

    #[tokio::test]
    async fn https_wants_a_certificate_that_verifies() {
        let ours = identity();
        for (trusted, wanted) in [(tls(&ours), Some(204)), (tls(&identity()), None)] {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let port = listener.local_addr().expect("bound").port();
            let server = ServerTls::new(vec![ours.clone()]).expect("a server's TLS");
            tokio::spawn(async move {
                let (stream, _) = listener.accept().await.expect("a client");
                let Ok((mut stream, _)) = server.accept(stream).await else { return };
                let mut request = Vec::new();
                while !request.ends_with(b"{}") {
                    stream.read_buf(&mut request).await.expect("a request");
                }
                let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
                stream.write_all(answer).await.expect("it reads");
                let _ = stream.read(&mut [0]).await;
            });
            let url = Url::parse(&format!("https://localhost:{port}/")).expect("a URL");
            let posted =
                post(Post { url: &url, headers: &[], body: b"{}".to_vec(), limit: LIMIT }, Some(&trusted)).await;
            assert_eq!(posted.map(|posted| posted.status).ok(), wanted);
        }
    }

    #[test]
    fn urls_are_looked_at_before_they_are_used() {
        let place = |text: &str| Url::parse(text).map(|url| (url.host.clone(), url.port, url.is_tls));
        assert_eq!(place("https://hooks.test/a?b"), Ok(("hooks.test".into(), 443, true)));
        assert_eq!(place("http://[::1]:8080/"), Ok(("::1".into(), 8080, false)));
        assert_eq!(place("http://localhost"), Ok(("localhost".into(), 80, false)));
        assert_eq!(place("ftp://a.test/"), Err(BadUrl::Scheme));
        assert_eq!(place("https://me:secret@a.test/"), Err(BadUrl::Credentials));
        assert_eq!(place("/only/a/path"), Err(BadUrl::Scheme));
        assert_eq!(place("http://a b/"), Err(BadUrl::Form));
    }
}

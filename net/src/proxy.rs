//! Making one connection through somebody else.
//!
//! RFC 1928 §3–6 (SOCKS5), RFC 1929 §2 (with a name and a password), RFC 9110 §9.3.6 (CONNECT), RFC 7617 §2 (Basic).
//!
//! ```text
//! connect to the proxy → "to HOST:PORT, please" → it says yes → the stream is as if we had dialled HOST:PORT ourselves
//! ```
//!
//! Invariants: names are looked up by the proxy, so that nobody else hears of them; not an octet is read of what the other end
//! says; a proxy that talks without end comes to one.
//! Not here: when a proxy is used.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use line::{Secret, percent_decoded};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::connect::connect;

/// More than this in front of the connection, in octets, is no answer to CONNECT.
const HEAD_MAX: usize = 16 * 1024;

/// What it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Socks5,
    Http,
}

/// Somebody who connects for us.
#[derive(Debug, Clone)]
pub struct Proxy {
    kind: Kind,
    host: String,
    port: u16,
    /// Who we are to it.
    login: Option<(String, Secret)>,
}

/// A proxy that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a proxy is written socks5://host:port or http://host:port, perhaps with name:password@ before the host")]
pub struct BadProxy;

impl FromStr for Proxy {
    type Err = BadProxy;

    fn from_str(text: &str) -> Result<Self, BadProxy> {
        let (scheme, rest) = text.split_once("://").ok_or(BadProxy)?;
        // What others call socks5h is what we always do.
        let (kind, usual) = match scheme.to_ascii_lowercase().as_str() {
            "socks5" | "socks5h" | "socks" => (Kind::Socks5, 1080),
            "http" => (Kind::Http, 3128),
            _ => return Err(BadProxy),
        };
        let rest = rest.split('/').next().unwrap_or(rest);
        let (login, place) = rest.rsplit_once('@').map_or((None, rest), |(login, place)| (Some(login), place));
        let (host, port) = match place.strip_prefix('[') {
            Some(inside) => inside.split_once(']').ok_or(BadProxy)?,
            None => place.split_at(place.find(':').unwrap_or(place.len())),
        };
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or(BadProxy)?,
            None if port.is_empty() => usual,
            None => return Err(BadProxy),
        };
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(BadProxy);
        }
        let login = match login {
            Some(login) => {
                let (name, password) = login.split_once(':').unwrap_or((login, ""));
                Some((decoded(name)?, Secret::new(decoded(password)?)))
            }
            None => None,
        };
        Ok(Proxy { kind, host: host.into(), port, login })
    }
}

impl fmt::Display for Proxy {
    /// Without the login.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Proxy {
    /// Whether what is said to it stays on this machine.
    pub fn is_on_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|host| host.to_canonical().is_loopback())
    }

    /// Connects to a port of `host`, a name or an address, within `limit`.
    ///
    /// # Errors
    /// What the system says, or the proxy.
    pub async fn connect(&self, host: &str, port: u16, limit: Duration) -> io::Result<TcpStream> {
        let connected = tokio::time::timeout(limit, async {
            let mut stream = self.reach(limit).await?;
            match self.kind {
                Kind::Socks5 => self.ask_socks(&mut stream, host, port).await,
                Kind::Http => self.ask_http(&mut stream, host, port).await,
            }?;
            Ok::<_, io::Error>(stream)
        });
        let said = |why: &dyn fmt::Display| format!("by the proxy {self}: {why}");
        match connected.await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(io::Error::new(io::ErrorKind::ConnectionAborted, said(&"it hung up")))
            }
            Ok(Err(error)) => Err(io::Error::new(error.kind(), said(&error))),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, said(&"no answer in time"))),
        }
    }

    async fn reach(&self, limit: Duration) -> io::Result<TcpStream> {
        let mut why = io::Error::new(io::ErrorKind::NotFound, "it has no address");
        let found: Vec<SocketAddr> = tokio::net::lookup_host((self.host.as_str(), self.port)).await?.collect();
        for address in found {
            match connect(address, limit, None).await {
                Ok(stream) => return Ok(stream),
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    /// RFC 1928.
    async fn ask_socks(&self, stream: &mut TcpStream, host: &str, port: u16) -> io::Result<()> {
        let offered: &[u8] = if self.login.is_some() { &[5, 2, 0, 2] } else { &[5, 1, 0] };
        stream.write_all(offered).await?;
        match read::<2>(stream).await? {
            [5, 0] => {}
            [5, 2] => self.log_in_socks(stream).await?,
            [5, _] if self.login.is_none() => return Err(refused("it wants a name and a password")),
            [5, _] => return Err(refused("it does not want a name and a password")),
            _ => return Err(wrong("it does not speak SOCKS5")),
        }
        stream.write_all(&socks_request(host, port)?).await?;
        let [version, reply, _, kind] = read::<4>(stream).await?;
        if version != 5 {
            return Err(wrong("it does not speak SOCKS5"));
        }
        if reply != 0 {
            return Err(refused(socks_refusal(reply)));
        }
        // Where it has connected from tells us nothing.
        match kind {
            1 => drop(read::<6>(stream).await?),
            4 => drop(read::<18>(stream).await?),
            3 => {
                let [length] = read::<1>(stream).await?;
                stream.read_exact(&mut vec![0; usize::from(length) + 2]).await?;
            }
            _ => return Err(wrong("it does not speak SOCKS5")),
        }
        Ok(())
    }

    /// RFC 1929 §2.
    async fn log_in_socks(&self, stream: &mut TcpStream) -> io::Result<()> {
        let Some((name, password)) = &self.login else { return Err(wrong("it does not speak SOCKS5")) };
        let mut request = vec![1];
        for part in [name.as_bytes(), password.reveal()] {
            let length = u8::try_from(part.len()).map_err(|_| wrong("the name or the password is too long for it"))?;
            request.push(length);
            request.extend_from_slice(part);
        }
        stream.write_all(&request).await?;
        match read::<2>(stream).await? {
            [_, 0] => Ok(()),
            _ => Err(refused("it refuses the name or the password")),
        }
    }

    /// RFC 9110 §9.3.6.
    async fn ask_http(&self, stream: &mut TcpStream, host: &str, port: u16) -> io::Result<()> {
        let place = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let login = self.login.as_ref().map_or(String::new(), |(name, password)| {
            let pair = [name.as_bytes(), b":", password.reveal()].concat();
            format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(pair))
        });
        stream.write_all(format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{login}\r\n").as_bytes()).await?;
        let head = read_head(stream).await?;
        let status = head.lines().next().unwrap_or_default();
        match status.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..)) {
            Some(code) if code.starts_with('2') => Ok(()),
            Some(code) => Err(refused(&code.escape_default().to_string())),
            None => Err(wrong("it does not speak HTTP")),
        }
    }
}

/// A name or an address, and a port (RFC 1928 §4).
fn socks_request(host: &str, port: u16) -> io::Result<Vec<u8>> {
    let mut request = vec![5, 1, 0];
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => {
            request.push(1);
            request.extend_from_slice(&address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            request.push(4);
            request.extend_from_slice(&address.octets());
        }
        Err(_) => {
            let length = u8::try_from(host.len()).map_err(|_| wrong("the host's name is too long for it"))?;
            request.extend_from_slice(&[3, length]);
            request.extend_from_slice(host.as_bytes());
        }
    }
    request.extend_from_slice(&port.to_be_bytes());
    Ok(request)
}

/// RFC 1928 §6.
fn socks_refusal(reply: u8) -> &'static str {
    match reply {
        2 => "its rules do not allow that",
        3 => "the network cannot be reached",
        4 => "the host cannot be reached",
        5 => "the connection was refused",
        6 => "the way is too long",
        7 | 8 => "it cannot do that",
        _ => "it failed",
    }
}

async fn read<const N: usize>(stream: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut octets = [0; N];
    stream.read_exact(&mut octets).await?;
    Ok(octets)
}

/// Up to the empty line, and no further: what follows is the other end's.
async fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == HEAD_MAX {
            return Err(wrong("its answer has no end"));
        }
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionRefused, why.to_owned())
}

fn wrong(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

fn decoded(text: &str) -> Result<String, BadProxy> {
    percent_decoded(text).and_then(|octets| String::from_utf8(octets).ok()).ok_or(BadProxy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    const LIMIT: Duration = Duration::from_secs(20);

    #[test]
    fn what_is_written_is_understood() {
        let proxy: Proxy = "socks5h://bob:hun%3Agry@[::1]:1081/".parse().expect("a proxy");
        assert_eq!((proxy.kind, proxy.to_string(), proxy.is_on_loopback()), (Kind::Socks5, "::1:1081".into(), true));
        assert!(proxy.login.is_some_and(|(name, password)| name == "bob" && password.reveal() == b"hun:gry"));
        let proxy: Proxy = "HTTP://proxy.test".parse().expect("a proxy");
        assert_eq!((proxy.kind, proxy.port, proxy.is_on_loopback()), (Kind::Http, 3128, false));
        for text in ["proxy:1080", "ftp://a", "socks5://", "socks5://a:0", "http://a:b", "http://%zz@a", "http://[a"] {
            assert_eq!(text.parse::<Proxy>().map(|_| ()), Err(BadProxy), "{text}");
        }
    }

    /// A proxy that hears this and says that, and what came of it: what was said to whom it connected to.
    async fn through(url: &str, host: &str, dialogue: &'static [(&[u8], &[u8])]) -> io::Result<Vec<u8>> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let port = listener.local_addr().expect("bound").port();
        let played = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("accepted");
            for (heard, said) in dialogue {
                let mut octets = vec![0; heard.len()];
                if stream.read_exact(&mut octets).await.is_err() {
                    return;
                }
                assert_eq!(octets.escape_ascii().to_string(), heard.escape_ascii().to_string());
                stream.write_all(said).await.expect("written");
            }
        });
        let proxy: Proxy = url.replace("PORT", &port.to_string()).parse().expect("a proxy");
        let connected = proxy.connect(host, 21, LIMIT).await;
        let heard = match connected {
            Ok(mut stream) => {
                let mut heard = Vec::new();
                stream.read_to_end(&mut heard).await.map(|_| heard)
            }
            Err(error) => Err(error),
        };
        played.await.expect("as it was written");
        heard
    }

    #[tokio::test]
    async fn socks_connects_to_names_and_addresses() {
        let heard = through(
            "socks5://127.0.0.1:PORT",
            "ftp.test",
            &[
                (b"\x05\x01\x00", b"\x05\x00"),
                (b"\x05\x01\x00\x03\x08ftp.test\x00\x15", b"\x05\x00\x00\x01\x01\x02\x03\x04\x00\x05220 ready\r\n"),
            ],
        );
        assert_eq!(heard.await.expect("connected"), b"220 ready\r\n");
        let heard = through(
            "socks5://bob:hungry@127.0.0.1:PORT",
            "192.0.2.1",
            &[
                (b"\x05\x02\x00\x02", b"\x05\x02"),
                (b"\x01\x03bob\x06hungry", b"\x01\x00"),
                (b"\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x15", b"\x05\x00\x00\x03\x01a\x00\x00220 x"),
            ],
        );
        assert_eq!(heard.await.expect("connected"), b"220 x");
    }

    #[tokio::test]
    async fn http_connects() {
        let heard = through(
            "http://bob:hungry@127.0.0.1:PORT",
            "::1",
            &[(
                b"CONNECT [::1]:21 HTTP/1.1\r\nHost: [::1]:21\r\nProxy-Authorization: Basic Ym9iOmh1bmdyeQ==\r\n\r\n",
                b"HTTP/1.0 200 Connection established\r\nVia: x\r\n\r\n220 ready\r\n",
            )],
        );
        assert_eq!(heard.await.expect("connected"), b"220 ready\r\n");
    }

    #[tokio::test]
    async fn what_it_refuses_is_said() {
        let refused = [
            through("socks5://127.0.0.1:PORT", "h", &[(b"\x05\x01\x00", b"\x05\xff")]).await,
            through(
                "socks5://a:b@127.0.0.1:PORT",
                "h",
                &[(b"\x05\x02\x00\x02", b"\x05\x02"), (b"\x01\x01a\x01b", b"\x01\x01")],
            )
            .await,
            through(
                "socks5://127.0.0.1:PORT",
                "h",
                &[(b"\x05\x01\x00", b"\x05\x00"), (b"\x05\x01\x00\x03\x01h\x00\x15", b"\x05\x05\x00\x01")],
            )
            .await,
            through("http://127.0.0.1:PORT", "h", &[(b"CONNECT h:21 HTTP/1.1\r\n", b"HTTP/1.1 403 No\r\n\r\n")]).await,
            through("http://127.0.0.1:PORT", "h", &[(b"CONNECT h:21 HTTP/1.1\r\n", b"220 FTP\r\n\r\n")]).await,
            through("socks5://127.0.0.1:PORT", "h", &[(b"\x05\x01\x00", b"HT")]).await,
        ];
        let words = ["wants a name", "refuses the name", "was refused", "403 No", "not speak HTTP", "not speak SOCKS5"];
        for (heard, word) in refused.into_iter().zip(words) {
            let error = heard.expect_err("refused").to_string();
            assert!(error.contains(word) && error.starts_with("by the proxy 127.0.0.1:"), "{error}");
        }
    }

    #[tokio::test]
    async fn who_hangs_up_or_has_no_end_comes_to_one() {
        let error = through("socks5://127.0.0.1:PORT", "h", &[(b"\x05\x01\x00", b"\x05")]).await.expect_err("cut");
        assert!(error.to_string().contains("hung up"), "{error}");
        const ENDLESS: &[u8] = &[b'x'; HEAD_MAX + 1];
        let error = through("http://127.0.0.1:PORT", "h", &[(b"CONNECT", ENDLESS)]).await.expect_err("no end");
        assert!(error.to_string().contains("no end"), "{error}");
    }
}

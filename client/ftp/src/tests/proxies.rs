//! Through a proxy: the dialogue, and data.

use super::{Habits, Server};
use crate::{Connection, Fetch, Safety, Site, Url};
use net::{ClientTls, Proxy};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a proxy speaks.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Socks,
    SocksWithPassword,
    Http,
    HttpWithPassword,
}

impl Kind {
    fn url(self, address: SocketAddr) -> String {
        match self {
            Kind::Socks => format!("socks5://{address}"),
            Kind::SocksWithPassword => format!("socks5://bob:hungry@{address}"),
            Kind::Http => format!("http://{address}"),
            Kind::HttpWithPassword => format!("http://bob:hungry@{address}"),
        }
    }

    /// To which port it shall lead; the client is told that it does.
    async fn hear(self, stream: &mut TcpStream) -> std::io::Result<u16> {
        match self {
            Kind::Socks => {
                expect(stream, b"\x05\x01\x00").await?;
                stream.write_all(b"\x05\x00").await?;
            }
            Kind::SocksWithPassword => {
                expect(stream, b"\x05\x02\x00\x02").await?;
                stream.write_all(b"\x05\x02").await?;
                expect(stream, b"\x01\x03bob\x06hungry").await?;
                stream.write_all(b"\x01\x00").await?;
            }
            Kind::Http | Kind::HttpWithPassword => return self.hear_http(stream).await,
        }
        expect(stream, b"\x05\x01\x00\x03\x12ftp.hamburger.test").await?;
        let port = stream.read_u16().await?;
        stream.write_all(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00").await?;
        Ok(port)
    }

    async fn hear_http(self, stream: &mut TcpStream) -> std::io::Result<u16> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8(head).expect("text");
        let logs_in = head.contains("\r\nProxy-Authorization: Basic Ym9iOmh1bmdyeQ==\r\n");
        assert_eq!(logs_in, matches!(self, Kind::HttpWithPassword), "{head}");
        let rest = head.strip_prefix("CONNECT ftp.hamburger.test:").expect("CONNECT");
        stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
        Ok(rest.split(' ').next().and_then(|port| port.parse().ok()).expect("a port"))
    }
}

async fn expect(stream: &mut TcpStream, said: &[u8]) -> std::io::Result<()> {
    let mut heard = vec![0; said.len()];
    stream.read_exact(&mut heard).await?;
    assert_eq!(heard.escape_ascii().to_string(), said.escape_ascii().to_string());
    Ok(())
}

/// A proxy that leads to loopback, and counts.
async fn proxy(kind: Kind) -> (Proxy, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let url = kind.url(listener.local_addr().expect("bound"));
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counted = counted.clone();
            tokio::spawn(async move {
                let port = kind.hear(&mut stream).await?;
                counted.fetch_add(1, Ordering::SeqCst);
                let mut other = TcpStream::connect(("127.0.0.1", port)).await?;
                tokio::io::copy_bidirectional(&mut stream, &mut other).await
            });
        }
    });
    (url.parse().expect("a proxy"), count)
}

#[tokio::test]
async fn the_dialogue_and_data_go_through_it() {
    let folder = tempfile::tempdir().expect("a folder");
    for kind in [Kind::Socks, Kind::SocksWithPassword, Kind::Http, Kind::HttpWithPassword] {
        for foreign_address in [false, true] {
            let server = Server::start(Habits { foreign_address, ..Habits::default() }, &[("menu", b"good")]).await;
            let (proxy, count) = proxy(kind).await;
            // No name server knows it: the proxy is asked.
            let site = Site { host: "ftp.hamburger.test".into(), ..server.site() }.through(proxy);
            let mut connection = Connection::open(&site).await.expect("open");
            connection.fetch(b"menu", &folder.path().join("menu"), &Fetch::default()).await.expect("fetched");
            connection.quit().await;
            assert_eq!(count.load(Ordering::SeqCst), 2, "{kind:?}");
        }
    }
}

#[test]
fn what_is_loopback_for_a_proxy_is_not_ours() {
    let url: Url = "ftp://bob@localhost/".parse().expect("a URL");
    let nobody = ClientTls::pinned(&"0".repeat(64)).expect("a fingerprint");
    let site = Site::with_tls(&url, "hungry", nobody);
    let through = |proxy: &str| site.clone().through(proxy.parse().expect("a proxy")).safety;
    assert_eq!(through("socks5://127.0.0.1:1"), Safety::IfOffered);
    assert_eq!(through("socks5://proxy.test:1"), Safety::Required);
}

//! Through a proxy: the dialogue, and data.

use super::{Habits, Server};
use crate::{Connection, Fetch, Safety, Site, Url};
use net::{ClientTls, Proxy};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A SOCKS5 proxy that leads to loopback, whatever the name, and counts.
async fn proxy() -> (Proxy, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let url = format!("socks5://{}", listener.local_addr().expect("bound"));
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(carry(stream));
        }
    });
    (url.parse().expect("a proxy"), count)
}

async fn carry(mut stream: TcpStream) -> std::io::Result<()> {
    stream.read_exact(&mut [0; 3]).await?;
    stream.write_all(b"\x05\x00").await?;
    let mut head = [0; 5];
    stream.read_exact(&mut head).await?;
    let mut name = vec![0; head[4].into()];
    stream.read_exact(&mut name).await?;
    assert_eq!(name, b"ftp.hamburger.test");
    let port = stream.read_u16().await?;
    let mut other = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00").await?;
    tokio::io::copy_bidirectional(&mut stream, &mut other).await.map(drop)
}

#[tokio::test]
async fn the_dialogue_and_data_go_through_it() {
    let folder = tempfile::tempdir().expect("a folder");
    for foreign_address in [false, true] {
        let server = Server::start(Habits { foreign_address, ..Habits::default() }, &[("menu", b"good")]).await;
        let (proxy, count) = proxy().await;
        // No name server knows it: the proxy is asked.
        let site = Site { host: "ftp.hamburger.test".into(), ..server.site() }.through(proxy);
        let mut connection = Connection::open(&site).await.expect("open");
        connection.fetch(b"menu", &folder.path().join("menu"), &Fetch::default()).await.expect("fetched");
        connection.quit().await;
        assert_eq!(count.load(Ordering::SeqCst), 2);
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

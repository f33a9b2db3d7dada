//! Making one connection.
//!
//! Which of several addresses is tried, and in which order, is the caller's decision (RFC 5321 §5.1).
//!
//! Invariants: an attempt ends within its time.
//! Not here: names (dns), TLS (drive).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};

/// Connects to `address` within `limit`, from `source` if it is given.
///
/// # Errors
/// What the system says; [`io::ErrorKind::TimedOut`] when `limit` is over;
/// [`io::ErrorKind::InvalidInput`] when `source` is of the other family than `address`.
pub async fn connect(address: SocketAddr, limit: Duration, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if let Some(source) = source {
        if source.is_ipv4() != address.is_ipv4() {
            let sentence = format!("cannot reach {address} from {source}: one is IPv4, the other IPv6");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, sentence));
        }
        // To bind is to search for a port that no connection had for a minute (TIME_WAIT), whoever it was with: after ten
        // thousand files nothing costs more. To connect finds one that is free for this peer, at once.
        if usual_source(address) != Some(source) {
            socket.bind(SocketAddr::new(source, 0))?;
        }
    }
    match tokio::time::timeout(limit, socket.connect(address)).await {
        Ok(connected) => connected,
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("{address} did not answer within {} s", limit.as_secs_f32()),
        )),
    }
}

/// From which of its addresses the system would go there; `None` if it would not, or does not tell. To ask it by UDP sends nothing.
pub fn usual_source(address: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let probe = UdpSocket::bind((any, 0)).ok()?;
    probe.connect(address).ok()?;
    Some(probe.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn connects_from_the_source_it_is_given() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("bound");
        // The one that the system would take itself, and another.
        for source in ["127.0.0.1", "127.0.0.7"] {
            let source: IpAddr = source.parse().expect("an address");
            let ours = connect(address, LIMIT, Some(source)).await.expect("connected");
            let (_theirs, peer) = listener.accept().await.expect("accepted");
            assert_eq!(peer, ours.local_addr().expect("connected"));
            assert_eq!(peer.ip(), source);
        }
    }

    #[test]
    fn the_system_has_a_source_for_each_peer() {
        let source = usual_source("127.0.0.9:9".parse().expect("an address"));
        assert_eq!(source, Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }

    #[tokio::test]
    async fn families_do_not_mix() {
        let source: IpAddr = "::1".parse().expect("an address");
        let address = "127.0.0.1:1".parse().expect("an address");
        let error = connect(address, LIMIT, Some(source)).await.expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[tokio::test]
    async fn a_closed_port_is_an_error() {
        let free = {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
            listener.local_addr().expect("bound")
        };
        let error = connect(free, LIMIT, None).await.expect_err("nobody listens");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}

//! A port that waits for one client.
//!
//! Invariants: it listens on the address that the client has dialled, and hands out no connection from elsewhere, unless
//! somebody else was invited; strangers are closed, not waited upon, and do not keep the client out.
//! Not here: what is said about it on the control connection.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

/// Connections that may wait to be taken: the client's, and a few strangers before it.
const BACKLOG: i32 = 8;

/// So many ports of the range are tried before we give up; with half of them taken, the chance to fail is one in a million.
const TRIES: usize = 20;

/// So many connections of strangers are closed before we stop waiting for the client.
const STRANGERS_MAX: usize = 100;

/// Ports to listen on, first and last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// `None` if there is no port in it, or one below 1024.
    pub fn new(first: u16, last: u16) -> Option<Self> {
        (1024 <= first && first <= last).then_some(PortRange { first, last })
    }

    /// Whether this port is one of them.
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// How many they are.
    pub fn ports(self) -> u32 {
        u32::from(self.last - self.first) + 1
    }

    /// The port that this random number means.
    fn port(self, chance: u64) -> u16 {
        self.first + u16::try_from(chance % u64::from(self.ports())).unwrap_or(0)
    }
}

impl FromStr for PortRange {
    type Err = ();

    /// `50000-50999`
    fn from_str(text: &str) -> Result<Self, ()> {
        let (first, last) = text.split_once('-').ok_or(())?;
        let port = |text: &str| text.trim().parse().map_err(|_| ());
        PortRange::new(port(first)?, port(last)?).ok_or(())
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// A port that waits for one client.
#[derive(Debug)]
pub struct DataPort {
    socket: TcpListener,
    address: SocketAddr,
    client: Option<IpAddr>,
    strangers: usize,
}

impl DataPort {
    /// Listens at the address of `local`, on a port of the range or on any that the system gives, for a client at this
    /// address, or, if there is none, for whoever comes first. `chance` gives random numbers. To be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::AddrInUse`] if no port of the range was free.
    pub fn open(
        local: SocketAddr,
        range: Option<PortRange>,
        client: Option<IpAddr>,
        mut chance: impl FnMut() -> u64,
    ) -> io::Result<Self> {
        let mut tries = 0;
        loop {
            let mut address = local;
            // Without a range the system chooses, which it does by chance (RFC 6056).
            address.set_port(range.map_or(0, |range| range.port(chance())));
            match listen(address) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && range.is_some() && tries < TRIES => {
                    tries += 1
                }
                Err(error) => return Err(error),
                Ok(socket) => {
                    let address = socket.local_addr()?;
                    let client = client.map(|client| client.to_canonical());
                    return Ok(DataPort { socket, address, client, strangers: 0 });
                }
            }
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether somebody else than the client has come so far.
    pub fn met_strangers(&self) -> bool {
        self.strangers > 0
    }

    /// The client, if it is there already.
    ///
    /// # Errors
    /// What the system says.
    pub fn look(&mut self) -> io::Result<Option<TcpStream>> {
        loop {
            let accepted = SockRef::from(&self.socket).accept();
            let (socket, peer) = match accepted {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                other => other?,
            };
            socket.set_nonblocking(true)?;
            let stream = TcpStream::from_std(socket.into())?;
            if let Some(stream) = self.admit(stream, peer.as_socket())? {
                return Ok(Some(stream));
            }
        }
    }

    /// Waits for the client.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`]; [`io::ErrorKind::PermissionDenied`] if only others came, and many; what the system says.
    pub async fn wait(&mut self, limit: Duration) -> io::Result<TcpStream> {
        let arrived = async {
            loop {
                let (stream, peer) = self.socket.accept().await?;
                if let Some(stream) = self.admit(stream, Some(peer))? {
                    return Ok(stream);
                }
            }
        };
        tokio::time::timeout(limit, arrived).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// RFC 2577 §4: who comes from elsewhere than the control connection is not the client.
    fn admit(&mut self, stream: TcpStream, peer: Option<SocketAddr>) -> io::Result<Option<TcpStream>> {
        let Some(client) = self.client else { return Ok(Some(stream)) };
        if peer.is_some_and(|peer| peer.ip().to_canonical() == client) {
            return Ok(Some(stream));
        }
        tracing::warn!(port = self.address.port(), %client, ?peer, "closed a stranger's data connection");
        self.strangers += 1;
        if self.strangers < STRANGERS_MAX { Ok(None) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of the transfer before may be on their way out still.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

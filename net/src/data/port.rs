//! A port that waits for one client.
//!
//! Invariants: it listens on the address that the client has dialled, and hands out no connection from elsewhere, unless
//! somebody else was invited; strangers are closed, not waited upon, and do not keep the client out.
//! Not here: what is said about it on the control connection.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::str::FromStr;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

/// Where we look for a port where no range was given. The system would choose, too, but passes over all ports that
/// connections of the last minute have had (TIME_WAIT): after ten thousand files it searches long, and then finds none.
const ANY: PortRange = PortRange { first: 32_768, last: 60_999 };

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
    socket: Socket,
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
            address.set_port(match range {
                Some(range) => range.port(chance()),
                None if tries < TRIES => ANY.port(chance()),
                None => 0,
            });
            match listen(address) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && address.port() != 0 && tries < TRIES => {
                    tries += 1
                }
                Err(error) => return Err(error),
                Ok(socket) => {
                    if address.port() == 0 {
                        address = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
                    }
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
    pub fn look(&mut self) -> io::Result<Option<std::net::TcpStream>> {
        loop {
            match accept(&self.socket) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
                Ok((socket, peer)) => {
                    if self.admits(peer)? {
                        return Ok(Some(socket.into()));
                    }
                }
            }
        }
    }

    /// Waits for the client.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`]; [`io::ErrorKind::PermissionDenied`] if only others came, and many; what the system says.
    pub async fn wait(&mut self, limit: Duration) -> io::Result<TcpStream> {
        // Most clients have come before they are waited for, and then the reactor need not know of the port.
        let listener = TcpListener::from_std(self.socket.try_clone()?.into())?;
        let arrived = async {
            loop {
                let (stream, peer) = listener.accept().await?;
                if self.admits(Some(peer))? {
                    return Ok(stream);
                }
            }
        };
        tokio::time::timeout(limit, arrived).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// RFC 2577 §4: who comes from elsewhere than the control connection is not the client.
    fn admits(&mut self, peer: Option<SocketAddr>) -> io::Result<bool> {
        let Some(client) = self.client else { return Ok(true) };
        if peer.is_some_and(|peer| peer.ip().to_canonical() == client) {
            return Ok(true);
        }
        tracing::warn!(port = self.address.port(), %client, ?peer, "closed a stranger's data connection");
        self.strangers += 1;
        if self.strangers < STRANGERS_MAX { Ok(false) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }
}

fn listen(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    // Connections of the transfer before may be on their way out still.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn accept(socket: &Socket) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
    loop {
        match acceptfrom_with(socket, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Err(Errno::INTR | Errno::CONNABORTED) => {}
            accepted => {
                let (socket, peer) = accepted?;
                return Ok((socket, peer.and_then(|peer| peer.try_into().ok())));
            }
        }
    }
}

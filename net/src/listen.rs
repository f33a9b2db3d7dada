//! Taking connections in: binding, counting, refusing, and ending in good order.
//!
//! ```text
//! accept ─ total? ─ (PROXY header, where the source is trusted) ─ banned? ─ per address? ─→ welcome(visitor)
//!             └──────────────────────────── Refusal: a short text, then closed ───────────┘
//! ```
//!
//! Invariants: a seat is held as long as its connection's task lives; one connection's panic ends that one;
//! a system short of handles or memory is a pause, not an end; whoever is refused costs no more than a small task.
//! Not here: what is said to visitors (drive), who is banned (policy).

mod proxy;
mod seats;

#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinError, JoinSet};

use crate::drive::left;
pub use proxy::{Proxied, ProxyError, ProxyHeader};
pub use seats::{Network, Seat, Seats};

/// Connections the system may hold ready for us; more than arrive between two turns of the loop under any load
/// that we could serve.
const BACKLOG: i32 = 1024;

/// How long nothing is accepted when the system has no more handles or memory.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(100);

/// How long a proxy may take to say for whom it connects. It speaks first and at once.
const PROXY_LIMIT: Duration = Duration::from_secs(5);

/// How long a refused visitor may take to read why.
const REFUSAL_LIMIT: Duration = Duration::from_secs(2);

/// So many refused visitors are told why at a time; more are just closed.
const REFUSALS_MAX: usize = 64;

/// Why a port cannot be listened on, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another program has it.
    #[error(
        "{address} is in use by another program: stop that program (`ss -ltnp 'sport = :{port}'` shows it) \
         or choose another port", port = address.port()
    )]
    InUse {
        /// Where we wanted to listen.
        address: SocketAddr,
    },
    /// Ports below 1024 are for the privileged.
    #[error(
        "not allowed to listen on {address}: ports below 1024 need a privilege; start as root, grant \
         CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE), or choose a port from 1024 on"
    )]
    NotAllowed {
        /// Where we wanted to listen.
        address: SocketAddr,
    },
    /// The machine does not have this address.
    #[error("{address} is not an address of this machine: use one that it has, or 0.0.0.0 or [::] for all of them")]
    NotOurs {
        /// Where we wanted to listen.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("cannot listen on {address}: {error}")]
    Failed {
        /// Where we wanted to listen.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
}

/// Why a visitor is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There are too many connections in all.
    Full,
    /// There are too many from this visitor's network.
    FullForNetwork,
    /// The gatekeeper said no.
    Banned,
}

/// Says whether an address may come in.
pub type Gatekeeper = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// Says what a refused visitor reads: a greeting of the protocol that says no, or nothing (before implicit TLS).
pub type RefusalText = Arc<dyn Fn(Refusal) -> Vec<u8> + Send + Sync>;

/// The rules at the door of one listener.
#[derive(Clone)]
pub struct Door {
    /// Room for visitors; shared by all listeners that share a limit.
    pub seats: Seats,
    /// Who may come in.
    pub gatekeeper: Gatekeeper,
    /// What others are told.
    pub refusal: RefusalText,
    /// Networks whose connections begin with a PROXY header, naming the true visitor. A header from anywhere else
    /// is input like any other. Empty: there is no proxy.
    pub proxies: Arc<[Network]>,
}

impl Door {
    /// Open to all, while there are seats; refuses without a word.
    pub fn new(seats: Seats) -> Self {
        Door { seats, gatekeeper: Arc::new(|_| true), refusal: Arc::new(|_| Vec::new()), proxies: Arc::new([]) }
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("seats", &self.seats).field("proxies", &self.proxies).finish_non_exhaustive()
    }
}

/// A connection that was let in.
#[derive(Debug)]
pub struct Visitor {
    /// The connection.
    pub stream: TcpStream,
    /// Who it is: the peer, or whom a trusted proxy named. IPv4 is IPv4, never mapped into IPv6.
    pub peer: SocketAddr,
    /// The address that was connected to, likewise.
    pub local: SocketAddr,
}

/// A port that is listened on.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Listens on `address`; port 0 takes a free one. `[::]` means IPv6 alone, so that `0.0.0.0` can stand beside it.
    /// To be called within a tokio runtime.
    ///
    /// # Errors
    /// [`BindError`], which says what to do.
    pub fn bind(address: SocketAddr) -> Result<Self, BindError> {
        bind(address).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse { address },
            io::ErrorKind::PermissionDenied if address.port() < 1024 => BindError::NotAllowed { address },
            io::ErrorKind::AddrNotAvailable => BindError::NotOurs { address },
            _ => BindError::Failed { address, error },
        })
    }

    /// Where it listens, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets visitors in through `door` and gives each to `welcome`, in a task of its own. When `leaving` turns true,
    /// nobody is let in any more; this ends when the last visitor has gone. When its sender is gone it never turns true.
    pub async fn serve<W, F>(self, door: Door, welcome: W, leaving: watch::Receiver<bool>)
    where
        W: Fn(Visitor) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let (mut tasks, welcome) = (JoinSet::new(), Arc::new(welcome));
        let told = Arc::new(Semaphore::new(REFUSALS_MAX));
        let mut left = std::pin::pin!(left(leaving));
        loop {
            tokio::select! {
                biased;
                () = &mut left => break,
                Some(ended) = tasks.join_next() => report(ended),
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, peer)) => self.arrive(stream, peer, &door, &welcome, &told, &mut tasks),
                    Err(error) => self.pause(&error).await,
                },
            }
        }
        drop(self.socket);
        while let Some(ended) = tasks.join_next().await {
            report(ended);
        }
    }

    fn arrive<W, F>(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        door: &Door,
        welcome: &Arc<W>,
        told: &Arc<Semaphore>,
        tasks: &mut JoinSet<()>,
    ) where
        W: Fn(Visitor) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let local = stream.local_addr().map_or(self.address, canonical);
        let visitor = Visitor { stream, peer: canonical(peer), local };
        let Some(seat) = door.seats.take() else {
            refuse(visitor, door, Refusal::Full, told, tasks);
            return;
        };
        if door.proxies.iter().any(|network| network.contains(visitor.peer.ip())) {
            let (door, welcome) = (door.clone(), Arc::clone(welcome));
            tasks.spawn(async move {
                let Some(visitor) = unmask(visitor).await else { return };
                match admit(visitor.peer.ip(), seat, &door) {
                    Ok(seat) => hold(seat, welcome, visitor).await,
                    Err(refusal) => tell(visitor.stream, (door.refusal)(refusal)).await,
                }
            });
            return;
        }
        match admit(visitor.peer.ip(), seat, door) {
            Ok(seat) => drop(tasks.spawn(hold(seat, Arc::clone(welcome), visitor))),
            Err(refusal) => refuse(visitor, door, refusal, told, tasks),
        }
    }

    async fn pause(&self, error: &io::Error) {
        if is_shortage(error) {
            tracing::warn!(address = %self.address, %error, "took no connections in for a moment");
            tokio::time::sleep(SHORTAGE_PAUSE).await;
        } else {
            // The visitor was gone before we could take him in.
            tracing::debug!(address = %self.address, %error, "a connection failed before it began");
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<Listener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // So that a restart need not wait until the last connections of the run before are forgotten.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let socket = TcpListener::from_std(socket.into())?;
    let address = socket.local_addr()?;
    Ok(Listener { socket, address })
}

/// Whether the system, not the visitor, is why `accept` failed.
fn is_shortage(error: &io::Error) -> bool {
    const ENOMEM: i32 = 12;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const ENOBUFS: i32 = 105;
    matches!(error.raw_os_error(), Some(ENOMEM | ENFILE | EMFILE | ENOBUFS))
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn admit(peer: IpAddr, seat: Seat, door: &Door) -> Result<Seat, Refusal> {
    if !(door.gatekeeper)(peer) {
        return Err(Refusal::Banned);
    }
    seat.name(peer).ok_or(Refusal::FullForNetwork)
}

/// Serves a visitor; his seat is free again afterwards, even if that panics.
fn hold<W, F>(seat: Seat, welcome: Arc<W>, visitor: Visitor) -> impl Future<Output = ()> + Send
where
    W: Fn(Visitor) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    // Boxed: a future has room for what it is given and once more for what it waits for, and every idle connection pays.
    let visit = move || Box::pin(welcome(visitor));
    async move {
        visit().await;
        drop(seat);
    }
}

/// Reads who a trusted proxy connects for. `None`: it does not say.
async fn unmask(mut visitor: Visitor) -> Option<Visitor> {
    let header = tokio::time::timeout(PROXY_LIMIT, proxy::read(&mut visitor.stream)).await;
    match header.unwrap_or(Err(ProxyError::TooSlow)) {
        Ok(ProxyHeader::Local) => Some(visitor),
        Ok(ProxyHeader::Proxied(Proxied { source, target })) => {
            Some(Visitor { peer: canonical(source), local: canonical(target), ..visitor })
        }
        Err(error) => {
            tracing::warn!(proxy = %visitor.peer, %error, "closed a connection from a proxy");
            None
        }
    }
}

fn refuse(visitor: Visitor, door: &Door, refusal: Refusal, told: &Arc<Semaphore>, tasks: &mut JoinSet<()>) {
    tracing::debug!(peer = %visitor.peer, ?refusal, "refused a connection");
    let text = (door.refusal)(refusal);
    if let Ok(permit) = told.clone().try_acquire_owned() {
        tasks.spawn(async move {
            let _permit = permit;
            tell(visitor.stream, text).await;
        });
    }
}

/// Says why, and waits a moment so that a reset does not overtake it.
pub async fn tell(mut stream: TcpStream, text: Vec<u8>) {
    if text.is_empty() {
        return;
    }
    let said = async {
        stream.write_all(&text).await?;
        stream.shutdown().await?;
        while stream.read(&mut [0; 512]).await? > 0 {}
        io::Result::Ok(())
    };
    // He who does not listen has lost nothing.
    let _ = tokio::time::timeout(REFUSAL_LIMIT, said).await;
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection's task panicked; the others go on");
    }
}

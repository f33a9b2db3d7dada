//! The client's house: makes data connections, and moves what travels over them.
//!
//! RFC 959 §3.2; RFC 1123 §4.1.2.6 and RFC 2577 §3 (whose address is dialled); RFC 4217 §7 and §12.7 (TLS on data connections).
//!
//! ```text
//! Connection ─Job→ Desk ─order→ session ─Dial, Listen→ Desk ─Pump→ a task of its own ─ended→ news
//! ```
//!
//! Invariants: we dial the server that we speak with, whatever it tells, unless somebody wishes otherwise; who drops a request
//! stops its transfer.
//! Not here: what is said (ftp::client).

use crate::pump::{Fault, Pump};
use crate::site::Site;
use ftp::client::{Answer, Ask, Client, End, News, Order, Outcome, Way};
use net::{ClientTls, DataLine, DataPort, Desk};
use socket2::SockRef;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// An order, and what it needs.
pub struct Job {
    pub order: Order,
    /// Whether the data connection is under TLS.
    pub private: bool,
    pub pump: Option<Pump>,
    pub answer: oneshot::Sender<Answered>,
}

/// What came of it, and what broke on our side.
pub struct Answered {
    pub outcome: Outcome,
    pub fault: Option<Fault>,
}

/// One connection's desk.
pub struct Clerk {
    site: Arc<Site>,
    tls: ClientTls,
    local: IpAddr,
    /// The same, if the system would not go there from it by itself.
    source: Option<IpAddr>,
    peer: IpAddr,
    jobs: mpsc::Receiver<Job>,
    /// Whoever waits for the present order, or for the login.
    pending: Option<oneshot::Sender<Answered>>,
    private: bool,
    pump: Option<Pump>,
    /// What is dialled for the next transfer already.
    early: Option<Early>,
    /// By which way the last data connection came about.
    way: Option<Way>,
    data: Data,
    pub(crate) fault: Option<Fault>,
    pub(crate) end: Option<End>,
}

/// How far the data connection is.
enum Data {
    Nothing,
    Stream(TcpStream),
    Port(DataPort),
    Moving { task: JoinHandle<()>, ended: oneshot::Receiver<Result<(), Fault>>, told: bool },
}

impl Clerk {
    pub fn new(
        site: Arc<Site>,
        tls: ClientTls,
        stream: &TcpStream,
        jobs: mpsc::Receiver<Job>,
        login: oneshot::Sender<Answered>,
    ) -> io::Result<Self> {
        let (local, peer) = (stream.local_addr()?.ip(), stream.peer_addr()?);
        Ok(Clerk {
            site,
            tls,
            local,
            // Found out once: it would be a fifth of what the system is asked for each small file.
            source: (net::usual_source(peer) != Some(local)).then_some(local),
            peer: peer.ip(),
            jobs,
            pending: Some(login),
            private: false,
            pump: None,
            early: None,
            way: None,
            data: Data::Nothing,
            fault: None,
            end: None,
        })
    }

    /// Whoever waits still, when the connection is over.
    pub fn take_pending(&mut self) -> Option<oneshot::Sender<Answered>> {
        self.pending.take()
    }

    async fn next(&mut self, outcome: Outcome) -> Answer {
        self.let_go();
        self.pump = None;
        if let (Outcome::Transferred(..), Some(way)) = (&outcome, self.way) {
            self.site.experience.note_way(way);
        }
        if let Some(pending) = self.pending.take() {
            let fault = self.fault.take();
            // Who has gone away does not want to know.
            let _ = pending.send(Answered { outcome, fault });
        }
        let Some(job) = self.jobs.recv().await else {
            // pyftpdlib does not leave before a data connection that nobody needs has ended.
            self.early = None;
            return Answer::Order(Order::Quit);
        };
        self.pending = Some(job.answer);
        self.pump = job.pump;
        self.private = job.private;
        self.fault = None;
        Answer::Order(job.order)
    }

    async fn dial(&mut self, port: u16, told: Option<IpAddr>) -> Answer {
        self.way = Some(if told.is_some() { Way::Passive } else { Way::ExtendedPassive });
        let early = self.early.take().filter(|early| early.port == port);
        let dialled = match early {
            Some(early) => early.stream().await,
            None => None,
        };
        let dialled = match dialled {
            Some(stream) => Ok(stream),
            None => self.reach(port, told).await,
        };
        self.dialled(port, dialled)
    }

    fn dial_ahead(&mut self, port: u16, told: Option<IpAddr>) {
        self.early = Some(Early { port, dialling: tokio::spawn(self.reach(port, told)) });
    }

    fn reach(&self, port: u16, told: Option<IpAddr>) -> impl Future<Output = io::Result<TcpStream>> + Send + use<> {
        let (site, local, source, peer) = (self.site.clone(), self.local, self.source, self.peer);
        async move {
            if let Some(proxy) = &site.proxy {
                return proxy.connect(&site.host, port, site.connect_limit).await;
            }
            let host = told.filter(|_| site.trust_pasv_address).unwrap_or(peer);
            let source = if host == peer { source } else { Some(local) };
            net::connect(SocketAddr::new(host, port), site.connect_limit, source).await
        }
    }

    fn dialled(&mut self, port: u16, dialled: io::Result<TcpStream>) -> Answer {
        match dialled {
            Ok(stream) => {
                self.data = Data::Stream(stream);
                Answer::Dialled
            }
            Err(error) => {
                self.fault = Some(Fault::Unconnected(format!("port {port} cannot be reached: {error}")));
                Answer::Unreachable
            }
        }
    }

    fn listen(&mut self) -> Answer {
        self.way = Some(Way::ExtendedActive);
        match DataPort::open(SocketAddr::new(self.local, 0), None, Some(self.peer), number) {
            Ok(port) => {
                let address = SocketAddr::new(self.local.to_canonical(), port.address().port());
                self.data = Data::Port(port);
                Answer::Listening(address)
            }
            Err(error) => {
                self.fault = Some(Fault::Unconnected(format!("cannot listen: {error}")));
                Answer::Unreachable
            }
        }
    }

    fn begin(&mut self) {
        let link = Link { site: self.site.clone(), tls: self.private.then(|| self.tls.clone()) };
        let (tell, ended) = oneshot::channel();
        let (data, pump) = (std::mem::replace(&mut self.data, Data::Nothing), self.pump.clone());
        let task = tokio::spawn(async move {
            let moved = match pump {
                Some(pump) => link.run(data, pump).await,
                None => Err(Fault::Unconnected("nothing to move".into())),
            };
            // The desk may have lost interest.
            let _ = tell.send(moved);
        });
        self.data = Data::Moving { task, ended, told: false };
    }

    fn let_go(&mut self) {
        if let Data::Moving { task, .. } = std::mem::replace(&mut self.data, Data::Nothing) {
            task.abort();
        }
    }

    /// The data connection ended: with what?
    fn ended(&mut self, moved: Result<(), Fault>) -> News {
        match moved {
            Ok(()) => News::Whole,
            Err(fault) => {
                self.fault = Some(fault);
                News::Broken
            }
        }
    }
}

impl Drop for Clerk {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl Desk<Client> for Clerk {
    async fn answer(&mut self, ask: Ask) -> Answer {
        match ask {
            Ask::Next(outcome) => self.next(outcome).await,
            Ask::Dial { port, told } => self.dial(port, told.map(|told| (*told.ip()).into())).await,
            Ask::DialAhead { port, told } => {
                self.dial_ahead(port, told.map(|told| (*told.ip()).into()));
                Answer::Understood
            }
            Ask::Listen(_) => self.listen(),
            Ask::Pump => {
                self.begin();
                Answer::Understood
            }
            Ask::LetGo => {
                self.let_go();
                Answer::Understood
            }
            Ask::Ended(end) => {
                self.let_go();
                if end == End::OutOfStep {
                    self.site.experience.note_one_by_one();
                }
                self.end = Some(end);
                Answer::Understood
            }
        }
    }

    async fn keep(&mut self, _content: &mut Vec<u8>) {}

    async fn news(&mut self) -> News {
        let moved = match (&mut self.data, &mut self.pending) {
            (Data::Moving { ended, told: told @ false, .. }, Some(pending)) => tokio::select! {
                biased;
                moved = ended => {
                    *told = true;
                    moved.unwrap_or_else(|_| Err(Fault::Unconnected("the transfer fell over".into())))
                }
                () = pending.closed() => {
                    self.pending = None;
                    return News::Stop;
                }
            },
            (_, Some(pending)) => {
                pending.closed().await;
                self.pending = None;
                return News::Stop;
            }
            _ => std::future::pending().await,
        };
        self.ended(moved)
    }
}

/// A data connection that is dialled before it is needed.
struct Early {
    port: u16,
    dialling: JoinHandle<io::Result<TcpStream>>,
}

impl Early {
    /// Nothing if it has failed, or the server has closed it since: then that is found out anew.
    async fn stream(mut self) -> Option<TcpStream> {
        let stream = (&mut self.dialling).await.ok()?.ok()?;
        // Nobody says anything before the command.
        let heard = SockRef::from(&stream).peek(&mut [std::mem::MaybeUninit::uninit()]);
        heard.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock).then_some(stream)
    }
}

impl Drop for Early {
    fn drop(&mut self) {
        self.dialling.abort();
    }
}

/// How a data connection comes about.
struct Link {
    site: Arc<Site>,
    tls: Option<ClientTls>,
}

impl Link {
    async fn run(self, data: Data, pump: Pump) -> Result<(), Fault> {
        let unconnected = |why: String| Fault::Unconnected(format!("no data connection: {why}"));
        let (limit, stall) = (self.site.connect_limit, self.site.stall_limit);
        let stream = match data {
            Data::Stream(stream) => stream,
            Data::Port(mut port) => port.wait(limit).await.map_err(|error| unconnected(error.to_string()))?,
            _ => return Err(unconnected("nobody has made one".into())),
        };
        let line = match &self.tls {
            None => DataLine::clear(stream, stall).copying_at_home(),
            Some(tls) => {
                let secured = DataLine::secure_as_client(stream, tls, &self.site.host, limit, stall).await;
                secured.map_err(|error| unconnected(error.to_string()))?.0
            }
        };
        pump(line.throttled(self.site.throttle.clone())).await
    }
}

/// Nobody can tell which will be next.
pub fn number() -> u64 {
    let mut octets = [0; 8];
    // Without chance all ports are tried from the same one on.
    let _ = aws_lc_rs::rand::fill(&mut octets);
    u64::from_le_bytes(octets)
}

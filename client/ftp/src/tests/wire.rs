//! What a scripted server speaks over: sockets, in clear or under TLS, of which no more gets through than a toll lets pass.
//!
//! Not here: what is said (scripted).

use net::{Arrival, DataLine, ServerTls};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The server waits longer than any client.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// So much is read at once.
const READ_OCTETS: usize = 4096;

/// One connection, as the server has it.
pub(super) enum Wire {
    Clear(TcpStream),
    Line(DataLine),
    Closed,
}

impl Wire {
    /// A data connection: TLS from its first octet, if at all.
    pub(super) async fn of_data(stream: TcpStream, tls: Option<&ServerTls>) -> Option<Wire> {
        match tls {
            Some(tls) => Wire::Clear(stream).sealed(tls).await,
            None => Some(Wire::Line(DataLine::clear(stream, PATIENCE))),
        }
    }

    /// The same under TLS from here on.
    pub(super) async fn sealed(self, tls: &ServerTls) -> Option<Wire> {
        let Wire::Clear(stream) = self else { panic!("once is enough") };
        let (line, _) = DataLine::secure(stream, tls, PATIENCE, PATIENCE).await.ok()?;
        Some(Wire::Line(line))
    }

    /// Whoever has gone away does not hear it.
    pub(super) async fn say(&mut self, octets: &[u8]) -> Option<()> {
        match self {
            Wire::Clear(stream) => stream.write_all(octets).await.ok(),
            Wire::Line(line) => line.send(octets, |_| ()).await.ok(),
            Wire::Closed => None,
        }
    }

    /// What comes next, behind what has come; nothing at the end.
    pub(super) async fn hear(&mut self, heard: &mut Vec<u8>) -> Option<()> {
        heard.reserve(READ_OCTETS);
        match self {
            Wire::Clear(stream) => stream.read_buf(heard).await.ok().filter(|octets| *octets > 0).map(drop),
            Wire::Line(line) => line.receive(heard).await.ok().filter(|arrival| *arrival != Arrival::End).map(drop),
            Wire::Closed => None,
        }
    }

    /// Ends in good order: under TLS by close_notify.
    pub(super) async fn finish(self) {
        if let Wire::Line(line) = self {
            // Who has gone away does not hear it.
            let _ = line.finish().await;
        }
    }
}

/// A clock that is paused runs ahead when nobody has anything to do, be it that all wait for what the system has on its way.
/// While it is held it stands still.
#[derive(Clone, Default)]
pub(super) struct Clock(Arc<Mutex<Option<mpsc::Sender<()>>>>);

impl Clock {
    pub(super) fn hold(&self) {
        let (hold, released) = mpsc::channel();
        *self.0.lock().expect("not poisoned") = Some(hold);
        // It does not run ahead of who works on another thread.
        tokio::task::spawn_blocking(move || released.recv());
    }

    pub(super) fn release(&self) {
        self.0.lock().expect("not poisoned").take();
    }
}

/// How long a server is there: what it does ends with it, and its sockets are closed.
#[derive(Clone)]
pub(super) struct Life(watch::Receiver<()>);

impl Life {
    /// And what keeps it.
    pub(super) fn begin() -> (Self, watch::Sender<()>) {
        let (kept, life) = watch::channel(());
        (Life(life), kept)
    }

    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut life = self.0.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = work => {}
                _ = life.changed() => {}
            }
        });
    }
}

/// What of a server's octets gets through, whichever connection they take.
#[derive(Clone)]
pub(super) struct Toll {
    left: Arc<AtomicUsize>,
    /// Whether all connections are ended when it is used up; otherwise they stay, and nothing passes any more.
    ends: bool,
    over: Arc<watch::Sender<bool>>,
    clock: Clock,
}

impl Toll {
    pub(super) fn of(octets: usize, ends: bool, clock: Clock) -> Self {
        let over = Arc::new(watch::Sender::new(false));
        Toll { left: Arc::new(octets.into()), ends, over, clock }
    }

    pub(super) fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    fn pay(&self, octets: usize) -> usize {
        let paid = octets.min(self.left.load(Ordering::SeqCst));
        self.left.fetch_sub(paid, Ordering::SeqCst);
        paid
    }

    /// Takes the place of a client's connection; what comes out of it was paid for.
    pub(super) async fn before(&self, client: TcpStream, life: &Life) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("bound");
        let (server, inner) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (server, inner) = (server.expect("connected"), inner.expect("accepted").0);
        for stream in [&client, &server, &inner] {
            stream.set_nodelay(true).expect("a socket option");
        }
        life.spawn(self.clone().carry(client, inner));
        server
    }

    async fn carry(self, mut client: TcpStream, mut inner: TcpStream) {
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = inner.split();
        let mut over = self.over.subscribe();
        let up = async {
            let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
            let _ = to_server.shutdown().await;
        };
        let down = async {
            let mut octets = vec![0; READ_OCTETS];
            while let Ok(come @ 1..) = from_server.read(&mut octets).await {
                let paid = self.pay(come);
                // Who has gone away does not want it.
                let _ = to_client.write_all(&octets[..paid]).await;
                if paid < come {
                    self.over.send_replace(true);
                    self.clock.release();
                    return;
                }
            }
            let _ = to_client.shutdown().await;
        };
        tokio::select! {
            _ = async { tokio::join!(up, down) } => {}
            _ = over.wait_for(|over| *over) => {}
        }
        if self.is_over() && !self.ends {
            std::future::pending::<()>().await;
        }
    }
}

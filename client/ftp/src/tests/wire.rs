//! What a scripted server speaks over: sockets, in clear or under TLS, of which no more gets through than a toll lets pass.
//!
//! RFC 8446 §5.1 (records).
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

/// Listens on a port that nobody has.
pub(super) async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("bound").port();
    (listener, port)
}

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

/// Each record of TLS begins with its kind, a version and its length.
const RECORD_HEAD_OCTETS: usize = 5;

/// The kinds of records, from change_cipher_spec to application_data. No reply begins with one of these.
const RECORD_KINDS: std::ops::RangeInclusive<u8> = 20..=23;

/// How much of the first unit passes that is not let pass whole.
#[derive(Debug, Clone, Copy)]
pub(super) enum Share {
    Octets(usize),
    Half,
    AllButOne,
}

impl Share {
    /// Behind a record, in and behind the head of the next, in the middle of what it holds, and short of its end. No part of a record
    /// has a meaning, so that it does not matter in which octet of it the wire is cut.
    pub(super) const ALL: [Share; 7] = [
        Share::Octets(0),
        Share::Octets(1),
        Share::Octets(RECORD_HEAD_OCTETS - 1),
        Share::Octets(RECORD_HEAD_OCTETS),
        Share::Octets(RECORD_HEAD_OCTETS + 1),
        Share::Half,
        Share::AllButOne,
    ];

    fn of(self, unit: usize) -> usize {
        match self {
            Share::Octets(octets) => octets.min(unit - 1),
            Share::Half => unit / 2,
            Share::AllButOne => unit - 1,
        }
    }
}

/// How long the unit is that this begins with: a record of TLS, or an octet in clear. `None` as long as that is not all there.
fn unit(octets: &[u8]) -> Option<usize> {
    let length = match octets {
        [kind, _, _, high, low, ..] if RECORD_KINDS.contains(kind) => {
            RECORD_HEAD_OCTETS + usize::from(u16::from_be_bytes([*high, *low]))
        }
        [kind, ..] if RECORD_KINDS.contains(kind) => return None,
        _ => 1,
    };
    (octets.len() >= length).then_some(length)
}

/// What of a server's octets gets through, whichever connection they take: so many units, and a share of the next.
#[derive(Clone)]
pub(super) struct Toll {
    left: Arc<AtomicUsize>,
    share: Share,
    /// Whether all connections are ended when it is used up; otherwise they stay, and nothing passes any more.
    ends: bool,
    /// How long the unit is that was cut.
    over: Arc<watch::Sender<Option<usize>>>,
    clock: Clock,
}

impl Toll {
    pub(super) fn of(units: usize, share: Share, ends: bool, clock: Clock) -> Self {
        let over = Arc::new(watch::Sender::new(None));
        Toll { left: Arc::new(units.into()), share, ends, over, clock }
    }

    /// How long the unit is that was cut, if one was.
    pub(super) fn cut(&self) -> Option<usize> {
        *self.over.borrow()
    }

    /// How much of a unit passes.
    fn pay(&self, unit: usize) -> usize {
        let less = |left: usize| left.checked_sub(1);
        let is_paid = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok();
        if is_paid { unit } else { self.share.of(unit) }
    }

    /// Takes the place of a client's connection; what comes out of it was paid for.
    pub(super) async fn before(&self, client: TcpStream, life: &Life) -> TcpStream {
        let (listener, port) = listen().await;
        let (server, inner) = tokio::join!(TcpStream::connect(("127.0.0.1", port)), listener.accept());
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
            let mut octets = Vec::new();
            while let Ok(1..) = from_server.read_buf(&mut octets).await {
                while let Some(unit) = unit(&octets) {
                    let paid = self.pay(unit);
                    // Who has gone away does not want it.
                    let _ = to_client.write_all(&octets[..paid]).await;
                    if paid < unit {
                        self.over.send_replace(Some(unit));
                        self.clock.release();
                        return;
                    }
                    octets.drain(..unit);
                }
            }
            let _ = to_client.shutdown().await;
        };
        tokio::select! {
            _ = async { tokio::join!(up, down) } => {}
            _ = over.wait_for(Option::is_some) => {}
        }
        if self.cut().is_some() && !self.ends {
            std::future::pending::<()>().await;
        }
    }
}

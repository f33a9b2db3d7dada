//! One transfer, from the data connection to its last octet.
//!
//! RFC 959 §3.2 to §3.4; RFC 4217 §7, §10, §12.7 (TLS: resumption, close_notify); RFC 3659 §5 (REST).
//!
//! ```text
//! open ─→ Job ─ connect ─ TLS ─┬─ send: file ─(ASCII)─(MODE Z)─→ line ─→ close_notify, FIN
//!                              ├─ list: stretch by stretch ─(MODE Z)─→ line ─→ the same
//!                              └─ receive: line ─(MODE Z)─(ASCII)─→ upload ─end→ commit
//!                                                             └─anything else→ kept to be continued, never committed
//! ```
//!
//! Invariants: an upload is committed only after an end in good order, and while the client is still there.
//! Not here: when (session), how a file becomes durable (files).

use super::filter::{Folding, Unfolding};
use super::listing::Lister;
use super::report::{No, Reporter, Transfer};
use super::work::Stopped;
use super::{CONNECT_LIMIT, DataEnd, Line, Member, jailed, refusal, virtual_path};
use crate::desk::door::Caller;
use files::{JailedPath, Mode, Upload};
use ftp::server::ask::{Begun, Errand, Place};
use ftp::{Moment, Outcome, Refusal};
use net::{Arrival, Broken, DataLine};
use rustix::net::RecvFlags;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tracing::{debug, info, warn};

/// So much is received before it is written, in octets: large writes cost least, and thousands of uploads must fit.
const RECEIVE_OCTETS: usize = 256 * 1024;

/// The same in MODE Z. They may become a thousand times as many, and ABOR is heard only when these are written.
const RECEIVE_FOLDED_OCTETS: usize = 16 * 1024;

/// How long the session may take to notice that its client has gone. A client that has said QUIT and closed its half waits
/// so long for its 226.
const GONE_LIMIT: Duration = Duration::from_secs(1);

/// The name of what is stored without one (STOU).
const NAMELESS: &[u8] = b"upload";

/// What is to be transferred, open.
pub(super) enum Opened {
    /// RETR.
    Sending { file: File, path: JailedPath, from: u64, until: u64 },
    /// STOR, APPE, STOU.
    Receiving { upload: Box<Upload>, unique: bool },
    /// LIST, NLST, MLSD.
    Listing(Box<Lister>),
}

/// Opens it. Blocks.
pub(super) fn open(reporter: &Reporter, errand: Errand, now: Moment) -> Result<Opened, No> {
    let member = &reporter.member;
    match errand {
        Errand::Retrieve { path, from, until } => retrieve(member, &jailed(&path)?, from, until),
        Errand::Store { path, place, announced } => {
            let mode = match place {
                Place::Whole => Mode::Store,
                Place::From(offset) => Mode::At(offset),
                Place::Between(from, until) => Mode::Between(from, until),
            };
            receive(reporter, &jailed(&path)?, mode, announced)
        }
        Errand::Append { path, announced } => receive(reporter, &jailed(&path)?, Mode::Append, announced),
        Errand::StoreUnique { wish, announced } => {
            let wish = jailed(&wish)?;
            let wish = match member.space.enter(&wish) {
                Ok(()) => wish.join(NAMELESS).map_err(files::Error::from)?,
                Err(_) => wish,
            };
            receive(reporter, &wish, Mode::Unique, announced)
        }
        Errand::List(listing) => Ok(Opened::Listing(Box::new(Lister::new(member, listing, now)?))),
    }
}

fn retrieve(member: &Member, path: &JailedPath, from: u64, until: Option<u64>) -> Result<Opened, No> {
    let download = member.space.open_read(path)?;
    if from > download.size && until.is_none() {
        return Err(Refusal::BadOffset.into());
    }
    let until = until.map_or(download.size, |until| until.min(download.size));
    Ok(Opened::Sending { file: download.file, path: download.path, from: from.min(until), until })
}

fn receive(reporter: &Reporter, path: &JailedPath, mode: Mode, announced: Option<u64>) -> Result<Opened, No> {
    let mut upload = reporter.member.space.begin_upload(path, mode)?;
    if let Err(no) = reporter.room_for_hooks(upload.path()) {
        upload.interrupt();
        return Err(no);
    }
    if let Some(octets) = announced
        && let Err(error) = upload.expect(octets)
    {
        upload.interrupt();
        return Err(error.into());
    }
    Ok(Opened::Receiving { upload: Box::new(upload), unique: mode == Mode::Unique })
}

impl Opened {
    /// What the session says of it.
    pub(super) fn begun(&self, connected: bool) -> Begun {
        match self {
            Opened::Sending { from, until, .. } => Begun { connected, octets: Some(until - from), name: None },
            Opened::Receiving { upload, unique } => {
                Begun { connected, octets: None, name: unique.then(|| virtual_path(upload.path())) }
            }
            Opened::Listing(_) => Begun { connected, ..Begun::default() },
        }
    }
}

/// A transfer that is to be done.
pub(super) struct Job {
    pub(super) record: Arc<Transfer>,
    pub(super) caller: Caller,
    pub(super) line: Arc<Line>,
    pub(super) errand: Opened,
    pub(super) data: DataEnd,
    pub(super) ascii: bool,
    /// MODE Z, at this level.
    pub(super) deflate: Option<u8>,
    pub(super) private: bool,
    pub(super) must_resume: bool,
    pub(super) stall: Duration,
}

impl Job {
    /// Does it, and tells how it went.
    pub(super) async fn run(self, progress: Arc<AtomicU64>, mut stopped: Stopped) -> Outcome {
        let record = Arc::clone(&self.record);
        let outcome = self.transfer(&progress, &mut stopped).await;
        record.ended(outcome, &progress).await
    }

    async fn transfer(self, progress: &AtomicU64, stopped: &mut Stopped) -> Outcome {
        let (errand, ascii, deflate) = (self.errand, self.ascii, self.deflate);
        let record = self.record;
        let link = Link {
            record: Arc::clone(&record),
            caller: self.caller,
            line: self.line,
            private: self.private,
            must_resume: self.must_resume,
            stall: self.stall,
        };
        let connected = tokio::select! {
            biased;
            () = stopped.wait() => Err(Outcome::Aborted),
            connected = link.connect(self.data) => connected,
        };
        let data = match connected {
            Ok(data) => data,
            Err(outcome) => {
                if let Opened::Receiving { upload, .. } = errand {
                    interrupt(upload, &record).await;
                }
                return outcome;
            }
        };
        match errand {
            Opened::Sending { file, from, until, .. } if ascii || deflate.is_some() => {
                let folding = Folding::new(ascii, deflate);
                until_stopped(stopped, progress, send_folded(data, &file, from, until, folding, progress)).await
            }
            Opened::Sending { file, from, until, .. } => {
                until_stopped(stopped, progress, send(data, &file, from, until, progress)).await
            }
            Opened::Listing(lister) => {
                let folding = Folding::new(false, deflate);
                until_stopped(stopped, progress, send_listing(data, lister, folding, progress)).await
            }
            Opened::Receiving { upload, .. } => {
                let unfolding = Unfolding::new(ascii, deflate.is_some());
                Receiver { upload, unfolding, data, link, record }.receive(progress, stopped).await
            }
        }
    }
}

/// Sends, unless it is stopped before.
async fn until_stopped(
    stopped: &mut Stopped,
    progress: &AtomicU64,
    sending: impl Future<Output = Result<(), Outcome>>,
) -> Outcome {
    tokio::select! {
        biased;
        () = stopped.wait() => Outcome::Aborted,
        sent = sending => match sent {
            Ok(()) => Outcome::Completed { octets: progress.load(Ordering::Relaxed) },
            Err(outcome) => outcome,
        },
    }
}

/// How the data connection comes about.
struct Link {
    record: Arc<Transfer>,
    caller: Caller,
    line: Arc<Line>,
    private: bool,
    must_resume: bool,
    stall: Duration,
}

impl Link {
    async fn connect(&self, data: DataEnd) -> Result<DataLine, Outcome> {
        let stream = match data {
            DataEnd::Here(stream) => stream,
            DataEnd::Port(mut port) => {
                port.wait(CONNECT_LIMIT).await.map_err(|error| self.unconnected(&error, port.met_strangers()))?
            }
            DataEnd::Dial(address) => {
                let dialled = net::connect(address, CONNECT_LIMIT, Some(self.line.local.ip())).await;
                dialled.map_err(|error| self.unconnected(&error, false))?
            }
            DataEnd::Nothing => return Err(Outcome::NotConnected),
        };
        if self.private { self.secure(stream).await } else { Ok(DataLine::clear(stream, self.stall)) }
    }

    fn unconnected(&self, error: &io::Error, met_strangers: bool) -> Outcome {
        let (session, peer, transfer) = (self.caller.session, self.caller.peer, self.record.id());
        info!(%session, %peer, %transfer, %error, "no data connection");
        if met_strangers { Outcome::WrongPeer } else { Outcome::NotConnected }
    }

    async fn secure(&self, stream: TcpStream) -> Result<DataLine, Outcome> {
        let (session, peer, transfer) = (self.caller.session, self.caller.peer, self.record.id());
        match DataLine::secure(stream, &self.line.tls, CONNECT_LIMIT, self.stall).await {
            Ok((_, false)) if self.must_resume => {
                let client = self.record.agent();
                warn!(%session, %peer, %transfer, client, "a data connection did not resume the TLS session; see ftp.data_tls");
                Err(Outcome::TlsNotResumed)
            }
            Ok((data, resumed)) => {
                self.record.note_tls(resumed);
                Ok(data)
            }
            Err(error) => {
                info!(%session, %peer, %transfer, %error, "no TLS on a data connection");
                Err(Outcome::TlsFailed)
            }
        }
    }
}

impl Line {
    /// Whether the client has closed the control connection, as far as the system knows.
    fn client_is_gone(&self) -> bool {
        let Some(control) = &self.control else { return false };
        let mut scratch = [0u8; 1];
        match rustix::net::recv(control, &mut scratch, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((_, octets)) => octets == 0,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => false,
            Err(_) => true,
        }
    }
}

/// Adds to the count of what has moved.
fn count(progress: &AtomicU64) -> impl Fn(u64) {
    |octets| {
        progress.fetch_add(octets, Ordering::Relaxed);
    }
}

async fn send(mut data: DataLine, file: &File, from: u64, until: u64, progress: &AtomicU64) -> Result<(), Outcome> {
    data.send_file(file, from, until, count(progress)).await.map_err(broken)?;
    data.finish().await.map_err(broken)
}

async fn send_folded(
    mut data: DataLine,
    file: &File,
    from: u64,
    until: u64,
    mut folding: Folding,
    progress: &AtomicU64,
) -> Result<(), Outcome> {
    let (mut at, mut piece) = (from, Vec::new());
    while at < until {
        piece = DataLine::read_file(file, piece, at, until).await.map_err(broken)?;
        at += piece.len() as u64;
        piece = folding.fold(piece, at == until).await?;
        data.send(&piece, count(progress)).await.map_err(broken)?;
    }
    if from == until {
        data.send(&folding.fold(piece, true).await?, count(progress)).await.map_err(broken)?;
    }
    data.finish().await.map_err(broken)
}

async fn send_listing(
    mut data: DataLine,
    mut lister: Box<Lister>,
    mut folding: Folding,
    progress: &AtomicU64,
) -> Result<(), Outcome> {
    loop {
        let stretch = folding.fold(lister.take(), lister.is_done()).await?;
        data.send(&stretch, count(progress)).await.map_err(broken)?;
        if lister.is_done() {
            return data.finish().await.map_err(broken);
        }
        let filled = tokio::task::spawn_blocking(move || lister.fill().map(|()| lister));
        lister = filled.await.unwrap_or(Err(Refusal::LocalError)).map_err(Outcome::Refused)?;
    }
}

/// An upload and what it comes through.
struct Receiver {
    upload: Box<Upload>,
    unfolding: Unfolding,
    data: DataLine,
    link: Link,
    record: Arc<Transfer>,
}

impl Receiver {
    async fn receive(self, progress: &AtomicU64, stopped: &mut Stopped) -> Outcome {
        let Receiver { upload, unfolding, mut data, link, record } = self;
        let at_once = if unfolding.is_of_mode_z() { RECEIVE_FOLDED_OCTETS } else { RECEIVE_OCTETS };
        let mut sink = Sink { upload, unfolding, record };
        let mut buffer = Vec::with_capacity(at_once);
        loop {
            let arrival = tokio::select! {
                biased;
                () = stopped.wait() => Err(Outcome::Aborted),
                arrival = data.receive(&mut buffer) => arrival.map_err(broken),
            };
            match arrival {
                Ok(Arrival::Octets(octets)) => {
                    progress.fetch_add(octets as u64, Ordering::Relaxed);
                    // Nearly full: another read would be a small one.
                    if buffer.len() < at_once * 3 / 4 {
                        continue;
                    }
                    match sink.write(buffer).await {
                        Ok((same, emptied)) => (sink, buffer) = (same, emptied),
                        Err(outcome) => return outcome,
                    }
                }
                Ok(Arrival::End) => {
                    let octets = progress.load(Ordering::Relaxed);
                    let outcome = match sink.commit_unless_gone(buffer, octets, link.line).await {
                        Committed::Ended(outcome) => outcome,
                        // A dead client's session is about to notice it.
                        Committed::Doubted(sink) if is_stopped_soon(stopped).await => {
                            return sink.keep(Vec::new(), Outcome::Aborted).await;
                        }
                        Committed::Doubted(sink) => sink.commit(octets).await,
                    };
                    // The file is stored; how the farewell goes changes nothing.
                    let _ = data.finish().await;
                    return outcome;
                }
                Err(outcome) => return sink.keep(buffer, outcome).await,
            }
        }
    }
}

async fn is_stopped_soon(stopped: &mut Stopped) -> bool {
    tokio::time::timeout(GONE_LIMIT, stopped.wait()).await.is_ok()
}

/// Where what arrives goes. All of it happens on threads that may wait.
struct Sink {
    upload: Box<Upload>,
    unfolding: Unfolding,
    record: Arc<Transfer>,
}

/// What came of the end of a stream.
enum Committed {
    Ended(Outcome),
    /// The control connection has ended, too. Perhaps the client has only said all it had to say.
    Doubted(Sink),
}

impl Sink {
    /// Writes what is in the buffer and gives it back empty. When that fails, the upload is over.
    async fn write(mut self, mut buffer: Vec<u8>) -> Result<(Self, Vec<u8>), Outcome> {
        let written = tokio::task::spawn_blocking(move || match self.put(&buffer) {
            Ok(()) => {
                buffer.clear();
                Ok((self, buffer))
            }
            Err(outcome) => {
                self.upload.abandon();
                Err(outcome)
            }
        });
        written.await.unwrap_or(Err(Outcome::Refused(Refusal::LocalError)))
    }

    /// The stream has ended, which looks the same whether the client is done or dead. A dead one's system closes the control
    /// connection too, in no certain order: so we look for that once the octets are on disk, when both have had time to come.
    async fn commit_unless_gone(mut self, rest: Vec<u8>, octets: u64, line: Arc<Line>) -> Committed {
        let committed = tokio::task::spawn_blocking(move || {
            if let Err(outcome) = self.put(&rest) {
                self.upload.abandon();
                return Committed::Ended(outcome);
            }
            if let Err(outcome) = self.end() {
                // In MODE Z we can tell that there was more to come.
                self.upload.interrupt();
                return Committed::Ended(outcome);
            }
            match self.upload.sync() {
                Ok(()) if line.client_is_gone() => Committed::Doubted(self),
                Ok(()) => Committed::Ended(self.publish(octets)),
                Err(error) => {
                    self.upload.abandon();
                    Committed::Ended(Outcome::Refused(refusal(error)))
                }
            }
        });
        committed.await.unwrap_or(Committed::Ended(Outcome::Refused(Refusal::LocalError)))
    }

    /// This was all.
    async fn commit(self, octets: u64) -> Outcome {
        let committed = tokio::task::spawn_blocking(move || self.publish(octets));
        committed.await.unwrap_or(Outcome::Refused(Refusal::LocalError))
    }

    fn publish(self, octets: u64) -> Outcome {
        match self.upload.commit() {
            Ok(stored) => {
                self.record.note_stored(stored);
                Outcome::Completed { octets }
            }
            Err(error) => Outcome::Refused(refusal(error)),
        }
    }

    /// It broke off: what came is kept, so that the client can go on from there.
    async fn keep(mut self, rest: Vec<u8>, outcome: Outcome) -> Outcome {
        let kept = tokio::task::spawn_blocking(move || {
            match self.put(&rest) {
                // Of a damaged stream nobody knows where the damage began.
                Err(Outcome::Garbled) => self.upload.abandon(),
                // What cannot be written cannot be kept; the rest of it can.
                Ok(()) | Err(_) => self.record.note_kept(self.upload.interrupt()),
            }
        });
        let _ = kept.await;
        outcome
    }

    fn put(&mut self, octets: &[u8]) -> Result<(), Outcome> {
        let Sink { upload, unfolding, .. } = self;
        unfolding.put(octets, |octets| upload.write_all(octets).map_err(|error| Outcome::Refused(refusal(error))))
    }

    fn end(&mut self) -> Result<(), Outcome> {
        let Sink { upload, unfolding, .. } = self;
        unfolding.end(|octets| upload.write_all(octets).map_err(|error| Outcome::Refused(refusal(error))))
    }
}

async fn interrupt(upload: Box<Upload>, record: &Transfer) {
    let kept = tokio::task::spawn_blocking(move || upload.interrupt()).await;
    record.note_kept(kept.ok().flatten());
}

fn broken(broken: Broken) -> Outcome {
    debug!(%broken, "a transfer broke off");
    match broken {
        Broken::Stalled(limit) => Outcome::Stalled(limit),
        Broken::Lost(_) => Outcome::Broken,
        Broken::Cut => Outcome::Truncated,
        Broken::File(_) => Outcome::Refused(Refusal::LocalError),
    }
}

//! One transfer, from the data connection to its last octet.
//!
//! RFC 959 §3.2 to §3.4; RFC 4217 §7, §10, §12.7 (TLS: resumption, close_notify); RFC 3659 §5 (REST).
//!
//! ```text
//! open ─→ Job ─ connect ─ TLS ─┬─ send: file ─(ASCII)─(MODE Z)─→ line ─→ close_notify, FIN
//!                              ├─ list: stretch by stretch ─(MODE Z)─→ line ─→ the same
//!                              └─ Receiver (receive)
//! ```
//!
//! Invariants: a data connection is used once, and closed with its transfer.
//! Not here: when (session), what comes (receive), how octets travel (net), what is told of it (report).

use super::filter::{Folding, Unfolding};
use super::listing::Lister;
use super::receive::{Receiver, interrupt};
use super::report::{No, Reporter, Transfer};
use super::work::Stopped;
use super::{CONNECT_LIMIT, DataEnd, Line, Member, jailed, virtual_path};
use crate::desk::door::Caller;
use files::{Download, JailedPath, Mode, Upload};
use ftp::server::ask::{Begun, Errand, Place};
use ftp::{Moment, Outcome, Refusal};
use net::{Broken, DataLine, Throttle};
use rustix::net::RecvFlags;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tracing::{debug, info, warn};

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
        Errand::List(listing) => {
            Ok(Opened::Listing(Box::new(Lister::new(&member.space, &member.clerk, listing, now)?)))
        }
    }
}

fn retrieve(member: &Member, path: &JailedPath, from: u64, until: Option<u64>) -> Result<Opened, No> {
    sending(member.space.open_read(path)?, from, until)
}

/// Opens it if that needs no waiting for the disk. Whatever is in the way of that, an error too, is for [`open`] to find.
pub(super) fn open_at_once(member: &Member, errand: &Errand) -> Option<Opened> {
    let Errand::Retrieve { path, from, until } = errand else { return None };
    let download = member.space.open_read_at_once(&jailed(path).ok()?)?;
    sending(download, *from, *until).ok()
}

fn sending(download: Download, from: u64, until: Option<u64>) -> Result<Opened, No> {
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
    pub(super) throttle: Throttle,
}

impl Job {
    /// Does it, and tells how it went.
    pub(super) async fn run(self, progress: Arc<AtomicU64>, mut stopped: Stopped) -> Outcome {
        let record = Arc::clone(&self.record);
        let _shown = record.show(&progress);
        let outcome = self.transfer(&progress, &mut stopped).await;
        record.ended(outcome, &progress).await
    }

    async fn transfer(self, progress: &Arc<AtomicU64>, stopped: &mut Stopped) -> Outcome {
        let (errand, ascii, deflate) = (self.errand, self.ascii, self.deflate);
        let record = self.record;
        let link = Link {
            record: Arc::clone(&record),
            caller: self.caller,
            line: self.line,
            private: self.private,
            must_resume: self.must_resume,
            stall: self.stall,
            throttle: self.throttle,
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
pub(super) struct Link {
    record: Arc<Transfer>,
    caller: Caller,
    pub(super) line: Arc<Line>,
    private: bool,
    must_resume: bool,
    stall: Duration,
    throttle: Throttle,
}

impl Link {
    async fn connect(&self, data: DataEnd) -> Result<DataLine, Outcome> {
        let stream = match data {
            DataEnd::Here(socket) if !self.private => {
                return Ok(DataLine::fresh(socket, self.stall).throttled(self.throttle.clone()));
            }
            DataEnd::Here(socket) => TcpStream::from_std(socket).map_err(|error| self.unconnected(&error, false))?,
            DataEnd::Port(mut port) => {
                port.wait(CONNECT_LIMIT).await.map_err(|error| self.unconnected(&error, port.met_strangers()))?
            }
            DataEnd::Dial(address) => {
                let dialled = net::connect(address, CONNECT_LIMIT, Some(self.line.local.ip())).await;
                dialled.map_err(|error| self.unconnected(&error, false))?
            }
            DataEnd::Nothing => return Err(Outcome::NotConnected),
        };
        let data = if self.private { self.secure(stream).await? } else { DataLine::clear(stream, self.stall) };
        Ok(data.throttled(self.throttle.clone()))
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
                warn!(%session, %peer, %transfer, client,
                    "a data connection did not resume the TLS session; see ftp.data_tls");
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
    pub(super) fn client_is_gone(&self) -> bool {
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
pub(super) fn count(progress: &AtomicU64) -> impl Fn(u64) {
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
    let mut sent = Vec::new();
    loop {
        let stretch = folding.fold(lister.take(sent), lister.is_done()).await?;
        if lister.is_done() {
            data.send(&stretch, count(progress)).await.map_err(broken)?;
            return data.finish().await.map_err(broken);
        }
        // The next stretch is made while this one is on its way.
        let filling = tokio::task::spawn_blocking(move || lister.fill().map(|()| lister));
        data.send(&stretch, count(progress)).await.map_err(broken)?;
        lister = filling.await.unwrap_or(Err(Refusal::LocalError)).map_err(Outcome::Refused)?;
        sent = stretch;
    }
}

pub(super) fn broken(broken: Broken) -> Outcome {
    debug!(%broken, "a transfer broke off");
    match broken {
        Broken::Stalled(limit) => Outcome::Stalled(limit),
        Broken::Lost(_) => Outcome::Broken,
        Broken::Cut => Outcome::Truncated,
        Broken::File(_) => Outcome::Refused(Refusal::LocalError),
    }
}

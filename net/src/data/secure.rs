//! TLS on a data connection, driven record by record over the socket.
//!
//! RFC 4217 §7 (the server of FTP is that of TLS, whoever has dialled); RFC 8446 §5.1 (records), §6.1 (closure).
//!
//! ```text
//! socket ─one large read→ incoming ─open→ content ─→ whoever receives
//! socket ←one large write─ outgoing ←seal─ a stretch of full records
//! ```
//!
//! rustls works on our own buffers here: a read takes in many records at once and a write sends as many, where its usual
//! connection reads one at a time. `docs/decisions/0006-the-pump.md` has what that is worth.
//!
//! Invariants: the end is close_notify and nothing else; what peer sends beside content (key updates) is answered with what
//! we send next; buffers begin small and grow only when what comes fills them.
//! Not here: how long we wait (wire).

use std::fmt;
use std::io;

use rustls::HandshakeKind;
use rustls::client::UnbufferedClientConnection;
use rustls::server::{Acceptor, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::tls::{ClientTls, ServerTls, TlsError};

/// Room for what comes at first, in octets: a handshake, or a record and the beginning of the next.
const INCOMING_FIRST: usize = 20 * 1024;

/// And at most: what comes is opened and written in stretches of this, and it stays in the processor's cache.
const INCOMING_MAX: usize = 256 * 1024;

/// The most that a record holds, in octets (RFC 8446 §5.1).
const RECORD: usize = 16 * 1024;

/// What a record has around it at most, in octets (RFC 8446 §5.2, RFC 5246 §6.2.3: 256 and 1024, which no cipher of ours needs).
const AROUND_RECORD: usize = 64;

/// A data connection under TLS.
pub(super) struct SecureLine {
    pub(super) socket: TcpStream,
    pub(super) records: Box<Records>,
}

/// What becomes of octets between the socket and us. It can do its work on another thread than the one that sends.
pub(super) struct Records {
    tls: Tls,
    /// What came and was not opened stands from `start` to `end`.
    incoming: Vec<u8>,
    start: usize,
    end: usize,
    passed: Passed,
    /// Up to here the content was taken.
    taken: usize,
    closed: bool,
}

enum Tls {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

/// What has passed TLS in either direction.
#[derive(Default)]
struct Passed {
    /// What was opened.
    content: Vec<u8>,
    /// What is to be sent, up to `waiting`.
    outgoing: Vec<u8>,
    waiting: usize,
}

/// What one look at what came has shown.
enum Seen {
    /// Look again.
    More,
    /// Nothing more; the handshake waits for the peer.
    Handshake,
    /// Nothing more; content may be sent.
    Open,
    /// The peer will send no more.
    Closed,
    Failed(rustls::Error),
}

/// What is to be sealed.
#[derive(Clone, Copy)]
enum Letter<'a> {
    Content(&'a [u8]),
    Farewell,
}

impl fmt::Debug for SecureLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecureLine").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl SecureLine {
    /// The handshake. Also says whether the peer has resumed a session.
    pub(super) async fn accept(mut socket: TcpStream, tls: &ServerTls) -> Result<(Self, bool), TlsError> {
        let mut incoming = vec![0; INCOMING_FIRST];
        let mut end = 0;
        let (mut acceptor, mut fed) = (Acceptor::default(), 0);
        // The greeting is looked at by itself, since it says which certificate is wanted.
        let config = loop {
            match acceptor.accept() {
                Ok(Some(accepted)) => break tls.config_for_data(&accepted.client_hello())?,
                Ok(None) => {}
                Err((error, mut alert)) => {
                    let mut last_words = Vec::new();
                    let _ = alert.write_all(&mut last_words);
                    let _ = socket.write_all(&last_words).await;
                    return Err(TlsError::from_rustls(&error));
                }
            }
            if fed == end {
                end += read_some(&socket, &mut incoming, end).await?;
            }
            fed += acceptor.read_tls(&mut &incoming[fed..end]).map_err(TlsError::HungUp)?;
        };
        let tls = UnbufferedServerConnection::new(config).map_err(|error| TlsError::from_rustls(&error))?;
        let records = Records::new(Tls::Server(tls), incoming, end);
        SecureLine { socket, records: Box::new(records) }.shake().await
    }

    /// The handshake of the other side.
    pub(super) async fn connect(socket: TcpStream, tls: &ClientTls, host: &str) -> Result<(Self, bool), TlsError> {
        let (config, name) = tls.config_for_data(host)?;
        let tls = UnbufferedClientConnection::new(config, name).map_err(|error| TlsError::from_rustls(&error))?;
        let records = Records::new(Tls::Client(tls), vec![0; INCOMING_FIRST], 0);
        SecureLine { socket, records: Box::new(records) }.shake().await
    }

    async fn shake(mut self) -> Result<(Self, bool), TlsError> {
        loop {
            let shaken = self.records.settle();
            // Also when it failed: the peer should hear why.
            let sent = self.socket.write_all(self.records.outgoing()).await;
            self.records.sent();
            let shaken = shaken.map_err(|error| TlsError::from_rustls(&error))?;
            sent.map_err(TlsError::HungUp)?;
            if shaken {
                let resumed = self.records.has_resumed();
                return Ok((self, resumed));
            }
            let Records { incoming, end, .. } = self.records.with_room();
            *end += read_some(&self.socket, incoming, *end).await?;
        }
    }

    /// Reads once of what is there already: see [`Records::fetch`].
    pub(super) fn fetch(&mut self, most: usize) -> io::Result<()> {
        self.records.fetch(|room| self.socket.try_read(room), most)
    }
}

impl Records {
    fn new(tls: Tls, incoming: Vec<u8>, end: usize) -> Self {
        Records { tls, incoming, start: 0, end, passed: Passed::default(), taken: 0, closed: false }
    }

    fn has_resumed(&self) -> bool {
        let kind = match &self.tls {
            Tls::Server(tls) => tls.handshake_kind(),
            Tls::Client(tls) => tls.handshake_kind(),
        };
        kind == Some(HandshakeKind::Resumed)
    }

    /// What has arrived and was not taken.
    pub(super) fn content(&self) -> &[u8] {
        &self.passed.content[self.taken..]
    }

    /// Marks octets at the front of [`Self::content`] as taken.
    pub(super) fn take(&mut self, octets: usize) {
        self.taken = self.taken.saturating_add(octets);
        if self.taken >= self.passed.content.len() {
            self.passed.content.clear();
            self.taken = 0;
        }
    }

    /// Whether the peer has said that it will send no more.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Reads once, `most` octets at most, and opens them.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`]; [`io::ErrorKind::UnexpectedEof`] for an end without close_notify; what the system
    /// or TLS says.
    fn fetch(&mut self, read: impl FnOnce(&mut [u8]) -> io::Result<usize>, most: usize) -> io::Result<()> {
        let Records { incoming, end, .. } = self.with_room();
        let room = incoming.len().min(end.saturating_add(most));
        match read(&mut incoming[*end..room])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                *end += read;
                self.open()
            }
        }
    }

    /// The same, and puts what was opened, and what was not taken before, behind these octets.
    pub(super) fn fetch_into(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
        octets: &mut Vec<u8>,
        most: usize,
    ) -> io::Result<()> {
        octets.extend_from_slice(self.content());
        self.take(usize::MAX);
        std::mem::swap(&mut self.passed.content, octets);
        let fetched = if self.closed { Ok(()) } else { self.fetch(read, most) };
        std::mem::swap(&mut self.passed.content, octets);
        fetched
    }

    /// Opens what was read.
    pub(super) fn open(&mut self) -> io::Result<()> {
        self.settle().map(drop).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Puts octets behind what is to be sent, as records.
    pub(super) fn seal(&mut self, octets: &[u8]) -> io::Result<()> {
        self.passed.reserve(octets.len() + (octets.len() / RECORD + 2) * AROUND_RECORD);
        self.write(Letter::Content(octets))
    }

    /// Puts close_notify behind it.
    pub(super) fn seal_farewell(&mut self) -> io::Result<()> {
        self.passed.reserve(2 * AROUND_RECORD);
        self.write(Letter::Farewell)
    }

    /// What is to be sent.
    pub(super) fn outgoing(&self) -> &[u8] {
        self.passed.outgoing()
    }

    /// Gives away what is to be sent, and how long it is, for an empty buffer.
    pub(super) fn swap_outgoing(&mut self, buffer: &mut Vec<u8>) -> usize {
        std::mem::swap(&mut self.passed.outgoing, buffer);
        std::mem::take(&mut self.passed.waiting)
    }

    /// It was sent.
    pub(super) fn sent(&mut self) {
        self.passed.waiting = 0;
    }

    fn write(&mut self, letter: Letter<'_>) -> io::Result<()> {
        self.open()?;
        loop {
            let incoming = &mut self.incoming[self.start..self.end];
            let (discard, written) = match &mut self.tls {
                Tls::Server(tls) => self.passed.seal(tls.process_tls_records(incoming), letter),
                Tls::Client(tls) => self.passed.seal(tls.process_tls_records(incoming), letter),
            };
            self.start += discard;
            match written? {
                Ok(()) => return Ok(()),
                // A key update goes before.
                Err(InsufficientSizeError { required_size }) => self.passed.reserve(required_size),
            }
        }
    }

    /// Looks at all that came; whether the handshake is over.
    fn settle(&mut self) -> Result<bool, rustls::Error> {
        let mut failed = None;
        loop {
            let incoming = &mut self.incoming[self.start..self.end];
            let (discard, seen) = match &mut self.tls {
                Tls::Server(tls) => self.passed.look(tls.process_tls_records(incoming)),
                Tls::Client(tls) => self.passed.look(tls.process_tls_records(incoming)),
            };
            self.start += discard;
            match (seen, failed.take()) {
                // One more look: perhaps there is an alert to be sent.
                (Seen::Failed(error), None) => failed = Some(error),
                (Seen::More, error) => failed = error,
                (_, Some(error)) => return Err(error),
                (Seen::Handshake, None) => return Ok(false),
                (Seen::Open, None) => return Ok(true),
                (Seen::Closed, None) => {
                    self.closed = true;
                    return Ok(true);
                }
            }
        }
    }

    /// With room for at least one record behind what is not opened.
    fn with_room(&mut self) -> &mut Self {
        if self.end == self.incoming.len() {
            // What came has filled it: more is coming.
            self.incoming.resize((self.incoming.len() * 4).min(INCOMING_MAX), 0);
        }
        self.incoming.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        self
    }
}

impl Passed {
    fn outgoing(&self) -> &[u8] {
        &self.outgoing[..self.waiting]
    }

    fn reserve(&mut self, octets: usize) {
        let needed = self.waiting + octets;
        if self.outgoing.len() < needed {
            self.outgoing.resize(needed, 0);
        }
    }

    /// Takes what one look has brought; also says how many octets of what came are done with.
    fn look<D>(&mut self, status: UnbufferedStatus<'_, '_, D>) -> (usize, Seen) {
        let mut discard = status.discard;
        let seen = match status.state {
            Err(error) => Seen::Failed(error),
            Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
                match traffic.next_record() {
                    None => break Seen::More,
                    Some(Err(error)) => break Seen::Failed(error),
                    Some(Ok(record)) => {
                        discard += record.discard;
                        self.content.extend_from_slice(record.payload);
                    }
                }
            },
            Ok(ConnectionState::EncodeTlsData(mut data)) => loop {
                match data.encode(&mut self.outgoing[self.waiting..]) {
                    Ok(encoded) => {
                        self.waiting += encoded;
                        break Seen::More;
                    }
                    Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) => {
                        self.reserve(required_size);
                    }
                    Err(error) => break Seen::Failed(rustls::Error::General(error.to_string())),
                }
            },
            // It goes out before anything else does, since there is one buffer for all.
            Ok(ConnectionState::TransmitTlsData(data)) => {
                data.done();
                Seen::More
            }
            Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Seen::Closed,
            Ok(ConnectionState::BlockedHandshake) => Seen::Handshake,
            Ok(ConnectionState::WriteTraffic(_)) => Seen::Open,
            // No early data is offered.
            Ok(_) => Seen::Failed(rustls::Error::HandshakeNotComplete),
        };
        (discard, seen)
    }

    /// Seals a letter, if there is room for it.
    fn seal<D>(
        &mut self,
        status: UnbufferedStatus<'_, '_, D>,
        letter: Letter<'_>,
    ) -> (usize, io::Result<Result<(), InsufficientSizeError>>) {
        let Ok(ConnectionState::WriteTraffic(mut traffic)) = status.state else {
            return (status.discard, Err(io::ErrorKind::NotConnected.into()));
        };
        let outgoing = &mut self.outgoing[self.waiting..];
        let written = match letter {
            Letter::Content(octets) => traffic.encrypt(octets, outgoing),
            Letter::Farewell => traffic.queue_close_notify(outgoing),
        };
        let written = match written {
            Ok(written) => {
                self.waiting += written;
                Ok(Ok(()))
            }
            Err(EncryptError::InsufficientSize(size)) => Ok(Err(size)),
            Err(error) => Err(io::Error::other(error)),
        };
        (status.discard, written)
    }
}

/// Reads once behind what is there.
async fn read_some(socket: &TcpStream, incoming: &mut [u8], end: usize) -> Result<usize, TlsError> {
    if end == incoming.len() {
        return Err(TlsError::Failed("the handshake is too long".into()));
    }
    loop {
        socket.readable().await.map_err(TlsError::HungUp)?;
        match socket.try_read(&mut incoming[end..]) {
            Ok(0) => return Err(TlsError::HungUp(io::ErrorKind::UnexpectedEof.into())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => return other.map_err(TlsError::HungUp),
        }
    }
}

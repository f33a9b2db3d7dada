//! A data connection of FTP from the client's end, in clear or under TLS.
//!
//! RFC 4217 §7, §12.7; RFC 8446 §6.1. TLS is driven without buffers in between, so that the client costs as little as
//! it can: what is left of the machine is the server's.
//!
//! Invariants: under TLS a file ends with close_notify, in both directions.
//! Not here: what is transferred, how one waits (`ftp_socket`).

use crate::content::PIECE;
use crate::ftp_socket::Socket;
use anyhow::{Result, anyhow, bail, ensure};
use rustls::ClientConfig;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::unbuffered::{ConnectionState, EncodeError, InsufficientSizeError};
use std::net::SocketAddr;
use std::sync::Arc;

/// What a record has beside its content: header, kind, tag, and for TLS 1.2 a nonce.
const RECORD_OVERHEAD: usize = 64;

/// Room for a handshake, or for a record and the beginning of the next.
const ROOM_LEAST: usize = 20 * 1024;

/// An open data connection.
pub struct DataLine {
    socket: Socket,
    tls: Option<Box<Tls>>,
    /// What came and is not read yet stands from `start` to `end`.
    incoming: Vec<u8>,
    start: usize,
    end: usize,
}

struct Tls {
    connection: UnbufferedClientConnection,
    outgoing: Vec<u8>,
    /// How much of it waits to be sent.
    waiting: usize,
}

/// Where TLS stands once all that came has been looked at.
#[derive(Debug, PartialEq, Eq)]
enum Stand {
    Handshake,
    Open,
    Closed,
}

impl DataLine {
    /// Connects. `size` is how much will come, so that small files do not pay for large buffers.
    pub fn open(to: SocketAddr, size: u64) -> Result<DataLine> {
        let socket = Socket::connect(to)?;
        let room = PIECE.min(usize::try_from(size)?.max(16 * 1024));
        Ok(DataLine { socket, tls: None, incoming: vec![0; room], start: 0, end: 0 })
    }

    /// Begins TLS.
    pub async fn secure(&mut self, config: Arc<ClientConfig>) -> Result<()> {
        let connection = UnbufferedClientConnection::new(config, ServerName::try_from("localhost")?)?;
        self.incoming.resize(ROOM_LEAST.max(self.incoming.len()), 0);
        self.tls = Some(Box::new(Tls { connection, outgoing: Vec::new(), waiting: 0 }));
        while self.settle(&mut |_| bail!("the server speaks first"))? == Stand::Handshake {
            self.send_waiting().await?;
            ensure!(self.read().await? > 0, "the server ended the handshake");
        }
        self.send_waiting().await
    }

    /// Gives `take` what comes, until the end.
    pub async fn receive(&mut self, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        loop {
            if self.tls.is_none() {
                let read = self.read().await?;
                if read == 0 {
                    return Ok(());
                }
                take(&self.incoming[..read])?;
                self.end = 0;
                continue;
            }
            if self.settle(&mut take)? == Stand::Closed {
                return Ok(());
            }
            ensure!(self.read().await? > 0, "TLS ended without close_notify");
        }
    }

    /// Sends octets, [`PIECE`] at most.
    pub async fn send(&mut self, octets: &[u8]) -> Result<()> {
        match &mut self.tls {
            None => self.socket.write_all(octets).await,
            Some(tls) => {
                tls.encrypt(octets)?;
                self.send_waiting().await
            }
        }
    }

    /// Says that all was said, and waits until the server has closed too.
    pub async fn finish(mut self) -> Result<()> {
        if let Some(tls) = &mut self.tls {
            tls.say_farewell()?;
            self.send_waiting().await?;
        }
        self.socket.shutdown().await?;
        // What the server has said of its own, tickets perhaps, must be read: a close without it resets the connection, and
        // the reset destroys what the server has not read yet.
        while self.tls.is_some() && self.read().await.is_ok_and(|read| read > 0) {
            (self.start, self.end) = (0, 0);
        }
        Ok(())
    }

    /// Reads once.
    async fn read(&mut self) -> Result<usize> {
        if self.start > 0 {
            self.incoming.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let room = &mut self.incoming[self.end..];
        ensure!(!room.is_empty(), "a record is longer than records may be");
        let read = self.socket.read(room).await?;
        self.end += read;
        Ok(read)
    }

    /// Looks at all that came.
    fn settle(&mut self, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<Stand> {
        let Some(tls) = &mut self.tls else { bail!("no TLS") };
        loop {
            let status = tls.connection.process_tls_records(&mut self.incoming[self.start..self.end]);
            let mut discard = status.discard;
            let stand = match status.state? {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        take(record.payload)?;
                        discard += record.discard;
                    }
                    None
                }
                ConnectionState::EncodeTlsData(mut data) => {
                    tls.waiting += match data.encode(&mut tls.outgoing[tls.waiting..]) {
                        Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) => {
                            tls.outgoing.resize(tls.waiting + required_size, 0);
                            data.encode(&mut tls.outgoing[tls.waiting..])?
                        }
                        other => other?,
                    };
                    None
                }
                // It goes out before anything else does: there is one buffer.
                ConnectionState::TransmitTlsData(data) => {
                    data.done();
                    None
                }
                ConnectionState::BlockedHandshake => Some(Stand::Handshake),
                ConnectionState::WriteTraffic(_) => Some(Stand::Open),
                ConnectionState::PeerClosed | ConnectionState::Closed => Some(Stand::Closed),
                other => bail!("TLS is in a strange state: {other:?}"),
            };
            self.start += discard;
            if let Some(stand) = stand {
                return Ok(stand);
            }
        }
    }

    async fn send_waiting(&mut self) -> Result<()> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        let waiting = std::mem::take(&mut tls.waiting);
        self.socket.write_all(&tls.outgoing[..waiting]).await
    }
}

impl Tls {
    fn encrypt(&mut self, octets: &[u8]) -> Result<()> {
        let needed = self.waiting + octets.len() + (octets.len() / 16_384 + 2) * RECORD_OVERHEAD;
        if self.outgoing.len() < needed {
            self.outgoing.resize(needed, 0);
        }
        match self.connection.process_tls_records(&mut []).state? {
            ConnectionState::WriteTraffic(mut traffic) => {
                self.waiting += traffic
                    .encrypt(octets, &mut self.outgoing[self.waiting..])
                    .map_err(|error| anyhow!("not encrypted: {error}"))?;
                Ok(())
            }
            other => bail!("TLS does not let us write: {other:?}"),
        }
    }

    fn say_farewell(&mut self) -> Result<()> {
        self.outgoing.resize(self.outgoing.len().max(self.waiting + 2 * RECORD_OVERHEAD), 0);
        match self.connection.process_tls_records(&mut []).state? {
            ConnectionState::WriteTraffic(mut traffic) => {
                self.waiting += traffic
                    .queue_close_notify(&mut self.outgoing[self.waiting..])
                    .map_err(|error| anyhow!("no farewell: {error}"))?;
                Ok(())
            }
            other => bail!("TLS does not let us end: {other:?}"),
        }
    }
}

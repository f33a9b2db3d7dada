//! The socket of a data connection. The reactor hears of it only when it has to wait: of most small files it never does, and
//! then the client costs as little as it can.
//!
//! Invariants: no wait is longer than [`PATIENCE`], but for the connection, which the loopback makes at once.
//! Not here: what travels (`ftp_data`).

use crate::wire::PATIENCE;
use anyhow::{Context, Result, bail};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connected socket.
pub enum Socket {
    /// The reactor does not know it.
    Fresh(std::net::TcpStream),
    Known(TcpStream),
    /// What the reactor did not take.
    Gone,
}

impl Socket {
    /// Connects.
    pub fn connect(to: SocketAddr) -> Result<Socket> {
        let socket = std::net::TcpStream::connect(to)?;
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        Ok(Socket::Fresh(socket))
    }

    /// Reads once.
    pub async fn read(&mut self, room: &mut [u8]) -> Result<usize> {
        if let Socket::Fresh(socket) = self {
            match socket.read(room) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return Ok(read?),
            }
        }
        let read = self.known()?.read(room);
        Ok(tokio::time::timeout(PATIENCE, read).await.context("the server is silent")??)
    }

    /// Writes all of it.
    pub async fn write_all(&mut self, mut octets: &[u8]) -> Result<()> {
        if let Socket::Fresh(socket) = self {
            match socket.write(octets) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                written => octets = &octets[written?..],
            }
        }
        if octets.is_empty() {
            return Ok(());
        }
        let written = self.known()?.write_all(octets);
        Ok(tokio::time::timeout(PATIENCE, written).await.context("the server does not read")??)
    }

    /// Says that all was said.
    pub async fn shutdown(&mut self) -> Result<()> {
        match self {
            Socket::Fresh(socket) => Ok(socket.shutdown(Shutdown::Write)?),
            _ => Ok(self.known()?.shutdown().await?),
        }
    }

    /// Has the reactor know it.
    fn known(&mut self) -> Result<&mut TcpStream> {
        *self = match std::mem::replace(self, Socket::Gone) {
            Socket::Fresh(socket) => Socket::Known(TcpStream::from_std(socket)?),
            same => same,
        };
        match self {
            Socket::Known(stream) => Ok(stream),
            Socket::Fresh(_) | Socket::Gone => bail!("the connection is gone"),
        }
    }
}

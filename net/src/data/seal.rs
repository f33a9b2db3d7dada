//! A large file under TLS: while pieces are on their way, the next are read and sealed on another thread.
//!
//! ```text
//! file ─read→ plain ─seal→ piece ═ a few ahead ═→ socket
//!                            ↑──────── emptied ────┘
//! ```
//!
//! Invariants: no more than [`AHEAD`] pieces are ahead; no more files are sealed ahead than there are pairs of processors.
//! Not here: what TLS makes of the octets (secure).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::secure::{Records, SecureLine};
use super::send::STRETCH;
use super::wait::write_all;
use super::wire::{Broken, DataLine, Wire, away};

/// So many pieces of a file are sealed ahead on another thread, of [`STRETCH`] each. That there are few such transfers at a time
/// bounds the memory.
const AHEAD: usize = 8;

/// Once so few of them are left, more are sealed: the more at a time, the less often two threads wake each other.
const AHEAD_FEW: usize = 3;

impl DataLine {
    /// Sends a stretch of a file under TLS: while pieces are on their way, the next are read and sealed on another thread.
    pub(super) async fn send_sealed(
        &mut self,
        file: &File,
        from: u64,
        until: u64,
        sent: &impl Fn(u64),
    ) -> Result<(), Broken> {
        let Wire::Tls(line) = std::mem::replace(&mut self.wire, Wire::Away) else { return Err(away()) };
        let SecureLine { mut socket, records } = line;
        let (pieces, mut ahead) = mpsc::channel(AHEAD);
        let (emptied, spare) = std::sync::mpsc::channel();
        let file = file.try_clone().map_err(Broken::File)?;
        let sealer = Sealer { records, file, at: from, until, plain: Vec::new(), pieces, spare };
        let (mut sealing, mut left) = (Sealing::Resting(sealer), until - from);
        while left > 0 {
            sealing = sealing.go_on(ahead.len()).await?;
            let Some(Piece { octets, sealed, plain }) = sealing.next(&mut ahead).await? else { continue };
            write_all(&mut socket, &octets[..sealed], self.stall).await?;
            sent(plain);
            left -= plain;
            // Whoever seals may be done.
            let _ = emptied.send(octets);
        }
        let Sealer { records, .. } = sealing.rest().await?;
        self.wire = Wire::Tls(SecureLine { socket, records });
        Ok(())
    }
}

/// Files that are on their way under TLS just now.
pub(super) static UNDER_TLS: AtomicUsize = AtomicUsize::new(0);

/// One of them, until it is dropped.
pub(super) struct Busy(&'static AtomicUsize);

impl Busy {
    pub(super) fn begin(count: &'static AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Busy(count)
    }

    /// Whether each of them can have a second processor. If not, changing threads would only cost time.
    pub(super) fn leaves_room(&self, processors: usize) -> bool {
        2 * self.0.load(Ordering::Relaxed) <= processors
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A piece of a file that is sealed.
struct Piece {
    /// The records stand at the front, so many octets.
    octets: Vec<u8>,
    sealed: usize,
    /// So many octets of the file.
    plain: u64,
}

/// Whoever reads a file and seals it.
struct Sealer {
    records: Box<Records>,
    file: File,
    at: u64,
    until: u64,
    plain: Vec<u8>,
    pieces: mpsc::Sender<Piece>,
    /// Buffers of pieces that were sent.
    spare: std::sync::mpsc::Receiver<Vec<u8>>,
}

impl Sealer {
    /// Seals until enough is ahead, or all is, or nobody wants it any more.
    fn seal_ahead(mut self) -> Result<Self, Broken> {
        while self.at < self.until
            && let Ok(place) = self.pieces.try_reserve()
        {
            self.plain.resize((self.until - self.at).min(STRETCH as u64) as usize, 0);
            let read = self.file.read_at(&mut self.plain, self.at).map_err(Broken::File)?;
            if read == 0 {
                return Err(Broken::File(io::ErrorKind::UnexpectedEof.into()));
            }
            self.records.seal(&self.plain[..read]).map_err(Broken::Lost)?;
            let mut octets = self.spare.try_recv().unwrap_or_default();
            let sealed = self.records.swap_outgoing(&mut octets);
            place.send(Piece { octets, sealed, plain: read as u64 });
            self.at += read as u64;
        }
        Ok(self)
    }
}

/// What he does.
enum Sealing {
    Running(JoinHandle<Result<Sealer, Broken>>),
    Resting(Sealer),
}

impl Sealing {
    /// Has him seal more, if so few pieces are left.
    async fn go_on(self, left: usize) -> Result<Self, Broken> {
        if let Sealing::Running(running) = &self
            && !running.is_finished()
        {
            return Ok(self);
        }
        let sealer = self.rest().await?;
        if left > AHEAD_FEW || sealer.at == sealer.until {
            return Ok(Sealing::Resting(sealer));
        }
        Ok(Sealing::Running(tokio::task::spawn_blocking(|| sealer.seal_ahead())))
    }

    /// The next piece; none if he has come to rest instead. Where he rests already there is one, for [`Sealing::go_on`] sees to it.
    async fn next(&mut self, ahead: &mut mpsc::Receiver<Piece>) -> Result<Option<Piece>, Broken> {
        let Sealing::Running(running) = self else { return Ok(ahead.recv().await) };
        let rested = tokio::select! {
            biased;
            Some(piece) = ahead.recv() => return Ok(Some(piece)),
            rested = running => rested,
        };
        *self = Sealing::Resting(rested.map_err(|_| away())??);
        Ok(None)
    }

    async fn rest(self) -> Result<Sealer, Broken> {
        match self {
            Sealing::Running(running) => running.await.map_err(|_| away())?,
            Sealing::Resting(sealer) => Ok(sealer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_done_leaves_room_again() {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let one = Busy::begin(&COUNT);
        assert!(one.leaves_room(2));
        let other = Busy::begin(&COUNT);
        assert!(!one.leaves_room(2) && one.leaves_room(4));
        drop(other);
        assert!(one.leaves_room(2));
    }
}

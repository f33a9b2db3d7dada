//! One large file sent over several connections, each with a piece of it, which the server joins.
//!
//! COMB as GlobalSCAPE made it up, and our server and SFTPGo have it: parts are put behind each other, and removed.
//!
//! ```text
//! a large file, COMB, and hands are free ─→ Shipment ─→ (SIZE → same beginning? → REST) → STOR .name.tag.part → SIZE, each piece ─┐
//!           the last one: COMB of all into .name.tag.part → SIZE → (same sum?) → RNFR, RNTO → MFMT ←───────────────────────────────┘
//! ```
//!
//! STOR at an offset (REST) into one file would spare the server a copy, but none of our acquaintance bears several of them:
//! vsftpd locks the file for the first, ProFTPD and pyftpdlib refuse to begin behind its end, Pure-FTPd and our server cut it.
//!
//! Which pieces there are depends on the file alone, so that whoever goes on another day finds them, with however many
//! connections. What is joined has a name that no other upload has: COMB puts things behind what is there.
//!
//! Invariants: nothing is joined before SIZE says that each piece is whole; what is joined gets the file's name only if it is as
//! long as the file; of what cannot be gone on with, nothing stays there.
//! Not here: which files are worth it, and who sends the pieces (batch).

use crate::connection::{Connection, wire_path};
use crate::directory::{join, moment, parted, shown};
use crate::error::Error;
use crate::part::piece_name;
use crate::pieces::{Fate, PIECE_MIN_OCTETS, split};
use crate::send::{Renaming, Send, Sent, Upload, has_arrived};
use ftp::client::Words;
use ftp::{Command, Moment, WirePath};
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// More than these would make COMB's line long, and the last connections find no piece of their own.
const PIECES_MAX: u64 = 8;

/// Servers hold commands of this length; where the names are longer, the file goes in one piece.
const COMB_MAX_OCTETS: usize = 4096;

/// A file that is sent in pieces.
pub(crate) struct Shipment {
    step: String,
    file: Arc<File>,
    octets: u64,
    time: Option<Moment>,
    target: WirePath,
    /// Where the pieces are put together.
    joined: WirePath,
    pieces: Vec<Piece>,
    resumed_at: AtomicU64,
    /// It goes in one piece after all, so these are of no use.
    discarded: AtomicBool,
    fate: Fate,
}

struct Piece {
    stretch: Range<u64>,
    name: WirePath,
    sent: AtomicBool,
}

impl Shipment {
    /// Nothing if the file is small, or its name too long.
    pub(crate) fn begin(source: &Path, path: &[u8]) -> Result<Option<Self>, Error> {
        let local = |why| Error::local(source, why);
        let file = File::open(source).map_err(local)?;
        let about = file.metadata().map_err(local)?;
        let octets = about.len();
        if !about.is_file() || octets < 2 * PIECE_MIN_OCTETS {
            return Ok(None);
        }
        let time = about.modified().ok().map(moment);
        let (directory, name) = parted(path);
        let named = |stretch: &Range<u64>| {
            wire_path(&join(directory, &piece_name(name, octets, time.map(Moment::unix_secs), stretch)))
        };
        let pieces =
            split(octets, 0, (octets / PIECE_MIN_OCTETS).min(PIECES_MAX)).into_iter().map(|(from, _, until)| {
                let stretch = from..until;
                Ok(Piece { name: named(&stretch)?, stretch, sent: AtomicBool::new(false) })
            });
        let shipment = Shipment {
            step: format!("send {}", shown(path)),
            file: Arc::new(file),
            octets,
            time,
            target: wire_path(path)?,
            joined: named(&(0..octets))?,
            pieces: pieces.collect::<Result<_, Error>>()?,
            resumed_at: AtomicU64::new(0),
            discarded: AtomicBool::new(false),
            fate: Fate::default(),
        };
        let fits = shipment.joining().as_bytes().len() <= COMB_MAX_OCTETS;
        Ok(fits.then_some(shipment))
    }

    fn joining(&self) -> Words {
        Command::Comb(self.joined.clone(), self.pieces.iter().map(|piece| piece.name.clone()).collect()).into()
    }

    pub(crate) fn pieces(&self) -> usize {
        self.pieces.len()
    }

    pub(crate) fn fate(&self) -> &Fate {
        &self.fate
    }

    /// Whether all of it is there, and the caller is the one who is to complete it.
    pub(crate) fn is_to_complete(&self) -> bool {
        self.pieces.iter().all(|piece| piece.sent.load(Ordering::SeqCst)) && self.fate.complete()
    }
}

impl Connection {
    /// Looks whether something is in the way of the pieces, or whether they were joined another day.
    pub(crate) async fn prepare_shipment(&mut self, shipment: &Shipment, wishes: &Send) -> Result<(), Error> {
        let there = self.measure(&shipment.joined).await?.0;
        if wishes.resume && there == Some(shipment.octets) {
            shipment.pieces.iter().for_each(|piece| piece.sent.store(true, Ordering::SeqCst));
            shipment.resumed_at.store(shipment.octets, Ordering::SeqCst);
        } else if there.is_some() {
            self.say(vec![Command::Dele(shipment.joined.clone()).into()]).await?;
        }
        Ok(())
    }

    /// Sends what is missing of a piece.
    pub(crate) async fn send_piece(&mut self, shipment: &Shipment, index: usize, wishes: &Send) -> Result<(), Error> {
        let piece = &shipment.pieces[index];
        if piece.sent.load(Ordering::SeqCst) {
            return Ok(());
        }
        let sent = self.send_stretch(shipment, piece, wishes).await;
        piece.sent.store(sent.is_ok(), Ordering::SeqCst);
        // Whoever has discarded the others did not know of this one.
        if shipment.discarded.load(Ordering::SeqCst) && self.is_open() {
            self.say(vec![Command::Dele(piece.name.clone()).into()]).await?;
        }
        sent
    }

    async fn send_stretch(&mut self, shipment: &Shipment, piece: &Piece, wishes: &Send) -> Result<(), Error> {
        let Shipment { file, step, .. } = shipment;
        let upload = Upload { file, stretch: piece.stretch.clone(), part: &piece.name, step };
        let begun = if wishes.resume { self.begun(&upload).await? } else { 0 };
        let (begun, _) = self.send_rest(&upload, begun, false, wishes).await?;
        shipment.resumed_at.fetch_add(begun, Ordering::SeqCst);
        Ok(())
    }

    /// Has the pieces joined, and gives the file its name.
    pub(crate) async fn join_shipment(&mut self, shipment: &Shipment, wishes: &Send) -> Result<Sent, Error> {
        let joined = self.join_and_finish(shipment, wishes).await;
        if joined.is_err() {
            shipment.fate.reopen();
        }
        if matches!(joined, Err(Error::Differs { .. })) {
            self.say(vec![Command::Dele(shipment.joined.clone()).into()]).await?;
        }
        joined
    }

    async fn join_and_finish(&mut self, shipment: &Shipment, wishes: &Send) -> Result<Sent, Error> {
        let Shipment { step, octets, joined, .. } = shipment;
        // Whoever has lost the connection behind COMB does not know whether they are joined already.
        if self.measure(joined).await?.0 != Some(*octets) {
            let reply = self.say(vec![shipment.joining()]).await?.swap_remove(0);
            if !reply.is_positive() {
                return Err(Error::Refused { step: format!("{step}: join its pieces"), reply });
            }
        }
        let resumed_at = shipment.resumed_at.load(Ordering::SeqCst);
        let heard = self.say(self.behind(joined, false)).await?;
        has_arrived(heard.first(), *octets, step)?;
        let upload = Upload { file: &shipment.file, stretch: 0..*octets, part: joined, step };
        let verified = (wishes.verify || resumed_at > 0) && self.compare(&upload).await?;
        let time = shipment.time.filter(|_| wishes.keep_time);
        let dated = self.finish(joined, &shipment.target, Renaming::NotBegun, time, step).await?;
        Ok(Sent { octets: *octets, resumed_at, verified, dated })
    }

    /// Removes what was sent: it goes in one piece after all.
    pub(crate) async fn discard_shipment(&mut self, shipment: &Shipment) -> Result<(), Error> {
        shipment.discarded.store(true, Ordering::SeqCst);
        let names = shipment.pieces.iter().map(|piece| &piece.name).chain([&shipment.joined]);
        // Those that are not there, or not yet, do no harm.
        self.say(names.map(|name| Command::Dele(name.clone()).into()).collect()).await.map(drop)
    }
}

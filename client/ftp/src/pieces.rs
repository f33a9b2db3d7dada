//! One large file over several connections, each with a piece of it.
//!
//! RFC 3659 §5.3 (REST, and RETR from there); draft-bryan-ftp-range-08 §3 (RANG, where the server has it).
//!
//! ```text
//! a large file, and hands are free ─→ Whole: a part, and a piece for each hand ─→ REST or RANG → RETR → up to its end ─┐
//!              the last one: SIZE and MDTM, again → (same sum?) → time → rename ←──────────────────────────────────────┘
//! ```
//!
//! How far each piece is stands behind the part's last octet, so that the rest can be fetched another day. A server without
//! RANG would send all that follows: the data connection is closed at the end of the piece, whatever the server says of that.
//!
//! Invariants: no piece writes where another one does; a part with a piece missing does not get the file's name; a file that
//! changed meanwhile does not either.
//! Not here: which files are worth it, and who fetches the pieces (batch); pieces that are sent (shipment).

use crate::connection::{Connection, wire_path};
use crate::directory::shown;
use crate::error::Error;
use crate::fetch::{COMPARED_OCTETS, Fetch, Fetched, beside, finish, last_octets, open, unopened};
use crate::fill::{Stretch, Until, into_file};
use crate::pump::Counter;
use ftp::client::Start;
use ftp::{Command, Moment, WirePath};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Smaller pieces are not worth another connection, in octets.
pub const PIECE_MIN_OCTETS: u64 = 8 << 20;

/// More pieces than this nobody makes, so a part that tells of more is none of ours.
const PIECES_MAX: usize = 64;

/// So much of a piece is fetched before that is noted, in octets.
const NOTED_OCTETS: u64 = 4 << 20;

/// What stands behind the last octet of a part, before the pieces: for each its first octet, the next one to come, and the
/// first that is not its own.
const MARK: &[u8; 16] = b"packetboat parts";

const PIECE_OCTETS: usize = 24;

/// A file that is fetched in pieces.
pub(crate) struct Whole {
    wire: WirePath,
    step: String,
    part: PathBuf,
    target: PathBuf,
    file: Arc<File>,
    size: u64,
    time: Option<Moment>,
    /// What MDTM said when it was begun.
    told: Option<Moment>,
    pieces: Vec<Piece>,
    resumed_at: u64,
    /// Whether pieces are noted behind the last octet. Who writes or cuts there holds it.
    takes_notes: Mutex<bool>,
    fate: Fate,
}

/// What becomes of a file in pieces: those who have one each agree on it.
#[derive(Default)]
pub(crate) struct Fate {
    given_up: AtomicBool,
    completed: AtomicBool,
}

impl Fate {
    /// Nobody needs to go on. Says whether that is news.
    pub(crate) fn give_up(&self) -> bool {
        !self.given_up.swap(true, Ordering::SeqCst)
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::SeqCst)
    }

    /// All pieces are there: says whether the caller is the one who is to complete the file.
    pub(crate) fn complete(&self) -> bool {
        !self.completed.swap(true, Ordering::SeqCst)
    }

    /// It could not be completed; whoever goes on may try.
    pub(crate) fn reopen(&self) {
        self.completed.store(false, Ordering::SeqCst);
    }
}

/// What is known of it.
pub(crate) struct About {
    pub(crate) size: u64,
    /// What it is to have here.
    pub(crate) time: Option<Moment>,
    /// What MDTM says now.
    pub(crate) told: Option<Moment>,
}

struct Piece {
    from: u64,
    at: AtomicU64,
    until: u64,
    noted: AtomicU64,
}

impl Piece {
    fn new((from, at, until): (u64, u64, u64)) -> Self {
        Piece { from, at: AtomicU64::new(at), until, noted: AtomicU64::new(at) }
    }

    fn at(&self) -> u64 {
        self.at.load(Ordering::Acquire)
    }

    fn is_done(&self) -> bool {
        self.at() == self.until
    }
}

impl Whole {
    /// A part in so many pieces; where one was begun, and that is wished, in the pieces that it has.
    pub(crate) fn begin(path: &[u8], target: &Path, about: &About, pieces: u64, resume: bool) -> Result<Self, Error> {
        let About { size, time, told } = *about;
        let part = beside(target, Some(size), time)?;
        let local = |why| Error::local(&part, why);
        let (file, there) = open(&part).map_err(|why| unopened(&part, why))?;
        let begun = if resume { there } else { 0 };
        let found = if begun > size { read_pieces(&file, size).unwrap_or_default() } else { Vec::new() };
        let ranges = match (found.is_empty(), begun) {
            (false, _) => found,
            (true, begun) if begun <= size => split(size, begun, pieces),
            (true, _) => split(size, 0, pieces),
        };
        let resumed_at = ranges.iter().map(|(from, at, _)| at - from).sum();
        if resumed_at == 0 {
            file.set_len(0).map_err(local)?;
        }
        write_pieces(&file, size, &ranges).map_err(local)?;
        Ok(Whole {
            wire: wire_path(path)?,
            step: format!("fetch {}", shown(path)),
            target: target.into(),
            file,
            size,
            time,
            told,
            pieces: ranges.into_iter().map(Piece::new).collect(),
            resumed_at,
            takes_notes: Mutex::new(true),
            fate: Fate::default(),
            part,
        })
    }

    pub(crate) fn pieces(&self) -> usize {
        self.pieces.len()
    }

    pub(crate) fn fate(&self) -> &Fate {
        &self.fate
    }

    /// What was fetched is of no use. Whoever writes to it still, writes to what nobody sees.
    pub(crate) fn discard(&self) {
        let _ = fs::remove_file(&self.part);
    }

    /// Whether all of it is here, and the caller is the one who is to complete it.
    pub(crate) fn is_to_complete(&self) -> bool {
        self.pieces.iter().all(Piece::is_done) && self.fate.complete()
    }

    /// So far a piece is there. Somebody who was stopped may tell it late: what is there stays so.
    fn filled(&self, index: usize, at: u64) {
        let piece = &self.pieces[index];
        let at = piece.at.fetch_max(at, Ordering::AcqRel).max(at);
        if at.saturating_sub(piece.noted.load(Ordering::Relaxed)) >= NOTED_OCTETS || at == piece.until {
            self.note(index, at);
        }
    }

    /// A note that cannot be made costs no more than what would be fetched again.
    fn note(&self, index: usize, at: u64) {
        let takes_notes = self.takes_notes.lock().unwrap_or_else(PoisonError::into_inner);
        let place = self.size + (MARK.len() + 4 + index * PIECE_OCTETS + 8) as u64;
        if *takes_notes && self.file.write_all_at(&at.to_be_bytes(), place).is_ok() {
            self.pieces[index].noted.store(at, Ordering::Relaxed);
        }
    }

    /// The file is whole: there is nothing behind its last octet, nor will there be.
    fn cut_notes_off(&self) -> io::Result<()> {
        let mut takes_notes = self.takes_notes.lock().unwrap_or_else(PoisonError::into_inner);
        *takes_notes = false;
        self.file.set_len(self.size)
    }
}

impl Connection {
    /// Fetches what is missing of a piece.
    pub(crate) async fn fetch_piece(
        &mut self,
        whole: &Arc<Whole>,
        index: usize,
        heard: Option<Arc<dyn Fn(u64) + Send + Sync>>,
    ) -> Result<(), Error> {
        let piece = &whole.pieces[index];
        if piece.is_done() {
            return Ok(());
        }
        let at = piece.at();
        let from = at.saturating_sub(COMPARED_OCTETS).max(piece.from);
        let known = last_octets(&whole.file, from, at).map_err(|why| Error::local(&whole.part, why))?;
        let (start, until) = match (self.features().rang, piece.until == whole.size) {
            (true, _) => (Start::Between(from, piece.until - 1), Until::Told(piece.until)),
            (false, true) => (Start::At(from), Until::Told(piece.until)),
            (false, false) => (Start::At(from), Until::Cut(piece.until)),
        };
        // REST 0 would be one more reply.
        let start = if start == Start::At(0) { Start::Beginning } else { start };
        let filled = {
            let whole = whole.clone();
            move |at| whole.filled(index, at)
        };
        let stretch =
            Stretch { file: whole.file.clone(), at, known: Arc::new(known), until, filled: Some(Arc::new(filled)) };
        let pump = into_file(stretch, Counter::heard_by(heard));
        let words = (&Command::Retr(whole.wire.clone())).into();
        let fetched = self.transfer(words, start, pump, &whole.step).await;
        // It is all here: what the server thinks of a connection that we have closed does not matter.
        if piece.is_done() {
            return Ok(());
        }
        whole.note(index, piece.at());
        fetched?;
        let why = format!("{} octets came of {}", piece.at() - piece.from, piece.until - piece.from);
        Err(Error::Differs { step: whole.step.clone(), why })
    }

    /// Looks whether it is the file that was begun with, and gives it its name.
    pub(crate) async fn complete(&mut self, whole: &Arc<Whole>, wishes: &Fetch) -> Result<Fetched, Error> {
        let done = self.look_and_finish(whole, wishes).await;
        if done.is_err() {
            whole.fate.reopen();
        }
        done
    }

    async fn look_and_finish(&mut self, whole: &Arc<Whole>, wishes: &Fetch) -> Result<Fetched, Error> {
        let differs = |why: &str| Error::Differs { step: whole.step.clone(), why: why.into() };
        let (size, time) = self.measure(&whole.wire).await?;
        if size.is_some_and(|size| size != whole.size) || time != whole.told {
            whole.discard();
            return Err(differs("the file changed while it was fetched"));
        }
        let sum = wishes.verify || whole.resumed_at > 0;
        let verified = if sum { self.same_sum(&whole.wire, &whole.file, &(0..whole.size)).await? } else { None };
        if verified == Some(false) {
            whole.discard();
            return Err(differs("the sums differ"));
        }
        whole.cut_notes_off().map_err(|why| Error::local(&whole.part, why))?;
        finish(&whole.file, &whole.part, &whole.target, whole.time.filter(|_| wishes.keep_time))?;
        Ok(Fetched { octets: whole.size, resumed_at: whole.resumed_at, verified: verified == Some(true) })
    }
}

/// What is not here yet, in pieces of equal length. The first begins with what is here.
pub(crate) fn split(size: u64, begun: u64, pieces: u64) -> Vec<(u64, u64, u64)> {
    let share = (size - begun).div_ceil(pieces.clamp(1, PIECES_MAX as u64)).max(1);
    let mut ranges = vec![(0, begun, (begun + share).min(size))];
    while let Some(&(_, _, until)) = ranges.last()
        && until < size
    {
        ranges.push((until, until, (until + share).min(size)));
    }
    ranges
}

fn write_pieces(file: &File, size: u64, pieces: &[(u64, u64, u64)]) -> io::Result<()> {
    let mut text = MARK.to_vec();
    text.extend_from_slice(&u32::try_from(pieces.len()).unwrap_or(0).to_be_bytes());
    for (from, at, until) in pieces {
        for number in [from, at, until] {
            text.extend_from_slice(&number.to_be_bytes());
        }
    }
    file.write_all_at(&text, size)?;
    file.set_len(size + text.len() as u64)
}

/// What stands behind the last octet, if it is what we write there.
fn read_pieces(file: &File, size: u64) -> Option<Vec<(u64, u64, u64)>> {
    let mut head = [0; MARK.len() + 4];
    file.read_exact_at(&mut head, size).ok()?;
    let (mark, count) = head.split_at(MARK.len());
    let count = u32::from_be_bytes(count.try_into().ok()?) as usize;
    if mark != MARK || count == 0 || count > PIECES_MAX {
        return None;
    }
    let mut octets = vec![0; count * PIECE_OCTETS];
    file.read_exact_at(&mut octets, size + head.len() as u64).ok()?;
    let number = |octets: &[u8]| octets.try_into().map_or(u64::MAX, u64::from_be_bytes);
    let pieces: Vec<_> = octets
        .chunks(PIECE_OCTETS)
        .map(|piece| (number(&piece[..8]), number(&piece[8..16]), number(&piece[16..])))
        .collect();
    let ends = pieces.iter().map(|(_, _, until)| *until);
    let joined = pieces.iter().map(|(from, ..)| *from).eq(std::iter::once(0).chain(ends).take(count));
    let ordered = pieces.iter().all(|(from, at, until)| from <= at && at <= until);
    let ends_well = pieces.last().is_some_and(|(_, _, until)| *until == size);
    (joined && ordered && ends_well).then_some(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_whole() {
        assert_eq!(split(10, 0, 3), [(0, 0, 4), (4, 4, 8), (8, 8, 10)]);
        assert_eq!(split(10, 4, 3), [(0, 4, 6), (6, 6, 8), (8, 8, 10)]);
        assert_eq!(split(10, 10, 3), [(0, 10, 10)]);
        assert_eq!(split(0, 0, 3), [(0, 0, 0)]);
    }

    #[test]
    fn nothing_is_noted_behind_what_is_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let about = About { size: 10, time: None, told: None };
        let whole = Whole::begin(b"menu", &folder.path().join("menu"), &about, 2, false).expect("begun");
        whole.filled(0, 5);
        assert!(!whole.is_to_complete());
        whole.filled(1, 10);
        assert!(whole.is_to_complete() && !whole.is_to_complete(), "one completes it");
        whole.cut_notes_off().expect("cut");
        // Who was stopped, and wrote all the same, tells it late.
        whole.filled(1, 7);
        whole.note(0, 5);
        assert_eq!(whole.file.metadata().expect("a file").len(), 10);
        assert!(whole.pieces.iter().all(Piece::is_done), "what was filled stays so");
    }

    #[test]
    fn what_was_noted_is_read_and_nothing_else() {
        let file = tempfile::tempfile().expect("a file");
        let pieces = [(0, 3, 6), (6, 6, 8), (8, 10, 10)];
        write_pieces(&file, 10, &pieces).expect("written");
        assert_eq!(read_pieces(&file, 10).expect("read"), pieces);
        assert_eq!(read_pieces(&file, 9), None);
        for wrong in [&[(0, 3, 6), (7, 7, 10)][..], &[(0, 7, 6), (6, 6, 10)], &[(0, 0, 9)], &[]] {
            write_pieces(&file, 10, wrong).expect("written");
            assert_eq!(read_pieces(&file, 10), None, "{wrong:?}");
        }
    }
}

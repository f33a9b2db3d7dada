//! Compression of a conversation: each way one stream of raw DEFLATE between the session and the wire.
//!
//! RFC 4978 §3 (below it TLS, if there is any), §4 (raw, without a header); RFC 1951.
//!
//! ```text
//! outbox ←put, flush─ said        wire ─put→ folded ─unfold→ inbox
//! ```
//!
//! Invariants: what was put is whole at the peer after a flush; input is unfolded a stretch at a time, however much it swells;
//! who is silent for long keeps the peer's window and nothing else.
//! Not here: when it begins (session), what travels below it (wire).

use std::io;
use std::time::Duration;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// RFC 4978 §4: responses fold well at the least cost; above this, time is spent for a few percent.
const LEVEL: u32 = 3;

/// So much is unfolded at once, in octets. Deflate makes at most 1,032 octets of one.
const UNFOLDED_OCTETS: usize = 32 * 1024;

/// Room that is made for folded octets at once.
const FOLDED_OCTETS: usize = 4 * 1024;

/// What folds is large (some 450 KiB). It is given back after so long without a word; the next one begins anew behind the
/// last flush, which no peer can tell from a stream that goes on.
pub(super) const QUIET: Duration = Duration::from_secs(5);

/// Both ways.
pub(super) struct Fold {
    /// Made when there is something to fold.
    out: Option<Compress>,
    /// Something was put behind the last flush.
    unflushed: bool,
    from: Decompress,
    /// What came and is not unfolded.
    folded: Vec<u8>,
    /// There may be more behind what was unfolded last, whether or not more has come.
    swells: bool,
    /// The peer has ended its stream.
    ended: bool,
}

impl Fold {
    /// Begins; `folded` came already.
    pub(super) fn new(folded: Vec<u8>) -> Self {
        let (out, unflushed, swells, ended) = (None, false, false, false);
        Fold { out, unflushed, from: Decompress::new(false), folded, swells, ended }
    }

    /// Appends to `wire` what these octets become; some may come only with the next flush.
    pub(super) fn put(&mut self, octets: &[u8], wire: &mut Vec<u8>) {
        self.unflushed |= !octets.is_empty();
        self.fold(octets, FlushCompress::None, wire);
    }

    /// Appends the rest of what was put, so that the peer can read it now.
    pub(super) fn flush(&mut self, wire: &mut Vec<u8>) {
        if std::mem::take(&mut self.unflushed) {
            self.fold(b"", FlushCompress::Sync, wire);
        }
    }

    /// Whether something was put behind the last flush.
    pub(super) fn is_unflushed(&self) -> bool {
        self.unflushed
    }

    fn fold(&mut self, mut octets: &[u8], flush: FlushCompress, wire: &mut Vec<u8>) {
        let stream = self.out.get_or_insert_with(|| Compress::new(Compression::new(LEVEL), false));
        loop {
            wire.reserve(FOLDED_OCTETS);
            let (before, length, room) = (stream.total_in(), wire.len(), wire.capacity() - wire.len());
            let status = stream.compress_vec(octets, wire, flush);
            let taken = usize::try_from(stream.total_in() - before).unwrap_or(octets.len());
            octets = &octets[taken..];
            // Room that is left says that nothing more comes. It fails only where there is nothing to do.
            if !matches!(status, Ok(Status::Ok)) || (octets.is_empty() && wire.len() - length < room) {
                return;
            }
        }
    }

    /// Whether what folds is in memory and could be given back.
    pub(super) fn is_large(&self) -> bool {
        self.out.is_some() && !self.unflushed
    }

    /// Gives back what only a busy connection needs.
    pub(super) fn rest(&mut self) {
        if !self.unflushed {
            self.out = None;
        }
    }

    /// Where what comes from the wire is put.
    pub(super) fn folded(&mut self) -> &mut Vec<u8> {
        &mut self.folded
    }

    /// Appends a stretch of what came to `inbox`, and says how much; `0` asks for more from the wire.
    ///
    /// # Errors
    /// What came is no such stream.
    pub(super) fn unfold(&mut self, inbox: &mut Vec<u8>) -> io::Result<usize> {
        if self.ended || (self.folded.is_empty() && !self.swells) {
            self.folded = Vec::new();
            return Ok(0);
        }
        let (before, length) = (self.from.total_in(), inbox.len());
        inbox.reserve(UNFOLDED_OCTETS);
        let room = inbox.capacity() - length;
        let status = self.from.decompress_vec(&self.folded, inbox, FlushDecompress::None);
        let taken = usize::try_from(self.from.total_in() - before).unwrap_or(self.folded.len());
        self.folded.drain(..taken);
        let unfolded = inbox.len() - length;
        self.swells = unfolded == room;
        match status {
            Ok(Status::StreamEnd) => self.ended = true,
            // It neither takes nor gives anything: it cannot go on with what is there.
            Ok(_) if taken == 0 && unfolded == 0 && !self.folded.is_empty() => return Err(invalid()),
            Ok(_) => {}
            Err(_) => return Err(invalid()),
        }
        Ok(unfolded)
    }

    /// Whether the peer has ended its stream: it will say no more.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }
}

fn invalid() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "what should be compressed is not")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fold(pieces: &[&[u8]], rests: bool) -> Vec<u8> {
        let (mut fold, mut wire) = (Fold::new(Vec::new()), Vec::new());
        for piece in pieces {
            fold.put(piece, &mut wire);
            fold.flush(&mut wire);
            if rests {
                fold.rest();
            }
        }
        wire
    }

    fn unfold(wire: &[u8], piece: usize) -> io::Result<Vec<u8>> {
        let (mut fold, mut octets) = (Fold::new(Vec::new()), Vec::new());
        for piece in wire.chunks(piece) {
            fold.folded().extend_from_slice(piece);
            loop {
                let before = octets.len();
                let unfolded = fold.unfold(&mut octets)?;
                assert_eq!(octets.len() - before, unfolded);
                if unfolded == 0 && fold.folded().is_empty() {
                    break;
                }
            }
        }
        Ok(octets)
    }

    #[test]
    fn what_is_flushed_can_be_read_and_costs_nothing_twice() {
        let mut fold = Fold::new(Vec::new());
        let mut wire = Vec::new();
        fold.put(b"* OK hello\r\n", &mut wire);
        assert!(fold.is_unflushed());
        fold.flush(&mut wire);
        assert_eq!(unfold(&wire, 1).expect("a stream"), b"* OK hello\r\n");
        let length = wire.len();
        fold.flush(&mut wire);
        assert_eq!(wire.len(), length);
    }

    #[test]
    fn a_bomb_comes_a_stretch_at_a_time() {
        let (mut packer, mut wire) = (Fold::new(Vec::new()), Vec::new());
        packer.put(&vec![b'a'; 20_000_000], &mut wire);
        packer.flush(&mut wire);
        assert!(wire.len() < 200_000);
        let (mut fold, mut inbox, mut all) = (Fold::new(wire), Vec::new(), 0);
        loop {
            inbox.clear();
            match fold.unfold(&mut inbox).expect("a stream") {
                0 => break,
                unfolded => all += unfolded,
            }
            assert!(inbox.len() <= 2 * UNFOLDED_OCTETS);
        }
        assert_eq!(all, 20_000_000);
    }

    #[test]
    fn what_is_no_stream_is_noticed() {
        assert!(unfold(b"a NOOP\r\nb NOOP\r\nc NOOP\r\n", 100).is_err());
    }

    proptest! {
        #[test]
        fn what_was_folded_unfolds_however_it_is_cut(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..3_000), 0..6),
            times in 1usize..60, piece in 1usize..5_000, rests in any::<bool>(),
        ) {
            let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.repeat(times)).collect();
            let said: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(unfold(&fold(&said, rests), piece).expect("a stream"), pieces.concat());
        }

        #[test]
        fn any_octets_are_unfolded_or_refused(wire in proptest::collection::vec(any::<u8>(), 0..500)) {
            let _ = unfold(&wire, 13);
        }
    }
}

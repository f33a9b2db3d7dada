//! MODE Z: what travels over a data connection is one zlib stream.
//!
//! draft-preston-ftpext-deflate-04 §3; RFC 1950 (zlib), RFC 1951 (deflate).
//!
//! Invariants: memory depends neither on the length of a transfer nor on what a few octets may unfold to; a stream that breaks
//! off is not taken for one that has ended, and behind its end comes nothing.
//! Not here: when (session); on which thread, for both take the processor's time (desk); how much may come of it at all, which
//! is what quota and disk have room for (files).

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// So much is unfolded at once, in octets. Deflate makes at most 1,032 octets of one.
const UNFOLDED_OCTETS: usize = 64 * 1024;

/// Room that is made for folded octets at once.
const FOLDED_OCTETS: usize = 16 * 1024;

/// Not a zlib stream, or not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadStream;

/// Folds what is sent.
#[derive(Debug)]
pub struct Deflater {
    stream: Compress,
}

impl Deflater {
    /// At a level from 0, which only wraps, to 9, which takes its time.
    pub fn new(level: u8) -> Self {
        Deflater { stream: Compress::new(Compression::new(u32::from(level.min(9))), true) }
    }

    /// Appends to `wire` what these octets become; some may come later.
    pub fn put(&mut self, octets: &[u8], wire: &mut Vec<u8>) {
        self.fold(octets, FlushCompress::None, wire);
    }

    /// Appends the rest. Nothing comes behind it.
    pub fn end(&mut self, wire: &mut Vec<u8>) {
        self.fold(b"", FlushCompress::Finish, wire);
    }

    fn fold(&mut self, mut octets: &[u8], flush: FlushCompress, wire: &mut Vec<u8>) {
        loop {
            wire.reserve(FOLDED_OCTETS);
            let (before, room) = (self.stream.total_in(), wire.capacity() - wire.len());
            let length = wire.len();
            let status = self.stream.compress_vec(octets, wire, flush);
            let taken = usize::try_from(self.stream.total_in() - before).unwrap_or(octets.len());
            octets = &octets[taken..];
            // It fails only for what is put behind the end, and that is nothing.
            let ended = !matches!(status, Ok(Status::Ok));
            if ended || (octets.is_empty() && wire.len() - length < room && flush == FlushCompress::None) {
                return;
            }
        }
    }
}

/// Unfolds what was received.
#[derive(Debug)]
pub struct Inflater {
    stream: Decompress,
    unfolded: Vec<u8>,
    ended: bool,
}

impl Default for Inflater {
    /// At the beginning of a transfer.
    fn default() -> Self {
        Inflater { stream: Decompress::new(true), unfolded: Vec::with_capacity(UNFOLDED_OCTETS), ended: false }
    }
}

impl Inflater {
    /// Unfolds these octets; `take` gets what becomes of them, piece by piece, and may put an end to it.
    ///
    /// # Errors
    /// [`BadStream`], and what `take` says.
    pub fn put<E: From<BadStream>>(
        &mut self,
        mut wire: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        loop {
            if self.ended {
                return if wire.is_empty() { Ok(()) } else { Err(BadStream.into()) };
            }
            let before = self.stream.total_in();
            self.unfolded.clear();
            let status = self.stream.decompress_vec(wire, &mut self.unfolded, FlushDecompress::None);
            let taken = usize::try_from(self.stream.total_in() - before).unwrap_or(wire.len());
            wire = &wire[taken..];
            take(&self.unfolded)?;
            match status {
                Ok(Status::StreamEnd) => self.ended = true,
                Ok(_) if wire.is_empty() && self.unfolded.len() < self.unfolded.capacity() => return Ok(()),
                // It neither takes nor gives anything: it cannot go on with what is there.
                Ok(_) if taken == 0 && self.unfolded.is_empty() => return Err(BadStream.into()),
                Ok(_) => {}
                Err(_) => return Err(BadStream.into()),
            }
        }
    }

    /// The transfer has ended. Some clients send nothing at all for an empty file.
    ///
    /// # Errors
    /// [`BadStream`] if the stream has not.
    pub fn end(&self) -> Result<(), BadStream> {
        if self.ended || self.stream.total_in() == 0 { Ok(()) } else { Err(BadStream) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn folded(octets: &[u8], level: u8) -> Vec<u8> {
        let (mut deflater, mut wire) = (Deflater::new(level), Vec::new());
        for piece in octets.chunks(100_000) {
            deflater.put(piece, &mut wire);
        }
        deflater.end(&mut wire);
        wire
    }

    fn unfolded(wire: &[u8], piece: usize) -> Result<Vec<u8>, BadStream> {
        let (mut inflater, mut octets) = (Inflater::default(), Vec::new());
        for piece in wire.chunks(piece) {
            inflater.put(piece, |unfolded| {
                assert!(unfolded.len() <= 2 * UNFOLDED_OCTETS);
                octets.extend_from_slice(unfolded);
                Ok::<_, BadStream>(())
            })?;
        }
        inflater.end().map(|()| octets)
    }

    #[test]
    fn a_cut_a_flaw_and_a_tail_are_noticed() {
        let wire = folded(&b"pickles ".repeat(1000), 6);
        assert!(unfolded(&wire, 7).is_ok());
        assert_eq!(unfolded(&wire[..wire.len() - 1], 7), Err(BadStream));
        assert_eq!(unfolded(&[&wire[..], b"x"].concat(), 7), Err(BadStream));
        assert_eq!(unfolded(b"RETR x\r\n", 100), Err(BadStream));
        let mut flawed = wire.clone();
        *flawed.last_mut().expect("a checksum") ^= 1;
        assert_eq!(unfolded(&flawed, 100), Err(BadStream));
        assert_eq!(unfolded(b"", 1), Ok(Vec::new()));
    }

    #[test]
    fn a_bomb_comes_in_small_pieces_and_stops_when_it_is_told_to() {
        let wire = folded(&vec![0; 50_000_000], 9);
        assert!(wire.len() < 60_000);
        let (mut inflater, mut pieces) = (Inflater::default(), 0);
        let stopped = inflater.put(&wire, |unfolded| {
            assert!(unfolded.len() <= 2 * UNFOLDED_OCTETS);
            pieces += 1;
            if pieces < 10 { Ok(()) } else { Err(BadStream) }
        });
        assert_eq!((stopped, pieces), (Err(BadStream), 10));
    }

    proptest! {
        #[test]
        fn what_was_folded_unfolds_however_it_is_cut(
            seed in proptest::collection::vec(any::<u8>(), 0..2_000), times in 1usize..200, level in 0u8..=9, piece in 1usize..5_000,
        ) {
            let octets = seed.repeat(times);
            prop_assert_eq!(unfolded(&folded(&octets, level), piece), Ok(octets));
        }

        #[test]
        fn any_octets_are_unfolded_or_refused(wire in proptest::collection::vec(any::<u8>(), 0..500)) {
            let _ = unfolded(&wire, 13);
            let _ = unfolded(&[&b"\x78\x9c"[..], &wire].concat(), 500);
        }
    }
}

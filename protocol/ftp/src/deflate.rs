//! MODE Z: what travels over a data connection is one zlib stream.
//!
//! draft-preston-ftpext-deflate-04 §3; RFC 1950 (zlib), RFC 1951 (deflate).
//!
//! ```text
//! folded ─ a stretch that hardly shrank ─→ stored, as it is ─ a few MiB later ─→ folded, to see
//! ```
//!
//! Films, pictures and archives do not shrink, and trying costs more time than sending them.
//!
//! Invariants: memory depends neither on the length of a transfer nor on what a few octets may unfold to; a stream that breaks
//! off is not taken for one that has ended, and behind its end comes nothing.
//! Not here: when (session); on which thread, for both take the processor's time (desk); how much may come of it at all, which
//! is what quota and disk have room for (files).

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use zlib_rs::adler32::adler32;

/// So much is unfolded at once, in octets. Deflate makes at most 1,032 octets of one.
const UNFOLDED_OCTETS: usize = 64 * 1024;

/// Room that is made for folded octets at once.
const FOLDED_OCTETS: usize = 16 * 1024;

/// So much is folded at the beginning, and after a stretch that was stored, in octets, before we look whether it shrinks.
const SAMPLE_OCTETS: u64 = 64 * 1024;

/// So much is folded between two such looks while it does.
const FOLDED_STRETCH: u64 = 1024 * 1024;

/// So much is stored as it is, in octets, where a look has found that it does not: then looking is a sixty-fourth of it.
const STORED_STRETCH: u64 = 4 * 1024 * 1024;

/// What does not shrink by one part of so many is not worth the time.
const WORTH: u64 = 16;

/// RFC 1951 §3.2.4: so many octets fit into a block that is stored.
const STORED_MAX: usize = 65_535;

/// RFC 1950 §2.2: deflate, a window of 32 KiB, no dictionary, fast.
const HEADER: [u8; 2] = [0x78, 0x01];

/// RFC 1950 §2.2: where the sum begins.
const SUM_OF_NOTHING: u32 = 1;

/// Not a zlib stream, or not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadStream;

/// Folds what is sent.
#[derive(Debug)]
pub struct Deflater {
    /// Without the frame of RFC 1950, so that what is stored can stand between what it makes.
    stream: Compress,
    /// RFC 1950 §2.2: what stands at the end.
    sum: u32,
    begun: bool,
    course: Course,
    /// So many octets more, then we look again.
    left: u64,
    /// Octets in and out when we looked last.
    before: (u64, u64),
}

/// What is done to the octets just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    Folded,
    /// The stream is new, and has nothing to say.
    Stored,
}

impl Deflater {
    /// At a level from 0, which only wraps, to 9, which takes its time.
    pub fn new(level: u8) -> Self {
        let stream = Compress::new(Compression::new(u32::from(level.clamp(1, 9))), false);
        let (course, left) = if level == 0 { (Course::Stored, u64::MAX) } else { (Course::Folded, SAMPLE_OCTETS) };
        Deflater { stream, sum: SUM_OF_NOTHING, begun: false, course, left, before: (0, 0) }
    }

    /// Appends to `wire` what these octets become; some may come later.
    pub fn put(&mut self, mut octets: &[u8], wire: &mut Vec<u8>) {
        self.begin(wire);
        self.sum = adler32(self.sum, octets);
        while !octets.is_empty() {
            let (now, later) = octets.split_at(usize::try_from(self.left).unwrap_or(usize::MAX).min(octets.len()));
            match self.course {
                Course::Folded => self.fold(now, FlushCompress::None, wire),
                Course::Stored => store(now, wire),
            }
            self.left -= now.len() as u64;
            if self.left == 0 {
                self.look(wire);
            }
            octets = later;
        }
    }

    /// Appends the rest. Nothing comes behind it.
    pub fn end(&mut self, wire: &mut Vec<u8>) {
        self.begin(wire);
        self.fold(b"", FlushCompress::Finish, wire);
        wire.extend_from_slice(&self.sum.to_be_bytes());
    }

    fn begin(&mut self, wire: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            wire.extend_from_slice(&HEADER);
        }
    }

    /// Looks whether it is worth the time, and goes on accordingly.
    fn look(&mut self, wire: &mut Vec<u8>) {
        if self.course == Course::Stored {
            (self.course, self.left) = (Course::Folded, SAMPLE_OCTETS);
            return;
        }
        // Some octets more; then all that was put has come out, and the next block begins with an octet.
        self.fold(b"", FlushCompress::Sync, wire);
        let now = (self.stream.total_in(), self.stream.total_out());
        let (taken, given) = (now.0 - self.before.0, now.1 - self.before.1);
        self.before = now;
        self.left = FOLDED_STRETCH;
        if given > taken - taken / WORTH {
            (self.course, self.left, self.before) = (Course::Stored, STORED_STRETCH, (0, 0));
            // It must not refer to what stood before the octets that it does not see.
            self.stream.reset();
        }
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
            if ended || (octets.is_empty() && wire.len() - length < room && flush != FlushCompress::Finish) {
                return;
            }
        }
    }
}

/// RFC 1951 §3.2.4: blocks that are not the last, their lengths twice, the second time inverted.
fn store(octets: &[u8], wire: &mut Vec<u8>) {
    for block in octets.chunks(STORED_MAX) {
        let length = (block.len() as u16).to_le_bytes();
        wire.push(0);
        wire.extend_from_slice(&length);
        wire.extend(length.map(|octet| !octet));
        wire.extend_from_slice(block);
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

    /// What no level makes smaller.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn what_does_not_shrink_is_stored_and_what_does_behind_it_is_folded_again() {
        for level in [0, 1, 6, 9] {
            let noise = noise(3 << 20);
            let wire = folded(&noise, level);
            assert!(wire.len() < noise.len() + noise.len() / 500, "level {level}: {}", wire.len());
            // Stored blocks hold the octets as they are.
            let tail = &noise[noise.len() - 1000..];
            assert!(wire.windows(tail.len()).any(|there| there == tail), "level {level}");
            let text = b"pickles ".repeat(1 << 20);
            let mixed = [&noise[..], &text, &noise].concat();
            let wire = folded(&mixed, level);
            assert_eq!(unfolded(&wire, 100_000), Ok(mixed));
            let most = if level == 0 { usize::MAX } else { 2 * noise.len() + STORED_STRETCH as usize };
            assert!(wire.len() < most, "level {level}: {}", wire.len());
        }
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

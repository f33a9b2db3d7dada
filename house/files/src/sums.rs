//! Checksums of files and of parts of them.
//!
//! For HASH, XCRC, XMD5 and XSHA; a desk may also sum what streams through its hands.
//!
//! Invariants: memory is one buffer, however long the file; a sum is of what was open, even when the name gets a new file
//! meanwhile. Not here: how ranges and sums are written on the wire.

use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::digest::{self, Context};

use crate::error::Error;
use crate::md5::Md5;
use crate::path::JailedPath;
use crate::space::Space;

/// Octets read at once.
const BUFFER: usize = 256 * 1024;

/// How a sum is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// CRC-32 of IEEE 802.3, as zip has it.
    Crc32,
    /// RFC 1321; against accidents only.
    Md5,
    /// FIPS 180-4; against accidents only.
    Sha1,
    /// FIPS 180-4.
    Sha256,
    /// FIPS 180-4.
    Sha512,
}

/// A sum being made.
#[derive(Clone)]
pub struct Summing(State);

#[derive(Clone)]
enum State {
    Crc32(crc32fast::Hasher),
    Md5(Box<Md5>),
    Sha(Box<Context>),
}

/// A sum; shown in lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Sum(Vec<u8>);

impl Summing {
    /// The sum of nothing yet.
    pub fn new(algorithm: Algorithm) -> Summing {
        let sha = |kind| State::Sha(Box::new(Context::new(kind)));
        Summing(match algorithm {
            Algorithm::Crc32 => State::Crc32(crc32fast::Hasher::new()),
            Algorithm::Md5 => State::Md5(Box::new(Md5::new())),
            Algorithm::Sha1 => sha(&digest::SHA1_FOR_LEGACY_USE_ONLY),
            Algorithm::Sha256 => sha(&digest::SHA256),
            Algorithm::Sha512 => sha(&digest::SHA512),
        })
    }

    /// Adds octets.
    pub fn update(&mut self, octets: &[u8]) {
        match &mut self.0 {
            State::Crc32(hasher) => hasher.update(octets),
            State::Md5(md5) => md5.update(octets),
            State::Sha(context) => context.update(octets),
        }
    }

    /// The sum of all that was added.
    pub fn finish(self) -> Sum {
        Sum(match self.0 {
            State::Crc32(hasher) => hasher.finalize().to_be_bytes().to_vec(),
            State::Md5(md5) => md5.finish().to_vec(),
            State::Sha(context) => context.finish().as_ref().to_vec(),
        })
    }
}

impl Sum {
    /// The octets, the most significant first.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(out, "{octet:02x}"))
    }
}

impl fmt::Debug for Sum {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

impl fmt::Debug for Summing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Summing")
    }
}

/// What a sum is made of, open.
#[derive(Debug)]
pub struct Summand {
    pub(crate) file: File,
    /// Its length in octets when it was opened.
    pub size: u64,
}

impl Space {
    /// Opens a file to be summed (needs read); or, where the name is free or its file may not be read, what is kept of an
    /// upload to it of this account, as [`Space::kept`] tells of it: who goes on with it wants to know whether it is his.
    pub fn open_to_sum(&self, path: &JailedPath) -> Result<Summand, Error> {
        match self.open_read(path) {
            Ok(download) => Ok(Summand { file: download.file, size: download.size }),
            Err(error @ (Error::NotFound | Error::Denied(_))) => self.open_kept(path).ok().flatten().ok_or(error),
            Err(error) => Err(error),
        }
    }
}

impl Summand {
    /// The sum of some of its octets, which must begin and end within it ([`Error::OffsetBeyondEnd`]).
    ///
    /// Blocks for as long as they are; once `stop` is true, the answer is [`Error::Busy`] soon.
    pub fn sum(&self, algorithm: Algorithm, range: Range<u64>, stop: &AtomicBool) -> Result<Sum, Error> {
        if range.start > range.end || range.end > self.size {
            return Err(Error::OffsetBeyondEnd { end: self.size });
        }
        let mut summing = Summing::new(algorithm);
        let mut buffer = vec![0; BUFFER];
        let mut at = range.start;
        while at < range.end {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Busy);
            }
            let stride = (range.end - at).min(BUFFER as u64) as usize;
            self.file.read_exact_at(&mut buffer[..stride], at)?;
            summing.update(&buffer[..stride]);
            at += stride as u64;
        }
        Ok(summing.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(algorithm: Algorithm, octets: &[u8]) -> String {
        let mut summing = Summing::new(algorithm);
        summing.update(octets);
        summing.finish().to_string()
    }

    #[test]
    fn sums_are_those_of_the_standards() {
        for (octets, expected) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("a", "0cc175b9c0f1b6a831c399e269772661"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            ("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"),
            ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "d174ab98d277d9f5a5611c2c9f419d9f"),
            (
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                "57edf4a22be3c955ac49da2e2107b67a",
            ),
        ] {
            assert_eq!(sum(Algorithm::Md5, octets.as_bytes()), expected, "RFC 1321 §A.5: {octets}");
        }
        assert_eq!(sum(Algorithm::Crc32, b"123456789"), "cbf43926");
        assert_eq!(sum(Algorithm::Sha1, b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert!(sum(Algorithm::Sha256, b"abc").starts_with("ba7816bf8f01cfea"));
        assert!(sum(Algorithm::Sha512, b"abc").starts_with("ddaf35a193617aba"));
    }

    #[test]
    fn it_does_not_matter_how_the_octets_come() {
        let octets: Vec<u8> = (0..300u32).map(|n| (n * 7) as u8).collect();
        for algorithm in [Algorithm::Crc32, Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512] {
            for length in [0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 300] {
                let whole = sum(algorithm, &octets[..length]);
                for piece in [1, 3, 63, 64, 65] {
                    let mut summing = Summing::new(algorithm);
                    octets[..length].chunks(piece).for_each(|chunk| summing.update(chunk));
                    assert_eq!(summing.finish().to_string(), whole, "{algorithm:?} {length} by {piece}");
                }
            }
        }
    }
}

//! What files hold: octets that tell their place, so that none can be lost, doubled or moved without being noticed.
//!
//! Invariants: making and comparing cost no more than a copy; two files differ from their first octet on.
//! Not here: how they travel.

use anyhow::{Result, ensure};
use std::sync::OnceLock;

/// After so many octets the content repeats. A prime, so that it fits no block, record or buffer.
const PERIOD: usize = 65_521;

/// So much can be had in one piece.
pub const PIECE: usize = 256 * 1024;

/// The content of one file.
#[derive(Debug, Clone, Copy)]
pub struct Content {
    shift: u64,
}

impl Content {
    /// Of the file with this number.
    pub fn of(number: u32) -> Content {
        Content { shift: u64::from(number) * 4_099 }
    }

    /// So many octets, [`PIECE`] at most, from this offset on.
    pub fn piece(self, offset: u64, octets: usize) -> &'static [u8] {
        let from = ((self.shift + offset) % PERIOD as u64) as usize;
        &octets_in_a_row()[from..from + octets]
    }

    /// Whether these are the octets from this offset on.
    pub fn check(self, offset: u64, octets: &[u8]) -> Result<()> {
        let mut at = offset;
        for piece in octets.chunks(PIECE) {
            ensure!(piece == self.piece(at, piece.len()), "wrong octets in the {} from {at} on", piece.len());
            at += piece.len() as u64;
        }
        Ok(())
    }
}

fn octets_in_a_row() -> &'static [u8] {
    static OCTETS: OnceLock<Vec<u8>> = OnceLock::new();
    OCTETS.get_or_init(|| {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let period: Vec<u8> = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .take(PERIOD)
        .collect();
        period.iter().copied().cycle().take(PERIOD + PIECE).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_has_its_place() {
        let content = Content::of(7);
        let octets = [content.piece(0, PIECE), content.piece(PIECE as u64, PIECE)].concat();
        content.check(0, &octets).unwrap();
        content.check(1000, &octets[1000..]).unwrap();
        assert!(content.check(0, &octets[1..]).is_err(), "one is lost");
        assert!(Content::of(8).check(0, &octets).is_err(), "another file's");
        let mut spoiled = octets;
        spoiled[300_000] ^= 1;
        assert!(content.check(0, &spoiled).is_err());
    }
}

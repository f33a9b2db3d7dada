//! What a peer still says under TLS after we have ended it: records to be passed over, up to the first octet in clear.
//!
//! RFC 4217 §5 and §12.3: a client answers our close_notify with its own, or begins in clear at once; both are in use. The two
//! can be told apart by one octet: a record begins with a type between 20 and 23 (RFC 8446 §5.1), and no line of text does.
//! Nothing is decrypted: who could forge a record could as well forge the line behind it.
//!
//! Invariants: no octet in clear is lost, none of a record gets through; what is passed over is bounded.
//! Not here: what the octets in clear mean.

use std::io;
use std::ops::RangeInclusive;

/// `change_cipher_spec`, `alert`, `handshake`, `application_data`.
const RECORD_TYPES: RangeInclusive<u8> = 20..=23;

/// Type, version, length.
const HEADER_OCTETS: usize = 5;

/// So many octets are passed over at most: some commands that were sent ahead, and a close_notify.
const TAIL_MAX: usize = 64 * 1024;

/// The end of a stream of records.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// As much of the header as has come.
    header: Vec<u8>,
    /// What is missing of the record at hand.
    left: usize,
    passed: usize,
}

impl Tail {
    /// Passes over what belongs to records; what is left is in clear, and whatever follows it.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] if this is neither, or too much.
    pub(super) fn strip<'a>(&mut self, mut octets: &'a [u8]) -> io::Result<&'a [u8]> {
        loop {
            let of_record = self.left.min(octets.len());
            self.left -= of_record;
            octets = &octets[of_record..];
            match octets {
                [] => return Ok(octets),
                [first, ..] if self.header.is_empty() && !RECORD_TYPES.contains(first) => return Ok(octets),
                [first, rest @ ..] => {
                    self.header.push(*first);
                    octets = rest;
                }
            }
            if self.header.len() == HEADER_OCTETS {
                self.begin_record()?;
            }
        }
    }

    fn begin_record(&mut self) -> io::Result<()> {
        let [_, major, _, high, low] = self.header[..] else { return Err(io::ErrorKind::InvalidData.into()) };
        self.left = usize::from(u16::from_be_bytes([high, low]));
        self.passed += HEADER_OCTETS + self.left;
        self.header.clear();
        // Every version of TLS there is says 3 here.
        if major != 3 || self.passed > TAIL_MAX { Err(io::ErrorKind::InvalidData.into()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(kind: u8, octets: usize) -> Vec<u8> {
        let length = u16::try_from(octets).expect("short").to_be_bytes();
        [&[kind, 3, 3][..], &length, &vec![b'A'; octets]].concat()
    }

    fn strip(pieces: &[&[u8]]) -> io::Result<Vec<u8>> {
        let (mut tail, mut clear) = (Tail::default(), Vec::new());
        for piece in pieces {
            match &clear[..] {
                [] => clear.extend(tail.strip(piece)?),
                _ => clear.extend_from_slice(piece),
            }
        }
        Ok(clear)
    }

    #[test]
    fn text_that_comes_at_once_is_text() {
        assert_eq!(strip(&[b"PWD\r\n"]).expect("clear"), b"PWD\r\n");
        // A Telnet signal is none of TLS.
        assert_eq!(strip(&[b"\xff\xf4\xff\xf2ABOR\r\n"]).expect("clear"), b"\xff\xf4\xff\xf2ABOR\r\n");
    }

    #[test]
    fn what_is_neither_ends_the_connection() {
        assert!(strip(&[b"\x15ABCDEFGH"]).is_err());
        let flood: Vec<u8> = (0..5).flat_map(|_| record(23, 16_000)).collect();
        assert!(strip(&[&flood]).is_err());
    }

    proptest! {
        #[test]
        fn records_go_and_text_stays_wherever_it_is_cut(
            lengths in proptest::collection::vec(0usize..300, 0..5), cut in 0usize..1600, more in 0usize..1600,
        ) {
            let mut wire: Vec<u8> = lengths.iter().flat_map(|octets| record(21, *octets)).collect();
            wire.extend(b"PWD\r\n\x15 is no record any more");
            let (one, two) = wire.split_at(cut.min(wire.len()));
            let (two, three) = two.split_at(more.min(two.len()));
            prop_assert_eq!(strip(&[one, two, three]).expect("clear"), b"PWD\r\n\x15 is no record any more");
        }
    }
}

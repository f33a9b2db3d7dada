//! Finding lines in what has arrived, however it was cut into pieces.
//!
//! RFC 5321 §2.3.8: a line ends in CRLF and in nothing else. A line that ends in a bare LF is told apart,
//! so that a dialogue can answer it with a clear error instead of waiting for ever.
//!
//! Invariants: at most `limit` octets of a line are ever held by the caller; a longer line is taken away piece by piece.
//! Not here: literals (imap), what a dialogue answers to a flaw.

use memchr::memchr;

/// One look at the front of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// A whole line, without its CRLF. Take `taken` octets from the input.
    Whole {
        /// The line without its end.
        text: &'a [u8],
        /// Its length with the end.
        taken: usize,
    },
    /// A line that a bare LF ended, or one with a bare CR or a NUL in it. Take `taken` octets.
    Flawed {
        /// Its length with the end.
        taken: usize,
    },
    /// A line longer than the limit; it is over now. Take `taken` octets.
    TooLong {
        /// The length of its last piece.
        taken: usize,
    },
    /// A piece of a line longer than the limit, to be thrown away. Take `taken` octets and look again.
    Overflowing {
        /// The length of the piece.
        taken: usize,
    },
    /// No whole line yet; come back with more behind it.
    Partial,
}

/// Finds lines and remembers how far it has looked, so that octets that trickle in are looked at once.
#[derive(Debug, Clone)]
pub struct Lines {
    limit: usize,
    looked: usize,
    overflowing: bool,
}

impl Lines {
    /// Lines of at most `limit` octets with their CRLF.
    pub fn new(limit: usize) -> Self {
        assert!(limit >= 2, "a line has room for its CRLF");
        Lines { limit, looked: 0, overflowing: false }
    }

    /// Changes the limit from the next line on.
    pub fn limit(&mut self, limit: usize) {
        assert!(limit >= 2, "a line has room for its CRLF");
        self.limit = limit;
    }

    /// Looks at `bytes`, which begin with what the last look left untaken.
    pub fn look<'a>(&mut self, bytes: &'a [u8]) -> Line<'a> {
        let start = self.looked.min(bytes.len());
        match memchr(b'\n', &bytes[start..]) {
            Some(at) => self.ended(bytes, start + at),
            None => self.unended(bytes),
        }
    }

    fn ended<'a>(&mut self, bytes: &'a [u8], lf: usize) -> Line<'a> {
        self.looked = 0;
        let taken = lf + 1;
        if std::mem::take(&mut self.overflowing) || taken > self.limit {
            return Line::TooLong { taken };
        }
        match bytes[..lf].split_last() {
            Some((b'\r', text)) if memchr::memchr2(b'\r', 0, text).is_none() => Line::Whole { text, taken },
            _ => Line::Flawed { taken },
        }
    }

    fn unended<'a>(&mut self, bytes: &'a [u8]) -> Line<'a> {
        if self.overflowing || bytes.len() >= self.limit {
            if bytes.is_empty() {
                return Line::Partial;
            }
            self.overflowing = true;
            self.looked = 0;
            return Line::Overflowing { taken: bytes.len() };
        }
        self.looked = bytes.len();
        Line::Partial
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds `input` in pieces of `size` and lists what was found.
    fn found(input: &[u8], size: usize, limit: usize) -> Vec<String> {
        let mut lines = Lines::new(limit);
        let (mut held, mut found) = (Vec::new(), Vec::new());
        for piece in input.chunks(size) {
            held.extend_from_slice(piece);
            loop {
                let taken = match lines.look(&held) {
                    Line::Whole { text, taken } => {
                        found.push(String::from_utf8_lossy(text).into_owned());
                        taken
                    }
                    Line::Flawed { taken } => {
                        found.push("<flawed>".into());
                        taken
                    }
                    Line::TooLong { taken } => {
                        found.push("<too long>".into());
                        taken
                    }
                    Line::Overflowing { taken } => taken,
                    Line::Partial => break,
                };
                held.drain(..taken);
            }
            assert!(held.len() < limit, "what is held stays below the limit");
        }
        found
    }

    #[test]
    fn only_crlf_ends_a_line() {
        assert_eq!(found(b"a\r\nb\nc\rd\r\n\r\n\0\r\ne", 100, 10), ["a", "<flawed>", "<flawed>", "", "<flawed>"]);
    }

    #[test]
    fn a_line_over_the_limit_is_taken_away_and_the_next_one_is_read() {
        assert_eq!(found(b"12345678\r\n123456789\r\nok\r\n", 100, 10), ["12345678", "<too long>", "ok"]);
        assert_eq!(found(&[&[b'x'; 5000][..], b"\r\nok\r\n"].concat(), 7, 10), ["<too long>", "ok"]);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(input in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'a'), Just(0u8)], 0..60), size in 1usize..10) {
            prop_assert_eq!(found(&input, size, 8), found(&input, 1000, 8));
        }
    }
}

//! Hiding and revealing leading dots, and finding the end of a message.
//!
//! RFC 5321 §4.5.2 (SMTP), RFC 1939 §3 (POP3): a line that begins with a dot gets another one in front;
//! a dot alone ends the text. Only CRLF.CRLF ends it: `<LF>.<LF>` and its kin do not (RFC 5321 §4.1.1.4),
//! or one message could be smuggled inside another.
//!
//! Invariants: the same octets give the same text and the same end wherever they are split;
//! nothing is held back but what may still turn out to be the end.
//! Not here: what a flaw costs the sender (smtp), size limits (smtp).

use memchr::{memchr, memchr_iter, memchr3};

/// What is wrong with a text that arrived; the first flaw is the one that is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// A CR without LF or an LF without CR (RFC 5321 §2.3.8).
    BareLineEnd,
    /// A NUL octet (RFC 5321 §4.1.1.4 knows it not; RFC 5322 §4 calls it obsolete).
    Nul,
    /// A line longer than the limit (RFC 5321 §4.5.3.1.6).
    LongLine,
}

/// What [`Undotter::take`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undotted {
    /// How many octets of the input are done with.
    pub taken: usize,
    /// Whether the final dot was among them.
    pub ended: bool,
}

/// Reveals a dot-stuffed text that arrives in pieces.
#[derive(Debug, Clone)]
pub struct Undotter {
    place: Place,
    line_len: usize,
    line_max: usize,
    flaw: Option<Flaw>,
}

/// Where in a line the next octet stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Behind a CRLF, or at the very beginning.
    LineStart,
    /// Behind a dot at the start of a line; the dot is not given out yet.
    Dot,
    /// Behind such a dot and a CR; neither is given out yet.
    DotCr,
    /// Inside a line.
    Inside,
    /// Inside a line, behind a CR that is given out already.
    Cr,
}

impl Undotter {
    /// Lines of more than `line_max` octets, CRLF included and the stuffed dot not, are a flaw.
    pub fn new(line_max: usize) -> Self {
        Undotter { place: Place::LineStart, line_len: 0, line_max, flaw: None }
    }

    /// The first flaw so far.
    pub fn flaw(&self) -> Option<Flaw> {
        self.flaw
    }

    /// Takes from `bytes` up to the final dot or to their end; the revealed text is appended to `text`.
    pub fn take(&mut self, bytes: &[u8], text: &mut Vec<u8>) -> Undotted {
        let mut at = 0;
        while at < bytes.len() {
            match self.place {
                Place::Inside => at += self.stretch(&bytes[at..], text),
                _ => {
                    let ended = self.octet(bytes[at], text);
                    at += 1;
                    if ended {
                        return Undotted { taken: at, ended: true };
                    }
                }
            }
        }
        Undotted { taken: at, ended: false }
    }

    /// The fast way through the inside of a line: up to the next CR, LF or NUL, which it passes to [`Self::octet`].
    fn stretch(&mut self, bytes: &[u8], text: &mut Vec<u8>) -> usize {
        let len = memchr3(b'\r', b'\n', 0, bytes).unwrap_or(bytes.len());
        self.give(&bytes[..len], text);
        match bytes.get(len) {
            Some(&octet) => {
                self.octet(octet, text);
                len + 1
            }
            None => len,
        }
    }

    /// One octet, by the book. Says whether it was the last of the final dot's line.
    fn octet(&mut self, octet: u8, text: &mut Vec<u8>) -> bool {
        match (self.place, octet) {
            (Place::LineStart, b'.') => self.place = Place::Dot,
            (Place::Dot, b'\r') => self.place = Place::DotCr,
            (Place::DotCr, b'\n') => return true,
            (Place::DotCr, _) => {
                // The dot was stuffed, and the CR was a bare one.
                self.give(b"\r", text);
                self.place = Place::Cr;
                return self.octet(octet, text);
            }
            (Place::Cr, b'\n') => {
                self.give(b"\n", text);
                self.place = Place::LineStart;
                self.line_len = 0;
            }
            (Place::Cr, _) => {
                self.blame(Flaw::BareLineEnd);
                self.place = Place::Inside;
                return self.octet(octet, text);
            }
            (_, b'\r') => {
                self.give(b"\r", text);
                self.place = Place::Cr;
            }
            (_, b'\n') => {
                // A lone LF must not start a line here: that is how SMTP smuggling works.
                self.blame(Flaw::BareLineEnd);
                self.give(b"\n", text);
                self.place = Place::Inside;
            }
            (_, octet) => {
                if octet == 0 {
                    self.blame(Flaw::Nul);
                }
                self.give(&[octet], text);
                self.place = Place::Inside;
            }
        }
        false
    }

    fn give(&mut self, octets: &[u8], text: &mut Vec<u8>) {
        text.extend_from_slice(octets);
        self.line_len += octets.len();
        if self.line_len > self.line_max {
            self.blame(Flaw::LongLine);
        }
    }

    fn blame(&mut self, flaw: Flaw) {
        self.flaw.get_or_insert(flaw);
    }
}

/// Hides leading dots in a text that is given in pieces.
#[derive(Debug, Clone)]
pub struct Dotter {
    /// The last two octets given, to know where a line starts and how the text must be closed.
    tail: [u8; 2],
}

impl Default for Dotter {
    fn default() -> Self {
        Self::new()
    }
}

impl Dotter {
    /// At the start of a text, which is the start of a line.
    pub fn new() -> Self {
        Dotter { tail: *b"\r\n" }
    }

    /// Appends `text` to `wire` with a dot before every line that begins with one.
    ///
    /// A line begins behind any LF: a text with bare LFs, which we do not let in but others may have stored,
    /// is over-stuffed rather than cut short.
    pub fn put(&mut self, text: &[u8], wire: &mut Vec<u8>) {
        wire.reserve(text.len() + 8);
        if self.tail[1] == b'\n' && text.first() == Some(&b'.') {
            wire.push(b'.');
        }
        let mut done = 0;
        if memchr(b'.', text).is_some() {
            for lf in memchr_iter(b'\n', text) {
                if text.get(lf + 1) == Some(&b'.') {
                    wire.extend_from_slice(&text[done..=lf]);
                    wire.push(b'.');
                    done = lf + 1;
                }
            }
        }
        wire.extend_from_slice(&text[done..]);
        self.remember(text);
    }

    /// Closes the text: a CRLF if the last line has none, then the final dot.
    pub fn end(&self, wire: &mut Vec<u8>) {
        if self.tail != *b"\r\n" {
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(b".\r\n");
    }

    fn remember(&mut self, text: &[u8]) {
        match *text {
            [] => {}
            [last] => self.tail = [self.tail[1], last],
            [.., before, last] => self.tail = [before, last],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The text, the flaw, and what is left behind the end; `None` if there was no end.
    fn undot(wire: &[u8], size: usize) -> Option<(Vec<u8>, Option<Flaw>, Vec<u8>)> {
        let mut undotter = Undotter::new(1000);
        let (mut text, mut taken) = (Vec::new(), 0);
        while taken < wire.len() {
            let piece = &wire[taken..wire.len().min(taken + size)];
            let step = undotter.take(piece, &mut text);
            taken += step.taken;
            if step.ended {
                return Some((text, undotter.flaw(), wire[taken..].to_vec()));
            }
            assert_eq!(step.taken, piece.len());
        }
        None
    }

    fn dot(text: &[u8], size: usize) -> Vec<u8> {
        let (mut dotter, mut wire) = (Dotter::new(), Vec::new());
        text.chunks(size).for_each(|piece| dotter.put(piece, &mut wire));
        dotter.end(&mut wire);
        wire
    }

    #[test]
    fn the_dot_that_was_added_is_taken_away() {
        let (text, flaw, rest) = undot(b"a\r\n..b\r\n.c\r\n...\r\n.\r\nQUIT\r\n", 1).expect("ended");
        assert_eq!(text, b"a\r\n.b\r\nc\r\n..\r\n");
        assert_eq!((flaw, &rest[..]), (None, &b"QUIT\r\n"[..]));
    }

    #[test]
    fn an_empty_text_is_a_dot_alone() {
        assert_eq!(undot(b".\r\n", 3), Some((vec![], None, vec![])));
        assert_eq!(dot(b"", 1), b".\r\n");
    }

    #[test]
    fn nothing_but_crlf_dot_crlf_ends_a_text() {
        for wire in ["a\n.\n", "a\r.\r", "a\n.\r\n", "a\r\n.\n", "a\r\n.\r", "a\r.\r\n", "a\r\n\r.\r\n"] {
            assert_eq!(undot(wire.as_bytes(), 1), None, "{wire:?}");
            let whole = format!("{wire}\r\n.\r\n");
            let (_, flaw, _) = undot(whole.as_bytes(), 1).expect("ended");
            assert_eq!(flaw, Some(Flaw::BareLineEnd), "{wire:?}");
        }
    }

    #[test]
    fn nul_and_long_lines_are_flaws() {
        assert_eq!(undot(b"a\0b\r\n.\r\n", 2).expect("ended").1, Some(Flaw::Nul));
        let line = |len: usize| [&vec![b'x'; len][..], b"\r\n.\r\n"].concat();
        assert_eq!(undot(&line(998), 7).expect("ended").1, None);
        assert_eq!(undot(&line(999), 7).expect("ended").1, Some(Flaw::LongLine));
        assert_eq!(undot(&[b"..", &line(997)[..]].concat(), 7).expect("ended").1, None, "the added dot does not count");
    }

    #[test]
    fn a_text_without_last_line_end_gets_one() {
        assert_eq!(dot(b"a", 1), b"a\r\n.\r\n");
        assert_eq!(dot(b"a\r", 1), b"a\r\r\n.\r\n");
    }

    fn texts() -> impl Strategy<Value = Vec<u8>> {
        let piece = proptest::sample::select(vec!["\r\n", ".", "a", "..\r\n", "\r\n.\r\n"]);
        proptest::collection::vec(piece, 0..40).prop_map(|pieces| (pieces.concat() + "\r\n").into_bytes())
    }

    fn noise() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(b'a'), Just(0u8)], 0..80)
    }

    proptest! {
        #[test]
        fn undot_after_dot_is_identity(text in texts(), put in 1usize..20, take in 1usize..20) {
            prop_assert_eq!(undot(&dot(&text, put), take), Some((text, None, vec![])));
        }

        #[test]
        fn pieces_do_not_matter(wire in noise(), size in 1usize..20) {
            prop_assert_eq!(undot(&wire, size), undot(&wire, 1000));
            prop_assert_eq!(dot(&wire, size), dot(&wire, 1000));
        }
    }
}

//! Replies: what a server may say, written and read.
//!
//! RFC 959 §4.2 (three digits, several lines); RFC 1123 §4.1.2.11 (no reply that nobody asked for; a reader outlives
//! replies of any length); RFC 2389 §3.2 and RFC 3659 §7.2 (inner lines begin with a space); RFC 2640 §3.1 (octets, CR NUL).
//!
//! We indent every inner line by one space, so none can be taken for the end. Reading is generous: a code alone, a
//! bare LF, inner lines with the code in front (RFC 2228 §8), with a space in front, or with nothing.
//!
//! Invariants: no text of ours ends a line early; what is kept of a reply that is read is bounded.
//! Not here: which reply is right when (server), what follows from it (client).

use crate::telnet;
use line::{Line, Lines};
use std::borrow::Cow;
use std::fmt;

/// A line of MLST or STAT may hold a path of 4,095 octets, and facts.
const HEARD_LINE_MAX_OCTETS: usize = 16_384;
/// STAT of a directory may say much; RFC 1123 §4.1.2.11: what goes beyond is ignored, and the end is found all the same.
const HEARD_MAX_OCTETS: usize = 1 << 20;

/// A code and lines of text.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    /// Lines with LF between them.
    text: Cow<'static, [u8]>,
}

impl Reply {
    /// A reply that is known beforehand. LF parts its lines.
    pub const fn fixed(code: u16, text: &'static str) -> Self {
        assert!(code >= 100 && code < 600, "a reply has a code of three digits, from 1yz to 5yz");
        Reply { code, text: Cow::Borrowed(text.as_bytes()) }
    }

    /// A reply with a text of the moment. LF parts its lines.
    pub fn new(code: u16, text: impl Into<Vec<u8>>) -> Self {
        assert!((100..600).contains(&code), "a reply has a code of three digits, from 1yz to 5yz");
        Reply { code, text: Cow::Owned(text.into()) }
    }

    /// Three digits.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// Its text, line by line, without codes.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.text.split(|octet| *octet == b'\n')
    }

    /// 1yz: another one will follow.
    pub fn is_preliminary(&self) -> bool {
        self.code < 200
    }

    /// 2yz: done.
    pub fn is_positive(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// 3yz: go on.
    pub fn is_intermediate(&self) -> bool {
        (300..400).contains(&self.code)
    }

    /// 4yz: try again later.
    pub fn is_transient(&self) -> bool {
        (400..500).contains(&self.code)
    }

    /// 5yz: not this way.
    pub fn is_permanent(&self) -> bool {
        self.code >= 500
    }

    /// Appends it to `wire`, in as many lines as it has.
    pub fn write(&self, wire: &mut Vec<u8>) {
        let digit = |value: u16| b'0' + u8::try_from(value % 10).unwrap_or(0);
        let code = [digit(self.code / 100), digit(self.code / 10), digit(self.code)];
        let mut lines = self.lines().enumerate().peekable();
        while let Some((at, line)) = lines.next() {
            match (at, lines.peek().is_some()) {
                (_, false) => wire.extend([code[0], code[1], code[2], b' ']),
                (0, true) => wire.extend([code[0], code[1], code[2], b'-']),
                (_, true) => wire.push(b' '),
            }
            telnet::encode(line, wire);
            wire.extend_from_slice(b"\r\n");
        }
    }
}

impl fmt::Display for Reply {
    /// In one line, for logs; octets that are not UTF-8 are replaced.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        self.lines()
            .filter(|line| !line.is_empty())
            .try_for_each(|line| write!(f, " {}", String::from_utf8_lossy(line)))
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{self}>")
    }
}

/// What [`Replies::hear`] made of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A whole reply.
    Reply(Reply),
    /// A line that is not the last one of its reply.
    More,
    /// No whole line yet.
    Partial,
    /// Something that no FTP server says.
    Nonsense,
}

/// Reads replies, line by line.
#[derive(Debug, Clone)]
pub struct Replies {
    lines: Lines,
    /// The code of the reply at hand, and what its lines said so far.
    begun: Option<(u16, Vec<u8>)>,
}

impl Default for Replies {
    fn default() -> Self {
        Self::new()
    }
}

impl Replies {
    /// At the start of a reply.
    pub fn new() -> Self {
        Replies { lines: Lines::new(HEARD_LINE_MAX_OCTETS), begun: None }
    }

    /// Looks at one line and says how many octets were taken.
    pub fn hear(&mut self, bytes: &[u8]) -> (usize, Heard) {
        match self.lines.look(bytes) {
            Line::Whole { text, taken } => (taken, self.line(text)),
            Line::Flawed { taken } => {
                let line = bytes[..taken].strip_suffix(b"\n").unwrap_or_default();
                (taken, self.line(line.strip_suffix(b"\r").unwrap_or(line)))
            }
            Line::TooLong { taken } | Line::Overflowing { taken } if self.begun.is_some() => (taken, Heard::More),
            Line::TooLong { taken } | Line::Overflowing { taken } => (taken, Heard::Nonsense),
            Line::Partial => (0, Heard::Partial),
        }
    }

    fn line(&mut self, line: &[u8]) -> Heard {
        let (line, _) = telnet::decoded(line);
        match self.begun.take() {
            None => self.first_line(&line),
            Some((code, text)) => self.further_line(code, text, &line),
        }
    }

    fn first_line(&mut self, line: &[u8]) -> Heard {
        match cut(line) {
            None => Heard::Nonsense,
            Some((code, true, text)) => Heard::Reply(Reply::new(code, text)),
            Some((code, false, text)) => {
                self.begun = Some((code, text.to_vec()));
                Heard::More
            }
        }
    }

    fn further_line(&mut self, code: u16, mut text: Vec<u8>, line: &[u8]) -> Heard {
        let (last, line) = match cut(line) {
            Some((same, last, rest)) if same == code => (last, rest),
            _ => (false, line.strip_prefix(b" ").unwrap_or(line)),
        };
        if text.len() + line.len() < HEARD_MAX_OCTETS {
            text.push(b'\n');
            text.extend_from_slice(line);
        }
        if last {
            return Heard::Reply(Reply::new(code, text));
        }
        self.begun = Some((code, text));
        Heard::More
    }
}

/// `250-text`, `250 text` or `250`: the code, whether the line is the last one, and the text.
fn cut(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    let code =
        digits.iter().try_fold(0, |sum, octet| octet.is_ascii_digit().then(|| sum * 10 + u16::from(octet - b'0')))?;
    if !(100..600).contains(&code) {
        return None;
    }
    match rest.split_first() {
        None => Some((code, true, rest)),
        Some((b' ', text)) => Some((code, true, text)),
        Some((b'-', text)) => Some((code, false, text)),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn heard(wire: &[u8], size: usize) -> Vec<Heard> {
        let (mut replies, mut held, mut heard) = (Replies::new(), Vec::new(), Vec::new());
        for piece in wire.chunks(size) {
            held.extend_from_slice(piece);
            loop {
                let (taken, what) = replies.hear(&held);
                held.drain(..taken);
                match what {
                    Heard::Partial => break,
                    Heard::More => {}
                    what => heard.push(what),
                }
            }
        }
        heard
    }

    fn one(wire: &str) -> Heard {
        let mut heard = heard(wire.as_bytes(), 1000);
        assert_eq!(heard.len(), 1, "{wire:?}");
        heard.remove(0)
    }

    fn reply(code: u16, text: &str) -> Heard {
        Heard::Reply(Reply::new(code, text))
    }

    #[test]
    fn all_legal_forms_are_read_and_some_others() {
        assert_eq!(one("220 hello\r\n"), reply(220, "hello"));
        assert_eq!(one("220\r\n"), reply(220, ""));
        assert_eq!(one("220 bare\n"), reply(220, "bare"));
        assert_eq!(one("211-Features:\r\n MDTM\r\n211 End\r\n"), reply(211, "Features:\nMDTM\nEnd"));
        assert_eq!(one("211-a\r\n211-b\r\n211 c\r\n"), reply(211, "a\nb\nc"));
        assert_eq!(one("211-a\r\nb\r\n220 c\r\n  211 d\r\n211 e\r\n"), reply(211, "a\nb\n220 c\n 211 d\ne"));
    }

    #[test]
    fn nonsense_is_told_apart() {
        for wire in ["hello\r\n", "\r\n", "22\r\n", "220+x\r\n", "099 x\r\n", "600 x\r\n"] {
            assert_eq!(one(wire), Heard::Nonsense, "{wire:?}");
        }
    }

    #[test]
    fn a_reply_that_is_too_long_has_an_end_all_the_same() {
        let wire = format!("211-x\r\n{}211 end\r\n250 ok\r\n", "y".repeat(1000).repeat(30) + "\r\n");
        assert_eq!(heard(wire.as_bytes(), 100), [reply(211, "x\nend"), reply(250, "ok")]);
        let wire = format!("211-x\r\n{}211 end\r\n", "y\r\n".repeat(HEARD_MAX_OCTETS));
        let [Heard::Reply(reply)] = &heard(wire.as_bytes(), 1 << 16)[..] else { panic!("one reply") };
        assert!(reply.text.len() <= HEARD_MAX_OCTETS);
    }

    #[test]
    fn inner_lines_never_look_like_the_end() {
        let mut wire = Vec::new();
        Reply::new(213, *b"a\n213 b\r\xff\nend").write(&mut wire);
        assert_eq!(wire, b"213-a\r\n 213 b\r\0\xff\xff\r\n213 end\r\n");
    }

    fn replies() -> impl Strategy<Value = Reply> {
        let line = proptest::collection::vec(
            any::<u8>().prop_filter("parts lines", |octet| !matches!(octet, b'\n' | 0)),
            0..30,
        );
        (100u16..600, proptest::collection::vec(line, 1..5))
            .prop_map(|(code, lines)| Reply::new(code, lines.join(&b'\n')))
    }

    proptest! {
        #[test]
        fn parse_after_write_is_identity(said in proptest::collection::vec(replies(), 1..4), size in 1usize..50) {
            let mut wire = Vec::new();
            said.iter().for_each(|reply| reply.write(&mut wire));
            prop_assert_eq!(heard(&wire, size), said.into_iter().map(Heard::Reply).collect::<Vec<_>>());
        }

        #[test]
        fn noise_does_no_harm(wire in proptest::collection::vec(prop_oneof![Just(b'2'), Just(b'-'), Just(b'\r'), Just(b'\n'), any::<u8>()], 0..80), size in 1usize..9) {
            prop_assert_eq!(heard(&wire, size), heard(&wire, 1000));
        }
    }
}

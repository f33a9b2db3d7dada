//! How a command comes together: lines, and literals between them.
//!
//! RFC 9051 §2.2.1, §4.3 (literals); RFC 7888 §4 (`{n+}`: what is refused must still be taken away).
//!
//! ```text
//! line ending in {n} ─accept→ n octets ─→ line ending in {n+} ─→ … ─→ line with no such end: whole
//!                    └─skip→  n octets thrown away ─→ … ─→ the same, thrown away, too
//! ```
//!
//! Invariants: what is held is bounded by the limits given; what is thrown away is not held.
//! Not here: which literals are welcome (server), the content of messages, which never comes here.

use crate::words::{Announced, announced};
use line::{Line, Lines};

/// A command on its way in.
#[derive(Debug)]
pub struct Gather {
    lines: Lines,
    text: Vec<u8>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    /// In a line.
    Line,
    /// So many octets of a literal are to come.
    Literal(usize),
    /// So many octets of a literal are to be thrown away.
    Skipping(u64),
}

/// What the front of the input was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// Nothing yet; more is needed.
    Nothing,
    /// Octets, of which nothing is to be said.
    Piece {
        /// How many.
        taken: usize,
    },
    /// A line ended, and with it the command, or not.
    Line {
        /// How many octets it had.
        taken: usize,
        /// The literal that it announces.
        announced: Option<Announced>,
    },
    /// A line that does not end as lines end.
    Flawed {
        /// How many octets it had.
        taken: usize,
    },
    /// A line that was too long is over.
    TooLong {
        /// How many octets its last piece had.
        taken: usize,
    },
}

/// Buffers larger than this are given back between commands.
const KEPT_MAX: usize = 256;

impl Gather {
    /// For lines of at most this length.
    pub fn new(line_max: usize) -> Self {
        Gather { lines: Lines::new(line_max), text: Vec::new(), state: State::Line }
    }

    /// Changes the limit from the next line on.
    pub fn limit(&mut self, line_max: usize) {
        self.lines.limit(line_max);
    }

    /// Whether nothing of a command is here.
    pub fn is_at_start(&self) -> bool {
        self.text.is_empty() && self.state == State::Line
    }

    /// What has come of the command: lines without the last CRLF, literals between them.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Begins anew.
    pub fn clear(&mut self) {
        self.text.clear();
        if self.text.capacity() > KEPT_MAX {
            self.text = Vec::new();
        }
    }

    /// The command that came whole.
    pub fn take_text(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.text)
    }

    /// Gives back what [`Self::take_text`] took: the command goes on.
    pub fn restore(&mut self, text: Vec<u8>) {
        self.text = text;
    }

    /// The literal that was announced belongs to the command.
    pub fn accept(&mut self, octets: usize) {
        self.text.extend_from_slice(b"\r\n");
        self.state = State::Literal(octets);
    }

    /// The literal that was announced is not wanted, nor is what came before it.
    pub fn skip(&mut self, octets: u64) {
        self.clear();
        self.state = State::Skipping(octets);
    }

    /// Takes what stands at the front.
    pub fn take(&mut self, bytes: &[u8]) -> Came {
        match self.state {
            State::Literal(left) if left > 0 => {
                let taken = left.min(bytes.len());
                self.text.extend_from_slice(&bytes[..taken]);
                self.state = State::Literal(left - taken);
                if taken == 0 { Came::Nothing } else { Came::Piece { taken } }
            }
            State::Skipping(left) if left > 0 => {
                let taken = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                self.state = State::Skipping(left - taken as u64);
                if taken == 0 { Came::Nothing } else { Came::Piece { taken } }
            }
            _ => self.line(bytes),
        }
    }

    fn line(&mut self, bytes: &[u8]) -> Came {
        let came = match self.lines.look(bytes) {
            Line::Whole { text, taken } => {
                self.text.extend_from_slice(text);
                Came::Line { taken, announced: announced(text) }
            }
            Line::Flawed { taken } => Came::Flawed { taken },
            Line::TooLong { taken } => Came::TooLong { taken },
            Line::Overflowing { taken } => return Came::Piece { taken },
            Line::Partial => return Came::Nothing,
        };
        self.state = State::Line;
        came
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds octets one by one; literals up to three octets are accepted.
    fn gathered(input: &[u8]) -> Vec<String> {
        let (mut gather, mut held, mut found) = (Gather::new(20), Vec::new(), Vec::new());
        for octet in input {
            held.push(*octet);
            let taken = match gather.take(&held) {
                Came::Nothing => 0,
                Came::Piece { taken } => taken,
                Came::Line { taken, announced: Some(announced) } => {
                    match usize::try_from(announced.octets) {
                        Ok(octets) if octets <= 3 => gather.accept(octets),
                        _ => gather.skip(announced.octets),
                    }
                    taken
                }
                Came::Line { taken, announced: None } => {
                    found.push(String::from_utf8_lossy(&gather.take_text()).into_owned());
                    taken
                }
                Came::Flawed { taken } | Came::TooLong { taken } => {
                    gather.clear();
                    found.push("<flawed>".into());
                    taken
                }
            };
            held.drain(..taken);
        }
        found
    }

    #[test]
    fn lines_and_literals_become_commands() {
        assert_eq!(gathered(b"a b\r\n"), ["a b"]);
        assert_eq!(gathered(b"a {3}\r\n\r\nx c {0}\r\n d\r\n"), ["a {3}\r\n\r\nx c {0}\r\n d"]);
        assert_eq!(gathered(b"a {4+}\r\nwxyz b\r\nc\r\n"), [" b", "c"]);
        assert_eq!(gathered(b"a\nb\r\n"), ["<flawed>", "b"]);
        assert_eq!(gathered(b"123456789012345678901234567890\r\nb\r\n"), ["<flawed>", "b"]);
    }
}

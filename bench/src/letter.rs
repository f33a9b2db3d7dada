//! The messages that are sent, and the question whether what came back is one of them.
//!
//! A letter is made from its id alone (run, number, size), so whoever reads it back can make it again and compare
//! every octet. Servers put trace fields on top; everything below them must be as it was sent.
//!
//! Invariants: two letters differ in their first and in their last lines, so that a mixture of two is noticed;
//! a letter holds lines that begin with a dot, and a line that is a dot alone.
//! Not here: dots on the wire of a server we check (`pop3`).

use anyhow::{Context, Result, bail, ensure};
use memchr::memmem;
use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// Below this the header alone would not fit.
pub const SIZE_MIN: usize = 512;

/// `0123456789abcdef-00000000-00001000`
const ID_LEN: usize = 34;
const ID_FIELD: &[u8] = b"\r\nX-Bench: ";
/// With its CRLF: long enough to be usual, short enough for every server.
const LINE_LEN: usize = 78;

/// Names one letter among all that were ever sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    /// One run of the load generator.
    pub run: u64,
    /// Counts within the run.
    pub number: u32,
    /// Octets of the text.
    pub size: u32,
}

impl Id {
    fn text(&self) -> String {
        format!("{:016x}-{:08x}-{:08x}", self.run, self.number, self.size)
    }

    fn parse(text: &[u8]) -> Result<Id> {
        let text = std::str::from_utf8(text)?;
        let mut parts = text.splitn(3, '-');
        let mut part = || parts.next().context("an id has three parts");
        Ok(Id {
            run: u64::from_str_radix(part()?, 16)?,
            number: u32::from_str_radix(part()?, 16)?,
            size: u32::from_str_radix(part()?, 16)?,
        })
    }
}

/// A number that no earlier run had.
pub fn new_run() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_nanos() as u64
}

/// A text with room for an id, made once and used for many letters.
#[derive(Debug, Clone)]
pub struct Letter {
    octets: Vec<u8>,
    id_places: Vec<usize>,
}

impl Letter {
    /// The text itself, `size` octets.
    pub fn text(size: usize) -> Result<Letter> {
        ensure!(size >= SIZE_MIN, "a letter has at least {SIZE_MIN} octets");
        Ok(Letter::with_places(text(size)))
    }

    /// The text as it goes over the wire: dots doubled, and the final dot (RFC 5321 §4.5.2).
    pub fn wire(size: usize) -> Result<Letter> {
        let Letter { octets, .. } = Letter::text(size)?;
        let mut wire = Vec::with_capacity(octets.len() + octets.len() / 32 + 3);
        let mut line_start = true;
        for octet in octets {
            if line_start && octet == b'.' {
                wire.push(b'.');
            }
            line_start = octet == b'\n';
            wire.push(octet);
        }
        wire.extend_from_slice(b".\r\n");
        Ok(Letter::with_places(wire))
    }

    fn with_places(octets: Vec<u8>) -> Letter {
        let id_places = memmem::find_iter(&octets, &[b'#'; ID_LEN]).collect();
        Letter { octets, id_places }
    }

    /// The letter with this id.
    pub fn with(&mut self, id: Id) -> &[u8] {
        let text = id.text();
        for place in &self.id_places {
            self.octets[*place..place + ID_LEN].copy_from_slice(text.as_bytes());
        }
        &self.octets
    }
}

fn text(size: usize) -> Vec<u8> {
    let id = "#".repeat(ID_LEN);
    let end = format!("end {id}\r\n");
    let mut text = format!(
        "From: Bench <bench@example.test>\r\nTo: Reader <reader@example.test>\r\nSubject: Do you like ketchup?\r\n\
         Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{id}@bench.example.test>\r\nX-Bench: {id}\r\n\r\n.\r\n"
    )
    .into_bytes();
    let mut chance = size as u64 | 1;
    while text.len() + end.len() < size {
        let left = size - end.len() - text.len();
        let len = if left == LINE_LEN + 1 { LINE_LEN - 1 } else { left.min(LINE_LEN) };
        line(len, &mut chance, &mut text);
    }
    text.extend_from_slice(end.as_bytes());
    text
}

/// One line of `len` octets, CRLF included; one in eight begins with a dot.
fn line(len: usize, chance: &mut u64, text: &mut Vec<u8>) {
    for at in 0..len.saturating_sub(2) {
        *chance = chance.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let draw = (*chance >> 33) as u8;
        text.push(match (at, draw % 8) {
            (0, 0) => b'.',
            (1.., 0) => b' ',
            _ => b'a' + draw % 26,
        });
    }
    text.extend_from_slice(b"\r\n");
}

/// Says whether a text that came back is a letter of ours.
#[derive(Debug, Default)]
pub struct Checker {
    known: HashMap<u32, Letter>,
}

impl Checker {
    /// The id of the letter that `text` is, or why it is none. Trace fields may stand above it.
    pub fn check(&mut self, text: &[u8]) -> Result<Id> {
        let at = memmem::find(text, ID_FIELD).context("no X-Bench field")? + ID_FIELD.len();
        let id = Id::parse(text.get(at..at + ID_LEN).context("the id is cut off")?)?;
        let size = id.size as usize;
        let Some(start) = text.len().checked_sub(size) else {
            bail!("{} octets came back of {size} that were sent", text.len());
        };
        let letter = match self.known.entry(id.size) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(vacant) => vacant.insert(Letter::text(size)?),
        };
        ensure!(letter.with(id) == &text[start..], "the content of letter {} was changed", id.text());
        ensure!(start == 0 || text[..start].ends_with(b"\r\n"), "the trace fields of {} do not end in CRLF", id.text());
        Ok(id)
    }
}

/// Takes the doubled dots away; `wire` ends before the final dot's line.
pub fn undot(wire: &[u8], text: &mut Vec<u8>) {
    text.clear();
    let mut done = 0;
    if wire.first() == Some(&b'.') {
        done = 1;
    }
    for at in memmem::find_iter(wire, b"\r\n.") {
        text.extend_from_slice(&wire[done..at + 2]);
        done = at + 3;
    }
    text.extend_from_slice(&wire[done..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(size: usize) -> Id {
        Id { run: 0xfeed, number: 7, size: size as u32 }
    }

    fn returned(size: usize) -> Vec<u8> {
        let mut text = b"Received: from here\r\n\tby there\r\n".to_vec();
        text.extend_from_slice(Letter::text(size).unwrap().with(id(size)));
        text
    }

    #[test]
    fn a_letter_has_dots_that_need_doubling() {
        let wire = Letter::wire(4096).unwrap();
        assert!(memmem::find(&wire.octets, b"\r\n..\r\n").is_some(), "a dot alone");
        assert!(wire.octets.len() > 4096 + 5);
    }

    #[test]
    fn whatever_is_changed_is_noticed() {
        let text = returned(700);
        let start = text.len() - 700;
        assert_eq!(Checker::default().check(&text).unwrap(), id(700));
        for at in start..text.len() {
            let mut changed = text.clone();
            changed[at] ^= 1;
            assert!(Checker::default().check(&changed).is_err(), "octet {at}");
        }
        assert!(Checker::default().check(&text[..text.len() - 1]).is_err(), "cut off");
        assert!(Checker::default().check(&[&text[..], b"\r\n"].concat()).is_err(), "grown");
    }

    proptest! {
        #[test]
        fn every_size_is_met_and_comes_back_from_the_wire(size in SIZE_MIN..3000) {
            let mut wire = Letter::wire(size).unwrap().with(id(size)).to_vec();
            wire.truncate(wire.len() - 3);
            let mut text = Vec::new();
            undot(&wire, &mut text);
            prop_assert_eq!(text.len(), size);
            prop_assert_eq!(Checker::default().check(&text).unwrap(), id(size));
        }
    }
}

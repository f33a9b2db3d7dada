//! Patterns of LIST and LSUB.
//!
//! RFC 9051 §6.3.9 (`*` for anything, `%` for anything but the separator; what a reference does).
//!
//! Invariants: matching takes time in proportion to pattern times name, whatever stands in either.
//! Not here: which mailboxes are listed (server).

use crate::name::{MailboxName, NAME_MAX, SEPARATOR, from_wire};
use crate::words::{Misread, Reading};

/// So many patterns may stand in one command.
pub const PATTERNS_MAX: usize = 64;

/// A pattern with its reference before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Reads a pattern as a client wrote it. The reference stands before it as it is; a pattern that begins with the
    /// separator stands for itself, as RFC 9051 §6.3.9 suggests.
    pub fn parse(reference: &[u8], pattern: &[u8], utf8: bool) -> Reading<Self> {
        let (reference, pattern) = (from_wire(reference, utf8)?, from_wire(pattern, utf8)?);
        let text = match pattern.strip_prefix(SEPARATOR) {
            Some(absolute) => absolute.to_owned(),
            None => reference + &pattern,
        };
        if text.len() > 2 * NAME_MAX { Err(Misread("the pattern is too long")) } else { Ok(Pattern(text)) }
    }

    /// Reference and pattern as one text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a mailbox fits.
    pub fn fits(&self, name: &MailboxName) -> bool {
        // INBOX may be asked for in any case, alone or as the first level.
        let first = self.0.len().min(5);
        let pattern = match self.0.get(..first) {
            Some(word) if word.eq_ignore_ascii_case("INBOX") && name.as_str().starts_with("INBOX") => {
                format!("INBOX{}", &self.0[first..])
            }
            _ => self.0.clone(),
        };
        fits(pattern.as_bytes(), name.as_str().as_bytes())
    }
}

/// Goes through the name once and keeps the places in the pattern where one could be: no way back, no explosion.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let mut places = vec![false; pattern.len() + 1];
    places[0] = true;
    spread(pattern, &mut places);
    for &octet in name {
        let mut next = vec![false; pattern.len() + 1];
        for at in (0..pattern.len()).filter(|&at| places[at]) {
            match pattern[at] {
                b'*' => next[at] = true,
                b'%' => next[at] = octet != SEPARATOR as u8,
                letter if letter == octet => next[at + 1] = true,
                _ => {}
            }
        }
        spread(pattern, &mut next);
        places = next;
    }
    places[pattern.len()]
}

/// A wildcard may stand for nothing.
fn spread(pattern: &[u8], places: &mut [bool]) {
    for at in 0..pattern.len() {
        if places[at] && matches!(pattern[at], b'*' | b'%') {
            places[at + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(reference: &str, pattern: &str, name: &str) -> bool {
        let pattern = Pattern::parse(reference.as_bytes(), pattern.as_bytes(), true).expect("a pattern");
        pattern.fits(&MailboxName::new(name).expect("a name"))
    }

    #[test]
    fn wildcards() {
        assert!(fits("", "*", "a/b/c") && fits("", "%", "a") && !fits("", "%", "a/b"));
        assert!(
            fits("", "%/%", "a/b") && !fits("", "%/%", "a") && fits("", "a*c", "a/b/c") && !fits("", "a%c", "a/b/c")
        );
        assert!(fits("", "foo*", "foo") && fits("", "*foo", "foo") && !fits("", "foo", "Foo") && !fits("", "", "a"));
        assert!(fits("a/", "%", "a/b") && !fits("a/", "%", "b") && fits("a/", "/b", "b"));
        assert!(fits("", "inbox", "INBOX") && fits("", "InBox/%", "INBOX/a") && fits("", "in%", "in"));
        assert!(fits("", "%x%", "日x本") && fits("", "日%", "日本"));
    }

    #[test]
    fn a_nasty_pattern_takes_no_longer() {
        let pattern = "*a".repeat(400);
        assert!(!fits("", &pattern, &"a".repeat(399)) && fits("", &pattern, &"a".repeat(400)));
    }
}

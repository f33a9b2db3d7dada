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

/// So many wildcards may stand in one pattern: each name is looked at once for each of them.
pub const WILDCARDS_MAX: usize = 32;

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
        let text = collapsed(&text);
        let wildcards = text.bytes().filter(|octet| matches!(octet, b'*' | b'%')).count();
        match text.len() > 2 * NAME_MAX || wildcards > WILDCARDS_MAX {
            true => Err(Misread("the pattern is too long, or has too many wildcards")),
            false => Ok(Pattern(text)),
        }
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

/// Goes through the name once and keeps the places in the pattern where one could be, each once: no way back, no explosion.
/// Of two wildcards side by side one is left, so that entering a place never leads further than to the next.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let mut places = Vec::new();
    enter(pattern, 0, &mut places);
    for &octet in name {
        let mut next = Vec::with_capacity(places.len() + 1);
        for at in places {
            match pattern.get(at) {
                Some(b'*') => enter(pattern, at, &mut next),
                Some(b'%') if octet != SEPARATOR as u8 => enter(pattern, at, &mut next),
                Some(&letter) if letter == octet && letter != b'%' => enter(pattern, at + 1, &mut next),
                _ => {}
            }
        }
        next.sort_unstable();
        next.dedup();
        places = next;
    }
    places.last() == Some(&pattern.len())
}

/// At a place, and behind it, where a wildcard may stand for nothing.
fn enter(pattern: &[u8], at: usize, places: &mut Vec<usize>) {
    places.push(at);
    if matches!(pattern.get(at), Some(b'*' | b'%')) {
        places.push(at + 1);
    }
}

/// One wildcard for several side by side.
fn collapsed(text: &str) -> String {
    let mut short = String::with_capacity(text.len());
    for c in text.chars() {
        match (short.chars().last(), c) {
            (Some('*'), '*' | '%') | (Some('%'), '%') => {}
            (Some('%'), '*') => {
                short.pop();
                short.push('*');
            }
            _ => short.push(c),
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
        let pattern = "*a".repeat(WILDCARDS_MAX);
        assert!(!fits("", &pattern, &"a".repeat(WILDCARDS_MAX - 1)) && fits("", &pattern, &"a".repeat(900)));
        assert!(Pattern::parse(b"", "*a".repeat(WILDCARDS_MAX + 1).as_bytes(), true).is_err());
        assert!(fits("", &"*%".repeat(500), "a/b") && fits("", "%%", "a") && !fits("", "%%", "a/b"));
    }

    /// The rule itself, without regard to time.
    fn by_the_book(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, name) => name.is_none(),
            (Some((b'*' | b'%', rest)), None) => by_the_book(rest, name),
            (Some((b'*', rest)), Some((_, behind))) => by_the_book(rest, name) || by_the_book(pattern, behind),
            (Some((b'%', rest)), Some((octet, behind))) => {
                by_the_book(rest, name) || *octet != b'/' && by_the_book(pattern, behind)
            }
            (Some((letter, rest)), Some((octet, behind))) => letter == octet && by_the_book(rest, behind),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn it_is_the_rule(pattern in "[ab/*%]{0,8}", name in "[ab]{1,3}(/[ab]{1,3}){0,2}") {
            // A separator before everything makes a pattern stand for itself.
            prop_assume!(!pattern.starts_with('/'));
            prop_assert_eq!(fits("", &pattern, &name), by_the_book(pattern.as_bytes(), name.as_bytes()));
        }
    }
}

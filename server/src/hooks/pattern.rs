//! Patterns of paths and accounts: `*`, `**`, `?`, and everything else for itself.
//!
//! Invariants: matching takes time in proportion to pattern times text, whatever either holds.
//! Not here: patterns of FTP's listings (ftp).

use std::fmt;

/// `/incoming/*.pdf`, `/scans/**`, `*@example.org`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// This octet.
    Octet(u8),
    /// One octet that is no `/`.
    One,
    /// Any octets that are no `/`.
    Some,
    /// Any octets.
    Any,
}

impl Pattern {
    /// Reads a pattern; every text is one.
    pub fn new(text: &str) -> Self {
        let mut parts = Vec::new();
        for octet in text.bytes() {
            match (octet, parts.last()) {
                (b'*', Some(Part::Some | Part::Any)) => *parts.last_mut().unwrap_or(&mut Part::Any) = Part::Any,
                (b'*', _) => parts.push(Part::Some),
                (b'?', _) => parts.push(Part::One),
                (octet, _) => parts.push(Part::Octet(octet)),
            }
        }
        Pattern { text: text.to_string(), parts }
    }

    /// Whether all of `text` fits.
    pub fn matches(&self, text: &[u8]) -> bool {
        // reached[n]: the parts up to here fit the first n octets.
        let mut reached = vec![false; text.len() + 1];
        reached[0] = true;
        for part in &self.parts {
            let mut before = reached[0];
            if !matches!(part, Part::Some | Part::Any) {
                reached[0] = false;
            }
            for (at, octet) in text.iter().enumerate() {
                let fits = match part {
                    Part::Octet(wanted) => before && wanted == octet,
                    Part::One => before && *octet != b'/',
                    Part::Some => reached[at + 1] || (reached[at] && *octet != b'/'),
                    Part::Any => reached[at + 1] || reached[at],
                };
                before = std::mem::replace(&mut reached[at + 1], fits);
            }
        }
        reached[text.len()]
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_in_its_directory_and_two_do_not() {
        let fits = |pattern: &str, text: &str| Pattern::new(pattern).matches(text.as_bytes());
        for (pattern, text) in [
            ("/a/*.pdf", "/a/b.pdf"),
            ("/a/*", "/a/"),
            ("/a/**", "/a/b/c"),
            ("/a/**/c", "/a/b/b/c"),
            ("**", "/"),
            ("/?.txt", "/x.txt"),
            ("*@a.test", "joe@a.test"),
            ("/a*b*c", "/abbc"),
            ("", ""),
        ] {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("/a/*.pdf", "/a/b/c.pdf"),
            ("/a/*", "/a"),
            ("/a/**", "/ab/c"),
            ("/?.txt", "//.txt"),
            ("*@a.test", "joe@b.test"),
            ("/a*b*c", "/acb"),
            ("", "/"),
        ] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_wicked_pattern_costs_no_more_than_another() {
        assert!(!Pattern::new(&"*a".repeat(200)).matches("a".repeat(199).as_bytes()));
    }
}

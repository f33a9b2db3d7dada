//! Names with `*`, `?` and `[…]`, for those clients that let the server find the files.
//!
//! RFC 959 §4.1.3 leaves it to the server what NLST may name; `mget *.sav` of Windows relies on it. RFC 3659 §2.2.2
//! forbids it for its own commands.
//!
//! Invariants: matching a name costs at most the product of both lengths, whatever the pattern: no braces, no directories.
//! Not here: walking directories (house/files); a name that exists as it stands is never a pattern (the same).

/// More stars than this are an attack, not a wish.
const STARS_MAX: usize = 8;

/// A pattern for one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<u8>);

impl Pattern {
    /// `None` if there is nothing to match in it, or too much.
    pub fn parse(name: &[u8]) -> Option<Self> {
        let stars = name.iter().filter(|octet| **octet == b'*').count();
        let special = memchr::memchr3(b'*', b'?', b'[', name).is_some();
        (special && stars <= STARS_MAX && !name.contains(&b'/')).then(|| Pattern(name.to_vec()))
    }

    /// The pattern as it was written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether a name is one of those meant. Case counts.
    pub fn matches(&self, name: &[u8]) -> bool {
        let pattern = &self.0[..];
        let (mut at, mut of, mut retry) = (0, 0, None);
        while of < name.len() {
            match pattern.get(at) {
                Some(b'*') => {
                    at += 1;
                    retry = Some((at, of));
                }
                _ => match one(&pattern[at..], name[of]) {
                    Some(used) => (at, of) = (at + used, of + 1),
                    None => match retry {
                        // The last star takes one octet more; earlier stars never need to.
                        Some((after, from)) => {
                            (at, of) = (after, from + 1);
                            retry = Some((after, from + 1));
                        }
                        None => return false,
                    },
                },
            }
        }
        pattern[at..].iter().all(|octet| *octet == b'*')
    }
}

/// How much of the pattern fits this one octet, if it fits.
fn one(pattern: &[u8], octet: u8) -> Option<usize> {
    match *pattern.first()? {
        b'?' => Some(1),
        b'[' => match set(&pattern[1..], octet) {
            Some((within, used)) => within.then_some(used + 1),
            None => (octet == b'[').then_some(1),
        },
        literal => (literal == octet).then_some(1),
    }
}

/// `a-z]` or `!a-z]`: whether the octet is within, and how long the set is. `None` if it has no end.
fn set(pattern: &[u8], octet: u8) -> Option<(bool, usize)> {
    let inverted = matches!(pattern.first(), Some(b'!' | b'^'));
    let start = usize::from(inverted);
    // A `]` right at the start is one of the set.
    let end = start + 1 + memchr::memchr(b']', pattern.get(start + 1..)?)?;
    let (mut at, mut within) = (start, false);
    while at < end {
        match pattern[at..end] {
            [from, b'-', to, ..] => {
                within |= (from..=to).contains(&octet);
                at += 3;
            }
            _ => {
                within |= pattern[at] == octet;
                at += 1;
            }
        }
    }
    Some((within != inverted, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::parse(pattern.as_bytes()).unwrap().matches(name.as_bytes())
    }

    #[test]
    fn what_fits() {
        for (pattern, name) in [
            ("*", ""),
            ("*", ".hidden"),
            ("*.sav", "one.sav"),
            ("*.sav", ".sav"),
            ("a*b*c", "aXbXbXc"),
            ("?x", "ax"),
            ("[a-c]x", "bx"),
            ("[!a-c]x", "dx"),
            ("[]]", "]"),
            ("[a-]", "-"),
            ("[x", "[x"),
            ("*[0-9]*", "a1b"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("*.sav", "one.SAV"), ("?", ""), ("?", "ab"), ("[a-c]", "d"), ("[!a]", "a"), ("a*b", "abc"), ("[x", "x")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn what_is_no_pattern() {
        assert_eq!(Pattern::parse(b"plain"), None);
        assert_eq!(Pattern::parse(b"*/*"), None);
        assert_eq!(Pattern::parse(b"*********"), None);
    }

    /// The same by the book: slow, and plainly right.
    fn by_the_book(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.first(), name.first()) {
            (None, None) => true,
            (Some(b'*'), _) => by_the_book(&pattern[1..], name) || !name.is_empty() && by_the_book(pattern, &name[1..]),
            (Some(_), Some(octet)) => {
                one(pattern, *octet).is_some_and(|used| by_the_book(&pattern[used..], &name[1..]))
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn the_fast_way_is_the_right_way(pattern in "[ab*?\\[\\]!-]{0,8}", name in "[ab\\[\\]-]{0,8}") {
            if let Some(parsed) = Pattern::parse(pattern.as_bytes()) {
                prop_assert_eq!(parsed.matches(name.as_bytes()), by_the_book(pattern.as_bytes(), name.as_bytes()));
            }
        }
    }
}

//! Flags: what is marked on a message.
//!
//! RFC 9051 §2.3.2 (system flags and keywords), §9 (`flag`, `flag-keyword`); RFC 3501 §2.3.2 (\Recent).
//!
//! Departure: nobody is told that a message is \Recent. IMAP4rev2 has given it up, no client of today needs it, and what
//! it means when several sessions look at one mailbox was never clear: `0 RECENT`, for those who ask by RFC 3501.
//!
//! Invariants: a keyword is an atom of bounded length and no system flag; a set has each flag once.
//! Not here: which keywords a mailbox may have (house).

use std::sync::Arc;

/// No keyword is longer, in octets: what people and programs write has 30 at most, and each is kept for each mailbox.
pub const KEYWORD_MAX: usize = 128;

/// So many flags may stand in one command.
pub const FLAGS_MAX: usize = 256;

/// A flag that the protocol gives a meaning to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SystemFlag {
    /// `\Answered`
    Answered,
    /// `\Flagged`
    Flagged,
    /// `\Deleted`
    Deleted,
    /// `\Seen`
    Seen,
    /// `\Draft`
    Draft,
}

impl SystemFlag {
    /// All, in the order of RFC 9051 §2.3.2.
    pub const ALL: [SystemFlag; 5] =
        [SystemFlag::Answered, SystemFlag::Flagged, SystemFlag::Deleted, SystemFlag::Seen, SystemFlag::Draft];

    /// As on the wire.
    pub fn name(self) -> &'static str {
        match self {
            SystemFlag::Answered => "\\Answered",
            SystemFlag::Flagged => "\\Flagged",
            SystemFlag::Deleted => "\\Deleted",
            SystemFlag::Seen => "\\Seen",
            SystemFlag::Draft => "\\Draft",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Some of the five system flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct SystemFlags(u8);

impl SystemFlags {
    /// None of them.
    pub const NONE: SystemFlags = SystemFlags(0);
    /// All of them.
    pub const ALL: SystemFlags = SystemFlags(0b1_1111);

    /// Whether it is there.
    pub fn has(self, flag: SystemFlag) -> bool {
        self.0 & flag.bit() != 0
    }

    /// And this one.
    #[must_use]
    pub fn with(self, flag: SystemFlag) -> Self {
        SystemFlags(self.0 | flag.bit())
    }

    /// Those that are there, in the order of RFC 9051 §2.3.2.
    pub fn iter(self) -> impl Iterator<Item = SystemFlag> {
        SystemFlag::ALL.into_iter().filter(move |flag| self.has(*flag))
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// A flag that clients agree about among themselves, as it was first written; in comparisons case does not count.
#[derive(Debug, Clone)]
pub struct Keyword(Arc<str>);

impl Keyword {
    /// A keyword: an atom, at most [`KEYWORD_MAX`] long.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let legal = crate::words::is_atom(text) && text.len() <= KEYWORD_MAX;
        legal.then(|| std::str::from_utf8(text).ok().map(|text| Keyword(text.into()))).flatten()
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Keyword {}

/// The flags of a message, or those that a command names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Flags {
    /// The system flags among them.
    pub system: SystemFlags,
    keywords: Vec<Keyword>,
}

impl Flags {
    /// These system flags and no keyword.
    pub fn new(system: SystemFlags) -> Self {
        Flags { system, keywords: Vec::new() }
    }

    /// And this keyword, if it is not there.
    pub fn add(&mut self, keyword: Keyword) {
        if !self.keywords.contains(&keyword) {
            self.keywords.push(keyword);
        }
    }

    /// The keywords, in the order they were added.
    pub fn keywords(&self) -> &[Keyword] {
        &self.keywords
    }

    /// Whether there is neither flag nor keyword.
    pub fn is_empty(&self) -> bool {
        self.system.is_empty() && self.keywords.is_empty()
    }
}

/// What one word of a flag list is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flag {
    /// One of the five.
    System(SystemFlag),
    /// A keyword.
    Keyword(Keyword),
}

impl Flag {
    /// Reads one flag. `\Recent`, `\*` and flags that do not exist are none that a client could set.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.first() != Some(&b'\\') {
            return Keyword::parse(text).map(Flag::Keyword);
        }
        let is = |flag: &SystemFlag| text.eq_ignore_ascii_case(flag.name().as_bytes());
        SystemFlag::ALL.into_iter().find(is).map(Flag::System)
    }

    /// As on the wire.
    pub fn name(&self) -> &str {
        match self {
            Flag::System(flag) => flag.name(),
            Flag::Keyword(keyword) => keyword.as_str(),
        }
    }
}

impl FromIterator<Flag> for Flags {
    fn from_iter<I: IntoIterator<Item = Flag>>(flags: I) -> Self {
        let mut set = Flags::default();
        for flag in flags {
            match flag {
                Flag::System(flag) => set.system = set.system.with(flag),
                Flag::Keyword(keyword) => set.add(keyword),
            }
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_in_any_case() {
        assert_eq!(Flag::parse(b"\\SEEN"), Some(Flag::System(SystemFlag::Seen)));
        assert_eq!(Flag::parse(b"$forwarded"), Flag::parse(b"$Forwarded"));
        for text in [&b""[..], b"\\Recent", b"\\*", b"\\", b"\\Unheard", b"a b", b"(", b"a]", &[b'x'; KEYWORD_MAX + 1]]
        {
            assert_eq!(Flag::parse(text), None, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn a_set_has_each_once() {
        let words = ["\\Seen", "a", "A", "\\seen", "\\Deleted"];
        let flags: Flags = words.iter().filter_map(|word| Flag::parse(word.as_bytes())).collect();
        assert_eq!(flags.keywords().len(), 1);
        assert_eq!(flags.system.iter().map(SystemFlag::name).collect::<Vec<_>>(), ["\\Deleted", "\\Seen"]);
    }
}

//! Names of mailboxes: what they may be, and how they travel.
//!
//! RFC 9051 §5.1 (names), Appendix A.1 (modified UTF-7, here RFC 3501 §5.1.3); RFC 9755 and RFC 5198 (UTF-8).
//!
//! Invariants: a name is UTF-8 without control characters, not empty, and of bounded length; its levels are parted by `/`
//! and none is empty; INBOX is written so whichever way the client wrote it.
//! Not here: which mailboxes there are (house), patterns (pattern).

use crate::words::{Misread, Reading, Scanner};
use message::utf7;
use std::fmt;

/// What parts the levels of a name.
pub const SEPARATOR: char = '/';

/// No name is longer, in octets of UTF-8. File systems have 255 for one level; modified UTF-7 makes it three times longer.
pub const NAME_MAX: usize = 1000;

/// No name has more levels: each is looked at whenever mailboxes are listed.
pub const LEVELS_MAX: usize = 64;

/// The name of a mailbox, whether or not there is one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxName(String);

impl MailboxName {
    /// The mailbox that is always there.
    pub fn inbox() -> Self {
        MailboxName("INBOX".into())
    }

    /// A name in UTF-8, as the house writes it.
    pub fn new(name: &str) -> Option<Self> {
        let levels = || name.split(SEPARATOR);
        let legal = !name.is_empty()
            && name.len() <= NAME_MAX
            && !name.chars().any(is_forbidden)
            && levels().all(|level| !level.is_empty())
            && levels().count() <= LEVELS_MAX;
        legal.then(|| MailboxName(canonical(name)))
    }

    /// A name as a client wrote it.
    pub fn parse(wire: &[u8], utf8: bool) -> Reading<Self> {
        let name = from_wire(wire, utf8)?;
        MailboxName::new(&name).ok_or(Misread("no mailbox can have this name"))
    }

    /// Reads a name as an argument.
    pub fn scan(scanner: &mut Scanner<'_>) -> Reading<Self> {
        let utf8 = scanner.is_utf8();
        let wire = scanner.astring()?;
        MailboxName::parse(&wire, utf8)
    }

    /// In UTF-8.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is INBOX itself.
    pub fn is_inbox(&self) -> bool {
        self.0 == "INBOX"
    }

    /// The name one level up.
    pub fn parent(&self) -> Option<MailboxName> {
        self.0.rsplit_once(SEPARATOR).map(|(parent, _)| MailboxName(parent.into()))
    }

    /// Whether it lies below this one, however deep.
    pub fn is_below(&self, other: &MailboxName) -> bool {
        self.0.strip_prefix(&other.0).is_some_and(|rest| rest.starts_with(SEPARATOR))
    }

    /// How it travels, before quotes.
    pub fn to_wire(&self, utf8: bool) -> String {
        if utf8 { self.0.clone() } else { utf7::encoded(&self.0) }
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text of a name or a pattern as a client wrote it. Octets beyond ASCII, which modified UTF-7 does not have, are
/// taken for UTF-8 whatever was enabled: there is nothing else that they could mean.
pub fn from_wire(wire: &[u8], utf8: bool) -> Reading<String> {
    let text = std::str::from_utf8(wire).map_err(|_| Misread("a mailbox name is UTF-8 or modified UTF-7"))?;
    if utf8 || !text.is_ascii() {
        return Ok(text.to_owned());
    }
    from_utf7(text).ok_or(Misread("a mailbox name is not modified UTF-7, where & stands as &-"))
}

/// How a pattern or the beginning of a name travels in modified UTF-7.
pub(crate) fn pattern_to_wire(text: &str) -> String {
    utf7::encoded(text)
}

/// RFC 9051 §5.1: INBOX is not case-sensitive. What lies below it follows.
fn canonical(name: &str) -> String {
    let (first, rest) = name.split_at(name.find(SEPARATOR).unwrap_or(name.len()));
    if first.eq_ignore_ascii_case("INBOX") { format!("INBOX{rest}") } else { name.to_owned() }
}

/// RFC 9755 §3: no control characters, no line or paragraph separator.
fn is_forbidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// One name has one spelling: what could have stood for itself must not be coded (RFC 3501 §5.1.3).
fn from_utf7(wire: &str) -> Option<String> {
    utf7::decoded(wire).filter(|name| utf7::encoded(name) == wire)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_name_of_the_textbook() {
        let name = MailboxName::parse(b"~peter/mail/&U,BTFw-/&ZeVnLIqe-", false).expect("a name");
        assert_eq!(name.as_str(), "~peter/mail/台北/日本語");
        assert_eq!(name.to_wire(false), "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
        assert_eq!(name.to_wire(true), name.as_str());
        assert_eq!(MailboxName::parse(b"Tom &- Jerry", false).map(|name| name.0), Ok("Tom & Jerry".into()));
        assert_eq!(MailboxName::parse(b"Tom & Jerry", true).map(|name| name.0), Ok("Tom & Jerry".into()));
        assert_eq!(
            MailboxName::parse("Entw\u{fc}rfe".as_bytes(), false).map(|name| name.to_wire(false)),
            Ok("Entw&APw-rfe".into())
        );
    }

    #[test]
    fn inbox_in_any_case() {
        for name in ["inbox", "INBOX", "InBox"] {
            assert!(MailboxName::new(name).is_some_and(|name| name.is_inbox()), "{name}");
        }
        assert_eq!(MailboxName::new("inbox/a").map(|name| name.0), Some("INBOX/a".into()));
        assert_eq!(MailboxName::new("inboxes").map(|name| name.0), Some("inboxes".into()));
    }

    #[test]
    fn names_that_none_can_have() {
        let long = "x".repeat(NAME_MAX + 1);
        let deep = "a/".repeat(LEVELS_MAX) + "a";
        for name in ["", "/", "/a", "a/", "a//b", "a\nb", "a\u{7f}", "a\u{85}b", "a\u{2028}b", &long, &deep] {
            assert_eq!(MailboxName::new(name), None, "{name:?}");
        }
        // RFC 3501 §5.1.3: no needless shift, no superfluous coding, no half characters.
        for wire in [&b"Tom & Jerry"[..], b"&Jjo!", b"&U,BTFw-&ZeVnLIqe-", b"&AGE-", b"&2AA-", b"&A-", b"a\xff"] {
            assert!(MailboxName::parse(wire, false).is_err(), "{}", String::from_utf8_lossy(wire));
        }
    }

    #[test]
    fn above_and_below() {
        let name = |text| MailboxName::new(text).expect("a name");
        assert!(
            name("a/b/c").is_below(&name("a")) && !name("ab").is_below(&name("a")) && !name("a").is_below(&name("a"))
        );
        assert_eq!(name("a/b").parent(), Some(name("a")));
        assert_eq!(name("a").parent(), None);
    }

    proptest! {
        #[test]
        fn parse_after_write_is_identity(text in "[ -~äß台\u{1f600}]{1,30}") {
            prop_assume!(MailboxName::new(&text).is_some());
            let name = MailboxName::new(&text).expect("a name");
            for utf8 in [false, true] {
                let wire = name.to_wire(utf8);
                prop_assert_eq!(MailboxName::parse(wire.as_bytes(), utf8), Ok(name.clone()));
            }
            prop_assert!(name.to_wire(false).is_ascii());
        }
    }
}

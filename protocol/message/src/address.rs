//! Addresses: `joe@example.org` as an envelope has it, and the lists of them in header fields.
//!
//! RFC 5321 §4.1.2–4.1.3 (Mailbox, Domain, literals), §4.5.3.1 (limits); RFC 6531 §3.3 (UTF-8); RFC 5890 (A-labels).
//!
//! Invariants: an [`Address`] or [`Domain`] exists only if a parser or a checked constructor made it, holds no control
//! character, and writes itself as valid RFC 5321 or RFC 6531 syntax, so it may be put into any wire line.
//! Two of them are equal when mail for them goes to the same place: domains by their lower-case A-labels,
//! local parts octet by octet in their unquoted meaning.
//! Not here: whether anybody lives there (directory), plus-addressing and case folding of local parts (directory).

mod domain;
mod list;

use std::fmt;

pub use domain::Domain;
pub use list::{AddressList, Entry, MAILBOXES_MAX, Mailbox, parse_address_list};

use crate::syntax::is_atext;

/// The longest local part that is read, in octets of its unquoted meaning.
///
/// Departure: RFC 5321 §4.5.3.1.1 says 64; mailing lists and forwarders that put a whole address into the local part
/// (VERP, SRS) need more, and refusing their mail helps nobody.
pub const LOCAL_PART_MAX: usize = 128;

/// RFC 5321 §4.5.3.1.1: the longest local part that everybody must take; give out no longer ones.
pub const LOCAL_PART_SAFE: usize = 64;

/// RFC 5321 §4.5.3.1.2: the longest domain, in octets, as written and as A-labels.
pub const DOMAIN_MAX: usize = 255;

/// Why a text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressFlaw {
    /// There is no `@`, or nothing before or behind it.
    Incomplete,
    /// The local part is neither atoms between dots nor a quoted string.
    LocalPart,
    /// The local part is longer than [`LOCAL_PART_MAX`].
    LocalPartTooLong,
    /// The domain is not made of letters, digits and hyphens between dots, or is no valid international name.
    Domain,
    /// The domain is longer than [`DOMAIN_MAX`], or one of its labels than 63 octets.
    DomainTooLong,
    /// The square brackets do not hold an IPv4 address, or `IPv6:` and an IPv6 address.
    Literal,
    /// Something follows the address.
    Trailing,
}

impl AddressFlaw {
    /// Whether a limit was exceeded rather than a rule of syntax broken (RFC 5321 §4.5.3.1.10 has its own replies for it).
    pub fn is_length(self) -> bool {
        matches!(self, AddressFlaw::LocalPartTooLong | AddressFlaw::DomainTooLong)
    }
}

impl fmt::Display for AddressFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddressFlaw::Incomplete => "an address has the form local-part@domain",
            AddressFlaw::LocalPart => "the part before the @ has a character that must be quoted, or a misplaced dot",
            AddressFlaw::LocalPartTooLong => "the part before the @ is too long",
            AddressFlaw::Domain => "the part behind the @ is not a domain name",
            AddressFlaw::DomainTooLong => "the domain name is too long",
            AddressFlaw::Literal => "the square brackets hold no IP address",
            AddressFlaw::Trailing => "something follows the address",
        })
    }
}

impl std::error::Error for AddressFlaw {}

/// A mailbox as an envelope names it (RFC 5321 §4.1.2 `Mailbox`, with the extensions of RFC 6531 §3.3).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    domain: Domain,
    local: Box<str>,
}

impl Address {
    /// Reads a whole text as one address.
    pub fn parse(text: &str) -> Result<Self, AddressFlaw> {
        match Self::take(text)? {
            (address, "") => Ok(address),
            _ => Err(AddressFlaw::Trailing),
        }
    }

    /// Reads the address at the front of `text`; gives what follows it too.
    ///
    /// It ends at a blank, a control character, or one of `> , ; : ( ) <`.
    pub fn take(text: &str) -> Result<(Self, &str), AddressFlaw> {
        let (local, rest) = take_local(text)?;
        let rest = rest.strip_prefix('@').ok_or(AddressFlaw::Incomplete)?;
        let end = rest.find(ends_domain).unwrap_or(rest.len());
        // An IPv6 literal has colons in it.
        let end = if rest.starts_with('[') { rest.find(']').map_or(end, |at| at + 1) } else { end };
        if end == 0 {
            return Err(AddressFlaw::Incomplete);
        }
        Ok((Self::new(&local, Domain::parse(&rest[..end])?)?, &rest[end..]))
    }

    /// Puts an address together from the unquoted meaning of its local part and its domain.
    pub fn new(local: &str, domain: Domain) -> Result<Self, AddressFlaw> {
        if local.len() > LOCAL_PART_MAX {
            return Err(AddressFlaw::LocalPartTooLong);
        }
        if local.chars().any(char::is_control) {
            return Err(AddressFlaw::LocalPart);
        }
        Ok(Address { domain, local: local.into() })
    }

    /// The unquoted meaning of the local part: `joe smith` for `"joe smith"@example.org`. Its case is kept.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// What stands behind the `@`.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Whether it can be said without SMTPUTF8; its domain always can, as A-labels.
    pub fn is_ascii(&self) -> bool {
        self.local.is_ascii()
    }

    /// The address for people: the domain as it was written, international names readable.
    ///
    /// Valid syntax all the same, but it may need SMTPUTF8 where [`Display`](fmt::Display) does not.
    pub fn shown(&self) -> String {
        format!("{}@{}", Local(&self.local), self.domain.shown())
    }
}

/// Writes the address for the wire: the local part quoted only if it must be (RFC 5321 §4.1.2), the domain as A-labels.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", Local(&self.local), self.domain)
    }
}

impl std::str::FromStr for Address {
    type Err = AddressFlaw;

    fn from_str(text: &str) -> Result<Self, AddressFlaw> {
        Address::parse(text)
    }
}

/// A local part that writes itself, quoted if it must be.
struct Local<'a>(&'a str);

impl fmt::Display for Local<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(self.0) {
            return f.write_str(self.0);
        }
        f.write_str("\"")?;
        for c in self.0.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        f.write_str("\"")
    }
}

/// RFC 5321 §4.1.2 `Dot-string`: atoms with single dots between them.
fn is_dot_string(text: &str) -> bool {
    text.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atext))
}

fn ends_domain(c: char) -> bool {
    c.is_control() || " ><,;:()".contains(c)
}

/// The meaning of the local part at the front of `text`, and what follows it.
fn take_local(text: &str) -> Result<(String, &str), AddressFlaw> {
    if let Some(quoted) = text.strip_prefix('"') {
        return take_quoted(quoted);
    }
    let end = text.find(|c: char| !(c == '.' || is_atext_char(c))).unwrap_or(text.len());
    let (local, rest) = text.split_at(end);
    if !is_dot_string(local) {
        return Err(if local.is_empty() { AddressFlaw::Incomplete } else { AddressFlaw::LocalPart });
    }
    match rest.chars().next() {
        Some('@') | None => Ok((local.to_owned(), rest)),
        Some(_) => Err(AddressFlaw::LocalPart),
    }
}

fn is_atext_char(c: char) -> bool {
    if c.is_ascii() { is_atext(c as u8) } else { !c.is_control() }
}

/// RFC 5321 §4.1.2 `Quoted-string`, behind its first quotation mark.
fn take_quoted(quoted: &str) -> Result<(String, &str), AddressFlaw> {
    let mut local = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((local, &quoted[at + 1..])),
            '\\' => match chars.next() {
                Some((_, c)) if matches!(c, ' '..='~') => local.push(c),
                _ => return Err(AddressFlaw::LocalPart),
            },
            c if c.is_control() => return Err(AddressFlaw::LocalPart),
            c => local.push(c),
        }
    }
    Err(AddressFlaw::LocalPart)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Address {
        Address::parse(text).unwrap_or_else(|flaw| panic!("{text}: {flaw}"))
    }

    #[test]
    fn plain_addresses_keep_the_case_of_the_local_part_alone() {
        let address = parsed("Joe.Smith+news@Example.ORG");
        assert_eq!((address.local(), address.domain().as_str()), ("Joe.Smith+news", "example.org"));
        assert_eq!(address.to_string(), "Joe.Smith+news@example.org");
        assert_eq!(address.shown(), "Joe.Smith+news@Example.ORG");
        assert_eq!(address, parsed("Joe.Smith+news@eXample.org"));
        assert_ne!(address, parsed("joe.smith+news@example.org"));
    }

    #[test]
    fn all_quoted_forms_are_equal_and_the_least_quoting_is_written() {
        // RFC 5321 §4.1.2: all quoted forms MUST be treated as equivalent.
        assert_eq!(parsed(r#""joe"@example.org"#), parsed("joe@example.org"));
        assert_eq!(parsed(r#""\j\oe"@example.org"#).to_string(), "joe@example.org");
        assert_eq!(parsed(r#""Joe\,Smith"@example.org"#).local(), "Joe,Smith");
        for written in
            [r#""joe smith"@a.test"#, r#""a\"b\\c"@a.test"#, r#""a@b"@a.test"#, r#""a..b"@a.test"#, r#"""@a.test"#]
        {
            assert_eq!(parsed(written).to_string(), written);
        }
    }

    #[test]
    fn what_is_no_address_is_told_apart() {
        use AddressFlaw::*;
        let long = |n: usize| "x".repeat(n);
        for (text, flaw) in [
            ("", Incomplete),
            ("joe", Incomplete),
            ("@example.org", Incomplete),
            ("joe@", Incomplete),
            ("joe@@example.org", Domain),
            (".joe@example.org", LocalPart),
            ("joe.@example.org", LocalPart),
            ("j..oe@example.org", LocalPart),
            ("joe smith@example.org", LocalPart),
            ("joe\r\n@example.org", LocalPart),
            ("\"joe\r\n\"@example.org", LocalPart),
            ("\"joe@example.org", LocalPart),
            ("\"joe\\", LocalPart),
            ("\"joe\"x@example.org", Incomplete),
            ("jo\u{85}e@example.org", LocalPart),
            ("joe@exa mple.org", Trailing),
            ("joe@example.org>", Trailing),
            ("joe@-example.org", Domain),
            ("joe@example..org", Domain),
            ("joe@example.org.", Domain),
            ("joe@exam_ple.org", Domain),
            ("joe@[1.2.3.4", Literal),
            ("joe@[1.2.3.256]", Literal),
            (&format!("{}@example.org", long(129)), LocalPartTooLong),
            (&format!("joe@{}.org", long(64)), DomainTooLong),
            (&format!("joe@{}org", "abcdefg.".repeat(32)), DomainTooLong),
        ] {
            assert_eq!(Address::parse(text), Err(flaw), "{text:?}");
        }
        assert!(Address::parse(&format!("{}@{}abcdefg", long(128), "abcdefg.".repeat(31))).is_ok());
    }

    #[test]
    fn what_follows_an_address_is_given_back() {
        let (address, rest) = Address::take("joe@example.org> SIZE=3").expect("an address");
        assert_eq!((address.to_string().as_str(), rest), ("joe@example.org", "> SIZE=3"));
        let (_, rest) = Address::take("\"a>b\"@[IPv6:::1]>").expect("an address");
        assert_eq!(rest, ">");
    }

    #[test]
    fn utf8_addresses_are_addresses() {
        // RFC 6531 §3.3.
        let address = parsed("用户@例え.jp");
        assert!(!address.is_ascii());
        assert_eq!(address.to_string(), "用户@xn--r8jz45g.jp");
        assert_eq!(address.shown(), "用户@例え.jp");
        assert!(parsed("joe@例え.jp").is_ascii());
    }

    proptest! {
        #[test]
        fn parse_after_write_is_identity(local in "[ -~äé用]{0,60}", domain in "[a-z]([a-z0-9-]{0,20}[a-z0-9])?(\\.[a-z]{2,5}){0,3}") {
            let address = Address::new(&local, Domain::parse(&domain).expect("a domain")).expect("an address");
            prop_assert_eq!(Address::parse(&address.to_string()), Ok(address.clone()));
            prop_assert_eq!(Address::parse(&address.shown()), Ok(address));
        }

        #[test]
        fn nothing_panics_and_what_parses_is_one_clean_line(text in "\\PC{0,40}@\\PC{0,40}|.{0,60}") {
            if let Ok(address) = Address::parse(&text) {
                prop_assert!(!address.to_string().chars().any(char::is_control));
                prop_assert_eq!(Address::parse(&address.to_string()), Ok(address));
            }
        }
    }
}

//! Addresses and domains, and the one form in which we compare them.
//!
//! RFC 5321 §2.4 (case), §4.1.2 (grammar), §4.5.3.1 (lengths); RFC 5890 §2.3.2.1 (A-labels, U-labels); RFC 6531 §3.3 (UTF-8).
//!
//! A domain is compared as lower-case A-labels. A local part of ours is compared without regard to case, by Unicode's
//! lower case and without normalising: RFC 5321 §2.4 leaves that to the host which owns it, and a `Bob@` that bounces
//! while `bob@` does not surprises everyone. A foreign local part keeps every octet it came with.
//!
//! Invariants: canonical forms are fixed points; `parse(address.to_string()) == address`.
//! Not here: paths with source routes, display names, groups (message, smtp).

use std::borrow::Cow;
use std::fmt;

use idna::AsciiDenyList;

/// RFC 5321 §4.5.3.1.1.
pub const LOCAL_PART_MAX_BYTES: usize = 64;
/// RFC 5321 §4.5.3.1.2.
pub const DOMAIN_MAX_BYTES: usize = 255;
/// RFC 1035 §2.3.4.
const LABEL_MAX_BYTES: usize = 63;

/// Why something is no address, or no domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// There is no `@`, or nothing on one side of it.
    #[error("an address has the form local@domain")]
    Incomplete,
    /// Longer than RFC 5321 §4.5.3.1 allows.
    #[error("the part before the @ has at most {LOCAL_PART_MAX_BYTES} octets")]
    LocalTooLong,
    /// A character that may not stand in a local part, or stands where it may not.
    #[error("the part before the @ has a character that may not stand there")]
    Local,
    /// Not a domain name.
    #[error("what stands behind the @ is not a domain name")]
    Domain,
}

/// A mailbox address: the local part as it was written and without quotes, the domain in canonical form.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    local: String,
    domain: String,
}

impl Address {
    /// Reads `local@domain`; the local part may be a quoted string.
    ///
    /// # Errors
    /// [`Malformed`] names the side that is wrong.
    pub fn parse(text: &str) -> Result<Address, Malformed> {
        let (local, domain) = text.trim().rsplit_once('@').ok_or(Malformed::Incomplete)?;
        let local = match local.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')) {
            Some(quoted) => unquote(quoted)?,
            None if is_dot_atom(local) => local.to_owned(),
            None if local.is_empty() => return Err(Malformed::Incomplete),
            None => return Err(Malformed::Local),
        };
        if local.len() > LOCAL_PART_MAX_BYTES {
            return Err(Malformed::LocalTooLong);
        }
        Ok(Address { local, domain: hosted_domain(domain)? })
    }

    /// From the two halves a dialogue has already checked. A domain that is none is kept as it is: it matches nothing.
    pub(crate) fn from_halves(local: &str, domain: &str) -> Address {
        let domain = canonical_domain(domain).unwrap_or_else(|_| Cow::Owned(domain.to_lowercase()));
        Address { local: local.to_owned(), domain: domain.into_owned() }
    }

    /// The same local part in another domain, which is in canonical form.
    pub(crate) fn moved(&self, domain: &str) -> Address {
        Address { local: self.local.clone(), domain: domain.to_owned() }
    }

    /// The local part as it was written, unquoted.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain as lower-case A-labels.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The form under which accounts and aliases are kept: all of it in lower case.
    pub fn key(&self) -> String {
        key(&self.local, &self.domain)
    }

    /// Whether the local part needs no quotes. Only such addresses become accounts or aliases.
    pub fn is_plain(&self) -> bool {
        is_dot_atom(&self.local)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_plain() {
            return write!(f, "{}@{}", self.local, self.domain);
        }
        f.write_str("\"")?;
        for character in self.local.chars() {
            if matches!(character, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{character}")?;
        }
        write!(f, "\"@{}", self.domain)
    }
}

/// `local@domain` in lower case; `domain` is canonical already.
pub(crate) fn key(local: &str, domain: &str) -> String {
    let mut key = fold(local).into_owned();
    key.push('@');
    key.push_str(domain);
    key
}

/// A local part of ours in lower case.
pub(crate) fn fold(local: &str) -> Cow<'_, str> {
    let lower = |b: u8| b.is_ascii() && !b.is_ascii_uppercase();
    if local.bytes().all(lower) { Cow::Borrowed(local) } else { Cow::Owned(local.to_lowercase()) }
}

/// A domain as lower-case A-labels, without a final dot. ASCII is not judged, so that a look-up costs nothing.
///
/// # Errors
/// [`Malformed::Domain`] when it is not ASCII and UTS #46 has no A-labels for it.
pub fn canonical_domain(domain: &str) -> Result<Cow<'_, str>, Malformed> {
    let domain = without_final_dot(domain);
    if !domain.is_ascii() {
        let ascii = idna::domain_to_ascii_cow(domain.as_bytes(), AsciiDenyList::STD3).map_err(|_| Malformed::Domain)?;
        // There are other dots, which have become one.
        return Ok(Cow::Owned(without_final_dot(&ascii).to_owned()));
    }
    if domain.bytes().any(|b| b.is_ascii_uppercase()) {
        return Ok(Cow::Owned(domain.to_ascii_lowercase()));
    }
    Ok(Cow::Borrowed(domain))
}

/// Behind two dots stands no name, and nothing is taken from what is none.
fn without_final_dot(domain: &str) -> &str {
    domain.strip_suffix('.').filter(|name| !name.ends_with('.')).unwrap_or(domain)
}

/// A canonical domain that is a host name by RFC 1123 §2.1: letters, digits and hyphens, labels of 1 to 63 octets.
///
/// # Errors
/// [`Malformed::Domain`], also for address literals.
pub fn hosted_domain(domain: &str) -> Result<String, Malformed> {
    let domain = canonical_domain(domain)?.into_owned();
    let label = |label: &str| {
        (1..=LABEL_MAX_BYTES).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if domain.len() > DOMAIN_MAX_BYTES || !domain.split('.').all(label) {
        return Err(Malformed::Domain);
    }
    Ok(domain)
}

/// RFC 5321 §4.1.2 dot-string, with the letters of RFC 6531 §3.3.
fn is_dot_atom(local: &str) -> bool {
    let atext = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => true,
        c if c.is_ascii() => "!#$%&'*+-/=?^_`{|}~".contains(c),
        // White space beyond ASCII would look like two words.
        c => !c.is_control() && !c.is_whitespace(),
    };
    local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(atext))
}

/// The content of a quoted string: RFC 5321 §4.1.2 `qtextSMTP` and `quoted-pairSMTP`.
fn unquote(quoted: &str) -> Result<String, Malformed> {
    let mut local = String::with_capacity(quoted.len());
    let mut characters = quoted.chars();
    while let Some(mut character) = characters.next() {
        if character == '"' {
            return Err(Malformed::Local);
        }
        if character == '\\' {
            character = characters.next().ok_or(Malformed::Local)?;
        }
        if character.is_control() {
            return Err(Malformed::Local);
        }
        local.push(character);
    }
    Ok(local)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_does_not_matter_to_us() {
        let address = Address::parse("Bob.Ketchup@HAMBURGER.Test").expect("an address");
        assert_eq!((address.local(), address.domain()), ("Bob.Ketchup", "hamburger.test"));
        assert_eq!(address.key(), "bob.ketchup@hamburger.test");
        assert_eq!(Address::parse("ÉLISE@crepes.test").expect("an address").key(), "élise@crepes.test");
    }

    #[test]
    fn a_domain_is_compared_as_lower_case_a_labels() {
        for domain in ["crêpes.test", "CRÊPES.test", "xn--crpes-isa.test", "XN--crpes-ISA.TEST", "crêpes.test."] {
            assert_eq!(canonical_domain(domain).expect("a domain"), "xn--crpes-isa.test", "{domain}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let cases = [
            ("", Malformed::Incomplete),
            ("bob", Malformed::Incomplete),
            ("@crepes.test", Malformed::Incomplete),
            ("bob@", Malformed::Domain),
            (".bob@crepes.test", Malformed::Local),
            ("b..ob@crepes.test", Malformed::Local),
            ("b ob@crepes.test", Malformed::Local),
            ("b\u{a0}ob@crepes.test", Malformed::Local),
            ("bob\r\n@crepes.test", Malformed::Local),
            ("\"bo\"b\"@crepes.test", Malformed::Local),
            ("bob@crepes..test", Malformed::Domain),
            ("bob@-crepes.test", Malformed::Domain),
            ("bob@[127.0.0.1]", Malformed::Domain),
            ("bob@crepes_test", Malformed::Domain),
        ];
        for (text, why) in cases {
            assert_eq!(Address::parse(text), Err(why), "{text:?}");
        }
        assert_eq!(Address::parse(&format!("{}@a.test", "b".repeat(65))), Err(Malformed::LocalTooLong));
        assert!(Address::parse(&format!("{}@a.test", "b".repeat(64))).is_ok());
    }

    #[test]
    fn a_quoted_local_part_equals_the_bare_one() {
        assert_eq!(Address::parse("\"bob\"@a.test"), Address::parse("bob@a.test"));
        assert_eq!(Address::parse("\"b\\o b\\\"\"@a.test").expect("an address").to_string(), "\"bo b\\\"\"@a.test");
    }

    #[test]
    fn a_final_dot_goes_and_what_has_more_is_no_domain() {
        for (domain, canonical) in
            [("a.test.", "a.test"), ("\u{e9}.test\u{3002}", "xn--9ca.test"), ("a..", "a.."), ("...", "...")]
        {
            assert_eq!(canonical_domain(domain).expect("canonical"), canonical);
            assert_eq!(canonical_domain(canonical).expect("canonical"), canonical);
        }
        assert!(hosted_domain("a..").is_err() && hosted_domain(".").is_err());
    }

    proptest! {
        #[test]
        fn reading_what_was_written_gives_the_same(local in "[a-zA-Z0-9 .\"\\\\@+é]{1,20}", domain in "[a-zA-Z0-9]{1,8}(\\.[a-z]{1,5}){0,2}") {
            let address = Address { local, domain: canonical_domain(&domain).expect("ASCII").into_owned() };
            prop_assert_eq!(Address::parse(&address.to_string()), Ok(address));
        }

        #[test]
        fn canonical_forms_are_fixed_points(local in "\\PC{0,20}", domain in "\\PC{0,20}") {
            let folded = fold(&local).into_owned();
            prop_assert_eq!(fold(&folded).into_owned(), folded.clone());
            if let Ok(canonical) = canonical_domain(&domain) {
                prop_assert_eq!(canonical_domain(&canonical).expect("canonical"), canonical.as_ref());
            }
            if let Ok(hosted) = hosted_domain(&domain) {
                prop_assert_eq!(hosted_domain(&hosted), Ok(hosted.clone()));
            }
        }
    }
}

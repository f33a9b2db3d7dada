//! Domain names and address literals: what stands behind the `@`.
//!
//! RFC 5321 §4.1.2 (Domain), §4.1.3 (literals), §4.5.3.1.2 (length); RFC 1035 §2.3.4 (labels); RFC 5890 §2.3.2.1 (A-labels).
//!
//! Invariants: the canonical form is lower-case ASCII and is what is compared, hashed and written;
//! an address literal is never equal to a name.
//! Not here: whether the name exists (net).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::fmt;
use std::hash::{Hash, Hasher};

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use super::{AddressFlaw, DOMAIN_MAX};

/// RFC 1035 §2.3.4.
const LABEL_MAX: usize = 63;

/// A domain name, or an IP address in square brackets.
#[derive(Debug, Clone)]
pub struct Domain {
    /// Lower-case A-labels, or the literal in its shortest spelling.
    canonical: Box<str>,
    /// As it was written, if that is something else.
    shown: Option<Box<str>>,
    literal: Option<IpAddr>,
}

impl Domain {
    /// Reads a name (`Example.ORG`, `bücher.example`) or an address literal (`[192.0.2.1]`, `[IPv6:2001:db8::1]`).
    pub fn parse(text: &str) -> Result<Self, AddressFlaw> {
        if text.len() > DOMAIN_MAX {
            return Err(AddressFlaw::DomainTooLong);
        }
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(AddressFlaw::Literal)?;
            return literal(inner).map(|ip| Domain { shown: differing(text, &bracketed(ip)), ..Domain::from(ip) });
        }
        let canonical = if text.is_ascii() { text.to_ascii_lowercase() } else { a_labels(text)? };
        check_name(&canonical)?;
        Ok(Domain { shown: differing(text, &canonical), canonical: canonical.into(), literal: None })
    }

    /// The canonical form: lower-case A-labels, or the literal with its brackets. What the wire and the DNS get.
    pub fn as_str(&self) -> &str {
        &self.canonical
    }

    /// The form in which it was written, for people.
    pub fn shown(&self) -> &str {
        self.shown.as_deref().unwrap_or(&self.canonical)
    }

    /// The name with U-labels in place of A-labels (RFC 5890 §2.3.2.1), for people who see only the canonical form.
    pub fn to_unicode(&self) -> String {
        match self.literal {
            Some(_) => self.canonical.to_string(),
            None => idna::domain_to_unicode(&self.canonical).0,
        }
    }

    /// The IP address, if it is a literal.
    pub fn literal(&self) -> Option<IpAddr> {
        self.literal
    }

    /// Whether it has at least two labels, as submitted addresses must (RFC 6409 §4.2). A literal counts as qualified.
    pub fn is_qualified(&self) -> bool {
        self.literal.is_some() || self.canonical.contains('.')
    }
}

/// The address literal for an IP address; an IPv6 address that maps an IPv4 one is written as the latter.
impl From<IpAddr> for Domain {
    fn from(ip: IpAddr) -> Self {
        let ip = ip.to_canonical();
        Domain { canonical: bracketed(ip).into(), shown: None, literal: Some(ip) }
    }
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl Eq for Domain {}

impl Hash for Domain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.canonical.hash(state);
    }
}

impl PartialOrd for Domain {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Domain {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.canonical.cmp(&other.canonical)
    }
}

/// Writes the canonical form.
impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.canonical)
    }
}

impl std::str::FromStr for Domain {
    type Err = AddressFlaw;

    fn from_str(text: &str) -> Result<Self, AddressFlaw> {
        Domain::parse(text)
    }
}

fn differing(text: &str, canonical: &str) -> Option<Box<str>> {
    (text != canonical).then(|| text.into())
}

fn bracketed(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => format!("[{ip}]"),
        IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
    }
}

/// RFC 5321 §4.1.3. No tag but `IPv6` was ever registered for general literals.
fn literal(inner: &str) -> Result<IpAddr, AddressFlaw> {
    const TAG: &str = "IPv6:";
    let ip = match inner.get(..TAG.len()) {
        Some(tag) if tag.eq_ignore_ascii_case(TAG) => inner[TAG.len()..].parse::<Ipv6Addr>().map(IpAddr::V6),
        _ => inner.parse::<Ipv4Addr>().map(IpAddr::V4),
    };
    ip.map_err(|_| AddressFlaw::Literal)
}

/// UTS 46 mapping, as browsers do it: what looks the same becomes the same.
fn a_labels(text: &str) -> Result<String, AddressFlaw> {
    Uts46::new()
        .to_ascii(text.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Ignore)
        .map(|name| name.into_owned())
        .map_err(|_| AddressFlaw::Domain)
}

fn check_name(name: &str) -> Result<(), AddressFlaw> {
    if name.is_empty() {
        return Err(AddressFlaw::Incomplete);
    }
    if name.len() > DOMAIN_MAX {
        return Err(AddressFlaw::DomainTooLong);
    }
    name.split('.').try_for_each(check_label)
}

/// RFC 5321 §4.1.2 `sub-domain`: letters, digits and hyphens, no hyphen at either end.
fn check_label(label: &str) -> Result<(), AddressFlaw> {
    let is_ldh = label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
    if label.is_empty() || !is_ldh || label.starts_with('-') || label.ends_with('-') {
        return Err(AddressFlaw::Domain);
    }
    if label.len() > LABEL_MAX { Err(AddressFlaw::DomainTooLong) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap_or_else(|flaw| panic!("{text}: {flaw}"))
    }

    #[test]
    fn names_compare_by_lower_case_a_labels_and_keep_how_they_were_written() {
        let name = domain("BÜCHER.Example");
        assert_eq!(name.as_str(), "xn--bcher-kva.example");
        assert_eq!(name.shown(), "BÜCHER.Example");
        assert_eq!(name.to_unicode(), "bücher.example");
        assert_eq!(name, domain("xn--BCHER-kva.EXAMPLE"));
        assert_eq!(domain("bücher。example"), name, "the ideographic full stop separates labels too");
    }

    #[test]
    fn literals_have_one_spelling() {
        assert_eq!(domain("[IPv6:2001:DB8:0:0:0:0:0:1]").as_str(), "[IPv6:2001:db8::1]");
        assert_eq!(domain("[ipv6:2001:db8::1]").shown(), "[ipv6:2001:db8::1]");
        assert_eq!(domain("[192.0.2.1]").literal(), Some("192.0.2.1".parse().expect("an address")));
        assert_eq!(Domain::from("::ffff:192.0.2.1".parse::<IpAddr>().expect("an address")), domain("[192.0.2.1]"));
        assert_ne!(domain("192.0.2.1"), domain("[192.0.2.1]"));
        for text in
            ["[]", "[IPv6:]", "[IPv6:1.2.3.4]", "[::1]", "[1.2.3]", "[01.2.3.4]", "[IPv6:fe80::1%eth0]", "[x:y]", "["]
        {
            assert_eq!(Domain::parse(text), Err(AddressFlaw::Literal), "{text}");
        }
    }

    #[test]
    fn hyphens_stand_inside_of_labels_anywhere() {
        assert_eq!(domain("r3---sn.example").as_str(), "r3---sn.example");
        assert_eq!(Domain::parse("a-.example"), Err(AddressFlaw::Domain));
        assert_eq!(Domain::parse("ä-.example"), Err(AddressFlaw::Domain));
    }

    #[test]
    fn what_unicode_would_let_through_is_refused() {
        for text in ["a\u{0}b", "exämple .org", "ä_b.org", "ä/b.org", "\u{200b}", "ä..org", "\u{202e}ä.org"] {
            assert!(Domain::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn one_label_is_a_name_but_not_a_qualified_one() {
        assert!(!domain("localhost").is_qualified());
        assert!(domain("example.org").is_qualified());
        assert!(domain("[192.0.2.1]").is_qualified());
    }
}

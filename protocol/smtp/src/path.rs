//! Paths: who sends and who receives, as MAIL and RCPT name them.
//!
//! RFC 5321 §4.1.2 (grammar), §4.1.3 (address literals), §4.5.1 (postmaster), §4.5.3.1 (lengths), appendix C (source
//! routes); RFC 6531 §3.3 (UTF-8).
//!
//! A path keeps what was meant, not how it was quoted: `"joe"@x.test` and `joe@x.test` are the same value, and are
//! written in the shorter form. Source routes are read and forgotten, as appendix C asks. Case is kept.
//!
//! Departure: for senders that are careless but harmless we also read an address without angle brackets, blanks
//! behind the colon, underscores in domains, and dots at odd places in a local part (`a..b@x.test`, known from mobile
//! operators; written as `"a..b"@x.test`).
//!
//! Invariants: what is inside parses again to the same value, holds no control character, and keeps the limits.
//! Not here: whether a domain exists or is ours (desk), A-labels and U-labels (directory).

use core::net::{Ipv4Addr, Ipv6Addr};
use std::fmt;

/// RFC 5321 §4.5.3.1.1 says that at least 64 octets must be possible, and to impose no limit where one can help it:
/// rewritten bounce addresses (SRS, VERP, BATV) are often longer.
pub const LOCAL_MAX_BYTES: usize = 255;
/// RFC 5321 §4.5.3.1.2.
pub const DOMAIN_MAX_BYTES: usize = 255;
/// RFC 5321 §4.5.3.1.3 says that at least 256 octets must be possible; source routes count.
pub const PATH_MAX_BYTES: usize = 1024;
/// RFC 1035 §2.3.4, for labels of ASCII.
const LABEL_MAX_BYTES: usize = 63;

/// The right side of an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Domain {
    /// A name, in the case in which it came; with UTF-8 if it has U-labels.
    Name(String),
    /// `[192.0.2.1]`
    V4(Ipv4Addr),
    /// `[IPv6:2001:db8::1]`
    V6(Ipv6Addr),
    /// `[tag:content]`, of a kind we do not know.
    Tagged(String),
}

/// `local-part@domain`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mailbox {
    local: String,
    domain: Domain,
}

/// Where reports go to: MAIL FROM.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ReversePath {
    /// `<>`: a report itself, nobody to be told (RFC 5321 §4.5.5).
    Null,
    /// Someone.
    Mailbox(Mailbox),
}

/// Where mail goes to: RCPT TO.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ForwardPath {
    /// `<Postmaster>` without a domain: ours (RFC 5321 §4.5.1).
    Postmaster,
    /// Someone.
    Mailbox(Mailbox),
}

/// Why something is not a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathError {
    /// There is none.
    Missing,
    /// It does not follow the grammar.
    Syntax,
    /// A local part without a domain.
    NoDomain,
    /// Over one of the limits.
    TooLong,
}

impl Mailbox {
    /// An address of checked parts; `local` is what is meant, without quotes.
    ///
    /// # Errors
    /// Says what is wrong with the parts.
    pub fn new(local: &str, domain: Domain) -> Result<Self, PathError> {
        if local.len() > LOCAL_MAX_BYTES {
            return Err(PathError::TooLong);
        }
        if local.is_empty() || local.chars().any(char::is_control) {
            return Err(PathError::Syntax);
        }
        Ok(Mailbox { local: local.into(), domain: domain.checked()? })
    }

    /// Reads `local-part@domain`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let (local, rest) = local_part(text)?;
        match rest {
            "" | "@" if local.is_empty() => Err(PathError::Missing),
            "" | "@" => Err(PathError::NoDomain),
            _ => Mailbox::new(&local, Domain::parse(rest.strip_prefix('@').ok_or(PathError::Syntax)?)?),
        }
    }

    /// What stands before the `@`, without quotes.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// What stands behind the `@`.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Whether it can be said without SMTPUTF8.
    pub fn is_ascii(&self) -> bool {
        self.local.is_ascii() && self.domain.is_ascii()
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(&self.local) {
            return write!(f, "{}@{}", self.local, self.domain);
        }
        f.write_str("\"")?;
        for c in self.local.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        write!(f, "\"@{}", self.domain)
    }
}

impl Domain {
    /// Reads a name or an address literal in brackets.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        match text.strip_prefix('[') {
            Some(literal) => Self::literal(literal.strip_suffix(']').ok_or(PathError::Syntax)?)?.checked(),
            None => Domain::Name(text.into()).checked(),
        }
    }

    /// The name, if it is one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Domain::Name(name) => Some(name),
            _ => None,
        }
    }

    /// Whether it can be said without SMTPUTF8.
    pub fn is_ascii(&self) -> bool {
        match self {
            Domain::Name(text) | Domain::Tagged(text) => text.is_ascii(),
            Domain::V4(_) | Domain::V6(_) => true,
        }
    }

    fn literal(text: &str) -> Result<Self, PathError> {
        if let Ok(address) = text.parse() {
            return Ok(Domain::V4(address));
        }
        match text.split_once(':') {
            Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6") => {
                address.parse().map(Domain::V6).map_err(|_| PathError::Syntax)
            }
            _ => Ok(Domain::Tagged(text.into())),
        }
    }

    fn checked(self) -> Result<Self, PathError> {
        let (good, len) = match &self {
            Domain::Name(name) => (is_name(name), name.len()),
            Domain::Tagged(text) => (is_tagged(text), text.len() + 2),
            Domain::V4(_) | Domain::V6(_) => (true, 0),
        };
        match good {
            _ if len > DOMAIN_MAX_BYTES => Err(PathError::TooLong),
            false => Err(PathError::Syntax),
            true => Ok(self),
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Domain::Name(name) => f.write_str(name),
            Domain::V4(address) => write!(f, "[{address}]"),
            Domain::V6(address) => write!(f, "[IPv6:{address}]"),
            Domain::Tagged(text) => write!(f, "[{text}]"),
        }
    }
}

impl ReversePath {
    /// Reads the path at the front of `text` and returns what stands behind it.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<(Self, &str), PathError> {
        let (inside, bracketed, rest) = cut(text)?;
        let path = match inside {
            "" if bracketed => ReversePath::Null,
            _ => ReversePath::Mailbox(Mailbox::parse(inside)?),
        };
        Ok((path, rest))
    }

    /// The address, unless it is `<>`.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            ReversePath::Null => None,
            ReversePath::Mailbox(mailbox) => Some(mailbox),
        }
    }

    /// Whether it can be said without SMTPUTF8.
    pub fn is_ascii(&self) -> bool {
        self.mailbox().is_none_or(Mailbox::is_ascii)
    }
}

impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReversePath::Null => f.write_str("<>"),
            ReversePath::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

impl ForwardPath {
    /// Reads the path at the front of `text` and returns what stands behind it.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<(Self, &str), PathError> {
        let (inside, _, rest) = cut(text)?;
        let path = match inside {
            "" => return Err(PathError::Missing),
            name if name.eq_ignore_ascii_case("postmaster") => ForwardPath::Postmaster,
            _ => ForwardPath::Mailbox(Mailbox::parse(inside)?),
        };
        Ok((path, rest))
    }

    /// Whether it can be said without SMTPUTF8.
    pub fn is_ascii(&self) -> bool {
        match self {
            ForwardPath::Postmaster => true,
            ForwardPath::Mailbox(mailbox) => mailbox.is_ascii(),
        }
    }
}

impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ForwardPath::Postmaster => f.write_str("<Postmaster>"),
            ForwardPath::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

/// Cuts a path from the front: what is inside its brackets, whether it had any, and what stands behind it.
fn cut(text: &str) -> Result<(&str, bool, &str), PathError> {
    let text = text.trim_start_matches([' ', '\t']);
    let (inside, rest, bracketed) = match text.strip_prefix('<') {
        Some(open) => {
            let end = unquoted(open, |c| c == '>').ok_or(PathError::Syntax)?;
            (&open[..end], &open[end + 1..], true)
        }
        None => {
            let end = unquoted(text, |c| matches!(c, ' ' | '\t')).unwrap_or(text.len());
            (&text[..end], &text[end..], false)
        }
    };
    if inside.len() + 2 > PATH_MAX_BYTES {
        return Err(PathError::TooLong);
    }
    if !(rest.is_empty() || rest.starts_with([' ', '\t'])) {
        return Err(PathError::Syntax);
    }
    let inside = inside.trim_matches([' ', '\t']);
    if inside.is_empty() && !bracketed {
        return Err(PathError::Missing);
    }
    Ok((without_route(inside)?, bracketed, rest))
}

/// Where the first wanted character stands that is not inside quotes.
fn unquoted(text: &str, wanted: impl Fn(char) -> bool) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if !quoted && wanted(c) => return Some(at),
            _ => {}
        }
    }
    None
}

/// Reads the source route `@a,@b:` and forgets it (RFC 5321 appendix C).
fn without_route(inside: &str) -> Result<&str, PathError> {
    if !inside.starts_with('@') {
        return Ok(inside);
    }
    // The colon of an IPv6 literal among the hops stands in brackets.
    let mut bracketed = false;
    let end = inside.find(|c| {
        bracketed = (bracketed || c == '[') && c != ']';
        c == ':' && !bracketed
    });
    let (route, path) = inside.split_at(end.ok_or(PathError::Syntax)?);
    for hop in route.split(',') {
        Domain::parse(hop.trim().strip_prefix('@').ok_or(PathError::Syntax)?)?;
    }
    match &path[1..] {
        "" => Err(PathError::Missing),
        path => Ok(path),
    }
}

/// Reads the local part at the front, unquotes it, and returns what stands behind it.
fn local_part(text: &str) -> Result<(String, &str), PathError> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c| !(is_atext(c) || c == '.')).unwrap_or(text.len());
        return match &text[end..] {
            rest if rest.is_empty() || rest.starts_with('@') => Ok((text[..end].into(), rest)),
            _ => Err(PathError::Syntax),
        };
    };
    let mut local = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((local, &quoted[at + 1..])),
            '\\' => local.push(chars.next().ok_or(PathError::Syntax)?.1),
            c => local.push(c),
        }
    }
    Err(PathError::Syntax)
}

fn is_atext(c: char) -> bool {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => true,
        _ if c.is_ascii() => "!#$%&'*+-/=?^_`{|}~".contains(c),
        _ => !c.is_control() && !c.is_whitespace(),
    }
}

fn is_dot_string(local: &str) -> bool {
    local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

fn is_name(name: &str) -> bool {
    name.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let ends_well = !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
    let short = label.len() <= LABEL_MAX_BYTES || !label.is_ascii();
    ends_well && short && label.chars().all(is_label_char)
}

fn is_label_char(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
    } else {
        !c.is_control() && !c.is_whitespace()
    }
}

/// `Standardized-tag ":" 1*dcontent`, but for what would hide the end of the path.
fn is_tagged(text: &str) -> bool {
    let Some((tag, content)) = text.split_once(':') else { return false };
    let tag_fits = tag.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !tag.eq_ignore_ascii_case("IPv6")
        && tag.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    tag_fits && !content.is_empty() && content.chars().all(|c| c.is_ascii_graphic() && !"[\\]<>\"".contains(c))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sender(text: &str) -> Result<String, PathError> {
        ReversePath::parse(text).map(|(path, rest)| format!("{path}{rest}"))
    }

    fn recipient(text: &str) -> Result<String, PathError> {
        ForwardPath::parse(text).map(|(path, rest)| format!("{path}{rest}"))
    }

    #[test]
    fn the_forms_of_a_path() {
        for (text, path) in [
            ("<joe@example.org>", "<joe@example.org>"),
            ("<> SIZE=3", "<> SIZE=3"),
            ("  <joe@example.org>", "<joe@example.org>"),
            ("joe@example.org BODY=7BIT", "<joe@example.org> BODY=7BIT"),
            ("<\"joe\"@example.org>", "<joe@example.org>"),
            ("<\"j o\\\"e>\"@example.org> X", "<\"j o\\\"e>\"@example.org> X"),
            ("<a..b.@example.org>", "<\"a..b.\"@example.org>"),
            ("<joe@[192.0.2.1]>", "<joe@[192.0.2.1]>"),
            ("<joe@[ipv6:2001:DB8::1]>", "<joe@[IPv6:2001:db8::1]>"),
            ("<joe@[x400:abc]>", "<joe@[x400:abc]>"),
            ("<@a.test,@[IPv6:::1]:joe@example.org>", "<joe@example.org>"),
            ("<josé@exämple.org>", "<josé@exämple.org>"),
            ("<j@a_b.test>", "<j@a_b.test>"),
        ] {
            assert_eq!(sender(text).as_deref(), Ok(path), "{text}");
        }
        assert_eq!(recipient("<postMASTER>").as_deref(), Ok("<Postmaster>"));
        assert_eq!(recipient("postmaster").as_deref(), Ok("<Postmaster>"));
    }

    #[test]
    fn what_is_no_path() {
        use PathError::*;
        for (text, why) in [
            ("", Missing),
            ("  ", Missing),
            ("<joe@example.org", Syntax),
            ("<joe@example.org>SIZE=3", Syntax),
            ("<joe>", NoDomain),
            ("<joe@>", NoDomain),
            ("<@>", Syntax),
            ("<@a.test:>", Missing),
            ("<@a.test>", Syntax),
            ("<a@b@example.org>", Syntax),
            ("<a b@example.org>", Syntax),
            ("<joe@-x.test>", Syntax),
            ("<joe@x..test>", Syntax),
            ("<joe@x.test.>", Syntax),
            ("<joe@[1.2.3.400]>", Syntax),
            ("<joe@[IPv6:zz]>", Syntax),
            ("<joe@[1.2.3.4>", Syntax),
            ("<\"\"@x.test>", Syntax),
            ("<\"joe@x.test>", Syntax),
            ("<\"joe\"x@x.test>", Syntax),
            ("<joe@(comment)x.test>", Syntax),
        ] {
            assert_eq!(sender(text), Err(why), "{text}");
        }
        assert_eq!(recipient("<>"), Err(Missing));
        assert_eq!(sender("<Postmaster>"), Err(NoDomain), "only a recipient may be a bare postmaster");
    }

    #[test]
    fn the_limits() {
        let local = |len: usize| sender(&format!("<{}@x.test>", "a".repeat(len)));
        assert!(local(64).is_ok() && local(LOCAL_MAX_BYTES).is_ok());
        assert_eq!(local(LOCAL_MAX_BYTES + 1), Err(PathError::TooLong));
        let label = "a".repeat(63);
        let domain = |last: usize| format!("{label}.{label}.{label}.{}", "a".repeat(last));
        assert!(sender(&format!("<a@{}>", domain(63))).is_ok());
        assert_eq!(sender(&format!("<a@{}.a>", domain(61))).map(|_| ()), Ok(()), "255 octets");
        assert_eq!(sender(&format!("<a@{}.a>", domain(62))), Err(PathError::TooLong));
        assert_eq!(sender(&format!("<a@{}a>", domain(63))), Err(PathError::TooLong));
        let route = "@a.test,".repeat(200);
        assert_eq!(sender(&format!("<{}:a@x.test>", route.trim_end_matches(','))), Err(PathError::TooLong));
    }

    pub(crate) fn mailboxes() -> impl Strategy<Value = Mailbox> {
        let domain = prop_oneof![
            4 => "[a-zA-Z0-9]([a-z0-9_-]{0,9}[a-z0-9])?(\\.[a-z]{2,5}){0,2}".prop_map(Domain::Name),
            1 => any::<[u8; 4]>().prop_map(|octets| Domain::V4(octets.into())),
            1 => any::<[u8; 16]>().prop_map(|octets| Domain::V6(octets.into())),
            1 => "[a-z]{1,3}:[!#-;=?-Z^-~]{1,9}".prop_map(Domain::Tagged),
            1 => Just(Domain::Name("bücher.example".into())),
        ];
        let local = prop_oneof!["[a-z.+]{1,12}", "[ -~]{1,20}", "\\PC{1,8}"];
        (local, domain).prop_map(|(local, domain)| Mailbox::new(&local, domain).expect("checked parts"))
    }

    pub(crate) fn reverse_paths() -> impl Strategy<Value = ReversePath> {
        prop_oneof![1 => Just(ReversePath::Null), 5 => mailboxes().prop_map(ReversePath::Mailbox)]
    }

    pub(crate) fn forward_paths() -> impl Strategy<Value = ForwardPath> {
        prop_oneof![1 => Just(ForwardPath::Postmaster), 5 => mailboxes().prop_map(ForwardPath::Mailbox)]
    }

    proptest! {
        #[test]
        fn parse_after_write_is_identity(mailbox in mailboxes()) {
            prop_assert_eq!(Mailbox::parse(&mailbox.to_string()), Ok(mailbox.clone()));
            let path = ReversePath::Mailbox(mailbox);
            let wire = format!("{path} REST");
            prop_assert_eq!(ReversePath::parse(&wire), Ok((path, " REST")));
        }

        #[test]
        fn noise_is_refused_or_read_back(text in "[ -~]{0,40}") {
            if let Ok((path, _)) = ForwardPath::parse(&text) {
                let wire = path.to_string();
                prop_assert_eq!(ForwardPath::parse(&wire), Ok((path, "")));
            }
        }
    }
}

//! An envelope as it is sent: that of RFC 9051, kept with the outline so that a list of envelopes is copied and not written.
//!
//! RFC 9051 §7.5.2 (its meaning), §9 (`envelope`, `address`), §4.3 (strings); RFC 5322 §3.4 (groups).
//!
//! Invariants: what is written is one parenthesised list of the grammar, whatever the message; octets beyond ASCII, line ends and
//! other controls stand in literals, so that it is the same for every client, whatever it has enabled (RFC 9051, RFC 3501, RFC 9755).
//! Not here: what else IMAP writes (imap).

use super::Envelope;
use super::glance::{Address, Addresses, EnvelopeGlance, MailboxGlance};

/// Longer envelopes are not kept as they are sent, but written when somebody asks. Usual ones have 400 octets; a mailing to a hundred
/// people still fits.
pub const FORMED_MAX: usize = 8 * 1024;

/// Longer text is written as a literal: some clients read lines into buffers.
const QUOTED_MAX: usize = 1_000;

/// An envelope from `(` to `)`; nothing where that is longer than is kept.
pub(super) fn formed(envelope: &Envelope) -> Vec<u8> {
    let stored = envelope.encode();
    // Quotes, brackets and NIL, and From three times.
    let mut formed = Vec::with_capacity(2 * stored.len());
    if let Some(envelope) = EnvelopeGlance::at(&stored) {
        write_envelope(&envelope, &mut formed);
    }
    if formed.len() > FORMED_MAX { Vec::new() } else { formed }
}

/// Appends an ENVELOPE, from `(` to `)`.
pub fn write_envelope(envelope: &EnvelopeGlance<'_>, out: &mut Vec<u8>) {
    let EnvelopeGlance { from, sender, reply_to, to, cc, bcc, .. } = *envelope;
    out.push(b'(');
    write_nstring(envelope.date, out);
    out.push(b' ');
    write_nstring(envelope.subject, out);
    out.push(b' ');
    let from_at = out.len();
    write_addresses(from, out);
    let written = from_at..out.len();
    for list in [sender, reply_to] {
        out.push(b' ');
        match list.is_empty() {
            // RFC 9051 §7.5.2: where it is missing or empty, From stands for it.
            true => out.extend_from_within(written.clone()),
            false => write_addresses(list, out),
        }
    }
    for list in [to, cc, bcc] {
        out.push(b' ');
        write_addresses(list, out);
    }
    out.push(b' ');
    write_nstring(envelope.in_reply_to, out);
    out.push(b' ');
    write_nstring(envelope.message_id, out);
    out.push(b')');
}

fn write_addresses(list: Addresses<'_>, out: &mut Vec<u8>) {
    if list.is_empty() {
        return out.extend_from_slice(b"NIL");
    }
    out.push(b'(');
    for address in list {
        match address {
            Address::Mailbox(mailbox) => write_address(mailbox, out),
            // RFC 9051 §7.5.2: a group begins with its name and no host, and ends with neither.
            Address::Group(name) => {
                out.extend_from_slice(b"(NIL NIL ");
                write_string(name, out);
                out.extend_from_slice(b" NIL)");
            }
            Address::GroupEnd => out.extend_from_slice(b"(NIL NIL NIL NIL)"),
        }
    }
    out.push(b')');
}

fn write_address(mailbox: MailboxGlance<'_>, out: &mut Vec<u8>) {
    out.push(b'(');
    write_nstring(mailbox.name, out);
    out.push(b' ');
    write_nstring(mailbox.route, out);
    // NIL would be a group's beginning or end.
    out.push(b' ');
    write_string(mailbox.local, out);
    out.push(b' ');
    write_string(mailbox.domain, out);
    out.push(b')');
}

/// Appends a string, or NIL.
pub fn write_nstring(text: Option<&[u8]>, out: &mut Vec<u8>) {
    match text {
        Some(text) => write_string(text, out),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// Appends a string: RFC 9051 §4.3. A literal may not hold NUL either; it becomes U+FFFD.
pub fn write_string(text: &[u8], out: &mut Vec<u8>) {
    // To the end in any case: many octets are looked at in one go.
    let may_be_quoted = |may, octet: &u8| may & matches!(octet, b'\t' | b' '..=b'~');
    if text.len() <= QUOTED_MAX && text.iter().fold(true, may_be_quoted) {
        out.push(b'"');
        let mut rest = text;
        while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
            out.extend_from_slice(&rest[..at]);
            out.extend_from_slice(&[b'\\', rest[at]]);
            rest = &rest[at + 1..];
        }
        out.extend_from_slice(rest);
        return out.push(b'"');
    }
    let clean: Vec<u8> = text
        .iter()
        .flat_map(|octet| match octet {
            0 => "\u{fffd}".as_bytes(),
            octet => std::slice::from_ref(octet),
        })
        .copied()
        .collect();
    out.extend_from_slice(format!("{{{}}}\r\n", clean.len()).as_bytes());
    out.extend_from_slice(&clean);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outline;

    fn written(message: &str) -> String {
        String::from_utf8(formed(&Outline::of(message.as_bytes()).front.envelope)).expect("UTF-8")
    }

    #[test]
    fn groups_have_a_beginning_and_an_end() {
        let to = "To: Friends: a@x.test, \"B\" <@r.test:b@y.test>;, undisclosed:;, c\r\n\r\n";
        assert!(written(to).contains(
            "((NIL NIL \"Friends\" NIL)(NIL NIL \"a\" \"x.test\")(\"B\" \"@r.test\" \"b\" \"y.test\")(NIL NIL NIL NIL)\
             (NIL NIL \"undisclosed\" NIL)(NIL NIL NIL NIL)(NIL NIL \"c\" \"\"))"
        ));
    }

    #[test]
    fn what_a_quoted_string_cannot_hold_is_a_literal() {
        let subject = |text: &str| written(&format!("Subject: {text}\r\n\r\n"));
        assert!(subject("k\u{e4}se").starts_with("(NIL {5}\r\nk\u{e4}se NIL"));
        assert!(subject("a\0b").starts_with("(NIL {5}\r\na\u{fffd}b NIL"));
        assert!(subject(&"x".repeat(1001)).starts_with("(NIL {1001}\r\nxxx"));
        assert!(subject("=?utf-8?q?k=C3=A4se?=").starts_with("(NIL \"=?utf-8?q?k=C3=A4se?=\" NIL"));
    }
}

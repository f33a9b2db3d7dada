//! Which octets of a message a section names.
//!
//! RFC 9051 §6.4.5 (BODY[…]), §6.4.5.1 (part numbers); RFC 3516 §4 (BINARY).
//!
//! Invariants: spans lie inside the message; a part that is not there has none.
//! Not here: reading them (fetch).

use imap::fetch::{FieldName, Partial, Section, SectionText};
use message::header::Fields;
use message::mime::transfer::Encoding;
use message::mime::tree::Content;
use message::outline::{Outline, Top};
use std::ops::Range;

/// Where the text of a section is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// There, as it is.
    Stretch(Range<u64>),
    /// There, and to be decoded.
    Encoded(Range<u64>, Encoding),
    /// Some fields of the header there; the others, if `others`.
    Fields {
        /// The header.
        header: Range<u64>,
        /// Their names.
        names: &'a [FieldName],
        /// All but those.
        others: bool,
    },
    /// No such part, or it has no such text.
    Nowhere,
}

/// Where a section of a message with this outline is. Its `partial` is not looked at.
pub(super) fn place<'a>(outline: &Outline, size: u64, section: &'a Section) -> Place<'a> {
    let tree = &outline.tree;
    let Some(at) = tree.section(&section.part) else { return Place::Nowhere };
    let part = &tree.parts[at];
    // The part itself, or the message inside of it, which is what HEADER and TEXT are about (RFC 9051 §6.4.5.1).
    let message = match (section.part.is_empty(), &part.content) {
        (true, _) => return place_in_whole(Top::of(part), size, &section.text),
        (false, Content::Message(inner)) => Some(Top::of(&tree.parts[*inner])),
        (false, _) => None,
    };
    match (&section.text, message) {
        (SectionText::Whole, _) => Place::Stretch(span(&part.body)),
        (SectionText::Mime, _) => Place::Stretch(span(&part.header)),
        (text, Some(message)) => place_in_whole(message, size, text),
        (_, None) => Place::Nowhere,
    }
}

/// The same in a message, where no part of it is named.
pub(super) fn place_in_whole(top: Top, size: u64, text: &SectionText) -> Place<'_> {
    let (header, body) = (span(&top.header), span(&top.body));
    match text {
        SectionText::Whole => Place::Stretch(0..size),
        SectionText::Header | SectionText::Mime => Place::Stretch(header),
        SectionText::Text => Place::Stretch(body),
        SectionText::Fields(names) => Place::Fields { header, names, others: false },
        SectionText::FieldsNot(names) => Place::Fields { header, names, others: true },
    }
}

/// The same for BINARY: a part that holds no others is to be decoded.
pub(super) fn binary_place(outline: &Outline, size: u64, part: &[u32]) -> Place<'static> {
    let Some(at) = outline.tree.section(part) else { return Place::Nowhere };
    let found = &outline.tree.parts[at];
    match (&found.content, &found.encoding) {
        _ if part.is_empty() => Place::Stretch(0..size),
        (Content::Leaf, Encoding::Base64 | Encoding::QuotedPrintable | Encoding::Unknown(_)) => {
            Place::Encoded(span(&found.body), found.encoding.clone())
        }
        _ => Place::Stretch(span(&found.body)),
    }
}

fn span(range: &Range<usize>) -> Range<u64> {
    range.start as u64..range.end as u64
}

/// `<from.length>` of a stretch; empty behind its end.
pub(super) fn cut(range: Range<u64>, partial: Option<Partial>) -> Range<u64> {
    let Some(Partial { from, length }) = partial else { return range };
    let start = range.start.saturating_add(from).min(range.end);
    start..start.saturating_add(length).min(range.end)
}

/// `<from.length>` of octets.
pub(super) fn cut_octets(mut octets: Vec<u8>, partial: Option<Partial>) -> Vec<u8> {
    let whole = 0..octets.len() as u64;
    let index = |at: u64| usize::try_from(at).unwrap_or(octets.len());
    let Range { start, end } = cut(whole, partial);
    let (start, end) = (index(start), index(end));
    octets.truncate(end);
    octets.drain(..start);
    octets
}

/// Some fields of a header, as they stand, and the blank line that ends a header.
pub(super) fn fields(header: &[u8], names: &[FieldName], others: bool) -> Vec<u8> {
    let mut out = Vec::new();
    write_fields(header, names, others, &mut out);
    out
}

/// Appends the same.
pub(super) fn write_fields(header: &[u8], names: &[FieldName], others: bool, out: &mut Vec<u8>) {
    let start = out.len();
    for field in Fields::new(header) {
        if names.iter().any(|name| field.is(name.as_str())) != others {
            out.extend_from_slice(&header[field.span.clone()]);
        }
    }
    if breaks_off(header) {
        return;
    }
    if out.len() > start && !out.ends_with(b"\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// RFC 9051 §6.4.5: a message that ends within its header has no blank line, and gets none.
fn breaks_off(header: &[u8]) -> bool {
    let is_blank = |line: &[u8]| matches!(line, b"\r\n" | b"\n");
    header.split_inclusive(|octet| *octet == b'\n').next_back().is_some_and(|last| !is_blank(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"Subject: outer\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\n\
        Content-Type: text/plain\r\n\r\nfirst\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nX: y\r\n\r\nhello\r\n--b\r\n\
        Content-Transfer-Encoding: base64\r\nContent-Type: image/png\r\n\r\nAAEC\r\n--b--\r\n";

    fn text(section: &str) -> Option<String> {
        let mut scanner = imap::words::Scanner::new(section.as_bytes(), false);
        let items = imap::fetch::Item::scan_all(&mut scanner).expect(section);
        let imap::fetch::Item::Section(section) = &items[0] else { panic!("{items:?}") };
        let octets = match place(&Outline::of(MESSAGE), MESSAGE.len() as u64, section) {
            Place::Stretch(range) => MESSAGE[range.start as usize..range.end as usize].to_vec(),
            Place::Fields { header, names, others } => {
                fields(&MESSAGE[header.start as usize..header.end as usize], names, others)
            }
            Place::Encoded(..) => panic!("only BINARY decodes"),
            Place::Nowhere => return None,
        };
        Some(String::from_utf8(cut_octets(octets, section.partial)).expect("ASCII"))
    }

    #[test]
    fn sections_are_where_the_rfc_says() {
        let whole = String::from_utf8(MESSAGE.to_vec()).expect("ASCII");
        assert_eq!(text("BODY[]").as_deref(), Some(&*whole));
        assert_eq!(text("BODY[]<3.5>").as_deref(), Some(&whole[3..8]));
        assert_eq!(text("BODY[]<99999.5>").as_deref(), Some(""));
        assert_eq!(text("BODY[1]").as_deref(), Some("first"));
        assert_eq!(text("BODY[1.MIME]").as_deref(), Some("Content-Type: text/plain\r\n\r\n"));
        assert_eq!(text("BODY[1.HEADER]"), None, "no message inside");
        assert_eq!(text("BODY[2.HEADER]").as_deref(), Some("Subject: inner\r\nX: y\r\n\r\n"));
        assert_eq!(text("BODY[2.HEADER.FIELDS (x)]").as_deref(), Some("X: y\r\n\r\n"));
        assert_eq!(text("BODY[2.HEADER.FIELDS.NOT (X)]").as_deref(), Some("Subject: inner\r\n\r\n"));
        assert_eq!(text("BODY[2.TEXT]").as_deref(), Some("hello"));
        assert_eq!(text("BODY[2.1]").as_deref(), Some("hello"));
        assert_eq!(text("BODY[HEADER.FIELDS (Date)]").as_deref(), Some("\r\n"));
        for nowhere in ["BODY[4]", "BODY[1.1]", "BODY[2.2]"] {
            assert_eq!(text(nowhere), None, "{nowhere}");
        }
        let encoded = binary_place(&Outline::of(MESSAGE), MESSAGE.len() as u64, &[3]);
        assert!(matches!(encoded, Place::Encoded(range, Encoding::Base64) if range.end - range.start == 4));
    }

    #[test]
    fn a_message_that_ends_within_its_header_has_no_blank_line() {
        let subject = [FieldName::parse(b"Subject").expect("a name")];
        assert_eq!(fields(b"Subject: x\r\nTo: y\r\n", &subject, false), b"Subject: x\r\n");
        assert_eq!(fields(b"To: y\r\nSubject: x", &subject, false), b"Subject: x");
        assert_eq!(fields(b"Subject: x\r\n\r\n", &subject, true), b"\r\n");
        assert_eq!(fields(b"", &subject, false), b"\r\n", "a body alone");
    }
}

//! Header sections: where they end, and the fields in them.
//!
//! RFC 5322 §2.2 (fields, folding), §3.6.8 (names), §4.5 (blanks before the colon); RFC 6532 §3 (UTF-8 values).
//!
//! Invariants: a field's name has no blank inside, so `Fr om:` is nobody's From; every reader of this crate (the scanner,
//! the part tree, the fields) agrees on where a header section ends. Nothing is copied but what must be unfolded.
//! Not here: what the values mean (address, date, mime).

pub mod scan;
pub mod submission;
pub mod trace;

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr2;

use crate::syntax::{is_wsp, line_end, trim_wsp, without_line_end};

/// Where the colon of a field stands at the latest: a line has no more than 998 characters (RFC 5322 §2.1.1).
const COLON_MAX: usize = 998;

/// The length at which lines we write are folded (RFC 5322 §2.1.1: SHOULD be no more than 78).
const FOLD_AT: usize = 78;

/// One field of a header section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name as it was written; see [`Field::is`].
    pub name: &'a [u8],
    /// Everything behind the colon as it was, folded, without the last line's end.
    pub raw: &'a [u8],
    /// Where the whole field stands in the section, its last line end included.
    pub span: Range<usize>,
}

impl<'a> Field<'a> {
    /// Whether it has that name, in whatever case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value in one line, without blanks at its ends (RFC 5322 §2.2.3).
    pub fn unfolded(&self) -> Cow<'a, [u8]> {
        unfold(self.raw)
    }

    /// The value as text, encoded words decoded.
    pub fn text(&self) -> String {
        crate::mime::words::decode(trim_wsp(self.raw)).trim().to_owned()
    }
}

/// Takes the line ends out of a folded value, and the blanks from its ends (RFC 5322 §2.2.3).
pub fn unfold(raw: &[u8]) -> Cow<'_, [u8]> {
    if memchr2(b'\r', b'\n', raw).is_none() {
        return Cow::Borrowed(trim_wsp(raw));
    }
    let line: Vec<u8> = raw.iter().copied().filter(|octet| !matches!(octet, b'\r' | b'\n')).collect();
    Cow::Owned(trim_wsp(&line).to_vec())
}

/// What a line of a header section is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The end of the section.
    Blank,
    /// It goes on with the field before it.
    Folded,
    /// It begins a field; the name's length, and where the value begins.
    Field { name_len: usize, value_at: usize },
    /// A line that mailbox files put before a message, and that some programs leave there: `From joe Mon Nov 23 …`.
    FromLine,
    /// None of these.
    Flawed,
}

pub(crate) fn kind_of(line: &[u8]) -> Kind {
    let text = without_line_end(line);
    match text.first() {
        None => Kind::Blank,
        Some(&octet) if is_wsp(octet) => Kind::Folded,
        Some(_) => field_kind(text),
    }
}

fn field_kind(text: &[u8]) -> Kind {
    let text = &text[..text.len().min(COLON_MAX)];
    // RFC 5322 §3.6.8: printable ASCII but the colon. §4.5: blanks may stand between name and colon, not inside the name.
    let name_len = text.iter().position(|&octet| octet == b':' || !octet.is_ascii_graphic()).unwrap_or(text.len());
    let blanks = text[name_len..].iter().position(|&octet| !is_wsp(octet)).unwrap_or(0);
    let colon = name_len + blanks;
    if name_len > 0 && text.get(colon) == Some(&b':') {
        return Kind::Field { name_len, value_at: colon + 1 };
    }
    if text.starts_with(b"From ") || text.starts_with(b">From ") { Kind::FromLine } else { Kind::Flawed }
}

/// Whether text begins with a header section at all: with a field, or with the blank line that ends an empty section.
///
/// `Do you like ketchup?` does not; then all of it is body. A mailbox file's `From ` line counts as part of a header
/// section only if a field follows it.
pub fn begins_with_header(message: &[u8]) -> bool {
    let first = line_end(message, 0);
    match kind_of(&message[..first]) {
        Kind::Blank | Kind::Field { .. } => true,
        Kind::FromLine => matches!(kind_of(&message[first..line_end(message, first)]), Kind::Field { .. }),
        Kind::Folded | Kind::Flawed => false,
    }
}

/// How long the header section at the front of a message is, with the blank line that ends it. 0 if there is none.
pub fn section_len(message: &[u8]) -> usize {
    if !begins_with_header(message) {
        return 0;
    }
    let mut at = 0;
    while at < message.len() {
        let end = line_end(message, at);
        if kind_of(&message[at..end]) == Kind::Blank {
            return end;
        }
        at = end;
    }
    at
}

/// The fields of a header section, in order. Lines that belong to no field are passed over.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    section: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    /// Of a section, or of a whole message: it stops at the blank line, and gives nothing where there is no section.
    pub fn new(section: &'a [u8]) -> Self {
        let at = if begins_with_header(section) { 0 } else { section.len() };
        Fields { section, at }
    }

    /// The first field of that name.
    pub fn first(section: &'a [u8], name: &str) -> Option<Field<'a>> {
        Fields::new(section).find(|field| field.is(name))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        while self.at < self.section.len() {
            let start = self.at;
            let line = line_end(self.section, start);
            match kind_of(&self.section[start..line]) {
                Kind::Blank => self.at = self.section.len(),
                Kind::Field { name_len, value_at } => {
                    self.at = folded_end(self.section, line);
                    let raw = without_line_end(&self.section[start + value_at..self.at]);
                    return Some(Field { name: &self.section[start..start + name_len], raw, span: start..self.at });
                }
                Kind::Folded | Kind::FromLine | Kind::Flawed => self.at = line,
            }
        }
        None
    }
}

/// Where the field ends whose first line ends at `at`.
fn folded_end(section: &[u8], mut at: usize) -> usize {
    while section.get(at).is_some_and(|&octet| is_wsp(octet)) {
        at = line_end(section, at);
    }
    at
}

/// Writes a field, folded at its blanks where a line would be longer than 78 characters.
///
/// # Panics
/// If the name is no field name or the value holds a control character: both are ours, made of checked pieces.
pub fn write_field(name: &str, value: &str, out: &mut Vec<u8>) {
    assert!(
        !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_graphic() && octet != b':'),
        "{name:?} names no field"
    );
    assert!(!value.chars().any(char::is_control), "the value of {name} is one clean line");
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
    let mut column = name.len() + 1;
    let mut blanks = 0;
    for word in value.trim_matches(' ').split(' ') {
        blanks += 1;
        if word.is_empty() {
            continue;
        }
        if column + blanks + word.len() > FOLD_AT && column > name.len() + 1 {
            out.extend_from_slice(b"\r\n");
            column = 0;
        }
        // Every blank is kept: it may stand in a quoted local part.
        out.resize(out.len() + blanks, b' ');
        out.extend_from_slice(word.as_bytes());
        column += blanks + word.len();
        blanks = 0;
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(section: &str) -> Vec<String> {
        Fields::new(section.as_bytes()).map(|field| String::from_utf8_lossy(field.name).into_owned()).collect()
    }

    #[test]
    fn fields_are_found_where_they_stand() {
        let section = "A: 1\r\nSubject:\r\n a\r\n\tb \r\nC:\r\n\r\nD: body\r\n";
        let fields: Vec<_> = Fields::new(section.as_bytes()).collect();
        assert_eq!(names(section), ["A", "Subject", "C"]);
        assert_eq!(fields[1].raw, b"\r\n a\r\n\tb ");
        assert_eq!(&*fields[1].unfolded(), b"a\tb");
        assert_eq!(&section[fields[1].span.clone()], "Subject:\r\n a\r\n\tb \r\n");
        assert_eq!((fields[2].raw, section_len(section.as_bytes())), (&b""[..], section.find("D:").expect("the body")));
    }

    #[test]
    fn names_are_strict() {
        // A reader who takes `Fr om` for From can be shown another sender than the one that was checked.
        assert_eq!(
            names("A: 1\r\nFr om: x\r\nFro\u{e9}m: x\r\n: x\r\nno colon\r\nSubject \t: y\r\n"),
            ["A", "Subject"]
        );
        assert_eq!(names("A: 1\r\nflawed\r\n and folded\r\nB: 2\r\n"), ["A", "B"]);
    }

    #[test]
    fn what_does_not_begin_with_a_field_has_no_header() {
        assert!(!begins_with_header(b"Do you like ketchup?\r\nHow about pickles?\r\n"));
        assert!(!begins_with_header(b" folded: x\r\n"));
        assert!(!begins_with_header(b"From here to eternity\r\nit is far.\r\n"));
        assert!(begins_with_header(b"From joe Mon Nov 23 10:00:00 2026\r\nSubject: x\r\n"));
        assert!(begins_with_header(b"\r\nbody"));
        assert!(begins_with_header(b""));
        assert_eq!(section_len(b"Do you like: ketchup?\r\n\r\nx"), 0);
        assert_eq!(names("Do you like ketchup?\r\nA: 1\r\n"), Vec::<String>::new());
        assert_eq!(section_len(b"\r\nbody"), 2);
    }

    #[test]
    fn bare_line_feeds_end_lines_of_imported_mail() {
        assert_eq!(names("A: 1\n b\nC: 2\n\nbody: x"), ["A", "C"]);
        assert_eq!(section_len(b"A: 1\n\nbody"), 6);
        assert_eq!(names("A: 1\rB: 2\r\n"), ["A"]);
    }

    #[test]
    fn long_fields_are_folded() {
        let mut out = Vec::new();
        write_field("References", &format!("{} {} {}", "a".repeat(70), "b".repeat(100), "c"), &mut out);
        let lines: Vec<_> = out.split(|&octet| octet == b'\n').map(<[u8]>::len).collect();
        // The first word stays beside the name, a word that is too long gets a line of its own.
        assert_eq!(lines, [83, 102, 3, 0]);
    }

    proptest! {
        #[test]
        fn a_written_field_is_read_back(value in "[!-~é]{0,90}( {1,90}[!-~é]{1,90}){0,5}") {
            let mut out = Vec::new();
            write_field("Subject", &value, &mut out);
            let field = Fields::first(&out, "SUBJECT").expect("the field");
            prop_assert_eq!(&*field.unfolded(), value.trim_matches(' ').as_bytes());
            prop_assert_eq!(field.span, 0..out.len());
        }

        #[test]
        fn spans_are_in_order_and_inside_the_section(message in proptest::collection::vec(proptest::sample::select(b"aF: \t\r\n\r\n\xc3".to_vec()), 0..80)) {
            let len = section_len(&message);
            let mut at = 0;
            for field in Fields::new(&message) {
                prop_assert!(at <= field.span.start && field.span.end <= len);
                prop_assert_eq!(Fields::new(&message[..len]).find(|other| other.span == field.span), Some(field.clone()));
                at = field.span.end;
            }
        }
    }
}

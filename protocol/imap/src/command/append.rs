//! APPEND and REPLACE: what stands around the messages.
//!
//! RFC 9051 §6.3.12; RFC 3502 (several at once); RFC 3516 §4.4 (`~{n}`); RFC 8508 (REPLACE); RFC 6855 §4 (`UTF8 (~{n}`,
//! which RFC 9755 has given up, and old clients still say); RFC 4469 §5 (CATENATE).
//!
//! ```text
//! APPEND mailbox [flags] [date] {n} ─message─ [flags] [date] {n} ─message─ end
//! └──────────── head ─────────────┘          └───── next ──────┘
//! … [flags] [date] CATENATE (URL u TEXT {n} ─text─ URL u TEXT {n} ─text─ ) …
//! └──────────────── head ─────────────────┘       └─── parts ───┘       └ parts
//! ```
//!
//! Not here: the messages.

use super::Named;
use super::parse::flag_list;
use crate::flag::Flags;
use crate::moment::Moment;
use crate::name::MailboxName;
use crate::set::SequenceSet;
use crate::words::{Announced, Misread, Reading, Scanner, announced};
use std::collections::VecDeque;

/// So many URLs may stand between two texts of a CATENATE.
const URLS_MAX: usize = 100;

/// What is said before a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    /// Its flags.
    pub flags: Flags,
    /// When it is said to have arrived.
    pub date: Option<Moment>,
    /// How it comes.
    pub coming: Coming,
}

/// How a message comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coming {
    /// As one literal.
    Whole {
        /// How long it is.
        announced: Announced,
        /// A parenthesis stands behind it.
        wrapped: bool,
    },
    /// CATENATE: in these parts, and perhaps more behind the last.
    Catenated(VecDeque<Part>),
}

/// Something that a message is put together of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// What this URL names.
    Url(String),
    /// A text as a literal. Behind it, more parts follow.
    Text(Announced),
    /// The end of the message, and the rest of the line.
    End(Vec<u8>),
}

/// What stands behind a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the command ends.
    End,
    /// Another message.
    Message(Before),
    /// A literal that is an argument.
    Argument,
}

/// What a line that ends in a literal is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// The literal is an argument; the head goes on behind it.
    Argument,
    /// The literal is the first message.
    Message {
        /// REPLACE: which message it replaces.
        replacing: Option<Named>,
        /// Where to.
        mailbox: MailboxName,
        /// What is said before it.
        before: Before,
    },
}

/// Reads the arguments so far, of which the last line ends in a literal that has not come. A first blank included.
pub fn head(arguments: &[u8], replaces: bool, utf8: bool) -> Reading<Head> {
    let mut scanner = Scanner::new(arguments, utf8);
    scanner.space()?;
    let mut replacing = None;
    if replaces {
        let text = scanner.take_while(|octet| octet.is_ascii_digit() || octet == b'*');
        let one = SequenceSet::parse(text).ok_or(Misread("the message to be replaced is missing"))?;
        replacing = Some(Named::Set(one));
        scanner.space()?;
    }
    if is_marker(scanner.rest()).is_some() {
        return Ok(Head::Argument);
    }
    let mailbox = MailboxName::scan(&mut scanner)?;
    if scanner.is_at_end() {
        return Err(Misread("a message is missing"));
    }
    scanner.space()?;
    Ok(match before(&mut scanner)? {
        Some(before) => Head::Message { replacing, mailbox, before },
        None => Head::Argument,
    })
}

/// Reads the line behind a message.
pub fn next(line: &[u8], wrapped: bool) -> Reading<Next> {
    let mut scanner = Scanner::new(line, false);
    if wrapped {
        scanner.expect(b')', "a parenthesis is missing behind the message")?;
    }
    if scanner.is_at_end() {
        return Ok(Next::End);
    }
    scanner.space()?;
    Ok(before(&mut scanner)?.map_or(Next::Argument, Next::Message))
}

/// Reads the line behind a text of CATENATE; `None` if the literal that it ends in is an argument.
pub fn parts(line: &[u8]) -> Reading<Option<VecDeque<Part>>> {
    more_parts(&mut Scanner::new(line, false))
}

/// `None` if the literal that the line ends in is an argument.
fn before(scanner: &mut Scanner<'_>) -> Reading<Option<Before>> {
    let mut flags = Flags::default();
    if scanner.peek() == Some(b'(') {
        flags = flag_list(scanner)?;
        scanner.space()?;
    }
    let mut date = None;
    if scanner.peek() == Some(b'"') {
        date = Some(Moment::parse(&scanner.string()?).ok_or(Misread("a date is like \"17-Jul-1996 02:44:25 -0700\""))?);
        scanner.space()?;
    }
    if scanner.eat_word(b"CATENATE (") {
        let parts = some_parts(scanner)?;
        return Ok(parts.map(|parts| Before { flags, date, coming: Coming::Catenated(parts) }));
    }
    let wrapped = scanner.eat_word(b"UTF8 (");
    let announced = is_marker(scanner.rest()).ok_or(Misread("flags, a date, and a message as a literal stand here"))?;
    Ok(Some(Before { flags, date, coming: Coming::Whole { announced, wrapped } }))
}

/// Parts up to a text, or to the end.
fn some_parts(scanner: &mut Scanner<'_>) -> Reading<Option<VecDeque<Part>>> {
    let mut parts = VecDeque::new();
    if !part(scanner, &mut parts)? {
        return Ok(None);
    }
    if matches!(parts.back(), Some(Part::Text(_))) {
        return Ok(Some(parts));
    }
    let more = more_parts(scanner)?;
    Ok(more.map(|more| parts.into_iter().chain(more).collect()))
}

/// The same behind the first.
fn more_parts(scanner: &mut Scanner<'_>) -> Reading<Option<VecDeque<Part>>> {
    let mut parts = VecDeque::new();
    loop {
        if scanner.eat(b')') {
            parts.push_back(Part::End(scanner.rest().to_vec()));
            return Ok(Some(parts));
        }
        scanner.space()?;
        if !part(scanner, &mut parts)? {
            return Ok(None);
        }
        if matches!(parts.back(), Some(Part::Text(_))) {
            return Ok(Some(parts));
        }
        if parts.len() > URLS_MAX {
            return Err(Misread("too many URLs"));
        }
    }
}

/// One part; `false` if it is a URL whose literal has not come.
fn part(scanner: &mut Scanner<'_>, parts: &mut VecDeque<Part>) -> Reading<bool> {
    if scanner.eat_word(b"TEXT ") {
        let announced = is_marker(scanner.rest()).ok_or(Misread("a text comes as a literal"))?;
        parts.push_back(Part::Text(announced));
        return Ok(true);
    }
    if !scanner.eat_word(b"URL ") {
        return Err(Misread("a message is put together of URL and TEXT"));
    }
    if is_marker(scanner.rest()).is_some() {
        return Ok(false);
    }
    parts.push_back(Part::Url(scanner.text()?));
    Ok(true)
}

/// The announcement, if the text is nothing else.
fn is_marker(text: &[u8]) -> Option<Announced> {
    announced(text).filter(|it| it.marker_len == text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_told_from_arguments() {
        assert_eq!(head(b" {5}", false, false), Ok(Head::Argument));
        let Ok(Head::Message { mailbox, before, .. }) =
            head(b" {5}\r\nDraft (\\Seen x) \"17-Jul-1996 02:44:25 -0700\" ~{310+}", false, false)
        else {
            panic!("a head")
        };
        let Coming::Whole { announced, .. } = before.coming else { panic!("a literal") };
        assert_eq!((mailbox.as_str(), announced.octets, announced.binary), ("Draft", 310, true));
        assert!(before.date.is_some() && before.flags.keywords().len() == 1);
        assert!(matches!(head(b" 4 a {1}", true, false), Ok(Head::Message { replacing: Some(_), .. })));
        assert!(matches!(
            head(b" a UTF8 (~{1}", false, false),
            Ok(Head::Message { before: Before { coming: Coming::Whole { wrapped: true, .. }, .. }, .. })
        ));
        for text in [&b" a (\\Seen){1}"[..], b" a \"x\" {1}", b" a {1}x {2}", b" a b {1}", b" {1}\r\na{1}"] {
            assert!(head(text, false, false).is_err(), "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn behind_a_message() {
        assert_eq!(next(b"", false), Ok(Next::End));
        assert_eq!(next(b")", true), Ok(Next::End));
        assert!(next(b"", true).is_err() && next(b"x", false).is_err() && next(b" (\\Seen)", false).is_err());
        assert!(matches!(next(b" () {7}", false), Ok(Next::Message(_))));
    }

    #[test]
    fn parts_that_are_put_together() {
        let url = |url: &str| Part::Url(url.into());
        let head = |text: &str| head(text.as_bytes(), false, false);
        let Ok(Head::Message { before: Before { coming: Coming::Catenated(parts), .. }, .. }) =
            head(" a (\\Seen) CATENATE (URL /a/;UID=1 URL {2}\r\n/b URL \"/c\" TEXT {42}")
        else {
            panic!("parts")
        };
        let Some(Part::Text(text)) = parts.back() else { panic!("{parts:?}") };
        assert_eq!((parts.len(), text.octets), (4, 42));
        assert_eq!(parts.iter().take(3).cloned().collect::<Vec<_>>(), [url("/a/;UID=1"), url("/b"), url("/c")]);
        assert!(matches!(head(" a CATENATE (URL {2}"), Ok(Head::Argument)));
        assert!(matches!(head(" a CATENATE (URL x URL {2}"), Ok(Head::Argument)));
        assert_eq!(super::parts(b" URL x) () {3}"), Ok(Some([url("x"), Part::End(b" () {3}".to_vec())].into())));
        assert_eq!(super::parts(b")"), Ok(Some([Part::End(Vec::new())].into())));
        assert_eq!(super::parts(b" URL {3}"), Ok(None));
        assert_eq!(next(b" CATENATE (URL {3}", false), Ok(Next::Argument));
        for text in
            [" a CATENATE ()", " a CATENATE (TEXT x)", " a CATENATE (URL)", " a CATENATE (URL x", " a CATENATE (FOO x)"]
        {
            assert!(head(text).is_err(), "{text}");
        }
    }
}

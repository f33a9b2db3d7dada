//! APPEND and REPLACE: what stands around the messages.
//!
//! RFC 9051 §6.3.12; RFC 3502 (several at once); RFC 3516 §4.4 (`~{n}`); RFC 8508 (REPLACE); RFC 6855 §4 (`UTF8 (~{n}`,
//! which RFC 9755 has given up, and old clients still say).
//!
//! ```text
//! APPEND mailbox [flags] [date] {n} ─message─ [flags] [date] {n} ─message─ end
//! └──────────── head ─────────────┘          └───── next ──────┘
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

/// What is said before a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    /// Its flags.
    pub flags: Flags,
    /// When it is said to have arrived.
    pub date: Option<Moment>,
    /// How long it is.
    pub announced: Announced,
    /// A parenthesis stands behind it.
    pub wrapped: bool,
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
    scanner.space()?;
    Ok(Head::Message { replacing, mailbox, before: before(&mut scanner)? })
}

/// Reads the line behind a message: `None` if the command ends with it.
pub fn next(line: &[u8], wrapped: bool) -> Reading<Option<Before>> {
    let mut scanner = Scanner::new(line, false);
    if wrapped {
        scanner.expect(b')', "a parenthesis is missing behind the message")?;
    }
    if scanner.is_at_end() {
        return Ok(None);
    }
    scanner.space()?;
    before(&mut scanner).map(Some)
}

fn before(scanner: &mut Scanner<'_>) -> Reading<Before> {
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
    let wrapped = scanner.eat_word(b"UTF8 (");
    let announced = is_marker(scanner.rest()).ok_or(Misread("flags, a date, and a message as a literal stand here"))?;
    Ok(Before { flags, date, announced, wrapped })
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
        assert_eq!((mailbox.as_str(), before.announced.octets, before.announced.binary), ("Draft", 310, true));
        assert!(before.date.is_some() && before.flags.keywords().len() == 1);
        assert!(matches!(head(b" 4 a {1}", true, false), Ok(Head::Message { replacing: Some(_), .. })));
        assert!(matches!(
            head(b" a UTF8 (~{1}", false, false),
            Ok(Head::Message { before: Before { wrapped: true, .. }, .. })
        ));
        for text in [&b" a (\\Seen){1}"[..], b" a \"x\" {1}", b" a {1}x {2}", b" a b {1}", b" {1}\r\na{1}"] {
            assert!(head(text, false, false).is_err(), "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn behind_a_message() {
        assert_eq!(next(b"", false), Ok(None));
        assert_eq!(next(b")", true), Ok(None));
        assert!(next(b"", true).is_err() && next(b"x", false).is_err() && next(b" (\\Seen)", false).is_err());
        assert!(matches!(next(b" () {7}", false), Ok(Some(_))));
    }
}

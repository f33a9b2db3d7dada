//! What can be fetched of a message.
//!
//! RFC 9051 §6.4.5 (items), §9 (`fetch-att`, `section`); RFC 3516 (BINARY); RFC 7162 §3.1.4 (MODSEQ); RFC 8474 §5.3
//! (EMAILID, THREADID); RFC 8514 (SAVEDATE); RFC 8970 (PREVIEW).
//!
//! Invariants: part numbers are not zero and not endless; a section is asked for in the words it will be answered in.
//! Not here: what a message consists of (message, house).

use crate::words::{Misread, Reading, Scanner, is_atom_char};
use std::fmt;

/// So many levels may a part number have: as many as a message may nest.
pub const PART_DEPTH_MAX: usize = 50;

/// So many items may one FETCH ask for.
pub const ITEMS_MAX: usize = 256;

/// So many field names may one section name.
pub const FIELDS_MAX: usize = 256;

/// One thing that is wanted of each message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// The flags.
    Flags,
    /// Its UID.
    Uid,
    /// When it arrived.
    InternalDate,
    /// Its size.
    Size,
    /// Its envelope.
    Envelope,
    /// Its structure without extension data.
    Body,
    /// Its structure.
    BodyStructure,
    /// `BODY[…]`, and what RFC822 stands for.
    Section(Section),
    /// `BINARY.SIZE[…]`
    BinarySize(Vec<u32>),
    /// The number of its last change.
    ModSeq,
    /// The name of its content, the same for all copies.
    EmailId,
    /// The name of its thread.
    ThreadId,
    /// When it came into this mailbox.
    SaveDate,
    /// Its first words.
    Preview {
        /// Only if it is at hand.
        lazy: bool,
    },
}

/// A stretch of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Which words the client used.
    pub form: Form,
    /// `1.2`; empty for the message itself.
    pub part: Vec<u32>,
    /// Which text of the part.
    pub text: SectionText,
    /// `<from.length>`: no more than that.
    pub partial: Option<Partial>,
    /// Whether it leaves \Seen as it is.
    pub peek: bool,
}

/// The words that a section is asked for in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `BODY[…]`
    Body,
    /// `BINARY[…]`: without its transfer encoding.
    Binary,
    /// `RFC822`, `RFC822.HEADER`, `RFC822.TEXT` of RFC 3501.
    Rfc822,
}

/// Which text of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SectionText {
    /// All of it.
    Whole,
    /// `HEADER`
    Header,
    /// `HEADER.FIELDS (…)`, as the client wrote them.
    Fields(Vec<FieldName>),
    /// `HEADER.FIELDS.NOT (…)`
    FieldsNot(Vec<FieldName>),
    /// `TEXT`
    Text,
    /// `MIME`
    Mime,
}

/// From which octet on, and how many at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partial {
    /// The first octet.
    pub from: u64,
    /// How many; not zero.
    pub length: u64,
}

/// The name of a header field: visible ASCII without a colon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldName(String);

impl FieldName {
    /// A name that a field can have.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let legal = |octet: &u8| octet.is_ascii_graphic() && *octet != b':';
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= 256)?;
        (!text.is_empty() && text.bytes().all(|octet| legal(&octet))).then(|| FieldName(text.into()))
    }

    /// As the client wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Item {
    /// ALL, FAST, FULL, one item, or a list of items.
    pub fn scan_all(scanner: &mut Scanner<'_>) -> Reading<Vec<Item>> {
        let fast = || vec![Item::Flags, Item::InternalDate, Item::Size];
        let mut items = Vec::new();
        if scanner.peek() == Some(b'(') {
            scanner.list(|scanner| {
                if items.len() == ITEMS_MAX {
                    return Err(Misread("too many items"));
                }
                items.push(Item::scan(scanner)?);
                Ok(())
            })?;
        } else {
            let before = scanner.clone();
            let word = scanner.take_while(is_atom_char);
            match word.to_ascii_uppercase().as_slice() {
                b"FAST" => items = fast(),
                b"ALL" => items.extend(fast().into_iter().chain([Item::Envelope])),
                b"FULL" => items.extend(fast().into_iter().chain([Item::Envelope, Item::Body])),
                _ => {
                    *scanner = before;
                    items.push(Item::scan(scanner)?);
                }
            }
        }
        if items.is_empty() { Err(Misread("nothing is asked for")) } else { Ok(items) }
    }

    fn scan(scanner: &mut Scanner<'_>) -> Reading<Item> {
        let word = scanner.take_while(|octet| is_atom_char(octet) && octet != b'[' && octet != b'<');
        let section = scanner.peek() == Some(b'[');
        Ok(match (word.to_ascii_uppercase().as_slice(), section) {
            (b"FLAGS", false) => Item::Flags,
            (b"UID", false) => Item::Uid,
            (b"INTERNALDATE", false) => Item::InternalDate,
            (b"RFC822.SIZE", false) => Item::Size,
            (b"ENVELOPE", false) => Item::Envelope,
            (b"BODY", false) => Item::Body,
            (b"BODYSTRUCTURE", false) => Item::BodyStructure,
            (b"RFC822", false) => Item::Section(Section::rfc822(SectionText::Whole, false)),
            (b"RFC822.HEADER", false) => Item::Section(Section::rfc822(SectionText::Header, true)),
            (b"RFC822.TEXT", false) => Item::Section(Section::rfc822(SectionText::Text, false)),
            (b"MODSEQ", false) => Item::ModSeq,
            (b"EMAILID", false) => Item::EmailId,
            (b"THREADID", false) => Item::ThreadId,
            (b"SAVEDATE", false) => Item::SaveDate,
            (b"PREVIEW", false) => Item::Preview { lazy: scanner.eat_word(b" (LAZY)") },
            (b"BODY", true) => Item::Section(Section::scan(scanner, Form::Body, false)?),
            (b"BODY.PEEK", true) => Item::Section(Section::scan(scanner, Form::Body, true)?),
            (b"BINARY", true) => Item::Section(Section::scan(scanner, Form::Binary, false)?),
            (b"BINARY.PEEK", true) => Item::Section(Section::scan(scanner, Form::Binary, true)?),
            (b"BINARY.SIZE", true) => {
                scanner.eat(b'[');
                let part = part(scanner)?;
                scanner.expect(b']', "a section ends in ]")?;
                Item::BinarySize(part)
            }
            (b"", _) => return Err(Misread("an item is missing")),
            _ => return Err(Misread("no such item can be fetched")),
        })
    }

    /// Whether fetching it makes the message \Seen.
    pub fn sets_seen(&self) -> bool {
        matches!(self, Item::Section(section) if !section.peek)
    }
}

impl Section {
    fn rfc822(text: SectionText, peek: bool) -> Self {
        Section { form: Form::Rfc822, part: Vec::new(), text, partial: None, peek }
    }

    fn scan(scanner: &mut Scanner<'_>, form: Form, peek: bool) -> Reading<Self> {
        scanner.eat(b'[');
        let part = part(scanner)?;
        let text = match form {
            Form::Binary => SectionText::Whole,
            _ => section_text(scanner, !part.is_empty())?,
        };
        scanner.expect(b']', "a section ends in ]")?;
        let partial = if scanner.eat(b'<') { Some(partial(scanner)?) } else { None };
        Ok(Section { form, part, text, partial, peek })
    }
}

fn part(scanner: &mut Scanner<'_>) -> Reading<Vec<u32>> {
    let mut numbers = Vec::new();
    while scanner.peek().is_some_and(|octet| octet.is_ascii_digit()) {
        if numbers.len() == PART_DEPTH_MAX {
            return Err(Misread("the part number has too many levels"));
        }
        numbers.push(scanner.nonzero()?);
        let more = matches!(scanner.rest(), [b'.', next, ..] if next.is_ascii_digit());
        if !more {
            break;
        }
        scanner.eat(b'.');
    }
    Ok(numbers)
}

fn section_text(scanner: &mut Scanner<'_>, behind_part: bool) -> Reading<SectionText> {
    if scanner.peek() == Some(b']') {
        return Ok(SectionText::Whole);
    }
    if behind_part {
        scanner.expect(b'.', "a part number is followed by a dot or ]")?;
    }
    let word = scanner.take_while(|octet| octet.is_ascii_alphabetic() || octet == b'.');
    Ok(match word.to_ascii_uppercase().as_slice() {
        b"HEADER" => SectionText::Header,
        b"TEXT" => SectionText::Text,
        b"MIME" if behind_part => SectionText::Mime,
        b"MIME" => return Err(Misread("MIME needs a part number before it")),
        b"HEADER.FIELDS" => SectionText::Fields(fields(scanner)?),
        b"HEADER.FIELDS.NOT" => SectionText::FieldsNot(fields(scanner)?),
        _ => return Err(Misread("a section is HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT, TEXT, or MIME")),
    })
}

fn fields(scanner: &mut Scanner<'_>) -> Reading<Vec<FieldName>> {
    scanner.space()?;
    let mut names = Vec::new();
    scanner.list(|scanner| {
        if names.len() == FIELDS_MAX {
            return Err(Misread("too many field names"));
        }
        let name = scanner.astring()?;
        names.push(FieldName::parse(&name).ok_or(Misread("no field has such a name"))?);
        Ok(())
    })?;
    if names.is_empty() { Err(Misread("a field name is missing")) } else { Ok(names) }
}

fn partial(scanner: &mut Scanner<'_>) -> Reading<Partial> {
    const WRONG: &str = "a part of a section is <first octet.number of octets>";
    let from = scanner.number64()?;
    scanner.expect(b'.', WRONG)?;
    let length = scanner.number64()?;
    scanner.expect(b'>', WRONG)?;
    if length == 0 { Err(Misread("a part of a section has at least one octet")) } else { Ok(Partial { from, length }) }
}

/// As a client writes it.
impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Flags => f.write_str("FLAGS"),
            Item::Uid => f.write_str("UID"),
            Item::InternalDate => f.write_str("INTERNALDATE"),
            Item::Size => f.write_str("RFC822.SIZE"),
            Item::Envelope => f.write_str("ENVELOPE"),
            Item::Body => f.write_str("BODY"),
            Item::BodyStructure => f.write_str("BODYSTRUCTURE"),
            Item::ModSeq => f.write_str("MODSEQ"),
            Item::EmailId => f.write_str("EMAILID"),
            Item::ThreadId => f.write_str("THREADID"),
            Item::SaveDate => f.write_str("SAVEDATE"),
            Item::Preview { lazy } => f.write_str(if *lazy { "PREVIEW (LAZY)" } else { "PREVIEW" }),
            Item::BinarySize(part) => write!(f, "BINARY.SIZE[{}]", Part(part)),
            Item::Section(section) => {
                let peek = section.peek && section.form != Form::Rfc822;
                section.write_name(f, if peek { ".PEEK" } else { "" })?;
                match section.partial {
                    Some(Partial { from, length }) => write!(f, "<{from}.{length}>"),
                    None => Ok(()),
                }
            }
        }
    }
}

/// As a server writes it before the content: without PEEK and without the length of a part.
impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_name(f, "")?;
        match self.partial {
            Some(Partial { from, .. }) => write!(f, "<{from}>"),
            None => Ok(()),
        }
    }
}

impl Section {
    fn write_name(&self, f: &mut fmt::Formatter<'_>, peek: &str) -> fmt::Result {
        match (self.form, &self.text) {
            (Form::Rfc822, SectionText::Header) => return f.write_str("RFC822.HEADER"),
            (Form::Rfc822, SectionText::Text) => return f.write_str("RFC822.TEXT"),
            (Form::Rfc822, _) => return f.write_str("RFC822"),
            (Form::Body, _) => write!(f, "BODY{peek}[{}", Part(&self.part))?,
            (Form::Binary, _) => write!(f, "BINARY{peek}[{}", Part(&self.part))?,
        }
        let dot = if self.part.is_empty() { "" } else { "." };
        match &self.text {
            SectionText::Whole => {}
            SectionText::Header => write!(f, "{dot}HEADER")?,
            SectionText::Text => write!(f, "{dot}TEXT")?,
            SectionText::Mime => write!(f, "{dot}MIME")?,
            SectionText::Fields(names) => write!(f, "{dot}HEADER.FIELDS ({})", Names(names))?,
            SectionText::FieldsNot(names) => write!(f, "{dot}HEADER.FIELDS.NOT ({})", Names(names))?,
        }
        f.write_str("]")
    }
}

/// `1.2.3`
struct Part<'a>(&'a [u32]);

impl fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, number) in self.0.iter().enumerate() {
            write!(f, "{}{number}", if at > 0 { "." } else { "" })?;
        }
        Ok(())
    }
}

/// Field names with blanks between them; in quotes what is no astring, as a field name may hold a quote.
struct Names<'a>(&'a [FieldName]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, FieldName(name)) in self.0.iter().enumerate() {
            f.write_str(if at > 0 { " " } else { "" })?;
            if name.bytes().all(crate::words::is_astring_char) {
                f.write_str(name)?;
            } else {
                write!(f, "\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str) -> Reading<Vec<Item>> {
        let mut scanner = Scanner::new(text.as_bytes(), false);
        let items = Item::scan_all(&mut scanner)?;
        scanner.end()?;
        Ok(items)
    }

    #[test]
    fn items_are_written_as_they_are_read() {
        for text in [
            "FLAGS",
            "BODY",
            "BODY[]",
            "BODY.PEEK[]<0.2048>",
            "BODY[1.2.MIME]",
            "BODY[HEADER.FIELDS (DATE FROM)]",
            "BODY.PEEK[4.1.HEADER.FIELDS.NOT (\"a(\\\"b\" to)]<7.9>",
            "BODY[TEXT]",
            "BODY[1.HEADER]",
            "BINARY[1]",
            "BINARY.PEEK[]<1.2>",
            "BINARY.SIZE[1.2]",
            "RFC822",
            "RFC822.HEADER",
            "RFC822.TEXT",
            "PREVIEW (LAZY)",
            "PREVIEW",
            "MODSEQ",
        ] {
            let read = items(text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"));
            assert_eq!(read[0].to_string(), text);
            assert_eq!(items(&format!("({text} {text})")).map(|items| items.len()), Ok(2));
        }
        assert_eq!(items("full").map(|items| items.len()), Ok(5));
    }

    #[test]
    fn items_that_are_none() {
        let deep = format!("BODY[{}1]", "1.".repeat(PART_DEPTH_MAX));
        let many = format!("({}UID)", "UID ".repeat(ITEMS_MAX));
        for text in [
            "",
            "()",
            "FOO",
            "BODY[",
            "BODY[FOO]",
            "BODY[0]",
            "BODY[1.]",
            "BODY[MIME]",
            "BODY[1TEXT]",
            "BODY[]<0.0>",
            "BODY[]<1>",
            "FLAGS[]",
            "BODY[HEADER.FIELDS]",
            "BODY[HEADER.FIELDS ()]",
            "BODY[HEADER.FIELDS (a:b)]",
            "(UID",
            "(UID  UID)",
            "(FULL)",
            "BINARY[TEXT]",
            &deep,
            &many,
        ] {
            assert!(items(text).is_err(), "{text}");
        }
    }
}

//! Replies: what a server may say, written piece by piece, each piece by its type.
//!
//! RFC 9051 §7 (responses), §9 (grammar); RFC 5530 (response codes); RFC 3516, RFC 4315, RFC 7162, RFC 8438, RFC 8474.
//!
//! Invariants: no octet of anybody else's reaches the wire but as an atom that was checked, a number, a quoted string of
//! printable ASCII, or a literal of announced length; human text is one line.
//! Not here: which reply is right when (server).

use crate::flag::{Flags, Keyword, SystemFlag};
use crate::moment::Moment;
use crate::name::MailboxName;
use crate::set::NumberSet;
use std::borrow::Cow;
use std::fmt::{Display, Write};

/// No string is written in quotes that is longer, in octets; RFC 9051 sets no limit, old clients have some.
const QUOTED_MAX: usize = 1_000;

/// Human text is cut behind so many octets.
const TEXT_MAX: usize = 400;

/// What becomes of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It is done.
    Ok,
    /// It cannot be.
    No,
    /// It is none.
    Bad,
    /// And the server goes.
    Bye,
}

/// A response code.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // Each is its name in the RFCs.
pub enum Code {
    Plain(&'static str),
    AppendUid {
        uidvalidity: u32,
        uids: NumberSet,
    },
    CopyUid {
        uidvalidity: u32,
        from: NumberSet,
        to: NumberSet,
    },
    BadCharset,
    HighestModSeq(u64),
    MailboxId(String),
    Modified(NumberSet),
    UidNext(u32),
    UidValidity(u32),
    Unseen(u32),
    MaxSize(u64),
    /// RFC 4469 §4.1: the URL that was not one, or led nowhere.
    BadUrl(String),
    /// RFC 5267 §4.3.1: which search.
    NoUpdate(Vec<u8>),
    LongEntries(u64),
    /// `[INPROGRESS ("tag" done goal)]`
    InProgress {
        tag: Vec<u8>,
        done: Option<u32>,
        goal: Option<u32>,
    },
}

/// The end of a command: its condition, perhaps a code, and words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// What becomes of it.
    pub condition: Condition,
    /// What programs read.
    pub code: Option<Code>,
    /// What people read.
    pub text: Cow<'static, str>,
}

impl Reply {
    /// OK.
    pub fn ok(text: &'static str) -> Self {
        Reply { condition: Condition::Ok, code: None, text: text.into() }
    }

    /// NO.
    pub fn no(text: impl Into<Cow<'static, str>>) -> Self {
        Reply { condition: Condition::No, code: None, text: text.into() }
    }

    /// BAD.
    pub fn bad(text: impl Into<Cow<'static, str>>) -> Self {
        Reply { condition: Condition::Bad, code: None, text: text.into() }
    }

    /// BYE, which has no tag.
    pub fn bye(text: impl Into<Cow<'static, str>>) -> Self {
        Reply { condition: Condition::Bye, code: None, text: text.into() }
    }

    /// With a code of one word.
    #[must_use]
    pub fn coded(self, code: &'static str) -> Self {
        self.with(Code::Plain(code))
    }

    /// With a code.
    #[must_use]
    pub fn with(self, code: Code) -> Self {
        Reply { code: Some(code), ..self }
    }

    /// Writes it behind a tag, or behind `*`.
    pub fn write(&self, tag: Option<&[u8]>, out: &mut Vec<u8>) {
        let mut pen = Pen(out);
        match tag {
            Some(tag) => pen.raw(tag),
            None => pen.word("*"),
        };
        pen.word(match self.condition {
            Condition::Ok => " OK ",
            Condition::No => " NO ",
            Condition::Bad => " BAD ",
            Condition::Bye => " BYE ",
        });
        if let Some(code) = &self.code {
            pen.word("[").code(code).word("] ");
        }
        pen.text(&self.text).end();
    }
}

/// Writes pieces of responses.
pub struct Pen<'a>(pub &'a mut Vec<u8>);

impl Pen<'_> {
    /// Words of ours.
    pub fn word(&mut self, word: &'static str) -> &mut Self {
        self.raw(word.as_bytes())
    }

    /// Octets that are known to be right where they stand.
    fn raw(&mut self, octets: &[u8]) -> &mut Self {
        self.0.extend_from_slice(octets);
        self
    }

    /// The end of a line.
    pub fn end(&mut self) {
        self.0.extend_from_slice(b"\r\n");
    }

    /// A number.
    pub fn number(&mut self, number: impl Into<u64>) -> &mut Self {
        let (mut number, mut digits, mut at) = (number.into(), [0; 20], 20);
        loop {
            at -= 1;
            digits[at] = b'0' + u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
            if number == 0 {
                return self.raw(&digits[at..]);
            }
        }
    }

    /// A number or NIL.
    pub fn maybe(&mut self, number: Option<u32>) -> &mut Self {
        match number {
            Some(number) => self.number(number),
            None => self.word("NIL"),
        }
    }

    /// A value whose own form is that of the wire.
    fn form(&mut self, value: &impl Display) -> &mut Self {
        struct Octets<'a>(&'a mut Vec<u8>);
        impl Write for Octets<'_> {
            fn write_str(&mut self, text: &str) -> std::fmt::Result {
                self.0.extend_from_slice(text.as_bytes());
                Ok(())
            }
        }
        // Writing into memory does not fail.
        let _ = write!(Octets(self.0), "{value}");
        self
    }

    /// A set, not empty.
    pub fn set(&mut self, set: &NumberSet) -> &mut Self {
        self.form(set)
    }

    /// A section as it stands before its content.
    pub fn section(&mut self, section: &crate::fetch::Section) -> &mut Self {
        self.form(section)
    }

    /// An item that names itself.
    pub fn item(&mut self, item: &crate::fetch::Item) -> &mut Self {
        self.form(item)
    }

    /// A date and time, in quotes.
    pub fn moment(&mut self, moment: &Moment) -> &mut Self {
        self.word("\"").form(moment).word("\"")
    }

    /// A string: in quotes where that can be, or a literal.
    pub fn string(&mut self, octets: &[u8]) -> &mut Self {
        let plain = octets.len() <= QUOTED_MAX && octets.iter().all(|octet| matches!(octet, b' '..=b'~'));
        if !plain {
            return self.literal_head(octets.len() as u64).raw(octets);
        }
        self.word("\"");
        for &octet in octets {
            if matches!(octet, b'"' | b'\\') {
                self.0.push(b'\\');
            }
            self.0.push(octet);
        }
        self.word("\"")
    }

    /// A string or NIL.
    pub fn nstring(&mut self, octets: Option<&[u8]>) -> &mut Self {
        match octets {
            Some(octets) => self.string(octets),
            None => self.word("NIL"),
        }
    }

    /// `{n}`, behind which so many octets must come.
    pub fn literal_head(&mut self, octets: u64) -> &mut Self {
        self.word("{").number(octets).word("}\r\n")
    }

    /// `~{n}`, behind which so many octets must come, NUL perhaps among them.
    pub fn literal8_head(&mut self, octets: u64) -> &mut Self {
        self.word("~").literal_head(octets)
    }

    /// An atom where it can be, a string otherwise.
    pub fn astring(&mut self, text: &str) -> &mut Self {
        let nil = text.eq_ignore_ascii_case("NIL");
        if !nil && crate::words::is_atom(text.as_bytes()) {
            self.raw(text.as_bytes())
        } else {
            self.string(text.as_bytes())
        }
    }

    /// The name of a mailbox; UTF-8 in quotes only for those who have asked for it.
    pub fn mailbox(&mut self, name: &MailboxName, utf8: bool) -> &mut Self {
        self.name(&name.to_wire(utf8), utf8)
    }

    /// A name, or the beginning of one, as it travels.
    pub fn name(&mut self, wire: &str, utf8: bool) -> &mut Self {
        if !utf8 || wire.is_ascii() {
            return self.astring(wire);
        }
        let escaped = wire.replace('\\', "\\\\").replace('"', "\\\"");
        self.word("\"").raw(escaped.as_bytes()).word("\"")
    }

    /// One of the five flags.
    pub fn flag(&mut self, flag: SystemFlag) -> &mut Self {
        self.word(flag.name())
    }

    /// A keyword.
    pub fn keyword(&mut self, keyword: &Keyword) -> &mut Self {
        self.raw(keyword.as_str().as_bytes())
    }

    /// Flags in parentheses.
    pub fn flags(&mut self, flags: &Flags) -> &mut Self {
        self.word("(");
        let mut first = true;
        for flag in flags.system.iter() {
            self.gap(&mut first).flag(flag);
        }
        for keyword in flags.keywords() {
            self.gap(&mut first).keyword(keyword);
        }
        self.word(")")
    }

    /// A blank, but not before the first.
    pub fn gap(&mut self, first: &mut bool) -> &mut Self {
        if !std::mem::take(first) {
            self.0.push(b' ');
        }
        self
    }

    /// What the house has formed for the wire: an envelope, a structure.
    pub fn formed(&mut self, octets: &[u8]) -> &mut Self {
        self.raw(octets)
    }

    /// A client's tag, which was checked when it came, in quotes.
    pub fn quoted_tag(&mut self, tag: &[u8]) -> &mut Self {
        self.string(tag)
    }

    /// An id of RFC 8474 in its parentheses.
    pub fn object_id(&mut self, id: &str) -> &mut Self {
        self.word("(").raw(id.as_bytes()).word(")")
    }

    /// Words for people: one line of printable ASCII.
    pub fn text(&mut self, text: &str) -> &mut Self {
        let printable =
            text.chars().take(TEXT_MAX).map(|c| if c == ' ' || c.is_ascii_graphic() { c as u8 } else { b'?' });
        self.0.extend(printable);
        self
    }

    fn code(&mut self, code: &Code) -> &mut Self {
        match code {
            Code::Plain(word) => self.word(word),
            Code::AppendUid { uidvalidity, uids } => self.word("APPENDUID ").number(*uidvalidity).word(" ").set(uids),
            Code::CopyUid { uidvalidity, from, to } => {
                self.word("COPYUID ").number(*uidvalidity).word(" ").set(from).word(" ").set(to)
            }
            Code::BadCharset => self.word("BADCHARSET (US-ASCII UTF-8)"),
            Code::HighestModSeq(modseq) => self.word("HIGHESTMODSEQ ").number(*modseq),
            Code::MailboxId(id) => self.word("MAILBOXID ").object_id(id),
            Code::Modified(set) => self.word("MODIFIED ").set(set),
            Code::UidNext(uid) => self.word("UIDNEXT ").number(*uid),
            Code::UidValidity(number) => self.word("UIDVALIDITY ").number(*number),
            Code::Unseen(number) => self.word("UNSEEN ").number(*number),
            Code::MaxSize(octets) => self.word("METADATA MAXSIZE ").number(*octets),
            Code::BadUrl(url) => {
                // A response code ends at its bracket, and a line at its end.
                let legal = |octet: u8| octet.is_ascii_graphic() && octet != b']' || octet == b' ';
                let shown: Vec<u8> = url.bytes().map(|octet| if legal(octet) { octet } else { b'?' }).collect();
                self.word("BADURL ").raw(if shown.is_empty() { b"?" } else { &shown })
            }
            Code::NoUpdate(tag) => self.word("NOUPDATE ").quoted_tag(tag),
            Code::LongEntries(octets) => self.word("METADATA LONGENTRIES ").number(*octets),
            Code::InProgress { tag, done, goal } => {
                self.word("INPROGRESS (");
                // A response code ends at its bracket, so a tag with one in it cannot stand there.
                match tag.contains(&b']') {
                    true => self.word("NIL"),
                    false => self.quoted_tag(tag),
                };
                self.word(" ").maybe(*done).word(" ").maybe(*goal).word(")")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Pen<'_>)) -> String {
        let mut out = Vec::new();
        write(&mut Pen(&mut out));
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn strings_that_need_more_than_quotes_are_literals() {
        assert_eq!(
            written(|pen| {
                pen.string(b"a \"b\\");
            }),
            "\"a \\\"b\\\\\""
        );
        assert_eq!(
            written(|pen| {
                pen.string("é\r\n".as_bytes());
            }),
            "{4}\r\né\r\n"
        );
        assert_eq!(
            written(|pen| {
                pen.astring("nil");
            }),
            "\"nil\""
        );
        assert_eq!(
            written(|pen| {
                pen.astring("");
            }),
            "\"\""
        );
        assert_eq!(
            written(|pen| {
                pen.name("日\"", true);
            }),
            "\"日\\\"\""
        );
        assert_eq!(
            written(|pen| {
                pen.number(0u32).word(" ").number(u64::MAX);
            }),
            "0 18446744073709551615"
        );
    }

    #[test]
    fn human_text_stays_on_its_line() {
        let mut out = Vec::new();
        Reply::no("no\r\n* OK \u{202e}").coded("LIMIT").write(Some(b"a"), &mut out);
        assert_eq!(String::from_utf8_lossy(&out), "a NO [LIMIT] no??* OK ?\r\n");
    }
}

//! Values with parameters: `multipart/mixed; boundary="x"`, `attachment; filename*0*=utf-8''caf%C3%A9`.
//!
//! RFC 2045 §5.1 (Content-Type), RFC 2183 §2 (Content-Disposition), RFC 2231 §3–4 (continuations, charsets, languages).
//!
//! Invariants: parameters are kept raw, in order, as IMAP shows them; [`Params::text`] puts pieces together and decodes.
//! At most [`PARAMS_MAX`] parameters are kept, at most [`PIECES_MAX`] pieces joined; the rest does not count.
//! Not here: what follows from a type (tree).

use super::{charset, words};
use crate::syntax::is_wsp;

/// How many parameters of one field are kept. Three are usual; file names in pieces make some dozen.
pub const PARAMS_MAX: usize = 100;

/// How many pieces of one parameter are joined (RFC 2231 §3 sets no limit; 80 characters each make 8 000).
pub const PIECES_MAX: usize = 100;

/// Parameters, raw and in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Params {
    /// Names in lower case, with the `*` of RFC 2231 if they had some; values without their quotation marks.
    pub raw: Vec<(String, Vec<u8>)>,
}

impl Params {
    /// The first raw value of that name (in lower case).
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        self.raw.iter().find(|(known, _)| known == name).map(|(_, value)| &value[..])
    }

    /// The value of a parameter as octets, its pieces put together and percent signs undone, without a look at the charset.
    pub fn octets(&self, name: &str) -> Option<Vec<u8>> {
        self.extended(name).map(|(_, octets)| octets).or_else(|| self.first(name).map(<[u8]>::to_vec))
    }

    /// The value of a parameter as text: RFC 2231 forms first, then the plain one with encoded words decoded (wrong, but common).
    pub fn text(&self, name: &str) -> Option<String> {
        match self.extended(name) {
            Some((Some(charset), octets)) => Some(charset::decode(&charset, &octets).into_owned()),
            Some((None, octets)) => Some(words::decode(&octets)),
            None => self.first(name).map(words::decode),
        }
    }

    /// The forms of RFC 2231: `name*`, or `name*0`, `name*0*`, `name*1` … in any order. The charset comes from the first piece.
    fn extended(&self, name: &str) -> Option<(Option<Vec<u8>>, Vec<u8>)> {
        if let Some(value) = self.first(&format!("{name}*")) {
            let (charset, value) = split_charset(value);
            return Some((charset, undo_percents(value)));
        }
        let (mut charset, mut octets) = (None, Vec::new());
        for number in 0..PIECES_MAX {
            let plain = self.first(&format!("{name}*{number}"));
            let encoded = self.first(&format!("{name}*{number}*"));
            match (encoded, plain) {
                (Some(value), _) if number == 0 => {
                    let (named, value) = split_charset(value);
                    charset = named;
                    octets.extend(undo_percents(value));
                }
                (Some(value), _) => octets.extend(undo_percents(value)),
                (None, Some(value)) => octets.extend_from_slice(value),
                (None, None) if number == 0 => return None,
                (None, None) => break,
            }
        }
        Some((charset, octets))
    }
}

/// `utf-8'en'text`: the charset if there is one, and the text (RFC 2231 §4).
fn split_charset(value: &[u8]) -> (Option<Vec<u8>>, &[u8]) {
    let mut pieces = value.splitn(3, |&octet| octet == b'\'');
    match (pieces.next(), pieces.next(), pieces.next()) {
        (Some(charset), Some(_language), Some(text)) => ((!charset.is_empty()).then(|| charset.to_vec()), text),
        _ => (None, value),
    }
}

fn undo_percents(value: &[u8]) -> Vec<u8> {
    let (mut octets, mut at) = (Vec::with_capacity(value.len()), 0);
    while let Some(&octet) = value.get(at) {
        let escaped = match value.get(at + 1..at + 3) {
            Some(&[high, low]) if octet == b'%' => super::transfer::hex(high).zip(super::transfer::hex(low)),
            _ => None,
        };
        at += if escaped.is_some() { 3 } else { 1 };
        octets.push(escaped.map_or(octet, |(high, low)| high << 4 | low));
    }
    octets
}

/// A media type: `text/plain; charset=utf-8`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentType {
    /// `text`, `multipart`, … in lower case.
    pub kind: String,
    /// `plain`, `mixed`, … in lower case.
    pub subtype: String,
    /// Its parameters.
    pub params: Params,
}

impl ContentType {
    /// A type without parameters.
    pub fn new(kind: &str, subtype: &str) -> Self {
        ContentType { kind: kind.to_owned(), subtype: subtype.to_owned(), params: Params::default() }
    }

    /// Reads the value of a Content-Type field. `None` if there is no `type/subtype`: then RFC 2045 §5.2 says what to take.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let mut lexer = Lexer { text: value, at: 0 };
        let kind = lexer.token();
        let subtype = lexer.take(b'/').then(|| lexer.token()).filter(|subtype| !subtype.is_empty())?;
        if kind.is_empty() {
            return None;
        }
        Some(ContentType { kind: lower(kind), subtype: lower(subtype), params: lexer.params() })
    }

    /// Whether it is that type, in lower case.
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind == kind && self.subtype == subtype
    }
}

/// How a part wants to be shown (RFC 2183).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disposition {
    /// `inline`, `attachment`, … in lower case.
    pub kind: String,
    /// Its parameters.
    pub params: Params,
}

impl Disposition {
    /// Reads the value of a Content-Disposition field; `None` if it begins with no word.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let mut lexer = Lexer { text: value, at: 0 };
        let kind = lexer.token();
        (!kind.is_empty()).then(|| Disposition { kind: lower(kind), params: lexer.params() })
    }
}

/// The first word of a structured value, in lower case.
pub(crate) fn first_word(value: &[u8]) -> String {
    lower(Lexer { text: value, at: 0 }.token())
}

fn lower(token: &[u8]) -> String {
    String::from_utf8_lossy(token).to_ascii_lowercase()
}

struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Lexer<'a> {
    /// Passes over blanks, line ends and comments.
    fn skip(&mut self) {
        while let Some(&octet) = self.text.get(self.at) {
            match octet {
                b'(' => self.skip_comment(),
                octet if is_wsp(octet) || matches!(octet, b'\r' | b'\n') => self.at += 1,
                _ => return,
            }
        }
    }

    fn skip_comment(&mut self) {
        let mut depth = 0usize;
        while let Some(&octet) = self.text.get(self.at) {
            self.at += 1;
            match octet {
                b'\\' => self.at = (self.at + 1).min(self.text.len()),
                b'(' => depth += 1,
                b')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn take(&mut self, octet: u8) -> bool {
        self.skip();
        let is_there = self.text.get(self.at) == Some(&octet);
        self.at += usize::from(is_there);
        is_there
    }

    /// RFC 2045 §5.1 `token`, octets beyond ASCII included.
    fn token(&mut self) -> &'a [u8] {
        self.skip();
        self.until(|octet| octet <= b' ' || octet == 0x7f || b"()<>@,;:\\\"/[]?=".contains(&octet))
    }

    fn until(&mut self, ends: fn(u8) -> bool) -> &'a [u8] {
        let rest = &self.text[self.at..];
        let len = rest.iter().position(|&octet| ends(octet)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    /// Everything up to the end: `; name=value` as often as it comes. What is none is passed over to the next semicolon.
    fn params(&mut self) -> Params {
        let mut raw = Vec::new();
        while self.next_semicolon() && raw.len() < PARAMS_MAX {
            let name = self.token();
            if !name.is_empty() && self.take(b'=') {
                raw.push((lower(name), self.value()));
            }
        }
        Params { raw }
    }

    /// Passes over what is left of a parameter, to behind the next semicolon.
    fn next_semicolon(&mut self) -> bool {
        loop {
            self.skip();
            match self.text.get(self.at) {
                Some(b';') => {
                    self.at += 1;
                    return true;
                }
                Some(b'"') => {
                    self.quoted();
                }
                Some(_) => self.at += 1,
                None => return false,
            }
        }
    }

    /// A quoted string, or everything up to a blank or semicolon: unquoted boundaries with `=` or `/` in them are common.
    /// A file name with blanks and no quotes goes on to the semicolon.
    fn value(&mut self) -> Vec<u8> {
        self.skip();
        if self.text.get(self.at) == Some(&b'"') {
            return self.quoted();
        }
        let value = self.until(|octet| matches!(octet, b';' | b'\r' | b'\n' | b'('));
        value.trim_ascii_end().to_vec()
    }

    fn quoted(&mut self) -> Vec<u8> {
        let mut value = Vec::new();
        self.at += 1;
        while let Some(&octet) = self.text.get(self.at) {
            self.at += 1;
            match octet {
                b'"' => break,
                b'\r' | b'\n' => {}
                b'\\' => {
                    // Some software writes C:\path unescaped; only what must be escaped is taken for an escape.
                    match self.text.get(self.at) {
                        Some(&next @ (b'"' | b'\\')) => {
                            value.push(next);
                            self.at += 1;
                        }
                        _ => value.push(octet),
                    }
                }
                octet => value.push(octet),
            }
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn param(value: &str, name: &str) -> Option<String> {
        ContentType::parse(value.as_bytes()).expect("a type").params.text(name)
    }

    #[test]
    fn types_are_read() {
        let read = ContentType::parse(b" Text/HTML (a comment) ; Charset=\"us-ascii\" (Plain text); format=flowed")
            .expect("a type");
        assert!(read.is("text", "html"));
        assert_eq!(read.params.raw, [("charset".into(), b"us-ascii".to_vec()), ("format".into(), b"flowed".to_vec())]);
        for value in ["", "text", "text/", "/plain", "; charset=x", "text plain"] {
            assert_eq!(ContentType::parse(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn the_examples_of_rfc_2231() {
        // RFC 2231 §3 and §4.1.
        assert_eq!(
            param("message/external-body; access-type=URL;\r\n URL*0=\"ftp://\";\r\n URL*1=\"cs.utk.edu/pub\"", "url")
                .as_deref(),
            Some("ftp://cs.utk.edu/pub")
        );
        assert_eq!(
            param("application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A", "title").as_deref(),
            Some("This is ***fun***")
        );
        assert_eq!(
            param("application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"", "title").as_deref(),
            Some("This is even more ***fun*** isn't it!")
        );
    }

    #[test]
    fn pieces_may_come_in_any_order_and_tear_characters() {
        assert_eq!(param("a/b; n*1*=%A9; n*0*=utf-8''caf%C3", "n").as_deref(), Some("café"));
        assert_eq!(param("a/b; n*0=a; n*2=c", "n").as_deref(), Some("a"));
    }

    #[test]
    fn habits_outside_of_the_rfc_are_read() {
        assert_eq!(param("a/b; name==?utf-8?q?caf=C3=A9?=", "name").as_deref(), Some("café"));
        assert_eq!(param("a/b; name=\"=?utf-8?q?caf=C3=A9?=\"", "name").as_deref(), Some("café"));
        assert_eq!(param("a/b; name=my file.txt; x=y", "name").as_deref(), Some("my file.txt"));
        assert_eq!(param("a/b; boundary=----=_Part/1:2; x=y", "boundary").as_deref(), Some("----=_Part/1:2"));
        assert_eq!(param("a/b; name=\"C:\\dir\\a.txt\"", "name").as_deref(), Some("C:\\dir\\a.txt"));
        assert_eq!(param("a/b;; ;charset = x ;", "charset").as_deref(), Some("x"));
        assert_eq!(param("a/b charset=x; y=\"z", "y").as_deref(), Some("z"));
        assert_eq!(param("a/b; rubbish \"; n=no\"; n=yes", "n").as_deref(), Some("yes"));
    }

    #[test]
    fn dispositions_are_read() {
        let read = Disposition::parse(b"attachment; filename*=iso-8859-1''a%E9.txt; size=3").expect("a disposition");
        assert_eq!((read.kind.as_str(), read.params.text("filename").as_deref()), ("attachment", Some("aé.txt")));
        assert_eq!(Disposition::parse(b" ; filename=x"), None);
    }

    #[test]
    fn a_flood_of_parameters_is_cut() {
        let value = format!("a/b{}", "; x=y".repeat(PARAMS_MAX + 1));
        assert_eq!(ContentType::parse(value.as_bytes()).expect("a type").params.raw.len(), PARAMS_MAX);
    }

    proptest! {
        #[test]
        fn nothing_panics(value in proptest::collection::vec(proptest::sample::select(b"a/b;=\"\\( )*0'%41\r\n\xc3".to_vec()), 0..60)) {
            if let Some(read) = ContentType::parse(&[b"a/b;", &value[..]].concat()) {
                for (name, _) in &read.params.raw {
                    read.params.text(name);
                    read.params.octets(name);
                }
            }
            Disposition::parse(&value);
            Encoding::parse(&value);
        }
    }

    use crate::mime::transfer::Encoding;
}

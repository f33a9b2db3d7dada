//! The smallest pieces: characters, atoms, strings, numbers; and a scanner over a command that has come whole.
//!
//! RFC 9051 §4 (data formats), §9 (grammar); RFC 7888 (`{n+}`), RFC 3516 §4.4 (`~{n}`).
//!
//! A command that has come whole is one stretch of octets in which literals stand as they came: marker, CRLF, octets.
//! Reading is a little generous: a quoted string may hold UTF-8 whatever was enabled, and blanks may end a command.
//!
//! Invariants: nothing is read twice; what is wrong is said in a sentence.
//! Not here: how a command comes together (gather), which commands there are (command).

use std::borrow::Cow;

/// What is wrong with a command: a sentence for whoever wrote the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misread(pub &'static str);

/// Reading that may fail.
pub type Reading<T> = Result<T, Misread>;

/// `ATOM-CHAR`.
pub fn is_atom_char(octet: u8) -> bool {
    octet.is_ascii_graphic() && !matches!(octet, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}

/// `ASTRING-CHAR`.
pub fn is_astring_char(octet: u8) -> bool {
    is_atom_char(octet) || octet == b']'
}

/// An atom, not empty.
pub fn is_atom(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&octet| is_atom_char(octet))
}

/// A tag: `1*<any ASTRING-CHAR except "+">`.
pub fn is_tag(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&octet| is_astring_char(octet) && octet != b'+')
}

/// Digits that are a number from 1 to 4,294,967,295.
pub fn nonzero(text: &[u8]) -> Option<u32> {
    number64(text).and_then(|number| u32::try_from(number).ok()).filter(|&number| number > 0)
}

/// Digits that are a number of 63 bits (RFC 9051 §9, `number64`).
pub fn number64(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 19 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = text.iter().fold(0u64, |number, digit| number * 10 + u64::from(digit - b'0'));
    (number <= i64::MAX as u64).then_some(number)
}

/// The announcement of a literal at the end of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// How many octets follow.
    pub octets: u64,
    /// Whether the client waits for our word first.
    pub waits: bool,
    /// Whether NUL may be among them: `~{n}`.
    pub binary: bool,
    /// The length of the announcement itself.
    pub marker_len: usize,
}

/// The announcement that a line ends in, if it does.
pub fn announced(line: &[u8]) -> Option<Announced> {
    let inner = line.strip_suffix(b"}")?;
    let (inner, waits) = inner.strip_suffix(b"+").map_or((inner, true), |inner| (inner, false));
    let digits = inner.iter().rev().take_while(|octet| octet.is_ascii_digit()).count();
    let (before, number) = inner.split_at(inner.len() - digits);
    let before = before.strip_suffix(b"{")?;
    let binary = before.last() == Some(&b'~');
    let marker_len = line.len() - before.len() + usize::from(binary);
    Some(Announced { octets: number64(number)?, waits, binary, marker_len })
}

/// Reads a command from front to end.
#[derive(Debug, Clone)]
pub struct Scanner<'a> {
    rest: &'a [u8],
    utf8: bool,
}

impl<'a> Scanner<'a> {
    /// Over this text; `utf8` says whether mailbox names are UTF-8 rather than modified UTF-7.
    pub fn new(text: &'a [u8], utf8: bool) -> Self {
        Scanner { rest: text, utf8 }
    }

    /// Whether mailbox names are UTF-8 here.
    pub fn is_utf8(&self) -> bool {
        self.utf8
    }

    /// What is not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next octet, which stays.
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Takes this octet if it is next.
    pub fn eat(&mut self, octet: u8) -> bool {
        let is_next = self.peek() == Some(octet);
        if is_next {
            self.rest = &self.rest[1..];
        }
        is_next
    }

    /// Takes this word, in any case, if it is next, and whatever is behind it.
    pub fn eat_word(&mut self, word: &[u8]) -> bool {
        let is_next = self.rest.get(..word.len()).is_some_and(|front| front.eq_ignore_ascii_case(word));
        if is_next {
            self.rest = &self.rest[word.len()..];
        }
        is_next
    }

    /// Takes this octet, or says what is wrong.
    pub fn expect(&mut self, octet: u8, wrong: &'static str) -> Reading<()> {
        if self.eat(octet) { Ok(()) } else { Err(Misread(wrong)) }
    }

    /// Takes the space between two words.
    pub fn space(&mut self) -> Reading<()> {
        self.expect(b' ', "an argument is missing, or one blank between arguments")
    }

    /// Whether there is nothing more but blanks.
    pub fn is_at_end(&self) -> bool {
        self.rest.iter().all(|&octet| octet == b' ')
    }

    /// Nothing more may follow.
    pub fn end(&self) -> Reading<()> {
        if self.is_at_end() { Ok(()) } else { Err(Misread("something follows that does not belong here")) }
    }

    /// Takes octets as long as they are of a kind.
    pub fn take_while(&mut self, kind: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|&octet| !kind(octet)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// An atom.
    pub fn atom(&mut self) -> Reading<&'a [u8]> {
        match self.take_while(is_atom_char) {
            b"" => Err(Misread("a word is missing")),
            atom => Ok(atom),
        }
    }

    /// A number of 32 bits.
    pub fn number(&mut self) -> Reading<u32> {
        u32::try_from(self.number64()?).map_err(|_| Misread("the number is too large"))
    }

    /// A number of 32 bits that is not zero.
    pub fn nonzero(&mut self) -> Reading<u32> {
        match self.number()? {
            0 => Err(Misread("the number must not be zero")),
            number => Ok(number),
        }
    }

    /// A number of 63 bits.
    pub fn number64(&mut self) -> Reading<u64> {
        let digits = self.take_while(|octet| octet.is_ascii_digit());
        if digits.is_empty() {
            return Err(Misread("a number is missing"));
        }
        number64(digits).ok_or(Misread("the number is too large"))
    }

    /// A quoted string or a literal.
    pub fn string(&mut self) -> Reading<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal().map(Cow::Borrowed),
            _ => Err(Misread("a string in quotes or a literal is missing")),
        }
    }

    /// An atom that may hold `]`, or a string.
    pub fn astring(&mut self) -> Reading<Cow<'a, [u8]>> {
        if let Some(b'"' | b'{') = self.peek() {
            return self.string();
        }
        match self.take_while(|octet| is_astring_char(octet) || octet >= 0x80) {
            b"" => Err(Misread("an argument is missing, or holds what must stand in quotes")),
            word if std::str::from_utf8(word).is_err() => Err(Misread("an argument is not UTF-8")),
            word => Ok(Cow::Borrowed(word)),
        }
    }

    /// A pattern of LIST: an atom that may hold wildcards, or a string.
    pub fn list_mailbox(&mut self) -> Reading<Cow<'a, [u8]>> {
        if let Some(b'"' | b'{') = self.peek() {
            return self.string();
        }
        match self.take_while(|octet| is_astring_char(octet) || matches!(octet, b'%' | b'*') || octet >= 0x80) {
            b"" => Err(Misread("a pattern is missing, or holds what must stand in quotes")),
            word => Ok(Cow::Borrowed(word)),
        }
    }

    /// NIL or a string.
    pub fn nstring(&mut self) -> Reading<Option<Cow<'a, [u8]>>> {
        if self.eat_word(b"NIL") { Ok(None) } else { self.string().map(Some) }
    }

    /// An astring that is UTF-8.
    pub fn text(&mut self) -> Reading<String> {
        let octets = self.astring()?.into_owned();
        String::from_utf8(octets).map_err(|_| Misread("an argument is not UTF-8"))
    }

    fn quoted(&mut self) -> Reading<Cow<'a, [u8]>> {
        self.rest = &self.rest[1..];
        let end = memchr::memchr2(b'"', b'\\', self.rest).ok_or(Misread("a quoted string has no end"))?;
        let mut value = Cow::Borrowed(&self.rest[..end]);
        self.rest = &self.rest[end..];
        while !self.eat(b'"') {
            match self.rest {
                [b'\\', octet @ (b'"' | b'\\'), ..] => {
                    value.to_mut().push(*octet);
                    self.rest = &self.rest[2..];
                }
                [] => return Err(Misread("a quoted string has no end")),
                [b'\\', ..] => {
                    return Err(Misread("in a quoted string, a backslash stands before a quote or a backslash"));
                }
                _ => value.to_mut().extend(self.take_while(|octet| !matches!(octet, b'"' | b'\\'))),
            }
        }
        if value.iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0)) {
            return Err(Misread("a quoted string is one line"));
        }
        if std::str::from_utf8(&value).is_err() {
            return Err(Misread("a quoted string is UTF-8; other octets come as a literal"));
        }
        Ok(value)
    }

    /// A literal, whose octets are here. Without NUL, as only `~{n}` may hold some.
    pub fn literal(&mut self) -> Reading<&'a [u8]> {
        let octets = self.any_literal()?;
        if memchr::memchr(0, octets).is_some() {
            return Err(Misread("a literal holds no NUL"));
        }
        Ok(octets)
    }

    /// A literal or a literal8.
    pub fn any_literal(&mut self) -> Reading<&'a [u8]> {
        const WRONG: Misread = Misread("a literal is {number} at the end of a line");
        self.eat(b'~');
        let line = memchr::memchr(b'\r', self.rest).ok_or(WRONG)?;
        let announced = announced(&self.rest[..line]).filter(|it| it.marker_len == line).ok_or(WRONG)?;
        let behind = self.rest[line..].strip_prefix(b"\r\n").ok_or(WRONG)?;
        let octets = usize::try_from(announced.octets).ok().and_then(|octets| behind.split_at_checked(octets));
        let (octets, rest) = octets.ok_or(WRONG)?;
        self.rest = rest;
        Ok(octets)
    }

    /// `(` items with one blank between them `)`.
    pub fn list(&mut self, mut item: impl FnMut(&mut Self) -> Reading<()>) -> Reading<()> {
        self.expect(b'(', "a list in parentheses is missing")?;
        if self.eat(b')') {
            return Ok(());
        }
        loop {
            item(self)?;
            if self.eat(b')') {
                return Ok(());
            }
            self.expect(b' ', "in a list, one blank stands between items, and a parenthesis at the end")?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_of_every_kind() {
        let mut scanner =
            Scanner::new(b"a]b \"q\\\"\\\\u\xc3\xa9\" {3}\r\na\r\nx {2+}\r\nok ~{1}\r\n\0 NIL \"\"", false);
        assert_eq!(scanner.astring().as_deref(), Ok(&b"a]b"[..]));
        assert!(scanner.eat(b' '));
        assert_eq!(scanner.astring().as_deref(), Ok("q\"\\ué".as_bytes()));
        assert!(scanner.eat(b' '));
        assert_eq!(scanner.astring().as_deref(), Ok(&b"a\r\n"[..]));
        assert!(scanner.eat_word(b"X "));
        assert_eq!(scanner.string().as_deref(), Ok(&b"ok"[..]));
        assert!(scanner.eat(b' '));
        assert_eq!(scanner.any_literal(), Ok(&b"\0"[..]));
        assert!(scanner.eat(b' '));
        assert_eq!(scanner.nstring(), Ok(None));
        assert!(scanner.eat(b' '));
        assert_eq!(scanner.nstring(), Ok(Some(Cow::Borrowed(&b""[..]))));
        assert_eq!(scanner.end(), Ok(()));
    }

    #[test]
    fn strings_that_are_none() {
        for text in [
            &b"\"a"[..],
            b"\"a\\",
            b"\"\\a\"",
            b"\"a\r\nb\"",
            b"\"\xff\"",
            b"{3}\r\nab",
            b"{a}\r\n",
            b"{1}x",
            b"{1}\r\n\0",
        ] {
            assert!(Scanner::new(text, false).string().is_err(), "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn announcements_at_the_end_of_a_line() {
        let it = |octets, waits, binary, marker_len| Some(Announced { octets, waits, binary, marker_len });
        assert_eq!(announced(b"a {12}"), it(12, true, false, 4));
        assert_eq!(announced(b"a {12+}"), it(12, false, false, 5));
        assert_eq!(announced(b"a ~{0+}"), it(0, false, true, 5));
        for line in [&b""[..], b"}", b"{}", b"a}", b"{1-}", b"{-1}", b"{99999999999999999999}", b"{1} "] {
            assert_eq!(announced(line), None, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn numbers_have_their_bounds() {
        assert_eq!(number64(b"9223372036854775807"), Some(i64::MAX as u64));
        assert_eq!(number64(b"9223372036854775808"), None);
        assert_eq!(nonzero(b"4294967295"), Some(u32::MAX));
        assert_eq!((nonzero(b"0"), nonzero(b"4294967296"), nonzero(b"")), (None, None, None));
    }
}

//! Takes the value of an address field apart into words and signs.
//!
//! RFC 5322 §3.2 (atoms, quoted strings, comments, folding), §4.1 (obsolete forms of them).
//!
//! Invariants: every octet is looked at once; what is never closed ends with the value and is a flaw.
//! Not here: what the words mean (the parent).

use crate::syntax::{is_atext, is_wsp};

/// A lexical piece of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Atom(Vec<u8>),
    Quoted(Vec<u8>),
    /// With its brackets.
    Literal(Vec<u8>),
    /// Without its outer parentheses.
    Comment(Vec<u8>),
    /// One of `. < > , ; : @`.
    Special(u8),
}

pub(super) struct Tokens<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
    /// Whether something broke the grammar.
    pub(super) flawed: bool,
}

impl Tokens<'_> {
    pub(super) fn next(&mut self) -> Option<Token> {
        loop {
            let octet = *self.text.get(self.at)?;
            match octet {
                b'"' => return Some(Token::Quoted(self.quoted())),
                b'(' => return Some(Token::Comment(self.comment())),
                b'[' => return Some(Token::Literal(self.literal())),
                b'.' | b'<' | b'>' | b',' | b';' | b':' | b'@' => {
                    self.at += 1;
                    return Some(Token::Special(octet));
                }
                octet if is_atext(octet) => return Some(Token::Atom(self.atom())),
                octet => {
                    // Stray `)`, `]`, `\` and control characters separate like blanks do.
                    self.flawed |= !(is_wsp(octet) || matches!(octet, b'\r' | b'\n'));
                    self.at += 1;
                }
            }
        }
    }

    fn atom(&mut self) -> Vec<u8> {
        let rest = &self.text[self.at..];
        let len = rest.iter().position(|&octet| !is_atext(octet)).unwrap_or(rest.len());
        self.at += len;
        rest[..len].to_vec()
    }

    /// Between quotation marks: line ends are folding and vanish, a backslash makes the next octet a plain one.
    fn quoted(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        self.at += 1;
        while let Some(&octet) = self.text.get(self.at) {
            self.at += 1;
            match octet {
                b'"' => return text,
                b'\\' => text.extend(self.escaped()),
                b'\r' | b'\n' => {}
                octet => text.push(octet),
            }
        }
        self.flawed = true;
        text
    }

    fn escaped(&mut self) -> Option<u8> {
        let octet = self.text.get(self.at).copied();
        self.at += usize::from(octet.is_some());
        octet.filter(|octet| !matches!(octet, b'\r' | b'\n'))
    }

    fn comment(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        let mut depth = 1usize;
        self.at += 1;
        while let Some(&octet) = self.text.get(self.at) {
            self.at += 1;
            match octet {
                b'\\' => {
                    text.extend(self.escaped());
                    continue;
                }
                b'\r' | b'\n' => continue,
                b'(' => depth += 1,
                b')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return text;
            }
            text.push(octet);
        }
        self.flawed = true;
        text
    }

    fn literal(&mut self) -> Vec<u8> {
        let start = self.at;
        let rest = &self.text[start..];
        let len = rest.iter().position(|&octet| matches!(octet, b']' | b'\r' | b'\n' | b',' | b'<' | b'>'));
        match len {
            Some(len) if rest[len] == b']' => self.at += len + 1,
            len => {
                self.flawed = true;
                self.at += len.unwrap_or(rest.len());
            }
        }
        self.text[start..self.at].to_vec()
    }
}

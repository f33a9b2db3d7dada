//! Replies: what a server may say, written and read.
//!
//! RFC 5321 §4.2 (grammar, meaning of the digits), §4.2.1 (several lines), §4.5.3.1.5 (length); RFC 2034 and RFC 3463
//! (enhanced codes); RFC 6531 §3.7.4.2 (replies are ASCII, but for cases that we never say).
//!
//! Reading is generous: a code without text, a bare LF at the end of a line, lines longer than allowed, enhanced
//! codes on some lines only. When the lines of one reply disagree, the last one's code counts.
//!
//! Invariants: a reply of ours has no line over 512 octets, no octet but printable ASCII, and an enhanced code whose
//! class is that of the reply.
//! Not here: which reply is right when (server), what follows from it (client).

use line::{Line, Lines};
use std::borrow::Cow;
use std::fmt;

/// RFC 5321 §4.5.3.1.5 says 512 octets; `250-5.1.10 ` and CRLF go off, and some room is left.
const TEXT_MAX_BYTES: usize = 480;
/// RFC 5321 §4.5.3.1.5 says 512 octets; some servers say more.
const HEARD_LINE_MAX_BYTES: usize = 4096;
/// No honest reply has more lines; EHLO has some twenty.
const HEARD_LINES_MAX: usize = 128;

/// `5.1.1`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EnhancedCode {
    /// 2, 4 or 5.
    pub class: u8,
    /// What it is about.
    pub subject: u16,
    /// What about it.
    pub detail: u16,
}

/// A code, perhaps an enhanced code, and lines of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    enhanced: Option<EnhancedCode>,
    /// Lines, with LF between them.
    text: Cow<'static, str>,
}

impl EnhancedCode {
    /// `class.subject.detail`
    pub const fn new(class: u8, subject: u16, detail: u16) -> Self {
        EnhancedCode { class, subject, detail }
    }

    /// Reads a code that stands alone.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.');
        let class = match numbers.next()? {
            "2" => 2,
            "4" => 4,
            "5" => 5,
            _ => return None,
        };
        let code = EnhancedCode::new(class, number(numbers.next()?)?, number(numbers.next()?)?);
        numbers.next().is_none().then_some(code)
    }
}

/// One to three digits (RFC 3463 §2).
fn number(text: &str) -> Option<u16> {
    let fits = matches!(text.len(), 1..=3) && text.bytes().all(|octet| octet.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

impl Reply {
    /// A reply that is known beforehand. Asserts what RFC 2034 §4 says: the class is the code's first digit.
    pub const fn fixed(code: u16, enhanced: (u8, u16, u16), text: &'static str) -> Self {
        assert!(code >= 200 && code < 600 && enhanced.0 as u16 == code / 100);
        let enhanced = Some(EnhancedCode::new(enhanced.0, enhanced.1, enhanced.2));
        Reply { code, enhanced, text: Cow::Borrowed(text) }
    }

    /// A reply without an enhanced code: the greeting, the answer to EHLO, and every 3yz (RFC 2034 §4).
    pub const fn plain(code: u16, text: &'static str) -> Self {
        assert!(code >= 200 && code < 600);
        Reply { code, enhanced: None, text: Cow::Borrowed(text) }
    }

    /// A reply with a text of the moment; control characters become blanks, LF parts lines.
    /// Asserts that the code is one, and that an enhanced code fits it.
    pub fn new(code: u16, enhanced: Option<EnhancedCode>, text: &str) -> Self {
        assert!((200..600).contains(&code), "a reply has a code of three digits, from 2yz to 5yz");
        assert!(
            enhanced.is_none_or(|enhanced| u16::from(enhanced.class) == code / 100),
            "the class is the first digit"
        );
        let text = text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c });
        Reply { code, enhanced, text: Cow::Owned(text.collect()) }
    }

    /// Three digits.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced code, if it has one.
    pub fn enhanced(&self) -> Option<EnhancedCode> {
        self.enhanced
    }

    /// Its text, line by line, without codes.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.split('\n')
    }

    /// 2yz: done.
    pub fn is_positive(&self) -> bool {
        self.code < 300
    }

    /// 3yz: go on.
    pub fn is_intermediate(&self) -> bool {
        (300..400).contains(&self.code)
    }

    /// 4yz: try again later.
    pub fn is_transient(&self) -> bool {
        (400..500).contains(&self.code)
    }

    /// 5yz: not this way.
    pub fn is_permanent(&self) -> bool {
        self.code >= 500
    }

    /// Appends it to `wire`, in as many lines as it needs.
    pub fn write(&self, wire: &mut Vec<u8>) {
        let mut lines = self.lines().flat_map(wrapped).peekable();
        while let Some(line) = lines.next() {
            self.write_line(line, lines.peek().is_none(), wire);
        }
    }

    fn write_line(&self, line: &str, last: bool, wire: &mut Vec<u8>) {
        let digit = |value: u16| b'0' + u8::try_from(value % 10).unwrap_or(0);
        wire.extend([digit(self.code / 100), digit(self.code / 10), digit(self.code)]);
        wire.push(if last { b' ' } else { b'-' });
        if let Some(enhanced) = self.enhanced {
            wire.extend(enhanced.to_string().bytes());
            if !line.is_empty() {
                wire.push(b' ');
            }
        }
        wire.extend(line.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c as u8 } else { b'?' }));
        wire.extend(b"\r\n");
    }
}

impl fmt::Display for Reply {
    /// In one line, for logs and reports.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        self.lines().filter(|line| !line.is_empty()).try_for_each(|line| write!(f, " {line}"))
    }
}

/// A line in pieces short enough to be said; an empty line is one piece.
fn wrapped(line: &str) -> impl Iterator<Item = &str> {
    let mut left = Some(line);
    std::iter::from_fn(move || {
        let line = left?;
        let (piece, rest) = line.split_at(line.floor_char_boundary(TEXT_MAX_BYTES));
        left = (!rest.is_empty()).then_some(rest);
        Some(piece)
    })
}

/// What [`Replies::hear`] made of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A whole reply.
    Reply(Reply),
    /// A line that is not the last one of its reply.
    More,
    /// No whole line yet.
    Partial,
    /// Something that no SMTP server says.
    Nonsense,
}

/// Reads replies, line by line.
#[derive(Debug, Clone)]
pub struct Replies {
    lines: Lines,
    /// What the lines before the last one said.
    before: Option<(Option<EnhancedCode>, String)>,
    count: usize,
}

impl Default for Replies {
    fn default() -> Self {
        Self::new()
    }
}

impl Replies {
    /// At the start of a reply.
    pub fn new() -> Self {
        Replies { lines: Lines::new(HEARD_LINE_MAX_BYTES), before: None, count: 0 }
    }

    /// Looks at one line and says how many octets were taken.
    pub fn hear(&mut self, bytes: &[u8]) -> (usize, Heard) {
        match self.lines.look(bytes) {
            Line::Whole { text, taken } => (taken, self.line(text)),
            Line::Flawed { taken } => (taken, self.line(bytes[..taken].trim_ascii_end())),
            Line::TooLong { taken } | Line::Overflowing { taken } => (taken, Heard::Nonsense),
            Line::Partial => (0, Heard::Partial),
        }
    }

    fn line(&mut self, line: &[u8]) -> Heard {
        self.count += 1;
        let Some((code, last, text)) = cut(line) else { return Heard::Nonsense };
        if self.count > HEARD_LINES_MAX {
            return Heard::Nonsense;
        }
        let text = String::from_utf8_lossy(text);
        let (enhanced, text) = cut_enhanced(code, &text);
        let (enhanced, whole) = match self.before.take() {
            None => (enhanced, text.to_string()),
            Some((first, before)) => (first.or(enhanced), before + "\n" + text),
        };
        if !last {
            self.before = Some((enhanced, whole));
            return Heard::More;
        }
        self.count = 0;
        Heard::Reply(Reply::new(code, enhanced.filter(|enhanced| u16::from(enhanced.class) == code / 100), &whole))
    }
}

/// `250-text`, `250 text` or `250`: the code, whether the line is the last one, and the text.
fn cut(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    let code = std::str::from_utf8(digits).ok().and_then(number).filter(|code| (200..600).contains(code))?;
    match rest.split_first() {
        None => Some((code, true, rest)),
        Some((b' ', text)) => Some((code, true, text)),
        Some((b'-', text)) => Some((code, false, text)),
        Some(_) => None,
    }
}

fn cut_enhanced(code: u16, text: &str) -> (Option<EnhancedCode>, &str) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match EnhancedCode::parse(word).filter(|enhanced| u16::from(enhanced.class) == code / 100) {
        Some(enhanced) => (Some(enhanced), rest),
        None => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn heard(wire: &[u8], size: usize) -> Vec<Heard> {
        let (mut replies, mut held, mut heard) = (Replies::new(), Vec::new(), Vec::new());
        for piece in wire.chunks(size) {
            held.extend_from_slice(piece);
            loop {
                let (taken, what) = replies.hear(&held);
                held.drain(..taken);
                match what {
                    Heard::Partial => break,
                    Heard::More => {}
                    what => heard.push(what),
                }
            }
        }
        heard
    }

    fn one(wire: &str) -> Heard {
        let mut heard = heard(wire.as_bytes(), 1000);
        assert_eq!(heard.len(), 1, "{wire:?}");
        heard.remove(0)
    }

    fn reply(code: u16, enhanced: Option<(u8, u16, u16)>, text: &str) -> Heard {
        Heard::Reply(Reply::new(
            code,
            enhanced.map(|(class, subject, detail)| EnhancedCode::new(class, subject, detail)),
            text,
        ))
    }

    #[test]
    fn all_legal_forms_are_read_and_some_others() {
        assert_eq!(one("250 ok\r\n"), reply(250, None, "ok"));
        assert_eq!(one("250\r\n"), reply(250, None, ""));
        assert_eq!(one("250 \r\n"), reply(250, None, ""));
        assert_eq!(one("250-\r\n250-a\r\n250\r\n"), reply(250, None, "\na\n"));
        assert_eq!(one("550-5.1.1 no\r\n550 5.1.1 user\r\n"), reply(550, Some((5, 1, 1)), "no\nuser"));
        assert_eq!(one("550-5.1.1 no\r\n550 user\r\n"), reply(550, Some((5, 1, 1)), "no\nuser"));
        assert_eq!(one("250 4.1.1 is not mine\r\n"), reply(250, None, "4.1.1 is not mine"));
        assert_eq!(one("450 4.7.1\r\n"), reply(450, Some((4, 7, 1)), ""));
        assert_eq!(one("250 bare\n"), reply(250, None, "bare"));
        assert_eq!(one("250-2.0.0 a\r\n550 b\r\n"), reply(550, None, "a\nb"));
    }

    #[test]
    fn nonsense_is_told_apart() {
        for wire in ["hello\r\n", "\r\n", "25\r\n", "250+x\r\n", "150 x\r\n", "650 x\r\n", "2\u{b2}0 x\r\n"] {
            assert_eq!(one(wire), Heard::Nonsense, "{wire:?}");
        }
        let long = format!("250 {}\r\n", "x".repeat(HEARD_LINE_MAX_BYTES));
        assert!(heard(long.as_bytes(), 100).contains(&Heard::Nonsense));
        assert!(heard("250-x\r\n".repeat(HEARD_LINES_MAX + 1).as_bytes(), 100).contains(&Heard::Nonsense));
    }

    #[test]
    fn what_we_say_is_short_lines_of_ascii() {
        let mut wire = Vec::new();
        Reply::new(550, Some(EnhancedCode::new(5, 7, 1)), &format!("j\u{f6}\r\0{}\nend", "x".repeat(1200)))
            .write(&mut wire);
        let text = String::from_utf8(wire).expect("ASCII");
        let lines: Vec<&str> = text.split_terminator("\r\n").collect();
        assert!(lines[0].starts_with("550-5.7.1 j?  xxx") && lines[3] == "550 5.7.1 end");
        assert!(lines.iter().all(|line| line.len() <= 510));
    }

    fn replies() -> impl Strategy<Value = Reply> {
        let line = "([a-zA-Z<][ -~]{0,60})?";
        (200u16..600, proptest::option::of((0u16..1000, 0u16..1000)), proptest::collection::vec(line, 1..5)).prop_map(
            |(code, enhanced, lines)| {
                let class = (code / 100) as u8;
                let enhanced = enhanced.filter(|_| class != 3);
                let enhanced = enhanced.map(|(subject, detail)| EnhancedCode::new(class, subject, detail));
                Reply::new(code, enhanced, &lines.join("\n"))
            },
        )
    }

    proptest! {
        #[test]
        fn parse_after_write_is_identity(said in proptest::collection::vec(replies(), 1..4), size in 1usize..50) {
            let mut wire = Vec::new();
            said.iter().for_each(|reply| reply.write(&mut wire));
            prop_assert_eq!(heard(&wire, size), said.into_iter().map(Heard::Reply).collect::<Vec<_>>());
        }

        #[test]
        fn noise_does_no_harm(
            wire in proptest::collection::vec(
                prop_oneof![Just(b'2'), Just(b'-'), Just(b'\r'), Just(b'\n'), any::<u8>()],
                0..80,
            ),
            size in 1usize..9,
        ) {
            prop_assert_eq!(heard(&wire, size), heard(&wire, 1000));
        }
    }
}

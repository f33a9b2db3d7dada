//! What a server may say: written and read.
//!
//! RFC 1939 §3 (status, 512 octets), §5 and §7 (listings); RFC 2449 §3 and §8 (response codes); RFC 3206 §4–5
//! (SYS, AUTH); RFC 5034 §4 (challenges); RFC 6856 §5 (UTF8).
//!
//! Invariants: `parse(write(r)) == r`; a reply is one line of printable ASCII, whatever text it was made of.
//! Not here: which reply a command gets (server), byte-stuffing (line).

use sasl::wire;
use std::borrow::Cow;

/// RFC 1939 §3: a reply has at most so many octets, CRLF included.
pub const REPLY_MAX: usize = 512;

/// One line of the server, apart from listings and messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// `+OK`, and what is good.
    Ok(Cow<'static, str>),
    /// `-ERR`, for programs and for people why.
    Err(Option<Code>, Cow<'static, str>),
    /// `+`, and a challenge of a SASL exchange.
    Challenge(Vec<u8>),
}

/// A reason that a program can understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// Someone else has the maildrop (RFC 2449 §8.1.2).
    InUse,
    /// Too soon after the last login (RFC 2449 §8.1.1); servers of others say it.
    LoginDelay,
    /// The system failed and may recover (RFC 3206 §4).
    SysTemp,
    /// The system failed and wants help (RFC 3206 §4).
    SysPerm,
    /// The credentials are to blame (RFC 3206 §5).
    Auth,
    /// The message needs UTF8 (RFC 6856 §5); servers of others say it.
    Utf8,
}

const CODES: [(Code, &str); 6] = [
    (Code::InUse, "IN-USE"),
    (Code::LoginDelay, "LOGIN-DELAY"),
    (Code::SysTemp, "SYS/TEMP"),
    (Code::SysPerm, "SYS/PERM"),
    (Code::Auth, "AUTH"),
    (Code::Utf8, "UTF8"),
];

impl Reply {
    /// Appends the reply to `out`, CRLF included.
    pub fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        match self {
            Reply::Challenge(message) => {
                // RFC 5034 §4: the blank stands there even when nothing follows it. No limit but the mechanism's.
                out.extend_from_slice(b"+ ");
                out.extend_from_slice(wire::encode(message).as_bytes());
                return out.extend_from_slice(b"\r\n");
            }
            Reply::Ok(text) => {
                out.extend_from_slice(b"+OK");
                write_text(text, out);
            }
            Reply::Err(None, text) => {
                out.extend_from_slice(b"-ERR");
                write_text(text, out);
            }
            Reply::Err(Some(code), text) => {
                out.extend_from_slice(b"-ERR [");
                out.extend_from_slice(code.name().as_bytes());
                out.push(b']');
                write_text(text, out);
            }
        }
        out.truncate(start + REPLY_MAX - 2);
        out.extend_from_slice(b"\r\n");
    }

    /// Reads a line without its CRLF; `None` if it is no reply. An unknown code stays in the text.
    pub fn parse(line: &[u8]) -> Option<Reply> {
        if let Some(challenge) = line.strip_prefix(b"+ ").or((line == b"+").then_some(b"")) {
            return wire::decode(challenge).map(Reply::Challenge);
        }
        if let Some(text) = after_status(line, b"+OK") {
            return Some(Reply::Ok(text.into()));
        }
        let text = after_status(line, b"-ERR")?;
        let coded = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        match coded.and_then(|(name, rest)| Some((Code::parse(name)?, rest))) {
            Some((code, rest)) => {
                Some(Reply::Err(Some(code), rest.strip_prefix(' ').unwrap_or(rest).to_owned().into()))
            }
            None => Some(Reply::Err(None, text.into())),
        }
    }

    /// Whether it is `+OK`.
    pub fn is_ok(&self) -> bool {
        matches!(self, Reply::Ok(_))
    }
}

impl Code {
    /// As it stands between the brackets.
    pub fn name(self) -> &'static str {
        CODES.iter().find(|(code, _)| *code == self).map_or("", |(_, name)| name)
    }

    /// RFC 2449 §8: any case; details that we do not know, behind another slash, are ignored.
    fn parse(name: &str) -> Option<Code> {
        let fits = |known: &str| {
            let detail = name.get(known.len()..).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            detail && name[..known.len()].eq_ignore_ascii_case(known)
        };
        CODES.iter().find(|(_, known)| fits(known)).map(|(code, _)| *code)
    }
}

/// The text behind a status, without the blank between them. RFC 1939 §3 wants capitals; we read any case.
fn after_status(line: &[u8], status: &[u8]) -> Option<String> {
    let rest = line.get(status.len()..).filter(|_| line[..status.len()].eq_ignore_ascii_case(status))?;
    let text = match rest {
        [] => rest,
        [b' ', text @ ..] => text,
        _ => return None,
    };
    Some(String::from_utf8_lossy(text).into_owned())
}

/// A blank and the text, as far as a reply may show it: what is not printable ASCII becomes a question mark, and a
/// bracket at the start, which would be read as a code (RFC 2449 §6.4), a round one.
fn write_text(text: &str, out: &mut Vec<u8>) {
    if text.is_empty() {
        return;
    }
    let printable = |c: char| if c == ' ' || c.is_ascii_graphic() { c as u8 } else { b'?' };
    out.push(b' ');
    let start = out.len();
    out.extend(text.chars().map(printable));
    if out[start] == b'[' {
        out[start] = b'(';
    }
}

/// Appends a number in decimal.
pub(crate) fn write_number(mut number: u64, out: &mut Vec<u8>) {
    // 2^64 has 20 digits.
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return out.extend_from_slice(&digits[at..]);
        }
    }
}

/// A number and the blank behind it, at the start of a listing's line; gives the number and the rest.
pub(crate) fn parse_number(text: &[u8]) -> Option<(u64, &[u8])> {
    let len = text.iter().take_while(|octet| octet.is_ascii_digit()).count();
    let number = std::str::from_utf8(&text[..len]).ok()?.parse().ok()?;
    match &text[len..] {
        [] => Some((number, &[])),
        [b' ', rest @ ..] => Some((number, rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(reply: &Reply) -> String {
        let mut line = Vec::new();
        reply.write(&mut line);
        String::from_utf8(line).expect("ASCII")
    }

    #[test]
    fn a_reply_is_one_line_of_printable_ascii() {
        assert_eq!(written(&Reply::Ok("a\r\n-ERR b\u{e9}\0".into())), "+OK a??-ERR b??\r\n");
        assert_eq!(written(&Reply::Err(None, "[AUTH] x".into())), "-ERR (AUTH] x\r\n");
        assert_eq!(written(&Reply::Err(Some(Code::Auth), "[x]".into())), "-ERR [AUTH] (x]\r\n");
        assert_eq!(written(&Reply::Ok("".into())), "+OK\r\n");
        assert_eq!(written(&Reply::Ok("x".repeat(1000).into())).len(), REPLY_MAX);
        assert_eq!(written(&Reply::Challenge(vec![])), "+ \r\n");
    }

    #[test]
    fn replies_of_others_are_read() {
        assert_eq!(Reply::parse(b"-ERR [sys/temp/disk] full"), Some(Reply::Err(Some(Code::SysTemp), "full".into())));
        assert_eq!(Reply::parse(b"-ERR [NEW] x"), Some(Reply::Err(None, "[NEW] x".into())));
        assert_eq!(Reply::parse(b"-ERR [AUTHOR] x"), Some(Reply::Err(None, "[AUTHOR] x".into())));
        assert_eq!(Reply::parse(b"+ok"), Some(Reply::Ok("".into())));
        assert_eq!(Reply::parse(b"+"), Some(Reply::Challenge(vec![])));
        for line in ["", "+OKAY", "OK", "-ERROR", "+ *", "220 hi", "-ER"] {
            assert_eq!(Reply::parse(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn numbers() {
        let mut out = Vec::new();
        for number in [0, 7, 10, u64::MAX] {
            out.clear();
            write_number(number, &mut out);
            assert_eq!(out, number.to_string().into_bytes());
        }
        assert_eq!(parse_number(b"12 x y"), Some((12, &b"x y"[..])));
        assert_eq!(parse_number(b"12"), Some((12, &b""[..])));
        for text in ["", "x", "1x", "-1", "99999999999999999999"] {
            assert_eq!(parse_number(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn parse_after_write_is_identity(
            code in proptest::option::of(proptest::sample::select(CODES.map(|(code, _)| code).to_vec())),
            text in "([!-Z\\\\-~][ -~]{0,60})?", challenge in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            for reply in [Reply::Ok(text.clone().into()), Reply::Err(code, text.into()), Reply::Challenge(challenge)] {
                let line = written(&reply);
                prop_assert_eq!(Reply::parse(line.trim_end_matches("\r\n").as_bytes()), Some(reply));
            }
        }

        #[test]
        fn no_line_makes_the_parser_stumble(line in proptest::collection::vec(any::<u8>(), 0..60)) {
            Reply::parse(&line);
            parse_number(&line);
        }
    }
}

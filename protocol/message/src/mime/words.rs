//! Encoded words: text beyond ASCII in header fields.
//!
//! RFC 2047 (`=?utf-8?q?caf=C3=A9?=`), RFC 2231 §5 (language), RFC 6532 (plain UTF-8).
//!
//! Invariants: decoding never fails; what is no encoded word stays as it is; time is linear in the input.
//! What is encoded is ASCII without control characters, each word at most 75 characters long, and is decoded to the same.
//! Not here: where encoded words may stand (their callers know), charsets (charset).

use std::borrow::Cow;

use memchr::memmem;

use super::charset;
use super::transfer::{Base64Decoder, encode_base64_unbroken, hex};

/// RFC 2047 §2.
const WORD_MAX: usize = 75;
/// No charset has a longer name, its language included.
const CHARSET_MAX: usize = 64;

/// Decodes all encoded words in a field's value; it may still be folded.
///
/// More lenient than RFC 2047 §5: words are decoded wherever they stand, blanks inside are allowed, and a character
/// may be torn between two words of the same charset.
pub fn decode(value: &[u8]) -> String {
    let mut reader = Reader { text: String::new(), held: None };
    let (mut at, mut looked) = (0, 0);
    while let Some(start) = memmem::find(&value[looked..], b"=?").map(|found| looked + found) {
        match word(&value[start..]) {
            Found::Word { charset, octets, len } => {
                reader.plain(&value[at..start], true);
                reader.word(charset, octets);
                (at, looked) = (start + len, start + len);
            }
            Found::Nothing => looked = start + 2,
            Found::NothingMore => break,
        }
    }
    reader.plain(&value[at..], false);
    reader.text
}

/// The same, borrowed where there is nothing to decode, as in most values.
pub fn decoded(value: &[u8]) -> Cow<'_, str> {
    let is_plain =
        value.iter().all(|octet| matches!(octet, b'\t' | b' '..=b'~')) && memmem::find(value, b"=?").is_none();
    match std::str::from_utf8(value) {
        Ok(text) if is_plain => Cow::Borrowed(text),
        _ => Cow::Owned(decode(value)),
    }
}

enum Found<'a> {
    Word {
        charset: &'a [u8],
        octets: Vec<u8>,
        len: usize,
    },
    Nothing,
    /// No word ends anywhere behind this place.
    NothingMore,
}

/// Looks for one word at the front of `text`, which begins with `=?`.
fn word(text: &[u8]) -> Found<'_> {
    let charset_len = text[2..].iter().take(CHARSET_MAX).position(|&octet| octet == b'?');
    let Some(charset_end) = charset_len.map(|len| len + 2) else { return Found::Nothing };
    let charset = &text[2..charset_end];
    if charset.is_empty() || !charset.iter().all(u8::is_ascii_graphic) {
        return Found::Nothing;
    }
    let decode_with: fn(&[u8]) -> Vec<u8> = match text.get(charset_end + 1..charset_end + 3) {
        Some(b"B?" | b"b?") => decode_b,
        Some(b"Q?" | b"q?") => decode_q,
        _ => return Found::Nothing,
    };
    let start = charset_end + 3;
    let Some(len) = memmem::find(&text[start..], b"?=") else { return Found::NothingMore };
    // RFC 2231 §5: a language may follow the charset.
    let charset = charset.split(|&octet| octet == b'*').next().unwrap_or(charset);
    Found::Word { charset, octets: decode_with(&text[start..start + len]), len: start + len + 2 }
}

fn decode_b(text: &[u8]) -> Vec<u8> {
    let (mut decoder, mut octets) = (Base64Decoder::default(), Vec::new());
    decoder.put(text, &mut octets);
    decoder.end(&mut octets);
    octets
}

/// RFC 2047 §4.2.
fn decode_q(text: &[u8]) -> Vec<u8> {
    let (mut octets, mut at) = (Vec::with_capacity(text.len()), 0);
    while let Some(&octet) = text.get(at) {
        let escaped = match text.get(at + 1..at + 3) {
            Some(&[high, low]) if octet == b'=' => hex(high).zip(hex(low)),
            _ => None,
        };
        at += if escaped.is_some() { 3 } else { 1 };
        match (escaped, octet) {
            (Some((high, low)), _) => octets.push(high << 4 | low),
            (None, b'_') => octets.push(b' '),
            (None, b'\r' | b'\n') => {}
            (None, octet) => octets.push(octet),
        }
    }
    octets
}

struct Reader<'a> {
    text: String,
    /// The last words, not decoded yet, because the next one may go on in the middle of a character.
    held: Option<(&'a [u8], Vec<u8>)>,
}

impl<'a> Reader<'a> {
    /// Text outside of words. Between two words, blanks alone do not count (RFC 2047 §6.2).
    fn plain(&mut self, octets: &[u8], word_follows: bool) {
        let is_blank = octets.iter().all(u8::is_ascii_whitespace);
        if word_follows && is_blank && self.held.is_some() {
            return;
        }
        self.flush();
        if octets.iter().any(|octet| matches!(octet, b'\r' | b'\n')) {
            let unfolded: Vec<u8> = octets.iter().copied().filter(|octet| !matches!(octet, b'\r' | b'\n')).collect();
            self.text.push_str(&charset::guess(&unfolded));
        } else {
            self.text.push_str(&charset::guess(octets));
        }
    }

    fn word(&mut self, charset: &'a [u8], octets: Vec<u8>) {
        match &mut self.held {
            Some((before, held)) if before.eq_ignore_ascii_case(charset) => held.extend_from_slice(&octets),
            _ => {
                self.flush();
                self.held = Some((charset, octets));
            }
        }
    }

    fn flush(&mut self) {
        if let Some((charset, octets)) = self.held.take() {
            self.text.push_str(&charset::decode(charset, &octets));
        }
    }
}

/// Writes text for a field that allows encoded words: as it is if that is safe, encoded otherwise. One line, not folded.
///
/// Control characters become blanks.
pub fn encode(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|octet| matches!(octet, b' '..=b'~')) && !text.contains("=?") {
        return Cow::Borrowed(text);
    }
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let costly = clean.bytes().filter(|octet| !is_plain_q(*octet)).count();
    let is_b = costly * 2 > clean.len();
    let room = WORD_MAX - "=?utf-8?q??=".len();
    let words = split_for(&clean, room, if is_b { |_| 4 } else { q_width });
    Cow::Owned(
        words.iter().map(|word| if is_b { encode_b(word) } else { encode_q(word) }).collect::<Vec<_>>().join(" "),
    )
}

fn is_plain_q(octet: u8) -> bool {
    // RFC 2047 §5 (3): what may stand even in a display name.
    octet.is_ascii_alphanumeric() || b"!*+-/ ".contains(&octet)
}

/// In thirds of a character, because that is what base64 needs.
fn q_width(octet: u8) -> usize {
    if is_plain_q(octet) { 3 } else { 9 }
}

/// Cuts text at characters so that each piece has room once encoded; `width` is in thirds of a character.
fn split_for(text: &str, room: usize, width: fn(u8) -> usize) -> Vec<&str> {
    let (mut pieces, mut start, mut used) = (Vec::new(), 0, 0);
    // Base64 comes in quanta of four.
    let room = room / 4 * 4 * 3;
    for (at, c) in text.char_indices() {
        let needed: usize = text.as_bytes()[at..at + c.len_utf8()].iter().map(|&octet| width(octet)).sum();
        if used + needed > room {
            pieces.push(&text[start..at]);
            (start, used) = (at, 0);
        }
        used += needed;
    }
    pieces.push(&text[start..]);
    pieces
}

fn encode_b(text: &str) -> String {
    let mut encoded = Vec::new();
    encode_base64_unbroken(text.as_bytes(), &mut encoded);
    format!("=?utf-8?b?{}?=", String::from_utf8_lossy(&encoded))
}

fn encode_q(text: &str) -> String {
    let encoded = text.bytes().map(|octet| match octet {
        b' ' => "_".to_owned(),
        octet if is_plain_q(octet) => char::from(octet).to_string(),
        octet => format!("={octet:02X}"),
    });
    format!("=?utf-8?q?{}?=", encoded.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(value: &str) -> String {
        assert_eq!(super::decoded(value.as_bytes()), decode(value.as_bytes()));
        decode(value.as_bytes())
    }

    #[test]
    fn the_examples_of_rfc_2047() {
        // RFC 2047 §8.
        assert_eq!(decoded("=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>"), "Keith Moore <moore@cs.utk.edu>");
        assert_eq!(decoded("=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?="), "Keld Jørn Simonsen");
        assert_eq!(
            decoded(
                "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?="
            ),
            "If you can read this you understand the example."
        );
        for (value, text) in [
            ("(=?ISO-8859-1?Q?a?=)", "(a)"),
            ("(=?ISO-8859-1?Q?a?= b)", "(a b)"),
            ("(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"),
            ("(=?ISO-8859-1?Q?a?=  \r\n   =?ISO-8859-1?Q?b?=)", "(ab)"),
            ("(=?ISO-8859-1?Q?a_b?=)", "(a b)"),
            ("(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"),
        ] {
            assert_eq!(decoded(value), text);
        }
    }

    #[test]
    fn habits_outside_of_the_rfc_are_read() {
        assert_eq!(decoded("=?utf-8?Q?caf=C3?= =?UTF-8?q?=A9?="), "café", "a character torn in two");
        assert_eq!(decoded("=?utf-8?q?two words?="), "two words");
        assert_eq!(decoded("re:=?utf-8?q?a?==?utf-8?q?b?=!"), "re:ab!");
        assert_eq!(decoded("=?utf-8*en?q?a?="), "a");
        assert_eq!(decoded("caf\u{e9} =?utf-8?b?w6k?="), "café é");
        assert_eq!(decode(b"caf\xe9"), "café");
        assert_eq!(decoded("=?x-unknown?q?=C3=A9?="), "é");
    }

    #[test]
    fn what_is_no_word_stays() {
        for value in [
            "=?",
            "=?=",
            "=?utf-8?",
            "=?utf-8?x?a?=",
            "=?utf-8?q?a",
            "=? ?q?a?=",
            "=??q?a?=",
            "a =?utf-8?q?a? b",
            "1=?2",
        ] {
            assert_eq!(decoded(value), value);
        }
    }

    #[test]
    fn ascii_stays_readable() {
        assert_eq!(encode("Do you like ketchup?"), "Do you like ketchup?");
        assert_eq!(encode("Käse"), "=?utf-8?q?K=C3=A4se?=");
        assert_eq!(encode("a\r\nBcc: b"), "=?utf-8?q?a__Bcc=3A_b?=");
        assert_eq!(encode("漢字"), "=?utf-8?b?5ryi5a2X?=");
    }

    proptest! {
        #[test]
        fn decode_after_encode_is_identity(text in "\\PC{0,200}|[a-zé漢 ]{0,200}") {
            let encoded = encode(&text);
            prop_assert!(encoded.is_ascii());
            prop_assert!(encoded == text || encoded.split(' ').all(|word| word.len() <= WORD_MAX));
            prop_assert_eq!(&decode(encoded.as_bytes()), &text);
            prop_assert_eq!(&*super::decoded(encoded.as_bytes()), &*text);
        }

        #[test]
        fn nothing_panics(value in proptest::collection::vec(proptest::sample::select(b"=?utf8-qQbB_ A=\r\n\xc3\xa9*".to_vec()), 0..60)) {
            decode(&value);
        }
    }
}

//! Octets in some character set to text.
//!
//! RFC 2045 §5.2 (default), RFC 2046 §4.1.2 (charset parameter); names as the WHATWG lists them, which is what mail really uses.
//!
//! Invariants: never fails; what cannot be decoded is shown as U+FFFD.
//! Not here: transfer encodings (transfer), which charset a part has (tree). UTF-7 is not read: nobody sends it any more,
//! and it has been a way past filters.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// Names that mail uses and the WHATWG list does not have.
const MORE_NAMES: [(&str, &str); 9] = [
    ("cp932", "shift_jis"),
    ("cp936", "gbk"),
    ("cp949", "euc-kr"),
    ("cp950", "big5"),
    ("cp50220", "iso-2022-jp"),
    ("cp50221", "iso-2022-jp"),
    ("iso-2022-jp-1", "iso-2022-jp"),
    ("iso-2022-jp-ms", "iso-2022-jp"),
    ("utf8mb4", "utf-8"),
];

/// Decodes octets whose charset is named; an unknown name, or plain ASCII that is none, is guessed.
pub fn decode<'a>(name: &[u8], octets: &'a [u8]) -> Cow<'a, str> {
    let name = name.trim_ascii();
    match named(name) {
        Some(encoding) if !is_ascii_name(name) => encoding.decode_with_bom_removal(octets).0,
        _ => guess(octets),
    }
}

/// Decodes octets of which nothing is known: UTF-8 if they are that, Windows-1252 otherwise.
pub fn guess(octets: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(octets) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(octets).0,
    }
}

/// Whether the name is of a charset that [`decode`] knows.
pub fn is_known(name: &[u8]) -> bool {
    named(name.trim_ascii()).is_some()
}

/// Whether the name is of a charset that can be relied on: known, and not the ASCII that everything is said to be.
pub(crate) fn says_something(name: &[u8]) -> bool {
    let name = name.trim_ascii();
    named(name).is_some() && !is_ascii_name(name)
}

fn named(name: &[u8]) -> Option<&'static Encoding> {
    let more = MORE_NAMES.iter().find(|(alias, _)| name.eq_ignore_ascii_case(alias.as_bytes()));
    Encoding::for_label_no_replacement(more.map_or(name, |(_, label)| label.as_bytes()))
}

/// The WHATWG takes these for Windows-1252; what says so in mail is UTF-8 as often.
fn is_ascii_name(name: &[u8]) -> bool {
    [&b"us-ascii"[..], b"ascii", b"ansi_x3.4-1968"].iter().any(|ascii| name.eq_ignore_ascii_case(ascii))
}

/// A decoder for text that comes in pieces; see [`Pieces::put`].
pub struct Pieces {
    decoder: encoding_rs::Decoder,
}

impl Pieces {
    /// For a named charset; an unknown one is taken for UTF-8.
    pub fn new(name: &[u8]) -> Self {
        Pieces { decoder: named(name.trim_ascii()).unwrap_or(UTF_8).new_decoder_with_bom_removal() }
    }

    /// Decodes the next octets onto `text`; `last` says that no more will come.
    pub fn put(&mut self, octets: &[u8], last: bool, text: &mut String) {
        if let Some(room) = self.decoder.max_utf8_buffer_length(octets.len()) {
            text.reserve(room);
            // With that much room, the decoder takes everything in one go.
            let _ = self.decoder.decode_to_string(octets, text, last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charsets_are_known_by_the_names_mail_uses() {
        assert_eq!(decode(b"ISO-8859-1", b"caf\xe9"), "café");
        assert_eq!(decode(b" windows-1251 ", b"\xcf\xf0\xe8"), "При");
        assert_eq!(decode(b"iso-2022-jp", b"\x1b$B4A;z\x1b(B"), "漢字");
        assert_eq!(decode(b"CP932", b"\x8a\xbf"), "漢");
        assert_eq!(decode(b"us-ascii", "café".as_bytes()), "café");
        assert_eq!(decode(b"x-unknown", b"caf\xe9"), "café");
        assert!(!is_known(b"x-unknown"));
    }

    #[test]
    fn pieces_of_a_character_are_put_together() {
        let (mut pieces, mut text) = (Pieces::new(b"utf-8"), String::new());
        "é漢".bytes().for_each(|octet| pieces.put(&[octet], false, &mut text));
        pieces.put(b"\xe6", true, &mut text);
        assert_eq!(text, "é漢\u{fffd}");
    }
}

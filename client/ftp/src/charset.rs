//! Names on servers that have them in a charset of their own.
//!
//! RFC 2640 §3.1 wants UTF-8 of everybody; older servers have what their system has. Here a name is UTF-8: what we say is written in
//! the server's charset, and what it lists is read in it.
//!
//! Invariants: a name that the charset cannot write is an error, not another name.
//! Not here: guessing the charset; without one, names are octets, and come and go as they are.

use encoding_rs::{Decoder, Encoding};
use std::fmt;
use std::str::FromStr;

/// A charset by one of its names, such as `windows-1252` or `Shift_JIS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charset(&'static Encoding);

impl FromStr for Charset {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Encoding::for_label(name.trim().as_bytes());
        // Those of two octets a letter have zeros in names.
        let found = found.filter(|found| found.output_encoding() == *found && *found != encoding_rs::UTF_8);
        found.map(Charset).ok_or_else(|| format!("{name}: no charset of names, such as windows-1252 or Shift_JIS"))
    }
}

impl fmt::Display for Charset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl Charset {
    /// As the server has it; nothing for what it cannot have.
    pub(crate) fn write(self, octets: &[u8]) -> Option<Vec<u8>> {
        let (written, _, lost) = self.0.encode(std::str::from_utf8(octets).ok()?);
        (!lost).then(|| written.into_owned())
    }

    /// Reads a listing, which comes in pieces.
    pub(crate) fn reader(self) -> Decoder {
        self.0.new_decoder_without_bom_handling()
    }

    /// The same in one piece.
    pub(crate) fn read(self, octets: &[u8]) -> Vec<u8> {
        self.0.decode_without_bom_handling(octets).0.into_owned().into_bytes()
    }
}

/// A piece of a listing, as UTF-8.
pub(crate) fn read_piece(reader: &mut Decoder, octets: &[u8], last: bool) -> Vec<u8> {
    let room = reader.max_utf8_buffer_length(octets.len()).unwrap_or(octets.len() * 3 + 16);
    let mut text = String::with_capacity(room);
    // There is room for all of it.
    let _ = reader.decode_to_string(octets, &mut text, last);
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let name = "Käse für 5 €".as_bytes();
        let charset: Charset = "latin1".parse().expect("a charset");
        let written = charset.write(name).expect("written");
        assert_eq!(written, b"K\xe4se f\xfcr 5 \x80");
        assert_eq!(charset.read(&written), name);
        assert_eq!(charset.write("日本".as_bytes()), None);
        let japanese: Charset = "Shift_JIS".parse().expect("a charset");
        let written = japanese.write("日本語".as_bytes()).expect("written");
        let mut reader = japanese.reader();
        let (one, two) = written.split_at(3);
        let read = [read_piece(&mut reader, one, false), read_piece(&mut reader, two, true)].concat();
        assert_eq!(read, "日本語".as_bytes());
        for none in ["utf-8", "utf-16le", "klingon"] {
            assert!(none.parse::<Charset>().is_err(), "{none}");
        }
    }
}

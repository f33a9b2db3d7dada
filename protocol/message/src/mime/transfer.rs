//! Transfer encodings: base64 and quoted-printable, both ways, in pieces.
//!
//! RFC 2045 §6 (Content-Transfer-Encoding), §6.7 (quoted-printable), §6.8 (base64).
//!
//! Invariants: decoding never fails and never gives more octets than it took, save for what it held back before;
//! the same octets give the same result wherever they are split; what is encoded is decoded to the same.
//! Not here: which encoding a part has (tree), charsets (charset).

use crate::syntax::without_line_end;

/// RFC 2045 §6.8: the longest line of base64, without its end.
const BASE64_LINE: usize = 76;
/// RFC 2045 §6.7 (5): the longest line of quoted-printable, its soft `=` included, without its end.
const QUOTED_LINE: usize = 76;
/// How many blanks at the end of a quoted-printable line are held back until it is known whether they count;
/// no honest line is longer (RFC 5322 §2.1.1), and of a longer row only the last so many are dropped.
const BLANKS_MAX: usize = 998;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const NOT_BASE64: u8 = 0xff;
const VALUES: [u8; 256] = values();

const fn values() -> [u8; 256] {
    let mut values = [NOT_BASE64; 256];
    let mut at = 0;
    while at < 64 {
        values[ALPHABET[at] as usize] = at as u8;
        at += 1;
    }
    values
}

/// How a body is wrapped for transport.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Encoding {
    /// Short lines of ASCII; also what is meant where nothing is said (RFC 2045 §6.1).
    #[default]
    SevenBit,
    /// Short lines with octets beyond ASCII.
    EightBit,
    /// Anything.
    Binary,
    /// RFC 2045 §6.7.
    QuotedPrintable,
    /// RFC 2045 §6.8.
    Base64,
    /// A name that nobody knows, in lower case: the content cannot be understood (RFC 2045 §6.4).
    Unknown(String),
}

impl Encoding {
    /// Reads the value of a Content-Transfer-Encoding field; comments and stray blanks do not matter.
    pub fn parse(value: &[u8]) -> Self {
        let word = super::params::first_word(value);
        match word.as_str() {
            "" | "7bit" => Encoding::SevenBit,
            "8bit" => Encoding::EightBit,
            "binary" => Encoding::Binary,
            "quoted-printable" => Encoding::QuotedPrintable,
            "base64" => Encoding::Base64,
            _ => Encoding::Unknown(word),
        }
    }

    /// Its name as the RFC spells it.
    pub fn name(&self) -> &str {
        match self {
            Encoding::SevenBit => "7bit",
            Encoding::EightBit => "8bit",
            Encoding::Binary => "binary",
            Encoding::QuotedPrintable => "quoted-printable",
            Encoding::Base64 => "base64",
            Encoding::Unknown(name) => name,
        }
    }

    /// Decodes a whole body; what is not encoded, or unknown, comes back as it is.
    pub fn decode(&self, body: &[u8]) -> Vec<u8> {
        let (mut decoder, mut decoded) = (Decoder::new(self), Vec::with_capacity(body.len()));
        decoder.put(body, &mut decoded);
        decoder.end(&mut decoded);
        decoded
    }
}

/// Decodes a body that comes in pieces.
#[derive(Debug, Clone)]
pub enum Decoder {
    /// Nothing is to be done.
    Plain,
    /// Base64.
    Base64(Base64Decoder),
    /// Quoted-printable.
    QuotedPrintable(QuotedDecoder),
}

impl Decoder {
    /// For an encoding.
    pub fn new(encoding: &Encoding) -> Self {
        match encoding {
            Encoding::Base64 => Decoder::Base64(Base64Decoder::default()),
            Encoding::QuotedPrintable => Decoder::QuotedPrintable(QuotedDecoder::default()),
            _ => Decoder::Plain,
        }
    }

    /// Decodes the next octets onto `decoded`.
    pub fn put(&mut self, octets: &[u8], decoded: &mut Vec<u8>) {
        match self {
            Decoder::Plain => decoded.extend_from_slice(octets),
            Decoder::Base64(decoder) => decoder.put(octets, decoded),
            Decoder::QuotedPrintable(decoder) => decoder.put(octets, decoded),
        }
    }

    /// No more will come.
    pub fn end(&mut self, decoded: &mut Vec<u8>) {
        match self {
            Decoder::Plain => {}
            Decoder::Base64(decoder) => decoder.end(decoded),
            Decoder::QuotedPrintable(decoder) => decoder.end(decoded),
        }
    }
}

/// Base64, leniently: what is not of the alphabet is passed over, padding may be missing, and behind padding it goes on.
#[derive(Debug, Clone, Default)]
pub struct Base64Decoder {
    /// The bits of the quantum that is under way.
    bits: u32,
    /// How many characters of it there are: 0 to 3.
    count: u8,
}

impl Base64Decoder {
    /// Decodes the next octets onto `decoded`.
    pub fn put(&mut self, octets: &[u8], decoded: &mut Vec<u8>) {
        decoded.reserve(octets.len() / 4 * 3 + 3);
        for &octet in octets {
            match VALUES[usize::from(octet)] {
                NOT_BASE64 if octet == b'=' => self.end(decoded),
                NOT_BASE64 => {}
                value => {
                    self.bits = self.bits << 6 | u32::from(value);
                    self.count += 1;
                    if self.count == 4 {
                        decoded.extend_from_slice(&self.bits.to_be_bytes()[1..]);
                        (self.bits, self.count) = (0, 0);
                    }
                }
            }
        }
    }

    /// Gives what an incomplete quantum holds: two characters are one octet, three are two, one is none.
    pub fn end(&mut self, decoded: &mut Vec<u8>) {
        match self.count {
            2 => decoded.push((self.bits >> 4) as u8),
            3 => decoded.extend_from_slice(&((self.bits >> 2) as u16).to_be_bytes()),
            _ => {}
        }
        (self.bits, self.count) = (0, 0);
    }
}

/// Quoted-printable, leniently: an `=` that encodes nothing stands for itself (RFC 2045 §6.7, note 2).
#[derive(Debug, Clone, Default)]
pub struct QuotedDecoder {
    /// Blanks that vanish if the line ends behind them, and a CR behind those.
    blanks: Vec<u8>,
    escape: Escape,
}

/// How much of an `=XY` or of a soft line end has been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Escape {
    #[default]
    None,
    /// `=`
    Equals,
    /// `=` and a hexadecimal digit.
    Digit(u8),
    /// `=`, and blanks that other software has put at the line's end.
    Blank,
    /// `=`, perhaps blanks, and a CR.
    Cr,
}

impl QuotedDecoder {
    /// Decodes the next octets onto `decoded`.
    pub fn put(&mut self, octets: &[u8], decoded: &mut Vec<u8>) {
        for &octet in octets {
            self.octet(octet, decoded);
        }
    }

    /// No more will come: what was held back stands for itself, blanks at the very end are dropped.
    pub fn end(&mut self, decoded: &mut Vec<u8>) {
        if let Escape::Digit(digit) = self.escape {
            decoded.extend_from_slice(&[b'=', digit]);
        }
        if self.blanks.ends_with(b"\r") {
            decoded.push(b'\r');
        }
        *self = QuotedDecoder::default();
    }

    fn octet(&mut self, octet: u8, decoded: &mut Vec<u8>) {
        match (self.escape, octet) {
            (Escape::None, _) => self.plain(octet, decoded),
            (Escape::Equals, b'0'..=b'9' | b'A'..=b'F' | b'a'..=b'f') => self.escape = Escape::Digit(octet),
            (Escape::Equals | Escape::Blank, b' ' | b'\t') => self.escape = Escape::Blank,
            (Escape::Equals | Escape::Blank, b'\r') => self.escape = Escape::Cr,
            (Escape::Equals | Escape::Blank | Escape::Cr, b'\n') => self.escape = Escape::None,
            (Escape::Digit(high), _) => {
                self.escape = Escape::None;
                match (hex(high), hex(octet)) {
                    (Some(high), Some(low)) => decoded.push(high << 4 | low),
                    _ => self.literally(&[b'=', high], octet, decoded),
                }
            }
            (Escape::Equals, _) => self.literally(b"=", octet, decoded),
            // Blanks behind a stray `=` are lost; they are none that anybody would miss.
            (Escape::Blank, _) => self.literally(b"= ", octet, decoded),
            (Escape::Cr, _) => self.literally(b"=\r", octet, decoded),
        }
    }

    fn literally(&mut self, held: &[u8], octet: u8, decoded: &mut Vec<u8>) {
        self.escape = Escape::None;
        decoded.extend_from_slice(held);
        self.octet(octet, decoded);
    }

    fn plain(&mut self, octet: u8, decoded: &mut Vec<u8>) {
        match octet {
            b'\n' => {
                // RFC 2045 §6.7 (3): blanks at the end of a line were added by transport agents.
                decoded.extend_from_slice(if self.blanks.ends_with(b"\r") { b"\r\n" } else { b"\n" });
                self.blanks.clear();
            }
            b' ' | b'\t' | b'\r' if !self.blanks.ends_with(b"\r") && self.blanks.len() < BLANKS_MAX => {
                self.blanks.push(octet)
            }
            _ => {
                decoded.append(&mut self.blanks);
                match octet {
                    b'=' => self.escape = Escape::Equals,
                    b' ' | b'\t' | b'\r' => self.blanks.push(octet),
                    octet => decoded.push(octet),
                }
            }
        }
    }
}

pub(super) fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// Encodes as base64 in lines of 76 characters, each with its CRLF.
pub fn encode_base64(octets: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(octets.len() / 57 * 78 + 80);
    for line in octets.chunks(BASE64_LINE / 4 * 3) {
        encode_base64_unbroken(line, &mut encoded);
        encoded.extend_from_slice(b"\r\n");
    }
    encoded
}

pub(super) fn encode_base64_unbroken(octets: &[u8], encoded: &mut Vec<u8>) {
    for quantum in octets.chunks(3) {
        let bits = (0..3).fold(0u32, |bits, at| bits << 8 | u32::from(quantum.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let character = ALPHABET[(bits >> (18 - 6 * at) & 63) as usize];
            encoded.push(if at <= quantum.len() { character } else { b'=' });
        }
    }
}

/// Encodes text as quoted-printable. Line ends (LF or CRLF) become CRLF; a lone CR is encoded.
pub fn encode_quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(text.len() + text.len() / 16);
    for line in text.split_inclusive(|&octet| octet == b'\n') {
        let content = without_line_end(line);
        encode_quoted_line(content, &mut encoded);
        if content.len() < line.len() {
            encoded.extend_from_slice(b"\r\n");
        }
    }
    encoded
}

fn encode_quoted_line(line: &[u8], encoded: &mut Vec<u8>) {
    let mut column = 0;
    for (at, &octet) in line.iter().enumerate() {
        let is_last = at + 1 == line.len();
        if column + quoted_width(&line[at..], column) > QUOTED_LINE - usize::from(!is_last) {
            encoded.extend_from_slice(b"=\r\n");
            column = 0;
        }
        let width = quoted_width(&line[at..], column);
        match width {
            1 => encoded.push(octet),
            _ => encoded.extend_from_slice(format!("={octet:02X}").as_bytes()),
        }
        column += width;
    }
}

/// How many characters the first octet of `rest` becomes: 1 as it is, 3 encoded.
fn quoted_width(rest: &[u8], column: usize) -> usize {
    // A From at the start of a line is changed by mbox software, a lone dot by broken SMTP software.
    let is_at_risk = column == 0 && (rest.starts_with(b".") || rest.starts_with(b"From "));
    match rest {
        [b'=', ..] => 3,
        [b'!'..=b'~', ..] if !is_at_risk => 1,
        [b' ' | b'\t', _, ..] => 1,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn base64(text: &[u8]) -> Vec<u8> {
        Encoding::Base64.decode(text)
    }

    fn quoted(text: &[u8]) -> Vec<u8> {
        Encoding::QuotedPrintable.decode(text)
    }

    fn in_pieces(encoding: &Encoding, text: &[u8], size: usize) -> Vec<u8> {
        let (mut decoder, mut decoded) = (Decoder::new(encoding), Vec::new());
        text.chunks(size).for_each(|piece| decoder.put(piece, &mut decoded));
        decoder.end(&mut decoded);
        decoded
    }

    #[test]
    fn base64_is_read_leniently() {
        assert_eq!(base64(b"SGVsbG8sIHdvcmxk"), b"Hello, world");
        assert_eq!(base64(b"SGVs\r\nbG8="), b"Hello");
        assert_eq!(base64(b"SGVsbG8"), b"Hello", "the last quantum without padding counts");
        assert_eq!(base64(b"SGVsbG8=IHdvcmxk"), b"Hello world", "behind padding it goes on");
        assert_eq!(base64(b"S!G-V_s b\0G8==="), b"Hello");
        assert_eq!(base64(b"A"), b"");
    }

    #[test]
    fn quoted_printable_is_read_leniently() {
        assert_eq!(quoted(b"caf=E9 =3D=\r\n soft  \r\nx=  \r\ny"), b"caf\xe9 = soft\r\nxy");
        assert_eq!(quoted(b"a=e9=\nb \nc"), b"a\xe9b\nc");
        assert_eq!(quoted(b"=ZZ =4 =4Z == =\rx"), b"=ZZ =4 =4Z == =\rx");
        assert_eq!(quoted(b"end="), b"end");
        assert_eq!(quoted(b"end=4"), b"end=4");
        assert_eq!(quoted(b"a\rb\r\n"), b"a\rb\r\n");
    }

    #[test]
    fn encoded_lines_are_short_and_safe() {
        let text = "From me\r\n.\r\ntrailing \r\nkäse = cheese, and a line that is much too long to stand in one line of mail\n".repeat(3);
        let encoded = encode_quoted_printable(text.as_bytes());
        assert_eq!(quoted(&encoded), text.replace("\r\n", "\n").replace('\n', "\r\n").as_bytes());
        for line in encoded.split(|&octet| octet == b'\n') {
            assert!(
                line.len() <= QUOTED_LINE + 1
                    && line.is_ascii()
                    && !line.starts_with(b"From ")
                    && !line.starts_with(b".")
            );
        }
    }

    #[test]
    fn encodings_are_known_by_name() {
        assert_eq!(Encoding::parse(b" Base64 (really)"), Encoding::Base64);
        assert_eq!(Encoding::parse(b"(x) quoted-printable;"), Encoding::QuotedPrintable);
        assert_eq!(Encoding::parse(b""), Encoding::SevenBit);
        assert_eq!(Encoding::parse(b"X-UUE"), Encoding::Unknown("x-uue".into()));
    }

    proptest! {
        #[test]
        fn decode_after_encode_is_identity(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(base64(&encode_base64(&octets)), &octets[..]);
            let text: Vec<u8> = octets.iter().copied().filter(|&octet| octet != b'\n').collect();
            prop_assert_eq!(quoted(&encode_quoted_printable(&text)), text);
        }

        #[test]
        fn pieces_do_not_matter(text in proptest::collection::vec(proptest::sample::select(b"=\r\n \tA4z9+/\xff".to_vec()), 0..80), size in 1usize..9) {
            for encoding in [Encoding::Base64, Encoding::QuotedPrintable] {
                let whole = encoding.decode(&text);
                prop_assert_eq!(in_pieces(&encoding, &text, size), &whole[..]);
                prop_assert!(whole.len() <= text.len());
            }
        }
    }
}

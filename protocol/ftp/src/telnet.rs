//! The control connection's lines, and the little of Telnet that they may hold.
//!
//! RFC 959 §4.1.3 (IAC IP, Synch, then ABOR or STAT); RFC 1123 §4.1.2.10 (lines and packets have nothing to do with
//! each other), §4.1.2.12 (options are refused, IP and Synch accepted); RFC 2640 §3.1 (CR NUL is a CR).
//!
//! A line ends in LF; the CR before it belongs to the end, but may be missing, because scripts and netcat leave it out.
//! CR NUL is a CR of the line, and an LF behind that is of the line too: `foo CR NUL LF bar` is one line of RFC 2640 §3.1.
//! IAC IAC is the octet 0xFF. IAC with a command is taken away, and offers of options are refused.
//! IAC with anything else is no Telnet: at the start of a line it is what urgent data have left when the Data Mark was
//! sent out of band and lost, and only the IAC is taken away, as are IP and Data Mark whose IAC was lost; inside a line it is an octet of a name in an old charset.
//!
//! Invariants: the same octets give the same lines wherever they are cut; at most `COMMAND_LINE_MAX_OCTETS` are ever held
//! by the caller.
//! Not here: what a line says (command, reply).

use std::borrow::Cow;

/// A path of 4,095 octets, each of them doubled: anything longer is no command.
pub const COMMAND_LINE_MAX_OCTETS: usize = 8300;

const SE: u8 = 240;
const DM: u8 = 242;
const IP: u8 = 244;
const SB: u8 = 250;
const WILL: u8 = 251;
const WONT: u8 = 252;
const DO: u8 = 253;
const DONT: u8 = 254;
const IAC: u8 = 255;

/// One look at the front of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look<'a> {
    /// A whole line without its end. Take `taken` octets.
    Whole {
        /// What it says, Telnet taken away.
        text: Cow<'a, [u8]>,
        /// Refusals of the options that it offered, to be sent back.
        refusals: Vec<u8>,
        /// Its length as it came.
        taken: usize,
    },
    /// Telnet before a line. Take `taken` octets.
    Telnet {
        /// What to send back, if anything.
        refusal: Option<[u8; 3]>,
        /// How long it is.
        taken: usize,
    },
    /// A line longer than the limit; it is over now.
    TooLong {
        /// The length of its last piece.
        taken: usize,
    },
    /// A piece of a line longer than the limit, to be thrown away.
    Overflowing {
        /// The length of the piece.
        taken: usize,
    },
    /// No whole line yet; come back with more behind it.
    Partial,
}

/// Finds lines, and remembers how far it has looked.
#[derive(Debug, Clone, Default)]
pub struct ControlLines {
    looked: usize,
    place: Place,
    overflowing: bool,
}

/// What the next octet stands behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    #[default]
    Text,
    Cr,
    CrNul,
    Iac,
    /// IAC WILL, WONT, DO or DONT: one octet more, whatever it is.
    Option(u8),
    /// IAC SB: up to IAC SE. Nobody may begin one with us, but some of it is not a line.
    Sub,
    SubIac,
}

/// What an octet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Octet {
    /// Of the line.
    Text,
    /// A literal 0xFF that no Telnet explains, and this octet, both of the line.
    TextBehindIac,
    /// The LF that ends the line.
    End,
    /// An offer: answer with this.
    Offer([u8; 3]),
    /// Not of the line.
    Telnet,
}

impl Place {
    fn step(&mut self, octet: u8) -> Octet {
        let before = std::mem::take(self);
        match (before, octet) {
            (Place::Sub, IAC) => self.stay(Place::SubIac),
            (Place::SubIac, SE) => Octet::Telnet,
            (Place::Sub | Place::SubIac, _) => self.stay(Place::Sub),
            (Place::Option(DO), _) => Octet::Offer([IAC, WONT, octet]),
            (Place::Option(WILL), _) => Octet::Offer([IAC, DONT, octet]),
            (Place::Option(_), _) => Octet::Telnet,
            (Place::Iac, IAC) => Octet::Text,
            (Place::Iac, SB) => self.stay(Place::Sub),
            (Place::Iac, WILL..=DONT) => self.stay(Place::Option(octet)),
            (Place::Iac, SE..) => Octet::Telnet,
            (Place::Iac, _) => match self.step(octet) {
                Octet::Text => Octet::TextBehindIac,
                other => other,
            },
            (_, IAC) => self.stay(Place::Iac),
            (Place::CrNul, b'\n') => Octet::Text,
            (_, b'\n') => Octet::End,
            (Place::Cr, 0) => self.stay(Place::CrNul),
            (_, b'\r') => {
                *self = Place::Cr;
                Octet::Text
            }
            _ => Octet::Text,
        }
    }

    fn stay(&mut self, place: Place) -> Octet {
        *self = place;
        Octet::Telnet
    }
}

impl ControlLines {
    /// Whether what is looked at next begins a line.
    pub fn at_start(&self) -> bool {
        !self.overflowing
    }

    /// Looks at `bytes`, which begin with what the last look left untaken.
    pub fn look<'a>(&mut self, bytes: &'a [u8]) -> Look<'a> {
        if self.overflowing {
            return self.overflow(bytes);
        }
        if self.looked == 0
            && let Some(look) = telnet_in_front(bytes)
        {
            return look;
        }
        let end = bytes.len().min(COMMAND_LINE_MAX_OCTETS);
        while self.looked < end {
            self.looked += 1;
            if self.place.step(bytes[self.looked - 1]) == Octet::End {
                return self.ended(bytes);
            }
        }
        if end < COMMAND_LINE_MAX_OCTETS {
            return Look::Partial;
        }
        // Exactly so many octets, however many have come: the cut must not depend on packets.
        *self = ControlLines { overflowing: true, ..ControlLines::default() };
        Look::Overflowing { taken: end }
    }

    fn ended<'a>(&mut self, bytes: &'a [u8]) -> Look<'a> {
        let taken = std::mem::take(&mut self.looked);
        self.place = Place::Text;
        let line = &bytes[..taken - 1];
        let (text, refusals) = decoded(line.strip_suffix(b"\r").unwrap_or(line));
        Look::Whole { text, refusals, taken }
    }

    /// Beyond the limit there is no Telnet, only an end to be found.
    fn overflow<'a>(&mut self, bytes: &'a [u8]) -> Look<'a> {
        match memchr::memchr(b'\n', bytes) {
            Some(at) => {
                self.overflowing = false;
                Look::TooLong { taken: at + 1 }
            }
            None if bytes.is_empty() => Look::Partial,
            None => Look::Overflowing { taken: bytes.len() },
        }
    }
}

/// A Telnet command before the line is taken by itself, so that an offer is refused at once.
fn telnet_in_front(bytes: &[u8]) -> Option<Look<'static>> {
    let telnet = |refusal, taken| Some(Look::Telnet { refusal, taken });
    match *bytes {
        [IAC, WILL, option, ..] => telnet(Some([IAC, DONT, option]), 3),
        [IAC, DO, option, ..] => telnet(Some([IAC, WONT, option]), 3),
        [IAC, WONT | DONT, _, ..] => telnet(None, 3),
        [IAC] | [IAC, WILL..=DONT] => Some(Look::Partial),
        [IAC, IAC | SB, ..] => None,
        [IAC, SE..=IAC, ..] => telnet(None, 2),
        [IAC, ..] => telnet(None, 1),
        [DM | IP, ..] => telnet(None, 1),
        _ => None,
    }
}

/// A line without its end: its text, and the answers to what it offered.
pub fn decoded(line: &[u8]) -> (Cow<'_, [u8]>, Vec<u8>) {
    if memchr::memchr2(IAC, 0, line).is_none() {
        return (Cow::Borrowed(line), Vec::new());
    }
    let (mut text, mut refusals, mut place) = (Vec::with_capacity(line.len()), Vec::new(), Place::Text);
    for &octet in line {
        match place.step(octet) {
            Octet::Text | Octet::End => text.push(octet),
            Octet::TextBehindIac => text.extend([IAC, octet]),
            Octet::Offer(refusal) => refusals.extend(refusal),
            Octet::Telnet => {}
        }
    }
    if place == Place::Iac {
        text.push(IAC);
    }
    (Cow::Owned(text), refusals)
}

/// Appends text to a line so that [`decoded`] gives it back: CR gets its NUL, 0xFF is doubled.
pub fn encode(text: &[u8], wire: &mut Vec<u8>) {
    for &octet in text {
        wire.push(octet);
        match octet {
            b'\r' => wire.push(0),
            IAC => wire.push(IAC),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds `input` in pieces of `size` and lists what was found.
    fn found(input: &[u8], size: usize) -> Vec<String> {
        let (mut lines, mut held, mut found) = (ControlLines::default(), Vec::new(), Vec::new());
        for piece in input.chunks(size) {
            held.extend_from_slice(piece);
            loop {
                let taken = match lines.look(&held) {
                    Look::Whole { text, refusals, taken } => {
                        found.push(format!("{:?}", text));
                        found.extend((!refusals.is_empty()).then(|| format!("answer {refusals:?}")));
                        taken
                    }
                    Look::Telnet { refusal, taken } => {
                        found.extend(refusal.map(|refusal| format!("answer {refusal:?}")));
                        taken
                    }
                    Look::TooLong { taken } => {
                        found.push("too long".into());
                        taken
                    }
                    Look::Overflowing { taken } => taken,
                    Look::Partial => break,
                };
                held.drain(..taken);
            }
            assert!(held.len() < COMMAND_LINE_MAX_OCTETS, "what is held stays below the limit");
        }
        found
    }

    fn lines(input: &[u8], expected: &[&[u8]]) {
        let expected: Vec<String> = expected.iter().map(|line| format!("{:?}", Cow::Borrowed(*line))).collect();
        assert_eq!(found(input, 1000), expected, "{input:?}");
    }

    #[test]
    fn lines_end_in_lf_with_or_without_cr() {
        lines(b"USER a\r\nNOOP\n\r\nQUIT\r", &[b"USER a", b"NOOP", b""]);
        lines(b"a\rb\r\n", &[b"a\rb"]);
    }

    #[test]
    fn cr_nul_is_a_cr_and_an_lf_behind_it_is_of_the_line() {
        lines(b"STOR foo\r\0\nboo.bar\r\n", &[b"STOR foo\r\nboo.bar"]);
        lines(b"STOR a\r\0b\r\0\r\n", &[b"STOR a\rb\r"]);
    }

    #[test]
    fn interrupt_and_data_mark_are_taken_away_even_if_the_mark_was_lost() {
        for start in
            [&b"\xff\xf4\xff\xf2"[..], b"\xff\xf4\xff", b"\xff", b"\xff\xf2", b"\xff\xf4", b"\xf4\xff", b"\xf4\xf2"]
        {
            lines(&[start, b"ABOR\r\n"].concat(), &[b"ABOR"]);
        }
        lines(b"AB\xff\xf1OR\r\n", &[b"ABOR"]);
    }

    #[test]
    fn names_keep_their_0xff() {
        lines(b"RETR a\xff\xffb\r\n", &[b"RETR a\xffb"]);
        lines(b"RETR a\xffb\r\n", &[b"RETR a\xffb"]);
        lines(b"RETR a\xff\r\n", &[b"RETR a\xff"]);
    }

    #[test]
    fn offers_are_refused_whatever_the_option() {
        assert_eq!(found(b"\xff\xfb\x0aNOOP\r\n", 1), ["answer [255, 254, 10]", "[78, 79, 79, 80]"]);
        assert_eq!(found(b"\xff\xfd\x06\xff\xfe\x06\xff\xfc\x06", 2), ["answer [255, 252, 6]"]);
        assert_eq!(found(b"N\xff\xfd\nO\r\n", 2), ["[78, 79]", "answer [255, 252, 10]"]);
        assert_eq!(found(b"\xff\xfa\x18\x01\nab\xff\xffc\xff\xf0NO\r\n", 3), ["[78, 79]"]);
    }

    #[test]
    fn a_line_beyond_the_limit_is_taken_away_and_the_next_one_is_read() {
        let long = vec![b'x'; COMMAND_LINE_MAX_OCTETS - 1];
        assert_eq!(found(&[&long[..], b"\r\nNO\r\n"].concat(), 1 << 20), ["too long", "[78, 79]"]);
        let longer = [&long[..], &long, b"\xff\xfd\r\nNO\r\n"].concat();
        assert_eq!(found(&longer, 100), ["too long", "[78, 79]"]);
        assert_eq!(found(&[&long[1..], b"\r\n"].concat(), 1 << 20)[0].matches("120").count(), long.len() - 1);
    }

    #[test]
    fn an_overlong_line_ends_in_the_same_place_however_it_is_cut() {
        let long = vec![b'x'; COMMAND_LINE_MAX_OCTETS - 20];
        let input = [&long[..], b"\r\0\nab\xff\xfd\ncd\r\0\nefghijklmnopqrstuvw\r\0\nNO\r\n"].concat();
        for size in [1, 7, 100, COMMAND_LINE_MAX_OCTETS] {
            assert_eq!(found(&input, size), found(&input, 1 << 20), "{size}");
        }
    }

    fn noise() -> impl Strategy<Value = Vec<u8>> {
        let octet = proptest::sample::select(vec![b'a', b'\r', b'\n', 0, IAC, IAC, DO, WILL, SB, SE, 242, 244]);
        proptest::collection::vec(octet, 0..60)
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(input in noise(), size in 1usize..9) {
            prop_assert_eq!(found(&input, size), found(&input, 1000));
        }

        #[test]
        fn decode_after_encode_is_identity(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut wire = Vec::new();
            encode(&text, &mut wire);
            // A NUL of the text behind a CR is the one octet that Telnet cannot carry.
            prop_assume!(!text.windows(2).any(|pair| pair == b"\r\0"));
            prop_assert_eq!(decoded(&wire), (Cow::Borrowed(&text[..]), Vec::new()));
        }
    }
}

//! Spoils messages in the ways that transport, old software and malice do, the same way every time.
//!
//! For tests of every room that mail passes through: what comes out of here must be carried whole or refused with a reason.
//!
//! Invariants: the same original and seed give the same variants on every machine; a variant is at most
//! [`GROWTH_MAX`] octets longer than the original; the original itself is never spoilt beyond being bytes.
//! Not here: what is to be done with a variant (tests), a general fuzzer (fuzz).

use crate::syntax::line_end;

/// How much longer than its original a variant can be, in octets.
pub const GROWTH_MAX: usize = CHANGES_MAX * STRETCH_MAX;

/// How many changes one variant has at most.
const CHANGES_MAX: usize = 4;

/// The longest stretch that is put in at once: beyond every limit on lines, fields and single header values.
const STRETCH_MAX: usize = 70_000;

/// Octets that mean something somewhere.
const OCTETS: &[u8] = b"\0\r\n\t :;,.-=?\"'()<>@[]\\/%*\x7f\x80\xff\xc3\x1b";

/// Pieces that mean something somewhere.
const PIECES: [&[u8]; 26] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b"\r\n.\r\n",
    b"\n.\n",
    b"\r\n..\r\n",
    b"\r\nFrom ",
    b"\r\nContent-Type: multipart/mixed; boundary=x\r\n",
    b"\r\nContent-Type: message/rfc822\r\n\r\n",
    b"\r\nContent-Transfer-Encoding: base64\r\n",
    b"\r\nReceived: from a by b; Mon, 23 Nov 2026 10:00:00 +0000\r\n",
    b"\r\nFrom: a@x.test, b@y.test\r\n",
    b"\r\nFr om: a@x.test\r\n",
    b"\r\nTo: Group: a@x.test, <@r:b@y.test>, \"c\\\"d\"@z.test;\r\n",
    b"\r\nSubject: =?utf-8?q?caf=C3?= =?utf-8?b?qQ==?=\r\n",
    b"\r\nDate: 31 Feb 99 25:61 XYZ\r\n",
    b"\r\n--x\r\n",
    b"\r\n--x--\r\n",
    b"; filename*0*=utf-8''%C3; filename*1*=%A9",
    b"=?utf-8?b?",
    b"=3D=\r\n",
    b"((((((((",
    b"\"\"\"",
    b"\xff\xfe\0\0",
    b"\xe2\x80\xa8",
];

/// Words that are put in one another's place.
const SWAPS: [(&[u8], &[u8]); 10] = [
    (b"base64", b"quoted-printable"),
    (b"quoted-printable", b"base64"),
    (b"7bit", b"binary"),
    (b"8bit", b"x-uuencode"),
    (b"utf-8", b"utf-16"),
    (b"us-ascii", b"iso-2022-jp"),
    (b"text/plain", b"message/rfc822"),
    (b"text/html", b"multipart/alternative"),
    (b"multipart/", b"text/"),
    (b"boundary", b"bondary"),
];

/// An endless row of variants of a message.
pub fn variants(original: &[u8], seed: u64) -> impl Iterator<Item = Vec<u8>> {
    let mut chance = Chance::new(seed);
    std::iter::repeat_with(move || {
        let mut text = original.to_vec();
        for _ in 0..1 + chance.below(CHANGES_MAX) {
            CHANGES[chance.below(CHANGES.len())](&mut text, &mut chance);
        }
        text
    })
}

/// Xorshift64*: small, fast, and the same everywhere. Good enough to choose, not to keep secrets.
struct Chance(u64);

impl Chance {
    fn new(seed: u64) -> Self {
        // A state of 0 would stay 0 for ever; neighbouring seeds must not give similar rows.
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        (0..8).for_each(|_| {
            chance.number();
        });
        chance
    }

    fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`; 0 if that is 0.
    fn below(&mut self, limit: usize) -> usize {
        if limit == 0 { 0 } else { (self.number() >> 16) as usize % limit }
    }

    fn of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }

    /// A stretch of the text, short ones more often than long ones.
    fn stretch(&mut self, text: &[u8]) -> std::ops::Range<usize> {
        let start = self.below(text.len());
        let widest = [8, 80, 1_000, STRETCH_MAX][self.below(4)];
        let len = self.below(widest.min(text.len() - start) + 1);
        start..start + len
    }

    /// A whole line of the text with its end; in its first part more often than further down.
    fn line(&mut self, text: &[u8]) -> std::ops::Range<usize> {
        let near = if self.below(2) == 0 { text.len().min(4_096) } else { text.len() };
        let at = self.below(near);
        let start = text[..at].iter().rposition(|&octet| octet == b'\n').map_or(0, |lf| lf + 1);
        start..line_end(text, at)
    }

    /// A place where the text has `needle`, if it has it.
    fn place_of(&mut self, text: &[u8], needle: &[u8]) -> Option<usize> {
        let from = self.below(text.len());
        let behind = memchr::memmem::find(&text[from..], needle).map(|at| from + at);
        behind.or_else(|| memchr::memmem::find(text, needle))
    }
}

type Change = fn(&mut Vec<u8>, &mut Chance);

const CHANGES: [Change; 18] = [
    |text, chance| flip_bit(text, chance),
    |text, chance| replace_octet(text, chance),
    insert_octet,
    insert_piece,
    join_lines,
    change_line_end,
    drop_stretch,
    double_stretch,
    move_stretch,
    swap_lines,
    double_line,
    spoil_field_name,
    unfold_or_fold,
    insert_long_line,
    spoil_boundary,
    swap_words,
    cut_end,
    wrap_in_part,
];

fn flip_bit(text: &mut [u8], chance: &mut Chance) {
    let (at, bit) = (chance.below(text.len()), chance.below(8));
    if let Some(octet) = text.get_mut(at) {
        *octet ^= 1 << bit;
    }
}

fn replace_octet(text: &mut [u8], chance: &mut Chance) {
    let (at, with) = (chance.below(text.len()), OCTETS[chance.below(OCTETS.len())]);
    if let Some(octet) = text.get_mut(at) {
        *octet = with;
    }
}

fn insert_octet(text: &mut Vec<u8>, chance: &mut Chance) {
    let at = chance.below(text.len() + 1);
    text.insert(at, OCTETS[chance.below(OCTETS.len())]);
}

fn insert_piece(text: &mut Vec<u8>, chance: &mut Chance) {
    let at = if chance.below(2) == 0 { chance.below(text.len() + 1) } else { chance.line(text).start };
    put(text, at..at, chance.of(&PIECES));
}

fn join_lines(text: &mut Vec<u8>, chance: &mut Chance) {
    let end = chance.line(text).end;
    let start = end - line_end_len(&text[..end]);
    put(text, start..end, b"");
}

fn change_line_end(text: &mut Vec<u8>, chance: &mut Chance) {
    let end = chance.line(text).end;
    let start = end - line_end_len(&text[..end]);
    put(text, start..end, chance.of(&[&b"\n"[..], b"\r", b"\r\r\n", b"\n\r", b"\r\n\r\n", b" \r\n", b"\0\r\n"]));
}

fn drop_stretch(text: &mut Vec<u8>, chance: &mut Chance) {
    let stretch = chance.stretch(text);
    put(text, stretch, b"");
}

fn double_stretch(text: &mut Vec<u8>, chance: &mut Chance) {
    let stretch = chance.stretch(text);
    let copy = text[stretch.clone()].to_vec();
    put(text, stretch.end..stretch.end, &copy);
}

fn move_stretch(text: &mut Vec<u8>, chance: &mut Chance) {
    let stretch = chance.stretch(text);
    let moved = text.drain(stretch).collect::<Vec<_>>();
    let at = chance.below(text.len() + 1);
    put(text, at..at, &moved);
}

fn swap_lines(text: &mut Vec<u8>, chance: &mut Chance) {
    let moved = chance.line(text);
    let moved = text.drain(moved).collect::<Vec<_>>();
    let at = chance.line(text).start;
    put(text, at..at, &moved[..moved.len().min(STRETCH_MAX)]);
}

fn double_line(text: &mut Vec<u8>, chance: &mut Chance) {
    let line = chance.line(text);
    let copy = text[line.clone()][..line.len().min(STRETCH_MAX)].to_vec();
    put(text, line.start..line.start, &copy);
}

/// A blank inside of a field's name, before its colon, another case, or no colon.
fn spoil_field_name(text: &mut Vec<u8>, chance: &mut Chance) {
    let line = chance.line(text);
    let Some(colon) = text[line.clone()].iter().position(|&octet| octet == b':').map(|at| line.start + at) else {
        return;
    };
    match chance.below(5) {
        0 => put(text, colon..colon, b" "),
        1 => put(text, line.start + (colon - line.start) / 2..line.start + (colon - line.start) / 2, b" "),
        2 => text[line.start..colon].make_ascii_uppercase(),
        3 => put(text, colon..colon + 1, b""),
        _ => put(text, colon..colon, b":"),
    }
}

fn unfold_or_fold(text: &mut Vec<u8>, chance: &mut Chance) {
    match (chance.below(2), chance.place_of(text, b" "), chance.place_of(text, b"\r\n ")) {
        (0, _, Some(at)) => put(text, at..at + 2, b""),
        (_, Some(at), _) => put(text, at..at, chance.of(&[&b"\r\n"[..], b"\n", b"\r\n \r\n", b"\r\n\t"])),
        _ => {}
    }
}

fn insert_long_line(text: &mut Vec<u8>, chance: &mut Chance) {
    let octet = *chance.of(&[&b'x', &b' ', &b'a', &b'(', &b'=', &b'"', &b'\xff', &b',']);
    let len = [998, 999, 1_000, 20_000, STRETCH_MAX - 1][chance.below(5)];
    let at = if chance.below(2) == 0 { chance.line(text).start } else { chance.below(text.len() + 1) };
    put(text, at..at, &vec![octet; len]);
}

fn spoil_boundary(text: &mut Vec<u8>, chance: &mut Chance) {
    let Some(at) = chance.place_of(text, b"\n--").map(|at| at + 1) else { return };
    let end = line_end(text, at);
    let end = end - line_end_len(&text[..end]);
    match chance.below(6) {
        0 => put(text, at..at + 1, b""),
        1 => put(text, end - 1..end, b""),
        2 => put(text, end..end, b"--"),
        3 => put(text, end..end, b" \t "),
        4 => put(text, at..at, b" "),
        _ => text[at..end].make_ascii_uppercase(),
    }
}

fn swap_words(text: &mut Vec<u8>, chance: &mut Chance) {
    let (word, with) = SWAPS[chance.below(SWAPS.len())];
    if let Some(at) = chance.place_of(text, word) {
        put(text, at..at + word.len(), with);
    }
}

fn cut_end(text: &mut Vec<u8>, chance: &mut Chance) {
    let keep = text.len() - chance.below(text.len().min(STRETCH_MAX) + 1);
    text.truncate(keep);
}

/// The whole as a part of another message, or as the message inside one.
fn wrap_in_part(text: &mut Vec<u8>, chance: &mut Chance) {
    let boundary = chance.of(&["x", "x--", "=_", "a b"]);
    match chance.below(3) {
        0 => put(text, 0..0, b"Content-Type: message/rfc822\r\n\r\n"),
        1 => put(
            text,
            0..0,
            format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n").as_bytes(),
        ),
        _ => {
            put(
                text,
                0..0,
                format!("Content-Type: multipart/digest; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n\r\n")
                    .as_bytes(),
            );
            text.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        }
    }
}

/// Puts octets in the place of others.
fn put(text: &mut Vec<u8>, place: std::ops::Range<usize>, with: &[u8]) {
    text.splice(place, with.iter().copied());
}

fn line_end_len(text: &[u8]) -> usize {
    text.len() - crate::syntax::without_line_end(text).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] =
        b"From: a@b.test\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nbase64 =41\r\n--b--\r\n";

    #[test]
    fn the_same_seed_gives_the_same_variants_and_another_gives_others() {
        let some = |seed| variants(MESSAGE, seed).take(50).collect::<Vec<_>>();
        assert_eq!(some(1), some(1));
        assert_ne!(some(1), some(2));
        assert!(some(0).iter().any(|variant| variant != MESSAGE));
    }

    #[test]
    fn every_change_changes_something_and_bounds_hold() {
        for (at, change) in CHANGES.iter().enumerate() {
            let mut chance = Chance::new(at as u64);
            let changed = (0..50).filter(|_| {
                let mut text = MESSAGE.to_vec();
                change(&mut text, &mut chance);
                assert!(text.len() <= MESSAGE.len() + STRETCH_MAX);
                text != MESSAGE
            });
            assert!(changed.count() > 5, "change {at}");
        }
    }

    #[test]
    fn the_smallest_messages_can_be_spoilt_too() {
        for original in [&b""[..], b"x", b"\r\n", b"\n--"] {
            for variant in variants(original, 3).take(2_000) {
                assert!(variant.len() <= original.len() + GROWTH_MAX);
            }
        }
    }
}

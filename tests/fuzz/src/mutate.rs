//! Mutations of an input, the same for ever: which one is known by the seed and a number.
//!
//! Not here: coverage; that is what libFuzzer is for.

/// What breaks parsers more often than chance would.
const WORDS: [&[u8]; 24] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b".",
    b"\r\n.\r\n",
    b"\n.\n",
    b"..",
    b" ",
    b"\t",
    b"<>",
    b"@",
    b"\"",
    b"\\",
    b"(",
    b":",
    b";",
    b"=?",
    b"?=",
    b"--",
    b"\xff",
    b"\xc3\xa9",
    b"99999999999999999999",
    b"=",
];

/// A small generator of numbers that look like chance (splitmix64).
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// Always the same numbers for the same seed.
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `end`; 0 if there is none.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.draw() % end as u64) as usize }
    }
}

/// One to four small changes; `other` is a second seed to take pieces from.
pub fn mutated(input: &[u8], other: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut text = input.to_vec();
    for _ in 0..=chance.below(4) {
        change(&mut text, other, chance);
    }
    text
}

fn change(text: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    let at = chance.below(text.len() + 1);
    let until = at + chance.below(text.len() + 1 - at).min(chance.below(64));
    match chance.below(8) {
        0 if at < text.len() => text[at] = chance.draw() as u8,
        1 if at < text.len() => text[at] ^= 1 << chance.below(8),
        2 => drop(text.drain(at..until)),
        3 => {
            let piece = text[at..until].to_vec();
            text.splice(at..at, piece.repeat(1 + chance.below(8)));
        }
        4 => text.truncate(at),
        5 => {
            let start = chance.below(other.len() + 1);
            let end = start + chance.below(other.len() + 1 - start);
            text.splice(at..until, other[start..end].iter().copied());
        }
        _ => {
            let word = WORDS[chance.below(WORDS.len())];
            text.splice(at..until, word.iter().copied());
        }
    }
}

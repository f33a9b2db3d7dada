//! MD5, for old clients that compare files by it. It protects from accidents, not from people.
//!
//! RFC 1321 §3.

/// Left rotations of the four rounds (RFC 1321 §3.4).
const ROTATIONS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// 2^32 times the sine of 1 to 64 (RFC 1321 §3.4).
const SINES: [u32; 64] = [
    0xd76a_a478,
    0xe8c7_b756,
    0x2420_70db,
    0xc1bd_ceee,
    0xf57c_0faf,
    0x4787_c62a,
    0xa830_4613,
    0xfd46_9501,
    0x6980_98d8,
    0x8b44_f7af,
    0xffff_5bb1,
    0x895c_d7be,
    0x6b90_1122,
    0xfd98_7193,
    0xa679_438e,
    0x49b4_0821,
    0xf61e_2562,
    0xc040_b340,
    0x265e_5a51,
    0xe9b6_c7aa,
    0xd62f_105d,
    0x0244_1453,
    0xd8a1_e681,
    0xe7d3_fbc8,
    0x21e1_cde6,
    0xc337_07d6,
    0xf4d5_0d87,
    0x455a_14ed,
    0xa9e3_e905,
    0xfcef_a3f8,
    0x676f_02d9,
    0x8d2a_4c8a,
    0xfffa_3942,
    0x8771_f681,
    0x6d9d_6122,
    0xfde5_380c,
    0xa4be_ea44,
    0x4bde_cfa9,
    0xf6bb_4b60,
    0xbebf_bc70,
    0x289b_7ec6,
    0xeaa1_27fa,
    0xd4ef_3085,
    0x0488_1d05,
    0xd9d4_d039,
    0xe6db_99e5,
    0x1fa2_7cf8,
    0xc4ac_5665,
    0xf429_2244,
    0x432a_ff97,
    0xab94_23a7,
    0xfc93_a039,
    0x655b_59c3,
    0x8f0c_cc92,
    0xffef_f47d,
    0x8584_5dd1,
    0x6fa8_7e4f,
    0xfe2c_e6e0,
    0xa301_4314,
    0x4e08_11a1,
    0xf753_7e82,
    0xbd3a_f235,
    0x2ad7_d2bb,
    0xeb86_d391,
];

const BLOCK: usize = 64;

/// A sum being made.
#[derive(Clone)]
pub(crate) struct Md5 {
    state: [u32; 4],
    octets: u64,
    /// The beginning of the next block.
    partial: [u8; BLOCK],
}

impl Md5 {
    pub(crate) fn new() -> Md5 {
        Md5 { state: [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476], octets: 0, partial: [0; BLOCK] }
    }

    pub(crate) fn update(&mut self, mut octets: &[u8]) {
        let held = (self.octets % BLOCK as u64) as usize;
        self.octets = self.octets.wrapping_add(octets.len() as u64);
        if held > 0 {
            let (first, rest) = octets.split_at(octets.len().min(BLOCK - held));
            self.partial[held..held + first.len()].copy_from_slice(first);
            octets = rest;
            if held + first.len() < BLOCK {
                return;
            }
            let block = self.partial;
            self.mix(&block);
        }
        let (blocks, rest) = octets.as_chunks::<BLOCK>();
        blocks.iter().for_each(|block| self.mix(block));
        self.partial[..rest.len()].copy_from_slice(rest);
    }

    pub(crate) fn finish(mut self) -> [u8; 16] {
        let bits = self.octets.wrapping_mul(8);
        let held = (self.octets % BLOCK as u64) as usize;
        let zeros = if held < 56 { 55 - held } else { 119 - held };
        self.update(&[&[0x80][..], &[0; BLOCK][..zeros], &bits.to_le_bytes()].concat());
        let mut sum = [0; 16];
        for (four, word) in sum.as_chunks_mut::<4>().0.iter_mut().zip(self.state) {
            *four = word.to_le_bytes();
        }
        sum
    }

    fn mix(&mut self, block: &[u8; BLOCK]) {
        let mut words = [0; 16];
        for (word, four) in words.iter_mut().zip(block.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*four);
        }
        let [mut a, mut b, mut c, mut d] = self.state;
        for step in 0..64 {
            let (chosen, word) = match step / 16 {
                0 => ((b & c) | (!b & d), step),
                1 => ((b & d) | (c & !d), (5 * step + 1) % 16),
                2 => (b ^ c ^ d, (3 * step + 5) % 16),
                _ => (c ^ (b | !d), (7 * step) % 16),
            };
            let sum = a.wrapping_add(chosen).wrapping_add(SINES[step]).wrapping_add(words[word]);
            let turned = b.wrapping_add(sum.rotate_left(ROTATIONS[step / 16][step % 4]));
            (a, d, c, b) = (d, c, b, turned);
        }
        for (word, change) in self.state.iter_mut().zip([a, b, c, d]) {
            *word = word.wrapping_add(change);
        }
    }
}

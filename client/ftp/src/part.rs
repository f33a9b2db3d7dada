//! Names of what is not whole yet.
//!
//! `.menu.txt.5f3a09c1.part` stands beside `menu.txt`. The digits are of the source's size and time: a source that has changed
//! has another part, so what was begun of the old one is not gone on with.
//!
//! Invariants: a part's name is a name wherever the file's is, at most 255 octets long; it begins with a dot.

use ftp::path::NAME_MAX_OCTETS;
use std::ops::Range;

/// What is at the end of a part's name.
const END: &[u8] = b".part";

/// A point and eight digits.
const TAG_OCTETS: usize = 9;

/// The name of a part of `name`, whose source has this size and this time.
pub fn part_name(name: &[u8], size: Option<u64>, time: Option<i64>) -> Vec<u8> {
    tagged(name, &[size.unwrap_or(u64::MAX).to_be_bytes(), time.unwrap_or(i64::MIN).to_be_bytes()])
}

/// The name of a part that is like no other: what comes through a pipe has no size and no time, and is not gone on with.
pub fn new_part_name(name: &[u8], chance: u64) -> Vec<u8> {
    tagged(name, &[chance.to_be_bytes()])
}

/// The name of a piece of such a part: of all of it, too.
pub fn piece_name(name: &[u8], size: u64, time: Option<i64>, piece: &Range<u64>) -> Vec<u8> {
    let whose = [size.to_be_bytes(), time.unwrap_or(i64::MIN).to_be_bytes()];
    tagged(name, &[whose[0], whose[1], piece.start.to_be_bytes(), piece.end.to_be_bytes()])
}

fn tagged(name: &[u8], numbers: &[[u8; 8]]) -> Vec<u8> {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(name);
    numbers.iter().for_each(|number| hasher.update(number));
    let tag = format!(".{:08x}", hasher.finalize());
    let room = NAME_MAX_OCTETS - 1 - tag.len() - END.len();
    let mut cut = name.len().min(room);
    // Not within a letter of UTF-8: some file systems refuse what is none.
    while cut < name.len() && cut > 0 && name[cut] & 0xC0 == 0x80 {
        cut -= 1;
    }
    [b".", &name[..cut], tag.as_bytes(), END].concat()
}

/// Whether a name is one of a part: what was begun is of no tree.
pub fn is_part(name: &[u8]) -> bool {
    stem(name).is_some()
}

/// Whether it is a part of the file of this name.
pub fn is_part_of(name: &[u8], whole: &[u8]) -> bool {
    stem(name).is_some_and(|stem| stem == whole)
}

fn stem(name: &[u8]) -> Option<&[u8]> {
    let inside = name.strip_prefix(b".")?.strip_suffix(END)?;
    let (stem, tag) = inside.split_at_checked(inside.len().checked_sub(TAG_OCTETS)?)?;
    (tag[0] == b'.' && tag[1..].iter().all(u8::is_ascii_hexdigit)).then_some(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_belongs_to_one_version_of_one_file() {
        let part = part_name(b"menu.txt", Some(5), Some(7));
        assert!(part.starts_with(b".menu.txt.") && part.ends_with(b".part"));
        assert_eq!(part, part_name(b"menu.txt", Some(5), Some(7)));
        assert!(is_part(&part) && is_part_of(&part, b"menu.txt") && !is_part_of(&part, b"menu"));
        assert!(!is_part(b".part") && !is_part(b".menu.part") && !is_part(b"menu.txt.5f3a09c1.part"));
        for other in [part_name(b"menu.txt", Some(6), Some(7)), part_name(b"menu.txt", Some(5), None)] {
            assert_ne!(part, other);
        }
    }

    #[test]
    fn pieces_and_what_they_are_joined_to_have_names_of_their_own() {
        let piece = |stretch: std::ops::Range<u64>| piece_name(b"menu.txt", 5, Some(7), &stretch);
        let names = [part_name(b"menu.txt", Some(5), Some(7)), piece(0..5), piece(0..3), piece(3..5)];
        for (at, name) in names.iter().enumerate() {
            assert!(is_part_of(name, b"menu.txt"));
            assert!(!names[..at].contains(name));
        }
    }

    #[test]
    fn long_names_are_cut_between_letters() {
        let name = "ü".repeat(127);
        let part = part_name(name.as_bytes(), None, None);
        assert!(part.len() <= NAME_MAX_OCTETS && String::from_utf8(part).is_ok());
        assert_ne!(
            part_name(&[b'x'; 255], None, None),
            part_name(&[[b'x'; 254].as_slice(), b"y"].concat(), None, None)
        );
    }
}

//! The hash functions that a client may ask for, by their names.
//!
//! draft-bryan-ftpext-hash-02 §3.1 (names, HASH); the X verbs are older and were never written down.
//!
//! Not here: counting (house/files), when (server).

/// A hash function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HashKind {
    /// For errors of the line, not of people.
    Crc32,
    /// Broken; old clients know nothing else.
    Md5,
    /// Broken; the draft demands it.
    Sha1,
    /// What to use.
    Sha256,
    /// As good, and faster on some machines.
    Sha512,
}

impl HashKind {
    /// All of them, best first: the first one is the default of HASH.
    pub const ALL: [HashKind; 5] = [HashKind::Sha256, HashKind::Sha512, HashKind::Sha1, HashKind::Md5, HashKind::Crc32];

    /// As the registry of hash function names has it.
    pub fn name(self) -> &'static str {
        match self {
            HashKind::Crc32 => "CRC32",
            HashKind::Md5 => "MD5",
            HashKind::Sha1 => "SHA-1",
            HashKind::Sha256 => "SHA-256",
            HashKind::Sha512 => "SHA-512",
        }
    }

    /// In any case.
    pub fn parse(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| name.eq_ignore_ascii_case(kind.name().as_bytes()))
    }

    /// Octets of its result.
    pub fn digest_octets(self) -> usize {
        match self {
            HashKind::Crc32 => 4,
            HashKind::Md5 => 16,
            HashKind::Sha1 => 20,
            HashKind::Sha256 => 32,
            HashKind::Sha512 => 64,
        }
    }
}

/// Octets as hexadecimal digits in lower case (draft-bryan-ftpext-hash-02 §3).
pub fn hex(octets: &[u8]) -> String {
    octets
        .iter()
        .flat_map(|octet| [octet >> 4, octet & 15])
        .filter_map(|nibble| char::from_digit(nibble.into(), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_case() {
        for kind in HashKind::ALL {
            assert_eq!(HashKind::parse(kind.name().to_lowercase().as_bytes()), Some(kind));
        }
        assert_eq!(HashKind::parse(b"CRC-37"), None);
        assert_eq!(hex(&[0, 0x9f, 0xff]), "009fff");
    }
}

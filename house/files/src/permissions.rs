//! What an account may do in a directory.
//!
//! Invariants: a rule holds for its directory and everything below, down to the next rule; what is not permitted is
//! refused. Not here: what the operating system allows, which is asked besides.

use std::fmt;
use std::ops::{BitAnd, BitOr, Sub};

use crate::path::JailedPath;

/// A set of things that may be done in a directory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Permissions(u16);

impl Permissions {
    /// Nothing at all.
    pub const NONE: Permissions = Permissions(0);
    /// See which names there are, and their facts.
    pub const LIST: Permissions = Permissions(1);
    /// Read files, and their checksums.
    pub const READ: Permissions = Permissions(1 << 1);
    /// Replace a file that exists, and set its time.
    pub const WRITE: Permissions = Permissions(1 << 2);
    /// Append to a file that exists.
    pub const APPEND: Permissions = Permissions(1 << 3);
    /// Make a file (or a link) that does not exist yet.
    pub const CREATE: Permissions = Permissions(1 << 4);
    /// Remove files and links.
    pub const DELETE: Permissions = Permissions(1 << 5);
    /// Give another name to what stands here, or move it here.
    pub const RENAME: Permissions = Permissions(1 << 6);
    /// Make directories.
    pub const MKDIR: Permissions = Permissions(1 << 7);
    /// Remove directories that are empty.
    pub const RMDIR: Permissions = Permissions(1 << 8);
    /// Set the mode of files and directories.
    pub const CHMOD: Permissions = Permissions(1 << 9);

    /// Everything.
    pub const ALL: Permissions = Permissions((1 << 10) - 1);
    /// Look and fetch.
    pub const READ_ONLY: Permissions = Permissions(Self::LIST.0 | Self::READ.0);
    /// A drop box: hand in what was not there before, and see nothing.
    pub const DROP_BOX: Permissions = Self::CREATE;

    /// Whether all of `wanted` is permitted.
    pub fn allow(self, wanted: Permissions) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// Whether at least one of `wanted` is permitted.
    pub fn allow_any(self, wanted: Permissions) -> bool {
        self.0 & wanted.0 != 0
    }

    /// Reads words with commas between them, as [`Display`](fmt::Display) writes them. The word that is none is the error.
    pub fn from_words(words: &str) -> Result<Permissions, &str> {
        words
            .split(',')
            .map(str::trim)
            .try_fold(Permissions::NONE, |all, word| Permissions::from_word(word).map(|one| all | one).ok_or(word))
    }

    /// Reads one word: `list`, `read` …, or `full`, `none`, `read-only`, `drop-box`.
    pub fn from_word(word: &str) -> Option<Permissions> {
        WORDS.iter().chain(PRESETS).find(|(_, known)| *known == word).map(|(permissions, _)| *permissions)
    }
}

const WORDS: &[(Permissions, &str)] = &[
    (Permissions::LIST, "list"),
    (Permissions::READ, "read"),
    (Permissions::WRITE, "write"),
    (Permissions::APPEND, "append"),
    (Permissions::CREATE, "create"),
    (Permissions::DELETE, "delete"),
    (Permissions::RENAME, "rename"),
    (Permissions::MKDIR, "mkdir"),
    (Permissions::RMDIR, "rmdir"),
    (Permissions::CHMOD, "chmod"),
];

const PRESETS: &[(Permissions, &str)] = &[
    (Permissions::NONE, "none"),
    (Permissions::ALL, "full"),
    (Permissions::READ_ONLY, "read-only"),
    (Permissions::DROP_BOX, "drop-box"),
];

impl BitOr for Permissions {
    type Output = Permissions;
    fn bitor(self, other: Permissions) -> Permissions {
        Permissions(self.0 | other.0)
    }
}

impl BitAnd for Permissions {
    type Output = Permissions;
    fn bitand(self, other: Permissions) -> Permissions {
        Permissions(self.0 & other.0)
    }
}

impl Sub for Permissions {
    type Output = Permissions;
    fn sub(self, other: Permissions) -> Permissions {
        Permissions(self.0 & !other.0)
    }
}

/// The words, with commas between them: `list,read`.
impl fmt::Display for Permissions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Permissions::NONE {
            return out.write_str("none");
        }
        let words: Vec<_> = WORDS.iter().filter(|(one, _)| self.allow(*one)).map(|(_, word)| *word).collect();
        out.write_str(&words.join(","))
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

/// What holds in one directory of a mount and below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The directory, seen from the top of the mount. It must be named truly, not through a link.
    pub at: JailedPath,
    /// What may be done there.
    pub permissions: Permissions,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_sets_belong_together() {
        for (one, word) in WORDS {
            assert_eq!(Permissions::from_word(word), Some(*one));
            assert_eq!(one.to_string(), *word);
        }
        let all = WORDS.iter().fold(Permissions::NONE, |all, (one, _)| all | *one);
        assert_eq!(all, Permissions::ALL);
        assert_eq!(Permissions::from_word("full"), Some(all));
        assert_eq!(Permissions::from_word("read-only").unwrap().to_string(), "list,read");
        assert_eq!(Permissions::from_word("everything"), None);
        for set in [Permissions::NONE, all, Permissions::READ_ONLY | Permissions::CREATE] {
            assert_eq!(Permissions::from_words(&set.to_string()), Ok(set));
        }
        assert_eq!(Permissions::from_words("read-only, drop-box"), Ok(Permissions::READ_ONLY | Permissions::CREATE));
        assert_eq!(Permissions::from_words("list,fly"), Err("fly"));
        assert!(!(Permissions::ALL - Permissions::READ).allow(Permissions::READ));
    }
}

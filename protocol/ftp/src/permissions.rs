//! What an account may do at all.
//!
//! Not here: what it may do in which directory (house/files decides, and is asked in any case).

use std::fmt;

/// A set of permissions.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions(u16);

/// Their names, in the order of their bits.
const NAMES: [&str; 10] = ["list", "read", "write", "append", "create", "delete", "rename", "mkdir", "rmdir", "chmod"];

impl Permissions {
    /// None of them, or none needed.
    pub const NONE: Permissions = Permissions(0);
    /// See what is there.
    pub const LIST: Permissions = Permissions(1);
    /// Fetch files.
    pub const READ: Permissions = Permissions(2);
    /// Replace files.
    pub const WRITE: Permissions = Permissions(4);
    /// Lengthen files.
    pub const APPEND: Permissions = Permissions(8);
    /// Make new files and links.
    pub const CREATE: Permissions = Permissions(16);
    /// Delete files.
    pub const DELETE: Permissions = Permissions(32);
    /// Rename and move.
    pub const RENAME: Permissions = Permissions(64);
    /// Make directories.
    pub const MAKE_DIRECTORY: Permissions = Permissions(128);
    /// Remove directories.
    pub const REMOVE_DIRECTORY: Permissions = Permissions(256);
    /// Change mode bits.
    pub const CHANGE: Permissions = Permissions(512);
    /// All of them.
    pub const ALL: Permissions = Permissions((1 << NAMES.len()) - 1);

    /// Both.
    pub const fn and(self, other: Permissions) -> Permissions {
        Permissions(self.0 | other.0)
    }

    /// Whether one of `needed` is among them, or nothing is needed.
    pub const fn satisfy(self, needed: Permissions) -> bool {
        needed.0 == 0 || self.0 & needed.0 != 0
    }

    /// By their names with commas between them, as the configuration has them.
    pub fn parse(names: &str) -> Option<Permissions> {
        names.split(',').map(str::trim).filter(|name| !name.is_empty()).try_fold(Permissions::NONE, |all, name| {
            let bit = NAMES.iter().position(|known| *known == name)?;
            Some(Permissions(all.0 | 1 << bit))
        })
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = NAMES.iter().enumerate().filter(|(bit, _)| self.0 >> bit & 1 == 1).map(|(_, name)| *name);
        f.write_str(names.next().unwrap_or_default())?;
        names.try_for_each(|name| write!(f, ",{name}"))
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_back() {
        for bits in 0..=Permissions::ALL.0 {
            assert_eq!(Permissions::parse(&Permissions(bits).to_string()), Some(Permissions(bits)));
        }
        assert_eq!(Permissions::parse("list, read"), Some(Permissions::LIST.and(Permissions::READ)));
        assert_eq!(Permissions::parse("list,fly"), None);
    }

    #[test]
    fn one_of_those_needed_is_enough() {
        let upload = Permissions::WRITE.and(Permissions::CREATE);
        assert!(Permissions::CREATE.satisfy(upload));
        assert!(!Permissions::READ.satisfy(upload));
        assert!(Permissions::NONE.satisfy(Permissions::NONE));
    }
}

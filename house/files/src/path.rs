//! Paths from the network, made safe once, at the edge.
//!
//! RFC 959 §4.1.3 (pathnames), RFC 1123 §4.1, RFC 3659 §2.2 (octets in names), RFC 2640 §2 (names need not be UTF-8).
//!
//! Invariants: a [`JailedPath`] begins at the virtual root; no part of it is empty, `.` or `..`, none holds NUL, CR or
//! LF, none is longer than [`COMPONENT_MAX`]; depth and length are bounded. Whoever holds one may trust all of that.
//! Not here: what the path leads to on disk, and links (`space`); `~` and patterns (the desk).

use std::fmt;

use thiserror::Error;

/// Octets in one name. What the file systems of Linux take; longer names could be asked for but never exist.
pub const COMPONENT_MAX: usize = 255;

/// Octets in a whole path. Linux takes 4,096 with the final NUL; the rest is for what stands before it.
pub const PATH_MAX: usize = 4000;

/// Names in a whole path. A walk along links holds one handle for each.
pub const DEPTH_MAX: usize = 128;

/// Octets a path may have before `.` and `..` are taken out. Twice the result is more than any client sends.
pub const INPUT_MAX: usize = 2 * PATH_MAX;

/// An absolute path in the virtual tree of a space.
///
/// Octets, not text: names that are no UTF-8 are as good as others.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JailedPath {
    /// Empty for the root, otherwise `/` before each name.
    octets: Vec<u8>,
}

/// Why octets from the network are no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PathError {
    /// NUL, CR or LF.
    #[error("the path holds NUL, CR or LF")]
    ForbiddenOctet,
    /// A name is longer than [`COMPONENT_MAX`].
    #[error("a name in the path is longer than {COMPONENT_MAX} octets")]
    NameTooLong,
    /// The path is longer than [`PATH_MAX`], or was before it was put in order ([`INPUT_MAX`]).
    #[error("the path is longer than {PATH_MAX} octets")]
    TooLong,
    /// More than [`DEPTH_MAX`] names.
    #[error("the path is deeper than {DEPTH_MAX} names")]
    TooDeep,
}

impl JailedPath {
    /// The top of the virtual tree.
    pub const fn root() -> JailedPath {
        JailedPath { octets: Vec::new() }
    }

    /// Reads a path as a client sent it, relative to its current directory.
    ///
    /// `.`, `..` and doubled slashes are taken out by their names alone; above the root is the root. An empty path is the
    /// current directory.
    pub fn parse(input: &[u8], current: &JailedPath) -> Result<JailedPath, PathError> {
        if input.len() > INPUT_MAX {
            return Err(PathError::TooLong);
        }
        if input.iter().any(|octet| matches!(octet, 0 | b'\r' | b'\n')) {
            return Err(PathError::ForbiddenOctet);
        }
        let mut path = if input.starts_with(b"/") { JailedPath::root() } else { current.clone() };
        for part in input.split(|&octet| octet == b'/') {
            match part {
                b"" | b"." => {}
                b".." => path.pop(),
                name => path.push(name)?,
            }
        }
        Ok(path)
    }

    /// The path of what is called `name` in this directory.
    ///
    /// The name is taken as it is: one that holds a slash or is `.` or `..` is an error, never a way up.
    pub fn join(&self, name: &[u8]) -> Result<JailedPath, PathError> {
        let foul = |&octet: &u8| matches!(octet, 0 | b'\r' | b'\n' | b'/');
        if matches!(name, b"" | b"." | b"..") || name.iter().any(foul) {
            return Err(PathError::ForbiddenOctet);
        }
        let mut path = self.clone();
        path.push(name)?;
        Ok(path)
    }

    /// The path as it is shown: `/`, `/a`, `/a/b`.
    pub fn as_bytes(&self) -> &[u8] {
        if self.octets.is_empty() { b"/" } else { &self.octets }
    }

    /// Whether this is the top of the tree.
    pub fn is_root(&self) -> bool {
        self.octets.is_empty()
    }

    /// The names from the root down.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.octets.split(|&octet| octet == b'/').filter(|name| !name.is_empty())
    }

    /// How many names it has.
    pub fn depth(&self) -> usize {
        self.octets.iter().filter(|&&octet| octet == b'/').count()
    }

    /// The last name; the root has none.
    pub fn name(&self) -> Option<&[u8]> {
        self.names().next_back()
    }

    /// The directory it stands in; the root stands in itself.
    pub fn parent(&self) -> JailedPath {
        let mut path = self.clone();
        path.pop();
        path
    }

    /// Whether it is `other` or lies somewhere below it.
    pub fn is_within(&self, other: &JailedPath) -> bool {
        self.below(other).is_some()
    }

    /// What follows after `other`, without a slash in front; empty when they are the same, nothing when it is not within.
    pub(crate) fn below(&self, other: &JailedPath) -> Option<&[u8]> {
        match self.octets.strip_prefix(other.octets.as_slice())? {
            [] => Some(b""),
            [b'/', rest @ ..] => Some(rest),
            _ => None,
        }
    }

    /// This path under another directory.
    pub(crate) fn moved_under(&self, top: &JailedPath) -> Result<JailedPath, PathError> {
        let mut path = top.clone();
        for name in self.names() {
            path.push(name)?;
        }
        Ok(path)
    }

    fn push(&mut self, name: &[u8]) -> Result<(), PathError> {
        if name.len() > COMPONENT_MAX {
            return Err(PathError::NameTooLong);
        }
        if self.octets.len() + 1 + name.len() > PATH_MAX {
            return Err(PathError::TooLong);
        }
        if self.depth() == DEPTH_MAX {
            return Err(PathError::TooDeep);
        }
        self.octets.push(b'/');
        self.octets.extend_from_slice(name);
        Ok(())
    }

    fn pop(&mut self) {
        let end = self.octets.iter().rposition(|&octet| octet == b'/').unwrap_or(0);
        self.octets.truncate(end);
    }
}

impl fmt::Display for JailedPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", String::from_utf8_lossy(self.as_bytes()))
    }
}

impl fmt::Debug for JailedPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}", String::from_utf8_lossy(self.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(input: &[u8], current: &[u8]) -> Result<Vec<u8>, PathError> {
        let current = JailedPath::parse(current, &JailedPath::root()).unwrap();
        JailedPath::parse(input, &current).map(|path| path.as_bytes().to_vec())
    }

    #[test]
    fn dots_and_slashes_are_taken_out_by_name() {
        for (input, current, path) in [
            ("", "/", "/"),
            ("", "/a/b", "/a/b"),
            (".", "/a", "/a"),
            ("c", "/a/b", "/a/b/c"),
            ("/c", "/a/b", "/c"),
            ("..", "/a/b", "/a"),
            ("../../../..", "/a/b", "/"),
            ("/../../etc", "/a", "/etc"),
            ("x/../y//./z/", "/a", "/a/y/z"),
            ("//a///b//", "/", "/a/b"),
            ("...", "/", "/..."),
            (" a ", "/", "/ a "),
            ("-a", "/", "/-a"),
            ("~", "/a", "/a/~"),
            ("\\..\\x", "/a", "/a/\\..\\x"),
        ] {
            assert_eq!(parse(input.as_bytes(), current.as_bytes()).unwrap(), path.as_bytes(), "{input} in {current}");
        }
    }

    #[test]
    fn octets_that_break_lines_are_refused_and_others_are_kept() {
        for foul in [&b"a\0"[..], b"a\rb", b"\n"] {
            assert_eq!(parse(foul, b"/"), Err(PathError::ForbiddenOctet));
        }
        assert_eq!(parse(b"\xff\xfe \xc3", b"/").unwrap(), b"/\xff\xfe \xc3");
    }

    #[test]
    fn names_and_paths_are_bounded() {
        assert!(parse(&[b'x'; COMPONENT_MAX], b"/").is_ok());
        assert_eq!(parse(&[b'x'; COMPONENT_MAX + 1], b"/"), Err(PathError::NameTooLong));
        assert!(parse(&b"d/".repeat(DEPTH_MAX), b"/").is_ok());
        assert_eq!(parse(&b"d/".repeat(DEPTH_MAX + 1), b"/"), Err(PathError::TooDeep));
        let long = [&[b'x'; 250][..], b"/"].concat();
        assert_eq!(parse(&long.repeat(16), b"/"), Err(PathError::TooLong));
        assert_eq!(parse(&b"./".repeat(INPUT_MAX), b"/"), Err(PathError::TooLong));
    }

    #[test]
    fn a_name_is_never_a_way() {
        let root = JailedPath::root();
        for name in [&b""[..], b".", b"..", b"a/b", b"a\n"] {
            assert!(root.join(name).is_err());
        }
        assert_eq!(root.join(b"a").unwrap().as_bytes(), b"/a");
    }

    #[test]
    fn within_goes_by_whole_names() {
        let path = |text: &str| JailedPath::parse(text.as_bytes(), &JailedPath::root()).unwrap();
        assert!(path("/a/b").is_within(&path("/a")));
        assert!(path("/a").is_within(&path("/a")));
        assert!(path("/a").is_within(&path("/")));
        assert!(!path("/ab").is_within(&path("/a")));
        assert!(!path("/").is_within(&path("/a")));
    }

    proptest! {
        #[test]
        fn no_path_escapes_and_every_path_is_its_own_reading(
            parts in proptest::collection::vec(
                prop_oneof![
                    Just(b"..".to_vec()),
                    Just(b".".to_vec()),
                    Just(b"".to_vec()),
                    proptest::collection::vec(any::<u8>(), 1..6)
                ],
                0..40
            ),
            current in "(/[a-z]{1,3}){0,5}",
        ) {
            let input = parts.join(&b'/');
            if let Ok(path) = parse(&input, current.as_bytes()) {
                prop_assert!(path.starts_with(b"/"));
                prop_assert!(path == b"/" || path[1..].split(|&o| o == b'/').all(|n| !n.is_empty() && n != b"." && n != b".."));
                prop_assert!(!path.iter().any(|o| matches!(o, 0 | b'\r' | b'\n')));
                prop_assert_eq!(parse(&path, b"/else/where").unwrap(), path);
            } else {
                prop_assert!(input.iter().any(|o| matches!(o, 0 | b'\r' | b'\n')));
            }
        }
    }
}

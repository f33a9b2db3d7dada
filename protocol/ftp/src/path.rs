//! Paths: as they come over the wire, and as they are meant.
//!
//! RFC 2640 §3.1 (a path is octets; one space before it, the rest is the path); RFC 3659 §6 (TVFS: names between `/`,
//! the root has none); RFC 959 §5.4 (quotes in 257 are doubled).
//!
//! A [`WirePath`] is what a client wrote. A [`VirtualPath`] is where that leads from a working directory: absolute, without
//! `.`, `..`, or empty names, so that it means one thing to whoever looks at it. `..` is resolved as text and stays at the
//! root, as in every shell. Where symbolic links lead is the house's business, as is keeping them inside.
//!
//! Departure: RFC 2640 §3.1 allows LF in paths. No path of ours has one: it would break listings, and half of the servers
//! and clients that meet it. NUL neither; no file system has it.
//!
//! Invariants: neither type holds NUL or LF; a `VirtualPath` begins with `/`, and none of its names is empty, `.`, `..`, or
//! longer than `NAME_MAX_OCTETS`.
//! Not here: the jail (house/files), what `~` means (server).

use std::fmt;

/// What Linux file systems take as one name.
pub const NAME_MAX_OCTETS: usize = 255;
/// What Linux takes as a path, without the NUL at its end.
pub const PATH_MAX_OCTETS: usize = 4095;

/// A path as the client wrote it: not empty, any octets but NUL and LF.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WirePath(Vec<u8>);

/// Where a path leads: absolute and without detours.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VirtualPath(Vec<u8>);

/// Why a path leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathFlaw {
    /// A name of more than [`NAME_MAX_OCTETS`].
    LongName,
    /// More than [`PATH_MAX_OCTETS`] in all.
    LongPath,
}

impl WirePath {
    /// `None` if it is empty, or has a NUL or LF in it.
    pub fn new(octets: impl Into<Vec<u8>>) -> Option<Self> {
        let octets = octets.into();
        let good = !octets.is_empty() && memchr::memchr2(0, b'\n', &octets).is_none();
        good.then_some(WirePath(octets))
    }

    /// The path as it came.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Up to the last `/` and with it; empty if there is none.
    pub fn before_last_name(&self) -> &[u8] {
        let end = memchr::memrchr(b'/', &self.0).map_or(0, |at| at + 1);
        &self.0[..end]
    }
}

impl VirtualPath {
    /// `/`
    pub fn root() -> Self {
        VirtualPath(b"/".to_vec())
    }

    /// Where `path` leads from here.
    ///
    /// # Errors
    /// Says what is too long.
    pub fn resolve(&self, path: &WirePath) -> Result<Self, PathFlaw> {
        let mut resolved = if path.0.starts_with(b"/") { Self::root() } else { self.clone() };
        for name in path.0.split(|octet| *octet == b'/') {
            match name {
                b"" | b"." => {}
                b".." => resolved.ascend(),
                _ if name.len() > NAME_MAX_OCTETS => return Err(PathFlaw::LongName),
                name => resolved.descend(name),
            }
        }
        if resolved.0.len() > PATH_MAX_OCTETS { Err(PathFlaw::LongPath) } else { Ok(resolved) }
    }

    /// The directory it stands in; the root stands in itself.
    pub fn parent(&self) -> Self {
        let mut parent = self.clone();
        parent.ascend();
        parent
    }

    /// Its last name; the root has none.
    pub fn name(&self) -> Option<&[u8]> {
        self.names().next_back()
    }

    /// Its names, from the root down.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|octet| *octet == b'/').filter(|name| !name.is_empty())
    }

    /// Begins with `/`, and ends with it only if it is the root.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is `/`.
    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// Between quotation marks, those inside doubled: for 257 (RFC 959 §5.4).
    pub fn quoted(&self) -> Vec<u8> {
        let mut quoted = vec![b'"'];
        for &octet in &self.0 {
            quoted.extend(std::iter::repeat_n(octet, if octet == b'"' { 2 } else { 1 }));
        }
        quoted.push(b'"');
        quoted
    }

    fn ascend(&mut self) {
        let end = memchr::memrchr(b'/', &self.0).unwrap_or(0);
        self.0.truncate(end.max(1));
    }

    fn descend(&mut self, name: &[u8]) {
        if !self.is_root() {
            self.0.push(b'/');
        }
        self.0.extend_from_slice(name);
    }
}

impl fmt::Debug for WirePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for VirtualPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Display for VirtualPath {
    /// For logs: octets that are not UTF-8 are replaced.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub fn wire_paths() -> impl Strategy<Value = WirePath> {
        let octet = prop_oneof![
            4 => proptest::sample::select(b"abc/. \"*~-".to_vec()),
            1 => any::<u8>().prop_filter("no path has them", |octet| !matches!(octet, 0 | b'\n'))
        ];
        proptest::collection::vec(octet, 1..24).prop_map(|octets| WirePath::new(octets).unwrap())
    }

    fn resolved(from: &str, path: &str) -> String {
        let from = VirtualPath::root().resolve(&WirePath::new(from).unwrap()).unwrap();
        from.resolve(&WirePath::new(path).unwrap()).unwrap().to_string()
    }

    #[test]
    fn a_path_leads_to_one_place() {
        for (from, path, to) in [
            ("/", "a", "/a"),
            ("/a", "b/c", "/a/b/c"),
            ("/a", "/b", "/b"),
            ("/a", "//b///c/", "/b/c"),
            ("/a/b", "..", "/a"),
            ("/a/b", "../..", "/"),
            ("/", "..", "/"),
            ("/a", "../../../etc/passwd", "/etc/passwd"),
            ("/a", ".", "/a"),
            ("/a", "./-a", "/a/-a"),
            ("/a", " x ", "/a/ x "),
            ("/a", "...", "/a/..."),
            ("/a", "\\..\\b", "/a/\\..\\b"),
        ] {
            assert_eq!(resolved(from, path), to, "{path} from {from}");
        }
    }

    #[test]
    fn names_and_paths_have_an_end() {
        let wire = |text: String| WirePath::new(text).unwrap();
        let root = VirtualPath::root();
        assert!(root.resolve(&wire("x".repeat(255))).is_ok());
        assert_eq!(root.resolve(&wire("x".repeat(256))), Err(PathFlaw::LongName));
        assert_eq!(root.resolve(&wire("/x".repeat(2047) + "/")).map(|path| path.as_bytes().len()), Ok(4094));
        assert_eq!(root.resolve(&wire("/x".repeat(2048))), Err(PathFlaw::LongPath));
        assert_eq!(WirePath::new("a\nb"), None);
        assert_eq!(WirePath::new("a\0b"), None);
        assert_eq!(WirePath::new(""), None);
    }

    #[test]
    fn quotes_are_doubled() {
        let path = VirtualPath::root().resolve(&WirePath::new("a \"b\"").unwrap()).unwrap();
        assert_eq!(path.quoted(), b"\"/a \"\"b\"\"\"");
    }

    proptest! {
        #[test]
        fn a_resolved_path_leads_to_itself(one in wire_paths(), two in wire_paths()) {
            let from = VirtualPath::root().resolve(&one).unwrap();
            let path = from.resolve(&two).unwrap();
            prop_assert!(path.as_bytes().starts_with(b"/"));
            prop_assert!(path.names().all(|name| !matches!(name, b"" | b"." | b"..")));
            prop_assert_eq!(from.resolve(&WirePath::new(path.as_bytes()).unwrap()), Ok(path.clone()));
            let joined = path.names().fold(Vec::new(), |all, name| [&all[..], b"/", name].concat());
            prop_assert_eq!(if path.is_root() { b"/".to_vec() } else { joined }, path.as_bytes());
        }
    }
}

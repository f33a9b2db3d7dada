//! Names that a server tells, checked before they can become names of files here.
//!
//! Invariants: a [`RemoteName`] is one name in one directory, on any Unix: joined to a path it leads right below it.
//! Not here: whether it can be shown to people (it may have control characters).

use crate::path::NAME_MAX_OCTETS;
use std::fmt;

/// One name in a directory: octets, perhaps not UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemoteName(Vec<u8>);

/// Why something is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameFlaw {
    /// There is nothing.
    Empty,
    /// `.` or `..`
    Dots,
    /// It leads elsewhere: there is a `/` in it.
    Slash,
    /// There is a NUL or a line end in it.
    Control,
    /// It is longer than a name can be.
    Long,
}

impl RemoteName {
    /// Checks it.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn new(octets: &[u8]) -> Result<Self, NameFlaw> {
        match octets {
            b"" => Err(NameFlaw::Empty),
            b"." | b".." => Err(NameFlaw::Dots),
            _ if octets.contains(&b'/') => Err(NameFlaw::Slash),
            _ if memchr::memchr3(0, b'\r', b'\n', octets).is_some() => Err(NameFlaw::Control),
            _ if octets.len() > NAME_MAX_OCTETS => Err(NameFlaw::Long),
            _ => Ok(RemoteName(octets.to_vec())),
        }
    }

    /// As the server has told it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for RemoteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

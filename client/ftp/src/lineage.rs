//! The directories above a place in a tree, by which a walk sees that it goes round in a circle.
//!
//! RFC 3659 §7.5.2 (what tells one file from all others).
//!
//! A link to a directory above itself makes a tree without end; MLSD tells of it on many servers as if it were a directory. It is known by
//! the fact `unique`. Where a file system has no such numbers, servers may tell the same of all: so what is not known to be a link
//! must have the time of the other, too. (ProFTPD tells of links as such, with their own time, and with what is unique of where
//! they lead.)
//!
//! Invariants: of a tree only the way down to the place at hand is kept; what is not told apart is taken for something new.
//! Not here: how deep a tree may be ([`DEPTH_MAX`](crate::directory::DEPTH_MAX), for servers that tell nothing).

use ftp::Moment;
use ftp::dialect::{Found, Stamp};
use std::sync::Arc;

/// Why a directory is not looked into, for people.
pub const ROUND: &str = "it leads back to a directory that it stands in";

/// What tells a directory from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub(crate) unique: Vec<u8>,
    pub(crate) modified: Option<Moment>,
}

impl Mark {
    /// That of what a listing has told of, if it tells files from one another.
    pub fn of(found: &Found) -> Option<Mark> {
        Mark::new(found.unique.clone(), found.modified)
    }

    pub(crate) fn new(unique: Option<Vec<u8>>, modified: Option<Stamp>) -> Option<Mark> {
        unique.map(|unique| Mark { unique, modified: modified.map(|stamp| stamp.moment) })
    }
}

/// A directory and those above it, as far as it is known which they are. Its copies share what they have in common.
#[derive(Debug, Clone, Default)]
pub struct Lineage(Option<Arc<Generation>>);

#[derive(Debug)]
struct Generation {
    mark: Mark,
    above: Lineage,
}

impl Lineage {
    /// One directory further down.
    #[must_use]
    pub fn with(&self, mark: Option<Mark>) -> Lineage {
        match mark {
            Some(mark) => Lineage(Some(Arc::new(Generation { mark, above: self.clone() }))),
            None => self.clone(),
        }
    }

    /// Whether this is one of them; `is_link`: it was reached by a link.
    pub fn has(&self, mark: Option<&Mark>, is_link: bool) -> bool {
        let Some(mark) = mark else { return false };
        let mut next = self.0.as_deref();
        while let Some(Generation { mark: known, above }) = next {
            if known.unique == mark.unique && (is_link || known.modified == mark.modified) {
                return true;
            }
            next = above.0.as_deref();
        }
        false
    }

    /// What is unique of the one that is lowest.
    pub(crate) fn last(&self) -> Option<&[u8]> {
        self.0.as_deref().map(|generation| &generation.mark.unique[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(unique: &[u8], secs: i64) -> Option<Mark> {
        Some(Mark { unique: unique.to_vec(), modified: Some(Moment::from_unix_secs(secs)) })
    }

    fn has(lineage: &Lineage, unique: &[u8], secs: i64) -> bool {
        lineage.has(mark(unique, secs).as_ref(), false)
    }

    #[test]
    fn it_has_those_that_are_told_apart_and_no_others() {
        let root = Lineage::default().with(mark(b"1", 7));
        let (one, other) = (root.with(mark(b"2", 7)).with(None), root.with(mark(b"3", 7)));
        assert!(has(&one, b"1", 7) && has(&one, b"2", 7) && !has(&one, b"3", 7));
        assert!(!has(&other, b"2", 7), "it stands beside it");
        assert!(!one.has(None, true), "nobody knows");
        assert_eq!(one.last(), Some(&b"2"[..]));
    }

    #[test]
    fn what_is_the_same_of_all_tells_nothing_unless_a_link_leads_there() {
        let root = Lineage::default().with(mark(b"0", 7));
        assert!(!has(&root, b"0", 8));
        assert!(root.has(mark(b"0", 8).as_ref(), true));
    }
}

//! The directories above a place in a tree, by which a walk sees that it goes round in a circle.
//!
//! RFC 3659 §7.5.2 (what tells one file from all others).
//!
//! A link to a directory above itself makes a tree without end; MLSD tells of it on many servers as if it were a directory.
//!
//! Invariants: of a tree only the way down to the place at hand is kept; what is not told apart is taken for something new.
//! Not here: how deep a tree may be ([`DEPTH_MAX`](crate::directory::DEPTH_MAX), for servers that tell nothing).

use std::sync::Arc;

/// Why a directory is not looked into, for people.
pub const ROUND: &str = "it leads back to a directory that it stands in";

/// A directory and those above it, as far as it is known which they are. Its copies share what they have in common.
#[derive(Debug, Clone, Default)]
pub struct Lineage(Option<Arc<Generation>>);

#[derive(Debug)]
struct Generation {
    unique: Vec<u8>,
    above: Lineage,
}

impl Lineage {
    /// One directory further down.
    #[must_use]
    pub fn with(&self, unique: Option<&[u8]>) -> Lineage {
        match unique {
            Some(unique) => Lineage(Some(Arc::new(Generation { unique: unique.to_vec(), above: self.clone() }))),
            None => self.clone(),
        }
    }

    /// Whether this is one of them.
    pub fn has(&self, unique: Option<&[u8]>) -> bool {
        let mut next = self.0.as_deref();
        while let Some(generation) = next {
            if unique == Some(&generation.unique) {
                return true;
            }
            next = generation.above.0.as_deref();
        }
        false
    }

    /// The one that is lowest.
    pub(crate) fn last(&self) -> Option<&[u8]> {
        self.0.as_deref().map(|generation| &generation.unique[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_those_that_are_told_apart_and_no_others() {
        let root = Lineage::default().with(Some(b"1"));
        let (one, other) = (root.with(Some(b"2")).with(None), root.with(Some(b"3")));
        assert!(one.has(Some(b"1")) && one.has(Some(b"2")) && !one.has(Some(b"3")));
        assert!(!other.has(Some(b"2")), "it stands beside it");
        assert!(!one.has(None), "nobody knows");
        assert_eq!(one.last(), Some(&b"2"[..]));
    }
}

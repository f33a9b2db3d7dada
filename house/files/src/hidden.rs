//! The names that uploads have until they are whole, and who is at work on which.
//!
//! ```text
//! .packetboat~<32 hex digits>~<0…f>   an upload under way; left over after a crash it is rubbish
//! .packetboat~<32 hex digits>~k       an interrupted upload, synced, kept to be continued
//! ```
//!
//! The digits are a digest of account and file name, so that a name of any length has room, nobody continues what another
//! account began, and what is kept is found without searching.
//!
//! Invariants: such names are neither listed nor reachable by any path; one upload has a name at a time.
//! Not here: what is done with the files (`upload`), and who removes the old ones (`survey`).

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA256, digest};

use crate::disk::DirectoryId;
use crate::locks::lock;

const PREFIX: &[u8] = b".packetboat~";
const KEY_DIGITS: usize = 32;
const KEPT: u8 = b'k';
/// One digit for each of the uploads of one file that may be under way.
const SLOTS: &[u8; 16] = b"0123456789abcdef";

/// A name of this form, whatever its case: there are file systems that do not tell cases apart.
pub(crate) fn is_hidden(name: &[u8]) -> bool {
    kind(name).is_some()
}

/// What a hidden name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hidden {
    UnderWay,
    Kept,
}

pub(crate) fn kind(name: &[u8]) -> Option<Hidden> {
    let (prefix, rest) = name.split_at_checked(PREFIX.len())?;
    let (key, rest) = rest.split_at_checked(KEY_DIGITS)?;
    if !prefix.eq_ignore_ascii_case(PREFIX) || !key.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    match rest {
        [b'~', slot] if slot.eq_ignore_ascii_case(&KEPT) => Some(Hidden::Kept),
        [b'~', slot] if slot.is_ascii_hexdigit() => Some(Hidden::UnderWay),
        _ => None,
    }
}

/// The part of a hidden name that account and file name decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key(Vec<u8>);

impl Key {
    pub(crate) fn new(account: &[u8], name: &[u8]) -> Key {
        // No name holds a NUL, so no two pairs are the same octets.
        let sum = digest(&SHA256, &[account, b"\0", name].concat());
        let digit = |four: u8| SLOTS[usize::from(four)];
        let digits = sum.as_ref()[..KEY_DIGITS / 2].iter().flat_map(|octet| [digit(octet >> 4), digit(octet & 15)]);
        Key(PREFIX.iter().copied().chain(digits).chain([b'~']).collect())
    }

    /// The name under which an interrupted upload is kept.
    pub(crate) fn kept(&self) -> Vec<u8> {
        self.with(KEPT)
    }

    fn with(&self, slot: u8) -> Vec<u8> {
        let mut name = self.0.clone();
        name.push(slot);
        name
    }
}

/// Which names belong to uploads under way in this process: the hidden ones, and those chosen for unique uploads.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    held: Mutex<HashSet<(DirectoryId, Vec<u8>)>>,
}

/// One name, ours until this is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    claims: Arc<Claims>,
    directory: DirectoryId,
    name: Vec<u8>,
}

impl Claims {
    /// Takes a name that nobody else is using; none when as many uploads of one file are under way as there are names.
    ///
    /// A file of that name may still lie there from before a crash.
    pub(crate) fn claim(self: &Arc<Claims>, directory: DirectoryId, key: &Key) -> Option<Claim> {
        let mut held = lock(&self.held);
        let name = SLOTS.iter().map(|&slot| key.with(slot)).find(|name| held.insert((directory, name.clone())))?;
        Some(Claim { claims: Arc::clone(self), directory, name })
    }

    /// Takes this very name, unless somebody has it.
    pub(crate) fn claim_name(self: &Arc<Claims>, directory: DirectoryId, name: &[u8]) -> Option<Claim> {
        let name = name.to_vec();
        let free = lock(&self.held).insert((directory, name.clone()));
        free.then(|| Claim { claims: Arc::clone(self), directory, name })
    }

    /// Calls `remove` unless an upload under way has the name; none can take it meanwhile.
    pub(crate) fn unless_held(&self, directory: DirectoryId, name: &[u8], remove: impl FnOnce()) -> bool {
        let held = lock(&self.held);
        let free = !held.contains(&(directory, name.to_vec()));
        if free {
            remove();
        }
        free
    }
}

impl Claim {
    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.claims.held).remove(&(self.directory, std::mem::take(&mut self.name)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_names_know_their_own_kind() {
        let key = Key::new(b"alice", b"letter.txt");
        assert_eq!(kind(&key.kept()), Some(Hidden::Kept));
        assert_eq!(kind(&key.with(b'0')), Some(Hidden::UnderWay));
        assert_eq!(kind(&key.kept().to_ascii_uppercase()), Some(Hidden::Kept));
        for ordinary in
            [&b".packetboat"[..], b".packetboat~", b".packetboat~00~0", b"letter.txt", b"", &key.with(b'x'), &key.0]
        {
            assert_eq!(kind(ordinary), None);
        }
        assert_eq!(kind(&[&key.kept()[..], b"x"].concat()), None);
    }

    #[test]
    fn accounts_and_names_have_keys_of_their_own() {
        let key = Key::new(b"alice", b"x");
        assert_ne!(key, Key::new(b"bob", b"x"));
        assert_ne!(key, Key::new(b"alice", b"y"));
        assert_ne!(Key::new(b"a", b"bc"), Key::new(b"ab", b"c"));
    }

    #[test]
    fn a_name_has_one_holder_and_is_free_after_it() {
        let claims = Arc::new(Claims::default());
        let key = Key::new(b"alice", b"x");
        let all: Vec<_> = std::iter::from_fn(|| claims.claim((1, 1), &key)).collect();
        assert_eq!(all.len(), SLOTS.len());
        assert!(claims.claim((1, 2), &key).is_some(), "another directory is another place");
        let name = all[3].name().to_vec();
        assert!(!claims.unless_held((1, 1), &name, || panic!("it is held")));
        drop(all);
        let mut removed = false;
        assert!(claims.unless_held((1, 1), &name, || removed = true));
        assert!(removed);
    }
}

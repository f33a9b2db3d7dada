//! What has been imported already: a mark for each message, committed together with it.
//!
//! A message is the same when it comes from the same file or folder (its full path) into the same mailbox and is called the
//! same (a Maildir file's name without its state, and its size) or, in an mbox, is the nth with these octets. Marks of one
//! commit are one entry of the store: twelve octets each.
//!
//! Invariants: marks only grow, until the account is removed.
//! Not here: when a commit is made (import).

use crate::house::chance;
use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::collections::HashSet;
use std::path::Path;
use store::{AccountId, Op, ReadError, Store};

/// Octets of a mark. Two of a million messages are the same by chance once in 10¹⁷ imports.
const MARK: usize = 12;

/// Stands for one message.
pub(super) type Mark = [u8; MARK];

fn kind(account: AccountId) -> String {
    format!("imported/{account}")
}

/// What an account has imported.
pub(super) struct Record {
    account: AccountId,
    marks: HashSet<Mark>,
}

impl Record {
    /// Reads it.
    pub(super) fn read(store: &Store, account: AccountId) -> Result<Record, ReadError> {
        let mut marks = HashSet::new();
        for (_, value) in store.entries(&kind(account))? {
            let octets = STANDARD_NO_PAD.decode(value).unwrap_or_default();
            marks.extend(octets.as_chunks::<MARK>().0);
        }
        Ok(Record { account, marks })
    }

    /// One without anything in it.
    pub(super) fn empty(account: AccountId) -> Record {
        Record { account, marks: HashSet::new() }
    }

    pub(super) fn knows(&self, mark: &Mark) -> bool {
        self.marks.contains(mark)
    }

    /// The order that keeps these.
    pub(super) fn keep(&mut self, marks: &[Mark]) -> Op {
        self.marks.extend(marks);
        let key = format!("{:032x}", u128::from_le_bytes(chance()));
        Op::PutEntry { kind: kind(self.account), key, value: STANDARD_NO_PAD.encode(marks.as_flattened()) }
    }
}

/// The orders that forget what an account has imported.
pub(crate) fn forgotten_with(store: &Store, account: AccountId) -> Result<Vec<Op>, ReadError> {
    let kind = kind(account);
    let forget = |(key, _)| Op::RemoveEntry { kind: kind.clone(), key };
    Ok(store.entries(&kind)?.into_iter().map(forget).collect())
}

/// Makes marks of messages of one folder that go into one mailbox.
pub(super) struct Marker {
    base: Context,
}

impl Marker {
    pub(super) fn new(folder: &Path, mailbox: &str) -> Marker {
        let mut base = Context::new(&SHA256);
        for part in [folder.as_os_str().as_encoded_bytes(), mailbox.as_bytes()] {
            base.update(&(part.len() as u64).to_le_bytes());
            base.update(part);
        }
        Marker { base }
    }

    /// Of what names a message, and a number that tells it from others of the name.
    pub(super) fn mark(&self, name: &[u8], number: u64) -> Mark {
        let mut context = self.base.clone();
        context.update(name);
        context.update(&number.to_le_bytes());
        let digest = context.finish();
        *digest.as_ref().first_chunk().expect("SHA-256 gives 32 octets")
    }
}

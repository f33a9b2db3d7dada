//! Which orders make no sense, whatever is in the store.
//!
//! Invariants: quick; what is refused here has changed nothing.
//! Not here: what only the index can know.

use crate::error::CommitError;
use crate::names::MailboxName;
use crate::op::{
    BODIES_MAX, Commit, FlagChange, Flags, HEAD_MAX, KEYWORD_MAX, KEYWORDS_MAX, METADATA_ENTRIES_MAX,
    METADATA_VALUE_MAX, Op, PREFIX_MAX,
};

/// The longest message with everything in front of it, in octets: who lists mailboxes counts with 32 bits.
const MESSAGE_MAX: u64 = u32::MAX as u64;

/// The longest name of an annotation, in octets.
const ENTRY_NAME_MAX: usize = 1000;

pub(super) fn check(commit: &Commit) -> Result<(), CommitError> {
    let flaw = commit
        .bodies
        .iter()
        .enumerate()
        .find_map(|(number, body)| match () {
            () if number >= BODIES_MAX => Some("there are too many messages in one commit"),
            () if body.head.len() > HEAD_MAX => Some("the head of the message is too long"),
            () if body.draft.len() + (HEAD_MAX + PREFIX_MAX) as u64 > MESSAGE_MAX => Some("the message is too long"),
            () if !commit.ops.iter().any(|op| body_of(op) == Some(number)) => Some("nobody is to have the message"),
            () => None,
        })
        .or_else(|| commit.ops.iter().find_map(|op| flaw_of(op, commit.bodies.len())));
    flaw.map_or(Ok(()), |flaw| Err(CommitError::Malformed(flaw)))
}

/// Whether a body comes into a mailbox.
pub(super) fn is_placed(ops: &[Op], number: usize) -> bool {
    ops.iter().any(|op| matches!(op, Op::Place { body, .. } if *body == number))
}

/// The body that an order is about.
pub(super) fn body_of(op: &Op) -> Option<usize> {
    match op {
        Op::Place { body, .. } => Some(*body),
        Op::Enqueue(_) => Some(0),
        _ => None,
    }
}

fn flaw_of(op: &Op, bodies: usize) -> Option<&'static str> {
    if body_of(op).is_some_and(|body| body >= bodies) {
        return Some("a placement or a queued mail needs a message");
    }
    match op {
        Op::Place { prefix, .. } if prefix.len() > PREFIX_MAX => Some("the prefix of the message is too long"),
        Op::Place { flags, .. } => flaw_of_flags(flags),
        Op::SetFlags { change, .. } => match change {
            FlagChange::Add(flags) | FlagChange::Replace(flags) | FlagChange::ReplaceAmong(_, flags) => {
                flaw_of_flags(flags)
            }
            FlagChange::Remove(_) => None,
        },
        Op::Enqueue(mail) if mail.recipients.is_empty() => Some("a queued mail needs a recipient"),
        Op::CreateMailbox { name, special_use, .. } => {
            MailboxName::parse(name).err().or_else(|| flaw_of_uses(special_use))
        }
        Op::RenameMailbox { target, .. } => MailboxName::parse(target).err(),
        Op::SetSpecialUse { special_use, .. } => flaw_of_uses(special_use),
        Op::Subscribe { name, .. } => MailboxName::parse(name).err(),
        Op::SetMetadata { entries, .. } => flaw_of_metadata(entries),
        Op::SetRights { who, rights, .. }
            if !is_word(who) || !rights.bytes().all(|octet| octet.is_ascii_alphanumeric()) =>
        {
            Some("rights are letters, and who has them has a name")
        }
        _ => None,
    }
}

/// Keywords are kept with blanks between them.
fn flaw_of_flags(flags: &Flags) -> Option<&'static str> {
    match flags.keywords.len() > KEYWORDS_MAX {
        true => Some("there are too many keywords"),
        false if !flags.keywords.iter().all(|word| is_word(word) && word.len() <= KEYWORD_MAX) => {
            Some("a keyword is empty, too long or has a blank in it")
        }
        false => None,
    }
}

/// Uses are kept with blanks between them.
fn flaw_of_uses(uses: &[String]) -> Option<&'static str> {
    let is_use = |word: &String| is_word(word) && word.starts_with('\\') && word.len() <= KEYWORD_MAX;
    (uses.len() > 20 || !uses.iter().all(is_use)).then_some("that is no special use")
}

fn flaw_of_metadata(entries: &[(String, Option<Vec<u8>>)]) -> Option<&'static str> {
    if entries.len() > METADATA_ENTRIES_MAX {
        return Some("there are too many annotations");
    }
    entries.iter().find_map(|(name, value)| match value {
        _ if !name.starts_with('/') || name.len() > ENTRY_NAME_MAX => Some("that is no name of an annotation"),
        Some(value) if value.len() > METADATA_VALUE_MAX => Some("the value of an annotation is too long"),
        _ => None,
    })
}

fn is_word(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|octet| octet > b' ' && octet != 0x7f)
}

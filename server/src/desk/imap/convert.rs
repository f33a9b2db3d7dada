//! The store's values in IMAP's words, and back.
//!
//! Invariants: none of it loses anything that the other side can say.

use imap::flag::{Keyword, SystemFlag, SystemFlags};
use imap::server::ask::{Flagged, ObjectId, SpecialUse};
use imap::set::NumberSet;
use store::{EmailId, Flags, MailboxId, Row, Snapshot, ThreadId, Uid};

/// The five flags, there and here.
const SYSTEM: [(SystemFlag, u32); 5] = [
    (SystemFlag::Answered, Flags::ANSWERED),
    (SystemFlag::Flagged, Flags::FLAGGED),
    (SystemFlag::Deleted, Flags::DELETED),
    (SystemFlag::Seen, Flags::SEEN),
    (SystemFlag::Draft, Flags::DRAFT),
];

/// The bit of a flag.
pub(super) fn bit(flag: SystemFlag) -> u32 {
    SYSTEM.iter().find(|(known, _)| *known == flag).map_or(0, |(_, bit)| *bit)
}

/// Flags as a client named them.
pub(super) fn kept_flags(flags: &imap::flag::Flags) -> Flags {
    Flags {
        system: flags.system.iter().map(bit).fold(0, |all, bit| all | bit),
        keywords: flags.keywords().iter().map(|keyword| keyword.as_str().to_owned()).collect(),
    }
}

/// Flags of a message in the snapshot.
pub(super) fn told_flags(snapshot: &Snapshot, row: &Row) -> imap::flag::Flags {
    let system = SYSTEM
        .iter()
        .filter(|(_, bit)| u32::from(row.system) & bit != 0)
        .fold(SystemFlags::NONE, |all, (flag, _)| all.with(*flag));
    let mut flags = imap::flag::Flags::new(system);
    if row.has_keywords() {
        keywords(&snapshot.keywords_of(row)).for_each(|keyword| flags.add(keyword));
    }
    flags
}

/// A message's flags as a change of them is told.
pub(super) fn flagged(snapshot: &Snapshot, row: &Row) -> Flagged {
    Flagged { uid: row.uid.0, flags: told_flags(snapshot, row), modseq: modseq(row.modseq) }
}

/// Keywords, without those that no client could read.
pub(super) fn keywords(words: &[String]) -> impl Iterator<Item = Keyword> {
    words.iter().filter_map(|word| Keyword::parse(word.as_bytes()))
}

/// A change number: never negative.
pub(super) fn modseq(modseq: store::ModSeq) -> u64 {
    u64::try_from(modseq.0).unwrap_or(0)
}

/// A change number of the client's; what is beyond all of ours is beyond all of ours.
pub(super) fn kept_modseq(modseq: u64) -> store::ModSeq {
    store::ModSeq(i64::try_from(modseq).unwrap_or(i64::MAX))
}

/// UIDs in ascending order as a set.
pub(super) fn set(uids: impl IntoIterator<Item = Uid>) -> NumberSet {
    let mut set = NumberSet::new();
    uids.into_iter().for_each(|uid| set.insert(uid.0));
    set
}

/// Indices of those messages of a set that are there, ascending.
pub(super) fn rows<'a>(snapshot: &'a Snapshot, set: &'a NumberSet) -> impl Iterator<Item = &'a Row> {
    set.ranges().iter().flat_map(|(first, last)| {
        let (from, to) = (snapshot.lower_bound(Uid(*first)), last.checked_add(1).map(Uid));
        let to = to.map_or(snapshot.len(), |to| snapshot.lower_bound(to));
        snapshot.slice(from..to)
    })
}

/// What a mailbox is called for ever.
pub(super) fn mailbox_id(mailbox: MailboxId) -> ObjectId {
    object_id('F', mailbox.0)
}

/// What a message is called for ever.
pub(super) fn email_id(email: EmailId) -> ObjectId {
    object_id('M', email.0)
}

/// What a discussion is called.
pub(super) fn thread_id(thread: ThreadId) -> ObjectId {
    object_id('T', thread.0)
}

fn object_id(kind: char, number: i64) -> ObjectId {
    // A letter and digits are always legal.
    ObjectId::new(format!("{kind}{number}")).expect("a letter and digits")
}

/// The number behind an id of this kind, if it is one of ours.
pub(super) fn number_of(kind: char, id: &str) -> Option<i64> {
    let digits = id.strip_prefix(kind)?;
    (digits.len() <= 19 && digits.bytes().all(|octet| octet.is_ascii_digit())).then(|| digits.parse().ok()).flatten()
}

/// Uses as the store spells them.
pub(super) fn uses(words: &[String]) -> Vec<SpecialUse> {
    words.iter().filter_map(|word| SpecialUse::parse(word.as_bytes())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_come_back_as_they_went() {
        let mut flags = imap::flag::Flags::new(SystemFlags::ALL);
        flags.add(Keyword::parse(b"$Forwarded").expect("a keyword"));
        let kept = kept_flags(&flags);
        assert_eq!(kept, Flags { system: Flags::ALL, keywords: vec!["$Forwarded".into()] });
    }

    #[test]
    fn ids_are_known_again() {
        assert_eq!(number_of('M', email_id(EmailId(42)).as_str()), Some(42));
        for other in ["T42", "M", "M-1", "M+1", "M99999999999999999999", "42", ""] {
            assert_eq!(number_of('M', other), None, "{other}");
        }
    }
}

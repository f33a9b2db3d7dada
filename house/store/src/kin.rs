//! What messages of a mailbox say of each other, as numbers: whoever wants its discussions again asks the index nothing.
//!
//! Invariants: a message never changes, so what was found of those that were there holds until others come; one a mailbox, of at most
//! [`KIN_OCTETS_MAX`], in memory as long as its snapshots.
//! Not here: what makes a discussion (desks).

use crate::names::Uid;

/// What is kept of one mailbox, in octets: some two hundred thousand messages. Those of a larger one are looked at each time.
pub const KIN_OCTETS_MAX: usize = 8 * 1024 * 1024;

/// What is known of a message. Numbers that are the same mean the same text; 0 is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Letter {
    /// Its UID.
    pub uid: u32,
    /// When it says it was sent; when it arrived, if it does not say.
    pub sent: i64,
    /// Its subject without what answers put before it.
    pub subject: u32,
    /// Whether there was such a thing.
    pub is_reply: bool,
    /// What it is called.
    pub id: u32,
}

/// Messages, and those that they name.
#[derive(Debug, Default)]
pub struct Kin {
    /// By UID.
    letters: Vec<Letter>,
    /// Of each where the ids end that it names.
    ends: Vec<usize>,
    /// What all of them name, each the oldest first.
    named: Vec<u32>,
}

impl Kin {
    /// One more message, beyond all others, and what those are called that it names, oldest first.
    pub fn push(&mut self, letter: Letter, named: impl IntoIterator<Item = u32>) {
        debug_assert!(self.letters.last().is_none_or(|last| last.uid < letter.uid));
        self.letters.push(letter);
        self.named.extend(named);
        self.ends.push(self.named.len());
    }

    /// All of its messages, ascending.
    pub fn uids(&self) -> impl Iterator<Item = Uid> {
        self.letters.iter().map(|letter| Uid(letter.uid))
    }

    /// Each of these messages, which ascend, and whom it names, if it has all of them.
    pub fn each(&self, uids: &[Uid]) -> Option<Vec<(Letter, &[u32])>> {
        let (mut found, mut next) = (Vec::with_capacity(uids.len()), 0);
        for uid in uids {
            // Most often the one behind the last.
            if self.letters.get(next).is_none_or(|letter| letter.uid != uid.0) {
                next += self.letters.get(next..)?.binary_search_by_key(&uid.0, |letter| letter.uid).ok()?;
            }
            let start = next.checked_sub(1).map_or(0, |before| self.ends[before]);
            found.push((self.letters[next], &self.named[start..self.ends[next]]));
            next += 1;
        }
        Some(found)
    }

    /// Whether it is small enough to be kept.
    pub(crate) fn may_be_kept(&self) -> bool {
        let each = size_of::<Letter>() + size_of::<usize>();
        self.letters.len() * each + self.named.len() * size_of::<u32>() <= KIN_OCTETS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_is_found_with_those_it_names() {
        let mut kin = Kin::default();
        for (uid, named) in [(2, &[][..]), (5, &[7, 8]), (9, &[8])] {
            kin.push(Letter { uid, id: uid, ..Letter::default() }, named.iter().copied());
        }
        let each = |uids: &[u32]| {
            let found = kin.each(&uids.iter().map(|uid| Uid(*uid)).collect::<Vec<_>>())?;
            Some(found.into_iter().map(|(letter, named)| (letter.uid, named.to_vec())).collect::<Vec<_>>())
        };
        assert_eq!(each(&[2, 5, 9]), Some(vec![(2, vec![]), (5, vec![7, 8]), (9, vec![8])]));
        assert_eq!((each(&[9]), each(&[])), (Some(vec![(9, vec![8])]), Some(vec![])));
        assert_eq!((each(&[2, 3]), each(&[9, 10])), (None, None));
    }

    #[test]
    fn what_is_too_much_is_not_kept() {
        let mut kin = Kin::default();
        kin.push(Letter::default(), std::iter::repeat_n(1, KIN_OCTETS_MAX / 4 - 20));
        assert!(kin.may_be_kept());
        kin.push(Letter { uid: 1, ..Letter::default() }, [1; 20]);
        assert!(!kin.may_be_kept());
    }
}

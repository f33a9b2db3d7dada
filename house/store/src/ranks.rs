//! The order in which somebody has put a mailbox once, as numbers: whoever wants that order again compares numbers, and asks the index
//! nothing.
//!
//! Invariants: a message never changes, so the order of those that were there holds until others come; eight octets a message, one order
//! a mailbox, in memory as long as its snapshots.
//! Not here: what is compared (desks).

use crate::names::Uid;

/// Which messages stand before which.
#[derive(Debug)]
pub struct Ranks {
    /// What was compared: a word of whoever did.
    pub(crate) by: &'static str,
    /// Ascending.
    uids: Box<[u32]>,
    /// Of each its rank; those that are alike have the same.
    ranks: Box<[u32]>,
}

impl Ranks {
    /// Of messages from the first to the last, in groups of those that are alike.
    pub fn new<'a>(by: &'static str, groups: impl Iterator<Item = &'a [u32]>) -> Ranks {
        let numbered = (0..).zip(groups).flat_map(|(rank, uids)| uids.iter().map(move |uid| (*uid, rank)));
        let mut all: Vec<(u32, u32)> = numbered.collect();
        all.sort_unstable();
        let (uids, ranks): (Vec<u32>, Vec<u32>) = all.into_iter().unzip();
        Ranks { by, uids: uids.into(), ranks: ranks.into() }
    }

    /// The rank of each of these messages, which ascend, if it has all of them.
    pub fn each(&self, uids: &[Uid]) -> Option<Vec<u32>> {
        let (mut found, mut next) = (Vec::with_capacity(uids.len()), 0);
        for uid in uids {
            // Most often the one behind the last.
            if self.uids.get(next) != Some(&uid.0) {
                next += self.uids.get(next..)?.binary_search(&uid.0).ok()?;
            }
            found.push(self.ranks[next]);
            next += 1;
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_has_the_rank_of_its_group() {
        let groups: [&[u32]; 3] = [&[7], &[9, 2], &[5]];
        let ranks = Ranks::new("subject", groups.into_iter());
        let each = |uids: &[u32]| ranks.each(&uids.iter().map(|uid| Uid(*uid)).collect::<Vec<_>>());
        assert_eq!(each(&[2, 5, 7, 9]), Some(vec![1, 2, 0, 1]));
        assert_eq!((each(&[5, 9]), each(&[])), (Some(vec![2, 1]), Some(vec![])));
        assert_eq!((each(&[2, 3]), each(&[9, 10]), each(&[10])), (None, None, None));
    }
}

//! What a session knows of its mailbox: which message has which sequence number, and who is gone.
//!
//! RFC 9051 §2.3.1.2 (sequence numbers), §5.5 and §7.5.1 (when a number may stop meaning its message); RFC 2180 §4.1.
//!
//! UIDs that follow one another are one run, so that a mailbox costs by its holes and not by its messages: one million
//! messages without holes are twelve octets, with a hole behind each they are eight million.
//!
//! Invariants: numbers go from 1 to the count without holes; a message that is gone keeps its number until that was
//! announced; UIDs ascend with numbers.
//! Not here: flags, which the house keeps once for all sessions.

use crate::set::NumberSet;

/// The messages of the selected mailbox as this client knows them.
#[derive(Debug, Default)]
pub struct View {
    runs: Vec<Run>,
    count: u32,
    /// Gone from the mailbox, and still here.
    gone: NumberSet,
}

/// Messages whose UIDs follow one another, up to where the next run begins.
#[derive(Debug, Clone, Copy)]
struct Run {
    uid: u32,
    number: u32,
}

impl View {
    /// Of these messages.
    pub fn new(uids: &NumberSet) -> Self {
        let mut view = View::default();
        view.add(uids);
        view
    }

    /// How many messages the client knows.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The largest number, if there is a message.
    pub fn last_number(&self) -> Option<u32> {
        (self.count > 0).then_some(self.count)
    }

    /// The largest UID, if there is a message.
    pub fn last_uid(&self) -> Option<u32> {
        let run = self.runs.last()?;
        Some(run.uid + (self.count - run.number))
    }

    /// Messages that are gone and not announced to be.
    pub fn gone(&self) -> &NumberSet {
        &self.gone
    }

    /// The last UID of a run.
    fn end(&self, at: usize) -> u32 {
        let next = self.runs.get(at + 1).map_or(self.count + 1, |next| next.number);
        self.runs[at].uid + (next - self.runs[at].number - 1)
    }

    /// All UIDs.
    pub fn uids(&self) -> NumberSet {
        NumberSet::from_ranges((0..self.runs.len()).map(|at| (self.runs[at].uid, self.end(at))))
    }

    /// Those of these UIDs that messages have. Costs by the ranges asked for, not by the mailbox.
    pub fn known(&self, uids: &NumberSet) -> NumberSet {
        let within = |&(first, last): &(u32, u32)| {
            let from = self.runs.partition_point(|run| run.uid <= first).saturating_sub(1);
            let until = self.runs.partition_point(|run| run.uid <= last);
            (from..until).map(move |at| (self.runs[at].uid.max(first), self.end(at).min(last)))
        };
        NumberSet::from_ranges(uids.ranges().iter().flat_map(within))
    }

    /// The number of a message.
    pub fn number_of(&self, uid: u32) -> Option<u32> {
        let at = self.runs.partition_point(|run| run.uid <= uid).checked_sub(1)?;
        (uid <= self.end(at)).then(|| self.runs[at].number + (uid - self.runs[at].uid))
    }

    /// The UIDs of these numbers; those that no message has are left out.
    pub fn uids_of(&self, numbers: &NumberSet) -> NumberSet {
        let numbers = numbers.intersection(&NumberSet::range(1, self.count));
        NumberSet::from_ranges(numbers.ranges().iter().flat_map(|&(first, last)| self.uid_ranges(first, last)))
    }

    fn uid_ranges(&self, first: u32, last: u32) -> impl Iterator<Item = (u32, u32)> {
        let from = self.runs.partition_point(|run| run.number <= first).saturating_sub(1);
        let until = self.runs.partition_point(|run| run.number <= last);
        (from..until).map(move |at| {
            let Run { uid, number } = self.runs[at];
            let start = if number < first { uid + (first - number) } else { uid };
            (start, self.end(at).min(uid + (last - number)))
        })
    }

    /// The numbers of these UIDs; those that no message has are left out.
    pub fn numbers_of(&self, uids: &NumberSet) -> NumberSet {
        let known = self.known(uids);
        let ends = |&(first, last): &(u32, u32)| Some((self.number_of(first)?, self.number_of(last)?));
        NumberSet::from_ranges(known.ranges().iter().filter_map(ends))
    }

    /// New messages, whose UIDs are larger than all before; others are known already.
    pub fn add(&mut self, uids: &NumberSet) {
        for &(first, last) in uids.ranges() {
            let Some(next) = self.last_uid().unwrap_or(0).checked_add(1) else { return };
            let first = first.max(next);
            if first > last {
                continue;
            }
            if first != next || self.count == 0 {
                self.runs.push(Run { uid: first, number: self.count + 1 });
            }
            self.count += last - first + 1;
        }
    }

    /// These are gone. They keep their numbers for now.
    pub fn lose(&mut self, uids: &NumberSet) {
        self.gone = self.gone.union(&self.known(uids));
    }

    /// Takes up to `most` of those that are gone out of the view, the largest first, and gives their numbers in an order
    /// in which they can be announced one by one.
    pub fn announce(&mut self, most: usize) -> Vec<u32> {
        let all: Vec<u32> = if self.gone.count() <= most as u64 {
            std::mem::take(&mut self.gone).iter().collect()
        } else {
            let mut kept = std::mem::take(&mut self.gone);
            let keep = u32::try_from(kept.count() - most as u64).unwrap_or(u32::MAX);
            self.gone = kept.take_front(keep);
            kept.iter().collect()
        };
        let numbers: Vec<u32> = all.iter().rev().filter_map(|uid| self.number_of(*uid)).collect();
        self.remove(&all.into_iter().collect());
        numbers
    }

    /// Takes all that are gone out of the view at once.
    pub fn forget_gone(&mut self) -> NumberSet {
        let gone = std::mem::take(&mut self.gone);
        self.remove(&gone);
        gone
    }

    fn remove(&mut self, uids: &NumberSet) {
        if uids.is_empty() {
            return;
        }
        let left = self.uids().difference(uids);
        (self.runs, self.count) = (Vec::new(), 0);
        self.add(&left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(uids: &[u32]) -> NumberSet {
        uids.iter().copied().collect()
    }

    #[test]
    fn a_million_messages_are_one_run() {
        let mut view = View::new(&NumberSet::range(1, 1_000_000));
        assert_eq!((view.count(), view.runs.len()), (1_000_000, 1));
        view.lose(&NumberSet::range(500_000, 500_009));
        assert_eq!(view.number_of(500_010), Some(500_010), "numbers stay until it is announced");
        assert_eq!(view.announce(4), [500_009, 500_008, 500_007, 500_006]);
        assert_eq!(view.announce(100).len(), 6);
        assert_eq!((view.count(), view.number_of(500_010), view.number_of(500_000)), (999_990, Some(500_000), None));
    }

    #[test]
    fn what_is_known_is_not_added_twice() {
        let mut view = View::new(&set(&[3, 5]));
        view.add(&set(&[4, 5, 6, 9]));
        assert_eq!(view.uids(), set(&[3, 5, 6, 9]));
        view.lose(&set(&[1, 4, 9]));
        assert_eq!(view.gone(), &set(&[9]));
        assert_eq!(view.last_uid(), Some(9));
    }

    proptest! {
        #[test]
        fn it_is_a_list(uids in proptest::collection::btree_set(1u32..60, 0..30), lost in proptest::collection::btree_set(1u32..60, 0..20), numbers in proptest::collection::btree_set(1u32..40, 0..20), most in 1usize..5) {
            let mut list: Vec<u32> = uids.iter().copied().collect();
            let mut view = View::new(&list.iter().copied().collect());
            for (at, uid) in list.iter().enumerate() {
                prop_assert_eq!(view.number_of(*uid), Some(at as u32 + 1));
            }
            let numbers: NumberSet = numbers.into_iter().collect();
            let expected: NumberSet = numbers.iter().filter_map(|number| list.get(number as usize - 1)).copied().collect();
            prop_assert_eq!(view.uids_of(&numbers), expected.clone());
            prop_assert_eq!(view.known(&numbers), numbers.intersection(&view.uids()));
            prop_assert_eq!(view.uids_of(&view.numbers_of(&expected)), expected);
            view.lose(&lost.iter().copied().collect());
            while !view.gone().is_empty() {
                for number in view.announce(most) {
                    list.remove(number as usize - 1);
                }
            }
            prop_assert_eq!(view.uids(), list.iter().copied().collect());
            prop_assert!(list.iter().all(|uid| !lost.contains(uid)));
        }
    }
}

//! Sets of numbers: as clients write them, and as they are.
//!
//! RFC 9051 §9 (`sequence-set`, `uid-set`): `2,4:7,9,12:*`; an end may be `*`, and a range may stand the wrong way round.
//!
//! A set is its ranges and is never written out number by number: `1:4294967295` is one range, whatever it stands for.
//!
//! Invariants: a [`NumberSet`] has its ranges in order, apart from one another, and no zero; equal sets are equal values.
//! Not here: which numbers there are (view).

use std::fmt;

/// So many ranges a set may be written with; a command line of 64 KiB cannot hold more.
pub const RANGES_MAX: usize = 32_768;

/// One end of a range in a [`SequenceSet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// This number; not zero.
    Number(u32),
    /// `*`: the largest number there is.
    Largest,
}

/// A set as a client wrote it, which means something only beside a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceSet(Vec<(End, End)>);

impl SequenceSet {
    /// Reads a set. `None` if it is none, or has more than [`RANGES_MAX`] ranges.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut ranges = Vec::new();
        for part in text.split(|&octet| octet == b',') {
            if ranges.len() == RANGES_MAX {
                return None;
            }
            let mut ends = part.split(|&octet| octet == b':');
            let first = end(ends.next()?)?;
            let last = ends.next().map_or(Some(first), end)?;
            if ends.next().is_some() {
                return None;
            }
            ranges.push((first, last));
        }
        Some(SequenceSet(ranges))
    }

    /// A set of these ranges; `None` if there is none, too many, or a zero.
    pub fn new(ranges: Vec<(End, End)>) -> Option<Self> {
        let zero = ranges.iter().any(|&(a, b)| a == End::Number(0) || b == End::Number(0));
        (!ranges.is_empty() && ranges.len() <= RANGES_MAX && !zero).then_some(SequenceSet(ranges))
    }

    /// What it stands for where `largest` is the largest number; `*` is nothing where there is none.
    pub fn resolve(&self, largest: Option<u32>) -> NumberSet {
        let number = |end| match end {
            End::Number(number) => Some(number),
            End::Largest => largest,
        };
        let range = |&(a, b): &(End, End)| Some((number(a)?, number(b)?)).map(|(a, b)| (a.min(b), a.max(b)));
        NumberSet::from_ranges(self.0.iter().filter_map(range))
    }

    /// The set, where no end is `*`.
    pub fn plain(&self) -> Option<NumberSet> {
        let open = |&(a, b): &(End, End)| a == End::Largest || b == End::Largest;
        (!self.0.iter().any(open)).then(|| self.resolve(None))
    }

    /// How many ranges it is written with.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never: a set has a range.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The largest number that is written in it.
    pub fn largest_written(&self) -> Option<u32> {
        let number = |end: End| if let End::Number(number) = end { Some(number) } else { None };
        self.0.iter().flat_map(|&(a, b)| [number(a), number(b)]).flatten().max()
    }
}

impl fmt::Display for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_ranges(f, &self.0)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Number(number) => write!(f, "{number}"),
            End::Largest => f.write_str("*"),
        }
    }
}

fn end(text: &[u8]) -> Option<End> {
    if text == b"*" {
        return Some(End::Largest);
    }
    crate::words::nonzero(text).map(End::Number)
}

/// Numbers, in order: UIDs, or the sequence numbers of one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NumberSet(Vec<(u32, u32)>);

impl NumberSet {
    /// No number.
    pub const fn new() -> Self {
        NumberSet(Vec::new())
    }

    /// All from the first to the last; none if they stand the wrong way round, or the first is zero.
    pub fn range(first: u32, last: u32) -> Self {
        NumberSet::from_ranges([(first, last)])
    }

    /// These ranges, in any order, overlapping or not. Zero is left out, and so are ranges the wrong way round.
    pub fn from_ranges(ranges: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let ranges = ranges.into_iter().map(|(first, last)| (first.max(1), last)).filter(|(first, last)| first <= last);
        let mut ranges: Vec<(u32, u32)> = ranges.collect();
        if !ranges.is_sorted() {
            ranges.sort_unstable();
        }
        let mut set = NumberSet::new();
        for (first, last) in ranges {
            set.push(first, last);
        }
        set
    }

    /// Adds a range that begins no earlier than the last one.
    fn push(&mut self, first: u32, last: u32) {
        match self.0.last_mut() {
            Some(end) if first <= end.1.saturating_add(1) => end.1 = end.1.max(last),
            _ => self.0.push((first, last)),
        }
    }

    /// Adds a number. Quick when it is larger than all others.
    pub fn insert(&mut self, number: u32) {
        match self.0.last() {
            _ if number == 0 => {}
            Some(end) if number <= end.1 => {
                if !self.contains(number) {
                    *self = self.union(&NumberSet::range(number, number));
                }
            }
            _ => self.push(number, number),
        }
    }

    /// The ranges, in order: first and last number of each.
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.0
    }

    /// The numbers, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().flat_map(|&(first, last)| first..=last)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|&(first, last)| u64::from(last - first) + 1).sum()
    }

    /// The smallest.
    pub fn first(&self) -> Option<u32> {
        self.0.first().map(|range| range.0)
    }

    /// The largest.
    pub fn last(&self) -> Option<u32> {
        self.0.last().map(|range| range.1)
    }

    /// Whether this number is one of them.
    pub fn contains(&self, number: u32) -> bool {
        let at = self.0.partition_point(|&(_, last)| last < number);
        self.0.get(at).is_some_and(|&(first, _)| first <= number)
    }

    /// Those of either.
    pub fn union(&self, other: &NumberSet) -> NumberSet {
        NumberSet::from_ranges(self.0.iter().chain(&other.0).copied())
    }

    /// Those of both.
    pub fn intersection(&self, other: &NumberSet) -> NumberSet {
        let (mut set, mut a, mut b) = (NumberSet::new(), self.0.iter().peekable(), other.0.iter().peekable());
        while let (Some(&&(a_first, a_last)), Some(&&(b_first, b_last))) = (a.peek(), b.peek()) {
            let (first, last) = (a_first.max(b_first), a_last.min(b_last));
            if first <= last {
                set.push(first, last);
            }
            if a_last <= b_last {
                a.next();
            } else {
                b.next();
            }
        }
        set
    }

    /// Those of this one that are not in the other.
    pub fn difference(&self, other: &NumberSet) -> NumberSet {
        let (mut set, mut holes) = (NumberSet::new(), other.0.iter().peekable());
        for &(first, last) in &self.0 {
            let mut from = first;
            while let Some(&&(hole, hole_end)) = holes.peek() {
                if hole > last {
                    break;
                }
                if hole > from {
                    set.push(from, hole - 1);
                }
                from = from.max(hole_end.saturating_add(1));
                if hole_end > last {
                    break;
                }
                holes.next();
            }
            let used_up = other.contains(last);
            if from <= last && !used_up {
                set.push(from, last);
            }
        }
        set
    }

    /// Takes the smallest `count` numbers away and returns them.
    pub fn take_front(&mut self, count: u32) -> NumberSet {
        let (mut left, mut taken, mut whole) = (count, NumberSet::new(), 0);
        for range in &mut self.0 {
            let size = range.1 - range.0;
            if left == 0 {
                break;
            }
            if size < left {
                taken.push(range.0, range.1);
                left -= size + 1;
                whole += 1;
            } else {
                taken.push(range.0, range.0 + left - 1);
                range.0 += left;
                left = 0;
            }
        }
        self.0.drain(..whole);
        taken
    }
}

impl FromIterator<u32> for NumberSet {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        NumberSet::from_ranges(numbers.into_iter().map(|number| (number, number)))
    }
}

/// As on the wire; nothing for an empty set, which has no form there.
impl fmt::Display for NumberSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_ranges(f, &self.0)
    }
}

/// Ranges as on the wire (RFC 9051 §9, `sequence-set`): one number where both ends are the same.
fn write_ranges<E: fmt::Display + PartialEq>(f: &mut fmt::Formatter<'_>, ranges: &[(E, E)]) -> fmt::Result {
    for (at, (first, last)) in ranges.iter().enumerate() {
        if at > 0 {
            f.write_str(",")?;
        }
        write!(f, "{first}")?;
        if first != last {
            write!(f, ":{last}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn set(text: &str) -> NumberSet {
        SequenceSet::parse(text.as_bytes()).expect("a set").resolve(Some(10))
    }

    #[test]
    fn sets_are_read_as_they_may_be_written() {
        // RFC 9051 §9: "2,4:7,9,12:*" and "*:4".
        assert_eq!(set("2,4:7,9,12:*").to_string(), "2,4:7,9:12");
        assert_eq!(set("*:4,5:7").to_string(), "4:10");
        assert_eq!(set("3,2,1").to_string(), "1:3");
        assert_eq!(set("1:4294967295").count(), 4_294_967_295);
        assert_eq!(set("4294967295,1:4294967294").to_string(), "1:4294967295");
        for text in ["", "0", "1:", ":1", "1:2:3", "a", "1,", "4294967296", "01x", "-1", "1 2"] {
            assert_eq!(SequenceSet::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(SequenceSet::parse("1,".repeat(RANGES_MAX).as_bytes()), None);
    }

    #[test]
    fn a_star_is_nothing_where_there_is_nothing() {
        let star = SequenceSet::parse(b"*").expect("a set");
        assert!(star.resolve(None).is_empty());
        assert_eq!(star.plain(), None);
        assert_eq!(star.resolve(Some(3)).to_string(), "3");
    }

    fn small() -> impl Strategy<Value = NumberSet> {
        proptest::collection::vec((1u32..40, 0u32..6), 0..8)
            .prop_map(|ranges| NumberSet::from_ranges(ranges.into_iter().map(|(first, more)| (first, first + more))))
    }

    proptest! {
        #[test]
        fn sets_are_sets(a in small(), b in small(), count in 0u32..50) {
            let (one, other): (BTreeSet<u32>, BTreeSet<u32>) = (a.iter().collect(), b.iter().collect());
            prop_assert_eq!(a.union(&b), one.union(&other).copied().collect::<NumberSet>());
            prop_assert_eq!(a.intersection(&b), one.intersection(&other).copied().collect::<NumberSet>());
            prop_assert_eq!(a.difference(&b), one.difference(&other).copied().collect::<NumberSet>());
            prop_assert!(one.iter().all(|number| a.contains(*number)));
            let (mut rest, mut by_one) = (a.clone(), NumberSet::new());
            let taken = rest.take_front(count);
            prop_assert_eq!(taken.count(), a.count().min(u64::from(count)));
            prop_assert_eq!(taken.union(&rest), a.clone());
            one.iter().rev().for_each(|number| by_one.insert(*number));
            prop_assert_eq!(by_one, a);
        }

        #[test]
        fn parse_after_write_is_identity(a in small()) {
            prop_assume!(!a.is_empty());
            let written = SequenceSet::parse(a.to_string().as_bytes()).expect("a set");
            prop_assert_eq!(written.to_string(), a.to_string());
            prop_assert_eq!(written.plain(), Some(a));
        }
    }
}

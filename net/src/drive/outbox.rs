//! What is said and not written yet: what is small stands behind one another, what is large is a piece of its own.
//!
//! ```text
//! said ─put→ small: copied behind the last piece     large: changes owner     pieces ─poll_write→ wire, many in one call
//! ```
//!
//! Invariants: octets leave in the order in which they came; no piece is empty.
//! Not here: when there is enough to be written, and who waits for whom (post).

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use super::KEEP_MAX;
use super::wire::Wire;

/// What is said in so many octets or more is not copied but becomes a piece of its own, which costs about as much as copying them.
const LARGE: usize = 4 * 1024;

/// So many pieces go out in one call: more than make [`GATHER_MAX`](super::GATHER_MAX) octets where half of them are large.
const PIECES_AT_ONCE: usize = 64;

/// Pieces on their way.
#[derive(Default)]
pub(super) struct Outbox {
    /// Most often the only one. Empty where there is none.
    first: Vec<u8>,
    /// How much of it is written.
    written: usize,
    /// Boxed, for who idles has none.
    more: Option<Box<More>>,
}

/// What stands behind the first piece.
#[derive(Default)]
struct More {
    pieces: VecDeque<Vec<u8>>,
    /// Octets in them.
    octets: usize,
}

impl Outbox {
    /// Whether it holds nothing, not even something that is written already.
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// Whether all that it holds is written.
    pub(super) fn is_written(&self) -> bool {
        self.unwritten() == 0
    }

    /// How much is not written yet.
    pub(super) fn unwritten(&self) -> usize {
        self.first.len() - self.written + self.more.as_ref().map_or(0, |more| more.octets)
    }

    /// Puts `said` behind what there is and leaves an empty buffer in its place.
    pub(super) fn put(&mut self, said: &mut Vec<u8>) {
        if self.is_empty() {
            return self.begin(said);
        }
        let is_small = said.len() < LARGE;
        let has_room = |last: &Vec<u8>| last.len() < LARGE || last.capacity() - last.len() >= said.len();
        if is_small && self.is_alone() && has_room(&self.first) {
            self.first.extend_from_slice(said);
        } else if !said.is_empty() {
            let more = self.more.get_or_insert_default();
            more.octets += said.len();
            match more.pieces.back_mut() {
                Some(last) if is_small && has_room(last) => last.extend_from_slice(said),
                // Whoever says little will need his buffer again.
                _ => more.pieces.push_back(if is_small { said.clone() } else { std::mem::take(said) }),
            }
        }
        said.clear();
    }

    /// The same in one piece.
    pub(super) fn put_whole(&mut self, said: &mut Vec<u8>) {
        if self.is_empty() {
            return self.begin(said);
        }
        self.end().extend_from_slice(said);
        said.clear();
    }

    fn begin(&mut self, said: &mut Vec<u8>) {
        std::mem::swap(&mut self.first, said);
        self.written = 0;
    }

    /// The piece behind which may be written, where there are no others.
    pub(super) fn end(&mut self) -> &mut Vec<u8> {
        debug_assert!(self.is_alone(), "either all are put whole, or none");
        &mut self.first
    }

    /// Has some of it written, and says how much.
    pub(super) fn poll_write(&self, wire: &mut Wire, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let first = &self.first[self.written..];
        let Some(more) = self.more.as_ref().filter(|more| !more.pieces.is_empty()) else {
            return wire.poll_write(cx, first);
        };
        let mut slices = [IoSlice::new(&[]); PIECES_AT_ONCE];
        let pieces = std::iter::once(first).chain(more.pieces.iter().map(Vec::as_slice));
        let count = slices.iter_mut().zip(pieces).map(|(slice, piece)| *slice = IoSlice::new(piece)).count();
        wire.poll_write_pieces(cx, &slices[..count])
    }

    /// So much has been written.
    pub(super) fn note_written(&mut self, octets: usize) {
        self.written += octets;
        while self.written >= self.first.len()
            && let Some(more) = &mut self.more
            && let Some(next) = more.pieces.pop_front()
        {
            self.written -= self.first.len();
            more.octets -= next.len();
            self.first = next;
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.first.clear();
        self.written = 0;
        if let Some(more) = &mut self.more {
            more.pieces.clear();
            more.octets = 0;
        }
    }

    /// Whether nothing stands behind the first piece.
    fn is_alone(&self) -> bool {
        self.more.as_ref().is_none_or(|more| more.pieces.is_empty())
    }

    /// Gives memory back that who idles does not need.
    pub(super) fn slim(&mut self) {
        if self.is_empty() {
            if self.first.capacity() > KEEP_MAX {
                self.first = Vec::new();
            }
            self.more = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What it holds that is not written.
    fn left(outbox: &Outbox) -> Vec<u8> {
        let more = outbox.more.iter().flat_map(|more| &more.pieces).flatten();
        outbox.first[outbox.written..].iter().chain(more).copied().collect()
    }

    #[test]
    fn what_is_large_is_not_copied() {
        let mut outbox = Outbox::default();
        outbox.put(&mut b"head".to_vec());
        let mut large = vec![b'x'; LARGE];
        let place = large.as_ptr();
        outbox.put(&mut large);
        outbox.put(&mut b"tail".to_vec());
        let pieces = &outbox.more.as_ref().expect("a large piece").pieces;
        assert_eq!((pieces[0].as_ptr(), pieces.len()), (place, 2));
        assert_eq!(outbox.unwritten(), LARGE + 8);
        outbox.note_written(LARGE + 8);
        assert!(outbox.is_written() && !outbox.is_empty());
    }

    proptest! {
        #[test]
        fn octets_leave_in_the_order_in_which_they_came(
            turns in proptest::collection::vec((0..3 * LARGE, 0..6 * LARGE), 1..40),
        ) {
            let (mut outbox, mut expected, mut said) = (Outbox::default(), Vec::new(), Vec::new());
            for (number, (put, written)) in turns.into_iter().enumerate() {
                said.resize(put, number as u8);
                expected.extend_from_slice(&said);
                outbox.put(&mut said);
                prop_assert!(said.is_empty());
                let written = written.min(outbox.unwritten());
                outbox.note_written(written);
                expected.drain(..written);
                prop_assert_eq!(outbox.unwritten(), expected.len());
                prop_assert!(left(&outbox) == expected);
                if outbox.is_written() {
                    outbox.clear();
                    prop_assert!(outbox.is_empty());
                }
            }
        }
    }
}

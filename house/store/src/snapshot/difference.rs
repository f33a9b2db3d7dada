//! What is different between two moments of a mailbox, and the walk along rows that finds it.
//!
//! Not here: how one moment becomes the next (after).

use std::sync::Arc;

use super::{Piece, Row, Snapshot};
use crate::names::Uid;

/// How one snapshot differs from an earlier one. All ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Messages that are gone.
    pub vanished: Vec<Uid>,
    /// Messages that were there and have changed.
    pub changed: Vec<Uid>,
    /// Messages that are new.
    pub added: Vec<Uid>,
}

impl Snapshot {
    /// What a later snapshot of the same mailbox has that this one has not.
    pub fn changes_to(&self, later: &Snapshot) -> Difference {
        let mut difference = Difference::default();
        if self.modseq == later.modseq {
            return difference;
        }
        let (mut old, mut new) = (Cursor::new(&self.pieces), Cursor::new(&later.pieces));
        loop {
            if old.skips_with(&mut new) {
                continue;
            }
            match (old.row(), new.row()) {
                (None, None) => return difference,
                (Some(row), None) => {
                    difference.vanished.push(row.uid);
                    old.step();
                }
                (None, Some(row)) => {
                    difference.added.push(row.uid);
                    new.step();
                }
                (Some(before), Some(now)) if now.uid > before.uid => {
                    // Rows are added at the end alone, so this one is gone.
                    difference.vanished.push(before.uid);
                    old.step();
                }
                (Some(before), Some(now)) => {
                    if before.modseq != now.modseq {
                        difference.changed.push(now.uid);
                    }
                    old.step();
                    new.step();
                }
            }
        }
    }
}

/// A place in a snapshot's rows.
pub(super) struct Cursor<'a> {
    pieces: &'a [Piece],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(pieces: &'a [Piece]) -> Self {
        Cursor { pieces, at: 0 }
    }

    fn row(&self) -> Option<&'a Row> {
        self.pieces.first()?.rows.get(self.at)
    }

    fn step(&mut self) {
        self.at += 1;
        if self.pieces.first().is_some_and(|piece| piece.rows.len() <= self.at) {
            (self.pieces, self.at) = (&self.pieces[1..], 0);
        }
    }

    /// Goes on to the first row that is not before this UID; the row, if it is the one.
    pub(super) fn find(&mut self, uid: Uid) -> Option<&'a Row> {
        let is_before = |piece: &Piece| piece.rows.last().is_some_and(|row| row.uid < uid);
        if is_before(self.pieces.first()?) {
            (self.pieces, self.at) = (&self.pieces[self.pieces.partition_point(is_before)..], 0);
        }
        let rest = &self.pieces.first()?.rows[self.at..];
        // Mostly it is this one or the next.
        let near = rest.iter().take(2).position(|row| row.uid >= uid);
        self.at += near.unwrap_or_else(|| rest.partition_point(|row| row.uid < uid));
        self.row().filter(|row| row.uid == uid)
    }

    /// Passes over a piece that both have.
    fn skips_with(&mut self, other: &mut Cursor<'_>) -> bool {
        let (Some(one), Some(two)) = (self.pieces.first(), other.pieces.first()) else { return false };
        let is_same = self.at == 0 && other.at == 0 && Arc::ptr_eq(&one.rows, &two.rows);
        if is_same {
            self.pieces = &self.pieces[1..];
            other.pieces = &other.pieces[1..];
        }
        is_same
    }
}

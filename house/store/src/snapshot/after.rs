//! From one moment of a mailbox to the next.
//!
//! Invariants: pieces without anything that changes are shared with the moment before; a change that is known already
//! changes nothing.
//! Not here: what is different between two moments (difference).

use std::sync::Arc;

use super::{PIECE_ROWS, Piece, Row, Snapshot};
use crate::feed::{Arrival, Change};
use crate::names::{ModSeq, Uid};
use crate::op::Flags;

impl Snapshot {
    /// The snapshot after a change of its mailbox. One that it knows already changes nothing.
    pub(crate) fn after(&self, change: &Change) -> Snapshot {
        let mut next = self.clone();
        let (mailbox, modseq) = match change {
            Change::Placed { mailbox, modseq, .. }
            | Change::FlagsSet { mailbox, modseq, .. }
            | Change::Expunged { mailbox, modseq, .. } => (*mailbox, *modseq),
            Change::Mailboxes { .. } | Change::QueueChanged | Change::DirectoryChanged => return next,
        };
        debug_assert_eq!(mailbox, self.mailbox);
        next.modseq = next.modseq.max(modseq);
        match change {
            Change::Placed { messages, .. } => next.append(messages, modseq),
            Change::FlagsSet { messages, .. } => next.set_flags(messages, modseq),
            Change::Expunged { uids, .. } => next.remove(uids),
            Change::Mailboxes { .. } | Change::QueueChanged | Change::DirectoryChanged => {}
        }
        next
    }

    fn append(&mut self, messages: &[Arrival], modseq: ModSeq) {
        let mut pieces = self.pieces.to_vec();
        let mut rows: Vec<Row> = match pieces.last() {
            Some(last) if last.rows.len() < PIECE_ROWS => pieces.pop().map_or(Vec::new(), |last| last.rows.to_vec()),
            _ => Vec::new(),
        };
        let known = messages.partition_point(|arrival| arrival.uid.0 < self.uidnext);
        for arrival in &messages[known..] {
            let row = Row {
                modseq,
                received_at: arrival.received_at,
                uid: arrival.uid,
                size: u32::try_from(arrival.size).unwrap_or(u32::MAX),
                keywords: self.number(&arrival.flags.keywords),
                system: arrival.flags.system as u8,
            };
            self.count(&row, true);
            rows.push(row);
            if rows.len() == PIECE_ROWS {
                pieces.push(Piece { start: 0, rows: std::mem::take(&mut rows).into() });
            }
        }
        if let Some(last) = messages.last() {
            self.uidnext = self.uidnext.max(last.uid.0.saturating_add(1));
        }
        pieces.push(Piece { start: 0, rows: rows.into() });
        self.put(pieces);
    }

    fn set_flags(&mut self, messages: &[(Uid, Flags)], modseq: ModSeq) {
        self.edit(
            messages,
            |(uid, _)| *uid,
            |snapshot, row, (_, flags)| {
                if row.modseq >= modseq {
                    return Some(row);
                }
                snapshot.count(&row, false);
                let row = Row { modseq, keywords: snapshot.number(&flags.keywords), system: flags.system as u8, ..row };
                snapshot.count(&row, true);
                Some(row)
            },
        );
    }

    fn remove(&mut self, uids: &[Uid]) {
        self.edit(
            uids,
            |uid| *uid,
            |snapshot, row, _| {
                snapshot.count(&row, false);
                None
            },
        );
    }

    /// Replaces or removes the rows that are named, ascending; pieces without any stay the same.
    fn edit<T>(
        &mut self,
        named: &[T],
        uid_of: impl Fn(&T) -> Uid,
        mut change: impl FnMut(&mut Snapshot, Row, &T) -> Option<Row>,
    ) {
        let mut pieces = Vec::with_capacity(self.pieces.len());
        let mut rest = named;
        for piece in &*Arc::clone(&self.pieces) {
            let last = piece.rows.last().map_or(Uid(0), |row| row.uid);
            let (here, later) = rest.split_at(rest.partition_point(|item| uid_of(item) <= last));
            rest = later;
            if here.is_empty() {
                pieces.push(piece.clone());
                continue;
            }
            let mut here = here.iter().peekable();
            let rows = piece.rows.iter().filter_map(|row| {
                while here.next_if(|item| uid_of(item) < row.uid).is_some() {}
                match here.next_if(|item| uid_of(item) == row.uid) {
                    Some(item) => change(self, *row, item),
                    None => Some(*row),
                }
            });
            pieces.push(Piece { start: 0, rows: rows.collect() });
        }
        self.put(pieces);
    }

    /// Takes over pieces: empty ones go, small neighbours are joined, and each learns where it begins.
    pub(super) fn put(&mut self, pieces: Vec<Piece>) {
        let mut joined: Vec<Piece> = Vec::with_capacity(pieces.len());
        let mut start = 0;
        for piece in pieces.into_iter().filter(|piece| !piece.rows.is_empty()) {
            let len = piece.rows.len();
            match joined.last_mut() {
                Some(last) if last.rows.len() + len <= PIECE_ROWS / 2 => {
                    last.rows = last.rows.iter().chain(&*piece.rows).copied().collect();
                }
                _ => joined.push(Piece { start, ..piece }),
            }
            start += len;
        }
        self.pieces = joined.into();
    }
}

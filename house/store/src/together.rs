//! Whole messages that lie one behind the other in a segment, read in one call.
//!
//! ```text
//! segment ‥ header │ body │ trailer, header │ body │ trailer, journal, header │ body │ ‥
//! read             → one    → scrap         → two    → scrap                  → three
//! ```
//!
//! Invariants: each message comes with its prefix, as [`MessageReader`](crate::MessageReader) gives it; what lies between them goes nowhere.
//! Not here: where they lie (read), single messages and parts of them (read).

use std::io::{self, IoSliceMut};

use crate::Shared;
use crate::error::ReadError;
use crate::read::{Kept, open_kept};

/// Two messages are read together if no more than this lies between them, in octets: copying so much costs about as much as another call.
const GAP_MAX: u64 = 4 * 1024;

/// So many messages are read in one call at most: two stretches each, and the system takes 1,024.
pub const TOGETHER_MAX: usize = 256;

/// The first of these messages, and those that lie behind it, until they have `octets_max` octets or more. Blocks.
pub(crate) fn read(shared: &Shared, messages: &[Kept], octets_max: u64) -> Result<Vec<Vec<u8>>, ReadError> {
    let near = near(messages, octets_max);
    let Some(first) = near.first() else { return Ok(Vec::new()) };
    let segment = match shared.segments.open(first.span.segment) {
        Ok(segment) => segment,
        // Compaction has moved it; where to, the index knows.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![alone(shared, first)?]),
        Err(error) => return Err(error.into()),
    };
    let mut whole = with_room(near);
    let read = scatter(near, &mut whole, |slices| segment.read_slices_at(slices, first.span.offset))?;
    if read < length(near) {
        for (message, octets) in near.iter().zip(&mut whole) {
            segment.read_exact_at(&mut octets[message.prefix.len()..], message.span.offset)?;
        }
    }
    Ok(whole)
}

/// The same without ever waiting for the disk; `None` when that cannot be.
pub(crate) fn read_cached(shared: &Shared, messages: &[Kept], octets_max: u64) -> Option<Vec<Vec<u8>>> {
    let near = near(messages, octets_max);
    let Some(first) = near.first() else { return Some(Vec::new()) };
    let segment = shared.segments.open(first.span.segment).ok()?;
    let mut whole = with_room(near);
    let read = scatter(near, &mut whole, |slices| segment.read_slices_cached_at(slices, first.span.offset))?;
    (read == length(near)).then_some(whole)
}

/// Those of them that are read together.
fn near(messages: &[Kept], octets_max: u64) -> &[Kept] {
    let mut octets = 0;
    let follows = |pair: &&[Kept]| {
        octets += pair[0].size;
        let gap = pair[1].span.offset.checked_sub(pair[0].span.end());
        octets < octets_max && pair[1].span.segment == pair[0].span.segment && gap.is_some_and(|gap| gap <= GAP_MAX)
    };
    let followers = messages.windows(2).take(TOGETHER_MAX - 1).take_while(follows).count();
    &messages[..messages.len().min(followers + 1)]
}

/// From the first octet of the first body to the last of the last.
fn length(near: &[Kept]) -> usize {
    let (Some(first), Some(last)) = (near.first(), near.last()) else { return 0 };
    usize::try_from(last.span.end() - first.span.offset).unwrap_or(usize::MAX)
}

/// Their prefixes, and room for their bodies behind those.
fn with_room(near: &[Kept]) -> Vec<Vec<u8>> {
    let room = |message: &Kept| {
        let mut octets = vec![0; usize::try_from(message.size).unwrap_or(0)];
        octets[..message.prefix.len()].copy_from_slice(&message.prefix);
        octets
    };
    near.iter().map(room).collect()
}

/// Has the bodies read to where they belong, and what lies between them to where nobody looks.
fn scatter<T>(near: &[Kept], whole: &mut [Vec<u8>], read: impl FnOnce(&mut [IoSliceMut<'_>]) -> T) -> T {
    let bodies: u64 = near.iter().map(|message| message.span.length).sum();
    let mut scrap = vec![0; length(near).saturating_sub(usize::try_from(bodies).unwrap_or(usize::MAX))];
    let (mut rest, mut end) = (&mut scrap[..], near.first().map_or(0, |first| first.span.offset));
    let mut slices = Vec::with_capacity(2 * near.len());
    for (message, octets) in near.iter().zip(whole) {
        let gap = usize::try_from(message.span.offset - end).unwrap_or(0);
        let (between, behind) = std::mem::take(&mut rest).split_at_mut(gap);
        slices.push(IoSliceMut::new(between));
        slices.push(IoSliceMut::new(&mut octets[message.prefix.len()..]));
        (rest, end) = (behind, message.span.end());
    }
    read(&mut slices)
}

/// One message, wherever it is now.
fn alone(shared: &Shared, message: &Kept) -> Result<Vec<u8>, ReadError> {
    let (reader, mut octets, mut at) = (open_kept(shared, message)?, with_room(std::slice::from_ref(message)), 0);
    let octets = &mut octets[0];
    while at < octets.len() {
        at += reader.read(at as u64, &mut octets[at..])?;
    }
    Ok(std::mem::take(octets))
}

//! Parts of messages that lie here already, put into others that come in.
//!
//! RFC 4469 §3 (CATENATE), RFC 5092 (which part).
//!
//! Invariants: octets are copied as they are; a part is read and written by turns, so that its size costs no memory; \Seen is not set.
//! Not here: where a section is (section), the message that comes in (append).

use super::section::{self, Place};
use imap::fetch::Section;
use std::io;
use std::ops::Range;
use store::{Draft, MailboxId, MessageReader, ReadError, Store, Uid};

/// So much is read at once, in octets.
const PIECE: usize = 64 * 1024;

/// A part that was found.
#[derive(Debug)]
pub(super) enum Source {
    /// Some fields of a header.
    Octets(Vec<u8>),
    /// So much of a message.
    Stretch(MessageReader, Range<u64>),
}

impl Source {
    /// Finds a part. Blocks.
    ///
    /// # Errors
    /// [`ReadError::NotFound`] if there is no such message, or it has no such part.
    pub(super) fn find(store: &Store, mailbox: MailboxId, uid: Uid, section: &Section) -> Result<Self, ReadError> {
        let listed = store.list(mailbox, &[uid])?.pop().ok_or(ReadError::NotFound)?;
        let reader = store.reader(&listed.kept)?;
        match section::place(&listed.outlined().outline(), listed.kept.size, section) {
            Place::Stretch(range) => Ok(Source::Stretch(reader, section::cut(range, section.partial))),
            Place::Fields { header, names, others } => {
                let mut octets = Vec::new();
                copy(&reader, header, |piece| {
                    octets.extend_from_slice(piece);
                    Ok(())
                })?;
                let fields = section::fields(&octets, names, others);
                Ok(Source::Octets(section::cut_octets(fields, section.partial)))
            }
            Place::Encoded(..) | Place::Nowhere => Err(ReadError::NotFound),
        }
    }

    /// How many octets it has.
    pub(super) fn len(&self) -> u64 {
        match self {
            Source::Octets(octets) => octets.len() as u64,
            Source::Stretch(_, range) => range.end - range.start,
        }
    }

    /// Puts it behind what a draft has. Blocks.
    pub(super) fn append_to(&self, draft: &mut Draft) -> io::Result<()> {
        match self {
            Source::Octets(octets) => draft.append(octets),
            Source::Stretch(reader, range) => copy(reader, range.clone(), |piece| draft.append(piece)),
        }
    }
}

fn copy(reader: &MessageReader, range: Range<u64>, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut piece = vec![0; PIECE.min(usize::try_from(range.end - range.start).unwrap_or(PIECE))];
    let mut at = range.start;
    while at < range.end {
        let wanted = usize::try_from(range.end - at).unwrap_or(PIECE).min(PIECE);
        let read = reader.read(at, &mut piece[..wanted])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        take(&piece[..read])?;
        at += read as u64;
    }
    Ok(())
}

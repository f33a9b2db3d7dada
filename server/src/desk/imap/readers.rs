//! What stays open between a FETCH and what is read of it: large sections, stretch by stretch.
//!
//! ```text
//! FETCH ─large→ Source, under a number ─Read→ octets at hand, or of a thread that may wait      ─Read→ an attachment: sent by itself
//! ```
//!
//! Invariants: what is open stays what it was, also when the message is expunged meanwhile; an idle session has nothing open.
//! Not here: what is small (fetch), how files go out (net).

use imap::server::Answer;
use imap::server::ask::READ_OCTETS_WISHED;
use net::Attachment;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use store::{Draft, MessageReader, ReadError};

/// How octets are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Waiting for the disk.
    Waits,
    /// As far as they are in memory, on a thread that may not wait: an error of the kind `WouldBlock` where they are not.
    AtHand,
}

/// What stays open between a FETCH and what is read of it.
#[derive(Debug, Default)]
pub(super) struct Readers {
    sources: Vec<Arc<Source>>,
    /// What goes to the client by itself.
    attached: Option<Attachment>,
}

/// Octets that can be read in stretches.
#[derive(Debug)]
pub(super) enum Source {
    Message(MessageReader),
    /// A part without its transfer encoding.
    Decoded(Draft),
}

impl Source {
    fn read(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Source::Message(reader) => reader.read(at, buffer),
            Source::Decoded(draft) => draft.read(at, buffer),
        }
    }

    pub(super) fn read_as(&self, reading: Reading, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match (self, reading) {
            (Source::Message(reader), Reading::AtHand) => {
                reader.read_cached(at, buffer).ok_or_else(|| io::ErrorKind::WouldBlock.into())
            }
            _ => self.read(at, buffer),
        }
    }

    /// A stretch that stands in a file as it is, with its length; `None` where that is not worth a visit to the socket.
    fn attach(&self, stretch: Range<u64>) -> Option<(Attachment, u64)> {
        let Source::Message(message) = self else { return None };
        let (in_memory, span) = message.span(stretch);
        if !in_memory.is_empty() || span.length <= READ_OCTETS_WISHED as u64 {
            return None;
        }
        // Without a handle it is read.
        let attachment = Attachment::new(&span, span.offset..span.offset + span.length).ok()?;
        Some((attachment, span.length))
    }
}

impl Readers {
    /// Each has its place here for its number.
    pub(super) fn new(sources: Vec<Source>) -> Self {
        Readers { sources: sources.into_iter().map(Arc::new).collect(), attached: None }
    }

    /// One message, which has number 0.
    pub(super) fn of(reader: MessageReader) -> Self {
        Readers::new(vec![Source::Message(reader)])
    }

    pub(super) fn clear(&mut self) {
        if !self.sources.is_empty() {
            // An idle connection keeps no table.
            self.sources = Vec::new();
        }
    }

    /// What goes to the client behind the answer that was just given.
    pub(super) fn take_attached(&mut self) -> Option<Attachment> {
        self.attached.take()
    }

    /// The next octets of a stretch.
    pub(super) async fn read(&mut self, reader: u64, from: u64, to: u64) -> Result<Answer, ReadError> {
        let source = usize::try_from(reader).ok().and_then(|at| self.sources.get(at)).ok_or(ReadError::NotFound)?;
        if let Some((attachment, octets)) = source.attach(from..to) {
            self.attached = Some(attachment);
            return Ok(Answer::Sent(octets));
        }
        let wanted = usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX).min(READ_OCTETS_WISHED);
        let mut octets = vec![0; wanted];
        if let Source::Message(message) = &**source
            && let Some(read) = message.read_cached(from, &mut octets)
        {
            octets.truncate(read);
            return Ok(Answer::Octets(octets));
        }
        let source = Arc::clone(source);
        let read = tokio::task::spawn_blocking(move || {
            let read = source.read(from, &mut octets)?;
            octets.truncate(read);
            Ok(Answer::Octets(octets))
        });
        read.await.unwrap_or(Err(ReadError::Closed))
    }
}

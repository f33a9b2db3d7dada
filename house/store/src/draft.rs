//! A message while it arrives: in memory while small, in a file of its own when it grows.
//!
//! ```text
//! in memory ─more than SPILL_AT→ in tmp/ ─commit→ seg/ (by renaming, never by copying)
//! ```
//!
//! A spilled draft leaves [`HEAD_ROOM`] octets free at its front; the commit writes the record's header and the head
//! there, so that head and content lie together as they are sent. The hole costs no disk.
//!
//! Invariants: at most [`SPILL_AT`] octets of a draft are in memory; a draft that is dropped leaves nothing behind.
//! Not here: when a draft may be taken (the dialogue), sealing it (writer).

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crc32fast::Hasher;

use crate::Shared;
use crate::disk::{Disk, DiskFile};

/// The largest draft that stays in memory, in octets. Nearly all mail without attachments is smaller.
pub const SPILL_AT: usize = 256 * 1024;

/// Octets of a spilled draft that are gathered before they are written: few system calls, little memory.
const SPILL_BUFFER: usize = 64 * 1024;

/// Room at the front of a spilled draft for the segment's header, the record's header and the head.
pub(crate) const HEAD_ROOM: u64 = 64 * 1024;

static NEXT_NAME: AtomicU64 = AtomicU64::new(0);

/// A message while it arrives.
pub struct Draft {
    shared: Arc<Shared>,
    hasher: Hasher,
    len: u64,
    keeping: Keeping,
}

enum Keeping {
    InMemory(Vec<u8>),
    Spilled(Spill),
}

/// A draft's file, and what has not been written to it yet.
pub(crate) struct Spill {
    disk: Arc<dyn Disk>,
    /// `None` once the file has become a segment.
    file: Option<DiskFile>,
    /// Octets of content in the file, from `HEAD_ROOM` on.
    written: u64,
    buffer: Vec<u8>,
}

/// A draft as the writer takes it over.
pub(crate) enum Contents {
    InMemory(Vec<u8>),
    Spilled(Spill),
}

impl Draft {
    pub(crate) fn new(shared: Arc<Shared>) -> Draft {
        Draft { shared, hasher: Hasher::new(), len: 0, keeping: Keeping::InMemory(Vec::new()) }
    }

    /// Adds octets at the end. In memory until the draft has more than [`SPILL_AT`] octets; from then on it writes to
    /// a file and may block, see [`is_spilled`](Self::is_spilled).
    ///
    /// After an error the draft is good for nothing but being dropped.
    pub fn append(&mut self, octets: &[u8]) -> io::Result<()> {
        if let Keeping::InMemory(memory) = &mut self.keeping
            && memory.len() + octets.len() > SPILL_AT
        {
            let memory = std::mem::take(memory);
            self.keeping = Keeping::Spilled(Spill::create(&self.shared, memory)?);
        }
        match &mut self.keeping {
            Keeping::InMemory(memory) => memory.extend_from_slice(octets),
            Keeping::Spilled(spill) => spill.append(octets)?,
        }
        self.hasher.update(octets);
        self.len += octets.len() as u64;
        Ok(())
    }

    /// Octets of content so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no content yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether `append` writes to a file now.
    pub fn is_spilled(&self) -> bool {
        matches!(self.keeping, Keeping::Spilled(_))
    }

    /// The first octets of the content, at most `length`. Reads a file when the draft has spilled.
    pub fn head_of_content(&self, length: usize) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.len).map_or(length, |len| len.min(length));
        let mut octets = vec![0; length];
        let count = self.read(0, &mut octets)?;
        octets.truncate(count);
        Ok(octets)
    }

    /// Reads content from `offset` on, as much as there is; 0 at its end. Reads a file when the draft has spilled.
    pub fn read(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        match &self.keeping {
            Keeping::InMemory(memory) => Ok(copy_from(memory, offset, buf)),
            Keeping::Spilled(spill) => spill.read(offset, buf),
        }
    }

    /// The content, and its CRC-32 as a state that can be joined to the head's.
    pub(crate) fn into_contents(self) -> (Contents, Hasher) {
        let contents = match self.keeping {
            Keeping::InMemory(memory) => Contents::InMemory(memory),
            Keeping::Spilled(spill) => Contents::Spilled(spill),
        };
        (contents, self.hasher)
    }
}

impl std::fmt::Debug for Draft {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Draft").field("len", &self.len).field("spilled", &self.is_spilled()).finish_non_exhaustive()
    }
}

impl Spill {
    fn create(shared: &Shared, buffer: Vec<u8>) -> io::Result<Spill> {
        let name = format!("draft-{}-{}", std::process::id(), NEXT_NAME.fetch_add(1, Ordering::Relaxed));
        let file = shared.disk.create(&shared.tmp_dir().join(name))?;
        let mut spill = Spill { disk: Arc::clone(&shared.disk), file: Some(file), written: 0, buffer };
        spill.flush()?;
        spill.buffer = Vec::with_capacity(SPILL_BUFFER);
        Ok(spill)
    }

    fn append(&mut self, octets: &[u8]) -> io::Result<()> {
        if self.buffer.len() + octets.len() > SPILL_BUFFER {
            self.flush()?;
        }
        if octets.len() > SPILL_BUFFER {
            return self.write(octets);
        }
        self.buffer.extend_from_slice(octets);
        Ok(())
    }

    /// Writes what was gathered.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let gathered = std::mem::take(&mut self.buffer);
        self.write(&gathered)?;
        self.buffer = gathered;
        self.buffer.clear();
        Ok(())
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        let Some(file) = &self.file else { return Err(io::ErrorKind::NotFound.into()) };
        self.disk.write_all_at(file, octets, HEAD_ROOM + self.written)?;
        self.written += octets.len() as u64;
        Ok(())
    }

    pub(crate) fn read(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let Some(file) = &self.file else { return Err(io::ErrorKind::NotFound.into()) };
        let left_in_file = usize::try_from(self.written.saturating_sub(offset)).unwrap_or(usize::MAX);
        let from_file = left_in_file.min(buf.len());
        file.file.read_exact_at(&mut buf[..from_file], HEAD_ROOM + offset)?;
        let position = offset + from_file as u64;
        let from_buffer =
            position.checked_sub(self.written).map_or(0, |at| copy_from(&self.buffer, at, &mut buf[from_file..]));
        Ok(from_file + from_buffer)
    }

    /// Octets of content in the file.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    pub(crate) fn file(&self) -> Option<&DiskFile> {
        self.file.as_ref()
    }

    /// The file has become a segment: it is not ours to remove any more.
    pub(crate) fn give_away(&mut self) {
        self.file = None;
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            // What stays behind is removed when the store is opened again.
            let _ = self.disk.remove(&file.path);
        }
    }
}

/// Copies what `octets` have at `offset`.
pub(crate) fn copy_from(octets: &[u8], offset: u64, buf: &mut [u8]) -> usize {
    let Some(rest) = usize::try_from(offset).ok().and_then(|offset| octets.get(offset..)) else { return 0 };
    let count = rest.len().min(buf.len());
    buf[..count].copy_from_slice(&rest[..count]);
    count
}

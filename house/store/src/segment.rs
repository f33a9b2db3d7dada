//! Segment files: where bodies lie, and how they are read.
//!
//! ```text
//! seg/0000000041.seg    shared: header (64), records of messages and of the journal …, room set aside for more
//! seg/0000000042.seg    one large message: header (64), hole, record header, head, content, trailer
//! header, little-endian: 0 "PBSEG1"   6 zero (2)   8 segment number (8)   16 where the first record begins (8)   24 CRC-32 of these 24
//! ```
//!
//! Invariants: an octet that a row of the index points at never changes; numbers of segments are never used twice.
//! Not here: who writes (writer), what a record says (record).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::ReadWriteFlags;

use crate::names::BodyId;
use crate::record::{HEADER_LEN, Header, Kind};

/// The length of a segment's own header; the first record of a shared segment follows it.
pub(crate) const SEGMENT_HEADER_LEN: usize = 64;

/// How many segment files are kept open for readers. More are opened while readers hold them.
const OPEN_MAX: usize = 128;

/// Where a body lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) body: BodyId,
    pub(crate) segment: i64,
    /// Where the body's first octet is; its record's header lies directly before.
    pub(crate) offset: u64,
    /// Octets of head and content.
    pub(crate) length: u64,
}

impl Span {
    /// Where the body's octets end.
    pub(crate) fn end(&self) -> u64 {
        self.offset + self.length
    }

    pub(crate) fn record_offset(&self) -> u64 {
        self.offset - HEADER_LEN as u64
    }
}

/// The octets at the front of a segment file.
pub(crate) fn segment_header(segment: i64, first_record: u64) -> [u8; SEGMENT_HEADER_LEN] {
    let mut octets = [0; SEGMENT_HEADER_LEN];
    octets[0..6].copy_from_slice(b"PBSEG1");
    octets[8..16].copy_from_slice(&segment.to_le_bytes());
    octets[16..24].copy_from_slice(&first_record.to_le_bytes());
    let crc = crc32fast::hash(&octets[0..24]);
    octets[24..28].copy_from_slice(&crc.to_le_bytes());
    octets
}

/// Whether these octets begin the segment of this number.
pub(crate) fn is_header_of(segment: i64, octets: &[u8; SEGMENT_HEADER_LEN]) -> bool {
    first_record(segment, octets).is_some()
}

/// Where the first record is, if these octets begin the segment of this number.
pub(crate) fn first_record(segment: i64, octets: &[u8; SEGMENT_HEADER_LEN]) -> Option<u64> {
    let mut first_record = [0; 8];
    first_record.copy_from_slice(&octets[16..24]);
    let first_record = u64::from_le_bytes(first_record);
    (*octets == segment_header(segment, first_record)).then_some(first_record)
}

/// Whether a shared segment of this number has a record in it.
pub(crate) fn is_used(segment: i64, file: &SegmentFile) -> bool {
    let (mut header, mut record) = ([0; SEGMENT_HEADER_LEN], [0; HEADER_LEN]);
    let first = SEGMENT_HEADER_LEN as u64;
    file.read_exact_at(&mut header, 0).is_ok()
        && file.read_exact_at(&mut record, first).is_ok()
        && first_record(segment, &header) == Some(first)
        && Header::parse(&record).is_ok()
}

/// The name of a segment's file.
pub(crate) fn segment_path(seg_dir: &Path, segment: i64) -> PathBuf {
    seg_dir.join(format!("{segment:010}.seg"))
}

/// The number in the name of a segment's file.
pub(crate) fn segment_number(path: &Path) -> Option<i64> {
    if path.extension()? != "seg" {
        return None;
    }
    path.file_stem()?.to_str()?.parse().ok()
}

/// A segment open for reading.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    file: File,
}

impl AsFd for SegmentFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl SegmentFile {
    pub(crate) fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.file.read_at(buf, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    pub(crate) fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }

    /// Reads what is in the page cache; `None` when it would have to wait for the disk.
    pub(crate) fn read_cached_at(&self, buf: &mut [u8], offset: u64) -> Option<usize> {
        self.read_slices_cached_at(&mut [IoSliceMut::new(buf)], offset)
    }

    /// Reads what comes one behind the other into several places.
    pub(crate) fn read_slices_at(&self, slices: &mut [IoSliceMut<'_>], offset: u64) -> io::Result<usize> {
        Ok(rustix::io::retry_on_intr(|| rustix::io::preadv(&self.file, slices, offset))?)
    }

    /// The same with what is in the page cache; `None` when it would have to wait for the disk.
    pub(crate) fn read_slices_cached_at(&self, slices: &mut [IoSliceMut<'_>], offset: u64) -> Option<usize> {
        rustix::io::preadv2(&self.file, slices, offset, ReadWriteFlags::NOWAIT).ok()
    }

    /// The record of a body, once its header is found to be sound and to be that body's.
    pub(crate) fn header(&self, span: &Span) -> io::Result<Header> {
        let mut octets = [0; HEADER_LEN];
        self.read_exact_at(&mut octets, span.record_offset())?;
        let header = Header::parse(&octets).map_err(io::Error::other)?;
        if header.kind != Kind::Message || header.body != span.body || header.body_len != span.length {
            return Err(io::Error::other("the record is another message's"));
        }
        Ok(header)
    }

    pub(crate) fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

/// The segments that are open for reading.
#[derive(Debug)]
pub(crate) struct SegmentFiles {
    dir: PathBuf,
    /// A tree: few numbers, and asked for with each message.
    open: Mutex<BTreeMap<i64, Arc<SegmentFile>>>,
}

impl SegmentFiles {
    pub(crate) fn new(seg_dir: PathBuf) -> SegmentFiles {
        SegmentFiles { dir: seg_dir, open: Mutex::new(BTreeMap::new()) }
    }

    /// The segment, opened where it is not open yet. Blocks for the opening only.
    pub(crate) fn open(&self, segment: i64) -> io::Result<Arc<SegmentFile>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(&segment) {
            return Ok(Arc::clone(file));
        }
        if open.len() >= OPEN_MAX {
            open.retain(|_, file| Arc::strong_count(file) > 1);
        }
        let file = Arc::new(SegmentFile { file: File::open(segment_path(&self.dir, segment))? });
        open.insert(segment, Arc::clone(&file));
        Ok(file)
    }

    /// The segment is being removed: readers that have it open keep it, nobody else gets it.
    pub(crate) fn forget(&self, segment: i64) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&segment);
    }

    pub(crate) fn forget_all(&self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segments_name_carries_its_number() {
        let path = segment_path(Path::new("seg"), 41);
        assert_eq!(path, Path::new("seg/0000000041.seg"));
        assert_eq!(segment_number(&path), Some(41));
        assert_eq!(segment_number(Path::new("seg/readme.txt")), None);
    }

    #[test]
    fn a_segments_header_names_the_segment() {
        let header = segment_header(5, 64);
        assert!(is_header_of(5, &header));
        assert!(!is_header_of(6, &header));
    }
}

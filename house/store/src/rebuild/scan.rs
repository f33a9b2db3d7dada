//! Reading a segment from its front to its end, past whatever is damaged.
//!
//! ```text
//! record ─sound→ found ─entry behind it→ where it went, by number     (else as its trailer says)
//!    └damaged header: search for the next one        └damaged body: named, passed over
//!    └zeros: the end, unless an entry of the journal behind them says otherwise
//! ```
//!
//! Invariants: a message counts only with its checksums; what lies behind the end is not taken for something that was kept.
//! Not here: what is done with what is found (finds, enter).

use std::collections::HashMap;
use std::io;

use crate::check::crc_of;
use crate::essence::Essence;
use crate::journal::{Entry, Told, read_record};
use crate::names::BodyId;
use crate::op::Op;
use crate::record::{HEADER_LEN, Header, Kind, MAGIC, orders_of};
use crate::segment::{SEGMENT_HEADER_LEN, SegmentFile, Span, first_record};

/// A message that is longer is read in pieces.
const IN_MEMORY_MAX: u64 = 1024 * 1024;

/// How much is searched at once.
const PIECE: usize = 256 * 1024;

/// What a segment has.
#[derive(Default)]
pub(super) struct Scanned {
    /// Everything that counts lies before.
    pub(super) reach: u64,
    /// It is one large message.
    pub(super) is_alone: bool,
    pub(super) messages: Vec<Message>,
    /// Damage, in sentences.
    pub(super) flaws: Vec<String>,
}

/// A message that is whole.
pub(super) struct Message {
    pub(super) span: Span,
    pub(super) record_len: u64,
    pub(super) crc: u32,
    pub(super) trailer: Vec<u8>,
    /// What the journal says of it.
    pub(super) told: Option<Told>,
    pub(super) essence: Essence,
}

struct Scan<'a> {
    segment: i64,
    file: &'a SegmentFile,
    length: u64,
    scanned: Scanned,
    /// Which of the messages has this number.
    numbers: HashMap<BodyId, usize>,
    /// Since these zeros nothing has shown that it counts.
    unproved: Option<Unproved>,
}

struct Unproved {
    at: u64,
    messages: usize,
    flaws: usize,
    reach: u64,
}

pub(super) fn scan(segment: i64, file: &SegmentFile) -> io::Result<Scanned> {
    let length = file.len()?;
    let mut scan = Scan { segment, file, length, scanned: Scanned::default(), numbers: HashMap::new(), unproved: None };
    let mut header = [0; SEGMENT_HEADER_LEN];
    let first = match length < SEGMENT_HEADER_LEN as u64 {
        true => None,
        false => {
            file.read_exact_at(&mut header, 0)?;
            first_record(segment, &header)
        }
    };
    if first.is_none() {
        scan.scanned.flaws.push(format!("segment {segment}: its beginning is damaged"));
    }
    let begin = first.unwrap_or(SEGMENT_HEADER_LEN as u64);
    scan.scanned.is_alone = begin != SEGMENT_HEADER_LEN as u64;
    scan.scanned.reach = begin.min(length);
    scan.go_through(begin, first.is_some())?;
    Ok(scan.scanned)
}

impl Scan<'_> {
    fn go_through(&mut self, begin: u64, zeros_are_the_end: bool) -> io::Result<()> {
        let mut position = begin;
        while position + HEADER_LEN as u64 <= self.length {
            if let Some(header) = self.record_at(position)? {
                self.take(position, &header)?;
                position += header.record_len();
                self.scanned.reach = position;
                continue;
            }
            let Some(next) = self.next_record(position)? else { break };
            if zeros_are_the_end && self.unproved.is_none() && self.is_zero(position)? {
                let Scanned { messages, flaws, reach, .. } = &self.scanned;
                let (messages, flaws, reach) = (messages.len(), flaws.len(), *reach);
                self.unproved = Some(Unproved { at: position, messages, flaws, reach });
            }
            let lost = next - position;
            self.flaw(format!("{lost} octets from {position} on are damaged; what was there is lost"));
            position = next;
        }
        if let Some(Unproved { messages, flaws, reach, .. }) = self.unproved.take() {
            self.scanned.messages.truncate(messages);
            self.scanned.flaws.truncate(flaws);
            self.scanned.reach = reach;
        }
        Ok(())
    }

    fn flaw(&mut self, what: String) {
        self.scanned.flaws.push(format!("segment {}: {what}", self.segment));
    }

    /// The header here, if it is one of a record that lies within the file.
    fn record_at(&self, position: u64) -> io::Result<Option<Header>> {
        let mut octets = [0; HEADER_LEN];
        self.file.read_exact_at(&mut octets, position)?;
        let fits = |header: &Header| position.checked_add(header.record_len()).is_some_and(|end| end <= self.length);
        Ok(Header::parse(&octets).ok().filter(fits))
    }

    fn is_zero(&self, position: u64) -> io::Result<bool> {
        let mut octets = [0; HEADER_LEN];
        self.file.read_exact_at(&mut octets, position)?;
        Ok(octets == [0; HEADER_LEN])
    }

    /// Where the next record begins behind this place.
    fn next_record(&self, position: u64) -> io::Result<Option<u64>> {
        let mut piece = vec![0; PIECE];
        let mut at = position + 1;
        loop {
            let count = self.file.read_at(&mut piece, at)?;
            for (offset, _) in piece[..count].windows(MAGIC.len()).enumerate().filter(|(_, window)| *window == MAGIC) {
                let found = at + offset as u64;
                if found + HEADER_LEN as u64 <= self.length && self.record_at(found)?.is_some() {
                    return Ok(Some(found));
                }
            }
            if count < MAGIC.len() {
                return Ok(None);
            }
            // What begins in the last octets of a piece ends in the next.
            at += (count - MAGIC.len() + 1) as u64;
        }
    }

    fn take(&mut self, position: u64, header: &Header) -> io::Result<()> {
        match header.kind {
            Kind::Message => self.take_message(position, header),
            Kind::Journal => self.take_entry(position, header),
        }
    }

    fn take_entry(&mut self, position: u64, header: &Header) -> io::Result<()> {
        let record = read_record(self.file, position, header.record_len())?;
        let entry = header.is_sound_over(&record).then(|| Entry::parse(&record[HEADER_LEN..])).flatten();
        let Some(entry) = entry else {
            self.flaw(format!("the entry of the journal at {position} is damaged; no message is lost by that"));
            return Ok(());
        };
        // A group that stood behind the zeros: they are none that end the segment.
        self.unproved.take_if(|unproved| entry.begin() > unproved.at);
        for (body, told) in entry.commits.iter().flat_map(|commit| commit.told()) {
            let found = self.numbers.get(&body).and_then(|number| self.scanned.messages.get_mut(*number));
            if let Some(message) = found.filter(|message| message.span.offset > entry.begin()) {
                message.told = Some(told);
            }
        }
        Ok(())
    }

    fn take_message(&mut self, position: u64, header: &Header) -> io::Result<()> {
        let span = Span {
            body: header.body,
            segment: self.segment,
            offset: position + HEADER_LEN as u64,
            length: header.body_len,
        };
        let whole = match header.record_len() <= IN_MEMORY_MAX {
            true => self.read_at_once(&span, header)?,
            false => self.read_in_pieces(&span, header)?,
        };
        match whole {
            Some((trailer, essence)) => {
                self.numbers.insert(span.body, self.scanned.messages.len());
                let (record_len, crc) = (header.record_len(), header.body_crc);
                self.scanned.messages.push(Message { span, record_len, crc, trailer, told: None, essence });
            }
            None => self.flaw(format!(
                "message {} at {position}, written at {}, is damaged and left out",
                header.body, header.written_at
            )),
        }
        Ok(())
    }

    fn read_at_once(&self, span: &Span, header: &Header) -> io::Result<Option<(Vec<u8>, Essence)>> {
        let record = read_record(self.file, span.record_offset(), header.record_len())?;
        if !header.is_sound_over(&record) {
            return Ok(None);
        }
        let (front, trailer) = record.split_at(record.len() - header.trailer_len as usize);
        let essence = if is_listed(trailer) { Essence::of(&front[HEADER_LEN..], b"") } else { Essence::default() };
        Ok(Some((trailer.to_vec(), essence)))
    }

    fn read_in_pieces(&self, span: &Span, header: &Header) -> io::Result<Option<(Vec<u8>, Essence)>> {
        let trailer = read_record(self.file, span.offset + span.length, header.trailer_len.into())?;
        if crc32fast::hash(&trailer) != header.trailer_crc
            || crc_of(self.file, span.offset, span.length)? != header.body_crc
        {
            return Ok(None);
        }
        if !is_listed(&trailer) {
            return Ok(Some((trailer, Essence::default())));
        }
        let (essence, _) = Essence::read(|at, buf| {
            let left = usize::try_from(span.length.saturating_sub(at)).unwrap_or(usize::MAX).min(buf.len());
            self.file.read_at(&mut buf[..left], span.offset + at)
        })?;
        Ok(Some((trailer, essence)))
    }
}

/// Whether a message was for a mailbox.
fn is_listed(trailer: &[u8]) -> bool {
    orders_of(trailer).iter().any(|op| matches!(op, Op::Place { .. }))
}

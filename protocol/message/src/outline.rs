//! The outline of a message: everything that lists of messages ask for, found once and kept in a small form.
//!
//! RFC 9051 §2.3.4, §7.5.2 (ENVELOPE, BODYSTRUCTURE), §6.4.5 (part numbers); RFC 8970 (preview); RFC 5256 §2 (sorting, threading);
//! RFC 8621 §4.1 (the same for JMAP).
//!
//! ```text
//! octets, in pieces ─Scan→ Outline ─encode→ stored beside the message ─decode→ Outline, or its Front alone
//! ```
//!
//! Read in this order: [`Envelope`] is what the header says, [`formed`] how that is sent, [`subject`] and [`ids`] make keys of it,
//! [`Outline`] joins it with the part tree, `binary` is the stored form, [`Glance`] what it says without being taken apart.
//!
//! Invariants: never fails, never panics; values are raw octets as they stood, unfolded; an outline is bounded by [`TEXT_MAX`],
//! [`tree::PARAMS_OCTETS_MAX`] and [`tree::PARTS_MAX`], whatever the message; what is encoded is decoded to the same.
//! Not here: how a dialogue writes its parts (imap), where it is kept (store).

// In reading order.
pub mod envelope;

pub mod formed;

pub mod subject;

pub mod ids;

mod binary;

pub mod glance;

use std::ops::Range;

use crate::date::Date;
use crate::header::{Fields, begins_with_header};
use crate::mime::text;
use crate::mime::tree::{self, FIELDS_MAX, Part, Tree, Watch};

pub use binary::VERSION;
pub use envelope::Envelope;
pub use glance::Glance;

/// How many characters a preview has at most (RFC 8970 §3.1: SHOULD be no more than 200; RFC 8621 allows 256).
pub const PREVIEW_CHARS_MAX: usize = 200;

/// How many octets of header values an outline keeps in all. A mailing to a thousand people needs 50 KiB.
pub const TEXT_MAX: usize = 256 * 1024;

/// How many octets of one value are kept.
pub const VALUE_MAX: usize = 16 * 1024;

/// What lists say of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// What the message says about itself.
    pub front: Front,
    /// Its parts and where they stand.
    pub tree: Tree,
    /// What else the parts say; as long as `tree.parts`.
    pub details: Vec<Details>,
}

/// The part of an outline that needs no parts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Front {
    /// What its header says.
    pub envelope: Envelope,
    /// When it says that it was sent, Unix seconds (RFC 5256 §2.2); `None` where its date is missing or no date.
    pub sent: Option<i64>,
    /// Its subject without `Re:` and the like (RFC 5256 §2.1), decoded.
    pub base_subject: String,
    /// Whether such a thing was taken away.
    pub is_reply: bool,
    /// The messages it names in References, oldest first, without angle brackets.
    pub references: Vec<String>,
    /// Its first words.
    pub preview: String,
    /// Whether it begins with a header section. If not, what is put on top of it would change what it is.
    pub has_header: bool,
    /// Whether a limit kept something out.
    pub is_cut: bool,
}

/// Where the header and the body of a message are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Top {
    /// The header with the blank line behind it.
    pub header: Range<usize>,
    /// The body.
    pub body: Range<usize>,
}

/// What a part says about itself, besides its type, encoding and disposition. Values raw, unfolded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Details {
    /// Content-ID.
    pub id: Option<Vec<u8>>,
    /// Content-Description.
    pub description: Option<Vec<u8>>,
    /// Content-MD5.
    pub md5: Option<Vec<u8>>,
    /// Content-Language: its tags.
    pub language: Vec<Vec<u8>>,
    /// Content-Location.
    pub location: Option<Vec<u8>>,
    /// The envelope of a message inside; the message's own is [`Front::envelope`].
    pub envelope: Option<Box<Envelope>>,
}

impl Outline {
    /// Of a message in memory.
    pub fn of(message: &[u8]) -> Outline {
        let mut scan = Scan::new();
        scan.feed(message);
        scan.finish(|range| message[range].to_vec())
    }

    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        binary::encode(self)
    }

    /// Reads the stored form. `None` if it is damaged or of a version that is not known: then make it anew.
    pub fn decode(octets: &[u8]) -> Option<Outline> {
        binary::decode(octets)
    }

    /// Whether a stored outline is of a version that can be read: this one, or the one before.
    pub fn is_known(octets: &[u8]) -> bool {
        binary::is_known(octets)
    }

    /// The ENVELOPE in a stored outline as it is sent. `None` where it is not kept: [`Glance::write_envelope`] makes it.
    pub fn formed_envelope(octets: &[u8]) -> Option<&[u8]> {
        binary::formed_envelope(octets)
    }

    /// Whether a stored outline is of a message that begins with a header section; see [`Front::has_header`].
    pub fn has_header(octets: &[u8]) -> bool {
        binary::has_header(octets)
    }

    /// The envelope of `tree.parts[part]`, if that is a message.
    pub fn envelope(&self, part: usize) -> Option<&Envelope> {
        match part {
            0 => Some(&self.front.envelope),
            part => self.details.get(part)?.envelope.as_deref(),
        }
    }

    /// Moves everything behind `octets` that are put in front of the message and belong to its header.
    #[must_use]
    pub fn behind(mut self, octets: usize) -> Outline {
        for (at, part) in self.tree.parts.iter_mut().enumerate() {
            let start = if at == 0 { 0 } else { part.header.start + octets };
            part.header = start..part.header.end + octets;
            part.body = part.body.start + octets..part.body.end + octets;
        }
        self
    }
}

impl Top {
    /// Of a message that is part of a tree, or all of it.
    pub fn of(part: &Part) -> Top {
        Top { header: part.header.clone(), body: part.body.clone() }
    }

    /// As [`Outline::behind`].
    #[must_use]
    pub fn behind(self, octets: usize) -> Top {
        Top { header: 0..self.header.end + octets, body: self.body.start + octets..self.body.end + octets }
    }
}

impl Front {
    /// Reads the front of a stored outline alone. `None` as for [`Outline::decode`].
    pub fn decode(octets: &[u8]) -> Option<Front> {
        binary::decode_front(octets)
    }

    /// Its Message-ID without angle brackets (RFC 5256 §3, REFERENCES).
    pub fn message_id(&self) -> Option<String> {
        ids::first(self.envelope.message_id.as_deref()?)
    }

    /// The messages it answers, oldest first: References, or else the first of In-Reply-To (RFC 5256 §3, REFERENCES, step 1).
    pub fn ancestors(&self) -> Vec<String> {
        match self.references.is_empty() {
            true => self.envelope.in_reply_to.as_deref().and_then(ids::first).into_iter().collect(),
            false => self.references.clone(),
        }
    }
}

/// Makes an outline of a message that comes in pieces.
#[derive(Debug)]
pub struct Scan {
    parts: tree::Scan<Reading>,
}

/// What has been read in headers so far.
#[derive(Debug)]
struct Reading {
    front: Front,
    details: Vec<Details>,
    room: Room,
}

impl Default for Scan {
    fn default() -> Self {
        Self::new()
    }
}

impl Scan {
    /// At the start of a message.
    pub fn new() -> Scan {
        let room = Room { left: TEXT_MAX, is_cut: false };
        Scan { parts: tree::Scan::new(Reading { front: Front::default(), details: Vec::new(), room }) }
    }

    /// Looks at the next piece.
    pub fn feed(&mut self, piece: &[u8]) {
        self.parts.feed(piece);
    }

    /// The message is complete. `fetch` gives stretches of it again, for the preview: at most ten of 64 KiB each.
    pub fn finish(self, fetch: impl FnMut(Range<usize>) -> Vec<u8>) -> Outline {
        let (tree, Reading { mut front, details, room }) = self.parts.finish();
        front.is_cut = tree.is_cut || room.is_cut;
        front.preview = text::preview_with(&tree, PREVIEW_CHARS_MAX, fetch);
        front.sent = front.envelope.date.as_deref().and_then(Date::parse).map(|date| date.unix_secs());
        let base = subject::base(front.envelope.subject.as_deref().unwrap_or_default());
        (front.base_subject, front.is_reply) = (base.text, base.is_reply);
        Outline { front, tree, details }
    }
}

impl Watch for Reading {
    fn header(&mut self, tree: &Tree, part: usize, header: &[u8]) {
        debug_assert_eq!(part, self.details.len(), "headers end in the order of the parts");
        let mut details = Details::default();
        let parent = tree.parts[part].parent.map(|parent| &tree.parts[parent].content_type);
        let is_message = parent.is_none_or(|parent| parent.kind != "multipart");
        let mut envelope = Envelope::default();
        for field in Fields::new(header).take(FIELDS_MAX) {
            if field.name.len() > 8 && field.name[..8].eq_ignore_ascii_case(b"content-") {
                details.note(&field, &mut self.room);
            } else if is_message {
                envelope.note(&field, &mut self.room);
                if part == 0 && field.is("references") && self.front.references.is_empty() {
                    self.front.references = ids::all(&self.room.keep(field.raw));
                }
            }
        }
        match part {
            0 => {
                self.front.envelope = envelope;
                self.front.has_header = begins_with_header(header) && !header.is_empty();
            }
            _ if is_message => details.envelope = Some(Box::new(envelope)),
            _ => {}
        }
        self.details.push(details);
    }
}

impl Details {
    fn note(&mut self, field: &crate::header::Field<'_>, room: &mut Room) {
        let slot = match field.name.to_ascii_lowercase().as_slice() {
            b"content-id" => &mut self.id,
            b"content-description" => &mut self.description,
            b"content-md5" => &mut self.md5,
            b"content-location" => &mut self.location,
            b"content-language" if self.language.is_empty() => {
                self.language = languages(&room.keep(&field.unfolded()));
                return;
            }
            _ => return,
        };
        if slot.is_none() {
            *slot = Some(room.keep(&field.unfolded()));
        }
    }
}

/// RFC 3282 §2: tags with commas between them, and comments that nobody writes.
fn languages(value: &[u8]) -> Vec<Vec<u8>> {
    value.split(|&octet| octet == b',').map(|tag| tag.trim_ascii().to_vec()).filter(|tag| !tag.is_empty()).collect()
}

/// How much may still be kept.
#[derive(Debug)]
struct Room {
    left: usize,
    is_cut: bool,
}

impl Room {
    fn keep(&mut self, value: &[u8]) -> Vec<u8> {
        let len = value.len().min(VALUE_MAX).min(self.left);
        self.is_cut |= len < value.len();
        self.left -= len;
        value[..len].to_vec()
    }
}

#[cfg(test)]
mod tests;

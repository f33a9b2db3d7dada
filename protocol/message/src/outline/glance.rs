//! A look at a stored outline: what its front says, borrowed from the octets it is stored in.
//!
//! Lists of ten thousand messages ask for a subject here and an address there: taking each outline apart into values of its own
//! would cost more than finding it.
//!
//! Invariants: one pass, nothing is copied; what [`Front::decode`](super::Front::decode) gives, this gives.
//! Not here: the octets (binary), parts (an [`Outline`](super::Outline) taken apart).

use super::binary::Reader;
use super::{Envelope, Top, binary, formed, ids};

/// The front of a stored outline; see [`Front`](super::Front).
#[derive(Debug, Clone, Copy, Default)]
pub struct Glance<'a> {
    /// What its header says.
    pub envelope: EnvelopeGlance<'a>,
    /// When it says that it was sent, Unix seconds.
    pub sent: Option<i64>,
    /// Its subject without `Re:` and the like, decoded.
    pub base_subject: &'a str,
    /// Whether such a thing was taken away.
    pub is_reply: bool,
    /// The messages it names in References, oldest first, without angle brackets.
    pub references: Ids<'a>,
    /// Its first words.
    pub preview: &'a str,
    /// Whether it begins with a header section.
    pub has_header: bool,
    /// Whether a limit kept something out.
    pub is_cut: bool,
    /// Its envelope as it is sent; empty where that is not kept.
    pub(super) formed: &'a [u8],
    /// Where its parts begin.
    pub(super) parts: Reader<'a>,
}

/// What a header says, raw; see [`Envelope`].
#[derive(Debug, Clone, Copy, Default)]
pub struct EnvelopeGlance<'a> {
    /// Date, unfolded. Absent is not the same as empty.
    pub date: Option<&'a [u8]>,
    /// Subject, unfolded.
    pub subject: Option<&'a [u8]>,
    /// From.
    pub from: Addresses<'a>,
    /// Sender, if it says something; RFC 9051 §7.5.2: where it is missing or empty, From stands for it.
    pub sender: Addresses<'a>,
    /// Reply-To, if it says something; as Sender.
    pub reply_to: Addresses<'a>,
    /// To.
    pub to: Addresses<'a>,
    /// Cc.
    pub cc: Addresses<'a>,
    /// Bcc.
    pub bcc: Addresses<'a>,
    /// In-Reply-To, unfolded.
    pub in_reply_to: Option<&'a [u8]>,
    /// Message-ID, unfolded.
    pub message_id: Option<&'a [u8]>,
}

/// A list of addresses, groups laid open.
#[derive(Debug, Clone, Copy, Default)]
pub struct Addresses<'a> {
    reader: Reader<'a>,
    entries: usize,
    /// How many members the group at hand still has.
    members: Option<usize>,
}

/// What stands in a list of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address<'a> {
    /// Somebody, in a group or by himself.
    Mailbox(MailboxGlance<'a>),
    /// A group of this name begins.
    Group(&'a [u8]),
    /// It ends.
    GroupEnd,
}

/// A mailbox; see [`Mailbox`](crate::address::Mailbox).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxGlance<'a> {
    /// The name in front of the address.
    pub name: Option<&'a [u8]>,
    /// The route of old times.
    pub route: Option<&'a [u8]>,
    /// What stands before the `@`.
    pub local: &'a [u8],
    /// What stands behind it.
    pub domain: &'a [u8],
}

/// A list of message identifiers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ids<'a> {
    reader: Reader<'a>,
    left: usize,
}

impl<'a> Glance<'a> {
    /// At a stored outline. `None` if it is damaged or of another version.
    pub fn at(octets: &'a [u8]) -> Option<Glance<'a>> {
        Reader::new(octets)?.front()
    }

    /// Appends its ENVELOPE as it is sent, from `(` to `)`.
    pub fn write_envelope(&self, out: &mut Vec<u8>) {
        match self.formed {
            [] => formed::write_envelope(&self.envelope, out),
            formed => out.extend_from_slice(formed),
        }
    }

    /// Where its header and body are. `None` if that is damaged.
    pub fn top(&self) -> Option<Top> {
        self.parts.top()
    }

    /// Its Message-ID without angle brackets (RFC 5256 §3, REFERENCES).
    pub fn message_id(&self) -> Option<String> {
        ids::first(self.envelope.message_id?)
    }

    /// The messages it answers, oldest first: References, or else the first of In-Reply-To (RFC 5256 §3, REFERENCES, step 1).
    pub fn ancestors(&self) -> Vec<String> {
        match self.references.left {
            0 => self.envelope.in_reply_to.and_then(ids::first).into_iter().collect(),
            _ => self.references.map(str::to_owned).collect(),
        }
    }
}

impl<'a> EnvelopeGlance<'a> {
    /// At an envelope as [`Envelope::encode`] gives it.
    pub fn at(octets: &'a [u8]) -> Option<EnvelopeGlance<'a>> {
        Reader::inside(octets).envelope()
    }
}

impl Envelope {
    /// Its stored form, as it stands in that of an outline.
    pub fn encode(&self) -> Vec<u8> {
        binary::encode_envelope(self)
    }
}

impl<'a> Addresses<'a> {
    pub(super) fn new(reader: Reader<'a>, entries: usize) -> Self {
        Addresses { reader, entries, members: None }
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.entries == 0 && self.members.is_none()
    }

    /// What stands behind it.
    pub(super) fn passed(mut self) -> Option<Reader<'a>> {
        while !self.is_empty() {
            self.step()?;
        }
        Some(self.reader)
    }

    fn step(&mut self) -> Option<Address<'a>> {
        match self.members {
            Some(0) => {
                self.members = None;
                Some(Address::GroupEnd)
            }
            Some(members) => {
                self.members = Some(members - 1);
                self.reader.mailbox().map(Address::Mailbox)
            }
            None => {
                self.entries = self.entries.checked_sub(1)?;
                match self.reader.count()?.checked_sub(1) {
                    None => self.reader.mailbox().map(Address::Mailbox),
                    Some(members) => {
                        self.members = Some(members);
                        self.reader.octets().map(Address::Group)
                    }
                }
            }
        }
    }
}

impl<'a> Iterator for Addresses<'a> {
    type Item = Address<'a>;

    fn next(&mut self) -> Option<Address<'a>> {
        self.step()
    }
}

impl<'a> Ids<'a> {
    pub(super) fn new(reader: Reader<'a>, left: usize) -> Self {
        Ids { reader, left }
    }
}

impl<'a> Iterator for Ids<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.left = self.left.checked_sub(1)?;
        self.reader.string()
    }
}

//! Messages as a list passes them, one after the other, where the index has them.
//!
//! ```text
//! index row ─walk→ Sight ─envelope, glance, top→ borrowed from the row     ─outline, kept→ taken apart, for who needs it
//! ```
//!
//! Invariants: by ascending UID; what is not asked for is not copied; what [`Store::list`](crate::Store::list) says of a message is
//! what its sight says.
//! Not here: how outlines are made where they are missing (read).

use message::outline::{Front, Glance, Outline, Top};

use crate::error::ReadError;
use crate::names::Uid;
use crate::read::Kept;

/// How much of each message is fetched from the index at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breadth {
    /// Its outline; whatever else is asked for costs a look of its own.
    Outline,
    /// Everything.
    Whole,
}

/// A message that is passed.
pub struct Sight<'a> {
    uid: Uid,
    outlined: Outlined<'a>,
    kept: &'a dyn Fn() -> Result<Kept, ReadError>,
}

impl<'a> Sight<'a> {
    pub(crate) fn new(uid: Uid, outlined: Outlined<'a>, kept: &'a dyn Fn() -> Result<Kept, ReadError>) -> Self {
        Sight { uid, outlined, kept }
    }

    /// Its UID.
    pub fn uid(&self) -> Uid {
        self.uid
    }

    /// The message itself.
    pub fn kept(&self) -> Result<Kept, ReadError> {
        (self.kept)()
    }

    /// What lists say of it.
    pub fn outlined(&self) -> Outlined<'a> {
        self.outlined
    }
}

/// A stored outline, and how far what was outlined stands behind the beginning of the message.
#[derive(Debug, Clone, Copy)]
pub struct Outlined<'a> {
    octets: &'a [u8],
    shift: usize,
}

impl<'a> Outlined<'a> {
    pub(crate) fn new(octets: &'a [u8], shift: usize) -> Self {
        Outlined { octets, shift }
    }

    /// Appends its ENVELOPE as it is sent (RFC 9051 §7.5.2): copied, where it is kept so.
    pub fn write_envelope(&self, out: &mut Vec<u8>) {
        match Outline::formed_envelope(self.octets) {
            Some(formed) => out.extend_from_slice(formed),
            None => self.glance().write_envelope(out),
        }
    }

    /// Its envelope, preview and keys, borrowed: for those who want a little of it from many messages.
    pub fn glance(&self) -> Glance<'a> {
        Glance::at(self.octets).unwrap_or_default()
    }

    /// The same in values of its own.
    pub fn front(&self) -> Front {
        self.glance().into()
    }

    /// Where its header and its body are, in the same octets as those of [`Outlined::outline`].
    pub fn top(&self) -> Top {
        let top = self.glance().top();
        top.map_or_else(|| Top::of(self.outline().tree.root()), |top| top.behind(self.shift))
    }

    /// Its front and its parts; offsets are those of the whole message as [`MessageReader`](crate::MessageReader) gives it.
    pub fn outline(&self) -> Outline {
        Outline::decode(self.octets).unwrap_or_else(|| Outline::of(b"")).behind(self.shift)
    }
}

//! A maildrop as it was when the session opened it, and what the session wants removed.
//!
//! RFC 1939 §4 (numbers and sizes are fixed at login), §5 (DELE, RSET), §7 (UIDL).
//!
//! Invariants: numbers never move; `count` and `octets` are those of the messages without mark.
//! Not here: the messages themselves (store).

/// A message in a maildrop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its size in octets, as [`super::Ask::Read`] gives it. RETR sends just so many before stuffing,
    /// unless the last line has no CRLF: then it gets one, which the size does not count.
    pub size: u64,
    /// Its unique name, the same for ever: 1 to 70 octets from `!` to `~` (RFC 1939 §7).
    pub uidl: String,
}

#[derive(Debug)]
pub(super) struct Maildrop {
    entries: Vec<Entry>,
    deleted: Vec<bool>,
    count: usize,
    octets: u64,
}

impl Maildrop {
    pub(super) fn new(entries: Vec<Entry>) -> Self {
        let legal = |uidl: &str| (1..=70).contains(&uidl.len()) && uidl.bytes().all(|octet| octet.is_ascii_graphic());
        debug_assert!(entries.iter().all(|entry| legal(&entry.uidl)), "a unique name is short and printable");
        let mut maildrop = Maildrop { deleted: vec![false; entries.len()], count: 0, octets: 0, entries };
        maildrop.reset();
        maildrop
    }

    /// How many messages there are, without those to be removed.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// How large they are together.
    pub(super) fn octets(&self) -> u64 {
        self.octets
    }

    /// Both, in words.
    pub(super) fn summary(&self) -> String {
        format!("{} ({} octets)", super::messages(self.count), self.octets)
    }

    /// How many there were at login.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The message of a number, and its place; `None` if it is to be removed or was never there.
    pub(super) fn find(&self, number: u64) -> Option<(usize, &Entry)> {
        let place = usize::try_from(number.checked_sub(1)?).ok()?;
        let entry = self.entries.get(place)?;
        (!self.deleted[place]).then_some((place, entry))
    }

    /// The next message at this place or behind it.
    pub(super) fn next_from(&self, place: usize) -> Option<(usize, &Entry)> {
        let ahead = self.deleted.get(place..)?.iter().position(|deleted| !deleted)?;
        Some((place + ahead, &self.entries[place + ahead]))
    }

    /// Marks the message at this place, which [`Self::find`] has found.
    pub(super) fn delete(&mut self, place: usize) {
        assert!(!self.deleted[place], "a message is marked once");
        self.deleted[place] = true;
        self.count -= 1;
        self.octets -= self.entries[place].size;
    }

    /// Takes all marks away.
    pub(super) fn reset(&mut self) {
        self.deleted.fill(false);
        self.count = self.entries.len();
        self.octets = self.entries.iter().map(|entry| entry.size).sum();
    }

    /// The places of the messages to be removed.
    pub(super) fn deleted(&self) -> Vec<usize> {
        (0..self.entries.len()).filter(|&place| self.deleted[place]).collect()
    }
}

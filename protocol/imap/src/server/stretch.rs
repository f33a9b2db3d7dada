//! A stretch of content: octets that the house keeps, and that go to the client as they are.
//!
//! ```text
//! ─Read→ house ─Octets→ said, as they came ─→ … the rest
//!              ─Sent────────────────────────→ …
//! ```
//!
//! Invariants: the client gets as many octets as it was promised, or the session closes.
//! Not here: what stands around them (fetch, urls).

use super::Server;
use super::ask::{Answer, Ask, Content};

/// What is left of a stretch; never nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    /// The desk's number.
    reader: u64,
    /// The next octet.
    from: u64,
    /// The first that is not wanted.
    to: u64,
}

/// The client was promised more octets, and there are none.
pub(super) struct Broken;

impl Stretch {
    /// Of content that is one, and not empty.
    pub(super) fn of(content: &Content) -> Option<Stretch> {
        match *content {
            Content::Stretch { reader, from, to } if from < to => Some(Stretch { reader, from, to }),
            _ => None,
        }
    }

    pub(super) fn octets(self) -> u64 {
        self.to - self.from
    }

    /// The question for what comes next.
    pub(super) fn ask(self) -> Ask {
        Ask::Read { reader: self.reader, from: self.from, to: self.to }
    }

    /// What is left behind so many octets.
    fn behind(self, octets: u64) -> Result<Option<Stretch>, Broken> {
        match octets {
            0 => Err(Broken),
            octets if octets > self.octets() => Err(Broken),
            octets => {
                let rest = Stretch { from: self.from + octets, ..self };
                Ok((rest.octets() > 0).then_some(rest))
            }
        }
    }
}

impl Server {
    /// Says what came of a stretch, if it has not gone to the client already; what is left of it.
    pub(super) fn pass_on(&mut self, stretch: Option<Stretch>, answer: Answer) -> Result<Option<Stretch>, Broken> {
        let stretch = stretch.ok_or(Broken)?;
        match answer {
            Answer::Sent(octets) => stretch.behind(octets),
            Answer::Octets(mut octets) => {
                octets.truncate(usize::try_from(stretch.octets()).unwrap_or(usize::MAX));
                let left = stretch.behind(octets.len() as u64)?;
                if self.said.is_empty() {
                    self.said = octets;
                } else {
                    self.said.append(&mut octets);
                }
                self.says_content = true;
                Ok(left)
            }
            _ => Err(Broken),
        }
    }
}

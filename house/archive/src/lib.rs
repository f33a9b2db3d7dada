//! Mail as other programs keep it: Maildir, Maildir++ and the four kinds of mbox, read and written.
//!
//! Read in this order: [`Marks`] is a message's state, [`lines`] its line ends, [`names`] what folders are called on disk;
//! [`maildir`] and [`mbox`] are the formats, [`survey`] finds out what lies below a path.
//!
//! Invariants: memory is bounded however long a message, a line or an mbox is; nothing that is read is changed; no name from
//! a disk leads out of the path that was asked for, because links to directories are not followed.
//! Not here: which messages are there already, where they come to (server).

#![forbid(unsafe_code)]

pub mod lines;
pub mod names;

pub mod maildir;
pub mod mbox;

pub mod survey;

/// A message's state, as far as these formats can tell it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// It has been read.
    pub seen: bool,
    /// It has been answered.
    pub answered: bool,
    /// It is of importance.
    pub flagged: bool,
    /// It is to be removed.
    pub deleted: bool,
    /// It is a draft.
    pub draft: bool,
    /// Whatever else was put on it.
    pub keywords: Vec<String>,
}

impl Marks {
    /// Puts a keyword on it, unless it is there in whatever case.
    pub fn add_keyword(&mut self, keyword: &str) {
        if !self.keywords.iter().any(|known| known.eq_ignore_ascii_case(keyword)) {
            self.keywords.push(keyword.to_owned());
        }
    }
}

//! Mail from and to other programs' disks: what `packetboat import` and `export` do.
//!
//! Invariants: a message and the record that it was imported are one commit, so that stopping anywhere, by force too, neither
//! loses nor doubles one; an export writes beside, syncs and renames, and never over a file that is there.
//! Not here: the formats (archive), what is kept (store), how it looks (app).

mod export;
mod import;
mod record;

#[cfg(test)]
mod tests;

pub use export::{Export, export};
pub use import::{Import, import};
pub(crate) use record::forgotten_with;

use archive::Marks;
use serde::{Deserialize, Serialize};
use std::path::Path;
use store::Flags;

/// How many unreadable things are named; the rest is counted.
pub const TROUBLES_MAX: usize = 1000;

/// What programs keep mail in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// A Maildir with its folders: read in both layouts, written with directories within directories.
    Maildir,
    /// A Maildir with folders `.Work.Bills`.
    #[serde(rename = "maildir++")]
    MaildirPlus,
    /// An mbox file or a tree of them; written as mboxrd.
    Mbox,
    /// The same, surely mboxo.
    Mboxo,
    /// The same, surely mboxrd.
    Mboxrd,
    /// The same, surely mboxcl.
    Mboxcl,
    /// The same, surely mboxcl2.
    Mboxcl2,
}

/// How far it has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Where it is.
    pub mailbox: String,
    /// Messages so far.
    pub messages: u64,
    /// How much of the whole is done, in units of its own.
    pub done: u64,
    /// How much there is.
    pub total: u64,
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Mailboxes that were gone through.
    pub mailboxes: u64,
    /// Messages that were brought over.
    pub messages: u64,
    /// Their octets.
    pub octets: u64,
    /// Messages that had been brought over before.
    pub known: u64,
    /// Mailboxes that could not keep their name, by the one they have now.
    #[serde(default)]
    pub renamed: Vec<String>,
    /// Things that could not be brought over.
    pub unreadable: u64,
    /// The first of them.
    pub troubles: Vec<TroubleLine>,
    /// Whether nothing was written.
    pub dry_run: bool,
}

/// What could not be brought over, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TroubleLine {
    /// A file, a mailbox, a message.
    pub what: String,
    /// The reason.
    pub why: String,
}

impl Summary {
    fn trouble(&mut self, what: impl Into<String>, why: impl std::fmt::Display) {
        self.unreadable += 1;
        if self.troubles.len() < TROUBLES_MAX {
            self.troubles.push(TroubleLine { what: what.into(), why: why.to_string() });
        }
    }

    fn trouble_at(&mut self, path: &Path, why: impl std::fmt::Display) {
        self.trouble(path.display().to_string(), why);
    }
}

/// Why it ended before its end. What was done until then stays, and the same command goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// The source or the target cannot be used.
    #[error("{path}: {why}")]
    Place {
        /// Which.
        path: String,
        /// Why not.
        why: String,
    },
    /// No mailbox of this name.
    #[error("there is no mailbox {0}")]
    NoMailbox(String),
    /// A name that no mailbox can have.
    #[error("{0}: {1}")]
    Name(String, &'static str),
    /// The store takes nothing.
    #[error("the store: {0}{hint}", hint = hint(.0))]
    Commit(#[from] store::CommitError),
    /// The store gives nothing.
    #[error("the store: {0}")]
    Read(#[from] store::ReadError),
    /// A draft could not be written.
    #[error("the store's disk: {0}; say the same again to go on from here")]
    Draft(std::io::Error),
    /// Nobody listens any more.
    #[error("it was stopped; say the same again to go on from here")]
    Abandoned,
}

/// What may go better next time is worth saying again.
fn hint(error: &store::CommitError) -> &'static str {
    if error.is_permanent() { "" } else { "; say the same again to go on from here" }
}

impl Stopped {
    fn at(path: &Path) -> impl Fn(std::io::Error) -> Stopped {
        let path = path.display().to_string();
        move |error| Stopped::Place { path: path.clone(), why: error.to_string() }
    }
}

/// Is told how far it has come; says whether to go on.
pub type Tell<'a> = &'a mut dyn FnMut(Progress) -> bool;

fn tell(teller: Tell<'_>, progress: &Progress) -> Result<(), Stopped> {
    if teller(progress.clone()) { Ok(()) } else { Err(Stopped::Abandoned) }
}

/// Marks as flags of the store. Keywords that no IMAP client could name are left out (RFC 9051 §9: flag-keyword is an atom).
fn to_flags(marks: &Marks) -> Flags {
    let system = [
        (marks.seen, Flags::SEEN),
        (marks.answered, Flags::ANSWERED),
        (marks.flagged, Flags::FLAGGED),
        (marks.deleted, Flags::DELETED),
        (marks.draft, Flags::DRAFT),
    ];
    let system = system.iter().filter(|(is_set, _)| *is_set).fold(0, |flags, (_, flag)| flags | flag);
    let is_atom = |word: &&String| {
        let fits = |c: u8| c.is_ascii_graphic() && !matches!(c, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']');
        !word.is_empty() && word.len() <= store::KEYWORD_MAX && word.bytes().all(fits)
    };
    let keywords = marks.keywords.iter().filter(is_atom).take(store::KEYWORDS_MAX).cloned().collect();
    Flags { system, keywords }
}

fn to_marks(flags: &Flags) -> Marks {
    let has = |flag| flags.system & flag != 0;
    Marks {
        seen: has(Flags::SEEN),
        answered: has(Flags::ANSWERED),
        flagged: has(Flags::FLAGGED),
        deleted: has(Flags::DELETED),
        draft: has(Flags::DRAFT),
        keywords: flags.keywords.clone(),
    }
}

//! What can go wrong, by who must act on it.
//!
//! Not here: SQLite's own errors; they are turned into sentences at the border, so that another backend can say the same.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a store could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{} is in use by another process{}", dir.display(), pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    InUse {
        /// The store's directory.
        dir: PathBuf,
        /// The other process, where it could be learned.
        pid: Option<u32>,
    },
    /// A newer version of this software wrote it.
    #[error("{} has format {found}, and this version knows formats up to {known}: use a newer version", dir.display())]
    NewerFormat {
        /// The store's directory.
        dir: PathBuf,
        /// The format found.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// The database belongs to some other program.
    #[error("{} is not a store of ours", path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
    },
    /// Something that was promised is missing.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The index can be read, and knows more than a new one would.
    #[error("{} can be read: a repair mends it and keeps what a new one would not know (flags, moves)", path.display())]
    NotNeeded {
        /// The index.
        path: PathBuf,
    },
    /// A file or directory could not be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The index could not be opened or brought to the present format.
    #[error("the index cannot be opened: {0}")]
    Index(String),
}

impl OpenError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> OpenError {
        let path = path.into();
        move |source| OpenError::Io { path, source }
    }
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        OpenError::Index(error.to_string())
    }
}

/// Why a commit did not happen. Nothing of it is kept.
///
/// One exception: after [`CommitError::Failed`] it is unknown whether the commit will be there when the store is opened again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CommitError {
    /// Too many commits are waiting already: try later.
    #[error("too many commits are waiting")]
    Busy,
    /// The disk is full: try later.
    #[error("the disk is full")]
    Full,
    /// The disk or the index failed, and the store takes no more commits until it is opened again.
    #[error("the store has failed: {0}")]
    Failed(String),
    /// This commit could not be carried out for a reason that is not its sender's; the store goes on.
    #[error("the commit could not be carried out: {0}")]
    Refused(String),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
    /// There is no such account.
    #[error("there is no account {0}")]
    NoSuchAccount(crate::AccountId),
    /// The account has no such mailbox.
    #[error("there is no mailbox {0}")]
    NoSuchMailbox(String),
    /// The recipient is not in the queue (any more).
    #[error("there is no recipient {0} in the queue")]
    NoSuchRecipient(crate::RecipientId),
    /// An account of this name exists.
    #[error("there is an account {0:?} already")]
    NameTaken(String),
    /// There is a mailbox of this name already.
    #[error("there is a mailbox {0:?} already")]
    MailboxExists(String),
    /// Another mailbox has this use already.
    #[error("mailbox {0:?} has that use already")]
    UseTaken(String),
    /// What cannot be done to this mailbox, or with this name.
    #[error("{0}")]
    Forbidden(&'static str),
    /// There are as many of these as there may be.
    #[error("there are too many {0}")]
    TooMany(&'static str),
    /// The commit contradicts itself: a placement without a message, a queued mail without recipients, something too long.
    #[error("{0}")]
    Malformed(&'static str),
    /// The mailbox has handed out its last UID.
    #[error("mailbox {0} has no UID left")]
    MailboxFull(crate::MailboxId),
}

impl CommitError {
    /// Whether the same commit would fail again however often it is tried.
    pub fn is_permanent(&self) -> bool {
        match self {
            CommitError::Busy
            | CommitError::Full
            | CommitError::Failed(_)
            | CommitError::Refused(_)
            | CommitError::Closed => false,
            CommitError::NoSuchAccount(_)
            | CommitError::NoSuchMailbox(_)
            | CommitError::NoSuchRecipient(_)
            | CommitError::NameTaken(_)
            | CommitError::MailboxExists(_)
            | CommitError::UseTaken(_)
            | CommitError::Forbidden(_)
            | CommitError::TooMany(_)
            | CommitError::Malformed(_)
            | CommitError::MailboxFull(_) => true,
        }
    }
}

/// Why something could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// It is not (or no longer) there.
    #[error("it is not there")]
    NotFound,
    /// The octets could not be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The index could not be read.
    #[error("the index cannot be read: {0}")]
    Index(String),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::QueryReturnedNoRows => ReadError::NotFound,
            other => ReadError::Index(other.to_string()),
        }
    }
}

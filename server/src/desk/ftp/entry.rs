//! From what the disk knows to what a listing tells.
//!
//! Not here: how it is written (ftp), what the disk knows (files).

use files::{Facts, Kind, Permissions};
use ftp::{Entry, EntryKind, Moment, Rights};
use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

/// Writes entries for one account.
pub(super) struct Clerk {
    /// All that is in a space is its account's, whatever the host's number of the owner.
    owner: String,
}

impl Clerk {
    /// For an account, by its address.
    pub(super) fn new(account: &str) -> Self {
        Clerk { owner: account.split('@').next().unwrap_or(account).to_owned() }
    }

    /// The entry as one gets it by its name: a link is what it leads to.
    pub(super) fn reached(&self, entry: &files::Entry) -> Entry<'static> {
        let facts = entry.reached();
        self.write(entry, facts, kind(facts))
    }

    /// The entry itself: a link is a link.
    pub(super) fn itself(&self, entry: &files::Entry) -> Entry<'static> {
        let kind = match (entry.facts.kind, &entry.target) {
            (Kind::Link, Some(target)) => EntryKind::Link(Cow::Owned(target.path.as_bytes().to_vec())),
            _ => kind(&entry.facts),
        };
        self.write(entry, &entry.facts, kind)
    }

    fn write(&self, entry: &files::Entry, facts: &Facts, kind: EntryKind<'static>) -> Entry<'static> {
        Entry {
            name: Cow::Owned(entry.name.clone()),
            kind,
            size: facts.size,
            modified: moment(facts.modified),
            created: None,
            mode: facts.mode,
            links: facts.links,
            owner: Cow::Owned(self.owner.clone()),
            group: Cow::Owned(self.owner.clone()),
            unique: Some(facts.unique),
            rights: rights(entry, facts),
        }
    }
}

fn kind(facts: &Facts) -> EntryKind<'static> {
    match facts.kind {
        Kind::File => EntryKind::File,
        Kind::Directory => EntryKind::Directory,
        // It leads nowhere, and where that is, is nobody's business.
        Kind::Link => EntryKind::Link(Cow::Borrowed(b"?")),
        Kind::Other => EntryKind::Other,
    }
}

fn rights(entry: &files::Entry, facts: &Facts) -> Rights {
    const OF_ANYTHING: &[(Permissions, Rights)] = &[(Permissions::RENAME, Rights::RENAME)];
    const OF_A_FILE: &[(Permissions, Rights)] = &[
        (Permissions::READ, Rights::READ),
        (Permissions::WRITE, Rights::WRITE),
        (Permissions::APPEND, Rights::APPEND),
        (Permissions::DELETE, Rights::DELETE),
    ];
    const IN_A_DIRECTORY: &[(Permissions, Rights)] = &[
        (Permissions::NONE, Rights::ENTER),
        (Permissions::LIST, Rights::LIST),
        (Permissions::CREATE, Rights::CREATE),
        (Permissions::MKDIR, Rights::MAKE_DIRECTORY),
        (Permissions::DELETE, Rights::PURGE),
    ];
    let sum = |start: Rights, table: &[(Permissions, Rights)], permitted: Permissions| {
        let granted = table.iter().filter(|(permission, _)| permitted.allow(*permission));
        granted.fold(start, |all, (_, right)| all.and(*right))
    };
    let rights = sum(Rights::default(), OF_ANYTHING, entry.here);
    match facts.kind {
        Kind::Directory => {
            let rights = sum(rights, &[(Permissions::RMDIR, Rights::DELETE)], entry.here);
            sum(rights, IN_A_DIRECTORY, entry.inside)
        }
        _ => sum(rights, OF_A_FILE, entry.here),
    }
}

fn moment(time: SystemTime) -> Moment {
    let secs = |duration: std::time::Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    Moment::from_unix_secs(match time.duration_since(UNIX_EPOCH) {
        Ok(after) => secs(after),
        // Before 1970 a fraction counts down to the second before.
        Err(before) => -secs(before.duration()) - i64::from(before.duration().subsec_nanos() > 0),
    })
}

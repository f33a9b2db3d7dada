//! From what the disk knows to what a listing tells.
//!
//! RFC 3659 §7.5.5 (`perm`). The columns of Unix modes say the same: a letter is missing for everybody where this account
//! may not do what it stands for, whatever the disk would allow.
//!
//! Not here: how it is written (ftp), what the disk knows (files).

use files::{Facts, Kind, Permissions};
use ftp::{Entry, EntryKind, Moment, Rights};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Writes entries for one account.
#[derive(Clone)]
pub(super) struct Clerk {
    account: Arc<str>,
}

impl Clerk {
    /// For an account, by its address.
    pub(super) fn new(account: Arc<str>) -> Self {
        Clerk { account }
    }

    /// All that is in a space is its account's, whatever the host's number of the owner.
    fn owner(&self) -> &str {
        self.account.split('@').next().unwrap_or(&self.account)
    }

    /// The entry as one gets it by its name: a link is what it leads to.
    pub(super) fn reached<'a>(&'a self, entry: &'a files::Entry) -> Entry<'a> {
        let facts = entry.reached();
        self.write(entry, facts, kind(facts))
    }

    /// The entry itself: a link is a link.
    pub(super) fn itself<'a>(&'a self, entry: &'a files::Entry) -> Entry<'a> {
        let kind = match (entry.facts.kind, &entry.target) {
            (Kind::Link, Some(target)) => EntryKind::Link(Cow::Borrowed(target.path.as_bytes())),
            _ => kind(&entry.facts),
        };
        self.write(entry, &entry.facts, kind)
    }

    fn write<'a>(&'a self, entry: &'a files::Entry, facts: &Facts, kind: EntryKind<'a>) -> Entry<'a> {
        Entry {
            name: Cow::Borrowed(&entry.name),
            kind,
            size: facts.size,
            modified: moment(facts.modified),
            created: None,
            mode: mode(entry, facts),
            links: facts.links,
            owner: Cow::Borrowed(self.owner()),
            group: Cow::Borrowed(self.owner()),
            unique: Some(facts.unique),
            rights: rights(entry, facts),
        }
    }
}

/// The entry for somebody who keeps it.
pub(super) fn owned(entry: Entry<'_>) -> Entry<'static> {
    Entry {
        name: Cow::Owned(entry.name.into_owned()),
        kind: match entry.kind {
            EntryKind::File => EntryKind::File,
            EntryKind::Directory => EntryKind::Directory,
            EntryKind::Current => EntryKind::Current,
            EntryKind::Parent => EntryKind::Parent,
            EntryKind::Link(target) => EntryKind::Link(Cow::Owned(target.into_owned())),
            EntryKind::Other => EntryKind::Other,
        },
        owner: Cow::Owned(entry.owner.into_owned()),
        group: Cow::Owned(entry.group.into_owned()),
        ..entry
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

/// The disk's mode without the letters of what may not be done.
fn mode(entry: &files::Entry, facts: &Facts) -> u32 {
    const READ: u32 = 0o444;
    const WRITE: u32 = 0o222;
    let (permitted, reading, writing) = match facts.kind {
        Kind::Directory => (
            entry.inside,
            Permissions::LIST,
            Permissions::CREATE | Permissions::DELETE | Permissions::RENAME | Permissions::MKDIR | Permissions::RMDIR,
        ),
        Kind::File => (entry.here, Permissions::READ, Permissions::WRITE | Permissions::APPEND),
        // The letters of a link say nothing anywhere.
        Kind::Link | Kind::Other => return facts.mode,
    };
    let without = |letters, wanted| if permitted.allow_any(wanted) { 0 } else { letters };
    facts.mode & !(without(READ, reading) | without(WRITE, writing))
}

fn moment(time: SystemTime) -> Moment {
    let secs = |duration: std::time::Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    Moment::from_unix_secs(match time.duration_since(UNIX_EPOCH) {
        Ok(after) => secs(after),
        // Before 1970 a fraction counts down to the second before.
        Err(before) => -secs(before.duration()) - i64::from(before.duration().subsec_nanos() > 0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(kind: Kind, mode: u32, here: Permissions, inside: Permissions) -> (u32, String) {
        let facts = Facts { kind, size: 0, modified: UNIX_EPOCH, mode, links: 1, owner: 0, group: 0, unique: (0, 0) };
        let entry = files::Entry { name: b"x".to_vec(), facts, here, inside, target: None };
        let clerk = Clerk::new("bob@hamburger.test".into());
        let entry = clerk.reached(&entry);
        let mut perm = Vec::new();
        ftp::listing::fact_text(&entry, ftp::command::Facts::parse(b"perm").expect("a fact"), &mut perm);
        (entry.mode, String::from_utf8(perm).expect("text"))
    }

    #[test]
    fn letters_say_what_may_be_done() {
        const ALL: Permissions = Permissions::ALL;
        const READ_ONLY: Permissions = Permissions::READ_ONLY;
        const DROP_BOX: Permissions = Permissions::DROP_BOX;
        for (kind, mode, here, inside, letters, perm) in [
            (Kind::File, 0o640, ALL, Permissions::NONE, 0o640, "perm=adfrw;"),
            (Kind::File, 0o664, READ_ONLY, Permissions::NONE, 0o444, "perm=r;"),
            (Kind::File, 0o664, Permissions::LIST, Permissions::NONE, 0, "perm=;"),
            (Kind::File, 0o755, READ_ONLY | Permissions::APPEND, Permissions::NONE, 0o755, "perm=ar;"),
            (Kind::Directory, 0o750, ALL, ALL, 0o750, "perm=cdeflmp;"),
            (Kind::Directory, 0o775, READ_ONLY, READ_ONLY, 0o555, "perm=el;"),
            (Kind::Directory, 0o775, READ_ONLY, DROP_BOX, 0o331, "perm=ce;"),
        ] {
            assert_eq!(told(kind, mode, here, inside), (letters, perm.into()), "{here} {inside}");
        }
    }
}

//! Export: mailboxes become folders on a disk.
//!
//! A message's file is called after its mailbox's UIDVALIDITY and its UID, so that an export that goes on, or is made again,
//! writes only what is not there yet. An mbox is written as a whole and never over another file.
//!
//! Invariants: a file appears under its name only when it is on disk; nothing that was there is changed, except that names
//! are added to `subscriptions` and `dovecot-keywords`; what is written is its owner's alone.
//! Not here: how names and states are spelled (archive).

use super::{Format, Progress, Stopped, Summary, Tell, tell, to_marks};
use archive::lines::ToLf;
use archive::maildir::{self, Keywords};
use archive::{mbox, names, survey};
use rustix::fs::{RenameFlags, renameat_with, syncfs};
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use store::privacy::make_dir;
use store::{AccountId, Kept, MailboxRow, ReadError, Store, Uid};

/// Messages that are listed, written and synced together.
const BATCH: usize = 200;

/// How much of a message is read at once.
const PIECE: usize = 64 * 1024;

/// How much of a message's beginning is looked at for its sender.
const RETURN_PATH_MAX: usize = 512;

/// What is to be exported.
#[derive(Debug, Clone)]
pub struct Export {
    /// Where to.
    pub path: PathBuf,
    /// How.
    pub format: Format,
    /// Which; all if empty.
    pub mailboxes: Vec<String>,
}

/// Exports. Blocks for long.
///
/// # Errors
/// When it cannot begin or go on; what could not be written is in the summary instead.
pub fn export(store: &Store, account: AccountId, order: &Export, teller: Tell<'_>) -> Result<Summary, Stopped> {
    let mailboxes = chosen(store, account, &order.mailboxes)?;
    prepare(&order.path, order.format)?;
    let progress = Progress { total: mailboxes.iter().map(|row| row.messages).sum(), ..Progress::default() };
    let mut exporter = Exporter { store, order, summary: Summary::default(), progress, teller };
    for row in &mailboxes {
        exporter.progress.mailbox.clone_from(&row.name);
        exporter.summary.mailboxes += 1;
        let before = exporter.progress.done;
        let done = match order.format {
            Format::Maildir | Format::MaildirPlus => exporter.maildir(row),
            _ => exporter.mbox(row),
        };
        match done {
            Err(Stopped::Place { path, why }) => exporter.summary.trouble(path, why),
            done => done?,
        }
        exporter.progress.done = before + row.messages;
        tell(exporter.teller, &exporter.progress)?;
    }
    if matches!(order.format, Format::MaildirPlus) {
        let subscribed: Vec<_> =
            store.subscriptions(account)?.iter().map(|name| names::to_subscription(name)).collect();
        let path = order.path.join("subscriptions");
        add_lines(&path, &subscribed).map_err(Stopped::at(&path))?;
    }
    Ok(exporter.summary)
}

fn chosen(store: &Store, account: AccountId, names: &[String]) -> Result<Vec<MailboxRow>, Stopped> {
    if names.is_empty() {
        return Ok(store.mailboxes(account)?);
    }
    let named = |name: &String| store.mailbox_named(account, name)?.ok_or_else(|| Stopped::NoMailbox(name.clone()));
    names.iter().map(named).collect()
}

/// The target is new, empty, or of the same sort: mail is not strewn among other things.
fn prepare(path: &Path, format: Format) -> Result<(), Stopped> {
    let at = Stopped::at(path);
    make_dir(path).map_err(&at)?;
    let is_empty = fs::read_dir(path).map_err(&at)?.next().is_none();
    let is_maildir = survey::is_maildir(path);
    match format {
        Format::Maildir | Format::MaildirPlus if !is_empty && !is_maildir => Err(at(io::Error::other(
            "there is something else in it; name a Maildir or a directory that is not there yet",
        ))),
        Format::Maildir | Format::MaildirPlus => Ok(()),
        _ if is_maildir => Err(at(io::Error::other("it is a Maildir; name another place for mbox files"))),
        _ => Ok(()),
    }
}

struct Exporter<'a> {
    store: &'a Store,
    order: &'a Export,
    summary: Summary,
    progress: Progress,
    teller: Tell<'a>,
}

impl Exporter<'_> {
    /// Messages of a mailbox, some at a time.
    fn each_batch(
        &mut self,
        row: &MailboxRow,
        mut write: impl FnMut(&mut Self, &[Kept]) -> Result<(), Stopped>,
    ) -> Result<(), Stopped> {
        let mut from = Uid(1);
        loop {
            let batch = self.store.messages(row.id, from, BATCH)?;
            let Some(last) = batch.last() else { return Ok(()) };
            let last = last.uid;
            write(self, &batch)?;
            self.progress.done += batch.len() as u64;
            tell(self.teller, &self.progress)?;
            let Some(next) = last.0.checked_add(1) else { return Ok(()) };
            from = Uid(next);
        }
    }

    fn maildir(&mut self, row: &MailboxRow) -> Result<(), Stopped> {
        let folder = self.folder(row);
        let at = Stopped::at(&folder);
        for sub in ["tmp", "new", "cur"] {
            make_dir(&folder.join(sub)).map_err(&at)?;
        }
        if folder != self.order.path && self.order.format == Format::MaildirPlus {
            // Courier and others know a folder by this file.
            create(&folder.join("maildirfolder")).map_err(&at)?;
        }
        let there = bases(&folder).map_err(&at)?;
        let mut keywords = survey::read_text(&folder.join(Keywords::FILE))
            .map_or_else(Keywords::default, |text| Keywords::parse(&text));
        self.each_batch(row, |this, batch| this.message_files(row, batch, &folder, &there, &mut keywords))?;
        File::open(&folder).and_then(|directory| directory.sync_all()).map_err(&at)
    }

    /// Writes files, syncs them all at once, and gives them their names.
    fn message_files(
        &mut self,
        row: &MailboxRow,
        batch: &[Kept],
        folder: &Path,
        there: &HashSet<String>,
        keywords: &mut Keywords,
    ) -> Result<(), Stopped> {
        let at = Stopped::at(folder);
        let mut written = Vec::new();
        for kept in batch {
            let base = base(row, kept);
            if there.contains(&base) {
                self.summary.known += 1;
                continue;
            }
            let temporary = folder.join("tmp").join(&base);
            let mut file = create(&temporary).map_err(&at)?;
            match self.copy(kept, |octets| file.write_all(octets)) {
                Ok(()) => {}
                Err(Copy::Unreadable(why)) => {
                    let _ = fs::remove_file(&temporary);
                    self.summary.trouble(format!("{} UID {}", row.name, kept.uid), why);
                    continue;
                }
                Err(Copy::Unwritable(error)) => return Err(at(error)),
            }
            file.set_modified(moment(kept.received_at)).map_err(&at)?;
            let (name, without_letter) = maildir::name(&base, &to_marks(&kept.flags), keywords);
            if without_letter > 0 {
                let why = format!("{without_letter} of its keywords are left out: a Maildir folder can have 26");
                self.summary.trouble(format!("{} UID {}", row.name, kept.uid), why);
            }
            written.push((temporary, folder.join("cur").join(name), kept.size));
        }
        if written.is_empty() {
            return Ok(());
        }
        if keywords.is_changed() {
            // Before the names with its letters in them.
            write_whole(&folder.join(Keywords::FILE), keywords.write().as_bytes()).map_err(&at)?;
        }
        let cur = File::open(folder.join("cur")).map_err(&at)?;
        syncfs(&cur).map_err(|errno| at(errno.into()))?;
        for (temporary, target, size) in written {
            fs::rename(temporary, target).map_err(&at)?;
            self.count(size);
        }
        cur.sync_all().map_err(&at)
    }

    fn folder(&self, row: &MailboxRow) -> PathBuf {
        match (row.name.as_str(), self.order.format) {
            ("INBOX", _) => self.order.path.clone(),
            (name, Format::MaildirPlus) => self.order.path.join(names::to_maildir_plus(name)),
            (name, _) => {
                name.split('/').fold(self.order.path.clone(), |path, level| path.join(names::to_directory(level)))
            }
        }
    }

    /// `Work` is a file `Work.mbox`, so that a directory `Work` can be beside it for what is below.
    fn mbox(&mut self, row: &MailboxRow) -> Result<(), Stopped> {
        let (above, level) = row.name.rsplit_once('/').unwrap_or(("", &row.name));
        let levels = above.split('/').filter(|level| !level.is_empty());
        let folder = levels.fold(self.order.path.clone(), |path, level| path.join(names::to_directory(level)));
        let target = folder.join(format!("{}.mbox", names::to_directory(level)));
        let at = Stopped::at(&target);
        if target.exists() {
            return Err(at(io::Error::other("there is a file of that name already; it was left as it is")));
        }
        make_dir(&folder).map_err(&at)?;
        let temporary = temporary_beside(&target);
        let file = BufWriter::with_capacity(PIECE, create(&temporary).map_err(&at)?);
        let mut writer = mbox::Writer::new(file);
        let (mut messages, mut octets) = (0, 0);
        let result = self.each_batch(row, |this, batch| {
            for kept in batch {
                this.append(row, kept, &mut writer).map_err(&at)?.inspect(|size| {
                    messages += 1;
                    octets += size;
                });
            }
            Ok(())
        });
        let named = result.and_then(|()| {
            let file = writer.into_inner().into_inner().map_err(|error| at(error.into_error()))?;
            file.sync_all().and_then(|()| rename_new(&temporary, &target)).map_err(&at)
        });
        if named.is_err() {
            let _ = fs::remove_file(&temporary);
        } else {
            self.summary.messages += messages;
            self.summary.octets += octets;
            self.progress.messages += messages;
        }
        named
    }

    /// Adds one message, and says how long it was; nothing where it is not there any more.
    fn append(
        &mut self,
        row: &MailboxRow,
        kept: &Kept,
        writer: &mut mbox::Writer<BufWriter<File>>,
    ) -> io::Result<Option<u64>> {
        let mut begun = false;
        let copied = self.copy(kept, |octets| {
            if !std::mem::replace(&mut begun, true) {
                writer.begin(return_path(octets), kept.received_at, &to_marks(&kept.flags))?;
            }
            writer.feed(octets)
        });
        if begun {
            writer.end()?;
        }
        match copied {
            Ok(()) => Ok(Some(kept.size)),
            Err(Copy::Unwritable(error)) => Err(error),
            Err(Copy::Unreadable(why)) => {
                self.summary.trouble(format!("{} UID {}", row.name, kept.uid), why);
                Ok(None)
            }
        }
    }

    /// A message's octets with LF for line ends; at least one call, also for an empty one.
    fn copy(&self, kept: &Kept, mut write: impl FnMut(&[u8]) -> io::Result<()>) -> Result<(), Copy> {
        let reader = self.store.reader(kept).map_err(Copy::Unreadable)?;
        let (mut filter, mut piece, mut text, mut at) = (ToLf::default(), vec![0; PIECE], Vec::new(), 0);
        loop {
            let count = reader.read(at, &mut piece).map_err(|error| Copy::Unreadable(error.into()))?;
            if count == 0 {
                break;
            }
            at += count as u64;
            text.clear();
            filter.feed(&piece[..count], &mut text);
            write(&text).map_err(Copy::Unwritable)?;
        }
        text.clear();
        filter.finish(&mut text);
        write(&text).map_err(Copy::Unwritable)
    }

    fn count(&mut self, size: u64) {
        self.summary.messages += 1;
        self.summary.octets += size;
        self.progress.messages += 1;
    }
}

/// Why a message was not copied.
enum Copy {
    Unreadable(ReadError),
    Unwritable(io::Error),
}

/// What a message's file is called, whatever its state.
fn base(row: &MailboxRow, kept: &Kept) -> String {
    format!("{}.V{}U{}.packetboat,S={}", kept.received_at.max(0), row.uidvalidity, kept.uid, kept.size)
}

/// What is in a Maildir already.
fn bases(folder: &Path) -> io::Result<HashSet<String>> {
    let mut bases = HashSet::new();
    for sub in ["cur", "new"] {
        for entry in fs::read_dir(folder.join(sub))? {
            bases.insert(maildir::base(&entry?.file_name().to_string_lossy()).to_owned());
        }
    }
    Ok(bases)
}

fn moment(unix_secs: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(unix_secs).unwrap_or_default())
}

/// The sender in a Return-Path that begins the message.
fn return_path(octets: &[u8]) -> Option<&str> {
    const FIELD: &[u8] = b"return-path:";
    let front = &octets[..octets.len().min(RETURN_PATH_MAX)];
    let line = front.split(|octet| *octet == b'\n').next()?;
    let (name, value) = line.split_at_checked(FIELD.len())?;
    let value = std::str::from_utf8(value).ok().filter(|_| name.eq_ignore_ascii_case(FIELD))?;
    value.trim().strip_prefix('<')?.strip_suffix('>')
}

fn temporary_beside(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.{}", std::process::id()))
}

/// Makes a file that its owner alone can read.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Gives a file its name, and never takes another's.
fn rename_new(temporary: &Path, target: &Path) -> io::Result<()> {
    renameat_with(rustix::fs::CWD, temporary, rustix::fs::CWD, target, RenameFlags::NOREPLACE)?;
    sync_above(target)
}

fn sync_above(target: &Path) -> io::Result<()> {
    File::open(target.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// Puts a small file in its place.
fn write_whole(target: &Path, octets: &[u8]) -> io::Result<()> {
    let temporary = temporary_beside(target);
    let mut file = create(&temporary)?;
    file.write_all(octets)?;
    file.sync_all()?;
    fs::rename(&temporary, target)?;
    sync_above(target)
}

/// Adds lines that are not there.
fn add_lines(path: &Path, lines: &[String]) -> io::Result<()> {
    let mut text = survey::read_text(path).unwrap_or_default();
    if text.starts_with("V\t") {
        return Ok(());
    }
    let missing: Vec<_> = lines.iter().filter(|line| !text.lines().any(|known| known == line.as_str())).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    missing.iter().for_each(|line| text.extend([line.as_str(), "\n"]));
    write_whole(path, text.as_bytes())
}

//! Import: folders become mailboxes, files become messages, in commits of some hundred.
//!
//! Invariants: what cannot be read is named and the rest goes on; at most [`BATCH_OCTETS`] of drafts, or one message, wait
//! for their commit; nothing of the source is changed.
//! Not here: quotas, which an administrator's import does not ask; filters and rules, which are for mail that arrives.

use super::record::{Mark, Marker, Record};
use super::{Format, Progress, Stopped, Summary, Tell, tell, to_flags};
use crate::desk::imap::OTHERS_LEVEL;
use archive::lines::ToCrlf;
use archive::maildir::{self, Keywords};
use archive::survey::{self, Folder, Survey};
use archive::{Marks, mbox};
use aws_lc_rs::digest::{Context, SHA256};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use store::{AccountId, Body, Commit, CommitError, Draft, Flags, MailboxName, MailboxRef, Op, Store};

/// Messages in a commit: enough that syncing costs little, few enough that others' mail need not wait long.
const BATCH_MESSAGES: usize = 200;

/// Octets of messages in a commit, beyond which no other message joins it.
const BATCH_OCTETS: u64 = 8 << 20;

/// The longest message: the store counts with 32 bits.
const MESSAGE_MAX: u64 = u32::MAX as u64 - (1 << 20);

/// Messages that are here already between two words about it.
const TOLD_EVERY: u64 = 500;

/// How much of a file is read at once.
const PIECE: usize = 64 * 1024;

/// What is to be imported.
#[derive(Debug, Clone)]
pub struct Import {
    /// From where.
    pub path: PathBuf,
    /// Its format; guessed from its looks if not told.
    pub format: Option<Format>,
    /// The mailbox for what is not in a folder; folders come below it.
    pub into: Option<String>,
    /// Do all but write.
    pub dry_run: bool,
    /// Import also what was imported before.
    pub again: bool,
}

/// Imports. Blocks for long.
///
/// # Errors
/// When it cannot begin or go on; single messages that cannot be read are in the summary instead.
pub fn import(store: &Store, account: AccountId, order: &Import, teller: Tell<'_>) -> Result<Summary, Stopped> {
    let path = fs::canonicalize(&order.path).map_err(Stopped::at(&order.path))?;
    if let Some(into) = &order.into {
        MailboxName::parse(into).map_err(|why| Stopped::Name(into.clone(), why))?;
    }
    let (format, kind) = format_of(&path, order.format).map_err(Stopped::at(&path))?;
    let found = survey::survey(&path, format).map_err(Stopped::at(&path))?;
    let record = if order.again { Record::empty(account) } else { Record::read(store, account)? };
    let progress = Progress {
        total: found.folders.iter().map(|folder| extent(&folder.path, format)).sum(),
        ..Progress::default()
    };
    let summary = Summary { dry_run: order.dry_run, ..Summary::default() };
    let batch = Batch::default();
    let mut importer = Importer { store, account, order, kind, record, summary, progress, teller, batch };
    for (path, why) in &found.troubles {
        importer.summary.trouble_at(path, why);
    }
    if found.folders.is_empty() {
        return Err(Stopped::Place { path: path.display().to_string(), why: "there is no mail in it".into() });
    }
    for folder in &found.folders {
        importer.folder(folder, &path, format)?;
    }
    importer.subscribe(&found, &path)?;
    Ok(importer.summary)
}

/// The format to look for, and the kind of its mboxes.
fn format_of(path: &Path, told: Option<Format>) -> io::Result<(survey::Format, mbox::Kind)> {
    let mbox = |kind| (survey::Format::Mbox, kind);
    Ok(match told {
        None => (survey::guess(path)?, mbox::Kind::Guess),
        Some(Format::Maildir | Format::MaildirPlus) => (survey::Format::Maildir, mbox::Kind::Guess),
        Some(Format::Mbox) => mbox(mbox::Kind::Guess),
        Some(Format::Mboxo) => mbox(mbox::Kind::O),
        Some(Format::Mboxrd) => mbox(mbox::Kind::Rd),
        Some(Format::Mboxcl) => mbox(mbox::Kind::Cl),
        Some(Format::Mboxcl2) => mbox(mbox::Kind::Cl2),
    })
}

/// How much a folder adds to the whole: its files, or its octets.
fn extent(path: &Path, format: survey::Format) -> u64 {
    match format {
        survey::Format::Mbox => fs::metadata(path).map_or(0, |metadata| metadata.len()),
        survey::Format::Maildir => {
            let count = |sub| fs::read_dir(path.join(sub)).map_or(0, |entries| entries.count() as u64);
            count("cur") + count("new")
        }
    }
}

/// Where a folder's messages come to.
fn mailbox_of(folder: &Folder, source: &Path, into: Option<&str>) -> Result<MailboxName, Stopped> {
    let plain = plain_name(folder, source, into);
    let name = apart_from_others(&plain).unwrap_or(plain);
    MailboxName::parse(&name).map_err(|why| Stopped::Name(name, why))
}

/// What a folder is called.
fn plain_name(folder: &Folder, source: &Path, into: Option<&str>) -> String {
    match (into, folder.mailbox.as_str()) {
        (None, "") if source.is_file() => top_of_file(source),
        (None, "") => "INBOX".into(),
        (None, name) => name.to_owned(),
        (Some(into), "") => into.to_owned(),
        (Some(into), name) if name.eq_ignore_ascii_case("INBOX") => into.to_owned(),
        (Some(into), name) => format!("{into}/{name}"),
    }
}

/// Another name for what is called as if it were another's: IMAP shows the mailboxes of others below one level, where one's own
/// could not be reached.
fn apart_from_others(name: &str) -> Option<String> {
    let below = name.strip_prefix(OTHERS_LEVEL)?;
    (below.is_empty() || below.starts_with(store::SEPARATOR)).then(|| format!("{OTHERS_LEVEL} (imported){below}"))
}

/// A single file is a mailbox of its name; a system's spool and mutt's `mbox` are the inbox.
fn top_of_file(path: &Path) -> String {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or("INBOX");
    if matches!(name, "mbox") || path.starts_with("/var/mail") || path.starts_with("/var/spool/mail") {
        return "INBOX".into();
    }
    survey::mbox_name(name)
}

struct Importer<'a> {
    store: &'a Store,
    account: AccountId,
    order: &'a Import,
    kind: mbox::Kind,
    record: Record,
    summary: Summary,
    progress: Progress,
    teller: Tell<'a>,
    batch: Batch,
}

/// Messages that wait for their commit.
#[derive(Default)]
struct Batch {
    letters: Vec<Letter>,
    octets: u64,
}

struct Letter {
    draft: Draft,
    received_at: i64,
    flags: Flags,
    mark: Mark,
}

/// Takes a message's octets as a disk has them.
struct Intake {
    draft: Draft,
    filter: ToCrlf,
    digest: Context,
    mail: Vec<u8>,
    flaw: Option<&'static str>,
    failure: Option<io::Error>,
}

impl Intake {
    fn new(store: &Store) -> Intake {
        let (filter, digest) = (ToCrlf::default(), Context::new(&SHA256));
        Intake { draft: store.draft(), filter, digest, mail: Vec::new(), flaw: None, failure: None }
    }

    /// A message with a flaw is read to its end all the same: the next one is behind it.
    fn take(&mut self, octets: &[u8]) {
        self.mail.clear();
        self.filter.feed(octets, &mut self.mail);
        self.digest.update(&self.mail);
        match () {
            () if self.flaw.is_some() || self.failure.is_some() => {}
            // RFC 9051 §4.3: no client could be given it.
            () if self.mail.contains(&0) => self.flaw = Some("it has an octet zero in it, which no message may have"),
            () if self.draft.len() + self.mail.len() as u64 > MESSAGE_MAX => self.flaw = Some("it is too long"),
            () => self.failure = self.draft.append(&self.mail).err(),
        }
    }

    fn digest(&self) -> Vec<u8> {
        self.digest.clone().finish().as_ref().to_vec()
    }
}

impl Importer<'_> {
    fn folder(&mut self, folder: &Folder, source: &Path, format: survey::Format) -> Result<(), Stopped> {
        let mailbox = match mailbox_of(folder, source, self.order.into.as_deref()) {
            Ok(mailbox) => mailbox,
            Err(why) => {
                self.summary.trouble_at(&folder.path, why);
                return Ok(());
            }
        };
        mailbox.as_str().clone_into(&mut self.progress.mailbox);
        self.summary.mailboxes += 1;
        if apart_from_others(&plain_name(folder, source, self.order.into.as_deref())).is_some() {
            self.summary.renamed.push(mailbox.as_str().to_owned());
        }
        self.make(&mailbox)?;
        let marker = Marker::new(&folder.path, mailbox.as_str());
        match format {
            survey::Format::Maildir => self.maildir(&folder.path, &mailbox, &marker)?,
            survey::Format::Mbox => self.mbox(&folder.path, &mailbox, &marker)?,
        }
        self.commit(&mailbox)?;
        tell(self.teller, &self.progress)
    }

    fn make(&self, mailbox: &MailboxName) -> Result<(), Stopped> {
        if self.order.dry_run || self.store.mailbox_named(self.account, mailbox.as_str())?.is_some() {
            return Ok(());
        }
        let op = Op::CreateMailbox { account: self.account, name: mailbox.as_str().into(), special_use: Vec::new() };
        match self.store.commit_blocking(Commit::of(vec![op])) {
            Ok(_) | Err(CommitError::MailboxExists(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn maildir(&mut self, path: &Path, mailbox: &MailboxName, marker: &Marker) -> Result<(), Stopped> {
        let keywords =
            survey::read_text(&path.join(Keywords::FILE)).map_or_else(Keywords::default, |text| Keywords::parse(&text));
        for sub in ["new", "cur"] {
            let files = match files_in(&path.join(sub)) {
                Ok(files) => files,
                Err(error) => {
                    self.summary.trouble_at(&path.join(sub), error);
                    continue;
                }
            };
            for file in files {
                let name = file.to_string_lossy();
                let marks = maildir::marks(&name, &keywords);
                self.message_file(&path.join(sub).join(&file), &name, marks, mailbox, marker)?;
                self.progress.done += 1;
            }
        }
        Ok(())
    }

    fn message_file(
        &mut self,
        path: &Path,
        name: &str,
        marks: Marks,
        mailbox: &MailboxName,
        marker: &Marker,
    ) -> Result<(), Stopped> {
        let (file, size, received_at) = match open_message(path) {
            Ok(opened) => opened,
            Err(error) => {
                self.summary.trouble_at(path, error);
                return Ok(());
            }
        };
        let mark = marker.mark(maildir::base(name).as_bytes(), size);
        if self.record.knows(&mark) {
            return self.pass_over();
        }
        let mut intake = Intake::new(self.store);
        if let Err(error) = read_all(file, |octets| intake.take(octets)) {
            self.summary.trouble_at(path, error);
            return Ok(());
        }
        self.take_in(intake, &path.display().to_string(), received_at, &marks, mark, mailbox)
    }

    fn mbox(&mut self, path: &Path, mailbox: &MailboxName, marker: &Marker) -> Result<(), Stopped> {
        let begun = self.progress.done;
        let opened = File::open(path).and_then(|file| {
            let modified = modified(&file.metadata()?);
            Ok((mbox::Reader::new(BufReader::with_capacity(PIECE, file), self.kind)?, modified))
        });
        let (mut reader, modified) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.summary.trouble_at(path, error);
                return Ok(());
            }
        };
        let mut copies: HashMap<Mark, u64> = HashMap::new();
        loop {
            let mut intake = Intake::new(self.store);
            let at = reader.position();
            let next = reader.next(|octets| {
                intake.take(octets);
                Ok(())
            });
            self.progress.done = begun + reader.position();
            let letter = match next {
                Ok(Some(letter)) => letter,
                Ok(None) => return Ok(()),
                Err(error) => {
                    self.summary.trouble(format!("{} from octet {at} on", path.display()), error);
                    return Ok(());
                }
            };
            if letter.is_internal {
                continue;
            }
            let digest = intake.digest();
            let copy = copies.entry(marker.mark(&digest, 0)).or_default();
            *copy += 1;
            let mark = marker.mark(&digest, *copy);
            if self.record.knows(&mark) {
                self.pass_over()?;
                continue;
            }
            let what = format!("{} at octet {at}", path.display());
            let received_at = letter.received_at.unwrap_or(modified);
            self.take_in(intake, &what, received_at, &letter.marks, mark, mailbox)?;
        }
    }

    /// A message that is here already; whoever waits is told now and then.
    fn pass_over(&mut self) -> Result<(), Stopped> {
        self.summary.known += 1;
        if self.summary.known.is_multiple_of(TOLD_EVERY) { tell(self.teller, &self.progress) } else { Ok(()) }
    }

    fn take_in(
        &mut self,
        intake: Intake,
        what: &str,
        received_at: i64,
        marks: &Marks,
        mark: Mark,
        mailbox: &MailboxName,
    ) -> Result<(), Stopped> {
        if let Some(flaw) = intake.flaw {
            self.summary.trouble(what, flaw);
            return Ok(());
        }
        if let Some(failure) = intake.failure {
            return Err(Stopped::Draft(failure));
        }
        self.batch.octets += intake.draft.len();
        self.batch.letters.push(Letter { draft: intake.draft, received_at, flags: to_flags(marks), mark });
        if self.batch.letters.len() >= BATCH_MESSAGES || self.batch.octets >= BATCH_OCTETS {
            self.commit(mailbox)?;
            tell(self.teller, &self.progress)?;
        }
        Ok(())
    }

    /// The messages that wait, and the record that they are there.
    fn commit(&mut self, mailbox: &MailboxName) -> Result<(), Stopped> {
        let Batch { letters, octets } = std::mem::take(&mut self.batch);
        let count = letters.len() as u64;
        if !self.order.dry_run && count > 0 {
            let marks: Vec<Mark> = letters.iter().map(|letter| letter.mark).collect();
            let mut commit = Commit::default();
            for (body, letter) in letters.into_iter().enumerate() {
                commit.bodies.push(Body { head: Vec::new(), draft: letter.draft });
                commit.ops.push(Op::Place {
                    account: self.account,
                    mailbox: MailboxRef::Named(mailbox.as_str().into()),
                    body,
                    prefix: Vec::new(),
                    received_at: letter.received_at,
                    flags: letter.flags,
                });
            }
            commit.ops.push(self.record.keep(&marks));
            self.store.commit_blocking(commit)?;
        }
        self.summary.messages += count;
        self.summary.octets += octets;
        self.progress.messages += count;
        Ok(())
    }

    /// What the source says is subscribed; where it says nothing, everything that was imported.
    fn subscribe(&self, found: &Survey, source: &Path) -> Result<(), Stopped> {
        let all = || found.folders.iter().map(|folder| folder.mailbox.clone()).collect();
        let names: Vec<String> = found.subscriptions.clone().unwrap_or_else(all);
        let named = |mailbox: String| {
            let mailbox = if mailbox == "INBOX" { String::new() } else { mailbox };
            mailbox_of(&Folder { mailbox, path: PathBuf::new() }, source, self.order.into.as_deref()).ok()
        };
        let op = |name: MailboxName| Op::Subscribe { account: self.account, name: name.as_str().into() };
        let ops: Vec<Op> = names.into_iter().filter_map(named).map(op).collect();
        if !self.order.dry_run && !ops.is_empty() {
            self.store.commit_blocking(Commit::of(ops))?;
        }
        Ok(())
    }
}

/// The names of a directory's message files, in order; none where it is not there. Names alone, as there may be a million.
fn files_in(path: &Path) -> io::Result<Vec<OsString>> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.retain(|name| !name.as_encoded_bytes().starts_with(b"."));
    names.sort();
    Ok(names)
}

fn open_message(path: &Path) -> io::Result<(File, u64, i64)> {
    // Asked before it is opened: opening a pipe would wait for its other end.
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    }
    Ok((File::open(path)?, metadata.len(), modified(&metadata)))
}

fn modified(metadata: &fs::Metadata) -> i64 {
    let since = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn read_all(mut file: File, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(()),
            count => take(&piece[..count]),
        }
    }
}

//! Mailboxes, messages, flags, UIDs and the outgoing queue: what is kept, durably.
//!
//! ```text
//! <dir>/store.db      accounts, mailboxes, messages, queue, where bodies are        (SQLite, write-ahead log)
//!       seg/N.seg     bodies: append-only, shared by many, or one large message each
//!       tmp/          drafts over 256 KiB while they arrive, the segment that comes next; emptied at opening
//! <dir>/search.db     which texts are not in which bodies: derived, may be deleted at any time
//!       register.db   a copy of who is who, for the day on which store.db is lost
//!       store.lock    held by the process that has the store open
//!
//! draft → append, append … ─┐
//! Commit { ops, bodies } ───┴→ bodies and a journal entry, one sync for all that wait → Committed, Change ⇢ rows, later
//!                           └→ no delivery: in one transaction, synced → Committed, Change
//! ```
//!
//! Read in this order: [`Op`] says what can be asked, [`Store`] is the door, [`Snapshot`] is a mailbox, [`MessageReader`] gives octets back; inside,
//! `writer` makes commits durable and `index` knows what they mean. Why it is built this way:
//! `docs/decisions/0010-one-sync-for-a-delivery.md`, `0004-mailboxes-and-emails.md` for mailboxes and emails, `0007-states-in-blocks.md` for flags, `0011-the-envelope-kept.md`
//! for lists.
//!
//! For a desk that serves mailboxes:
//!
//! - *Names*: [`Store::mailboxes`] with their figures (LIST, STATUS), [`Store::subscriptions`], [`Store::metadata`], [`Store::rights`];
//!   levels without a mailbox of their own are for the desk to find between the names. Orders: `CreateMailbox` and its neighbours in [`Op`].
//! - *Selecting*: [`Store::open_mailbox`] gives an [`OpenMailbox`]; its [`now`](OpenMailbox::now) is a [`Snapshot`] of all UIDs, flags and
//!   modseqs. Keep the snapshot the client has been told about; wait for [`changed`](OpenMailbox::changed); tell the client
//!   [`Snapshot::changes_to`] when the protocol allows it, and keep the newer one. Whoever comes back with an old modseq is told
//!   [`Snapshot::changed_since`] and [`Store::vanished`]. [`Store::changes_of`] tells what happens in other mailboxes.
//! - *Fetching*: flags, sizes and dates of arrival are in the snapshot. [`Store::walk`] shows envelope, structure, preview and keys of
//!   many messages where they are kept, [`Store::list`] gives them away, [`Store::messages_of`] gives the rows alone; [`Store::reader`] opens one, and [`MessageReader::span`] says where a
//!   part's octets are, for `sendfile`. Ask for some hundred at a time, from a thread that may block.
//! - *Changing*: `SetFlags`, `Copy`, `Move`, `ExpungeDeleted`, `Place`; each is answered with what it did, and the snapshot shows it
//!   before the answer comes. Name messages by the UIDs of the snapshot.
//! - *Searching*: [`Store::search`].
//!
//! Restore `store.db` (with its log) and `seg/` together and from the same moment: a segment the index does not know is
//! taken for the remains of a crash and removed, or, where it cannot be that, keeps the store from opening. [`rebuild`] makes an
//! index of segments alone.
//!
//! Invariants: a commit that was answered survives a power cut; all of its orders happened, or none; UIDs and modseqs
//! never go back; changes are published after the commit, in commit order; no row points at octets that are not synced;
//! nobody but the owner can read what is kept.
//! Not here: who people are (directory), what a message says (message), when to retry (server's courier). No SQLite type
//! crosses this border: the same doors are to open on other backends.

#![forbid(unsafe_code)]

mod names;
mod op;
mod queue;

mod draft;
mod error;
mod essence;
mod feed;
mod kin;
mod live;
mod ranks;
mod read;
mod search;
mod sight;
mod snapshot;
mod texts;
mod together;

mod disk;
mod journal;
mod lag;
mod record;
mod segment;
mod states;

mod index;
mod migrate;
mod writer;

mod check;
mod compact;
pub mod privacy;
mod rebuild;
mod register;

#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, flock};
use tokio::sync::broadcast;
use tracing::{error, warn};

pub use check::{PROBLEMS_MAX, Problem, Report, check, repair};
pub use compact::Compacted;
pub use draft::{Draft, SPILL_AT};
pub use error::{CommitError, OpenError, ReadError};
pub use feed::{Arrival, Change, FEED_MAX, MailboxChange};
pub use kin::{KIN_OCTETS_MAX, Kin, Letter};
pub use live::{ACCOUNT_FEED_MAX, OpenMailbox, ROWS_KEPT};
pub use migrate::FORMAT;
pub use names::{
    AccountId, EmailId, MAILBOX_LEVELS_MAX, MAILBOX_NAME_MAX, MailId, MailboxId, MailboxName, ModSeq, RecipientId,
    SEPARATOR, ThreadId, Uid,
};
pub use op::{
    BODIES_MAX, Body, Commit, Committed, FlagChange, FlagMask, Flags, HEAD_MAX, KEYWORD_MAX, KEYWORDS_MAX,
    MAILBOXES_MAX, METADATA_ENTRIES_MAX, METADATA_VALUE_MAX, MailboxRef, Op, Outcome, PREFIX_MAX, Placed, RIGHTS_MAX,
    SUBSCRIPTIONS_MAX,
};
pub use queue::{
    ATTEMPTS_KEPT, Attempt, MailRow, Notify, QueueFilter, QueueScope, QueuedMail, QueuedRecipient, REASON_MAX,
    RecipientRow, Ret,
};
pub use ranks::Ranks;
pub use read::{AccountRow, FileSpan, Holding, Kept, Listed, MailboxRow, Maildrop, MessageReader, SharedMailbox};
pub use rebuild::{Rebuilding, Rebuilt, RebuiltAccount, Step, rebuild};
pub use search::{People, Query, Search};
pub use sight::{Breadth, Outlined, Sight};
pub use snapshot::{Difference, Row, Snapshot};
pub use together::TOGETHER_MAX;
pub use writer::{CHANNEL_MAX, WAITING_MAX};

use disk::{Disk, DiskFile, RealDisk};
use index::Index;
use live::LiveMailboxes;
use names::BodyId;
use queue::Claims;
use read::Readers;
use read::WalkEnd;
use segment::{SegmentFiles, segment_number};
use texts::Texts;
use writer::Writer;

/// How a store is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Octets set aside for a segment. One that is over half empty is copied together by [`Store::compact`], so smaller
    /// segments mean smaller steps, larger ones fewer files.
    pub segment_octets: u64,
    /// Tells the time, Unix seconds.
    pub clock: fn() -> i64,
}

impl Default for Options {
    fn default() -> Self {
        Options { segment_octets: 64 * 1024 * 1024, clock: unix_seconds }
    }
}

fn unix_seconds() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// A store that is open. Clones are doors to the same store; with the last one it closes, which may block.
#[derive(Clone)]
pub struct Store {
    running: Arc<Running>,
}

struct Running {
    shared: Arc<Shared>,
    writer: Writer,
    texts: Texts,
}

/// What all threads of a store share.
pub(crate) struct Shared {
    dir: PathBuf,
    options: Options,
    disk: Arc<dyn Disk>,
    segments: SegmentFiles,
    readers: Readers,
    claims: Claims,
    feed: broadcast::Sender<Change>,
    live: LiveMailboxes,
    /// How often something about mailboxes or accounts has changed.
    mailbox_changes: AtomicU64,
    /// How often it had when the register was written.
    registered: AtomicU64,
    failure: OnceLock<String>,
    closing: AtomicBool,
    next_body: AtomicI64,
    next_segment: AtomicI64,
    /// The next segment, where it is ready.
    spare: Mutex<Option<(DiskFile, u64)>>,
    /// `None` once the store is closed.
    lock: Mutex<Option<Lock>>,
}

impl Store {
    /// Opens the store in `dir`, making it where there is none. Blocks.
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<Store, OpenError> {
        Store::open_on(dir.as_ref(), options, Arc::new(RealDisk))
    }

    fn open_on(dir: &Path, options: Options, disk: Arc<dyn Disk>) -> Result<Store, OpenError> {
        let lock = prepare_dir(dir, disk.as_ref())?;
        let conn = index::open_for_writing(&dir.join(DATABASE), disk.as_ref())?;
        // The names of the database, its log, seg/ and tmp/.
        disk.sync_dir(dir).map_err(OpenError::io(dir))?;
        let shared = Arc::new(Shared::new(dir, dir.join(SEGMENTS), options, disk, lock));
        sweep_tmp(&shared)?;
        sweep_segments(&shared, &conn)?;
        let mut index = Index::new(conn, Arc::clone(&shared))?;
        index.recover()?;
        let resume = index.resume()?;
        shared.next_body.store(resume.next_body, Ordering::Relaxed);
        shared.next_segment.store(resume.next_segment, Ordering::Relaxed);
        let writer = Writer::start(&shared, index, resume)?;
        let texts = Texts::new(Arc::clone(&shared), resume.next_body);
        Ok(Store { running: Arc::new(Running { shared, writer, texts }) })
    }

    /// Finishes what was sent, brings everything home and lets other processes in. Later commits are refused. Blocks;
    /// calling it again does nothing.
    pub fn close(&self) {
        self.running.close();
    }

    /// Why the store takes no more commits, if so: a disk has failed. The process should say so and end.
    pub fn failure(&self) -> Option<String> {
        self.running.shared.failure()
    }

    /// A new, empty draft. Quick.
    pub fn draft(&self) -> Draft {
        Draft::new(Arc::clone(&self.running.shared))
    }

    /// Carries out a commit: when the future says so, it is on disk. Waits when many are waiting, and gives
    /// [`CommitError::Busy`] when [`WAITING_MAX`] are. What has been sent is carried out also when the future is dropped.
    pub fn commit(&self, commit: Commit) -> impl Future<Output = Result<Committed, CommitError>> + Send + use<> {
        self.running.writer.commit(commit)
    }

    /// Carries out a commit. Blocks; not for threads that run asynchronous tasks.
    pub fn commit_blocking(&self, commit: Commit) -> Result<Committed, CommitError> {
        self.running.writer.commit_blocking(commit)
    }

    /// Everything that changes from now on, in commit order. Quick.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.running.shared.feed.subscribe()
    }

    /// All accounts, by number. May block.
    pub fn accounts(&self) -> Result<Vec<AccountRow>, ReadError> {
        self.read(read::accounts)
    }

    /// The directory's entries of one kind as `(key, value)`, by key. May block.
    pub fn entries(&self, kind: &str) -> Result<Vec<(String, String)>, ReadError> {
        self.read(|conn| read::entries(conn, kind))
    }

    /// How much an account holds. May block.
    pub fn holding(&self, account: AccountId) -> Result<Holding, ReadError> {
        self.read(|conn| read::holding(conn, account))
    }

    /// Everything that changes in one account from now on, in commit order. Who falls behind by more than
    /// [`ACCOUNT_FEED_MAX`] is told so. Quick.
    pub fn changes_of(&self, account: AccountId) -> broadcast::Receiver<Arc<Change>> {
        self.running.shared.live.listen(account)
    }

    /// Opens a mailbox: its rows are in memory from now on, shared with everybody who has it open. Blocks where they are not
    /// there yet.
    pub fn open_mailbox(&self, mailbox: MailboxId) -> Result<OpenMailbox, ReadError> {
        self.running.shared.live.open(mailbox, || self.read(|conn| snapshot::load(conn, mailbox)))
    }

    /// A number that is another one whenever a mailbox or an account was made, removed, renamed or shared, before whoever ordered
    /// it is answered. Asked before looking a name up, it tells later whether the name still means the same. Quick.
    pub fn mailbox_changes(&self) -> u64 {
        self.running.shared.mailbox_changes.load(Ordering::Acquire)
    }

    /// A mailbox by its name; `INBOX` in any case is the inbox. May block.
    pub fn mailbox_named(&self, account: AccountId, name: &str) -> Result<Option<MailboxRow>, ReadError> {
        self.read(|conn| read::mailbox_named(conn, account, name))
    }

    /// The names an account has subscribed, in order; there may be no such mailboxes. May block.
    pub fn subscriptions(&self, account: AccountId) -> Result<Vec<String>, ReadError> {
        self.read(|conn| read::subscriptions(conn, account))
    }

    /// The annotations of a mailbox, or of the account as a whole, by name. May block.
    pub fn metadata(
        &self,
        account: AccountId,
        mailbox: Option<MailboxId>,
    ) -> Result<Vec<(String, Vec<u8>)>, ReadError> {
        self.read(|conn| read::metadata(conn, account, mailbox))
    }

    /// Who may do what with a mailbox. May block.
    pub fn rights(&self, mailbox: MailboxId) -> Result<Vec<(String, String)>, ReadError> {
        self.read(|conn| read::rights(conn, mailbox))
    }

    /// The mailboxes that somebody may do something with. May block.
    pub fn shared_with(&self, who: &str) -> Result<Vec<SharedMailbox>, ReadError> {
        self.read(|conn| read::shared_with(conn, who))
    }

    /// An account's mailboxes: INBOX, then the others by name. May block.
    pub fn mailboxes(&self, account: AccountId) -> Result<Vec<MailboxRow>, ReadError> {
        self.read(|conn| read::mailboxes(conn, account))
    }

    /// The messages in an account's inbox. May block.
    pub fn maildrop(&self, account: AccountId) -> Result<Maildrop, ReadError> {
        self.read(|conn| read::maildrop(conn, account))
    }

    /// Up to `max` messages of a mailbox with UIDs of `from` and more, by UID. May block.
    pub fn messages(&self, mailbox: MailboxId, from: Uid, max: usize) -> Result<Vec<Kept>, ReadError> {
        self.read(|conn| read::messages(conn, mailbox, from, max))
    }

    /// The messages of a mailbox with these UIDs, ascending, as far as they are there. May block.
    pub fn messages_of(&self, mailbox: MailboxId, uids: &[Uid]) -> Result<Vec<Kept>, ReadError> {
        self.read(|conn| read::messages_of(conn, mailbox, uids))
    }

    /// The same with what lists say of them: envelope, structure, preview. May block; for messages that came before outlines were
    /// kept it reads them once.
    pub fn list(&self, mailbox: MailboxId, uids: &[Uid]) -> Result<Vec<Listed>, ReadError> {
        let found = self.read(|conn| read::outlines_of(conn, mailbox, uids))?;
        read::list(&self.running.shared, found, |body, outline| {
            // Whoever asks next has it easier; if it cannot be kept, he reads as we did.
            let _ = self.running.writer.begin_blocking(writer::Work::Outline { body, outline }, Vec::new());
        })
    }

    /// Shows messages with these UIDs, ascending, as far as they are there, until `look` breaks off. May block, as [`Store::list`].
    pub fn walk(
        &self,
        mailbox: MailboxId,
        uids: &[Uid],
        breadth: Breadth,
        mut look: impl FnMut(&Sight<'_>) -> Result<ControlFlow<()>, ReadError>,
    ) -> Result<(), ReadError> {
        let mut rest = uids;
        while !rest.is_empty() {
            let (some, others) = rest.split_at(rest.len().min(WALKED_AT_ONCE));
            let end = self.read(|conn| read::walk(conn, mailbox, some, breadth, &mut look))?;
            rest = match end {
                WalkEnd::Done => others,
                WalkEnd::BrokenOff => return Ok(()),
                WalkEnd::Unoutlined(at) => {
                    for listed in self.list(mailbox, &some[at..=at])? {
                        let kept = || Ok(listed.kept.clone());
                        if look(&Sight::new(listed.kept.uid, listed.outlined(), &kept))?.is_break() {
                            return Ok(());
                        }
                    }
                    &rest[at + 1..]
                }
            };
        }
        Ok(())
    }

    /// Begins to look for messages in a mailbox as it was at a moment. Looks through the rows in memory at once; what needs a closer
    /// look is done by [`Search::step`], from a thread that may block.
    pub fn search(&self, snapshot: Arc<Snapshot>, query: &Query) -> Search {
        Search::new(self.clone(), snapshot, query)
    }

    /// Ranges of UIDs that were expunged after a modseq, ascending (RFC 7162 §3.2.10.1). Some may have been before it. May block.
    pub fn vanished(&self, mailbox: MailboxId, since: ModSeq) -> Result<Vec<(Uid, Uid)>, ReadError> {
        self.read(|conn| read::vanished(conn, mailbox, since))
    }

    /// Opens a message of a listing for reading. Opens a file where it is not open yet, and asks the index only when the
    /// message has moved since.
    pub fn reader(&self, kept: &Kept) -> Result<MessageReader, ReadError> {
        read::open_kept(&self.running.shared, kept)
    }

    /// The first of these messages of a listing, whole, and those behind it that lie near it on the disk: at most [`TOGETHER_MAX`],
    /// and no more once they have `octets_max` octets together. For messages that are small. May block.
    pub fn read_together(&self, messages: &[Kept], octets_max: u64) -> Result<Vec<Vec<u8>>, ReadError> {
        together::read(&self.running.shared, messages, octets_max)
    }

    /// The same without waiting for the disk; `None` when that cannot be. Quick.
    pub fn read_together_cached(&self, messages: &[Kept], octets_max: u64) -> Option<Vec<Vec<u8>>> {
        together::read_cached(&self.running.shared, messages, octets_max)
    }

    /// Opens a mail in the queue for reading: head and content. May block.
    pub fn queue_reader(&self, mail: MailId) -> Result<MessageReader, ReadError> {
        read::open_mail(&self.running.shared, mail)
    }

    /// Recipients that are due at `now` and under way with nobody, the longest due first, at most `max`, grouped by mail.
    /// They are claimed for the caller: nobody else is given them until a commit ends the attempt
    /// (`QueueDelivered`, `QueueDeferred`, `QueueFailed`, `QueueDrop`), or [`unclaim`](Self::unclaim). May block.
    pub fn queue_due(&self, now: i64, max: usize) -> Result<Vec<MailRow>, ReadError> {
        self.read(|conn| queue::due(conn, &self.running.shared.claims, now, max))
    }

    /// Claims those recipients that are under way with nobody, and says which. Quick.
    pub fn claim(&self, recipients: &[RecipientId]) -> Vec<RecipientId> {
        let claimed = self.running.shared.claims.claim(recipients.iter().copied());
        recipients.iter().copied().filter(|recipient| claimed.contains(recipient)).collect()
    }

    /// Gives claimed recipients back without an attempt. Quick.
    pub fn unclaim(&self, recipients: &[RecipientId]) {
        self.running.shared.claims.release(recipients);
    }

    /// When the next recipient is due that is neither held nor under way, Unix seconds. May block.
    pub fn queue_next_due(&self) -> Result<Option<i64>, ReadError> {
        self.read(|conn| queue::next_due(conn, &self.running.shared.claims))
    }

    /// Up to `limit` queued mails with the recipients that match, oldest first. May block.
    pub fn queue_list(&self, filter: &QueueFilter, limit: usize) -> Result<Vec<MailRow>, ReadError> {
        self.read(|conn| queue::list(conn, &self.running.shared.claims, filter, limit))
    }

    /// One queued mail with everything that is remembered of its attempts. May block.
    pub fn queue_show(&self, mail: MailId) -> Result<Option<MailRow>, ReadError> {
        self.read(|conn| queue::show(conn, &self.running.shared.claims, mail))
    }

    /// Proves every reference and checksum while the store runs. Blocks for long.
    pub fn check(&self) -> Result<Report, ReadError> {
        check::check_running(&self.running.shared)
    }

    /// Frees room: segments that are more than half dead are copied together, at most `octets_max` octets at a call.
    /// Blocks. Call it now and then; it does nothing when there is nothing to gain.
    pub fn compact(&self, octets_max: u64) -> Result<Compacted, CommitError> {
        register::keep(&self.running.shared);
        compact::compact(&self.running.shared, &self.running.writer, octets_max)
    }

    fn read<T>(&self, read: impl FnOnce(&rusqlite::Connection) -> Result<T, ReadError>) -> Result<T, ReadError> {
        self.running.shared.readers.with(read)
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Store").field("dir", &self.running.shared.dir).finish_non_exhaustive()
    }
}

impl Running {
    fn close(&self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        self.texts.close();
        self.shared.readers.close();
        let is_first = self.writer.is_running();
        self.writer.close();
        if is_first {
            register::keep_at_the_end(&self.shared);
        }
        self.shared.segments.forget_all();
        if let Some((spare, _)) = self.shared.lock_spare().take() {
            let _ = self.shared.disk.remove(&spare.path);
        }
        *self.shared.lock.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    /// Of a store whose index is in `dir`.
    fn new(dir: &Path, segments: PathBuf, options: Options, disk: Arc<dyn Disk>, lock: Lock) -> Shared {
        Shared {
            dir: dir.into(),
            options,
            disk,
            segments: SegmentFiles::new(segments),
            readers: Readers::new(dir.join(DATABASE)),
            claims: Claims::default(),
            feed: broadcast::Sender::new(FEED_MAX),
            live: LiveMailboxes::default(),
            mailbox_changes: AtomicU64::new(0),
            registered: AtomicU64::new(u64::MAX),
            failure: OnceLock::new(),
            closing: AtomicBool::new(false),
            next_body: AtomicI64::new(0),
            next_segment: AtomicI64::new(0),
            spare: Mutex::new(None),
            lock: Mutex::new(Some(lock)),
        }
    }

    pub(crate) fn seg_dir(&self) -> PathBuf {
        self.dir.join(SEGMENTS)
    }

    pub(crate) fn tmp_dir(&self) -> PathBuf {
        self.dir.join(DRAFTS)
    }

    pub(crate) fn now(&self) -> i64 {
        (self.options.clock)()
    }

    pub(crate) fn next_body(&self) -> BodyId {
        BodyId(self.next_body.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn next_segment(&self) -> i64 {
        self.next_segment.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.get().cloned()
    }

    /// The store has failed; gives the reason it failed first.
    pub(crate) fn fail(&self, reason: &str) -> String {
        let first = self.failure.get_or_init(|| {
            error!("the store in {} has failed and takes no more commits: {reason}", self.dir.display());
            reason.into()
        });
        first.clone()
    }

    pub(crate) fn has_spare(&self) -> bool {
        self.lock_spare().is_some()
    }

    pub(crate) fn put_spare(&self, file: DiskFile) {
        *self.lock_spare() = Some((file, self.options.segment_octets));
    }

    /// The prepared segment, if it has this many octets.
    pub(crate) fn take_spare(&self, octets: u64) -> Option<DiskFile> {
        self.lock_spare().take_if(|(_, size)| *size >= octets).map(|(file, _)| file)
    }

    fn lock_spare(&self) -> std::sync::MutexGuard<'_, Option<(DiskFile, u64)>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So many messages are taken out of the index at once.
const WALKED_AT_ONCE: usize = 1_000;

const DATABASE: &str = "store.db";
const SEGMENTS: &str = "seg";
const DRAFTS: &str = "tmp";
const TEXTS: &str = "search.db";
const LOCK: &str = "store.lock";

/// Makes the directories and locks the store. A directory made here is on disk before anything is promised in it.
fn prepare_dir(dir: &Path, disk: &dyn Disk) -> Result<Lock, OpenError> {
    let made: Vec<_> = dir.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
    for path in [dir.to_path_buf(), dir.join(SEGMENTS), dir.join(DRAFTS)] {
        privacy::make_dir(&path).map_err(OpenError::io(path))?;
    }
    for parent in made.iter().filter_map(|path| path.parent()) {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        disk.sync_dir(parent).map_err(OpenError::io(parent))?;
    }
    let lock = lock_dir(dir)?;
    privacy::tighten_all(dir);
    Ok(lock)
}

/// That a store is ours. Given back when it is dropped, and not just closed: a child that was forked and is not yet the program that
/// it will be has the file open, too.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // It is gone with the last who has the file open, at the latest.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Locks a store, or says who has it.
fn lock_dir(dir: &Path) -> Result<Lock, OpenError> {
    let path = dir.join(LOCK);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(privacy::FILE_MODE)
        .open(&path)
        .map_err(OpenError::io(&path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut text = String::new();
            let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(OpenError::InUse { dir: dir.into(), pid });
        }
        Err(errno) => return Err(OpenError::Io { path, source: errno.into() }),
    }
    // For whoever finds the store in use; the lock itself is the kernel's.
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(OpenError::io(path))?;
    Ok(Lock(file))
}

/// Drafts of a process that is gone are nobody's.
fn sweep_tmp(shared: &Shared) -> Result<(), OpenError> {
    for path in files_in(&shared.tmp_dir())? {
        shared.disk.remove(&path).map_err(OpenError::io(path))?;
    }
    Ok(())
}

/// Removes segments that no commit has entered: a crash came first, and nobody was told that they are kept.
fn sweep_segments(shared: &Shared, conn: &rusqlite::Connection) -> Result<(), OpenError> {
    let known = index::segments(conn)?;
    let strays: Vec<_> = files_in(&shared.seg_dir())?
        .into_iter()
        .filter(|path| segment_number(path).is_some_and(|number| !known.iter().any(|row| row.segment == number)))
        .collect();
    if !strays.is_empty() && !index::has_accounts(conn)? {
        return Err(OpenError::Damaged(format!(
            "{} knows no account, but there is mail in {}: restore the database, or make it anew (`store rebuild`)",
            shared.dir.join(DATABASE).display(),
            shared.seg_dir().display()
        )));
    }
    for path in &strays {
        if is_younger_than(shared, conn, path)? {
            return Err(OpenError::Damaged(format!(
                "{} holds mail that came after everything the index knows: the index is an older one; restore the one that belongs to it, \
                 or make it anew (`store rebuild --force`)",
                path.display()
            )));
        }
    }
    for path in strays {
        warn!("{} holds nothing that was promised to anybody (a crash left it): removed", path.display());
        shared.disk.remove(&path).map_err(OpenError::io(path))?;
    }
    for row in known {
        require_segment(shared, row)?;
    }
    Ok(())
}

/// Whether a segment was written into after the index's last moment. A crash leaves no such thing: it is entered before it is used.
fn is_younger_than(shared: &Shared, conn: &rusqlite::Connection, path: &Path) -> Result<bool, OpenError> {
    let Some(segment) = segment_number(path).filter(|segment| *segment >= index::next_segment(conn).unwrap_or(0))
    else {
        return Ok(false);
    };
    let file = shared.segments.open(segment).map_err(OpenError::io(path))?;
    let is_used = segment::is_used(segment, &file);
    shared.segments.forget(segment);
    Ok(is_used)
}

/// A segment that is gone or too short is mail lost: not to be passed over in silence.
fn require_segment(shared: &Shared, row: index::SegmentRow) -> Result<(), OpenError> {
    let path = segment::segment_path(&shared.seg_dir(), row.segment);
    let length = match std::fs::metadata(&path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(OpenError::Io { path, source: error }),
    };
    if length < row.committed_len {
        return Err(OpenError::Damaged(format!(
            "{} should have {} octets and has {length}: restore it, or let a repair name the mail that is lost",
            path.display(),
            row.committed_len
        )));
    }
    Ok(())
}

fn files_in(dir: &Path) -> Result<Vec<PathBuf>, OpenError> {
    let entries = std::fs::read_dir(dir).map_err(OpenError::io(dir))?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(OpenError::io(dir))).collect()
}

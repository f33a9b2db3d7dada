//! The house as the desks see it: the store, the directory, our judgement, and what sessions share.
//!
//! Invariants: the directory is an unchanging snapshot, swapped as a whole; a maildrop has one holder at a time.
//! Not here: what a session asks (desks), how it is asked (net).

use crate::admin::LastUses;
use crate::ban_book;
use crate::hooks::Hooks;
use crate::judgement::Judgement;
use crate::sessions::Sessions;
use crate::settings::{DirectorySettings, Settings};
use crate::spaces::{SeedError, Spaces};
use crate::throttles::Throttles;
use crate::transfer_log::TransferLog;
use crate::url_keys::UrlKeys;
use directory::{Directory, Doorkeeper, InstallationSecret};
use message::address::Domain;
use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use store::{AccountId, Commit, Op, Store};
use tokio::sync::{Notify, Semaphore};
use tracing::warn;

/// Tells the time: seconds since 1970.
pub type Clock = fn() -> i64;

/// The kind of the entry that holds the installation's secret.
const SECRET_KIND: &str = "secret";
/// Its key.
const SECRET_KEY: &str = "installation";

/// How long a login waits for a maildrop that another session has.
const MAILDROP_WAIT: Duration = Duration::from_secs(1);

/// Why the house could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum HouseError {
    /// The store.
    #[error(transparent)]
    Open(#[from] store::OpenError),
    /// Something could not be read from it.
    #[error("the store: {0}")]
    Read(#[from] store::ReadError),
    /// Something could not be written to it.
    #[error("the store: {0}")]
    Commit(#[from] store::CommitError),
    /// A record of the directory cannot be used.
    #[error(transparent)]
    Directory(#[from] directory::BuildError),
    /// Files could not be laid out.
    #[error("the first files: {0}")]
    Seed(#[from] SeedError),
    /// The transfer log has no thread to write it.
    #[error("a thread for the transfer log: {0}")]
    Thread(std::io::Error),
    /// A change of the directory is not allowed.
    #[error("{0}")]
    Refused(String),
    /// The host's name is none.
    #[error("{0} is not the name of a host")]
    HostName(String),
}

/// What all sessions share.
pub struct House {
    /// What is kept.
    pub store: Store,
    /// All files.
    pub spaces: Spaces,
    /// How fast they may travel.
    pub throttles: Throttles,
    /// Who was here lately with the right password.
    pub doorkeeper: Doorkeeper,
    /// Leave to hash a password: as many at once as there are processors.
    pub hashing: Semaphore,
    /// How often is too often.
    pub judgement: Arc<Judgement>,
    /// Who is here.
    pub sessions: Arc<Sessions>,
    /// When app passwords were used.
    pub app_password_uses: LastUses,
    /// Keys of URLs that are made and changed.
    pub url_keys: UrlKeys,
    /// The lines of transfers.
    pub transfer_log: TransferLog,
    /// What others still must be told.
    pub hooks: Hooks,
    directory: RwLock<Arc<Directory>>,
    settings: RwLock<Arc<Settings>>,
    secret: InstallationSecret,
    host: Domain,
    clock: Clock,
    maildrops: Mutex<HashSet<AccountId>>,
    maildrop_freed: Notify,
    /// Chance at the start, counted up: names of sessions never come twice.
    names: AtomicU64,
}

impl House {
    /// Opens the store and reads the directory. Blocks.
    ///
    /// # Errors
    /// Says what could not be opened or read.
    pub async fn open(settings: Settings) -> Result<Arc<House>, HouseError> {
        House::open_with(settings, unix_now).await
    }

    /// The same, with a clock of one's own: its time is the time of all mail.
    ///
    /// # Errors
    /// Says what could not be opened or read.
    pub async fn open_with(settings: Settings, clock: Clock) -> Result<Arc<House>, HouseError> {
        let host = Domain::parse(&settings.host_name).map_err(|_| HouseError::HostName(settings.host_name.clone()))?;
        let store = Store::open(&settings.data_dir, store::Options { clock, ..store::Options::default() })?;
        let secret = installation_secret(&store).await?;
        crate::admin::ensure_people(&store, settings.people, &secret).await?;
        let directory = read_directory(&store, &settings.directory, &secret)?;
        let spaces = Spaces::new(&settings.data_dir, settings.ftp.syncs);
        for person in settings.people {
            if let Some(account) = directory.account_named(person.address) {
                spaces.seed(AccountId(account.id), person.files)?;
            }
        }
        let (judgement, now) = (Judgement::new(&settings), Instant::now());
        ban_book::read(&store, now, clock())?.into_iter().for_each(|ban| judgement.restore(ban, now));
        let transfer_log = TransferLog::open(settings.ftp.transfer_log.clone()).map_err(HouseError::Thread)?;
        let hooks = Hooks::open(store.clone())?;
        for space in &settings.files.spaces {
            spaces.seed_shared(space)?;
        }
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Arc::new(House {
            store,
            spaces,
            throttles: Throttles::default(),
            doorkeeper: Doorkeeper::new(directory::Memory::default()),
            hashing: Semaphore::new(processors),
            judgement: Arc::new(judgement),
            sessions: Arc::default(),
            app_password_uses: LastUses::default(),
            hooks,
            url_keys: UrlKeys::default(),
            transfer_log,
            directory: RwLock::new(Arc::new(directory)),
            settings: RwLock::new(Arc::new(settings)),
            secret,
            host,
            clock,
            maildrops: Mutex::default(),
            maildrop_freed: Notify::new(),
            names: AtomicU64::new(u64::from_le_bytes(chance())),
        }))
    }

    /// The directory as it is now.
    pub fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the directory anew, after a change.
    ///
    /// # Errors
    /// When a record cannot be used; the old directory holds.
    pub fn reread_directory(&self) -> Result<(), HouseError> {
        let directory = read_directory(&self.store, &self.settings().directory, &self.secret)?;
        *self.directory.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(directory);
        Ok(())
    }

    /// The settings that hold now.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes new settings, for what begins from now on.
    pub fn change_settings(&self, settings: Settings) {
        self.judgement.change_settings(&settings);
        self.transfer_log.reopen(settings.ftp.transfer_log.clone());
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    /// Seconds since 1970.
    pub fn now(&self) -> i64 {
        (self.clock)()
    }

    /// Our own name.
    pub fn host(&self) -> &Domain {
        &self.host
    }

    /// A name for a new session.
    pub fn name_session(&self) -> SessionId {
        SessionId(self.names.fetch_add(1, Ordering::Relaxed))
    }

    /// 128 bits of chance.
    pub fn chance_u128(&self) -> u128 {
        u128::from_le_bytes(chance())
    }

    /// Opens an account's maildrop for one session, unless another has it and keeps it for a second: who
    /// comes back at once may be ahead of the end of his own last session.
    pub async fn lock_maildrop(self: &Arc<Self>, account: AccountId) -> Option<MaildropLock> {
        let end = tokio::time::Instant::now() + MAILDROP_WAIT;
        loop {
            let freed = self.maildrop_freed.notified();
            if self.maildrops.lock().unwrap_or_else(PoisonError::into_inner).insert(account) {
                return Some(MaildropLock { house: Arc::clone(self), account });
            }
            if tokio::time::timeout_at(end, freed).await.is_err() {
                return None;
            }
        }
    }

    /// Keeps a ban over restarts, soon: whoever has earned it need not be waited for.
    pub fn keep_ban(self: &Arc<Self>, ban: &policy::Ban) {
        let keeping = self.store.commit(Commit::of(vec![ban_book::keep(ban, Instant::now(), self.now())]));
        tokio::spawn(async move {
            if let Err(error) = keeping.await {
                warn!(%error, "a ban could not be kept for the next start");
            }
        });
    }

    /// Whether an account holds as much as it may.
    pub fn is_full(&self, account: i64) -> bool {
        let directory = self.directory();
        let Some(quota) = directory.account(account).map(|account| account.record.quota) else { return false };
        if quota == directory::Quota::default() {
            return false;
        }
        let Ok(usage) = self.store.holding(AccountId(account)) else { return false };
        quota.bytes.is_some_and(|most| usage.octets >= most)
            || quota.messages.is_some_and(|most| usage.messages >= most)
    }

    /// When a mail that is queued now is given up.
    pub fn expires(&self, kind: policy::Kind, now: i64) -> i64 {
        self.settings().queue.schedule.expires_at(kind, now)
    }
}

/// An open maildrop; given back when dropped.
pub struct MaildropLock {
    house: Arc<House>,
    account: AccountId,
}

impl Drop for MaildropLock {
    fn drop(&mut self) {
        self.house.maildrops.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.account);
        self.house.maildrop_freed.notify_waiters();
    }
}

/// A session's name in logs and trace fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    /// In base 32 without letters that look alike: short enough to be read out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        const LENGTH: u32 = 8;
        (0..LENGTH).rev().try_for_each(|place| {
            let digit = DIGITS[(self.0 >> (place * 5) & 31) as usize];
            f.write_str(char::from(digit).encode_utf8(&mut [0; 4]))
        })
    }
}

/// Seconds since 1970.
pub fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Octets of chance.
pub fn chance<const N: usize>() -> [u8; N] {
    let mut octets = [0; N];
    // RFC 4086 §7: a system without chance is no system to run a server on.
    aws_lc_rs::rand::fill(&mut octets).expect("the system gives random octets");
    octets
}

/// The directory from the store's records. Blocks.
///
/// # Errors
/// When they cannot be read, or one of them cannot be used.
pub fn read_directory(
    store: &Store,
    ours: &DirectorySettings,
    secret: &InstallationSecret,
) -> Result<Directory, HouseError> {
    let (directory, faults) = read_usable_directory(store, ours, secret)?;
    faults.into_iter().next().map_or(Ok(directory), |fault| Err(fault.into()))
}

/// The same of whatever can be used, and what is wrong with the rest. Blocks.
///
/// # Errors
/// When the records cannot be read at all.
pub fn read_usable_directory(
    store: &Store,
    ours: &DirectorySettings,
    secret: &InstallationSecret,
) -> Result<(Directory, Vec<directory::BuildError>), HouseError> {
    let accounts = store.accounts()?.into_iter();
    let accounts = accounts.map(|row| directory::AccountRow { id: row.id.0, name: row.name, record: row.record });
    let entries = |kind| -> Result<Vec<directory::Entry>, HouseError> {
        let entries = store.entries(kind)?.into_iter();
        Ok(entries.map(|(key, value)| directory::Entry { key, value }).collect())
    };
    let settings = directory::Settings {
        separator: ours.separator,
        postmaster: ours.postmaster.clone(),
        catch_all: ours.catch_all.clone(),
        default_domain: ours.default_domain.clone(),
        secret: secret.clone(),
    };
    let (domains, aliases) = (entries(directory::DOMAIN_KIND)?, entries(directory::ALIAS_KIND)?);
    Ok(Directory::build_of_the_usable(accounts, domains, aliases, settings))
}

/// The secret of this installation, made when it is first needed.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn installation_secret(store: &Store) -> Result<InstallationSecret, HouseError> {
    let kept = store.entries(SECRET_KIND)?.into_iter().find(|(key, _)| key == SECRET_KEY);
    let octets = kept.and_then(|(_, hex)| {
        (0..32).map(|at| u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok()).collect::<Option<Vec<u8>>>()
    });
    if let Some(octets) = octets.and_then(|octets| <[u8; 32]>::try_from(octets).ok()) {
        return Ok(InstallationSecret::new(octets));
    }
    let secret = InstallationSecret::generate();
    let value = secret.reveal().iter().map(|octet| format!("{octet:02x}")).collect();
    let op = Op::PutEntry { kind: SECRET_KIND.into(), key: SECRET_KEY.into(), value };
    store.commit(Commit::of(vec![op])).await?;
    Ok(secret)
}

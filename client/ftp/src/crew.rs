//! Several connections that work off one list.
//!
//! Invariants: a task that fails for a reason that may pass is tried again, a few times and later each time; a server that has
//! no room for another connection gets fewer; what cannot be done does not keep the rest from being done.
//! Not here: what the tasks are (mirror, and whoever asks).

use crate::connection::Connection;
use crate::error::Error;
use crate::mirror::Report;
use crate::site::Site;
use futures_util::future::join_all;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How often something is tried again.
const RETRIES: u32 = 3;

/// How long we wait before that, the first time; twice as long each time after.
const PAUSE: Duration = Duration::from_secs(1);

/// What happens, for whoever shows it. Names are those of the wire, or of the disk where something happens there: who shows them
/// to people uses [`shown`](crate::directory::shown).
#[derive(Debug)]
pub enum Event<'a> {
    /// So much more is to move than was known.
    Found {
        /// How many files.
        files: u64,
        /// How long they are, as far as is known.
        octets: u64,
    },
    /// A file begins to move.
    Begun {
        /// Its name.
        name: &'a [u8],
        /// How long it is.
        octets: Option<u64>,
    },
    /// So many octets of it have moved.
    Moved {
        /// Its name.
        name: &'a [u8],
        /// How many.
        octets: u64,
    },
    /// It is done.
    Done {
        /// Its name.
        name: &'a [u8],
        /// How long it is.
        octets: u64,
    },
    /// It is not looked into.
    PassedOver {
        /// Its name.
        name: &'a [u8],
        /// Why, for people.
        why: &'a str,
    },
    /// The server does not let us change its mode. What else is refused so is not told.
    ModeRefused {
        /// Its name.
        name: &'a [u8],
        /// Why.
        error: &'a Error,
    },
    /// A directory was made.
    Made {
        /// Its name.
        name: &'a [u8],
    },
    /// A link was made.
    Linked {
        /// Its name.
        name: &'a [u8],
    },
    /// Something has another name.
    Renamed {
        /// What it was called.
        name: &'a [u8],
        /// What it is called now.
        to: &'a [u8],
    },
    /// A file, a link or a directory was removed.
    Removed {
        /// Its name.
        name: &'a [u8],
    },
    /// It will be tried again.
    Again {
        /// Its name.
        name: &'a [u8],
        /// Why.
        error: &'a Error,
    },
    /// It will not be done.
    Failed {
        /// Its name.
        name: &'a [u8],
        /// Why.
        error: &'a Error,
    },
}

/// Hears of what happens.
pub type Watcher = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

/// Several connections to one server.
#[derive(Clone)]
pub struct Crew {
    site: Arc<Site>,
    hands: usize,
    watcher: Watcher,
    spare: Arc<Mutex<Spare>>,
    /// Connections of its own that nobody uses just now.
    idle: Arc<Mutex<Vec<Connection>>>,
    /// Whether it was told that modes are refused.
    modes_refused: Arc<AtomicBool>,
}

/// A connection that somebody else has made, and wants to have again.
#[derive(Debug, Default)]
enum Spare {
    #[default]
    None,
    Lent(Box<Connection>),
    Wanted,
}

/// A task for the crew.
pub(crate) trait Task: Send {
    /// The path that it is about.
    fn name(&self) -> &[u8];

    /// It will not be done. Says whether that is news: a file of several tasks fails once.
    fn fail(&self) -> bool {
        true
    }
}

/// Those that are not made before it is their turn: a list of a million is long.
type Later<'a, T> = Box<dyn Iterator<Item = T> + Send + 'a>;

/// A list of tasks, some of which may bring others.
pub(crate) struct Tasks<'a, T> {
    waiting: Mutex<(VecDeque<T>, Later<'a, T>)>,
    /// How many are waiting or being done.
    open: AtomicUsize,
    /// Those that are waiting wait for another time.
    paused: AtomicBool,
    changed: Notify,
}

impl<'a, T: Send + 'a> Tasks<'a, T> {
    pub(crate) fn new(task: T) -> Self {
        Tasks::lazy(std::iter::once(task), 1)
    }

    /// So many, which are not made before it is their turn.
    pub(crate) fn lazy(tasks: impl Iterator<Item = T> + Send + 'a, count: usize) -> Self {
        let waiting = Mutex::new((VecDeque::new(), Box::new(tasks) as Later<'a, T>));
        Tasks { open: AtomicUsize::new(count), waiting, paused: AtomicBool::new(false), changed: Notify::new() }
    }

    fn waiting(&self) -> MutexGuard<'_, (VecDeque<T>, Later<'a, T>)> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, task: T) {
        self.open.fetch_add(1, Ordering::SeqCst);
        self.give_back(task);
    }

    /// Adds one that comes before the others.
    pub(crate) fn add_next(&self, task: T) {
        self.open.fetch_add(1, Ordering::SeqCst);
        self.waiting().0.push_front(task);
        self.changed.notify_one();
    }

    /// Nobody begins another one until [`go_on`](Self::go_on) is said.
    pub(crate) fn pause(&self) {
        self.paused.store(true, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    pub(crate) fn go_on(&self) {
        self.paused.store(false, Ordering::SeqCst);
    }

    fn give_back(&self, task: T) {
        self.waiting().0.push_back(task);
        self.changed.notify_one();
    }

    /// How many are waiting or being done.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    fn take(&self) -> Option<T> {
        let (first, later) = &mut *self.waiting();
        first.pop_front().or_else(|| later.next())
    }

    fn done(&self) {
        if self.open.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.changed.notify_waiters();
        }
    }

    /// The next one; nothing when all are done, or in a pause.
    async fn next(&self) -> Option<T> {
        loop {
            // Asked for before we look, so that nothing that comes between is missed.
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.paused.load(Ordering::SeqCst) {
                return None;
            }
            if let Some(task) = self.take() {
                return Some(task);
            }
            if self.open.load(Ordering::SeqCst) == 0 {
                return None;
            }
            changed.await;
        }
    }
}

impl Crew {
    /// So many connections at most.
    pub fn new(site: Site, hands: usize, watcher: Watcher) -> Self {
        let site = Site { data_next: true, ..site };
        Crew {
            site: Arc::new(site),
            hands: hands.max(1),
            watcher,
            spare: Arc::default(),
            idle: Arc::default(),
            modes_refused: Arc::default(),
        }
    }

    /// Lends it a connection to the same site, which saves a login.
    pub fn lend(&self, connection: Connection) {
        *self.spare() = Spare::Lent(Box::new(connection));
    }

    /// Asks for the connection back, or for another one that is not needed any more.
    pub fn give_back(&self) -> Option<Connection> {
        match std::mem::take(&mut *self.spare()) {
            Spare::Lent(connection) => Some(*connection),
            Spare::None | Spare::Wanted => None,
        }
    }

    fn spare(&self) -> MutexGuard<'_, Spare> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn borrowed(&self) -> Option<Connection> {
        let mut spare = self.spare();
        match std::mem::replace(&mut *spare, Spare::Wanted) {
            Spare::Lent(connection) if connection.is_open() => Some(*connection),
            Spare::None => {
                *spare = Spare::None;
                None
            }
            Spare::Lent(_) | Spare::Wanted => None,
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection: the lent one, one that nobody uses just now, or a new one.
    pub(crate) async fn take(&self) -> Result<Connection, Error> {
        if let Some(connection) = self.borrowed() {
            return Ok(connection);
        }
        let idle = self.idle().pop();
        match idle {
            Some(connection) if connection.is_open() && !connection.is_worn() => Ok(connection),
            _ => Connection::open(&self.site).await,
        }
    }

    /// Who needs a connection no more lets whoever lent one have it, or keeps it for the next.
    pub(crate) fn put(&self, mut connection: Connection) {
        if !connection.is_open() {
            return;
        }
        connection.more = false;
        let mut spare = self.spare();
        if matches!(*spare, Spare::Wanted) {
            *spare = Spare::Lent(Box::new(connection));
        } else {
            self.idle().push(connection);
        }
    }

    /// There is nothing more to do for now: its own connections are closed.
    pub(crate) async fn rest(&self) {
        let idle = std::mem::take(&mut *self.idle());
        join_all(idle.into_iter().map(Connection::quit)).await;
    }

    /// Where it works.
    pub fn site(&self) -> &Site {
        &self.site
    }

    pub(crate) fn hands(&self) -> usize {
        self.hands
    }

    pub(crate) fn tell(&self, event: &Event<'_>) {
        (self.watcher)(event);
    }

    /// Whether nothing has been told yet of modes that are refused.
    pub(crate) fn is_first_refused_mode(&self) -> bool {
        !self.modes_refused.swap(true, Ordering::Relaxed)
    }

    /// What hears of the stretches of one file.
    pub(crate) fn heard(&self, name: Vec<u8>) -> Option<Arc<dyn Fn(u64) + Send + Sync>> {
        let watcher = self.watcher.clone();
        Some(Arc::new(move |octets| watcher(&Event::Moved { name: &name, octets })))
    }

    /// Works off the list. Says how many tasks were not done; each has been told to the watcher.
    ///
    /// # Errors
    /// When there is no connection at all.
    pub(crate) async fn work<'t, T: Task + 't>(
        &self,
        tasks: &Tasks<'t, T>,
        task: impl AsyncFn(&mut Connection, &T) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        let first = self.take().await?;
        let failed = AtomicUsize::new(0);
        let present = AtomicUsize::new(1);
        let mut first = Some(first);
        // Who finds nothing to do never connects.
        let workers = (0..self.hands).map(|_| {
            let connection = first.take();
            Worker { crew: self, tasks, connection, present: &present, failed: &failed }.run(&task)
        });
        join_all(workers).await;
        Ok(failed.into_inner() as u64)
    }
}

struct Worker<'a, 'b, T> {
    crew: &'a Crew,
    tasks: &'a Tasks<'b, T>,
    connection: Option<Connection>,
    /// How many have a connection.
    present: &'a AtomicUsize,
    failed: &'a AtomicUsize,
}

impl<'b, T: Task + 'b> Worker<'_, 'b, T> {
    async fn run(mut self, task: &impl AsyncFn(&mut Connection, &T) -> Result<(), Error>) {
        while let Some(next) = self.tasks.next().await {
            match self.try_often(&next, task).await {
                Ok(()) => self.tasks.done(),
                // Others are there to do it.
                Err(error) if error.is_crowded() && self.present.load(Ordering::SeqCst) > 0 => {
                    self.tasks.give_back(next);
                    return;
                }
                Err(error) => {
                    if next.fail() {
                        self.failed.fetch_add(1, Ordering::SeqCst);
                        self.crew.tell(&Event::Failed { name: next.name(), error: &error });
                    }
                    self.tasks.done();
                }
            }
        }
        if let Some(connection) = self.connection.take() {
            self.crew.put(connection);
        }
    }

    async fn try_often(
        &mut self,
        next: &T,
        task: &impl AsyncFn(&mut Connection, &T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut tried = 0;
        loop {
            let error = match self.try_once(next, task).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if error.is_crowded() && self.present.load(Ordering::SeqCst) > 0
                || !error.is_transient()
                || tried == RETRIES
            {
                return Err(error);
            }
            self.crew.tell(&Event::Again { name: next.name(), error: &error });
            tokio::time::sleep(PAUSE * 2_u32.pow(tried)).await;
            tried += 1;
        }
    }

    async fn try_once(
        &mut self,
        next: &T,
        task: &impl AsyncFn(&mut Connection, &T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.connection.as_ref().is_some_and(Connection::is_worn)
            && let Some(worn) = self.connection.take()
        {
            self.present.fetch_sub(1, Ordering::SeqCst);
            worn.quit().await;
        }
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let connection = self.crew.take().await?;
                self.present.fetch_add(1, Ordering::SeqCst);
                connection
            }
        };
        // Each of the others has one; what is more is for whoever is done first.
        connection.more = self.tasks.open() > self.crew.hands;
        let done = task(&mut connection, next).await;
        // A broken transfer may have left the connection without step; a new one costs less than to find out.
        if done.as_ref().is_err_and(Error::is_fatal) || !connection.is_open() {
            self.present.fetch_sub(1, Ordering::SeqCst);
        } else {
            self.connection = Some(connection);
        }
        done
    }
}

/// Connections to a second server, for whoever of the crew needs one.
pub(crate) struct Pool<'a> {
    site: &'a Site,
    idle: Mutex<Vec<Connection>>,
}

impl<'a> Pool<'a> {
    pub(crate) fn new(site: &'a Site) -> Self {
        Pool { site, idle: Mutex::default() }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn take(&self) -> Result<Connection, Error> {
        let idle = self.idle().pop();
        match idle {
            Some(connection) if connection.is_open() && !connection.is_worn() => Ok(connection),
            _ => Connection::open(self.site).await,
        }
    }

    pub(crate) fn put(&self, connection: Connection) {
        if connection.is_open() {
            self.idle().push(connection);
        }
    }

    pub(crate) async fn close(self) {
        let idle = std::mem::take(&mut *self.idle());
        join_all(idle.into_iter().map(Connection::quit)).await;
    }
}

/// What was done so far.
#[derive(Default)]
pub(crate) struct Sum {
    files: AtomicU64,
    octets: AtomicU64,
}

impl Sum {
    pub(crate) fn add(&self, octets: u64) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.octets.fetch_add(octets, Ordering::Relaxed);
    }

    pub(crate) fn report(self, failed: u64) -> Report {
        Report { moved: self.files.into_inner(), octets: self.octets.into_inner(), failed, ..Report::default() }
    }
}

/// A file to be moved.
#[derive(Debug, Clone, Default)]
pub(crate) struct Move {
    pub(crate) remote: Vec<u8>,
    pub(crate) local: PathBuf,
    pub(crate) size: Option<u64>,
    pub(crate) time: Option<ftp::Moment>,
    pub(crate) mode: Option<u32>,
}

impl Task for Move {
    fn name(&self) -> &[u8] {
        &self.remote
    }
}

//! The text index: which messages cannot have a text in them, so that nobody has to look.
//!
//! ```text
//! <dir>/search.db    for each body that was searched once: its trigrams (SQLite, FTS5), nothing else
//!
//! search ─looked into a body that is not here→ wanted ─(thread store-search)→ indexed      search ─→ absent: need not be opened
//! ```
//!
//! It is filled by searching: who never searches pays nothing, no delivery waits for it, and a new message is looked into once.
//! It may be deleted at any time. What it says is "not there"; that something is there, only the message says.
//!
//! Invariants: a body that is not indexed is never said to be without a text; a body and its trigrams are entered together; numbers of
//! bodies that a restored store will give again are forgotten at opening.
//! Not here: what a text is (message's find), when it is asked (search).

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use message::find::{Pattern, each_text};
use message::outline::Outline;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use tracing::warn;

use crate::error::ReadError;
use crate::essence::fetch;
use crate::names::BodyId;
use crate::read;
use crate::{Shared, TEXTS, privacy};

/// "PBSE"
const APPLICATION_ID: i32 = 0x5042_5345;

/// A database of another version is made anew.
const VERSION: u32 = 1;

/// How many bodies may wait to be indexed; more are left for the next search.
const WAITING_MAX: usize = 100_000;

/// How many bodies are entered together.
const BATCH: usize = 64;

/// The longest text that is indexed, in octets: longer messages are looked into each time. Few are text to that extent.
const TEXT_MAX: usize = 1024 * 1024;

/// After so many new bodies, those that are gone are looked for.
const SWEEP_EVERY: usize = 5_000;

/// How much the thread that fills the index stands back behind others.
const NICENESS: i32 = 10;

/// How many trigrams of a pattern are asked for: more hardly narrow it down.
const GRAMS_MAX: usize = 16;

/// How many bodies one question gives at most; a text that is nearly everywhere needs no index.
const CANDIDATES_MAX: usize = 1_000_000;

/// The text index of a store.
pub(crate) struct Texts {
    shared: Arc<Shared>,
    path: PathBuf,
    working: Mutex<Option<Working>>,
}

struct Working {
    wanted: SyncSender<BodyId>,
    thread: JoinHandle<()>,
}

/// What the index knows about some texts in a range of bodies.
#[derive(Debug)]
pub(crate) struct Narrowed {
    indexed: HashSet<i64>,
    /// For each text the bodies that may have it, ascending; `None` where nothing can be said.
    candidates: Vec<Option<Vec<i64>>>,
}

impl Narrowed {
    /// Whether the body has been indexed.
    pub(crate) fn knows(&self, body: BodyId) -> bool {
        self.indexed.contains(&body.0)
    }

    /// Whether the text of that number is surely not in the body.
    pub(crate) fn is_absent(&self, text: usize, body: BodyId) -> bool {
        let Some(Some(candidates)) = self.candidates.get(text) else { return false };
        self.knows(body) && candidates.binary_search(&body.0).is_err()
    }
}

impl Texts {
    /// Forgets what is left of a store that has gone back in time.
    pub(crate) fn new(shared: Arc<Shared>, next_body: i64) -> Texts {
        let path = shared.dir.join(TEXTS);
        if path.exists() && !is_of_the_past(&path, next_body) {
            remove(&path);
        }
        Texts { shared, path, working: Mutex::new(None) }
    }

    /// Says what is known of texts in bodies of that range; `None` if nothing is.
    pub(crate) fn narrow(&self, patterns: &[&Pattern], bodies: RangeInclusive<i64>) -> Option<Narrowed> {
        if !self.path.exists() {
            return None;
        }
        match self.try_narrow(patterns, &bodies) {
            Ok(narrowed) => Some(narrowed),
            Err(error) => {
                warn!("the text index in {} is of no use: {error}", self.path.display());
                None
            }
        }
    }

    fn try_narrow(&self, patterns: &[&Pattern], bodies: &RangeInclusive<i64>) -> rusqlite::Result<Narrowed> {
        let mut conn = Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let moment = conn.transaction()?;
        let mut select = moment.prepare("SELECT body FROM indexed WHERE body BETWEEN ?1 AND ?2 AND whole")?;
        let indexed = select
            .query_map(params![bodies.start(), bodies.end()], |row| row.get(0))?
            .collect::<rusqlite::Result<HashSet<i64>>>()?;
        let mut candidates = Vec::with_capacity(patterns.len());
        for pattern in patterns {
            candidates.push(match question(pattern) {
                Some(question) if !indexed.is_empty() => ask(&moment, &question, bodies)?,
                _ => None,
            });
        }
        Ok(Narrowed { indexed, candidates })
    }

    /// This body was looked into: the next search shall have it easier, if there is time.
    pub(crate) fn want(&self, body: BodyId) {
        let mut working = self.working.lock().unwrap_or_else(PoisonError::into_inner);
        if working.is_none() && !self.shared.is_closing() {
            *working = self.start();
        }
        if let Some(working) = &*working {
            let _ = working.wanted.try_send(body);
        }
    }

    fn start(&self) -> Option<Working> {
        let (wanted, queue) = sync_channel(WAITING_MAX);
        let (shared, path) = (Arc::clone(&self.shared), self.path.clone());
        let run = move || {
            if let Err(error) = (Indexer { shared, conn: None, path, since_sweep: 0 }).run(&queue) {
                warn!("the text index stops: {error}");
            }
        };
        let thread = std::thread::Builder::new().name("store-search".into()).spawn(run);
        thread.ok().map(|thread| Working { wanted, thread })
    }

    /// Ends the thread; what waits is left for another time. The store must be closing.
    pub(crate) fn close(&self) {
        let working = self.working.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Working { wanted, thread }) = working {
            drop(wanted);
            let _ = thread.join();
        }
    }

    /// Waits until everything that is wanted has been indexed.
    #[cfg(test)]
    pub(crate) fn settle(&self) {
        let working = self.working.lock().unwrap().take();
        if let Some(Working { wanted, thread }) = working {
            drop(wanted);
            thread.join().unwrap();
        }
    }
}

/// Whether every body in the index is one that the store has given out.
fn is_of_the_past(path: &Path, next_body: i64) -> bool {
    let highest = || {
        let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        conn.query_row("SELECT ifnull(max(body), 0) FROM indexed", [], |row| row.get::<_, i64>(0))
    };
    highest().is_ok_and(|highest| highest < next_body)
}

fn remove(path: &Path) {
    for end in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        let _ = std::fs::remove_file(name);
    }
}

/// What to ask for a pattern: some of its trigrams. Shorter patterns may be anywhere.
fn question(pattern: &Pattern) -> Option<String> {
    let letters: Vec<char> = pattern.folded().chars().collect();
    let grams: Vec<String> = letters.windows(3).map(|gram| gram.iter().collect()).collect();
    let step = grams.len().div_ceil(GRAMS_MAX).max(1);
    let quoted: Vec<String> =
        grams.iter().step_by(step).map(|gram| format!("\"{}\"", gram.replace('"', "\"\""))).collect();
    (!quoted.is_empty()).then(|| quoted.join(" AND "))
}

fn ask(conn: &Connection, question: &str, bodies: &RangeInclusive<i64>) -> rusqlite::Result<Option<Vec<i64>>> {
    let mut select = conn
        .prepare("SELECT rowid FROM texts WHERE texts MATCH ?1 AND rowid BETWEEN ?2 AND ?3 ORDER BY rowid LIMIT ?4")?;
    let limit = CANDIDATES_MAX as i64 + 1;
    let found = select
        .query_map(params![question, bodies.start(), bodies.end(), limit], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    Ok((found.len() <= CANDIDATES_MAX).then_some(found))
}

/// The thread that fills the index.
struct Indexer {
    shared: Arc<Shared>,
    conn: Option<Connection>,
    path: PathBuf,
    since_sweep: usize,
}

impl Indexer {
    fn run(mut self, queue: &Receiver<BodyId>) -> Result<(), ReadError> {
        // Of this thread alone: deliveries and readers go first. Where it may not be, it is as fast as others.
        let _ = rustix::process::setpriority_process(None, NICENESS);
        while let Ok(body) = queue.recv() {
            let mut batch = vec![body];
            batch.extend(queue.try_iter().take(BATCH - 1));
            if self.shared.is_closing() {
                return Ok(());
            }
            let mut conn = match self.conn.take() {
                Some(conn) => conn,
                None => {
                    let conn = open(&self.path)?;
                    self.sweep(&conn)?;
                    conn
                }
            };
            self.enter(&mut conn, &batch)?;
            self.since_sweep += batch.len();
            if self.since_sweep >= SWEEP_EVERY {
                self.sweep(&conn)?;
            }
            self.conn = Some(conn);
        }
        Ok(())
    }

    fn enter(&self, conn: &mut Connection, batch: &[BodyId]) -> Result<(), ReadError> {
        let transaction = conn.transaction()?;
        for body in batch {
            if self.shared.is_closing() {
                break;
            }
            if transaction.prepare_cached("SELECT 1 FROM indexed WHERE body = ?1")?.exists(params![body.0])? {
                continue;
            }
            let text = match self.text_of(*body) {
                Ok(text) => text,
                // Expunged, or damaged: then it is for a search to say so.
                Err(ReadError::NotFound | ReadError::Io(_)) => continue,
                Err(error) => return Err(error),
            };
            if let Some(text) = &text {
                transaction
                    .prepare_cached("INSERT INTO texts (rowid, text) VALUES (?1, ?2)")?
                    .execute(params![body.0, text])?;
            }
            transaction
                .prepare_cached("INSERT INTO indexed (body, whole) VALUES (?1, ?2)")?
                .execute(params![body.0, text.is_some()])?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// What can be found in a body; `None` if it is too much.
    fn text_of(&self, body: BodyId) -> Result<Option<String>, ReadError> {
        let (reader, outline) = read::open_body(&self.shared, body)?;
        let outline = match outline.as_deref().and_then(Outline::decode) {
            Some(outline) => outline,
            None => crate::essence::Essence::read(|at, buf| reader.read(at, buf))?.1,
        };
        // Behind a prefix it is another message than alone (see `read::list`).
        if !outline.front.has_header {
            return Ok(None);
        }
        let mut text = String::new();
        let fetch = |range| fetch(range, |at, buf| reader.read(at, buf));
        each_text(&outline.tree, fetch, |piece| {
            text.push_str(piece);
            text.len() <= TEXT_MAX
        })?;
        // The tokenizer would end at a NUL, which nobody can look for.
        Ok((text.len() <= TEXT_MAX).then(|| text.replace('\0', " ")))
    }

    /// Forgets bodies that are gone.
    fn sweep(&mut self, conn: &Connection) -> Result<(), ReadError> {
        self.since_sweep = 0;
        let mut after = 0_i64;
        loop {
            let mut select =
                conn.prepare_cached("SELECT body FROM indexed WHERE body > ?1 ORDER BY body LIMIT 1000")?;
            let bodies = select.query_map(params![after], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
            let Some(last) = bodies.last() else { return Ok(()) };
            after = *last;
            let gone = self.shared.readers.with(|store| {
                let mut exists = store.prepare_cached("SELECT 1 FROM bodies WHERE id = ?1")?;
                let mut gone = Vec::new();
                for body in bodies {
                    if !exists.exists(params![body])? {
                        gone.push(body);
                    }
                }
                Ok(gone)
            })?;
            for body in gone {
                conn.prepare_cached("DELETE FROM texts WHERE rowid = ?1")?.execute(params![body])?;
                conn.prepare_cached("DELETE FROM indexed WHERE body = ?1")?.execute(params![body])?;
            }
        }
    }
}

/// Opens the database for writing; one that is damaged, or of another version, is made anew.
fn open(path: &Path) -> Result<Connection, ReadError> {
    match try_open(path) {
        Ok(Some(conn)) => Ok(conn),
        Ok(None) | Err(_) => {
            remove(path);
            try_open(path)?.ok_or(ReadError::NotFound)
        }
    }
}

fn try_open(path: &Path) -> rusqlite::Result<Option<Connection>> {
    // Where it cannot be made SQLite says why.
    let _ = privacy::make_file(path);
    let conn = Connection::open(path)?;
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // A power cut may take the last entries along, and they will be made again.
    conn.pragma_update(None, "synchronous", "NORMAL")?;
    let version: u32 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: Option<i64> = conn.query_row("SELECT 1 FROM sqlite_schema LIMIT 1", [], |row| row.get(0)).optional()?;
    match (version, tables) {
        (VERSION, Some(_)) => Ok(Some(conn)),
        (_, Some(_)) => Ok(None),
        (_, None) => {
            conn.execute_batch(
                "BEGIN; \
                 CREATE VIRTUAL TABLE texts USING fts5 (text, content='', contentless_delete=1, detail=none, \
                     tokenize='trigram case_sensitive 1'); \
                 CREATE TABLE indexed (body INTEGER PRIMARY KEY, whole INTEGER NOT NULL) STRICT;",
            )?;
            conn.pragma_update(None, "application_id", APPLICATION_ID)?;
            conn.pragma_update(None, "user_version", VERSION)?;
            conn.execute_batch("COMMIT")?;
            Ok(Some(conn))
        }
    }
}

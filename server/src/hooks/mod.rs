//! Hooks: somebody else is told of what happened, by a command or over HTTP, once it is true.
//!
//! ```text
//! desk ─happening→ Hooks::tell ─ matches? ─→ store (durable) ─→ the desk's own yes
//!                                              └─→ waiting ─ run ─→ command | POST ─┬─ took it ─→ forgotten, durably
//!                                                                                   └─ did not ─→ again later, or given up
//! ```
//!
//! Read in this order: [`event`] is what is told, [`pattern`] to whom, `waiting` what still must be, `command` and `web` how.
//!
//! Invariants: an event that a hook wants is in the store before anybody is told that it happened; it leaves the store only
//! after somebody took it, or when it is given up, which is logged; what no hook wants costs a look at a list.
//! Not here: what hooks there are (app's configuration), what happens in a transfer (desk).

mod command;
pub mod event;
pub mod pattern;
mod run;
mod waiting;
mod web;

pub use event::{EventKind, FileFacts, Happening, TransferFacts};
pub use run::{run, test};
pub use waiting::offline;

use crate::control::HookEventLine;
use crate::settings::Settings;
use pattern::Pattern;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::{Commit, CommitError, Op, ReadError, Store};
use tokio::sync::Notify;
use tracing::{error, info, warn};
use waiting::{Item, Waiting};

/// The kind of the store's entries that wait to be told.
const KIND: &str = "hook-event";

/// So many wait at most; uploads are refused then, if a hook wants them, and other events are lost. Some 10 MB.
pub const WAITING_MAX: usize = 10_000;

/// A hook, as the configuration has it.
#[derive(Debug, Clone)]
pub struct Hook {
    /// Its name in logs and commands.
    pub name: String,
    /// What it is told of.
    pub events: Vec<EventKind>,
    /// Only of files whose path is one of these; of all if empty.
    pub paths: Vec<Pattern>,
    /// Only of accounts whose name is one of these; of all if empty.
    pub accounts: Vec<Pattern>,
    /// How it is told.
    pub target: Target,
    /// How long one attempt may take.
    pub limit: Duration,
    /// When to try again, and when to give up.
    pub schedule: policy::Schedule,
    /// So many attempts at once.
    pub parallel: usize,
}

/// How a hook is told.
#[derive(Debug, Clone)]
pub enum Target {
    /// A program and its arguments.
    Command(Vec<String>),
    /// A POST.
    Web {
        /// Where.
        url: net::http::Url,
        /// What it is signed with.
        secret: Option<line::Secret>,
    },
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::Command(command) => f.write_str(&command.join(" ")),
            Target::Web { url, .. } => url.fmt(f),
        }
    }
}

impl Hook {
    /// Whether it is to be told of this.
    pub fn wants(&self, kind: EventKind, account: &str, paths: &[&[u8]]) -> bool {
        let fits = |patterns: &[Pattern], text: &[u8]| patterns.iter().any(|pattern| pattern.matches(text));
        self.events.contains(&kind)
            && (self.accounts.is_empty() || fits(&self.accounts, account.as_bytes()))
            && (self.paths.is_empty() || paths.iter().any(|path| fits(&self.paths, path)))
    }
}

/// What waits to be told, for the whole house.
pub struct Hooks {
    store: Store,
    waiting: Mutex<Waiting>,
    changed: Notify,
}

impl Hooks {
    /// With what the last process has left. Blocks.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn open(store: Store) -> Result<Self, ReadError> {
        let waiting = Waiting::read(store.entries(KIND)?);
        if waiting.count() > 0 {
            info!(events = waiting.count(), "hooks still to be told of what happened before the start");
        }
        Ok(Hooks { store, waiting: Mutex::new(waiting), changed: Notify::new() })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an upload may begin: what a hook wants to know of must find room to wait.
    pub fn has_room(&self, settings: &Settings, kind: EventKind, account: &str, path: &[u8]) -> bool {
        settings.hooks.iter().all(|hook| !hook.wants(kind, account, &[path])) || self.waiting().count() < WAITING_MAX
    }

    /// Something happened: keeps it for the hooks that want it. When this returns, it is durable.
    ///
    /// # Errors
    /// When the store does not take it.
    pub async fn tell(&self, settings: &Settings, happening: &Happening) -> Result<(), CommitError> {
        let paths: Vec<&[u8]> = happening.file.paths().collect();
        let wants = |hook: &&Hook| hook.wants(happening.kind, &happening.account, &paths);
        let hooks: Vec<&Hook> = settings.hooks.iter().filter(wants).collect();
        if hooks.is_empty() {
            return Ok(());
        }
        // An upload was asked before it began; what others found no room for has happened all the same.
        if happening.kind != EventKind::Upload && self.waiting().count() >= WAITING_MAX {
            let event = happening.kind.name();
            error!(session = %happening.session, account = happening.account, event, "too much waits for hooks; this is lost to them");
            return Ok(());
        }
        let event = happening.event(&settings.host_name);
        let items: Vec<Item> = hooks.into_iter().map(|hook| Item::new(&hook.name, &event)).collect();
        let keep = |item: &Item| Op::PutEntry { kind: KIND.into(), key: item.key(), value: item.write() };
        self.store.commit(Commit::of(items.iter().map(keep).collect())).await?;
        let mut waiting = self.waiting();
        items.into_iter().for_each(|item| waiting.add(item));
        drop(waiting);
        self.changed.notify_one();
        Ok(())
    }

    /// What waits, the oldest first, so many at most.
    pub fn list(&self, max: usize) -> Vec<HookEventLine> {
        self.waiting().lines(max)
    }

    /// Makes those due now whose event or hook has this name, or all; says how many.
    pub fn retry(&self, which: &Which, now: i64) -> usize {
        let count = self.waiting().hasten(which, now);
        self.changed.notify_one();
        count
    }

    /// Forgets those; says how many. An attempt under way goes on to its end.
    ///
    /// # Errors
    /// When the store does not take it.
    pub async fn drop_waiting(&self, which: &Which) -> Result<usize, CommitError> {
        let keys = self.waiting().keys(which);
        self.forget(&keys).await?;
        warn!(events = keys.len(), "events were taken from hooks by the administrator");
        Ok(keys.len())
    }

    async fn forget(&self, keys: &[String]) -> Result<(), CommitError> {
        let ops = keys.iter().map(|key| Op::RemoveEntry { kind: KIND.into(), key: key.clone() });
        self.store.commit(Commit::of(ops.collect())).await?;
        let mut waiting = self.waiting();
        keys.iter().for_each(|key| waiting.remove(key));
        Ok(())
    }
}

/// Which of those that wait.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// Of this event, for every hook.
    Event(String),
    /// Of this hook, every event.
    Hook(String),
    /// All.
    All,
}

#[cfg(test)]
mod tests;

//! What waits to be told: kept in the store, and here in the order in which it is due.
//!
//! Of an item the store holds what happened and which hook wants it. Attempts are not kept: after a restart each is tried at
//! once, and it is given up at the same moment as without one.
//!
//! Invariants: an item is waiting, or under way, or gone; a hook has no more under way than it may.
//! Not here: writing to the store (hooks), telling (run).

use super::event::Event;
use super::{KIND, Which};
use crate::control::HookEventLine;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use store::{Commit, CommitError, Op, ReadError, Store};
use tracing::error;

/// An event for one hook.
#[derive(Debug, Clone)]
pub struct Item {
    /// Which hook.
    pub hook: String,
    /// The event's id.
    pub id: String,
    /// When it happened, in Unix seconds.
    pub at: i64,
    /// Its JSON.
    pub body: Arc<str>,
    /// Attempts since the start.
    pub attempts: u32,
    /// When the next one is due, in Unix seconds.
    pub due: i64,
    /// Why the last one failed.
    pub why: Option<String>,
    is_under_way: bool,
}

/// An item as the store keeps it.
#[derive(Serialize, Deserialize)]
struct Kept {
    hook: String,
    id: String,
    at: i64,
    body: String,
}

impl Item {
    /// One that is due at once.
    pub fn new(hook: &str, event: &Event) -> Self {
        Item::of(Kept { hook: hook.to_string(), id: event.id.clone(), at: event.at, body: event.body.clone() })
    }

    fn of(kept: Kept) -> Self {
        let Kept { hook, id, at, body } = kept;
        Item { hook, id, at, body: body.into(), attempts: 0, due: 0, why: None, is_under_way: false }
    }

    /// Its key among the store's entries.
    pub fn key(&self) -> String {
        format!("{}/{}", self.id, self.hook)
    }

    /// The value that the store keeps.
    pub fn write(&self) -> String {
        let kept =
            Kept { hook: self.hook.clone(), id: self.id.clone(), at: self.at, body: self.body.as_ref().to_string() };
        serde_json::to_string(&kept).expect("texts and a number can be written")
    }

    fn line(&self) -> HookEventLine {
        let facts: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let text = |fact: &Value| fact.as_str().unwrap_or_default().to_string();
        HookEventLine {
            id: self.id.clone(),
            hook: self.hook.clone(),
            event: text(&facts["event"]),
            account: text(&facts["account"]),
            path: text(&facts["file"]["path"]),
            happened_at: self.at,
            attempts: self.attempts,
            next_attempt: self.due,
            reason: self.why.clone(),
        }
    }

    fn is(&self, which: &Which) -> bool {
        match which {
            Which::Event(id) => self.id == *id,
            Which::Hook(hook) => self.hook == *hook,
            Which::All => true,
        }
    }
}

/// All items.
#[derive(Default)]
pub struct Waiting {
    items: BTreeMap<String, Item>,
    lanes: HashMap<String, Lane>,
}

/// The items of one hook.
#[derive(Default)]
struct Lane {
    /// Those not under way, by the moment they are due.
    order: BTreeSet<(i64, String)>,
    under_way: usize,
}

impl Waiting {
    /// Reads what the store holds. What cannot be read stays there, and is named.
    pub fn read(entries: Vec<(String, String)>) -> Self {
        let mut waiting = Waiting::default();
        for (key, value) in entries {
            match serde_json::from_str(&value) {
                Ok(kept) => waiting.add(Item::of(kept)),
                Err(error) => error!(key, %error, "an event for a hook is damaged, and is not told"),
            }
        }
        waiting
    }

    /// How many there are, under way or not.
    pub fn count(&self) -> usize {
        self.items.len()
    }

    /// One more.
    pub fn add(&mut self, item: Item) {
        let key = item.key();
        self.lanes.entry(item.hook.clone()).or_default().order.insert((item.due, key.clone()));
        self.items.insert(key, item);
    }

    /// It is gone, wherever it was.
    pub fn remove(&mut self, key: &str) {
        // One under way leaves its lane when it ends.
        if let Some(item) = self.items.remove(key)
            && let Some(lane) = self.lanes.get_mut(&item.hook)
        {
            lane.order.remove(&(item.due, key.to_string()));
        }
    }

    /// Takes those that are due into hand, as many of each hook as it may have, and says when the next will be due.
    pub fn take_due(&mut self, now: i64, parallel: impl Fn(&str) -> usize) -> (Vec<Item>, Option<i64>) {
        let (mut taken, mut next) = (Vec::new(), None::<i64>);
        for (hook, lane) in &mut self.lanes {
            while lane.under_way < parallel(hook)
                && let Some((due, _)) = lane.order.first()
            {
                if *due > now {
                    next = Some(next.map_or(*due, |next| next.min(*due)));
                    break;
                }
                let Some((_, key)) = lane.order.pop_first() else { break };
                let Some(item) = self.items.get_mut(&key) else { continue };
                item.is_under_way = true;
                lane.under_way += 1;
                taken.push(item.clone());
            }
        }
        (taken, next)
    }

    /// An attempt has ended; its hook may have another.
    pub fn ended(&mut self, hook: &str) {
        if let Some(lane) = self.lanes.get_mut(hook) {
            lane.under_way = lane.under_way.saturating_sub(1);
        }
        self.lanes.retain(|_, lane| lane.under_way > 0 || !lane.order.is_empty());
    }

    /// It was in vain; it waits again, unless it was dropped meanwhile.
    pub fn put_back(&mut self, key: &str, due: i64, why: String) {
        let Some(item) = self.items.get_mut(key) else { return };
        (item.due, item.why, item.is_under_way) = (due, Some(why), false);
        item.attempts += 1;
        self.lanes.entry(item.hook.clone()).or_default().order.insert((due, key.to_string()));
    }

    /// Makes items due now that would be due later.
    pub fn hasten(&mut self, which: &Which, now: i64) -> usize {
        let keys = self.keys(which);
        for key in &keys {
            let Some(item) = self.items.get_mut(key).filter(|item| !item.is_under_way && item.due > now) else {
                continue;
            };
            if let Some(lane) = self.lanes.get_mut(&item.hook) {
                lane.order.remove(&(item.due, key.clone()));
                lane.order.insert((now, key.clone()));
            }
            item.due = now;
        }
        keys.len()
    }

    /// The keys of some, the oldest first.
    pub fn keys(&self, which: &Which) -> Vec<String> {
        self.items.iter().filter(|(_, item)| item.is(which)).map(|(key, _)| key.clone()).collect()
    }

    /// So many of them for a list, the oldest first.
    pub fn lines(&self, max: usize) -> Vec<HookEventLine> {
        self.items.values().take(max).map(Item::line).collect()
    }
}

/// What waits in a store that no server holds.
pub mod offline {
    use super::*;

    /// As [`Hooks::list`](super::super::Hooks::list).
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn list(store: &Store, max: usize) -> Result<Vec<HookEventLine>, ReadError> {
        Ok(Waiting::read(store.entries(KIND)?).lines(max))
    }

    /// As [`Hooks::drop_waiting`](super::super::Hooks::drop_waiting), and what is damaged with [`Which::All`].
    ///
    /// # Errors
    /// When the store cannot be read or does not take it.
    pub async fn drop_waiting(store: &Store, which: &Which) -> Result<usize, OfflineError> {
        let entries = store.entries(KIND)?;
        let keys = match which {
            Which::All => entries.into_iter().map(|(key, _)| key).collect(),
            which => Waiting::read(entries).keys(which),
        };
        let ops = keys.iter().map(|key| Op::RemoveEntry { kind: KIND.into(), key: key.clone() });
        store.commit(Commit::of(ops.collect())).await?;
        Ok(keys.len())
    }

    /// Why the store did not do it.
    #[derive(Debug, thiserror::Error)]
    pub enum OfflineError {
        /// It could not be read.
        #[error(transparent)]
        Read(#[from] ReadError),
        /// It could not be written.
        #[error(transparent)]
        Commit(#[from] CommitError),
    }
}

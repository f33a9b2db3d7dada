//! Hooks, as an administrator has them: what waits for them, and what to do with it.
//!
//! Not here: hooks themselves (hooks).

use super::{Admin, Place, Trouble};
use crate::control::{Answer, HookLine};
use crate::hooks::{self, Hook, Which, offline};

/// How many waiting events a list shows at most.
const LIST_MAX: usize = 1_000;

impl Admin {
    pub(super) fn hooks(&self) -> Result<Answer, Trouble> {
        Ok(match &self.place {
            Place::Running(house) => Answer::Hooks {
                hooks: house.settings().hooks.iter().map(line).collect(),
                waiting: house.hooks.list(LIST_MAX),
            },
            Place::Offline { .. } => {
                Answer::Hooks { hooks: Vec::new(), waiting: offline::list(&self.store, LIST_MAX)? }
            }
        })
    }

    pub(super) fn retry_hooks(&self, which: &Which) -> Result<Answer, Trouble> {
        match &self.place {
            Place::Running(house) => counted(house.hooks.retry(which, house.now()), which, "due now"),
            Place::Offline { .. } => {
                Err(Trouble::refused("the server is not running; it tries all of them when it starts"))
            }
        }
    }

    pub(super) async fn drop_hooks(&self, which: &Which) -> Result<Answer, Trouble> {
        let count = match &self.place {
            Place::Running(house) => house.hooks.drop_waiting(which).await?,
            Place::Offline { .. } => offline::drop_waiting(&self.store, which).await.map_err(Trouble::refused)?,
        };
        counted(count, which, "dropped")
    }

    pub(super) async fn test_hook(&self, name: &str) -> Result<Answer, Trouble> {
        let Place::Running(house) = &self.place else {
            return Err(Trouble::refused("the server is not running; it is the one who tells hooks"));
        };
        match hooks::test(house, name).await {
            Ok(output) => {
                Ok(Answer::Done(format!("{name} was told: {output}").trim_end_matches([':', ' ']).to_string()))
            }
            Err(Some(why)) => Err(Trouble::Refused(format!("{name} was not told: {why}"))),
            Err(None) => Err(Trouble::Missing(format!("there is no hook {name} in the configuration"))),
        }
    }
}

fn counted(count: usize, which: &Which, done: &str) -> Result<Answer, Trouble> {
    match (count, which) {
        (0, Which::Event(id)) => {
            Err(Trouble::Missing(format!("no event {id} waits; `packetboat hook list` shows them")))
        }
        (1, _) => Ok(Answer::Done(format!("1 event {done}"))),
        _ => Ok(Answer::Done(format!("{count} events {done}"))),
    }
}

fn line(hook: &Hook) -> HookLine {
    HookLine {
        name: hook.name.clone(),
        events: hook.events.iter().map(|kind| kind.name().to_string()).collect(),
        paths: hook.paths.iter().map(ToString::to_string).collect(),
        accounts: hook.accounts.iter().map(ToString::to_string).collect(),
        target: hook.target.to_string(),
    }
}

//! `packetboat hook`: who is told of what happens, and what still waits to be told.

use super::ask::ask;
use super::directory::done;
use crate::cli::{HookCommand, WhichEvents};
use crate::failure::Failure;
use crate::output;
use server::control::{Answer, HookEventLine, HookLine, Request};
use server::hooks::Which;

/// Runs the command.
pub fn run(command: HookCommand) -> Result<(), Failure> {
    let (at, request) = match command {
        HookCommand::List { at } => (at, Request::HookList),
        HookCommand::Retry { which, at } => (at, Request::HookRetry { which: chosen(which) }),
        HookCommand::Drop { which, at } => (at, Request::HookDrop { which: chosen(which) }),
        HookCommand::Test { hook, at } => (at, Request::HookTest { hook }),
    };
    match ask(&at, &request)? {
        answer if at.json => output::json(&answer),
        Answer::Hooks { hooks, waiting } => list(hooks, waiting),
        answer => done(&answer),
    }
}

fn chosen(which: WhichEvents) -> Which {
    match which {
        WhichEvents { event: Some(event), .. } => Which::Event(event),
        WhichEvents { hook: Some(hook), .. } => Which::Hook(hook),
        WhichEvents { .. } => Which::All,
    }
}

fn list(hooks: Vec<HookLine>, waiting: Vec<HookEventLine>) -> Result<(), Failure> {
    let all = |list: Vec<String>| if list.is_empty() { "all".into() } else { list.join(", ") };
    if !hooks.is_empty() {
        let rows = hooks
            .into_iter()
            .map(|hook| vec![hook.name, hook.events.join(", "), all(hook.paths), all(hook.accounts), hook.target]);
        output::say(&output::table(&["hook", "events", "paths", "accounts", "target"], rows))?;
        output::say("")?;
    }
    if waiting.is_empty() {
        return output::say("Nothing waits to be told.");
    }
    let now = output::now();
    let rows = waiting.into_iter().map(|one| row(one, now));
    output::say(&output::table(
        &["event", "hook", "what", "account", "path", "happened", "next attempt", "why it waits"],
        rows,
    ))
}

fn row(one: HookEventLine, now: i64) -> Vec<String> {
    let next = if one.next_attempt <= now { "now".into() } else { output::moment(one.next_attempt, now) };
    let why = one.reason.unwrap_or_else(|| "not tried yet".into());
    vec![one.id, one.hook, one.event, one.account, one.path, output::moment(one.happened_at, now), next, why]
}

//! `packetboat store`: verify, mend, tidy.

use super::ask::{ask, place, running};
use super::directory::done;
use crate::cli::{StoreCommand, Where};
use crate::failure::Failure;
use crate::output;
use server::control::{Answer, Request};

/// Runs the command.
pub fn run(command: StoreCommand) -> Result<(), Failure> {
    match command {
        StoreCommand::Check { repair: false, at } => findings(&at, ask(&at, &Request::StoreCheck)?),
        StoreCommand::Check { repair: true, at } => repair(&at),
        StoreCommand::Compact { at } => match ask(&at, &Request::StoreCompact)? {
            answer if at.json => output::json(&answer),
            answer => done(&answer),
        },
    }
}

fn repair(at: &Where) -> Result<(), Failure> {
    let (data_dir, ..) = place(at)?;
    if running(&data_dir, &Request::Ping)?.is_some() {
        return Err(Failure::Failed("a server is running on this store; stop it first".into()));
    }
    let answer = server::admin::repair(&data_dir).map_err(|error| Failure::Failed(error.to_string()))?;
    findings(at, answer)
}

fn findings(at: &Where, answer: Answer) -> Result<(), Failure> {
    if at.json {
        output::json(&answer)?;
    }
    let Answer::Findings { looked_at, wrong } = answer else {
        return done(&answer);
    };
    if !at.json {
        output::say(&looked_at)?;
        wrong.iter().try_for_each(|finding| output::say(&format!("- {}", output::printable(finding))))?;
        if wrong.is_empty() {
            output::say("Nothing is wrong.")?;
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Failure::Told(1)) }
}

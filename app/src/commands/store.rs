//! `packetboat store`: verify, mend, tidy, make anew.

use super::archive::Bar;
use super::ask::{ask, place, running};
use super::directory::done;
use crate::cli::{StoreCommand, Where};
use crate::failure::Failure;
use crate::output;
use server::control::{Answer, RebuiltLine, RebuiltStore, Request};
use std::path::PathBuf;

/// So many accounts are listed for people; more are for programs.
const ACCOUNTS_SHOWN: usize = 100;

/// Runs the command.
pub fn run(command: StoreCommand) -> Result<(), Failure> {
    match command {
        StoreCommand::Check { repair: false, at } => findings(&at, ask(&at, &Request::StoreCheck)?),
        StoreCommand::Check { repair: true, at } => repair(&at),
        StoreCommand::Compact { at } => match ask(&at, &Request::StoreCompact)? {
            answer if at.json => output::json(&answer),
            answer => done(&answer),
        },
        StoreCommand::Rebuild { dry_run, force, at } => rebuild(&at, dry_run, force),
    }
}

/// The data directory, of a server that is not running.
fn stopped(at: &Where) -> Result<PathBuf, Failure> {
    let (data_dir, ..) = place(at)?;
    match running(&data_dir, &Request::Ping)? {
        Some(_) => Err(Failure::Failed("a server is running on this store; stop it first".into())),
        None => Ok(data_dir),
    }
}

fn rebuild(at: &Where, dry_run: bool, force: bool) -> Result<(), Failure> {
    let data_dir = stopped(at)?;
    let mut bar = Bar::default();
    let answer = server::admin::rebuild(&data_dir, dry_run, force, |progress| bar.show(progress));
    bar.clear();
    let answer = answer.map_err(|error| Failure::Failed(error.to_string()))?;
    let Answer::Rebuilt(rebuilt) = &answer else {
        return done(&answer);
    };
    match at.json {
        true => output::json(&answer)?,
        false => tell(rebuilt)?,
    }
    if rebuilt.damage.is_empty() { Ok(()) } else { Err(Failure::Told(1)) }
}

/// What was found, and what is to be done now.
fn tell(rebuilt: &RebuiltStore) -> Result<(), Failure> {
    let RebuiltStore { dry_run, segments, messages, bytes, accounts, held, expired, left_out, .. } = rebuilt;
    let verb = if *dry_run { "would be" } else { "are" };
    let (messages, octets) = (output::counted(*messages, "message", "messages"), output::size(*bytes));
    output::say(&format!("{messages} ({octets}) {verb} in their mailboxes again; segments read: {segments}."))?;
    let figures = |line: &RebuiltLine| {
        let note = if line.unknown { "address guessed from its mail" } else { "" };
        vec![line.address.clone(), line.messages.to_string(), output::size(line.bytes), note.to_owned()]
    };
    if accounts.len() <= ACCOUNTS_SHOWN {
        output::say(&output::table(&["account", "messages", "size", ""], accounts.iter().map(figures)))?;
    } else {
        output::say(&format!("They are of {} accounts; --json lists them.", accounts.len()))?;
    }
    if accounts.iter().any(|line| line.unknown) {
        output::say(
            "Accounts whose address is guessed have no password: `packetboat domain add`, `packetboat account passwd`. Mailboxes \
             of theirs whose names are lost are below Recovered.",
        )?;
    }
    output::say(
        "They are as they were delivered: flags, moves and deletions since then are lost. Mail programs fetch everything anew.",
    )?;
    if !rebuilt.names_known {
        output::say("Neither the old index nor register.db could be read: domains and aliases are lost, too.")?;
    }
    if *held > 0 {
        output::say(&format!(
            "{} {verb} in the queue, held, for their mail may have been delivered: see `packetboat queue list`, then \
             `queue release` or `queue drop`.",
            output::counted(*held, "recipient", "recipients")
        ))?;
    }
    if *expired > 0 {
        output::say(&format!(
            "{} for elsewhere too old to be on the way still, and not queued.",
            output::counted(*expired, "mail is", "mails are")
        ))?;
    }
    if *left_out > 0 {
        let messages = output::counted(*left_out, "message is", "messages are");
        output::say(&format!("{messages} left out, of accounts that had been removed."))?;
    }
    if let Some(kept) = &rebuilt.kept {
        output::say(&format!("What there was before is in {}.", kept.display()))?;
    }
    if !rebuilt.damage.is_empty() {
        output::say("Damaged:")?;
    }
    rebuilt.damage.iter().try_for_each(|what| output::say(&format!("- {}", output::printable(what))))
}

fn repair(at: &Where) -> Result<(), Failure> {
    let data_dir = stopped(at)?;
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

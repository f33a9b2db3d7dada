//! `packetboat app-password`: one password for each program.

use super::ask::ask;
use super::directory::done;
use crate::cli::AppPasswordCommand;
use crate::failure::Failure;
use crate::output;
use server::control::{Answer, AppPasswordLine, Request};

/// Runs the command.
pub fn run(command: AppPasswordCommand) -> Result<(), Failure> {
    let (at, request) = match command {
        AppPasswordCommand::Add { address, label, services, at } => {
            (at, Request::AppPasswordAdd { address, label, services })
        }
        AppPasswordCommand::List { address, at } => (at, Request::AppPasswordList { address }),
        AppPasswordCommand::Remove { address, id, at } => (at, Request::AppPasswordRemove { address, id }),
    };
    match ask(&at, &request)? {
        answer if at.json => output::json(&answer),
        Answer::AppPassword { address, id, password } => {
            output::say(&format!("App password {id} of {address}, shown this once:\n\n    {password}\n"))
        }
        Answer::AppPasswords(list) if list.is_empty() => output::say("There are no app passwords."),
        Answer::AppPasswords(list) => {
            let now = output::now();
            let rows = list.into_iter().map(|one| row(one, now));
            output::say(&output::table(&["number", "name", "opens", "made", "last used"], rows))
        }
        answer => done(&answer),
    }
}

fn row(one: AppPasswordLine, now: i64) -> Vec<String> {
    let opens = if one.services.is_empty() { "everything".into() } else { one.services.join(", ") };
    let last_used = one.last_used.map_or_else(|| "never".into(), |at| output::moment(at, now));
    vec![one.id.to_string(), one.label, opens, output::moment(one.created, now), last_used]
}

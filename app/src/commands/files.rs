//! `packetboat files`: what accounts and spaces hold.

use super::ask::ask;
use crate::cli::FilesCommand;
use crate::failure::Failure;
use crate::output;
use server::control::{Answer, Request};

/// Runs the command.
pub fn run(command: FilesCommand) -> Result<(), Failure> {
    let (at, only, anew) = match command {
        FilesCommand::Usage { name, at } => (at, name, false),
        FilesCommand::Rescan { name, at } => (at, name, true),
    };
    match ask(&at, &Request::FilesUsage { only, anew })? {
        answer if at.json => output::json(&answer),
        Answer::Files(lines) if lines.is_empty() => output::say("There are neither accounts nor spaces."),
        Answer::Files(lines) => {
            let rows = lines.into_iter().map(|line| {
                let most = |most: Option<String>| most.unwrap_or_else(|| "-".into());
                vec![
                    line.name,
                    if line.shared { "space" } else { "account" }.into(),
                    output::size(line.bytes),
                    most(line.quota_bytes.map(output::size)),
                    line.files.to_string(),
                    most(line.quota_files.map(|files| files.to_string())),
                    line.path,
                ]
            });
            output::say(&output::table(&["name", "kind", "size", "of", "files", "of", "where"], rows))
        }
        answer => super::directory::done(&answer),
    }
}

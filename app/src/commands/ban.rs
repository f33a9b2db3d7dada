//! `packetboat ban`: addresses that are refused for a while.

use super::ask::ask;
use crate::cli::BanCommand;
use crate::failure::Failure;
use crate::output;
use server::control::{Answer, Request};

/// Runs the command.
pub fn run(command: BanCommand) -> Result<(), Failure> {
    let (at, request) = match command {
        BanCommand::List { at } => (at, Request::BanList),
        BanCommand::Lift { address, at } => (at, Request::BanLift { address }),
    };
    match ask(&at, &request)? {
        answer if at.json => output::json(&answer),
        Answer::Bans(bans) if bans.is_empty() => output::say("No address is refused."),
        Answer::Bans(bans) => {
            let now = output::now();
            let rows =
                bans.iter().map(|ban| vec![ban.address.clone(), output::moment(ban.until, now), ban.why.clone()]);
            output::say(&output::table(&["address", "ends", "why"], rows))
        }
        answer => super::directory::done(&answer),
    }
}

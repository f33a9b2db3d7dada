//! `packetboat sessions`: who is connected, and the end of it.

use super::ask::ask;
use crate::cli::{SessionFilter, Sessions, SessionsCommand};
use crate::failure::Failure;
use crate::output;
use server::control::{self, Answer, Request, SessionLine, TransferLine, WhichSessions};

/// Runs the command.
pub fn run(sessions: Sessions) -> Result<(), Failure> {
    let (at, request) = match sessions {
        Sessions { command: None, only, at } | Sessions { command: Some(SessionsCommand::List { only, at }), .. } => {
            (at, Request::SessionList { only: filter(only) })
        }
        Sessions { command: Some(SessionsCommand::End { sessions, only, at }), .. } => {
            let which = match sessions.is_empty() {
                true => WhichSessions::Fitting(filter(only)),
                false => WhichSessions::Named(sessions),
            };
            (at, Request::SessionEnd { which })
        }
    };
    match ask(&at, &request)? {
        answer if at.json => output::json(&answer),
        Answer::Sessions { sessions, left_out } => list(sessions, left_out),
        Answer::SessionsEnded { sessions } => {
            let (are, count) = (if sessions.len() == 1 { "is" } else { "are" }, sessions.len() as u64);
            output::say(&format!("{} {are} ended", output::counted(count, "session", "sessions")))
        }
        answer => super::directory::done(&answer),
    }
}

fn filter(only: SessionFilter) -> control::SessionFilter {
    let SessionFilter { account, service, peer } = only;
    control::SessionFilter { account, service, peer }
}

fn list(sessions: Vec<SessionLine>, left_out: usize) -> Result<(), Failure> {
    if sessions.is_empty() {
        return output::say("No session to show.");
    }
    let now = output::now();
    let rows = sessions.into_iter().map(|session| row(session, now));
    output::say(&output::table(
        &["session", "service", "account", "peer", "tls", "since", "idle", "client", "what runs"],
        rows,
    ))?;
    match left_out {
        0 => Ok(()),
        more => output::say(&format!("… and {more} more; --account, --service and --peer leave others out")),
    }
}

fn row(session: SessionLine, now: i64) -> Vec<String> {
    let or_nothing = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    vec![
        session.session,
        session.service,
        or_nothing(session.account),
        session.peer,
        if session.tls { "yes" } else { "no" }.into(),
        output::moment(session.since, now),
        or_nothing(session.idle_secs.map(output::span)),
        or_nothing(session.client),
        match session.transfer {
            _ if session.ending => "ending".into(),
            running => or_nothing(running.map(|transfer| told(&transfer))),
        },
    ]
}

fn told(transfer: &TransferLine) -> String {
    let TransferLine { direction, path, octets, octets_per_second } = transfer;
    let path = path.as_ref().map(|path| format!(" {path}")).unwrap_or_default();
    format!("{direction}{path}, {}, {}/s", output::size(*octets), output::size(*octets_per_second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_say_cannot_move_the_cursor() {
        let (client, path) = ("evil\x1b[2J".to_owned(), Some("/a\nb".to_owned()));
        let transfer = TransferLine { direction: "upload".into(), path, octets: 2048, octets_per_second: 1024 };
        let session = SessionLine {
            session: "3k7q0x9d".into(),
            service: "ftp".into(),
            account: None,
            peer: "192.0.2.7:4000".into(),
            tls: false,
            since: 100,
            idle_secs: None,
            client: Some(client),
            transfer: Some(transfer),
            ending: false,
        };
        let table = output::table(&["a"; 9], [row(session, 400)]);
        let line = table.lines().last().expect("a row");
        assert!(line.contains("upload /a\\nb, 2.0 KiB, 1.0 KiB/s") && line.contains("5 min ago"), "{line}");
        assert!(!table.contains('\x1b'), "{table}");
    }
}

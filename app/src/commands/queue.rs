//! `packetboat queue`: what waits to be delivered, why, and what to do with it.

use super::ask::ask;
use super::directory::done;
use crate::cli::{QueueCommand, Which};
use crate::failure::Failure;
use crate::output;
use server::control::{self, Answer, QueueChange, QueueLine, RecipientLine, Request};

/// Runs the command.
pub fn run(command: QueueCommand) -> Result<(), Failure> {
    let (at, request) = match command {
        QueueCommand::List { at } => (at, Request::QueueList),
        QueueCommand::Show { mail, at } => (at, Request::QueueShow { mail }),
        QueueCommand::Retry { which, at } => (at, change(QueueChange::Retry, which)),
        QueueCommand::Hold { which, at } => (at, change(QueueChange::Hold, which)),
        QueueCommand::Release { which, at } => (at, change(QueueChange::Release, which)),
        QueueCommand::Drop { which, at } => (at, change(QueueChange::Drop, which)),
    };
    match ask(&at, &request)? {
        answer if at.json => output::json(&answer),
        Answer::Queue(mails) => list(&mails),
        Answer::Mail(mail) => show(&mail),
        answer => done(&answer),
    }
}

fn change(change: QueueChange, which: Which) -> Request {
    let which = match which {
        Which { mail: Some(mail), .. } => control::Which::Mail(mail),
        Which { domain: Some(domain), .. } => control::Which::Domain(domain),
        Which { .. } => control::Which::All,
    };
    Request::QueueChange { change, which }
}

fn list(mails: &[QueueLine]) -> Result<(), Failure> {
    if mails.is_empty() {
        return output::say("The queue is empty.");
    }
    let now = output::now();
    let rows = mails.iter().flat_map(|mail| {
        mail.recipients.iter().map(move |recipient| {
            vec![
                mail.mail.clone(),
                output::moment(mail.arrived_at, now),
                output::size(mail.size),
                sender(mail),
                recipient.address.clone(),
                next(recipient, now),
                recipient.reason.clone().unwrap_or_else(|| "not tried yet".into()),
            ]
        })
    });
    output::say(&output::table(
        &["mail", "arrived", "size", "sender", "recipient", "next attempt", "why it waits"],
        rows,
    ))
}

fn show(mail: &QueueLine) -> Result<(), Failure> {
    let now = output::now();
    output::say(&format!("mail     {}", mail.mail))?;
    output::say(&format!("sender   {}", output::printable(&sender(mail))))?;
    output::say(&format!("size     {}", output::size(mail.size)))?;
    output::say(&format!("arrived  {}", output::moment(mail.arrived_at, now)))?;
    output::say(&format!("given up {}", output::moment(mail.expires_at, now)))?;
    for recipient in &mail.recipients {
        output::say("")?;
        output::say(&format!("recipient     {}", output::printable(&recipient.address)))?;
        output::say(&format!("attempts      {}", recipient.attempts))?;
        output::say(&format!("next attempt  {}", next(recipient, now)))?;
        for attempt in &recipient.history {
            let host = attempt.host.as_deref().map(|host| format!("{}: ", output::printable(host))).unwrap_or_default();
            let reason = output::printable(&attempt.reason);
            output::say(&format!("  {}  {host}{reason}", output::moment(attempt.at, now)))?;
        }
    }
    Ok(())
}

fn sender(mail: &QueueLine) -> String {
    if mail.sender.is_empty() { "<> (a report)".into() } else { mail.sender.clone() }
}

fn next(recipient: &RecipientLine, now: i64) -> String {
    match recipient {
        RecipientLine { held: true, .. } => "held".into(),
        RecipientLine { next_attempt, .. } if *next_attempt <= now => "now".into(),
        RecipientLine { next_attempt, .. } => output::moment(*next_attempt, now),
    }
}

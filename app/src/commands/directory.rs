//! `packetboat account`, `domain` and `alias`: who is who.

use super::ask::ask;
use crate::cli::{AccountCommand, AliasCommand, DomainCommand, Limit};
use crate::failure::Failure;
use crate::{output, terminal};
use server::control::{Answer, Change, Request};
use std::io::{IsTerminal, Read, Write};

/// Runs `packetboat account`.
pub fn account(command: AccountCommand) -> Result<(), Failure> {
    let (at, request) = match command {
        AccountCommand::Add { address, name, quota, at } => {
            let password = new_password(&address)?;
            (at, Request::AccountAdd { address, name, password, quota })
        }
        AccountCommand::List { at } => (at, Request::AccountList),
        AccountCommand::Passwd { address, at } => {
            let password = new_password(&address)?;
            (at, Request::AccountPasswd { address, password })
        }
        AccountCommand::Quota { address, bytes, files, messages, at } => {
            let (bytes, files, messages) = (change(bytes), change(files), change(messages));
            (at, Request::AccountQuota { address, bytes, messages, files })
        }
        AccountCommand::Permit { address, permissions, at } => {
            let words = Some(permissions).filter(|words| words != "usual");
            (at, Request::AccountPermit { address, words })
        }
        AccountCommand::Disable { address, at } => (at, Request::AccountDoor { address, open: false }),
        AccountCommand::Enable { address, at } => (at, Request::AccountDoor { address, open: true }),
        AccountCommand::Remove { address, keep_files, yes, at } => {
            let files = if keep_files { "" } else { " and all its files" };
            confirm(&format!("Remove {address} and all its mail{files}?"), yes)?;
            (at, Request::AccountRemove { address, keep_files })
        }
    };
    match ask(&at, &request)? {
        answer if at.json => output::json(&answer),
        Answer::Accounts(accounts) if accounts.is_empty() => {
            output::say("There are no accounts; make one with `packetboat account add`.")
        }
        Answer::Accounts(accounts) => {
            let rows = accounts.into_iter().map(|account| {
                let quota = account.quota.map(output::size).unwrap_or_else(|| "-".into());
                let state = if account.disabled { "closed" } else { "open" };
                let name = account.name.unwrap_or_default();
                vec![
                    account.address,
                    account.messages.to_string(),
                    output::size(account.bytes),
                    quota,
                    state.into(),
                    name,
                ]
            });
            output::say(&output::table(&["account", "messages", "size", "quota", "state", "name"], rows))
        }
        answer => done(&answer),
    }
}

/// Runs `packetboat domain`.
pub fn domain(command: DomainCommand) -> Result<(), Failure> {
    let (at, request) = match command {
        DomainCommand::Add { domain, catch_all, at } => (at, Request::DomainAdd { domain, catch_all }),
        DomainCommand::List { at } => (at, Request::DomainList),
        DomainCommand::Remove { domain, at } => (at, Request::DomainRemove { domain }),
    };
    match ask(&at, &request)? {
        answer if at.json => output::json(&answer),
        Answer::Domains(domains) if domains.is_empty() => {
            output::say("There are no domains; add one with `packetboat domain add`.")
        }
        Answer::Domains(domains) => {
            let rows = domains.into_iter().map(|domain| {
                vec![domain.domain, domain.accounts.to_string(), domain.catch_all.unwrap_or_else(|| "-".into())]
            });
            output::say(&output::table(&["domain", "accounts", "catch-all"], rows))
        }
        answer => done(&answer),
    }
}

/// Runs `packetboat alias`.
pub fn alias(command: AliasCommand) -> Result<(), Failure> {
    let (at, request) = match command {
        AliasCommand::Add { address, targets, at } => (at, Request::AliasAdd { address, targets }),
        AliasCommand::List { at } => (at, Request::AliasList),
        AliasCommand::Remove { address, at } => (at, Request::AliasRemove { address }),
    };
    match ask(&at, &request)? {
        answer if at.json => output::json(&answer),
        Answer::Aliases(aliases) if aliases.is_empty() => output::say("There are no aliases."),
        Answer::Aliases(aliases) => {
            let rows = aliases.into_iter().map(|alias| vec![alias.address, alias.targets.join(", ")]);
            output::say(&output::table(&["alias", "leads to"], rows))
        }
        answer => done(&answer),
    }
}

fn change(limit: Option<Limit>) -> Change {
    match limit {
        None => Change::Keep,
        Some(Limit::None) => Change::Lift,
        Some(Limit::Some(limit)) => Change::Set(limit),
    }
}

/// Prints what was done.
pub fn done(answer: &Answer) -> Result<(), Failure> {
    match answer {
        Answer::Done(sentence) => output::say(sentence),
        other => Err(Failure::Failed(format!("an answer that does not fit the question: {other:?}"))),
    }
}

/// Asks twice on a terminal; otherwise reads all of standard input, without a last line end.
fn new_password(address: &str) -> Result<String, Failure> {
    if !std::io::stdin().is_terminal() {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text.trim_end_matches(['\r', '\n']).to_string());
    }
    let first = terminal::hidden(&format!("New password for {address}: "))?;
    let second = terminal::hidden("Once more: ")?;
    if first == second { Ok(first) } else { Err(Failure::Failed("the two are not the same".into())) }
}

fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Failed("nobody is here to be asked; say --yes if you mean it".into()));
    }
    eprint!("{question} [y/N] ");
    std::io::stderr().flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    if line.trim().eq_ignore_ascii_case("y") { Ok(()) } else { Err(Failure::Failed("nothing was done".into())) }
}

//! `packetboat import` and `export`: mail from and to Maildir and mbox.

use super::ask::ask_watching;
use super::directory::done;
use crate::cli::{Export, Import, MailFormat, Where};
use crate::failure::Failure;
use crate::output;
use server::archives::{Format, Progress, Summary};
use server::control::{Answer, Request};
use std::io::{IsTerminal, Write};

/// Runs `packetboat import`.
pub fn import(import: Import) -> Result<(), Failure> {
    let Import { path, address, format, into, dry_run, again, at } = import;
    let path = std::path::absolute(path)?;
    let format = format.map(format_of);
    carry_out(&at, &Request::Import { address, path, format, into, dry_run, again }, "imported")
}

/// Runs `packetboat export`.
pub fn export(export: Export) -> Result<(), Failure> {
    let Export { path, address, format, mailboxes, at } = export;
    let path = std::path::absolute(path)?;
    if !matches!(format, MailFormat::Maildir | MailFormat::MaildirPlus | MailFormat::Mbox | MailFormat::Mboxrd) {
        return Err(Failure::Failed("an export is maildir++, maildir or mbox (which is mboxrd)".into()));
    }
    carry_out(&at, &Request::Export { address, path, format: format_of(format), mailboxes }, "exported")
}

fn format_of(format: MailFormat) -> Format {
    match format {
        MailFormat::Maildir => Format::Maildir,
        MailFormat::MaildirPlus => Format::MaildirPlus,
        MailFormat::Mbox => Format::Mbox,
        MailFormat::Mboxo => Format::Mboxo,
        MailFormat::Mboxrd => Format::Mboxrd,
        MailFormat::Mboxcl => Format::Mboxcl,
        MailFormat::Mboxcl2 => Format::Mboxcl2,
    }
}

fn carry_out(at: &Where, request: &Request, what: &str) -> Result<(), Failure> {
    let mut bar = Bar::default();
    let answer = ask_watching(at, request, |progress| bar.show(&progress));
    bar.clear();
    let answer = answer?;
    let Answer::Archived(summary) = &answer else {
        return done(&answer);
    };
    match at.json {
        true => output::json(&answer)?,
        false => tell(summary, what)?,
    }
    if summary.unreadable == 0 { Ok(()) } else { Err(Failure::Told(1)) }
}

fn tell(summary: &Summary, what: &str) -> Result<(), Failure> {
    let Summary { mailboxes, messages, octets, known, renamed, unreadable, troubles, dry_run } = summary;
    let verb = if *dry_run { format!("would be {what}") } else { what.to_owned() };
    let (messages, mailboxes) =
        (output::counted(*messages, "message", "messages"), output::counted(*mailboxes, "mailbox", "mailboxes"));
    output::say(&format!("{messages} ({}) in {mailboxes} {verb}.", output::size(*octets)))?;
    if *known > 0 {
        output::say(&format!("{known} had been {what} before."))?;
    }
    for name in renamed {
        let why = "it has this name here, because IMAP shows the mailboxes of others below the other";
        output::say(&format!("- {}: {why}", output::printable(name)))?;
    }
    if *unreadable > 0 {
        let things = output::counted(*unreadable, "thing was", "things were");
        output::say(&format!("{things} left out, entirely or in part:"))?;
    }
    for trouble in troubles {
        output::say(&format!("- {}: {}", output::printable(&trouble.what), output::printable(&trouble.why)))?;
    }
    let unnamed = unreadable.saturating_sub(troubles.len() as u64);
    if unnamed > 0 { output::say(&format!("and {unnamed} more.")) } else { Ok(()) }
}

/// A line on the terminal that says how far it has come; nothing where standard error is none.
#[derive(Default)]
pub(super) struct Bar {
    is_shown: bool,
}

impl Bar {
    /// Its width in characters.
    const WIDTH: usize = 30;

    pub(super) fn show(&mut self, progress: &Progress) {
        if !std::io::stderr().is_terminal() {
            return;
        }
        let Progress { mailbox, messages, done, total } = progress;
        let (done, total) = ((*done).min(*total), (*total).max(1));
        let share = u128::from(done) * Self::WIDTH as u128 / u128::from(total);
        let filled = usize::try_from(share).unwrap_or_default();
        let (full, empty) = ("#".repeat(filled), "-".repeat(Self::WIDTH - filled));
        let percent = u128::from(done) * 100 / u128::from(total);
        let name: String = output::printable(mailbox).chars().take(Self::WIDTH).collect();
        let messages = output::counted(*messages, "message", "messages");
        eprint!("\r[{full}{empty}] {percent:>3}%  {messages}  {name}\x1b[K");
        let _ = std::io::stderr().flush();
        self.is_shown = true;
    }

    pub(super) fn clear(&mut self) {
        if self.is_shown {
            eprint!("\r\x1b[K");
        }
    }
}

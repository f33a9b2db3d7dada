//! NOTIFY: what a client wants to hear unasked.
//!
//! RFC 5465 §3.1, §6, §8.
//!
//! Not here: what is told then (server).

use super::ENTRIES_MAX;
use crate::fetch::Item;
use crate::name::MailboxName;
use crate::server::ask::{Among, Events};
use crate::words::{Misread, Reading, Scanner};

/// So many groups may one NOTIFY have.
pub const GROUPS_MAX: usize = 64;

/// The command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notify {
    /// `SET`: these; otherwise `NONE`.
    pub groups: Option<Vec<Group>>,
    /// `STATUS`: and how it stands now.
    pub status: bool,
}

/// Some mailboxes and what is wanted of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Which mailboxes.
    pub filter: Filter,
    /// What.
    pub wanted: Wanted,
}

/// Which mailboxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// The one that is selected: at once.
    Selected,
    /// The one that is selected: messages that are gone only where a command allows it.
    SelectedDelayed,
    /// Others.
    Among(Among),
}

impl Filter {
    /// As on the wire, without names.
    pub fn name(&self) -> &'static str {
        match self {
            Filter::Selected => "selected",
            Filter::SelectedDelayed => "selected-delayed",
            Filter::Among(Among::Inboxes) => "inboxes",
            Filter::Among(Among::Personal) => "personal",
            Filter::Among(Among::Subscribed) => "subscribed",
            Filter::Among(Among::Subtree(_)) => "subtree",
            Filter::Among(Among::Mailboxes(_)) => "mailboxes",
        }
    }
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// What may happen; new messages and those that are gone come together.
    pub events: Events,
    /// What is fetched of each new message in the selected mailbox.
    pub items: Vec<Item>,
    /// An event that we do not know is among them.
    pub unknown: bool,
}

impl Wanted {
    /// The events as on the wire. One that is not known is `AnnotationChange`.
    pub(super) fn names(&self) -> Vec<&'static str> {
        let events = &self.events;
        let names = [
            (events.messages, "MessageNew"),
            (events.messages, "MessageExpunge"),
            (events.flags, "FlagChange"),
            (self.unknown, "AnnotationChange"),
            (events.names, "MailboxName"),
            (events.subscriptions, "SubscriptionChange"),
            (events.metadata, "MailboxMetadataChange"),
            (events.server_metadata, "ServerMetadataChange"),
        ];
        names.into_iter().filter(|(set, _)| *set).map(|(_, name)| name).collect()
    }
}

/// Reads the arguments.
pub(super) fn scan(scanner: &mut Scanner<'_>) -> Reading<Notify> {
    if scanner.eat_word(b"NONE") {
        return Ok(Notify { groups: None, status: false });
    }
    if !scanner.eat_word(b"SET ") {
        return Err(Misread("NOTIFY SET … or NOTIFY NONE"));
    }
    let status = scanner.eat_word(b"STATUS ");
    let mut groups = vec![group(scanner)?];
    while !scanner.is_at_end() {
        if groups.len() == GROUPS_MAX {
            return Err(Misread("too many groups"));
        }
        scanner.space()?;
        groups.push(group(scanner)?);
    }
    let of_selected = groups.iter().filter(|group| !matches!(group.filter, Filter::Among(_))).count();
    if of_selected > 1 {
        return Err(Misread("the selected mailbox is named once"));
    }
    Ok(Notify { groups: Some(groups), status })
}

fn group(scanner: &mut Scanner<'_>) -> Reading<Group> {
    scanner.expect(b'(', "mailboxes and events stand in parentheses")?;
    let filter = filter(scanner)?;
    scanner.space()?;
    let wanted = if scanner.eat_word(b"NONE") { Wanted::default() } else { wanted(scanner)? };
    scanner.expect(b')', "mailboxes and events stand in parentheses")?;
    let Events { names, subscriptions, metadata, server_metadata, .. } = wanted.events;
    match filter {
        Filter::Among(_) if !wanted.items.is_empty() => {
            Err(Misread("only of the selected mailbox messages are fetched"))
        }
        Filter::Selected | Filter::SelectedDelayed if names || subscriptions || metadata || server_metadata => {
            Err(Misread("of the selected mailbox there are events of messages only"))
        }
        filter => Ok(Group { filter, wanted }),
    }
}

fn filter(scanner: &mut Scanner<'_>) -> Reading<Filter> {
    Ok(match scanner.atom()?.to_ascii_lowercase().as_slice() {
        b"selected" => Filter::Selected,
        b"selected-delayed" => Filter::SelectedDelayed,
        word => Filter::Among(among(word, scanner)?.ok_or(Misread(
            "mailboxes are selected, selected-delayed, inboxes, personal, subscribed, subtree, mailboxes",
        ))?),
    })
}

/// Those of this word, in small letters, and of the names behind it.
pub(super) fn among(word: &[u8], scanner: &mut Scanner<'_>) -> Reading<Option<Among>> {
    Ok(Some(match word {
        b"inboxes" => Among::Inboxes,
        b"personal" => Among::Personal,
        b"subscribed" => Among::Subscribed,
        b"subtree" => Among::Subtree(names(scanner)?),
        b"mailboxes" => Among::Mailboxes(names(scanner)?),
        _ => return Ok(None),
    }))
}

pub(super) fn names(scanner: &mut Scanner<'_>) -> Reading<Vec<MailboxName>> {
    scanner.space()?;
    if scanner.peek() != Some(b'(') {
        return Ok(vec![MailboxName::scan(scanner)?]);
    }
    let mut names = Vec::new();
    scanner.list(|scanner| {
        if names.len() == 4 * ENTRIES_MAX {
            return Err(Misread("too many mailboxes"));
        }
        names.push(MailboxName::scan(scanner)?);
        Ok(())
    })?;
    if names.is_empty() { Err(Misread("a mailbox is missing")) } else { Ok(names) }
}

fn wanted(scanner: &mut Scanner<'_>) -> Reading<Wanted> {
    let (mut wanted, mut new, mut gone) = (Wanted::default(), false, false);
    scanner.list(|scanner| {
        match scanner.atom()?.to_ascii_lowercase().as_slice() {
            b"messagenew" => {
                new = true;
                if matches!(scanner.rest(), [b' ', b'(', ..]) {
                    scanner.space()?;
                    wanted.items = Item::scan_all(scanner)?;
                }
            }
            b"messageexpunge" => gone = true,
            b"flagchange" => wanted.events.flags = true,
            b"mailboxname" => wanted.events.names = true,
            b"subscriptionchange" => wanted.events.subscriptions = true,
            b"mailboxmetadatachange" => wanted.events.metadata = true,
            b"servermetadatachange" => wanted.events.server_metadata = true,
            _ => wanted.unknown = true,
        }
        Ok(())
    })?;
    // RFC 5465 §8: the two come together, and FlagChange not without them.
    if new != gone || wanted.events.flags && !new {
        return Err(Misread("MessageNew and MessageExpunge come together, and FlagChange with both"));
    }
    wanted.events.messages = new;
    if wanted.names().is_empty() { Err(Misread("an event is missing")) } else { Ok(wanted) }
}

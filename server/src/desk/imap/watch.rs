//! Other mailboxes than the selected one: what a client wants to hear of them, and what has happened there.
//!
//! RFC 5465 §3.1 (NOTIFY), §5 (events), §5.8 (overflow), §6 (which mailboxes).
//!
//! ```text
//! store ─Change→ hear ─what is watched→ waiting ─News::Elsewhere→ session ─Ask::Elsewhere→ what is true now
//! ```
//!
//! Invariants: what waits to be told is bounded, and several changes of one mailbox are told as one; figures and names are those
//! of the moment when they are told; what the session did itself is not told it again; of others' mailboxes
//! (RFC 4314) nothing is told that LIST and STATUS would not tell.
//! Not here: the selected mailbox (selected), how it is told (imap).

use super::mailboxes::{self, figures};
use super::sharing::OTHERS;
use super::{Desk, Verdict};
use imap::name::MailboxName;
use imap::server::ask::{Among, Events, Happening, Listed, Watch};
use imap::server::{Answer, News};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use store::{
    AccountId, Change, Commit, Committed, MailboxChange, MailboxId, MailboxRef, MailboxRow, ModSeq, Op, Outcome,
};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// So many things may wait until the client can be told; a client that lets more come is told that it was too much.
const WAITING_MAX: usize = 1_000;

/// So much is told in one answer.
const TOLD_AT_ONCE: usize = 100;

/// What a session wants to hear, and what it has not heard yet.
pub(super) struct Watching {
    watches: Vec<Watch>,
    changes: Feed,
    /// Whose mailboxes have no prefix.
    me: AccountId,
    /// What the mailboxes are called here.
    names: HashMap<MailboxId, String>,
    /// Which names are subscribed to.
    subscribed: HashSet<String>,
    /// What is to be told, in order.
    waiting: VecDeque<Event>,
    /// Others have changed something about their mailboxes; which may be listed is to be looked up anew.
    others_changed: bool,
    /// The session knows that something waits.
    woken: bool,
    /// Something was missed, or is too much.
    overflowed: bool,
    /// What the session did itself since its changes were looked through last.
    own: Mutex<Vec<Own>>,
}

/// Mailboxes and what they are called.
type Names = HashMap<MailboxId, String>;

/// What is listened to.
enum Feed {
    /// Changes of one account.
    Own(Receiver<Arc<Change>>),
    /// Those of all, for who watches mailboxes of others: what is shared with him next may be anybody's.
    All(Receiver<Change>),
}

impl Feed {
    async fn recv(&mut self) -> Result<Arc<Change>, RecvError> {
        match self {
            Feed::Own(changes) => changes.recv().await,
            Feed::All(changes) => changes.recv().await.map(Arc::new),
        }
    }

    fn try_recv(&mut self) -> Result<Arc<Change>, TryRecvError> {
        match self {
            Feed::Own(changes) => changes.try_recv(),
            Feed::All(changes) => changes.try_recv().map(Arc::new),
        }
    }
}

/// Something that is to be told.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    Messages { mailbox: MailboxId, flags_only: bool },
    Name { name: String, old: Option<String> },
    Metadata { mailbox: Option<MailboxId>, entries: Vec<String> },
}

/// By what a change of one's own is known again.
#[derive(Debug)]
enum Own {
    Messages(AccountId, ModSeq),
    Name(String),
    Deleted(MailboxId),
    Annotated(Option<MailboxId>),
}

impl Own {
    fn is(&self, change: &Change) -> bool {
        match (self, change) {
            (
                Own::Messages(owner, own),
                Change::Placed { account, modseq, .. }
                | Change::FlagsSet { account, modseq, .. }
                | Change::Expunged { account, modseq, .. },
            ) => (owner, own) == (account, modseq),
            (Own::Name(own), Change::Mailboxes { what, .. }) => what.iter().any(|what| match what {
                MailboxChange::Created { name, .. }
                | MailboxChange::Subscribed(name)
                | MailboxChange::Unsubscribed(name) => own == name,
                MailboxChange::Renamed { source, .. } => own == source,
                _ => false,
            }),
            (Own::Deleted(own), Change::Mailboxes { what, .. }) => {
                what.iter().any(|what| matches!(what, MailboxChange::Deleted { mailbox, .. } if mailbox == own))
            }
            (Own::Annotated(own), Change::Mailboxes { what, .. }) => {
                what.iter().any(|what| matches!(what, MailboxChange::Annotated { mailbox, .. } if mailbox == own))
            }
            _ => false,
        }
    }
}

/// What is known of orders before they are carried out.
pub(super) struct Footprint {
    own: Vec<Own>,
    accounts: Vec<AccountId>,
}

impl Footprint {
    pub(super) fn of(commit: &Commit) -> Self {
        let id = |mailbox: &MailboxRef| match mailbox {
            MailboxRef::Id(mailbox) => Some(*mailbox),
            // The desk names mailboxes by number.
            MailboxRef::Inbox | MailboxRef::Named(_) => None,
        };
        let (mut own, mut accounts) = (Vec::new(), Vec::new());
        for op in &commit.ops {
            accounts.extend(owners(op));
            match op {
                Op::CreateMailbox { name, .. } | Op::Subscribe { name, .. } | Op::Unsubscribe { name, .. } => {
                    own.push(Own::Name(name.clone()));
                }
                // INBOX gives its messages to a new mailbox, and stays.
                Op::RenameMailbox { source, target, .. } => {
                    own.extend([source, target].map(|name| Own::Name(name.clone())));
                }
                Op::DeleteMailbox { mailbox, .. } => own.extend(id(mailbox).map(Own::Deleted)),
                Op::SetMetadata { mailbox, .. } => own.push(Own::Annotated(mailbox.as_ref().and_then(id))),
                _ => {}
            }
        }
        accounts.sort_unstable();
        accounts.dedup();
        Footprint { own, accounts }
    }
}

/// In whose mailboxes an order changes messages.
fn owners(op: &Op) -> Vec<AccountId> {
    match op {
        Op::SetFlags { account, .. }
        | Op::Move { account, .. }
        | Op::ExpungeDeleted { account, .. }
        | Op::Place { account, .. }
        | Op::Expunge { account, .. }
        | Op::RenameMailbox { account, .. } => vec![*account],
        Op::Copy { account, owner, .. } => vec![*account, *owner],
        _ => Vec::new(),
    }
}

impl Watching {
    fn new(watches: Vec<Watch>, changes: Feed, me: AccountId, names: Names, subscribed: Vec<String>) -> Self {
        Watching {
            watches,
            changes,
            me,
            names,
            subscribed: subscribed.into_iter().collect(),
            waiting: VecDeque::new(),
            others_changed: false,
            woken: false,
            overflowed: false,
            own: Mutex::new(Vec::new()),
        }
    }

    /// Remembers what the session did. Its changes are in the feed already.
    pub(super) fn did(&self, footprint: Footprint, committed: &Committed) {
        let changes = committed.outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Placed(placed) => Some(placed.modseq),
            Outcome::Copied { modseq, .. } | Outcome::Expunged { modseq, .. } | Outcome::FlagsSet { modseq, .. } => {
                *modseq
            }
            _ => None,
        });
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            own.extend(footprint.accounts.iter().map(|account| Own::Messages(*account, change)));
        }
        own.extend(footprint.own);
    }

    /// Waits for something that the session should be told. Cancel-safe.
    pub(super) async fn news(&mut self, selected: Option<MailboxId>) -> News {
        loop {
            self.catch_up(selected);
            if !self.woken && (self.overflowed || self.others_changed || !self.waiting.is_empty()) {
                self.woken = true;
                return News::Elsewhere;
            }
            match self.changes.recv().await {
                Ok(change) => self.hear(&change, selected),
                Err(RecvError::Lagged(_)) => self.overflowed = true,
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }

    /// Looks through all that has happened so far. What the session did itself is among it.
    fn catch_up(&mut self, selected: Option<MailboxId>) {
        loop {
            match self.changes.try_recv() {
                Ok(change) => self.hear(&change, selected),
                Err(TryRecvError::Lagged(_)) => self.overflowed = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        self.own.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn hear(&mut self, change: &Change, selected: Option<MailboxId>) {
        let own = self.own.get_mut().unwrap_or_else(PoisonError::into_inner).iter().any(|own| own.is(change));
        match change {
            Change::Mailboxes { account, what } if *account == self.me => self.hear_of_mailboxes(what, own),
            Change::Mailboxes { .. } => self.others_changed = true,
            _ if own => {}
            Change::Placed { mailbox, .. } | Change::Expunged { mailbox, .. } => {
                self.hear_of_messages(*mailbox, false, selected);
            }
            Change::FlagsSet { mailbox, .. } => self.hear_of_messages(*mailbox, true, selected),
            Change::DirectoryChanged => self.others_changed |= matches!(self.changes, Feed::All(_)),
            Change::QueueChanged => {}
        }
        self.overflowed |= self.waiting.len() > WAITING_MAX;
        if self.overflowed {
            self.waiting.clear();
        }
    }

    fn hear_of_messages(&mut self, mailbox: MailboxId, flags: bool, selected: Option<MailboxId>) {
        let Some(name) = self.names.get(&mailbox).filter(|_| selected != Some(mailbox)) else { return };
        if !self.wants(name, |events| if flags { events.flags } else { events.messages }) {
            return;
        }
        let told = self.waiting.iter_mut().find_map(|event| match event {
            Event::Messages { mailbox: other, flags_only } if *other == mailbox => Some(flags_only),
            _ => None,
        });
        match told {
            Some(flags_only) => *flags_only &= flags,
            None => self.waiting.push_back(Event::Messages { mailbox, flags_only: flags }),
        }
    }

    /// Names are learnt from every change, also from those that are not told.
    fn hear_of_mailboxes(&mut self, what: &[MailboxChange], own: bool) {
        for change in what {
            match change {
                MailboxChange::Created { mailbox, name } => {
                    self.names.insert(*mailbox, name.clone());
                    self.hear_of_name(name, None, own);
                    self.hear_of_parent(name, own);
                }
                MailboxChange::Deleted { mailbox, name } => {
                    self.names.remove(mailbox);
                    self.hear_of_name(name, None, own);
                    self.hear_of_parent(name, own);
                }
                MailboxChange::Renamed { mailbox, source, target } => {
                    self.names.insert(*mailbox, target.clone());
                    // RFC 5465 §5.4: children go with it, and nothing is said of them.
                    let goes_along = what.iter().any(|other| match other {
                        MailboxChange::Renamed { source: above, .. } => is_below(source, above),
                        _ => false,
                    });
                    if !goes_along {
                        self.hear_of_name(target, Some(source), own);
                    }
                }
                MailboxChange::Subscribed(name) => {
                    self.subscribed.insert(name.clone());
                    self.hear_of_subscription(name, own);
                }
                MailboxChange::Unsubscribed(name) => {
                    self.hear_of_subscription(name, own);
                    self.subscribed.remove(name);
                }
                MailboxChange::Annotated { mailbox, entries } => self.hear_of_entries(*mailbox, entries, own),
                MailboxChange::Used { .. } | MailboxChange::Shared { .. } => {}
            }
        }
    }

    fn hear_of_name(&mut self, name: &str, old: Option<&str>, own: bool) {
        let wanted = [Some(name), old].into_iter().flatten().any(|name| self.wants(name, |events| events.names));
        if wanted && !own {
            self.tell_name(name, old);
        }
    }

    /// RFC 5465 §5.4: what is above a mailbox that came or went is affected, too.
    fn hear_of_parent(&mut self, name: &str, own: bool) {
        if let Some((above, _)) = name.rsplit_once(store::SEPARATOR) {
            self.hear_of_name(above, None, own);
        }
    }

    fn hear_of_subscription(&mut self, name: &str, own: bool) {
        if !own && self.wants(name, |events| events.subscriptions) {
            self.tell_name(name, None);
        }
    }

    fn tell_name(&mut self, name: &str, old: Option<&str>) {
        let known = |event: &Event| matches!(event, Event::Name { name: other, .. } if other == name);
        if old.is_some() || !self.waiting.iter().any(known) {
            self.waiting.push_back(Event::Name { name: name.to_owned(), old: old.map(str::to_owned) });
        }
    }

    fn hear_of_entries(&mut self, mailbox: Option<MailboxId>, entries: &[String], own: bool) {
        let wanted = match mailbox.map(|mailbox| self.names.get(&mailbox)) {
            None => self.watches.iter().any(|watch| watch.events.server_metadata),
            Some(name) => name.is_some_and(|name| self.wants(name, |events| events.metadata)),
        };
        // What clients cannot name is ours.
        let entries: Vec<String> = entries.iter().filter(|name| mailboxes::is_nameable(name)).cloned().collect();
        if wanted && !own && !entries.is_empty() {
            self.waiting.push_back(Event::Metadata { mailbox, entries });
        }
    }

    fn wants(&self, name: &str, events: impl Fn(&Events) -> bool) -> bool {
        let wants = |watch: &Watch| events(&watch.events) && self.is_meant(&watch.among, name);
        self.watches.iter().any(wants)
    }

    fn is_meant(&self, among: &Among, name: &str) -> bool {
        is_meant(among, name, self.subscribed.contains(name))
    }

    /// The mailboxes that are there and whose messages are watched.
    fn watched(&self) -> Vec<MailboxName> {
        let wanted = self.names.values().filter(|name| self.wants(name, |events| events.messages || events.flags));
        let mut watched: Vec<MailboxName> = wanted.filter_map(|name| MailboxName::new(name)).collect();
        watched.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        watched
    }

    /// Which mailboxes of others may be listed now. RFC 5465 §5.4: to get this right or to lose it is as if the mailbox
    /// were made or removed.
    fn learn_others(&mut self, others: Names) {
        self.others_changed = false;
        let (before, own): (Names, Names) =
            std::mem::take(&mut self.names).into_iter().partition(|(_, name)| name.starts_with(OTHERS));
        self.names = own;
        let gone = before.iter().filter(|(mailbox, _)| !others.contains_key(mailbox));
        gone.for_each(|(_, name)| self.hear_of_name(name, None, false));
        for (mailbox, name) in others {
            let old = before.get(&mailbox).filter(|old| **old != name);
            if old.is_some() || !before.contains_key(&mailbox) {
                self.hear_of_name(&name, old.map(String::as_str), false);
            }
            self.names.insert(mailbox, name);
        }
    }
}

/// Whether a mailbox of this name is among these (RFC 5465 §6).
pub(super) fn is_meant(among: &Among, name: &str, subscribed: bool) -> bool {
    match among {
        // Mail is delivered to INBOX and nowhere else.
        Among::Inboxes => MailboxName::new(name).is_some_and(|name| name.is_inbox()),
        Among::Personal => !name.starts_with(OTHERS),
        Among::Subscribed => subscribed,
        Among::Mailboxes(names) => names.iter().any(|it| it.as_str() == name),
        Among::Subtree(names) => names.iter().any(|it| it.as_str() == name || is_below(name, it.as_str())),
    }
}

fn is_below(name: &str, above: &str) -> bool {
    name.strip_prefix(above).is_some_and(|rest| rest.starts_with(store::SEPARATOR))
}

impl Desk {
    pub(super) async fn watch(&mut self, watches: Vec<Watch>) -> Verdict<Answer> {
        self.watching = None;
        if watches.is_empty() {
            return Ok(Answer::Watching(Vec::new()));
        }
        let account = self.account()?;
        // Before the mailboxes are read, so that nothing is missed between.
        let changes = match watches.iter().any(|watch| reaches_others(&watch.among)) {
            true => Feed::All(self.house.store.changes()),
            false => Feed::Own(self.house.store.changes_of(account)),
        };
        let (rows, subscribed) = self.rows(account).await?;
        let mut names: Names = rows.iter().map(|row| (row.id, row.name.clone())).collect();
        if matches!(changes, Feed::All(_)) {
            names.extend(self.names_of_others().await?);
        }
        let watching = Watching::new(watches, changes, account, names, subscribed);
        let watched = watching.watched();
        self.watching = Some(Box::new(watching));
        Ok(Answer::Watching(watched))
    }

    async fn names_of_others(&self) -> Verdict<Names> {
        let others = self.others().await?;
        Ok(others.into_iter().map(|(mailbox, name)| (mailbox, name.as_str().to_owned())).collect())
    }

    async fn rows(&self, account: AccountId) -> Verdict<(Vec<MailboxRow>, Vec<String>)> {
        self.read(move |store| Ok((store.mailboxes(account)?, store.subscriptions(account)?))).await
    }

    pub(super) async fn elsewhere(&mut self) -> Verdict<Answer> {
        let Some(mut watching) = self.watching.take() else {
            return Ok(Answer::Elsewhere { happened: Vec::new(), more: false });
        };
        let selected = self.selected.as_ref().map(|selected| selected.mailbox);
        watching.catch_up(selected);
        watching.woken = false;
        match self.happened(&mut watching, selected).await {
            Ok(happened) if !watching.overflowed => {
                let more = !watching.waiting.is_empty();
                self.watching = Some(watching);
                Ok(Answer::Elsewhere { happened, more })
            }
            // RFC 5465 §5.8: as if NOTIFY NONE were said. The client looks for itself.
            _ => Ok(Answer::Elsewhere { happened: vec![Happening::Overflow], more: false }),
        }
    }

    async fn happened(&self, watching: &mut Watching, selected: Option<MailboxId>) -> Verdict<Vec<Happening>> {
        if watching.others_changed {
            watching.learn_others(self.names_of_others().await?);
        }
        let upto = watching.waiting.len().min(TOLD_AT_ONCE);
        let events: Vec<Event> = watching.waiting.drain(..upto).collect();
        let (rows, _) = self.rows(watching.me).await?;
        let listed = self.mailboxes().await?;
        let mut happened = Vec::new();
        for event in events {
            match event {
                Event::Messages { mailbox, flags_only } if !rows.iter().any(|row| row.id == mailbox) => {
                    happened.extend(self.happened_to_others(watching, mailbox, flags_only, selected).await);
                }
                event => happened.extend(happening(event, &rows, &listed, selected)),
            }
        }
        Ok(happened)
    }

    /// What may not be read any more is not told.
    async fn happened_to_others(
        &self,
        watching: &Watching,
        mailbox: MailboxId,
        flags_only: bool,
        selected: Option<MailboxId>,
    ) -> Option<Happening> {
        let name = watching.names.get(&mailbox).filter(|_| selected != Some(mailbox))?;
        let name = MailboxName::new(name)?;
        let place = self.place(&name, "lr").await.ok()?;
        Some(Happening::Messages { mailbox: name, status: figures(&place.row, 0), flags_only })
    }
}

/// Whether others' mailboxes may be among these.
fn reaches_others(among: &Among) -> bool {
    let is_theirs = |name: &MailboxName| format!("{}/", name.as_str()).starts_with(OTHERS);
    match among {
        Among::Inboxes | Among::Personal => false,
        Among::Subscribed => true,
        Among::Subtree(names) | Among::Mailboxes(names) => names.iter().any(is_theirs),
    }
}

/// What is true now of what has happened.
fn happening(event: Event, rows: &[MailboxRow], listed: &[Listed], selected: Option<MailboxId>) -> Option<Happening> {
    let row = |mailbox: MailboxId| rows.iter().find(|row| row.id == mailbox);
    match event {
        Event::Messages { mailbox, flags_only } => {
            let row = row(mailbox).filter(|_| selected != Some(mailbox))?;
            let name = MailboxName::new(&row.name)?;
            Some(Happening::Messages { mailbox: name, status: figures(row, 0), flags_only })
        }
        Event::Name { name, old } => {
            let has_children = listed.iter().any(|it| it.exists && is_below(it.name.as_str(), &name));
            let there = listed.iter().find(|it| it.name.as_str() == name).cloned();
            let listed = there.or_else(|| MailboxName::new(&name).map(Listed::nonexistent))?;
            Some(Happening::Name { listed, has_children, old: old.and_then(|old| MailboxName::new(&old)) })
        }
        Event::Metadata { mailbox, entries } => {
            let mailbox = match mailbox {
                Some(mailbox) => Some(MailboxName::new(&row(mailbox)?.name)?),
                None => None,
            };
            Some(Happening::Metadata { mailbox, entries })
        }
    }
}

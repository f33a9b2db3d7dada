//! NOTIFY: what is told unasked, of the selected mailbox and of others.
//!
//! RFC 5465 §3.1, §4 (IDLE), §5 (events), §5.8 (overflow), §6.1 (the selected mailbox).
//!
//! Until NOTIFY is said, changes of the selected mailbox are told behind commands and in IDLE. Afterwards what was asked for
//! is told, and nothing else: new messages that are not to be told stay unknown to the client, and have no number.
//!
//! Invariants: behind NOTIFY nothing is told of the selected mailbox that was not asked for, but for what the client itself
//! has removed; a message that was not told has no number.
//! Not here: what happens elsewhere (house).

use super::Server;
use super::ask::{Answer, Ask, Events, Happening, Listed, Status, Watch};
use super::fetch::FetchWork;
use super::stage::{Attention, Member, Pending, Stage, Then, Turn};
use crate::capability::Capability as C;
use crate::command::StatusItem;
use crate::command::notify::{Filter, Group, Notify};
use crate::name::MailboxName;
use crate::reply::{Pen, Reply};
use crate::server::ask::Fetch;
use crate::set::NumberSet;
use std::collections::VecDeque;

/// A NOTIFY under way.
#[derive(Debug)]
pub(super) struct NotifyWork {
    attention: Attention,
    /// Whether it is to be told how the mailboxes stand.
    status: bool,
    /// Those that are still to be told.
    mailboxes: VecDeque<MailboxName>,
    /// The one that is asked about.
    current: Option<MailboxName>,
}

impl Server {
    pub(super) fn notify(&mut self, member: Box<Member>, turn: Turn, notify: Notify) -> Stage {
        let groups = notify.groups.unwrap_or_default();
        if let Some(reply) = self.bad_event(&groups) {
            return self.finish(member, turn, reply);
        }
        let attention = groups.iter().find_map(attention).unwrap_or_else(Attention::none);
        let watch = |group: Group| match group.filter {
            Filter::Among(among) => Some(Watch { among, events: group.wanted.events }),
            _ => None,
        };
        let watches = groups.into_iter().filter_map(watch).collect();
        let work = NotifyWork { attention, status: notify.status, mailboxes: VecDeque::new(), current: None };
        self.await_answer(member, turn, Ask::Watch(watches), Pending::Watch(work))
    }

    /// RFC 5465 §3.1: an event that we do not know costs a NO that names those we do.
    fn bad_event(&self, groups: &[Group]) -> Option<Reply> {
        let annotations = self.offers(C::Metadata);
        let unknown = |group: &Group| {
            let Events { metadata, server_metadata, .. } = group.wanted.events;
            group.wanted.unknown || !annotations && (metadata || server_metadata)
        };
        groups.iter().any(unknown).then(|| {
            Reply::no("there is no such event").coded(match annotations {
                true => {
                    "BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange \
                     MailboxMetadataChange ServerMetadataChange)"
                }
                false => "BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange)",
            })
        })
    }

    pub(super) fn watching(
        &mut self,
        mut member: Box<Member>,
        turn: Turn,
        mut work: NotifyWork,
        mailboxes: Vec<MailboxName>,
    ) -> Stage {
        member.attention = std::mem::replace(&mut work.attention, Attention::none());
        let selected = member.mailbox.as_ref().map(|mailbox| mailbox.name.clone());
        work.mailboxes = mailboxes.into_iter().filter(|name| work.status && Some(name) != selected.as_ref()).collect();
        self.notify_on(member, turn, work)
    }

    /// The next mailbox whose standing is to be told, or the end.
    fn notify_on(&mut self, member: Box<Member>, turn: Turn, mut work: NotifyWork) -> Stage {
        work.current = work.mailboxes.pop_front();
        match work.current.clone() {
            Some(mailbox) => {
                self.await_answer(member, turn, Ask::Status { mailbox, size: false }, Pending::WatchStatus(work))
            }
            None => {
                // RFC 5465 §3.1: all that was not told yet is told now.
                let expunges = member.attention.expunged;
                self.finish(member, Turn { expunges, ..turn }, Reply::ok("it will be told"))
            }
        }
    }

    pub(super) fn watch_status(&mut self, member: Box<Member>, turn: Turn, work: NotifyWork, answer: Answer) -> Stage {
        if let (Answer::Status(status), Some(mailbox)) = (answer, &work.current) {
            self.write_standing(&member, mailbox, &status, false);
        }
        self.notify_on(member, turn, work)
    }

    fn write_standing(&mut self, member: &Member, mailbox: &MailboxName, status: &Status, flags_only: bool) {
        let mut items = match flags_only {
            true => vec![StatusItem::UidValidity, StatusItem::Unseen],
            false => vec![StatusItem::UidValidity, StatusItem::UidNext, StatusItem::Messages],
        };
        if member.enabled.condstore {
            items.push(StatusItem::HighestModSeq);
        }
        self.write_status(member, mailbox, &items, status);
    }

    /// Changes of the selected mailbox between commands.
    pub(super) fn selected_has_changed(&mut self, member: Box<Member>) -> Stage {
        let expunges = member.attention.expunged && !member.attention.delayed;
        let turn = Turn { tag: Vec::new(), uid: false, expunges };
        self.await_answer(member, turn, Ask::Sync, Pending::Unasked)
    }

    /// Something has happened in other mailboxes.
    pub(super) fn elsewhere(&mut self, member: Box<Member>, turn: Turn, then: Then) -> Stage {
        self.await_answer(member, turn, Ask::Elsewhere, Pending::Elsewhere(then))
    }

    pub(super) fn happened(
        &mut self,
        mut member: Box<Member>,
        turn: Turn,
        happened: Vec<Happening>,
        more: bool,
        then: Then,
    ) -> Stage {
        for happening in happened {
            match happening {
                Happening::Messages { mailbox, status, flags_only } => {
                    self.write_standing(&member, &mailbox, &status, flags_only);
                }
                Happening::Name { listed, has_children, old } => {
                    self.write_name(&member, &listed, has_children, old.as_ref());
                }
                Happening::Metadata { mailbox, entries } => self.write_entries(&member, mailbox.as_ref(), &entries),
                Happening::Overflow => {
                    member.attention = Attention::none();
                    Reply::ok("too much happens").coded("NOTIFICATIONOVERFLOW").write(None, &mut self.said);
                }
            }
        }
        if more { self.elsewhere(member, turn, then) } else { self.go_on(member, turn, then) }
    }

    /// What follows when everything was told.
    pub(super) fn go_on(&mut self, mut member: Box<Member>, turn: Turn, then: Then) -> Stage {
        self.write_added(&mut member);
        match then {
            Then::Reply(reply) => self.reply(Stage::Member(member), &turn.tag, &reply),
            Then::Idle => Stage::Idling { member, turn },
            Then::Nothing => Stage::Member(member),
        }
    }

    /// RFC 5465 §5.2, §7: of messages that are new in the selected mailbox, what was asked for is fetched unasked, in one FETCH
    /// each. §5.2 wants ADDTO before it and §7 behind it; it comes behind.
    pub(super) fn fetch_new(&mut self, mut member: Box<Member>, turn: Turn, then: Then) -> Stage {
        let Some(mailbox) = &mut member.mailbox else { return self.go_on(member, turn, then) };
        let mut new = std::mem::take(&mut mailbox.new);
        let mut items = member.attention.items.clone();
        if let Some(contexts) = &mailbox.contexts {
            let (uids, wished) = contexts.wishes(&new);
            new = if items.is_empty() { uids } else { new };
            items.extend(wished.into_iter().filter(|item| !member.attention.items.contains(item)));
        }
        if new.is_empty() || items.is_empty() {
            return self.go_on(member, turn, then);
        }
        let fetch = Fetch { uids: NumberSet::new(), items, changed_since: None, mark_seen: false };
        let work = FetchWork::new(new, fetch, Reply::ok("told")).then(then);
        self.fetch_begin(member, turn, work)
    }

    fn write_name(&mut self, member: &Member, listed: &Listed, has_children: bool, old: Option<&MailboxName>) {
        let attributes = [
            (!listed.exists, "\\NonExistent"),
            (listed.exists && !listed.selectable, "\\Noselect"),
            (listed.exists && has_children, "\\HasChildren"),
            (listed.exists && !has_children, "\\HasNoChildren"),
            (listed.subscribed, "\\Subscribed"),
        ];
        let utf8 = member.enabled.names_in_utf8();
        let mut pen = Pen(&mut self.said);
        pen.word("* LIST (");
        let mut first = true;
        for (_, attribute) in attributes.into_iter().filter(|(set, _)| *set) {
            pen.gap(&mut first).word(attribute);
        }
        pen.word(") \"/\" ").mailbox(&listed.name, utf8);
        if let Some(old) = old {
            pen.word(" (\"OLDNAME\" (").mailbox(old, utf8).word("))");
        }
        pen.end();
    }

    fn write_entries(&mut self, member: &Member, mailbox: Option<&MailboxName>, entries: &[String]) {
        let mut pen = Pen(&mut self.said);
        pen.word("* METADATA ");
        match mailbox {
            Some(mailbox) => pen.mailbox(mailbox, member.enabled.names_in_utf8()),
            None => pen.word("\"\""),
        };
        for name in entries {
            pen.word(" ").astring(name);
        }
        pen.end();
    }
}

/// What a group about the selected mailbox asks for.
fn attention(group: &Group) -> Option<Attention> {
    let delayed = match group.filter {
        Filter::Selected => false,
        Filter::SelectedDelayed => true,
        Filter::Among(_) => return None,
    };
    let Events { messages, flags, .. } = group.wanted.events;
    let items = group.wanted.items.clone();
    Some(Attention { new: messages, expunged: messages, flags, at_once: true, delayed, items })
}

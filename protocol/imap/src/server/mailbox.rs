//! Mailboxes as a whole: opening, closing, making, removing; and messages by the set: expunge, copy, batches.
//!
//! RFC 9051 §6.3.2 (SELECT), §6.3.4–6.3.6, §6.3.11 (STATUS), §6.3.13 (IDLE), §6.4.1–6.4.3, §6.4.7, §6.4.8; RFC 7162 §3.2
//! (QRESYNC); RFC 8474 §4 (MAILBOXID); RFC 10022 (UIDBATCHES).
//!
//! Departure: `0 RECENT` for those who have not enabled IMAP4rev2 (see [`crate::flag`]).
//!
//! Invariants: a SELECT that fails leaves nothing selected; nothing is announced behind CLOSE.
//! Not here: which mailboxes there are (house), LIST (list).

use super::ask::{Answer, Ask, Copied, Fetch, ObjectId, Selected, SpecialUse, Status};
use super::fetch::FetchWork;
use super::stage::{Mailbox, Member, Pending, Stage, Turn};
use super::{Server, refusal};
use crate::capability::Capability;
use crate::command::{Named, Resync, Select, StatusItem};
use crate::fetch::Item;
use crate::name::MailboxName;
use crate::reply::{Code, Pen, Reply};
use crate::set::NumberSet;

/// RFC 10022 §3: a client must not ask for smaller batches, and a server must take these.
const BATCH_MIN: u32 = 500;

/// RFC 10022 §3: one command must not span more messages.
const BATCHED_MAX: u64 = 100_000;

/// A client that comes back is told what it has missed.
#[derive(Debug)]
pub(super) struct Resyncing {
    /// What ends the SELECT.
    reply: Reply,
    /// The UIDs that it knows.
    known: NumberSet,
    /// The number of the last change that it knows of.
    since: u64,
}

impl Server {
    pub(super) fn select(&mut self, mut member: Box<Member>, turn: Turn, select: Select) -> Stage {
        let unknown = select.condstore && !self.offers(Capability::Condstore);
        if unknown || select.resync.is_some() && !member.enabled.qresync {
            return self.reply(Stage::Member(member), &turn.tag, &Reply::bad("ENABLE QRESYNC comes first"));
        }
        let by_numbers = select.resync.as_ref().is_some_and(|resync| resync.matched.is_some());
        if member.enabled.uid_only && by_numbers {
            let reply = Reply::bad("UIDONLY is enabled, there are no numbers").coded("UIDREQUIRED");
            return self.reply(Stage::Member(member), &turn.tag, &reply);
        }
        if member.mailbox.take().is_some() {
            // RFC 9051 §7.1: what is said from here on is about the next one.
            Reply::ok("the mailbox before is closed").coded("CLOSED").write(None, &mut self.said);
        }
        let ask = Ask::Select { mailbox: select.mailbox.clone(), read_only: select.read_only };
        self.await_answer(member, turn, ask, Pending::Select(select))
    }

    pub(super) fn selected_now(
        &mut self,
        mut member: Box<Member>,
        turn: Turn,
        select: Select,
        selected: &Selected,
    ) -> Stage {
        member.enabled.condstore |= select.condstore;
        let mut mailbox = Mailbox::new(select.mailbox, selected);
        mailbox.read_only |= select.read_only;
        self.describe(&member, &mailbox, selected);
        let reply = match mailbox.read_only {
            true => Reply::ok("open for reading").coded("READ-ONLY"),
            false => Reply::ok("open").coded("READ-WRITE"),
        };
        member.mailbox = Some(mailbox);
        match select.resync {
            Some(Resync { uidvalidity, modseq, known, matched })
                if uidvalidity == selected.uidvalidity && selected.uidnext > 1 && modseq < selected.highestmodseq =>
            {
                let all = NumberSet::range(1, selected.uidnext - 1);
                let known = known.map_or(all.clone(), |known| known.intersection(&all));
                let floor = matched.map_or(0, |it| matched_until(member.mailbox.as_ref(), &it.0, &it.1));
                let uids = known.difference(&NumberSet::range(1, floor));
                let work = Resyncing { reply, known, since: modseq };
                if uids.is_empty() {
                    return self.resynced(member, turn, work, &NumberSet::new());
                }
                let ask = Ask::Vanished { since: modseq, uids: uids.clone() };
                self.await_answer(member, turn, ask, Pending::ResyncVanished(work, uids))
            }
            _ => self.reply(Stage::Member(member), &turn.tag, &reply),
        }
    }

    /// What SELECT tells before its reply.
    fn describe(&mut self, member: &Member, mailbox: &Mailbox, selected: &Selected) {
        let rev1 = !member.enabled.rev2;
        self.write_flags(mailbox);
        Pen(&mut self.said).word("* ").number(mailbox.view.count()).word(" EXISTS").end();
        if rev1 {
            Pen(&mut self.said).word("* 0 RECENT").end();
        }
        let unseen = selected.first_unseen.and_then(|uid| mailbox.view.number_of(uid));
        if let Some(number) = unseen.filter(|_| rev1) {
            Reply::ok("the first unseen").with(Code::Unseen(number)).write(None, &mut self.said);
        }
        self.write_permanent_flags(mailbox);
        let said = &mut self.said;
        Reply::ok("UIDs are valid").with(Code::UidValidity(selected.uidvalidity)).write(None, said);
        Reply::ok("the next UID").with(Code::UidNext(selected.uidnext)).write(None, said);
        if self.settings.capabilities.has(Capability::Condstore) {
            let code = Code::HighestModSeq(selected.highestmodseq);
            Reply::ok("the last change").with(code).write(None, &mut self.said);
        }
        if self.settings.capabilities.has(Capability::ObjectId) {
            let code = Code::MailboxId(selected.id.as_str().to_owned());
            Reply::ok("its name for ever").with(code).write(None, &mut self.said);
        }
        if self.settings.capabilities.has(Capability::Urlauth) {
            self.write_url_mechanisms();
        }
        if !rev1 {
            Pen(&mut self.said).word("* LIST () \"/\" ").mailbox(&mailbox.name, true).end();
        }
    }

    /// RFC 7162 §3.2.5: those that are gone, then the flags of those that have changed.
    pub(super) fn resynced(&mut self, member: Box<Member>, turn: Turn, work: Resyncing, vanished: &NumberSet) -> Stage {
        let Resyncing { reply, known, since } = work;
        let Some(mailbox) = &member.mailbox else { return self.reply(Stage::Member(member), &turn.tag, &reply) };
        let vanished = vanished.difference(&mailbox.view.known(vanished));
        if !vanished.is_empty() {
            Pen(&mut self.said).word("* VANISHED (EARLIER) ").set(&vanished).end();
        }
        let turn = Turn { uid: true, ..turn };
        let items = vec![Item::Flags];
        let uids = mailbox.view.known(&known);
        let fetch = Fetch { uids: NumberSet::new(), items, changed_since: Some(since), mark_seen: false };
        self.fetch_begin(member, turn, FetchWork::new(uids, fetch, reply))
    }

    pub(super) fn create(
        &mut self,
        member: Box<Member>,
        turn: Turn,
        mailbox: MailboxName,
        uses: Vec<SpecialUse>,
    ) -> Stage {
        if !uses.is_empty() && !self.offers(Capability::CreateSpecialUse) {
            return self.finish(member, turn, Reply::bad("CREATE takes a name and nothing else"));
        }
        self.await_answer(member, turn, Ask::Create { mailbox, uses }, Pending::Created)
    }

    pub(super) fn created(&mut self, member: Box<Member>, turn: Turn, id: &ObjectId) -> Stage {
        let reply = Reply::ok("created");
        let reply = match self.offers(Capability::ObjectId) {
            true => reply.with(Code::MailboxId(id.as_str().to_owned())),
            false => reply,
        };
        self.finish(member, turn, reply)
    }

    /// Who deletes the mailbox that he has selected has none selected any more.
    pub(super) fn deleted(&mut self, mut member: Box<Member>, turn: Turn, mailbox: &MailboxName) -> Stage {
        let reply = Reply::ok("deleted");
        if member.mailbox.as_ref().is_none_or(|selected| selected.name != *mailbox) {
            return self.finish(member, turn, reply);
        }
        member.mailbox = None;
        Reply::ok("the selected mailbox is gone").coded("CLOSED").write(None, &mut self.said);
        self.await_answer(member, turn, Ask::Deselect, Pending::Deselect(reply))
    }

    pub(super) fn status(
        &mut self,
        mut member: Box<Member>,
        turn: Turn,
        mailbox: MailboxName,
        items: Vec<StatusItem>,
    ) -> Stage {
        if let Some(reply) = self.status_unknown(&items) {
            return self.finish(member, turn, reply);
        }
        member.enabled.condstore |= items.contains(&StatusItem::HighestModSeq);
        let ask = Ask::Status { mailbox: mailbox.clone(), size: wants_size(&items) };
        self.await_answer(member, turn, ask, Pending::Status { mailbox, items })
    }

    /// An item that belongs to what is not offered.
    pub(super) fn status_unknown(&self, items: &[StatusItem]) -> Option<Reply> {
        use Capability as C;
        let belongs = |item: &StatusItem| match item {
            StatusItem::Size => Some(C::StatusSize),
            StatusItem::Deleted => Some(C::Imap4rev2),
            StatusItem::HighestModSeq => Some(C::Condstore),
            StatusItem::AppendLimit => Some(C::Appendlimit),
            StatusItem::MailboxId => Some(C::ObjectId),
            StatusItem::DeletedStorage => Some(C::QuotaResStorage),
            _ => None,
        };
        let unknown = items.iter().filter_map(belongs).any(|capability| !self.offers(capability));
        unknown.then(|| Reply::bad("STATUS does not tell this"))
    }

    pub(super) fn write_status(
        &mut self,
        member: &Member,
        mailbox: &MailboxName,
        items: &[StatusItem],
        status: &Status,
    ) {
        let limit = status.append_limit.unwrap_or(self.settings.message_max);
        let mut pen = Pen(&mut self.said);
        pen.word("* STATUS ").mailbox(mailbox, member.enabled.names_in_utf8()).word(" (");
        let mut first = true;
        for item in items {
            pen.gap(&mut first).word(item.name()).word(" ");
            match item {
                StatusItem::Messages => pen.number(status.messages),
                StatusItem::Recent => pen.number(0u32),
                StatusItem::UidNext => pen.number(status.uidnext),
                StatusItem::UidValidity => pen.number(status.uidvalidity),
                StatusItem::Unseen => pen.number(status.unseen),
                StatusItem::Deleted => pen.number(status.deleted),
                StatusItem::Size => pen.number(status.size),
                StatusItem::HighestModSeq => pen.number(status.highestmodseq),
                StatusItem::AppendLimit => pen.number(limit),
                StatusItem::MailboxId => pen.object_id(status.id.as_str()),
                StatusItem::DeletedStorage => pen.number(status.deleted_size.div_ceil(1024)),
            };
        }
        pen.word(")").end();
    }

    pub(super) fn idle(&mut self, member: Box<Member>, turn: Turn) -> Stage {
        self.pen().word("+ idling").end();
        if member.mailbox.is_some() {
            return self.await_answer(member, turn, Ask::Sync, Pending::Idle);
        }
        Stage::Idling { member, turn }
    }

    pub(super) fn unselect(&mut self, member: Box<Member>, turn: Turn) -> Stage {
        self.await_answer(member, turn, Ask::Deselect, Pending::Deselect(Reply::ok("closed")))
    }

    pub(super) fn close(&mut self, member: Box<Member>, turn: Turn) -> Stage {
        if member.mailbox.as_ref().is_some_and(|mailbox| mailbox.read_only) {
            return self.unselect(member, turn);
        }
        self.await_answer(member, turn, Ask::Expunge { uids: None }, Pending::CloseExpunge)
    }

    /// RFC 9051 §6.4.1: the mailbox is closed whether or not messages could be removed.
    pub(super) fn close_expunged(&mut self, member: Box<Member>, turn: Turn, answer: &Answer) -> Stage {
        let reply = match answer {
            Answer::Expunged { uids, modseq } if member.enabled.condstore && !uids.is_empty() => {
                Reply::ok("closed").with(Code::HighestModSeq(*modseq))
            }
            Answer::Expunged { .. } => Reply::ok("closed"),
            // RFC 4314 §4: who may not remove messages may close all the same.
            _ => Reply::ok("closed, but nothing was removed"),
        };
        self.await_answer(member, turn, Ask::Deselect, Pending::Deselect(reply))
    }

    pub(super) fn expunge(&mut self, member: Box<Member>, turn: Turn, messages: Option<&Named>) -> Stage {
        let uids = match messages {
            None => None,
            Some(_) if !self.offers(Capability::Uidplus) => {
                return self.finish(member, turn, Reply::bad("unknown command"));
            }
            Some(named) => match self.uids_named(&member, &turn, named) {
                Ok(uids) if uids.is_empty() => return self.finish(member, turn, Reply::ok("nothing to remove")),
                Ok(uids) => Some(uids),
                Err(reply) => return self.finish(member, turn, reply),
            },
        };
        self.await_answer(member, turn, Ask::Expunge { uids }, Pending::Expunge)
    }

    pub(super) fn expunged(&mut self, mut member: Box<Member>, turn: Turn, uids: &NumberSet, modseq: u64) -> Stage {
        let reply = match member.enabled.condstore && !uids.is_empty() {
            true => Reply::ok("removed").with(Code::HighestModSeq(modseq)),
            false => Reply::ok("removed"),
        };
        if let Some(mailbox) = &mut member.mailbox {
            mailbox.view.lose(uids);
        }
        self.finish(member, turn, reply)
    }

    pub(super) fn copy(
        &mut self,
        member: Box<Member>,
        turn: Turn,
        messages: &Named,
        to: MailboxName,
        remove: bool,
    ) -> Stage {
        match self.uids_named(&member, &turn, messages) {
            Ok(uids) if uids.is_empty() => self.finish(member, turn, Reply::ok("no messages")),
            Ok(uids) => {
                let ask = Ask::Copy { uids, to, remove };
                self.await_answer(member, turn, ask, Pending::Copy { removed: remove })
            }
            Err(reply) => self.finish(member, turn, reply),
        }
    }

    pub(super) fn copied(&mut self, mut member: Box<Member>, turn: Turn, removed: bool, copied: Copied) -> Stage {
        let Copied { uidvalidity, from, to, modseq } = copied;
        if from.is_empty() {
            let reply =
                if turn.uid { Reply::ok("no messages") } else { refusal::reply_to(super::ask::Refusal::ExpungeIssued) };
            return self.finish(member, turn, reply);
        }
        let code = Code::CopyUid { uidvalidity, from: from.clone(), to };
        let uids = self.offers(Capability::Uidplus);
        if !removed {
            let reply = Reply::ok("copied");
            let reply = if uids { reply.with(code) } else { reply };
            return self.finish(member, turn, reply);
        }
        // RFC 9051 §6.4.8: before the first EXPUNGE, so that a client knows where its message went.
        if uids {
            Reply::ok("moved").with(code).write(None, &mut self.said);
        }
        if let Some(mailbox) = &mut member.mailbox {
            mailbox.view.lose(&from);
        }
        let reply = Reply::ok("moved");
        let reply = if member.enabled.condstore { reply.with(Code::HighestModSeq(modseq)) } else { reply };
        self.finish(member, turn, reply)
    }

    /// Batches from the largest UID down, of the same size but the last.
    pub(super) fn uidbatches(
        &mut self,
        member: Box<Member>,
        turn: Turn,
        size: u32,
        batches: Option<(u32, u32)>,
    ) -> Stage {
        let Some(mailbox) = &member.mailbox else {
            return self.finish(member, turn, Reply::bad("select a mailbox first"));
        };
        if size < BATCH_MIN {
            return self.finish(member, turn, Reply::no("a batch has 500 messages at least").coded("TOOFEW"));
        }
        if batches.is_some_and(|(first, last)| first > last) {
            return self.finish(member, turn, Reply::bad("the batches stand the wrong way round").coded("CLIENTBUG"));
        }
        if batches.is_some_and(|(first, last)| u64::from(last - first + 1) * u64::from(size) > BATCHED_MAX) {
            return self.finish(member, turn, Reply::no("too many messages at once").coded("TOOMANY"));
        }
        let ranges = batch_ranges(mailbox, size, batches);
        let mut pen = Pen(&mut self.said);
        pen.word("* UIDBATCHES (TAG ").quoted_tag(&turn.tag).word(")");
        for (at, (high, low)) in ranges.into_iter().enumerate() {
            pen.word(if at == 0 { " " } else { "," }).number(high).word(":").number(low);
        }
        pen.end();
        self.finish(member, turn, Reply::ok("batches follow one another"))
    }

    /// The UIDs that a command names; those that the client has not been told to be gone, and are, among them.
    pub(super) fn uids_named(&self, member: &Member, turn: &Turn, messages: &Named) -> Result<NumberSet, Reply> {
        let Some(mailbox) = &member.mailbox else { return Ok(NumberSet::new()) };
        let view = &mailbox.view;
        match messages {
            Named::Saved => Ok(view.known(&mailbox.saved)),
            Named::Set(set) if turn.uid => Ok(view.known(&set.resolve(view.last_uid()))),
            // RFC 9051 §9, `seq-number`: a number that no message has is an error of the client.
            Named::Set(set) if set.largest_written().is_some_and(|number| number > view.count()) => {
                Err(Reply::bad("there are not so many messages"))
            }
            Named::Set(_) if view.count() == 0 => Err(Reply::bad("there are no messages")),
            Named::Set(set) => Ok(view.uids_of(&set.resolve(view.last_number()))),
        }
    }
}

/// RFC 7162 §3.2.5.2: up to this UID the client knows who is gone, for its numbers are ours.
fn matched_until(mailbox: Option<&Mailbox>, numbers: &NumberSet, uids: &NumberSet) -> u32 {
    let Some(mailbox) = mailbox else { return 0 };
    let pairs = numbers.iter().zip(uids.iter());
    pairs.take_while(|(number, uid)| mailbox.view.number_of(*uid) == Some(*number)).last().map_or(0, |(_, uid)| uid)
}

pub(super) fn wants_size(items: &[StatusItem]) -> bool {
    items.iter().any(|item| matches!(item, StatusItem::Size | StatusItem::DeletedStorage))
}

/// Largest and smallest UID of each batch; together they reach down to 1.
fn batch_ranges(mailbox: &Mailbox, size: u32, batches: Option<(u32, u32)>) -> Vec<(u32, u32)> {
    let view = &mailbox.view;
    let (first, last) = batches.unwrap_or((1, u32::MAX));
    let uid_at = |number: u32| view.uids_of(&NumberSet::range(number, number)).first();
    let mut ranges = Vec::new();
    let mut batch = first;
    while batch <= last {
        let Some(high) = view.count().checked_sub((batch - 1).saturating_mul(size)).filter(|number| *number > 0) else {
            break;
        };
        let below = high.saturating_sub(size);
        let high = uid_at(high).unwrap_or(1);
        let low = if below == 0 { 1 } else { uid_at(below).map_or(1, |uid| uid + 1) };
        ranges.push((high, low));
        let Some(next) = batch.checked_add(1) else { break };
        batch = next;
    }
    ranges
}

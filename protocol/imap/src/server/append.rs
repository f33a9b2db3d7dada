//! APPEND and REPLACE: messages that come in.
//!
//! RFC 9051 §6.3.12; RFC 3502 (several, all or none; an empty one takes it all back); RFC 4315 §3 (APPENDUID); RFC 7889
//! (APPENDLIMIT); RFC 8508 (REPLACE); RFC 7888 §4 (literals that are refused).
//!
//! Departure: RFC 9755 §4 has a message with UTF-8 in its header refused to clients that have not enabled UTF8=ACCEPT. We take
//! it from everybody, as POP3 gives it to everybody: such headers are older than the extension, and who moves his mail
//! here must not lose them.
//!
//! Octets go to the house as they come. A NUL in a literal that must have none is refused behind it.
//!
//! Invariants: nothing is said to be appended before the house said that it is on disk; what is refused is not kept.
//! Not here: what stands around the messages ([`crate::command::append`]).

use super::ask::{Answer, Ask, Draft, Refusal};
use super::stage::{Member, Pending, Stage, Turn};
use super::{Server, refusal};
use crate::capability::Capability;
use crate::command::Opening;
use crate::command::append::{Before, Head, head, next};
use crate::name::MailboxName;
use crate::reply::{Code, Reply};
use crate::set::NumberSet;
use crate::table::{Expunges, Verb};
use crate::words::{Announced, Misread};
use line::Exposure;

/// How much content is taken at once: what the house is given in one piece.
const STRETCH_MAX: usize = 64 * 1024;

/// So many messages may one APPEND have: each is open until the last.
const MESSAGES_MAX: u32 = 1_000;

/// No literal that is an argument is longer: the name of a mailbox.
const ARGUMENT_MAX: u64 = 4 * 1024;

/// An APPEND or REPLACE under way.
#[derive(Debug)]
pub(super) struct Append {
    mailbox: MailboxName,
    /// REPLACE: which message, by UID.
    replacing: Option<u32>,
    replaces: bool,
    /// How many messages have come whole.
    messages: u32,
    announced: Announced,
    wrapped: bool,
    /// How many octets of this one are to come.
    left: u64,
    /// A NUL was where none may be.
    nul: bool,
}

impl Append {
    /// Whether the message has come whole.
    pub(super) fn is_whole(&self) -> bool {
        self.left == 0
    }
}

impl Server {
    /// APPEND or REPLACE announces a literal: an argument, or the first message.
    pub(super) fn append_literal(
        &mut self,
        member: Box<Member>,
        opening: &Opening<'_>,
        text: &[u8],
        announced: Announced,
    ) -> Stage {
        let replaces = opening.row.verb == Verb::Replace;
        let expunges = opening.row.expunges == Expunges::Told;
        let turn = Turn { tag: opening.tag.to_vec(), uid: opening.uid, expunges };
        let tag = Some(turn.tag.clone());
        let stage = |member| Stage::Member(member);
        match head(opening.rest, replaces, member.enabled.names_in_utf8()) {
            Ok(Head::Argument) if announced.octets <= ARGUMENT_MAX => {
                self.accept_literal(stage(member), text.to_vec(), announced)
            }
            Ok(Head::Argument) => {
                let reply = Reply::bad("no mailbox has such a long name");
                self.refuse_literal(stage(member), tag, reply, announced)
            }
            Ok(Head::Message { replacing, mailbox, before }) => {
                let uids = replacing.as_ref().map(|named| self.uids_named(&member, &turn, named));
                let uid = match uids {
                    None => None,
                    Some(Ok(uids)) if uids.is_empty() => {
                        let reply = Reply::no("there is no such message").coded("NONEXISTENT");
                        return self.refuse_literal(stage(member), tag, reply, announced);
                    }
                    Some(Ok(uids)) => uids.first(),
                    Some(Err(reply)) => return self.refuse_literal(stage(member), tag, reply, announced),
                };
                let append = Append {
                    mailbox,
                    replacing: uid,
                    replaces,
                    messages: 0,
                    announced,
                    wrapped: false,
                    left: 0,
                    nul: false,
                };
                self.append_message(member, turn, Box::new(append), before)
            }
            Err(Misread(why)) => self.refuse_literal(stage(member), tag, Reply::bad(why), announced),
        }
    }

    fn append_message(&mut self, member: Box<Member>, turn: Turn, mut append: Box<Append>, before: Before) -> Stage {
        let Before { flags, date, announced, wrapped } = before;
        append.announced = announced;
        append.wrapped = wrapped;
        append.left = announced.octets;
        if let Some(reply) = self.append_forbidden(&append) {
            return self.append_refused(member, turn, &append, reply);
        }
        let draft = Draft {
            mailbox: append.mailbox.clone(),
            flags,
            date,
            size: announced.octets,
            binary: announced.binary,
            before: append.messages,
        };
        self.await_answer(member, turn, Ask::AppendMessage(draft), Pending::AppendMessage(append))
    }

    fn append_forbidden(&self, append: &Append) -> Option<Reply> {
        let announced = append.announced;
        if announced.octets > self.settings.message_max {
            return Some(refusal::reply_to(Refusal::TooLarge));
        }
        // RFC 3502 §6.3.11: who sends nothing takes everything back.
        if announced.octets == 0 {
            return Some(Reply::no("taken back, nothing was appended"));
        }
        if announced.binary && !self.offers(Capability::Binary) && !append.wrapped {
            return Some(Reply::bad("no binary literals here"));
        }
        (append.messages >= MESSAGES_MAX).then(|| Reply::no("too many messages at once").coded("LIMIT"))
    }

    /// The message is not wanted; what came before it goes, too.
    fn append_refused(&mut self, member: Box<Member>, turn: Turn, append: &Append, reply: Reply) -> Stage {
        let Announced { waits, .. } = append.announced;
        if waits && append.messages > 0 {
            self.gather.clear();
            return self.abandon(member, turn, reply);
        }
        if append.messages > 0 {
            // The house may forget the first messages while the client sends on.
            self.question = Some(Ask::AppendAbandon);
        }
        let stage = self.refuse_literal(Stage::Member(member), Some(turn.tag.clone()), reply, append.announced);
        match (stage, self.question.is_some()) {
            (Stage::Member(member), true) => {
                let pending = Box::new(Pending::AppendAbandoned);
                Stage::Awaiting { member, turn, pending }
            }
            (stage, _) => stage,
        }
    }

    pub(super) fn append_begun(
        &mut self,
        member: Box<Member>,
        turn: Turn,
        append: Box<Append>,
        answer: Answer,
    ) -> Stage {
        if answer != Answer::Done {
            let reply = self.refusal_of(answer);
            // The house has forgotten everything already.
            return self.refuse_literal(Stage::Member(member), Some(turn.tag), reply, append.announced);
        }
        self.gather.clear();
        self.go_ahead(append.announced);
        Stage::Appending { member, turn, append }
    }

    /// Takes a stretch of a message.
    pub(super) fn take_content(&mut self, bytes: &[u8]) -> usize {
        let Stage::Appending { append, .. } = &mut self.stage else { return 0 };
        let left = usize::try_from(append.left).unwrap_or(usize::MAX);
        let stretch = &bytes[..bytes.len().min(STRETCH_MAX).min(left)];
        append.left -= stretch.len() as u64;
        append.nul |= !append.announced.binary && memchr::memchr(0, stretch).is_some();
        self.kept.extend_from_slice(stretch);
        self.exposure = Exposure::Content;
        self.restart_clock();
        stretch.len()
    }

    /// The line behind a message.
    pub(super) fn append_goes_on(
        &mut self,
        member: Box<Member>,
        turn: Turn,
        mut append: Box<Append>,
        announces: bool,
    ) -> Stage {
        let line = self.gather.take_text();
        append.messages += 1;
        let wrapped = std::mem::take(&mut append.wrapped);
        match next(&line, wrapped) {
            Ok(None) if append.nul => {
                let reply = Reply::no("a message with NUL in it comes as a literal ~{n}").coded("UNKNOWN-CTE");
                self.abandon(member, turn, reply)
            }
            Ok(None) => {
                let replacing = append.replacing;
                self.await_answer(member, turn, Ask::AppendCommit { replacing }, Pending::AppendCommit { replacing })
            }
            Ok(Some(before)) if !append.replaces && self.offers(Capability::Multiappend) => {
                self.append_message(member, turn, append, before)
            }
            Ok(Some(before)) => {
                append.announced = before.announced;
                self.append_refused(member, turn, &append, Reply::bad("one message at a time"))
            }
            Err(Misread(why)) => match crate::words::announced(&line).filter(|_| announces) {
                Some(announced) => {
                    append.announced = announced;
                    self.append_refused(member, turn, &append, Reply::bad(why))
                }
                None => self.abandon(member, turn, Reply::bad(why)),
            },
        }
    }

    /// Nothing of it is to be kept.
    pub(super) fn abandon(&mut self, member: Box<Member>, turn: Turn, reply: Reply) -> Stage {
        self.await_answer(member, turn, Ask::AppendAbandon, Pending::AppendAbandon(reply))
    }

    pub(super) fn appended(
        &mut self,
        mut member: Box<Member>,
        turn: Turn,
        replacing: Option<u32>,
        uidvalidity: u32,
        uids: NumberSet,
    ) -> Stage {
        let code = Code::AppendUid { uidvalidity, uids };
        let offered = self.offers(Capability::Uidplus);
        let Some(replaced) = replacing else {
            let reply = Reply::ok("appended");
            return self.finish(member, turn, if offered { reply.with(code) } else { reply });
        };
        // RFC 8508 §3.4: where the new one is, before the old one goes.
        if offered {
            Reply::ok("the new one is here").with(code).write(None, &mut self.said);
        }
        if let Some(mailbox) = &mut member.mailbox {
            mailbox.view.lose(&NumberSet::range(replaced, replaced));
        }
        self.finish(member, turn, Reply::ok("replaced"))
    }
}

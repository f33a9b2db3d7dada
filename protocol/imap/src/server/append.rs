//! APPEND and REPLACE: messages that come in.
//!
//! RFC 9051 §6.3.12; RFC 3502 (several, all or none; an empty one takes it all back); RFC 4315 §3 (APPENDUID); RFC 7889
//! (APPENDLIMIT); RFC 8508 (REPLACE); RFC 7888 §4 (literals that are refused); RFC 4469 §3 (CATENATE).
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
use super::{COMMAND_MAX, Server, refusal};
use crate::capability::Capability;
use crate::command::Opening;
use crate::command::append::{Before, Coming, Head, Next, Part, head, next, parts};
use crate::name::MailboxName;
use crate::reply::{Code, Reply};
use crate::set::NumberSet;
use crate::table::{Expunges, Verb};
use crate::url::MessageUrl;
use crate::words::{self, Announced, Misread, Reading};
use line::Exposure;
use std::collections::VecDeque;

/// How much content is taken at once: what the house is given in one piece.
const STRETCH_MAX: usize = 64 * 1024;

/// So many messages may one APPEND have: each is open until the last.
const MESSAGES_MAX: u32 = 1_000;

/// No literal that is an argument is longer: the name of a mailbox.
const ARGUMENT_MAX: u64 = 4 * 1024;

/// No literal follows; a client that heard a reply has sent nothing more.
const NO_LITERAL: Announced = Announced { octets: 0, waits: true, binary: false, marker_len: 0 };

/// An APPEND or REPLACE under way.
#[derive(Debug)]
pub(super) struct Append {
    mailbox: MailboxName,
    /// REPLACE: which message, by UID.
    replacing: Option<u32>,
    replaces: bool,
    /// How many messages the house has, the last one perhaps not whole.
    messages: u32,
    /// The literal that the last line has ended in.
    announced: Announced,
    wrapped: bool,
    /// CATENATE: what the message is put together of, as far as that has come.
    parts: Option<VecDeque<Part>>,
    /// CATENATE: how many octets it has so far.
    octets: u64,
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
        let stage = |member| Stage::Member(member);
        let head = head(opening.rest, opening.row.verb == Verb::Replace, member.enabled.names_in_utf8());
        match head {
            Ok(Head::Argument) if announced.octets <= ARGUMENT_MAX && text.len() <= COMMAND_MAX => {
                self.accept_literal(stage(member), text.to_vec(), announced)
            }
            Ok(Head::Argument) => {
                let reply = Reply::bad("no mailbox has such a long name");
                self.refuse_literal(stage(member), Some(opening.tag.to_vec()), reply, announced)
            }
            head => self.append_headed(member, opening, head, announced),
        }
    }

    /// A whole line without a message: all of it stands in URLs.
    pub(super) fn append_line(&mut self, member: Box<Member>, opening: &Opening<'_>) -> Stage {
        let head = head(opening.rest, opening.row.verb == Verb::Replace, member.enabled.names_in_utf8());
        match head {
            Err(Misread(why)) => self.misbehaved(Stage::Member(member), Some(opening.tag), why),
            head => self.append_headed(member, opening, head, NO_LITERAL),
        }
    }

    fn append_headed(
        &mut self,
        member: Box<Member>,
        opening: &Opening<'_>,
        head: Reading<Head>,
        announced: Announced,
    ) -> Stage {
        let replaces = opening.row.verb == Verb::Replace;
        let expunges = opening.row.expunges == Expunges::Told;
        let turn = Turn { tag: opening.tag.to_vec(), uid: opening.uid, expunges };
        let tag = Some(turn.tag.clone());
        let stage = |member| Stage::Member(member);
        match head {
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
                    parts: None,
                    octets: 0,
                    left: 0,
                    nul: false,
                };
                self.append_message(member, turn, Box::new(append), before)
            }
            Ok(Head::Argument) => {
                self.refuse_literal(stage(member), tag, Reply::bad("the command is not whole"), announced)
            }
            Err(Misread(why)) => self.refuse_literal(stage(member), tag, Reply::bad(why), announced),
        }
    }

    fn append_message(&mut self, member: Box<Member>, turn: Turn, mut append: Box<Append>, before: Before) -> Stage {
        let Before { flags, date, coming } = before;
        let (mut size, mut binary) = (0, false);
        append.octets = 0;
        (append.parts, append.wrapped) = (None, false);
        match coming {
            Coming::Whole { announced, wrapped } => {
                (append.announced, append.wrapped) = (announced, wrapped);
                append.left = announced.octets;
                (size, binary) = (announced.octets, announced.binary);
            }
            Coming::Catenated(parts) => {
                append.announced = literal_of(&parts);
                append.parts = Some(parts);
            }
        }
        if let Some(reply) = self.append_forbidden(&append) {
            return self.append_refused(member, turn, &append, reply);
        }
        let draft = Draft { mailbox: append.mailbox.clone(), flags, date, size, binary, before: append.messages };
        self.await_answer(member, turn, Ask::AppendMessage(draft), Pending::AppendMessage(append))
    }

    fn append_forbidden(&self, append: &Append) -> Option<Reply> {
        if append.messages >= MESSAGES_MAX {
            return Some(Reply::no("too many messages at once").coded("LIMIT"));
        }
        if append.parts.is_some() {
            let missing = !self.offers(Capability::Catenate);
            return missing.then(|| Reply::bad("messages are not put together here"));
        }
        // RFC 3502 §6.3.11: who sends nothing takes everything back.
        if append.announced.octets == 0 {
            return Some(Reply::no("taken back, nothing was appended"));
        }
        self.literal_forbidden(append)
    }

    fn literal_forbidden(&self, append: &Append) -> Option<Reply> {
        let announced = append.announced;
        if append.octets.saturating_add(announced.octets) > self.settings.message_max {
            return Some(refusal::reply_to(Refusal::TooLarge));
        }
        if announced.binary && !self.offers(Capability::Binary) && !append.wrapped {
            return Some(Reply::bad("no binary literals here"));
        }
        None
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
        mut append: Box<Append>,
        answer: Answer,
    ) -> Stage {
        if answer != Answer::Done {
            let reply = self.refusal_of(answer);
            // The house has forgotten everything already.
            return self.refuse_literal(Stage::Member(member), Some(turn.tag), reply, append.announced);
        }
        append.messages += 1;
        if append.parts.is_some() {
            return self.catenate(member, turn, append);
        }
        self.gather.clear();
        self.go_ahead(append.announced);
        Stage::Appending { member, turn, append }
    }

    /// The next part of a message that is put together.
    fn catenate(&mut self, member: Box<Member>, turn: Turn, mut append: Box<Append>) -> Stage {
        match append.parts.as_mut().and_then(VecDeque::pop_front) {
            Some(Part::Url(url)) => match MessageUrl::parse(&url) {
                Some(part) => self.await_answer(member, turn, Ask::AppendPart(part), Pending::AppendPart(append, url)),
                None => self.append_refused(member, turn, &append, bad_url(&url)),
            },
            Some(Part::Text(announced)) => match self.literal_forbidden(&append) {
                Some(reply) => self.append_refused(member, turn, &append, reply),
                None => {
                    let ask = Ask::AppendText { size: announced.octets };
                    self.await_answer(member, turn, ask, Pending::AppendText(append))
                }
            },
            Some(Part::End(_)) if append.octets == 0 => {
                self.append_refused(member, turn, &append, Reply::no("taken back, nothing was appended"))
            }
            Some(Part::End(rest)) => {
                append.parts = None;
                self.append_next(member, turn, append, rest)
            }
            // A line of parts ends in a text or in the end.
            None => Stage::BetweenMessages { member, turn, append },
        }
    }

    /// The house has room for a text, or has not.
    pub(super) fn append_text(
        &mut self,
        member: Box<Member>,
        turn: Turn,
        mut append: Box<Append>,
        answer: Answer,
    ) -> Stage {
        if answer != Answer::Done {
            let reply = self.refusal_of(answer);
            return self.append_refused(member, turn, &append, reply);
        }
        self.gather.clear();
        self.go_ahead(append.announced);
        append.left = append.announced.octets;
        append.octets += append.left;
        Stage::Appending { member, turn, append }
    }

    /// The house has put a part behind the message, or has not.
    pub(super) fn append_part(
        &mut self,
        member: Box<Member>,
        turn: Turn,
        mut append: Box<Append>,
        url: &str,
        answer: Answer,
    ) -> Stage {
        let reply = match answer {
            Answer::AppendedPart { octets } => {
                append.octets = append.octets.saturating_add(octets);
                if append.octets <= self.settings.message_max {
                    return self.catenate(member, turn, append);
                }
                refusal::reply_to(Refusal::TooLarge)
            }
            Answer::Refused(
                Refusal::NoSuchMailbox
                | Refusal::NoSelect
                | Refusal::NoPermission
                | Refusal::ExpungeIssued
                | Refusal::Cannot,
            ) => bad_url(url),
            answer => self.refusal_of(answer),
        };
        self.append_refused(member, turn, &append, reply)
    }

    /// The line behind a text of CATENATE.
    fn catenate_on(&mut self, member: Box<Member>, turn: Turn, mut append: Box<Append>, line: Vec<u8>) -> Stage {
        let announced = words::announced(&line);
        append.announced = announced.unwrap_or(NO_LITERAL);
        match (parts(&line), announced) {
            (Ok(Some(parts)), _) => {
                append.announced = literal_of(&parts);
                append.parts = Some(parts);
                self.catenate(member, turn, append)
            }
            (Ok(None), Some(announced)) => self.append_argument(member, turn, append, line, announced),
            (Ok(None), None) => self.append_refused(member, turn, &append, Reply::bad("the command is not whole")),
            (Err(Misread(why)), _) => self.append_refused(member, turn, &append, Reply::bad(why)),
        }
    }

    /// A literal that is an argument, behind a message or a part of one.
    fn append_argument(
        &mut self,
        member: Box<Member>,
        turn: Turn,
        append: Box<Append>,
        line: Vec<u8>,
        announced: Announced,
    ) -> Stage {
        if announced.octets > ARGUMENT_MAX || line.len() > COMMAND_MAX {
            return self.append_refused(member, turn, &append, Reply::bad("the URL is too long"));
        }
        self.accept_literal(Stage::BetweenMessages { member, turn, append }, line, announced)
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
    pub(super) fn append_goes_on(&mut self, member: Box<Member>, turn: Turn, append: Box<Append>) -> Stage {
        let line = self.gather.take_text();
        match append.parts {
            Some(_) => self.catenate_on(member, turn, append, line),
            None => self.append_next(member, turn, append, line),
        }
    }

    fn append_next(&mut self, member: Box<Member>, turn: Turn, mut append: Box<Append>, line: Vec<u8>) -> Stage {
        append.announced = words::announced(&line).unwrap_or(NO_LITERAL);
        match next(&line, append.wrapped) {
            Ok(Next::End) if append.nul => {
                let reply = Reply::no("a message with NUL in it comes as a literal ~{n}").coded("UNKNOWN-CTE");
                self.abandon(member, turn, reply)
            }
            Ok(Next::End) => {
                let replacing = append.replacing;
                self.await_answer(member, turn, Ask::AppendCommit { replacing }, Pending::AppendCommit { replacing })
            }
            Ok(Next::Message(before)) if !append.replaces && self.offers(Capability::Multiappend) => {
                self.append_message(member, turn, append, before)
            }
            Ok(Next::Message(_)) => self.append_refused(member, turn, &append, Reply::bad("one message at a time")),
            Ok(Next::Argument) => {
                let announced = append.announced;
                self.append_argument(member, turn, append, line, announced)
            }
            Err(Misread(why)) => self.append_refused(member, turn, &append, Reply::bad(why)),
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

/// The literal that a line of parts ends in.
fn literal_of(parts: &VecDeque<Part>) -> Announced {
    match parts.back() {
        Some(Part::Text(announced)) => *announced,
        Some(Part::End(rest)) => words::announced(rest).unwrap_or(NO_LITERAL),
        Some(Part::Url(_)) | None => NO_LITERAL,
    }
}

/// RFC 4469 §4.1: which URL it was.
fn bad_url(url: &str) -> Reply {
    Reply::no("nothing can be had there").with(Code::BadUrl(url.to_owned()))
}

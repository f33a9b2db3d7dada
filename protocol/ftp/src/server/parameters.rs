//! How transfers are to be: TYPE, MODE, REST, RANG, ALLO, OPTS.
//!
//! RFC 959 §4.1.2 and §4.1.3; RFC 3659 §5 (REST), §7.9 (OPTS MLST); draft-bryan-ftp-range-08 §3 (RANG);
//! draft-bryan-ftpext-hash-02 §3.2 (OPTS HASH).
//!
//! Invariants: REST and RANG hold for one transfer, the next one, whatever becomes of it, and one makes the other void.
//! Not here: what becomes of them (transfer).

use super::Server;
use super::ask::{Answer, Ask};
use super::stage::{Member, Question, Span, Stage};
use crate::command::{Facts, Mode, Options, Representation};
use crate::reply::Reply;
use crate::words;

impl Server {
    pub(super) fn set_type(&mut self, mut member: Member, representation: Representation) -> Stage {
        member.representation = representation;
        let reply = match representation {
            Representation::Ascii => &words::ASCII_TYPE,
            Representation::Image => &words::IMAGE_TYPE,
        };
        self.stay(Stage::Member(member), reply)
    }

    pub(super) fn set_mode(&mut self, mut member: Member, mode: Mode) -> Stage {
        let reply = match mode {
            Mode::Stream => &words::STREAM_MODE,
            Mode::Deflate if self.settings.deflate => &words::DEFLATE_MODE,
            Mode::Deflate => &words::OTHER_MODE,
        };
        if reply.is_positive() {
            member.mode = mode;
        }
        self.stay(Stage::Member(member), reply)
    }

    pub(super) fn rest(&mut self, mut member: Member, offset: u64) -> Stage {
        if offset > 0 && member.representation == Representation::Ascii {
            return self.stay(Stage::Member(member), &words::NOT_IN_ASCII);
        }
        member.span = if offset > 0 { Span::From(offset) } else { Span::Whole };
        let text = format!("Restarting at {offset}. Send STOR or RETR.");
        self.stay(Stage::Member(member), &Reply::new(350, text))
    }

    pub(super) fn rang(&mut self, mut member: Member, first: u64, last: u64) -> Stage {
        // A range that cannot be is refused, and resets all the same (draft-bryan-ftp-range-08 §3).
        member.span = Span::Whole;
        let until = last.checked_add(1).filter(|_| first <= last);
        let reply = match until {
            _ if (first, last) == (1, 0) => words::RANGE_RESET.clone(),
            None => words::BAD_RANGE.clone(),
            Some(_) if member.representation == Representation::Ascii => words::NOT_IN_ASCII.clone(),
            Some(until) => {
                member.span = Span::Between(first, until);
                Reply::new(350, format!("Restarting at {first}. Ending at {last}."))
            }
        };
        self.stay(Stage::Member(member), &reply)
    }

    pub(super) fn allo(&mut self, member: Member, octets: u64) -> Stage {
        self.ask(Ask::Fits { directory: member.here.clone(), octets });
        Stage::Awaiting { member, question: Question::Fits(octets) }
    }

    pub(super) fn fits(&mut self, mut member: Member, octets: u64, answer: Answer) -> Stage {
        let reply = match answer {
            Answer::Done => {
                member.announced = Some(octets);
                words::RESERVED.clone()
            }
            Answer::Refused(refusal) => refusal.reply(),
            _ => words::CONFUSED.clone(),
        };
        self.stay(Stage::Member(member), &reply)
    }

    /// The facts that the house can tell of.
    pub(super) fn facts_known(&self) -> Facts {
        if self.settings.creation_times { Facts::ALL } else { Facts::WITHOUT_CREATION }
    }

    pub(super) fn opts(&mut self, stage: Stage, options: Options) -> Stage {
        let known = self.facts_known();
        let wishes = &mut self.link.wishes;
        let reply = match options {
            Options::Utf8 => words::UTF8_IS_ON.clone(),
            Options::Facts(facts) => {
                let facts = facts.among(known);
                wishes.facts = facts;
                Reply::new(200, format!("MLST OPTS {}", facts.selected()).trim_end())
            }
            Options::Hash(kind) => {
                wishes.hash = kind.unwrap_or(wishes.hash);
                Reply::new(200, wishes.hash.name())
            }
            Options::Deflate(_) if !self.settings.deflate => words::NO_SUCH_OPTION.clone(),
            Options::Deflate(level) => {
                wishes.deflate = level.unwrap_or(wishes.deflate);
                words::DEFLATE_SET.clone()
            }
        };
        self.stay(stage, &reply)
    }
}

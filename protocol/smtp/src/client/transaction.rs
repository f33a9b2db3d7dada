//! One mail on its way: the envelope, the content, the verdict, and what each recipient makes of it.
//!
//! RFC 5321 §3.3 (order), §4.5.3.1.8 and §4.5.3.1.10 (too many recipients), §4.5.2 (dots); RFC 2920 §3.1 (groups:
//! every reply is looked at; content of a mail without recipients is a dot alone).
//!
//! A mail with more recipients than one transaction takes becomes several; so does one whose server says 452 to some
//! behind others that it took. Each transaction settles somebody, so it ends.
//!
//! Invariants: replies are counted, never guessed; no outcome is given twice.

use super::capabilities::Capabilities;
use super::endings::Endings;
use super::outcome::says_too_many;
use super::{Ask, Cause, Client, Link, Mail, Outcome, Stage, State, Trouble};
use crate::command::Command;
use crate::params::{Body, MailParams, RcptParams, Submitter};
use crate::reply::Reply;
use line::{Dotter, Exposure};
use std::collections::VecDeque;
use std::time::Instant;

/// A mail and what is known of its recipients so far.
#[derive(Debug)]
pub(super) struct Job {
    mail: Box<Mail>,
    outcomes: Vec<Option<Outcome>>,
    /// Recipients, by number, who wait for a transaction.
    waiting: VecDeque<usize>,
}

/// A command of the envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    Reset,
    Mail,
    /// The recipient of that number.
    Rcpt(usize),
    Data,
}

/// One transaction of a mail.
#[derive(Debug)]
pub(super) struct Transaction {
    job: Job,
    link: Link,
    /// What is to be said, in order.
    moves: Vec<Move>,
    /// How many of them were said.
    said: usize,
    /// How many of them were answered.
    answered: usize,
    /// Who was accepted.
    accepted: Vec<usize>,
    /// Who shall come with the next transaction, because this one is full.
    put_off: Vec<usize>,
    /// Why there is no transaction.
    refused: Option<Reply>,
    endings: Endings,
    dots: Dotter,
    /// How many octets of content were asked for and given.
    offset: u64,
}

impl Job {
    pub fn new(mail: Box<Mail>) -> Self {
        let count = mail.recipients.len();
        Job { mail, outcomes: vec![None; count], waiting: (0..count).collect() }
    }

    fn settle(&mut self, recipient: usize, outcome: Outcome) {
        self.outcomes[recipient].get_or_insert(outcome);
    }

    /// Gives everybody without an outcome this one; nobody waits any longer.
    fn settle_rest(&mut self, outcome: &Outcome) {
        for open in &mut self.outcomes {
            open.get_or_insert_with(|| outcome.clone());
        }
        self.waiting.clear();
    }

    fn needs_smtputf8(&self) -> bool {
        let mail = &self.mail;
        mail.smtputf8 || !mail.sender.is_ascii() || mail.recipients.iter().any(|recipient| !recipient.path.is_ascii())
    }

    /// Why this server cannot have it.
    fn unfit(&self, capabilities: &Capabilities) -> Option<Cause> {
        match capabilities.size_max {
            _ if self.needs_smtputf8() && !capabilities.smtputf8 => Some(Cause::NoSmtpUtf8),
            Some(size_max) if self.mail.size > size_max => Some(Cause::TooLarge { size_max }),
            _ => None,
        }
    }

    fn mail_command(&self, capabilities: &Capabilities) -> Command {
        let Mail { sender, size, eight_bit, ret, envid, .. } = &*self.mail;
        let params = MailParams {
            size: capabilities.size.then_some(*size),
            body: (*eight_bit && capabilities.eight_bit).then_some(Body::EightBitMime),
            smtputf8: self.needs_smtputf8(),
            // RFC 4954 §5: we do not tell who submitted it; to whom we have authenticated, we must say so.
            auth: capabilities.logged_in.then_some(Submitter::Unknown),
            ret: ret.filter(|_| capabilities.dsn),
            envid: envid.clone().filter(|_| capabilities.dsn),
        };
        Command::Mail(sender.clone(), params)
    }

    fn rcpt_command(&self, recipient: usize, capabilities: &Capabilities) -> Command {
        let recipient = &self.mail.recipients[recipient];
        let mut params = RcptParams::default();
        if capabilities.dsn {
            params = recipient.params.clone();
            // RFC 6533 §3: not in UTF-8 to a server that may not take it.
            params.orcpt = params.orcpt.filter(|orcpt| capabilities.smtputf8 || orcpt.address.is_ascii());
        }
        Command::Rcpt(recipient.path.clone(), params)
    }
}

impl Transaction {
    fn new(mut job: Job, link: Link, recipients_max: usize) -> Self {
        let count = job.waiting.len().min(recipients_max.max(1));
        let recipients = job.waiting.drain(..count).map(Move::Rcpt);
        let reset = link.littered.then_some(Move::Reset);
        let moves = reset.into_iter().chain([Move::Mail]).chain(recipients).chain([Move::Data]).collect();
        Transaction {
            job,
            link,
            moves,
            said: 0,
            answered: 0,
            accepted: Vec::new(),
            put_off: Vec::new(),
            refused: None,
            endings: Endings::default(),
            dots: Dotter::new(),
            offset: 0,
        }
    }

    /// Which answer the server owes.
    pub fn stage(&self) -> Stage {
        match self.moves.get(self.answered) {
            Some(Move::Reset | Move::Mail) => Stage::Mail,
            Some(Move::Rcpt(_)) => Stage::Rcpt,
            Some(Move::Data) | None => Stage::Data,
        }
    }

    /// What can be said next, if every answer so far is in: nothing, if the rest makes no sense.
    fn next_move(&self) -> Option<Move> {
        match self.moves.get(self.said) {
            Some(Move::Data) if self.accepted.is_empty() => None,
            Some(Move::Rcpt(_) | Move::Data) if self.refused.is_some() => None,
            next => next.copied(),
        }
    }

    /// The answer to RCPT.
    fn recipient_answered(&mut self, recipient: usize, reply: Reply) {
        if self.refused.is_some() {
            return;
        }
        if reply.is_positive() {
            self.accepted.push(recipient);
        } else if says_too_many(&reply) && !self.accepted.is_empty() {
            self.put_off.push(recipient);
        } else {
            let trouble = Trouble::new(Stage::Rcpt, Cause::Reply(reply));
            self.job.settle(recipient, trouble.outcome());
        }
    }

    fn settle_accepted(&mut self, outcome: &Outcome) {
        for recipient in std::mem::take(&mut self.accepted) {
            self.job.settle(recipient, outcome.clone());
        }
    }

    /// A refusal of the sender is one of everybody.
    fn settle_refused(&mut self) {
        if let Some(reply) = self.refused.take() {
            self.job.settle_rest(&Trouble::new(Stage::Mail, Cause::Reply(reply)).outcome());
        }
    }
}

impl Client {
    /// Begins the next transaction of a mail, or reports if there is none to begin.
    pub(super) fn begin(&mut self, mut job: Job, link: Link, now: Instant) {
        if let Some(cause) = job.unfit(&link.capabilities) {
            job.settle_rest(&Trouble::new(Stage::Mail, cause).outcome());
        }
        if job.waiting.is_empty() {
            return self.report(job, Some(link));
        }
        let recipients_max = link.capabilities.recipients_max.unwrap_or(usize::MAX).min(self.settings.recipients_max);
        let transaction = Transaction::new(job, link, recipients_max);
        self.go_on(transaction, now);
    }

    /// Says what can be said now: all of it in a group, or one command at a time.
    fn go_on(&mut self, mut transaction: Transaction, now: Instant) {
        let grouped = self.settings.pipelining && transaction.link.capabilities.pipelining;
        let until = if grouped { transaction.moves.len() } else { transaction.said + 1 };
        while transaction.said < until {
            let next = transaction.moves[transaction.said];
            transaction.said += 1;
            let capabilities = &transaction.link.capabilities;
            self.say(&match next {
                Move::Reset => Command::Rset,
                Move::Mail => transaction.job.mail_command(capabilities),
                Move::Rcpt(recipient) => transaction.job.rcpt_command(recipient, capabilities),
                Move::Data => Command::Data,
            });
        }
        self.await_envelope(transaction, now);
    }

    fn await_envelope(&mut self, transaction: Transaction, now: Instant) {
        let waits = &self.settings.waits;
        self.deadline = now
            + match transaction.stage() {
                Stage::Rcpt => waits.rcpt,
                Stage::Data => waits.data,
                _ => waits.mail,
            };
        self.state = State::Envelope(transaction);
    }

    /// The next answer has come.
    pub(super) fn envelope(&mut self, mut transaction: Transaction, reply: Reply, now: Instant) {
        let stage = transaction.stage();
        let Some(answered) = transaction.moves.get(transaction.answered).copied() else {
            return self.lose(transaction, Trouble::new(stage, Cause::Garbled));
        };
        // RFC 5321 §3.8: 421 at any time means that the server goes.
        if reply.code() == 421 || answered == Move::Reset && !reply.is_positive() {
            let cause = if reply.is_permanent() { Cause::Garbled } else { Cause::Reply(reply) };
            return self.lose(transaction, Trouble::new(stage, cause));
        }
        transaction.answered += 1;
        match answered {
            Move::Reset => {}
            Move::Mail if reply.is_positive() => {}
            Move::Mail => transaction.refused = Some(reply),
            Move::Rcpt(recipient) => transaction.recipient_answered(recipient, reply),
            Move::Data => return self.data_answered(transaction, reply, now),
        }
        if transaction.answered < transaction.said {
            return self.await_envelope(transaction, now);
        }
        match transaction.next_move() {
            Some(_) => self.go_on(transaction, now),
            // There will be no content; a transaction is open if MAIL was not refused.
            None => {
                let littered = transaction.refused.is_none();
                self.finish(transaction, littered, now);
            }
        }
    }

    fn data_answered(&mut self, mut transaction: Transaction, reply: Reply, now: Instant) {
        match (reply.is_intermediate(), transaction.accepted.is_empty()) {
            (true, false) => {
                self.asked = Some(Ask::Content { offset: 0 });
                self.state = State::Content(transaction);
            }
            (true, true) => {
                // RFC 2920 §3.1: the server expects content for nobody; it gets none.
                self.said.extend(b".\r\n");
                self.deadline = now + self.settings.waits.verdict;
                self.state = State::Void(transaction);
            }
            (false, true) => {
                let littered = transaction.refused.is_none();
                self.finish(transaction, littered, now);
            }
            (false, false) => {
                let trouble = Trouble::new(Stage::Data, Cause::Reply(reply));
                transaction.settle_accepted(&trouble.outcome());
                self.finish(transaction, true, now);
            }
        }
    }

    /// Some content from the house.
    pub(super) fn pass_on(&mut self, mut transaction: Transaction, octets: &[u8], last: bool, now: Instant) {
        self.said_exposure = Exposure::Content;
        let clean = transaction.endings.clean(octets);
        transaction.dots.put(&clean, &mut self.said);
        transaction.offset += octets.len() as u64;
        if !last {
            self.asked = Some(Ask::Content { offset: transaction.offset });
            self.state = State::Content(transaction);
            return;
        }
        let rest = transaction.endings.end();
        transaction.dots.put(rest, &mut self.said);
        transaction.dots.end(&mut self.said);
        self.deadline = now + self.settings.waits.verdict;
        self.state = State::Verdict(transaction);
    }

    /// The final dot is answered.
    pub(super) fn judged(&mut self, mut transaction: Transaction, reply: Reply, now: Instant) {
        if reply.code() == 421 {
            return self.lose(transaction, Trouble::new(Stage::Verdict, Cause::Reply(reply)));
        }
        let outcome = match reply.is_positive() {
            true => Outcome::Delivered(reply),
            false => Trouble::new(Stage::Verdict, Cause::Reply(reply)).outcome(),
        };
        transaction.settle_accepted(&outcome);
        self.finish(transaction, false, now);
    }

    /// The transaction is over; `littered` if the server still believes it open.
    pub(super) fn finish(&mut self, mut transaction: Transaction, littered: bool, now: Instant) {
        transaction.settle_refused();
        let Transaction { mut job, link, put_off, .. } = transaction;
        job.waiting.extend(put_off);
        self.begin(job, Link { littered, ..link }, now);
    }

    /// The connection is of no more use: who was accepted has this trouble, who has no outcome yet must wait.
    pub(super) fn lose(&mut self, mut transaction: Transaction, trouble: Trouble) {
        self.said.clear();
        transaction.settle_refused();
        if trouble.is_permanent() {
            let stage = trouble.stage;
            transaction.settle_accepted(&Outcome::Failed(trouble));
            transaction.job.settle_rest(&Outcome::Deferred(Trouble::new(stage, Cause::Dropped)));
        } else {
            transaction.job.settle_rest(&Outcome::Deferred(trouble));
        }
        self.report(transaction.job, None);
    }

    fn report(&mut self, job: Job, link: Option<Link>) {
        let outcomes = job.outcomes.into_iter().flatten().collect();
        self.asked = Some(Ask::Report(outcomes));
        self.state = State::Reporting(link);
    }
}

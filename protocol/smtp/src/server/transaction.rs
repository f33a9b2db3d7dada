//! A mail from MAIL to the verdict: what we decide ourselves, what we ask, and what becomes of the answers.
//!
//! RFC 5321 §3.3 (steps), §4.1.1.2 to §4.1.1.4 (MAIL, RCPT, DATA), §4.5.3.1.10 (too many recipients); RFC 1870 §6.1
//! (SIZE); RFC 6531 §3.5 (addresses with UTF-8).
//!
//! Not here: the content itself (content), which command is allowed when (rules).

use super::content::Transfer;
use super::{Answer, Ask, Conversation, Counts, Envelope, Server, State};
use crate::params::{MailParams, RcptParams};
use crate::path::{ForwardPath, ReversePath};
use crate::reply::Reply;
use crate::words;
use std::sync::Arc;
use std::time::Instant;

/// A mail between MAIL and the end of its content.
#[derive(Debug)]
pub(super) struct Transaction {
    pub envelope: Envelope,
    /// How many recipients were refused.
    pub refused: usize,
}

impl Server {
    pub(super) fn mail(&mut self, path: ReversePath, params: MailParams) {
        if let Some(reply) = self.unfit(&path, &params) {
            return self.complain(reply);
        }
        let by = match std::mem::replace(&mut self.state, State::Closed) {
            State::Ready(by) => by,
            state => {
                self.state = state;
                return self.complain(&words::IN_TRANSACTION);
            }
        };
        let MailParams { size, body, smtputf8, .. } = params;
        let envelope = Envelope { by: by.clone(), recipients: 0, size, body, smtputf8 };
        self.state = State::AwaitingSender(Transaction { envelope, refused: 0 });
        self.asked = Some(Ask::Sender { by, path, params });
    }

    /// What can be refused without asking.
    fn unfit(&self, path: &ReversePath, params: &MailParams) -> Option<&'static Reply> {
        let reports = params.ret.is_some() || params.envid.is_some();
        match params {
            _ if !path.is_ascii() && !params.smtputf8 => Some(&words::SENDER_NOT_ASCII),
            MailParams { size: Some(size), .. } if *size > self.settings.size_max_bytes => Some(&words::TOO_LARGE),
            _ if reports && !self.settings.dsn => Some(&words::UNKNOWN_PARAMETER),
            _ => None,
        }
    }

    pub(super) fn rcpt(&mut self, path: ForwardPath, params: RcptParams) {
        let mail = match std::mem::replace(&mut self.state, State::Closed) {
            State::InTransaction(mail) => mail,
            state => {
                self.state = state;
                return self.complain(&words::MAIL_FIRST);
            }
        };
        if let Some(reply) = self.unfit_recipient(&mail.envelope, &path, &params) {
            self.state = State::InTransaction(Transaction { refused: mail.refused + 1, ..mail });
            // RFC 5321 §4.5.3.1.10: the client cannot know how many are too many; that is no error of its.
            return if reply.is_transient() { self.say(reply) } else { self.complain(reply) };
        }
        self.state = State::AwaitingRecipient(mail);
        self.asked = Some(Ask::Recipient { path, params });
    }

    fn unfit_recipient(&self, mail: &Envelope, path: &ForwardPath, params: &RcptParams) -> Option<&'static Reply> {
        let reports = params.notify.is_some() || params.orcpt.is_some();
        if !path.is_ascii() && !mail.smtputf8 {
            Some(&words::RECIPIENT_NOT_ASCII)
        } else if reports && !self.settings.dsn {
            Some(&words::UNKNOWN_PARAMETER)
        } else if mail.recipients >= self.settings.recipients_max {
            Some(&words::TOO_MANY_RECIPIENTS)
        } else {
            None
        }
    }

    pub(super) fn data(&mut self) {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::InTransaction(mail) if mail.envelope.recipients > 0 => {
                self.asked = Some(Ask::Begin(mail.envelope.clone()));
                self.state = State::AwaitingDraft(mail);
            }
            State::InTransaction(mail) => {
                let reply = if mail.refused > 0 { &words::NO_VALID_RECIPIENTS } else { &words::RCPT_FIRST };
                self.state = State::InTransaction(mail);
                self.complain(reply);
            }
            state => {
                self.state = state;
                self.complain(&words::MAIL_FIRST);
            }
        }
    }

    /// What the house answered to MAIL, RCPT, DATA or the final dot.
    pub(super) fn answered(&mut self, answer: Answer, now: Instant) {
        let reply = match &answer {
            Answer::Yes => None,
            Answer::Reply(reply) => Some(reply),
            Answer::Login(_) => return self.end(&words::CONFUSED),
        };
        let yes = reply.is_none_or(Reply::is_positive);
        match std::mem::replace(&mut self.state, State::Closed) {
            State::AwaitingSender(mail) if yes => {
                self.state = State::InTransaction(mail);
                self.say(reply.unwrap_or(&words::SENDER_OK));
            }
            State::AwaitingSender(mail) => {
                self.state = State::Ready(mail.envelope.by);
                self.refuse(reply);
            }
            State::AwaitingRecipient(mut mail) if yes => {
                mail.envelope.recipients += 1;
                self.state = State::InTransaction(mail);
                self.say(reply.unwrap_or(&words::RECIPIENT_OK));
            }
            State::AwaitingRecipient(mail) => {
                self.state = State::InTransaction(Transaction { refused: mail.refused + 1, ..mail });
                self.refuse(reply);
            }
            State::AwaitingDraft(mail) if yes => {
                self.state = State::Receiving(Transfer::new(mail.envelope.by, &self.settings, now));
                self.say(&words::GO_AHEAD);
            }
            State::AwaitingDraft(mail) => {
                self.state = State::Ready(mail.envelope.by);
                self.refuse(reply);
            }
            State::AwaitingRelease { transfer, ended } => self.released(transfer, ended),
            State::AwaitingVerdict(by) => self.judged(by, yes, reply),
            _ => self.end(&words::CONFUSED),
        }
    }

    /// The house has said what becomes of the message.
    fn judged(&mut self, by: Arc<Conversation>, accepted: bool, reply: Option<&Reply>) {
        self.state = State::Ready(by);
        if accepted {
            self.counts = Counts::default();
            self.say(reply.unwrap_or(&words::ACCEPTED));
        } else {
            self.refuse(reply);
        }
    }
}

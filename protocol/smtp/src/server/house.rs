//! What the server's side and the house have to say to each other.
//!
//! RFC 5321 §3.3 (a mail's steps), §4.4 (trace fields); RFC 3848 and RFC 6531 §4.3 (the word behind `with`).
//!
//! Not here: when which question is asked (the other files of this folder).

use super::content::Fault;
use crate::command::HelloName;
use crate::params::{Body, MailParams, RcptParams};
use crate::path::{ForwardPath, ReversePath};
use crate::reply::Reply;
use line::Secured;
use std::sync::Arc;

/// A question to the house.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// MAIL: may this sender send here? A new mail begins; an older one is void.
    Sender {
        /// Who speaks.
        by: Arc<Conversation>,
        /// Whom reports go to.
        path: ReversePath,
        /// What else it said.
        params: MailParams,
    },
    /// RCPT: do we take mail for this one, from that sender?
    Recipient {
        /// Who shall have it.
        path: ForwardPath,
        /// What else was said.
        params: RcptParams,
    },
    /// DATA: open a draft; content follows.
    Begin(Envelope),
    /// The content is complete and without flaw. Yes means: on disk.
    Commit {
        /// How many octets were kept.
        octets: u64,
    },
    /// The draft is not wanted, for this reason first: the rest of the message will be thrown away, and then it is
    /// refused. The answer is not looked at.
    Abandon(Fault),
    /// AUTH: answered by [`Answer::Login`].
    Login(sasl::server::Ask),
}

/// An answer of the house.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Yes, in the usual words.
    Yes,
    /// In these words: 2yz is a yes, anything else a no; 421 ends the session.
    Reply(Reply),
    /// To [`Ask::Login`].
    Login(sasl::server::Answer),
}

/// Who speaks with us, and how well protected: what the trace field tells, and what policy may look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// How the client named itself.
    pub hello: HelloName,
    /// By EHLO rather than HELO.
    pub extended: bool,
    /// TLS, if it is up.
    pub tls: Option<Arc<Secured>>,
    /// Who has authenticated.
    pub login: Option<sasl::server::Granted>,
}

impl Conversation {
    /// The word behind `with` in the trace field (RFC 3848, RFC 6531 §4.3).
    pub fn protocol(&self, smtputf8: bool) -> &'static str {
        match (self.extended, smtputf8, self.tls.is_some(), self.login.is_some()) {
            (false, ..) => "SMTP",
            (_, false, false, false) => "ESMTP",
            (_, false, false, true) => "ESMTPA",
            (_, false, true, false) => "ESMTPS",
            (_, false, true, true) => "ESMTPSA",
            (_, true, false, false) => "UTF8SMTP",
            (_, true, false, true) => "UTF8SMTPA",
            (_, true, true, false) => "UTF8SMTPS",
            (_, true, true, true) => "UTF8SMTPSA",
        }
    }
}

/// What is known of a mail when its content begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Who speaks.
    pub by: Arc<Conversation>,
    /// How many recipients were accepted.
    pub recipients: usize,
    /// What the sender said of the size, in octets.
    pub size: Option<u64>,
    /// What the sender said of the body.
    pub body: Option<Body>,
    /// Whether addresses and header may be UTF-8.
    pub smtputf8: bool,
}

impl Envelope {
    /// The word behind `with` in the trace field.
    pub fn protocol(&self) -> &'static str {
        self.by.protocol(self.smtputf8)
    }
}

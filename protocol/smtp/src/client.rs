//! The client's side: hands mail over to another server, and says of each recipient what became of it.
//!
//! RFC 5321 §3 (dialogue), §4.2.1 (what the first digit means), §4.5.3.2 (timeouts); RFC 2920 §3.1 (pipelining);
//! RFC 3207 §4 (STARTTLS); RFC 4954 §4 (AUTH); RFC 1870, 6152, 6531, 3461 (parameters); RFC 7504 (521).
//!
//! ```text
//! Greeting → Hello ─STARTTLS→ StartingTls → Securing → Hello ─AUTH→ LoggingIn → AwaitingMail
//! AwaitingMail ─a mail→ Envelope ─354→ Content → Verdict → Reporting → AwaitingMail ─none left→ Quitting → Closed
//!                       Envelope ─354, but no recipient→ Void ↗
//! before the first mail: anything wrong → Broken → Closed;  after it: → Reporting → Closed
//! ```
//!
//! The house is asked in this order: `Next` for a mail; `Content` for its octets, as often as needed, from the start
//! for each transaction; `Report` once for each mail. `Broken` comes instead of `Next` when the server cannot be used.
//!
//! A driver that cannot write, because the server has hung up in the middle of content, should offer what the server
//! has said before it calls `closed`: the reason of the refusal is in there.
//!
//! Departure: mail with 8-bit octets goes out unchanged to servers without 8BITMIME (RFC 6152 §3 wants it converted or
//! bounced): all of them pass it on, and converting breaks signatures.
//!
//! Invariants: every mail that was taken is reported, once, with an outcome for each recipient; what is not surely
//! delivered or refused is deferred; no password goes out in clear unless the settings say so; no bare CR or LF
//! goes out at all.
//! Not here: which server, which mail, when to try again (courier), checking certificates (net), the three minutes for
//! each block of content (RFC 5321 §4.5.3.2.5: whoever writes, see [`BLOCK_WAIT`]).

mod capabilities;
mod endings;
mod login;
mod outcome;
mod settings;
#[cfg(test)]
mod tests;
mod transaction;

use crate::command::Command;
use crate::params::{RcptParams, Ret};
use crate::path::{ForwardPath, ReversePath};
use crate::reply::{Heard, Replies, Reply};
use capabilities::Capabilities;
use line::{Exposure, Leave, Secured, Session, Step};
use sasl::client::Exchange;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use transaction::{Job, Transaction};

pub use outcome::{Cause, Outcome, Stage, Trouble};
pub use settings::{Settings, Tls, Waits};

/// RFC 5321 §4.5.3.2.5: three minutes for each block of content to leave.
pub const BLOCK_WAIT: Duration = Duration::from_secs(3 * 60);

/// A mail to be handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Whom reports go to.
    pub sender: ReversePath,
    /// Who shall have it. Each gets an outcome, in this order.
    pub recipients: Vec<Recipient>,
    /// How many octets its content has.
    pub size: u64,
    /// Whether there are octets above 127 in its body.
    pub eight_bit: bool,
    /// Whether its header is UTF-8; addresses speak for themselves.
    pub smtputf8: bool,
    /// How much of it a report shall bring back.
    pub ret: Option<Ret>,
    /// The sender's own name for it.
    pub envid: Option<String>,
}

/// Someone who shall have a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// The address.
    pub path: ForwardPath,
    /// What the sender wants to be told.
    pub params: RcptParams,
}

/// A question to the house.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// The server is ready: which mail? Answered by [`Answer::Mail`] or [`Answer::Done`].
    Next,
    /// The content of the mail from this octet on. Answered by [`Answer::Content`] or [`Answer::Unreadable`].
    Content {
        /// Counted from its start.
        offset: u64,
    },
    /// What became of the mail, in the order of its recipients. Answered by [`Answer::Noted`].
    Report(Vec<Outcome>),
    /// No mail can be sent over this connection; it ends. Answered by [`Answer::Noted`].
    Broken(Trouble),
}

/// An answer of the house.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// This one.
    Mail(Box<Mail>),
    /// No more; say farewell.
    Done,
    /// Some octets, with CRLF line ends and without added dots; as many as suit the house.
    Content {
        /// The octets.
        octets: Vec<u8>,
        /// Whether these are the last ones.
        last: bool,
    },
    /// The content cannot be read now.
    Unreadable,
    /// Understood.
    Noted,
}

#[derive(Debug)]
enum State {
    Greeting,
    Hello {
        extended: bool,
    },
    StartingTls(Capabilities),
    Securing,
    LoggingIn {
        capabilities: Capabilities,
        exchange: Exchange,
        /// The initial response, if it did not fit beside the command.
        held: Option<Vec<u8>>,
    },
    /// The exchange failed on our side and was cancelled.
    Cancelling(Trouble),
    AwaitingMail(Link),
    Envelope(Transaction),
    Content(Transaction),
    Verdict(Transaction),
    /// All recipients failed, and DATA was accepted nevertheless.
    Void(Transaction),
    /// The house reads the report; `Some` if we go on.
    Reporting(Option<Link>),
    /// The house reads why nothing can be sent.
    Breaking,
    Quitting,
    Closed,
}

/// A server that is ready for mail.
#[derive(Debug)]
struct Link {
    capabilities: Arc<Capabilities>,
    /// A mail was begun and not ended: RSET comes first.
    littered: bool,
}

/// One conversation with a server.
#[derive(Debug)]
pub struct Client {
    settings: Arc<Settings>,
    nonces: sasl::Nonces,
    state: State,
    replies: Replies,
    tls: Option<Secured>,
    deadline: Instant,
    leaving: bool,
    said: Vec<u8>,
    said_exposure: Exposure,
    asked: Option<Ask>,
    exposure: Exposure,
}

impl Client {
    /// A conversation that has not begun. `seed` is 32 octets of chance, fresh for each session.
    pub fn new(settings: Arc<Settings>, seed: &[u8; 32], now: Instant) -> Self {
        let deadline = now + settings.waits.greeting;
        Client {
            settings,
            nonces: sasl::Nonces::new(seed),
            state: State::Greeting,
            replies: Replies::new(),
            tls: None,
            deadline,
            leaving: false,
            said: Vec::new(),
            said_exposure: Exposure::Open,
            asked: None,
            exposure: Exposure::Open,
        }
    }

    fn say(&mut self, command: &Command) {
        command.write(&mut self.said);
    }

    fn say_hello(&mut self, extended: bool, now: Instant) {
        let name = self.settings.name.clone();
        self.say(&if extended { Command::Ehlo(name) } else { Command::Helo(name) });
        self.state = State::Hello { extended };
        self.deadline = now + self.settings.waits.hello;
    }

    /// A whole reply has come.
    fn heard(&mut self, reply: Reply, now: Instant) {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Greeting if reply.is_positive() => self.say_hello(true, now),
            State::Greeting => self.broken(Stage::Greeting, Cause::Reply(reply)),
            State::Hello { extended } => self.greeted(extended, &reply, now),
            State::StartingTls(capabilities) => self.tls_answered(capabilities, reply, now),
            State::LoggingIn { capabilities, exchange, held } => {
                self.challenged(capabilities, exchange, held, reply, now);
            }
            State::Cancelling(trouble) => self.broken_by(trouble),
            State::Envelope(transaction) => self.envelope(transaction, reply, now),
            State::Content(transaction) => {
                // The server does not wait for the end; what it says now is all it will say.
                self.lose(transaction, Trouble::new(Stage::Content, Cause::Reply(reply)));
            }
            State::Verdict(transaction) => self.judged(transaction, reply, now),
            State::Void(transaction) => self.finish(transaction, false, now),
            State::Quitting => self.state = State::Closed,
            // Nobody asked; whatever it is, it will be said again to the next command.
            state => self.state = state,
        }
    }

    /// EHLO or HELO is answered.
    fn greeted(&mut self, extended: bool, reply: &Reply, now: Instant) {
        if reply.is_positive() {
            let capabilities = if extended { Capabilities::read(reply) } else { Capabilities::default() };
            self.secure(capabilities, now);
        } else if extended && reply.is_permanent() {
            // RFC 5321 §3.2: who does not know EHLO may know HELO.
            self.say_hello(false, now);
        } else {
            self.broken(Stage::Hello, Cause::Reply(reply.clone()));
        }
    }

    fn secure(&mut self, capabilities: Capabilities, now: Instant) {
        match (self.settings.tls, &self.tls) {
            (_, Some(_)) | (Tls::Never, None) => self.log_in(capabilities, now),
            (Tls::IfOffered | Tls::Required, None) if capabilities.starttls => {
                self.say(&Command::StartTls);
                self.state = State::StartingTls(capabilities);
                self.deadline = now + self.settings.waits.hello;
            }
            (Tls::IfOffered, None) => self.log_in(capabilities, now),
            (Tls::Required, None) => self.broken(Stage::StartTls, Cause::NoTls),
        }
    }

    fn tls_answered(&mut self, capabilities: Capabilities, reply: Reply, now: Instant) {
        if reply.is_positive() {
            self.state = State::Securing;
        } else if self.settings.tls == Tls::Required || reply.code() == 421 {
            self.broken(Stage::StartTls, Cause::Reply(reply));
        } else {
            self.log_in(capabilities, now);
        }
    }

    /// The server takes mail now.
    fn ready(&mut self, capabilities: Capabilities) {
        self.ask_next(Link { capabilities: Arc::new(capabilities), littered: false });
    }

    fn ask_next(&mut self, link: Link) {
        self.state = State::AwaitingMail(link);
        self.asked = Some(Ask::Next);
    }

    fn quit(&mut self, now: Instant) {
        self.say(&Command::Quit);
        self.state = State::Quitting;
        self.deadline = now + self.settings.waits.quit;
    }

    fn broken(&mut self, stage: Stage, cause: Cause) {
        self.broken_by(Trouble::new(stage, cause));
    }

    fn broken_by(&mut self, trouble: Trouble) {
        self.state = State::Breaking;
        self.asked = Some(Ask::Broken(trouble));
    }

    /// The connection cannot be used any more, for this reason.
    fn fail(&mut self, cause: Cause) {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Greeting => self.broken(Stage::Greeting, cause),
            State::Hello { .. } => self.broken(Stage::Hello, cause),
            State::StartingTls(_) | State::Securing => self.broken(Stage::StartTls, cause),
            State::LoggingIn { .. } => self.broken(Stage::Login, cause),
            State::Cancelling(trouble) => self.broken_by(trouble),
            State::AwaitingMail(_) => self.broken(Stage::Mail, cause),
            State::Envelope(transaction) => {
                let stage = transaction.stage();
                self.lose(transaction, Trouble::new(stage, cause));
            }
            State::Content(transaction) => self.lose(transaction, Trouble::new(Stage::Content, cause)),
            State::Verdict(transaction) => self.lose(transaction, Trouble::new(Stage::Verdict, cause)),
            State::Void(transaction) => self.lose(transaction, Trouble::new(Stage::Verdict, cause)),
            // The report stands; only going on is impossible.
            State::Reporting(_) => self.state = State::Reporting(None),
            State::Breaking => self.state = State::Breaking,
            State::Quitting | State::Closed => {}
        }
    }
}

impl Session for Client {
    type Ask = Ask;
    type Answer = Answer;
    type News = Infallible;

    fn receive(&mut self, bytes: &[u8], now: Instant) -> usize {
        self.exposure = Exposure::Open;
        let (taken, heard) = self.replies.hear(bytes);
        match heard {
            Heard::Reply(reply) => self.heard(reply, now),
            Heard::Nonsense => self.fail(Cause::Garbled),
            Heard::More | Heard::Partial => {}
        }
        taken
    }

    fn closed(&mut self, _now: Instant) {
        self.fail(Cause::Dropped);
    }

    fn secured(&mut self, tls: Secured, now: Instant) {
        self.tls = Some(tls);
        if matches!(self.state, State::Securing) {
            // RFC 3207 §4.2: what the server said in clear is forgotten.
            self.replies = Replies::new();
            self.say_hello(true, now);
        }
    }

    fn answer(&mut self, answer: Answer, now: Instant) {
        match (std::mem::replace(&mut self.state, State::Closed), answer) {
            (State::AwaitingMail(link), Answer::Mail(mail)) => self.begin(Job::new(mail), link, now),
            (State::AwaitingMail(_), _) => self.quit(now),
            (State::Content(transaction), Answer::Content { octets, last }) => {
                self.pass_on(transaction, &octets, last, now);
            }
            (State::Content(transaction), _) => {
                self.lose(transaction, Trouble::new(Stage::Content, Cause::Unreadable));
            }
            (State::Reporting(Some(_)), _) if self.leaving => self.quit(now),
            (State::Reporting(Some(link)), _) => self.ask_next(link),
            (State::Reporting(None) | State::Breaking, _) => self.state = State::Closed,
            (state, _) => self.state = state,
        }
    }

    fn news(&mut self, news: Infallible, _now: Instant) {
        match news {}
    }

    fn tick(&mut self, now: Instant) {
        if now >= self.deadline {
            self.fail(Cause::Timeout);
        }
    }

    /// A mail that is under way is finished, no other is taken.
    fn leave(&mut self, _why: Leave, _now: Instant) {
        self.leaving = true;
        if !matches!(self.state, State::Envelope(_) | State::Content(_) | State::Verdict(_) | State::Void(_)) {
            self.fail(Cause::Leaving);
        }
    }

    fn next(&mut self, out: &mut Vec<u8>) -> Step<Ask> {
        if !self.said.is_empty() {
            std::mem::swap(out, &mut self.said);
            self.exposure = std::mem::replace(&mut self.said_exposure, Exposure::Open);
            return Step::Send;
        }
        if let Some(ask) = self.asked.take() {
            return Step::Ask(ask);
        }
        match self.state {
            State::Securing => Step::Secure,
            State::Closed => Step::Close,
            _ => Step::Wait { until: self.deadline },
        }
    }

    fn exposure(&self) -> Exposure {
        self.exposure
    }
}

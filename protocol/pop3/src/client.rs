//! The client's side: fetching mail from someone else's server.
//!
//! RFC 1939 §3–7; RFC 2449 §5 (CAPA); RFC 2595 §2.4 and §4 (STLS); RFC 5034 §4 (AUTH); RFC 8314 §3.
//!
//! ```text
//! Greeted? ─→ Capabilities? ─STLS→ Secured? ─→ Capabilities? ─AUTH │ USER PASS→ Admitted? ─→ (house gives orders) ─QUIT→ closed
//! ```
//!
//! Invariants: no password goes out in clear unless the settings say so; a server that should prove itself (SCRAM) and
//! does not is left; nothing is removed on the server unless QUIT was sent and answered.
//! Not here: which messages are wanted (house), checking the certificate (net).

mod dialogue;

use crate::command::Command;
use crate::reply::Code;
use line::{Exposure, Leave, Lines, Secured, Session, Step, Undotter};
use sasl::client::Credentials;
use sasl::{Mechanism, Nonces};
use std::convert::Infallible;
use std::time::{Duration, Instant};

/// No server needs longer to say a line; some need minutes to open a large maildrop.
pub const REPLY_LIMIT: Duration = Duration::from_secs(5 * 60);

/// More lines than this are no listing of a maildrop, but an attempt to fill our memory.
pub const LISTING_MAX: usize = 1_000_000;

/// More capabilities than this are nonsense, too.
const CAPABILITIES_MAX: usize = 100;

/// How a client behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// With what we log in.
    pub credentials: Credentials,
    /// Whether TLS is wanted, where it is not there from the start.
    pub stls: Stls,
    /// Whether the password may go out without TLS.
    pub clear_login: bool,
}

/// What we think of STLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stls {
    /// We do without.
    Never,
    /// We use it if the server offers it; someone in between can prevent that.
    IfOffered,
    /// Without TLS we leave.
    Required,
}

/// What we ask the house.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// This came of the last order; what is next?
    Next(Outcome),
    /// It is over. Any answer will do.
    Ended(End),
}

/// What the house answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Ask::Next`].
    Order(Order),
    /// To [`Ask::Ended`].
    Understood,
}

/// What the house wants of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// How much there is.
    Stat,
    /// The sizes of all messages.
    List,
    /// The unique names of all messages.
    Uidl,
    /// A message; its octets come as `Step::Keep`.
    Retrieve(u64),
    /// The header of a message and so many lines; its octets come as `Step::Keep`.
    Top(u64, u64),
    /// Mark a message to be removed.
    Delete(u64),
    /// Take all marks away.
    Reset,
    /// Keep the connection alive.
    Noop,
    /// Remove what is marked and leave.
    Quit,
}

/// What came of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// We are in.
    Admitted,
    /// The server has done it, or its message has been given to the house to the last octet.
    Done,
    /// So many messages, so many octets.
    Counted {
        /// Messages.
        messages: u64,
        /// Octets.
        octets: u64,
    },
    /// Number and size of each message.
    Sizes(Vec<(u64, u64)>),
    /// Number and unique name of each message.
    Uidls(Vec<(u64, String)>),
    /// The server says no.
    Refused(Option<Code>, String),
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// By QUIT; what was marked is removed.
    Quit,
    /// By QUIT, but the server says that it could not remove all that was marked.
    Unremoved(String),
    /// The server does not want to speak to us.
    Unwelcome(String),
    /// The server refuses the login.
    LoginRefused(Option<Code>, String),
    /// There is no way to log in that does not show the password, or no TLS where it is required.
    Unsafe,
    /// The exchange failed on our side: the server did not prove itself, or what we have cannot be sent.
    Exchange(sasl::client::Failure),
    /// The server said something that is not POP3.
    Garbled,
    /// The server said nothing for [`REPLY_LIMIT`].
    Silent,
    /// The connection broke.
    Dropped,
    /// Our own house is closing.
    Leaving,
}

/// A session.
pub struct Client {
    settings: Settings,
    nonces: Nonces,
    lines: Lines,
    tls: Option<Secured>,
    state: State,
    words: Vec<u8>,
    /// What a log may show of `words`.
    words_exposure: Exposure,
    content: Vec<u8>,
    question: Option<Ask>,
    deadline: Instant,
    exposure: Exposure,
}

/// What the client waits for.
#[derive(Debug)]
enum State {
    Greeting,
    /// The reply to CAPA.
    Capabilities,
    /// The lines behind it.
    Capability(Capabilities),
    /// The reply to STLS.
    Stls,
    Securing,
    /// The reply to USER.
    User,
    /// The reply to PASS.
    Pass,
    /// A challenge or a verdict. The initial response, if it did not fit beside the command.
    Auth(sasl::client::Exchange, Option<Vec<u8>>),
    /// The house's order.
    Order,
    /// The reply to this order.
    Reply(Order),
    Sizes(Vec<(u64, u64)>),
    Uidls(Vec<(u64, String)>),
    Message(Undotter),
    /// The house's word that it has understood.
    Ended,
    Closing,
}

/// What the server says it can do, as far as it matters to us.
#[derive(Debug, Default)]
struct Capabilities {
    count: usize,
    stls: bool,
    user: bool,
    mechanisms: Vec<Mechanism>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The words may hold the password.
        f.debug_struct("Client").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Client {
    /// A session that begins now. `seed` is from the system's random source, fresh for each session.
    pub fn new(settings: Settings, seed: &[u8; 32], now: Instant) -> Self {
        Client {
            settings,
            nonces: Nonces::new(seed),
            lines: Lines::new(sasl::LINE_MAX),
            tls: None,
            state: State::Greeting,
            words: Vec::new(),
            words_exposure: Exposure::Open,
            content: Vec::new(),
            question: None,
            deadline: now + REPLY_LIMIT,
            exposure: Exposure::Open,
        }
    }

    fn say(&mut self, command: &Command, state: State) {
        command.write(&mut self.words);
        self.words_exposure = match command {
            Command::Pass(_) => Exposure::SecretAfter("PASS ".len()),
            Command::Auth(Some(auth)) if auth.initial.is_some() => {
                Exposure::SecretAfter("AUTH ".len() + auth.mechanism.len() + 1)
            }
            _ => Exposure::Open,
        };
        self.state = state;
    }

    /// A line of a SASL exchange.
    fn say_secret(&mut self, text: &str) {
        self.words.extend_from_slice(text.as_bytes());
        self.words.extend_from_slice(b"\r\n");
        self.words_exposure = Exposure::SecretAfter(0);
    }

    fn report(&mut self, outcome: Outcome) {
        self.question = Some(Ask::Next(outcome));
        self.state = State::Order;
    }

    fn end(&mut self, end: End) {
        self.question = Some(Ask::Ended(end));
        self.state = State::Ended;
    }

    fn obey(&mut self, order: Order) {
        let command = match order {
            Order::Stat => Command::Stat,
            Order::List => Command::List(None),
            Order::Uidl => Command::Uidl(None),
            Order::Retrieve(number) => Command::Retr(number),
            Order::Top(message, lines) => Command::Top { message, lines },
            Order::Delete(number) => Command::Dele(number),
            Order::Reset => Command::Rset,
            Order::Noop => Command::Noop,
            Order::Quit => Command::Quit,
        };
        self.say(&command, State::Reply(order));
    }
}

impl Session for Client {
    type Ask = Ask;
    type Answer = Answer;
    type News = Infallible;

    fn receive(&mut self, bytes: &[u8], now: Instant) -> usize {
        self.exposure = Exposure::Open;
        let taken = match &mut self.state {
            State::Message(undotter) => {
                let step = undotter.take(bytes, &mut self.content);
                self.exposure = Exposure::Content;
                if step.ended {
                    self.report(Outcome::Done);
                }
                step.taken
            }
            _ => self.receive_line(bytes),
        };
        if taken > 0 {
            self.deadline = now + REPLY_LIMIT;
        }
        taken
    }

    fn closed(&mut self, _now: Instant) {
        self.end(End::Dropped);
    }

    fn secured(&mut self, tls: Secured, now: Instant) {
        self.tls = Some(tls);
        self.deadline = now + REPLY_LIMIT;
        if let State::Securing = self.state {
            // RFC 2595 §4: what was said about capabilities before is forgotten.
            self.say(&Command::Capa, State::Capabilities);
        }
    }

    fn answer(&mut self, answer: Answer, now: Instant) {
        self.deadline = now + REPLY_LIMIT;
        match (&self.state, answer) {
            (State::Order, Answer::Order(order)) => self.obey(order),
            (State::Order, Answer::Understood) => self.obey(Order::Quit),
            _ => self.state = State::Closing,
        }
    }

    fn news(&mut self, news: Infallible, _now: Instant) {
        match news {}
    }

    fn tick(&mut self, _now: Instant) {
        self.end(End::Silent);
    }

    /// Without QUIT, so that nothing is removed that the house may not have kept.
    fn leave(&mut self, _why: Leave, _now: Instant) {
        self.end(End::Leaving);
    }

    fn next(&mut self, out: &mut Vec<u8>) -> Step<Ask> {
        if !self.words.is_empty() {
            out.append(&mut self.words);
            self.exposure = self.words_exposure;
            return Step::Send;
        }
        if !self.content.is_empty() {
            std::mem::swap(&mut self.content, out);
            self.content.clear();
            return Step::Keep;
        }
        if let Some(question) = self.question.take() {
            return Step::Ask(question);
        }
        match self.state {
            State::Securing => Step::Secure,
            State::Closing => Step::Close,
            _ => Step::Wait { until: self.deadline },
        }
    }

    fn exposure(&self) -> Exposure {
        self.exposure
    }
}

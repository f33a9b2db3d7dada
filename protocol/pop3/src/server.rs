//! The server's side: what we say and when.
//!
//! RFC 1939 §3 (states, autologout), §6 (UPDATE); RFC 2449 §4 (255 octets), §6.6 (PIPELINING); RFC 2595 §4 (STLS);
//! RFC 3206 §4 (SYS); RFC 8314 §3 (no password in clear).
//!
//! ```text
//! Authorization ─USER PASS │ AUTH→ AwaitingCredentials ─answer→ AwaitingMaildrop ─answer→ Transaction
//!       │ ↑                            │ ↑
//!     STLS secured                 Exchanging (a challenge is out)
//!       ↓ │
//!     Securing
//!
//! Transaction ─LIST │ UIDL→ Listing ──→ Transaction
//! Transaction ─RETR │ TOP→ Retrieving ─answer … answer→ Transaction
//! Transaction ─QUIT→ AwaitingRemoval ─answer→ Closing
//! ```
//!
//! Invariants: one reply for each command, in order; a question is open or a command is read, never both;
//! a message is removed only by QUIT in the transaction state; what a listing takes does not depend on its length;
//! a message that cannot be read to its end is never closed with the final dot.
//! Not here: whether a password is right (directory), what a maildrop is made of (desk), sockets (net).

mod authorization;
mod capabilities;
mod maildrop;
mod transaction;

pub use maildrop::Entry;

use crate::command::{Command, Misread, Phase};
use crate::reply::{Code, Reply};
use line::{Exposure, Leave, Line, Lines, Secured, Session, Step};
use maildrop::Maildrop;
use sasl::{Mechanism, Nonces};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use transaction::{Listing, Retrieval};

/// RFC 2449 §4: 255 octets must be understood, CRLF included; RFC 5034 §4 keeps AUTH under the same limit.
pub const COMMAND_MAX: usize = 255;

/// RFC 1939 §3: the autologout timer must be of at least ten minutes.
pub const IDLE_LIMIT_MIN: Duration = Duration::from_secs(10 * 60);

/// So many lines in a row that are no commands, and we hang up: whoever is there does not speak POP3.
pub const BAD_COMMANDS_MAX: u32 = 10;

/// What a buffer of replies keeps between commands; what is above was for a message and is given back.
const IDLE_BUFFER_MAX: usize = 1024;

/// How a server behaves; shared by its sessions.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Our name in the greeting and the farewell.
    pub host: String,
    /// What the greeting says instead of `<host> POP3 server ready`.
    pub greeting: Option<String>,
    /// Whether STLS can be had.
    pub tls_available: bool,
    /// Whether passwords may come without TLS: on loopback, or because the owner wants it so.
    pub clear_login: bool,
    /// The SASL mechanisms, of which each session offers what its channel allows.
    pub mechanisms: Vec<Mechanism>,
    /// The autologout timer; less than [`IDLE_LIMIT_MIN`] counts as that.
    pub idle_limit: Duration,
    /// So many logins may fail before we hang up.
    pub login_failures_max: u32,
    /// What CAPA tells after login about the software; nobody learns it before.
    pub implementation: String,
}

impl Settings {
    /// The usual settings for a host: TLS, all mechanisms, no password in clear.
    pub fn new(host: &str) -> Self {
        Settings {
            host: host.to_owned(),
            greeting: None,
            tls_available: true,
            clear_login: false,
            mechanisms: Mechanism::ALL.to_vec(),
            idle_limit: IDLE_LIMIT_MIN,
            // Enough for a mistyped password, few enough to make guessing slow.
            login_failures_max: 3,
            implementation: "Packetboat".to_owned(),
        }
    }
}

/// A question to the house.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Who is it? USER and PASS ask it too.
    Auth(sasl::server::Ask),
    /// Open the account's maildrop for this session and say what is in it. It stays open until the session ends.
    OpenMaildrop {
        /// As the house called it when it let the login in.
        account: String,
    },
    /// A stretch of a message.
    Read {
        /// Its place among the entries of the maildrop, counted from 0.
        message: usize,
        /// The place of the stretch's first octet in the message; less than the message's size.
        offset: u64,
    },
    /// Remove these messages for good, none perhaps, and give the maildrop back: the next session may be at the door
    /// before this one has said farewell.
    Remove(Vec<usize>),
}

/// What the house answers; the kind must fit the question, or counts as a failure of the house.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Ask::Auth`].
    Auth(sasl::server::Answer),
    /// To [`Ask::OpenMaildrop`]: the messages, oldest first. The order gives them their numbers.
    Maildrop(Result<Vec<Entry>, Unopened>),
    /// To [`Ask::Read`]: some octets from the offset on, at least one; what is beyond the size is ignored.
    Octets(Result<Vec<u8>, Unread>),
    /// To [`Ask::Remove`]: whether all are gone.
    Removed(Result<(), Unremoved>),
}

/// Why a maildrop is not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unopened {
    /// Another session has it.
    InUse,
    /// Not now.
    Temporary,
    /// Not before someone repairs it.
    Permanent,
    /// This account may not fetch mail, for this reason (one line of text for the user).
    Policy(String),
}

/// Why there are no octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// Someone else has removed the message since the maildrop was opened.
    Gone,
    /// Not now.
    Temporary,
}

/// Some or all of the messages are still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unremoved;

/// A session.
#[derive(Debug)]
pub struct Server {
    settings: Arc<Settings>,
    nonces: Nonces,
    lines: Lines,
    tls: Option<Secured>,
    utf8: bool,
    state: State,
    /// What is to be sent before anything else.
    replies: Vec<u8>,
    /// Whether there is a message among them.
    sends_content: bool,
    /// What is to be asked after that.
    question: Option<Ask>,
    deadline: Instant,
    /// A long listing has gone out since the clock was set: the peer may have been reading all the time.
    was_listing: bool,
    /// In the middle of a line that is too long.
    overflowing: bool,
    bad_commands: u32,
    failed_logins: u32,
    exposure: Exposure,
}

#[derive(Debug)]
enum State {
    Authorization { named: Option<String> },
    Exchanging { exchange: sasl::server::Exchange },
    AwaitingCredentials { exchange: sasl::server::Exchange },
    AwaitingMaildrop,
    Securing,
    Transaction { maildrop: Maildrop },
    Listing { maildrop: Maildrop, listing: Listing },
    Retrieving { maildrop: Maildrop, retrieval: Retrieval },
    AwaitingRemoval { kept: usize },
    Closing,
}

impl State {
    fn name(&self) -> &'static str {
        match self {
            State::Authorization { .. } | State::Exchanging { .. } | State::AwaitingCredentials { .. } => {
                "authorization"
            }
            State::AwaitingMaildrop | State::Securing => "authorization",
            State::Transaction { .. } | State::Listing { .. } | State::Retrieving { .. } => "transaction",
            State::AwaitingRemoval { .. } => "update",
            State::Closing => "closing",
        }
    }
}

impl Server {
    /// A session that begins now. `seed` is from the system's random source, fresh for each session.
    pub fn new(settings: Arc<Settings>, seed: &[u8; 32], now: Instant) -> Self {
        let mut server = Server {
            nonces: Nonces::new(seed),
            lines: Lines::new(COMMAND_MAX),
            tls: None,
            utf8: false,
            state: State::Authorization { named: None },
            replies: Vec::new(),
            sends_content: false,
            question: None,
            deadline: now,
            was_listing: false,
            overflowing: false,
            bad_commands: 0,
            failed_logins: 0,
            exposure: Exposure::Open,
            settings,
        };
        server.restart_clock(now);
        // RFC 1939 §7: no timestamp in angle brackets, for there is no APOP.
        let ready = format!("{} POP3 server ready", server.settings.host);
        let greeting = server.settings.greeting.clone().unwrap_or(ready).replace(['<', '>'], "");
        server.ok(greeting);
        server
    }

    /// What the log calls the state: `authorization`, `transaction`, `update` or `closing`.
    pub fn state_name(&self) -> &'static str {
        self.state.name()
    }

    /// Whether the client has asked for UTF-8 (RFC 6856).
    pub fn is_utf8(&self) -> bool {
        self.utf8
    }

    fn reply(&mut self, reply: &Reply) {
        reply.write(&mut self.replies);
    }

    fn ok(&mut self, text: impl Into<std::borrow::Cow<'static, str>>) {
        self.reply(&Reply::Ok(text.into()));
    }

    fn err(&mut self, text: impl Into<std::borrow::Cow<'static, str>>) {
        self.reply(&Reply::Err(None, text.into()));
    }

    fn err_coded(&mut self, code: Code, text: impl Into<std::borrow::Cow<'static, str>>) {
        self.reply(&Reply::Err(Some(code), text.into()));
    }

    fn ask(&mut self, question: Ask) {
        self.question = Some(question);
    }

    fn restart_clock(&mut self, now: Instant) {
        self.was_listing = false;
        self.deadline = now + self.settings.idle_limit.max(IDLE_LIMIT_MIN);
    }

    /// A line that is no command. Patience ends.
    fn misbehaved(&mut self, text: impl Into<std::borrow::Cow<'static, str>>) {
        self.bad_commands += 1;
        if self.bad_commands < BAD_COMMANDS_MAX {
            return self.err(text);
        }
        self.err("too many bad commands, goodbye");
        self.state = State::Closing;
    }

    /// A whole line that came while no question is open.
    fn line(&mut self, text: &[u8]) {
        match std::mem::replace(&mut self.state, State::Closing) {
            State::Exchanging { exchange } => self.response(exchange, text),
            state => {
                self.state = state;
                self.command(text);
            }
        }
    }

    fn command(&mut self, text: &[u8]) {
        match Command::parse(text) {
            Ok(command) => self.obey(command),
            Err(Misread::Unknown) => self.misbehaved("unknown command"),
            Err(Misread::Arguments(usage)) => self.misbehaved(format!("usage: {usage}")),
            Err(Misread::Http) => {
                self.err("this is a POP3 server, it does not speak HTTP");
                self.state = State::Closing;
            }
        }
    }

    fn obey(&mut self, command: Command) {
        self.bad_commands = 0;
        match (command.phase(), std::mem::replace(&mut self.state, State::Closing)) {
            (Phase::Any, state) => self.anytime(&command, state),
            (Phase::Authorization, State::Authorization { named }) => self.authorize(command, named),
            (Phase::Transaction, State::Transaction { maildrop }) => self.transact(&command, maildrop),
            (phase, state) => {
                self.err(if phase == Phase::Transaction { "log in first" } else { "not after login" });
                self.state = state;
            }
        }
    }

    /// What is allowed before and after login.
    fn anytime(&mut self, command: &Command, state: State) {
        match command {
            Command::Quit => self.quit(state),
            Command::Capa => {
                self.capabilities(matches!(state, State::Transaction { .. }));
                self.state = state;
            }
            Command::Lang(range) => {
                self.language(range.as_deref());
                self.state = state;
            }
            _ => self.state = state,
        }
    }

    fn quit(&mut self, state: State) {
        match state {
            State::Transaction { maildrop } => {
                self.ask(Ask::Remove(maildrop.deleted()));
                self.state = State::AwaitingRemoval { kept: maildrop.count() };
            }
            _ => self.farewell(None),
        }
    }

    fn farewell(&mut self, kept: Option<usize>) {
        let left = match kept {
            None => String::new(),
            Some(0) => " (maildrop empty)".to_owned(),
            Some(count) => format!(" ({} left)", messages(count)),
        };
        self.ok(format!("{} POP3 server signing off{left}", self.settings.host));
        self.state = State::Closing;
    }

    fn removed(&mut self, kept: usize, removed: Result<(), Unremoved>) {
        match removed {
            Ok(()) => self.farewell(Some(kept)),
            Err(Unremoved) => {
                self.err_coded(Code::SysTemp, "some deleted messages not removed");
                self.state = State::Closing;
            }
        }
    }

    /// A line that does not end as lines end, or is too long: what it says is not looked at.
    fn unreadable(&mut self, why: &'static str) {
        if matches!(self.state, State::Exchanging { .. }) {
            self.exchange_over();
        }
        self.misbehaved(why);
    }

    /// What a log may show of a line that came.
    fn exposure_of(&self, text: &[u8]) -> Exposure {
        if matches!(self.state, State::Exchanging { .. }) {
            return Exposure::SecretAfter(0);
        }
        let start = text.iter().take_while(|&&octet| octet == b' ').count();
        let word = |from: usize| from + text[from..].iter().take_while(|&&octet| octet > b' ').count();
        let verb_end = word(start);
        let is = |name: &[u8]| text[start..verb_end].eq_ignore_ascii_case(name);
        let visible = if is(b"PASS") {
            verb_end + 1
        } else if is(b"AUTH") {
            word((verb_end + 1).min(text.len())) + 1
        } else {
            return Exposure::Open;
        };
        if visible < text.len() { Exposure::SecretAfter(visible) } else { Exposure::Open }
    }
}

/// So many messages, in words.
fn messages(count: usize) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} message{plural}")
}

/// The first octet of a TLS record with a handshake (RFC 8446 §5.1); no command begins with it.
const TLS_HANDSHAKE: u8 = 0x16;

impl Session for Server {
    type Ask = Ask;
    type Answer = Answer;
    type News = Infallible;

    fn receive(&mut self, bytes: &[u8], now: Instant) -> usize {
        if bytes.first() == Some(&TLS_HANDSHAKE) && self.tls.is_none() && !self.overflowing {
            self.exposure = Exposure::SecretAfter(0);
            self.err("this port speaks POP3 in clear, and TLS after STLS; TLS alone has another port");
            self.state = State::Closing;
            return bytes.len();
        }
        match self.lines.look(bytes) {
            Line::Whole { text, taken } => {
                self.exposure = self.exposure_of(text);
                self.restart_clock(now);
                self.line(text);
                taken
            }
            Line::Flawed { taken } => {
                self.exposure = self.exposure_of(&bytes[..taken]);
                self.restart_clock(now);
                self.unreadable("a line ends in CRLF, and has no NUL and no other CR or LF in it");
                taken
            }
            Line::TooLong { taken } => {
                self.overflowing = false;
                self.exposure = Exposure::SecretAfter(0);
                self.restart_clock(now);
                self.unreadable("line too long");
                taken
            }
            Line::Overflowing { taken } => {
                self.overflowing = true;
                self.exposure = Exposure::SecretAfter(0);
                taken
            }
            Line::Partial => 0,
        }
    }

    fn closed(&mut self, _now: Instant) {
        self.state = State::Closing;
    }

    fn secured(&mut self, tls: Secured, now: Instant) {
        self.tls = Some(tls);
        if let State::Securing = self.state {
            self.state = State::Authorization { named: None };
        }
        self.restart_clock(now);
    }

    fn answer(&mut self, answer: Answer, now: Instant) {
        self.restart_clock(now);
        match (std::mem::replace(&mut self.state, State::Closing), answer) {
            (State::AwaitingCredentials { mut exchange }, Answer::Auth(answer)) => {
                let step = exchange.answer(answer);
                self.exchange_moves(exchange, step);
            }
            (State::AwaitingMaildrop, Answer::Maildrop(Ok(entries))) => self.opened(entries),
            (State::AwaitingMaildrop, Answer::Maildrop(Err(why))) => self.unopened(why),
            (State::Retrieving { maildrop, retrieval }, Answer::Octets(Ok(octets))) => {
                self.retrieve(maildrop, retrieval, &octets);
            }
            (State::Retrieving { maildrop, retrieval }, Answer::Octets(Err(why))) => {
                self.unread(maildrop, &retrieval, why);
            }
            (State::AwaitingRemoval { kept }, Answer::Removed(removed)) => self.removed(kept, removed),
            (State::AwaitingCredentials { .. } | State::AwaitingMaildrop, _) => self.unopened(Unopened::Temporary),
            (State::Retrieving { maildrop, retrieval }, _) => self.unread(maildrop, &retrieval, Unread::Temporary),
            (State::AwaitingRemoval { kept }, _) => self.removed(kept, Err(Unremoved)),
            (state, _) => self.state = state,
        }
    }

    fn news(&mut self, news: Infallible, _now: Instant) {
        match news {}
    }

    fn tick(&mut self, now: Instant) {
        if self.was_listing {
            return self.restart_clock(now);
        }
        // RFC 1939 §3: without removing anything and without a word.
        self.state = State::Closing;
    }

    fn leave(&mut self, why: Leave, _now: Instant) {
        match why {
            Leave::HouseCloses => self.err_coded(Code::SysTemp, "the server is closing, come back later"),
            Leave::SentAway => self.err("the administrator has ended this session"),
        }
        self.state = State::Closing;
    }

    fn next(&mut self, out: &mut Vec<u8>) -> Step<Ask> {
        if !self.replies.is_empty() {
            std::mem::swap(&mut self.replies, out);
            self.replies.clear();
            let is_content = std::mem::take(&mut self.sends_content);
            self.exposure = if is_content { Exposure::Content } else { Exposure::Open };
            return Step::Send;
        }
        if let Some(question) = self.question.take() {
            return Step::Ask(question);
        }
        match std::mem::replace(&mut self.state, State::Closing) {
            State::Listing { maildrop, listing } => {
                self.list_on(maildrop, listing, out);
                self.exposure = Exposure::Open;
                Step::Send
            }
            State::Closing => Step::Close,
            State::Securing => {
                self.state = State::Securing;
                Step::Secure
            }
            state => {
                self.state = state;
                if self.replies.capacity() > IDLE_BUFFER_MAX {
                    self.replies = Vec::new();
                }
                Step::Wait { until: self.deadline }
            }
        }
    }

    fn exposure(&self) -> Exposure {
        self.exposure
    }
}

//! The server's side: greets, takes mail, asks the house at every turn.
//!
//! RFC 5321 §3 and §4 (dialogue), §4.1.4 (order), §4.5.3.2.7 (timeout); RFC 2920 §3.2 (pipelining); RFC 3207 §4
//! (STARTTLS); RFC 4954 §4 (AUTH); RFC 6409 §4.3 (submission). The states are drawn in the crate's header.
//!
//! The house is asked in this order: `Sender` begins a new mail, and whatever an older one has left is void;
//! `Recipient` once for each RCPT; `Begin` opens a draft; then content comes by `Step::Keep`; then `Commit` or
//! `Abandon` ends the draft. A session that ends in between has abandoned its draft without a word. RSET and EHLO are
//! not reported: the next `Sender` says all there is to say.
//!
//! What is sent behind DATA without waiting for 354 is read as content if DATA is accepted and as commands if not:
//! RFC 2920 §3.2 forbids to lose input, and says that the client must not do it. A header line among commands ends
//! the session, so a letter does not get far as commands.
//!
//! Invariants: nothing is read while a question is open; replies come in the order of the commands; a flawed or
//! oversized message is refused after its true end; what is thrown away is bounded.
//! Not here: who our recipients are and what a refusal says (desk), talking before the greeting (the session hears
//! only what it is given; a driver that reads early gets a 554 out of it).

mod auth;
mod content;
mod house;
mod rules;
mod settings;
#[cfg(test)]
mod tests;
mod transaction;

use crate::command::{Command, HelloName, Mistake, shown};
use crate::reply::Reply;
use crate::words;
use content::Transfer;
use line::{Exposure, Leave, Line, Lines, Secured, Session, Step};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;
use transaction::Transaction;

pub use content::Fault;
pub use house::{Answer, Ask, Conversation, Envelope};
pub use settings::{Purpose, Settings, Tls};

/// RFC 5321 §4.5.3.1.4 says 512 octets; the parameters of all extensions make it some 1,800.
pub const COMMAND_LINE_MAX_BYTES: usize = 2048;
/// How much of one line without end is thrown away before we hang up.
const ENDLESS_LINE_BYTES: usize = 1 << 20;
/// The first octet of a TLS record that holds a handshake (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 0x16;

#[derive(Debug)]
enum State {
    /// Nothing is said yet.
    Greeting,
    /// No EHLO yet, or not since TLS.
    Fresh,
    Ready(Arc<Conversation>),
    AwaitingSender(Transaction),
    InTransaction(Transaction),
    AwaitingRecipient(Transaction),
    AwaitingDraft(Transaction),
    Receiving(Transfer),
    /// The house drops the draft; `ended` if the final dot has come already.
    AwaitingRelease {
        transfer: Transfer,
        ended: bool,
    },
    AwaitingVerdict(Arc<Conversation>),
    /// The client owes a response.
    Authenticating {
        by: Arc<Conversation>,
        exchange: sasl::server::Exchange,
    },
    AwaitingLogin {
        by: Arc<Conversation>,
        exchange: sasl::server::Exchange,
    },
    Securing,
    Closed,
}

/// What was tried since the last accepted mail.
#[derive(Debug, Default)]
struct Counts {
    commands: u32,
    errors: u32,
    refusals: u32,
    login_failures: u32,
}

/// One conversation with a client.
#[derive(Debug)]
pub struct Server {
    settings: Arc<Settings>,
    nonces: sasl::Nonces,
    state: State,
    lines: Lines,
    /// How much of the line at hand was thrown away.
    overlong: usize,
    tls: Option<Arc<Secured>>,
    login: Option<sasl::server::Granted>,
    counts: Counts,
    deadline: Instant,
    /// The house closes as soon as this mail is done.
    leaving: Option<Leave>,
    said: Vec<u8>,
    content: Vec<u8>,
    asked: Option<Ask>,
    exposure: Exposure,
}

impl Server {
    /// A conversation that has not begun. `seed` is 32 octets of chance, fresh for each session.
    pub fn new(settings: Arc<Settings>, seed: &[u8; 32], now: Instant) -> Self {
        let deadline = now + settings.command_wait;
        Server {
            settings,
            nonces: sasl::Nonces::new(seed),
            state: State::Greeting,
            lines: Lines::new(COMMAND_LINE_MAX_BYTES),
            overlong: 0,
            tls: None,
            login: None,
            counts: Counts::default(),
            deadline,
            leaving: None,
            said: Vec::new(),
            content: Vec::new(),
            asked: None,
            exposure: Exposure::Open,
        }
    }

    fn greet(&mut self) {
        let greeting = format!("{} {}", self.settings.name, self.settings.greeting);
        self.say(&Reply::new(220, None, &greeting));
        self.state = State::Fresh;
    }

    /// Takes one line.
    fn line(&mut self, bytes: &[u8], now: Instant) -> usize {
        if bytes.first() == Some(&TLS_HANDSHAKE) && self.overlong == 0 {
            self.end(&words::TLS_HELLO);
            return bytes.len();
        }
        let secret = self.secret(bytes);
        self.lines.limit(if secret.is_some() { sasl::LINE_MAX } else { COMMAND_LINE_MAX_BYTES });
        self.exposure = secret.map_or(Exposure::Open, Exposure::SecretAfter);
        let look = self.lines.look(bytes);
        if let Line::Overflowing { taken } = look {
            return self.throw_away(taken);
        }
        if look != Line::Partial {
            self.overlong = 0;
            self.deadline = now + self.settings.command_wait;
        }
        match look {
            Line::Whole { text, taken } => self.heard(text, taken),
            Line::Flawed { taken } => self.misheard(&words::BARE_LINE_END, taken),
            Line::TooLong { taken } => self.misheard(&words::LINE_TOO_LONG, taken),
            Line::Overflowing { .. } | Line::Partial => 0,
        }
    }

    /// How much of a line a log may show, if not all.
    fn secret(&self, bytes: &[u8]) -> Option<usize> {
        match self.state {
            State::Authenticating { .. } => Some(0),
            // What it began with is gone; it may have been AUTH.
            _ if self.overlong > 0 => Some(0),
            _ => shown(&bytes[..bytes.len().min(COMMAND_LINE_MAX_BYTES)]),
        }
    }

    fn throw_away(&mut self, taken: usize) -> usize {
        self.overlong += taken;
        if self.overlong > ENDLESS_LINE_BYTES {
            self.end(&words::ENDLESS_LINE);
        }
        taken
    }

    fn heard(&mut self, text: &[u8], taken: usize) -> usize {
        match self.state {
            State::Authenticating { .. } => self.respond(text),
            _ => self.command(text),
        }
        taken
    }

    fn misheard(&mut self, reply: &Reply, taken: usize) -> usize {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Authenticating { by, .. } => {
                self.state = State::Ready(by);
                let too_long = *reply == words::LINE_TOO_LONG;
                self.login_failed(if too_long { &words::AUTH_LINE_TOO_LONG } else { reply });
            }
            state => {
                self.state = state;
                self.complain(reply);
            }
        }
        taken
    }

    fn command(&mut self, line: &[u8]) {
        self.counts.commands += 1;
        if self.counts.commands > self.settings.commands_max {
            return self.end(&words::TOO_MANY_COMMANDS);
        }
        match Command::parse(line) {
            Ok(command) => match self.forbidden(command.verb()) {
                Some(reply) => self.complain(reply),
                None => self.obey(command),
            },
            Err(Mistake::Refused(reply)) => self.complain(reply),
            Err(Mistake::Unknown) => self.complain(&words::UNKNOWN),
            Err(Mistake::Foreign) => self.end(&words::FOREIGN),
        }
    }

    /// A command that is allowed now.
    fn obey(&mut self, command: Command) {
        match command {
            Command::Ehlo(name) => self.hello(name, true),
            Command::Helo(name) => self.hello(name, false),
            Command::Mail(path, params) => self.mail(path, params),
            Command::Rcpt(path, params) => self.rcpt(path, params),
            Command::Data => self.data(),
            Command::Rset => self.reset(),
            Command::Noop => self.say(&words::NOTHING_DONE),
            Command::Quit => self.end(&words::FAREWELL),
            Command::Vrfy(_) | Command::Expn(_) => self.say(&words::NOT_TELLING),
            Command::Help(_) => self.say(&words::HELP),
            Command::StartTls => self.start_tls(),
            Command::Auth { mechanism, initial } => self.auth(&mechanism, initial.as_ref()),
        }
    }

    /// RFC 5321 §4.1.4: EHLO forgets a mail that was under way.
    fn hello(&mut self, hello: HelloName, extended: bool) {
        let reply = if extended { self.extensions(&hello) } else { self.welcome(&hello) };
        self.say(&Reply::new(250, None, &reply));
        let conversation = Conversation { hello, extended, tls: self.tls.clone(), login: self.login.clone() };
        self.state = State::Ready(Arc::new(conversation));
    }

    fn welcome(&self, hello: &HelloName) -> String {
        format!("{} Hello {hello}, pleased to meet you", self.settings.name)
    }

    fn extensions(&self, hello: &HelloName) -> String {
        let mut lines = self.welcome(hello);
        lines +=
            &format!("\nPIPELINING\nSIZE {}\n8BITMIME\nSMTPUTF8\nENHANCEDSTATUSCODES", self.settings.size_max_bytes);
        if self.settings.dsn {
            lines += "\nDSN";
        }
        if self.settings.tls != Tls::Absent && self.tls.is_none() {
            lines += "\nSTARTTLS";
        }
        let mechanisms = self.mechanisms();
        if !mechanisms.is_empty() {
            lines += "\nAUTH";
            mechanisms.iter().for_each(|mechanism| lines += &format!(" {}", mechanism.name()));
        }
        lines
    }

    fn reset(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Closed) {
            State::InTransaction(mail) => State::Ready(mail.envelope.by),
            state => state,
        };
        self.say(&words::FORGOTTEN);
    }

    fn start_tls(&mut self) {
        match (self.settings.tls, &self.tls) {
            (_, Some(_)) => self.complain(&words::TLS_ALREADY),
            (Tls::Absent, None) => self.complain(&words::TLS_ABSENT),
            (Tls::Offered | Tls::Demanded, None) => {
                self.say(&words::START_TLS);
                self.state = State::Securing;
            }
        }
    }

    /// At once, unless a question is open or, where the house closes, content is on its way.
    fn leave_if_asked(&mut self) {
        match (&self.state, self.leaving) {
            (
                State::Greeting
                | State::Fresh
                | State::Ready(_)
                | State::InTransaction(_)
                | State::Authenticating { .. },
                Some(Leave::HouseCloses),
            ) => self.end(&words::LEAVING),
            (
                State::Greeting
                | State::Fresh
                | State::Ready(_)
                | State::InTransaction(_)
                | State::Authenticating { .. }
                | State::Receiving(_),
                Some(Leave::SentAway),
            ) => self.end(&words::SENT_AWAY),
            _ => {}
        }
    }

    fn say(&mut self, reply: &Reply) {
        reply.write(&mut self.said);
    }

    /// The peer broke the rules.
    fn complain(&mut self, reply: &Reply) {
        self.say(reply);
        self.counts.errors += 1;
        if self.counts.errors >= self.settings.errors_max {
            self.end(&words::TOO_MANY_ERRORS);
        }
    }

    /// The house said no.
    fn refuse(&mut self, reply: Option<&Reply>) {
        let Some(reply) = reply else { return self.end(&words::CONFUSED) };
        self.say(reply);
        if reply.code() == 421 {
            self.state = State::Closed;
            return;
        }
        if reply.is_permanent() {
            self.counts.refusals += 1;
        }
        if self.counts.refusals >= self.settings.refusals_max {
            self.end(&words::TOO_MANY_REFUSALS);
        }
    }

    fn end(&mut self, reply: &Reply) {
        self.say(reply);
        self.state = State::Closed;
    }
}

impl Session for Server {
    type Ask = Ask;
    type Answer = Answer;
    type News = Infallible;

    fn receive(&mut self, bytes: &[u8], now: Instant) -> usize {
        if bytes.is_empty() {
            return 0;
        }
        match &mut self.state {
            State::Fresh | State::Ready(_) | State::InTransaction(_) | State::Authenticating { .. } => {
                self.line(bytes, now)
            }
            State::Receiving(_) => self.take_content(bytes, now),
            State::Greeting => {
                self.end(&words::TOO_EARLY);
                bytes.len()
            }
            // A question is open, TLS begins, or all is over: nothing is taken, and the contract says nothing comes.
            _ => 0,
        }
    }

    fn closed(&mut self, _now: Instant) {
        self.state = State::Closed;
    }

    fn secured(&mut self, tls: Secured, now: Instant) {
        self.tls = Some(Arc::new(tls));
        if matches!(self.state, State::Securing) {
            // RFC 3207 §4.2: all we know of the client is forgotten.
            self.login = None;
            self.lines = Lines::new(COMMAND_LINE_MAX_BYTES);
            self.state = State::Fresh;
            self.leave_if_asked();
        }
        self.deadline = now + self.settings.command_wait;
    }

    fn answer(&mut self, answer: Answer, now: Instant) {
        self.deadline = now + self.settings.command_wait;
        match (std::mem::replace(&mut self.state, State::Closed), answer) {
            (State::AwaitingLogin { by, exchange }, Answer::Login(answer)) => self.judged_login(by, exchange, answer),
            (State::AwaitingLogin { .. }, _) => self.end(&words::CONFUSED),
            (state, answer) => {
                self.state = state;
                self.answered(answer, now);
            }
        }
        self.leave_if_asked();
    }

    fn news(&mut self, news: Infallible, _now: Instant) {
        match news {}
    }

    fn tick(&mut self, now: Instant) {
        if now >= self.deadline && !matches!(self.state, State::Closed) {
            self.end(&words::TIMEOUT);
        }
    }

    /// At once, but where the house closes a mail whose content is on its way may still arrive.
    fn leave(&mut self, why: Leave, _now: Instant) {
        self.leaving = Some(why);
        self.leave_if_asked();
    }

    fn next(&mut self, out: &mut Vec<u8>) -> Step<Ask> {
        if matches!(self.state, State::Greeting) {
            self.greet();
        }
        if !self.content.is_empty() {
            std::mem::swap(out, &mut self.content);
            return Step::Keep;
        }
        if !self.said.is_empty() {
            // Copied, so that the driver's large buffer does not become ours.
            out.extend_from_slice(&self.said);
            self.said.clear();
            self.exposure = Exposure::Open;
            return Step::Send;
        }
        if let Some(ask) = self.asked.take() {
            return Step::Ask(ask);
        }
        match self.state {
            State::Securing => Step::Secure,
            State::Closed => Step::Close,
            State::Receiving(_) => Step::Wait { until: self.deadline },
            _ => {
                // A client that is idle costs no buffer.
                self.content = Vec::new();
                Step::Wait { until: self.deadline }
            }
        }
    }

    fn exposure(&self) -> Exposure {
        self.exposure
    }
}

//! The server's side: greets, takes mail, asks the house at every turn.
//!
//! RFC 5321 §3 and §4 (dialogue), §4.1.4 (order), §4.5.3.2.7 (timeout); RFC 2920 §3.2 (pipelining); RFC 3207 §4 (STARTTLS);
//! RFC 4954 §4 (AUTH); RFC 6409 §4.3 (submission). The states are drawn in the crate's header.
//!
//! The house is asked in this order: `Sender` begins a new mail, and whatever an older one has left is void; `Recipient`
//! once for each RCPT; `Begin` opens a draft; then content comes by `Step::Keep`; then `Commit` or `Abandon` ends the
//! draft. A session that ends in between has abandoned its draft without a word. RSET and EHLO are not reported:
//! the next `Sender` says all there is to say.
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
mod rules;
mod settings;
#[cfg(test)]
mod tests;

use crate::command::{Command, HelloName, Mistake, shown};
use crate::params::{Body, MailParams, RcptParams};
use crate::path::{ForwardPath, ReversePath};
use crate::reply::Reply;
use crate::words;
use content::Transfer;
use line::{Exposure, Line, Lines, Secured, Session, Step};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

pub use content::Fault;
pub use settings::{Purpose, Settings, Tls};

/// RFC 5321 §4.5.3.1.4 says 512 octets; the parameters of all extensions make it some 1,800.
pub const COMMAND_LINE_MAX_BYTES: usize = 2048;
/// How much of one line without end is thrown away before we hang up.
const ENDLESS_LINE_BYTES: usize = 1 << 20;
/// The first octet of a TLS record that holds a handshake (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 0x16;

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

/// A mail between MAIL and the end of its content.
#[derive(Debug)]
struct Transaction {
    envelope: Envelope,
    /// How many recipients were refused.
    refused: usize,
}

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
    leaving: bool,
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
            leaving: false,
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
        if bytes.first() == Some(&TLS_HANDSHAKE) {
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
            Command::Bdat { .. } => self.complain(&words::NOT_IMPLEMENTED),
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

    fn mail(&mut self, path: ReversePath, params: MailParams) {
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
            // BINARYMIME needs BDAT (RFC 3030 §3), which we do not offer.
            MailParams { body: Some(Body::BinaryMime), .. } => Some(&words::UNKNOWN_PARAMETER),
            _ if reports && !self.settings.dsn => Some(&words::UNKNOWN_PARAMETER),
            _ => None,
        }
    }

    fn rcpt(&mut self, path: ForwardPath, params: RcptParams) {
        let mail = match std::mem::replace(&mut self.state, State::Closed) {
            State::InTransaction(mail) => mail,
            state => {
                self.state = state;
                return self.complain(&words::MAIL_FIRST);
            }
        };
        let reports = params.notify.is_some() || params.orcpt.is_some();
        let refusal = match () {
            () if !path.is_ascii() && !mail.envelope.smtputf8 => Some(&words::RECIPIENT_NOT_ASCII),
            () if reports && !self.settings.dsn => Some(&words::UNKNOWN_PARAMETER),
            () if mail.envelope.recipients >= self.settings.recipients_max => Some(&words::TOO_MANY_RECIPIENTS),
            () => None,
        };
        if let Some(reply) = refusal {
            self.state = State::InTransaction(Transaction { refused: mail.refused + 1, ..mail });
            // RFC 5321 §4.5.3.1.10: the client cannot know how many are too many; that is no error of its.
            return if reply.is_transient() { self.say(reply) } else { self.complain(reply) };
        }
        self.state = State::AwaitingRecipient(mail);
        self.asked = Some(Ask::Recipient { path, params });
    }

    fn data(&mut self) {
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

    /// What the house answered to MAIL, RCPT, DATA or the final dot.
    fn answered(&mut self, answer: Answer, now: Instant) {
        let reply = match &answer {
            Answer::Yes => None,
            Answer::Reply(reply) => Some(reply),
            Answer::Login(_) => return self.end(&words::CONFUSED),
        };
        let yes = reply.is_none_or(|reply| reply.is_positive() || reply.is_intermediate());
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

    /// The house closes: at once, unless content is on its way or a question is open.
    fn leave_if_asked(&mut self) {
        match self.state {
            State::Greeting
            | State::Fresh
            | State::Ready(_)
            | State::InTransaction(_)
            | State::Authenticating { .. }
                if self.leaving =>
            {
                self.end(&words::LEAVING);
            }
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

    /// At once, but a mail whose content is on its way may still arrive.
    fn leave(&mut self, _now: Instant) {
        self.leaving = true;
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
            std::mem::swap(out, &mut self.said);
            self.exposure = Exposure::Open;
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

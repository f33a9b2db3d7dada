//! AUTH: carries the messages of a SASL exchange, and says how it ended.
//!
//! RFC 4954 §4 (exchange, cancelling, errors), §6 (codes).
//!
//! Invariants: one success a session; nothing is offered in clear but where the settings say so; every failure counts.
//! Not here: the mechanisms (sasl), passwords (directory).

use super::{Ask, Conversation, Server, State};
use crate::reply::{EnhancedCode, Reply};
use crate::words;
use line::Secret;
use sasl::server::{Denied, Exchange, Failure, Granted, Move, Terms};
use sasl::{Mechanism, wire};
use std::sync::Arc;

impl Server {
    /// What AUTH offers now.
    pub(super) fn mechanisms(&self) -> Vec<Mechanism> {
        if self.tls.is_none() && !self.settings.clear_login {
            return Vec::new();
        }
        sasl::available(&self.settings.mechanisms, self.tls.as_deref(), self.settings.clear_login)
    }

    pub(super) fn auth(&mut self, mechanism: &str, initial: Option<&Secret>) {
        let mechanism = match self.usable(mechanism) {
            Ok(mechanism) => mechanism,
            Err(reply) => return self.complain(reply),
        };
        let by = match std::mem::replace(&mut self.state, State::Closed) {
            State::Ready(by) => by,
            state => {
                self.state = state;
                return self.complain(&words::HELLO_FIRST);
            }
        };
        let (nonce, offered) = (self.nonces.draw(), self.mechanisms());
        let terms = Terms { channel: self.tls.as_deref(), offered: &offered, nonce: &nonce };
        let (exchange, next) = Exchange::start(mechanism, initial.map(Secret::reveal), terms);
        self.go_on(by, exchange, next);
    }

    fn usable(&self, name: &str) -> Result<Mechanism, &'static Reply> {
        if self.login.is_some() {
            return Err(&words::AUTH_ALREADY);
        }
        if self.settings.mechanisms.is_empty() {
            return Err(&words::AUTH_ABSENT);
        }
        let known = Mechanism::parse(name.as_bytes()).filter(|known| self.settings.mechanisms.contains(known));
        match known {
            Some(known) if self.mechanisms().contains(&known) => Ok(known),
            Some(_) if self.tls.is_none() => Err(&words::ENCRYPTION_FIRST),
            _ => Err(&words::UNKNOWN_MECHANISM),
        }
    }

    /// The client's response to a challenge.
    pub(super) fn respond(&mut self, line: &[u8]) {
        let (by, mut exchange) = match std::mem::replace(&mut self.state, State::Closed) {
            State::Authenticating { by, exchange } => (by, exchange),
            state => {
                self.state = state;
                return;
            }
        };
        let refusal = match line {
            b"*" => &words::CANCELLED,
            _ => match wire::decode(line) {
                Some(response) => {
                    let next = exchange.respond(&response);
                    return self.go_on(by, exchange, next);
                }
                None => &words::BAD_BASE64,
            },
        };
        self.state = State::Ready(by);
        self.login_failed(refusal);
    }

    /// The house's answer to the exchange's question.
    pub(super) fn judged_login(&mut self, by: Arc<Conversation>, mut exchange: Exchange, answer: sasl::server::Answer) {
        let next = exchange.answer(answer);
        self.go_on(by, exchange, next);
    }

    fn go_on(&mut self, by: Arc<Conversation>, exchange: Exchange, next: Move) {
        match next {
            Move::Challenge(challenge) => {
                // RFC 4954 §4: nothing but base64, and the blank stays if there is none.
                self.say(&Reply::new(334, None, &wire::encode(&challenge)));
                self.state = State::Authenticating { by, exchange };
            }
            Move::Ask(ask) => {
                self.asked = Some(Ask::Login(ask));
                self.state = State::AwaitingLogin { by, exchange };
            }
            Move::Granted(granted) => self.welcome_in(&by, granted),
            Move::Failed(failure) => {
                self.state = State::Ready(by);
                self.login_failed(&refusal(failure));
            }
        }
    }

    fn welcome_in(&mut self, by: &Conversation, granted: Granted) {
        self.counts.login_failures = 0;
        self.login = Some(granted);
        self.state = State::Ready(Arc::new(Conversation { login: self.login.clone(), ..by.clone() }));
        self.say(&words::AUTHENTICATED);
    }

    pub(super) fn login_failed(&mut self, reply: &Reply) {
        self.say(reply);
        self.counts.login_failures += 1;
        if self.counts.login_failures >= self.settings.login_failures_max {
            self.end(&words::TOO_MANY_ERRORS);
        }
    }
}

/// Unknown login and wrong password get the same answer; so does a message that makes no sense.
fn refusal(failure: Failure) -> Reply {
    match failure {
        Failure::Malformed | Failure::Denied(Denied::Credentials) => words::BAD_CREDENTIALS.clone(),
        Failure::ChannelBinding => words::CHANNEL_MISMATCH.clone(),
        Failure::Denied(Denied::Throttled) => words::AUTH_THROTTLED.clone(),
        Failure::Denied(Denied::Temporary) => words::AUTH_TEMPORARY.clone(),
        Failure::Denied(Denied::Policy(why)) => Reply::new(535, Some(EnhancedCode::new(5, 7, 1)), &why),
    }
}

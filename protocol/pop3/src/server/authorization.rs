//! Before login: who is it, and may we open the maildrop?
//!
//! RFC 1939 §4 and §7 (USER, PASS), RFC 2595 §4 (STLS), RFC 3206 §5 (AUTH code), RFC 5034 §4 (AUTH), RFC 6856 §2 (UTF8).
//!
//! Invariants: USER never tells whether there is such a user; a password that must not come in clear is not looked at.
//! Not here: the mechanisms (sasl).

use super::maildrop::{Entry, Maildrop};
use super::{Ask, COMMAND_MAX, Server, State, Unopened};
use crate::command::{Auth, Command};
use crate::reply::{Code, Reply};
use line::Secret;
use sasl::Mechanism;
use sasl::server::{Denied, Exchange, Failure, Granted, Move, Terms};

impl Server {
    /// A command that makes sense before login only.
    pub(super) fn authorize(&mut self, command: Command, named: Option<String>) {
        self.state = State::Authorization { named: None };
        match command {
            Command::User(name) => self.user(name),
            Command::Pass(password) => self.pass(named, &password),
            Command::Auth(Some(auth)) => self.auth(&auth),
            Command::Auth(None) => {
                self.ok("mechanisms follow");
                let names = self.mechanisms().into_iter().map(Mechanism::name);
                self.multi_line(&names.collect::<Vec<_>>());
            }
            Command::Stls => self.stls(),
            Command::Utf8 => {
                self.utf8 = true;
                self.ok("UTF-8 from here on");
            }
            _ => self.err("APOP is not offered, use AUTH or USER"),
        }
    }

    fn user(&mut self, name: String) {
        if !self.may_show_password() {
            return self.refuse_clear();
        }
        if name.len() > sasl::LOGIN_MAX || sasl::prepared(&name).is_none() {
            return self.err("a name has no such characters");
        }
        self.ok("and the password?");
        self.state = State::Authorization { named: Some(name) };
    }

    /// RFC 1939 §7: PASS follows USER. It is PLAIN in two lines, and treated as that.
    fn pass(&mut self, named: Option<String>, password: &Secret) {
        if !self.may_show_password() {
            return self.refuse_clear();
        }
        let Some(name) = named else {
            return self.err("USER comes first");
        };
        let message = [b"\0", name.as_bytes(), b"\0", password.reveal()].concat();
        self.begin(Mechanism::Plain, Some(&message));
    }

    fn refuse_clear(&mut self) {
        let remedy = if self.securable() { "STLS comes first" } else { "use TLS" };
        self.err_coded(Code::Auth, format!("no passwords in clear on this connection, {remedy}"));
    }

    fn auth(&mut self, auth: &Auth) {
        let mechanism = Mechanism::parse(auth.mechanism.as_bytes());
        let Some(mechanism) = mechanism.filter(|mechanism| self.settings.mechanisms.contains(mechanism)) else {
            return self.err("no such mechanism here");
        };
        if mechanism.sends_password() && !self.may_show_password() {
            return self.refuse_clear();
        }
        if !self.mechanisms().contains(&mechanism) {
            return self.err("this mechanism needs TLS");
        }
        match auth.initial.as_ref().map(|initial| sasl::wire::decode_initial(initial.reveal())) {
            Some(None) => self.misbehaved("the initial response is not base64"),
            Some(Some(message)) => self.begin(mechanism, Some(&message)),
            None => self.begin(mechanism, None),
        }
    }

    fn begin(&mut self, mechanism: Mechanism, initial: Option<&[u8]>) {
        let (offered, nonce) = (self.mechanisms(), self.nonces.draw());
        let terms = Terms { channel: self.tls.as_ref(), offered: &offered, nonce: &nonce };
        let (exchange, step) = Exchange::start(mechanism, initial, terms);
        self.exchange_moves(exchange, step);
    }

    /// A line of the client within an exchange.
    pub(super) fn response(&mut self, mut exchange: Exchange, text: &[u8]) {
        if text == b"*" {
            self.exchange_over();
            return self.err("cancelled");
        }
        match sasl::wire::decode(text) {
            Some(message) => {
                let step = exchange.respond(&message);
                self.exchange_moves(exchange, step);
            }
            None => {
                self.exchange_over();
                self.misbehaved("the response is not base64");
            }
        }
    }

    pub(super) fn exchange_moves(&mut self, exchange: Exchange, step: Move) {
        match step {
            Move::Challenge(message) => {
                self.reply(&Reply::Challenge(message));
                self.lines.limit(sasl::LINE_MAX);
                self.state = State::Exchanging { exchange };
            }
            Move::Ask(ask) => {
                self.ask(Ask::Auth(ask));
                self.state = State::AwaitingCredentials { exchange };
            }
            Move::Granted(Granted { account, .. }) => {
                self.exchange_over();
                self.ask(Ask::OpenMaildrop { account });
                self.state = State::AwaitingMaildrop;
            }
            Move::Failed(failure) => {
                self.exchange_over();
                self.login_failed(failure);
            }
        }
    }

    /// Back to commands.
    pub(super) fn exchange_over(&mut self) {
        self.lines.limit(COMMAND_MAX);
        self.state = State::Authorization { named: None };
    }

    fn login_failed(&mut self, failure: Failure) {
        let (code, text) = match failure {
            Failure::Denied(Denied::Credentials) => (Some(Code::Auth), "name or password is wrong".into()),
            Failure::Denied(Denied::Policy(text)) => (Some(Code::Auth), text.into()),
            Failure::Denied(Denied::Throttled) => (Some(Code::SysTemp), "too many attempts, wait a while".into()),
            Failure::Denied(Denied::Temporary) => (Some(Code::SysTemp), "cannot check the password now".into()),
            Failure::ChannelBinding => (None, "your TLS channel is not the one we have".into()),
            Failure::Malformed => (None, "the response breaks the rules of the mechanism".into()),
        };
        self.reply(&Reply::Err(code, text));
        self.failed_logins += 1;
        if self.failed_logins >= self.settings.login_failures_max {
            self.state = State::Closing;
        }
    }

    pub(super) fn opened(&mut self, entries: Vec<Entry>) {
        let maildrop = Maildrop::new(entries);
        self.ok(maildrop.summary());
        self.state = State::Transaction { maildrop };
    }

    pub(super) fn unopened(&mut self, why: Unopened) {
        let (code, text) = match why {
            Unopened::InUse => (Code::InUse, "another session has the maildrop".into()),
            Unopened::Temporary => (Code::SysTemp, "cannot open the maildrop now".into()),
            Unopened::Permanent => (Code::SysPerm, "the maildrop is damaged, tell the administrator".into()),
            Unopened::Policy(text) => (Code::Auth, text.into()),
        };
        self.reply(&Reply::Err(Some(code), text));
        self.exchange_over();
    }

    fn stls(&mut self) {
        if self.tls.is_some() {
            return self.err("TLS is active already");
        }
        if !self.settings.tls_available {
            return self.err("no TLS here");
        }
        // RFC 6856 §2.1: a client must not do so, a server may refuse.
        if self.utf8 {
            return self.err("STLS comes before UTF8");
        }
        self.ok("begin TLS");
        self.state = State::Securing;
    }
}

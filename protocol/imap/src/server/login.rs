//! Before login: who is it, and over which channel?
//!
//! RFC 9051 §6.2 (STARTTLS, AUTHENTICATE, LOGIN), §11.1 (passwords in clear); RFC 4959 (initial responses); RFC 5530
//! (codes).
//!
//! Invariants: a password that must not come in clear is not looked at; nobody learns which of name and password is wrong.
//! Not here: the mechanisms (sasl), passwords (directory).

use super::ask::{Answer, Ask};
use super::refusal::write_refusal;
use super::stage::Stage;
use super::{LINE_MAX, STRANGER_LINE_MAX, Server, newcomer};
use crate::capability::Capability;
use crate::reply::Reply;
use line::Secret;
use sasl::Mechanism;
use sasl::server::{Denied, Exchange, Failure, Move, Terms};

impl Server {
    /// Whether TLS can still be had.
    pub(super) fn securable(&self) -> bool {
        self.tls.is_none() && self.settings.tls_available
    }

    /// Whether a password may be shown on this channel.
    pub(super) fn may_show_password(&self) -> bool {
        self.tls.is_some() || self.settings.clear_login
    }

    pub(super) fn mechanisms(&self) -> Vec<Mechanism> {
        sasl::available(&self.settings.mechanisms, self.tls.as_ref(), self.settings.clear_login)
    }

    pub(super) fn no_clear_passwords(&self) -> Reply {
        let text = match self.securable() {
            true => "no passwords in clear on this connection, STARTTLS comes first",
            false => "no passwords in clear on this connection, use TLS",
        };
        Reply::no(text).coded("PRIVACYREQUIRED")
    }

    pub(super) fn starttls(&mut self, tag: &[u8]) -> Stage {
        if self.tls.is_some() {
            return self.reply(Stage::Stranger, tag, &Reply::bad("TLS is active already"));
        }
        if !self.settings.tls_available || self.compressed {
            return self.reply(Stage::Stranger, tag, &Reply::bad("no TLS here"));
        }
        self.reply(Stage::Securing, tag, &Reply::ok("begin TLS"))
    }

    /// LOGIN is PLAIN in other words, and treated as that.
    pub(super) fn login(&mut self, tag: Vec<u8>, user: &[u8], password: &Secret) -> Stage {
        let message = [b"\0", user, b"\0", password.reveal()].concat();
        self.begin_exchange(tag, Mechanism::Plain, Some(&message))
    }

    pub(super) fn authenticate(&mut self, tag: Vec<u8>, mechanism: &str, initial: Option<&Secret>) -> Stage {
        let mechanism = Mechanism::parse(mechanism.as_bytes());
        let Some(mechanism) = mechanism.filter(|mechanism| self.settings.mechanisms.contains(mechanism)) else {
            return self.reply(Stage::Stranger, &tag, &Reply::no("no such mechanism here").coded("CANNOT"));
        };
        if mechanism.sends_password() && !self.may_show_password() {
            let reply = self.no_clear_passwords();
            return self.reply(Stage::Stranger, &tag, &reply);
        }
        if !self.mechanisms().contains(&mechanism) {
            return self.reply(Stage::Stranger, &tag, &Reply::no("this mechanism needs TLS").coded("PRIVACYREQUIRED"));
        }
        match initial.map(|initial| sasl::wire::decode_initial(initial.reveal())) {
            Some(_) if !self.offers(Capability::SaslIr) => {
                self.misbehaved(Stage::Stranger, Some(&tag), "no initial response here")
            }
            Some(None) => self.misbehaved(Stage::Stranger, Some(&tag), "the initial response is not base64"),
            Some(Some(message)) => self.begin_exchange(tag, mechanism, Some(&message)),
            None => self.begin_exchange(tag, mechanism, None),
        }
    }

    fn begin_exchange(&mut self, tag: Vec<u8>, mechanism: Mechanism, initial: Option<&[u8]>) -> Stage {
        let (offered, nonce) = (self.mechanisms(), self.nonces.draw());
        let terms = Terms { channel: self.tls.as_ref(), offered: &offered, nonce: &nonce };
        let (exchange, step) = Exchange::start(mechanism, initial, terms);
        self.exchange_moves(tag, exchange, step)
    }

    /// A line of the client within an exchange.
    pub(super) fn response(&mut self, tag: Vec<u8>, mut exchange: Exchange, text: &[u8]) -> Stage {
        if text == b"*" {
            self.exchange_over();
            return self.reply(Stage::Stranger, &tag, &Reply::bad("cancelled"));
        }
        match sasl::wire::decode(text) {
            Some(message) => {
                let step = exchange.respond(&message);
                self.exchange_moves(tag, exchange, step)
            }
            None => {
                self.exchange_over();
                self.misbehaved(Stage::Stranger, Some(&tag), "the response is not base64")
            }
        }
    }

    fn exchange_moves(&mut self, tag: Vec<u8>, exchange: Exchange, step: Move) -> Stage {
        match step {
            Move::Challenge(message) => {
                let challenge = sasl::wire::encode(&message);
                self.pen().word("+ ").formed(challenge.as_bytes()).end();
                self.gather.limit(sasl::LINE_MAX);
                Stage::Exchanging { tag, exchange }
            }
            Move::Ask(ask) => {
                self.ask(Ask::Auth(ask));
                Stage::AwaitingCredentials { tag, exchange }
            }
            Move::Granted(granted) => {
                self.gather.limit(LINE_MAX);
                self.restart_clock();
                self.pen().formed(&tag).word(" OK [CAPABILITY");
                self.write_capabilities(true);
                self.pen().word("] logged in").end();
                newcomer(granted.account)
            }
            Move::Failed(failure) => {
                self.exchange_over();
                self.login_failed(&tag, failure)
            }
        }
    }

    /// Back to commands.
    pub(super) fn exchange_over(&mut self) {
        self.gather.limit(STRANGER_LINE_MAX);
    }

    pub(super) fn credentials_answered(&mut self, tag: Vec<u8>, mut exchange: Exchange, answer: Answer) -> Stage {
        let step = match answer {
            Answer::Auth(answer) => exchange.answer(answer),
            _ => Move::Failed(Failure::Denied(Denied::Temporary)),
        };
        self.exchange_moves(tag, exchange, step)
    }

    fn login_failed(&mut self, tag: &[u8], failure: Failure) -> Stage {
        let reply = match failure {
            Failure::Denied(Denied::Credentials) => {
                Reply::no("name or password is wrong").coded("AUTHENTICATIONFAILED")
            }
            Failure::Denied(Denied::Policy(text)) => Reply::no(text).coded("AUTHORIZATIONFAILED"),
            Failure::Denied(Denied::Throttled) => Reply::no("too many attempts, wait a while").coded("LIMIT"),
            Failure::Denied(Denied::Temporary) => write_refusal("cannot check the password now"),
            Failure::ChannelBinding => {
                Reply::no("your TLS channel is not the one we have").coded("AUTHENTICATIONFAILED")
            }
            Failure::Malformed => Reply::bad("the response breaks the rules of the mechanism"),
        };
        reply.write(Some(tag), &mut self.said);
        self.failed_logins += 1;
        if self.failed_logins >= self.settings.login_failures_max {
            return self.bye(&Reply::bye("too many failed logins"));
        }
        Stage::Stranger
    }

    /// UNAUTHENTICATE: RFC 8437 §2 wants everything forgotten but TLS.
    pub(super) fn forgotten(&mut self, turn: &super::stage::Turn) -> Stage {
        self.gather.limit(STRANGER_LINE_MAX);
        self.elsewhere_due = false;
        self.login_until = self.now + self.settings.login_limit;
        self.reply(Stage::Stranger, &turn.tag, &Reply::ok("who are you?"))
    }
}

//! AUTH, said by us: to a smarthost, before any mail.
//!
//! RFC 4954 §4 (exchange, where the initial response goes, cancelling).
//!
//! Invariants: no password in clear, nor to a server whose certificate nobody verified, unless the settings say so;
//! a server that should prove itself and does not is left.

use super::capabilities::Capabilities;
use super::{Cause, Client, Stage, State, Trouble};
use crate::command::Command;
use crate::reply::Reply;
use line::{Exposure, Secret};
use sasl::client::{Credentials, Exchange, Failure, Terms};
use sasl::{Mechanism, wire};
use std::time::Instant;

/// RFC 4954 §4: the command with its initial response keeps the limit of every command (RFC 5321 §4.5.3.1.4).
const COMMAND_MAX_BYTES: usize = 512;

impl Client {
    /// Logs in if we are to, and is ready then.
    pub(super) fn log_in(&mut self, capabilities: Capabilities, now: Instant) {
        let Some(credentials) = self.settings.login.clone() else { return self.ready(capabilities) };
        let Some(mechanism) = self.mechanism(&capabilities) else {
            return self.broken(Stage::Login, Cause::NoMechanism);
        };
        match self.start(mechanism, credentials, &capabilities) {
            Ok((exchange, initial)) => {
                let held = self.say_auth(mechanism, initial);
                self.state = State::LoggingIn { capabilities, exchange, held };
                self.deadline = now + self.settings.waits.hello;
            }
            Err(failure) => self.broken(Stage::Login, Cause::Login(failure)),
        }
    }

    fn mechanism(&self, capabilities: &Capabilities) -> Option<Mechanism> {
        let clear = self.settings.clear_login;
        let trusted = clear || self.tls.as_ref().is_some_and(|tls| tls.verified);
        sasl::client::choose(&capabilities.mechanisms, self.tls.as_ref(), clear)
            .filter(|mechanism| trusted || !mechanism.sends_password())
    }

    fn start(
        &mut self,
        mechanism: Mechanism,
        credentials: Credentials,
        capabilities: &Capabilities,
    ) -> Result<(Exchange, Option<Vec<u8>>), Failure> {
        let nonce = self.nonces.draw();
        let terms = Terms { channel: self.tls.as_ref(), offered: &capabilities.mechanisms, nonce: &nonce };
        Exchange::start(mechanism, credentials, terms)
    }

    /// Says the command; gives back the initial response if it did not fit.
    fn say_auth(&mut self, mechanism: Mechanism, initial: Option<Vec<u8>>) -> Option<Vec<u8>> {
        let name = mechanism.name();
        let room = COMMAND_MAX_BYTES - "AUTH  \r\n".len() - name.len();
        let fits = initial.as_ref().is_some_and(|initial| wire::encode_initial(initial).len() <= room);
        let (beside, held) = if fits { (initial, None) } else { (None, initial) };
        self.said_exposure = Exposure::SecretAfter("AUTH  ".len() + name.len());
        self.say(&Command::Auth { mechanism: name.into(), initial: beside.map(Secret::new) });
        held
    }

    /// A challenge, or how it ended.
    pub(super) fn challenged(
        &mut self,
        capabilities: Capabilities,
        mut exchange: Exchange,
        held: Option<Vec<u8>>,
        reply: Reply,
        now: Instant,
    ) {
        if reply.is_positive() {
            return match exchange.granted(None) {
                Ok(()) => self.ready(Capabilities { logged_in: true, ..capabilities }),
                Err(failure) => self.broken(Stage::Login, Cause::Login(failure)),
            };
        }
        if reply.code() != 334 {
            return self.broken(Stage::Login, Cause::Reply(reply));
        }
        self.deadline = now + self.settings.waits.hello;
        let response = match held {
            Some(initial) => Ok(initial),
            None => challenge(&reply).and_then(|challenge| exchange.respond(&challenge)),
        };
        self.said_exposure = Exposure::SecretAfter(0);
        match response {
            Ok(response) => {
                self.said.extend(wire::encode(&response).bytes());
                self.state = State::LoggingIn { capabilities, exchange, held: None };
            }
            Err(failure) => {
                self.said.push(b'*');
                self.state = State::Cancelling(Trouble::new(Stage::Login, Cause::Login(failure)));
            }
        }
        self.said.extend(b"\r\n");
    }
}

fn challenge(reply: &Reply) -> Result<Vec<u8>, Failure> {
    let text = reply.lines().next().unwrap_or_default();
    wire::decode(text.trim().as_bytes()).ok_or(Failure::Malformed)
}

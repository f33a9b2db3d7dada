//! What the client makes of the server's lines.
//!
//! RFC 1939 §3–7, RFC 2449 §5 (CAPA), RFC 2595 §4 (STLS), RFC 5034 §4 (AUTH).
//!
//! Invariants: every line moves the dialogue on or ends it as garbled.
//! Not here: messages (the session takes them as they come).

use super::{CAPABILITIES_MAX, Capabilities, Client, End, LISTING_MAX, Order, Outcome, State, Stls};
use crate::command::{Auth, Command};
use crate::reply::{Reply, parse_number};
use crate::server::COMMAND_MAX;
use line::{Line, Secret, Undotter};
use sasl::Mechanism;
use sasl::client::{Exchange, Terms};

impl Client {
    pub(super) fn receive_line(&mut self, bytes: &[u8]) -> usize {
        match self.lines.look(bytes) {
            Line::Whole { text, taken } => {
                self.line(text);
                taken
            }
            Line::Flawed { taken } | Line::TooLong { taken } | Line::Overflowing { taken } => {
                self.end(End::Garbled);
                taken
            }
            Line::Partial => 0,
        }
    }

    fn line(&mut self, text: &[u8]) {
        match std::mem::replace(&mut self.state, State::Closing) {
            State::Capability(capabilities) => self.capability(capabilities, text),
            State::Sizes(sizes) => self.size(sizes, text),
            State::Uidls(uidls) => self.uidl(uidls, text),
            state => match Reply::parse(text) {
                Some(reply) => self.reply(state, reply),
                None => self.end(End::Garbled),
            },
        }
    }

    fn reply(&mut self, state: State, reply: Reply) {
        match (state, reply) {
            (State::Greeting, Reply::Ok(_)) => self.say(&Command::Capa, State::Capabilities),
            (State::Greeting, Reply::Err(_, text)) => self.end(End::Unwelcome(text.into())),
            (State::Capabilities, Reply::Ok(_)) => self.state = State::Capability(Capabilities::default()),
            // A server from before CAPA knows USER at least.
            (State::Capabilities, Reply::Err(..)) => {
                self.capable(&Capabilities { user: true, ..Capabilities::default() })
            }
            (State::Stls, Reply::Ok(_)) => self.state = State::Securing,
            (State::Stls, Reply::Err(..)) => self.end(End::Unsafe),
            (State::User, Reply::Ok(_)) => {
                let password = self.settings.credentials.password.clone();
                self.say(&Command::Pass(password), State::Pass);
            }
            (State::Pass, Reply::Ok(_)) => self.report(Outcome::Admitted),
            (State::Auth(exchange, initial), Reply::Challenge(challenge)) => {
                self.challenged(exchange, initial, &challenge)
            }
            (State::Auth(mut exchange, _), Reply::Ok(_)) => match exchange.granted(None) {
                Ok(()) => self.report(Outcome::Admitted),
                Err(failure) => self.end(End::Exchange(failure)),
            },
            (State::User | State::Pass | State::Auth(..), Reply::Err(code, text)) => {
                self.end(End::LoginRefused(code, text.into()));
            }
            (State::Reply(order), Reply::Ok(text)) => self.done(order, text.as_bytes()),
            (State::Reply(Order::Quit), Reply::Err(_, text)) => self.end(End::Unremoved(text.into())),
            (State::Reply(_), Reply::Err(code, text)) => self.report(Outcome::Refused(code, text.into())),
            _ => self.end(End::Garbled),
        }
    }

    fn capability(&mut self, mut capabilities: Capabilities, text: &[u8]) {
        if text == b"." {
            return self.capable(&capabilities);
        }
        capabilities.count += 1;
        if capabilities.count > CAPABILITIES_MAX {
            return self.end(End::Garbled);
        }
        let mut words = text.split(|&octet| octet == b' ');
        let tag = words.next().unwrap_or_default().to_ascii_uppercase();
        match &tag[..] {
            b"STLS" => capabilities.stls = true,
            b"USER" => capabilities.user = true,
            b"SASL" => capabilities.mechanisms = words.filter_map(Mechanism::parse).collect(),
            _ => {}
        }
        self.state = State::Capability(capabilities);
    }

    /// We know what the server can do: TLS first, then the login.
    fn capable(&mut self, capabilities: &Capabilities) {
        let wanted = self.tls.is_none() && self.settings.stls != Stls::Never;
        if wanted && capabilities.stls {
            return self.say(&Command::Stls, State::Stls);
        }
        if wanted && self.settings.stls == Stls::Required {
            return self.end(End::Unsafe);
        }
        let clear_login = self.settings.clear_login;
        if let Some(mechanism) = sasl::client::choose(&capabilities.mechanisms, self.tls.as_ref(), clear_login) {
            return self.begin(mechanism, &capabilities.mechanisms);
        }
        if capabilities.user && (self.tls.is_some() || clear_login) {
            return self.name();
        }
        self.end(End::Unsafe);
    }

    /// USER, if name and password can stand on a line.
    fn name(&mut self) {
        let credentials = &self.settings.credentials;
        let parts = [credentials.login.as_bytes(), credentials.password.reveal()];
        let fits = |part: &[u8]| {
            let control = part.iter().any(|octet| octet.is_ascii_control());
            !part.is_empty() && !control && part.len() <= COMMAND_MAX - "USER \r\n".len()
        };
        if !parts.into_iter().all(fits) {
            return self.end(End::Exchange(sasl::client::Failure::Unsendable));
        }
        let login = credentials.login.clone();
        self.say(&Command::User(login), State::User);
    }

    fn begin(&mut self, mechanism: Mechanism, offered: &[Mechanism]) {
        let nonce = self.nonces.draw();
        let terms = Terms { channel: self.tls.as_ref(), offered, nonce: &nonce };
        let (exchange, initial) = match Exchange::start(mechanism, self.settings.credentials.clone(), terms) {
            Ok(started) => started,
            Err(failure) => return self.end(End::Exchange(failure)),
        };
        let mechanism = mechanism.name().to_owned();
        let text = initial.as_deref().map(sasl::wire::encode_initial);
        // RFC 5034 §4: an initial response that makes the command too long waits for an empty challenge.
        let room = COMMAND_MAX - "AUTH  \r\n".len() - mechanism.len();
        match text.filter(|text| text.len() <= room) {
            Some(text) => {
                let command = Command::Auth(Some(Auth { mechanism, initial: Some(Secret::new(text)) }));
                self.say(&command, State::Auth(exchange, None));
            }
            None => {
                let command = Command::Auth(Some(Auth { mechanism, initial: None }));
                self.say(&command, State::Auth(exchange, initial));
            }
        }
    }

    fn challenged(&mut self, mut exchange: Exchange, initial: Option<Vec<u8>>, challenge: &[u8]) {
        let response = match initial {
            Some(initial) if challenge.is_empty() => Ok(initial),
            Some(_) => Err(sasl::client::Failure::Malformed),
            None => exchange.respond(challenge),
        };
        match response {
            Ok(response) => {
                self.say_secret(&sasl::wire::encode(&response));
                self.state = State::Auth(exchange, None);
            }
            Err(failure) => {
                self.say_secret("*");
                self.end(End::Exchange(failure));
            }
        }
    }

    /// The server has said `+OK` to an order.
    fn done(&mut self, order: Order, text: &[u8]) {
        match order {
            Order::Stat => {
                match parse_number(text).and_then(|(messages, rest)| Some((messages, parse_number(rest)?.0))) {
                    Some((messages, octets)) => self.report(Outcome::Counted { messages, octets }),
                    None => self.end(End::Garbled),
                }
            }
            Order::List => self.state = State::Sizes(Vec::new()),
            Order::Uidl => self.state = State::Uidls(Vec::new()),
            Order::Retrieve(_) | Order::Top(..) => self.state = State::Message(Undotter::new(usize::MAX)),
            Order::Delete(_) | Order::Reset | Order::Noop => self.report(Outcome::Done),
            Order::Quit => self.end(End::Quit),
        }
    }

    fn size(&mut self, mut sizes: Vec<(u64, u64)>, text: &[u8]) {
        if text == b"." {
            return self.report(Outcome::Sizes(sizes));
        }
        match parse_number(text).and_then(|(number, rest)| Some((number, parse_number(rest)?.0))) {
            Some(line) if sizes.len() < LISTING_MAX => {
                sizes.push(line);
                self.state = State::Sizes(sizes);
            }
            _ => self.end(End::Garbled),
        }
    }

    fn uidl(&mut self, mut uidls: Vec<(u64, String)>, text: &[u8]) {
        if text == b"." {
            return self.report(Outcome::Uidls(uidls));
        }
        match parse_number(text).and_then(|(number, rest)| Some((number, unique_name(rest)?))) {
            Some(line) if uidls.len() < LISTING_MAX => {
                uidls.push(line);
                self.state = State::Uidls(uidls);
            }
            _ => self.end(End::Garbled),
        }
    }
}

/// RFC 1939 §7: 1 to 70 octets from 0x21 to 0x7E. Some servers send more, up to the length of a line.
fn unique_name(text: &[u8]) -> Option<String> {
    let legal = !text.is_empty() && text.iter().all(u8::is_ascii_graphic);
    legal.then(|| String::from_utf8_lossy(text).into_owned())
}

//! From the greeting to the first order.
//!
//! RFC 959 §5.4 (USER, PASS); RFC 4217 §4–9 and §11 (AUTH, PBSZ, PROT); RFC 7151 §3 (HOST before USER); RFC 2389 §3 (FEAT);
//! RFC 2640 §3 (UTF-8).
//!
//! FEAT is asked behind the login, because many servers tell more then, and because what came before TLS counts for nothing.
//! What does not depend on its answer goes out with it.
//!
//! Invariants: USER and PASS go out only under TLS or where the settings allow it; ACCT never.
//! Not here: transfers.

use super::{Client, End, Features, Outcome, State, Tls, Unsafe, Welcome};
use crate::command::{Command, Mechanism, Options, Protection, Representation};
use crate::listing;
use crate::reply::Reply;
use line::Exposure;
use std::collections::VecDeque;

/// Servers that let commands wait while data move, by what they call themselves in their greeting or in reply to CSID.
const WAIT_THEIR_TURN: [&str; 3] = ["Name=Packetboat", "vsFTPd", "FileZilla Server"];

/// What follows a login, and is awaited in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Preparation {
    /// PBSZ: any answer will do, PROT says the rest.
    Buffer,
    Prot,
    Features,
    /// CLNT, OPTS: welcome, not needed.
    Courtesy,
    /// CSID: who the server is.
    Name,
    /// TYPE I.
    Image,
    /// EPSV or PASV.
    Way,
}

/// Commands still to be said, and what is awaited for those and for the ones said already.
#[derive(Debug, Default)]
pub(super) struct Steps {
    left: VecDeque<Command>,
    awaited: VecDeque<Preparation>,
}

impl Steps {
    fn add(&mut self, command: Command, what: Preparation) {
        self.left.push_back(command);
        self.awaited.push_back(what);
    }
}

impl Client {
    pub(super) fn admit(&mut self, state: State, reply: Reply) {
        match state {
            // 120: ready in some minutes.
            State::Greeting if reply.is_preliminary() => self.state = State::Greeting,
            State::Greeting if reply.is_positive() => self.greeted(reply),
            State::Greeting => self.end(End::Unwelcome(reply)),
            // 334 is what 234 was called before RFC 4217.
            State::Auth(greeting) if matches!(reply.code(), 234 | 334) => self.state = State::Securing(greeting),
            State::Auth(_) if self.settings.tls == Tls::Required => self.end(End::Unsafe(Unsafe::NoTls(reply))),
            State::Auth(greeting) => self.introduce(greeting),
            State::HostWish(greeting) => self.wish_host(greeting, &reply),
            State::Host(greeting) if reply.is_positive() => self.say_user(greeting),
            State::Host(_) => self.end(End::Unwelcome(reply)),
            State::User(greeting) | State::Pass(greeting) if reply.is_positive() => self.admitted(greeting, reply),
            State::User(greeting) if reply.code() == 331 => {
                let password = self.settings.password.clone();
                self.say(&Command::Pass(password), State::Pass(greeting));
            }
            State::User(_) | State::Pass(_) if reply.is_intermediate() => self.end(End::AccountWanted(reply)),
            State::User(_) | State::Pass(_) => self.end(End::LoginRefused(reply)),
            State::Preparing(welcome, steps) => self.prepared(welcome, steps, &reply),
            // Nobody has asked for this reply.
            _ => self.end(End::Garbled),
        }
    }

    fn greeted(&mut self, greeting: Reply) {
        if self.secured || self.settings.tls == Tls::Never {
            return self.introduce(greeting);
        }
        self.say(&Command::Auth(Mechanism::Tls), State::Auth(greeting));
    }

    /// As safe as it will be. If the host has to be said, it is said now.
    pub(super) fn introduce(&mut self, greeting: Reply) {
        if !self.secured && !self.settings.clear_login {
            return self.end(End::Unsafe(Unsafe::ClearLogin));
        }
        match self.settings.host {
            Some(_) => self.say(&Command::Feat, State::HostWish(greeting)),
            None => self.say_user(greeting),
        }
    }

    fn wish_host(&mut self, greeting: Reply, features: &Reply) {
        match self.settings.host.clone() {
            Some(host) if Features::read(features).host => self.say(&Command::Host(host), State::Host(greeting)),
            _ => self.say_user(greeting),
        }
    }

    fn say_user(&mut self, greeting: Reply) {
        let (user, password) = (&self.settings.user, self.settings.password.reveal());
        let parts = |text: &[u8]| memchr::memchr3(0, b'\r', b'\n', text).is_some();
        if user.is_empty() || parts(user.as_bytes()) || parts(password) {
            return self.end(End::Unsendable);
        }
        let user = user.clone();
        self.say(&Command::User(user), State::User(greeting));
    }

    fn admitted(&mut self, greeting: Reply, admission: Reply) {
        let in_turn = WAIT_THEIR_TURN.iter().any(|name| greeting.to_string().contains(name));
        let welcome = Welcome { greeting, admission, features: Features::default(), private: false, in_turn };
        let mut steps = Steps::default();
        if self.secured && self.settings.private {
            // RFC 4217 §9: PBSZ first, and it is 0.
            steps.add(Command::Pbsz(0), Preparation::Buffer);
            steps.add(Command::Prot(Protection::Private), Preparation::Prot);
        }
        steps.add(Command::Feat, Preparation::Features);
        // Neither depends on what FEAT tells.
        steps.add(Command::Type(Representation::Image), Preparation::Image);
        if let Some(passive) = self.ahead().filter(|_| self.settings.data_next && self.settings.pipelining) {
            steps.add(passive, Preparation::Way);
        }
        self.prepare(welcome, steps);
    }

    /// Says what is left of these: all at once, or the next one.
    fn prepare(&mut self, welcome: Welcome, mut steps: Steps) {
        let count = if self.settings.pipelining { steps.left.len() } else { steps.left.len().min(1) };
        for command in steps.left.drain(..count) {
            command.write(&mut self.words);
        }
        self.words_exposure = Exposure::Open;
        self.state = State::Preparing(welcome, steps);
    }

    fn prepared(&mut self, mut welcome: Welcome, mut steps: Steps, reply: &Reply) {
        match steps.awaited.pop_front() {
            Some(Preparation::Prot) if reply.is_positive() => welcome.private = true,
            Some(Preparation::Prot) => return self.end(End::Unsafe(Unsafe::ClearData(reply.clone()))),
            Some(Preparation::Features) => {
                welcome.features = Features::read(reply);
                self.add_wishes(&welcome.features, &mut steps);
            }
            Some(Preparation::Name) => {
                let text = reply.to_string();
                welcome.in_turn |= reply.is_positive() && WAIT_THEIR_TURN.iter().any(|name| text.contains(name));
            }
            Some(Preparation::Image) => self.ascii = !reply.is_positive(),
            Some(Preparation::Way) => self.note_ahead(reply),
            Some(Preparation::Buffer | Preparation::Courtesy) | None => {}
        }
        if steps.awaited.is_empty() {
            (self.private, self.in_turn) = (welcome.private, welcome.in_turn);
            return self.report(Outcome::Admitted(welcome));
        }
        self.prepare(welcome, steps);
    }

    /// What servers of our acquaintance want to hear before they do as we like.
    fn add_wishes(&self, features: &Features, steps: &mut Steps) {
        if features.csid {
            steps.add(Command::Csid(format!("Name={};", self.settings.name)), Preparation::Name);
        } else if features.clnt {
            steps.add(Command::Clnt(self.settings.name.clone()), Preparation::Courtesy);
        }
        if features.utf8 && self.settings.utf8 {
            steps.add(Command::Opts(Options::Utf8), Preparation::Courtesy);
        }
        if features.facts.as_deref().is_some_and(lacks_facts) {
            steps.add(Command::Opts(Options::Facts(listing::Facts::ALL)), Preparation::Courtesy);
        }
    }
}

/// Whether a fact that we want is there and not selected.
fn lacks_facts(facts: &str) -> bool {
    const WANTED: [&str; 4] = ["type", "size", "modify", "unix.mode"];
    facts.split(';').any(|fact| WANTED.iter().any(|wanted| fact.eq_ignore_ascii_case(wanted)))
}

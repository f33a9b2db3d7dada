//! The server's side: greets, lets in, and asks the house at every turn.
//!
//! RFC 959 §4 and §5 (dialogue); RFC 1123 §4.1 (the whole of it); RFC 2389; RFC 2428; RFC 2577; RFC 2640; RFC 3659; RFC 4217;
//! RFC 7151. The stages are drawn in the crate's header.
//!
//! **While something runs**, a transfer or a hash, the session takes each line that arrives. ABOR, and STAT without argument,
//! are obeyed at once, as RFC 959 §4.1.3 demands, with or without the Telnet signals before them. All others wait in a
//! bounded queue and are obeyed in order when it has ended, whereby QUIT closes after the transfer and after those before
//! it. NOOP waits, too: a client that sends commands ahead must not take its reply for that of the transfer, and those
//! that say NOOP to keep a line alive have learned from the old servers, which do not read meanwhile, to wait.
//!
//! The house is asked one thing at a time; [`ask`] says in which order, and what the desk must keep.
//!
//! Invariants: nothing is read while a question is open; each command gets one final reply, in order, but for ABOR and
//! STAT; what was said in clear before TLS, queue and all, is forgotten when TLS begins; no positive reply to an upload
//! before the house said that it is on disk.
//! Not here: who may what where (house), data connections (net), who runs the pump (desk).

pub mod ask;

mod about;
mod data;
mod files;
mod login;
mod parameters;
mod queue;
mod secure;
mod settings;
mod stage;
#[cfg(test)]
mod tests;
mod transfer;

pub use ask::{
    Answer, Ask, Begun, Denied, Errand, HostRefusal, ListForm, Listing, Login, News, Overview, Place, Transfer, Welcome,
};
pub use settings::{Ends, Settings, Tls};

use crate::command::{self, Command, Facts, Mistake, Protection};
use crate::hash::HashKind;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::table::{InClear, Meanwhile, Row, Verb, Who, Word, look_up};
use crate::telnet::{COMMAND_LINE_MAX_OCTETS, ControlLines, Look};
use crate::words;
use line::{Exposure, Leave, Secured, Session, Step};
use queue::{Queue, Waiting};
use stage::{Busy, Member, Stage, Stopped};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The first octet of a TLS record that holds a handshake (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 0x16;
/// Nearly as small as by 6, which zlib itself takes, in half to two thirds of the time. 1 is faster by a quarter or two, and a quarter larger.
const DEFLATE_LEVEL: u8 = 3;
/// How much of one line without end is thrown away before we hang up.
const ENDLESS_LINE_OCTETS: usize = 1 << 20;

/// One conversation with a client.
#[derive(Debug)]
pub struct Server {
    settings: Arc<Settings>,
    ends: Ends,
    link: Link,
    stage: Stage,
    lines: ControlLines,
    /// How much of the line at hand was thrown away.
    overlong: usize,
    queue: Queue,
    said: Vec<u8>,
    then: Option<Then>,
    exposure: Exposure,
    /// It is over as soon as nothing runs.
    leaving: Option<Leave>,
    /// The peer has said all it will; what waits is still obeyed.
    peer_closed: bool,
    now: Instant,
    /// When the login must be done; when the house closes, what runs.
    done_by: Instant,
    /// When something must be said.
    idle_until: Instant,
}

/// What is known of the connection, whoever is logged in.
#[derive(Debug, Default)]
struct Link {
    /// Boxed, for who idles in clear has none.
    tls: Option<Box<LinkTls>>,
    /// CCC was obeyed.
    cleared: bool,
    /// PBSZ was said.
    buffers_agreed: bool,
    protection: Protection,
    /// HOST was said, and taken.
    host: Option<String>,
    client: Option<String>,
    wishes: Wishes,
    failures: u32,
    unknown: u32,
}

/// The TLS of the control connection.
#[derive(Debug)]
struct LinkTls {
    version: String,
    server_name: Option<String>,
}

/// What OPTS has set.
#[derive(Debug)]
struct Wishes {
    facts: Facts,
    hash: HashKind,
    deflate: u8,
}

impl Default for Wishes {
    fn default() -> Self {
        Wishes { facts: Facts::default(), hash: HashKind::ALL[0], deflate: DEFLATE_LEVEL }
    }
}

/// What comes behind the words.
#[derive(Debug)]
enum Then {
    Ask(Box<Ask>),
    Secure,
    Clear,
    Close,
}

impl Server {
    /// A conversation that has not begun.
    pub fn new(settings: Arc<Settings>, ends: Ends, now: Instant) -> Self {
        let (done_by, idle_until) = (now + settings.login, now + settings.idle);
        Server {
            settings,
            ends,
            link: Link::default(),
            stage: Stage::Greeting,
            lines: ControlLines::default(),
            overlong: 0,
            queue: Queue::default(),
            said: Vec::new(),
            then: None,
            exposure: Exposure::Open,
            leaving: None,
            peer_closed: false,
            now,
            done_by,
            idle_until,
        }
    }

    /// What the client says of itself, by CLNT or CSID: for logs, and never to be trusted.
    pub fn client(&self) -> Option<&str> {
        self.link.client.as_deref()
    }

    /// Who is logged in.
    pub fn user(&self) -> Option<&str> {
        match &self.stage {
            Stage::Member(member) | Stage::Awaiting { member, .. } => Some(&member.user),
            Stage::Busy(busy) | Stage::AwaitingStop(busy) | Stage::AwaitingProgress(busy) => Some(&busy.member.user),
            _ => None,
        }
    }

    /// A line, without its end and without Telnet.
    fn heard(&mut self, line: Waiting) {
        if line == Waiting::Line(Vec::new()) {
            // Some clients send an empty line more than they should; it is no command, and gets no reply.
            return;
        }
        self.idle_until = self.now + self.settings.idle;
        match std::mem::take(&mut self.stage) {
            Stage::Busy(busy) => self.stage = self.meanwhile(busy, line),
            stage => self.stage = self.obey_line(stage, &line),
        }
    }

    /// What is said while something runs.
    fn meanwhile(&mut self, busy: Busy, line: Waiting) -> Stage {
        match interruption(&line) {
            Some(Verb::Abor) if busy.stopped == Stopped::Not => return self.stop(busy, Stopped::ByClient),
            Some(Verb::Stat) => {
                self.ask(Ask::Progress);
                return Stage::AwaitingProgress(busy);
            }
            _ => {}
        }
        if self.queue.push(line) { Stage::Busy(busy) } else { self.end(&words::TOO_MANY_WAITING) }
    }

    fn stop(&mut self, busy: Busy, stopped: Stopped) -> Stage {
        self.ask(Ask::Abort);
        Stage::AwaitingStop(Busy { stopped, ..busy })
    }

    fn obey_line(&mut self, mut stage: Stage, line: &Waiting) -> Stage {
        if let Stage::Member(member) = &mut stage {
            member.renaming = member.rename_from.take();
        }
        let Waiting::Line(line) = line else { return self.stay(stage, &words::LINE_TOO_LONG) };
        let (word, argument) = command::split(line);
        let row = match look_up(word) {
            Word::Known(row) => row,
            Word::NotHere => return self.stay(stage, &words::NOT_HERE),
            Word::Foreign => return self.end(&words::FOREIGN),
            Word::Unknown => return self.unknown(stage),
        };
        if let Some(reply) = self.forbidden(&stage, row) {
            return self.stay(stage, reply);
        }
        match Command::with_argument(row, argument) {
            Ok(command) => self.obey(stage, command),
            Err(Mistake::Refused(reply)) => self.stay(stage, &reply),
            Err(Mistake::Unknown | Mistake::NotHere | Mistake::Foreign) => self.unknown(stage),
        }
    }

    /// What the table says against it.
    fn forbidden(&self, stage: &Stage, row: &Row) -> Option<&'static Reply> {
        if self.settings.tls == Tls::Everybody && self.link.tls.is_none() && row.in_clear == InClear::No {
            return Some(&words::TLS_FIRST);
        }
        match stage {
            Stage::Member(member) => (!member.permissions.satisfy(row.needs)).then_some(&words::NOT_PERMITTED),
            _ => (row.who == Who::Member).then_some(&words::NOT_LOGGED_IN),
        }
    }

    fn unknown(&mut self, stage: Stage) -> Stage {
        if !matches!(stage, Stage::Member(_)) {
            self.link.unknown += 1;
            if self.link.unknown > self.settings.unknown_max {
                return self.end(&words::TOO_STRANGE);
            }
        }
        self.stay(stage, &words::UNKNOWN)
    }

    /// A command that the table allows.
    fn obey(&mut self, stage: Stage, command: Command) -> Stage {
        match stage {
            Stage::Member(member) => self.obey_member(member, command),
            stage => self.obey_anyone(stage, command),
        }
    }

    /// A command of someone who is in.
    fn obey_member(&mut self, member: Member, command: Command) -> Stage {
        match command {
            Command::Ccc => self.ccc(member),
            Command::Stat(None) => self.status(member),
            Command::Stat(Some(wish)) => self.overview(member, wish),
            Command::Pwd => self.pwd(member),
            Command::Cwd(path) => self.cwd(member, &path),
            Command::Cdup => self.cdup(member),
            Command::Port(address) => self.port(member, address),
            Command::Eprt(address) => self.eprt(member, address),
            Command::Pasv => self.pasv(member),
            Command::Epsv(wish) => self.epsv(member, wish),
            Command::Type(representation) => self.set_type(member, representation),
            Command::Stru => self.stay(Stage::Member(member), &words::FILE_STRUCTURE),
            Command::Mode(mode) => self.set_mode(member, mode),
            Command::Rest(offset) => self.rest(member, offset),
            Command::Rang(first, last) => self.rang(member, first, last),
            Command::Allo(octets) => self.allo(member, octets),
            Command::Retr(path) => self.retr(member, &path),
            Command::Stor(path) => self.stor(member, &path),
            Command::Appe(path) => self.appe(member, &path),
            Command::Stou(path) => self.stou(member, path.as_ref()),
            Command::List(wish) => self.list(member, wish),
            Command::Nlst(wish) => self.nlst(member, wish),
            Command::Mlsd(path) => self.mlsd(member, path.as_ref()),
            Command::Mlst(path) => self.mlst(member, path.as_ref()),
            Command::Abor => self.hang_up(member),
            Command::Size(path) => self.size(member, &path),
            Command::Mdtm(path) => self.mdtm(member, &path),
            Command::Mfmt(moment, path) => self.change(member, path, command::Change::modified(moment)),
            Command::Mfct(moment, path) => self.change(member, path, command::Change::created(moment)),
            Command::Mff(change, path) => self.change(member, path, change),
            Command::Dele(path) => self.dele(member, &path),
            Command::Rnfr(path) => self.rnfr(member, &path),
            Command::Rnto(path) => self.rnto(member, &path),
            Command::Mkd(path) => self.mkd(member, &path),
            Command::Rmd(path) => self.rmd(member, &path),
            Command::Hash(path) => self.hash(member, path),
            Command::Digest(kind, stretch) => self.digest(member, kind, stretch, stage::DigestForm::Bare),
            Command::Comb(whole, parts) => self.comb(member, &whole, &parts),
            Command::Avbl(path) => self.avbl(member, path.as_ref()),
            Command::Site(site) => self.site(member, site),
            command => self.obey_anyone(Stage::Member(member), command),
        }
    }

    /// A command that needs no login.
    fn obey_anyone(&mut self, stage: Stage, command: Command) -> Stage {
        match command {
            Command::User(name) => self.user_named(stage, name),
            Command::Pass(password) => self.pass(stage, password),
            Command::Rein => self.rein(stage),
            Command::Quit => self.end(&words::FAREWELL),
            Command::Host(name) => self.host(stage, name),
            Command::Lang(tag) => self.lang(stage, tag.as_deref()),
            Command::Clnt(name) => self.client_named(stage, name, &words::CLIENT_NOTED),
            Command::Csid(name) => self.client_named(stage, name, &words::SERVER_NAMED),
            Command::Auth(mechanism) => self.auth(stage, mechanism),
            Command::Pbsz(_) => self.pbsz(stage),
            Command::Prot(level) => self.prot(stage, level),
            Command::Feat => self.feat(stage),
            Command::Opts(options) => self.opts(stage, options),
            Command::Help(topic) => self.help(stage, topic.as_deref()),
            Command::Noop => self.stay(stage, &words::NOTHING_DONE),
            Command::Syst => self.stay(stage, &words::SYSTEM),
            // The table has let none of the others come here.
            _ => self.stay(stage, &words::NOT_LOGGED_IN),
        }
    }

    fn answered(&mut self, stage: Stage, answer: Answer) -> Stage {
        match (stage, answer) {
            (Stage::AwaitingHost { name }, Answer::Host(verdict)) => self.host_answered(name, verdict),
            (Stage::AwaitingLogin { user }, Answer::Login(verdict)) => self.login_answered(user, verdict),
            (Stage::AwaitingLogout(after), _) => self.logged_out(after),
            (Stage::Awaiting { .. }, Answer::Refused(Refusal::Dismissed)) => self.end(&words::DISMISSED),
            (Stage::Awaiting { member, question }, answer) => self.member_answered(member, question, answer),
            (Stage::AwaitingStop(busy), _) => Stage::Busy(busy),
            (Stage::AwaitingProgress(busy), answer) => self.progress(busy, answer),
            // The desk has answered something else than it was asked; the client must not wait for ever.
            (Stage::AwaitingHost { .. } | Stage::AwaitingLogin { .. }, _) => {
                self.stay(Stage::Stranger, &words::CONFUSED)
            }
            (stage, _) => stage,
        }
    }

    fn greet(&mut self) {
        let greeting = Reply::new(220, self.settings.greeting.as_bytes());
        self.stage = self.stay(Stage::Stranger, &greeting);
    }

    fn stay(&mut self, stage: Stage, reply: &Reply) -> Stage {
        self.say(reply);
        stage
    }

    fn say(&mut self, reply: &Reply) {
        reply.write(&mut self.said);
    }

    fn ask(&mut self, ask: Ask) {
        self.then = Some(Then::Ask(Box::new(ask)));
    }

    /// A last word.
    fn end(&mut self, reply: &Reply) -> Stage {
        self.say(reply);
        self.close()
    }

    fn close(&mut self) -> Stage {
        self.queue.clear();
        self.then = Some(Then::Close);
        Stage::Closed
    }

    fn throw_away(&mut self, taken: usize) {
        self.overlong += taken;
        if self.overlong > ENDLESS_LINE_OCTETS {
            self.stage = self.end(&words::LINE_TOO_LONG);
        }
    }

    /// How long what runs may still take.
    fn grace(&self, why: Leave) -> Duration {
        match why {
            Leave::HouseCloses => self.settings.leaving,
            Leave::SentAway => Duration::ZERO,
        }
    }

    fn is_busy(&self) -> bool {
        matches!(self.stage, Stage::Busy(_))
    }

    /// When `tick` is due.
    fn until(&self) -> Instant {
        match &self.stage {
            Stage::Busy(busy) if self.leaving.is_some() && busy.stopped == Stopped::Not => {
                self.idle_until.min(self.done_by)
            }
            Stage::Member(_) | Stage::Busy(_) => self.idle_until,
            _ => self.idle_until.min(self.done_by),
        }
    }
}

/// The last word to who is to leave.
fn farewell(why: Leave) -> &'static Reply {
    match why {
        Leave::HouseCloses => &words::LEAVING,
        Leave::SentAway => &words::SENT_AWAY,
    }
}

/// Which verb a line is, if it is one that is obeyed while something runs.
fn interruption(line: &Waiting) -> Option<Verb> {
    let Waiting::Line(line) = line else { return None };
    let (word, argument) = command::split(line);
    match look_up(word) {
        Word::Known(row) if row.meanwhile == Meanwhile::Now => {
            argument.unwrap_or_default().trim_ascii().is_empty().then_some(row.verb)
        }
        _ => None,
    }
}

fn is_quit(line: &[u8]) -> bool {
    matches!(look_up(command::split(line).0), Word::Known(row) if row.verb == Verb::Quit)
}

impl Session for Server {
    /// Boxed: whoever drives a session keeps room for a step as long as it lasts.
    type Ask = Box<Ask>;
    type Answer = Answer;
    type News = News;

    fn receive(&mut self, bytes: &[u8], now: Instant) -> usize {
        self.now = now;
        if bytes.first() == Some(&TLS_HANDSHAKE) && self.link.tls.is_none() && self.lines.at_start() {
            self.stage = self.end(&words::TLS_HELLO);
            return bytes.len();
        }
        self.exposure = Exposure::Open;
        match self.lines.look(bytes) {
            Look::Whole { text, refusals, taken } => {
                if let Some(shown) = command::shown(&bytes[..taken]) {
                    self.exposure = Exposure::SecretAfter(shown);
                }
                self.said.extend(refusals);
                self.heard(Waiting::Line(text.into_owned()));
                taken
            }
            Look::Telnet { refusal, taken } => {
                self.said.extend(refusal.into_iter().flatten());
                taken
            }
            Look::TooLong { taken } => {
                self.overlong = 0;
                // It may have begun with PASS.
                self.exposure = Exposure::SecretAfter(0);
                self.heard(Waiting::TooLong);
                taken
            }
            Look::Overflowing { taken } => {
                self.exposure = Exposure::SecretAfter(0);
                self.throw_away(taken);
                taken
            }
            Look::Partial => {
                debug_assert!(bytes.len() < COMMAND_LINE_MAX_OCTETS, "what is held is bounded");
                0
            }
        }
    }

    fn closed(&mut self, now: Instant) {
        self.now = now;
        // RFC 959 §4.1.1: who has said QUIT waits for the transfer, even with nothing more to say. Who has not has
        // broken off, and that is an ABOR.
        if self.is_busy() && self.queue.has(is_quit) {
            self.peer_closed = true;
            return;
        }
        self.stage = self.close();
    }

    fn secured(&mut self, tls: Secured, now: Instant) {
        self.now = now;
        self.idle_until = now + self.settings.idle;
        self.tls_is_up(tls);
    }

    fn answer(&mut self, answer: Answer, now: Instant) {
        self.now = now;
        self.idle_until = now + self.settings.idle;
        let stage = std::mem::take(&mut self.stage);
        self.stage = self.answered(stage, answer);
    }

    fn news(&mut self, news: News, now: Instant) {
        self.now = now;
        let News::Ended(outcome) = news;
        match std::mem::take(&mut self.stage) {
            Stage::Busy(busy) => {
                self.idle_until = now + self.settings.idle;
                self.stage = self.ended(busy, outcome);
            }
            stage => self.stage = stage,
        }
    }

    fn tick(&mut self, now: Instant) {
        self.now = now;
        match std::mem::take(&mut self.stage) {
            Stage::Busy(busy) => {
                // RFC 1123 §4.1.3.2: while data move, nobody is idle. A pump that stands still ends by itself.
                self.idle_until = now + self.settings.idle;
                let is_late = self.leaving.is_some() && now >= self.done_by && busy.stopped == Stopped::Not;
                self.stage = if is_late { self.stop(busy, Stopped::ByHouse) } else { Stage::Busy(busy) };
            }
            stage => {
                self.stage = stage;
                if now >= self.until() {
                    self.stage = self.end(&words::IDLE);
                }
            }
        }
    }

    fn leave(&mut self, why: Leave, now: Instant) {
        self.now = now;
        if self.is_busy() {
            self.leaving = Some(why);
            self.done_by = now + self.grace(why);
            self.queue.clear();
        } else {
            self.stage = self.end(farewell(why));
        }
    }

    fn next(&mut self, out: &mut Vec<u8>) -> Step<Box<Ask>> {
        loop {
            if !self.said.is_empty() {
                out.append(&mut self.said);
                self.exposure = Exposure::Open;
                return Step::Send;
            }
            match self.then.take() {
                Some(Then::Ask(ask)) => return Step::Ask(ask),
                Some(Then::Secure) => return Step::Secure,
                Some(Then::Clear) => return Step::Clear,
                Some(Then::Close) => {
                    self.then = Some(Then::Close);
                    return Step::Close;
                }
                None => {}
            }
            match self.stage {
                Stage::Greeting => self.greet(),
                Stage::Busy(_) => return Step::Wait { until: self.until() },
                _ => match self.queue.pop() {
                    Some(waiting) => self.heard(waiting),
                    // AUTH or CCC has thrown its QUIT away; nothing else will come.
                    None if self.peer_closed => self.stage = self.close(),
                    None => return Step::Wait { until: self.until() },
                },
            }
        }
    }

    fn exposure(&self) -> Exposure {
        self.exposure
    }
}

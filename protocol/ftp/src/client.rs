//! The client's side: logs in, has orders carried out one after the other, and keeps the control connection in step.
//!
//! RFC 959 §4.2 (the first digit decides), §5.4 (sequences), §4.1.3 (ABOR); RFC 1123 §4.1.2.6 (227), §4.1.2.11; RFC 2389 §3
//! (FEAT); RFC 2428 §2–4 (EPRT, EPSV); RFC 2577 §3 (no bounce); RFC 3659 §5 (REST); RFC 4217 §4–9 (TLS); RFC 7151 §3 (HOST).
//!
//! ```text
//! Greeting ─AUTH→ Auth ─234→ Securing ─→ (FEAT, HOST) ─→ User ─331→ Pass ─→ Preparing: PBSZ PROT FEAT, then CLNT OPTS TYPE
//!                                                                              └─→ Order ←───────────────┐
//! Order ─Say→ Saying ──────────────────────────────────────────────────────────────────────────────────→─┤
//!       ─Transfer→ Settling: TYPE, EPSV → Reaching (house dials) → REST → Starting (house pumps) → Busy ─→┤
//!                     ↑ the next way: PASV, EPRT, PORT ────┘                Busy ─stopped→ Aborting ────→─┘
//! ```
//!
//! The house is asked `Dial` or `Listen` for a data connection (`DialAhead` before it is needed), `Pump` once the command for it
//! has been said, `LetGo` when it is no longer wanted, and `Next` for what to do; it tells by news how the data connection ended.
//! The way to the data of the next transfer can be asked for ahead, with other commands that are due when a transfer is over:
//! right behind its command where the server is known to answer in turn, behind its end elsewhere. A way that is known is
//! dialled while other commands are under way. So a file costs two round trips, or three.
//!
//! A transfer is over when both have ended: the data connection, and the reply that says so. Which comes first does not matter.
//!
//! Servers differ, and this outlives: 120 before 220; 230 or 232 right after USER; no 1yz, or two; 226 before the last octet;
//! a second 226, which comes in front of the next reply; commands that get lost behind a transfer, after which we leave;
//! 425 from a server whose way to the data is blocked, which makes us try another; any number of replies to ABOR, which is why
//! PWD is said behind it: its 257 is the mark where they end.
//!
//! Invariants: no password goes out in clear unless the settings say so; where TLS is required nothing but AUTH goes before
//! it; an order has one outcome; no wait is without end.
//! Not here: sockets, checking certificates, whose address is dialled (net and whoever uses this); what is in listings (dialect).

mod features;
mod login;
mod order;
mod settings;
mod transfer;

use crate::command::Command;
use crate::reply::{Heard, Replies, Reply};
use core::net::SocketAddrV4;
use line::{Exposure, Leave, Secured, Session, Step};
use login::Steps;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use transfer::{Busy, Errand, Pause};

pub use features::Features;
pub use order::{Answer, Ask, End, News, Order, Outcome, Start, Transfer, Unsafe, Way, Welcome, Words};
pub use settings::{Settings, Tls};

/// A server may look into slow disks, or ask someone else, before it answers.
pub const REPLY_LIMIT: Duration = Duration::from_secs(2 * 60);

/// Four times what is kept of a reply (see `reply`); what is longer has no end.
pub const REPLY_MAX_OCTETS: usize = 4 << 20;

/// Behind the last octet of an upload a server may check, sync and scan it before it says 226.
pub const VERDICT_LIMIT: Duration = Duration::from_secs(10 * 60);

/// So long a server may take to notice that a data connection is broken, before we say ABOR.
pub const NOTICE_LIMIT: Duration = Duration::from_secs(5);

/// So long a server may take to get over ABOR. Whoever has pressed Ctrl-C is waiting.
pub const ABORT_LIMIT: Duration = Duration::from_secs(15);

/// How long data may move before we look whether they still do: the house watches over stalls, so this only wakes us.
const TRANSFER_TICK: Duration = Duration::from_secs(24 * 60 * 60);

/// A server that has said how a transfer ended has nothing else to do than to answer what was said behind it: who does not do
/// so in this time has lost it.
pub const BEHIND_LIMIT: Duration = Duration::from_secs(30);

/// Whoever asks for patience more often than this has nothing else to say. With [`REPLY_LIMIT`], that is four hours.
const WAITS_MAX: u8 = 120;

/// So many commands are under way at once, where pipelining is wished: what is asked of a whole directory takes a few round
/// trips, not one for every few names.
const PACK_MAX: usize = 128;

/// And so many octets of commands, unless a single one is longer: far below what sockets hold, so that nobody waits for the
/// other to read.
const PACK_MAX_OCTETS: usize = 8 * 1024;

/// More replies to ABOR and its PWD, and to what was said behind the transfer, than this are none of ours.
const ABORT_REPLIES_MAX: u8 = 8;

/// A session.
pub struct Client {
    settings: Settings,
    replies: Replies,
    secured: bool,
    /// Whether data connections go under TLS.
    private: bool,
    ascii: bool,
    /// Ways to data connections that may work, the best first.
    ways: Vec<Way>,
    /// Whether the server lets commands wait while data move.
    in_turn: bool,
    /// Whether data have come or gone by the first of the ways.
    proven: bool,
    /// Where the server listens already for the next transfer: the port, and the address told with it.
    ready: Option<(u16, Option<SocketAddrV4>)>,
    /// How long the reply at hand is so far.
    unfinished: usize,
    /// How often the server has asked for patience since it last said anything else.
    waits: u8,
    /// Whether the server may say 226 a second time.
    echo: bool,
    /// Somebody wants the transfer stopped that has not begun yet.
    stop: bool,
    state: State,
    words: Vec<u8>,
    /// What a log may show of `words`.
    words_exposure: Exposure,
    question: Option<Ask>,
    deadline: Instant,
    exposure: Exposure,
}

/// What the client waits for.
#[derive(Debug)]
enum State {
    Greeting,
    /// The reply to AUTH.
    Auth(Reply),
    Securing(Reply),
    /// The reply to FEAT, for HOST.
    HostWish(Reply),
    /// The reply to HOST.
    Host(Reply),
    /// The reply to USER.
    User(Reply),
    /// The reply to PASS.
    Pass(Reply),
    /// Replies to what follows a login.
    Preparing(Welcome, Steps),
    /// The house's order.
    Order,
    /// Replies to a pack of commands; then this.
    Saying(Pack, Then),
    /// A reply on the way to a transfer.
    Settling(Errand, Pause),
    /// The house, to make a data connection.
    Reaching(Errand),
    /// The house, to begin.
    Starting(Busy),
    /// Data and a reply.
    Busy(Busy),
    /// The house, to close the data connection; then this.
    LettingGo(After),
    /// Replies to ABOR and PWD; so many have come.
    Aborting(Outcome, u8),
    Quitting,
    /// The house's word that it has understood.
    Ended,
    Closing,
}

/// What follows when a data connection has been let go.
#[derive(Debug)]
enum After {
    /// What is left of this pack; then this.
    Saying(Pack, Then),
    /// ABOR goes out, and then this is reported.
    Abort(Outcome),
}

/// What follows when all of a pack is answered.
#[derive(Debug)]
enum Then {
    /// The replies are reported.
    Said,
    /// This is, with the replies where the transfer went well.
    Report(Outcome),
    /// Another way to the data.
    Retry(Errand),
}

/// Commands that are said one behind the other.
#[derive(Debug, Default)]
struct Pack {
    left: VecDeque<Words>,
    awaited: usize,
    /// How long the longest of them is, in octets.
    longest: usize,
    heard: Vec<Reply>,
    /// The first of them asks for the way to the data of the next transfer, and is not answered yet.
    ahead: bool,
    /// They were said behind the command of a transfer.
    early: bool,
    /// Some of them make the server read whole files.
    slow: bool,
}

impl Pack {
    fn new(words: Vec<Words>) -> Self {
        let longest = words.iter().map(|words| words.as_bytes().len()).max().unwrap_or(0);
        Pack { slow: words.iter().any(Words::is_slow), longest, left: words.into(), ..Pack::default() }
    }

    /// How many may be under way at once, as if all were as long as the longest.
    fn window(&self) -> usize {
        (PACK_MAX_OCTETS / self.longest.max(1)).clamp(1, PACK_MAX)
    }

    /// With what asks for the next way, in front: RNTO must follow RNFR at once (RFC 959 §4.1.3).
    fn with_ahead(mut self, passive: Option<Command>) -> Self {
        if let Some(passive) = passive {
            self.left.push_front(Words::from(&passive));
            self.ahead = true;
        }
        self
    }

    /// Those that have not been said are not.
    fn only_said(mut self) -> Self {
        self.left.clear();
        self
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The words may hold the password.
        f.debug_struct("Client").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Client {
    /// A session that begins now.
    pub fn new(settings: Settings, now: Instant) -> Self {
        let (ways, reply_limit) = (settings.ways.clone(), settings.reply_limit);
        Client {
            settings,
            replies: Replies::new(),
            secured: false,
            private: false,
            // RFC 959 §5.1: TYPE A is what a server begins with.
            ascii: true,
            ways,
            in_turn: false,
            proven: false,
            ready: None,
            unfinished: 0,
            waits: 0,
            echo: false,
            stop: false,
            state: State::Greeting,
            words: Vec::new(),
            words_exposure: Exposure::Open,
            question: None,
            deadline: now + reply_limit,
            exposure: Exposure::Open,
        }
    }

    /// Whether data connections go under TLS.
    pub fn is_private(&self) -> bool {
        self.private
    }

    fn say(&mut self, command: &Command, state: State) {
        command.write(&mut self.words);
        self.words_exposure = match command {
            Command::Pass(_) => Exposure::SecretAfter("PASS ".len()),
            _ => Exposure::Open,
        };
        self.state = state;
    }

    fn say_words(&mut self, words: &Words) {
        self.words.extend_from_slice(words.as_bytes());
        self.words_exposure = Exposure::Open;
    }

    fn ask(&mut self, question: Ask, state: State) {
        self.question = Some(question);
        self.state = state;
    }

    fn report(&mut self, outcome: Outcome) {
        self.stop = false;
        self.ask(Ask::Next(outcome), State::Order);
    }

    fn end(&mut self, end: End) {
        self.ask(Ask::Ended(end), State::Ended);
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Say(words) => self.go_on_saying(Pack::new(words), Then::Said),
            Order::SayAhead(words) => {
                let passive = self.ahead().filter(|_| self.settings.pipelining);
                self.go_on_saying(Pack::new(words).with_ahead(passive), Then::Said);
                if let (State::Saying(..), Some((port, told))) = (&self.state, self.ready) {
                    self.question = Some(Ask::DialAhead { port, told });
                }
            }
            Order::Transfer(transfer) => self.begin(transfer),
            Order::Quit => self.say(&Command::Quit, State::Quitting),
        }
    }

    /// Says as much of the pack as may be under way at once.
    fn go_on_saying(&mut self, mut pack: Pack, then: Then) {
        let limit = if self.settings.pipelining { pack.window() } else { 1 };
        // A full pack waits until half of it is answered, so that packets carry more than one command.
        if pack.awaited <= limit / 2 {
            let more = pack.left.len().min(limit - pack.awaited);
            for words in pack.left.drain(..more) {
                self.words.extend_from_slice(words.as_bytes());
                pack.awaited += 1;
            }
            self.words_exposure = Exposure::Open;
        }
        if pack.awaited > 0 {
            return self.state = State::Saying(pack, then);
        }
        match then {
            Then::Said => self.report(Outcome::Said(pack.heard)),
            Then::Report(Outcome::Transferred(reply, _)) => self.report(Outcome::Transferred(reply, pack.heard)),
            Then::Report(outcome) => self.report(outcome),
            Then::Retry(errand) => {
                // What was asked for behind what failed may fail alike, and so for ever.
                self.ready = None;
                self.find_way(errand);
            }
        }
    }

    fn said(&mut self, mut pack: Pack, then: Then, reply: Reply) {
        // "Please wait": another one will follow.
        if !reply.is_preliminary() {
            self.hear(&mut pack, reply);
        }
        self.go_on_saying(pack, then);
    }

    fn hear(&mut self, pack: &mut Pack, reply: Reply) {
        pack.awaited -= 1;
        match std::mem::take(&mut pack.ahead) {
            // What the server says of the future does not change what was.
            true => self.note_ahead(&reply),
            false => pack.heard.push(reply),
        }
    }

    fn reply(&mut self, reply: Reply, now: Instant) {
        if reply.code() == 421 && !matches!(self.state, State::Quitting) {
            return self.end(End::Dismissed(reply));
        }
        if self.is_echo(&reply) {
            return;
        }
        self.waits = if reply.is_preliminary() && !self.is_moving() { self.waits + 1 } else { 0 };
        if self.waits > WAITS_MAX {
            return self.end(End::Silent);
        }
        match std::mem::replace(&mut self.state, State::Closing) {
            State::Saying(pack, then) => self.said(pack, then, reply),
            State::Settling(errand, pause) => self.settle(errand, pause, reply),
            State::Busy(busy) => self.judged(busy, reply, now),
            State::Aborting(outcome, heard) => self.getting_over(outcome, heard, &reply),
            State::Quitting => self.end(End::Quit),
            state => self.admit(state, reply),
        }
    }

    /// How long the next reply may take.
    fn patience(&self) -> Duration {
        match &self.state {
            State::Saying(pack, _) if pack.early => self.settings.reply_limit.min(BEHIND_LIMIT),
            State::Saying(pack, _) if pack.slow => self.settings.verdict_limit,
            _ => self.settings.reply_limit,
        }
    }

    /// While data move, the house watches over them.
    fn is_moving(&self) -> bool {
        matches!(&self.state, State::Busy(busy) if busy.is_moving())
    }

    /// A second 226 of the transfer before. Whatever we have said since is answered otherwise.
    fn is_echo(&mut self, reply: &Reply) -> bool {
        let awaits_other = match &self.state {
            State::Saying(pack, _) => pack.heard.is_empty(),
            State::Busy(busy) => busy.is_followed(),
            State::Settling(..) => true,
            _ => false,
        };
        if !awaits_other {
            return false;
        }
        std::mem::take(&mut self.echo) && matches!(reply.code(), 225 | 226)
    }
}

impl Session for Client {
    type Ask = Ask;
    type Answer = Answer;
    type News = News;

    fn receive(&mut self, bytes: &[u8], now: Instant) -> usize {
        self.exposure = Exposure::Open;
        let (taken, heard) = self.replies.hear(bytes);
        self.unfinished += taken;
        match heard {
            Heard::Reply(reply) => {
                self.unfinished = 0;
                match self.state {
                    // While data move the control connection may be silent as long as it likes.
                    State::Busy(_) => {}
                    State::Aborting(..) => self.deadline = now + ABORT_LIMIT,
                    _ => self.deadline = now + self.patience(),
                }
                self.reply(reply, now);
            }
            Heard::Nonsense => self.end(End::Garbled),
            // The deadline stays: a reply has to come to its end in its time.
            Heard::More | Heard::Partial if self.unfinished > REPLY_MAX_OCTETS => self.end(End::Garbled),
            Heard::More | Heard::Partial => {}
        }
        taken
    }

    fn closed(&mut self, _now: Instant) {
        match self.state {
            // RFC 959 §4.1.1: after QUIT it is the server that closes; 221 is a courtesy.
            State::Quitting => self.end(End::Quit),
            _ => self.end(End::Dropped),
        }
    }

    fn secured(&mut self, _tls: Secured, now: Instant) {
        self.secured = true;
        self.deadline = now + self.settings.reply_limit;
        // RFC 4217 §4.2: whatever was said in clear counts no more, half a reply neither.
        self.replies = Replies::new();
        if let State::Securing(greeting) = std::mem::replace(&mut self.state, State::Greeting) {
            self.introduce(greeting);
        }
    }

    fn answer(&mut self, answer: Answer, now: Instant) {
        self.deadline = now + self.settings.reply_limit;
        match (std::mem::replace(&mut self.state, State::Closing), answer) {
            (State::Order, Answer::Order(order)) => {
                self.obey(order);
                self.deadline = now + self.patience();
            }
            (State::Reaching(errand), Answer::Dialled) => self.reached(errand),
            (State::Reaching(errand), Answer::Listening(address)) => self.invite(errand, address),
            (State::Reaching(errand), Answer::Unreachable) => self.unreachable(errand, None),
            (State::Starting(busy), Answer::Understood) => {
                self.deadline = now + TRANSFER_TICK;
                self.state = State::Busy(busy);
            }
            // It dials meanwhile.
            (state @ State::Saying(..), Answer::Understood) => {
                self.state = state;
                self.deadline = now + self.patience();
            }
            (State::LettingGo(after), Answer::Understood) => self.let_gone(after, now),
            // The house does not know what to do any more: leave in order.
            (State::Order, _) => self.obey(Order::Quit),
            _ => self.state = State::Closing,
        }
    }

    fn news(&mut self, news: News, now: Instant) {
        match (std::mem::replace(&mut self.state, State::Closing), news) {
            (State::Busy(busy), news) => self.moved(busy, news, now),
            (state @ State::Settling(..), News::Stop) => {
                self.stop = true;
                self.state = state;
            }
            // Too late, or too early: nothing is under way.
            (state, _) => self.state = state,
        }
    }

    fn tick(&mut self, now: Instant) {
        match std::mem::replace(&mut self.state, State::Closing) {
            State::Busy(busy) => self.look_at(busy, now),
            State::Saying(pack, _) if pack.early => self.end(End::OutOfStep),
            _ => self.end(End::Silent),
        }
    }

    /// Without QUIT: who is in a hurry does not wait for an answer.
    fn leave(&mut self, _why: Leave, _now: Instant) {
        self.end(End::Leaving);
    }

    fn next(&mut self, out: &mut Vec<u8>) -> Step<Ask> {
        if !self.words.is_empty() {
            out.append(&mut self.words);
            self.exposure = self.words_exposure;
            return Step::Send;
        }
        if let Some(question) = self.question.take() {
            return Step::Ask(question);
        }
        match self.state {
            State::Securing(_) => Step::Secure,
            State::Closing => Step::Close,
            _ => Step::Wait { until: self.deadline },
        }
    }

    fn exposure(&self) -> Exposure {
        self.exposure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(lengths: &[usize]) -> Pack {
        let command = |length: &usize| {
            let path = crate::WirePath::new(vec![b'a'; *length]).expect("a path");
            Words::from(&Command::Mdtm(path))
        };
        Pack::new(lengths.iter().map(command).collect())
    }

    #[test]
    fn many_short_commands_are_under_way_and_few_long_ones() {
        assert_eq!(pack(&[10; 1000]).window(), PACK_MAX);
        let long = pack(&[10, 1000]).window();
        assert!((2..10).contains(&long) && long * 1007 <= PACK_MAX_OCTETS, "{long}");
        assert_eq!(pack(&[2 * PACK_MAX_OCTETS]).window(), 1);
        assert_eq!(pack(&[]).window(), PACK_MAX);
    }
}

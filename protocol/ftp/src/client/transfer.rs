//! One transfer: its data connection, its command, its end.
//!
//! RFC 959 §5.4 (125 and 150, 226 and 250, 425, 426), §4.1.3 (ABOR); RFC 2428 §2–3; RFC 3659 §5.2 (REST comes last);
//! draft-bryan-ftp-range-08 §3.
//!
//! Invariants: each transfer has a data connection of its own; the house has been told to let go of it before a refusal is
//! reported; a way that the server does not know is not tried again in this session.
//! Not here: octets.

use super::{ABORT_LIMIT, ABORT_REPLIES_MAX, Ask, Client, End, NOTICE_LIMIT, TRANSFER_TICK};
use super::{After, News, Outcome, Pack, Start, State, Then, Transfer, Way};
use crate::address::{self, Extended, Family};
use crate::command::{Command, PassiveWish, Representation};
use crate::reply::Reply;
use core::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::time::Instant;

/// A transfer on its way.
#[derive(Debug)]
pub(super) struct Errand {
    transfer: Transfer,
    /// How many ways have been tried.
    tried: usize,
    /// The way was asked for ahead, so the server may have given it up since.
    prepared: bool,
    /// What the server said of the last one.
    said: Option<Reply>,
}

/// A reply on the way to a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    Type,
    Passive(Way),
    Active,
    /// REST or RANG.
    Restart,
}

/// Under way.
#[derive(Debug)]
pub(super) struct Busy {
    errand: Errand,
    verdict: Option<Reply>,
    /// How many times the server has said that it begins.
    begun: u8,
    data: Data,
    /// What is said behind it, or was already.
    pack: Pack,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Data {
    Moving,
    Whole,
    Broken,
}

impl Errand {
    /// This way does not lead there. What was asked for ahead is asked for again before that is believed.
    fn pass_on(&mut self) {
        self.tried += usize::from(!std::mem::take(&mut self.prepared));
    }
}

impl Busy {
    fn new(errand: Errand, pack: Pack) -> Self {
        Busy { errand, verdict: None, begun: 0, data: Data::Moving, pack }
    }

    /// The server has said how it ended, and something that was said behind it is to be answered next.
    pub(super) fn is_followed(&self) -> bool {
        self.verdict.is_some() && self.pack.awaited > 0
    }

    pub(super) fn is_moving(&self) -> bool {
        self.data == Data::Moving
    }

    /// Of what was broken off Pure-FTPd says 150 once more, and then nothing.
    fn is_left_without_a_verdict(&self) -> bool {
        self.data == Data::Broken && self.begun > 1
    }
}

impl Client {
    pub(super) fn begin(&mut self, transfer: Transfer) {
        let ascii = transfer.ascii;
        let errand = Errand { transfer, tried: 0, prepared: false, said: None };
        if ascii == self.ascii {
            return self.find_way(errand);
        }
        let wanted = if ascii { Representation::Ascii } else { Representation::Image };
        self.say(&Command::Type(wanted), State::Settling(errand, Pause::Type));
    }

    pub(super) fn find_way(&mut self, mut errand: Errand) {
        if let Some((port, told)) = self.ready.take() {
            errand.prepared = true;
            return self.ask(Ask::Dial { port, told }, State::Reaching(errand));
        }
        match self.ways.get(errand.tried).copied() {
            None => self.report(Outcome::NoWay(errand.said)),
            Some(way @ Way::ExtendedPassive) => {
                self.say(&Command::Epsv(PassiveWish::Same), State::Settling(errand, Pause::Passive(way)));
            }
            Some(way @ Way::Passive) => self.say(&Command::Pasv, State::Settling(errand, Pause::Passive(way))),
            // The family of the control connection: the house knows it.
            Some(Way::ExtendedActive | Way::Active) => self.ask(Ask::Listen(self.family()), State::Reaching(errand)),
        }
    }

    /// PASV and PORT are among the ways only where the family is that of IPv4.
    fn family(&self) -> Family {
        let v4 = self.settings.ways.iter().any(|way| matches!(way, Way::Passive | Way::Active));
        if v4 { Family::V4 } else { Family::V6 }
    }

    pub(super) fn settle(&mut self, errand: Errand, pause: Pause, reply: Reply) {
        if reply.is_preliminary() {
            return self.state = State::Settling(errand, pause);
        }
        if self.stop {
            return self.give_up(pause);
        }
        match pause {
            Pause::Type if reply.is_positive() => {
                self.ascii = errand.transfer.ascii;
                self.find_way(errand);
            }
            Pause::Type => self.report(Outcome::Refused(reply)),
            Pause::Passive(way) => match told(way, &reply) {
                Some((port, told)) => self.ask(Ask::Dial { port, told }, State::Reaching(errand)),
                None => self.refused_way(errand, reply),
            },
            Pause::Active if reply.is_positive() => self.restart(errand),
            Pause::Active => self.refused_way(errand, reply),
            Pause::Restart if reply.is_intermediate() || reply.is_positive() => self.start(errand),
            Pause::Restart => self.ask(Ask::LetGo, let_go(Outcome::NoRestart(reply))),
        }
    }

    /// Stopped before it began.
    fn give_up(&mut self, pause: Pause) {
        match pause {
            Pause::Type | Pause::Passive(_) => self.report(Outcome::Stopped),
            Pause::Active | Pause::Restart => self.ask(Ask::LetGo, let_go(Outcome::Stopped)),
        }
    }

    /// The server does not go this way: not now (4yz), or not at all.
    fn refused_way(&mut self, mut errand: Errand, reply: Reply) {
        let listening = matches!(self.ways.get(errand.tried), Some(Way::ExtendedActive | Way::Active));
        if reply.is_permanent() && self.ways.len() > 1 {
            self.ways.remove(errand.tried);
        } else {
            errand.tried += 1;
        }
        errand.said = Some(reply);
        if listening {
            return self.ask(Ask::LetGo, State::LettingGo(After::Saying(Pack::default(), Then::Retry(errand))));
        }
        self.find_way(errand);
    }

    /// The house cannot get through this way, or the server cannot.
    pub(super) fn unreachable(&mut self, mut errand: Errand, said: Option<Reply>) {
        errand.pass_on();
        errand.said = said.or(errand.said);
        self.find_way(errand);
    }

    pub(super) fn reached(&mut self, errand: Errand) {
        self.restart(errand);
    }

    /// Tells the server where we listen.
    pub(super) fn invite(&mut self, errand: Errand, address: SocketAddr) {
        let command = match (self.ways.get(errand.tried), address.ip()) {
            (Some(Way::Active), IpAddr::V4(host)) => Command::Port(SocketAddrV4::new(host, address.port())),
            _ => Command::Eprt(Extended::Known(address)),
        };
        self.say(&command, State::Settling(errand, Pause::Active));
    }

    fn restart(&mut self, errand: Errand) {
        let command = match errand.transfer.start {
            Start::Beginning => return self.start(errand),
            Start::At(octet) => Command::Rest(octet),
            Start::Between(first, last) => Command::Rang(first, last),
        };
        self.say(&command, State::Settling(errand, Pause::Restart));
    }

    /// Says the command, and what is to be said behind it if the server bears that. The house begins at once: there are servers
    /// that wait for TLS before they say 150, and others that do not say it at all.
    fn start(&mut self, errand: Errand) {
        let Transfer { words, behind, ahead, .. } = &errand.transfer;
        let at_once = self.bears_more() && self.proven;
        // Behind the end alone it would come no sooner than when it is wanted.
        let worth = *ahead && self.settings.pipelining && (at_once || !behind.is_empty());
        let mut pack = Pack::new(behind.clone()).with_ahead(self.ahead().filter(|_| worth));
        let words = words.clone();
        self.say_words(&words);
        if at_once {
            self.say_early(&mut pack);
        }
        self.ask(Ask::Pump, State::Starting(Busy::new(errand, pack)));
    }

    /// Whether commands may wait at the server until a transfer is over.
    fn bears_more(&self) -> bool {
        self.in_turn && self.settings.pipelining
    }

    /// Says what is left of it before the end of the transfer is told.
    fn say_early(&mut self, pack: &mut Pack) {
        for words in std::mem::take(&mut pack.left) {
            self.say_words(&words);
            pack.awaited += 1;
            pack.early = true;
        }
    }

    /// What asks for the way to the data of the next transfer.
    pub(super) fn ahead(&self) -> Option<Command> {
        match self.ways.first() {
            // One is enough.
            _ if self.ready.is_some() => None,
            Some(Way::ExtendedPassive) => Some(Command::Epsv(PassiveWish::Same)),
            Some(Way::Passive) => Some(Command::Pasv),
            _ => None,
        }
    }

    /// What cannot be read, or is no for now, is asked again when it is wanted; a way that the server does not know is not.
    pub(super) fn note_ahead(&mut self, reply: &Reply) {
        self.ready = self.ways.first().and_then(|way| told(*way, reply));
        if matches!(reply.code(), 500 | 502) && self.ways.len() > 1 {
            self.ways.remove(0);
        }
    }

    /// Reports it, when all that was said is answered. What is to be said if it goes well is said before.
    fn close(&mut self, outcome: Outcome, pack: Pack, now: Instant) {
        let well = matches!(outcome, Outcome::Transferred(..));
        self.go_on_saying(if well { pack } else { pack.only_said() }, Then::Report(outcome));
        self.deadline = now + self.patience();
    }

    /// A reply while data move.
    pub(super) fn judged(&mut self, mut busy: Busy, reply: Reply, now: Instant) {
        if reply.is_preliminary() {
            busy.begun = busy.begun.saturating_add(1);
            return self.go_on(busy, now);
        }
        if busy.is_followed() {
            self.hear(&mut busy.pack, reply);
            return self.state = State::Busy(busy);
        }
        if busy.pack.awaited > 0 && is_no_verdict(&reply) {
            return self.end(End::OutOfStep);
        }
        self.echo = reply.is_positive();
        if reply.is_positive() && busy.data == Data::Moving {
            busy.verdict = Some(reply);
            return self.state = State::Busy(busy);
        }
        self.deadline = now + self.settings.reply_limit;
        if reply.is_positive() {
            return self.conclude(busy, reply, now);
        }
        // The server could not reach us, nor we it: nothing has moved.
        if reply.code() == 425 && busy.data != Data::Whole {
            let mut errand = busy.errand;
            errand.pass_on();
            errand.said = Some(reply);
            let after = After::Saying(busy.pack.only_said(), Then::Retry(errand));
            return self.ask(Ask::LetGo, State::LettingGo(after));
        }
        match busy.data {
            Data::Moving => {
                let after = After::Saying(busy.pack.only_said(), Then::Report(Outcome::Refused(reply)));
                self.ask(Ask::LetGo, State::LettingGo(after));
            }
            // 426 says of our broken connection no more than we know ourselves.
            Data::Broken if reply.code() == 426 => self.close(Outcome::Broken, busy.pack, now),
            Data::Whole | Data::Broken => self.close(Outcome::Refused(reply), busy.pack, now),
        }
    }

    /// The server is content; are we?
    fn conclude(&mut self, busy: Busy, reply: Reply, now: Instant) {
        if busy.data == Data::Broken {
            return self.close(Outcome::Broken, busy.pack, now);
        }
        // What has worked once is tried first from now on.
        let way = self.ways.remove(busy.errand.tried);
        self.ways.insert(0, way);
        self.proven = true;
        self.close(Outcome::Transferred(reply, Vec::new()), busy.pack, now);
    }

    /// News of the data connection, or of somebody who has no patience.
    pub(super) fn moved(&mut self, mut busy: Busy, news: News, now: Instant) {
        busy.data = match news {
            News::Stop => return self.ask(Ask::LetGo, State::LettingGo(After::Abort(Outcome::Stopped))),
            News::Whole => Data::Whole,
            News::Broken => Data::Broken,
        };
        if let Some(verdict) = busy.verdict.take() {
            return self.conclude(busy, verdict, now);
        }
        // Of a first transfer it was not known before that its data get through.
        if busy.data == Data::Whole && self.bears_more() {
            self.say_early(&mut busy.pack);
        }
        self.deadline = now + if busy.data == Data::Whole { self.settings.verdict_limit } else { NOTICE_LIMIT };
        self.go_on(busy, now);
    }

    /// Waits for what comes next, if anything does.
    fn go_on(&mut self, busy: Busy, now: Instant) {
        if busy.is_left_without_a_verdict() {
            return self.abort(Outcome::Broken, now);
        }
        self.state = State::Busy(busy);
    }

    /// Time has passed.
    pub(super) fn look_at(&mut self, busy: Busy, now: Instant) {
        match busy.data {
            Data::Moving => {
                self.deadline = now + TRANSFER_TICK;
                self.state = State::Busy(busy);
            }
            Data::Whole => self.end(End::Silent),
            Data::Broken => self.abort(Outcome::Broken, now),
        }
    }

    pub(super) fn let_gone(&mut self, after: After, now: Instant) {
        match after {
            After::Saying(pack, then) => {
                self.go_on_saying(pack, then);
                self.deadline = now + self.patience();
            }
            After::Abort(outcome) => self.abort(outcome, now),
        }
    }

    fn abort(&mut self, outcome: Outcome, now: Instant) {
        self.ready = None;
        Command::Abor.write(&mut self.words);
        self.say(&Command::Pwd, State::Aborting(outcome, 0));
        self.deadline = now + ABORT_LIMIT;
    }

    /// 426 for the transfer, 225 or 226 for ABOR, one of them or both; 257 for PWD comes last.
    pub(super) fn getting_over(&mut self, outcome: Outcome, heard: u8, reply: &Reply) {
        if reply.code() == 257 || heard + 1 == ABORT_REPLIES_MAX {
            return self.report(outcome);
        }
        self.state = State::Aborting(outcome, heard + 1);
    }
}

/// With nothing said behind it.
fn let_go(outcome: Outcome) -> State {
    State::LettingGo(After::Saying(Pack::default(), Then::Report(outcome)))
}

/// The answer to something that was said behind a transfer: EPSV, PASV, SIZE, RNFR. The transfer's own has got lost.
fn is_no_verdict(reply: &Reply) -> bool {
    matches!(reply.code(), 213 | 227 | 229 | 350)
}

/// Where the server listens, if that can be read.
fn told(way: Way, reply: &Reply) -> Option<(u16, Option<SocketAddrV4>)> {
    if !reply.is_positive() {
        return None;
    }
    let text = reply.lines().collect::<Vec<_>>().join(&b' ');
    let told = match way {
        Way::Passive => address::parse_passive(&text).map(|told| (told.port(), Some(told))),
        _ => address::parse_extended_passive(&text).map(|port| (port, None)),
    };
    told.filter(|(port, _)| *port != 0)
}

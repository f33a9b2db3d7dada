//! The data line: PORT, EPRT, PASV, EPSV, and ABOR while nothing runs.
//!
//! RFC 959 §4.1.2; RFC 2428 §2 to §4; RFC 1123 §4.1.2.6 (a new PASV for each transfer); RFC 2577 §3 (bounce).
//!
//! Departure: RFC 959 §5.2 lets a client that said neither find its data on the port of its control connection. Nobody relies
//! on it any more, and no firewall lets it through: 425.
//!
//! Invariants: we dial only the client's own address, and no port below 1024, unless the operator says otherwise; there is
//! one data line at most; after EPSV ALL there is nothing but EPSV.
//! Not here: ports and sockets (net), who may come (desk).

use super::Server;
use super::ask::{Answer, Ask};
use super::stage::{Member, Question, Stage};
use crate::address::{Extended, Family, write_host_port};
use crate::command::PassiveWish;
use crate::reply::Reply;
use crate::words;
use core::net::{SocketAddr, SocketAddrV4};

/// RFC 2577 §3: below it are those services that a bounced connection would want to reach.
const DATA_PORT_MIN: u16 = 1024;

impl Server {
    fn family(&self) -> Family {
        Family::of(self.ends.peer())
    }

    pub(super) fn port(&mut self, member: Member, address: SocketAddrV4) -> Stage {
        if self.family() == Family::V6 && !member.only_epsv {
            return self.stay(Stage::Member(member), &words::USE_EPRT);
        }
        self.dial_later(member, address.into())
    }

    pub(super) fn eprt(&mut self, member: Member, address: Extended) -> Stage {
        match address {
            _ if member.only_epsv => self.stay(Stage::Member(member), &words::ONLY_EPSV),
            Extended::Known(address) if Family::of(address.ip()) == self.family() => self.dial_later(member, address),
            Extended::Known(_) | Extended::OtherFamily(_) => self.other_family(member),
        }
    }

    fn dial_later(&mut self, mut member: Member, mut address: SocketAddr) -> Stage {
        // Departure: RFC 2428 §2 wants an address. For lftp, which says `::` for its own, and would be told off for nothing.
        if address.ip().is_unspecified() {
            address.set_ip(self.ends.peer());
        }
        let refusal = match address {
            _ if member.only_epsv => Some(&words::ONLY_EPSV),
            _ if !self.settings.active => Some(&words::NO_ACTIVE),
            _ if address.port() < DATA_PORT_MIN => Some(&words::PRIVILEGED_PORT),
            _ if address.ip() != self.ends.peer() && !self.settings.foreign_addresses => Some(&words::FOREIGN_ADDRESS),
            _ => None,
        };
        if let Some(reply) = refusal {
            return self.stay(Stage::Member(member), reply);
        }
        member.data_line = false;
        self.ask(Ask::Active(address));
        Stage::Awaiting { member, question: Question::Active }
    }

    pub(super) fn pasv(&mut self, member: Member) -> Stage {
        if member.only_epsv {
            return self.stay(Stage::Member(member), &words::ONLY_EPSV);
        }
        if self.family() == Family::V6 {
            return self.stay(Stage::Member(member), &words::USE_EPSV);
        }
        self.listen(member, Question::Passive)
    }

    pub(super) fn epsv(&mut self, mut member: Member, wish: PassiveWish) -> Stage {
        match wish {
            PassiveWish::All => {
                member.only_epsv = true;
                self.stay(Stage::Member(member), &words::ALL_EPSV)
            }
            PassiveWish::Family(number) if number != self.family().number() => self.other_family(member),
            PassiveWish::Family(_) | PassiveWish::Same => self.listen(member, Question::ExtendedPassive),
        }
    }

    fn listen(&mut self, mut member: Member, question: Question) -> Stage {
        member.data_line = false;
        self.ask(Ask::Listen(self.family()));
        Stage::Awaiting { member, question }
    }

    /// RFC 2428 §2: between the parentheses stands what will do; the control connection has shown that it does.
    fn other_family(&mut self, member: Member) -> Stage {
        let text = format!("Network protocol not supported, use ({})", self.family().number());
        self.stay(Stage::Member(member), &Reply::new(522, text))
    }

    pub(super) fn listening(&mut self, mut member: Member, extended: bool, answer: Answer) -> Stage {
        let text = match answer {
            // No full stop behind the parenthesis: there are routers that read on.
            Answer::Listening(address) if extended => {
                Some((229, format!("Entering Extended Passive Mode (|||{}|)", address.port())))
            }
            Answer::Listening(SocketAddr::V4(address)) => {
                Some((227, format!("Entering Passive Mode ({})", write_host_port(address))))
            }
            _ => None,
        };
        member.data_line = text.is_some();
        let reply = text.map_or(words::CANNOT_LISTEN.clone(), |(code, text)| Reply::new(code, text));
        self.stay(Stage::Member(member), &reply)
    }

    pub(super) fn active(&mut self, mut member: Member, answer: Answer) -> Stage {
        match answer {
            Answer::Done => {
                member.data_line = true;
                self.stay(Stage::Member(member), &words::ADDRESS_TAKEN)
            }
            Answer::Refused(refusal) => self.stay(Stage::Member(member), &refusal.reply()),
            _ => self.stay(Stage::Member(member), &words::CONFUSED),
        }
    }

    /// RFC 959 §4.1.3: ABOR closes the data connection also if nothing runs.
    pub(super) fn hang_up(&mut self, mut member: Member) -> Stage {
        if !std::mem::take(&mut member.data_line) {
            return self.stay(Stage::Member(member), &words::NOTHING_TO_ABORT);
        }
        self.ask(Ask::Abort);
        Stage::Awaiting { member, question: Question::HangUp }
    }
}

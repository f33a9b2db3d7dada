//! TLS: AUTH, PBSZ, PROT, CCC.
//!
//! RFC 4217 §4 (AUTH), §5 (CCC), §9 (PROT), §10 (policies); RFC 2228 §3 (the codes).
//!
//! `AUTH SSL` and `AUTH TLS-P` are of the drafts before RFC 4217, and mean that data are protected from the start. So does
//! TLS from the first octet on port 990, which no RFC describes.
//!
//! Invariants: PROT needs PBSZ, and PBSZ needs TLS; after CCC protection does not change any more, and no password is taken
//! that would have needed TLS before; what was agreed before AUTH is forgotten.
//! Not here: the handshake, and what becomes of octets that came in clear behind AUTH (net, by the contract).

use super::settings::Tls;
use super::stage::{AfterLogout, Member, Stage};
use super::{LinkTls, Server, Then};
use crate::command::{Mechanism, Protection};
use crate::words;
use line::Secured;

impl Server {
    pub(super) fn auth(&mut self, stage: Stage, mechanism: Mechanism) -> Stage {
        let protection = match mechanism {
            Mechanism::Tls => Protection::Clear,
            Mechanism::TlsPrivate => Protection::Private,
        };
        if self.settings.tls == Tls::Absent {
            return self.stay(stage, &words::NO_TLS);
        }
        match stage {
            stage if self.link.cleared => self.stay(stage, &words::CLEARED),
            stage if self.link.tls.is_some() => self.stay(stage, &words::TLS_ALREADY),
            Stage::Member(_) => self.log_out(AfterLogout::Auth { protection }),
            _ => self.begin_tls(protection),
        }
    }

    /// The handshake is done, or was before the first word.
    pub(super) fn tls_is_up(&mut self, tls: Secured) {
        let protection = match std::mem::take(&mut self.stage) {
            Stage::Securing { protection } => {
                self.stage = Stage::Stranger;
                protection
            }
            stage => {
                self.stage = stage;
                Protection::Private
            }
        };
        self.link.tls = Some(Box::new(LinkTls { version: tls.version, server_name: tls.server_name }));
        self.link.protection = protection;
        self.link.buffers_agreed = protection == Protection::Private;
        self.link.forget_other_host();
    }

    pub(super) fn pbsz(&mut self, stage: Stage) -> Stage {
        let reply = match self.protection_closed() {
            Some(reply) => reply,
            None => {
                self.link.buffers_agreed = true;
                &words::NO_BUFFERS
            }
        };
        self.stay(stage, reply)
    }

    pub(super) fn prot(&mut self, stage: Stage, level: Protection) -> Stage {
        let reply = match (self.protection_closed(), level) {
            (Some(reply), _) => reply,
            (None, _) if !self.link.buffers_agreed => &words::PBSZ_BEFORE,
            (None, Protection::Safe | Protection::Confidential) => &words::HALF_PROTECTED,
            (None, Protection::Clear) => &words::UNPROTECTED,
            (None, Protection::Private) => &words::PROTECTED,
        };
        if reply.is_positive() {
            self.link.protection = level;
        }
        self.stay(stage, reply)
    }

    /// Why protection cannot be spoken of now.
    fn protection_closed(&self) -> Option<&'static crate::reply::Reply> {
        match (&self.link.tls, self.link.cleared) {
            (None, _) => Some(&words::TLS_BEFORE),
            (_, true) => Some(&words::CLEARED),
            _ => None,
        }
    }

    pub(super) fn ccc(&mut self, member: Member) -> Stage {
        if self.link.tls.is_none() || self.link.cleared {
            return self.stay(Stage::Member(member), &words::NOT_PROTECTED);
        }
        if !self.settings.clear_control {
            return self.stay(Stage::Member(member), &words::STAYS_PROTECTED);
        }
        self.say(&words::CLEARING);
        self.queue.clear();
        self.link.cleared = true;
        self.then = Some(Then::Clear);
        Stage::Member(member)
    }
}

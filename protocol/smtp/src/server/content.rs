//! The content of a mail on its way in: counted, looked at, handed on, or thrown away.
//!
//! RFC 5321 §4.1.1.4 (DATA), §4.5.2 (dots), §2.3.8 (only CRLF ends a line), §4.5.3.1.9 (codes); RFC 1870 §6.3 (too
//! large).
//!
//! A bare CR or LF, a NUL and a line over the limit cost 550 5.6.0, a message over the size limit 552 5.3.4: after the
//! final dot, because before it nobody listens. As soon as the fault is known the draft is given up and the rest goes
//! to nobody. A bare line end never ends the message: that is how one message is smuggled inside another.
//!
//! Invariants: what is kept is what was sent, without the added dots; a flawed message is never committed;
//! what is thrown away is bounded, in octets and in time.

use super::{Ask, Conversation, Server, Settings, State};
use crate::reply::Reply;
use crate::words;
use line::{Exposure, Flaw, Undotter};
use std::sync::Arc;
use std::time::Instant;

/// How much content is taken at once: what the house is given in one piece.
const STRETCH_MAX_BYTES: usize = 64 << 10;

/// Why a message is refused before the house has judged it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Its octets are not as they must be.
    Flaw(Flaw),
    /// It is larger than we said.
    TooLarge,
}

impl Fault {
    /// What the client is told.
    pub fn reply(self) -> &'static Reply {
        match self {
            Fault::Flaw(Flaw::BareLineEnd) => &words::BARE_LINE_END_IN_CONTENT,
            Fault::Flaw(Flaw::Nul) => &words::NUL_IN_CONTENT,
            Fault::Flaw(Flaw::LongLine) => &words::LONG_LINE_IN_CONTENT,
            Fault::TooLarge => &words::TOO_LARGE,
        }
    }
}

/// A message between 354 and its final dot.
#[derive(Debug)]
pub(super) struct Transfer {
    by: Arc<Conversation>,
    dots: Undotter,
    /// How many octets have come, without added dots.
    octets: u64,
    /// Whether the house still wants it.
    wanted: bool,
    until: Instant,
}

impl Transfer {
    pub(super) fn new(by: Arc<Conversation>, settings: &Settings, now: Instant) -> Self {
        let dots = Undotter::new(settings.line_max_bytes);
        Transfer { by, dots, octets: 0, wanted: true, until: now + settings.transfer_wait }
    }

    /// What is wrong so far. In which pieces it came makes no difference at the end.
    fn fault(&self, size_max: u64) -> Option<Fault> {
        if self.octets > size_max { Some(Fault::TooLarge) } else { self.dots.flaw().map(Fault::Flaw) }
    }
}

impl Server {
    /// Takes a stretch of content.
    pub(super) fn take_content(&mut self, bytes: &[u8], now: Instant) -> usize {
        self.exposure = Exposure::Content;
        let mut transfer = match std::mem::replace(&mut self.state, State::Closed) {
            State::Receiving(transfer) => transfer,
            state => {
                self.state = state;
                return 0;
            }
        };
        let stretch = &bytes[..bytes.len().min(STRETCH_MAX_BYTES)];
        self.content.reserve(stretch.len());
        let step = transfer.dots.take(stretch, &mut self.content);
        transfer.octets += self.content.len() as u64;
        self.deadline = transfer.until.min(now + self.settings.content_wait);
        if transfer.wanted {
            self.kept(transfer, step.ended);
        } else {
            self.thrown_away(transfer, step.ended);
        }
        step.taken
    }

    /// The stretch is good, or shows the first fault.
    fn kept(&mut self, mut transfer: Transfer, ended: bool) {
        if let Some(fault) = transfer.fault(self.settings.size_max_bytes) {
            self.content.clear();
            transfer.wanted = false;
            self.asked = Some(Ask::Abandon(fault));
            self.state = State::AwaitingRelease { transfer, ended };
        } else if ended {
            self.asked = Some(Ask::Commit { octets: transfer.octets });
            self.state = State::AwaitingVerdict(transfer.by);
        } else {
            self.state = State::Receiving(transfer);
        }
    }

    fn thrown_away(&mut self, transfer: Transfer, ended: bool) {
        self.content.clear();
        if ended {
            self.refuse_content(transfer);
        } else if transfer.octets > self.settings.size_max_bytes.saturating_add(self.settings.waste_max_bytes) {
            self.end(&words::ENDLESS_CONTENT);
        } else {
            self.state = State::Receiving(transfer);
        }
    }

    /// The house has dropped the draft.
    pub(super) fn released(&mut self, transfer: Transfer, ended: bool) {
        if ended {
            self.refuse_content(transfer);
        } else {
            self.state = State::Receiving(transfer);
        }
    }

    fn refuse_content(&mut self, transfer: Transfer) {
        // A fault does not go away, so there is one; too large is the one that is not remembered by the dots.
        let fault = transfer.fault(self.settings.size_max_bytes).unwrap_or(Fault::TooLarge);
        self.state = State::Ready(transfer.by);
        self.complain(fault.reply());
        self.leave_if_asked();
    }
}

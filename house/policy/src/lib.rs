//! Our own judgement: relay? too fast? too often? Facts in, verdict out.
//!
//! RFC 5321 §3.6, §4.5.4.1, §6.3, §7.8, §7.9 (relaying, retries, loops, attacks); RFC 6409 §6.1 (senders);
//! RFC 2577 §5 (guessing passwords).
//!
//! Read in this order: [`verdict`] is what comes out, [`origin`] who comes in, [`relay`], [`sender`] and [`loops`] judge
//! one mail, [`limits`] judge how often, [`retry`] says when the courier goes again.
//!
//! Invariants: nothing here has a clock, a socket or a file; time and chance come in as parameters; what is remembered
//! of strangers is bounded by name; without a login, mail goes to domains of ours and nowhere else.
//! Not here: who is who (directory), how a refusal is spoken (protocol), what is junk.

pub mod limits;
pub mod loops;
pub mod origin;
pub mod relay;
pub mod retry;
pub mod sender;
pub mod verdict;

pub use limits::{
    Attempt, BAN_MEMORY, Ban, BanCause, Gate, GateSettings, Rate, Seat, Sending, SendingSettings, Sessions,
};
pub use origin::{Network, Origin};
pub use relay::{Client, Door, Relay};
pub use retry::{Kind, Next, Schedule};
pub use verdict::{Reason, Reply, Verdict};

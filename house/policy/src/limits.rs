//! How often is too often.
//!
//! RFC 5321 §7.8 (attacks by too much); RFC 6409 §6 (submission knows its people); RFC 2577 §5 (guessing passwords).
//!
//! Read in this order: [`rate`] counts, [`bounded`] remembers, [`connections`], [`logins`] and [`bans`] stand at the gate,
//! [`gate`] is all three in one, shared by every protocol, [`sending`] and [`sessions`] limit those who are inside.
//!
//! All of it is kept in memory and forgotten at a restart. The types are plain values that change: whoever shares one
//! puts a lock around it, held for microseconds.
//!
//! Invariants: each memory has a named bound, and when it is full the strangers are served, not refused.
//! Not here: what a refusal looks like on the wire (desks), limits of one dialogue (protocol).

pub mod bans;
pub mod bounded;
pub mod connections;
pub mod gate;
pub mod logins;
pub mod rate;
pub mod sending;
pub mod sessions;

pub use bans::{BAN_MEMORY, Ban, BanCause, Bans};
pub use connections::{Connections, Seat};
pub use gate::{Gate, GateSettings};
pub use logins::{Attempt, LoginSettings, Logins};
pub use rate::{Limiter, Rate};
pub use sending::{Sending, SendingSettings};
pub use sessions::Sessions;

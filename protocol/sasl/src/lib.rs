//! SASL: proving who one is, both sides, without knowing which protocol carries the messages.
//!
//! RFC 4422 (framework; EXTERNAL in its App. A), 4616 (PLAIN), 5802 and 7677 (SCRAM-SHA-256, -PLUS), 5929 §4 (tls-server-end-point),
//! 9266 (tls-exporter), 4013 (SASLprep). LOGIN has no RFC; we speak what Outlook and everybody else does.
//!
//! ```text
//! server::Exchange   start ──→ Challenge ─respond→ … ─→ Ask(Keys) ─answer→ … ─→ Ask(Login) ─answer→ Granted | Failed
//! client::Exchange   start ──→ initial ─respond→ … ─→ granted
//! ```
//!
//! Invariants: the house is asked about every attempt that shows a password or a proof, also about a failed proof,
//! so that it can count; a failed proof is never granted, whatever the house says; nothing here prints a secret.
//! Not here: which codes a refusal gets, cancelling with `*` and line limits (the dialogues), passwords and their
//! throttling (directory), randomness (whoever starts the session).

mod mechanism;
mod nonce;
mod prepare;
mod scram;

pub mod client;
pub mod server;
pub mod wire;

pub use mechanism::{Mechanism, available};
pub use nonce::Nonces;
pub use prepare::{prepared, prepared_password};
pub use scram::{KeyPair, ScramKeys};

/// RFC 4954 §4: 12,288 octets with CRLF are enough for a line of any mechanism in use. RFC 5034 §4 names no number.
pub const LINE_MAX: usize = 12_288;

/// What a line of [`LINE_MAX`] can carry.
pub const MESSAGE_MAX: usize = LINE_MAX / 4 * 3;

/// RFC 4616 §2: 255 octets must be accepted; twice that lets an address of any script through.
pub const LOGIN_MAX: usize = 512;

/// RFC 4616 §2: 255 octets must be accepted; more costs hashing time before we know who asks.
pub const PASSWORD_MAX: usize = 1024;

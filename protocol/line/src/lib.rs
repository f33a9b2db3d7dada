//! What every dialogue shares: the contract of a session, lines, and dots.
//!
//! RFC 5321 §2.3.8 (CRLF alone ends a line), §4.5.2 (transparency); RFC 1939 §3 (byte-stuffing).
//!
//! Read in this order: `session` is the contract between a dialogue and whoever drives it,
//! `lines` finds lines in what has arrived, `dots` hides and reveals leading dots. Besides, `secret` is what nobody prints, `percent` what URLs hide.
//!
//! Invariants: no socket, file, clock, thread or async; time comes in as a parameter.
//! Not here: what the lines mean (the dialogues), how they travel (net).

mod dots;
mod lines;
mod percent;
mod secret;
mod session;

pub use dots::{Dotter, Flaw, Undotted, Undotter};
pub use lines::{Line, Lines};
pub use percent::percent_decoded;
pub use secret::Secret;
pub use session::{Exposure, Leave, Secured, Session, Step};

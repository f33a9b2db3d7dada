//! POP3: fetching mail, both sides of the dialogue.
//!
//! RFC 1939 (the protocol), 2449 (CAPA, response codes), 2595 §4 (STLS), 3206 (SYS, AUTH), 5034 (AUTH), 6856 (UTF8, LANG).
//!
//! ```text
//! Authorization ─USER PASS │ AUTH→ Transaction ─QUIT→ Update → closed
//! ```
//!
//! Read in this order: [`command`] and [`reply`] are what can be said, [`server`] and [`client`] when it is said.
//!
//! Invariants: a message is removed only after QUIT in the transaction state; numbers and sizes do not change while a
//! session lasts; passwords in clear only where the settings allow it.
//! Not here: who has which maildrop (desk), passwords (directory), sockets and TLS (net).

pub mod client;
pub mod command;
pub mod reply;
pub mod server;

pub use client::Client;
pub use command::Command;
pub use reply::{Code, Reply};
pub use server::Server;

//! Listeners, desks and the courier: where dialogues meet the house.
//!
//! ```text
//! net ─connection→ session (protocol) ⇄ desk ─→ house: directory, policy, store
//!                                                  store ─due mail→ courier ─→ session (client side) ─→ net
//! control.sock ─→ admin ─→ house
//! ```
//!
//! Read in this order: [`settings`] is what it is told, [`house`] what sessions share, `sessions` who is here,
//! `desk` how questions are answered, [`courier`] how mail leaves, [`hooks`] who is told of what happened, [`admin`] what administrators ask,
//! [`archives`] what they bring and take away, [`serve`] how it all starts and stops.
//!
//! Invariants: no lock of the house is held while something is awaited; an answer that promises is given after the commit.
//! Not here: what is said (protocol), sockets (net), files (store), configuration files (app).

pub mod admin;
pub mod archives;
mod ban_book;
pub mod control;
mod control_socket;
pub mod courier;
mod desk;
pub mod dev;
pub mod hooks;
pub mod house;
mod judgement;
pub mod serve;
mod sessions;
pub mod settings;
mod spaces;
mod tapping;
mod throttles;
pub mod transfer_log;
mod url_keys;

pub use serve::{Listening, MADE_BEFORE, Ports, Running, StartError, open_ports};
pub use settings::{Purpose, Settings};

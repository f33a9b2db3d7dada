//! Desks: each turns one session's questions into calls of the house, and its answers back.
//!
//! Invariants: desks do not know one another; no lock of the house is held while an answer is awaited;
//! a desk says yes to content only after the commit returned.
//! Not here: what is said on the wire (the dialogues), how (net).

pub mod door;
pub mod ftp;
pub mod imap;
pub mod pop3;
pub mod smtp;

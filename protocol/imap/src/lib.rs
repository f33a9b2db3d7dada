//! IMAP: mail that stays at the server, in mailboxes, with its state; the server's side, and the grammar of both.
//!
//! RFC 9051 (IMAP4rev2) and RFC 3501 (IMAP4rev1), and extensions, which each file names.
//!
//! Read in this order: [`words`] are the smallest pieces; [`set`], [`flag`], [`moment`], [`name`], [`pattern`] the values;
//! [`fetch`] and [`search`] what can be asked of messages, [`structure`] what is said of what they consist of, [`url`] how a part is named from elsewhere; [`command`] what
//! a client may say, [`gather`] how it comes together, [`table`] when it may be said; [`reply`] what a server may say; [`view`]
//! which message has which number; [`server`] what is said when.
//!
//! Invariants: nothing that a client says is taken for well-formed before a parser has said so; every length, nesting and
//! count has a named limit; sets are never written out.
//! Not here: what is in a mailbox (house), what a message consists of (message), sockets and TLS (net).

pub mod words;

pub mod flag;
pub mod moment;
pub mod name;
pub mod pattern;
pub mod set;

pub mod fetch;
pub mod search;
pub mod structure;
pub mod url;

pub mod capability;
pub mod command;
pub mod gather;
pub mod reply;
pub mod table;

pub mod view;

pub mod server;

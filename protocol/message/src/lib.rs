//! Messages: their addresses, dates, header fields and parts; what lists say of them; trace fields; reports on delivery;
//! and how names of mailboxes are written in ASCII.
//!
//! RFC 5322 (messages), RFC 6854 (groups), RFC 6532 (UTF-8); RFC 2045–2049, RFC 2183, RFC 2231 (MIME);
//! RFC 3464, RFC 6522, RFC 6533 (delivery reports); RFC 3834 (automatic mail); RFC 5321 §4.1.2, §4.4 (addresses, trace fields);
//! RFC 3501 §5.1.3 (modified UTF-7).
//!
//! Read in this order: [`address`], [`date`], [`header`] (and in it the scanner for what streams in), [`mime`], [`outline`],
//! [`find`], [`report`], [`utf7`].
//!
//! Invariants: reading never fails where a best effort is possible, never panics, and every size has a named limit;
//! what is written can be read back, and no unchecked text can end a line in it. Raw octets stay where they are:
//! readers give offsets into a message, not copies of it.
//! Not here: dialogues (smtp, imap, pop3), signatures (proof), where messages are kept (store).

pub mod address;
#[cfg(test)]
mod corpus;
pub mod date;
pub mod find;
pub mod header;
pub mod mime;
#[cfg(any(test, feature = "mutate"))]
pub mod mutate;
pub mod outline;
pub mod report;
mod syntax;
pub mod utf7;

pub use address::{Address, AddressFlaw, Domain};
pub use date::Date;
pub use outline::Outline;

//! MIME: how a body is built of parts, and how to read what is in them.
//!
//! RFC 2045–2047, RFC 2049 (MIME); RFC 2183 (dispositions); RFC 2231 (parameters).
//!
//! Read in this order: [`tree`] finds the parts, [`params`] reads what they say about themselves, [`transfer`] and [`charset`]
//! decode them, [`words`] does so in header fields, [`text`] makes words of it all.
//!
//! Invariants: nothing here fails on bad input; every reader gives the best it can, within named limits.
//! Not here: header sections (header), what IMAP says about parts (imap).

// In reading order.
pub mod tree;

pub mod params;

pub mod transfer;

pub mod charset;

pub mod words;

pub mod text;

pub use tree::{Content, Part, Tree};

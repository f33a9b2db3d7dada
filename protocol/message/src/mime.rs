//! MIME: how a body is built of parts, and how to read what is in them.
//!
//! RFC 2045–2047, RFC 2049 (MIME); RFC 2183 (dispositions); RFC 2231 (parameters).
//!
//! Read in this order: [`params`] reads the values of Content-Type and its kin, [`transfer`] and [`charset`] decode,
//! [`words`] does so in header fields.
//!
//! Invariants: nothing here fails on bad input; every reader gives the best it can, within named limits.
//! Not here: header sections (header), what IMAP says about parts (imap).

pub mod params;

pub mod transfer;

pub mod charset;

pub mod words;

//! The server's side of the dialogue.
//!
//! RFC 9051 §3 (states); RFC 3501 §3.
//!
//! Not here: who may what (house), sockets (net).

pub mod ask;

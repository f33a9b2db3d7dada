//! SMTP, both sides: what is said and when, never how it travels.
//!
//! RFC 5321 (commands, replies, order), 1870 (SIZE), 2034 and 3463 (enhanced codes), 2920 (PIPELINING), 3207
//! (STARTTLS), 4954 (AUTH), 6152 (8BITMIME), 6531 (SMTPUTF8), 3461 (DSN parameters), 6409 (submission).
//!
//! ```text
//! server  Greeting → Fresh ─EHLO→ Ready ─MAIL→ AwaitingSender ─yes→ InTransaction ⇄ AwaitingRecipient
//!                      ↑          │ ↑ └AUTH→ Authenticating ⇄ AwaitingLogin       │
//!                      └ Securing ┘ │                                           DATA
//!                        STARTTLS   └─ AwaitingVerdict ←final dot─ Receiving ←yes─ AwaitingDraft
//!
//! client  Greeting → Hello → [StartingTls → Securing → Hello] → [LoggingIn] → AwaitingMail
//!         AwaitingMail ─a mail→ Envelope → Content → Verdict → Reporting → AwaitingMail ─none left→ Quitting → Closed
//! ```
//!
//! Read in this order: [`path`], [`params`] and [`command`] are what a client may say, [`reply`] and [`words`] what a
//! server may say; [`server`] and [`client`] are the two sides, each a `line::Session`.
//!
//! Invariants: one transaction at a time; only CRLF ends a line and only CRLF.CRLF a message; a message is accepted
//! only once the house said that it is on disk; nothing advertised that does not work.
//! Not here: who our recipients are (desk), relay rules (policy), sockets and TLS (net), queues and routes (courier).

pub mod client;
pub mod command;
pub mod params;
pub mod path;
pub mod reply;
pub mod server;
pub mod words;

pub use command::{Command, HelloName};
pub use params::{Body, MailParams, Notify, OriginalRecipient, RcptParams, Ret, Submitter};
pub use path::{Domain, ForwardPath, Mailbox, PathError, ReversePath};
pub use reply::{EnhancedCode, Reply};

//! FTP: what both sides may say, and the dialogue, on either side.
//!
//! RFC 959 (all but what the world has dropped), 1123 §4.1 (what it must be), 2389 (FEAT, OPTS), 2428 (EPRT, EPSV), 2577 (bounce,
//! guessing), 2640 (UTF-8, LANG), 3659 (MLST, SIZE, MDTM, REST), 4217 (TLS), 7151 (HOST); drafts for HASH, RANG, MFMT, MFF, AVBL.
//!
//! ```text
//! server  Greeting → Stranger ─HOST→ AwaitingHost ─→ Stranger ─USER→ Named ─PASS→ AwaitingLogin ─granted→ Member
//!                      │  ↑                             │ ↑─────────────────────────────┘ denied         │ ↑
//!                      │  └── Securing ←─AUTH TLS───────┘ └──────── AwaitingLogout ←─USER, REIN, AUTH────┤ │
//!                      │                                                                                 │ │
//!                      │         Awaiting(question) ←──any command about files or the data line──────────┘ │
//!                      │            │  └─answer─────────────────────────────────────────────────────────→──┤
//!                      │            └─begun→ Busy ─Ended→──────────────────────────────────────────────────┘
//!                      │                     Busy ─ABOR→ AwaitingStop ─→ Busy;  ─STAT→ AwaitingProgress ─→ Busy
//!                      └─QUIT, 421 from anywhere→ Closed
//! ```
//!
//! Read in this order: [`table`] is what holds for each command, [`command`] what a client may say, [`reply`] and [`words`] what
//! a server may say, [`refusal`] what the house's reasons become; [`server`] is the dialogue, [`server::ask`] what it needs of the
//! house; [`client`] is the other side of it, with a picture of its own. [`path`], [`moment`], [`address`], [`hash`], [`telnet`] are
//! the small languages inside; [`listing`], [`modes`] and [`deflate`] are for the pump, [`dialect`] is what a client finds in listings.
//!
//! Invariants: no transfer passes through here; nothing is advertised that does not work; a path that leaves here is
//! absolute and says one thing.
//! Not here: sockets and TLS (net), files and rights (house/files), who runs the pump (desk).

pub mod address;
pub mod client;
pub mod command;
pub mod deflate;
pub mod dialect;
pub mod hash;
pub mod listing;
pub mod modes;
pub mod moment;
pub mod path;
pub mod permissions;
pub mod refusal;
pub mod reply;
pub mod server;
pub mod table;
pub mod telnet;
pub mod words;

pub use command::{Change, Command};
pub use hash::HashKind;
pub use listing::{Entry, EntryKind, Facts, Pattern, Rights};
pub use moment::Moment;
pub use path::{VirtualPath, WirePath};
pub use permissions::Permissions;
pub use refusal::{Digest, Outcome, Refusal};
pub use reply::Reply;
pub use server::{Ends, Server, Settings};

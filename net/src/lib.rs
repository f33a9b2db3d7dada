//! Sockets, TLS, timers, DNS, and the one driver loop over every dialogue.
//!
//! RFC 5246, RFC 8446 (TLS), RFC 5929, RFC 9266 (channel bindings), RFC 1035 (DNS), RFC 5321 §5 (what mail asks of it).
//!
//! ```text
//! Listener ─visitor→ converse(session, desk, stream) ─ended→ the caller's log
//! connect  ─stream─→ converse(session, desk, stream)
//! DataPort | connect ─stream─→ DataLine ←─ whoever pumps
//! ```
//!
//! Read in this order: [`drive`] is the loop, [`lent`] gives a busy one a thread, [`tap`] lets one listen in, [`listen`] takes connections in,
//! [`mod@connect`] makes them, [`proxy`] through somebody else; [`tls`] protects them, [`dns`] finds where they go; [`data`] is what FTP has beside;
//! [`http`] tells others what has happened.
//!
//! Invariants: every protocol, server or client, is driven by [`drive::converse`] and by nothing else;
//! unread octets in clear are thrown away when TLS begins, in one place; every buffer and every wait has a named limit.
//! Not here: what is said (protocol), what is known (house), who is let in and why (server).

pub mod drive;
mod home;
pub mod lent;
pub mod tap;

pub mod connect;
pub mod listen;
pub mod proxy;

pub mod tls;

pub mod data;

pub mod dns;

pub mod http;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use connect::{connect, usual_source};
pub use data::{Arrival, Broken, Bucket, DataLine, DataPort, Fault, PortRange, Taken, Throttle};
pub use dns::{Dns, DnsError, Mx, Resolver, Table};
pub use drive::{Attachment, Begin, Desk, Ended, Pace, Pulse, Security, Setup, Why, converse};
pub use lent::{Lender, is_lent, put_off};
pub use listen::{Door, Listener, Refusal, Seats, Visitor, tell};
pub use proxy::Proxy;
pub use tls::{ClientCa, ClientTls, Identity, ServerTls, TlsError, Trust};

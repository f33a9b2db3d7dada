//! Data connections: a port for one client, and what travels over it.
//!
//! RFC 959 §3.2 (who opens it, who closes it); RFC 1579 and RFC 6056 (passive, ports that nobody can guess); RFC 2577 §3–4
//! (bounce, theft); RFC 4217 §7, §12.7 (TLS on data connections, close_notify); RFC 8446 §6.1 (truncation).
//!
//! ```text
//! DataPort::open ─the client comes→ TcpStream ─┐
//! connect ───────────we dial──────→ TcpStream ─┴→ DataLine::clear | DataLine::secure ─→ send · send_file · receive · take_in ─→ finish
//! ```
//!
//! Invariants: only the client's own address gets in; nothing waits longer than it is told; the end of an upload in TLS is
//! close_notify, and nothing else; what was sent last is not destroyed by a reset.
//! Not here: which file, which line ends, who may (server).

mod port;
mod seal;
mod secure;
mod send;
mod take;
mod throttle;
mod wait;
mod wire;

#[cfg(test)]
mod tests;

pub use port::{DataPort, PortRange};
pub use take::{Arrival, Fault, Taken};
pub use throttle::{Bucket, Throttle};
pub(crate) use wait::is_ready_soon;
pub use wire::{Broken, DataLine};

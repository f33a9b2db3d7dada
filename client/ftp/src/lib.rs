//! An FTP client as a library: connections, files that arrive whole or not at all, and trees that are kept alike.
//!
//! RFC 959, 2428, 3659, 4217 as `ftp::client` speaks them; RFC 1738 §3.2 (URLs).
//!
//! ```no_run
//! # async fn example() -> Result<(), ftp_client::Error> {
//! use ftp_client::{Connection, Fetch, Site, Url};
//!
//! let url: Url = "ftp://bob@ftp.hamburger.test/menus/today.txt".parse()?;
//! let site = Site::new(&url, "hungry")?;
//! let mut connection = Connection::open(&site).await?;
//! let fetched = connection.fetch(&url.path, "today.txt".as_ref(), &Fetch::default()).await?;
//! println!("{} octets", fetched.octets);
//! connection.quit().await;
//! # Ok(())
//! # }
//! ```
//!
//! ```text
//! Site ─open→ Connection ─say, list, fetch, send→ ftp::client (what is said) over net::converse (how it travels)
//!              ↑ several                             └─ Desk: data connections, one pump at a time
//!             Crew ←─ tasks ─ Plan ←─compare─ trees, there and here
//! ```
//!
//! Read in this order: [`url`] is where to go, [`site`] how, [`connection`] is one connection, with [`directory`], [`fetch`] and
//! [`send`] for what is done over it; [`mirror`] makes one tree like another, here, there or on another server, over a [`crew`] of
//! connections. A large file comes, and if that is wished goes, in pieces over several of them. What comes through a pipe is sent by
//! [`Connection::send_stream`].
//!
//! Invariants: what has its final name is whole, here and, where the server can rename, there; no name that a server tells leads
//! out of the directory that it was told for; two different files are never welded into one by going on where another transfer
//! ended; no password goes out in clear but to loopback, or where somebody has allowed it.
//! Not here: what is said (`protocol/ftp`), sockets and TLS (`net`), command lines and prompts (`app`).

mod batch;
pub mod charset;
pub mod connection;
pub mod crew;
mod desk;
pub mod directory;
pub mod error;
pub mod fetch;
mod fill;
pub mod lineage;
pub mod mirror;
mod part;
mod pieces;
mod pump;
mod relay;
pub mod select;
pub mod send;
mod shipment;
pub mod site;
mod stream;
mod sums;
#[cfg(test)]
mod tests;
pub mod url;

pub use charset::Charset;
pub use connection::Connection;
pub use crew::{Crew, Event, Watcher};
pub use error::Error;
pub use fetch::{Fetch, Fetched};
pub use mirror::{Action, Direction, Links, Mirror, Plan, Report};
pub use select::Selection;
pub use send::{Send, Sent};
pub use site::{Experience, Learnt, Safety, Site};
pub use url::Url;

pub use ftp::address::Family;
pub use ftp::client::{End, Unsafe, Way};
pub use ftp::dialect::{Found, Kind, RemoteName};
pub use ftp::{Moment, Pattern};
pub use net::{Bucket, Proxy, Throttle};
pub use regex::bytes::Regex;

//! File spaces: a jail, permissions, quotas, and uploads that are whole or not there.
//!
//! RFC 959 and 3659 say what clients ask for; this room knows no protocol and no socket.
//!
//! ```text
//! octets from the network ─→ JailedPath ─→ Space of an account ─→ Mount ─→ Volume, a real directory
//!                                            │
//!        stat · list · open_read · checksum ─┤
//!  make_directory · rename · remove · link … ┤
//!                                begin_upload┴→ Upload ─ file() / write_all ─→ commit: durable, then Stored
//! ```
//!
//! Read in this order: [`JailedPath`] is what may be asked for, [`Volume`] what there is, [`Space`] who sees what of it;
//! `confine` and `walk` are why nothing leads out, [`Upload`] is how a file arrives.
//!
//! Everything blocks; callers have threads for that. Paths, names and links are octets and need not be UTF-8.
//!
//! Invariants: nothing outside of the volumes is ever opened, whatever is linked or renamed meanwhile; a `Stored` upload
//! survives a power cut; one that is not finished is visible to nobody; a file is replaced whole or not at all; the quota
//! counts what lies there, uploads under way among it.
//! Not here: what commands mean and replies say (desk), who has which mounts (directory), moving octets (net).

#![forbid(unsafe_code)]

mod error;
mod path;
mod permissions;

mod confine;
mod disk;
mod space;
mod volume;
mod walk;

mod entry;
mod listing;
mod look;
mod scan;

mod change;

mod begin;
mod group;
mod hidden;
mod ledger;
mod locks;
mod survey;
mod upload;

mod md5;
mod sums;

#[cfg(test)]
mod tests;

pub use begin::Mode;
pub use entry::{Entry, Facts, Kind, Target};
pub use error::{Error, OpenError};
pub use ledger::{Quota, Usage};
pub use listing::{Detail, Listing, Names};
pub use look::{Download, Room};
pub use path::{COMPONENT_MAX, DEPTH_MAX, INPUT_MAX, JailedPath, PATH_MAX, PathError};
pub use permissions::{Permissions, Rule};
pub use space::{Mount, Space};
pub use sums::{Algorithm, Sum, Summand, Summing};
pub use survey::Swept;
pub use upload::{Stored, Upload};
pub use volume::{Syncs, Terms, Volume};

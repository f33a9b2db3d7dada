//! Starts the real binary and speaks to it over real sockets.
//!
//! Every test has a server of its own, on free ports of loopback, with a data directory that goes away with it.
//!
//! Not here: what is tested (scenes, torture, interop).

mod server;
mod speaker;

pub use server::{Server, command_on, unused_port};
pub use speaker::Speaker;

use std::time::Duration;

/// How long anything may take before a test gives up; never a measure of speed.
pub const PATIENCE: Duration = Duration::from_secs(60);

//! Torture: the process is killed in the middle of its work, and what it promised is looked for afterwards.
//!
//! Not here: failing disks (the store's own tests, which can fail one on purpose), orderly behaviour (scenes).

mod archives;
mod crowd;
mod ftp;
mod imap;
mod kill;
mod sink;

/// The binary under test.
const BINARY: &str = env!("CARGO_BIN_EXE_packetboat");

//! What the interop tests share: the server under test, foreign programs, and letters to send with them.
//!
//! Invariants: a program that is not installed is skipped loudly, never silently; each program runs with a home directory of
//! its own and an environment that says nothing about this machine; no program runs longer than `harness::PATIENCE`.
//! Not here: what each client does (`tests/it`).

mod foreign;
mod ftpd;
mod mail;

pub use foreign::{Foreign, Outcome, foreign, skipped, unpacked};
pub use ftpd::{Ftpd, Listening, RunningFtpd};
pub use mail::{Letter, Person, alice, bob};

use harness::Server;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A `dev` server of this test's own.
pub fn dev() -> Server {
    Server::dev(binary())
}

/// The server's binary of the same build: beside the directory of the test's own executable.
///
/// `cargo test --workspace` has built it by now; a test of this package alone may have to.
pub fn binary() -> &'static str {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(find_binary).to_str().expect("a path in UTF-8")
}

fn find_binary() -> PathBuf {
    let own = std::env::current_exe().expect("the test's own path");
    let profile_dir = own.ancestors().nth(2).expect("target/PROFILE/deps/it");
    let binary = profile_dir.join("packetboat");
    if !binary.exists() {
        build(profile_dir);
    }
    assert!(binary.exists(), "no {}; build it with `cargo build -p packetboat`", binary.display());
    binary
}

fn build(profile_dir: &Path) {
    let profile = match profile_dir.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let target_dir = profile_dir.parent().expect("the target directory");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--package", "packetboat", "--profile", profile, "--target-dir"])
        .arg(target_dir)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(status.expect("cargo starts").success(), "the server does not build");
}

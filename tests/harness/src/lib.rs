//! Starts the real binary and speaks to it over real sockets.
//!
//! Every test has a server of its own, on free ports of loopback, with a data directory that goes away with it.
//!
//! Not here: what is tested (scenes, torture, interop).

mod letterbox;
mod peer;
mod replica;
mod server;
mod speaker;
mod template;

pub use letterbox::{Letter, Letterbox};
pub use peer::Peer;
pub use replica::{Missed, Replica};
pub use server::{Server, command_on, unmasked, unused_port};
pub use speaker::Speaker;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up; never a measure of speed.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// How often a foreign program is looked at that does not tell us when it is done.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks until something is so, for what happens in programs that tell nobody. Fails when patience ends.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::park_timeout(LOOK_EVERY);
    }
}

/// Looks until a figure is no larger than it may be, and gives it back: memory that was freed is given back when it pleases whoever keeps it.
/// Fails when patience ends.
pub fn comes_down(what: &str, most: u64, mut figure: impl FnMut() -> u64) -> u64 {
    let (begun, mut last) = (Instant::now(), figure());
    while last > most {
        assert!(begun.elapsed() < PATIENCE, "{what}: {last}, and {most} is the most it may be");
        std::thread::park_timeout(LOOK_EVERY);
        last = figure();
    }
    last
}

/// Writes an executable file. Another process does: what one test has open for writing while another test starts a program could not be
/// run as long as that program has not begun (ETXTBSY).
pub fn write_script(path: &Path, text: &str) {
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 077 && cat > \"$0\" && chmod 700 \"$0\""]).arg(path).stdin(Stdio::piped());
    let mut shell = shell.spawn().expect("a shell");
    shell.stdin.take().expect("its input").write_all(text.as_bytes()).expect("it reads");
    assert!(shell.wait().expect("it ends").success(), "no room for {}", path.display());
}

/// Looks until there is something, and gives it back. Fails when patience ends.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let mut found = None;
    until(what, || {
        found = look();
        found.is_some()
    });
    found.expect("it was found")
}

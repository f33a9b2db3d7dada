//! How far it is, for those who see no bars: a line now and then in a pipe or a log.
//!
//! Invariants: what ends before the first line is due is told by its end alone; the clock is given.
//! Not here: where lines go, and what happens (show).

use super::show::counted;
use crate::output;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So far apart the lines are: somebody who waits sees that it goes on, and a night's log can be read.
const PERIOD: Duration = Duration::from_secs(60);

/// What tells the time.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// When something was said last, and of how many octets.
pub struct Log {
    clock: Clock,
    last: Mutex<(Instant, u64)>,
}

/// How far it is.
pub struct Progress {
    pub files: u64,
    pub expected_files: u64,
    pub octets: u64,
    /// Nothing if not all that is to come is known.
    pub expected_octets: Option<u64>,
}

impl Log {
    pub fn new(clock: Clock) -> Self {
        let now = clock();
        Log { clock, last: Mutex::new((now, 0)) }
    }

    /// The line that is due, if one is. Its rate is that since the one before.
    pub fn line(&self, progress: impl FnOnce() -> Progress) -> Option<String> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = (self.clock)();
        let took = now.duration_since(last.0);
        if took < PERIOD {
            return None;
        }
        let progress = progress();
        let rate = progress.octets.saturating_sub(last.1) as f64 / took.as_secs_f64();
        *last = (now, progress.octets);
        Some(progress.line(rate as u64))
    }
}

impl Progress {
    /// At so many octets in a second.
    fn line(&self, rate: u64) -> String {
        let octets = output::size(self.octets);
        let (of, left) = match self.expected_octets {
            Some(expected) if expected > self.octets => {
                let secs = (expected - self.octets).checked_div(rate);
                let left = secs.map_or(String::new(), |secs| format!(", about {} left", output::span(secs)));
                (format!(" of {}", output::size(expected)), left)
            }
            _ => (String::new(), String::new()),
        };
        let files = format!("{} of {}", self.files, counted(self.expected_files));
        format!("packetboat: {files}, {octets}{of}, {}/s{left}", output::size(rate))
    }
}

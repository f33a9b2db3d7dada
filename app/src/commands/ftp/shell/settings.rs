//! What can be set at the prompt. It holds for what is done from then on.

use crate::cli::ftp::{Access, TIMEOUT_MAX_SECS};
use crate::failure::Failure;

/// Each with a sentence.
pub const NAMES: [(&str, &str); 7] = [
    ("active", "let the server dial for data, if it can: on or off"),
    ("keep-going", "go on after a command that failed, in a pipe or a file: on or off"),
    ("limit-rate", "no faster than so much in a second, such as 500k; or off"),
    ("parallel", "connections at once, 1 to 64"),
    ("quiet", "no bars and no summaries: on or off"),
    ("timeout", "seconds in which something must move, and the server answer; or usual"),
    ("verify", "compare sums after each file, if the server tells them: on or off"),
];

/// What holds.
pub struct Settings {
    pub access: Access,
    pub keep_going: bool,
    pub verify: bool,
}

impl Settings {
    /// All, with their values.
    pub fn lines(&self) -> Vec<String> {
        let on = |value: bool| if value { "on".to_owned() } else { "off".to_owned() };
        let value = |name: &str| match name {
            "active" => on(self.access.active),
            "keep-going" => on(self.keep_going),
            "limit-rate" => self.access.limit_rate.map_or("off".into(), |rate| rate.to_string()),
            "parallel" => self.access.parallel.to_string(),
            "quiet" => on(self.access.quiet),
            "timeout" => self.access.timeout.map_or("usual".into(), |secs| secs.to_string()),
            _ => on(self.verify),
        };
        NAMES.iter().map(|(name, about)| format!("{name:<11} {:<8} {about}", value(name))).collect()
    }

    /// Changes one.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        let wrong = |why: &str| Failure::Failed(format!("{name}: {why}"));
        let switch = || match value {
            "on" | "yes" | "true" => Ok(true),
            "off" | "no" | "false" => Ok(false),
            _ => Err(wrong("on or off")),
        };
        match name {
            "active" => self.access.active = switch()?,
            "keep-going" => self.keep_going = switch()?,
            "limit-rate" if value == "off" => self.access.limit_rate = None,
            "limit-rate" => {
                self.access.limit_rate =
                    Some(crate::cli::ftp::rate(value).map_err(|why| wrong(&format!("{why}, or off")))?)
            }
            "parallel" => {
                let number = value.parse().ok().filter(|number| (1..=64).contains(number));
                self.access.parallel = number.ok_or_else(|| wrong("a number from 1 to 64"))?;
            }
            "quiet" => self.access.quiet = switch()?,
            "timeout" if value == "usual" => self.access.timeout = None,
            "timeout" => {
                let secs = value.parse().ok().filter(|secs| (1..=TIMEOUT_MAX_SECS).contains(secs));
                self.access.timeout = Some(secs.ok_or_else(|| wrong("a number of seconds, or usual"))?);
            }
            "verify" => self.verify = switch()?,
            _ => return Err(Failure::Missing(format!("{name}: no such setting; `set` shows them"))),
        }
        Ok(())
    }
}

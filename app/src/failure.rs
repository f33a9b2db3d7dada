//! How a command fails: a sentence for the person and an exit code for the script.

use crate::config::read::Complaint;
use std::path::PathBuf;

/// The exit code where two things were compared and differ: no failure has it.
pub const DIFFERENT: u8 = 6;

/// The exit code of whoever was stopped by Ctrl-C, as shells have it.
pub const INTERRUPTED: u8 = 130;

/// Why a command did not do what it should.
#[derive(Debug)]
pub enum Failure {
    /// The configuration is wrong.
    Config { file: PathBuf, complaints: Vec<Complaint> },
    /// What was named does not exist.
    Missing(String),
    /// No connection, or no login.
    Unconnected(String),
    /// It was not said as it should be.
    Misused(String),
    /// Anything else, said in a sentence.
    Failed(String),
    /// All has been said already; only the exit code is left to give.
    Told(u8),
}

impl Failure {
    /// Tells the person, on standard error.
    pub fn tell(&self) {
        if let Some(sentence) = self.sentence() {
            eprintln!("{sentence}");
        }
    }

    /// What there is to tell, if it has not been told.
    pub fn sentence(&self) -> Option<String> {
        let reasons = self.reasons();
        match self {
            Failure::Told(_) => None,
            Failure::Config { .. } => Some(reasons.join("\n")),
            _ => Some(format!("packetboat: {}", reasons.concat())),
        }
    }

    /// The reasons, each by itself, for the log.
    pub fn reasons(&self) -> Vec<String> {
        match self {
            Failure::Config { file, complaints } => {
                complaints.iter().map(|complaint| format!("{}: {complaint}", file.display())).collect()
            }
            Failure::Missing(why) | Failure::Unconnected(why) | Failure::Misused(why) | Failure::Failed(why) => {
                vec![why.clone()]
            }
            Failure::Told(_) => Vec::new(),
        }
    }

    /// The same for programs: what was wrong, and what somebody might try.
    pub fn reason(&self) -> Option<(String, Option<String>)> {
        let sentence = self.sentence()?;
        let sentence = sentence.strip_prefix("packetboat: ").unwrap_or(&sentence);
        Some(match sentence.split_once("\n  ") {
            Some((why, hint)) => (why.to_owned(), Some(hint.to_owned())),
            None => (sentence.to_owned(), None),
        })
    }

    /// The same, and what somebody might try.
    #[must_use]
    pub fn with_hint(self, hint: &str) -> Self {
        let hinted = |why: String| format!("{why}\n  {hint}");
        match self {
            Failure::Missing(why) => Failure::Missing(hinted(why)),
            Failure::Unconnected(why) => Failure::Unconnected(hinted(why)),
            Failure::Misused(why) => Failure::Misused(hinted(why)),
            Failure::Failed(why) => Failure::Failed(hinted(why)),
            other @ (Failure::Config { .. } | Failure::Told(_)) => other,
        }
    }

    /// The exit codes of the help text; clap gives 2 by itself.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Failed(_) => 1,
            Failure::Misused(_) => 2,
            Failure::Config { .. } => 3,
            Failure::Missing(_) => 4,
            Failure::Unconnected(_) => 5,
            Failure::Told(code) => *code,
        }
    }
}

/// Each error of ours tells its own reason.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure::Failed(error.to_string())
    }
}

impl From<ftp_client::Error> for Failure {
    fn from(error: ftp_client::Error) -> Self {
        let hint = hint(&error).map_or(String::new(), |hint| format!("\n  {hint}"));
        let text = format!("{error}{hint}");
        match error {
            ftp_client::Error::Url(_) => Failure::Misused(text),
            _ if error.is_fatal() => Failure::Unconnected(text),
            _ if error.is_missing() => Failure::Missing(text),
            _ => Failure::Failed(text),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Failed(error.to_string())
    }
}

/// What somebody might try.
pub fn hint(error: &ftp_client::Error) -> Option<&'static str> {
    use ftp_client::error::{Ending, Error};
    use ftp_client::{End, Unsafe};
    match error {
        Error::Ended(Ending { end: End::Unsafe(Unsafe::NoTls(_) | Unsafe::ClearLogin), .. }) => {
            Some("--insecure-login sends the password in clear; anybody on the way can read it")
        }
        Error::Ended(Ending { end: End::Unsafe(Unsafe::ClearData(_)), .. }) => {
            Some("--clear-data sends files in clear; anybody on the way can read them")
        }
        Error::Unrenamed { .. } => {
            Some("--in-place writes to the file's own name, where the server does not let us rename")
        }
        Error::TooLarge { .. } => Some("what was moved so far stays; --max-entries N bears more"),
        Error::Tls { shown: Some(_), .. } => Some(
            "--ca-file FILE believes an authority of your own, --fingerprint SHA256 this one certificate; \
                 `packetboat ftp URL` at a terminal asks whether you do",
        ),
        Error::Ended(Ending { end: End::LoginRefused(_), .. }) => Some(
            "the URL, --user or ~/.netrc say who logs in, else it is anonymous; --help tells where a password may stand",
        ),
        Error::NoDirectory { .. } => Some(crate::commands::ftp::MAKE_DIRS),
        Error::IsDirectory { .. } => Some("`mirror` fetches directories"),
        Error::NoWay { .. } => Some("a firewall may stand before the ports for data, here and there"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("store.lock: {source}")]
    struct Locked {
        source: std::io::Error,
    }

    #[test]
    fn a_reason_is_told_once() {
        let error = Locked { source: std::io::Error::other("no") };
        let failure = Failure::from(anyhow::Error::from(error));
        assert_eq!(failure.sentence().as_deref(), Some("packetboat: store.lock: no"));
    }
}

//! What was typed before, for the keys that bring it back.
//!
//! Invariants: nobody else can read it; what has a password in it, or begins with a blank, is not written down.

use super::super::places;
use std::fs;
use std::path::PathBuf;

const FILE: &str = "ftp-history";

/// Older lines are forgotten.
const LINES_MAX: usize = 1000;

fn file() -> Option<PathBuf> {
    places::state(FILE)
}

/// What is remembered, the oldest first.
pub fn read() -> Vec<String> {
    let Some(text) = file().and_then(|file| fs::read_to_string(file).ok()) else { return Vec::new() };
    let lines: Vec<String> = text.lines().map(Into::into).collect();
    let old = lines.len().saturating_sub(LINES_MAX);
    if old >= LINES_MAX
        && let Some(file) = file()
    {
        // A file that cannot be shortened is read all the same.
        let _ = places::write(&file, &(lines[old..].join("\n") + "\n"));
    }
    lines[old..].to_vec()
}

/// Whether it may be remembered.
pub fn may_keep(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    let password = lower.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', ' ']).next().unwrap_or("");
        authority.rsplit_once('@').is_some_and(|(login, _)| login.contains(':'))
    });
    !(line.trim().is_empty() || line.starts_with(' ') || line.contains('\n') || password || says_pass(&lower))
}

/// `quote PASS …`, which is refused, `site … password`, which some servers have, and what was meant for another shell.
fn says_pass(lower: &str) -> bool {
    let raw = ["quote ", "site "].iter().any(|word| lower.contains(word));
    raw && (lower.contains("pass") || lower.contains("pswd"))
        || ["password=", "passwd="].iter().any(|word| lower.contains(word))
}

/// Remembers a line.
pub fn add(line: &str) {
    if let Some(file) = file() {
        // Whoever has no room for it does without.
        let _ = places::append(&file, line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_remembered() {
        for line in ["ls", "open ftp://joe@h/a:b@c", "open work", "get pass.txt", "open ftp://h/"] {
            assert!(may_keep(line), "{line}");
        }
        for line in [
            "open ftp://joe:secret@h/",
            "bookmark add x FTPS://a:b@h",
            "quote PASS x",
            "site pswd a b",
            "PACKETBOAT_FTP_PASSWORD=secret packetboat ftp h",
            " ls",
            "",
        ] {
            assert!(!may_keep(line), "{line}");
        }
    }
}

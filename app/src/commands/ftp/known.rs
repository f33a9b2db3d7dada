//! Certificates that nobody vouches for, and that somebody has said yes to.
//!
//! Invariants: a fingerprint is written down only after somebody has said yes to it; one that has changed is never taken for
//! the old one.

use super::places;
use crate::failure::Failure;
use crate::terminal;
use ftp_client::Url;
use std::path::PathBuf;

const FILE: &str = "ftp-known-hosts";

/// The fingerprint of this place, if somebody has said yes to one.
pub fn fingerprint(url: &Url) -> Option<String> {
    let place = place(url);
    // Who cannot read the file knows nobody; then somebody is asked, or refused.
    let lines = places::lines(file()).unwrap_or_default();
    lines.into_iter().find_map(|mut words| (words.len() == 2 && words[0] == place).then(|| words.swap_remove(1)))
}

/// Shows somebody a fingerprint that is not the one that is known, and asks.
pub fn ask(url: &Url, shown: &str, why: &str) -> Result<bool, Failure> {
    let place = place(url);
    match fingerprint(url) {
        None => eprintln!("Nobody whom this machine trusts vouches for the certificate of {place}:\n  {why}"),
        Some(known) => eprintln!(
            "\nWARNING: THE CERTIFICATE OF {place} HAS CHANGED.\n\
             Either the server has got a new one, or somebody stands on the way and reads\n\
             all that you send, your password first. Ask whoever runs the server before\n\
             you say yes.\n\
             The one that you have said yes to:\n{}",
            in_two(&known)
        ),
    }
    eprintln!("The SHA-256 fingerprint of the one that it shows now:\n{}", in_two(shown));
    let said = terminal::ask("Believe it from now on? [yes/no] ")?;
    Ok(said.trim().eq_ignore_ascii_case("yes"))
}

/// Writes down that somebody has said yes.
pub fn remember(url: &Url, shown: &str) -> Result<(), Failure> {
    let Some(file) = file() else { return Err(Failure::Failed("there is no home to remember it in".into())) };
    let place = place(url);
    let mut lines = places::lines(Some(file.clone()))?;
    lines.retain(|words| words.first() != Some(&place));
    lines.push(vec![place, shown.to_owned()]);
    let text: String = lines.iter().map(|words| words.join(" ") + "\n").collect();
    Ok(places::write(&file, &text)?)
}

fn file() -> Option<PathBuf> {
    places::state(FILE)
}

/// How a place is called in files: host and port.
pub fn place(url: &Url) -> String {
    let host = url.host.to_ascii_lowercase();
    if host.contains(':') { format!("[{host}]:{}", url.port) } else { format!("{host}:{}", url.port) }
}

/// A fingerprint in two lines: one would not fit into a narrow window.
fn in_two(fingerprint: &str) -> String {
    let (one, two) = fingerprint.split_at_checked(48).unwrap_or((fingerprint, ""));
    format!("  {one}\n  {two}")
}

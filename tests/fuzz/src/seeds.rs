//! What each target begins with: small seeds made by hand, what was said in the transcripts, and the corpora of others.
//!
//! Not here: what is made of them (`mutate`).

use std::fs;
use std::path::{Path, PathBuf};

/// One stored input.
#[derive(Debug, Clone)]
pub struct Seed {
    /// Where it is from.
    pub name: String,
    /// The input.
    pub octets: Vec<u8>,
}

/// The root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace's root").to_owned()
}

/// The corpora that come beside the repository, by `PACKETBOAT_CORPUS` or at their usual place; `None` if they are absent.
pub fn corpus() -> Option<PathBuf> {
    let named = std::env::var_os("PACKETBOAT_CORPUS").map(PathBuf::from);
    Some(named.unwrap_or_else(|| root().join("../shared/corpus"))).filter(|folder| folder.is_dir())
}

/// All seeds of a target, in an order that does not change.
pub fn of(target: &str) -> Vec<Seed> {
    let mut seeds = folder(&root().join("fuzz/corpus-seeds").join(target));
    match target {
        "smtp_server" => {
            seeds.extend(spoken("smtp", "server", "C"));
            seeds.extend(foreign("fuzz-seeds-smtp"));
        }
        "smtp_command" => seeds.extend(lines(spoken("smtp", "server", "C"))),
        "smtp_client" => seeds.extend(spoken("smtp", "client", "S")),
        "smtp_reply" => seeds.extend(spoken("smtp", "server", "S")),
        "pop3_server" => seeds.extend(spoken("pop3", "server", "C")),
        "pop3_command" => seeds.extend(lines(spoken("pop3", "server", "C"))),
        "pop3_client" => seeds.extend(spoken("pop3", "client", "S")),
        "pop3_reply" => seeds.extend(lines(spoken("pop3", "server", "S"))),
        "ftp_server" | "ftp_busy_server" | "ftp_telnet" => {
            seeds.extend(spoken("ftp", "server", "C"));
            seeds.extend(foreign("fuzz-seeds-ftp"));
        }
        "ftp_client" | "ftp_busy_client" => seeds.extend(spoken("ftp", "client", "S")),
        "ftp_command" => seeds.extend(lines(spoken("ftp", "server", "C"))),
        "imap_server" => seeds.extend(spoken("imap", "server", "C")),
        "imap_command" => seeds.extend(lines(spoken("imap", "server", "C"))),
        "ftp_reply" => seeds.extend(spoken("ftp", "server", "S")),
        "message_header" | "message_mime" => {
            seeds.extend(foreign("mime-python"));
            seeds.extend(foreign("mime-mimekit/messages"));
        }
        _ => {}
    }
    seeds
}

/// Every file below a folder; none if there is no such folder.
fn folder(path: &Path) -> Vec<Seed> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let mut seeds = Vec::new();
    for path in paths {
        if path.is_dir() {
            seeds.extend(folder(&path));
        } else if let Ok(octets) = fs::read(&path) {
            seeds.push(Seed { name: path.display().to_string(), octets });
        }
    }
    seeds
}

/// A folder of the corpora; whether they are there is said once, by the tests.
fn foreign(name: &str) -> Vec<Seed> {
    corpus().map(|corpus| folder(&corpus.join(name))).unwrap_or_default()
}

/// What one side says in each transcript of a dialogue.
fn spoken(protocol: &str, side: &str, mark: &str) -> Vec<Seed> {
    let transcripts = folder(&root().join("protocol").join(protocol).join("transcripts").join(side));
    let of_one = |seed: Seed| Seed { name: seed.name, octets: said(&String::from_utf8_lossy(&seed.octets), mark) };
    transcripts.into_iter().map(of_one).filter(|seed| !seed.octets.is_empty()).collect()
}

/// The lines behind a mark: `C: ` is a line with CRLF, `C\ ` octets with escapes, of which only the common ones are meant here.
fn said(transcript: &str, mark: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    for line in transcript.lines() {
        let Some(rest) = line.strip_prefix(mark) else { continue };
        if let Some(text) = rest.strip_prefix(':') {
            octets.extend_from_slice(text.strip_prefix(' ').unwrap_or(text).as_bytes());
            octets.extend_from_slice(b"\r\n");
        } else if let Some(text) = rest.strip_prefix('\\') {
            let text = text.strip_prefix(' ').unwrap_or(text);
            octets.extend_from_slice(text.replace("\\r", "\r").replace("\\n", "\n").replace("\\0", "\0").as_bytes());
        }
    }
    octets
}

/// Each line for itself, without its end.
fn lines(seeds: Vec<Seed>) -> Vec<Seed> {
    let mut lines: Vec<Seed> = seeds
        .iter()
        .flat_map(|seed| {
            let lines = seed.octets.split(|octet| *octet == b'\n');
            lines.map(|line| Seed { name: seed.name.clone(), octets: line.trim_ascii_end().to_vec() })
        })
        .filter(|seed| !seed.octets.is_empty())
        .collect();
    lines.sort_by(|one, other| one.octets.cmp(&other.octets));
    lines.dedup_by(|one, other| one.octets == other.octets);
    lines
}

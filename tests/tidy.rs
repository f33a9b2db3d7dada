//! The rules of the house as tests: who may know whom, what every file begins with, and that references hold.
//!
//! `PACKETBOAT_UPDATE=1 cargo test --test tidy` writes `docs/rfc.md` anew.

#[path = "tidy/dependencies.rs"]
mod dependencies;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace")
}

/// All files with this ending below a folder of the workspace, in order.
fn files(below: &str, ending: &str) -> Vec<PathBuf> {
    fn walk(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for path in entries.map(|entry| entry.expect("a readable folder").path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                walk(&path, ending, found);
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(below), ending, &mut found);
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Lines of code: no comments, and nothing from the first test module on.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    lines.take_while(|(_, line)| line.trim() != "#[cfg(test)]").filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn is_test(path: &Path) -> bool {
    let shown = shown(path);
    shown.contains("tests")
        || shown.contains("corpus")
        || shown.starts_with("fuzz")
        || shown.contains("/examples/")
        || shown.contains("testing")
}

/// Whether the line has this word, not as the beginning of a longer one.
fn names(line: &str, word: &str) -> bool {
    let ends = |at: usize| !line[at + word.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| ends(at))
}

#[test]
fn protocol_touches_no_world() {
    const FORBIDDEN: [&str; 9] = [
        "std::net",
        "std::fs",
        "std::thread",
        "std::process",
        "Instant::now",
        "SystemTime",
        "async fn",
        ".await",
        "tokio",
    ];
    let mut sins = Vec::new();
    for path in files("protocol", ".rs") {
        // The runner of transcripts reads them from disk, and is no protocol.
        if shown(&path).starts_with("protocol/transcript") || is_test(&path) {
            continue;
        }
        let text = read(&path);
        for (line, words) in code(&text) {
            sins.extend(
                FORBIDDEN
                    .iter()
                    .filter(|word| names(words, word))
                    .map(|word| format!("{}:{line} {word}", shown(&path))),
            );
        }
    }
    assert!(sins.is_empty(), "protocol knows no I/O:\n{}", sins.join("\n"));
}

/// Which of our rooms each room may depend on, outside of its tests.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("protocol/line", &[]),
    ("protocol/transcript", &["line"]),
    ("protocol/sasl", &["line"]),
    ("protocol/message", &[]),
    ("protocol/smtp", &["line", "sasl", "message"]),
    ("protocol/pop3", &["line", "sasl", "message"]),
    ("protocol/ftp", &["line"]),
    ("protocol/imap", &["line", "sasl", "message"]),
    ("house/directory", &["message"]),
    ("house/store", &["message"]),
    ("house/files", &[]),
    ("house/policy", &["directory"]),
    ("house/archive", &["message"]),
    ("net", &["line"]),
    (
        "server",
        &[
            "line",
            "sasl",
            "message",
            "smtp",
            "pop3",
            "ftp",
            "imap",
            "directory",
            "store",
            "files",
            "policy",
            "archive",
            "net",
        ],
    ),
    ("client/ftp", &["line", "ftp", "net"]),
    ("app", &["line", "net", "server", "ftp-client", "store", "directory", "files", "policy"]),
];

/// What a room's package is called: a client has the name of its protocol, too.
fn package(room: &str) -> String {
    match room.split_once('/') {
        Some(("client", name)) => format!("{name}-client"),
        Some((_, name)) => name.into(),
        None => room.into(),
    }
}

#[test]
fn dependencies_go_down_only() {
    let ours: BTreeSet<String> = MAY_KNOW.iter().map(|(room, _)| package(room)).collect();
    for (room, known) in MAY_KNOW {
        let manifest = root().join(room).join("Cargo.toml");
        let Ok(text) = fs::read_to_string(&manifest) else { continue };
        let dependencies =
            text.split("[dependencies]").nth(1).unwrap_or_default().split("\n[").next().unwrap_or_default();
        for line in dependencies.lines() {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            assert!(!ours.contains(name) || known.contains(&name), "{room} must not know {name}");
        }
    }
}

#[test]
fn every_file_says_what_it_is() {
    let bare: Vec<_> = files("", ".rs")
        .into_iter()
        .filter(|path| !read(path).lines().take(3).any(|line| line.starts_with("//!")))
        .map(|path| shown(&path))
        .collect();
    assert!(bare.is_empty(), "files without a //! header:\n{}", bare.join("\n"));
}

#[test]
fn nothing_is_left_undone_and_no_test_is_ignored() {
    let words = [
        ["todo", "!("].concat(),
        ["unimplemented", "!("].concat(),
        ["#[ign", "ore"].concat(),
        ["thread::", "sleep"].concat(),
    ];
    let mut found = Vec::new();
    for path in files("", ".rs").into_iter().filter(|path| !shown(path).contains("/examples/")) {
        let text = read(&path);
        for (at, line) in text.lines().enumerate() {
            found.extend(
                words
                    .iter()
                    .filter(|word| line.contains(*word))
                    .map(|word| format!("{}:{} {word}", shown(&path), at + 1)),
            );
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// `RFC 5321 §4.5.2` as (5321, "4.5.2"), all of a text.
fn references(text: &str) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("RFC ") {
        let rest = &text[at + 4..];
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let (Ok(number), Some(rest)) = (digits.parse(), rest[digits.len()..].strip_prefix(" §")) else { continue };
        let section: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '.').collect();
        found.push((number, section.trim_end_matches('.').to_string()));
    }
    found
}

#[test]
fn rfc_sections_exist() {
    let library = std::env::var_os("PACKETBOAT_RFCS").map_or_else(|| root().join("../shared/rfc"), PathBuf::from);
    if !library.is_dir() {
        eprintln!("SKIPPED: no RFC texts at {}; set PACKETBOAT_RFCS", library.display());
        return;
    }
    let mut texts: BTreeMap<u32, Option<String>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for path in files("", ".rs").into_iter().chain(files("protocol", ".txt")) {
        for (number, section) in references(&read(&path)) {
            let file = library.join(format!("rfc{number}.txt"));
            let text = texts
                .entry(number)
                .or_insert_with(|| fs::read(&file).ok().map(|t| String::from_utf8_lossy(&t).into_owned()));
            if text.as_deref().is_some_and(|text| !has_section(text, &section)) {
                wrong.push(format!("{}: RFC {number} has no §{section}", shown(&path)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether a line of the text begins with the section's number, as headings and tables of contents do.
fn has_section(text: &str, section: &str) -> bool {
    let heading = |line: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix("Appendix ").or_else(|| line.strip_prefix("APPENDIX ")).unwrap_or(line);
        line.strip_prefix(section).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
    };
    text.lines().any(heading)
}

/// The rule that a transcript shows: its first comment, up to the first line that is none.
fn rule(text: &str) -> String {
    let lines = text.lines().take_while(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    lines.collect::<Vec<_>>().join(" ")
}

fn rfc_page() -> String {
    let mut rules: BTreeMap<u32, BTreeMap<Vec<u32>, BTreeSet<String>>> = BTreeMap::new();
    let mut transcripts = 0;
    for path in files("protocol", ".txt") {
        let rule = rule(&read(&path));
        transcripts += 1;
        for (number, section) in references(&rule) {
            let key = section.split('.').map(|part| part.parse().unwrap_or(u32::MAX)).collect();
            let row = format!(
                "| §{section} | [{}](../{}) | {} |",
                path.file_stem().unwrap_or_default().to_string_lossy(),
                shown(&path),
                rule.replace('|', "\\|")
            );
            rules.entry(number).or_default().entry(key).or_default().insert(row);
        }
    }
    let mut page = format!(
        "# Which transcript shows which rule\n\nMade from the first lines of the {transcripts} transcripts by `PACKETBOAT_UPDATE=1 cargo test --test tidy`.\n\
         What IMAP has beyond this, and is not offered, stands at [the end](#what-is-not-offered-of-imap).\n"
    );
    for (number, sections) in rules {
        let _ = write!(page, "\n## RFC {number}\n\n| section | transcript | rule |\n|---|---|---|\n");
        sections.values().flatten().for_each(|row| page += &(row.clone() + "\n"));
    }
    let _ = write!(page, "\n## What is not offered of IMAP\n\n{}\n", not_offered());
    page
}

/// What the page about IMAP says is not there, which no transcript can say.
fn not_offered() -> String {
    let page = read(&root().join("docs/imap.md"));
    let (_, section) = page.split_once("\n## What is not\n").expect("docs/imap.md says what is not offered");
    section.split("\n## ").next().unwrap_or(section).trim().to_owned()
}

#[test]
fn the_page_of_rfcs_is_true() {
    let file = root().join("docs/rfc.md");
    let page = rfc_page();
    if std::env::var_os("PACKETBOAT_UPDATE").is_some() {
        fs::write(&file, &page).expect("docs/rfc.md is written");
    }
    assert!(
        fs::read_to_string(&file).is_ok_and(|text| text == page),
        "docs/rfc.md is old: PACKETBOAT_UPDATE=1 cargo test --test tidy"
    );
}

#[test]
fn every_transcript_names_its_rule() {
    let nameless: Vec<_> = files("protocol", ".txt")
        .into_iter()
        .filter(|path| !rule(&read(path)).contains("RFC ") && !rule(&read(path)).contains("Our rule"))
        .map(|path| shown(&path))
        .collect();
    assert!(
        nameless.is_empty(),
        "transcripts without an RFC section (or `Our rule: …`) in their first lines:\n{}",
        nameless.join("\n")
    );
}

#[test]
fn links_in_the_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for path in files("", ".md") {
        let text = read(&path);
        for (at, _) in text.match_indices("](") {
            let target: String = text[at + 2..].chars().take_while(|c| *c != ')' && *c != '#').collect();
            let folder = path.parent().expect("a folder");
            if !target.is_empty()
                && !target.contains("://")
                && !target.starts_with("mailto:")
                && !folder.join(&target).exists()
            {
                broken.push(format!("{}: {target}", shown(&path)));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_table_of_ftp_names_what_exists() {
    let page = read(&root().join("docs/ftp-edge-cases.md"));
    let transcripts = root().join("protocol/ftp/transcripts/server");
    let code: String = files("", ".rs").iter().map(|path| read(path)).collect();
    let exists = |name: &str| match name.rsplit("::").next().unwrap_or(name) {
        // A whole module.
        "tests" => true,
        last => {
            transcripts.join(format!("{name}.txt")).exists()
                || code.contains(&format!("fn {last}("))
                || code.contains(&format!("mod {last};"))
        }
    };
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let named = rows.filter_map(|row| row.trim_end_matches(['|', ' ']).rsplit('|').next());
    let names = named.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let missing: Vec<_> = names.filter(|name| !exists(name)).collect();
    assert!(missing.is_empty(), "the page names what is not there: {missing:?}");
}

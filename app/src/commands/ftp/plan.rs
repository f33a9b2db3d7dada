//! What `mirror` and `sync` are about to do: shown, kept in a file, and read from there.
//!
//! A file has one object a line, as `-n --json` prints them; before them stands one that says between which trees it was made.
//!
//! Invariants: what is written is what is read; no password is in it; a path of a file that leads out of its tree is refused.
//! Not here: making a plan and doing what it says (the client library).

use super::places;
use super::show::counted;
use crate::cli::ftp::Access;
use crate::failure::Failure;
use crate::output;
use ftp_client::mirror::{Copy, Difference, Surplus};
use ftp_client::{Action, Mirror, Moment, Plan, Report, Url};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

/// What the first line has, so that no other file is taken for a plan.
const MARK: &str = "packetboat ftp mirror";

/// A plan, and its trees.
#[derive(Debug)]
pub struct Saved {
    pub source: String,
    pub target: String,
    pub plan: Plan,
}

/// Prints it.
pub fn show(plan: &Plan, access: &Access) -> Result<(), Failure> {
    if access.json {
        return plan.actions.iter().try_for_each(|(path, action)| output::json(&value(path, action)));
    }
    lines(plan).try_for_each(|line| output::say(&line))?;
    let (files, octets) = plan.to_move();
    if !access.quiet {
        eprintln!("{} to move, {}; {} as they should be", counted(files), output::size(octets), plan.same);
    }
    Ok(())
}

/// What to say of what was not looked into, if there is such.
pub fn passed_over(plan: &Plan, mirror: &Mirror) -> Vec<String> {
    let so = if mirror.surplus == Surplus::Kept { "" } else { ", so nothing will be removed" };
    let counted = output::counted;
    let names = counted(plan.passed_over, "name or directory was passed over", "names or directories were passed over");
    let links = counted(
        plan.links_out,
        "link leads out of the tree and was passed over",
        "links lead out of the tree and were passed over",
    );
    let names = (plan.passed_over > 0).then(|| names + so);
    names.into_iter().chain((plan.links_out > 0).then_some(links)).collect()
}

/// What was passed over is no success: who looks at the exit code alone would take the trees for known.
pub fn completeness(plan: &Plan) -> Result<(), Failure> {
    if plan.passed_over == 0 { Ok(()) } else { Err(Failure::Told(1)) }
}

/// The same, and what cannot be done is none either: what would come of it.
pub fn outcome(plan: &Plan) -> Result<(), Failure> {
    if summed_up(plan).failed == 0 { completeness(plan) } else { Err(Failure::Told(1)) }
}

/// What there would be to report.
pub fn summed_up(plan: &Plan) -> Report {
    let (moved, octets) = plan.to_move();
    let count = |kind: fn(&Action) -> bool| plan.actions.iter().filter(|(_, action)| kind(action)).count() as u64;
    Report {
        moved,
        octets,
        links: count(|action| matches!(action, Action::Link { .. })),
        modes: count(|action| matches!(action, Action::Mode { .. })),
        removed: count(|action| matches!(action, Action::Remove | Action::RemoveDirectory)),
        failed: count(|action| *action == Action::Conflict),
    }
}

/// For people.
pub fn lines(plan: &Plan) -> impl Iterator<Item = String> {
    plan.actions.iter().map(|(path, action)| {
        let value = value(path, action);
        let why = match action {
            Action::Mode { mode } => format!("  ({mode:03o})"),
            _ => value["why"].as_str().map_or(String::new(), |why| format!("  ({why})")),
        };
        let word = value["action"].as_str().unwrap_or_default();
        format!("{word:<16} {}{why}", output::printable(&String::from_utf8_lossy(path)))
    })
}

/// Keeps it.
pub fn write(file: &Path, source: &str, target: &str, plan: &Plan) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::Failed(format!("{}: {error}", file.display()));
    let mut writing = BufWriter::new(places::make(file).map_err(failed)?);
    // A URL is written without its password; a directory as one that is found from anywhere.
    let shown = |tree: &str| match tree.parse::<Url>() {
        Ok(url) => url.to_string(),
        Err(_) => std::path::absolute(tree).map_or(tree.into(), |path| path.display().to_string()),
    };
    writeln!(writing, "{}", json!({"plan": MARK, "source": shown(source), "target": shown(target)})).map_err(failed)?;
    for (path, action) in &plan.actions {
        writeln!(writing, "{}", value(path, action)).map_err(failed)?;
    }
    writing.into_inner().map_err(|error| failed(error.into_error()))?.sync_all().map_err(failed)
}

/// Reads one that was kept.
pub fn read(file: &Path) -> Result<Saved, Failure> {
    let failed = |why: &dyn std::fmt::Display| Failure::Failed(format!("{}: {why}", file.display()));
    let mut lines = BufReader::new(File::open(file).map_err(|error| failed(&error))?).lines();
    let head = lines.next().transpose().map_err(|error| failed(&error))?.unwrap_or_default();
    let head: Value = serde_json::from_str(&head).map_err(|_| failed(&"that is no plan"))?;
    let (Some(MARK), Some(source), Some(target)) =
        (head["plan"].as_str(), head["source"].as_str(), head["target"].as_str())
    else {
        return Err(failed(&"that is no plan"));
    };
    let mut plan = Plan::default();
    for (number, line) in lines.enumerate() {
        let line = line.map_err(|error| failed(&error))?;
        let action = serde_json::from_str(&line).ok().and_then(|value| action(&value));
        plan.actions.push(action.ok_or_else(|| failed(&format!("line {} cannot be read", number + 2)))?);
    }
    Ok(Saved { source: source.into(), target: target.into(), plan })
}

fn value(path: &[u8], action: &Action) -> Value {
    let mut value = match action {
        Action::MakeDirectory { mode } => json!({"action": "make", "mode": mode}),
        Action::Mode { mode } => json!({"action": "mode", "mode": mode}),
        Action::Remove => json!({"action": "remove"}),
        Action::RemoveDirectory => json!({"action": "remove-directory"}),
        Action::Conflict => json!({"action": "conflict"}),
        Action::Copy(copy) => json!({
            "action": "copy",
            "octets": copy.octets,
            "modified_secs": copy.time.map(Moment::unix_secs),
            "mode": copy.mode,
            "why": word(copy.why),
        }),
        Action::Link { aim, instead } => {
            let mut value = json!({"action": "link", "instead": instead});
            put_path(&mut value, "aim", aim);
            value
        }
    };
    put_path(&mut value, "path", path);
    value
}

/// As text, and as digits where it is none.
pub(super) fn put_path(value: &mut Value, name: &str, path: &[u8]) {
    value[name] = String::from_utf8_lossy(path).into();
    if std::str::from_utf8(path).is_err() {
        value[format!("{name}_octets")] = path.iter().map(|octet| format!("{octet:02x}")).collect::<String>().into();
    }
}

fn path_in(value: &Value, name: &str) -> Option<Vec<u8>> {
    match value[format!("{name}_octets")].as_str() {
        Some(digits) => octets(digits),
        None => Some(value[name].as_str()?.as_bytes().to_vec()),
    }
}

/// Somebody may have changed the file.
fn leads_out(path: &[u8]) -> bool {
    path.split(|octet| *octet == b'/').any(|name| matches!(name, b"" | b"." | b".."))
        || path.iter().any(|octet| matches!(octet, 0 | b'\r' | b'\n'))
}

fn action(value: &Value) -> Option<(Vec<u8>, Action)> {
    let path = path_in(value, "path").filter(|path| !leads_out(path))?;
    let action = match value["action"].as_str()? {
        "make" => Action::MakeDirectory { mode: mode(value) },
        "mode" => Action::Mode { mode: mode(value).filter(|mode| *mode <= 0o777)? },
        "remove" => Action::Remove,
        "remove-directory" => Action::RemoveDirectory,
        "conflict" => Action::Conflict,
        "copy" => Action::Copy(Copy {
            octets: value["octets"].as_u64(),
            time: value["modified_secs"].as_i64().map(Moment::from_unix_secs),
            mode: mode(value),
            why: DIFFERENCES.iter().find(|why| value["why"] == word(**why)).copied()?,
        }),
        "link" => Action::Link {
            // A link may lead to the root itself.
            aim: path_in(value, "aim").filter(|aim| aim.is_empty() || !leads_out(aim))?,
            instead: value["instead"].as_bool()?,
        },
        _ => return None,
    };
    Some((path, action))
}

fn mode(value: &Value) -> Option<u32> {
    value["mode"].as_u64().and_then(|mode| u32::try_from(mode).ok())
}

const DIFFERENCES: [Difference; 5] =
    [Difference::Missing, Difference::Size, Difference::Older, Difference::Sum, Difference::Aim];

fn word(why: Difference) -> &'static str {
    match why {
        Difference::Missing => "missing",
        Difference::Size => "size",
        Difference::Older => "older",
        Difference::Sum => "checksum",
        Difference::Aim => "link",
    }
}

fn octets(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let copy = |why| {
            let time = Some(Moment::from_unix_secs(1_700_000_000));
            Action::Copy(Copy { octets: Some(5), time, mode: Some(0o640), why })
        };
        let mut actions: Vec<(Vec<u8>, Action)> =
            DIFFERENCES.iter().enumerate().map(|(at, why)| (format!("a/{at}").into_bytes(), copy(*why))).collect();
        actions.extend([
            (b"odd \xff".to_vec(), Action::Remove),
            (b"d".to_vec(), Action::RemoveDirectory),
            (b"e".to_vec(), Action::MakeDirectory { mode: None }),
            (b"f".to_vec(), Action::MakeDirectory { mode: Some(0o750) }),
            (b"f".to_vec(), Action::Mode { mode: 0o640 }),
            (b"f".to_vec(), Action::Conflict),
            (b"l".to_vec(), Action::Link { aim: b"odd \xfe".to_vec(), instead: true }),
            (b"m".to_vec(), Action::Link { aim: Vec::new(), instead: false }),
        ]);
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("plan");
        let plan = || Plan { actions: actions.clone(), ..Plan::default() };
        write(&file, "ftp://bob:secret@h/menus", "/menus", &plan()).expect("written");
        let saved = read(&file).expect("read");
        assert_eq!((saved.source.as_str(), saved.target.as_str()), ("ftp://bob@h/menus", "/menus"));
        assert_eq!(saved.plan, plan());
    }

    #[test]
    fn what_leads_out_of_the_tree_is_no_plan() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("plan");
        let head = json!({"plan": MARK, "source": "ftp://h/", "target": "/menus"});
        for path in ["../x", "/etc/passwd", "a/../../x", "a//b", "a\nb", ""] {
            let line = json!({"action": "remove", "path": path});
            std::fs::write(&file, format!("{head}\n{line}\n")).expect("written");
            assert!(read(&file).is_err(), "{path:?}");
        }
        for aim in ["../x", "/etc/passwd", "a/../../x"] {
            let line = json!({"action": "link", "path": "a", "aim": aim, "instead": false});
            std::fs::write(&file, format!("{head}\n{line}\n")).expect("written");
            assert!(read(&file).is_err(), "{aim:?}");
        }
        std::fs::write(&file, "{}\n").expect("written");
        assert!(read(&file).is_err());
    }
}

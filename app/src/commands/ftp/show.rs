//! What is seen of transfers: bars on a terminal, lines for programs, a sentence at the end.
//!
//! Invariants: bars go to standard error, and only if that is a terminal; nothing of a name moves the cursor.

use crate::cli::ftp::Access;
use crate::failure::Failure;
use crate::output;
use ftp_client::directory::About;
use ftp_client::error::printable;
use ftp_client::{Event, Found, Kind, Moment, Watcher};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{IsTerminal, stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Below this there is no room for a bar.
const NARROW_COLUMNS: u16 = 60;

/// What is shown.
pub struct Show {
    json: bool,
    quiet: bool,
    bars: Arc<Bars>,
    begun: Instant,
    sum: Mutex<ftp_client::mirror::Report>,
    /// Whether anything failed for another reason than that it is not there.
    other_failures: Arc<AtomicBool>,
}

/// One bar for all, and one for each file under way.
struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    files: Mutex<HashMap<String, ProgressBar>>,
    shown: bool,
}

impl Show {
    pub fn new(access: &Access) -> Self {
        let shown = stderr().is_terminal() && !access.quiet && !access.json && !access.show_dialogue;
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let all = MultiProgress::with_draw_target(target);
        let total = all.add(ProgressBar::new(0).with_style(style(true)));
        let bars = Arc::new(Bars { all, total, files: Mutex::default(), shown });
        Show {
            json: access.json,
            quiet: access.quiet,
            bars,
            begun: Instant::now(),
            sum: Mutex::default(),
            other_failures: Arc::default(),
        }
    }

    /// So much is about to move.
    pub fn expect(&self, files: u64, octets: u64) {
        self.bars.total.inc_length(octets);
        self.bars.total.set_message(format!("{files} files"));
    }

    /// What the library tells of.
    pub fn watcher(&self) -> Watcher {
        let (bars, json, other_failures) = (self.bars.clone(), self.json, self.other_failures.clone());
        Arc::new(move |event| {
            if let Event::Failed { error, .. } = event
                && !error.is_missing()
            {
                other_failures.store(true, Ordering::Relaxed);
            }
            if json {
                tell_json(event);
            } else {
                bars.tell(event);
            }
        })
    }

    /// So much was done.
    pub fn add(&self, report: &ftp_client::mirror::Report) {
        let mut sum = self.sum.lock().unwrap_or_else(PoisonError::into_inner);
        sum.moved += report.moved;
        sum.octets += report.octets;
        sum.removed += report.removed;
        sum.failed += report.failed;
    }

    /// Sums up.
    pub fn end(self) -> Result<(), Failure> {
        self.bars.total.finish_and_clear();
        let sum = self.sum.into_inner().unwrap_or_else(PoisonError::into_inner);
        let took = self.begun.elapsed();
        if self.json {
            output::json(&json!({
                "event": "summary", "files": sum.moved, "octets": sum.octets, "removed": sum.removed,
                "failed": sum.failed, "secs": took.as_secs_f64(),
            }))?;
        } else if !self.quiet {
            eprintln!("{}", summary(&sum, took));
        }
        match (sum.failed, sum.moved, self.other_failures.load(Ordering::Relaxed)) {
            (0, ..) => Ok(()),
            (_, 0, false) => Err(Failure::SilentMissing),
            _ => Err(Failure::Silent),
        }
    }
}

fn summary(sum: &ftp_client::mirror::Report, took: Duration) -> String {
    let rate = sum.octets as f64 / took.as_secs_f64().max(0.001);
    let files = if sum.moved == 1 { "1 file".into() } else { format!("{} files", sum.moved) };
    let mut text = format!("{files}, {} in {:.1} s", output::size(sum.octets), took.as_secs_f64());
    if sum.octets > 0 {
        text += &format!(" ({}/s)", output::size(rate as u64));
    }
    for (count, word) in [(sum.removed, "removed"), (sum.failed, "failed")] {
        if count > 0 {
            text += &format!("; {count} {word}");
        }
    }
    text
}

impl Bars {
    fn tell(&self, event: &Event<'_>) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        match *event {
            Event::Begun { name, octets } => {
                let bar =
                    self.all.insert_before(&self.total, ProgressBar::new(octets.unwrap_or(0)).with_style(style(false)));
                bar.set_message(name.to_owned());
                if let Some(before) = files.insert(name.to_owned(), bar) {
                    before.finish_and_clear();
                }
            }
            Event::Moved { name, octets } => {
                self.total.inc(octets);
                if let Some(bar) = files.get(name) {
                    bar.inc(octets);
                }
            }
            Event::Done { name, .. } => drop(files.remove(name).inspect(ProgressBar::finish_and_clear)),
            Event::Again { name, error } => {
                self.line(&format!("packetboat: {}: {error}; trying again", printable(name)))
            }
            Event::Failed { name, error } => {
                drop(files.remove(name).inspect(ProgressBar::finish_and_clear));
                self.line(&format!("packetboat: {}: {error}", printable(name)));
            }
        }
    }

    fn line(&self, text: &str) {
        // Above the bars, where they are; they would write over it.
        if self.shown { self.all.suspend(|| eprintln!("{text}")) } else { eprintln!("{text}") }
    }
}

fn style(total: bool) -> ProgressStyle {
    let narrow = rustix::termios::tcgetwinsize(stderr()).is_ok_and(|size| size.ws_col < NARROW_COLUMNS);
    let template = match (narrow, total) {
        (true, _) => "{wide_msg} {percent:>3}%",
        (false, true) => "{wide_msg} {bytes:>10} / {total_bytes:>10} {binary_bytes_per_sec:>12} {eta:>4} [{bar:16}]",
        (false, false) => "{wide_msg} {bytes:>10} {binary_bytes_per_sec:>12} {eta:>4} [{bar:16}]",
    };
    ProgressStyle::with_template(template)
        .map_or_else(|_| ProgressStyle::default_bar(), |style| style.progress_chars("=> "))
}

fn tell_json(event: &Event<'_>) {
    let value = match *event {
        Event::Begun { name, octets } => json!({"event": "begun", "file": name, "octets": octets}),
        // A line for each stretch would be more than the file.
        Event::Moved { .. } => return,
        Event::Done { name, octets } => json!({"event": "done", "file": name, "octets": octets}),
        Event::Again { name, error } => json!({"event": "again", "file": name, "why": error.to_string()}),
        Event::Failed { name, error } => json!({"event": "failed", "file": name, "why": error.to_string()}),
    };
    // Whoever reads no more does not want to know.
    let _ = output::json(&value);
}

/// An entry of a directory, for people.
pub fn entry_line(found: &Found, long: bool) -> String {
    let name = printable(&String::from_utf8_lossy(found.name.as_bytes()));
    if !long {
        return name + if found.kind == Kind::Directory { "/" } else { "" };
    }
    let letter = match found.kind {
        Kind::File => '-',
        Kind::Directory => 'd',
        Kind::Link(_) => 'l',
        Kind::Other => 's',
    };
    let mode = found.mode.map_or("???".into(), |mode| format!("{:03o}", mode & 0o777));
    let size = found.size.map_or("-".into(), |size| size.to_string());
    let time = found.modified.map_or("-".into(), |stamp| time(stamp.moment));
    let target = match &found.kind {
        Kind::Link(Some(target)) => format!(" -> {}", printable(&String::from_utf8_lossy(target))),
        _ => String::new(),
    };
    format!("{letter} {mode} {size:>14} {time:<20} {name}{target}")
}

/// The same for programs.
pub fn entry_json(found: &Found) -> Value {
    let name = found.name.as_bytes();
    let mut value =
        about_json(&About { kind: found.kind.clone(), size: found.size, modified: found.modified, mode: found.mode });
    value["name"] = String::from_utf8_lossy(name).into();
    if std::str::from_utf8(name).is_err() {
        value["name_octets"] = name.iter().map(|octet| format!("{octet:02x}")).collect::<String>().into();
    }
    value["owner"] = found.owner.clone().into();
    value["group"] = found.group.clone().into();
    value
}

fn about_json(about: &About) -> Value {
    let (kind, target) = match &about.kind {
        Kind::File => ("file", None),
        Kind::Directory => ("directory", None),
        Kind::Link(target) => ("link", target.as_ref()),
        Kind::Other => ("other", None),
    };
    json!({
        "type": kind,
        "target": target.map(|target| String::from_utf8_lossy(target)),
        "size": about.size,
        "modified": about.modified.map(|stamp| time(stamp.moment)),
        "modified_is_utc": about.modified.map(|stamp| stamp.utc),
        "mode": about.mode.map(|mode| format!("{mode:04o}")),
    })
}

/// What is known of one thing.
pub fn about(url: &str, about: &About, as_json: bool) -> Result<(), Failure> {
    let mut value = about_json(about);
    if as_json {
        value["url"] = url.into();
        return output::json(&value);
    }
    output::say(url)?;
    for key in ["type", "target", "size", "modified", "mode"] {
        match &value[key] {
            Value::Null => {}
            Value::String(text) => output::say(&format!("  {key:<9} {}", printable(text)))?,
            other => output::say(&format!("  {key:<9} {other}"))?,
        }
    }
    Ok(())
}

/// RFC 3339, without a zone where none is known.
fn time(moment: Moment) -> String {
    let civil = moment.civil();
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        civil.year, civil.month, civil.day, civil.hour, civil.minute, civil.second
    )
}

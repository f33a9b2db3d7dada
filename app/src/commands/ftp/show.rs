//! What is seen of transfers: bars on a terminal, a line now and then elsewhere, lines for programs, a sentence at the end.
//!
//! Invariants: bars go to standard error, and only if that is a terminal; nothing of a name moves the cursor.

use super::log::{Clock, Log, Progress};
use super::plan::{self, put_path};
use super::rehearsal::Intent;
use crate::cli::ftp::Access;
use crate::failure::Failure;
use crate::output;
use ftp_client::directory::{About, shown};
use ftp_client::error::printable;
use ftp_client::{Action, Event, Found, Kind, Moment, Watcher};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{IsTerminal, stderr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Below this there is no room for a bar.
const NARROW_COLUMNS: usize = 60;

/// What is shown.
pub struct Show {
    json: bool,
    quiet: bool,
    bars: Arc<Bars>,
    begun: Instant,
    sum: Mutex<ftp_client::Report>,
    /// Names and directories that were not looked at.
    passed_over: AtomicU64,
    heard: Arc<Heard>,
    /// Whether nothing is done, only said.
    rehearsed: AtomicBool,
}

/// What we hear of, and no report sums up.
#[derive(Default)]
struct Heard {
    made: AtomicU64,
    renamed: AtomicU64,
    /// Whether anything failed for another reason than that it is not there.
    other_failures: AtomicBool,
}

impl Heard {
    fn note(&self, event: &Event<'_>) {
        match event {
            Event::Made { .. } => drop(self.made.fetch_add(1, Ordering::Relaxed)),
            Event::Renamed { .. } => drop(self.renamed.fetch_add(1, Ordering::Relaxed)),
            Event::Failed { error, .. } => drop(self.other_failures.fetch_or(!error.is_missing(), Ordering::Relaxed)),
            _ => {}
        }
    }
}

/// One bar for all, and one for each file under way.
struct Bars {
    screen: Screen,
    total: ProgressBar,
    files: Mutex<HashMap<Vec<u8>, ProgressBar>>,
    shown: AtomicBool,
    /// What is said from time to time, where there are no bars to be seen.
    log: Option<Log>,
    /// How many files.
    expected: AtomicU64,
    /// How many of them are done.
    done: AtomicU64,
    /// Whether it was said beforehand how many octets they have.
    measured: AtomicBool,
    /// What was said to be tried: for each file it would be noise.
    hinted: Mutex<Vec<&'static str>>,
}

/// Where bars and lines are seen. Several may show on one.
#[derive(Clone)]
pub struct Screen {
    all: MultiProgress,
    say: Say,
    /// Whether it is a pipe or a file, and somebody wants to know how far it is.
    logs: bool,
}

/// Tells a person something, in a line of its own.
pub type Say = Arc<dyn Fn(&str) + Send + Sync>;

impl Screen {
    /// Standard error, with bars where they can be seen.
    pub fn new(access: &Access, say: Say) -> Self {
        let (wanted, terminal) = (!access.quiet && !access.json && !access.show_dialogue, stderr().is_terminal());
        let bars = wanted && terminal;
        let target = if bars { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Screen { all: MultiProgress::with_draw_target(target), say, logs: wanted && !terminal }
    }

    /// Above the bars, where there are any; they would write over it.
    pub fn line(&self, text: &str) {
        self.all.suspend(|| (self.say)(text));
    }
}

impl Show {
    pub fn new(access: &Access) -> Self {
        let show = Show::unseen(access, &Screen::new(access, Arc::new(|line| eprintln!("{line}"))));
        show.reveal();
        show
    }

    /// Without bars, until somebody wants to see them.
    pub fn unseen(access: &Access, screen: &Screen) -> Self {
        Show::by_clock(access, screen, Arc::new(Instant::now))
    }

    fn by_clock(access: &Access, screen: &Screen, clock: Clock) -> Self {
        let total = unseen_bar(Some(0)).with_style(total_style());
        let bars = Bars {
            screen: screen.clone(),
            total,
            files: Mutex::default(),
            shown: AtomicBool::new(false),
            log: screen.logs.then(|| Log::new(clock)),
            expected: AtomicU64::new(0),
            done: AtomicU64::new(0),
            measured: AtomicBool::new(false),
            hinted: Mutex::default(),
        };
        Show {
            json: access.json,
            quiet: access.quiet,
            bars: Arc::new(bars),
            begun: Instant::now(),
            sum: Mutex::default(),
            passed_over: AtomicU64::new(0),
            heard: Arc::default(),
            rehearsed: AtomicBool::new(false),
        }
    }

    /// Shows the bars from now on.
    pub fn reveal(&self) {
        let files = self.bars.files();
        self.bars.shown.store(true, Ordering::Relaxed);
        // The window may have become narrower meanwhile.
        self.bars.total.set_style(total_style());
        self.bars.seat_total();
        for bar in files.values() {
            bar.set_style(file_style(bar.length()));
            self.bars.seat(bar.clone());
        }
    }

    /// Takes the bars away from the screen.
    pub fn hide(&self) {
        let files = self.bars.files();
        if !self.bars.shown.swap(false, Ordering::Relaxed) {
            return;
        }
        // What is taken away without being cleared stays on the screen.
        let _ = self.bars.screen.all.clear();
        for bar in files.values().chain([&self.bars.total]) {
            self.bars.screen.all.remove(bar);
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
    }

    /// How far it is, in a line.
    pub fn state(&self) -> String {
        let (total, secs) = (&self.bars.total, self.begun.elapsed().as_secs_f64().max(0.001));
        let (moved, expected) = (total.position(), total.length().unwrap_or(0));
        let of = if expected > moved { format!(" of {}", output::size(expected)) } else { String::new() };
        format!("{}{of}, {}/s", output::size(moved), output::size((moved as f64 / secs) as u64))
    }

    /// So much is about to move; no octets if nobody knows how many, then they are counted as files begin.
    pub fn expect(&self, files: u64, octets: u64) {
        self.bars.total.inc_length(octets);
        // So that files do not count once more when they begin.
        self.bars.measured.store(octets > 0, Ordering::Relaxed);
        self.bars.expect(files);
    }

    /// What the library tells of.
    pub fn watcher(&self) -> Watcher {
        let (bars, json, heard) = (self.bars.clone(), self.json, self.heard.clone());
        Arc::new(move |event| {
            heard.note(event);
            if json {
                tell_json(event);
            } else {
                bars.tell(event);
            }
        })
    }

    /// So much was done.
    pub fn add(&self, report: &ftp_client::Report) {
        let mut sum = self.sum.lock().unwrap_or_else(PoisonError::into_inner);
        sum.moved += report.moved;
        sum.octets += report.octets;
        sum.links += report.links;
        sum.modes += report.modes;
        sum.removed += report.removed;
        sum.failed += report.failed;
    }

    /// From now on what is added is only said, and not done.
    pub fn rehearse(&self) {
        self.rehearsed.store(true, Ordering::Relaxed);
    }

    /// This would be done.
    pub fn add_intent(&self, intent: &Intent<'_>) {
        let none = ftp_client::Report::default();
        match intent {
            Intent::Copy { octets, .. } => {
                self.add(&ftp_client::Report { moved: 1, octets: octets.unwrap_or(0), ..none })
            }
            Intent::Remove(_) | Intent::RemoveDirectory(_) => self.add(&ftp_client::Report { removed: 1, ..none }),
            Intent::Make(_) => drop(self.heard.made.fetch_add(1, Ordering::Relaxed)),
            Intent::Rename { .. } => drop(self.heard.renamed.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// Whether objects are wished.
    pub fn is_for_programs(&self) -> bool {
        self.json
    }

    /// So much of the trees was not looked at, which has been told.
    pub fn pass_over(&self, plan: &ftp_client::Plan) {
        self.passed_over.fetch_add(plan.passed_over, Ordering::Relaxed);
    }

    /// Sums up.
    pub fn end(&self) -> Result<(), Failure> {
        self.bars.total.finish_and_clear();
        let sum = self.sum();
        if self.json {
            output::json(&self.summary())?;
        } else if !self.quiet {
            let rehearsed = self.rehearsed.load(Ordering::Relaxed);
            let text = if rehearsed { intended(&sum) } else { summary(&sum, self.begun.elapsed()) };
            self.bars.screen.line(&text);
        }
        match (sum.failed, sum.moved, self.heard.other_failures.load(Ordering::Relaxed)) {
            (0, ..) if self.passed_over.load(Ordering::Relaxed) == 0 => Ok(()),
            (1.., 0, false) => Err(Failure::Told(4)),
            _ => Err(Failure::Told(1)),
        }
    }

    /// The same where one thing was changed and no file moved: people see that it is done, programs are told.
    pub fn end_change(&self, name: &[u8], changed: Result<(), Failure>) -> Result<(), Failure> {
        if !self.json {
            return changed;
        }
        if let Err(failure) = &changed {
            failure.tell();
            let why = failure.reason().map(|(why, _)| why);
            output::json(&event_json("failed", name, json!({"why": why})))?;
            self.add(&ftp_client::Report { failed: 1, ..Default::default() });
        }
        output::json(&self.summary())?;
        changed.map_err(|failure| Failure::Told(failure.code()))
    }

    /// The same for a plan, which has been shown.
    pub fn end_plan(&self, plan: &ftp_client::Plan) -> Result<(), Failure> {
        self.rehearse();
        self.pass_over(plan);
        self.add(&plan::summed_up(plan));
        let makes = |action: &Action| matches!(action, Action::MakeDirectory { .. });
        let made = plan.actions.iter().filter(|(_, action)| makes(action)).count();
        self.heard.made.fetch_add(made as u64, Ordering::Relaxed);
        self.bars.total.finish_and_clear();
        if self.json {
            output::json(&self.summary())?;
        }
        plan::outcome(plan)
    }

    fn sum(&self) -> ftp_client::Report {
        *self.sum.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For programs.
    fn summary(&self) -> Value {
        let (sum, count) = (self.sum(), |number: &AtomicU64| number.load(Ordering::Relaxed));
        let mut value = json!({
            "event": "summary", "files": sum.moved, "octets": sum.octets, "links": sum.links, "modes": sum.modes, "removed": sum.removed,
            "made": count(&self.heard.made), "renamed": count(&self.heard.renamed), "failed": sum.failed,
            "passed_over": count(&self.passed_over), "secs": self.begun.elapsed().as_secs_f64(),
        });
        if self.rehearsed.load(Ordering::Relaxed) {
            value["dry_run"] = true.into();
        }
        value
    }
}

/// Tells a program why nothing was done, or no more.
pub fn error_json(failure: &Failure) -> Option<Value> {
    let (why, hint) = failure.reason()?;
    Some(json!({"event": "error", "why": why, "hint": hint, "code": failure.code()}))
}

fn summary(sum: &ftp_client::Report, took: Duration) -> String {
    let rate = sum.octets as f64 / took.as_secs_f64().max(0.001);
    let mut text = format!("{}, {} in {:.1} s", counted(sum.moved), output::size(sum.octets), took.as_secs_f64());
    if sum.octets > 0 {
        text += &format!(" ({}/s)", output::size(rate as u64));
    }
    for (count, one, more) in [
        (sum.links, "link made", "links made"),
        (sum.modes, "mode changed", "modes changed"),
        (sum.removed, "removed", "removed"),
        (sum.failed, "failed", "failed"),
    ] {
        if count > 0 {
            text += &format!("; {}", output::counted(count, one, more));
        }
    }
    text
}

/// What would be moved.
fn intended(sum: &ftp_client::Report) -> String {
    let text = format!("{} to move, {}", counted(sum.moved), output::size(sum.octets));
    if sum.failed > 0 { format!("{text}; {} failed", sum.failed) } else { text }
}

pub(super) fn counted(files: u64) -> String {
    output::counted(files, "file", "files")
}

impl Bars {
    /// The bar for all stands below those of the files, and is of no use for one.
    fn seat_total(&self) {
        if self.shown.load(Ordering::Relaxed) && self.expected.load(Ordering::Relaxed) > 1 {
            self.screen.all.add(self.total.clone());
        }
    }

    fn seat(&self, bar: ProgressBar) -> ProgressBar {
        if !self.shown.load(Ordering::Relaxed) {
            bar
        } else if self.expected.load(Ordering::Relaxed) > 1 {
            self.screen.all.insert_before(&self.total, bar)
        } else {
            self.screen.all.add(bar)
        }
    }

    fn files(&self) -> MutexGuard<'_, HashMap<Vec<u8>, ProgressBar>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn expect(&self, files: u64) {
        let files = self.expected.fetch_add(files, Ordering::Relaxed) + files;
        self.total.set_message(counted(files));
        self.seat_total();
    }

    fn tell(&self, event: &Event<'_>) {
        let mut files = self.files();
        match *event {
            Event::Found { files: more, octets } => {
                self.total.inc_length(octets);
                self.measured.fetch_or(octets > 0, Ordering::Relaxed);
                self.expect(more);
            }
            Event::Begun { name, octets } => {
                let bar = unseen_bar(octets).with_style(file_style(octets)).with_message(shown(name));
                let bar = self.seat(bar);
                if !self.measured.load(Ordering::Relaxed) {
                    self.total.inc_length(octets.unwrap_or(0));
                }
                if let Some(before) = files.insert(name.to_owned(), bar) {
                    before.finish_and_clear();
                }
            }
            // The sum at the end is enough for people.
            Event::Made { .. } | Event::Linked { .. } | Event::Renamed { .. } | Event::Removed { .. } => {}
            Event::Moved { name, octets } => {
                self.total.inc(octets);
                if let Some(bar) = files.get(name) {
                    bar.inc(octets);
                }
            }
            Event::Done { name, .. } => {
                self.done.fetch_add(1, Ordering::Relaxed);
                drop(files.remove(name).inspect(ProgressBar::finish_and_clear));
            }
            Event::PassedOver { name, why } => self.screen.line(&passed_over(name, why)),
            Event::ModeRefused { name, error } => {
                self.screen.line(&format!("packetboat: not all modes can be kept: {}", of_file(name, error)));
            }
            Event::Again { name, error } => {
                self.screen.line(&format!("packetboat: {}; trying again", of_file(name, error)))
            }
            Event::Failed { name, error } => {
                drop(files.remove(name).inspect(ProgressBar::finish_and_clear));
                self.screen.line(&format!("packetboat: {}", of_file(name, error)));
                self.hint(error);
            }
        }
        if let Some(line) = self.log.as_ref().and_then(|log| log.line(|| self.progress())) {
            self.screen.line(&line);
        }
    }

    fn progress(&self) -> Progress {
        let expected_files = self.expected.load(Ordering::Relaxed);
        let measured = self.measured.load(Ordering::Relaxed) || expected_files <= 1;
        Progress {
            files: self.done.load(Ordering::Relaxed),
            expected_files,
            octets: self.total.position(),
            expected_octets: self.total.length().filter(|_| measured),
        }
    }

    fn hint(&self, error: &ftp_client::Error) {
        let Some(hint) = crate::failure::hint(error) else { return };
        let mut hinted = self.hinted.lock().unwrap_or_else(PoisonError::into_inner);
        if !hinted.contains(&hint) {
            hinted.push(hint);
            self.screen.line(&format!("  {hint}"));
        }
    }
}

/// What is said of what is not looked into.
pub fn passed_over(name: &[u8], why: &str) -> String {
    format!("packetboat: {}: {why}; passed over", shown(name))
}

/// What went wrong, and with which file: most errors say that themselves, and of the root of a tree they alone can.
fn of_file(name: &[u8], error: &ftp_client::Error) -> String {
    let (seen, text) = (shown(name), error.to_string());
    if name.is_empty() || tells_of(&text, &seen) { text } else { format!("{seen}: {text}") }
}

/// Whether a name is in a text, and not just as a part of a word.
fn tells_of(text: &str, name: &str) -> bool {
    let is_edge = |letter: Option<char>| letter.is_none_or(|letter| !letter.is_alphanumeric());
    text.match_indices(name).any(|(at, _)| {
        let (before, behind) = (&text[..at], &text[at + name.len()..]);
        is_edge(before.chars().next_back()) && is_edge(behind.chars().next())
    })
}

/// A bar that is on no screen yet, perhaps of what nobody knows how long it will be.
fn unseen_bar(octets: Option<u64>) -> ProgressBar {
    ProgressBar::with_draw_target(octets, ProgressDrawTarget::hidden())
}

fn total_style() -> ProgressStyle {
    styled(match is_narrow(columns()) {
        true => NARROW_STYLE,
        false => "{wide_msg} {bytes:>10} / {total_bytes:>10} {binary_bytes_per_sec:>12} {eta:>4} [{bar:16}]",
    })
}

fn file_style(octets: Option<u64>) -> ProgressStyle {
    styled(match (is_narrow(columns()), octets) {
        (true, Some(_)) => NARROW_STYLE,
        (true, None) => "{wide_msg} {bytes:>10}",
        (false, Some(_)) => "{wide_msg} {bytes:>10} {binary_bytes_per_sec:>12} {eta:>4} [{bar:16}]",
        (false, None) => "{wide_msg} {bytes:>10} {binary_bytes_per_sec:>12}",
    })
}

const NARROW_STYLE: &str = "{wide_msg} {percent:>3}%";

fn styled(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .map_or_else(|_| ProgressStyle::default_bar(), |style| style.progress_chars("=> "))
}

fn tell_json(event: &Event<'_>) {
    let (word, name, more) = match *event {
        // A line for each stretch would be more than the file.
        Event::Found { .. } | Event::Moved { .. } => return,
        Event::Begun { name, octets } => ("begun", name, json!({"octets": octets})),
        Event::Done { name, octets } => ("done", name, json!({"octets": octets})),
        Event::PassedOver { name, why } => ("passed-over", name, json!({"why": why})),
        Event::ModeRefused { name, error } => ("mode-refused", name, json!({"why": error.to_string()})),
        Event::Made { name } => ("made", name, json!({})),
        Event::Linked { name } => ("linked", name, json!({})),
        Event::Renamed { name, to } => ("renamed", name, path_json("to", to)),
        Event::Removed { name } => ("removed", name, json!({})),
        Event::Again { name, error } => ("again", name, json!({"why": error.to_string()})),
        Event::Failed { name, error } => ("failed", name, json!({"why": error.to_string()})),
    };
    // Whoever reads no more does not want to know.
    let _ = output::json(&event_json(word, name, more));
}

fn event_json(word: &str, name: &[u8], mut more: Value) -> Value {
    more["event"] = word.into();
    put_path(&mut more, "file", name);
    more
}

fn path_json(key: &str, path: &[u8]) -> Value {
    let mut value = json!({});
    put_path(&mut value, key, path);
    value
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

/// How much of an entry is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    /// Mode, size, time and the whole name, be it in a second line.
    Full,
    /// Size and day, and so many columns of the name.
    Day(usize),
    /// Size, and so many columns of the name.
    Size(usize),
}

impl Room {
    /// So that no entry needs a second line in a window that has hardly room for one; the day goes if names need its room.
    fn of(columns: usize, widest: usize) -> Self {
        if !is_narrow(columns) {
            return Room::Full;
        }
        let (behind_day, behind_size) = (columns.saturating_sub(22), columns.saturating_sub(11));
        if widest <= behind_day { Room::Day(behind_day) } else { Room::Size(behind_size.max(NAME_MIN_COLUMNS)) }
    }
}

/// Names in a narrower window may need a second line: with less of them they could not be told apart.
const NAME_MIN_COLUMNS: usize = 12;

/// Entries at the prompt, for a screen of so many columns or for no screen.
pub fn prompt_lines<'a>(
    entries: impl Iterator<Item = (&'a [u8], &'a Found)> + Clone,
    bytes: bool,
    columns: Option<usize>,
    colours: bool,
) -> Vec<String> {
    let widest = entries.clone().map(|(name, found)| seen_name(name, found).width()).max().unwrap_or(0);
    let room = columns.map_or(Room::Full, |columns| Room::of(columns, widest));
    entries.map(|(name, found)| prompt_line(name, found, bytes, room, colours)).collect()
}

/// One of them where each is told as it is found.
pub fn found_line(name: &[u8], found: &Found, colours: bool) -> String {
    prompt_line(name, found, false, Room::Full, colours)
}

/// Its name, and where it leads.
fn seen_name(name: &[u8], found: &Found) -> String {
    match &found.kind {
        Kind::Link(Some(target)) => {
            format!("{} -> {}", prompt_name(name, &found.kind), printable(&String::from_utf8_lossy(target)))
        }
        kind => prompt_name(name, kind),
    }
}

/// A name without its middle, where there is no room for that: what names begin and end with tells them apart.
fn shortened(name: String, columns: usize) -> String {
    if name.width() <= columns {
        return name;
    }
    let fitting = |letters: &mut dyn Iterator<Item = char>, columns: usize| {
        let mut width = 0;
        let fits = |c: &char| {
            width += c.width().unwrap_or(0);
            width <= columns
        };
        letters.take_while(fits).collect::<Vec<_>>()
    };
    let end = columns / 2;
    let begun = fitting(&mut name.chars(), columns - end - 1);
    let ended = fitting(&mut name.chars().rev(), end);
    begun.into_iter().chain(['…']).chain(ended.into_iter().rev()).collect()
}

/// An entry at the prompt: mode, size, time (UTC) and name, as far as there is room.
fn prompt_line(name: &[u8], found: &Found, bytes: bool, room: Room, colours: bool) -> String {
    let size = match (&found.kind, found.size) {
        (Kind::Directory, _) | (_, None) => "-".into(),
        (_, Some(size)) if bytes => size.to_string(),
        (_, Some(size)) => output::size(size),
    };
    let time = found.modified.map_or(String::new(), |stamp| time(stamp.moment).replace('T', " "));
    let name = |columns| coloured(shortened(seen_name(name, found), columns), &found.kind, colours);
    let width = if bytes { 14 } else { 10 };
    match room {
        Room::Full => {
            let (mode, time) = (mode_letters(found), time.get(..16).unwrap_or(""));
            format!("{mode} {size:>width$}  {time:16}  {}", name(usize::MAX))
        }
        Room::Day(columns) => format!("{size:>10} {:10} {}", time.get(..10).unwrap_or(""), name(columns)),
        Room::Size(columns) => format!("{size:>10} {}", name(columns)),
    }
}

/// `drwxr-x---`; dots where the server does not tell.
fn mode_letters(found: &Found) -> String {
    let letter = match found.kind {
        Kind::File => '-',
        Kind::Directory => 'd',
        Kind::Link(_) => 'l',
        Kind::Other => 's',
    };
    let Some(mode) = found.mode else { return format!("{letter}.........") };
    let bits = (0..9).map(|bit| if mode & (0o400 >> bit) == 0 { '-' } else { ['r', 'w', 'x'][bit % 3] });
    std::iter::once(letter).chain(bits).collect()
}

/// A name at the prompt; directories end in a slash.
pub fn prompt_name(name: &[u8], kind: &Kind) -> String {
    let name = printable(&String::from_utf8_lossy(name));
    if *kind == Kind::Directory && !name.ends_with('/') { name + "/" } else { name }
}

fn coloured(name: String, kind: &Kind, colours: bool) -> String {
    match (colours, kind) {
        (true, Kind::Directory) => format!("\x1b[1;34m{name}\x1b[0m"),
        (true, Kind::Link(_)) => format!("\x1b[36m{name}\x1b[0m"),
        _ => name,
    }
}

/// Names below one another in as many columns as there is room for; one a line for no screen.
pub fn in_columns(names: &[String], kinds: &[&Kind], width: usize, colours: bool) -> Vec<String> {
    let widest = names.iter().map(|name| name.width() + 2).max().unwrap_or(1);
    let columns = (width / widest).max(1);
    let rows = names.len().div_ceil(columns);
    let cell = |at: usize, last: bool| {
        let name = coloured(names[at].clone(), kinds[at], colours);
        if last { name } else { name + &" ".repeat(widest - names[at].width()) }
    };
    let row = |row: usize| {
        let all: Vec<usize> = (row..names.len()).step_by(rows).collect();
        all.iter().enumerate().map(|(nth, at)| cell(*at, nth + 1 == all.len())).collect()
    };
    (0..rows).map(row).collect()
}

/// How wide the screen is.
pub fn columns() -> usize {
    match rustix::termios::tcgetwinsize(stderr()) {
        Ok(size) if size.ws_col > 0 => size.ws_col.into(),
        _ => 80,
    }
}

/// Whether there is no room for more than the most important.
pub fn is_narrow(columns: usize) -> bool {
    columns < NARROW_COLUMNS
}

/// What is known of one thing, for people.
pub fn about_lines(name: &str, about: &About) -> Vec<String> {
    let value = about_json(about);
    let line = |key: &&str| match &value[*key] {
        Value::Null => None,
        Value::String(text) => Some(format!("  {key:<9} {}", printable(text))),
        other => Some(format!("  {key:<9} {other}")),
    };
    let lines = ["type", "target", "size", "modified", "mode"].iter().filter_map(line);
    std::iter::once(name.to_owned()).chain(lines).collect()
}

/// The same for people or programs, on standard output.
pub fn about(url: &str, about: &About, as_json: bool) -> Result<(), Failure> {
    if as_json {
        let mut value = about_json(about);
        value["url"] = url.into();
        return output::json(&value);
    }
    about_lines(url, about).iter().try_for_each(|line| output::say(line))
}

/// RFC 3339, without a zone where none is known.
fn time(moment: Moment) -> String {
    let civil = moment.civil();
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        civil.year, civil.month, civil.day, civil.hour, civil.minute, civil.second
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use ftp_client::RemoteName;

    fn found(name: &str, kind: Kind) -> Found {
        let name = RemoteName::new(name.as_bytes()).expect("a name");
        Found { name, kind, size: Some(1234), modified: None, mode: None, owner: None, group: None, unique: None }
    }

    fn lines(names: &[&str], columns: Option<usize>) -> Vec<String> {
        let all: Vec<Found> = names.iter().map(|name| found(name, Kind::File)).collect();
        prompt_lines(all.iter().map(|found| (found.name.as_bytes(), found)), false, columns, false)
    }

    #[test]
    fn in_a_narrow_window_each_entry_has_one_line() {
        let long = "the menu of the first week of July, with wines.txt";
        for columns in [24, 40, 59] {
            for name in ["menu", "the menu of July.txt", long, "晩ご飯の献立表、七月の第一週から最後まで"]
            {
                let lines = lines(&["soup", name], Some(columns));
                assert!(lines.iter().all(|line| line.width() <= columns), "{columns}: {lines:#?}");
            }
        }
        assert_eq!(lines(&[long], Some(40)), ["   1.2 KiB the menu of th…with wines.txt"]);
        assert!(lines(&[long], Some(80))[0].ends_with(long), "there it may go on in a second line");
        assert!(lines(&[long], None)[0].ends_with(long), "in a pipe nothing is left out");
    }

    /// What is said to a pipe while this happens, each event so many seconds behind the one before.
    fn logged(options: &[&str], expected: (u64, u64), events: &[(u64, Event<'_>)]) -> Vec<String> {
        use crate::cli::ftp::Ftp;
        use clap::{Args, FromArgMatches};
        let command = Ftp::augment_args(clap::Command::new("ftp"));
        let said = command.get_matches_from([&["ftp"], options].concat());
        let access = Ftp::from_arg_matches(&said).expect("arguments").shell.access;
        let (lines, secs, begun) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU64::new(0)), Instant::now());
        let (heard, time) = (lines.clone(), secs.clone());
        let say: Say = Arc::new(move |line: &str| heard.lock().expect("not poisoned").push(line.to_owned()));
        let logs = !access.quiet && !access.json;
        let screen = Screen { logs, ..Screen::new(&access, say) };
        let clock: Clock = Arc::new(move || begun + Duration::from_secs(time.load(Ordering::Relaxed)));
        let show = Show::by_clock(&access, &screen, clock);
        show.expect(expected.0, expected.1);
        for (later, event) in events {
            secs.fetch_add(*later, Ordering::Relaxed);
            (show.watcher())(event);
        }
        std::mem::take(&mut *lines.lock().expect("not poisoned"))
    }

    const MIB: u64 = 1 << 20;

    #[test]
    fn who_sees_no_bars_is_told_once_a_minute_how_far_it_is() {
        let moved = |octets| Event::Moved { name: b"a", octets };
        let events = [
            (0, Event::Begun { name: b"a", octets: Some(100 * MIB) }),
            (59, moved(20 * MIB)),
            (1, moved(40 * MIB)),
            (30, moved(40 * MIB)),
            (0, Event::Done { name: b"a", octets: 100 * MIB }),
            (0, Event::Begun { name: b"b", octets: Some(200 * MIB) }),
            (30, Event::Moved { name: b"b", octets: 20 * MIB }),
        ];
        let lines = logged(&[], (2, 300 * MIB), &events);
        assert_eq!(
            lines,
            [
                "packetboat: 0 of 2 files, 60.0 MiB of 300.0 MiB, 1.0 MiB/s, about 4 min left",
                "packetboat: 1 of 2 files, 120.0 MiB of 300.0 MiB, 1.0 MiB/s, about 3 min left",
            ]
        );
        for silent in ["--quiet", "--json"] {
            assert_eq!(logged(&[silent], (2, 300 * MIB), &events), [""; 0], "{silent}");
        }
    }

    #[test]
    fn nothing_is_told_of_the_time_left_where_it_is_not_known() {
        let moved = |octets| Event::Moved { name: b"a", octets };
        let begun = || Event::Begun { name: b"a", octets: Some(100 * MIB) };
        let lines = logged(&[], (9, 0), &[(0, begun()), (60, moved(60 * MIB))]);
        assert_eq!(lines, ["packetboat: 0 of 9 files, 60.0 MiB, 1.0 MiB/s"], "other files have sizes, too");
        let lines = logged(&[], (1, 0), &[(0, begun()), (60, moved(60 * MIB)), (60, moved(0))]);
        assert_eq!(lines[0], "packetboat: 0 of 1 file, 60.0 MiB of 100.0 MiB, 1.0 MiB/s, about 40 s left");
        assert_eq!(lines[1], "packetboat: 0 of 1 file, 60.0 MiB of 100.0 MiB, 0 B/s", "nobody knows when");
    }

    #[test]
    fn what_went_wrong_is_told_with_the_name_of_the_file() {
        let error =
            |step: &str| ftp_client::Error::Broken { step: step.into(), why: "the server does not answer".into() };
        assert_eq!(of_file(b"a", &error("data")), "a: data: the server does not answer");
        assert_eq!(of_file(b"", &error("list a/b")), "list a/b: the server does not answer", "the root of a tree");
        assert_eq!(of_file(b"a", &error("fetch a")), "fetch a: the server does not answer");
        assert_eq!(
            of_file("\u{e4}/b c".as_bytes(), &error("fetch \u{e4}/b c")),
            "fetch \u{e4}/b c: the server does not answer"
        );
    }

    #[test]
    fn a_link_tells_where_it_leads_as_far_as_there_is_room() {
        let link = found("menu", Kind::Link(Some(b"menus/july".to_vec())));
        let line =
            |columns| prompt_lines([(&b"menu"[..], &link)].into_iter(), false, Some(columns), false).swap_remove(0);
        assert!(line(40).ends_with("menu -> menus/july") && line(80).ends_with("menu -> menus/july"));
    }
}

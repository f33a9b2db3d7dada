//! The transfer log: one line for each file that went in or out, in the form that wu-ftpd gave it and that log readers know.
//!
//! ```text
//! Sat Nov 28 04:12:30 2026 1 192.0.2.7 11 /letter.txt b _ i r joe@example.org ftp 0 * c
//! transfer ─line→ queue, bounded ─→ a thread of its own ─→ file
//! ```
//!
//! Time is the machine's local time, as with the others. Blanks and control characters in names become `_`, as in wu-ftpd;
//! a name that has them cannot be read back.
//!
//! Invariants: a transfer never waits for this file: what finds the queue full, or the disk, is lost, counted, and told of
//! once when it begins and once when it is over.
//! Not here: which transfers there are (desk), rotating the file (whoever does; SIGHUP opens it anew).

use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tracing::{info, warn};

/// Lines that wait for the disk. Some megabytes; a disk that stands still longer than it takes to fill this loses lines.
const QUEUE_MAX: usize = 10_000;
/// How long the thread has to write what waits when the server stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// Which way a file went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To us.
    In,
    /// From us.
    Out,
}

/// One transfer.
#[derive(Debug, Clone)]
pub struct Line<'a> {
    /// When it ended, in Unix seconds.
    pub at: i64,
    /// How long it took.
    pub secs: f64,
    /// The client.
    pub host: IpAddr,
    /// Octets that moved.
    pub octets: u64,
    /// The file, as its account sees it.
    pub path: &'a [u8],
    /// TYPE A.
    pub ascii: bool,
    /// Which way.
    pub direction: Direction,
    /// Whose.
    pub account: &'a str,
    /// It is a guest, and what stands for the account is what they gave as their address.
    pub guest: bool,
    /// Whether it came to its end.
    pub complete: bool,
}

impl Line<'_> {
    /// As it stands in the file.
    pub fn text(&self, zone: &TimeZone) -> Vec<u8> {
        let at = Timestamp::from_second(self.at).unwrap_or_default().to_zoned(zone.clone());
        // Whole seconds, and never none: log readers divide by them.
        let secs = (self.secs.round() as u64).max(1);
        let mut line =
            format!("{} {secs} {} {} ", at.strftime("%a %b %e %H:%M:%S %Y"), self.host.to_canonical(), self.octets)
                .into_bytes();
        line.extend(plain(self.path));
        let kind = if self.ascii { 'a' } else { 'b' };
        let direction = if self.direction == Direction::In { 'i' } else { 'o' };
        let access = if self.guest { 'a' } else { 'r' };
        line.extend(format!(" {kind} _ {direction} {access} ").bytes());
        // Readers count the fields: a guest who gives no address leaves none empty.
        line.extend(plain(if self.account.is_empty() { b"?" } else { self.account.as_bytes() }));
        line.extend(format!(" ftp 0 * {}\n", if self.complete { 'c' } else { 'i' }).bytes());
        line
    }
}

fn plain(name: &[u8]) -> impl Iterator<Item = u8> {
    name.iter().map(|octet| if octet.is_ascii_whitespace() || octet.is_ascii_control() { b'_' } else { *octet })
}

/// The log, or none.
pub struct TransferLog {
    shared: Arc<Shared>,
    zone: TimeZone,
    ended: Mutex<Receiver<()>>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    woken: Condvar,
}

#[derive(Default)]
struct Queue {
    is_on: bool,
    is_closed: bool,
    lines: VecDeque<Vec<u8>>,
    lost: u64,
    /// Open this one, or none, before the next line.
    place: Option<Option<PathBuf>>,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TransferLog {
    /// One at this place, or none.
    ///
    /// # Errors
    /// When there can be no thread for it.
    pub fn open(place: Option<PathBuf>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (end, ended) = channel();
        let writing = Arc::clone(&shared);
        std::thread::Builder::new().name("transfer-log".into()).spawn(move || {
            Writer::default().run(&writing);
            // Nobody may be waiting for it.
            let _ = end.send(());
        })?;
        let log = TransferLog { shared, zone: TimeZone::system(), ended: Mutex::new(ended) };
        log.reopen(place);
        Ok(log)
    }

    /// Opens the file anew, after its name was given to another, or there is another name.
    pub fn reopen(&self, place: Option<PathBuf>) {
        let mut queue = self.shared.queue();
        queue.is_on = place.is_some();
        queue.place = Some(place);
        self.shared.woken.notify_one();
    }

    /// Writes a line, soon.
    pub fn write(&self, line: &Line<'_>) {
        if !self.shared.queue().is_on {
            return;
        }
        let text = line.text(&self.zone);
        let mut queue = self.shared.queue();
        if queue.lines.len() < QUEUE_MAX {
            queue.lines.push_back(text);
            self.shared.woken.notify_one();
            return;
        }
        queue.lost += 1;
        let is_first = queue.lost == 1;
        drop(queue);
        if is_first {
            warn!("the disk of the transfer log is too slow: lines are lost");
        }
    }

    /// Writes what waits and ends, or gives up soon. Blocks.
    pub fn close(&self) {
        self.shared.queue().is_closed = true;
        self.shared.woken.notify_one();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.recv_timeout(FAREWELL).is_err() {
            warn!("the transfer log was not written to its end");
        }
    }
}

/// The thread's own.
#[derive(Default)]
struct Writer {
    file: Option<File>,
    /// Lines that the disk did not take.
    failed: u64,
    /// What stands last in the file is half a line.
    is_torn: bool,
}

impl Writer {
    fn run(&mut self, shared: &Shared) {
        loop {
            let mut queue = shared.queue();
            while queue.lines.is_empty() && queue.place.is_none() && !queue.is_closed {
                queue = shared.woken.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            let (place, lines) = (queue.place.take(), std::mem::take(&mut queue.lines));
            let is_last = queue.is_closed;
            drop(queue);
            if let Some(place) = place {
                self.open(place.as_deref());
            }
            lines.iter().for_each(|line| self.put(line));
            let lost = if lines.is_empty() { 0 } else { std::mem::take(&mut shared.queue().lost) };
            if lost > 0 {
                warn!(lines = lost, "lines of the transfer log were lost while its disk was too slow");
            }
            if is_last {
                return;
            }
        }
    }

    fn open(&mut self, place: Option<&Path>) {
        let Some(place) = place else {
            self.file = None;
            return;
        };
        match OpenOptions::new().append(true).create(true).mode(0o640).open(place) {
            Ok(file) => {
                (self.file, self.is_torn) = (Some(file), false);
                info!(file = %place.display(), "transfer log opened");
            }
            Err(error) => {
                self.file = None;
                warn!(file = %place.display(), %error, "the transfer log cannot be opened: lines are lost until SIGHUP");
            }
        }
    }

    fn put(&mut self, line: &[u8]) {
        let Some(file) = &mut self.file else { return };
        let begun = if self.is_torn { [b"\n", line].concat() } else { line.to_vec() };
        match write_whole(file, &begun) {
            Ok(()) => {
                self.is_torn = false;
                if self.failed > 0 {
                    warn!(lines = self.failed, "lines of the transfer log were lost; it is written again");
                    self.failed = 0;
                }
            }
            Err((written, error)) => {
                self.is_torn |= written > 0;
                if self.failed == 0 {
                    warn!(%error, "the transfer log cannot be written: lines are lost");
                }
                self.failed += 1;
            }
        }
    }
}

/// How much was written before it failed is told, too.
fn write_whole(file: &mut File, octets: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    while written < octets.len() {
        match file.write(&octets[written..]) {
            Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((written, error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(path: &[u8]) -> Line<'_> {
        Line {
            at: 1_764_303_150,
            secs: 0.2,
            host: "::ffff:192.0.2.7".parse().expect("an address"),
            octets: 11,
            path,
            ascii: false,
            direction: Direction::In,
            account: "joe@example.org",
            guest: false,
            complete: true,
        }
    }

    fn text(line: &Line<'_>) -> String {
        String::from_utf8(line.text(&TimeZone::UTC)).expect("text")
    }

    #[test]
    fn lines_have_fourteen_fields_whatever_names_hold() {
        assert_eq!(
            text(&line(b"/letter.txt")),
            "Fri Nov 28 04:12:30 2025 1 192.0.2.7 11 /letter.txt b _ i r joe@example.org ftp 0 * c\n"
        );
        let odd = Line {
            at: 1_762_000_000,
            secs: 2.6,
            ascii: true,
            direction: Direction::Out,
            complete: false,
            ..line("/a b\tc\nd/é".as_bytes())
        };
        assert_eq!(
            text(&odd),
            "Sat Nov  1 12:26:40 2025 3 192.0.2.7 11 /a_b_c_d/é a _ o r joe@example.org ftp 0 * i\n"
        );
        let silent = Line { account: "", guest: true, ..line(b"/menu") };
        assert_eq!(text(&silent), "Fri Nov 28 04:12:30 2025 1 192.0.2.7 11 /menu b _ i a ? ftp 0 * c\n");
        let guest = Line { account: "me at home", guest: true, ..line(b"/menu") };
        assert_eq!(text(&guest), "Fri Nov 28 04:12:30 2025 1 192.0.2.7 11 /menu b _ i a me_at_home ftp 0 * c\n");
    }

    #[test]
    fn it_is_opened_anew_when_told() {
        let folder = tempfile::tempdir().expect("a directory");
        let (place, moved) = (folder.path().join("xferlog"), folder.path().join("xferlog.1"));
        let log = TransferLog::open(Some(place.clone())).expect("a thread");
        log.write(&line(b"/one"));
        log.close();
        let log = TransferLog::open(Some(place.clone())).expect("a thread");
        std::fs::rename(&place, &moved).expect("moved");
        log.reopen(Some(place.clone()));
        log.write(&line(b"/two"));
        log.close();
        let lines = |place: &Path| std::fs::read_to_string(place).expect("a log").lines().count();
        assert_eq!((lines(&moved), lines(&place)), (1, 1));
    }

    #[test]
    fn a_disk_that_stands_still_loses_lines_and_holds_nobody() {
        let folder = tempfile::tempdir().expect("a directory");
        let place = folder.path().join("pipe");
        // Nobody reads from it, so opening it waits for ever.
        rustix::fs::mknodat(rustix::fs::CWD, &place, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a pipe");
        let log = TransferLog::open(Some(place)).expect("a thread");
        while log.shared.queue().place.is_some() {
            std::thread::yield_now();
        }
        (0..QUEUE_MAX + 100).for_each(|_| log.write(&line(b"/one")));
        let queue = log.shared.queue();
        assert_eq!((queue.lost, queue.lines.len()), (100, QUEUE_MAX));
    }

    #[test]
    fn a_full_disk_loses_lines_and_what_follows_begins_a_line() {
        let mut writer = Writer::default();
        writer.open(Some(Path::new("/dev/full")));
        writer.put(b"lost\n");
        assert_eq!((writer.failed, writer.is_torn), (1, false));
        let folder = tempfile::tempdir().expect("a directory");
        let place = folder.path().join("xferlog");
        writer.open(Some(&place));
        writer.is_torn = true;
        writer.put(b"kept\n");
        assert_eq!((std::fs::read(&place).expect("a log"), writer.failed), (b"\nkept\n".to_vec(), 0));
    }
}

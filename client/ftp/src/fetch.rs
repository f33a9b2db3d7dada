//! A file from there to here: whole under its name, or not at all.
//!
//! RFC 3659 §3 and §4 (MDTM, SIZE), §5 (REST).
//!
//! ```text
//! SIZE, MDTM → .name.tag.part: new, or ─same beginning?→ REST → RETR → long enough? → (same sum?) → time → rename
//! ```
//!
//! What was begun is gone on with only if it is the same file: its size and its time are in the part's name, and its last
//! octets, or its sum where the server tells sums, are compared with the server's.
//!
//! Invariants: what is at the file's name before is there until the new one is whole.
//! Not here: which files (mirror), where names lead (whoever calls has checked that).

use crate::connection::{Connection, broken, wire_path};
use crate::directory::shown;
use crate::error::Error;
use crate::fill::{Stretch, Until, into_file};
use crate::part::{is_part_of, part_name};
use crate::pump::{Counter, Fault, into_hands};
use ftp::client::Start;
use ftp::{Command, Moment, WirePath};
use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// So many of the last octets that we have are compared with the server's before we go on behind them.
pub(crate) const COMPARED_OCTETS: u64 = 64 * 1024;

/// Shorter files come over one connection, in octets, unless somebody wishes otherwise. Another one costs some ten round trips until it
/// brings what the first does, and in as many the first alone brings ten windows, of some MiB each.
pub const SPLIT_FROM_OCTETS: u64 = 64 << 20;

/// How a file is fetched.
#[derive(Clone, Default)]
pub struct Fetch {
    /// Go on with what was begun, if it is the same file.
    pub resume: bool,
    /// Compare sums at the end, if the server tells them.
    pub verify: bool,
    /// Give it the time that it has there.
    pub keep_time: bool,
    /// What a listing has told already; spares us asking.
    pub known: Option<(Option<u64>, Option<Moment>)>,
    /// From how many octets on a file may come over several connections; nothing for
    /// [`SPLIT_FROM_OCTETS`].
    pub split_from: Option<u64>,
    /// Who hears of every stretch.
    pub heard: Option<Arc<dyn Fn(u64) + Send + Sync>>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetched {
    /// How long the file is.
    pub octets: u64,
    /// How much of it was here already.
    pub resumed_at: u64,
    /// Whether sums were compared.
    pub verified: bool,
}

impl Connection {
    /// Fetches a file.
    ///
    /// # Errors
    /// [`Error`]; what has come so far stays in the part, to be gone on with.
    pub async fn fetch(&mut self, path: &[u8], target: &Path, wishes: &Fetch) -> Result<Fetched, Error> {
        let step = format!("fetch {}", shown(path));
        let wire = wire_path(path)?;
        let (size, time) = match wishes.known {
            Some(known) => known,
            None => self.measure_ahead(&wire).await?,
        };
        let part = beside(target, size, time)?;
        let fetched = self.fetch_part(&wire, &part, wishes, &step, size).await;
        // Nothing is left of what never began.
        if fetched.is_err() && fs::symlink_metadata(&part).is_ok_and(|about| about.len() == 0) {
            let _ = fs::remove_file(&part);
        }
        let (file, fetched) = match fetched {
            // Servers say 550 to RETR of a directory as of what is not there.
            Err(error) if error.is_missing() && self.is_directory(path).await => {
                return Err(Error::IsDirectory { step });
            }
            fetched => fetched?,
        };
        finish(&file, &part, target, time.filter(|_| wishes.keep_time))?;
        if wishes.resume && fetched.resumed_at == 0 {
            remove_others(&part, target);
        }
        Ok(fetched)
    }

    /// Fills the part.
    async fn fetch_part(
        &mut self,
        wire: &WirePath,
        part: &Path,
        wishes: &Fetch,
        step: &str,
        size: Option<u64>,
    ) -> Result<(Arc<File>, Fetched), Error> {
        let local = |why| Error::local(part, why);
        let (file, there) = open(part).map_err(|why| unopened(part, why))?;
        let mut begun = if wishes.resume { there } else { 0 };
        if begun > 0 && !self.features().rest || size.is_some_and(|size| begun > size) {
            begun = 0;
        }
        let mut done = false;
        if begun > 0 {
            match self.same_sum(wire, &file, &(0..begun)).await? {
                Some(false) => begun = 0,
                Some(true) => done = size == Some(begun),
                None => {}
            }
        }
        if begun == 0 && there > 0 {
            file.set_len(0).map_err(local)?;
        }
        if !done {
            begun = self.fetch_from(wire, &file, begun, wishes, step, size).await?;
        }
        let octets = file.metadata().map_err(local)?.len();
        if let Some(size) = size.filter(|size| *size != octets) {
            let why = format!("{octets} octets came of {size}");
            return Err(Error::Differs { step: step.into(), why });
        }
        // What was put together from two transfers is compared in any case.
        let verified = if wishes.verify || begun > 0 { self.same_sum(wire, &file, &(0..octets)).await? } else { None };
        if verified == Some(false) {
            // Neither is it gone on with.
            file.set_len(0).map_err(local)?;
            return Err(Error::Differs { step: step.into(), why: "the sums differ".into() });
        }
        Ok((file, Fetched { octets, resumed_at: begun, verified: verified == Some(true) }))
    }

    /// Fetches from where we are, or from the start if that turns out to be another file. Says from where.
    async fn fetch_from(
        &mut self,
        wire: &WirePath,
        file: &Arc<File>,
        begun: u64,
        wishes: &Fetch,
        step: &str,
        size: Option<u64>,
    ) -> Result<u64, Error> {
        let counter = Counter::heard_by(wishes.heard.clone());
        let from = begun.saturating_sub(COMPARED_OCTETS);
        let known = last_octets(file, from, begun).map_err(|why| Error::local("the part", why))?;
        let start = if from == 0 { Start::Beginning } else { Start::At(from) };
        let pump = into_file(
            Stretch { file: file.clone(), at: begun, known: Arc::new(known), until: Until::End, filled: None },
            counter.clone(),
        );
        let words = (&Command::Retr(wire.clone())).into();
        match self.transfer_with_fault(words, start, pump, step).await {
            Ok((_, None)) => Ok(begun),
            // RFC 8446 §6.1: cut, perhaps by somebody in between; the size tells whether anything is missing.
            Ok((_, Some(Fault::Line(net::Broken::Cut)))) if size == Some(begun + counter.octets()) => Ok(begun),
            // It is another file after all, or cannot be had from the middle: all of it, then.
            Ok((_, Some(Fault::Wrong(_)))) if begun > 0 => self.fetch_anew(wire, file, wishes, step).await,
            Err(Error::Refused { reply, .. }) if begun > 0 && reply.is_permanent() => {
                self.fetch_anew(wire, file, wishes, step).await
            }
            Ok((_, Some(fault))) => Err(broken(step, &fault)),
            Err(error) => Err(error),
        }
    }

    async fn fetch_anew(
        &mut self,
        wire: &WirePath,
        file: &Arc<File>,
        wishes: &Fetch,
        step: &str,
    ) -> Result<u64, Error> {
        file.set_len(0).map_err(|why| Error::local("the part", why))?;
        let counter = Counter::heard_by(wishes.heard.clone());
        let stretch = Stretch { file: file.clone(), at: 0, known: Arc::default(), until: Until::End, filled: None };
        let pump = into_file(stretch, counter);
        self.transfer((&Command::Retr(wire.clone())).into(), Start::Beginning, pump, step).await?;
        Ok(0)
    }

    /// Gives a file to somebody who wants to see it.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn read_file(
        &mut self,
        path: &[u8],
        hands: impl FnMut(&[u8]) -> io::Result<()> + Send + 'static,
    ) -> Result<u64, Error> {
        let counter = Counter::default();
        let pump = into_hands(hands, counter.clone());
        let words = (&Command::Retr(wire_path(path)?)).into();
        self.transfer(words, Start::Beginning, pump, &format!("fetch {}", shown(path))).await?;
        Ok(counter.octets())
    }
}

/// Sees to it that nothing is there that no file may take the place of: root would make one of `/dev/null`.
///
/// # Errors
/// [`Error::Local`] if there is such a thing.
pub fn is_replaceable(target: &Path) -> Result<(), Error> {
    let replaceable = |about: fs::Metadata| about.is_file() || about.is_symlink() || about.is_dir();
    match fs::symlink_metadata(target).map_or(true, replaceable) {
        true => Ok(()),
        false => Err(Error::local(target, io::Error::other("it is no file, and none takes its place"))),
    }
}

/// The part's place, beside the file's.
///
/// # Errors
/// As [`is_replaceable`].
pub(crate) fn beside(target: &Path, size: Option<u64>, time: Option<Moment>) -> Result<PathBuf, Error> {
    is_replaceable(target)?;
    let name = target.file_name().ok_or_else(|| Error::Name(target.display().to_string()))?;
    let part = part_name(name.as_bytes(), size, time.map(Moment::unix_secs));
    Ok(target.with_file_name(OsStr::from_bytes(&part)))
}

/// The part, and how much of it is there.
pub(crate) fn open(part: &Path) -> io::Result<(Arc<File>, u64)> {
    // Nothing is followed: somebody may have put a link there.
    let flags = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags);
    let file = options.open(part)?;
    let there = file.metadata()?.len();
    Ok((Arc::new(file), there))
}

/// Why there is no part. Where it is for want of a directory, nobody knows the part's name.
pub(crate) fn unopened(part: &Path, why: io::Error) -> Error {
    let folder = part.parent().filter(|folder| why.kind() == io::ErrorKind::NotFound && !folder.as_os_str().is_empty());
    Error::local(folder.unwrap_or(part), why)
}

pub(crate) fn last_octets(file: &File, from: u64, until: u64) -> io::Result<Vec<u8>> {
    let mut octets = vec![0; usize::try_from(until - from).unwrap_or(0)];
    file.read_exact_at(&mut octets, from)?;
    Ok(octets)
}

pub(crate) fn finish(file: &File, part: &Path, target: &Path, time: Option<Moment>) -> Result<(), Error> {
    if let Some(time) = time {
        // A file system without such times keeps the file all the same.
        let _ = file.set_times(FileTimes::new().set_modified(system_time(time)));
    }
    fs::rename(part, target).map_err(|why| Error::local(target, why))
}

/// Parts of versions of the file that are not there any more.
fn remove_others(part: &Path, target: &Path) {
    let (Some(name), Some(folder)) = (target.file_name(), part.parent()) else { return };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|entry| is_part_of(entry.file_name().as_bytes(), name.as_bytes())) {
        // Whoever cannot be removed stays.
        let _ = fs::remove_file(entry.path());
    }
}

/// A moment as this machine has it.
pub(crate) fn system_time(time: Moment) -> SystemTime {
    match u64::try_from(time.unix_secs()) {
        Ok(secs) => SystemTime::UNIX_EPOCH + Duration::from_secs(secs),
        Err(_) => SystemTime::UNIX_EPOCH - Duration::from_secs(time.unix_secs().unsigned_abs()),
    }
}

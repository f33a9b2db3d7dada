//! A file from here to there: whole under its name, or not at all.
//!
//! RFC 959 §4.1.3 (STOR, RNFR, RNTO); RFC 3659 §5 (REST before STOR); draft-somers-ftp-mfxx-03 (MFMT).
//!
//! ```text
//! (SIZE of the part → same beginning? → REST) → STOR .name.tag.part, SIZE → (same sum?) → RNFR, RNTO, MFMT
//! ```
//!
//! RNFR is said with SIZE where no sum is compared: only RNTO says that the part is good.
//!
//! Invariants: what is at the file's name there before is there until the new one is whole, unless the server does not rename
//! over files: then it is removed right before.
//! Not here: which files (mirror), a large one in pieces (shipment).

use crate::connection::{Connection, wire_path};
use crate::directory::{above, join, moment, parted, shown, size_of};
use crate::error::Error;
use crate::part::part_name;
use crate::pump::{Counter, from_file, into_hands};
use ftp::client::{Start, Words};
use ftp::{Command, Moment, Reply, WirePath};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// So many of the last octets that the server has are compared with ours before we go on behind them.
const COMPARED_OCTETS: u64 = 64 * 1024;

/// How a file is sent.
#[derive(Clone, Default)]
pub struct Send {
    /// Go on with what was begun, if it is the same file.
    pub resume: bool,
    /// Compare sums at the end, if the server tells them.
    pub verify: bool,
    /// Give it the time that it has here.
    pub keep_time: bool,
    /// Write to the file's own name at once, for servers that do not let us rename.
    pub in_place: bool,
    /// Send a large file in pieces over several connections, where the server joins them. It copies the file for that.
    pub in_pieces: bool,
    /// Who hears of every stretch.
    pub heard: Option<Arc<dyn Fn(u64) + std::marker::Send + Sync>>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// How long the file is.
    pub octets: u64,
    /// How much of it was there already.
    pub resumed_at: u64,
    /// Whether sums were compared.
    pub verified: bool,
    /// Whether it has its time.
    pub dated: bool,
}

/// A stretch of a file here, and the part there that it is to become.
pub(crate) struct Upload<'a> {
    pub(crate) file: &'a Arc<File>,
    pub(crate) stretch: Range<u64>,
    pub(crate) part: &'a WirePath,
    pub(crate) step: &'a str,
}

impl Upload<'_> {
    fn octets(&self) -> u64 {
        self.stretch.end - self.stretch.start
    }
}

/// Whether the server waits for RNTO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renaming {
    NotBegun,
    Begun,
}

impl Renaming {
    /// As the last of these replies says, which is that to RNFR if it was said.
    pub(crate) fn of(replies: &[Reply]) -> Self {
        if replies.last().is_some_and(Reply::is_intermediate) { Renaming::Begun } else { Renaming::NotBegun }
    }
}

impl Connection {
    /// Sends a file.
    ///
    /// # Errors
    /// [`Error`]; what has gone so far stays in the part, to be gone on with.
    pub async fn send(&mut self, source: &Path, path: &[u8], wishes: &Send) -> Result<Sent, Error> {
        let step = format!("send {}", shown(path));
        let local = |why| Error::local(source, why);
        let file = File::open(source).map_err(local)?;
        let about = file.metadata().map_err(local)?;
        if !about.is_file() {
            return Err(local(io::Error::new(io::ErrorKind::InvalidInput, "not a file")));
        }
        let (file, octets) = (Arc::new(file), about.len());
        let time = about.modified().ok().map(moment);
        let whole = wire_path(path)?;
        let part = if wishes.in_place { whole.clone() } else { wire_path(&beside(path, octets, time))? };
        let upload = Upload { file: &file, stretch: 0..octets, part: &part, step: &step };
        let begun = if wishes.resume { self.begun(&upload).await? } else { 0 };
        let sum = wishes.verify || begun > 0;
        let (begun, heard) = match self.send_rest(&upload, begun, part != whole && !sum, wishes).await {
            Err(Error::Refused { reply, .. }) if reply.is_permanent() => {
                return Err(self.why_refused(path, step, reply).await);
            }
            sent => sent?,
        };
        let verified = sum && self.compare(&upload).await?;
        let dated = self.finish(&part, &whole, Renaming::of(&heard), time.filter(|_| wishes.keep_time), &step).await?;
        Ok(Sent { octets, resumed_at: begun, verified, dated })
    }

    /// Servers say 550 and 553 for many reasons: whether it is for want of a directory, a look tells.
    pub(crate) async fn why_refused(&mut self, path: &[u8], step: String, reply: Reply) -> Error {
        let above = above(path);
        let missing = !above.is_empty() && self.stat(above).await.is_err_and(|error| error.is_missing());
        match missing {
            true => Error::NoDirectory { step, directory: shown(above), reply },
            false => Error::Refused { step, reply },
        }
    }

    /// Sends what is not there yet, and sees to it that all has arrived; begins to rename it if that is wished. Gives back how much
    /// was gone on behind, and the replies to what was said behind it.
    pub(crate) async fn send_rest(
        &mut self,
        upload: &Upload<'_>,
        begun: u64,
        renames: bool,
        wishes: &Send,
    ) -> Result<(u64, Vec<Reply>), Error> {
        let octets = upload.octets();
        let behind = self.behind(upload.part, renames);
        let (begun, heard) = match self.send_from(upload, begun, behind.clone(), wishes).await {
            // ProFTPD takes REST, and refuses STOR behind it unless its owner lets uploads be gone on with (AllowStoreRestart).
            Err(Error::Refused { .. }) if begun > 0 && self.measure(upload.part).await?.0 == Some(begun) => {
                (0, self.send_from(upload, 0, behind, wishes).await?)
            }
            heard => (begun, heard?),
        };
        has_arrived(heard.first(), octets, upload.step)?;
        Ok((begun, heard))
    }

    async fn send_from(
        &mut self,
        upload: &Upload<'_>,
        begun: u64,
        behind: Vec<Words>,
        wishes: &Send,
    ) -> Result<Vec<Reply>, Error> {
        let Upload { file, stretch, part, step } = upload;
        if begun == upload.octets() && begun > 0 {
            return self.say(behind).await;
        }
        let counter = Counter::heard_by(wishes.heard.clone());
        let pump = from_file(Arc::clone(file), stretch.start + begun, stretch.end, counter);
        let start = if begun == 0 { Start::Beginning } else { Start::At(begun) };
        let words = Words::from(Command::Stor(WirePath::clone(part)));
        match self.transfer_and_say(words, start, behind.clone(), pump.clone(), step).await {
            // Who does not know REST may know APPE; we have just asked how long it is.
            Err(Error::Refused { reply, .. }) if begun > 0 && matches!(reply.code(), 500..=504) => {
                let words = Words::from(Command::Appe(WirePath::clone(part)));
                self.transfer_and_say(words, Start::Beginning, behind, pump, step).await
            }
            other => other,
        }
    }

    /// What is to be said behind an upload. It does no harm where that has failed: another RNFR is needed for another RNTO.
    pub(crate) fn behind(&self, part: &WirePath, renames: bool) -> Vec<Words> {
        let size = self.features().size.then(|| Command::Size(part.clone()));
        let rename = renames.then(|| Command::Rnfr(part.clone()));
        size.into_iter().chain(rename).map(Words::from).collect()
    }

    /// How much of a stretch of our file is there already: as much as the server has, if it is ours.
    pub(crate) async fn begun(&mut self, upload: &Upload<'_>) -> Result<u64, Error> {
        let Upload { file, stretch, part, .. } = upload;
        let there = self.measure(part).await?.0.unwrap_or(0);
        if there == 0 || there > upload.octets() {
            return Ok(0);
        }
        let ours = stretch.start..stretch.start + there;
        let same = match self.same_sum(part, file, &ours).await? {
            Some(same) => same,
            None => self.same_end(part, file, &ours).await?,
        };
        Ok(if same { there } else { 0 })
    }

    /// Fetches the last octets that the server has, and compares them with ours.
    async fn same_end(&mut self, part: &WirePath, file: &File, stretch: &Range<u64>) -> Result<bool, Error> {
        let there = stretch.end - stretch.start;
        let from = there.saturating_sub(COMPARED_OCTETS);
        if from > 0 && !self.features().rest {
            return Ok(false);
        }
        let mut ours = vec![0; usize::try_from(there - from).unwrap_or(0)];
        file.read_exact_at(&mut ours, stretch.start + from).map_err(|why| Error::local("the file to be sent", why))?;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hands = {
            let (heard, most) = (heard.clone(), ours.len());
            move |octets: &[u8]| {
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                heard.extend_from_slice(octets);
                if heard.len() > most { Err(io::Error::other("longer than it was a moment ago")) } else { Ok(()) }
            }
        };
        let start = if from == 0 { Start::Beginning } else { Start::At(from) };
        let pump = into_hands(hands, Counter::default());
        let words = Words::from(Command::Retr(part.clone()));
        match self.transfer(words, start, pump, "compare what is there already").await {
            Ok(_) => Ok(*heard.lock().unwrap_or_else(PoisonError::into_inner) == ours),
            Err(error) if error.is_fatal() => Err(error),
            // Uploads that may not be looked at begin anew.
            Err(_) => Ok(false),
        }
    }

    /// Compares sums, if the server tells them. Says whether it does.
    pub(crate) async fn compare(&mut self, upload: &Upload<'_>) -> Result<bool, Error> {
        let Upload { file, stretch, part, step } = upload;
        match self.same_sum(part, file, stretch).await? {
            Some(false) => {
                let _ = self.say(vec![Command::Dele(WirePath::clone(part)).into()]).await?;
                Err(Error::Differs { step: (*step).into(), why: "the sums differ".into() })
            }
            compared => Ok(compared == Some(true)),
        }
    }

    /// Gives it its name and its time. Says whether it has its time.
    pub(crate) async fn finish(
        &mut self,
        part: &WirePath,
        whole: &WirePath,
        renaming: Renaming,
        time: Option<Moment>,
        step: &str,
    ) -> Result<bool, Error> {
        let time = time.and_then(|time| self.time_words(whole, time));
        let rename = [Command::Rnfr(part.clone()), Command::Rnto(whole.clone())];
        if part == whole {
            return match time {
                Some(words) => Ok(self.say_between(vec![words]).await?[0].is_positive()),
                None => Ok(false),
            };
        }
        let begun = usize::from(renaming == Renaming::Begun);
        let mut words: Vec<Words> = rename[begun..].iter().map(Words::from).collect();
        words.extend(time.clone());
        let replies = self.say_between(words).await?;
        let mut replies = replies.iter().skip(1 - begun);
        if replies.next().is_some_and(Reply::is_positive) {
            return Ok(replies.next().is_some_and(Reply::is_positive));
        }
        // Some do not rename over a file that is there.
        let mut words = vec![Words::from(Command::Dele(whole.clone()))];
        words.extend(rename.iter().map(Words::from).chain(time));
        let mut again = self.say(words).await?;
        if again[2].is_positive() {
            return Ok(again.get(3).is_some_and(Reply::is_positive));
        }
        let reply = again.swap_remove(2);
        if self.is_directory(whole.as_bytes()).await {
            // It can never be renamed to that.
            let _ = self.say(vec![Command::Dele(part.clone()).into()]).await?;
            return Err(Error::Differs { step: step.into(), why: "there is a directory of that name".into() });
        }
        Err(Error::Unrenamed { step: step.into(), part: shown(part.as_bytes()), reply })
    }
}

/// Whether all has arrived, as far as the reply to SIZE says: where uploads cannot be looked at, 226 has to be enough.
pub(crate) fn has_arrived(size: Option<&Reply>, octets: u64, step: &str) -> Result<(), Error> {
    match size.and_then(size_of) {
        Some(there) if there != octets => {
            let why = format!("{there} octets arrived of {octets}");
            Err(Error::Differs { step: step.into(), why })
        }
        _ => Ok(()),
    }
}

/// The part's path, beside the file's.
pub(crate) fn beside(path: &[u8], octets: u64, time: Option<Moment>) -> Vec<u8> {
    let (directory, name) = parted(path);
    join(directory, &part_name(name, Some(octets), time.map(Moment::unix_secs)))
}

//! What is told of what a session does to files: its line in the log, its line in the transfer log, and hooks. One place, so
//! that the three agree.
//!
//! ```text
//! begun ─→ Transfer ─ noted on its way ─→ ended: transfer log · hooks, durably ─→ the outcome that the client hears
//!                                           └ log: at once, or behind the outcome for who is in haste (net::put_off)
//! ```
//!
//! Invariants: each event has one line, with session, account and transfer, unless we are killed before a line that was put off; an event that a hook wants is durable before the
//! client hears that it happened, or the client hears that it did not.
//! Not here: what a hook does with it (hooks), how the transfer log is written (transfer_log).

use super::transfer::Opened;
use super::{Member, refusal};
use crate::control::TransferLine;
use crate::desk::door::Caller;
use crate::hooks::{EventKind, FileFacts, Happening, TransferFacts};
use crate::house::{House, SessionId};
use crate::sessions::{Present, Running, Shown};
use crate::transfer_log::{Direction, Line};
use files::{JailedPath, Stored};
use ftp::path::VirtualPath;
use ftp::server::ask::Errand;
use ftp::{Outcome, Refusal};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use store::CommitError;
use tracing::{debug, error, info};

/// Why something is not done: what the client hears, and what the log says.
pub(super) struct No {
    pub(super) refusal: Refusal,
    why: String,
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        No { refusal, why: words(refusal).to_string() }
    }
}

impl From<files::Error> for No {
    fn from(error: files::Error) -> Self {
        let why = error.to_string();
        No { refusal: refusal(error), why }
    }
}

/// Who does it, and in whose name it is told.
#[derive(Clone)]
pub(super) struct Reporter {
    pub(super) house: Arc<House>,
    pub(super) caller: Caller,
    pub(super) member: Arc<Member>,
    pub(super) present: Arc<Present>,
}

impl Reporter {
    /// A transfer that did not even begin.
    pub(super) fn refused(&self, errand: &Errand, no: &No) {
        let (what, path) = match errand {
            Errand::Retrieve { path, .. } => ("download refused", path),
            Errand::Store { path, .. } | Errand::Append { path, .. } => ("upload refused", path),
            Errand::StoreUnique { wish, .. } => ("upload refused", wish),
            Errand::List(listing) => ("listing refused", &listing.path),
        };
        let Caller { session, peer, .. } = self.caller;
        let (account, file) = (&*self.member.account, shown(path.as_bytes()));
        info!(%session, %peer, account, file, why = no.why, "{what}");
    }

    /// A change of a name, a directory or a mode, that was made or refused.
    pub(super) fn changed(&self, what: &'static str, path: &[u8], to: Option<&[u8]>, made: &Result<(), No>) {
        let Caller { session, peer, .. } = self.caller;
        let (account, file, to) = (&*self.member.account, shown(path), to.map(shown));
        match made {
            Ok(()) => info!(%session, %peer, account, file, to, "{what}"),
            Err(no) => info!(%session, %peer, account, file, to, why = no.why, "refused: {what}"),
        }
    }

    /// Tells the hooks.
    ///
    /// # Errors
    /// When it could not be made durable.
    async fn tell(&self, kind: EventKind, file: FileFacts, transfer: Option<TransferFacts>) -> Result<(), Refusal> {
        let settings = self.house.settings();
        let happening = Happening {
            kind,
            at: self.house.now(),
            service: self.caller.purpose.name(),
            session: self.caller.session,
            account: self.member.account.to_string(),
            peer: Some(self.caller.peer),
            agent: self.present.client(),
            tls: self.member.visit.private,
            file,
            transfer,
        };
        self.house.hooks.tell(&settings, &happening).await.map_err(|error| {
            let (session, account, event) = (self.caller.session, &*self.member.account, kind.name());
            error!(%session, account, event, %error, "it happened, but could not be kept for the hooks that want it");
            unkept(&error)
        })
    }

    /// The same of a file that no transfer made what it is.
    ///
    /// # Errors
    /// When it could not be made durable.
    pub(super) async fn tell_of_file(
        &self,
        kind: EventKind,
        path: &JailedPath,
        from: Option<&VirtualPath>,
        size: Option<u64>,
    ) -> Result<(), Refusal> {
        if !self.has_hooks() {
            return Ok(());
        }
        let from = from.map(|from| from.as_bytes().to_vec());
        let file = FileFacts { path: path.as_bytes().to_vec(), from, on_disk: self.on_disk(path), size };
        self.tell(kind, file, None).await
    }

    /// Whether anybody is to be told anything.
    fn has_hooks(&self) -> bool {
        !self.house.settings().hooks.is_empty()
    }

    /// Whether what hooks want to know of an upload has room to wait.
    ///
    /// # Errors
    /// When too much waits already.
    pub(super) fn room_for_hooks(&self, path: &JailedPath) -> Result<(), No> {
        let settings = self.house.settings();
        match self.house.hooks.has_room(&settings, EventKind::Upload, &self.member.account, path.as_bytes()) {
            true => Ok(()),
            false => {
                Err(No { refusal: Refusal::Busy, why: "too much waits for hooks; see `packetboat hook list`".into() })
            }
        }
    }

    /// Where a path lies on this machine.
    pub(super) fn on_disk(&self, path: &JailedPath) -> Option<PathBuf> {
        self.member.space.on_disk(path).and_then(|place| std::path::absolute(place).ok())
    }
}

/// One transfer, from its beginning to its end.
pub(super) struct Transfer {
    reporter: Reporter,
    id: SessionId,
    begun: Instant,
    deed: Deed,
    ascii: bool,
    private: bool,
    resumed_tls: OnceLock<bool>,
    stored: OnceLock<Stored>,
    kept: OnceLock<u64>,
    /// Octets that have moved so far.
    progress: OnceLock<Arc<AtomicU64>>,
}

/// What a transfer is for.
enum Deed {
    Download { path: JailedPath, from: u64 },
    Upload { path: JailedPath, from: u64 },
    Listing,
}

impl Transfer {
    /// It begins.
    pub(super) fn new(reporter: Reporter, opened: &Opened, ascii: bool, private: bool) -> Arc<Self> {
        let deed = match opened {
            Opened::Sending { path, from, .. } => Deed::Download { path: path.clone(), from: *from },
            Opened::Receiving { upload, .. } => Deed::Upload { path: upload.path().clone(), from: upload.offset() },
            Opened::Listing(_) => Deed::Listing,
        };
        let id = reporter.house.name_session();
        Arc::new(Transfer {
            reporter,
            id,
            begun: Instant::now(),
            deed,
            ascii,
            private,
            resumed_tls: OnceLock::new(),
            stored: OnceLock::new(),
            kept: OnceLock::new(),
            progress: OnceLock::new(),
        })
    }

    /// It runs, for everybody to see until what comes back is dropped.
    pub(super) fn show(self: &Arc<Self>, progress: &Arc<AtomicU64>) -> Shown {
        let _ = self.progress.set(Arc::clone(progress));
        let running: Arc<dyn Running> = Arc::<Self>::clone(self);
        self.reporter.present.show(running)
    }

    /// Its id in the log.
    pub(super) fn id(&self) -> SessionId {
        self.id
    }

    /// What its client says of itself.
    pub(super) fn agent(&self) -> Option<String> {
        self.reporter.present.client()
    }

    /// The data connection is under TLS; whether that resumed the session of the control connection.
    pub(super) fn note_tls(&self, resumed: bool) {
        let _ = self.resumed_tls.set(resumed);
    }

    /// The upload is in its place.
    pub(super) fn note_stored(&self, stored: Stored) {
        let _ = self.stored.set(stored);
    }

    /// So much of the upload is kept to be continued.
    pub(super) fn note_kept(&self, octets: Option<u64>) {
        if let Some(octets) = octets {
            let _ = self.kept.set(octets);
        }
    }

    /// It has ended. What comes back is what the client hears: another outcome than that if hooks could not be told.
    pub(super) async fn ended(self: &Arc<Self>, outcome: Outcome, progress: &AtomicU64) -> Outcome {
        let (octets, secs) = (progress.load(Ordering::Relaxed), self.begun.elapsed().as_secs_f64());
        let why = match outcome {
            Outcome::Aborted if self.reporter.present.pulse().is_sent_away() => {
                Some("the administrator ended the session".into())
            }
            Outcome::Aborted if self.reporter.house.spaces.is_leaving() => Some("the server closes".into()),
            _ => why(&outcome),
        };
        let (told, reason) = (Arc::clone(self), why.clone());
        net::put_off(move || told.log(octets, secs, reason.as_deref()));
        let (path, from, done, broken, direction) = match &self.deed {
            Deed::Listing => return outcome,
            Deed::Download { path, from } => (path, *from, Some(EventKind::Download), None, Direction::Out),
            Deed::Upload { path, from } => {
                let path = self.stored.get().map_or(path, |stored| &stored.path);
                (path, *from, Some(EventKind::Upload), Some(EventKind::UploadInterrupted), Direction::In)
            }
        };
        let Reporter { house, caller, member, .. } = &self.reporter;
        house.transfer_log.write(&Line {
            at: house.now(),
            secs,
            host: caller.peer.ip(),
            octets,
            path: path.as_bytes(),
            ascii: self.ascii,
            direction,
            account: member.guest_address().unwrap_or(&member.account),
            guest: member.guest_address().is_some(),
            complete: why.is_none(),
        });
        let Some(kind) = (if why.is_none() { done } else { broken }).filter(|_| self.reporter.has_hooks()) else {
            return outcome;
        };
        let size = self.stored.get().map(|stored| stored.size);
        let on_disk = (kind != EventKind::UploadInterrupted).then(|| self.reporter.on_disk(path)).flatten();
        let file = FileFacts { path: path.as_bytes().to_vec(), from: None, on_disk, size };
        let tls = self.private;
        let facts = TransferFacts { id: self.id, octets, secs, offset: from, tls, reason: why };
        match self.reporter.tell(kind, file, Some(facts)).await {
            Err(refusal) if outcome.is_success() => Outcome::Refused(refusal),
            _ => outcome,
        }
    }

    fn log(&self, octets: u64, secs: f64, why: Option<&str>) {
        let Reporter { caller: Caller { session, peer, .. }, member, .. } = &self.reporter;
        let (account, transfer) = (&*member.account, self.id);
        let tls = match (self.private, self.resumed_tls.get()) {
            (false, _) => "no",
            (true, Some(true)) => "resumed",
            (true, _) => "new",
        };
        match (&self.deed, why) {
            (Deed::Listing, None) => debug!(%session, %peer, account, %transfer, octets, secs, tls, "listing sent"),
            (Deed::Listing, Some(why)) => {
                info!(%session, %peer, account, %transfer, octets, secs, tls, why, "listing interrupted");
            }
            (Deed::Download { path, from }, why) => {
                let what = if why.is_none() { "file sent" } else { "download interrupted" };
                let file = shown(path.as_bytes());
                info!(%session, %peer, account, %transfer, file, octets, offset = from, secs, tls, why, "{what}");
            }
            (Deed::Upload { path, from }, None) => {
                let stored = self.stored.get();
                let (path, size) = (stored.map_or(path, |stored| &stored.path), stored.map(|stored| stored.size));
                let file = shown(path.as_bytes());
                info!(%session, %peer, account, %transfer, file, octets, offset = from, size, secs, tls, "file stored");
            }
            (Deed::Upload { path, from }, why) => {
                let (file, kept) = (shown(path.as_bytes()), self.kept.get());
                info!(%session, %peer, account, %transfer, file, octets, offset = from, kept, secs, tls, why,
                    "upload interrupted");
            }
        }
    }
}

impl Running for Transfer {
    fn line(&self) -> TransferLine {
        let octets = self.progress.get().map_or(0, |progress| progress.load(Ordering::Relaxed));
        let (direction, path) = match &self.deed {
            Deed::Download { path, .. } => ("download", Some(path)),
            Deed::Upload { path, .. } => ("upload", Some(path)),
            Deed::Listing => ("listing", None),
        };
        TransferLine {
            direction: direction.into(),
            path: path.map(|path| String::from_utf8_lossy(path.as_bytes()).into_owned()),
            octets,
            octets_per_second: (octets as f64 / self.begun.elapsed().as_secs_f64().max(0.001)) as u64,
        }
    }
}

/// A path in the log: octets that are no text are told by their numbers, and control characters do not begin lines.
fn shown(path: &[u8]) -> String {
    match str::from_utf8(path) {
        Ok(text) if !text.contains(char::is_control) => text.to_owned(),
        _ => path
            .utf8_chunks()
            .map(|chunk| escaped(chunk.valid()) + &chunk.invalid().escape_ascii().to_string())
            .collect(),
    }
}

fn escaped(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// Why a transfer did not come to its end.
fn why(outcome: &Outcome) -> Option<String> {
    Some(match outcome {
        Outcome::Completed { .. } | Outcome::Digested(_) | Outcome::Combined => return None,
        Outcome::Aborted => "the client aborted it or went away".into(),
        Outcome::NotConnected => "there was no data connection".into(),
        Outcome::WrongPeer => "somebody else than the client came to the data port".into(),
        Outcome::Broken => "the data connection broke".into(),
        Outcome::Garbled => "what came was no whole zlib stream".into(),
        Outcome::Truncated => "TLS ended without close_notify".into(),
        Outcome::Stalled(limit) => format!("nothing moved for {} s", limit.as_secs()),
        Outcome::TlsFailed => "TLS failed on the data connection".into(),
        Outcome::TlsNotResumed => "the data connection did not resume the TLS session".into(),
        Outcome::Refused(refusal) => words(*refusal).into(),
    })
}

fn words(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NotFound => "there is nothing of that name",
        Refusal::NotPermitted => "it is not permitted there",
        Refusal::IsADirectory => "it is a directory",
        Refusal::NotADirectory => "it is not a directory",
        Refusal::NotAFile => "it is no file with content",
        Refusal::Exists => "the name is taken",
        Refusal::NotEmpty => "the directory is not empty",
        Refusal::NameNotAllowed => "no file may have that name",
        Refusal::Quota => "the quota is used up",
        Refusal::TooLarge => "the file is too large",
        Refusal::Full => "the disk is full",
        Refusal::BadOffset => "the offset is beyond the end",
        Refusal::Busy => "another session is using it",
        Refusal::Interrupted { .. } => "an interrupted upload of it is in the way",
        Refusal::TooMany => "too many at once",
        Refusal::Unsupported => "the file system cannot do it",
        Refusal::IntoItself => "it lies in the directory that was to go there",
        Refusal::OtherSpace => "the two names are in different spaces",
        Refusal::Dismissed => "the account is closed",
        Refusal::TooCostly => "it would cost too much",
        Refusal::LocalError => "the server failed",
    }
}

/// What the client hears where the store cannot keep what hooks are to be told.
fn unkept(error: &CommitError) -> Refusal {
    match error {
        CommitError::Full => Refusal::Full,
        CommitError::Busy => Refusal::Busy,
        _ => Refusal::LocalError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_do_so_in_the_log() {
        assert_eq!(shown("/a b/Größe \\ \"☃\".txt".as_bytes()), "/a b/Größe \\ \"☃\".txt");
        assert_eq!(shown(b"/Gr\xfc\xdfe \xc3\xbc.txt"), r"/Gr\xfc\xdfe ü.txt");
        assert_eq!(shown(b"/a\nb\x1b[31m"), r"/a\nb\u{1b}[31m");
    }

    #[test]
    fn a_store_without_room_is_a_full_disk_for_clients_too() {
        assert_eq!(unkept(&CommitError::Full).reply().code(), 452);
        assert_eq!(unkept(&CommitError::Busy).reply().code(), 450);
        assert_eq!(unkept(&CommitError::Closed).reply().code(), 451);
    }
}

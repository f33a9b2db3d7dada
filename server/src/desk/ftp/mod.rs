//! The desk of FTP: an account's file space, a data line, and one transfer at a time.
//!
//! RFC 959 §3 (data connections); RFC 2577 (who may come to them); RFC 4217 §10 (TLS on them).
//!
//! ```text
//! Ask ─→ Desk ─→ files, on threads that may wait
//!          ├──→ Line: a port that waits, or an address to dial
//!          └──→ Work: a task of its own ─ends→ News::Ended
//! ```
//!
//! Invariants: whoever drops the desk stops its work, and an upload that was not whole is not committed; 226 for an upload
//! comes after its commit; a listing has the memory of two stretches, however long it is.
//! Not here: what is said (ftp), octets on their way (net), what is on the disk and who may (files).

mod entry;
mod filter;
mod haste;
mod listing;
mod member;
mod receive;
mod report;
mod shown;
mod transfer;
mod visit;
mod work;

use super::door::{self, Caller};
use crate::hooks::EventKind;
use crate::house::{House, chance};
use crate::judgement::OpenSession;
use crate::sessions::Present;
use crate::settings::Settings;
use files::{Algorithm, Error, JailedPath, Space};
use ftp::hash::HashKind;
use ftp::path::VirtualPath;
use ftp::server::ask::{Denied, HostRefusal, Login, Transfer, Welcome};
use ftp::server::{Answer, Ask, News, Server};
use ftp::{Change, Moment, Outcome, Refusal};
use haste::Haste;
use member::{Member, NoSpace};
use net::{DataPort, ServerTls};
use report::{No, Reporter};
use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::{Duration, Instant, UNIX_EPOCH};
use tracing::{info, warn};
use work::Work;

pub use member::GUEST;
pub use shown::OwnName;

/// How long we wait for the client's data connection, or for an answer where we dial: some round trips over bad lines.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(30);

/// Where the client is, and how it came to us.
pub struct Line {
    /// Our end of the control connection as the system has it: data connections go from there.
    pub local: SocketAddr,
    /// The address that the client has dialled, which a proxy may have told us.
    pub dialled: IpAddr,
    /// Where our name leads to.
    pub own_name: Arc<OwnName>,
    /// With tickets of this session alone.
    pub tls: ServerTls,
    /// The control connection, for a look whether the client is still there.
    pub control: Option<OwnedFd>,
    /// What others are told of it.
    pub present: Arc<Present>,
}

/// One session's desk.
pub struct Desk {
    house: Arc<House>,
    line: Arc<Line>,
    /// As they were when the client came.
    settings: Arc<Settings>,
    member: Option<Arc<Member>>,
    data: DataEnd,
    haste: Haste,
    work: Option<Work>,
    /// Counted as one of all sessions of FTP.
    _open: OpenSession,
}

/// What the next transfer uses.
#[derive(Default)]
enum DataEnd {
    #[default]
    Nothing,
    /// The client will come here. Boxed, for it is seldom there, and who idles has a desk.
    Port(Box<DataPort>),
    /// We will dial there.
    Dial(SocketAddr),
    /// The client has come, just now.
    Here(std::net::TcpStream),
}

impl Desk {
    /// A desk for one session.
    pub fn new(house: Arc<House>, line: Line, open: OpenSession) -> Self {
        let settings = house.settings();
        let (line, data, haste) = (Arc::new(line), DataEnd::default(), Haste::default());
        Desk { house, line, settings, member: None, data, haste, work: None, _open: open }
    }

    fn caller(&self) -> Caller {
        self.line.present.caller()
    }

    async fn log_in(&mut self, login: Login) -> Result<Welcome, Denied> {
        self.log_out();
        let login = Login { user: self.whom(login.user, login.host.clone()), ..login };
        if let Some(client) = &login.client {
            self.line.present.name_client(client);
        }
        let let_in = Member::log_in(&self.house, &self.caller(), login).await;
        let (member, welcome) = let_in.inspect_err(|_| self.line.present.log_out())?;
        // Guests have come through no door.
        self.line.present.log_in(Arc::clone(&member.account));
        self.member = Some(Arc::new(member));
        Ok(welcome)
    }

    /// RFC 7151 §3: at a host of ours a name without a domain is one of its domain.
    fn whom(&self, user: String, host: Option<String>) -> String {
        let domain = host.filter(|_| !user.contains('@')).and_then(|host| self.domain_of(&host));
        domain.map_or(user.clone(), |domain| format!("{user}@{domain}"))
    }

    /// The domain whose files are at this host: its own name, or with `ftp` before it.
    fn domain_of(&self, host: &str) -> Option<String> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let (directory, bare) = (self.house.directory(), host.strip_prefix("ftp."));
        [Some(&*host), bare].into_iter().flatten().find(|name| directory.domain(name).is_some()).map(str::to_owned)
    }

    fn log_out(&mut self) {
        self.hang_up();
        self.line.present.log_out();
        self.member = None;
    }

    /// Closes the data line and stops what runs.
    fn hang_up(&mut self) {
        self.data = DataEnd::Nothing;
        if let Some(work) = &mut self.work {
            work.stop();
        }
    }

    async fn listen(&mut self) -> Answer {
        self.data = DataEnd::Nothing;
        let number = || u64::from_le_bytes(chance());
        let client = (!self.settings.ftp.foreign_data).then_some(self.caller().peer.ip());
        match DataPort::open(self.line.local, self.settings.ftp.passive_ports, client, number) {
            Ok(port) => {
                let number = port.address().port();
                self.data = DataEnd::Port(Box::new(port));
                let (configured, peer) = (self.settings.ftp.public_address, self.caller().peer.ip());
                let shown = shown::address(configured, self.line.dialled, peer, &self.line.own_name).await;
                Answer::Listening(SocketAddr::new(shown, number))
            }
            Err(error) => {
                let ports = self.settings.ftp.passive_ports.map(|range| range.to_string());
                warn!(session = %self.caller().session, ports, %error, "no port for a data connection; see ftp.passive_ports");
                Answer::Refused(Refusal::LocalError)
            }
        }
    }

    /// Opens what is to be transferred; then the data line is used up.
    async fn begin(&mut self, transfer: Transfer) -> Answer {
        let Some(member) = self.member.clone() else { return Answer::Refused(Refusal::NotPermitted) };
        let Transfer { errand, ascii, deflate, private } = transfer;
        // A handshake costs more than threads do, and is waited for by the reactor.
        if !private {
            self.haste.note(Instant::now());
        }
        let (reporter, wanted) = (self.reporter(&member), errand.clone());
        let opened = {
            let (reporter, now) = (reporter.clone(), Moment::from_unix_secs(self.house.now()));
            match transfer::open_at_once(&member, &errand) {
                Some(opened) => Ok(opened),
                None => blocking(move || transfer::open(&reporter, errand, now)).await,
            }
        };
        let errand = match opened {
            Ok(errand) => errand,
            Err(no) => {
                reporter.refused(&wanted, &no);
                return Answer::Refused(no.refusal);
            }
        };
        if let DataEnd::Port(port) = &mut self.data
            && let Ok(Some(stream)) = port.look()
        {
            let port = std::mem::replace(&mut self.data, DataEnd::Here(stream));
            net::put_off(|| drop(port));
        }
        let begun = errand.begun(matches!(self.data, DataEnd::Here(_)));
        let job = transfer::Job {
            record: report::Transfer::new(reporter, &errand, ascii, private),
            caller: self.caller(),
            line: Arc::clone(&self.line),
            errand,
            data: std::mem::take(&mut self.data),
            ascii,
            deflate,
            private,
            must_resume: self.settings.ftp.data_must_resume,
            stall: self.settings.ftp.stall_limit,
            throttle: member.visit.throttle.clone(),
        };
        self.work = Some(Work::begin(|progress, stopped| job.run(progress, stopped)).await);
        Answer::Begun(begun)
    }

    fn reporter(&self, member: &Arc<Member>) -> Reporter {
        let (house, present) = (Arc::clone(&self.house), Arc::clone(&self.line.present));
        Reporter { house, caller: self.caller(), member: Arc::clone(member), present }
    }

    async fn digest(&mut self, path: VirtualPath, kind: HashKind, from: u64, until: Option<u64>) -> Answer {
        let Some(member) = self.member.clone() else { return Answer::Refused(Refusal::NotPermitted) };
        let opened = {
            let (member, path) = (Arc::clone(&member), path.clone());
            blocking(move || match member.space.open_to_sum(&jailed(&path)?)? {
                summand if from > summand.size => Err(No::from(Refusal::BadOffset)),
                summand => Ok(summand),
            })
            .await
        };
        let reporter = self.reporter(&member);
        let summand = match opened {
            Ok(summand) => summand,
            Err(no) => {
                let refusal = no.refusal;
                reporter.changed("file hashed", path.as_bytes(), None, &Err(no));
                return Answer::Refused(refusal);
            }
        };
        let until = until.map_or(summand.size, |until| until.min(summand.size));
        self.work = Some(Work::begin_blocking(move |stop| {
            let (outcome, hashed) = match summand.sum(algorithm(kind), from..until, stop).map_err(No::from) {
                Ok(sum) => (Outcome::Digested(ftp::Digest { octets: sum.as_bytes().to_vec(), from, until }), Ok(())),
                Err(no) if no.refusal == Refusal::Busy => (Outcome::Aborted, Err(no)),
                Err(no) => (Outcome::Refused(no.refusal), Err(no)),
            };
            reporter.changed("file hashed", path.as_bytes(), None, &hashed);
            outcome
        }));
        Answer::Done
    }

    fn combine(&mut self, whole: VirtualPath, parts: Vec<VirtualPath>) -> Answer {
        let Some(member) = self.member.clone() else { return Answer::Refused(Refusal::NotPermitted) };
        let (reporter, runtime) = (self.reporter(&member), tokio::runtime::Handle::current());
        self.work = Some(Work::begin_blocking(move |_| {
            let combined = jailed(&whole).map_err(No::from).and_then(|target| {
                let parts = parts.iter().map(jailed).collect::<Result<Vec<_>, _>>()?;
                reporter.room_for_hooks(&target)?;
                Ok(member.space.combine(&target, &parts)?)
            });
            match combined {
                Ok(stored) => {
                    reporter.changed("files combined", stored.path.as_bytes(), None, &Ok(()));
                    // What was put together is a new file, however its parts came.
                    runtime
                        .block_on(reporter.tell_of_file(EventKind::Upload, &stored.path, None, Some(stored.size)))
                        .map_or_else(Outcome::Refused, |()| Outcome::Combined)
                }
                Err(no) => {
                    let refusal = no.refusal;
                    reporter.changed("files combined", whole.as_bytes(), None, &Err(no));
                    Outcome::Refused(refusal)
                }
            }
        }));
        Answer::Done
    }

    /// Does something in the member's space, on a thread that may wait.
    async fn in_space<F>(&self, doing: F) -> Answer
    where
        F: FnOnce(&Member) -> Result<Answer, Refusal> + Send + 'static,
    {
        let Some(member) = self.member.clone() else { return Answer::Refused(Refusal::NotPermitted) };
        blocking(move || doing(&member)).await.unwrap_or_else(Answer::Refused)
    }

    /// The same for what changes something: it is logged, and hooks are told.
    async fn change<F>(&self, change: Made, path: VirtualPath, to: Option<VirtualPath>, doing: F) -> Answer
    where
        F: FnOnce(&Space, &JailedPath) -> Result<(), Error> + Send + 'static,
    {
        let Some(member) = self.member.clone() else { return Answer::Refused(Refusal::NotPermitted) };
        let reporter = self.reporter(&member);
        let made = {
            let path = path.clone();
            blocking(move || Ok(doing(&member.space, &jailed(&path)?)?)).await
        };
        reporter.changed(change.what, path.as_bytes(), to.as_ref().map(VirtualPath::as_bytes), &made);
        if let Err(no) = made {
            return Answer::Refused(no.refusal);
        }
        let told = match (change.kind, to.as_ref().map_or((&path, None), |to| (to, Some(&path)))) {
            (None, _) => Ok(()),
            (Some(kind), (now, before)) => match jailed(now) {
                Ok(now) => reporter.tell_of_file(kind, &now, before, None).await,
                Err(refusal) => Err(refusal),
            },
        };
        told.map_or_else(Answer::Refused, |()| Answer::Done)
    }

    /// MFMT, SITE CHMOD and their kin.
    async fn set(&self, path: VirtualPath, change: Change) -> Answer {
        let Some(member) = self.member.clone() else { return Answer::Refused(Refusal::NotPermitted) };
        let (reporter, what) = (self.reporter(&member), if change.mode.is_some() { "mode set" } else { "time set" });
        let set = {
            let path = path.clone();
            blocking(move || set(&member, &jailed(&path)?, change)).await
        };
        let (answer, made) = match set {
            Ok(answer) => (answer, Ok(())),
            Err(no) => (Answer::Refused(no.refusal), Err(no)),
        };
        reporter.changed(what, path.as_bytes(), None, &made);
        answer
    }

    async fn overview(&self, path: VirtualPath, itself: bool, entries_max: usize) -> Answer {
        let now = Moment::from_unix_secs(self.house.now());
        self.in_space(move |member| {
            let overview = listing::overview(member, &jailed(&path)?, itself, entries_max, now)?;
            Ok(Answer::Overview(overview))
        })
        .await
    }

    async fn host(&self, name: &str) -> Result<Option<String>, HostRefusal> {
        match self.domain_of(name) {
            Some(domain) => Ok(Some(format!("Files of {domain}."))),
            None if name.eq_ignore_ascii_case(&self.house.host().to_string()) => Ok(None),
            None => Err(HostRefusal::Unknown),
        }
    }

    async fn answer_member(&mut self, ask: Ask) -> Answer {
        if let Some(member) = &self.member {
            match member.renewed(&self.house, &self.caller()).await {
                Ok(member) => self.member = Some(member),
                Err(NoSpace::Nothing) => {
                    let Caller { session, .. } = self.caller();
                    info!(%session, account = &*member.account, "sent away: there is nothing here for it any more");
                    return Answer::Refused(Refusal::Dismissed);
                }
                Err(NoSpace::Failed) => return Answer::Refused(Refusal::LocalError),
            }
        }
        match ask {
            Ask::Begin(transfer) => self.begin(transfer).await,
            Ask::Digest { path, kind, from, until } => self.digest(path, kind, from, until).await,
            Ask::Combine { whole, parts } => self.combine(whole, parts),
            Ask::Enter(path) => {
                self.in_space(move |member| {
                    member.space.enter(&jailed(&path)?).map_err(refusal)?;
                    Ok(Answer::Done)
                })
                .await
            }
            Ask::Stat(path) => {
                self.in_space(move |member| {
                    let entry = member.space.stat(&jailed(&path)?).map_err(refusal)?;
                    Ok(Answer::Entry(entry::owned(member.clerk.reached(&entry))))
                })
                .await
            }
            Ask::Kept(path) => {
                self.in_space(move |member| {
                    // Whoever may not store there is told what everybody is: that nothing is there.
                    let kept = member.space.kept(&jailed(&path)?).ok().flatten();
                    kept.map(Answer::Kept).ok_or(Refusal::NotFound)
                })
                .await
            }
            Ask::Overview { path, itself, entries_max } => self.overview(path, itself, entries_max).await,
            Ask::MakeDirectory(path) => {
                self.change(Made::silently("directory made"), path, None, Space::make_directory).await
            }
            Ask::RemoveDirectory(path) => {
                self.change(Made::silently("directory removed"), path, None, Space::remove_directory).await
            }
            Ask::Delete(path) => {
                let removed = Made { what: "file removed", kind: Some(EventKind::Delete) };
                self.change(removed, path, None, Space::remove).await
            }
            Ask::Rename { from, to } => {
                let (renamed, new) = (Made { what: "file renamed", kind: Some(EventKind::Rename) }, to.clone());
                let doing = move |space: &Space, from: &JailedPath| space.rename(from, &jailed_or_error(&to)?);
                self.change(renamed, from, Some(new), doing).await
            }
            Ask::Change { path, change } => self.set(path, change).await,
            Ask::Link { target, link } => {
                let doing = move |space: &Space, link: &JailedPath| space.link(&jailed_or_error(&target)?, link);
                self.change(Made::silently("link made"), link, None, doing).await
            }
            Ask::Space(path) => {
                self.in_space(move |member| {
                    let path = jailed(&path)?;
                    member.space.enter(&path).map_err(refusal)?;
                    Ok(Answer::Space(member.space.room(&path).map_err(refusal)?.bytes()))
                })
                .await
            }
            Ask::Fits { directory, octets } => {
                self.in_space(move |member| fits(member, &jailed(&directory)?, octets)).await
            }
            // Those of strangers were answered before.
            _ => Answer::Refused(Refusal::LocalError),
        }
    }
}

impl net::Desk<Server> for Desk {
    async fn answer(&mut self, ask: Box<Ask>) -> Answer {
        match *ask {
            Ask::Host(name) => Answer::Host(self.host(&name).await),
            // Boxed: large, rare, and not what an idle connection should carry.
            Ask::Login(login) => Answer::Login(Box::pin(self.log_in(login)).await),
            Ask::Client(name) => {
                self.line.present.name_client(&name);
                Answer::Done
            }
            Ask::Logout => {
                self.log_out();
                Answer::Done
            }
            Ask::Listen(_) => Box::pin(self.listen()).await,
            Ask::Active(address) => {
                self.data = DataEnd::Dial(address);
                Answer::Done
            }
            Ask::Progress => Answer::Progress(self.work.as_ref().map_or(0, Work::octets)),
            Ask::Abort => {
                self.hang_up();
                Answer::Done
            }
            ask => Box::pin(self.answer_member(ask)).await,
        }
    }

    async fn keep(&mut self, _content: &mut Vec<u8>) {}

    /// By hand: who idles waits for it, and should carry as little as can be.
    fn news(&mut self) -> impl Future<Output = News> + Send {
        poll_fn(|cx| {
            let Some(work) = &mut self.work else { return Poll::Pending };
            let outcome = ready!(work.poll_ended(cx));
            self.work = None;
            Poll::Ready(News::Ended(outcome))
        })
    }

    /// Its port, its place among the sessions, and what still runs.
    fn over(&mut self) {
        self.log_out();
        self.work = None;
    }

    fn is_in_haste(&self) -> bool {
        self.haste.expects_more(Instant::now())
    }
}

/// A change of what is there: how the log calls it, and what hooks are told.
struct Made {
    what: &'static str,
    kind: Option<EventKind>,
}

impl Made {
    /// One that no hook is told of.
    fn silently(what: &'static str) -> Self {
        Made { what, kind: None }
    }
}

/// Does what may wait for the disk.
async fn blocking<T, E>(doing: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<Refusal> + Send + 'static,
{
    visit::short(doing).await.unwrap_or_else(|| Err(Refusal::LocalError.into()))
}

fn set(member: &Member, path: &JailedPath, change: Change) -> Result<Answer, No> {
    if change.created.is_some() {
        return Err(Refusal::Unsupported.into());
    }
    if let Some(modified) = change.modified {
        let secs = modified.unix_secs();
        let age = Duration::from_secs(secs.unsigned_abs());
        let time = if secs < 0 { UNIX_EPOCH.checked_sub(age) } else { UNIX_EPOCH.checked_add(age) };
        member.space.set_modified(path, time.ok_or(Refusal::Unsupported)?)?;
    }
    if let Some(mode) = change.mode {
        member.space.set_mode(path, mode)?;
    }
    let entry = member.space.stat(path)?;
    let facts = member.clerk.reached(&entry);
    Ok(Answer::Changed(Change {
        modified: change.modified.map(|_| facts.modified),
        created: None,
        mode: change.mode.map(|_| facts.mode),
    }))
}

fn fits(member: &Member, directory: &JailedPath, octets: u64) -> Result<Answer, Refusal> {
    let room = member.space.room(directory).map_err(refusal)?;
    match octets {
        _ if octets <= room.bytes() => Ok(Answer::Done),
        _ if room.quota_bytes.is_some_and(|quota| quota < octets) => Err(Refusal::Quota),
        _ => Err(Refusal::Full),
    }
}

/// A path that the session has resolved, as the files have it.
fn jailed(path: &VirtualPath) -> Result<JailedPath, Refusal> {
    jailed_or_error(path).map_err(refusal)
}

fn jailed_or_error(path: &VirtualPath) -> Result<JailedPath, Error> {
    Ok(JailedPath::parse(path.as_bytes(), &JailedPath::root())?)
}

fn virtual_path(path: &JailedPath) -> VirtualPath {
    let wire = ftp::WirePath::new(path.as_bytes());
    wire.and_then(|path| VirtualPath::root().resolve(&path).ok()).unwrap_or_else(VirtualPath::root)
}

/// What the client hears of it; what failed in the world is in the log, too.
fn refusal(error: Error) -> Refusal {
    match error {
        Error::NotFound => Refusal::NotFound,
        Error::AlreadyExists => Refusal::Exists,
        Error::NotADirectory => Refusal::NotADirectory,
        Error::IsADirectory => Refusal::IsADirectory,
        Error::NotAFile => Refusal::NotAFile,
        Error::NotEmpty => Refusal::NotEmpty,
        Error::Denied(_) | Error::HostDenied | Error::Fixed | Error::Mode => Refusal::NotPermitted,
        // Who asks learns nothing of what is outside.
        Error::Outside | Error::TooManyLinks => Refusal::NotFound,
        Error::Reserved | Error::Path(_) => Refusal::NameNotAllowed,
        Error::IntoItself => Refusal::IntoItself,
        Error::AcrossMounts => Refusal::OtherSpace,
        Error::QuotaExceeded => Refusal::Quota,
        Error::DiskFull => Refusal::Full,
        Error::OffsetBeyondEnd { .. } => Refusal::BadOffset,
        Error::Interrupted { kept } => Refusal::Interrupted { kept },
        Error::Busy => Refusal::Busy,
        Error::Stopped | Error::Io(_) => {
            warn!(%error, "a file space failed");
            Refusal::LocalError
        }
    }
}

fn algorithm(kind: HashKind) -> Algorithm {
    match kind {
        HashKind::Crc32 => Algorithm::Crc32,
        HashKind::Md5 => Algorithm::Md5,
        HashKind::Sha1 => Algorithm::Sha1,
        HashKind::Sha256 => Algorithm::Sha256,
        HashKind::Sha512 => Algorithm::Sha512,
    }
}

fn denied(denied: sasl::server::Denied) -> Denied {
    match denied {
        sasl::server::Denied::Credentials => Denied::Credentials,
        sasl::server::Denied::Throttled => Denied::Throttled,
        sasl::server::Denied::Temporary => Denied::Temporary,
        sasl::server::Denied::Policy(why) => Denied::Policy(why),
    }
}

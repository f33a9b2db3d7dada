//! Who is here: a note of each session of every service, for administrators to look at and to send away.
//!
//! ```text
//! serve ─enter, close→ Sessions ─list, send_away─ administrators
//!                  │ Present ─Pulse→ its conversation (net)
//! door, desks ─who it is, what runs─┘
//! ```
//!
//! Invariants: all sessions meet in one lock when they come, go, or log in, and never between; what a session says of itself later takes a
//! lock of its own, which others hold for a look; a note costs a session some 200 octets.
//! Not here: how a session hears that it is over (net), how many there may be (judgement), how a list looks (app).

use crate::control::{SessionFilter, SessionLine, TransferLine};
use crate::desk::door::Caller;
use crate::house::SessionId;
use net::Pulse;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So much of what a client says of itself is kept, in letters.
const CLIENT_MAX: usize = 200;

/// All sessions that are here.
#[derive(Default)]
pub struct Sessions(Mutex<Here>);

#[derive(Default)]
struct Here {
    present: BTreeMap<SessionId, Arc<Present>>,
    /// Whoever comes now hears it at once.
    house_closes: bool,
}

/// A session that is here.
pub struct Present {
    caller: Caller,
    pulse: Arc<Pulse>,
    known: Mutex<Known>,
}

/// What a session has told of itself.
#[derive(Default)]
struct Known {
    account: Option<Arc<str>>,
    client: Option<Box<str>>,
    running: Option<Arc<dyn Running>>,
}

/// What runs for a session, beside its dialogue.
pub trait Running: Send + Sync {
    /// What it is, and how far it has come.
    fn line(&self) -> TransferLine;
}

/// The note of a session, taken away when this is dropped.
pub struct Entry {
    sessions: Arc<Sessions>,
    present: Arc<Present>,
}

impl Entry {
    /// What is noted.
    pub fn present(&self) -> &Arc<Present> {
        &self.present
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        lock(&self.sessions.0).present.remove(&self.present.caller.session);
    }
}

impl Sessions {
    /// Notes a session that has just come.
    pub fn enter(self: &Arc<Self>, caller: Caller) -> Entry {
        let present = Arc::new(Present { caller, pulse: Arc::default(), known: Mutex::default() });
        let mut here = lock(&self.0);
        if here.house_closes {
            present.pulse.house_closes();
        }
        here.present.insert(caller.session, Arc::clone(&present));
        drop(here);
        Entry { sessions: Arc::clone(self), present }
    }

    /// The session of this name, if it is here.
    pub fn find(&self, session: SessionId) -> Option<Arc<Present>> {
        lock(&self.0).present.get(&session).cloned()
    }

    /// The house begins to close: all that are here are to end, and whoever comes yet.
    pub fn close(&self) {
        let mut here = lock(&self.0);
        here.house_closes = true;
        here.present.values().for_each(|present| present.pulse.house_closes());
    }

    /// Those that fit, in the order in which they came, and how many more than `most` there are.
    pub fn list(&self, only: &SessionFilter, most: usize, now: i64) -> (Vec<SessionLine>, usize) {
        let fitting = self.fitting(|present| present.fits(only));
        let left_out = fitting.len().saturating_sub(most);
        (fitting.iter().take(most).map(|present| present.line(now)).collect(), left_out)
    }

    /// Sends those away that fit and are not on their way already; who they are.
    pub fn send_away(&self, only: &SessionFilter) -> Vec<Arc<Present>> {
        let fitting = self.fitting(|present| present.fits(only) && !present.pulse.is_sent_away());
        fitting.iter().for_each(|present| present.pulse.send_away());
        fitting
    }

    /// Sends those away that have these names, as the log writes them; who they are, and which names nobody has.
    pub fn send_named_away<'n>(&self, names: &'n [String]) -> (Vec<Arc<Present>>, Vec<&'n str>) {
        let mut unknown: HashSet<&str> = names.iter().map(String::as_str).collect();
        let named = self.fitting(|present| unknown.remove(&*present.caller.session.to_string()));
        named.iter().for_each(|present| present.pulse.send_away());
        let unknown = names.iter().map(String::as_str).filter(|name| unknown.remove(name)).collect();
        (named, unknown)
    }

    fn fitting(&self, mut fits: impl FnMut(&Present) -> bool) -> Vec<Arc<Present>> {
        // Nobody should wait at the door until all are looked at.
        let all: Vec<_> = lock(&self.0).present.values().cloned().collect();
        all.into_iter().filter(|present| fits(present)).collect()
    }
}

impl Present {
    /// Who is at the other end, whoever has logged in.
    pub fn caller(&self) -> Caller {
        self.caller
    }

    /// How its conversation goes on.
    pub fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    /// Who is logged in.
    pub fn account(&self) -> Option<Arc<str>> {
        lock(&self.known).account.clone()
    }

    /// Somebody is in now.
    pub fn log_in(&self, account: Arc<str>) {
        lock(&self.known).account = Some(account);
    }

    /// Nobody is any more.
    pub fn log_out(&self) {
        lock(&self.known).account = None;
    }

    /// What the client says of itself.
    pub fn client(&self) -> Option<String> {
        lock(&self.known).client.clone().map(String::from)
    }

    /// The client has said what it is.
    pub fn name_client(&self, name: &str) {
        let name: String = name.chars().take(CLIENT_MAX).collect();
        lock(&self.known).client = (!name.is_empty()).then(|| name.into());
    }

    /// Something runs, until what comes back is dropped.
    pub fn show(self: &Arc<Self>, running: Arc<dyn Running>) -> Shown {
        lock(&self.known).running = Some(running);
        Shown(Arc::clone(self))
    }

    fn fits(&self, only: &SessionFilter) -> bool {
        let SessionFilter { account, service, peer } = only;
        let is_whose = |wanted: &String| self.account().is_some_and(|account| account.eq_ignore_ascii_case(wanted));
        service.as_ref().is_none_or(|wanted| self.is_of(wanted))
            && peer.is_none_or(|wanted| self.caller.peer.ip().to_canonical() == wanted.to_canonical())
            && account.as_ref().is_none_or(is_whose)
    }

    /// `imap` is what begins in clear and what does not, `imaps` the latter alone.
    fn is_of(&self, service: &str) -> bool {
        let Caller { purpose, .. } = self.caller;
        let name = purpose.name();
        name == service || purpose.is_tls_implicit() && name.strip_suffix('s') == Some(service)
    }

    fn line(&self, now: i64) -> SessionLine {
        let (account, client, running) = {
            let Known { account, client, running } = &*lock(&self.known);
            (account.clone(), client.clone(), running.clone())
        };
        let transfer = running.map(|running| running.line());
        let Caller { session, peer, purpose } = self.caller;
        SessionLine {
            session: session.to_string(),
            service: purpose.name().into(),
            account: account.map(|account| account.to_string()),
            peer: peer.to_string(),
            tls: self.pulse.is_protected(),
            since: now.saturating_sub_unsigned(self.pulse.age().as_secs()),
            idle_secs: transfer.is_none().then(|| self.pulse.silence().as_secs()),
            client: client.map(String::from),
            transfer,
            ending: self.pulse.is_sent_away(),
        }
    }
}

/// That something runs. It does no longer when this is dropped.
pub struct Shown(Arc<Present>);

impl Drop for Shown {
    fn drop(&mut self) {
        lock(&self.0.known).running = None;
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Purpose;
    use line::Leave;

    /// Three: Joe by IMAP, Joe by FTP from elsewhere, somebody by SMTP.
    fn three() -> (Arc<Sessions>, Vec<Entry>) {
        let sessions = Arc::<Sessions>::default();
        let come = |number, peer: &str, purpose, account: Option<&str>| {
            let (session, peer) = (SessionId(number), peer.parse().expect("an address"));
            let entry = sessions.enter(Caller { session, peer, purpose });
            account.into_iter().for_each(|account| entry.present().log_in(account.into()));
            entry
        };
        let entries = vec![
            come(1, "192.0.2.1:4001", Purpose::Imaps, Some("joe@example.org")),
            come(2, "[2001:db8::7]:4002", Purpose::Ftp, Some("joe@example.org")),
            come(3, "192.0.2.1:4003", Purpose::Smtp, None),
        ];
        (sessions, entries)
    }

    fn listed(sessions: &Sessions, only: &SessionFilter) -> Vec<String> {
        sessions.list(only, 10, 0).0.into_iter().map(|line| line.peer).collect()
    }

    #[test]
    fn filters_leave_those_to_whom_all_of_them_apply() {
        let (sessions, _entries) = three();
        let (imap, ftp, smtp) = ("192.0.2.1:4001", "[2001:db8::7]:4002", "192.0.2.1:4003");
        let only = |account: Option<&str>, service: Option<&str>, peer: Option<&str>| SessionFilter {
            account: account.map(str::to_owned),
            service: service.map(str::to_owned),
            peer: peer.map(|peer| peer.parse().expect("an address")),
        };
        assert_eq!(listed(&sessions, &only(None, None, None)), [imap, ftp, smtp]);
        assert_eq!(listed(&sessions, &only(Some("Joe@Example.org"), None, None)), [imap, ftp]);
        assert_eq!(listed(&sessions, &only(None, None, Some("::ffff:192.0.2.1"))), [imap, smtp]);
        assert_eq!(listed(&sessions, &only(Some("joe@example.org"), None, Some("2001:db8::7"))), [ftp]);
        for (service, found) in [("imap", vec![imap]), ("imaps", vec![imap]), ("ftp", vec![ftp]), ("ftps", vec![])] {
            assert_eq!(listed(&sessions, &only(None, Some(service), None)), found, "{service}");
        }
    }

    #[test]
    fn a_list_is_bounded_and_says_how_many_it_leaves_out() {
        let (sessions, mut entries) = three();
        let (lines, left_out) = sessions.list(&SessionFilter::default(), 2, 0);
        assert_eq!((lines.len(), left_out), (2, 1));
        entries.remove(0);
        assert_eq!(listed(&sessions, &SessionFilter::default()).len(), 2, "who has gone is not listed");
    }

    #[test]
    fn who_is_named_is_sent_away_and_nobody_else() {
        let (sessions, entries) = three();
        let names = [SessionId(2).to_string(), "nobody".into(), "nobody".into()];
        let (ended, unknown) = sessions.send_named_away(&names);
        assert_eq!((ended.len(), unknown), (1, vec!["nobody"]));
        let ending: Vec<bool> = entries.iter().map(|entry| entry.present().pulse().is_sent_away()).collect();
        assert_eq!(ending, [false, true, false]);
    }

    #[test]
    fn a_house_that_closes_says_so_to_all_and_to_whoever_comes_yet() {
        let (sessions, entries) = three();
        entries[0].present().pulse().send_away();
        sessions.close();
        let caller = Caller { session: SessionId(4), ..entries[0].present().caller() };
        let late = sessions.enter(caller);
        let leave = |entry: &Entry| entry.present().pulse().leave();
        let (away, closes) = (Some(Leave::SentAway), Some(Leave::HouseCloses));
        assert_eq!(entries.iter().chain([&late]).map(leave).collect::<Vec<_>>(), [away, closes, closes, closes]);
    }

    #[test]
    fn what_a_client_says_of_itself_is_bounded() {
        let (sessions, entries) = three();
        entries[0].present().name_client(&"é".repeat(1000));
        let client = sessions.list(&SessionFilter::default(), 1, 0).0.remove(0).client.expect("named");
        assert_eq!(client.chars().count(), CLIENT_MAX);
    }

    #[test]
    fn a_note_costs_some_200_octets() {
        // Each is counted by two words more, and has its place in a tree.
        let cost = size_of::<Present>() + size_of::<Pulse>() + 4 * size_of::<usize>();
        assert!(cost <= 216, "{cost}");
    }
}

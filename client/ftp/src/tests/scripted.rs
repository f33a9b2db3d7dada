//! A server that plays its part of a dialogue word by word, and behind any octet of it does something else.
//!
//! In a dialogue, `S:` is what it says, `C:` what it must be told then, `D:` what it sends over the data connection that it made
//! `$port` for, before it closes that, `D<` what it takes from there. `D!` closes it without the farewell that
//! TLS has for that. From `T:` on it speaks TLS, for data as well.

use super::wire::{self, Clock, Life, Toll, Wire};
use super::{mirror, names};
use crate::connection::Connection;
use crate::error::{Ending, Error};
use crate::fetch::{Fetch, Fetched};
use crate::send::{Send, Sent};
use crate::site::{Safety, Site};
use crate::{Action, Crew, Plan, Url};
use ftp::client::End;
use futures_util::future::join_all;
use net::{ClientTls, Identity, ServerTls};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What is fetched and sent; short, because it is cut at every octet.
pub(super) const CONTENT: &str = "pea soup, roast chicken, plum cake";

/// Longer than any wait of the client's.
const BOUNDED: Duration = Duration::from_secs(60 * 60);

const LOGIN: &str = "S: 220-hello\nS:  there\nS: 220 ready\nC: USER bob\nS: 331 password?\nC: PASS hungry\nS: 230 in\nC: FEAT\nC: TYPE I\n\
                     S: 211-Features\nS:  SIZE\nS:  MLST type*;size*;\nS: 211 End\nS: 200 octets\n";

pub(super) const FETCH: &str = "C: EPSV\nC: SIZE menu\nC: MDTM menu\nS: 229 (|||$port|)\nS: 213 34\nS: 213 20260710101833\nC: RETR menu\nS: 150 here\n\
                     D: pea soup, roast chicken, plum cake\nS: 226 done\nC: QUIT\nS: 221 bye";

pub(super) const SEND: &str = "C: EPSV\nS: 229 (|||$port|)\nC: STOR .menu\nS: 150 send\nD<\nS: 226 done\nC: SIZE .menu\n\
                    C: RNFR .menu\nS: 213 34\nS: 350 and now?\nC: RNTO menu\nS: 250 renamed\nC: QUIT\nS: 221 bye";

const LIST: &str = "C: EPSV\nS: 229 (|||$port|)\nC: MLSD\nS: 150 here\nD: type=file;size=34; menu\\r\\n\nS: 226 done\nC: QUIT\n\
                    S: 221 bye";

/// Lines of a reply that does not end.
const LINES: &str = "200-Whoever comes here for the first time may want to know that there is plum cake on Sundays, and that \
                     the soup is made of what the garden has brought, which is why nobody can tell what it will be.\r\n";

/// What it does behind its last word.
#[derive(Debug, Clone)]
pub(super) enum Then {
    /// Ends all connections.
    HangsUp,
    /// The same in good order: under TLS by close_notify.
    Leaves,
    /// Keeps them, and says nothing.
    Stalls,
    /// Says this, and hangs up.
    Says(&'static str),
    /// Says this for ever.
    Repeats(&'static str),
}

pub(super) struct Scripted {
    port: u16,
    /// How many octets have moved when each step of the last dialogue was done.
    steps: Arc<Mutex<Vec<usize>>>,
    /// What was told to it, and sent.
    told: Arc<Mutex<String>>,
    /// What it can be trusted by, and when TLS begins.
    safety: (Safety, ClientTls),
    /// Released when it stalls.
    clock: Clock,
    _life: watch::Sender<()>,
}

/// How its connections come about.
#[derive(Clone, Default)]
struct Ways {
    tls: Option<ServerTls>,
    toll: Option<Toll>,
}

/// One connection.
struct Part {
    control: Wire,
    ways: Ways,
    sealed: bool,
    heard: Vec<u8>,
    data: Option<TcpListener>,
    left: usize,
    moved: usize,
    clock: Clock,
    life: Life,
    steps: Arc<Mutex<Vec<usize>>>,
    told: Arc<Mutex<String>>,
}

impl Scripted {
    /// Plays this behind a login in clear, and after so many octets does something else.
    async fn start(dialogue: &str, octets: usize, then: Then) -> Scripted {
        let nobody = ClientTls::pinned(&"0".repeat(64)).expect("a fingerprint");
        let dialogue = format!("{LOGIN}{dialogue}");
        Scripted::play(dialogue, octets, then, Ways::default(), (Safety::Clear, nobody)).await
    }

    /// The same with a login of its own, which says where TLS begins.
    pub(super) async fn sealed(
        dialogue: &str,
        octets: usize,
        then: Then,
        toll: Option<Toll>,
        identity: &Identity,
    ) -> Scripted {
        let tls = ServerTls::new(vec![identity.clone()]).expect("an identity");
        let believed = ClientTls::pinned(&identity.fingerprint()).expect("a fingerprint");
        let safety = if dialogue.starts_with("T:") { Safety::Implicit } else { Safety::Required };
        Scripted::play(dialogue.into(), octets, then, Ways { tls: Some(tls), toll }, (safety, believed)).await
    }

    async fn play(dialogue: String, octets: usize, then: Then, ways: Ways, safety: (Safety, ClientTls)) -> Scripted {
        let (listener, port) = wire::listen().await;
        let (steps, told) = (Arc::<Mutex<Vec<usize>>>::default(), Arc::<Mutex<String>>::default());
        let (clock, (life, kept)) = (Clock::default(), Life::begin());
        let server =
            Scripted { port, steps: steps.clone(), told: told.clone(), safety, clock: clock.clone(), _life: kept };
        life.clone().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Else what it says second waits until the client has acknowledged the first.
                stream.set_nodelay(true).expect("a socket option");
                let control = Wire::Clear(ways.before(stream, &life).await);
                let (steps, told) = (steps.clone(), told.clone());
                steps.lock().expect("not poisoned").clear();
                let part = Part {
                    control,
                    ways: ways.clone(),
                    sealed: false,
                    heard: Vec::new(),
                    data: None,
                    left: octets,
                    moved: 0,
                    clock: clock.clone(),
                    life: life.clone(),
                    steps,
                    told,
                };
                life.spawn(part.play(dialogue.clone(), then.clone()));
            }
        });
        server
    }

    pub(super) fn site(&self) -> Site {
        let url: Url = format!("ftp://bob@127.0.0.1:{}/", self.port).parse().expect("a URL");
        // Short, because a server that never pauses does not let a test's clock run ahead.
        let limit = Duration::from_millis(300);
        let (safety, tls) = self.safety.clone();
        Site { safety, connect_limit: limit, stall_limit: limit, ..Site::with_tls(&url, "hungry", tls) }
    }

    pub(super) fn told(&self) -> String {
        self.told.lock().expect("not poisoned").clone()
    }

    /// How many octets have moved.
    pub(super) fn moved(&self) -> usize {
        *self.steps.lock().expect("not poisoned").last().expect("a step")
    }

    /// How many steps it has done.
    pub(super) fn done(&self) -> usize {
        self.steps.lock().expect("not poisoned").len()
    }

    pub(super) async fn fetch(&self, target: &Path) -> Result<Fetched, Error> {
        self.fetch_by(&self.site(), target).await
    }

    async fn fetch_by(&self, site: &Site, target: &Path) -> Result<Fetched, Error> {
        let mut connection = Connection::open(site).await?;
        let fetched = connection.fetch(b"menu", target, &Fetch::default()).await?;
        connection.quit().await;
        Ok(fetched)
    }

    pub(super) async fn send(&self, source: &Path) -> Result<Sent, Error> {
        let mut connection = Connection::open(&self.site()).await?;
        let sent = connection.send(source, b"menu", &Send::default()).await?;
        connection.quit().await;
        Ok(sent)
    }

    async fn plan(&self, root: &Path) -> Result<Plan, Error> {
        let crew = Crew::new(self.site(), 1, Arc::new(|_| ()));
        mirror(root, true).plan(&crew).await
    }
}

impl Ways {
    async fn before(&self, stream: TcpStream, life: &Life) -> TcpStream {
        match &self.toll {
            Some(toll) => toll.before(stream, life).await,
            None => stream,
        }
    }
}

impl Part {
    async fn play(mut self, dialogue: String, then: Then) {
        let mut held = None;
        for step in dialogue.lines() {
            if self.step(step, &mut held).await.is_none() {
                return self.finish(then, held).await;
            }
            self.steps.lock().expect("not poisoned").push(self.moved);
        }
        self.control.finish().await;
    }

    /// `None` when it has enough.
    async fn step(&mut self, step: &str, held: &mut Option<Wire>) -> Option<()> {
        let (mark, text) = step.split_at(2);
        let text = text.strip_prefix(' ').unwrap_or(text);
        match mark {
            "S:" => {
                let text = if text.contains("$port") { self.listen(text).await } else { text.into() };
                let said = format!("{text}\r\n");
                let count = self.afford(said.len());
                let heard = self.control.say(&said.as_bytes()[..count]).await;
                heard.filter(|()| count == said.len())
            }
            "C:" => {
                let line = self.line().await?;
                self.note(&format!("{line}\n"));
                // Parts have names that nobody knows beforehand.
                assert!(line.starts_with(text) || text.contains(" .menu"), "{line} in place of {text}");
                Some(())
            }
            "D:" | "D!" => {
                let data = held.insert(self.data().await?);
                let octets = text.replace("\\r\\n", "\r\n");
                let count = octets.len().min(self.left);
                data.say(&octets.as_bytes()[..count]).await;
                (self.afford(octets.len()) == octets.len()).then_some(())?;
                let whole = held.take()?;
                if mark == "D:" {
                    whole.finish().await;
                }
                Some(())
            }
            "D<" => {
                let data = held.insert(self.data().await?);
                let mut octets = Vec::new();
                while data.hear(&mut octets).await.is_some() {
                    let count = self.afford(octets.len());
                    self.note(std::str::from_utf8(&octets[..count]).expect("text"));
                    (count == octets.len()).then_some(())?;
                    octets.clear();
                }
                Some(())
            }
            "T:" => self.begin_tls().await,
            other => panic!("{other} is no mark"),
        }
    }

    async fn begin_tls(&mut self) -> Option<()> {
        let (tls, closed) = (self.ways.tls.clone().expect("an identity"), Wire::Closed);
        self.control = std::mem::replace(&mut self.control, closed).sealed(&tls).await?;
        self.sealed = true;
        Some(())
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.heard.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = self.heard.drain(..=end).collect();
                return Some(String::from_utf8_lossy(&line).trim_end().into());
            }
            self.control.hear(&mut self.heard).await?;
        }
    }

    async fn data(&mut self) -> Option<Wire> {
        let stream = self.data.take()?.accept().await.ok()?.0;
        Wire::of_data(self.ways.before(stream, &self.life).await, self.ways.tls.as_ref().filter(|_| self.sealed)).await
    }

    async fn finish(mut self, then: Then, held: Option<Wire>) {
        match then {
            Then::HangsUp => {}
            Then::Leaves => {
                if let Some(held) = held {
                    held.finish().await;
                }
                return self.control.finish().await;
            }
            Then::Stalls => {
                self.clock.release();
                std::future::pending().await
            }
            Then::Says(text) => drop(self.control.say(text.as_bytes()).await),
            Then::Repeats(text) => {
                let text = text.repeat(1 + 8192 / text.len());
                while self.control.say(text.as_bytes()).await.is_some() {}
            }
        }
        drop(held);
    }

    async fn listen(&mut self, text: &str) -> String {
        let (listener, port) = wire::listen().await;
        self.data = Some(listener);
        // As long each time, so that a cut is in the same place each time.
        text.replace("$port", &format!("{port:05}"))
    }

    fn afford(&mut self, octets: usize) -> usize {
        let count = octets.min(self.left);
        self.left -= count;
        self.moved += count;
        count
    }

    fn note(&self, text: &str) {
        self.told.lock().expect("not poisoned").push_str(text);
    }
}

/// How many octets there were when each step was done, of a dialogue that went well.
fn steps(server: &Scripted) -> Vec<usize> {
    let steps = server.steps.lock().expect("not poisoned").clone();
    assert!(steps.len() > 20, "all of it was played: {steps:?}");
    steps
}

pub(super) async fn bounded<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(BOUNDED, work).await;
    done.unwrap_or_else(|_| panic!("{what}: it goes on for ever"))
}

/// Each way to stop behind each octet. Where it stalls the clock runs ahead from then on, which may be a little too early for the
/// last words of all: then it is an error, where it might have ended well.
fn stops(length: usize) -> impl Iterator<Item = (Then, usize)> {
    let stalls = (0..length).map(|octets| (Then::Stalls, octets));
    (0..length).map(|octets| (Then::HangsUp, octets)).chain(stalls)
}

/// Waits are not waited for.
fn hurry(then: &Then, octets: usize) {
    if octets == 0 && matches!(then, Then::Stalls) {
        tokio::time::pause();
    }
}

impl Scripted {
    /// Waits for who stalls are not waited for, but the clock does not run ahead before.
    async fn played<T>(&self, what: &str, then: &Then, work: impl Future<Output = T>) -> T {
        if matches!(then, Then::Stalls) {
            self.clock.hold();
        }
        let done = bounded(what, work).await;
        self.clock.release();
        done
    }
}

#[tokio::test]
async fn a_download_that_ends_or_stalls_behind_any_octet_leaves_nothing_under_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("menu");
    let whole = Scripted::start(FETCH, usize::MAX, Then::HangsUp).await;
    whole.fetch(&target).await.expect("fetched");
    assert_eq!(std::fs::read_to_string(&target).expect("a file"), CONTENT);
    let steps = steps(&whole);
    let (length, needed) = (*steps.last().expect("steps"), steps[steps.len() - 3]);
    for (then, octets) in stops(length) {
        hurry(&then, octets);
        let what = format!("{then:?} behind {octets} octets of {length}");
        std::fs::remove_file(&target).ok();
        let server = Scripted::start(FETCH, octets, then.clone()).await;
        match server.played(&what, &then, server.fetch(&target)).await {
            Ok(_) => {
                assert!(octets >= needed, "{what}: too early to be content");
                assert_eq!(std::fs::read_to_string(&target).expect("a file"), CONTENT, "{what}");
            }
            Err(error) => {
                assert!(octets < needed || matches!(then, Then::Stalls), "{what}: {error}");
                assert!(!target.exists(), "{what}: {error}");
                assert!(matches!(error, Error::Ended(_) | Error::Broken { .. }), "{what}: {error}");
            }
        }
        assert!(names(folder.path()).len() <= 1, "{what}: at most a part");
    }
}

#[tokio::test]
async fn an_upload_that_ends_or_stalls_behind_any_octet_leaves_nothing_under_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("menu");
    std::fs::write(&source, CONTENT).expect("written");
    let whole = Scripted::start(SEND, usize::MAX, Then::HangsUp).await;
    whole.send(&source).await.expect("sent");
    assert!(whole.told().contains(CONTENT));
    let steps = steps(&whole);
    let (length, needed) = (*steps.last().expect("steps"), steps[steps.len() - 3]);
    for (then, octets) in stops(length) {
        hurry(&then, octets);
        let what = format!("{then:?} behind {octets} octets of {length}");
        let server = Scripted::start(SEND, octets, then.clone()).await;
        let sent = server.played(&what, &then, server.send(&source)).await;
        match &sent {
            Ok(_) => assert!(octets >= needed, "{what}: too early to be content"),
            Err(error) => assert!(octets < needed || matches!(then, Then::Stalls), "{what}: {error}"),
        }
        let told = server.told();
        assert!(!told.contains("RNTO") || told.contains(CONTENT), "{what}: it has its name too early");
    }
}

#[tokio::test]
async fn nothing_is_to_be_removed_where_a_listing_ends_or_stalls_behind_any_octet() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("kept"), "kept").expect("a file");
    let whole = Scripted::start(LIST, usize::MAX, Then::HangsUp).await;
    let plan = whole.plan(folder.path()).await.expect("a plan");
    assert_eq!((plan.actions.len(), plan.passed_over), (2, 0), "one to be fetched, one to be removed");
    let steps = steps(&whole);
    let (length, needed) = (*steps.last().expect("steps"), steps[steps.len() - 3]);
    for (then, octets) in stops(length) {
        // A crew tries again, a little later.
        if octets == 0 && matches!(then, Then::HangsUp) {
            tokio::time::pause();
        }
        let what = format!("{then:?} behind {octets} octets of {length}");
        let server = Scripted::start(LIST, octets, then.clone()).await;
        if let Ok(plan) = server.played(&what, &then, server.plan(folder.path())).await {
            let removes = plan.actions.iter().any(|(_, action)| matches!(action, Action::Remove));
            assert!(octets >= needed || !removes && plan.passed_over > 0, "{what}: {:?}", plan.actions);
        }
    }
}

/// Behind how many octets something of this dialogue is whole: a reply, or what is told, or what is sent.
async fn ends(dialogue: &str, folder: &Path) -> Vec<usize> {
    let whole = Scripted::start(dialogue, usize::MAX, Then::HangsUp).await;
    whole.fetch(&folder.join("menu")).await.expect("fetched");
    let (steps, dialogue) = (steps(&whole), format!("{LOGIN}{dialogue}"));
    let is_whole = |step: &str| !step.starts_with("S: ") || step.as_bytes().get(6) == Some(&b' ');
    let whole = dialogue.lines().zip(&steps).filter(|(step, _)| is_whole(step));
    let mut ends: Vec<usize> = std::iter::once(0).chain(whole.map(|(_, octets)| *octets)).collect();
    // With 221 it has all that it wants.
    ends.truncate(ends.len() - 2);
    ends.dedup();
    ends
}

#[tokio::test]
async fn who_says_the_same_for_ever_is_left() {
    // Most of the time that this test takes; it may be over before anything was said, too.
    const LIMIT: Duration = Duration::from_millis(100);
    let folder = tempfile::tempdir().expect("a folder");
    for octets in ends(FETCH, folder.path()).await {
        let texts = ["100 wait\r\n", "226 done\r\n", LINES, "200 ", "\r\n", "\0", "550 no\r\n"];
        // All at once: it is waiting that takes time.
        join_all(texts.map(async |text| {
            let what = format!("{text:?} for ever behind {octets} octets");
            let folder = tempfile::tempdir().expect("a folder");
            let target = folder.path().join("menu");
            let server = Scripted::start(FETCH, octets, Then::Repeats(text)).await;
            let site = Site { connect_limit: LIMIT, stall_limit: LIMIT, ..server.site() };
            match bounded(&what, server.fetch_by(&site, &target)).await {
                Ok(_) => assert_eq!(std::fs::read_to_string(&target).expect("a file"), CONTENT, "{what}"),
                Err(error) => assert!(!target.exists(), "{what}: {error}"),
            }
        }))
        .await;
    }
}

#[tokio::test]
async fn who_says_421_in_the_middle_is_understood() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("menu");
    let ends = ends(FETCH, folder.path()).await;
    let last = *ends.last().expect("some");
    for octets in ends.into_iter().filter(|octets| *octets < last) {
        std::fs::remove_file(&target).ok();
        let server = Scripted::start(FETCH, octets, Then::Says("421 I am closing\r\n")).await;
        let error = bounded("421", server.fetch(&target)).await.expect_err("dismissed");
        let dismissed = matches!(&error, Error::Ended(Ending { end: End::Dismissed(_) | End::Unwelcome(_), .. }));
        assert!(dismissed, "behind {octets} octets: {error}");
        assert!(error.to_string().contains("I am closing"), "{error}");
        assert!(!target.exists());
    }
}

#[tokio::test]
async fn strange_orders_of_the_same_words_are_understood() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("menu");
    let data = "D: pea soup, roast chicken, plum cake\n";
    for (from, to) in [
        ("S: 150 here\n", ""),
        ("S: 150 here\n", "S: 125 here\nS: 150-it\nS: comes\nS: 150 now\n"),
        ("S: 226 done\n", "S: 226 done\nS: 226 really\n"),
        ("S: 226 done\n", "S: 250 done\n"),
        (&format!("{data}S: 226 done\n"), &format!("S: 226 done\n{data}")),
        (&format!("S: 150 here\n{data}"), &format!("{data}S: 150 here\n")),
        ("S: 229 (|||$port|)\n", "S: 229-Here\nS:  it is\nS: 229 EPSV ok (|||$port|).\n"),
    ] {
        std::fs::remove_file(&target).ok();
        let dialogue = FETCH.replace(from, to);
        assert_ne!(dialogue, FETCH);
        let server = Scripted::start(&dialogue, usize::MAX, Then::HangsUp).await;
        server.fetch(&target).await.unwrap_or_else(|error| panic!("{to:?} for {from:?}: {error}"));
        assert_eq!(std::fs::read_to_string(&target).expect("a file"), CONTENT);
    }
}

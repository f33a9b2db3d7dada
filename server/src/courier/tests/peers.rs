//! Other servers, in memory: each behaves as its script says, visit after visit.
//!
//! The client's side of SMTP and the courier's desk are the real ones; only the wire between them is missing, and time
//! passes at once where a server is silent.

use super::clock::Clock;
use crate::courier::carrier::{Carrier, Fate, Lane, Package, Reason, Settle, Stopped};
use crate::courier::desk::{Desk, How, Missed};
use crate::courier::route::Route;
use crate::house::House;
use line::{Session, Step};
use message::report::Step as MailStep;
use net::Why;
use smtp::client::{Ask, Client, Settings};
use smtp::command::HelloName;
use std::collections::{HashMap, HashSet, VecDeque};
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;
use store::RecipientId;
use tokio::sync::{Notify, watch};

/// How a server behaves during one visit.
#[derive(Debug, Clone, Copy)]
pub enum Mood {
    /// Nobody is there.
    Down,
    /// All is well, but for lines that begin so. `` is the greeting, `.` the final dot.
    Up(Acts),
}

/// What a server does at a line.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// Replies with this.
    Says(&'static str),
    /// Says nothing any more.
    Hangs,
    /// Closes the connection.
    Drops,
    /// Replies with this and closes the connection.
    SaysAndDrops(&'static str),
    /// Takes the mail and closes the connection without saying so.
    TakesAndDrops,
}

/// What a server does at which line.
pub type Acts = &'static [(&'static str, Act)];

/// All is well.
pub const WELL: Mood = Mood::Up(&[]);

/// A mail as a server took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub host: String,
    pub sender: String,
    pub recipient: String,
    pub text: String,
}

/// What all servers know together; it outlives restarts of ours.
#[derive(Debug, Default)]
pub struct World {
    scripts: HashMap<String, Vec<Mood>>,
    /// When each server was visited.
    pub visits: Vec<(String, i64)>,
    pub taken: Vec<Taken>,
    /// Every line that was heard, with its server.
    pub heard: Vec<(String, String)>,
    /// Who is under way at this moment.
    in_hand: HashSet<RecipientId>,
    /// Conversations at this moment, and the most there ever were.
    busy: usize,
    pub busiest: usize,
    /// After so many more questions of clients, everything stands still.
    pub fuse: Option<usize>,
    /// Who has heard a line that begins so keeps everybody waiting from then on.
    pub stop_at: Option<(&'static str, &'static str)>,
}

/// Carries to servers in memory.
pub struct Peers {
    house: Arc<House>,
    clock: Clock,
    world: Arc<Mutex<World>>,
    /// While it is shut, servers keep everybody waiting.
    pub gate: watch::Sender<bool>,
    /// The fuse has blown, or some server has heard a line.
    pub news: Notify,
}

impl World {
    /// The server of this domain behaves so, visit after visit; the last mood stays. Nobody speaks for other domains.
    pub fn script(&mut self, domain: &str, moods: &[Mood]) {
        self.scripts.insert(domain.into(), moods.to_vec());
        self.visits.retain(|(host, _)| host != domain);
    }

    /// How often somebody got a mail whose text ends so.
    pub fn count(&self, recipient: &str, end: &str) -> usize {
        self.taken.iter().filter(|taken| taken.recipient == recipient && taken.text.trim_end().ends_with(end)).count()
    }

    /// Lines with this beginning that a server heard.
    pub fn lines(&self, host: &str, start: &str) -> Vec<String> {
        let wanted = |(at, line): &&(String, String)| at == host && line.starts_with(start);
        self.heard.iter().filter(wanted).map(|(_, line)| line.clone()).collect()
    }

    /// After a restart of ours: nobody is under way.
    pub fn begin_again(&mut self, fuse: Option<usize>) {
        self.in_hand.clear();
        self.busy = 0;
        self.fuse = fuse;
    }

    pub fn visit(&mut self, host: &str, now: i64) -> Mood {
        let before = self.visits.iter().filter(|(visited, _)| visited == host).count();
        self.visits.push((host.into(), now));
        let script = self.scripts.get(host).map_or(&[Mood::Down][..], Vec::as_slice);
        *script.get(before).or(script.last()).unwrap_or(&Mood::Down)
    }

    /// Burns one step of the fuse; says whether it is over.
    fn burn(&mut self) -> bool {
        match &mut self.fuse {
            None => false,
            Some(left) => {
                *left = left.saturating_sub(1);
                *left == 0
            }
        }
    }
}

impl Peers {
    pub fn new(house: Arc<House>, clock: Clock, world: Arc<Mutex<World>>) -> Self {
        Peers { house, clock, world, gate: watch::Sender::new(true), news: Notify::new() }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("no panic in the world")
    }

    /// Waits until the world is so.
    pub async fn until(&self, reached: impl Fn(&World) -> bool) {
        loop {
            let news = self.news.notified();
            if reached(&self.world()) {
                return;
            }
            news.await;
        }
    }

    /// One conversation, as `net::converse` would hold it.
    async fn converse<S: Settle>(&self, host: &str, lane: &Lane, settle: &S) -> Result<(), Missed> {
        let mut peer = match self.world().visit(host, self.clock.now()) {
            Mood::Down => {
                return Err(Missed::because(Reason::found((4, 4, 1), MailStep::Connecting, "nobody is there")));
            }
            Mood::Up(acts) => Peer::new(host, acts),
        };
        let settle = Watching { settle, peers: self };
        let mut now = Instant::now();
        let name = HelloName::parse(self.house.host().as_str()).expect("a name");
        let mut client = Client::new(Arc::new(Settings::new(name)), &[7; 32], now);
        let mut desk = Desk::new(&self.house, lane, &settle, host, [192, 0, 2, 1].into());
        let (mut out, mut inbox, mut mine) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            out.clear();
            match client.next(&mut out) {
                Step::Send => {
                    peer.hear(&out, &mut self.world());
                    self.news.notify_waiters();
                }
                Step::Keep | Step::Secure | Step::Clear | Step::Deflate => panic!("nobody asked for that"),
                Step::Ask(ask) => {
                    self.pass().await;
                    let is_next = matches!(ask, Ask::Next);
                    let answer = net::Desk::answer(&mut desk, ask).await;
                    if let (true, Some(package)) = (is_next, desk.package()) {
                        mine.extend(package.recipients.iter().map(|to| to.recipient));
                        self.take(package);
                    }
                    client.answer(answer, now);
                }
                Step::Wait { until } => {
                    if inbox.is_empty() {
                        match peer.say() {
                            Said::Words(words) => inbox = words,
                            Said::Nothing => {
                                now = until;
                                client.tick(now);
                                continue;
                            }
                            Said::Farewell => {
                                client.closed(now);
                                continue;
                            }
                        }
                    }
                    let taken = client.receive(&inbox, now);
                    assert!(taken > 0, "the client takes whole replies");
                    inbox.drain(..taken);
                }
                Step::Close => break,
            }
        }
        self.world().in_hand.retain(|recipient| !mine.contains(recipient));
        desk.conclude(&Why::Closed).await
    }

    /// Waits at the gate; for ever, once the fuse has blown.
    async fn pass(&self) {
        if self.world().burn() {
            self.news.notify_waiters();
            pending::<()>().await;
        }
        let stopped = |world: &World| world.stop_at.is_some_and(|(host, start)| !world.lines(host, start).is_empty());
        if stopped(&self.world()) {
            self.gate.send_replace(false);
            self.world().stop_at = None;
        }
        let mut gate = self.gate.subscribe();
        gate.wait_for(|open| *open).await.expect("the gate stands");
    }

    fn take(&self, package: &Package) {
        let mut world = self.world();
        for to in &package.recipients {
            assert!(world.in_hand.insert(to.recipient), "{} is under way twice", to.address);
        }
    }
}

impl Carrier for Peers {
    async fn carry<S: Settle>(&self, lane: &Lane, settle: &S) -> Result<(), Stopped> {
        let host = match &lane.route {
            Route::Domain(domain) | Route::Configured(domain) => domain.clone(),
            Route::Literal(address) => address.to_string(),
        };
        {
            let mut world = self.world();
            world.busy += 1;
            world.busiest = world.busiest.max(world.busy);
        }
        let carried = loop {
            match self.converse(&host, lane, settle).await {
                Err(Missed { how: How::Cut, .. }) => {}
                carried => break carried,
            }
        };
        self.world().busy -= 1;
        carried.map_err(|missed| Stopped::Unreachable(missed.fate))
    }
}

/// Notes that a package is no longer under way.
struct Watching<'a, S> {
    settle: &'a S,
    peers: &'a Peers,
}

impl<S: Settle> Settle for Watching<'_, S> {
    async fn settle(&self, package: Package, fates: HashMap<RecipientId, Fate>) {
        for to in &package.recipients {
            self.peers.world().in_hand.remove(&to.recipient);
        }
        self.settle.settle(package, fates).await;
    }
}

/// One server during one visit.
pub struct Peer {
    host: String,
    acts: Acts,
    inbox: Vec<u8>,
    says: VecDeque<Said>,
    /// It hears no more.
    is_deaf: bool,
    sender: Option<String>,
    recipients: Vec<String>,
    text: Option<String>,
}

pub enum Said {
    Words(Vec<u8>),
    Nothing,
    Farewell,
}

impl Peer {
    pub fn new(host: &str, acts: Acts) -> Self {
        let mut peer = Peer {
            host: host.into(),
            acts,
            inbox: Vec::new(),
            says: VecDeque::new(),
            is_deaf: false,
            sender: None,
            recipients: Vec::new(),
            text: None,
        };
        let greeting = acts.iter().find(|(line, _)| line.is_empty()).map_or(Act::Says("220 here"), |(_, act)| *act);
        peer.act(greeting);
        peer
    }

    pub fn say(&mut self) -> Said {
        self.says.pop_front().unwrap_or(Said::Nothing)
    }

    pub fn hear(&mut self, octets: &[u8], world: &mut World) {
        self.inbox.extend_from_slice(octets);
        while let Some(end) = self.inbox.windows(2).position(|pair| pair == b"\r\n") {
            let line: Vec<u8> = self.inbox.drain(..end + 2).collect();
            let line = String::from_utf8_lossy(&line[..end]).into_owned();
            if self.is_deaf {
                continue;
            }
            match &mut self.text {
                Some(text) if line != "." => *text += &(line.strip_prefix('.').unwrap_or(&line).to_string() + "\r\n"),
                _ => self.obey(&line, world),
            }
        }
    }

    fn obey(&mut self, line: &str, world: &mut World) {
        world.heard.push((self.host.clone(), line.into()));
        let scripted = self.acts.iter().find(|(start, _)| !start.is_empty() && line.starts_with(start));
        let act = scripted.map_or_else(|| usual(line), |(_, act)| *act);
        let is_positive = matches!(act, Act::Says(words) if words.starts_with(['2', '3']));
        match line.get(..4) {
            _ if line == "." => {
                let text = self.text.take().unwrap_or_default();
                if is_positive || matches!(act, Act::TakesAndDrops) {
                    self.keep(&text, world);
                }
            }
            Some("MAIL") => {
                self.sender = is_positive.then(|| path(line));
                self.recipients.clear();
            }
            Some("RCPT") if is_positive && self.sender.is_some() => self.recipients.push(path(line)),
            Some("DATA") if is_positive => self.text = Some(String::new()),
            _ => {}
        }
        self.act(act);
    }

    fn keep(&self, text: &str, world: &mut World) {
        let taken = |recipient: &String| Taken {
            host: self.host.clone(),
            sender: self.sender.clone().unwrap_or_default(),
            recipient: recipient.clone(),
            text: text.into(),
        };
        world.taken.extend(self.recipients.iter().map(taken));
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Says(words) => {
                self.says.push_back(Said::Words(format!("{words}\r\n").into_bytes()));
                if words.starts_with("421") {
                    self.says.push_back(Said::Farewell);
                    self.is_deaf = true;
                }
            }
            Act::SaysAndDrops(words) => {
                self.act(Act::Says(words));
                self.act(Act::Drops);
            }
            Act::Hangs => self.is_deaf = true,
            Act::Drops | Act::TakesAndDrops => {
                self.says.push_back(Said::Farewell);
                self.is_deaf = true;
            }
        }
    }
}

/// What a server says that takes everything.
fn usual(line: &str) -> Act {
    Act::Says(match line.get(..4) {
        Some("EHLO") => "250-here\r\n250-PIPELINING\r\n250 SMTPUTF8",
        Some("DATA") => "354 go on",
        Some("QUIT") => "221 farewell",
        _ => "250 fine",
    })
}

fn path(line: &str) -> String {
    line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or(String::new(), |(path, _)| path.into())
}

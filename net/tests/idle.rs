//! What an idle connection costs: thousands of them, in this process, on real sockets, in clear and under TLS.
//!
//! Invariants: an idle connection costs kilobytes, also after it has moved many.
//! Not here: the session's and the desk's own memory, which their crates keep small.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use line::{Leave, Line, Lines, Secured, Session, Step};
use net::{Begin, ClientTls, Desk, Door, Listener, Seats, Security, ServerTls, Setup, Trust, converse};
use tokio::sync::watch;

/// How many idle connections.
const CONNECTIONS: usize = 2000;

/// What each may cost in resident memory, in octets: driver, task, session, and this test's own end of it.
const COST_MAX: usize = 16 * 1024;

/// And under TLS, where this test's own end of it is as large as the server's.
const TLS_COST_MAX: usize = 48 * 1024;

/// How many of them.
const TLS_CONNECTIONS: usize = 300;

/// What each one moved before it fell idle, in octets.
const MOVED: usize = 300_000;

/// Hears many lines, and answers `go` with a word and `MOVED` octets.
struct Talker {
    lines: Lines,
    said: VecDeque<Vec<u8>>,
    is_over: bool,
}

impl Session for Talker {
    type Ask = ();
    type Answer = ();
    type News = ();

    fn receive(&mut self, bytes: &[u8], _now: Instant) -> usize {
        match self.lines.look(bytes) {
            Line::Whole { text: b"go", taken } => {
                self.said.push_back(b"here:".to_vec());
                self.said.push_back(vec![b'x'; MOVED]);
                taken
            }
            Line::Whole { taken, .. } => taken,
            Line::Flawed { taken } | Line::TooLong { taken } | Line::Overflowing { taken } => taken,
            Line::Partial => 0,
        }
    }

    fn closed(&mut self, _now: Instant) {
        self.is_over = true;
    }

    fn secured(&mut self, _tls: Secured, _now: Instant) {}

    fn answer(&mut self, (): (), _now: Instant) {}

    fn news(&mut self, (): (), _now: Instant) {}

    fn tick(&mut self, _now: Instant) {
        self.is_over = true;
    }

    fn leave(&mut self, _why: Leave, _now: Instant) {
        self.is_over = true;
    }

    fn next(&mut self, out: &mut Vec<u8>) -> Step<()> {
        match self.said.pop_front() {
            Some(said) => {
                *out = said;
                Step::Send
            }
            None if self.is_over => Step::Close,
            None => Step::Wait { until: Instant::now() + Duration::from_secs(3600) },
        }
    }
}

struct Nobody;

impl Desk<Talker> for Nobody {
    async fn answer(&mut self, (): ()) {}

    async fn keep(&mut self, _content: &mut Vec<u8>) {}
}

/// Resident memory of this process, in octets.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<usize>().ok()? * 1024)
}

/// A client that has used its connection and is silent now.
fn use_and_fall_silent(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("connected");
    // Many short lines in one go, and large answers: buffers have grown on both ways.
    stream.write_all(("a\r\n".repeat(2_000) + "go\r\n").as_bytes()).expect("written");
    let mut left = "here:".len() + MOVED;
    let mut heard = [0; 16 * 1024];
    while left > 0 {
        left -= stream.read(&mut heard).expect("read");
    }
    stream.write_all(b"half a li").expect("written");
    stream
}

/// Says nothing until the house closes.
struct Mute {
    leaves: bool,
    is_protected: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Session for Mute {
    type Ask = std::convert::Infallible;
    type Answer = std::convert::Infallible;
    type News = std::convert::Infallible;

    fn receive(&mut self, bytes: &[u8], _now: Instant) -> usize {
        bytes.len()
    }

    fn closed(&mut self, _now: Instant) {
        self.leaves = true;
    }

    fn secured(&mut self, _tls: Secured, _now: Instant) {
        if let Some(told) = self.is_protected.take() {
            told.send(()).expect("awaited");
        }
    }

    fn answer(&mut self, answer: Self::Answer, _now: Instant) {
        match answer {}
    }

    fn news(&mut self, news: Self::News, _now: Instant) {
        match news {}
    }

    fn tick(&mut self, _now: Instant) {}

    fn leave(&mut self, _why: Leave, _now: Instant) {
        self.leaves = true;
    }

    fn next(&mut self, _out: &mut Vec<u8>) -> Step<Self::Ask> {
        if self.leaves { Step::Close } else { Step::Wait { until: Instant::now() + Duration::from_secs(3600) } }
    }
}

impl Desk<Mute> for Nobody {
    async fn answer(&mut self, ask: std::convert::Infallible) -> std::convert::Infallible {
        match ask {}
    }

    async fn keep(&mut self, _content: &mut Vec<u8>) {}
}

/// Both ends of one protected connection, idle.
async fn protect(address: SocketAddr, tls: &ClientTls, leaving: &watch::Receiver<bool>) {
    let stream = net::connect(address, Duration::from_secs(60), None).await.expect("connected");
    let security = Security::Client { tls: tls.clone(), host: "localhost".into(), begin: Begin::AtOnce };
    let setup = Setup { security, ..Setup::new(leaving.clone()) };
    let (told, is_protected) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut mute = Mute { leaves: false, is_protected: Some(told) };
        converse(&mut mute, &mut Nobody, stream, &setup).await;
    });
    is_protected.await.expect("protected");
}

// One test, not two: they would see each other's memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_cost_little() {
    let Some(_) = resident() else {
        eprintln!("SKIPPED: there is no /proc/self/status here");
        return;
    };
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).expect("as many handles as we may");
    if limit.maximum.is_some_and(|most| most < 2 * CONNECTIONS as u64 + 100) {
        eprintln!("SKIPPED: too few handles: {:?}", limit.maximum);
        return;
    }

    let (house, leaving) = watch::channel(false);
    // These stay to the end, or their memory would be used again and hide what the others cost.
    let protected = idle_under_tls(leaving.clone()).await;
    let listener = Listener::bind("127.0.0.1:0".parse().expect("an address")).expect("bound");
    let address = listener.address();
    let door = Door::new(Seats::new(CONNECTIONS + 10, CONNECTIONS + 10));
    let left = leaving.clone();
    let served = tokio::spawn(listener.serve(
        door,
        move |visitor| {
            let setup = Setup::new(leaving.clone());
            async move {
                let mut talker = Talker { lines: Lines::new(100), said: VecDeque::new(), is_over: false };
                converse(&mut talker, &mut Nobody, visitor.stream, &setup).await;
            }
        },
        left,
    ));

    let calls = tokio::task::spawn_blocking(move || {
        // The first ones pay for threads, tables and arenas.
        let mut all: Vec<_> = (0..10).map(|_| use_and_fall_silent(address)).collect();
        let before = resident().expect("known");
        all.extend((0..CONNECTIONS).map(|_| use_and_fall_silent(address)));
        (all, resident().expect("known").saturating_sub(before))
    });
    let (all, grown) = calls.await.expect("no panic");
    let each = grown / CONNECTIONS;
    eprintln!("an idle connection costs {each} octets");
    assert!(each <= COST_MAX, "{each} octets");

    house.send(true).expect("heard");
    drop(all);
    served.await.expect("no panic");
    protected.await.expect("no panic");
}

/// Serves idle connections until the house closes.
async fn idle_under_tls(leaving: watch::Receiver<bool>) -> tokio::task::JoinHandle<()> {
    let dir = tempfile::tempdir().expect("a directory");
    let identity = net::tls::self_signed(&["localhost".into()], dir.path()).expect("a certificate");
    let tls = ServerTls::new(vec![identity.clone()]).expect("one identity");
    let client = ClientTls::opportunistic(Trust::Roots(vec![identity.certificate().clone()])).expect("a root");
    let listener = Listener::bind("127.0.0.1:0".parse().expect("an address")).expect("bound");
    let address = listener.address();
    let (left, ours) = (leaving.clone(), leaving.clone());
    let served = tokio::spawn(listener.serve(
        Door::new(Seats::new(TLS_CONNECTIONS + 10, TLS_CONNECTIONS + 10)),
        move |visitor| {
            let security = Security::Server { tls: tls.clone(), begin: Begin::AtOnce };
            let setup = Setup { security, ..Setup::new(ours.clone()) };
            async move {
                let mut mute = Mute { leaves: false, is_protected: None };
                converse(&mut mute, &mut Nobody, visitor.stream, &setup).await;
            }
        },
        left,
    ));
    for _ in 0..10 {
        protect(address, &client, &leaving).await;
    }
    let before = resident().expect("known");
    for _ in 0..TLS_CONNECTIONS {
        protect(address, &client, &leaving).await;
    }
    let each = resident().expect("known").saturating_sub(before) / TLS_CONNECTIONS;
    eprintln!("both ends of an idle connection under TLS cost {each} octets");
    assert!(each <= TLS_COST_MAX, "{each} octets");
    served
}

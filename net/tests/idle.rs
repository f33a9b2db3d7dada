//! What an idle connection costs: thousands of them, in this process, on real sockets.
//!
//! Invariants: an idle connection costs kilobytes, also after it has moved megabytes.
//! Not here: the session's and the desk's own memory, which their crates keep small.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use line::{Line, Lines, Secured, Session, Step};
use net::{Desk, Door, Listener, Seats, Setup, converse};
use tokio::sync::watch;

/// How many idle connections.
const CONNECTIONS: usize = 2000;

/// What each may cost in resident memory, in octets: driver, task, session, and this test's own end of it.
const COST_MAX: usize = 16 * 1024;

/// What each one moved before it fell idle, in octets.
const MOVED: usize = 300_000;

/// Answers each line with `MOVED` octets and a CRLF.
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
            Line::Whole { taken, .. } => {
                self.said.push_back(vec![b'x'; MOVED]);
                self.said.push_back(b"\r\n".to_vec());
                taken
            }
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

    fn leave(&mut self, _now: Instant) {
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
    stream.write_all(b"a\r\n").expect("written");
    let mut left = MOVED + 2;
    let mut heard = [0; 16 * 1024];
    while left > 0 {
        left -= stream.read(&mut heard).expect("read");
    }
    stream.write_all(b"half a li").expect("written");
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_costs_little() {
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

    let listener = Listener::bind("127.0.0.1:0".parse().expect("an address")).expect("bound");
    let address = listener.address();
    let (house, leaving) = watch::channel(false);
    let door = Door::new(Seats::new(CONNECTIONS + 10, CONNECTIONS + 10));
    let left = leaving.clone();
    let served = tokio::spawn(listener.serve(
        door,
        move |visitor| {
            let setup = Setup::new(leaving.clone());
            async move {
                let mut talker = Talker { lines: Lines::new(100), said: VecDeque::new(), is_over: false };
                converse(&mut talker, &mut Nobody, visitor.stream, setup).await;
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
}

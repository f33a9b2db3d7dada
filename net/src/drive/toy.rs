//! A toy protocol, small enough to see the driver behind it.
//!
//! ```text
//! ECHO x   → = x               ASK x    → the desk's answer     DATA … . → kept, then asked for
//! SECRET x → = hidden          STARTTLS → go ahead, then TLS     FACTS    → what is known of TLS
//! STOPTLS  → as you like, then in clear                        SQUEEZE  → tight, then compressed
//! BIG n    → n octets          BIGBYE n → n octets, then closed  QUIT     → bye, closed
//! ```
//!
//! Invariants: it keeps the contract of `Session`, and checks that the driver does.
//! Not here: tests.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use line::{Exposure, Leave, Line, Lines, Secured, Session, Step};
use tokio::sync::{Notify, mpsc};

use super::{Attachment, Desk};

/// The toy's idle limit.
pub const IDLE: Duration = Duration::from_secs(300);

/// The longest line.
const LINE_MAX: usize = 8192;

/// A step that is yet to be taken.
enum Todo {
    Say(Vec<u8>),
    Keep(Vec<u8>),
    Ask(String),
    Secure,
    Clear,
    Deflate,
    Close,
}

pub struct Toy {
    lines: Lines,
    todo: VecDeque<Todo>,
    in_content: bool,
    asking: bool,
    until: Instant,
    exposure: Exposure,
    tls: Option<Secured>,
    deaf_to_leave: bool,
    over: bool,
}

impl Toy {
    pub fn new() -> Self {
        let mut toy = Toy {
            lines: Lines::new(LINE_MAX),
            todo: VecDeque::new(),
            in_content: false,
            asking: false,
            until: tokio::time::Instant::now().into_std() + IDLE,
            exposure: Exposure::Open,
            tls: None,
            deaf_to_leave: false,
            over: false,
        };
        toy.say("hello\r\n");
        toy
    }

    fn say(&mut self, text: &str) {
        self.todo.push_back(Todo::Say(text.as_bytes().to_vec()));
    }

    fn big(&mut self, octets: &str) {
        let mut left: usize = octets.parse().expect("a number");
        while left > 0 {
            let now = left.min(1_000_000);
            self.todo.push_back(Todo::Say(vec![b'x'; now]));
            left -= now;
        }
    }

    fn command(&mut self, line: &str) {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "ECHO" => self.say(&format!("= {rest}\r\n")),
            "ASK" => self.todo.push_back(Todo::Ask(rest.into())),
            "SECRET" => {
                self.exposure = Exposure::SecretAfter("SECRET ".len());
                self.say("= hidden\r\n");
            }
            "DATA" => {
                self.in_content = true;
                self.say("send\r\n");
            }
            "STARTTLS" => {
                self.say("go ahead\r\n");
                self.todo.push_back(Todo::Secure);
            }
            "STOPTLS" => {
                self.say("as you like\r\n");
                self.todo.push_back(Todo::Clear);
            }
            "SQUEEZE" => {
                self.say("tight\r\n");
                self.todo.push_back(Todo::Deflate);
            }
            "FACTS" => {
                let facts = facts(self.tls.as_ref());
                self.say(&facts);
            }
            "DEAF" => {
                self.deaf_to_leave = true;
                self.say("what?\r\n");
            }
            "BIG" => self.big(rest),
            "BIGBYE" => {
                self.big(rest);
                self.todo.push_back(Todo::Close);
            }
            "QUIT" => {
                self.say("bye\r\n");
                self.todo.push_back(Todo::Close);
            }
            _ => self.say("?\r\n"),
        }
    }

    fn content(&mut self, line: &str) {
        self.exposure = Exposure::Content;
        if line == "." {
            self.in_content = false;
            self.todo.push_back(Todo::Ask("kept".into()));
        } else {
            self.todo.push_back(Todo::Keep(format!("{line}\n").into_bytes()));
        }
    }

    fn settle(&self) {
        assert!(!self.over, "nothing happens to a session after Close");
        assert!(!self.asking, "nothing happens to a session while a question is open");
        assert!(self.todo.is_empty(), "next is called until it says Wait");
    }
}

pub fn facts(tls: Option<&Secured>) -> String {
    let hex = |octets: &Option<Vec<u8>>| match octets {
        Some(octets) => octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>(),
        None => "none".into(),
    };
    match tls {
        Some(tls) => {
            let name = tls.server_name.as_deref().unwrap_or("none");
            let (exporter, end_point) = (hex(&tls.exporter), hex(&tls.server_end_point));
            format!("{} {} {name} {exporter} {end_point}\r\n", tls.version, tls.cipher)
        }
        None => "clear\r\n".into(),
    }
}

impl Session for Toy {
    type Ask = String;
    type Answer = String;
    type News = String;

    fn receive(&mut self, bytes: &[u8], now: Instant) -> usize {
        self.settle();
        self.until = now + IDLE;
        self.exposure = Exposure::Open;
        match self.lines.look(bytes) {
            Line::Whole { text, taken } => {
                let text = String::from_utf8(text.to_vec()).expect("tests speak ASCII");
                if self.in_content {
                    self.content(&text)
                } else {
                    self.command(&text)
                }
                taken
            }
            Line::Flawed { taken } | Line::TooLong { taken } => {
                self.say("? line\r\n");
                taken
            }
            Line::Overflowing { taken } => taken,
            Line::Partial => 0,
        }
    }

    fn closed(&mut self, _now: Instant) {
        self.todo.pop_front_if(|todo| matches!(todo, Todo::Secure));
        self.settle();
        self.todo.push_back(Todo::Ask("closed".into()));
        self.todo.push_back(Todo::Close);
    }

    fn secured(&mut self, tls: Secured, now: Instant) {
        self.todo.pop_front_if(|todo| matches!(todo, Todo::Secure));
        self.until = now + IDLE;
        self.tls = Some(tls);
    }

    fn answer(&mut self, answer: String, now: Instant) {
        assert!(std::mem::take(&mut self.asking), "an answer follows a question");
        self.until = now + IDLE;
        self.todo.push_front(Todo::Say(format!("A: {answer}\r\n").into_bytes()));
    }

    fn news(&mut self, news: String, _now: Instant) {
        self.settle();
        self.say(&format!("N: {news}\r\n"));
    }

    fn tick(&mut self, now: Instant) {
        self.settle();
        assert!(now >= self.until, "a tick never comes early");
        self.say("too slow\r\n");
        self.todo.push_back(Todo::Close);
    }

    fn leave(&mut self, why: Leave, _now: Instant) {
        self.settle();
        if !self.deaf_to_leave {
            self.say(match why {
                Leave::HouseCloses => "closing\r\n",
                Leave::SentAway => "go away\r\n",
            });
            self.todo.push_back(Todo::Close);
        }
    }

    fn next(&mut self, out: &mut Vec<u8>) -> Step<String> {
        assert!(out.is_empty(), "out is empty when next is called");
        if let Some(Todo::Secure) = self.todo.front() {
            // A session that waits for TLS wants nothing else.
            return Step::Secure;
        }
        match self.todo.pop_front() {
            Some(Todo::Say(text)) => {
                self.exposure = Exposure::Open;
                *out = text;
                Step::Send
            }
            Some(Todo::Clear) => Step::Clear,
            Some(Todo::Deflate) => Step::Deflate,
            Some(Todo::Keep(content)) => {
                out.extend(content);
                Step::Keep
            }
            Some(Todo::Ask(question)) => {
                self.asking = true;
                Step::Ask(question)
            }
            Some(Todo::Close) => {
                self.over = true;
                Step::Close
            }
            Some(Todo::Secure) | None => Step::Wait { until: self.until },
        }
    }

    fn exposure(&self) -> Exposure {
        self.exposure
    }
}

/// What the toy's house does.
pub struct ToyDesk {
    pub kept: Vec<u8>,
    pub asked: Arc<Mutex<Vec<String>>>,
    /// Lets the answer to "slow" out.
    pub slow: Arc<Notify>,
    /// What the answer to "look" sees of the peer's end.
    pub peer: Option<std::net::TcpStream>,
    pub news: Option<mpsc::Receiver<String>>,
    pub is_in_haste: bool,
    /// What goes with the answer to "file", and how much of it is promised.
    pub file: Option<(std::fs::File, u64)>,
    pub attached: Option<Attachment>,
    /// Whether it has heard that it is over.
    pub is_over: Arc<AtomicBool>,
}

impl ToyDesk {
    pub fn new() -> Self {
        let (kept, asked, slow, is_over) = (Vec::new(), Arc::default(), Arc::default(), Arc::default());
        ToyDesk { kept, asked, slow, peer: None, news: None, is_in_haste: false, file: None, attached: None, is_over }
    }

    /// What the peer could read right now.
    fn peek(&self) -> String {
        let mut seen = [0; 4096];
        match self.peer.as_ref().expect("a peer to look at").peek(&mut seen) {
            Ok(len) => String::from_utf8_lossy(&seen[..len]).replace("\r\n", "|"),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => "nothing".into(),
            Err(error) => panic!("{error}"),
        }
    }
}

impl Desk<Toy> for ToyDesk {
    async fn answer(&mut self, ask: String) -> String {
        self.asked.lock().expect("not poisoned").push(ask.clone());
        match &ask[..] {
            "slow" => {
                self.slow.notified().await;
                "at last".into()
            }
            "panic" => panic!("on purpose"),
            "thread" => if crate::lent::is_lent() { "its own" } else { "one of many" }.into(),
            "look" => self.peek(),
            "file" => {
                let (file, octets) = self.file.as_ref().expect("a file");
                self.attached = Some(Attachment::new(file, 0..*octets).expect("a handle"));
                "that was it".into()
            }
            "kept" => {
                let kept = String::from_utf8_lossy(&self.kept).replace('\n', "|");
                self.kept.clear();
                kept
            }
            other => other.to_uppercase(),
        }
    }

    async fn keep(&mut self, content: &mut Vec<u8>) {
        self.kept.extend_from_slice(content);
    }

    async fn news(&mut self) -> String {
        match &mut self.news {
            Some(news) => match news.recv().await {
                Some(news) => news,
                None => std::future::pending().await,
            },
            None => std::future::pending().await,
        }
    }

    fn attached(&mut self) -> Option<Attachment> {
        self.attached.take()
    }

    fn over(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    fn is_in_haste(&self) -> bool {
        self.is_in_haste
    }
}

/// The toy's client: begins TLS, asks for the facts, and takes its leave.
pub struct Caller {
    lines: Lines,
    todo: VecDeque<Todo>,
    until: Instant,
    pub heard: Vec<String>,
    pub tls: Option<Secured>,
    pub was_closed: bool,
}

impl Caller {
    pub fn new() -> Self {
        Caller {
            lines: Lines::new(LINE_MAX),
            todo: VecDeque::new(),
            until: tokio::time::Instant::now().into_std() + IDLE,
            heard: Vec::new(),
            tls: None,
            was_closed: false,
        }
    }

    fn say(&mut self, text: &str) {
        self.todo.push_back(Todo::Say(text.as_bytes().to_vec()));
    }

    fn hear(&mut self, line: &str) {
        self.heard.push(line.into());
        match line {
            "hello" if self.tls.is_none() => self.say("STARTTLS\r\n"),
            "hello" => self.say("FACTS\r\n"),
            "go ahead" => self.todo.push_back(Todo::Secure),
            "bye" => self.todo.push_back(Todo::Close),
            _ => self.say("QUIT\r\n"),
        }
    }
}

impl Session for Caller {
    type Ask = std::convert::Infallible;
    type Answer = std::convert::Infallible;
    type News = std::convert::Infallible;

    fn receive(&mut self, bytes: &[u8], _now: Instant) -> usize {
        match self.lines.look(bytes) {
            Line::Whole { text, taken } => {
                self.hear(&String::from_utf8_lossy(text));
                taken
            }
            Line::Partial => 0,
            other => panic!("the toy server says whole lines, not {other:?}"),
        }
    }

    fn closed(&mut self, _now: Instant) {
        self.was_closed = true;
        self.todo.clear();
        self.todo.push_back(Todo::Close);
    }

    fn secured(&mut self, tls: Secured, _now: Instant) {
        self.todo.pop_front_if(|todo| matches!(todo, Todo::Secure));
        if !self.heard.is_empty() {
            self.say("FACTS\r\n");
        }
        self.tls = Some(tls);
    }

    fn answer(&mut self, answer: Self::Answer, _now: Instant) {
        match answer {}
    }

    fn news(&mut self, news: Self::News, _now: Instant) {
        match news {}
    }

    fn tick(&mut self, _now: Instant) {
        self.todo.push_back(Todo::Close);
    }

    fn leave(&mut self, _why: Leave, _now: Instant) {
        self.todo.push_back(Todo::Close);
    }

    fn next(&mut self, out: &mut Vec<u8>) -> Step<Self::Ask> {
        if let Some(Todo::Secure) = self.todo.front() {
            return Step::Secure;
        }
        match self.todo.pop_front() {
            Some(Todo::Say(text)) => {
                *out = text;
                Step::Send
            }
            Some(Todo::Close) => Step::Close,
            _ => Step::Wait { until: self.until },
        }
    }
}

/// Nobody asks, nobody keeps.
pub struct NoDesk;

impl Desk<Caller> for NoDesk {
    async fn answer(&mut self, ask: std::convert::Infallible) -> std::convert::Infallible {
        match ask {}
    }

    async fn keep(&mut self, _content: &mut Vec<u8>) {}
}

//! The runner itself, tried on a small made-up dialogue: it must accept the true and refuse the false.

use line::{Leave, Line, Lines, Secured, Session, Step};
use std::time::{Duration, Instant};
use transcript::{Given, Side, Stage, replay};

/// Echoes lines; `ASK x` asks the house, `TLS` begins TLS, `QUIT` closes.
struct Echo {
    lines: Lines,
    steps: Vec<(Step<String>, Vec<u8>)>,
    deadline: Instant,
}

impl Echo {
    fn say(&mut self, text: &str) {
        self.steps.push((Step::Send, format!("{text}\r\n").into_bytes()));
    }

    fn command(&mut self, line: &str) {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("ASK", what) => self.steps.push((Step::Ask(what.into()), vec![])),
            ("KEEP", what) => self.steps.push((Step::Keep, format!("{what}\r\n").into_bytes())),
            ("CLEAR", _) => self.steps.push((Step::Clear, vec![])),
            ("TLS", _) => self.steps.push((Step::Secure, vec![])),
            ("QUIT", _) => self.steps.push((Step::Close, vec![])),
            _ => self.say(line),
        }
    }
}

impl Session for Echo {
    type Ask = String;
    type Answer = String;
    type News = String;

    fn receive(&mut self, bytes: &[u8], now: Instant) -> usize {
        self.deadline = now + Duration::from_secs(60);
        match self.lines.look(bytes) {
            Line::Whole { text, taken } => {
                let text = String::from_utf8_lossy(text).into_owned();
                self.command(&text);
                taken
            }
            Line::Flawed { taken } | Line::TooLong { taken } | Line::Overflowing { taken } => taken,
            Line::Partial => 0,
        }
    }
    fn closed(&mut self, _: Instant) {
        self.steps.push((Step::Close, vec![]));
    }
    fn secured(&mut self, tls: Secured, _: Instant) {
        self.say(&tls.version);
    }
    fn answer(&mut self, answer: String, _: Instant) {
        self.say(&answer);
    }
    fn news(&mut self, news: String, _: Instant) {
        self.say(&news);
    }
    fn tick(&mut self, _: Instant) {
        self.say("too late");
        self.steps.push((Step::Close, vec![]));
    }
    fn leave(&mut self, _: Leave, _: Instant) {
        self.say("bye");
        self.steps.push((Step::Close, vec![]));
    }
    fn next(&mut self, out: &mut Vec<u8>) -> Step<String> {
        if self.steps.is_empty() {
            return Step::Wait { until: self.deadline };
        }
        let (step, octets) = self.steps.remove(0);
        out.extend(octets);
        step
    }
}

struct EchoStage;

impl Stage for EchoStage {
    type Session = Echo;
    const SIDE: Side = Side::Server;

    fn open(given: &Given, now: Instant) -> Echo {
        let mut echo = Echo { lines: Lines::new(100), steps: vec![], deadline: now + Duration::from_secs(60) };
        echo.say(given.setting("hello").unwrap_or("hello"));
        echo
    }
    fn question(ask: &String) -> String {
        ask.clone()
    }
    fn answer(text: &str) -> Result<String, String> {
        Ok(text.to_string())
    }
    fn news(text: &str) -> Result<String, String> {
        Ok(text.to_string())
    }
}

fn verdict(acts: &str) -> Result<(), String> {
    replay::<EchoStage>(&format!("given: echo hello=hi\nS: hi\n{acts}"))
}

#[test]
fn a_true_dialogue_is_accepted_in_every_way() {
    let acts = "C: one\nS: one\nC: ASK who\n?: w~\n!: me\nS: me\nC: KEEP it\nK: it\nN: fire\nS: fire\nC: word-12\n\
                S: word-$n\nC: again $n\nS: again 12\nC: TLS\nTLS: version=TLSv1.2\nS: TLSv1.2\nT: +59s\nT: +1s\nS: too late\nX: us\n";
    assert_eq!(verdict(acts), Ok(()));
}

#[test]
fn what_is_injected_before_tls_is_dropped() {
    assert_eq!(verdict("C\\ TLS\\r\\nevil\\r\\n\nTLS:\nS: TLSv1.3\nC: QUIT\nX: us\n"), Ok(()));
}

#[test]
fn what_came_before_tls_ended_is_dropped() {
    assert_eq!(verdict("C\\ CLEAR\\r\\nevil\\r\\n\nCLEAR:\nC: QUIT\nX: us\n"), Ok(()));
}

#[test]
fn a_false_dialogue_is_refused() {
    for acts in [
        "C: one\nS: two\n",
        "C: one\n",
        "C: one\nS: one\nS: one\n",
        "C: ASK who\n?: you\n",
        "C: ASK who\n",
        "C: KEEP it\n",
        "C: KEEP it\nK: that\n",
        "C: one\nS: one\nX: us\n",
        "C: one\nS: one\nTLS:\n",
        "C: one\nS: one\nCLEAR:\n",
        "C: CLEAR\nTLS:\n",
        "T: tick\nS: too early\n",
        "X: house\nS: bye\nC: more\nS: more\n",
    ] {
        assert!(verdict(acts).is_err(), "accepted: {acts}");
    }
}

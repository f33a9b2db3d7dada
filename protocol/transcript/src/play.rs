//! The play itself: a session on the stage, and a transcript that says what must happen.

use crate::pattern::{Names, fill, matches};
use crate::script::{self, Act, Given, Script, What, Words};
use line::{Exposure, Leave, Secured, Session, Step};
use std::fmt::Debug;
use std::path::Path;
use std::time::Instant;

/// Which side of the dialogue is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// We say the `S:` lines.
    Server,
    /// We say the `C:` lines.
    Client,
}

/// How to open a session, and how its questions, answers and news are written in a transcript.
pub trait Stage {
    /// The session that plays here.
    type Session: Session<Ask: Debug>;
    /// Which lines it says.
    const SIDE: Side;

    /// A session with the settings of the `given:` line.
    fn open(given: &Given, now: Instant) -> Self::Session;

    /// A question as it stands behind `?:`.
    fn question(ask: &<Self::Session as Session>::Ask) -> String;

    /// Reads what stands behind `!:`.
    ///
    /// # Errors
    /// A sentence that says what could not be read.
    fn answer(text: &str) -> Result<<Self::Session as Session>::Answer, String>;

    /// Reads what stands behind `N:`.
    ///
    /// # Errors
    /// A sentence that says what could not be read; by default there is no news.
    fn news(text: &str) -> Result<<Self::Session as Session>::News, String> {
        Err(format!("no news is known here: {text}"))
    }
}

/// One way to cut the input into pieces.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Lines,
    Octets,
    Burst,
    /// All input in one burst, but for one cut behind so many octets.
    Split(usize),
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Way::Lines => "lines",
            Way::Octets => "octets",
            Way::Burst => "burst",
            Way::Split(_) => "split",
        }
    }
}

/// Replays every `.txt` of a folder. Panics with a list of what went wrong, and when the folder has no transcript.
pub fn replay_folder<S: Stage>(folder: impl AsRef<Path>) {
    let folder = folder.as_ref();
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|end| end == "txt"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{}: no transcripts", folder.display());
    let failures: Vec<String> = paths
        .iter()
        .filter_map(|path| {
            let text = std::fs::read_to_string(path).expect("a transcript is UTF-8");
            replay::<S>(&text).err().map(|why| format!("{}: {why}", path.display()))
        })
        .collect();
    assert!(
        failures.is_empty(),
        "{} of {} transcripts failed\n\n{}",
        failures.len(),
        paths.len(),
        failures.join("\n\n")
    );
}

/// Replays one transcript in every way it allows.
///
/// # Errors
/// Says where, in which way, and what was expected and what came.
pub fn replay<S: Stage>(text: &str) -> Result<(), String> {
    let script = script::read(text)?;
    let input_len: usize = script.acts.iter().filter_map(|act| spoken::<S>(act)).map(|words| octets(words).len()).sum();
    let ways = [Way::Lines, Way::Octets, Way::Burst].into_iter().chain((1..input_len).map(Way::Split));
    for way in ways.filter(|way| script.ways.is_empty() || script.ways.iter().any(|name| name == way.name())) {
        Play::<S>::new(&script, way).run().map_err(|why| format!("{why} (replayed as {way:?})"))?;
    }
    Ok(())
}

/// What the peer says in this act, if it does.
fn spoken<S: Stage>(act: &Act) -> Option<&Words> {
    match &act.what {
        What::Spoken { server, words } if *server != (S::SIDE == Side::Server) => Some(words),
        _ => None,
    }
}

fn octets(words: &Words) -> Vec<u8> {
    match words {
        Words::Line(line) => [line.as_bytes(), b"\r\n"].concat(),
        Words::Octets(octets) => octets.clone(),
    }
}

/// Where the session stands after it has been driven as far as it goes.
enum Stand<Ask> {
    Waiting { until: Instant },
    Asking(Ask),
    Securing,
    Clearing,
    Deflating,
    Closed,
}

struct Play<'a, S: Stage> {
    script: &'a Script,
    way: Way,
    session: S::Session,
    stand: Stand<<S::Session as Session>::Ask>,
    now: Instant,
    /// Offered to the session and not taken yet.
    inbox: Vec<u8>,
    /// Pieces that are still to be offered, last one first.
    pieces: Vec<Vec<u8>>,
    /// How many octets of input were given so far, over all runs.
    given_len: usize,
    /// Acts up to here have been given as input already.
    given_until: usize,
    said: Vec<u8>,
    kept: Vec<u8>,
    names: Names,
}

impl<'a, S: Stage> Play<'a, S> {
    fn new(script: &'a Script, way: Way) -> Self {
        let now = Instant::now();
        let session = S::open(&script.given, now);
        Play {
            script,
            way,
            session,
            stand: Stand::Waiting { until: now },
            now,
            inbox: Vec::new(),
            pieces: Vec::new(),
            given_len: 0,
            given_until: 0,
            said: Vec::new(),
            kept: Vec::new(),
            names: Names::new(),
        }
    }

    fn run(mut self) -> Result<(), String> {
        let acts = &self.script.acts;
        let implicit_tls = matches!(acts.first().map(|act| &act.what), Some(What::Tls(_)));
        if let Some(What::Tls(facts)) = acts.first().map(|act| &act.what) {
            self.session.secured(secured(facts), self.now);
        }
        self.drive();
        for (index, act) in acts.iter().enumerate().skip(usize::from(implicit_tls)) {
            self.act(index, act).map_err(|why| format!("line {}: {why}", act.line))?;
        }
        self.all_heard().map_err(|why| format!("at the end: {why}"))
    }

    fn act(&mut self, index: usize, act: &Act) -> Result<(), String> {
        if let Some(words) = spoken::<S>(act) {
            return self.hear(index, words);
        }
        match &act.what {
            What::Spoken { words, .. } => expect(&mut self.said, words, &mut self.names, "to be said"),
            What::Block { lines, .. } => self.block(lines),
            What::Kept(words) => expect(&mut self.kept, words, &mut self.names, "to be kept"),
            What::Question(pattern) => self.question(pattern),
            What::Answer(text) => self.answer(text),
            What::Exposure(expected) => self.exposure(expected),
            _ => {
                self.all_heard()?;
                self.event(&act.what)
            }
        }
    }

    /// What comes from outside the dialogue; all that was said before must have been expected.
    fn event(&mut self, what: &What) -> Result<(), String> {
        match what {
            What::News(text) => {
                let news = S::news(&fill(text, &self.names))?;
                self.waiting("for news")?;
                self.session.news(news, self.now);
            }
            What::Passes(time) => {
                self.now += *time;
                if self.waiting("while time passes")? <= self.now {
                    self.session.tick(self.now);
                }
            }
            What::Tick => {
                self.now = self.now.max(self.waiting("for a tick")?);
                self.session.tick(self.now);
            }
            What::Tls(facts) => {
                if !matches!(self.stand, Stand::Securing) {
                    return Err("the session did not ask for TLS".into());
                }
                self.inbox.clear();
                self.pieces.clear();
                self.session.secured(secured(facts), self.now);
            }
            What::Clear => {
                if !matches!(self.stand, Stand::Clearing) {
                    return Err("the session did not end TLS".into());
                }
                self.inbox.clear();
                self.pieces.clear();
            }
            What::Deflate => {
                if !matches!(self.stand, Stand::Deflating) {
                    return Err("the session did not begin compression".into());
                }
            }
            What::PeerCloses => {
                self.waiting("for the peer to close")?;
                self.session.closed(self.now);
            }
            What::HouseCloses => {
                self.waiting("while the house closes")?;
                self.session.leave(Leave::HouseCloses, self.now);
            }
            What::SentAway => {
                self.waiting("to be sent away")?;
                self.session.leave(Leave::SentAway, self.now);
            }
            What::WeClose => {
                return match self.stand {
                    Stand::Closed => Ok(()),
                    _ => Err("the session did not close".into()),
                };
            }
            _ => unreachable!("the other acts belong to the dialogue"),
        }
        self.drive();
        Ok(())
    }

    fn waiting(&self, what_for: &str) -> Result<Instant, String> {
        match &self.stand {
            Stand::Waiting { until } => Ok(*until),
            Stand::Asking(ask) => Err(format!("the session does not wait {what_for}, it asks `{}`", S::question(ask))),
            Stand::Securing => Err(format!("the session does not wait {what_for}, it wants TLS")),
            Stand::Clearing => Err(format!("the session does not wait {what_for}, it ends TLS")),
            Stand::Deflating => Err(format!("the session does not wait {what_for}, it begins compression")),
            Stand::Closed => Err(format!("the session does not wait {what_for}, it has closed")),
        }
    }

    /// Input from the peer: this act alone, or all of it up to the next event from outside.
    fn hear(&mut self, index: usize, words: &Words) -> Result<(), String> {
        if index < self.given_until {
            return Ok(());
        }
        self.waiting("for input")?;
        let input = match self.way {
            Way::Lines | Way::Octets => {
                self.all_heard()?;
                self.filled(words)
            }
            Way::Burst | Way::Split(_) => self.run_of_input(index),
        };
        self.pieces = self.cut(input);
        self.pieces.reverse();
        self.drive();
        Ok(())
    }

    fn filled(&self, words: &Words) -> Vec<u8> {
        match words {
            Words::Line(line) => (fill(line, &self.names) + "\r\n").into_bytes(),
            Words::Octets(octets) => octets.clone(),
        }
    }

    /// What the peer says up to the next event; a line that needs a name we do not know yet must wait, too.
    fn run_of_input(&mut self, index: usize) -> Vec<u8> {
        let mut input = Vec::new();
        self.given_until = self.script.acts.len();
        for (at, act) in self.script.acts.iter().enumerate().skip(index) {
            let unknown = |line: &str| fill(line, &self.names).contains('$');
            match (spoken::<S>(act), &act.what) {
                (Some(Words::Line(line)), _) if at > index && unknown(line) => {
                    self.given_until = at;
                    break;
                }
                (Some(words), _) => input.extend(self.filled(words)),
                (None, What::Spoken { .. } | What::Block { .. } | What::Kept(_) | What::Question(_)) => {}
                (None, What::Answer(_) | What::Exposure(_)) => {}
                (None, _) => {
                    self.given_until = at;
                    break;
                }
            }
        }
        input
    }

    fn cut(&mut self, input: Vec<u8>) -> Vec<Vec<u8>> {
        let start = self.given_len;
        self.given_len += input.len();
        match self.way {
            Way::Octets => input.into_iter().map(|octet| vec![octet]).collect(),
            Way::Split(at) if at > start && at < self.given_len => {
                let (one, two) = input.split_at(at - start);
                vec![one.to_vec(), two.to_vec()]
            }
            _ => vec![input],
        }
    }

    /// Drives the session until it waits for something we do not have.
    fn drive(&mut self) {
        loop {
            let mut out = Vec::new();
            match self.session.next(&mut out) {
                Step::Send => self.said.extend(out),
                Step::Keep => self.kept.extend(out),
                Step::Ask(ask) => return self.stand = Stand::Asking(ask),
                Step::Secure => return self.stand = Stand::Securing,
                Step::Clear => return self.stand = Stand::Clearing,
                Step::Deflate => return self.stand = Stand::Deflating,
                Step::Close => return self.stand = Stand::Closed,
                Step::Wait { until } => {
                    if !self.offer() {
                        return self.stand = Stand::Waiting { until };
                    }
                }
            }
        }
    }

    /// Offers what has arrived; says whether the session took any of it.
    fn offer(&mut self) -> bool {
        loop {
            if !self.inbox.is_empty() {
                let taken = self.session.receive(&self.inbox, self.now);
                assert!(taken <= self.inbox.len(), "a session takes what was offered, not more");
                self.inbox.drain(..taken);
                if taken > 0 {
                    return true;
                }
            }
            match self.pieces.pop() {
                Some(piece) => self.inbox.extend(piece),
                None => return false,
            }
        }
    }

    fn question(&mut self, pattern: &str) -> Result<(), String> {
        match &self.stand {
            Stand::Asking(ask) => {
                let question = S::question(ask);
                if matches(pattern, &question, &mut self.names) {
                    return Ok(());
                }
                Err(format!("expected the question `{pattern}`, it asks `{question}`"))
            }
            _ => Err(format!("expected the question `{pattern}`, it asks nothing; {}", self.heard())),
        }
    }

    fn answer(&mut self, text: &str) -> Result<(), String> {
        if !matches!(self.stand, Stand::Asking(_)) {
            return Err("an answer without a question".into());
        }
        let answer = S::answer(&fill(text, &self.names))?;
        self.session.answer(answer, self.now);
        self.drive();
        Ok(())
    }

    fn block(&mut self, expected: &[String]) -> Result<(), String> {
        let mut missing: Vec<&String> = expected.iter().collect();
        while !missing.is_empty() {
            let line = front_line(&mut self.said).ok_or_else(|| format!("not said: {missing:?}"))?;
            let found = missing.iter().position(|pattern| matches(pattern, &line, &mut self.names));
            missing.remove(found.ok_or_else(|| format!("`{line}` is none of {missing:?}"))?);
        }
        Ok(())
    }

    fn exposure(&self, expected: &str) -> Result<(), String> {
        if self.way != Way::Lines {
            return Ok(());
        }
        let exposure = match self.session.exposure() {
            Exposure::Open => "open".to_string(),
            Exposure::Content => "content".to_string(),
            Exposure::SecretAfter(visible) => format!("secret {visible}"),
        };
        if exposure == expected {
            Ok(())
        } else {
            Err(format!("expected the exposure `{expected}`, it is `{exposure}`"))
        }
    }

    fn all_heard(&self) -> Result<(), String> {
        let idle = self.said.is_empty() && self.kept.is_empty() && !matches!(self.stand, Stand::Asking(_));
        if idle { Ok(()) } else { Err(format!("more than was expected: {}", self.heard())) }
    }

    fn heard(&self) -> String {
        let mut heard = format!("said {:?}, kept {:?}", show(&self.said), show(&self.kept));
        if let Stand::Asking(ask) = &self.stand {
            heard += &format!(", asks `{}`", S::question(ask));
        }
        heard
    }
}

fn secured(facts: &[(String, String)]) -> Secured {
    let fact = |key: &str| facts.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone());
    Secured {
        version: fact("version").unwrap_or_else(|| "TLSv1.3".into()),
        cipher: fact("cipher").unwrap_or_else(|| "TLS13_AES_128_GCM_SHA256".into()),
        server_name: fact("name"),
        exporter: fact("exporter").map(String::into_bytes),
        server_end_point: fact("end_point").map(String::into_bytes),
        client_names: fact("client").map(|names| names.split(',').map(str::to_owned).collect()).unwrap_or_default(),
        verified: fact("verified").as_deref() == Some("yes"),
    }
}

fn expect(heard: &mut Vec<u8>, words: &Words, names: &mut Names, how: &str) -> Result<(), String> {
    match words {
        Words::Line(pattern) => {
            let before = show(heard);
            let line = front_line(heard).ok_or_else(|| format!("expected `{pattern}` {how}, there is {before:?}"))?;
            let fits = matches(pattern, &line, names);
            if fits { Ok(()) } else { Err(format!("expected `{pattern}` {how}, there is `{line}`")) }
        }
        Words::Octets(octets) => {
            if !heard.starts_with(octets) {
                return Err(format!("expected {:?} {how}, there is {:?}", show(octets), show(heard)));
            }
            heard.drain(..octets.len());
            Ok(())
        }
    }
}

/// Takes the first line, which must end in CRLF.
fn front_line(heard: &mut Vec<u8>) -> Option<String> {
    let end = heard.windows(2).position(|pair| pair == b"\r\n")?;
    let line = String::from_utf8_lossy(&heard[..end]).into_owned();
    heard.drain(..end + 2);
    Some(line)
}

fn show(octets: &[u8]) -> String {
    const SHOWN_MAX: usize = 400;
    let shown = &octets[..octets.len().min(SHOWN_MAX)];
    let more = if shown.len() < octets.len() { "…" } else { "" };
    String::from_utf8_lossy(shown).into_owned() + more
}

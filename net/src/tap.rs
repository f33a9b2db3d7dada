//! Listening in: what goes over the wire, as far as it may be shown.
//!
//! ```text
//! smtp:2525 17 S: 220 mx.example.org ESMTP
//! smtp:2525 17 C: AUTH PLAIN …
//! smtp:2525 17 --: TLSv1.3, TLS_AES_256_GCM_SHA384
//! ```
//!
//! Invariants: a secret never reaches a [`Tap`], only the fact that there was one; nothing from the peer reaches
//! a terminal unescaped; how much is remembered of one conversation is bounded.
//! Not here: which octets are secret (`line::Exposure`, said by the session).

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use line::{Exposure, Secured};

use crate::drive::Ended;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Who connected.
    Client,
    /// Who was connected to.
    Server,
}

impl Side {
    /// Us. A way to say whose octets they are, for [`Tapped`].
    pub(crate) fn own(self) -> Side {
        self
    }

    /// The peer.
    pub(crate) fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }

    fn mark(self) -> &'static str {
        match self {
            Side::Client => "C:",
            Side::Server => "S:",
        }
    }
}

/// Which conversation it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The id of the session, the same as in the log.
    pub session: String,
    /// `smtp`, `pop3` …
    pub protocol: &'static str,
    /// The server's port.
    pub port: u16,
    /// Which side we are.
    pub side: Side,
}

/// One thing that happened on the wire.
#[derive(Debug)]
pub enum Heard<'a> {
    /// One or more lines. With their ends, so that a missing one can be seen.
    Spoken {
        /// Who spoke.
        by: Side,
        /// What may be shown of it.
        shown: &'a [u8],
        /// Whether a secret followed that is not shown.
        secret: bool,
    },
    /// A stretch of message content, wherever it was cut.
    Content {
        /// Whose it is.
        by: Side,
        /// The octets.
        octets: &'a [u8],
    },
    /// So many octets in clear came before TLS began and were thrown away.
    Dropped(usize),
    /// TLS is up.
    Secured(&'a Secured),
    /// TLS was ended; what follows is in clear.
    Cleared,
    /// The conversation is over.
    Ended(&'a Ended),
}

/// Hears conversations. Called from every connection's task: it must be quick.
pub trait Tap: Send + Sync {
    /// Hears one thing of the conversation `label`.
    fn hear(&self, label: &Label, heard: Heard<'_>);
}

/// A tap put on one conversation.
#[derive(Clone)]
pub struct Tapped {
    /// Who listens.
    pub tap: Arc<dyn Tap>,
    /// Which conversation it is.
    pub label: Arc<Label>,
}

impl std::fmt::Debug for Tapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tapped").field("label", &self.label).finish_non_exhaustive()
    }
}

impl Tapped {
    /// Puts `tap` on the conversation `label`.
    pub fn new(tap: Arc<dyn Tap>, label: Label) -> Self {
        Tapped { tap, label: Arc::new(label) }
    }

    /// Octets went over the wire. Here, and only here, secrets are cut out.
    pub(crate) fn exchanged(&self, whose: fn(Side) -> Side, octets: &[u8], exposure: Exposure) {
        let by = whose(self.label.side);
        self.tap.hear(
            &self.label,
            match exposure {
                Exposure::Open => Heard::Spoken { by, shown: octets, secret: false },
                Exposure::SecretAfter(len) => {
                    Heard::Spoken { by, shown: &octets[..len.min(octets.len())], secret: len < octets.len() }
                }
                Exposure::Content => Heard::Content { by, octets },
            },
        );
    }

    pub(crate) fn dropped(&self, octets: usize) {
        self.tap.hear(&self.label, Heard::Dropped(octets));
    }

    pub(crate) fn secured(&self, secured: &Secured) {
        self.tap.hear(&self.label, Heard::Secured(secured));
    }

    pub(crate) fn cleared(&self) {
        self.tap.hear(&self.label, Heard::Cleared);
    }

    pub(crate) fn ended(&self, ended: &Ended) {
        self.tap.hear(&self.label, Heard::Ended(ended));
    }
}

/// Lines of content that are shown before the rest is only counted.
const CONTENT_LINES: usize = 8;

/// A line is shown up to so many octets; longer ones are cut, with their length.
const SHOWN_MAX: usize = 1000;

/// Conversations whose unfinished content is remembered. Beyond it content is not shown, only spoken lines are.
const REMEMBERED_MAX: usize = 10_000;

/// Writes conversations down for people: one line for each spoken line, content shortened.
pub struct Printer<W> {
    color: bool,
    inner: Mutex<Inner<W>>,
}

struct Inner<W> {
    out: W,
    contents: HashMap<String, Content>,
}

/// Content on its way, of one conversation.
struct Content {
    by: Side,
    lines: usize,
    unfinished: Vec<u8>,
    hidden: u64,
}

impl<W: Write + Send> Printer<W> {
    /// Prints to `out`, in colors or without (decide by `NO_COLOR` and by what `out` is).
    pub fn new(out: W, color: bool) -> Self {
        Printer { color, inner: Mutex::new(Inner { out, contents: HashMap::new() }) }
    }

    /// The writer, with all that was printed so far.
    pub fn into_inner(self) -> W {
        self.inner.into_inner().unwrap_or_else(PoisonError::into_inner).out
    }

    fn line(&self, label: &Label, mark: &str, text: &str) -> String {
        let Label { session, protocol, port, .. } = label;
        let (dim, bold, plain) = match (self.color, mark) {
            (false, _) => ("", "", ""),
            (true, "S:") => ("\x1b[2m", "\x1b[36m", "\x1b[0m"),
            (true, "C:") => ("\x1b[2m", "\x1b[33m", "\x1b[0m"),
            (true, _) => ("\x1b[2m", "\x1b[35m", "\x1b[0m"),
        };
        format!("{dim}{protocol}:{port} {session}{plain} {bold}{mark}{plain} {text}\n")
    }

    fn spoken(&self, label: &Label, by: Side, shown: &[u8], secret: bool) -> String {
        let mut page = String::new();
        let mut lines: Vec<&[u8]> = shown.split_inclusive(|&octet| octet == b'\n').collect();
        let last = if secret { lines.pop().or(Some(b"")) } else { None };
        for line in lines {
            page += &self.line(label, by.mark(), &escape_line(line));
        }
        if let Some(line) = last {
            page += &self.line(label, by.mark(), &(escape(line) + "…"));
        }
        page
    }

    fn content(&self, label: &Label, content: &mut Content, octets: &[u8]) -> String {
        let mut page = String::new();
        for piece in octets.split_inclusive(|&octet| octet == b'\n') {
            if content.lines >= CONTENT_LINES {
                content.hidden += piece.len() as u64;
                continue;
            }
            let room = (SHOWN_MAX + 1).saturating_sub(content.unfinished.len());
            content.unfinished.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                page += &self.content_line(label, content);
            }
        }
        page
    }

    fn content_line(&self, label: &Label, content: &mut Content) -> String {
        content.lines += 1;
        let line = std::mem::take(&mut content.unfinished);
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.line(label, content.by.mark(), &format!("| {}", escape(line)))
    }

    fn content_end(&self, label: &Label, mut content: Content) -> String {
        let mut page = String::new();
        if !content.unfinished.is_empty() {
            page += &self.content_line(label, &mut content);
        }
        if content.hidden > 0 {
            page += &self.line(label, content.by.mark(), &format!("| … {} more octets", content.hidden));
        }
        page
    }
}

impl<W: Write + Send> Tap for Printer<W> {
    fn hear(&self, label: &Label, heard: Heard<'_>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut page = String::new();
        let (speaker, is_end) = match &heard {
            Heard::Content { by, .. } => (Some(*by), false),
            other => (None, matches!(other, Heard::Ended(_))),
        };
        if inner.contents.get(&label.session).is_some_and(|content| speaker != Some(content.by))
            && let Some(content) = inner.contents.remove(&label.session)
        {
            page += &self.content_end(label, content);
        }
        match heard {
            Heard::Spoken { by, shown, secret } => page += &self.spoken(label, by, shown, secret),
            Heard::Content { by, octets } => {
                let known = inner.contents.contains_key(&label.session);
                if known || inner.contents.len() < REMEMBERED_MAX {
                    let content = inner.contents.entry(label.session.clone()).or_insert(Content {
                        by,
                        lines: 0,
                        unfinished: Vec::new(),
                        hidden: 0,
                    });
                    page += &self.content(label, content, octets);
                }
            }
            Heard::Dropped(octets) => {
                page += &self.line(label, "--:", &format!("{octets} octets in clear thrown away before TLS"));
            }
            Heard::Secured(secured) => page += &self.line(label, "--:", &describe(secured)),
            Heard::Cleared => page += &self.line(label, "--:", "in clear again"),
            Heard::Ended(ended) => page += &self.line(label, "--:", &escape(ended.why.to_string().as_bytes())),
        }
        // A dialogue that cannot be shown must not hinder the dialogue.
        let _ = inner.out.write_all(page.as_bytes());
        if is_end {
            let _ = inner.out.flush();
        }
    }
}

fn describe(secured: &Secured) -> String {
    let mut text = format!("{}, {}", secured.version, secured.cipher);
    if let Some(name) = &secured.server_name {
        text += ", for ";
        text += &escape(name.as_bytes());
    }
    if secured.verified {
        text += ", verified";
    }
    text
}

/// A line with its CRLF left out; any other end, or none, is shown.
fn escape_line(line: &[u8]) -> String {
    match line.strip_suffix(b"\r\n") {
        Some(text) => escape(text),
        None => escape(line),
    }
}

/// Octets as printable text, such that no terminal obeys them.
fn escape(octets: &[u8]) -> String {
    let cut = &octets[..octets.len().min(SHOWN_MAX)];
    let mut text = String::with_capacity(cut.len());
    for chunk in cut.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '\r' => text.push_str("\\r"),
                '\n' => text.push_str("\\n"),
                '\t' => text.push_str("\\t"),
                '\\' => text.push_str("\\\\"),
                letter if is_obeyed(letter) => {
                    // Writing to a String cannot fail.
                    let _ = write!(text, "\\u{{{:x}}}", u32::from(letter));
                }
                letter => text.push(letter),
            }
        }
        for octet in chunk.invalid() {
            let _ = write!(text, "\\x{octet:02x}");
        }
    }
    if octets.len() > SHOWN_MAX {
        let _ = write!(text, "… ({} octets)", octets.len());
    }
    text
}

/// Letters that a terminal acts on, or that change how others are read: controls and directions.
fn is_obeyed(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::Why;

    fn tapped() -> (Arc<Printer<Vec<u8>>>, Tapped) {
        let printer = Arc::new(Printer::new(Vec::new(), false));
        let label = Label { session: "17".into(), protocol: "smtp", port: 25, side: Side::Server };
        (printer.clone(), Tapped::new(printer, label))
    }

    fn printed(printer: Arc<Printer<Vec<u8>>>, tapped: Tapped) -> String {
        drop(tapped);
        let printer = Arc::into_inner(printer).expect("the only owner");
        String::from_utf8(printer.into_inner()).expect("text")
    }

    #[test]
    fn each_spoken_line_is_a_line() {
        let (printer, tapped) = tapped();
        tapped.exchanged(Side::own, b"250-a\r\n250 b\r\n", Exposure::Open);
        tapped.exchanged(Side::other, b"DATA\n", Exposure::Open);
        let expected = "smtp:25 17 S: 250-a\nsmtp:25 17 S: 250 b\nsmtp:25 17 C: DATA\\n\n";
        assert_eq!(printed(printer, tapped), expected);
    }

    #[test]
    fn a_secret_is_an_ellipsis() {
        let (printer, tapped) = tapped();
        tapped.exchanged(Side::other, b"AUTH PLAIN AGpvZQBqb2U=\r\n", Exposure::SecretAfter(11));
        tapped.exchanged(Side::other, b"AGpvZQBqb2U=\r\n", Exposure::SecretAfter(0));
        let expected = "smtp:25 17 C: AUTH PLAIN …\nsmtp:25 17 C: …\n";
        assert_eq!(printed(printer, tapped), expected);
    }

    #[test]
    fn long_content_is_shortened_wherever_it_was_cut() {
        let text = "0123456789\r\n".repeat(CONTENT_LINES + 2);
        for size in [1, 5, 1000] {
            let (printer, tapped) = tapped();
            for piece in text.as_bytes().chunks(size) {
                tapped.exchanged(Side::other, piece, Exposure::Content);
            }
            tapped.exchanged(Side::own, b"250 ok\r\n", Exposure::Open);
            let mut expected = "smtp:25 17 C: | 0123456789\n".repeat(CONTENT_LINES);
            expected += "smtp:25 17 C: | … 24 more octets\nsmtp:25 17 S: 250 ok\n";
            assert_eq!(printed(printer, tapped), expected, "{size}");
        }
    }

    #[test]
    fn nothing_reaches_the_terminal_unescaped() {
        let (printer, tapped) = tapped();
        tapped.exchanged(Side::other, b"\x1b[2J\x07\xff\xc3\xbc\\\xe2\x80\xae\r\n", Exposure::Open);
        assert_eq!(printed(printer, tapped), "smtp:25 17 C: \\u{1b}[2J\\u{7}\\xffü\\\\\\u{202e}\n");
    }

    #[test]
    fn unfinished_content_is_shown_and_forgotten_at_the_end() {
        let (printer, tapped) = tapped();
        tapped.exchanged(Side::other, b"half a li", Exposure::Content);
        tapped.ended(&Ended { why: Why::PeerClosed, received: 9, sent: 0 });
        assert!(printer.inner.lock().expect("not poisoned").contents.is_empty());
        let expected = "smtp:25 17 C: | half a li\nsmtp:25 17 --: the peer closed the connection\n";
        assert_eq!(printed(printer, tapped), expected);
    }
}

//! mbox: many messages in one file, each behind a line that begins with `From `.
//!
//! RFC 4155 §2 names the family; its members differ in how a line `From …` inside of a message is told from one between two:
//!
//! | kind | inside of a message | where the message ends |
//! |---|---|---|
//! | mboxo | `From ` is written `>From ` | at the next line `From ` |
//! | mboxrd | a `>` more in front of each `>…>From ` | at the next line `From ` |
//! | mboxcl | as mboxo | where Content-Length says |
//! | mboxcl2 | as it is | where Content-Length says |
//!
//! A line begins a message when it has `From ` and a time of day in it and is the first one or stands behind an empty line.
//! A Content-Length is believed when the file ends there or such a line follows, and then belongs to the file and not to the message.
//! State is in Status, X-Status and X-Keywords, which belong to the file as well.
//!
//! Invariants: at most a line's first [`PIECE_MAX`] octets and a header of [`HEADER_MAX`] are in memory; what [`Writer`] wrote
//! is read again as it was, except for those fields and a last line without an end.
//! Not here: which messages are known already (server).

use crate::Marks;
use message::date::Date;
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};

/// How much of a long line is looked at at once.
pub const PIECE_MAX: usize = 64 * 1024;

/// How much of a header is held back until it is known whether Content-Length says the truth. In a longer one it is not believed.
pub const HEADER_MAX: usize = 256 * 1024;

/// How far a line that stands between messages may be behind the place that Content-Length tells.
const GAP_MAX: u64 = 4;

/// Fields that a mail program keeps for itself in an mbox.
const OF_THE_FILE: [&str; 6] = ["status", "x-status", "x-keywords", "x-uid", "x-imap", "x-imapbase"];

/// A member of the family.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    /// By Content-Length where it says the truth, as mboxrd otherwise.
    #[default]
    Guess,
    /// mboxo.
    O,
    /// mboxrd.
    Rd,
    /// mboxcl.
    Cl,
    /// mboxcl2.
    Cl2,
}

/// What an mbox says of a message besides its octets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Letter {
    /// When it arrived, by the line in front of it, or was written, by its own Date; Unix seconds.
    pub received_at: Option<i64>,
    /// Its state.
    pub marks: Marks,
    /// Whether it is a mail program's note to itself, and no message.
    pub is_internal: bool,
}

/// Reads an mbox, message by message.
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    kind: Kind,
    at: u64,
    length: u64,
    begun: bool,
    /// The line in front of the next message.
    from_line: Option<Vec<u8>>,
}

/// A piece of a line.
struct Piece {
    octets: Vec<u8>,
    begins_line: bool,
}

impl<R: BufRead + Seek> Reader<R> {
    /// Begins at the start of the file.
    pub fn new(mut source: R, kind: Kind) -> io::Result<Self> {
        let length = source.seek(SeekFrom::End(0))?;
        source.seek(SeekFrom::Start(0))?;
        Ok(Reader { source, kind, at: 0, length, begun: false, from_line: None })
    }

    /// How far it has come, in octets.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// Gives the next message to `sink`, with the line ends of the file, and then says what is known of it. `None` at the end.
    pub fn next(&mut self, mut sink: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<Option<Letter>> {
        if !self.begun {
            self.begin()?;
        }
        let Some(from_line) = self.from_line.take() else { return Ok(None) };
        let mut header = Header::default();
        let mut is_new_line = true;
        let mut held = None;
        let mut in_header = true;
        while let Some(piece) = self.piece(is_new_line, u64::MAX)? {
            is_new_line = piece.octets.ends_with(b"\n");
            if piece.begins_line && held.is_some() && is_from_line(&piece.octets) {
                self.keep_from_line(piece)?;
                held = None;
                break;
            }
            if let Some(blank) = held.take() {
                match in_header {
                    true => header.end(blank, &mut sink, false)?,
                    false => sink(&blank)?,
                }
                in_header = false;
            }
            match () {
                () if piece.begins_line && is_blank(&piece.octets) => {
                    let length = header.content_length.filter(|_| in_header && self.believes_lengths());
                    if let Some(length) = length
                        && self.is_proven(length)?
                    {
                        header.end(piece.octets, &mut sink, true)?;
                        self.body(length, &mut sink)?;
                        return Ok(Some(header.letter(&from_line)));
                    }
                    held = Some(piece.octets);
                }
                () if in_header => header.add(self.unquoted(&piece, false), piece.begins_line, &mut sink)?,
                () => sink(self.unquoted(&piece, false))?,
            }
        }
        // The empty line in front of the next message, or at the end, is the file's.
        drop(held);
        if in_header {
            header.end(Vec::new(), &mut sink, false)?;
        }
        Ok(Some(header.letter(&from_line)))
    }

    fn begin(&mut self) -> io::Result<()> {
        self.begun = true;
        let mut is_new_line = true;
        while let Some(piece) = self.piece(is_new_line, u64::MAX)? {
            if piece.begins_line && piece.octets.starts_with(b"From ") {
                return self.keep_from_line(piece);
            }
            if !is_blank(&piece.octets) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "it does not begin with a line From …"));
            }
            is_new_line = true;
        }
        Ok(())
    }

    /// Keeps what was read of the line, and passes over the rest.
    fn keep_from_line(&mut self, piece: Piece) -> io::Result<()> {
        let mut ends = piece.octets.ends_with(b"\n");
        self.from_line = Some(piece.octets);
        while !ends {
            let Some(rest) = self.piece(false, u64::MAX)? else { break };
            ends = rest.octets.ends_with(b"\n");
        }
        Ok(())
    }

    fn piece(&mut self, begins_line: bool, most: u64) -> io::Result<Option<Piece>> {
        let mut octets = Vec::new();
        let most = most.min(PIECE_MAX as u64);
        self.at += self.source.by_ref().take(most).read_until(b'\n', &mut octets)? as u64;
        Ok((!octets.is_empty()).then_some(Piece { octets, begins_line }))
    }

    fn believes_lengths(&self) -> bool {
        matches!(self.kind, Kind::Guess | Kind::Cl | Kind::Cl2)
    }

    /// Whether the message would end where the file or another message begins.
    fn is_proven(&mut self, length: u64) -> io::Result<bool> {
        let Some(end) = self.at.checked_add(length).filter(|end| *end <= self.length) else { return Ok(false) };
        self.source.seek(SeekFrom::Start(end))?;
        let mut behind = Vec::new();
        self.source.by_ref().take(GAP_MAX + b"From ".len() as u64).read_to_end(&mut behind)?;
        self.source.seek(SeekFrom::Start(self.at))?;
        let gap = behind.iter().take_while(|octet| matches!(octet, b'\r' | b'\n')).count();
        Ok(gap as u64 <= GAP_MAX && (behind.len() == gap || behind[gap..].starts_with(b"From ")))
    }

    /// Gives a body of known length, and reads on to the next message.
    fn body(&mut self, length: u64, sink: &mut impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let end = self.at + length;
        let mut is_new_line = true;
        while self.at < end {
            let Some(piece) = self.piece(is_new_line, end - self.at)? else { break };
            is_new_line = piece.octets.ends_with(b"\n");
            sink(self.unquoted(&piece, true))?;
        }
        while let Some(piece) = self.piece(true, u64::MAX)? {
            if piece.octets.starts_with(b"From ") {
                return self.keep_from_line(piece);
            }
        }
        Ok(())
    }

    /// A piece without the `>` that the file's writer put in front.
    fn unquoted<'a>(&self, piece: &'a Piece, by_length: bool) -> &'a [u8] {
        let depth = piece.octets.iter().take_while(|octet| **octet == b'>').count();
        let is_quoted = piece.begins_line && depth > 0 && piece.octets[depth..].starts_with(b"From ");
        let is_ours = match self.kind {
            Kind::Cl2 => false,
            Kind::Guess if by_length => false,
            Kind::Guess | Kind::Rd => true,
            Kind::O | Kind::Cl => depth == 1,
        };
        &piece.octets[usize::from(is_quoted && is_ours)..]
    }
}

/// A header while it is read.
#[derive(Debug, Default)]
struct Header {
    /// Fields that are the message's.
    kept: Vec<u8>,
    /// Where Content-Length is among them.
    length_at: Option<std::ops::Range<usize>>,
    content_length: Option<u64>,
    /// Whether the line before belongs to the file.
    drops: bool,
    /// Whether more has come than is held back.
    overflowed: bool,
    marks: Marks,
    dated: Option<i64>,
    has_imap: bool,
    has_its_subject: bool,
}

impl Header {
    fn add(
        &mut self,
        line: &[u8],
        begins_line: bool,
        sink: &mut impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let continues = !begins_line || line.starts_with(b" ") || line.starts_with(b"\t");
        if !continues {
            self.drops = self.field(line);
        } else if let Some(at) = self.length_at.as_mut().filter(|at| at.end == self.kept.len()) {
            at.end += line.len();
        }
        if self.drops {
            return Ok(());
        }
        self.kept.extend_from_slice(line);
        if self.kept.len() > HEADER_MAX {
            self.overflowed = true;
            (self.content_length, self.length_at) = (None, None);
            sink(&std::mem::take(&mut self.kept))?;
        }
        Ok(())
    }

    /// Looks at a field's first line; says whether it is the file's and not the message's.
    fn field(&mut self, line: &[u8]) -> bool {
        let Some(colon) = line.iter().position(|octet| *octet == b':') else { return false };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match () {
            () if is("status") => self.marks.seen |= value.contains(&b'R'),
            () if is("x-status") => self.state(value),
            () if is("x-keywords") => {
                let words = String::from_utf8_lossy(value);
                words.split_ascii_whitespace().for_each(|word| self.marks.add_keyword(word));
            }
            () if is("x-imap") => self.has_imap = true,
            () if is("subject") => self.has_its_subject = value.starts_with(b"DON'T DELETE THIS MESSAGE"),
            () if is("date") => self.dated = self.dated.or_else(|| Date::parse(value).map(|date| date.unix_secs())),
            () if is("content-length") && !self.overflowed => {
                self.content_length = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
                self.length_at = Some(self.kept.len()..self.kept.len() + line.len());
            }
            () => {}
        }
        OF_THE_FILE.iter().any(|known| is(known))
    }

    fn state(&mut self, letters: &[u8]) {
        self.marks.answered |= letters.contains(&b'A');
        self.marks.flagged |= letters.contains(&b'F');
        self.marks.deleted |= letters.contains(&b'D');
        self.marks.draft |= letters.contains(&b'T');
    }

    /// The end of the header, and the empty line behind it if there is one.
    fn end(
        &mut self,
        blank: Vec<u8>,
        sink: &mut impl FnMut(&[u8]) -> io::Result<()>,
        without_length: bool,
    ) -> io::Result<()> {
        let mut kept = std::mem::take(&mut self.kept);
        if let Some(at) = self.length_at.take().filter(|_| without_length) {
            kept.drain(at);
        }
        sink(&kept)?;
        sink(&blank)
    }

    fn letter(self, from_line: &[u8]) -> Letter {
        Letter {
            received_at: from_line_date(from_line).or(self.dated),
            marks: self.marks,
            is_internal: self.has_imap && self.has_its_subject,
        }
    }
}

fn is_blank(line: &[u8]) -> bool {
    matches!(line, b"\n" | b"\r\n")
}

/// Whether a line behind an empty one begins a message: `From ` and a time of day.
fn is_from_line(line: &[u8]) -> bool {
    let has_time = || line.split(|octet| *octet == b' ').any(is_time);
    line.starts_with(b"From ") && has_time()
}

fn is_time(word: &[u8]) -> bool {
    let mut parts = word.trim_ascii().split(|octet| *octet == b':');
    let is_number = |part: Option<&[u8]>| {
        part.is_some_and(|part| matches!(part.len(), 1 | 2) && part.iter().all(u8::is_ascii_digit))
    };
    is_number(parts.next()) && is_number(parts.next())
}

/// The date in `From joe@example.org Tue Nov 14 22:13:20 2023`, perhaps with a zone in front of the year or behind it.
pub fn from_line_date(line: &[u8]) -> Option<i64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = String::from_utf8_lossy(line.strip_prefix(b"From ")?);
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let at = words.windows(3).rposition(|three| MONTHS.contains(&three[0]) && is_time(three[2].as_bytes()))?;
    let [month, day, time] = [words[at], words[at + 1], words[at + 2]];
    let behind = &words[at + 3..];
    let is_year = |word: &&&str| word.len() == 4 && word.bytes().all(|octet| octet.is_ascii_digit());
    let year = behind.iter().take(2).find(is_year)?;
    let zone = behind.iter().take(2).find(|word| *word != year).unwrap_or(&"+0000");
    let moment = |zone: &str| Date::parse(format!("{day} {month} {year} {time} {zone}").as_bytes());
    moment(zone).or_else(|| moment("+0000")).map(|date| date.unix_secs())
}

/// Writes an mboxrd.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    /// What has come of the present line: nothing is written before it is known how it begins.
    line: Vec<u8>,
    begins_line: bool,
    in_header: bool,
    drops: bool,
    /// The message's state, until the end of its header.
    fields: String,
}

impl<W: Write> Writer<W> {
    /// Writes to `out`, which is best buffered.
    pub fn new(out: W) -> Self {
        Writer { out, line: Vec::new(), begins_line: true, in_header: true, drops: false, fields: String::new() }
    }

    /// Begins a message. `sender` is who sent it, if that is known.
    pub fn begin(&mut self, sender: Option<&str>, received_at: i64, marks: &Marks) -> io::Result<()> {
        let sender = sender
            .filter(|sender| !sender.is_empty() && !sender.contains(|c: char| c.is_whitespace() || c.is_control()));
        (self.begins_line, self.in_header, self.drops) = (true, true, false);
        writeln!(self.out, "From {} {}", sender.unwrap_or("MAILER-DAEMON"), asctime(received_at))?;
        self.fields = fields(marks);
        Ok(())
    }

    /// Adds octets of the message, with LF for line ends.
    pub fn feed(&mut self, octets: &[u8]) -> io::Result<()> {
        for part in octets.split_inclusive(|octet| *octet == b'\n') {
            let mut part = part;
            while !part.is_empty() {
                let count = part.len().min(PIECE_MAX - self.line.len());
                self.line.extend_from_slice(&part[..count]);
                part = &part[count..];
                if self.line.ends_with(b"\n") || self.line.len() == PIECE_MAX {
                    self.piece()?;
                }
            }
        }
        Ok(())
    }

    fn piece(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        if self.in_header && self.begins_line {
            self.look_at_header(&line)?;
        }
        if !self.drops {
            let depth = line.iter().take_while(|octet| **octet == b'>').count();
            if self.begins_line && line[depth..].starts_with(b"From ") {
                self.out.write_all(b">")?;
            }
            self.out.write_all(&line)?;
        }
        self.begins_line = line.ends_with(b"\n");
        self.line = line;
        self.line.clear();
        Ok(())
    }

    /// The message's own Status would be taken for ours, and its Content-Length for the truth.
    fn look_at_header(&mut self, line: &[u8]) -> io::Result<()> {
        if is_blank(line) {
            (self.in_header, self.drops) = (false, false);
            self.out.write_all(std::mem::take(&mut self.fields).as_bytes())?;
        } else if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            let name = line.split(|octet| *octet == b':').next().unwrap_or_default();
            let is = |known: &&str| name.eq_ignore_ascii_case(known.as_bytes());
            self.drops = OF_THE_FILE.iter().chain(&["content-length"]).any(is);
        }
        Ok(())
    }

    /// Ends a message: a last line without an end gets one, and an empty line follows.
    pub fn end(&mut self) -> io::Result<()> {
        if !self.line.is_empty() {
            self.piece()?;
        }
        if !self.begins_line && !self.drops {
            self.out.write_all(b"\n")?;
        }
        self.out.write_all(std::mem::take(&mut self.fields).as_bytes())?;
        self.out.write_all(b"\n")
    }

    /// What it was written to.
    pub fn into_inner(self) -> W {
        self.out
    }
}

/// The fields that tell a message's state.
fn fields(marks: &Marks) -> String {
    let mut fields = format!("Status: {}\n", if marks.seen { "RO" } else { "O" });
    let letters = [('D', marks.deleted), ('F', marks.flagged), ('A', marks.answered), ('T', marks.draft)];
    let letters: String = letters.iter().filter(|(_, is_set)| *is_set).map(|(letter, _)| *letter).collect();
    if !letters.is_empty() {
        fields += &format!("X-Status: {letters}\n");
    }
    if !marks.keywords.is_empty() {
        fields += &format!("X-Keywords: {}\n", marks.keywords.join(" "));
    }
    fields
}

/// A moment as a line between messages has it: `Tue Nov 14 22:13:20 2023`, in UTC.
fn asctime(unix_secs: i64) -> String {
    // `Tue, 14 Nov 2023 22:13:20 +0000`
    let text = Date::utc(unix_secs).to_string();
    let words: Vec<&str> = text.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    match words[..] {
        [weekday, day, month, year, time, _] => format!("{weekday} {month} {day:>2} {time} {year}"),
        _ => "Thu Jan  1 00:00:00 1970".into(),
    }
}

#[cfg(test)]
mod tests;

//! The parts of a message, and where in it they stand.
//!
//! RFC 2045 §5.2 (defaults), RFC 2046 §5.1 (multipart), §5.1.5 (digest), §5.2.1 (message/rfc822); RFC 6532 §3.7 (message/global);
//! RFC 9051 §6.4.5 (part numbers).
//!
//! ```text
//! header ─blank line→ body of a leaf ─boundary of an open multipart→ header of the next part
//!                     multipart: preamble, parts, epilogue     message/rfc822: at once the header of the message inside
//! ```
//!
//! Invariants: one pass, whatever the nesting, and the same result however the message is cut into pieces; spans lie inside the message, a child's inside its parent's body,
//! and siblings do not touch. A boundary is a whole line, never a part of one; the innermost multipart it could belong to
//! has it, so that a quoted message with the same boundary stays whole. Beyond [`DEPTH_MAX`] and [`PARTS_MAX`] nothing is opened any more,
//! and [`Tree::is_cut`] says so.
//! Not here: decoding (transfer, charset), how IMAP writes it (imap).

use std::ops::Range;

use super::params::{ContentType, Disposition};
use super::transfer::Encoding;
use crate::header::{Field, Fields, Kind, kind_of};
use crate::syntax::{line_end, without_line_end};

/// How deep parts are nested at most. Forwarded forwards go some ten deep; each level costs stack in clients.
pub const DEPTH_MAX: usize = 50;

/// How many parts are found at most. Big digests have some hundred.
pub const PARTS_MAX: usize = 2_000;

/// How many fields of one part's header are looked at for its type. Mail that crossed many lists has a hundred.
pub const FIELDS_MAX: usize = 2_000;

/// How many octets of one header are looked at, and of one line. As much as [`crate::header::scan::HEADER_MAX`] allows for the
/// message's own; what comes behind does not count.
pub const HEADER_KEPT_MAX: usize = 256 * 1024;

/// How many octets the parameters of all parts may have together. A message of a hundred files has 10 KiB.
pub const PARAMS_OCTETS_MAX: usize = 256 * 1024;

/// All parts of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// The parts in order of their beginnings; the first is the message itself.
    pub parts: Vec<Part>,
    /// Whether a limit kept parts from being found.
    pub is_cut: bool,
}

/// A message, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The index of the part it is in.
    pub parent: Option<usize>,
    /// Its header, with the blank line behind it. Empty if there is none.
    pub header: Range<usize>,
    /// Its body, without the line end that belongs to the boundary behind it.
    pub body: Range<usize>,
    /// How many lines end in the body.
    pub lines: usize,
    /// What it is; the default where nothing valid is said (RFC 2045 §5.2).
    pub content_type: ContentType,
    /// Whether the type was said.
    pub is_declared: bool,
    /// How its body is encoded.
    pub encoding: Encoding,
    /// How it wants to be shown.
    pub disposition: Option<Disposition>,
    /// What is in it.
    pub content: Content,
}

/// What a part consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Octets.
    Leaf,
    /// Parts, by index. There may be none.
    Multipart(Vec<usize>),
    /// A whole message, by index: a part of its own, with the same body's span for header and body together.
    Message(usize),
}

impl Tree {
    /// Finds the parts of a complete message.
    pub fn parse(message: &[u8]) -> Self {
        let mut scan = Scan::new(());
        scan.feed(message);
        scan.finish().0
    }

    /// The message itself.
    pub fn root(&self) -> &Part {
        &self.parts[0]
    }

    /// The part with an IMAP part number (RFC 9051 §6.4.5): `[1, 2]` for `1.2`. An empty number is the message.
    ///
    /// A message without multipart has one part, 1, which is its body.
    pub fn section(&self, number: &[u32]) -> Option<usize> {
        let Some((&first, rest)) = number.split_first() else { return Some(0) };
        let start = self.within_message(0, first)?;
        rest.iter().try_fold(start, |at, &number| match &self.parts[at].content {
            Content::Multipart(children) => nth(children, number),
            Content::Message(inner) => self.within_message(*inner, number),
            Content::Leaf => None,
        })
    }

    fn within_message(&self, message: usize, number: u32) -> Option<usize> {
        match &self.parts[message].content {
            Content::Multipart(children) => nth(children, number),
            _ => (number == 1).then_some(message),
        }
    }

    /// The parts that hold no others, in order.
    pub fn leaves(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|part| part.content == Content::Leaf)
    }
}

fn nth(children: &[usize], number: u32) -> Option<usize> {
    children.get((number as usize).checked_sub(1)?).copied()
}

impl Part {
    /// Header and body.
    pub fn span(&self) -> Range<usize> {
        self.header.start..self.body.end
    }

    /// A field of its header, from the message it was found in.
    pub fn field<'a>(&self, message: &'a [u8], name: &str) -> Option<Field<'a>> {
        Fields::first(&message[self.header.clone()], name)
    }

    /// Its body, decoded.
    pub fn decoded(&self, message: &[u8]) -> Vec<u8> {
        self.encoding.decode(&message[self.body.clone()])
    }

    /// The file's name, from the disposition or (older) the type.
    pub fn file_name(&self) -> Option<String> {
        let disposition = self.disposition.as_ref().and_then(|disposition| disposition.params.text("filename"));
        disposition.or_else(|| self.content_type.params.text("name"))
    }

    /// Whether it is to be offered as a file rather than shown.
    pub fn is_attachment(&self) -> bool {
        match &self.disposition {
            Some(disposition) => disposition.kind != "inline",
            None => self.file_name().is_some() && self.content_type.kind != "text",
        }
    }
}

/// A part whose end has not been seen.
#[derive(Debug)]
struct Open {
    part: usize,
    /// The boundary between its parts, if it is a multipart and not yet in its epilogue.
    boundary: Option<Vec<u8>>,
    /// How many lines had ended where its body begins.
    lines_before: usize,
}

/// A boundary that was found.
struct Delimiter {
    /// Which of the open parts it belongs to.
    level: usize,
    is_last: bool,
}

/// Somebody who wants to see each header while the message passes.
pub trait Watch {
    /// The header of `tree.parts[part]` is complete: all of it, or its first [`HEADER_KEPT_MAX`] octets.
    fn header(&mut self, tree: &Tree, part: usize, header: &[u8]);
}

impl Watch for () {
    fn header(&mut self, _tree: &Tree, _part: usize, _header: &[u8]) {}
}

/// Finds the parts of a message that comes in pieces, in memory that does not grow with it.
#[derive(Debug)]
pub struct Scan<W> {
    tree: Tree,
    open: Vec<Open>,
    /// Whether the innermost open part's header is being read.
    in_header: bool,
    /// The header under way, as far as it is kept.
    header: Vec<u8>,
    /// Its first line is a mailbox file's `From ` line: whether it is a header at all is for the next line to say. How many
    /// lines ended before.
    behind_from_line: Option<usize>,
    /// The line under way, as far as it is kept, if it came in pieces.
    line: Vec<u8>,
    /// How long it is.
    line_len: usize,
    /// Its last two octets.
    line_tail: [u8; 2],
    /// Where the line under way begins.
    at: usize,
    /// How many lines have ended.
    lines: usize,
    /// The length of the last line's end: 0, 1 or 2.
    ending: usize,
    /// How many octets of parameters may still be kept.
    params_room: usize,
    watch: W,
}

/// A line, and where it stands.
#[derive(Clone, Copy)]
struct Line<'a> {
    /// Its octets, its end included; or the first of them.
    text: &'a [u8],
    at: usize,
    end: usize,
}

impl Line<'_> {
    fn is_whole(&self) -> bool {
        self.text.len() == self.end - self.at
    }

    fn kind(&self) -> Kind {
        kind_of(self.text)
    }
}

impl<W: Watch> Scan<W> {
    /// At the start of a message.
    pub fn new(watch: W) -> Self {
        let mut scan = Scan {
            tree: Tree { parts: Vec::new(), is_cut: false },
            open: Vec::new(),
            in_header: false,
            header: Vec::new(),
            behind_from_line: None,
            line: Vec::new(),
            line_len: 0,
            line_tail: [0; 2],
            at: 0,
            lines: 0,
            ending: 0,
            params_room: PARAMS_OCTETS_MAX,
            watch,
        };
        scan.open_part(None, 0);
        scan
    }

    /// Looks at the next piece.
    pub fn feed(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            let (text, rest) = piece.split_at(line_end(piece, 0));
            piece = rest;
            let is_complete = text.ends_with(b"\n");
            if self.line_len == 0 && is_complete {
                self.end_line(text, text.len(), ending_len(text));
                continue;
            }
            self.line_len += text.len();
            text[text.len().saturating_sub(2)..].iter().for_each(|&octet| self.line_tail = [self.line_tail[1], octet]);
            let room = HEADER_KEPT_MAX.saturating_sub(self.line.len());
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            if is_complete {
                self.end_kept_line();
            }
        }
    }

    /// The message is complete.
    pub fn finish(mut self) -> (Tree, W) {
        if self.line_len > 0 {
            self.end_kept_line();
        }
        // A header that ends with the message has its body behind the last line.
        self.end_headers(self.at);
        (0..self.open.len()).for_each(|level| self.close(level, self.at, self.lines));
        (self.tree, self.watch)
    }

    fn end_kept_line(&mut self) {
        let (line, len) = (std::mem::take(&mut self.line), std::mem::take(&mut self.line_len));
        let tail = std::mem::take(&mut self.line_tail);
        self.end_line(&line, len, ending_len(&tail));
        self.line = line;
        self.line.clear();
    }

    fn end_line(&mut self, text: &[u8], len: usize, ending: usize) {
        let line = Line { text, at: self.at, end: self.at + len };
        self.line(line);
        self.at = line.end;
        self.ending = ending;
        self.lines += usize::from(ending > 0);
    }

    fn line(&mut self, line: Line<'_>) {
        if let Some(delimiter) = self.delimiter(line) {
            self.at_delimiter(delimiter, line);
        } else if self.in_header {
            self.header_line(line);
        }
    }

    fn header_line(&mut self, line: Line<'_>) {
        let is_first = line.at == self.innermost().header.start;
        match line.kind() {
            Kind::Field { .. } => {
                self.behind_from_line = None;
                self.keep(line);
            }
            // What begins with neither a field nor a blank line has no header (see `begins_with_header`).
            _ if self.behind_from_line.is_some() => self.end_headers(self.innermost_start()),
            Kind::Blank => {
                self.keep(line);
                self.end_header(line.end, self.lines + 1);
            }
            Kind::FromLine if is_first => {
                self.behind_from_line = Some(self.lines);
                self.keep(line);
            }
            Kind::Folded | Kind::Flawed if is_first => {
                // The line belongs to the body; and if that is a message, to what is in there.
                self.end_header(line.at, self.lines);
                if self.in_header {
                    self.header_line(line);
                }
            }
            Kind::FromLine | Kind::Folded | Kind::Flawed => self.keep(line),
        }
    }

    fn keep(&mut self, line: Line<'_>) {
        let room = HEADER_KEPT_MAX.saturating_sub(self.header.len());
        self.header.extend_from_slice(&line.text[..line.text.len().min(room)]);
    }

    /// Ends the header under way, and that of the message inside if the part is one.
    fn end_headers(&mut self, at: usize) {
        let (at, lines) = match self.behind_from_line.take() {
            Some(lines_before) => {
                self.header.clear();
                (self.innermost_start(), lines_before)
            }
            None => (at, self.lines),
        };
        while self.in_header {
            self.end_header(at, lines);
        }
    }

    fn innermost_start(&self) -> usize {
        self.open.last().map_or(0, |open| self.tree.parts[open.part].header.start)
    }

    fn innermost(&mut self) -> &mut Part {
        let at = self.open.last().map_or(0, |open| open.part);
        &mut self.tree.parts[at]
    }

    /// Begins a part at `at`, if the limits allow it.
    fn open_part(&mut self, parent: Option<usize>, at: usize) -> Option<usize> {
        if self.tree.parts.len() >= PARTS_MAX || self.open.len() >= DEPTH_MAX {
            self.tree.is_cut = true;
            return None;
        }
        let part = self.tree.parts.len();
        self.tree.parts.push(Part {
            parent,
            header: at..at,
            body: at..at,
            lines: 0,
            content_type: ContentType::new("text", "plain"),
            is_declared: false,
            encoding: Encoding::SevenBit,
            disposition: None,
            content: Content::Leaf,
        });
        self.open.push(Open { part, boundary: None, lines_before: 0 });
        self.in_header = true;
        self.behind_from_line = None;
        self.header.clear();
        Some(part)
    }

    /// The innermost part's body begins at `at`; now it is known what it is.
    fn end_header(&mut self, at: usize, lines_before: usize) {
        self.in_header = false;
        let header = std::mem::take(&mut self.header);
        let mut declared = Declared::read(&header);
        self.tree.is_cut |= !declared.fit(&mut self.params_room);
        let is_in_digest = self
            .innermost()
            .parent
            .is_some_and(|parent| self.tree.parts[parent].content_type.is("multipart", "digest"));
        let part = self.innermost();
        (part.header, part.body) = (part.header.start..at, at..at);
        part.is_declared = declared.content_type.is_some();
        part.content_type = declared.content_type.unwrap_or_else(|| match is_in_digest {
            true => ContentType::new("message", "rfc822"),
            false => ContentType::new("text", "plain"),
        });
        part.encoding = declared.encoding;
        part.disposition = declared.disposition;
        if let Some(open) = self.open.last_mut() {
            open.lines_before = lines_before;
            self.watch.header(&self.tree, open.part, &header);
        }
        self.header = header;
        self.header.clear();
        self.open_content(at);
    }

    fn open_content(&mut self, at: usize) {
        let Part { content_type, encoding, .. } = &*self.innermost();
        let is_encoded = matches!(encoding, Encoding::Base64 | Encoding::QuotedPrintable | Encoding::Unknown(_));
        let is_message = matches!(content_type.subtype.as_str(), "rfc822" | "global") && content_type.kind == "message";
        if content_type.kind == "multipart" {
            let boundary = content_type.params.octets("boundary").map(|boundary| boundary.trim_ascii_end().to_vec());
            if let Some(open) = self.open.last_mut() {
                open.boundary = boundary.filter(|boundary| !boundary.is_empty());
            }
            self.innermost().content = Content::Multipart(Vec::new());
        } else if is_message && !is_encoded {
            let parent = self.open.last().map(|open| open.part);
            if let (Some(parent), Some(inner)) = (parent, self.open_part(parent, at)) {
                self.tree.parts[parent].content = Content::Message(inner);
            }
        }
    }

    /// RFC 2046 §5.1.1: two hyphens, the boundary, perhaps two hyphens more, perhaps blanks, and nothing else.
    fn delimiter(&self, line: Line<'_>) -> Option<Delimiter> {
        let text = line.text.strip_prefix(b"--")?;
        if !line.is_whole() {
            return None;
        }
        let text = without_line_end(text).trim_ascii_end();
        self.open.iter().enumerate().rev().find_map(|(level, open)| {
            let rest = text.strip_prefix(open.boundary.as_deref()?)?;
            let is_last = rest == b"--";
            (is_last || rest.is_empty()).then_some(Delimiter { level, is_last })
        })
    }

    fn at_delimiter(&mut self, Delimiter { level, is_last }: Delimiter, line: Line<'_>) {
        // Even a boundary that looks like a field shows that there was a header in front of it.
        self.behind_from_line.take_if(|_| matches!(line.kind(), Kind::Field { .. }));
        self.end_headers(line.at);
        self.close_above(level + 1);
        if is_last {
            self.open[level].boundary = None;
            return;
        }
        let multipart = self.open[level].part;
        if let Some(part) = self.open_part(Some(multipart), line.end)
            && let Content::Multipart(children) = &mut self.tree.parts[multipart].content
        {
            children.push(part);
        }
    }

    /// Ends all open parts from `level` on, because of the boundary that is the line under way.
    ///
    /// The line end in front of a boundary belongs to it (RFC 2046 §5.1.1), unless it belongs to the part's header;
    /// what is inside the part ends where the part does.
    fn close_above(&mut self, level: usize) {
        let Some(outermost) = self.open.get(level) else { return };
        let has_body = self.at > self.tree.parts[outermost.part].body.start;
        let ending = if has_body { self.ending } else { 0 };
        for level in (level..self.open.len()).rev() {
            self.close(level, self.at - ending, self.lines - usize::from(ending > 0));
        }
        self.open.truncate(level);
    }

    /// Ends one part at `at`, in front of which `lines` lines have ended.
    fn close(&mut self, level: usize, at: usize, lines: usize) {
        let Some(open) = self.open.get(level) else { return };
        let part = &mut self.tree.parts[open.part];
        part.header.end = part.header.end.min(at);
        part.header.start = part.header.start.min(part.header.end);
        part.body = part.body.start.min(at)..at;
        part.lines = if part.body.is_empty() { 0 } else { lines - open.lines_before };
    }
}

/// How long the line end at the end of `text` is.
fn ending_len(text: &[u8]) -> usize {
    text.len() - without_line_end(text).len()
}

/// What a part's header says about it.
struct Declared {
    content_type: Option<ContentType>,
    encoding: Encoding,
    disposition: Option<Disposition>,
}

impl Declared {
    /// Takes what its parameters need from the room there is, or goes without them. Says whether they had room.
    fn fit(&mut self, room: &mut usize) -> bool {
        let of_type = self.content_type.as_mut().map(|content_type| &mut content_type.params);
        let of_disposition = self.disposition.as_mut().map(|disposition| &mut disposition.params);
        let mut fits = true;
        for params in [of_type, of_disposition].into_iter().flatten() {
            let needed = params.raw.iter().map(|(name, value)| name.len() + value.len()).sum();
            match room.checked_sub(needed) {
                Some(left) => *room = left,
                None => {
                    params.raw.clear();
                    fits = false;
                }
            }
        }
        fits
    }

    /// Of several fields with the same name, the first counts.
    fn read(header: &[u8]) -> Self {
        let (mut content_type, mut encoding, mut disposition) = (None, None, None);
        for field in Fields::new(header)
            .take(FIELDS_MAX)
            .filter(|field| field.name.len() > 8 && field.name[..8].eq_ignore_ascii_case(b"content-"))
        {
            if content_type.is_none() && field.is("content-type") {
                content_type = Some(ContentType::parse(field.raw));
            } else if encoding.is_none() && field.is("content-transfer-encoding") {
                encoding = Some(Encoding::parse(field.raw));
            } else if disposition.is_none() && field.is("content-disposition") {
                disposition = Some(Disposition::parse(field.raw));
            }
        }
        Declared {
            content_type: content_type.flatten(),
            encoding: encoding.unwrap_or_default(),
            disposition: disposition.flatten(),
        }
    }
}

#[cfg(test)]
impl Tree {
    /// The invariants of every tree.
    pub(crate) fn assert_whole(&self, message: &[u8]) {
        assert_eq!(self.root().span(), 0..message.len());
        for (at, part) in self.parts.iter().enumerate() {
            assert!(
                part.header.start <= part.header.end
                    && part.header.end <= part.body.start
                    && part.body.start <= part.body.end
            );
            assert_eq!(part.lines, memchr::memchr_iter(b'\n', &message[part.body.clone()]).count());
            let children = match &part.content {
                Content::Leaf => &[][..],
                Content::Multipart(children) => children,
                Content::Message(inner) => std::slice::from_ref(inner),
            };
            let mut end = part.body.start;
            for &child in children {
                let child = &self.parts[child];
                assert_eq!(child.parent, Some(at));
                assert!(end <= child.header.start && child.body.end <= part.body.end);
                end = child.body.end;
            }
            if let Content::Message(inner) = part.content {
                assert_eq!(self.parts[inner].span(), part.body);
            }
        }
    }
}

#[cfg(test)]
mod tests;

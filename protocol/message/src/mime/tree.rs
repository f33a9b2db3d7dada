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
//! Invariants: one pass, whatever the nesting; spans lie inside the message, a child's inside its parent's body,
//! and siblings do not touch. A boundary is a whole line, never a part of one; the innermost multipart it could belong to
//! has it, so that a quoted message with the same boundary stays whole. Beyond [`DEPTH_MAX`] and [`PARTS_MAX`] nothing is opened any more,
//! and [`Tree::is_cut`] says so.
//! Not here: decoding (transfer, charset), how IMAP writes it (imap).

use std::ops::Range;

use super::params::{ContentType, Disposition};
use super::transfer::Encoding;
use crate::header::{Field, Fields, Kind, begins_with_header, kind_of};
use crate::syntax::{line_end, without_line_end};

/// How deep parts are nested at most. Forwarded forwards go some ten deep; each level costs stack in clients.
pub const DEPTH_MAX: usize = 50;

/// How many parts are found at most. Big digests have some hundred.
pub const PARTS_MAX: usize = 2_000;

/// How many fields of one part's header are looked at for its type. Mail that crossed many lists has a hundred.
pub const FIELDS_MAX: usize = 2_000;

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
        let mut builder = Builder {
            message,
            tree: Tree { parts: Vec::new(), is_cut: false },
            open: Vec::new(),
            in_header: false,
            lines: 0,
        };
        builder.run();
        builder.tree
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

struct Builder<'a> {
    message: &'a [u8],
    tree: Tree,
    open: Vec<Open>,
    /// Whether the innermost open part's header is being read.
    in_header: bool,
    /// How many lines have ended.
    lines: usize,
}

impl Builder<'_> {
    fn run(&mut self) {
        self.open_part(None, 0);
        let mut at = 0;
        while at < self.message.len() {
            let end = line_end(self.message, at);
            self.line(at, end);
            self.lines += usize::from(self.message[end - 1] == b'\n');
            at = end;
        }
        // A header that ends with the message has its body behind the last line.
        self.end_headers(at);
        (0..self.open.len()).for_each(|level| self.close(level, at, self.lines));
    }

    /// Ends the header under way, and that of the message inside if the part is one.
    fn end_headers(&mut self, at: usize) {
        while self.in_header {
            self.end_header(at, self.lines);
        }
    }

    fn line(&mut self, at: usize, end: usize) {
        let line = &self.message[at..end];
        if let Some(delimiter) = self.delimiter(line) {
            self.at_delimiter(delimiter, at, end);
        } else if self.in_header {
            self.header_line(at, end);
        }
    }

    fn header_line(&mut self, at: usize, end: usize) {
        let start = self.innermost().header.start;
        if at == start && !begins_with_header(&self.message[at..]) {
            // The line belongs to the body; and if that is a message, to what is in there.
            self.end_header(at, self.lines);
            if self.in_header {
                self.header_line(at, end);
            }
        } else if kind_of(&self.message[at..end]) == Kind::Blank {
            self.end_header(end, self.lines + 1);
        }
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
        Some(part)
    }

    /// The innermost part's body begins at `at`; now it is known what it is.
    fn end_header(&mut self, at: usize, lines_before: usize) {
        self.in_header = false;
        let header = self.innermost().header.start..at;
        let declared = Declared::read(&self.message[header.clone()]);
        let is_in_digest = self
            .innermost()
            .parent
            .is_some_and(|parent| self.tree.parts[parent].content_type.is("multipart", "digest"));
        let part = self.innermost();
        (part.header, part.body) = (header, at..at);
        part.is_declared = declared.content_type.is_some();
        part.content_type = declared.content_type.unwrap_or_else(|| match is_in_digest {
            true => ContentType::new("message", "rfc822"),
            false => ContentType::new("text", "plain"),
        });
        part.encoding = declared.encoding;
        part.disposition = declared.disposition;
        if let Some(open) = self.open.last_mut() {
            open.lines_before = lines_before;
        }
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
    fn delimiter(&self, line: &[u8]) -> Option<Delimiter> {
        let text = line.strip_prefix(b"--")?;
        let text = without_line_end(text).trim_ascii_end();
        self.open.iter().enumerate().rev().find_map(|(level, open)| {
            let rest = text.strip_prefix(open.boundary.as_deref()?)?;
            let is_last = rest == b"--";
            (is_last || rest.is_empty()).then_some(Delimiter { level, is_last })
        })
    }

    fn at_delimiter(&mut self, Delimiter { level, is_last }: Delimiter, at: usize, end: usize) {
        self.end_headers(at);
        self.close_above(level + 1, at, self.lines);
        if is_last {
            self.open[level].boundary = None;
            return;
        }
        let multipart = self.open[level].part;
        if let Some(part) = self.open_part(Some(multipart), end)
            && let Content::Multipart(children) = &mut self.tree.parts[multipart].content
        {
            children.push(part);
        }
    }

    /// Ends all open parts from `level` on, because of the boundary that begins at `at`.
    ///
    /// The line end in front of a boundary belongs to it (RFC 2046 §5.1.1), unless it belongs to the part's header;
    /// what is inside the part ends where the part does.
    fn close_above(&mut self, level: usize, at: usize, lines: usize) {
        let Some(outermost) = self.open.get(level) else { return };
        let body_start = self.tree.parts[outermost.part].body.start;
        let text = &self.message[body_start..at];
        let line_end_len = text.len() - without_line_end(text).len();
        for level in (level..self.open.len()).rev() {
            self.close(level, at - line_end_len, lines - usize::from(line_end_len > 0));
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

/// What a part's header says about it.
struct Declared {
    content_type: Option<ContentType>,
    encoding: Encoding,
    disposition: Option<Disposition>,
}

impl Declared {
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The tree in short: type, lines and body of each part, `{}` around what is inside.
    fn short(message: &str) -> String {
        let tree = Tree::parse(message.as_bytes());
        check(message.as_bytes(), &tree);
        show(message, &tree, 0)
    }

    fn show(message: &str, tree: &Tree, at: usize) -> String {
        let Part { content_type, content, body, lines, .. } = &tree.parts[at];
        let inside = match content {
            Content::Leaf => format!("{:?}", &message[body.clone()]),
            Content::Multipart(children) => {
                children.iter().map(|&child| show(message, tree, child)).collect::<Vec<_>>().join(" ")
            }
            Content::Message(inner) => show(message, tree, *inner),
        };
        format!("{}/{}({lines}){{{inside}}}", content_type.kind, content_type.subtype)
    }

    /// The invariants of every tree.
    pub(super) fn check(message: &[u8], tree: &Tree) {
        assert_eq!(tree.root().span(), 0..message.len());
        for (at, part) in tree.parts.iter().enumerate() {
            assert!(
                part.header.start <= part.header.end
                    && part.header.end <= part.body.start
                    && part.body.start <= part.body.end
            );
            assert_eq!(part.lines, message[part.body.clone()].iter().filter(|&&octet| octet == b'\n').count());
            let children = match &part.content {
                Content::Leaf => &[][..],
                Content::Multipart(children) => children,
                Content::Message(inner) => std::slice::from_ref(inner),
            };
            let mut end = part.body.start;
            for &child in children {
                let child = &tree.parts[child];
                assert_eq!(child.parent, Some(at));
                assert!(end <= child.header.start && child.body.end <= part.body.end);
                end = child.body.end;
            }
            if let Content::Message(inner) = part.content {
                assert_eq!(tree.parts[inner].span(), part.body);
            }
        }
    }

    const MIXED: &str = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";

    #[test]
    fn a_plain_message_is_one_part() {
        assert_eq!(short("Subject: x\r\n\r\nhello\r\nworld"), "text/plain(1){\"hello\\r\\nworld\"}");
        assert_eq!(short("Do you like ketchup?\r\n"), "text/plain(1){\"Do you like ketchup?\\r\\n\"}");
        assert_eq!(short(""), "text/plain(0){\"\"}");
        assert_eq!(short("Content-Type: text/html"), "text/html(0){\"\"}");
    }

    #[test]
    fn the_line_end_before_a_boundary_belongs_to_it() {
        // RFC 2046 §5.1.1, the simple example: the second part ends with a line end, the first does not.
        let message = format!(
            "{MIXED}preamble\r\n--b\r\n\r\nfirst, without.\r\n--b\r\nContent-type: text/plain; charset=us-ascii\r\n\r\nsecond, with.\r\n\r\n--b--\r\nepilogue\r\n"
        );
        assert_eq!(
            short(&message),
            "multipart/mixed(11){text/plain(0){\"first, without.\"} text/plain(1){\"second, with.\\r\\n\"}}"
        );
    }

    #[test]
    fn only_a_whole_line_is_a_boundary() {
        let body = "--bx\r\n --b\r\nx--b\r\n--b-\r\n--b--x\r\n--B\r\n--\r\n";
        assert_eq!(
            short(&format!("{MIXED}--b \t\r\n\r\n{body}--b-- \r\n--b\r\n\r\nno part\r\n")),
            format!("multipart/mixed(13){{text/plain(6){{{:?}}}}}", body.trim_end())
        );
    }

    #[test]
    fn a_part_may_lack_everything() {
        assert_eq!(
            short(&format!("{MIXED}--b\r\n--b\r\n\r\n--b\r\n\r\n\r\n--b\r\nA: b\r\n--b\r\nno header\r\n--b--")),
            "multipart/mixed(10){text/plain(0){\"\"} text/plain(0){\"\"} text/plain(0){\"\"} text/plain(0){\"\"} text/plain(0){\"no header\"}}"
        );
        assert_eq!(short(MIXED), "multipart/mixed(0){}");
        assert_eq!(short("Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\nx"), "multipart/mixed(2){}");
        assert_eq!(
            short(&format!("{MIXED}--b\r\n\r\nnever closed\r\n")),
            "multipart/mixed(3){text/plain(1){\"never closed\\r\\n\"}}"
        );
    }

    #[test]
    fn an_outer_boundary_ends_what_is_inside() {
        let inner = "--b\r\nContent-Type: multipart/alternative; boundary=\"i\"\r\n\r\n--i\r\n\r\nx\r\n";
        assert_eq!(
            short(&format!("{MIXED}{inner}--b\r\n\r\ny\r\n--b--\r\n")),
            "multipart/mixed(10){multipart/alternative(2){text/plain(0){\"x\"}} text/plain(0){\"y\"}}"
        );
        assert_eq!(
            short(&format!("{MIXED}{inner}--i--\r\n--b--\r\n")),
            "multipart/mixed(8){multipart/alternative(3){text/plain(0){\"x\"}}}"
        );
    }

    #[test]
    fn a_quoted_message_with_the_same_boundary_stays_whole() {
        let quoted = format!("{MIXED}--b\r\n\r\nin\r\n--b--\r\n");
        assert_eq!(
            short(&format!("{MIXED}--b\r\nContent-Type: message/rfc822\r\n\r\n{quoted}--b\r\n\r\nout\r\n--b--\r\n")),
            "multipart/mixed(13){message/rfc822(5){multipart/mixed(3){text/plain(0){\"in\"}}} text/plain(0){\"out\"}}"
        );
    }

    #[test]
    fn a_digest_is_of_messages() {
        let digest = "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: 1\r\n\r\none\r\n--b\r\nContent-Type: text/plain\r\n\r\ntwo\r\n--b\r\nno header\r\n--b--";
        assert_eq!(
            short(digest),
            "multipart/digest(11){message/rfc822(2){text/plain(0){\"one\"}} text/plain(0){\"two\"} message/rfc822(0){text/plain(0){\"no header\"}}}"
        );
    }

    #[test]
    fn an_encoded_message_is_a_leaf() {
        assert_eq!(
            short("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nQTogYg=="),
            "message/rfc822(0){\"QTogYg==\"}"
        );
    }

    #[test]
    fn part_numbers_are_those_of_imap() {
        // RFC 9051 §6.4.5.1, the example.
        let message = format!(
            "{MIXED}--b\r\n\r\n1\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n2\r\n\
             --b\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\n3.1\r\n--c\r\n\r\n3.2\r\n--c--\r\n\
             --b\r\nContent-Type: multipart/mixed; boundary=d\r\n\r\n--d\r\nContent-Type: image/gif\r\n\r\n4.1\r\n\
             --d\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; boundary=e\r\n\r\n--e\r\n\r\n4.2.1\r\n\
             --e\r\nContent-Type: multipart/alternative; boundary=f\r\n\r\n--f\r\n\r\n4.2.2.1\r\n--f\r\nContent-Type: text/richtext\r\n\r\n4.2.2.2\r\n--f--\r\n--e--\r\n--d--\r\n--b--\r\n"
        );
        let tree = Tree::parse(message.as_bytes());
        check(message.as_bytes(), &tree);
        for number in ["1", "2", "3.1", "3.2", "4.1", "4.2.1", "4.2.2.1", "4.2.2.2"] {
            let path: Vec<u32> = number.split('.').map(|number| number.parse().expect("a number")).collect();
            let part = &tree.parts[tree.section(&path).unwrap_or_else(|| panic!("no part {number}"))];
            assert_eq!(&message[part.body.clone()], number);
        }
        assert!(tree.parts[tree.section(&[3]).expect("a part")].content_type.is("message", "rfc822"));
        assert_eq!(
            (
                tree.section(&[]),
                tree.section(&[0]),
                tree.section(&[5]),
                tree.section(&[1, 1]),
                tree.section(&[3, 1, 1])
            ),
            (Some(0), None, None, None, None)
        );
        let plain = Tree::parse(b"A: b\r\n\r\nx");
        assert_eq!((plain.section(&[1]), plain.section(&[2]), plain.section(&[1, 1])), (Some(0), None, None));
        let forward = Tree::parse(b"Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\nx");
        assert_eq!(
            (forward.section(&[1]), forward.section(&[1, 1]), forward.section(&[1, 1, 1])),
            (Some(0), Some(1), None)
        );
    }

    #[test]
    fn what_a_part_says_about_itself_is_read() {
        let message = b"Content-Type: application/pdf; name=old.pdf\r\ncontent-transfer-encoding: BASE64\r\nContent-Disposition: attachment;\r\n filename*=utf-8''%C3%A9.pdf\r\nContent-Type: text/html\r\n\r\nSGk=";
        let tree = Tree::parse(message);
        let root = tree.root();
        assert!(root.content_type.is("application", "pdf") && root.is_declared && root.is_attachment());
        assert_eq!((root.encoding.clone(), root.file_name().as_deref()), (Encoding::Base64, Some("\u{e9}.pdf")));
        assert_eq!(root.decoded(message), b"Hi");
        assert_eq!(
            root.field(message, "content-disposition").map(|field| field.unfolded().into_owned()).as_deref(),
            Some(&b"attachment; filename*=utf-8''%C3%A9.pdf"[..])
        );
    }

    #[test]
    fn limits_hold() {
        let parts = format!("{MIXED}{}", "--b\r\n\r\n".repeat(PARTS_MAX + 10));
        let tree = Tree::parse(parts.as_bytes());
        check(parts.as_bytes(), &tree);
        assert_eq!((tree.parts.len(), tree.is_cut), (PARTS_MAX, true));
        let deep = "Content-Type: message/rfc822\r\n\r\n".repeat(DEPTH_MAX + 10);
        let tree = Tree::parse(deep.as_bytes());
        check(deep.as_bytes(), &tree);
        assert_eq!((tree.parts.len(), tree.is_cut), (DEPTH_MAX, true));
    }

    fn messages() -> impl Strategy<Value = Vec<u8>> {
        let piece = proptest::sample::select(vec![
            "--b",
            "--b--",
            "--c",
            "--c--",
            "\r\n",
            "\r\n",
            "\n",
            "x",
            " ",
            "A: b\r\n",
            "From x\r\n",
            "Content-Type: multipart/mixed; boundary=b\r\n",
            "Content-Type: multipart/digest; boundary=c\r\n",
            "Content-Type: message/rfc822\r\n",
            "\r\n--b\r\n",
            "\r\n\r\n",
        ]);
        proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn spans_nest_and_lines_count(message in messages()) {
            check(&message, &Tree::parse(&message));
        }
    }
}

//! Looks at a message while it streams in, and tells what must be known to accept it.
//!
//! RFC 5321 §4.4 (trace fields), §6.3 (loops); RFC 6409 §8 (what a submitted message may lack); RFC 3834 §2, §5 (automatic mail);
//! RFC 2919 (List-Id).
//!
//! ```text
//! Opening ─a field, a blank line→ Header ─blank line→ Body
//!         ─anything else→ Body (all of it)
//! ```
//!
//! Invariants: the same octets give the same facts wherever they are split; memory is bounded by [`FIELD_KEPT_MAX`] (twice)
//! and by what [`Facts`] keeps; the header ends where [`super::section_len`] says.
//! Not here: what follows from the facts (policy, desks), limits on size (smtp), MIME structure (mime).

use memchr::memchr;

use super::{Kind, kind_of, unfold};
use crate::address::{Address, AddressList, Mailbox, parse_address_list};
use crate::mime::params::first_word;

/// How much of one field is looked at. Fields of interest are short; a longer one counts, but its value is flawed.
pub const FIELD_KEPT_MAX: usize = 16 * 1024;

/// The longest header section that honest mail has: lists of some thousand recipients come near. What has more may be refused.
pub const HEADER_MAX: u64 = 256 * 1024;

/// RFC 5321 §6.3: at least 100 Received fields are normal before a loop may be suspected.
pub const RECEIVED_MAX: u32 = 100;

/// How many spans of one kind of field are kept; more of one that must be unique is nonsense anyway.
const SPANS_MAX: usize = 16;

/// How many addresses of Delivered-To fields are kept. Loops that need more are caught by [`RECEIVED_MAX`].
const DELIVERED_TO_MAX: usize = 100;

/// How many From addresses are kept. More than one is rare (RFC 5322 §3.6.2), and each must be checked.
const FROM_MAX: usize = 100;

/// A stretch of the content, in octets from its start.
pub type Span = std::ops::Range<u64>;

/// What a scan has found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// Octets in all.
    pub size: u64,
    /// Whether the content begins with a header section. If not, a blank line must stand between what is put on top and it.
    pub begins_with_header: bool,
    /// Where the body begins: behind the blank line, or 0 if there is no header.
    pub header_len: u64,
    /// How many fields there are.
    pub fields: u32,
    /// Lines in the header that belong to no field.
    pub flawed_lines: u32,
    /// How many Received fields there are; more than [`RECEIVED_MAX`] are a loop.
    pub received: u32,
    /// How many Date fields there are.
    pub dates: u32,
    /// How many Message-ID fields there are.
    pub message_ids: u32,
    /// The first Message-ID in one line, with its angle brackets, if it is short enough to be one.
    pub message_id: Option<String>,
    /// The From fields.
    pub from: Authors,
    /// The Sender fields.
    pub sender: Authors,
    /// How many To, Cc and Bcc fields there are.
    pub destinations: u32,
    /// Where Return-Path fields stand; the first 16.
    pub return_paths: Vec<Span>,
    /// Where Bcc fields stand; the first 16.
    pub bccs: Vec<Span>,
    /// To whom it has been delivered before, by Delivered-To fields.
    pub delivered_to: Vec<Address>,
    /// What it says about being automatic.
    pub automatic: Automatic,
    /// Whether the header has octets beyond ASCII.
    pub eight_bit_header: bool,
    /// Whether the body has octets beyond ASCII.
    pub eight_bit_body: bool,
}

/// The addresses of all fields of one name together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Authors {
    /// How many such fields there are.
    pub fields: u32,
    /// The addresses in them; what could not be read as an address makes it flawed.
    pub addresses: Vec<Address>,
    /// Whether something in them could not be read, or was too much: then the addresses are not the whole truth.
    pub flawed: bool,
}

/// What a message says about having been sent by a program.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Automatic {
    /// RFC 3834 §5, if the field is there.
    pub submitted: Option<AutoSubmitted>,
    /// The Precedence field, which has no standard, in lower case: `bulk`, `list`, `junk`.
    pub precedence: Option<String>,
    /// Whether it came over a mailing list: List-Id, List-Post, List-Unsubscribe and their kin are there (RFC 2369, RFC 2919).
    pub is_list: bool,
}

impl Automatic {
    /// Whether an automatic answer would answer a program or a list, which RFC 3834 §2 forbids.
    pub fn is_automatic(&self) -> bool {
        self.is_list
            || self.submitted.is_some_and(|submitted| submitted != AutoSubmitted::No)
            || self.precedence.as_deref().is_some_and(|precedence| matches!(precedence, "bulk" | "list" | "junk"))
    }
}

/// RFC 3834 §5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoSubmitted {
    /// A person wrote it.
    No,
    /// Sent by a program without being asked.
    Generated,
    /// Sent by a program in answer to a message.
    Replied,
    /// A word that was registered later; surely not `no`.
    Other,
}

/// Scans content that comes in pieces.
#[derive(Debug, Clone)]
pub struct HeaderScan {
    place: Place,
    /// The field that is under way, as far as it is kept.
    field: Kept,
    /// Where it began.
    field_at: u64,
    /// The line that is under way, as far as it is kept.
    line: Kept,
    /// Where it began.
    line_at: u64,
    /// Whether the line that is under way has octets beyond ASCII.
    line_eight_bit: bool,
    facts: Facts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the first line.
    Opening,
    /// Behind a mailbox file's `From ` line: the next line decides.
    BehindFromLine,
    Header,
    Body,
}

/// Octets of which only so many are kept.
#[derive(Debug, Clone, Default)]
struct Kept {
    octets: Vec<u8>,
    is_cut: bool,
}

impl Kept {
    fn push(&mut self, octets: &[u8]) {
        let room = FIELD_KEPT_MAX - self.octets.len();
        self.is_cut |= octets.len() > room;
        self.octets.extend_from_slice(&octets[..octets.len().min(room)]);
    }

    fn clear(&mut self) {
        self.octets.clear();
        self.is_cut = false;
    }
}

impl Default for HeaderScan {
    fn default() -> Self {
        Self::new()
    }
}

impl HeaderScan {
    /// At the start of a message.
    pub fn new() -> Self {
        HeaderScan {
            place: Place::Opening,
            field: Kept::default(),
            field_at: 0,
            line: Kept::default(),
            line_at: 0,
            line_eight_bit: false,
            facts: Facts::default(),
        }
    }

    /// Looks at the next piece of content (dots already revealed).
    pub fn feed(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            if self.place == Place::Body {
                self.facts.size += piece.len() as u64;
                self.facts.eight_bit_body = self.facts.eight_bit_body || !piece.is_ascii();
                return;
            }
            let len = memchr(b'\n', piece).map_or(piece.len(), |lf| lf + 1);
            self.line.push(&piece[..len]);
            self.line_eight_bit |= !piece[..len].is_ascii();
            self.facts.size += len as u64;
            if piece[len - 1] == b'\n' {
                self.end_line();
            }
            piece = &piece[len..];
        }
    }

    /// The content is complete.
    pub fn finish(mut self) -> Facts {
        if !self.line.octets.is_empty() {
            self.end_line();
        }
        if self.facts.size == 0 {
            self.facts.begins_with_header = true;
        }
        if self.place == Place::BehindFromLine {
            self.all_is_body();
        }
        if self.place != Place::Body {
            self.end_field(self.facts.size);
            self.facts.header_len = self.facts.size;
        }
        self.facts
    }

    /// Whether the header section is over, or there is none; then `finish` will add nothing but sizes.
    pub fn is_in_body(&self) -> bool {
        self.place == Place::Body
    }

    fn end_line(&mut self) {
        let kind = kind_of(&self.line.octets);
        match (self.place, kind) {
            (Place::Opening, Kind::FromLine) => {
                self.place = Place::BehindFromLine;
                self.next_line();
            }
            (Place::Opening, Kind::Blank | Kind::Field { .. }) | (Place::BehindFromLine, Kind::Field { .. }) => {
                self.facts.flawed_lines = u32::from(self.place == Place::BehindFromLine);
                self.facts.begins_with_header = true;
                self.place = Place::Header;
                self.header_line(kind);
            }
            (Place::Opening | Place::BehindFromLine, _) => self.all_is_body(),
            (Place::Header, kind) => self.header_line(kind),
            (Place::Body, _) => {}
        }
    }

    fn all_is_body(&mut self) {
        self.place = Place::Body;
        self.facts.eight_bit_body = self.line_eight_bit || std::mem::take(&mut self.facts.eight_bit_header);
        self.line = Kept::default();
    }

    fn header_line(&mut self, kind: Kind) {
        let line_at = self.line_at;
        match kind {
            Kind::Blank => {
                self.end_field(line_at);
                self.facts.header_len = self.facts.size;
                self.place = Place::Body;
                (self.line, self.field) = (Kept::default(), Kept::default());
                return;
            }
            Kind::Folded if !self.field.octets.is_empty() => {
                self.field.is_cut |= self.line.is_cut;
                self.field.push(&self.line.octets);
            }
            Kind::Field { .. } => {
                self.end_field(line_at);
                self.field_at = line_at;
                std::mem::swap(&mut self.field, &mut self.line);
            }
            Kind::Folded | Kind::FromLine | Kind::Flawed => {
                self.end_field(line_at);
                self.facts.flawed_lines += 1;
            }
        }
        self.next_line();
    }

    fn next_line(&mut self) {
        self.facts.eight_bit_header |= std::mem::take(&mut self.line_eight_bit);
        self.line.clear();
        self.line_at = self.facts.size;
    }

    /// Takes note of the field that ends at `end`, if one is under way.
    fn end_field(&mut self, end: u64) {
        let Kept { octets, is_cut } = std::mem::take(&mut self.field);
        if let Kind::Field { name_len, value_at } = kind_of(&octets) {
            self.facts.fields += 1;
            self.facts.note(&octets[..name_len], &unfold(&octets[value_at..]), is_cut, self.field_at..end);
        }
    }
}

impl Facts {
    /// The one place that knows which fields matter.
    fn note(&mut self, name: &[u8], value: &[u8], is_cut: bool, span: Span) {
        match name.to_ascii_lowercase().as_slice() {
            b"received" => self.received += 1,
            b"date" => self.dates += 1,
            b"message-id" => self.note_message_id(value),
            b"from" => self.from.add(value, is_cut),
            b"sender" => self.sender.add(value, is_cut),
            b"to" | b"cc" => self.destinations += 1,
            b"bcc" => {
                self.destinations += 1;
                keep(&mut self.bccs, span);
            }
            b"return-path" => keep(&mut self.return_paths, span),
            b"delivered-to" => self.note_delivered_to(value),
            b"auto-submitted" => self.automatic.submitted = Some(AutoSubmitted::parse(value)),
            b"precedence" => self.automatic.precedence = Some(first_word(value)),
            name if name.starts_with(b"list-") => self.automatic.is_list = true,
            _ => {}
        }
    }

    fn note_message_id(&mut self, value: &[u8]) {
        /// RFC 5322 §2.1.1: an identifier cannot be folded, so it is no longer than a line.
        const MESSAGE_ID_MAX: usize = 998;
        self.message_ids += 1;
        if self.message_ids == 1 && value.len() <= MESSAGE_ID_MAX {
            self.message_id = Some(crate::syntax::one_line(value, MESSAGE_ID_MAX, true)).filter(|id| !id.is_empty());
        }
    }

    fn note_delivered_to(&mut self, value: &[u8]) {
        if self.delivered_to.len() < DELIVERED_TO_MAX {
            self.delivered_to.extend(parse_address_list(value).mailboxes().take(1).filter_map(Mailbox::address));
        }
    }
}

impl Authors {
    fn add(&mut self, value: &[u8], is_cut: bool) {
        let list: AddressList = parse_address_list(value);
        self.fields += 1;
        self.flawed |= is_cut || list.flawed;
        for mailbox in list.mailboxes() {
            match mailbox.address() {
                Some(address) if self.addresses.len() < FROM_MAX => self.addresses.push(address),
                _ => self.flawed = true,
            }
        }
    }
}

impl AutoSubmitted {
    fn parse(value: &[u8]) -> Self {
        match first_word(value).as_str() {
            "no" => AutoSubmitted::No,
            "auto-generated" => AutoSubmitted::Generated,
            "auto-replied" => AutoSubmitted::Replied,
            _ => AutoSubmitted::Other,
        }
    }
}

fn keep(spans: &mut Vec<Span>, span: Span) {
    if spans.len() < SPANS_MAX {
        spans.push(span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::{Fields, begins_with_header, section_len};
    use proptest::prelude::*;

    fn scan(message: &[u8], size: usize) -> Facts {
        let mut scan = HeaderScan::new();
        message.chunks(size).for_each(|piece| scan.feed(piece));
        scan.finish()
    }

    fn facts(message: &str) -> Facts {
        scan(message.as_bytes(), usize::MAX)
    }

    #[test]
    fn the_textbook_message_has_no_header() {
        let facts = facts("Do you like ketchup?\r\nHow about pickles?\r\n");
        assert!(!facts.begins_with_header);
        assert_eq!((facts.header_len, facts.fields, facts.size), (0, 0, 42));
    }

    #[test]
    fn a_usual_message_tells_what_is_there() {
        let message = "Return-Path: <x@a.test>\r\nReceived: by a\r\n\tfor b\r\nRECEIVED: by b\r\nFrom: Joe <joe@a.test>,\r\n jim@b.test\r\n\
            Sender: joe@a.test\r\nDate: today\r\nMessage-ID:\r\n <1@a.test>\r\nBcc: x@y.test\r\n z@y.test\r\nTo: you\r\n\
            Delivered-To: bob@c.test\r\nSubject: caf\u{e9}\r\n\r\nbody\r\n";
        let facts = facts(message);
        let at = |needle: &str| message.find(needle).expect("it is there") as u64;
        assert!(facts.begins_with_header && facts.eight_bit_header && !facts.eight_bit_body);
        assert_eq!(
            (facts.received, facts.dates, facts.message_ids, facts.destinations, facts.fields),
            (2, 1, 1, 2, 11)
        );
        assert_eq!(facts.message_id.as_deref(), Some("<1@a.test>"));
        assert_eq!(
            facts.from.addresses.iter().map(Address::to_string).collect::<Vec<_>>(),
            ["joe@a.test", "jim@b.test"]
        );
        assert_eq!((facts.from.fields, facts.from.flawed, facts.sender.addresses.len()), (1, false, 1));
        assert_eq!(facts.return_paths.first(), Some(&(0..at("Received"))));
        assert_eq!(facts.bccs.first(), Some(&(at("Bcc")..at("To: you"))));
        assert_eq!(facts.delivered_to.len(), 1);
        assert_eq!(facts.header_len, at("body"));
    }

    #[test]
    fn a_from_that_cannot_be_checked_is_flawed() {
        for value in ["joe", "a@x.test b@y.test", "a@x.test, <", "\"a@x.test", "a@x_.test", "joe <@>"] {
            assert!(facts(&format!("From: {value}\r\n\r\n")).from.flawed, "{value}");
        }
        let long = format!("From: {}a@x.test\r\n\r\n", "(\r\n )".repeat(FIELD_KEPT_MAX));
        assert!(facts(&long).from.flawed, "what was not looked at could be anything");
        assert_eq!(facts("From: a@x.test\r\nFROM : b@x.test\r\n\r\n").from.addresses.len(), 2);
        assert!(!facts("From: Nobody:;\r\n\r\n").from.flawed, "RFC 6854 allows it");
    }

    #[test]
    fn automatic_mail_is_known() {
        let is_automatic = |field: &str| facts(&format!("{field}\r\n\r\n")).automatic.is_automatic();
        for field in [
            "Auto-Submitted: auto-replied (vacation)",
            "auto-submitted: AUTO-GENERATED; x=y",
            "Auto-Submitted: auto-notified",
            "Precedence: Bulk",
            "List-Id: <x.y>",
            "List-Unsubscribe: <z>",
        ] {
            assert!(is_automatic(field), "{field}");
        }
        for field in ["Auto-Submitted: no", "Precedence: first-class", "Listless: x", "Subject: list"] {
            assert!(!is_automatic(field), "{field}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let fields = "Return-Path: <>\r\nBcc: a@b\r\nDelivered-To: a@b\r\nFrom: a@b\r\n".repeat(1000);
        let facts = facts(&format!("{fields}X: {}\r\n\r\n", "x".repeat(100_000)));
        assert_eq!(
            (facts.return_paths.len(), facts.bccs.len(), facts.delivered_to.len(), facts.from.addresses.len()),
            (16, 16, 100, 100)
        );
        assert_eq!((facts.fields, facts.from.fields, facts.from.flawed), (4001, 1000, true));
    }

    #[test]
    fn octets_beyond_ascii_are_counted_where_they_stand() {
        let found = |message: &[u8]| {
            let facts = scan(message, 1);
            (facts.eight_bit_header, facts.eight_bit_body)
        };
        assert_eq!(found(b"A: \xff\r\n\r\nx"), (true, false));
        assert_eq!(found(b"A: x\r\n\r\n\xff"), (false, true));
        assert_eq!(found(b"like k\xffse?\r\n"), (false, true));
        assert_eq!(found(b"From joe \xff\r\nbody, after all"), (false, true));
        assert_eq!(found(b"From joe \xff\r\nA: b\r\n"), (true, false));
    }

    fn messages() -> impl Strategy<Value = Vec<u8>> {
        let piece = proptest::sample::select(vec![
            "From: a@b.test",
            "From ",
            "Received: x",
            "\r\n",
            "\n",
            "\r",
            " ",
            "Bcc:",
            "x",
            "\r\n\r\n",
            "caf\u{e9}",
            "Message-ID: <1@x>",
            "Date",
        ]);
        proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(message in messages(), size in 1usize..20) {
            prop_assert_eq!(scan(&message, size), scan(&message, usize::MAX));
        }

        #[test]
        fn it_sees_what_the_fields_are(message in messages()) {
            let facts = scan(&message, usize::MAX);
            prop_assert_eq!(facts.begins_with_header, begins_with_header(&message));
            prop_assert_eq!(facts.header_len, section_len(&message) as u64);
            prop_assert_eq!(facts.fields as usize, Fields::new(&message).count());
            prop_assert_eq!(facts.received as usize, Fields::new(&message).filter(|field| field.is("received")).count());
            let spans: Vec<_> = Fields::new(&message).filter(|field| field.is("bcc")).map(|field| field.span.start as u64..field.span.end as u64).collect();
            prop_assert_eq!(&facts.bccs[..], &spans[..spans.len().min(SPANS_MAX)]);
            prop_assert_eq!(facts.eight_bit_header || facts.eight_bit_body, !message.is_ascii());
        }
    }
}

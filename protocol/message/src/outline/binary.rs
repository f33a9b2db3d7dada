//! The stored form of an outline.
//!
//! ```text
//! version (1)   flags (1)   number of octets, envelope as it is sent   front   number of parts   part, part, part …
//! number  = 7 bits an octet, the lowest first, the highest bit says that more follow
//! text    = number n:  0 absent   odd: (n-1)/2 octets follow   even, w = (n-2)/2: word w of WORDS, or from WORDS_MAX on
//!           w - WORDS_MAX octets of the envelope as it is sent, from the number that follows on
//! ```
//!
//! A usual message needs some 600 octets, most of them the envelope: the front points into it, for who stores a million of them feels
//! every octet. In version 1 there is no such envelope, and nothing points into it.
//!
//! Invariants: decoding never panics and takes no more memory than the octets it is given warrant; what `encode` writes
//! `decode` gives back. The format is changed by a new [`VERSION`], and words are only ever added at the end.
//! Not here: checksums (the store's).

use super::formed::formed;
use super::glance::{Address, Addresses, EnvelopeGlance, Glance, Ids, MailboxGlance};
use super::{Details, Envelope, Front, Outline, Top};
use crate::address::{Entry, Mailbox};
use crate::mime::params::{ContentType, Disposition, Params};
use crate::mime::transfer::Encoding;
use crate::mime::tree::{Content, Part, Tree};
use std::ops::Range;

/// The version written here.
pub const VERSION: u8 = 2;

/// The version before, which is read as well: envelopes are written when they are asked for.
const VERSION_UNFORMED: u8 = 1;

/// Room for words, beyond which numbers point into the envelope.
const WORDS_MAX: usize = 128;

/// No more octets have the envelopes of nearly all messages.
const FORMED_USUAL: usize = 1024;

/// A shorter text takes no more octets than a pointer.
const POINTED_MIN: usize = 4;

/// What is said in nearly every message.
const WORDS: &[&str] = &[
    "text",
    "plain",
    "html",
    "multipart",
    "alternative",
    "mixed",
    "related",
    "charset",
    "utf-8",
    "UTF-8",
    "us-ascii",
    "iso-8859-1",
    "boundary",
    "format",
    "flowed",
    "delsp",
    "yes",
    "no",
    "7bit",
    "8bit",
    "binary",
    "quoted-printable",
    "base64",
    "attachment",
    "inline",
    "filename",
    "name",
    "application",
    "octet-stream",
    "pdf",
    "image",
    "png",
    "jpeg",
    "gif",
    "message",
    "rfc822",
    "signed",
    "protocol",
    "micalg",
    "pgp-signature",
    "type",
    "report",
    "report-type",
    "delivery-status",
    "calendar",
    "method",
    "REQUEST",
    "gmail.com",
    "en",
    "size",
    "",
];

const HAS_HEADER: u8 = 1;
const IS_CUT: u8 = 2;
const IS_REPLY: u8 = 4;
const TREE_IS_CUT: u8 = 8;

const IS_DECLARED: u64 = 1;
const HAS_DISPOSITION: u64 = 2;
const HAS_DETAILS: u64 = 4;
const HAS_ENVELOPE: u64 = 8;
const IS_MULTIPART: u64 = 16;
const IS_MESSAGE: u64 = 32;

pub(super) fn encode(outline: &Outline) -> Vec<u8> {
    let Outline { front, tree, details } = outline;
    let mut flags = 0;
    for (is_set, flag) in
        [(front.has_header, HAS_HEADER), (front.is_cut, IS_CUT), (front.is_reply, IS_REPLY), (tree.is_cut, TREE_IS_CUT)]
    {
        flags |= if is_set { flag } else { 0 };
    }
    let formed = formed(&front.envelope);
    let mut writer = Writer { out: vec![VERSION, flags], formed: &formed };
    writer.number(formed.len() as u64);
    writer.out.extend_from_slice(&formed);
    writer.front(front);
    // What parts say stands in no envelope.
    writer.formed = &[];
    writer.number(tree.parts.len() as u64);
    let mut before = 0;
    for (part, details) in tree.parts.iter().zip(details) {
        writer.part(part, details, before);
        before = part.header.start;
    }
    writer.out
}

/// An envelope alone.
pub(super) fn encode_envelope(envelope: &Envelope) -> Vec<u8> {
    let mut writer = Writer { out: Vec::new(), formed: &[] };
    writer.envelope(envelope);
    writer.out
}

/// Whether it is of a version that is read here.
pub(super) fn is_known(octets: &[u8]) -> bool {
    matches!(octets.first(), Some(&(VERSION | VERSION_UNFORMED)))
}

/// The envelope as it is sent, where it is kept.
pub(super) fn formed_envelope(octets: &[u8]) -> Option<&[u8]> {
    Reader::new(octets).map(|reader| reader.formed).filter(|formed| !formed.is_empty())
}

pub(super) fn has_header(octets: &[u8]) -> bool {
    Reader::new(octets).is_some_and(|reader| reader.flags & HAS_HEADER != 0)
}

pub(super) fn decode_front(octets: &[u8]) -> Option<Front> {
    Reader::new(octets)?.front().map(Front::from)
}

pub(super) fn decode(octets: &[u8]) -> Option<Outline> {
    let mut reader = Reader::new(octets)?;
    let front = reader.front()?.into();
    let is_cut = reader.flags & TREE_IS_CUT != 0;
    let count = reader.count()?;
    let mut tree = Tree { parts: Vec::with_capacity(count), is_cut };
    let mut all = Vec::with_capacity(count);
    let mut before = 0;
    for at in 0..count {
        let (part, details) = reader.part(before)?;
        before = part.header.start;
        if let Some(parent) = part.parent {
            match &mut tree.parts.get_mut(parent)?.content {
                Content::Multipart(children) => children.push(at),
                Content::Message(inner) => *inner = at,
                Content::Leaf => return None,
            }
        }
        tree.parts.push(part);
        all.push(details);
    }
    // Without a root, or with a message that has nothing in it, it is none of ours.
    let is_whole = |(at, part): (usize, &Part)| !matches!(part.content, Content::Message(inner) if inner <= at);
    let is_ours = !tree.parts.is_empty() && tree.parts.iter().enumerate().all(is_whole);
    is_ours.then_some(Outline { front, tree, details: all })
}

struct Writer<'a> {
    out: Vec<u8>,
    /// The envelope as it is sent, for texts that stand in it.
    formed: &'a [u8],
}

impl Writer<'_> {
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.out.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.out.push(number as u8);
    }

    fn signed(&mut self, number: i64) {
        self.number((number << 1 ^ number >> 63) as u64);
    }

    fn text(&mut self, text: Option<&[u8]>) {
        let Some(text) = text else { return self.number(0) };
        if let Some(word) = WORDS.iter().position(|word| word.as_bytes() == text) {
            return self.number(word as u64 * 2 + 2);
        }
        match self.place_in_envelope(text) {
            Some(at) => {
                self.number((WORDS_MAX + text.len()) as u64 * 2 + 2);
                self.number(at as u64);
            }
            None => {
                self.number(text.len() as u64 * 2 + 1);
                self.out.extend_from_slice(text);
            }
        }
    }

    /// Anywhere in it will do, as long as the octets are the same.
    fn place_in_envelope(&self, text: &[u8]) -> Option<usize> {
        let first = text.first().filter(|_| (POINTED_MIN..=self.formed.len()).contains(&text.len()))?;
        match self.formed.len() <= FORMED_USUAL {
            // Preparing a better search costs more than this one, as long as there is little to look through.
            true => memchr::memchr_iter(*first, self.formed).find(|at| self.formed[*at..].starts_with(text)),
            false => memchr::memmem::find(self.formed, text),
        }
    }

    fn front(&mut self, front: &Front) {
        self.envelope(&front.envelope);
        self.number(u64::from(front.sent.is_some()));
        self.signed(front.sent.unwrap_or(0));
        self.base_subject(front);
        self.number(front.references.len() as u64);
        front.references.iter().for_each(|id| self.text(Some(id.as_bytes())));
        self.text(Some(front.preview.as_bytes()));
    }

    /// Most often it stands in the raw subject as it is: then its place is enough.
    fn base_subject(&mut self, front: &Front) {
        let (base, raw) = (front.base_subject.as_bytes(), front.envelope.subject.as_deref().unwrap_or_default());
        match memchr::memmem::find(raw, base) {
            Some(at) => {
                self.number(at as u64 + 1);
                self.number(base.len() as u64);
            }
            None => {
                self.number(0);
                self.text(Some(base));
            }
        }
    }

    fn envelope(&mut self, envelope: &Envelope) {
        for value in [&envelope.date, &envelope.subject, &envelope.in_reply_to, &envelope.message_id] {
            self.text(value.as_deref());
        }
        let Envelope { from, sender, reply_to, to, cc, bcc, .. } = envelope;
        for list in [from, sender, reply_to, to, cc, bcc] {
            self.number(list.len() as u64);
            list.iter().for_each(|entry| self.entry(entry));
        }
    }

    fn entry(&mut self, entry: &Entry) {
        match entry {
            Entry::Mailbox(mailbox) => {
                self.number(0);
                self.mailbox(mailbox);
            }
            Entry::Group { name, members } => {
                self.number(members.len() as u64 + 1);
                self.text(Some(name));
                members.iter().for_each(|member| self.mailbox(member));
            }
        }
    }

    fn mailbox(&mut self, mailbox: &Mailbox) {
        self.text(mailbox.name.as_deref());
        self.text(mailbox.route.as_deref());
        self.text(Some(&mailbox.local));
        self.text(Some(&mailbox.domain));
    }

    fn part(&mut self, part: &Part, details: &Details, before: usize) {
        let Details { id, description, md5, language, location, envelope } = details;
        let has_details =
            id.is_some() || description.is_some() || md5.is_some() || location.is_some() || !language.is_empty();
        let mut flags = match part.content {
            Content::Leaf => 0,
            Content::Multipart(_) => IS_MULTIPART,
            Content::Message(_) => IS_MESSAGE,
        };
        for (is_set, flag) in [
            (part.is_declared, IS_DECLARED),
            (part.disposition.is_some(), HAS_DISPOSITION),
            (has_details, HAS_DETAILS),
            (envelope.is_some(), HAS_ENVELOPE),
        ] {
            flags |= if is_set { flag } else { 0 };
        }
        self.number(flags);
        self.number(part.parent.map_or(0, |parent| parent as u64 + 1));
        self.signed(part.header.start as i64 - before as i64);
        self.number(part.header.len() as u64);
        self.signed(part.body.start as i64 - part.header.end as i64);
        self.number(part.body.len() as u64);
        self.number(part.lines as u64);
        self.text(Some(part.content_type.kind.as_bytes()));
        self.text(Some(part.content_type.subtype.as_bytes()));
        self.params(&part.content_type.params);
        self.text(Some(part.encoding.name().as_bytes()));
        if let Some(disposition) = &part.disposition {
            self.text(Some(disposition.kind.as_bytes()));
            self.params(&disposition.params);
        }
        if has_details {
            for value in [id, description, md5, location] {
                self.text(value.as_deref());
            }
            self.number(language.len() as u64);
            language.iter().for_each(|tag| self.text(Some(tag)));
        }
        if let Some(envelope) = envelope {
            self.envelope(envelope);
        }
    }

    fn params(&mut self, params: &Params) {
        self.number(params.raw.len() as u64);
        for (name, value) in &params.raw {
            self.text(Some(name.as_bytes()));
            self.text(Some(value));
        }
    }
}

/// Reads from the front of octets on.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    flags: u8,
    formed: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Option<Self> {
        let (version, flags, rest) = match octets {
            [version, flags, rest @ ..] => (*version, *flags, rest),
            _ => return None,
        };
        let mut reader = Reader { rest, flags, formed: &[] };
        match version {
            VERSION_UNFORMED => Some(reader),
            VERSION => {
                let len = reader.count()?;
                (reader.formed, reader.rest) = reader.rest.split_at_checked(len)?;
                Some(reader)
            }
            _ => None,
        }
    }

    /// Of what stands in a stored outline without its beginning.
    pub(super) fn inside(rest: &'a [u8]) -> Self {
        Reader { rest, flags: 0, formed: &[] }
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (octet, rest) = self.rest.split_first()?;
            self.rest = rest;
            number |= u64::from(octet & 0x7f) << shift;
            if octet & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    /// How many things follow: each takes at least an octet.
    pub(super) fn count(&mut self) -> Option<usize> {
        self.length().filter(|&count| count <= self.rest.len())
    }

    fn text(&mut self) -> Option<Option<&'a [u8]>> {
        let number = self.length()?;
        if number == 0 {
            return Some(None);
        }
        if number % 2 == 0 {
            return self.pointed(number / 2 - 1).map(Some);
        }
        let (text, rest) = self.rest.split_at_checked(number / 2)?;
        self.rest = rest;
        Some(Some(text))
    }

    /// A word, or a stretch of the envelope.
    fn pointed(&mut self, word: usize) -> Option<&'a [u8]> {
        let Some(len) = word.checked_sub(WORDS_MAX) else { return WORDS.get(word).map(|word| word.as_bytes()) };
        let at = self.length()?;
        self.formed.get(at..at.checked_add(len)?)
    }

    pub(super) fn octets(&mut self) -> Option<&'a [u8]> {
        self.text()?
    }

    pub(super) fn string(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.octets()?).ok()
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.count()?;
        (0..count).map(|_| item(self)).collect()
    }

    pub(super) fn front(&mut self) -> Option<Glance<'a>> {
        let formed = self.formed;
        let envelope = self.envelope()?;
        let has_sent = self.number()? != 0;
        let sent = self.signed()?;
        Some(Glance {
            formed,
            envelope,
            sent: has_sent.then_some(sent),
            base_subject: self.base_subject(envelope.subject)?,
            is_reply: self.flags & IS_REPLY != 0,
            references: self.ids()?,
            preview: self.string()?,
            has_header: self.flags & HAS_HEADER != 0,
            is_cut: self.flags & IS_CUT != 0,
            parts: *self,
        })
    }

    /// What the first of the parts here begins with.
    pub(super) fn top(mut self) -> Option<Top> {
        let (_count, _flags, _parent) = (self.count()?, self.number()?, self.length()?);
        let (header, body) = self.place(0)?;
        Some(Top { header, body })
    }

    /// Where a part's header and body are; the part before it has its header at `before`.
    fn place(&mut self, before: usize) -> Option<(Range<usize>, Range<usize>)> {
        let start = moved(before, self.signed()?)?;
        let header = start..start.checked_add(self.length()?)?;
        let start = moved(header.end, self.signed()?)?;
        let body = start..start.checked_add(self.length()?)?;
        Some((header, body))
    }

    fn base_subject(&mut self, subject: Option<&'a [u8]>) -> Option<&'a str> {
        let Some(at) = self.length()?.checked_sub(1) else { return self.string() };
        let len = self.length()?;
        std::str::from_utf8(subject.unwrap_or_default().get(at..at.checked_add(len)?)?).ok()
    }

    fn ids(&mut self) -> Option<Ids<'a>> {
        let count = self.count()?;
        let ids = Ids::new(*self, count);
        (0..count).try_for_each(|_| self.string().map(|_| ()))?;
        Some(ids)
    }

    pub(super) fn envelope(&mut self) -> Option<EnvelopeGlance<'a>> {
        Some(EnvelopeGlance {
            date: self.text()?,
            subject: self.text()?,
            in_reply_to: self.text()?,
            message_id: self.text()?,
            from: self.addresses()?,
            sender: self.addresses()?,
            reply_to: self.addresses()?,
            to: self.addresses()?,
            cc: self.addresses()?,
            bcc: self.addresses()?,
        })
    }

    fn addresses(&mut self) -> Option<Addresses<'a>> {
        let count = self.count()?;
        let addresses = Addresses::new(*self, count);
        *self = addresses.passed()?;
        Some(addresses)
    }

    pub(super) fn mailbox(&mut self) -> Option<MailboxGlance<'a>> {
        Some(MailboxGlance { name: self.text()?, route: self.text()?, local: self.octets()?, domain: self.octets()? })
    }

    fn part(&mut self, before: usize) -> Option<(Part, Details)> {
        let flags = self.number()?;
        let parent = self.length()?.checked_sub(1);
        let (header, body) = self.place(before)?;
        let lines = self.length()?;
        let content_type =
            ContentType { kind: self.string()?.into(), subtype: self.string()?.into(), params: self.params()? };
        let encoding = Encoding::parse(self.octets()?);
        let disposition = match flags & HAS_DISPOSITION {
            0 => None,
            _ => Some(Disposition { kind: self.string()?.into(), params: self.params()? }),
        };
        let mut details = Details::default();
        if flags & HAS_DETAILS != 0 {
            for value in [&mut details.id, &mut details.description, &mut details.md5, &mut details.location] {
                *value = self.text()?.map(Vec::from);
            }
            details.language = self.list(|reader| reader.octets().map(Vec::from))?;
        }
        if flags & HAS_ENVELOPE != 0 {
            details.envelope = Some(Box::new(self.envelope()?.into()));
        }
        let content = match flags & (IS_MULTIPART | IS_MESSAGE) {
            0 => Content::Leaf,
            IS_MULTIPART => Content::Multipart(Vec::new()),
            IS_MESSAGE => Content::Message(0),
            _ => return None,
        };
        let is_declared = flags & IS_DECLARED != 0;
        Some((Part { parent, header, body, lines, content_type, is_declared, encoding, disposition, content }, details))
    }

    fn params(&mut self) -> Option<Params> {
        Some(Params { raw: self.list(|reader| Some((reader.string()?.into(), reader.octets()?.into())))? })
    }
}

impl From<Glance<'_>> for Front {
    fn from(glance: Glance<'_>) -> Front {
        Front {
            envelope: glance.envelope.into(),
            sent: glance.sent,
            base_subject: glance.base_subject.into(),
            is_reply: glance.is_reply,
            references: glance.references.map(String::from).collect(),
            preview: glance.preview.into(),
            has_header: glance.has_header,
            is_cut: glance.is_cut,
        }
    }
}

impl From<EnvelopeGlance<'_>> for Envelope {
    fn from(glance: EnvelopeGlance<'_>) -> Envelope {
        let kept = |text: Option<&[u8]>| text.map(Vec::from);
        Envelope {
            date: kept(glance.date),
            subject: kept(glance.subject),
            from: entries(glance.from),
            sender: entries(glance.sender),
            reply_to: entries(glance.reply_to),
            to: entries(glance.to),
            cc: entries(glance.cc),
            bcc: entries(glance.bcc),
            in_reply_to: kept(glance.in_reply_to),
            message_id: kept(glance.message_id),
        }
    }
}

fn entries(mut addresses: Addresses<'_>) -> Vec<Entry> {
    let mut entries = Vec::new();
    while let Some(address) = addresses.next() {
        entries.push(match address {
            Address::Mailbox(mailbox) => Entry::Mailbox(mailbox.into()),
            Address::Group(name) => {
                let members = addresses.by_ref().map_while(|member| match member {
                    Address::Mailbox(mailbox) => Some(mailbox.into()),
                    Address::Group(_) | Address::GroupEnd => None,
                });
                Entry::Group { name: name.into(), members: members.collect() }
            }
            // It ended the group above.
            Address::GroupEnd => continue,
        });
    }
    entries
}

impl From<MailboxGlance<'_>> for Mailbox {
    fn from(MailboxGlance { name, route, local, domain }: MailboxGlance<'_>) -> Mailbox {
        Mailbox { name: name.map(Vec::from), route: route.map(Vec::from), local: local.into(), domain: domain.into() }
    }
}

fn moved(from: usize, by: i64) -> Option<usize> {
    i64::try_from(from).ok()?.checked_add(by)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::super::formed::FORMED_MAX;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_read_as_they_were_written() {
        for number in [0, 1, -1, 63, -64, 64, 300, i64::MAX, i64::MIN] {
            let mut writer = Writer { out: Vec::new(), formed: &[] };
            writer.signed(number);
            assert_eq!(Reader::inside(&writer.out).signed(), Some(number));
        }
        assert_eq!(Reader::inside(&[0xff; 11]).number(), None);
    }

    #[test]
    fn another_version_is_not_read() {
        let mut octets = Outline::of(b"Subject: x\r\n\r\n").encode();
        octets[0] = VERSION + 1;
        assert_eq!((Outline::decode(&octets), Front::decode(&octets)), (None, None));
        assert_eq!(Outline::decode(b""), None);
    }

    /// As version 1 had it.
    fn encode_unformed(outline: &Outline) -> Vec<u8> {
        let formed = encode(outline);
        let mut writer = Writer { out: vec![VERSION_UNFORMED, formed[1]], formed: &[] };
        writer.front(&outline.front);
        let parts = Glance::at(&formed).expect("just written").parts.rest;
        [&writer.out, parts].concat()
    }

    #[test]
    fn the_version_before_is_read_to_the_same() {
        let outline = Outline::of(MAIL);
        let (before, now) = (encode_unformed(&outline), outline.encode());
        assert_eq!((before[0], now[0]), (1, 2));
        assert_eq!((formed_envelope(&before), formed_envelope(&now).is_some()), (None, true));
        assert_eq!((decode(&before), decode(&now)), (Some(outline.clone()), Some(outline)));
        let written = |octets: &[u8]| {
            let mut out = Vec::new();
            Glance::at(octets).expect("it is read").write_envelope(&mut out);
            out
        };
        assert_eq!(written(&before), written(&now));
        assert_eq!(formed_envelope(&now), Some(&*written(&now)));
    }

    #[test]
    fn an_envelope_that_is_too_long_is_not_kept_as_it_is_sent() {
        let to: String = (0..FORMED_MAX / 20).map(|number| format!("somebody.{number}@hamburger.test, ")).collect();
        let outline = Outline::of(format!("Subject: pickles\r\nTo: {to}\r\n\r\n").as_bytes());
        let octets = outline.encode();
        assert_eq!((formed_envelope(&octets), decode(&octets)), (None, Some(outline)));
    }

    #[test]
    fn a_usual_message_needs_little_besides_its_envelope() {
        let octets = Outline::of(MAIL).encode();
        let besides = octets.len() - formed_envelope(&octets).expect("a short one").len();
        assert!(besides < 110, "{besides}");
    }

    const MAIL: &[u8] =
        b"Received: x\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\nFrom: \"Alice \\\"A\\\"\" <alice@crepes.test>\r\n\
        To: bob@hamburger.test\r\nSubject: Re: pickles\r\nMessage-ID: <1@crepes.test>\r\nMIME-Version: 1.0\r\n\
        Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nDo you like ketchup?\r\n";

    proptest! {
        #[test]
        fn damaged_octets_are_no_outline_or_a_sane_one(mut octets in any::<Vec<u8>>(), at in any::<usize>(), by in any::<u8>()) {
            let mut stored = Outline::of(b"A: b\r\nContent-Type: multipart/x; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nTo: g:a@b;\r\n\r\n--b--").encode();
            let at = at % stored.len();
            stored[at] ^= by;
            octets.insert(0, VERSION);
            let before = [&[VERSION_UNFORMED][..], &octets[1..]].concat();
            for octets in [&octets, &before, &stored] {
                Front::decode(octets);
                if let Some(outline) = Outline::decode(octets) {
                    prop_assert_eq!(outline.tree.parts.len(), outline.details.len());
                    outline.tree.section(&[1, 1, 1]);
                }
            }
        }
    }
}

//! What is wanted of messages, as far as one answer goes.
//!
//! RFC 9051 §6.4.5 (FETCH), RFC 3516 (BINARY), RFC 8970 (PREVIEW), RFC 8474 (ids), RFC 8514 (SAVEDATE).
//!
//! ```text
//! flags, size, date ─→ the snapshot, in memory      everything else ─→ one visit to the store for the whole batch
//! ```
//!
//! While one batch is written the next is looked up, and thrown away if the mailbox has changed by then. Whole messages that
//! the system has in memory are read without changing threads instead, once the index has said where they are.
//!
//! Invariants: content in one answer is bounded; large sections are read when they are sent; a message that is gone is
//! left out.
//! Not here: where a section is (section), what is read of it later (readers), how an envelope is written (imap).

use super::convert::{self, kept_modseq, modseq, rows, told_flags};
use super::readers::{Readers, Reading, Source};
use super::section::{self, Place};
use super::{Desk, Verdict};
use imap::fetch::{Form, Item, Partial, Section, SectionText};
use imap::moment::Moment;
use imap::server::ask::{
    APART_MIN, Content, Excerpt, FETCH_OCTETS_WISHED, Fetch, Fetched, Message, READ_OCTETS_WISHED, Refusal,
};
use imap::set::NumberSet;
use imap::structure::{write_body, write_body_structure};
use message::mime::transfer::{Decoder, Encoding};
use message::outline::Outline;
use std::cell::OnceCell;
use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow::{Break, Continue};
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use store::{Breadth, Flags, Kept, MailboxId, Outlined, ReadError, Row, Sight, Snapshot, Store, TOGETHER_MAX, Uid};
use tokio::task::JoinHandle;

/// Sections up to so many octets are read at once; larger ones when they are sent.
const AT_ONCE: u64 = 32 * 1024;

/// So many messages are left open at once for those.
const READERS_MAX: usize = 64;

/// What an envelope, or what else is sent of a message as it is, usually needs.
const FORMED_USUAL: usize = 512;

/// It seldom needs less than this.
const FORMED_LEAST: usize = 256;

/// How much has to be known of each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Depth {
    /// What is in memory.
    Row,
    /// What stands in its row.
    Kept,
    /// Its outline.
    Outline,
}

fn depth(item: &Item) -> Depth {
    match item {
        Item::Flags | Item::Uid | Item::InternalDate | Item::Size | Item::ModSeq => Depth::Row,
        Item::EmailId | Item::ThreadId | Item::SaveDate => Depth::Kept,
        Item::Section(Section { form: Form::Body | Form::Rfc822, text: SectionText::Whole, part, .. })
            if part.is_empty() =>
        {
            Depth::Kept
        }
        _ => Depth::Outline,
    }
}

/// The next messages of a FETCH: they are looked up while those before them are written, one batch at a time.
pub(super) struct Ahead {
    batch: Arc<Batch>,
    /// The first of them.
    from: usize,
    /// Those that were asked for and are not answered yet.
    uids: NumberSet,
    /// `None` where they are most likely in memory, so that there is nothing to be done before they are asked for.
    looking: Option<JoinHandle<Result<Looked, ReadError>>>,
}

impl Ahead {
    /// Whether this is what is wanted now, or begins it, of the mailbox as it is.
    fn is_of(&self, fetch: &Fetch, now: &Arc<Snapshot>) -> bool {
        let behind = |last: u32| last.checked_add(1).map_or(NumberSet::new(), |next| NumberSet::range(next, u32::MAX));
        let begins = |last| fetch.uids.difference(&behind(last)) == self.uids;
        Arc::ptr_eq(&self.batch.now, now)
            && self.batch.items == fetch.items
            && self.batch.changed_since == fetch.changed_since
            && self.uids.last().is_some_and(begins)
    }
}

impl Desk {
    pub(super) async fn fetch(&mut self, fetch: Fetch) -> Verdict<Fetched> {
        let (mailbox, now) = self.now()?;
        let (batch, uids, looked) = match self.ahead.take() {
            Some(ahead) if ahead.is_of(&fetch, &now) => {
                let mut looked = self.looked(&ahead.batch, ahead.from, ahead.looking).await?;
                if ahead.uids != fetch.uids {
                    // The session asks for the others again.
                    looked.fetched.looked_until = looked.fetched.looked_until.or(ahead.uids.last());
                }
                (ahead.batch, ahead.uids, looked)
            }
            ahead => {
                let mut batch = Batch::new(mailbox, now, &fetch);
                if fetch.mark_seen {
                    // Of some that were marked before it was not told yet.
                    let untold = ahead.map_or(Vec::new(), |ahead| ahead.batch.seen_now.clone());
                    self.mark(&mut batch, untold).await?;
                }
                if batch.depth == Depth::Row {
                    return Ok(batch.rows());
                }
                let batch = Arc::new(batch);
                let looking = self.look(&batch, 0);
                let looked = self.looked(&batch, 0, Some(looking)).await?;
                (batch, fetch.uids, looked)
            }
        };
        let Looked { fetched, readers, next, at_hand } = looked;
        self.readers = readers;
        if next < batch.wanted.len() {
            let looking = (!at_hand).then(|| self.look(&batch, next));
            let uids = uids.difference(&NumberSet::range(1, fetched.looked_until.unwrap_or(0)));
            self.ahead = Some(Ahead { batch, from: next, uids, looking });
        }
        Ok(fetched)
    }

    /// Sets \Seen on all of a batch.
    async fn mark(&mut self, batch: &mut Batch, untold: Vec<Uid>) -> Verdict<()> {
        let unseen = batch.wanted.iter().filter(|row| u32::from(row.system) & Flags::SEEN == 0);
        batch.seen_now = self.mark_seen(unseen.map(|row| row.uid).collect()).await?;
        batch.seen_now.extend(untold);
        batch.seen_now.sort_unstable();
        let (_, now) = self.now()?;
        batch.wanted = now.rows_of(batch.wanted.iter().map(|row| row.uid)).copied().collect();
        batch.now = now;
        Ok(())
    }

    /// Begins to look, on a thread that may wait.
    fn look(&self, batch: &Arc<Batch>, from: usize) -> JoinHandle<Result<Looked, ReadError>> {
        let (batch, store) = (Arc::clone(batch), self.house.store.clone());
        tokio::task::spawn_blocking(move || batch.look(from, &store, Reading::Waits))
    }

    /// What has been looked up by then, or can be without waiting.
    async fn looked(
        &self,
        batch: &Arc<Batch>,
        from: usize,
        looking: Option<JoinHandle<Result<Looked, ReadError>>>,
    ) -> Verdict<Looked> {
        let looking = match looking {
            Some(looking) => looking,
            None => match batch.look(from, &self.house.store, Reading::AtHand) {
                Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => self.look(batch, from),
                looked => return looked.map_err(|error| self.unread(&error)),
            },
        };
        let looked = looking.await.map_err(|_| Refusal::Unavailable)?;
        looked.map_err(|error| self.unread(&error))
    }
}

/// Messages, and what is wanted of each.
struct Batch {
    mailbox: MailboxId,
    now: Arc<Snapshot>,
    wanted: Vec<Row>,
    seen_now: Vec<Uid>,
    items: Vec<Item>,
    changed_since: Option<u64>,
    depth: Depth,
    /// Whether the whole of each is wanted, and nothing else of it that has to be read.
    whole: bool,
    /// What stands in their rows, looked up once where that is all there is to be looked up.
    kept: OnceLock<Vec<Kept>>,
}

/// What has been looked up of a batch.
struct Looked {
    fetched: Fetched,
    readers: Readers,
    /// The first that was not.
    next: usize,
    /// Whether the others can most likely be looked up without waiting.
    at_hand: bool,
}

/// What has been found of one message.
struct Found<'a> {
    row: Row,
    known: Known<'a>,
    /// The message itself, once it was asked for.
    kept: OnceCell<Kept>,
}

/// Where that is.
#[derive(Clone, Copy)]
enum Known<'a> {
    /// The first of these; the others come behind it.
    Kept(&'a [Kept]),
    Sight(&'a Sight<'a>),
}

impl<'a> Found<'a> {
    fn new(row: Row, known: Known<'a>) -> Self {
        Found { row, known, kept: OnceCell::new() }
    }

    fn kept(&self) -> Result<&Kept, ReadError> {
        match (self.known, self.kept.get()) {
            (Known::Kept(kept), _) => kept.first().ok_or(ReadError::NotFound),
            (_, Some(kept)) => Ok(kept),
            (Known::Sight(sight), None) => {
                let kept = sight.kept()?;
                Ok(self.kept.get_or_init(|| kept))
            }
        }
    }

    fn outlined(&self) -> Option<Outlined<'a>> {
        match self.known {
            Known::Kept(_) => None,
            Known::Sight(sight) => Some(sight.outlined()),
        }
    }
}

impl Batch {
    fn new(mailbox: MailboxId, now: Arc<Snapshot>, fetch: &Fetch) -> Self {
        let Fetch { uids, items, changed_since, .. } = fetch.clone();
        let changed = |row: &&Row| changed_since.is_none_or(|since| row.modseq > kept_modseq(since));
        let wanted = rows(&now, &uids).filter(changed).copied().collect();
        let depth = items.iter().map(depth).max().unwrap_or(Depth::Row);
        let read = items.iter().filter(|item| matches!(item, Item::Section(_) | Item::BinarySize(_))).count();
        let whole = depth == Depth::Kept && read == 1;
        Batch { mailbox, now, wanted, seen_now: Vec::new(), items, changed_since, depth, whole, kept: OnceLock::new() }
    }

    /// What is in memory.
    fn rows(&self) -> Fetched {
        Fetched { messages: self.wanted.iter().map(|row| self.message(row)).collect(), ..Fetched::default() }
    }

    fn message(&self, row: &Row) -> Message {
        Message {
            uid: row.uid.0,
            modseq: modseq(row.modseq),
            flags: told_flags(&self.now, row),
            seen_now: self.seen_now.binary_search(&row.uid).is_ok(),
            internal_date: self.items.contains(&Item::InternalDate).then(|| Moment::utc(row.received_at)),
            size: row.size.into(),
            ..Message::default()
        }
    }

    /// The same with what has to be looked up.
    fn look(&self, from: usize, store: &Store, reading: Reading) -> Result<Looked, ReadError> {
        let mut progress = Progress::new(store, reading, self, self.wanted.len() - from);
        let (looked_until, next) = match self.depth {
            Depth::Outline => self.look_at_outlines(from, &mut progress)?,
            Depth::Kept | Depth::Row => self.look_at_rows(from, &mut progress)?,
        };
        let readers = Readers::new(std::mem::take(&mut progress.readers));
        let Progress { messages, octets, apart, .. } = progress;
        let fetched = Fetched { messages, octets, apart, looked_until };
        // Where the first had to be waited for nobody knows yet of the others; where later ones had to, the others most likely have to.
        let at_hand = self.kept.get().is_some() && (reading == Reading::AtHand || from == 0);
        Ok(Looked { fetched, readers, next, at_hand })
    }

    /// Up to where, and the first behind. Blocks.
    fn look_at_outlines(&self, from: usize, progress: &mut Progress<'_>) -> Result<(Option<u32>, usize), ReadError> {
        let rows = &self.wanted[from..];
        let uids: Vec<Uid> = rows.iter().map(|row| row.uid).collect();
        let (store, mut last, mut next) = (progress.store, None, 0);
        store.walk(self.mailbox, &uids, self.breadth(), |sight| {
            // Most often the one behind the last.
            let here = rows.get(next).filter(|row| row.uid == sight.uid()).map(|_| next);
            let found = || rows.binary_search_by_key(&sight.uid(), |row| row.uid).ok();
            let Some(at) = here.or_else(found) else { return Ok(Continue(())) };
            next = at + 1;
            progress.add(self, &Found::new(rows[at], Known::Sight(sight)))?;
            last = progress.is_enough().then_some(at);
            Ok(if last.is_some() { Break(()) } else { Continue(()) })
        })?;
        Ok(match last {
            Some(at) => (Some(rows[at].uid.0), from + at + 1),
            None => (None, self.wanted.len()),
        })
    }

    /// Whether outlines are enough, as they are for envelopes and previews.
    fn breadth(&self) -> Breadth {
        let is_in_outline =
            |item: &Item| depth(item) == Depth::Row || matches!(item, Item::Envelope | Item::Preview { .. });
        if self.items.iter().all(is_in_outline) { Breadth::Outline } else { Breadth::Whole }
    }

    /// The same. Blocks the first time.
    fn look_at_rows(&self, from: usize, progress: &mut Progress<'_>) -> Result<(Option<u32>, usize), ReadError> {
        let all = match self.kept.get() {
            Some(all) => all,
            None => {
                let uids: Vec<Uid> = self.wanted.iter().map(|row| row.uid).collect();
                let all = progress.store.messages_of(self.mailbox, &uids)?;
                self.kept.get_or_init(|| all)
            }
        };
        for (at, row) in self.wanted.iter().enumerate().skip(from) {
            let Ok(kept) = all.binary_search_by_key(&row.uid, |kept| kept.uid) else { continue };
            progress.add(self, &Found::new(*row, Known::Kept(&all[kept..])))?;
            if progress.is_enough() {
                return Ok((Some(row.uid.0), at + 1));
            }
        }
        Ok((None, self.wanted.len()))
    }
}

struct Progress<'a> {
    store: &'a Store,
    reading: Reading,
    messages: Vec<Message>,
    readers: Vec<Source>,
    /// What of the messages is sent as it is.
    octets: Vec<u8>,
    /// What of that has buffers of its own.
    apart: Vec<Vec<u8>>,
    /// Octets in those.
    apart_octets: usize,
    /// The next messages, which were read with one before them.
    together: VecDeque<(Uid, Vec<u8>)>,
    /// For headers from which fields are taken.
    header: Vec<u8>,
}

impl<'a> Progress<'a> {
    /// With so many messages before it, though perhaps not to be passed at once. What grows by and by takes new memory each time.
    fn new(store: &'a Store, reading: Reading, batch: &Batch, count: usize) -> Self {
        let octets = match batch.whole {
            true => Vec::new(),
            false => Vec::with_capacity((count * FORMED_USUAL).min(FETCH_OCTETS_WISHED + AT_ONCE as usize)),
        };
        let usual = if batch.depth == Depth::Outline { FETCH_OCTETS_WISHED / FORMED_LEAST } else { READERS_MAX };
        let messages = Vec::with_capacity(count.min(usual));
        let (readers, apart, together, header) = (Vec::new(), Vec::new(), VecDeque::new(), Vec::new());
        Progress { store, reading, messages, readers, octets, apart, apart_octets: 0, together, header }
    }

    fn held(&self) -> usize {
        self.octets.len() + self.apart_octets
    }

    fn is_enough(&self) -> bool {
        self.held() >= FETCH_OCTETS_WISHED || self.readers.len() >= READERS_MAX
    }

    fn put_apart(&mut self, octets: Vec<u8>) -> Content {
        self.apart_octets += octets.len();
        self.apart.push(octets);
        Content::Apart(self.apart.len() as u32 - 1)
    }

    /// The first of these messages, whole. Those behind it are read with it, for they are asked for next.
    fn whole(&mut self, kept: &[Kept]) -> Result<Content, ReadError> {
        let first = kept.first().ok_or(ReadError::NotFound)?.uid;
        if self.together.front().is_none_or(|(uid, _)| *uid != first) {
            let small = kept.iter().take(TOGETHER_MAX).take_while(|kept| kept.size <= AT_ONCE).count();
            let (small, wished) = (&kept[..small], FETCH_OCTETS_WISHED.saturating_sub(self.held()) as u64);
            let read = match self.reading {
                Reading::Waits => self.store.read_together(small, wished)?,
                Reading::AtHand => {
                    let cached = self.store.read_together_cached(small, wished);
                    cached.ok_or_else(|| io::Error::from(io::ErrorKind::WouldBlock))?
                }
            };
            self.together = small.iter().map(|kept| kept.uid).zip(read).collect();
        }
        let (_, octets) = self.together.pop_front().ok_or(ReadError::NotFound)?;
        Ok(self.put_apart(octets))
    }

    /// One more message, unless it was expunged meanwhile.
    fn add(&mut self, batch: &Batch, found: &Found<'_>) -> Result<(), ReadError> {
        match self.message(batch, found) {
            Ok(message) => self.messages.push(message),
            Err(ReadError::NotFound) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn message(&mut self, batch: &Batch, found: &Found<'_>) -> Result<Message, ReadError> {
        let mut message = batch.message(&found.row);
        let outlined = found.outlined();
        let (whole, outline) = (batch.whole, OnceCell::new());
        let mut sections = Sections { progress: self, found, whole, outline, source: None, number: None };
        for item in &batch.items {
            match item {
                Item::EmailId => message.email_id = Some(convert::email_id(found.kept()?.email)),
                Item::ThreadId => message.thread_id = Some(convert::thread_id(found.kept()?.thread)),
                Item::SaveDate => message.save_date = Some(Moment::utc(found.kept()?.saved_at)),
                Item::Envelope => {
                    message.envelope = Some(sections.excerpt(|_, out| {
                        outlined.into_iter().for_each(|outlined| outlined.write_envelope(out));
                    }));
                }
                Item::Preview { .. } => message.preview = outlined.map(|outlined| outlined.glance().preview.into()),
                Item::Body => message.body = Some(sections.excerpt(|it, out| write_body(it.outline(), out))),
                Item::BodyStructure => {
                    message.body_structure = Some(sections.excerpt(|it, out| write_body_structure(it.outline(), out)));
                }
                Item::Section(section) => message.sections.push(sections.content(section)?),
                Item::BinarySize(part) => message.sections.push(sections.binary_size(part)?),
                // What is in memory is told already.
                Item::Flags | Item::Uid | Item::InternalDate | Item::Size | Item::ModSeq => {}
            }
        }
        Ok(message)
    }
}

/// The sections that are wanted of one message.
struct Sections<'a, 'b> {
    progress: &'a mut Progress<'b>,
    found: &'a Found<'a>,
    /// Whether all of it is wanted, and nothing else.
    whole: bool,
    /// Taken apart once a section is asked for that needs it.
    outline: OnceCell<Outline>,
    /// The message, open, until it is among the readers that stay.
    source: Option<Source>,
    /// Its number there.
    number: Option<usize>,
}

impl Sections<'_, '_> {
    fn outline(&self) -> &Outline {
        self.outline
            .get_or_init(|| self.found.outlined().map_or_else(|| Outline::of(b""), |outlined| outlined.outline()))
    }

    /// Puts something behind what is sent as it is.
    fn excerpt(&mut self, write: impl FnOnce(&Self, &mut Vec<u8>)) -> Excerpt {
        let mut octets = std::mem::take(&mut self.progress.octets);
        let start = octets.len();
        write(self, &mut octets);
        self.progress.octets = octets;
        Excerpt::since(start, &self.progress.octets)
    }

    fn place<'s>(&self, section: &'s Section) -> Result<Place<'s>, ReadError> {
        let size = self.found.kept()?.size;
        Ok(match section.form {
            Form::Binary => section::binary_place(self.outline(), size, &section.part),
            Form::Body | Form::Rfc822 if section.part.is_empty() => {
                let top = self.found.outlined().map(|outlined| outlined.top()).unwrap_or_default();
                section::place_in_whole(top, size, &section.text)
            }
            Form::Body | Form::Rfc822 => section::place(self.outline(), size, section),
        })
    }

    fn content(&mut self, section: &Section) -> Result<Content, ReadError> {
        match self.place(section)? {
            Place::Nowhere => Ok(Content::Nil),
            Place::Stretch(range) => self.stretch(section::cut(range, section.partial)),
            Place::Fields { header, names, others } => {
                // One buffer for the headers of all messages.
                let mut octets = std::mem::take(&mut self.progress.header);
                octets.clear();
                self.read(header, &mut octets)?;
                let fields = match section.partial {
                    None => self.excerpt(|_, out| section::write_fields(&octets, names, others, out)),
                    partial => {
                        let fields = section::cut_octets(section::fields(&octets, names, others), partial);
                        self.excerpt(|_, out| out.extend_from_slice(&fields))
                    }
                };
                self.progress.header = octets;
                Ok(Content::Octets(fields))
            }
            Place::Encoded(_, Encoding::Unknown(_)) => Ok(Content::UnknownEncoding),
            Place::Encoded(range, encoding) => self.decoded(range, &encoding, section.partial),
        }
    }

    fn stretch(&mut self, range: Range<u64>) -> Result<Content, ReadError> {
        let length = range.end - range.start;
        match self.found.known {
            Known::Kept(kept) if self.whole && length == self.found.kept()?.size && length <= AT_ONCE => {
                return self.progress.whole(kept);
            }
            _ if length < APART_MIN as u64 => {
                let mut octets = std::mem::take(&mut self.progress.octets);
                let start = octets.len();
                let read = self.read(range, &mut octets);
                self.progress.octets = octets;
                return read.map(|()| Content::Octets(Excerpt::since(start, &self.progress.octets)));
            }
            _ if length <= AT_ONCE => {
                let octets = self.octets(range)?;
                return Ok(self.progress.put_apart(octets));
            }
            _ => {}
        }
        let number = match self.number {
            Some(number) => number,
            None => {
                let source = self.take_source()?;
                self.progress.readers.push(source);
                self.progress.readers.len() - 1
            }
        };
        self.number = Some(number);
        Ok(Content::Stretch { reader: number as u64, from: range.start, to: range.end })
    }

    fn at_hand(&mut self, octets: Vec<u8>) -> Content {
        match octets.len() < APART_MIN {
            true => Content::Octets(self.excerpt(|_, out| out.extend_from_slice(&octets))),
            false => self.progress.put_apart(octets),
        }
    }

    /// A part without its encoding: in memory where it is small, in a draft of the store otherwise.
    fn decoded(
        &mut self,
        range: Range<u64>,
        encoding: &Encoding,
        partial: Option<Partial>,
    ) -> Result<Content, ReadError> {
        if range.end - range.start <= AT_ONCE {
            let octets = encoding.decode(&self.octets(range)?);
            return Ok(self.at_hand(section::cut_octets(octets, partial)));
        }
        let mut draft = self.progress.store.draft();
        self.decode(range, encoding, |piece| draft.append(piece))?;
        let stretch = section::cut(0..draft.len(), partial);
        self.progress.readers.push(Source::Decoded(draft));
        let reader = self.progress.readers.len() as u64 - 1;
        Ok(Content::Stretch { reader, from: stretch.start, to: stretch.end })
    }

    fn binary_size(&mut self, part: &[u32]) -> Result<Content, ReadError> {
        match section::binary_place(self.outline(), self.found.kept()?.size, part) {
            Place::Stretch(range) => Ok(Content::Size(range.end - range.start)),
            Place::Encoded(_, Encoding::Unknown(_)) => Ok(Content::UnknownEncoding),
            Place::Encoded(range, encoding) => {
                let mut size = 0;
                self.decode(range, &encoding, |piece| {
                    size += piece.len() as u64;
                    Ok(())
                })?;
                Ok(Content::Size(size))
            }
            Place::Fields { .. } | Place::Nowhere => Ok(Content::Nil),
        }
    }

    fn decode(
        &mut self,
        range: Range<u64>,
        encoding: &Encoding,
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), ReadError> {
        let (mut decoder, mut decoded, mut at) = (Decoder::new(encoding), Vec::new(), range.start);
        while at < range.end {
            let until = range.end.min(at + READ_OCTETS_WISHED as u64);
            let piece = self.octets(at..until)?;
            at = until;
            decoder.put(&piece, &mut decoded);
            take(&decoded)?;
            decoded.clear();
        }
        decoder.end(&mut decoded);
        Ok(take(&decoded)?)
    }

    /// A stretch of the message. One that must not be longer than memory allows.
    fn octets(&mut self, range: Range<u64>) -> Result<Vec<u8>, ReadError> {
        let mut octets = Vec::new();
        self.read(range, &mut octets)?;
        Ok(octets)
    }

    /// The same behind what a buffer holds.
    fn read(&mut self, range: Range<u64>, octets: &mut Vec<u8>) -> Result<(), ReadError> {
        let start = octets.len();
        octets.resize(start + usize::try_from(range.end - range.start).unwrap_or(0), 0);
        let mut at = start;
        while at < octets.len() {
            let from = range.start + (at - start) as u64;
            let (rest, reading) = (&mut octets[at..], self.progress.reading);
            let read = match self.number {
                Some(number) => self.progress.readers[number].read_as(reading, from, rest)?,
                None => self.source()?.read_as(reading, from, rest)?,
            };
            if read == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            at += read;
        }
        Ok(())
    }

    fn source(&mut self) -> Result<&Source, ReadError> {
        let source = self.take_source()?;
        Ok(self.source.insert(source))
    }

    fn take_source(&mut self) -> Result<Source, ReadError> {
        match self.source.take() {
            Some(source) => Ok(source),
            None => Ok(Source::Message(self.progress.store.reader(self.found.kept()?)?)),
        }
    }
}

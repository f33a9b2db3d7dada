//! The journal: what a group of deliveries and changes of flags did, behind the bodies that it is about and made durable by the same sync.
//!
//! ```text
//! segment:  … │ record, record, record, entry │ record, entry │ room        entry = a record of its own kind, JSON
//!             └ from                           └ from of the next
//! ```
//!
//! The rows of what stands here are written some time after it was answered. Where a crash comes first, they are made again of it: the same
//! orders with the same numbers, in the same order, after the same commits. Flags of ten thousand messages are a line here, and eighty pages
//! of the index.
//!
//! Invariants: an entry counts only where the one before it ends, and with all of its records sound; so what an earlier life of the
//! file left behind its end is never taken for one. Where another entry follows, it was answered: then it counts without the records
//! that are damaged. What is written here stays readable: fields are added, never changed.
//! Not here: when rows are written (writer), what the orders mean (index).

use std::io;

use serde::{Deserialize, Serialize};

use crate::essence::Essence;
use crate::feed::Change;
use crate::index::Done;
use crate::names::{AccountId, BodyId, MailboxId, ModSeq, Uid};
use crate::op::{FlagChange, Flags, MailboxRef, Op, Outcome};
use crate::queue::QueuedMail;
use crate::record::{HEADER_LEN, Header, Kind};
use crate::segment::{SegmentFile, Span};
use crate::writer::Written;

/// What a group of commits did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Where the first record of the group begins.
    from: u64,
    /// The moment at which all of it happened, Unix seconds.
    pub(crate) at: i64,
    pub(crate) commits: Vec<CarriedOut>,
}

/// In how many ranges the messages are at most whose flags an entry may change: with as many, their blocks are written as cheaply.
const RANGES_MAX: usize = 256;

/// One commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CarriedOut {
    pub(crate) numbers: Numbers,
    bodies: Vec<DeliveredBody>,
    orders: Vec<Order>,
}

/// The first numbers that the commit took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Numbers {
    pub(crate) email: i64,
    pub(crate) mail: i64,
    pub(crate) recipient: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct DeliveredBody {
    body: i64,
    offset: u64,
    length: u64,
    record_len: u64,
    /// Whether lists will say something of it.
    is_listed: bool,
    /// The keys of discussions, for a later version may make others.
    own: Option<i64>,
    ancestors: Vec<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Order {
    Place {
        account: i64,
        mailbox: i64,
        body: usize,
        prefix: Octets,
        received_at: i64,
        system: u32,
        keywords: Vec<String>,
        uid: u32,
        modseq: i64,
        thread: i64,
    },
    Enqueue(QueuedMail),
    SetFlags {
        account: i64,
        mailbox: i64,
        /// First and last of each range.
        uids: Vec<(u32, u32)>,
        change: FlagChange,
        unchanged_since: Option<i64>,
        modseq: i64,
    },
}

/// Octets that are mostly text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Octets {
    Text(String),
    Raw(Vec<u8>),
}

impl Octets {
    fn of(octets: &[u8]) -> Octets {
        std::str::from_utf8(octets).map_or_else(|_| Octets::Raw(octets.into()), |text| Octets::Text(text.into()))
    }

    fn into_vec(self) -> Vec<u8> {
        match self {
            Octets::Text(text) => text.into_bytes(),
            Octets::Raw(octets) => octets,
        }
    }
}

impl Entry {
    /// An entry without commits, of a group whose first record begins here.
    pub(crate) fn new(from: u64, at: i64) -> Entry {
        Entry { from, at, commits: Vec::new() }
    }

    /// What the body of a record of the journal says.
    pub(crate) fn parse(text: &[u8]) -> Option<Entry> {
        serde_json::from_slice(text).ok()
    }

    /// Where the first record of the group begins.
    pub(crate) fn begin(&self) -> u64 {
        self.from
    }

    /// The entry as a record, written at that moment.
    pub(crate) fn encode(&self) -> Vec<u8> {
        // Serialising strings and numbers into memory cannot fail; an empty entry would be none.
        let text = serde_json::to_vec(self).unwrap_or_default();
        let header = Header {
            kind: Kind::Journal,
            body: BodyId(0),
            head_len: 0,
            body_len: text.len() as u64,
            body_crc: crc32fast::hash(&text),
            trailer_len: 0,
            trailer_crc: crc32fast::hash(b""),
            written_at: self.at,
        };
        [header.encode().as_slice(), &text].concat()
    }
}

/// Whether an entry can say what these orders do. What it says of bodies is another question.
pub(crate) fn can_say(ops: &[Op]) -> bool {
    match ops {
        [Op::SetFlags { uids, .. }] => stretches(uids).count() <= RANGES_MAX,
        _ => ops.iter().all(|op| matches!(op, Op::Place { .. } | Op::Enqueue(_))),
    }
}

/// UIDs in stretches without gaps.
fn stretches(uids: &[Uid]) -> impl Iterator<Item = &[Uid]> {
    uids.chunk_by(|one, two| one.0.checked_add(1) == Some(two.0))
}

impl CarriedOut {
    /// A commit that was carried out; `None` where there is nothing to be said of it: it changed nothing.
    pub(crate) fn of(
        numbers: Numbers,
        ops: &[Op],
        essences: &[Essence],
        written: &[Written],
        done: &Done,
    ) -> Option<CarriedOut> {
        let orders = ops.iter().zip(&done.committed.outcomes).map(|pair| match pair {
            (Op::Place { body, prefix, received_at, flags, .. }, Outcome::Placed(placed)) => Some(Order::Place {
                account: placed.account.0,
                mailbox: placed.mailbox.0,
                body: *body,
                prefix: Octets::of(prefix),
                received_at: *received_at,
                system: flags.system,
                keywords: flags.keywords.clone(),
                uid: placed.uid.0,
                modseq: placed.modseq.0,
                thread: placed.thread.0,
            }),
            (Op::Enqueue(mail), Outcome::Queued { .. }) => Some(Order::Enqueue(mail.clone())),
            (Op::SetFlags { uids, change, unchanged_since, .. }, _) => flags_set(uids, change, *unchanged_since, done),
            _ => None,
        });
        let bodies = written.iter().zip(essences).map(|(written, essence)| DeliveredBody {
            body: written.span.body.0,
            offset: written.span.offset,
            length: written.span.length,
            record_len: written.record_len,
            is_listed: essence.outline.is_some(),
            own: essence.own,
            ancestors: essence.ancestors.clone(),
        });
        Some(CarriedOut { numbers, bodies: bodies.collect(), orders: orders.collect::<Option<_>>()? })
    }

    /// Whether these are the outcomes that were told.
    pub(crate) fn is_told_by(&self, outcomes: &[Outcome]) -> bool {
        self.orders.iter().zip(outcomes).all(|pair| match pair {
            (Order::Place { mailbox, uid, modseq, thread, .. }, Outcome::Placed(placed)) => {
                (placed.mailbox.0, placed.uid.0, placed.modseq.0, placed.thread.0) == (*mailbox, *uid, *modseq, *thread)
            }
            (Order::Enqueue(_), Outcome::Queued { .. }) => true,
            (Order::SetFlags { modseq, .. }, Outcome::FlagsSet { modseq: Some(set), .. }) => set.0 == *modseq,
            _ => false,
        })
    }

    /// What each order was given: of which account which modseq, and where which UID, if it is a placement.
    pub(crate) fn given(&self) -> impl Iterator<Item = (AccountId, ModSeq, Option<(MailboxId, Uid)>)> {
        self.orders.iter().filter_map(|order| match order {
            Order::Place { account, mailbox, uid, modseq, .. } => {
                Some((AccountId(*account), ModSeq(*modseq), Some((MailboxId(*mailbox), Uid(*uid)))))
            }
            Order::SetFlags { account, modseq, .. } => Some((AccountId(*account), ModSeq(*modseq), None)),
            Order::Enqueue(_) => None,
        })
    }

    /// The same without the orders about bodies that are not there any more: as many are said here as there were.
    pub(crate) fn only_of(mut self, is_there: &[bool]) -> CarriedOut {
        let number_of = |body: usize| {
            let before = is_there.iter().take(body).filter(|is_there| **is_there).count();
            is_there.get(body).copied().unwrap_or(false).then_some(before)
        };
        let order = |mut order: Order| {
            match &mut order {
                Order::Place { body, .. } => *body = number_of(*body)?,
                Order::Enqueue(_) => {
                    number_of(0)?;
                }
                Order::SetFlags { .. } => {}
            }
            Some(order)
        };
        self.orders = self.orders.into_iter().filter_map(order).collect();
        self
    }

    /// The orders, as they were given.
    pub(crate) fn into_ops(self) -> Vec<Op> {
        self.orders.into_iter().map(Order::into_op).collect()
    }

    /// What was told of each of its bodies.
    pub(crate) fn told(&self) -> impl Iterator<Item = (BodyId, Told)> {
        self.bodies.iter().enumerate().map(|(number, body)| {
            let about = |order: &&Order| match order {
                Order::Place { body, .. } => *body == number,
                _ => number == 0 && matches!(order, Order::Enqueue(_)),
            };
            (BodyId(body.body), Told(self.orders.iter().filter(about).cloned().collect()))
        })
    }
}

impl Order {
    fn into_op(self) -> Op {
        match self {
            Order::Place { account, mailbox, body, prefix, received_at, system, keywords, .. } => Op::Place {
                account: AccountId(account),
                mailbox: MailboxRef::Id(MailboxId(mailbox)),
                body,
                prefix: prefix.into_vec(),
                received_at,
                flags: Flags { system, keywords },
            },
            Order::Enqueue(mail) => Op::Enqueue(mail),
            Order::SetFlags { account, mailbox, uids, change, unchanged_since, .. } => Op::SetFlags {
                account: AccountId(account),
                mailbox: MailboxRef::Id(MailboxId(mailbox)),
                uids: uids.into_iter().flat_map(|(first, last)| first..=last).map(Uid).collect(),
                change,
                unchanged_since: unchanged_since.map(ModSeq),
            },
        }
    }
}

/// The orders about one body, with mailboxes by number.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Told(Vec<Order>);

impl Told {
    /// The orders as those of a commit that has this body alone.
    pub(crate) fn into_ops(self) -> Vec<Op> {
        let mut ops: Vec<_> = self.0.into_iter().map(Order::into_op).collect();
        for op in &mut ops {
            if let Op::Place { body, .. } = op {
                *body = 0;
            }
        }
        ops
    }
}

/// Flags that were changed; `None` where all were so before.
fn flags_set(uids: &[Uid], change: &FlagChange, unchanged_since: Option<ModSeq>, done: &Done) -> Option<Order> {
    let told = done.changes.iter().find_map(|change| match change {
        Change::FlagsSet { account, mailbox, modseq, .. } => Some((*account, *mailbox, *modseq)),
        _ => None,
    });
    let (account, mailbox, modseq) = told?;
    let range = |stretch: &[Uid]| (stretch[0].0, stretch[stretch.len() - 1].0);
    Some(Order::SetFlags {
        account: account.0,
        mailbox: mailbox.0,
        uids: stretches(uids).map(range).collect(),
        change: change.clone(),
        unchanged_since: unchanged_since.map(|since| since.0),
        modseq: modseq.0,
    })
}

/// An entry that counts, with what its commits brought.
pub(crate) struct Found {
    pub(crate) entry: Entry,
    /// As many as commits; `None` is a damaged one.
    pub(crate) bodies: Vec<Vec<Option<(Written, Essence)>>>,
    /// Where it ends.
    pub(crate) end: u64,
}

/// The next entry of a group that begins here, if there is one.
pub(crate) fn next(segment: i64, file: &SegmentFile, from: u64) -> io::Result<Option<Found>> {
    let Some((entry, end)) = find(file, from)? else { return Ok(None) };
    let read_all = |commit: &CarriedOut| commit.bodies.iter().map(|body| body.read(segment, file)).collect();
    let bodies = entry.commits.iter().map(read_all).collect::<io::Result<Vec<Vec<_>>>>()?;
    let is_whole = bodies.iter().flatten().all(Option::is_some);
    // Nothing is written behind a group before it stands. So what is torn is the last one, and was not answered.
    let counts = is_whole || find(file, end)?.is_some();
    Ok(counts.then_some(Found { entry, bodies, end }))
}

/// Passes over the records of a group to its entry.
fn find(file: &SegmentFile, from: u64) -> io::Result<Option<(Entry, u64)>> {
    let length = file.len()?;
    let mut position = from;
    while position + HEADER_LEN as u64 <= length {
        let mut octets = [0; HEADER_LEN];
        file.read_exact_at(&mut octets, position)?;
        let Ok(header) = Header::parse(&octets) else { return Ok(None) };
        let end = position.saturating_add(header.record_len());
        if end > length {
            return Ok(None);
        }
        if header.kind == Kind::Journal {
            let record = read_record(file, position, header.record_len())?;
            let entry = header.is_sound_over(&record).then(|| Entry::parse(&record[HEADER_LEN..]));
            return Ok(entry.flatten().filter(|entry: &Entry| entry.from == from).map(|entry| (entry, end)));
        }
        position = end;
    }
    Ok(None)
}

impl DeliveredBody {
    /// Where it lies, and what the index keeps of it, if it is there and sound.
    fn read(&self, segment: i64, file: &SegmentFile) -> io::Result<Option<(Written, Essence)>> {
        let span = Span { body: BodyId(self.body), segment, offset: self.offset, length: self.length };
        if self.offset < HEADER_LEN as u64 || span.record_offset().saturating_add(self.record_len) > file.len()? {
            return Ok(None);
        }
        let Ok(header) = file.header(&span) else { return Ok(None) };
        if header.record_len() != self.record_len {
            return Ok(None);
        }
        let record = read_record(file, span.record_offset(), self.record_len)?;
        if !header.is_sound_over(&record) {
            return Ok(None);
        }
        let body = &record[HEADER_LEN..record.len() - header.trailer_len as usize];
        let outline = if self.is_listed { Essence::of(body, b"").outline } else { None };
        let essence = Essence { outline, own: self.own, ancestors: self.ancestors.clone() };
        Ok(Some((Written { span, record_len: self.record_len, is_alone: false, segment_len: 0 }, essence)))
    }
}

/// A record that lies within the file.
pub(crate) fn read_record(file: &SegmentFile, position: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut record = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut record, position)?;
    Ok(record)
}

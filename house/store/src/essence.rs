//! What the index keeps of a body besides its place: its outline, and the keys by which discussions are found.
//!
//! RFC 8474 §5.2 (THREADID), RFC 8621 §3 (the same thread: a common Message-ID and the same base subject).
//!
//! Made outside of the writer's threads, before the commit: in the caller's thread for what is in memory, by a sealer for
//! what has spilled.
//!
//! Invariants: a pure function of the octets; memory is bounded by the outline's limits.
//! Not here: which discussion a key leads to (index).

use std::ops::Range;

use message::find::fold;
use message::outline::{Outline, Scan};

/// How many ancestors are looked for: the first, which begins the discussion, and the nearest.
const ANCESTORS_MAX: usize = 30;

/// How much of a message in a file is read at once.
const PIECE: usize = 64 * 1024;

/// What the index keeps of a body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Essence {
    /// The outline's stored form; `None` where nobody will list the message.
    pub(crate) outline: Option<Vec<u8>>,
    /// The message's own key.
    pub(crate) own: Option<i64>,
    /// The keys of the messages it answers, the nearest first.
    pub(crate) ancestors: Vec<i64>,
}

impl Essence {
    /// Of a message in memory: what is put in front of it, and its content.
    pub(crate) fn of(head: &[u8], content: &[u8]) -> Essence {
        let mut scan = Scan::new();
        scan.feed(head);
        scan.feed(content);
        let outline = scan.finish(|range| {
            let split = range.start.max(head.len()).min(range.end);
            let front = &head[range.start.min(head.len())..split.min(head.len())];
            [front, &content[split - head.len().min(split)..range.end.max(head.len()) - head.len()]].concat()
        });
        Essence::from(&outline)
    }

    /// Of a message that is elsewhere: `read` gives what there is from a place on, nothing at its end.
    pub(crate) fn read<E>(mut read: impl FnMut(u64, &mut [u8]) -> Result<usize, E>) -> Result<(Essence, Outline), E> {
        let mut scan = Scan::new();
        let mut piece = vec![0; PIECE];
        let mut at = 0;
        loop {
            match read(at, &mut piece)? {
                0 => break,
                count => {
                    scan.feed(&piece[..count]);
                    at += count as u64;
                }
            }
        }
        let mut failure = None;
        let outline = scan.finish(|range| {
            fetch(range, &mut read).unwrap_or_else(|error| {
                failure = Some(error);
                Vec::new()
            })
        });
        failure.map_or_else(|| Ok((Essence::from(&outline), outline)), Err)
    }

    fn from(outline: &Outline) -> Essence {
        let front = &outline.front;
        let subject = fold(&front.base_subject);
        let key = |id: &String| key(id, &subject);
        let mut ancestors = front.ancestors();
        ancestors.reverse();
        if ancestors.len() > ANCESTORS_MAX {
            ancestors.drain(ANCESTORS_MAX - 1..ancestors.len() - 1);
        }
        Essence {
            outline: Some(outline.encode()),
            own: front.message_id().as_ref().map(key),
            ancestors: ancestors.iter().map(key).collect(),
        }
    }
}

/// Reads a stretch, as much of it as there is.
pub(crate) fn fetch<E>(
    range: Range<usize>,
    mut read: impl FnMut(u64, &mut [u8]) -> Result<usize, E>,
) -> Result<Vec<u8>, E> {
    let mut octets = vec![0; range.len()];
    let mut filled = 0;
    while filled < octets.len() {
        match read((range.start + filled) as u64, &mut octets[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    octets.truncate(filled);
    Ok(octets)
}

/// FNV-1a over both, with a zero between: the same for ever, because it is kept. Who finds two that collide has joined two
/// discussions of his own victim, which a References field does with less trouble.
fn key(id: &str, subject: &str) -> i64 {
    let octets = id.bytes().chain([0]).chain(subject.bytes());
    octets.fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3))
        as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_and_content_make_one_message() {
        let (head, content) = (&b"Received: x\r\n"[..], &b"Subject: y\r\n\r\nDo you like ketchup?\r\n"[..]);
        let whole = [head, content].concat();
        let essence = Essence::of(head, content);
        assert_eq!(essence, Essence::of(&whole, b""));
        assert_eq!(essence, Essence::of(b"", &whole));
        let read = |at: u64, buf: &mut [u8]| {
            let piece = buf.len().min(3);
            Ok::<_, ()>(crate::draft::copy_from(&whole, at, &mut buf[..piece]))
        };
        assert_eq!(Essence::read(read).unwrap().0, essence);
        let outline = Outline::decode(&essence.outline.unwrap()).unwrap();
        assert_eq!(outline.front.preview, "Do you like ketchup?");
        // A body that begins in the head.
        assert_eq!(
            Essence::of(b"A: b\r\n\r\nfirst ", b"second").outline,
            Essence::of(b"", b"A: b\r\n\r\nfirst second").outline
        );
    }

    #[test]
    fn a_reply_names_the_message_it_answers() {
        let root = Essence::of(b"", b"Message-ID: <1@x>\r\nSubject: pickles\r\n\r\n");
        let reply = Essence::of(b"", b"Message-ID: <2@x>\r\nIn-Reply-To: <1@x>\r\nSubject: RE: Pickles\r\n\r\n");
        let other = Essence::of(b"", b"Message-ID: <3@x>\r\nIn-Reply-To: <1@x>\r\nSubject: onions\r\n\r\n");
        assert_eq!(reply.ancestors, [root.own.unwrap()]);
        assert_ne!(other.ancestors, reply.ancestors);
    }

    #[test]
    fn of_many_ancestors_the_nearest_and_the_first_count() {
        let ids: String = (0..100).map(|number| format!("<{number}@x> ")).collect();
        let ancestors = Essence::of(b"", format!("References: {ids}\r\n\r\n").as_bytes()).ancestors;
        assert_eq!(ancestors.len(), ANCESTORS_MAX);
        assert_eq!((ancestors[0], ancestors[ANCESTORS_MAX - 1]), (key("99@x", ""), key("0@x", "")));
    }
}

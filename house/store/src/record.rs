//! How a body lies in a segment: a header, the octets, and a trailer that says whom they were for.
//!
//! ```text
//! header, 64 octets, little-endian
//!    0 "PBR1"   4 version   5 kind   6 zero (2)      8 CRC-32 of the header, these four octets taken as zero
//!   12 CRC-32 of the body      16 trailer length    20 CRC-32 of the trailer    24 head length    28 zero (4)
//!   32 body length (8)         40 body number (8)   48 written at, Unix seconds (8)               56 zero (8)
//! body      = head ‖ content, as it is sent to a reader
//! trailer   = JSON: the placements and the envelope as ordered by the commit; fields are added, never changed
//! ```
//!
//! The trailer repeats what the index says in other words, so that mailboxes can be made again from segments alone.
//! A record of the second kind has an entry of the journal (journal) in place of a body, number 0 and no trailer.
//!
//! Invariants: what `encode` writes `Header::parse` accepts; a changed octet in the header or the body is found by its CRC.
//! Not here: where records lie (segment), who orders them (writer).

use std::borrow::Cow;
use std::ops::Not;

use serde::{Deserialize, Serialize};

use crate::names::{AccountId, BodyId, MailboxId};
use crate::op::{Flags, MailboxRef, Op};
use crate::queue::{QueuedMail, QueuedRecipient};

/// The length of a record's header.
pub(crate) const HEADER_LEN: usize = 64;

/// What a record begins with.
pub(crate) const MAGIC: [u8; 4] = *b"PBR1";
const VERSION: u8 = 1;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Message = 1,
    /// What was done with the messages before it.
    Journal = 2,
}

/// What a record's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) body: BodyId,
    pub(crate) head_len: u32,
    pub(crate) body_len: u64,
    pub(crate) body_crc: u32,
    pub(crate) trailer_len: u32,
    pub(crate) trailer_crc: u32,
    pub(crate) written_at: i64,
}

/// Why octets are not a record's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeaderFlaw {
    #[error("there is no record")]
    Magic,
    #[error("the record's header is damaged")]
    Crc,
    #[error("the record has a version this software does not know")]
    Version,
}

impl Header {
    /// The octets of header, body and trailer.
    pub(crate) fn record_len(&self) -> u64 {
        HEADER_LEN as u64 + self.body_len + u64::from(self.trailer_len)
    }

    /// Whether body and trailer of a whole record have the checksums this header says.
    pub(crate) fn is_sound_over(&self, record: &[u8]) -> bool {
        let Some(split) = record.len().checked_sub(self.trailer_len as usize) else { return false };
        let (front, trailer) = record.split_at(split);
        front.get(HEADER_LEN..).is_some_and(|body| crc32fast::hash(body) == self.body_crc)
            && crc32fast::hash(trailer) == self.trailer_crc
    }

    pub(crate) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut octets = [0; HEADER_LEN];
        octets[0..4].copy_from_slice(&MAGIC);
        octets[4] = VERSION;
        octets[5] = self.kind as u8;
        octets[12..16].copy_from_slice(&self.body_crc.to_le_bytes());
        octets[16..20].copy_from_slice(&self.trailer_len.to_le_bytes());
        octets[20..24].copy_from_slice(&self.trailer_crc.to_le_bytes());
        octets[24..28].copy_from_slice(&self.head_len.to_le_bytes());
        octets[32..40].copy_from_slice(&self.body_len.to_le_bytes());
        octets[40..48].copy_from_slice(&self.body.0.to_le_bytes());
        octets[48..56].copy_from_slice(&self.written_at.to_le_bytes());
        let crc = crc32fast::hash(&octets);
        octets[8..12].copy_from_slice(&crc.to_le_bytes());
        octets
    }

    pub(crate) fn parse(octets: &[u8; HEADER_LEN]) -> Result<Header, HeaderFlaw> {
        if octets[0..4] != MAGIC {
            return Err(HeaderFlaw::Magic);
        }
        let mut unsigned = *octets;
        unsigned[8..12].fill(0);
        if crc32fast::hash(&unsigned).to_le_bytes() != octets[8..12] {
            return Err(HeaderFlaw::Crc);
        }
        let kind = match octets[4..6] {
            [VERSION, 1] => Kind::Message,
            [VERSION, 2] => Kind::Journal,
            _ => return Err(HeaderFlaw::Version),
        };
        Ok(Header {
            kind,
            body_crc: u32::from_le_bytes(four(octets, 12)),
            trailer_len: u32::from_le_bytes(four(octets, 16)),
            trailer_crc: u32::from_le_bytes(four(octets, 20)),
            head_len: u32::from_le_bytes(four(octets, 24)),
            body_len: u64::from_le_bytes(eight(octets, 32)),
            body: BodyId(i64::from_le_bytes(eight(octets, 40))),
            written_at: i64::from_le_bytes(eight(octets, 48)),
        })
    }
}

fn four(octets: &[u8; HEADER_LEN], at: usize) -> [u8; 4] {
    let mut field = [0; 4];
    field.copy_from_slice(&octets[at..at + 4]);
    field
}

fn eight(octets: &[u8; HEADER_LEN], at: usize) -> [u8; 8] {
    let mut field = [0; 8];
    field.copy_from_slice(&octets[at..at + 8]);
    field
}

/// The trailer of a record: what a commit orders for its body of this number.
pub(crate) fn trailer(ops: &[Op], number: usize) -> Vec<u8> {
    let mut orders = Orders { places: Vec::new(), mails: Vec::new() };
    for op in ops {
        match op {
            Op::Place { account, mailbox, body, prefix, received_at, flags } if *body == number => {
                orders.places.push(Place {
                    account: account.0,
                    mailbox: match mailbox {
                        MailboxRef::Inbox => Mailbox::Name("INBOX".into()),
                        MailboxRef::Named(name) => Mailbox::Name(name.into()),
                        MailboxRef::Id(id) => Mailbox::Id(id.0),
                    },
                    received_at: *received_at,
                    flags: flags.system,
                    keywords: (&flags.keywords).into(),
                    prefix: String::from_utf8_lossy(prefix),
                })
            }
            Op::Enqueue(mail) if number == 0 => orders.mails.push(Mail {
                sender: (&mail.sender).into(),
                recipients: mail.recipients.iter().map(|recipient| (&recipient.address).into()).collect(),
                expires: mail.expires,
                submitted_by: mail.submitted_by.as_ref().map(Cow::from),
                smtputf8: mail.smtputf8,
                eight_bit: mail.eight_bit,
            }),
            _ => {}
        }
    }
    // Serialising strings and numbers into memory cannot fail; a record without a trailer would still be sound.
    serde_json::to_vec(&orders).unwrap_or_default()
}

/// The orders that a trailer tells, each about the first body of its commit.
pub(crate) fn orders_of(trailer: &[u8]) -> Vec<Op> {
    let Ok(Orders { places, mails }) = serde_json::from_slice(trailer) else { return Vec::new() };
    places.into_iter().map(Place::into_op).chain(mails.into_iter().map(Mail::into_op)).collect()
}

#[derive(Serialize, Deserialize)]
struct Orders<'a> {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    places: Vec<Place<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    mails: Vec<Mail<'a>>,
}

#[derive(Serialize, Deserialize)]
struct Place<'a> {
    account: i64,
    mailbox: Mailbox<'a>,
    received_at: i64,
    flags: u32,
    #[serde(default, skip_serializing_if = "<[String]>::is_empty")]
    keywords: Cow<'a, [String]>,
    prefix: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Mailbox<'a> {
    Name(Cow<'a, str>),
    Id(i64),
}

#[derive(Serialize, Deserialize)]
struct Mail<'a> {
    sender: Cow<'a, str>,
    recipients: Vec<Cow<'a, str>>,
    expires: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    submitted_by: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Not::not")]
    smtputf8: bool,
    #[serde(default, skip_serializing_if = "Not::not")]
    eight_bit: bool,
}

impl Place<'_> {
    fn into_op(self) -> Op {
        Op::Place {
            account: AccountId(self.account),
            mailbox: match self.mailbox {
                Mailbox::Name(name) => MailboxRef::Named(name.into_owned()),
                Mailbox::Id(id) => MailboxRef::Id(MailboxId(id)),
            },
            body: 0,
            prefix: self.prefix.into_owned().into_bytes(),
            received_at: self.received_at,
            flags: Flags { system: self.flags, keywords: self.keywords.into_owned() },
        }
    }
}

impl Mail<'_> {
    fn into_op(self) -> Op {
        let recipient = |address: Cow<'_, str>| QueuedRecipient { address: address.into_owned(), ..Default::default() };
        Op::Enqueue(QueuedMail {
            sender: self.sender.into_owned(),
            recipients: self.recipients.into_iter().map(recipient).collect(),
            expires: self.expires,
            smtputf8: self.smtputf8,
            eight_bit: self.eight_bit,
            submitted_by: self.submitted_by.map(Cow::into_owned),
            ..QueuedMail::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            id in any::<i64>(), head_len in any::<u32>(), body_len in any::<u64>(), body_crc in any::<u32>(),
            trailer_len in any::<u32>(), trailer_crc in any::<u32>(), written_at in any::<i64>(), is_journal: bool,
        ) {
            let kind = if is_journal { Kind::Journal } else { Kind::Message };
            let header =
                Header { kind, body: BodyId(id), head_len, body_len, body_crc, trailer_len, trailer_crc, written_at };
            prop_assert_eq!(Header::parse(&header.encode()), Ok(header));
        }

        #[test]
        fn a_flipped_bit_is_found(at in 0..HEADER_LEN * 8) {
            let header = Header {
                kind: Kind::Message, body: BodyId(7), head_len: 3, body_len: 10, body_crc: 1, trailer_len: 2, trailer_crc: 5, written_at: 9,
            };
            let mut octets = header.encode();
            octets[at / 8] ^= 1 << (at % 8);
            prop_assert!(Header::parse(&octets).is_err());
        }
    }

    #[test]
    fn a_trailer_names_placements_and_envelopes() {
        let place = Op::Place {
            account: crate::AccountId(4),
            mailbox: MailboxRef::Inbox,
            body: 0,
            prefix: b"Return-Path: <>\r\n".to_vec(),
            received_at: 12,
            flags: crate::Flags::default(),
        };
        let mail = Op::Enqueue(crate::QueuedMail {
            sender: "a@b.test".into(),
            recipients: vec![crate::QueuedRecipient { address: "c@d.test".into(), ..Default::default() }],
            ..Default::default()
        });
        let octets = trailer(&[place, mail], 0);
        let [Op::Place { account, mailbox, received_at, .. }, Op::Enqueue(mail)] = &orders_of(&octets)[..] else {
            panic!()
        };
        assert_eq!((account.0, mailbox, *received_at), (4, &MailboxRef::Named("INBOX".into()), 12));
        assert_eq!((mail.sender.as_str(), mail.recipients[0].address.as_str()), ("a@b.test", "c@d.test"));
        let text = String::from_utf8(octets).unwrap();
        assert_eq!(
            text,
            r#"{"places":[{"account":4,"mailbox":"INBOX","received_at":12,"flags":0,"prefix":"Return-Path: <>\r\n"}],"mails":[{"sender":"a@b.test","recipients":["c@d.test"],"expires":0}]}"#
        );
    }
}

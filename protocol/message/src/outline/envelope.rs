//! Envelopes: who wrote to whom, when and about what, as IMAP gives it.
//!
//! RFC 9051 §2.3.4, §7.5.2 (ENVELOPE); RFC 5322 §3.6 (fields), §4.5 (fields that stand there twice).
//!
//! Invariants: nothing is decoded; a field that may be there once counts where it stands first, lists are joined.
//! Not here: `Sent by a resent`: ENVELOPE knows no Resent fields.

use super::Room;
use crate::address::{Entry, Mailbox, parse_address_list};
use crate::header::Field;

/// What a header says, raw.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Envelope {
    /// Date, unfolded. Absent is not the same as empty.
    pub date: Option<Vec<u8>>,
    /// Subject, unfolded.
    pub subject: Option<Vec<u8>>,
    /// From.
    pub from: Vec<Entry>,
    /// Sender, if it says something; see [`Envelope::sender_or_from`].
    pub sender: Vec<Entry>,
    /// Reply-To, if it says something; see [`Envelope::reply_to_or_from`].
    pub reply_to: Vec<Entry>,
    /// To.
    pub to: Vec<Entry>,
    /// Cc.
    pub cc: Vec<Entry>,
    /// Bcc.
    pub bcc: Vec<Entry>,
    /// In-Reply-To, unfolded.
    pub in_reply_to: Option<Vec<u8>>,
    /// Message-ID, unfolded.
    pub message_id: Option<Vec<u8>>,
}

impl Envelope {
    /// RFC 9051 §7.5.2: where Sender is missing or empty, From stands for it.
    pub fn sender_or_from(&self) -> &[Entry] {
        if self.sender.is_empty() { &self.from } else { &self.sender }
    }

    /// RFC 9051 §7.5.2: where Reply-To is missing or empty, From stands for it.
    pub fn reply_to_or_from(&self) -> &[Entry] {
        if self.reply_to.is_empty() { &self.from } else { &self.reply_to }
    }

    /// Takes note of a field.
    pub(super) fn note(&mut self, field: &Field<'_>, room: &mut Room) {
        match field.name.to_ascii_lowercase().as_slice() {
            b"date" => note_once(&mut self.date, field, room),
            b"subject" => note_once(&mut self.subject, field, room),
            b"in-reply-to" => note_once(&mut self.in_reply_to, field, room),
            b"message-id" => note_once(&mut self.message_id, field, room),
            b"from" => note_list(&mut self.from, field, room),
            b"sender" => note_list(&mut self.sender, field, room),
            b"reply-to" => note_list(&mut self.reply_to, field, room),
            b"to" => note_list(&mut self.to, field, room),
            b"cc" => note_list(&mut self.cc, field, room),
            b"bcc" => note_list(&mut self.bcc, field, room),
            _ => {}
        }
    }
}

fn note_once(slot: &mut Option<Vec<u8>>, field: &Field<'_>, room: &mut Room) {
    if slot.is_none() {
        *slot = Some(room.keep(&field.unfolded()));
    }
}

fn note_list(list: &mut Vec<Entry>, field: &Field<'_>, room: &mut Room) {
    for entry in parse_address_list(field.raw).entries {
        if room.left == 0 {
            room.is_cut = true;
            return;
        }
        list.push(match entry {
            Entry::Mailbox(mailbox) => Entry::Mailbox(kept(mailbox, room)),
            Entry::Group { name, members } => Entry::Group {
                name: room.keep(&name),
                members: members.into_iter().map(|member| kept(member, room)).collect(),
            },
        });
    }
}

fn kept(mailbox: Mailbox, room: &mut Room) -> Mailbox {
    // A member of nothing but commas and blanks costs room too.
    room.left = room.left.saturating_sub(8);
    Mailbox {
        name: mailbox.name.map(|name| room.keep(&name)),
        route: mailbox.route.map(|route| room.keep(&route)),
        local: room.keep(&mailbox.local),
        domain: room.keep(&mailbox.domain),
    }
}

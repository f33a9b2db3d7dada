//! Telling a sender what became of his mail: composing the report and finding where it goes.
//!
//! RFC 3464 (the report), RFC 5321 §6.1 (from the null path), RFC 3461 §6.2 (what goes back).
//!
//! Invariants: a report goes from `<>`, so that none is ever sent about it; what goes back is bounded.
//! Not here: what a report looks like (message), whether one is due ([`super::ledger`]).

use super::carrier::Reason;
use crate::house::House;
use directory::Resolution;
use message::address::{Address, Domain};
use message::date::Date;
use message::header::section_len;
use message::header::trace::{write_delivered_to, write_return_path};
use message::report::{Diagnosis, HEADER_MAX, Original, Outcome, Recipient, Report, Server, Status};
use std::net::IpAddr;
use std::sync::Arc;
use store::{
    AccountId, Body, Flags, MailRow, MailboxRef, MessageReader, Op, QueuedMail, QueuedRecipient, RecipientRow, Ret,
};
use tracing::{info, warn};

/// A message up to this size goes back whole, unless its sender wants the header only.
const WHOLE_MAX_BYTES: u64 = 256 << 10;

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Delivery is given up.
    Failed,
    /// Delivery takes longer.
    Delayed,
}

/// A recipient who is to be told of.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Who.
    pub recipient: RecipientRow,
    /// Why.
    pub reason: Reason,
}

/// A report, ready to be committed.
pub struct Committable {
    /// Where it goes.
    pub ops: Vec<Op>,
    /// What it says.
    pub body: Body,
}

/// Composes the report; `None` if it could reach nobody, which is logged.
pub async fn about(house: &Arc<House>, mail: &MailRow, kind: Kind, told: &[Told], now: i64) -> Option<Committable> {
    let Ok(sender) = Address::parse(&mail.sender) else {
        warn!(queued = mail.mail.0, sender = mail.sender, "no report: the sender's address cannot be written");
        return None;
    };
    let original = original(house, mail).await;
    let (text, smtputf8, eight_bit) = compose(house, mail, &sender, kind, told, &original, now)?;
    let ops = destinations(house, &sender, smtputf8, eight_bit, now);
    if ops.is_empty() {
        warn!(queued = mail.mail.0, sender = mail.sender, "no report: its sender is nobody here any more");
        return None;
    }
    let mut draft = house.store.draft();
    if let Err(error) = draft.append(&text) {
        warn!(queued = mail.mail.0, %error, "no report: it could not be kept");
        return None;
    }
    info!(queued = mail.mail.0, sender = mail.sender, about = ?kind, recipients = told.len(), "reported");
    Some(Committable { ops, body: Body { head: Vec::new(), draft } })
}

/// The message itself: all of it, or its beginning.
async fn original(house: &Arc<House>, mail: &MailRow) -> Vec<u8> {
    let (store, id) = (house.store.clone(), mail.mail);
    let wanted = if mail.size <= WHOLE_MAX_BYTES { WHOLE_MAX_BYTES as usize } else { HEADER_MAX };
    let read = tokio::task::spawn_blocking(move || beginning(&store.queue_reader(id).ok()?, wanted).ok()).await;
    // A report without its original is better than none.
    read.ok().flatten().unwrap_or_default()
}

fn beginning(reader: &MessageReader, wanted: usize) -> std::io::Result<Vec<u8>> {
    let size = usize::try_from(reader.size()).unwrap_or(usize::MAX).min(wanted);
    let mut octets = vec![0; size];
    let mut done = 0;
    while done < size {
        match reader.read(done as u64, &mut octets[done..])? {
            0 => break,
            more => done += more,
        }
    }
    octets.truncate(done);
    Ok(octets)
}

fn compose(
    house: &House,
    mail: &MailRow,
    sender: &Address,
    kind: Kind,
    told: &[Told],
    original: &[u8],
    now: i64,
) -> Option<(Vec<u8>, bool, bool)> {
    let (told, addresses) = nameable(mail, told);
    if told.is_empty() {
        return None;
    }
    let hosts: Vec<Option<Domain>> = told.iter().map(|told| host(&told.reason)).collect();
    let recipients: Vec<Recipient<'_>> = told
        .iter()
        .zip(&addresses)
        .zip(&hosts)
        .map(|((told, address), host)| recipient(told, address, host.as_ref(), kind, mail, now))
        .collect();
    let postmaster = Address::new("postmaster", house.host().clone()).ok()?;
    let header = &original[..section_len(original)];
    let is_whole = original.len() as u64 == mail.size && mail.ret != Some(Ret::Headers) && kind == Kind::Failed;
    let original_part = match is_whole {
        true => Original::Whole { header, eight_bit_body: !original.is_ascii() },
        false => Original::Header(header),
    };
    let report = Report {
        reporting: house.host(),
        postmaster: &postmaster,
        to: sender,
        date: Date::utc(now),
        chance: house.chance_u128(),
        arrival: Some(Date::utc(mail.queued_at)),
        envelope_id: mail.envid.as_deref(),
        recipients: &recipients,
        original: original_part,
    };
    let composed = report.compose();
    Some((composed.around(if is_whole { original } else { b"" }), composed.smtputf8, composed.eight_bit))
}

/// The name of the host that said no; an address is not a name.
fn host(reason: &Reason) -> Option<Domain> {
    let name = reason.host.as_deref().filter(|name| name.parse::<IpAddr>().is_err())?;
    Domain::parse(name).ok()
}

/// Those who can be named in a report, and their addresses. An address that is none cannot stand in one.
fn nameable<'a>(mail: &MailRow, told: &'a [Told]) -> (Vec<&'a Told>, Vec<Address>) {
    let address = |told: &'a Told| match Address::parse(&told.recipient.address) {
        Ok(address) => Some((told, address)),
        Err(_) => {
            warn!(queued = mail.mail.0, recipient = told.recipient.address, "not in the report: it is no address");
            None
        }
    };
    told.iter().filter_map(address).unzip()
}

fn recipient<'a>(
    told: &'a Told,
    address: &'a Address,
    host: Option<&'a Domain>,
    kind: Kind,
    mail: &MailRow,
    now: i64,
) -> Recipient<'a> {
    let class = if kind == Kind::Failed { 5 } else { 4 };
    // A delay that ended in giving up keeps its code but becomes permanent.
    let status = Status::new(class, told.reason.status.subject(), told.reason.status.detail());
    Recipient {
        address,
        original: told.recipient.original.as_deref().and_then(|original| original.split_once(';')),
        outcome: match kind {
            Kind::Failed => Outcome::Failed,
            Kind::Delayed => Outcome::Delayed { until: Some(Date::utc(mail.expires)) },
        },
        status,
        step: told.reason.step,
        server: (host.is_some() || told.reason.address.is_some())
            .then_some(Server { name: host, address: told.reason.address }),
        diagnosis: match &told.reason.reply {
            Some(reply) => Diagnosis::Said(reply),
            None => Diagnosis::Found(&told.reason.text),
        },
        last_attempt: Some(Date::utc(now)),
        log_id: None,
    }
}

/// Where a report to this sender goes: into mailboxes of ours, or out again.
fn destinations(house: &House, sender: &Address, smtputf8: bool, eight_bit: bool, now: i64) -> Vec<Op> {
    let (local, remote) = match house.directory().resolve(sender.local(), sender.domain().as_str()) {
        Resolution::Deliver(delivery) => {
            (delivery.local, delivery.remote.iter().map(|target| target.to_string()).collect())
        }
        Resolution::NotOurs => (Vec::new(), vec![sender.to_string()]),
        Resolution::Unknown | Resolution::Disabled | Resolution::Looped(_) => (Vec::new(), Vec::new()),
    };
    let place = |recipient: &directory::Recipient| {
        let mut prefix = Vec::new();
        write_return_path(None, &mut prefix);
        write_delivered_to(sender, &mut prefix);
        let account = AccountId(recipient.account);
        Op::Place { account, mailbox: MailboxRef::Inbox, body: 0, prefix, received_at: now, flags: Flags::default() }
    };
    let mut ops: Vec<Op> = local.iter().map(place).collect();
    if !remote.is_empty() {
        let recipients =
            remote.into_iter().map(|address: String| QueuedRecipient { address, original: None, notify: None });
        ops.push(Op::Enqueue(QueuedMail {
            sender: String::new(),
            recipients: recipients.collect(),
            next_attempt: now,
            expires: house.expires(policy::Kind::Bounce, now),
            smtputf8,
            eight_bit,
            ..QueuedMail::default()
        }));
    }
    ops
}

//! Mail on its way out: what is queued, what is due, and what was said to us.
//!
//! ```text
//! Enqueue → due ─claimed by queue_due→ under way ─QueueDelivered→ gone
//!            ↑                            │└───────QueueFailed───→ gone (and a bounce, in the same commit)
//!            └────────QueueDeferred───────┘
//!           held ←QueueHold─ any ─QueueRelease→ due          any ─QueueDrop→ gone
//! ```
//!
//! Each recipient stands for itself; a mail is gone with its last recipient. A claim lives in memory only: it keeps two
//! couriers from trying the same recipient at once, and a restart forgets it.
//!
//! Invariants: a recipient is claimed at most once at a time; whatever ends an attempt in the index ends the claim.
//! Not here: when to try again, whom to connect to, what a bounce says (server's courier).

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use crate::error::ReadError;
use crate::names::{MailId, RecipientId};

/// How many attempts are remembered for each recipient: five days of growing pauses make about forty.
pub const ATTEMPTS_KEPT: u32 = 64;

/// The longest reason of a failed attempt that is kept, in octets: a reply of a few lines.
pub const REASON_MAX: usize = 2048;

/// A mail to be queued. It stands in the journal as it is here: a field that is added needs a default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedMail {
    /// The reverse-path; empty is the null path of a bounce.
    pub sender: String,
    /// At least one.
    pub recipients: Vec<QueuedRecipient>,
    /// When to try first, Unix seconds.
    pub next_attempt: i64,
    /// When to give up, Unix seconds.
    pub expires: i64,
    /// The mail needs SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// The content has octets above 127 (RFC 6152).
    pub eight_bit: bool,
    /// The envelope's name for itself (RFC 3461 §4.4).
    pub envid: Option<String>,
    /// How much of the message a bounce shall return (RFC 3461 §4.3).
    pub ret: Option<Ret>,
    /// The account that submitted it, where one did.
    pub submitted_by: Option<String>,
}

/// A recipient to be queued.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedRecipient {
    /// The forward-path's mailbox.
    pub address: String,
    /// The address as first given (RFC 3461 §4.2), in its wire form `rfc822;…`.
    pub original: Option<String>,
    /// When the sender wants to hear; `None` is the protocol's default.
    pub notify: Option<Notify>,
}

/// When the sender of a mail wants to hear about it (RFC 3461 §4.1). Nothing set means NEVER.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notify {
    /// On delivery.
    pub success: bool,
    /// On failure.
    pub failure: bool,
    /// On delay.
    pub delay: bool,
}

impl Notify {
    pub(crate) fn to_bits(self) -> i64 {
        i64::from(self.success) | i64::from(self.failure) << 1 | i64::from(self.delay) << 2
    }

    fn from_bits(bits: i64) -> Notify {
        Notify { success: bits & 1 != 0, failure: bits & 2 != 0, delay: bits & 4 != 0 }
    }
}

/// How much of the message a bounce shall return (RFC 3461 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ret {
    /// All of it.
    Full,
    /// Its header section.
    Headers,
}

impl Ret {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Ret::Full => "FULL",
            Ret::Headers => "HDRS",
        }
    }

    fn parse(text: &str) -> Option<Ret> {
        match text {
            "FULL" => Some(Ret::Full),
            "HDRS" => Some(Ret::Headers),
            _ => None,
        }
    }
}

/// Which recipients an order is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueScope {
    /// All of one mail.
    Mail(MailId),
    /// One.
    Recipient(RecipientId),
    /// All that match.
    Matching(QueueFilter),
}

/// Picks recipients in the queue. What is `None` matches all; the default matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueFilter {
    /// The mail's reverse-path, ASCII letters in any case.
    pub sender: Option<String>,
    /// The recipient's address, ASCII letters in any case.
    pub address: Option<String>,
    /// The recipient's domain, ASCII letters in any case.
    pub domain: Option<String>,
    /// The account that submitted it.
    pub submitted_by: Option<String>,
    /// Held or not.
    pub held: Option<bool>,
}

/// A mail in the queue, with all recipients or with those that were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailRow {
    /// Its number.
    pub mail: MailId,
    /// The reverse-path; empty is the null path.
    pub sender: String,
    /// Octets of head and content.
    pub size: u64,
    /// When it was queued, Unix seconds.
    pub queued_at: i64,
    /// When to give up, Unix seconds.
    pub expires: i64,
    /// See [`QueuedMail::smtputf8`].
    pub smtputf8: bool,
    /// See [`QueuedMail::eight_bit`].
    pub eight_bit: bool,
    /// See [`QueuedMail::envid`].
    pub envid: Option<String>,
    /// See [`QueuedMail::ret`].
    pub ret: Option<Ret>,
    /// See [`QueuedMail::submitted_by`].
    pub submitted_by: Option<String>,
    /// In the order they were given.
    pub recipients: Vec<RecipientRow>,
}

/// A recipient in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientRow {
    /// Its number.
    pub recipient: RecipientId,
    /// See [`QueuedRecipient::address`].
    pub address: String,
    /// See [`QueuedRecipient::original`].
    pub original: Option<String>,
    /// See [`QueuedRecipient::notify`].
    pub notify: Option<Notify>,
    /// When it is due, Unix seconds.
    pub next_attempt: i64,
    /// No attempts are made until it is released.
    pub held: bool,
    /// The sender has been told of the delay.
    pub warned: bool,
    /// How many attempts failed so far.
    pub attempts: u32,
    /// The last of them.
    pub last: Option<Attempt>,
    /// Under way at this moment.
    pub claimed: bool,
    /// Every remembered attempt, oldest first; filled by `queue_show` alone.
    pub history: Vec<Attempt>,
}

/// An attempt that failed for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// 1 is the first.
    pub number: u32,
    /// When, Unix seconds.
    pub at: i64,
    /// Whom we spoke to.
    pub host: Option<String>,
    /// What was said, or what went wrong.
    pub reason: String,
}

/// Recipients under way.
#[derive(Debug, Default)]
pub(crate) struct Claims(Mutex<HashSet<RecipientId>>);

impl Claims {
    /// Claims those of `wanted` that are free and says which they were.
    pub(crate) fn claim(&self, wanted: impl IntoIterator<Item = RecipientId>) -> HashSet<RecipientId> {
        let mut claimed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.into_iter().filter(|recipient| claimed.insert(*recipient)).collect()
    }

    pub(crate) fn release(&self, recipients: &[RecipientId]) {
        let mut claimed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for recipient in recipients {
            claimed.remove(recipient);
        }
    }

    fn snapshot(&self) -> HashSet<RecipientId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

const RECIPIENT_COLUMNS: &str = "r.mail, r.id, r.address, r.original, r.notify, r.next_attempt, r.held, r.warned, r.attempts, \
     r.last_at, r.last_host, r.last_reason";

/// What is due at `now`, claimed for the caller: at most `max` recipients, the longest due first, grouped by mail.
pub(crate) fn due(conn: &Connection, claims: &Claims, now: i64, max: usize) -> Result<Vec<MailRow>, ReadError> {
    // A recipient that is under way is still due in the index, so look that much further.
    let limit = max.saturating_add(claims.snapshot().len());
    let sql = format!(
        "SELECT {RECIPIENT_COLUMNS} FROM recipients r WHERE r.held = 0 AND r.next_attempt <= ?1 \
         ORDER BY r.next_attempt, r.id LIMIT ?2"
    );
    let mut select = conn.prepare_cached(&sql)?;
    let rows = select.query_map(params![now, to_sql(limit)], recipient_row)?.collect::<Result<Vec<_>, _>>()?;

    let mut mails: Vec<MailRow> = Vec::new();
    let mut taken = 0;
    for (mail, mut recipient) in rows {
        if taken == max {
            break;
        }
        if claims.claim([recipient.recipient]).is_empty() {
            continue;
        }
        // The rows were read before the claim: an attempt may have ended in between.
        if !still_due(conn, recipient.recipient, now)? {
            claims.release(&[recipient.recipient]);
            continue;
        }
        recipient.claimed = true;
        taken += 1;
        match mails.iter_mut().find(|row| row.mail == mail) {
            Some(row) => row.recipients.push(recipient),
            None => match mail_row(conn, mail)? {
                Some(mut row) => {
                    row.recipients.push(recipient);
                    mails.push(row);
                }
                None => claims.release(&[recipient.recipient]),
            },
        }
    }
    Ok(mails)
}

fn still_due(conn: &Connection, recipient: RecipientId, now: i64) -> Result<bool, ReadError> {
    let mut select =
        conn.prepare_cached("SELECT 1 FROM recipients WHERE id = ?1 AND held = 0 AND next_attempt <= ?2")?;
    Ok(select.exists(params![recipient.0, now])?)
}

/// When the next recipient that is neither held nor under way becomes due.
pub(crate) fn next_due(conn: &Connection, claims: &Claims) -> Result<Option<i64>, ReadError> {
    let claimed = claims.snapshot();
    let mut select = conn
        .prepare_cached("SELECT id, next_attempt FROM recipients WHERE held = 0 ORDER BY next_attempt, id LIMIT ?1")?;
    let mut rows = select.query(params![to_sql(claimed.len() + 1)])?;
    while let Some(row) = rows.next()? {
        if !claimed.contains(&RecipientId(row.get(0)?)) {
            return Ok(Some(row.get(1)?));
        }
    }
    Ok(None)
}

/// Up to `limit` mails with the recipients that match, oldest first.
pub(crate) fn list(
    conn: &Connection,
    claims: &Claims,
    filter: &QueueFilter,
    limit: usize,
) -> Result<Vec<MailRow>, ReadError> {
    let sql = format!(
        "SELECT DISTINCT r.mail FROM recipients r JOIN mails m ON m.id = r.mail WHERE {FILTER} ORDER BY r.mail LIMIT ?6"
    );
    let mut select = conn.prepare_cached(&sql)?;
    let found = select
        .query_map(
            params![filter.sender, filter.address, filter.domain, filter.submitted_by, filter.held, to_sql(limit)],
            |row| row.get(0).map(MailId),
        )?
        .collect::<Result<Vec<_>, _>>()?;
    let mut mails = Vec::with_capacity(found.len());
    for mail in found {
        let Some(mut row) = mail_row(conn, mail)? else { continue };
        row.recipients = recipients(conn, claims, mail, filter)?;
        mails.push(row);
    }
    Ok(mails)
}

/// One mail with everything that is remembered about it.
pub(crate) fn show(conn: &Connection, claims: &Claims, mail: MailId) -> Result<Option<MailRow>, ReadError> {
    let Some(mut row) = mail_row(conn, mail)? else { return Ok(None) };
    row.recipients = recipients(conn, claims, mail, &QueueFilter::default())?;
    for recipient in &mut row.recipients {
        recipient.history = history(conn, recipient.recipient)?;
    }
    Ok(Some(row))
}

/// The condition of a [`QueueFilter`], its fields bound as 1 to 5 in their order; `r` is the recipient, `m` the mail.
pub(crate) const FILTER: &str = "(?1 IS NULL OR m.sender = ?1 COLLATE NOCASE) \
     AND (?2 IS NULL OR r.address = ?2 COLLATE NOCASE) \
     AND (?3 IS NULL OR (length(r.address) > length(?3) \
          AND substr(r.address, -length(?3) - 1) = '@' || ?3 COLLATE NOCASE)) \
     AND (?4 IS NULL OR m.submitted_by = ?4) \
     AND (?5 IS NULL OR r.held = ?5)";

fn recipients(
    conn: &Connection,
    claims: &Claims,
    mail: MailId,
    filter: &QueueFilter,
) -> Result<Vec<RecipientRow>, ReadError> {
    let sql = format!(
        "SELECT {RECIPIENT_COLUMNS} FROM recipients r JOIN mails m ON m.id = r.mail \
         WHERE r.mail = ?6 AND {FILTER} ORDER BY r.id"
    );
    let claimed = claims.snapshot();
    let mut select = conn.prepare_cached(&sql)?;
    let mut rows = select
        .query_map(
            params![filter.sender, filter.address, filter.domain, filter.submitted_by, filter.held, mail.0],
            recipient_row,
        )?
        .map(|row| row.map(|(_, recipient)| recipient))
        .collect::<Result<Vec<_>, _>>()?;
    for row in &mut rows {
        row.claimed = claimed.contains(&row.recipient);
    }
    Ok(rows)
}

fn mail_row(conn: &Connection, mail: MailId) -> Result<Option<MailRow>, ReadError> {
    let mut select = conn.prepare_cached(
        "SELECT m.sender, m.size, m.queued_at, m.expires_at, m.smtputf8, m.eight_bit, m.envid, m.ret, m.submitted_by \
         FROM mails m WHERE m.id = ?1",
    )?;
    let row = select
        .query_row(params![mail.0], |row| {
            Ok(MailRow {
                mail,
                sender: row.get(0)?,
                size: row.get::<_, i64>(1)?.unsigned_abs(),
                queued_at: row.get(2)?,
                expires: row.get(3)?,
                smtputf8: row.get(4)?,
                eight_bit: row.get(5)?,
                envid: row.get(6)?,
                ret: row.get::<_, Option<String>>(7)?.and_then(|ret| Ret::parse(&ret)),
                submitted_by: row.get(8)?,
                recipients: Vec::new(),
            })
        })
        .optional()?;
    Ok(row)
}

fn recipient_row(row: &Row<'_>) -> rusqlite::Result<(MailId, RecipientRow)> {
    let attempts: u32 = row.get(8)?;
    let last = match row.get::<_, Option<i64>>(9)? {
        Some(at) => Some(Attempt {
            number: attempts,
            at,
            host: row.get(10)?,
            reason: row.get::<_, Option<String>>(11)?.unwrap_or_default(),
        }),
        None => None,
    };
    let recipient = RecipientRow {
        recipient: RecipientId(row.get(1)?),
        address: row.get(2)?,
        original: row.get(3)?,
        notify: row.get::<_, Option<i64>>(4)?.map(Notify::from_bits),
        next_attempt: row.get(5)?,
        held: row.get(6)?,
        warned: row.get(7)?,
        attempts,
        last,
        claimed: false,
        history: Vec::new(),
    };
    Ok((MailId(row.get(0)?), recipient))
}

fn history(conn: &Connection, recipient: RecipientId) -> Result<Vec<Attempt>, ReadError> {
    let mut select =
        conn.prepare_cached("SELECT number, at, host, reason FROM attempts WHERE recipient = ?1 ORDER BY number")?;
    let rows = select.query_map(params![recipient.0], |row| {
        Ok(Attempt { number: row.get(0)?, at: row.get(1)?, host: row.get(2)?, reason: row.get(3)? })
    })?;
    Ok(rows.collect::<Result<Vec<_>, _>>()?)
}

fn to_sql(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

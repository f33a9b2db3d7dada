//! The queue's rows: entering mail, noting attempts, letting go.
//!
//! Invariants: a mail has at least one recipient; the last one takes the mail and its hold on the body with it.
//! Not here: what is due and who tries it (queue), when to try again (courier).

use rusqlite::{OptionalExtension, params};

use super::{Done, Index, Trouble};
use crate::error::CommitError;
use crate::feed::Change;
use crate::names::{BodyId, MailId, RecipientId};
use crate::op::Outcome;
use crate::queue::{ATTEMPTS_KEPT, FILTER, QueueFilter, QueueScope, QueuedMail, REASON_MAX};
use crate::writer::Written;

/// What is remembered of an attempt that failed for now.
pub(super) struct Deferral<'a> {
    pub(super) at: i64,
    pub(super) host: Option<&'a str>,
    pub(super) reason: &'a str,
    pub(super) warned: bool,
}

impl Index {
    pub(super) fn enqueue(
        &mut self,
        mail: &QueuedMail,
        written: &Written,
        done: &mut Done,
    ) -> Result<Outcome, Trouble> {
        let id = MailId(self.ledger.mail.take());
        self.conn
            .prepare_cached(
                "INSERT INTO mails (id, body, size, sender, queued_at, expires_at, smtputf8, eight_bit, envid, ret, \
                 submitted_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                id.0,
                written.span.body.0,
                written.span.length as i64,
                mail.sender,
                self.moment,
                mail.expires,
                mail.smtputf8,
                mail.eight_bit,
                mail.envid,
                mail.ret.map(|ret| ret.as_str()),
                mail.submitted_by
            ])?;
        let mut insert = self.conn.prepare_cached(
            "INSERT INTO recipients (id, mail, address, original, notify, next_attempt, held, warned, attempts) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0, 0)",
        )?;
        let mut recipients = Vec::with_capacity(mail.recipients.len());
        for recipient in &mail.recipients {
            let number = RecipientId(self.ledger.recipient.take());
            let notify = recipient.notify.map(|notify| notify.to_bits());
            insert.execute(params![
                number.0,
                id.0,
                recipient.address,
                recipient.original,
                notify,
                mail.next_attempt
            ])?;
            recipients.push(number);
        }
        done.changes.push(Change::QueueChanged);
        Ok(Outcome::Queued { mail: id, recipients })
    }

    /// The recipient leaves the queue, with or without success.
    pub(super) fn dequeue(&mut self, recipient: RecipientId, done: &mut Done) -> Result<Outcome, Trouble> {
        let mail = self
            .conn
            .prepare_cached("SELECT mail FROM recipients WHERE id = ?1")?
            .query_row(params![recipient.0], |row| row.get(0).map(MailId))
            .optional()?
            .ok_or(CommitError::NoSuchRecipient(recipient))?;
        for sql in ["DELETE FROM attempts WHERE recipient = ?1", "DELETE FROM recipients WHERE id = ?1"] {
            self.conn.prepare_cached(sql)?.execute(params![recipient.0])?;
        }
        self.let_go_of(mail, done)?;
        done.released.push(recipient);
        queue_changed(done);
        Ok(Outcome::Done)
    }

    /// Removes a mail that has no recipients left.
    fn let_go_of(&mut self, mail: MailId, done: &mut Done) -> Result<(), Trouble> {
        let body = self
            .conn
            .prepare_cached(
                "DELETE FROM mails WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM recipients WHERE mail = ?1) RETURNING body",
            )?
            .query_row(params![mail.0], |row| row.get(0).map(BodyId))
            .optional()?;
        match body {
            Some(body) => self.release_body(body, 1, done),
            None => Ok(()),
        }
    }

    pub(super) fn defer(
        &mut self,
        recipient: RecipientId,
        next_attempt: i64,
        attempt: &Deferral<'_>,
        done: &mut Done,
    ) -> Result<Outcome, Trouble> {
        let reason = shorten(attempt.reason);
        let number: u32 = self
            .conn
            .prepare_cached(
                "UPDATE recipients SET attempts = attempts + 1, next_attempt = ?2, last_at = ?3, last_host = ?4, \
                 last_reason = ?5, warned = warned OR ?6 WHERE id = ?1 RETURNING attempts",
            )?
            .query_row(params![recipient.0, next_attempt, attempt.at, attempt.host, reason, attempt.warned], |row| {
                row.get(0)
            })
            .optional()?
            .ok_or(CommitError::NoSuchRecipient(recipient))?;
        self.conn
            .prepare_cached("INSERT INTO attempts (recipient, number, at, host, reason) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![recipient.0, number, attempt.at, attempt.host, reason])?;
        self.conn
            .prepare_cached("DELETE FROM attempts WHERE recipient = ?1 AND number <= ?2")?
            .execute(params![recipient.0, i64::from(number) - i64::from(ATTEMPTS_KEPT)])?;
        done.released.push(recipient);
        queue_changed(done);
        Ok(Outcome::Done)
    }

    pub(super) fn hold(&mut self, scope: &QueueScope, held: bool, done: &mut Done) -> Result<Outcome, Trouble> {
        let mut changed = 0;
        for recipient in self.in_scope(scope)? {
            changed += self
                .conn
                .prepare_cached("UPDATE recipients SET held = ?2 WHERE id = ?1 AND held <> ?2")?
                .execute(params![recipient.0, held])?;
        }
        if changed > 0 {
            queue_changed(done);
        }
        Ok(Outcome::Changed(changed))
    }

    pub(super) fn retry_now(&mut self, scope: &QueueScope, now: i64, done: &mut Done) -> Result<Outcome, Trouble> {
        let mut changed = 0;
        for recipient in self.in_scope(scope)? {
            changed += self
                .conn
                .prepare_cached("UPDATE recipients SET next_attempt = ?2 WHERE id = ?1 AND next_attempt > ?2")?
                .execute(params![recipient.0, now])?;
        }
        if changed > 0 {
            queue_changed(done);
        }
        Ok(Outcome::Changed(changed))
    }

    pub(super) fn drop_queued(&mut self, scope: &QueueScope, done: &mut Done) -> Result<Outcome, Trouble> {
        let recipients = self.in_scope(scope)?;
        for recipient in &recipients {
            self.dequeue(*recipient, done)?;
        }
        Ok(Outcome::Changed(recipients.len()))
    }

    fn in_scope(&self, scope: &QueueScope) -> Result<Vec<RecipientId>, Trouble> {
        let (only_mail, only_recipient, filter) = match scope {
            QueueScope::Mail(mail) => (Some(mail.0), None, &QueueFilter::default()),
            QueueScope::Recipient(recipient) => (None, Some(recipient.0), &QueueFilter::default()),
            QueueScope::Matching(filter) => (None, None, filter),
        };
        let sql = format!(
            "SELECT r.id FROM recipients r JOIN mails m ON m.id = r.mail \
             WHERE (?6 IS NULL OR r.mail = ?6) AND (?7 IS NULL OR r.id = ?7) AND {FILTER} ORDER BY r.id"
        );
        let mut select = self.conn.prepare_cached(&sql)?;
        let rows = select.query_map(
            params![
                filter.sender,
                filter.address,
                filter.domain,
                filter.submitted_by,
                filter.held,
                only_mail,
                only_recipient
            ],
            |row| row.get(0).map(RecipientId),
        )?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// One notice for a commit is enough: listeners look at the queue themselves.
fn queue_changed(done: &mut Done) {
    if !done.changes.contains(&Change::QueueChanged) {
        done.changes.push(Change::QueueChanged);
    }
}

/// A reason of at most [`REASON_MAX`] octets.
fn shorten(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(REASON_MAX)]
}

//! What becomes of a mail after an attempt: leave the queue, wait, or go back to its sender.
//!
//! RFC 5321 §4.5.4.1 (retry and give up), §6.1 (a report to the reverse-path, and none for a report); RFC 3461 §4.1 (NOTIFY).
//!
//! Invariants: a recipient leaves the queue in the same commit that places or queues its report; nothing is ever
//! reported to the null path.
//! Not here: the report's words ([`super::report`]), the pauses (policy).

use super::carrier::{Fate, Fates, Reason};
use super::report::{self, Committable, Kind, Told};
use crate::house::House;
use message::report::Status;
use policy::{Kind as MailKind, Next, Schedule};
use std::sync::Arc;
use std::time::Duration;
use store::{Commit, CommitError, MailRow, Op, RecipientId, RecipientRow};
use tracing::error;

/// The status of a mail that was tried for too long (RFC 3463 §3.5, X.4.7).
const EXPIRED: Status = Status::new(5, 4, 7);

/// How long we wait for a store that is too busy or full, time after time. The line to the other server is not held up
/// for longer, and who closes the house does not wait for longer.
const COMMIT_PAUSES: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(15),
];

/// What an attempt leads to.
#[derive(Debug, Default)]
pub struct Plan {
    /// Recipients that are done with.
    pub gone: Vec<Op>,
    /// Of those, who is to be reported as failed.
    pub failed: Vec<Told>,
    /// Recipients that wait on.
    pub waiting: Vec<Op>,
    /// Of those, who is to be reported as late.
    pub late: Vec<Told>,
    /// Recipients that were not tried at all.
    pub untried: Vec<RecipientId>,
}

/// Writes down what each recipient came to, and reports it where it must be reported.
///
/// What cannot be written stays as it was in the queue. If the mail was delivered it stays claimed until the next
/// start, too: better late than twice.
pub async fn settle(house: &Arc<House>, mail: &MailRow, recipients: Vec<RecipientRow>, fates: Fates, now: i64) {
    let settings = house.settings();
    let plan = plan(mail, recipients, fates, &settings.queue.schedule, now, u32::from_le_bytes(crate::house::chance()));
    house.store.unclaim(&plan.untried);
    write(house, mail, plan.gone, Kind::Failed, plan.failed, now).await;
    write(house, mail, plan.waiting, Kind::Delayed, plan.late, now).await;
}

/// One commit: the queue's change and the report about it.
async fn write(house: &Arc<House>, mail: &MailRow, mut ops: Vec<Op>, kind: Kind, mut told: Vec<Told>, now: i64) {
    let mut pauses = COMMIT_PAUSES.into_iter();
    while !ops.is_empty() {
        let report = match told.is_empty() {
            true => None,
            false => report::about(house, mail, kind, &told, now).await,
        };
        let Err(why) = house.store.commit(commit(&ops, report)).await else { return };
        match why {
            // An administrator has dropped it meanwhile; the others are not his concern.
            CommitError::NoSuchRecipient(gone) => {
                ops.retain(|op| recipient(op) != Some(gone));
                told.retain(|told| told.recipient.recipient != gone);
            }
            why if why.is_permanent() && !told.is_empty() => {
                error!(queued = mail.mail.0, error = %why, "no report: it could not be placed");
                told.clear();
            }
            why => match pauses.next().filter(|_| matches!(why, CommitError::Busy | CommitError::Full)) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return unwritten(house, mail, &ops, &why),
            },
        }
    }
}

fn commit(ops: &[Op], report: Option<Committable>) -> Commit {
    let mut commit = Commit::of(ops.to_vec());
    if let Some(report) = report {
        commit.ops.extend(report.ops);
        commit.bodies = vec![report.body];
    }
    commit
}

fn unwritten(house: &House, mail: &MailRow, ops: &[Op], why: &CommitError) {
    error!(queued = mail.mail.0, error = %why, "what became of a mail could not be written down");
    let delivered = |op: &&Op| matches!(op, Op::QueueDelivered { .. });
    let others: Vec<RecipientId> = ops.iter().filter(|op| !delivered(op)).filter_map(recipient).collect();
    house.store.unclaim(&others);
}

fn recipient(op: &Op) -> Option<RecipientId> {
    match op {
        Op::QueueDelivered { recipient } | Op::QueueFailed { recipient } | Op::QueueDeferred { recipient, .. } => {
            Some(*recipient)
        }
        _ => None,
    }
}

/// Decides, without doing.
pub fn plan(
    mail: &MailRow,
    recipients: Vec<RecipientRow>,
    mut fates: Fates,
    schedule: &Schedule,
    now: i64,
    chance: u32,
) -> Plan {
    let mut plan = Plan::default();
    for recipient in recipients {
        let id = recipient.recipient;
        match fates.remove(&id) {
            None => plan.untried.push(id),
            Some(Fate::Delivered { .. }) => plan.gone.push(Op::QueueDelivered { recipient: id }),
            Some(Fate::Failed(reason)) => plan.fail(mail, recipient, reason),
            Some(Fate::Deferred(reason)) => plan.defer(mail, recipient, reason, schedule, now, chance),
        }
    }
    plan
}

impl Plan {
    fn fail(&mut self, mail: &MailRow, recipient: RecipientRow, reason: Reason) {
        self.gone.push(Op::QueueFailed { recipient: recipient.recipient });
        let wanted = recipient.notify.is_none_or(|notify| notify.failure);
        if wanted && kind(mail) == MailKind::Mail {
            self.failed.push(Told { recipient, reason });
        }
    }

    fn defer(
        &mut self,
        mail: &MailRow,
        recipient: RecipientRow,
        reason: Reason,
        schedule: &Schedule,
        now: i64,
        chance: u32,
    ) {
        let kind = kind(mail);
        let next_attempt = match schedule.next_attempt(kind, recipient.attempts + 1, mail.queued_at, now, chance) {
            Next::At(at) if now < mail.expires => at.min(mail.expires),
            _ => return self.fail(mail, recipient, expired(reason)),
        };
        let wanted = recipient.notify.is_none_or(|notify| notify.delay);
        let late = schedule.warns_at(kind, mail.queued_at).is_some_and(|at| now >= at);
        let warn = wanted && late && !recipient.warned;
        self.waiting.push(Op::QueueDeferred {
            recipient: recipient.recipient,
            at: now,
            next_attempt,
            host: reason.host.clone(),
            reason: reason.text.clone(),
            warned: recipient.warned || warn,
        });
        if warn {
            self.late.push(Told { recipient, reason });
        }
    }
}

/// A report has no sender who could be told.
fn kind(mail: &MailRow) -> MailKind {
    if mail.sender.is_empty() { MailKind::Bounce } else { MailKind::Mail }
}

fn expired(last: Reason) -> Reason {
    let text = format!("it was tried for too long; the last time: {}", last.text);
    Reason { status: EXPIRED, text, ..last }
}

//! The outgoing queue.

use super::*;
use crate::{
    ATTEMPTS_KEPT, MailId, MailRow, Notify, Outcome, QueueFilter, QueueScope, REASON_MAX, ReadError, RecipientId, Ret,
};

/// Queues a mail and gives its recipients.
fn queue(store: &Store, addresses: &[&str]) -> (MailId, Vec<RecipientId>) {
    let done = store.commit_blocking(about(store, vec![enqueue(addresses)], b"content")).unwrap();
    match done.outcomes.into_iter().next() {
        Some(Outcome::Queued { mail, recipients }) => (mail, recipients),
        other => panic!("{other:?}"),
    }
}

fn run(store: &Store, op: Op) -> Result<Outcome, CommitError> {
    store.commit_blocking(Commit::of(vec![op])).map(|mut done| done.outcomes.remove(0))
}

fn addresses(mails: &[MailRow]) -> Vec<&str> {
    mails.iter().flat_map(|mail| &mail.recipients).map(|recipient| recipient.address.as_str()).collect()
}

fn deferred(recipient: RecipientId, next_attempt: i64, reason: &str) -> Op {
    Op::QueueDeferred {
        recipient,
        at: NOW,
        next_attempt,
        host: Some("mx.b.test".into()),
        reason: reason.into(),
        warned: false,
    }
}

#[test]
fn what_was_queued_comes_back_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let notify = Notify { success: true, failure: false, delay: true };
    let mail = QueuedMail {
        sender: "alice@crepes.test".into(),
        recipients: vec![
            QueuedRecipient {
                address: "bob@b.test".into(),
                original: Some("rfc822;Bob@b.test".into()),
                notify: Some(notify),
            },
            QueuedRecipient { address: "carol@c.test".into(), original: None, notify: Some(Notify::default()) },
            QueuedRecipient { address: "dave@d.test".into(), ..Default::default() },
        ],
        next_attempt: NOW,
        expires: NOW + 9,
        smtputf8: true,
        eight_bit: true,
        envid: Some("QQ314159".into()),
        ret: Some(Ret::Headers),
        submitted_by: Some("alice".into()),
    };
    let done = store.commit_blocking(about(&store, vec![Op::Enqueue(mail.clone())], b"content")).unwrap();
    drop(store);
    let store = open(dir.path());
    let row = store.queue_show(done.mail().unwrap()).unwrap().unwrap();
    assert_eq!((row.sender, row.expires, row.queued_at), (mail.sender, mail.expires, NOW));
    assert_eq!((row.smtputf8, row.eight_bit, row.envid, row.ret), (true, true, mail.envid, mail.ret));
    assert_eq!((row.submitted_by, row.size), (mail.submitted_by, HEAD.len() as u64 + 7));
    let recipients: Vec<_> = row
        .recipients
        .into_iter()
        .map(|row| QueuedRecipient { address: row.address, original: row.original, notify: row.notify })
        .collect();
    assert_eq!(recipients, mail.recipients);
    let octets = store.queue_reader(done.mail().unwrap()).unwrap().read_whole().unwrap();
    assert_eq!(octets, [HEAD, b"content"].concat());
}

#[test]
fn a_due_recipient_is_given_to_one_courier_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (_, recipients) = queue(&store, &["a@a.test", "b@b.test", "c@c.test"]);
    assert!(store.queue_due(NOW - 1, 10).unwrap().is_empty());
    let first = store.queue_due(NOW, 2).unwrap();
    assert_eq!(addresses(&first), ["a@a.test", "b@b.test"]);
    assert_eq!(first.len(), 1, "grouped by mail");
    assert_eq!(addresses(&store.queue_due(NOW, 10).unwrap()), ["c@c.test"]);
    assert_eq!(store.queue_next_due().unwrap(), None);
    store.unclaim(&recipients[1..2]);
    assert_eq!(store.queue_next_due().unwrap(), Some(NOW));
    assert_eq!(store.claim(&recipients), recipients[1..2]);
    assert_eq!(addresses(&store.queue_due(NOW, 10).unwrap()), Vec::<&str>::new());
}

#[test]
fn claims_are_forgotten_with_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    queue(&store, &["a@a.test"]);
    assert_eq!(store.queue_due(NOW, 10).unwrap().len(), 1);
    drop(store);
    assert_eq!(open(dir.path()).queue_due(NOW, 10).unwrap().len(), 1);
}

#[test]
fn the_last_recipient_takes_the_mail_and_its_octets_along() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (mail, recipients) = queue(&store, &["a@a.test", "b@b.test"]);
    run(&store, Op::QueueDelivered { recipient: recipients[0] }).unwrap();
    assert_eq!(store.queue_show(mail).unwrap().unwrap().recipients.len(), 1);
    run(&store, Op::QueueFailed { recipient: recipients[1] }).unwrap();
    assert_eq!(store.queue_show(mail).unwrap(), None);
    assert!(matches!(store.queue_reader(mail), Err(ReadError::NotFound)));
    assert_eq!(store.check().unwrap().bodies, 0);
    let again = run(&store, Op::QueueDelivered { recipient: recipients[0] });
    assert_eq!(again, Err(CommitError::NoSuchRecipient(recipients[0])));
}

#[test]
fn a_body_stays_while_anybody_needs_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bob = make_account(&store, "bob");
    let done = store.commit_blocking(about(&store, vec![place(bob), enqueue(&["a@a.test"])], b"shared")).unwrap();
    let mail = done.mail().unwrap();
    run(&store, Op::QueueDrop { scope: QueueScope::Mail(mail) }).unwrap();
    assert_eq!(inbox(&store, bob), [(1, as_read(bob, b"shared"))]);
    assert_eq!(store.check().unwrap().bodies, 1);
}

#[test]
fn a_deferral_is_remembered_and_ends_the_claim() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (mail, recipients) = queue(&store, &["a@a.test"]);
    store.queue_due(NOW, 1).unwrap();
    run(&store, deferred(recipients[0], NOW + 60, "451 greylisted")).unwrap();
    assert_eq!(store.queue_next_due().unwrap(), Some(NOW + 60));
    let due = store.queue_due(NOW + 60, 1).unwrap();
    let row = &due[0].recipients[0];
    assert_eq!((row.attempts, row.warned, row.claimed), (1, false, true));
    let last = row.last.clone().unwrap();
    assert_eq!((last.number, last.at, last.host.as_deref()), (1, NOW, Some("mx.b.test")));
    assert_eq!(last.reason, "451 greylisted");
    let Op::QueueDeferred { recipient, at, next_attempt, host, .. } = deferred(recipients[0], NOW + 120, "") else {
        panic!()
    };
    let reason = "é".repeat(REASON_MAX);
    run(&store, Op::QueueDeferred { recipient, at, next_attempt, host, reason, warned: true }).unwrap();
    run(&store, deferred(recipients[0], NOW + 180, "third")).unwrap();
    let row = store.queue_show(mail).unwrap().unwrap().recipients.remove(0);
    assert!(row.warned, "a sender who was warned once is warned");
    assert_eq!(row.history.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(row.history[1].reason, "é".repeat(REASON_MAX / 2));
}

#[test]
fn only_so_many_attempts_are_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (mail, recipients) = queue(&store, &["a@a.test"]);
    let ops = (0..ATTEMPTS_KEPT + 5).map(|n| deferred(recipients[0], NOW, &format!("attempt {n}"))).collect();
    store.commit_blocking(Commit::of(ops)).unwrap();
    let row = store.queue_show(mail).unwrap().unwrap().recipients.remove(0);
    assert_eq!((row.history.len(), row.history[0].number), (ATTEMPTS_KEPT as usize, 6));
    assert_eq!(row.attempts, ATTEMPTS_KEPT + 5);
}

#[test]
fn held_recipients_are_not_due_until_released() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (mail, recipients) = queue(&store, &["a@a.test", "b@b.test"]);
    assert_eq!(run(&store, Op::QueueHold { scope: QueueScope::Recipient(recipients[0]) }), Ok(Outcome::Changed(1)));
    assert_eq!(run(&store, Op::QueueHold { scope: QueueScope::Mail(mail) }), Ok(Outcome::Changed(1)));
    assert_eq!(store.queue_next_due().unwrap(), None);
    assert!(store.queue_due(NOW, 10).unwrap().is_empty());
    let everything = QueueScope::Matching(QueueFilter::default());
    assert_eq!(run(&store, Op::QueueRelease { scope: everything }), Ok(Outcome::Changed(2)));
    assert_eq!(addresses(&store.queue_due(NOW, 10).unwrap()).len(), 2);
}

#[test]
fn retrying_brings_the_next_attempt_forward_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (_, recipients) = queue(&store, &["a@a.test", "b@b.test"]);
    run(&store, deferred(recipients[0], NOW + 1000, "later")).unwrap();
    let scope = QueueScope::Matching(QueueFilter::default());
    assert_eq!(run(&store, Op::QueueRetryNow { scope, now: NOW + 10 }), Ok(Outcome::Changed(1)));
    assert_eq!(store.queue_next_due().unwrap(), Some(NOW));
    assert_eq!(addresses(&store.queue_due(NOW + 10, 10).unwrap()), ["b@b.test", "a@a.test"]);
}

#[test]
fn filters_pick_by_sender_address_domain_submitter_and_hold() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (_, recipients) = queue(&store, &["a@a.test", "b@B.test", "c@sub.a.test"]);
    let other = Op::Enqueue(QueuedMail {
        sender: String::new(),
        recipients: vec![QueuedRecipient { address: "x@a.test".into(), ..Default::default() }],
        submitted_by: Some("alice".into()),
        ..Default::default()
    });
    store.commit_blocking(about(&store, vec![other], b"bounce")).unwrap();
    run(&store, Op::QueueHold { scope: QueueScope::Recipient(recipients[1]) }).unwrap();
    let listed = |filter: QueueFilter| {
        let mails = store.queue_list(&filter, 10).unwrap();
        addresses(&mails).join(" ")
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(listed(QueueFilter::default()), "a@a.test b@B.test c@sub.a.test x@a.test");
    assert_eq!(listed(QueueFilter { domain: some("A.test"), ..Default::default() }), "a@a.test x@a.test");
    assert_eq!(listed(QueueFilter { domain: some("b.test"), ..Default::default() }), "b@B.test");
    assert_eq!(listed(QueueFilter { address: some("A@a.test"), ..Default::default() }), "a@a.test");
    assert_eq!(listed(QueueFilter { sender: some(""), ..Default::default() }), "x@a.test");
    assert_eq!(listed(QueueFilter { submitted_by: some("alice"), ..Default::default() }), "x@a.test");
    assert_eq!(listed(QueueFilter { held: Some(true), ..Default::default() }), "b@B.test");
    assert_eq!(store.queue_list(&QueueFilter::default(), 1).unwrap().len(), 1);
    let drop = Op::QueueDrop { scope: QueueScope::Matching(QueueFilter { held: Some(true), ..Default::default() }) };
    assert_eq!(run(&store, drop), Ok(Outcome::Changed(1)));
    assert_eq!(listed(QueueFilter::default()), "a@a.test c@sub.a.test x@a.test");
}

#[test]
fn a_failure_and_its_bounce_are_one_commit() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let alice = make_account(&store, "alice");
    let (mail, recipients) = queue(&store, &["a@a.test"]);
    let ops = || vec![Op::QueueFailed { recipient: recipients[0] }, place(alice)];
    store.commit_blocking(about(&store, ops(), b"bounce")).unwrap();
    assert_eq!(store.queue_show(mail).unwrap(), None);
    // A second bounce for the same recipient would tell the sender twice.
    let again = store.commit_blocking(about(&store, ops(), b"bounce"));
    assert_eq!(again, Err(CommitError::NoSuchRecipient(recipients[0])));
    assert_eq!(inbox(&store, alice), [(1, as_read(alice, b"bounce"))]);
}

//! What the ledger decides: a pure rule, shown for every fate and every moment.

use super::{DAY, HOUR, MINUTE};
use crate::courier::carrier::{Fate, Fates, Reason};
use crate::courier::ledger::{Plan, plan};
use message::report::Step;
use policy::Schedule;
use proptest::prelude::*;
use std::collections::BTreeSet;
use store::{MailId, MailRow, Notify, Op, RecipientId, RecipientRow};

fn mail(sender: &str) -> MailRow {
    MailRow {
        mail: MailId(1),
        sender: sender.into(),
        size: 100,
        queued_at: 0,
        expires: 5 * DAY,
        smtputf8: false,
        eight_bit: false,
        envid: None,
        ret: None,
        submitted_by: None,
        recipients: Vec::new(),
    }
}

fn recipient(number: i64) -> RecipientRow {
    RecipientRow {
        recipient: RecipientId(number),
        address: format!("u{number}@far.test"),
        original: None,
        notify: None,
        next_attempt: 0,
        held: false,
        warned: false,
        attempts: 0,
        last: None,
        claimed: true,
        history: Vec::new(),
    }
}

fn reason() -> Reason {
    Reason::found((4, 4, 1), Step::Connecting, "nobody is there")
}

fn schedule() -> Schedule {
    Schedule { jitter_percent: 0, ..Schedule::default() }
}

/// The plan for one recipient with this fate.
fn decide(mail: &MailRow, recipient: RecipientRow, fate: Fate, now: i64) -> Plan {
    let fates = Fates::from([(recipient.recipient, fate)]);
    plan(mail, vec![recipient], fates, &schedule(), now, 0)
}

#[test]
fn the_next_attempt_comes_by_the_number_of_those_before() {
    for (attempts, pause) in [(0, 5 * MINUTE), (1, 10 * MINUTE), (5, 2 * HOUR), (30, 4 * HOUR)] {
        let now = 2 * HOUR;
        let to = RecipientRow { attempts, ..recipient(1) };
        let plan = decide(&mail("a@b.test"), to, Fate::Deferred(reason()), now);
        assert!(
            matches!(plan.waiting[..], [Op::QueueDeferred { at, next_attempt, .. }] if (at, next_attempt) == (now, now + pause))
        );
    }
}

#[test]
fn the_last_attempt_is_at_the_end_and_not_behind_it() {
    let end = 5 * DAY;
    let late = decide(&mail("a@b.test"), recipient(1), Fate::Deferred(reason()), end - 1);
    assert!(matches!(late.waiting[..], [Op::QueueDeferred { next_attempt, .. }] if next_attempt == end));
    let over = decide(&mail("a@b.test"), recipient(1), Fate::Deferred(reason()), end);
    assert!(over.waiting.is_empty() && matches!(over.gone[..], [Op::QueueFailed { .. }]));
    assert_eq!(over.failed[0].reason.status.to_string(), "5.4.7");
    assert!(over.failed[0].reason.text.ends_with("the last time: nobody is there"));
}

#[test]
fn a_mail_that_ends_earlier_than_the_schedule_ends_then() {
    let short = MailRow { expires: HOUR, ..mail("a@b.test") };
    let before = decide(&short, RecipientRow { attempts: 5, ..recipient(1) }, Fate::Deferred(reason()), HOUR - 1);
    assert!(matches!(before.waiting[..], [Op::QueueDeferred { next_attempt, .. }] if next_attempt == HOUR));
    let after = decide(&short, recipient(1), Fate::Deferred(reason()), HOUR);
    assert_eq!(after.failed.len(), 1);
}

#[test]
fn who_does_not_want_to_hear_does_not() {
    let never = Some(Notify::default());
    let failed = decide(&mail("a@b.test"), RecipientRow { notify: never, ..recipient(1) }, Fate::Failed(reason()), 0);
    assert!(failed.failed.is_empty() && failed.gone.len() == 1);
    let only_failure = Some(Notify { failure: true, ..Notify::default() });
    let to = RecipientRow { notify: only_failure, ..recipient(1) };
    let late = decide(&mail("a@b.test"), to, Fate::Deferred(reason()), DAY);
    assert!(late.late.is_empty());
    assert!(matches!(late.waiting[..], [Op::QueueDeferred { warned: false, .. }]));
}

fn fates() -> impl Strategy<Value = Option<Fate>> {
    prop_oneof![
        Just(None),
        Just(Some(Fate::Delivered { host: "far.test".into(), reply: "250 ok".into() })),
        Just(Some(Fate::Deferred(reason()))),
        Just(Some(Fate::Failed(reason()))),
    ]
}

fn notifies() -> impl Strategy<Value = Option<Notify>> {
    proptest::option::of(any::<(bool, bool, bool)>().prop_map(|(success, failure, delay)| Notify {
        success,
        failure,
        delay,
    }))
}

fn number(op: &Op) -> RecipientId {
    match op {
        Op::QueueDelivered { recipient } | Op::QueueFailed { recipient } | Op::QueueDeferred { recipient, .. } => {
            *recipient
        }
        other => panic!("{other:?} settles nobody"),
    }
}

proptest! {
    #[test]
    fn everybody_ends_in_one_place_and_nobody_is_told_of_a_report(
        is_report: bool,
        people in proptest::collection::vec((fates(), notifies(), any::<bool>(), 0u32..50), 0..12),
        now in -DAY..7 * DAY,
        chance: u32,
    ) {
        let mail = mail(if is_report { "" } else { "a@b.test" });
        let mut recipients = Vec::new();
        let mut came_to = Fates::new();
        for (at, (fate, notify, warned, attempts)) in people.iter().enumerate() {
            let to = RecipientRow { notify: *notify, warned: *warned, attempts: *attempts, ..recipient(at as i64) };
            came_to.extend(fate.clone().map(|fate| (to.recipient, fate)));
            recipients.push(to);
        }
        let everybody: Vec<RecipientId> = recipients.iter().map(|to| to.recipient).collect();
        let plan = plan(&mail, recipients.clone(), came_to.clone(), &schedule(), now, chance);

        let gone: Vec<RecipientId> = plan.gone.iter().map(number).collect();
        let waiting: Vec<RecipientId> = plan.waiting.iter().map(number).collect();
        let mut ends = [&gone[..], &waiting, &plan.untried].concat();
        ends.sort();
        prop_assert_eq!(ends, everybody);

        for to in &recipients {
            let is_in = |list: &[RecipientId]| list.contains(&to.recipient);
            match came_to.get(&to.recipient) {
                None => prop_assert!(is_in(&plan.untried)),
                Some(Fate::Delivered { .. } | Fate::Failed(_)) => prop_assert!(is_in(&gone)),
                Some(Fate::Deferred(_)) => prop_assert!(is_in(&waiting) == (now < mail.expires && (!is_report || now < 2 * DAY))),
            }
        }
        for op in &plan.waiting {
            let Op::QueueDeferred { recipient, next_attempt, warned, .. } = op else { panic!("{op:?} does not wait") };
            prop_assert!(*next_attempt > now && *next_attempt <= mail.expires);
            let told = plan.late.iter().any(|told| told.recipient.recipient == *recipient);
            let before = recipients.iter().any(|to| to.recipient == *recipient && to.warned);
            prop_assert!(*warned == (told || before), "who is told is told once");
            prop_assert!(!(told && before));
        }
        if is_report {
            prop_assert!(plan.failed.is_empty() && plan.late.is_empty());
        } else {
            let failed: BTreeSet<RecipientId> = plan.failed.iter().map(|told| told.recipient.recipient).collect();
            let refused = plan.gone.iter().filter(|op| matches!(op, Op::QueueFailed { .. })).map(number);
            let silent = |id: &RecipientId| recipients.iter().any(|to| to.recipient == *id && to.notify.is_some_and(|notify| !notify.failure));
            prop_assert_eq!(failed, refused.filter(|id| !silent(id)).collect::<BTreeSet<_>>());
        }
    }
}

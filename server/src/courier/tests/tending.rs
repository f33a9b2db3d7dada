//! What administrators and the configuration change, and how much is under way at once.

use super::peers::{Act, Mood, WELL};
use super::{ALICE, DAY, HOUR, MINUTE, Stage, fields, own_clock};
use crate::courier::carrier::{Carrier, Lane, Package, Settle, Stopped};
use crate::courier::desk::Desk;
use crate::courier::{CLAIMED_MAX, Courier, route};
use crate::settings::{Route, RouteTls};
use net::Why;
use smtp::client::{Answer, Ask};
use std::sync::{Arc, Mutex};
use store::{Commit, Op, QueueFilter, QueueScope};
use tokio::sync::watch;

const FAR: &str = "bob@far.test";
const EVERYTHING: fn() -> QueueScope = || QueueScope::Matching(QueueFilter::default());

async fn order(stage: &Stage, op: Op) -> usize {
    stage.house.store.commit(Commit::of(vec![op])).await.expect("a commit").changed()
}

/// Sends what is due and waits until it stands at the gate.
async fn begin(stage: &Stage) {
    stage.courier.carrier.gate.send_replace(false);
    stage.courier.round(stage.clock.now()).await.expect("the queue");
}

async fn go_on(stage: &Stage) {
    stage.courier.carrier.gate.send_replace(true);
    stage.courier.idle().await;
}

#[tokio::test]
async fn what_is_held_waits_until_it_is_released() {
    let stage = Stage::new(own_clock!()).await;
    stage.world().script("far.test", &[WELL]);
    stage.send(ALICE, &[FAR], "hello").await;
    assert_eq!(order(&stage, Op::QueueHold { scope: EVERYTHING() }).await, 1);
    stage.until(6 * DAY).await;
    assert_eq!((stage.visits("far.test"), stage.queue().len()), (vec![], 1));
    assert_eq!(order(&stage, Op::QueueRelease { scope: EVERYTHING() }).await, 1);
    stage.round().await;
    assert_eq!((stage.copies(FAR, "hello"), stage.queue()), (1, vec![]));
}

#[tokio::test]
async fn a_retry_does_not_wait_for_its_time() {
    let stage = Stage::new(own_clock!()).await;
    stage.world().script("far.test", &[Mood::Down, WELL]);
    stage.send(ALICE, &[FAR], "hello").await;
    stage.round().await;
    stage.clock.advance(MINUTE);
    stage.round().await;
    assert_eq!(stage.visits("far.test"), [0], "it is not yet time");
    let now = stage.clock.now();
    assert_eq!(order(&stage, Op::QueueRetryNow { scope: EVERYTHING(), now }).await, 1);
    stage.round().await;
    assert_eq!((stage.visits("far.test"), stage.queue()), (vec![0, MINUTE], vec![]));
}

#[tokio::test]
async fn what_is_dropped_is_gone_without_a_word() {
    let stage = Stage::new(own_clock!()).await;
    stage.send(ALICE, &[FAR], "hello").await;
    stage.round().await;
    assert_eq!(order(&stage, Op::QueueDrop { scope: EVERYTHING() }).await, 1);
    stage.until(6 * DAY).await;
    assert_eq!((stage.visits("far.test"), stage.queue(), stage.inbox(ALICE)), (vec![0], vec![], vec![]));
}

#[tokio::test]
async fn who_is_dropped_under_way_does_not_undo_what_became_of_the_others() {
    let stage = Stage::new(own_clock!()).await;
    stage.world().script("far.test", &[Mood::Up(&[("RCPT TO:<no@", Act::Says("550 5.1.1 nobody"))])]);
    stage.send(ALICE, &["one@far.test", "two@far.test", "no@far.test"], "hello").await;
    stage.world().stop_at = Some(("far.test", "DATA"));
    stage.courier.round(stage.clock.now()).await.expect("the queue");
    stage.courier.carrier.until(|world| !world.lines("far.test", "DATA").is_empty()).await;
    let scope = QueueScope::Matching(QueueFilter { address: Some("two@far.test".into()), ..QueueFilter::default() });
    assert_eq!(order(&stage, Op::QueueDrop { scope }).await, 1);
    go_on(&stage).await;
    stage.until(DAY).await;
    assert_eq!((stage.copies("one@far.test", "hello"), stage.visits("far.test")), (1, vec![0]));
    assert_eq!(stage.queue(), []);
    let inbox = stage.inbox(ALICE);
    assert_eq!((inbox.len(), fields(&inbox[0], "Final-Recipient")), (1, vec!["rfc822; no@far.test"]));
}

#[tokio::test]
async fn who_is_held_or_dropped_while_waiting_for_a_connection_is_not_sent_to() {
    let stage = Stage::set(own_clock!(), |settings| settings.queue.connections_per_host_max = 1).await;
    stage.world().script("far.test", &[WELL]);
    for recipient in ["one@far.test", "two@far.test", "three@far.test", "four@far.test"] {
        stage.send(ALICE, &[recipient], "hello").await;
    }
    begin(&stage).await;
    let named =
        |address: &str| QueueScope::Matching(QueueFilter { address: Some(address.into()), ..QueueFilter::default() });
    assert_eq!(order(&stage, Op::QueueDrop { scope: named("two@far.test") }).await, 1);
    assert_eq!(order(&stage, Op::QueueHold { scope: named("three@far.test") }).await, 1);
    stage.clock.advance(MINUTE);
    go_on(&stage).await;
    stage.until(DAY).await;
    let recipients: Vec<String> = stage.taken().iter().map(|taken| taken.recipient.clone()).collect();
    assert_eq!(recipients, ["one@far.test", "four@far.test"]);
    let queue = stage.queue();
    assert_eq!((queue.len(), queue[0].recipients[0].held, queue[0].recipients[0].attempts), (1, true, 0));
}

#[tokio::test]
async fn nobody_is_under_way_twice() {
    let stage = Stage::new(own_clock!()).await;
    stage.world().script("far.test", &[WELL]);
    for number in 0..20 {
        stage.send(ALICE, &[&format!("u{number}@far.test")], "hello").await;
    }
    begin(&stage).await;
    for _ in 0..5 {
        // The servers would notice.
        stage.courier.round(stage.clock.now()).await.expect("the queue");
        stage.clock.advance(HOUR);
    }
    go_on(&stage).await;
    stage.round().await;
    assert!((0..20).all(|number| stage.copies(&format!("u{number}@far.test"), "hello") == 1));
    assert_eq!(stage.queue(), []);
}

#[tokio::test]
async fn recipients_of_one_host_share_a_transaction() {
    let stage = Stage::new(own_clock!()).await;
    for host in ["far.test", "near.test"] {
        stage.world().script(host, &[WELL]);
    }
    stage.send(ALICE, &["a@far.test", "b@NEAR.test", "c@Far.Test", "d@far.test"], "hello").await;
    stage.round().await;
    assert_eq!(stage.heard("far.test", "MAIL").len(), 1);
    assert_eq!(stage.heard("far.test", "RCPT").len(), 3);
    assert_eq!(stage.heard("near.test", "RCPT"), ["RCPT TO:<b@NEAR.test>"]);
}

#[tokio::test]
async fn a_hundred_recipients_are_enough_for_one_transaction() {
    let stage = Stage::new(own_clock!()).await;
    stage.world().script("far.test", &[WELL]);
    let recipients: Vec<String> = (0..150).map(|number| format!("u{number}@far.test")).collect();
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    stage.send(ALICE, &recipients, "hello").await;
    stage.round().await;
    assert_eq!((stage.visits("far.test").len(), stage.heard("far.test", "MAIL").len()), (1, 2));
    assert_eq!((stage.taken().len(), stage.queue()), (150, vec![]));
}

#[tokio::test]
async fn mails_to_one_host_share_connections() {
    let stage = Stage::set(own_clock!(), |settings| settings.queue.connections_per_host_max = 2).await;
    stage.world().script("far.test", &[WELL]);
    for _ in 0..30 {
        stage.send(ALICE, &[FAR], "hello").await;
    }
    stage.round().await;
    assert_eq!(stage.copies(FAR, "hello"), 30);
    assert!(stage.visits("far.test").len() <= 2 && stage.busiest() <= 2);
}

#[tokio::test]
async fn a_connection_has_an_end() {
    let stage = Stage::set(own_clock!(), |settings| settings.queue.connections_per_host_max = 1).await;
    stage.world().script("far.test", &[WELL]);
    for _ in 0..101 {
        stage.send(ALICE, &[FAR], "hello").await;
    }
    stage.round().await;
    assert_eq!((stage.copies(FAR, "hello"), stage.visits("far.test").len()), (101, 2));
}

#[tokio::test]
async fn more_than_can_be_under_way_at_once_goes_in_turns() {
    let stage = Stage::new(own_clock!()).await;
    stage.world().script("far.test", &[WELL]);
    let recipients: Vec<String> = (0..CLAIMED_MAX + 50).map(|number| format!("u{number}@far.test")).collect();
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    stage.send(ALICE, &recipients, "hello").await;
    assert_eq!(stage.courier.round(stage.clock.now()).await.expect("the queue"), Some(stage.clock.now()));
    stage.courier.idle().await;
    assert_eq!(stage.taken().len(), CLAIMED_MAX);
    stage.round().await;
    assert_eq!((stage.taken().len(), stage.queue()), (CLAIMED_MAX + 50, vec![]));
}

#[tokio::test]
async fn connections_are_bounded_over_all_hosts_and_everybody_s_turn_comes() {
    let stage = Stage::set(own_clock!(), |settings| settings.queue.connections_max = 3).await;
    for host in 0..20 {
        stage.world().script(&format!("h{host}.test"), &[WELL]);
        for _ in 0..3 {
            stage.send(ALICE, &[&format!("bob@h{host}.test")], "hello").await;
        }
    }
    stage.courier.round(stage.clock.now()).await.expect("the queue");
    stage.courier.idle().await;
    assert_eq!(stage.busiest(), 3);
    assert_eq!((stage.taken().len(), stage.queue()), (60, vec![]));
}

fn route(domain: &str) -> Route {
    let (domain, host) = (domain.to_string(), "smart.test".to_string());
    Route { domain, host, port: 25, tls: RouteTls::None, login: None }
}

#[tokio::test]
async fn configured_routes_come_before_dns() {
    let routes = vec![route("near.test"), route("*")];
    let stage = Stage::set(own_clock!(), |settings| settings.routes = routes).await;
    // The peers of this stage are called by the route.
    for host in ["near.test", "*"] {
        stage.world().script(host, &[WELL]);
    }
    stage.send(ALICE, &["a@Near.test", "b@far.test", "c@away.test", "d@[192.0.2.7]"], "hello").await;
    stage.round().await;
    assert_eq!(stage.heard("near.test", "RCPT"), ["RCPT TO:<a@Near.test>"]);
    assert_eq!(stage.heard("*", "MAIL").len(), 1, "one transaction for everybody behind the smarthost");
    assert_eq!(stage.heard("*", "RCPT").len(), 3);
}

/// A carrier whose house is closing.
struct Closing;

impl Carrier for Closing {
    async fn carry<S: Settle>(&self, _lane: &Lane, _settle: &S) -> Result<(), Stopped> {
        Err(Stopped::Leaving)
    }
}

#[tokio::test]
async fn a_closing_house_leaves_the_queue_as_it_was() {
    let stage = Stage::new(own_clock!()).await;
    stage.send(ALICE, &[FAR, "bob@near.test"], "hello").await;
    let courier = Courier::new(Arc::clone(&stage.house), Closing);
    courier.round(stage.clock.now()).await.expect("the queue");
    courier.idle().await;
    let queue = stage.queue();
    assert!(
        queue[0].recipients.iter().all(|to| to.attempts == 0 && !to.claimed && to.next_attempt == stage.clock.now())
    );
}

#[tokio::test]
async fn closing_waits_for_what_is_under_way() {
    let stage = Stage::new(own_clock!()).await;
    stage.world().script("far.test", &[WELL]);
    stage.send(ALICE, &[FAR], "hello").await;
    stage.courier.carrier.gate.send_replace(false);
    let (leave, leaving) = watch::channel(false);
    let running = tokio::spawn(Arc::clone(&stage.courier).run(leaving));
    stage.courier.carrier.until(|world| !world.lines("far.test", "EHLO").is_empty()).await;
    leave.send_replace(true);
    tokio::task::yield_now().await;
    assert!(!running.is_finished());
    stage.courier.carrier.gate.send_replace(true);
    running.await.expect("no panic");
    assert_eq!((stage.copies(FAR, "hello"), stage.queue()), (1, vec![]));
}

#[tokio::test]
async fn a_mail_that_closing_cuts_short_goes_back_into_its_lane() {
    let stage = Stage::new(own_clock!()).await;
    stage.send(ALICE, &[FAR], "hello").await;
    let mut mail = stage.house.store.queue_due(stage.clock.now(), 1).expect("the queue").remove(0);
    let recipients = std::mem::take(&mut mail.recipients);
    let package = Package { mail: Arc::new(mail), recipients, claimed_at: stage.clock.now(), spared: false };
    let lane = Lane::new(route::of(FAR, &[]));
    lane.put(package);
    let mut desk = Desk::new(&stage.house, &lane, &*stage.courier, "far.test", [192, 0, 2, 1].into());
    let answer = net::Desk::answer(&mut desk, Ask::Next).await;
    assert!(matches!(answer, Answer::Mail(_)) && lane.is_empty());
    desk.conclude(&Why::Dropped).await.expect("nothing was missed");
    assert_eq!(lane.len(), 1);
}

/// A carrier that is wrong.
struct Faulty(Mutex<usize>);

impl Carrier for Faulty {
    async fn carry<S: Settle>(&self, lane: &Lane, settle: &S) -> Result<(), Stopped> {
        while let Some(package) = lane.take() {
            let count = {
                let mut count = self.0.lock().expect("not poisoned");
                *count += 1;
                *count
            };
            assert!(count != 2, "a fault, as the test wants it");
            let done = crate::courier::carrier::Fate::Delivered { host: "far.test".into(), reply: "250 ok".into() };
            let fates = package.share(&done);
            settle.settle(package, fates).await;
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_fault_of_ours_stops_neither_the_others_nor_the_house() {
    let stage = Stage::set(own_clock!(), |settings| settings.queue.connections_per_host_max = 1).await;
    for number in 0..3 {
        stage.send(ALICE, &[&format!("u{number}@far.test")], "hello").await;
    }
    stage.send(ALICE, &["bob@near.test"], "hello").await;
    let courier = Courier::new(Arc::clone(&stage.house), Faulty(Mutex::new(0)));
    courier.round(stage.clock.now()).await.expect("the queue");
    courier.until(|courier| courier.yard().workers() == 0).await;
    let queue = stage.queue();
    assert!(!queue.is_empty(), "nothing is lost");
    let claimed = queue.iter().flat_map(|mail| &mail.recipients).filter(|to| to.claimed).count();
    assert_eq!(claimed, 1, "the mail that was under way waits for the next start");
}

#[tokio::test]
async fn it_goes_by_itself_when_the_queue_changes() {
    let stage = Stage::new(own_clock!()).await;
    stage.world().script("far.test", &[Mood::Down, WELL]);
    let (leave, leaving) = watch::channel(false);
    let running = tokio::spawn(Arc::clone(&stage.courier).run(leaving));
    let mut changes = stage.house.store.changes();
    stage.send(ALICE, &[FAR], "hello").await;
    while stage.queue()[0].recipients[0].attempts == 0 {
        changes.recv().await.expect("news of the queue");
    }
    let now = stage.clock.now();
    assert_eq!(order(&stage, Op::QueueRetryNow { scope: EVERYTHING(), now }).await, 1);
    while !stage.queue().is_empty() {
        changes.recv().await.expect("news of the queue");
    }
    leave.send_replace(true);
    running.await.expect("no panic");
    assert_eq!(stage.copies(FAR, "hello"), 1);
}

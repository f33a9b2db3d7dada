//! Nothing is lost and little comes twice, whatever other servers do and whenever we stop.

use super::peers::{Act, Mood, WELL, World};
use super::{ALICE, DAY, Stage, fields, own_clock, settings};
use crate::courier::tests::clock::{Clock, START};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

const FAR: &str = "bob@far.test";

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A house that is closed in the middle of whatever it does, and opened again.
struct Restarting {
    clock: Clock,
    data: Arc<TempDir>,
    world: Arc<Mutex<World>>,
}

impl Restarting {
    fn new(clock: Clock) -> Self {
        clock.set(START);
        Restarting { clock, data: Arc::new(tempfile::tempdir().expect("a directory")), world: Arc::default() }
    }

    /// Opens the house, does `work`, and stops without waiting for anything.
    fn open<T>(&self, work: impl AsyncFnOnce(&Stage) -> T) -> T {
        let runtime = runtime();
        runtime.block_on(async {
            let settings = settings(self.data.path());
            let stage = Stage::open(self.clock, Arc::clone(&self.data), settings, Arc::clone(&self.world)).await;
            work(&stage).await
        })
    }

    /// Sends what is due until the fuse blows after so many questions.
    fn stop_after(&self, questions: usize) {
        self.open(async |stage| {
            stage.world().begin_again(Some(questions));
            tokio::select! {
                biased;
                () = stage.courier.carrier.until(|world| world.fuse == Some(0)) => {}
                () = stage.round() => {}
            }
        });
        self.world.lock().expect("no panic in the world").begin_again(None);
    }
}

#[test]
fn a_stop_at_any_question_loses_nothing_and_doubles_only_what_nobody_can_know() {
    // Next, content, report, next: and in each place, the store is closed and opened.
    for questions in 0..8 {
        let house = Restarting::new(own_clock!());
        house.world.lock().expect("no panic").script("far.test", &[WELL]);
        house.open(async |stage| {
            stage.send(ALICE, &[FAR], "one").await;
            stage.send(ALICE, &[FAR, "carol@far.test"], "two").await;
        });
        house.stop_after(questions);
        house.open(async |stage| {
            stage.until(DAY).await;
            assert_eq!(stage.queue(), [], "after {questions}");
            assert_eq!(stage.inbox(ALICE), Vec::<String>::new(), "after {questions}");
        });
        let world = house.world.lock().expect("no panic");
        for (recipient, text) in [(FAR, "one"), (FAR, "two"), ("carol@far.test", "two")] {
            let copies = world.count(recipient, text);
            assert!((1..=2).contains(&copies), "{copies} of {text} after {questions}");
        }
        // One connection carries one mail at a time: only that one can be in doubt.
        let doubled = ["one", "two"].into_iter().filter(|text| world.count(FAR, text) > 1).count();
        assert!(doubled <= 2, "after {questions}");
    }
}

#[test]
fn what_was_told_before_a_stop_is_not_told_again() {
    let house = Restarting::new(own_clock!());
    house.open(async |stage| {
        stage.send(ALICE, &[FAR], "hello").await;
        stage.until(DAY).await;
        assert_eq!(stage.inbox(ALICE).len(), 1, "the warning");
    });
    house.open(async |stage| {
        let queue = stage.queue();
        assert!(queue[0].recipients[0].attempts > 5, "attempts are remembered");
        stage.until(6 * DAY).await;
        let actions: Vec<String> =
            stage.inbox(ALICE).iter().map(|report| fields(report, "Action")[0].to_string()).collect();
        assert_eq!(actions, ["delayed", "failed"]);
    });
}

/// What a server may do at one visit.
const MOODS: &[Mood] = &[
    WELL,
    Mood::Down,
    Mood::Up(&[("", Act::Says("421 too busy"))]),
    Mood::Up(&[("", Act::Hangs)]),
    Mood::Up(&[("MAIL", Act::Says("451 later"))]),
    Mood::Up(&[("MAIL", Act::Drops)]),
    Mood::Up(&[("RCPT TO:<a@", Act::Says("451 grey"))]),
    Mood::Up(&[("RCPT TO:<b@", Act::Says("550 nobody"))]),
    Mood::Up(&[("RCPT", Act::Says("452 too many"))]),
    Mood::Up(&[("DATA", Act::Drops)]),
    Mood::Up(&[(".", Act::Says("450 not now"))]),
    Mood::Up(&[(".", Act::Drops)]),
    Mood::Up(&[(".", Act::Says("554 no"))]),
    // From here on, nobody can know whether it was taken.
    Mood::Up(&[(".", Act::TakesAndDrops)]),
];
const SURE: usize = 13;
const HOSTS: [&str; 2] = ["far.test", "near.test"];
const NAMES: [&str; 3] = ["a", "b", "c"];

/// A mail to some of six people.
#[derive(Debug, Clone)]
struct Letter {
    is_report: bool,
    to: Vec<String>,
}

fn letters() -> impl Strategy<Value = Vec<Letter>> {
    let people =
        HOSTS.iter().flat_map(|host| NAMES.iter().map(move |name| format!("{name}@{host}"))).collect::<Vec<_>>();
    let count = people.len();
    let letter = (prop::bool::weighted(0.2), prop::sample::subsequence(people, 1..=count));
    proptest::collection::vec(letter.prop_map(|(is_report, to)| Letter { is_report, to }), 1..5)
}

fn scripts() -> impl Strategy<Value = Vec<Vec<usize>>> {
    proptest::collection::vec(proptest::collection::vec(0..MOODS.len(), 1..6), HOSTS.len())
}

/// Sends these letters to servers that do as they are scripted, and stops after so many questions each.
fn everybody_knows(
    house: &Restarting,
    letters: &[Letter],
    scripts: &[Vec<usize>],
    stops: &[usize],
) -> Result<(), TestCaseError> {
    for (host, script) in HOSTS.iter().zip(scripts) {
        let moods: Vec<Mood> = script.iter().map(|mood| MOODS[*mood]).collect();
        house.world.lock().expect("no panic").script(host, &moods);
    }
    house.open(async |stage| {
        for (number, letter) in letters.iter().enumerate() {
            let to: Vec<&str> = letter.to.iter().map(String::as_str).collect();
            stage.send(if letter.is_report { "" } else { ALICE }, &to, &format!("letter {number}.")).await;
        }
    });
    stops.iter().for_each(|questions| house.stop_after(*questions));
    let reports = house.open(async |stage| {
        stage.until(6 * DAY).await;
        assert_eq!(stage.queue(), [], "everything ends");
        stage.inbox(ALICE)
    });

    // Who was told of whom, in which letter.
    let mut told: BTreeMap<(usize, String), usize> = BTreeMap::new();
    for report in reports.iter().filter(|report| report.contains("\nAction: failed")) {
        let number = (0..letters.len()).find(|number| report.contains(&format!("\r\nletter {number}.")));
        for recipient in fields(report, "Final-Recipient") {
            let recipient = recipient.strip_prefix("rfc822; ").expect("an address").to_string();
            *told.entry((number.expect("the letter comes back"), recipient)).or_default() += 1;
        }
    }
    let is_sure = stops.is_empty() && scripts.iter().flatten().all(|mood| *mood < SURE);
    let world = house.world.lock().expect("no panic");
    for (number, letter) in letters.iter().enumerate() {
        for to in &letter.to {
            let copies = world.count(to, &format!("letter {number}."));
            let reports = told.remove(&(number, to.clone())).unwrap_or(0);
            prop_assert!(reports <= 1, "{} of letter {} is reported {} times", to, number, reports);
            prop_assert!(!letter.is_report || reports == 0, "nobody is told of a report");
            prop_assert!(letter.is_report || copies + reports > 0, "letter {} to {} is lost", number, to);
            prop_assert!(
                !is_sure || copies + reports <= 1,
                "letter {} to {}: {} copies, {} reports",
                number,
                to,
                copies,
                reports
            );
        }
    }
    prop_assert!(told.is_empty(), "nobody is told of what he did not send: {told:?}");
    Ok(())
}

proptest! {
    // Both take long, so that they are two: at the same time.
    #![proptest_config(ProptestConfig { cases: 20, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_recipient_has_the_mail_or_the_sender_knows(letters in letters(), scripts in scripts()) {
        everybody_knows(&Restarting::new(own_clock!()), &letters, &scripts, &[])?;
    }

    #[test]
    fn every_recipient_has_the_mail_or_the_sender_knows_whenever_we_stop(
        letters in letters(),
        scripts in scripts(),
        stops in proptest::collection::vec(0usize..12, 1..3),
    ) {
        everybody_knows(&Restarting::new(own_clock!()), &letters, &scripts, &stops)?;
    }
}

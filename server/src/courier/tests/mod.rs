//! The courier under a clock that tests set: no sockets, no sleep.
//!
//! Read in this order: this page is the stage, [`peers`] the other servers; [`retrying`] shows what becomes of a mail,
//! [`tending`] what an administrator and a configuration change, [`surviving`] that nothing is lost, [`reaching`] how
//! hosts are tried over real sockets. [`deciding`] and [`routing`] show the pure rules.

mod clock;
mod deciding;
mod peers;
mod reaching;
mod retrying;
mod routing;
mod surviving;
mod tending;

use super::Courier;
use crate::dev;
use crate::house::House;
use crate::settings::{Person, Settings};
use clock::{Clock, START};
use peers::{Peers, Taken, World};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use store::{AccountId, Commit, MailId, MailRow, MessageReader, Op, QueueFilter, QueuedMail, QueuedRecipient};
use tempfile::TempDir;

/// A clock of this place in the source, and of nobody else.
macro_rules! own_clock {
    () => {{
        static AT: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(super::clock::START);
        fn read() -> i64 {
            AT.load(std::sync::atomic::Ordering::SeqCst)
        }
        super::clock::Clock { at: &AT, read }
    }};
}
use own_clock;

const ALICE: &str = "alice@crepes.test";
const PEOPLE: &[Person] = &[Person { address: ALICE, password: "pickles", sentence: "Alice, who writes", files: &[] }];
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn settings(data: &Path) -> Settings {
    let mut settings = Settings {
        host_name: "mail.crepes.test".into(),
        people: PEOPLE,
        directory: crate::settings::DirectorySettings::default(),
        ..dev::settings(data, [127, 0, 0, 1].into(), None)
    };
    // Pauses to the second.
    settings.queue.schedule.jitter_percent = 0;
    settings
}

/// A house with its courier, and the world it sends to.
struct Stage {
    clock: Clock,
    house: Arc<House>,
    courier: Arc<Courier<Peers>>,
    world: Arc<Mutex<World>>,
    /// Goes away with the last who uses it.
    _data: Arc<TempDir>,
}

impl Stage {
    async fn new(clock: Clock) -> Stage {
        Stage::set(clock, |_| {}).await
    }

    async fn set(clock: Clock, change: impl FnOnce(&mut Settings)) -> Stage {
        let data = Arc::new(tempfile::tempdir().expect("a directory"));
        let mut settings = settings(data.path());
        change(&mut settings);
        Stage::open(clock, data, settings, Arc::default()).await
    }

    async fn open(clock: Clock, data: Arc<TempDir>, settings: Settings, world: Arc<Mutex<World>>) -> Stage {
        let house = House::open_with(settings, clock.read).await.expect("a house");
        let peers = Peers::new(Arc::clone(&house), clock, Arc::clone(&world));
        let courier = Courier::new(Arc::clone(&house), peers);
        Stage { clock, house, courier, world, _data: data }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("no panic in the world")
    }

    async fn send(&self, sender: &str, recipients: &[&str], text: &str) -> MailId {
        send(&self.house, sender, recipients, text).await
    }

    /// Whatever is due now goes, and what becomes due by that at once, too.
    async fn round(&self) {
        const ROUNDS_MAX: usize = 1_000;
        for _ in 0..ROUNDS_MAX {
            self.courier.round(self.clock.now()).await.expect("the queue");
            self.courier.idle().await;
            if self.next_due().is_none_or(|due| due > self.clock.now()) {
                return;
            }
        }
        panic!("the queue does not come to rest");
    }

    fn next_due(&self) -> Option<i64> {
        self.house.store.queue_next_due().expect("the queue")
    }

    /// Lets time pass from one due mail to the next until so many seconds after the start, or until the queue is empty.
    async fn until(&self, secs: i64) {
        self.round().await;
        while let Some(due) = self.next_due().filter(|due| *due <= START + secs) {
            self.clock.set(due);
            self.round().await;
        }
    }

    fn queue(&self) -> Vec<MailRow> {
        self.house.store.queue_list(&QueueFilter::default(), 1_000).expect("the queue")
    }

    /// The messages in an inbox, whole.
    fn inbox(&self, address: &str) -> Vec<String> {
        let account = self.house.directory().account_named(address).expect("an account").id;
        let drop = self.house.store.maildrop(AccountId(account)).expect("a maildrop");
        let read = |kept: &store::Kept| text(&self.house.store.reader(kept).expect("a message"));
        drop.messages.iter().map(read).collect()
    }

    // These look and let go: two looks at the world in one sentence must not wait for each other.

    fn taken(&self) -> Vec<Taken> {
        self.world().taken.clone()
    }

    fn copies(&self, recipient: &str, text: &str) -> usize {
        self.world().count(recipient, text)
    }

    fn heard(&self, host: &str, start: &str) -> Vec<String> {
        self.world().lines(host, start)
    }

    fn busiest(&self) -> usize {
        self.world().busiest
    }

    /// Moments of visits, in seconds after the start.
    fn visits(&self, host: &str) -> Vec<i64> {
        self.world().visits.iter().filter(|(visited, _)| visited == host).map(|(_, at)| at - START).collect()
    }
}

/// Puts a mail into the queue.
async fn send(house: &House, sender: &str, recipients: &[&str], text: &str) -> MailId {
    let mut draft = house.store.draft();
    draft.append(format!("Subject: {text}\r\n\r\n{text}\r\n").as_bytes()).expect("room");
    let kind = if sender.is_empty() { policy::Kind::Bounce } else { policy::Kind::Mail };
    let recipient = |address: &&str| QueuedRecipient { address: address.to_string(), ..QueuedRecipient::default() };
    let mail = QueuedMail {
        sender: sender.into(),
        recipients: recipients.iter().map(recipient).collect(),
        next_attempt: house.now(),
        expires: house.expires(kind, house.now()),
        ..QueuedMail::default()
    };
    let commit = Commit::with_body(vec![Op::Enqueue(mail)], Vec::new(), draft);
    house.store.commit(commit).await.expect("a commit").mail().expect("a mail")
}

fn text(reader: &MessageReader) -> String {
    String::from_utf8(reader.read_whole().expect("octets")).expect("text")
}

/// The value of a field, as often as it stands there.
fn fields<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).collect()
}

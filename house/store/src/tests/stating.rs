//! States of many messages against a model: placed, flagged, copied, moved and expunged by the hundred, refused in between, with several
//! commits under way at once.
//!
//! The laws: what a mailbox has in memory, what is read of it after opening the store again, and what the model says are the same; figures
//! are right; a commit that is refused changes nothing, whatever shares its transaction.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{FlagChange, FlagMask, MailboxId, Outcome, RecipientId, Snapshot, Uid};

#[derive(Debug, Clone)]
enum Action {
    Place {
        mailbox: usize,
        count: usize,
        flags: usize,
    },
    SetFlags {
        mailbox: usize,
        range: (u32, u32),
        step: u32,
        change: usize,
        flags: usize,
    },
    Expunge {
        mailbox: usize,
        range: (u32, u32),
        step: u32,
    },
    Copy {
        mailbox: usize,
        range: (u32, u32),
    },
    Move {
        mailbox: usize,
        range: (u32, u32),
        step: u32,
    },
    /// A placement, a refused commit that has changed much before, and another placement: likely in one transaction.
    Refused {
        mailbox: usize,
    },
    Reopen,
    PowerCut,
}

const MAILBOXES: [&str; 2] = ["INBOX", "Archive"];

fn action() -> impl Strategy<Value = Action> {
    let mailbox = 0..MAILBOXES.len();
    let range = || (1..900_u32, 1..400_u32).prop_map(|(first, count)| (first, first + count));
    let step = prop_oneof![3 => Just(1_u32), 1 => 2..40_u32];
    prop_oneof![
        5 => (mailbox.clone(), 1..260_usize, 0..6_usize).prop_map(|(mailbox, count, flags)| Action::Place { mailbox, count, flags }),
        4 => (mailbox.clone(), range(), step.clone(), 0..3_usize, 0..6_usize)
            .prop_map(|(mailbox, range, step, change, flags)| Action::SetFlags { mailbox, range, step, change, flags }),
        3 => (mailbox.clone(), range(), step.clone()).prop_map(|(mailbox, range, step)| Action::Expunge { mailbox, range, step }),
        1 => (mailbox.clone(), range()).prop_map(|(mailbox, range)| Action::Copy { mailbox, range }),
        2 => (mailbox.clone(), range(), step).prop_map(|(mailbox, range, step)| Action::Move { mailbox, range, step }),
        2 => mailbox.prop_map(|mailbox| Action::Refused { mailbox }),
        1 => Just(Action::Reopen),
        2 => Just(Action::PowerCut),
    ]
}

/// Some flags to choose among.
fn flags(number: usize) -> Flags {
    let keywords: &[&str] = [&[][..], &[], &["Work"], &["$Junk", "Work"], &["$NotJunk"], &[]][number];
    let system = [0, Flags::SEEN, Flags::DELETED, 0, Flags::ALL, Flags::FLAGGED][number];
    Flags { system, keywords: keywords.iter().map(|word| (*word).into()).collect() }
}

struct Model {
    store: Store,
    disk: Arc<FaultyDisk>,
    dir: tempfile::TempDir,
    bob: AccountId,
    ids: Vec<MailboxId>,
    messages: [BTreeMap<u32, Flags>; 2],
    next: [u32; 2],
}

impl Model {
    fn new() -> Model {
        let dir = tempfile::tempdir().unwrap();
        let (store, disk) = open_watched(dir.path());
        let bob = make_account(&store, "bob");
        let ids = MAILBOXES.iter().map(|name| store.mailbox_named(bob, name).unwrap().unwrap().id).collect();
        Model { store, disk, dir, bob, ids, messages: Default::default(), next: [1, 1] }
    }

    fn named(&self, number: usize) -> MailboxRef {
        MailboxRef::Id(self.ids[number])
    }

    fn place(&self, mailbox: usize, flags: &Flags) -> Op {
        Op::Place {
            account: self.bob,
            mailbox: self.named(mailbox),
            body: 0,
            prefix: Vec::new(),
            received_at: NOW,
            flags: flags.clone(),
        }
    }

    fn enter(&mut self, mailbox: usize, flags: &[Flags]) {
        for flags in flags {
            self.messages[mailbox].insert(self.next[mailbox], flags.clone());
            self.next[mailbox] += 1;
        }
    }

    /// The UIDs of a range that are there, and those that are named.
    fn uids(&self, mailbox: usize, (first, end): (u32, u32), step: u32) -> (Vec<u32>, Vec<Uid>) {
        let named: Vec<u32> = (first..end).step_by(step as usize).collect();
        let there = named.iter().copied().filter(|uid| self.messages[mailbox].contains_key(uid)).collect();
        (there, named.into_iter().map(Uid).collect())
    }

    fn run(&self, op: Op) -> Outcome {
        self.store.commit_blocking(Commit::of(vec![op])).unwrap().outcomes.remove(0)
    }

    fn play(&mut self, action: Action) {
        match action {
            Action::Place { mailbox, count, flags: number } => {
                let ops = vec![self.place(mailbox, &flags(number)); count];
                self.store.commit_blocking(about(&self.store, ops, b"x")).unwrap();
                self.enter(mailbox, &vec![flags(number); count]);
            }
            Action::SetFlags { mailbox, range, step, change, flags: number } => {
                let (there, uids) = self.uids(mailbox, range, step);
                let change = [FlagChange::Add, FlagChange::Remove, FlagChange::Replace][change](flags(number));
                for uid in there {
                    let flags = self.messages[mailbox].get_mut(&uid).unwrap();
                    *flags = flags.after(&change);
                }
                let (account, mailbox) = (self.bob, self.named(mailbox));
                self.run(Op::SetFlags { account, mailbox, uids, change, unchanged_since: None });
            }
            Action::Expunge { mailbox, range, step } => {
                let (there, uids) = self.uids(mailbox, range, step);
                self.messages[mailbox].retain(|uid, _| !there.contains(uid));
                let outcome = self.run(Op::Expunge { account: self.bob, mailbox: self.named(mailbox), uids });
                let Outcome::Expunged { uids: gone, .. } = outcome else { panic!("{outcome:?}") };
                assert_eq!(gone.iter().map(|uid| uid.0).collect::<Vec<_>>(), there);
            }
            Action::Copy { mailbox, range } => {
                let (there, uids) = self.uids(mailbox, range, 1);
                let copies: Vec<_> = there.iter().map(|uid| self.messages[mailbox][uid].clone()).collect();
                let (source, target) = (self.named(mailbox), self.named(1 - mailbox));
                self.run(Op::Copy { account: self.bob, source, uids, owner: self.bob, target, kept: FlagMask::ALL });
                self.enter(1 - mailbox, &copies);
            }
            Action::Move { mailbox, range, step } => {
                let (there, uids) = self.uids(mailbox, range, step);
                let moved: Vec<_> = there.iter().map(|uid| self.messages[mailbox].remove(uid).unwrap()).collect();
                let (source, target) = (self.named(mailbox), self.named(1 - mailbox));
                self.run(Op::Move { account: self.bob, source, uids, target });
                self.enter(1 - mailbox, &moved);
            }
            Action::Refused { mailbox } => self.refused(mailbox),
            Action::Reopen => {
                self.compare();
                self.store.close();
                assert_sound(self.dir.path());
                (self.store, self.disk) = open_watched(self.dir.path());
            }
            Action::PowerCut => {
                self.dir = self.disk.image(self.dir.path());
                (self.store, self.disk) = open_watched(self.dir.path());
                self.compare();
            }
        }
    }

    fn refused(&mut self, mailbox: usize) {
        let uids: Vec<Uid> = (1..300).map(Uid).collect();
        let (account, here, target) = (self.bob, self.named(mailbox), self.named(1 - mailbox));
        let change = FlagChange::Add(flags(3));
        let ops = vec![
            self.place(mailbox, &flags(2)),
            Op::SetFlags { account, mailbox: here.clone(), uids: uids.clone(), change, unchanged_since: None },
            Op::Move { account, source: here, uids, target },
            self.place(mailbox, &flags(2)),
            Op::QueueDelivered { recipient: RecipientId(-1) },
        ];
        let one = || about(&self.store, vec![self.place(mailbox, &flags(5))], b"one");
        let answers = [one(), about(&self.store, ops, b"no"), one()].map(|commit| Box::pin(self.store.commit(commit)));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answers = runtime.block_on(async {
            let [first, refused, last] = answers;
            tokio::join!(first, refused, last)
        });
        assert!(answers.0.is_ok() && answers.1.is_err() && answers.2.is_ok());
        self.enter(mailbox, &[flags(5), flags(5)]);
    }

    fn compare(&self) {
        for (number, id) in self.ids.iter().enumerate() {
            let snapshot = self.store.open_mailbox(*id).unwrap().now().unwrap();
            assert_eq!(read(&snapshot), self.messages[number]);
            let kept = self.store.messages(*id, Uid(1), usize::MAX).unwrap();
            let kept: BTreeMap<_, _> = kept.into_iter().map(|kept| (kept.uid.0, kept.flags)).collect();
            assert_eq!(kept, self.messages[number]);
        }
        let report = self.store.check().unwrap();
        assert!(report.is_clean(), "{:#?}", report.problems);
    }
}

fn read(snapshot: &Snapshot) -> BTreeMap<u32, Flags> {
    snapshot.rows().map(|row| (row.uid.0, snapshot.flags(row))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
    #[test]
    fn any_sequence_of_changes_leaves_the_states_it_should(actions in proptest::collection::vec(action(), 1..25)) {
        let mut model = Model::new();
        for action in actions {
            model.play(action);
        }
        model.compare();
        model.play(Action::Reopen);
        model.compare();
    }
}

#[test]
fn messages_with_many_long_keywords_each_are_kept_and_found() {
    let mut model = Model::new();
    model.play(Action::Place { mailbox: 0, count: 200, flags: 0 });
    for uid in 1..=200_u32 {
        let keywords: Vec<_> = (0..90).map(|number| format!("{uid}-{number}-{}", "k".repeat(100))).collect();
        let change = FlagChange::Add(Flags { system: 0, keywords });
        model.messages[0].entry(uid).and_modify(|flags| *flags = flags.after(&change));
        let (account, mailbox, uids) = (model.bob, model.named(0), vec![Uid(uid)]);
        model.run(Op::SetFlags { account, mailbox, uids, change, unchanged_since: None });
    }
    model.play(Action::Place { mailbox: 0, count: 20, flags: 3 });
    model.play(Action::Move { mailbox: 0, range: (50, 210), step: 1 });
    model.play(Action::Reopen);
    model.compare();
}

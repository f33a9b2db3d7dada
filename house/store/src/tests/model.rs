//! The store against a model in memory: any orders in any sequence, with closings and power cuts in between.
//!
//! The laws: no mail lost, none doubled, UIDs only grow, the queue holds whom it should, figures are right.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{Holding, Outcome, QueueFilter, QueueScope, RecipientId, SPILL_AT, Uid};

#[derive(Debug, Clone)]
enum Action {
    /// To which of the accounts, to how many outside, and how long.
    Accept {
        inside: Vec<usize>,
        outside: usize,
        length: usize,
    },
    /// Which messages of which account, counted from the first.
    Expunge {
        account: usize,
        picks: Vec<usize>,
    },
    /// Which recipient in the queue, counted from the first.
    Deliver(usize),
    Defer(usize),
    Fail {
        pick: usize,
        bounce_to: usize,
    },
    Drop(usize),
    /// An account goes and another comes in its place.
    Replace(usize),
    /// A commit that is refused must change nothing.
    Refused(usize),
    Compact,
    Reopen,
    PowerCut,
}

const ACCOUNTS: usize = 3;

fn action() -> impl Strategy<Value = Action> {
    let length = prop_oneof![
        6 => 0..300_usize,
        3 => 5_000..20_000_usize,
        1 => SPILL_AT - 2..SPILL_AT + 3,
        1 => SPILL_AT + 30_000..SPILL_AT + 90_000,
    ];
    let inside = proptest::collection::vec(0..ACCOUNTS, 0..3);
    prop_oneof![
        8 => (inside, 0..3_usize, length)
            .prop_map(|(inside, outside, length)| Action::Accept { inside, outside, length }),
        4 => (0..ACCOUNTS, proptest::collection::vec(0..12_usize, 1..6))
            .prop_map(|(account, picks)| Action::Expunge { account, picks }),
        2 => (0..9_usize).prop_map(Action::Deliver),
        1 => (0..9_usize).prop_map(Action::Defer),
        1 => (0..9_usize, 0..ACCOUNTS).prop_map(|(pick, bounce_to)| Action::Fail { pick, bounce_to }),
        1 => (0..9_usize).prop_map(Action::Drop),
        1 => (0..ACCOUNTS).prop_map(Action::Replace),
        1 => (0..ACCOUNTS).prop_map(Action::Refused),
        2 => Just(Action::Compact),
        2 => Just(Action::Reopen),
        3 => Just(Action::PowerCut),
    ]
}

struct Owner {
    id: AccountId,
    messages: BTreeMap<u32, Vec<u8>>,
    highest_uid: u32,
    highest_modseq: i64,
}

struct Model {
    store: Store,
    disk: Arc<FaultyDisk>,
    dir: tempfile::TempDir,
    owners: Vec<Owner>,
    queue: BTreeMap<RecipientId, (String, u32)>,
    counter: usize,
}

impl Model {
    fn new() -> Model {
        let dir = tempfile::tempdir().unwrap();
        let (store, disk) = open_watched(dir.path());
        let owners = (0..ACCOUNTS).map(|number| owner(&store, &format!("account {number}"))).collect();
        Model { store, disk, dir, owners, queue: BTreeMap::new(), counter: ACCOUNTS }
    }

    fn next(&mut self) -> usize {
        self.counter += 1;
        self.counter
    }

    fn play(&mut self, action: Action) {
        match action {
            Action::Accept { inside, outside, length } => self.accept(&inside, outside, length),
            Action::Expunge { account, picks } => self.expunge(account, &picks),
            Action::Deliver(pick) => self.upkeep(pick, |recipient| Op::QueueDelivered { recipient }),
            Action::Drop(pick) => {
                self.upkeep(pick, |recipient| Op::QueueDrop { scope: QueueScope::Recipient(recipient) });
            }
            Action::Defer(pick) => self.defer(pick),
            Action::Fail { pick, bounce_to } => self.fail(pick, bounce_to),
            Action::Replace(account) => self.replace(account),
            Action::Refused(account) => {
                let id = self.owners[account].id;
                let ops = vec![place(id), Op::QueueDelivered { recipient: RecipientId(-1) }];
                self.store.commit_blocking(about(&self.store, ops, b"refused")).unwrap_err();
            }
            Action::Compact => {
                self.store.compact(u64::MAX).unwrap();
            }
            Action::Reopen => {
                self.store.close();
                assert_sound(self.dir.path());
                (self.store, self.disk) = open_watched(self.dir.path());
            }
            Action::PowerCut => {
                self.dir = self.disk.image(self.dir.path());
                (self.store, self.disk) = open_watched(self.dir.path());
            }
        }
    }

    fn accept(&mut self, inside: &[usize], outside: usize, length: usize) {
        if inside.is_empty() && outside == 0 {
            return;
        }
        let number = self.next();
        let mut content = format!("{number}:").into_bytes();
        content.resize(length.max(content.len()), b'.');
        let addresses: Vec<_> = (0..outside).map(|n| format!("{number}-{n}@x.test")).collect();
        let mut ops: Vec<_> = inside.iter().map(|account| place(self.owners[*account].id)).collect();
        if outside > 0 {
            ops.push(enqueue(&addresses.iter().map(String::as_str).collect::<Vec<_>>()));
        }
        let done = self.store.commit_blocking(about(&self.store, ops, &content)).unwrap();
        for (account, placed) in inside.iter().zip(done.placed()) {
            self.enter(*account, placed.uid, placed.modseq.0, &content);
        }
        if let Some(Outcome::Queued { recipients, .. }) = done.outcomes.last() {
            let entries = recipients.iter().zip(addresses).map(|(recipient, address)| (*recipient, (address, 0)));
            self.queue.extend(entries);
        }
    }

    fn enter(&mut self, account: usize, uid: Uid, modseq: i64, content: &[u8]) {
        let owner = &mut self.owners[account];
        assert!(uid.0 > owner.highest_uid && modseq > owner.highest_modseq);
        owner.highest_uid = uid.0;
        owner.highest_modseq = modseq;
        owner.messages.insert(uid.0, as_read(owner.id, content));
    }

    fn expunge(&mut self, account: usize, picks: &[usize]) {
        let owner = &mut self.owners[account];
        let mut uids: Vec<u32> = picks.iter().filter_map(|pick| owner.messages.keys().nth(*pick).copied()).collect();
        let op = Op::Expunge {
            account: owner.id,
            mailbox: MailboxRef::Inbox,
            uids: uids.iter().map(|uid| Uid(*uid)).collect(),
        };
        let done = self.store.commit_blocking(Commit::of(vec![op])).unwrap();
        uids.sort_unstable();
        uids.dedup();
        let Outcome::Expunged { uids: gone, modseq } = &done.outcomes[0] else { panic!("{done:?}") };
        assert_eq!(gone.iter().map(|uid| uid.0).collect::<Vec<_>>(), uids);
        if let Some(modseq) = modseq {
            assert!(modseq.0 > owner.highest_modseq);
            owner.highest_modseq = modseq.0;
        }
        for uid in uids {
            owner.messages.remove(&uid);
        }
    }

    fn pick(&self, pick: usize) -> Option<RecipientId> {
        self.queue.keys().nth(pick).copied()
    }

    fn upkeep(&mut self, pick: usize, op: impl FnOnce(RecipientId) -> Op) {
        let Some(recipient) = self.pick(pick) else { return };
        self.store.commit_blocking(Commit::of(vec![op(recipient)])).unwrap();
        self.queue.remove(&recipient);
    }

    fn defer(&mut self, pick: usize) {
        let Some(recipient) = self.pick(pick) else { return };
        let op = Op::QueueDeferred {
            recipient,
            at: NOW,
            next_attempt: NOW + 1,
            host: None,
            reason: "later".into(),
            warned: false,
        };
        self.store.commit_blocking(Commit::of(vec![op])).unwrap();
        self.queue.get_mut(&recipient).unwrap().1 += 1;
    }

    fn fail(&mut self, pick: usize, bounce_to: usize) {
        let Some(recipient) = self.pick(pick) else { return };
        let content = format!("bounce {}", self.next()).into_bytes();
        let ops = vec![Op::QueueFailed { recipient }, place(self.owners[bounce_to].id)];
        let done = self.store.commit_blocking(about(&self.store, ops, &content)).unwrap();
        let placed = *done.placed().next().unwrap();
        self.enter(bounce_to, placed.uid, placed.modseq.0, &content);
        self.queue.remove(&recipient);
    }

    fn replace(&mut self, account: usize) {
        let op = Op::RemoveAccount { account: self.owners[account].id };
        self.store.commit_blocking(Commit::of(vec![op])).unwrap();
        let name = format!("account {}", self.next());
        self.owners[account] = owner(&self.store, &name);
    }

    fn compare(&self) {
        for owner in &self.owners {
            let there: BTreeMap<_, _> = inbox(&self.store, owner.id).into_iter().collect();
            assert!(there == owner.messages);
            let octets = owner.messages.values().map(|octets| octets.len() as u64).sum();
            let holding = Holding { messages: owner.messages.len() as u64, octets };
            assert_eq!(self.store.holding(owner.id).unwrap(), holding);
        }
        let mails = self.store.queue_list(&QueueFilter::default(), usize::MAX).unwrap();
        let queue: BTreeMap<_, _> = mails
            .into_iter()
            .flat_map(|mail| mail.recipients)
            .map(|row| (row.recipient, (row.address, row.attempts)))
            .collect();
        assert_eq!(queue, self.queue);
        let report = self.store.check().unwrap();
        assert!(report.is_clean(), "{:#?}", report.problems);
    }
}

fn owner(store: &Store, name: &str) -> Owner {
    Owner { id: make_account(store, name), messages: BTreeMap::new(), highest_uid: 0, highest_modseq: 1 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn any_sequence_of_orders_keeps_every_promise(actions in proptest::collection::vec(action(), 1..40)) {
        let mut model = Model::new();
        for action in actions {
            model.play(action);
        }
        model.play(Action::PowerCut);
        model.compare();
        model.play(Action::Reopen);
        model.compare();
    }
}

//! Mailboxes, flags, copies and moves against a model in memory: any orders in any sequence, and a machine that stops at any
//! step among them.
//!
//! The laws: the store is what the model says after each order; a session that follows by differences, and one that comes back
//! with an old modseq, both arrive there; after a stop the store is as before or as after the order under way, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::faulty::Fault;
use super::*;
use crate::{FlagChange, FlagMask, MailboxName, MailboxRow, ModSeq, OpenMailbox, Snapshot, Uid};

/// Mailboxes are called by these, so that they meet.
const NAMES: [&str; 8] = ["INBOX", "Sent", "a", "a/b", "a/b/c", "d", "d/b", "INBOX/x"];

const FLAGS: [u32; 3] = [Flags::SEEN, Flags::DELETED, Flags::FLAGGED];
const KEYWORDS: [&str; 3] = ["Work", "$Label1", "work"];

#[derive(Debug, Clone)]
enum Action {
    /// How many messages together, and how long.
    Append {
        target: usize,
        count: usize,
        length: usize,
    },
    Flag {
        target: usize,
        picks: Vec<usize>,
        how: usize,
        flag: usize,
        keyword: usize,
    },
    Copy {
        source: usize,
        picks: Vec<usize>,
        target: usize,
    },
    Move {
        source: usize,
        picks: Vec<usize>,
        target: usize,
    },
    Expunge {
        target: usize,
        picks: Vec<usize>,
    },
    Create(usize),
    Delete(usize),
    Rename {
        source: usize,
        target: usize,
    },
    Subscribe(usize),
    Unsubscribe(usize),
    Annotate(usize),
    Compact,
    Reopen,
}

fn action() -> impl Strategy<Value = Action> {
    let name = || 0..NAMES.len();
    let picks = || proptest::collection::vec(0..9_usize, 1..6);
    prop_oneof![
        6 => (name(), 1..4_usize, 10..9000_usize).prop_map(|(target, count, length)| Action::Append { target, count, length }),
        6 => (name(), picks(), 0..3_usize, 0..3_usize, 0..3_usize)
            .prop_map(|(target, picks, how, flag, keyword)| Action::Flag { target, picks, how, flag, keyword }),
        3 => (name(), picks(), name()).prop_map(|(source, picks, target)| Action::Copy { source, picks, target }),
        4 => (name(), picks(), name()).prop_map(|(source, picks, target)| Action::Move { source, picks, target }),
        3 => (name(), picks()).prop_map(|(target, picks)| Action::Expunge { target, picks }),
        3 => name().prop_map(Action::Create),
        1 => name().prop_map(Action::Delete),
        3 => (name(), name()).prop_map(|(source, target)| Action::Rename { source, target }),
        1 => name().prop_map(Action::Subscribe),
        1 => name().prop_map(Action::Unsubscribe),
        1 => name().prop_map(Action::Annotate),
        1 => Just(Action::Compact),
        1 => Just(Action::Reopen),
    ]
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Mail {
    content: Vec<u8>,
    flags: Flags,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Folder {
    mails: BTreeMap<u32, Mail>,
    uidnext: u32,
    annotation: Option<Vec<u8>>,
}

impl Folder {
    fn empty() -> Folder {
        Folder { uidnext: 1, ..Folder::default() }
    }

    fn put(&mut self, mail: Mail) {
        self.mails.insert(self.uidnext, mail);
        self.uidnext += 1;
    }

    fn pick(&self, picks: &[usize]) -> BTreeSet<u32> {
        picks.iter().filter_map(|pick| self.mails.keys().nth(*pick).copied()).collect()
    }
}

/// What is kept of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    folders: BTreeMap<String, Folder>,
    subscribed: BTreeSet<String>,
}

/// An order, and what it does to the state; `None` where it is to be refused.
struct Plan {
    commit: Commit,
    after: Option<State>,
}

impl State {
    fn at_birth() -> State {
        let names = ["INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"];
        State {
            folders: names.iter().map(|name| ((*name).into(), Folder::empty())).collect(),
            subscribed: names.iter().map(|name| (*name).into()).collect(),
        }
    }

    /// What is in the store.
    fn of(store: &Store, account: AccountId) -> State {
        let folder = |row: &MailboxRow| {
            let kept = store.messages(row.id, Uid(1), 10_000).unwrap();
            let mails = kept.iter().map(|kept| {
                let content = store.reader(kept).unwrap().read_whole().unwrap();
                (kept.uid.0, Mail { content, flags: kept.flags.clone() })
            });
            let annotation = store.metadata(account, Some(row.id)).unwrap().pop().map(|(_, value)| value);
            (row.name.clone(), Folder { mails: mails.collect(), uidnext: row.uidnext, annotation })
        };
        State {
            folders: store.mailboxes(account).unwrap().iter().map(folder).collect(),
            subscribed: store.subscriptions(account).unwrap().into_iter().collect(),
        }
    }

    fn make(&mut self, name: &str) -> Option<()> {
        if self.folders.contains_key(name) {
            return None;
        }
        let name = MailboxName::parse(name).unwrap();
        for above in name.above() {
            self.folders.entry(above.into()).or_insert_with(Folder::empty);
        }
        self.folders.insert(name.to_string(), Folder::empty());
        Some(())
    }

    fn rename(&mut self, source: &str, target: &str) -> Option<()> {
        if self.folders.contains_key(target) || target == "INBOX" {
            return None;
        }
        if source == "INBOX" {
            self.make(target)?;
            let mails = std::mem::take(&mut self.folders.get_mut("INBOX")?.mails);
            mails.into_values().for_each(|mail| self.folders.get_mut(target).unwrap().put(mail));
            return Some(());
        }
        let below = format!("{source}/");
        let is_moved = |name: &&String| *name == source || name.starts_with(&below);
        let moved: Vec<String> = self.folders.keys().filter(is_moved).cloned().collect();
        let renamed = |name: &str| format!("{target}{}", &name[source.len()..]);
        if moved.is_empty()
            || format!("{target}/").starts_with(&below)
            || moved.iter().any(|name| self.folders.contains_key(&renamed(name)))
        {
            return None;
        }
        for above in MailboxName::parse(target).unwrap().above() {
            self.folders.entry(above.into()).or_insert_with(Folder::empty);
        }
        for name in moved {
            let folder = self.folders.remove(&name)?;
            self.folders.insert(renamed(&name), folder);
        }
        Some(())
    }

    fn copy(&mut self, source: &str, uids: &BTreeSet<u32>, target: &str, remove: bool) -> Option<()> {
        self.folders.get(target)?;
        let folder = self.folders.get_mut(source)?;
        let mails: Vec<Mail> = uids.iter().filter_map(|uid| folder.mails.get(uid).cloned()).collect();
        if remove {
            folder.mails.retain(|uid, _| !uids.contains(uid));
        }
        mails.into_iter().for_each(|mail| self.folders.get_mut(target).unwrap().put(mail));
        Some(())
    }
}

struct World {
    store: Store,
    dir: tempfile::TempDir,
    bob: AccountId,
    state: State,
    counter: usize,
    /// Sessions that follow each mailbox by differences: what they know, and what they have it from.
    sessions: BTreeMap<i64, Session>,
    /// A client that left: what it knew of each mailbox.
    left: BTreeMap<i64, (u32, ModSeq, BTreeMap<u32, Flags>)>,
}

/// One that follows a mailbox.
struct Session {
    open: OpenMailbox,
    told: Arc<Snapshot>,
    known: BTreeMap<u32, Flags>,
}

fn flags_of(snapshot: &Snapshot) -> BTreeMap<u32, Flags> {
    snapshot.rows().map(|row| (row.uid.0, snapshot.flags(row))).collect()
}

impl World {
    fn new(dir: tempfile::TempDir, store: Store, bob: AccountId) -> World {
        World {
            store,
            dir,
            bob,
            state: State::at_birth(),
            counter: 0,
            sessions: BTreeMap::new(),
            left: BTreeMap::new(),
        }
    }

    fn picked(&self, name: &str, picks: &[usize]) -> BTreeSet<u32> {
        self.state.folders.get(name).map_or_else(BTreeSet::new, |folder| folder.pick(picks))
    }

    fn plan(&mut self, action: &Action) -> Option<Plan> {
        let account = self.bob;
        let named = |name: usize| MailboxRef::Named(NAMES[name].into());
        let as_uids = |uids: &BTreeSet<u32>| uids.iter().copied().map(Uid).collect::<Vec<_>>();
        let mut after = self.state.clone();
        let (op, happens) = match action {
            Action::Append { target, count, length } => return Some(self.plan_append(*target, *count, *length)),
            Action::Flag { target, picks, how, flag, keyword } => {
                let uids = self.picked(NAMES[*target], picks);
                let flags = Flags { system: FLAGS[*flag], keywords: vec![KEYWORDS[*keyword].into()] };
                let change = [FlagChange::Add, FlagChange::Remove, FlagChange::Replace][*how](flags);
                let happens = after.folders.get_mut(NAMES[*target]).map(|folder| {
                    for uid in &uids {
                        let mail = folder.mails.get_mut(uid).unwrap();
                        mail.flags = mail.flags.after(&change);
                    }
                });
                let (mailbox, uids) = (named(*target), as_uids(&uids));
                (Op::SetFlags { account, mailbox, uids, change, unchanged_since: None }, happens)
            }
            Action::Copy { source, picks, target } => {
                let uids = self.picked(NAMES[*source], picks);
                let happens = after.copy(NAMES[*source], &uids, NAMES[*target], false);
                let (source, uids, target) = (named(*source), as_uids(&uids), named(*target));
                (Op::Copy { account, source, uids, owner: account, target, kept: FlagMask::ALL }, happens)
            }
            Action::Move { source, picks, target } => {
                let uids = self.picked(NAMES[*source], picks);
                let happens = after.copy(NAMES[*source], &uids, NAMES[*target], true);
                (Op::Move { account, source: named(*source), uids: as_uids(&uids), target: named(*target) }, happens)
            }
            Action::Expunge { target, picks } => {
                let uids = self.picked(NAMES[*target], picks);
                let happens = after.folders.get_mut(NAMES[*target]).map(|folder| {
                    folder.mails.retain(|uid, mail| !uids.contains(uid) || mail.flags.system & Flags::DELETED == 0);
                });
                (Op::ExpungeDeleted { account, mailbox: named(*target), uids: as_uids(&uids) }, happens)
            }
            Action::Create(name) => {
                let happens = after.make(NAMES[*name]);
                (Op::CreateMailbox { account, name: NAMES[*name].into(), special_use: Vec::new() }, happens)
            }
            Action::Delete(name) => {
                let may = Some(NAMES[*name]).filter(|name| *name != "INBOX");
                let happens = may.and_then(|name| after.folders.remove(name)).map(|_| ());
                (Op::DeleteMailbox { account, mailbox: named(*name) }, happens)
            }
            Action::Rename { source, target } => {
                let happens = after.rename(NAMES[*source], NAMES[*target]);
                let (source, target) = (NAMES[*source].into(), NAMES[*target].into());
                (Op::RenameMailbox { account, source, target }, happens)
            }
            Action::Subscribe(name) => {
                after.subscribed.insert(NAMES[*name].into());
                (Op::Subscribe { account, name: NAMES[*name].into() }, Some(()))
            }
            Action::Unsubscribe(name) => {
                after.subscribed.remove(NAMES[*name]);
                (Op::Unsubscribe { account, name: NAMES[*name].into() }, Some(()))
            }
            Action::Annotate(name) => {
                self.counter += 1;
                let value = format!("{}", self.counter).into_bytes();
                let happens = after.folders.get_mut(NAMES[*name]).map(|folder| folder.annotation = Some(value.clone()));
                let entries = vec![("/private/comment".into(), Some(value))];
                (Op::SetMetadata { account, mailbox: Some(named(*name)), entries }, happens)
            }
            Action::Compact | Action::Reopen => return None,
        };
        Some(Plan { commit: Commit::of(vec![op]), after: happens.map(|()| after) })
    }

    fn plan_append(&mut self, target: usize, count: usize, length: usize) -> Plan {
        let mut commit = Commit::default();
        let mut after = self.state.clone();
        let mut folder = after.folders.remove(NAMES[target]);
        for body in 0..count {
            self.counter += 1;
            let mut content = format!("Subject: {}\r\n\r\n", self.counter).into_bytes();
            content.resize(length.max(content.len()), b'.');
            let mut draft = self.store.draft();
            draft.append(&content).unwrap();
            commit.bodies.push(crate::Body { head: Vec::new(), draft });
            let flags = Flags::system(if body == 1 { Flags::SEEN } else { 0 });
            commit.ops.push(Op::Place {
                account: self.bob,
                mailbox: MailboxRef::Named(NAMES[target].into()),
                body,
                prefix: Vec::new(),
                received_at: NOW,
                flags: flags.clone(),
            });
            if let Some(folder) = &mut folder {
                folder.put(Mail { content, flags });
            }
        }
        let after = folder.map(|folder| {
            after.folders.insert(NAMES[target].into(), folder);
            after
        });
        Plan { commit, after }
    }

    fn play(&mut self, action: &Action) {
        match action {
            Action::Compact => {
                self.store.compact(u64::MAX).unwrap();
            }
            Action::Reopen => {
                self.sessions.clear();
                self.store.close();
                assert_sound(self.dir.path());
                self.store = open_swiftly(self.dir.path());
            }
            action => {
                let Some(plan) = self.plan(action) else { return };
                match (self.store.commit_blocking(plan.commit), plan.after) {
                    (Ok(_), Some(after)) => self.state = after,
                    (Err(error), None) => assert!(error.is_permanent(), "{error}"),
                    (result, after) => panic!("{action:?}: {result:?}, but the model says {after:?}"),
                }
            }
        }
        self.follow();
    }

    /// Every session takes the difference, and knows what there is.
    fn follow(&mut self) {
        let rows = self.store.mailboxes(self.bob).unwrap();
        self.sessions.retain(|mailbox, _| rows.iter().any(|row| row.id.0 == *mailbox));
        for row in rows {
            let Session { open, told, known } = self.sessions.entry(row.id.0).or_insert_with(|| {
                let open = self.store.open_mailbox(row.id).unwrap();
                let told = open.now().unwrap();
                let known = flags_of(&told);
                Session { open, told, known }
            });
            let now = open.now().unwrap();
            let difference = told.changes_to(&now);
            difference.vanished.iter().for_each(|uid| assert!(known.remove(&uid.0).is_some()));
            for uid in difference.changed.iter().chain(&difference.added) {
                let row = now.index_of(*uid).and_then(|index| now.get(index)).unwrap();
                known.insert(uid.0, now.flags(row));
            }
            *told = Arc::clone(&now);
            let truth = self.state.folders[&row.name].mails.iter();
            assert_eq!(*known, truth.map(|(uid, mail)| (*uid, mail.flags.clone())).collect::<BTreeMap<_, _>>());
        }
    }

    /// The client that left comes back with what it knew, is told what changed since, and knows what there is (RFC 7162 §3.2).
    fn come_back(&mut self) {
        for row in self.store.mailboxes(self.bob).unwrap() {
            let now = self.store.open_mailbox(row.id).unwrap().now().unwrap();
            if let Some((uidvalidity, since, mut known)) = self.left.remove(&row.id.0) {
                assert_eq!(uidvalidity, row.uidvalidity);
                for (first, last) in self.store.vanished(row.id, since).unwrap() {
                    known.retain(|uid, _| !(first.0..=last.0).contains(uid));
                }
                known.extend(now.changed_since(since).map(|row| (row.uid.0, now.flags(row))));
                assert_eq!(known, flags_of(&now), "mailbox {}", row.name);
            }
            self.left.insert(row.id.0, (now.uidvalidity, now.modseq, flags_of(&now)));
        }
    }
}

fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let store = open_swiftly(dir.path());
    let bob = make_account(&store, "bob");
    World::new(dir, store, bob)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_orders_leads_where_the_model_says(actions in proptest::collection::vec(action(), 1..60)) {
        let mut world = world();
        for (number, action) in actions.iter().enumerate() {
            world.play(action);
            if number % 9 == 0 {
                world.come_back();
            }
        }
        world.come_back();
        prop_assert_eq!(State::of(&world.store, world.bob), world.state.clone());
        world.play(&Action::Reopen);
        prop_assert_eq!(State::of(&world.store, world.bob), world.state.clone());
        world.come_back();
    }

    #[test]
    fn a_machine_that_stops_leaves_what_was_before_or_after(
        actions in proptest::collection::vec(action(), 20..60), at in 10..180_usize,
    ) {
        let prepared = world();
        let (dir, bob) = (prepared.dir, prepared.bob);
        drop(prepared.store);
        let disk = Arc::new(FaultyDisk::failing_at(at, Fault::Stop));
        let store = Store::open_on(dir.path(), unhurried(), Arc::clone(&disk) as Arc<dyn crate::disk::Disk>).unwrap();
        let mut world = World::new(dir, store, bob);
        let mut possible = vec![world.state.clone()];
        for action in actions.iter().filter(|action| !matches!(action, Action::Compact | Action::Reopen)) {
            let Some(plan) = world.plan(action) else { continue };
            match (world.store.commit_blocking(plan.commit), plan.after) {
                (Ok(_), Some(after)) => {
                    world.state = after;
                    possible = vec![world.state.clone()];
                }
                (Err(error), after) if !error.is_permanent() => {
                    possible.extend(after);
                    break;
                }
                (Err(_), None) => {}
                (result, after) => panic!("{action:?}: {result:?}, but the model says {after:?}"),
            }
        }
        let dir = world.dir;
        world.store.close();
        drop(world.store);
        disk.cut_power();
        let store = open_swiftly(dir.path());
        let found = State::of(&store, bob);
        prop_assert!(possible.contains(&found), "found {found:#?}, possible {possible:#?}");
        deliver(&store, &[bob], b"life goes on").unwrap();
        store.close();
        assert_sound(dir.path());
    }
}

#[test]
fn whether_names_mean_the_same_can_be_told_by_a_number() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_swiftly(dir.path());
    let bob = make_account(&store, "bob");
    let before = store.mailbox_changes();
    deliver(&store, &[bob], b"no mailbox changes by it").unwrap();
    assert_eq!(store.mailbox_changes(), before);
    let op = Op::RenameMailbox { account: bob, source: "Archive".into(), target: "Old".into() };
    store.commit_blocking(Commit::of(vec![op])).unwrap();
    assert_ne!(store.mailbox_changes(), before);
}

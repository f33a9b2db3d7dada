//! Flags, copies and moves, as sessions see them.

use super::*;
use crate::{FlagChange, FlagMask, MailboxId, ModSeq, Outcome, Snapshot, Uid};

struct Fixture {
    dir: tempfile::TempDir,
    store: Store,
    bob: AccountId,
    inbox: MailboxId,
    archive: MailboxId,
}

fn with_messages(count: u32) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let store = open_swiftly(dir.path());
    let bob = make_account(&store, "bob");
    for number in 1..=count {
        deliver(&store, &[bob], format!("message {number}").as_bytes()).unwrap();
    }
    let id = |name: &str| store.mailbox_named(bob, name).unwrap().unwrap().id;
    let (inbox, archive) = (id("INBOX"), id("Archive"));
    Fixture { dir, store, bob, inbox, archive }
}

impl Fixture {
    fn run(&self, op: Op) -> Outcome {
        self.store.commit_blocking(Commit::of(vec![op])).unwrap().outcomes.remove(0)
    }

    fn set(
        &self,
        uids: &[u32],
        change: FlagChange,
        unchanged_since: Option<i64>,
    ) -> (Vec<Uid>, Option<ModSeq>, Vec<Uid>) {
        let op = Op::SetFlags {
            account: self.bob,
            mailbox: MailboxRef::Inbox,
            uids: uids.iter().copied().map(Uid).collect(),
            change,
            unchanged_since: unchanged_since.map(ModSeq),
        };
        match self.run(op) {
            Outcome::FlagsSet { changed, modseq, refused } => (changed, modseq, refused),
            other => panic!("{other:?}"),
        }
    }

    fn copied(&self, op: Op) -> (Vec<(u32, u32)>, Option<ModSeq>) {
        match self.run(op) {
            Outcome::Copied { uids, modseq, .. } => {
                (uids.into_iter().map(|(before, after)| (before.0, after.0)).collect(), modseq)
            }
            other => panic!("{other:?}"),
        }
    }

    fn op(&self, uids: &[u32], target: &str) -> (AccountId, MailboxRef, Vec<Uid>, MailboxRef) {
        let uids = uids.iter().copied().map(Uid).collect();
        (self.bob, MailboxRef::Inbox, uids, MailboxRef::Named(target.into()))
    }

    fn copy(&self, uids: &[u32], target: &str) -> (Vec<(u32, u32)>, Option<ModSeq>) {
        let (account, source, uids, target) = self.op(uids, target);
        self.copied(Op::Copy { account, source, uids, owner: account, target, kept: FlagMask::ALL })
    }

    fn shift(&self, uids: &[u32], target: &str) -> (Vec<(u32, u32)>, Option<ModSeq>) {
        let (account, source, uids, target) = self.op(uids, target);
        self.copied(Op::Move { account, source, uids, target })
    }

    fn now(&self, mailbox: MailboxId) -> Arc<Snapshot> {
        self.store.open_mailbox(mailbox).unwrap().now().unwrap()
    }

    /// What sessions see is what is kept.
    fn assert_current(&self) {
        for mailbox in [self.inbox, self.archive] {
            let live = self.now(mailbox);
            let kept = self.store.messages(mailbox, Uid(1), 10_000).unwrap();
            let row = self.store.mailboxes(self.bob).unwrap().into_iter().find(|row| row.id == mailbox).unwrap();
            assert_eq!(live.len(), kept.len());
            for (seen, kept) in live.rows().zip(&kept) {
                assert_eq!((seen.uid, seen.modseq, u64::from(seen.size)), (kept.uid, kept.modseq, kept.size));
                assert_eq!((live.flags(seen), seen.received_at), (kept.flags.clone(), kept.received_at));
            }
            let figures = (live.unseen as u64, live.deleted as u64, live.octets, live.modseq, live.uidnext);
            assert_eq!(figures, (row.unseen, row.deleted, row.octets, row.modseq, row.uidnext));
        }
        assert!(self.store.check().unwrap().is_clean(), "{:#?}", self.store.check().unwrap().problems);
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.assert_current();
            self.store.close();
            assert_sound(self.dir.path());
        }
    }
}

fn uids(numbers: &[u32]) -> Vec<Uid> {
    numbers.iter().copied().map(Uid).collect()
}

fn keyword(word: &str) -> Flags {
    Flags { system: 0, keywords: vec![word.into()] }
}

#[test]
fn flags_are_added_removed_and_replaced() {
    let bob = with_messages(4);
    let session = bob.store.open_mailbox(bob.inbox).unwrap();
    let flags = |uid: u32| {
        let now = session.now().unwrap();
        let row = now.index_of(Uid(uid)).and_then(|index| now.get(index)).copied().unwrap();
        now.flags(&row)
    };
    let (changed, modseq, _) =
        bob.set(&[3, 1, 9, 1], FlagChange::Add(Flags::system(Flags::SEEN | Flags::DELETED)), None);
    assert_eq!((changed, modseq), (uids(&[1, 3]), Some(ModSeq(6))));
    bob.set(&[1], FlagChange::Add(keyword("Work")), None);
    bob.set(&[1], FlagChange::Remove(Flags::system(Flags::DELETED)), None);
    assert_eq!(flags(1), Flags { system: Flags::SEEN, keywords: vec!["Work".into()] });
    // The first spelling stays, whatever is asked for later.
    assert_eq!(bob.set(&[1], FlagChange::Add(keyword("WORK")), None).0, []);
    bob.set(
        &[1],
        FlagChange::Replace(Flags { system: Flags::DRAFT, keywords: vec!["work".into(), "new".into()] }),
        None,
    );
    assert_eq!(flags(1), Flags { system: Flags::DRAFT, keywords: vec!["Work".into(), "new".into()] });
    bob.set(&[1], FlagChange::Remove(keyword("wOrK")), None);
    assert_eq!((flags(1).keywords, session.now().unwrap().keywords()), (vec!["new".into()], vec!["new".into()]));
}

#[test]
fn a_change_that_changes_nothing_is_none() {
    let bob = with_messages(2);
    let before = bob.now(bob.inbox).modseq;
    assert_eq!(bob.set(&[1, 2], FlagChange::Remove(Flags::system(Flags::SEEN)), None), (vec![], None, vec![]));
    assert_eq!(bob.set(&[7], FlagChange::Add(Flags::system(Flags::SEEN)), None), (vec![], None, vec![]));
    assert_eq!(bob.copy(&[9], "Archive"), (vec![], None));
    assert_eq!(bob.now(bob.inbox).modseq, before);
}

#[test]
fn flags_are_set_on_those_that_are_named_alone() {
    let bob = with_messages(40);
    bob.set(&[5, 6], FlagChange::Add(Flags { system: 0, keywords: vec!["Work".into()] }), None);
    bob.set(&[7], FlagChange::Add(Flags::system(Flags::SEEN)), None);
    // Neighbours, some of which are others or like that already, one that stands alone, and one far away.
    let named = [3, 4, 5, 7, 8, 10, 39, 77];
    let (changed, modseq, _) = bob.set(&named, FlagChange::Add(Flags::system(Flags::SEEN)), None);
    assert_eq!(changed, [3, 4, 5, 8, 10, 39].map(Uid));
    let now = bob.now(bob.inbox);
    let seen = |row: &&crate::Row| u32::from(row.system) & Flags::SEEN != 0;
    assert_eq!(now.rows().filter(seen).map(|row| row.uid.0).collect::<Vec<_>>(), [3, 4, 5, 7, 8, 10, 39]);
    assert_eq!(now.rows().filter(|row| Some(row.modseq) == modseq).count(), 6);
    assert_eq!(
        now.rows().filter(|row| now.keywords_of(row).len() == 1).map(|row| row.uid.0).collect::<Vec<_>>(),
        [5, 6]
    );
    bob.assert_current();
}

#[test]
fn who_has_changed_since_is_left_alone() {
    let bob = with_messages(3);
    let seen = || FlagChange::Add(Flags::system(Flags::SEEN));
    let since = bob.now(bob.inbox).modseq.0;
    bob.set(&[2], FlagChange::Add(keyword("x")), None);
    let (changed, modseq, refused) = bob.set(&[1, 2, 3], seen(), Some(since));
    assert_eq!((changed, refused), (uids(&[1, 3]), uids(&[2])));
    assert!(modseq.unwrap().0 > since + 1);
    assert_eq!(bob.set(&[1, 2, 3], seen(), Some(0)), (vec![], None, uids(&[1, 2, 3])));
}

#[test]
fn too_long_or_too_many_keywords_are_refused() {
    let bob = with_messages(1);
    for flags in [
        keyword("a b"),
        keyword(""),
        keyword(&"x".repeat(crate::KEYWORD_MAX + 1)),
        Flags { system: 0, keywords: (0..=crate::KEYWORDS_MAX).map(|n| format!("k{n}")).collect() },
    ] {
        let (account, mailbox, uids) = (bob.bob, MailboxRef::Inbox, vec![Uid(1)]);
        let op = Op::SetFlags { account, mailbox, uids, change: FlagChange::Add(flags), unchanged_since: None };
        assert!(matches!(bob.store.commit_blocking(Commit::of(vec![op])), Err(CommitError::Malformed(_))));
    }
}

#[test]
fn copies_keep_flags_dates_and_their_email() {
    let bob = with_messages(5);
    bob.set(&[2], FlagChange::Add(Flags { system: Flags::FLAGGED, keywords: vec!["Work".into()] }), None);
    bob.copy(&[5], "Archive");
    let (pairs, modseq) = bob.copy(&[4, 2, 99], "Archive");
    assert_eq!(pairs, [(2, 2), (4, 3)]);
    let copy = &bob.store.messages_of(bob.archive, &[Uid(2), Uid(7)]).unwrap()[0];
    let source = &bob.store.messages_of(bob.inbox, &[Uid(2)]).unwrap()[0];
    assert_eq!((&copy.flags, copy.received_at, copy.size), (&source.flags, source.received_at, source.size));
    assert_eq!((copy.email, copy.thread, Some(copy.modseq)), (source.email, source.thread, modseq));
    assert!(copy.saved_at > source.saved_at);
    let octets = |kept| bob.store.reader(kept).unwrap().read_whole().unwrap();
    assert_eq!(octets(copy), octets(source));
    assert_eq!(bob.store.check().unwrap().bodies, 5, "no octet was copied");
}

#[test]
fn a_move_is_one_change_in_both_mailboxes() {
    let bob = with_messages(6);
    let (session, other) = (bob.store.open_mailbox(bob.inbox).unwrap(), bob.store.open_mailbox(bob.archive).unwrap());
    let (before, before_there) = (session.now().unwrap(), other.now().unwrap());
    let (pairs, modseq) = bob.shift(&[6, 1, 3], "Archive");
    assert_eq!(pairs, [(1, 1), (3, 2), (6, 3)]);
    let (now, there) = (session.now().unwrap(), other.now().unwrap());
    assert_eq!(before.changes_to(&now).vanished, uids(&[1, 3, 6]));
    assert_eq!(before_there.changes_to(&there).added, uids(&[1, 2, 3]));
    assert_eq!((Some(now.modseq), Some(there.modseq)), (modseq, modseq));
    assert_eq!(bob.store.vanished(bob.inbox, before.modseq).unwrap(), [1, 3, 6].map(|uid| (Uid(uid), Uid(uid))));
    assert_eq!(bob.store.holding(bob.bob).unwrap().messages, 6);
}

#[test]
fn a_move_within_a_mailbox_gives_new_uids() {
    let bob = with_messages(3);
    bob.set(&[2], FlagChange::Add(Flags::system(Flags::DELETED)), None);
    assert_eq!(bob.shift(&[2], "inbox").0, [(2, 4)]);
    assert_eq!(bob.now(bob.inbox).rows().map(|row| row.uid.0).collect::<Vec<_>>(), [1, 3, 4]);
}

#[test]
fn only_what_is_deleted_is_expunged() {
    let bob = with_messages(4);
    bob.set(&[1, 3, 4], FlagChange::Add(Flags::system(Flags::DELETED)), None);
    let op = Op::ExpungeDeleted { account: bob.bob, mailbox: MailboxRef::Inbox, uids: uids(&[1, 2, 3]) };
    let Outcome::Expunged { uids: gone, .. } = bob.run(op) else { panic!() };
    assert_eq!(gone, uids(&[1, 3]));
}

#[test]
fn copies_for_another_account_are_its_own_with_the_flags_they_keep() {
    let bob = with_messages(2);
    let alice = make_account(&bob.store, "alice");
    let all = Flags { system: Flags::SEEN | Flags::DELETED, keywords: vec!["$Forwarded".into()] };
    bob.set(&[1], FlagChange::Add(all.clone()), None);
    let kept = FlagMask { system: Flags::SEEN, keywords: false };
    let (account, source, target) = (bob.bob, MailboxRef::Inbox, MailboxRef::Inbox);
    let before = bob.store.holding(bob.bob).unwrap();
    let copy = |kept| Op::Copy {
        account,
        source: source.clone(),
        uids: uids(&[1, 2]),
        owner: alice,
        target: target.clone(),
        kept,
    };
    assert_eq!(bob.copied(copy(kept)).0, [(1, 1), (2, 2)]);
    assert_eq!(bob.copied(copy(FlagMask::ALL)).0, [(1, 3), (2, 4)]);
    let inbox = bob.store.mailbox_named(alice, "INBOX").unwrap().unwrap();
    let hers = bob.now(inbox.id);
    let flags: Vec<Flags> = hers.rows().map(|row| hers.flags(row)).collect();
    assert_eq!(flags, [Flags::system(Flags::SEEN), Flags::default(), all, Flags::default()]);
    assert_eq!((bob.store.holding(bob.bob).unwrap(), inbox.messages), (before, 4));
    bob.run(Op::Expunge { account, mailbox: MailboxRef::Inbox, uids: uids(&[1, 2]) });
    let kept = bob.store.messages(inbox.id, Uid(1), 9).unwrap();
    let text = |kept| String::from_utf8(bob.store.reader(kept).unwrap().read_whole().unwrap()).unwrap();
    let last = |kept| text(kept).chars().next_back();
    assert_eq!(kept.iter().map(last).collect::<Option<String>>().as_deref(), Some("1212"));
}

#[test]
fn a_refused_commit_leaves_open_mailboxes_alone() {
    let bob = with_messages(2);
    let before = bob.now(bob.inbox);
    let delete = Op::Expunge { account: bob.bob, mailbox: MailboxRef::Inbox, uids: uids(&[1]) };
    let nowhere = MailboxRef::Named("nowhere".into());
    let (account, source) = (bob.bob, MailboxRef::Inbox);
    let copy = Op::Copy { account, source, uids: uids(&[2]), owner: account, target: nowhere, kept: FlagMask::ALL };
    let refused = bob.store.commit_blocking(Commit::of(vec![delete, copy]));
    assert_eq!(refused, Err(CommitError::NoSuchMailbox("nowhere".into())));
    assert_eq!(before.changes_to(&bob.now(bob.inbox)), crate::Difference::default());
}

#[test]
fn several_messages_are_appended_together_or_not_at_all() {
    let bob = with_messages(0);
    let append = |contents: &[Vec<u8>], target: &str| {
        let draft = |content: &Vec<u8>| {
            let mut draft = bob.store.draft();
            draft.append(content).unwrap();
            crate::Body { head: Vec::new(), draft }
        };
        let op = |body: usize| Op::Place {
            account: bob.bob,
            mailbox: MailboxRef::Named(target.into()),
            body,
            prefix: Vec::new(),
            received_at: NOW + body as i64,
            flags: Flags::default(),
        };
        let ops = (0..contents.len()).map(op).collect();
        bob.store.commit_blocking(Commit { ops, bodies: contents.iter().map(draft).collect() })
    };
    let large = vec![b'l'; crate::SPILL_AT + 10];
    let contents = [b"Subject: one\r\n\r\n".to_vec(), large, b"Subject: three\r\n\r\n".to_vec(), vec![b'f'; 60_000]];
    let done = append(&contents, "INBOX").unwrap();
    assert_eq!(done.placed().map(|placed| placed.uid.0).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let read: Vec<_> = inbox(&bob.store, bob.bob).into_iter().map(|(_, octets)| octets).collect();
    assert!(read == contents);
    assert!(matches!(append(&contents, "nowhere"), Err(CommitError::NoSuchMailbox(_))));
    assert_eq!(bob.now(bob.inbox).len(), 4);
}

#[test]
fn a_commit_names_the_bodies_it_has() {
    let bob = with_messages(0);
    let mut commit = about(&bob.store, vec![place(bob.bob)], b"x");
    commit.bodies.push(crate::Body { head: Vec::new(), draft: bob.store.draft() });
    assert_eq!(bob.store.commit_blocking(commit), Err(CommitError::Malformed("nobody is to have the message")));
    let Op::Place { account, mailbox, prefix, received_at, flags, .. } = place(bob.bob) else { panic!() };
    let op = Op::Place { account, mailbox, body: 1, prefix, received_at, flags };
    let commit = about(&bob.store, vec![place(bob.bob), op], b"x");
    assert!(matches!(bob.store.commit_blocking(commit), Err(CommitError::Malformed(_))));
}

#[test]
fn replacing_a_message_is_one_commit() {
    let bob = with_messages(2);
    let expunge = Op::Expunge { account: bob.bob, mailbox: MailboxRef::Inbox, uids: uids(&[1]) };
    let commit = about(&bob.store, vec![place(bob.bob), expunge], b"a better one");
    bob.store.commit_blocking(commit).unwrap();
    assert_eq!(bob.now(bob.inbox).rows().map(|row| row.uid.0).collect::<Vec<_>>(), [2, 3]);
}

#[tokio::test]
async fn a_session_hears_of_every_change_of_its_mailbox() {
    let bob = tokio::task::spawn_blocking(|| with_messages(1)).await.unwrap();
    let mut session = bob.store.open_mailbox(bob.inbox).unwrap();
    let before = session.now().unwrap();
    let Op::Place { account, mailbox, body, prefix, received_at, flags } = place(bob.bob) else { panic!() };
    let op = Op::Place { account, mailbox, body, prefix, received_at, flags };
    bob.store.commit(about(&bob.store, vec![op], b"news")).await.unwrap();
    session.changed().await;
    assert_eq!(before.changes_to(&session.now().unwrap()).added, uids(&[2]));
    tokio::task::spawn_blocking(move || drop(bob)).await.unwrap();
}

#[test]
fn a_mailbox_is_opened_while_it_changes_and_nothing_is_missed() {
    let bob = with_messages(0);
    std::thread::scope(|scope| {
        let traffic = scope.spawn(|| {
            for number in 1..=60_u32 {
                deliver(&bob.store, &[bob.bob], b"x").unwrap();
                bob.set(&[number / 2], FlagChange::Add(keyword(&format!("k{number}"))), None);
                bob.shift(&[number / 3], "Archive");
            }
        });
        while !traffic.is_finished() {
            let open = bob.store.open_mailbox(bob.archive).unwrap();
            assert!(open.now().unwrap().rows().map(|row| row.uid).is_sorted());
            bob.store.running.shared.live.remove(bob.archive);
        }
        traffic.join().unwrap();
    });
}

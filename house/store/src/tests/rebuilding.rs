//! The index is lost, and what lies in segments makes a new one.

use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::{MailboxId, OpenError, QueueFilter, Rebuilding, Rebuilt, SPILL_AT, Uid, rebuild};

fn order() -> Rebuilding {
    Rebuilding { dry_run: false, force: false, unknown_record: "{}".into(), clock: || NOW + 1000 }
}

fn rebuild_in(dir: &Path) -> Rebuilt {
    rebuild(dir, &order(), |_| ()).unwrap()
}

fn lose_index(dir: &Path) {
    for name in ["store.db", "store.db-wal", "store.db-shm"] {
        let _ = std::fs::remove_file(dir.join(name));
    }
}

fn segments(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.unwrap();
        (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())
    };
    let mut files: Vec<_> = std::fs::read_dir(dir.join("seg")).unwrap().map(read).collect();
    files.sort();
    files
}

fn filed(account: AccountId, mailbox: MailboxId, flags: Flags) -> Op {
    Op::Place { account, mailbox: MailboxRef::Id(mailbox), body: 0, prefix: Vec::new(), received_at: NOW - 9, flags }
}

/// UID, flags, date and octets.
type Message = (u32, Flags, i64, Vec<u8>);

/// The messages of each mailbox that has some.
fn contents(store: &Store, account: AccountId) -> Vec<(String, Vec<Message>)> {
    let messages = |mailbox: &crate::MailboxRow| {
        let kept = store.messages(mailbox.id, Uid(1), usize::MAX).unwrap();
        let read = |kept: &crate::Kept| {
            (kept.uid.0, kept.flags.clone(), kept.received_at, store.reader(kept).unwrap().read_whole().unwrap())
        };
        (mailbox.name.to_string(), kept.iter().map(read).collect::<Vec<_>>())
    };
    let all = store.mailboxes(account).unwrap().iter().map(messages).collect::<Vec<_>>();
    all.into_iter().filter(|(_, messages)| !messages.is_empty()).collect()
}

fn queued(expires: i64) -> Op {
    let Op::Enqueue(mail) = enqueue(&["one@x.test", "two@x.test"]) else { unreachable!() };
    Op::Enqueue(QueuedMail { expires, eight_bit: true, envid: Some("QQ".into()), ..mail })
}

fn make_mailbox(store: &Store, account: AccountId, name: &str) -> MailboxId {
    let create = Op::CreateMailbox { account, name: name.into(), special_use: Vec::new() };
    store.commit_blocking(Commit::of(vec![create])).unwrap().mailbox().unwrap()
}

#[test]
fn everything_comes_back_as_it_was_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (bob, alice) = (make_account(&store, "bob"), make_account(&store, "alice"));
    let work = make_mailbox(&store, bob, "Work/Bills");
    let flags = Flags { system: Flags::FLAGGED | Flags::SEEN, keywords: vec!["$Todo".into()] };
    let (small, large) = (vec![b's'; 9000], vec![b'l'; SPILL_AT + 5000]);
    for number in 0..12_u8 {
        deliver(&store, &[bob, alice], &[&small[..], &[number]].concat()).unwrap();
    }
    deliver(&store, &[bob], &large).unwrap();
    for body in [&b"filed"[..], &large] {
        store.commit_blocking(about(&store, vec![filed(bob, work, flags.clone())], body)).unwrap();
    }
    // In a group of another sort there is no entry for it.
    let mixed = vec![filed(alice, store.mailbox_named(alice, "Sent").unwrap().unwrap().id, flags.clone()), {
        Op::Subscribe { account: alice, name: "Nowhere".into() }
    }];
    store.commit_blocking(about(&store, mixed, b"mixed")).unwrap();
    store.commit_blocking(about(&store, vec![queued(NOW + 5000)], b"on its way")).unwrap();
    store.commit_blocking(about(&store, vec![queued(NOW + 500)], b"expired")).unwrap();
    let (expected, expected_alice) = (contents(&store, bob), contents(&store, alice));
    let (names, before) = (store.subscriptions(alice).unwrap(), store.mailboxes(bob).unwrap());
    // What happens later only the index knows.
    let seen = crate::FlagChange::Add(Flags::system(Flags::SEEN));
    let inbox = || MailboxRef::Inbox;
    let ops = [
        Op::SetFlags { account: bob, mailbox: inbox(), uids: vec![Uid(1)], change: seen, unchanged_since: None },
        Op::Move { account: bob, source: inbox(), uids: vec![Uid(2)], target: MailboxRef::Id(work) },
        Op::Expunge { account: bob, mailbox: inbox(), uids: vec![Uid(3)] },
    ];
    for op in ops {
        store.commit_blocking(Commit::of(vec![op])).unwrap();
    }
    store.close();
    lose_index(dir.path());
    let octets = segments(dir.path());

    let rebuilt = rebuild_in(dir.path());
    assert_eq!((rebuilt.messages, rebuilt.held, rebuilt.expired, rebuilt.left_out), (28, 2, 1, 0));
    assert!(rebuilt.has_names && rebuilt.damage.is_empty(), "{rebuilt:?}");
    assert!(segments(dir.path()) == octets, "segments are not touched");
    assert_sound(dir.path());
    let store = open(dir.path());
    assert!(contents(&store, bob) == expected);
    assert!(contents(&store, alice) == expected_alice);
    assert_eq!(store.subscriptions(alice).unwrap(), names);
    let now = store.mailboxes(bob).unwrap();
    assert_eq!(
        now.iter().map(|row| &row.name).collect::<Vec<_>>(),
        before.iter().map(|row| &row.name).collect::<Vec<_>>()
    );
    let highest = before.iter().map(|row| row.uidvalidity).max().unwrap();
    assert!(now.iter().all(|row| row.uidvalidity > highest), "clients begin anew");
    let [mail] = &store.queue_list(&QueueFilter::default(), 10).unwrap()[..] else { panic!() };
    assert_eq!((mail.recipients.len(), mail.envid.as_deref(), mail.eight_bit), (2, Some("QQ"), true));
    assert!(mail.recipients.iter().all(|recipient| recipient.held), "nobody knows whether it was delivered");
    deliver(&store, &[bob], b"afterwards").unwrap();
    assert_eq!(store.maildrop(bob).unwrap().messages.len(), 14);
    store.close();
    assert_sound(dir.path());
}

#[test]
fn who_is_known_by_mail_alone_is_called_by_its_address() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (bob, carol) = (make_account(&store, "bob@hamburger.test"), make_account(&store, "carol@hamburger.test"));
    let named = |account, address: &str| Op::Place {
        account,
        mailbox: MailboxRef::Inbox,
        body: 0,
        prefix: format!("Return-Path: <>\r\nDelivered-To: {address}\r\n").into_bytes(),
        received_at: NOW,
        flags: Flags::default(),
    };
    for address in ["sales@hamburger.test", "bob@hamburger.test", "bob@hamburger.test"] {
        store.commit_blocking(about(&store, vec![named(bob, address)], b"text")).unwrap();
    }
    let folder = make_mailbox(&store, carol, "Folder");
    store.commit_blocking(about(&store, vec![filed(carol, folder, Flags::default())], b"filed")).unwrap();
    let inboxes = [bob, carol].map(|account| store.mailbox_named(account, "INBOX").unwrap().unwrap().uidvalidity);
    store.close();
    lose_index(dir.path());
    std::fs::remove_file(dir.path().join("register.db")).unwrap();

    let rebuilt = rebuild_in(dir.path());
    assert!(!rebuilt.has_names);
    let accounts: Vec<_> = rebuilt.accounts.iter().map(|account| (account.name.as_str(), account.messages)).collect();
    assert_eq!(accounts, [("account-2@recovered.invalid", 1), ("bob@hamburger.test", 3)]);
    assert!(rebuilt.accounts.iter().all(|account| account.is_unknown));
    assert_sound(dir.path());
    let store = open(dir.path());
    assert_eq!(contents(&store, carol)[0].0, format!("Recovered/{folder}"));
    assert_eq!(contents(&store, bob)[0].1.len(), 3);
    assert!(inboxes.iter().all(|before| store.mailboxes(bob).unwrap()[0].uidvalidity > *before));
    let dave = make_account(&store, "dave");
    assert!(dave > carol && make_mailbox(&store, dave, "New") > folder, "no number is given twice");
}

#[test]
fn damage_costs_what_is_damaged_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bob = make_account(&store, "bob");
    for content in ["one", "two", "three", "four", "five"] {
        deliver(&store, &[bob], content.as_bytes()).unwrap();
    }
    store.close();
    let path = dir.path().join("seg/0000000001.seg");
    let octets = std::fs::read(&path).unwrap();
    let place = |text: &str| octets.windows(text.len()).position(|window| window == text.as_bytes()).unwrap() as u64;
    let header = |text: &str| place(text) - HEAD.len() as u64 - 64;
    let body = (place("two"), vec![b'#']);
    let torn = (header("three"), vec![0xdb; 64]);
    let zeroed = (header("three"), vec![0; 300]);
    let front = (0, vec![0; 64]);
    let cases = [
        (vec![body.clone()], vec!["one", "three", "four", "five"]),
        (vec![torn], vec!["one", "two", "four", "five"]),
        (vec![zeroed], vec!["one", "two", "four", "five"]),
        (vec![front, body], vec!["one", "three", "four", "five"]),
    ];
    for (damage, left) in cases {
        let image = tempfile::tempdir().unwrap();
        copy(dir.path(), image.path());
        lose_index(image.path());
        let path = image.path().join("seg/0000000001.seg");
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        for (offset, octets) in &damage {
            file.write_all_at(octets, *offset).unwrap();
        }
        let rebuilt = rebuild_in(image.path());
        assert!(rebuilt.damage.iter().any(|what| what.contains("segment 1")), "{rebuilt:?}");
        assert!(rebuilt.kept.unwrap().join("0000000001.seg").exists(), "what is damaged is not given back");
        let expected: Vec<_> = (1..).zip(left.iter().map(|text| as_read(bob, text.as_bytes()))).collect();
        assert_eq!(inbox(&open(image.path()), bob), expected);
    }
}

#[test]
fn what_lies_behind_the_end_was_never_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bob = make_account(&store, "bob");
    deliver(&store, &[bob], b"kept").unwrap();
    store.close();
    let path = dir.path().join("seg/0000000001.seg");
    let octets = std::fs::read(&path).unwrap();
    let end = octets.iter().rposition(|octet| *octet != 0).unwrap() + 1;
    // Of a group that was refused, behind a shorter one that came after it.
    let trailer = crate::record::trailer(&[place(bob)], 0);
    let header = crate::record::Header {
        kind: crate::record::Kind::Message,
        body: crate::names::BodyId(99),
        head_len: 0,
        body_len: 7,
        body_crc: crc32fast::hash(b"refused"),
        trailer_len: trailer.len() as u32,
        trailer_crc: crc32fast::hash(&trailer),
        written_at: NOW,
    };
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[&header.encode()[..], b"refused", &trailer].concat(), end as u64 + 128).unwrap();
    lose_index(dir.path());
    let rebuilt = rebuild_in(dir.path());
    assert_eq!((rebuilt.messages, rebuilt.damage), (1, vec![]));
    assert_sound(dir.path());
}

#[test]
fn copies_and_removed_accounts_are_no_more_than_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (bob, carol) = (make_account(&store, "bob"), make_account(&store, "carol"));
    for number in 0..14_u8 {
        deliver(&store, &[bob], &vec![b'a' + number; 9000]).unwrap();
    }
    deliver(&store, &[carol], b"private").unwrap();
    store.commit_blocking(Commit::of(vec![Op::RemoveAccount { account: carol }])).unwrap();
    let before = tempfile::tempdir().unwrap();
    copy(dir.path(), before.path());
    let uids = (1..=14).filter(|uid| uid % 3 != 0).map(Uid).collect();
    store.commit_blocking(Commit::of(vec![Op::Expunge { account: bob, mailbox: MailboxRef::Inbox, uids }])).unwrap();
    store.compact(u64::MAX).unwrap();
    store.close();
    // As if the power had gone before the files were removed: what was copied is there twice.
    for entry in std::fs::read_dir(before.path().join("seg")).unwrap().map(Result::unwrap) {
        let target = dir.path().join("seg").join(entry.file_name());
        if !target.exists() {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
    lose_index(dir.path());
    let rebuilt = rebuild_in(dir.path());
    assert_eq!((rebuilt.messages, rebuilt.left_out), (14, 1));
    assert_sound(dir.path());
    let letters: Vec<_> = inbox(&open(dir.path()), bob).iter().map(|(_, octets)| octets[octets.len() - 1]).collect();
    assert_eq!(letters, (b'a'..).take(14).collect::<Vec<_>>(), "in the order in which they came");
}

#[test]
fn whoever_is_interrupted_begins_again_where_he_was() {
    let prepared = tempfile::tempdir().unwrap();
    let store = open(prepared.path());
    let bob = make_account(&store, "bob");
    for number in 0..20_u8 {
        deliver(&store, &[bob], &vec![b'a' + number; 9000]).unwrap();
    }
    let expected = inbox(&store, bob);
    store.close();
    // Damaged beyond repair.
    let file = std::fs::OpenOptions::new().write(true).open(prepared.path().join("store.db")).unwrap();
    file.write_all_at(&[0xdb; 8192], 0).unwrap();
    let octets = segments(prepared.path());
    for steps in 0.. {
        let dir = tempfile::tempdir().unwrap();
        copy(prepared.path(), dir.path());
        let mut left = steps;
        let interrupted = catch_unwind(AssertUnwindSafe(|| {
            let count = |_| {
                assert!(left > 0, "interrupted");
                left -= 1;
            };
            rebuild(dir.path(), &order(), count).unwrap()
        }));
        if interrupted.is_err() {
            assert!(dir.path().join("store.db").exists() && segments(dir.path()) == octets);
            assert!(Store::open(dir.path(), small()).is_err());
            rebuild_in(dir.path());
        }
        assert!(inbox(&open(dir.path()), bob) == expected);
        assert!(!dir.path().join("rebuild").exists());
        assert_sound(dir.path());
        if interrupted.is_ok() {
            assert!(steps > 3);
            return;
        }
    }
}

#[test]
fn whoever_is_stopped_while_the_old_index_is_moved_has_it_or_the_new_one() {
    let prepared = tempfile::tempdir().unwrap();
    let store = open(prepared.path());
    let bob = make_account(&store, "bob");
    deliver(&store, &[bob], b"hungry").unwrap();
    // What is in the log alone: the store is not closed.
    let carol = make_account(&store, "carol");
    deliver(&store, &[carol], b"thirsty").unwrap();
    let expected = [inbox(&store, bob), inbox(&store, carol)];
    let mut cuts = 0;
    for step in 0.. {
        let dir = tempfile::tempdir().unwrap();
        copy(prepared.path(), dir.path());
        assert!(std::fs::metadata(dir.path().join("store.db-wal")).unwrap().len() > 0);
        let disk = FaultyDisk::failing_at(step, faulty::Fault::Stop);
        let stopped = crate::rebuild::rebuild_on(dir.path(), &Rebuilding { force: true, ..order() }, &disk, |_| ());
        assert_eq!(stopped.is_err(), disk.has_failed());
        // Whatever has a name now is whole: it is not an index without its log.
        let opened = tempfile::tempdir().unwrap();
        copy(dir.path(), opened.path());
        let after = open(opened.path());
        assert!([inbox(&after, bob), inbox(&after, carol)] == expected, "stopped at {}", disk.failed_at());
        after.close();
        assert_sound(opened.path());
        if stopped.is_ok() {
            break;
        }
        cuts += 1;
        rebuild(dir.path(), &Rebuilding { force: true, ..order() }, |_| ()).unwrap();
        let after = open(dir.path());
        assert_eq!(
            after.accounts().unwrap().iter().map(|account| account.name.as_str()).collect::<Vec<_>>(),
            ["bob", "carol"]
        );
        assert!([inbox(&after, bob), inbox(&after, carol)] == expected, "begun again after {}", disk.failed_at());
    }
    assert!(cuts >= 3, "it was moved in {cuts} steps");
}

#[test]
fn a_dry_run_says_the_same_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bob = make_account(&store, "bob");
    deliver(&store, &[bob], b"text").unwrap();
    store.close();
    lose_index(dir.path());
    let dry = rebuild(dir.path(), &Rebuilding { dry_run: true, ..order() }, |_| ()).unwrap();
    assert_eq!((dry.messages, &dry.kept), (1, &None));
    assert!(!dir.path().join("store.db").exists());
    let rebuilt = rebuild_in(dir.path());
    assert_eq!(Rebuilt { kept: None, ..rebuilt }, dry);
}

#[test]
fn an_index_that_can_be_read_is_not_given_up_by_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bob = make_account(&store, "bob");
    deliver(&store, &[bob], b"text").unwrap();
    assert!(matches!(rebuild(dir.path(), &order(), |_| ()), Err(OpenError::InUse { .. })));
    store.close();
    assert!(matches!(rebuild(dir.path(), &order(), |_| ()), Err(OpenError::NotNeeded { .. })));
    let rebuilt = rebuild(dir.path(), &Rebuilding { force: true, ..order() }, |_| ()).unwrap();
    assert_eq!(rebuilt.messages, 1);
    assert!(rebuilt.kept.unwrap().join("store.db").exists());
    assert_eq!(open(dir.path()).accounts().unwrap()[0].name, "bob");
    assert!(matches!(rebuild(dir.path().join("nothing"), &order(), |_| ()), Err(OpenError::NotAStore { .. })));
}

#[test]
fn an_index_older_than_the_mail_beside_it_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bob = make_account(&store, "bob");
    deliver(&store, &[bob], b"before").unwrap();
    store.close();
    let backup = std::fs::read(dir.path().join("store.db")).unwrap();
    let store = open(dir.path());
    for number in 0..9_u8 {
        deliver(&store, &[bob], &vec![b'a' + number; 20_000]).unwrap();
    }
    store.close();
    std::fs::write(dir.path().join("store.db"), backup).unwrap();
    let octets = segments(dir.path());
    assert!(matches!(Store::open(dir.path(), small()), Err(OpenError::Damaged(why)) if why.contains("rebuild")));
    assert!(segments(dir.path()) == octets, "nothing is removed");
    rebuild(dir.path(), &Rebuilding { force: true, ..order() }, |_| ()).unwrap();
    assert_eq!(inbox(&open(dir.path()), bob).len(), 10);
}

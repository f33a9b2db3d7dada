//! Mailboxes in a tree: made, removed, renamed, subscribed, annotated, shared.

use super::*;
use crate::{Change, MailboxChange, MailboxId, Outcome, Uid};

fn run(store: &Store, op: Op) -> Result<Outcome, CommitError> {
    store.commit_blocking(Commit::of(vec![op])).map(|done| done.outcomes.into_iter().next().unwrap())
}

fn create(store: &Store, account: AccountId, name: &str) -> Result<MailboxId, CommitError> {
    match run(store, Op::CreateMailbox { account, name: name.into(), special_use: Vec::new() })? {
        Outcome::Mailbox(mailbox) => Ok(mailbox),
        other => panic!("{other:?}"),
    }
}

fn rename(store: &Store, account: AccountId, source: &str, target: &str) -> Result<Outcome, CommitError> {
    run(store, Op::RenameMailbox { account, source: source.into(), target: target.into() })
}

fn delete(store: &Store, account: AccountId, name: &str) -> Result<Outcome, CommitError> {
    run(store, Op::DeleteMailbox { account, mailbox: MailboxRef::Named(name.into()) })
}

/// The names that an account was not born with.
fn names(store: &Store, account: AccountId) -> Vec<String> {
    let born = ["INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"];
    let names = store.mailboxes(account).unwrap().into_iter().map(|row| row.name);
    names.filter(|name| !born.contains(&name.as_str())).collect()
}

fn with_account() -> (tempfile::TempDir, Store, AccountId) {
    let dir = tempfile::tempdir().unwrap();
    let store = open_swiftly(dir.path());
    let bob = make_account(&store, "bob");
    (dir, store, bob)
}

#[test]
fn a_mailbox_is_made_with_those_above_it() {
    let (_dir, store, bob) = with_account();
    let pickles = create(&store, bob, "food/sour/pickles").unwrap();
    assert_eq!(names(&store, bob), ["food", "food/sour", "food/sour/pickles"]);
    assert_eq!(store.mailbox_named(bob, "food/sour/pickles").unwrap().unwrap().id, pickles);
    assert_eq!(create(&store, bob, "food"), Err(CommitError::MailboxExists("food".into())));
    assert_eq!(create(&store, bob, "inbox"), Err(CommitError::MailboxExists("INBOX".into())));
    create(&store, bob, "inbox/lists").unwrap();
    assert!(names(&store, bob).contains(&"INBOX/lists".into()));
    assert!(matches!(create(&store, bob, "a//b"), Err(CommitError::Malformed(_))));
    assert_eq!(create(&store, AccountId(99), "x"), Err(CommitError::NoSuchAccount(AccountId(99))));
}

#[test]
fn no_two_mailboxes_have_the_same_use() {
    let (_dir, store, bob) = with_account();
    let make = |name: &str, uses: &[&str]| {
        let special_use = uses.iter().map(|word| (*word).into()).collect();
        run(&store, Op::CreateMailbox { account: bob, name: name.into(), special_use })
    };
    assert_eq!(make("Gesendet", &["\\sent"]), Err(CommitError::UseTaken("Sent".into())));
    assert!(matches!(make("x", &["Sent"]), Err(CommitError::Malformed(_))));
    make("All", &["\\All", "\\Important"]).unwrap();
    let row = store.mailbox_named(bob, "All").unwrap().unwrap();
    assert_eq!((row.special_use, row.subscribed), (vec!["\\All".into(), "\\Important".into()], false));
    let mailbox = MailboxRef::Named("Sent".into());
    run(&store, Op::SetSpecialUse { account: bob, mailbox, special_use: Vec::new() }).unwrap();
    make("Gesendet", &["\\Sent"]).unwrap();
}

#[test]
fn a_mailbox_goes_with_its_messages_and_without_those_below_it() {
    let (dir, store, bob) = with_account();
    let food = create(&store, bob, "food").unwrap();
    create(&store, bob, "food/sour").unwrap();
    let Op::Place { account, body, prefix, received_at, flags, .. } = place(bob) else { panic!() };
    let op = Op::Place { account, mailbox: MailboxRef::Id(food), body, prefix, received_at, flags };
    store.commit_blocking(about(&store, vec![op], b"x")).unwrap();
    let open = store.open_mailbox(food).unwrap();
    let validity = store.mailbox_named(bob, "food").unwrap().unwrap().uidvalidity;
    delete(&store, bob, "food").unwrap();
    assert_eq!(names(&store, bob), ["food/sour"]);
    assert!(open.now().is_none());
    assert_eq!((store.holding(bob).unwrap().messages, store.check().unwrap().bodies), (0, 0));
    assert_eq!(delete(&store, bob, "food"), Err(CommitError::NoSuchMailbox("food".into())));
    assert_eq!(delete(&store, bob, "INBOX"), Err(CommitError::Forbidden("INBOX cannot be removed")));
    create(&store, bob, "food").unwrap();
    assert!(store.mailbox_named(bob, "food").unwrap().unwrap().uidvalidity > validity);
    store.close();
    assert_sound(dir.path());
}

#[test]
fn a_tree_is_renamed_and_nothing_else() {
    let (dir, store, bob) = with_account();
    for name in ["food/sour/pickles", "food0", "food-", "fo"] {
        create(&store, bob, name).unwrap();
    }
    let before = store.mailbox_named(bob, "food/sour").unwrap().unwrap();
    rename(&store, bob, "food", "kitchen/food").unwrap();
    assert_eq!(
        names(&store, bob),
        ["fo", "food-", "food0", "kitchen", "kitchen/food", "kitchen/food/sour", "kitchen/food/sour/pickles"]
    );
    let after = store.mailbox_named(bob, "kitchen/food/sour").unwrap().unwrap();
    assert_eq!((after.id, after.uidvalidity), (before.id, before.uidvalidity));
    // A name of which only mailboxes below exist.
    delete(&store, bob, "kitchen").unwrap();
    rename(&store, bob, "kitchen", "house").unwrap();
    assert_eq!(
        names(&store, bob),
        ["fo", "food-", "food0", "house/food", "house/food/sour", "house/food/sour/pickles"]
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
    );
    store.close();
    assert_sound(dir.path());
}

#[test]
fn what_cannot_be_renamed_stays() {
    let (_dir, store, bob) = with_account();
    create(&store, bob, "a/b").unwrap();
    create(&store, bob, "c/b").unwrap();
    delete(&store, bob, "c").unwrap();
    let before = names(&store, bob);
    assert!(matches!(rename(&store, bob, "a", "a/x"), Err(CommitError::Forbidden(_))));
    assert_eq!(rename(&store, bob, "a", "Sent"), Err(CommitError::MailboxExists("Sent".into())));
    assert_eq!(rename(&store, bob, "a", "inbox"), Err(CommitError::MailboxExists("INBOX".into())));
    assert_eq!(rename(&store, bob, "a", "c"), Err(CommitError::MailboxExists("c/b".into())));
    assert_eq!(rename(&store, bob, "x", "y"), Err(CommitError::NoSuchMailbox("x".into())));
    let deep = ["d"; 30].join("/");
    assert!(matches!(rename(&store, bob, "a", &deep), Err(CommitError::Malformed(_))));
    assert_eq!(names(&store, bob), before);
}

#[test]
fn renaming_inbox_gives_its_messages_away() {
    let (dir, store, bob) = with_account();
    create(&store, bob, "INBOX/lists").unwrap();
    for number in 0..5 {
        deliver(&store, &[bob], format!("{number}").as_bytes()).unwrap();
    }
    let uids = vec![Uid(2)];
    run(&store, Op::Expunge { account: bob, mailbox: MailboxRef::Inbox, uids }).unwrap();
    let inbox_before = store.mailbox_named(bob, "INBOX").unwrap().unwrap();
    let opened = store.open_mailbox(inbox_before.id).unwrap();
    let Ok(Outcome::Mailbox(old)) = rename(&store, bob, "InBox", "old/mail") else { panic!() };
    assert_eq!(names(&store, bob), ["INBOX/lists", "old", "old/mail"]);
    let moved = store.messages(old, Uid(1), 10).unwrap();
    assert_eq!(moved.iter().map(|kept| kept.uid.0).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(inbox(&store, bob).is_empty() && opened.now().unwrap().is_empty());
    let inbox_after = store.mailbox_named(bob, "INBOX").unwrap().unwrap();
    assert_eq!((inbox_after.id, inbox_after.uidnext, inbox_after.messages), (inbox_before.id, 6, 0));
    assert_eq!(store.vanished(inbox_before.id, inbox_before.modseq).unwrap(), [(Uid(1), Uid(5))]);
    store.close();
    assert_sound(dir.path());
}

#[test]
fn subscriptions_outlive_mailboxes() {
    let (_dir, store, bob) = with_account();
    create(&store, bob, "food").unwrap();
    let subscribe = |name: &str| run(&store, Op::Subscribe { account: bob, name: name.into() }).unwrap();
    subscribe("food");
    subscribe("food");
    subscribe("not/there");
    delete(&store, bob, "food").unwrap();
    let unsubscribe = |name: &str| run(&store, Op::Unsubscribe { account: bob, name: name.into() }).unwrap();
    unsubscribe("inbox");
    unsubscribe("nowhere");
    assert_eq!(store.subscriptions(bob).unwrap(), ["Archive", "Drafts", "Junk", "Sent", "Trash", "food", "not/there"]);
    create(&store, bob, "food").unwrap();
    assert!(store.mailbox_named(bob, "food").unwrap().unwrap().subscribed);
}

#[test]
fn annotations_and_rights_belong_to_a_mailbox() {
    let (dir, store, bob) = with_account();
    let food = create(&store, bob, "food").unwrap();
    let comment = "/private/comment".to_owned();
    let set = |mailbox: Option<MailboxRef>, value: Option<&[u8]>| {
        let entries = vec![(comment.clone(), value.map(<[u8]>::to_vec))];
        run(&store, Op::SetMetadata { account: bob, mailbox, entries })
    };
    set(Some(MailboxRef::Id(food)), Some(b"pickles")).unwrap();
    set(None, Some(b"of the account")).unwrap();
    assert_eq!(store.metadata(bob, Some(food)).unwrap(), [(comment.clone(), b"pickles".to_vec())]);
    assert_eq!(store.metadata(bob, None).unwrap(), [(comment.clone(), b"of the account".to_vec())]);
    set(None, None).unwrap();
    assert!(store.metadata(bob, None).unwrap().is_empty());
    let too_long = vec![0; crate::METADATA_VALUE_MAX + 1];
    assert!(matches!(set(None, Some(&too_long)), Err(CommitError::Malformed(_))));
    let entries = (0..=crate::METADATA_ENTRIES_MAX).map(|n| (format!("/private/x{n}"), Some(Vec::new())));
    let (some, rest): (Vec<_>, Vec<_>) = entries.partition(|(name, _)| name.len() % 2 == 0);
    run(&store, Op::SetMetadata { account: bob, mailbox: None, entries: some }).unwrap();
    let too_many = run(&store, Op::SetMetadata { account: bob, mailbox: None, entries: rest });
    assert_eq!(too_many, Err(CommitError::TooMany("annotations")));

    let grant = |rights: &str| {
        let mailbox = MailboxRef::Id(food);
        run(&store, Op::SetRights { account: bob, mailbox, who: "alice".into(), rights: rights.into() })
    };
    grant("lr").unwrap();
    grant("lrs").unwrap();
    assert_eq!(store.rights(food).unwrap(), [("alice".into(), "lrs".into())]);
    let shared = store.shared_with("alice").unwrap();
    assert_eq!((shared.len(), shared[0].mailbox, shared[0].name.as_str()), (1, food, "food"));
    assert!(matches!(grant("l r"), Err(CommitError::Malformed(_))));
    delete(&store, bob, "food").unwrap();
    assert!(store.shared_with("alice").unwrap().is_empty());
    store.close();
    assert_sound(dir.path());
}

#[test]
fn listeners_of_an_account_hear_of_its_mailboxes_alone() {
    let (_dir, store, bob) = with_account();
    let alice = make_account(&store, "alice");
    let mut changes = store.changes_of(bob);
    create(&store, alice, "hers").unwrap();
    let mailbox = create(&store, bob, "a/b").unwrap();
    let above = store.mailbox_named(bob, "a").unwrap().unwrap();
    let what = [
        MailboxChange::Created { mailbox: above.id, name: "a".into() },
        MailboxChange::Created { mailbox, name: "a/b".into() },
    ];
    assert_eq!(*changes.blocking_recv().unwrap(), Change::Mailboxes { account: bob, what: what.into() });
    assert!(store.mailbox_named(bob, "a/b").unwrap().unwrap().made > above.made);
}

#[test]
fn the_log_stays_short_where_nothing_is_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_swiftly(dir.path());
    let bob = make_account(&store, "bob");
    for number in 0..400_u32 {
        // Some 24 MiB of pages in all.
        let value = vec![number as u8; 60 * 1024];
        let entries = vec![("/private/comment".to_owned(), Some(value))];
        run(&store, Op::SetMetadata { account: bob, mailbox: None, entries }).unwrap();
    }
    let log = std::fs::metadata(dir.path().join("store.db-wal")).unwrap().len();
    assert!(log < 18 * 1024 * 1024, "{log}");
}

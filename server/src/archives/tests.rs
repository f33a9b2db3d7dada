//! Mail goes out and comes back the same; stopped anywhere, it goes on without a message lost or doubled.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use store::{AccountId, Body, Commit, MailboxRef, Op, Options, Store, Uid};
use tempfile::TempDir;

struct Stage {
    folder: TempDir,
    store: Store,
    account: AccountId,
}

impl Stage {
    fn new() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("data"), Options::default()).unwrap();
        let account = Stage::account(&store, "joe");
        Stage { folder, store, account }
    }

    fn account(store: &Store, name: &str) -> AccountId {
        let op = Op::CreateAccount { name: name.into(), record: String::new() };
        store.commit_blocking(Commit::of(vec![op])).unwrap().account().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, mailbox: &str, text: &[u8], received_at: i64, flags: Flags) {
        let mut draft = self.store.draft();
        draft.append(text).unwrap();
        let (account, mailbox) = (self.account, MailboxRef::Named(mailbox.into()));
        let place = Op::Place { account, mailbox, body: 0, prefix: Vec::new(), received_at, flags };
        let commit = Commit { ops: vec![place], bodies: vec![Body { head: Vec::new(), draft }] };
        self.store.commit_blocking(commit).unwrap();
    }

    fn make(&self, mailbox: &str) {
        let op = Op::CreateMailbox { account: self.account, name: mailbox.into(), special_use: Vec::new() };
        let _ = self.store.commit_blocking(Commit::of(vec![op]));
    }

    fn import_with(&self, order: &Import) -> Summary {
        import(&self.store, self.account, order, &mut |_| true).unwrap()
    }

    fn import(&self, name: &str) -> Summary {
        self.import_with(&self.order(name))
    }

    fn order(&self, name: &str) -> Import {
        Import { path: self.path(name), format: None, into: None, dry_run: false, again: false }
    }

    fn export(&self, name: &str, format: Format) -> Summary {
        let order = Export { path: self.path(name), format, mailboxes: Vec::new() };
        export(&self.store, self.account, &order, &mut |_| true).unwrap()
    }

    fn contents(&self) -> Contents {
        contents(&self.store, self.account)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// Mailboxes and their messages: text, arrival, flags; sorted, as files have no order of their own.
type Contents = BTreeMap<String, Vec<(String, i64, u32, Vec<String>)>>;

fn contents(store: &Store, account: AccountId) -> Contents {
    let mailbox = |row: store::MailboxRow| {
        let kept = store.messages(row.id, Uid(1), usize::MAX).unwrap();
        let mut all: Vec<_> = kept.iter().map(|kept| message(store, kept)).collect();
        all.sort();
        (row.name, all)
    };
    store.mailboxes(account).unwrap().into_iter().map(mailbox).collect()
}

fn message(store: &Store, kept: &store::Kept) -> (String, i64, u32, Vec<String>) {
    let text = String::from_utf8(store.reader(kept).unwrap().read_whole().unwrap()).unwrap();
    let mut keywords = kept.flags.keywords.clone();
    keywords.sort();
    (text, kept.received_at, kept.flags.system, keywords)
}

#[test]
fn what_is_called_like_the_mailboxes_of_others_gets_another_name() {
    let stage = Stage::new();
    stage.write("mail/Other Users/joe/Work", "From joe@a.test Thu Jan  1 00:00:00 1970\nSubject: a\n\nb\n");
    stage.write("mail/Other Users of the club", "From joe@a.test Thu Jan  1 00:00:00 1970\nSubject: a\n\nb\n");
    let summary = stage.import("mail");
    let names: Vec<String> = stage.contents().into_keys().collect();
    assert!(names.contains(&"Other Users (imported)/joe/Work".to_owned()), "{names:?}");
    assert!(names.contains(&"Other Users of the club".to_owned()), "{names:?}");
    assert!(!names.iter().any(|name| name.starts_with("Other Users/")), "{names:?}");
    assert_eq!(summary.renamed, ["Other Users (imported)/joe/Work"]);
    assert_eq!((stage.import("mail").messages, stage.import("mail").known), (0, 2), "it is known again");
    let mut order = stage.order("mail");
    order.into = Some("Other Users".into());
    let summary = stage.import_with(&order);
    assert!(summary.renamed.iter().all(|name| name.starts_with("Other Users (imported)/")), "{summary:?}");
}

#[test]
fn a_maildir_comes_in_with_flags_dates_folders_and_subscriptions() {
    let stage = Stage::new();
    stage.write("mail/cur/1.a:2,FSa", "Subject: one\n\nhello\n");
    stage.write("mail/new/2.b", "Subject: two\r\n\r\n");
    stage.write("mail/.Work.B&APw-cher/cur/3.c:2,", "Subject: three\n\n");
    stage.write("mail/dovecot-keywords", "0 Junk\n");
    stage.write("mail/subscriptions", "Work.B&APw-cher\n");
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    fs::File::open(stage.path("mail/cur/1.a:2,FSa")).unwrap().set_modified(at).unwrap();
    let summary = stage.import("mail");
    assert_eq!((summary.messages, summary.mailboxes, summary.unreadable), (3, 2, 0));
    let contents = stage.contents();
    let flags = Flags::SEEN | Flags::FLAGGED;
    let one = ("Subject: one\r\n\r\nhello\r\n".into(), 1_000_000_000, flags, vec!["Junk".to_string()]);
    assert_eq!(contents["INBOX"][0], one);
    assert_eq!(contents["INBOX"][1].0, "Subject: two\r\n\r\n");
    assert_eq!(contents["Work/B\u{fc}cher"].len(), 1);
    assert!(stage.store.subscriptions(stage.account).unwrap().contains(&"Work/B\u{fc}cher".to_string()));
}

#[test]
fn what_was_imported_comes_in_once_and_what_is_new_comes_in_later() {
    let stage = Stage::new();
    stage.write("mail/cur/1.a:2,", "Subject: one\n\n");
    assert_eq!(stage.import("mail").messages, 1);
    // Read meanwhile, which is a new name, and there is a new message.
    fs::rename(stage.path("mail/cur/1.a:2,"), stage.path("mail/cur/1.a:2,S")).unwrap();
    stage.write("mail/cur/2.b:2,", "Subject: two\n\n");
    let second = stage.import("mail");
    assert_eq!((second.messages, second.known), (1, 1));
    let again = Import { again: true, ..stage.order("mail") };
    assert_eq!((stage.import_with(&again).messages, stage.import("mail").known), (2, 2));
    assert_eq!(stage.contents()["INBOX"].len(), 4);
}

#[test]
fn messages_that_are_the_same_are_as_many_as_they_were() {
    let stage = Stage::new();
    let one = "From a Tue Nov 14 22:13:20 2023\nSubject: same\n\nx\n\n";
    stage.write("old.mbox", &one.repeat(3));
    assert_eq!(stage.import("old.mbox").messages, 3);
    stage.write("old.mbox", &one.repeat(5));
    let second = stage.import("old.mbox");
    assert_eq!((second.messages, second.known, stage.contents()["old"].len()), (2, 3, 5));
}

#[test]
fn stopped_after_any_commit_it_goes_on_from_there() {
    let stage = Stage::new();
    let message = |number| format!("From a Tue Nov 14 22:13:20 2023\nSubject: {number}\n\nx\n\n");
    stage.write("old.mbox", &(0..1000).map(message).collect::<String>());
    let order = stage.order("old.mbox");
    let mut rounds = 0;
    while let Err(why) = import(&stage.store, stage.account, &order, &mut |progress| progress.messages == 0) {
        assert!(matches!(why, Stopped::Abandoned) && rounds < 1000, "{why}");
        rounds += 1;
    }
    let subjects: std::collections::BTreeSet<_> = stage.contents()["old"].iter().map(|one| one.0.clone()).collect();
    assert_eq!((subjects.len(), stage.contents()["old"].len(), rounds > 2), (1000, 1000, true));
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_comes_in() {
    let stage = Stage::new();
    stage.write("mail/cur/1.a:2,", "Subject: one\n\n");
    stage.write("mail/cur/2.b:2,", "Subject: zero\n\n\0\n");
    fs::create_dir(stage.path("mail/cur/3.c")).unwrap();
    let summary = stage.import("mail");
    assert_eq!((summary.messages, summary.unreadable), (1, 2));
    assert!(summary.troubles[0].what.ends_with("2.b:2,") && summary.troubles[0].why.contains("zero"));
    let nothing = import(&stage.store, stage.account, &stage.order("nowhere"), &mut |_| true);
    assert!(matches!(nothing, Err(Stopped::Place { .. })));
    let unfit = Import { into: Some("a//b".into()), ..stage.order("mail") };
    assert!(matches!(import(&stage.store, stage.account, &unfit, &mut |_| true), Err(Stopped::Name(..))));
}

#[test]
fn a_dry_run_counts_and_writes_nothing() {
    let stage = Stage::new();
    stage.write("mail/.New/cur/1.a:2,", "Subject: one\n\n");
    let before = stage.contents();
    let summary = stage.import_with(&Import { dry_run: true, ..stage.order("mail") });
    assert_eq!((summary.messages, summary.dry_run), (1, true));
    assert_eq!(stage.contents(), before);
    assert_eq!(stage.import("mail").messages, 1);
}

#[test]
fn another_mailbox_takes_it_all() {
    let stage = Stage::new();
    stage.write("mail/cur/1.a:2,", "Subject: one\n\n");
    stage.write("mail/.Work/cur/1.a:2,", "Subject: two\n\n");
    stage.import_with(&Import { into: Some("Old".into()), ..stage.order("mail") });
    let contents = stage.contents();
    assert_eq!((contents["Old"].len(), contents["Old/Work"].len(), contents["INBOX"].len()), (1, 1, 0));
}

#[test]
fn an_export_adds_to_a_maildir_and_never_writes_over_an_mbox() {
    let stage = Stage::new();
    stage.put("INBOX", b"Subject: one\r\n\r\n", 1, Flags::default());
    assert_eq!(stage.export("out", Format::MaildirPlus).messages, 1);
    stage.put("INBOX", b"Subject: two\r\n\r\n", 2, Flags::default());
    let second = stage.export("out", Format::MaildirPlus);
    assert_eq!((second.messages, second.known), (1, 1));
    assert!(fs::read_dir(stage.path("out/tmp")).unwrap().next().is_none());

    stage.export("boxes", Format::Mbox);
    let before = fs::read(stage.path("boxes/INBOX.mbox")).unwrap();
    stage.put("INBOX", b"Subject: three\r\n\r\n", 3, Flags::default());
    assert!(stage.export("boxes", Format::Mbox).unreadable > 0);
    assert_eq!(fs::read(stage.path("boxes/INBOX.mbox")).unwrap(), before);
    let names = fs::read_dir(stage.path("boxes")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| !name.to_string_lossy().starts_with('.')));

    stage.write("other/notes.txt", "x");
    let order = Export { path: stage.path("other"), format: Format::MaildirPlus, mailboxes: Vec::new() };
    assert!(export(&stage.store, stage.account, &order, &mut |_| true).is_err());
}

#[test]
fn a_message_larger_than_any_buffer_goes_both_ways() {
    let stage = Stage::new();
    let text = format!("Subject: large\r\n\r\n{}", "0123456789 From \r\nFrom x\r\n".repeat(100_000));
    stage.put("INBOX", text.as_bytes(), 5, Flags::default());
    for (name, format) in [("dir", Format::Maildir), ("box", Format::Mbox)] {
        stage.export(name, format);
        let other = Stage::new();
        other.import_with(&Import { path: stage.path(name), ..other.order("") });
        assert_eq!(other.contents()["INBOX"], stage.contents()["INBOX"]);
    }
}

fn any_flags() -> impl Strategy<Value = Flags> {
    (0..=Flags::ALL, prop::collection::btree_set("[a-c]{2}|\\$Forwarded", 0..3))
        .prop_map(|(system, keywords)| Flags { system, keywords: keywords.into_iter().collect() })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn an_export_that_is_imported_gives_the_same(
        messages in prop::collection::vec((
            prop::sample::select(vec!["INBOX", "Work", "Work/v1.2 & B\u{fc}cher", "INBOX/below", "cur/.x", "Sent"]),
            "(A: b\r\n|To: x\r\n y\r\n){0,2}\r\n(From x 1:2\r\n|>From y\r\n|\r\n|\rz\r\n|\u{e4}\r\n){0,4}",
            0i64..4_000_000_000,
            any_flags(),
        ), 0..12),
        format in prop::sample::select(vec![Format::Maildir, Format::MaildirPlus, Format::Mbox]),
    ) {
        let stage = Stage::new();
        for (mailbox, text, received_at, flags) in &messages {
            stage.make(mailbox);
            stage.put(mailbox, text.as_bytes(), *received_at, flags.clone());
        }
        let written = stage.export("out", format);
        prop_assert_eq!((written.messages, written.unreadable), (messages.len() as u64, 0));
        let other = Stage::new();
        let read = other.import_with(&Import { path: stage.path("out"), format: Some(format), ..other.order("") });
        prop_assert_eq!((read.messages, &read.troubles), (messages.len() as u64, &Vec::new()));
        prop_assert_eq!(other.contents(), stage.contents());
    }
}

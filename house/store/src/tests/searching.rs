//! Searches find what messages say.

use proptest::prelude::*;

use super::*;
use crate::{EmailId, FlagChange, MailboxId, ModSeq, People, Query, SPILL_AT, Uid};

const DAY: i64 = 86_400;

struct Fixture {
    _dir: tempfile::TempDir,
    store: Store,
    inbox: MailboxId,
    bob: AccountId,
}

fn with(messages: &[&[u8]]) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let store = open_swiftly(dir.path());
    let bob = make_account(&store, "bob");
    for (number, content) in messages.iter().enumerate() {
        let mut draft = store.draft();
        draft.append(content).unwrap();
        let op = Op::Place {
            account: bob,
            mailbox: MailboxRef::Inbox,
            body: 0,
            prefix: b"Return-Path: <>\r\n".to_vec(),
            received_at: NOW + number as i64 * DAY,
            flags: Flags::default(),
        };
        store.commit_blocking(Commit::with_body(vec![op], HEAD.to_vec(), draft)).unwrap();
    }
    let inbox = store.mailbox_named(bob, "INBOX").unwrap().unwrap().id;
    Fixture { _dir: dir, store, inbox, bob }
}

impl Fixture {
    fn find(&self, query: Query) -> Vec<u32> {
        let now = self.store.open_mailbox(self.inbox).unwrap().now().unwrap();
        self.store.search(now, &query).finish().unwrap().into_iter().map(|uid| uid.0).collect()
    }
}

fn text(text: &str) -> Query {
    Query::Text(text.into())
}

fn body(text: &str) -> Query {
    Query::Body(text.into())
}

const MAIL: [&[u8]; 4] = [
    b"From: Joe \"J\" Doe <joe@crepes.test>\r\nTo: Friends: Bob <bob@hamburger.test>, carol@x.test;\r\nSubject: =?utf-8?q?K=C3=A4se?=\r\n\
      Date: Mon, 23 Nov 2026 23:30:00 -0500\r\nX-Spam: no\r\n\r\nDo you like ketchup?\r\n",
    b"From: alice@crepes.test\r\nCc: bob@hamburger.test\r\nSubject: pickles\r\nDate: nonsense\r\n\
      Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nSG93IGFib3V0IHBpY2tsZXM/\r\n",
    b"no header\r\nat all, but onions\r\n",
    b"Subject: two words\r\nDate: Tue, 24 Nov 2026 00:30:00 +0000\r\n\r\n",
];

#[test]
fn fields_people_and_texts_are_found() {
    let bob = with(&MAIL);
    let people = |who, words: &str| bob.find(Query::People(who, words.into()));
    let header = |name: &str, words: &str| bob.find(Query::Header(name.into(), words.into()));
    assert_eq!(people(People::From, "DOE <JOE@crepes"), [1]);
    assert_eq!(people(People::From, "crepes.test"), [1, 2]);
    assert_eq!(
        (people(People::To, "friends"), people(People::To, "carol"), people(People::Cc, "bob")),
        (vec![1], vec![1], vec![2])
    );
    assert_eq!(people(People::Bcc, ""), Vec::<u32>::new());
    assert_eq!(bob.find(Query::Subject("KÄSE".into())), [1]);
    assert_eq!((header("x-spam", "NO"), header("X-SPAM", ""), header("x-none", "")), (vec![1], vec![1], vec![]));
    assert_eq!(header("received", "hamburger"), [1, 2, 3, 4], "what we put in front is header, too");
    assert_eq!((bob.find(body("PICKLES")), bob.find(text("pickles"))), (vec![2], vec![2]));
    assert_eq!((bob.find(body("käse")), bob.find(text("käse")), bob.find(body("onions"))), (vec![], vec![1], vec![]));
    assert_eq!((bob.find(body("")), bob.find(text("nowhere"))), (vec![1, 2, 3, 4], vec![]));
}

#[test]
fn dates_are_those_of_the_right_clock() {
    let bob = with(&MAIL);
    let midnight = |day: i64| (1_795_392_000 + (day - 23) * DAY)..(1_795_392_000 + (day - 22) * DAY);
    assert_eq!(bob.find(Query::Sent(midnight(23))), [1], "the day of the sender's own clock");
    assert_eq!(bob.find(Query::Sent(midnight(24))), [4]);
    assert_eq!(bob.find(Query::Sent(i64::MIN..i64::MAX)), [1, 4], "no date, no match");
    assert_eq!(bob.find(Query::Received(NOW + DAY..NOW + 3 * DAY)), [2, 3]);
    assert_eq!(bob.find(Query::Saved(0..i64::MAX)), [1, 2, 3, 4]);
    assert_eq!(bob.find(Query::Saved(0..NOW)), Vec::<u32>::new());
}

#[test]
fn flags_sizes_sets_and_names_are_found() {
    let bob = with(&MAIL);
    let change = FlagChange::Add(Flags { system: Flags::SEEN | Flags::FLAGGED, keywords: vec!["Work".into()] });
    let (account, mailbox, uids) = (bob.bob, MailboxRef::Inbox, vec![Uid(2)]);
    let op = Op::SetFlags { account, mailbox, uids, change, unchanged_since: None };
    bob.store.commit_blocking(Commit::of(vec![op])).unwrap();
    let kept = bob.store.messages(bob.inbox, Uid(1), 10).unwrap();
    assert_eq!(bob.find(Query::Flags(Flags::SEEN | Flags::FLAGGED)), [2]);
    assert_eq!(bob.find(Query::Not(Box::new(Query::Flags(Flags::SEEN)))), [1, 3, 4]);
    assert_eq!(bob.find(Query::Keyword("WORK".into())), [2]);
    assert_eq!(bob.find(Query::ModSeq(kept[1].modseq)), [2]);
    assert_eq!(bob.find(Query::ModSeq(ModSeq(kept[1].modseq.0 + 1))), Vec::<u32>::new());
    assert_eq!(
        bob.find(Query::Larger(kept[3].size)),
        [1, 2, 3].into_iter().filter(|n| kept[*n as usize - 1].size > kept[3].size).collect::<Vec<_>>()
    );
    assert_eq!(bob.find(Query::Smaller(u64::MAX)), [1, 2, 3, 4]);
    assert_eq!(bob.find(Query::Uids(vec![(Uid(1), Uid(1)), (Uid(3), Uid(9))])), [1, 3, 4]);
    assert_eq!(bob.find(Query::Email(kept[2].email)), [3]);
    assert_eq!(bob.find(Query::Thread(kept[2].thread)), [3]);
    assert_eq!(bob.find(Query::Email(EmailId(-1))), Vec::<u32>::new());
}

#[test]
fn conditions_are_joined() {
    let bob = with(&MAIL);
    let or = |one, two| Query::Or(vec![one, two]);
    assert_eq!(bob.find(or(body("ketchup"), Query::Subject("two".into()))), [1, 4]);
    assert_eq!(bob.find(Query::And(vec![text("bob"), Query::Not(Box::new(body("ketchup")))])), [2]);
    assert_eq!(bob.find(Query::Not(Box::new(or(body("ketchup"), body("pickles"))))), [3, 4]);
    assert_eq!((bob.find(Query::And(vec![])), bob.find(Query::Or(vec![]))), (vec![1, 2, 3, 4], vec![]));
}

#[test]
fn a_large_message_is_looked_through_to_its_end() {
    let mut large = b"Subject: x\r\n\r\n".to_vec();
    large.resize(SPILL_AT * 2, b'.');
    large.extend_from_slice(b"the very end");
    let bob = with(&[&large, MAIL[0]]);
    assert_eq!(bob.find(body("Very End")), [1]);
}

#[test]
fn a_search_can_be_left_and_what_is_gone_is_not_found() {
    let messages: Vec<&[u8]> = std::iter::repeat_n(MAIL[0], 600).collect();
    let bob = with(&messages);
    let now = bob.store.open_mailbox(bob.inbox).unwrap().now().unwrap();
    let mut search = bob.store.search(now, &body("ketchup"));
    assert_eq!((search.progress(), search.is_over()), ((0, 600), false));
    search.step().unwrap();
    let (done, total) = search.progress();
    assert!(done > 0 && done < total);
    let uids = (1..=600).filter(|uid| uid % 2 == 0).map(Uid).collect();
    let op = Op::Expunge { account: bob.bob, mailbox: MailboxRef::Inbox, uids };
    bob.store.commit_blocking(Commit::of(vec![op])).unwrap();
    let found = search.finish().unwrap();
    assert!(found.iter().all(|uid| uid.0 as usize <= done || uid.0 % 2 == 1));
    assert_eq!(found.len(), done + (total - done) / 2);
}

fn query() -> impl Strategy<Value = Query> {
    let leaf = prop_oneof![
        "[a-eKkä?]{1,2}".prop_map(Query::Body),
        "[a-eKkä:@]{1,2}".prop_map(Query::Text),
        "[a-z]{1,2}".prop_map(Query::Subject),
        (1..5_u32).prop_map(|uid| Query::Uids(vec![(Uid(uid), Uid(uid + 1))])),
        Just(Query::All),
        (0..200_u64).prop_map(Query::Larger),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Query::And),
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Query::Or),
            inner.prop_map(|query| Query::Not(Box::new(query))),
        ]
    })
}

#[test]
fn the_text_index_narrows_and_is_never_wrong() {
    let bob = with(&MAIL);
    let queries = || {
        ["ketchup", "PICKLES", "onions", "käse", "Return-Path", "two words", "nowhere at all", "no", "?"]
            .into_iter()
            .flat_map(|words| [body(words), text(words), Query::Not(Box::new(body(words)))])
            .chain([Query::And(vec![body("ketchup"), text("joe")]), Query::Or(vec![body("ketchup"), body("onions")])])
    };
    let before: Vec<_> = queries().map(|query| bob.find(query)).collect();
    bob.store.running.texts.settle();
    assert_eq!(queries().map(|query| bob.find(query)).collect::<Vec<_>>(), before);
    // A message that came later is looked into; one that is in the index is not, so its octets may even be gone.
    deliver(&bob.store, &[bob.bob], b"Subject: late\r\n\r\nlate ketchup\r\n").unwrap();
    assert_eq!((bob.find(body("ketchup")), bob.find(text("late"))), (vec![1, 5], vec![5]));
    bob.store.running.texts.settle();
    let segment = bob._dir.path().join("seg/0000000001.seg");
    std::fs::OpenOptions::new().write(true).open(segment).unwrap().set_len(100).unwrap();
    assert_eq!(bob.find(body("nowhere at all")), Vec::<u32>::new());
}

#[test]
fn the_text_index_is_made_anew_where_it_is_of_no_use() {
    let bob = with(&MAIL);
    let index = bob._dir.path().join("search.db");
    for damage in [&b"rubbish"[..], b""] {
        bob.find(body("ketchup"));
        bob.store.running.texts.settle();
        assert!(index.exists());
        std::fs::write(&index, damage).unwrap();
        assert_eq!(bob.find(body("ketchup")), [1]);
    }
    let expunge = Op::Expunge { account: bob.bob, mailbox: MailboxRef::Inbox, uids: vec![Uid(2)] };
    bob.store.commit_blocking(Commit::of(vec![expunge])).unwrap();
    bob.find(body("onions"));
    bob.store.running.texts.settle();
    let conn = rusqlite::Connection::open(&index).unwrap();
    let bodies: Vec<i64> = conn
        .prepare("SELECT body FROM indexed")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(bodies, [1, 3, 4]);
}

#[test]
fn a_store_that_went_back_in_time_forgets_the_text_index() {
    let bob = with(&MAIL);
    bob.find(body("ketchup"));
    bob.store.running.texts.settle();
    bob.store.close();
    let index = bob._dir.path().join("search.db");
    drop(open_swiftly(bob._dir.path()));
    assert!(index.exists(), "an honest one is kept");
    rusqlite::Connection::open(&index).unwrap().execute("UPDATE indexed SET body = body + 1000000", []).unwrap();
    drop(open_swiftly(bob._dir.path()));
    assert!(!index.exists());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_query_means_what_its_parts_mean(query in query()) {
        let bob = with(&MAIL);
        prop_assert_eq!(bob.find(query.clone()), by_its_parts(&bob, &query));
    }
}

/// Finds each part alone and joins the sets.
fn by_its_parts(bob: &Fixture, query: &Query) -> Vec<u32> {
    let all = [1, 2, 3, 4];
    match query {
        Query::And(parts) => {
            let found: Vec<_> = parts.iter().map(|part| by_its_parts(bob, part)).collect();
            all.into_iter().filter(|uid| found.iter().all(|found| found.contains(uid))).collect()
        }
        Query::Or(parts) => {
            let found: Vec<_> = parts.iter().map(|part| by_its_parts(bob, part)).collect();
            all.into_iter().filter(|uid| found.iter().any(|found| found.contains(uid))).collect()
        }
        Query::Not(part) => {
            let found = by_its_parts(bob, part);
            all.into_iter().filter(|uid| !found.contains(uid)).collect()
        }
        leaf => bob.find(leaf.clone()),
    }
}

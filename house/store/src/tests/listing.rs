//! What lists say of messages: kept at delivery, made where it is missing.

use super::*;
use crate::{Breadth, Listed, MailboxId, Outlined, Sight, Uid};
use std::ops::ControlFlow;

fn inbox_id(store: &Store, account: AccountId) -> MailboxId {
    store.mailbox_named(account, "INBOX").unwrap().unwrap().id
}

fn list(store: &Store, account: AccountId) -> Vec<Listed> {
    let uids: Vec<Uid> = (1..=100).map(Uid).collect();
    store.list(inbox_id(store, account), &uids).unwrap()
}

const MAIL: &[u8] = b"Subject: Re: pickles\r\nMessage-ID: <1@x>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
    --b\r\n\r\nDo you like ketchup?\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inside\r\n\r\nx\r\n--b--\r\n";

fn assert_lists_as_it_reads(store: &Store, listed: &Listed) {
    let octets = store.reader(&listed.kept).unwrap().read_whole().unwrap();
    let truth = message::Outline::of(&octets);
    assert_eq!(listed.outlined().outline(), truth);
    assert_eq!(listed.outlined().front(), truth.front);
    assert_eq!(listed.outlined().top(), message::outline::Top::of(truth.tree.root()));
}

/// What is looked at where it is stored is what lists say, in order, and nothing is left out.
fn assert_sights_are_the_same(store: &Store, account: AccountId) {
    let listed = list(store, account);
    let uids: Vec<Uid> = (1..=100).map(Uid).collect();
    for breadth in [Breadth::Outline, Breadth::Whole] {
        let mut left = listed.iter();
        let look = |sight: &Sight<'_>| {
            let listed = left.next().expect("no more than are listed");
            let envelope = |outlined: Outlined<'_>| {
                let mut out = Vec::new();
                outlined.write_envelope(&mut out);
                out
            };
            assert_eq!(sight.uid(), listed.kept.uid);
            assert_eq!(sight.outlined().outline(), listed.outlined().outline());
            assert_eq!(envelope(sight.outlined()), envelope(listed.outlined()));
            assert_eq!(store.reader(&sight.kept()?)?.read_whole()?, store.reader(&listed.kept)?.read_whole()?);
            Ok(ControlFlow::Continue(()))
        };
        store.walk(inbox_id(store, account), &uids, breadth, look).unwrap();
        assert_eq!(left.count(), 0);
    }
}

#[test]
fn lists_say_what_the_message_says() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_swiftly(dir.path());
    let bob = make_account(&store, "bob");
    let large = [MAIL, &vec![b'x'; SPILL_AT][..]].concat();
    for content in [MAIL, &large, b"\r\nan empty header"] {
        deliver(&store, &[bob], content).unwrap();
    }
    let listed = list(&store, bob);
    assert_eq!(listed.len(), 3);
    listed.iter().for_each(|listed| assert_lists_as_it_reads(&store, listed));
    assert_eq!(listed[0].outlined().front().base_subject, "pickles");
    assert_sights_are_the_same(&store, bob);
    store.close();
    assert_sound(dir.path());
}

use crate::SPILL_AT;

#[test]
fn a_prefix_in_front_of_no_header_makes_it_another_message() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_swiftly(dir.path());
    let bob = make_account(&store, "bob");
    let mut draft = store.draft();
    draft.append(b"Do you like ketchup?\r\nA: b\r\n\r\nyes\r\n").unwrap();
    store.commit_blocking(Commit::with_body(vec![place(bob)], Vec::new(), draft)).unwrap();
    assert_lists_as_it_reads(&store, &list(&store, bob)[0]);
    assert_sights_are_the_same(&store, bob);
}

#[test]
fn a_missing_or_damaged_outline_is_made_anew_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_swiftly(dir.path());
    let bob = make_account(&store, "bob");
    deliver(&store, &[bob], MAIL).unwrap();
    deliver(&store, &[bob], MAIL).unwrap();
    store.close();
    let conn = rusqlite::Connection::open(dir.path().join("store.db")).unwrap();
    conn.execute_batch(
        "UPDATE bodies SET outline = NULL WHERE id = 1; UPDATE bodies SET outline = x'01FF' WHERE id = 2",
    )
    .unwrap();
    drop(conn);
    let report = crate::check(dir.path()).unwrap();
    assert_eq!(report.problems.len(), 1, "{:#?}", report.problems);
    assert!(report.problems[0].what.contains("body 2"));
    crate::repair(dir.path()).unwrap();
    assert_sound(dir.path());
    let store = open_swiftly(dir.path());
    assert_sights_are_the_same(&store, bob);
    list(&store, bob).iter().for_each(|listed| assert_lists_as_it_reads(&store, listed));
    store.close();
    let conn = rusqlite::Connection::open(dir.path().join("store.db")).unwrap();
    let missing: i64 =
        conn.query_row("SELECT count(*) FROM bodies WHERE outline IS NULL", [], |row| row.get(0)).unwrap();
    assert_eq!(missing, 0);
}

/// [`MAIL`]'s outline as version 1 had it, without the envelope as it is sent.
const BEFORE: &str = "0105001752653A207069636B6C6573000B3C3140783E000000000000000005070029446F20796F75206C696B65206B6574636875703F041100\
    0056005F0A080C011A0362260001B601020014000204002621013A20001402464800260803401300010002040026000D696E736964650000000000000000";

#[test]
fn an_outline_of_the_version_before_is_read_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_swiftly(dir.path());
    let bob = make_account(&store, "bob");
    let mut draft = store.draft();
    draft.append(MAIL).unwrap();
    store.commit_blocking(Commit::with_body(vec![place(bob)], Vec::new(), draft)).unwrap();
    let envelope = |store: &Store| {
        let mut out = Vec::new();
        list(store, bob)[0].outlined().write_envelope(&mut out);
        String::from_utf8(out).unwrap()
    };
    let now = envelope(&store);
    store.close();
    let conn = rusqlite::Connection::open(dir.path().join("store.db")).unwrap();
    conn.execute_batch(&format!("UPDATE bodies SET outline = x'{BEFORE}'")).unwrap();
    assert_sound(dir.path());
    let store = open_swiftly(dir.path());
    list(&store, bob).iter().for_each(|listed| assert_lists_as_it_reads(&store, listed));
    assert_sights_are_the_same(&store, bob);
    assert_eq!(envelope(&store), now);
    assert_eq!(now, r#"(NIL "Re: pickles" NIL NIL NIL NIL NIL NIL NIL "<1@x>")"#);
    store.close();
    let version: String =
        conn.query_row("SELECT hex(substr(outline, 1, 1)) FROM bodies", [], |row| row.get(0)).unwrap();
    assert_eq!(version, "01", "nobody has to write it anew");
}

#[test]
fn replies_join_the_discussion_and_another_subject_leaves_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_swiftly(dir.path());
    let (alice, bob) = (make_account(&store, "alice"), make_account(&store, "bob"));
    let send = |account, header: &str| {
        let done = deliver(&store, &[account], format!("{header}\r\n\r\nx").as_bytes()).unwrap();
        *done.placed().next().unwrap()
    };
    let root = send(bob, "Message-ID: <1@x>\r\nSubject: pickles");
    let reply = send(bob, "Message-ID: <2@x>\r\nIn-Reply-To: <1@x>\r\nSubject: Re: Pickles");
    let later = send(bob, "Message-ID: <4@x>\r\nReferences: <1@x> <2@x> <3@x>\r\nSubject: RE: pickles");
    let other = send(bob, "Message-ID: <5@x>\r\nReferences: <1@x>\r\nSubject: onions");
    let nameless = send(bob, "Subject: pickles");
    let hers = send(alice, "Message-ID: <2@x>\r\nIn-Reply-To: <1@x>\r\nSubject: Re: pickles");
    assert_eq!((reply.thread, later.thread), (root.thread, root.thread));
    assert_eq!(root.thread.0, root.email.0);
    for placed in [other, nameless, hers] {
        assert_eq!(placed.thread.0, placed.email.0);
    }
    // Two that answer the same missing message know each other.
    let one = send(bob, "Message-ID: <8@x>\r\nIn-Reply-To: <7@x>\r\nSubject: Re: beans");
    let two = send(bob, "Message-ID: <9@x>\r\nIn-Reply-To: <7@x>\r\nSubject: Re: beans");
    let missing = send(bob, "Message-ID: <7@x>\r\nSubject: beans");
    assert_eq!((two.thread, missing.thread), (one.thread, one.thread));
}

#[test]
fn a_span_is_in_memory_and_in_a_file() {
    use std::os::unix::fs::FileExt;
    let dir = tempfile::tempdir().unwrap();
    let store = open_swiftly(dir.path());
    let bob = make_account(&store, "bob");
    deliver(&store, &[bob], b"Do you like ketchup?").unwrap();
    let reader = store.reader(&list(&store, bob)[0].kept).unwrap();
    let whole = reader.read_whole().unwrap();
    let size = reader.size();
    for range in [0..size, 0..5, 3..size - 2, size - 4..size, size..size + 9, prefix(bob).len() as u64..size, 7..7] {
        let (front, span) = reader.span(range.clone());
        let mut octets = front.to_vec();
        let start = octets.len();
        octets.resize(start + span.length as usize, 0);
        let file = std::fs::File::from(std::os::fd::AsFd::as_fd(&span).try_clone_to_owned().unwrap());
        file.read_exact_at(&mut octets[start..], span.offset).unwrap();
        let within = range.start.min(size) as usize..range.end.min(size) as usize;
        assert_eq!(octets, whole[within], "{range:?}");
    }
}

//! Two and three IMAP sessions that take turns in the same mailboxes, and clients that were away.
//!
//! RFC 9051 §5.2 and §7.5.1 (what others do, and when it is told), RFC 2177 (IDLE), RFC 7162 (QRESYNC), RFC 2180 (what has gone).
//!
//! Not here: one session alone (imap), sharing between accounts (imap_sharing).

use super::imap::{bob, letters, select};
use super::{deliver, dev};
use harness::{Missed, Replica, Speaker};

const BOB: &str = "bob@hamburger.test hungry";

/// Selects INBOX, in which so many messages are, with QRESYNC: what is gone is told by UID.
fn select_with_qresync(imap: &mut Speaker, messages: u32) {
    imap.play("C: q ENABLE QRESYNC\nS: * ENABLED QRESYNC\nS: q OK ~");
    select(imap, messages);
}

#[test]
fn what_was_begun_to_be_fetched_comes_whole_though_it_is_expunged() {
    /// More than all buffers between the server and its client have room for.
    const OCTETS: usize = 32 << 20;
    let server = dev();
    let (mut one, mut two) = (bob(&server), bob(&server));
    let text = format!("Subject: long\r\n\r\n{}", "pickles\r\n".repeat(OCTETS / 9));
    two.send(format!("a APPEND INBOX {{{}+}}\r\n{text}\r\n", text.len()).as_bytes());
    two.play("S: a OK ~\nC: b APPEND INBOX {3+}\nC: two\nS: b OK ~");
    select(&mut one, 2);
    select(&mut two, 2);
    // One has only heard the beginning when both messages go.
    one.say("a FETCH 1:2 (BODY.PEEK[])");
    one.expect(&format!("* 1 FETCH (BODY[] {{{}}}", text.len()));
    two.play(
        "C: c STORE 1:2 +FLAGS.SILENT (\\Deleted)\nS: c OK ~\nC: d EXPUNGE\nS: * 2 EXPUNGE\nS: * 1 EXPUNGE\nS: d OK ~",
    );
    assert!(one.octets(text.len()) == text.as_bytes(), "another text");
    one.expect(")");
    // RFC 2180 §4.1.2: of what has gone before it was its turn there is nothing to tell, or what was known of it.
    let mut line = one.hear().expect("an answer");
    if line.starts_with("* 2 FETCH (BODY[] {3}") {
        one.play("S: two)");
        line = one.hear().expect("an answer");
    }
    assert!(line.starts_with("a OK") || line.starts_with("a NO"), "no EXPUNGE during FETCH: {line}");
    one.play("C: e NOOP\nS: * 2 EXPUNGE\nS: * 1 EXPUNGE\nS: e OK ~");
}

#[test]
fn each_who_idles_hears_all_in_the_order_of_the_commits() {
    let server = dev();
    letters(&server, 2);
    let (mut numbers, mut uids, mut busy) = (bob(&server), bob(&server), bob(&server));
    select(&mut numbers, 2);
    select_with_qresync(&mut uids, 2);
    select(&mut busy, 2);
    numbers.play("C: i IDLE\nS: + ~");
    uids.play("C: i IDLE\nS: + ~");
    busy.play("C: a STORE 1 +FLAGS (\\Flagged)\nS: * 1 FETCH (FLAGS (\\Flagged))\nS: a OK ~");
    numbers.expect("* 1 FETCH (UID 1 FLAGS (\\Flagged))");
    uids.expect("* 1 FETCH (UID 1 MODSEQ (~) FLAGS (\\Flagged))");
    assert!(deliver(&server, "alice@crepes.test", "bob@hamburger.test", b"Subject: three\r\n\r\n").starts_with("250"));
    numbers.expect("* 3 EXISTS");
    uids.expect("* 3 EXISTS");
    busy.play(
        "C: b NOOP\nS: * 3 EXISTS\nS: b OK ~\nC: c MOVE 1 Archive\nS: * OK [COPYUID ~\nS: * 1 EXPUNGE\nS: c OK ~",
    );
    numbers.expect("* 1 EXPUNGE");
    uids.expect("* VANISHED 1");
    busy.play("C: d COPY 1 INBOX\nS: * 3 EXISTS\nS: d OK [COPYUID ~");
    numbers.expect("* 3 EXISTS");
    uids.expect("* 3 EXISTS");
    // One who leaves IDLE has heard all, and numbers are those of the others.
    for imap in [&mut numbers, &mut uids] {
        imap.play("C: DONE\nS: i OK ~\nC: s UID SEARCH ALL");
        imap.expect("* SEARCH 2 3 4");
        imap.expect("s OK ~");
    }
}

#[test]
fn two_who_expunge_the_same_messages_hear_of_each_once() {
    let server = dev();
    letters(&server, 4);
    let (mut one, mut two) = (bob(&server), bob(&server));
    select(&mut one, 4);
    select(&mut two, 4);
    one.play(
        "C: a STORE 2:3 +FLAGS.SILENT (\\Deleted)\nS: a OK ~\nC: b EXPUNGE\nS: * 3 EXPUNGE\nS: * 2 EXPUNGE\nS: b OK ~",
    );
    // The numbers of the other still count them: 4 is the fourth.
    two.play(
        "C: a STORE 4 +FLAGS.SILENT (\\Deleted)
         S: a OK ~
         C: b EXPUNGE
         S: * 4 EXPUNGE
         S: * 3 EXPUNGE
         S: * 2 EXPUNGE
         S: b OK ~
         C: c FETCH 1:* (UID)
         S: * 1 FETCH (UID 1)
         S: c OK ~",
    );
    one.play("C: c NOOP\nS: * 2 EXPUNGE\nS: c OK ~");
}

#[test]
fn a_store_on_condition_loses_against_one_that_was_quicker() {
    let server = dev();
    letters(&server, 1);
    let (mut one, mut two) = (bob(&server), bob(&server));
    for imap in [&mut one, &mut two] {
        imap.play("C: e ENABLE CONDSTORE\nS: * ENABLED CONDSTORE\nS: e OK ~");
        select(imap, 1);
    }
    two.say("a FETCH 1 (MODSEQ)");
    let known = two.expect("* 1 FETCH (MODSEQ (~))");
    two.expect("a OK ~");
    let known = known.trim_end_matches(')').rsplit('(').next().expect("a number");
    one.play("C: a STORE 1 +FLAGS.SILENT ($Mine)\nS: * FLAGS ~\nS: * OK [PERMANENTFLAGS ~\nS: * 1 FETCH (MODSEQ ~\nS: a OK ~");
    two.say(&format!("b STORE 1 (UNCHANGEDSINCE {known}) +FLAGS.SILENT ($Yours)"));
    let mut lines = Vec::new();
    while !lines.last().is_some_and(|line: &String| line.starts_with("b ")) {
        lines.push(two.hear().expect("an answer"));
    }
    assert!(lines.last().is_some_and(|end| end.starts_with("b OK [MODIFIED 1]")), "{lines:#?}");
    two.play("C: c NOOP");
    while !two.hear().expect("an answer").starts_with("c OK") {}
    two.play("C: d FETCH 1 (FLAGS)\nS: * 1 FETCH (FLAGS ($Mine) MODSEQ (~))\nS: d OK ~");
}

#[test]
fn a_mailbox_that_is_renamed_stays_open_and_one_that_is_deleted_does_not() {
    let server = dev();
    let (mut one, mut two) = (bob(&server), bob(&server));
    two.play("C: a CREATE Old\nS: a OK ~\nC: b APPEND Old {3+}\nC: one\nS: b OK ~");
    one.play("C: s SELECT Old");
    while !one.hear().expect("an answer").starts_with("s OK") {}
    two.play("C: c RENAME Old New\nS: c OK ~\nC: d APPEND New {3+}\nC: two\nS: d OK ~");
    one.play(
        "C: a NOOP
         S: * 2 EXISTS
         S: a OK ~
         C: b FETCH 2 (BODY[])
         S: * 2 FETCH (BODY[] {3}
         S: two FLAGS (\\Seen))
         S: b OK ~
         C: i IDLE
         S: + ~",
    );
    two.play("C: e DELETE New\nS: e OK ~");
    // RFC 2180 §3.3: whoever has it open is told that it cannot go on, one way or another.
    let line = one.hear().expect("a word");
    assert!(line.starts_with("* BYE ") || line.starts_with("* OK [CLOSED]"), "{line}");
}

/// What changes a mailbox, who does it, and what a client that was away must be told: of whom, and who has gone.
const CHANGES: &[(&str, &str, &[u32], &[u32])] = &[
    ("a flag", "STORE 1 +FLAGS.SILENT (\\Flagged)", &[1], &[]),
    ("a new keyword", "STORE 2:3 +FLAGS.SILENT ($Pickles)", &[2, 3], &[]),
    ("a flag that is taken", "STORE 2 -FLAGS.SILENT ($Pickles)", &[2], &[]),
    ("a flag that was there", "STORE 1 +FLAGS.SILENT (\\Flagged)", &[], &[]),
    ("reading", "FETCH 4 BODY[TEXT]", &[4], &[]),
    ("APPEND", "APPEND Replicated (\\Draft) {3+}\r\nnew", &[6], &[]),
    ("two in one APPEND", "APPEND Replicated {3+}\r\none {3+}\r\ntwo", &[7, 8], &[]),
    ("COPY from another mailbox", "COPY 1 Replicated", &[9], &[]),
    ("COPY into itself", "UID COPY 1:2 Replicated", &[10, 11], &[]),
    ("MOVE to another", "UID MOVE 2 Archive", &[], &[2]),
    ("MOVE from another", "MOVE 1 Replicated", &[12], &[]),
    ("MOVE into itself", "UID MOVE 7 Replicated", &[13], &[7]),
    ("EXPUNGE", "UID STORE 3:4 +FLAGS.SILENT (\\Deleted)|EXPUNGE", &[], &[3, 4]),
    ("UID EXPUNGE", "UID STORE 5,8 +FLAGS.SILENT (\\Deleted)|UID EXPUNGE 5", &[8], &[5]),
    ("CLOSE", "CLOSE", &[], &[8]),
    ("REPLACE", "UID REPLACE 9 Replicated {4+}\r\nnext", &[14], &[9]),
    ("RENAME of the mailbox", "RENAME Replicated Elsewhere", &[], &[]),
    (
        "what comes and goes",
        "APPEND Elsewhere {3+}\r\nyes|UID STORE 15 +FLAGS.SILENT (\\Deleted)|UID EXPUNGE 15",
        &[],
        &[],
    ),
    ("all that is left", "STORE 1:* +FLAGS.SILENT (\\Deleted)|EXPUNGE", &[], &[1, 6, 10, 11, 12, 13, 14]),
];

#[test]
fn a_client_that_was_away_is_told_of_each_kind_of_change() {
    let server = dev();
    let mut busy = bob(&server);
    obey(&mut busy, "CREATE Replicated");
    for _ in 0..5 {
        obey(&mut busy, "APPEND Replicated {15+}\r\nSubject: x\r\n\r\nx");
    }
    letters(&server, 2);
    let mut replica = Replica::new(BOB, "Replicated");
    assert_eq!(replica.catch_up(&server), Missed { changed: vec![], gone: vec![] }, "a stranger misses nothing");
    let mut mailbox = "Replicated";
    for (what, commands, changed, gone) in CHANGES {
        // Two of them are done from another mailbox.
        let from = if what.contains("from another") { "INBOX" } else { mailbox };
        obey(&mut busy, &format!("SELECT {from}"));
        commands.split('|').for_each(|command| obey(&mut busy, command));
        if what.starts_with("RENAME") {
            mailbox = "Elsewhere";
            replica.renamed(mailbox);
        }
        let missed = replica.catch_up(&server);
        assert_eq!(missed, Missed { changed: changed.to_vec(), gone: gone.to_vec() }, "{what}");
        assert_eq!(replica.catch_up(&server), Missed { changed: vec![], gone: vec![] }, "{what}, and nothing more");
    }
}

/// Says a command, which must go well.
fn obey(imap: &mut Speaker, command: &str) {
    imap.say(&format!("o {command}"));
    loop {
        let line = imap.hear().expect("an answer");
        if let Some(end) = line.strip_prefix("o ") {
            return assert!(end.starts_with("OK "), "{command}: {end}");
        }
    }
}

#[test]
fn a_message_comes_into_the_mailbox_that_has_the_name_now() {
    let server = dev();
    let (mut one, mut two) = (bob(&server), bob(&server));
    one.play("C: a CREATE Work\nS: a OK ~\nC: b APPEND Work {3+}\nC: one\nS: b OK [APPENDUID ~");
    two.play("C: a RENAME Work Old\nS: a OK ~");
    one.play("C: c APPEND Work {3+}\nC: two\nS: c NO [TRYCREATE] ~");
    two.play("C: b CREATE Work\nS: b OK ~");
    one.play("C: d APPEND Work {5+}\nC: three\nS: d OK [APPENDUID ~");
    two.play("C: c STATUS Old (MESSAGES SIZE)\nS: * STATUS Old (MESSAGES 1 SIZE 3)\nS: c OK ~");
    two.play("C: d STATUS Work (MESSAGES SIZE)\nS: * STATUS Work (MESSAGES 1 SIZE 5)\nS: d OK ~");
}

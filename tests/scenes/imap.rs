//! Mailboxes over IMAP: one session, and several at once in the same mailbox.
//!
//! RFC 9051 §5.2 and §7.5.1 (what others do, and when it is told), RFC 2177 (IDLE), RFC 7162 (QRESYNC).

use super::{BINARY, deliver, dev};
use harness::{Server, Speaker};

/// Logs in by IMAP.
fn enter(server: &Server, login: &str, password: &str) -> Speaker {
    let mut imap = server.speak("imap");
    imap.play(&format!("S: * OK ~\nC: l LOGIN {login} {password}\nS: l OK ~"));
    imap
}

pub fn bob(server: &Server) -> Speaker {
    enter(server, "bob@hamburger.test", "hungry")
}

/// Selects INBOX, in which so many messages are.
pub fn select(imap: &mut Speaker, messages: u32) {
    select_named(imap, "INBOX", messages);
}

fn select_named(imap: &mut Speaker, mailbox: &str, messages: u32) {
    imap.say(&format!("s SELECT {mailbox}"));
    let mut lines = Vec::new();
    loop {
        let line = imap.hear().expect("an answer");
        let is_last = line.starts_with("s ");
        lines.push(line);
        if is_last {
            break;
        }
    }
    assert!(lines.contains(&format!("* {messages} EXISTS")), "{lines:#?}");
    assert!(lines.last().is_some_and(|line| line.starts_with("s OK [READ-WRITE]")), "{lines:#?}");
}

pub fn letters(server: &Server, count: u32) {
    for number in 1..=count {
        let text = format!("Subject: letter {number}\r\n\r\nDo you like pickle {number}?\r\n");
        assert!(deliver(server, "alice@crepes.test", "bob@hamburger.test", text.as_bytes()).starts_with("250"));
    }
}

#[test]
fn an_account_without_limits_has_no_quota_root() {
    let server = dev();
    let mut imap = bob(&server);
    imap.play(
        "C: a GETQUOTAROOT INBOX\nS: * QUOTAROOT INBOX\nS: a OK ~\nC: b GETQUOTA \"\"\nS: * QUOTA \"\" ()\nS: b OK ~",
    );
    let limited = server.command(&["account", "quota", "bob@hamburger.test", "--bytes", "5MiB"]);
    assert!(limited.status.success(), "{limited:?}");
    imap.play(
        "C: c GETQUOTAROOT INBOX\nS: * QUOTAROOT INBOX \"\"\nS: * QUOTA \"\" (STORAGE 0 5120)\nS: c OK ~
         C: d GETQUOTA nothing\nS: d NO [NONEXISTENT] ~",
    );
}

#[test]
fn mail_stays_at_the_server_in_folders_with_its_state() {
    let server = dev();
    letters(&server, 2);
    let mut imap = bob(&server);
    select(&mut imap, 2);
    imap.play(
        "C: a FETCH 1 (BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY.PEEK[TEXT]<0.11>)
         S: * 1 FETCH (BODY[HEADER.FIELDS (SUBJECT)] {21}
         S: Subject: letter 1
         S: 
         S:  BODY[TEXT]<0> {11}
         S: Do you like)
         S: a OK ~
         C: b STORE 1 +FLAGS (\\Seen $Pickles)
         S: * FLAGS ~
         S: * OK [PERMANENTFLAGS ~
         S: * 1 FETCH (FLAGS (\\Seen $Pickles))
         S: b OK ~
         C: c CREATE Recipes/Green
         S: c OK [MAILBOXID ~
         C: d MOVE 1 Recipes/Green
         S: * OK [COPYUID $validity 1 1] ~
         S: * 1 EXPUNGE
         S: d OK ~
         C: e SEARCH BODY \"pickle 2\"
         S: * SEARCH 1
         S: e OK ~
         C: f LOGOUT
         S: * BYE ~
         S: f OK ~",
    );
    // Another session, another day: everything is where it was put.
    let mut imap = bob(&server);
    imap.play(
        "C: a LIST \"\" Recipes*
         S: * LIST (\\HasChildren) \"/\" Recipes
         S: * LIST (\\HasNoChildren) \"/\" Recipes/Green
         S: a OK ~
         C: b STATUS Recipes/Green (MESSAGES UNSEEN)
         S: * STATUS Recipes/Green (MESSAGES 1 UNSEEN 0)
         S: b OK ~",
    );
}

#[test]
fn who_idles_hears_of_mail_at_once() {
    let server = dev();
    let mut imap = bob(&server);
    select(&mut imap, 0);
    imap.play("C: i IDLE\nS: + ~");
    letters(&server, 1);
    imap.play("S: * 1 EXISTS\nC: DONE\nS: i OK ~");
}

#[test]
fn other_mailboxes_are_watched() {
    let server = dev();
    let (mut one, mut two) = (bob(&server), bob(&server));
    two.play("C: a CREATE Lists/Lemonade\nS: a OK ~");
    select(&mut one, 0);
    one.play(
        "C: a NOTIFY SET STATUS (selected (MessageNew (uid body.peek[header.fields (subject)]) MessageExpunge)) \
         (personal (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange))
         S: * STATUS Archive (UIDVALIDITY ~
         S: * STATUS Drafts (UIDVALIDITY ~
         S: * STATUS Junk (UIDVALIDITY ~
         S: * STATUS Lists (UIDVALIDITY ~
         S: * STATUS Lists/Lemonade (UIDVALIDITY ~ UIDNEXT 1 MESSAGES 0)
         S: * STATUS Sent (UIDVALIDITY ~
         S: * STATUS Trash (UIDVALIDITY ~
         S: a OK ~",
    );
    // RFC 5465 §3.1: between commands, of the selected mailbox and of others.
    letters(&server, 1);
    one.play(
        "S: * 1 EXISTS
         S: * 1 FETCH (UID 1 BODY[HEADER.FIELDS (subject)] {21}
         S: Subject: letter 1
         S: 
         S: )",
    );
    two.play("C: b APPEND Lists/Lemonade {3+}\nC: abc\nS: b OK ~");
    one.play("S: * STATUS Lists/Lemonade (UIDVALIDITY ~ UIDNEXT 2 MESSAGES 1)");
    select_named(&mut two, "Lists/Lemonade", 1);
    two.play("C: d STORE 1 +FLAGS.SILENT (\\Seen)\nS: d OK ~");
    one.play("S: * STATUS Lists/Lemonade (UIDVALIDITY ~ UNSEEN 0)");
    // RFC 5465 §5.4: names, and what is above them.
    two.play("C: e RENAME Lists/Lemonade Lemonade\nS: e OK ~");
    one.play("S: * LIST (\\HasNoChildren) \"/\" Lemonade (\"OLDNAME\" (Lists/Lemonade))");
    two.play("C: f SUBSCRIBE Lemonade\nS: f OK ~");
    one.play("S: * LIST (\\HasNoChildren \\Subscribed) \"/\" Lemonade");
    two.play("C: u UNSELECT\nS: u OK ~");
    two.play("C: g DELETE Lemonade\nS: g OK ~");
    one.play("S: * LIST (\\NonExistent \\Subscribed) \"/\" Lemonade");
    two.play("C: h CREATE Lists/A\nS: h OK ~");
    one.play("S: * LIST (\\HasNoChildren) \"/\" Lists/A\nS: * LIST (\\HasChildren) \"/\" Lists");
    two.play("C: i SETMETADATA Lists (/private/comment \"x\")\nS: i OK ~");
    one.play("S: * METADATA Lists /private/comment");
    two.play("C: j SETMETADATA \"\" (/private/comment \"x\")\nS: j OK ~");
    one.play("S: * METADATA \"\" /private/comment");
    // RFC 5465 §5: what a session does itself it is not told; and NONE ends it.
    one.play("C: b CREATE Mine\nS: b OK ~\nC: c APPEND Mine {3+}\nC: abc\nS: c OK ~\nC: d NOTIFY NONE\nS: d OK ~");
    two.play("C: k CREATE Other\nS: k OK ~");
    one.play("C: e NOOP\nS: e OK ~");
}

#[test]
fn too_much_news_of_other_mailboxes_end_it() {
    let server = dev();
    let (mut one, mut two) = (bob(&server), bob(&server));
    one.play("C: a NOTIFY SET (personal (MailboxName))\nS: a OK ~\nC: b APPEND Drafts {3}\nS: + ~");
    // RFC 5465 §5.8: while its message is on its way, it cannot be told.
    for number in 0..1_100 {
        two.play(&format!("C: c CREATE m{number}\nS: c OK ~"));
    }
    one.play("C: abc\nS: b OK ~\nS: * OK [NOTIFICATIONOVERFLOW] ~");
    two.play("C: d CREATE n\nS: d OK ~");
    one.play("C: c NOOP\nS: c OK ~");
}

#[test]
fn a_message_is_put_together_of_what_is_here() {
    let server = dev();
    let mut imap = bob(&server);
    let draft = "Subject: draft\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
                 --b\r\nContent-Type: text/plain\r\n\r\nold\r\n--b\r\n\r\nattached\r\n--b--\r\n";
    imap.say(&format!("a APPEND Drafts (\\Draft) {{{}+}}", draft.len()));
    imap.say(draft);
    imap.play("S: a OK ~");
    // RFC 4469 appendix A, example 2: another text before the same attachment, of which a stretch is taken.
    imap.play(
        "C: b APPEND Drafts (\\Draft) CATENATE (URL /Drafts/;UID=1/;SECTION=HEADER TEXT {19+}
         C: --b
         C: 
         C: new
         C: --b
         C: 
         C:  URL /Drafts/;UID=1/;SECTION=2/;PARTIAL=0.6 TEXT {9+}
         C: 
         C: --b--
         C: )
         S: b OK [APPENDUID ~ 2] ~
         C: c APPEND INBOX CATENATE (URL /Drafts/;UID=2) CATENATE (URL \"/Drafts/;UID=1/;SECTION=HEADER.FIELDS%20(Subject)\" URL /Drafts/;UID=1/;SECTION=1)
         S: c OK [APPENDUID ~ 1:2] ~
         C: d APPEND INBOX CATENATE (URL /Drafts;UIDVALIDITY=1/;UID=2)
         S: d NO [BADURL /Drafts;UIDVALIDITY=1/;UID=2] ~
         C: e APPEND INBOX CATENATE (URL /Drafts/;UID=1/;SECTION=3)
         S: e NO [BADURL /Drafts/;UID=1/;SECTION=3] ~",
    );
    select(&mut imap, 2);
    imap.play(
        "C: f UID FETCH 1:2 (FLAGS BODY.PEEK[2] BODY.PEEK[1] BODY.PEEK[HEADER.FIELDS (SUBJECT)])
         S: * 1 FETCH (UID 1 FLAGS () BODY[2] {6}
         S: attach BODY[1] {3}
         S: new BODY[HEADER.FIELDS (SUBJECT)] {18}
         S: Subject: draft
         S: 
         S: )
         S: * 2 FETCH (UID 2 FLAGS () BODY[2] NIL BODY[1] {3}
         S: old BODY[HEADER.FIELDS (SUBJECT)] {18}
         S: Subject: draft
         S: 
         S: )
         S: f OK ~",
    );
}

#[test]
fn several_mailboxes_are_searched_at_once() {
    let server = dev();
    letters(&server, 3);
    let mut imap = bob(&server);
    select(&mut imap, 3);
    // RFC 7377 §2.1: UIDs, and nothing of mailboxes without a hit.
    imap.play(
        "C: a CREATE Recipes/Green
         S: a OK ~
         C: b COPY 2:3 Recipes/Green
         S: b OK ~
         C: c COPY 1 Recipes
         S: c OK ~
         C: d ESEARCH IN (subtree Recipes) SUBJECT \"letter 3\"
         S: * ESEARCH (TAG \"d\" MAILBOX Recipes/Green UIDVALIDITY ~) UID ALL 2
         S: d OK ~
         C: e ESEARCH IN (selected personal) RETURN (COUNT MAX) BODY pickle 2:*
         S: * ESEARCH (TAG \"e\" MAILBOX INBOX UIDVALIDITY ~) UID MAX 3 COUNT 2
         S: * ESEARCH (TAG \"e\" MAILBOX Recipes UIDVALIDITY ~) UID MAX 1 COUNT 1
         S: * ESEARCH (TAG \"e\" MAILBOX Recipes/Green UIDVALIDITY ~) UID MAX 2 COUNT 1
         S: e OK ~
         C: f ESEARCH IN (subtree-one Recipes mailboxes (Nowhere Recipes)) ALL
         S: * ESEARCH (TAG \"f\" MAILBOX Recipes UIDVALIDITY ~) UID ALL 1
         S: * ESEARCH (TAG \"f\" MAILBOX Recipes/Green UIDVALIDITY ~) UID ALL 1:2
         S: f OK ~
         C: g ESEARCH IN (mailboxes Sent) ALL
         S: g OK ~",
    );
}

#[test]
fn searches_are_kept_up_to_date() {
    let server = dev();
    letters(&server, 3);
    let (mut one, mut two) = (bob(&server), bob(&server));
    select(&mut one, 3);
    select(&mut two, 3);
    one.play(
        "C: u1 UID SEARCH RETURN (UPDATE COUNT) UNSEEN BODY pickle
         S: * ESEARCH (TAG \"u1\") UID COUNT 3
         S: u1 OK ~
         C: u2 UID SORT RETURN (UPDATE ALL) (REVERSE SUBJECT) UTF-8 UNSEEN
         S: * ESEARCH (TAG \"u2\") UID ALL 3,2,1
         S: u2 OK ~
         C: a FETCH 2 BODY[TEXT]<0.6>
         S: * 2 FETCH (BODY[TEXT]<0> {6}
         S: Do you FLAGS (\\Seen))
         S: * ESEARCH (TAG \"u1\") UID REMOVEFROM (0 2)
         S: * ESEARCH (TAG \"u2\") UID REMOVEFROM (2 2)
         S: a OK ~
         C: b IDLE
         S: + ~",
    );
    two.play("C: a STORE 2 -FLAGS (\\Seen)\nS: * 2 FETCH (FLAGS ())\nS: a OK ~");
    one.play(
        "S: * 2 FETCH (UID 2 FLAGS ())
         S: * ESEARCH (TAG \"u1\") UID ADDTO (0 2)
         S: * ESEARCH (TAG \"u2\") UID ADDTO (2 2)",
    );
    letters(&server, 1);
    one.play(
        "S: * 4 EXISTS
         S: * ESEARCH (TAG \"u1\") UID ADDTO (0 4)
         S: * ESEARCH (TAG \"u2\") UID ADDTO (4 4)
         C: DONE
         S: b OK ~
         C: c UID STORE 3 +FLAGS.SILENT (\\Deleted)
         S: c OK ~
         C: d EXPUNGE
         S: * ESEARCH (TAG \"u1\") UID REMOVEFROM (0 3)
         S: * ESEARCH (TAG \"u2\") UID REMOVEFROM (1 3)
         S: * 3 EXPUNGE
         S: d OK ~
         C: e CANCELUPDATE \"u1\" \"u2\"
         S: e OK ~
         C: f STORE 1 +FLAGS.SILENT (\\Seen)
         S: f OK ~",
    );
}

#[test]
fn whoever_reads_many_letters_is_told_of_each_that_it_is_read_now() {
    // More than fits into one answer of the house.
    const LETTERS: u32 = 12;
    let server = dev();
    let mut imap = bob(&server);
    let text = "Subject: long\r\n\r\n".to_owned() + &"Do you like ketchup on it?\r\n".repeat(1_100);
    for _ in 0..LETTERS {
        imap.say(&format!("a APPEND INBOX {{{}+}}", text.len()));
        imap.say(&text);
        while !imap.hear().expect("an answer").starts_with("a OK") {}
    }
    select(&mut imap, LETTERS);
    imap.say("b FETCH 1:* BODY[TEXT]");
    let (mut letters, mut read) = (0, 0);
    loop {
        let line = imap.hear().expect("an answer");
        letters += u32::from(line.contains("BODY[TEXT]"));
        read += u32::from(line.contains("FLAGS (\\Seen)"));
        if line.starts_with("b ") {
            assert!(line.starts_with("b OK"), "{line}");
            break;
        }
    }
    assert_eq!((letters, read), (LETTERS, LETTERS));
}

/// A letter to Bob with this subject.
fn write(server: &Server, subject: &str) {
    let text = format!("Subject: {subject}\r\n\r\nx\r\n");
    assert!(deliver(server, "alice@crepes.test", "bob@hamburger.test", text.as_bytes()).starts_with("250"));
}

/// Bob, with four letters in the INBOX that is selected.
fn four_letters(server: &Server) -> Speaker {
    ["pickles", "ketchup", "Re: pickles", "beans"].into_iter().for_each(|subject| write(server, subject));
    let mut imap = bob(server);
    select(&mut imap, 4);
    imap
}

#[test]
fn an_order_is_right_again_after_mail_has_come_and_gone() {
    let server = dev();
    let mut imap = four_letters(&server);
    for _ in ["the first time", "again"] {
        imap.play("C: a SORT (SUBJECT) UTF-8 ALL\nS: * SORT 4 2 1 3\nS: a OK ~");
        imap.play("C: b SORT (REVERSE SUBJECT) UTF-8 ALL\nS: * SORT 1 3 2 4\nS: b OK ~");
        imap.play("C: c SORT (SUBJECT REVERSE ARRIVAL) UTF-8 2:4\nS: * SORT 4 2 3\nS: c OK ~");
    }
    imap.play("C: d SORT (REVERSE FROM SUBJECT) UTF-8 ALL\nS: * SORT 4 2 1 3\nS: d OK ~");
    imap.play("C: e SORT (REVERSE SUBJECT) UTF-8 ALL\nS: * SORT 1 3 2 4\nS: e OK ~");
    imap.play(
        "C: f SORT RETURN (ALL RELEVANCY) (RELEVANCY REVERSE SUBJECT) UTF-8 FUZZY ALL\n\
         S: * ESEARCH (TAG \"f\") ALL 1,3,2,4 RELEVANCY (100 100 100 100)\nS: f OK ~",
    );
    write(&server, "candy");
    imap.play("C: f NOOP\nS: * 5 EXISTS\nS: f OK ~\nC: g SORT (SUBJECT) UTF-8 ALL\nS: * SORT 4 5 2 1 3\nS: g OK ~");
    imap.play("C: h STORE 2 +FLAGS.SILENT (\\Deleted)\nS: h OK ~\nC: i EXPUNGE\nS: * 2 EXPUNGE\nS: i OK ~");
    imap.play("C: j SORT (SUBJECT) UTF-8 ALL\nS: * SORT 3 4 1 2\nS: j OK ~");
}

#[test]
fn discussions_are_right_again_after_mail_has_come_and_gone() {
    let server = dev();
    let mut imap = four_letters(&server);
    for _ in ["the first time", "again"] {
        imap.play("C: a THREAD REFERENCES UTF-8 ALL\nS: * THREAD (1 3)(2)(4)\nS: a OK ~");
        imap.play("C: b THREAD ORDEREDSUBJECT UTF-8 ALL\nS: * THREAD (1 3)(2)(4)\nS: b OK ~");
        imap.play("C: c THREAD REFERENCES UTF-8 2:4\nS: * THREAD (2)(3)(4)\nS: c OK ~");
    }
    write(&server, "Re: ketchup");
    imap.play("C: d NOOP\nS: * 5 EXISTS\nS: d OK ~");
    imap.play("C: e THREAD REFERENCES UTF-8 ALL\nS: * THREAD (1 3)(2 5)(4)\nS: e OK ~");
    imap.play("C: f STORE 2 +FLAGS.SILENT (\\Deleted)\nS: f OK ~\nC: g EXPUNGE\nS: * 2 EXPUNGE\nS: g OK ~");
    imap.play("C: h THREAD REFERENCES UTF-8 ALL\nS: * THREAD (1 2)(3)(4)\nS: h OK ~");
}

#[test]
fn numbers_hold_while_somebody_else_expunges() {
    let server = dev();
    letters(&server, 3);
    let (mut one, mut two) = (bob(&server), bob(&server));
    select(&mut one, 3);
    select(&mut two, 3);
    two.play(
        "C: a STORE 1 +FLAGS.SILENT (\\Deleted)
         S: a OK ~
         C: b EXPUNGE
         S: * 1 EXPUNGE
         S: b OK ~",
    );
    // RFC 9051 §7.5.1: no EXPUNGE while FETCH, STORE or SEARCH go by numbers; what is gone cannot be had.
    one.play(
        "C: a FETCH 2:3 (UID)
         S: * 2 FETCH (UID 2)
         S: * 3 FETCH (UID 3)
         S: a OK ~
         C: b SEARCH ALL
         S: * SEARCH 2 3
         S: b OK ~
         C: c NOOP
         S: * 1 EXPUNGE
         S: c OK ~
         C: d FETCH 1:2 (UID)
         S: * 1 FETCH (UID 2)
         S: * 2 FETCH (UID 3)
         S: d OK ~",
    );
}

#[test]
fn flags_of_others_are_told_and_one_s_own_only_once() {
    let server = dev();
    letters(&server, 2);
    let (mut one, mut two) = (bob(&server), bob(&server));
    select(&mut one, 2);
    select(&mut two, 2);
    one.play("C: a STORE 1 +FLAGS (\\Flagged)\nS: * 1 FETCH (FLAGS (\\Flagged))\nS: a OK ~\nC: b NOOP\nS: b OK ~");
    two.play("C: a NOOP\nS: * 1 FETCH (UID 1 FLAGS (\\Flagged))\nS: a OK ~");
}

#[test]
fn a_client_that_comes_back_is_told_what_it_missed() {
    let server = dev();
    letters(&server, 4);
    let (mut one, mut two) = (bob(&server), bob(&server));
    one.play("C: e ENABLE QRESYNC\nS: * ENABLED QRESYNC\nS: e OK ~\nC: s STATUS INBOX (UIDVALIDITY HIGHESTMODSEQ)");
    let status = one.hear().expect("a status");
    let number = |after: &str| {
        let from = status.find(after).expect(after) + after.len() + 1;
        status[from..].split([' ', ')']).next().expect("a number").to_owned()
    };
    let (validity, modseq) = (number("UIDVALIDITY"), number("HIGHESTMODSEQ"));
    one.play("S: s OK ~");
    select(&mut two, 4);
    two.play(
        "C: a STORE 2 +FLAGS.SILENT (\\Deleted)
         S: a OK ~
         C: b EXPUNGE
         S: * 2 EXPUNGE
         S: b OK ~
         C: c STORE 3 +FLAGS.SILENT (\\Answered)
         S: c OK ~",
    );
    one.say(&format!("q SELECT INBOX (QRESYNC ({validity} {modseq}))"));
    let mut lines = Vec::new();
    while !lines.last().is_some_and(|line: &String| line.starts_with("q ")) {
        lines.push(one.hear().expect("an answer"));
    }
    let tells = |start: &str| lines.iter().any(|line| line.starts_with(start));
    assert!(tells("* VANISHED (EARLIER) 2"), "{lines:#?}");
    assert!(tells("* 3 FETCH (UID 4 FLAGS (\\Answered)"), "{lines:#?}");
    assert!(!tells("* 1 FETCH"), "nothing has changed there: {lines:#?}");
}

#[test]
fn what_was_appended_is_there_octet_for_octet_and_all_or_nothing() {
    let server = dev();
    let mut imap = bob(&server);
    imap.play(
        "C: a APPEND Drafts (\\Draft) \" 1-Feb-2024 10:00:00 +0100\" {22+}
         C: Subject: one
         C: 
         C: first.
         S: a OK [APPENDUID $validity 1] ~
         C: b APPEND Nowhere {3}
         S: b NO [TRYCREATE] ~
         C: c APPEND Drafts {3+}
         C: one {4+}
         C: two, y",
    );
    // The line behind the second message ends the command.
    imap.play("S: c BAD ~\nC: d STATUS Drafts (MESSAGES)\nS: * STATUS Drafts (MESSAGES 1)\nS: d OK ~");
}

/// The literal that this command is answered with, of so many octets.
fn literal(imap: &mut Speaker, item: &str, answered: &str, octets: usize) -> Vec<u8> {
    imap.play(&format!("C: f FETCH 1 BODY.PEEK[{item}\nS: * 1 FETCH (BODY[{answered} {{{octets}}}"));
    let literal = imap.octets(octets);
    imap.play("S: )\nS: f OK ~");
    literal
}

/// What is large goes from the file to the client; the beginning of the message, which was added on its way, does not.
#[test]
fn a_large_message_comes_octet_for_octet_whole_and_in_parts() {
    let server = dev();
    let image: String = (0..50_000).map(|line| format!("line {line:05} {}\r\n", "x".repeat(60))).collect();
    let text = format!(
        "Subject: large\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee this\r\n\
         --b\r\nContent-Type: image/x-portable-anymap\r\n\r\n{image}\r\n--b--\r\n"
    );
    assert!(deliver(&server, "alice@crepes.test", "bob@hamburger.test", text.as_bytes()).starts_with("250"));
    let mut imap = bob(&server);
    select(&mut imap, 1);
    imap.say("z FETCH 1 RFC822.SIZE");
    let size = imap.expect("* 1 FETCH (RFC822.SIZE $size)");
    let size: usize = size.trim_end_matches(')').rsplit(' ').next().and_then(|size| size.parse().ok()).expect("a size");
    imap.play("S: z OK ~");
    let whole = literal(&mut imap, "]", "]", size);
    assert!(whole.starts_with(b"Return-Path:") && whole.ends_with(text.as_bytes()), "the message as it was sent");
    assert!(literal(&mut imap, "2]", "2]", image.len()) == image.as_bytes(), "the part as it was sent");
    let stretch = literal(&mut imap, "2]<100001.3000000>", "2]<100001>", 3_000_000);
    assert!(stretch == image.as_bytes()[100_001..3_100_001], "a stretch of it");
}

#[test]
fn mail_is_there_after_the_server_was_stopped() {
    let folder = tempfile::tempdir().expect("a directory");
    let configuration = format!(
        "host_name = 'mail.hamburger.test'\ndata_dir = '{}'\nlisten.smtp = []\nlisten.submission = []\nlisten.submissions = []\n\
         listen.pop3 = []\nlisten.pop3s = []\nlisten.imap = ['127.0.0.1:0']\nlisten.imaps = []\nlisten.ftp = []\nlisten.ftps = []\n",
        folder.path().join("data").display()
    );
    for (arguments, input) in
        [(&["domain", "add", "hamburger.test"][..], ""), (&["account", "add", "bob@hamburger.test"][..], "very-hungry")]
    {
        let done = harness::command_on(BINARY, &folder.path().join("data"), arguments, input);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    let enter = |server: &Server| enter(server, "bob@hamburger.test", "very-hungry");
    let server = Server::serve_in(BINARY, folder.path(), &configuration);
    enter(&server).play(
        "C: a CREATE Kept\nS: a OK ~\nC: b SUBSCRIBE Kept\nS: b OK ~\nC: c APPEND Kept (\\Seen kept) {5+}\nC: hello\nS: c OK ~",
    );
    drop(server);
    let server = Server::serve_in(BINARY, folder.path(), &configuration);
    let mut imap = enter(&server);
    imap.play("C: a LSUB \"\" K*\nS: * LSUB () \"/\" Kept\nS: a OK ~\nC: b EXAMINE Kept");
    while !imap.hear().expect("an answer").starts_with("b OK") {}
    imap.play("C: c FETCH 1 (FLAGS BODY[])\nS: * 1 FETCH (FLAGS (\\Seen kept) BODY[] {5}\nS: hello)\nS: c OK ~");
}

/// RFC 6154 §4 and §5.4.
#[test]
fn what_a_mailbox_is_for_is_an_annotation_too() {
    let server = dev();
    let mut imap = bob(&server);
    imap.play("C: a GETMETADATA Drafts /private/specialuse\nS: * METADATA Drafts (/private/specialuse \"\\\\Drafts\")\nS: a OK ~");
    imap.play("C: b CREATE Saved\nS: b OK ~\nC: c SETMETADATA Saved (/private/specialuse \"\\\\Drafts\")\nS: c NO [USEATTR] ~");
    imap.play("C: d SETMETADATA Saved (/private/specialuse \"\\\\Nonsense\")\nS: d NO [USEATTR] ~");
    imap.play("C: e SETMETADATA Drafts (/private/specialuse NIL)\nS: e OK ~");
    imap.play("C: f SETMETADATA Saved (/private/specialuse \"\\\\Drafts\" /private/comment \"x\")\nS: f OK ~");
    imap.play("C: g LIST (SPECIAL-USE) \"\" \"Saved\"\nS: * LIST (\\HasNoChildren \\Drafts) \"/\" Saved\nS: g OK ~");
    imap.play("C: h GETMETADATA Saved (/private/specialuse /private/comment)\nS: * METADATA Saved (/private/comment \"x\" /private/specialuse \"\\\\Drafts\")\nS: h OK ~");
    imap.play("C: i GETMETADATA Drafts /private/specialuse\nS: * METADATA Drafts (/private/specialuse NIL)\nS: i OK ~");
}

//! Mailboxes that several people use over IMAP: what is granted, what is seen of it, and what is taken back.
//!
//! RFC 4314 (ACL), RFC 8440 (LIST-MYRIGHTS), RFC 2342 §5 (others' names).

use super::{deliver, dev};
use harness::{Server, Speaker};

const BOBS: &str = "Other Users/bob@hamburger.test";

fn enter(server: &Server, login: &str, password: &str) -> Speaker {
    let mut imap = server.speak("imap");
    imap.play(&format!("S: * OK ~\nC: l LOGIN {login} {password}\nS: l OK [CAPABILITY ~ ACL RIGHTS=texk ~"));
    imap
}

/// Bob, who has two messages in Work, and Alice.
fn two() -> (Server, Speaker, Speaker) {
    let server = dev();
    for number in 1..=2 {
        let text = format!("Subject: letter {number}\r\n\r\nDo you like pickle {number}?\r\n");
        assert!(deliver(&server, "alice@crepes.test", "bob@hamburger.test", text.as_bytes()).starts_with("250"));
    }
    let mut bob = enter(&server, "bob@hamburger.test", "hungry");
    bob.play("C: a CREATE Work\nS: a OK ~");
    bob.say("s SELECT INBOX");
    while !bob.hear().expect("an answer").starts_with("s OK") {}
    bob.play("C: m MOVE 1:2 Work\nS: * OK [COPYUID ~\nS: * 2 EXPUNGE\nS: * 1 EXPUNGE\nS: m OK ~");
    let alice = enter(&server, "alice@crepes.test", "pickles");
    (server, bob, alice)
}

fn grant(bob: &mut Speaker, rights: &str) {
    bob.play(&format!("C: g SETACL Work alice@crepes.test {rights}\nS: g OK ~"));
}

#[test]
fn what_is_shared_is_seen_by_whom_it_is_shared_with() {
    let (_server, mut bob, mut alice) = two();
    // RFC 4314 §6: what she may not know of is as if it were not there.
    alice.play(&format!(
        "C: a NAMESPACE
         S: * NAMESPACE ((\"\" \"/\")) ((\"Other Users/\" \"/\")) NIL
         S: a OK ~
         C: b LIST \"\" \"Other Users*\"
         S: b OK ~
         C: c SELECT \"{BOBS}/Work\"
         S: c NO [NONEXISTENT] ~
         C: d MYRIGHTS \"{BOBS}/Work\"
         S: d NO [NONEXISTENT] ~
         C: e GETACL \"{BOBS}/Work\"
         S: e NO [NONEXISTENT] ~
         C: f SELECT \"{BOBS}/Nothing\"
         S: f NO [NONEXISTENT] ~"
    ));
    bob.play(
        "C: a SETACL Work alice@crepes.test lr
         S: a OK ~
         C: b GETACL Work
         S: * ACL Work bob@hamburger.test lrswipkxteacd alice@crepes.test lr
         S: b OK ~
         C: c LISTRIGHTS Work alice@crepes.test
         S: * LISTRIGHTS Work alice@crepes.test \"\" l r s w i p k x t e a c d
         S: c OK ~
         C: d LISTRIGHTS Work bob@hamburger.test
         S: * LISTRIGHTS Work bob@hamburger.test lrswipkxtea
         S: d OK ~
         C: e SETACL Work nobody@crepes.test lr
         S: e NO ~
         C: f SETACL Work bob@hamburger.test l
         S: f NO ~
         C: g MYRIGHTS Work
         S: * MYRIGHTS Work lrswipkxteacd
         S: g OK ~",
    );
    alice.play(&format!(
        "C: g LIST \"\" \"Other Users*\" RETURN (MYRIGHTS)
         S: * LIST (\\Noselect \\HasChildren) \"/\" \"Other Users\"
         S: * LIST (\\Noselect \\HasChildren) \"/\" \"{BOBS}\"
         S: * LIST (\\HasNoChildren) \"/\" \"{BOBS}/Work\"
         S: * MYRIGHTS \"{BOBS}/Work\" lr
         S: g OK ~
         C: h STATUS \"{BOBS}/Work\" (MESSAGES)
         S: * STATUS \"{BOBS}/Work\" (MESSAGES 2)
         S: h OK ~
         C: i GETACL \"{BOBS}/Work\"
         S: i NO [NOPERM] ~
         C: j GETQUOTAROOT \"{BOBS}/Work\"
         S: * QUOTAROOT \"{BOBS}/Work\"
         S: j OK ~
         C: k SUBSCRIBE \"{BOBS}/Work\"
         S: k OK ~
         C: l LSUB \"\" \"Other Users*\"
         S: * LSUB () \"/\" \"{BOBS}/Work\"
         S: l OK ~"
    ));
}

/// Selects Bob's Work as Alice, and gives back what was said.
fn look(alice: &mut Speaker) -> String {
    alice.say(&format!("s SELECT \"{BOBS}/Work\""));
    let mut said = String::new();
    loop {
        let line = alice.hear().expect("an answer");
        said.push_str(&line);
        said.push('\n');
        if line.starts_with("s ") {
            return said;
        }
    }
}

#[test]
fn each_may_do_what_is_granted_and_no_more() {
    let (_server, mut bob, mut alice) = two();
    grant(&mut bob, "lr");
    let said = look(&mut alice);
    assert!(said.contains("* OK [PERMANENTFLAGS ()]") && said.contains("s OK [READ-ONLY]"), "{said}");
    alice.play(
        "C: a FETCH 1 BODY[HEADER.FIELDS (SUBJECT)]
         S: * 1 FETCH (BODY[HEADER.FIELDS (SUBJECT)] {21}
         S: Subject: letter 1
         S: 
         S: )
         S: a OK ~
         C: b STORE 1 +FLAGS (\\Seen)
         S: b NO ~
         C: c COPY 1 Archive
         S: c OK [COPYUID ~ 1 1] ~",
    );
    grant(&mut bob, "lrs");
    let said = look(&mut alice);
    assert!(said.contains("* OK [PERMANENTFLAGS (\\Seen)]") && said.contains("s OK [READ-WRITE]"), "{said}");
    // RFC 4314 §4: some of what was wished is enough.
    alice.play(&format!(
        "C: a STORE 1 FLAGS (\\Seen \\Flagged \\Deleted $Mine)
         S: * 1 FETCH (FLAGS (\\Seen))
         S: a OK ~
         C: b STORE 1 +FLAGS (\\Flagged)
         S: b NO [NOPERM] ~
         C: c EXPUNGE
         S: c NO [NOPERM] ~
         C: d APPEND \"{BOBS}/Work\" {{3+}}
         C: x
         C: 
         S: d NO [NOPERM] ~
         C: e CREATE \"{BOBS}/Work/Bills\"
         S: e NO [NOPERM] ~
         C: f DELETE \"{BOBS}/Work\"
         S: f NO [NOPERM] ~
         C: g CLOSE
         S: g OK ~"
    ));
    grant(&mut bob, "lrwtei");
    let said = look(&mut alice);
    assert!(said.contains("[PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Draft \\*)]"), "{said}");
    alice.play(&format!(
        "C: a APPEND \"{BOBS}/Work\" (\\Seen \\Flagged) {{3+}}
         C: x
         C: 
         S: * 3 EXISTS
         S: a OK [APPENDUID ~ 3] ~
         C: b FETCH 3 (FLAGS)
         S: * 3 FETCH (FLAGS (\\Flagged))
         S: b OK ~
         C: c MOVE 2 Archive
         S: * OK [COPYUID ~ 2 2] ~
         S: * 2 EXPUNGE
         S: c OK ~
         C: d STATUS Archive (MESSAGES)
         S: * STATUS Archive (MESSAGES 2)
         S: d OK ~"
    ));
    bob.play("C: z STATUS Work (MESSAGES UNSEEN)\nS: * STATUS Work (MESSAGES 2 UNSEEN 1)\nS: z OK ~");
}

#[test]
fn what_is_made_below_is_shared_alike_and_what_is_taken_back_is_gone_at_once() {
    let (_server, mut bob, mut alice) = two();
    bob.play("C: a SETACL Work @crepes.test lrkx\nS: a OK ~\nC: b SETACL Work -anyone x\nS: b OK ~");
    alice.play(&format!(
        "C: a MYRIGHTS \"{BOBS}/Work\"
         S: * MYRIGHTS \"{BOBS}/Work\" lrkc
         S: a OK ~
         C: b CREATE \"{BOBS}/Work/Bills/Paid\"
         S: b OK ~
         C: c MYRIGHTS \"{BOBS}/Work/Bills/Paid\"
         S: * MYRIGHTS \"{BOBS}/Work/Bills/Paid\" lrkc
         S: c OK ~
         C: d RENAME \"{BOBS}/Work/Bills/Paid\" \"{BOBS}/Work/Old\"
         S: d NO [NOPERM] ~
         C: e RENAME Archive \"{BOBS}/Work/Archive\"
         S: e NO ~"
    ));
    bob.play(
        "C: c DELETEACL Work -anyone
         S: c OK ~
         C: d GETACL Work
         S: * ACL Work bob@hamburger.test lrswipkxteacd @crepes.test lrkxc
         S: d OK ~
         C: e DELETEACL Work/Bills/Paid -anyone
         S: e OK ~",
    );
    alice.play(&format!(
        "C: f RENAME \"{BOBS}/Work/Bills/Paid\" \"{BOBS}/Work/Old\"
         S: f OK ~
         C: g DELETE \"{BOBS}/Work/Old\"
         S: g OK ~"
    ));
    look(&mut alice);
    alice.play("C: a FETCH 1 (UID)\nS: * 1 FETCH (UID 1)\nS: a OK ~");
    bob.play("C: f DELETEACL Work @crepes.test\nS: f OK ~");
    // RFC 4314 §5.1.1: not one message more, until the mailbox is closed.
    alice.play("C: b FETCH 1 (UID)\nS: b NO [NOPERM] ~\nC: c CLOSE\nS: c OK ~\nC: d NOOP\nS: d OK ~");
}

#[test]
fn what_others_share_is_watched() {
    let (_server, mut bob, mut alice) = two();
    alice.play(
        "C: a NOTIFY SET (subtree \"Other Users\" (MessageNew MessageExpunge FlagChange MailboxName))\nS: a OK ~",
    );
    // RFC 5465 §5.4: to be granted the right to see it is as if it were made.
    grant(&mut bob, "lr");
    alice.play(&format!("S: * LIST (\\HasNoChildren) \"/\" \"{BOBS}/Work\""));
    bob.play("C: b APPEND Work {3+}\nC: abc\nS: b OK ~\nC: c APPEND Drafts {3+}\nC: abc\nS: c OK ~");
    alice.play(&format!("S: * STATUS \"{BOBS}/Work\" (UIDVALIDITY ~ UIDNEXT 4 MESSAGES 3)"));
    bob.play("C: d RENAME Work Play\nS: d OK ~");
    alice.play(&format!("S: * LIST (\\HasNoChildren) \"/\" \"{BOBS}/Play\" (\"OLDNAME\" (\"{BOBS}/Work\"))"));
    bob.play("C: e DELETEACL Play alice@crepes.test\nS: e OK ~\nC: f APPEND Play {3+}\nC: abc\nS: f OK ~");
    alice.play(&format!("S: * LIST (\\NonExistent) \"/\" \"{BOBS}/Play\"\nC: b NOOP\nS: b OK ~"));
}

#[test]
fn nothing_of_one_s_own_is_called_as_if_it_were_another_s() {
    let (_server, mut bob, _alice) = two();
    bob.play(
        "C: a CREATE \"Other Users\"
         S: a NO [NOPERM] ~
         C: b CREATE \"Other Users/x\"
         S: b NO [NOPERM] ~
         C: c RENAME Work \"Other Users\"
         S: c NO [NOPERM] ~
         C: d RENAME Work \"Other Users/Work\"
         S: d NO [NOPERM] ~
         C: e CREATE \"Other Users of the club\"
         S: e OK ~",
    );
}

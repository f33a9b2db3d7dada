//! URLs that grant access to messages: who may use them, and until when.
//!
//! RFC 4467 (URLAUTH), RFC 5550 §5.7.1 (URL-PARTIAL).

use super::imap::{bob, letters, select};
use super::{BINARY, dev};
use harness::{Server, Speaker};

const BOB: &str = "imap://bob%40hamburger.test@localhost";
const BODY: &str = "Do you like pickle 1?\r\n";

/// A URL of the session's own, authorized.
fn authorized(imap: &mut Speaker, url: &str) -> String {
    imap.say(&format!("g GENURLAUTH \"{url}\" INTERNAL"));
    let told = imap.expect("* GENURLAUTH ~");
    imap.play("S: g OK ~");
    let full = told.split('"').nth(1).expect("a URL in quotes").to_owned();
    let token = full.strip_prefix(&format!("{url}:INTERNAL:")).expect("what was asked for, and a token");
    assert!(token.len() >= 32 && token.bytes().all(|digit| digit.is_ascii_hexdigit()), "{token}");
    full
}

/// What a URL gives; nothing, if it is NIL.
fn fetched(imap: &mut Speaker, url: &str) -> Option<String> {
    imap.say(&format!("u URLFETCH \"{url}\""));
    let told = imap.expect("* URLFETCH ~");
    let found = match told.strip_prefix(&format!("* URLFETCH \"{url}\" ")).expect("the URL comes back") {
        "NIL" => None,
        literal => {
            let count = literal.trim_matches(['{', '}']).parse().expect("a literal");
            let octets = imap.octets(count);
            imap.play("S:");
            Some(String::from_utf8(octets).expect("text"))
        }
    };
    imap.play("S: u OK ~");
    found
}

#[test]
fn who_has_a_url_may_read_what_it_names_and_nothing_else() {
    let server = dev();
    letters(&server, 2);
    let (mut bob, mut alice) = (bob(&server), server.speak("imap"));
    alice.play("S: * OK ~\nC: l LOGIN alice@crepes.test pickles\nS: l OK [CAPABILITY ~ URLAUTH URL-PARTIAL~");
    let any = authorized(&mut bob, &format!("{BOB}/INBOX/;uid=1/;section=TEXT;urlauth=anonymous"));
    assert_eq!(fetched(&mut alice, &any).as_deref(), Some(BODY));
    assert_eq!(fetched(&mut bob, &any).as_deref(), Some(BODY));
    // Another message, or more of it, is another URL.
    assert_eq!(fetched(&mut alice, &any.replace("uid=1", "uid=2")), None);
    assert_eq!(fetched(&mut alice, &any.replace("/;section=TEXT", "")), None);
    assert_eq!(fetched(&mut alice, &any.replace("INBOX", "Nowhere")), None);
    assert_eq!(fetched(&mut alice, &any.replace("bob%40", "alice%40")), None);
    assert_eq!(fetched(&mut alice, &any.replace("bob%40", "nobody%40")), None);

    let part = authorized(&mut bob, &format!("{BOB}/INBOX/;uid=1/;section=TEXT/;partial=3.8;urlauth=authuser"));
    assert_eq!(fetched(&mut alice, &part).as_deref(), Some("you like"));
    let hers = authorized(&mut bob, &format!("{BOB}/INBOX/;uid=2;urlauth=user+alice%40crepes.test"));
    assert!(fetched(&mut alice, &hers).is_some_and(|text| text.ends_with("Do you like pickle 2?\r\n")));
    assert_eq!(fetched(&mut bob, &hers), None);
    let submitted = authorized(&mut bob, &format!("{BOB}/INBOX/;uid=1;urlauth=submit+bob%40hamburger.test"));
    assert_eq!(fetched(&mut alice, &submitted), None, "she submits for nobody");
    let nobodys = authorized(&mut bob, &format!("{BOB}/INBOX/;uid=1;urlauth=user+nobody"));
    assert_eq!(fetched(&mut bob, &nobodys), None);
    let (past, future) = ("2001-02-03T04:05:06Z", "2101-02-03T04:05:06+01:00");
    let over = authorized(&mut bob, &format!("{BOB}/INBOX/;uid=1/;section=TEXT;expire={past};urlauth=anonymous"));
    assert_eq!(fetched(&mut alice, &over), None);
    assert_eq!(fetched(&mut alice, &over.replace(past, future)), None);
    let lasting = authorized(&mut bob, &format!("{BOB}/INBOX/;uid=1/;section=TEXT;expire={future};urlauth=anonymous"));
    assert_eq!(fetched(&mut alice, &lasting).as_deref(), Some(BODY));
    alice.play(&format!(
        "C: a GENURLAUTH \"{BOB}/INBOX/;uid=1;urlauth=anonymous\" INTERNAL
         S: a BAD ~
         C: b GETMETADATA (DEPTH infinity) \"\" (/private /shared)
         S: ~
         S: b OK ~"
    ));
    // A message that is gone is gone.
    select(&mut bob, 2);
    bob.play("C: d STORE 2 +FLAGS.SILENT (\\Deleted)\nS: d OK ~\nC: e EXPUNGE\nS: * 2 EXPUNGE\nS: e OK ~");
    assert_eq!(fetched(&mut alice, &hers), None);
}

#[test]
fn urls_are_taken_back() {
    let server = dev();
    letters(&server, 1);
    let (mut one, mut two) = (bob(&server), bob(&server));
    select(&mut two, 1);
    one.play("C: a CREATE Work\nS: a OK ~\nC: s EXAMINE INBOX");
    while !one.hear().expect("an answer").starts_with("s OK") {}
    one.play("C: b COPY 1 Work\nS: b OK ~");
    let url = |mailbox| format!("{BOB}/{mailbox}/;uid=1/;section=TEXT;urlauth=authuser");
    let (inbox, work) = (authorized(&mut one, &url("INBOX")), authorized(&mut one, &url("Work")));
    assert_eq!(authorized(&mut two, &url("INBOX")), inbox, "a token is what URL and key make it");
    one.play("C: c RESETKEY INBOX\nS: c OK [URLMECH INTERNAL] ~");
    // RFC 4467 §8: whoever has it selected is told, once.
    two.play("C: n NOOP\nS: * OK [URLMECH INTERNAL] ~\nS: n OK ~\nC: n NOOP\nS: n OK ~");
    assert_eq!(fetched(&mut two, &inbox), None);
    assert_eq!(fetched(&mut one, &work).as_deref(), Some(BODY));
    let inbox = authorized(&mut one, &url("INBOX"));
    assert_eq!(fetched(&mut one, &inbox).as_deref(), Some(BODY));
    one.play("C: d RESETKEY\nS: d OK ~");
    assert_eq!((fetched(&mut one, &inbox), fetched(&mut one, &work)), (None, None));
    let work = authorized(&mut one, &url("Work"));
    one.play("C: e DELETE Work\nS: e OK ~\nC: f CREATE Work\nS: f OK ~\nC: g COPY 1 Work\nS: g OK ~");
    assert_eq!(fetched(&mut one, &work), None, "another mailbox of the same name has another key");
}

#[test]
fn an_owner_who_may_read_no_more_gives_no_more() {
    let server = dev();
    letters(&server, 1);
    let (mut bob, mut alice) = (bob(&server), server.speak("imap"));
    alice.play("S: * OK ~\nC: l LOGIN alice@crepes.test pickles\nS: l OK ~");
    bob.play("C: a SETACL INBOX alice@crepes.test lr\nS: a OK ~");
    let place = "imap://alice%40crepes.test@localhost/Other%20Users/bob@hamburger.test/INBOX";
    let url = authorized(&mut alice, &format!("{place}/;uid=1/;section=TEXT;urlauth=anonymous"));
    assert_eq!(fetched(&mut bob, &url).as_deref(), Some(BODY));
    bob.play("C: b RESETKEY INBOX\nS: b OK ~");
    assert_eq!(fetched(&mut bob, &url).as_deref(), Some(BODY), "it is by her key");
    bob.play("C: c DELETEACL INBOX alice@crepes.test\nS: c OK ~");
    assert_eq!(fetched(&mut bob, &url), None);
}

#[test]
fn a_submission_server_reads_what_is_to_be_submitted() {
    let server = Server::serve_files(BINARY, "127.0.0.1", "[imap]\nsubmitters = ['bob@hamburger.test']\n");
    let mut bob = server.speak("imap");
    bob.play(
        "S: * OK ~
         C: l LOGIN bob@hamburger.test very-hungry
         S: l OK ~
         C: a APPEND INBOX {8+}
         C: a: b
         C:
         C: 
         S: a OK ~",
    );
    let url = authorized(&mut bob, &format!("{BOB}/INBOX/;uid=1;urlauth=submit+bob%40hamburger.test"));
    assert_eq!(fetched(&mut bob, &url).as_deref(), Some("a: b\r\n\r\n"));
}

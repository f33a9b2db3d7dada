//! What holds for all commands: they read as they were written, and nothing else is read.

use super::*;
use proptest::prelude::*;

fn read(line: &str, utf8: bool) -> Result<(bool, Command), String> {
    let opening = Opening::read(line.as_bytes()).map_err(|wrong| wrong.why.0.to_owned())?;
    opening.command(utf8).map(|command| (opening.uid, command)).map_err(|Misread(why)| why.to_owned())
}

/// Lines as clients write them; each is read, written, and read again.
const LINES: &[&str] = &[
    "a1 CAPABILITY",
    "a1 noop",
    "a1 LOGOUT ",
    "a1 ID NIL",
    "a1 ID (\"name\" \"Mail\" \"version\" NIL)",
    "a1 COMPRESS DEFLATE",
    "a1 STARTTLS",
    "a1 LOGIN smith sesame",
    "a1 LOGIN {5}\r\nsmith \"se\\\"same\"",
    "a1 AUTHENTICATE PLAIN",
    "a1 AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q=",
    "a1 AUTHENTICATE EXTERNAL =",
    "a1 ENABLE CONDSTORE QRESYNC IMAP4rev2",
    "a1 UNAUTHENTICATE",
    "a1 NAMESPACE",
    "a1 SELECT inbox",
    "a1 EXAMINE blurdybloop",
    "a1 SELECT INBOX (CONDSTORE)",
    "a1 SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541))",
    "a1 SELECT INBOX (CONDSTORE QRESYNC (67890007 90060115194045000 41:211,214:541 (1,3 41,43)))",
    "a1 SELECT INBOX (QRESYNC (67890007 90060115194045000 (1,3 41,43)))",
    "a1 CREATE owatagusiam/",
    "a1 CREATE MySpecial (USE (\\Drafts \\Sent))",
    "a1 DELETE foo",
    "a1 RENAME \"a b\" &U,BTFw-",
    "a1 SUBSCRIBE #news.comp.mail.mime",
    "a1 UNSUBSCRIBE x",
    "a1 LIST \"\" \"\"",
    "a1 LIST ~/Mail/ %",
    "a1 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (\"INBOX\" \"Sent/%\") RETURN (CHILDREN STATUS (MESSAGES UNSEEN))",
    "a1 LIST \"\" % RETURN (METADATA (\"/shared/vendor/x\" \"/private/y\") MYRIGHTS SUBSCRIBED SPECIAL-USE)",
    "a1 LIST (SPECIAL-USE REMOTE) \"\" * RETURN ()",
    "a1 LSUB \"#news.\" \"comp.mail.*\"",
    "a1 STATUS blurdybloop (UIDNEXT MESSAGES SIZE DELETED HIGHESTMODSEQ MAILBOXID APPENDLIMIT RECENT)",
    "a1 IDLE",
    "a1 CHECK",
    "a1 CLOSE",
    "a1 UNSELECT",
    "a1 EXPUNGE",
    "a1 UID EXPUNGE 3000:3002",
    "a1 UID EXPUNGE $",
    "a1 SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"",
    "a1 SEARCH CHARSET UTF-8 TEXT {6}\r\nабв",
    "a1 UID SEARCH RETURN (MIN COUNT SAVE) OR UNSEEN (1:* $) UID 3,4",
    "a1 SEARCH RETURN () 1",
    "a1 SORT RETURN (ALL RELEVANCY) (REVERSE RELEVANCY DATE) UTF-8 FUZZY SUBJECT x",
    "a1 SEARCH RETURN (PARTIAL -1:-100) OLDER 60 YOUNGER 61 FUZZY SUBJECT x KEYWORD $Junk",
    "a1 UID SEARCH RETURN (CONTEXT COUNT UPDATE) DELETED KEYWORD $Junk",
    "a1 SEARCH RETURN (COUNT UPDATE (UID BODY[HEADER.FIELDS (TO FROM SUBJECT)])) FROM \"boss\"",
    "a1 SORT RETURN (UPDATE(FLAGS) PARTIAL 1:2) (DATE) UTF-8 ALL",
    "a1 CANCELUPDATE \"B01\" \"b.2\"",
    "a1 GENURLAUTH \"imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred\" INTERNAL",
    "a1 GENURLAUTH {3}\r\na b XSAMPLE \"\" x-1.2",
    "a1 RESETKEY",
    "a1 RESETKEY INBOX",
    "a1 RESETKEY \"a b\" XSAMPLE INTERNAL",
    "a1 URLFETCH \"imap://joe@example.com/INBOX/;uid=20;urlauth=anonymous:internal:91354a473744909de610943775f92038\" x",
    "a1 SORT (REVERSE DATE SUBJECT DISPLAYFROM) UTF-8 UNDELETED LARGER 100 SENTON 1-Jan-2000",
    "a1 SORT RETURN (COUNT) (SIZE) US-ASCII ALL",
    "a1 UID THREAD REFERENCES UTF-8 SINCE 5-MAR-2000 SAVEDBEFORE 1-Jan-2020 HEADER Message-ID \"\"",
    "a1 FETCH 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])",
    "a1 FETCH 1 ALL",
    "a1 UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)",
    "a1 UID FETCH $ (PREVIEW (LAZY) EMAILID) (PARTIAL 1:10)",
    "a1 STORE 2:4 +FLAGS (\\Deleted)",
    "a1 UID STORE 1,*:3 (UNCHANGEDSINCE 12121230045) -FLAGS.SILENT \\Seen $Junk",
    "a1 STORE 1 FLAGS ()",
    "a1 COPY 2:4 MEETING",
    "a1 UID MOVE 42:69 foo",
    "a1 UIDBATCHES 2000",
    "a1 UIDBATCHES 500 10:20",
    "a1 GETQUOTA \"\"",
    "a1 GETQUOTAROOT INBOX",
    "a1 SETQUOTA \"#user/alice\" (STORAGE 510 MESSAGE 0)",
    "a1 SETQUOTA x ()",
    "a1 GETMETADATA \"\" /shared/comment",
    "a1 GETMETADATA (MAXSIZE 1024 DEPTH infinity) INBOX (/private/comment /shared/comment)",
    "a1 GETMETADATA INBOX (DEPTH 1) (/private/filters/values)",
    "a1 SETMETADATA INBOX (/private/comment {33}\r\nMy new comment across\r\ntwo lines. /shared/a NIL /shared/b ~{1}\r\n\0)",
    "a1 GETACL INBOX",
    "a1 SETACL INBOX fred +cda",
    "a1 SETACL INBOX fred \"\"",
    "a1 DELETEACL INBOX -fred",
    "a1 LISTRIGHTS ~/Mail/saved smith",
    "a1 MYRIGHTS INBOX",
    "a1 NOTIFY NONE",
    "a1 NOTIFY SET STATUS (selected (MessageNew (uid body.peek[header.fields (from to subject)]) MessageExpunge)) (subtree Lists (MessageNew MessageExpunge))",
    "a1 NOTIFY SET (selected-delayed (MessageNew MessageExpunge FlagChange)) (mailboxes (INBOX \"a b\") (MailboxName SubscriptionChange)) (personal NONE)",
    "a1 NOTIFY SET (inboxes (MailboxMetadataChange ServerMetadataChange AnnotationChange)) (subscribed (MessageExpunge MessageNew)) (subtree a NONE)",
];

#[test]
fn what_is_written_reads_the_same_again() {
    for line in LINES {
        let (uid, command) = read(line, false).unwrap_or_else(|why| panic!("{line}: {why}"));
        for utf8 in [false, true] {
            let mut written = Vec::new();
            match uid {
                true => command.write_uid(b"a1", utf8, &mut written),
                false => command.write(b"a1", utf8, &mut written),
            }
            let written = String::from_utf8(written).expect("UTF-8");
            let again = read(written.trim_end_matches("\r\n"), utf8);
            assert_eq!(again, Ok((uid, command.clone())), "{line}\n{written}");
        }
    }
}

#[test]
fn no_prefix_of_a_command_is_a_trap() {
    for line in LINES {
        for end in 0..line.len() {
            if let Some(front) = line.get(..end) {
                let _ = read(front, false);
            }
        }
    }
}

#[test]
fn lines_that_are_no_commands() {
    for line in [
        "",
        " ",
        "a",
        "a ",
        "+ NOOP",
        "a( NOOP",
        "a FOO",
        "a UID",
        "a UID NOOP",
        "a UID LOGIN a b",
        "a NOOP x",
        "a LOGIN",
        "a LOGIN a",
        "a LOGIN a b c",
        "a LOGIN  a b",
        "a LOGIN (a) b",
        "a LOGIN \"a b",
        "a SELECT",
        "a SELECT \"\"",
        "a SELECT a (FOO)",
        "a SELECT a (QRESYNC (0 1))",
        "a SELECT a (QRESYNC (1 1 *))",
        "a SELECT a (QRESYNC)",
        "a CREATE /",
        "a CREATE a (\\Sent)",
        "a CREATE a (USE (\\Foo))",
        "a LIST \"\"",
        "a LIST (RECURSIVEMATCH) \"\" *",
        "a LIST \"\" ()",
        "a LIST \"\" a RETURN",
        "a STATUS a ()",
        "a STATUS a (FOO)",
        "a STATUS a MESSAGES",
        "a SEARCH",
        "a SEARCH RETURN (FOO) ALL",
        "a SEARCH RETURN (ALL PARTIAL 1:2) ALL",
        "a SEARCH RETURN (PARTIAL 1:-2) ALL",
        "a SEARCH RETURN (UPDATE ()) ALL",
        "a SEARCH RETURN (UPDATE (UID) ALL",
        "a CANCELUPDATE",
        "a CANCELUPDATE B01",
        "a CANCELUPDATE \"\"",
        "a CANCELUPDATE \"a b\"",
        "a GENURLAUTH x",
        "a GENURLAUTH x \"INTERNAL\"",
        "a GENURLAUTH x INTERNAL y",
        "a RESETKEY INBOX \"\"",
        "a URLFETCH",
        "a SORT () UTF-8 ALL",
        "a SORT (FOO) UTF-8 ALL",
        "a SORT (REVERSE) UTF-8 ALL",
        "a THREAD FOO UTF-8 ALL",
        "a FETCH 1",
        "a FETCH 0 FLAGS",
        "a FETCH 1 (FLAGS) (VANISHED)",
        "a STORE 1 FLAGS",
        "a STORE 1 FOO (\\Seen)",
        "a STORE 1 FLAGS (\\Recent)",
        "a STORE 1 (FOO 1) FLAGS (\\Seen)",
        "a COPY 1",
        "a COPY 1 a b",
        "a UIDBATCHES 0",
        "a UIDBATCHES 1 2:",
        "a SETQUOTA a (FOO 1)",
        "a GETMETADATA \"\" (comment)",
        "a GETMETADATA \"\" /private//a",
        "a GETMETADATA \"\" /shared/a*",
        "a SETMETADATA \"\" ()",
        "a SETACL INBOX fred Q",
        "a SETACL INBOX \"\" r",
        "a ID (a b)",
        "a ID (\"a\")",
        "a ENABLE",
        "a EXPUNGE 1",
        "a APPEND a",
        "a REPLACE 1 a",
        "a NOTIFY",
        "a NOTIFY SET",
        "a NOTIFY SET (selected ())",
        "a NOTIFY SET (selected (MessageNew))",
        "a NOTIFY SET (selected (FlagChange))",
        "a NOTIFY SET (selected (MailboxName))",
        "a NOTIFY SET (selected NONE) (selected-delayed NONE)",
        "a NOTIFY SET (foo NONE)",
        "a NOTIFY SET (subtree () NONE)",
        "a NOTIFY SET (personal (MessageNew (UID) MessageExpunge))",
        "a NOTIFY NONE x",
    ] {
        assert!(read(line, false).is_err(), "{line}: {:?}", read(line, false));
    }
    assert_eq!(read("a SEARCH CHARSET KOI8-R TEXT x", false), Ok((false, Command::BadCharset { saves: false })));
}

proptest! {
    #[test]
    fn no_line_is_a_trap(line in "(a (UID )?(FETCH|SEARCH|LIST|STORE|SELECT|STATUS|SORT|ID) )?[ -~\r\n]{0,60}") {
        if let Ok((uid, command)) = read(&line, false) {
            let mut written = Vec::new();
            match uid {
                true => command.write_uid(b"a1", false, &mut written),
                false => command.write(b"a1", false, &mut written),
            }
            let written = String::from_utf8(written).expect("UTF-8");
            prop_assert_eq!(read(written.trim_end_matches("\r\n"), false), Ok((uid, command)), "{}", written);
        }
    }
}

//! interimap: two servers kept alike by QRESYNC, two of ours, and ours with Dovecot.

use super::dovecot::Dovecot;
use super::{Witness, with_letters, witness};
use crate::{certificate, port};
use harness::Server;
use interop::{Foreign, bob, dev, foreign};

/// How interimap comes to one of ours.
fn ours(server: &Server) -> String {
    format!(
        "type = imaps\nhost = localhost\nport = {}\nusername = {}\npassword = {}\nSSL_CAfile = {}\nSSL_verify = YES\nSSL_hostname = localhost\ncompress = NO\n",
        port(server, "imaps"),
        bob().address,
        bob().password,
        certificate(server)
    )
}

fn sync(interimap: &Foreign, local: &str, remote: &str) {
    let settings = format!("database = {}\n\n[local]\n{local}\n[remote]\n{remote}\n", interimap.path("imap.db"));
    let rc = interimap.write("config", &settings);
    interimap.run(&["--config", &rc, "--debug"], b"").succeeded();
}

#[test]
fn interimap_keeps_two_of_ours_alike() {
    let Some(interimap) = foreign("interimap") else { return };
    let ((here, letters), there) = (with_letters(3), dev());
    let (mut here_seen, mut there_seen) = (witness(&here), witness(&there));
    here_seen.say("CREATE Recipes/Green");
    here_seen.append("Recipes/Green", "\\Flagged", "Subject: salad\r\n\r\nleaves\r\n");
    let sync = || sync(&interimap, &ours(&here), &ours(&there));
    sync();
    assert_alike(&mut here_seen, &mut there_seen);

    // Each kind of change, on both sides.
    here_seen.say("SELECT INBOX");
    here_seen.say("STORE 1 +FLAGS (\\Seen $Forwarded)");
    here_seen.say("MOVE 3 Archive");
    there_seen.say("SELECT INBOX");
    there_seen.say("STORE 2 +FLAGS (\\Deleted)");
    there_seen.say("EXPUNGE");
    there_seen.append("Drafts", "\\Draft", "Subject: a draft\r\n\r\n...\r\n");
    there_seen.say("CREATE Recipes/Red");
    sync();
    assert_alike(&mut here_seen, &mut there_seen);
    assert_eq!(here_seen.contents("INBOX"), [format!("{}: $Forwarded \\Seen", letters[0].token)]);
    assert_eq!(here_seen.contents("Drafts"), ["a draft: \\Draft"]);

    let before = (here_seen.everything(), there_seen.everything());
    sync();
    assert_eq!((here_seen.everything(), there_seen.everything()), before, "there is no difference any more");
}

#[test]
fn interimap_keeps_ours_and_dovecot_alike() {
    let Some(interimap) = foreign("interimap") else { return };
    let Some(dovecot) = Dovecot::new() else { return };
    let (server, letters) = with_letters(2);
    let mut witness = witness(&server);
    let remote = format!("type = tunnel\ncommand = {}\n", dovecot.command());
    let sync = || sync(&interimap, &ours(&server), &remote);
    sync();
    let mut theirs = dovecot.session();
    assert_eq!(theirs.number("INBOX", "MESSAGES"), 2);
    theirs.say("SELECT INBOX");
    theirs.say("STORE 1 +FLAGS (\\Answered)");
    theirs.say("STORE 2 +FLAGS (\\Deleted)");
    theirs.say("EXPUNGE");
    theirs.say("CREATE Theirs/Below");
    theirs.append("Theirs/Below", "Subject: from them\r\n\r\nhello\r\n");
    witness.append("Drafts", "\\Draft", "Subject: from us\r\n\r\nhello\r\n");
    drop(theirs);
    sync();
    assert_eq!(witness.contents("INBOX"), [format!("{}: \\Answered", letters[0].token)]);
    assert_eq!(witness.contents("Theirs/Below"), ["from them: "]);
    assert_eq!(dovecot.session().number("Drafts", "MESSAGES"), 1);
    let before = witness.everything();
    sync();
    assert_eq!(witness.everything(), before, "there is no difference any more");
}

/// The same mailboxes with the same messages and flags.
#[track_caller]
fn assert_alike(here: &mut Witness, there: &mut Witness) {
    let names = here.mailboxes();
    assert_eq!(names, there.mailboxes());
    for name in names {
        let (mut ours, mut theirs) = (here.contents(&name), there.contents(&name));
        ours.sort();
        theirs.sort();
        assert_eq!(ours, theirs, "{name}");
    }
}

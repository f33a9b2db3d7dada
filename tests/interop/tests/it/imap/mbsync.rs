//! mbsync (isync): a tree of mailboxes here and there, alike in both directions, and nothing to do the second time.

use super::{Witness, maildir, tree, with_letters, witness};
use crate::{certificate, port};
use harness::Server;
use interop::{Foreign, Outcome, bob, foreign};
use std::fs;

fn sync(mbsync: &Foreign, server: &Server, service: &str) -> Outcome {
    let tls = if service == "imaps" { "IMAPS" } else { "STARTTLS" };
    let settings = format!(
        "IMAPAccount boat\nHost localhost\nPort {}\nUser {}\nPass {}\nSSLType {tls}\nSystemCertificates no\nCertificateFile {}\n\
         AuthMechs PLAIN\n\nIMAPStore far\nAccount boat\n\nMaildirStore near\nPath {home}/mail/\nInbox {home}/mail/INBOX\nSubFolders Verbatim\n\n\
         Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nRemove Both\nExpunge Both\nCopyArrivalDate yes\nSyncState *\n",
        port(server, service),
        bob().address,
        bob().password,
        certificate(server),
        home = mbsync.home().display()
    );
    fs::create_dir_all(mbsync.home().join("mail")).expect("a folder");
    let rc = mbsync.write("mbsyncrc", &settings);
    mbsync.run(&["-c", &rc, "-a", "-V"], b"").succeeded()
}

fn nothing_to_do(mbsync: &Foreign, server: &Server, service: &str, witness: &mut Witness) {
    let look = |witness: &mut Witness| (witness.everything(), tree(&mbsync.home().join("mail"), &|_| false));
    let before = look(witness);
    sync(mbsync, server, service);
    assert_eq!(look(witness), before, "the second time there is no difference");
}

#[test]
fn mbsync_keeps_trees_alike_and_has_nothing_to_do_twice() {
    let Some(mbsync) = foreign("mbsync") else { return };
    let (server, letters) = with_letters(3);
    let mut witness = witness(&server);
    witness.say("CREATE \"Recipes/Green ones\"");
    witness.append("Recipes/Green ones", "\\Seen \\Flagged", "Subject: salad\r\n\r\nleaves\r\n");
    sync(&mbsync, &server, "imaps");
    assert_eq!(maildir(&mbsync, "mail/INBOX").len(), 3);
    let salad = maildir(&mbsync, "mail/Recipes/Green ones");
    assert!(salad.len() == 1 && salad[0].to_string_lossy().ends_with(":2,FS"), "{salad:?}");
    nothing_to_do(&mbsync, &server, "imaps", &mut witness);

    // There: one is answered, one is gone. Here: one is read, a new one lies in a new mailbox.
    witness.say("SELECT INBOX");
    witness.say("STORE 1 +FLAGS (\\Answered)");
    witness.say("STORE 2 +FLAGS (\\Deleted)");
    witness.say("EXPUNGE");
    let inbox = maildir(&mbsync, "mail/INBOX");
    let third = inbox.iter().find(|file| fs::read_to_string(file).unwrap_or_default().contains(&letters[2].token));
    let third = third.expect("the third letter");
    let read = third.to_string_lossy().replace("/new/", "/cur/");
    let read = format!("{}:2,S", read.split(":2,").next().unwrap_or_default());
    fs::rename(third, read).expect("a maildir");
    for folder in ["cur", "new", "tmp"] {
        fs::create_dir_all(mbsync.home().join("mail/Made here").join(folder)).expect("a maildir");
    }
    mbsync.write("mail/Made here/cur/1.1.here:2,RS", "Subject: from here\n\nhello\n");
    sync(&mbsync, &server, "imap");
    let inbox = witness.contents("INBOX");
    assert_eq!(inbox, [format!("{}: \\Answered", letters[0].token), format!("{}: \\Seen", letters[2].token)]);
    assert_eq!(witness.contents("\"Made here\""), ["from here: \\Answered \\Seen"]);
    let inbox: Vec<String> =
        maildir(&mbsync, "mail/INBOX").iter().map(|file| file.to_string_lossy().into_owned()).collect();
    assert!(inbox.len() == 2 && inbox.iter().any(|file| file.ends_with(":2,R")), "{inbox:?}");
    nothing_to_do(&mbsync, &server, "imap", &mut witness);
}

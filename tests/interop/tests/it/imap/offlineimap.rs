//! offlineimap: a tree of maildirs that is kept like ours, in both directions, and nothing to do the second time.

use super::{maildir, tree, with_letters, witness};
use crate::{certificate, port};
use harness::Server;
use interop::{Foreign, Outcome, bob, foreign};
use std::fs;

fn sync(offlineimap: &Foreign, server: &Server) -> Outcome {
    let home = offlineimap.home().display();
    let settings = format!(
        "[general]\naccounts = boat\nmetadata = {home}/meta\nui = basic\nsocktimeout = 50\n\
         [Account boat]\nlocalrepository = near\nremoterepository = far\n\
         [Repository near]\ntype = Maildir\nlocalfolders = {home}/mail\nsep = /\n\
         [Repository far]\ntype = IMAP\nremotehost = localhost\nremoteport = {}\nremoteuser = {}\nremotepass = {}\n\
         ssl = yes\nsslcacertfile = {}\n",
        port(server, "imaps"),
        bob().address,
        bob().password,
        certificate(server)
    );
    let rc = offlineimap.write("offlineimaprc", &settings);
    offlineimap.run(&["-o", "-c", &rc], b"").succeeded()
}

#[test]
fn offlineimap_keeps_trees_alike_and_has_nothing_to_do_twice() {
    let Some(offlineimap) = foreign("offlineimap") else { return };
    let (server, letters) = with_letters(2);
    let mut witness = witness(&server);
    witness.say("CREATE Recipes/Green");
    witness.append("Recipes/Green", "\\Seen \\Flagged", "Subject: salad\r\n\r\nleaves\r\n");
    sync(&offlineimap, &server);
    assert_eq!(maildir(&offlineimap, "mail/INBOX").len(), 2);
    let salad = maildir(&offlineimap, "mail/Recipes/Green");
    assert!(salad.len() == 1 && salad[0].to_string_lossy().ends_with(":2,FS"), "{salad:?}");

    witness.say("SELECT INBOX");
    witness.say("STORE 1 +FLAGS (\\Deleted)");
    witness.say("EXPUNGE");
    let leaf = salad[0].to_string_lossy().replace(":2,FS", ":2,FRS");
    fs::rename(&salad[0], leaf).expect("a maildir");
    for folder in ["cur", "new", "tmp"] {
        fs::create_dir_all(offlineimap.home().join("mail/Made").join(folder)).expect("a maildir");
    }
    offlineimap.write("mail/Made/new/1.1.here", "Subject: from here\n\nhello\n");
    sync(&offlineimap, &server);
    assert_eq!(witness.contents("INBOX"), [format!("{}: ", letters[1].token)]);
    assert_eq!(witness.contents("Recipes/Green"), ["salad: \\Answered \\Flagged \\Seen"]);
    assert_eq!(witness.contents("Made"), ["from here: "]);
    assert_eq!(maildir(&offlineimap, "mail/INBOX").len(), 1);

    let before = (witness.everything(), tree(&offlineimap.home().join("mail"), &|_| false));
    sync(&offlineimap, &server);
    let after = (witness.everything(), tree(&offlineimap.home().join("mail"), &|_| false));
    assert_eq!(before, after, "there is no difference any more");
}

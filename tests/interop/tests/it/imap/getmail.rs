//! getmail by IMAP: keeping, deleting, and moving what it has fetched.

use super::{with_letters, witness};
use crate::getmail::fetch;
use interop::foreign;

#[test]
fn getmail_by_imap_that_keeps_fetches_each_letter_once() {
    let Some(getmail) = foreign("getmail") else { return };
    let (server, letters) = with_letters(1);
    fetch(&getmail, &server, "imaps", "", false).succeeded();
    fetch(&getmail, &server, "imaps", "", false).succeeded();
    letters[0].assert_is(&getmail.read("inbox"));
    assert_eq!(witness(&server).count("INBOX"), 1, "it is still there");
}

#[test]
fn getmail_by_imap_that_deletes_leaves_nothing() {
    let Some(getmail) = foreign("getmail") else { return };
    let (server, letters) = with_letters(1);
    fetch(&getmail, &server, "imap", "", true).succeeded();
    letters[0].assert_is(&getmail.read("inbox"));
    assert_eq!(witness(&server).count("INBOX"), 0);
}

#[test]
fn getmail_by_imap_moves_what_it_has_fetched() {
    let Some(getmail) = foreign("getmail") else { return };
    let (server, letters) = with_letters(1);
    fetch(&getmail, &server, "imaps", "move_on_delete = Archive", true).succeeded();
    letters[0].assert_is(&getmail.read("inbox"));
    let mut witness = witness(&server);
    assert_eq!((witness.count("INBOX"), witness.count("Archive")), (0, 1));
}

//! fetchmail by IMAP: keeping and deleting, several mailboxes, with STARTTLS and over TLS.

use super::{with_letters, witness};
use crate::fetchmail::{NO_MAIL, fetch};
use interop::{Letter, foreign};

#[test]
fn fetchmail_by_imap_keeps_and_marks_as_read() {
    let Some(fetchmail) = foreign("fetchmail") else { return };
    let (server, letters) = with_letters(2);
    fetch(&fetchmail, &server, "imaps", "keep").succeeded();
    letters.iter().for_each(|letter| assert!(fetchmail.read("inbox").contains(&letter.token)));
    let seen: Vec<String> = letters.iter().map(|letter| format!("{}: \\Seen", letter.token)).collect();
    assert_eq!(witness(&server).contents("INBOX"), seen);
    fetch(&fetchmail, &server, "imaps", "keep").expect(NO_MAIL);
}

#[test]
fn fetchmail_by_imap_deletes_in_several_mailboxes() {
    let Some(fetchmail) = foreign("fetchmail") else { return };
    let (server, _) = with_letters(1);
    let letter = Letter::new();
    witness(&server).append("Archive", "", &letter.text());
    let said = fetch(&fetchmail, &server, "imap", "folder INBOX,Archive nokeep").succeeded();
    assert!(said.stdout.contains("STARTTLS"), "it did not ask for TLS:\n{}", said.stdout);
    assert_eq!(fetchmail.read("inbox").matches("Do you like ketchup?").count(), 2);
    let mut witness = witness(&server);
    assert_eq!((witness.count("INBOX"), witness.count("Archive")), (0, 0));
}

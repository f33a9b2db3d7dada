//! Perl's Mail::IMAPClient. The script dies where it sees what it should not.

use super::{with_letters, witness};
use crate::{certificate, port};
use interop::{bob, foreign, skipped};

const SCRIPT: &str = include_str!("../../../scripts/imap.pl");

#[test]
fn mail_imapclient_reads_searches_and_files() {
    let Some(perl) = foreign("perl") else { return };
    if perl.run(&["-MMail::IMAPClient", "-MIO::Socket::SSL", "-e1"], b"").code != Some(0) {
        return skipped("Mail::IMAPClient or IO::Socket::SSL is not installed");
    }
    let (server, letters) = with_letters(3);
    let file = perl.write("imap.pl", SCRIPT);
    let (port, token) = (port(&server, "imap"), &letters[1].token);
    perl.run(&[&file, &port, &certificate(&server), bob().address, bob().password, token], b"").succeeded();
    let mut witness = witness(&server);
    assert_eq!(witness.contents("Filed/Here"), [format!("{token}: \\Flagged \\Seen")]);
    assert_eq!(witness.count("INBOX"), 1);
    assert_eq!(witness.contents("Drafts"), ["from perl: \\Draft"]);
}

//! mutt and NeoMutt by IMAP, in a terminal that `script` makes for them: copying, filing, deleting, and a copy of what was sent.

use super::{with_letters, witness};
use crate::{certificate, port};
use harness::Server;
use interop::{Foreign, Letter, alice, bob, dev, foreign};

const BOTH: [&str; 2] = ["mutt", "neomutt"];

fn settings(home: &Foreign, server: &Server, more: &str) -> String {
    let settings = format!(
        "set imap_authenticators=\"plain\" smtp_authenticators=\"plain\" ssl_force_tls=yes certificate_file=\"{}\"\n\
         set imap_pass=\"{}\" smtp_pass=\"{}\" realname=\"Bob\" from=\"{}\" mbox_type=mbox header_cache=\"{}\"\n\
         set delete=yes quit=yes confirmappend=no confirmcreate=no move=no wait_key=no mark_old=no sleep_time=0\n{more}\n",
        certificate(server),
        bob().password,
        bob().password,
        bob().address,
        home.path("cache"),
    );
    home.write("muttrc", &settings)
}

fn url(server: &Server, scheme: &str, service: &str, mailbox: &str) -> String {
    format!("{scheme}://{}@localhost:{}/{mailbox}", bob().in_url(), port(server, service))
}

/// Opens Bob's INBOX, does `keys` in it, quits.
fn read(program: &str, server: &Server, (scheme, service): (&str, &str), keys: &str) -> Option<Foreign> {
    foreign(program)?;
    let script = foreign("script")?;
    let rc = settings(&script, server, "");
    let keys = keys.replace("LOCAL", &script.path("inbox"));
    let keys = keys.replace("REMOTE/", &url(server, scheme, service, ""));
    let url = url(server, scheme, service, "INBOX");
    let command =
        script.script("go", &format!("#!/bin/sh\nexec {program} -n -F '{rc}' -f '{url}' -e 'push {keys}<quit>'\n"));
    script.run(&["-qec", &command, "/dev/null"], b"").succeeded();
    Some(script)
}

#[test]
fn mutt_by_imap_copies_here_and_marks_as_read() {
    for (program, way) in BOTH.into_iter().zip([("imaps", "imaps"), ("imap", "imap")]) {
        let (server, letters) = with_letters(1);
        let keys = "<tag-pattern>~A<enter><tag-prefix><copy-message><kill-line>LOCAL<enter><tag-prefix><clear-flag>N";
        let Some(mutt) = read(program, &server, way, keys) else { continue };
        letters[0].assert_is(mutt.read("inbox").trim_end());
        assert_eq!(witness(&server).contents("INBOX"), [format!("{}: \\Seen", letters[0].token)], "{program}");
    }
}

#[test]
fn mutt_by_imap_files_flags_and_deletes() {
    for program in BOTH {
        let (server, letters) = with_letters(3);
        // By numbers, which hold until the mailbox is written.
        let keys = "<tag-pattern>\"~m 1\"<enter><tag-prefix><save-message><kill-line>REMOTE/Archive<enter><untag-pattern>~A<enter>\
            <tag-pattern>\"~m 2\"<enter><tag-prefix><delete-message><untag-pattern>~A<enter>\
            <tag-pattern>\"~m 3\"<enter><tag-prefix><flag-message><sync-mailbox>";
        let Some(_) = read(program, &server, ("imaps", "imaps"), keys) else { continue };
        let mut witness = witness(&server);
        assert_eq!(witness.contents("Archive"), [format!("{}: ", letters[0].token)], "{program}");
        assert_eq!(witness.contents("INBOX"), [format!("{}: \\Flagged", letters[2].token)], "{program}");
    }
}

// NeoMutt puts no copy into an IMAP mailbox when nobody sits before it.
#[test]
fn mutt_by_imap_keeps_a_copy_of_what_it_sends() {
    let Some(mutt) = foreign("mutt") else { return };
    let (server, letter) = (dev(), Letter::new());
    let record = url(&server, "imaps", "imaps", "Sent");
    let more = format!("set smtp_url=\"{}\" record=\"{record}\"", url(&server, "smtps", "submissions", ""));
    let rc = settings(&mutt, &server, &more);
    mutt.run(&["-n", "-F", &rc, "-s", &letter.token, alice().address], letter.body().as_bytes()).succeeded();
    assert_eq!(witness(&server).contents("Sent"), [format!("{}: \\Seen", letter.token)]);
    assert_eq!(alice().count(&server), 1);
}

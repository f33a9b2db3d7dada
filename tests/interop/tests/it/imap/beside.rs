//! What Dovecot says of the same messages: of those of the usual kinds exactly what we say.
//!
//! Not here: messages where the two differ, and why (docs/imap-differences.md; `scripts/beside.py` finds them in any folder).

use super::dovecot::Dovecot;
use interop::{Foreign, bob, dev, foreign};
use std::fs;

const HEAD: &str = "From: Bob Crepes <bob@crepes.test>\r\nTo: alice@hamburger.test, \"Carol C.\" <carol@far.example>\r\n\
     Date: Fri, 10 Jul 2020 10:18:33 +0200\r\nMessage-ID: <1@crepes.test>\r\n";

/// Everything behind [`HEAD`].
const USUAL: &[(&str, &str)] = &[
    ("plain", "Subject: menu\r\n\r\nsoup\r\n"),
    ("empty", "Subject: nothing\r\n\r\n"),
    ("folded", "Subject: soup,\r\n roast chicken,\r\n plum cake\r\nIn-Reply-To: <0@crepes.test>\r\n\r\nall of it\r\n"),
    ("group", "Subject: all\r\nCc: cooks: dan@far.example, Eve <eve@far.example>;, frank@far.example\r\n\r\nhi\r\n"),
    (
        "encoded",
        "Subject: =?utf-8?Q?cr=C3=AApes?=\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\ncr=C3=AApes =\r\nand soup\r\n",
    ),
    (
        "alternative",
        "Subject: two\r\nContent-Type: multipart/alternative; boundary=\"cut here\"\r\n\r\nfor nobody\r\n--cut here\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\nsoup\r\n--cut here\r\nContent-Type: text/html; charset=utf-8\r\n\
         Content-Transfer-Encoding: base64\r\n\r\nPGI+c291cDwvYj4=\r\n--cut here--\r\n",
    ),
    (
        "attached",
        "Subject: three\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\
         Content-Type: multipart/related; boundary=i\r\n\r\n--i\r\nContent-Type: text/html; charset=us-ascii\r\n\r\n<b>soup</b>\r\n\
         --i\r\nContent-Type: image/png; name=soup.png\r\nContent-ID: <soup@crepes.test>\r\nContent-Description: a soup\r\n\
         Content-Transfer-Encoding: base64\r\nContent-Disposition: inline; filename=soup.png\r\n\r\niVBORw0KGgo=\r\n--i--\r\n\r\n\
         --o\r\nContent-Type: application/pdf\r\nContent-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\nContent-Location: menu.pdf\r\n\
         Content-Disposition: attachment; filename=\"the menu.pdf\"\r\n\r\n%PDF\r\n--o--\r\n",
    ),
    (
        "forwarded",
        "Subject: Fwd: menu\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: text/plain; charset=us-ascii\r\n\
         \r\nsee below\r\n--o\r\nContent-Type: message/rfc822\r\n\r\nFrom: dan@far.example\r\nSubject: menu\r\n\
         Content-Type: text/plain; charset=us-ascii\r\n\r\nsoup\r\nand cake\r\n--o--\r\n",
    ),
];

#[test]
fn dovecot_says_the_same_of_usual_messages() {
    let (Some(python), Some(dovecot)) = (foreign("python3"), Dovecot::new()) else { return };
    let folder = Foreign::temporary();
    for (name, rest) in USUAL {
        fs::write(folder.path().join(name), format!("{HEAD}{rest}")).expect("a message");
    }
    let server = dev();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/beside.py");
    let (port, bob) = (server.address("imap").port().to_string(), bob());
    let folder = folder.path().to_str().expect("a path in UTF-8");
    let words = [script, &port, bob.address, bob.password, &dovecot.command(), folder];
    let said = python.run(&words, b"").succeeded().stdout;
    assert_eq!(said, format!("{} messages, 0 differences; connections that ended: 0 and 0\n", USUAL.len()));
}

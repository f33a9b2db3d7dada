//! ImapFlow, of npm. The script throws where it sees what it should not.

use super::{with_letters, witness};
use crate::{certificate, port};
use interop::{bob, foreign, skipped, unpacked};
use std::path::Path;

const SCRIPT: &str = include_str!("../../../scripts/imapflow.cjs");

/// `service` with this security from the first octet, or asked for.
fn everything(service: &str, security: &str) {
    let Some(node) = foreign("node") else { return };
    let Some(package) = unpacked("node_modules/imapflow").pop() else { return skipped("ImapFlow is not unpacked") };
    let (server, letters) = with_letters(3);
    let file = node.write("imapflow.cjs", SCRIPT);
    let (port, token) = (port(&server, service), &letters[1].token);
    let arguments = [&file, &port, security, &certificate(&server), bob().address, bob().password, token];
    let modules = package.parent().and_then(Path::to_str).expect("a path in UTF-8");
    node.run_with(&[("NODE_PATH", modules)], &arguments, b"").succeeded();
    let mut witness = witness(&server);
    assert_eq!(witness.contents("INBOX"), [format!("{token}: $Forwarded \\Flagged")]);
    assert_eq!(witness.contents("Filed/Here"), [format!("{token}: $Forwarded \\Flagged")]);
    assert_eq!(witness.count("Archive"), 1);
    assert_eq!(witness.contents("Drafts"), ["With a menu: \\Draft \\Seen"]);
}

#[test]
fn imapflow_by_starttls() {
    everything("imap", "starttls");
}

#[test]
fn imapflow_by_tls() {
    everything("imaps", "tls");
}

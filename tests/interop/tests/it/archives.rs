//! Python's mailbox module writes what we import, and reads what we export.

use harness::Server;
use interop::{Foreign, bob, dev, foreign};

const SCRIPT: &str = include_str!("../../scripts/archive.py");

fn python(python: &Foreign, function: &str, path: &str) {
    let file = python.write("archive.py", SCRIPT);
    python.run(&[&file, function, path], b"").succeeded();
}

fn succeeds(server: &Server, arguments: &[&str]) {
    let done = server.command(arguments);
    let said = [done.stdout, done.stderr].concat();
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said));
}

#[test]
fn a_maildir_of_pythons_goes_through_an_account() {
    let Some(foreign) = foreign("python3") else { return };
    let (server, written, exported) = (dev(), foreign.path("written"), foreign.path("exported"));
    python(&foreign, "write_maildir", &written);
    succeeds(&server, &["import", &written, bob().address]);
    succeeds(&server, &["export", &exported, bob().address]);
    python(&foreign, "judge_maildir", &exported);
    let boxes = foreign.path("boxes");
    succeeds(&server, &["export", &boxes, bob().address, "--format", "mbox"]);
    python(&foreign, "judge_mbox", &boxes);
}

#[test]
fn mboxes_of_pythons_go_through_an_account() {
    let Some(foreign) = foreign("python3") else { return };
    let (server, written, exported) = (dev(), foreign.path("written"), foreign.path("exported"));
    python(&foreign, "write_mbox", &written);
    succeeds(&server, &["import", &written, bob().address]);
    succeeds(&server, &["export", &exported, bob().address, "--format", "mbox"]);
    python(&foreign, "judge_mbox", &exported);
}

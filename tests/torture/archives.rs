//! `kill -9` in the middle of an import, of the command and of the server in turn: in the end each message is there once.

use super::BINARY;
use super::kill::Chance;
use harness::{Server, command_on};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const MESSAGES: usize = 6000;
const KILLS_MAX: usize = 40;
/// How often the log is looked at: more than once between two commits, and not so often that the import has to share a processor.
const LOOK_EVERY: Duration = Duration::from_millis(1);
const BOB: &str = "bob@hamburger.test";

#[test]
fn an_import_that_is_killed_again_and_again_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().expect("a directory");
    let (data, mail) = (folder.path().join("data"), folder.path().join("mail"));
    prepare(&mail);
    Server::dev_in(BINARY, &data, &[]).stop();

    let mut chance = Chance(0x5851_f42d_4c95_7f2d);
    let mut kills = 0;
    let is_sound = |data: &Path| command_on(BINARY, data, &["store", "check"], "").status.success();
    while kills < KILLS_MAX {
        let mut server = (kills % 2 == 1).then(|| Server::dev_in(BINARY, &data, &[]));
        let mut command = import(&data, &mail);
        let has_ended = wait_for_commits(&data, &mut command, 1 + chance.below(4));
        match server.as_mut() {
            Some(server) => server.kill(),
            None => command.kill().expect("it can be killed"),
        }
        command.wait().expect("it ends");
        assert!(is_sound(&data), "kill {kills}");
        if has_ended {
            break;
        }
        kills += 1;
    }
    assert!(kills > 4, "it was not killed often enough to show anything: {kills}");
    assert!(import(&data, &mail).wait().expect("it ends").success());
    assert_eq!(exported_subjects(&data, &folder.path().join("out")), (MESSAGES, MESSAGES));
}

/// A Maildir with messages that differ in their subject.
fn prepare(mail: &Path) {
    fs::create_dir_all(mail.join("cur")).expect("a directory");
    for number in 0..MESSAGES {
        fs::write(mail.join(format!("cur/{number}.x:2,S")), format!("Subject: {number}\n\nketchup\n")).expect("a file");
    }
}

fn import(data: &Path, mail: &Path) -> Child {
    let mut command = Command::new(BINARY);
    command.arg("import").arg(mail).arg(BOB).arg("--data").arg(data);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the command starts")
}

/// Until the log of the index has changed so often; says whether the command ended by itself before.
fn wait_for_commits(data: &Path, command: &mut Child, changes: usize) -> bool {
    let log = data.join("store.db-wal");
    let look = || fs::metadata(&log).ok().map(|metadata| (metadata.len(), metadata.modified().ok()));
    let (mut seen, mut left) = (look(), changes);
    while left > 0 {
        if command.try_wait().expect("a child").is_some() {
            return true;
        }
        let now = look();
        if now != seen {
            (seen, left) = (now, left - 1);
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
    false
}

/// How many messages there are, and how many different subjects.
fn exported_subjects(data: &Path, out: &Path) -> (usize, usize) {
    let done = command_on(BINARY, data, &["export", out.to_str().expect("UTF-8"), BOB, "--mailbox", "INBOX"], "");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let files: Vec<_> = fs::read_dir(out.join("cur")).expect("a directory").map(|file| file.expect("a file")).collect();
    let texts: BTreeSet<_> = files.iter().map(|file| fs::read_to_string(file.path()).expect("a message")).collect();
    (files.len(), texts.len())
}

//! Mail comes in from Maildir and mbox and goes out again, with the server running and without.

use super::{dev, log_in, retrieve};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Output;

const BOB: &str = "bob@hamburger.test";

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a directory")).expect("directories");
    fs::write(&path, text).expect("a file");
    path.to_str().expect("UTF-8").to_owned()
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().expect("UTF-8").to_owned()
}

fn summary(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let answer: Value = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)));
    answer["archived"].clone()
}

#[test]
fn an_imported_maildir_is_there_at_once_and_only_once() {
    let folder = tempfile::tempdir().expect("a directory");
    write(folder.path(), "mail/cur/1.a:2,S", "Subject: one\n\nketchup\n");
    write(folder.path(), "mail/.Work/new/2.b", "Subject: two\n\n");
    let mail = path(folder.path(), "mail");
    let mut server = dev();
    let first = summary(&server.command(&["import", &mail, BOB, "--json"]));
    assert_eq!((&first["messages"], &first["mailboxes"]), (&2.into(), &2.into()));
    let mut pop3 = log_in(&server, "bob", "hungry");
    pop3.play("C: STAT\nS: +OK 1 ~");
    assert_eq!(retrieve(&mut pop3, 1), b"Subject: one\r\n\r\nketchup\r\n");
    // Or the stopping server would wait for him.
    drop(pop3);

    server.stop();
    let second = summary(&server.command(&["import", &mail, BOB, "--json"]));
    assert_eq!((&second["messages"], &second["known"]), (&0.into(), &2.into()));
    assert!(server.command(&["store", "check"]).status.success());
}

#[test]
fn what_cannot_be_read_is_told_with_the_reason_and_by_the_exit_code() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = dev();
    write(folder.path(), "boxes/good.mbox", "From a Tue Nov 14 22:13:20 2023\nSubject: one\n\n");
    write(folder.path(), "boxes/notes.txt", "ketchup");
    let output = server.command(&["import", &path(folder.path(), "boxes"), BOB]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("1 message ") && text.contains("notes.txt: it is no mbox"), "{text}");
    assert_eq!(server.command(&["import", "/nowhere/at/all", BOB]).status.code(), Some(1));
    assert_eq!(server.command(&["import", &path(folder.path(), "boxes"), "x@crepes.test"]).status.code(), Some(4));
    assert_eq!(server.command(&["export", "/tmp/x", BOB, "--mailbox", "None"]).status.code(), Some(4));
}

#[test]
fn what_is_exported_from_one_account_comes_into_another() {
    let folder = tempfile::tempdir().expect("a directory");
    let mail =
        write(folder.path(), "in.mbox", "From a Tue Nov 14 22:13:20 2023\nStatus: RO\nSubject: one\n\n>From x\n");
    let server = dev();
    summary(&server.command(&["import", &mail, BOB, "--into", "Kitchen/Pickles", "--json"]));
    for format in ["maildir++", "maildir", "mbox"] {
        let out = path(folder.path(), format);
        let written = summary(&server.command(&["export", &out, BOB, "--format", format, "--json"]));
        assert_eq!((&written["messages"], &written["unreadable"]), (&1.into(), &0.into()));
        let into = format!("{format} of Bob");
        let alice = ["import", &out, "alice@crepes.test", "--into", &into, "--json"];
        assert_eq!(summary(&server.command(&alice))["messages"], 1, "{format}");
    }
    let all = path(folder.path(), "all");
    summary(&server.command(&["export", &all, "alice@crepes.test", "--json"]));
    let cur = folder.path().join("all/.mbox of Bob.Kitchen.Pickles/cur");
    let file = fs::read_dir(cur).expect("a folder").next().expect("a message").expect("a message").path();
    assert!(file.to_str().is_some_and(|name| name.contains("/1700000000.") && name.ends_with(":2,S")), "{file:?}");
    assert_eq!(fs::read_to_string(&file).expect("a message"), "Subject: one\n\nFrom x\n");
}

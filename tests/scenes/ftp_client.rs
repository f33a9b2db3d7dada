//! `packetboat ftp` against our own server: every command that has an effect, in clear and under TLS of both kinds.

use crate::{BINARY, dev};
use harness::Server;
use std::path::Path;
use std::process::{Command, Output};

/// A way to the server: scheme, service, and what else has to be said.
fn ways(server: &Server) -> Vec<(String, Vec<String>)> {
    let url = |scheme: &str, service: &str| {
        format!("{scheme}://bob%40hamburger.test@localhost:{}/", server.address(service).port())
    };
    let trusting = || vec!["--ca-file".to_owned(), server.certificate().display().to_string()];
    vec![
        (url("ftp", "ftp"), vec!["--no-tls".into()]),
        (url("ftp", "ftp"), vec!["--no-tls".into(), "--active".into()]),
        (url("ftpes", "ftp"), trusting()),
        (url("ftps", "ftps"), trusting()),
    ]
}

fn run(folder: &Path, more: &[String], arguments: &[&str]) -> Output {
    let output = Command::new(BINARY)
        .arg("ftp")
        .args(arguments)
        .args(more)
        .current_dir(folder)
        .env("PACKETBOAT_FTP_PASSWORD", "hungry")
        .env("HOME", folder)
        .output();
    output.expect("it runs")
}

/// Runs it; it must end well. What it printed.
#[track_caller]
fn done(folder: &Path, more: &[String], arguments: &[&str]) -> String {
    let output = run(folder, more, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn content() -> Vec<u8> {
    (0..700_001u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

#[test]
fn files_come_and_go() {
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("menu.bin"), content()).expect("written");
    for (url, more) in ways(&server) {
        let done = |arguments: &[&str]| done(folder.path(), &more, arguments);
        done(&["put", "--make-dirs", "menu.bin", &format!("{url}a/b/")]);
        done(&["mv", &format!("{url}a/b/menu.bin"), "a/dr\u{fc}ben 1"]);
        assert_eq!(done(&["ls", &format!("{url}a")]), "b/\ndr\u{fc}ben 1\n");
        let about = done(&["stat", "--json", &format!("{url}a/dr%C3%BCben%201")]);
        assert!(about.contains("\"size\":700001") && about.contains("\"type\":\"file\""), "{about}");
        done(&["get", "--verify", "-o", "back", &format!("{url}a/dr%C3%BCben%201")]);
        assert!(std::fs::read(folder.path().join("back")).expect("a file") == content());
        assert_eq!(done(&["cat", &format!("{url}readme.txt")]).lines().count(), 2);
        done(&["mkdir", &format!("{url}a/c/d")]);
        done(&["rm", "-r", &format!("{url}a")]);
        assert_eq!(done(&["ls", &url]), "readme.txt\nrecipes/\nshared/\n");
    }
}

#[test]
fn trees_are_made_alike_and_a_second_time_there_is_nothing_to_do() {
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    let tree = folder.path().join("tree");
    std::fs::create_dir_all(tree.join("a/b")).expect("made");
    for number in 0..40 {
        std::fs::write(tree.join(format!("a/b/{number}")), format!("{number}")).expect("written");
    }
    std::fs::write(tree.join("empty"), "").expect("written");
    std::fs::write(tree.join("scratch.tmp"), "x").expect("written");
    for (url, more) in ways(&server) {
        let url = format!("{url}tree");
        let done = |arguments: &[&str]| done(folder.path(), &more, arguments);
        let moved = |arguments: &[&str]| {
            let text = done(&[arguments, &["--json"]].concat());
            let summary = text.lines().last().expect("a summary").to_owned();
            let value: serde_json::Value = serde_json::from_str(&summary).expect("JSON");
            (value["files"].as_u64(), value["removed"].as_u64())
        };
        assert_eq!(moved(&["mirror", "--exclude", "*.tmp", "tree", &url]), (Some(41), Some(0)));
        assert_eq!(moved(&["mirror", "--exclude", "*.tmp", "tree", &url]), (Some(0), Some(0)));
        assert_eq!(moved(&["mirror", &url, "back"]), (Some(41), Some(0)));
        assert_eq!(moved(&["mirror", &url, "back"]), (Some(0), Some(0)));
        std::fs::write(folder.path().join("back/a/b/7"), "changed").expect("written");
        std::fs::write(folder.path().join("back/new"), "new").expect("written");
        std::fs::remove_file(folder.path().join("back/a/b/8")).expect("removed");
        let plan = done(&["sync", "--dry-run", "back", &url]);
        let plan: Vec<&str> = plan.lines().map(|line| line.split_whitespace().next().expect("a word")).collect();
        assert_eq!(plan, ["copy", "copy", "remove"]);
        assert_eq!(moved(&["sync", "back", &url]), (Some(2), Some(1)));
        assert_eq!(done(&["cat", &format!("{url}/a/b/7")]), "changed");
        std::fs::remove_dir_all(folder.path().join("back")).expect("removed");
        done(&["rm", "-r", &url]);
    }
}

/// How many files were moved, and how many things removed.
fn moved(folder: &Path, more: &[String], arguments: &[&str]) -> (Option<u64>, Option<u64>) {
    let text = done(folder, more, &[arguments, &["--json"]].concat());
    let summary: serde_json::Value = serde_json::from_str(text.lines().last().expect("a summary")).expect("JSON");
    (summary["files"].as_u64(), summary["removed"].as_u64())
}

/// Writes a file with a time of long ago: writing it again does not make it newer.
fn write_old(file: &Path, content: &str) {
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
    std::fs::write(file, content).expect("written");
    let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    let file = std::fs::File::options().write(true).open(file).expect("a file");
    file.set_times(std::fs::FileTimes::new().set_modified(time)).expect("dated");
}

#[test]
fn trees_are_compared_as_is_wished() {
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    let (url, more) = ways(&server).swap_remove(0);
    let url = format!("{url}tree");
    let tree = folder.path().join("tree");
    for (name, content) in [("a", "one"), ("b", "two"), ("sub/c", "three")] {
        write_old(&tree.join(name), content);
    }
    let moved = |arguments: &[&str]| moved(folder.path(), &more, arguments);
    let plan = |arguments: &[&str]| done(folder.path(), &more, &[arguments, &["-n", "-q", &url[..]]].concat());
    assert_eq!(moved(&["mirror", "tree", &url]), (Some(3), Some(0)));
    write_old(&tree.join("a"), "eno");
    assert_eq!(moved(&["mirror", "tree", &url]), (Some(0), Some(0)), "neither size nor time tell");
    assert_eq!(moved(&["mirror", "--compare", "checksum", "tree", &url]), (Some(1), Some(0)));
    assert_eq!(moved(&["mirror", "--compare", "checksum", "tree", &url]), (Some(0), Some(0)));
    assert_eq!(done(folder.path(), &more, &["cat", &format!("{url}/a")]), "eno");
    write_old(&tree.join("a"), "longer");
    write_old(&tree.join("new"), "new");
    assert_eq!(plan(&["mirror", "--only-newer", "tree"]), "copy             new  (missing)\n");
    assert_eq!(plan(&["mirror", "--only-missing", "tree"]), "copy             new  (missing)\n");
    assert_eq!(plan(&["mirror", "--only-existing", "tree"]), "copy             a  (size)\n");
    assert_eq!(plan(&["mirror", "--exclude-regex", "^(new|x)$", "tree"]), "copy             a  (size)\n");
    std::fs::remove_dir_all(tree.join("sub")).expect("removed");
    let words = |text: String| text.lines().map(|line| line.split_whitespace().next().map(Into::into)).collect();
    let first: Vec<Option<String>> = words(plan(&["mirror", "--delete-first", "tree"]));
    assert_eq!(first, ["remove", "remove-directory", "copy", "copy"].map(|word| Some(word.to_owned())));
    let last: Vec<Option<String>> = words(plan(&["sync", "tree"]));
    assert_eq!(last, ["copy", "copy", "remove", "remove-directory"].map(|word| Some(word.to_owned())));
}

#[test]
fn a_plan_is_kept_and_done_later() {
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    let (url, more) = ways(&server).swap_remove(0);
    let url = format!("{url}tree");
    write_old(&folder.path().join("tree/a/b"), "one");
    assert_eq!(moved(folder.path(), &more, &["mirror", "tree", &url]), (Some(1), Some(0)));
    write_old(&folder.path().join("tree/d/e"), "two");
    std::fs::remove_file(folder.path().join("tree/a/b")).expect("removed");
    assert_eq!(done(folder.path(), &more, &["sync", "--plan", "changes", "tree", &url]), "");
    assert_eq!(done(folder.path(), &more, &["ls", &format!("{url}/a")]), "b\n", "nothing is done yet");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("changes").display().to_string();
    assert_eq!(moved(elsewhere.path(), &more, &["mirror", "--apply", &file]), (Some(1), Some(1)));
    assert_eq!(done(folder.path(), &more, &["cat", &format!("{url}/d/e")]), "two");
    assert_eq!(done(folder.path(), &more, &["ls", &format!("{url}/a")]), "");
    assert_eq!(run(folder.path(), &more, &["mirror", "tree"]).status.code(), Some(2));
}

#[test]
fn trees_go_from_server_to_server() {
    let (one, other) = (dev(), dev());
    let folder = tempfile::tempdir().expect("a folder");
    let (source, more) = ways(&one).swap_remove(0);
    let (target, _) = ways(&other).swap_remove(0);
    let (source, target) = (format!("{source}tree"), format!("{target}tree"));
    for number in 0..20 {
        write_old(&folder.path().join(format!("tree/a/{number}")), &format!("{number}"));
    }
    std::fs::write(folder.path().join("tree/menu.bin"), content()).expect("written");
    assert_eq!(moved(folder.path(), &more, &["mirror", "tree", &source]), (Some(21), Some(0)));
    assert_eq!(moved(folder.path(), &more, &["sync", "--verify", &source, &target]), (Some(21), Some(0)));
    assert_eq!(moved(folder.path(), &more, &["sync", &source, &target]), (Some(0), Some(0)));
    assert_eq!(moved(folder.path(), &more, &["sync", "--compare", "checksum", &source, &target]), (Some(0), Some(0)));
    assert_eq!(moved(folder.path(), &more, &["mirror", &target, "back"]), (Some(21), Some(0)));
    assert!(std::fs::read(folder.path().join("back/menu.bin")).expect("a file") == content());
    done(folder.path(), &more, &["rm", &format!("{source}/a/7")]);
    assert_eq!(moved(folder.path(), &more, &["sync", &source, &target]), (Some(0), Some(1)));
    assert!(!done(folder.path(), &more, &["ls", &format!("{target}/a")]).contains("7\n8"));
}

#[test]
fn a_transfer_that_was_killed_is_gone_on_with() {
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    let (url, more) = ways(&server).swap_remove(0);
    std::fs::write(folder.path().join("menu.bin"), content()).expect("written");
    done(folder.path(), &more, &["put", "menu.bin", &url]);
    let mut child = Command::new(BINARY)
        .args(["ftp", "get", "--no-tls", "--limit-rate", "400k", "-o", "back", &format!("{url}menu.bin")])
        .current_dir(folder.path())
        .env("PACKETBOAT_FTP_PASSWORD", "hungry")
        .spawn()
        .expect("it runs");
    let part = || {
        let entries = std::fs::read_dir(folder.path()).expect("a folder").map(|entry| entry.expect("an entry"));
        let mut parts = entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(".part"));
        parts.next().map_or(0, |entry| entry.metadata().map_or(0, |about| about.len()))
    };
    while part() == 0 {
        assert!(child.try_wait().expect("a child").is_none(), "it ended before it was killed");
        std::thread::yield_now();
    }
    child.kill().expect("killed");
    child.wait().expect("ended");
    assert!(!folder.path().join("back").exists());
    let dialogue =
        run(folder.path(), &more, &["get", "-c", "-o", "back", "--show-dialogue", &format!("{url}menu.bin")]);
    let dialogue = String::from_utf8_lossy(&dialogue.stderr).into_owned();
    assert!(dialogue.contains("XSHA256") || dialogue.contains("HASH"), "the beginning is compared: {dialogue}");
    assert!(std::fs::read(folder.path().join("back")).expect("a file") == content());
}

#[test]
fn what_is_not_there_or_not_safe_has_its_exit_code() {
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    let code = |more: &[String], arguments: &[&str]| run(folder.path(), more, arguments).status.code();
    let (url, clear) = ways(&server).swap_remove(0);
    assert_eq!(code(&clear, &["get", &format!("{url}none")]), Some(4));
    assert_eq!(code(&clear, &["cat", &format!("{url}none")]), Some(4));
    assert_eq!(code(&clear, &["ls", &format!("{url}none")]), Some(4));
    assert_eq!(code(&[], &["ls", &url]), Some(5), "a certificate that nobody vouches for");
    assert_eq!(code(&[], &["ls", &format!("ftp://bob@127.0.0.1:{}/", harness::unused_port("127.0.0.1"))]), Some(5));
    assert_eq!(code(&[], &["ls", "http://localhost/"]), Some(1));
    assert_eq!(code(&[], &["ls"]), Some(2));
    assert!(std::fs::read_dir(folder.path()).expect("a folder").next().is_none(), "nothing is left of what failed");
}

#[test]
fn a_pinned_certificate_is_believed_and_another_one_is_named() {
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    let (url, _) = ways(&server).swap_remove(2);
    let refused = String::from_utf8_lossy(&run(folder.path(), &[], &["ls", &url]).stderr).into_owned();
    let shown = refused.split("fingerprint is ").nth(1).and_then(|rest| rest.split(')').next()).expect("a fingerprint");
    assert_eq!(done(folder.path(), &[], &["ls", "--fingerprint", shown, &url]), "readme.txt\nrecipes/\nshared/\n");
    let other = run(folder.path(), &[], &["ls", "--fingerprint", &"00".repeat(32), &url]);
    assert!(String::from_utf8_lossy(&other.stderr).contains(shown));
}

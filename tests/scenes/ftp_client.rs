//! `packetboat ftp` against our own server: every command that has an effect, in clear and under TLS of both kinds.

use crate::ftp::{bob, connect, has_arrived, passive};
use crate::{BINARY, dev};
use harness::Server;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

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
fn who_reads_no_more_of_a_file_has_what_he_wants() {
    let (server, folder) = (dev(), tempfile::tempdir().expect("a folder"));
    std::fs::write(folder.path().join("menu.bin"), content()).expect("written");
    let url = format!("ftp://bob%40hamburger.test@127.0.0.1:{}/", server.address("ftp").port());
    done(folder.path(), &["--no-tls".into()], &["put", "-q", "menu.bin", &url]);
    let mut cat = Command::new(BINARY);
    cat.args(["ftp", "cat", "--no-tls", &format!("{url}menu.bin")]).env("PACKETBOAT_FTP_PASSWORD", "hungry");
    let mut cat = cat.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    cat.stdout.take().expect("a pipe").read_exact(&mut [0; 3]).expect("three octets");
    let ended = cat.wait_with_output().expect("ended");
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
}

#[test]
fn files_come_and_go() {
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("menu.bin"), content()).expect("written");
    for (url, more) in ways(&server) {
        let done = |arguments: &[&str]| done(folder.path(), &more, arguments);
        done(&["put", "--make-dirs", "menu.bin", &format!("{url}a/b/")]);
        done(&["mv", &format!("{url}a/b/menu.bin"), &format!("{url}a/anderswo")]);
        done(&["mv", &format!("{url}a/anderswo"), "a/dr\u{fc}ben 1"]);
        assert_eq!(done(&["ls", &format!("{url}a")]), "b/\ndr\u{fc}ben 1\n");
        assert_eq!(done(&["ls", &format!("{url}a/dr%C3%BCben%201")]), "dr\u{fc}ben 1\n");
        let about = done(&["stat", "--json", &format!("{url}a/dr%C3%BCben%201")]);
        assert!(about.contains("\"size\":700001") && about.contains("\"type\":\"file\""), "{about}");
        done(&["get", "--verify", "-o", "back", &format!("{url}a/dr%C3%BCben%201")]);
        let dialogue = run(folder.path(), &more, &["ls", "--show-dialogue", &url]).stderr;
        let passive = String::from_utf8_lossy(&dialogue).contains("C: EPSV");
        assert_eq!(passive, !more.contains(&"--active".into()), "where the server does not dial, we would");
        assert!(std::fs::read(folder.path().join("back")).expect("a file") == content());
        assert_eq!(done(&["cat", &format!("{url}readme.txt")]).lines().count(), 2);
        done(&["mkdir", &format!("{url}a/c/d")]);
        done(&["rm", "-r", &format!("{url}a")]);
        assert_eq!(done(&["ls", &url]), "readme.txt\nrecipes/\nshared/\n");
    }
}

#[test]
fn what_is_removed_is_asked_for_once() {
    let (server, folder) = (dev(), tempfile::tempdir().expect("a folder"));
    let (url, more) = ways(&server).swap_remove(0);
    std::fs::write(folder.path().join("menu"), "soup").expect("written");
    let said = |arguments: &[&str]| {
        done(folder.path(), &more, &["put", "-q", "--make-dirs", "menu", &format!("{url}a/")]);
        let output = run(folder.path(), &more, &[arguments, &["--show-dialogue"]].concat());
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        let dialogue = String::from_utf8_lossy(&output.stderr).into_owned();
        let deletions = dialogue.lines().filter_map(|line| Some(line[line.find("DELE ")?..].trim_end().to_owned()));
        deletions.collect::<Vec<_>>()
    };
    for arguments in [["rm", "-r", &format!("{url}a")], ["-e", "rm -r a", &url]] {
        assert_eq!(said(&arguments), ["DELE a", "DELE a/menu"], "{arguments:?}");
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

#[test]
fn links_are_made_both_ways_and_none_leads_out() {
    use std::os::unix::fs::symlink;
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    let (url, more) = ways(&server).swap_remove(0);
    let (tree, back) = (folder.path().join("tree"), folder.path().join("back"));
    std::fs::create_dir_all(tree.join("a/b")).expect("made");
    std::fs::write(tree.join("a/menu"), "soup").expect("written");
    for (link, says) in [("a/today", "menu"), ("a/b/up", "../../a"), ("all", "a"), ("out", "../x")] {
        symlink(says, tree.join(link)).expect("a link");
    }
    let up = ["mirror", "--make-links", "tree", &format!("{url}tree")];
    let down = ["mirror", "--make-links", &format!("{url}tree"), "back"];
    let told = run(folder.path(), &more, &up);
    assert!(told.status.success(), "{told:?}");
    assert!(String::from_utf8_lossy(&told.stderr).contains("1 link leads out"), "{told:?}");
    done(folder.path(), &more, &down);
    let says = |link: &str| std::fs::read_link(back.join(link)).map(|says| says.display().to_string()).ok();
    for (link, expected) in [("a/today", "menu"), ("a/b/up", ".."), ("all", "a")] {
        assert_eq!(says(link).as_deref(), Some(expected), "{link}");
    }
    assert!(std::fs::symlink_metadata(back.join("out")).is_err());
    let again = |words: &[&str; 4]| done(folder.path(), &more, &[&words[..], &["-n"]].concat());
    assert_eq!((again(&up), again(&down)), (String::new(), String::new()), "a second time there is nothing to do");
    std::fs::remove_file(tree.join("all")).expect("removed");
    symlink("a/menu", tree.join("all")).expect("a link");
    assert_eq!(again(&up), format!("{:<16} all\n", "link"));
    done(folder.path(), &more, &up);
    done(folder.path(), &more, &down);
    assert_eq!(says("all").as_deref(), Some("a/menu"));
}

#[test]
fn what_a_link_leads_to_stays_when_the_link_goes() {
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    let (url, more) = ways(&server).swap_remove(0);
    let done = |arguments: &[&str]| done(folder.path(), &more, arguments);
    for path in ["tree/old", "tree/precious", "empty"] {
        std::fs::create_dir_all(folder.path().join(path)).expect("made");
    }
    std::fs::write(folder.path().join("tree/precious/menu"), "soup").expect("written");
    std::os::unix::fs::symlink("../precious", folder.path().join("tree/old/link")).expect("a link");
    let (old, link) = (format!("{url}tree/old"), format!("{url}tree/old/link"));
    let ways: [&[&str]; 5] = [
        &["rm", "-r", &old],
        &["rm", "-r", &link],
        &["rm", &link],
        &["sync", "--follow-links", "empty", &old],
        &["sync", "empty", &old],
    ];
    for way in ways {
        done(&["mirror", "--make-links", "tree", &format!("{url}tree")]);
        assert_eq!(done(&["ls", &link]), "menu\n");
        done(way);
        assert_eq!(done(&["ls", &format!("{url}tree/precious")]), "menu\n", "{way:?}");
    }
    assert_eq!(done(&["ls", &link]), "menu\n", "links that are not followed are passed over");
}

#[test]
fn a_link_that_leads_nowhere_is_removed() {
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    let (url, more) = ways(&server).swap_remove(0);
    let done = |arguments: &[&str]| done(folder.path(), &more, arguments);
    std::fs::create_dir_all(folder.path().join("tree/old")).expect("made");
    std::os::unix::fs::symlink("nowhere", folder.path().join("tree/old/link")).expect("a link");
    let (old, link) = (format!("{url}tree/old"), format!("{url}tree/old/link"));
    for (way, foretold) in [
        (&["rm", &link][..], "remove           tree/old/link\n"),
        (&["rm", "-r", &link], "remove           tree/old/link\n"),
        (&["rm", "-r", &old], "remove           tree/old/link\nremove-directory tree/old\n"),
    ] {
        done(&["mirror", "--make-links", "tree", &format!("{url}tree")]);
        assert_eq!(done(&[way, &["-n"]].concat()), foretold);
        done(way);
        assert_eq!(run(folder.path(), &more, &["rm", "-n", &link]).status.code(), Some(4), "{way:?}");
    }
    done(&["mirror", "--make-links", "tree", &format!("{url}tree")]);
    std::fs::create_dir(folder.path().join("empty")).expect("made");
    done(&["sync", "empty", &format!("{url}tree")]);
    assert_eq!(done(&["ls", &format!("{url}tree")]), "", "what is too much goes with it");
}

#[test]
fn modes_are_mended_both_ways_and_a_second_time_there_is_nothing_to_do() {
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    let (url, more) = ways(&server).swap_remove(0);
    let done = |arguments: &[&str]| done(folder.path(), &more, arguments);
    let change = |name: &str, mode| {
        let changed = std::fs::set_permissions(folder.path().join(name), std::fs::Permissions::from_mode(mode));
        changed.expect("changed");
    };
    std::fs::create_dir_all(folder.path().join("tree/july")).expect("made");
    std::fs::write(folder.path().join("tree/july/menu"), "soup").expect("written");
    let there = format!("{url}tree");
    let (up, down) = (["mirror", "--keep-modes", "tree", &there], ["mirror", "--keep-modes", &there, "copy"]);
    for (file_mode, directory_mode) in [(0o640, 0o750), (0o644, 0o755), (0o600, 0o700)] {
        change("tree/july/menu", file_mode);
        change("tree/july", directory_mode);
        done(&up);
        done(&down);
        let modes = ["copy/july/menu", "copy/july"]
            .map(|name| folder.path().join(name).metadata().expect("there").permissions().mode() & 0o777);
        assert_eq!(modes, [file_mode, directory_mode]);
        for again in [up, down] {
            assert_eq!(done(&[&again[..], &["-n"]].concat()), "");
        }
    }
    change("copy/july/menu", 0o644);
    assert_eq!(done(&[&down[..], &["-n"]].concat()), "mode             july/menu  (600)\n");
    assert_eq!(done(&["mirror", "-n", &there, "copy"]), "", "unless it is wished");
    done(&[&down[..], &["--plan", "plan"]].concat());
    let summary = done(&["mirror", "--json", "--keep-modes", "--apply", "plan"]);
    assert!(summary.contains(r#""modes":1"#), "{summary}");
    assert_eq!(done(&[&down[..], &["-n"]].concat()), "");
}

/// `tree/july/up` leads to `tree`, which MLSD tells as a directory among others.
#[test]
fn a_tree_that_leads_round_in_a_circle_is_fetched_once_and_that_is_told() {
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    let (url, more) = ways(&server).swap_remove(0);
    std::fs::create_dir_all(folder.path().join("tree/july")).expect("made");
    std::fs::write(folder.path().join("tree/july/menu"), "soup").expect("written");
    std::os::unix::fs::symlink("..", folder.path().join("tree/july/up")).expect("a link");
    let tree = format!("{url}tree");
    done(folder.path(), &more, &["mirror", "--make-links", "tree", &tree]);
    let output = run(folder.path(), &more, &["sync", &tree, "copy"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("july/up: it leads back to a directory that it stands in; passed over"), "{said}");
    let names = |path: &str| std::fs::read_dir(folder.path().join(path)).expect("a folder").count();
    assert_eq!((names("copy"), names("copy/july")), (1, 1));
    let told = done(folder.path(), &more, &["sync", "--json", &tree, "copy"]);
    assert!(told.contains(r#""event":"passed-over","file":"july/up""#), "{told}");
}

#[test]
fn who_fetches_a_directory_is_told_how_that_is_done() {
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    let (url, more) = ways(&server).swap_remove(0);
    let refused = run(folder.path(), &more, &["get", &format!("{url}recipes")]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && said.contains("that is a directory\n  `mirror`"), "{said}");
    assert!(std::fs::read_dir(folder.path()).expect("a folder").next().is_none());
}

#[test]
fn who_sends_into_a_directory_that_is_not_there_is_told_how_it_is_made() {
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    let (url, more) = ways(&server).swap_remove(0);
    std::fs::write(folder.path().join("menu"), "soup").expect("written");
    let refused = run(folder.path(), &more, &["put", "menu", &format!("{url}a/b/")]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(4) && said.contains("there is no directory a/b"), "{said}");
    assert!(said.contains("--make-dirs"), "{said}");
}

#[test]
fn a_place_here_that_is_none_is_told_before_anything_is_fetched() {
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    let (url, more) = ways(&server).swap_remove(0);
    let (one, all) = (format!("{url}recipes/crepes.txt"), format!("{url}recipes/*"));
    for (output, wanted, hint, code) in [
        ("new/", &one, "--make-dirs", 1),
        ("new/menu", &one, "--make-dirs", 1),
        ("new", &all, "--make-dirs", 1),
        ("-", &one, "`cat`", 2),
    ] {
        let refused = run(folder.path(), &more, &["get", "-o", output, wanted]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(code) && said.contains(hint), "{output}: {said}");
    }
    assert!(std::fs::read_dir(folder.path()).expect("a folder").next().is_none());
    done(folder.path(), &more, &["get", "--make-dirs", "-o", "new", &all]);
    assert!(folder.path().join("new/crepes.txt").exists());
}

#[test]
fn two_that_would_become_one_file_are_refused_before_anything_moves() {
    let (server, folder) = (dev(), tempfile::tempdir().expect("a folder"));
    let (url, more) = ways(&server).swap_remove(0);
    for (name, content) in [("a", "soup"), ("b", "cake")] {
        std::fs::create_dir(folder.path().join(name)).expect("made");
        std::fs::write(folder.path().join(name).join("menu"), content).expect("written");
        done(folder.path(), &more, &["put", "-q", "--make-dirs", &format!("{name}/menu"), &format!("{url}{name}/")]);
    }
    let (there, one, other) = (format!("{url}new/"), format!("{url}a/menu"), format!("{url}b/m*"));
    let ways: [(&[&str], [&str; 3]); 3] = [
        (&["put", "--make-dirs", "a/menu", "b/menu", &there], ["a/menu", "b/menu", "new/menu"]),
        (&["get", "--make-dirs", "-o", "new", &one, &other], ["/a/menu", "/b/menu", "new/menu"]),
        (&["get", &other, &one], ["/b/menu", "/a/menu", "be menu"]),
    ];
    for (way, names) in ways {
        for wishes in [&[][..], &["-n"], &["--json"], &["-n", "--json"]] {
            let output = run(folder.path(), &more, &[way, wishes].concat());
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(names.iter().all(|name| said.contains(name)) && said.contains("one by one"), "{way:?}: {said}");
            assert_eq!(output.status.code(), Some(2), "{way:?}");
            let told = objects(&output.stdout);
            let is_told = !wishes.contains(&"--json") || told.len() == 1 && told[0]["code"] == 2;
            assert!(is_told, "{way:?}: {told:?}");
        }
    }
    let mut here: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").flatten().collect();
    here.retain(|entry| !entry.file_name().as_bytes().starts_with(b"."));
    assert_eq!((here.len(), &done(folder.path(), &more, &["ls", &url])[..6]), (2, "a/\nb/\n"), "nothing was made");
}

#[test]
fn a_file_that_is_named_twice_moves_once() {
    let (server, folder) = (dev(), tempfile::tempdir().expect("a folder"));
    let (url, more) = ways(&server).swap_remove(0);
    std::fs::write(folder.path().join("menu"), "soup").expect("written");
    let (menu, pattern) = (format!("{url}menu"), format!("{url}m*"));
    for way in [&["put", "menu", "./menu", &url], &["get", &menu, &pattern, &menu]] {
        let told = objects(done(folder.path(), &more, &[way, &["--json"][..]].concat()).as_bytes());
        assert_eq!(told.last().map(|sum| &sum["files"]), Some(&1.into()), "{way:?}: {told:?}");
    }
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
fn an_upload_that_broke_off_is_gone_on_with_only_if_it_is_the_same() {
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    let (url, more) = ways(&server).swap_remove(0);
    for (name, is_same) in [("same", true), ("changed", false)] {
        let begun = if is_same { content() } else { content().iter().map(|octet| !octet).collect() };
        break_off(&server, name, &begun[..300_000]);
        std::fs::write(folder.path().join(name), content()).expect("written");
        let told = run(folder.path(), &more, &["put", "-c", "--in-place", "--show-dialogue", name, &url]);
        let told = String::from_utf8_lossy(&told.stderr).into_owned();
        assert_eq!(told.contains(" C: REST 300000"), is_same, "{told}");
        assert!(!told.contains(" C: RETR "), "the server has told its sum: {told}");
        done(folder.path(), &more, &["get", "-o", "back", &format!("{url}{name}")]);
        assert!(std::fs::read(folder.path().join("back")).expect("a file") == content());
    }
}

/// Begins to store so much, and goes; until the server keeps it.
fn break_off(server: &Server, name: &str, octets: &[u8]) {
    let mut control = bob(server);
    let mut data = connect(passive(&mut control));
    control.play(&format!("C: STOR {name}\nS: 125 ~"));
    data.write_all(octets).expect("the server takes it");
    has_arrived(&mut control, octets.len());
    drop((control, data));
    let mut control = bob(server);
    harness::until("the first session has ended", || {
        control.say(&format!("SIZE {name}"));
        control.expect("~") == format!("213 {}", octets.len())
    });
}

/// So long that it goes in three pieces, none of which is like another.
fn large() -> Vec<u8> {
    (0..25 << 17).flat_map(|number: u64| number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes()).collect()
}

#[test]
fn a_large_file_goes_in_pieces_that_the_server_joins() {
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("film"), large()).expect("written");
    for (url, more) in ways(&server) {
        let put = ["put", "--in-pieces", "--show-dialogue", "--verify", "-P", "3", "film", &format!("{url}films/")];
        done(folder.path(), &more, &["mkdir", &format!("{url}films")]);
        let told = run(folder.path(), &more, &put);
        let told = String::from_utf8_lossy(&told.stderr).into_owned();
        assert_eq!((told.matches(" C: STOR ").count(), told.matches(" C: COMB ").count()), (3, 1), "{told}");
        assert_eq!(done(folder.path(), &more, &["ls", &format!("{url}films")]), "film\n");
        done(folder.path(), &more, &["get", "-P", "1", "-o", "back", &format!("{url}films/film")]);
        assert!(std::fs::read(folder.path().join("back")).expect("a file") == large());
        done(folder.path(), &more, &["rm", "-r", &format!("{url}films")]);
    }
}

#[test]
fn pieces_that_were_killed_are_no_file_and_are_gone_on_with() {
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    let (url, more) = ways(&server).swap_remove(0);
    std::fs::write(folder.path().join("film"), large()).expect("written");
    let to = format!("{url}film");
    let mut child = Command::new(BINARY)
        .args([
            "ftp",
            "put",
            "--no-tls",
            "--in-pieces",
            "-P",
            "2",
            "--limit-rate",
            "16M",
            "--show-dialogue",
            "film",
            &to,
        ])
        .current_dir(folder.path())
        .env("PACKETBOAT_FTP_PASSWORD", "hungry")
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let lines = BufReader::new(child.stderr.take().expect("piped")).lines().map(|line| line.expect("text"));
    // Whoever begins the third has sent one of the others.
    assert!(lines.filter(|line| line.contains(" C: STOR ")).nth(2).is_some(), "it ended before it was killed");
    child.kill().expect("killed");
    child.wait().expect("ended");
    assert_eq!(run(folder.path(), &more, &["get", "-o", "back", &to]).status.code(), Some(4));
    let told = run(folder.path(), &more, &["put", "-c", "--in-pieces", "-P", "3", "--show-dialogue", "film", &to]);
    assert!(told.status.success(), "{told:?}");
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.matches(" C: STOR ").count() < 3 && told.matches(" C: COMB ").count() == 1, "{told}");
    done(folder.path(), &more, &["get", "-P", "1", "-o", "back", &to]);
    assert!(std::fs::read(folder.path().join("back")).expect("a file") == large());
    assert_eq!(done(folder.path(), &more, &["ls", &url]), "film\nreadme.txt\nrecipes/\nshared/\n");
}

#[test]
fn programs_are_told_what_happens_in_objects_and_nobody_in_a_pipe_is_shown_bars() {
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    let (url, more) = ways(&server).swap_remove(0);
    std::fs::write(folder.path().join("menu.bin"), content()).expect("written");
    let told = |arguments: &[&str]| {
        let output = run(folder.path(), &more, arguments);
        let text = [output.stdout.as_slice(), &output.stderr].concat();
        assert!(!text.iter().any(|octet| matches!(octet, 0x1b | b'\r')), "{arguments:?}: {}", text.escape_ascii());
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    };
    let events = |arguments: &[&str]| {
        let (code, text) = told(&[arguments, &["--json"]].concat());
        let values = objects(text.as_bytes());
        let kinds = values.iter().map(|value| value["event"].as_str().expect("an event").to_owned());
        (code, kinds.collect::<Vec<_>>(), values)
    };
    let (code, kinds, values) = events(&["put", "menu.bin", &url]);
    assert_eq!((code, &kinds[..]), (Some(0), &["begun".into(), "done".into(), "summary".to_owned()][..]));
    assert_eq!((&values[1]["file"], &values[1]["octets"]), (&"menu.bin".into(), &700_001.into()));
    assert_eq!((&values[2]["files"], &values[2]["failed"]), (&1.into(), &0.into()));
    let (code, kinds, values) = events(&["get", &format!("{url}none"), &format!("{url}menu.bin")]);
    assert_eq!(code, Some(1), "some of it: not all of it is missing");
    assert!(
        ["begun", "failed", "done", "summary"].iter().all(|kind| kinds.iter().any(|known| known == kind)),
        "{kinds:?}"
    );
    let failed = values.iter().find(|value| value["event"] == "failed").expect("one");
    assert_eq!(failed["file"], "none");
    assert!(failed["why"].as_str().is_some_and(|why| why.contains("550")), "{failed}");
    for arguments in [&["get", "--show-dialogue"][..], &["get"], &["get", "--verify", "-c"]] {
        assert_eq!(told(&[arguments, &[&format!("{url}menu.bin")]].concat()).0, Some(0));
    }
}

/// What a program reads: objects, and nothing else.
#[track_caller]
fn objects(lines: &[u8]) -> Vec<serde_json::Value> {
    let lines = std::str::from_utf8(lines).expect("text").lines();
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// What happened to which file, as objects tell it.
fn happened(objects: &[serde_json::Value]) -> Vec<(&str, &str)> {
    objects.iter().map(|told| (told["event"].as_str().unwrap_or(""), told["file"].as_str().unwrap_or(""))).collect()
}

#[test]
fn programs_are_told_of_each_thing_that_is_made_renamed_and_removed() {
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(folder.path().join("tree/d")).expect("made");
    std::fs::write(folder.path().join("tree/d/menu"), "soup").expect("written");
    let (url, more) = ways(&server).swap_remove(0);
    let told = |arguments: &[&str]| objects(done(folder.path(), &more, &[arguments, &["--json"]].concat()).as_bytes());
    let made = told(&["mkdir", &format!("{url}a/b/c")]);
    assert_eq!(happened(&made), [("made", "a"), ("made", "a/b"), ("made", "a/b/c"), ("summary", "")]);
    assert_eq!((&made[3]["made"], &made[3]["failed"]), (&3.into(), &0.into()));
    assert_eq!(happened(&told(&["mkdir", &format!("{url}a/b")])), [("summary", "")], "it is there already");
    let renamed = told(&["mv", &format!("{url}a/b"), "a/d"]);
    assert_eq!(happened(&renamed), [("renamed", "a/b"), ("summary", "")]);
    assert_eq!((&renamed[0]["to"], &renamed[1]["renamed"]), (&"a/d".into(), &1.into()));
    let mirrored = told(&["mirror", "tree", &format!("{url}a")]);
    assert!(happened(&mirrored).contains(&("done", "a/d/menu")), "{mirrored:?}");
    let put = told(&["put", "--make-dirs", "tree/d/menu", &format!("{url}new/")]);
    assert_eq!(happened(&put), [("made", "new"), ("begun", "new/menu"), ("done", "new/menu"), ("summary", "")]);
    let got = told(&["get", "--make-dirs", "-o", "here/new/", &format!("{url}new/menu")]);
    assert_eq!(happened(&got)[..2], [("made", "here"), ("made", "here/new")]);
    assert_eq!(got.last().expect("a summary")["made"], 2);
    let synced = told(&["sync", &format!("{url}a"), "back"]);
    assert!(happened(&synced).contains(&("made", "back/d/c")), "{synced:?}");
    std::fs::remove_file(folder.path().join("back/d/menu")).expect("removed");
    let synced = told(&["sync", "back", &format!("{url}a")]);
    assert_eq!(happened(&synced), [("removed", "a/d/menu"), ("summary", "")]);
    let removed = told(&["rm", "-r", &format!("{url}a")]);
    assert_eq!(happened(&removed), [("removed", "a/d/c"), ("removed", "a/d"), ("removed", "a"), ("summary", "")]);
    assert_eq!(removed[3]["removed"], 3);
    assert_eq!(happened(&told(&["rm", &format!("{url}new/menu")])), [("removed", "new/menu"), ("summary", "")]);
}

#[test]
fn programs_are_told_names_as_they_are() {
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    let (url, more) = ways(&server).swap_remove(0);
    let [odd, latin] = [&b"a\tb\x1b[31m\\"[..], b"men\xfc"].map(OsStr::from_bytes);
    std::fs::create_dir(folder.path().join("tree")).expect("made");
    for name in [odd, latin] {
        std::fs::write(folder.path().join("tree").join(name), "soup").expect("written");
    }
    let tree = format!("{url}tree");
    let ways: [&[&str]; 5] = [
        &["mirror", "tree", &tree],
        &["rm", "-rn", &tree],
        &["mirror", &tree, "back"],
        &["sync", "-n", &tree, "none"],
        &["rm", "-r", &tree],
    ];
    for way in ways {
        let told = objects(done(folder.path(), &more, &[way, &["--json"]].concat()).as_bytes());
        let named = |name: &str| told.iter().filter(|told| told["file"] == name || told["path"] == name).count();
        assert!(named("tree/a\tb\u{1b}[31m\\") + named("a\tb\u{1b}[31m\\") > 0, "{way:?}: {told:?}");
        // Where it is no UTF-8, its octets are told, too.
        let octets: Vec<_> = told.iter().flat_map(|told| [&told["file_octets"], &told["path_octets"]]).collect();
        let is_told = octets.iter().any(|octets| *octets == "747265652f6d656efc" || *octets == "6d656efc");
        assert!(is_told, "{way:?}: {told:?}");
    }
}

#[test]
fn programs_are_told_of_what_was_not_changed_and_people_too() {
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    let (url, more) = ways(&server).swap_remove(0);
    let missing = format!("{url}none");
    let ways: [(&[&str], &str); 5] = [
        (&["rm", &missing], "none"),
        (&["rm", "-r", &missing], "none"),
        (&["rm", &format!("{url}recipes")], "recipes"),
        (&["mv", &missing, "other"], "none"),
        (&["mkdir", &format!("{url}readme.txt")], "readme.txt"),
    ];
    for (way, name) in ways {
        let output = run(folder.path(), &more, &[way, &["--json"]].concat());
        let told = objects(&output.stdout);
        assert_eq!(happened(&told), [("failed", name), ("summary", "")], "{way:?}");
        assert_eq!((told[1]["failed"].as_u64(), output.status.code()), (Some(1), Some(4)), "{way:?}");
        let why = told[0]["why"].as_str().expect("a reason");
        assert!(String::from_utf8_lossy(&output.stderr).contains(why), "{way:?}: {output:?}");
    }
}

#[test]
fn programs_are_told_why_nothing_was_done_and_with_which_exit_code() {
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("menu"), "soup").expect("written");
    let (url, more) = ways(&server).swap_remove(0);
    let nobody = format!("ftp://bob@127.0.0.1:{}/menu", harness::unused_port("127.0.0.1"));
    let stranger = format!("ftp://alice@localhost:{}/menu", server.address("ftp").port());
    let told = |arguments: &[&str], code: i32| {
        let output = run(folder.path(), &more, &[arguments, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        // Before the octets of a file an object would be one of them.
        let aside = arguments[0] == "cat";
        assert!(!aside || output.stdout.is_empty(), "{output:?}");
        let error = String::from_utf8(output.stderr).expect("text");
        let objects = match aside {
            true => objects(error.lines().next().expect("an object").as_bytes()),
            false => objects(&output.stdout),
        };
        let last = objects.last().expect("an object");
        assert_eq!((&last["event"], &last["code"]), (&"error".into(), &code.into()), "{arguments:?}: {last}");
        let why = last["why"].as_str().expect("a reason");
        assert!(!why.is_empty() && error.contains(&format!("packetboat: {why}")), "{arguments:?}: {error}");
    };
    for (place, code) in [(&nobody[..], 5), (&stranger, 5), ("http://localhost/menu", 2)] {
        for command in ["get", "ls", "cat", "stat", "mkdir", "rm"] {
            told(&[command, place], code);
        }
        told(&["put", "menu", place], code);
        told(&["mv", place, "other"], code);
        for command in ["mirror", "sync"] {
            told(&[command, place, "tree"], code);
            told(&[command, "-n", "tree", place], code);
        }
    }
    for command in ["ls", "cat", "stat"] {
        told(&[command, &format!("{url}none")], 4);
    }
    told(&["get", &format!("{url}none*")], 4);
    told(&["get", "-o", "new/", &format!("{url}readme.txt")], 1);
    told(&["put", "..", &url], 1);
    told(&["ls", "--netrc", "none", &url], 1);
    told(&["mirror", "--apply", "menu"], 1);
    told(&[&url], 2);
    let menu = format!("{url}menu");
    let misused: [&[&str]; 6] = [
        &["get", "-o", "-", &menu],
        &["put", "menu", "other", &menu],
        &["mirror", "tree", "other"],
        &["mv", &menu, "ftp://elsewhere.example/menu"],
        &["ls", "--proxy", "nonsense://localhost", &url],
        &["ls", "ftps://localhost/"],
    ];
    misused.iter().for_each(|way| told(way, 2));
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
    let absent = run(folder.path(), &more, &["put", "none", &url, "--json"]);
    assert_eq!(happened(&objects(&absent.stdout)), [("begun", "none"), ("failed", "none"), ("summary", "")]);
    assert_eq!(absent.status.code(), Some(1));
}

/// The same with something to read.
fn fed(folder: &Path, more: &[String], arguments: &[&str], input: impl Into<Stdio>) -> Output {
    let mut command = Command::new(BINARY);
    command.arg("ftp").args(arguments).args(more).current_dir(folder).env("PACKETBOAT_FTP_PASSWORD", "hungry");
    command.env("HOME", folder).stdin(input).output().expect("it runs")
}

#[test]
fn standard_input_becomes_a_file_whole_or_not_at_all() {
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("menu.bin"), content()).expect("written");
    for (url, more) in ways(&server) {
        let there = format!("{url}a/menu");
        for wishes in [&["--make-dirs"][..], &[], &["--verify"], &["--in-place"], &["--in-place", "--verify"]] {
            // `cat` at the other end of a pipe: nobody can tell how long that is.
            let mut pipe =
                Command::new("cat").arg(folder.path().join("menu.bin")).stdout(Stdio::piped()).spawn().expect("cat");
            let input = pipe.stdout.take().expect("a pipe");
            let output = fed(folder.path(), &more, &[&["put", "--json", "-", &there], wishes].concat(), input);
            pipe.wait().expect("ended");
            let told = objects(&output.stdout);
            let moved: Vec<_> = happened(&told).into_iter().filter(|(event, _)| *event != "made").collect();
            assert_eq!(moved, [("begun", "a/menu"), ("done", "a/menu"), ("summary", "")], "{output:?}");
            let begun = told.iter().find(|told| told["event"] == "begun").expect("one");
            assert!(begun["octets"].is_null() && output.status.success(), "{output:?}");
            assert_eq!(told.last().map(|sum| (&sum["files"], &sum["octets"])), Some((&1.into(), &700_001.into())));
            // Back by the same way.
            let back = run(folder.path(), &more, &["cat", &there]);
            assert!(back.status.success() && back.stdout == content(), "{wishes:?}");
            assert_eq!(done(folder.path(), &more, &["ls", &format!("{url}a")]), "menu\n");
            // A directory can be opened, and not be read.
            let broken = std::fs::File::open(folder.path()).expect("a folder");
            let output = fed(folder.path(), &more, &["put", "--json", "-", &format!("{url}a/half")], broken);
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            assert_eq!(
                happened(&objects(&output.stdout)),
                [("begun", "a/half"), ("failed", "a/half"), ("summary", "")]
            );
            assert_eq!(done(folder.path(), &more, &["ls", &format!("{url}a")]), "menu\n");
        }
        let dry =
            fed(folder.path(), &more, &["put", "-n", "--make-dirs", "-", &format!("{url}new/menu")], Stdio::null());
        assert_eq!(String::from_utf8_lossy(&dry.stdout), "make             new\ncopy             -  (to new/menu)\n");
        done(folder.path(), &more, &["rm", "-r", &format!("{url}a")]);
    }
}

#[test]
fn who_stops_what_comes_through_a_pipe_leaves_no_part_of_it() {
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    let (url, more) = ways(&server).swap_remove(0);
    for sign in ["INT", "TERM"] {
        let mut put = Command::new(BINARY);
        put.args(["ftp", "put", "--show-dialogue", "-", &format!("{url}menu")]).args(&more);
        put.env("PACKETBOAT_FTP_PASSWORD", "hungry").env("HOME", folder.path());
        let mut put = put.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        let mut pipe = put.stdin.take().expect("a pipe");
        pipe.write_all(&content()).expect("it reads");
        let mut told = BufReader::new(put.stderr.take().expect("a pipe")).lines().map(|line| line.expect("text"));
        assert!(told.any(|line| line.contains(" S: 125 ")), "it takes what comes");
        Command::new("kill").args(["-s", sign, &put.id().to_string()]).status().expect("kill");
        let told: Vec<String> = told.collect();
        assert_eq!(put.wait().expect("ended").code(), Some(130), "{told:#?}");
        assert!(told.iter().any(|line| line.contains(" C: DELE .menu.")), "{told:#?}");
        assert!(!told.iter().any(|line| line.contains(" C: RNTO ")), "{told:#?}");
        drop(pipe);
    }
    assert_eq!(done(folder.path(), &more, &["ls", &url]), "readme.txt\nrecipes/\nshared/\n");
}

#[test]
fn what_cannot_be_done_with_standard_input_is_said() {
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("menu"), "soup").expect("written");
    std::fs::write(folder.path().join("-"), "a dash").expect("written");
    let (url, more) = ways(&server).swap_remove(0);
    let file = format!("{url}menu");
    let ways: [(&[&str], &str); 6] = [
        (&["put", "-", "menu", &url], "sent alone"),
        (&["put", "-", "-", &url], "sent alone"),
        (&["put", "--continue", "-", &file], "gone on with"),
        (&["put", "--in-pieces", "-", &file], "pieces"),
        (&["put", "-", &url], "has no name"),
        (&["put", "-", &format!("{url}recipes/")], "has no name"),
    ];
    for (way, why) in ways {
        let output = fed(folder.path(), &more, &[way, &["--json"]].concat(), Stdio::null());
        let told = objects(&output.stdout);
        assert_eq!((output.status.code(), &told[0]["code"]), (Some(2), &2.into()), "{way:?}");
        assert!(told[0]["why"].as_str().is_some_and(|said| said.contains(why)), "{way:?}: {told:?}");
    }
    let no_directory = fed(folder.path(), &more, &["put", "-", &format!("{url}none/menu")], Stdio::null());
    assert_eq!(no_directory.status.code(), Some(4), "{no_directory:?}");
    let taken = fed(folder.path(), &more, &["put", "-", &format!("{url}recipes")], Stdio::null());
    assert_eq!(taken.status.code(), Some(1), "{taken:?}");
    done(folder.path(), &more, &["put", "./-", &url]);
    assert_eq!(done(folder.path(), &more, &["cat", &format!("{url}-")]), "a dash");
    assert_eq!(done(folder.path(), &more, &["ls", &url]), "-\nreadme.txt\nrecipes/\nshared/\n");
}

/// What would be done, as objects tell it: the word, the path, and where it would go.
fn intended(objects: &[serde_json::Value]) -> Vec<String> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("").to_owned();
    let actions = objects.iter().filter(|told| told["action"].is_string());
    actions.map(|told| format!("{} {} {}", text(&told["action"]), text(&told["path"]), text(&told["to"]))).collect()
}

#[test]
fn what_would_be_done_is_said_and_not_done() {
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("menu"), "soup").expect("written");
    for (url, more) in ways(&server) {
        let there = |path: &str| format!("{url}{path}");
        let done = |arguments: &[&str]| done(folder.path(), &more, arguments);
        // Said to people, then to programs, then done: what was said beforehand is still to be done.
        let said_and_done = |arguments: &[&str], words: &str, intents: &[&str]| {
            assert_eq!(done(&[arguments, &["-n"]].concat()), words);
            let told = objects(done(&[arguments, &["--dry-run", "--json"]].concat()).as_bytes());
            assert_eq!(intended(&told), intents);
            let last = told.last().expect("a summary");
            assert_eq!(
                (&last["event"], &last["dry_run"], &last["failed"]),
                (&"summary".into(), &true.into(), &0.into())
            );
            done(arguments);
        };
        let put = ["put", "--make-dirs", "menu", &there("a/b/")];
        let words = "make             a\nmake             a/b\ncopy             menu  (to a/b/menu)\n";
        said_and_done(&put, words, &["make a ", "make a/b ", "copy menu a/b/menu"]);
        said_and_done(
            &["mkdir", &there("a/c/d")],
            "make             a/c\nmake             a/c/d\n",
            &["make a/c ", "make a/c/d "],
        );
        let words = "rename           a/b/menu  (to a/soup)\n";
        said_and_done(&["mv", &there("a/b/menu"), "a/soup"], words, &["rename a/b/menu a/soup"]);
        said_and_done(
            &["mv", &there("a/soup"), "a/c"],
            "rename           a/soup  (to a/c/soup)\n",
            &["rename a/soup a/c/soup"],
        );
        said_and_done(
            &["mv", &there("a/c/soup"), &there("a/")],
            "rename           a/c/soup  (to a/soup)\n",
            &["rename a/c/soup a/soup"],
        );
        said_and_done(&["mv", &there("a/c/"), "a/e/"], "rename           a/c/  (to a/e/)\n", &["rename a/c/ a/e/"]);
        let words = "make             back\nmake             back/new\ncopy             a/soup  (to back/new/soup)\n";
        let intents = ["make back ", "make back/new ", "copy a/soup back/new/soup"];
        said_and_done(&["get", "--make-dirs", "-o", "back/new", &there("a/s*")], words, &intents);
        let octets = objects(done(&["get", "-n", "--json", &there("a/soup")]).as_bytes())[0]["octets"].as_u64();
        assert_eq!((octets, folder.path().join("soup").exists()), (Some(4), false));
        said_and_done(&["rm", &there("a/b")], "remove-directory a/b\n", &["remove-directory a/b "]);
        let words = "remove           a/soup\nremove-directory a/e/d\nremove-directory a/e\nremove-directory a\n";
        let intents = ["remove a/soup ", "remove-directory a/e/d ", "remove-directory a/e ", "remove-directory a "];
        said_and_done(&["rm", "-r", &there("a")], words, &intents);
        assert_eq!(done(&["ls", &url]), "readme.txt\nrecipes/\nshared/\n");
        std::fs::remove_dir_all(folder.path().join("back")).expect("removed");
    }
}

#[test]
fn what_would_fail_is_told_with_the_exit_code_that_it_would_have() {
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("menu"), "soup").expect("written");
    std::fs::write(folder.path().join("recipes"), "soup").expect("written");
    let (url, more) = ways(&server).swap_remove(0);
    let there = |path: &str| format!("{url}{path}");
    let ways: [&[&str]; 21] = [
        &["mkdir", &there("readme.txt/new")],
        &["put", "menu", &there("readme.txt/new")],
        &["put", "--make-dirs", "menu", &there("readme.txt/new/")],
        &["get", &there("none")],
        &["get", &there("none*")],
        &["get", &there("recipes")],
        &["get", "-o", "new/", &there("readme.txt")],
        &["get", "-o", "new", &there("none"), &there("readme.txt")],
        &["put", "none", &url],
        &["put", "menu", &there("a/b/")],
        &["put", "recipes", &url],
        &["rm", &there("none")],
        &["rm", "-r", &there("none")],
        &["rm", &there("recipes")],
        &["mv", &there("none"), "other"],
        &["mv", &there("readme.txt"), "none/other"],
        &["mv", &there("recipes"), "readme.txt/other"],
        &["mv", &there("recipes"), "recipes/other"],
        &["mv", &there("readme.txt"), ""],
        &["get", "--make-dirs", "-o", "menu/new/", &there("readme.txt")],
        &["get", "-o", "/dev/null", &there("readme.txt")],
    ];
    for way in ways {
        let foretold = run(folder.path(), &more, &[way, &["-n"]].concat());
        let told = run(folder.path(), &more, &[way, &["-n", "--json"]].concat());
        let ended = run(folder.path(), &more, way);
        let codes = [&foretold, &told, &ended].map(|output| output.status.code());
        assert!(codes[0] != Some(0) && codes.iter().all(|code| *code == codes[0]), "{way:?}: {codes:?}");
        assert!(!foretold.stderr.is_empty(), "{way:?}");
        let kinds = objects(&told.stdout);
        let is_told = kinds.iter().any(|told| told["event"] == "failed" || told["event"] == "error");
        assert!(is_told, "{way:?}: {kinds:?}");
    }
}

#[test]
fn a_plan_for_programs_ends_with_its_sum() {
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(folder.path().join("tree/d")).expect("made");
    std::fs::write(folder.path().join("tree/d/menu"), "soup").expect("written");
    let (url, more) = ways(&server).swap_remove(0);
    let plan = |tree: &str| run(folder.path(), &more, &["sync", "-n", "--json", "tree", &format!("{url}{tree}")]);
    let new = objects(&plan("new").stdout);
    assert_eq!(intended(&new), ["make d ", "copy d/menu "]);
    let sum = new.last().expect("a summary");
    assert_eq!((&sum["files"], &sum["octets"], &sum["made"]), (&1.into(), &4.into(), &1.into()));
    assert_eq!(sum["dry_run"], true);
    // A file where the directory should be stays, and that is no success.
    std::fs::write(folder.path().join("d"), "in the way").expect("written");
    done(folder.path(), &more, &["put", "--make-dirs", "d", &format!("{url}other/")]);
    let mirror = ["mirror", "tree", &format!("{url}other")];
    let foretold = run(folder.path(), &more, &[&mirror[..], &["-n"]].concat());
    assert_eq!(foretold.status.code(), run(folder.path(), &more, &mirror).status.code());
}

#[test]
fn who_we_are_may_stand_in_netrc() {
    use std::os::unix::fs::PermissionsExt;
    let server = dev();
    let folder = tempfile::tempdir().expect("a folder");
    let netrc = folder.path().join(".netrc");
    std::fs::write(&netrc, "machine localhost\n login bob@hamburger.test password hungry\n").expect("written");
    let url = format!("ftp://localhost:{}/", server.address("ftp").port());
    for (mode, warns) in [(0o600, false), (0o644, true)] {
        std::fs::set_permissions(&netrc, std::fs::Permissions::from_mode(mode)).expect("changed");
        let mut command = Command::new(BINARY);
        command.args(["ftp", "ls", "--no-tls", &url]).env("HOME", folder.path());
        let output = command.env_remove("PACKETBOAT_FTP_PASSWORD").stdin(Stdio::null()).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "readme.txt\nrecipes/\nshared/\n");
        assert_eq!(said.contains("can be read by others"), warns, "{said}");
    }
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
    assert_eq!(code(&[], &["ls", "http://localhost/"]), Some(2));
    assert_eq!(code(&[], &["ls"]), Some(2));
    assert_eq!(code(&[], &["ls", "--fingerprint", "AB:CD", &url]), Some(2));
    assert_eq!(code(&clear, &["ls", "--netrc", "none", &url]), Some(1));
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

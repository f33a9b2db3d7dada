//! Our FTP client at the servers of others, and at ours: every command that has an effect there, on every way there is.
//!
//! Not here: servers that misbehave (`client/ftp`).

use crate::tree;
use harness::eventually;
use interop::{Foreign, Ftpd, Listening, RunningFtpd, binary};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;
use tempfile::TempDir;

/// Longer than any number of 32 bits can say, and nearly all of it a hole.
const VAST: u64 = (1 << 32) + 1000;

/// Nearly the end of it.
const FAR_OUT: u64 = VAST - 100_000;

/// What the last octets of a vast file are.
const TAIL: &[u8] = b"behind four gigabytes of nothing";

/// So much of what there is already is compared; with more than that, it begins in the middle.
const COMPARED: u64 = 64 * 1024;

/// The client, and where it stands.
struct Traveller {
    server: RunningFtpd,
    url: String,
    options: Vec<String>,
    folder: TempDir,
}

impl Traveller {
    fn new(server: RunningFtpd, scheme: &str, options: &[&str]) -> Traveller {
        let mut options: Vec<String> = options.iter().map(|option| (*option).into()).collect();
        if !options.contains(&"--no-tls".into()) {
            options.extend(["--ca-file".into(), server.certificate().display().to_string()]);
        }
        Traveller { url: server.url(scheme), server, options, folder: Foreign::temporary() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.arg("ftp").args(words).args(&self.options).current_dir(self.folder.path());
        command.env("PACKETBOAT_FTP_PASSWORD", "hungry").env("HOME", self.folder.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("it runs")
    }

    /// With this file for standard input; it must end well.
    #[track_caller]
    fn fed(&self, file: &str, words: &[&str]) {
        let input = fs::File::open(self.path(file)).expect("a file");
        let output = self.command(words).stdin(input).output().expect("it runs");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// It must end well. What it printed.
    #[track_caller]
    fn done(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {}", self.why(&output, words));
        String::from_utf8(output.stdout).expect("text")
    }

    /// The dialogue of another try, for whoever reads why a test failed.
    fn why(&self, output: &Output, words: &[&str]) -> String {
        let again = self.run(&[words, &["--show-dialogue"]].concat());
        format!("{}\nand again:\n{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&again.stderr))
    }

    /// How many files were moved, and how many things were removed.
    #[track_caller]
    fn moved(&self, words: &[&str]) -> (usize, usize) {
        let text = self.done(&[words, &["--json"]].concat());
        let summary = text.lines().last().expect("a summary");
        let number = |key: &str| {
            let digits = summary.split(&format!("\"{key}\":")).nth(1).expect("a key");
            digits.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).expect("a number")
        };
        (number("files"), number("removed"))
    }
}

fn content() -> Vec<u8> {
    (0..700_001u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn make_tree(top: &Path) {
    tree::make(top, &content());
}

#[track_caller]
fn assert_tree(top: &Path) {
    tree::assert_is(top, &content());
}

/// Everything there is to do.
fn travel(ftpd: Ftpd, listening: Listening, scheme: &str, options: &[&str]) {
    let Some(server) = ftpd.start(listening) else { return };
    let traveller = Traveller::new(server, scheme, options);
    files(&traveller);
    trees(&traveller);
}

fn files(traveller: &Traveller) {
    let (root, url) = (traveller.server.root(), |path: &str| traveller.url(path));
    fs::write(traveller.path("menu.bin"), content()).expect("written");
    assert_eq!(traveller.done(&["ls", &url("")]), "");
    traveller.done(&["put", "--make-dirs", "menu.bin", &url("a/b/")]);
    assert!(fs::read(root.join("a/b/menu.bin")).expect("the upload") == content());
    // Over what is there.
    traveller.done(&["put", "menu.bin", &url("a/b/menu.bin")]);
    traveller.done(&["put", "--in-place", "menu.bin", &url("a/b/menu.bin")]);
    // Through a pipe.
    traveller.fed("menu.bin", &["put", "-", &url("a/b/piped")]);
    traveller.fed("menu.bin", &["put", "--verify", "-", &url("a/b/piped")]);
    assert!(fs::read(root.join("a/b/piped")).expect("the upload") == content());
    let broken = fs::File::open(traveller.folder.path()).expect("a folder");
    let words = ["put", "-", &url("a/b/broken")];
    let broken = traveller.command(&words).stdin(broken).output().expect("it runs");
    assert_eq!(broken.status.code(), Some(1), "a directory cannot be read: {broken:?}");
    traveller.done(&["rm", &url("a/b/piped")]);
    // What would be done, before it is.
    let would = traveller.done(&["put", "-n", "--make-dirs", "menu.bin", &url("a/new/")]);
    let there = |path: &str| traveller.server.path(path);
    let new =
        format!("make             {}\ncopy             menu.bin  (to {})\n", there("a/new"), there("a/new/menu.bin"));
    assert_eq!(would, new);
    let would = traveller.done(&["rm", "-rn", &url("a")]);
    let [menu, below, top] = ["a/b/menu.bin", "a/b", "a"].map(there);
    assert_eq!(would, format!("remove           {menu}\nremove-directory {below}\nremove-directory {top}\n"));
    assert_eq!(traveller.run(&["rm", "-n", &url("a/b")]).status.code(), Some(4), "it is not empty");
    traveller.done(&["mv", &url("a/b/menu.bin"), &traveller.server.path("a/dr\u{fc}ben 1")]);
    assert_eq!(traveller.done(&["ls", &url("a")]), "b/\ndr\u{fc}ben 1\n");
    let about = traveller.done(&["stat", "--json", &url("a/dr%C3%BCben%201")]);
    assert!(about.contains("\"size\":700001") && about.contains("\"type\":\"file\""), "{about}");
    assert!(traveller.done(&["stat", "--json", &url("a/b")]).contains("\"type\":\"directory\""));
    traveller.done(&["get", "--verify", "-o", "back", &url("a/dr%C3%BCben%201")]);
    assert!(fs::read(traveller.path("back")).expect("the download") == content());
    let time = |path: &Path| path.metadata().and_then(|about| about.modified()).expect("a time");
    let seconds = |path: &Path| time(path).duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    assert_eq!(seconds(&traveller.path("back")), seconds(&root.join("a/dr\u{fc}ben 1")));
    let cat = traveller.run(&["cat", "--show-dialogue", &url("a/dr%C3%BCben%201")]);
    assert!(cat.stdout == content());
    // Where the server does not dial, we would: that is not what is to be shown here.
    let passive = String::from_utf8_lossy(&cat.stderr).contains("C: EPSV");
    assert_eq!(passive, !traveller.options.contains(&"--active".into()));
    traveller.done(&["mkdir", &url("a/c/d")]);
    traveller.done(&["mkdir", &url("a/c/d")]);
    assert!(root.join("a/c/d").is_dir());
    for words in [["get", &url("a/none")], ["cat", &url("none")], ["stat", &url("none")], ["rm", &url("none")]] {
        assert_eq!(traveller.run(&words).status.code(), Some(4), "{words:?}");
    }
    traveller.done(&["rm", &url("a/dr%C3%BCben%201")]);
    traveller.done(&["rm", &url("a/b")]);
    traveller.done(&["rm", "-r", &url("a")]);
    assert_eq!(fs::read_dir(root).expect("the root").count(), 0, "nothing is left");
    assert!(!traveller.path("none").exists());
}

fn trees(traveller: &Traveller) {
    let (root, url) = (traveller.server.root(), traveller.url("tree"));
    make_tree(&traveller.path("tree"));
    assert_eq!(traveller.moved(&["mirror", "tree", &url]), (5, 0));
    assert_tree(&root.join("tree"));
    assert_eq!(traveller.moved(&["mirror", "tree", &url]), (0, 0));
    assert_eq!(traveller.moved(&["mirror", &url, "back-tree"]), (5, 0));
    assert_tree(&traveller.path("back-tree"));
    assert_eq!(traveller.moved(&["mirror", &url, "back-tree"]), (0, 0));
    fs::write(traveller.path("tree/one"), b"changed").expect("written");
    fs::remove_dir_all(traveller.path("tree/a/b")).expect("removed");
    // Two files and two directories.
    assert_eq!(traveller.moved(&["sync", "tree", &url]), (1, 4));
    assert_eq!(fs::read(root.join("tree/one")).expect("a file"), b"changed");
    assert_eq!(traveller.moved(&["sync", &url, "back-tree"]), (1, 4));
    assert!(!traveller.path("back-tree/a/b").exists());
    // LIST alone would tell it to the minute.
    let changed = |file: PathBuf| file.metadata().and_then(|about| about.modified()).expect("a time");
    let secs = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).expect("of our days").as_secs();
    assert_eq!(secs(changed(traveller.path("back-tree/one"))), secs(changed(root.join("tree/one"))));
    // However it is told that this leads round in a circle.
    std::os::unix::fs::symlink("..", root.join("tree/a/up")).expect("a link");
    assert_eq!(traveller.moved(&["mirror", &url, "once"]), (3, 0));
    assert_eq!(traveller.moved(&["mirror", "--follow-links", &url, "followed"]), (3, 0));
    // What is too much goes with what leads nowhere in it, of which MLSD of some does not tell.
    traveller.done(&["mkdir", &format!("{url}/old/deep")]);
    std::os::unix::fs::symlink("nowhere", root.join("tree/old/deep/gone")).expect("a link");
    assert_eq!(traveller.moved(&["sync", "tree", &url]), (0, 3));
    traveller.done(&["rm", "-r", &url]);
}

/// A transfer that was killed in the middle is gone on with, down and up.
fn die_and_go_on(ftpd: Ftpd) {
    let Some(server) = ftpd.start(Listening::Plain) else { return };
    let traveller = Traveller::new(server, "ftpes", &[]);
    let (root, url) = (traveller.server.root(), traveller.url("menu"));
    fs::write(traveller.path("menu"), content()).expect("written");
    for words in [["put", "menu", &url], ["get", &url, "-oback"]] {
        let part = die(&traveller, &words);
        assert!(part.metadata().expect("a part").len() < 700_001, "it was the middle");
        // Both look as they would if nothing had begun.
        assert!(!traveller.path("back").exists() && root.join("menu").exists() == (words[0] == "get"));
        go_on(&traveller, &words);
    }
    assert!(fs::read(root.join("menu")).expect("the upload") == content());
    assert!(fs::read(traveller.path("back")).expect("the download") == content());
}

/// The same beyond four gigabytes. What there is of a hole is made longer meanwhile, so that little of it has to move.
fn die_and_go_on_far_out(ftpd: Ftpd) {
    let Some(server) = ftpd.start(Listening::Plain) else { return };
    let traveller = Traveller::new(server, "ftp", &["--no-tls", "-P1"]);
    let (root, url) = (traveller.server.root(), traveller.url("vast"));
    make_vast(&traveller.path("vast"));
    // Ours tells the sum of what broke off, and both sides would sum four gigabytes of nothing. That an upload goes on so is shown
    // with small files, and by curl that our server goes on from there.
    let mut ways = vec![["put", "vast", &url], ["get", &url, "-oback"]];
    if traveller.server.is_ours() {
        ways.remove(0);
        make_vast(&root.join("vast"));
    }
    for words in ways {
        let part = die(&traveller, &words);
        File::options().write(true).open(part).and_then(|part| part.set_len(FAR_OUT)).expect("made longer");
        let dialogue = go_on(&traveller, &words);
        let compared = FAR_OUT - COMPARED;
        assert!([FAR_OUT, compared].iter().any(|from| dialogue.contains(&format!("C: REST {from}"))), "{dialogue}");
    }
    assert_vast(&root.join("vast"));
    assert_vast(&traveller.path("back"));
}

/// Begins, and is killed in the middle. What has come so far.
fn die(traveller: &Traveller, words: &[&str]) -> PathBuf {
    let folder = if words[0] == "put" { traveller.server.root() } else { traveller.folder.path() };
    let (said, dialogue) = (traveller.path("dialogue"), ["--limit-rate", "300k", "--show-dialogue"]);
    let mut command = traveller.command(&[words, &dialogue].concat());
    let mut child = command.stderr(File::create(&said).expect("a file")).spawn().expect("it runs");
    eventually("some of it has moved", || part(folder).filter(|(_, octets)| *octets > COMPARED));
    child.kill().expect("killed");
    child.wait().expect("ended");
    let said = fs::read_to_string(said).expect("a dialogue");
    if let Some((_, rest)) = said.split_once("C: STOR ") {
        traveller.server.has_noticed(rest.lines().next().expect("a name"));
    }
    part(folder).expect("a part").0
}

/// It ends well, and has begun in the middle. The dialogue.
#[track_caller]
fn go_on(traveller: &Traveller, words: &[&str]) -> String {
    let output = traveller.run(&[words, &["--continue", "--show-dialogue"]].concat());
    let dialogue = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{dialogue}");
    assert!(begins_in_the_middle(words[0], &dialogue), "it begins in the middle: {dialogue}");
    for folder in [traveller.server.root(), traveller.folder.path()] {
        assert_eq!(part(folder), None);
    }
    dialogue
}

/// Whether what moves the file follows upon REST; what was looked at before, to compare it, does not count.
fn begins_in_the_middle(verb: &str, dialogue: &str) -> bool {
    let said: Vec<_> = dialogue.lines().filter_map(|line| line.split_once("C: ")).map(|(_, said)| said).collect();
    let moves = if verb == "put" { "STOR " } else { "RETR " };
    let goes_on = |pair: &[&str]| pair[0].starts_with("REST ") && pair[1].starts_with(moves);
    said.windows(2).any(goes_on) || said.iter().any(|said| said.starts_with("APPE "))
}

/// What there is of a file in this folder, by the name that we give it or our server does, and how long it is.
fn part(folder: &Path) -> Option<(PathBuf, u64)> {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    let mut parts = entries.filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.ends_with(".part") || name.starts_with(".packetboat~")
    });
    parts.next().and_then(|part| Some((part.path(), part.metadata().ok()?.len())))
}

macro_rules! at {
    ($($ftpd:ident as $module:ident { $($name:ident: $listening:ident, $scheme:literal, $options:expr;)* })*) => {$(
        mod $module {
            use super::*;

            $(#[test]
            fn $name() {
                travel(Ftpd::$ftpd, Listening::$listening, $scheme, &$options);
            })*

            #[test]
            fn a_transfer_that_was_killed_is_gone_on_with() {
                die_and_go_on(Ftpd::$ftpd);
            }

            #[test]
            fn a_transfer_that_was_killed_beyond_four_gigabytes_is_gone_on_with() {
                die_and_go_on_far_out(Ftpd::$ftpd);
            }
        }
    )*};
}

at! {
    Ours as ours {
        in_clear: Plain, "ftp", ["--no-tls"];
        in_clear_and_active: Plain, "ftp", ["--no-tls", "--active"];
        over_ipv6: Ipv6, "ftpes", [];
        by_auth_tls_with_sessions_resumed: Strict, "ftpes", [];
        by_auth_tls_and_active: Strict, "ftpes", ["--active"];
        by_implicit_tls: Implicit, "ftps", [];
        one_command_at_a_time: Plain, "ftpes", ["--no-pipelining"];
    }
    Vsftpd as vsftpd {
        in_clear: Plain, "ftp", ["--no-tls"];
        in_clear_and_active: Plain, "ftp", ["--no-tls", "--active"];
        over_ipv6: Ipv6, "ftpes", [];
        by_auth_tls_with_sessions_resumed: Strict, "ftpes", [];
        by_auth_tls_and_active: Strict, "ftpes", ["--active"];
        by_implicit_tls: Implicit, "ftps", [];
        one_command_at_a_time: Plain, "ftpes", ["--no-pipelining"];
    }
    Proftpd as proftpd {
        in_clear: Plain, "ftp", ["--no-tls"];
        in_clear_and_active: Plain, "ftp", ["--no-tls", "--active"];
        over_ipv6: Ipv6, "ftpes", [];
        by_auth_tls_with_sessions_resumed: Strict, "ftpes", [];
        by_auth_tls_and_active: Strict, "ftpes", ["--active"];
        by_implicit_tls: Implicit, "ftps", [];
    }
    Pureftpd as pureftpd {
        in_clear: Plain, "ftp", ["--no-tls"];
        in_clear_and_active: Plain, "ftp", ["--no-tls", "--active"];
        over_ipv6: Ipv6, "ftpes", [];
        by_auth_tls: Strict, "ftpes", [];
        by_auth_tls_and_active: Strict, "ftpes", ["--active"];
    }
    Pyftpdlib as pyftpdlib {
        in_clear: Plain, "ftp", ["--no-tls"];
        // With several sessions at once it takes the active connection of one for that of another: docs/ftp-client.md.
        in_clear_and_active: Plain, "ftp", ["--no-tls", "--active", "-P", "1"];
        over_ipv6: Ipv6, "ftpes", [];
        by_auth_tls: Strict, "ftpes", [];
        by_auth_tls_and_active: Strict, "ftpes", ["--active", "-P", "1"];
    }
}

#[test]
fn a_file_beyond_four_gigabytes_goes_both_ways() {
    let Some(server) = Ftpd::Vsftpd.start(Listening::Plain) else { return };
    let traveller = Traveller::new(server, "ftp", &["--no-tls"]);
    let (there, back) = (traveller.server.root().join("vast"), traveller.path("back"));
    make_vast(&traveller.path("vast"));
    traveller.done(&["put", "vast", &traveller.url("")]);
    assert_vast(&there);
    // What came of it is no hole any more; one at a time is enough for the disk.
    fs::remove_file(&there).expect("removed");
    fs::rename(traveller.path("vast"), &there).expect("moved");
    traveller.done(&["get", "-o", "back", &traveller.url("vast")]);
    assert_vast(&back);
}

fn make_vast(path: &Path) {
    let file = File::create(path).expect("a file");
    file.write_all_at(TAIL, VAST - TAIL.len() as u64).expect("a tail");
}

#[track_caller]
fn assert_vast(path: &Path) {
    let file = File::open(path).expect("a file");
    let mut tail = [0; TAIL.len()];
    assert_eq!(file.metadata().expect("its length").len(), VAST);
    file.read_exact_at(&mut tail, VAST - TAIL.len() as u64).expect("a tail");
    assert_eq!(tail, TAIL);
}

#[test]
fn a_tree_of_ten_thousand_files_goes_to_vsftpd_and_back() {
    mirror_ten_thousand(Ftpd::Vsftpd, 2);
}

#[test]
fn a_tree_of_ten_thousand_files_goes_to_our_own_server_and_back() {
    mirror_ten_thousand(Ftpd::Ours, 3);
}

#[test]
fn a_tree_of_ten_thousand_files_goes_to_proftpd_and_back() {
    mirror_ten_thousand(Ftpd::Proftpd, 4);
}

#[test]
fn a_tree_of_ten_thousand_files_goes_to_pureftpd_and_back() {
    mirror_ten_thousand(Ftpd::Pureftpd, 5);
}

#[test]
fn a_tree_of_ten_thousand_files_goes_to_pyftpdlib_and_back() {
    mirror_ten_thousand(Ftpd::Pyftpdlib, 6);
}

/// A hundred directories of a hundred files each, by a server at `127.0.0.last`, which no other test may have.
fn mirror_ten_thousand(ftpd: Ftpd, last: u8) {
    const SIDE: usize = 100;
    let Some(server) = ftpd.start(Listening::Apart(last)) else { return };
    let traveller = Traveller::new(server, "ftp", &["--no-tls", "-P8"]);
    for directory in 0..SIDE {
        let folder = traveller.path(&format!("tree/{directory}"));
        fs::create_dir_all(&folder).expect("a directory");
        for file in 0..SIDE {
            fs::write(folder.join(file.to_string()), format!("{directory}/{file}")).expect("a file");
        }
    }
    let url = traveller.url("tree");
    assert_eq!(traveller.moved(&["mirror", "tree", &url]), (SIDE * SIDE, 0));
    assert_eq!(traveller.moved(&["mirror", &url, "back"]), (SIDE * SIDE, 0));
    assert_eq!(traveller.moved(&["mirror", &url, "back"]), (0, 0));
    for (directory, file) in [(0, 0), (57, SIDE / 2), (SIDE - 1, SIDE - 1)] {
        let read = fs::read_to_string(traveller.path(&format!("back/{directory}/{file}"))).expect("a file");
        assert_eq!(read, format!("{directory}/{file}"));
    }
}

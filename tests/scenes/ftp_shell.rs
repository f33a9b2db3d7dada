//! The prompt of `packetboat ftp`, its commands read from standard input, against our own server: every command that has an
//! effect.

use crate::{BINARY, dev};
use harness::Server;
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A folder to work in, and a server.
struct Scene {
    server: Server,
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        Scene { server: dev(), folder: tempfile::tempdir().expect("a folder") }
    }

    fn url(&self) -> String {
        format!("ftpes://bob%40hamburger.test@localhost:{}/", self.server.address("ftp").port())
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(BINARY);
        command
            .arg("ftp")
            .current_dir(self.folder.path())
            .env("PACKETBOAT_FTP_PASSWORD", "hungry")
            .env("HOME", self.folder.path())
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_STATE_HOME");
        command
    }

    /// Says these lines to a shell that is connected.
    fn say(&self, lines: &str) -> Output {
        let mut command = self.command();
        command.arg("--ca-file").arg(self.server.certificate()).arg(self.url());
        fed(command, lines)
    }

    /// The same; it must end well. What was printed.
    #[track_caller]
    fn done(&self, lines: &str) -> String {
        let output = self.say(lines);
        assert!(output.status.success(), "{lines}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).expect("written");
    }

    #[track_caller]
    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("a file")
    }
}

fn fed(mut command: Command, lines: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    // Who leaves early does not read to the end.
    let _ = child.stdin.take().expect("a pipe").write_all(lines.as_bytes());
    child.wait_with_output().expect("ended")
}

/// A terminal: what somebody who types has, and what the program has.
fn terminal() -> (File, File) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
    unlockpt(&ours).expect("unlocked");
    let name = ptsname(&ours, Vec::new()).expect("a name").into_string().expect("UTF-8");
    let theirs = File::options().read(true).write(true).open(name).expect("opened");
    (ours.into(), theirs)
}

/// Reads what is shown until this is there.
fn wait_for(terminal: &mut File, text: &str) {
    let (mut seen, mut octets) = (Vec::new(), [0; 1024]);
    while !String::from_utf8_lossy(&seen).contains(text) {
        let count = terminal.read(&mut octets).expect("more is shown");
        seen.extend_from_slice(&octets[..count]);
    }
}

#[test]
fn lines_that_are_typed_ahead_are_done_one_after_the_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut ours, theirs) = terminal();
    let twin = || Stdio::from(theirs.try_clone().expect("another one"));
    let mut command = Command::new(BINARY);
    command.arg("ftp").current_dir(folder.path()).env("HOME", folder.path()).env("TERM", "xterm");
    let mut shell = command.stdin(twin()).stdout(twin()).stderr(twin()).spawn().expect("it runs");
    wait_for(&mut ours, "ftp> ");
    ours.write_all(b"lpwd\nalias\nexit 7\n").expect("typed");
    wait_for(&mut ours, folder.path().file_name().and_then(std::ffi::OsStr::to_str).expect("a name"));
    // If nothing was left of the others, this comes next. Who has gone does not hear it.
    let _ = ours.write_all(b"exit 3\n");
    assert_eq!(shell.wait().expect("ended").code(), Some(7));
}

#[test]
fn files_go_there_and_come_back() {
    let scene = Scene::new();
    scene.write("a b.txt", "one\n");
    scene.write("c.txt", "two\n");
    scene.done("put 'a b.txt' c.txt\nput -o d.txt c.txt\nmkdir sub/deep\nput -o sub c.txt\nmput -o sub/deep/ *.txt");
    assert_eq!(scene.done("cls sub sub/deep"), "\nsub:\nc.txt\ndeep/\n\nsub/deep:\na b.txt\nc.txt\n");
    assert_eq!(scene.done("cat a\\ b.txt d.txt"), "one\ntwo\n");
    std::fs::create_dir(scene.path("back")).expect("made");
    scene.done("lcd back; mget *.txt; get -o other d.txt");
    assert_eq!((scene.read("back/a b.txt"), scene.read("back/other")), ("one\n".into(), "two\n".into()));
    assert!(scene.path("back/readme.txt").exists());
    scene.done("put --make-dirs -o new/er/ c.txt; put --make-dirs -o new/est/x c.txt; cd new; get --make-dirs -o here/too/ er/c.txt");
    assert_eq!(
        (scene.read("here/too/c.txt"), scene.done("find new")),
        ("two\n".into(), "new/er/\nnew/est/\nnew/er/c.txt\nnew/est/x\n".into())
    );
    scene.done("rm -r new; mv d.txt e.txt; mv e.txt c.txt sub/; rm 'a b.txt' sub/e*");
    assert_eq!(scene.done("find sub"), "sub/c.txt\nsub/deep/\nsub/deep/a b.txt\nsub/deep/c.txt\n");
    assert_eq!(scene.done("du -b sub"), "           8  sub/deep\n          12  sub\n");
    scene.done("rm -r sub/deep\nrm sub/c.txt\nrmdir sub");
    assert_eq!(scene.done("cls"), "readme.txt\nrecipes/\nshared/\n");
}

#[test]
fn two_that_would_become_one_file_are_refused_at_the_prompt_and_one_that_is_named_twice_moves_once() {
    let scene = Scene::new();
    for (name, content) in [("a", "soup"), ("b", "cake")] {
        std::fs::create_dir(scene.path(name)).expect("made");
        scene.write(&format!("{name}/menu"), content);
        scene.done(&format!("put --make-dirs -o {name}/ {name}/menu"));
    }
    for words in ["put a/menu b/menu", "mput -o recipes ?/menu", "get a/menu b/menu", "mget -n ?/menu", "mv */menu /"] {
        let output = scene.say(words);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.code() == Some(2) && told.contains("a/menu and b/menu would both be "),
            "{words}: {told}"
        );
    }
    assert_eq!(scene.done("cls; cat ?/menu"), "a/\nb/\nreadme.txt\nrecipes/\nshared/\nsoupcake", "nothing moved");
    assert!(!scene.path("menu").exists());
    scene.done("put a/menu ./a/m*; get menu m*; mv menu m* recipes");
    assert_eq!((scene.read("menu"), scene.done("cat recipes/menu")), ("soup".into(), "soup".into()));
}

#[test]
fn where_we_are_is_not_removed() {
    let scene = Scene::new();
    scene.done("mkdir x/y");
    for taken in ["rm -r ../y", "rm -r /x", "rm -r ../../x", "rmdir ../y"] {
        let output = scene.say(&format!("cd x/y\n{taken}"));
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && told.contains("we are in it"), "{taken}: {told}");
    }
    scene.done("cd x/y\nmkdir z\nrmdir z\nmkdir ../yy\nrm -r ../yy");
    assert_eq!(scene.done("find x"), "x/y/\n");
}

#[test]
fn what_was_begun_is_gone_on_with() {
    let scene = Scene::new();
    let content: String = (0..40_000).map(|number| format!("{number:x}\n")).collect();
    scene.write("long.txt", &content);
    scene.done("reput long.txt");
    scene.done("reget -o back long.txt");
    assert!(scene.read("back") == content);
}

#[test]
fn a_directory_is_kept_over_commands() {
    let scene = Scene::new();
    let said = scene.done("mkdir x/y\ncd x/y\npwd\ncd ..\npwd\ncd -\npwd\ncd\npwd\ncd x*\npwd");
    let paths: Vec<&str> = said.lines().map(|line| line.split("localhost").nth(1).expect("a URL")).collect();
    let paths: Vec<&str> = paths.iter().map(|path| path.split_once('/').expect("a path").1).collect();
    assert_eq!(paths, ["%2Fx/y", "%2Fx", "%2Fx/y", "%2F", "%2Fx"]);
    // Files over more than one connection, all of them in that directory.
    for name in ["1", "2", "3", "4", "5", "6"] {
        scene.write(name, name);
    }
    assert_eq!(scene.done("cd x/y; put ? ; cls"), "1\n2\n3\n4\n5\n6\n");
    assert_eq!(scene.done("cd x/y; cat [2-3]\nlpwd | tail -c 1"), "23\n");
}

#[test]
fn output_is_led_elsewhere() {
    let scene = Scene::new();
    scene.write("x", "b\na\n");
    scene.done("put x; cat x > 'copy of x'; cat x >> 'copy of x'; cat x | sort > sorted; !echo hi > local");
    assert_eq!(scene.read("copy of x"), "b\na\nb\na\n");
    assert_eq!((scene.read("sorted"), scene.read("local")), ("a\nb\n".into(), "hi\n".into()));
    // Whoever reads no more is no failure.
    scene.done("cat x | true; find | head -n 1 > /dev/null; pwd");
    assert_eq!(scene.done("lls x"), "x\n");
    scene.write("-it's.txt", "tea");
    assert_eq!(scene.done("lls -r *.txt"), "./-it's.txt\n", "patterns stand for names, and names are no options");
    assert_eq!(scene.done("lls ~/x"), format!("{}\n", scene.path("x").display()));
    // It is waited for all the same, and may fail by itself.
    scene.write("long", &"pea soup\n".repeat(100_000));
    assert_eq!(scene.say("put long; cat long | sh -c 'exec <&-; exit 3'").status.code(), Some(1));
}

#[test]
fn trees_are_mirrored_both_ways_and_compared() {
    let scene = Scene::new();
    std::fs::create_dir_all(scene.path("site/a")).expect("made");
    scene.write("site/a/1", "one");
    scene.write("site/2", "two");
    scene.write("site/3.tmp", "three");
    scene.done("mirror -R -x '*.tmp' site htdocs");
    assert_eq!(scene.done("find htdocs"), "htdocs/2\nhtdocs/a/\nhtdocs/a/1\n");
    scene.done("mirror htdocs back");
    assert_eq!(scene.read("back/a/1"), "one");
    assert_eq!(scene.done("diff htdocs back"), "");
    scene.write("back/a/1", "longer");
    scene.write("back/4", "four");
    std::fs::remove_file(scene.path("back/2")).expect("removed");
    let differences = "> 2  (only there)\n< 4  (only here)\n! a/1  (another size)\n";
    let differ = |lines: &str| {
        let output = scene.say(lines);
        assert_eq!(output.status.code(), Some(6), "{lines}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    assert_eq!(differ("diff htdocs back"), differences);
    assert!(differ("diff htdocs/a/1 back/a/1").contains("-one\n"));
    assert_eq!(differ("diff htdocs back\npwd"), differences, "a script ends there");
    let (first, _) = differences.split_once('\n').expect("lines");
    assert_eq!(differ("diff htdocs back | head -n 1").trim_end(), first, "who reads no more is told by the code");
    let going_on = differ("set keep-going on\ndiff htdocs back\npwd");
    assert!(going_on.starts_with(differences) && going_on.lines().count() == 4, "{going_on}");
    let job = scene.say("diff htdocs back &\nwait");
    assert_eq!(job.status.code(), Some(6));
    assert!(String::from_utf8_lossy(&job.stderr).contains("there are differences"), "{job:?}");
    assert_eq!(scene.say("diff none back").status.code(), Some(4));
    assert_eq!(scene.say("diff htdocs/a/1 none").status.code(), Some(1), "what cannot be compared does not differ");
    // Quoted or not, and in the order in which it is said.
    let only_one = "mirror -n htdocs new --exclude-regex '.' --include a --include '1*'";
    assert_eq!(scene.done(only_one), "make             a\ncopy             a/1  (missing)\n");
    assert_eq!(scene.done("sync -n --only-existing --compare checksum htdocs new"), "");
    assert!(scene.done("sync -n -R back htdocs").contains("remove           2\n"));
    scene.done("sync -R back htdocs");
    assert_eq!(scene.done("cls htdocs; cat htdocs/a/1"), "4\na/\nlonger");
}

#[test]
fn what_leads_back_up_is_not_looked_into() {
    let scene = Scene::new();
    std::fs::create_dir_all(scene.path("tree/july")).expect("made");
    scene.write("tree/july/menu", "soup");
    std::os::unix::fs::symlink("..", scene.path("tree/july/up")).expect("a link");
    let output = scene.say("mirror -R --make-links tree tree; find tree; du -b -s tree\n");
    let (found, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(found, "tree/july/\ntree/july/menu\ntree/july/up/\n           4  tree\n", "{said}");
    assert_eq!(said.matches("tree/july/up: it leads back").count(), 2, "{said}");
    assert!(output.status.success(), "{said}");
}

#[test]
fn what_would_be_done_is_said_at_the_prompt_and_not_done() {
    let scene = Scene::new();
    scene.write("soup.txt", "pea soup");
    scene.write("tea.txt", "mint");
    let send = "put -n --make-dirs -o menus/ *.txt";
    let words = "make             menus\ncopy             soup.txt  (to menus/soup.txt)\n\
                 copy             tea.txt  (to menus/tea.txt)\n";
    assert_eq!(scene.done(send), words);
    assert_eq!(scene.say("put -n -o menus/ *.txt").status.code(), Some(4), "there is no such directory");
    assert_eq!(scene.say("put -n -").status.code(), Some(1), "at the prompt that is a file");
    scene.done("put --make-dirs -o menus/ *.txt");
    let fetch = "get -n -o back/ --make-dirs menus/*.txt";
    let words = "make             back\ncopy             menus/soup.txt  (to back/soup.txt)\n\
                 copy             menus/tea.txt  (to back/tea.txt)\n";
    assert_eq!(scene.done(fetch), words);
    assert!(!scene.path("back").exists());
    let words = "rename           menus/soup.txt  (to recipes/soup.txt)\nrename           menus/tea.txt  (to recipes/tea.txt)\n";
    assert_eq!(scene.done("mv -n menus/*.txt recipes"), words);
    assert_eq!(scene.done("rm -n menus/s*"), "remove           menus/soup.txt\n");
    let words = "remove           menus/soup.txt\nremove           menus/tea.txt\nremove-directory menus\n";
    assert_eq!(scene.done("rm -rn menus"), words);
    assert_eq!(scene.say("rm -n menus").status.code(), Some(4));
    assert_eq!(scene.say("rm -n none").status.code(), Some(4));
    assert_eq!(scene.done("rm -fn none"), "");
    assert_eq!(scene.done("cls menus"), "soup.txt\ntea.txt\n", "nothing was moved or removed");
}

#[test]
fn the_server_is_told_what_somebody_wants_to_tell_it() {
    let scene = Scene::new();
    assert!(scene.done("quote NOOP").starts_with("200 "));
    assert!(scene.done("site HELP").starts_with("214"));
    scene.write("x", "x");
    scene.done("put x; chmod 600 x");
    assert!(scene.done("ls x").starts_with("-rw------- "), "{}", scene.done("ls x"));
    assert_eq!(scene.done("ls -l x"), scene.done("ls x"));
    assert_eq!(scene.done("cls -l x"), scene.done("ls x"));
    assert!(scene.done("stat x").contains("size      1\n"));
    assert_eq!(scene.say("quote RETR x").status.code(), Some(1));
    assert_eq!(scene.say("quote FOO").status.code(), Some(1));
}

#[test]
fn a_file_is_edited_only_if_nobody_else_has_changed_it() {
    let scene = Scene::new();
    scene.write("menu", "soup\n");
    scene.done("put menu");
    let edited = |editor: &str| {
        let mut command = scene.command();
        command.env("TMPDIR", scene.folder.path()).env("VISUAL", editor);
        command.args(["--ca-file"]).arg(scene.server.certificate()).args(["-e", "edit menu"]).arg(scene.url());
        let output = command.output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(edited("true").1, "menu was not changed\n");
    assert_eq!(edited("sed -i s/soup/crepes/"), (Some(0), "menu was put back\n".into()));
    assert_eq!(scene.done("cat menu"), "crepes\n");
    // Somebody else is quicker, with as many octets in the same second.
    let other = format!(
        "sh -c 'echo CREPES > other; {BINARY} ftp put --quiet --ca-file {} other {}menu; echo mine > \"$1\"' sh",
        scene.server.certificate().display(),
        scene.url(),
    );
    let (code, said) = edited(&other);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(scene.done("cat menu"), "CREPES\n");
    let kept = said.split("what you have written is in ").nth(1).expect("a path").trim();
    assert_eq!(std::fs::read_to_string(kept).expect("kept"), "mine\n");
    assert_eq!(edited("false").0, Some(1));
}

#[test]
fn jobs_run_while_others_are_said() {
    let scene = Scene::new();
    scene.write("x", "x");
    let output = scene.say("put x &\nput -o y x & mkdir z; wait\ncls\nget -o back y &\nls none &\nwait 4");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "readme.txt\nrecipes/\nshared/\nx\ny\nz/\n", "{said}");
    assert!(said.contains("[1] put x: done\n") && said.contains("[2] put -o y x: done\n"), "{said}");
    // The end waits for what is running; what failed there is the exit code.
    let output = scene.say("get -o again y &\nls none &");
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(scene.read("again"), "x");
}

#[test]
fn a_job_that_is_stopped_leaves_a_part_and_no_file() {
    let scene = Scene::new();
    scene.write("big", &"x".repeat(400_000));
    scene.done("put big");
    let output = scene
        .say("set limit-rate 20k\nget -o back big &\njobs\n!while ! ls -A | grep -q part; do :; done\nkill 1\nwait");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("[1] get -o back big: stopped"), "{said}");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("[1] get -o back big  ("));
    assert!(!scene.path("back").exists());
}

/// The job goes on when somebody writes to `go`: then the script has failed already.
#[test]
fn a_script_that_fails_waits_for_its_jobs_like_any_other() {
    let scene = Scene::new();
    let made = Command::new("mkfifo").arg(scene.path("go")).status().expect("mkfifo runs");
    assert!(made.success());
    let mut command = scene.command();
    command.arg("--ca-file").arg(scene.server.certificate()).arg(scene.url());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    let lines = b"cat readme.txt | cat go > seen &\ncls none\n";
    child.stdin.take().expect("a pipe").write_all(lines).expect("said");
    let mut said = BufReader::new(child.stderr.take().expect("a pipe")).lines().map(|line| line.expect("text"));
    let failed = said.find(|line| line.contains("none"));
    assert!(failed.is_some(), "it says what has failed before it waits");
    std::fs::write(scene.path("go"), "on").expect("the job reads it");
    let rest: Vec<String> = said.collect();
    assert!(rest.iter().any(|line| line == "[1] cat readme.txt | cat go > seen: done"), "{rest:#?}");
    assert_eq!(child.wait().expect("ended").code(), Some(4));
}

#[test]
fn a_prompt_whose_terminal_goes_away_stops_its_jobs() {
    let scene = Scene::new();
    scene.write("big", &"x".repeat(4_000_000));
    scene.done("put big");
    let (mut ours, theirs) = terminal();
    let twin = || Stdio::from(theirs.try_clone().expect("another one"));
    let mut command = scene.command();
    command.arg("--ca-file").arg(scene.server.certificate()).arg(scene.url()).env("TERM", "xterm");
    command.stdin(twin()).stdout(twin()).stderr(Stdio::piped());
    let mut shell = command.spawn().expect("it runs");
    wait_for(&mut ours, ":/> ");
    ours.write_all(b"set limit-rate 20k\nget -o back big &\n").expect("typed");
    wait_for(&mut ours, "[1] get -o back big");
    let mut said = String::new();
    drop((ours, command, theirs));
    shell.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
    assert_eq!(shell.wait().expect("ended").code(), Some(1), "{said}");
    assert!(said.contains("the terminal cannot be used"), "{said}");
    assert!(!said.contains("panicked") && !said.contains("Tokio"), "{said}");
    assert!(!scene.path("back").exists());
}

#[test]
fn a_script_ends_at_what_fails_unless_it_is_told_otherwise() {
    let scene = Scene::new();
    let code = |lines: &str| scene.say(lines).status.code();
    assert_eq!(code("cat none\nmkdir made"), Some(4));
    assert_eq!(scene.done("cls"), "readme.txt\nrecipes/\nshared/\n");
    assert_eq!(code("set keep-going on\ncat none\nmkdir made"), Some(4));
    assert!(scene.done("cls").contains("made/\n"));
    assert_eq!(code("nonsense"), Some(2));
    assert_eq!(code("get 'open"), Some(2));
    assert_eq!(code("put --nonsense menu"), Some(2));
    assert_eq!(code("!exit 3"), Some(1));
    assert_eq!(code("exit 7\nnonsense"), Some(7));
    assert_eq!(code("rm none\n"), Some(4));
    assert_eq!(code("rm -f none\n"), Some(0));
    for refused in ["rm recipes", "rmdir recipes"] {
        let told = String::from_utf8(scene.say(refused).stderr).expect("text");
        assert!(told.contains("rm -r removes a directory with all that is in it"), "{told}");
    }
    let told = String::from_utf8(scene.say("rmdir none").stderr).expect("text");
    assert!(!told.contains("rm -r"), "{told}");
    let told = String::from_utf8(scene.say("binary").stderr).expect("text");
    assert!(told.contains("octet for octet"), "{told}");
    let unconnected = fed(scene.command(), "ls");
    assert_eq!(unconnected.status.code(), Some(5));
}

#[test]
fn aliases_settings_bookmarks_and_what_stands_in_ftprc() {
    let scene = Scene::new();
    let folder = scene.path(".config/packetboat");
    std::fs::create_dir_all(&folder).expect("made");
    std::fs::write(folder.join("ftprc"), "# mine\nalias hello '!echo hello'\nset parallel 2\n").expect("written");
    assert_eq!(scene.done("hello"), "hello\n");
    assert_eq!(scene.done("alias c cat; alias cat cat -- ; c readme.txt | wc -l").trim(), "2");
    assert_eq!(scene.done("alias two 'pwd | wc -l; lpwd | wc -l'; two; unalias two; alias | wc -l").lines().count(), 3);
    assert!(scene.done("set").contains("parallel    2 "));
    scene.done("cd recipes; bookmark add there; bookmark add pub ftp://ftp.example.org/pub/");
    let all = scene.done("bookmark");
    assert!(all.contains("pub              ftp://ftp.example.org/pub/\n") && all.contains("/%2Frecipes\n"), "{all}");
    let mut command = scene.command();
    command.arg("--ca-file").arg(scene.server.certificate()).args(["-e", "pwd", "there"]);
    let output = command.output().expect("it runs");
    assert!(String::from_utf8_lossy(&output.stdout).trim_end().ends_with("/%2Frecipes"), "{output:?}");
    scene.done("bookmark remove there");
    assert_eq!(scene.done("bookmark | wc -l").trim(), "1");
    assert_eq!(scene.say("bookmark remove there").status.code(), Some(4));
    assert_eq!(mode_of(&folder.join("ftp-bookmarks")), 0o600);
}

#[test]
fn files_of_the_shell_are_where_the_environment_wants_them() {
    let scene = Scene::new();
    let run = |lines: &str| {
        let mut command = scene.command();
        command.env("XDG_CONFIG_HOME", scene.path("conf")).env("XDG_STATE_HOME", "not/absolute");
        command.arg("--ca-file").arg(scene.server.certificate()).arg(scene.url());
        fed(command, lines)
    };
    std::fs::create_dir_all(scene.path("conf/packetboat")).expect("made");
    scene.write("conf/packetboat/ftprc", "alias hello '!echo hello'\n");
    let said = run("hello\nbookmark add here");
    assert_eq!(String::from_utf8_lossy(&said.stdout).lines().next(), Some("hello"), "{said:?}");
    assert!(scene.read("conf/packetboat/ftp-bookmarks").starts_with("here "));
    assert!(!scene.path(".config").exists() && !scene.path("not").exists());
}

#[test]
fn the_dialogue_is_shown_without_the_password() {
    let scene = Scene::new();
    let said = |lines: &str| String::from_utf8_lossy(&scene.say(lines).stderr).into_owned();
    let shown = said(&format!("debug on; ls; debug off; mkdir a; debug; open {}; rmdir a", scene.url()));
    assert!(shown.contains("C: MLSD") && shown.contains("C: PASS …") && shown.contains("C: RMD a"), "{shown}");
    assert!(!shown.contains("hungry") && !shown.contains("MKD"), "{shown}");
}

#[test]
fn a_pinned_certificate_is_remembered_and_a_changed_one_is_refused() {
    let scene = Scene::new();
    let url = scene.url();
    let unknown = fed(scene.command(), &format!("open {url}"));
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    let shown = said.split("fingerprint is ").nth(1).and_then(|rest| rest.split(')').next()).expect("a fingerprint");
    assert_eq!(unknown.status.code(), Some(5), "nobody is asked where nobody types");
    let known = scene.path(".local/state/packetboat/ftp-known-hosts");
    std::fs::create_dir_all(known.parent().expect("a folder")).expect("made");
    let place = format!("localhost:{}", scene.server.address("ftp").port());
    std::fs::write(&known, format!("{place} {shown}\n")).expect("written");
    assert_eq!(fed(scene.command(), &format!("open {url}; pwd")).status.code(), Some(0));
    std::fs::write(&known, format!("{place} {}\n", "00:".repeat(31) + "00")).expect("written");
    let changed = fed(scene.command(), &format!("open {url}; pwd"));
    let said = String::from_utf8_lossy(&changed.stderr);
    assert_eq!(changed.status.code(), Some(5), "{said}");
    // What somebody who types is asked about: without it there would be no question.
    assert!(said.contains("it is not the one that is known") && said.contains(shown), "{said}");
}

#[test]
fn help_tells_of_every_command() {
    let scene = Scene::new();
    let all = String::from_utf8(fed(scene.command(), "help").stdout).expect("text");
    for word in ["ls", "mget", "reput", "mirror", "edit", "jobs", "bookmark", "exit"] {
        assert!(all.lines().any(|line| line.trim_start().starts_with(&format!("{word} "))), "{word}: {all}");
        let one = String::from_utf8(fed(scene.command(), &format!("help {word}")).stdout).expect("text");
        assert!(one.contains(&format!("Usage: {word}")), "{one}");
    }
    assert_eq!(fed(scene.command(), "help nonsense").status.code(), Some(4));
}

fn mode_of(file: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().expect("a file").permissions().mode() & 0o777
}

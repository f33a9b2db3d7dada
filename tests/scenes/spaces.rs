//! Who sees which files, and may do what with them.

use super::dev;
use super::ftp::{get, put, text};
use harness::{Server, Speaker, command_on};
use std::io::Write;
use std::path::Path;
use tempfile::TempDir;

/// Somebody is in, with TYPE I.
fn member(server: &Server, login: &str, password: &str) -> Speaker {
    let mut control = server.speak("ftp");
    control.play(&format!("S: 220 ~\nC: USER {login}\nS: 331 ~\nC: PASS {password}\nS: 230 ~\nC: TYPE I\nS: 200 ~"));
    control
}

fn alice(server: &Server) -> Speaker {
    member(server, "alice@crepes.test", "pickles")
}

fn bob(server: &Server) -> Speaker {
    member(server, "bob@hamburger.test", "hungry")
}

fn guest(server: &Server) -> Speaker {
    let mut control = server.speak("ftp");
    control.play(
        "S: 220 ~
         C: USER anonymous
         S: 331 Guest login: ~
         C: PASS somebody@example.org
         S: 230 ~
         C: TYPE I
         S: 200 ~",
    );
    control
}

/// An administrator's command, which must be done.
fn done(server: &Server, arguments: &[&str]) -> String {
    let output = server.command(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn what_bob_stores_in_the_shared_space_alice_sees_at_once_and_may_change() {
    let server = dev();
    let (mut alice, mut bob) = (alice(&server), bob(&server));
    alice.play("C: CWD /shared\nS: 250 ~\nC: SIZE plan.txt\nS: 550 ~");
    assert!(put(&mut bob, "STOR /shared/plan.txt", b"one\n").starts_with("226"));
    alice.play("C: SIZE plan.txt\nS: 213 4");
    assert!(put(&mut alice, "APPE plan.txt", b"two\n").starts_with("226"));
    assert_eq!(get(&mut bob, "RETR /shared/plan.txt"), b"one\ntwo\n");
    bob.play("C: RNFR /shared/plan.txt\nS: 350 ~\nC: RNTO /shared/done.txt\nS: 250 ~");
    alice.play("C: DELE done.txt\nS: 250 ~");
    assert!(get(&mut bob, "NLST /shared").is_empty());
    // What is one's own is nobody else's.
    alice.play("C: SIZE /readme.txt\nS: 550 ~");
}

#[test]
fn a_mount_stays_where_it_is_and_nothing_is_moved_across_it() {
    let server = dev();
    let mut bob = bob(&server);
    bob.play(
        "C: RNFR readme.txt
         S: 350 ~
         C: RNTO shared/readme.txt
         S: 504 ~
         C: RNFR shared
         S: 550 ~
         C: RMD shared
         S: 550 ~
         C: MKD shared
         S: 550 ~
         C: CWD shared
         S: 250 ~
         C: CDUP
         S: 250 ~
         C: PWD
         S: 257 \"/\" ~
         C: CWD shared/../recipes
         S: 250 ~",
    );
}

#[test]
fn guests_look_and_fetch_and_leave_something_in_incoming() {
    let server = dev();
    let mut guest = guest(&server);
    assert!(get(&mut guest, "RETR readme.txt").starts_with(b"These files are for everybody."));
    let listing = text(&get(&mut guest, "LIST"));
    let line = |name: &str| {
        let line = listing.lines().find(|line| line.ends_with(name));
        line.unwrap_or_else(|| panic!("{name}: {listing}")).to_string()
    };
    assert!(line("readme.txt").starts_with("-r--r-----"), "{listing}");
    assert!(line("pub").starts_with("dr-xr-x---"), "{listing}");
    assert!(line("incoming").starts_with("d-wx--x---"), "{listing}");
    let facts = text(&get(&mut guest, "MLSD"));
    let perm = |name: &str| {
        facts
            .lines()
            .find(|line| line.ends_with(name))
            .and_then(|line| line.split(';').find_map(|fact| fact.strip_prefix("perm=")).map(str::to_string))
    };
    assert_eq!(perm("readme.txt").as_deref(), Some("r"), "{facts}");
    assert_eq!((perm("pub").as_deref(), perm("incoming").as_deref()), (Some("el"), Some("ce")), "{facts}");
    for refused in [
        "DELE readme.txt",
        "RNFR readme.txt",
        "MKD new",
        "RMD pub",
        "SITE CHMOD 644 readme.txt",
        "MFMT 20200101000000 readme.txt",
        "STAT incoming",
        "MKD incoming/new",
    ] {
        guest.play(&format!("C: {refused}\nS: 550 ~"));
    }
    for refused in
        ["STOR readme.txt", "STOR new.txt", "APPE readme.txt", "LIST incoming", "NLST incoming", "MLSD incoming"]
    {
        guest.play(&format!("C: EPSV\nS: 229 ~\nC: {refused}\nS: 550 ~"));
    }
    assert!(put(&mut guest, "STOR incoming/gift.txt", b"for you").starts_with("226"));
    guest.play("C: EPSV\nS: 229 ~\nC: RETR incoming/gift.txt\nS: 550 ~\nC: SIZE incoming/gift.txt\nS: 550 ~");
    guest.play("C: EPSV\nS: 229 ~\nC: STOR incoming/gift.txt\nS: 550 ~");
    guest.play("C: EPSV\nS: 229 ~\nC: APPE incoming/gift.txt\nS: 550 ~");
    guest.play("C: DELE incoming/gift.txt\nS: 550 ~\nC: CWD incoming\nS: 250 ~");
    let stored = put(&mut guest, "STOU", b"another");
    assert!(stored.starts_with("226"), "{stored}");
    guest.play("C: CWD /shared\nS: 550 ~\nC: CWD ../../..\nS: 250 ~\nC: PWD\nS: 257 \"/\" ~");
    let incoming = server.data_dir().join("spaces/public/incoming");
    assert_eq!(std::fs::read(incoming.join("gift.txt")).expect("it is there"), b"for you");
    assert_eq!(std::fs::read_dir(incoming).expect("a directory").count(), 2);
}

#[test]
fn ftp_is_a_guest_too_and_a_guest_becomes_somebody_by_a_password_only() {
    let server = dev();
    let mut control = server.speak("ftp");
    control.play(
        "S: 220 ~
         C: USER FTP
         S: 331 ~
         C: PASS
         S: 230 ~
         C: SIZE pub
         S: 550 ~
         C: USER bob@hamburger.test
         S: 331 ~
         C: CWD pub
         S: 530 ~
         C: PASS guest@
         S: 530 ~",
    );
}

#[test]
fn a_quota_in_files_ends_with_552_and_another_holds_for_who_is_in() {
    let server = dev();
    let mut bob = bob(&server);
    // Three files and a directory lie there already.
    done(&server, &["account", "quota", "bob@hamburger.test", "--files", "5"]);
    assert!(put(&mut bob, "STOR fifth", b"").starts_with("226"));
    bob.play("C: MKD sixth\nS: 552 ~");
    bob.play("C: EPSV\nS: 229 ~\nC: STOR sixth\nS: 552 ~");
    assert!(put(&mut bob, "STOR fifth", b"other").starts_with("226"), "one in the place of another is no more");
    assert!(put(&mut bob, "STOR /shared/elsewhere", b"").starts_with("226"), "it is the quota of what is his own");
    done(&server, &["account", "quota", "bob@hamburger.test", "--files", "none", "--bytes", "1KiB"]);
    bob.play("C: MKD sixth\nS: 257 ~");
    assert!(put(&mut bob, "STOR large", &[0; 2000]).starts_with("552"));
    let usage: serde_json::Value =
        serde_json::from_str(&done(&server, &["files", "usage", "bob@hamburger.test", "--json"])).expect("JSON");
    assert_eq!((&usage["files"][0]["files"], &usage["files"][0]["quota_bytes"]), (&6.into(), &1024.into()), "{usage}");
}

#[test]
fn a_quota_that_shrinks_ends_an_upload_under_way() {
    let server = dev();
    let mut bob = bob(&server);
    let mut data = super::ftp::connect(super::ftp::passive(&mut bob));
    bob.play("C: STOR large\nS: 125 ~");
    data.write_all(&[1; 1000]).expect("the server takes it");
    done(&server, &["account", "quota", "bob@hamburger.test", "--bytes", "500"]);
    // It stops reading when it knows, and so the rest cannot be sent.
    let _ = data.write_all(&[1; 3 << 20]);
    drop(data);
    bob.play("S: 552 ~\nC: SIZE large\nS: 550 ~\nC: SIZE readme.txt\nS: 213 60");
}

#[test]
fn permissions_of_an_account_change_with_the_next_command() {
    let server = dev();
    let mut bob = bob(&server);
    done(&server, &["account", "permit", "bob@hamburger.test", "read-only"]);
    bob.play("C: MKD new\nS: 550 ~\nC: DELE readme.txt\nS: 550 ~\nC: SIZE readme.txt\nS: 213 60");
    assert!(put(&mut bob, "STOR /shared/mine", b"x").starts_with("226"), "what is shared is another matter");
    done(&server, &["account", "permit", "bob@hamburger.test", "none"]);
    bob.play("C: SIZE readme.txt\nS: 550 ~");
    assert_eq!(get(&mut bob, "NLST"), b"shared\r\n");
    done(&server, &["account", "permit", "bob@hamburger.test", "usual"]);
    bob.play("C: DELE readme.txt\nS: 250 ~");
    let wrong = server.command(&["account", "permit", "bob@hamburger.test", "list,fly"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("there is no permission fly"));
}

#[test]
fn a_closed_account_is_out_with_its_next_command_and_its_files_stay() {
    let server = dev();
    let mut bob_is_in = bob(&server);
    done(&server, &["account", "disable", "bob@hamburger.test"]);
    bob_is_in.play("C: NOOP\nS: 200 ~\nC: SIZE readme.txt\nS: 421 ~");
    bob_is_in.expect_close();
    server.speak("ftp").play("S: 220 ~\nC: USER bob@hamburger.test\nS: 331 ~\nC: PASS hungry\nS: 530 ~");
    done(&server, &["account", "enable", "bob@hamburger.test"]);
    bob(&server).play("C: SIZE readme.txt\nS: 213 60");
}

#[test]
fn a_removed_account_s_files_go_with_it_or_are_put_aside() {
    let server = dev();
    let readme = |folder: &str| {
        let folders = std::fs::read_dir(server.data_dir().join(folder)).into_iter().flatten();
        folders.map(|entry| entry.expect("an entry").path().join("readme.txt")).any(|file| file.exists())
    };
    assert!(readme("files"));
    let said = done(&server, &["account", "remove", "bob@hamburger.test", "--yes", "--keep-files"]);
    assert!(said.contains("kept-files/bob@hamburger.test-"), "{said}");
    assert!(!readme("files") && readme("kept-files"));
    let mut alice = alice(&server);
    assert!(put(&mut alice, "STOR readme.txt", b"hers").starts_with("226"));
    done(&server, &["account", "remove", "alice@crepes.test", "--yes"]);
    assert!(!readme("files"));
}

/// A server with these tables in its configuration, and joe, ann and a scanner in the domain `example.test`.
fn serve(tables: &str) -> (Server, TempDir) {
    let folder = tempfile::tempdir().expect("a directory");
    let server = Server::serve_in(super::BINARY, folder.path(), &configuration(folder.path(), tables));
    done(&server, &["domain", "add", "example.test"]);
    for login in ["joe", "ann", "scanner"] {
        let add = ["account", "add", &format!("{login}@example.test")];
        let added = command_on(super::BINARY, &server.data_dir(), &add, "cucumber");
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    }
    (server, folder)
}

fn configuration(folder: &Path, tables: &str) -> String {
    let nowhere: String = ["smtp", "submission", "submissions", "pop3", "pop3s", "imap", "imaps", "ftps"]
        .iter()
        .map(|service| format!("listen.{service} = []\n"))
        .collect();
    let data = folder.join("data");
    format!(
        "host_name = 'files.example.test'\ndata_dir = '{}'\nlisten.ftp = ['127.0.0.1:0']\n{nowhere}{tables}",
        data.display()
    )
}

fn of_example(server: &Server, name: &str) -> Speaker {
    member(server, &format!("{name}@example.test"), "cucumber")
}

/// Each of these is refused with 550, data connection or not.
fn refused(control: &mut Speaker, commands: &[&str]) {
    for command in commands {
        if ["STOR", "APPE", "STOU", "RETR", "LIST", "NLST", "MLSD"].iter().any(|verb| command.starts_with(verb)) {
            control.play("C: EPSV\nS: 229 ~");
        }
        control.play(&format!("C: {command}\nS: 550 ~"));
    }
}

#[test]
fn a_scanner_hands_in_and_sees_nothing_and_joe_takes_out() {
    let (server, _folder) = serve(
        "[[space]]
         name = 'scans'
         at = '/scans'
         for = ['scanner@example.test', 'joe@example.test']
         permissions = ['drop-box']
         [[space.rule]]
         path = '/'
         for = ['joe@example.test']
         permissions = ['list', 'read', 'delete']
         [files]
         own_space = 'none'",
    );
    let (mut scanner, mut joe) = (of_example(&server, "scanner"), of_example(&server, "joe"));
    scanner.play("C: CWD scans\nS: 250 ~");
    // What broke off goes on, though nobody is told what lies there.
    let mut data = super::ftp::connect(super::ftp::passive(&mut scanner));
    scanner.play("C: STOR long.pdf\nS: 125 ~");
    data.write_all(b"first").expect("the server takes it");
    harness::until("it has arrived", || {
        scanner.say("STAT");
        scanner.expect("213 ~").contains("(5 bytes)")
    });
    scanner.play("C: ABOR\nS: 426 ~\nS: 226 ~\nC: SIZE long.pdf\nS: 213 5\nC: REST 5\nS: 350 ~");
    assert!(put(&mut scanner, "STOR long.pdf", b" and last").starts_with("226"));
    joe.play("C: SIZE scans/long.pdf\nS: 213 14\nC: DELE scans/long.pdf\nS: 250 ~");
    assert!(put(&mut scanner, "STOR page1.pdf", b"one").starts_with("226"));
    assert!(put(&mut scanner, "STOU", b"two").starts_with("226"));
    refused(
        &mut scanner,
        &["STOR page1.pdf", "APPE page1.pdf", "RETR page1.pdf", "SIZE page1.pdf", "LIST", "NLST", "MLSD"],
    );
    refused(&mut scanner, &["MDTM page1.pdf", "MLST page1.pdf", "STAT page1.pdf", "DELE page1.pdf", "RNFR page1.pdf"]);
    refused(&mut scanner, &["MKD new", "RMD new", "SITE CHMOD 644 page1.pdf"]);
    scanner.play("C: HASH page1.pdf\nS: 552 ~\nC: HASH nothing.pdf\nS: 552 ~");
    assert_eq!(get(&mut joe, "NLST"), b"scans\r\n", "nobody has files of their own");
    assert_eq!(text(&get(&mut joe, "NLST scans")).lines().count(), 2);
    assert_eq!(get(&mut joe, "RETR scans/page1.pdf"), b"one");
    refused(&mut joe, &["STOR scans/new", "STOR scans/page1.pdf", "RNFR scans/page1.pdf", "MKD scans/new", "STOR new"]);
    joe.play("C: DELE scans/page1.pdf\nS: 250 ~");
    // Who has neither files of their own nor any shared with them is not let in.
    let mut ann = server.speak("ftp");
    ann.play("S: 220 ~\nC: USER ann@example.test\nS: 331 ~\nC: PASS cucumber\nS: 530 ~");
}

#[test]
fn read_only_is_550_for_all_that_changes_and_its_keeper_may_all_the_same() {
    let (server, _folder) = serve(
        "[[space]]
         name = 'handbook'
         at = '/shared/handbook'
         for = ['@example.test']
         permissions = ['read-only']
         [[space.rule]]
         path = '/'
         for = ['ann@example.test']
         permissions = ['full']
         [[space.rule]]
         path = '/drafts'
         permissions = ['none']",
    );
    let (mut ann, mut joe) = (of_example(&server, "ann"), of_example(&server, "joe"));
    assert!(put(&mut ann, "STOR shared/handbook/one.txt", b"one").starts_with("226"));
    joe.play("C: CWD /shared/handbook\nS: 250 ~");
    assert_eq!(get(&mut joe, "RETR one.txt"), b"one");
    refused(&mut joe, &["STOR one.txt", "STOR two.txt", "APPE one.txt", "STOU", "DELE one.txt", "RNFR one.txt"]);
    refused(&mut joe, &["MKD new", "RMD drafts", "SITE CHMOD 600 one.txt", "MFMT 20200101000000 one.txt"]);
    refused(
        &mut joe,
        &["SITE UTIME 20200101000000 one.txt", "SITE SYMLINK one.txt two.txt", "LIST drafts", "STOR drafts/x"],
    );
    let facts = text(&get(&mut joe, "MLSD"));
    assert!(facts.contains("perm=r;") && facts.contains("perm=e;"), "{facts}");
    assert!(text(&get(&mut joe, "LIST")).contains("-r--r-----"));
    // The rule holds the directory in place for its keeper, too, who may do nothing in it: no rule names her.
    refused(&mut ann, &["RMD shared/handbook/drafts", "RNFR shared/handbook/drafts/x", "LIST shared/handbook/drafts"]);
    assert!(text(&get(&mut ann, "MLSD shared/handbook")).contains("perm=adfrw;"));
    let own = put(&mut joe, "STOR /own.txt", b"his");
    assert!(own.starts_with("226"), "his own is his: {own}");
    joe.play("C: CWD /shared\nS: 250 ~\nC: MKD new\nS: 550 ~\nC: CDUP\nS: 250 ~");
}

#[test]
fn a_space_s_quota_is_one_for_all_and_changes_with_the_configuration() {
    let tables =
        |files| format!("[[space]]\nname = 's'\nat = '/s'\nfor = ['all']\nquota_files = {files}\nquota_bytes = 1000\n");
    let (server, folder) = serve(&tables(2));
    let (mut ann, mut joe) = (of_example(&server, "ann"), of_example(&server, "joe"));
    assert!(put(&mut ann, "STOR s/one", b"").starts_with("226"));
    assert!(put(&mut joe, "STOR s/two", b"").starts_with("226"));
    ann.play("C: EPSV\nS: 229 ~\nC: STOR s/three\nS: 552 ~");
    assert!(put(&mut joe, "STOR s/two", &[0; 1001]).starts_with("552"));
    std::fs::write(folder.path().join("packetboat.toml"), configuration(folder.path(), &tables(3))).expect("a file");
    server.reload();
    harness::until("the new quota holds", || {
        ann.say("MKD s/three");
        ann.expect("~").starts_with("257")
    });
    joe.play("C: MKD s/four\nS: 552 ~");
}

#[test]
fn guests_come_only_where_they_are_asked_in_and_only_so_many() {
    let (closed, _folder) = serve("");
    closed.speak("ftp").play("S: 220 ~\nC: USER anonymous\nS: 331 Password~\nC: PASS me@example.org\nS: 530 ~");
    let welcome = "Welcome to the files of example.test.\n220 of them, and more to come.\n";
    let (server, folder) = serve(
        "[ftp]
         anonymous = 'yes'
         anonymous_sessions_max = 2
         anonymous_welcome = 'welcome.txt'
         transfer_log = 'transfers.log'
         [[space]]
         name = 'pub'
         at = '/'
         for = ['anonymous']
         permissions = ['full']",
    );
    std::fs::write(folder.path().join("welcome.txt"), welcome).expect("a file");
    std::fs::write(server.data_dir().join("spaces/pub/menu.txt"), "Crepes.\n")
        .or_else(|_| {
            std::fs::create_dir_all(server.data_dir().join("spaces/pub"))?;
            std::fs::write(server.data_dir().join("spaces/pub/menu.txt"), "Crepes.\n")
        })
        .expect("a file");
    let mut first = server.speak("ftp");
    first.play(
        "S: 220 ~
         C: USER anonymous
         S: 331 Guest login: ~
         C: PASS me@example.org
         S: 230-Welcome to the files of example.test.
         S: 230 220 of them, and more to come.
         C: TYPE I
         S: 200 ~",
    );
    assert_eq!(get(&mut first, "RETR menu.txt"), b"Crepes.\n");
    refused(&mut first, &["STOR menu.txt", "STOR new.txt", "DELE menu.txt", "MKD new", "SITE CHMOD 600 menu.txt"]);
    // RFC 1635: a hyphen before the password asks for silence.
    let mut second = server.speak("ftp");
    second.play("S: 220 ~\nC: USER ftp\nS: 331 ~\nC: PASS -me@example.org\nS: 230 Welcome.");
    let mut third = server.speak("ftp");
    third.play("S: 220 ~\nC: USER anonymous\nS: 331 ~\nC: PASS me@example.org\nS: 421 ~");
    third.expect_close();
    second.play("C: QUIT\nS: 221 ~");
    second.expect_close();
    drop(second);
    harness::until("a seat is free", || {
        let mut fourth = server.speak("ftp");
        fourth.play("S: 220 ~\nC: USER anonymous\nS: 331 ~");
        fourth.say("PASS -me@example.org");
        fourth.expect("~").starts_with("230")
    });
    harness::until("the transfer log has its line", || {
        let log = std::fs::read_to_string(folder.path().join("transfers.log")).unwrap_or_default();
        log.contains(" /menu.txt b _ o a me@example.org ftp 0 * c\n")
    });
}

#[test]
fn guests_need_tls_where_everybody_does() {
    let (server, _folder) = serve(
        "[ftp]
         anonymous = 'yes'
         require_tls = 'always'
         [[space]]
         name = 'pub'
         at = '/'
         for = ['anonymous']
         permissions = ['read-only']",
    );
    server.speak("ftp").play("S: 220 ~\nC: USER anonymous\nS: 5~");
}

#[test]
fn config_check_finds_what_is_wrong_with_spaces() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("packetboat.toml");
    let tables = "[[space]]\nname = 'a'\nat = '/a'\npath = 'missing'\nfor = ['all']\n";
    let configured = configuration(folder.path(), tables);
    std::fs::write(&file, &configured).expect("a file");
    let check = |arguments: &[&str]| {
        let output = std::process::Command::new(super::BINARY)
            .args(["config", "check", "--config"])
            .arg(&file)
            .args(arguments)
            .output()
            .expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (code, said) = check(&[]);
    assert_eq!(code, Some(3), "{said}");
    let line = 1 + configured.lines().position(|line| line.starts_with("path")).expect("the line with the path");
    let expected = format!("line {line}: space a: path: ");
    assert!(said.contains(&expected) && said.contains("is not there; make it"), "{said}");
    std::fs::create_dir(folder.path().join("missing")).expect("a directory");
    assert_eq!(check(&[]).0, Some(0), "{:?}", check(&[]));
    let tables = tables.replace("all", "joe@example.test");
    std::fs::write(&file, configuration(folder.path(), &tables)).expect("a file");
    assert_eq!(check(&[]).0, Some(0), "without a store nobody is unknown");
    let server = Server::serve_in(super::BINARY, folder.path(), &configuration(folder.path(), &tables));
    let (code, said) = check(&["--json"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("there is no account joe@example.test; make it with"), "{said}");
    done(&server, &["domain", "add", "example.test"]);
    let add = ["account", "add", "joe@example.test"];
    assert!(command_on(super::BINARY, &server.data_dir(), &add, "cucumber").status.success());
    assert_eq!(check(&[]).0, Some(0), "{:?}", check(&[]));
}

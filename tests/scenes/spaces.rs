//! Who sees which files, and may do what with them.

use super::dev;
use super::ftp::{get, put, text};
use harness::{Server, Speaker};

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
         S: 350 ~
         C: RNTO other
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
    use std::io::Write;
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
    bob_is_in.play("C: SIZE readme.txt\nS: 550 ~\nC: MKD new\nS: 550 ~");
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

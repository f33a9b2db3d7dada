//! The administrator's commands, with the server running and without.

use super::imap::{bob, select};
use super::{deliver, dev, log_in};
use serde_json::Value;
use std::process::Output;

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(output)))
}

fn add_account(server: &harness::Server, address: &str, password: &str) -> Output {
    harness::command_on(super::BINARY, &server.data_dir(), &["account", "add", address], password)
}

#[test]
fn an_account_made_while_the_server_runs_can_log_in_at_once() {
    let mut server = dev();
    let added = add_account(&server, "carol@crepes.test", "cucumber");
    assert!(added.status.success(), "{}", text(&added));
    assert!(deliver(&server, "a@far.example", "carol@crepes.test", b"Subject: hi\r\n\r\nhi\r\n").starts_with("250 "));
    log_in(&server, "carol", "cucumber").play("C: STAT\nS: +OK 1 ~");

    let again = add_account(&server, "carol@crepes.test", "cucumber");
    assert_eq!(again.status.code(), Some(1), "{}", text(&again));

    server.stop();
    let accounts = json(&server.command(&["account", "list", "--json"]));
    let carol = accounts["accounts"].as_array().expect("a list").iter().find(|a| a["address"] == "carol@crepes.test");
    assert_eq!(carol.expect("carol")["messages"], 1);
}

#[test]
fn an_alias_leads_where_it_says_until_it_is_removed() {
    let server = dev();
    let alias = server.command(&["alias", "add", "team@crepes.test", "alice@crepes.test", "bob@hamburger.test"]);
    assert!(alias.status.success(), "{}", text(&alias));
    deliver(&server, "a@far.example", "team@crepes.test", b"Subject: hi\r\n\r\nhi\r\n");
    log_in(&server, "alice", "pickles").play("C: STAT\nS: +OK 1 ~");
    log_in(&server, "bob", "hungry").play("C: STAT\nS: +OK 1 ~");
    assert_eq!(json(&server.command(&["alias", "list", "--json"]))["aliases"][0]["address"], "team@crepes.test");
    assert!(server.command(&["alias", "remove", "team@crepes.test"]).status.success());
    let missing = server.command(&["alias", "remove", "team@crepes.test"]);
    assert_eq!(missing.status.code(), Some(4), "{}", text(&missing));
}

#[test]
fn the_store_checks_clean_running_and_stopped() {
    let mut server = dev();
    deliver(&server, "a@far.example", "bob@hamburger.test", b"Subject: hi\r\n\r\nhi\r\n");
    for _ in 0..2 {
        let check = server.command(&["store", "check"]);
        assert!(check.status.success(), "{}", text(&check));
        server.stop();
    }
    let repair = server.command(&["store", "check", "--repair"]);
    assert!(repair.status.success(), "{}", text(&repair));
}

#[test]
fn mail_comes_back_when_the_index_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let mut server = harness::Server::dev_in(super::BINARY, &data, &[]);
    deliver(&server, "a@far.example", "bob@hamburger.test", b"Subject: one\r\n\r\nhungry\r\n");
    let mut imap = bob(&server);
    imap.play("C: a CREATE Menus\nS: a OK ~\nC: b APPEND Menus (\\Flagged) {4+}\nC: Soup\nS: b OK ~");
    select(&mut imap, 1);
    imap.play("C: c STORE 1 +FLAGS.SILENT (\\Seen)\nS: c OK ~\nC: d STATUS Menus (UIDVALIDITY)");
    let before = imap.expect("* STATUS Menus (UIDVALIDITY ~)");
    let refused = server.command(&["store", "rebuild"]);
    assert!(text(&refused).contains("stop it first"), "{}", text(&refused));
    server.stop();
    assert!(!server.command(&["store", "rebuild"]).status.success(), "the index can be read");

    std::fs::remove_file(data.join("store.db")).expect("it was there");
    let dry = json(&server.command(&["store", "rebuild", "--dry-run", "--json"]));
    assert_eq!((&dry["rebuilt"]["messages"], &dry["rebuilt"]["dry_run"]), (&Value::from(2), &Value::from(true)));
    let rebuilt = server.command(&["store", "rebuild"]);
    assert!(rebuilt.status.success() && text(&rebuilt).contains("2 messages"), "{}", text(&rebuilt));
    let check = server.command(&["store", "check"]);
    assert!(check.status.success(), "{}", text(&check));

    let server = harness::Server::dev_in(super::BINARY, &data, &[]);
    let mut imap = bob(&server);
    select(&mut imap, 1);
    imap.play(
        "C: a FETCH 1 (FLAGS BODY.PEEK[TEXT])\nS: * 1 FETCH (FLAGS () BODY[TEXT] {8}\nS: hungry\nS: )\nS: a OK ~",
    );
    imap.play("C: b STATUS Menus (MESSAGES UNSEEN)\nS: * STATUS Menus (MESSAGES 1 UNSEEN 1)\nS: b OK ~\nC: c STATUS Menus (UIDVALIDITY)");
    assert_ne!(imap.expect("* STATUS Menus (UIDVALIDITY ~)"), before, "clients begin anew");
    imap.play("S: c OK ~");
    deliver(&server, "a@far.example", "bob@hamburger.test", b"Subject: two\r\n\r\nhungry\r\n");
    imap.play("C: d NOOP\nS: * 2 EXISTS\nS: d OK ~");
}

#[test]
fn a_store_has_one_master() {
    let server = dev();
    let second = server.command(&["dev", "--port-offset", "any"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second).contains("in use"), "{}", text(&second));
}

#[test]
fn the_queue_of_dev_stays_empty() {
    let server = dev();
    deliver(&server, "a@far.example", "someone@far.example", b"Subject: hi\r\n\r\nhi\r\n");
    assert_eq!(json(&server.command(&["queue", "list", "--json"]))["queue"], serde_json::json!([]));
}

fn ftp_login(server: &harness::Server, login: &str, password: &str, answer: &str) {
    server.speak("ftp").play(&format!("S: 220 ~\nC: USER {login}\nS: 331 ~\nC: PASS {password}\nS: {answer} ~"));
}

#[test]
fn an_app_password_opens_what_it_is_for_until_it_is_taken_back() {
    let server = dev();
    let bob = "bob@hamburger.test";
    let made = json(&server.command(&["app-password", "add", bob, "telephone", "--json"]));
    let everywhere = made["app-password"]["password"].as_str().expect("a password").to_string();
    let made = json(&server.command(&["app-password", "add", bob, "scanner", "--for", "ftp", "--json"]));
    let (scanner, id) = (made["app-password"]["password"].as_str().expect("a password"), &made["app-password"]["id"]);

    ftp_login(&server, bob, &everywhere, "230");
    ftp_login(&server, bob, scanner, "230");
    log_in(&server, bob, &everywhere);
    let mut pop3 = server.speak("pop3");
    pop3.play(&format!("S: +OK ~\nC: USER {bob}\nS: +OK~\nC: PASS {scanner}\nS: -ERR [AUTH] ~"));

    let list = || json(&server.command(&["app-password", "list", bob, "--json"]))["app-passwords"].clone();
    assert_eq!((&list()[1]["label"], &list()[1]["services"]), (&"scanner".into(), &serde_json::json!(["ftp"])));
    harness::until("its use is noted", || list()[1]["last_used"].is_i64());
    let text_of_list = text(&server.command(&["app-password", "list", bob]));
    assert!(!text_of_list.contains(scanner) && !text_of_list.contains(&everywhere), "{text_of_list}");

    let remove = ["app-password", "remove", bob, &id.to_string()];
    assert!(server.command(&remove).status.success());
    ftp_login(&server, bob, scanner, "530");
    ftp_login(&server, bob, &everywhere, "230");
    assert_eq!(server.command(&remove).status.code(), Some(4));
    let unknown = server.command(&["app-password", "add", bob, "x", "--for", "nntp"]);
    assert!(text(&unknown).contains("smtp, pop3, imap, ftp"), "{}", text(&unknown));
}

#[test]
fn a_removed_account_is_gone_with_its_mail() {
    let server = dev();
    deliver(&server, "a@far.example", "bob@hamburger.test", b"Subject: hi\r\n\r\nhi\r\n");
    let kept = server.command(&["account", "remove", "bob@hamburger.test"]);
    assert_eq!(kept.status.code(), Some(1), "nobody was there to be asked");
    assert!(server.command(&["account", "remove", "bob@hamburger.test", "--yes"]).status.success());
    let mut pop3 = server.speak("pop3");
    pop3.play("S: +OK ~\nC: USER bob\nS: +OK~\nC: PASS hungry\nS: -ERR [AUTH] ~");
    assert!(server.command(&["store", "check"]).status.success());
}

#[test]
fn config_check_reads_the_authorities_that_the_server_would() {
    let folder = tempfile::tempdir().expect("a directory");
    let (file, authorities) = (folder.path().join("packetboat.toml"), folder.path().join("staff.pem"));
    std::fs::write(&file, "host_name = 'mail.example.test'\n[tls]\nclient_ca = 'staff.pem'\n").expect("a file");
    let check = || {
        let mut command = std::process::Command::new(super::BINARY);
        text(&command.args(["config", "check", "--config"]).arg(&file).output().expect("it runs"))
    };
    let missing = check();
    assert!(missing.contains("line 3: tls.client_ca: ") && missing.contains("staff.pem"), "{missing}");
    std::fs::write(&authorities, "no certificate\n").expect("a file");
    assert!(check().contains("line 3: tls.client_ca: "), "{}", check());
}

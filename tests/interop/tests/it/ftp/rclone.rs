//! rclone: trees both ways, compared and moved. It knows no active connections, and goes on with nothing.

use super::{Site, TAIL, VAST, Way, assert_same, assert_tree, make_tree, make_vast};
use interop::{bob, foreign};
use std::fs;

/// The server as the remote `boat`.
fn remote(site: &Site, password: &str) -> Vec<(&'static str, String)> {
    let yes = |is: bool| if is { "true" } else { "false" }.to_string();
    let implicit = matches!(site.way, Way::Implicit(_));
    vec![
        ("RCLONE_CONFIG", String::new()),
        ("RCLONE_CONFIG_BOAT_TYPE", "ftp".into()),
        ("RCLONE_CONFIG_BOAT_HOST", if site.is_ipv6() { "[::1]" } else { site.host() }.into()),
        ("RCLONE_CONFIG_BOAT_PORT", site.port()),
        ("RCLONE_CONFIG_BOAT_USER", bob().address.into()),
        ("RCLONE_CONFIG_BOAT_PASS", password.into()),
        ("RCLONE_CONFIG_BOAT_TLS", yes(implicit)),
        ("RCLONE_CONFIG_BOAT_EXPLICIT_TLS", yes(site.is_private() && !implicit)),
        ("RCLONE_CONFIG_BOAT_DISABLE_TLS13", yes(site.version() == Some("1.2"))),
        // It mixes up the TLS sessions of its connections, where it has several (jlaffaye/ftp issue 342).
        ("RCLONE_CONFIG_BOAT_CONCURRENCY", if site.is_private() { "1" } else { "4" }.into()),
        ("SSL_CERT_FILE", site.certificate()),
    ]
}

fn everything(way: Way) {
    let Some(rclone) = foreign("rclone") else { return };
    let site = Site::new(way);
    let hidden = rclone.run(&["obscure", bob().password], b"").succeeded().stdout;
    let environment = remote(&site, hidden.trim());
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, &**value)).collect();
    let run = |arguments: &[&str]| rclone.run_with(&environment, arguments, b"").succeeded();

    let (tree, back) = (rclone.home().join("tree"), rclone.home().join("back"));
    let (up, down) = (tree.to_str().expect("UTF-8"), back.to_str().expect("UTF-8"));
    make_tree(&tree);
    run(&["sync", "--create-empty-src-dirs", up, "boat:new/kept"]);
    assert_tree(&site.file("new/kept"));
    run(&["sync", "--create-empty-src-dirs", "boat:new/kept", down]);
    assert_tree(&back);
    // --download: compared octet by octet.
    run(&["check", "--download", up, "boat:new/kept"]);
    let again = run(&["sync", "-v", "--create-empty-src-dirs", up, "boat:new/kept"]).stderr;
    assert!(again.contains("There was nothing to transfer"), "{again}");
    fs::remove_file(tree.join("one")).expect("a file");
    run(&["sync", up, "boat:new/kept"]);
    assert!(!site.file("new/kept/one").exists());

    let list = run(&["lsjson", "-R", "boat:new"]).stdout;
    assert!(list.contains("\"Path\":\"kept/a/two  words\"") && list.contains("\"Size\":3000001"), "{list}");
    run(&["moveto", "boat:new/kept/a/two  words", "boat:moved/here"]);
    assert_same(site.file("moved/here"));
    run(&["move", "boat:moved", "boat:else"]);
    assert_same(site.file("else/here"));
    run(&["mkdir", "boat:made"]);
    run(&["rmdir", "boat:made"]);
    run(&["deletefile", "boat:else/here"]);
    run(&["purge", "boat:new"]);
    assert!(!site.file("made").exists() && !site.file("else/here").exists() && !site.file("new").exists());

    make_vast(site.file("vast"), VAST);
    let from = (VAST - TAIL.len() as u64).to_string();
    assert_eq!(run(&["cat", "--offset", &from, "boat:vast"]).stdout.as_bytes(), TAIL);
}

#[test]
fn rclone_in_clear() {
    everything(Way::Clear);
}

#[test]
fn rclone_over_ipv6() {
    everything(Way::Ipv6);
}

#[test]
fn rclone_by_auth_tls_1_2() {
    everything(Way::AuthTls("1.2"));
}

#[test]
fn rclone_by_auth_tls_1_3() {
    everything(Way::AuthTls("1.3"));
}

#[test]
fn rclone_by_implicit_tls_1_2() {
    everything(Way::Implicit("1.2"));
}

#[test]
fn rclone_by_implicit_tls_1_3() {
    everything(Way::Implicit("1.3"));
}

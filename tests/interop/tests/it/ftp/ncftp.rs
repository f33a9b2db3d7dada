//! ncftp and its commands for scripts: ncftpls, ncftpget, ncftpput. They know neither TLS nor IPv6.

use super::{Site, VAST, Way, assert_same, assert_tree, assert_vast, content, local_file, make_tree, make_vast};
use interop::{Foreign, bob, foreign};
use std::fs;

/// Passive or active.
fn mode(site: &Site) -> &'static str {
    if site.is_active() { "-E" } else { "-F" }
}

/// Runs one of its commands with Bob's login.
fn run(program: &Foreign, site: &Site, arguments: &[&str]) -> String {
    let (bob, port) = (bob(), site.port());
    let login = ["-u", bob.address, "-p", bob.password, "-P", &port, mode(site)];
    program.run(&[&login[..], arguments].concat(), b"").succeeded().stdout
}

fn ls(way: Way) {
    let Some(ncftpls) = foreign("ncftpls") else { return };
    let site = Site::new(way);
    let listing = run(&ncftpls, &site, &["-l", "ftp://127.0.0.1/"]);
    assert!(listing.contains(" readme.txt") && listing.contains(" recipes"), "{listing}");
    assert_eq!(run(&ncftpls, &site, &["-1", "ftp://127.0.0.1/recipes/"]), "crepes.txt\npickles.txt\n");
}

fn put_and_get(way: Way) {
    let (Some(ncftpput), Some(ncftpget)) = (foreign("ncftpput"), foreign("ncftpget")) else { return };
    let site = Site::new(way);
    let (tree, local, back) = (ncftpput.home().join("tree"), local_file(&ncftpput), ncftpget.home());
    make_tree(&tree);
    run(&ncftpput, &site, &["-V", "-R", "-m", "127.0.0.1", "/new/kept", tree.to_str().expect("UTF-8")]);
    assert_tree(&site.file("new/kept/tree"));
    run(&ncftpget, &site, &["-V", "-R", "-T", "127.0.0.1", ".", "/new/kept/tree"]);
    assert_tree(&back.join("tree"));

    fs::write(back.join("one"), &content()[..1_000_000]).expect("a part of a file");
    run(&ncftpget, &site, &["-V", "-z", "127.0.0.1", ".", "/new/kept/tree/one"]);
    assert_same(back.join("one"));
    // With its sendfile, ncftpput 3.2.6 goes on from the wrong place in its own file; -s is without.
    site.broken_off("local.bin", 1_000_000);
    run(&ncftpput, &site, &["-V", "-s", "-z", "127.0.0.1", "/", &local]);
    assert_same(site.file("local.bin"));
    run(&ncftpput, &site, &["-V", "-A", "127.0.0.1", "/", &local]);
    assert_eq!(fs::read(site.file("local.bin")).expect("a file"), [content(), content()].concat());

    make_vast(site.file("vast"), VAST);
    make_vast(back.join("vast"), VAST - 50);
    run(&ncftpget, &site, &["-V", "-z", "127.0.0.1", ".", "/vast"]);
    assert_vast(back.join("vast"));
    make_vast(site.file("recipes/vast"), VAST - 50);
    run(&ncftpput, &site, &["-V", "-s", "-z", "127.0.0.1", "/recipes", back.join("vast").to_str().expect("UTF-8")]);
    assert_vast(site.file("recipes/vast"));
}

fn by_hand(way: Way) {
    let Some(ncftp) = foreign("ncftp") else { return };
    let site = Site::new(way);
    local_file(&ncftp);
    let orders = "mkdir made\ncd made\nput local.bin\nrename local.bin \"two  words \u{2603}\"\nget \"two  words \u{2603}\"\n\
         ls -l\nrm \"two  words \u{2603}\"\ncd ..\nrmdir made\nls\nquit\n";
    let (bob, port) = (bob(), site.port());
    let login = ["-u", bob.address, "-p", bob.password, "-P", &port, "127.0.0.1"];
    let passive = format!("set passive {}\n", if site.is_active() { "off" } else { "on" });
    let heard = ncftp.run(&login, (passive + orders).as_bytes()).succeeded().stdout;
    assert!(heard.contains(" two  words \u{2603}"), "{heard}");
    assert_same(ncftp.path("two  words \u{2603}"));
    assert!(!site.file("made").exists());
}

#[test]
fn ncftpls_in_clear() {
    ls(Way::Clear);
}

#[test]
fn ncftpls_by_active_connections() {
    ls(Way::Active);
}

#[test]
fn ncftpput_and_ncftpget_in_clear() {
    put_and_get(Way::Clear);
}

#[test]
fn ncftpput_and_ncftpget_by_active_connections() {
    put_and_get(Way::Active);
}

#[test]
fn ncftp_in_clear() {
    by_hand(Way::Clear);
}

#[test]
fn ncftp_by_active_connections() {
    by_hand(Way::Active);
}

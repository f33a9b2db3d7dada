//! tnftp, the `ftp` of the BSDs and of macOS: orders typed by hand. It knows no TLS for FTP.

use super::{Site, VAST, Way, assert_same, assert_vast, content, local_file, make_vast};
use interop::{Foreign, bob, foreign};
use std::fs;

/// Types these orders; what fails is only said, so that callers look at what was heard.
fn type_in(tnftp: &Foreign, site: &Site, orders: &str) -> String {
    let opening = format!("open {} {}\nuser {} {}\nbinary\n", site.host(), site.port(), bob().address, bob().password);
    let mode = if site.is_active() { "-A" } else { "-p" };
    tnftp.run(&[mode, "-n", "-i", "-v"], (opening + orders + "quit\n").as_bytes()).succeeded().stdout
}

fn everything(way: Way) {
    let Some(tnftp) = foreign("tnftp") else { return };
    let site = Site::new(way);
    local_file(&tnftp);
    fs::write(tnftp.path("part.bin"), &content()[..1_000_000]).expect("a part of a file");
    let heard = type_in(
        &tnftp,
        &site,
        "mkdir made\ncd made\nput local.bin \"two  words\"\nls\nget \"two  words\" got.bin\nrename \"two  words\" dr\u{fc}ben\n\
         size dr\u{fc}ben\nreget dr\u{fc}ben part.bin\nmls . -\nmlst dr\u{fc}ben\nappend local.bin dr\u{fc}ben\nsize dr\u{fc}ben\n",
    );
    assert!(heard.contains(" two  words") && heard.contains("type=file;size=3000001;"), "{heard}");
    assert!(heard.contains("dr\u{fc}ben\t3000001") && heard.contains("dr\u{fc}ben\t6000002"), "{heard}");
    assert_same(tnftp.path("got.bin"));
    assert_same(tnftp.path("part.bin"));
    let orders = "cd made\ndelete dr\u{fc}ben\ncd ..\nrmdir made\nlcd there\nmget recipes/*\nmput *\n";
    fs::create_dir_all(tnftp.path("there/recipes")).expect("directories");
    fs::write(tnftp.path("there/one"), content()).expect("a file");
    type_in(&tnftp, &site, orders);
    assert!(!site.file("made").exists());
    for name in ["recipes/crepes.txt", "recipes/pickles.txt"] {
        let got = fs::read(tnftp.path(&format!("there/{name}"))).expect("a recipe");
        assert_eq!(got, fs::read(site.file(name)).expect("a recipe"));
    }
    assert_same(site.file("one"));
}

#[test]
fn tnftp_goes_on_with_an_upload_that_broke_off() {
    let Some(tnftp) = foreign("tnftp") else { return };
    let site = Site::new(Way::Clear);
    local_file(&tnftp);
    site.broken_off("half.bin", 1_000_000);
    let heard = type_in(&tnftp, &site, "size half.bin\nrestart 1000000\nput local.bin half.bin\n");
    assert!(heard.contains("half.bin\t1000000"), "{heard}");
    assert_same(site.file("half.bin"));
}

/// The fetch that goes on, and the upload that is told where: beyond four gigabytes.
fn vast(way: Way) {
    let Some(tnftp) = foreign("tnftp") else { return };
    let site = Site::new(way);
    make_vast(site.file("vast"), VAST);
    make_vast(site.file("up"), VAST - 50);
    make_vast(tnftp.path("down"), VAST - 50);
    make_vast(tnftp.path("vast"), VAST);
    type_in(&tnftp, &site, &format!("reget vast down\nrestart {}\nput vast up\n", VAST - 50));
    assert_vast(tnftp.path("down"));
    assert_vast(site.file("up"));
}

#[test]
fn tnftp_in_clear() {
    everything(Way::Clear);
}

#[test]
fn tnftp_by_active_connections() {
    everything(Way::Active);
}

#[test]
fn tnftp_over_ipv6() {
    everything(Way::Ipv6);
}

#[test]
fn tnftp_by_active_connections_over_ipv6() {
    everything(Way::ActiveIpv6);
}

#[test]
fn tnftp_beyond_four_gigabytes() {
    vast(Way::Clear);
}

#[test]
fn tnftp_aborts_with_urgent_data_and_goes_on() {
    let Some(tnftp) = foreign("tnftp") else { return };
    let site = Site::new(Way::Clear);
    fs::write(site.file("one"), content()).expect("a file");
    // The local file to go on with is not there, which it notices when the octets come: it sends IP, Synch and ABOR.
    let heard = type_in(&tnftp, &site, "restart 5\nget one nowhere/one\npwd\nls\n");
    assert!(heard.contains("Remote directory: /\n") && heard.contains(" recipes"), "{heard}");
}

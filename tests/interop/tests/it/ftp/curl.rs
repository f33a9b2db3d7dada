//! curl: one command, one file.

use super::{Site, VAST, Way, assert_same, assert_vast, content, local_file, make_vast};
use crate::place;
use harness::Server;
use interop::{binary, bob, foreign, skipped};
use std::fs;

fn options(site: &Site) -> Vec<String> {
    let mut options = vec![if site.is_ipv6() { "-6" } else { "-4" }.to_string()];
    if site.is_active() {
        options.extend(["-P", "-"].map(String::from));
    }
    if let Some(version) = site.version() {
        let at_least = format!("--tlsv{version}");
        options
            .extend(["--ssl-reqd", &at_least, "--tls-max", version, "--cacert", &site.certificate()].map(String::from));
    }
    options
}

fn everything(way: Way) {
    let Some(curl) = foreign("curl") else { return };
    if way == Way::ActiveTls && curl.run(&["-V"], b"").succeeded().stdout.starts_with("curl 7.8") {
        return skipped("this curl speaks no TLS on active connections (curl issue 10666)");
    }
    let site = Site::new(way);
    let (url, options, credentials) = (site.url(), options(&site), bob().credentials());
    let (local, fetched) = (local_file(&curl), curl.path("fetched.bin"));
    let run = |arguments: &[&str]| {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        curl.run(&[&["-sS", "-g", "-u", &credentials], &options[..], arguments].concat(), b"").succeeded().stdout
    };
    let listing = run(&[&url]);
    assert!(listing.contains(" readme.txt") && listing.starts_with('-'), "{listing}");

    run(&["-T", &local, &format!("{url}a%20file%20%E2%98%83.bin")]);
    assert_same(site.file("a file \u{2603}.bin"));
    run(&["-o", &fetched, &format!("{url}a%20file%20%E2%98%83.bin")]);
    assert_same(&fetched);

    // On with what broke off, here and there.
    fs::write(&fetched, &content()[..1_000_000]).expect("a part of a file");
    run(&["-C", "-", "-o", &fetched, &format!("{url}a%20file%20%E2%98%83.bin")]);
    assert_same(&fetched);
    site.broken_off("half.bin", 1_000_000);
    run(&["-C", "-", "-T", &local, &format!("{url}half.bin")]);
    assert_same(site.file("half.bin"));

    // One control connection, one data connection each. OpenSSL takes a ticket of TLS 1.3 for one connection only, and curl
    // keeps one of them: with 1.3 it gets one file.
    let recipes =
        ["crepes.txt", "pickles.txt", "crepes.txt", "pickles.txt", ""].map(|name| format!("{url}recipes/{name}"));
    if site.version() != Some("1.3") {
        let heard = run(&recipes.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(heard.matches("Cucumbers").count() == 2 && heard.contains(" pickles.txt"), "{heard}");
    }

    run(&["-T", &local, "--ftp-create-dirs", &format!("{url}new/er/file.bin")]);
    assert_same(site.file("new/er/file.bin"));
    let orders =
        ["DELE half.bin", "DELE a file \u{2603}.bin", "MKD made", "RMD made", "RNFR readme.txt", "RNTO new/read.me"];
    let orders: Vec<String> = orders.iter().map(|order| format!("-{order}")).collect();
    run(&[&orders.iter().flat_map(|order| ["-Q", order]).collect::<Vec<_>>()[..], &["-l", &url]].concat());
    assert_eq!(run(&["-l", &url]), "new\nrecipes\nshared\n");
    assert_eq!(run(&["-l", &format!("{url}new/")]), "er\nread.me\n");

    make_vast(site.file("vast"), VAST);
    let (vast, down) = (curl.path("vast"), curl.path("down"));
    make_vast(&down, VAST - 50);
    run(&["-C", "-", "-o", &down, &format!("{url}vast")]);
    assert_vast(&down);
    make_vast(&vast, VAST);
    make_vast(site.file("up"), VAST - 50);
    run(&["-C", "-", "-T", &vast, &format!("{url}up")]);
    assert_vast(site.file("up"));
}

#[test]
fn curl_in_clear() {
    everything(Way::Clear);
}

#[test]
fn curl_by_active_connections() {
    everything(Way::Active);
}

#[test]
fn curl_over_ipv6() {
    everything(Way::Ipv6);
}

#[test]
fn curl_by_active_connections_over_ipv6() {
    everything(Way::ActiveIpv6);
}

#[test]
fn curl_by_auth_tls_1_2() {
    everything(Way::AuthTls("1.2"));
}

#[test]
fn curl_by_auth_tls_1_3() {
    everything(Way::AuthTls("1.3"));
}

#[test]
fn curl_by_active_connections_and_tls() {
    everything(Way::ActiveTls);
}

#[test]
fn curl_by_implicit_tls_1_2() {
    everything(Way::Implicit("1.2"));
}

#[test]
fn curl_by_implicit_tls_1_3() {
    everything(Way::Implicit("1.3"));
}

#[test]
fn curl_as_a_guest() {
    let Some(curl) = foreign("curl") else { return };
    let site = Site::new(Way::Clear);
    let (local, url) = (local_file(&curl), site.url());
    let run = |arguments: &[&str]| curl.run(&[&["-sS"], arguments].concat(), b"");
    let listing = run(&[&url]).succeeded().stdout;
    assert!(listing.starts_with("d-wx") && listing.contains("-r--r----- "), "{listing}");
    assert_eq!(run(&[&format!("{url}pub/menu.txt")]).succeeded().stdout, "Crepes, hamburgers, pickles.\n");
    run(&["-T", &local, &format!("{url}incoming/gift.bin")]).succeeded();
    assert_same(site.server.data_dir().join("spaces/public/incoming/gift.bin"));
    // 25 is an upload that was refused, 78 a file that is not there, 9 no way into a directory.
    run(&["-T", &local, &format!("{url}incoming/gift.bin")]).expect(25);
    run(&["-T", &local, &format!("{url}pub/gift.bin")]).expect(25);
    run(&[&format!("{url}incoming/gift.bin")]).expect(78);
    run(&[&format!("{url}recipes/")]).expect(9);
}

#[test]
fn curl_goes_back_to_clear_by_ccc() {
    let Some(curl) = foreign("curl") else { return };
    // Without a close_notify of its own, as curl does it when passive, OpenSSL does not resume the session any more.
    for (form, data_tls) in [("passive", "any"), ("active", "resumed")] {
        let configuration = format!("[ftp]\nccc = 'allowed'\ndata_tls = '{data_tls}'\n");
        let server = Server::serve_files(binary(), "127.0.0.1", &configuration);
        let (local, url) = (local_file(&curl), format!("ftp://{}/new/a%20file", place(&server, "ftp")));
        let run = |arguments: &[&str]| {
            let fixed = ["-sS", "-v", "-u", "bob@hamburger.test:very-hungry", "--ssl-reqd", "--insecure"];
            let more = ["--ftp-ssl-ccc", "--ftp-ssl-ccc-mode", form, "--ftp-create-dirs"];
            curl.run(&[&fixed[..], &more[..], arguments].concat(), b"").succeeded()
        };
        let fetched = curl.path("fetched.bin");
        run(&["-T", &local, &url]);
        let heard = run(&["-o", &fetched, &url]).stderr;
        assert_same(&fetched);
        assert!(heard.contains("> CCC") && heard.contains("200 Back to clear."), "{heard}");
    }
}

//! lftp: trees both ways, several connections at once, parts of files.

use super::{Site, VAST, Way, assert_same, assert_tree, assert_vast, content, local_file, make_tree, make_vast};
use crate::place;
use harness::Server;
use interop::{binary, bob, foreign};
use std::fs;

fn settings(site: &Site) -> String {
    let private = site.is_private();
    let mut settings = format!(
        "set cmd:fail-exit yes; set net:max-retries 2; set ssl:ca-file {}; set ftp:ssl-allow {private}; \
         set ftp:ssl-force {private}; set ftp:passive-mode {};",
        site.certificate(),
        !site.is_active()
    );
    if let Some(version) = site.version() {
        settings += &format!("set ssl:priority NORMAL:-VERS-ALL:+VERS-TLS{version};");
    }
    settings
}

fn everything(way: Way) {
    let Some(lftp) = foreign("lftp") else { return };
    let site = Site::new(way);
    let (local, tree, back) = (local_file(&lftp), lftp.home().join("tree"), lftp.home().join("back"));
    let run = |orders: &str| {
        let script =
            format!("{} open -u {},{} {}; {orders}", settings(&site), bob().address, bob().password, site.url());
        lftp.run(&["-c", &script], b"").succeeded().stdout
    };
    make_tree(&tree);
    run(&format!("mirror -R --parallel=3 {} kept", tree.display()));
    assert_tree(&site.file("kept"));
    run(&format!("mirror --parallel=3 kept {}", back.display()));
    assert_tree(&back);
    let again = run(&format!("mirror -R --verbose {} kept; mirror --verbose kept {}", tree.display(), back.display()));
    assert_eq!(again, "", "nothing has changed, and nothing is sent again");

    let (parts, part) = (lftp.path("parts.bin"), lftp.path("part.bin"));
    fs::write(&part, &content()[..1_000_000]).expect("a part of a file");
    run(&format!("pget -n 4 kept/one -o {parts}; get -c kept/one -o {part}"));
    assert_same(&parts);
    assert_same(&part);
    site.broken_off("half.bin", 1_000_000);
    run(&format!("put -c {local} -o half.bin"));
    assert_same(site.file("half.bin"));

    let heard = run(
        "mv kept/one kept/a/moved; mkdir -p made/too; ls kept/a; rm -r kept; rm half.bin; rmdir made/too made; cls -1",
    );
    assert!(heard.contains(" moved") && heard.contains(" two  words"), "{heard}");
    assert!(heard.ends_with("readme.txt\nrecipes/\nshared/\n") && !heard.contains("kept"), "{heard}");

    make_vast(site.file("vast"), VAST);
    make_vast(site.file("up"), VAST - 50);
    make_vast(lftp.path("vast"), VAST);
    make_vast(lftp.path("down"), VAST - 50);
    run(&format!("get -c vast -o {}; put -c {} -o up", lftp.path("down"), lftp.path("vast")));
    assert_vast(lftp.path("down"));
    assert_vast(site.file("up"));
}

#[test]
fn lftp_in_clear() {
    everything(Way::Clear);
}

#[test]
fn lftp_by_active_connections() {
    everything(Way::Active);
}

#[test]
fn lftp_over_ipv6() {
    everything(Way::Ipv6);
}

#[test]
fn lftp_by_active_connections_over_ipv6() {
    everything(Way::ActiveIpv6);
}

#[test]
fn lftp_by_auth_tls_1_2() {
    everything(Way::AuthTls("1.2"));
}

#[test]
fn lftp_by_auth_tls_1_3() {
    everything(Way::AuthTls("1.3"));
}

#[test]
fn lftp_by_active_connections_and_tls() {
    everything(Way::ActiveTls);
}

#[test]
fn lftp_by_implicit_tls_1_2() {
    everything(Way::Implicit("1.2"));
}

#[test]
fn lftp_by_implicit_tls_1_3() {
    everything(Way::Implicit("1.3"));
}

#[test]
fn lftp_in_mode_z() {
    let Some(lftp) = foreign("lftp") else { return };
    // It does so by itself, where the server has it.
    let server = Server::serve_files(binary(), "127.0.0.1", "[ftp]\ncompression = 'on'\n");
    let (text, back) = (lftp.path("text"), lftp.path("back"));
    let content: String = (0..200_000).map(|number| format!("{number} pickles\n")).collect();
    fs::write(&text, &content).expect("a file");
    let script = format!(
        "set cmd:fail-exit yes; set net:max-retries 2; set ftp:ssl-allow no; debug 9; open -u bob@hamburger.test,very-hungry ftp://{}; \
         put {text} -o kept; get kept -o {back}; ls; rm kept",
        place(&server, "ftp"),
    );
    let heard = lftp.run(&["-c", &script], b"").succeeded();
    assert!(heard.stdout.contains(" kept"), "{}", heard.stdout);
    assert!(heard.stderr.contains("200 Mode is deflate."), "{}", heard.stderr);
    assert!(fs::read_to_string(&back).expect("the fetched file") == content);
}

#[test]
fn lftp_from_server_to_server() {
    let Some(lftp) = foreign("lftp") else { return };
    let allowed = "[ftp]\nforeign_data = 'allowed'\n";
    let servers = ["127.0.0.2", "127.0.0.3"].map(|address| Server::serve_files(binary(), address, allowed));
    let [source, target] =
        servers.each_ref().map(|server| format!("ftp://bob%40hamburger.test:very-hungry@{}", place(server, "ftp")));
    let (local, back) = (local_file(&lftp), lftp.path("back"));
    let script = format!(
        "set cmd:fail-exit yes; set net:max-retries 2; set ftp:ssl-allow no; set ftp:use-fxp yes; set ftp:fxp-force yes; \
         put {local} -o {source}/letter; get {source}/letter -o {target}/letter; get {target}/letter -o {back}"
    );
    lftp.run(&["-c", &script], b"").succeeded();
    assert_same(&back);
}

//! Python's ftplib. The script asserts what it sees; each test is one function of it.

use super::{Site, VAST, Way, assert_same, content, make_vast};
use crate::{certificate, port};
use harness::Server;
use interop::{binary, bob, foreign};

const SCRIPT: &str = include_str!("../../../scripts/ftp.py");

fn run(site: &Site, function: &str) {
    run_on(&site.server, function, &bob().credentials());
}

fn run_on(server: &Server, function: &str, credentials: &str) {
    let Some(python) = foreign("python3") else { return };
    let file = python.write("ftp.py", SCRIPT);
    let (plain, implicit, certificate) = (port(server, "ftp"), port(server, "ftps"), certificate(server));
    python.run(&[&file, function, &plain, &implicit, &certificate, credentials], content()).succeeded();
}

#[test]
fn ftplib_in_clear() {
    run(&Site::new(Way::Clear), "in_clear");
}

#[test]
fn ftplib_by_active_connections() {
    run(&Site::new(Way::Active), "active");
}

#[test]
fn ftplib_over_ipv6() {
    let site = Site::new(Way::Ipv6);
    run(&site, "over_ipv6");
}

#[test]
fn ftplib_by_active_connections_over_ipv6() {
    run(&Site::new(Way::Ipv6), "active_over_ipv6");
}

#[test]
fn ftplib_by_auth_tls_1_3() {
    run(&Site::new(Way::AuthTls("1.3")), "auth_tls");
}

#[test]
fn ftplib_by_auth_tls_1_2() {
    run(&Site::new(Way::AuthTls("1.2")), "auth_tls_1_2");
}

#[test]
fn ftplib_by_active_connections_and_tls() {
    run(&Site::new(Way::ActiveTls), "active_tls");
}

#[test]
fn ftplib_by_implicit_tls_1_2() {
    run(&Site::new(Way::Implicit("1.2")), "implicit_tls_1_2");
}

#[test]
fn ftplib_by_implicit_tls_1_3() {
    run(&Site::new(Way::Implicit("1.3")), "implicit_tls");
}

#[test]
fn ftplib_goes_back_to_clear_by_ccc() {
    // Behind CCC there is no session left that data connections could resume.
    let server = Server::serve_files(binary(), "127.0.0.1", "[ftp]\nccc = 'allowed'\ndata_tls = 'any'\n");
    run_on(&server, "back_to_clear", "bob@hamburger.test:very-hungry");
}

#[test]
fn ftplib_goes_on_with_an_upload_that_broke_off() {
    if foreign("python3").is_none() {
        return;
    }
    let site = Site::new(Way::Clear);
    site.broken_off("half.bin", 1_000_000);
    run(&site, "on_with_what_broke_off");
    assert_same(site.file("half.bin"));
}

#[test]
fn ftplib_without_resumption_gets_no_data() {
    run(&Site::new(Way::AuthTls("1.3")), "auth_tls_without_resumption");
}

#[test]
fn ftplib_beyond_four_gigabytes() {
    let site = Site::new(Way::Clear);
    make_vast(site.file("vast"), VAST);
    run(&site, "beyond_four_gigabytes");
}

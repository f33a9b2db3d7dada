//! FTP by curl, lftp and Python's ftplib: lists, downloads, uploads, trees; in clear, by AUTH TLS, and on the port of its own.

use crate::{certificate, place, port};
use harness::Server;
use interop::{Foreign, binary, bob, dev, foreign};

/// What each client is asked for: longer than any buffer, so that cuts would show, and no text.
fn content() -> Vec<u8> {
    (0..3_000_001u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// A file of [`content`] in the program's home.
fn local_file(program: &Foreign) -> String {
    let path = program.path("local.bin");
    std::fs::write(&path, content()).expect("a local file");
    path
}

fn assert_same(path: &str) {
    assert!(std::fs::read(path).expect("the fetched file") == content(), "{path} is not what was sent");
}

/// Lists, sends, fetches, fetches the second half, and sends it again, in halves.
fn curl(url: &dyn Fn(&Server) -> String, more: &dyn Fn(&Server) -> Vec<String>) {
    let Some(curl) = foreign("curl") else { return };
    let server = dev();
    let (url, more) = (url(&server), more(&server));
    let (credentials, local, fetched) = (bob().credentials(), local_file(&curl), curl.path("fetched.bin"));
    let run = |arguments: &[&str]| {
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        curl.run(&[&["-sS", "-4", "-u", &credentials], &more[..], arguments].concat(), b"").succeeded().stdout
    };
    let listing = run(&[&url]);
    assert!(listing.contains(" readme.txt") && listing.starts_with('-'), "{listing}");
    run(&["-T", &local, &format!("{url}a%20file.bin")]);
    run(&["-o", &fetched, &format!("{url}a%20file.bin")]);
    assert_same(&fetched);
    std::fs::write(&fetched, &content()[..1_000_000]).expect("half a file");
    run(&["-C", "-", "-o", &fetched, &format!("{url}a%20file.bin")]);
    assert_same(&fetched);
    run(&["-T", &local, "--ftp-create-dirs", &format!("{url}new/er/file.bin")]);
    run(&["-Q", "-DELE a file.bin", "-Q", "-RNFR readme.txt", "-Q", "-RNTO new/read.me", "-l", &url]);
    assert_eq!(run(&["-l", &url]), "new\r\nrecipes\r\n".replace("\r\n", "\n"));
}

#[test]
fn curl_in_clear() {
    curl(&|server| format!("ftp://{}/", place(server, "ftp")), &|_| Vec::new());
}

#[test]
fn curl_in_clear_by_active_connections() {
    curl(&|server| format!("ftp://{}/", place(server, "ftp")), &|_| vec!["-P".into(), "-".into()]);
}

#[test]
fn curl_by_auth_tls() {
    for version in ["1.2", "1.3"] {
        curl(&|server| format!("ftp://localhost:{}/", port(server, "ftp")), &|server| {
            ["--ssl-reqd", "--tls-max", version, "--cacert", &certificate(server)].map(String::from).to_vec()
        });
    }
}

#[test]
fn curl_by_auth_tls_and_active_connections() {
    curl(&|server| format!("ftp://{}/", place(server, "ftp")), &|server| {
        ["--ssl-reqd", "--cacert", &certificate(server), "-P", "-"].map(String::from).to_vec()
    });
}

#[test]
fn curl_by_implicit_tls() {
    curl(&|server| format!("ftps://localhost:{}/", port(server, "ftps")), &|server| {
        ["--cacert", &certificate(server)].map(String::from).to_vec()
    });
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

/// Mirrors a tree to the server and back, and fetches one file in four parts at once.
fn lftp(scheme: &str, service: &str, secure: bool) {
    let Some(lftp) = foreign("lftp") else { return };
    let server = dev();
    let tree = lftp.path("tree");
    std::fs::create_dir_all(format!("{tree}/a/b")).expect("directories");
    for name in ["one", "a/two words", "a/b/dr\u{fc}ben", "a/b/empty"] {
        let content = if name.ends_with("empty") { Vec::new() } else { content() };
        std::fs::write(format!("{tree}/{name}"), content).expect("a file");
    }
    let (back, parts) = (lftp.path("back"), lftp.path("parts.bin"));
    let script = format!(
        "set cmd:fail-exit yes; set net:max-retries 2; set ssl:ca-file {}; set ftp:ssl-force {secure}; \
         open -u {},{} {scheme}://localhost:{}; mirror -R --parallel=3 {tree} kept; mirror --parallel=3 kept {back}; \
         pget -n 4 kept/one -o {parts}; mv kept/one kept/a/moved; ls kept/a; rm -r kept; cls",
        certificate(&server),
        bob().address,
        bob().password,
        port(&server, service),
    );
    let heard = lftp.run(&["-c", &script], b"").succeeded().stdout;
    assert!(heard.contains(" moved") && heard.contains(" two words") && heard.contains("recipes/"), "{heard}");
    assert!(!heard.contains("kept"), "{heard}");
    assert_same(&parts);
    for name in ["one", "a/two words", "a/b/dr\u{fc}ben"] {
        assert_same(&format!("{back}/{name}"));
    }
    assert_eq!(std::fs::read(format!("{back}/a/b/empty")).expect("a file"), b"");
}

#[test]
fn lftp_in_clear() {
    lftp("ftp", "ftp", false);
}

#[test]
fn lftp_by_auth_tls() {
    lftp("ftp", "ftp", true);
}

#[test]
fn lftp_by_implicit_tls() {
    lftp("ftps", "ftps", true);
}

#[test]
fn lftp_in_mode_z() {
    let Some(lftp) = foreign("lftp") else { return };
    let server = dev();
    let (text, back) = (lftp.path("text"), lftp.path("back"));
    let content: String = (0..200_000).map(|number| format!("{number} pickles\n")).collect();
    std::fs::write(&text, &content).expect("a file");
    let script = format!(
        "set cmd:fail-exit yes; set net:max-retries 2; set ssl:ca-file {}; set ftp:ssl-force yes; set ftp:use-mode-z yes; \
         debug 9; open -u {},{} ftp://localhost:{}; put {text} -o kept; get kept -o {back}; ls; rm kept",
        certificate(&server),
        bob().address,
        bob().password,
        port(&server, "ftp"),
    );
    let heard = lftp.run(&["-c", &script], b"").succeeded();
    assert!(heard.stdout.contains(" kept"), "{}", heard.stdout);
    assert!(heard.stderr.contains("200 Mode is deflate."), "{}", heard.stderr);
    assert!(std::fs::read_to_string(&back).expect("the fetched file") == content);
}

const SCRIPT: &str = include_str!("../../scripts/ftp.py");

fn ftplib(function: &str) {
    let Some(python) = foreign("python3") else { return };
    let server = dev();
    let file = python.write("ftp.py", SCRIPT);
    let (plain, implicit, certificate) = (port(&server, "ftp"), port(&server, "ftps"), certificate(&server));
    python.run(&[&file, function, &plain, &implicit, &certificate, &bob().credentials()], &content()).succeeded();
}

#[test]
fn ftplib_in_clear() {
    ftplib("in_clear");
}

#[test]
fn ftplib_in_clear_by_active_connections() {
    ftplib("active");
}

#[test]
fn ftplib_by_auth_tls() {
    ftplib("auth_tls");
}

#[test]
fn ftplib_by_auth_tls_1_2() {
    ftplib("auth_tls_1_2");
}

#[test]
fn ftplib_without_resumption_gets_no_data() {
    ftplib("auth_tls_without_resumption");
}

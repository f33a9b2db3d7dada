//! FTP by the clients of others: lists, downloads, uploads and trees, on every way there is.
//!
//! Each test starts `dev`, goes one way with one client, and looks at the octets on both sides. What each client was asked
//! for, and the settings it needs, is in `docs/ftp-clients.md`.
//!
//! Not here: what the replies are (transcripts), data lines by hand (scenes).

mod curl;
mod ftplib;
mod lftp;
mod ncftp;
mod netcat;
mod rclone;
mod tnftp;
mod wget;

use crate::tree::{self, NAMES};
use harness::{Server, Speaker, until};
use interop::{Foreign, binary, dev};
use std::fs::{self, File};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Longer than any number of 32 bits can say, and nearly all of it a hole.
const VAST: u64 = (1 << 32) + 1000;

/// What the last octets of a vast file are.
const TAIL: &[u8] = b"behind four gigabytes of nothing";

/// How a client comes to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// In clear; the client dials for the data.
    Clear,
    /// In clear; the server dials.
    Active,
    /// In clear over IPv6; the client dials for the data.
    Ipv6,
    /// In clear over IPv6; the server dials.
    ActiveIpv6,
    /// By AUTH TLS, with this version.
    AuthTls(&'static str),
    /// By AUTH TLS; the server dials.
    ActiveTls,
    /// On the port of its own, with this version.
    Implicit(&'static str),
}

/// A server, and the way to it.
struct Site {
    way: Way,
    server: Server,
}

impl Site {
    fn new(way: Way) -> Site {
        if !matches!(way, Way::Ipv6 | Way::ActiveIpv6) {
            return Site { way, server: dev() };
        }
        Site { way, server: Server::dev_with(binary(), &["--listen", "::1"]) }
    }

    fn is_ipv6(&self) -> bool {
        matches!(self.way, Way::Ipv6 | Way::ActiveIpv6)
    }

    fn service(&self) -> &'static str {
        if matches!(self.way, Way::Implicit(_)) { "ftps" } else { "ftp" }
    }

    fn is_private(&self) -> bool {
        matches!(self.way, Way::AuthTls(_) | Way::ActiveTls | Way::Implicit(_))
    }

    fn is_active(&self) -> bool {
        matches!(self.way, Way::Active | Way::ActiveIpv6 | Way::ActiveTls)
    }

    /// The version of TLS that is wanted, as `1.2`.
    fn version(&self) -> Option<&'static str> {
        match self.way {
            Way::AuthTls(version) | Way::Implicit(version) => Some(version),
            Way::ActiveTls => Some("1.3"),
            Way::Clear | Way::Active | Way::Ipv6 | Way::ActiveIpv6 => None,
        }
    }

    /// The host as the certificate has it.
    fn host(&self) -> &'static str {
        match self.way {
            Way::Ipv6 | Way::ActiveIpv6 => "::1",
            Way::Clear | Way::Active => "127.0.0.1",
            Way::AuthTls(_) | Way::ActiveTls | Way::Implicit(_) => "localhost",
        }
    }

    fn port(&self) -> String {
        crate::port(&self.server, self.service())
    }

    /// The root, with a slash at its end.
    fn url(&self) -> String {
        let host = if self.is_ipv6() { "[::1]" } else { self.host() };
        format!("{}://{host}:{}/", self.service(), self.port())
    }

    fn certificate(&self) -> String {
        crate::certificate(&self.server)
    }

    /// Where a file of Bob's lies on disk.
    fn file(&self, name: &str) -> PathBuf {
        let spaces = fs::read_dir(self.server.data_dir().join("files")).expect("file spaces");
        let mut spaces = spaces.map(|space| space.expect("a space").path());
        spaces.find(|space| space.join("recipes").exists()).expect("Bob's space").join(name)
    }

    /// An upload of Bob's that breaks off behind so many octets of [`content`].
    fn broken_off(&self, name: &str, octets: usize) {
        let mut control = self.logged_in();
        control.say("EPSV");
        let line = control.expect("229 ~");
        let port = line.split('|').nth(3).and_then(|port| port.parse().ok()).expect("a port");
        let address = SocketAddr::new(self.server.address("ftp").ip(), port);
        let mut data = TcpStream::connect(address).expect("a data connection");
        control.play(&format!("C: STOR {name}\nS: 125 ~"));
        data.write_all(&content()[..octets]).expect("the server takes it");
        until("all of it has arrived", || {
            control.say("STAT");
            control.expect("213 ~").contains(&format!("({octets} bytes)"))
        });
        drop(control);
        drop(data);
        let mut control = self.logged_in();
        until("the upload has broken off", || {
            control.say(&format!("SIZE {name}"));
            control.expect("~") == format!("213 {octets}")
        });
    }

    fn logged_in(&self) -> Speaker {
        let mut control = self.server.speak("ftp");
        control.play("S: 220 ~\nC: USER bob@hamburger.test\nS: 331 ~\nC: PASS hungry\nS: 230 ~\nC: TYPE I\nS: 200 ~");
        control
    }
}

/// What is sent and fetched: longer than any buffer, so that cuts would show, and no text.
fn content() -> &'static [u8] {
    static CONTENT: OnceLock<Vec<u8>> = OnceLock::new();
    CONTENT.get_or_init(|| (0..3_000_001u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect())
}

/// A file of [`content`] in the program's home.
fn local_file(program: &Foreign) -> String {
    let path = program.path("local.bin");
    fs::write(&path, content()).expect("a local file");
    path
}

#[track_caller]
fn assert_same(path: impl AsRef<Path>) {
    let path = path.as_ref();
    let octets = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(octets == content(), "{} is not what was sent, but {} octets", path.display(), octets.len());
}

/// A tree of files with [`content`].
fn make_tree(top: &Path) {
    tree::make(top, content());
}

/// It came over whole.
#[track_caller]
fn assert_tree(top: &Path) {
    tree::assert_is(top, content());
}

/// A file of [`VAST`] octets, or the first so many of them.
fn make_vast(path: impl AsRef<Path>, octets: u64) {
    let file = File::create(path).expect("a file");
    file.write_all_at(TAIL, VAST - TAIL.len() as u64).expect("a tail");
    file.set_len(octets).expect("a length");
}

#[track_caller]
fn assert_vast(path: impl AsRef<Path>) {
    let file = File::open(path).expect("a file");
    let mut tail = [0; TAIL.len()];
    assert_eq!(file.metadata().expect("its length").len(), VAST);
    file.read_exact_at(&mut tail, VAST - TAIL.len() as u64).expect("its tail");
    assert_eq!(tail, TAIL);
}

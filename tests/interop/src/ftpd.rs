//! FTP servers, each started for one test: a free port, one person, a directory that goes away. Ours is one of them.
//!
//! Debian's packages of the others exclude one another. Beside the one that is installed, those are found that are unpacked
//! below `PACKETBOAT_UNPACKED` (`dpkg -x PACKAGE.deb $PACKETBOAT_UNPACKED/PACKAGE`).
//!
//! Not here: what is done there (`tests/it/ftp_client`).

mod settings;

use crate::binary;
use crate::foreign::{Foreign, foreign};
use harness::{Server, until, unused_port};
use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Child;

/// Where all happens at our own server, whose people have files already.
const OWN_FOLDER: &str = "work";

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ftpd {
    /// `packetboat dev`.
    Ours,
    /// Its guests have the anonymous login, so that it needs neither root nor PAM.
    Vsftpd,
    /// With a file of users.
    Proftpd,
    /// With a database of users. Needs root.
    Pureftpd,
    /// In Python.
    Pyftpdlib,
}

/// How it listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listening {
    /// In clear, with AUTH TLS for who wants it.
    Plain,
    /// The same, and it insists on TLS for the login and on the session's resumption for data.
    Strict,
    /// TLS from the first octet.
    Implicit,
    /// As `Plain`, on `::1`.
    Ipv6,
    /// As `Plain`, on `127.0.0.N`: for tests that leave more ports behind, which nobody can have for a minute, than others can spare.
    Apart(u8),
}

/// A running one.
pub struct RunningFtpd {
    process: Process,
    listening: Listening,
    port: u16,
    user: &'static str,
    root: PathBuf,
    certificate: PathBuf,
}

enum Process {
    Ours(Box<Server>),
    Foreign { _program: Foreign, child: Child },
}

impl Ftpd {
    /// Starts it; a loud word and `None` where it, or what it needs, is missing.
    pub fn start(self, listening: Listening) -> Option<RunningFtpd> {
        let (program, user) = match self {
            Ftpd::Ours => return Some(start_ours(listening)),
            Ftpd::Vsftpd => (foreign("vsftpd"), ""),
            Ftpd::Proftpd => (foreign("proftpd"), "bob@"),
            Ftpd::Pureftpd => (foreign("pure-ftpd"), "bob@"),
            Ftpd::Pyftpdlib => (foreign("python3"), "bob@"),
        };
        let program = program?;
        let root = program.home().join("home");
        fs::create_dir(&root).expect("a directory");
        certify(&program)?;
        let port = unused_port(&host(listening));
        let arguments = match self {
            Ftpd::Ours => None,
            Ftpd::Vsftpd => settings::vsftpd(&program, listening, port),
            Ftpd::Proftpd => settings::proftpd(&program, listening, port),
            Ftpd::Pureftpd => settings::pureftpd(&program, listening, port),
            Ftpd::Pyftpdlib => settings::pyftpdlib(&program, listening, port),
        }?;
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut child = program.start(&[], &arguments);
        until("the server listens", || listens(&mut child, listening, port));
        let certificate = program.home().join("cert.pem");
        Some(RunningFtpd {
            process: Process::Foreign { _program: program, child },
            listening,
            port,
            user,
            root,
            certificate,
        })
    }
}

fn start_ours(listening: Listening) -> RunningFtpd {
    let server = Server::dev_with(binary(), &["--listen", &host(listening)]);
    let port = server.address(if listening == Listening::Implicit { "ftps" } else { "ftp" }).port();
    let spaces = fs::read_dir(server.data_dir().join("files")).expect("file spaces").flatten();
    let mut spaces = spaces.map(|space| space.path());
    let root = spaces.find(|space| space.join("recipes").exists()).expect("Bob's space").join(OWN_FOLDER);
    fs::create_dir(&root).expect("a directory");
    let certificate = server.certificate();
    let process = Process::Ours(Box::new(server));
    RunningFtpd { process, listening, port, user: "bob%40hamburger.test@", root, certificate }
}

fn listens(child: &mut Child, listening: Listening, port: u16) -> bool {
    if let Some(status) = child.try_wait().expect("a child") {
        let mut said = String::new();
        child.stdout.take().expect("its output").read_to_string(&mut said).expect("text");
        child.stderr.take().expect("its errors").read_to_string(&mut said).expect("text");
        panic!("the server ended with {status}: {said}");
    }
    TcpStream::connect((host(listening).as_str(), port)).is_ok()
}

impl RunningFtpd {
    /// Where everything shall happen, as a URL with this scheme, a slash at its end.
    pub fn url(&self, scheme: &str) -> String {
        let host = match self.listening {
            Listening::Ipv6 => "[::1]".into(),
            Listening::Apart(_) => host(self.listening),
            Listening::Plain | Listening::Strict | Listening::Implicit => "localhost".into(),
        };
        format!("{scheme}://{}{host}:{}/{}", self.user, self.port, self.path(""))
    }

    /// Something there, as a path from where the login leads.
    pub fn path(&self, name: &str) -> String {
        if self.is_ours() { format!("{OWN_FOLDER}/{name}") } else { name.into() }
    }

    /// The same place on disk.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Its certificate, in PEM.
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// Whether it is Packetboat.
    pub fn is_ours(&self) -> bool {
        matches!(self.process, Process::Ours(_))
    }

    /// Waits until it knows that an upload to this path has broken off. The others know nothing of that.
    pub fn has_noticed(&self, path: &str) {
        let Process::Ours(server) = &self.process else { return };
        let mut control = server.speak("ftp");
        control.play("S: 220 ~\nC: USER bob@hamburger.test\nS: 331 ~\nC: PASS hungry\nS: 230 ~\nC: TYPE I\nS: 200 ~");
        until("the upload has broken off", || {
            control.say(&format!("SIZE {path}"));
            control.expect("~").starts_with("213 ")
        });
    }
}

impl Drop for RunningFtpd {
    fn drop(&mut self) {
        if let Process::Foreign { child, .. } = &mut self.process {
            // Whoever is gone already is what we want.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn host(listening: Listening) -> String {
    match listening {
        Listening::Ipv6 => "::1".into(),
        Listening::Apart(last) => format!("127.0.0.{last}"),
        Listening::Plain | Listening::Strict | Listening::Implicit => "127.0.0.1".into(),
    }
}

/// A certificate of its own in `cert.pem`, its key in `key.pem`, and both in `both.pem`.
fn certify(program: &Foreign) -> Option<()> {
    let openssl = foreign("openssl")?;
    let [key, certificate] = ["key.pem", "cert.pem"].map(|name| program.path(name));
    let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
                 -addext subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1 -addext basicConstraints=critical,CA:FALSE";
    let mut words: Vec<&str> = words.split_whitespace().collect();
    words.extend(["-keyout", &key, "-out", &certificate]);
    openssl.run(&words, b"").succeeded();
    let both = program.read("key.pem") + &program.read("cert.pem");
    program.write("both.pem", &both);
    Some(())
}

//! A server process, from its first word to its end.

use crate::speaker::Speaker;
use crate::template;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use tempfile::TempDir;

/// A running `packetboat dev`.
pub struct Server {
    binary: PathBuf,
    child: Child,
    introduction: Value,
    /// Kept for its end, when it is ours.
    _own_data: Option<TempDir>,
}

impl Server {
    /// Starts `dev` on free ports with a data directory of its own, where it has been once and nobody else.
    pub fn dev(binary: &str) -> Server {
        Server::dev_with(binary, &[])
    }

    /// The same with more arguments.
    pub fn dev_with(binary: &str, arguments: &[&str]) -> Server {
        let data = tempfile::tempdir().expect("a temporary directory");
        template::dev(binary).write(data.path());
        let mut server = Server::dev_in(binary, data.path(), arguments);
        server._own_data = Some(data);
        server
    }

    /// Starts `dev` on free ports in a data directory, with more arguments.
    pub fn dev_in(binary: &str, data: &Path, arguments: &[&str]) -> Server {
        Server::dev_by(binary, Command::new(binary), data, arguments)
    }

    /// The same under a umask that takes nothing from anybody.
    pub fn dev_unmasked(binary: &str, data: &Path) -> Server {
        Server::dev_by(binary, unmasked(binary), data, &[])
    }

    fn dev_by(binary: &str, mut command: Command, data: &Path, arguments: &[&str]) -> Server {
        command.args(["dev", "--json", "--port-offset", "any", "--data"]).arg(data).args(arguments);
        command.env("PACKETBOAT_LOG", "warn");
        Server::start(binary, command)
    }

    /// Starts `serve` with this configuration in `folder`, where its data shall be, too.
    pub fn serve_in(binary: &str, folder: &Path, configuration: &str) -> Server {
        let file = folder.join("packetboat.toml");
        std::fs::write(&file, configuration).expect("a configuration file");
        let mut command = Command::new(binary);
        command.args(["serve", "--json", "--config"]).arg(file);
        Server::start(binary, command)
    }

    /// The same under a umask that takes nothing from anybody, and what it logs goes into a file.
    pub fn serve_unmasked(binary: &str, folder: &Path, configuration: &str, log: &Path) -> Server {
        Server::serve_by(binary, unmasked(binary), folder, configuration, log)
    }

    /// Starts `serve` for files, and mailboxes that nobody fills, at this address of loopback, with these lines of configuration, and with an account:
    /// `bob@hamburger.test`, password `very-hungry`.
    pub fn serve_files(binary: &str, address: &str, configuration: &str) -> Server {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let data = folder.path().join("data");
        template::bob_alone(binary).write(&data);
        let configuration = format!(
            "host_name = 'mail.hamburger.test'\ndata_dir = '{}'\n[log]\nlevel = 'warn'\n\
             [listen]\nsmtp = []\nsubmission = []\nsubmissions = []\npop3 = ['{address}:0']\npop3s = []\n\
             imap = ['{address}:0']\nimaps = []\nftp = ['{address}:0']\nftps = ['{address}:0']\n{configuration}",
            data.display(),
        );
        let mut server = Server::serve_in(binary, folder.path(), &configuration);
        server._own_data = Some(folder);
        server
    }

    /// The same, and what it logs goes into a file.
    pub fn serve_logging_in(binary: &str, folder: &Path, configuration: &str, log: &Path) -> Server {
        Server::serve_by(binary, Command::new(binary), folder, configuration, log)
    }

    fn serve_by(binary: &str, mut command: Command, folder: &Path, configuration: &str, log: &Path) -> Server {
        let file = folder.join("packetboat.toml");
        std::fs::write(&file, configuration).expect("a configuration file");
        let log = std::fs::File::create(log).expect("a file for the log");
        command.args(["serve", "--json", "--config"]).arg(file).stderr(log);
        Server::start(binary, command)
    }

    /// Starts a command that prints its introduction as the first line of its output.
    fn start(binary: &str, mut command: Command) -> Server {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the binary starts");
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        let mut line = String::new();
        output.read_line(&mut line).expect("its introduction");
        let introduction = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        // Whatever it prints later must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        Server { binary: binary.into(), child, introduction, _own_data: None }
    }

    /// Where a service listens, by its name: `smtp`, `submission`, `pop3`, …
    pub fn address(&self, service: &str) -> SocketAddr {
        let services = self.introduction["services"].as_array().expect("a list of services");
        let place = services.iter().find(|place| place["service"] == service);
        let place = place.unwrap_or_else(|| panic!("there is no service {service}"));
        let ip = place["address"].as_str().expect("an address");
        let port = place["port"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port");
        SocketAddr::new(ip.parse().expect("an address"), port)
    }

    /// Connects to a service.
    pub fn speak(&self, service: &str) -> Speaker {
        Speaker::connect(self.address(service))
    }

    /// The certificate's file.
    pub fn certificate(&self) -> PathBuf {
        PathBuf::from(self.introduction["certificate"].as_str().expect("a certificate"))
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        PathBuf::from(self.introduction["data_dir"].as_str().expect("a data directory"))
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Runs another command of the binary on the same data directory.
    pub fn command(&self, arguments: &[&str]) -> Output {
        command_on(&self.binary, &self.data_dir(), arguments, "")
    }

    /// `kill -9`: nothing is flushed, nothing is said.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// SIGHUP: read the configuration again, open logs anew.
    pub fn reload(&self) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a process id");
        kill_process(pid, Signal::HUP).expect("it can be told");
    }

    /// SIGTERM, and how it ended. Stopping what has stopped already does nothing.
    pub fn stop(&mut self) -> ExitStatus {
        if let Ok(Some(ended)) = self.child.try_wait() {
            return ended;
        }
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a process id");
        kill_process(pid, Signal::TERM).expect("it can be told to stop");
        self.child.wait().expect("it ends")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary by way of a shell, under the widest umask there is.
pub fn unmasked(binary: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 000; exec \"$0\" \"$@\"", binary]);
    shell
}

/// Runs a command of the binary on a data directory, with so much on its standard input.
pub fn command_on(binary: impl AsRef<Path>, data: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(binary.as_ref())
        .args(arguments)
        .arg("--data")
        .arg(data)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("it reads its input");
    child.wait_with_output().expect("the command ends")
}

/// The ports that are given out by name: none that a system gives to whoever asks for any port.
const NAMED_PORTS: std::ops::Range<u16> = 20_000..30_000;

/// A port of this loopback address that nobody listens on now, nor will by chance: each is given out once, and a system gives
/// none of these to a test that asks for any.
pub fn unused_port(address: &str) -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let (range, process) = (NAMED_PORTS.len() as u32, std::process::id());
    let next = || GIVEN.fetch_add(1, Ordering::Relaxed);
    let ports = std::iter::repeat_with(|| (process.wrapping_mul(97).wrapping_add(u32::from(next()))) % range);
    let ports = ports.take(NAMED_PORTS.len()).filter_map(|at| u16::try_from(at).ok()).map(|at| NAMED_PORTS.start + at);
    let is_free = |port: &u16| std::net::TcpListener::bind((address, *port)).is_ok();
    ports.into_iter().find(is_free).expect("a free port")
}

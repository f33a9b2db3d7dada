//! A program that others wrote, in a home directory of its own.

use harness::PATIENCE;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use tempfile::TempDir;

/// Where programs are looked for: first those of the system, whatever else the environment offers.
const PATH: &str = "/usr/bin:/bin:/usr/local/bin:/usr/sbin:/sbin";

/// An installed program.
pub struct Foreign {
    program: PathBuf,
    home: TempDir,
}

/// The program, or a loud word and `None` where it is not installed.
pub fn foreign(program: &str) -> Option<Foreign> {
    let installed = PATH.split(':').map(|folder| Path::new(folder).join(program)).find(|path| path.exists());
    let found = installed
        .or_else(|| ["usr/sbin", "usr/bin"].iter().find_map(|folder| unpacked(&format!("{folder}/{program}")).pop()));
    let Some(program) = found else {
        skipped(&format!("{program} is not installed"));
        return None;
    };
    Some(Foreign { program, home: Foreign::temporary() })
}

/// This path in each package that is unpacked below `PACKETBOAT_UNPACKED`, for packages that cannot be installed together.
pub fn unpacked(path: &str) -> Vec<PathBuf> {
    let packages = std::env::var_os("PACKETBOAT_UNPACKED").and_then(|folder| fs::read_dir(folder).ok());
    let packages = packages.into_iter().flatten().flatten().map(|package| package.path());
    packages.map(|package| package.join(path)).filter(|path| path.exists()).collect()
}

/// Says why a test does nothing here, past the test runner's capture, so that a green run shows it.
pub fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

impl Foreign {
    /// A directory that goes away with its owner.
    pub fn temporary() -> TempDir {
        tempfile::tempdir().expect("a temporary directory")
    }

    /// Its home directory.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// A path in its home, as text for a command line.
    pub fn path(&self, name: &str) -> String {
        self.home().join(name).to_str().expect("a path in UTF-8").to_owned()
    }

    /// Writes a file that only its owner may read, as clients demand of files with passwords.
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).expect("a file");
        file.write_all(text.as_bytes()).expect("room for a file");
        path
    }

    /// Writes a shell script and gives its path.
    pub fn script(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        harness::write_script(Path::new(&path), text);
        path
    }

    /// What it wrote into a file of its home; nothing if there is none.
    pub fn read(&self, name: &str) -> String {
        fs::read(self.home().join(name)).map(|octets| String::from_utf8_lossy(&octets).into_owned()).unwrap_or_default()
    }

    /// Starts it, with pipes for its input and both of its outputs.
    pub fn start(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Child {
        Command::new(&self.program)
            .args(arguments)
            .env_clear()
            .envs([("PATH", PATH), ("LANG", "C.UTF-8"), ("TERM", "xterm"), ("PYTHONIOENCODING", "utf-8")])
            .env("HOME", self.home())
            .envs(environment.iter().copied())
            .current_dir(self.home())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} {}: {error}", self.program.display(), arguments.join(" ")))
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str], input: &[u8]) -> Outcome {
        self.run_with(&[], arguments, input)
    }

    /// The same with more in its environment.
    pub fn run_with(&self, environment: &[(&str, &str)], arguments: &[&str], input: &[u8]) -> Outcome {
        let words = format!("{} {}", self.program.display(), arguments.join(" "));
        let mut child = self.start(environment, arguments);
        let pid = Pid::from_raw(child.id().cast_signed()).expect("a process id");
        let (mut stdin, input) = (child.stdin.take().expect("its input"), input.to_vec());
        // A program that ends early does not read all of its input, and need not.
        std::thread::spawn(move || stdin.write_all(&input));
        let (ended, wait) = mpsc::channel();
        std::thread::spawn(move || ended.send(child.wait_with_output()));
        match wait.recv_timeout(PATIENCE) {
            Ok(output) => Outcome::new(words, output.expect("its output")),
            Err(_) => {
                let _ = kill_process(pid, Signal::KILL);
                panic!("{words}: still runs after {PATIENCE:?}");
            }
        }
    }
}

/// How a program ended, and what it said.
pub struct Outcome {
    words: String,
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Outcome {
    fn new(words: String, output: Output) -> Outcome {
        let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
        Outcome { words, code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// It must have ended with this exit code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Outcome {
        let Outcome { words, stdout, stderr, .. } = &self;
        assert_eq!(self.code, Some(code), "{words}\nstdout:\n{stdout}\nstderr:\n{stderr}");
        self
    }

    /// It must have ended well.
    #[track_caller]
    pub fn succeeded(self) -> Outcome {
        self.expect(0)
    }

    /// It must have ended otherwise.
    #[track_caller]
    pub fn failed(self) -> Outcome {
        let Outcome { words, stdout, stderr, .. } = &self;
        assert_ne!(self.code, Some(0), "{words}\nstdout:\n{stdout}\nstderr:\n{stderr}");
        self
    }
}

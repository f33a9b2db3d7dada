//! Dovecot, without its daemon: its `imap` speaks over pipes, and keeps a Maildir in a folder of the test's own.
//!
//! Not here: what is compared with it (interimap).

use interop::{Foreign, foreign};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{Child, ChildStdout};
use std::{fs, path::Path};

/// Whom Dovecot works as where the test is root, which it refuses to be.
const NOBODY: u32 = 65_534;

/// A user's mail.
pub struct Dovecot {
    doveadm: Foreign,
}

impl Dovecot {
    /// An empty one; a loud word and `None` where Dovecot is not installed.
    pub fn new() -> Option<Dovecot> {
        let doveadm = foreign("doveadm")?;
        foreign("dovecot")?;
        if !Path::new("/usr/lib/dovecot/imap").exists() {
            interop::skipped("Dovecot's imap is not installed");
            return None;
        }
        let home = doveadm.path("dovecot");
        fs::create_dir_all(format!("{home}/run")).expect("a folder");
        let mut owner = String::new();
        if rustix::process::geteuid().is_root() {
            for folder in [home.clone(), format!("{home}/run")] {
                chown(folder, Some(NOBODY), Some(NOBODY)).expect("root may");
            }
            fs::set_permissions(doveadm.home(), fs::Permissions::from_mode(0o755)).expect("it is ours");
            owner = format!("mail_uid = {NOBODY}\nmail_gid = {NOBODY}\n");
        }
        let settings = format!(
            "base_dir = {home}/run\nstate_dir = {home}/run\nlog_path = {home}/log\nmail_location = maildir:{home}/mail\n{owner}\
             first_valid_uid = 1\nfirst_valid_gid = 1\nnamespace inbox {{\n  inbox = yes\n  separator = /\n}}\n"
        );
        doveadm.write("dovecot.conf", &settings);
        let conf = doveadm.path("dovecot.conf");
        fs::set_permissions(&conf, fs::Permissions::from_mode(0o644)).expect("it is ours");
        // It takes a socket for that of a super-server, and refuses it; so there are pipes.
        let command = format!("#!/bin/sh\nexport USER=bob HOME='{home}'\ncat | doveadm -c '{conf}' exec imap | cat\n");
        doveadm.script("imap", &command);
        Some(Dovecot { doveadm })
    }

    /// The command that speaks IMAP, logged in, on its input and output.
    pub fn command(&self) -> String {
        self.doveadm.path("imap")
    }

    /// A session.
    pub fn session(&self) -> Session {
        let shell = foreign("sh").expect("there is a shell");
        let mut child = shell.start(&[], &["-c", &format!("exec '{}' 2>/dev/null", self.command())]);
        let output = child.stdout.take().expect("its output");
        let mut session = Session { child, output: BufReader::new(output), _shell: shell };
        let greeting = session.hear();
        assert!(greeting.starts_with("* PREAUTH "), "{greeting}");
        session
    }
}

/// One session.
pub struct Session {
    child: Child,
    output: BufReader<ChildStdout>,
    _shell: Foreign,
}

impl Session {
    fn hear(&mut self) -> String {
        let mut line = Vec::new();
        self.output.read_until(b'\n', &mut line).expect("Dovecot speaks");
        assert!(!line.is_empty(), "Dovecot has gone");
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }

    /// Says a command, which must go well, and gives what was said without a tag.
    pub fn say(&mut self, command: &str) -> Vec<String> {
        let input = self.child.stdin.as_mut().expect("its input");
        input.write_all(format!("w {command}\r\n").as_bytes()).expect("Dovecot listens");
        let mut lines = Vec::new();
        loop {
            let line = self.hear();
            if let Some(end) = line.strip_prefix("w ") {
                assert!(end.starts_with("OK "), "{command}: {end}");
                return lines;
            }
            lines.push(line);
        }
    }

    /// Puts a message into a mailbox.
    pub fn append(&mut self, mailbox: &str, text: &str) {
        self.say(&format!("APPEND \"{mailbox}\" {{{}+}}\r\n{text}", text.len()));
    }

    /// A number of a mailbox's status.
    pub fn number(&mut self, mailbox: &str, item: &str) -> usize {
        let status = self.say(&format!("STATUS {mailbox} ({item})")).concat();
        let number = status.rsplit(' ').next().and_then(|number| number.trim_end_matches(')').parse().ok());
        number.unwrap_or_else(|| panic!("no number: {status}"))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Which closes its input.
        let _ = self.child.wait();
    }
}

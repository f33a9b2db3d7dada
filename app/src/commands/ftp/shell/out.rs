//! Where the output of a command goes: the screen, a file, a local command, or, for a job, aside until it is done.
//!
//! Invariants: whoever has gone away and reads no more is no failure; what is put aside is bounded.

use super::language::{To, plain, with_home};
use crate::failure::Failure;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

/// More than this does not stay aside: a job's output is for a file then.
const ASIDE_MAX_OCTETS: usize = 1 << 20;

/// Somewhere to write to. Its copies lead to the same place.
#[derive(Clone)]
pub struct Out(Arc<Mutex<Sink>>);

enum Sink {
    Screen,
    File(File),
    Command(Child),
    Aside(Vec<u8>),
    /// Nobody reads any more.
    Gone,
}

impl Out {
    /// Opens what an order says.
    pub fn open(to: &To, job: bool) -> Result<Self, Failure> {
        let sink = match to {
            To::Screen if job => Sink::Aside(Vec::new()),
            To::Screen => Sink::Screen,
            To::File(name) => Sink::File(file(name, File::options().write(true).create(true).truncate(true))?),
            To::End(name) => Sink::File(file(name, File::options().append(true).create(true))?),
            To::Command(command) => Sink::Command(begin(command, job)?),
        };
        Ok(Out(Arc::new(Mutex::new(sink))))
    }

    /// Writes a line.
    pub fn line(&self, text: &str) -> io::Result<()> {
        self.octets(format!("{text}\n").as_bytes())
    }

    /// Writes octets. Whoever reads may be slow: this blocks.
    pub fn octets(&self, octets: &[u8]) -> io::Result<()> {
        let written = tokio::task::block_in_place(|| self.lock().write(octets));
        if written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            match &mut *self.lock() {
                // It reads no more, but is still to be waited for.
                Sink::Command(child) => drop(child.stdin.take()),
                sink => *sink = Sink::Gone,
            }
        }
        written
    }

    /// Whether somebody looks at it in columns and colours.
    pub fn is_screen(&self) -> bool {
        matches!(*self.lock(), Sink::Screen) && io::stdout().is_terminal()
    }

    /// Whether whoever read has gone away: then what fails for that is no failure.
    pub fn is_gone(&self) -> bool {
        match self.0.try_lock().as_deref() {
            Ok(Sink::Gone) => true,
            Ok(Sink::Command(child)) => child.stdin.is_none(),
            _ => false,
        }
    }

    /// Ends it, and waits for the local command. What was put aside.
    pub fn close(self) -> Result<Vec<u8>, Failure> {
        let sink = match self.0.try_lock() {
            Ok(mut sink) => std::mem::replace(&mut *sink, Sink::Gone),
            Err(TryLockError::Poisoned(poisoned)) => std::mem::replace(&mut *poisoned.into_inner(), Sink::Gone),
            // A transfer that was stopped still writes to a command that does not read: it ends with the command.
            Err(TryLockError::WouldBlock) => return Ok(Vec::new()),
        };
        match sink {
            Sink::Aside(octets) => Ok(octets),
            Sink::Command(mut child) => {
                drop(child.stdin.take());
                let status = tokio::task::block_in_place(|| child.wait())?;
                if status.success() { Ok(Vec::new()) } else { Err(Failure::Told(1)) }
            }
            Sink::Screen => Ok(io::stdout().flush().map(|()| Vec::new())?),
            Sink::File(_) | Sink::Gone => Ok(Vec::new()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sink> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink {
    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Sink::Screen => io::stdout().write_all(octets),
            Sink::File(file) => file.write_all(octets),
            Sink::Command(child) => match &mut child.stdin {
                Some(stdin) => stdin.write_all(octets),
                None => Err(io::ErrorKind::BrokenPipe.into()),
            },
            Sink::Aside(aside) if aside.len() + octets.len() > ASIDE_MAX_OCTETS => {
                Err(io::Error::other("too much for a job to show; send it to a file with >"))
            }
            Sink::Aside(aside) => {
                aside.extend_from_slice(octets);
                Ok(())
            }
            Sink::Gone => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

/// A path on this machine, as somebody has typed it.
pub fn local(marked: &str) -> String {
    plain(&with_home(marked, std::env::var("HOME").ok().as_deref()))
}

fn file(name: &str, options: &mut OpenOptions) -> Result<File, Failure> {
    let name = local(name);
    options.open(&name).map_err(|error| Failure::Failed(format!("{name}: {error}")))
}

fn begin(command: &str, job: bool) -> Result<Child, Failure> {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).stdin(Stdio::piped());
    if job {
        // Ctrl-C at the prompt is not meant for it.
        shell.process_group(0);
    }
    shell.spawn().map_err(|error| Failure::Failed(format!("sh: {error}")))
}

/// Runs a command in the local shell, and waits for it.
pub fn run_locally(command: &str) -> Result<(), Failure> {
    let command = if command.is_empty() { "exec \"${SHELL:-sh}\"" } else { command };
    let status = tokio::task::block_in_place(|| Command::new("sh").args(["-c", command]).status())?;
    if status.success() { Ok(()) } else { Err(Failure::Told(1)) }
}

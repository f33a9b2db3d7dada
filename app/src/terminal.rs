//! The terminal: asking somebody, and reading what must not be seen.
//!
//! Invariants: Ctrl-C ends the question, and leaves the terminal as it was.

use crate::failure::Failure;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use std::io::{IsTerminal, Write};

/// Ctrl-C.
const INTERRUPT: u8 = 3;

/// Reads a line from the terminal without showing it.
pub fn hidden(prompt: &str) -> Result<String, Failure> {
    let line = read(prompt, LocalModes::ECHO | LocalModes::ISIG)?;
    eprintln!();
    Ok(line)
}

/// Reads a line from the terminal.
pub fn ask(prompt: &str) -> Result<String, Failure> {
    read(prompt, LocalModes::ISIG)
}

fn read(prompt: &str, without: LocalModes) -> Result<String, Failure> {
    let stdin = std::io::stdin();
    eprint!("{prompt}");
    std::io::stderr().flush()?;
    let before = tcgetattr(&stdin).map_err(std::io::Error::from)?;
    let mut modes = before.clone();
    modes.local_modes.remove(without);
    // A signal would leave the terminal as it is now; so Ctrl-C ends the line instead.
    modes.special_codes[SpecialCodeIndex::VEOL] = INTERRUPT;
    tcsetattr(&stdin, OptionalActions::Flush, &modes).map_err(std::io::Error::from)?;
    let mut line = Vec::new();
    let read = read_octets(&mut line);
    tcsetattr(&stdin, OptionalActions::Flush, &before).map_err(std::io::Error::from)?;
    read?;
    if line.last() == Some(&INTERRUPT) {
        eprintln!();
        return Err(Failure::Failed("interrupted".into()));
    }
    let line = String::from_utf8(line).map_err(|_| Failure::Failed("that is not UTF-8".into()))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_string())
}

/// While it lives, what is typed is not shown: it would stand in the middle of bars, and move the cursor away from them.
pub struct Unechoed(Option<Termios>);

impl Unechoed {
    /// Does nothing where nobody types.
    pub fn begin() -> Self {
        let stdin = std::io::stdin();
        let before = stdin.is_terminal().then(|| tcgetattr(&stdin).ok()).flatten();
        if let Some(before) = &before {
            let mut modes = before.clone();
            modes.local_modes.remove(LocalModes::ECHO);
            // A terminal that does not let us only looks worse.
            let _ = tcsetattr(&stdin, OptionalActions::Now, &modes);
        }
        Unechoed(before)
    }
}

impl Drop for Unechoed {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// Octet by octet to the end of the line: what is behind it is somebody else's.
fn read_octets(line: &mut Vec<u8>) -> Result<(), Failure> {
    let mut octet = [0];
    while !matches!(line.last(), Some(b'\n' | &INTERRUPT)) {
        match rustix::io::read(std::io::stdin(), &mut octet) {
            Ok(0) => break,
            Ok(_) => line.push(octet[0]),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(std::io::Error::from(error).into()),
        }
    }
    Ok(())
}

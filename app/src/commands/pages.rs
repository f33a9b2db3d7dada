//! Completion scripts and man pages, made from the command line itself.

use crate::cli::Cli;
use crate::failure::Failure;
use crate::output;
use clap::CommandFactory;
use std::path::Path;

/// Prints the completion script of a shell.
pub fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "packetboat", &mut script);
    output::say(String::from_utf8_lossy(&script).trim_end())
}

/// Writes a man page for each command into a folder.
pub fn man(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Cli::command(), folder)?;
    Ok(())
}

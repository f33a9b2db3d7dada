//! The `packetboat` binary: command line, configuration, logging and wiring; no logic.
//!
//! Read in this order: [`cli`] is what can be said, [`commands`] what is done, [`config`] what can be configured.

mod cli;
mod commands;
mod config;
mod failure;
mod output;
mod privileges;
mod terminal;

use clap::Parser;
use cli::{Cli, Command};
use failure::Failure;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    keep_to_small_pages();
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.tell();
            ExitCode::from(failure.code())
        }
    }
}

/// From now on no memory comes in pages of two megabytes, of which a few octets would keep the whole
/// (`docs/decisions/0019-no-huge-pages.md`).
fn keep_to_small_pages() {
    // Where that cannot be said the program only takes more.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Dev(dev) => commands::dev::run(dev),
        Command::Serve(serve) => commands::serve::run(serve),
        Command::Init(init) => commands::init::run(init),
        Command::Config(command) => commands::config::run(command),
        Command::Account(command) => commands::directory::account(command),
        Command::AppPassword(command) => commands::app_password::run(command),
        Command::Files(command) => commands::files::run(command),
        Command::Domain(command) => commands::directory::domain(command),
        Command::Alias(command) => commands::directory::alias(command),
        Command::Queue(command) => commands::queue::run(command),
        Command::Hook(command) => commands::hook::run(command),
        Command::Sessions(sessions) => commands::sessions::run(sessions),
        Command::Ban(command) => commands::ban::run(command),
        Command::Store(command) => commands::store::run(command),
        Command::Ftp(command) => commands::ftp::run(*command),
        Command::Import(import) => commands::archive::import(import),
        Command::Export(export) => commands::archive::export(export),
        Command::Completions { shell } => commands::pages::completions(shell),
        Command::Man { folder } => commands::pages::man(&folder),
    }
}

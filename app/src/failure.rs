//! How a command fails: a sentence for the person and an exit code for the script.

use crate::config::read::Complaint;
use std::path::PathBuf;
use std::process::ExitCode;

/// Why a command did not do what it should.
#[derive(Debug)]
pub enum Failure {
    /// The configuration is wrong.
    Config { file: PathBuf, complaints: Vec<Complaint> },
    /// What was named does not exist.
    Missing(String),
    /// Anything else, said in a sentence.
    Failed(String),
    /// All has been said already; only the exit code is left to give.
    Silent,
}

impl Failure {
    /// Tells the person, on standard error.
    pub fn tell(&self) {
        match self {
            Failure::Config { file, complaints } => {
                for complaint in complaints {
                    eprintln!("{}: {complaint}", file.display());
                }
            }
            Failure::Missing(why) | Failure::Failed(why) => eprintln!("packetboat: {why}"),
            Failure::Silent => {}
        }
    }

    /// The exit codes of the help text; clap gives 2 by itself.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Failure::Failed(_) | Failure::Silent => 1,
            Failure::Config { .. } => 3,
            Failure::Missing(_) => 4,
        })
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure::Failed(format!("{error:#}"))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Failed(error.to_string())
    }
}

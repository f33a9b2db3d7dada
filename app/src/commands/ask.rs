//! Putting a request where it can be answered: to the running server, or to the store itself when none runs.

use crate::cli::{ConfigFile, Where};
use crate::config::read::Config;
use crate::config::settings;
use crate::failure::Failure;
use server::Settings;
use server::archives::Progress;
use server::control::{self, Answer, Request};
use server::settings::{DirectorySettings, FileSettings};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A check of a large store takes its time; anything else answers at once.
const ANSWER_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// Asks, and turns a refusal into a failure.
pub fn ask(at: &Where, request: &Request) -> Result<Answer, Failure> {
    ask_watching(at, request, |_| ())
}

/// The same, and is told on the way how far it has come.
pub fn ask_watching(at: &Where, request: &Request, mut watch: impl FnMut(Progress)) -> Result<Answer, Failure> {
    let (data_dir, directory, files) = place(at)?;
    let answer = match running_watching(&data_dir, request, &mut watch)? {
        Some(answer) => answer,
        None => offline(&data_dir, directory, files, request, &mut watch)?,
    };
    match answer {
        Answer::Refused { why, missing: true } => Err(Failure::Missing(why)),
        Answer::Refused { why, missing: false } => Err(Failure::Failed(why)),
        answer => Ok(answer),
    }
}

/// Asks a running server, or the store itself, whatever the answer is.
pub fn answered(settings: &Settings, request: &Request) -> Result<Answer, Failure> {
    match running(&settings.data_dir, request)? {
        Some(answer) => Ok(answer),
        None => offline(&settings.data_dir, settings.directory.clone(), settings.files.clone(), request, &mut |_| ()),
    }
}

/// The data directory, and what the configuration says of the directory and of files.
pub fn place(at: &Where) -> Result<(PathBuf, DirectorySettings, FileSettings), Failure> {
    match &at.data {
        Some(data) => Ok((data.clone(), DirectorySettings::default(), FileSettings::default())),
        None => {
            let settings = settings::build(&load(&at.config)?, &at.config.config)?;
            Ok((settings.data_dir, settings.directory, settings.files))
        }
    }
}

/// Reads the configuration file.
pub fn load(config: &ConfigFile) -> Result<Config, Failure> {
    let file = &config.config;
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::Failed(format!(
            "{}: {error}; write one with `packetboat init`, name another with --config, or a data directory with --data",
            file.display()
        ))
    })?;
    let base = std::path::absolute(file)?.parent().map(Path::to_path_buf).unwrap_or_default();
    Config::read(&text, &base).map_err(|complaints| Failure::Config { file: file.clone(), complaints })
}

/// Asks the running server; `None` if there is none.
pub fn running(data_dir: &Path, request: &Request) -> Result<Option<Answer>, Failure> {
    running_watching(data_dir, request, &mut |_| ())
}

fn running_watching(
    data_dir: &Path,
    request: &Request,
    watch: &mut impl FnMut(Progress),
) -> Result<Option<Answer>, Failure> {
    let Ok(mut stream) = UnixStream::connect(control::path(data_dir)) else {
        return Ok(None);
    };
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    let mut line = serde_json::to_vec(request).map_err(|error| Failure::Failed(error.to_string()))?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut answer = String::new();
        reader.read_line(&mut answer)?;
        match serde_json::from_str(&answer) {
            Ok(Answer::Progress(progress)) => watch(progress),
            Ok(answer) => return Ok(Some(answer)),
            Err(error) => {
                let why = format!("the running server gave an answer that cannot be read: {error}");
                return Err(Failure::Failed(why));
            }
        }
    }
}

fn offline(
    data_dir: &Path,
    directory: DirectorySettings,
    files: FileSettings,
    request: &Request,
    watch: &mut impl FnMut(Progress),
) -> Result<Answer, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answering = async {
        let (teller, mut told) = tokio::sync::mpsc::channel(1);
        let mut answering =
            std::pin::pin!(server::admin::answer_offline_telling(data_dir, directory, files, request, teller));
        loop {
            tokio::select! {
                biased;
                Some(progress) = told.recv() => watch(progress),
                answered = &mut answering => return answered,
            }
        }
    };
    let answered = runtime.block_on(answering).map_err(|error| Failure::Failed(error.to_string()))?;
    for damaged in &answered.damaged {
        eprintln!("packetboat: {damaged}; the server does not start with it: remove it, or restore it from a backup");
    }
    Ok(answered.answer)
}

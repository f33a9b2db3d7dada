//! `packetboat serve`: the real thing, until SIGTERM.

use super::ask::load;
use crate::cli::Serve;
use crate::config::keys::AT_START;
use crate::config::read::Config;
use crate::config::settings;
use crate::failure::Failure;
use crate::output;
use crate::privileges;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use server::{Listening, Running, StartError};
use std::path::Path;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;

/// Runs the command until it is told to stop.
pub fn run(serve: Serve) -> Result<(), Failure> {
    let config = load(&serve.config)?;
    let mut settings = settings::build(&config, &serve.config.config)?;
    settings.show_dialogue = serve.show_dialogue;
    log(&config.values.text_of("log.level"), &config.values.text_of("log.format"));
    let user = config.values.text("user");
    runtime()?.block_on(async {
        let mut waiting = Waiting::new()?;
        let ports = server::open_ports(&settings).map_err(anyhow::Error::from)?;
        privileges::drop_to(user.as_deref(), &settings.data_dir)?;
        let data_dir = settings.data_dir.clone();
        let running = ports.serve(settings).await.map_err(|error| explained(error, &data_dir))?;
        for at in running.listening() {
            info!(service = at.purpose.name(), address = %at.address, "listening");
        }
        if serve.json {
            output::json(&introduction(&running))?;
        }
        let failed = loop {
            let told = tokio::select! {
                told = waiting.reload_or_stop() => told,
                why = running.failed() => break Some(why),
            };
            match told {
                Told::Stop => break None,
                Told::Reload => reload(&serve, &config, &running).await,
            }
        };
        info!("stopping");
        running.stop().await;
        info!("stopped");
        failed.map_or(Ok(()), |why| Err(Failure::Failed(why)))
    })
}

/// Why it cannot start, and whose files may be in the way.
fn explained(error: StartError, data_dir: &Path) -> Failure {
    let failure = Failure::from(anyhow::Error::from(error));
    match privileges::kept_from_us(data_dir) {
        Some(path) => failure.with_hint(&format!(
            "{} belongs to another user than the one that the server runs as: chown -R that one {}",
            path.display(),
            data_dir.display()
        )),
        None => failure,
    }
}

/// Takes what can be taken while we run, and says what cannot.
async fn reload(serve: &Serve, started: &Config, running: &Running) {
    let read = load(&serve.config).and_then(|config| Ok((settings::build(&config, &serve.config.config)?, config)));
    match read {
        Ok((settings, config)) => {
            for key in config.values.differing(&started.values, AT_START) {
                warn!(key, "this takes a restart; the old value holds");
            }
            running.reload(settings).await;
        }
        Err(failure) => {
            for why in failure.reasons() {
                error!(why, "the configuration is wrong and was not read again; the old one holds");
            }
        }
    }
}

/// What listens where, for programs.
pub fn introduction(running: &Running) -> serde_json::Value {
    let service = |at: &Listening| {
        json!({
            "service": at.purpose.name(),
            "address": at.address.ip(),
            "port": at.address.port(),
            "tls": at.purpose.is_tls_implicit(),
        })
    };
    json!({
        "services": running.listening().iter().map(service).collect::<Vec<_>>(),
        "certificate": running.certificate(),
        "data_dir": running.data_dir(),
        "pid": std::process::id(),
    })
}

/// How long a thread that may block is kept without work. Each holds on to the memory of what it did last, which for a
/// password is 19 MiB; making a new one costs some 20 µs.
const IDLE_THREAD_KEPT: Duration = Duration::from_secs(2);

/// So many threads may wait for the disk at once, as many as a fast one has requests under way. Without a limit of ours, clients that
/// ask and never read made hundreds, and each costs a megabyte. None waits for what another one must do: the store writes on threads
/// of its own.
const BLOCKING_THREADS_MAX: usize = 128;

/// The runtime of a server: a thread for each processor, and as many open files as the system lets us have, for each
/// connection is one.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    if let Err(error) = raised {
        warn!(%error, "the limit of open files stays low, and with it the number of connections");
    }
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().thread_keep_alive(IDLE_THREAD_KEPT).max_blocking_threads(BLOCKING_THREADS_MAX);
    let runtime = builder.build()?;
    runtime.spawn(give_memory_back());
    Ok(runtime)
}

/// How often free memory is given back to the system.
const MEMORY_GIVEN_BACK_EVERY: Duration = Duration::from_secs(2);

/// mimalloc gives free pages back a second after they became free, but looks for them only when somebody frees one more: a server with
/// nothing to do would keep what its last busy minute took. So now and then something large is freed; nobody writes to it, so it costs no memory.
async fn give_memory_back() {
    loop {
        tokio::time::sleep(MEMORY_GIVEN_BACK_EVERY).await;
        drop(std::hint::black_box(Vec::<u8>::with_capacity(1 << 20)));
    }
}

/// Logs to standard error. `PACKETBOAT_LOG` overrides the level, for one part of the program if need be.
pub fn log(level: &str, format: &str) {
    let filter = EnvFilter::try_from_env("PACKETBOAT_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(output::colours(&std::io::stderr()))
        .with_writer(std::io::stderr);
    match format {
        "json" => builder.json().flatten_event(true).init(),
        _ => builder.compact().init(),
    }
}

/// What a signal told us.
#[derive(Debug, PartialEq, Eq)]
pub enum Told {
    /// SIGHUP.
    Reload,
    /// SIGTERM or SIGINT.
    Stop,
}

/// Waits for signals.
pub struct Waiting {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Waiting {
    /// From now on, signals are ours. Needs a runtime.
    pub fn new() -> Result<Self, Failure> {
        Ok(Waiting {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal.
    pub async fn reload_or_stop(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.hang_up.recv() => Told::Reload,
        }
    }

    /// Waits until we are told to stop.
    pub async fn stop(&mut self) {
        while self.reload_or_stop().await == Told::Reload {
            warn!("there is no configuration to read again here");
        }
    }
}

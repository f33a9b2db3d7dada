//! The control socket: requests from the owner of the data directory, answered by the running server.
//!
//! Invariants: the socket is in the data directory with mode 0600, so that only its owner opens it; one request and one
//! answer a connection, and how far it has come before the answer; what tells that stops when nobody listens; a request is at most [`REQUEST_MAX_BYTES`] long.
//! Not here: what is answered ([`crate::admin`]).

use crate::admin::Admin;
use crate::control::{self, Answer};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tracing::{debug, warn};

/// The longest request: an alias with a thousand targets fits.
const REQUEST_MAX_BYTES: u64 = 1 << 20;
/// How long a client may take to say what it wants.
const REQUEST_WAIT: Duration = Duration::from_secs(10);
/// How many lines of progress wait for a slow reader before the work does.
const PROGRESS_WAITING: usize = 16;

/// Opens the socket. One that a killed server left behind is taken away: the store's lock says that it is nobody's.
///
/// # Errors
/// When the socket cannot be made, for example because the path is longer than 100 octets or so.
pub fn open(data_dir: &Path) -> std::io::Result<UnixListener> {
    let path = control::path(data_dir);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers until it is dropped.
pub async fn answer(listener: UnixListener, admin: Arc<Admin>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let admin = Arc::clone(&admin);
                tokio::spawn(async move {
                    if let Err(error) = converse(stream, &admin).await {
                        debug!(%error, "a control connection broke");
                    }
                });
            }
            Err(error) => {
                warn!(%error, "the control socket");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn converse(stream: UnixStream, admin: &Admin) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    let mut reader = BufReader::new(reader.take(REQUEST_MAX_BYTES));
    tokio::time::timeout(REQUEST_WAIT, reader.read_line(&mut line)).await??;
    let request = match serde_json::from_str(&line) {
        Ok(request) => request,
        Err(error) => {
            let why = format!("the request cannot be read: {error}");
            return say(&mut writer, &Answer::Refused { why, missing: false }).await;
        }
    };
    let (teller, mut told) = mpsc::channel(PROGRESS_WAITING);
    let mut answering = std::pin::pin!(admin.answer(&request, teller));
    loop {
        tokio::select! {
            biased;
            Some(progress) = told.recv() => say(&mut writer, &Answer::Progress(progress)).await?,
            answer = &mut answering => return say(&mut writer, &answer).await,
        }
    }
}

async fn say(writer: &mut OwnedWriteHalf, answer: &Answer) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(answer)?;
    text.push(b'\n');
    writer.write_all(&text).await
}

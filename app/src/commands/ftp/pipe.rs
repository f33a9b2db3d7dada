//! `put -`: standard input becomes a file on the server.
//!
//! Not here: how what comes through a pipe is sent (`stream`, in the client library); `cat`, the other way round.

use super::access::place;
use super::rehearsal::Rehearsal;
use super::show::Show;
use super::{make_above, open};
use crate::cli::ftp::Put;
use crate::failure::{Failure, INTERRUPTED};
use crate::output;
use ftp_client::directory::above;
use ftp_client::{Connection, Error, Event, Report, Send, Sent};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// What stands for standard input.
pub const STANDARD_INPUT: &str = "-";

/// Whether it is among what is to be sent.
pub fn is_meant(put: &Put) -> bool {
    put.files.iter().any(|file| file == Path::new(STANDARD_INPUT))
}

/// Sends it.
pub async fn send(put: Put) -> Result<(), Failure> {
    refuse_what_cannot_be(&put)?;
    let place = place(&put.url, &put.access)?;
    let path = &place.url.path;
    if path.is_empty() || path.ends_with(b"/") {
        return Err(Failure::Misused(format!("{}: standard input has no name; the URL has to end in one", place.url)));
    }
    let show = Show::new(&put.access);
    let mut connection = open(&place).await?;
    if put.dry_run {
        let (files, above) = ([(PathBuf::from(STANDARD_INPUT), path.clone())], above(path));
        let rehearsal = Rehearsal::new(&show, &output::say);
        rehearsal.would_send(&mut connection, &files, above, put.make_dirs).await?;
        connection.quit().await;
        return show.end();
    }
    if put.make_dirs {
        make_above(&mut connection, path, &show).await?;
    }
    show.expect(1, 0);
    let sent = pour(&mut connection, path, &put, &show).await;
    connection.quit().await;
    show.add(&match &sent {
        Ok(sent) => Report { moved: 1, octets: sent.octets, ..Report::default() },
        Err(_) => Report { failed: 1, ..Report::default() },
    });
    match (sent, show.end()) {
        (Err(Error::Stopped), Err(_)) => Err(Failure::Told(INTERRUPTED)),
        (_, ended) => ended,
    }
}

/// Somebody does not want it any more, by Ctrl-C or in the way of programs.
async fn stopped() {
    // Who cannot hear of it is ended as ever.
    let signals = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
    let [Ok(mut interrupt), Ok(mut terminate)] = signals else { return std::future::pending().await };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// There is one standard input; it has no beginning to go on behind, and no pieces.
fn refuse_what_cannot_be(put: &Put) -> Result<(), Failure> {
    let no = |why: &str| Err(Failure::Misused(format!("- is standard input, which {why}; ./- is a file of that name")));
    match put {
        Put { files, .. } if files.len() > 1 => no("is sent alone"),
        Put { moving, .. } if moving.resume => no("cannot be gone on with (--continue)"),
        Put { in_pieces: true, .. } => no("does not go in pieces (--in-pieces)"),
        _ => Ok(()),
    }
}

/// Tells how it goes, and how it ended.
async fn pour(connection: &mut Connection, path: &[u8], put: &Put, show: &Show) -> Result<Sent, Error> {
    let watcher = show.watcher();
    watcher(&Event::Begun { name: path, octets: None });
    let heard = {
        let (name, watcher) = (path.to_vec(), watcher.clone());
        Arc::new(move |octets| watcher(&Event::Moved { name: &name, octets }))
    };
    let wishes = Send { verify: put.moving.verify, in_place: put.in_place, heard: Some(heard), ..Send::default() };
    let sent = connection.send_stream(std::io::stdin(), path, &wishes, stopped()).await;
    match &sent {
        Ok(sent) => watcher(&Event::Done { name: path, octets: sent.octets }),
        Err(error) => watcher(&Event::Failed { name: path, error }),
    }
    sent
}

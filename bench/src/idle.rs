//! Idlers: connections that are greeted (FTP, IMAP: logged in) and then do nothing, and what they weigh.
//!
//! One comes and goes before they are weighed, so that a server has what it needs for the first of all.
//!
//! Invariants: every idler got its greeting, and after the weighing every one of them still gets a farewell.
//! Not here: memory of the client.

use crate::args::{Dialogue, Idle};
use crate::figures::{Figure, Report};
use crate::ftp::Session;
use crate::imap_wire::Reader;
use crate::procs::{Memory, memory};
use crate::wire::{Door, Wire};
use anyhow::{Context, Result};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Connections opened at a time: more would overflow the listen queue of some servers, which is not what is measured.
const OPENED_AT_ONCE: usize = 64;

/// `bench idle`
pub async fn idle(args: &Idle) -> Result<Report> {
    let door = Arc::new(Door::new(&args.target).await?);
    let settle = Duration::from_secs(args.settle);
    // What a server needs for the first of all is not what one of them weighs.
    let mut first = open(&door, 0, args.dialogue, args.mute, args.user.nth(0), &args.pass).await?;
    farewell(&mut first, args.dialogue).await.context("the first of all")?;
    tokio::time::sleep(settle).await;
    let before = memory(args.pid)?;
    let begun = Instant::now();
    let mut idlers = open_all(args, &door).await?;
    let opened_in = begun.elapsed();
    tokio::time::sleep(settle).await;
    let after = memory(args.pid)?;
    for (nth, idler) in idlers.iter_mut().enumerate() {
        farewell(idler, args.dialogue).await.with_context(|| format!("idler {nth}"))?;
    }
    Ok(report(args, opened_in, before, after))
}

async fn open_all(args: &Idle, door: &Arc<Door>) -> Result<Vec<Wire>> {
    let mut idlers = Vec::with_capacity(args.connections);
    let mut opening = JoinSet::new();
    for nth in 0..args.connections {
        if opening.len() == OPENED_AT_ONCE {
            idlers.extend(opening.join_next().await.transpose()?.transpose()?);
        }
        let (user, pass) = (args.user.nth(nth).to_owned(), args.pass.clone());
        let (door, dialogue, mute) = (door.clone(), args.dialogue, args.mute);
        opening.spawn(async move { open(&door, nth, dialogue, mute, &user, &pass).await });
    }
    while let Some(idler) = opening.join_next().await {
        idlers.push(idler??);
    }
    Ok(idlers)
}

async fn open(door: &Door, nth: usize, dialogue: Dialogue, mute: bool, user: &str, pass: &str) -> Result<Wire> {
    if dialogue == Dialogue::Ftp && !mute {
        return Ok(Session::open(door, nth, user, pass).await?.into_control());
    }
    if dialogue == Dialogue::Imap && !mute {
        let mut reader = Reader::open(door, nth, user, pass).await?;
        reader.select("INBOX").await?;
        reader.idle().await?;
        return Ok(reader.into_wire());
    }
    let mut wire = door.open(nth).await?;
    match dialogue {
        Dialogue::Imap => drop(wire.line().await?),
        Dialogue::Smtp | Dialogue::Ftp => wire.reply("220", "the connection").await?,
        Dialogue::Pop3 => drop(wire.ok("the connection").await?),
    }
    match dialogue {
        _ if mute => {}
        Dialogue::Ftp | Dialogue::Imap => {}
        Dialogue::Smtp => {
            wire.send(b"EHLO bench.example.test\r\n").await?;
            wire.reply("250", "EHLO").await?;
        }
        Dialogue::Pop3 => {
            wire.send(b"CAPA\r\n").await?;
            wire.content("CAPA").await?;
        }
    }
    Ok(wire)
}

async fn farewell(wire: &mut Wire, dialogue: Dialogue) -> Result<()> {
    if dialogue == Dialogue::Imap {
        // DONE is for those who idle, and nothing a mute one could not say.
        wire.send(b"DONE\r\nz LOGOUT\r\n").await?;
        while !wire.line().await?.starts_with(b"z OK") {}
        return wire.end().await;
    }
    wire.send(b"QUIT\r\n").await?;
    match dialogue {
        Dialogue::Imap => {}
        Dialogue::Smtp | Dialogue::Ftp => wire.reply("221", "QUIT").await?,
        Dialogue::Pop3 => drop(wire.ok("QUIT").await?),
    }
    wire.end().await
}

fn report(args: &Idle, opened_in: Duration, before: Memory, after: Memory) -> Report {
    let each = |before: f64, after: f64| vec![(after - before) / args.connections as f64];
    let figures = vec![
        Figure::new("connections/s opened", vec![args.connections as f64 / opened_in.as_secs_f64()]),
        Figure::new("RSS before, KiB", vec![before.rss_kib]),
        Figure::new("RSS with all, KiB", vec![after.rss_kib]),
        Figure::new("PSS before, KiB", vec![before.pss_kib]),
        Figure::new("PSS with all, KiB", vec![after.pss_kib]),
        Figure::new("RSS each, KiB", each(before.rss_kib, after.rss_kib)),
        Figure::new("PSS each, KiB", each(before.pss_kib, after.pss_kib)),
        Figure::new("processes before", vec![before.processes as f64]),
        Figure::new("processes with all", vec![after.processes as f64]),
    ];
    Report::new(format!("{} idle connections to {}", args.connections, args.target.to), figures)
}

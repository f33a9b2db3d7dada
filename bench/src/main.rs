//! A load generator that checks every answer, for any mail or file server.
//!
//! RFC 5321 (SMTP), 2033 (LMTP), 2920 (pipelining), 3207 (STARTTLS), 4954 (AUTH), 1939 (POP3), 2595 (STLS), 9051 (IMAP), 959 (FTP), 4217 (AUTH TLS).
//!
//! ```text
//! letter, mail, content: what is sent, and is it what came back?   wire, ftp_data: a connection, its lines and replies
//! smtp, pop3, imap, ftp, visible, idle: one kind of load each      procs: what the server costs     figures: what is printed
//! ```
//!
//! Invariants: an answer that was not expected ends the run with an error, it is never counted;
//! nothing here uses Packetboat's own protocol crates, so that one mistake cannot hide on both ends;
//! every loop is bounded by a count or by seconds.
//! Not here: starting and stopping servers (`run.sh`).

mod args;
mod content;
mod figures;
mod ftp;
mod ftp_data;
mod ftp_socket;
mod idle;
mod imap;
mod imap_wire;
mod letter;
mod mail;
mod pattern;
mod plan;
mod pop3;
mod procs;
mod ratios;
mod smtp;
mod visible;
mod wire;

use anyhow::Result;
use args::{Args, Command};
use clap::Parser;
use figures::Report;

fn main() -> Result<()> {
    let args = Args::parse();
    if let Command::Ratios(ratios) = &args.command {
        return ratios::print(ratios);
    }
    procs::raise_file_limit()?;
    let report = runtime(args.threads)?.block_on(run(&args))?;
    report.print(args.json)
}

async fn run(args: &Args) -> Result<Report> {
    let report = match &args.command {
        Command::Smtp(args::Smtp::Send(send)) => smtp::send(send).await?,
        Command::Smtp(args::Smtp::Login(login)) => smtp::login(login).await?,
        Command::Pop3(args::Pop3::Retr(retr)) => pop3::retr(retr).await?,
        Command::Pop3(args::Pop3::Login(login)) => pop3::login(login).await?,
        Command::Pop3(args::Pop3::Empty(empty)) => pop3::empty(empty).await?,
        Command::Imap(imap) => imap::run(imap).await?,
        Command::Ftp(args::Ftp::Retr(files)) => ftp::retr(files).await?,
        Command::Ftp(args::Ftp::Stor(files)) => ftp::stor(files).await?,
        Command::Ftp(args::Ftp::List(list)) => ftp::list(list).await?,
        Command::Ftp(args::Ftp::Login(login)) => ftp::login(login).await?,
        Command::Visible(visible) => visible::visible(visible).await?,
        Command::Idle(idle) => idle::idle(idle).await?,
        Command::Ratios(_) => anyhow::bail!("ratios drives no server"),
    };
    Ok(report.labelled(args.server.as_deref(), args.row.as_deref()))
}

/// Client and server share the machine, so the client takes one core unless told otherwise.
fn runtime(threads: usize) -> Result<tokio::runtime::Runtime> {
    let mut builder = match threads {
        0 | 1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if threads > 1 {
        builder.worker_threads(threads);
    }
    Ok(builder.enable_all().build()?)
}

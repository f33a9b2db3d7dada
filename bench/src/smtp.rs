//! SMTP and LMTP load: sending, and logging in.
//!
//! RFC 5321 §3.3 (the transaction), 2033, 2920 §3.1, 4954 §4, 3207.
//!
//! ```text
//! greeting → EHLO → [STARTTLS → EHLO] → [AUTH] → (MAIL → RCPT → DATA → content → 250)* → QUIT → 221 → closed
//! ```
//!
//! Invariants: a message counts when its final 250 has come, and its time is from MAIL (or from the connection, where each
//! message has one of its own) to that 250.
//! Not here: what the message says (`letter`).

use crate::args::{Login, SmtpSend};
use crate::figures::{Report, Sample};
use crate::letter::{Id, Letter, new_run};
use crate::pattern::Pattern;
use crate::plan::{Counter, Share, gather, measure, storm};
use crate::wire::{Door, Wire};
use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinSet;

/// How mail is sent in all runs.
pub struct Sending {
    /// Where to.
    pub door: Door,
    /// LMTP instead of SMTP.
    pub lmtp: bool,
    /// User and password, in AUTH PLAIN's form.
    pub auth: Option<String>,
    /// Envelope sender.
    pub sender: String,
    /// Recipients, one a message in turn.
    pub rcpt: Pattern,
    /// Octets of a message.
    pub size: usize,
    /// MAIL, RCPT and DATA in one write.
    pub pipelined: bool,
    /// A new connection for every message.
    pub one_per_connection: bool,
}

/// `bench smtp send`
pub async fn send(args: &SmtpSend) -> Result<Report> {
    let auth = args.auth.as_deref().map(|auth| auth.split_once(':').context("--auth is USER:PASSWORD")).transpose()?;
    let sending = Arc::new(Sending {
        door: Door::new(&args.target).await?,
        lmtp: args.lmtp,
        auth: auth.map(|(user, password)| plain(user, password)),
        sender: args.sender.clone(),
        rcpt: args.rcpt.clone(),
        size: args.size,
        pipelined: args.pipelined,
        one_per_connection: args.one_per_connection,
    });
    let samples =
        measure(&args.effort, async || run(&sending, args.connections, args.messages, new_run()).await).await?;
    let load = format!(
        "{} to {}: {} runs of {} messages of {} octets, {} connections{}{}",
        if args.lmtp { "LMTP" } else { "SMTP" },
        args.target.to,
        args.effort.runs,
        args.messages,
        args.size,
        args.connections,
        if args.pipelined { ", pipelined" } else { "" },
        if args.one_per_connection { ", one message each" } else { "" },
    );
    Ok(Report::of_samples(load, "messages", &samples))
}

/// Sends `messages` letters of this run over `connections`, which are opened before the clock starts.
pub async fn run(sending: &Arc<Sending>, connections: usize, messages: u32, run: u64) -> Result<Sample> {
    let counter = Arc::new(Counter::new(messages));
    let mut clients = Vec::new();
    for nth in 0..connections {
        let wire = if sending.one_per_connection { None } else { Some(sending.connect(nth).await?) };
        clients.push(Client { wire, nth, run, letter: Letter::wire(sending.size)?, sending: sending.clone() });
    }
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for client in clients {
        tasks.spawn(client.work(counter.clone()));
    }
    gather(tasks, begun).await
}

impl Sending {
    /// Connects and says everything up to the first MAIL.
    pub async fn connect(&self, nth: usize) -> Result<Wire> {
        let mut wire = hello(&self.door, nth, if self.lmtp { "LHLO" } else { "EHLO" }).await?;
        if let Some(auth) = &self.auth {
            authenticate(&mut wire, auth).await?;
        }
        Ok(wire)
    }

    /// One transaction, to its final 250.
    pub async fn transact(&self, wire: &mut Wire, letter: &[u8], rcpt: &str) -> Result<()> {
        let mail = format!("MAIL FROM:<{}>\r\n", self.sender);
        let rcpt = format!("RCPT TO:<{rcpt}>\r\n");
        if self.pipelined {
            wire.send(format!("{mail}{rcpt}DATA\r\n").as_bytes()).await?;
            wire.reply("250", "MAIL").await?;
            wire.reply("250", "RCPT").await?;
        } else {
            wire.send(mail.as_bytes()).await?;
            wire.reply("250", "MAIL").await?;
            wire.send(rcpt.as_bytes()).await?;
            wire.reply("250", "RCPT").await?;
            wire.send(b"DATA\r\n").await?;
        }
        wire.reply("354", "DATA").await?;
        wire.send(letter).await?;
        wire.reply("250", "the message").await
    }
}

/// One connection's worth of work.
struct Client {
    wire: Option<Wire>,
    nth: usize,
    run: u64,
    letter: Letter,
    sending: Arc<Sending>,
}

impl Client {
    async fn work(mut self, counter: Arc<Counter>) -> Result<Share> {
        let mut share = Share::default();
        while let Some(number) = counter.take() {
            let begun = Instant::now();
            self.deliver(number).await.with_context(|| format!("message {number}"))?;
            share.latencies.push(begun.elapsed());
            share.octets += self.sending.size as u64;
        }
        if let Some(wire) = &mut self.wire {
            quit(wire).await?;
        }
        Ok(share)
    }

    async fn deliver(&mut self, number: u32) -> Result<()> {
        let id = Id { run: self.run, number, size: self.sending.size as u32 };
        let rcpt = self.sending.rcpt.nth(number as usize);
        let letter = self.letter.with(id);
        match &mut self.wire {
            Some(wire) => self.sending.transact(wire, letter, rcpt).await,
            None => {
                let mut wire = self.sending.connect(self.nth).await?;
                self.sending.transact(&mut wire, letter, rcpt).await?;
                quit(&mut wire).await
            }
        }
    }
}

/// `bench smtp login`
pub async fn login(args: &Login) -> Result<Report> {
    let door = Arc::new(Door::new(&args.target).await?);
    let auths: Vec<String> = args.user.names().iter().map(|user| plain(user, &args.pass)).collect();
    let auths = Arc::new(auths);
    storm("SMTP", args, move |nth, number| {
        let (door, auths) = (door.clone(), auths.clone());
        async move {
            let mut wire = hello(&door, nth, "EHLO").await?;
            authenticate(&mut wire, &auths[number % auths.len()]).await?;
            quit(&mut wire).await
        }
    })
    .await
}

/// Connects and greets, with TLS where the door has it.
async fn hello(door: &Door, nth: usize, verb: &str) -> Result<Wire> {
    let greeting = format!("{verb} bench.example.test\r\n");
    let mut wire = door.open(nth).await?;
    wire.reply("220", "the connection").await?;
    wire.send(greeting.as_bytes()).await?;
    wire.reply("250", verb).await?;
    if door.starttls() {
        wire.send(b"STARTTLS\r\n").await?;
        wire.reply("220", "STARTTLS").await?;
        wire.secure().await?;
        wire.send(greeting.as_bytes()).await?;
        wire.reply("250", verb).await?;
    }
    Ok(wire)
}

/// AUTH PLAIN's initial response (RFC 4616 §2).
fn plain(user: &str, password: &str) -> String {
    BASE64_STANDARD.encode(format!("\0{user}\0{password}"))
}

async fn authenticate(wire: &mut Wire, auth: &str) -> Result<()> {
    wire.send(format!("AUTH PLAIN {auth}\r\n").as_bytes()).await?;
    wire.reply("235", "AUTH").await
}

/// The farewell, and nothing after it.
pub async fn quit(wire: &mut Wire) -> Result<()> {
    wire.send(b"QUIT\r\n").await?;
    wire.reply("221", "QUIT").await?;
    wire.end().await
}
